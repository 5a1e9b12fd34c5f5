/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reconciliation by ranges: whoever lacks something finds out what, and fetches it.
 *
 * The leader of a session sends a SYNC with the fingerprint of its whole set. Equal:
 * the DIFF that comes back is empty, and that was all. Otherwise the answerer splits
 * each range that differs into its 16 branches, or lists its items where there are no
 * more than 32. The leader goes on with the branches that differ from its own, depth
 * first and 32 ranges at a time, so that what it must remember stays small, and WANTs
 * what it lacks. The answerer keeps no state but the WANTs it has not answered yet. It
 * learns from the first SYNC that it differs, and leads a session of its own in turn.
 *
 * Cards and revocations (set 0) come before everything else (set 1): then the offices
 * that signed it are known. A node leads one session at a time; after one that brought
 * much it asks its other neighbours too, which tells them that it has something new.
 *
 * A neighbour may lie: say that ranges differ for ever, list what it does not give, give
 * what is of no use, answer at the slowest pace that is still an answer. So a session
 * that gets on slowly gives way to the next neighbour, in an order of ranges that is
 * drawn anew each time, so that what was left out has its turn; and what was fetched for
 * nothing is charged to the neighbour (node_blame.c).
 *
 * After Meyer, "Range-Based Set Reconciliation" (2023), with these differences: the
 * ranges are prefixes and not intervals, so that both sides keep the same tree; the
 * fingerprint is a hash of a sum, not the sum; and each side fetches for itself, which
 * costs a second descent where both lack something, and makes an office that keeps only
 * its own records an ordinary answerer.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

void wc_node_sync_fini(struct wc_node *node)
{
    free(node->session.stack);
    free(node->session.need);
}

void wc_node_sync_want(struct wc_node *node, struct wc_peer *peer, uint64_t at_ms)
{
    if (at_ms < peer->sync_not_before_ms)
        at_ms = peer->sync_not_before_ms;
    if (at_ms < peer->sync_due_ms)
        peer->sync_due_ms = at_ms;
    wc_node_due(node, WC_DUE_SYNC, peer->sync_due_ms);
}

/* ---- the session that we lead ---- */

static void session_clear(struct wc_session *s)
{
    s->link = 0;
    s->asked = false;
    s->stack_count = s->need_count = s->wants_open = 0;
    free(s->stack);
    free(s->need);
    s->stack = NULL;
    s->need = NULL;
    s->stack_cap = s->need_cap = 0;
}

/* Ended well (everything of this neighbour was fetched) or not. */
static void session_end(struct wc_node *node, struct wc_peer *peer, bool done)
{
    struct wc_session *s = &node->session;
    uint64_t accepted = s->accepted;
    bool short_of = s->wanted > s->accepted;
    bool worth = accepted > 0 && 4 * accepted >= s->wanted;
    session_clear(s);
    if (done) {
        node->syncs_done++;
        node->reconciled = true;
        wc_node_note(node, WC_NOTE_SYNC_DONE, 0, peer->link, accepted, peer->office);
    }
    if (worth || (done && !short_of))
        peer->sync_again_ms = WC_SYNC_AGAIN_MS;
    peer->sync_not_before_ms = node->mono_ms + peer->sync_again_ms;
    if (accepted > 0 || short_of || !done)
        wc_node_sync_want(node, peer, peer->sync_not_before_ms);
    if (!worth && (short_of || !done)) {
        peer->sync_again_ms *= 2;
        if (peer->sync_again_ms > WC_SYNC_AGAIN_MAX_MS)
            peer->sync_again_ms = WC_SYNC_AGAIN_MAX_MS;
    }
    for (uint32_t i = 0; accepted > WC_SYNC_FLOOD_MAX_COUNT && i < node->peer_count;
         i++)
        wc_node_sync_want(node, node->peers[i], node->mono_ms);
    wc_node_due(node, WC_DUE_SYNC, node->mono_ms);
}

