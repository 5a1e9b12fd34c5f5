/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block of a posting list: which of 512 neighbouring documents have a term, and how
 * much they are about it.
 *
 *   value = max impact (1) ‖ count × low document number (2, big-endian) ‖ count ×
 *           impact (1)
 *
 * The low numbers, 0..511, ascend; impacts are 1..255; the count follows from the
 * length, which is at most 1,537 bytes: a value always shares its page.
 */
#ifndef WHOCAN_DAEMON_POSTINGS_H
#define WHOCAN_DAEMON_POSTINGS_H

#include <whocan/bytes.h>
#include <whocan/error.h>

#define WC_POSTINGS_SHIFT     9
#define WC_POSTINGS_DOCS      (1u << WC_POSTINGS_SHIFT)
#define WC_POSTINGS_MAX_BYTES (1 + 3 * WC_POSTINGS_DOCS)

struct wc_postings {
    uint32_t count;
    uint16_t low[WC_POSTINGS_DOCS];
    uint8_t impact[WC_POSTINGS_DOCS];
};

/* Read a value. -WC_ECORRUPT for anything that wc_postings_encode does not write. */
int wc_postings_decode(struct wc_slice value, struct wc_postings *out);

/* Write a value; count is 1..512, everything in order. Returns its length. */
size_t wc_postings_encode(const struct wc_postings *p,
                          uint8_t out[WC_POSTINGS_MAX_BYTES]);

/* One change to a block: impact 0 removes. */
struct wc_posting {
    uint16_t low;
    uint8_t impact;
};

/* Apply changes, sorted by low, each low once. Removing what is not there is fine. */
void wc_postings_apply(struct wc_postings *p, const struct wc_posting *changes,
                       uint32_t count);

#endif
