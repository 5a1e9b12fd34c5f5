/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/plumtree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/error.h>

#define NONE      UINT32_MAX
#define FIRST_CAP 16

static const uint8_t *got_id(const void *ctx, uint32_t i)
{
    return ((const struct wc_plumtree *)ctx)->got[i];
}

static const uint8_t *missing_id(const void *ctx, uint32_t i)
{
    return ((const struct wc_plumtree *)ctx)->missing[i].id;
}

void wc_plumtree_init(struct wc_plumtree *t, struct wc_rng *rng)
{
    *t = (struct wc_plumtree){.missing_free = NONE};
    wc_map_init(&t->got_by_id, WC_MESSAGE_ID_BYTES, got_id, t, rng);
    wc_map_init(&t->missing_by_id, WC_MESSAGE_ID_BYTES, missing_id, t, rng);
}

void wc_plumtree_fini(struct wc_plumtree *t)
{
    while (t->peer_count > 0)
        wc_plumtree_remove(t, t->peers[0].link);
    free(t->got);
    free(t->missing);
    wc_map_fini(&t->got_by_id);
    wc_map_fini(&t->missing_by_id);
    wc_timeline_fini(&t->due);
}

/* ---- neighbours ---- */

struct wc_tree_peer *wc_plumtree_peer(struct wc_plumtree *t, uint32_t link)
{
    for (uint32_t i = 0; link != 0 && i < t->peer_count; i++) {
        if (t->peers[i].link == link)
            return &t->peers[i];
    }
    return NULL;
}

void wc_plumtree_add(struct wc_plumtree *t, uint32_t link, bool eager)
{
    if (wc_plumtree_peer(t, link) != NULL)
        return;
    assert(t->peer_count < WC_VIEW_ACTIVE_COUNT);
    t->peers[t->peer_count++] = (struct wc_tree_peer){.link = link, .eager = eager};
}

bool wc_plumtree_remove(struct wc_plumtree *t, uint32_t link)
{
    struct wc_tree_peer *peer = wc_plumtree_peer(t, link);
    if (peer == NULL)
        return false;
    bool eager = peer->eager;
    free(peer->ids);
    *peer = t->peers[--t->peer_count];
    return eager;
}

uint32_t wc_plumtree_eager_count(const struct wc_plumtree *t)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->peer_count; i++)
        count += t->peers[i].eager;
    return count;
}

uint32_t wc_plumtree_draw_lazy(const struct wc_plumtree *t, struct wc_rng *rng)
{
    uint32_t drawn = 0;
    uint64_t count = 0;
    for (uint32_t i = 0; i < t->peer_count; i++) {
        if (!t->peers[i].eager && wc_rng_below(rng, ++count) == 0)
            drawn = t->peers[i].link;
    }
    return drawn;
}

int wc_plumtree_announce(struct wc_tree_peer *peer,
                         const uint8_t id[WC_MESSAGE_ID_BYTES])
{
    if (peer->ids_count == peer->ids_cap) {
        uint32_t cap = peer->ids_cap == 0 ? FIRST_CAP : 2 * peer->ids_cap;
        uint8_t(*ids)[WC_MESSAGE_ID_BYTES] = realloc(peer->ids, cap * sizeof(*ids));
        if (ids == NULL)
            return -WC_ENOMEM;
        peer->ids = ids;
        peer->ids_cap = cap;
    }
    memcpy(peer->ids[peer->ids_count++], id, WC_MESSAGE_ID_BYTES);
    return (int)peer->ids_count;
}

/* ---- what is missing ---- */

static void found(struct wc_plumtree *t, uint32_t i)
{
    wc_timeline_remove(&t->due, i);
    wc_map_remove(&t->missing_by_id, i);
    t->missing[i].used = false;
    t->missing[i].next_free = t->missing_free;
    t->missing_free = i;
}

static uint32_t free_place(struct wc_plumtree *t)
{
    uint32_t i = t->missing_free;
    if (i != NONE) {
        t->missing_free = t->missing[i].next_free;
        return i;
    }
    if (t->missing_count == t->missing_cap) {
        uint32_t cap = t->missing_cap == 0 ? FIRST_CAP : 2 * t->missing_cap;
        struct wc_tree_missing *missing = realloc(t->missing, cap * sizeof(*missing));
        if (missing == NULL)
            return NONE;
        t->missing = missing;
        t->missing_cap = cap;
    }
    return t->missing_count++;
}

