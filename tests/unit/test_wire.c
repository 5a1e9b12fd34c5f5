/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between offices: their bytes, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/pack.h>
#include <whocan/record.h>

#include "proto/wire.h"
#include "tests/unit/fixture.h"
#include "tests/unit/golden.h"

static struct wc_slice slice_of(const struct wc_buf *b)
{
    assert_false(b->failed);
    return wc_buf_slice(b);
}

/* Compare a frame with its golden vector. */
static void check_golden(const char *name, const struct wc_buf *b)
{
    golden_check(name, slice_of(b));
}

static int decode(enum wc_wire_type type, struct wc_slice frame)
{
    static struct wc_wire_ranges ranges;
    static struct wc_wire_answers answers;
    struct wc_wire_clock clock;
    struct wc_wire_records records;
    struct wc_wire_ask ask;
    struct wc_wire_joined joined;
    struct wc_wire_list list;
    struct wc_wire_beat beat;
    enum wc_wire_priority priority;
    struct wc_err err = {0};
    switch (type) {
    case WC_WIRE_HELLO:
    case WC_WIRE_PING:
    case WC_WIRE_PONG:
        return wc_wire_decode_clock(frame, &clock, &err);
    case WC_WIRE_RECORDS:
        return wc_wire_decode_records(frame, &records, &err);
    case WC_WIRE_SYNC:
        return wc_wire_decode_sync(frame, &ranges, &err);
    case WC_WIRE_DIFF:
        return wc_wire_decode_diff(frame, &ranges, &err);
    case WC_WIRE_WANT:
        return wc_wire_decode_want(frame, &ranges, &err);
    case WC_WIRE_AUDIT:
        return wc_wire_decode_audit(frame, &ranges, &err);
    case WC_WIRE_ASK:
        return wc_wire_decode_ask(frame, &ask, &err);
    case WC_WIRE_ANSWERS:
        return wc_wire_decode_answers(frame, &answers, &err);
    case WC_WIRE_NEIGHBOUR:
        return wc_wire_decode_neighbour(frame, &priority, &err);
    case WC_WIRE_JOINED:
        return wc_wire_decode_joined(frame, &joined, &err);
    case WC_WIRE_SHUFFLE:
    case WC_WIRE_SHUFFLED:
    case WC_WIRE_IHAVE:
    case WC_WIRE_GRAFT:
        return wc_wire_decode_list(frame, &list, &err);
    case WC_WIRE_PART:
    case WC_WIRE_PRUNE:
        return wc_wire_decode_bare(frame, &err);
    case WC_WIRE_BEAT:
        return wc_wire_decode_beat(frame, &beat, &err);
    }
    return -WC_EPROTOCOL;
}

/* Every truncation of a frame and every byte after it is refused. */
static void check_ends(const struct wc_buf *b)
{
    struct wc_slice frame = slice_of(b);
    int type = wc_wire_type(frame);
    struct wc_buf longer = {0};
    assert_true(type > 0);
    assert_int_equal(decode((enum wc_wire_type)type, frame), 0);
    for (size_t len = 0; len < frame.len; len++) {
        /* its own memory, so that reading past it is seen */
        uint8_t *cut = malloc(len == 0 ? 1 : len);
        memcpy(cut, frame.data, len);
        assert_true(decode((enum wc_wire_type)type, wc_slice(cut, len)) < 0);
        free(cut);
    }
    wc_buf_append(&longer, frame.data, frame.len);
    wc_buf_byte(&longer, 0);
    assert_int_equal(decode((enum wc_wire_type)type, slice_of(&longer)), -WC_ETRAILING);
    wc_buf_fini(&longer);
}

/* ---- each frame ---- */

static void clocks(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_wire_clock clock;
    wc_wire_hello(&b, FIXTURE_NOW_MS);
    check_golden("wire-hello", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_type(slice_of(&b)), WC_WIRE_HELLO);
    assert_int_equal(wc_wire_decode_clock(slice_of(&b), &clock, NULL), 0);
    assert_int_equal(clock.now_ms, FIXTURE_NOW_MS);

    wc_buf_reset(&b);
    wc_wire_ping(&b, FIXTURE_NOW_MS, 77);
    check_golden("wire-ping", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_clock(slice_of(&b), &clock, NULL), 0);
    assert_int_equal(clock.token, 77);

    wc_buf_reset(&b);
    wc_wire_pong(&b, FIXTURE_NOW_MS + 5, 77);
    check_golden("wire-pong", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_type(slice_of(&b)), WC_WIRE_PONG);

    wc_buf_reset(&b); /* a time that no client language holds exactly */
    wc_wire_hello(&b, WC_REV_MAX + 1);
    assert_int_equal(wc_wire_decode_clock(slice_of(&b), &clock, NULL), -WC_EINVALID);
    wc_buf_fini(&b);
}

