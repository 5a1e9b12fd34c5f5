/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/why.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/index_internal.h"

#define OFFICES_MAX 16

struct office {
    uint8_t key[WC_KEY_BYTES];
    char text[WC_OFFICE_TEXT_BYTES];
};

struct wc_why {
    struct wc_index *ix;
    struct wc_text *text;        /* the searcher's */
    const struct wc_question *q; /* likewise */
    bool home;
    bool concepts;     /* the question has some that somebody has */
    bool openers[256]; /* first bytes of what such a concept is called */
    struct wc_people_view view;
    struct wc_unit units[WC_UNITS_MAX];
    struct wc_words words;              /* of one unit */
    struct office offices[OFFICES_MAX]; /* of the hits: there are many hits and few */
    uint32_t office_count;              /* offices */
};

int wc_why_new(struct wc_why **out, struct wc_index *ix, struct wc_text *text)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return -WC_ENOMEM;
    (*out)->ix = ix;
    (*out)->text = text;
    return 0;
}

void wc_why_free(struct wc_why *y)
{
    free(y);
}

static unsigned kind_of(const struct wc_question *q, const struct wc_asked_term *t)
{
    return wc_question_key(q, t).data[0] & ~(unsigned)WC_TERM_HOME;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool is_plain(uint8_t c)
{
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

/* Whether any word of a text may begin with one of these bytes. Beyond ASCII only the
 * analysis can tell. */
static bool may_begin(const bool begins[256], struct wc_slice text)
{
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c >= 0x80 || (!inside && begins[lower(c)]))
            return true;
        inside = is_plain(c);
    }
    return false;
}

/* A concept is recognised by one of its labels, or the stem of one. */
static void expect_concept(struct wc_why *y, const struct wc_asked_term *t)
{
    const struct wc_vocabulary *v = y->q->vocabulary;
    struct wc_slice key = wc_question_key(y->q, t);
    uint32_t n = wc_vocabulary_find(v, wc_slice(key.data + 1, key.len - 1));
    y->concepts = true;
    for (uint32_t i = 0; n != UINT32_MAX && i < wc_vocabulary_at(v, n)->label_count;
         i++) {
        const uint8_t *label = (const uint8_t *)wc_vocabulary_at(v, n)->labels[i].text;
        while (*label != '\0' && !is_plain(*label) && *label < 0x80)
            y->openers[*label++] = true;
        if (*label < 0x80)
            y->openers[lower(*label)] = true;
        else
            memset(y->openers, true, sizeof(y->openers));
    }
}

void wc_why_begin(struct wc_why *y, const struct wc_question *q, bool home)
{
    y->q = q;
    y->home = home;
    y->office_count = 0;
    y->concepts = false;
    memset(y->openers, 0, sizeof(y->openers));
    for (uint32_t i = 0; i < q->group_count; i++)
        for (uint32_t k = 0; k < q->groups[i].term_count; k++)
            if (q->groups[i].terms[k].number != 0 &&
                kind_of(q, &q->groups[i].terms[k]) == WC_TERM_CONCEPT)
                expect_concept(y, &q->groups[i].terms[k]);
}

struct reason {
    const struct wc_unit *unit;
    float worth;
};

