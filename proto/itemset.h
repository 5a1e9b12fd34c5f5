/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ordered set of 32-byte items, for range-based set reconciliation: a prefix tree
 * with 16 branches a level, where each subtree knows how many items it holds and their
 * sum modulo 2^256. The sum of a range therefore costs O(depth), and one change too.
 *
 * A sum and not an exclusive or: whoever chooses items could make XORs of different
 * sets agree by linear algebra. The sum is no proof either (Wagner's generalised
 * birthday attack), which is why items are digests under a secret of the organisation,
 * and why sums travel only hashed with a session number.
 *
 * Items in a leaf stand in order, and a leaf splits at 32 items. What the functions
 * return depends on the items alone, never on the order in which they came.
 */
#ifndef WHOCAN_PROTO_ITEMSET_H
#define WHOCAN_PROTO_ITEMSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WC_ITEM_BYTES     32
#define WC_ITEM_BITS_MAX  256
#define WC_ITEM_STEP_BITS 4 /* of one level */
#define WC_ITEM_BRANCHES  16
#define WC_ITEM_LEAF_MAX  32 /* items: listing so few costs less than asking again */

struct wc_item {
    uint8_t key[WC_ITEM_BYTES];
    uint32_t value; /* the owner's */
};

/* Count and sum of a range. */
struct wc_item_sum {
    uint64_t count;
    uint8_t sum[WC_ITEM_BYTES]; /* big-endian */
};

/* Zero-initialise. */
struct wc_itemset {
    struct wc_item_node *root;
};

void wc_itemset_fini(struct wc_itemset *s);

/* 0, -WC_EEXISTS, -WC_ENOMEM (nothing changed). */
int wc_itemset_insert(struct wc_itemset *s, const uint8_t key[WC_ITEM_BYTES],
                      uint32_t value);

/* Whether it was there. */
bool wc_itemset_remove(struct wc_itemset *s, const uint8_t key[WC_ITEM_BYTES]);
bool wc_itemset_find(const struct wc_itemset *s, const uint8_t key[WC_ITEM_BYTES],
                     uint32_t *value);

/* How many items there are. */
uint64_t wc_itemset_count(const struct wc_itemset *s);

/* The items that start with the first `bits` bits of prefix (a multiple of 4, at most
 * 256): their count and sum. */
void wc_itemset_range(const struct wc_itemset *s, const uint8_t prefix[WC_ITEM_BYTES],
                      uint32_t bits, struct wc_item_sum *out);

/* How many they are. */
uint64_t wc_itemset_range_count(const struct wc_itemset *s,
                                const uint8_t prefix[WC_ITEM_BYTES], uint32_t bits);

/* The first `max` of them in order, WC_ITEM_BYTES each, one after the other; returns how
 * many. */
size_t wc_itemset_keys(const struct wc_itemset *s, const uint8_t prefix[WC_ITEM_BYTES],
                       uint32_t bits, uint8_t *out, size_t max);

/* The same with their values. */
size_t wc_itemset_list(const struct wc_itemset *s, const uint8_t prefix[WC_ITEM_BYTES],
                       uint32_t bits, struct wc_item *out, size_t max);

/* The greatest item; false when the set is empty. */
bool wc_itemset_last(const struct wc_itemset *s, struct wc_item *out);

/* Whether key starts with the first `bits` bits of prefix. */
bool wc_item_within(const uint8_t key[WC_ITEM_BYTES],
                    const uint8_t prefix[WC_ITEM_BYTES], uint32_t bits);

/* The four bits of a key at a level, and a prefix with other ones there. */
unsigned wc_item_branch(const uint8_t key[WC_ITEM_BYTES], uint32_t bits);
void wc_item_set_branch(uint8_t key[WC_ITEM_BYTES], uint32_t bits, unsigned branch);

#endif
