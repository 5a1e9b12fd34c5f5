/* SPDX-License-Identifier: Apache-2.0 */
/* Reconciliation without nodes: that sets become the same, what that costs, sets that are
 * made to look alike, and what the other side may not say. */
#include <stdio.h>

#include <whocan/error.h>

#include "tests/unit/reconciling.h"
#include "tests/unit/unit.h"

static struct wc_itemset a[WC_SETS_COUNT], b[WC_SETS_COUNT];
static struct wc_rng rng;

static int begin(void **state)
{
    (void)state;
    wc_rng_init(&rng, 20260322);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < WC_SETS_COUNT; i++) {
        wc_itemset_fini(&a[i]);
        wc_itemset_fini(&b[i]);
    }
    return 0;
}

static void add(struct wc_itemset *s, const uint8_t *item)
{
    assert_int_equal(wc_itemset_insert(s, item, 0), 0);
}

/* The same in both, but for so many in each place. */
static void fill(uint32_t set, uint32_t common, uint32_t only_a, uint32_t only_b)
{
    uint8_t item[WC_ITEM_BYTES];
    for (uint32_t i = 0; i < common + only_a + only_b; i++) {
        reconciling_item(&rng, item);
        if (i < common + only_a)
            add(&a[set], item);
        if (i < common || i >= common + only_a)
            add(&b[set], item);
    }
}

static bool same(uint32_t set)
{
    static const uint8_t all[WC_ITEM_BYTES];
    struct wc_item_sum x, y;
    wc_itemset_range(&a[set], all, 0, &x);
    wc_itemset_range(&b[set], all, 0, &y);
    return x.count == y.count && memcmp(x.sum, y.sum, sizeof(x.sum)) == 0;
}

/* ---- what becomes of sets, and what it costs ---- */

static void each_side_fetches_what_it_lacks(void **state)
{
    (void)state;
    static const uint32_t sizes[][3] = {
        {0, 0, 0},    {0, 1, 0},  {0, 0, 1},       {1, 0, 0},       {0, 3000, 0},
        {0, 0, 5000}, {33, 1, 1}, {500, 500, 500}, {20000, 40, 60}, {9000, 0, 1}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct reconciling_cost to_a = {0}, to_b = {0};
        fill(0, sizes[i][0] / 10, sizes[i][1] / 10, sizes[i][2] / 10);
        fill(1, sizes[i][0], sizes[i][1], sizes[i][2]);
        reconciling_session(a, b, &rng, &to_a);
        reconciling_session(b, a, &rng, &to_b);
        assert_int_equal(to_a.came, sizes[i][2] + sizes[i][2] / 10);
        assert_int_equal(to_b.came, sizes[i][1] + sizes[i][1] / 10);
        assert_true(same(0));
        assert_true(same(1));
        end(NULL);
    }
}

static void differences_cost_little(void **state)
{
    (void)state;
    struct reconciling_cost cost = {0};
    fill(1, 60000, 0, 0);
    fill(0, 300, 0, 0);
    reconciling_session(a, b, &rng, &cost);
    assert_int_equal(cost.frames, 2);
    assert_true(cost.bytes <= 48);
    for (uint32_t lacks = 1; lacks <= 100; lacks *= 10) {
        fill(1, 0, 0, lacks);
        cost = (struct reconciling_cost){0};
        reconciling_session(a, b, &rng, &cost);
        print_message("%u of 60,000 lack: %llu bytes\n", lacks,
                      (unsigned long long)cost.bytes);
        assert_int_equal(cost.came, lacks);
        assert_true(cost.bytes <= 300 + 400 * lacks);
    }
    assert_true(same(1));
}

/* Cards are all there before anything else is asked about. */
static void set_0_is_done_before_set_1(void **state)
{
    (void)state;
    struct wc_reconcile r = {0};
    struct reconciling_cost cost = {0};
    bool other = false;
    fill(0, 400, 0, 100);
    fill(1, 400, 0, 100);
    assert_int_equal(wc_reconcile_begin(&r, WC_SET_ALL, 4), 0);
    while (reconciling_round(&r, a, b, &rng, &cost)) {
        other = other || r.set == 1;
        assert_true(!other || wc_itemset_count(&a[0]) == 500);
    }
    assert_true(other && same(0) && same(1));
    wc_reconcile_fini(&r);
}

