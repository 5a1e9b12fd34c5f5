/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/postings.h"

#include <assert.h>
#include <string.h>

#define HEAD_BYTES  8
#define LAST_BYTES  4
#define TABLE_COUNT 16

enum way { ALL_EQUAL, BY_TABLE, BY_BYTE };

/* ---- reading ---- */

/* How many bytes the impacts take, from where they begin; 0: more than are left. */
static size_t impact_bytes(const struct wc_postings *p, size_t left)
{
    size_t bytes = 0;
    if (p->way == BY_BYTE)
        bytes = p->count;
    if (p->way == BY_TABLE && left > 0)
        bytes = 1 + (size_t)p->impacts[0] + (p->count + 1) / 2;
    return bytes <= left ? bytes : 0;
}

static int open_impacts(struct wc_postings *p, size_t left)
{
    if (p->way == ALL_EQUAL)
        return left == 0 ? 0 : -WC_ECORRUPT;
    if (left == 0 || impact_bytes(p, left) != left)
        return -WC_ECORRUPT;
    if (p->way == BY_BYTE)
        return 0;
    uint8_t kinds = p->impacts[0];
    if (kinds < 2 || kinds > TABLE_COUNT || p->impacts[1] == 0 ||
        p->impacts[kinds] != p->max)
        return -WC_ECORRUPT;
    for (uint8_t i = 2; i <= kinds; i++)
        if (p->impacts[i] <= p->impacts[i - 1])
            return -WC_ECORRUPT;
    p->table = p->impacts + 1;
    p->impacts += 1 + kinds;
    return 0;
}

int wc_postings_open(struct wc_postings *p, struct wc_slice value)
{
    const uint8_t *v = value.data;
    if (value.len < HEAD_BYTES || value.len > WC_POSTINGS_MAX_BYTES)
        return -WC_ECORRUPT;
    p->max = v[0];
    p->gap_bytes = (uint8_t)(1u << (v[1] & 0x03));
    p->way = v[1] >> 4;
    p->count = (uint32_t)v[2] << 8 | v[3];
    p->at = 0;
    p->doc = p->last = wc_get_u32(v + 4);
    if (p->max == 0 || (v[1] & 0x0F) > 2 || p->way > BY_BYTE || p->count == 0 ||
        p->count > WC_POSTINGS_MAX)
        return -WC_ECORRUPT;
    size_t head = HEAD_BYTES + (p->count > 1 ? LAST_BYTES : 0);
    size_t gap_total = (size_t)(p->count - 1) * p->gap_bytes;
    if (value.len < head + gap_total)
        return -WC_ECORRUPT;
    if (p->count > 1)
        p->last = wc_get_u32(v + HEAD_BYTES);
    if (p->last < p->doc || p->last - p->doc < p->count - 1 || p->last >= WC_DOCS_END)
        return -WC_ECORRUPT;
    p->gaps = v + head;
    p->impacts = p->gaps + gap_total;
    p->table = NULL;
    return open_impacts(p, value.len - head - gap_total);
}

static uint32_t gap_at(const struct wc_postings *p, uint32_t i)
{
    const uint8_t *g = p->gaps + (size_t)i * p->gap_bytes;
    if (p->gap_bytes == 1)
        return g[0];
    if (p->gap_bytes == 2)
        return (uint32_t)g[0] << 8 | g[1];
    return (uint32_t)g[0] << 24 | (uint32_t)g[1] << 16 | (uint32_t)g[2] << 8 | g[3];
}

/* The next document becomes the current one. A gap is never so wide that a number wraps
 * around: what is beyond the last one ends the piece. */
static void step(struct wc_postings *p)
{
    if (++p->at == p->count)
        return;
    uint32_t gap = gap_at(p, p->at - 1);
    if (gap >= p->last - p->doc) {
        p->doc = UINT32_MAX; /* damaged: take() says so */
        return;
    }
    p->doc += 1 + gap;
}

/* The sum of eight bytes, without going through them. */
static uint32_t sum_of_8(const uint8_t *bytes)
{
    const uint64_t every_second = 0x00FF00FF00FF00FF;
    uint64_t x;
    memcpy(&x, bytes, sizeof(x));
    x = (x & every_second) + (x >> 8 & every_second);
    return (uint32_t)(x * 0x0001000100010001 >> 48);
}

