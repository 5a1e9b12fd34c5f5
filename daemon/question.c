/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/question.h"

#include <math.h>
#include <string.h>

#include "daemon/correct.h"
#include "daemon/index_internal.h"

#define MENTIONS_MAX 16 /* concepts that a question names */

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
/* What answers does so however often its weight is shared. */
#define ANSWERS_LEAST (WC_WEIGHT_ANSWERS + 0.01F)

struct wc_slice wc_question_key(const struct wc_question *q,
                                const struct wc_asked_term *t)
{
    return wc_slice(q->text.data + t->at, t->len);
}

static void add_scoped_term(struct wc_question *q, struct wc_asked_group *g,
                            unsigned kind, struct wc_slice text, float weight)
{
    struct wc_asked_term t = {
        .at = (uint32_t)q->text.len, .weight = weight, .by = q->by};
    if (g->term_count == WC_ASKED_TERMS_MAX)
        return;
    wc_term_key(&q->text, kind, text);
    t.len = (uint32_t)q->text.len - t.at;
    if (q->text.failed)
        return;
    for (uint32_t i = 0; i < g->term_count; i++) {
        if (wc_slice_eq(wc_question_key(q, &g->terms[i]), wc_question_key(q, &t))) {
            q->text.len = t.at; /* the first one weighs most */
            return;
        }
    }
    g->terms[g->term_count++] = t;
    if ((kind & ~(unsigned)WC_TERM_HOME) != WC_TERM_CONCEPT)
        q->initials[text.data[0]] = true;
}

static void add_term(struct wc_question *q, struct wc_asked_group *g,
                     enum wc_term_kind kind, struct wc_slice text, float weight)
{
    add_scoped_term(q, g, kind, text, weight);
    if (q->home)
        add_scoped_term(q, g, kind | WC_TERM_HOME, text, weight);
}

/* Stemmers are not even: "rådgivere" becomes "rådgiver", which becomes "rådgiv". So
 * the word may be somebody's stem, and its stem may be somebody's word. */
