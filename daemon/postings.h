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

/*
 * The parts of a value, for reading without a copy. -WC_ECORRUPT when the length is
 * wrong; order and range of the low numbers are for the reader to check as it goes.
 */
struct wc_postings_view {
    uint32_t count;
    const uint8_t *low, *impact; /* 2 and 1 bytes each */
};
static inline int wc_postings_view(struct wc_slice value, struct wc_postings_view *out)
{
    if (value.len < 4 || value.len > WC_POSTINGS_MAX_BYTES || value.len % 3 != 1)
        return -WC_ECORRUPT;
    out->count = (uint32_t)(value.len / 3);
    out->low = value.data + 1;
    out->impact = out->low + 2 * (size_t)out->count;
    return 0;
}
static inline uint16_t wc_postings_low(const struct wc_postings_view *v, uint32_t i)
{
    return (uint16_t)(v->low[2 * (size_t)i] << 8 | v->low[2 * (size_t)i + 1]);
}

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
