/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoders and decoders of the frames of <whocan/wire.h>. Encoders append one whole
 * frame to a buffer, whose `failed` says when memory ran out. Decoders fill structs of
 * fixed capacity whose slices borrow from the frame; they return 0, -WC_ENOMEM, or
 * another negative error when the frame breaks the protocol, and *err (may be NULL)
 * names the field.
 */
#ifndef WHOCAN_PROTO_WIRE_H
#define WHOCAN_PROTO_WIRE_H

#include <whocan/crypto.h>
#include <whocan/wire.h>

#include "proto/itemset.h"

/* ---- HELLO, PING, PONG ---- */

struct wc_wire_clock {
    uint64_t now_ms;
    uint64_t token; /* of a PING, given back in its PONG; 0 in a HELLO */
};
void wc_wire_hello(struct wc_buf *b, uint64_t now_ms);
void wc_wire_ping(struct wc_buf *b, uint64_t now_ms, uint64_t token);
void wc_wire_pong(struct wc_buf *b, uint64_t now_ms, uint64_t token);
int wc_wire_decode_clock(struct wc_slice frame, struct wc_wire_clock *out,
                         struct wc_err *err);

/* ---- RECORDS ---- */

/* packed: `count` records, each as wc_pack_bin() writes it. */
void wc_wire_records(struct wc_buf *b, enum wc_wire_reason reason, uint32_t count,
                     struct wc_slice packed);

/* What a record of len bytes adds to a RECORDS frame, and what a frame has besides. */
size_t wc_wire_record_bytes(size_t len);
#define WC_WIRE_RECORDS_HEAD_BYTES 8

struct wc_wire_records {
    enum wc_wire_reason reason;
    uint32_t count;
    struct wc_slice records[WC_WIRE_RECORDS_MAX_COUNT];
};
int wc_wire_decode_records(struct wc_slice frame, struct wc_wire_records *out,
                           struct wc_err *err);

/* ---- SYNC, AUDIT, DIFF, WANT ---- */

/* What is said of a range. */
enum wc_wire_form {
    WC_FORM_BRANCHES = 0, /* DIFF: the beginning of each branch's fingerprint */
    WC_FORM_IDS = 1,      /* DIFF, WANT: short ids of items */
    WC_FORM_ITEMS = 2,    /* DIFF: items */
    WC_FORM_COMPARE,      /* SYNC, AUDIT: a fingerprint */
    WC_FORM_OPEN,         /* SYNC: nothing, it is known to differ */
};

struct wc_wire_range {
    uint8_t prefix[WC_ITEM_BYTES]; /* zero past its bits */
    uint16_t bits;
    enum wc_wire_form form;
    uint8_t fingerprint[WC_FINGERPRINT_BYTES]; /* of WC_FORM_COMPARE */
    uint32_t count;       /* how many data are, WC_BRANCHES_COUNT of branches */
    struct wc_slice data; /* of the others, WC_BRANCH_BYTES, WC_SHORT_ID_BYTES or
                             WC_ITEM_BYTES each */
};

/* Everything that these frames have, each in its place. */
struct wc_wire_ranges {
    uint8_t set; /* WC_SET_ALL in a SYNC or DIFF alone */
    uint32_t session;
    uint8_t key[WC_SECRET_BYTES]; /* of an AUDIT */
    uint32_t count;
    struct wc_wire_range ranges[WC_WANT_ITEMS_MAX_COUNT];
};
void wc_wire_sync(struct wc_buf *b, const struct wc_wire_ranges *r);
void wc_wire_audit(struct wc_buf *b, const struct wc_wire_ranges *r);
void wc_wire_diff(struct wc_buf *b, const struct wc_wire_ranges *r);
void wc_wire_want(struct wc_buf *b, const struct wc_wire_ranges *r);

/* At most WC_SYNC_RANGES_MAX_COUNT ranges in each but a WANT, which has at most
 * WC_WANT_ITEMS_MAX_COUNT ids in as many ranges; each of a form that its frame may have. */
int wc_wire_decode_sync(struct wc_slice frame, struct wc_wire_ranges *out,
                        struct wc_err *err);
int wc_wire_decode_audit(struct wc_slice frame, struct wc_wire_ranges *out,
                         struct wc_err *err);
int wc_wire_decode_diff(struct wc_slice frame, struct wc_wire_ranges *out,
                        struct wc_err *err);
int wc_wire_decode_want(struct wc_slice frame, struct wc_wire_ranges *out,
                        struct wc_err *err);

/* The fingerprint of a range, or of `sets` whole sets, in one session. */
void wc_wire_fingerprint(uint8_t out[WC_FINGERPRINT_BYTES],
                         const struct wc_item_sum *sums, uint32_t sets,
                         uint32_t session);

