/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is meant by the hashes of an audit log: for showing it, and kept nowhere. Known are
 * the people of whom an office has a record or a fact (about.h), and whoever has an account
 * of which the log says that it did something. Of somebody who was erased there is neither.
 *
 * On the pool, one thread at a time: it reads the store and asks the account database.
 */
#ifndef WHOCAN_DAEMON_AUDIT_NAMES_H
#define WHOCAN_DAEMON_AUDIT_NAMES_H

#include "daemon/audit.h"
#include "daemon/records.h"

struct wc_audit_names;

/* Of the people of one office. -WC_ENOMEM, or what the store said. */
int wc_audit_names_new(struct wc_audit_names **out, const struct wc_audit *audit,
                       struct wc_records *records,
                       const uint8_t office_key[WC_KEY_BYTES]);
void wc_audit_names_free(struct wc_audit_names *n); /* NULL is fine */

/* A page of lines begins: each name is given once on it. */
void wc_audit_names_page(struct wc_audit_names *n);

/* Learn whose account a line's `uid` is, and append the pair hash, login of each person in
 * the line whose login is known, packed; *count grows by how many. */
void wc_audit_names_of(struct wc_audit_names *n, struct wc_slice line,
                       struct wc_buf *out, uint32_t *count);

#endif
