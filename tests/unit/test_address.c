/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text and as socket addresses. */
#include <netinet/in.h>
#include <string.h>

#include <whocan/error.h>

#include "daemon/address.h"
#include "tests/unit/unit.h"

static void good_addresses_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {
        {"leeds.example:7411", "leeds.example", 7411},
        {"127.0.0.1:0", "127.0.0.1", 0},
        {"[::]:65535", "::", 65535},
        {"[fe80::1%eth0]:1", "fe80::1%eth0", 1},
        {"a:00080", "a", 80},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct wc_address a;
        assert_int_equal(wc_address_parse(&a, good[i].text), 0);
        assert_string_equal(a.host, good[i].host);
        assert_int_equal(a.port, good[i].port);
    }
}

static void bad_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",         ":",           ":7411",        "leeds",     "leeds:",    "leeds:x",
        "leeds:-1", "leeds:65536", "leeds:999999", "leeds: 7",  "le eds:7",  "::1:7411",
        "[]:7411",  "[::1]",       "[::1:7411",    "::1]:7411", "[[::1]]:7", "a\n:7",
        "[::1]x:7", "leeds:7 ",    "b\xc3\xa5:7",
    };
    struct wc_address a;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(wc_address_parse(&a, bad[i]), -WC_EINVALID);
    char text[WC_HOST_MAX_BYTES + 4];
    memset(text, 'a', sizeof(text));
    memcpy(text + WC_HOST_MAX_BYTES, ":7", 3);
    assert_int_equal(wc_address_parse(&a, text), 0);
    memcpy(text + WC_HOST_MAX_BYTES, "a:7", 4);
    assert_int_equal(wc_address_parse(&a, text), -WC_EINVALID);
}

static struct sockaddr_storage numeric(const char *text)
{
    struct wc_address a;
    struct sockaddr_storage sa;
    assert_int_equal(wc_address_parse(&a, text), 0);
    assert_int_equal(wc_address_numeric(&a, &sa), 0);
    return sa;
}

static void numeric_addresses_need_no_name_server(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"192.0.2.1:7411", "192.0.2.1:7411"},
        {"[2001:db8::1]:80", "[2001:db8::1]:80"},
        {"[::ffff:192.0.2.7]:9", "192.0.2.7:9"},
        {"[2001:0DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80"},
    };
    char out[WC_ADDRESS_MAX_BYTES + 1];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sockaddr_storage sa = numeric(texts[i][0]);
        wc_address_text((const struct sockaddr *)&sa, out);
        assert_string_equal(out, texts[i][1]);
    }
    struct wc_address a;
    struct sockaddr_storage sa;
    assert_int_equal(wc_address_parse(&a, "leeds.example:1"), 0);
    assert_int_equal(wc_address_numeric(&a, &sa), -WC_ENOTFOUND);
}

static void the_longest_address_fits(void **state)
{
    (void)state;
    char out[WC_ADDRESS_MAX_BYTES + 1];
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(65535)};
    memset(&six.sin6_addr, 0xfe, sizeof(six.sin6_addr));
    wc_address_text((const struct sockaddr *)&six, out);
    assert_string_equal(out, "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:65535");
}

static bool same_source(const char *a, const char *b)
{
    struct sockaddr_storage sa = numeric(a), sb = numeric(b);
    struct wc_source one, two;
    wc_source_of((const struct sockaddr *)&sa, &one);
    wc_source_of((const struct sockaddr *)&sb, &two);
    return wc_source_eq(&one, &two);
}

static void sources_are_addresses_or_prefixes(void **state)
{
    (void)state;
    assert_true(same_source("192.0.2.1:1", "192.0.2.1:2"));
    assert_false(same_source("192.0.2.1:1", "192.0.2.2:1"));
    assert_true(same_source("192.0.2.1:1", "[::ffff:192.0.2.1]:1"));
    assert_true(same_source("[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::9]:1"));
    assert_false(same_source("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"));
}

static bool loopback(const char *text)
{
    struct sockaddr_storage sa = numeric(text);
    return wc_address_is_loopback((const struct sockaddr *)&sa);
}

static void loopback_is_known(void **state)
{
    (void)state;
    assert_true(loopback("127.0.0.1:1"));
    assert_true(loopback("127.9.9.9:1"));
    assert_true(loopback("[::1]:1"));
    assert_true(loopback("[::ffff:127.0.0.1]:1"));
    assert_false(loopback("128.0.0.1:1"));
    assert_false(loopback("[::2]:1"));
    assert_false(loopback("[::ffff:10.0.0.1]:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_are_taken_apart),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(numeric_addresses_need_no_name_server),
        cmocka_unit_test(the_longest_address_fits),
        cmocka_unit_test(sources_are_addresses_or_prefixes),
        cmocka_unit_test(loopback_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
