/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that originate here. A body is stamped and put; until the caller says that it
 * is stored it is neither sent nor acknowledged, so that a crash never takes back what
 * somebody saw and never uses a sequence number twice. The own card and stamps that are
 * renewed take the same path, under tokens of the engine's own.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

/* ---- what waits for its commit ---- */

static const uint8_t *pending_token(const void *ctx, uint32_t id)
{
    const struct wc_node *node = ctx;
    return node->pending[id].token;
}

static const uint8_t *pending_slot(const void *ctx, uint32_t id)
{
    const struct wc_node *node = ctx;
    return node->pending[id].slot;
}

int wc_node_local_init(struct wc_node *node)
{
    wc_map_init(&node->pending_by_token, sizeof(node->pending->token), pending_token,
                node, &node->rng);
    wc_map_init(&node->pending_by_slot, WC_DIGEST_BYTES, pending_slot, node,
                &node->rng);
    node->pending_free = WC_NONE;
    return 0;
}

void wc_node_local_fini(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->pending_count; i++)
        free(node->pending[i].bytes);
    free(node->pending);
    wc_map_fini(&node->pending_by_token);
    wc_map_fini(&node->pending_by_slot);
    wc_buf_fini(&node->card);
    free(node->listen);
    free(node->erased);
}

const struct wc_pending *wc_node_pending_of(const struct wc_node *node,
                                            const uint8_t slot[WC_DIGEST_BYTES])
{
    uint32_t id = wc_map_find(&node->pending_by_slot, slot);
    return id == WC_NONE ? NULL : &node->pending[id];
}

static uint32_t pending_place(struct wc_node *node)
{
    if (node->pending_free != WC_NONE) {
        uint32_t id = node->pending_free;
        node->pending_free = node->pending[id].next_free;
        return id;
    }
    if (node->pending_count == node->pending_cap) {
        uint32_t cap = node->pending_cap == 0 ? 16 : 2 * node->pending_cap;
        struct wc_pending *pending = realloc(node->pending, cap * sizeof(*pending));
        if (pending == NULL)
            return WC_NONE;
        node->pending = pending;
        node->pending_cap = cap;
    }
    return node->pending_count++;
}

/* Remember a stamped record (whose bytes are taken over) as the latest of its slot. */
static int pending_add(struct wc_node *node, uint64_t token, const struct wc_record *r,
                       const uint8_t slot[WC_DIGEST_BYTES], struct wc_buf *bytes)
{
    uint32_t id = pending_place(node);
    if (id == WC_NONE)
        return -WC_ENOMEM;
    struct wc_pending *p = &node->pending[id];
    *p = (struct wc_pending){.version = r->version,
                             .kind = r->kind,
                             .earlier = wc_map_find(&node->pending_by_slot, slot),
                             .later = WC_NONE,
                             .used = true};
    wc_put_u64(p->token, token);
    memcpy(p->slot, slot, WC_DIGEST_BYTES);
    p->bytes = wc_buf_take(bytes, &p->len);
    if (p->earlier != WC_NONE) {
        node->pending[p->earlier].later = id;
        wc_map_remove(&node->pending_by_slot, p->earlier);
    }
    if (wc_map_add(&node->pending_by_slot, id) != 0 ||
        wc_map_add(&node->pending_by_token, id) != 0)
        return -WC_ENOMEM; /* the node stops: what is half done does not matter */
    return 0;
}

static void pending_remove(struct wc_node *node, uint32_t id)
{
    struct wc_pending *p = &node->pending[id];
    int set = wc_node_quota_set(p->kind);
    if (p->later == WC_NONE)
        wc_map_remove(&node->pending_by_slot, id);
    else
        node->pending[p->later].earlier = p->earlier;
    if (p->earlier != WC_NONE) {
        node->pending[p->earlier].later = p->later;
        if (p->later == WC_NONE && wc_map_add(&node->pending_by_slot, p->earlier) != 0)
            wc_node_fail(node);
    }
    if (p->adds_slot)
        node->pending_slots[set]--;
    wc_map_remove(&node->pending_by_token, id);
    free(p->bytes);
    *p = (struct wc_pending){.next_free = node->pending_free};
    node->pending_free = id;
}

/* ---- stamping ---- */

int wc_node_may_stamp(const struct wc_node *node)
{
    if (node->own_revoked)
        return -WC_EREVOKED;
    if (node->clock_off)
        return -WC_ECLOCK;
    return wc_cert_dates(&node->identity->cert, node->now_ms);
}

/* A number near the end of the range (which only another holder of our keys can have
 * used) is outdone by the next edit, whose rev is greater; following it would leave no
 * number for anything else. */