static void records(void **state)
{
    (void)state;
    struct wc_buf b = {0}, packed = {0}, record = {0};
    struct wc_wire_records out;
    golden_read("record-row", &record);
    for (int i = 0; i < 2; i++)
        wc_pack_bin(&packed, slice_of(&record));
    assert_int_equal(packed.len, 2 * wc_wire_record_bytes(record.len));
    wc_wire_records(&b, WC_REASON_WANTED, 2, slice_of(&packed));
    assert_true(b.len <= packed.len + WC_WIRE_RECORDS_HEAD_BYTES);
    check_golden("wire-records", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_records(slice_of(&b), &out, NULL), 0);
    assert_int_equal(out.reason, WC_REASON_WANTED);
    assert_int_equal(out.count, 2);
    assert_true(wc_slice_eq(out.records[1], slice_of(&record)));

    wc_buf_reset(&b); /* the end of an answer that brought nothing */
    wc_wire_records(&b, WC_REASON_LAST, 0, wc_slice(NULL, 0));
    assert_int_equal(wc_wire_decode_records(slice_of(&b), &out, NULL), 0);
    assert_int_equal(out.count, 0);

    wc_buf_reset(&b); /* a reason that there is not */
    wc_wire_records(&b, (enum wc_wire_reason)3, 0, wc_slice(NULL, 0));
    assert_int_equal(wc_wire_decode_records(slice_of(&b), &out, NULL), -WC_EINVALID);

    wc_buf_reset(&b);
    wc_buf_reset(&packed);
    for (int i = 0; i <= WC_WIRE_RECORDS_MAX_COUNT; i++)
        wc_pack_bin(&packed, wc_slice("x", 1));
    wc_wire_records(&b, WC_REASON_BROADCAST, WC_WIRE_RECORDS_MAX_COUNT + 1,
                    slice_of(&packed));
    assert_int_equal(wc_wire_decode_records(slice_of(&b), &out, NULL), -WC_ETOOBIG);

    wc_buf_reset(&b);
    wc_buf_reset(&packed);
    static const uint8_t large[WC_RECORD_MAX_BYTES + 1];
    wc_pack_bin(&packed, wc_slice(large, sizeof(large)));
    assert_int_equal(packed.len, wc_wire_record_bytes(sizeof(large)));
    wc_wire_records(&b, WC_REASON_BROADCAST, 1, slice_of(&packed));
    assert_int_equal(wc_wire_decode_records(slice_of(&b), &out, NULL), -WC_ETOOBIG);
    wc_buf_fini(&b);
    wc_buf_fini(&packed);
    wc_buf_fini(&record);
}

static void items_of(uint8_t *out, uint8_t first, uint32_t count)
{
    memset(out, 0, (size_t)count * WC_ITEM_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        out[i * WC_ITEM_BYTES] = first;
        out[i * WC_ITEM_BYTES + 1] = (uint8_t)(i + 1);
    }
}

/* Two ranges, one to be compared and one that is known to differ. */
static void two_ranges(struct wc_wire_ranges *r)
{
    struct wc_item_sum sum = {.count = 3, .sum = {9}};
    *r = (struct wc_wire_ranges){.set = 1, .session = 0xdeadbeef, .count = 2};
    memset(r->key, 0x77, sizeof(r->key));
    r->ranges[0].form = WC_FORM_COMPARE;
    wc_wire_fingerprint(r->ranges[0].fingerprint, &sum, 1, r->session);
    r->ranges[1].prefix[0] = 0xab;
    r->ranges[1].prefix[1] = 0xc0;
    r->ranges[1].bits = 12;
    r->ranges[1].form = WC_FORM_OPEN;
}

static void a_sync_asks_about_ranges(void **state)
{
    (void)state;
    static struct wc_wire_ranges in, out;
    struct wc_buf b = {0};
    two_ranges(&in);
    wc_wire_sync(&b, &in);
    check_golden("wire-sync", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_sync(slice_of(&b), &out, NULL), 0);
    assert_int_equal(out.set, 1);
    assert_int_equal(out.session, 0xdeadbeef);
    assert_int_equal(out.count, 2);
    assert_int_equal(out.ranges[0].form, WC_FORM_COMPARE);
    assert_memory_equal(out.ranges[0].fingerprint, in.ranges[0].fingerprint,
                        WC_FINGERPRINT_BYTES);
    assert_int_equal(out.ranges[1].form, WC_FORM_OPEN);
    assert_int_equal(out.ranges[1].bits, 12);
    assert_memory_equal(out.ranges[1].prefix, in.ranges[1].prefix, WC_ITEM_BYTES);
    wc_buf_fini(&b);
}

