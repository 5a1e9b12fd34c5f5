/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that misbehave, under a clock of our own. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/limits.h>

#include "daemon/penalty.h"
#include "tests/unit/unit.h"

static struct wc_penalties *p;
static uint64_t now;

static int setup(void **state)
{
    (void)state;
    now = 5000000;
    return wc_penalties_new(&p);
}

static int teardown(void **state)
{
    (void)state;
    wc_penalties_free(p);
    return 0;
}

static struct wc_source four(uint32_t address)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    struct wc_source source;
    wc_source_of((const struct sockaddr *)&sa, &source);
    return source;
}

static struct wc_source six(const char *text)
{
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6};
    struct wc_source source;
    assert_int_equal(inet_pton(AF_INET6, text, &sa.sin6_addr), 1);
    wc_source_of((const struct sockaddr *)&sa, &source);
    return source;
}

/* How many failures, all at once, until the source is paused. */
static uint32_t fail_until_paused(const struct wc_source *source)
{
    for (uint32_t n = 1; n < 100000; n++) {
        bool excess = wc_penalties_fail(p, source, false, now);
        assert_int_equal(excess, wc_penalties_paused(p, source, now));
        if (excess)
            return n;
    }
    return 0;
}

static uint64_t pause_left(const struct wc_source *source)
{
    uint64_t ms = 0;
    while (wc_penalties_paused(p, source, now + ms))
        ms += 500;
    return ms;
}

static void some_failures_are_nobodys_harm(void **state)
{
    (void)state;
    struct wc_source source = four(0xc0000201), other = four(0xc0000202);
    assert_int_equal(fail_until_paused(&source), WC_PENALTY_BURST_COUNT + 1);
    assert_false(wc_penalties_paused(p, &other, now));
    assert_false(wc_penalties_fail(p, &other, false, now));
}

/* As often as an office tries that is refused for its clock, for days. */
static void whoever_fails_slowly_is_never_paused(void **state)
{
    (void)state;
    struct wc_source source = four(0xc0000201);
    for (int i = 0; i < 10000; i++) {
        assert_false(wc_penalties_fail(p, &source, false, now));
        now += WC_PENALTY_DECAY_MS;
    }
    assert_int_equal(wc_penalties_worst(p, NULL, 0, now, NULL), 0);
}

static void pauses_grow_and_are_bounded(void **state)
{
    (void)state;
    struct wc_source source = four(0xc0000201);
    uint64_t want = WC_PENALTY_PAUSE_MS;
    fail_until_paused(&source);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(pause_left(&source), want);
        now += want;
        assert_int_equal(fail_until_paused(&source), WC_PENALTY_AGAIN_COUNT + 1);
        want = want * 2 > WC_PENALTY_PAUSE_MAX_MS ? WC_PENALTY_PAUSE_MAX_MS : want * 2;
    }
    assert_int_equal(want, WC_PENALTY_PAUSE_MAX_MS);
}

/* What was under way when the pause began does not lengthen it. */
static void failures_in_a_pause_count_and_do_nothing(void **state)
{
    (void)state;
    struct wc_source source = four(0xc0000201);
    struct wc_offender worst;
    fail_until_paused(&source);
    for (int i = 0; i < 1000; i++)
        assert_false(wc_penalties_fail(p, &source, false, now));
    assert_int_equal(pause_left(&source), WC_PENALTY_PAUSE_MS);
    assert_int_equal(wc_penalties_worst(p, &worst, 1, now, NULL), 1);
    assert_int_equal(worst.failures_count, WC_PENALTY_BURST_COUNT + 1 + 1000);
    assert_int_equal(worst.paused_ms, WC_PENALTY_PAUSE_MS);
}

static void time_heals(void **state)
{
    (void)state;
    struct wc_source source = four(0xc0000201);
    fail_until_paused(&source);
    for (int i = 0; i < 4; i++) {
        now += pause_left(&source);
        fail_until_paused(&source);
    }
    assert_int_equal(pause_left(&source), 16 * WC_PENALTY_PAUSE_MS);
    now +=
        pause_left(&source) + 2 * WC_PENALTY_CALM_MS; /* two doublings are forgotten */
    assert_int_equal(fail_until_paused(&source), WC_PENALTY_BURST_COUNT + 1);
    assert_int_equal(pause_left(&source), 8 * WC_PENALTY_PAUSE_MS);
    now += 100 * WC_PENALTY_CALM_MS;
    assert_int_equal(fail_until_paused(&source), WC_PENALTY_BURST_COUNT + 1);
    assert_int_equal(pause_left(&source), WC_PENALTY_PAUSE_MS);
}

