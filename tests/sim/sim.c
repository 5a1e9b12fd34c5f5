/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/person.h>

#define STEPS_AT_ONCE_MAX                                                              \
    200000 /* events at one moment; more is a loop that feeds itself */
#define MEMO_COUNT (1u << 16)

enum event_type {
    EVENT_FRAME,
    EVENT_DOWN,
    EVENT_DIALLED,
    EVENT_TIMER,
    EVENT_COMMIT,
    EVENT_MATCHED,
};

struct sim_event {
    uint64_t at_ms;
    uint64_t order; /* first in, first out at one moment */
    enum event_type type;
    uint32_t office;
    uint32_t incarnation;
    struct sim_conn *conn; /* FRAME, DOWN */
    uint32_t dial, target; /* DIALLED */
    uint8_t id[WC_ASK_ID_BYTES];
    uint8_t *bytes;
    size_t len;
};

struct sim_memo {
    uint8_t digest[WC_DIGEST_BYTES];
    int rc;
    bool used;
};

static void *must(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

/* ---- randomness: splitmix64 (Steele, Lea, Flood 2014) ---- */

uint64_t sim_random(struct sim_rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint32_t sim_below(struct sim_rng *r, uint32_t n)
{
    return (uint32_t)(sim_random(r) % n);
}

bool sim_chance(struct sim_rng *r, uint32_t per_mille)
{
    return per_mille > 0 && sim_below(r, 1000) < per_mille;
}

static uint32_t between(struct sim *s, uint32_t min, uint32_t max)
{
    return min + sim_below(&s->rng, max - min + 1);
}

/* ---- disks: open addressing by the slot, which is a hash already ---- */

static struct sim_record *disk_find(const struct sim_disk *d, const uint8_t *slot)
{
    size_t i = wc_get_u64(slot) & (d->cap - 1);
    while (d->places[i].bytes != NULL &&
           memcmp(d->places[i].slot, slot, WC_DIGEST_BYTES) != 0)
        i = (i + 1) & (d->cap - 1);
    return &d->places[i];
}

static void disk_grow(struct sim_disk *d)
{
    struct sim_disk bigger = {.cap = d->cap == 0 ? 16 : d->cap * 2, .count = d->count};
    bigger.places = must(calloc(bigger.cap, sizeof(*bigger.places)));
    for (size_t i = 0; i < d->cap; i++) {
        if (d->places[i].bytes != NULL)
            *disk_find(&bigger, d->places[i].slot) = d->places[i];
    }
    free(d->places);
    *d = bigger;
}

void sim_disk_put(struct sim_disk *d, const uint8_t slot[WC_DIGEST_BYTES],
                  struct wc_slice bytes)
{
    if (d->count * 2 >= d->cap)
        disk_grow(d);
    struct sim_record *place = disk_find(d, slot);
    if (place->bytes == NULL)
        d->count++;
    free(place->bytes);
    memcpy(place->slot, slot, WC_DIGEST_BYTES);
    place->bytes = must(malloc(bytes.len));
    memcpy(place->bytes, bytes.data, bytes.len);
    place->len = bytes.len;
}

void sim_disk_drop(struct sim_disk *d, const uint8_t slot[WC_DIGEST_BYTES])
{
    struct sim_record *place = d->cap == 0 ? NULL : disk_find(d, slot);
    if (place == NULL || place->bytes == NULL)
        return;
    free(place->bytes);
    place->bytes = NULL;
    d->count--;
    /* what stood behind it may now be unreachable: set it again */
    for (size_t i = ((size_t)(place - d->places) + 1) & (d->cap - 1);
         d->places[i].bytes != NULL; i = (i + 1) & (d->cap - 1)) {
        struct sim_record moved = d->places[i];
        d->places[i].bytes = NULL;
        *disk_find(d, moved.slot) = moved;
    }
}

struct wc_slice sim_disk_get(const struct sim_disk *d,
                             const uint8_t slot[WC_DIGEST_BYTES])
{
    if (d->cap == 0)
        return wc_slice(NULL, 0);
    const struct sim_record *place = disk_find(d, slot);
    return wc_slice(place->bytes, place->bytes == NULL ? 0 : place->len);
}

void sim_disk_fini(struct sim_disk *d)
{
    for (size_t i = 0; i < d->cap; i++)
        free(d->places[i].bytes);
    free(d->places);
    *d = (struct sim_disk){0};
}

/* ---- the queue of events ---- */

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void queue_push(struct sim *s, struct sim_event event)
{
    if (s->queue_count == s->queue_cap) {
        s->queue_cap = s->queue_cap == 0 ? 1024 : s->queue_cap * 2;
        s->queue = must(realloc(s->queue, s->queue_cap * sizeof(*s->queue)));
    }
    event.order = s->next_order++;
    size_t i = s->queue_count++;
    while (i > 0 && event_before(&event, &s->queue[(i - 1) / 2])) {
        s->queue[i] = s->queue[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->queue[i] = event;
}

static struct sim_event queue_pop(struct sim *s)
{
    struct sim_event first = s->queue[0], last = s->queue[--s->queue_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->queue_count)
            break;
        if (child + 1 < s->queue_count &&
            event_before(&s->queue[child + 1], &s->queue[child]))
            child++;
        if (!event_before(&s->queue[child], &last))
            break;
        s->queue[i] = s->queue[child];
        i = child;
    }
    s->queue[i] = last;
    return first;
}

/* ---- failing and tracing ---- */

void sim_fail(struct sim *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAILED at %llu ms, seed %llu, %u offices: ", (unsigned long long)s->now_ms,
           (unsigned long long)s->seed, s->count);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    s->failed = true;
}

static void trace(struct sim *s, uint32_t office, const char *what,
                  struct wc_slice bytes)
{
    uint8_t numbers[12];
    wc_put_u64(numbers, s->now_ms);
    wc_put_u32(numbers + 8, office);
    struct wc_slice parts[] = {wc_slice(s->trace, sizeof(s->trace)),
                               wc_slice(numbers, sizeof(numbers)), wc_slice_text(what),
                               bytes};
    wc_hash(s->trace, parts, 4);
}

/* ---- making offices ---- */

static void random_bytes(struct sim *s, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)sim_random(&s->rng);
}

static void make_office(struct sim *s, uint32_t number)
{
    struct sim_office *o = &s->offices[number];
    struct wc_identity *identity = &o->identity;
    struct wc_cert *cert = &identity->cert;
    struct wc_buf bytes = {0};
    identity->org = s->org;
    random_bytes(s, identity->sign_seed, WC_KEY_BYTES);
    random_bytes(s, identity->link_secret, WC_KEY_BYTES);
    wc_signer_init(&identity->signer, identity->sign_seed);
    memcpy(cert->org_id, s->org.id, WC_ORG_ID_BYTES);
    snprintf(cert->name, sizeof(cert->name), "office-%05u", number);
    snprintf(cert->title, sizeof(cert->title), "Office %u", number);
    memcpy(cert->sign_key, identity->signer.key, WC_KEY_BYTES);
    wc_dh_public(cert->link_key, identity->link_secret);
    cert->not_before_ms = SIM_BASE_MS - WC_DAY_MS;
    cert->not_after_ms = SIM_BASE_MS + 400 * WC_DAY_MS;
    cert->serial = number + 1;
    cert->quota = 1000;
    if (wc_cert_issue(cert, &s->org_signer, &bytes) != 0)
        abort();
    memcpy(identity->cert_bytes, bytes.data, bytes.len);
    identity->cert_len = bytes.len;
    wc_buf_fini(&bytes);
    o->replicate = true;
    o->next_token = 1;
}

void sim_init(struct sim *s, uint64_t seed, uint32_t count)
{
    uint8_t org_seed[WC_KEY_BYTES];
    *s = (struct sim){.seed = seed, .rng.state = seed, .count = count};
    s->params = (struct sim_params){
        .delay_min_ms = 1, .delay_max_ms = 30, .commit_min_ms = 1, .commit_max_ms = 10};
    random_bytes(s, org_seed, sizeof(org_seed));
    wc_signer_init(&s->org_signer, org_seed);
    memcpy(s->org.key, s->org_signer.key, WC_KEY_BYTES);
    random_bytes(s, s->org.id, sizeof(s->org.id));
    random_bytes(s, s->org.secret, sizeof(s->org.secret));
    snprintf(s->org.name, sizeof(s->org.name), "Simulated Council");
    s->memo = must(calloc(MEMO_COUNT, sizeof(*s->memo)));
    s->offices = must(calloc(count, sizeof(*s->offices)));
    for (uint32_t i = 0; i < count; i++)
        make_office(s, i);
}

static void batch_clear(struct sim_office *o)
{
    for (size_t i = 0; i < o->batch_count; i++)
        free(o->batch[i].bytes);
    o->batch_count = 0;
}

void sim_fini(struct sim *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct sim_office *o = &s->offices[i];
        wc_node_free(o->node);
        batch_clear(o);
        free(o->batch);
        free(o->links);
        free(o->edits);
        sim_disk_fini(&o->disk);
    }
    for (size_t i = 0; i < s->conns_count; i++)
        free(s->conns[i]);
    for (size_t i = 0; i < s->queue_count; i++)
        free(s->queue[i].bytes);
    for (size_t i = 0; i < s->asks_count; i++) {
        free(s->asks[i].reached);
        free(s->asks[i].answered);
    }
    free(s->asks);
    free(s->conns);
    free(s->queue);
    free(s->offices);
    free(s->memo);
}