static void an_audit_has_a_key_and_compares(void **state)
{
    (void)state;
    static struct wc_wire_ranges in, out;
    struct wc_buf b = {0};
    two_ranges(&in);
    wc_wire_audit(&b, &in);
    assert_true(wc_wire_decode_audit(slice_of(&b), &out, NULL) < 0); /* one is open */
    in.ranges[1].form = WC_FORM_COMPARE;
    wc_buf_reset(&b);
    wc_wire_audit(&b, &in);
    check_golden("wire-audit", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_audit(slice_of(&b), &out, NULL), 0);
    assert_memory_equal(out.key, in.key, sizeof(out.key));
    assert_int_equal(out.count, 2);
    in.set = WC_SET_ALL;
    in.count = 1;
    wc_buf_reset(&b);
    wc_wire_audit(&b, &in);
    assert_true(wc_wire_decode_audit(slice_of(&b), &out, NULL) < 0); /* one at a time */
    wc_buf_fini(&b);
}

static void an_equal_set_costs_little(void **state)
{
    (void)state;
    static struct wc_wire_ranges r;
    struct wc_buf b = {0};
    r = (struct wc_wire_ranges){.set = WC_SET_ALL, .session = UINT32_MAX, .count = 1};
    r.ranges[0].form = WC_FORM_COMPARE;
    wc_wire_sync(&b, &r);
    r.count = 0;
    wc_wire_diff(&b, &r);
    assert_true(b.len <= 40); /* both ways */
    wc_buf_fini(&b);
}

static void a_fingerprint_depends_on_all_of_it(void **state)
{
    (void)state;
    struct wc_item_sum sums[2] = {{.count = 3, .sum = {9}}, {.count = 5}},
                       other = sums[0];
    uint8_t a[WC_FINGERPRINT_BYTES], b[WC_FINGERPRINT_BYTES];
    wc_wire_fingerprint(a, sums, 1, 1);
    wc_wire_fingerprint(b, sums, 1, 2);
    assert_memory_not_equal(a, b, sizeof(a));
    wc_wire_fingerprint(b, sums, 2, 1);
    assert_memory_not_equal(a, b, sizeof(a));
    other.count = 4;
    wc_wire_fingerprint(b, &other, 1, 1);
    assert_memory_not_equal(a, b, sizeof(a));
    other = sums[0];
    other.sum[31] = 1;
    wc_wire_fingerprint(b, &other, 1, 1);
    assert_memory_not_equal(a, b, sizeof(a));
}

static void short_things_belong_to_a_session(void **state)
{
    (void)state;
    static const uint8_t zeros[WC_FINGERPRINT_BYTES], item[WC_ITEM_BYTES] = {1};
    uint8_t a[WC_SHORT_ID_BYTES], b[WC_SHORT_ID_BYTES], branch[WC_BRANCH_BYTES];
    wc_wire_short_id(a, item, 1);
    wc_wire_short_id(b, item, 2);
    assert_memory_not_equal(a, b, sizeof(a));
    wc_wire_branch(branch, zeros, true);
    assert_memory_equal(branch, zeros, sizeof(branch));
    wc_wire_branch(branch, zeros,
                   false); /* what has items is never like what has none */
    assert_memory_not_equal(branch, zeros, sizeof(branch));
}

static int decode_diff(const struct wc_wire_ranges *r)
{
    static struct wc_wire_ranges out;
    struct wc_buf b = {0};
    wc_wire_diff(&b, r);
    int rc = wc_wire_decode_diff(slice_of(&b), &out, NULL);
    wc_buf_fini(&b);
    return rc;
}

