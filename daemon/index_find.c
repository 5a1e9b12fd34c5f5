/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who answers a question (question.h), without a look at everybody. A group is found by
 * any of its terms, the best of which counts:
 *
 *   score of a person = sum over groups of rarity × best (weight × impact)
 *
 * Who matches every group comes before who does not; among the latter, what was missed
 * counts against them by its rarity. So there are two passes. The first looks only at
 * people who are in all groups, the rarest group first; when it finds as many as are
 * wanted, nobody else can be among them. The second looks at the others, in the groups
 * that still suffice for a place (MaxScore, Turtle and Flood 1995). Both go through
 * windows of 4,096 documents, add scores up in a table, and pass over windows and people
 * whose best possible score, by the largest impacts of the pieces of postings there, is
 * below the worst of the best so far. What is passed over is never needed: the result is
 * that of a look at everybody. docs/search.md has the details and the reasons.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/index_internal.h"
#include "daemon/postings.h"
#include "daemon/why.h"

#define WINDOW_DOCS 4096u

/* Up to so many postings are all looked at, and everybody who matches is counted: it takes
 * some microseconds. */
#define COUNT_ALL_POSTINGS 4096

#define LISTS_MAX (WC_ASKED_GROUPS_MAX * WC_ASKED_TERMS_MAX + 2 * WC_ASKED_PHRASES_MAX)

/* The postings of one term, on the way through the windows. */
struct list {
    struct wc_cursor cursor;
    uint32_t number;
    uint32_t end; /* no document of the piece at hand is beyond */
    uint32_t worth;
    uint8_t max;  /* of all pieces */
    bool answers; /* whoever is in it has the word; else they are near it */
    bool ended;
    struct wc_postings piece;
};

/* The lists of one group lie beside each other. */
struct part {
    uint32_t from, to;
    uint32_t found, near;
    uint64_t postings; /* of those that answer */
    uint64_t most;     /* that anybody may have of it */
    bool answers;      /* anybody does */
};

/* The sums of one window. Everything is 0 between two windows. */
struct window {
    uint32_t base, end;
    uint32_t score[WINDOW_DOCS];
    uint32_t found[WINDOW_DOCS];
    uint8_t matched[WINDOW_DOCS];
    uint16_t docs[WINDOW_DOCS + 1]; /* those with a score, and room to write one more */
    uint32_t count;
    /* of the group at hand */
    uint32_t best[WINDOW_DOCS];
    bool answers[WINDOW_DOCS];
    uint16_t group_docs[WINDOW_DOCS + 1];
    /* of the list at hand */
    uint16_t low[WINDOW_DOCS];
    uint8_t impact[WINDOW_DOCS];
};

struct candidate {
    double rank;
    uint32_t doc;
    uint8_t prefix[WC_ATTR_PREFIX_BYTES];
};

/* One search at a time; kept for the next one, since it is large. */
struct wc_searcher {
    struct wc_searcher *next;
    struct wc_index *ix;
    struct wc_text *text;
    struct wc_why *why;
    struct wc_words words; /* of the question */
    struct wc_question_tools tools;
    struct wc_question q;
    struct list lists[LISTS_MAX]; /* of the groups, then of the phrases */
    uint32_t list_count, phrases_from;
    struct part parts[WC_ASKED_GROUPS_MAX]; /* the rarest first */
    uint32_t part_count;
    uint64_t phrases_most;
    bool thorough; /* everybody is looked at */
    struct window window;
    struct candidate *heap; /* the worst of the best is first */
    uint32_t heap_count, heap_cap;
    struct wc_cursor attrs;
    uint32_t attr_block; /* UINT32_MAX: none read */
    const uint8_t *attr;
    const struct wc_index_query *query;
    uint32_t office; /* its number when the query names one */
    uint32_t wanted; /* so many of the best */
    bool filtered;   /* by traits, of which everybody must have at least these */
    uint8_t least[WC_TRAITS_BYTES];
    bool ruled_out; /* somebody who answers, by them: no reason to correct words */
    struct wc_hit *hits;
    struct wc_found *found;
    uint64_t seen; /* people who answer to some word, of those looked at */
    uint64_t near; /* people who are only near */
    bool passed;   /* over somebody who may answer */
    bool retried;  /* words that somebody has were corrected, too */
    int hit_count;
};

/* ---- searchers ---- */

static struct wc_searcher *searcher_new(struct wc_index *ix)
{
    struct wc_searcher *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->ix = ix;
    if (wc_text_new(&s->text, ix->languages) == 0 &&
        wc_why_new(&s->why, ix, s->text) == 0) {
        s->tools = (struct wc_question_tools){
            .text = s->text,
            .words = &s->words,
            .spelling = ix->spelling[WC_SCOPE_ORGANISATION],
            .home_spelling = ix->spelling[WC_SCOPE_HOME],
        };
        return s;
    }
    wc_searchers_free(s);
    return NULL;
}

void wc_searchers_free(struct wc_searcher *list)
{
    while (list != NULL) {
        struct wc_searcher *next = list->next;
        wc_why_free(list->why);
        wc_text_free(list->text);
        wc_question_fini(&list->q);
        free(list->heap);
        free(list);
        list = next;
    }
}