/* By gaps of one byte, which nearly all postings have. Sums of those cannot wrap around. */
static void skip_bytes(struct wc_postings *p, uint32_t doc)
{
    uint32_t at = p->at, now = p->doc, last = p->count - 1;
    while (at + 8 <= last) {
        uint32_t then = now + 8 + sum_of_8(p->gaps + at);
        if (then > doc)
            break;
        now = then;
        at += 8;
    }
    while (at < last && now < doc)
        now += 1u + p->gaps[at++];
    p->at = at;
    p->doc = now > p->last ? UINT32_MAX : now;
}

void wc_postings_skip(struct wc_postings *p, uint32_t doc)
{
    if (p->gap_bytes == 1 && p->at + 1 < p->count && p->doc < doc)
        skip_bytes(p, doc);
    while (p->at < p->count && p->doc < doc)
        step(p);
}

/* One impact; 0: nobody writes it. */
static uint8_t impact_at(const struct wc_postings *p, uint32_t i)
{
    uint8_t place, impact = 0;
    switch ((enum way)p->way) {
    case ALL_EQUAL:
        return p->max;
    case BY_TABLE:
        place = p->impacts[i / 2] >> 4 * (i % 2) & 0x0F;
        return place < p->table[-1] ? p->table[place] : 0;
    case BY_BYTE:
        impact = p->impacts[i];
        break;
    }
    return impact <= p->max ? impact : 0;
}

int wc_postings_find(struct wc_postings *p, uint32_t doc, uint8_t *impact)
{
    wc_postings_skip(p, doc);
    if (p->at == p->count || p->doc != doc)
        return p->at < p->count && p->doc == UINT32_MAX ? -WC_ECORRUPT : 0;
    if (p->at == p->count - 1 && doc != p->last)
        return -WC_ECORRUPT;
    *impact = impact_at(p, p->at);
    return *impact == 0 ? -WC_ECORRUPT : 1;
}

/* ---- taking all of a part ---- */

static uint32_t take_bytes(struct wc_postings *p, uint32_t base, uint32_t end,
                           uint16_t *low)
{
    uint32_t at = p->at, doc = p->doc, n = 0, last = p->count - 1;
    while (doc < end && at < last) {
        low[n++] = (uint16_t)(doc - base);
        doc += 1u + p->gaps[at++];
    }
    if (doc < end) {
        low[n++] = (uint16_t)(doc - base);
        at++;
    }
    p->at = at;
    p->doc = doc;
    return n;
}

static uint32_t take_wide(struct wc_postings *p, uint32_t base, uint32_t end,
                          uint16_t *low)
{
    uint32_t n = 0;
    while (p->at < p->count && p->doc < end) {
        low[n++] = (uint16_t)(p->doc - base);
        step(p);
    }
    return n;
}

/* Two for each byte. A place beyond the table gives 0, which nobody writes. */
static void take_places(const struct wc_postings *p, uint32_t from, uint32_t n,
                        uint8_t *impact)
{
    uint8_t table[TABLE_COUNT] = {0};
    const uint8_t *at = p->impacts + from / 2;
    uint32_t i = 0;
    memcpy(table, p->table, p->table[-1]);
    if (from % 2 == 1 && n > 0)
        impact[i++] = table[*at++ >> 4];
    for (; i + 1 < n; i += 2, at++) {
        impact[i] = table[*at & 0x0F];
        impact[i + 1] = table[*at >> 4];
    }
    if (i < n)
        impact[i] = table[*at & 0x0F];
}

static void take_impacts(const struct wc_postings *p, uint32_t from, uint32_t n,
                         uint8_t *impact)
{
    switch ((enum way)p->way) {
    case ALL_EQUAL:
        memset(impact, p->max, n);
        return;
    case BY_TABLE:
        take_places(p, from, n, impact);
        return;
    case BY_BYTE:
        memcpy(impact, p->impacts + from, n);
        return;
    }
}

static int take_all(struct wc_postings *p, uint32_t base, uint32_t end, uint16_t *low,
                    uint8_t *impact)
{
    uint32_t from = p->at, n;
    unsigned bad = 0;
    n = p->gap_bytes == 1 ? take_bytes(p, base, end, low)
                          : take_wide(p, base, end, low);
    take_impacts(p, from, n, impact);
    if (p->way != ALL_EQUAL)
        for (uint32_t i = 0; i < n; i++)
            bad |= (impact[i] == 0) | (impact[i] > p->max);
    if (p->at == p->count && low[n - 1] + base != p->last)
        bad = 1;
    return bad != 0 || (p->at < p->count && p->doc > p->last) ? -WC_ECORRUPT : (int)n;
}

/* ---- taking the largest ---- */

#define BLOCK 16 /* postings whose impacts are compared at once */

