/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include <whocan/link.h>

#include "tests/sim/sim.h"

#define COMMIT_MS    4 /* a durable commit, as measured */
#define DIAL_FAIL_MS 1000

static void *grow(void *list, uint32_t *cap, size_t size)
{
    *cap = *cap == 0 ? 64 : 2 * *cap;
    list = realloc(list, *cap * size);
    assert(list != NULL);
    return list;
}

/* ---- the order of events ---- */

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void world_later(struct world *w, uint64_t in_ms, struct event e)
{
    if (w->queue_count == w->queue_cap) {
        w->queue_cap = w->queue_cap == 0 ? 1024 : 2 * w->queue_cap;
        w->queue = realloc(w->queue, w->queue_cap * sizeof(*w->queue));
        assert(w->queue != NULL);
    }
    e.at_ms = w->now_ms + in_ms;
    e.order = w->order++;
    size_t i = w->queue_count++;
    for (; i > 0 && sooner(&e, &w->queue[(i - 1) / 2]); i = (i - 1) / 2)
        w->queue[i] = w->queue[(i - 1) / 2];
    w->queue[i] = e;
}

static struct event next_event(struct world *w)
{
    struct event first = w->queue[0], last = w->queue[--w->queue_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < w->queue_count &&
            sooner(&w->queue[child + 1], &w->queue[child]))
            child++;
        if (child >= w->queue_count || !sooner(&w->queue[child], &last))
            break;
        w->queue[i] = w->queue[child];
        i = child;
    }
    w->queue[i] = last;
    return first;
}

void world_trace(struct world *w, const void *data, size_t len)
{
    uint8_t key[16];
    wc_put_u64(key, w->trace);
    wc_put_u64(key + 8, ~w->trace);
    w->trace = wc_siphash(key, wc_slice(data, len));
}

static void trace_number(struct world *w, uint64_t n)
{
    w->trace = (w->trace ^ n) * 0x100000001b3u;
    w->trace ^= w->trace >> 29;
}

/* ---- blobs ---- */

static const uint8_t *blob_hash(const void *ctx, uint32_t id)
{
    return ((const struct world *)ctx)->blobs[id].hash;
}

uint32_t world_blob(struct world *w, const uint8_t *bytes, size_t len)
{
    struct blob b = {.len = len, .home = WC_MAP_NONE};
    struct wc_slice part = wc_slice(bytes, len);
    wc_hash(b.hash, &part, 1);
    uint32_t id = wc_map_find(&w->blobs_by_hash, b.hash);
    if (id != WC_MAP_NONE)
        return id;
    if (w->blob_count == w->blob_cap)
        w->blobs = grow(w->blobs, &w->blob_cap, sizeof(*w->blobs));
    b.bytes = malloc(len);
    assert(b.bytes != NULL);
    memcpy(b.bytes, bytes, len);
    w->blobs[w->blob_count] = b;
    int rc = wc_map_add(&w->blobs_by_hash, w->blob_count);
    assert(rc == 0);
    return w->blob_count++;
}

/* ---- stores ---- */

static const uint8_t *stored_slot(const void *ctx, uint32_t id)
{
    return ((const struct office *)ctx)->store.list[id].slot;
}

static int store_read(void *ctx, const uint8_t slot[WC_DIGEST_BYTES],
                      struct wc_buf *out)
{
    const struct office *o = ctx;
    uint32_t id = wc_map_find(&o->store.by_slot, slot);
    if (id == WC_MAP_NONE)
        return -WC_ENOTFOUND;
    const struct blob *b = &o->world->blobs[o->store.list[id].blob];
    wc_buf_append(out, b->bytes, b->len);
    return out->failed ? -WC_ENOMEM : 0;
}

static uint64_t blob_number(const struct world *w, uint32_t blob)
{
    return wc_get_u64(w->blobs[blob].hash);
}

static void store_apply(struct world *w, struct office *o, const struct change *c)
{
    struct store *s = &o->store;
    uint32_t id = wc_map_find(&s->by_slot, c->slot);
    if (id != WC_MAP_NONE)
        s->sum -= blob_number(w, s->list[id].blob);
    if (c->drop) {
        if (id == WC_MAP_NONE)
            return;
        /* the last one moves into the gap */
        wc_map_remove(&s->by_slot, id);
        if (id != --s->count) {
            wc_map_remove(&s->by_slot, s->count);
            s->list[id] = s->list[s->count];
            wc_map_add(&s->by_slot, id);
        }
        return;
    }
    s->sum += blob_number(w, c->blob);
    if (id == WC_MAP_NONE) {
        if (s->count == s->cap)
            s->list = grow(s->list, &s->cap, sizeof(*s->list));
        id = s->count++;
        memcpy(s->list[id].slot, c->slot, WC_DIGEST_BYTES);
        s->list[id].blob = c->blob;
        wc_map_add(&s->by_slot, id);
    }
    s->list[id].blob = c->blob;
    ledger_commit(w, o, c);
}

