/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/pack.h>
#include <whocan/record.h>

#include "proto/field.h"

#define ANSWER_DOMAIN "whocan answer"

/* Worst cases, so that what is built always fits a frame. */
#define LIST_MAX_BYTES                                                                 \
    (1 + 2 + WC_ITEM_BYTES + 3 + 1 + 3 + WC_ITEM_LEAF_MAX * WC_ITEM_BYTES)
#define WANT_MAX_BYTES (1 + 2 + WC_ITEM_BYTES + 3 + 2 + WC_SHORT_ID_BYTES)
static_assert(WC_ITEM_BRANCHES * WC_BRANCH_BYTES <= WC_ITEM_LEAF_MAX * WC_ITEM_BYTES,
              "a list is the longest that a DIFF says of a range");
static_assert(WC_SYNC_RANGES_MAX_COUNT * LIST_MAX_BYTES + 16 <= WC_FRAME_MAX_BYTES,
              "a DIFF of lists fits a frame");
static_assert(WC_WANT_ITEMS_MAX_COUNT * WANT_MAX_BYTES + 16 <= WC_FRAME_MAX_BYTES,
              "a WANT of single items fits a frame");
static_assert(WC_WANT_ITEMS_MAX_COUNT * 4 + 5 <= WC_SCAN_NODES_MAX,
              "a WANT passes the pre-scan");
static_assert(WC_WIRE_ANSWERS_MAX_COUNT * 3 + 3 <= WC_SCAN_NODES_MAX,
              "ANSWERS pass the pre-scan");

int wc_wire_type(struct wc_slice frame)
{
    /* a short array, and a small number as its first element */
    if (frame.len < 2 || (frame.data[0] & 0xf0) != 0x90 || frame.data[1] == 0 ||
        frame.data[1] > WC_WIRE_AUDIT)
        return -WC_EPROTOCOL;
    return frame.data[1];
}

static void begin(struct wc_buf *b, uint32_t elements, enum wc_wire_type type)
{
    wc_pack_array(b, elements);
    wc_pack_u64(b, type);
}

/* Open a frame as an array of that many elements; the caller frees *doc on 0. */
static int open_frame(struct wc_slice frame, uint32_t elements, struct wc_doc **doc,
                      struct wc_err *err)
{
    int rc = wc_doc_new(frame, &wc_scan_default, doc);
    if (rc != 0)
        return wc_fail(err, (enum wc_error)(-rc), "frame", NULL);
    if (wc_obj_count(wc_doc_root(*doc)) != elements ||
        wc_obj_type(wc_doc_root(*doc)) != WC_ARRAY) {
        wc_doc_free(*doc);
        return wc_fail(err, WC_EPROTOCOL, "frame", "has the wrong number of elements");
    }
    return 0;
}

static int read_list(const struct wc_obj *o, const char *field, uint32_t max,
                     struct wc_err *err)
{
    if (o == NULL || wc_obj_type(o) != WC_ARRAY)
        return wc_fail(err, WC_ETYPE, field, "must be an array");
    if (wc_obj_count(o) > max)
        return wc_fail(err, WC_ETOOBIG, field, NULL);
    return 0;
}

static int read_bin(const struct wc_obj *o, const char *field, size_t max,
                    struct wc_slice *out, struct wc_err *err)
{
    if (wc_obj_bin(o, out) != 0)
        return wc_fail(err, WC_ETYPE, field, "must be bytes");
    if (out->len > max)
        return wc_fail(err, WC_ETOOBIG, field, NULL);
    return 0;
}

/* ---- HELLO, PING, PONG ---- */

void wc_wire_hello(struct wc_buf *b, uint64_t now_ms)
{
    begin(b, 2, WC_WIRE_HELLO);
    wc_pack_u64(b, now_ms);
}

void wc_wire_ping(struct wc_buf *b, uint64_t now_ms, uint64_t token)
{
    begin(b, 3, WC_WIRE_PING);
    wc_pack_u64(b, now_ms);
    wc_pack_u64(b, token);
}

void wc_wire_pong(struct wc_buf *b, uint64_t now_ms, uint64_t token)
{
    begin(b, 3, WC_WIRE_PONG);
    wc_pack_u64(b, now_ms);
    wc_pack_u64(b, token);
}

