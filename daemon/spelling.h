/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a misspelt word may have meant: a table of the words of one scope, in memory,
 * beside the index and kept up with it. It is about words as they are written, never
 * about stems: a scrambled word has a stem of its own.
 *
 * Every word stands under several keys: itself, itself without each one of its letters,
 * and its first letter, the letters between in order, and its last one. A misspelt word
 * is looked up by the same keys of its own, so that one letter too many, too few, another
 * or two changed places meet, and so do scrambled words; from
 * WC_SPELLING_TWO_LETTERS_MIN letters on also by what is left without two of its letters,
 * and with each one of two mistakes undone, which finds the words at distance two. What
 * was met is compared letter by letter. Nothing is scanned, and the work has limits (limits.h).
 *
 * Threads: one writer at a time, any number of readers.
 */
#ifndef WHOCAN_DAEMON_SPELLING_H
#define WHOCAN_DAEMON_SPELLING_H

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/limits.h>

#include "daemon/text.h"

struct wc_spelling;

/* hash_key: 16 random bytes, for words come from strangers. No more than words_max words
 * (at most WC_SPELLING_WORDS_MAX) are kept. -WC_ENOMEM. */
int wc_spelling_new(struct wc_spelling **out, const uint8_t hash_key[16],
                    uint32_t words_max);
void wc_spelling_free(struct wc_spelling *s); /* NULL is fine */

/* ---- the writer ---- */

/*
 * So many people have a folded word from now on; 0 forgets it, at once and wholly. A word
 * that nobody could mean is passed over: shorter than three letters, longer than
 * WC_SPELLING_LETTERS_MAX, without a letter, not UTF-8. -WC_EFULL: there are words_max
 * already, and this one is not kept. -WC_ENOMEM, and then nothing has changed.
 */
int wc_spelling_set(struct wc_spelling *s, struct wc_slice word, uint32_t people);

/* A word that stays, however many people have it: of a label of the vocabulary, or one
 * that questions are made of (stop). Errors as above. */
int wc_spelling_keep(struct wc_spelling *s, struct wc_slice word, bool stop);

/* Labels are kept no longer; words of questions are. */
void wc_spelling_release(struct wc_spelling *s);

/* Nobody has any word; what was kept stays. */
void wc_spelling_clear(struct wc_spelling *s);

/* Make room for so many words at once instead of bit by bit. -WC_ENOMEM. */
int wc_spelling_reserve(struct wc_spelling *s, uint32_t words);

/* ---- any thread ---- */

/* How a word is known. */
struct wc_spelling_word {
    bool known;
    bool stop;       /* a word that questions are made of */
    uint32_t people; /* who have it */
};
struct wc_spelling_word wc_spelling_find(struct wc_spelling *s, struct wc_slice word);

/* What somebody may have meant. */
struct wc_spelled {
    uint8_t text[WC_WORD_MAX_BYTES];
    uint32_t len;
    float weight; /* how near it is: below 1 */
    uint32_t people;
    bool stop; /* a word that questions are made of */
};

/* What it took, added up by each call. */
struct wc_spelling_work {
    uint32_t keys;     /* looked up */
    uint32_t places;   /* of the table looked at */
    uint32_t compared; /* words, letter by letter */
};

/*
 * The words nearest to a folded one other than itself, the nearest first, then those that
 * most people have (words of questions before all others, and equals in the order of
 * their bytes). Returns how many. *work is added to.
 */
uint32_t wc_spelling_suggest(struct wc_spelling *s, struct wc_slice word,
                             struct wc_spelled out[WC_SPELLED_MAX],
                             struct wc_spelling_work *work);

struct wc_spelling_usage {
    uint32_t words;
    uint64_t bytes;
};
void wc_spelling_usage(struct wc_spelling *s, struct wc_spelling_usage *out);

#endif
