/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both passes go through windows of documents. In each, few people are picked: the first
 * marks who is in all groups, a bit for each document, the second takes the lists without
 * which nobody comes among the best. These are looked up in the lists of each group, for as
 * long as what is left to come suffices (MaxScore, Turtle and Flood 1995, with the largest impact of each piece of
 * postings as its bound). What is passed over is never needed: the result is that of a
 * look at everybody.
 *
 * Scores are sums of whole numbers, so that their order does not matter.
 */
#include "daemon/find_pass.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_DOCS 4096u

/* The first windows are small: the sooner somebody good is found, the more is passed over
 * from then on. */
#define FIRST_WINDOW_DOCS 256u

/* Up to so many postings are all looked at, and everybody who matches is counted: it takes
 * some microseconds. */
#define COUNT_ALL_POSTINGS 4096

/* The sums of one window, by document. Everything is 0 between two groups or windows. */
struct window {
    uint32_t from, end;
    uint32_t base;                  /* from, rounded down to a multiple of 64 */
    uint64_t met[WINDOW_DOCS / 64]; /* a bit for each document that has a sum */
    uint32_t best[WINDOW_DOCS];     /* of the group at hand */
    bool answers[WINDOW_DOCS];
    uint16_t group_docs[WINDOW_DOCS + 1]; /* and room to write one more */
    uint32_t score[WINDOW_DOCS];
    uint8_t matched[WINDOW_DOCS];
    /* of the list at hand */
    uint16_t low[WINDOW_DOCS];
    uint8_t impact[WINDOW_DOCS];
};

/* Somebody who may come among the best. */
struct person {
    uint32_t score;
    uint32_t best; /* of the group at hand */
    uint16_t low;  /* from the base of the window on */
    bool answers;  /* the group at hand */
    uint8_t matched;
};

struct wc_pass {
    struct wc_lists lists;
    struct window window;
    struct person people[WINDOW_DOCS]; /* by document */
    uint32_t count;
    const struct wc_question *q;
    struct wc_best *best;
    uint32_t window_docs;
    bool thorough; /* everybody is looked at */
    bool all_too;  /* the second pass meets those who match every group as well */
    bool near;     /* only those who answer to no word, but are near, are wanted */
    bool passed;   /* over somebody who may answer */
    /* nobody with a smaller score is wanted: of those who match all, and of others */
    uint64_t least_all, least_some;
};

int wc_pass_new(struct wc_pass **out)
{
    *out = calloc(1, sizeof(**out));
    return *out == NULL ? -WC_ENOMEM : 0;
}

void wc_pass_free(struct wc_pass *p)
{
    free(p);
}

/* ---- ranks ---- */

/* For having every word of the question: of two words that are as rare, whoever is
 * interested in both comes before an expert in one. More of it puts whoever mentions all
 * words in passing before whoever can do what was meant. */
#define RANK_ALL 0.12

/* 1 is what an expert in every word has. Below 0: is only near. */
static double rank_of_some(const struct wc_pass *s, uint64_t score)
{
    return (double)score * s->q->share;
}

static double rank_of_all(const struct wc_pass *s, uint64_t score)
{
    return RANK_ALL + rank_of_some(s, score);
}

static double rank_of_near(const struct wc_pass *s, uint64_t score)
{
    return -1.0 / (1.0 + rank_of_some(s, score));
}

double wc_pass_score(double rank)
{
    if (rank < 0)
        return 0.001 * (1.0 + rank);
    return rank < 1.0 ? 0.9 * rank : 1.0 - 0.1 / rank;
}

/* Roundings are always much smaller than this share of a rank. */
#define ROUNDING 1e-9

/* What it takes to come among the best, a little less than exactly: those who have it are
 * compared by their ranks. An equal rank may do, by login. */
static uint64_t least_score(const struct wc_pass *s, double rank)
{
    double score = rank <= 0 ? 0 : rank / s->q->share * (1.0 - ROUNDING);
    return score < 1.0 ? 0 : (uint64_t)score - 1;
}

static void set_least(struct wc_pass *s)
{
    double rank = s->thorough || s->near ? 0 : wc_best_least(s->best);
    s->least_all = least_score(s, rank - RANK_ALL);
    s->least_some = least_score(s, rank);
}

static bool some_suffices(const struct wc_pass *s, uint64_t score)
{
    return score >= s->least_some;
}

/* ---- windows ---- */

