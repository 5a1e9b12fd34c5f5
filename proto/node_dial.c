/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses to dial. Configured peers and what beacons said until it is known who
 * is there, and whenever there are too few neighbours. What a name server said, one after
 * the other in its order, until one was reached, and then as these. What worked before the
 * last stop, and then offices of the passive view, and then all that are known, drawn at
 * random, until there are enough neighbours. And now and then a random office more, which
 * takes the place of another neighbour: so that two halves that lost each other meet
 * again, for nobody is ever forgotten. One that could not be reached is tried more often:
 * while it is away that costs no byte, and when it is back the halves meet within seconds.
 *
 * What fails is tried again later and later, each time at a moment drawn from the whole
 * wait (Brooker, "Exponential Backoff And Jitter", 2015: full jitter), so that those who
 * lost the same office do not come back to it together. And whatever there is to dial,
 * there are so many dials at once and so many in the long run: no list, record or beacon
 * makes an office knock at more doors.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

static uint64_t backoff(struct wc_node *node, uint32_t failures)
{
    uint32_t doublings = failures <= 1 ? 0 : failures - 1;
    uint64_t wait = doublings > 8 ? WC_DIAL_BACKOFF_MAX_MS
                                  : (uint64_t)WC_DIAL_BACKOFF_MS << doublings;
    if (wait > WC_DIAL_BACKOFF_MAX_MS)
        wait = WC_DIAL_BACKOFF_MAX_MS;
    return 1 + wc_rng_below(&node->rng, wait);
}

/* ---- what came of a dial ---- */

static struct wc_dial *find_dial(struct wc_node *node, uint32_t number)
{
    for (int i = 0; number != 0 && i < WC_NODE_DIALS_COUNT; i++) {
        if (node->dials[i].number == number)
            return &node->dials[i];
    }
    return NULL;
}

static void join_failed(struct wc_node *node, struct wc_join *join)
{
    if (join->failures < UINT32_MAX)
        join->failures++;
    uint64_t wait = backoff(node, join->failures);
    if (node->views.active_count >= WC_VIEW_WANTED_COUNT && wait < WC_DIAL_CALM_MS)
        wait += WC_DIAL_CALM_MS;
    join->due_ms = node->mono_ms + wait;
}

static void office_failed(struct wc_node *node, struct wc_office *o)
{
    if (o->dial_failures < UINT32_MAX)
        o->dial_failures++;
    o->dial_due_ms = node->mono_ms + backoff(node, o->dial_failures);
    uint64_t until_ms;
    if (wc_node_shunned(node, o->key, &until_ms) && until_ms > o->dial_due_ms)
        o->dial_due_ms = until_ms;
}

/* A dial ended at an office, or (WC_NONE) nowhere. */
static void dial_ended(struct wc_node *node, struct wc_dial *dial, uint32_t office)
{
    if (dial->join) {
        struct wc_join *join = wc_node_join_find(node, dial->address);
        if (join != NULL && office == WC_NONE) {
            join_failed(node, join);
        } else if (join != NULL) {
            join->self = office == node->self;
            join->known = true;
            memcpy(join->office_key, node->offices[office]->key, WC_KEY_BYTES);
        }
    } else {
        uint32_t meant = wc_node_office_find(node, dial->office_key);
        if (meant != WC_NONE) {
            node->offices[meant]->dialled = false;
            if (meant != office) {
                wc_views_forget(&node->views, meant);
                office_failed(node, node->offices[meant]);
                node->offices[meant]->unreached = true;
                node->offices[meant]->dial_next++;
                wc_node_answers_unreached(node, dial->office_key);
            }
        }
    }
    dial->number = 0;
    wc_node_due(node, WC_DUE_DIAL, node->mono_ms);
}

void wc_node_dial_failed(struct wc_node *node, uint32_t number)
{
    struct wc_dial *dial = find_dial(node, number);
    if (dial != NULL)
        dial_ended(node, dial, WC_NONE);
}

void wc_node_dial_up(struct wc_node *node, uint32_t number, uint32_t office, bool *join,
                     bool *explore)
{
    struct wc_dial *dial = find_dial(node, number);
    if (dial == NULL)
        return;
    *join = dial->join;
    *explore = dial->explore;
    dial_ended(node, dial, office);
}

void wc_node_dial_lost(struct wc_node *node, uint32_t office, bool good)
{
    struct wc_office *o = node->offices[office];
    wc_node_due(node, WC_DUE_DIAL, node->mono_ms);
    if (o->link != 0)
        return;           /* one of two links to it */
    o->unreached = false; /* it was there a moment ago */
    if (good)
        o->dial_failures = 0;
    office_failed(node, o);
    for (uint32_t i = 0; i < node->join_count; i++) {
        struct wc_join *join = &node->joins[i];
        if (!join->known || memcmp(join->office_key, o->key, WC_KEY_BYTES) != 0)
            continue;
        if (good)
            join->failures = 0;
        join_failed(node, join);
        if (o->dial_due_ms > join->due_ms)
            join->due_ms = o->dial_due_ms;
    }
}