static void store_queue(struct office *o, struct change c)
{
    struct changes *q = &o->store.waiting;
    if (q->count == q->cap) {
        q->cap = q->cap == 0 ? 16 : 2 * q->cap;
        q->list = realloc(q->list, q->cap * sizeof(*q->list));
        assert(q->list != NULL);
    }
    q->list[q->count++] = c;
}

/* One commit at a time; what comes meanwhile waits for the next. */
static void store_begin(struct world *w, struct office *o)
{
    struct store *s = &o->store;
    if (s->committing.count > 0 || s->waiting.count == 0)
        return;
    struct changes empty = s->committing;
    s->committing = s->waiting;
    s->waiting = empty;
    world_later(
        w, COMMIT_MS + wc_rng_below(&w->rng, COMMIT_MS),
        (struct event){.what = HAPPENS_COMMIT, .office = o->index, .life = o->life});
}

/* A commit failed. What originates here is refused; what others wrote is tried again,
 * before whatever came meanwhile. */
static void store_keep(struct office *o, const struct changes *failed)
{
    struct changes later = o->store.waiting;
    o->store.waiting = (struct changes){0};
    for (size_t i = 0; i < failed->count; i++) {
        if (failed->list[i].token == 0)
            store_queue(o, failed->list[i]);
    }
    for (size_t i = 0; i < later.count; i++)
        store_queue(o, later.list[i]);
    free(later.list);
}

static void commit(struct world *w, struct office *o)
{
    struct changes done = o->store.committing;
    o->store.committing = (struct changes){0};
    bool fails = wc_rng_below(&w->rng, 100) < w->weather.commit_fail_percent;
    if (fails)
        store_keep(o, &done);
    for (size_t i = 0; !fails && i < done.count; i++)
        store_apply(w, o, &done.list[i]);
    for (size_t i = 0; i < done.count && o->node != NULL; i++) {
        struct wc_event e = {.type = WC_EVENT_STORED};
        if (done.list[i].token == 0)
            continue;
        e.u.stored.token = done.list[i].token;
        e.u.stored.rc = fails ? -WC_EFULL : 0;
        world_step(w, o, &e);
    }
    free(done.list);
    store_begin(w, o);
}

/* ---- the network ---- */

bool world_connected(const struct world *w, uint32_t a, uint32_t b)
{
    return !w->partitioned || w->offices[a].side == w->offices[b].side;
}

/* Something arrives at one side of a link, after all that was sent there before. */
static void arrives(struct world *w, uint32_t link, uint32_t side, struct event e)
{
    struct side *s = &w->links[link].sides[side];
    uint64_t at_ms = w->now_ms + w->links[link].delay_ms;
    if (at_ms < s->last_ms)
        at_ms = s->last_ms;
    s->last_ms = at_ms;
    e.link = link;
    e.side = side;
    e.office = s->office;
    e.life = s->life;
    world_later(w, at_ms - w->now_ms, e);
}

/* What an office's link number means: the link and which side of it. */
static uint32_t find_link(const struct world *w, const struct office *o,
                          uint32_t number, uint32_t *side)
{
    uint32_t place = number < o->link_cap ? o->links[number] : 0;
    (void)w;
    if (place == 0)
        return WC_MAP_NONE; /* an injected one */
    *side = (place - 1) % 2;
    return (place - 1) / 2;
}

static uint32_t new_number(struct office *o, uint32_t link, uint32_t side)
{
    uint32_t number = ++o->next_link;
    while (number >= o->link_cap) {
        uint32_t cap = o->link_cap;
        o->links = grow(o->links, &o->link_cap, sizeof(*o->links));
        memset(o->links + cap, 0, (o->link_cap - cap) * sizeof(*o->links));
    }
    if (link != WC_MAP_NONE)
        o->links[number] = 2 * link + side + 1;
    return number;
}

