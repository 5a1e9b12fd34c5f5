/* SPDX-License-Identifier: Apache-2.0 */
/* A piece of postings: read at once or window by window it is the same, and what is
 * written after changes is read back alike. */
#include "daemon/postings.h"
#include "tests/fuzz/fuzz.h"

#define WINDOW  4096u
#define CHANGES 2048u

/* Window by window, as a search takes it, from a document in the middle on. */
static void take_all(struct wc_slice value, const struct wc_posting *all, int count)
{
    static uint16_t low[WINDOW];
    static uint8_t impact[WINDOW];
    struct wc_postings p;
    HOLDS(wc_postings_open(&p, value) == 0);
    int at = count / 2;
    wc_postings_skip(&p, all[at].doc);
    while (at < count) {
        uint32_t base = all[at].doc & ~(WINDOW - 1);
        int n = wc_postings_take(&p, base, base + WINDOW, 0, low, impact);
        HOLDS(n > 0);
        for (int i = 0; i < n; i++, at++)
            HOLDS(base + low[i] == all[at].doc && impact[i] == all[at].impact);
    }
}

/* One by one, and the largest alone. */
static void find_all(struct wc_slice value, const struct wc_posting *all, int count,
                     uint8_t least)
{
    static uint16_t low[WINDOW];
    static uint8_t impact[WINDOW];
    struct wc_postings p;
    uint8_t one;
    HOLDS(wc_postings_open(&p, value) == 0);
    for (int i = 0; i < count; i += 1 + i % 3)
        HOLDS(wc_postings_find(&p, all[i].doc, &one) == 1 && one == all[i].impact);
    HOLDS(wc_postings_open(&p, value) == 0);
    for (int at = 0; p.at < p.count;) {
        uint32_t base = p.doc & ~(WINDOW - 1);
        int n = wc_postings_take(&p, base, base + WINDOW, least, low, impact);
        HOLDS(n >= 0);
        for (; at < count && all[at].doc < base + WINDOW; at++)
            n -= all[at].impact >= least;
        HOLDS(n == 0);
    }
}

/* The same of a value that is damaged: it may end with an error, and nothing worse. */
static void take_any(struct wc_slice value)
{
    static uint16_t low[WINDOW];
    static uint8_t impact[WINDOW];
    struct wc_postings p;
    if (wc_postings_open(&p, value) != 0)
        return;
    while (p.at < p.count && p.doc != UINT32_MAX) {
        uint32_t base = p.doc & ~(WINDOW - 1);
        if (wc_postings_take(&p, base, base + WINDOW, 0, low, impact) <= 0)
            return;
    }
    HOLDS(wc_postings_open(&p, value) == 0);
    for (uint32_t doc = p.doc; doc < p.last && p.at < p.count; doc += 1 + doc % 9)
        if (wc_postings_find(&p, doc, impact) < 0)
            return;
    HOLDS(wc_postings_open(&p, value) == 0);
    while (p.at < p.count && p.doc != UINT32_MAX) {
        uint32_t base = p.doc & ~(WINDOW - 1);
        if (wc_postings_take(&p, base, base + WINDOW, p.max / 2 + 1, low, impact) < 0)
            return;
    }
}

/* Each three bytes are a change: how far on, and the impact. */
static uint32_t read_changes(const uint8_t *data, size_t size,
                             struct wc_posting out[CHANGES])
{
    uint32_t count = 0, next = 0;
    for (size_t i = 0; i + 3 <= size && count < CHANGES; i += 3) {
        next += 1u + data[i] + (uint32_t)data[i + 1] * data[i + 1];
        out[count++] = (struct wc_posting){next, data[i + 2]};
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wc_posting old[WC_POSTINGS_MAX], again[WC_POSTINGS_MAX];
    static struct wc_posting changes[CHANGES], merged[WC_POSTINGS_MAX + CHANGES];
    uint8_t value[WC_POSTINGS_MAX_BYTES];
    size_t len, split = size > 0 ? data[0] * 8U : 0;
    if (size == 0)
        return 0;
    data++;
    size--;
    split = split < size ? split : size;
    int count = wc_postings_read(wc_slice(data, split), old);
    take_any(wc_slice(data, split));
    if (count > 0) {
        take_all(wc_slice(data, split), old, count);
        find_all(wc_slice(data, split), old, count, data[split / 2]);
    }
    uint32_t change_count = read_changes(data + split, size - split, changes);
    uint32_t left = wc_postings_merge(old, count > 0 ? (uint32_t)count : 0, changes,
                                      change_count, merged);
    for (uint32_t i = 0, k = 0; i < change_count; i++) {
        while (k < left && merged[k].doc < changes[i].doc)
            k++;
        bool held = k < left && merged[k].doc == changes[i].doc;
        HOLDS(held == (changes[i].impact > 0));
        HOLDS(!held || merged[k].impact == changes[i].impact);
    }
    for (uint32_t done = 0, n; done < left; done += n) {
        n = wc_postings_write(merged + done, left - done, value, &len);
        HOLDS(n > 0 && len <= sizeof(value));
        HOLDS(wc_postings_read(wc_slice(value, len), again) == (int)n);
        for (uint32_t i = 0; i < n; i++)
            HOLDS(again[i].doc == merged[done + i].doc &&
                  again[i].impact == merged[done + i].impact);
        take_all(wc_slice(value, len), again, (int)n);
        find_all(wc_slice(value, len), again, (int)n, again[n / 2].impact);
    }
    return 0;
}