static struct wc_searcher *searcher_take(struct wc_index *ix)
{
    pthread_mutex_lock(&ix->pool);
    struct wc_searcher *s = ix->idle;
    if (s != NULL)
        ix->idle = s->next;
    pthread_mutex_unlock(&ix->pool);
    return s != NULL ? s : searcher_new(ix);
}

static void searcher_give(struct wc_index *ix, struct wc_searcher *s)
{
    pthread_mutex_lock(&ix->pool);
    s->next = ix->idle;
    ix->idle = s;
    pthread_mutex_unlock(&ix->pool);
}

/* ---- posting lists ---- */

/* Take over the piece where the cursor stands, or end. */
static int list_here(struct list *l, int rc)
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
    rc = wc_postings_open(&l->piece, l->cursor.value);
    return rc == 0 && (l->piece.last > l->end || l->piece.max > l->max) ? -WC_ECORRUPT
                                                                        : rc;
}

static int list_seek(struct list *l, uint32_t doc)
{
    uint8_t key[8];
    wc_put_u32(key, l->number);
    wc_put_u32(key + 4, doc);
    return list_here(l, wc_cursor_seek(&l->cursor, wc_slice(key, sizeof(key))));
}

/* Make the piece at hand one that has documents from `doc` on. Often that is the next
 * one; from further away it is found by its key. */
static int list_to(struct list *l, uint32_t doc)
{
    int rc = 0;
    for (int hops = 0; rc == 0 && !l->ended; hops++) {
        if (l->piece.last >= doc && l->piece.at < l->piece.count)
            return l->piece.doc == UINT32_MAX ? -WC_ECORRUPT : 0;
        if (hops == 0 || l->end < doc)
            rc = hops == 0 ? list_here(l, wc_cursor_next(&l->cursor))
                           : list_seek(l, doc);
        else
            rc = list_here(l, wc_cursor_next(&l->cursor));
    }
    return rc;
}

/* No document of the list from `base` on, where it stands, is before. */
static uint32_t list_next(const struct list *l, uint32_t base)
{
    if (l->ended)
        return WC_DOCS_END;
    return l->piece.doc > base ? l->piece.doc : base;
}

/* The largest impact in a window where the list stands. */
static uint8_t list_most(const struct list *l, const struct window *w)
{
    if (l->ended || l->piece.doc >= w->end)
        return 0;
    return l->end >= w->end - 1 ? l->piece.max : l->max;
}

/* The documents of a list in the window, into low and impact. Returns how many. */
static int list_take(struct list *l, struct window *w)
{
    uint32_t from = w->base, count = 0;
    for (;;) {
        int n = list_to(l, from);
        if (n != 0 || l->ended)
            return n != 0 ? n : (int)count;
        wc_postings_skip(&l->piece, from);
        if (l->piece.at < l->piece.count && l->piece.doc >= w->end)
            return l->piece.doc == UINT32_MAX ? -WC_ECORRUPT : (int)count;
        n = wc_postings_take(&l->piece, w->base, w->end, w->low + count,
                             w->impact + count);
        if (n < 0)
            return n;
        count += (uint32_t)n;
        if (l->piece.at < l->piece.count)
            return (int)count;
        from = l->piece.last + 1; /* pieces do not overlap */
        if (from >= w->end)
            return (int)count;
    }
}

static int list_open(struct wc_searcher *s, struct wc_txn *t,
                     const struct wc_asked_term *term)
{
    if (term->number == 0)
        return 0;
    struct list *l = &s->lists[s->list_count];
    *l = (struct list){.number = term->number,
                       .worth = term->worth,
                       .max = term->max,
                       .answers = term->weight >= WC_WEIGHT_ANSWERS};
    int rc = wc_cursor_open(&l->cursor, t, WC_IX_POST);
    if (rc != 0)
        return rc;
    s->list_count++;
    return list_seek(l, 0);
}

/* Those that answer first. */
static int open_group(struct wc_searcher *s, struct wc_txn *t,
                      const struct wc_asked_group *g)
{
    struct part p = {.from = s->list_count, .found = g->found, .near = g->near};
    int rc = 0;
    for (int near = 0; near < 2; near++) {
        for (uint32_t k = 0; rc == 0 && k < g->term_count; k++) {
            const struct wc_asked_term *term = &g->terms[k];
            bool strong = term->weight >= WC_WEIGHT_ANSWERS;
            if (strong == (near == 1) || term->number == 0)
                continue;
            uint64_t most = (uint64_t)term->worth * term->max;
            p.most = most > p.most ? most : p.most;
            p.postings += strong ? term->people : 0;
            p.answers |= strong;
            rc = list_open(s, t, term);
        }
    }
    p.to = s->list_count;
    uint32_t at = s->part_count++; /* by insertion: there are few */
    for (; at > 0 && s->parts[at - 1].postings > p.postings; at--)
        s->parts[at] = s->parts[at - 1];
    s->parts[at] = p;
    return rc;
}