/* ---- dialling ---- */

static bool in_flight(const struct wc_node *node, const char *address)
{
    for (int i = 0; i < WC_NODE_DIALS_COUNT; i++) {
        if (node->dials[i].number != 0 && strcmp(node->dials[i].address, address) == 0)
            return true;
    }
    return false;
}

static uint32_t in_flight_count(const struct wc_node *node)
{
    uint32_t count = 0;
    for (int i = 0; i < WC_NODE_DIALS_COUNT; i++)
        count += node->dials[i].number != 0;
    return count;
}

/* A place for one more, or NULL: as many are under way as may be, or there were too many
 * of late. */
static struct wc_dial *free_dial(struct wc_node *node)
{
    if (!wc_bucket_has_room(&node->dialled, node->mono_ms, WC_DIALS_BRIM_COUNT,
                            WC_DIALS_AN_HOUR)) {
        wc_node_due(node, WC_DUE_DIAL, node->mono_ms + WC_DIALS_PACE_MS);
        return NULL;
    }
    for (int i = 0; i < WC_NODE_DIALS_COUNT; i++) {
        if (node->dials[i].number == 0)
            return &node->dials[i];
    }
    return NULL;
}

/* Begin a dial; NULL when there may be no more. */
static struct wc_dial *dial(struct wc_node *node, const char *address)
{
    struct wc_dial *d = free_dial(node);
    struct wc_effect *e = d == NULL ? NULL : wc_node_effect(node, WC_EFFECT_DIAL);
    if (e == NULL)
        return NULL;
    wc_bucket_pour(&node->dialled, 1);
    *d = (struct wc_dial){0};
    if (++node->next_dial == 0)
        node->next_dial = 1;
    d->number = node->next_dial;
    wc_slice_copy(wc_slice_text(address), d->address, sizeof(d->address));
    e->u.dial.dial = d->number;
    memcpy(e->u.dial.address, d->address, sizeof(d->address));
    return d;
}

/* Whether one of the name server's offices was reached, or is being dialled. */
static bool srv_reached(const struct wc_node *node, bool dialling)
{
    for (uint32_t i = 0; i < node->join_count; i++) {
        const struct wc_join *join = &node->joins[i];
        if (join->how == WC_HINT_SRV &&
            (dialling ? in_flight(node, join->address) : join->known || join->self))
            return true;
    }
    return false;
}

/* Whether an address is worth a dial now, but for its wait. */
static bool join_wanted(const struct wc_node *node, const struct wc_join *join)
{
    bool enough = node->views.active_count >= WC_VIEW_WANTED_COUNT;
    uint32_t office =
        join->known ? wc_node_office_find(node, join->office_key) : WC_NONE;
    const struct wc_office *o = office == WC_NONE ? NULL : node->offices[office];
    bool new_here = join->how == WC_HINT_BEACON && (o == NULL || !o->has_card);
    if (join->self || in_flight(node, join->address) ||
        (o != NULL && (o->link != 0 || o->revoked || (enough && !new_here))))
        return false;
    switch (join->how) {
    case WC_HINT_CONFIGURED:
    case WC_HINT_BEACON:
        return true;
    case WC_HINT_SRV:
        return !srv_reached(node, true) && (!enough || !srv_reached(node, false));
    case WC_HINT_CACHE:
        return node->views.active_count + in_flight_count(node) < WC_VIEW_WANTED_COUNT;
    }
    return false;
}

static void dial_joins(struct wc_node *node)
{
    wc_node_hints_tidy(node);
    for (uint32_t i = 0; i < node->join_count; i++) {
        struct wc_join *join = &node->joins[i];
        if (!join_wanted(node, join))
            continue;
        if (join->due_ms > node->mono_ms) {
            wc_node_due(node, WC_DUE_DIAL, join->due_ms);
            continue;
        }
        struct wc_dial *d = dial(node, join->address);
        if (d == NULL)
            return;
        d->join = true;
    }
}

/* The address to try next of an office that may be dialled at all, or NULL. */
static const char *next_address(const struct wc_node *node, uint32_t office)
{
    const struct wc_office *o = node->offices[office];
    if (o == NULL || office == node->self || !o->has_card || o->revoked ||
        o->superseded || o->link != 0 || o->dialled || o->address_count == 0)
        return NULL;
    const char *address = o->addresses;
    for (uint32_t i = 0; i < o->dial_next % o->address_count; i++)
        address += strlen(address) + 1;
    return in_flight(node, address) ? NULL : address;
}

