/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that are held: what is known of each without reading the store, the sets
 * for reconciliation, and the dates. One date stands for each record: an own record is
 * stamped again at half its lease; any record is hidden when it expires and dropped a
 * day later.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

static const uint8_t *held_slot(const void *ctx, uint32_t id)
{
    const struct wc_node *node = ctx;
    return node->held[id].slot;
}

int wc_node_held_init(struct wc_node *node)
{
    wc_map_init(&node->held_by_slot, WC_DIGEST_BYTES, held_slot, node, &node->rng);
    node->held_free = WC_NONE;
    return 0;
}

void wc_node_held_fini(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->held_count; i++) {
        if (node->held[i].used)
            free(node->held[i].subject);
    }
    free(node->held);
    wc_map_fini(&node->held_by_slot);
    wc_timeline_fini(&node->dates);
    for (int i = 0; i < WC_SETS_COUNT; i++)
        wc_itemset_fini(&node->sets[i]);
}

uint32_t wc_node_held_find(const struct wc_node *node,
                           const uint8_t slot[WC_DIGEST_BYTES])
{
    return wc_map_find(&node->held_by_slot, slot);
}

uint8_t wc_node_set_of(uint8_t slot_kind)
{
    return slot_kind == WC_KIND_CARD || wc_kind_by_organisation(slot_kind) ? 0 : 1;
}

int wc_node_quota_set(uint8_t kind)
{
    if (kind == WC_KIND_CARD || wc_kind_by_organisation(kind))
        return -1;
    return kind == WC_KIND_ROW       ? WC_QUOTA_ROWS
           : kind == WC_KIND_PROFILE ? WC_QUOTA_PROFILES
                                     : WC_QUOTA_REST;
}

/* ---- in and out of the sets ---- */

static void show(struct wc_node *node, uint32_t id)
{
    struct wc_held *h = &node->held[id];
    uint8_t item[WC_ITEM_BYTES];
    struct wc_office *o = node->offices[h->office];
    int set = wc_node_quota_set(h->kind);
    wc_record_item(h->slot, &h->version, node->identity->org.secret, item);
    int rc = wc_itemset_insert(&node->sets[wc_node_set_of(h->slot_kind)], item, id);
    if (rc == 0 && set >= 0)
        rc = wc_itemset_insert(&o->counted[set], h->slot, id);
    assert(rc != -WC_EEXISTS);
    wc_itemset_remove(&o->hidden, h->slot);
    h->hidden = false;
    if (rc != 0)
        wc_node_fail(node);
}

/* Out of all sets. */
static void leave(struct wc_node *node, uint32_t id)
{
    struct wc_held *h = &node->held[id];
    struct wc_office *o = node->offices[h->office];
    uint8_t item[WC_ITEM_BYTES];
    int set = wc_node_quota_set(h->kind);
    if (h->hidden) {
        wc_itemset_remove(&o->hidden, h->slot);
        return;
    }
    wc_record_item(h->slot, &h->version, node->identity->org.secret, item);
    wc_itemset_remove(&node->sets[wc_node_set_of(h->slot_kind)], item);
    if (set >= 0)
        wc_itemset_remove(&o->counted[set], h->slot);
    h->hidden = true;
}

/* Out of the sets that are compared and counted, but kept. */
static void hide(struct wc_node *node, uint32_t id)
{
    struct wc_held *h = &node->held[id];
    leave(node, id);
    if (wc_itemset_insert(&node->offices[h->office]->hidden, h->slot, id) == -WC_ENOMEM)
        wc_node_fail(node);
}

static void set_date(struct wc_node *node, uint32_t id, uint64_t due_ms)
{
    if (due_ms == WC_NEVER)
        wc_timeline_remove(&node->dates, id);
    else if (wc_timeline_set(&node->dates, id, due_ms) != 0)
        wc_node_fail(node);
    wc_node_expiry_soon(node);
}

/* ---- places ---- */

static uint32_t take_place(struct wc_node *node)
{
    if (node->held_free != WC_NONE) {
        uint32_t id = node->held_free;
        node->held_free = node->held[id].office;
        return id;
    }
    if (node->held_count == node->held_cap) {
        uint32_t cap = node->held_cap == 0 ? 16 : 2 * node->held_cap;
        struct wc_held *held = realloc(node->held, cap * sizeof(*held));
        if (held == NULL)
            return WC_NONE;
        node->held = held;
        node->held_cap = cap;
    }
    return node->held_count++;
}

static void give_place(struct wc_node *node, uint32_t id)
{
    node->held[id] = (struct wc_held){.office = node->held_free};
    node->held_free = id;
}

