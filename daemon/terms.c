/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/terms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * How much a unit says about what its person can do. Own skills lead; "ask me about" is
 * free text, whose words say less than what has a name. Titles and names are what people search by when they know
 * whom they want. A directory's skills may be old or imposed. Lengths do not count
 * (b = 0 in the terms of BM25): knowing many things makes nobody worse at one of them,
 * and an edit of one field then changes no other term.
 */
static const struct {
    float weight;
    bool phrase;   /* is a name that may be searched for as a whole */
    bool concepts; /* says what its person knows or does */
} kinds[] = {
    [WC_UNIT_NAME] = {2.0F, false, false},     [WC_UNIT_HANDLE] = {2.0F, false, false},
    [WC_UNIT_TITLE] = {2.0F, true, true},      [WC_UNIT_TEAM] = {1.5F, true, true},
    [WC_UNIT_SKILL] = {3.0F, true, true},      [WC_UNIT_LISTED] = {2.0F, true, true},
    [WC_UNIT_INTEREST] = {1.5F, true, true},   [WC_UNIT_ABOUT] = {1.0F, false, true},
    [WC_UNIT_LANGUAGE] = {1.0F, false, false}, [WC_UNIT_OFFICE] = {1.0F, false, false},
};

/* A level makes its skill count for more or less; no level is as good as "working". */
static const float levels[] = {
    [WC_LEVEL_NONE] = 1.0F,    [WC_LEVEL_AWARENESS] = 0.6F,
    [WC_LEVEL_WORKING] = 1.0F, [WC_LEVEL_PRACTITIONER] = 1.5F,
    [WC_LEVEL_EXPERT] = 2.0F,
};
#define LEARNS_FACTOR 0.4F /* below an interest: they need help themselves */
#define MENTOR_FACTOR 1.1F

/* BM25's k1, 2 mentions, for a skill's mention, which weighs 3: with less of it an
 * expert would hardly come before somebody who has heard of the subject. */
#define SATURATION 6.0F
/* A word that stands in several places counts as in the best one, and by this of the
 * others: "data modelling" and "data standards" known a little make no expert of data, but
 * whoever has many skills of data knows it. */
#define REPEATED 0.5F
/* Free text is the one place where length counts: a word of a long sentence says less
 * than one of "starting a blog". b of BM25, and the words of a usual sentence. */
#define SENTENCE_B     0.75F
#define SENTENCE_WORDS 6
#define OTHER_FACTOR   0.7F /* a second spelling, or a part of a word */
#define UNWILLING      0.3F /* an expert then comes below the interest of the willing */

/* A concept named in passing ("I run the council's blog") says less than a skill of that
 * name, and one that only shares its stem may be chance. */
#define PART_FACTOR 0.8F
#define STEM_FACTOR 0.9F

/* ---- units ---- */

static float skill_factor(const struct wc_skill *s)
{
    if (s->learn)
        return LEARNS_FACTOR;
    return levels[s->level] * (s->mentor ? MENTOR_FACTOR : 1.0F);
}

struct units {
    struct wc_unit *out;
    uint32_t count;
};

static void add_unit(struct units *u, enum wc_unit_kind kind, struct wc_slice text,
                     const struct wc_skill *skill)
{
    if (text.len == 0 || u->count == WC_UNITS_MAX)
        return;
    float weight = kinds[kind].weight * (skill != NULL ? skill_factor(skill) : 1.0F);
    u->out[u->count++] = (struct wc_unit){kind, text, skill, weight};
}

/* Whether a sentence ends at i: at a new line, or at a stop before a space. */
static bool ends_sentence(struct wc_slice text, size_t i)
{
    uint8_t c = text.data[i];
    if (c == '\n' || c == ';')
        return true;
    return (c == '.' || c == '!' || c == '?') &&
           (i + 1 == text.len || text.data[i + 1] == ' ');
}

static struct wc_slice trimmed(const uint8_t *data, size_t len)
{
    while (len > 0 && (data[0] == ' ' || data[0] == '\t' || data[0] == '\n')) {
        data++;
        len--;
    }
    while (len > 0 &&
           (data[len - 1] == ' ' || data[len - 1] == '\t' || data[len - 1] == '\n'))
        len--;
    return wc_slice(data, len);
}