/* ---- signatures are checked once for all offices ---- */

static int verify_once(void *ctx, const struct wc_record *r,
                       const uint8_t org_key[WC_KEY_BYTES])
{
    struct sim *s = ctx;
    uint8_t digest[WC_DIGEST_BYTES];
    wc_hash(digest, &r->bytes, 1);
    struct sim_memo *memo = &s->memo[wc_get_u32(digest) & (MEMO_COUNT - 1)];
    if (!memo->used || memcmp(memo->digest, digest, sizeof(digest)) != 0) {
        memo->rc = wc_record_verify(r, org_key);
        memo->used = true;
        memcpy(memo->digest, digest, sizeof(digest));
    }
    return memo->rc;
}

static int read_disk(void *ctx, const uint8_t slot[WC_DIGEST_BYTES], struct wc_buf *out)
{
    const struct sim_office *o = ctx;
    struct wc_slice bytes = sim_disk_get(&o->disk, slot);
    if (bytes.len == 0)
        return -WC_ENOTFOUND;
    wc_buf_append(out, bytes.data, bytes.len);
    return out->failed ? -WC_ENOMEM : 0;
}

/* ---- effects ---- */

static void step(struct sim *s, uint32_t office, struct wc_event *event);

static struct sim_conn *conn_of(const struct sim_office *o, uint32_t link)
{
    return link == 0 || link > o->links_count ? NULL : o->links[link - 1];
}