static void window_begin(struct wc_pass *s, uint32_t doc)
{
    s->window.from = doc;
    s->window.base = doc & ~63u;
    s->window.end = s->window.base + s->window_docs;
    s->count = 0;
    s->window_docs = s->window_docs < WINDOW_DOCS ? 2 * s->window_docs : WINDOW_DOCS;
    set_least(s);
}

static void pass_begin(struct wc_pass *s)
{
    s->window_docs = s->thorough || s->near ? WINDOW_DOCS : FIRST_WINDOW_DOCS;
}

static void meet(struct window *w, uint16_t low)
{
    w->met[low / 64] |= 1ULL << low % 64;
}

/* Look somebody up in a list for the group at hand. */
static int look_up(struct wc_pass *s, struct wc_list *l, struct person *p, bool answers)
{
    uint8_t impact;
    int rc = wc_list_find(l, s->window.base + p->low, &impact);
    if (rc <= 0)
        return rc;
    uint32_t x = l->worth * impact;
    p->best = x > p->best ? x : p->best;
    p->answers |= answers;
    return 0;
}

/* Give everybody what they have of the phrases: whoever has one has its words too. */
static int add_phrases(struct wc_pass *s)
{
    int rc = 0;
    for (uint32_t i = s->lists.phrases_from; i < s->lists.count; i++) {
        struct wc_list *l = &s->lists.items[i];
        for (uint32_t k = 0; l->bound > 0 && k < s->count; k++) {
            uint8_t impact;
            rc = wc_list_find(l, s->window.base + s->people[k].low, &impact);
            if (rc < 0)
                return rc;
            s->people[k].score += rc > 0 ? l->worth * impact : 0;
        }
    }
    return 0;
}

/* ---- the first pass: everybody who is in all groups ---- */

/* A list that answers to a group gives with those that are only near it, to whoever is in
 * both, so much at most. */
static uint64_t bound_with_near(const struct wc_list *l, const struct wc_part *p)
{
    return l->bound > p->near_bound ? l->bound : p->near_bound;
}

/* The least impact in a list with which somebody may come among the best, when all else
 * gives `rest`; 256: none does. */
static unsigned least_impact(const struct wc_pass *s, const struct wc_list *l,
                             const struct wc_part *p, uint64_t rest)
{
    if (bound_with_near(l, p) + rest < s->least_all)
        return 256;
    if (p->near_bound + rest >= s->least_all)
        return 0;
    uint64_t least = (s->least_all - rest) / l->worth; /* or one more */
    return least < 255 ? (unsigned)least : 255;
}

/* Whoever is in one of the lists from..to with enough, and their best there. What is less
 * cannot be theirs: it suffices for nobody. */
static int take_part(struct wc_pass *s, const struct wc_part *p, uint64_t rest)
{
    struct window *w = &s->window;
    for (uint32_t i = p->from; i < p->near_from; i++) {
        struct wc_list *l = &s->lists.items[i];
        unsigned least = l->bound == 0 ? 256 : least_impact(s, l, p, rest);
        s->passed |= least > 0 && l->bound > 0;
        if (least > 255)
            continue;
        int n = wc_list_take(l, w->base, w->from, w->end, (uint8_t)least, w->low,
                             w->impact);
        if (n < 0)
            return n;
        for (int k = 0; k < n; k++) {
            uint32_t x = l->worth * w->impact[k], *best = &w->best[w->low[k]];
            meet(w, w->low[k]);
            *best = x > *best ? x : *best;
        }
    }
    return 0;
}

/* Whoever has one of the phrases, when nobody comes among the best without. */
static int take_phrases(struct wc_pass *s)
{
    struct window *w = &s->window;
    for (uint32_t i = s->lists.phrases_from; i < s->lists.count; i++) {
        struct wc_list *l = &s->lists.items[i];
        int n = l->bound == 0
                    ? 0
                    : wc_list_take(l, w->base, w->from, w->end, 0, w->low, w->impact);
        if (n < 0)
            return n;
        for (int k = 0; k < n; k++) {
            meet(w, w->low[k]);
            w->best[w->low[k]] += l->worth * w->impact[k];
        }
    }
    return 0;
}

/* Those who were met, with `best` as their score (phrases) or as their best of a group. */
static void gather(struct wc_pass *s, bool phrases)
{
    struct window *w = &s->window;
    for (uint32_t i = 0; i < WINDOW_DOCS / 64; i++) {
        for (uint64_t bits = w->met[i]; bits != 0; bits &= bits - 1) {
            uint16_t low = (uint16_t)(64 * i + (uint32_t)__builtin_ctzll(bits));
            uint32_t best = w->best[low];
            s->people[s->count++] = (struct person){
                .low = low, .score = phrases ? best : 0, .best = phrases ? 0 : best};
            w->best[low] = 0;
        }
        w->met[i] = 0;
    }
}

