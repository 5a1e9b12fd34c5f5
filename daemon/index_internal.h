/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the index share: index.c opens it and keeps it up with the records,
 * index_build.c builds it from nothing, index_write.c writes a batch of people, question.c
 * reads a question, index_find.c takes one from outside; find_pass.c goes through the
 * people, find_lists.c through postings, and find_best.c keeps the best; why.c says why.
 *
 * Tables (numbers are big-endian):
 *
 *   term     kind (1; + 64: for the home office) ‖ text            ->  term number (4) ‖
 *                                           people who have it (4) ‖ largest impact (1)
 *   name     term number (4)            ->  kind ‖ text
 *   post     term number (4) ‖ end (4)  ->  postings.h; no document is beyond `end`, and
 *                                           each is beyond that of the key before; the
 *                                           last piece of a term has 2^32 - 1
 *   doc      document number (4)        ->  office key (32) ‖ subject length (1) ‖
 *                                           subject ‖ count × (number of the term, less
 *                                           that of the one before, in sevens of bits,
 *                                           the highest first; impact (1))
 *   person   office key (32) ‖ subject  ->  document number (4)
 *   attr     document number / 84 (4)   ->  84 × (office number (4), traits (10) as
 *                                           every office sees them and as the home
 *                                           office does, as filter.h has them); office
 *                                           number 0: nobody
 *   start    document number / 2,046 (4)->  starts.h
 *   free     document number (4)        ->  nothing: it may be given out again
 *   office   office key (32)            ->  office number (4) ‖ name and title
 *   meta     "format", "instance", "indexed", "next", "boot", "complete", "damaged"
 */
#ifndef WHOCAN_DAEMON_INDEX_INTERNAL_H
#define WHOCAN_DAEMON_INDEX_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/index.h"
#include "daemon/records_log.h"
#include "daemon/spelling.h"
#include "daemon/store.h"
#include "daemon/terms.h"

enum {
    WC_IX_TERM,
    WC_IX_NAME,
    WC_IX_POST,
    WC_IX_DOC,
    WC_IX_PERSON,
    WC_IX_ATTR,
    WC_IX_START,
    WC_IX_FREE,
    WC_IX_OFFICE,
    WC_IX_META,
};

/* How it is stored: the names of those tables, and the version of all of this. */
extern const struct wc_store_options wc_index_store;

#define WC_TERM_VALUE_BYTES 9

#define WC_ATTR_DOCS        84 /* 2,016 bytes: shares its page */
#define WC_ATTR_TRAITS      4
#define WC_ATTR_BYTES       (WC_ATTR_TRAITS + 2 * WC_TRAITS_BYTES)
#define WC_ATTR_BLOCK_BYTES ((size_t)WC_ATTR_DOCS * WC_ATTR_BYTES)

/* An office's name and title, as one text to search in. */
#define WC_OFFICE_TEXT_BYTES (WC_OFFICE_NAME_MAX_BYTES + 1 + WC_TITLE_MAX_BYTES + 1)

/* Whose words: everybody's, and those that the home office alone sees. */
enum {
    WC_SCOPE_ORGANISATION,
    WC_SCOPE_HOME,
    WC_SCOPES,
};

struct wc_searcher;

struct wc_index {
    struct wc_store *store;
    struct wc_records *records;
    char *path;
    const char **languages;                 /* NULL-terminated; the texts are ours */
    const struct wc_vocabulary *vocabulary; /* NULL: none; changed under both locks */
    struct wc_text *text;                   /* the writer's */
    struct wc_terms terms;                  /* the writer's, for one person at a time */
    bool wrote;                             /* the writer, since the last tidying */
    uint32_t batch_people;                  /* as many are written at once: it adapts */
    struct wc_spelling *spelling[WC_SCOPES]; /* what misspelt words may have meant */
    pthread_mutex_t writing;
    pthread_mutex_t pool; /* guards idle */
    struct wc_searcher *idle;
    bool has_home;
    uint8_t home_key[WC_KEY_BYTES];
    pthread_mutex_t analysing; /* held while everybody is analysed anew */
    atomic_bool damaged;       /* what nobody writes was found: nothing is searched */
    char damage[WC_PROBLEM_BYTES]; /* what it was, guarded by `pool` */
    atomic_bool building;          /* it is not whole: nothing is searched */
    atomic_uint_fast64_t built_count, to_build_count; /* people, while it is built */
};

/* Note a result: after -WC_ECORRUPT nothing is searched before the index was built anew
 * (wc_index_rebuild(), or the next open). Returns rc. */
int wc_index_note(struct wc_index *ix, int rc);

/* Whether it may be searched, asked inside of a transaction: 0; -WC_EBUSY while it is
 * being built anew, -WC_ECORRUPT when that has yet to begin. */
int wc_index_usable(const struct wc_index *ix);

/* The vocabulary of the moment; the caller frees it. Any thread. */
const struct wc_vocabulary *wc_index_vocabulary(struct wc_index *ix);

/* What of the people of an office is read for a scope. */
enum wc_audience wc_index_audience(const struct wc_index *ix, const uint8_t *office_key,
                                   bool home);

