/* SPDX-License-Identifier: Apache-2.0 */
/* Two offices' sets that are reconciled frame by frame, every frame encoded and decoded
 * as between daemons, and what that costs. For tests and benchmarks. */
#ifndef WHOCAN_TESTS_RECONCILING_H
#define WHOCAN_TESTS_RECONCILING_H

#include <stdlib.h>
#include <string.h>

#include "proto/reconcile.h"

/* Of all frames both ways but the records themselves. */
struct reconciling_cost {
    uint64_t bytes, frames;
    uint64_t rounds; /* questions with their answers */
    uint64_t came;   /* items that the leader lacked */
};

static inline void reconciling_sent(struct reconciling_cost *cost,
                                    const struct wc_buf *frame)
{
    if (frame->failed)
        abort();
    cost->bytes += frame->len;
    cost->frames++;
}

/* Everything that lacks is wanted and comes. */
static inline void reconciling_fetch(struct wc_reconcile *r, struct wc_itemset *mine,
                                     const struct wc_itemset *theirs,
                                     struct reconciling_cost *cost)
{
    static struct wc_wire_ranges out, in;
    static uint8_t ids[WC_WANT_ITEMS_MAX_COUNT][WC_SHORT_ID_BYTES];
    static uint8_t items[WC_WANT_ITEMS_MAX_COUNT][WC_ITEM_BYTES];
    while (r->need_count > 0) {
        struct wc_buf frame = {0};
        wc_reconcile_want(r, &out, ids);
        wc_wire_want(&frame, &out);
        reconciling_sent(cost, &frame);
        if (wc_wire_decode_want(wc_buf_slice(&frame), &in, NULL) != 0)
            abort();
        uint32_t count = wc_reconcile_resolve(theirs, &in, items);
        for (uint32_t i = 0; i < count; i++)
            cost->came += wc_itemset_insert(&mine[in.set], items[i], 0) == 0;
        wc_buf_fini(&frame);
    }
}

/* One question of a session that was begun, its answer, and what it brings: whether there
 * was a question. */
static inline bool reconciling_round(struct wc_reconcile *r, struct wc_itemset *mine,
                                     const struct wc_itemset *theirs,
                                     struct wc_rng *rng, struct reconciling_cost *cost)
{
    static struct wc_wire_ranges out, in, answer;
    static struct wc_reconcile_room room;
    struct wc_buf frame = {0};
    bool differs;
    if (wc_reconcile_ask(r, mine, true, NULL, NULL, &out) != 0)
        abort();
    if (out.count == 0)
        return false;
    if (r->audit)
        wc_wire_audit(&frame, &out);
    else
        wc_wire_sync(&frame, &out);
    reconciling_sent(cost, &frame);
    cost->rounds++;
    int rc = r->audit ? wc_wire_decode_audit(wc_buf_slice(&frame), &in, NULL)
                      : wc_wire_decode_sync(wc_buf_slice(&frame), &in, NULL);
    if (rc != 0 ||
        wc_reconcile_answer(theirs, r->audit, &in, &answer, &room, &differs) != 0)
        abort();
    wc_buf_reset(&frame);
    wc_wire_diff(&frame, &answer);
    reconciling_sent(cost, &frame);
    if (wc_wire_decode_diff(wc_buf_slice(&frame), &in, NULL) != 0 ||
        wc_reconcile_hear(r, mine, &in, rng) != 0)
        abort();
    wc_buf_fini(&frame);
    reconciling_fetch(r, mine, theirs, cost);
    return true;
}

/* One session that one side leads, to its end. */
static inline void reconciling_session(struct wc_itemset *mine,
                                       const struct wc_itemset *theirs,
                                       struct wc_rng *rng,
                                       struct reconciling_cost *cost)
{
    struct wc_reconcile r = {0};
    if (wc_reconcile_begin(&r, WC_SET_ALL, (uint32_t)wc_rng_u64(rng)) != 0)
        abort();
    while (reconciling_round(&r, mine, theirs, rng, cost)) {}
    wc_reconcile_fini(&r);
}