/* ---- sets made to look alike ---- */

/* Whoever can choose items finds sets with one XOR by solving equations. Here the simplest:
 * four that cancel out. */
static void sets_of_one_xor_are_found_different(void **state)
{
    (void)state;
    struct reconciling_cost cost = {0};
    fill(1, 1000, 0, 0);
    for (int side = 0; side < 2; side++) {
        uint8_t item[WC_ITEM_BYTES], last[WC_ITEM_BYTES] = {0};
        for (int i = 0; i < 3; i++) {
            reconciling_item(&rng, item);
            for (int k = 0; k < WC_ITEM_BYTES; k++)
                last[k] ^= item[k];
            add(side == 0 ? &a[1] : &b[1], item);
        }
        add(side == 0 ? &a[1] : &b[1], last);
    }
    reconciling_session(a, b, &rng, &cost);
    assert_int_equal(cost.came, 4);
}

/* As many items with one sum, which is much harder to make: two that are one more and one
 * less than two others. */
static void make_one_sum(void)
{
    uint8_t item[WC_ITEM_BYTES];
    fill(1, 1000, 0, 0);
    for (int i = 0; i < 2; i++) {
        reconciling_item(&rng, item);
        item[WC_ITEM_BYTES - 1] = 100;
        add(&a[1], item);
        item[WC_ITEM_BYTES - 1] = i == 0 ? 101 : 99;
        add(&b[1], item);
    }
    assert_true(same(1));
}

static void sets_of_one_sum_are_found_by_an_audit(void **state)
{
    (void)state;
    struct reconciling_cost cost = {0};
    make_one_sum();
    reconciling_session(a, b, &rng, &cost);
    assert_int_equal(cost.came, 0); /* that is what audits are for */
    reconciling_audit(a, b, &rng, &cost);
    assert_int_equal(cost.came, 2);
    reconciling_audit(b, a, &rng, &cost);
    assert_int_equal(cost.came, 4);
    assert_int_equal(wc_itemset_count(&a[1]), 1004);
}

static void an_audit_of_equal_sets_finds_nothing(void **state)
{
    (void)state;
    struct reconciling_cost cost = {0};
    fill(0, 100, 0, 0);
    fill(1, 50000, 0, 0); /* more than it hashes at once */
    reconciling_audit(a, b, &rng, &cost);
    assert_int_equal(cost.came, 0);
    assert_true(cost.rounds >= 2);
    assert_true(cost.bytes < 2000);
}

/* Two items of which one short id stands for both, in one session: the next one finds it. */
static void short_ids_that_meet_do_so_once(void **state)
{
    (void)state;
    struct reconciling_cost cost = {0};
    uint8_t x[WC_ITEM_BYTES] = {1}, id_x[2][WC_SHORT_ID_BYTES], y[WC_ITEM_BYTES];
    uint8_t id_y[WC_SHORT_ID_BYTES];
    uint64_t tries = 0;
    fill(1, 3000, 0, 0);
    for (uint32_t s = 0; s < 2; s++)
        wc_wire_short_id(id_x[s], x, s);
    memcpy(y, x, sizeof(y));
    do { /* two of the six bytes: the whole is out of a test's reach */
        wc_put_u64(y + 8, ++tries);
        wc_wire_short_id(id_y, y, 0);
    } while (memcmp(id_y, id_x[0], 2) != 0);
    wc_wire_short_id(id_y, y, 1);
    assert_memory_not_equal(id_y, id_x[1], 2);
    add(&a[1], x);
    add(&b[1], y);
    reconciling_session(a, b, &rng, &cost);
    assert_int_equal(cost.came, 1);
}

/* ---- sharing ---- */

static bool lower_half(void *ctx, const struct wc_reconcile_range *range)
{
    (void)ctx;
    return range->bits < 4 || range->prefix[0] < 0x80;
}