/* Whether the session may go on. */
static bool session_bears(struct wc_node *node, const struct wc_peer *peer)
{
    const struct wc_session *s = &node->session;
    return !wc_node_wasteful(node, peer) && !wc_node_keeps_nothing(node, peer) &&
           node->mono_ms - s->began_ms <
               WC_SYNC_SESSION_MS + s->accepted * WC_SYNC_RECORD_MS;
}

void wc_node_sync_lost(struct wc_node *node, const struct wc_peer *peer)
{
    if (node->session.link == peer->link) {
        session_clear(&node->session);
        wc_node_due(node, WC_DUE_SYNC, node->mono_ms);
    }
}

static void push_range(struct wc_node *node, const uint8_t *prefix, uint16_t bits)
{
    struct wc_session *s = &node->session;
    if (s->stack_count == s->stack_cap) {
        uint32_t cap = s->stack_cap == 0 ? 16 : 2 * s->stack_cap;
        struct wc_sync_range *stack = realloc(s->stack, cap * sizeof(*stack));
        if (stack == NULL) {
            wc_node_fail(node);
            return;
        }
        s->stack = stack;
        s->stack_cap = cap;
    }
    struct wc_sync_range *r = &s->stack[s->stack_count++];
    memcpy(r->prefix, prefix, WC_ITEM_BYTES);
    r->bits = bits;
}

static void push_need(struct wc_node *node, const uint8_t *item)
{
    struct wc_session *s = &node->session;
    if (s->need_count == s->need_cap) {
        uint32_t cap = s->need_cap == 0 ? 64 : 2 * s->need_cap;
        uint8_t(*need)[WC_ITEM_BYTES] = realloc(s->need, cap * sizeof(*need));
        if (need == NULL) {
            wc_node_fail(node);
            return;
        }
        s->need = need;
        s->need_cap = cap;
    }
    memcpy(s->need[s->need_count++], item, WC_ITEM_BYTES);
}

static void begin_set(struct wc_node *node, uint8_t set)
{
    static const uint8_t everything[WC_ITEM_BYTES];
    struct wc_session *s = &node->session;
    s->set = set;
    s->number = (uint32_t)wc_rng_u64(&node->rng);
    push_range(node, everything, 0);
}

static void send_sync(struct wc_node *node, struct wc_peer *peer)
{
    struct wc_session *s = &node->session;
    struct wc_wire_ranges *out = malloc(sizeof(*out));
    struct wc_buf frame = {0};
    if (out == NULL) {
        wc_node_fail(node);
        return;
    }
    out->set = s->set;
    out->session = s->number;
    out->count = 0;
    s->asked_count = 0;
    while (s->stack_count > 0 && out->count < WC_SYNC_RANGES_MAX_COUNT) {
        const struct wc_sync_range *r = &s->stack[--s->stack_count];
        struct wc_wire_range *w = &out->ranges[out->count++];
        struct wc_item_sum sum;
        s->asked_ranges[s->asked_count++] = *r;
        memcpy(w->prefix, r->prefix, WC_ITEM_BYTES);
        w->bits = r->bits;
        w->list = false;
        wc_itemset_range(&node->sets[s->set], r->prefix, r->bits, &sum);
        w->count = sum.count;
        wc_wire_fingerprint(w->fingerprint, &sum, s->number);
    }
    s->asked = true;
    wc_wire_sync(&frame, out);
    free(out);
    wc_node_send(node, peer, &frame);
}

static void send_want(struct wc_node *node, struct wc_peer *peer)
{
    struct wc_session *s = &node->session;
    struct wc_buf frame = {0};
    uint32_t count = s->need_count < WC_WANT_ITEMS_MAX_COUNT ? s->need_count
                                                             : WC_WANT_ITEMS_MAX_COUNT;
    s->need_count -= count;
    s->wanted += count;
    s->wants_open++;
    wc_wire_want(&frame, s->set,
                 wc_slice(s->need[s->need_count], (size_t)count * WC_ITEM_BYTES));
    wc_node_send(node, peer, &frame);
}

