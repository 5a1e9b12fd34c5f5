/* SPDX-License-Identifier: Apache-2.0 */
/* JSON and MessagePack, one into the other, and JSON as text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "tests/unit/unit.h"

static const struct wc_scan_limits limits = {1u << 20, 16, 1u << 20};

static int convert(const struct wc_buf *packed, json_t **out)
{
    struct wc_doc *doc = NULL;
    assert_int_equal(wc_doc_new(wc_buf_slice(packed), &limits, &doc), 0);
    int rc = wc_json_from_obj(wc_doc_root(doc), out);
    wc_doc_free(doc);
    return rc;
}

static void assert_text(const json_t *value, const char *expected)
{
    struct wc_buf text = {0};
    assert_int_equal(wc_json_text(&text, value, false), 0);
    wc_buf_byte(&text, '\0');
    assert_string_equal((char *)text.data, expected);
    wc_buf_fini(&text);
}

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    char why[200] = "";
    int rc = wc_json_parse(wc_slice_text(text), &value, why, sizeof(why));
    if (rc != 0)
        print_error("%s: %s\n", text, why);
    assert_int_equal(rc, 0);
    return value;
}

/* JSON to MessagePack and back is the same JSON. */
static void assert_round_trip(const char *text)
{
    struct wc_buf packed = {0};
    json_t *before = parse(text);
    json_t *after = NULL;
    assert_int_equal(wc_json_pack(&packed, before), 0);
    assert_int_equal(convert(&packed, &after), 0);
    assert_true(json_equal(before, after));
    assert_text(after, text);
    json_decref(before);
    json_decref(after);
    wc_buf_fini(&packed);
}

static void values_survive_both_ways(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "0.5",
        "\"\"",
        "\"Bj\xc3\xb8rn \xe7\x8e\x8b \xf0\x9f\x90\x8c\"",
        "[]",
        "{}",
        "[1, [2, [3]], {\"a\": null}]",
        "{\"z\": 1, \"a\": [true, \"x\"], \"\": {}}",
        "[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_round_trip(texts[i]);
}

static void what_json_lacks_is_translated(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    json_t *value = NULL;
    wc_pack_array(&b, 5);
    wc_pack_bin(&b, wc_slice("\xff\xfe\xfd", 3));
    wc_pack_u64(&b, UINT64_MAX);
    wc_pack_double(&b, NAN);
    wc_pack_double(&b, INFINITY);
    wc_pack_str(&b, wc_slice("a\0b", 3));
    assert_int_equal(convert(&b, &value), 0);
    assert_text(value, "[\"__79\", 1.84467440737e19, null, null, \"a\\u0000b\"]");
    json_decref(value);
    wc_buf_fini(&b);
}

static void the_first_of_equal_keys_counts(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    json_t *value = NULL;
    wc_pack_map(&b, 2);
    for (uint64_t i = 1; i <= 2; i++) {
        wc_pack_text(&b, "k");
        wc_pack_u64(&b, i);
    }
    assert_int_equal(convert(&b, &value), 0);
    assert_text(value, "{\"k\": 1}");
    json_decref(value);
    wc_buf_fini(&b);
}

static void what_cannot_be_json_is_refused(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    json_t *value = NULL;
    wc_pack_map(&b, 1);
    wc_pack_u64(&b, 1);
    wc_pack_u64(&b, 2);
    assert_int_equal(convert(&b, &value), -WC_ETYPE);
    assert_null(value);
    wc_buf_reset(&b);
    wc_pack_array(&b, 1);
    wc_pack_str(&b, wc_slice("\xff", 1));
    assert_int_equal(convert(&b, &value), -WC_EINVALID);
    assert_null(value);
    wc_buf_fini(&b);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char deep[200];
    struct wc_buf b = {0};
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    json_t *value = NULL;
    char why[100];
    assert_int_equal(wc_json_parse(wc_slice(deep, 200), &value, why, sizeof(why)), 0);
    assert_int_equal(wc_json_pack(&b, value), -WC_EDEPTH);
    json_decref(value);
    wc_buf_fini(&b);
}

static void bad_json_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      "{",           "{\"a\":1,}",    "[1 2]", "{\"a\":1,\"a\":2}",
        "\xff",  "\"\xff\"",    "\"\\u0000\"",   "nul",   "99999999999999999999",
        "{} {}", "\"\\ud800\"", "{\"a\" \"b\"}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *value = NULL;
        char why[200] = "";
        assert_int_equal(wc_json_parse(wc_slice_text(bad[i]), &value, why, sizeof(why)),
                         -WC_EINVALID);
        assert_null(value);
        assert_true(why[0] != '\0');
    }
}

/* What a terminal would obey stands as an escape, and means the same. */
static void printed_json_is_safe_for_a_terminal(void **state)
{
    (void)state;
    static const char hostile[] = "a\x1b[31m\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\xa1z";
    json_t *value = json_string(hostile);
    assert_non_null(value);
    assert_text(value, "\"a\\u001B[31m\\u007f\\u009b\\u202e\\udb40\\udc21z\"");
    struct wc_buf text = {0};
    assert_int_equal(wc_json_text(&text, value, true), 0);
    json_t *again = NULL;
    char why[100];
    assert_int_equal(wc_json_parse(wc_buf_slice(&text), &again, why, sizeof(why)), 0);
    assert_true(json_equal(value, again));
    json_decref(value);
    json_decref(again);
    wc_buf_fini(&text);
}

static void a_zero_character_is_told_in_plain_words(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"name\": \"a\\u0000b\"}",
                                        "{\"a\\u0000b\": 1}"};
    for (size_t i = 0; i < 2; i++) {
        char why[200] = "";
        json_t *value = NULL;
        assert_int_equal(
            wc_json_parse(wc_slice_text(texts[i]), &value, why, sizeof(why)),
            -WC_EINVALID);
        assert_null(value);
        assert_non_null(strstr(why, "a text holds \\u0000"));
        assert_null(strstr(why, "JSON_"));
    }
}

static void lookups_never_fail(void **state)
{
    (void)state;
    json_t *o =
        parse("{\"s\": \"x\", \"n\": 5, \"neg\": -5, \"b\": false, \"f\": 1.5}");
    assert_true(wc_slice_is(wc_json_str(o, "s"), "x"));
    assert_int_equal(wc_json_str(o, "n").len, 0);
    assert_int_equal(wc_json_str(NULL, "n").len, 0);
    assert_int_equal(wc_json_u64(o, "n"), 5);
    assert_int_equal(wc_json_u64(o, "neg"), 0);
    assert_int_equal(wc_json_u64(o, "f"), 0);
    assert_int_equal(wc_json_u64(o, "none"), 0);
    assert_false(wc_json_bool(o, "b", true));
    assert_true(wc_json_bool(o, "none", true));
    assert_false(wc_json_bool(o, "s", false));
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_survive_both_ways),
        cmocka_unit_test(what_json_lacks_is_translated),
        cmocka_unit_test(the_first_of_equal_keys_counts),
        cmocka_unit_test(what_cannot_be_json_is_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(bad_json_is_refused_with_a_reason),
        cmocka_unit_test(printed_json_is_safe_for_a_terminal),
        cmocka_unit_test(a_zero_character_is_told_in_plain_words),
        cmocka_unit_test(lookups_never_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