int wc_wire_decode_clock(struct wc_slice frame, struct wc_wire_clock *out,
                         struct wc_err *err)
{
    struct wc_doc *doc;
    bool hello = wc_wire_type(frame) == WC_WIRE_HELLO;
    int rc = open_frame(frame, hello ? 2 : 3, &doc, err);
    if (rc != 0)
        return rc;
    const struct wc_obj *root = wc_doc_root(doc);
    out->token = 0;
    rc = wc_field_u64(wc_obj_at(root, 1), "now", WC_REV_MAX, &out->now_ms, err);
    if (rc == 0 && !hello)
        rc = wc_field_u64(wc_obj_at(root, 2), "token", UINT64_MAX, &out->token, err);
    wc_doc_free(doc);
    return rc;
}

/* ---- RECORDS ---- */

size_t wc_wire_record_bytes(size_t len)
{
    return len + (len < 256 ? 2 : len < 65536 ? 3 : 5);
}

void wc_wire_records(struct wc_buf *b, enum wc_wire_reason reason, uint32_t count,
                     struct wc_slice packed)
{
    begin(b, 3, WC_WIRE_RECORDS);
    wc_pack_u64(b, reason);
    wc_pack_array(b, count);
    wc_buf_append(b, packed.data, packed.len);
}

int wc_wire_decode_records(struct wc_slice frame, struct wc_wire_records *out,
                           struct wc_err *err)
{
    struct wc_doc *doc;
    uint64_t reason = 0;
    int rc = open_frame(frame, 3, &doc, err);
    if (rc != 0)
        return rc;
    const struct wc_obj *list = wc_obj_at(wc_doc_root(doc), 2);
    rc = wc_field_u64(wc_obj_at(wc_doc_root(doc), 1), "reason", WC_REASON_LAST, &reason,
                      err);
    if (rc == 0)
        rc = read_list(list, "records", WC_WIRE_RECORDS_MAX_COUNT, err);
    out->reason = (enum wc_wire_reason)reason;
    out->count = rc == 0 ? wc_obj_count(list) : 0;
    for (uint32_t i = 0; rc == 0 && i < out->count; i++)
        rc = read_bin(wc_obj_at(list, i), "records[]", WC_RECORD_MAX_BYTES,
                      &out->records[i], err);
    wc_doc_free(doc);
    return rc;
}

/* ---- SYNC, AUDIT, DIFF, WANT ---- */

void wc_wire_fingerprint(uint8_t out[WC_FINGERPRINT_BYTES],
                         const struct wc_item_sum *sums, uint32_t sets,
                         uint32_t session)
{
    uint8_t counts[WC_SETS_COUNT][8], number[4], digest[WC_DIGEST_BYTES];
    struct wc_slice parts[2 * WC_SETS_COUNT + 1];
    wc_put_u32(number, session);
    for (size_t i = 0; i < sets; i++) {
        wc_put_u64(counts[i], sums[i].count);
        parts[2 * i] = wc_slice(counts[i], sizeof(counts[i]));
        parts[2 * i + 1] = wc_slice(sums[i].sum, sizeof(sums[i].sum));
    }
    parts[2 * (size_t)sets] = wc_slice(number, sizeof(number));
    wc_hash(digest, parts, 2 * (size_t)sets + 1);
    memcpy(out, digest, WC_FINGERPRINT_BYTES);
}

void wc_wire_audit_fingerprint(uint8_t out[WC_FINGERPRINT_BYTES], struct wc_slice items,
                               const uint8_t key[WC_SECRET_BYTES], uint32_t session)
{
    uint8_t number[4], digest[WC_DIGEST_BYTES];
    wc_put_u32(number, session);
    struct wc_slice parts[] = {wc_slice(number, sizeof(number)), items};
    wc_hash_keyed(digest, sizeof(digest), key, parts, 2);
    memcpy(out, digest, WC_FINGERPRINT_BYTES);
}

void wc_wire_branch(uint8_t out[WC_BRANCH_BYTES],
                    const uint8_t fingerprint[WC_FINGERPRINT_BYTES], bool empty)
{
    static const uint8_t nothing[WC_BRANCH_BYTES];
    memcpy(out, empty ? nothing : fingerprint, WC_BRANCH_BYTES);
    if (!empty && memcmp(out, nothing, WC_BRANCH_BYTES) == 0)
        out[WC_BRANCH_BYTES - 1] = 1;
}

