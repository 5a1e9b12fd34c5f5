/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who answers a question (question.h): a group is found by any of its terms, the best of
 * which counts. Documents are visited block by block, 512 at a time, and each block's
 * scores are added up in a table, so that the cost is that of the postings read.
 *
 *   score of a person = sum over groups of rarity × best (weight × impact)
 *
 * Who matches every group comes before who does not; among the latter, what was missed
 * counts against them by its rarity. docs/search.md has the details and the reasons.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/index_internal.h"
#include "daemon/postings.h"
#include "daemon/why.h"

#define LISTS_MAX (WC_ASKED_GROUPS_MAX * WC_ASKED_TERMS_MAX + 2 * WC_ASKED_PHRASES_MAX)

#define NEAR_FOUND 0.3F /* of a word's rarity counts as found for being near it */
/* For a whole name ("content design"): three quarters of its words' worth on top. */
#define WEIGHT_PHRASE 0.75F

/* A posting list on its way through the blocks. */
struct list {
    struct wc_cursor cursor;
    uint32_t number, block;
    uint32_t group; /* or WC_ASKED_GROUPS_MAX + phrase */
    float weight;
    bool ended;
};

/* The sums of one block. */
struct block {
    float score[WC_POSTINGS_DOCS]; /* above 0 once touched */
    float found[WC_POSTINGS_DOCS]; /* rarity of the groups that matched */
    uint8_t matched[WC_POSTINGS_DOCS];
    float best[WC_POSTINGS_DOCS];       /* of the group at hand */
    bool answers[WC_POSTINGS_DOCS];     /* the group at hand, by more than nearness */
    uint16_t touched[WC_POSTINGS_DOCS]; /* by any group */
    uint32_t touched_count;
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
    struct wc_question q;
    struct list lists[LISTS_MAX];
    uint32_t list_count;
    struct block block;
    struct candidate *heap; /* the worst of the best is first */
    uint32_t heap_count, heap_cap;
    struct wc_cursor attrs;
    uint32_t attr_block; /* UINT32_MAX: none read */
    const uint8_t *attr;
    const struct wc_index_query *query;
    uint32_t office; /* its number when the query names one */
    struct wc_hit *hits;
    uint64_t total; /* people who answer to some word */
    uint64_t near;  /* people who are only near */
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
        wc_why_new(&s->why, ix, s->text) == 0)
        return s;
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

/* Take over where the cursor stands, or end. */
static int list_here(struct list *l, int rc)
{
    l->ended = rc == -WC_ENOTFOUND;
    if (rc != 0)
        return l->ended ? 0 : rc;
    if (l->cursor.key.len != 8)
        return -WC_ECORRUPT;
    l->ended = wc_get_u32(l->cursor.key.data) != l->number;
    l->block = wc_get_u32(l->cursor.key.data + 4);
    return 0;
}

static int list_open(struct wc_searcher *s, struct wc_txn *t,
                     const struct wc_asked_term *term, uint32_t group, float weight)
{
    uint8_t key[8] = {0};
    if (term->number == 0)
        return 0;
    struct list *l = &s->lists[s->list_count];
    *l = (struct list){.number = term->number, .group = group, .weight = weight};
    int rc = wc_cursor_open(&l->cursor, t, WC_IX_POST);
    if (rc != 0)
        return rc;
    s->list_count++;
    wc_put_u32(key, term->number);
    return list_here(l, wc_cursor_seek(&l->cursor, wc_slice(key, sizeof(key))));
}

static int open_phrase(struct wc_searcher *s, struct wc_txn *t, uint32_t i)
{
    const struct wc_asked_phrase *p = &s->q.phrases[i];
    float weight = WEIGHT_PHRASE * p->rarity / 255.0F;
    int rc = list_open(s, t, &p->term, WC_ASKED_GROUPS_MAX + i, weight);
    return rc == 0 ? list_open(s, t, &p->home_term, WC_ASKED_GROUPS_MAX + i, weight)
                   : rc;
}

static int open_lists(struct wc_searcher *s, struct wc_txn *t)
{
    struct wc_question *q = &s->q;
    int rc = 0;
    for (uint32_t i = 0; i < q->group_count; i++)
        for (uint32_t k = 0; rc == 0 && k < q->groups[i].term_count; k++)
            rc = list_open(s, t, &q->groups[i].terms[k], i,
                           q->groups[i].terms[k].weight / 255.0F);
    for (uint32_t i = 0; rc == 0 && i < q->phrase_count; i++)
        rc = open_phrase(s, t, i);
    return rc;
}

