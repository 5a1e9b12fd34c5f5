/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node engine: everything that an office does with other offices, as one pure
 * function of events.
 *
 * A step does three things. It acts on its event; it works off what is due by the
 * monotonic time that the event carries; and it frees the links that were closed on the
 * way. Whatever an action wants the caller to do goes to the list of effects, in order.
 * node_internal.h has the map of the files, every tunable with its reason, and the
 * state.
 *
 * Nothing depends on anything but the events and the seed: no clock, no pointer order,
 * no iteration over a hash table. Memory running out is the one failure: it is said in
 * the effects, the node does nothing any more, and the caller stops; what was
 * acknowledged is on disk.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

/* ---- birth and death ---- */

static int verify_record(void *ctx, const struct wc_record *r, const struct wc_org *org)
{
    (void)ctx;
    return wc_record_verify(r, org);
}

int wc_node_new(struct wc_node **out, const struct wc_node_config *config)
{
    struct wc_node *node = calloc(1, sizeof(*node));
    if (node == NULL)
        return -WC_ENOMEM;
    node->own = *config->identity;
    node->identity = &node->own;
    node->store = config->store;
    node->verify = config->verify != NULL ? config->verify : verify_record;
    node->verify_ctx = config->verify_ctx;
    node->replicate = config->replicate;
    node->alone = config->alone;
    node->last_seq = config->last_seq;
    memcpy(node->version, config->version, sizeof(node->version));
    node->may_restamp = config->may_restamp;
    node->may_restamp_ctx = config->may_restamp_ctx;
    node->card_dirty = true;
    for (int i = 0; i < WC_DUE_COUNT; i++)
        node->due_ms[i] = WC_NEVER;
    wc_rng_init(&node->rng, config->seed);
    wc_put_u64(node->seen_key, wc_rng_u64(&node->rng));
    wc_put_u64(node->seen_key + 8, wc_rng_u64(&node->rng));
    wc_plumtree_init(&node->tree, &node->rng);
    int rc = wc_node_offices_init(node);
    if (rc == 0)
        rc = wc_node_held_init(node);
    if (rc == 0)
        rc = wc_node_local_init(node);
    if (rc == 0)
        rc = wc_node_asks_init(node);
    if (rc != 0) {
        wc_node_free(node);
        return rc;
    }
    *out = node;
    return 0;
}

void wc_node_free(struct wc_node *node)
{
    if (node == NULL)
        return;
    wc_node_asks_fini(node);
    wc_node_sync_fini(node);
    wc_node_links_fini(node);
    wc_node_broadcast_fini(node);
    wc_node_local_fini(node);
    wc_node_held_fini(node);
    wc_node_offices_fini(node);
    wc_node_blame_fini(node);
    free(node->orphans);
    free(node->joins);
    wc_identity_fini(&node->own);
    free(node);
}

void wc_node_fail(struct wc_node *node)
{
    node->failed = true;
    if (node->fx != NULL)
        node->fx->failed = true;
}

/* ---- loading ---- */

/* A stored record that has no place here: to be dropped at START. */
static int add_orphan(struct wc_node *node, const struct wc_record *r,
                      const uint8_t slot[WC_DIGEST_BYTES])
{
    if (node->orphan_count == node->orphan_cap) {
        uint32_t cap = node->orphan_cap == 0 ? 16 : 2 * node->orphan_cap;
        struct wc_orphan *orphans = realloc(node->orphans, cap * sizeof(*orphans));
        if (orphans == NULL)
            return -WC_ENOMEM;
        node->orphans = orphans;
        node->orphan_cap = cap;
    }
    struct wc_orphan *o = &node->orphans[node->orphan_count++];
    memcpy(o->slot, slot, WC_DIGEST_BYTES);
    o->slot_kind = r->slot_kind;
    memcpy(o->office_key, r->office_key, WC_KEY_BYTES);
    memcpy(o->subject, r->subject, sizeof(o->subject));
    return 0;
}