void wc_wire_short_id(uint8_t out[WC_SHORT_ID_BYTES], const uint8_t item[WC_ITEM_BYTES],
                      uint32_t session)
{
    uint8_t key[16] = {0}, hash[8];
    wc_put_u32(key, session);
    wc_put_u64(hash, wc_siphash(key, wc_slice(item, WC_ITEM_BYTES)));
    memcpy(out, hash, WC_SHORT_ID_BYTES);
}

static size_t prefix_bytes(uint32_t bits)
{
    return (bits + 7) / 8;
}

static void pack_range(struct wc_buf *b, const struct wc_wire_range *r,
                       enum wc_wire_type type)
{
    bool diff = type == WC_WIRE_DIFF;
    wc_pack_array(b, 2 + diff + (r->form != WC_FORM_OPEN));
    wc_pack_bin(b, wc_slice(r->prefix, prefix_bytes(r->bits)));
    wc_pack_u64(b, r->bits);
    if (diff)
        wc_pack_u64(b, (uint64_t)r->form);
    if (r->form == WC_FORM_COMPARE)
        wc_pack_bin(b, wc_slice(r->fingerprint, sizeof(r->fingerprint)));
    else if (r->form != WC_FORM_OPEN)
        wc_pack_bin(b, r->data);
}

static void pack_ranges(struct wc_buf *b, enum wc_wire_type type,
                        const struct wc_wire_ranges *r)
{
    begin(b, type == WC_WIRE_AUDIT ? 5 : 4, type);
    wc_pack_u64(b, r->set);
    wc_pack_u64(b, r->session);
    if (type == WC_WIRE_AUDIT)
        wc_pack_bin(b, wc_slice(r->key, sizeof(r->key)));
    wc_pack_array(b, r->count);
    for (uint32_t i = 0; i < r->count; i++)
        pack_range(b, &r->ranges[i], type);
}

void wc_wire_sync(struct wc_buf *b, const struct wc_wire_ranges *r)
{
    pack_ranges(b, WC_WIRE_SYNC, r);
}

void wc_wire_audit(struct wc_buf *b, const struct wc_wire_ranges *r)
{
    pack_ranges(b, WC_WIRE_AUDIT, r);
}

void wc_wire_diff(struct wc_buf *b, const struct wc_wire_ranges *r)
{
    pack_ranges(b, WC_WIRE_DIFF, r);
}

void wc_wire_want(struct wc_buf *b, const struct wc_wire_ranges *r)
{
    pack_ranges(b, WC_WIRE_WANT, r);
}

static int read_prefix(const struct wc_obj *range, struct wc_wire_range *out,
                       struct wc_err *err)
{
    struct wc_slice prefix = {0};
    uint64_t bits = 0;
    int rc =
        wc_field_u64(wc_obj_at(range, 1), "prefix_bits", WC_ITEM_BITS_MAX, &bits, err);
    if (rc == 0)
        rc = read_bin(wc_obj_at(range, 0), "prefix", WC_ITEM_BYTES, &prefix, err);
    if (rc != 0)
        return rc;
    if (bits % WC_ITEM_STEP_BITS != 0)
        return wc_fail(err, WC_EINVALID, "prefix_bits", "must be a multiple of 4");
    if (prefix.len != prefix_bytes((uint32_t)bits) ||
        (bits % 8 != 0 && (prefix.data[prefix.len - 1] & 15) != 0))
        return wc_fail(err, WC_EINVALID, "prefix", "must have just its bits");
    out->bits = (uint16_t)bits;
    memset(out->prefix, 0, sizeof(out->prefix));
    if (prefix.len > 0)
        memcpy(out->prefix, prefix.data, prefix.len);
    return 0;
}

/* So many things of one length, one to max of them. */
static int read_data(const struct wc_obj *o, const char *name, size_t each,
                     uint32_t max, struct wc_wire_range *out, struct wc_err *err)
{
    int rc = read_bin(o, name, max * each, &out->data, err);
    if (rc == 0 && (out->data.len == 0 || out->data.len % each != 0))
        return wc_fail(err, WC_EINVALID, name, "has another length");
    if (rc == 0)
        out->count = (uint32_t)(out->data.len / each);
    return rc;
}