/* Which side of a connection an office is. */
static int side_of(const struct sim_conn *c, uint32_t office)
{
    return c->office[0] == office ? 0 : 1;
}

static bool hears(const struct sim *s, uint32_t a, uint32_t b)
{
    return s->offices[a].group == s->offices[b].group;
}

static void deliver(struct sim *s, struct sim_conn *c, int to, const uint8_t *bytes,
                    size_t len)
{
    uint64_t at =
        s->now_ms + between(s, s->params.delay_min_ms, s->params.delay_max_ms);
    if (at < c->last_at_ms[to])
        at = c->last_at_ms[to];
    c->last_at_ms[to] = at;
    struct sim_event event = {.at_ms = at,
                              .type = EVENT_FRAME,
                              .office = c->office[to],
                              .incarnation = c->incarnation[to],
                              .conn = c,
                              .len = len};
    event.bytes = must(malloc(len));
    memcpy(event.bytes, bytes, len);
    queue_push(s, event);
}

static void do_send(struct sim *s, uint32_t office, uint32_t link, const uint8_t *bytes,
                    size_t len)
{
    struct sim_conn *c = conn_of(&s->offices[office], link);
    if (c == NULL) {
        sim_fail(s, "office %u sends on link %u, which never was", office, link);
        return;
    }
    int side = side_of(c, office);
    if (!c->open[side])
        return;
    if (len > WC_FRAME_MAX_BYTES)
        sim_fail(s, "office %u sends a frame of %zu bytes", office, len);
    s->frames++;
    s->frame_bytes += len;
    if (!hears(s, c->office[0], c->office[1]) ||
        sim_chance(&s->rng, s->params.frame_loss))
        return;
    deliver(s, c, 1 - side, bytes, len);
    if (sim_chance(&s->rng, s->params.frame_again))
        deliver(s, c, 1 - side, bytes, len);
}

/* One side is told that the connection is gone. */
static void down_later(struct sim *s, struct sim_conn *c, int side, uint64_t in_ms)
{
    uint64_t at = s->now_ms + in_ms;
    if (at < c->last_at_ms[side])
        at = c->last_at_ms[side];
    queue_push(s, (struct sim_event){.at_ms = at,
                                     .type = EVENT_DOWN,
                                     .office = c->office[side],
                                     .incarnation = c->incarnation[side],
                                     .conn = c});
}

static void do_close(struct sim *s, uint32_t office, uint32_t link)
{
    struct sim_conn *c = conn_of(&s->offices[office], link);
    if (c == NULL) {
        sim_fail(s, "office %u closes link %u, which never was", office, link);
        return;
    }
    int side = side_of(c, office);
    if (!c->open[side])
        return;
    c->open[side] = false;
    down_later(s, c, side, 0);
    if (hears(s, c->office[0], c->office[1]))
        down_later(s, c, 1 - side,
                   between(s, s->params.delay_min_ms, s->params.delay_max_ms));
}

static void do_dial(struct sim *s, uint32_t office, uint32_t dial, const char *address)
{
    struct sim_event event = {.at_ms =
                                  s->now_ms + 2ULL * between(s, s->params.delay_min_ms,
                                                             s->params.delay_max_ms),
                              .type = EVENT_DIALLED,
                              .office = office,
                              .incarnation = s->offices[office].incarnation,
                              .dial = dial,
                              .target = UINT32_MAX};
    unsigned target;
    if (sscanf(address, "office-%u:7411", &target) == 1 && target < s->count)
        event.target = target;
    queue_push(s, event);
}

