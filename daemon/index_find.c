/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question becomes groups, one for each word that says something; a group is found by
 * any of its terms (the word as written, its stems, other spellings), the best of which
 * counts. Documents are visited block by block, 512 at a time, and each block's scores
 * are added up in a table, so that the cost is that of the postings read.
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

#define GROUPS_MAX   32  /* words of a question that count; a long letter has more */
#define WORDS_MAX    256 /* words of a question that are looked at */
#define TERMS_MAX    64  /* terms of one group, in both scopes */
#define MENTIONS_MAX 16  /* concepts that a question names */
#define PHRASES_MAX  32
#define OFFICES_MAX  16
#define LISTS_MAX    (GROUPS_MAX * TERMS_MAX + 2 * PHRASES_MAX)

/* As written is best; a stem may be chance; another spelling or a part of a word is
 * further away. */
#define WEIGHT_WORD       1.0F
#define WEIGHT_STEM       0.8F
#define WEIGHT_OTHER      0.7F
#define WEIGHT_OTHER_STEM 0.55F
/* Another name for the same thing, by the vocabulary; then what is a part of it, and what
 * only lies near it. */
#define WEIGHT_CONCEPT  0.75F
#define WEIGHT_STEMMED  0.65F /* when only its stem was recognised */
#define WEIGHT_NARROWER 0.5F
#define WEIGHT_NEAR     0.3F
/* Below this somebody is near the subject, but does not answer to the word. */
#define WEIGHT_ANSWERS 0.4F
#define NEAR_FOUND     0.3F /* of a word's rarity counts as found then */
/* For a whole name ("content design"): half of its words' worth on top. */
#define WEIGHT_PHRASE 0.5F

struct term {
    uint32_t at, len; /* the key, in the text of the question */
    float weight;
    uint32_t number; /* 0: not in the dictionary */
    uint32_t people;
};

struct group {
    struct term terms[TERMS_MAX];
    uint32_t term_count;
    float rarity;
};

struct phrase {
    struct term term, home_term;
    uint32_t groups; /* bit set of those that its words belong to */
    float rarity;    /* of its words together */
};

/* A word as it stands in the question. */
struct spot {
    uint32_t at, len;
    int group; /* -1: a stop word */
};

struct question {
    struct wc_buf text;
    struct spot spots[WORDS_MAX];
    uint32_t spot_count;
    struct group groups[GROUPS_MAX];
    uint32_t group_count;
    struct phrase phrases[PHRASES_MAX];
    uint32_t phrase_count;
    float rarity;       /* of all groups together */
    bool initials[256]; /* first bytes of the terms */
    bool home;          /* terms of the home office's scope are searched too */
    double unit;        /* turns a sum of scores into a share of the perfect one */
};

