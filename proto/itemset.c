/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/itemset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#define LIMBS 4

/* An inner node that sinks to this many items becomes a leaf again: well below the
 * number that splits one, so that adding and removing an item in turn stays cheap. */
#define MERGE_AT (WC_ITEM_LEAF_MAX / 2)

struct wc_item_node {
    uint64_t count;
    uint64_t sum[LIMBS];            /* least significant first */
    struct wc_item_node **children; /* 16, each NULL or not empty; NULL in a leaf */
    struct wc_item *items;          /* of a leaf, in order */
    uint32_t items_cap;
};

/* ---- keys ---- */

unsigned wc_item_branch(const uint8_t key[WC_ITEM_BYTES], uint32_t bits)
{
    uint8_t byte = key[bits / 8];
    return bits % 8 == 0 ? byte >> 4 : byte & 15;
}

void wc_item_set_branch(uint8_t key[WC_ITEM_BYTES], uint32_t bits, unsigned branch)
{
    uint8_t *byte = &key[bits / 8];
    *byte =
        (uint8_t)(bits % 8 == 0 ? (*byte & 15) | branch << 4 : (*byte & 0xf0) | branch);
}

bool wc_item_within(const uint8_t key[WC_ITEM_BYTES],
                    const uint8_t prefix[WC_ITEM_BYTES], uint32_t bits)
{
    if (memcmp(key, prefix, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || (key[bits / 8] ^ prefix[bits / 8]) >> 4 == 0;
}

/* ---- sums modulo 2^256 ---- */

static void sum_add_limbs(uint64_t sum[LIMBS], const uint64_t more[LIMBS])
{
    uint64_t carry = 0;
    for (int i = 0; i < LIMBS; i++) {
        uint64_t s = sum[i] + more[i], t = s + carry;
        carry = (uint64_t)(s < more[i]) + (t < s);
        sum[i] = t;
    }
}

static void key_limbs(const uint8_t key[WC_ITEM_BYTES], uint64_t out[LIMBS])
{
    for (int i = 0; i < LIMBS; i++)
        out[i] = wc_get_u64(key + (size_t)8 * (size_t)(LIMBS - 1 - i));
}

static void sum_add(uint64_t sum[LIMBS], const uint8_t key[WC_ITEM_BYTES])
{
    uint64_t more[LIMBS];
    key_limbs(key, more);
    sum_add_limbs(sum, more);
}

/* Minus x is the complement of x, plus one. */
static void sum_subtract(uint64_t sum[LIMBS], const uint8_t key[WC_ITEM_BYTES])
{
    static const uint64_t one[LIMBS] = {1};
    uint64_t less[LIMBS];
    key_limbs(key, less);
    for (int i = 0; i < LIMBS; i++)
        less[i] = ~less[i];
    sum_add_limbs(sum, less);
    sum_add_limbs(sum, one);
}

/* ---- nodes ---- */

static void node_free(struct wc_item_node *n)
{
    if (n == NULL)
        return;
    for (unsigned i = 0; n->children != NULL && i < WC_ITEM_BRANCHES; i++)
        node_free(n->children[i]);
    free(n->children);
    free(n->items);
    free(n);
}

void wc_itemset_fini(struct wc_itemset *s)
{
    node_free(s->root);
    s->root = NULL;
}

/* Where key stands or would stand in a leaf. */
static uint32_t leaf_search(const struct wc_item_node *n,
                            const uint8_t key[WC_ITEM_BYTES], bool *found)
{
    uint32_t low = 0, high = (uint32_t)n->count;
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = memcmp(n->items[middle].key, key, WC_ITEM_BYTES);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int leaf_room(struct wc_item_node *n)
{
    if (n->count < n->items_cap)
        return 0;
    uint32_t cap = n->items_cap == 0 ? 4 : 2 * n->items_cap;
    struct wc_item *items = realloc(n->items, cap * sizeof(*items));
    if (items == NULL)
        return -WC_ENOMEM;
    n->items = items;
    n->items_cap = cap;
    return 0;
}

/* Add an item greater than all in the leaf. */
static int leaf_append(struct wc_item_node *n, const struct wc_item *item)
{
    if (leaf_room(n) != 0)
        return -WC_ENOMEM;
    n->items[n->count++] = *item;
    sum_add(n->sum, item->key);
    return 0;
}

/* Turn a full leaf at a depth into an inner node. Without memory it stays a leaf, which
 * is slower and still right. */
static void leaf_split(struct wc_item_node *n, uint32_t bits)
{
    struct wc_item_node **children =
        calloc(WC_ITEM_BRANCHES, sizeof(struct wc_item_node *));
    if (children == NULL)
        return;
    for (uint64_t i = 0; i < n->count; i++) {
        struct wc_item_node **child = &children[wc_item_branch(n->items[i].key, bits)];
        if (*child == NULL)
            *child = calloc(1, sizeof(**child));
        if (*child == NULL || leaf_append(*child, &n->items[i]) != 0) {
            for (unsigned c = 0; c < WC_ITEM_BRANCHES; c++)
                node_free(children[c]);
            free(children);
            return;
        }
    }
    free(n->items);
    n->items = NULL;
    n->items_cap = 0;
    n->children = children;
}

static size_t collect(const struct wc_item_node *n, struct wc_item *out, size_t max)
{
    if (n == NULL || max == 0)
        return 0;
    if (n->children == NULL) {
        size_t count = n->count < max ? (size_t)n->count : max;
        memcpy(out, n->items, count * sizeof(*out));
        return count;
    }
    size_t count = 0;
    for (unsigned i = 0; i < WC_ITEM_BRANCHES; i++)
        count += collect(n->children[i], out + count, max - count);
    return count;
}

/* Turn a thin inner node into a leaf; its count and sum stay. */
static void node_merge(struct wc_item_node *n)
{
    struct wc_item *items = malloc(WC_ITEM_LEAF_MAX * sizeof(*items));
    if (items == NULL)
        return;
    collect(n, items, WC_ITEM_LEAF_MAX);
    for (unsigned i = 0; i < WC_ITEM_BRANCHES; i++)
        node_free(n->children[i]);
    free(n->children);
    n->children = NULL;
    n->items = items;
    n->items_cap = WC_ITEM_LEAF_MAX;
}

/* ---- changes ---- */

int wc_itemset_insert(struct wc_itemset *s, const uint8_t key[WC_ITEM_BYTES],
                      uint32_t value)
{
    struct wc_item_node **at = &s->root;
    uint32_t bits = 0;
    for (; *at != NULL && (*at)->children != NULL; bits += WC_ITEM_STEP_BITS)
        at = &(*at)->children[wc_item_branch(key, bits)];

    /* first what can fail, then the counts and sums on the way down */
    bool found = false, fresh = *at == NULL;
    if (fresh && (*at = calloc(1, sizeof(**at))) == NULL)
        return -WC_ENOMEM;
    struct wc_item_node *leaf = *at;
    uint32_t i = leaf_search(leaf, key, &found);
    if (found)
        return -WC_EEXISTS;
    if (leaf_room(leaf) != 0) {
        if (fresh) {
            free(leaf);
            *at = NULL;
        }
        return -WC_ENOMEM;
    }
    memmove(&leaf->items[i + 1], &leaf->items[i],
            (size_t)(leaf->count - i) * sizeof(*leaf->items));
    memcpy(leaf->items[i].key, key, WC_ITEM_BYTES);
    leaf->items[i].value = value;

    struct wc_item_node *n = s->root;
    for (uint32_t b = 0;; b += WC_ITEM_STEP_BITS) {
        n->count++;
        sum_add(n->sum, key);
        if (n == leaf)
            break;
        n = n->children[wc_item_branch(key, b)];
    }
    if (leaf->count > WC_ITEM_LEAF_MAX && bits < WC_ITEM_BITS_MAX)
        leaf_split(leaf, bits);
    return 0;
}

/* The leaf that may hold key, or NULL. */
static struct wc_item_node *find_leaf(const struct wc_itemset *s,
                                      const uint8_t key[WC_ITEM_BYTES])
{
    struct wc_item_node *n = s->root;
    for (uint32_t bits = 0; n != NULL && n->children != NULL; bits += WC_ITEM_STEP_BITS)
        n = n->children[wc_item_branch(key, bits)];
    return n;
}

bool wc_itemset_remove(struct wc_itemset *s, const uint8_t key[WC_ITEM_BYTES])
{
    bool found = false;
    struct wc_item_node *leaf = find_leaf(s, key);
    uint32_t i = leaf == NULL ? 0 : leaf_search(leaf, key, &found);
    if (!found)
        return false;
    memmove(&leaf->items[i], &leaf->items[i + 1],
            (size_t)(leaf->count - i - 1) * sizeof(*leaf->items));

    struct wc_item_node **at = &s->root;
    for (uint32_t bits = 0;; bits += WC_ITEM_STEP_BITS) {
        struct wc_item_node *n = *at;
        n->count--;
        sum_subtract(n->sum, key);
        if (n->count == 0) {
            node_free(n);
            *at = NULL;
            return true;
        }
        if (n->children == NULL)
            return true;
        at = &n->children[wc_item_branch(key, bits)];
        if (n->count <= MERGE_AT) {
            leaf->count--; /* the leaf has not been reached yet and is read now */
            node_merge(n);
            if (n->children == NULL)
                return true;
            leaf->count++;
        }
    }
}

/* ---- looking ---- */

bool wc_itemset_find(const struct wc_itemset *s, const uint8_t key[WC_ITEM_BYTES],
                     uint32_t *value)
{
    bool found = false;
    const struct wc_item_node *leaf = find_leaf(s, key);
    uint32_t i = leaf == NULL ? 0 : leaf_search(leaf, key, &found);
    if (found)
        *value = leaf->items[i].value;
    return found;
}

uint64_t wc_itemset_count(const struct wc_itemset *s)
{
    return s->root == NULL ? 0 : s->root->count;
}

/* The node that holds all items of a range and, unless it is a leaf, no others. */
static const struct wc_item_node *find_range(const struct wc_itemset *s,
                                             const uint8_t prefix[WC_ITEM_BYTES],
                                             uint32_t bits)
{
    assert(bits <= WC_ITEM_BITS_MAX && bits % WC_ITEM_STEP_BITS == 0);
    const struct wc_item_node *n = s->root;
    for (uint32_t b = 0; b < bits && n != NULL && n->children != NULL;
         b += WC_ITEM_STEP_BITS)
        n = n->children[wc_item_branch(prefix, b)];
    return n;
}

void wc_itemset_range(const struct wc_itemset *s, const uint8_t prefix[WC_ITEM_BYTES],
                      uint32_t bits, struct wc_item_sum *out)
{
    const struct wc_item_node *n = find_range(s, prefix, bits);
    uint64_t sum[LIMBS] = {0};
    out->count = 0;
    if (n != NULL && n->children != NULL) {
        out->count = n->count;
        memcpy(sum, n->sum, sizeof(sum));
    } else if (n != NULL) {
        for (uint64_t i = 0; i < n->count; i++) {
            if (!wc_item_within(n->items[i].key, prefix, bits))
                continue;
            out->count++;
            sum_add(sum, n->items[i].key);
        }
    }
    for (int i = 0; i < LIMBS; i++)
        wc_put_u64(out->sum + (size_t)8 * (size_t)(LIMBS - 1 - i), sum[i]);
}

uint64_t wc_itemset_range_count(const struct wc_itemset *s,
                                const uint8_t prefix[WC_ITEM_BYTES], uint32_t bits)
{
    const struct wc_item_node *n = find_range(s, prefix, bits);
    uint64_t count = 0;
    if (n == NULL || n->children != NULL)
        return n == NULL ? 0 : n->count;
    for (uint64_t i = 0; i < n->count; i++)
        count += wc_item_within(n->items[i].key, prefix, bits);
    return count;
}

static size_t collect_keys(const struct wc_item_node *n,
                           const uint8_t prefix[WC_ITEM_BYTES], uint32_t bits,
                           uint8_t *out, size_t max)
{
    size_t count = 0;
    if (n == NULL)
        return 0;
    for (unsigned i = 0; n->children != NULL && i < WC_ITEM_BRANCHES; i++)
        count += collect_keys(n->children[i], prefix, bits, out + count * WC_ITEM_BYTES,
                              max - count);
    for (uint64_t i = 0; n->children == NULL && i < n->count && count < max; i++) {
        if (wc_item_within(n->items[i].key, prefix, bits))
            memcpy(out + count++ * WC_ITEM_BYTES, n->items[i].key, WC_ITEM_BYTES);
    }
    return count;
}

size_t wc_itemset_keys(const struct wc_itemset *s, const uint8_t prefix[WC_ITEM_BYTES],
                       uint32_t bits, uint8_t *out, size_t max)
{
    return collect_keys(find_range(s, prefix, bits), prefix, bits, out, max);
}

size_t wc_itemset_list(const struct wc_itemset *s, const uint8_t prefix[WC_ITEM_BYTES],
                       uint32_t bits, struct wc_item *out, size_t max)
{
    const struct wc_item_node *n = find_range(s, prefix, bits);
    if (n == NULL)
        return 0;
    if (n->children != NULL)
        return collect(n, out, max);
    size_t count = 0;
    for (uint64_t i = 0; i < n->count && count < max; i++) {
        if (wc_item_within(n->items[i].key, prefix, bits))
            out[count++] = n->items[i];
    }
    return count;
}

bool wc_itemset_last(const struct wc_itemset *s, struct wc_item *out)
{
    const struct wc_item_node *n = s->root;
    while (n != NULL && n->children != NULL) {
        unsigned i = WC_ITEM_BRANCHES - 1;
        while (n->children[i] == NULL)
            i--;
        n = n->children[i];
    }
    if (n == NULL)
        return false;
    *out = n->items[n->count - 1];
    return true;
}