static void do_store(struct sim *s, uint32_t office, const struct sim_change *change)
{
    struct sim_office *o = &s->offices[office];
    if (o->batch_count == o->batch_cap) {
        o->batch_cap = o->batch_cap == 0 ? 16 : o->batch_cap * 2;
        o->batch = must(realloc(o->batch, o->batch_cap * sizeof(*o->batch)));
    }
    o->batch[o->batch_count++] = *change;
    if (o->commit_due)
        return;
    o->commit_due = true;
    queue_push(
        s, (struct sim_event){.at_ms = s->now_ms + between(s, s->params.commit_min_ms,
                                                           s->params.commit_max_ms),
                              .type = EVENT_COMMIT,
                              .office = office,
                              .incarnation = o->incarnation});
}

static void do_ack(struct sim *s, uint32_t office, uint64_t token, int rc)
{
    struct sim_office *o = &s->offices[office];
    for (size_t i = o->edits_count; i-- > 0;) {
        if (o->edits[i].token != token)
            continue;
        if (rc == 0 && sim_disk_get(&o->disk, o->edits[i].slot).len == 0)
            sim_fail(s, "office %u acknowledges what is not on its disk", office);
        o->edits[i].acked = rc == 0;
        return;
    }
    sim_fail(s, "office %u acknowledges token %llu, which nobody gave", office,
             (unsigned long long)token);
}

static struct sim_ask *ask_by_id(struct sim *s, const uint8_t *id)
{
    for (size_t i = 0; i < s->asks_count; i++) {
        if (memcmp(s->asks[i].id, id, WC_ASK_ID_BYTES) == 0)
            return &s->asks[i];
    }
    return NULL;
}

static void do_match(struct sim *s, uint32_t office, const uint8_t *id)
{
    struct sim_ask *ask = ask_by_id(s, id);
    if (ask == NULL) {
        sim_fail(s, "office %u matches an ask that nobody made", office);
        return;
    }
    if (ask->reached[office])
        sim_fail(s, "an ask reached office %u twice", office);
    else
        ask->reached_count++;
    ask->reached[office] = true;
    struct sim_event event = {.at_ms = s->now_ms + 1,
                              .type = EVENT_MATCHED,
                              .office = office,
                              .incarnation = s->offices[office].incarnation};
    memcpy(event.id, id, sizeof(event.id));
    queue_push(s, event);
}

static void do_answer(struct sim *s, uint32_t office, const struct wc_answer *answer)
{
    struct sim_ask *ask = ask_by_id(s, answer->ask_id);
    if (ask == NULL || ask->office != office) {
        sim_fail(s, "office %u gets an answer to an ask of somebody else", office);
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        if (memcmp(s->offices[i].identity.cert.sign_key, answer->office_key,
                   WC_KEY_BYTES) != 0)
            continue;
        if (ask->answered[i])
            sim_fail(s, "office %u's answer was delivered twice", i);
        if (answer->total != i)
            sim_fail(s, "office %u's answer was altered on its way", i);
        ask->answered[i] = true;
        ask->answered_count++;
        return;
    }
    sim_fail(s, "an answer of an office that does not exist");
}

static void do_effect(struct sim *s, uint32_t office, struct wc_effect *e)
{
    struct sim_change change = {0};
    switch (e->type) {
    case WC_EFFECT_SEND:
        do_send(s, office, e->u.send.link, e->u.send.bytes, e->u.send.len);
        return;
    case WC_EFFECT_DIAL:
        do_dial(s, office, e->u.dial.dial, e->u.dial.address);
        return;
    case WC_EFFECT_CLOSE:
        do_close(s, office, e->u.close.link);
        return;
    case WC_EFFECT_PUT:
        memcpy(change.slot, e->u.put.slot, WC_DIGEST_BYTES);
        change.bytes = e->u.put.bytes;
        change.len = e->u.put.len;
        change.token = e->u.put.token;
        e->u.put.bytes = NULL;
        do_store(s, office, &change);
        return;
    case WC_EFFECT_DROP:
        change.drop = true;
        memcpy(change.slot, e->u.drop.slot, WC_DIGEST_BYTES);
        do_store(s, office, &change);
        return;
    case WC_EFFECT_ACK:
        do_ack(s, office, e->u.ack.token, e->u.ack.rc);
        return;
    case WC_EFFECT_ASK_MATCH:
        do_match(s, office, e->u.ask_match.id);
        return;
    case WC_EFFECT_ASK_ANSWER:
        do_answer(s, office, &e->u.ask_answer.answer);
        return;
    case WC_EFFECT_NOTE:
        if (e->u.note.what == WC_NOTE_CLOCK_OFF)
            s->offices[office].clock_notes++;
        return;
    }
}

