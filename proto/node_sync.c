/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reconciliation: whom to compare with and when, and fetching what lacks. What is asked
 * and answered is in proto/reconcile.h.
 *
 * The leader of a session asks with the fingerprint of everything that it has. Equal: the
 * DIFF that comes back is empty, and that was all. Otherwise it goes down where they
 * differ, depth first and 32 ranges at a time, and WANTs what it lacks. The answerer keeps
 * no state but the WANTs it has not answered yet. It learns from the first SYNC that it
 * differs, and leads a session of its own in turn.
 *
 * Cards and revocations (set 0) come before everything else (set 1): then the offices
 * that signed it are known. A node leads one session at a time, so that what one neighbour
 * brings need not be asked of another; after one that brought much it asks its other
 * neighbours too, which tells them that it has something new.
 *
 * Who lacks much (a new office) leads sessions with several neighbours at once. They share
 * the work by ranges: who asks about one of the 256 that the first byte makes has it to
 * itself for two seconds, and again with each question, so that a neighbour which is slow
 * or gives nothing loses its range to the others and holds up nobody. Nothing of a session
 * is kept: what has come is in the store, so that whichever side dies, the next session
 * finds the rest.
 *
 * Once a day a session that found no difference goes on as an audit, which compares the
 * items themselves under a fresh key: who can make sums of different sets agree hides
 * nothing for longer than that.
 *
 * A neighbour may lie: say that ranges differ for ever, list what it does not give, give
 * what is of no use, answer at the slowest pace that is still an answer. So a session
 * that gets on slowly gives way to the next neighbour, in an order of ranges that is
 * drawn anew each time, so that what was left out has its turn; and what was fetched for
 * nothing is charged to the neighbour (node_blame.c).
 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

void wc_node_sync_fini(struct wc_node *node)
{
    for (int i = 0; i < WC_SESSIONS_MAX_COUNT; i++)
        wc_reconcile_fini(&node->sessions[i].r);
    free(node->leases);
}

void wc_node_sync_want(struct wc_node *node, struct wc_peer *peer, uint64_t at_ms)
{
    if (at_ms < peer->sync_not_before_ms)
        at_ms = peer->sync_not_before_ms;
    if (at_ms < peer->sync_due_ms)
        peer->sync_due_ms = at_ms;
    wc_node_due(node, WC_DUE_SYNC, peer->sync_due_ms);
}

/* ---- the sessions that we lead ---- */

struct wc_session *wc_node_session(struct wc_node *node, const struct wc_peer *peer)
{
    for (int i = 0; i < WC_SESSIONS_MAX_COUNT; i++) {
        if (node->sessions[i].link == peer->link)
            return &node->sessions[i];
    }
    return NULL;
}

static uint32_t sessions_count(const struct wc_node *node, bool bulk)
{
    uint32_t count = 0;
    for (int i = 0; i < WC_SESSIONS_MAX_COUNT; i++) {
        const struct wc_session *s = &node->sessions[i];
        count += s->link != 0 && (!bulk || s->wanted >= WC_SYNC_BULK_COUNT);
    }
    return count;
}

static void session_clear(struct wc_node *node, struct wc_session *s)
{
    wc_reconcile_fini(&s->r);
    *s = (struct wc_session){0};
    if (sessions_count(node, false) > 0)
        return;
    free(node->leases);
    node->leases = NULL;
}

enum ended {
    ENDED_DONE,  /* everything of this neighbour was fetched */
    ENDED_ASIDE, /* but for what others are fetching from */
    ENDED_EARLY, /* it has nothing for us, but there is no end to it yet */
    ENDED_BAD,
};