/* Items stand in order, differ, and belong to the range. */
static int read_items(const struct wc_obj *o, struct wc_wire_range *out,
                      struct wc_err *err)
{
    int rc = read_data(o, "items", WC_ITEM_BYTES, WC_ITEM_LEAF_MAX, out, err);
    for (size_t at = 0; rc == 0 && at < out->data.len; at += WC_ITEM_BYTES) {
        const uint8_t *item = out->data.data + at;
        if (!wc_item_within(item, out->prefix, out->bits) ||
            (at > 0 && memcmp(item - WC_ITEM_BYTES, item, WC_ITEM_BYTES) >= 0))
            return wc_fail(err, WC_EINVALID, "items",
                           "must be in order and in their range");
    }
    return rc;
}

/* As many branches as a range has, or as there are sets. */
static int read_branches(const struct wc_obj *o, uint8_t set, struct wc_wire_range *out,
                         struct wc_err *err)
{
    uint32_t count = set == WC_SET_ALL ? WC_SETS_COUNT : WC_ITEM_BRANCHES;
    int rc = read_data(o, "branches", WC_BRANCH_BYTES, count, out, err);
    if (rc == 0 && (out->count != count || out->bits == WC_ITEM_BITS_MAX))
        rc = wc_fail(err, WC_EINVALID, "branches", "are not as many as there are");
    return rc;
}

/* What of a range a DIFF says, past its prefix. */
static int read_answer(const struct wc_obj *range, uint8_t set,
                       struct wc_wire_range *out, struct wc_err *err)
{
    uint64_t form = 0;
    const struct wc_obj *data = wc_obj_at(range, 3);
    int rc =
        wc_field_u64(wc_obj_at(range, 2), "form",
                     set == WC_SET_ALL ? WC_FORM_BRANCHES : WC_FORM_ITEMS, &form, err);
    if (rc != 0)
        return rc;
    out->form = (enum wc_wire_form)form;
    if (form == WC_FORM_BRANCHES)
        return read_branches(data, set, out, err);
    return form == WC_FORM_IDS
               ? read_data(data, "ids", WC_SHORT_ID_BYTES, WC_ITEM_LEAF_MAX, out, err)
               : read_items(data, out, err);
}

/* What of a range a SYNC, AUDIT or WANT says. */
static int read_question(const struct wc_obj *range, enum wc_wire_type type,
                         struct wc_wire_range *out, struct wc_err *err)
{
    if (type == WC_WIRE_WANT) {
        out->form = WC_FORM_IDS;
        return read_data(wc_obj_at(range, 2), "ids", WC_SHORT_ID_BYTES,
                         WC_WANT_ITEMS_MAX_COUNT, out, err);
    }
    out->form = wc_obj_count(range) == 2 ? WC_FORM_OPEN : WC_FORM_COMPARE;
    return out->form == WC_FORM_OPEN
               ? 0
               : wc_field_bin(wc_obj_at(range, 2), "fingerprint", out->fingerprint,
                              sizeof(out->fingerprint), err);
}

static int read_range(const struct wc_obj *range, enum wc_wire_type type, uint8_t set,
                      struct wc_wire_range *out, struct wc_err *err)
{
    uint32_t max = type == WC_WIRE_DIFF ? 4 : 3;
    int rc = read_list(range, "range", max, err);
    if (rc == 0)
        rc = read_prefix(range, out, err);
    if (rc != 0)
        return rc;
    out->data = (struct wc_slice){0};
    out->count = 0;
    memset(out->fingerprint, 0, sizeof(out->fingerprint));
    if (wc_obj_count(range) != max &&
        (type != WC_WIRE_SYNC || wc_obj_count(range) != 2))
        return wc_fail(err, WC_EINVALID, "range", "has the wrong number of elements");
    rc = type == WC_WIRE_DIFF ? read_answer(range, set, out, err)
                              : read_question(range, type, out, err);
    if (rc == 0 && set == WC_SET_ALL && (out->bits != 0 || out->form == WC_FORM_OPEN))
        rc = wc_fail(err, WC_EINVALID, "range", "must be of all sets");
    return rc;
}