static void arm_timer(struct sim *s, uint32_t office)
{
    struct sim_office *o = &s->offices[office];
    uint64_t at = wc_node_deadline(o->node);
    if (at == UINT64_MAX)
        return;
    if (at < s->now_ms)
        at = s->now_ms;
    if (o->timer_at_ms <= at)
        return;
    o->timer_at_ms = at;
    queue_push(s, (struct sim_event){.at_ms = at,
                                     .type = EVENT_TIMER,
                                     .office = office,
                                     .incarnation = o->incarnation});
}

static void step(struct sim *s, uint32_t office, struct wc_event *event)
{
    struct sim_office *o = &s->offices[office];
    struct wc_effects effects = {0};
    event->mono_ms = s->now_ms;
    event->now_ms = SIM_BASE_MS + s->now_ms + (uint64_t)o->skew_ms;
    s->steps++;
    wc_node_step(o->node, event, &effects);
    if (effects.failed)
        abort();
    for (size_t i = 0; i < effects.count; i++)
        do_effect(s, office, &effects.list[i]);
    wc_effects_fini(&effects);
    arm_timer(s, office);
}

/* ---- what happens ---- */

static void link_up(struct sim *s, struct sim_conn *c, int side, uint32_t dial)
{
    const struct wc_identity *peer = &s->offices[c->office[1 - side]].identity;
    struct wc_event event = {.type = WC_EVENT_LINK_UP};
    event.u.link_up.link = c->link[side];
    event.u.link_up.peer = &peer->cert;
    event.u.link_up.peer_cert = wc_slice(peer->cert_bytes, peer->cert_len);
    event.u.link_up.initiator = side == 0;
    event.u.link_up.dial = dial;
    step(s, c->office[side], &event);
}

static uint32_t add_link(struct sim_office *o, struct sim_conn *c)
{
    if (o->links_count == o->links_cap) {
        o->links_cap = o->links_cap == 0 ? 16 : o->links_cap * 2;
        o->links = must(realloc(o->links, o->links_cap * sizeof(struct sim_conn *)));
    }
    o->links[o->links_count++] = c;
    return o->links_count;
}

static struct sim_conn *add_conn(struct sim *s, uint32_t from, uint32_t to)
{
    struct sim_conn *c = must(calloc(1, sizeof(*c)));
    if (s->conns_count == s->conns_cap) {
        s->conns_cap = s->conns_cap == 0 ? 256 : s->conns_cap * 2;
        s->conns = must(realloc(s->conns, s->conns_cap * sizeof(*s->conns)));
    }
    s->conns[s->conns_count++] = c;
    const uint32_t ends[2] = {from, to};
    for (int side = 0; side < 2; side++) {
        c->office[side] = ends[side];
        c->incarnation[side] = s->offices[ends[side]].incarnation;
        c->link[side] = add_link(&s->offices[ends[side]], c);
        c->open[side] = true;
        c->last_at_ms[side] = s->now_ms;
    }
    return c;
}

static void on_dialled(struct sim *s, const struct sim_event *e)
{
    bool refused = e->target == UINT32_MAX || e->target == e->office ||
                   s->offices[e->target].node == NULL ||
                   !hears(s, e->office, e->target) ||
                   sim_chance(&s->rng, s->params.dial_loss);
    if (refused) {
        struct wc_event event = {.type = WC_EVENT_DIAL_FAILED};
        event.u.dial_failed.dial = e->dial;
        step(s, e->office, &event);
        return;
    }
    struct sim_conn *c = add_conn(s, e->office, e->target);
    link_up(s, c, 0, e->dial);
    link_up(s, c, 1, 0);
}

static void on_frame(struct sim *s, const struct sim_event *e)
{
    int side = side_of(e->conn, e->office);
    if (!e->conn->open[side])
        return;
    struct wc_event event = {.type = WC_EVENT_FRAME};
    event.u.frame.link = e->conn->link[side];
    event.u.frame.bytes = wc_slice(e->bytes, e->len);
    step(s, e->office, &event);
}

/* The peer's end closed; or ours did, and the engine is told so. */
static void on_down(struct sim *s, const struct sim_event *e)
{
    int side = side_of(e->conn, e->office);
    if (e->conn->link[side] == 0)
        return;
    struct wc_event event = {.type = WC_EVENT_LINK_DOWN};
    event.u.link_down.link = e->conn->link[side];
    e->conn->open[side] = false;
    e->conn->link[side] = 0; /* told once */
    step(s, e->office, &event);
}

/* Own records on the disk must have ever higher sequence numbers, crashes or not. */
static void check_seq(struct sim *s, uint32_t office, const struct sim_change *change)
{
    struct sim_office *o = &s->offices[office];
    struct wc_record r;
    if (change->drop || change->token == 0)
        return;
    if (wc_record_decode(wc_slice(change->bytes, change->len), &r, NULL) != 0) {
        sim_fail(s, "office %u stores what is not a record", office);
        return;
    }
    if (r.version.seq <= o->highest_seq)
        sim_fail(s, "office %u uses sequence number %llu again", office,
                 (unsigned long long)r.version.seq);
    o->highest_seq = r.version.seq;
}

