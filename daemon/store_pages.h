/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a store, looked at before LMDB reads it. LMDB believes every number in its
 * pages: one flipped bit may crash it, hide what is there, or have it write over what is
 * in use. So this goes through all pages that the file's newest state uses and checks
 *
 *   - that each page is what its parent says it is, is used once, and that the pages noted
 *     as free are not used;
 *   - that keys ascend, and lie between those of the page above;
 *   - that each table has as many entries, pages and levels as it says;
 *   - that each value is as it was sealed (sum.h).
 *
 * What it does not look at (the rest of a page, free pages, the state before) LMDB does
 * not read either. The layout of a page is that of LMDB 0.9, data version 1, which every
 * LMDB of this branch writes; docs/store.md has it.
 */
#ifndef WHOCAN_DAEMON_STORE_PAGES_H
#define WHOCAN_DAEMON_STORE_PAGES_H

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/limits.h>

/* The table that says what a store is; its value is not sealed. */
#define WC_STORE_FORMAT_TABLE "whocan"

/* Whether the bytes of a file are in order; tables as wc_store_options has them, whose
 * values are sealed or not. 0, or
 * -WC_ECORRUPT and one line that says where, -WC_ENOMEM. Reads nothing but those bytes. */
int wc_store_pages_check(struct wc_slice file, const char *const *tables, bool sealed,
                         char problem[WC_PROBLEM_BYTES]);

#endif
