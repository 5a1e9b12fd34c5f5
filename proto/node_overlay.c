/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neighbours, by HyParView (proto/views.h): over their links everything is broadcast.
 * Every other link is a visitor's, for a few moments: it is reconciled with and has no
 * part in the broadcast.
 *
 * Who dialled wants a neighbour and says so: NEIGHBOUR, with a priority. Where a place is
 * free the link is a neighbour's from its first moment; a full office waits for the
 * priority, and then parts with another one, or with this one. PART ends it, and the link
 * is a visitor's again. So no office is left without neighbours, and none has more than
 * it can feed.
 *
 * Who comes new is told about by a walk through each neighbour of its contact (JOINED),
 * which carries its card: whoever the walk visits checks it as any record.
 *
 * What a liar can do with it: press others out of their places (a few times an hour, and
 * they find others), send walks and shuffles for nothing (they are counted as what they
 * are), fill passive views with offices that are gone (which are dialled in vain once).
 */
#include <string.h>

#include "proto/node_internal.h"

static void say_bare(struct wc_node *node, const struct wc_peer *peer,
                     enum wc_wire_type type)
{
    struct wc_buf frame = {0};
    wc_wire_bare(&frame, type);
    wc_node_send(node, peer, &frame);
}

/* ---- neighbours ---- */

static void become_visitor(struct wc_node *node, struct wc_peer *peer)
{
    peer->visit_ms = node->mono_ms;
    wc_node_due(node, WC_DUE_LINKS, peer->visit_ms + WC_VISIT_MS);
}

/* Out of the tree; a lazy neighbour takes its place there at once: most likely what hung
 * together by it does so again, and if not, a message that comes twice says so. */
static void out_of_tree(struct wc_node *node, uint32_t link)
{
    if (wc_plumtree_remove(&node->tree, link))
        wc_node_graft(node, wc_plumtree_draw_lazy(&node->tree, &node->rng));
}

void wc_node_neighbour_down(struct wc_node *node, struct wc_peer *peer, bool again)
{
    if (!peer->active)
        return;
    peer->active = false;
    wc_views_deactivate(&node->views, peer->office, again, &node->rng);
    out_of_tree(node, peer->link);
    become_visitor(node, peer);
    /* not in this step: at its end it is seen what the link was worth */
    wc_node_due(node, WC_DUE_DIAL, node->mono_ms + 1);
}

static void part(struct wc_node *node, struct wc_peer *peer)
{
    peer->parted = true;
    say_bare(node, peer, WC_WIRE_PART);
}

/* Whom to part with: a lazy neighbour, whom nobody misses, rather than one of the tree;
 * never a configured peer, while there is anybody else. */
static struct wc_peer *draw_victim(struct wc_node *node)
{
    struct wc_peer *drawn = NULL;
    int best = -1;
    uint64_t count = 0;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        if (!peer->active)
            continue;
        int good = 2 * !peer->join + !wc_plumtree_peer(&node->tree, peer->link)->eager;
        count = good > best ? 0 : count;
        best = good > best ? good : best;
        if (good == best && wc_rng_below(&node->rng, ++count) == 0)
            drawn = peer;
    }
    return drawn;
}

/* Make it a neighbour; a full office parts with another one. Its place in the tree is
 * found by who lacks one: while all flood, or nobody else is there, it is eager. */
static void become_neighbour(struct wc_node *node, struct wc_peer *peer)
{
    struct wc_peer *victim = wc_views_full(&node->views) ? draw_victim(node) : NULL;
    if (peer->active)
        return;
    wc_views_activate(&node->views, peer->office,
                      victim == NULL ? WC_VIEW_NONE : victim->office, &node->rng);
    if (victim != NULL) {
        victim->active = false; /* it left the view already */
        out_of_tree(node, victim->link);
        part(node, victim);
        become_visitor(node, victim);
    }
    peer->active = true;
    peer->parted = false;
    bool lonely = wc_plumtree_eager_count(&node->tree) == 0;
    bool flood = node->by_name_count <= WC_FLOOD_OFFICES_COUNT;
    wc_plumtree_add(&node->tree, peer->link, flood);
    if (lonely && !flood)
        wc_node_graft(node, peer->link);
    if (node->views.active_count >= WC_VIEW_WANTED_COUNT)
        node->refusals = 0;
}

/* Make it a neighbour here, and ask it to do the same. */
static void court(struct wc_node *node, struct wc_peer *peer, bool explore)
{
    struct wc_buf frame = {0};
    uint32_t have = node->views.active_count;
    wc_wire_neighbour(&frame, have == 0                             ? WC_PRIORITY_JOIN
                              : explore || have < WC_VIEW_FEW_COUNT ? WC_PRIORITY_HIGH
                                                                    : WC_PRIORITY_LOW);
    wc_node_send(node, peer, &frame); /* before it is asked for anything */
    become_neighbour(node, peer);
}