static void add_stems(struct wc_question *q, struct wc_asked_group *g,
                      struct wc_text *text, struct wc_slice word, float weight)
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
static int group_of(struct wc_question *q, struct wc_text *text,
                    const struct wc_word *w)
{
    for (uint32_t i = 0; i < q->group_count; i++) {
        struct wc_slice first = wc_question_key(q, &q->groups[i].terms[0]);
        if (wc_slice_eq(wc_slice(first.data + 1, first.len - 1), w->main))
            return (int)i;
    }
    if (q->group_count == WC_ASKED_GROUPS_MAX)
        return -1;
    struct wc_asked_group *g = &q->groups[q->group_count];
    g->term_count = 0;
    g->corrected = false;
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

/* As much of a text as fits, without a part of a letter. */
static size_t whole_letters(struct wc_slice text, size_t cap)
{
    size_t len = text.len < cap ? text.len : cap;
    while (len > 0 && len < text.len && (text.data[len] & 0xC0) == 0x80)
        len--;
    return len;
}

/* In a question that is not all in capitals, "IT" is a subject and no stop word. */
static int read_words(struct wc_question *q, struct wc_text *text, struct wc_slice in,
                      enum reading how)
{
    struct wc_word w;
    bool shouting = in_capitals(text, in);
    wc_buf_reset(&q->text);
    q->spot_count = q->group_count = q->phrase_count = 0;
    q->correction_count = q->corrected_count = q->by = 0;
    q->work = (struct wc_spelling_work){0};
    memset(q->initials, 0, sizeof(q->initials));
    int rc = wc_text_set(text, in);
    while (rc == 0 && q->spot_count < WC_ASKED_WORDS_MAX && wc_text_next(text, &w)) {
        struct wc_asked_spot *s = &q->spots[q->spot_count++];
        bool stop = how == WITHOUT_STOPS && (shouting || !w.capitals) &&
                    wc_text_is_stop(w.main);
        s->at = (uint32_t)q->text.len;
        s->len = (uint32_t)w.main.len;
        s->factor = 1.0F;
        s->by = 0;
        wc_buf_append(&q->text, w.main.data, w.main.len);
        s->written_at = (uint32_t)q->text.len;
        s->written_len = (uint32_t)whole_letters(w.written, WC_WORD_MAX_BYTES);
        wc_buf_append(&q->text, w.written.data, s->written_len);
        s->group = stop ? -1 : group_of(q, text, &w);
    }
    return rc != 0 ? rc : q->text.failed ? -WC_ENOMEM : 0;
}

float wc_question_share(float weight, float factor)
{
    float x = weight * factor;
    return weight >= WC_WEIGHT_ANSWERS && x < ANSWERS_LEAST ? ANSWERS_LEAST : x;
}

void wc_question_add_word(struct wc_question *q, struct wc_text *text,
                          struct wc_asked_group *g, struct wc_slice word, float factor)
{
    add_term(q, g, WC_TERM_WORD, word, wc_question_share(WEIGHT_WORD, factor));
    add_stems(q, g, text, word, wc_question_share(WEIGHT_STEM, factor));
}

void wc_question_add_concept(struct wc_question *q, struct wc_asked_group *g,
                             const struct wc_vocabulary *v, const struct wc_mention *m,
                             float factor)
{
    const struct wc_concept *c = wc_vocabulary_at(v, m->concept);
    float weight = m->exact ? WEIGHT_CONCEPT : WEIGHT_STEMMED;
    add_term(q, g, WC_TERM_CONCEPT, wc_slice_text(c->id),
             wc_question_share(weight, factor));
    for (uint32_t i = 0; i < c->narrower_count; i++)
        add_term(q, g, WC_TERM_CONCEPT,
                 wc_slice_text(wc_vocabulary_at(v, c->narrower[i])->id),
                 wc_question_share(WEIGHT_NARROWER, factor));
    for (uint32_t i = 0; i < c->related_count; i++)
        add_term(q, g, WC_TERM_CONCEPT,
                 wc_slice_text(wc_vocabulary_at(v, c->related[i])->id),
                 WEIGHT_NEAR * factor);
}

/* Whoever has a concept answers to every word of the label that the question uses. */
static void read_concepts(struct wc_question *q, const struct wc_question_tools *tools)
{
    const struct wc_vocabulary *v = tools->vocabulary;
    struct wc_words *words = tools->words;
    struct wc_mention found[MENTIONS_MAX];
    if (v == NULL)
        return;
    words->count = 0;
    for (uint32_t i = 0; i < q->spot_count; i++)
        wc_words_add(words, wc_slice(q->text.data + q->spots[i].at, q->spots[i].len));
    uint32_t n = wc_vocabulary_mentions(v, tools->text, words->at, words->count, found,
                                        MENTIONS_MAX);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = found[i].first; k < found[i].first + found[i].count; k++)
            if (q->spots[k].group >= 0)
                wc_question_add_concept(q, &q->groups[q->spots[k].group], v, &found[i],
                                        1.0F);
}

void wc_question_fini(struct wc_question *q)
{
    wc_buf_fini(&q->text);
}

/* Whether somebody may still be typing the last word. */
static bool is_unfinished(struct wc_slice in)
{
    uint8_t last = in.len > 0 ? in.data[in.len - 1] : ' ';
    return last >= 0x80 || (last >= 'a' && last <= 'z') ||
           (last >= 'A' && last <= 'Z') || (last >= '0' && last <= '9');
}

int wc_question_read(struct wc_question *q, const struct wc_question_tools *tools,
                     struct wc_slice in)
{
    q->vocabulary = tools->vocabulary;
    if (in.len > WC_QUERY_MAX_BYTES)
        return -WC_ETOOBIG;
    int rc = read_words(q, tools->text, in, WITHOUT_STOPS);
    q->stops_only = rc == 0 && q->group_count == 0;
    if (q->stops_only)
        rc = read_words(q, tools->text, in, ALL_WORDS);
    if (rc == 0 && q->group_count == 0)
        return -WC_EINVALID;
    q->unfinished = is_unfinished(in);
    if (rc == 0)
        read_concepts(q, tools);
    return rc == 0 && q->text.failed ? -WC_ENOMEM : rc;
}

/* ---- the dictionary ---- */

