/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/postings.h"

#include <assert.h>
#include <string.h>

#define HEAD_BYTES  8
#define LAST_BYTES  4
#define TABLE_COUNT 16

#define BITS 3 /* of the layout */

enum way { ALL_EQUAL, BY_TABLE, BY_BYTE };

static size_t bits_bytes(uint32_t first, uint32_t last)
{
    return 8 * (size_t)(last / 64 - first / 64 + 1);
}

/* ---- reading ---- */

/* 64 documents, the earliest in the lowest bit. */
static uint64_t word_at(const struct wc_postings *p, uint32_t doc)
{
    const uint8_t *b = p->gaps + 8 * (size_t)(doc / 64 - p->first / 64);
    return (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 |
           (uint64_t)b[3] << 24 | (uint64_t)b[4] << 32 | (uint64_t)b[5] << 40 |
           (uint64_t)b[6] << 48 | (uint64_t)b[7] << 56;
}

/* The first document from `doc` on; UINT32_MAX: there is none, which is damage, since one is
 * left. */
static uint32_t bit_from(const struct wc_postings *p, uint32_t doc)
{
    if (doc > p->last)
        return UINT32_MAX;
    uint64_t word = word_at(p, doc) >> doc % 64 << doc % 64;
    for (; word == 0; word = word_at(p, doc)) {
        doc = (doc / 64 + 1) * 64;
        if (doc > p->last)
            return UINT32_MAX;
    }
    doc = doc / 64 * 64 + (uint32_t)__builtin_ctzll(word);
    return doc > p->last ? UINT32_MAX : doc;
}

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
    p->gap_bytes = (uint8_t)((v[1] & 0x03) == BITS ? 0 : 1u << (v[1] & 0x03));
    p->way = v[1] >> 4;
    p->count = (uint32_t)v[2] << 8 | v[3];
    p->at = 0;
    p->doc = p->first = p->last = wc_get_u32(v + 4);
    if (p->max == 0 || (v[1] & 0x0F) > BITS || p->way > BY_BYTE || p->count == 0 ||
        p->count > WC_POSTINGS_MAX)
        return -WC_ECORRUPT;
    size_t head = HEAD_BYTES + (p->count > 1 ? LAST_BYTES : 0);
    if (value.len < head)
        return -WC_ECORRUPT;
    if (p->count > 1)
        p->last = wc_get_u32(v + HEAD_BYTES);
    if (p->last < p->doc || p->last - p->doc < p->count - 1 || p->last >= WC_DOCS_END)
        return -WC_ECORRUPT;
    size_t gap_total = p->gap_bytes == 0 ? bits_bytes(p->first, p->last)
                                         : (size_t)(p->count - 1) * p->gap_bytes;
    if (value.len < head + gap_total)
        return -WC_ECORRUPT;
    p->gaps = v + head;
    if (p->gap_bytes == 0 &&
        (bit_from(p, p->first) != p->first || bit_from(p, p->last) != p->last))
        return -WC_ECORRUPT;
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

static uint32_t ones(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555;
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F;
    return (uint32_t)(x * 0x0101010101010101 >> 56);
}

/* How many documents there are from the next one up to `doc`, which is not beyond the last
 * one. */
static uint32_t ones_before(const struct wc_postings *p, uint32_t doc)
{
    uint32_t from = p->doc, n = 0;
    uint64_t word = word_at(p, from) >> from % 64 << from % 64;
    while (from / 64 < doc / 64) {
        n += ones(word);
        from = (from / 64 + 1) * 64;
        word = word_at(p, from);
    }
    return n + ones(word & ((1ULL << doc % 64) - 1));
}

static void skip_bits(struct wc_postings *p, uint32_t doc)
{
    p->at = doc > p->last ? p->count : p->at + ones_before(p, doc);
    if (p->at < p->count)
        p->doc = bit_from(p, doc);
    if (p->at >= p->count && doc <= p->last) { /* the last one was still to come */
        p->at = p->count - 1;
        p->doc = UINT32_MAX;
    }
}

/* The next document becomes the current one. A gap is never so wide that a number wraps
 * around: what is beyond the last one ends the piece. */
static void step(struct wc_postings *p)
{
    if (++p->at == p->count)
        return;
    if (p->gap_bytes == 0) {
        p->doc = bit_from(p, p->doc + 1);
        return;
    }
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
    if (p->gap_bytes == 0 && p->at < p->count && p->doc < doc)
        skip_bits(p, doc);
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
    if (p->gap_bytes == 0 && doc >= p->first && doc <= p->last &&
        (word_at(p, doc) >> doc % 64 & 1) == 0)
        return 0;
    wc_postings_skip(p, doc);
    if (p->at == p->count || p->doc != doc)
        return p->at < p->count && p->doc == UINT32_MAX ? -WC_ECORRUPT : 0;
    if (p->at == p->count - 1 && doc != p->last)
        return -WC_ECORRUPT;
    *impact = impact_at(p, p->at);
    return *impact == 0 ? -WC_ECORRUPT : 1;
}

/* ---- marking ---- */

static void mark_bits(const struct wc_postings *p, uint32_t base, uint32_t end,
                      uint64_t *bits)
{
    uint32_t doc = p->doc, to = end <= p->last ? end : p->last + 1;
    uint64_t word = word_at(p, doc) >> doc % 64 << doc % 64;
    for (; doc / 64 < to / 64; word = word_at(p, doc)) {
        bits[(doc - base) / 64] |= word;
        doc = (doc / 64 + 1) * 64;
        if (doc > p->last)
            return;
    }
    if (to % 64 != 0)
        bits[(doc - base) / 64] |= word & ((1ULL << to % 64) - 1);
}

static int mark_gaps(const struct wc_postings *p, uint32_t base, uint32_t end,
                     uint64_t *bits)
{
    struct wc_postings at = *p;
    while (at.at < at.count && at.doc < end) {
        bits[(at.doc - base) / 64] |= 1ULL << at.doc % 64;
        step(&at);
    }
    return at.at < at.count && at.doc == UINT32_MAX ? -WC_ECORRUPT : 0;
}

int wc_postings_mark(const struct wc_postings *p, uint32_t base, uint32_t end,
                     uint64_t *bits)
{
    if (p->at == p->count || p->doc >= end)
        return p->at < p->count && p->doc == UINT32_MAX ? -WC_ECORRUPT : 0;
    assert(p->doc >= base && base % 64 == 0);
    if (p->gap_bytes == 0) {
        mark_bits(p, base, end, bits);
        return 0;
    }
    if (p->gap_bytes > 1)
        return mark_gaps(p, base, end, bits);
    uint32_t at = p->at, doc = p->doc, last = p->count - 1;
    for (; at <= last && doc < end; at++) {
        bits[(doc - base) / 64] |= 1ULL << doc % 64;
        doc += at < last ? 1u + p->gaps[at] : 1u;
    }
    return at <= last && doc > p->last ? -WC_ECORRUPT : 0;
}

/* ---- taking all of a part ---- */

/* Those of a part of the bits, which are as many as they say unless it is damaged. */
static uint32_t take_bits(struct wc_postings *p, uint32_t base, uint32_t end,
                          uint16_t *low)
{
    uint32_t doc = p->doc, to = end <= p->last ? end : p->last + 1;
    uint32_t n = 0, room = p->count - p->at;
    uint64_t word = word_at(p, doc) >> doc % 64 << doc % 64;
    for (doc &= ~63u; doc < to && n < room;
         word = doc <= p->last ? word_at(p, doc) : 0) {
        if (to - doc < 64)
            word &= (1ULL << (to - doc)) - 1;
        for (; word != 0 && n < room; word &= word - 1)
            low[n++] = (uint16_t)(doc + (uint32_t)__builtin_ctzll(word) - base);
        doc += 64;
    }
    p->at += n;
    p->doc = p->at < p->count ? bit_from(p, to) : p->doc;
    return n;
}

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
    n = p->gap_bytes == 1   ? take_bytes(p, base, end, low)
        : p->gap_bytes == 0 ? take_bits(p, base, end, low)
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

/* The first of the postings from..to that is large enough, or `to`. */
static uint32_t next_large(const struct wc_postings *p, uint32_t from, uint32_t to,
                           uint8_t least, uint8_t bound)
{
    while (from < to) {
        if (from % BLOCK == 0 && from + BLOCK <= to && !any_in_block(p, from, bound))
            from += BLOCK;
        else if (impact_at(p, from) >= least || impact_at(p, from) == 0)
            return from;
        else
            from++;
    }
    return to;
}

/* The same of bits: only the words with such impacts are gone through. */
static int take_largest_bits(struct wc_postings *p, uint32_t base, uint32_t end,
                             uint8_t least, uint16_t *low, uint8_t *impact)
{
    struct wc_postings to = *p;
    uint8_t bound = p->way == BY_TABLE ? place_of(p, least) : least;
    int n = 0;
    skip_bits(&to, end);
    for (uint32_t at = p->at; (at = next_large(p, at, to.at, least, bound)) < to.at;
         at++) {
        uint32_t before = p->at, next = p->doc;
        for (uint64_t word = word_at(p, next) >> next % 64 << next % 64;;) {
            uint32_t here = ones(word);
            if (before + here > at) {
                for (; before < at; before++)
                    word &= word - 1;
                next = next / 64 * 64 + (uint32_t)__builtin_ctzll(word);
                break;
            }
            before += here;
            next = (next / 64 + 1) * 64;
            if (next > p->last)
                return -WC_ECORRUPT;
            word = word_at(p, next);
        }
        uint8_t large = impact_at(p, at);
        if (large == 0 || next >= end)
            return -WC_ECORRUPT;
        low[n] = (uint16_t)(next - base);
        impact[n++] = large;
        p->at = at;
        p->doc = next;
    }
    *p = to;
    return p->at < p->count && p->doc == UINT32_MAX ? -WC_ECORRUPT : n;
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
    if (least > 1 && p->gap_bytes == 0 && p->way != ALL_EQUAL)
        return take_largest_bits(p, base, end, least, low, impact);
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
    uint8_t max, gap_bytes, kinds;
    uint32_t first, last;
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
    s->first = i == 0 ? postings[i].doc : s->first;
    s->last = postings[i].doc;
    s->gap_bytes = s->gap <= UINT8_MAX ? 1 : s->gap <= UINT16_MAX ? 2 : 4;
}

static enum way way_of(const struct shape *s, uint32_t n)
{
    if (s->kinds == 1)
        return ALL_EQUAL;
    return s->kinds <= TABLE_COUNT && 1u + s->kinds + (n + 1) / 2 < n ? BY_TABLE
                                                                      : BY_BYTE;
}

/* Bits are worth their room where documents lie so close together: whole words of them are
 * passed over, and looked into, at once. */
#define BITS_LEAST_COUNT 64
#define BITS_APART       16

static bool as_bits(const struct shape *s, uint32_t n)
{
    return n >= BITS_LEAST_COUNT && s->last - s->first < BITS_APART * n;
}

static size_t size_of(const struct shape *s, uint32_t n)
{
    size_t head = HEAD_BYTES + (n > 1 ? LAST_BYTES : 0);
    size_t gaps =
        as_bits(s, n) ? bits_bytes(s->first, s->last) : (size_t)(n - 1) * s->gap_bytes;
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

/* A piece of so many ends before a gap that would make all of them wider. */
#define NARROW_LEAST_COUNT 128

/* As many as fit: one more never takes less room, but where the table or the bits begin to
 * pay, which is long before a value is full. */
static uint32_t fit(const struct wc_posting *postings, uint32_t count,
                    struct shape *out)
{
    struct shape next = {.max = 0};
    uint32_t n = 0;
    while (n < count && n < WC_POSTINGS_MAX) {
        bool narrow = next.gap_bytes == 1;
        shape_add(&next, postings, n);
        if (narrow && next.gap_bytes > 1 && n >= NARROW_LEAST_COUNT)
            break;
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

static uint8_t *write_bits(uint8_t *at, const struct wc_posting *postings, uint32_t n)
{
    uint32_t base = postings[0].doc / 64 * 64;
    size_t bytes = bits_bytes(postings[0].doc, postings[n - 1].doc);
    memset(at, 0, bytes);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bit = postings[i].doc - base;
        at[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    return at + bytes;
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
    bool bits = as_bits(&s, n);
    out[1] = (uint8_t)((bits ? BITS : s.gap_bytes / 2) | way << 4);
    wc_put_u16(out + 2, (uint16_t)n);
    wc_put_u32(out + 4, postings[0].doc);
    uint8_t *at = out + HEAD_BYTES;
    if (n > 1) {
        wc_put_u32(at, postings[n - 1].doc);
        at += LAST_BYTES;
    }
    at = bits ? write_bits(at, postings, n) : write_gaps(at, postings, n, s.gap_bytes);
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