/* Look everybody up in the lists of a group that answer to it, unless one that they are in
 * gives as much, or even the most would not suffice. */
static int ask_answering(struct wc_pass *s, const struct wc_part *p, uint64_t rest)
{
    int rc = 0;
    for (uint32_t i = p->from; i < p->near_from; i++) {
        struct wc_list *l = &s->lists.items[i];
        uint64_t most = bound_with_near(l, p) + rest;
        for (uint32_t k = 0; l->bound > 0 && rc == 0 && k < s->count; k++) {
            struct person *who = &s->people[k];
            if (who->best >= l->bound)
                continue;
            if (who->score + most < s->least_all)
                s->passed = true;
            else
                rc = look_up(s, l, who, true);
        }
    }
    return rc;
}

/* Whoever answers may still have more of a group by being near it, too. */
static int raise_by_near(struct wc_pass *s, const struct wc_part *p)
{
    int rc = 0;
    for (uint32_t i = p->near_from; i < p->to; i++) {
        struct wc_list *l = &s->lists.items[i];
        for (uint32_t k = 0; rc == 0 && k < s->count; k++)
            if (s->people[k].best > 0 && s->people[k].best < l->bound)
                rc = look_up(s, l, &s->people[k], false);
    }
    return rc;
}

/* Those who have the group at hand and can still come among the best with `rest`. */
static void keep_all(struct wc_pass *s, uint64_t rest)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < s->count; k++) {
        struct person who = s->people[k];
        uint64_t most = who.score + who.best + rest;
        bool enough = who.best > 0 && most >= s->least_all;
        s->passed |= who.best > 0 && !enough;
        who.score += who.best;
        who.best = 0;
        s->people[kept] = who;
        kept += enough;
    }
    s->count = kept;
}

/* So few people are looked up in the groups that remain: that is less than going through
 * all who are in them. */
#define FEW_PEOPLE 8

static uint32_t count_met(const struct window *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < WINDOW_DOCS / 64; i++)
        for (uint64_t bits = w->met[i]; bits != 0 && n <= FEW_PEOPLE; bits &= bits - 1)
            n++;
    return n;
}

/* Mark whoever is in the lists that answer to a group, but for those with which nobody comes
 * among the best, when all else gives `rest`. */
static int mark_part(struct wc_pass *s, const struct wc_part *p, uint64_t rest,
                     uint64_t *met)
{
    const struct window *w = &s->window;
    int rc = 0;
    for (uint32_t i = p->from; rc == 0 && i < p->near_from; i++) {
        struct wc_list *l = &s->lists.items[i];
        if (l->bound == 0)
            continue;
        if (bound_with_near(l, p) + rest < s->least_all)
            s->passed = true;
        else
            rc = wc_list_mark(l, w->base, w->from, w->end, met);
    }
    return rc;
}

/* Whoever is in all groups, or in all but some that were not looked at. */
static int mark_all(struct wc_pass *s, uint64_t most)
{
    struct window *w = &s->window;
    const struct wc_part *parts = s->lists.parts;
    int rc = mark_part(s, &parts[0], most - parts[0].bound, w->met);
    for (uint32_t i = 1; rc == 0 && i < s->lists.part_count; i++) {
        uint64_t met[WINDOW_DOCS / 64] = {0};
        if (count_met(w) <= FEW_PEOPLE)
            break;
        rc = mark_part(s, &parts[i], most - parts[i].bound, met);
        for (uint32_t k = 0; k < WINDOW_DOCS / 64; k++)
            w->met[k] &= met[k];
    }
    return rc;
}

/* Begin with whoever has a phrase when the groups alone do not suffice, else with whoever
 * is in all groups, or has enough of the only one. *rest: what all groups and phrases that
 * remain can give. Returns how many groups are done, or a negative error. */
static int begin_all(struct wc_pass *s, uint64_t words, uint64_t *rest)
{
    const struct wc_lists *l = &s->lists;
    if (words < s->least_all) {
        int rc = take_phrases(s);
        s->passed = true;
        *rest = words;
        if (rc == 0)
            gather(s, true);
        return rc;
    }
    if (l->part_count > 1) {
        *rest = words + l->phrases_bound;
        int rc = mark_all(s, *rest);
        gather(s, false);
        return rc;
    }
    *rest = words - l->parts[0].bound + l->phrases_bound;
    int rc = take_part(s, &l->parts[0], *rest);
    if (rc != 0)
        return rc;
    gather(s, false);
    rc = raise_by_near(s, &l->parts[0]);
    keep_all(s, *rest);
    return rc != 0 ? rc : 1;
}