static int open_phrase(struct wc_searcher *s, struct wc_txn *t,
                       const struct wc_asked_phrase *p)
{
    s->phrases_most += (uint64_t)p->term.worth * p->term.max +
                       (uint64_t)p->home_term.worth * p->home_term.max;
    int rc = list_open(s, t, &p->term);
    return rc == 0 ? list_open(s, t, &p->home_term) : rc;
}

static int open_lists(struct wc_searcher *s, struct wc_txn *t)
{
    struct wc_question *q = &s->q;
    uint64_t postings = 0;
    int rc = 0;
    s->list_count = s->part_count = 0;
    s->phrases_most = 0;
    for (uint32_t i = 0; rc == 0 && i < q->group_count; i++)
        rc = open_group(s, t, &q->groups[i]);
    for (uint32_t i = 0; i < s->part_count; i++)
        postings += s->parts[i].postings;
    s->thorough = postings <= COUNT_ALL_POSTINGS || s->wanted == 0;
    s->phrases_from = s->list_count;
    for (uint32_t i = 0; rc == 0 && i < q->phrase_count; i++)
        rc = open_phrase(s, t, &q->phrases[i]);
    return rc;
}

static void close_lists(struct wc_searcher *s)
{
    for (uint32_t i = 0; i < s->list_count; i++)
        wc_cursor_close(&s->lists[i].cursor);
    s->list_count = 0;
}

static int rewind_lists(struct wc_searcher *s)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->list_count; i++)
        rc = list_seek(&s->lists[i], 0);
    return rc;
}

/* ---- the best so far ---- */

static int read_attr(struct wc_searcher *s, uint32_t doc)
{
    uint8_t key[4];
    uint32_t block = doc / WC_ATTR_DOCS;
    if (s->attr_block == block)
        return 0;
    wc_put_u32(key, block);
    int rc = wc_cursor_seek(&s->attrs, wc_slice(key, sizeof(key)));
    if (rc == -WC_ENOTFOUND ||
        (rc == 0 && (!wc_slice_eq(s->attrs.key, wc_slice(key, sizeof(key))) ||
                     s->attrs.value.len != WC_ATTR_BLOCK_BYTES)))
        return -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    s->attr_block = block;
    s->attr = s->attrs.value.data;
    return 0;
}

static const uint8_t *attr_of(const struct wc_searcher *s, uint32_t doc)
{
    return s->attr + (size_t)(doc % WC_ATTR_DOCS) * WC_ATTR_BYTES;
}

static int read_doc(struct wc_txn *t, uint32_t doc, struct wc_person_ref *who)
{
    uint8_t key[4];
    struct wc_slice v;
    struct wc_doc_value d;
    wc_put_u32(key, doc);
    int rc = wc_txn_get(t, WC_IX_DOC, wc_slice(key, sizeof(key)), &v);
    if (rc == -WC_ENOTFOUND)
        return -WC_ECORRUPT;
    if (rc == 0)
        rc = wc_doc_value(v, &d);
    if (rc == 0)
        *who = d.who;
    return rc;
}

/* <0 when a comes before b. The beginning of a login nearly always decides a tie; only
 * when it does not are the documents read. */
static int compare(struct wc_txn *t, const struct candidate *a,
                   const struct candidate *b)
{
    struct wc_person_ref x, y;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    int order = memcmp(a->prefix, b->prefix, WC_ATTR_PREFIX_BYTES);
    if (order != 0 || a->doc == b->doc)
        return order;
    if (read_doc(t, a->doc, &x) != 0 || read_doc(t, b->doc, &y) != 0)
        return a->doc < b->doc ? -1 : 1; /* the caller meets the damage later */
    order = strcmp(x.subject, y.subject);
    return order != 0 ? order : memcmp(x.office_key, y.office_key, WC_KEY_BYTES);
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate c = *a;
    *a = *b;
    *b = c;
}

static void sift_down(struct wc_searcher *s, struct wc_txn *t)
{
    struct candidate *h = s->heap;
    for (uint32_t i = 0, worst;; i = worst) {
        worst = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < s->heap_count && compare(t, &h[child], &h[worst]) > 0)
                worst = child;
        if (worst == i)
            return;
        swap(&h[i], &h[worst]);
    }
}

static void offer(struct wc_searcher *s, struct wc_txn *t, const struct candidate *c)
{
    struct candidate *h = s->heap;
    if (s->heap_count == s->wanted) {
        if (s->heap_count == 0 || compare(t, c, &h[0]) > 0)
            return;
        h[0] = *c;
        sift_down(s, t);
        return;
    }
    h[s->heap_count] = *c;
    for (uint32_t i = s->heap_count++; i > 0; i = (i - 1) / 2) {
        if (compare(t, &h[i], &h[(i - 1) / 2]) <= 0)
            break;
        swap(&h[i], &h[(i - 1) / 2]);
    }
}

/* ---- ranks ---- */

/* 2 and more: matches every group; less: what is missing counts by its rarity. 1 (or
 * 2 + 1) is what an expert in every word has. Below 0: is only near. */
static double rank_of_all(const struct wc_searcher *s, uint64_t score)
{
    return 2.0 + (double)score * s->q.share;
}