/* A posting list on its way through the blocks. */
struct list {
    struct wc_cursor cursor;
    uint32_t number, block;
    uint32_t group; /* or GROUPS_MAX + phrase */
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

struct office {
    uint8_t key[WC_KEY_BYTES];
    char text[WC_OFFICE_TEXT_BYTES];
};

/* One search at a time; kept for the next one, since it is large. */
struct wc_searcher {
    struct wc_searcher *next;
    struct wc_index *ix;
    struct wc_text *text;
    struct wc_people_view view;
    struct wc_unit units[WC_UNITS_MAX];
    struct wc_words words; /* of one unit, or of the question */
    struct question q;
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
    struct office offices[OFFICES_MAX]; /* of the hits: there are many hits and few */
    uint32_t office_count;              /* offices */
};

/* ---- searchers ---- */

static struct wc_searcher *searcher_new(struct wc_index *ix)
{
    struct wc_searcher *s = calloc(1, sizeof(*s));
    if (s == NULL || wc_text_new(&s->text, ix->languages) != 0) {
        free(s);
        return NULL;
    }
    s->ix = ix;
    return s;
}

void wc_searchers_free(struct wc_searcher *list)
{
    while (list != NULL) {
        struct wc_searcher *next = list->next;
        wc_text_free(list->text);
        wc_buf_fini(&list->q.text);
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

/* ---- reading the question ---- */

static struct wc_slice key_of(const struct question *q, const struct term *t)
{
    return wc_slice(q->text.data + t->at, t->len);
}

static void add_scoped_term(struct question *q, struct group *g, unsigned kind,
                            struct wc_slice text, float weight)
{
    struct term t = {.at = (uint32_t)q->text.len, .weight = weight};
    if (g->term_count == TERMS_MAX)
        return;
    wc_term_key(&q->text, kind, text);
    t.len = (uint32_t)q->text.len - t.at;
    if (q->text.failed)
        return;
    for (uint32_t i = 0; i < g->term_count; i++) {
        if (wc_slice_eq(key_of(q, &g->terms[i]), key_of(q, &t))) {
            q->text.len = t.at; /* the first one weighs most */
            return;
        }
    }
    g->terms[g->term_count++] = t;
    if ((kind & ~(unsigned)WC_TERM_HOME) != WC_TERM_CONCEPT)
        q->initials[text.data[0]] = true;
}

static void add_term(struct question *q, struct group *g, enum wc_term_kind kind,
                     struct wc_slice text, float weight)
{
    add_scoped_term(q, g, kind, text, weight);
    if (q->home)
        add_scoped_term(q, g, kind | WC_TERM_HOME, text, weight);
}

/* Stemmers are not even: "rådgivere" becomes "rådgiver", which becomes "rådgiv". So
 * the word may be somebody's stem, and its stem may be somebody's word. */
static void add_stems(struct question *q, struct group *g, struct wc_text *text,
                      struct wc_slice word, float weight)
{
    struct wc_slice stems[WC_STEMMERS_MAX];
    uint32_t n = wc_text_stems(text, word, stems);
    for (uint32_t i = 0; i < n; i++)
        add_term(q, g, WC_TERM_STEM, stems[i], weight);
    add_term(q, g, WC_TERM_STEM, word, weight);
    for (uint32_t i = 0; i < n; i++)
        add_term(q, g, WC_TERM_WORD, stems[i], weight);
}

/* The group of a word: the one it has already, or a new one; -1 when all are taken. */
static int group_of(struct question *q, struct wc_text *text, const struct wc_word *w)
{
    for (uint32_t i = 0; i < q->group_count; i++) {
        struct wc_slice first = key_of(q, &q->groups[i].terms[0]);
        if (wc_slice_eq(wc_slice(first.data + 1, first.len - 1), w->main))
            return (int)i;
    }
    if (q->group_count == GROUPS_MAX)
        return -1;
    struct group *g = &q->groups[q->group_count];
    g->term_count = 0;
    add_term(q, g, WC_TERM_WORD, w->main, WEIGHT_WORD);
    add_stems(q, g, text, w->main, WEIGHT_STEM);
    for (uint32_t i = 0; i < w->other_count; i++)
        add_term(q, g, WC_TERM_WORD, w->others[i], WEIGHT_OTHER);
    for (uint32_t i = 0; i < w->other_count; i++)
        add_stems(q, g, text, w->others[i], WEIGHT_OTHER_STEM);
    return g->term_count > 0 ? (int)q->group_count++ : -1;
}

/* What a word of the question is taken for. */
enum reading {
    WITHOUT_STOPS,
    ALL_WORDS, /* when nothing else was there */
};

static bool in_capitals(struct wc_text *text, struct wc_slice in)
{
    struct wc_word w;
    bool all = true;
    if (wc_text_set(text, in) != 0)
        return false;
    while (wc_text_next(text, &w))
        all = all && w.capitals;
    return all;
}

/* In a question that is not all in capitals, "IT" is a subject and no stop word. */
static int read_words(struct question *q, struct wc_text *text, struct wc_slice in,
                      enum reading how)
{
    struct wc_word w;
    bool shouting = in_capitals(text, in);
    wc_buf_reset(&q->text);
    q->spot_count = q->group_count = q->phrase_count = 0;
    memset(q->initials, 0, sizeof(q->initials));
    int rc = wc_text_set(text, in);
    while (rc == 0 && q->spot_count < WORDS_MAX && wc_text_next(text, &w)) {
        struct spot *s = &q->spots[q->spot_count++];
        bool stop = how == WITHOUT_STOPS && (shouting || !w.capitals) &&
                    wc_text_is_stop(w.main);
        s->at = (uint32_t)q->text.len;
        s->len = (uint32_t)w.main.len;
        wc_buf_append(&q->text, w.main.data, w.main.len);
        s->group = stop ? -1 : group_of(q, text, &w);
    }
    return rc != 0 ? rc : q->text.failed ? -WC_ENOMEM : 0;
}

/* A concept, with what is near it, for a group that it may be found by. */
static void add_concept(struct question *q, struct group *g,
                        const struct wc_vocabulary *v, const struct wc_mention *m)
{
    const struct wc_concept *c = wc_vocabulary_at(v, m->concept);
    add_term(q, g, WC_TERM_CONCEPT, wc_slice_text(c->id),
             m->exact ? WEIGHT_CONCEPT : WEIGHT_STEMMED);
    for (uint32_t i = 0; i < c->narrower_count; i++)
        add_term(q, g, WC_TERM_CONCEPT,
                 wc_slice_text(wc_vocabulary_at(v, c->narrower[i])->id),
                 WEIGHT_NARROWER);
    for (uint32_t i = 0; i < c->related_count; i++)
        add_term(q, g, WC_TERM_CONCEPT,
                 wc_slice_text(wc_vocabulary_at(v, c->related[i])->id), WEIGHT_NEAR);
}

/* Whoever has a concept answers to every word of the label that the question uses. */
static void read_concepts(struct wc_searcher *s)
{
    struct question *q = &s->q;
    const struct wc_vocabulary *v = s->ix->vocabulary;
    struct wc_mention found[MENTIONS_MAX];
    if (v == NULL)
        return;
    s->words.count = 0;
    for (uint32_t i = 0; i < q->spot_count; i++)
        wc_words_add(&s->words,
                     wc_slice(q->text.data + q->spots[i].at, q->spots[i].len));
    uint32_t n = wc_vocabulary_mentions(v, s->text, s->words.at, s->words.count, found,
                                        MENTIONS_MAX);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = found[i].first; k < found[i].first + found[i].count; k++)
            if (q->spots[k].group >= 0)
                add_concept(q, &q->groups[q->spots[k].group], v, &found[i]);
}

static int read_question(struct wc_searcher *s, struct wc_slice in)
{
    struct question *q = &s->q;
    if (in.len > WC_QUERY_MAX_BYTES)
        return -WC_ETOOBIG;
    int rc = read_words(q, s->text, in, WITHOUT_STOPS);
    if (rc == 0 && q->group_count == 0)
        rc = read_words(q, s->text, in, ALL_WORDS);
    if (rc == 0 && q->group_count == 0)
        return -WC_EINVALID;
    if (rc == 0)
        read_concepts(s);
    return rc == 0 && q->text.failed ? -WC_ENOMEM : rc;
}

/* ---- the dictionary ---- */

static int look_up(struct wc_txn *t, const struct question *q, struct term *term)
{
    struct wc_slice v;
    term->number = term->people = 0;
    int rc = wc_txn_get(t, WC_IX_TERM, key_of(q, term), &v);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0 && v.len != 4)
        return -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    term->number = wc_get_u32(v.data);
    rc = wc_txn_get(t, WC_IX_NAME, v, &v);
    if (rc == -WC_ENOTFOUND || (rc == 0 && v.len < 4))
        return -WC_ECORRUPT;
    if (rc == 0)
        term->people = wc_get_u32(v.data);
    return rc;
}

/* How much a word says: the fewer people have it, the more (BM25's idf). */
static float rarity(uint64_t people, uint64_t having)
{
    double n = (double)people, d = (double)having;
    return (float)log(1.0 + ((n > d ? n - d : 0.0) + 0.5) / (d + 0.5));
}

static int look_up_groups(struct wc_txn *t, struct question *q, uint64_t people)
{
    q->rarity = 0;
    for (uint32_t i = 0; i < q->group_count; i++) {
        struct group *g = &q->groups[i];
        uint64_t having = 0;
        for (uint32_t k = 0; k < g->term_count; k++) {
            int rc = look_up(t, q, &g->terms[k]);
            if (rc != 0)
                return rc;
            if (g->terms[k].weight >= WEIGHT_ANSWERS && g->terms[k].people > having)
                having = g->terms[k].people;
        }
        g->rarity = rarity(people, having);
        q->rarity += g->rarity;
    }
    q->unit = 1.0 / (q->rarity * wc_terms_reference());
    return 0;
}

/* The same name in the scope of the home office. */
static int look_up_at_home(struct wc_txn *t, struct question *q, struct phrase *p)
{
    p->home_term = (struct term){.at = (uint32_t)q->text.len, .len = p->term.len};
    for (uint32_t i = 0; i < p->term.len; i++) {
        uint8_t byte = q->text.data[p->term.at + i]; /* the buffer may move */
        wc_buf_byte(&q->text, i == 0 ? byte | WC_TERM_HOME : byte);
    }
    return q->text.failed ? -WC_ENOMEM : look_up(t, q, &p->home_term);
}

/* Whether the words from..from+n of the question are a name that somebody uses. */
static int look_up_phrase(struct wc_txn *t, struct question *q, uint32_t from,
                          uint32_t n)
{
    struct phrase *p = &q->phrases[q->phrase_count];
    *p = (struct phrase){.term.at = (uint32_t)q->text.len};
    wc_term_key(&q->text, WC_TERM_PHRASE, wc_slice("", 0));
    for (uint32_t i = from; i < from + n; i++) {
        uint8_t word[WC_WORD_MAX_BYTES];
        const struct spot *s = &q->spots[i];
        memcpy(word, q->text.data + s->at, s->len); /* the buffer may move */
        if (i > from)
            wc_buf_byte(&q->text, ' ');
        wc_buf_append(&q->text, word, s->len);
        if (s->group >= 0 && (p->groups & 1U << s->group) == 0) {
            p->groups |= 1U << s->group;
            p->rarity += q->groups[s->group].rarity;
        }
    }
    if (q->text.failed)
        return -WC_ENOMEM;
    p->term.len = (uint32_t)q->text.len - p->term.at;
    int rc = p->groups != 0 ? look_up(t, q, &p->term) : 0;
    if (rc == 0 && q->home && p->groups != 0)
        rc = look_up_at_home(t, q, p);
    if (rc == 0 && (p->term.number != 0 || p->home_term.number != 0))
        q->phrase_count++;
    else
        q->text.len = p->term.at;
    return rc;
}

static int look_up_phrases(struct wc_txn *t, struct question *q)
{
    int rc = 0;
    for (uint32_t from = 0; from + 1 < q->spot_count; from++)
        for (uint32_t n = 2; n <= WC_PHRASE_WORDS_MAX && from + n <= q->spot_count; n++)
            if (rc == 0 && q->phrase_count < PHRASES_MAX)
                rc = look_up_phrase(t, q, from, n);
    return rc;
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

static int list_open(struct wc_searcher *s, struct wc_txn *t, const struct term *term,
                     uint32_t group, float weight)
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
    const struct phrase *p = &s->q.phrases[i];
    float weight = WEIGHT_PHRASE * p->rarity / 255.0F;
    int rc = list_open(s, t, &p->term, GROUPS_MAX + i, weight);
    return rc == 0 ? list_open(s, t, &p->home_term, GROUPS_MAX + i, weight) : rc;
}

static int open_lists(struct wc_searcher *s, struct wc_txn *t)
{
    struct question *q = &s->q;
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
    return weight * 255.0F >= WEIGHT_ANSWERS;
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
    struct wc_postings_view views[TERMS_MAX];
    float weights[TERMS_MAX], rarity = s->q.groups[s->lists[from].group].rarity;
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
        if (s->lists[i].group >= GROUPS_MAX) {
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
    x *= s->block.found[low] / s->q.rarity;
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
        rc = look_up_groups(t, &s->q, people);
    if (rc == 0)
        rc = look_up_phrases(t, &s->q);
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

struct reason {
    const struct wc_unit *unit;
    float worth;
};

/* Note for each group how well a word of a unit answers it. */
static void match_word(struct wc_searcher *s, struct wc_slice word, float best[])
{
    const struct question *q = &s->q;
    struct wc_slice stems[WC_STEMMERS_MAX];
    /* A stem begins as its word does: most words need no stemming here. */
    if (!q->initials[word.data[0]])
        return;
    uint32_t n = wc_text_stems(s->text, word, stems);
    for (uint32_t i = 0; i < q->group_count; i++) {
        for (uint32_t k = 0; k < q->groups[i].term_count; k++) {
            const struct term *t = &q->groups[i].terms[k];
            struct wc_slice key = key_of(q, t);
            struct wc_slice text = wc_slice(key.data + 1, key.len - 1);
            uint8_t kind = key.data[0] & (uint8_t)~WC_TERM_HOME;
            bool same = kind == WC_TERM_WORD && wc_slice_eq(text, word);
            for (uint32_t j = 0; kind == WC_TERM_STEM && j < n && !same; j++)
                same = wc_slice_eq(text, stems[j]);
            if (same && t->weight > best[i])
                best[i] = t->weight;
        }
    }
}

/* The same by the concepts of a unit. */
static void match_concepts(struct wc_searcher *s, const struct wc_unit *u, float best[])
{
    struct wc_unit_concept concepts[WC_UNIT_CONCEPTS_MAX];
    const struct question *q = &s->q;
    const struct wc_vocabulary *v = s->ix->vocabulary;
    uint32_t n = wc_unit_concepts(v, s->text, u, &s->words, concepts);
    for (uint32_t c = 0; c < n; c++) {
        const char *id = wc_vocabulary_at(v, concepts[c].concept)->id;
        for (uint32_t i = 0; i < q->group_count; i++) {
            for (uint32_t k = 0; k < q->groups[i].term_count; k++) {
                const struct term *t = &q->groups[i].terms[k];
                struct wc_slice key = key_of(q, t);
                float x = t->weight * concepts[c].factor;
                if ((key.data[0] & ~WC_TERM_HOME) == WC_TERM_CONCEPT &&
                    wc_slice_is(wc_slice(key.data + 1, key.len - 1), id) && x > best[i])
                    best[i] = x;
            }
        }
    }
}

/* How much of the question a unit answers. */
static int worth_of(struct wc_searcher *s, const struct wc_unit *u, float *worth)
{
    float best[GROUPS_MAX] = {0};
    struct wc_word w;
    int rc = wc_text_set(s->text, u->text);
    s->words.count = 0;
    while (rc == 0 && wc_text_next(s->text, &w)) {
        wc_words_add(&s->words, w.main);
        match_word(s, w.main, best);
        for (uint32_t i = 0; i < w.other_count; i++)
            match_word(s, w.others[i], best);
    }
    if (rc == 0)
        match_concepts(s, u, best);
    *worth = 0;
    for (uint32_t i = 0; i < s->q.group_count; i++)
        *worth += best[i] * s->q.groups[i].rarity * u->weight;
    return rc;
}

static const char *skill_word(const struct wc_skill *s)
{
    if (s->learn)
        return "wants to learn";
    switch (s->level) {
    case WC_LEVEL_NONE:
        return "skilled in";
    case WC_LEVEL_AWARENESS:
        return "some awareness of";
    case WC_LEVEL_WORKING:
        return "working knowledge of";
    case WC_LEVEL_PRACTITIONER:
        return "practitioner in";
    case WC_LEVEL_EXPERT:
        return "expert in";
    }
    return "skilled in";
}

static const char *unit_word(const struct wc_unit *u)
{
    switch (u->kind) {
    case WC_UNIT_NAME:
        return "name:";
    case WC_UNIT_HANDLE:
        return "login:";
    case WC_UNIT_TITLE:
        return "title:";
    case WC_UNIT_TEAM:
        return "team:";
    case WC_UNIT_SKILL:
    case WC_UNIT_LISTED:
        return skill_word(u->skill);
    case WC_UNIT_INTEREST:
        return "interested in";
    case WC_UNIT_ABOUT:
        return "can be asked about:";
    case WC_UNIT_LANGUAGE:
        return "speaks";
    case WC_UNIT_OFFICE:
        return "office:";
    }
    return "";
}

static const char *unit_tail(const struct wc_unit *u)
{
    if (u->kind == WC_UNIT_LISTED)
        return " (directory)";
    return u->kind == WC_UNIT_SKILL && u->skill->mentor ? ", willing to mentor" : "";
}

#define ELLIPSIS "\xe2\x80\xa6"

/* Cut between characters, and say so. */
static void write_reason(const struct wc_unit *u, char *out, size_t cap)
{
    const char *word = unit_word(u), *tail = unit_tail(u);
    size_t room = cap - 1 - strlen(word) - 1 - strlen(tail), len = u->text.len;
    bool cut = len > room;
    if (cut) {
        len = room - strlen(ELLIPSIS);
        while (len > 0 && (u->text.data[len] & 0xC0) == 0x80)
            len--;
    }
    snprintf(out, cap, "%s %.*s%s%s", word, (int)len, (const char *)u->text.data,
             cut ? ELLIPSIS : "", tail);
    for (char *c = out; *c != '\0'; c++) /* "ask me about" may have tabs */
        if (*c == '\t' || *c == '\n')
            *c = ' ';
}

static void insert_reason(struct reason top[WC_WHY_MAX], uint32_t *count,
                          const struct reason *r)
{
    uint32_t at = *count;
    while (at > 0 && top[at - 1].worth < r->worth)
        at--;
    if (at == WC_WHY_MAX)
        return;
    if (*count < WC_WHY_MAX)
        ++*count;
    memmove(&top[at + 1], &top[at], (*count - at - 1) * sizeof(top[0]));
    top[at] = *r;
}

static int office_text(struct wc_searcher *s, const uint8_t *key, struct wc_slice *out)
{
    uint32_t i = 0;
    while (i < s->office_count && memcmp(s->offices[i].key, key, WC_KEY_BYTES) != 0)
        i++;
    if (i == s->office_count) {
        i = s->office_count == OFFICES_MAX ? 0 : s->office_count++;
        int rc = wc_office_text(s->ix->records, key, s->offices[i].text);
        if (rc != 0)
            return rc;
        memcpy(s->offices[i].key, key, WC_KEY_BYTES);
    }
    *out = wc_slice_text(s->offices[i].text);
    return 0;
}

/* The reasons for one hit; *here is false when the person has gone meanwhile. */
static int explain(struct wc_searcher *s, struct wc_hit *hit, bool *here)
{
    struct reason top[WC_WHY_MAX];
    struct wc_slice office;
    uint32_t count = 0;
    int rc = wc_people_load_as(
        s->ix->records, hit->who.office_key, hit->who.subject,
        wc_index_audience(s->ix, hit->who.office_key, s->query->home), &s->view);
    *here = rc == 0;
    if (rc != 0)
        return rc == -WC_ENOTFOUND || rc == -WC_ECORRUPT ? 0 : rc;
    rc = office_text(s, hit->who.office_key, &office);
    uint32_t n =
        rc != 0 ? 0
                : wc_units(&s->view, wc_slice_text(hit->who.subject), office, s->units);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        struct reason reason = {.unit = &s->units[i]};
        rc = worth_of(s, reason.unit, &reason.worth);
        if (rc == 0 && reason.worth > 0)
            insert_reason(top, &count, &reason);
    }
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        write_reason(top[i].unit, hit->why[i], sizeof(hit->why[i]));
    hit->why_count = count;
    wc_people_view_fini(&s->view);
    return rc;
}

static int explain_all(struct wc_searcher *s)
{
    int kept = 0;
    s->office_count = 0;
    for (int i = 0; i < s->hit_count; i++) {
        bool here;
        int rc = explain(s, &s->hits[i], &here);
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
    int rc = read_question(s, query->text);
    if (rc == 0)
        rc = reserve_heap(s, query->limit);
    if (rc == 0)
        rc = wc_index_note(ix, wc_store_read(ix->store, search_fn, s));
    if (rc == 0)
        rc = explain_all(s);
    *total = rc == 0 ? s->total : 0;
    rc = rc == 0 ? s->hit_count : rc;
    searcher_give(ix, s);
    return rc;
}
