/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Postings on their way into a new index. A run holds those of neighbouring documents,
 * sorted by term; runs lie one after the other in a file without a name, which ends with
 * whoever has it open, and are read once, all of them side by side.
 *
 *   run   = blocks of ascending terms
 *   block = step from the term before ‖ count ‖ count × (gap ‖ impact (1))
 *   gap   = document less the one before in the block, less 1; of the first one: less the
 *           first of the run
 *
 * Numbers are in sevens of bits, the lowest first, 128 added to all but the last.
 */
#ifndef WHOCAN_DAEMON_RUNS_H
#define WHOCAN_DAEMON_RUNS_H

#include <whocan/bytes.h>
#include <whocan/error.h>

#include "daemon/postings.h"

struct wc_runs;

/* In a directory that can be written to. -WC_ENOMEM, -WC_EFULL, -WC_EIO. */
int wc_runs_new(struct wc_runs **out, const char *directory);
void wc_runs_free(struct wc_runs *r); /* NULL is fine */

/* ---- writing ---- */

/* Append a block to a run that somebody makes: step > 0 from the term before (the first
 * time from 0), postings in order, count > 0, none before the first document of the run.
 * Failure is sticky in *run. */
void wc_run_add(struct wc_buf *run, uint32_t step, uint32_t first_doc,
                const struct wc_posting *postings, uint32_t count);

/* Keep a run; its documents are beyond those of all before it. Not after wc_runs_read().
 * -WC_ENOMEM, -WC_EFULL, -WC_EIO. */
int wc_runs_add(struct wc_runs *r, struct wc_slice run, uint32_t first_doc);

/* ---- reading ---- */

/* Begin to read. -WC_ENOMEM, -WC_EIO. */
int wc_runs_read(struct wc_runs *r);
/* The next block, in order of term, then document. *postings are borrowed until the next
 * call. 1, or 0 at the end; -WC_ECORRUPT, -WC_ENOMEM. */
int wc_runs_next(struct wc_runs *r, uint32_t *term, const struct wc_posting **postings,
                 uint32_t *count);

#endif
