/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links to other offices: which of two to keep, what may be said on one, whether its
 * other end is alive, and what the neighbours' clocks say about ours.
 *
 * Two offices may dial each other at the same moment. Both keep the link whose
 * initiator has the smaller key; of two by one initiator the newer. A link that has
 * been silent for more than a ping and its answer gives way to any new one: its other end
 * was restarted and does not know it.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

#define PING_TOKENS_COUNT 127 /* one byte: only the last question counts */

static void peer_free(struct wc_peer *peer)
{
    wc_buf_fini(&peer->records.packed);
    wc_buf_fini(&peer->answers.packed);
    wc_buf_fini(&peer->graft);
    for (int i = 0; i < WC_WANTS_OPEN_MAX_COUNT; i++)
        free(peer->wants[i]);
    peer->conduct->links--;
    free(peer);
}

void wc_node_links_fini(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->peer_count; i++)
        peer_free(node->peers[i]);
    free(node->peers);
}

struct wc_peer *wc_node_peer(const struct wc_node *node, uint32_t link)
{
    for (uint32_t i = 0; link != 0 && i < node->peer_count; i++) {
        if (node->peers[i]->link == link && !node->peers[i]->closing)
            return node->peers[i];
    }
    return NULL;
}

uint32_t wc_node_links_count(const struct wc_node *node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->peer_count; i++)
        count += !node->peers[i]->closing;
    return count;
}

/* ---- clocks ---- */

/* Our clock is off when it is more than ten minutes from most of at least three
 * neighbours. */
static void judge_clock(struct wc_node *node)
{
    uint32_t known = 0, far = 0;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        const struct wc_peer *peer = node->peers[i];
        if (!peer->clock || peer->closing)
            continue;
        int64_t offset = node->offices[peer->office]->clock_offset_ms;
        known++;
        far += offset > (int64_t)WC_FUTURE_SLACK_MS ||
               offset < -(int64_t)WC_FUTURE_SLACK_MS;
    }
    bool off = known >= WC_CLOCK_PEERS_MIN && 2 * far > known;
    if (off == node->clock_off)
        return;
    node->clock_off = off;
    if (off) {
        wc_node_note(node, WC_NOTE_CLOCK_OFF, -WC_ECLOCK, 0, far, WC_NONE);
        return;
    }
    wc_node_due(node, WC_DUE_CARD, node->mono_ms);
    wc_node_due(node, WC_DUE_EXPIRY, node->mono_ms);
}

/* Of a neighbour whose clock is far from ours: whether a date is none of its future. */
static bool is_of_its_past(const struct wc_node *node, const struct wc_peer *peer,
                           uint64_t at_ms)
{
    if (peer == NULL || !peer->clock)
        return false;
    int64_t offset = node->offices[peer->office]->clock_offset_ms;
    return offset > (int64_t)WC_FUTURE_SLACK_MS &&
           at_ms <= node->now_ms + (uint64_t)offset + WC_FUTURE_SLACK_MS;
}

bool wc_node_clocks_differ(const struct wc_node *node, uint32_t office,
                           const struct wc_peer *peer, uint64_t stamped_at_ms)
{
    const struct wc_peer *signer =
        office == WC_NONE ? NULL : wc_node_peer(node, node->offices[office]->link);
    return is_of_its_past(node, signer, stamped_at_ms) ||
           is_of_its_past(node, peer, stamped_at_ms);
}

static void heard_clock(struct wc_node *node, struct wc_peer *peer, uint64_t their_ms)
{
    /* both are below 2^53, or their difference means little anyway */
    int64_t offset = (int64_t)(their_ms - node->now_ms);
    node->offices[peer->office]->clock_offset_ms = offset;
    peer->clock = true;
    judge_clock(node);
}

/* ---- up and down ---- */

void wc_node_close(struct wc_node *node, struct wc_peer *peer, int rc)
{
    struct wc_effect *e;
    if (peer->closing)
        return;
    peer->closing = true;
    node->peers_closing = true;
    if (node->offices[peer->office]->link == peer->link)
        node->offices[peer->office]->link = 0;
    wc_node_neighbour_down(node, peer, rc == 0);
    wc_node_sync_lost(node, peer);
    wc_node_note(node, WC_NOTE_LINK_DOWN, rc, peer->link, 0, peer->office);
    if ((e = wc_node_effect(node, WC_EFFECT_CLOSE)) != NULL) {
        e->u.close.link = peer->link;
        e->u.close.rc = rc;
    }
}