void wc_node_seq_seen(struct wc_node *node, uint64_t seq)
{
    if (seq > node->last_seq && seq <= WC_REV_MAX / 2)
        node->last_seq = seq;
}

static uint64_t seq_after(const struct wc_node *node)
{
    return node->last_seq + 1 > node->now_ms ? node->last_seq + 1 : node->now_ms;
}

uint64_t wc_node_next_seq(struct wc_node *node)
{
    node->last_seq = seq_after(node);
    return node->last_seq;
}

/* As long as the kind allows, and never beyond the certificate. */
static uint64_t lease_end(const struct wc_node *node, uint8_t kind)
{
    uint64_t end = node->now_ms + wc_kind_lease_max_ms(kind);
    uint64_t not_after_ms = node->identity->cert.not_after_ms;
    return end < not_after_ms ? end : not_after_ms;
}

int wc_node_stamp(struct wc_node *node, uint8_t kind, struct wc_slice body,
                  const uint8_t *author_key, const uint8_t *author_sig,
                  struct wc_buf *out)
{
    struct wc_stamp_params stamp = {.stamped_at_ms = node->now_ms,
                                    .expires_at_ms = lease_end(node, kind)};
    if (stamp.expires_at_ms <= node->now_ms)
        return -WC_EEXPIRED;
    stamp.seq = wc_node_next_seq(node);
    return wc_record_stamp(kind, body, author_key, author_sig, &node->identity->signer,
                           &stamp, out);
}

/* Stamp a body, put it, and wait for its commit. */
static int stamp_and_put(struct wc_node *node, uint64_t token, uint8_t kind,
                         struct wc_slice body, const uint8_t *author_key,
                         const uint8_t *author_sig)
{
    struct wc_buf bytes = {0};
    struct wc_record r;
    uint8_t slot[WC_DIGEST_BYTES];
    int rc = wc_node_stamp(node, kind, body, author_key, author_sig, &bytes);
    if (rc == 0)
        rc = wc_record_decode(wc_buf_slice(&bytes), &r, NULL);
    /* nobody would believe us any more if we passed on what its author did not sign */
    if (rc == 0 && memcmp(author_key, node->identity->signer.key, WC_KEY_BYTES) != 0)
        rc = node->verify(node->verify_ctx, &r, &node->identity->org);
    if (rc != 0)
        goto out;
    wc_record_slot(&r, slot);
    wc_node_put(node, token, &r, slot);
    rc = pending_add(node, token, &r, slot, &bytes);
    if (rc != 0)
        wc_node_fail(node);
    else if ((token & WC_NODE_TOKEN) != 0)
        node->pending_own++;
out:
    wc_buf_fini(&bytes);
    return rc;
}

/* ---- LOCAL_PUT ---- */

struct local {
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev;
    uint8_t slot_kind;
    uint8_t slot[WC_DIGEST_BYTES];
    bool adds_slot;
};

static int read_local(const struct wc_node *node, uint8_t kind, struct wc_slice body,
                      struct local *out)
{
    uint8_t office_key[WC_KEY_BYTES];
    struct wc_doc *doc;
    bool erase;
    if (kind != WC_KIND_ROW && kind != WC_KIND_PROFILE && kind != WC_KIND_RETIRE)
        return -WC_EDENIED;
    int rc = wc_doc_new(body, &wc_scan_default, &doc);
    if (rc != 0)
        return rc;
    rc = wc_body_header(wc_doc_root(doc), office_key, out->subject, &out->rev, NULL);
    out->slot_kind = kind;
    if (rc == 0 && kind == WC_KIND_RETIRE)
        rc = wc_retire_decode(wc_doc_root(doc), &out->slot_kind, &erase, NULL);
    if (rc == 0 && (memcmp(office_key, node->identity->signer.key, WC_KEY_BYTES) != 0 ||
                    wc_node_set_of(out->slot_kind) == 0))
        rc = -WC_EDENIED;
    if (rc == 0 && kind == WC_KIND_RETIRE)
        rc = wc_retire_slot(out->slot, out->slot_kind, office_key, out->subject);
    else if (rc == 0)
        wc_slot(out->slot, kind, office_key, out->subject);
    wc_doc_free(doc);
    return rc;
}

/* One more must be within the quota: over it our neighbours would drop somebody. */
static int check_quota(const struct wc_node *node, uint8_t kind, struct local *local)
{
    int set = wc_node_quota_set(kind);
    const struct wc_office *self = node->offices[node->self];
    const struct wc_pending *p = wc_node_pending_of(node, local->slot);
    uint32_t id;
    if (set < 0 || (p != NULL && p->kind == kind) ||
        wc_itemset_find(&self->counted[set], local->slot, &id))
        return 0;
    if (wc_itemset_count(&self->counted[set]) + node->pending_slots[set] >=
        wc_node_quota(self, set))
        return -WC_ELIMIT;
    local->adds_slot = true;
    return 0;
}

