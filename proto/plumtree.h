/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broadcast tree that makes itself: Plumtree (Leitão, Pereira, Rodrigues, "Epidemic
 * Broadcast Trees", SRDS 2007).
 *
 * A message goes whole to the eager neighbours and by its id alone to the lazy ones. Who gets a message a second time says PRUNE to whoever sent it, and
 * both are lazy to each other from then on: what stays eager is a tree, over which each
 * message comes once. An id is remembered when its message has not come; when it still
 * has not after a while, the tree is broken somewhere, and GRAFT asks one of those who
 * have the message for it, and makes that neighbour eager again.
 *
 * The parameters:
 *
 * - MISSING_MS: how long an id waits for its message. Ids take one link; the message may
 *   take a path through the tree that is longer than the shortest by some links. Shorter
 *   than that difference, and messages come twice for nothing; longer, and a broken tree
 *   delays what it carries. Measured with 2,000 offices and links of 10 to 50 ms
 *   (docs/gossip.md).
 * - AGAIN_MS: how long the answer to a GRAFT is waited for before the next one who has it
 *   is asked: a round trip to the other side of the world.
 * - ANNOUNCERS 4: so many are remembered for each id; when all four are lost,
 *   reconciliation brings the message.
 *
 * Departures from the paper:
 *
 * - Messages carry no hop count, and the tree is not reshaped by them: with many senders
 *   each reshapes it for itself. Beats from one office shape it for all (node_beat.c).
 * - A new neighbour is lazy, unless it is the only one: it would be pruned by its first
 *   message anyway. An eager one that is lost gives its place to a lazy one at once.
 * - A neighbour that sends what came already is pruned even if it was lazy here: the two
 *   sides may disagree for a moment, when PRUNE and GRAFT cross.
 * - Ids wait a moment and travel together, as records do.
 * - While there are few offices nobody is pruned (node_broadcast.c): a flood over at most
 *   16 offices costs little, and no loss of a link delays it.
 *
 * Neighbours are numbers of the caller's, not 0. Nothing here sends.
 */
#ifndef WHOCAN_PROTO_PLUMTREE_H
#define WHOCAN_PROTO_PLUMTREE_H

#include <whocan/limits.h>

#include "proto/map.h"
#include "proto/rng.h"
#include "proto/timeline.h"
#include "proto/views.h"

#define WC_TREE_MISSING_MS    300
#define WC_TREE_AGAIN_MS      400
#define WC_TREE_ANNOUNCERS    4
#define WC_TREE_MISSING_COUNT 4096 /* beyond it reconciliation brings what is missing */
#define WC_TREE_GOT_COUNT     1024 /* what is held besides is known by its item */

struct wc_tree_peer {
    uint32_t link;
    bool eager;
    bool child;                          /* it said GRAFT since the last beat */
    uint8_t (*ids)[WC_MESSAGE_ID_BYTES]; /* to be announced */
    uint32_t ids_count, ids_cap;
};

struct wc_tree_missing {
    uint8_t id[WC_MESSAGE_ID_BYTES];
    uint32_t from[WC_TREE_ANNOUNCERS]; /* who announced it, and was not asked */
    uint32_t from_count;
    uint32_t asked; /* the last one who was sent a GRAFT, or 0 */
    bool used;
    uint32_t next_free;
};

struct wc_plumtree {
    struct wc_tree_peer peers[WC_VIEW_ACTIVE_COUNT];
    uint32_t peer_count;
    uint8_t (*got)[WC_MESSAGE_ID_BYTES]; /* a ring of the latest */
    uint32_t got_count, got_cap, got_next;
    struct wc_map got_by_id;
    struct wc_tree_missing *missing;
    uint32_t missing_count, missing_cap, missing_free;
    struct wc_map missing_by_id;
    struct wc_timeline due;
};

/* The object must stay where it is. */
void wc_plumtree_init(struct wc_plumtree *t, struct wc_rng *rng);
void wc_plumtree_fini(struct wc_plumtree *t);

/* A neighbour came, or went (true: and it was eager). At most WC_VIEW_ACTIVE_COUNT. */
void wc_plumtree_add(struct wc_plumtree *t, uint32_t link, bool eager);
bool wc_plumtree_remove(struct wc_plumtree *t, uint32_t link);
uint32_t wc_plumtree_eager_count(const struct wc_plumtree *t);
/* A lazy neighbour drawn at random, 0: there is none. */
uint32_t wc_plumtree_draw_lazy(const struct wc_plumtree *t, struct wc_rng *rng);
/* The neighbour of that number, or NULL. */
struct wc_tree_peer *wc_plumtree_peer(struct wc_plumtree *t, uint32_t link);

/* A message is here (from whomever, or made here): 1, or 0 when it was before, or
 * -WC_ENOMEM. */
int wc_plumtree_got(struct wc_plumtree *t, const uint8_t id[WC_MESSAGE_ID_BYTES]);
bool wc_plumtree_has(const struct wc_plumtree *t,
                     const uint8_t id[WC_MESSAGE_ID_BYTES]);

/* Gather an id for a lazy neighbour: -WC_ENOMEM, or how many are gathered now. */
int wc_plumtree_announce(struct wc_tree_peer *peer,
                         const uint8_t id[WC_MESSAGE_ID_BYTES]);

/* A neighbour announced a message that is not here. 0; -WC_ELIMIT: too many are missing;
 * -WC_ENOMEM. */
int wc_plumtree_ihave(struct wc_plumtree *t, uint32_t link,
                      const uint8_t id[WC_MESSAGE_ID_BYTES], uint64_t mono_ms);

struct wc_tree_graft {
    uint32_t link;   /* whom to ask; 0: nobody is left, and the id is given up */
    uint32_t silent; /* who was asked before and did not give it, or 0 */
    uint8_t id[WC_MESSAGE_ID_BYTES];
};
/* The next id that has waited long enough by now; false: there is none. Whoever is to be
 * asked is eager from now on. */
bool wc_plumtree_next(struct wc_plumtree *t, uint64_t mono_ms,
                      struct wc_tree_graft *out);
/* When the next one will have; UINT64_MAX: nothing is missing. */
uint64_t wc_plumtree_deadline(const struct wc_plumtree *t);

#endif