/* Do whatever the session can do now. */
static void pump(struct wc_node *node)
{
    struct wc_session *s = &node->session;
    struct wc_peer *peer = wc_node_peer(node, s->link);
    if (peer == NULL)
        return;
    while (s->need_count > 0 && s->wants_open < WC_WANTS_OPEN_MAX_COUNT)
        send_want(node, peer);
    if (!s->asked && s->stack_count > 0 &&
        s->need_count + WC_DIFF_ITEMS_MAX_COUNT <= WC_SYNC_NEED_MAX_COUNT)
        send_sync(node, peer);
    if (s->asked || s->stack_count > 0 || s->need_count > 0 || s->wants_open > 0)
        return;
    if (s->set == 0 && node->replicate) {
        begin_set(node, 1);
        send_sync(node, peer);
        return;
    }
    session_end(node, peer, true);
}

/* The asked range that a range of the DIFF belongs to; they come in order, so `from` is
 * where to go on looking. WC_NONE: none. */
static uint32_t belongs_to(const struct wc_session *s, uint32_t from,
                           const struct wc_wire_range *r)
{
    for (uint32_t i = from; i < s->asked_count; i++) {
        const struct wc_sync_range *asked = &s->asked_ranges[i];
        uint32_t bits = asked->bits + (r->list ? 0u : (uint32_t)WC_ITEM_STEP_BITS);
        if (r->bits == bits && wc_item_within(r->prefix, asked->prefix, asked->bits))
            return i;
    }
    return WC_NONE;
}

/* What one DIFF added to the stack, in an order that is drawn: a session that is broken
 * off begins elsewhere the next time. */
static void shuffle(struct wc_node *node, uint32_t from)
{
    struct wc_session *s = &node->session;
    for (uint32_t count = s->stack_count - from; count > 1; count--) {
        uint32_t drawn = (uint32_t)wc_rng_below(&node->rng, count);
        struct wc_sync_range swap = s->stack[from + drawn];
        s->stack[from + drawn] = s->stack[from + count - 1];
        s->stack[from + count - 1] = swap;
    }
}

/* A branch of the neighbour's, or all its items of a range. */
static void follow(struct wc_node *node, const struct wc_wire_range *r)
{
    struct wc_session *s = &node->session;
    const struct wc_itemset *mine = &node->sets[s->set];
    struct wc_item_sum sum;
    uint8_t fingerprint[WC_FINGERPRINT_BYTES];
    uint32_t id;
    if (r->list) {
        for (size_t at = 0; at < r->items.len; at += WC_ITEM_BYTES) {
            if (!wc_itemset_find(mine, r->items.data + at, &id))
                push_need(node, r->items.data + at);
        }
        return;
    }
    wc_itemset_range(mine, r->prefix, r->bits, &sum);
    wc_wire_fingerprint(fingerprint, &sum, s->number);
    bool equal = sum.count == r->count &&
                 memcmp(fingerprint, r->fingerprint, sizeof(fingerprint)) == 0;
    if (!equal && r->count > 0)
        push_range(node, r->prefix, r->bits);
}

int wc_node_on_diff(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_session *s = &node->session;
    struct wc_wire_ranges *in = malloc(sizeof(*in));
    if (in == NULL)
        return -WC_ENOMEM;
    int rc = wc_wire_decode_diff(frame, in, NULL);
    if (rc != 0 || s->link != peer->link || !s->asked || in->session != s->number ||
        in->set != s->set)
        goto out; /* broken, or late: to a session that was given up */
    s->asked = false;
    s->active_ms = node->mono_ms;
    uint32_t asked = 0, from = s->stack_count;
    for (uint32_t i = 0; i < in->count; i++) {
        asked = belongs_to(s, asked, &in->ranges[i]);
        if (asked == WC_NONE) {
            rc = -WC_EPROTOCOL;
            goto out;
        }
        follow(node, &in->ranges[i]);
    }
    shuffle(node, from);
    wc_node_unkept(node, peer, (uint64_t)in->count * WC_WASTE_RANGE_BYTES);
    if (s->stack_count > WC_SYNC_STACK_MAX_COUNT || !session_bears(node, peer))
        session_end(node, peer, false);
    else
        pump(node);
out:
    free(in);
    return rc;
}