static void drop_orphans(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->orphan_count; i++) {
        const struct wc_orphan *o = &node->orphans[i];
        if (wc_node_held_find(node, o->slot) != WC_NONE)
            continue;
        struct wc_effect *e = wc_node_effect(node, WC_EFFECT_DROP);
        if (e == NULL)
            break;
        memcpy(e->u.drop.slot, o->slot, WC_DIGEST_BYTES);
        e->u.drop.kind = o->slot_kind;
        memcpy(e->u.drop.office_key, o->office_key, WC_KEY_BYTES);
        memcpy(e->u.drop.subject, o->subject, sizeof(o->subject));
    }
    free(node->orphans);
    node->orphans = NULL;
    node->orphan_count = node->orphan_cap = 0;
}

/* The office of a loaded record: its index, or WC_NONE when it is not believed. */
static uint32_t load_office(struct wc_node *node, const struct wc_record *r)
{
    struct wc_card card;
    struct wc_cert cert;
    if (r->kind != WC_KIND_CARD) {
        uint32_t office = wc_node_office_find(node, r->office_key);
        bool known = office != WC_NONE && node->offices[office]->has_cert &&
                     !node->offices[office]->revoked;
        bool keep = node->replicate || r->erases || office == node->self;
        return known && keep ? office : WC_NONE;
    }
    if (wc_node_card_open(node, r, &card, &cert) != 0)
        return WC_NONE;
    uint32_t office = wc_node_office_add(node, r->office_key);
    if (office == WC_NONE || node->offices[office]->revoked)
        return WC_NONE;
    wc_node_office_certify(node, office, &cert);
    if (node->now_ms < r->expires_at_ms)
        wc_node_office_card(node, office, &card);
    return office;
}

int wc_node_load(struct wc_node *node, struct wc_slice record, uint64_t now_ms)
{
    struct wc_record r;
    uint8_t slot[WC_DIGEST_BYTES];
    assert(!node->started);
    int rc = wc_record_decode(record, &r, NULL);
    if (rc != 0)
        return rc;
    node->now_ms = now_ms;
    wc_record_slot(&r, slot);
    uint32_t held = wc_node_held_find(node, slot);
    if (held != WC_NONE && wc_version_cmp(&node->held[held].version, &r.version) >= 0)
        return 0;
    if (wc_kind_by_organisation(r.kind)) {
        if (!wc_node_statement_load(node, &r, slot))
            return add_orphan(node, &r, slot);
        return node->failed ? -WC_ENOMEM : 0;
    }
    uint32_t office = load_office(node, &r);
    if (office == WC_NONE)
        return node->failed ? -WC_ENOMEM : add_orphan(node, &r, slot);
    if (office == node->self)
        wc_node_seq_seen(node, r.version.seq);
    wc_node_hold(node, &r, slot, office);
    return node->failed ? -WC_ENOMEM : 0;
}

int wc_node_set_listen(struct wc_node *node, const char *const *addresses,
                       uint32_t count)
{
    char(*listen)[WC_ADDRESS_MAX_BYTES + 1] = NULL;
    if (count > WC_ADDRESSES_MAX_COUNT)
        return -WC_ETOOBIG;
    if (count > 0 && (listen = calloc(count, sizeof(*listen))) == NULL)
        return -WC_ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (!wc_slice_copy(wc_slice_text(addresses[i]), listen[i], sizeof(*listen))) {
            free(listen);
            return -WC_ETOOBIG;
        }
    }
    free(node->listen);
    node->listen = listen;
    node->listen_count = count;
    node->card_dirty = true;
    wc_node_due(node, WC_DUE_CARD, 0);
    return 0;
}

int wc_node_set_erased(struct wc_node *node,
                       const uint8_t (*marks)[WC_ERASED_MARK_BYTES], uint32_t count)
{
    uint8_t *copy = NULL;
    size_t bytes = (size_t)count * WC_ERASED_MARK_BYTES;
    if (count > WC_ERASED_MAX_COUNT)
        return -WC_ETOOBIG;
    if (count > 0 && (copy = malloc(bytes)) == NULL)
        return -WC_ENOMEM;
    if (count > 0)
        memcpy(copy, marks, bytes);
    free(node->erased);
    node->erased = copy;
    node->erased_count = count;
    node->card_dirty = true;
    wc_node_due(node, WC_DUE_CARD, 0);
    return 0;
}

/* ---- the step ---- */

void wc_node_due(struct wc_node *node, enum wc_due what, uint64_t at_ms)
{
    if (at_ms < node->due_ms[what])
        node->due_ms[what] = at_ms;
}