static int meet_all(struct wc_pass *s)
{
    int rc = 0;
    for (uint32_t k = 0; rc == 0 && k < s->count; k++)
        rc = wc_best_meet(s->best, s->window.base + s->people[k].low,
                          rank_of_all(s, s->people[k].score), !s->passed);
    return rc;
}

static int window_of_all(struct wc_pass *s)
{
    struct wc_lists *l = &s->lists;
    uint64_t words = 0, rest;
    int rc = wc_lists_bound(l, s->window.from, true, &s->window.end);
    for (uint32_t i = 0; i < l->part_count; i++)
        words += l->parts[i].bound;
    if (rc != 0)
        return rc;
    if (words + l->phrases_bound < s->least_all) {
        s->passed = true;
        return 0;
    }
    bool by_phrase = words < s->least_all;
    int first = begin_all(s, words, &rest);
    if (first < 0)
        return first;
    for (uint32_t i = (uint32_t)first; rc == 0 && i < l->part_count && s->count > 0;
         i++) {
        rest -= l->parts[i].bound;
        rc = ask_answering(s, &l->parts[i], rest);
        if (rc == 0)
            rc = raise_by_near(s, &l->parts[i]);
        keep_all(s, rest);
    }
    if (rc == 0 && !by_phrase)
        rc = add_phrases(s);
    return rc == 0 ? meet_all(s) : rc;
}

/* The first document from `base` on that anybody who answers to the group may have. */
static int part_next(struct wc_pass *s, const struct wc_part *p, uint32_t base,
                     uint32_t *out)
{
    *out = WC_DOCS_END;
    for (uint32_t i = p->from; i < p->near_from; i++) {
        int rc = wc_list_to(&s->lists.items[i], base);
        if (rc != 0)
            return rc;
        uint32_t next = wc_list_next(&s->lists.items[i], base);
        *out = next < *out ? next : *out;
    }
    return 0;
}

/* The first document from *doc on that may be of people of all groups. */
static int next_of_all(struct wc_pass *s, uint32_t *doc)
{
    for (uint32_t i = 0; i < s->lists.part_count && *doc < WC_DOCS_END;) {
        uint32_t next;
        int rc = part_next(s, &s->lists.parts[i], *doc, &next);
        if (rc != 0)
            return rc;
        i = next > *doc && i > 0 ? 0 : i + 1; /* begin again from there */
        *doc = next > *doc ? next : *doc;
    }
    return 0;
}

static int pass_of_all(struct wc_pass *s)
{
    for (uint32_t i = 0; i < s->lists.part_count; i++)
        if (s->lists.parts[i].from == s->lists.parts[i].near_from)
            return 0; /* nobody has that word */
    pass_begin(s);
    for (uint32_t doc = 0;; doc = s->window.end) {
        int rc = next_of_all(s, &doc);
        if (rc != 0 || doc >= WC_DOCS_END)
            return rc;
        window_begin(s, doc);
        rc = window_of_all(s);
        if (rc != 0)
            return rc;
    }
}

/* ---- the second pass: who is in some groups ---- */

/* Take the lists of a group into best and answers. A list is left out when nobody whose
 * best of the group it is comes among the best with all that others give. */
static int take_group(struct wc_pass *s, const struct wc_part *p, uint64_t all,
                      uint32_t *count)
{
    struct window *w = &s->window;
    *count = 0;
    for (uint32_t i = p->from; i < p->to; i++) {
        struct wc_list *l = &s->lists.items[i];
        bool answers = i < p->near_from;
        uint64_t bound = answers ? bound_with_near(l, p) : l->bound;
        if (l->bound == 0)
            continue;
        if (!some_suffices(s, all - p->bound + bound)) {
            s->passed = true;
            continue;
        }
        int n = wc_list_take(l, w->base, w->from, w->end, 0, w->low, w->impact);
        if (n < 0)
            return n;
        for (int k = 0; k < n; k++) {
            uint32_t x = l->worth * w->impact[k], *best = &w->best[w->low[k]];
            w->group_docs[*count] = w->low[k];
            *count += *best == 0;
            *best = x > *best ? x : *best;
            w->answers[w->low[k]] |= answers;
        }
    }
    return 0;
}

