/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is known. An office is known by its key. Its certificate comes in its card, or
 * from the handshake of a link to it, whichever was first; of several certificates for
 * one key the highest serial counts. Two keys with one name (a machine was lost, its
 * office invited anew): the certificate with the higher serial is the current office of
 * that name, the other one is superseded until it is revoked or its card expires.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

#define FIRST_OFFICES 8

static const uint8_t *office_key(const void *ctx, uint32_t id)
{
    const struct wc_node *node = ctx;
    return node->offices[id]->key;
}

int wc_node_offices_init(struct wc_node *node)
{
    wc_map_init(&node->offices_by_key, WC_KEY_BYTES, office_key, node, &node->rng);
    node->self = wc_node_office_add(node, node->identity->cert.sign_key);
    if (node->self == WC_NONE)
        return -WC_ENOMEM;
    wc_node_office_certify(node, node->self, &node->identity->cert);
    return node->failed ? -WC_ENOMEM : 0;
}

static void office_free(struct wc_office *o)
{
    if (o == NULL)
        return;
    free(o->addresses);
    free(o->erased);
    for (int i = 0; i < WC_QUOTA_SETS_COUNT; i++)
        wc_itemset_fini(&o->counted[i]);
    wc_itemset_fini(&o->hidden);
    free(o);
}

void wc_node_offices_fini(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->offices_cap; i++)
        office_free(node->offices[i]);
    free(node->offices);
    free(node->by_name);
    wc_map_fini(&node->offices_by_key);
}

uint32_t wc_node_office_find(const struct wc_node *node,
                             const uint8_t key[WC_KEY_BYTES])
{
    return wc_map_find(&node->offices_by_key, key);
}

/* Room for one more office: its index, and a place in the order of names. */
static uint32_t free_place(struct wc_node *node)
{
    /* without holes the first free place is the one after the last */
    for (uint32_t k = 0; k < node->offices_cap; k++) {
        uint32_t i = (node->offices_by_key.count + k) % node->offices_cap;
        if (node->offices[i] == NULL)
            return i;
    }
    uint32_t cap = node->offices_cap == 0 ? FIRST_OFFICES : 2 * node->offices_cap;
    struct wc_office **offices =
        realloc(node->offices, cap * sizeof(struct wc_office *));
    if (offices == NULL)
        return WC_NONE;
    node->offices = offices;
    uint32_t *by_name = realloc(node->by_name, cap * sizeof(*by_name));
    if (by_name == NULL)
        return WC_NONE;
    node->by_name = by_name;
    memset(offices + node->offices_cap, 0,
           (cap - node->offices_cap) * sizeof(struct wc_office *));
    uint32_t place = node->offices_cap;
    node->offices_cap = cap;
    return place;
}

uint32_t wc_node_office_add(struct wc_node *node, const uint8_t key[WC_KEY_BYTES])
{
    uint32_t id = wc_node_office_find(node, key);
    if (id != WC_NONE)
        return id;
    id = free_place(node);
    struct wc_office *o = id == WC_NONE ? NULL : calloc(1, sizeof(*o));
    if (o == NULL) {
        wc_node_fail(node);
        return WC_NONE;
    }
    memcpy(o->key, key, WC_KEY_BYTES);
    node->offices[id] = o;
    if (wc_map_add(&node->offices_by_key, id) != 0) {
        node->offices[id] = NULL;
        office_free(o);
        wc_node_fail(node);
        return WC_NONE;
    }
    return id;
}

/* ---- names ---- */

/* By name; of one name the current office first, that is the highest serial. */
static int name_order(const struct wc_office *a, const struct wc_office *b)
{
    int order = strcmp(a->cert.name, b->cert.name);
    if (order != 0)
        return order;
    if (a->cert.serial != b->cert.serial)
        return a->cert.serial > b->cert.serial ? -1 : 1;
    return memcmp(a->key, b->key, WC_KEY_BYTES);
}

