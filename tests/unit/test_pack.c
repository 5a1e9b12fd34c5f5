/* SPDX-License-Identifier: Apache-2.0 */
/* The MessagePack writer, the pre-scan and the reader. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <whocan/limits.h>
#include <whocan/pack.h>

#include "tests/unit/unit.h"

#define BYTES(literal) wc_slice(literal, sizeof(literal) - 1)

static struct wc_scan_limits limits(size_t bytes, uint32_t depth, uint32_t nodes)
{
    return (struct wc_scan_limits){
        .bytes_max = bytes, .depth_max = depth, .nodes_max = nodes};
}

static int scan(struct wc_slice in)
{
    size_t used = 0;
    int rc = wc_scan(in, &wc_scan_default, &used);
    if (rc == 0)
        assert_int_equal(used, in.len);
    return rc;
}

/* Every format of the specification that is allowed, at its least and its most. */
static const struct {
    const char *bytes;
    size_t len;
    enum wc_type type;
} formats[] = {
#define F(literal, type)                                                               \
    {                                                                                  \
        literal, sizeof(literal) - 1, type                                             \
    }
    F("\x00", WC_UINT),
    F("\x7f", WC_UINT),
    F("\xe0", WC_INT),
    F("\xff", WC_INT),
    F("\x80", WC_MAP),
    F("\x81\x01\x02", WC_MAP),
    F("\x90", WC_ARRAY),
    F("\x91\xc0", WC_ARRAY),
    F("\x9f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", WC_ARRAY),
    F("\xa0", WC_STR),
    F("\xa3"
      "abc",
      WC_STR),
    F("\xbf"
      "0123456789012345678901234567890",
      WC_STR),
    F("\xc0", WC_NIL),
    F("\xc2", WC_BOOL),
    F("\xc3", WC_BOOL),
    F("\xc4\x00", WC_BIN),
    F("\xc4\x02"
      "ab",
      WC_BIN),
    F("\xc5\x00\x02"
      "ab",
      WC_BIN),
    F("\xc6\x00\x00\x00\x02"
      "ab",
      WC_BIN),
    F("\xca\x3f\x80\x00\x00", WC_DOUBLE),
    F("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", WC_DOUBLE),
    F("\xcc\xff", WC_UINT),
    F("\xcd\xff\xff", WC_UINT),
    F("\xce\xff\xff\xff\xff", WC_UINT),
    F("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", WC_UINT),
    F("\xd0\x80", WC_INT),
    F("\xd0\x7f", WC_UINT),
    F("\xd1\x80\x00", WC_INT),
    F("\xd2\x80\x00\x00\x00", WC_INT),
    F("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", WC_INT),
    F("\xd9\x02"
      "ab",
      WC_STR),
    F("\xda\x00\x02"
      "ab",
      WC_STR),
    F("\xdb\x00\x00\x00\x02"
      "ab",
      WC_STR),
    F("\xdc\x00\x02\xc0\xc0", WC_ARRAY),
    F("\xdd\x00\x00\x00\x02\xc0\xc0", WC_ARRAY),
    F("\xde\x00\x01\x01\x02", WC_MAP),
    F("\xdf\x00\x00\x00\x01\x01\x02", WC_MAP),
    F("\x82\xa1"
      "a\x92\x01\x90\xa1"
      "b\x81\xc4\x01\x00\xc3",
      WC_MAP),
#undef F
};
#define FORMAT_COUNT (sizeof(formats) / sizeof(formats[0]))

static void every_format_is_read_and_every_truncation_wants_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        struct wc_slice in = wc_slice(formats[i].bytes, formats[i].len);
        struct wc_doc *doc;
        size_t used;
        assert_int_equal(scan(in), 0);
        assert_int_equal(wc_doc_new(in, &wc_scan_default, &doc), 0);
        assert_int_equal(wc_obj_type(wc_doc_root(doc)), formats[i].type);
        wc_doc_free(doc);
        for (size_t len = 0; len < in.len; len++) {
            assert_int_equal(wc_scan(wc_slice(in.data, len), &wc_scan_default, &used),
                             -WC_ETRUNCATED);
            assert_int_equal(wc_doc_new(wc_slice(in.data, len), &wc_scan_default, &doc),
                             -WC_ETRUNCATED);
        }
    }
}

