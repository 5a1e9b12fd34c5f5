/* SPDX-License-Identifier: Apache-2.0 */
/* Whom an office has for neighbours, and whom it would have. */
#include <stdlib.h>
#include <string.h>

#include "proto/views.h"
#include "tests/unit/unit.h"

static struct wc_views v;
static struct wc_rng rng;

static int setup(void **state)
{
    (void)state;
    memset(&v, 0, sizeof(v));
    wc_rng_init(&rng, 7);
    return 0;
}

static void fill_active(void)
{
    for (uint32_t i = 0; i < WC_VIEW_ACTIVE_COUNT; i++)
        wc_views_activate(&v, i, WC_VIEW_NONE, &rng);
    assert_true(wc_views_full(&v));
}

static void check(void)
{
    assert_true(v.active_count <= WC_VIEW_ACTIVE_COUNT);
    assert_true(v.passive_count <= WC_VIEW_PASSIVE_COUNT);
    for (uint32_t i = 0; i < v.active_count; i++) {
        assert_false(wc_views_is_passive(&v, v.active[i]));
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(v.active[i], v.active[k]);
    }
    for (uint32_t i = 0; i < v.passive_count; i++) {
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(v.passive[i], v.passive[k]);
    }
}

static void a_neighbour_is_in_one_view(void **state)
{
    (void)state;
    wc_views_learn(&v, 5, &rng);
    assert_true(wc_views_is_passive(&v, 5));
    wc_views_activate(&v, 5, WC_VIEW_NONE, &rng);
    wc_views_activate(&v, 5, WC_VIEW_NONE, &rng);
    assert_true(wc_views_is_active(&v, 5));
    assert_int_equal(v.active_count, 1);
    wc_views_learn(&v, 5, &rng);
    check();
    wc_views_forget(&v, 5); /* a failed dial says nothing of a link that there is */
    assert_true(wc_views_is_active(&v, 5));
}

static void who_parts_may_come_again_and_who_fails_is_forgotten(void **state)
{
    (void)state;
    wc_views_activate(&v, 1, WC_VIEW_NONE, &rng);
    wc_views_activate(&v, 2, WC_VIEW_NONE, &rng);
    wc_views_deactivate(&v, 1, true, &rng);
    wc_views_deactivate(&v, 2, false, &rng);
    wc_views_deactivate(&v, 3, true, &rng); /* it never was */
    assert_true(wc_views_is_passive(&v, 1));
    assert_int_equal(v.passive_count, 1);
    assert_int_equal(v.active_count, 0);
}

static void a_full_view_parts_with_who_is_named(void **state)
{
    (void)state;
    fill_active();
    wc_views_activate(&v, 100, 3, &rng);
    assert_true(wc_views_is_active(&v, 100));
    assert_false(wc_views_is_active(&v, 3));
    assert_true(wc_views_is_passive(&v, 3));
    assert_true(wc_views_full(&v));
    check();
}

static void a_full_passive_view_forgets_one(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        wc_views_learn(&v, i, &rng);
        assert_true(wc_views_is_passive(&v, i));
    }
    assert_int_equal(v.passive_count, WC_VIEW_PASSIVE_COUNT);
    check();
}

static void a_walk_goes_neither_back_nor_to_whom_it_is_about(void **state)
{
    (void)state;
    unsigned seen[WC_VIEW_ACTIVE_COUNT] = {0};
    fill_active();
    for (int i = 0; i < 1000; i++) {
        uint32_t next = wc_views_walk(&v, 2, 5, 3, &rng);
        assert_true(next < WC_VIEW_ACTIVE_COUNT && next != 2 && next != 5);
        seen[next]++;
    }
    for (uint32_t i = 0; i < WC_VIEW_ACTIVE_COUNT; i++)
        assert_true((seen[i] > 100) == (i != 2 && i != 5));
    assert_int_equal(wc_views_walk(&v, 2, 5, 0, &rng), WC_VIEW_NONE);
    memset(&v, 0, sizeof(v));
    wc_views_activate(&v, 2, WC_VIEW_NONE, &rng);
    assert_int_equal(wc_views_walk(&v, 2, 5, 3, &rng), WC_VIEW_NONE);
}