/* All that was wanted so far was answered: charge for what did not come. */
static void charge_missed(struct wc_node *node, const struct wc_peer *peer)
{
    struct wc_session *s = &node->session;
    if (s->wants_open > 0 || s->wanted <= s->came + s->missed)
        return;
    uint64_t missed = s->wanted - s->came - s->missed;
    s->missed += missed;
    wc_node_unkept(node, peer, missed * WC_WASTE_ITEM_BYTES);
}

void wc_node_sync_records(struct wc_node *node, struct wc_peer *peer,
                          enum wc_wire_reason reason, uint32_t came, uint32_t accepted)
{
    struct wc_session *s = &node->session;
    if (s->link != peer->link || reason == WC_REASON_BROADCAST)
        return;
    s->active_ms = node->mono_ms;
    s->came += came;
    s->accepted += accepted;
    if (reason == WC_REASON_LAST && s->wants_open > 0) {
        s->wants_open--;
        charge_missed(node, peer);
        if (session_bears(node, peer))
            pump(node);
        else
            session_end(node, peer, false);
    }
}

/* ---- whom to reconcile with, and when ---- */

static struct wc_peer *next_neighbour(const struct wc_node *node)
{
    struct wc_peer *next = NULL;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        if (!peer->closing && peer->sync_due_ms != WC_NEVER &&
            (next == NULL || peer->sync_due_ms < next->sync_due_ms))
            next = peer;
    }
    return next;
}

static void draw_neighbour(struct wc_node *node)
{
    node->sync_round_ms = node->mono_ms + WC_SYNC_EVERY_MS * 9 / 10 +
                          wc_rng_below(&node->rng, WC_SYNC_EVERY_MS / 5);
    if (node->peer_count > 0) {
        uint64_t drawn = wc_rng_below(&node->rng, node->peer_count);
        if (!node->peers[drawn]->closing)
            wc_node_sync_want(node, node->peers[drawn], node->mono_ms);
    }
}

void wc_node_run_sync(struct wc_node *node)
{
    struct wc_session *s = &node->session;
    struct wc_peer *peer = wc_node_peer(node, s->link);
    if (node->mono_ms >= node->sync_round_ms)
        draw_neighbour(node);
    if (peer != NULL && node->mono_ms - s->active_ms >= WC_SYNC_STALL_MS)
        session_end(node, peer, false);
    wc_node_due(node, WC_DUE_SYNC, node->sync_round_ms);
    if (s->link != 0) {
        wc_node_due(node, WC_DUE_SYNC, s->active_ms + WC_SYNC_STALL_MS);
        return;
    }
    if ((peer = next_neighbour(node)) == NULL)
        return;
    if (peer->sync_due_ms > node->mono_ms) {
        wc_node_due(node, WC_DUE_SYNC, peer->sync_due_ms);
        return;
    }
    peer->sync_due_ms = WC_NEVER;
    bool unkept = wc_node_keeps_nothing(node, peer);
    if (unkept || wc_node_wasteful(node, peer)) {
        if (unkept)
            wc_node_blame(node, peer->office, WC_BLAME_SYNC);
        peer->sync_not_before_ms = node->mono_ms + WC_WASTE_PAUSE_MS;
        wc_node_sync_want(node, peer, peer->sync_not_before_ms);
        wc_node_due(node, WC_DUE_SYNC, node->mono_ms + 1); /* the next one's turn */
        return;
    }
    s->link = peer->link;
    s->wanted = s->came = s->missed = s->accepted = 0;
    s->began_ms = s->active_ms = node->mono_ms;
    wc_node_due(node, WC_DUE_SYNC, s->active_ms + WC_SYNC_STALL_MS);
    begin_set(node, 0);
    send_sync(node, peer);
}

/* ---- answering ---- */

/* What we have to say to one range of a SYNC: nothing when it is equal, or when we hold
 * nothing there. items: room for the lists of this frame. */