void wc_node_court(struct wc_node *node, struct wc_peer *peer)
{
    court(node, peer, true);
}

void wc_node_neighbour_up(struct wc_node *node, struct wc_peer *peer, bool explore)
{
    bool few = node->by_name_count <= WC_FLOOD_OFFICES_COUNT;
    become_visitor(node, peer);
    if (explore && !few && node->views.active_count >= WC_VIEW_WANTED_COUNT) {
        part(node, peer); /* it only looks whether all is one piece */
        wc_node_beat_tell(node, peer);
    } else if (peer->initiator && (explore || !wc_views_full(&node->views)))
        court(node, peer, explore);
    else if (peer->initiator)
        part(node, peer); /* others came while it was dialled */
    else if (!wc_views_full(&node->views))
        become_neighbour(node, peer);
}

void wc_node_promote(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        if (node->views.active_count >= WC_VIEW_WANTED_COUNT)
            return;
        if (!peer->active && !peer->parted && !peer->closing && peer->hello)
            court(node, peer, false);
    }
}

int wc_node_on_part(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    int rc = wc_wire_decode_bare(frame, NULL);
    if (rc != 0)
        return rc;
    peer->parted = true;
    if (!peer->active)
        return 0;
    wc_node_neighbour_down(node, peer, true);
    if (!peer->initiator)
        return 0;
    if (node->refusals < WC_REFUSED_DOUBLINGS)
        node->refusals++;
    uint64_t wait = (uint64_t)WC_REFUSED_WAIT_MS << node->refusals;
    node->fill_ms = node->mono_ms + wait / 2 + wc_rng_below(&node->rng, wait / 2);
    return 0;
}

/* ---- newcomers ---- */

static void send_joined(struct wc_node *node, const struct wc_peer *to, uint32_t ttl,
                        struct wc_slice card)
{
    struct wc_buf frame = {0};
    wc_wire_joined(&frame, ttl, card);
    wc_node_send(node, to, &frame);
}

void wc_node_newcomer(struct wc_node *node, uint32_t office, struct wc_slice card)
{
    struct wc_peer *peer = wc_node_peer(node, node->offices[office]->link);
    if (peer == NULL || !peer->newcomer)
        return;
    peer->newcomer = false;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (node->peers[i]->active && node->peers[i] != peer)
            send_joined(node, node->peers[i], WC_WALK_HOPS_MAX, card);
    }
}

/* It has no neighbours: others may have room for it. Its card may not have come yet. */
static void tell_of(struct wc_node *node, struct wc_peer *peer)
{
    uint8_t slot[WC_DIGEST_BYTES], id[WC_MESSAGE_ID_BYTES];
    struct wc_buf card = {0};
    uint32_t hops;
    peer->newcomer = true;
    wc_slot(slot, WC_KIND_CARD, node->offices[peer->office]->key, "card");
    uint32_t held = wc_node_held_find(node, slot);
    if (held == WC_NONE || node->held[held].hidden)
        return;
    wc_node_message_id(node, slot, &node->held[held].version, id);
    wc_node_message_read(node, id, &card, &hops);
    if (card.failed)
        wc_node_fail(node);
    else if (card.len > 0)
        wc_node_newcomer(node, peer->office, wc_buf_slice(&card));
    wc_buf_fini(&card);
}

int wc_node_on_neighbour(struct wc_node *node, struct wc_peer *peer,
                         struct wc_slice frame)
{
    enum wc_wire_priority priority;
    int rc = wc_wire_decode_neighbour(frame, &priority, NULL);
    if (rc == 0 && !wc_node_waste(node, peer, WC_COURTED_BYTES)) {
        wc_node_blame(node, peer->office, WC_BLAME_FLOOD);
        rc = -WC_ELIMIT;
    }
    if (rc != 0)
        return rc;
    bool room = peer->active || !wc_views_full(&node->views);
    if (!room && (priority == WC_PRIORITY_LOW || !wc_node_may_press(node, peer))) {
        part(node, peer);
        return 0;
    }
    become_neighbour(node, peer);
    if (priority == WC_PRIORITY_JOIN)
        tell_of(node, peer);
    return 0;
}

/* The walk is here: it goes on, or the newcomer gets a neighbour. */
static void walk(struct wc_node *node, const struct wc_peer *from, uint32_t office,
                 const struct wc_wire_joined *in)
{
    uint32_t next =
        wc_views_walk(&node->views, from->office, office, in->ttl, &node->rng);
    if (next == WC_VIEW_NONE || in->ttl == WC_WALK_PASSIVE_TTL)
        wc_views_learn(&node->views, office, &node->rng);
    if (next != WC_VIEW_NONE)
        send_joined(node, wc_node_peer(node, node->offices[next]->link), in->ttl - 1,
                    in->card);
    else if (!wc_views_full(&node->views))
        wc_node_dial_known(node, office);
}