static int look_up(struct wc_txn *t, const struct wc_question *q,
                   struct wc_asked_term *term)
{
    struct wc_slice v;
    term->number = term->people = 0;
    term->sought = true;
    int rc = wc_txn_get(t, WC_IX_TERM, wc_question_key(q, term), &v);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0 && v.len != WC_TERM_VALUE_BYTES)
        return -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    term->number = wc_get_u32(v.data);
    term->people = wc_get_u32(v.data + 4);
    term->max = v.data[8];
    return 0;
}

/* How much a word says: the fewer people have it, the more (BM25's idf). */
static float rarity(uint64_t people, uint64_t having)
{
    double n = (double)people, d = (double)having;
    return (float)log(1.0 + ((n > d ? n - d : 0.0) + 0.5) / (d + 0.5));
}

int wc_question_seek(struct wc_question *q, struct wc_txn *t, struct wc_asked_group *g)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < g->term_count; i++)
        if (!g->terms[i].sought)
            rc = look_up(t, q, &g->terms[i]);
    return rc;
}

bool wc_question_has(const struct wc_asked_group *g)
{
    for (uint32_t i = 0; i < g->term_count; i++)
        if (g->terms[i].people > 0)
            return true;
    return false;
}

static int look_up_groups(struct wc_txn *t, struct wc_question *q)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < q->group_count; i++)
        rc = wc_question_seek(q, t, &q->groups[i]);
    return rc;
}

/* How many have a term; of a stem also those who have it as a word (terms.c keeps it for
 * others only). */
static uint64_t having(const struct wc_question *q, const struct wc_asked_group *g,
                       const struct wc_asked_term *t)
{
    struct wc_slice key = wc_question_key(q, t);
    unsigned scope = key.data[0] & WC_TERM_HOME;
    if (key.data[0] != (WC_TERM_STEM | scope))
        return t->people;
    for (uint32_t i = 0; i < g->term_count; i++) {
        struct wc_slice word = wc_question_key(q, &g->terms[i]);
        if (word.data[0] == (WC_TERM_WORD | scope) && word.len == key.len &&
            memcmp(word.data + 1, key.data + 1, key.len - 1) == 0)
            return (uint64_t)t->people + g->terms[i].people;
    }
    return t->people;
}

static void weigh_groups(struct wc_question *q, uint64_t people)
{
    q->rarity = 0;
    for (uint32_t i = 0; i < q->group_count; i++) {
        struct wc_asked_group *g = &q->groups[i];
        uint64_t most = 0;
        for (uint32_t k = 0; k < g->term_count; k++) {
            uint64_t n = having(q, g, &g->terms[k]);
            if (g->terms[k].weight >= WC_WEIGHT_ANSWERS && n > most)
                most = n;
        }
        g->rarity = rarity(people, most);
        q->rarity += g->rarity;
    }
}

/* The same name in the scope of the home office. */
static int look_up_at_home(struct wc_txn *t, struct wc_question *q,
                           struct wc_asked_phrase *p)
{
    p->home_term =
        (struct wc_asked_term){.at = (uint32_t)q->text.len, .len = p->term.len};
    for (uint32_t i = 0; i < p->term.len; i++) {
        uint8_t byte = q->text.data[p->term.at + i]; /* the buffer may move */
        wc_buf_byte(&q->text, i == 0 ? byte | WC_TERM_HOME : byte);
    }
    return q->text.failed ? -WC_ENOMEM : look_up(t, q, &p->home_term);
}