/* Each leaves the list before anything is told of it: what follows from a lost link
 * counts and walks the links that there are. */
void wc_node_reap(struct wc_node *node)
{
    if (!node->peers_closing)
        return;
    node->peers_closing = false;
    for (uint32_t i = 0; i < node->peer_count;) {
        struct wc_peer *peer = node->peers[i];
        if (!peer->closing) {
            i++;
            continue;
        }
        uint32_t office = peer->office, link = peer->link;
        bool good = node->mono_ms - peer->up_ms >= WC_DIAL_STEADY_MS;
        node->peer_count--;
        memmove(&node->peers[i], &node->peers[i + 1],
                (node->peer_count - i) * sizeof(struct wc_peer *));
        peer_free(peer);
        wc_node_answers_lost(node, link);
        wc_node_dial_lost(node, office, good);
        wc_node_office_release(node, office);
    }
    judge_clock(node);
}

/* Refuse a link that was never one of ours. */
static void refuse_link(struct wc_node *node, uint32_t link, int rc)
{
    struct wc_effect *e = wc_node_effect(node, WC_EFFECT_CLOSE);
    if (e == NULL)
        return;
    e->u.close.link = link;
    e->u.close.rc = rc;
}

/* Whether a new link replaces the one that there is. */
static bool prefer_new(const struct wc_node *node, const struct wc_peer *old,
                       bool initiator)
{
    if (node->mono_ms - old->heard_ms > WC_LINK_ALIVE_MS)
        return true;
    if (old->initiator == initiator)
        return true;
    bool ours_smaller = memcmp(node->offices[node->self]->key,
                               node->offices[old->office]->key, WC_KEY_BYTES) < 0;
    return initiator == ours_smaller;
}

/* Why a link to this office may not be, or 0. */
static int link_allowed(const struct wc_node *node, const struct wc_cert *cert)
{
    uint32_t office = wc_node_office_find(node, cert->sign_key);
    uint64_t until_ms;
    if (office == node->self)
        return -WC_EEXISTS;
    if (wc_node_shunned(node, cert->sign_key, &until_ms))
        return -WC_ELIMIT;
    if (node->own_revoked || (office != WC_NONE && node->offices[office]->revoked))
        return -WC_EREVOKED;
    if ((office == WC_NONE || node->offices[office]->link == 0) &&
        wc_node_links_count(node) >= WC_NODE_LINKS_MAX_COUNT)
        return -WC_ELIMIT;
    return node->clock_off ? 0 : wc_cert_dates(cert, node->now_ms);
}

static struct wc_peer *add_peer(struct wc_node *node, uint32_t link, uint32_t office)
{
    if (node->peer_count == node->peer_cap) {
        uint32_t cap = node->peer_cap == 0 ? 8 : 2 * node->peer_cap;
        struct wc_peer **peers = realloc(node->peers, cap * sizeof(struct wc_peer *));
        if (peers == NULL)
            return NULL;
        node->peers = peers;
        node->peer_cap = cap;
    }
    struct wc_conduct *conduct = wc_node_conduct(node, office);
    struct wc_peer *peer = conduct == NULL ? NULL : calloc(1, sizeof(*peer));
    if (peer == NULL)
        return NULL;
    peer->conduct = conduct;
    conduct->links++;
    peer->link = link;
    peer->office = office;
    peer->up_ms = peer->heard_ms = peer->pinged_ms = node->mono_ms;
    peer->sync_due_ms = WC_NEVER;
    peer->sync_again_ms = WC_SYNC_AGAIN_MS;
    peer->rtt_ms = WC_RTT_UNKNOWN;
    node->peers[node->peer_count++] = peer;
    return peer;
}

/* First words: our clock; what a neighbour whose certificate is stale must know before
 * anything else; and the own card, so that others can be told of us before any
 * reconciliation. */
