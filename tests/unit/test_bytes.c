/* SPDX-License-Identifier: Apache-2.0 */
/* Slices, buffers, text encodings, UTF-8 and big-endian integers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#include "tests/unit/unit.h"

static void slices_compare_by_bytes_then_length(void **state)
{
    (void)state;
    struct wc_slice empty = wc_slice(NULL, 0), ab = wc_slice_text("ab"),
                    abc = wc_slice_text("abc"), b = wc_slice_text("b");
    assert_int_equal(wc_slice_text(NULL).len, 0);
    assert_true(wc_slice_eq(empty, wc_slice_text("")));
    assert_true(wc_slice_eq(ab, wc_slice("abc", 2)));
    assert_false(wc_slice_eq(ab, abc));
    assert_true(wc_slice_is(ab, "ab"));
    assert_false(wc_slice_is(ab, "abc"));
    assert_true(wc_slice_cmp(empty, ab) < 0);
    assert_true(wc_slice_cmp(ab, abc) < 0);
    assert_true(wc_slice_cmp(abc, b) < 0);
    assert_true(wc_slice_cmp(b, abc) > 0);
    assert_int_equal(wc_slice_cmp(empty, empty), 0);
    assert_true(wc_slice_cmp(wc_slice("\xff", 1), wc_slice("\x01", 1)) > 0);
}

static void slices_are_copied_whole_or_not_at_all(void **state)
{
    (void)state;
    char out[4] = "xyz";
    assert_true(wc_slice_copy(wc_slice_text("abc"), out, sizeof(out)));
    assert_string_equal(out, "abc");
    assert_false(wc_slice_copy(wc_slice_text("abcd"), out, sizeof(out)));
    assert_string_equal(out, "");
    assert_false(wc_slice_copy(wc_slice("a\0b", 3), out, sizeof(out)));
    assert_string_equal(out, "");
    assert_true(wc_slice_copy(wc_slice(NULL, 0), out, sizeof(out)));

    char *copy = wc_slice_dup(wc_slice("hello", 4));
    assert_string_equal(copy, "hell");
    free(copy);
    copy = wc_slice_dup(wc_slice(NULL, 0));
    assert_string_equal(copy, "");
    free(copy);
}

static void buffers_grow_and_give_up_their_memory(void **state)
{
    (void)state;
    struct wc_buf b;
    wc_buf_init(&b);
    for (unsigned i = 0; i < 1000; i++)
        wc_buf_byte(&b, (uint8_t)i);
    wc_buf_text(&b, "tail");
    assert_int_equal(b.len, 1004);
    assert_int_equal(b.data[999], 999 & 0xff);
    wc_buf_drop(&b, 1000);
    assert_true(wc_slice_is(wc_buf_slice(&b), "tail"));
    wc_buf_drop(&b, 0);
    wc_buf_append(&b, NULL, 0);
    assert_int_equal(b.len, 4);

    size_t len;
    uint8_t *taken = wc_buf_take(&b, &len);
    assert_int_equal(len, 4);
    assert_memory_equal(taken, "tail", 4);
    free(taken);
    assert_null(b.data);
    assert_int_equal(wc_buf_slice(&b).len, 0);
    wc_buf_text(&b, "again");
    wc_buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_non_null(b.data);
    wc_buf_fini(&b);
    wc_buf_fini(&b);
}

static void failure_is_sticky(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    wc_buf_text(&b, "kept");
    assert_null(wc_buf_reserve(&b, SIZE_MAX));
    assert_true(b.failed);
    wc_buf_text(&b, "not added");
    wc_buf_byte(&b, 1);
    wc_buf_base64url(&b, wc_slice_text("nor this"));
    assert_true(wc_slice_is(wc_buf_slice(&b), "kept"));
    wc_buf_reset(&b);
    wc_buf_text(&b, "works");
    assert_true(wc_slice_is(wc_buf_slice(&b), "works"));
    wc_buf_fini(&b);
}

/* RFC 4648, section 10, without padding, and the two characters of section 5. */
static const struct {
    const char *raw, *text;
} base64_cases[] = {
    {"", ""},
    {"f", "Zg"},
    {"fo", "Zm8"},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg"},
    {"fooba", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff", "-_8"},
};

static void base64url_is_as_published(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    for (size_t i = 0; i < sizeof(base64_cases) / sizeof(base64_cases[0]); i++) {
        wc_buf_reset(&b);
        wc_buf_base64url(&b, wc_slice_text(base64_cases[i].raw));
        assert_true(wc_slice_is(wc_buf_slice(&b), base64_cases[i].text));
        wc_buf_reset(&b);
        assert_int_equal(wc_base64url_decode(wc_slice_text(base64_cases[i].text), &b),
                         0);
        assert_true(wc_slice_is(wc_buf_slice(&b), base64_cases[i].raw));
    }
    wc_buf_fini(&b);
}

static void base64url_refuses_what_it_would_not_write(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",    "Zg==", "Zh",    "Zm9",    "Zm 8",
                                      "Zm+v", "Zm/v", "Zm9vY", "Zm9\nv", "Zm\x80v"};
    struct wc_buf b = {0};
    wc_buf_text(&b, "before");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(wc_base64url_decode(wc_slice_text(bad[i]), &b), -WC_EINVALID);
        assert_true(wc_slice_is(wc_buf_slice(&b), "before"));
    }
    wc_buf_fini(&b);
}