/* One more who has it; of more than there is room for the first ones stay. */
static void also(struct wc_tree_missing *m, uint32_t link)
{
    for (uint32_t i = 0; i < m->from_count; i++) {
        if (m->from[i] == link)
            return;
    }
    if (m->from_count < WC_TREE_ANNOUNCERS && m->asked != link)
        m->from[m->from_count++] = link;
}

int wc_plumtree_ihave(struct wc_plumtree *t, uint32_t link,
                      const uint8_t id[WC_MESSAGE_ID_BYTES], uint64_t mono_ms)
{
    uint32_t i = wc_map_find(&t->missing_by_id, id);
    if (i != WC_MAP_NONE) {
        also(&t->missing[i], link);
        return 0;
    }
    if (t->missing_by_id.count == WC_TREE_MISSING_COUNT)
        return -WC_ELIMIT;
    i = free_place(t);
    if (i == NONE)
        return -WC_ENOMEM;
    struct wc_tree_missing *m = &t->missing[i];
    *m = (struct wc_tree_missing){.used = true};
    memcpy(m->id, id, WC_MESSAGE_ID_BYTES);
    also(m, link);
    if (wc_map_add(&t->missing_by_id, i) != 0 ||
        wc_timeline_set(&t->due, i, mono_ms + WC_TREE_MISSING_MS) != 0)
        return -WC_ENOMEM;
    return 0;
}

bool wc_plumtree_next(struct wc_plumtree *t, uint64_t mono_ms,
                      struct wc_tree_graft *out)
{
    struct wc_timeline_entry first;
    if (!wc_timeline_first(&t->due, &first) || first.due_ms > mono_ms)
        return false;
    struct wc_tree_missing *m = &t->missing[first.id];
    struct wc_tree_peer *peer = NULL;
    memcpy(out->id, m->id, WC_MESSAGE_ID_BYTES);
    out->silent = m->asked;
    while (m->from_count > 0 && peer == NULL) {
        peer = wc_plumtree_peer(t, m->from[0]);
        m->from_count--;
        memmove(m->from, m->from + 1, m->from_count * sizeof(*m->from));
    }
    out->link = peer == NULL ? 0 : peer->link;
    if (peer == NULL) {
        found(t, first.id);
        return true;
    }
    peer->eager = true;
    m->asked = peer->link;
    /* the place in the heap exists: nothing is allocated */
    (void)wc_timeline_set(&t->due, first.id, mono_ms + WC_TREE_AGAIN_MS);
    return true;
}

uint64_t wc_plumtree_deadline(const struct wc_plumtree *t)
{
    struct wc_timeline_entry first;
    return wc_timeline_first(&t->due, &first) ? first.due_ms : UINT64_MAX;
}

/* ---- what is here ---- */

bool wc_plumtree_has(const struct wc_plumtree *t, const uint8_t id[WC_MESSAGE_ID_BYTES])
{
    return wc_map_find(&t->got_by_id, id) != WC_MAP_NONE;
}

/* A place in the ring for one more, the oldest's when it is full; NONE: memory is out. */
static uint32_t ring_place(struct wc_plumtree *t)
{
    if (t->got_count == t->got_cap && t->got_cap < WC_TREE_GOT_COUNT) {
        uint32_t cap = t->got_cap == 0 ? FIRST_CAP : 2 * t->got_cap;
        uint8_t(*got)[WC_MESSAGE_ID_BYTES] = realloc(t->got, cap * sizeof(*got));
        if (got == NULL)
            return NONE;
        t->got = got;
        t->got_cap = cap;
    }
    if (t->got_count < t->got_cap)
        return t->got_count++;
    uint32_t i = t->got_next;
    t->got_next = (i + 1) % WC_TREE_GOT_COUNT;
    wc_map_remove(&t->got_by_id, i);
    return i;
}

int wc_plumtree_got(struct wc_plumtree *t, const uint8_t id[WC_MESSAGE_ID_BYTES])
{
    if (wc_plumtree_has(t, id))
        return 0;
    uint32_t missing = wc_map_find(&t->missing_by_id, id);
    if (missing != WC_MAP_NONE)
        found(t, missing);
    uint32_t i = ring_place(t);
    if (i == NONE)
        return -WC_ENOMEM;
    memcpy(t->got[i], id, WC_MESSAGE_ID_BYTES);
    return wc_map_add(&t->got_by_id, i) == 0 ? 1 : -WC_ENOMEM;
}