static void start(struct wc_node *node)
{
    assert(!node->started);
    node->started = true;
    node->sync_round_ms = node->mono_ms + wc_rng_below(&node->rng, WC_SYNC_EVERY_MS);
    node->audit_ms = node->mono_ms + wc_rng_below(&node->rng, WC_AUDIT_EVERY_MS);
    node->probe_ms = node->mono_ms + wc_rng_below(&node->rng, WC_DIAL_PROBE_MIN_MS);
    node->explore_ms = node->mono_ms + WC_DIAL_EXPLORE_MS / 2 +
                       wc_rng_below(&node->rng, WC_DIAL_EXPLORE_MS);
    node->shuffle_ms = node->mono_ms + wc_rng_below(&node->rng, WC_SHUFFLE_EVERY_MS);
    node->beat.next_ms =
        node->mono_ms + WC_BEAT_EVERY_MS + wc_rng_below(&node->rng, WC_BEAT_EVERY_MS);
    drop_orphans(node);
    wc_node_trust_start(node);
    wc_node_due(node, WC_DUE_CARD, node->mono_ms);
    wc_node_due(node, WC_DUE_SYNC, node->sync_round_ms);
    wc_node_due(node, WC_DUE_DIAL, node->mono_ms);
    wc_node_due(node, WC_DUE_SHUFFLE, node->shuffle_ms);
    wc_node_due(node, WC_DUE_BEAT, node->beat.next_ms);
    wc_node_expiry_soon(node);
}

static void act(struct wc_node *node, const struct wc_event *event)
{
    switch (event->type) {
    case WC_EVENT_START:
        start(node);
        break;
    case WC_EVENT_TIMER:
        break;
    case WC_EVENT_LINK_UP:
        wc_node_link_up(node, event);
        break;
    case WC_EVENT_LINK_DOWN:
        wc_node_link_down(node, event->u.link_down.link);
        break;
    case WC_EVENT_FRAME:
        wc_node_on_frame(node, event->u.frame.link, event->u.frame.bytes);
        break;
    case WC_EVENT_DIAL_FAILED:
        wc_node_dial_failed(node, event->u.dial_failed.dial);
        break;
    case WC_EVENT_LOCAL_PUT:
        wc_node_local_put(node, event);
        break;
    case WC_EVENT_STATEMENT:
        wc_node_local_statement(node, event);
        break;
    case WC_EVENT_LEAVE:
        wc_node_leave(node);
        break;
    case WC_EVENT_STORED:
        wc_node_stored(node, event->u.stored.token, event->u.stored.rc);
        break;
    case WC_EVENT_LOCAL_ASK:
        wc_node_local_ask(node, event);
        break;
    case WC_EVENT_ASK_CANCEL:
        wc_node_ask_cancel(node, event->u.ask_cancel.id);
        break;
    case WC_EVENT_ASK_MATCHED:
        wc_node_ask_matched(node, event);
        break;
    case WC_EVENT_HEARD:
        wc_node_heard(node, event);
        break;
    }
}

static void run(struct wc_node *node, enum wc_due what)
{
    switch (what) {
    case WC_DUE_CARD:
        wc_node_run_card(node);
        break;
    case WC_DUE_EXPIRY:
        wc_node_run_expiry(node);
        break;
    case WC_DUE_PURGE:
        wc_node_run_purge(node);
        break;
    case WC_DUE_FORMER:
        wc_node_run_former(node);
        break;
    case WC_DUE_LINKS:
        wc_node_run_links(node);
        break;
    case WC_DUE_ASKS:
        wc_node_run_asks(node);
        break;
    case WC_DUE_SYNC:
        wc_node_run_sync(node);
        break;
    case WC_DUE_SERVE:
        wc_node_run_serve(node);
        break;
    case WC_DUE_DIAL:
        wc_node_run_dial(node);
        break;
    case WC_DUE_SHUFFLE:
        wc_node_run_shuffle(node);
        break;
    case WC_DUE_TREE:
        wc_node_run_tree(node);
        break;
    case WC_DUE_BEAT:
        wc_node_run_beat(node);
        break;
    case WC_DUE_ANNOUNCE:
        wc_node_run_announce(node);
        break;
    case WC_DUE_FLUSH:
        wc_node_run_flush(node);
        break;
    case WC_DUE_COUNT:
        break;
    }
}