static uint32_t name_place(const struct wc_node *node, const struct wc_office *o)
{
    uint32_t low = 0, high = node->by_name_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (name_order(node->offices[node->by_name[middle]], o) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first that is not revoked is current, those after it are superseded. */
static void name_rank(struct wc_node *node, const char *name)
{
    struct wc_office first = {.cert.serial = UINT64_MAX};
    bool current = false;
    wc_slice_copy(wc_slice_text(name), first.cert.name, sizeof(first.cert.name));
    for (uint32_t i = name_place(node, &first); i < node->by_name_count; i++) {
        struct wc_office *o = node->offices[node->by_name[i]];
        if (strcmp(o->cert.name, name) != 0)
            break;
        o->superseded = current;
        current = current || !o->revoked;
    }
}

static void name_remove(struct wc_node *node, uint32_t office)
{
    struct wc_office *o = node->offices[office];
    char name[WC_OFFICE_NAME_MAX_BYTES + 1];
    uint32_t at = name_place(node, o);
    assert(at < node->by_name_count && node->by_name[at] == office);
    node->by_name_count--;
    memmove(&node->by_name[at], &node->by_name[at + 1],
            (node->by_name_count - at) * sizeof(*node->by_name));
    memcpy(name, o->cert.name, sizeof(name));
    name_rank(node, name);
}

/* Who is over a smaller quota goes, some in each step; what this office itself
 * acknowledged stays with it. */
static void trim(struct wc_node *node, struct wc_office *o)
{
    o->trim = true;
    wc_node_due(node, WC_DUE_PURGE, node->mono_ms);
}

void wc_node_office_uncertify(struct wc_node *node, uint32_t office)
{
    name_remove(node, office);
    node->offices[office]->has_cert = false;
    node->offices[office]->former = false;
}

void wc_node_office_certify(struct wc_node *node, uint32_t office,
                            const struct wc_cert *cert)
{
    struct wc_office *o = node->offices[office];
    if (o->has_cert && !o->former && o->cert.serial >= cert->serial)
        return;
    if (o->has_cert)
        name_remove(node, office);
    if (o->has_cert && cert->quota < o->cert.quota && office != node->self)
        trim(node, o);
    o->cert = *cert;
    o->has_cert = true;
    o->former = false;
    uint32_t at = name_place(node, o);
    memmove(&node->by_name[at + 1], &node->by_name[at],
            (node->by_name_count - at) * sizeof(*node->by_name));
    node->by_name[at] = office;
    if (++node->by_name_count == WC_FLOOD_OFFICES_COUNT + 1)
        wc_node_grown(node);
    name_rank(node, cert->name);
}

/* ---- cards ---- */

/* The card of an office that was away during a rotation has a certificate by a former
 * key. What it says of addresses is signed by the office all the same: it stands while
 * the office is certified otherwise. */
static int granted_cert(const struct wc_node *node, const struct wc_record *r,
                        struct wc_cert *cert)
{
    uint32_t office = wc_node_office_find(node, r->office_key);
    const struct wc_office *o = office == WC_NONE ? NULL : node->offices[office];
    if (node->identity->org.rotation_len == 0 || o == NULL || !o->has_cert || o->former)
        return -WC_EBADSIG;
    *cert = o->cert;
    return 0;
}

int wc_node_card_open(const struct wc_node *node, const struct wc_record *r,
                      struct wc_card *card, struct wc_cert *cert)
{
    struct wc_doc *doc;
    int rc = wc_doc_new(r->body, &wc_scan_default, &doc);
    if (rc != 0)
        return rc;
    rc = wc_card_decode(wc_doc_root(doc), card, NULL);
    if (rc == 0)
        rc = wc_cert_open(card->cert, &node->identity->org, cert, NULL);
    if (rc == -WC_EBADSIG)
        rc = granted_cert(node, r, cert);
    if (rc == 0 && memcmp(cert->sign_key, r->office_key, WC_KEY_BYTES) != 0)
        rc = -WC_EBADSIG;
    wc_doc_free(doc);
    return rc;
}

static void set_addresses(struct wc_node *node, struct wc_office *o,
                          const struct wc_card *card)
{
    struct wc_buf packed = {0};
    size_t len;
    for (uint32_t i = 0; i < card->address_count; i++)
        wc_buf_append(&packed, card->addresses[i], strlen(card->addresses[i]) + 1);
    if (packed.failed) {
        wc_node_fail(node);
        wc_buf_fini(&packed);
        return;
    }
    free(o->addresses);
    o->addresses = (char *)wc_buf_take(&packed, &len);
    o->address_count = card->address_count;
    o->dial_next = 0;
}

static void set_erased(struct wc_node *node, struct wc_office *o,
                       const struct wc_card *card)
{
    size_t bytes = (size_t)card->erased_count * WC_ERASED_MARK_BYTES;
    uint8_t *marks = NULL;
    if (bytes > 0 && (marks = malloc(bytes)) == NULL) {
        wc_node_fail(node);
        return;
    }
    if (bytes > 0)
        memcpy(marks, card->erased, bytes);
    free(o->erased);
    o->erased = marks;
    o->erased_count = card->erased_count;
}

void wc_node_office_card(struct wc_node *node, uint32_t office,
                         const struct wc_card *card)
{
    struct wc_office *o = node->offices[office];
    if (!o->has_card && office != node->self)
        wc_node_note(node, WC_NOTE_OFFICE_NEW, 0, 0, 0, office);
    o->has_card = true;
    memcpy(o->version, card->version, sizeof(o->version));
    set_addresses(node, o, card);
    set_erased(node, o, card);
}

void wc_node_office_uncard(struct wc_node *node, uint32_t office)
{
    node->offices[office]->has_card = false;
}

/* ---- leaving ---- */

bool wc_node_revoked_key(const struct wc_record *r, uint8_t key[WC_KEY_BYTES])
{
    return wc_unhex(key, WC_KEY_BYTES, wc_slice_text(r->subject)) == 0;
}

void wc_node_office_revoke(struct wc_node *node, const uint8_t key[WC_KEY_BYTES],
                           const uint8_t slot[WC_DIGEST_BYTES])
{
    uint32_t office = wc_node_office_add(node, key);
    if (office == WC_NONE || node->offices[office]->revoked)
        return;
    struct wc_office *o = node->offices[office];
    o->revoked = true;
    memcpy(o->revoked_slot, slot, WC_DIGEST_BYTES);
    o->has_card = false;
    if (o->has_cert)
        name_rank(node, o->cert.name);
    wc_node_note(node,
                 office == node->self ? WC_NOTE_SELF_REVOKED : WC_NOTE_OFFICE_REVOKED,
                 -WC_EREVOKED, 0, 0, office);
    if (office == node->self) {
        /* our own records stay with us; nobody else believes them any more */
        node->own_revoked = true;
        for (uint32_t i = 0; i < node->peer_count; i++)
            wc_node_close(node, node->peers[i], -WC_EREVOKED);
        return;
    }
    struct wc_peer *peer = wc_node_peer(node, o->link);
    if (peer != NULL)
        wc_node_close(node, peer, -WC_EREVOKED);
    wc_node_office_purge(node, office);
}

void wc_node_office_release(struct wc_node *node, uint32_t office)
{
    struct wc_office *o = node->offices[office];
    if (o == NULL || office == node->self || o->revoked || o->has_card ||
        o->link != 0 || o->held_count > 0)
        return;
    if (o->has_cert)
        name_remove(node, office);
    wc_views_forget(&node->views, office);
    wc_map_remove(&node->offices_by_key, office);
    node->offices[office] = NULL;
    office_free(o);
}

void wc_node_office_purge(struct wc_node *node, uint32_t office)
{
    node->offices[office]->purge = true;
    node->purging = true;
    node->purge_at = 0;
    wc_node_due(node, WC_DUE_PURGE, node->mono_ms);
}

/* Whether all offices are within their quotas again. */
static bool trim_people(struct wc_node *node, uint32_t *dropped)
{
    struct wc_item last;
    for (uint32_t i = 0; i < node->offices_cap; i++) {
        struct wc_office *o = node->offices[i];
        if (o == NULL || !o->trim)
            continue;
        for (int set = 0; set < WC_QUOTA_SETS_COUNT; set++) {
            while (wc_itemset_count(&o->counted[set]) > wc_node_quota(o, set)) {
                if ((*dropped)++ == WC_PURGE_STEP_COUNT)
                    return false;
                wc_itemset_last(&o->counted[set], &last);
                wc_node_unhold(node, last.value, true);
            }
        }
        o->trim = false;
    }
    return true;
}

void wc_node_run_purge(struct wc_node *node)
{
    uint32_t dropped = 0, looked = 0;
    if (!trim_people(node, &dropped)) {
        wc_node_due(node, WC_DUE_PURGE, node->mono_ms + 1);
        return;
    }
    for (; node->purge_at < node->held_count; node->purge_at++) {
        const struct wc_held *h = &node->held[node->purge_at];
        if (looked++ == WC_PURGE_LOOK_COUNT || dropped == WC_PURGE_STEP_COUNT) {
            wc_node_due(node, WC_DUE_PURGE, node->mono_ms + 1);
            return;
        }
        if (!h->used || h->kind == WC_KIND_REVOKE || !node->offices[h->office]->purge)
            continue;
        wc_node_unhold(node, node->purge_at, true);
        dropped++;
    }
    node->purging = false;
    for (uint32_t i = 0; i < node->offices_cap; i++) {
        if (node->offices[i] == NULL || !node->offices[i]->purge)
            continue;
        node->offices[i]->purge = false;
        wc_node_office_release(node, i);
    }
}

/* ---- looking ---- */

uint32_t wc_node_offices_count(const struct wc_node *node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->by_name_count; i++) {
        const struct wc_office *o = node->offices[node->by_name[i]];
        count += !o->revoked && !o->superseded;
    }
    return count;
}

static bool show_office(const struct wc_node *node, uint32_t office,
                        struct wc_node_office *out)
{
    if (office == WC_NONE || !node->offices[office]->has_cert)
        return false;
    const struct wc_office *o = node->offices[office];
    *out = (struct wc_node_office){
        .cert = o->cert,
        .address_count = o->address_count,
        .self = office == node->self,
        .linked = o->link != 0,
        .revoked = o->revoked,
        .superseded = o->superseded,
        .last_heard_ms = o->last_heard_ms,
        .clock_offset_ms = o->clock_offset_ms,
        .last_news_ms = o->news_ms,
        .hops = o->link != 0 ? 1 : o->news_hops,
    };
    const struct wc_peer *peer = wc_node_peer(node, o->link);
    out->clock_known = peer != NULL && peer->clock;
    if (wc_node_peer(node, o->news_link) != NULL)
        out->via_link = o->news_link;
    memcpy(out->version, o->version, sizeof(out->version));
    const char *address = o->addresses;
    for (uint32_t i = 0; i < o->address_count; i++) {
        wc_slice_copy(wc_slice_text(address), out->addresses[i],
                      sizeof(out->addresses[i]));
        address += strlen(address) + 1;
    }
    return true;
}

bool wc_node_office_at(const struct wc_node *node, uint32_t i,
                       struct wc_node_office *out)
{
    return i < node->by_name_count && show_office(node, node->by_name[i], out);
}

bool wc_node_office_by_key(const struct wc_node *node, const uint8_t key[WC_KEY_BYTES],
                           struct wc_node_office *out)
{
    return show_office(node, wc_node_office_find(node, key), out);
}

bool wc_node_office_by_name(const struct wc_node *node, struct wc_slice name,
                            struct wc_node_office *out)
{
    uint32_t best = WC_NONE;
    for (uint32_t i = 0; i < node->by_name_count; i++) {
        const struct wc_office *o = node->offices[node->by_name[i]];
        if (wc_slice_is(name, o->cert.name) && (best == WC_NONE || !o->revoked)) {
            best = node->by_name[i];
            if (!o->revoked)
                break;
        }
    }
    return show_office(node, best, out);
}

enum wc_erased wc_node_office_erased(const struct wc_node *node,
                                     const uint8_t key[WC_KEY_BYTES],
                                     const uint8_t mark[WC_ERASED_MARK_BYTES])
{
    uint32_t office = wc_node_office_find(node, key);
    if (office == WC_NONE)
        return WC_ERASED_UNKNOWN;
    const struct wc_office *o = node->offices[office];
    for (uint32_t i = 0; i < o->erased_count; i++) {
        if (memcmp(o->erased + (size_t)i * WC_ERASED_MARK_BYTES, mark,
                   WC_ERASED_MARK_BYTES) == 0)
            return WC_ERASED_DONE;
    }
    /* a full list may have dropped it */
    return o->erased_count < WC_ERASED_MAX_COUNT ? WC_ERASED_WAITING
                                                 : WC_ERASED_UNKNOWN;
}