static uint32_t first_block(const struct wc_searcher *s)
{
    uint32_t block = UINT32_MAX;
    for (uint32_t i = 0; i < s->list_count; i++)
        if (!s->lists[i].ended && s->lists[i].block < block)
            block = s->lists[i].block;
    return block;
}

/* ---- one block ---- */

/* Every list that stands at the block gives its postings once, and moves on. What it
 * read is checked as it goes: nobody writes what is out of order. */
static int take_postings(struct list *l, struct wc_postings_view *out)
{
    int rc = wc_postings_view(l->cursor.value, out);
    if (rc != 0)
        return rc;
    uint32_t last = wc_postings_low(out, 0);
    unsigned bad = out->impact[0] == 0;
    for (uint32_t i = 1; i < out->count; i++) { /* without a branch: it is hot */
        uint32_t low = wc_postings_low(out, i);
        bad |= (unsigned)(low <= last) | (unsigned)(out->impact[i] == 0);
        last = low;
    }
    if (bad != 0 || last >= WC_POSTINGS_DOCS)
        return -WC_ECORRUPT;
    return list_here(l, wc_cursor_next(&l->cursor));
}

static void match(struct wc_searcher *s, uint16_t low, float rarity, float best,
                  bool answers)
{
    struct block *b = &s->block;
    if (b->score[low] == 0)
        b->touched[b->touched_count++] = low;
    b->score[low] += rarity * best;
    b->found[low] += answers ? rarity : NEAR_FOUND * rarity;
    b->matched[low] += answers;
}

static bool answers(float weight)
{
    return weight * 255.0F >= WC_WEIGHT_ANSWERS;
}

/* The best of several lists for each document, then into the sums. */
static void add_best(struct wc_searcher *s, const struct wc_postings_view *views,
                     const float *weights, uint32_t count, float rarity)
{
    struct block *b = &s->block;
    uint16_t touched[WC_POSTINGS_DOCS];
    uint32_t touched_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool strong = answers(weights[i]);
        for (uint32_t k = 0; k < views[i].count; k++) {
            uint16_t low = wc_postings_low(&views[i], k);
            float x = weights[i] * (float)views[i].impact[k];
            if (b->best[low] == 0)
                touched[touched_count++] = low;
            if (x > b->best[low])
                b->best[low] = x;
            b->answers[low] |= strong;
        }
    }
    for (uint32_t i = 0; i < touched_count; i++) {
        uint16_t low = touched[i];
        match(s, low, rarity, b->best[low], b->answers[low]);
        b->best[low] = 0;
        b->answers[low] = false;
    }
}

/* The lists of a group lie beside each other. */
static int add_group(struct wc_searcher *s, uint32_t from, uint32_t to, uint32_t block)
{
    struct wc_postings_view views[WC_ASKED_TERMS_MAX];
    float weights[WC_ASKED_TERMS_MAX],
        rarity = s->q.groups[s->lists[from].group].rarity;
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++) {
        struct list *l = &s->lists[i];
        if (l->ended || l->block != block)
            continue;
        weights[count] = l->weight;
        int rc = take_postings(l, &views[count++]);
        if (rc != 0)
            return rc;
    }
    if (count > 1)
        add_best(s, views, weights, count, rarity);
    else if (count == 1)
        for (uint32_t k = 0; k < views[0].count; k++)
            match(s, wc_postings_low(&views[0], k), rarity,
                  weights[0] * (float)views[0].impact[k], answers(weights[0]));
    return 0;
}

/* A phrase only adds: whoever has it has its words too. */
static int add_phrase(struct wc_searcher *s, struct list *l, uint32_t block)
{
    struct wc_postings_view v;
    if (l->ended || l->block != block)
        return 0;
    int rc = take_postings(l, &v);
    for (uint32_t k = 0; rc == 0 && k < v.count; k++)
        s->block.score[wc_postings_low(&v, k)] += l->weight * (float)v.impact[k];
    return rc;
}