static void apply_change(struct sim *s, uint32_t office,
                         const struct sim_change *change)
{
    struct sim_office *o = &s->offices[office];
    check_seq(s, office, change);
    if (change->drop)
        sim_disk_drop(&o->disk, change->slot);
    else
        sim_disk_put(&o->disk, change->slot, wc_slice(change->bytes, change->len));
}

/* What others wrote and found no space waits and is tried again; what was put here is refused. */
static void keep_relayed(struct sim *s, uint32_t office, struct sim_change *change)
{
    if (change->token == 0) {
        do_store(s, office, change);
        change->bytes = NULL;
    }
}

static void on_commit(struct sim *s, uint32_t office)
{
    struct sim_office *o = &s->offices[office];
    struct sim_change *batch = o->batch;
    size_t count = o->batch_count;
    int rc = o->disk_full ? -WC_EFULL : 0;
    o->batch = NULL;
    o->batch_count = o->batch_cap = 0;
    o->commit_due = false;
    for (size_t i = 0; i < count; i++) {
        if (rc == 0)
            apply_change(s, office, &batch[i]);
        else
            keep_relayed(s, office, &batch[i]);
    }
    for (size_t i = 0; i < count; i++) {
        struct wc_event event = {.type = WC_EVENT_STORED};
        event.u.stored.token = batch[i].token;
        event.u.stored.rc = rc;
        if (batch[i].token != 0)
            step(s, office, &event);
        free(batch[i].bytes);
    }
    free(batch);
}

static void on_matched(struct sim *s, const struct sim_event *e)
{
    struct wc_answer_person person = {.subject = "p0", .score_milli = 500};
    struct wc_event event = {.type = WC_EVENT_ASK_MATCHED};
    event.u.ask_matched.id = e->id;
    event.u.ask_matched.total = e->office; /* so that an altered answer shows */
    event.u.ask_matched.people_count = 1;
    event.u.ask_matched.people = &person;
    step(s, e->office, &event);
}

static void on_timer(struct sim *s, const struct sim_event *e)
{
    struct sim_office *o = &s->offices[e->office];
    if (o->timer_at_ms != e->at_ms)
        return; /* an earlier one took its place */
    o->timer_at_ms = UINT64_MAX;
    step(s, e->office, &(struct wc_event){.type = WC_EVENT_TIMER});
}

static void dispatch(struct sim *s, const struct sim_event *e)
{
    static const char *const names[] = {"frame", "down",   "dialled",
                                        "timer", "commit", "matched"};
    struct sim_office *o = &s->offices[e->office];
    if (o->node == NULL || o->incarnation != e->incarnation)
        return;
    trace(s, e->office, names[e->type], wc_slice(e->bytes, e->len));
    switch (e->type) {
    case EVENT_FRAME:
        on_frame(s, e);
        break;
    case EVENT_DOWN:
        on_down(s, e);
        break;
    case EVENT_DIALLED:
        on_dialled(s, e);
        break;
    case EVENT_TIMER:
        on_timer(s, e);
        break;
    case EVENT_COMMIT:
        on_commit(s, e->office);
        break;
    case EVENT_MATCHED:
        on_matched(s, e);
        break;
    }
}

void sim_run_until(struct sim *s, uint64_t at_ms)
{
    while (!s->failed && s->queue_count > 0 && s->queue[0].at_ms <= at_ms) {
        struct sim_event e = queue_pop(s);
        s->steps_now = e.at_ms == s->now_ms ? s->steps_now + 1 : 0;
        if (s->steps_now > STEPS_AT_ONCE_MAX)
            sim_fail(s, "time stands still: office %u feeds itself", e.office);
        s->now_ms = e.at_ms;
        dispatch(s, &e);
        free(e.bytes);
    }
    if (s->now_ms < at_ms)
        s->now_ms = at_ms;
}

bool sim_run_while_not(struct sim *s, bool (*done)(struct sim *s), uint64_t for_ms)
{
    uint64_t end = s->now_ms + for_ms;
    while (!s->failed && s->now_ms < end) {
        sim_run_until(s, s->now_ms + 100);
        if (done(s))
            return true;
    }
    return false;
}

/* ---- what the scenario does ---- */

static void load_disk(struct sim_office *o, bool cards, uint64_t now_ms)
{
    for (size_t i = 0; i < o->disk.cap; i++) {
        const struct sim_record *place = &o->disk.places[i];
        struct wc_record r;
        if (place->bytes == NULL ||
            wc_record_decode(wc_slice(place->bytes, place->len), &r, NULL) != 0)
            continue;
        bool first = r.kind == WC_KIND_CARD || r.kind == WC_KIND_REVOKE;
        if (first == cards && wc_node_load(o->node, r.bytes, now_ms) != 0)
            abort();
    }
}