static void random_bytes_survive_the_encodings(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    struct wc_buf text = {0}, raw = {0};
    for (size_t len = 0; len < 200; len++) {
        uint8_t in[200], out[200];
        char hex[401];
        for (size_t i = 0; i < len; i++)
            in[i] = (uint8_t)rand();
        wc_buf_reset(&text);
        wc_buf_reset(&raw);
        wc_buf_base64url(&text, wc_slice(in, len));
        assert_int_equal(text.len, (len * 8 + 5) / 6);
        assert_int_equal(wc_base64url_decode(wc_buf_slice(&text), &raw), 0);
        assert_true(wc_slice_eq(wc_buf_slice(&raw), wc_slice(in, len)));
        wc_hex(hex, in, len);
        assert_int_equal(wc_unhex(out, len, wc_slice_text(hex)), 0);
        assert_memory_equal(out, in, len);
    }
    wc_buf_fini(&text);
    wc_buf_fini(&raw);
}

static void hexadecimal_is_exact(void **state)
{
    (void)state;
    char hex[9];
    uint8_t out[4];
    wc_hex(hex, "\x00\x9f\xa0\xff", 4);
    assert_string_equal(hex, "009fa0ff");
    assert_int_equal(wc_unhex(out, 4, wc_slice_text("009FA0fF")), 0);
    assert_memory_equal(out, "\x00\x9f\xa0\xff", 4);
    assert_int_equal(wc_unhex(out, 4, wc_slice_text("009fa0f")), -WC_EINVALID);
    assert_int_equal(wc_unhex(out, 4, wc_slice_text("009fa0ff0")), -WC_EINVALID);
    assert_int_equal(wc_unhex(out, 4, wc_slice_text("009fa0ff00")), -WC_EINVALID);
    assert_int_equal(wc_unhex(out, 4, wc_slice_text("009fa0fg")), -WC_EINVALID);
    assert_int_equal(wc_unhex(out, 4, wc_slice_text("0x9fa0ff")), -WC_EINVALID);
}

/* Every sequence of one to three bytes, and four-byte ones at their edges, against the
 * definition: decode by arithmetic, then ask for the shortest form of a scalar value. */
static bool utf8_by_definition(const uint8_t *s, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < len;) {
        size_t n = s[i] < 0x80             ? 1
                   : (s[i] & 0xe0) == 0xc0 ? 2
                   : (s[i] & 0xf0) == 0xe0 ? 3
                   : (s[i] & 0xf8) == 0xf0 ? 4
                                           : 0;
        if (n == 0 || i + n > len)
            return false;
        uint32_t v = n == 1 ? s[i] : s[i] & (0x7fu >> n);
        for (size_t k = 1; k < n; k++) {
            if ((s[i + k] & 0xc0) != 0x80)
                return false;
            v = v << 6 | (s[i + k] & 0x3f);
        }
        if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
            return false;
        i += n;
    }
    return true;
}