static void greet(struct wc_node *node, struct wc_peer *peer, bool stale)
{
    struct wc_buf frame = {0}, packed = {0};
    uint32_t count = 0;
    wc_wire_hello(&frame, node->now_ms);
    wc_node_send(node, peer, &frame);
    if (stale)
        count = wc_node_pack_trust(node, peer->office, &packed);
    if (node->card.len > 0) {
        wc_pack_bin(&packed, wc_buf_slice(&node->card));
        count++;
    }
    if (count > 0) {
        wc_wire_records(&frame, WC_REASON_BROADCAST, count, wc_buf_slice(&packed));
        wc_node_send(node, peer, &frame);
    }
    wc_buf_fini(&packed);
}

/* The certificate that counts for the other end, and why it may not link, or 0. */
static int judge_link(struct wc_node *node, const struct wc_event *event,
                      struct wc_cert *cert, bool *stale)
{
    if (event->u.link_up.peer_rotation.len > 0)
        wc_node_learn_rotation(node, event->u.link_up.peer_rotation);
    int rc = wc_node_link_cert(node, event, cert, stale);
    if (rc == -WC_EUNKNOWN_OFFICE)
        wc_node_note(node, WC_NOTE_FORMER_REFUSED, rc, event->u.link_up.link, 0,
                     WC_NONE);
    return rc != 0 ? rc : link_allowed(node, cert);
}

void wc_node_link_up(struct wc_node *node, const struct wc_event *event)
{
    struct wc_cert cert = *event->u.link_up.peer;
    uint32_t link = event->u.link_up.link;
    bool initiator = event->u.link_up.initiator, join = false, explore = false;
    bool stale;
    int rc = judge_link(node, event, &cert, &stale);
    uint32_t office = rc == 0 ? wc_node_office_add(node, cert.sign_key) : WC_NONE;
    if (office != WC_NONE && !stale)
        wc_node_office_certify(node, office, &cert);
    wc_node_dial_up(node, event->u.link_up.dial,
                    rc == -WC_EEXISTS ? node->self : office, &join, &explore);
    if (office == WC_NONE) {
        uint32_t known = wc_node_office_find(node, cert.sign_key);
        if (rc == -WC_EREVOKED && known != WC_NONE && node->offices[known]->revoked)
            wc_node_tell_revoked(node, link, known); /* it may not know yet */
        refuse_link(node, link, rc == -WC_EEXISTS ? 0 : rc);
        return;
    }
    struct wc_peer *old = wc_node_peer(node, node->offices[office]->link);
    if (old != NULL && !prefer_new(node, old, initiator)) {
        old->join = old->join || join;
        refuse_link(node, link, 0);
        return;
    }
    if (old != NULL) {
        join = join || old->join;
        wc_node_close(node, old, 0);
    }
    struct wc_peer *peer = add_peer(node, link, office);
    if (peer == NULL) {
        wc_node_fail(node);
        return;
    }
    peer->initiator = initiator;
    peer->join = join;
    node->offices[office]->link = link;
    wc_node_note(node, WC_NOTE_LINK_UP, 0, link, 0, office);
    greet(node, peer, stale);
    wc_node_neighbour_up(node, peer, explore);
    wc_node_answers_found(node, peer);
    wc_node_sync_want(node, peer,
                      node->mono_ms + (initiator ? 0 : WC_SYNC_ANSWERER_MS));
    wc_node_due(node, WC_DUE_LINKS, node->mono_ms + WC_PING_AFTER_MS);
}

/* Neighbours vanish: whether the others are there, too. */
static void doubt(struct wc_node *node)
{
    bool again =
        node->lost_ms != 0 && node->mono_ms - node->lost_ms < WC_LOST_WITHIN_MS;
    node->lost_ms = node->mono_ms;
    for (uint32_t i = 0; again && i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        if (!peer->active || peer->closing || peer->doubt_ms != 0)
            continue;
        peer->doubt_ms = node->mono_ms;
        wc_node_ping(node, peer);
        wc_node_due(node, WC_DUE_LINKS, node->mono_ms + WC_DOUBT_MS);
    }
}