void sim_start(struct sim *s, uint32_t office)
{
    struct sim_office *o = &s->offices[office];
    char own[WC_ADDRESS_MAX_BYTES], hub[WC_ADDRESS_MAX_BYTES],
        first[WC_ADDRESS_MAX_BYTES];
    const char *listen = own, *joins[2] = {hub, first};
    struct wc_node_config config = {.identity = &o->identity,
                                    .store = {.ctx = o, .read = read_disk},
                                    .verify = verify_once,
                                    .verify_ctx = s,
                                    .seed = sim_random(&s->rng),
                                    .replicate = o->replicate,
                                    .last_seq = o->highest_seq};
    assert(o->node == NULL);
    o->incarnation++;
    o->timer_at_ms = UINT64_MAX;
    o->commit_due = false;
    if (wc_node_new(&o->node, &config) != 0)
        abort();
    uint64_t now_ms = SIM_BASE_MS + s->now_ms + (uint64_t)o->skew_ms;
    load_disk(o, true, now_ms);
    load_disk(o, false, now_ms);
    snprintf(own, sizeof(own), "office-%05u:7411", office);
    wc_node_set_listen(o->node, &listen, 1);
    /* everybody knows the first office and another; the first knows the second */
    uint32_t known = office == 0 ? 1 : sim_below(&s->rng, office);
    snprintf(hub, sizeof(hub), "office-%05u:7411", 0);
    snprintf(first, sizeof(first), "office-%05u:7411", known);
    wc_node_set_join(o->node, joins, 2);
    step(s, office, &(struct wc_event){.type = WC_EVENT_START});
}

void sim_kill(struct sim *s, uint32_t office, bool silent)
{
    struct sim_office *o = &s->offices[office];
    if (o->node == NULL)
        return;
    trace(s, office, "kill", wc_slice(NULL, 0));
    for (uint32_t i = 0; i < o->links_count; i++) {
        struct sim_conn *c = o->links[i];
        int side = side_of(c, office);
        if (!c->open[side] || c->incarnation[side] != o->incarnation)
            continue;
        c->open[side] = false;
        c->link[side] = 0;
        if (!silent && hears(s, c->office[0], c->office[1]))
            down_later(s, c, 1 - side,
                       between(s, s->params.delay_min_ms, s->params.delay_max_ms));
    }
    wc_node_free(o->node);
    o->node = NULL;
    o->incarnation++;
    batch_clear(o);
}

void sim_edit(struct sim *s, uint32_t office, bool again)
{
    struct sim_office *o = &s->offices[office];
    struct wc_person person = {.present = WC_PERSON_NAME | WC_PERSON_TITLE};
    struct wc_version version = {0};
    struct wc_buf body = {0};
    char subject[32], title[64];
    uint8_t slot[WC_DIGEST_BYTES], sig[WC_SIG_BYTES], kind;
    const uint8_t *key = o->identity.cert.sign_key;
    if (o->node == NULL)
        return;
    uint32_t who = again && o->next_person > 0 ? sim_below(&s->rng, o->next_person)
                                               : o->next_person++;
    snprintf(subject, sizeof(subject), "p%u", who);
    snprintf(title, sizeof(title), "Title %llu",
             (unsigned long long)sim_random(&s->rng));
    person.name = wc_slice_text(subject);
    person.title = wc_slice_text(title);
    wc_slot(slot, WC_KIND_PROFILE, key, subject);
    wc_node_slot(o->node, slot, &version, &kind); /* rev stays 0 when there is none */
    if (wc_person_body(key, subject, version.rev + 1, &person, NULL, &body) != 0 ||
        wc_body_sign(sig, WC_KIND_PROFILE, wc_buf_slice(&body), &o->identity.signer) !=
            0)
        abort();

    if (o->edits_count == o->edits_cap) {
        o->edits_cap = o->edits_cap == 0 ? 16 : o->edits_cap * 2;
        o->edits = must(realloc(o->edits, o->edits_cap * sizeof(*o->edits)));
    }
    struct sim_edit *edit = &o->edits[o->edits_count++];
    *edit = (struct sim_edit){.token = o->next_token++};
    memcpy(edit->slot, slot, sizeof(slot));

    struct wc_event event = {.type = WC_EVENT_LOCAL_PUT};
    event.u.local_put.token = edit->token;
    event.u.local_put.kind = WC_KIND_PROFILE;
    event.u.local_put.body = wc_buf_slice(&body);
    event.u.local_put.author_key = key;
    event.u.local_put.author_sig = sig;
    trace(s, office, "edit", wc_buf_slice(&body));
    step(s, office, &event);
    wc_buf_fini(&body);
}

