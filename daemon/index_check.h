/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the index and the records are as they should be, looked at in slices while
 * others search and write. Each slice is one short read transaction, so what it compares
 * belongs together; a person whose record and index differ is looked at again when the
 * index has caught up, since records are committed first.
 */
#ifndef WHOCAN_DAEMON_INDEX_CHECK_H
#define WHOCAN_DAEMON_INDEX_CHECK_H

#include "daemon/index.h"

enum wc_check_step {
    WC_CHECK_RECORDS,  /* each record decodes and is as it was stored; signatures */
    WC_CHECK_VALUES,   /* each value of the index is as it was written */
    WC_CHECK_WORDS,    /* the dictionary: numbers, names and counts belong together */
    WC_CHECK_POSTINGS, /* lists are sound; as long and as high as the dictionary says */
    WC_CHECK_PEOPLE,   /* documents, logins, offices and lists belong together */
    WC_CHECK_SAME,     /* who has a record is indexed, by what the record says */
    WC_CHECK_STEPS,
};

struct wc_check_result {
    uint64_t looked, faults;
    char first
        [WC_PROBLEM_BYTES]; /* the first fault, in words; no name, no text of people */
};

/* What a check looks at: all of it is borrowed. Nothing else may clear the records. */
struct wc_check_options {
    struct wc_index *ix; /* NULL: there is none, the records alone are looked at */
    struct wc_records *records;
    bool
        full; /* all signatures, all postings and everybody's words, not samples of them */
};

struct wc_check;
int wc_check_new(struct wc_check **out,
                 const struct wc_check_options *options); /* -WC_ENOMEM */
void wc_check_free(struct wc_check *c);                   /* NULL is fine */

/* Go on for one slice: some milliseconds. 1: there is more; 0: that was all. -WC_EBUSY:
 * the index is being built anew; -WC_EIO, -WC_ENOMEM. Not on the loop thread. */
int wc_check_go_on(struct wc_check *c);

enum wc_check_step wc_check_at(const struct wc_check *c);
/* Of the step at hand: how much of how much. */
void wc_check_progress(const struct wc_check *c, uint64_t *done, uint64_t *total);
const struct wc_check_result *wc_check_result(const struct wc_check *c,
                                              enum wc_check_step step);
/* Faults of the index, which are all mended by building it anew. */
uint64_t wc_check_index_faults(const struct wc_check *c);

/* "records", "values", ...: the name of a step, and what it looks at, in words. */
const char *wc_check_name(enum wc_check_step step);
const char *wc_check_means(enum wc_check_step step);

/*
 * The slow round through all values of an index: look at about max_bytes of them, from
 * where *sweep says (zero: the start) on. *whole is true when a round ended. Damage is
 * noted in the index. 0, -WC_EIO, -WC_EBUSY.
 */
struct wc_sweep {
    uint32_t table;
    size_t key_len;
    uint8_t key[512]; /* go on behind it */
};
int wc_index_sweep(struct wc_index *ix, struct wc_sweep *sweep, uint64_t max_bytes,
                   bool *whole);

#endif