static void what_follows_is_left_or_refused(void **state)
{
    (void)state;
    struct wc_doc *doc;
    size_t used;
    struct wc_slice two = BYTES("\x92\x01\x02\x93\x01");
    assert_int_equal(wc_scan(two, &wc_scan_default, &used), 0);
    assert_int_equal(used, 3);
    assert_int_equal(wc_doc_new(two, &wc_scan_default, &doc), -WC_ETRAILING);
    /* a stream may hold more than one object may */
    struct wc_scan_limits three = limits(3, 16, 100);
    assert_int_equal(wc_scan(two, &three, &used), 0);
    assert_int_equal(used, 3);
}

static void extensions_and_the_reserved_byte_are_refused(void **state)
{
    (void)state;
    static const uint8_t refused[] = {0xc1, 0xc7, 0xc8, 0xc9, 0xd4,
                                      0xd5, 0xd6, 0xd7, 0xd8};
    for (size_t i = 0; i < sizeof(refused); i++) {
        uint8_t alone[32] = {refused[i], 1}, inside[32] = {0x91, refused[i], 1};
        size_t used;
        assert_int_equal(
            wc_scan(wc_slice(alone, sizeof(alone)), &wc_scan_default, &used),
            -WC_ETYPE);
        assert_int_equal(
            wc_scan(wc_slice(inside, sizeof(inside)), &wc_scan_default, &used),
            -WC_ETYPE);
    }
}

static void counts_are_bounded_before_anything_is_allocated(void **state)
{
    (void)state;
    size_t used;
    struct wc_scan_limits big = limits((size_t)1 << 40, 16, UINT32_MAX);
    /* five bytes that would have made the library allocate 8 GiB */
    assert_int_equal(scan(BYTES("\xdd\x10\x00\x00\x00")), -WC_ETOOBIG);
    assert_int_equal(scan(BYTES("\xdd\xff\xff\xff\xff")), -WC_ETOOBIG);
    assert_int_equal(scan(BYTES("\xdf\xff\xff\xff\xff")), -WC_ETOOBIG);
    assert_int_equal(scan(BYTES("\xc6\xff\xff\xff\xff")), -WC_ETOOBIG);
    assert_int_equal(scan(BYTES("\xdb\xff\xff\xff\xff")), -WC_ETOOBIG);
    /* within the limits a count may still be more than there is: more is to come */
    assert_int_equal(wc_scan(BYTES("\xdd\x10\x00\x00\x00"), &big, &used),
                     -WC_ETRUNCATED);
    assert_int_equal(wc_scan(BYTES("\xdf\xff\xff\xff\xff"), &big, &used), -WC_ETOOBIG);
    assert_int_equal(scan(BYTES("\xdc\x00\x10\xc0")), -WC_ETRUNCATED);
    assert_int_equal(scan(BYTES("\xdc\x0f\xff\xc0")), -WC_ETRUNCATED);
    assert_int_equal(scan(BYTES("\xdc\x10\x00\xc0")), -WC_ETOOBIG);
    assert_int_equal(scan(BYTES("\xde\x08\x00\xc0")), -WC_ETOOBIG);
}