static void a_diff_has_branches_ids_and_items(void **state)
{
    (void)state;
    static struct wc_wire_ranges in, out;
    static uint8_t items[(WC_ITEM_LEAF_MAX + 1) * WC_ITEM_BYTES];
    struct wc_buf b = {0};
    items_of(items, 0x70, WC_ITEM_LEAF_MAX + 1);
    in = (struct wc_wire_ranges){.session = 5, .count = 3};
    for (uint32_t i = 0; i < in.count; i++) {
        in.ranges[i].bits = 4;
        in.ranges[i].prefix[0] = (uint8_t)(0x50 + 0x10 * i);
        in.ranges[i].form = (enum wc_wire_form)i;
    }
    in.ranges[0].data = wc_slice(items, WC_ITEM_BRANCHES * WC_BRANCH_BYTES);
    in.ranges[1].data = wc_slice(items, 2 * WC_SHORT_ID_BYTES);
    in.ranges[2].data = wc_slice(items, 3 * WC_ITEM_BYTES);
    wc_wire_diff(&b, &in);
    check_golden("wire-diff", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_diff(slice_of(&b), &out, NULL), 0);
    for (uint32_t i = 0; i < in.count; i++) {
        assert_int_equal(out.ranges[i].form, in.ranges[i].form);
        assert_true(wc_slice_eq(out.ranges[i].data, in.ranges[i].data));
    }
    assert_int_equal(out.ranges[0].count, WC_ITEM_BRANCHES);
    assert_int_equal(out.ranges[1].count, 2);
    assert_int_equal(out.ranges[2].count, 3);
    wc_buf_fini(&b);
    /* too many, a part of one, none; and of branches any other number */
    const size_t each[] = {WC_BRANCH_BYTES, WC_SHORT_ID_BYTES, WC_ITEM_BYTES};
    const size_t most[] = {WC_ITEM_BRANCHES, WC_ITEM_LEAF_MAX, WC_ITEM_LEAF_MAX};
    for (uint32_t i = 0; i < in.count; i++) {
        struct wc_slice good = in.ranges[i].data;
        const size_t bad[] = {0, each[i] - 1, each[i] + 1, (most[i] + 1) * each[i]};
        for (int k = 0; k < 4; k++) {
            in.ranges[i].data = wc_slice(items, bad[k]);
            assert_true(decode_diff(&in) < 0);
        }
        in.ranges[i].data = good;
        assert_int_equal(decode_diff(&in), 0);
    }
    in.ranges[0].data = wc_slice(items, (WC_ITEM_BRANCHES - 1) * WC_BRANCH_BYTES);
    assert_int_equal(decode_diff(&in), -WC_EINVALID);
    in.ranges[0].data = wc_slice(items, WC_ITEM_BRANCHES * WC_BRANCH_BYTES);
    /* an item out of its range, items out of order */
    in.ranges[2].data = wc_slice(items, 2 * WC_ITEM_BYTES);
    items[WC_ITEM_BYTES] = 0x80;
    assert_int_equal(decode_diff(&in), -WC_EINVALID);
    memcpy(items + WC_ITEM_BYTES, items, WC_ITEM_BYTES);
    assert_int_equal(decode_diff(&in), -WC_EINVALID);
}

static void a_diff_of_all_sets_has_one_branch_each(void **state)
{
    (void)state;
    static struct wc_wire_ranges r;
    static uint8_t data[WC_ITEM_BRANCHES * WC_BRANCH_BYTES];
    r = (struct wc_wire_ranges){.set = WC_SET_ALL, .count = 1};
    r.ranges[0].data = wc_slice(data, WC_SETS_COUNT * WC_BRANCH_BYTES);
    assert_int_equal(decode_diff(&r), 0);
    r.ranges[0].bits = 4;
    assert_true(decode_diff(&r) < 0);
    r.ranges[0].bits = 0;
    r.ranges[0].data = wc_slice(data, sizeof(data));
    assert_true(decode_diff(&r) < 0);
    r.ranges[0].data = wc_slice(data, WC_SETS_COUNT * WC_BRANCH_BYTES);
    r.count = 2;
    r.ranges[1] = r.ranges[0];
    assert_true(decode_diff(&r) < 0);
    r.count = 1;
    r.ranges[0].form = WC_FORM_IDS;
    r.ranges[0].data = wc_slice(data, 2 * WC_SHORT_ID_BYTES);
    assert_true(decode_diff(&r) < 0);
}

/* [ 5, set, session, [ [ prefix, bits, fingerprint ] ] ] with odd parts. */
static int odd_range(uint64_t set, const char *prefix, size_t prefix_len, uint64_t bits)
{
    static struct wc_wire_ranges out;
    static const uint8_t fingerprint[WC_FINGERPRINT_BYTES];
    struct wc_buf b = {0};
    wc_pack_array(&b, 4);
    wc_pack_u64(&b, WC_WIRE_SYNC);
    wc_pack_u64(&b, set);
    wc_pack_u64(&b, 1);
    wc_pack_array(&b, 1);
    wc_pack_array(&b, 3);
    wc_pack_bin(&b, wc_slice(prefix, prefix_len));
    wc_pack_u64(&b, bits);
    wc_pack_bin(&b, wc_slice(fingerprint, sizeof(fingerprint)));
    int rc = wc_wire_decode_sync(slice_of(&b), &out, NULL);
    wc_buf_fini(&b);
    return rc;
}

