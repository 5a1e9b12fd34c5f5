/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/terms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/crypto.h>

/*
 * How much a unit says about what its person can do. Own skills lead; "ask me about" is
 * an offer in so many words. Titles and names are what people search by when they know
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
    [WC_UNIT_INTEREST] = {1.5F, true, true},   [WC_UNIT_ABOUT] = {2.0F, false, true},
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

/* BM25's k1, 1.2 mentions, for a skill's mention, which weighs 3: with less of it an
 * expert would hardly come before somebody who has heard of the subject. */
#define SATURATION 3.6F
/* A word that stands in several places counts as in the best one, and by this of the
 * others: "data modelling" and "data standards" known a little make no expert of data. */
#define REPEATED 0.3F
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

void wc_terms_fini(struct wc_terms *s)
{
    wc_buf_fini(&s->text);
    free(s->items);
    free(s->slots);
    s->items = NULL;
    s->slots = NULL;
    s->count = s->cap = s->slot_count = 0;
}

void wc_terms_reset(struct wc_terms *s)
{
    wc_buf_reset(&s->text);
    s->count = 0;
    s->scope = 0;
    s->home_from = UINT32_MAX;
    if (s->slots != NULL)
        memset(s->slots, 0, s->slot_count * sizeof(s->slots[0]));
}

static struct wc_slice key_of(const struct wc_terms *s, const struct wc_term *t)
{
    return wc_slice(s->text.data + t->at, t->len);
}

/* Where the key is, or the free slot where it would be. */
static uint32_t *probe(const struct wc_terms *s, struct wc_slice key)
{
    uint32_t at = (uint32_t)wc_siphash(s->hash_key, key) & (s->slot_count - 1);
    while (s->slots[at] != 0 &&
           !wc_slice_eq(key_of(s, &s->items[s->slots[at] - 1]), key))
        at = (at + 1) & (s->slot_count - 1);
    return &s->slots[at];
}

static int grow(struct wc_terms *s)
{
    uint32_t cap = s->cap == 0 ? 256 : s->cap * 2;
    struct wc_term *items = realloc(s->items, cap * sizeof(*items));
    if (items == NULL)
        return -WC_ENOMEM;
    s->items = items;
    uint32_t *slots = calloc((size_t)cap * 2, sizeof(*slots));
    if (slots == NULL)
        return -WC_ENOMEM;
    free(s->slots);
    s->slots = slots;
    s->slot_count = cap * 2;
    s->cap = cap;
    for (uint32_t i = 0; i < s->count; i++)
        *probe(s, key_of(s, &items[i])) = i + 1;
    return 0;
}

void wc_term_key(struct wc_buf *out, unsigned kind, struct wc_slice text)
{
    wc_buf_byte(out, (uint8_t)kind);
    wc_buf_append(out, text.data, text.len);
}

/* Count a key that was just appended to the text of the set, from `at` on. */
static int count_key(struct wc_terms *s, uint32_t at, float weight, bool named)
{
    if (s->text.failed)
        return -WC_ENOMEM;
    if (s->count == s->cap && grow(s) != 0)
        return -WC_ENOMEM;
    struct wc_slice key = wc_slice(s->text.data + at, s->text.len - at);
    uint32_t *slot = probe(s, key);
    if (*slot != 0 || s->count == WC_TERMS_MAX_COUNT)
        s->text.len = at; /* known, or one too many */
    if (*slot == 0 && s->count < WC_TERMS_MAX_COUNT) {
        s->items[s->count++] = (struct wc_term){.at = at, .len = (uint32_t)key.len};
        *slot = s->count;
    }
    if (*slot != 0) {
        struct wc_term *t = &s->items[*slot - 1];
        t->weight += weight;
        t->best = weight > t->best ? weight : t->best;
        t->named |= named;
    }
    return 0;
}

static int count_term(struct wc_terms *s, enum wc_term_kind kind, struct wc_slice text,
                      float weight, bool named)
{
    uint32_t at = (uint32_t)s->text.len;
    wc_term_key(&s->text, kind | s->scope, text);
    return count_key(s, at, weight, named);
}

