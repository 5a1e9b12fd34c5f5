/* SPDX-License-Identifier: Apache-2.0 */
/* A block of postings: what is read is written back alike, and changes add up. */
#include <string.h>

#include "daemon/postings.h"
#include "tests/fuzz/fuzz.h"

/* Each pair of bytes is a change: how far on, and the impact. */
static uint32_t read_changes(const uint8_t *data, size_t size,
                             struct wc_posting out[WC_POSTINGS_DOCS])
{
    uint32_t count = 0, next = 0;
    for (size_t i = 0; i + 2 <= size; i += 2) {
        next += 1u + data[i];
        if (next >= WC_POSTINGS_DOCS)
            break;
        out[count++] = (struct wc_posting){(uint16_t)next, data[i + 1]};
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_postings p, again;
    struct wc_posting changes[WC_POSTINGS_DOCS];
    uint8_t value[WC_POSTINGS_MAX_BYTES];
    size_t split = size > 0 ? data[0] * 8U : 0;
    if (size == 0)
        return 0;
    data++;
    size--;
    split = split < size ? split : size;
    if (wc_postings_decode(wc_slice(data, split), &p) == 0) {
        size_t len = wc_postings_encode(&p, value);
        HOLDS(len == split && memcmp(value, data, len) == 0);
    } else {
        p.count = 0;
    }
    uint32_t count = read_changes(data + split, size - split, changes);
    wc_postings_apply(&p, changes, count);
    if (p.count == 0)
        return 0;
    size_t len = wc_postings_encode(&p, value);
    HOLDS(wc_postings_decode(wc_slice(value, len), &again) == 0);
    HOLDS(again.count == p.count);
    for (uint32_t i = 0, k = 0; i < count; i++) {
        while (k < p.count && p.low[k] < changes[i].low)
            k++;
        bool held = k < p.count && p.low[k] == changes[i].low;
        HOLDS(held == (changes[i].impact > 0));
        HOLDS(!held || p.impact[k] == changes[i].impact);
    }
    return 0;
}