int wc_node_on_joined(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_joined in;
    struct wc_record r;
    int rc = wc_wire_decode_joined(frame, &in, NULL);
    if (rc == 0)
        rc = wc_record_decode(in.card, &r, NULL);
    if (rc == -WC_EVERSION)
        return 0;
    if (rc == 0 && r.kind != WC_KIND_CARD)
        rc = -WC_EPROTOCOL;
    if (rc == 0 && !wc_node_waste(node, peer, WC_COURTED_BYTES)) {
        wc_node_blame(node, peer->office, WC_BLAME_FLOOD);
        rc = -WC_ELIMIT;
    }
    if (rc == 0)
        rc = wc_node_on_record(node, peer, in.card);
    if (rc != 0 || peer->closing)
        return rc;
    uint32_t office = wc_node_office_find(node, r.office_key);
    if (office != WC_NONE && office != node->self && node->offices[office]->has_card &&
        !node->offices[office]->revoked)
        walk(node, peer, office, &in);
    return 0;
}

/* ---- shuffles ---- */

static void send_sample(struct wc_node *node, const struct wc_peer *to,
                        enum wc_wire_type type, uint32_t *told, uint32_t *told_count)
{
    uint8_t keys[WC_SHUFFLE_MAX_COUNT][WC_KEY_BYTES];
    struct wc_buf frame = {0};
    *told_count = wc_views_sample(&node->views, to->office, told, &node->rng);
    for (uint32_t i = 0; i < *told_count; i++)
        memcpy(keys[i], node->offices[told[i]]->key, WC_KEY_BYTES);
    wc_wire_list(&frame, type, wc_slice(keys, (size_t)*told_count * WC_KEY_BYTES));
    wc_node_send(node, to, &frame);
}

/* Of the offices that came those that can be dialled at all. */
static uint32_t known_offices(const struct wc_node *node, const struct wc_wire_list *in,
                              uint32_t out[WC_SHUFFLE_MAX_COUNT])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t office =
            wc_node_office_find(node, in->items.data + (size_t)i * WC_KEY_BYTES);
        if (office != WC_NONE && office != node->self &&
            node->offices[office]->has_card && !node->offices[office]->revoked)
            out[count++] = office;
    }
    return count;
}

int wc_node_on_shuffle(struct wc_node *node, struct wc_peer *peer,
                       struct wc_slice frame)
{
    struct wc_wire_list in;
    uint32_t came[WC_SHUFFLE_MAX_COUNT], told[WC_SHUFFLE_MAX_COUNT], told_count;
    int rc = wc_wire_decode_list(frame, &in, NULL);
    if (rc == 0 && !wc_node_may_shuffle(node, peer)) {
        wc_node_blame(node, peer->office, WC_BLAME_FLOOD);
        rc = -WC_ELIMIT;
    }
    if (rc != 0)
        return rc;
    send_sample(node, peer, WC_WIRE_SHUFFLED, told, &told_count);
    uint32_t count = known_offices(node, &in, came);
    wc_views_merge(&node->views, came, count, told, told_count, &node->rng);
    return 0;
}

int wc_node_on_shuffled(struct wc_node *node, struct wc_peer *peer,
                        struct wc_slice frame)
{
    struct wc_wire_list in;
    uint32_t came[WC_SHUFFLE_MAX_COUNT];
    int rc = wc_wire_decode_list(frame, &in, NULL);
    if (rc != 0 || node->shuffle_link != peer->link)
        return rc;
    node->shuffle_link = 0;
    uint32_t count = known_offices(node, &in, came);
    wc_views_merge(&node->views, came, count, node->told, node->told_count, &node->rng);
    return 0;
}

void wc_node_run_shuffle(struct wc_node *node)
{
    const struct wc_views *v = &node->views;
    if (node->mono_ms >= node->shuffle_ms) {
        node->shuffle_ms = node->mono_ms + WC_SHUFFLE_EVERY_MS * 9 / 10 +
                           wc_rng_below(&node->rng, WC_SHUFFLE_EVERY_MS / 5);
        node->shuffle_link = 0;
        if (v->active_count > 0) {
            uint32_t office = v->active[wc_rng_below(&node->rng, v->active_count)];
            const struct wc_peer *peer =
                wc_node_peer(node, node->offices[office]->link);
            node->shuffle_link = peer->link;
            send_sample(node, peer, WC_WIRE_SHUFFLE, node->told, &node->told_count);
        }
    }
    wc_node_due(node, WC_DUE_SHUFFLE, node->shuffle_ms);
}