static void dial(struct world *w, struct office *o, uint32_t number,
                 const char *address)
{
    struct event failed = {.what = HAPPENS_DIAL_FAILED,
                           .office = o->index,
                           .life = o->life,
                           .dial = number};
    unsigned long target = strtoul(address + strlen("office"), NULL, 10);
    const struct scenario *sc = w->scenario;
    unsigned delay =
        sc->delay_min_ms +
        (unsigned)wc_rng_below(&w->rng, sc->delay_max_ms - sc->delay_min_ms + 1);
    bool lost = wc_rng_below(&w->rng, 100) < w->weather.dial_loss_percent;
    if (target >= w->office_count || lost ||
        !world_connected(w, o->index, (uint32_t)target)) {
        world_later(w, DIAL_FAIL_MS, failed);
        return;
    }
    struct office *to = &w->offices[target];
    if (to->node == NULL) { /* connection refused */
        world_later(w, 2 * delay, failed);
        return;
    }
    if (w->link_count == w->link_cap)
        w->links = grow(w->links, &w->link_cap, sizeof(*w->links));
    uint32_t id = w->link_count++;
    w->links[id] = (struct link){
        .sides = {{.office = o->index, .life = o->life, .number = new_number(o, id, 0)},
                  {.office = to->index,
                   .life = to->life,
                   .number = new_number(to, id, 1)}},
        .delay_ms = delay,
        .open = true};
    /* a handshake: the initiator has it after two messages, the other side after three
     */
    w->links[id].sides[0].last_ms = w->now_ms + 2 * delay;
    w->links[id].sides[1].last_ms = w->now_ms + 3 * delay;
    arrives(w, id, 0, (struct event){.what = HAPPENS_UP, .dial = number});
    arrives(w, id, 1, (struct event){.what = HAPPENS_UP});
    if (w->weather.reset_after_s > 0)
        world_later(w, wc_rng_below(&w->rng, 2 * SIM_SECOND * w->weather.reset_after_s),
                    (struct event){.what = HAPPENS_RESET, .link = id});
}

/* A link ends: each side that saw it open is told. */
static void break_link(struct world *w, uint32_t id)
{
    struct link *l = &w->links[id];
    if (!l->open)
        return;
    l->open = false;
    for (uint32_t side = 0; side < 2; side++)
        arrives(w, id, side, (struct event){.what = HAPPENS_DOWN});
}

static bool draws(struct world *w, double percent)
{
    return percent > 0 && (double)wc_rng_below(&w->rng, 1000000) < percent * 10000;
}

/* Frames from `o`; takes the bytes. */
static void send_frame(struct world *w, struct office *o, struct wc_effect *effect)
{
    uint32_t side, id = find_link(w, o, effect->u.send.link, &side);
    uint8_t *bytes = effect->u.send.bytes;
    size_t len = effect->u.send.len;
    effect->u.send.bytes = NULL;
    w->frames++;
    w->frame_bytes += len;
    if (w->measure != NULL)
        measure_sent(w, bytes, len);
    bool lost = id == WC_MAP_NONE || !w->links[id].open ||
                !world_connected(w, w->links[id].sides[0].office,
                                 w->links[id].sides[1].office) ||
                draws(w, w->weather.frame_loss_percent);
    if (lost) {
        free(bytes);
        return;
    }
    if (draws(w, w->weather.frame_twice_percent)) {
        uint8_t *again = malloc(len);
        assert(again != NULL);
        memcpy(again, bytes, len);
        arrives(w, id, 1 - side,
                (struct event){.what = HAPPENS_FRAME, .bytes = again, .len = len});
    }
    arrives(w, id, 1 - side,
            (struct event){.what = HAPPENS_FRAME, .bytes = bytes, .len = len});
}

uint32_t world_reachable(const struct world *w, uint32_t from)
{
    uint8_t *seen = world_reached(w, from);
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->office_count; i++)
        count += seen[i];
    free(seen);
    return count;
}

uint8_t *world_reached(const struct world *w, uint32_t from)
{
    uint8_t *seen = calloc(w->office_count, 1);
    bool more = true;
    assert(seen != NULL);
    seen[from] = 1;
    while (more) {
        more = false;
        for (uint32_t i = 0; i < w->link_count; i++) {
            const struct link *l = &w->links[i];
            uint32_t a = l->sides[0].office, b = l->sides[1].office;
            if (!l->open || !l->sides[0].up || !l->sides[1].up || seen[a] == seen[b] ||
                !world_connected(w, a, b))
                continue;
            seen[a] = seen[b] = 1;
            more = true;
        }
    }
    return seen;
}

/* ---- offices ---- */

static const uint8_t *office_key(const void *ctx, uint32_t id)
{
    return ((const struct world *)ctx)->offices[id].identity.cert.sign_key;
}

void world_identity(struct world *w, struct wc_identity *out, uint32_t number,
                    const char *name, const struct wc_signer *org)
{
    uint8_t numbers[12];
    struct wc_buf bytes = {0};
    *out = (struct wc_identity){.org = w->org};
    wc_put_u64(numbers, w->seed);
    wc_put_u32(numbers + 8, number);
    struct wc_slice part = wc_slice(numbers, sizeof(numbers));
    wc_hash(out->sign_seed, &part, 1);
    wc_hash_keyed(out->link_secret, WC_KEY_BYTES, out->sign_seed, &part, 1);
    wc_signer_init(&out->signer, out->sign_seed);
    memcpy(out->cert.org_id, w->org.id, WC_ORG_ID_BYTES);
    snprintf(out->cert.name, sizeof(out->cert.name), "%s", name);
    snprintf(out->cert.title, sizeof(out->cert.title), "Office %s", name);
    memcpy(out->cert.sign_key, out->signer.key, WC_KEY_BYTES);
    wc_dh_public(out->cert.link_key, out->link_secret);
    out->cert.not_before_ms = SIM_WALL_MS - WC_DAY_MS;
    out->cert.not_after_ms = SIM_WALL_MS + 365 * WC_DAY_MS;
    if (number < w->office_count && w->scenario->certificates_s > 0)
        out->cert.not_after_ms = SIM_WALL_MS + SIM_SECOND * w->scenario->certificates_s;
    out->cert.serial = number + 1;
    out->cert.quota = number < 900000 ? 100000 : SIM_LIAR_QUOTA;
    int rc = wc_cert_issue(&out->cert, org, &bytes);
    assert(rc == 0 && bytes.len <= sizeof(out->cert_bytes));
    memcpy(out->cert_bytes, bytes.data, bytes.len);
    out->cert_len = bytes.len;
    wc_buf_fini(&bytes);
}

