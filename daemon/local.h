/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a profile has for others than the whole organisation (whocan/audience.h): local,
 * durable, never offered to another office, written in the transaction of the signed
 * record that it stands beside.
 *
 *   "person/LOGIN/local"  ->  [ 1, { audience: fields } ]
 *
 * A fact about the person (about.h): exported to them, and erased with them. It speaks of
 * people of this office alone: the same login elsewhere is somebody else.
 */
#ifndef WHOCAN_DAEMON_LOCAL_H
#define WHOCAN_DAEMON_LOCAL_H

#include <whocan/audience.h>

#include "daemon/about.h"
#include "daemon/records.h"

#define WC_LOCAL_FACT       "local" /* behind wc_about_prefix() */
#define WC_LOCAL_NAME_BYTES (WC_ABOUT_PREFIX_BYTES + sizeof(WC_LOCAL_FACT))
void wc_local_name(const char *login, char out[WC_LOCAL_NAME_BYTES]);

struct wc_local {
    const struct wc_obj *map; /* as wc_parts_read() takes it */
    struct wc_buf bytes;
    struct wc_doc *doc;
};

/* Read it. -WC_ENOTFOUND: there is none. -WC_ECORRUPT, -WC_EVERSION, -WC_ENOMEM, errors of the store. Call
 * wc_local_fini() after 0. Any thread. */
int wc_local_get(struct wc_records *r, const char *login, struct wc_local *out);
/* The map in a stored value, borrowed from its document. NULL when it is none. */
const struct wc_obj *wc_local_map(const struct wc_doc *doc);
void wc_local_fini(struct wc_local *l);

/* Append the value to *out. -WC_ETOOBIG over WC_LOCAL_MAX_BYTES, -WC_ENOMEM. */
int wc_local_pack(struct wc_buf *out, const struct wc_parts *parts);

#endif
