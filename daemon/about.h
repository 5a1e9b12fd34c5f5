/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this office keeps about one of its people: the answer to "what do you know about
 * me?", and what goes when they are erased. Whoever adds a place where something about a
 * person is kept adds it here:
 *
 * - records of this office that are about the person or by them (wc_about_records),
 * - facts that never leave the office: values of wc_records_meta_put() whose key starts
 *   with what wc_about_prefix() says,
 * - open asks, which live in memory (methods_ask.c).
 */
#ifndef WHOCAN_DAEMON_ABOUT_H
#define WHOCAN_DAEMON_ABOUT_H

#include <whocan/record.h>

#include "daemon/records.h"

/* "person/alice/": a login has no slash. */
#define WC_ABOUT_PREFIX_BYTES (sizeof("person//") + WC_SUBJECT_MAX_BYTES)
void wc_about_prefix(const char *login, char out[WC_ABOUT_PREFIX_BYTES]);

/*
 * Every record of the office in its store that is about the person or by them:
 * row and profile, retired or not, and asks. Walks the whole store: on the pool. fn
 * returning non-zero stops with that value. *damaged (may be NULL) counts what could not
 * be read. -WC_ENOMEM, or what the store said.
 */
typedef int (*wc_about_fn)(void *ctx, const struct wc_record *r);
int wc_about_records(struct wc_records *records, const uint8_t office_key[WC_KEY_BYTES],
                     const char *login, wc_about_fn fn, void *ctx, uint64_t *damaged);

#endif