static int add_block(struct wc_searcher *s, uint32_t block)
{
    int rc = 0;
    for (uint32_t i = 0, end; rc == 0 && i < s->list_count; i = end) {
        end = i + 1;
        if (s->lists[i].group >= WC_ASKED_GROUPS_MAX) {
            rc = add_phrase(s, &s->lists[i], block);
            continue;
        }
        while (end < s->list_count && s->lists[end].group == s->lists[i].group)
            end++;
        rc = add_group(s, i, end, block);
    }
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
    if (s->heap_count == s->query->limit) {
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
static double rank_of(const struct wc_searcher *s, uint16_t low)
{
    double x = s->block.score[low] * s->q.unit;
    if (s->block.matched[low] == s->q.group_count)
        return 2.0 + x;
    x *= sqrt(s->block.found[low] / s->q.rarity);
    return s->block.matched[low] > 0 ? x : -1.0 / (1.0 + x);
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

static int rank_block(struct wc_searcher *s, struct wc_txn *t, uint32_t block)
{
    struct block *b = &s->block;
    for (uint32_t i = 0; i < b->touched_count; i++) {
        uint16_t low = b->touched[i];
        struct candidate c = {.rank = rank_of(s, low),
                              .doc = (block << WC_POSTINGS_SHIFT) + low};
        if (c.rank < 0 && !s->query->near_too)
            continue;
        bool contends = s->heap_count < s->query->limit || s->heap_count == 0 ||
                        c.rank >= s->heap[0].rank;
        if (contends || s->query->office_key != NULL) {
            int rc = read_attr(s, c.doc);
            if (rc != 0)
                return rc;
            if (s->query->office_key != NULL &&
                wc_get_u32(attr_of(s, c.doc)) != s->office)
                continue;
            memcpy(c.prefix, attr_of(s, c.doc) + 4, WC_ATTR_PREFIX_BYTES);
        }
        *(c.rank < 0 ? &s->near : &s->total) += 1;
        if (contends)
            offer(s, t, &c);
    }
    return 0;
}

static void clear_block(struct block *b)
{
    for (uint32_t i = 0; i < b->touched_count; i++) {
        uint16_t low = b->touched[i];
        b->score[low] = b->found[low] = 0;
        b->matched[low] = 0;
    }
    b->touched_count = 0;
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
    int rc = 0;
    for (uint32_t block; rc == 0 && (block = first_block(s)) != UINT32_MAX;) {
        rc = add_block(s, block);
        if (rc == 0)
            rc = rank_block(s, t, block);
        clear_block(&s->block);
    }
    if (rc != 0) /* a group may have been left half added */
        s->block = (struct block){.touched_count = 0};
    return rc;
}

/* The heap, best first, as hits without reasons. */
static int drain(struct wc_searcher *s, struct wc_txn *t)
{
    /* whoever is only near is the worst of the heap, and not wanted beside the others */
    while (s->total > 0 && s->heap_count > 0 && s->heap[0].rank < 0) {
        s->heap[0] = s->heap[--s->heap_count];
        sift_down(s, t);
    }
    if (s->total == 0)
        s->total = s->near;
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

static int search_fn(struct wc_txn *t, void *ctx)
{
    struct wc_searcher *s = ctx;
    uint64_t people;
    s->list_count = s->heap_count = 0;
    s->attr_block = UINT32_MAX;
    s->attrs.handle = NULL;
    int rc = wc_txn_count(t, WC_IX_PERSON, &people);
    if (rc == 0 && s->query->office_key != NULL)
        rc = find_office(s, t);
    if (rc == -WC_ENOTFOUND)
        return 0; /* nobody of that office */
    if (rc == 0)
        rc = wc_question_look_up(&s->q, t, people);
    if (rc == 0)
        rc = wc_cursor_open(&s->attrs, t, WC_IX_ATTR);
    if (rc == 0)
        rc = open_lists(s, t);
    if (rc == 0)
        rc = visit(s, t);
    if (rc == 0)
        rc = drain(s, t);
    for (uint32_t i = 0; i < s->list_count; i++)
        wc_cursor_close(&s->lists[i].cursor);
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
        s->total -= !here && s->total > 0;
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

int wc_index_find(struct wc_index *ix, const struct wc_index_query *query,
                  struct wc_hit *hits, uint64_t *total)
{
    *total = 0;
    if (query->limit > WC_FIND_LIMIT_MAX)
        return -WC_EINVALID;
    struct wc_searcher *s = searcher_take(ix);
    if (s == NULL)
        return -WC_ENOMEM;
    s->query = query;
    s->hits = hits;
    s->total = s->near = 0;
    s->hit_count = 0;
    s->q.home = query->home && ix->has_home;
    const struct wc_vocabulary *v = wc_index_vocabulary(ix);
    int rc = wc_question_read(&s->q, s->text, &s->words, v, query->text);
    if (rc == 0)
        rc = reserve_heap(s, query->limit);
    if (rc == 0)
        rc = wc_index_note(ix, wc_store_read(ix->store, search_fn, s));
    if (rc == 0 && !query->without_why)
        rc = explain_all(s);
    *total = rc == 0 ? s->total : 0;
    rc = rc == 0 ? s->hit_count : rc;
    wc_vocabulary_free(v);
    searcher_give(ix, s);
    return rc;
}
