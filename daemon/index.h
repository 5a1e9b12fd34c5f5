/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search index: an LMDB environment that can be rebuilt from the records at any
 * time. Threads: one writer at a time (the committer, after wc_records_commit), any
 * number of searches.
 */
#ifndef WHOCAN_DAEMON_INDEX_H
#define WHOCAN_DAEMON_INDEX_H

#include <stdatomic.h>

#include "daemon/filter.h"
#include "daemon/people.h"
#include "daemon/records.h"
#include "daemon/spelling.h"
#include "daemon/vocabulary.h"

struct wc_index;

/*
 * Open the index of state_dir. When it is missing, of another format, analyser version
 * or vocabulary, or was left unclean by a power cut, it is rebuilt; `progress` (may be NULL)
 * is called now and then with done and total.
 */
typedef void (*wc_index_progress_fn)(void *ctx, uint64_t done, uint64_t total);
int wc_index_open(struct wc_index **out, const char *state_dir,
                  struct wc_records *records,
                  const char *const *languages, /* Snowball names, NULL-terminated:
                                                   "english", "norwegian" */
                  const struct wc_vocabulary *vocabulary, /* shared; NULL: none */
                  const uint8_t *home_key, /* as wc_index_set_home() takes it */
                  wc_index_progress_fn progress, void *ctx,
                  char problem[WC_PROBLEM_BYTES]); /* with 0: what was damaged, so that
                                                      it was built anew; or empty */
/* Look at the file of an index that is not open. -WC_ENOTFOUND: there is none; otherwise as
 * wc_store_check_file(). */
int wc_index_check_file(const char *state_dir, char problem[WC_PROBLEM_BYTES]);
/* Whose people's fields for the home office are indexed, in a scope of their own, from now
 * on: before an index of such is opened, and before people move to another key. NULL:
 * nobody's. Not while something is applied. */
void wc_index_set_home(struct wc_index *ix, const uint8_t *office_key);
void wc_index_close(struct wc_index *ix); /* marks it clean; NULL is fine */

/*
 * Take another vocabulary, or what its files have become: questions are read with it from
 * now on, and if it recognises anything else, everybody is analysed anew, in slices between
 * which others write and search. Until that is done some are found by the concepts of
 * before; an open in between builds the index anew. *stop may be set by any thread, and
 * ends it early. *people gets how many were analysed. As wc_index_apply() otherwise; never
 * on the loop thread.
 */
int wc_index_set_vocabulary(struct wc_index *ix, const struct wc_vocabulary *vocabulary,
                            const atomic_bool *stop, uint64_t *people);

/*
 * An index that is damaged answers nothing until it was made anew. wc_index_is_damaged()
 * says whether it is, and what was found (NULL: not wanted). wc_index_rebuild() makes it
 * anew from the records, in slices between which others write; meanwhile searches return
 * -WC_EBUSY. *stop may be set by any thread, and ends it early: the next open begins again.
 * 0, -WC_EFULL, -WC_EIO, -WC_ENOMEM: then too. Never on the loop thread.
 */
bool wc_index_is_damaged(struct wc_index *ix, char what[WC_PROBLEM_BYTES]);
void wc_index_found_damage(struct wc_index *ix, const char *what); /* one line */
int wc_index_rebuild(struct wc_index *ix, const atomic_bool *stop,
                     wc_index_progress_fn progress, void *ctx);
/* How far that is; false: nothing is being built. */
bool wc_index_is_building(const struct wc_index *ix, uint64_t *done, uint64_t *total);

/* Bring the people touched by committed changes up to date (cards etc. are skipped).
 * Searchable on return. A failure leaves the index behind the records; the next apply
 * or open catches up. */
int wc_index_apply(struct wc_index *ix, const struct wc_change *changes, size_t count);

/* A word or two of a question, folded, that nobody has, and what was taken for it. */
#define WC_CORRECTED_TEXT_BYTES ((size_t)2 * (WC_WORD_MAX_BYTES + 1))
struct wc_corrected {
    char from[WC_CORRECTED_TEXT_BYTES], to[WC_CORRECTED_TEXT_BYTES];
};

/* What a search took for something else: only what somebody was found by. */
struct wc_corrections {
    uint32_t count;
    struct wc_corrected items[WC_CORRECTED_MAX_COUNT * WC_SPELLED_MAX];
    struct wc_spelling_work work; /* that it took */
};

/* The stages of a search, for those who want to know how long each takes. */
enum wc_stage {
    WC_STAGE_READ,    /* the question is taken apart */
    WC_STAGE_WORDS,   /* its words are looked up and corrected */
    WC_STAGE_LISTS,   /* their lists are gone through */
    WC_STAGE_PEOPLE,  /* the best are put in order; filters look at their profiles */
    WC_STAGE_REASONS, /* why each was found */
    WC_STAGES,
};

struct wc_index_query {
    struct wc_slice text;
    uint32_t limit;
    const uint8_t *office_key; /* only this office, or NULL */
    struct wc_filter filter;   /* what else they must have */
    bool home;     /* of somebody of the home office: its own scope is searched too */
    bool near_too; /* when nobody answers: those whose concepts lie near those meant, or
                      who have what words of others may have meant */
    struct wc_corrections *corrected; /* gets what was corrected; NULL: not wanted */
    bool without_why;                 /* who, and no reasons: reads no record */
    struct wc_buf
        *explain; /* gets how it was found, packed (explain.h); NULL: not wanted */
};

#define WC_WHY_MAX 4
struct wc_hit {
    struct wc_person_ref who;
    double score;
    uint32_t why_count;
    char why[WC_WHY_MAX][160]; /* "expert in content design" */
};

/* How many people match at all; when not everybody had to be looked at (exact is false),
 * at least so many do. */
struct wc_found {
    uint64_t total;
    bool exact;
    const char *field; /* with -WC_EINVALID: "query", "team" or "language" */
    bool stops_only;   /* the question has no word but those that questions are made of:
                          it was taken as it stands */
    /* what it took */
    uint32_t words_count, terms_count; /* that count; that were looked for */
    uint64_t pieces_count;             /* of their lists, that were looked at */
    uint64_t met_count;                /* people, of those looked at */
};

/*
 * The best people for a query, best first, ties by login and then by office key.
 * Returns how many hits (<= limit) are in hits[], or a negative error: -WC_EINVALID for
 * a query or filter without a word to search for, -WC_ETOOBIG over WC_QUERY_MAX_BYTES,
 * -WC_ECORRUPT for a damaged index, -WC_EBUSY for one that is being built anew. Any
 * thread.
 */
int wc_index_find(struct wc_index *ix, const struct wc_index_query *query,
                  struct wc_hit *hits, struct wc_found *found);

/* Drop everything (after wc_records_clear). */
int wc_index_clear(struct wc_index *ix);

/* Catch up with the records, and write the index anew without what was deleted from it, as
 * wc_store_compact() does. */
int wc_index_compact(struct wc_index *ix);

struct wc_index_usage {
    uint64_t used_bytes, map_bytes, people_count, terms_count;
};
void wc_index_usage(struct wc_index *ix, struct wc_index_usage *out);
/* The bytes of one of its tables, by number from 0, with its name; false: there is none. */
bool wc_index_table(struct wc_index *ix, uint32_t table, const char **name,
                    uint64_t *bytes);
/* wc_store_longest() of its store. */
struct wc_store_longest;
void wc_index_longest(struct wc_index *ix, struct wc_store_longest *out);
/* As wc_records_tidy, and flush what was written since: may take as long as the disk
 * does, so never on the loop thread. */
void wc_index_tidy(struct wc_index *ix);

#endif