/* Whether the words from..from+n of the question are a name that somebody uses. */
static int look_up_phrase(struct wc_txn *t, struct wc_question *q, uint32_t from,
                          uint32_t n)
{
    struct wc_asked_phrase *p = &q->phrases[q->phrase_count];
    *p = (struct wc_asked_phrase){.term.at = (uint32_t)q->text.len};
    float factor = 1.0F; /* as sure as the least sure of its words */
    wc_term_key(&q->text, WC_TERM_PHRASE, wc_slice("", 0));
    for (uint32_t i = from; i < from + n; i++) {
        uint8_t word[WC_WORD_MAX_BYTES];
        const struct wc_asked_spot *s = &q->spots[i];
        memcpy(word, q->text.data + s->at, s->len); /* the buffer may move */
        if (i > from)
            wc_buf_byte(&q->text, ' ');
        wc_buf_append(&q->text, word, s->len);
        factor = s->factor < factor ? s->factor : factor;
        if (s->group >= 0 && (p->groups & 1U << s->group) == 0) {
            p->groups |= 1U << s->group;
            p->rarity += q->groups[s->group].rarity;
        }
    }
    if (q->text.failed)
        return -WC_ENOMEM;
    p->rarity *= factor;
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

/* The same of one word and everything that it may have meant. */
static int look_up_word(struct wc_txn *t, struct wc_question *q, uint32_t i)
{
    struct wc_asked_spot typed = q->spots[i];
    int rc = typed.by == 0 ? look_up_phrase(t, q, i, 1) : 0;
    for (uint32_t k = 0; rc == 0 && k < q->correction_count && typed.by != 0; k++) {
        const struct wc_asked_correction *c = &q->corrections[k];
        if (c->weight <= 0 || q->phrase_count == WC_ASKED_PHRASES_MAX)
            continue;
        q->spots[i].at = c->to_at;
        q->spots[i].len = c->to_len;
        q->spots[i].factor = c->weight;
        rc = look_up_phrase(t, q, i, 1);
    }
    q->spots[i] = typed;
    return rc;
}

static int look_up_phrases(struct wc_txn *t, struct wc_question *q)
{
    int rc = 0;
    /* One word is a name only where it is all that is asked for: "design" is none in a
     * question for content design. */
    for (uint32_t i = 0; i < q->spot_count && q->group_count == 1; i++)
        if (rc == 0 && q->phrase_count < WC_ASKED_PHRASES_MAX)
            rc = look_up_word(t, q, i);
    for (uint32_t from = 0; from + 1 < q->spot_count; from++)
        for (uint32_t n = 2; n <= WC_PHRASE_WORDS_MAX && from + n <= q->spot_count; n++)
            if (rc == 0 && q->phrase_count < WC_ASKED_PHRASES_MAX)
                rc = look_up_phrase(t, q, from, n);
    return rc;
}

/* ---- whole numbers ---- */

/* Of the perfect sum; all sums then stay below 2^31. */
#define SCALE_SUM 2147483000.0

static uint32_t whole(double x)
{
    return x < 1.0 ? 1 : (uint32_t)x;
}

static void weigh(struct wc_question *q)
{
    double all = 0;
    for (uint32_t i = 0; i < q->group_count; i++)
        all += (double)q->groups[i].rarity;
    for (uint32_t i = 0; i < q->phrase_count; i++)
        all += 2 * (double)(WC_WEIGHT_NAME * q->phrases[i].rarity);
    double scale = SCALE_SUM / (255 * all);
    q->share = 1.0 / (scale * 255 * (double)q->rarity * wc_terms_reference());
    for (uint32_t i = 0; i < q->group_count; i++) {
        struct wc_asked_group *g = &q->groups[i];
        for (uint32_t k = 0; k < g->term_count; k++)
            g->terms[k].worth = whole(scale * (double)(g->rarity * g->terms[k].weight));
    }
    for (uint32_t i = 0; i < q->phrase_count; i++) {
        struct wc_asked_phrase *p = &q->phrases[i];
        p->term.worth = p->home_term.worth =
            whole(scale * (double)(WC_WEIGHT_NAME * p->rarity));
    }
}

/* Once the groups stay as they are. */
static int look_up_rest(struct wc_question *q, struct wc_txn *t, uint64_t people)
{
    weigh_groups(q, people);
    q->phrase_count = 0;
    int rc = look_up_phrases(t, q);
    if (rc == 0)
        weigh(q);
    return rc;
}

int wc_question_look_up(struct wc_question *q, const struct wc_question_tools *tools,
                        struct wc_txn *t, uint64_t people)
{
    int rc = look_up_groups(t, q);
    if (rc == 0)
        rc = wc_correct_unknown(q, tools, t);
    return rc == 0 ? look_up_rest(q, t, people) : rc;
}

int wc_question_retry(struct wc_question *q, const struct wc_question_tools *tools,
                      struct wc_txn *t, uint64_t people, bool *changed)
{
    uint32_t before = q->correction_count;
    int rc = wc_correct_all(q, tools, t);
    *changed = q->correction_count > before;
    return rc == 0 && *changed ? look_up_rest(q, t, people) : rc;
}