static double rank_of_some(const struct wc_searcher *s, uint64_t score, uint64_t found)
{
    return (double)score * s->q.share * sqrt((double)found / s->q.found);
}

static double rank_of_near(const struct wc_searcher *s, uint64_t score, uint64_t found)
{
    return -1.0 / (1.0 + rank_of_some(s, score, found));
}

/* For people: up to 1, from 0.95 an expert in every word; below a half some word was not
 * found. Always larger for the larger rank: other offices' people are sorted in by it. */
static double score_of(double rank)
{
    if (rank < 0)
        return 0.001 * (1.0 + rank);
    double x = rank >= 2.0 ? rank - 2.0 : rank;
    return (rank >= 2.0 ? 0.5 : 0.0) + 0.5 * (x < 1.0 ? 0.9 * x : 1.0 - 0.1 / x);
}

/* Whether somebody with this rank may be among the best. An equal one may, by login. */
static bool contends(const struct wc_searcher *s, double rank)
{
    return s->heap_count < s->wanted || (s->heap_count > 0 && rank >= s->heap[0].rank);
}

/* Whether what can only have a lower rank than this need not be looked at. */
static bool suffices(const struct wc_searcher *s, double rank)
{
    return s->thorough || contends(s, rank);
}

/* Whether somebody whose attributes were read is not ruled out by them. */
static bool may_pass(const struct wc_searcher *s, uint32_t doc)
{
    const uint8_t *attr = attr_of(s, doc);
    if (s->query->office_key != NULL && wc_get_u32(attr) != s->office)
        return false;
    const uint8_t *traits = attr + WC_ATTR_TRAITS + (s->q.home ? WC_TRAITS_BYTES : 0);
    return !s->filtered || wc_traits_suffice(traits, s->least);
}

static int consider(struct wc_searcher *s, struct wc_txn *t, uint16_t low, double rank)
{
    struct candidate c = {.rank = rank, .doc = s->window.base + low};
    bool wanted = contends(s, rank);
    if (wanted || s->query->office_key != NULL || s->filtered) {
        int rc = read_attr(s, c.doc);
        if (rc != 0)
            return rc;
        if (!may_pass(s, c.doc)) {
            s->ruled_out = s->filtered;
            return 0;
        }
        memcpy(c.prefix, attr_of(s, c.doc) + 4, WC_ATTR_PREFIX_BYTES);
    }
    *(rank < 0 ? &s->near : &s->seen) += 1;
    if (wanted)
        offer(s, t, &c);
    return 0;
}

/* ---- windows ---- */

static void window_begin(struct window *w, uint32_t doc)
{
    w->base = doc & ~(WINDOW_DOCS - 1);
    w->end = w->base + WINDOW_DOCS;
    w->count = 0;
}

static void window_end(struct window *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        uint16_t low = w->docs[i];
        w->score[low] = w->found[low] = 0;
        w->matched[low] = 0;
    }
    w->count = 0;
}

/* The most that a group can give to anybody in the window. */
static uint64_t part_most(const struct wc_searcher *s, const struct part *p)
{
    uint64_t most = 0;
    for (uint32_t i = p->from; i < p->to; i++) {
        const struct list *l = &s->lists[i];
        uint64_t x = (uint64_t)l->worth * list_most(l, &s->window);
        most = x > most ? x : most;
    }
    return most;
}

/* The first document from `base` on that anybody who answers to the group may have. */
static int part_next(struct wc_searcher *s, const struct part *p, uint32_t base,
                     uint32_t *out)
{
    *out = WC_DOCS_END;
    for (uint32_t i = p->from; i < p->to && s->lists[i].answers; i++) {
        int rc = list_to(&s->lists[i], base);
        if (rc != 0)
            return rc;
        uint32_t next = list_next(&s->lists[i], base);
        *out = next < *out ? next : *out;
    }
    return 0;
}

/* Give the people of the window who are in `docs` what they have of the phrases: whoever
 * has a phrase has its words too. */
static int add_phrases(struct wc_searcher *s)
{
    struct window *w = &s->window;
    for (uint32_t i = s->phrases_from; i < s->list_count; i++) {
        int n = list_take(&s->lists[i], w);
        if (n < 0)
            return n;
        for (int k = 0; k < n; k++)
            if (w->score[w->low[k]] != 0)
                w->score[w->low[k]] += s->lists[i].worth * w->impact[k];
    }
    return 0;
}

/* ---- the first pass: everybody who is in all groups ---- */

/* The best of the lists from..to for each person who is still looked at, into best. */
static int best_of(struct wc_searcher *s, uint32_t from, uint32_t to)
{
    struct window *w = &s->window;
    for (uint32_t i = from; i < to; i++) {
        uint32_t worth = s->lists[i].worth;
        int n = list_take(&s->lists[i], w);
        if (n < 0)
            return n;
        for (int k = 0; k < n; k++) { /* without a branch: it is hot */
            uint32_t x = worth * w->impact[k], *best = &w->best[w->low[k]];
            x &= 0U - (uint32_t)(w->score[w->low[k]] != 0);
            *best = x > *best ? x : *best;
        }
    }
    return 0;
}