void wc_node_step(struct wc_node *node, const struct wc_event *event,
                  struct wc_effects *effects)
{
    assert(node->started || event->type == WC_EVENT_START);
    node->fx = effects;
    node->now_ms = event->now_ms;
    if (event->mono_ms > node->mono_ms)
        node->mono_ms = event->mono_ms;
    if (node->failed) {
        effects->failed = true;
        node->fx = NULL;
        return;
    }
    bool set_back = node->now_ms + WC_EXPIRY_LOOK_MS < node->wall_ms;
    node->wall_ms = node->now_ms;
    /* what is gathered leaves when the caller comes to the deadline: between the events
     * of one turn of its loop it does not look */
    bool flush =
        event->type == WC_EVENT_TIMER || node->due_ms[WC_DUE_FLUSH] < node->mono_ms;
    if (set_back)
        wc_node_clock_set_back(node);
    act(node, event);
    for (int what = 0; what < WC_DUE_COUNT && !node->failed; what++) {
        if (node->due_ms[what] > node->mono_ms || (what == WC_DUE_FLUSH && !flush))
            continue;
        node->due_ms[what] = WC_NEVER;
        run(node, (enum wc_due)what);
    }
    wc_node_reap(node);
    node->fx = NULL;
}

uint64_t wc_node_deadline(const struct wc_node *node)
{
    uint64_t first = WC_NEVER;
    for (int what = 0; node->started && what < WC_DUE_COUNT; what++)
        first = node->due_ms[what] < first ? node->due_ms[what] : first;
    return first;
}

/* ---- looking ---- */

int wc_node_slot(const struct wc_node *node, const uint8_t slot[WC_DIGEST_BYTES],
                 struct wc_version *version, uint8_t *kind)
{
    const struct wc_pending *p = wc_node_pending_of(node, slot);
    uint32_t id = wc_node_held_find(node, slot);
    const struct wc_held *h = id == WC_NONE ? NULL : &node->held[id];
    if (p != NULL && (h == NULL || wc_version_cmp(&p->version, &h->version) > 0)) {
        *version = p->version;
        *kind = p->kind;
        return 0;
    }
    if (h == NULL)
        return -WC_ENOTFOUND;
    *version = h->version;
    *kind = h->kind;
    return 0;
}

int wc_node_statement(const struct wc_node *node, struct wc_slice record,
                      struct wc_err *err)
{
    struct wc_record r;
    uint8_t slot[WC_DIGEST_BYTES];
    return wc_node_statement_check(node, record, &r, slot, err);
}

bool wc_node_clock_off(const struct wc_node *node)
{
    return node->clock_off;
}

void wc_node_stats(const struct wc_node *node, struct wc_node_stats *out)
{
    static const uint8_t everything[WC_ITEM_BYTES];
    struct wc_item_sum sums[WC_SETS_COUNT];
    uint8_t counts[8 * WC_SETS_COUNT] = {0};
    struct wc_slice parts[1 + WC_SETS_COUNT] = {wc_slice(counts, sizeof(counts))};
    *out = (struct wc_node_stats){
        .offices_count = wc_node_offices_count(node),
        .links_count = wc_node_links_count(node),
        .records_received = node->records_received,
        .records_refused = node->records_refused,
        .asks_relayed = node->asks_relayed,
        .answers_relayed = node->answers_relayed,
        .syncs_done = node->syncs_done,
        .audits_done = node->audits_done,
        .audit_finds = node->audit_finds,
        .clock_off = node->clock_off,
        .revoked = node->own_revoked,
        .former = node->offices[node->self]->former,
        .counts = node->counts,
    };
    for (int i = 0; i < WC_SETS_COUNT; i++) {
        wc_itemset_range(&node->sets[i], everything, 0, &sums[i]);
        out->records_count[i] = sums[i].count;
        wc_put_u64(counts + (size_t)8 * (size_t)i, sums[i].count);
        parts[1 + i] = wc_slice(sums[i].sum, sizeof(sums[i].sum));
    }
    wc_hash(out->fingerprint, parts, 1 + WC_SETS_COUNT);
}
