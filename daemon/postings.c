/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/postings.h"

#include <assert.h>
#include <string.h>

int wc_postings_decode(struct wc_slice value, struct wc_postings *out)
{
    struct wc_postings_view v;
    uint32_t next = 0; /* the smallest number that may come */
    uint8_t max = 0;
    out->count = 0;
    if (wc_postings_view(value, &v) != 0)
        return -WC_ECORRUPT;
    for (uint32_t i = 0; i < v.count; i++) {
        out->low[i] = wc_postings_low(&v, i);
        out->impact[i] = v.impact[i];
        if (out->low[i] < next || out->low[i] >= WC_POSTINGS_DOCS || v.impact[i] == 0)
            return -WC_ECORRUPT;
        next = out->low[i] + 1u;
        max = v.impact[i] > max ? v.impact[i] : max;
    }
    if (value.data[0] != max)
        return -WC_ECORRUPT;
    out->count = v.count;
    return 0;
}

size_t wc_postings_encode(const struct wc_postings *p,
                          uint8_t out[WC_POSTINGS_MAX_BYTES])
{
    uint8_t *low = out + 1, *impact = low + 2 * (size_t)p->count;
    assert(p->count > 0 && p->count <= WC_POSTINGS_DOCS);
    out[0] = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        wc_put_u16(low + 2 * (size_t)i, p->low[i]);
        impact[i] = p->impact[i];
        out[0] = p->impact[i] > out[0] ? p->impact[i] : out[0];
    }
    return 1 + 3 * (size_t)p->count;
}

void wc_postings_apply(struct wc_postings *p, const struct wc_posting *changes,
                       uint32_t count)
{
    struct wc_postings old = *p;
    uint32_t i = 0, n = 0;
    for (uint32_t k = 0; i < old.count || k < count;) {
        if (k == count || (i < old.count && old.low[i] < changes[k].low)) {
            p->low[n] = old.low[i];
            p->impact[n++] = old.impact[i++];
            continue;
        }
        if (i < old.count && old.low[i] == changes[k].low)
            i++;
        if (changes[k].impact > 0) {
            assert(n < WC_POSTINGS_DOCS && changes[k].low < WC_POSTINGS_DOCS);
            p->low[n] = changes[k].low;
            p->impact[n++] = changes[k].impact;
        }
        k++;
    }
    p->count = n;
}
