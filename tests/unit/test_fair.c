/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets, and turns among users. Time is a number here. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/error.h>

#include "daemon/fair.h"
#include "tests/unit/unit.h"

#define ITEMS 2000

/* ---- buckets ---- */

static void a_bucket_gives_its_burst_and_then_its_rate(void **state)
{
    (void)state;
    struct wc_bucket b = {0};
    const struct wc_rate rate = {.per_minute = 60, .burst = 5};
    for (int i = 0; i < 5; i++)
        assert_int_equal(wc_bucket_take(&b, &rate, 1, 1000), 0);
    assert_int_equal(wc_bucket_take(&b, &rate, 1, 1000), 1000);
    assert_int_equal(wc_bucket_take(&b, &rate, 1, 1400), 600);
    assert_int_equal(wc_bucket_take(&b, &rate, 1, 1999), 1);
    assert_int_equal(wc_bucket_take(&b, &rate, 1, 2000), 0);
    assert_int_equal(wc_bucket_take(&b, &rate, 1, 2000), 1000);
    assert_int_equal(wc_bucket_wait_ms(&b, &rate, 3, 2000), 3000);
    assert_false(wc_bucket_full(&b, &rate, 6999));
    assert_true(wc_bucket_full(&b, &rate, 7000));
}

static void a_bucket_never_holds_more_than_its_burst(void **state)
{
    (void)state;
    struct wc_bucket b = {0};
    const struct wc_rate rate = {.per_minute = 4000000000u, .burst = 3};
    assert_int_equal(wc_bucket_take(&b, &rate, 3, UINT64_MAX / 2), 0);
    for (int i = 0; i < 3; i++) /* a long time pays what is owed and no more */
        assert_int_equal(wc_bucket_take(&b, &rate, 1, UINT64_MAX), 0);
    assert_int_equal(wc_bucket_take(&b, &rate, 1, UINT64_MAX), 1);
    assert_int_equal(wc_bucket_take(&b, &rate, 1, 0), 1); /* the clock went back */
    assert_int_equal(wc_bucket_take(&b, &rate, 100, 1),
                     0); /* as the burst: never never */
}

static void a_bucket_without_a_rate_is_bottomless(void **state)
{
    (void)state;
    struct wc_bucket b = {0};
    const struct wc_rate rate = {.per_minute = 0, .burst = 0};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(wc_bucket_take(&b, &rate, 1000, 7), 0);
    assert_true(wc_bucket_full(&b, &rate, 7));
}

/* Whatever is asked for and when: never more than burst + rate × time. */
static void no_pattern_gets_more_than_the_rate(void **state)
{
    (void)state;
    unsigned seed = 20260301;
    printf("seed %u\n", seed);
    srandom(seed);
    for (int round = 0; round < 200; round++) {
        struct wc_rate rate = {.per_minute = 1 + (uint32_t)random() % 100000,
                               .burst = 1 + (uint32_t)random() % 50};
        struct wc_bucket b = {0};
        uint64_t now = (uint64_t)random(), start = now, taken = 0;
        for (int i = 0; i < 500; i++) {
            uint32_t count = 1 + (uint32_t)random() % rate.burst;
            uint64_t wait = wc_bucket_take(&b, &rate, count, now);
            if (wait == 0) {
                taken += count;
            } else { /* what it said is exact: not a ms earlier, and then it is so */
                struct wc_bucket early = b, there = b;
                assert_int_not_equal(
                    wc_bucket_take(&early, &rate, count, now + wait - 1), 0);
                assert_int_equal(wc_bucket_take(&there, &rate, count, now + wait), 0);
            }
            now += (uint64_t)random() % 100;
        }
        uint64_t most = rate.burst + (now - start) * rate.per_minute / 60000;
        if (taken > most)
            fail_msg("%" PRIu64 " of at most %" PRIu64, taken, most);
    }
}

/* ---- turns ---- */

struct work {
    struct wc_fair_item item; /* first: an item is its work */
    uint32_t user;
    int number;
};

static struct wc_fair *fair;
static struct work works[ITEMS];
static struct wc_fair_config config;

static int set_up(void **state)
{
    (void)state;
    memset(works, 0, sizeof(works));
    config = (struct wc_fair_config){.classes_count = 2};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wc_fair_free(fair);
    fair = NULL;
    return 0;
}

static void start(void)
{
    assert_int_equal(wc_fair_new(&fair, &config), 0);
}

static int add(int number, uint32_t user, uint32_t class, uint64_t now)
{
    works[number].user = user;
    works[number].number = number;
    return wc_fair_add(fair, &works[number].item, user, class, 1, 10, now, NULL);
}