static void add_about(struct units *u, struct wc_slice text)
{
    size_t from = 0;
    uint32_t parts = 1;
    for (size_t i = 0; i < text.len && parts < WC_ABOUT_PARTS_MAX; i++) {
        if (!ends_sentence(text, i))
            continue;
        add_unit(u, WC_UNIT_ABOUT, trimmed(text.data + from, i - from), NULL);
        from = i + 1;
        parts++;
    }
    if (from < text.len)
        add_unit(u, WC_UNIT_ABOUT, trimmed(text.data + from, text.len - from), NULL);
}

static void add_person(struct units *u, const struct wc_person *p,
                       uint32_t own_skill_count, struct wc_slice subject)
{
    add_unit(u, WC_UNIT_NAME, p->name, NULL);
    add_unit(u, WC_UNIT_HANDLE, subject, NULL);
    add_unit(u, WC_UNIT_TITLE, p->title, NULL);
    add_unit(u, WC_UNIT_TEAM, p->team, NULL);
    for (uint32_t i = 0; i < p->skill_count; i++)
        add_unit(u, i < own_skill_count ? WC_UNIT_SKILL : WC_UNIT_LISTED,
                 p->skills[i].name, &p->skills[i]);
    for (uint32_t i = 0; i < p->interest_count; i++)
        add_unit(u, WC_UNIT_INTEREST, p->interests[i], NULL);
    add_about(u, p->ask_me_about);
    for (uint32_t i = 0; i < p->language_count; i++)
        add_unit(u, WC_UNIT_LANGUAGE, p->languages[i], NULL);
}

uint32_t wc_units(const struct wc_people_view *v, struct wc_slice subject,
                  struct wc_slice office, struct wc_unit out[WC_UNITS_MAX])
{
    struct units u = {.out = out};
    add_person(&u, &v->person, v->own_skill_count, subject);
    add_unit(&u, WC_UNIT_OFFICE, office, NULL);
    return u.count;
}

uint32_t wc_units_home(const struct wc_people_view *v, struct wc_unit out[WC_UNITS_MAX])
{
    struct units u = {.out = out};
    const struct wc_person *p = &v->local.of[WC_AUDIENCE_OFFICE];
    add_person(&u, p, p->skill_count, wc_slice("", 0));
    return u.count;
}

static float saturate(float weight)
{
    return weight / (SATURATION + weight);
}

double wc_terms_reference(void)
{
    return saturate(kinds[WC_UNIT_SKILL].weight * levels[WC_LEVEL_EXPERT]);
}

/* ---- a set of terms ---- */

/* Where a term of the lexicon is among the items of a person. */
struct wc_terms_place {
    uint32_t person, item;
};

void wc_terms_forget(struct wc_terms *s)
{
    wc_lexicon_fini(&s->lexicon);
    free(s->places);
    s->places = NULL;
    s->place_cap = s->count = 0;
}

void wc_terms_fini(struct wc_terms *s)
{
    wc_terms_forget(s);
    wc_buf_fini(&s->key);
    free(s->items);
    free(s->steps);
    s->items = NULL;
    s->steps = NULL;
    s->cap = s->step_count = s->step_cap = 0;
}

void wc_terms_reset(struct wc_terms *s)
{
    s->count = 0;
    s->scope = 0;
    s->home_from = UINT32_MAX;
    if (++s->person == 0) { /* the number has come round */
        memset(s->places, 0, s->place_cap * sizeof(*s->places));
        s->person = 1;
    }
}

/* One place for each term that the lexicon may have, before it grows again. */
static int grow_places(struct wc_terms *s)
{
    uint32_t cap = s->lexicon.cap;
    struct wc_terms_place *places = realloc(s->places, cap * sizeof(*places));
    if (places == NULL)
        return -WC_ENOMEM;
    memset(places + s->place_cap, 0, (cap - s->place_cap) * sizeof(*places));
    s->places = places;
    s->place_cap = cap;
    return 0;
}

static bool is_item(const struct wc_terms *s, uint32_t id)
{
    return id < s->place_cap && s->places[id].person == s->person;
}

static struct wc_term *new_item(struct wc_terms *s, uint32_t id)
{
    if (s->count == s->cap) {
        uint32_t cap = s->cap == 0 ? 256 : s->cap * 2;
        struct wc_term *items = realloc(s->items, cap * sizeof(*items));
        if (items == NULL)
            return NULL;
        s->items = items;
        s->cap = cap;
    }
    s->places[id] = (struct wc_terms_place){s->person, s->count};
    s->items[s->count] = (struct wc_term){.id = id};
    return &s->items[s->count++];
}

