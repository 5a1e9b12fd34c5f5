/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lexicon.h"

#include <stdlib.h>
#include <string.h>

#include <whocan/crypto.h>

#include "daemon/terms.h"

#define FIRST_COUNT 256

struct wc_lexeme {
    uint32_t at;    /* the key, in the text */
    uint32_t twin;  /* WC_LEXICON_NONE: none is known */
    uint32_t stems; /* of a word that was looked at: the first one, in `stems` */
    uint16_t len;
    uint8_t stem_count; /* 0: not looked at, or no word */
    uint8_t opens;
};

/* The hash beside the number saves a look at nearly every key that is not the one. */
struct wc_lexicon_slot {
    uint32_t hash;
    uint32_t number; /* less one; 0: free */
};

struct wc_lexicon_recipe {
    uint32_t at, len; /* the key, in the text */
    uint32_t first, count;
};

static uint32_t hash_of(const struct wc_lexicon *l, struct wc_slice key)
{
    return (uint32_t)wc_siphash(l->hash_key, key);
}

void wc_lexicon_fini(struct wc_lexicon *l)
{
    struct wc_lexicon empty = {.count = 0};
    memcpy(empty.hash_key, l->hash_key, sizeof(empty.hash_key));
    wc_buf_fini(&l->text);
    free(l->terms);
    free(l->slots);
    free(l->stems);
    free(l->recipes);
    free(l->recipe_slots);
    free(l->steps);
    *l = empty;
}

size_t wc_lexicon_bytes(const struct wc_lexicon *l)
{
    return l->text.cap + l->cap * sizeof(*l->terms) + l->stem_cap * sizeof(*l->stems) +
           l->recipe_cap * sizeof(*l->recipes) +
           ((size_t)l->slot_count + l->recipe_slot_count) * sizeof(*l->slots) +
           l->step_cap * sizeof(*l->steps);
}

/* Room for `more` elements of an array that doubles. */
static int room(void **items, uint32_t count, uint32_t *cap, uint32_t more, size_t size)
{
    uint32_t grown = *cap == 0 ? FIRST_COUNT : *cap;
    if (*cap >= more && *cap - more >= count)
        return 0;
    while (grown < more || grown - more < count)
        grown *= 2;
    void *larger = realloc(*items, grown * size);
    if (larger == NULL)
        return -WC_ENOMEM;
    *items = larger;
    *cap = grown;
    return 0;
}

/* ---- slots ---- */

static void put_slot(struct wc_lexicon_slot *slots, uint32_t slot_count,
                     struct wc_lexicon_slot one)
{
    uint32_t at = one.hash & (slot_count - 1);
    while (slots[at].number != 0)
        at = (at + 1) & (slot_count - 1);
    slots[at] = one;
}

/* Room for one more, at most half of them taken. */
static int grow_slots(struct wc_lexicon_slot **slots, uint32_t *slot_count,
                      uint32_t count)
{
    if (2 * count < *slot_count)
        return 0;
    uint32_t grown = *slot_count == 0 ? 2 * FIRST_COUNT : 2 * *slot_count;
    struct wc_lexicon_slot *larger = calloc(grown, sizeof(*larger));
    if (larger == NULL)
        return -WC_ENOMEM;
    for (uint32_t i = 0; i < *slot_count; i++)
        if ((*slots)[i].number != 0)
            put_slot(larger, grown, (*slots)[i]);
    free(*slots);
    *slots = larger;
    *slot_count = grown;
    return 0;
}

/* ---- terms ---- */

struct wc_slice wc_lexicon_key(const struct wc_lexicon *l, uint32_t term)
{
    const struct wc_lexeme *t = &l->terms[term];
    return wc_slice(l->text.data + t->at, t->len);
}

static uint32_t find_hashed(const struct wc_lexicon *l, struct wc_slice key,
                            uint32_t hash)
{
    uint32_t mask = l->slot_count - 1, at = hash & mask;
    if (l->slot_count == 0)
        return WC_LEXICON_NONE;
    for (; l->slots[at].number != 0; at = (at + 1) & mask)
        if (l->slots[at].hash == hash &&
            wc_slice_eq(wc_lexicon_key(l, l->slots[at].number - 1), key))
            return l->slots[at].number - 1;
    return WC_LEXICON_NONE;
}

uint32_t wc_lexicon_find(const struct wc_lexicon *l, struct wc_slice key)
{
    return find_hashed(l, key, hash_of(l, key));
}

uint32_t wc_lexicon_twin(const struct wc_lexicon *l, uint32_t term)
{
    return l->terms[term].twin;
}

bool wc_lexicon_is_stem(const struct wc_lexicon *l, uint32_t term)
{
    unsigned kind = l->text.data[l->terms[term].at];
    return (kind & ~(unsigned)WC_TERM_HOME) == WC_TERM_STEM;
}

/* A word and the stem of the same letters know each other. */
static void link_twin(struct wc_lexicon *l, uint32_t term, struct wc_slice key)
{
    uint8_t other[WC_TERM_MAX_BYTES];
    unsigned kind = key.data[0] & ~(unsigned)WC_TERM_HOME;
    if ((kind != WC_TERM_WORD && kind != WC_TERM_STEM) || key.len > sizeof(other))
        return;
    memcpy(other, key.data, key.len);
    other[0] = (uint8_t)((key.data[0] & WC_TERM_HOME) |
                         (kind == WC_TERM_WORD ? WC_TERM_STEM : WC_TERM_WORD));
    uint32_t twin = wc_lexicon_find(l, wc_slice(other, key.len));
    l->terms[term].twin = twin;
    if (twin != WC_LEXICON_NONE)
        l->terms[twin].twin = term;
}