/* How long to wait before the next session with this neighbour. */
static void session_again(struct wc_node *node, struct wc_peer *peer, enum ended how,
                          const struct wc_session *s)
{
    bool done = how == ENDED_DONE || how == ENDED_ASIDE;
    bool short_of = s->wanted > s->accepted;
    bool worth = s->accepted > 0 && 4 * s->accepted >= s->wanted;
    if (worth || (done && !short_of))
        peer->sync_again_ms = WC_SYNC_AGAIN_MS;
    uint64_t wait_ms = peer->sync_again_ms;
    if (how == ENDED_ASIDE && wait_ms < WC_SYNC_ASIDE_MS)
        wait_ms = WC_SYNC_ASIDE_MS;
    if (how == ENDED_EARLY && wait_ms < WC_SYNC_EARLY_MS)
        wait_ms = WC_SYNC_EARLY_MS;
    peer->sync_not_before_ms = node->mono_ms + wait_ms;
    if (s->accepted > 0 || short_of || how != ENDED_DONE)
        wc_node_sync_want(node, peer, peer->sync_not_before_ms);
    if (worth || (!short_of && how != ENDED_BAD))
        return;
    peer->sync_again_ms *= 2;
    if (peer->sync_again_ms > WC_SYNC_AGAIN_MAX_MS)
        peer->sync_again_ms = WC_SYNC_AGAIN_MAX_MS;
}

static void count_session(struct wc_node *node, enum ended how,
                          const struct wc_session *s)
{
    node->counts.syncs_broken += how == ENDED_BAD;
    node->counts.syncs_equal += how == ENDED_DONE && s->wanted == 0;
    node->counts.sync_wanted += s->wanted;
    node->counts.sync_taken += s->accepted;
}

static void session_end(struct wc_node *node, struct wc_session *s,
                        struct wc_peer *peer, enum ended how)
{
    uint64_t accepted = s->accepted, wanted = s->wanted, began_ms = s->began_ms;
    session_again(node, peer, how, s);
    if (how == ENDED_BAD && wc_node_keeps_nothing(node, peer))
        wc_node_blame(node, peer->office, WC_BLAME_SYNC); /* before it leaks */
    count_session(node, how, s);
    session_clear(node, s);
    if (how == ENDED_BAD)
        wc_node_note(node, WC_NOTE_SYNC_BROKEN, -WC_ELIMIT, peer->link, accepted,
                     peer->office);
    if (how == ENDED_DONE) {
        node->syncs_done++;
        node->reconciled = true;
        node->last_sync = (struct wc_last_sync){.any = true,
                                                .ended_ms = node->mono_ms,
                                                .took_ms = node->mono_ms - began_ms,
                                                .wanted = wanted,
                                                .taken = accepted};
        memcpy(node->last_sync.office_key, node->offices[peer->office]->key,
               WC_KEY_BYTES);
        wc_node_note(node, WC_NOTE_SYNC_DONE, 0, peer->link, accepted, peer->office);
    }
    for (uint32_t i = 0; accepted > WC_SYNC_FLOOD_MAX_COUNT && i < node->peer_count;
         i++)
        wc_node_sync_want(node, node->peers[i], node->mono_ms);
    wc_node_due(node, WC_DUE_SYNC, node->mono_ms);
}

/* Whether the session may go on. */
static bool session_bears(struct wc_node *node, const struct wc_session *s,
                          const struct wc_peer *peer)
{
    return !wc_node_wasteful(node, peer) && !wc_node_keeps_nothing(node, peer) &&
           node->mono_ms - s->began_ms <
               WC_SYNC_SESSION_MS + s->accepted * WC_SYNC_RECORD_MS;
}

void wc_node_sync_lost(struct wc_node *node, const struct wc_peer *peer)
{
    struct wc_session *s = wc_node_session(node, peer);
    if (s != NULL) {
        count_session(node, ENDED_BAD, s);
        session_clear(node, s);
        wc_node_due(node, WC_DUE_SYNC, node->mono_ms);
    }
}

/* ---- sharing the work ---- */

struct asker {
    struct wc_node *node;
    const struct wc_session *s;
};

/* Whether a range is this session's to ask about: it is, unless another asked about its
 * like a moment ago. */
static bool is_mine(void *ctx, const struct wc_reconcile_range *range)
{
    const struct asker *a = ctx;
    struct wc_node *node = a->node;
    if (node->leases == NULL || range->set >= WC_SETS_COUNT ||
        range->bits < WC_LEASE_BITS)
        return true;
    struct wc_lease *lease =
        &node->leases[(size_t)range->set * WC_LEASES_COUNT + range->prefix[0]];
    if (lease->link != a->s->link && lease->until_ms > node->mono_ms)
        return false;
    lease->link = a->s->link;
    lease->until_ms = node->mono_ms + WC_LEASE_MS;
    return true;
}

/* ---- asking ---- */

