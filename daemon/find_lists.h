/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The postings of the terms of a question, on the way through the documents. All lists
 * go forwards only, each piece of them is met once, and what a piece can give at most is
 * known before it is read.
 */
#ifndef WHOCAN_DAEMON_FIND_LISTS_H
#define WHOCAN_DAEMON_FIND_LISTS_H

#include "daemon/postings.h"
#include "daemon/question.h"
#include "daemon/store.h"

#define WC_LISTS_MAX                                                                   \
    (WC_ASKED_GROUPS_MAX * WC_ASKED_TERMS_MAX + 2 * WC_ASKED_PHRASES_MAX)

/* The postings of one term. */
struct wc_list {
    struct wc_cursor cursor;
    uint32_t number;
    uint32_t end; /* no document of the piece at hand is beyond */
    uint32_t worth;
    uint32_t bound;  /* the most that it gives to anybody in the window */
    uint32_t pieces; /* that were looked at, the same one twice in two passes */
    uint8_t max;     /* of all pieces */
    bool of_all;     /* a phrase that only people of all groups have */
    bool ended;
    struct wc_postings piece;
};

/* The lists of one group lie beside each other: first those that answer, then those whose
 * people are only near. */
struct wc_part {
    uint32_t from, near_from, to;
    uint64_t postings; /* of those that answer */
    uint64_t most;     /* that anybody may have of it, and by being near alone */
    uint64_t near_most;
    /* of those in the window */
    uint64_t bound, near_bound;
};

struct wc_lists {
    struct wc_list items[WC_LISTS_MAX]; /* of the groups, then of the phrases */
    uint32_t count, phrases_from;
    uint32_t
        closed_count; /* of those of the last search, of which the pieces are known */
    struct wc_part parts[WC_ASKED_GROUPS_MAX]; /* the rarest first */
    uint32_t part_count;
    uint64_t postings; /* of all parts */
    /* that anybody may have of all phrases, and who does not have all groups; in the
     * window */
    uint64_t phrases_most, some_phrases_most;
    uint64_t phrases_bound, some_phrases_bound;
};

/* Open the lists of a question whose terms were looked up, and stand before the first
 * document. Close them whatever this returns: -WC_ECORRUPT, -WC_EIO, -WC_ENOMEM. */
int wc_lists_open(struct wc_lists *l, struct wc_txn *t, const struct wc_question *q);
void wc_lists_close(struct wc_lists *l);
/* Stand before the first document again. */
int wc_lists_rewind(struct wc_lists *l);

/* Make the piece at hand of each list the one for documents from `from` on, and work out
 * all bounds for from..*end. whole: no answering list goes on to another piece in between,
 * and *end becomes less if need be. */
int wc_lists_bound(struct wc_lists *l, uint32_t from, bool whole, uint32_t *end);

/* The piece at hand has documents from `doc` on, or the list has ended. */
int wc_list_to(struct wc_list *l, uint32_t doc);
/* No document of the list from `base` on, where it stands, is before. */
uint32_t wc_list_next(const struct wc_list *l, uint32_t base);
/* Whether a document, not before any that was looked for or taken, is in the list: 1 and
 * its impact, or 0; -WC_ECORRUPT, -WC_EIO. */
int wc_list_find(struct wc_list *l, uint32_t doc, uint8_t *impact);
/* Set a bit for each document from..end of the piece at hand, the lowest for `base`, a
 * multiple of 64. They can still be looked for. -WC_ECORRUPT, -WC_EIO. */
int wc_list_mark(struct wc_list *l, uint32_t base, uint32_t from, uint32_t end,
                 uint64_t *bits);
/* The documents from..end with an impact of `least` or more: where they are from base on,
 * and their impacts. Returns how many, or a negative error. */
int wc_list_take(struct wc_list *l, uint32_t base, uint32_t from, uint32_t end,
                 uint8_t least, uint16_t *low, uint8_t *impact);

#endif