static inline void reconciling_audit(struct wc_itemset *mine,
                                     const struct wc_itemset *theirs,
                                     struct wc_rng *rng, struct reconciling_cost *cost)
{
    struct wc_reconcile r = {0};
    uint8_t key[WC_SECRET_BYTES];
    for (size_t i = 0; i < sizeof(key); i += 8)
        wc_put_u64(key + i, wc_rng_u64(rng));
    if (wc_reconcile_audit(&r, WC_SETS_COUNT, (uint32_t)wc_rng_u64(rng), key) != 0)
        abort();
    while (reconciling_round(&r, mine, theirs, rng, cost)) {}
    wc_reconcile_fini(&r);
}

static inline void reconciling_item(struct wc_rng *rng, uint8_t item[WC_ITEM_BYTES])
{
    for (int i = 0; i < WC_ITEM_BYTES; i += 8)
        wc_put_u64(item + i, wc_rng_u64(rng));
}

/* ---- for who speaks as the other side, and need not be honest ---- */

/* There is more below, in every branch; of both sets: in set 1 only. */
static inline void reconciling_more(struct wc_wire_ranges *out,
                                    const struct wc_wire_ranges *in, uint32_t which)
{
    static const uint8_t sets[WC_SETS_COUNT * WC_BRANCH_BYTES] = {0, 0, 0, 0,
                                                                  1, 1, 1, 1};
    static uint8_t branches[WC_ITEM_BRANCHES * WC_BRANCH_BYTES];
    struct wc_wire_range *r = &out->ranges[out->count++];
    memset(branches, 0x5a, sizeof(branches));
    *r = in->ranges[which];
    r->form = WC_FORM_BRANCHES;
    r->data = in->set == WC_SET_ALL ? wc_slice(sets, sizeof(sets))
                                    : wc_slice(branches, sizeof(branches));
}

/* These are all. ids: room for WC_SHORT_ID_BYTES of each. */
static inline void reconciling_list(struct wc_wire_ranges *out,
                                    const struct wc_wire_ranges *in, uint32_t which,
                                    const uint8_t *items, uint32_t count, uint8_t *ids)
{
    struct wc_wire_range *r = &out->ranges[out->count++];
    *r = in->ranges[which];
    if (r->form == WC_FORM_COMPARE) {
        r->form = WC_FORM_ITEMS;
        r->data = wc_slice(items, (size_t)count * WC_ITEM_BYTES);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        wc_wire_short_id(ids + (size_t)i * WC_SHORT_ID_BYTES,
                         items + (size_t)i * WC_ITEM_BYTES, in->session);
    r->form = WC_FORM_IDS;
    r->data = wc_slice(ids, (size_t)count * WC_SHORT_ID_BYTES);
}

/* A WANT of single items. ids: room for as many. */
static inline void reconciling_wants(struct wc_wire_ranges *out, uint8_t set,
                                     uint8_t (*items)[WC_ITEM_BYTES], uint32_t count,
                                     uint8_t (*ids)[WC_SHORT_ID_BYTES])
{
    *out = (struct wc_wire_ranges){.set = set, .session = 7, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        struct wc_wire_range *r = &out->ranges[i];
        wc_wire_short_id(ids[i], items[i], out->session);
        memcpy(r->prefix, items[i], WC_ITEM_BYTES);
        r->bits = WC_ITEM_BITS_MAX;
        r->form = WC_FORM_IDS;
        r->data = wc_slice(ids[i], WC_SHORT_ID_BYTES);
    }
}

/* How many items a WANT names. */
static inline uint32_t reconciling_wanted(const struct wc_wire_ranges *want)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < want->count; i++)
        count += want->ranges[i].count;
    return count;
}

#endif