/* Ask, if there is anything to ask about. */
static void send_question(struct wc_node *node, struct wc_session *s,
                          struct wc_peer *peer)
{
    struct wc_wire_ranges *out = malloc(sizeof(*out));
    struct wc_buf frame = {0};
    struct asker asker = {.node = node, .s = s};
    bool turn = s->r.need_count == 0 && s->wants_open == 0;
    if (out == NULL ||
        wc_reconcile_ask(&s->r, node->sets, turn, is_mine, &asker, out) != 0) {
        wc_node_fail(node);
        free(out);
        return;
    }
    if (out->count > 0) {
        if (s->r.audit)
            wc_wire_audit(&frame, out);
        else
            wc_wire_sync(&frame, out);
        peer->asked_ms = node->mono_ms;
        wc_node_send(node, peer, &frame);
    }
    free(out);
}

static void send_want(struct wc_node *node, struct wc_session *s, struct wc_peer *peer)
{
    struct wc_wire_ranges *out = malloc(sizeof(*out));
    uint8_t ids[WC_WANT_ITEMS_MAX_COUNT][WC_SHORT_ID_BYTES];
    struct wc_buf frame = {0};
    if (out == NULL) {
        wc_node_fail(node);
        return;
    }
    bool bulk = s->wanted >= WC_SYNC_BULK_COUNT;
    uint32_t count = wc_reconcile_want(&s->r, out, ids);
    s->open_counts[s->wants_open++] = count;
    s->wanted += count;
    wc_wire_want(&frame, out);
    free(out);
    wc_node_send(node, peer, &frame);
    if (!bulk && s->wanted >= WC_SYNC_BULK_COUNT) { /* others can help */
        for (uint32_t i = 0; i < node->peer_count; i++) {
            if (node->peers[i] != peer)
                wc_node_sync_want(node, node->peers[i], node->mono_ms);
        }
    }
}

static uint32_t draw_number(struct wc_node *node)
{
    return (uint32_t)wc_rng_u64(&node->rng);
}

/* A key that nobody else can know before, though numbers that were drawn are told. */
static void audit_key(struct wc_node *node, uint8_t key[WC_SECRET_BYTES])
{
    static const char purpose[] = "whocan audit";
    uint8_t numbers[16];
    wc_put_u64(numbers, node->now_ms);
    wc_put_u64(numbers + 8, wc_rng_u64(&node->rng));
    struct wc_slice parts[] = {wc_slice(purpose, sizeof(purpose)),
                               wc_slice(numbers, sizeof(numbers))};
    wc_hash_keyed(key, WC_SECRET_BYTES, node->identity->sign_seed, parts, 2);
}

/* A session that found nothing goes on to look closer, when that is due. */
static bool begin_audit(struct wc_node *node, struct wc_session *s,
                        struct wc_peer *peer)
{
    uint8_t key[WC_SECRET_BYTES];
    if (s->r.audit || s->wanted > 0 || s->r.aside_count > 0 ||
        (node->mono_ms < node->audit_ms && !peer->audit))
        return false;
    if (node->mono_ms >= node->audit_ms)
        node->audit_ms = node->mono_ms + WC_AUDIT_EVERY_MS * 9 / 10 +
                         wc_rng_below(&node->rng, WC_AUDIT_EVERY_MS / 5);
    peer->audit = false;
    audit_key(node, key);
    if (wc_reconcile_audit(&s->r, node->replicate ? WC_SETS_COUNT : 1,
                           draw_number(node), key) != 0)
        wc_node_fail(node);
    send_question(node, s, peer);
    return s->r.asked;
}

/* Do whatever the session can do now. */
static void pump(struct wc_node *node, struct wc_session *s, struct wc_peer *peer)
{
    struct wc_reconcile *r = &s->r;
    while (r->need_count > 0 && s->wants_open < WC_WANTS_OPEN_MAX_COUNT)
        send_want(node, s, peer);
    if (!r->asked && r->stack_count > 0 &&
        r->need_count + WC_DIFF_ITEMS_MAX_COUNT <= WC_SYNC_NEED_MAX_COUNT)
        send_question(node, s, peer);
    if (node->failed || r->asked || r->stack_count > 0 || r->need_count > 0 ||
        s->wants_open > 0 || begin_audit(node, s, peer))
        return;
    node->audits_done += r->audit;
    session_end(node, s, peer, r->aside_count > 0 ? ENDED_ASIDE : ENDED_DONE);
}