static void objects_are_counted_exactly(void **state)
{
    (void)state;
    static uint8_t nils[3 + WC_SCAN_NODES_MAX];
    memset(nils, 0xc0, sizeof(nils));
    nils[0] = 0xdc;
    wc_put_u16(nils + 1, WC_SCAN_NODES_MAX - 1);
    assert_int_equal(scan(wc_slice(nils, 2 + WC_SCAN_NODES_MAX)), 0);
    wc_put_u16(nils + 1, WC_SCAN_NODES_MAX);
    assert_int_equal(scan(wc_slice(nils, 3 + WC_SCAN_NODES_MAX)), -WC_ETOOBIG);

    struct wc_slice in = BYTES("\x92\x81\x01\x02\x91\xc0"); /* six objects */
    size_t used;
    struct wc_scan_limits six = limits(100, 16, 6), five = limits(100, 16, 5);
    assert_int_equal(wc_scan(in, &six, &used), 0);
    assert_int_equal(wc_scan(in, &five, &used), -WC_ETOOBIG);
}

static void bytes_are_counted_exactly(void **state)
{
    (void)state;
    struct wc_slice in = BYTES("\x92\xa3"
                               "abc\xcd\x01\x02");
    size_t used;
    struct wc_scan_limits l = limits(in.len, 16, 100);
    assert_int_equal(wc_scan(in, &l, &used), 0);
    for (l.bytes_max = 0; l.bytes_max < in.len; l.bytes_max++)
        assert_int_equal(wc_scan(in, &l, &used), -WC_ETOOBIG);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static uint8_t deep[100000];
    size_t used;
    memset(deep, 0x91, sizeof(deep));
    for (uint32_t max = 0; max <= 32; max++) {
        struct wc_scan_limits l = limits(sizeof(deep), max, WC_SCAN_NODES_MAX);
        struct wc_doc *doc;
        deep[max] = 0xc0; /* max arrays, one in another, and a nil */
        assert_int_equal(wc_scan(wc_slice(deep, max + 1), &l, &used), 0);
        assert_int_equal(wc_doc_new(wc_slice(deep, max + 1), &l, &doc), 0);
        wc_doc_free(doc);
        deep[max] = 0x90; /* an empty array is one more */
        assert_int_equal(wc_scan(wc_slice(deep, max + 1), &l, &used), -WC_EDEPTH);
        deep[max] = 0x80;
        assert_int_equal(wc_scan(wc_slice(deep, max + 1), &l, &used), -WC_EDEPTH);
        deep[max] = 0x91;
        assert_int_equal(wc_scan(wc_slice(deep, sizeof(deep)), &l, &used), -WC_EDEPTH);
    }
    /* depth ends with its container: a thousand siblings are not deep */
    struct wc_buf b = {0};
    wc_pack_array(&b, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        wc_pack_array(&b, 1);
        wc_pack_map(&b, 0);
    }
    assert_int_equal(scan(wc_buf_slice(&b)), 0);
    wc_buf_fini(&b);
}

/* ---- random documents ---- */

static void write_random(struct wc_buf *b, unsigned depth)
{
    char text[40];
    size_t len = (size_t)rand() % sizeof(text);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + rand() % 26);
    uint32_t count = (uint32_t)rand() % 5;
    switch (rand() % (depth == 0 ? 7 : 9)) {
    case 0:
        wc_pack_nil(b);
        break;
    case 1:
        wc_pack_bool(b, rand() % 2);
        break;
    case 2:
        wc_pack_u64(b, ((uint64_t)rand() << 33 | (uint64_t)rand()) >> rand() % 64);
        break;
    case 3:
        wc_pack_i64(b, -(int64_t)(((uint64_t)rand() << 32) >> rand() % 64));
        break;
    case 4:
        wc_pack_double(b, rand() / 7.0);
        break;
    case 5:
        wc_pack_str(b, wc_slice(text, len));
        break;
    case 6:
        wc_pack_bin(b, wc_slice(text, len));
        break;
    case 7:
        wc_pack_array(b, count);
        for (uint32_t i = 0; i < count; i++)
            write_random(b, depth - 1);
        break;
    default:
        wc_pack_map(b, count);
        for (uint32_t i = 0; i < 2 * count; i++)
            write_random(b, depth - 1);
        break;
    }
}