/* Whether one more edit may wait under this token. */
static int check_token(const struct wc_node *node, uint64_t token)
{
    uint8_t key[8];
    wc_put_u64(key, token);
    if (token == 0 || (token & WC_NODE_TOKEN) != 0)
        return -WC_EINVALID;
    if (wc_map_find(&node->pending_by_token, key) != WC_NONE)
        return -WC_EEXISTS;
    return node->pending_by_token.count >= WC_PENDING_MAX_COUNT ? -WC_EBUSY : 0;
}

static int local_put(struct wc_node *node, const struct wc_event *event)
{
    uint64_t token = event->u.local_put.token;
    uint8_t kind = event->u.local_put.kind, token_key[8], held_kind;
    struct wc_version held;
    struct local local = {0};
    wc_put_u64(token_key, token);
    int rc = check_token(node, token);
    if (rc == 0)
        rc = wc_node_may_stamp(node);
    if (rc == 0)
        rc = read_local(node, kind, event->u.local_put.body, &local);
    if (rc == 0 && wc_node_slot(node, local.slot, &held, &held_kind) == 0 &&
        local.rev <= held.rev)
        rc = -WC_ESTALE;
    if (rc == 0)
        rc = check_quota(node, kind, &local);
    if (rc == 0)
        rc =
            stamp_and_put(node, token, kind, event->u.local_put.body,
                          event->u.local_put.author_key, event->u.local_put.author_sig);
    if (rc == 0 && local.adds_slot) {
        node->pending[wc_map_find(&node->pending_by_token, token_key)].adds_slot = true;
        node->pending_slots[wc_node_quota_set(kind)]++;
    }
    return rc;
}

void wc_node_local_put(struct wc_node *node, const struct wc_event *event)
{
    int rc = local_put(node, event);
    if (rc != 0)
        wc_node_ack(node, event->u.local_put.token, rc);
}

/* ---- STATEMENT ---- */

static int local_statement(struct wc_node *node, const struct wc_event *event)
{
    uint64_t token = event->u.statement.token;
    struct wc_slice bytes = event->u.statement.record;
    struct wc_buf copy = {0};
    struct wc_record r;
    uint8_t slot[WC_DIGEST_BYTES];
    int rc = check_token(node, token);
    if (rc == 0)
        rc = wc_node_statement_check(node, bytes, &r, slot, NULL);
    if (rc != 0)
        return rc;
    wc_buf_append(&copy, bytes.data, bytes.len);
    wc_node_put(node, token, &r, slot);
    rc = copy.failed ? -WC_ENOMEM : pending_add(node, token, &r, slot, &copy);
    if (rc != 0)
        wc_node_fail(node);
    wc_buf_fini(&copy);
    return rc;
}

void wc_node_local_statement(struct wc_node *node, const struct wc_event *event)
{
    int rc = local_statement(node, event);
    if (rc != 0)
        wc_node_ack(node, event->u.statement.token, rc);
}

/* ---- STORED ---- */

/* The commit of an own card went wrong, or its content is another by now. */
static void card_stored(struct wc_node *node, const struct wc_pending *p, int rc)
{
    node->card_pending = false;
    if (rc != 0) {
        node->card_dirty = true;
        wc_node_due(node, WC_DUE_CARD, node->mono_ms + WC_CARD_RETRY_MS);
        return;
    }
    wc_buf_reset(&node->card);
    wc_buf_append(&node->card, p->bytes, p->len);
    if (node->card.failed)
        wc_node_fail(node);
    if (node->card_dirty)
        wc_node_due(node, WC_DUE_CARD, node->mono_ms);
}

/* An own record is on disk: now it exists. -WC_ESTALE when a newer one came meanwhile
 * from a neighbour (who had it from before our store was restored). */
