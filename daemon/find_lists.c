/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/find_lists.h"

#include "daemon/index_internal.h"

/* ---- one list ---- */

/* Take over the piece where the cursor stands, or end. */
static int list_here(struct wc_list *l, int rc)
{
    l->ended = rc == -WC_ENOTFOUND;
    if (rc != 0)
        return l->ended ? 0 : rc;
    if (l->cursor.key.len != 8)
        return -WC_ECORRUPT;
    l->ended = wc_get_u32(l->cursor.key.data) != l->number;
    if (l->ended)
        return 0;
    l->end = wc_get_u32(l->cursor.key.data + 4);
    l->pieces++;
    rc = wc_postings_open(&l->piece, l->cursor.value);
    return rc == 0 && (l->piece.last > l->end || l->piece.max > l->max) ? -WC_ECORRUPT
                                                                        : rc;
}

static int list_seek(struct wc_list *l, uint32_t doc)
{
    uint8_t key[8];
    wc_put_u32(key, l->number);
    wc_put_u32(key + 4, doc);
    return list_here(l, wc_cursor_seek(&l->cursor, wc_slice(key, sizeof(key))));
}

/* Often the next piece is the one; from further away it is found by its key. */
static int list_on(struct wc_list *l, uint32_t doc)
{
    int rc = 0;
    for (int hops = 0; rc == 0 && !l->ended; hops++) {
        if (l->piece.last >= doc && l->piece.at < l->piece.count)
            return l->piece.doc == UINT32_MAX ? -WC_ECORRUPT : 0;
        if (hops > 0 && l->end < doc)
            rc = list_seek(l, doc);
        else if (l->end == UINT32_MAX) /* that was the last one */
            l->ended = true;
        else
            rc = list_here(l, wc_cursor_next(&l->cursor));
    }
    return rc;
}

int wc_list_to(struct wc_list *l, uint32_t doc)
{
    if (l->ended || (l->piece.last >= doc && l->piece.at < l->piece.count &&
                     l->piece.doc != UINT32_MAX))
        return 0;
    return list_on(l, doc);
}

uint32_t wc_list_next(const struct wc_list *l, uint32_t base)
{
    if (l->ended)
        return WC_DOCS_END;
    return l->piece.doc > base ? l->piece.doc : base;
}

int wc_list_find(struct wc_list *l, uint32_t doc, uint8_t *impact)
{
    int rc = wc_list_to(l, doc);
    return rc != 0 || l->ended ? rc : wc_postings_find(&l->piece, doc, impact);
}

int wc_list_mark(struct wc_list *l, uint32_t base, uint32_t from, uint32_t end,
                 uint64_t *bits)
{
    int rc = wc_list_to(l, from);
    if (rc != 0 || l->ended)
        return rc;
    wc_postings_skip(&l->piece, from);
    return wc_postings_mark(&l->piece, base, end, bits);
}

int wc_list_take(struct wc_list *l, uint32_t base, uint32_t from, uint32_t end,
                 uint8_t least, uint16_t *low, uint8_t *impact)
{
    uint32_t count = 0;
    for (;;) {
        int n = wc_list_to(l, from);
        if (n != 0 || l->ended)
            return n != 0 ? n : (int)count;
        wc_postings_skip(&l->piece, from);
        n = wc_postings_take(&l->piece, base, end, least, low + count, impact + count);
        if (n < 0)
            return n;
        count += (uint32_t)n;
        if (l->piece.at < l->piece.count)
            return (int)count;
        from = l->piece.last + 1; /* pieces do not overlap */
        if (from >= end)
            return (int)count;
    }
}

/* ---- all of them ---- */

static int list_open(struct wc_lists *all, struct wc_txn *t,
                     const struct wc_asked_term *term)
{
    if (term->number == 0)
        return 0;
    struct wc_list *l = &all->items[all->count];
    *l = (struct wc_list){
        .number = term->number, .worth = term->worth, .max = term->max};
    int rc = wc_cursor_open(&l->cursor, t, WC_IX_POST);
    if (rc != 0)
        return rc;
    all->count++;
    return list_seek(l, 0);
}

static int open_terms(struct wc_lists *l, struct wc_txn *t,
                      const struct wc_asked_group *g, bool answering, struct wc_part *p)
{
    int rc = 0;
    for (uint32_t k = 0; rc == 0 && k < g->term_count; k++) {
        const struct wc_asked_term *term = &g->terms[k];
        if ((term->weight >= WC_WEIGHT_ANSWERS) != answering || term->number == 0)
            continue;
        uint64_t most = (uint64_t)term->worth * term->max;
        p->most = most > p->most ? most : p->most;
        p->near_most = !answering && most > p->near_most ? most : p->near_most;
        p->postings += answering ? term->people : 0;
        rc = list_open(l, t, term);
    }
    return rc;
}