const struct wc_identity *world_liar(struct world *w)
{
    char name[16];
    snprintf(name, sizeof(name), "liar%u", w->liar_count);
    w->liars = realloc(w->liars, (w->liar_count + 1) * sizeof(*w->liars));
    assert(w->liars != NULL);
    struct wc_identity *liar = &w->liars[w->liar_count];
    world_identity(w, liar, 910000 + w->liar_count, name, &w->org_signer);
    w->liar_count++;
    return liar;
}

bool world_is_liar(const struct world *w, const uint8_t key[WC_KEY_BYTES])
{
    for (uint32_t i = 0; i < w->liar_count; i++) {
        if (memcmp(w->liars[i].signer.key, key, WC_KEY_BYTES) == 0)
            return true;
    }
    return false;
}

static void office_init(struct world *w, uint32_t index)
{
    struct office *o = &w->offices[index];
    char name[16];
    snprintf(name, sizeof(name), "o%05u", index);
    o->world = w;
    o->index = index;
    o->timer_ms = UINT64_MAX;
    o->replicates = index * 100 >= w->scenario->not_replicating * w->office_count;
    o->skew_ms =
        (int64_t)wc_rng_below(&w->rng, 2 * SIM_SECOND * w->scenario->skew_s + 1) -
        (int64_t)(SIM_SECOND * w->scenario->skew_s);
    world_identity(w, &o->identity, index, name, &w->org_signer);
    wc_map_init(&o->store.by_slot, WC_DIGEST_BYTES, stored_slot, o, &w->rng);
}

struct world *world_new(const struct scenario *scenario, uint32_t offices,
                        uint64_t seed, bool verbose)
{
    struct world *w = calloc(1, sizeof(*w));
    uint8_t org_seed[WC_KEY_BYTES] = "the organisation's seed in tests";
    assert(w != NULL);
    w->scenario = scenario;
    w->weather = scenario->weather;
    w->lan = scenario->lan;
    w->seed = seed;
    w->verbose = verbose;
    w->trace = 0xcbf29ce484222325u;
    wc_rng_init(&w->rng, seed);
    wc_signer_init(&w->org_signer, org_seed);
    org_seed[0] ^= 1;
    wc_signer_init(&w->foreign_signer, org_seed);
    org_seed[0] ^= 2;
    wc_signer_init(&w->recovery_signer, org_seed);
    memset(w->org.id, 7, sizeof(w->org.id));
    snprintf(w->org.name, sizeof(w->org.name), "Simulated Council");
    memcpy(w->org.key, w->org_signer.key, WC_KEY_BYTES);
    memcpy(w->org.recovery_key, w->recovery_signer.key, WC_KEY_BYTES);
    memset(w->org.secret, 9, sizeof(w->org.secret));
    w->former_org = w->org;
    w->former_signer = w->org_signer;
    w->next_serial = 1000000;
    w->office_count = offices;
    w->offices = calloc(offices, sizeof(*w->offices));
    assert(w->offices != NULL);
    wc_map_init(&w->offices_by_key, WC_KEY_BYTES, office_key, w, &w->rng);
    wc_map_init(&w->blobs_by_hash, WC_DIGEST_BYTES, blob_hash, w, &w->rng);
    for (uint32_t i = 0; i < offices; i++) {
        office_init(w, i);
        wc_map_add(&w->offices_by_key, i);
    }
    uint32_t step = 0;
    do
        world_later(w, scenario->steps[step].at_s * SIM_SECOND,
                    (struct event){.what = HAPPENS_STEP, .number = step});
    while (scenario->steps[step++].what != STEP_END);
    return w;
}

