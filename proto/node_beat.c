/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of the tree. Plumtree makes a tree of whatever comes first, and mends it at
 * random; with many senders that is a tree, but a deep one. So one office, the root, sends
 * a beat twice a minute, which goes over every link: whoever it comes from first is the
 * shortest way to the root. Each office says GRAFT to that neighbour, its parent, and a
 * second later PRUNE to whoever is eager and neither its parent nor a child that said so.
 * The tree is one of shortest paths then, and no path in it is longer than twice the way
 * across.
 *
 * Root is the office with the smallest key of those that are there, found as spanning-tree
 * bridges do (Perlman, "An Algorithm for Distributed Computation of a Spanning Tree",
 * 1985): a beat with a smaller root is followed, one with a greater root is not, and who
 * has heard none for a while makes itself the root. A beat costs 26 bytes a link.
 *
 * The parent stays the parent while its beats come hardly later than the first ones, and
 * only if it is not farther from the root than they: so that no circle of parents comes
 * about, in which each is kept by another's beat.
 *
 * Nothing depends on beats but the shape. A liar who makes itself the root, or holds beats
 * back, makes a deeper tree, which Plumtree mends as before. Beats are followed at most
 * once in ten seconds, whoever sends them; of smaller and smaller roots a few more.
 *
 * A beat also says whether the overlay is in one piece: visitors tell each other which
 * root they follow, and become neighbours if it is not the same one.
 */
#include <string.h>

#include "proto/node_internal.h"

/* Few offices are told everything by all neighbours: there is no tree. */
static bool flooding(const struct wc_node *node)
{
    return node->by_name_count <= WC_FLOOD_OFFICES_COUNT;
}

static bool fresh(const struct wc_node *node)
{
    return node->beat.heard_ms != 0 &&
           node->mono_ms - node->beat.heard_ms < WC_BEAT_STALE_MS;
}

static void send_beat(struct wc_node *node, const struct wc_peer *to)
{
    struct wc_buf frame = {0};
    wc_wire_beat(&frame, &node->beat.last);
    wc_node_send(node, to, &frame);
}

static void spread(struct wc_node *node, const struct wc_peer *except)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (node->peers[i]->active && node->peers[i] != except)
            send_beat(node, node->peers[i]);
    }
}

void wc_node_beat_tell(struct wc_node *node, const struct wc_peer *visitor)
{
    if (!flooding(node) && fresh(node))
        send_beat(node, visitor);
}

/* The way to the root of this beat: said each time, so that the parent knows its
 * children. */
static void choose(struct wc_node *node, uint32_t link)
{
    struct wc_tree_peer *parent = wc_plumtree_peer(&node->tree, link);
    node->beat.parent = parent == NULL ? 0 : link;
    node->beat.faster = 0;
    if (parent == NULL)
        return;
    parent->eager = false; /* so that it is said */
    wc_node_graft(node, link);
}

/* There were few, who tell everything to all, and there is one more. If this office is
 * new, the others have known of many for long, and none of them feeds it before it says
 * to one that it is its branch. */
void wc_node_grown(struct wc_node *node)
{
    struct wc_tree_peer *branch = NULL;
    for (uint32_t i = 0; i < node->peer_count && branch == NULL; i++)
        branch = wc_plumtree_peer(&node->tree, node->peers[i]->link);
    if (branch == NULL)
        return;
    branch->eager = false; /* so that it is said */
    wc_node_graft(node, branch->link);
}

/* All children have said so by now: whoever is eager besides is no part of the tree. */
static void settle(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        struct wc_tree_peer *branch = wc_plumtree_peer(&node->tree, peer->link);
        if (branch != NULL && branch->eager && !branch->child &&
            peer->link != node->beat.parent)
            wc_node_prune(node, peer);
    }
}

static void begin(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->tree.peer_count; i++)
        node->tree.peers[i].child = false;
    node->beat.heard_ms = node->mono_ms;
    node->beat.settle_ms = node->mono_ms + WC_BEAT_SETTLE_MS;
}