int wc_node_on_diff(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_session *s = wc_node_session(node, peer);
    struct wc_wire_ranges *in = malloc(sizeof(*in));
    if (in == NULL)
        return -WC_ENOMEM;
    int rc = wc_wire_decode_diff(frame, in, NULL);
    if (rc != 0 || s == NULL || !s->r.asked || in->session != s->r.number ||
        in->set != s->r.set)
        goto out; /* broken, or late: to a session that was given up */
    s->active_ms = node->mono_ms;
    uint32_t stack = s->r.stack_count, need = s->r.need_count;
    rc = wc_reconcile_hear(&s->r, node->sets, in, &node->rng);
    if (rc == -WC_ENOMEM)
        wc_node_fail(node);
    if (rc != 0)
        goto out;
    node->audit_finds += s->r.audit && in->count > 0;
    s->fruitless = s->r.need_count > need || in->count == 0 ? 0 : s->fruitless + 1;
    wc_node_unkept(node, peer,
                   ((uint64_t)in->count + s->r.stack_count - stack) *
                       WC_WASTE_RANGE_BYTES);
    if (s->r.stack_count > WC_SYNC_STACK_MAX_COUNT || !session_bears(node, s, peer))
        session_end(node, s, peer, ENDED_BAD);
    else if (s->fruitless >= WC_SYNC_FRUITLESS_COUNT)
        session_end(node, s, peer, ENDED_EARLY);
    else
        pump(node, s, peer);
out:
    free(in);
    return rc;
}

/* The oldest WANT was answered: charge for what did not come. */
static void close_want(struct wc_node *node, struct wc_session *s,
                       const struct wc_peer *peer)
{
    uint32_t wanted = s->open_counts[0];
    if (s->came < wanted)
        wc_node_unkept(node, peer, (uint64_t)(wanted - s->came) * WC_WASTE_ITEM_BYTES);
    s->came = 0;
    s->wants_open--;
    for (uint32_t i = 0; i < s->wants_open; i++)
        s->open_counts[i] = s->open_counts[i + 1];
}

void wc_node_sync_records(struct wc_node *node, struct wc_peer *peer,
                          enum wc_wire_reason reason, uint32_t came, uint32_t accepted)
{
    struct wc_session *s = wc_node_session(node, peer);
    if (s == NULL || reason == WC_REASON_BROADCAST)
        return;
    s->active_ms = node->mono_ms;
    s->came += came;
    s->accepted += accepted;
    if (reason == WC_REASON_LAST && s->wants_open > 0) {
        close_want(node, s, peer);
        if (session_bears(node, s, peer))
            pump(node, s, peer);
        else
            session_end(node, s, peer, ENDED_BAD);
    }
}

/* ---- whom to reconcile with, and when ---- */

