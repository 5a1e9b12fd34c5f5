/* SPDX-License-Identifier: Apache-2.0 */
/* A question from outside: who answers it, and why. */
#include <stdlib.h>
#include <string.h>

#include "daemon/explain.h"
#include "daemon/find_pass.h"
#include "daemon/index_internal.h"
#include "daemon/loop.h"
#include "daemon/why.h"

/* One search at a time; kept for the next one, since it is large. */
struct wc_searcher {
    struct wc_searcher *next;
    struct wc_index *ix;
    struct wc_text *text;
    struct wc_why *why;
    struct wc_words words; /* of the question */
    struct wc_question_tools tools;
    struct wc_question q;
    struct wc_pass *pass;
    struct wc_best best;
    const struct wc_index_query *query;
    uint32_t wanted; /* so many of the best */
    struct wc_hit *hits;
    int hit_count;
    struct wc_found *found;
    bool passed;  /* over somebody who may answer */
    bool retried; /* words that somebody has were corrected, too */
    /* when it is to be explained */
    uint64_t stage_us, stages_us[WC_STAGES];
};

/* A stage ends here. */
static void stage(struct wc_searcher *s, enum wc_stage which)
{
    if (s->query->explain == NULL)
        return;
    uint64_t now_us = wc_mono_us();
    s->stages_us[which] += now_us - s->stage_us;
    s->stage_us = now_us;
}

/* ---- searchers ---- */

static struct wc_searcher *searcher_new(struct wc_index *ix)
{
    struct wc_searcher *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->ix = ix;
    if (wc_text_new(&s->text, ix->languages) == 0 &&
        wc_why_new(&s->why, ix, s->text) == 0 && wc_pass_new(&s->pass) == 0) {
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
        wc_best_fini(&list->best);
        wc_pass_free(list->pass);
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

/* ---- the search ---- */

static int find_office(struct wc_searcher *s, struct wc_txn *t)
{
    struct wc_slice v;
    int rc =
        wc_txn_get(t, WC_IX_OFFICE, wc_slice(s->query->office_key, WC_KEY_BYTES), &v);
    if (rc == 0 && v.len < 4)
        return -WC_ECORRUPT;
    if (rc == 0)
        s->best.office = wc_get_u32(v.data);
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
    s->found->total = s->best.seen > 0 ? s->best.seen : s->best.near;
    s->found->exact = !s->passed;
    if (s->passed && s->query->office_key == NULL && !s->best.filtered &&
        having > s->found->total)
        s->found->total = having;
}

/* The best, in order, as hits without reasons. */
static int drain(struct wc_searcher *s)
{
    s->hit_count = (int)s->best.count;
    while (s->best.count > 0) {
        struct wc_hit *hit = &s->hits[s->best.count - 1];
        double rank;
        int rc = wc_best_take(&s->best, &hit->who, &rank);
        if (rc != 0)
            return rc;
        hit->score = wc_pass_score(rank);
        hit->why_count = 0;
    }
    return 0;
}

static int search(struct wc_searcher *s, struct wc_txn *t)
{
    return wc_pass_run(s->pass, t, &s->q, s->query->near_too, &s->best, &s->passed);
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
    struct wc_best *best = &s->best;
    uint64_t people;
    s->passed = false;
    best->one_office = s->query->office_key != NULL;
    int rc = wc_index_usable(s->ix);
    if (rc == 0)
        rc = wc_txn_count(t, WC_IX_PERSON, &people);
    if (rc == 0 && best->one_office)
        rc = find_office(s, t);
    if (rc == -WC_ENOTFOUND)
        return 0; /* nobody of that office */
    if (rc == 0)
        rc = wc_question_look_up(&s->q, &s->tools, t, people);
    if (rc != 0)
        return rc;
    stage(s, WC_STAGE_WORDS);
    rc = wc_best_begin(best, t, s->wanted);
    if (rc == 0)
        rc = search(s, t);
    if (rc == 0 && best->seen == 0 && best->near == 0 && !best->ruled_out &&
        s->query->near_too)
        rc = search_again(s, t, people);
    stage(s, WC_STAGE_LISTS);
    if (rc == 0)
        count_people(s);
    if (rc == 0)
        rc = drain(s);
    wc_best_end(best);
    stage(s, WC_STAGE_PEOPLE);
    return rc;
}

static int explain_fn(struct wc_txn *t, void *ctx)
{
    const struct wc_searcher *s = ctx;
    const struct wc_explained e = {.q = &s->q,
                                   .pass = s->pass,
                                   .hits = s->hits,
                                   .hit_count = s->hit_count,
                                   .stages_us = s->stages_us};
    wc_buf_reset(s->query->explain);
    return wc_explain(s->query->explain, t, &e);
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
    s->found->stops_only = rc == 0 && s->q.stops_only;
    stage(s, WC_STAGE_READ);
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
                     : wc_filter_traits(&s->query->filter, s->text, s->best.least);
        if (rc == 0)
            rc = search_for(s, looks);
        bool more = s->hit_count == (int)looks; /* whom nobody looked at */
        if (rc == 0)
            rc = keep_passing(s, out, &all);
        stage(s, WC_STAGE_PEOPLE);
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
    s->best.home = s->q.home;
    s->best.filtered = wc_filter_is_set(&query->filter);
    memset(s->stages_us, 0, sizeof(s->stages_us));
    s->stage_us = query->explain != NULL ? wc_mono_us() : 0;
    const struct wc_vocabulary *v = wc_index_vocabulary(ix);
    s->tools.vocabulary = v;
    int rc = wc_filter_check(&query->filter, s->text, &found->field);
    if (rc == 0)
        rc = s->best.filtered ? search_filtered(s) : search_for(s, query->limit);
    if (rc == 0 && !query->without_why)
        rc = explain_all(s);
    stage(s, WC_STAGE_REASONS);
    if (rc == 0 && query->corrected != NULL)
        report_corrections(s, query->corrected);
    found->words_count = s->q.group_count;
    found->terms_count = wc_pass_terms(s->pass);
    found->pieces_count = wc_pass_pieces(s->pass, 0);
    found->met_count = s->best.seen + s->best.near;
    if (rc == 0 && query->explain != NULL)
        rc = wc_index_note(ix, wc_store_read(ix->store, explain_fn, s));
    rc = rc == 0 ? s->hit_count : rc;
    wc_vocabulary_free(v);
    searcher_give(ix, s);
    return rc;
}