/* A word and its stems. */
static int count_word(struct wc_terms *s, struct wc_text *text, struct wc_slice word,
                      float weight, bool named)
{
    struct wc_slice stems[WC_STEMMERS_MAX];
    int rc = count_term(s, WC_TERM_WORD, word, weight, named);
    uint32_t n = wc_text_stems(text, word, stems);
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = count_term(s, WC_TERM_STEM, stems[i], weight, named);
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

uint32_t wc_unit_concepts(const struct wc_vocabulary *v, struct wc_text *text,
                          const struct wc_unit *u, const struct wc_words *words,
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
    uint32_t n = wc_vocabulary_mentions(v, text, words->at, words->count, found,
                                        WC_UNIT_CONCEPTS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        bool whole = found[i].first == 0 && found[i].count == words->count;
        add_concept(out, &count, found[i].concept,
                    (whole ? 1.0F : PART_FACTOR) *
                        (found[i].exact ? 1.0F : STEM_FACTOR));
    }
    return count;
}

/* What a person has, as it is counted: by the concept that it is, so that different names
 * of one thing are one skill, or by its name. Who wants to learn it has not got it. */
static int count_skill(struct wc_terms *s, const struct wc_unit *u, const char *concept)
{
    uint32_t at = (uint32_t)s->text.len;
    if (u->skill == NULL || u->skill->learn || s->words.count == 0)
        return 0;
    wc_buf_byte(&s->text, (uint8_t)(WC_TERM_SKILL | s->scope));
    wc_buf_byte(&s->text, concept != NULL ? WC_SKILL_CONCEPT : WC_SKILL_NAME);
    if (concept != NULL) {
        wc_buf_text(&s->text, concept);
        return count_key(s, at, u->weight, false);
    }
    for (uint32_t i = 0; i < s->words.count; i++) {
        if (i > 0)
            wc_buf_byte(&s->text, ' ');
        wc_buf_append(&s->text, s->words.at[i].data, s->words.at[i].len);
    }
    wc_buf_byte(&s->text, '\0');
    wc_buf_append(&s->text, u->text.data, u->text.len);
    if (!s->text.failed && s->text.len - at > WC_TERM_MAX_BYTES) {
        s->text.len = at; /* of a name whose folded form is twice as long, and more */
        return 0;
    }
    return count_key(s, at, u->weight, false);
}

static int count_concepts(struct wc_terms *s, struct wc_text *text,
                          const struct wc_vocabulary *v, const struct wc_unit *u)
{
    struct wc_unit_concept concepts[WC_UNIT_CONCEPTS_MAX];
    const char *whole = NULL; /* what the unit is, and not only mentions */
    uint32_t n = wc_unit_concepts(v, text, u, &s->words, concepts);
    int rc = 0;
    for (uint32_t i = 0; i < n && whole == NULL; i++)
        if (concepts[i].factor >= 1.0F)
            whole = wc_vocabulary_at(v, concepts[i].concept)->id;
    rc = count_skill(s, u, whole);
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = count_term(s, WC_TERM_CONCEPT,
                        wc_slice_text(wc_vocabulary_at(v, concepts[i].concept)->id),
                        u->weight * concepts[i].factor, false);
    return rc;
}

/* What a unit weighs by its length: of free text a long one less, never a short one
 * more. */
static int weight_of(struct wc_text *text, const struct wc_unit *u, float *out)
{
    struct wc_word w;
    uint32_t words = 0;
    *out = u->weight;
    if (u->kind != WC_UNIT_ABOUT)
        return 0;
    int rc = wc_text_set(text, u->text);
    while (rc == 0 && wc_text_next(text, &w))
        words++;
    if (words > SENTENCE_WORDS)
        *out /= 1.0F - SENTENCE_B + SENTENCE_B * (float)words / SENTENCE_WORDS;
    return rc;
}

int wc_terms_add(struct wc_terms *s, struct wc_text *text,
                 const struct wc_vocabulary *vocabulary, const struct wc_unit *u)
{
    struct wc_word w;
    struct wc_unit weighed = *u;
    uint8_t phrase[WC_TERM_MAX_BYTES];
    size_t phrase_len = 0;
    uint32_t words = 0;
    bool named = u->kind == WC_UNIT_NAME || u->kind == WC_UNIT_HANDLE;
    int rc = weight_of(text, u, &weighed.weight);
    u = &weighed;
    if (rc == 0)
        rc = wc_text_set(text, u->text);
    s->words.count = 0;
    while (rc == 0 && wc_text_next(text, &w)) {
        if (++words <= WC_PHRASE_WORDS_MAX) {
            if (words > 1)
                phrase[phrase_len++] = ' ';
            memcpy(phrase + phrase_len, w.main.data, w.main.len);
            phrase_len += w.main.len;
        }
        wc_words_add(&s->words, w.main);
        rc = count_word(s, text, w.main, u->weight, named);
        for (uint32_t i = 0; rc == 0 && i < w.other_count; i++)
            rc = count_word(s, text, w.others[i], u->weight * OTHER_FACTOR, named);
    }
    if (rc == 0 && kinds[u->kind].phrase && words >= 1 && words <= WC_PHRASE_WORDS_MAX)
        rc = count_term(s, WC_TERM_PHRASE, wc_slice(phrase, phrase_len), u->weight,
                        false);
    return rc == 0 ? count_concepts(s, text, vocabulary, u) : rc;
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
        uint8_t key[WC_TERM_MAX_BYTES];
        unsigned kind = s->text.data[t->at], scope = kind & WC_TERM_HOME;
        if (kind != (WC_TERM_STEM | scope) || t->len > sizeof(key))
            continue;
        memcpy(key, s->text.data + t->at, t->len);
        key[0] = (uint8_t)(WC_TERM_WORD | scope);
        uint32_t word = *probe(s, wc_slice(key, t->len));
        if (word != 0 && s->items[word - 1].impact == t->impact)
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