static int open_part(struct wc_lists *l, struct wc_txn *t,
                     const struct wc_asked_group *g)
{
    struct wc_part p = {.from = l->count};
    int rc = open_terms(l, t, g, true, &p);
    p.near_from = l->count;
    if (rc == 0)
        rc = open_terms(l, t, g, false, &p);
    p.to = l->count;
    l->postings += p.postings;
    uint32_t at = l->part_count++; /* by insertion: there are few */
    for (; at > 0 && l->parts[at - 1].postings > p.postings; at--)
        l->parts[at] = l->parts[at - 1];
    l->parts[at] = p;
    return rc;
}

/* of_all: its words are those of all groups. */
static int open_phrase(struct wc_lists *l, struct wc_txn *t,
                       const struct wc_asked_phrase *p, bool of_all)
{
    uint32_t from = l->count;
    uint64_t most = (uint64_t)p->term.worth * p->term.max +
                    (uint64_t)p->home_term.worth * p->home_term.max;
    l->phrases_most += most;
    l->some_phrases_most += of_all ? 0 : most;
    int rc = list_open(l, t, &p->term);
    if (rc == 0)
        rc = list_open(l, t, &p->home_term);
    for (uint32_t i = from; i < l->count; i++)
        l->items[i].of_all = of_all;
    return rc;
}

int wc_lists_open(struct wc_lists *l, struct wc_txn *t, const struct wc_question *q)
{
    int rc = 0;
    l->count = l->part_count = 0;
    l->postings = l->phrases_most = l->some_phrases_most = 0;
    for (uint32_t i = 0; rc == 0 && i < q->group_count; i++)
        rc = open_part(l, t, &q->groups[i]);
    l->phrases_from = l->count;
    for (uint32_t i = 0; rc == 0 && i < q->phrase_count; i++)
        rc = open_phrase(l, t, &q->phrases[i],
                         q->phrases[i].groups == (1ULL << q->group_count) - 1);
    return rc;
}

void wc_lists_close(struct wc_lists *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        wc_cursor_close(&l->items[i].cursor);
    l->closed_count = l->count;
    l->count = 0;
}

int wc_lists_rewind(struct wc_lists *l)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < l->count; i++)
        rc = list_seek(&l->items[i], 0);
    return rc;
}

/* ---- bounds ---- */

static void set_bound(struct wc_list *l, uint32_t end)
{
    l->bound = 0;
    if (!l->ended && l->piece.doc < end)
        l->bound = l->worth * (l->end >= end - 1 ? l->piece.max : l->max);
}

static uint64_t bound_of(struct wc_lists *l, uint32_t from, uint32_t to, uint32_t end)
{
    uint64_t most = 0;
    for (uint32_t i = from; i < to; i++) {
        set_bound(&l->items[i], end);
        most = l->items[i].bound > most ? l->items[i].bound : most;
    }
    return most;
}

static int all_to(struct wc_lists *l, uint32_t from)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < l->count; i++)
        rc = wc_list_to(&l->items[i], from);
    return rc;
}

static uint32_t whole_end(const struct wc_lists *l, uint32_t end)
{
    for (uint32_t i = 0; i < l->part_count; i++)
        for (uint32_t k = l->parts[i].from; k < l->parts[i].near_from; k++)
            if (!l->items[k].ended && l->items[k].end < end)
                end = l->items[k].end + 1;
    return end;
}

int wc_lists_bound(struct wc_lists *l, uint32_t from, bool whole, uint32_t *end)
{
    int rc = all_to(l, from);
    if (rc != 0)
        return rc;
    if (whole)
        *end = whole_end(l, *end);
    for (uint32_t i = 0; i < l->part_count; i++) {
        struct wc_part *p = &l->parts[i];
        p->near_bound = bound_of(l, p->near_from, p->to, *end);
        p->bound = bound_of(l, p->from, p->near_from, *end);
        p->bound = p->near_bound > p->bound ? p->near_bound : p->bound;
    }
    l->phrases_bound = l->some_phrases_bound = 0;
    for (uint32_t i = l->phrases_from; i < l->count; i++) {
        set_bound(&l->items[i], *end);
        l->phrases_bound += l->items[i].bound;
        l->some_phrases_bound += l->items[i].of_all ? 0 : l->items[i].bound;
    }
    return 0;
}