/* What the scan lets through the library decodes, and packs to the same bytes again
 * when they were ours. */
static void check_accepted(struct wc_slice in, bool ours)
{
    struct wc_doc *doc;
    struct wc_buf again = {0};
    assert_int_equal(wc_doc_new(in, &wc_scan_default, &doc), 0);
    wc_pack_obj(&again, wc_doc_root(doc));
    if (ours)
        assert_true(wc_slice_eq(in, wc_buf_slice(&again)));
    assert_int_equal(scan(wc_buf_slice(&again)), 0);
    wc_doc_free(doc);
    wc_buf_fini(&again);
}

/* Fed byte by byte, a scan says what it says of the whole. */
static void assert_stream(struct wc_slice in)
{
    struct wc_scan_state scanning = {0};
    size_t used = 0, whole = 0, len = 0;
    int rc, expected = wc_scan(in, &wc_scan_default, &whole);
    do
        rc = wc_scan_on(&scanning, wc_slice(in.data, ++len), &wc_scan_default, &used);
    while (rc == -WC_ETRUNCATED && len < in.len);
    assert_int_equal(rc, expected);
    assert_int_equal(used, whole);
    if (rc == 0)
        assert_int_equal(len, used); /* known as soon as the last byte is there */
}

static void random_documents_and_their_mutations(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL), accepted = 0;
    printf("seed %u\n", seed);
    srand(seed);
    struct wc_buf b = {0};
    for (unsigned round = 0; round < 500; round++) {
        size_t used;
        wc_buf_reset(&b);
        write_random(&b, 5);
        assert_int_equal(scan(wc_buf_slice(&b)), 0);
        check_accepted(wc_buf_slice(&b), true);
        assert_stream(wc_buf_slice(&b));
        for (size_t len = 0; len < b.len; len++)
            assert_int_equal(wc_scan(wc_slice(b.data, len), &wc_scan_default, &used),
                             -WC_ETRUNCATED);
        for (unsigned i = 0; i < 20; i++) {
            b.data[(size_t)rand() % b.len] = (uint8_t)rand();
            assert_stream(wc_buf_slice(&b));
            if (wc_scan(wc_buf_slice(&b), &wc_scan_default, &used) == 0) {
                check_accepted(wc_slice(b.data, used), false);
                accepted++;
            }
        }
    }
    assert_true(accepted > 100);
    wc_buf_fini(&b);
}

/* ---- reading ---- */