static int add_group(struct wc_pass *s, const struct wc_part *p, uint64_t all)
{
    struct window *w = &s->window;
    uint32_t count;
    int rc = take_group(s, p, all, &count);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        uint16_t low = w->group_docs[i];
        meet(w, low);
        w->score[low] += w->best[low];
        w->matched[low] += w->answers[low];
        w->best[low] = 0;
        w->answers[low] = false;
    }
    return rc;
}

/* Those who were met and can still come among the best with `rest`. */
static void gather_some(struct wc_pass *s, uint64_t rest)
{
    struct window *w = &s->window;
    for (uint32_t i = 0; i < WINDOW_DOCS / 64; i++) {
        for (uint64_t bits = w->met[i]; bits != 0; bits &= bits - 1) {
            uint16_t low = (uint16_t)(64 * i + (uint32_t)__builtin_ctzll(bits));
            bool enough = some_suffices(s, w->score[low] + rest);
            s->people[s->count] = (struct person){
                .low = low, .score = w->score[low], .matched = w->matched[low]};
            s->count += enough;
            s->passed |= !enough;
            w->score[low] = 0;
            w->matched[low] = 0;
        }
        w->met[i] = 0;
    }
}

/* Look everybody up in the lists of a group, those that answer to it first. */
static int ask_some(struct wc_pass *s, const struct wc_part *p, uint64_t rest)
{
    int rc = 0;
    for (uint32_t i = p->from; i < p->to; i++) {
        struct wc_list *l = &s->lists.items[i];
        bool answers = i < p->near_from;
        uint64_t bound = answers ? bound_with_near(l, p) : l->bound;
        for (uint32_t k = 0; l->bound > 0 && rc == 0 && k < s->count; k++) {
            struct person *who = &s->people[k];
            if (who->best >= l->bound)
                continue;
            if (some_suffices(s, who->score + bound + rest))
                rc = look_up(s, l, who, answers);
            else
                s->passed = true;
        }
    }
    return rc;
}

static void keep_some(struct wc_pass *s, uint64_t rest)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < s->count; k++) {
        struct person who = s->people[k];
        who.score += who.best;
        who.matched += who.answers;
        who.best = 0;
        who.answers = false;
        bool enough = some_suffices(s, who.score + rest);
        s->passed |= !enough;
        s->people[kept] = who;
        kept += enough;
    }
    s->count = kept;
}

static int meet_some(struct wc_pass *s)
{
    int rc = 0;
    for (uint32_t k = 0; rc == 0 && k < s->count; k++) {
        const struct person *p = &s->people[k];
        uint32_t doc = s->window.base + p->low;
        bool all = p->matched == s->q->group_count;
        if (s->near ? p->matched == 0 : p->matched > 0 && (!all || s->all_too)) {
            double rank = s->near ? rank_of_near(s, p->score)
                          : all   ? rank_of_all(s, p->score)
                                  : rank_of_some(s, p->score);
            rc = wc_best_meet(s->best, doc, rank, !s->passed || s->near);
        }
    }
    return rc;
}

/* Everybody who is looked at here lacks a group: what it gives beyond what they may have
 * for being near it. */
static uint64_t without_one(uint64_t all, uint64_t lack)
{
    return lack < all ? all - lack : 0;
}

/* The most that anybody in the window has who does not answer to all groups. */
static uint64_t window_most(const struct wc_pass *s)
{
    const struct wc_lists *l = &s->lists;
    uint64_t most = l->some_phrases_bound, lack = UINT64_MAX;
    for (uint32_t i = 0; i < l->part_count; i++) {
        uint64_t x = l->parts[i].bound - l->parts[i].near_bound;
        most += l->parts[i].bound;
        lack = x < lack ? x : lack;
    }
    return s->all_too ? UINT64_MAX : without_one(most, lack);
}

/* People are looked for in the first groups, as few as suffice: what all others together
 * can give is enough for nobody. */
static uint32_t enough_groups(const struct wc_pass *s, uint64_t *others)
{
    uint32_t enough = s->lists.part_count;
    *others = s->lists.some_phrases_bound;
    while (enough > 0) {
        uint64_t with = *others + s->lists.parts[enough - 1].bound;
        if (some_suffices(s, with))
            break;
        *others = with;
        enough--;
    }
    return enough;
}