static int publish(struct wc_node *node, const struct wc_pending *p)
{
    struct wc_record r;
    uint8_t message[WC_MESSAGE_ID_BYTES];
    struct wc_slice bytes = wc_slice(p->bytes, p->len);
    if (wc_record_decode(bytes, &r, NULL) != 0) { /* decoded before: memory is out */
        wc_node_fail(node);
        return -WC_ENOMEM;
    }
    uint32_t id = wc_node_held_find(node, p->slot);
    if (id != WC_NONE && wc_version_cmp(&node->held[id].version, &r.version) >= 0)
        return wc_kind_by_organisation(r.kind) ? 0 : -WC_ESTALE;
    if (wc_kind_by_organisation(r.kind)) {
        /* the organisation's key may have changed meanwhile */
        if (node->verify(node->verify_ctx, &r, &node->identity->org) != 0)
            return -WC_EDENIED;
        wc_node_statement_take(node, &r, p->slot, 0);
        return 0;
    }
    wc_node_hold(node, &r, p->slot, node->self);
    if (r.kind == WC_KIND_CARD) {
        struct wc_card card;
        struct wc_cert cert;
        if (wc_node_card_open(node, &r, &card, &cert) == 0)
            wc_node_office_card(node, node->self, &card);
    }
    wc_node_message_id(node, p->slot, &r.version, message);
    wc_node_broadcast(node, message, bytes, 0);
    return 0;
}

static void restamp_failed(struct wc_node *node, const struct wc_pending *p)
{
    uint32_t id = wc_node_held_find(node, p->slot);
    if (id != WC_NONE && !node->held[id].hidden &&
        wc_timeline_set(&node->dates, id, node->now_ms + WC_RESTAMP_RETRY_MS) != 0)
        wc_node_fail(node);
}

void wc_node_stored(struct wc_node *node, uint64_t token, int rc)
{
    uint8_t key[8];
    wc_put_u64(key, token);
    uint32_t id = wc_map_find(&node->pending_by_token, key);
    if (id == WC_NONE)
        return; /* not ours, or said twice */
    const struct wc_pending *p = &node->pending[id];
    bool own = (token & WC_NODE_TOKEN) != 0;
    if (rc == 0)
        rc = publish(node, p);
    if (p->kind == WC_KIND_CARD && own)
        card_stored(node, p, rc);
    else if (own && rc != 0)
        restamp_failed(node, p);
    if (own)
        node->pending_own--;
    pending_remove(node, id);
    if (!own)
        wc_node_ack(node, token, rc);
}

/* ---- the own card ---- */

void wc_node_card_changed(struct wc_node *node)
{
    node->card_dirty = true;
    wc_node_due(node, WC_DUE_CARD, node->mono_ms);
}

static uint64_t own_token(struct wc_node *node)
{
    return WC_NODE_TOKEN | ++node->next_own_token;
}

/* Whether a stored card says what it should. */
static bool card_is_current(const struct wc_node *node, const struct wc_card *card)
{
    const struct wc_identity *me = node->identity;
    if (!wc_slice_eq(card->cert, wc_slice(me->cert_bytes, me->cert_len)) ||
        card->address_count != node->listen_count)
        return false;
    for (uint32_t i = 0; i < card->address_count; i++) {
        if (strcmp(card->addresses[i], node->listen[i]) != 0)
            return false;
    }
    if (strcmp(card->version, node->version) != 0)
        return false;
    return card->erased_count == node->erased_count &&
           (card->erased_count == 0 ||
            memcmp(card->erased, node->erased,
                   (size_t)card->erased_count * WC_ERASED_MARK_BYTES) == 0);
}

/* The record under the own card's slot: 1 current, 0 not, negative errors. */
static int held_card_current(struct wc_node *node, const uint8_t slot[WC_DIGEST_BYTES])
{
    struct wc_buf bytes = {0};
    struct wc_record r;
    struct wc_doc *doc = NULL;
    struct wc_card card;
    uint32_t id = wc_node_held_find(node, slot);
    if (id == WC_NONE || node->held[id].hidden)
        return 0;
    int rc = node->store.read(node->store.ctx, slot, &bytes);
    if (rc == 0)
        rc = wc_record_decode(wc_buf_slice(&bytes), &r, NULL);
    if (rc == 0 && wc_version_cmp(&r.version, &node->held[id].version) != 0)
        rc = -WC_ESTALE; /* a newer one is held and on its way to the disk */
    if (rc == 0)
        rc = wc_doc_new(r.body, &wc_scan_default, &doc);
    if (rc == 0)
        rc = wc_card_decode(wc_doc_root(doc), &card, NULL);
    if (rc == 0 && card_is_current(node, &card)) {
        wc_buf_fini(&node->card);
        node->card = bytes;
        bytes = (struct wc_buf){0};
        rc = 1;
    }
    wc_doc_free(doc);
    wc_buf_fini(&bytes);
    return rc;
}