static struct wc_peer *next_neighbour(struct wc_node *node)
{
    struct wc_peer *next = NULL;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        if (!peer->closing && peer->sync_due_ms != WC_NEVER &&
            wc_node_session(node, peer) == NULL &&
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

/* Sessions in which nothing comes give way. */
static void end_stalled(struct wc_node *node)
{
    for (int i = 0; i < WC_SESSIONS_MAX_COUNT; i++) {
        struct wc_session *s = &node->sessions[i];
        struct wc_peer *peer = s->link == 0 ? NULL : wc_node_peer(node, s->link);
        if (peer != NULL && node->mono_ms - s->active_ms >= WC_SYNC_STALL_MS)
            session_end(node, s, peer, ENDED_BAD);
        else if (s->link != 0)
            wc_node_due(node, WC_DUE_SYNC, s->active_ms + WC_SYNC_STALL_MS);
    }
}

/* A place for one session more, or NULL: several at once are for who lacks much. */
static struct wc_session *free_session(struct wc_node *node)
{
    if (sessions_count(node, false) > 0 && sessions_count(node, true) == 0)
        return NULL;
    for (int i = 0; i < WC_SESSIONS_MAX_COUNT; i++) {
        if (node->sessions[i].link == 0)
            return &node->sessions[i];
    }
    return NULL;
}

static void begin_session(struct wc_node *node, struct wc_session *s,
                          struct wc_peer *peer)
{
    if (sessions_count(node, false) > 0 && node->leases == NULL) {
        node->leases =
            calloc((size_t)WC_SETS_COUNT * WC_LEASES_COUNT, sizeof(*node->leases));
        if (node->leases == NULL)
            wc_node_fail(node);
    }
    s->link = peer->link;
    s->began_ms = s->active_ms = node->mono_ms;
    node->counts.syncs_begun++;
    wc_node_due(node, WC_DUE_SYNC, s->active_ms + WC_SYNC_STALL_MS);
    if (wc_reconcile_begin(&s->r, node->replicate ? WC_SET_ALL : 0,
                           draw_number(node)) != 0)
        wc_node_fail(node);
    send_question(node, s, peer);
}

void wc_node_run_sync(struct wc_node *node)
{
    struct wc_session *s;
    struct wc_peer *peer;
    if (node->mono_ms >= node->sync_round_ms)
        draw_neighbour(node);
    end_stalled(node);
    wc_node_due(node, WC_DUE_SYNC, node->sync_round_ms);
    if ((s = free_session(node)) == NULL || (peer = next_neighbour(node)) == NULL)
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
    begin_session(node, s, peer);
    if (sessions_count(node, true) > 0)
        wc_node_due(node, WC_DUE_SYNC, node->mono_ms); /* the next one, too */
}

/* ---- answering ---- */

/* The first question of a session shows whether the leader may have what we lack. An audit
 * that finds something is answered with one of our own, now and then: what cannot be
 * settled must not be audited all the time. */
static void notice(struct wc_node *node, struct wc_peer *peer, bool audit,
                   const struct wc_wire_ranges *in)
{
    const struct wc_wire_range *r = &in->ranges[0];
    if (audit && node->mono_ms >= node->audit_answer_ms) {
        node->audit_answer_ms = node->mono_ms + WC_AUDIT_ANSWER_MS;
        peer->audit = true;
        wc_node_sync_want(node, peer, node->mono_ms);
    }
    if (!audit && in->count == 1 && r->bits == 0 && r->form == WC_FORM_COMPARE &&
        (node->replicate || in->set != 1))
        wc_node_sync_want(node, peer, node->mono_ms);
}

static int on_question(struct wc_node *node, struct wc_peer *peer,
                       struct wc_slice frame, bool audit)
{
    struct {
        struct wc_wire_ranges in, out;
        struct wc_reconcile_room room;
    } *work = malloc(sizeof(*work));
    struct wc_buf reply = {0};
    bool differs = false;
    if (work == NULL)
        return -WC_ENOMEM;
    int rc = audit ? wc_wire_decode_audit(frame, &work->in, NULL)
                   : wc_wire_decode_sync(frame, &work->in, NULL);
    uint64_t cost = rc == 0 && audit ? wc_reconcile_cost(node->sets, &work->in) : 0;
    if (rc == 0 && !wc_node_may_sync(node, peer, 1 + cost / WC_AUDIT_COUNTS_AS_COUNT)) {
        wc_node_blame(node, peer->office, WC_BLAME_FLOOD);
        rc = -WC_ELIMIT;
    }
    if (rc == 0)
        rc = wc_reconcile_answer(node->sets, audit, &work->in, &work->out, &work->room,
                                 &differs);
    if (rc == 0) {
        if (differs)
            notice(node, peer, audit, &work->in);
        wc_wire_diff(&reply, &work->out);
        wc_node_send(node, peer, &reply);
    }
    free(work);
    return rc;
}

int wc_node_on_sync(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    return on_question(node, peer, frame, false);
}

int wc_node_on_audit(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    return on_question(node, peer, frame, true);
}

/* ---- WANT ---- */

int wc_node_on_want(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_ranges *in = malloc(sizeof(*in));
    struct wc_want *want = malloc(sizeof(*want));
    int rc =
        in == NULL || want == NULL ? -WC_ENOMEM : wc_wire_decode_want(frame, in, NULL);
    int place = 0;
    if (rc == 0) {
        want->set = in->set;
        want->at = 0;
        want->count = wc_reconcile_resolve(node->sets, in, want->items);
        while (peer->wants[place] != NULL)
            place++;
        peer->wants[place] = want;
        want = NULL;
        if (place == 0) /* else it is being served already, in pieces */
            wc_node_due(node, WC_DUE_SERVE, node->mono_ms);
    }
    free(want);
    free(in);
    return rc;
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
