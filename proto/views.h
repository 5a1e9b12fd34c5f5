/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom an office has for neighbours, and whom it would take in their place: the views of
 * HyParView (Leitão, Pereira, Rodrigues, "HyParView: a membership protocol for reliable
 * gossip-based broadcast", DSN 2007).
 *
 * The active view is small and symmetric: over its links everything is broadcast, and a
 * neighbour that is lost is noticed by its link. The passive view is larger and no more
 * than a memory: offices that were alive of late, to be dialled when a place in the
 * active view is free. It is kept fresh by shuffles, in which two neighbours exchange a
 * few of both views. Who joins is told to a contact, which sends a walk through each of
 * its neighbours; where a walk ends, the newcomer gets a neighbour.
 *
 * The parameters, for 2 offices and for 10,000:
 *
 * - WANTED 6: the paper has log10(n) + 1 = 5 for 10,000. One more, because half of all
 *   may vanish at once: an office then keeps none of its six with probability 1/64, and
 *   what is left is still one piece.
 * - MAX 8: who has six still accepts two. Without that slack an office that looks for its
 *   last neighbour asks a network in which everybody is full, and pushes others out.
 * - FEW 3: who has fewer may push others out; who has more may wait.
 * - PASSIVE 48: 8 times WANTED, above log(n) for any n that there is; when half of all
 *   vanish, some of 48 live with certainty.
 * - A shuffle has 3 active and 4 passive offices, as in the paper, and its sender is the
 *   eighth.
 * - Walks cross 6 links (the overlay of 10,000 is 6 across) and leave the newcomer in a
 *   passive view when 3 are left.
 *
 * Departures from the paper:
 *
 * - A link counts as accepted unless it is refused: one message less before the first
 *   record goes over it. The accepting side of a full office waits for the priority.
 * - An office is dialled by the addresses in its card, which it signed. Views and
 *   shuffles hold offices and never addresses: a liar cannot make others dial a stranger.
 * - A shuffle is between two neighbours and does not walk: its answer would have to go to
 *   a stranger over a link of its own, and a link costs a handshake with two signatures.
 *   Everybody knows the cards of all anyway; what a shuffle adds is who is alive, and
 *   that spreads by one link each time.
 * - A walk that ends in a full office does not push a neighbour out: the newcomer, who
 *   has few neighbours, asks for its places itself.
 * - Whom nobody has in a view is not forgotten: cards stay, and now and then one of all
 *   offices is drawn and made a neighbour (node_dial.c), which heals partitions of any
 *   length; the paper's views forget the other half.
 *
 * Offices are numbers of the caller's. Nothing here sends or dials: functions say what
 * is to be done.
 */
#ifndef WHOCAN_PROTO_VIEWS_H
#define WHOCAN_PROTO_VIEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/rng.h"

#define WC_VIEW_WANTED_COUNT  6
#define WC_VIEW_ACTIVE_COUNT  8
#define WC_VIEW_FEW_COUNT     3
#define WC_VIEW_PASSIVE_COUNT 48
#define WC_SHUFFLE_ACTIVE     3
#define WC_SHUFFLE_PASSIVE    4
#define WC_WALK_PASSIVE_TTL   3
#define WC_VIEW_NONE          UINT32_MAX

struct wc_views {
    uint32_t active[WC_VIEW_ACTIVE_COUNT];
    uint32_t passive[WC_VIEW_PASSIVE_COUNT];
    uint32_t active_count, passive_count;
};

bool wc_views_is_active(const struct wc_views *v, uint32_t office);
bool wc_views_is_passive(const struct wc_views *v, uint32_t office);
bool wc_views_full(const struct wc_views *v); /* no place in the active view is free */

/* A place in the active view. When it is full `out`, which must be in it, goes to the
 * passive view. */
void wc_views_activate(struct wc_views *v, uint32_t office, uint32_t out,
                       struct wc_rng *rng);

/* It is a neighbour no more. again: it may be one later (it parted, or we did); else it
 * is gone, and forgotten. */
void wc_views_deactivate(struct wc_views *v, uint32_t office, bool again,
                         struct wc_rng *rng);

/* An office that is alive. A full passive view forgets one drawn at random. */
void wc_views_learn(struct wc_views *v, uint32_t office, struct wc_rng *rng);

/* Out of the passive view. */
void wc_views_forget(struct wc_views *v, uint32_t office);

/* Where a walk that came from one neighbour goes on, or WC_VIEW_NONE: here it ends.
 * newcomer: whom it is about. */
uint32_t wc_views_walk(const struct wc_views *v, uint32_t from, uint32_t newcomer,
                       uint32_t ttl, struct wc_rng *rng);

/* Some of both views to tell `to`, each once: how many, at most WC_SHUFFLE_ACTIVE +
 * WC_SHUFFLE_PASSIVE. */
uint32_t wc_views_sample(const struct wc_views *v, uint32_t to,
                         uint32_t out[WC_SHUFFLE_ACTIVE + WC_SHUFFLE_PASSIVE],
                         struct wc_rng *rng);

/* What came in a shuffle. What we told in it (told) goes first when there is
 * no room. */
void wc_views_merge(struct wc_views *v, const uint32_t *came, uint32_t came_count,
                    const uint32_t *told, uint32_t told_count, struct wc_rng *rng);

#endif