/* A place for a slot that is not held. */
static uint32_t add_slot(struct wc_node *node, const struct wc_record *r,
                         const uint8_t slot[WC_DIGEST_BYTES], uint32_t office)
{
    char *subject = wc_slice_dup(wc_slice_text(r->subject));
    uint32_t id = subject == NULL ? WC_NONE : take_place(node);
    if (id == WC_NONE) {
        free(subject);
        return WC_NONE;
    }
    node->held[id] = (struct wc_held){.subject = subject,
                                      .office = office,
                                      .slot_kind = r->slot_kind,
                                      .hidden = true,
                                      .used = true};
    memcpy(node->held[id].slot, slot, WC_DIGEST_BYTES);
    if (wc_map_add(&node->held_by_slot, id) != 0) {
        free(subject);
        give_place(node, id);
        return WC_NONE;
    }
    node->offices[office]->held_count++;
    return id;
}

/* Whom it is about: a retirement takes the name away, and who comes back has one again. */
static bool name(struct wc_held *h, const struct wc_record *r)
{
    if (strcmp(h->subject, r->subject) == 0)
        return true;
    char *subject = wc_slice_dup(wc_slice_text(r->subject));
    if (subject == NULL)
        return false;
    free(h->subject);
    h->subject = subject;
    return true;
}

void wc_node_hold(struct wc_node *node, const struct wc_record *r,
                  const uint8_t slot[WC_DIGEST_BYTES], uint32_t office)
{
    uint32_t id = wc_node_held_find(node, slot);
    if (id != WC_NONE)
        leave(node, id);
    else
        id = add_slot(node, r, slot, office);
    if (id == WC_NONE || !name(&node->held[id], r)) {
        wc_node_fail(node);
        return;
    }
    struct wc_held *h = &node->held[id];
    h->kind = r->kind;
    h->version = r->version;
    h->stamped_at_ms = r->stamped_at_ms;
    h->expires_at_ms = r->expires_at_ms;
    h->ended = false;
    h->since_s = (uint32_t)(node->mono_ms / 1000);
    if (node->now_ms < r->expires_at_ms) {
        show(node, id);
        bool own = office == node->self && !wc_kind_by_organisation(r->kind);
        set_date(node, id, own ? wc_node_restamp_due(node, h) : r->expires_at_ms);
    } else { /* only when records are loaded */
        hide(node, id);
        set_date(node, id, node->now_ms + WC_EXPIRED_AT_START_MS);
    }
}

void wc_node_unhold(struct wc_node *node, uint32_t id, bool drop)
{
    struct wc_held *h = &node->held[id];
    struct wc_effect *e = drop ? wc_node_effect(node, WC_EFFECT_DROP) : NULL;
    if (e != NULL) {
        memcpy(e->u.drop.slot, h->slot, WC_DIGEST_BYTES);
        e->u.drop.kind = h->slot_kind;
        memcpy(e->u.drop.office_key, node->offices[h->office]->key, WC_KEY_BYTES);
        wc_slice_copy(wc_slice_text(h->subject), e->u.drop.subject,
                      sizeof(e->u.drop.subject));
    }
    leave(node, id);
    wc_timeline_remove(&node->dates, id);
    wc_map_remove(&node->held_by_slot, id);
    node->offices[h->office]->held_count--;
    free(h->subject);
    give_place(node, id);
}

void wc_node_drop_statements(struct wc_node *node)
{
    for (uint32_t id = 0; id < node->held_count; id++) {
        uint8_t kind = node->held[id].kind;
        if (node->held[id].used && (kind == WC_KIND_REVOKE || kind == WC_KIND_GRANT))
            wc_node_unhold(node, id, true);
    }
}

void wc_node_unhide(struct wc_node *node, uint32_t id)
{
    struct wc_held *h = &node->held[id];
    if (!h->hidden || node->now_ms >= h->expires_at_ms)
        return;
    show(node, id);
    if (h->kind == WC_KIND_CARD && !node->offices[h->office]->revoked)
        node->offices[h->office]->has_card = true;
    set_date(node, id, h->expires_at_ms);
}

/* ---- dates ---- */

void wc_node_expiry_soon(struct wc_node *node)
{
    struct wc_timeline_entry first;
    if (!wc_timeline_first(&node->dates, &first))
        return;
    uint64_t wait = first.due_ms > node->now_ms ? first.due_ms - node->now_ms : 0;
    if (wait > WC_EXPIRY_LOOK_MS)
        wait = WC_EXPIRY_LOOK_MS;
    wc_node_due(node, WC_DUE_EXPIRY, node->mono_ms + wait);
}

static bool restampable(const struct wc_node *node, const struct wc_held *h)
{
    return h->office == node->self &&
           (h->kind == WC_KIND_CARD || h->kind == WC_KIND_ROW ||
            h->kind == WC_KIND_PROFILE);
}

/* Whether the date of this record is that of stamping it again. */
static bool restamps(const struct wc_node *node, const struct wc_held *h)
{
    return restampable(node, h) && node->now_ms < h->expires_at_ms;
}

/* It ended because the own certificate did. Nobody meant to lose it: it stays, unseen,
 * until the certificate is renewed. */
static bool ended_with_us(const struct wc_node *node, const struct wc_held *h)
{
    return restampable(node, h) && wc_node_may_stamp(node) == -WC_EEXPIRED &&
           h->expires_at_ms >= node->identity->cert.not_after_ms;
}