/* One of the passive view that may be dialled now, each alike, or WC_NONE. Who can never
 * be dialled has no place there. */
static uint32_t draw_passive(struct wc_node *node)
{
    struct wc_views *v = &node->views;
    uint32_t drawn = WC_NONE, count = 0;
    for (uint32_t i = v->passive_count; i-- > 0;) {
        const struct wc_office *o = node->offices[v->passive[i]];
        if (!o->has_card || o->revoked || o->superseded)
            wc_views_forget(v, v->passive[i]);
        else if (next_address(node, v->passive[i]) != NULL &&
                 o->dial_due_ms <= node->mono_ms &&
                 wc_rng_below(&node->rng, ++count) == 0)
            drawn = v->passive[i];
    }
    return drawn;
}

/* One of the offices that may be dialled now, each alike, or WC_NONE. */
static uint32_t draw_office(struct wc_node *node)
{
    uint32_t drawn = WC_NONE, count = 0;
    for (uint32_t i = 0; i < node->offices_cap; i++) {
        if (next_address(node, i) == NULL)
            continue;
        if (node->offices[i]->dial_due_ms > node->mono_ms)
            wc_node_due(node, WC_DUE_DIAL, node->offices[i]->dial_due_ms);
        else if (wc_rng_below(&node->rng, ++count) == 0)
            drawn = i;
    }
    return drawn;
}

static bool dial_office(struct wc_node *node, uint32_t office, bool explore)
{
    struct wc_dial *d =
        office == WC_NONE ? NULL : dial(node, next_address(node, office));
    if (d == NULL)
        return false;
    d->explore = explore;
    memcpy(d->office_key, node->offices[office]->key, WC_KEY_BYTES);
    node->offices[office]->dialled = true;
    return true;
}

bool wc_node_dial_known(struct wc_node *node, uint32_t office)
{
    if (node->offices[office]->dialled)
        return true;
    return next_address(node, office) != NULL &&
           node->offices[office]->dial_due_ms <= node->mono_ms &&
           dial_office(node, office, false);
}

static void explore(struct wc_node *node)
{
    if (node->mono_ms >= node->explore_ms) {
        node->explore_ms = node->mono_ms + WC_DIAL_EXPLORE_MS / 2 +
                           wc_rng_below(&node->rng, WC_DIAL_EXPLORE_MS);
        dial_office(node, draw_office(node), true);
    }
    wc_node_due(node, WC_DUE_DIAL, node->explore_ms);
}

/* One that could not be reached, more often than any other: what parted us is over, or was
 * not its end. All offices together do this as often, however many they are. */
static void probe(struct wc_node *node)
{
    uint64_t every_ms = (uint64_t)node->by_name_count * WC_DIAL_PROBE_OFFICE_MS;
    uint32_t drawn = WC_NONE, count = 0;
    if (every_ms < WC_DIAL_PROBE_MIN_MS)
        every_ms = WC_DIAL_PROBE_MIN_MS;
    if (every_ms > WC_DIAL_EXPLORE_MS)
        every_ms = WC_DIAL_EXPLORE_MS;
    if (node->mono_ms >= node->probe_ms) {
        node->probe_ms =
            node->mono_ms + every_ms / 2 + wc_rng_below(&node->rng, every_ms);
        for (uint32_t i = 0; i < node->offices_cap; i++) {
            if (next_address(node, i) != NULL && node->offices[i]->unreached &&
                node->offices[i]->dial_due_ms <= node->mono_ms &&
                wc_rng_below(&node->rng, ++count) == 0)
                drawn = i;
        }
        dial_office(node, drawn, true);
    }
    wc_node_due(node, WC_DUE_DIAL, node->probe_ms);
}

/* Until there are neighbours enough; who was refused waits a little. */
static void fill(struct wc_node *node)
{
    if (node->views.active_count >= WC_VIEW_WANTED_COUNT)
        return;
    wc_node_promote(node);
    if (node->mono_ms < node->fill_ms && node->views.active_count > 0) {
        wc_node_due(node, WC_DUE_DIAL, node->fill_ms);
        return;
    }
    while (node->views.active_count + in_flight_count(node) < WC_VIEW_WANTED_COUNT) {
        uint32_t office = draw_passive(node);
        if (!dial_office(node, office != WC_NONE ? office : draw_office(node), false))
            break;
    }
}

void wc_node_run_dial(struct wc_node *node)
{
    if (node->own_revoked)
        return;
    dial_joins(node);
    fill(node);
    explore(node);
    probe(node);
}