static void answer_range(const struct wc_node *node, const struct wc_wire_ranges *in,
                         const struct wc_wire_range *r, struct wc_wire_ranges *out,
                         uint8_t *items)
{
    const struct wc_itemset *mine = &node->sets[in->set];
    struct wc_item found[WC_ITEM_LEAF_MAX];
    struct wc_wire_range *w = &out->ranges[out->count];
    struct wc_item_sum sum;
    wc_itemset_range(mine, r->prefix, r->bits, &sum);
    wc_wire_fingerprint(w->fingerprint, &sum, in->session);
    if (sum.count == 0 ||
        (sum.count == r->count &&
         memcmp(w->fingerprint, r->fingerprint, sizeof(w->fingerprint)) == 0))
        return;
    if (sum.count <= WC_ITEM_LEAF_MAX) {
        memcpy(w->prefix, r->prefix, WC_ITEM_BYTES);
        w->bits = r->bits;
        w->list = true;
        wc_itemset_list(mine, r->prefix, r->bits, found, WC_ITEM_LEAF_MAX);
        for (uint64_t i = 0; i < sum.count; i++)
            memcpy(items + i * WC_ITEM_BYTES, found[i].key, WC_ITEM_BYTES);
        w->items = wc_slice(items, (size_t)sum.count * WC_ITEM_BYTES);
        out->count++;
        return;
    }
    for (unsigned branch = 0; branch < WC_ITEM_BRANCHES; branch++) {
        w = &out->ranges[out->count];
        memcpy(w->prefix, r->prefix, WC_ITEM_BYTES);
        wc_item_set_branch(w->prefix, r->bits, branch);
        w->bits = (uint16_t)(r->bits + WC_ITEM_STEP_BITS);
        w->list = false;
        wc_itemset_range(mine, w->prefix, w->bits, &sum);
        w->count = sum.count;
        wc_wire_fingerprint(w->fingerprint, &sum, in->session);
        out->count += sum.count > 0;
    }
}

/* The first SYNC of a session shows whether the leader may have what we lack. */
static void notice(struct wc_node *node, struct wc_peer *peer,
                   const struct wc_wire_ranges *in)
{
    uint8_t fingerprint[WC_FINGERPRINT_BYTES];
    struct wc_item_sum sum;
    const struct wc_wire_range *r = &in->ranges[0];
    if (in->count != 1 || r->bits != 0 || r->count == 0 ||
        (in->set != 0 && !node->replicate))
        return;
    wc_itemset_range(&node->sets[in->set], r->prefix, 0, &sum);
    wc_wire_fingerprint(fingerprint, &sum, in->session);
    if (memcmp(fingerprint, r->fingerprint, sizeof(fingerprint)) != 0)
        wc_node_sync_want(node, peer, node->mono_ms);
}

int wc_node_on_sync(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct {
        struct wc_wire_ranges in, out;
        uint8_t items[WC_DIFF_ITEMS_MAX_COUNT * WC_ITEM_BYTES];
    } *work = malloc(sizeof(*work));
    struct wc_buf reply = {0};
    if (work == NULL)
        return -WC_ENOMEM;
    int rc = wc_wire_decode_sync(frame, &work->in, NULL);
    if (rc == 0 && !wc_node_may_sync(node, peer)) {
        wc_node_blame(node, peer->office, WC_BLAME_FLOOD);
        rc = -WC_ELIMIT;
    }
    if (rc != 0)
        goto out;
    notice(node, peer, &work->in);
    work->out.set = work->in.set;
    work->out.session = work->in.session;
    work->out.count = 0;
    for (uint32_t i = 0; i < work->in.count; i++)
        answer_range(node, &work->in, &work->in.ranges[i], &work->out,
                     work->items + (size_t)i * WC_ITEM_LEAF_MAX * WC_ITEM_BYTES);
    wc_wire_diff(&reply, &work->out);
    wc_node_send(node, peer, &reply);
out:
    free(work);
    return rc;
}

/* ---- WANT ---- */

int wc_node_on_want(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_want in;
    int rc = wc_wire_decode_want(frame, &in, NULL), place = 0;
    if (rc != 0)
        return rc;
    struct wc_want *want = malloc(sizeof(*want));
    if (want == NULL)
        return -WC_ENOMEM;
    want->set = in.set;
    want->count = in.count;
    want->at = 0;
    memcpy(want->items, in.items.data, in.items.len);
    while (peer->wants[place] != NULL)
        place++;
    peer->wants[place] = want;
    if (place == 0) /* else it is being served already, in pieces */
        wc_node_due(node, WC_DUE_SERVE, node->mono_ms);
    return 0;
}