/* The first place in the table that is large enough. */
static uint8_t place_of(const struct wc_postings *p, uint8_t least)
{
    uint8_t place = 0;
    while (place < p->table[-1] && p->table[place] < least)
        place++;
    return place;
}

/* Whether any of a block has a place, or (by byte) an impact, of `least` or more. */
static bool any_in_block(const struct wc_postings *p, uint32_t at, uint8_t least)
{
    unsigned any = 0;
    if (p->way == BY_BYTE) {
        for (uint32_t i = 0; i < BLOCK; i++)
            any |= p->impacts[at + i] >= least;
        return any != 0;
    }
    for (uint32_t i = 0; i < BLOCK / 2; i++) {
        uint8_t two = p->impacts[at / 2 + i];
        any |= ((two & 0x0F) >= least) | ((two >> 4) >= least);
    }
    return any != 0;
}

/* Of gaps of one byte: whole blocks without one that is large enough are passed over. */
static int take_largest(struct wc_postings *p, uint32_t base, uint32_t end,
                        uint8_t least, uint16_t *low, uint8_t *impact)
{
    uint8_t bound = p->way == BY_TABLE ? place_of(p, least) : least;
    uint32_t at = p->at, doc = p->doc, last = p->count - 1;
    int n = 0;
    while (at <= last && doc < end) {
        if (at % BLOCK == 0 && at + BLOCK <= last && !any_in_block(p, at, bound)) {
            uint32_t then =
                doc + BLOCK + sum_of_8(p->gaps + at) + sum_of_8(p->gaps + at + 8);
            if (then <= end) {
                doc = then;
                at += BLOCK;
                continue;
            }
        }
        uint8_t here = impact_at(p, at);
        if (here == 0 || doc > p->last || (at == last && doc != p->last))
            return -WC_ECORRUPT;
        if (here >= least) {
            low[n] = (uint16_t)(doc - base);
            impact[n++] = here;
        }
        doc += at < last ? 1u + p->gaps[at] : 1u;
        at++;
    }
    p->at = at;
    p->doc = doc;
    return at <= last && doc > p->last ? -WC_ECORRUPT : n;
}

int wc_postings_take(struct wc_postings *p, uint32_t base, uint32_t end, uint8_t least,
                     uint16_t *low, uint8_t *impact)
{
    if (p->at == p->count || p->doc >= end)
        return p->at < p->count && p->doc == UINT32_MAX ? -WC_ECORRUPT : 0;
    assert(p->doc >= base);
    if (least > p->max) {
        wc_postings_skip(p, end);
        return p->at < p->count && p->doc == UINT32_MAX ? -WC_ECORRUPT : 0;
    }
    if (least > 1 && p->gap_bytes == 1 && p->way != ALL_EQUAL)
        return take_largest(p, base, end, least, low, impact);
    int n = take_all(p, base, end, low, impact), kept = 0;
    if (least <= 1 || p->way == ALL_EQUAL)
        return n;
    for (int i = 0; i < n; i++) {
        low[kept] = low[i];
        impact[kept] = impact[i];
        kept += impact[i] >= least;
    }
    return n < 0 ? n : kept;
}

int wc_postings_read(struct wc_slice value, struct wc_posting *out)
{
    struct wc_postings p;
    uint8_t impact[WC_POSTINGS_MAX];
    uint32_t last = 0;
    int rc = wc_postings_open(&p, value);
    if (rc != 0)
        return rc;
    take_impacts(&p, 0, p.count, impact);
    for (uint32_t i = 0; i < p.count; i++) {
        if (p.doc == UINT32_MAX || impact[i] == 0 || impact[i] > p.max)
            return -WC_ECORRUPT;
        last = p.doc;
        out[i] = (struct wc_posting){p.doc, impact[i]};
        step(&p);
    }
    return last == p.last ? (int)p.count : -WC_ECORRUPT;
}

/* ---- writing ---- */

/* What the first n of some postings need. */
struct shape {
    uint8_t max, min, gap_bytes, kinds;
    bool seen[256];
    uint32_t gap;
};

static void shape_add(struct shape *s, const struct wc_posting *postings, uint32_t i)
{
    uint8_t impact = postings[i].impact;
    uint32_t gap = i == 0 ? 0 : postings[i].doc - postings[i - 1].doc - 1;
    s->gap = gap > s->gap ? gap : s->gap;
    s->max = impact > s->max ? impact : s->max;
    if (!s->seen[impact] && s->kinds <= TABLE_COUNT)
        s->kinds++;
    s->seen[impact] = true;
    s->gap_bytes = s->gap <= UINT8_MAX ? 1 : s->gap <= UINT16_MAX ? 2 : 4;
}

