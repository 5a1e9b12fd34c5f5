/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece of a posting list: which documents have a term, and how much they are about it.
 *
 *   value = largest impact (1) ‖ layout (1) ‖ count (2, big-endian) ‖ first document (4)
 *           ‖ if count > 1: last document (4) ‖ gaps or bits ‖ impacts
 *   gaps    = (count - 1) × (next document - this one - 1), each of 1, 2 or 4 bytes, the
 *             fewest that hold all of them
 *   bits    = where documents lie close together: one for each number, from that of the
 *             first document to that of the last one, both rounded to whole 64s; the
 *             earlier in the lower bits and bytes
 *   impacts = nothing, when all are the largest; or, when there are up to 16 different
 *             ones, how many (1), these in order, and the place of each among them in four
 *             bits, the earlier in the lower ones; or one byte each
 *   layout  = 0, 1, 2 for gaps of 1, 2, 4 bytes, 3 for bits, and 0, 16, 32 for the ways of
 *             impacts
 *
 * Documents ascend and are below WC_DOCS_END; impacts are 1..255. A value has up to 2,016
 * bytes: it always shares its page.
 */
#ifndef WHOCAN_DAEMON_POSTINGS_H
#define WHOCAN_DAEMON_POSTINGS_H

#include <whocan/bytes.h>
#include <whocan/error.h>

#define WC_DOCS_END           (1u << 31) /* document numbers are below */
#define WC_POSTINGS_MAX       1280u      /* of one piece */
#define WC_POSTINGS_MAX_BYTES 2016u

/* As a change, impact 0 removes. */
struct wc_posting {
    uint32_t doc;
    uint8_t impact;
};

/* ---- reading ---- */

/* A piece on the way through its documents. */
struct wc_postings {
    uint32_t count, at; /* `at` are taken */
    uint32_t doc;       /* the next one, when at < count */
    uint32_t first, last;
    uint8_t max;
    uint8_t gap_bytes; /* of one; 0: they are bits */
    uint8_t way;       /* of impacts: 0, 1, 2 */
    const uint8_t *gaps, *impacts, *table;
};

/* Begin to read a value, which stays borrowed. -WC_ECORRUPT for a head or a length that
 * nobody writes; what is within is checked as it is taken. */
int wc_postings_open(struct wc_postings *p, struct wc_slice value);

/* Pass over the documents below `doc`. */
void wc_postings_skip(struct wc_postings *p, uint32_t doc);

/* Pass over the documents below `doc`, and look whether that one is there: 1, and its
 * impact, which stays to be taken; 0; or -WC_ECORRUPT. */
int wc_postings_find(struct wc_postings *p, uint32_t doc, uint8_t *impact);

/* Set a bit for each document that is still to be taken and below `end`: the one of `base`,
 * a multiple of 64 below them, is the lowest of the first number. None is taken. -WC_ECORRUPT. */
int wc_postings_mark(const struct wc_postings *p, uint32_t base, uint32_t end,
                     uint64_t *bits);

/*
 * Take the documents below `end`, none of which is below `base`, and give those whose
 * impact is `least` or more (0: all): where they are from there, and their impacts. There
 * is room for end - base of each. Returns how many, or -WC_ECORRUPT.
 */
int wc_postings_take(struct wc_postings *p, uint32_t base, uint32_t end, uint8_t least,
                     uint16_t *low, uint8_t *impact);

/* All of a value, ascending, at most WC_POSTINGS_MAX. Returns how many, or -WC_ECORRUPT. */
int wc_postings_read(struct wc_slice value, struct wc_posting *out);

/* ---- writing ---- */

/* Write the first of some postings as one value, as many as it holds: at least one. In
 * order, each document once, none of impact 0; count > 0. *len: of the value. Returns how
 * many. */
uint32_t wc_postings_write(const struct wc_posting *postings, uint32_t count,
                           uint8_t out[WC_POSTINGS_MAX_BYTES], size_t *len);

/* Merge changes, in order, each document once, into postings. Removing what is not there
 * is fine. There is room for all of both in `out`. Returns how many there are then. */
uint32_t wc_postings_merge(const struct wc_posting *old, uint32_t old_count,
                           const struct wc_posting *changes, uint32_t change_count,
                           struct wc_posting *out);

#endif