/* Who goes next, or -1. */
static int next(uint64_t now)
{
    struct wc_fair_item *item = wc_fair_next(fair, now);
    return item == NULL ? -1 : ((struct work *)item)->number;
}

static void one_users_backlog_delays_nobody(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < 1000; i++)
        assert_int_equal(add(i, 7, 0, 0), 0);
    assert_int_equal(next(0), 0);
    assert_int_equal(add(1000, 8, 0, 0), 0);
    assert_int_equal(add(1001, 8, 0, 0), 0);
    assert_int_equal(add(1002, 9, 0, 0), 0);
    int order[] = {1, 1000, 1002, 2, 1001, 3, 4};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        assert_int_equal(next(0), order[i]);
}

static void the_classes_of_a_user_take_turns(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < 10; i++)
        assert_int_equal(add(i, 7, 0, 0), 0);
    assert_int_equal(add(100, 7, 1, 0), 0);
    assert_int_equal(next(0), 0);
    assert_int_equal(next(0), 100);
    assert_int_equal(next(0), 1);
}

static void so_many_of_one_user_run_at_once(void **state)
{
    (void)state;
    config.running_user_max = 2;
    config.running_max = 3;
    start();
    for (int i = 0; i < 5; i++)
        assert_int_equal(add(i, 7, 0, 0), 0);
    assert_int_equal(next(0), 0);
    assert_int_equal(next(0), 1);
    assert_int_equal(next(0), -1); /* the third place is for others */
    assert_int_equal(wc_fair_deadline(fair), UINT64_MAX);
    assert_int_equal(add(10, 8, 0, 0), 0);
    assert_int_equal(add(11, 8, 0, 0), 0);
    assert_int_equal(next(0), 10);
    assert_int_equal(next(0), -1);
    wc_fair_end(fair, &works[0].item);
    assert_int_equal(next(0), 2);
    wc_fair_end(fair, &works[1].item);
    assert_int_equal(next(0), 11); /* user 7 had its turn last */
}

static void a_class_has_its_own_number(void **state)
{
    (void)state;
    config.classes[0].running_max = 1;
    start();
    assert_int_equal(add(0, 7, 0, 0), 0);
    assert_int_equal(add(1, 7, 0, 0), 0);
    assert_int_equal(add(2, 7, 1, 0), 0);
    assert_int_equal(next(0), 0);
    assert_int_equal(next(0), 2);
    assert_int_equal(next(0), -1);
    wc_fair_end(fair, &works[0].item);
    wc_fair_end(fair, &works[0].item); /* twice is fine */
    assert_int_equal(next(0), 1);
}

static void a_class_leaves_places_to_the_others(void **state)
{
    (void)state;
    config.running_max = 3;
    config.classes[1].running_max = 1;
    config.classes[1].running_all_max = 2;
    start();
    for (int user = 1; user <= 3; user++)
        for (int i = 0; i < 2; i++)
            assert_int_equal(add(10 * user + i, (uint32_t)user, 1, 0), 0);
    assert_int_equal(next(0), 10);
    assert_int_equal(next(0), 20);
    assert_int_equal(next(0), -1);
    assert_int_equal(add(50, 1, 0, 0), 0); /* short work of the very same user */
    assert_int_equal(next(0), 50);
    wc_fair_end(fair, &works[10].item);
    assert_int_equal(next(0), 30);
}

static void over_the_rate_it_waits(void **state)
{
    (void)state;
    config.classes[0].rate = (struct wc_rate){.per_minute = 600, .burst = 2};
    start();
    for (int i = 0; i < 4; i++)
        assert_int_equal(add(i, 7, 0, 5000), 0);
    assert_int_equal(add(10, 8, 0, 5000), 0);
    assert_int_equal(next(5000), 0);
    assert_int_equal(next(5000), 10);
    assert_int_equal(next(5000), 1);
    assert_int_equal(next(5000), -1);
    assert_int_equal(wc_fair_deadline(fair), 5100);
    assert_int_equal(next(5099), -1);
    assert_int_equal(next(5100), 2);
    wc_fair_end(fair, &works[3].item); /* given up while it waited */
    assert_int_equal(wc_fair_waiting(fair, 7), 0);
    assert_int_equal(next(9000), -1);
}