static enum way way_of(const struct shape *s, uint32_t n)
{
    if (s->kinds == 1)
        return ALL_EQUAL;
    return s->kinds <= TABLE_COUNT && 1u + s->kinds + (n + 1) / 2 < n ? BY_TABLE
                                                                      : BY_BYTE;
}

static size_t size_of(const struct shape *s, uint32_t n)
{
    size_t head = HEAD_BYTES + (n > 1 ? LAST_BYTES : 0);
    size_t gaps = (size_t)(n - 1) * s->gap_bytes;
    switch (way_of(s, n)) {
    case ALL_EQUAL:
        return head + gaps;
    case BY_TABLE:
        return head + gaps + 1 + s->kinds + (n + 1) / 2;
    case BY_BYTE:
        break;
    }
    return head + gaps + n;
}

/* As many as fit: one more never takes less room, but where the table begins to pay,
 * which is long before a value is full. */
static uint32_t fit(const struct wc_posting *postings, uint32_t count,
                    struct shape *out)
{
    struct shape next = {.max = 0};
    uint32_t n = 0;
    while (n < count && n < WC_POSTINGS_MAX) {
        shape_add(&next, postings, n);
        if (size_of(&next, n + 1) > WC_POSTINGS_MAX_BYTES)
            break;
        n++;
    }
    *out = (struct shape){.max = 0};
    for (uint32_t i = 0; i < n; i++)
        shape_add(out, postings, i);
    return n;
}

static uint8_t *write_gaps(uint8_t *at, const struct wc_posting *postings, uint32_t n,
                           uint8_t bytes)
{
    for (uint32_t i = 1; i < n; i++, at += bytes) {
        uint32_t gap = postings[i].doc - postings[i - 1].doc - 1;
        if (bytes == 1)
            *at = (uint8_t)gap;
        else if (bytes == 2)
            wc_put_u16(at, (uint16_t)gap);
        else
            wc_put_u32(at, gap);
    }
    return at;
}

static uint8_t *write_table(uint8_t *at, const struct wc_posting *postings, uint32_t n,
                            const struct shape *s)
{
    uint8_t place[256] = {0};
    *at++ = s->kinds;
    for (unsigned impact = 1, kind = 0; impact < 256; impact++) {
        if (!s->seen[impact])
            continue;
        place[impact] = (uint8_t)kind++;
        *at++ = (uint8_t)impact;
    }
    memset(at, 0, (n + 1) / 2);
    for (uint32_t i = 0; i < n; i++)
        at[i / 2] |= (uint8_t)(place[postings[i].impact] << 4 * (i % 2));
    return at + (n + 1) / 2;
}

uint32_t wc_postings_write(const struct wc_posting *postings, uint32_t count,
                           uint8_t out[WC_POSTINGS_MAX_BYTES], size_t *len)
{
    struct shape s;
    uint32_t n = fit(postings, count, &s);
    enum way way = way_of(&s, n);
    assert(n > 0 && postings[n - 1].doc < WC_DOCS_END && !s.seen[0]);
    out[0] = s.max;
    out[1] = (uint8_t)(s.gap_bytes / 2 | way << 4);
    wc_put_u16(out + 2, (uint16_t)n);
    wc_put_u32(out + 4, postings[0].doc);
    uint8_t *at = out + HEAD_BYTES;
    if (n > 1) {
        wc_put_u32(at, postings[n - 1].doc);
        at += LAST_BYTES;
    }
    at = write_gaps(at, postings, n, s.gap_bytes);
    if (way == BY_TABLE)
        at = write_table(at, postings, n, &s);
    for (uint32_t i = 0; way == BY_BYTE && i < n; i++)
        *at++ = postings[i].impact;
    *len = (size_t)(at - out);
    assert(*len <= WC_POSTINGS_MAX_BYTES);
    return n;
}

uint32_t wc_postings_merge(const struct wc_posting *old, uint32_t old_count,
                           const struct wc_posting *changes, uint32_t change_count,
                           struct wc_posting *out)
{
    uint32_t i = 0, k = 0, n = 0;
    while (i < old_count || k < change_count) {
        if (k == change_count || (i < old_count && old[i].doc < changes[k].doc)) {
            out[n++] = old[i++];
            continue;
        }
        if (i < old_count && old[i].doc == changes[k].doc)
            i++;
        if (changes[k].impact > 0)
            out[n++] = changes[k];
        k++;
    }
    return n;
}