void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->office_count; i++) {
        struct office *o = &w->offices[i];
        wc_node_free(o->node);
        free(o->links);
        free(o->store.list);
        free(o->backup);
        free(o->store.waiting.list);
        free(o->store.committing.list);
        wc_map_fini(&o->store.by_slot);
    }
    for (uint32_t i = 0; i < w->blob_count; i++)
        free(w->blobs[i].bytes);
    for (size_t i = 0; i < w->queue_count; i++)
        free(w->queue[i].bytes);
    for (uint32_t i = 0; i < w->ask_count; i++) {
        free(w->asks[i].answered);
        free(w->asks[i].matched);
        free(w->asks[i].lives);
    }
    wc_map_fini(&w->offices_by_key);
    wc_map_fini(&w->blobs_by_hash);
    wc_effects_fini(&w->fx);
    free(w->offices);
    free(w->liars);
    free(w->blobs);
    free(w->links);
    free(w->queue);
    free(w->asks);
    free(w->acked);
    free(w->puts);
    free(w);
}

/* The name server knows two offices: one that is there from the beginning, and one that
 * never answers. */
static void set_found(struct world *w, struct office *o)
{
    const char *targets[] = {"office99999:1", "office0:1"};
    int rc = 0;
    if (w->scenario->srv && o->index % w->lan == 0)
        rc = wc_node_set_hints(o->node, WC_HINT_SRV, targets, 2);
    assert(rc == 0);
    struct event beacon = {.what = HAPPENS_BEACON, .office = o->index, .life = o->life};
    world_later(w, wc_rng_below(&w->rng, SIM_SECOND), beacon);
}

/* Everybody of the local network hears it; one beacon in ten is lost on the way. */
static void send_beacon(struct world *w, const struct event *e)
{
    const struct office *from = &w->offices[e->office];
    uint32_t first = w->lan == 0 ? 0 : e->office / w->lan * w->lan;
    char address[24];
    struct wc_event heard = {.type = WC_EVENT_HEARD};
    snprintf(address, sizeof(address), "office%u:1", e->office);
    heard.u.heard.address = address;
    heard.u.heard.office_key = from->identity.signer.key;
    for (uint32_t i = first; i < first + w->lan && i < w->office_count; i++) {
        struct office *to = &w->offices[i];
        if (to->node != NULL && wc_rng_below(&w->rng, 10) > 0)
            world_step(w, to, &heard); /* the own one, too: multicast loops back */
    }
    world_later(w, 54 * SIM_SECOND + wc_rng_below(&w->rng, 12 * SIM_SECOND),
                (struct event){
                    .what = HAPPENS_BEACON, .office = e->office, .life = from->life});
}

static void set_addresses(struct world *w, struct office *o)
{
    char own[24], joins[2][24];
    const char *list[2] = {joins[0], joins[1]}, *listen = own;
    snprintf(own, sizeof(own), "office%u:1", o->index);
    int rc = wc_node_set_listen(o->node, &listen, 1);
    if (w->lan > 0) {
        set_found(w, o);
        return;
    }
    /* everybody knows the first office and one other */
    snprintf(joins[0], sizeof(joins[0]), "office0:1");
    snprintf(joins[1], sizeof(joins[1]), "office%u:1",
             (unsigned)wc_rng_below(&w->rng, o->index + 1));
    if (rc == 0)
        rc = wc_node_set_join(o->node, list, o->index == 0 ? 0 : 2);
    assert(rc == 0);
}

/* Who vouches before what is vouched for, as the daemon's store gives them. */
static int load_rank(uint8_t kind)
{
    if (kind == WC_KIND_ROTATE)
        return 0;
    return wc_kind_by_organisation(kind) ? 1 : kind == WC_KIND_CARD ? 2 : 3;
}

void world_start(struct world *w, uint32_t office)
{
    struct office *o = &w->offices[office];
    struct wc_event start = {.type = WC_EVENT_START};
    if (o->node != NULL)
        return;
    struct wc_node_config config = {
        .identity = &o->identity,
        .store = {.ctx = o, .read = store_read},
        .seed = wc_rng_u64(&w->rng),
        .replicate = o->replicates,
        .last_seq = o->last_seq,
    };
    o->life++;
    o->started = true;
    o->killed = false;
    o->timer_ms = UINT64_MAX;
    int rc = wc_node_new(&o->node, &config);
    assert(rc == 0);
    for (int pass = 0; pass < 4; pass++) {
        for (uint32_t i = 0; i < o->store.count; i++) {
            const struct blob *b = &w->blobs[o->store.list[i].blob];
            struct wc_record r;
            rc = wc_record_decode(wc_slice(b->bytes, b->len), &r, NULL);
            assert(rc == 0);
            if (load_rank(r.kind) == pass)
                rc = wc_node_load(o->node, r.bytes,
                                  SIM_WALL_MS + w->now_ms + (uint64_t)o->skew_ms);
            assert(rc == 0);
        }
    }
    set_addresses(w, o);
    ledger_started(w, o);
    world_step(w, o, &start);
}