uint32_t wc_lexicon_term(struct wc_lexicon *l, struct wc_slice key)
{
    uint32_t hash = hash_of(l, key), term = find_hashed(l, key, hash);
    if (term != WC_LEXICON_NONE)
        return term;
    if (key.len > UINT16_MAX || l->text.len > UINT32_MAX - key.len ||
        room((void **)&l->terms, l->count, &l->cap, 1, sizeof(*l->terms)) != 0 ||
        grow_slots(&l->slots, &l->slot_count, l->count + 1) != 0)
        return WC_LEXICON_NONE;
    uint32_t at = (uint32_t)l->text.len;
    wc_buf_append(&l->text, key.data, key.len);
    if (l->text.failed) {
        l->text.failed = false;
        return WC_LEXICON_NONE;
    }
    term = l->count++;
    l->terms[term] =
        (struct wc_lexeme){.at = at, .len = (uint16_t)key.len, .twin = WC_LEXICON_NONE};
    put_slot(l->slots, l->slot_count, (struct wc_lexicon_slot){hash, term + 1});
    link_twin(l, term, wc_lexicon_key(l, term));
    return term;
}

/* ---- words ---- */

static uint32_t term_of(struct wc_lexicon *l, unsigned kind, struct wc_slice text)
{
    uint8_t key[WC_TERM_MAX_BYTES];
    if (text.len >= sizeof(key))
        return WC_LEXICON_NONE;
    key[0] = (uint8_t)kind;
    memcpy(key + 1, text.data, text.len);
    return wc_lexicon_term(l, wc_slice(key, 1 + text.len));
}

static int look_at(struct wc_lexicon *l, struct wc_text *text,
                   const struct wc_vocabulary *vocabulary, unsigned scope,
                   uint32_t term, struct wc_slice word)
{
    struct wc_slice stems[WC_STEMMERS_MAX];
    uint32_t n = wc_text_stems(text, word, stems);
    if (room((void **)&l->stems, l->stem_count, &l->stem_cap, n, sizeof(*l->stems)) !=
        0)
        return -WC_ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t stem = term_of(l, WC_TERM_STEM | scope, stems[i]);
        if (stem == WC_LEXICON_NONE)
            return -WC_ENOMEM;
        l->stems[l->stem_count + i] = stem;
    }
    struct wc_lexeme *t = &l->terms[term];
    t->opens =
        (uint8_t)(vocabulary == NULL ? 0 : wc_vocabulary_opens(vocabulary, text, word));
    t->stems = l->stem_count;
    t->stem_count = (uint8_t)n;
    l->stem_count += n;
    return 0;
}

int wc_lexicon_word(struct wc_lexicon *l, struct wc_text *text,
                    const struct wc_vocabulary *vocabulary, unsigned scope,
                    struct wc_slice word, struct wc_lexicon_word *out)
{
    uint32_t term = term_of(l, WC_TERM_WORD | scope, word);
    int rc = term == WC_LEXICON_NONE ? -WC_ENOMEM : 0;
    if (rc == 0 && l->terms[term].stem_count == 0)
        rc = look_at(l, text, vocabulary, scope, term, word);
    if (rc != 0)
        return rc;
    const struct wc_lexeme *t = &l->terms[term];
    *out = (struct wc_lexicon_word){term, t->stem_count, l->stems + t->stems, t->opens};
    return 0;
}

/* ---- whole texts ---- */

bool wc_lexicon_recall(const struct wc_lexicon *l, struct wc_slice key,
                       const struct wc_step **steps, uint32_t *count)
{
    uint32_t hash = hash_of(l, key);
    uint32_t mask = l->recipe_slot_count - 1, at = hash & mask;
    if (l->recipe_slot_count == 0)
        return false;
    for (; l->recipe_slots[at].number != 0; at = (at + 1) & mask) {
        const struct wc_lexicon_recipe *r = &l->recipes[l->recipe_slots[at].number - 1];
        if (l->recipe_slots[at].hash != hash ||
            !wc_slice_eq(wc_slice(l->text.data + r->at, r->len), key))
            continue;
        *steps = l->steps + r->first;
        *count = r->count;
        return true;
    }
    return false;
}

void wc_lexicon_keep(struct wc_lexicon *l, struct wc_slice key,
                     const struct wc_step *steps, uint32_t count)
{
    if (l->text.len > UINT32_MAX - key.len ||
        room((void **)&l->recipes, l->recipe_count, &l->recipe_cap, 1,
             sizeof(*l->recipes)) != 0 ||
        room((void **)&l->steps, l->step_count, &l->step_cap, count,
             sizeof(*l->steps)) != 0 ||
        grow_slots(&l->recipe_slots, &l->recipe_slot_count, l->recipe_count + 1) != 0)
        return;
    uint32_t at = (uint32_t)l->text.len;
    wc_buf_append(&l->text, key.data, key.len);
    if (l->text.failed) {
        l->text.failed = false;
        return;
    }
    if (count > 0)
        memcpy(l->steps + l->step_count, steps, count * sizeof(*steps));
    l->recipes[l->recipe_count++] =
        (struct wc_lexicon_recipe){at, (uint32_t)key.len, l->step_count, count};
    l->step_count += count;
    put_slot(l->recipe_slots, l->recipe_slot_count,
             (struct wc_lexicon_slot){hash_of(l, key), l->recipe_count});
}