/* The people of the first group, who are the first to be looked at. */
static int first_docs(struct wc_searcher *s, uint32_t from, uint32_t to)
{
    struct window *w = &s->window;
    for (uint32_t i = from; i < to; i++) {
        uint32_t worth = s->lists[i].worth;
        int n = list_take(&s->lists[i], w);
        if (n < 0)
            return n;
        for (int k = 0; k < n; k++) {
            uint32_t x = worth * w->impact[k], *best = &w->best[w->low[k]];
            w->docs[w->count] = w->low[k];
            w->count += *best == 0;
            *best = x > *best ? x : *best;
        }
    }
    return 0;
}

static uint32_t answers_to(const struct wc_searcher *s, const struct part *p)
{
    uint32_t to = p->from;
    while (to < p->to && s->lists[to].answers)
        to++;
    return to;
}

/* Whoever is only near a group may still have more of it by that. */
static int raise_by_near(struct wc_searcher *s, uint32_t from, uint32_t to)
{
    struct window *w = &s->window;
    for (uint32_t i = from; i < to; i++) {
        int n = list_take(&s->lists[i], w);
        if (n < 0)
            return n;
        for (int k = 0; k < n; k++) {
            uint32_t x = s->lists[i].worth * w->impact[k], *best = &w->best[w->low[k]];
            if (*best != 0 && x > *best)
                *best = x;
        }
    }
    return 0;
}

/* Keep those who have the group at hand, and can still come among the best with `rest` of
 * the groups to come. */
static void keep_docs(struct wc_searcher *s, uint64_t rest)
{
    struct window *w = &s->window;
    uint32_t kept = 0;
    bool all = s->thorough || s->heap_count < s->wanted;
    for (uint32_t i = 0; i < w->count; i++) {
        uint16_t low = w->docs[i];
        uint32_t score = w->best[low] == 0 ? 0 : w->score[low] + w->best[low];
        bool keep = score != 0;
        if (keep && !all && !contends(s, rank_of_all(s, score + rest))) {
            keep = false;
            s->passed = true;
        }
        w->score[low] = keep ? score : 0;
        w->best[low] = 0;
        w->docs[kept] = low;
        kept += keep;
    }
    w->count = kept;
}

static int add_part(struct wc_searcher *s, const struct part *p, bool first,
                    uint64_t rest)
{
    uint32_t strong = answers_to(s, p);
    int rc = first ? first_docs(s, p->from, strong) : best_of(s, p->from, strong);
    if (rc == 0)
        rc = raise_by_near(s, strong, p->to);
    if (rc == 0)
        keep_docs(s, rest);
    return rc;
}

static int window_of_all(struct wc_searcher *s, struct wc_txn *t)
{
    struct window *w = &s->window;
    uint64_t most[WC_ASKED_GROUPS_MAX], rest = s->phrases_most;
    int rc = 0;
    for (uint32_t i = 0; i < s->part_count; i++) {
        for (uint32_t k = answers_to(s, &s->parts[i]); rc == 0 && k < s->parts[i].to;
             k++)
            rc = list_to(&s->lists[k], w->base);
        rest += most[i] = part_most(s, &s->parts[i]);
    }
    if (rc != 0)
        return rc;
    if (!suffices(s, rank_of_all(s, rest))) {
        s->passed = true;
        return 0;
    }
    for (uint32_t i = 0; rc == 0 && i < s->part_count && (i == 0 || w->count > 0);
         i++) {
        rest -= most[i];
        rc = add_part(s, &s->parts[i], i == 0, rest);
    }
    if (rc == 0 && w->count > 0)
        rc = add_phrases(s);
    for (uint32_t i = 0; rc == 0 && i < w->count; i++)
        rc = consider(s, t, w->docs[i], rank_of_all(s, w->score[w->docs[i]]));
    return rc;
}

/* The first window from `doc` on that may have people of all groups. */
static int next_of_all(struct wc_searcher *s, uint32_t *doc)
{
    for (uint32_t i = 0; i < s->part_count && *doc < WC_DOCS_END;) {
        uint32_t next;
        int rc = part_next(s, &s->parts[i], *doc, &next);
        if (rc != 0)
            return rc;
        next = next >= WC_DOCS_END ? WC_DOCS_END : next & ~(WINDOW_DOCS - 1);
        i = next > *doc && i > 0 ? 0 : i + 1; /* begin again from there */
        *doc = next > *doc ? next : *doc;
    }
    return 0;
}

static int pass_of_all(struct wc_searcher *s, struct wc_txn *t)
{
    for (uint32_t i = 0; i < s->part_count; i++)
        if (!s->parts[i].answers)
            return 0; /* nobody has that word */
    for (uint32_t doc = 0;; doc = s->window.end) {
        int rc = next_of_all(s, &doc);
        if (rc != 0 || doc >= WC_DOCS_END)
            return rc;
        window_begin(&s->window, doc);
        rc = window_of_all(s, t);
        if (rc != 0)
            return rc;
        window_end(&s->window);
    }
}

/* ---- the second pass: who is in some groups ---- */

