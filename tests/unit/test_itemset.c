/* SPDX-License-Identifier: Apache-2.0 */
/* The ordered set of items against a list that is searched from end to end, and sets
 * made to be awkward. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#include "proto/itemset.h"
#include "proto/rng.h"
#include "tests/unit/unit.h"

#define MODEL_MAX 6000

/* ---- a model: items in order, everything else by looking at each ---- */

struct model {
    struct wc_item items[MODEL_MAX];
    size_t count;
};

static size_t model_place(const struct model *m, const uint8_t *key, bool *found)
{
    size_t i = 0;
    while (i < m->count && memcmp(m->items[i].key, key, WC_ITEM_BYTES) < 0)
        i++;
    *found = i < m->count && memcmp(m->items[i].key, key, WC_ITEM_BYTES) == 0;
    return i;
}

static void model_insert(struct model *m, const uint8_t *key, uint32_t value)
{
    bool found;
    size_t i = model_place(m, key, &found);
    assert_false(found);
    assert_true(m->count < MODEL_MAX);
    memmove(&m->items[i + 1], &m->items[i], (m->count - i) * sizeof(m->items[0]));
    memcpy(m->items[i].key, key, WC_ITEM_BYTES);
    m->items[i].value = value;
    m->count++;
}

static void model_remove(struct model *m, size_t i)
{
    m->count--;
    memmove(&m->items[i], &m->items[i + 1], (m->count - i) * sizeof(m->items[0]));
}

/* One byte of addition at a time, with a carry, as at school. */
static void model_sum(const struct model *m, const uint8_t *prefix, uint32_t bits,
                      struct wc_item_sum *out)
{
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < m->count; i++) {
        unsigned carry = 0;
        if (!wc_item_within(m->items[i].key, prefix, bits))
            continue;
        out->count++;
        for (int b = WC_ITEM_BYTES - 1; b >= 0; b--) {
            carry += (unsigned)out->sum[b] + m->items[i].key[b];
            out->sum[b] = (uint8_t)carry;
            carry >>= 8;
        }
    }
}

static void check_range(const struct wc_itemset *s, const struct model *m,
                        const uint8_t *prefix, uint32_t bits)
{
    struct wc_item_sum got, want;
    static struct wc_item listed[MODEL_MAX];
    wc_itemset_range(s, prefix, bits, &got);
    model_sum(m, prefix, bits, &want);
    assert_int_equal(got.count, want.count);
    assert_memory_equal(got.sum, want.sum, sizeof(want.sum));

    size_t count = wc_itemset_list(s, prefix, bits, listed, MODEL_MAX), at = 0;
    assert_int_equal(count, want.count);
    for (size_t i = 0; i < m->count; i++) {
        if (!wc_item_within(m->items[i].key, prefix, bits))
            continue;
        assert_memory_equal(listed[at].key, m->items[i].key, WC_ITEM_BYTES);
        assert_int_equal(listed[at].value, m->items[i].value);
        at++;
    }
    if (count > 1) /* the first ones, when there is room for fewer */
        assert_int_equal(wc_itemset_list(s, prefix, bits, listed, count - 1),
                         count - 1);
}

static void check_all(const struct wc_itemset *s, const struct model *m,
                      struct wc_rng *rng)
{
    static const uint8_t zero[WC_ITEM_BYTES];
    struct wc_item last;
    check_range(s, m, zero, 0);
    assert_int_equal(wc_itemset_count(s), m->count);
    assert_int_equal(wc_itemset_last(s, &last), m->count > 0);
    if (m->count == 0)
        return;
    assert_memory_equal(last.key, m->items[m->count - 1].key, WC_ITEM_BYTES);
    for (int i = 0; i < 20; i++) {
        const struct wc_item *item = &m->items[wc_rng_below(rng, m->count)];
        uint32_t value;
        assert_true(wc_itemset_find(s, item->key, &value));
        assert_int_equal(value, item->value);
        /* past the depth of most trees only the longest */
        for (uint32_t bits = 4; bits <= 28; bits += 4)
            check_range(s, m, item->key, bits);
        check_range(s, m, item->key, WC_ITEM_BITS_MAX);
    }
}

static void random_key(struct wc_rng *rng, uint8_t *key)
{
    for (int i = 0; i < WC_ITEM_BYTES; i += 8)
        wc_put_u64(key + i, wc_rng_u64(rng));
}

/* ---- tests ---- */

static void behaves_as_a_searched_list(void **state)
{
    (void)state;
    static struct model m;
    struct wc_itemset s = {0};
    struct wc_rng rng;
    uint8_t key[WC_ITEM_BYTES];
    const uint64_t seed = 20260101;
    print_message("seed %llu\n", (unsigned long long)seed);
    wc_rng_init(&rng, seed);
    m.count = 0;
    /* mostly growing, then mostly shrinking, to nothing */
    for (uint32_t step = 0; step < 12000 || m.count > 0; step++) {
        bool grow = wc_rng_below(&rng, 10) < (step < 6000 ? 8u : 2u);
        if (grow && step < 12000) {
            random_key(&rng, key);
            model_insert(&m, key, step);
            assert_int_equal(wc_itemset_insert(&s, key, step), 0);
            assert_int_equal(wc_itemset_insert(&s, key, step), -WC_EEXISTS);
        } else if (m.count > 0) {
            size_t i = wc_rng_below(&rng, m.count);
            memcpy(key, m.items[i].key, WC_ITEM_BYTES);
            model_remove(&m, i);
            assert_true(wc_itemset_remove(&s, key));
            assert_false(wc_itemset_remove(&s, key));
        }
        if (step % 1500 == 0)
            check_all(&s, &m, &rng);
    }
    check_all(&s, &m, &rng);
    assert_null(s.root);
}