void world_kill(struct world *w, uint32_t office)
{
    struct office *o = &w->offices[office];
    struct store *s = &o->store;
    if (o->node == NULL)
        return;
    wc_node_free(o->node);
    o->node = NULL;
    o->killed = true;
    /* the commit under way reached the disk or did not; nobody was told */
    if (wc_rng_below(&w->rng, 2) == 0) {
        for (size_t i = 0; i < s->committing.count; i++)
            store_apply(w, o, &s->committing.list[i]);
    }
    s->committing.count = s->waiting.count = 0;
    for (uint32_t i = 0; i < w->link_count; i++) {
        struct link *l = &w->links[i];
        bool mine = (l->sides[0].office == office && l->sides[0].life == o->life) ||
                    (l->sides[1].office == office && l->sides[1].life == o->life);
        if (!mine || !l->open)
            continue;
        /* a host that lost its power closes nothing */
        if (wc_rng_below(&w->rng, 4) == 0)
            l->open = false;
        else
            break_link(w, i);
    }
}

void world_backup(struct world *w, uint32_t office)
{
    struct office *o = &w->offices[office];
    size_t bytes = o->store.count * sizeof(*o->backup);
    free(o->backup);
    o->backup = malloc(bytes + 1);
    assert(o->backup != NULL);
    memcpy(o->backup, o->store.list, bytes);
    o->backup_count = o->store.count;
    o->backup_seq = o->last_seq;
}

void world_restore(struct world *w, uint32_t office)
{
    struct office *o = &w->offices[office];
    struct store *s = &o->store;
    while (s->count > 0) {
        struct change drop = {.drop = true};
        memcpy(drop.slot, s->list[s->count - 1].slot, sizeof(drop.slot));
        store_apply(w, o, &drop);
    }
    for (uint32_t i = 0; i < o->backup_count; i++) {
        struct change put = {.blob = o->backup[i].blob};
        memcpy(put.slot, o->backup[i].slot, sizeof(put.slot));
        store_apply(w, o, &put);
    }
    o->last_seq = o->backup_seq;
    o->restored = true;
    o->reconciled = false;
}

/* ---- effects ---- */

static void matches(struct world *w, struct office *o, const struct wc_effect *effect)
{
    struct event e = {.what = HAPPENS_MATCHED, .office = o->index, .life = o->life};
    memcpy(e.id, effect->u.ask_match.id, WC_ASK_ID_BYTES);
    world_later(w, 1 + wc_rng_below(&w->rng, 3), e);
}

static void act(struct world *w, struct office *o, struct wc_effect *e)
{
    struct change c = {0};
    uint32_t side, id;
    switch (e->type) {
    case WC_EFFECT_SEND:
        send_frame(w, o, e);
        break;
    case WC_EFFECT_DIAL:
        dial(w, o, e->u.dial.dial, e->u.dial.address);
        break;
    case WC_EFFECT_CLOSE:
        id = find_link(w, o, e->u.close.link, &side);
        if (id != WC_MAP_NONE)
            break_link(w, id);
        break;
    case WC_EFFECT_PUT:
        c.token = e->u.put.token;
        memcpy(c.slot, e->u.put.slot, WC_DIGEST_BYTES);
        c.blob = world_blob(w, e->u.put.bytes, e->u.put.len);
        w->blobs[c.blob].home = wc_map_find(&w->offices_by_key, e->u.put.office_key);
        store_queue(o, c);
        break;
    case WC_EFFECT_DROP:
        c.drop = true;
        memcpy(c.slot, e->u.drop.slot, WC_DIGEST_BYTES);
        store_queue(o, c);
        break;
    case WC_EFFECT_ASK_MATCH:
        matches(w, o, e);
        break;
    case WC_EFFECT_IDENTITY:
        /* it reaches the disk, or a crash comes first and the records say it again */
        if (e->u.identity.lasting && wc_rng_below(&w->rng, 2) == 0)
            o->identity = *wc_node_identity(o->node);
        break;
    case WC_EFFECT_NOTE:
    case WC_EFFECT_ACK:
    case WC_EFFECT_ASK_ANSWER:
        break;
    }
}

static void trace_effect(struct world *w, const struct office *o,
                         const struct wc_effect *e)
{
    trace_number(w, (uint64_t)o->index << 8 | e->type);
    switch (e->type) {
    case WC_EFFECT_SEND:
        trace_number(w, e->u.send.link);
        world_trace(w, e->u.send.bytes, e->u.send.len);
        break;
    case WC_EFFECT_DIAL:
        world_trace(w, e->u.dial.address, strlen(e->u.dial.address));
        break;
    case WC_EFFECT_CLOSE:
        trace_number(w, e->u.close.link);
        break;
    case WC_EFFECT_PUT:
        trace_number(w, e->u.put.token);
        world_trace(w, e->u.put.bytes, e->u.put.len);
        break;
    case WC_EFFECT_DROP:
        world_trace(w, e->u.drop.slot, WC_DIGEST_BYTES);
        break;
    case WC_EFFECT_ACK:
        trace_number(w, e->u.ack.token + (uint64_t)(int64_t)e->u.ack.rc);
        break;
    case WC_EFFECT_ASK_MATCH:
        world_trace(w, e->u.ask_match.id, WC_ASK_ID_BYTES);
        break;
    case WC_EFFECT_ASK_ANSWER:
        world_trace(w, e->u.ask_answer.answer.office_key, WC_KEY_BYTES);
        break;
    case WC_EFFECT_IDENTITY:
        trace_number(w, e->u.identity.lasting);
        break;
    case WC_EFFECT_NOTE:
        trace_number(w, (uint64_t)e->u.note.what + e->u.note.count);
        break;
    }
}