void wc_node_link_down(struct wc_node *node, uint32_t link)
{
    struct wc_peer *peer = wc_node_peer(node, link);
    if (peer == NULL)
        return; /* we closed it, or refused it */
    peer->closing = true;
    node->peers_closing = true;
    node->offices[peer->office]->link = 0;
    if (peer->active)
        doubt(node);
    wc_node_neighbour_down(node, peer, false);
    wc_node_sync_lost(node, peer);
    wc_node_note(node, WC_NOTE_LINK_DOWN, -WC_ECLOSED, link, 0, peer->office);
}

/* ---- frames ---- */

static int on_hello(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_clock clock;
    int rc = wc_wire_decode_clock(frame, &clock, NULL);
    if (rc != 0)
        return rc;
    peer->hello = true;
    heard_clock(node, peer, clock.now_ms);
    return 0;
}

static int on_ping(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_clock clock;
    struct wc_buf pong = {0};
    int rc = wc_wire_decode_clock(frame, &clock, NULL);
    if (rc != 0)
        return rc;
    heard_clock(node, peer, clock.now_ms);
    wc_wire_pong(&pong, node->now_ms, clock.token);
    wc_node_send(node, peer, &pong);
    return 0;
}

static int on_pong(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_clock clock;
    int rc = wc_wire_decode_clock(frame, &clock, NULL);
    if (rc != 0)
        return rc;
    if (clock.token == peer->ping_token) {
        peer->ping_token = 0;
        peer->rtt_ms = (uint32_t)(node->mono_ms - peer->pinged_ms);
        wc_node_leave_heard(node, peer);
        heard_clock(node, peer, clock.now_ms);
    }
    return 0;
}

/* Whether the link may send this now; looked at before anything is decoded. */
static bool may_send(const struct wc_peer *peer, enum wc_wire_type type)
{
    switch (type) {
    case WC_WIRE_HELLO:
        return !peer->hello;
    case WC_WIRE_WANT:
        return peer->hello && peer->wants[WC_WANTS_OPEN_MAX_COUNT - 1] == NULL;
    case WC_WIRE_PING:
    case WC_WIRE_PONG:
    case WC_WIRE_RECORDS:
    case WC_WIRE_SYNC:
    case WC_WIRE_AUDIT:
    case WC_WIRE_ASK:
    case WC_WIRE_ANSWERS:
    case WC_WIRE_DIFF: /* a late one, to a session that was given up, is ignored */
    case WC_WIRE_NEIGHBOUR:
    case WC_WIRE_PART:
    case WC_WIRE_JOINED:
    case WC_WIRE_SHUFFLE:
    case WC_WIRE_SHUFFLED: /* a late one is ignored, too */
    case WC_WIRE_IHAVE:    /* and these, of who is no neighbour any more */
    case WC_WIRE_GRAFT:
    case WC_WIRE_PRUNE:
    case WC_WIRE_BEAT:
        return peer->hello;
    }
    return false;
}

static int on_frame(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    int type = frame.len > WC_FRAME_MAX_BYTES ? -WC_ETOOBIG : wc_wire_type(frame);
    if (type < 0)
        return type;
    if (!may_send(peer, (enum wc_wire_type)type))
        return -WC_EPROTOCOL;
    switch ((enum wc_wire_type)type) {
    case WC_WIRE_HELLO:
        return on_hello(node, peer, frame);
    case WC_WIRE_PING:
        return on_ping(node, peer, frame);
    case WC_WIRE_PONG:
        return on_pong(node, peer, frame);
    case WC_WIRE_RECORDS:
        return wc_node_on_records(node, peer, frame);
    case WC_WIRE_SYNC:
        return wc_node_on_sync(node, peer, frame);
    case WC_WIRE_AUDIT:
        return wc_node_on_audit(node, peer, frame);
    case WC_WIRE_WANT:
        return wc_node_on_want(node, peer, frame);
    case WC_WIRE_ASK:
        return wc_node_on_ask(node, peer, frame);
    case WC_WIRE_ANSWERS:
        return wc_node_on_answers(node, peer, frame);
    case WC_WIRE_DIFF:
        if (peer->asked_ms != 0)
            peer->rtt_ms = (uint32_t)(node->mono_ms - peer->asked_ms);
        peer->asked_ms = 0;
        return wc_node_on_diff(node, peer, frame);
    case WC_WIRE_NEIGHBOUR:
        return wc_node_on_neighbour(node, peer, frame);
    case WC_WIRE_PART:
        return wc_node_on_part(node, peer, frame);
    case WC_WIRE_JOINED:
        return wc_node_on_joined(node, peer, frame);
    case WC_WIRE_SHUFFLE:
        return wc_node_on_shuffle(node, peer, frame);
    case WC_WIRE_SHUFFLED:
        return wc_node_on_shuffled(node, peer, frame);
    case WC_WIRE_IHAVE:
        return wc_node_on_ihave(node, peer, frame);
    case WC_WIRE_GRAFT:
        return wc_node_on_graft(node, peer, frame);
    case WC_WIRE_PRUNE:
        return wc_node_on_prune(node, peer, frame);
    case WC_WIRE_BEAT:
        return wc_node_on_beat(node, peer, frame);
    }
    return -WC_EPROTOCOL;
}