void sim_ask(struct sim *s, uint32_t office)
{
    struct sim_office *o = &s->offices[office];
    if (o->node == NULL)
        return;
    s->asks = must(realloc(s->asks, (s->asks_count + 1) * sizeof(*s->asks)));
    struct sim_ask *ask = &s->asks[s->asks_count++];
    *ask = (struct sim_ask){.office = office};
    ask->reached = must(calloc(s->count, sizeof(bool)));
    ask->answered = must(calloc(s->count, sizeof(bool)));
    random_bytes(s, ask->id, sizeof(ask->id));
    struct wc_event event = {.type = WC_EVENT_LOCAL_ASK};
    event.u.local_ask.id = ask->id;
    event.u.local_ask.text = wc_slice_text("who can help with a blog");
    event.u.local_ask.by = wc_slice_text("p0");
    event.u.local_ask.lease_ms = WC_DAY_MS;
    trace(s, office, "ask", wc_slice(ask->id, sizeof(ask->id)));
    step(s, office, &event);
}

void sim_inject(struct sim *s, uint32_t office, struct wc_slice frame)
{
    struct sim_office *o = &s->offices[office];
    for (uint32_t i = 0; i < o->links_count; i++) {
        struct sim_conn *c = o->links[i];
        int side = side_of(c, office);
        if (c->open[side] && c->incarnation[side] == o->incarnation)
            deliver(s, c, 1 - side, frame.data, frame.len);
    }
}

void sim_revoke(struct sim *s, uint32_t office, uint32_t told)
{
    struct wc_buf record = {0}, frame = {0};
    struct sim_office *o = &s->offices[office];
    if (wc_revoke_build(o->identity.cert.sign_key, &s->org_signer,
                        SIM_BASE_MS + s->now_ms, &record) != 0)
        abort();
    wc_pack_array(&frame, 3);
    wc_pack_u64(&frame, WC_WIRE_RECORDS);
    wc_pack_u64(&frame, 0);
    wc_pack_array(&frame, 1);
    wc_pack_bin(&frame, wc_buf_slice(&record));
    o->revoked = true;
    sim_inject(s, told, wc_buf_slice(&frame));
    wc_buf_fini(&record);
    wc_buf_fini(&frame);
}

/* ---- properties ---- */

static bool counts(const struct sim_office *o)
{
    return o->node != NULL && !o->revoked;
}

bool sim_converged(struct sim *s)
{
    const struct sim_office *reference = NULL;
    struct wc_node_stats first = {0}, stats;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct sim_office *o = &s->offices[i];
        if (!counts(o))
            continue;
        if (o->batch_count > 0)
            return false;
        wc_node_stats(o->node, &stats);
        if (reference == NULL || (!reference->replicate && o->replicate)) {
            if (reference != NULL && first.records_count[0] != stats.records_count[0])
                return false;
            reference = o;
            first = stats;
        }
        if (stats.records_count[0] != first.records_count[0])
            return false;
        if (o->replicate &&
            memcmp(stats.fingerprint, first.fingerprint, WC_DIGEST_BYTES) != 0)
            return false;
    }
    return true;
}

/* What an office acknowledged is on its disk, in this version or a later one. */
static void check_edits(struct sim *s, uint32_t office)
{
    const struct sim_office *o = &s->offices[office];
    for (size_t i = 0; i < o->edits_count; i++) {
        if (o->edits[i].acked && sim_disk_get(&o->disk, o->edits[i].slot).len == 0)
            sim_fail(s, "office %u lost an edit that it had acknowledged", office);
    }
}

/* Every record of one disk is on the other, byte for byte. */
static void check_disks(struct sim *s, uint32_t a, uint32_t b)
{
    const struct sim_disk *d = &s->offices[a].disk;
    for (size_t i = 0; i < d->cap; i++) {
        const struct sim_record *place = &d->places[i];
        if (place->bytes == NULL)
            continue;
        struct wc_slice other = sim_disk_get(&s->offices[b].disk, place->slot);
        if (!wc_slice_eq(other, wc_slice(place->bytes, place->len))) {
            sim_fail(s, "offices %u and %u have other bytes in one slot", a, b);
            return;
        }
    }
    if (d->count != s->offices[b].disk.count)
        sim_fail(s, "offices %u and %u have %zu and %zu records", a, b, d->count,
                 s->offices[b].disk.count);
}

void sim_check(struct sim *s)
{
    uint32_t reference = UINT32_MAX;
    for (uint32_t i = 0; i < s->count && !s->failed; i++) {
        const struct sim_office *o = &s->offices[i];
        if (!counts(o))
            continue;
        check_edits(s, i);
        if (!o->replicate)
            continue;
        if (reference == UINT32_MAX)
            reference = i;
        else
            check_disks(s, reference, i);
    }
}