static void getters_check_types(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_doc *doc;
    wc_pack_array(&b, 9);
    wc_pack_bool(&b, true);
    wc_pack_u64(&b, UINT64_MAX);
    wc_pack_i64(&b, INT64_MIN);
    wc_pack_double(&b, 0.5);
    wc_pack_text(&b, "text");
    wc_pack_bin(&b, BYTES("\x00\xff"));
    wc_pack_text(&b, NULL);
    wc_pack_str(&b, BYTES("\xff"));
    wc_pack_u64(&b, 7);
    assert_int_equal(wc_doc_new(wc_buf_slice(&b), &wc_scan_default, &doc), 0);
    const struct wc_obj *root = wc_doc_root(doc), *o[9];
    for (uint32_t i = 0; i < 9; i++)
        o[i] = wc_obj_at(root, i);

    bool v_bool = false;
    uint64_t v_u64 = 0;
    int64_t v_i64 = 0;
    double v_double = 0;
    struct wc_slice s;
    uint8_t two[2];
    assert_int_equal(wc_obj_bool(o[0], &v_bool), 0);
    assert_true(v_bool);
    assert_int_equal(wc_obj_u64(o[1], &v_u64), 0);
    assert_true(v_u64 == UINT64_MAX);
    assert_int_equal(wc_obj_i64(o[1], &v_i64), -WC_EINVALID);
    assert_int_equal(wc_obj_i64(o[2], &v_i64), 0);
    assert_true(v_i64 == INT64_MIN);
    assert_int_equal(wc_obj_i64(o[8], &v_i64), 0);
    assert_int_equal(v_i64, 7);
    assert_int_equal(wc_obj_double(o[3], &v_double), 0);
    assert_true(v_double == 0.5);
    assert_int_equal(wc_obj_double(o[8], &v_double), 0);
    assert_true(v_double == 7);
    assert_int_equal(wc_obj_double(o[2], &v_double), 0);
    assert_true(v_double < -9e18);
    assert_int_equal(wc_obj_str(o[4], &s), 0);
    assert_true(wc_slice_is(s, "text"));
    assert_true(s.data >= b.data && s.data + s.len <= b.data + b.len); /* borrowed */
    assert_int_equal(wc_obj_bin(o[5], &s), 0);
    assert_true(wc_slice_eq(s, BYTES("\x00\xff")));
    assert_int_equal(wc_obj_bin_exact(o[5], two, 2), 0);
    assert_int_equal(wc_obj_bin_exact(o[5], two, 1), -WC_EINVALID);
    assert_int_equal(wc_obj_str(o[7], &s), -WC_EINVALID);

    for (unsigned i = 0; i < 9; i++) {
        if (i != 0)
            assert_int_equal(wc_obj_bool(o[i], &v_bool), -WC_ETYPE);
        if (i != 1 && i != 8)
            assert_int_equal(wc_obj_u64(o[i], &v_u64), -WC_ETYPE);
        if (i != 4 && i != 7)
            assert_int_equal(wc_obj_str(o[i], &s), -WC_ETYPE);
        if (i != 5)
            assert_int_equal(wc_obj_bin(o[i], &s), -WC_ETYPE);
        if (i != 1 && i != 2 && i != 3 && i != 8)
            assert_int_equal(wc_obj_double(o[i], &v_double), -WC_ETYPE);
        assert_int_equal(wc_obj_count(o[i]), 0);
    }
    assert_int_equal(wc_obj_bool(NULL, &v_bool), -WC_EMISSING);
    assert_int_equal(wc_obj_u64(NULL, &v_u64), -WC_EMISSING);
    assert_int_equal(wc_obj_i64(NULL, &v_i64), -WC_EMISSING);
    assert_int_equal(wc_obj_double(NULL, &v_double), -WC_EMISSING);
    assert_int_equal(wc_obj_str(NULL, &s), -WC_EMISSING);
    assert_int_equal(wc_obj_bin(NULL, &s), -WC_EMISSING);
    assert_int_equal(wc_obj_bin_exact(NULL, two, 2), -WC_EMISSING);
    wc_doc_free(doc);
    wc_doc_free(NULL);
    wc_buf_fini(&b);
}

static void containers_are_walked_within_their_ends(void **state)
{
    (void)state;
    struct wc_slice in = BYTES("\x92\x83\xa1"
                               "a\x01\x05\x02\xa1"
                               "a\x03\x91\xc3");
    struct wc_doc *doc;
    uint64_t v;
    bool yes;
    assert_int_equal(wc_doc_new(in, &wc_scan_default, &doc), 0);
    const struct wc_obj *root = wc_doc_root(doc), *map = wc_obj_at(root, 0);
    assert_int_equal(wc_obj_count(root), 2);
    assert_int_equal(wc_obj_count(map), 3);
    assert_null(wc_obj_at(root, 2));
    assert_null(wc_obj_at(map, 0));
    assert_null(wc_obj_key(root, 0));
    assert_null(wc_obj_value(root, 0));
    assert_null(wc_obj_key(map, 3));
    assert_null(wc_obj_value(map, 3));
    assert_null(wc_obj_at(NULL, 0));
    assert_null(wc_obj_get(NULL, "a"));
    assert_null(wc_obj_get(map, "b"));
    assert_null(wc_obj_get(map, ""));
    assert_null(wc_obj_get(root, "a"));
    assert_int_equal(wc_obj_u64(wc_obj_get(map, "a"), &v), 0);
    assert_int_equal(v, 1); /* the first of two */
    assert_int_equal(wc_obj_u64(wc_obj_value(map, 2), &v), 0);
    assert_int_equal(v, 3);
    assert_int_equal(wc_obj_bool(wc_obj_at(wc_obj_at(root, 1), 0), &yes), 0);
    wc_doc_free(doc);
}

