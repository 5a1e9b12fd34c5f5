/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine says of itself: links and their round trips, how far offices are and by
 * whom their news came, reconciliations, counts. */
#include "tests/unit/net.h"

static struct wc_buf frame;

static int teardown(void **state)
{
    wc_buf_fini(&frame);
    return net_teardown(state);
}

static struct wc_node_office office_of(int n, int other)
{
    struct wc_node_office o;
    assert_true(wc_node_office_by_key(net.nodes[n].node, net_key(other), &o));
    return o;
}

static struct wc_node_overview overview(int n)
{
    struct wc_node_overview o;
    wc_node_overview(net.nodes[n].node, &o);
    return o;
}

static void ask(int n)
{
    static const uint8_t id[WC_ASK_ID_BYTES] = {7};
    struct wc_event e = {.type = WC_EVENT_LOCAL_ASK};
    e.u.local_ask.id = id;
    e.u.local_ask.text = wc_slice_text("who can blog?");
    e.u.local_ask.by = wc_slice_text("alice");
    net_step(n, &e);
}

static uint32_t a_chain(void)
{
    for (int n = 0; n < 3; n++)
        net_start(n);
    uint32_t first = net_link(0, 1); /* 0 - 1 - 2 */
    net_link(1, 2);
    net_run();
    return first;
}

static void distance_is_what_an_ask_had_crossed(void **state)
{
    (void)state;
    uint32_t first = a_chain();
    ask(2);
    net_run();
    struct wc_node_office far = office_of(0, 2), near = office_of(0, 1);
    struct wc_node_link link;
    assert_int_equal(near.hops, 1);
    assert_true(near.linked);
    assert_int_equal(far.hops, 2);
    assert_false(far.linked);
    assert_true(far.last_news_ms > 0);
    assert_true(wc_node_link_at(net.nodes[0].node, 0, &link));
    assert_int_equal(far.via_link, link.link);
    assert_memory_equal(link.office_key, net_key(1), WC_KEY_BYTES);
    assert_int_equal(net_stats(0).counts.ask_hops[2], 1);
    assert_int_equal(net_stats(1).counts.ask_hops[1], 1);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_ASK_PASSED], 1);
    /* who brought it is gone: what it had crossed is remembered, by whom is not said */
    net_cut(first);
    net_run();
    far = office_of(0, 2);
    assert_int_equal(far.hops, 2);
    assert_int_equal(far.via_link, 0);
    assert_false(wc_node_link_at(net.nodes[0].node, 0, &link));
}

static void links_say_what_they_are(void **state)
{
    (void)state;
    struct wc_node_link link;
    net_start(0);
    net_start(1);
    net_open(0, 1, 0);
    assert_true(wc_node_link_at(net.nodes[0].node, 0, &link));
    assert_int_equal(link.rtt_ms, WC_RTT_UNKNOWN);
    assert_true(link.dialled);
    net_run(); /* a reconciliation asks and is answered */
    assert_true(wc_node_link_at(net.nodes[0].node, 0, &link));
    assert_int_equal(link.rtt_ms, 0); /* frames arrive at once here */
    assert_true(link.neighbour);
    assert_true(link.eager);
    assert_false(wc_node_link_at(net.nodes[0].node, 1, &link));
    assert_true(wc_node_link_at(net.nodes[1].node, 0, &link));
    assert_false(link.dialled);
    struct wc_node_overview o = overview(0);
    assert_int_equal(o.active_count, 1);
    assert_int_equal(o.eager_count, 1);
    assert_true(o.flooding);
    assert_false(o.has_root);
}

static void a_round_trip_is_measured(void **state)
{
    (void)state;
    struct wc_node_link link;
    struct wc_wire_clock ping;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    while (puppet_count(a, WC_WIRE_PING) == 0) /* it is silent, and asked */
        net_wait(100);
    assert_int_equal(wc_wire_decode_clock(puppet_heard(a, WC_WIRE_PING), &ping, NULL),
                     0);
    net_wait(137);
    wc_wire_pong(&frame, net.now_ms, ping.token);
    puppet_say(a, &frame);
    assert_true(wc_node_link_at(net.nodes[0].node, 0, &link));
    assert_in_range(link.rtt_ms, 137, 237);
}

static void reconciliations_are_told(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    assert_false(overview(0).reconciled);
    net_link(0, 1);
    struct wc_node_overview o = overview(0);
    assert_true(o.reconciled);
    assert_string_equal(o.last_office, net.nodes[1].identity.cert.name);
    assert_int_equal(o.last_wanted, 0);
    assert_false(o.syncing);
    assert_true(o.next_sync_mono_ms > net.mono_ms);
    struct wc_node_counts counts = net_stats(0).counts;
    assert_true(counts.syncs_begun >= 1);
    assert_int_equal(counts.syncs_equal, net_stats(0).syncs_done);
    assert_int_equal(counts.syncs_broken, 0);
    assert_int_equal(counts.sync_wanted, 0);
}

/* It leads a session, and is asked nothing back: in the end the session is given up. */
static void a_reconciliation_without_an_end_is_counted(void **state)
{
    (void)state;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    for (int i = 0; i < 4 && net.nodes[0].notes[WC_NOTE_SYNC_BROKEN] == 0; i++) {
        net_wait(5000);
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(a, &frame);
    }
    assert_int_equal(net.nodes[0].notes[WC_NOTE_SYNC_BROKEN], 1);
    assert_int_equal(net_stats(0).counts.syncs_broken, 1);
    assert_false(overview(0).reconciled);
}

/* A frame full of faults of one office is one note; a second later there may be another. */
static void faults_are_said_once_a_second(void **state)
{
    (void)state;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    for (int round = 1; round <= 2; round++) {
        for (uint64_t i = 1; i <= 3; i++) {
            struct wc_buf record = {0};
            make_record(&(struct made){.office = &net.nodes[1].identity,
                                       .kind = WC_KIND_ROW,
                                       .login = "alice",
                                       .rev = (uint64_t)round * 10 + i,
                                       .lease_ms = 9999 * WC_DAY_MS},
                        &record);
            puppet_records(a, WC_REASON_BROADCAST, &record);
            wc_buf_fini(&record);
        }
        assert_int_equal(net.nodes[0].notes[WC_NOTE_BLAMED], round);
        net_wait(1100);
    }
    assert_int_equal(net_stats(0).counts.refused[WC_ELEASE], 6);
    assert_int_equal(net_stats(0).records_refused, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(distance_is_what_an_ask_had_crossed, net_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(links_say_what_they_are, net_setup, teardown),
        cmocka_unit_test_setup_teardown(a_round_trip_is_measured, net_setup, teardown),
        cmocka_unit_test_setup_teardown(reconciliations_are_told, net_setup, teardown),
        cmocka_unit_test_setup_teardown(a_reconciliation_without_an_end_is_counted,
                                        net_setup, teardown),
        cmocka_unit_test_setup_teardown(faults_are_said_once_a_second, net_setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
