/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between offices: whatever decodes is within its limits, and written again it
 * decodes to the same. */
#include <whocan/pack.h>

#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"

static struct wc_wire_ranges ranges, ranges_again;
static struct wc_wire_answers answers, answers_again;
static struct wc_wire_records records, records_again;

static void check_clock(struct wc_slice in, int type)
{
    struct wc_wire_clock clock, again;
    struct wc_buf b = {0};
    if (wc_wire_decode_clock(in, &clock, NULL) != 0)
        return;
    if (type == WC_WIRE_HELLO)
        wc_wire_hello(&b, clock.now_ms);
    else if (type == WC_WIRE_PING)
        wc_wire_ping(&b, clock.now_ms, clock.token);
    else
        wc_wire_pong(&b, clock.now_ms, clock.token);
    HOLDS(wc_wire_decode_clock(wc_buf_slice(&b), &again, NULL) == 0);
    HOLDS(again.now_ms == clock.now_ms && again.token == clock.token);
    wc_buf_fini(&b);
}

static void check_records(struct wc_slice in)
{
    struct wc_buf packed = {0}, b = {0};
    if (wc_wire_decode_records(in, &records, NULL) != 0)
        return;
    HOLDS(records.count <= WC_WIRE_RECORDS_MAX_COUNT);
    for (uint32_t i = 0; i < records.count; i++) {
        size_t before = packed.len;
        HOLDS(records.records[i].len <= WC_RECORD_MAX_BYTES);
        wc_pack_bin(&packed, records.records[i]);
        HOLDS(packed.len - before == wc_wire_record_bytes(records.records[i].len));
    }
    wc_wire_records(&b, records.reason, records.count, wc_buf_slice(&packed));
    HOLDS(b.len <= packed.len + WC_WIRE_RECORDS_HEAD_BYTES);
    HOLDS(wc_wire_decode_records(wc_buf_slice(&b), &records_again, NULL) == 0);
    HOLDS(records_again.count == records.count);
    for (uint32_t i = 0; i < records.count; i++)
        HOLDS(wc_slice_eq(records.records[i], records_again.records[i]));
    wc_buf_fini(&packed);
    wc_buf_fini(&b);
}

static void check_range(const struct wc_wire_range *r,
                        const struct wc_wire_range *again)
{
    HOLDS(r->bits <= WC_ITEM_BITS_MAX && r->bits % WC_ITEM_STEP_BITS == 0);
    HOLDS(r->count <= WC_WANT_ITEMS_MAX_COUNT);
    for (size_t at = 0; r->form == WC_FORM_ITEMS && at < r->data.len;
         at += WC_ITEM_BYTES)
        HOLDS(wc_item_within(r->data.data + at, r->prefix, r->bits));
    HOLDS(r->bits == again->bits && r->form == again->form);
    HOLDS(r->count == again->count && wc_slice_eq(r->data, again->data));
    HOLDS(memcmp(r->prefix, again->prefix, sizeof(r->prefix)) == 0);
    HOLDS(memcmp(r->fingerprint, again->fingerprint, sizeof(r->fingerprint)) == 0);
}

typedef void (*encode_fn)(struct wc_buf *b, const struct wc_wire_ranges *r);
typedef int (*decode_fn)(struct wc_slice in, struct wc_wire_ranges *r,
                         struct wc_err *err);

static void check_ranges(struct wc_slice in, encode_fn encode, decode_fn decode)
{
    struct wc_buf b = {0};
    uint32_t max = decode == wc_wire_decode_want ? WC_WANT_ITEMS_MAX_COUNT
                                                 : WC_SYNC_RANGES_MAX_COUNT;
    if (decode(in, &ranges, NULL) != 0)
        return;
    encode(&b, &ranges);
    HOLDS(b.len <= WC_FRAME_MAX_BYTES);
    HOLDS(decode(wc_buf_slice(&b), &ranges_again, NULL) == 0);
    HOLDS(ranges.count == ranges_again.count && ranges.count <= max);
    HOLDS(ranges.set <= WC_SET_ALL && ranges.set == ranges_again.set);
    HOLDS(ranges.session == ranges_again.session);
    for (uint32_t i = 0; i < ranges.count; i++)
        check_range(&ranges.ranges[i], &ranges_again.ranges[i]);
    wc_buf_fini(&b);
}

static void check_ask(struct wc_slice in)
{
    struct wc_wire_ask ask, again;
    struct wc_buf b = {0};
    if (wc_wire_decode_ask(in, &ask, NULL) != 0)
        return;
    HOLDS(ask.hops >= 1 && ask.hops <= WC_ASK_HOPS_MAX);
    wc_wire_ask(&b, ask.hops, ask.record);
    HOLDS(wc_wire_decode_ask(wc_buf_slice(&b), &again, NULL) == 0);
    HOLDS(again.hops == ask.hops && wc_slice_eq(again.record, ask.record));
    wc_buf_fini(&b);
}

static void check_answer(struct wc_slice body)
{
    struct wc_answer answer, again;
    struct wc_buf b = {0};
    if (wc_answer_decode(body, &answer, NULL) != 0)
        return;
    HOLDS(answer.people_count <= WC_ANSWER_PEOPLE_MAX);
    wc_answer_encode(&b, &answer);
    HOLDS(wc_answer_decode(wc_buf_slice(&b), &again, NULL) == 0);
    HOLDS(again.total == answer.total && again.people_count == answer.people_count);
    for (uint32_t i = 0; i < answer.people_count; i++) {
        HOLDS(strcmp(answer.people[i].subject, again.people[i].subject) == 0);
        HOLDS(answer.people[i].score_milli == again.people[i].score_milli);
    }
    wc_buf_fini(&b);
}

