/* SPDX-License-Identifier: Apache-2.0 */
/* An office leaves: what it has is retired with its neighbours, and stays in its store. */
#include "tests/unit/net.h"

static struct wc_node_leaving leave(int n)
{
    struct wc_node_leaving leaving;
    net_step(n, &(struct wc_event){.type = WC_EVENT_LEAVE});
    wc_node_leaving(net.nodes[n].node, &leaving);
    return leaving;
}

static bool is_retired(int n, const uint8_t *office, uint8_t kind, const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES], held = 0;
    struct wc_version v;
    wc_slot(slot, kind, office, login);
    return wc_node_slot(net.nodes[n].node, slot, &v, &held) == 0 &&
           held == WC_KIND_RETIRE;
}

static uint8_t stored_kind(int n, const uint8_t *office, uint8_t kind,
                           const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_record r;
    wc_slot(slot, kind, office, login);
    struct net_stored *s = net_find(&net.nodes[n], slot);
    assert_non_null(s);
    assert_int_equal(wc_record_decode(wc_buf_slice(&s->bytes), &r, NULL), 0);
    return r.kind;
}

/* 0 and 1 are linked, 2 is linked with 1 alone. */
static void chain(void)
{
    for (int n = 0; n < 3; n++)
        net_start(n);
    net_link(0, 1);
    net_link(1, 2);
    for (int n = 0; n < 3; n++) {
        net_put(n, WC_KIND_ROW, "alice");
        net_put(n, WC_KIND_PROFILE, "alice");
    }
    net_wait(2000);
    assert_true(net_same(0, 1) && net_same(1, 2));
}

/* Who was retired before, and is there again, is as gone as everybody. */
static void who_came_back_is_gone_elsewhere_too(void **state)
{
    (void)state;
    chain();
    net_put_rev(0, WC_KIND_RETIRE, "alice", 2, WC_KIND_PROFILE);
    net_wait(2000);
    assert_true(is_retired(2, net_key(0), WC_KIND_PROFILE, "alice"));
    net_put(0, WC_KIND_PROFILE, "alice");
    net_wait(2000);
    assert_false(is_retired(2, net_key(0), WC_KIND_PROFILE, "alice"));
    net_put_rev(0, WC_KIND_RETIRE, "alice", 4, WC_KIND_PROFILE);
    net_wait(2000);
    net_stop(0);
    net_start(0); /* from here on it knows of the retirement alone */
    net_link(0, 1);
    net_put(0, WC_KIND_PROFILE, "alice");
    net_wait(2000);
    assert_int_equal(leave(0).retired_count, 2);
    net_wait(2000);
    for (int n = 1; n < 3; n++)
        assert_true(is_retired(n, net_key(0), WC_KIND_PROFILE, "alice"));
}

static void its_people_are_gone_elsewhere_and_stay_in_its_store(void **state)
{
    (void)state;
    chain();
    uint32_t puts = net.nodes[0].puts;
    struct wc_node_leaving l = leave(0);
    assert_false(l.more);
    assert_int_equal(l.retired_count, 2);
    assert_int_equal(l.waiting_count, 1);
    assert_int_equal(l.told_count, 0);
    net_run();
    wc_node_leaving(net.nodes[0].node, &l);
    assert_int_equal(l.waiting_count, 0);
    assert_int_equal(l.told_count, 1);
    assert_true(is_retired(1, net_key(0), WC_KIND_ROW, "alice")); /* as it said */
    net_wait(2000);
    for (int n = 1; n < 3; n++) {
        assert_true(is_retired(n, net_key(0), WC_KIND_ROW, "alice"));
        assert_true(is_retired(n, net_key(0), WC_KIND_PROFILE, "alice"));
        assert_false(is_retired(n, net_key(1), WC_KIND_ROW, "alice"));
    }
    /* nothing was written here, whatever came back since */
    assert_int_equal(net.nodes[0].puts, puts);
    assert_int_equal(stored_kind(0, net_key(0), WC_KIND_ROW, "alice"), WC_KIND_ROW);
    assert_int_equal(stored_kind(0, net_key(0), WC_KIND_PROFILE, "alice"),
                     WC_KIND_PROFILE);
    net_wait(120000); /* nor when they reconcile */
    assert_int_equal(stored_kind(0, net_key(0), WC_KIND_PROFILE, "alice"),
                     WC_KIND_PROFILE);
    assert_int_equal(net.nodes[1].notes[WC_NOTE_RECORD_REFUSED], 0);
}

static void many_people_take_several_steps(void **state)
{
    (void)state;
    char login[16];
    net_start(0);
    net_start(1);
    net_link(0, 1);
    for (int i = 0; i < 100; i++) { /* the quota */
        snprintf(login, sizeof(login), "p%d", i);
        net_put(0, WC_KIND_ROW, login);
        net_put(0, WC_KIND_PROFILE, login);
        net_run();
    }
    net_wait(2000);
    struct wc_node_leaving l = leave(0);
    assert_true(l.more);
    assert_true(l.retired_count < 200);
    assert_int_equal(l.waiting_count, 1); /* it has not been asked yet */
    net_run();
    l = leave(0);
    assert_false(l.more);
    assert_int_equal(l.retired_count, 200);
    net_run();
    wc_node_leaving(net.nodes[0].node, &l);
    assert_int_equal(l.told_count, 1);
    for (int i = 0; i < 100; i++) {
        snprintf(login, sizeof(login), "p%d", i);
        assert_true(is_retired(1, net_key(0), WC_KIND_PROFILE, login));
        assert_true(is_retired(1, net_key(0), WC_KIND_ROW, login));
    }
    l = leave(0); /* once more does nothing */
    assert_int_equal(l.retired_count, 200);
    assert_int_equal(l.told_count, 1);
}

static void a_neighbour_that_goes_is_not_waited_for(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    uint32_t link = net_link(0, 1);
    net_put(0, WC_KIND_ROW, "alice");
    net_wait(2000);
    struct wc_node_leaving l = leave(0);
    assert_int_equal(l.waiting_count, 1);
    net_cut(link);
    wc_node_leaving(net.nodes[0].node, &l);
    assert_int_equal(l.waiting_count, 0);
    assert_int_equal(l.told_count, 0);
}

static void who_may_not_sign_retires_nothing(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_put(0, WC_KIND_ROW, "alice");
    net_wait(2000);
    net.nodes[0].skew_ms =
        (int64_t)(net.nodes[0].identity.cert.not_after_ms - net.now_ms) + 1000;
    struct wc_node_leaving l = leave(0);
    assert_false(l.more);
    assert_int_equal(l.retired_count, 0);
    assert_int_equal(l.waiting_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            its_people_are_gone_elsewhere_and_stay_in_its_store, net_setup,
            net_teardown),
        cmocka_unit_test_setup_teardown(who_came_back_is_gone_elsewhere_too, net_setup,
                                        net_teardown),
        cmocka_unit_test_setup_teardown(many_people_take_several_steps, net_setup,
                                        net_teardown),
        cmocka_unit_test_setup_teardown(a_neighbour_that_goes_is_not_waited_for,
                                        net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(who_may_not_sign_retires_nothing, net_setup,
                                        net_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
