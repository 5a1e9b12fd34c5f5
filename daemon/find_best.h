/* SPDX-License-Identifier: Apache-2.0 */
/* The best people that a search has met so far, of those who may be found at all. */
#ifndef WHOCAN_DAEMON_FIND_BEST_H
#define WHOCAN_DAEMON_FIND_BEST_H

#include "daemon/filter.h"
#include "daemon/records.h"
#include "daemon/starts.h"
#include "daemon/store.h"

struct wc_candidate {
    double rank;
    uint32_t doc;
    uint8_t start[WC_START_BYTES];
};

/* Zero-initialise. */
struct wc_best {
    struct wc_txn *txn;
    struct wc_candidate *heap; /* the worst of the best is first */
    uint32_t count, cap;
    uint32_t wanted;
    /* who may be found */
    bool one_office; /* only people of `office` */
    bool filtered;   /* only those who have at least these traits */
    bool home;       /* as the home office sees them */
    uint32_t office; /* its number */
    uint8_t least[WC_TRAITS_BYTES];
    bool ruled_out; /* somebody who answers was, by their traits */
    /* people met who may be found: who answer to some word, and who are only near */
    uint64_t seen, near;
    /* what was read last */
    struct wc_cursor attrs, start_blocks;
    const uint8_t *attr;
    struct wc_slice starts;
    uint32_t attr_block, starts_block; /* UINT32_MAX: none */
};
void wc_best_fini(struct wc_best *b);

/* Begin a search in a transaction, for so many people. wc_best_end() whatever this
 * returns: -WC_ENOMEM, -WC_EIO. */
int wc_best_begin(struct wc_best *b, struct wc_txn *t, uint32_t wanted);
void wc_best_end(struct wc_best *b);

static inline bool wc_best_full(const struct wc_best *b)
{
    return b->count == b->wanted;
}

/* Nobody with a smaller rank is among the best. */
static inline double wc_best_least(const struct wc_best *b)
{
    return wc_best_full(b) && b->count > 0 ? b->heap[0].rank : -2.0;
}

/* Somebody was met. Ranks below 0 are those of people who are only near. sure: whoever
 * does not come among the best is counted as well. -WC_ECORRUPT, -WC_EIO. */
int wc_best_meet(struct wc_best *b, uint32_t doc, double rank, bool sure);

/* Take out the worst; there is one. -WC_ECORRUPT, -WC_EIO. */
int wc_best_take(struct wc_best *b, struct wc_person_ref *who, double *rank);

#endif