static int count_term(struct wc_terms *s, uint32_t id, float weight, bool named)
{
    struct wc_term *t;
    if (id >= s->place_cap && grow_places(s) != 0)
        return -WC_ENOMEM;
    if (is_item(s, id))
        t = &s->items[s->places[id].item];
    else if (s->count == WC_TERMS_MAX_COUNT)
        return 0; /* one too many */
    else if ((t = new_item(s, id)) == NULL)
        return -WC_ENOMEM;
    t->weight += weight;
    t->best = weight > t->best ? weight : t->best;
    t->named |= named;
    return 0;
}

/* ---- what a unit comes to ---- */

static int add_step(struct wc_terms *s, uint32_t term, float factor)
{
    if (term == WC_LEXICON_NONE)
        return -WC_ENOMEM;
    if (s->step_count == s->step_cap) {
        uint32_t cap = s->step_cap == 0 ? 256 : s->step_cap * 2;
        struct wc_step *steps = realloc(s->steps, cap * sizeof(*steps));
        if (steps == NULL)
            return -WC_ENOMEM;
        s->steps = steps;
        s->step_cap = cap;
    }
    s->steps[s->step_count++] = (struct wc_step){term, factor};
    return 0;
}

static int add_key(struct wc_terms *s, float factor)
{
    return s->key.failed
               ? -WC_ENOMEM
               : add_step(s, wc_lexicon_term(&s->lexicon, wc_buf_slice(&s->key)),
                          factor);
}

void wc_term_key(struct wc_buf *out, unsigned kind, struct wc_slice text)
{
    wc_buf_byte(out, (uint8_t)kind);
    wc_buf_append(out, text.data, text.len);
}

static int add_term(struct wc_terms *s, enum wc_term_kind kind, struct wc_slice text,
                    float factor)
{
    wc_buf_reset(&s->key);
    wc_term_key(&s->key, kind | s->scope, text);
    return add_key(s, factor);
}

/* A word and its stems. */
static int add_word(struct wc_terms *s, struct wc_text *text,
                    const struct wc_vocabulary *v, struct wc_slice word, float factor,
                    uint8_t *opens)
{
    struct wc_lexicon_word w;
    int rc = wc_lexicon_word(&s->lexicon, text, v, s->scope, word, &w);
    if (rc == 0)
        rc = add_step(s, w.term, factor);
    for (uint32_t i = 0; rc == 0 && i < w.stem_count; i++)
        rc = add_step(s, w.stems[i], factor);
    *opens = rc == 0 ? w.opens : 0;
    return rc;
}

void wc_words_add(struct wc_words *w, struct wc_slice word)
{
    if (w->count == WC_UNIT_WORDS_MAX)
        return;
    memcpy(w->bytes[w->count], word.data, word.len);
    w->at[w->count] = wc_slice(w->bytes[w->count], word.len);
    w->count++;
}

static void add_concept(struct wc_unit_concept *out, uint32_t *count, uint32_t concept,
                        float factor)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (out[i].concept != concept)
            continue;
        if (factor > out[i].factor)
            out[i].factor = factor;
        return;
    }
    if (*count < WC_UNIT_CONCEPTS_MAX)
        out[(*count)++] = (struct wc_unit_concept){concept, factor};
}

static uint32_t concepts_of(const struct wc_vocabulary *v, struct wc_text *text,
                            const struct wc_unit *u, const struct wc_words *words,
                            const uint8_t *opens,
                            struct wc_unit_concept out[WC_UNIT_CONCEPTS_MAX])
{
    struct wc_mention found[WC_UNIT_CONCEPTS_MAX];
    uint32_t count = 0;
    if (v == NULL || !kinds[u->kind].concepts)
        return 0;
    if (u->skill != NULL && u->skill->id.len > 0) {
        uint32_t chosen = wc_vocabulary_find(v, u->skill->id);
        if (chosen != UINT32_MAX)
            add_concept(out, &count, chosen, 1.0F);
    }
    uint32_t n = wc_vocabulary_mentions_opened(v, text, words->at, opens, words->count,
                                               found, WC_UNIT_CONCEPTS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        bool whole = found[i].first == 0 && found[i].count == words->count;
        add_concept(out, &count, found[i].concept,
                    (whole ? 1.0F : PART_FACTOR) *
                        (found[i].exact ? 1.0F : STEM_FACTOR));
    }
    return count;
}

