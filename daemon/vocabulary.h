/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabularies: what skills are called, in which languages and by which other names, and
 * what is near to what. Files with one section for each concept, as docs/vocabulary.md
 * describes them; several side by side make one. Loaded once, then only read: any thread
 * may.
 */
#ifndef WHOCAN_DAEMON_VOCABULARY_H
#define WHOCAN_DAEMON_VOCABULARY_H

#include <whocan/concepts.h>
#include <whocan/crypto.h>

#include "daemon/text.h"

#define WC_VOCABULARY_PROBLEM_BYTES 512 /* one line for the operator */
#define WC_LABEL_WORDS_MAX          5 /* a longer label is shown, but not recognised */

struct wc_vocabulary;

/* A vocabulary without a concept. -WC_ENOMEM. */
int wc_vocabulary_new(struct wc_vocabulary **out);
/* Freed when everybody who has it has said so: another one may take its place while a
 * search still reads this one. NULL is fine. */
const struct wc_vocabulary *wc_vocabulary_ref(const struct wc_vocabulary *v);
void wc_vocabulary_free(const struct wc_vocabulary *v);

/* Add the concepts of one file's text; `name` is for errors. -WC_ECONFIG with one line in
 * *problem, -WC_ENOMEM; v is then only good to be freed. */
int wc_vocabulary_add(struct wc_vocabulary *v, struct wc_slice text, const char *name,
                      char problem[WC_VOCABULARY_PROBLEM_BYTES]);

/*
 * Resolve what is near to what, and make labels recognisable in the languages of `text`.
 * Once, after the last file. An id without a prefix means that of its own vocabulary, or
 * else the only one of that name. -WC_ECONFIG, -WC_ENOMEM.
 */
int wc_vocabulary_finish(struct wc_vocabulary *v, struct wc_text *text,
                         char problem[WC_VOCABULARY_PROBLEM_BYTES]);

/* All of it: every file *.ini of each directory, in order of name. A directory that is
 * not there holds none. *problem has one line on failure. */
int wc_vocabulary_load(struct wc_vocabulary **out, const char *const *directories,
                       const char *const *languages,
                       char problem[WC_VOCABULARY_PROBLEM_BYTES]);

/* What the files say; of whoever has the vocabulary. */
const struct wc_concepts *wc_vocabulary_concepts(const struct wc_vocabulary *v);
uint32_t wc_vocabulary_count(const struct wc_vocabulary *v);
const struct wc_concept *wc_vocabulary_at(const struct wc_vocabulary *v, uint32_t i);
/* By id, with or without its vocabulary; UINT32_MAX: there is none, or several. */
uint32_t wc_vocabulary_find(const struct wc_vocabulary *v, struct wc_slice id);

/* A digest of everything that decides which concepts a text has. */
void wc_vocabulary_fingerprint(const struct wc_vocabulary *v,
                               uint8_t out[WC_DIGEST_BYTES]);

/* Every word of the labels that are recognised, folded; some more than once. Stops at the
 * first result of fn that is not 0, and returns it. */
int wc_vocabulary_words(const struct wc_vocabulary *v, struct wc_text *text,
                        int (*fn)(void *ctx, struct wc_slice word), void *ctx);

/* ---- completing ---- */

/* A label of a concept that goes on as somebody began to type; inner: at a later word of
 * what the concept is called. */
typedef void (*wc_completion_fn)(void *ctx, uint32_t concept, uint32_t label,
                                 bool inner);

/* Call fn for each label that begins with what was typed, apart from case and accents, in
 * order of their texts; a concept may come several times. */
void wc_vocabulary_complete(const struct wc_vocabulary *v, struct wc_slice typed,
                            wc_completion_fn fn, void *ctx);

/* The concept that has a label of that folded text (wc_text_fold), the first of several;
 * UINT32_MAX: there is none. */
uint32_t wc_vocabulary_named(const struct wc_vocabulary *v, struct wc_slice folded);

/* ---- recognising ---- */

/* Where a concept was recognised in a text. */
struct wc_mention {
    uint32_t concept;
    uint32_t first, count; /* words of the text */
    bool exact;            /* as written; else by its stems */
};

/*
 * The concepts that a text mentions, the longest label first at each place; a word that
 * is part of a longer label is not looked at by itself. words: the folded words of the
 * text (wc_word.main). Returns how many, at most `cap`. text must have the languages
 * that the vocabulary was finished with.
 */
uint32_t wc_vocabulary_mentions(const struct wc_vocabulary *v, struct wc_text *text,
                                const struct wc_slice *words, uint32_t word_count,
                                struct wc_mention *out, uint32_t cap);

/* How many words the longest label has that may begin with this folded one: mostly 0, and
 * always the same for a word, so that it may be remembered. */
uint32_t wc_vocabulary_opens(const struct wc_vocabulary *v, struct wc_text *text,
                             struct wc_slice word);

/* wc_vocabulary_mentions() for whoever knows that of each word. opens NULL: it is looked
 * up. */
uint32_t wc_vocabulary_mentions_opened(const struct wc_vocabulary *v,
                                       struct wc_text *text,
                                       const struct wc_slice *words,
                                       const uint8_t *opens, uint32_t word_count,
                                       struct wc_mention *out, uint32_t cap);

#endif