static void a_sample_is_of_both_views_and_names_each_once(void **state)
{
    (void)state;
    uint32_t out[WC_SHUFFLE_ACTIVE + WC_SHUFFLE_PASSIVE];
    fill_active();
    for (uint32_t i = 100; i < 120; i++)
        wc_views_learn(&v, i, &rng);
    for (int round = 0; round < 200; round++) {
        uint32_t active = 0, count = wc_views_sample(&v, 4, out, &rng);
        assert_int_equal(count, WC_SHUFFLE_ACTIVE + WC_SHUFFLE_PASSIVE);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_not_equal(out[i], 4);
            active += out[i] < 100;
            for (uint32_t k = 0; k < i; k++)
                assert_int_not_equal(out[i], out[k]);
        }
        assert_int_equal(active, WC_SHUFFLE_ACTIVE);
    }
    memset(&v, 0, sizeof(v));
    assert_int_equal(wc_views_sample(&v, 4, out, &rng), 0);
}

static void what_was_told_makes_room_for_what_came(void **state)
{
    (void)state;
    const uint32_t came[] = {1000, 1001, 1, 1002}, told[] = {3, 4};
    for (uint32_t i = 0; i < WC_VIEW_PASSIVE_COUNT; i++)
        wc_views_learn(&v, i, &rng);
    wc_views_merge(&v, came, 4, told, 2, &rng);
    assert_int_equal(v.passive_count, WC_VIEW_PASSIVE_COUNT);
    assert_false(wc_views_is_passive(&v, 3));
    assert_false(wc_views_is_passive(&v, 4));
    assert_true(wc_views_is_passive(&v, 1002)); /* in the place of one drawn */
    check();
}

/* Everybody shuffles with a neighbour: soon all know others than at the start. */
static void shuffles_mix(void **state)
{
    (void)state;
    enum { OFFICES = 200, ROUNDS = 60 };
    struct wc_views *all = calloc(OFFICES, sizeof(*all));
    uint32_t met[OFFICES] = {0};
    assert_non_null(all);
    for (uint32_t i = 0; i < OFFICES; i++) {
        for (uint32_t k = 1; k <= 3; k++) {
            wc_views_activate(&all[i], (i + k) % OFFICES, WC_VIEW_NONE, &rng);
            wc_views_activate(&all[i], (i + OFFICES - k) % OFFICES, WC_VIEW_NONE, &rng);
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t a = 0; a < OFFICES; a++) {
            uint32_t told_a[7], told_b[7];
            uint32_t b = all[a].active[wc_rng_below(&rng, all[a].active_count)];
            uint32_t count_a = wc_views_sample(&all[a], b, told_a, &rng);
            uint32_t count_b = wc_views_sample(&all[b], a, told_b, &rng);
            wc_views_merge(&all[b], told_a, count_a, told_b, count_b, &rng);
            wc_views_merge(&all[a], told_b, count_b, told_a, count_a, &rng);
        }
    }
    for (uint32_t i = 0; i < OFFICES; i++) {
        uint32_t far = 0;
        assert_true(all[i].passive_count > WC_VIEW_PASSIVE_COUNT / 2);
        for (uint32_t k = 0; k < all[i].passive_count; k++) {
            uint32_t distance = (all[i].passive[k] + OFFICES - i) % OFFICES;
            far += distance > 10 && distance < OFFICES - 10;
            met[all[i].passive[k]]++;
        }
        assert_true(far > all[i].passive_count / 3);
    }
    for (uint32_t i = 0; i < OFFICES; i++)
        assert_true(met[i] > 0); /* nobody is forgotten by all */
    free(all);
}

#define test(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_neighbour_is_in_one_view),
        test(who_parts_may_come_again_and_who_fails_is_forgotten),
        test(a_full_view_parts_with_who_is_named),
        test(a_full_passive_view_forgets_one),
        test(a_walk_goes_neither_back_nor_to_whom_it_is_about),
        test(a_sample_is_of_both_views_and_names_each_once),
        test(what_was_told_makes_room_for_what_came),
        test(shuffles_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