uint32_t wc_unit_concepts(const struct wc_vocabulary *v, struct wc_text *text,
                          const struct wc_unit *u, const struct wc_words *words,
                          struct wc_unit_concept out[WC_UNIT_CONCEPTS_MAX])
{
    return concepts_of(v, text, u, words, NULL, out);
}

/* What a person has, as it is counted: by the concept that it is, so that different names
 * of one thing are one skill, or by its name. Who wants to learn it has not got it. */
static int add_skill(struct wc_terms *s, const struct wc_unit *u, const char *concept)
{
    if (u->skill == NULL || u->skill->learn || s->words.count == 0)
        return 0;
    wc_buf_reset(&s->key);
    wc_buf_byte(&s->key, (uint8_t)(WC_TERM_SKILL | s->scope));
    wc_buf_byte(&s->key, concept != NULL ? WC_SKILL_CONCEPT : WC_SKILL_NAME);
    if (concept != NULL) {
        wc_buf_text(&s->key, concept);
        return add_key(s, 1.0F);
    }
    for (uint32_t i = 0; i < s->words.count; i++) {
        if (i > 0)
            wc_buf_byte(&s->key, ' ');
        wc_buf_append(&s->key, s->words.at[i].data, s->words.at[i].len);
    }
    wc_buf_byte(&s->key, '\0');
    wc_buf_append(&s->key, u->text.data, u->text.len);
    if (s->key.len > WC_TERM_MAX_BYTES)
        return 0; /* of a name whose folded form is twice as long, and more */
    return add_key(s, 1.0F);
}

static int add_concepts(struct wc_terms *s, struct wc_text *text,
                        const struct wc_vocabulary *v, const struct wc_unit *u)
{
    struct wc_unit_concept concepts[WC_UNIT_CONCEPTS_MAX];
    const char *whole = NULL; /* what the unit is, and not only mentions */
    uint32_t n = concepts_of(v, text, u, &s->words, s->opens, concepts);
    int rc = 0;
    for (uint32_t i = 0; i < n && whole == NULL; i++)
        if (concepts[i].factor >= 1.0F)
            whole = wc_vocabulary_at(v, concepts[i].concept)->id;
    rc = add_skill(s, u, whole);
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = add_term(s, WC_TERM_CONCEPT,
                      wc_slice_text(wc_vocabulary_at(v, concepts[i].concept)->id),
                      concepts[i].factor);
    return rc;
}

/* The words of a unit as one, while there are few of them. */
struct phrase {
    uint8_t text[WC_TERM_MAX_BYTES];
    size_t len;
    uint32_t words; /* of the unit */
};

static void phrase_add(struct phrase *p, struct wc_slice word)
{
    if (++p->words > WC_PHRASE_WORDS_MAX)
        return;
    if (p->words > 1)
        p->text[p->len++] = ' ';
    memcpy(p->text + p->len, word.data, word.len);
    p->len += word.len;
}

/* Work out the steps of a unit, word by word; *words: how many it has. */
static int read_unit(struct wc_terms *s, struct wc_text *text,
                     const struct wc_vocabulary *vocabulary, const struct wc_unit *u,
                     uint32_t *words)
{
    struct wc_word w;
    struct phrase phrase;
    uint8_t opens;
    int rc = wc_text_set(text, u->text);
    phrase.len = phrase.words = 0;
    s->words.count = s->step_count = 0;
    while (rc == 0 && wc_text_next(text, &w)) {
        phrase_add(&phrase, w.main);
        rc = add_word(s, text, vocabulary, w.main, 1.0F, &opens);
        if (s->words.count < WC_UNIT_WORDS_MAX)
            s->opens[s->words.count] = opens;
        wc_words_add(&s->words, w.main);
        for (uint32_t i = 0; rc == 0 && i < w.other_count; i++)
            rc = add_word(s, text, vocabulary, w.others[i], OTHER_FACTOR, &opens);
    }
    *words = phrase.words;
    if (rc == 0 && kinds[u->kind].phrase && phrase.words >= 1 &&
        phrase.words <= WC_PHRASE_WORDS_MAX)
        rc = add_term(s, WC_TERM_PHRASE, wc_slice(phrase.text, phrase.len), 1.0F);
    return rc == 0 ? add_concepts(s, text, vocabulary, u) : rc;
}

/* ---- adding a unit ---- */

/* Whether others are likely to have the very same: logins and free text are not worth the
 * memory. */