static int window_of_some(struct wc_pass *s)
{
    struct wc_lists *l = &s->lists;
    uint64_t all, rest;
    int rc = wc_lists_bound(l, s->window.from, false, &s->window.end);
    if (rc != 0)
        return rc;
    if (!some_suffices(s, window_most(s))) {
        s->passed = true;
        return 0;
    }
    uint32_t enough = enough_groups(s, &rest);
    s->passed |= enough < l->part_count;
    all = rest;
    for (uint32_t i = 0; i < enough; i++)
        all += l->parts[i].bound;
    for (uint32_t i = 0; rc == 0 && i < enough; i++)
        rc = add_group(s, &l->parts[i], all);
    if (rc != 0)
        return rc;
    gather_some(s, rest);
    for (uint32_t i = enough; rc == 0 && i < l->part_count && s->count > 0; i++) {
        rest -= l->parts[i].bound;
        rc = ask_some(s, &l->parts[i], rest);
        keep_some(s, rest);
    }
    if (rc == 0)
        rc = add_phrases(s);
    return rc == 0 ? meet_some(s) : rc;
}

/* The same as enough_groups(), of all windows: none when nobody without all groups can
 * come among the best. */
static uint32_t enough_anywhere(const struct wc_pass *s)
{
    const struct wc_lists *l = &s->lists;
    uint64_t most = l->some_phrases_most, lack = UINT64_MAX;
    uint32_t enough = l->part_count;
    for (uint32_t i = 0; i < l->part_count; i++) {
        const struct wc_part *p = &l->parts[i];
        uint64_t x = p->most - p->near_most;
        lack = x < lack ? x : lack;
    }
    for (; enough > 0; enough--) {
        most += l->parts[enough - 1].most;
        if (some_suffices(s, enough == 1 ? without_one(most, lack) : most))
            break;
    }
    return enough;
}

/* The first document from *doc on of the first groups, near ones too. */
static int next_of_some(struct wc_pass *s, uint32_t groups, uint32_t *doc)
{
    uint32_t first = WC_DOCS_END;
    for (uint32_t i = 0; i < groups; i++) {
        for (uint32_t k = s->lists.parts[i].from; k < s->lists.parts[i].to; k++) {
            int rc = wc_list_to(&s->lists.items[k], *doc);
            if (rc != 0)
                return rc;
            uint32_t next = wc_list_next(&s->lists.items[k], *doc);
            first = next < first ? next : first;
        }
    }
    *doc = first;
    return 0;
}

static int pass_of_some(struct wc_pass *s)
{
    set_least(s);
    uint32_t groups = enough_anywhere(s);
    s->passed |= groups < s->lists.part_count;
    int rc = groups > 0 ? wc_lists_rewind(&s->lists) : 0;
    pass_begin(s);
    for (uint32_t doc = 0; rc == 0; doc = s->window.end) {
        rc = next_of_some(s, groups, &doc);
        if (rc != 0 || doc >= WC_DOCS_END)
            return rc;
        window_begin(s, doc);
        rc = window_of_some(s);
    }
    return rc;
}

/* ---- both ---- */

static int run(struct wc_pass *s, bool near_too)
{
    bool several = s->lists.part_count > 1;
    s->all_too = s->thorough && several; /* one pass is enough for everybody */
    s->near = false;
    int rc = s->all_too ? pass_of_some(s) : pass_of_all(s);
    if (rc == 0 && several && !s->all_too)
        rc = pass_of_some(s);
    if (rc == 0 && s->best->seen == 0 && near_too) {
        s->near = true;
        rc = pass_of_some(s);
    }
    return rc;
}

int wc_pass_run(struct wc_pass *p, struct wc_txn *t, const struct wc_question *q,
                bool near_too, struct wc_best *best, bool *passed)
{
    p->q = q;
    p->best = best;
    p->passed = false;
    int rc = wc_lists_open(&p->lists, t, q);
    p->thorough = p->lists.postings <= COUNT_ALL_POSTINGS || best->wanted == 0;
    if (rc == 0)
        rc = run(p, near_too);
    wc_lists_close(&p->lists);
    if (rc != 0) /* it may have been left half added */
        memset(&p->window, 0, sizeof(p->window));
    *passed |= p->passed;
    return rc;
}

uint64_t wc_pass_pieces(const struct wc_pass *p, uint32_t number)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->lists.closed_count; i++)
        if (number == 0 || p->lists.items[i].number == number)
            sum += p->lists.items[i].pieces;
    return sum;
}

uint32_t wc_pass_terms(const struct wc_pass *p)
{
    return p->lists.closed_count;
}
