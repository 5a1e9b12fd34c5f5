/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the login of each document begins, so that equal ranks are put in order without
 * reading documents: thousands may be equal, and each document has a page of its own.
 *
 *   start   document number / 2,046 (4)  ->  for each document of the block, up to the last
 *                                            one that was written, the first 16 bytes of
 *                                            the login, filled up with 0; nobody: 0
 *
 * A value is much longer than a page: LMDB keeps it in consecutive ones, eight with its
 * own 16 bytes and the seal. Only people who come and go change it.
 */
#ifndef WHOCAN_DAEMON_STARTS_H
#define WHOCAN_DAEMON_STARTS_H

#include "daemon/store.h"

#define WC_STARTS_DOCS 2046u
#define WC_START_BYTES 16u

struct wc_start {
    uint32_t doc;
    uint8_t bytes[WC_START_BYTES];
};

/* Where it stands in its block. */
static inline size_t wc_start_at(uint32_t doc)
{
    return (size_t)(doc % WC_STARTS_DOCS) * WC_START_BYTES;
}

void wc_start_set(struct wc_start *s, uint32_t doc, const char *subject);

/* Write some, each document once; they are sorted. -WC_ENOMEM, -WC_ECORRUPT, -WC_EIO. */
int wc_starts_write(struct wc_txn *t, struct wc_start *starts, uint32_t count);

/* The block with the start of a document, found by a cursor in its table; borrowed. Its
 * seal is not looked at: that takes longer than a search. -WC_ECORRUPT: there is none, or
 * it ends before. */
int wc_starts_block(struct wc_cursor *c, uint32_t doc, struct wc_slice *out);

#endif