static int write_card(struct wc_node *node, uint64_t rev)
{
    const struct wc_identity *me = node->identity;
    struct wc_card card = {.cert = wc_slice(me->cert_bytes, me->cert_len),
                           .address_count = node->listen_count};
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    for (uint32_t i = 0; i < node->listen_count; i++)
        memcpy(card.addresses[i], node->listen[i], sizeof(card.addresses[i]));
    memcpy(card.version, node->version, sizeof(card.version));
    card.erased_count = node->erased_count;
    if (node->erased_count > 0)
        memcpy(card.erased, node->erased,
               (size_t)node->erased_count * WC_ERASED_MARK_BYTES);
    int rc = wc_card_body(me->signer.key, rev, &card, &body);
    if (rc == 0)
        rc = wc_body_sign(sig, WC_KIND_CARD, wc_buf_slice(&body), &me->signer);
    if (rc == 0)
        rc = stamp_and_put(node, own_token(node), WC_KIND_CARD, wc_buf_slice(&body),
                           me->signer.key, sig);
    wc_buf_fini(&body);
    return rc;
}

void wc_node_run_card(struct wc_node *node)
{
    uint8_t slot[WC_DIGEST_BYTES], kind;
    struct wc_version version;
    if (!node->card_dirty || node->card_pending || node->own_revoked)
        return;
    if (wc_node_may_stamp(node) != 0) {
        wc_node_due(node, WC_DUE_CARD, node->mono_ms + WC_EXPIRY_LOOK_MS);
        return;
    }
    wc_slot(slot, WC_KIND_CARD, node->identity->signer.key, "card");
    int rc = held_card_current(node, slot);
    if (rc == -WC_ENOTFOUND || rc == -WC_ESTALE) {
        wc_node_due(node, WC_DUE_CARD, node->mono_ms + WC_CARD_RETRY_MS);
        return;
    }
    node->card_dirty = false;
    if (rc > 0)
        return;
    bool held = wc_node_slot(node, slot, &version, &kind) == 0;
    rc = write_card(node, held ? version.rev + 1 : 1);
    node->card_pending = rc == 0;
    if (rc != 0)
        wc_node_refused(node, node->self, 0, rc);
}

/* ---- stamping again ---- */

uint64_t wc_node_restamp_due(struct wc_node *node, const struct wc_held *h)
{
    if (h->kind != WC_KIND_CARD && h->kind != WC_KIND_ROW && h->kind != WC_KIND_PROFILE)
        return h->expires_at_ms;
    if (h->stamped_at_ms > node->now_ms + WC_FUTURE_SLACK_MS)
        return node->now_ms; /* stamped by a wrong clock: nobody believes it */
    if (h->expires_at_ms > node->identity->cert.not_after_ms)
        return node->now_ms; /* nor beyond the certificate: it was another one then */
    /* at half the lease, and up to a tenth later, so that what was imported in one go
     * is not stamped in one go */
    uint64_t lease = h->expires_at_ms - h->stamped_at_ms;
    return h->stamped_at_ms + lease / 2 + wc_rng_below(&node->rng, lease / 10 + 1);
}

int wc_node_restamp(struct wc_node *node, uint32_t id)
{
    const struct wc_held *h = &node->held[id];
    struct wc_buf bytes = {0};
    struct wc_record r;
    bool wrong = h->stamped_at_ms > node->now_ms + WC_FUTURE_SLACK_MS ||
                 h->expires_at_ms > node->identity->cert.not_after_ms;
    int rc = wc_node_may_stamp(node);
    if (rc == 0 && node->may_restamp != NULL &&
        !node->may_restamp(node->may_restamp_ctx, h->kind, h->subject))
        rc = -WC_EDENIED;
    if (rc != 0)
        return rc;
    if (!wrong && lease_end(node, h->kind) < h->expires_at_ms + WC_RESTAMP_GAIN_MS)
        return -WC_ELEASE;
    if (h->version.seq >= seq_after(node))
        return -WC_ELEASE; /* no number is greater: it ends with its lease, or an edit */
    if (wc_node_pending_of(node, h->slot) != NULL ||
        node->pending_own >= WC_RESTAMP_OPEN_COUNT)
        return -WC_EBUSY;
    rc = node->store.read(node->store.ctx, h->slot, &bytes);
    if (rc == 0)
        rc = wc_record_decode(wc_buf_slice(&bytes), &r, NULL);
    if (rc == 0 && wc_version_cmp(&r.version, &h->version) != 0)
        rc =
            -WC_EBUSY; /* a newer one came from outside and is on its way to the disk */
    else if (rc == 0)
        rc = stamp_and_put(node, own_token(node), r.kind, r.body, r.author_key,
                           r.author_sig);
    else
        wc_node_refused(node, node->self, 0, rc);
    wc_buf_fini(&bytes);
    return rc;
}