static bool unique(struct wc_slice in)
{
    struct wc_doc *doc;
    assert_int_equal(wc_doc_new(in, &wc_scan_default, &doc), 0);
    bool result = wc_obj_keys_unique(wc_doc_root(doc));
    wc_doc_free(doc);
    return result;
}

static void keys_are_text_and_differ(void **state)
{
    (void)state;
    assert_true(unique(BYTES("\x80")));
    assert_true(unique(BYTES("\x82\xa1"
                             "a\x01\xa1"
                             "b\x01")));
    assert_true(unique(BYTES("\x82\xa1"
                             "a\x01\xa0\x01")));
    assert_false(unique(BYTES("\x82\xa1"
                              "a\x01\xa1"
                              "a\x02")));
    assert_false(unique(BYTES("\x83\xa1"
                              "a\x01\xa1"
                              "b\x01\xd9\x01"
                              "a\x02")));
    assert_false(unique(BYTES("\x81\x01\x02")));
    assert_false(unique(BYTES("\x81\xc4\x01"
                              "a\x02")));
    assert_false(unique(BYTES("\x81\xa1\xff\x02")));
    assert_false(unique(BYTES("\x90")));
    assert_false(unique(BYTES("\xc0")));
}

static void many_keys_are_compared_too(void **state)
{
    (void)state;
    for (uint32_t count = 60; count <= 70; count++) {
        for (uint32_t twin = 0; twin <= count; twin += count / 2) {
            struct wc_buf b = {0};
            wc_pack_map(&b, count);
            for (uint32_t i = 0; i < count; i++) {
                char key[16];
                /* the last is like another, or like none */
                snprintf(key, sizeof(key), "%u", i == count - 1 ? twin : i);
                wc_pack_text(&b, key);
                wc_pack_nil(&b);
            }
            assert_int_equal(unique(wc_buf_slice(&b)), twin >= count - 1);
            wc_buf_fini(&b);
        }
    }
}

static void writing_uses_the_shortest_form(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        size_t len;
    } sizes[] = {{0, 1},          {127, 1},       {128, 2},   {255, 2},
                 {256, 3},        {65535, 3},     {65536, 5}, {UINT32_MAX, 5},
                 {1ULL << 32, 9}, {UINT64_MAX, 9}};
    struct wc_buf b = {0};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        wc_buf_reset(&b);
        wc_pack_u64(&b, sizes[i].v);
        assert_int_equal(b.len, sizes[i].len);
    }
    wc_buf_reset(&b);
    assert_null(wc_buf_reserve(&b, SIZE_MAX)); /* now it has failed */
    wc_pack_text(&b, "x");
    wc_pack_map(&b, 3);
    assert_int_equal(b.len, 0);
    assert_true(b.failed);
    wc_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_read_and_every_truncation_wants_more),
        cmocka_unit_test(what_follows_is_left_or_refused),
        cmocka_unit_test(extensions_and_the_reserved_byte_are_refused),
        cmocka_unit_test(counts_are_bounded_before_anything_is_allocated),
        cmocka_unit_test(objects_are_counted_exactly),
        cmocka_unit_test(bytes_are_counted_exactly),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(random_documents_and_their_mutations),
        cmocka_unit_test(getters_check_types),
        cmocka_unit_test(containers_are_walked_within_their_ends),
        cmocka_unit_test(keys_are_text_and_differ),
        cmocka_unit_test(many_keys_are_compared_too),
        cmocka_unit_test(writing_uses_the_shortest_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