/* All lists of a group, into score, found and matched. */
static int add_some(struct wc_searcher *s, const struct part *p, bool fresh)
{
    struct window *w = &s->window;
    uint32_t count = 0;
    for (uint32_t i = p->from; i < p->to; i++) {
        uint32_t worth = s->lists[i].worth;
        bool answers = s->lists[i].answers;
        int n = list_take(&s->lists[i], w);
        if (n < 0)
            return n;
        for (int k = 0; k < n; k++) {
            uint32_t x = worth * w->impact[k], *best = &w->best[w->low[k]];
            w->group_docs[count] = w->low[k];
            count += *best == 0;
            *best = x > *best ? x : *best;
            w->answers[w->low[k]] |= answers;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint16_t low = w->group_docs[i];
        if (w->score[low] == 0 && fresh)
            w->docs[w->count++] = low;
        if (w->score[low] != 0 || fresh) {
            w->score[low] += w->best[low];
            w->found[low] += w->answers[low] ? p->found : p->near;
            w->matched[low] += w->answers[low];
        }
        w->best[low] = 0;
        w->answers[low] = false;
    }
    return 0;
}

/* Whether anybody in the window may still come among the best with what others give. */
static bool anybody(struct wc_searcher *s, uint64_t most, uint64_t found)
{
    const struct window *w = &s->window;
    for (uint32_t i = 0; i < w->count; i++)
        if (suffices(s, rank_of_some(s, w->score[w->docs[i]] + most,
                                     w->found[w->docs[i]] + found)))
            return true;
    return false;
}

static int rank_some(struct wc_searcher *s, struct wc_txn *t, bool near)
{
    struct window *w = &s->window;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < w->count; i++) {
        uint16_t low = w->docs[i];
        uint32_t score = w->score[low], found = w->found[low];
        if (near && w->matched[low] == 0)
            rc = consider(s, t, low, rank_of_near(s, score, found));
        if (!near && w->matched[low] > 0 && w->matched[low] < s->q.group_count)
            rc = consider(s, t, low, rank_of_some(s, score, found));
    }
    return rc;
}

/* The groups before `enough` are those that people are looked for in: what all others
 * together can give suffices for nobody. */
static int window_of_some(struct wc_searcher *s, struct wc_txn *t, uint32_t enough,
                          bool near)
{
    uint64_t most = s->phrases_most, found = 0;
    int rc = 0;
    for (uint32_t i = 0; i < s->part_count; i++) {
        const struct part *p = &s->parts[i];
        for (uint32_t k = p->from; rc == 0 && k < p->to; k++)
            rc = list_to(&s->lists[k], s->window.base);
        uint64_t part = rc == 0 ? part_most(s, p) : 0;
        most += part;
        found += part > 0 ? p->found : 0;
    }
    if (rc != 0)
        return rc;
    if (!near && !suffices(s, rank_of_some(s, most, found))) {
        s->passed = true;
        return 0;
    }
    most = s->phrases_most;
    found = 0;
    for (uint32_t i = enough; i < s->part_count; i++) {
        uint64_t part = part_most(s, &s->parts[i]);
        most += part;
        found += part > 0 ? s->parts[i].found : 0;
    }
    for (uint32_t i = 0; rc == 0 && i < enough; i++)
        rc = add_some(s, &s->parts[i], true);
    if (rc == 0 && !near && !anybody(s, most, found)) {
        s->passed = true;
        return 0;
    }
    for (uint32_t i = enough; rc == 0 && i < s->part_count; i++)
        rc = add_some(s, &s->parts[i], false);
    if (rc == 0 && s->window.count > 0)
        rc = add_phrases(s);
    return rc == 0 ? rank_some(s, t, near) : rc;
}

static uint32_t enough_of(const struct wc_searcher *s)
{
    uint64_t most = s->phrases_most, found = 0;
    uint32_t enough = s->part_count;
    while (enough > 0) {
        most += s->parts[enough - 1].most;
        found += s->parts[enough - 1].found;
        if (suffices(s, rank_of_some(s, most, found)))
            break;
        enough--;
    }
    return enough;
}

/* The first document from `doc` on of the groups before `enough`, near ones too. */
static int next_of_some(struct wc_searcher *s, uint32_t enough, uint32_t *doc)
{
    uint32_t first = WC_DOCS_END;
    for (uint32_t i = 0; i < enough; i++) {
        for (uint32_t k = s->parts[i].from; k < s->parts[i].to; k++) {
            int rc = list_to(&s->lists[k], *doc);
            if (rc != 0)
                return rc;
            uint32_t next = list_next(&s->lists[k], *doc);
            first = next < first ? next : first;
        }
    }
    *doc = first;
    return 0;
}

/* near: those who answer to no word, but whose concepts lie near; nobody is passed over. */
static int pass_of_some(struct wc_searcher *s, struct wc_txn *t, bool near)
{
    int rc = rewind_lists(s);
    for (uint32_t doc = 0; rc == 0; doc = s->window.end) {
        uint32_t enough = near ? s->part_count : enough_of(s);
        if (enough < s->part_count)
            s->passed = true;
        rc = next_of_some(s, enough, &doc);
        if (rc != 0 || doc >= WC_DOCS_END)
            return rc;
        window_begin(&s->window, doc);
        rc = window_of_some(s, t, enough, near);
        if (rc == 0)
            window_end(&s->window);
    }
    return rc;
}