static void utf8_is_as_defined(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                    0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed,
                                    0xef, 0xf0, 0xf4, 0xf5, 0xff};
    const size_t n = sizeof(edges);
    for (unsigned i = 0; i < 65536; i++) {
        uint8_t s[] = {(uint8_t)(i >> 8), (uint8_t)i};
        assert_int_equal(wc_utf8_valid(wc_slice(s, 2)), utf8_by_definition(s, 2));
        assert_int_equal(wc_utf8_valid(wc_slice(s, 1)), utf8_by_definition(s, 1));
    }
    for (size_t i = 0; i < n * n * n * n; i++) {
        uint8_t s[] = {edges[i / (n * n * n)], edges[i / (n * n) % n], edges[i / n % n],
                       edges[i % n]};
        assert_int_equal(wc_utf8_valid(wc_slice(s, 3)), utf8_by_definition(s, 3));
        assert_int_equal(wc_utf8_valid(wc_slice(s, 4)), utf8_by_definition(s, 4));
    }
    assert_true(wc_utf8_valid(wc_slice_text("Sm\xc3\xb8r \xf0\x9f\x8d\x9e")));
    assert_true(wc_utf8_valid(wc_slice(NULL, 0)));
}

static void integers_are_big_endian(void **state)
{
    (void)state;
    uint8_t out[8];
    wc_put_u16(out, 0x0102);
    assert_memory_equal(out, "\x01\x02", 2);
    assert_int_equal(wc_get_u16(out), 0x0102);
    wc_put_u32(out, 0xfe020304);
    assert_memory_equal(out, "\xfe\x02\x03\x04", 4);
    assert_int_equal(wc_get_u32(out), 0xfe020304);
    wc_put_u64(out, 0xf102030405060708);
    assert_memory_equal(out, "\xf1\x02\x03\x04\x05\x06\x07\x08", 8);
    assert_true(wc_get_u64(out) == 0xf102030405060708);
}

static void every_error_has_a_name_and_a_text(void **state)
{
    (void)state;
    assert_string_equal(wc_strerror(0), "ok");
    assert_string_equal(wc_errname(0), "OK");
    assert_string_equal(wc_errname(-WC_ETOOBIG), "TOOBIG");
    assert_string_equal(wc_strerror(-WC_ETOOBIG), "is larger than the limit");
    for (int i = 1; i <= WC_ECLOCK; i++) {
        assert_string_not_equal(wc_errname(-i), "UNKNOWN");
        assert_true(strlen(wc_strerror(-i)) > 0);
    }
    assert_string_equal(wc_errname(-1000), "UNKNOWN");
    assert_string_equal(wc_errname(WC_ETOOBIG), "UNKNOWN"); /* results are negative */

    struct wc_err err;
    assert_int_equal(wc_fail(&err, WC_ETYPE, "name", "must be text"), -WC_ETYPE);
    assert_int_equal(err.rc, -WC_ETYPE);
    assert_string_equal(err.field, "name");
    assert_string_equal(err.why, "must be text");
    assert_int_equal(wc_fail(NULL, WC_ETYPE, "name", NULL), -WC_ETYPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_bytes_then_length),
        cmocka_unit_test(slices_are_copied_whole_or_not_at_all),
        cmocka_unit_test(buffers_grow_and_give_up_their_memory),
        cmocka_unit_test(failure_is_sticky),
        cmocka_unit_test(base64url_is_as_published),
        cmocka_unit_test(base64url_refuses_what_it_would_not_write),
        cmocka_unit_test(random_bytes_survive_the_encodings),
        cmocka_unit_test(hexadecimal_is_exact),
        cmocka_unit_test(utf8_is_as_defined),
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(every_error_has_a_name_and_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
