/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between offices. A frame on an open link is one MessagePack array [ type,
 * ... ]. Decoding is in two steps: wc_wire_type() looks at the type alone, so that a
 * receiver refuses what a link may not send now before it decodes anything; then the
 * decoder of that type (proto/wire.h).
 *
 *   1 HELLO   [ 1, now_ms ]                        first frame of each side: its clock
 *   2 PING    [ 2, now_ms, token ]
 *   3 PONG    [ 3, now_ms, token ]
 *   4 RECORDS [ 4, reason, [ record (bin), ... ] ] reason: enum wc_wire_reason
 *   5 SYNC    [ 5, set, session, [ range, ... ] ]  where do we differ?
 *   6 WANT    [ 6, set, session, [ range, ... ] ]  please send these records
 *   7 ASK     [ 7, hops, record (bin) ]
 *   8 ANSWERS [ 8, [ [ body (bin), sig (bin 64) ], ... ] ]
 *   9 DIFF    [ 9, set, session, [ range, ... ] ]  the answer to a SYNC
 *  10 NEIGHBOUR [ 10, priority ]                   be my neighbour: enum wc_wire_priority
 *  11 PART    [ 11 ]                               we are neighbours no more
 *  12 JOINED  [ 12, ttl, card (bin) ]              an office is new; it walks on
 *  13 SHUFFLE [ 13, keys (bin, 32 bytes each) ]    offices that I know; and you?
 *  14 SHUFFLED [ 14, keys (bin, 32 bytes each) ]   the answer
 *  15 IHAVE   [ 15, ids (bin, 16 bytes each) ]     what I could send you
 *  16 GRAFT   [ 16, ids (bin, 16 bytes each) ]     send these, and all that is new
 *  17 PRUNE   [ 17 ]                               announce what is new, do not send it
 *  18 BEAT    [ 18, root (bin 16), number, hops ]  the shortest way to the root is here
 *  19 AUDIT   [ 19, set, session, key (bin 32), [ range, ... ] ]  do we really not?
 *
 * An id of IHAVE and GRAFT is the first 16 bytes of a record's item (wc_record_item()).
 *
 * Sets: 0 holds cards and revocations and is reconciled first; 1 holds everything else;
 * 2, in a SYNC and its DIFF, is both. A range is the set of items that start with
 * `prefix_bits` (a multiple of 4) bits of `prefix`, which has just the bytes for them,
 * the bits to spare zero:
 *   SYNC, AUDIT  [ prefix (bin), prefix_bits, fingerprint (bin 16) ]
 *   SYNC         [ prefix (bin), prefix_bits ]
 *   DIFF         [ prefix (bin), prefix_bits, 0, branches (bin, 4 bytes each) ]
 *                [ prefix (bin), prefix_bits, 1, ids (bin, 6 bytes each) ]
 *                [ prefix (bin), prefix_bits, 2, items (bin, 32 bytes each) ]
 *   WANT         [ prefix (bin), prefix_bits, ids (bin, 6 bytes each) ]
 * docs/reconciliation.md tells the whole exchange, byte by byte.
 *
 * answer body = [ ask id (bin 16), office key (bin 32), total, [ [ subject, score ],
 * ... ] ], score an integer in thousandths; signed by the office, domain "whocan
 * answer", kind WC_KIND_ASK.
 */
#ifndef WHOCAN_WIRE_H
#define WHOCAN_WIRE_H

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/limits.h>

#define WC_WIRE_VERSION_MIN 1
#define WC_WIRE_VERSION_MAX 1

enum wc_wire_type {
    WC_WIRE_HELLO = 1,
    WC_WIRE_PING = 2,
    WC_WIRE_PONG = 3,
    WC_WIRE_RECORDS = 4,
    WC_WIRE_SYNC = 5,
    WC_WIRE_WANT = 6,
    WC_WIRE_ASK = 7,
    WC_WIRE_ANSWERS = 8,
    WC_WIRE_DIFF = 9,
    WC_WIRE_NEIGHBOUR = 10,
    WC_WIRE_PART = 11,
    WC_WIRE_JOINED = 12,
    WC_WIRE_SHUFFLE = 13,
    WC_WIRE_SHUFFLED = 14,
    WC_WIRE_IHAVE = 15,
    WC_WIRE_GRAFT = 16,
    WC_WIRE_PRUNE = 17,
    WC_WIRE_BEAT = 18,
    WC_WIRE_AUDIT = 19,
};

enum wc_wire_reason {
    WC_REASON_BROADCAST = 0, /* new, for everybody */
    WC_REASON_WANTED = 1,    /* asked for by a WANT; more of it follows */
    WC_REASON_LAST = 2,      /* the end of the answer to one WANT; may be empty */
};

/* Why a NEIGHBOUR is to make room. */
enum wc_wire_priority {
    WC_PRIORITY_LOW = 0,  /* it need not: I have others */
    WC_PRIORITY_HIGH = 1, /* I have few or none */
    WC_PRIORITY_JOIN = 2, /* I have none, and am new: tell others of me */
};

#define WC_SETS_COUNT        2
#define WC_SET_ALL           2 /* both of them */
#define WC_FINGERPRINT_BYTES 16
#define WC_BRANCH_BYTES                                                                \
    4 /* of a branch's fingerprint: what slips, the next session finds */
#define WC_SHORT_ID_BYTES 6 /* of an item, under the session's number */

/* The type of a frame, or -WC_EPROTOCOL. Looks at no more than the first three bytes.
 */
int wc_wire_type(struct wc_slice frame);

/* One person of an answer. */
struct wc_answer_person {
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint32_t score_milli;
};

/* One office's answer to an ask. */
struct wc_answer {
    uint8_t ask_id[WC_ASK_ID_BYTES];
    uint8_t office_key[WC_KEY_BYTES];
    uint32_t total; /* matching people in that office, of which the best are listed */
    uint32_t people_count;
    struct wc_answer_person people[WC_ANSWER_PEOPLE_MAX];
};

#endif