static void a_range_is_a_prefix(void **state)
{
    (void)state;
    static const char zeros[WC_ITEM_BYTES + 1];
    assert_int_equal(odd_range(0, zeros, 0, 0), 0);
    assert_int_equal(odd_range(1, "\xab\xc0", 2, 12), 0);
    assert_int_equal(odd_range(1, zeros, WC_ITEM_BYTES, 256), 0);
    assert_int_equal(odd_range(WC_SET_ALL, zeros, 0, 0), 0);
    assert_true(odd_range(WC_SET_ALL, zeros, 1, 4) < 0);      /* all is all */
    assert_true(odd_range(3, zeros, 0, 0) < 0);               /* no such set */
    assert_true(odd_range(1, "\xab", 1, 7) < 0);              /* not a multiple of 4 */
    assert_true(odd_range(1, "\xab\xc1", 2, 12) < 0);         /* bits to spare */
    assert_true(odd_range(1, "\xab\xc0", 2, 8) < 0);          /* bytes to spare */
    assert_true(odd_range(1, "\xab", 1, 12) < 0);             /* bytes too few */
    assert_true(odd_range(1, zeros, sizeof(zeros), 260) < 0); /* too long */
}

static void the_fullest_frames_fit(void **state)
{
    (void)state;
    static struct wc_wire_ranges r, out;
    static uint8_t items[WC_ITEM_LEAF_MAX * WC_ITEM_BYTES];
    struct wc_buf b = {0};
    items_of(items, 0, WC_ITEM_LEAF_MAX);
    r = (struct wc_wire_ranges){.session = UINT32_MAX,
                                .count = WC_SYNC_RANGES_MAX_COUNT};
    for (uint32_t i = 0; i < r.count; i++) {
        r.ranges[i].bits = 4;
        r.ranges[i].form = WC_FORM_ITEMS;
        r.ranges[i].data = wc_slice(items, sizeof(items));
    }
    wc_wire_diff(&b, &r);
    assert_true(b.len <= WC_FRAME_MAX_BYTES);
    assert_int_equal(wc_wire_decode_diff(slice_of(&b), &out, NULL), 0);
    r.count++;
    wc_buf_reset(&b);
    wc_wire_diff(&b, &r);
    assert_int_equal(wc_wire_decode_diff(slice_of(&b), &out, NULL), -WC_ETOOBIG);
    wc_buf_reset(&b);
    r.count = WC_WANT_ITEMS_MAX_COUNT;
    for (uint32_t i = 0; i < r.count; i++) {
        r.ranges[i].bits = WC_ITEM_BITS_MAX;
        r.ranges[i].form = WC_FORM_IDS;
        r.ranges[i].data = wc_slice(items, WC_SHORT_ID_BYTES);
    }
    wc_wire_want(&b, &r);
    assert_true(b.len <= WC_FRAME_MAX_BYTES);
    assert_int_equal(wc_wire_decode_want(slice_of(&b), &out, NULL), 0);
    wc_buf_fini(&b);
}

static void a_want_names_items(void **state)
{
    (void)state;
    static uint8_t ids[(WC_WANT_ITEMS_MAX_COUNT + 1) * WC_SHORT_ID_BYTES];
    static struct wc_wire_ranges in, out;
    struct wc_buf b = {0};
    for (size_t i = 0; i < sizeof(ids); i++)
        ids[i] = (uint8_t)i;
    in = (struct wc_wire_ranges){.set = 1, .session = 9, .count = 2};
    in.ranges[0].form = in.ranges[1].form = WC_FORM_IDS;
    in.ranges[1].bits = 16;
    in.ranges[1].prefix[0] = 0x12;
    in.ranges[0].data = wc_slice(ids, 2 * WC_SHORT_ID_BYTES);
    in.ranges[1].data = wc_slice(ids, WC_SHORT_ID_BYTES);
    wc_wire_want(&b, &in);
    check_golden("wire-want", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_want(slice_of(&b), &out, NULL), 0);
    assert_int_equal(out.ranges[0].count, 2);
    assert_int_equal(out.ranges[1].count, 1);
    const size_t bad[] = {0, WC_SHORT_ID_BYTES - 1, sizeof(ids),
                          WC_WANT_ITEMS_MAX_COUNT *
                              WC_SHORT_ID_BYTES}; /* one too many */
    for (int i = 0; i < 4; i++) {
        wc_buf_reset(&b);
        in.ranges[0].data = wc_slice(ids, bad[i]);
        wc_wire_want(&b, &in);
        assert_true(wc_wire_decode_want(slice_of(&b), &out, NULL) < 0);
    }
    in.count = 0; /* nothing */
    wc_buf_reset(&b);
    wc_wire_want(&b, &in);
    assert_true(wc_wire_decode_want(slice_of(&b), &out, NULL) < 0);
    wc_buf_fini(&b);
}