static int decode_ranges(struct wc_slice frame, enum wc_wire_type type,
                         struct wc_wire_ranges *out, struct wc_err *err)
{
    struct wc_doc *doc;
    uint64_t session = 0, set = 0;
    bool audit = type == WC_WIRE_AUDIT;
    bool whole = type == WC_WIRE_SYNC || type == WC_WIRE_DIFF;
    uint32_t ids = 0;
    int rc = open_frame(frame, audit ? 5 : 4, &doc, err);
    if (rc != 0)
        return rc;
    const struct wc_obj *root = wc_doc_root(doc),
                        *list = wc_obj_at(root, audit ? 4 : 3);
    rc = wc_field_u64(wc_obj_at(root, 1), "set", whole ? WC_SET_ALL : WC_SETS_COUNT - 1,
                      &set, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 2), "session", UINT32_MAX, &session, err);
    if (rc == 0 && audit)
        rc = wc_field_bin(wc_obj_at(root, 3), "key", out->key, sizeof(out->key), err);
    if (rc == 0)
        rc = read_list(list, "ranges",
                       type == WC_WIRE_WANT ? WC_WANT_ITEMS_MAX_COUNT
                       : set == WC_SET_ALL  ? 1
                                            : WC_SYNC_RANGES_MAX_COUNT,
                       err);
    out->set = (uint8_t)set;
    out->session = (uint32_t)session;
    out->count = rc == 0 ? wc_obj_count(list) : 0;
    for (uint32_t i = 0; rc == 0 && i < out->count; i++) {
        rc = read_range(wc_obj_at(list, i), type, out->set, &out->ranges[i], err);
        ids += out->ranges[i].count;
    }
    if (rc == 0 && type == WC_WIRE_WANT && (ids == 0 || ids > WC_WANT_ITEMS_MAX_COUNT))
        rc = wc_fail(err, WC_EINVALID, "ids", "are none or too many");
    wc_doc_free(doc);
    return rc;
}

int wc_wire_decode_sync(struct wc_slice frame, struct wc_wire_ranges *out,
                        struct wc_err *err)
{
    return decode_ranges(frame, WC_WIRE_SYNC, out, err);
}

int wc_wire_decode_audit(struct wc_slice frame, struct wc_wire_ranges *out,
                         struct wc_err *err)
{
    return decode_ranges(frame, WC_WIRE_AUDIT, out, err);
}

int wc_wire_decode_diff(struct wc_slice frame, struct wc_wire_ranges *out,
                        struct wc_err *err)
{
    return decode_ranges(frame, WC_WIRE_DIFF, out, err);
}

int wc_wire_decode_want(struct wc_slice frame, struct wc_wire_ranges *out,
                        struct wc_err *err)
{
    return decode_ranges(frame, WC_WIRE_WANT, out, err);
}

/* ---- ASK ---- */

void wc_wire_ask(struct wc_buf *b, uint32_t hops, struct wc_slice record)
{
    begin(b, 3, WC_WIRE_ASK);
    wc_pack_u64(b, hops);
    wc_pack_bin(b, record);
}

int wc_wire_decode_ask(struct wc_slice frame, struct wc_wire_ask *out,
                       struct wc_err *err)
{
    struct wc_doc *doc;
    uint64_t hops = 0;
    int rc = open_frame(frame, 3, &doc, err);
    if (rc != 0)
        return rc;
    rc = wc_field_u64(wc_obj_at(wc_doc_root(doc), 1), "hops", WC_ASK_HOPS_MAX, &hops,
                      err);
    if (rc == 0 && hops == 0)
        rc = wc_fail(err, WC_EINVALID, "hops", "must be at least 1");
    if (rc == 0)
        rc = read_bin(wc_obj_at(wc_doc_root(doc), 2), "record", WC_RECORD_MAX_BYTES,
                      &out->record, err);
    out->hops = (uint32_t)hops;
    wc_doc_free(doc);
    return rc;
}

/* ---- NEIGHBOUR, PART, PRUNE ---- */

void wc_wire_neighbour(struct wc_buf *b, enum wc_wire_priority priority)
{
    begin(b, 2, WC_WIRE_NEIGHBOUR);
    wc_pack_u64(b, priority);
}

int wc_wire_decode_neighbour(struct wc_slice frame, enum wc_wire_priority *out,
                             struct wc_err *err)
{
    struct wc_doc *doc;
    uint64_t priority = 0;
    int rc = open_frame(frame, 2, &doc, err);
    if (rc != 0)
        return rc;
    rc = wc_field_u64(wc_obj_at(wc_doc_root(doc), 1), "priority", WC_PRIORITY_JOIN,
                      &priority, err);
    *out = (enum wc_wire_priority)priority;
    wc_doc_free(doc);
    return rc;
}