static bool is_shared(const struct wc_unit *u)
{
    switch (u->kind) {
    case WC_UNIT_TITLE:
    case WC_UNIT_TEAM:
    case WC_UNIT_SKILL:
    case WC_UNIT_LISTED:
    case WC_UNIT_INTEREST:
    case WC_UNIT_LANGUAGE:
    case WC_UNIT_OFFICE:
        return true;
    case WC_UNIT_NAME:
    case WC_UNIT_HANDLE:
    case WC_UNIT_ABOUT:
        break;
    }
    return false;
}

/* Everything that decides the steps of a unit: 0, how it is read, the id of its skill, a
 * NUL, and its text. No term's key begins so. */
static int recipe_key(struct wc_terms *s, const struct wc_unit *u)
{
    uint8_t how = (uint8_t)(s->scope | (kinds[u->kind].phrase ? 1 : 0) |
                            (kinds[u->kind].concepts ? 2 : 0) |
                            (u->skill != NULL && !u->skill->learn ? 4 : 0));
    wc_buf_reset(&s->key);
    wc_buf_byte(&s->key, 0);
    wc_buf_byte(&s->key, how);
    if (u->skill != NULL)
        wc_buf_append(&s->key, u->skill->id.data, u->skill->id.len);
    wc_buf_byte(&s->key, 0);
    wc_buf_append(&s->key, u->text.data, u->text.len);
    return s->key.failed ? -WC_ENOMEM : 0;
}

/* What a unit weighs by its length: of free text a long one less, never a short one
 * more. */
static float weight_of(const struct wc_unit *u, uint32_t words)
{
    if (u->kind != WC_UNIT_ABOUT || words <= SENTENCE_WORDS)
        return u->weight;
    return u->weight / (1.0F - SENTENCE_B + SENTENCE_B * (float)words / SENTENCE_WORDS);
}

static int count_steps(struct wc_terms *s, const struct wc_unit *u, float weight,
                       const struct wc_step *steps, uint32_t count)
{
    bool named = u->kind == WC_UNIT_NAME || u->kind == WC_UNIT_HANDLE;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = count_term(s, steps[i].term, weight * steps[i].factor, named);
    return rc;
}

int wc_terms_add(struct wc_terms *s, struct wc_text *text,
                 const struct wc_vocabulary *vocabulary, const struct wc_unit *u)
{
    const struct wc_step *steps;
    uint32_t count, words;
    bool shared = is_shared(u);
    if (shared && recipe_key(s, u) != 0)
        return -WC_ENOMEM;
    if (shared && wc_lexicon_recall(&s->lexicon, wc_buf_slice(&s->key), &steps, &count))
        return count_steps(s, u, u->weight, steps, count);
    int rc = read_unit(s, text, vocabulary, u, &words);
    if (rc == 0 && shared && recipe_key(s, u) == 0)
        wc_lexicon_keep(&s->lexicon, wc_buf_slice(&s->key), s->steps, s->step_count);
    return rc != 0 ? rc
                   : count_steps(s, u, weight_of(u, words), s->steps, s->step_count);
}

void wc_terms_go_home(struct wc_terms *s)
{
    s->scope = WC_TERM_HOME;
    s->home_from = s->count;
}

/* A word that is its own stem, as most are in one language or another, says as a stem what
 * it says as a word. Every question asks for both, for the word no less: so the stem is
 * kept only where other forms of the word made it more. */
static void drop_stems(struct wc_terms *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct wc_term *t = &s->items[i];
        uint32_t twin = wc_lexicon_twin(&s->lexicon, t->id);
        if (twin == WC_LEXICON_NONE || !is_item(s, twin) ||
            !wc_lexicon_is_stem(&s->lexicon, t->id))
            continue;
        if (s->items[s->places[twin].item].impact == t->impact)
            t->impact = 0;
    }
}

void wc_terms_finish(struct wc_terms *s, bool willing, bool willing_at_home)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct wc_term *t = &s->items[i];
        float x = saturate(t->best + REPEATED * (t->weight - t->best));
        /* Whoever is searched for by name is wanted, willing or not. */
        bool wills = i >= s->home_from ? willing_at_home : willing;
        if (!wills && !t->named)
            x *= UNWILLING;
        float scaled = ceilf(x * 255.0F);
        t->impact = (uint8_t)(scaled < 1.0F ? 1.0F : scaled);
    }
    drop_stems(s);
}