void wc_node_on_frame(struct wc_node *node, uint32_t link, struct wc_slice frame)
{
    struct wc_peer *peer = wc_node_peer(node, link);
    if (peer == NULL)
        return; /* sent before our CLOSE reached the other end */
    peer->heard_ms = node->mono_ms;
    node->offices[peer->office]->last_heard_ms = node->now_ms;
    int rc = on_frame(node, peer, frame);
    if (rc == -WC_ENOMEM) {
        wc_node_fail(node);
    } else if (rc != 0 && !peer->closing) {
        if (rc != -WC_ELIMIT) /* else it was counted as what it was */
            wc_node_blame(node, peer->office, WC_BLAME_FRAME);
        wc_node_strike(node, peer);
        wc_node_note(node, WC_NOTE_FRAME_REFUSED, rc, link, 0, peer->office);
        wc_node_close(node, peer, rc);
    }
}

/* ---- alive ---- */

void wc_node_ping(struct wc_node *node, struct wc_peer *peer)
{
    struct wc_buf frame = {0};
    peer->pinged_ms = node->mono_ms;
    peer->ping_token = 1 + peer->ping_token % PING_TOKENS_COUNT;
    wc_wire_ping(&frame, node->now_ms, peer->ping_token);
    wc_node_send(node, peer, &frame);
}

/* A visitor's time is over. */
static bool visit_ends(struct wc_node *node, const struct wc_peer *peer)
{
    if (node->mono_ms - peer->visit_ms >= WC_VISIT_MS)
        return true;
    wc_node_due(node, WC_DUE_LINKS, peer->visit_ms + WC_VISIT_MS);
    return false;
}

void wc_node_run_links(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        if (peer->closing)
            continue;
        if (peer->doubt_ms != 0 && peer->heard_ms > peer->doubt_ms)
            peer->doubt_ms = 0;
        if (node->mono_ms - peer->heard_ms >= WC_LINK_SILENT_MS ||
            (peer->doubt_ms != 0 && node->mono_ms - peer->doubt_ms >= WC_DOUBT_MS)) {
            wc_node_close(node, peer, -WC_ETIMEOUT);
            continue;
        }
        if (!peer->active && visit_ends(node, peer)) {
            wc_node_close(node, peer, 0);
            continue;
        }
        uint64_t spoken_ms =
            peer->heard_ms > peer->pinged_ms ? peer->heard_ms : peer->pinged_ms;
        uint64_t after_ms =
            WC_PING_AFTER_MS + (peer->initiator ? WC_PING_LATER_MS : 0u);
        if (node->mono_ms - spoken_ms >= after_ms) {
            wc_node_ping(node, peer);
            spoken_ms = node->mono_ms;
        }
        wc_node_due(node, WC_DUE_LINKS, spoken_ms + after_ms);
        wc_node_due(node, WC_DUE_LINKS, peer->heard_ms + WC_LINK_SILENT_MS);
        if (peer->doubt_ms != 0)
            wc_node_due(node, WC_DUE_LINKS, peer->doubt_ms + WC_DOUBT_MS);
    }
}
