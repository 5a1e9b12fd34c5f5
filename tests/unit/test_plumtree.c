/* SPDX-License-Identifier: Apache-2.0 */
/* A tree for broadcasts: who is eager, what is missing, whom to ask for it. */
#include <stdlib.h>
#include <string.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#include "proto/plumtree.h"
#include "tests/unit/unit.h"

static struct wc_plumtree t;
static struct wc_rng rng;

static int setup(void **state)
{
    (void)state;
    wc_rng_init(&rng, 11);
    wc_plumtree_init(&t, &rng);
    for (uint32_t link = 1; link <= 4; link++)
        wc_plumtree_add(&t, link, link == 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wc_plumtree_fini(&t);
    return 0;
}

static const uint8_t *id_of(uint32_t number)
{
    static uint8_t id[WC_MESSAGE_ID_BYTES];
    wc_put_u32(id, number);
    return id;
}

static void neighbours_come_and_go(void **state)
{
    (void)state;
    assert_int_equal(wc_plumtree_eager_count(&t), 1);
    assert_true(wc_plumtree_peer(&t, 1)->eager);
    assert_false(wc_plumtree_peer(&t, 2)->eager);
    assert_null(wc_plumtree_peer(&t, 9));
    assert_null(wc_plumtree_peer(&t, 0));
    wc_plumtree_add(&t, 2, true); /* it is there: it stays as it is */
    assert_false(wc_plumtree_peer(&t, 2)->eager);
    for (int i = 0; i < 50; i++)
        assert_in_range(wc_plumtree_draw_lazy(&t, &rng), 2, 4);
    assert_false(wc_plumtree_remove(&t, 2));
    assert_true(wc_plumtree_remove(&t, 1));
    assert_false(wc_plumtree_remove(&t, 1));
    assert_int_equal(t.peer_count, 2);
    wc_plumtree_remove(&t, 3);
    wc_plumtree_remove(&t, 4);
    assert_int_equal(wc_plumtree_draw_lazy(&t, &rng), 0);
}

static void a_message_is_new_once(void **state)
{
    (void)state;
    assert_false(wc_plumtree_has(&t, id_of(1)));
    assert_int_equal(wc_plumtree_got(&t, id_of(1)), 1);
    assert_int_equal(wc_plumtree_got(&t, id_of(1)), 0);
    assert_true(wc_plumtree_has(&t, id_of(1)));
    /* the oldest are forgotten */
    for (uint32_t i = 2; i < 2 + WC_TREE_GOT_COUNT; i++)
        assert_int_equal(wc_plumtree_got(&t, id_of(i)), 1);
    assert_false(wc_plumtree_has(&t, id_of(1)));
    assert_true(wc_plumtree_has(&t, id_of(2)));
    for (uint32_t i = 0; i < 3 * WC_TREE_GOT_COUNT; i++)
        assert_int_equal(wc_plumtree_got(&t, id_of(100000 + i)), 1);
    assert_int_equal(t.got_count, WC_TREE_GOT_COUNT);
    assert_false(wc_plumtree_has(&t, id_of(2)));
}

static void what_does_not_come_is_asked_for(void **state)
{
    (void)state;
    struct wc_tree_graft g;
    assert_int_equal(wc_plumtree_deadline(&t), UINT64_MAX);
    assert_int_equal(wc_plumtree_ihave(&t, 2, id_of(1), 1000), 0);
    assert_int_equal(wc_plumtree_ihave(&t, 2, id_of(1), 1001), 0); /* said twice */
    assert_int_equal(wc_plumtree_ihave(&t, 3, id_of(1), 1001), 0);
    assert_int_equal(wc_plumtree_deadline(&t), 1000 + WC_TREE_MISSING_MS);
    assert_false(wc_plumtree_next(&t, 1000 + WC_TREE_MISSING_MS - 1, &g));
    uint64_t now = 1000 + WC_TREE_MISSING_MS;
    assert_true(wc_plumtree_next(&t, now, &g));
    assert_int_equal(g.link, 2);
    assert_int_equal(g.silent, 0);
    assert_memory_equal(g.id, id_of(1), WC_MESSAGE_ID_BYTES);
    assert_true(wc_plumtree_peer(&t, 2)->eager);
    assert_false(wc_plumtree_next(&t, now, &g));
    /* it says nothing: the next one */
    now += WC_TREE_AGAIN_MS;
    assert_int_equal(wc_plumtree_deadline(&t), now);
    assert_int_equal(wc_plumtree_ihave(&t, 2, id_of(1), now), 0); /* was asked */
    assert_true(wc_plumtree_next(&t, now, &g));
    assert_int_equal(g.link, 3);
    assert_int_equal(g.silent, 2);
    /* nobody is left */
    now += WC_TREE_AGAIN_MS;
    assert_true(wc_plumtree_next(&t, now, &g));
    assert_int_equal(g.link, 0);
    assert_int_equal(g.silent, 3);
    assert_int_equal(wc_plumtree_deadline(&t), UINT64_MAX);
    assert_int_equal(t.missing_by_id.count, 0);
}

static void what_comes_is_not_missing(void **state)
{
    (void)state;
    struct wc_tree_graft g;
    wc_plumtree_ihave(&t, 2, id_of(1), 0);
    wc_plumtree_ihave(&t, 2, id_of(2), 0);
    assert_int_equal(wc_plumtree_got(&t, id_of(1)), 1);
    assert_true(wc_plumtree_next(&t, WC_TREE_MISSING_MS, &g));
    assert_memory_equal(g.id, id_of(2), WC_MESSAGE_ID_BYTES);
    assert_int_equal(wc_plumtree_got(&t, id_of(2)), 1); /* the answer */
    assert_int_equal(wc_plumtree_deadline(&t), UINT64_MAX);
}

static void who_is_gone_is_not_asked(void **state)
{
    (void)state;
    struct wc_tree_graft g;
    wc_plumtree_ihave(&t, 2, id_of(1), 0);
    wc_plumtree_ihave(&t, 3, id_of(1), 0);
    wc_plumtree_remove(&t, 2);
    assert_true(wc_plumtree_next(&t, WC_TREE_MISSING_MS, &g));
    assert_int_equal(g.link, 3);
}

static void there_is_an_end_to_what_is_missing(void **state)
{
    (void)state;
    struct wc_tree_graft g;
    uint32_t asked = 0;
    for (uint32_t i = 0; i < WC_TREE_MISSING_COUNT; i++)
        assert_int_equal(wc_plumtree_ihave(&t, 2, id_of(i), i), 0);
    assert_int_equal(wc_plumtree_ihave(&t, 2, id_of(WC_TREE_MISSING_COUNT), 0),
                     -WC_ELIMIT);
    assert_int_equal(wc_plumtree_ihave(&t, 3, id_of(7), 0), 0); /* known to be */
    while (wc_plumtree_next(&t, WC_TREE_MISSING_COUNT + WC_TREE_MISSING_MS, &g))
        asked += g.link == 2;
    assert_int_equal(asked, WC_TREE_MISSING_COUNT);
    for (uint64_t later = 1; later <= 3; later++) {
        while (wc_plumtree_next(&t, later << 40, &g))
            ;
    }
    assert_int_equal(t.missing_by_id.count, 0);
    assert_int_equal(wc_plumtree_ihave(&t, 2, id_of(1), 0),
                     0); /* there is room again */
    assert_int_equal(t.missing_count, WC_TREE_MISSING_COUNT);
}

static void ids_gather_for_a_lazy_neighbour(void **state)
{
    (void)state;
    struct wc_tree_peer *lazy = wc_plumtree_peer(&t, 2);
    for (int i = 1; i <= 100; i++)
        assert_int_equal(wc_plumtree_announce(lazy, id_of((uint32_t)i)), i);
    assert_memory_equal(lazy->ids[41], id_of(42), WC_MESSAGE_ID_BYTES);
}

/* A ring of offices with chords, by the same rules as the engine's: the first message
 * floods, the others take one way each. */
enum { OFFICES = 64 };
static struct wc_plumtree all[OFFICES];

static uint32_t other_end(uint32_t office, uint32_t link)
{
    static const uint32_t steps[] = {1, 7, 23};
    uint32_t step = steps[(link - 1) / 2];
    return (link % 2 == 1 ? office + step : office + OFFICES - step) % OFFICES;
}

/* How often the message was sent. */
static uint32_t broadcast(uint32_t from, const uint8_t *id)
{
    struct hop {
        uint32_t to, link;
    } queue[OFFICES * 8];
    uint32_t first = 0, count = 0;
    wc_plumtree_got(&all[from], id);
    queue[count++] = (struct hop){.to = from};
    for (; first < count; first++) {
        struct hop h = queue[first];
        uint32_t from_link = h.link;
        if (from_link != 0) {
            struct wc_plumtree *here = &all[h.to];
            if (wc_plumtree_got(here, id) == 0) { /* PRUNE */
                uint32_t sender = other_end(h.to, from_link);
                uint32_t theirs = from_link % 2 == 1 ? from_link + 1 : from_link - 1;
                wc_plumtree_peer(here, from_link)->eager = false;
                wc_plumtree_peer(&all[sender], theirs)->eager = false;
                continue;
            }
        }
        for (uint32_t link = 1; link <= 6; link++) {
            if (link == from_link || !wc_plumtree_peer(&all[h.to], link)->eager)
                continue;
            assert_true(count < OFFICES * 8);
            queue[count++] = (struct hop){.to = other_end(h.to, link),
                                          .link = link % 2 == 1 ? link + 1 : link - 1};
        }
    }
    return count - 1;
}

static void a_flood_becomes_a_tree(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < OFFICES; i++) {
        wc_plumtree_init(&all[i], &rng);
        for (uint32_t link = 1; link <= 6; link++)
            wc_plumtree_add(&all[i], link, true);
    }
    assert_true(broadcast(0, id_of(1)) > 2 * OFFICES);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t sender = (uint32_t)wc_rng_below(&rng, OFFICES);
        assert_int_equal(broadcast(sender, id_of(2 + i)), OFFICES - 1);
        for (uint32_t k = 0; k < OFFICES; k++)
            assert_true(wc_plumtree_has(&all[k], id_of(2 + i)));
    }
    for (uint32_t i = 0; i < OFFICES; i++)
        wc_plumtree_fini(&all[i]);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(neighbours_come_and_go),          test(a_message_is_new_once),
        test(what_does_not_come_is_asked_for), test(what_comes_is_not_missing),
        test(who_is_gone_is_not_asked),        test(there_is_an_end_to_what_is_missing),
        test(ids_gather_for_a_lazy_neighbour), test(a_flood_becomes_a_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
