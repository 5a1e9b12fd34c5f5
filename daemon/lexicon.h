/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What analysis has met before. People share most of their words, and more so their
 * skills, titles and teams: what a word or a whole name comes to is worked out once and
 * remembered. Terms get a small number here, so that a person's are counted by number.
 *
 * Whatever is remembered depends on the languages and the vocabulary that it was worked
 * out with: whoever changes those forgets it first. Not for two threads at once.
 */
#ifndef WHOCAN_DAEMON_LEXICON_H
#define WHOCAN_DAEMON_LEXICON_H

#include <whocan/bytes.h>
#include <whocan/error.h>

#include "daemon/text.h"
#include "daemon/vocabulary.h"

#define WC_LEXICON_NONE UINT32_MAX

/* A term that a text comes to, and how much of the weight of the text it has. */
struct wc_step {
    uint32_t term;
    float factor;
};

struct wc_lexeme;
struct wc_lexicon_slot;
struct wc_lexicon_recipe;

/* Zero-initialise but for hash_key. */
struct wc_lexicon {
    uint8_t hash_key[16]; /* random: profiles come from strangers */
    struct wc_buf text;   /* the keys of terms and recipes */
    struct wc_lexeme *terms;
    uint32_t count, cap;
    struct wc_lexicon_slot *slots; /* open addressing, of terms */
    uint32_t slot_count;
    uint32_t *stems; /* of words, one after the other */
    uint32_t stem_count, stem_cap;
    struct wc_lexicon_recipe *recipes;
    uint32_t recipe_count, recipe_cap;
    struct wc_lexicon_slot *recipe_slots;
    uint32_t recipe_slot_count;
    struct wc_step *steps; /* of recipes, one after the other */
    uint32_t step_count, step_cap;
};

/* Forget everything, and give the memory back. */
void wc_lexicon_fini(struct wc_lexicon *l);
/* What it takes of memory, roughly. */
size_t wc_lexicon_bytes(const struct wc_lexicon *l);

/* The number of a term's key: kind and text. Made when it is new; WC_LEXICON_NONE when
 * memory is out. */
uint32_t wc_lexicon_term(struct wc_lexicon *l, struct wc_slice key);
/* The same without making it: WC_LEXICON_NONE when there is none. */
uint32_t wc_lexicon_find(const struct wc_lexicon *l, struct wc_slice key);
/* The key of a number; borrowed until the next term or recipe. */
struct wc_slice wc_lexicon_key(const struct wc_lexicon *l, uint32_t term);
/* Whether it is a stem, of either scope. */
bool wc_lexicon_is_stem(const struct wc_lexicon *l, uint32_t term);
/* Of a word the stem of the same letters, and of such a stem the word, if they are known
 * here; else WC_LEXICON_NONE. */
uint32_t wc_lexicon_twin(const struct wc_lexicon *l, uint32_t term);

/* A folded word. Borrowed until the next call. */
struct wc_lexicon_word {
    uint32_t term;
    uint32_t stem_count;
    const uint32_t *stems; /* terms */
    uint8_t opens;         /* wc_vocabulary_opens() */
};
/* What a word comes to, in a scope (0 or WC_TERM_HOME). -WC_ENOMEM. */
int wc_lexicon_word(struct wc_lexicon *l, struct wc_text *text,
                    const struct wc_vocabulary *vocabulary, unsigned scope,
                    struct wc_slice word, struct wc_lexicon_word *out);

/* What a text comes to that was kept under a key; false when nothing was. Borrowed until
 * the next call. */
bool wc_lexicon_recall(const struct wc_lexicon *l, struct wc_slice key,
                       const struct wc_step **steps, uint32_t *count);
/* Keep it; without memory it is not kept. */
void wc_lexicon_keep(struct wc_lexicon *l, struct wc_slice key,
                     const struct wc_step *steps, uint32_t count);

#endif
