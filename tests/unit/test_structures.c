/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's small structures: generator, hash index, timeline. */
#include <stdlib.h>
#include <string.h>

#include <whocan/bytes.h>

#include "proto/map.h"
#include "proto/rng.h"
#include "proto/timeline.h"
#include "tests/unit/unit.h"

/* ---- the generator ---- */

/* From a separate implementation of the two published algorithms. */
static void generates_the_published_sequence(void **state)
{
    (void)state;
    static const uint64_t zero[] = {0x99ec5f36cb75f2b4u, 0xbf6e1f784956452au,
                                    0x1a5f849d4933e6e0u, 0x6aa594f1262d2d2cu};
    struct wc_rng rng;
    wc_rng_init(&rng, 0);
    for (int i = 0; i < 4; i++)
        assert_true(wc_rng_u64(&rng) == zero[i]);
}

static void draws_each_number_alike(void **state)
{
    (void)state;
    unsigned counts[7] = {0};
    struct wc_rng rng;
    wc_rng_init(&rng, 42);
    for (int i = 0; i < 70000; i++) {
        uint64_t v = wc_rng_below(&rng, 7);
        assert_true(v < 7);
        counts[v]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_int_equal(wc_rng_below(&rng, 1), 0);
    /* the widest range there is: the uneven rest is nearly half of all numbers */
    for (int i = 0; i < 100; i++)
        assert_true(wc_rng_below(&rng, (1ULL << 63) + 1) <= 1ULL << 63);
}

/* ---- the hash index ---- */

#define THINGS 3000

static uint8_t things[THINGS][4];

static const uint8_t *thing_key(const void *ctx, uint32_t id)
{
    assert_ptr_equal(ctx, things);
    return things[id];
}

static void finds_what_was_added_and_not_removed(void **state)
{
    (void)state;
    struct wc_map m;
    struct wc_rng rng;
    bool in[THINGS] = {false};
    uint32_t count = 0;
    const uint64_t seed = 99;
    wc_rng_init(&rng, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    wc_map_init(&m, sizeof(things[0]), thing_key, things, &rng);
    for (uint32_t i = 0; i < THINGS; i++)
        wc_put_u32(things[i], i * 2654435761u);
    assert_int_equal(wc_map_find(&m, things[0]), WC_MAP_NONE);
    for (int step = 0; step < 40000; step++) {
        uint32_t id = (uint32_t)wc_rng_below(&rng, THINGS);
        if (in[id])
            wc_map_remove(&m, id);
        else
            assert_int_equal(wc_map_add(&m, id), 0);
        in[id] = !in[id];
        count += in[id] ? 1u : UINT32_MAX;
        assert_int_equal(m.count, count);
        if (step % 2000 != 0)
            continue;
        for (uint32_t i = 0; i < THINGS; i++)
            assert_int_equal(wc_map_find(&m, things[i]), in[i] ? i : WC_MAP_NONE);
    }
    wc_map_fini(&m);
}

/* ---- the timeline ---- */

static void gives_dates_in_order(void **state)
{
    (void)state;
    enum { IDS = 500 };
    struct wc_timeline t = {0};
    struct wc_timeline_entry first;
    uint64_t due[IDS];
    struct wc_rng rng;
    const uint64_t seed = 5;
    print_message("seed %llu\n", (unsigned long long)seed);
    wc_rng_init(&rng, seed);
    memset(due, 0xff, sizeof(due)); /* UINT64_MAX: no date */
    assert_false(wc_timeline_first(&t, &first));
    wc_timeline_remove(&t, 3);
    for (int step = 0; step < 20000; step++) {
        uint32_t id = (uint32_t)wc_rng_below(&rng, IDS);
        if (wc_rng_below(&rng, 3) == 0) {
            wc_timeline_remove(&t, id);
            due[id] = UINT64_MAX;
        } else {
            due[id] = wc_rng_below(&rng, 300); /* many are equal */
            assert_int_equal(wc_timeline_set(&t, id, due[id]), 0);
        }
        uint32_t soonest = 0;
        for (uint32_t i = 1; i < IDS; i++)
            soonest = due[i] < due[soonest] ? i : soonest;
        bool any = due[soonest] != UINT64_MAX;
        assert_int_equal(wc_timeline_first(&t, &first), any);
        if (any) {
            assert_int_equal(first.due_ms, due[soonest]);
            assert_int_equal(first.id, soonest); /* of equal dates the smallest id */
        }
    }
    wc_timeline_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generates_the_published_sequence),
        cmocka_unit_test(draws_each_number_alike),
        cmocka_unit_test(finds_what_was_added_and_not_removed),
        cmocka_unit_test(gives_dates_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
