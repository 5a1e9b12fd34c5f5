/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Range-based set reconciliation, as questions and answers about itemsets: what is asked,
 * what is answered, and what a leader has to remember in between. Who is asked and when,
 * and what is done about an item that lacks, is node_sync.c's. docs/reconciliation.md has
 * the bytes.
 *
 * After Meyer, "Range-Based Set Reconciliation" (SRDS 2023), with these differences:
 *
 * - Ranges are prefixes and not intervals, so that both sides keep the same tree, and no
 *   range needs two bounds.
 * - The fingerprint is a hash of count, sum and session number, and not the sum: a sum
 *   that collides for a moment collides in that session only.
 * - Of 16 branches only the beginnings of their fingerprints travel, 4 bytes each, and of
 *   items 6 bytes of a hash under the session number. What agrees by chance in one session
 *   does not in the next one. Only what decides that two sets are equal has 16 bytes.
 * - Each side fetches for itself. That costs a second descent where both lack something,
 *   and makes an office that keeps only its own records an ordinary answerer.
 *
 * Who knows the secret under which items are made could, with much work, make two sets
 * with one sum. An audit (wc_reconcile_audit) compares hashes of the items themselves,
 * under a key that nobody knew before.
 */
#ifndef WHOCAN_PROTO_RECONCILE_H
#define WHOCAN_PROTO_RECONCILE_H

#include "proto/itemset.h"
#include "proto/rng.h"
#include "proto/wire.h"

/* A leader that has more items in a range than this asks for whole items in place of short
 * ids: it would have to hash all of its own to compare them. */
#define WC_RECONCILE_IDS_MAX_COUNT 512

/* Items of a range that an audit hashes at once, in one frame, and of one range that an
 * answerer hashes at most: a count so much larger is found without an audit. */
#define WC_AUDIT_RANGE_MAX_COUNT  16384
#define WC_AUDIT_FRAME_MAX_COUNT  65536
#define WC_AUDIT_ANSWER_MAX_COUNT 32768

/* A WANT may name so many items of a range as may have come since it was listed. */
#define WC_WANT_RANGE_MAX_COUNT 128

/* A range that is to be asked about. */
struct wc_reconcile_range {
    uint8_t prefix[WC_ITEM_BYTES];
    uint16_t bits;
    uint8_t set;
    bool differs;                    /* the other side said so, */
    uint8_t branch[WC_BRANCH_BYTES]; /* by this */
};

/* An item that lacks here. */
struct wc_reconcile_need {
    uint8_t prefix[WC_ITEM_BYTES];
    uint16_t bits;
    uint8_t id[WC_SHORT_ID_BYTES];
};

/* What a leader remembers. Zero-initialise. */
struct wc_reconcile {
    uint8_t set; /* of the question that was asked last, and of all that lacks */
    uint32_t number;
    bool audit;
    uint8_t key[WC_SECRET_BYTES];
    bool asked; /* a question waits for its answer */
    struct wc_reconcile_range asked_ranges[WC_SYNC_RANGES_MAX_COUNT];
    bool asked_open[WC_SYNC_RANGES_MAX_COUNT];
    uint32_t asked_count;
    struct wc_reconcile_range *stack; /* last in, first out: so it stays small */
    uint32_t stack_count, stack_cap;
    struct wc_reconcile_need *need;
    uint32_t need_count, need_cap;
    uint32_t aside_count; /* ranges that differ and were left to others */
};

void wc_reconcile_fini(struct wc_reconcile *r); /* and zero again */

/* Begin, with both sets (WC_SET_ALL) or one, under a number that was drawn. 0 or
 * -WC_ENOMEM. */
int wc_reconcile_begin(struct wc_reconcile *r, uint8_t set, uint32_t number);
/* Begin to audit `sets` sets, 1 or 2, under a key that nobody knew before. */
int wc_reconcile_audit(struct wc_reconcile *r, uint32_t sets, uint32_t number,
                       const uint8_t key[WC_SECRET_BYTES]);

/* Whether a range is to be asked about by this leader now. */
typedef bool (*wc_reconcile_mine_fn)(void *ctx, const struct wc_reconcile_range *range);

/*
 * The next question, a SYNC or (r->audit) an AUDIT; out->count 0: there is none. `mine` may
 * be NULL; what is not mine is left out and counted. Ranges of another set than that of
 * the last question are asked about when `turn` is true. 0 or -WC_ENOMEM.
 */
int wc_reconcile_ask(struct wc_reconcile *r, const struct wc_itemset *sets, bool turn,
                     wc_reconcile_mine_fn mine, void *ctx, struct wc_wire_ranges *out);

/* The answer to it. What differs is followed in an order that is drawn. 0; -WC_EPROTOCOL:
 * it speaks of what was not asked; -WC_ENOMEM. */
int wc_reconcile_hear(struct wc_reconcile *r, const struct wc_itemset *sets,
                      const struct wc_wire_ranges *in, struct wc_rng *rng);

/* Some of what lacks, as a WANT: how many items. Slices of *out borrow from ids. */
uint32_t wc_reconcile_want(struct wc_reconcile *r, struct wc_wire_ranges *out,
                           uint8_t ids[WC_WANT_ITEMS_MAX_COUNT][WC_SHORT_ID_BYTES]);

/* ---- the other side, which remembers nothing ---- */

/* Room for the data of one answer. */
struct wc_reconcile_room {
    uint8_t bytes[WC_SYNC_RANGES_MAX_COUNT][WC_ITEM_LEAF_MAX * WC_ITEM_BYTES];
};

/* Answer a SYNC, or with `audit` an AUDIT; *differs: whether a fingerprint did. Slices of
 * *out borrow from room. 0 or -WC_ENOMEM. */
int wc_reconcile_answer(const struct wc_itemset *sets, bool audit,
                        const struct wc_wire_ranges *in, struct wc_wire_ranges *out,
                        struct wc_reconcile_room *room, bool *differs);
/* How many items answering an AUDIT hashes, for who counts. */
uint64_t wc_reconcile_cost(const struct wc_itemset *sets,
                           const struct wc_wire_ranges *in);

/* The items that a WANT means: how many are here. 0..WC_WANT_ITEMS_MAX_COUNT. */
uint32_t wc_reconcile_resolve(const struct wc_itemset *sets,
                              const struct wc_wire_ranges *want,
                              uint8_t items[WC_WANT_ITEMS_MAX_COUNT][WC_ITEM_BYTES]);

#endif
