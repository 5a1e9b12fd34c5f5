/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes two ways of writing a word meet: folding, words, stems, stop words.
 * docs/search.md has the rules with examples.
 */
#ifndef WHOCAN_DAEMON_TEXT_H
#define WHOCAN_DAEMON_TEXT_H

#include <whocan/bytes.h>
#include <whocan/error.h>

/* Goes up with every change of what comes out of here: an index made by another version
 * is built anew. */
#define WC_TEXT_VERSION 1

#define WC_TEXT_MAX_BYTES  4096 /* one text; the longest field has 1,000; below 64 KiB */
#define WC_WORD_MAX_BYTES  64   /* a longer word is cut: nobody types it */
#define WC_WORD_OTHERS_MAX 6    /* other spellings and parts of one word */
#define WC_STEMMERS_MAX    8    /* languages at once */

/* Stemmers and working memory. Not for two threads at once. */
struct wc_text;

/* languages: Snowball names, NULL-terminated ("english", "norwegian"). -WC_EINVALID for
 * a name that is none of wc_text_languages(), or more than WC_STEMMERS_MAX of them. */
int wc_text_new(struct wc_text **out, const char *const *languages);
void wc_text_free(struct wc_text *t); /* NULL is fine */

/* The names of all languages, NULL-terminated; static. */
const char *const *wc_text_languages(void);

/*
 * A word as written, and what else it should be found under: "node.js" also as
 * "nodejs" and "node", "e-government" ("egovernment") as "government", "Ålesund"
 * ("alesund") as "aalesund". Everything is folded, none is empty. The slices are
 * borrowed until the next call.
 */
struct wc_word {
    struct wc_slice main;
    struct wc_slice others[WC_WORD_OTHERS_MAX];
    uint32_t other_count;
    bool capitals; /* written in capitals: "IT" is not the "it" of a sentence */
    struct wc_slice written; /* as it stands in the text */
};

/* Begin a text, which must stay; bytes that are not UTF-8 part words. -WC_ETOOBIG,
 * -WC_ENOMEM. */
int wc_text_set(struct wc_text *t, struct wc_slice text);
/* The next word of it, or false. */
bool wc_text_next(struct wc_text *t, struct wc_word *out);

/* The different stems of a folded word in the languages of t: at least one (the word
 * itself when no rule applies). Returns how many; borrowed until the next call. */
uint32_t wc_text_stems(struct wc_text *t, struct wc_slice word,
                       struct wc_slice out[WC_STEMMERS_MAX]);

/* How many languages t has, and the stem of a folded word in one of them (never empty);
 * borrowed until the next stem in that language. */
uint32_t wc_text_language_count(const struct wc_text *t);
struct wc_slice wc_text_stem(struct wc_text *t, uint32_t language,
                             struct wc_slice word);

/* Whether a folded word is one of those that questions are made of, such as "who",
 * "can", "help", "hvem". */
bool wc_text_is_stop(struct wc_slice word);
/* All of them, NULL-terminated; static. */
const char *const *wc_text_stops(void);

/* Append the folded form of a text, for comparing names: case, accents and spelling
 * variants of letters gone, each run of white space one space. Failure is sticky in
 * *out. */
void wc_text_fold(struct wc_slice text, struct wc_buf *out);

#endif