static void beyond_the_bounds_it_is_not_taken(void **state)
{
    (void)state;
    uint64_t retry_ms = 0;
    config.classes[0].rate = (struct wc_rate){.per_minute = 60, .burst = 1};
    config.waiting_user_max = 20;
    config.waiting_user_bytes = 125;
    config.wait_max_ms = 10000;
    start();
    for (int i = 0; i < 11; i++)
        assert_int_equal(add(i, 7, 0, 0), 0);
    assert_int_equal(wc_fair_add(fair, &works[50].item, 7, 0, 1, 0, 0, &retry_ms),
                     -WC_EBUSY);
    assert_int_equal(retry_ms, 11000);
    assert_int_equal(works[50].item.state, WC_FAIR_OUT);
    assert_int_equal(add(11, 7, 1, 0), 0);         /* another class has another rate */
    assert_int_equal(add(12, 7, 1, 0), -WC_EBUSY); /* the bytes */
    for (int i = 13; i < 21; i++)
        assert_int_equal(wc_fair_add(fair, &works[i].item, 7, 1, 0, 99999, 0, NULL), 0);
    assert_int_equal(wc_fair_add(fair, &works[21].item, 7, 1, 0, 0, 0, NULL),
                     -WC_EBUSY);           /* the number */
    assert_int_equal(add(60, 8, 0, 0), 0); /* and all that is user 7's own affair */
}

static void scale_frees_or_widens(void **state)
{
    (void)state;
    config.classes[0].rate = (struct wc_rate){.per_minute = 60, .burst = 1};
    start();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(wc_fair_add(fair, &works[i].item, 7, 0, 0, 0, 0, NULL), 0);
        assert_int_equal(wc_fair_add(fair, &works[500 + i].item, 8, 0, 16, 0, 0, NULL),
                         0);
        works[i].number = i;
        works[500 + i].number = 500 + i;
    }
    int seven = 0, eight = 0;
    for (int got; (got = next(0)) >= 0;)
        *(got < 500 ? &seven : &eight) += 1;
    assert_int_equal(seven, 100);
    assert_int_equal(eight, 16);
}

static void who_owes_nothing_is_forgotten(void **state)
{
    (void)state;
    config.classes[0].rate = (struct wc_rate){.per_minute = 60, .burst = 1};
    start();
    for (int i = 0; i < 100; i++)
        assert_int_equal(add(i, (uint32_t)i, 0, 0), 0);
    assert_int_equal(wc_fair_tidy(fair, 0), 100);
    for (int i = 0; i < 100; i++)
        assert_true(next(0) >= 0);
    assert_int_equal(wc_fair_tidy(fair, 5000), 100); /* they run */
    for (int i = 0; i < 100; i++)
        wc_fair_end(fair, &works[i].item);
    assert_int_equal(wc_fair_tidy(fair, 999), 100); /* they owe */
    assert_int_equal(wc_fair_tidy(fair, 1000), 0);
}

/* Random work of users of whom some never stop: whoever has something waiting and is
 * within the limits is served within one round of the others. */
static void nobody_waits_longer_than_one_round(void **state)
{
    (void)state;
    unsigned seed = 20260302;
    printf("seed %u\n", seed);
    srandom(seed);
    config.running_max = 1;
    start();
    uint32_t users = 12;
    int since[12] = {0};
    for (int step = 0, number = 0; step < 20000; step++) {
        for (int k = 0; k < 3; k++) {
            uint32_t user = random() % 4 == 0 ? (uint32_t)random() % users : 0;
            struct work *w = &works[number++ % ITEMS];
            if (w->item.state == WC_FAIR_OUT)
                add((int)(w - works), user, (uint32_t)random() % 2, (uint64_t)step);
        }
        int got = next((uint64_t)step);
        for (uint32_t u = 0; u < users; u++) {
            bool served = got >= 0 && works[got].user == u;
            since[u] = served || wc_fair_waiting(fair, u) == 0 ? 0 : since[u] + 1;
            if (since[u] > (int)users)
                fail_msg("user %u waits for %d turns", u, since[u]);
        }
        if (got >= 0)
            wc_fair_end(fair, &works[got].item);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_gives_its_burst_and_then_its_rate),
        cmocka_unit_test(a_bucket_never_holds_more_than_its_burst),
        cmocka_unit_test(a_bucket_without_a_rate_is_bottomless),
        cmocka_unit_test(no_pattern_gets_more_than_the_rate),
        cmocka_unit_test_setup_teardown(one_users_backlog_delays_nobody, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_classes_of_a_user_take_turns, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(so_many_of_one_user_run_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_class_has_its_own_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_class_leaves_places_to_the_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(over_the_rate_it_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beyond_the_bounds_it_is_not_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(scale_frees_or_widens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_owes_nothing_is_forgotten, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nobody_waits_longer_than_one_round, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