static void what_is_not_mine_is_left_and_counted(void **state)
{
    (void)state;
    struct wc_reconcile r = {0};
    static struct wc_wire_ranges out, answer;
    static struct wc_reconcile_room room;
    bool differs;
    fill(1, 0, 0, 2000);
    assert_int_equal(wc_reconcile_begin(&r, 1, 4), 0);
    for (;;) {
        assert_int_equal(wc_reconcile_ask(&r, a, true, lower_half, NULL, &out), 0);
        if (out.count == 0)
            break;
        for (uint32_t i = 0; i < out.count; i++)
            assert_true(out.ranges[i].bits == 0 || out.ranges[i].prefix[0] < 0x80);
        assert_int_equal(wc_reconcile_answer(b, false, &out, &answer, &room, &differs),
                         0);
        assert_int_equal(wc_reconcile_hear(&r, a, &answer, &rng), 0);
    }
    assert_int_equal(r.aside_count, 8);
    assert_in_range(r.need_count, 800, 1200);
    wc_reconcile_fini(&r);
}

/* What came from elsewhere meanwhile is not asked about. */
static void what_has_become_equal_is_skipped(void **state)
{
    (void)state;
    static const uint8_t all[WC_ITEM_BYTES];
    static uint8_t items[2000][WC_ITEM_BYTES];
    struct wc_reconcile r = {0};
    static struct wc_wire_ranges out, answer;
    static struct wc_reconcile_room room;
    bool differs;
    fill(1, 0, 0, 2000);
    assert_int_equal(wc_reconcile_begin(&r, 1, 4), 0);
    assert_int_equal(wc_reconcile_ask(&r, a, true, NULL, NULL, &out), 0);
    assert_int_equal(wc_reconcile_answer(b, false, &out, &answer, &room, &differs), 0);
    assert_true(differs);
    assert_int_equal(wc_reconcile_hear(&r, a, &answer, &rng), 0);
    assert_int_equal(r.stack_count, 16);
    size_t count = wc_itemset_keys(&b[1], all, 0, items[0], 2000);
    for (size_t i = 0; i < count; i++)
        add(&a[1], items[i]);
    assert_int_equal(wc_reconcile_ask(&r, a, true, NULL, NULL, &out), 0);
    assert_int_equal(out.count, 0);
    wc_reconcile_fini(&r);
}

/* ---- what the other side may not say, or ask ---- */

static void only_what_was_asked_is_answered(void **state)
{
    (void)state;
    static struct wc_wire_ranges out, answer;
    static uint8_t data[WC_ITEM_LEAF_MAX * WC_ITEM_BYTES];
    struct wc_reconcile r = {0};
    fill(1, 0, 40, 0);
    for (int what = 0; what < 4; what++) {
        assert_int_equal(wc_reconcile_begin(&r, 1, 4), 0);
        assert_int_equal(wc_reconcile_ask(&r, a, true, NULL, NULL, &out), 0);
        answer = (struct wc_wire_ranges){.set = 1, .session = 4, .count = 1};
        answer.ranges[0] = out.ranges[0];
        answer.ranges[0].form = WC_FORM_ITEMS;
        answer.ranges[0].data = wc_slice(data, WC_ITEM_BYTES);
        answer.ranges[0].count = 1;
        switch (what) {
        case 0: /* another range */
            answer.ranges[0].bits = 4;
            break;
        case 1: /* the same twice */
            answer.ranges[answer.count++] = answer.ranges[0];
            break;
        case 2: /* ids, though it was asked for items */
            answer.ranges[0].form = WC_FORM_IDS;
            answer.ranges[0].data = wc_slice(data, WC_SHORT_ID_BYTES);
            break;
        case 3: /* nothing is wrong with this one */
            break;
        }
        assert_int_equal(wc_reconcile_hear(&r, a, &answer, &rng),
                         what == 3 ? 0 : -WC_EPROTOCOL);
        wc_reconcile_fini(&r);
    }
}