static void an_ask_says_how_far_it_came(void **state)
{
    (void)state;
    struct wc_buf b = {0}, record = {0};
    struct wc_wire_ask ask;
    golden_read("record-ask", &record);
    wc_wire_ask(&b, 3, slice_of(&record));
    check_golden("wire-ask", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_ask(slice_of(&b), &ask, NULL), 0);
    assert_int_equal(ask.hops, 3);
    assert_true(wc_slice_eq(ask.record, slice_of(&record)));
    const uint32_t bad[] = {0, WC_ASK_HOPS_MAX + 1};
    for (int i = 0; i < 2; i++) {
        wc_buf_reset(&b);
        wc_wire_ask(&b, bad[i], slice_of(&record));
        assert_int_equal(wc_wire_decode_ask(slice_of(&b), &ask, NULL), -WC_EINVALID);
    }
    wc_buf_fini(&b);
    wc_buf_fini(&record);
}

static void a_neighbour_has_a_priority(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    enum wc_wire_priority priority;
    wc_wire_neighbour(&b, WC_PRIORITY_HIGH);
    check_golden("wire-neighbour", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_neighbour(slice_of(&b), &priority, NULL), 0);
    assert_int_equal(priority, WC_PRIORITY_HIGH);
    wc_buf_reset(&b); /* one that there is not */
    wc_wire_neighbour(&b, (enum wc_wire_priority)3);
    assert_int_equal(wc_wire_decode_neighbour(slice_of(&b), &priority, NULL),
                     -WC_EINVALID);
    wc_buf_fini(&b);
}

static void some_frames_are_their_type_alone(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    wc_wire_bare(&b, WC_WIRE_PART);
    check_golden("wire-part", &b);
    check_ends(&b);
    wc_buf_reset(&b);
    wc_wire_bare(&b, WC_WIRE_PRUNE);
    check_golden("wire-prune", &b);
    check_ends(&b);
    wc_buf_fini(&b);
}

static void a_newcomer_walks_with_its_card(void **state)
{
    (void)state;
    static const uint8_t large[WC_RECORD_MAX_BYTES + 1];
    struct wc_buf b = {0}, card = {0};
    struct wc_wire_joined out;
    golden_read("record-card", &card);
    wc_wire_joined(&b, WC_WALK_HOPS_MAX, slice_of(&card));
    check_golden("wire-joined", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_joined(slice_of(&b), &out, NULL), 0);
    assert_int_equal(out.ttl, WC_WALK_HOPS_MAX);
    assert_true(wc_slice_eq(out.card, slice_of(&card)));
    wc_buf_reset(&b);
    wc_wire_joined(&b, WC_WALK_HOPS_MAX + 1, slice_of(&card));
    assert_int_equal(wc_wire_decode_joined(slice_of(&b), &out, NULL), -WC_EINVALID);
    wc_buf_reset(&b);
    wc_wire_joined(&b, 0, wc_slice(large, sizeof(large)));
    assert_int_equal(wc_wire_decode_joined(slice_of(&b), &out, NULL), -WC_ETOOBIG);
    wc_buf_fini(&b);
    wc_buf_fini(&card);
}

/* Frames of many things of one length: as many as may be, one more, half a thing. */
static void check_list(const char *name, enum wc_wire_type type, size_t each,
                       size_t most)
{
    static uint8_t items[(WC_IDS_MAX_COUNT + 1) * WC_MESSAGE_ID_BYTES];
    struct wc_wire_list out;
    struct wc_buf b = {0};
    for (size_t i = 0; i < sizeof(items); i++)
        items[i] = (uint8_t)(i / each);
    wc_wire_list(&b, type, wc_slice(items, 2 * each));
    check_golden(name, &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_list(slice_of(&b), &out, NULL), 0);
    assert_int_equal(out.count, 2);
    assert_true(wc_slice_eq(out.items, wc_slice(items, 2 * each)));
    const size_t good[] = {0, most * each}, bad[] = {each - 1, (most + 1) * each};
    for (int i = 0; i < 2; i++) {
        wc_buf_reset(&b);
        wc_wire_list(&b, type, wc_slice(items, good[i]));
        assert_int_equal(wc_wire_decode_list(slice_of(&b), &out, NULL), 0);
        assert_int_equal(out.count, good[i] / each);
        wc_buf_reset(&b);
        wc_wire_list(&b, type, wc_slice(items, bad[i]));
        assert_true(wc_wire_decode_list(slice_of(&b), &out, NULL) < 0);
    }
    wc_buf_fini(&b);
}

