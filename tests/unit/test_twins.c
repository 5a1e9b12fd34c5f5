/* SPDX-License-Identifier: Apache-2.0 */
/* Offices that run twice, under a clock of our own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/limits.h>

#include "daemon/twins.h"
#include "tests/unit/unit.h"

static struct wc_twins *t;
static uint64_t now;

static int setup(void **state)
{
    (void)state;
    now = 5000000;
    return wc_twins_new(&t);
}

static int teardown(void **state)
{
    (void)state;
    wc_twins_free(t);
    return 0;
}

static struct wc_cert office(uint32_t n)
{
    struct wc_cert cert = {.serial = 1};
    memcpy(cert.sign_key, &n, sizeof(n));
    snprintf(cert.name, sizeof(cert.name), "office-%u", n);
    return cert;
}

static void own_keys_elsewhere_are_told_at_once(void **state)
{
    (void)state;
    struct wc_cert own = office(1);
    struct wc_twin twin;
    assert_false(wc_twins_at(t, 0, now, &twin));
    assert_true(wc_twins_own(t, &own, "192.0.2.7:40000", now));
    assert_false(
        wc_twins_own(t, &own, "[2001:db8::7]:7411", now + 1000)); /* said once */
    assert_true(wc_twins_at(t, 0, now + 1000, &twin));
    assert_true(twin.own);
    assert_string_equal(twin.office, "office-1");
    assert_string_equal(twin.host, "[2001:db8::7]");
    assert_false(wc_twins_at(t, 1, now, &twin));
    now += 1000 + WC_TWIN_NAMED_MS;
    assert_false(wc_twins_at(t, 0, now, &twin));
    assert_true(wc_twins_own(t, &own, "192.0.2.7:40001", now));
}

static bool link_from(const struct wc_cert *cert, unsigned host, const char *other)
{
    char address[32];
    static unsigned port = 40000;
    snprintf(address, sizeof(address), "192.0.2.%u:%u", host, port++);
    now += 1000;
    return wc_twins_link(t, cert, address, other, now);
}

static void links_by_turns_are_told(void **state)
{
    (void)state;
    struct wc_cert leeds = office(1), york = office(2);
    struct wc_twin twin;
    assert_false(link_from(&leeds, 1, NULL));
    for (unsigned i = 1; i < WC_TWIN_SWAPS_COUNT; i++) {
        assert_false(link_from(&leeds, 1 + i % 2, NULL));
        assert_false(link_from(&york, 9, NULL)); /* another office is another matter */
    }
    assert_false(wc_twins_at(t, 0, now, &twin));
    assert_true(link_from(&leeds, 1 + WC_TWIN_SWAPS_COUNT % 2, NULL));
    assert_true(wc_twins_at(t, 0, now, &twin));
    assert_false(twin.own);
    assert_string_equal(twin.office, "office-1");
    assert_string_equal(twin.host, "192.0.2.1");
    assert_string_equal(twin.other_host, "192.0.2.2");
    assert_false(link_from(&leeds, 2, NULL));
    assert_false(wc_twins_at(t, 1, now, &twin));
}

/* One keeps its link, and the other is turned away again and again. */
static void a_second_link_beside_the_first_is_a_turn(void **state)
{
    (void)state;
    struct wc_cert leeds = office(1);
    bool told = false;
    assert_false(link_from(&leeds, 1, NULL));
    for (unsigned i = 0; i < WC_TWIN_SWAPS_COUNT; i++) {
        assert_false(told);
        told = link_from(&leeds, 2, "192.0.2.1:7411");
    }
    assert_true(told);
}

static void what_honest_offices_do_is_not(void **state)
{
    (void)state;
    struct wc_cert leeds = office(1);
    struct wc_twin twin;
    for (unsigned i = 0; i < 100; i++) /* again and again from one address */
        assert_false(link_from(&leeds, 1, i % 2 == 0 ? NULL : "192.0.2.1:7411"));
    for (unsigned i = 0; i < 100; i++) { /* two addresses, now and then */
        assert_false(link_from(&leeds, 1 + i % 2, NULL));
        now += WC_TWIN_SWAP_MS;
    }
    assert_false(wc_twins_at(t, 0, now, &twin));
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct wc_cert own = office(1), leeds = office(2);
    struct wc_twin twin;
    for (unsigned i = 0; i <= WC_TWIN_SWAPS_COUNT; i++)
        link_from(&leeds, 1 + i % 2, NULL);
    assert_true(wc_twins_own(t, &own, "192.0.2.7:1", now));
    assert_true(wc_twins_at(t, 1, now, &twin));
    for (unsigned i = 0; i < 10 * WC_TWINS_COUNT; i++) {
        struct wc_cert other = office(1000 + i);
        link_from(&other, 1, NULL);
    }
    assert_true(wc_twins_at(t, 0, now, &twin)); /* the own stays, leeds gave way */
    assert_true(twin.own);
    assert_false(wc_twins_at(t, 1, now, &twin));
}

/* This office became another one, and the one it was has a name of its own again. */
static void own_is_whoever_we_are_now(void **state)
{
    (void)state;
    struct wc_cert before = office(1), own = office(2);
    struct wc_twin twin;
    assert_true(wc_twins_own(t, &before, "192.0.2.7:1", now));
    assert_true(wc_twins_own(t, &own, "192.0.2.8:1", now));
    for (uint32_t i = 0; wc_twins_at(t, i, now, &twin); i++)
        assert_int_equal(twin.own, strcmp(twin.office, "office-2") == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(own_keys_elsewhere_are_told_at_once),
        TEST(links_by_turns_are_told),
        TEST(a_second_link_beside_the_first_is_a_turn),
        TEST(what_honest_offices_do_is_not),
        TEST(memory_is_bounded),
        TEST(own_is_whoever_we_are_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