/* A beat came for the first time. */
static void follow(struct wc_node *node, struct wc_peer *peer,
                   const struct wc_wire_beat *in)
{
    bool same = peer->link == node->beat.parent ||
                wc_plumtree_peer(&node->tree, node->beat.parent) == NULL;
    begin(node);
    node->beat.last = *in;
    node->beat.last.hops++;
    spread(node, peer);
    if (same) {
        choose(node, peer->link);
    } else {
        node->beat.faster = peer->link;
        node->beat.switch_ms = node->mono_ms + WC_BEAT_SLACK_MS;
    }
    wc_node_run_beat(node);
}

int wc_node_on_beat(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_beat in;
    const struct wc_wire_beat *last = &node->beat.last;
    int rc = wc_wire_decode_beat(frame, &in, NULL);
    if (rc != 0 || flooding(node))
        return rc;
    int order = fresh(node) ? memcmp(in.root, last->root, sizeof(in.root)) : -1;
    if (!peer->active) {
        if (order != 0 && fresh(node))
            wc_node_court(node, peer); /* it belongs to another piece of the overlay */
        return 0;
    }
    if (order == 0 && in.number == last->number && node->beat.faster != 0 &&
        peer->link == node->beat.parent && in.hops < last->hops)
        choose(node, peer->link); /* the parent's beat came hardly later */
    bool soon = node->beat.heard_ms != 0 &&
                node->mono_ms - node->beat.heard_ms < WC_BEAT_MIN_MS;
    /* when several make themselves roots at once, the smallest is followed at once */
    if (order < 0 && soon &&
        wc_bucket_has_room(&node->beat.smaller, node->mono_ms, WC_BEAT_SMALLER_COUNT,
                           WC_BEAT_SMALLER_AN_HOUR)) {
        wc_bucket_pour(&node->beat.smaller, 1);
        soon = false;
    }
    bool newer = order < 0 || (order == 0 && in.number > last->number);
    if (newer && !soon && in.hops < WC_BEAT_HOPS_MAX)
        follow(node, peer, &in);
    return 0;
}

/* The own beat, when nobody with a smaller key has sent any. */
static void beat(struct wc_node *node)
{
    struct wc_wire_beat *last = &node->beat.last;
    memcpy(last->root, node->offices[node->self]->key, sizeof(last->root));
    last->number = node->now_ms / 1000;
    last->hops = 0;
    begin(node);
    node->beat.parent = 0;
    node->beat.faster = 0;
    node->beat.next_ms = node->mono_ms + WC_BEAT_EVERY_MS;
    spread(node, NULL);
}

void wc_node_run_beat(struct wc_node *node)
{
    bool root = memcmp(node->beat.last.root, node->offices[node->self]->key,
                       sizeof(node->beat.last.root)) == 0;
    if (node->beat.faster != 0 && node->mono_ms >= node->beat.switch_ms)
        choose(node, node->beat.faster);
    if (node->beat.settle_ms != 0 && node->mono_ms >= node->beat.settle_ms) {
        node->beat.settle_ms = 0;
        settle(node);
    }
    if (!root && fresh(node)) /* somebody else is */
        node->beat.next_ms = node->beat.heard_ms + WC_BEAT_STALE_MS +
                             wc_rng_below(&node->rng, WC_BEAT_EVERY_MS);
    if (node->mono_ms >= node->beat.next_ms) {
        if (flooding(node))
            node->beat.next_ms = node->mono_ms + WC_BEAT_EVERY_MS;
        else
            beat(node);
    }
    wc_node_due(node, WC_DUE_BEAT, node->beat.next_ms);
    if (node->beat.faster != 0)
        wc_node_due(node, WC_DUE_BEAT, node->beat.switch_ms);
    if (node->beat.settle_ms != 0)
        wc_node_due(node, WC_DUE_BEAT, node->beat.settle_ms);
}