static void lists_are_of_one_length(void **state)
{
    (void)state;
    check_list("wire-shuffle", WC_WIRE_SHUFFLE, WC_KEY_BYTES, WC_SHUFFLE_MAX_COUNT);
    check_list("wire-shuffled", WC_WIRE_SHUFFLED, WC_KEY_BYTES, WC_SHUFFLE_MAX_COUNT);
    check_list("wire-ihave", WC_WIRE_IHAVE, WC_MESSAGE_ID_BYTES, WC_IDS_MAX_COUNT);
    check_list("wire-graft", WC_WIRE_GRAFT, WC_MESSAGE_ID_BYTES, WC_IDS_MAX_COUNT);
}

static void a_beat_says_how_far_it_came(void **state)
{
    (void)state;
    struct wc_wire_beat in = {.root = "the root's key, ", .number = 1, .hops = 7}, out;
    struct wc_buf b = {0};
    wc_wire_beat(&b, &in);
    check_golden("wire-beat", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_beat(slice_of(&b), &out, NULL), 0);
    assert_memory_equal(out.root, in.root, sizeof(in.root));
    assert_int_equal(out.number, 1);
    assert_int_equal(out.hops, 7);
    in.hops = WC_BEAT_HOPS_MAX + 1;
    wc_buf_reset(&b);
    wc_wire_beat(&b, &in);
    assert_int_equal(wc_wire_decode_beat(slice_of(&b), &out, NULL), -WC_EINVALID);
    wc_buf_fini(&b);
}

static struct wc_answer an_answer(const struct fixture *f, uint32_t people)
{
    struct wc_answer a = {.total = 12, .people_count = people};
    memset(a.ask_id, 0xa5, sizeof(a.ask_id));
    memcpy(a.office_key, f->leeds.signer.key, WC_KEY_BYTES);
    for (uint32_t i = 0; i < people; i++) {
        snprintf(a.people[i].subject, sizeof(a.people[i].subject), "person%u", i);
        a.people[i].score_milli = 1000 - i;
    }
    return a;
}

static void answers_are_signed_by_their_office(void **state)
{
    (void)state;
    struct fixture f;
    struct wc_buf body = {0}, packed = {0}, b = {0};
    static struct wc_wire_answers out;
    struct wc_answer answer, back;
    uint8_t sig[WC_SIG_BYTES];
    fixture_init(&f);
    answer = an_answer(&f, 2);
    wc_answer_encode(&body, &answer);
    assert_int_equal(wc_answer_sign(sig, slice_of(&body), &f.leeds.signer), 0);
    wc_wire_answer(&packed, slice_of(&body), sig);
    wc_wire_answers(&b, 1, slice_of(&packed));
    check_golden("wire-answers", &b);
    check_ends(&b);
    assert_int_equal(wc_wire_decode_answers(slice_of(&b), &out, NULL), 0);
    assert_int_equal(out.count, 1);
    assert_int_equal(
        wc_answer_verify(out.answers[0].sig, f.leeds.signer.key, out.answers[0].body),
        0);
    assert_int_equal(
        wc_answer_verify(out.answers[0].sig, f.org.key, out.answers[0].body),
        -WC_EBADSIG);
    assert_int_equal(wc_answer_decode(out.answers[0].body, &back, NULL), 0);
    assert_memory_equal(back.ask_id, answer.ask_id, WC_ASK_ID_BYTES);
    assert_memory_equal(back.office_key, answer.office_key, WC_KEY_BYTES);
    assert_int_equal(back.total, 12);
    assert_int_equal(back.people_count, 2);
    assert_string_equal(back.people[1].subject, "person1");
    assert_int_equal(back.people[1].score_milli, 999);
    /* a signature for another purpose is none */
    assert_int_equal(
        wc_sign(sig, &f.leeds.signer, "whocan stamp", WC_KIND_ASK, slice_of(&body)), 0);
    assert_int_equal(wc_answer_verify(sig, f.leeds.signer.key, slice_of(&body)),
                     -WC_EBADSIG);
    wc_buf_fini(&body);
    wc_buf_fini(&packed);
    wc_buf_fini(&b);
    fixture_fini(&f);
}