void wc_node_lengthen(struct wc_node *node, uint64_t former_end_ms)
{
    for (uint32_t id = 0; id < node->held_count; id++) {
        struct wc_held *h = &node->held[id];
        bool cut = h->expires_at_ms >= former_end_ms ||
                   h->expires_at_ms > node->identity->cert.not_after_ms;
        if (!h->used || !restampable(node, h) || !cut)
            continue;
        h->ended = h->hidden;
        set_date(node, id, h->hidden ? node->now_ms : wc_node_restamp_due(node, h));
    }
}

static void expire(struct wc_node *node, uint32_t id)
{
    struct wc_held *h = &node->held[id];
    hide(node, id);
    if (h->kind == WC_KIND_CARD)
        wc_node_office_uncard(node, h->office);
    /* a day from now and not from its date: the clock may have been wrong until now */
    set_date(node, id, node->now_ms + WC_EXPIRED_KEEP_MS);
    /* an office that lets its records end within moments may not fill the disk with what
     * is over: no more of it is kept than it may have at once */
    struct wc_office *o = node->offices[node->held[id].office];
    struct wc_item last;
    if (o != node->offices[node->self] &&
        wc_itemset_count(&o->hidden) >
            2 * (uint64_t)o->cert.quota + wc_node_quota(o, WC_QUOTA_REST) + 1 &&
        wc_itemset_last(&o->hidden, &last))
        wc_node_unhold(node, last.value, true);
}

static void delete_expired(struct wc_node *node, uint32_t id)
{
    uint32_t office = node->held[id].office;
    uint8_t kind = node->held[id].kind;
    wc_node_unhold(node, id, true);
    /* without its card or a grant an office is unknown to whoever comes new: its records
     * go with it, so that all hold the same */
    if ((kind == WC_KIND_CARD || kind == WC_KIND_GRANT) && office != node->self &&
        node->offices[office]->link == 0 && !node->offices[office]->has_card &&
        !wc_node_has_grant(node, office))
        wc_node_office_purge(node, office);
    wc_node_office_release(node, office);
}

static void due_restamp(struct wc_node *node, uint32_t id, uint32_t *left)
{
    uint64_t expires_at_ms = node->held[id].expires_at_ms;
    uint64_t next = expires_at_ms;
    bool alone = wc_node_offices_count(node) <= 1;
    bool of_future = node->held[id].stamped_at_ms > node->now_ms + WC_FUTURE_SLACK_MS;
    if (*left == 0)
        next = node->now_ms + 1;
    else if (!node->reconciled && !alone && !node->alone && !of_future)
        /* the store may be an old backup: newer versions would be among the others */
        next = node->now_ms + WC_EXPIRY_LOOK_MS;
    else {
        (*left)--;
        int rc = wc_node_restamp(node, id);
        if (rc != 0 && rc != -WC_ELEASE)
            next = node->now_ms + WC_RESTAMP_RETRY_MS;
    }
    set_date(node, id, next < expires_at_ms ? next : expires_at_ms);
}

/* A new stamp brings it back when it is stored. */
static void revive(struct wc_node *node, uint32_t id, uint32_t *left)
{
    uint64_t next = node->now_ms + WC_RESTAMP_RETRY_MS;
    if (*left == 0) {
        next = node->now_ms + 1;
    } else {
        (*left)--;
        wc_node_restamp(node, id);
    }
    set_date(node, id, next);
}

void wc_node_run_expiry(struct wc_node *node)
{
    struct wc_timeline_entry first;
    uint32_t restamps_left = WC_RESTAMP_STEP_COUNT;
    if (node->clock_off) { /* expires nothing */
        wc_node_due(node, WC_DUE_EXPIRY, node->mono_ms + WC_EXPIRY_LOOK_MS);
        return;
    }
    for (int i = 0; i < WC_EXPIRY_STEP_COUNT; i++) {
        if (!wc_timeline_first(&node->dates, &first) || first.due_ms > node->now_ms)
            break;
        const struct wc_held *h = &node->held[first.id];
        if (h->hidden && h->ended)
            revive(node, first.id, &restamps_left);
        else if (h->hidden && ended_with_us(node, h))
            set_date(node, first.id, node->now_ms + WC_EXPIRED_KEEP_MS);
        else if (h->hidden)
            delete_expired(node, first.id);
        else if (restamps(node, h))
            due_restamp(node, first.id, &restamps_left);
        else if (node->now_ms >= h->expires_at_ms)
            expire(node, first.id);
        else
            set_date(node, first.id, h->expires_at_ms);
    }
    wc_node_expiry_soon(node);
}

void wc_node_clock_set_back(struct wc_node *node)
{
    for (uint32_t id = 0; id < node->held_count; id++) {
        struct wc_held *h = &node->held[id];
        if (!h->used)
            continue;
        wc_node_unhide(node, id);
        /* nobody believes what we stamped in the future */
        if (restamps(node, h) && h->stamped_at_ms > node->now_ms + WC_FUTURE_SLACK_MS)
            set_date(node, id, node->now_ms);
    }
}