/* ---- the search ---- */

static int find_office(struct wc_searcher *s, struct wc_txn *t)
{
    struct wc_slice v;
    int rc =
        wc_txn_get(t, WC_IX_OFFICE, wc_slice(s->query->office_key, WC_KEY_BYTES), &v);
    if (rc == 0 && v.len < 4)
        return -WC_ECORRUPT;
    if (rc == 0)
        s->office = wc_get_u32(v.data);
    return rc;
}

static int visit(struct wc_searcher *s, struct wc_txn *t)
{
    int rc = pass_of_all(s, t);
    bool full = s->heap_count == s->wanted && s->heap_count > 0;
    if (rc == 0 && s->part_count > 1) {
        if (s->thorough || !full)
            rc = pass_of_some(s, t, false);
        else
            s->passed = true;
    }
    if (rc == 0 && s->seen == 0 && s->query->near_too)
        rc = pass_of_some(s, t, true);
    if (rc != 0) /* it may have been left half added */
        memset(&s->window, 0, sizeof(s->window));
    return rc;
}

/* How many match, where not all were looked at: at least as many as have one of the
 * words, in all offices. */
static void count_people(struct wc_searcher *s)
{
    uint64_t having = 0;
    for (uint32_t i = 0; i < s->q.group_count; i++) {
        const struct wc_asked_group *g = &s->q.groups[i];
        for (uint32_t k = 0; k < g->term_count; k++)
            if (g->terms[k].weight >= WC_WEIGHT_ANSWERS && g->terms[k].people > having)
                having = g->terms[k].people;
    }
    s->found->total = s->seen > 0 ? s->seen : s->near;
    s->found->exact = !s->passed;
    if (s->passed && s->query->office_key == NULL && !s->filtered &&
        having > s->found->total)
        s->found->total = having;
}

/* The heap, best first, as hits without reasons. */
static int drain(struct wc_searcher *s, struct wc_txn *t)
{
    s->hit_count = (int)s->heap_count;
    while (s->heap_count > 0) {
        struct wc_hit *hit = &s->hits[s->heap_count - 1];
        hit->score = score_of(s->heap[0].rank);
        hit->why_count = 0;
        int rc = read_doc(t, s->heap[0].doc, &hit->who);
        if (rc != 0)
            return rc;
        s->heap[0] = s->heap[--s->heap_count];
        sift_down(s, t);
    }
    return 0;
}

static int search(struct wc_searcher *s, struct wc_txn *t)
{
    int rc = open_lists(s, t);
    if (rc == 0)
        rc = visit(s, t);
    close_lists(s);
    return rc;
}

/* Nobody at all, though somebody has the words: perhaps others were meant. */
static int search_again(struct wc_searcher *s, struct wc_txn *t, uint64_t people)
{
    bool changed;
    int rc = wc_question_retry(&s->q, &s->tools, t, people, &changed);
    s->retried = rc == 0 && changed;
    return s->retried ? search(s, t) : rc;
}

static int search_fn(struct wc_txn *t, void *ctx)
{
    struct wc_searcher *s = ctx;
    uint64_t people;
    s->heap_count = 0;
    s->seen = s->near = 0;
    s->passed = s->ruled_out = false;
    s->attr_block = UINT32_MAX;
    s->attrs.handle = NULL;
    int rc = wc_index_usable(s->ix);
    if (rc == 0)
        rc = wc_txn_count(t, WC_IX_PERSON, &people);
    if (rc == 0 && s->query->office_key != NULL)
        rc = find_office(s, t);
    if (rc == -WC_ENOTFOUND)
        return 0; /* nobody of that office */
    if (rc == 0)
        rc = wc_question_look_up(&s->q, &s->tools, t, people);
    if (rc == 0)
        rc = wc_cursor_open(&s->attrs, t, WC_IX_ATTR);
    if (rc == 0)
        rc = search(s, t);
    if (rc == 0 && s->seen == 0 && s->near == 0 && !s->ruled_out && s->query->near_too)
        rc = search_again(s, t, people);
    if (rc == 0)
        count_people(s);
    if (rc == 0)
        rc = drain(s, t);
    wc_cursor_close(&s->attrs);
    return rc;
}

/* ---- reasons ---- */

static int explain_all(struct wc_searcher *s)
{
    int kept = 0;
    wc_why_begin(s->why, &s->q, s->query->home);
    for (int i = 0; i < s->hit_count; i++) {
        bool here;
        int rc = wc_why_hit(s->why, &s->hits[i], &here);
        if (rc != 0)
            return rc;
        if (here && kept != i)
            s->hits[kept] = s->hits[i];
        kept += here;
        s->found->total -= !here && s->found->total > 0;
    }
    s->hit_count = kept;
    return 0;
}

/* ---- the question from outside ---- */