static void check_answers(struct wc_slice in)
{
    struct wc_buf packed = {0}, b = {0};
    if (wc_wire_decode_answers(in, &answers, NULL) != 0)
        return;
    for (uint32_t i = 0; i < answers.count; i++) {
        check_answer(answers.answers[i].body);
        wc_wire_answer(&packed, answers.answers[i].body, answers.answers[i].sig);
    }
    wc_wire_answers(&b, answers.count, wc_buf_slice(&packed));
    HOLDS(wc_wire_decode_answers(wc_buf_slice(&b), &answers_again, NULL) == 0);
    HOLDS(answers.count == answers_again.count);
    wc_buf_fini(&packed);
    wc_buf_fini(&b);
}

static void check_overlay(struct wc_slice in, enum wc_wire_type type)
{
    struct wc_wire_joined joined, joined_again;
    struct wc_wire_beat beat, beat_again;
    enum wc_wire_priority priority, priority_again;
    struct wc_buf b = {0};
    if (type == WC_WIRE_JOINED && wc_wire_decode_joined(in, &joined, NULL) == 0) {
        HOLDS(joined.ttl <= WC_WALK_HOPS_MAX && joined.card.len <= WC_RECORD_MAX_BYTES);
        wc_wire_joined(&b, joined.ttl, joined.card);
        HOLDS(wc_wire_decode_joined(wc_buf_slice(&b), &joined_again, NULL) == 0);
        HOLDS(joined_again.ttl == joined.ttl &&
              wc_slice_eq(joined_again.card, joined.card));
    }
    if (type == WC_WIRE_NEIGHBOUR &&
        wc_wire_decode_neighbour(in, &priority, NULL) == 0) {
        wc_wire_neighbour(&b, priority);
        HOLDS(wc_wire_decode_neighbour(wc_buf_slice(&b), &priority_again, NULL) == 0);
        HOLDS(priority == priority_again && priority <= WC_PRIORITY_JOIN);
    }
    if (type == WC_WIRE_BEAT && wc_wire_decode_beat(in, &beat, NULL) == 0) {
        HOLDS(beat.hops <= WC_BEAT_HOPS_MAX && beat.number <= WC_REV_MAX);
        wc_wire_beat(&b, &beat);
        HOLDS(wc_wire_decode_beat(wc_buf_slice(&b), &beat_again, NULL) == 0);
        HOLDS(beat_again.hops == beat.hops && beat_again.number == beat.number);
        HOLDS(memcmp(beat.root, beat_again.root, sizeof(beat.root)) == 0);
    }
    wc_buf_fini(&b);
}

static void check_list(struct wc_slice in, enum wc_wire_type type)
{
    struct wc_wire_list list, again;
    struct wc_buf b = {0};
    if (wc_wire_decode_list(in, &list, NULL) != 0)
        return;
    bool keys = type == WC_WIRE_SHUFFLE || type == WC_WIRE_SHUFFLED;
    HOLDS(list.count <= (keys ? WC_SHUFFLE_MAX_COUNT : WC_IDS_MAX_COUNT));
    HOLDS(list.items.len ==
          (size_t)list.count * (keys ? WC_KEY_BYTES : WC_MESSAGE_ID_BYTES));
    wc_wire_list(&b, type, list.items);
    HOLDS(wc_wire_decode_list(wc_buf_slice(&b), &again, NULL) == 0);
    HOLDS(wc_slice_eq(list.items, again.items));
    wc_buf_fini(&b);
}

static void check_bare(struct wc_slice in, enum wc_wire_type type)
{
    struct wc_buf b = {0};
    if (wc_wire_decode_bare(in, NULL) == 0) {
        wc_wire_bare(&b, type);
        HOLDS(b.len == 2);
    }
    wc_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_slice in = wc_slice(data, size);
    int type = wc_wire_type(in);
    if (size == 0)
        return 0;
    check_answer(in);
    if (type < 0)
        return 0;
    switch ((enum wc_wire_type)type) {
    case WC_WIRE_HELLO:
    case WC_WIRE_PING:
    case WC_WIRE_PONG:
        check_clock(in, type);
        break;
    case WC_WIRE_RECORDS:
        check_records(in);
        break;
    case WC_WIRE_AUDIT:
        check_ranges(in, wc_wire_audit, wc_wire_decode_audit);
        break;
    case WC_WIRE_SYNC:
        check_ranges(in, wc_wire_sync, wc_wire_decode_sync);
        break;
    case WC_WIRE_DIFF:
        check_ranges(in, wc_wire_diff, wc_wire_decode_diff);
        break;
    case WC_WIRE_WANT:
        check_ranges(in, wc_wire_want, wc_wire_decode_want);
        break;
    case WC_WIRE_ASK:
        check_ask(in);
        break;
    case WC_WIRE_ANSWERS:
        check_answers(in);
        break;
    case WC_WIRE_NEIGHBOUR:
    case WC_WIRE_JOINED:
    case WC_WIRE_BEAT:
        check_overlay(in, (enum wc_wire_type)type);
        break;
    case WC_WIRE_SHUFFLE:
    case WC_WIRE_SHUFFLED:
    case WC_WIRE_IHAVE:
    case WC_WIRE_GRAFT:
        check_list(in, (enum wc_wire_type)type);
        break;
    case WC_WIRE_PART:
    case WC_WIRE_PRUNE:
        check_bare(in, (enum wc_wire_type)type);
        break;
    }
    return 0;
}