/* Whoever can choose items can make them share a long prefix. */
static void takes_items_with_a_common_prefix(void **state)
{
    (void)state;
    static struct model m;
    struct wc_itemset s = {0};
    struct wc_rng rng;
    uint8_t key[WC_ITEM_BYTES] = {0xab};
    wc_rng_init(&rng, 7);
    m.count = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        wc_put_u32(key + WC_ITEM_BYTES - 4, i * 7919);
        model_insert(&m, key, i);
        assert_int_equal(wc_itemset_insert(&s, key, i), 0);
    }
    check_all(&s, &m, &rng);
    while (m.count > 0) {
        memcpy(key, m.items[m.count / 2].key, WC_ITEM_BYTES);
        model_remove(&m, m.count / 2);
        assert_true(wc_itemset_remove(&s, key));
        if (m.count % 97 == 0)
            check_all(&s, &m, &rng);
    }
    assert_null(s.root);
}

/* Sets that are equal under XOR and not equal: the sum tells them apart. */
static void tells_apart_what_xor_does_not(void **state)
{
    (void)state;
    static const uint8_t zero[WC_ITEM_BYTES];
    struct wc_itemset a = {0}, b = {0};
    struct wc_item_sum sum_a, sum_b;
    uint8_t key[WC_ITEM_BYTES] = {0};
    const uint8_t first[] = {1, 2}, second[] = {4, 7}; /* 1^2 = 4^7 = 3 */
    for (uint32_t i = 0; i < 2; i++) {
        key[0] = first[i];
        assert_int_equal(wc_itemset_insert(&a, key, i), 0);
        key[0] = second[i];
        assert_int_equal(wc_itemset_insert(&b, key, i), 0);
    }
    wc_itemset_range(&a, zero, 0, &sum_a);
    wc_itemset_range(&b, zero, 0, &sum_b);
    assert_int_equal(sum_a.count, sum_b.count);
    assert_memory_not_equal(sum_a.sum, sum_b.sum, WC_ITEM_BYTES);
    wc_itemset_fini(&a);
    wc_itemset_fini(&b);
}

/* What came and went leaves no trace: the order of changes does not show. */
static void does_not_depend_on_the_order_of_changes(void **state)
{
    (void)state;
    static const uint8_t zero[WC_ITEM_BYTES];
    struct wc_itemset a = {0}, b = {0};
    struct wc_item_sum sum_a, sum_b;
    struct wc_rng rng;
    static uint8_t keys[2000][WC_ITEM_BYTES];
    static struct wc_item list_a[2000], list_b[2000];
    wc_rng_init(&rng, 11);
    for (uint32_t i = 0; i < 2000; i++) {
        random_key(&rng, keys[i]);
        assert_int_equal(wc_itemset_insert(&a, keys[i], i), 0);
    }
    for (uint32_t i = 1000; i < 2000; i++)
        assert_true(wc_itemset_remove(&a, keys[i]));
    for (uint32_t i = 1000; i-- > 0;)
        assert_int_equal(wc_itemset_insert(&b, keys[i], i), 0);
    for (unsigned branch = 0; branch < WC_ITEM_BRANCHES; branch++) {
        uint8_t prefix[WC_ITEM_BYTES] = {0};
        wc_item_set_branch(prefix, 0, branch);
        wc_itemset_range(&a, prefix, 4, &sum_a);
        wc_itemset_range(&b, prefix, 4, &sum_b);
        assert_memory_equal(&sum_a, &sum_b, sizeof(sum_a));
    }
    assert_int_equal(wc_itemset_list(&a, zero, 0, list_a, 2000), 1000);
    assert_int_equal(wc_itemset_list(&b, zero, 0, list_b, 2000), 1000);
    for (int i = 0; i < 1000; i++)
        assert_memory_equal(list_a[i].key, list_b[i].key, WC_ITEM_BYTES);
    wc_itemset_fini(&a);
    wc_itemset_fini(&b);
}

static void reads_and_writes_branches(void **state)
{
    (void)state;
    uint8_t key[WC_ITEM_BYTES] = {0};
    for (uint32_t bits = 0; bits < WC_ITEM_BITS_MAX; bits += WC_ITEM_STEP_BITS)
        wc_item_set_branch(key, bits, bits / 4 % 16);
    assert_int_equal(key[0], 0x01);
    assert_int_equal(key[1], 0x23);
    assert_int_equal(key[WC_ITEM_BYTES - 1], 0xef);
    for (uint32_t bits = 0; bits < WC_ITEM_BITS_MAX; bits += WC_ITEM_STEP_BITS)
        assert_int_equal(wc_item_branch(key, bits), bits / 4 % 16);
    wc_item_set_branch(key, 4, 9); /* the rest stays */
    assert_int_equal(key[0], 0x09);
    assert_true(wc_item_within(key, key, WC_ITEM_BITS_MAX));
    uint8_t other[WC_ITEM_BYTES];
    memcpy(other, key, sizeof(other));
    other[1] ^= 0x10;
    assert_true(wc_item_within(other, key, 8));
    assert_false(wc_item_within(other, key, 12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_as_a_searched_list),
        cmocka_unit_test(takes_items_with_a_common_prefix),
        cmocka_unit_test(tells_apart_what_xor_does_not),
        cmocka_unit_test(does_not_depend_on_the_order_of_changes),
        cmocka_unit_test(reads_and_writes_branches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