/* Cheap questions that are dear to answer. */
static void answers_are_bounded(void **state)
{
    (void)state;
    static struct wc_wire_ranges in, out;
    static struct wc_reconcile_room room;
    static uint8_t ids[WC_SHORT_ID_BYTES],
        found[WC_WANT_ITEMS_MAX_COUNT][WC_ITEM_BYTES];
    bool differs;
    fill(1, 0, WC_AUDIT_ANSWER_MAX_COUNT + 2000, 0);
    in = (struct wc_wire_ranges){.set = 1, .session = 4, .count = 1};
    in.ranges[0].form = WC_FORM_COMPARE;
    assert_int_equal(wc_reconcile_answer(a, true, &in, &out, &room, &differs), 0);
    assert_int_equal(out.count, 0); /* too many to be hashed for one range */
    assert_int_equal(wc_reconcile_cost(a, &in), 0);
    in.ranges[0].bits = 4;
    assert_int_equal(wc_reconcile_answer(a, true, &in, &out, &room, &differs), 0);
    assert_int_equal(out.count, 1);
    assert_in_range(wc_reconcile_cost(a, &in), 1500, 3000);
    in.ranges[0].form = WC_FORM_IDS;
    in.ranges[0].data = wc_slice(ids, sizeof(ids));
    in.ranges[0].count = 1;
    assert_int_equal(wc_reconcile_resolve(a, &in, found), 0);
}

/* ---- the example of docs/reconciliation.md ---- */

static void the_example_is_right(void **state)
{
    (void)state;
    static struct wc_wire_ranges out, answer;
    static struct wc_reconcile_room room;
    static uint8_t ids[WC_WANT_ITEMS_MAX_COUNT][WC_SHORT_ID_BYTES];
    char hex[512], path[256], line[512];
    static char doc[65536];
    struct wc_reconcile r = {0};
    struct wc_buf frames[5] = {{0}};
    uint8_t item[WC_ITEM_BYTES];
    bool differs;
    for (unsigned i = 1; i <= 3; i++) {
        memset(item, (int)(0x11 * i), sizeof(item));
        add(&b[1], item);
        if (i != 2)
            add(&a[1], item);
    }
    assert_int_equal(wc_reconcile_begin(&r, WC_SET_ALL, 0x01020304), 0);
    for (int i = 0; i < 4; i += 2) {
        assert_int_equal(wc_reconcile_ask(&r, a, true, NULL, NULL, &out), 0);
        wc_wire_sync(&frames[i], &out);
        assert_int_equal(wc_reconcile_answer(b, false, &out, &answer, &room, &differs),
                         0);
        wc_wire_diff(&frames[i + 1], &answer);
        assert_int_equal(wc_reconcile_hear(&r, a, &answer, &rng), 0);
    }
    assert_int_equal(wc_reconcile_want(&r, &out, ids), 1);
    wc_wire_want(&frames[4], &out);
    snprintf(path, sizeof(path), "%s/docs/reconciliation.md", WHOCAN_SOURCE_DIR);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (size_t len = 0; fgets(line, sizeof(line), f) != NULL;) {
        size_t n = strspn(line, "0123456789abcdef");
        if (line[n] == '\n' && n > 0) /* lines of nothing but digits belong together */
            line[n] = '\0';
        assert_true(len + strlen(line) < sizeof(doc));
        memcpy(doc + len, line, strlen(line) + 1);
        len += strlen(line);
    }
    fclose(f);
    for (int i = 0; i < 5; i++) {
        wc_hex(hex, frames[i].data, frames[i].len);
        print_message("%s\n", hex);
        if (strstr(doc, hex) == NULL)
            fail_msg("docs/reconciliation.md lacks frame %d: %s", i, hex);
        wc_buf_fini(&frames[i]);
    }
    wc_reconcile_fini(&r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(each_side_fetches_what_it_lacks),
        TEST(differences_cost_little),
        TEST(set_0_is_done_before_set_1),
        TEST(sets_of_one_xor_are_found_different),
        TEST(sets_of_one_sum_are_found_by_an_audit),
        TEST(an_audit_of_equal_sets_finds_nothing),
        TEST(short_ids_that_meet_do_so_once),
        TEST(what_is_not_mine_is_left_and_counted),
        TEST(what_has_become_equal_is_skipped),
        TEST(only_what_was_asked_is_answered),
        TEST(answers_are_bounded),
        TEST(the_example_is_right),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