/* An office and an attacker behind one address translator. */
static void a_link_clears_its_source_and_keeps_it_open(void **state)
{
    (void)state;
    struct wc_source source = four(0xc0000201), peer = four(0xc0000202);
    fail_until_paused(&source);
    wc_penalties_good(p, &source, false, now);
    wc_penalties_good(p, &peer, true, now);
    assert_false(wc_penalties_paused(p, &source, now));
    for (int i = 0; i < 100000; i++) {
        wc_penalties_fail(p, &source, false, now);
        wc_penalties_fail(p, &peer, false, now);
        assert_false(wc_penalties_paused(p, &source, now));
        assert_false(wc_penalties_paused(p, &peer, now));
        now += 30;
    }
    struct wc_offender worst[2]; /* and it is told of all the same */
    assert_int_equal(wc_penalties_worst(p, worst, 2, now, NULL), 2);
    assert_int_equal(worst[0].failures_count, WC_PENALTY_BURST_COUNT + 1 + 100000);
    assert_int_equal(worst[1].failures_count, 100000);
    assert_int_equal(worst[0].paused_ms, 0);
    now += WC_PENALTY_TRUST_MS; /* long gone */
    for (int i = 0; i < 200; i++) {
        wc_penalties_fail(p, &source, false, now);
        wc_penalties_fail(p, &peer, false, now);
    }
    assert_true(wc_penalties_paused(p, &source, now));
    assert_false(wc_penalties_paused(p, &peer, now)); /* a configured one: for a day */
    now += WC_PENALTY_TRUST_PEER_MS;
    fail_until_paused(&peer);
    assert_true(wc_penalties_paused(p, &peer, now));
}

static void loopback_is_counted_and_not_paused(void **state)
{
    (void)state;
    struct wc_source source = four(0x7f000001);
    struct wc_offender worst;
    unsigned excess = 0;
    for (int i = 0; i < 1000; i++)
        excess += wc_penalties_fail(p, &source, true, now);
    assert_int_equal(excess, 1000 - WC_PENALTY_BURST_COUNT);
    assert_false(wc_penalties_paused(p, &source, now));
    assert_int_equal(wc_penalties_worst(p, &worst, 1, now, NULL), 1);
    assert_int_equal(worst.failures_count, 1000);
    assert_int_equal(worst.paused_ms, 0);
}

static void six_counts_by_network(void **state)
{
    (void)state;
    struct wc_source a = six("2001:db8:1:2::1"), b = six("2001:db8:1:2:ffff::9"),
                     c = six("2001:db8:1:3::1"), mapped = six("::ffff:192.0.2.1"),
                     plain = four(0xc0000201);
    char text[WC_ADDRESS_MAX_BYTES + 1];
    fail_until_paused(&a);
    assert_true(wc_penalties_paused(p, &b, now));
    assert_false(wc_penalties_paused(p, &c, now));
    assert_true(wc_source_eq(&mapped, &plain));
    wc_source_text(&a, text);
    assert_string_equal(text, "2001:db8:1:2::/64");
    wc_source_text(&mapped, text);
    assert_string_equal(text, "192.0.2.1");
}

/* More sources than there is room for: the oldest go, and trust is not washed out. */
static void the_table_is_bounded(void **state)
{
    (void)state;
    struct wc_source first = four(0x0a000000), friend = four(0x0b000000);
    struct wc_offender worst[WC_PENALTY_NAMED_COUNT];
    uint32_t total;
    wc_penalties_good(p, &friend, false, now);
    fail_until_paused(&first);
    for (uint32_t i = 1; i <= 20 * WC_PENALTY_SOURCES_COUNT; i++) {
        struct wc_source source = four(0x0a000000 + i);
        for (int k = 0; k <= WC_PENALTY_BURST_COUNT; k++)
            wc_penalties_fail(p, &source, false, now);
        assert_true(wc_penalties_paused(p, &source, now));
    }
    assert_false(wc_penalties_paused(p, &first, now)); /* forgotten */
    assert_int_equal(wc_penalties_worst(p, worst, WC_PENALTY_NAMED_COUNT, now, &total),
                     WC_PENALTY_NAMED_COUNT);
    assert_int_equal(total, WC_PENALTY_SOURCES_COUNT);
    for (int k = 0; k <= WC_PENALTY_BURST_COUNT; k++)
        wc_penalties_fail(p, &friend, false, now);
    assert_false(wc_penalties_paused(p, &friend, now));
}

static void the_worst_come_first_and_are_forgotten(void **state)
{
    (void)state;
    struct wc_offender worst[3];
    uint32_t total;
    for (uint32_t i = 0; i < 10; i++) {
        struct wc_source source = four(0xc0000200 + (i * 7) % 10);
        for (uint32_t k = 0; k < 40 + 10 * ((i * 7) % 10); k++)
            wc_penalties_fail(p, &source, false, now);
    }
    assert_int_equal(wc_penalties_worst(p, worst, 3, now, &total), 3);
    assert_int_equal(total, 10);
    for (uint32_t i = 0; i < 3; i++) {
        struct wc_source want = four(0xc0000209 - i);
        assert_true(wc_source_eq(&worst[i].source, &want));
        assert_int_equal(worst[i].failures_count, 130 - 10 * i);
        assert_int_equal(worst[i].last_ms, now);
    }
    now += WC_PENALTY_NAMED_MS;
    assert_int_equal(wc_penalties_worst(p, worst, 3, now, &total), 0);
    assert_int_equal(total, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(some_failures_are_nobodys_harm),
        TEST(whoever_fails_slowly_is_never_paused),
        TEST(pauses_grow_and_are_bounded),
        TEST(failures_in_a_pause_count_and_do_nothing),
        TEST(time_heals),
        TEST(a_link_clears_its_source_and_keeps_it_open),
        TEST(loopback_is_counted_and_not_paused),
        TEST(six_counts_by_network),
        TEST(the_table_is_bounded),
        TEST(the_worst_come_first_and_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