/* The same under the key of an audit: of the items themselves, which stand in order. */
void wc_wire_audit_fingerprint(uint8_t out[WC_FINGERPRINT_BYTES], struct wc_slice items,
                               const uint8_t key[WC_SECRET_BYTES], uint32_t session);

/* What stands for a branch: the beginning of its fingerprint, and zeros for one without
 * items, which no other has. */
void wc_wire_branch(uint8_t out[WC_BRANCH_BYTES],
                    const uint8_t fingerprint[WC_FINGERPRINT_BYTES], bool empty);

/* What stands for an item in one session. */
void wc_wire_short_id(uint8_t out[WC_SHORT_ID_BYTES], const uint8_t item[WC_ITEM_BYTES],
                      uint32_t session);

/* ---- ASK ---- */

struct wc_wire_ask {
    uint32_t hops; /* links it has crossed, this one included: 1..WC_ASK_HOPS_MAX */
    struct wc_slice record;
};
void wc_wire_ask(struct wc_buf *b, uint32_t hops, struct wc_slice record);
int wc_wire_decode_ask(struct wc_slice frame, struct wc_wire_ask *out,
                       struct wc_err *err);

/* ---- NEIGHBOUR, PART, PRUNE ---- */

void wc_wire_neighbour(struct wc_buf *b, enum wc_wire_priority priority);
int wc_wire_decode_neighbour(struct wc_slice frame, enum wc_wire_priority *out,
                             struct wc_err *err);

/* Frames that say nothing but their type: PART, PRUNE. */
void wc_wire_bare(struct wc_buf *b, enum wc_wire_type type);
int wc_wire_decode_bare(struct wc_slice frame, struct wc_err *err);

/* ---- JOINED ---- */

struct wc_wire_joined {
    uint32_t ttl; /* links that it may still cross: 0..WC_WALK_HOPS_MAX */
    struct wc_slice card;
};
void wc_wire_joined(struct wc_buf *b, uint32_t ttl, struct wc_slice card);
int wc_wire_decode_joined(struct wc_slice frame, struct wc_wire_joined *out,
                          struct wc_err *err);

/* ---- SHUFFLE, SHUFFLED, IHAVE, GRAFT ---- */

/* Frames of many things of one length: WC_KEY_BYTES in SHUFFLE and SHUFFLED, of which
 * there are at most WC_SHUFFLE_MAX_COUNT; WC_MESSAGE_ID_BYTES in IHAVE and GRAFT, at
 * most WC_IDS_MAX_COUNT. There may be none. */
struct wc_wire_list {
    uint32_t count;
    struct wc_slice items;
};
void wc_wire_list(struct wc_buf *b, enum wc_wire_type type, struct wc_slice items);
int wc_wire_decode_list(struct wc_slice frame, struct wc_wire_list *out,
                        struct wc_err *err);

/* ---- BEAT ---- */

struct wc_wire_beat {
    uint8_t root[WC_ROOT_BYTES]; /* the beginning of the root's key */
    uint64_t number;             /* greater each time */
    uint32_t hops;               /* links between the root and the sender */
};
void wc_wire_beat(struct wc_buf *b, const struct wc_wire_beat *beat);
int wc_wire_decode_beat(struct wc_slice frame, struct wc_wire_beat *out,
                        struct wc_err *err);

/* ---- ANSWERS ---- */

struct wc_wire_answer {
    struct wc_slice body;
    uint8_t sig[WC_SIG_BYTES];
};
struct wc_wire_answers {
    uint32_t count;
    struct wc_wire_answer answers[WC_WIRE_ANSWERS_MAX_COUNT];
};

/* packed: `count` pairs, each as wc_wire_answer() writes it. */
void wc_wire_answer(struct wc_buf *packed, struct wc_slice body,
                    const uint8_t sig[WC_SIG_BYTES]);
void wc_wire_answers(struct wc_buf *b, uint32_t count, struct wc_slice packed);
int wc_wire_decode_answers(struct wc_slice frame, struct wc_wire_answers *out,
                           struct wc_err *err);

/* The signed body of an answer. */
void wc_answer_encode(struct wc_buf *b, const struct wc_answer *answer);
int wc_answer_decode(struct wc_slice body, struct wc_answer *out, struct wc_err *err);
int wc_answer_sign(uint8_t sig[WC_SIG_BYTES], struct wc_slice body,
                   const struct wc_signer *office);
int wc_answer_verify(const uint8_t sig[WC_SIG_BYTES],
                     const uint8_t office_key[WC_KEY_BYTES], struct wc_slice body);

#endif