static void send_records(struct wc_node *node, struct wc_peer *peer,
                         enum wc_wire_reason reason, struct wc_outbox *box)
{
    struct wc_buf frame = {0};
    wc_wire_records(&frame, reason, box->count, wc_buf_slice(&box->packed));
    wc_node_send(node, peer, &frame);
    wc_buf_reset(&box->packed);
    box->count = 0;
}

/* Read the record of an item; nothing is appended when it is gone meanwhile. */
static void read_item(struct wc_node *node, const struct wc_peer *peer,
                      const struct wc_want *want, struct wc_buf *out)
{
    uint32_t id;
    if (!wc_itemset_find(&node->sets[want->set], want->items[want->at], &id))
        return;
    const struct wc_held *h = &node->held[id];
    size_t start = out->len;
    int rc = node->store.read(node->store.ctx, h->slot, out);
    if (rc == 0 && out->len - start <= WC_RECORD_MAX_BYTES)
        return;
    out->len = start;
    if (rc == -WC_ENOTFOUND) {
        /* on its way to the disk; or lost by a commit that failed, and then it must
         * come again */
        if (node->mono_ms / 1000 - h->since_s > WC_UNSTORED_MS / 1000)
            wc_node_unhold(node, id, false);
        return;
    }
    wc_node_refused(node, h->office, peer->link, rc);
}

/* Answer the first WANT of a link as far as the budget goes; whether it is done. */
static bool serve(struct wc_node *node, struct wc_peer *peer, size_t *budget_bytes)
{
    struct wc_want *want = peer->wants[0];
    struct wc_outbox box = {0};
    struct wc_buf record = {0};
    for (; want->at<want->count && * budget_bytes> 0; want->at++) {
        wc_buf_reset(&record);
        read_item(node, peer, want, &record);
        if (record.len == 0)
            continue;
        size_t more = wc_wire_record_bytes(record.len);
        if (box.packed.len + more + WC_WIRE_RECORDS_HEAD_BYTES > WC_FRAME_MAX_BYTES)
            send_records(node, peer, WC_REASON_WANTED, &box);
        wc_pack_bin(&box.packed, wc_buf_slice(&record));
        box.count++;
        *budget_bytes -= more < *budget_bytes ? more : *budget_bytes;
    }
    wc_bucket_pour(&peer->conduct->fetched, 1 + box.count);
    bool done = want->at == want->count;
    if (done || box.count > 0)
        send_records(node, peer, done ? WC_REASON_LAST : WC_REASON_WANTED, &box);
    wc_buf_fini(&box.packed);
    wc_buf_fini(&record);
    return done;
}

void wc_node_run_serve(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        size_t budget_bytes = WC_SERVE_STEP_BYTES;
        uint64_t pace_ms = 1;
        if (!wc_node_may_fetch(node, peer)) { /* slower, and yet all of it */
            budget_bytes = 1;
            pace_ms = WC_FETCH_PACE_MS;
        }
        while (peer->wants[0] != NULL && !peer->closing) {
            if (node->mono_ms < peer->serve_not_before_ms) {
                wc_node_due(node, WC_DUE_SERVE, peer->serve_not_before_ms);
                break;
            }
            bool done = serve(node, peer, &budget_bytes);
            if (!done || pace_ms > 1)
                peer->serve_not_before_ms = node->mono_ms + pace_ms;
            if (!done) {
                wc_node_due(node, WC_DUE_SERVE, peer->serve_not_before_ms);
                break;
            }
            free(peer->wants[0]);
            for (int k = 0; k + 1 < WC_WANTS_OPEN_MAX_COUNT; k++)
                peer->wants[k] = peer->wants[k + 1];
            peer->wants[WC_WANTS_OPEN_MAX_COUNT - 1] = NULL;
        }
    }
}