static void an_answer_names_few_people(void **state)
{
    (void)state;
    struct fixture f;
    struct wc_buf body = {0};
    struct wc_answer answer, back;
    fixture_init(&f);
    answer = an_answer(&f, WC_ANSWER_PEOPLE_MAX);
    wc_answer_encode(&body, &answer);
    assert_int_equal(wc_answer_decode(slice_of(&body), &back, NULL), 0);
    /* one more than there is room for */
    wc_buf_reset(&body);
    wc_pack_array(&body, 4);
    wc_pack_bin(&body, wc_slice(answer.ask_id, WC_ASK_ID_BYTES));
    wc_pack_bin(&body, wc_slice(answer.office_key, WC_KEY_BYTES));
    wc_pack_u64(&body, 9);
    wc_pack_array(&body, WC_ANSWER_PEOPLE_MAX + 1);
    for (int i = 0; i <= WC_ANSWER_PEOPLE_MAX; i++) {
        wc_pack_array(&body, 2);
        wc_pack_text(&body, "alice");
        wc_pack_u64(&body, 1);
    }
    assert_int_equal(wc_answer_decode(slice_of(&body), &back, NULL), -WC_ETOOBIG);
    /* a name that hides its end, no name, a name too long */
    const struct wc_slice bad[] = {
        wc_slice("al\0ice", 6), wc_slice(NULL, 0),
        wc_slice("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                 "aaaaaaaaaaaaaaaaaaaaa",
                 WC_SUBJECT_MAX_BYTES + 1)};
    for (int i = 0; i < 3; i++) {
        wc_buf_reset(&body);
        wc_pack_array(&body, 4);
        wc_pack_bin(&body, wc_slice(answer.ask_id, WC_ASK_ID_BYTES));
        wc_pack_bin(&body, wc_slice(answer.office_key, WC_KEY_BYTES));
        wc_pack_u64(&body, 1);
        wc_pack_array(&body, 1);
        wc_pack_array(&body, 2);
        wc_pack_str(&body, bad[i]);
        wc_pack_u64(&body, 1);
        assert_int_equal(wc_answer_decode(slice_of(&body), &back, NULL), -WC_EINVALID);
    }
    wc_buf_fini(&body);
    fixture_fini(&f);
}

/* ---- the type, before anything else ---- */

static void the_type_is_seen_in_two_bytes(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned t = 0; t < 256; t++) {
            const uint8_t frame[] = {(uint8_t)a, (uint8_t)t, 0xff};
            bool good = a >= 0x90 && a <= 0x9f && t >= 1 && t <= 19;
            assert_int_equal(wc_wire_type(wc_slice(frame, 3)),
                             good ? (int)t : -WC_EPROTOCOL);
        }
    }
    assert_int_equal(wc_wire_type(wc_slice("\x92", 1)), -WC_EPROTOCOL);
    assert_int_equal(wc_wire_type(wc_slice(NULL, 0)), -WC_EPROTOCOL);
}

/* What one decoder accepts, no other takes for its own shape by accident. */
static void too_many_or_too_few_elements_are_refused(void **state)
{
    (void)state;
    for (int type = WC_WIRE_HELLO; type <= WC_WIRE_AUDIT; type++) {
        for (uint32_t count = 1; count < 8; count++) {
            struct wc_buf b = {0};
            wc_pack_array(&b, count);
            wc_pack_u64(&b, (uint64_t)type);
            for (uint32_t i = 1; i < count; i++)
                wc_pack_nil(&b);
            bool bare = (type == WC_WIRE_PART || type == WC_WIRE_PRUNE) && count == 1;
            int rc = decode((enum wc_wire_type)type, slice_of(&b));
            assert_true(bare ? rc == 0 : rc < 0);
            wc_buf_fini(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks),
        cmocka_unit_test(records),
        cmocka_unit_test(a_sync_asks_about_ranges),
        cmocka_unit_test(an_equal_set_costs_little),
        cmocka_unit_test(a_fingerprint_depends_on_all_of_it),
        cmocka_unit_test(an_audit_has_a_key_and_compares),
        cmocka_unit_test(short_things_belong_to_a_session),
        cmocka_unit_test(a_diff_has_branches_ids_and_items),
        cmocka_unit_test(a_diff_of_all_sets_has_one_branch_each),
        cmocka_unit_test(a_range_is_a_prefix),
        cmocka_unit_test(the_fullest_frames_fit),
        cmocka_unit_test(a_want_names_items),
        cmocka_unit_test(an_ask_says_how_far_it_came),
        cmocka_unit_test(a_neighbour_has_a_priority),
        cmocka_unit_test(some_frames_are_their_type_alone),
        cmocka_unit_test(a_newcomer_walks_with_its_card),
        cmocka_unit_test(lists_are_of_one_length),
        cmocka_unit_test(a_beat_says_how_far_it_came),
        cmocka_unit_test(answers_are_signed_by_their_office),
        cmocka_unit_test(an_answer_names_few_people),
        cmocka_unit_test(the_type_is_seen_in_two_bytes),
        cmocka_unit_test(too_many_or_too_few_elements_are_refused),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