void wc_wire_bare(struct wc_buf *b, enum wc_wire_type type)
{
    begin(b, 1, type);
}

int wc_wire_decode_bare(struct wc_slice frame, struct wc_err *err)
{
    struct wc_doc *doc;
    int rc = open_frame(frame, 1, &doc, err);
    if (rc == 0)
        wc_doc_free(doc);
    return rc;
}

/* ---- JOINED ---- */

void wc_wire_joined(struct wc_buf *b, uint32_t ttl, struct wc_slice card)
{
    begin(b, 3, WC_WIRE_JOINED);
    wc_pack_u64(b, ttl);
    wc_pack_bin(b, card);
}

int wc_wire_decode_joined(struct wc_slice frame, struct wc_wire_joined *out,
                          struct wc_err *err)
{
    struct wc_doc *doc;
    uint64_t ttl = 0;
    int rc = open_frame(frame, 3, &doc, err);
    if (rc != 0)
        return rc;
    rc = wc_field_u64(wc_obj_at(wc_doc_root(doc), 1), "ttl", WC_WALK_HOPS_MAX, &ttl,
                      err);
    if (rc == 0)
        rc = read_bin(wc_obj_at(wc_doc_root(doc), 2), "card", WC_RECORD_MAX_BYTES,
                      &out->card, err);
    out->ttl = (uint32_t)ttl;
    wc_doc_free(doc);
    return rc;
}

/* ---- SHUFFLE, SHUFFLED, IHAVE, GRAFT ---- */

void wc_wire_list(struct wc_buf *b, enum wc_wire_type type, struct wc_slice items)
{
    begin(b, 2, type);
    wc_pack_bin(b, items);
}

int wc_wire_decode_list(struct wc_slice frame, struct wc_wire_list *out,
                        struct wc_err *err)
{
    struct wc_doc *doc;
    int type = wc_wire_type(frame);
    bool keys = type == WC_WIRE_SHUFFLE || type == WC_WIRE_SHUFFLED;
    size_t each = keys ? WC_KEY_BYTES : WC_MESSAGE_ID_BYTES;
    size_t most = keys ? WC_SHUFFLE_MAX_COUNT : WC_IDS_MAX_COUNT;
    int rc = open_frame(frame, 2, &doc, err);
    if (rc != 0)
        return rc;
    rc = read_bin(wc_obj_at(wc_doc_root(doc), 1), "items", most * each, &out->items,
                  err);
    if (rc == 0 && out->items.len % each != 0)
        rc = wc_fail(err, WC_EINVALID, "items",
                     keys ? "must have 32 bytes each" : "must have 16 bytes each");
    if (rc == 0)
        out->count = (uint32_t)(out->items.len / each);
    wc_doc_free(doc);
    return rc;
}

/* ---- BEAT ---- */

void wc_wire_beat(struct wc_buf *b, const struct wc_wire_beat *beat)
{
    begin(b, 4, WC_WIRE_BEAT);
    wc_pack_bin(b, wc_slice(beat->root, sizeof(beat->root)));
    wc_pack_u64(b, beat->number);
    wc_pack_u64(b, beat->hops);
}

int wc_wire_decode_beat(struct wc_slice frame, struct wc_wire_beat *out,
                        struct wc_err *err)
{
    struct wc_doc *doc;
    uint64_t hops = 0;
    int rc = open_frame(frame, 4, &doc, err);
    if (rc != 0)
        return rc;
    const struct wc_obj *root = wc_doc_root(doc);
    rc = wc_field_bin(wc_obj_at(root, 1), "root", out->root, sizeof(out->root), err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 2), "number", WC_REV_MAX, &out->number, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 3), "hops", WC_BEAT_HOPS_MAX, &hops, err);
    out->hops = (uint32_t)hops;
    wc_doc_free(doc);
    return rc;
}

/* ---- ANSWERS ---- */

void wc_wire_answer(struct wc_buf *packed, struct wc_slice body,
                    const uint8_t sig[WC_SIG_BYTES])
{
    wc_pack_array(packed, 2);
    wc_pack_bin(packed, body);
    wc_pack_bin(packed, wc_slice(sig, WC_SIG_BYTES));
}