static int reserve_heap(struct wc_searcher *s, uint32_t limit)
{
    if (limit <= s->heap_cap)
        return 0;
    struct candidate *heap = realloc(s->heap, limit * sizeof(*heap));
    if (heap == NULL)
        return -WC_ENOMEM;
    s->heap = heap;
    s->heap_cap = limit;
    return 0;
}

static void copy_text(const struct wc_question *q, uint32_t at, uint32_t len,
                      char out[WC_CORRECTED_TEXT_BYTES])
{
    wc_slice_copy(wc_slice(q->text.data + at, len), out, WC_CORRECTED_TEXT_BYTES);
}

static void report_corrections(const struct wc_searcher *s, struct wc_corrections *out)
{
    const struct wc_question *q = &s->q;
    out->count = 0;
    out->work = q->work;
    for (uint32_t i = 0; s->hit_count > 0 && i < q->correction_count; i++) {
        const struct wc_asked_correction *c = &q->corrections[i];
        if (!c->found || (!c->needed && !s->retried))
            continue;
        copy_text(q, c->from_at, c->from_len, out->items[out->count].from);
        copy_text(q, c->to_at, c->to_len, out->items[out->count].to);
        out->count++;
    }
}

/* Find the best `wanted` into s->hits. */
static int search_for(struct wc_searcher *s, uint32_t wanted)
{
    s->wanted = wanted;
    s->retried = false;
    s->found->field = "query";
    int rc = wc_question_read(&s->q, &s->tools, s->query->text);
    if (rc == 0)
        rc = reserve_heap(s, wanted);
    if (rc == 0)
        rc = wc_index_note(s->ix, wc_store_read(s->ix->store, search_fn, s));
    return rc;
}

/* ---- filters ---- */

/* Of so many people, the best ones whose traits suffice, the whole profile is looked at:
 * some tenths of a millisecond for ten of them, some tens for all. */
#define LOOKS_MAX 1000

/* Traits leave few to be left out by a closer look, but for what is about the skill that
 * answers. */
static uint32_t first_looks(const struct wc_index_query *q)
{
    return wc_filter_skills(&q->filter) ? 8 * q->limit + 32 : q->limit + 16;
}

/* Those of the hits that pass, at most as many as are asked for, into out. */
static int keep_passing(struct wc_searcher *s, struct wc_hit *out, bool *all)
{
    uint32_t kept = 0;
    int i = 0;
    wc_why_begin(s->why, &s->q, s->query->home);
    for (; i < s->hit_count && kept < s->query->limit; i++) {
        bool passes;
        int rc = wc_why_passes(s->why, &s->hits[i].who, &s->query->filter, &passes);
        if (rc != 0)
            return rc;
        if (passes)
            out[kept++] = s->hits[i];
    }
    *all = i == s->hit_count;
    s->hit_count = (int)kept;
    return 0;
}

/* Look closer at the best, and at more of them when too few of those pass. */
static int search_filtered(struct wc_searcher *s)
{
    struct wc_hit *out = s->hits;
    uint32_t looks = first_looks(s->query);
    for (;; looks = LOOKS_MAX) {
        bool all = true;
        looks = looks < LOOKS_MAX ? looks : LOOKS_MAX;
        s->hits = calloc(looks, sizeof(*s->hits));
        int rc = s->hits == NULL
                     ? -WC_ENOMEM
                     : wc_filter_traits(&s->query->filter, s->text, s->least);
        if (rc == 0)
            rc = search_for(s, looks);
        bool more = s->hit_count == (int)looks; /* whom nobody looked at */
        if (rc == 0)
            rc = keep_passing(s, out, &all);
        free(s->hits);
        s->hits = out;
        if (rc == 0 && more && all && looks < LOOKS_MAX &&
            s->hit_count < (int)s->query->limit)
            continue;
        s->found->total = (uint64_t)s->hit_count;
        s->found->exact = all && !more && !s->passed;
        return rc;
    }
}

int wc_index_find(struct wc_index *ix, const struct wc_index_query *query,
                  struct wc_hit *hits, struct wc_found *found)
{
    *found = (struct wc_found){.exact = true};
    if (query->corrected != NULL)
        query->corrected->count = 0;
    if (query->limit > WC_FIND_LIMIT_MAX)
        return -WC_EINVALID;
    struct wc_searcher *s = searcher_take(ix);
    if (s == NULL)
        return -WC_ENOMEM;
    s->query = query;
    s->hits = hits;
    s->found = found;
    s->hit_count = 0;
    s->q.home = query->home && ix->has_home;
    s->filtered = wc_filter_is_set(&query->filter);
    const struct wc_vocabulary *v = wc_index_vocabulary(ix);
    s->tools.vocabulary = v;
    int rc = wc_filter_check(&query->filter, s->text, &found->field);
    if (rc == 0)
        rc = s->filtered ? search_filtered(s) : search_for(s, query->limit);
    if (rc == 0 && !query->without_why)
        rc = explain_all(s);
    if (rc == 0 && query->corrected != NULL)
        report_corrections(s, query->corrected);
    rc = rc == 0 ? s->hit_count : rc;
    wc_vocabulary_free(v);
    searcher_give(ix, s);
    return rc;
}