static void say(const struct world *w, const struct office *o,
                const struct wc_effect *e)
{
    static const char *const notes[] = {
        "knows office",
        "revoked",
        "is revoked",
        "linked to",
        "lost",
        "refused record",
        "refused frame",
        "reconciled with",
        "says its clock is off",
        "two contents",
        "renewed",
        "knows another organisation key",
        "turned away",
        "erased evidence",
    };
    if (!w->verbose || e->type != WC_EFFECT_NOTE)
        return;
    printf("%8llu.%03llu %s %s %s%s%s (%llu)\n",
           (unsigned long long)(w->now_ms / SIM_SECOND),
           (unsigned long long)(w->now_ms % SIM_SECOND), o->identity.cert.name,
           notes[e->u.note.what], e->u.note.office, e->u.note.rc != 0 ? ": " : "",
           e->u.note.rc != 0 ? wc_strerror(e->u.note.rc) : "",
           (unsigned long long)e->u.note.count);
}

void world_step(struct world *w, struct office *o, struct wc_event *e)
{
    struct wc_effects *fx = &w->fx;
    e->mono_ms = w->now_ms + 1;
    e->now_ms = SIM_WALL_MS + w->now_ms + (uint64_t)o->skew_ms;
    wc_effects_reset(fx);
    wc_node_step(o->node, e, fx);
    if (fx->failed)
        ledger_fail(w, "memory ran out");
    for (size_t i = 0; i < fx->count; i++) {
        say(w, o, &fx->list[i]);
        trace_effect(w, o, &fx->list[i]);
        ledger_effect(w, o, &fx->list[i]);
        act(w, o, &fx->list[i]);
    }
    store_begin(w, o);
    ledger_step(w, o, e);

    /* virtual time 0 is monotonic time 1 */
    uint64_t deadline = wc_node_deadline(o->node);
    uint64_t at_ms = deadline <= w->now_ms + 1 ? w->now_ms : deadline - 1;
    if (deadline == UINT64_MAX || at_ms >= o->timer_ms)
        return;
    o->timer_ms = at_ms;
    world_later(
        w, at_ms - w->now_ms,
        (struct event){.what = HAPPENS_TIMER, .office = o->index, .life = o->life});
}

bool world_inject(struct world *w, uint32_t office, const struct wc_identity *from,
                  const struct wc_buf *frames, size_t count)
{
    struct office *o = &w->offices[office];
    uint32_t number = new_number(o, WC_MAP_NONE, 0);
    struct wc_event e = {.type = WC_EVENT_LINK_UP};
    e.u.link_up.link = number;
    e.u.link_up.peer = &from->cert;
    e.u.link_up.peer_cert = wc_slice(from->cert_bytes, from->cert_len);
    e.u.link_up.peer_rotation = wc_slice(from->org.rotation, from->org.rotation_len);
    world_step(w, o, &e);
    bool let_in = true;
    for (size_t i = 0; i < w->fx.count; i++)
        let_in = let_in && (w->fx.list[i].type != WC_EFFECT_CLOSE ||
                            w->fx.list[i].u.close.link != number);
    for (size_t i = 0; i < count; i++) {
        e = (struct wc_event){.type = WC_EVENT_FRAME};
        e.u.frame.link = number;
        e.u.frame.bytes = wc_buf_slice(&frames[i]);
        world_step(w, o, &e);
    }
    e = (struct wc_event){.type = WC_EVENT_LINK_DOWN};
    e.u.link_down.link = number;
    world_step(w, o, &e);
    return let_in;
}

/* ---- what happens ---- */