void wc_wire_answers(struct wc_buf *b, uint32_t count, struct wc_slice packed)
{
    begin(b, 2, WC_WIRE_ANSWERS);
    wc_pack_array(b, count);
    wc_buf_append(b, packed.data, packed.len);
}

int wc_wire_decode_answers(struct wc_slice frame, struct wc_wire_answers *out,
                           struct wc_err *err)
{
    struct wc_doc *doc;
    int rc = open_frame(frame, 2, &doc, err);
    if (rc != 0)
        return rc;
    const struct wc_obj *list = wc_obj_at(wc_doc_root(doc), 1);
    rc = read_list(list, "answers", WC_WIRE_ANSWERS_MAX_COUNT, err);
    out->count = rc == 0 ? wc_obj_count(list) : 0;
    for (uint32_t i = 0; rc == 0 && i < out->count; i++) {
        const struct wc_obj *pair = wc_obj_at(list, i);
        rc = read_list(pair, "answers[]", 2, err);
        if (rc == 0)
            rc = read_bin(wc_obj_at(pair, 0), "answers[].body", WC_FRAME_MAX_BYTES,
                          &out->answers[i].body, err);
        if (rc == 0)
            rc = wc_field_bin(wc_obj_at(pair, 1), "answers[].sig", out->answers[i].sig,
                              WC_SIG_BYTES, err);
    }
    wc_doc_free(doc);
    return rc;
}

void wc_answer_encode(struct wc_buf *b, const struct wc_answer *answer)
{
    wc_pack_array(b, 4);
    wc_pack_bin(b, wc_slice(answer->ask_id, WC_ASK_ID_BYTES));
    wc_pack_bin(b, wc_slice(answer->office_key, WC_KEY_BYTES));
    wc_pack_u64(b, answer->total);
    wc_pack_array(b, answer->people_count);
    for (uint32_t i = 0; i < answer->people_count; i++) {
        wc_pack_array(b, 2);
        wc_pack_text(b, answer->people[i].subject);
        wc_pack_u64(b, answer->people[i].score_milli);
    }
}

static int read_person(const struct wc_obj *o, struct wc_answer_person *out,
                       struct wc_err *err)
{
    struct wc_slice subject;
    uint64_t score = 0;
    int rc = read_list(o, "people[]", 2, err);
    if (rc != 0)
        return rc;
    if (wc_obj_str(wc_obj_at(o, 0), &subject) != 0 || subject.len == 0 ||
        !wc_slice_copy(subject, out->subject, sizeof(out->subject)))
        return wc_fail(err, WC_EINVALID, "people[].subject", NULL);
    rc = wc_field_u64(wc_obj_at(o, 1), "people[].score", UINT32_MAX, &score, err);
    out->score_milli = (uint32_t)score;
    return rc;
}

int wc_answer_decode(struct wc_slice body, struct wc_answer *out, struct wc_err *err)
{
    struct wc_doc *doc;
    uint64_t total = 0;
    int rc = open_frame(body, 4, &doc, err);
    if (rc != 0)
        return rc;
    const struct wc_obj *root = wc_doc_root(doc), *people = wc_obj_at(root, 3);
    rc = wc_field_bin(wc_obj_at(root, 0), "id", out->ask_id, WC_ASK_ID_BYTES, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 1), "office", out->office_key, WC_KEY_BYTES,
                          err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 2), "total", UINT32_MAX, &total, err);
    if (rc == 0)
        rc = read_list(people, "people", WC_ANSWER_PEOPLE_MAX, err);
    out->total = (uint32_t)total;
    out->people_count = rc == 0 ? wc_obj_count(people) : 0;
    for (uint32_t i = 0; rc == 0 && i < out->people_count; i++)
        rc = read_person(wc_obj_at(people, i), &out->people[i], err);
    wc_doc_free(doc);
    return rc;
}

int wc_answer_sign(uint8_t sig[WC_SIG_BYTES], struct wc_slice body,
                   const struct wc_signer *office)
{
    return wc_sign(sig, office, ANSWER_DOMAIN, WC_KIND_ASK, body);
}

int wc_answer_verify(const uint8_t sig[WC_SIG_BYTES],
                     const uint8_t office_key[WC_KEY_BYTES], struct wc_slice body)
{
    return wc_verify(sig, office_key, ANSWER_DOMAIN, WC_KIND_ASK, body);
}