/* ---- index_write.c ---- */

/* People to be brought up to date together, analysed before the store is touched. */
struct wc_batch;
int wc_batch_new(struct wc_batch **out, struct wc_index *ix);
void wc_batch_free(struct wc_batch *b); /* NULL is fine */
void wc_batch_reset(struct wc_batch *b);
/* Read a person and work out their terms; nobody there means removal. Adding somebody
 * twice is fine. -WC_ENOMEM, -WC_EIO. */
int wc_batch_add(struct wc_batch *b, const struct wc_person_ref *who);
uint32_t wc_batch_count(const struct wc_batch *b);
/* What the index will say about itself once this batch is in. */
struct wc_batch_mark {
    uint64_t indexed; /* the sequence of the records that it holds; 0: leave it */
    bool complete;    /* a build is finished */
};
struct wc_batch_cost {
    uint32_t people;
    uint64_t us; /* that the writer's lock was held */
};
/* Write all of it in one transaction, or nothing. */
int wc_batch_write(struct wc_batch *b, const struct wc_batch_mark *mark,
                   struct wc_batch_cost *cost);

/* The name and title of an office from its card; empty when there is none. */
int wc_office_text(struct wc_records *r, const uint8_t *office_key,
                   char out[WC_OFFICE_TEXT_BYTES]);
/* Whether the people of an office were indexed under another text than that. */
int wc_office_changed(struct wc_index *ix, const uint8_t *office_key, const char *text,
                      bool *changed);
/* Say so, when all of them are indexed anew. */
int wc_office_set(struct wc_index *ix, const uint8_t *office_key, const char *text);

/* Split a value of the doc table. -WC_ECORRUPT. */
struct wc_doc_value {
    struct wc_person_ref who;
    struct wc_slice terms; /* those that are left */
    uint32_t number;       /* of the term at hand */
    uint8_t impact;
};
int wc_doc_value(struct wc_slice v, struct wc_doc_value *out);
/* The next term, by number. 1, or 0 when there is none; -WC_ECORRUPT. */
int wc_doc_term(struct wc_doc_value *d);

/* Write one: whose it is, then every term by number, as a step from the one before.
 * -WC_ENOMEM. */
int wc_doc_begin(struct wc_buf *out, const struct wc_person_ref *who);
int wc_doc_add(struct wc_buf *out, uint32_t step, uint8_t impact);

/* Other keys and values. */
#define WC_PERSON_KEY_MAX (WC_KEY_BYTES + WC_SUBJECT_MAX_BYTES)
struct wc_slice wc_index_person_key(uint8_t out[WC_PERSON_KEY_MAX],
                                    const struct wc_person_ref *who);
void wc_attr_put(uint8_t attr[WC_ATTR_BYTES], uint32_t office,
                 const uint8_t traits[2 * WC_TRAITS_BYTES]);
void wc_term_value(uint8_t out[WC_TERM_VALUE_BYTES], uint32_t number, uint32_t people,
                   uint8_t max);
/* The number of an office; a new one takes *next. */
int wc_office_number(struct wc_txn *t, const uint8_t *key, const char *text,
                     uint32_t *next, uint32_t *out);
/* The numbers to be given out next. */
int wc_index_put_next(struct wc_txn *t, uint32_t doc, uint32_t term, uint32_t office);

/* ---- index_build.c ---- */

/* Index everybody into an empty index, as a batch of all of them would but that numbers
 * may differ: as many as a dictionary of that size allows (WC_BUILD_MAX_BYTES). *last is
 * the last of them, *done how many there were. `progress` is called by this thread. */
int wc_index_build(struct wc_index *ix, size_t lexicon_max_bytes,
                   wc_index_progress_fn progress, void *ctx, struct wc_person_ref *last,
                   uint64_t *done);
/* Index everybody after *last, `done` people into it; done 0: everybody. In index.c. */
int wc_index_rest(struct wc_index *ix, const struct wc_person_ref *last, uint64_t done,
                  wc_index_progress_fn progress, void *ctx);

/* Small values of the meta table. A missing number is 0. */
int wc_index_meta_u64(struct wc_txn *t, const char *key, uint64_t *out);
int wc_index_put_u64(struct wc_txn *t, const char *key, uint64_t value);

/* ---- index_words.c ---- */

/* Tables with the words that are known without anybody having them: of questions, and of
 * the labels of the vocabulary. -WC_ENOMEM. */
int wc_index_words_init(struct wc_index *ix);
void wc_index_words_fini(struct wc_index *ix);
/* Another vocabulary than before: its labels instead. The writer's. -WC_ENOMEM. */
int wc_index_words_labels(struct wc_index *ix);
/* Nobody has any word. */
void wc_index_words_clear(struct wc_index *ix);
/* All words of the dictionary. -WC_ECORRUPT, -WC_EIO. */
int wc_index_words_load(struct wc_index *ix);
/* So many people have a term from now on; those that are no words are passed over. */
void wc_index_word_set(struct wc_index *ix, struct wc_slice key, uint32_t people);

/* ---- index_find.c ---- */

void wc_searchers_free(struct wc_searcher *list);

#endif