/* Note for each group how well a word of a unit answers it. */
static void match_word(struct wc_why *y, struct wc_slice word, float best[])
{
    const struct wc_question *q = y->q;
    struct wc_slice stems[WC_STEMMERS_MAX];
    /* A stem begins as its word does: most words need no stemming here. */
    if (!q->initials[word.data[0]])
        return;
    uint32_t n = wc_text_stems(y->text, word, stems);
    for (uint32_t i = 0; i < q->group_count; i++) {
        for (uint32_t k = 0; k < q->groups[i].term_count; k++) {
            const struct wc_asked_term *t = &q->groups[i].terms[k];
            struct wc_slice key = wc_question_key(q, t);
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
static void match_concepts(struct wc_why *y, const struct wc_unit *u, float best[])
{
    struct wc_unit_concept concepts[WC_UNIT_CONCEPTS_MAX];
    const struct wc_question *q = y->q;
    const struct wc_vocabulary *v = q->vocabulary;
    uint32_t n = wc_unit_concepts(v, y->text, u, &y->words, concepts);
    for (uint32_t c = 0; c < n; c++) {
        const char *id = wc_vocabulary_at(v, concepts[c].concept)->id;
        for (uint32_t i = 0; i < q->group_count; i++) {
            for (uint32_t k = 0; k < q->groups[i].term_count; k++) {
                const struct wc_asked_term *t = &q->groups[i].terms[k];
                struct wc_slice key = wc_question_key(q, t);
                float x = t->weight * concepts[c].factor;
                if ((key.data[0] & ~WC_TERM_HOME) == WC_TERM_CONCEPT &&
                    wc_slice_is(wc_slice(key.data + 1, key.len - 1), id) && x > best[i])
                    best[i] = x;
            }
        }
    }
}

static int match_words(struct wc_why *y, struct wc_slice text, float best[])
{
    struct wc_word w;
    int rc = wc_text_set(y->text, text);
    while (rc == 0 && wc_text_next(y->text, &w)) {
        match_word(y, w.main, best);
        for (uint32_t i = 0; i < w.other_count; i++)
            match_word(y, w.others[i], best);
    }
    return rc;
}

/* No word goes across white space, and few begin as one of the question does: only what
 * stands around those is analysed. */
static int match_text(struct wc_why *y, struct wc_slice text, float best[])
{
    int rc = 0;
    for (size_t from = 0, to; rc == 0 && from < text.len; from = to + 1) {
        for (to = from; to < text.len && text.data[to] > ' '; to++)
            ;
        struct wc_slice part = wc_slice(text.data + from, to - from);
        if (may_begin(y->q->initials, part))
            rc = match_words(y, part, best);
    }
    return rc;
}

/* Whether a unit may have one of the concepts of the question. */
static bool may_have_concepts(const struct wc_why *y, const struct wc_unit *u)
{
    bool chosen = u->skill != NULL && u->skill->id.len > 0;
    return y->concepts && (chosen || may_begin(y->openers, u->text));
}

/* How much of the question a unit answers. */
static int worth_of(struct wc_why *y, const struct wc_unit *u, float *worth)
{
    float best[WC_ASKED_GROUPS_MAX] = {0};
    struct wc_word w;
    int rc = match_text(y, u->text, best);
    if (rc == 0 && may_have_concepts(y, u)) {
        y->words.count = 0;
        rc = wc_text_set(y->text, u->text);
        while (rc == 0 && wc_text_next(y->text, &w))
            wc_words_add(&y->words, w.main);
        match_concepts(y, u, best);
    }
    *worth = 0;
    for (uint32_t i = 0; i < y->q->group_count; i++)
        *worth += best[i] * y->q->groups[i].rarity * u->weight;
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

static int office_text(struct wc_why *y, const uint8_t *key, struct wc_slice *out)
{
    uint32_t i = 0;
    while (i < y->office_count && memcmp(y->offices[i].key, key, WC_KEY_BYTES) != 0)
        i++;
    if (i == y->office_count) {
        i = y->office_count == OFFICES_MAX ? 0 : y->office_count++;
        int rc = wc_office_text(y->ix->records, key, y->offices[i].text);
        if (rc != 0)
            return rc;
        memcpy(y->offices[i].key, key, WC_KEY_BYTES);
    }
    *out = wc_slice_text(y->offices[i].text);
    return 0;
}

int wc_why_hit(struct wc_why *y, struct wc_hit *hit, bool *here)
{
    struct reason top[WC_WHY_MAX];
    struct wc_slice office;
    uint32_t count = 0;
    int rc = wc_people_load_as(y->ix->records, hit->who.office_key, hit->who.subject,
                               wc_index_audience(y->ix, hit->who.office_key, y->home),
                               &y->view);
    *here = rc == 0;
    if (rc != 0)
        return rc == -WC_ENOTFOUND || rc == -WC_ECORRUPT ? 0 : rc;
    rc = office_text(y, hit->who.office_key, &office);
    uint32_t n =
        rc != 0 ? 0
                : wc_units(&y->view, wc_slice_text(hit->who.subject), office, y->units);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        struct reason reason = {.unit = &y->units[i]};
        rc = worth_of(y, reason.unit, &reason.worth);
        if (rc == 0 && reason.worth > 0)
            insert_reason(top, &count, &reason);
    }
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        write_reason(top[i].unit, hit->why[i], sizeof(hit->why[i]));
    hit->why_count = count;
    wc_people_view_fini(&y->view);
    return rc;
}

/* ---- filters ---- */

/* Coverage of the question by two skills is the same, but for the last bits. */
#define SAME_COVER 1e-4F

/* Whether one of the skills that answer most of the question is one of those wanted. */
static int skill_passes(struct wc_why *y, const struct wc_filter *f, bool *passes)
{
    float best = 0;
    int rc = 0;
    uint32_t n = wc_units(&y->view, wc_slice_text(""), wc_slice_text(""), y->units);
    *passes = false;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        struct wc_unit u = y->units[i];
        float covers;
        if (u.skill == NULL)
            continue;
        u.weight = 1; /* whatever the level: that is what is asked */
        rc = worth_of(y, &u, &covers);
        if (rc != 0 || covers <= 0 || covers < best * (1 - SAME_COVER))
            continue;
        bool better = covers > best * (1 + SAME_COVER);
        *passes = wc_filter_skill(f, u.skill) || (*passes && !better);
        best = better ? covers : best;
    }
    return rc;
}

int wc_why_passes(struct wc_why *y, const struct wc_person_ref *who,
                  const struct wc_filter *f, bool *passes)
{
    *passes = false;
    int rc =
        wc_people_load_as(y->ix->records, who->office_key, who->subject,
                          wc_index_audience(y->ix, who->office_key, y->home), &y->view);
    if (rc != 0)
        return rc == -WC_ENOTFOUND || rc == -WC_ECORRUPT ? 0 : rc;
    rc = wc_filter_person(f, y->text, &y->view.person, passes);
    if (rc == 0 && *passes && wc_filter_skills(f))
        rc = skill_passes(y, f, passes);
    wc_people_view_fini(&y->view);
    return rc;
}