static void link_up(struct world *w, struct office *o, const struct event *ev)
{
    struct link *l = &w->links[ev->link];
    const struct office *peer = &w->offices[l->sides[1 - ev->side].office];
    const struct wc_identity *shown =
        peer->node != NULL ? wc_node_identity(peer->node) : &peer->identity;
    struct wc_slice cert_bytes = wc_slice(shown->cert_bytes, shown->cert_len);
    struct wc_slice rotation = wc_slice(shown->org.rotation, shown->org.rotation_len);
    struct wc_event e = {.type = WC_EVENT_LINK_UP};
    struct wc_cert cert;
    bool newer, former;
    int rc = wc_link_judge(&wc_node_identity(o->node)->org, cert_bytes, rotation, &cert,
                           &newer, &former);
    if (rc == 0 && !o->wrong_clock && !peer->wrong_clock)
        rc = wc_cert_dates(&cert, SIM_WALL_MS + w->now_ms + (uint64_t)o->skew_ms);
    if (rc != 0)
        break_link(w, ev->link);
    if (!l->open) {
        if (ev->dial == 0)
            return;
        e = (struct wc_event){.type = WC_EVENT_DIAL_FAILED};
        e.u.dial_failed.dial = ev->dial;
        world_step(w, o, &e);
        return;
    }
    l->sides[ev->side].up = true;
    e.u.link_up.link = l->sides[ev->side].number;
    e.u.link_up.peer = &cert;
    e.u.link_up.peer_cert = cert_bytes;
    e.u.link_up.peer_rotation = newer ? rotation : (struct wc_slice){0};
    e.u.link_up.initiator = ev->side == 0;
    e.u.link_up.dial = ev->dial;
    world_step(w, o, &e);
}

static void happens_to(struct world *w, struct office *o, const struct event *ev)
{
    struct wc_event e = {.type = WC_EVENT_TIMER};
    struct wc_answer_person people[2] = {{.subject = "alice", .score_milli = 900},
                                         {.subject = "bob", .score_milli = 800}};
    struct side *s;
    switch (ev->what) {
    case HAPPENS_TIMER:
        if (o->timer_ms != w->now_ms)
            return; /* there was a sooner one */
        o->timer_ms = UINT64_MAX;
        world_step(w, o, &e);
        break;
    case HAPPENS_UP:
        link_up(w, o, ev);
        break;
    case HAPPENS_FRAME:
        s = &w->links[ev->link].sides[ev->side];
        if (!s->up)
            return;
        e.type = WC_EVENT_FRAME;
        e.u.frame.link = s->number;
        e.u.frame.bytes = wc_slice(ev->bytes, ev->len);
        if (w->measure != NULL)
            measure_sender(w, w->links[ev->link].sides[1 - ev->side].office);
        world_step(w, o, &e);
        if (w->measure != NULL)
            measure_sender(w, WC_MAP_NONE);
        break;
    case HAPPENS_DOWN:
        s = &w->links[ev->link].sides[ev->side];
        if (!s->up)
            return;
        s->up = false;
        e.type = WC_EVENT_LINK_DOWN;
        e.u.link_down.link = s->number;
        world_step(w, o, &e);
        break;
    case HAPPENS_DIAL_FAILED:
        e.type = WC_EVENT_DIAL_FAILED;
        e.u.dial_failed.dial = ev->dial;
        world_step(w, o, &e);
        break;
    case HAPPENS_COMMIT:
        commit(w, o);
        break;
    case HAPPENS_MATCHED:
        e.type = WC_EVENT_ASK_MATCHED;
        e.u.ask_matched.id = ev->id;
        e.u.ask_matched.people_count = o->index % 3;
        e.u.ask_matched.total = o->index; /* so that an altered answer shows */
        e.u.ask_matched.people = people;
        world_step(w, o, &e);
        break;
    case HAPPENS_BEACON:
        send_beacon(w, ev);
        break;
    case HAPPENS_RESET:
    case HAPPENS_STEP:
    case HAPPENS_START:
    case HAPPENS_EDIT:
    case HAPPENS_IMPORT:
    case HAPPENS_ASK:
    case HAPPENS_ASK_JUDGED:
        break;
    }
}

void world_run(struct world *w)
{
    world_run_until(w, UINT64_MAX);
}

void world_run_until(struct world *w, uint64_t at_ms)
{
    while (!w->done && w->queue_count > 0 && w->queue[0].at_ms <= at_ms) {
        struct event e = next_event(w);
        w->now_ms = e.at_ms;
        w->events++;
        trace_number(w, e.at_ms << 8 | e.what);
        switch (e.what) {
        case HAPPENS_TIMER:
        case HAPPENS_UP:
        case HAPPENS_FRAME:
        case HAPPENS_DOWN:
        case HAPPENS_DIAL_FAILED:
        case HAPPENS_COMMIT:
        case HAPPENS_MATCHED:
        case HAPPENS_BEACON:
            if (w->offices[e.office].node != NULL &&
                w->offices[e.office].life == e.life)
                happens_to(w, &w->offices[e.office], &e);
            break;
        case HAPPENS_RESET:
            if (w->weather.reset_after_s > 0)
                break_link(w, e.link);
            break;
        case HAPPENS_STEP:
        case HAPPENS_START:
        case HAPPENS_EDIT:
        case HAPPENS_IMPORT:
        case HAPPENS_ASK:
        case HAPPENS_ASK_JUDGED:
            scenario_happens(w, &e);
            break;
        }
        free(e.bytes);
    }
    if (at_ms != UINT64_MAX)
        w->now_ms = at_ms;
}
