/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine under a sequence of events: the input is a script of one-byte commands with
 * their parameters. Some deliver raw bytes, others well-formed and well-signed things
 * at the wrong moment, which raw bytes would hardly ever reach. After each step what
 * the engine asks for must be something that a caller can do.
 */
#include <whocan/node.h>
#include <whocan/pack.h>

#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/offices.h"
#include "tests/unit/reconciling.h"

#define NEIGHBOURS       5
#define SLOTS            512
#define CHANGES          2048
#define EFFECTS_MAX      2048
#define STEPS_MAX        400 /* of one input: signatures are slow */
#define OUTPUT_MAX_BYTES (8u << 20)

static struct offices_org org;
static struct wc_identity me, others[NEIGHBOURS];
static bool ready;

struct change {
    uint64_t token;
    bool drop;
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_buf bytes;
};

static struct run {
    struct wc_slice in;
    struct wc_node *node;
    struct wc_effects fx;
    uint64_t mono_ms, now_ms;
    uint32_t next_link;
    uint32_t links[NEIGHBOURS]; /* number of the open link to each, 0 none */
    uint32_t dials[64];
    uint32_t dials_count;
    uint64_t next_token;
    struct change changes[CHANGES];
    uint32_t changes_count;
    struct {
        uint8_t slot[WC_DIGEST_BYTES];
        struct wc_buf bytes;
    } stored[SLOTS];
    uint32_t stored_count;
    uint32_t session, set; /* of the engine's last SYNC */
    uint8_t matched[WC_ASK_ID_BYTES];
} run;

static uint8_t take(void)
{
    if (run.in.len == 0)
        return 0;
    run.in.len--;
    return *run.in.data++;
}

static struct wc_slice take_bytes(size_t len)
{
    struct wc_slice s = wc_slice(run.in.data, len < run.in.len ? len : run.in.len);
    run.in.data += s.len;
    run.in.len -= s.len;
    return s;
}

/* ---- the store ---- */

static int find_stored(const uint8_t *slot)
{
    for (uint32_t i = 0; i < run.stored_count; i++) {
        if (memcmp(run.stored[i].slot, slot, WC_DIGEST_BYTES) == 0)
            return (int)i;
    }
    return -1;
}

static int read_stored(void *ctx, const uint8_t slot[WC_DIGEST_BYTES],
                       struct wc_buf *out)
{
    int i = find_stored(slot);
    (void)ctx;
    if (i < 0)
        return -WC_ENOTFOUND;
    wc_buf_append(out, run.stored[i].bytes.data, run.stored[i].bytes.len);
    return 0;
}

static void apply(struct change *c)
{
    int i = find_stored(c->slot);
    if (i >= 0) {
        wc_buf_fini(&run.stored[i].bytes);
        run.stored[i] = run.stored[--run.stored_count];
    }
    if (!c->drop && run.stored_count < SLOTS) {
        memcpy(run.stored[run.stored_count].slot, c->slot, WC_DIGEST_BYTES);
        run.stored[run.stored_count++].bytes = c->bytes;
        c->bytes = (struct wc_buf){0};
    }
    wc_buf_fini(&c->bytes);
}

/* ---- what comes out ---- */

static bool is_open(uint32_t link)
{
    for (int i = 0; i < NEIGHBOURS; i++) {
        if (link != 0 && run.links[i] == link)
            return true;
    }
    return false;
}

/* What the engine says is what its neighbours decode. */
static void check_frame(struct wc_slice f)
{
    static struct wc_wire_ranges ranges;
    static struct wc_wire_answers answers;
    struct wc_wire_records records;
    struct wc_wire_clock clock;
    struct wc_wire_ask ask;
    struct wc_wire_joined joined;
    struct wc_wire_list list;
    struct wc_wire_beat beat;
    enum wc_wire_priority priority;
    HOLDS(f.len <= WC_FRAME_MAX_BYTES && wc_wire_type(f) > 0);
    switch ((enum wc_wire_type)wc_wire_type(f)) {
    case WC_WIRE_HELLO:
    case WC_WIRE_PING:
    case WC_WIRE_PONG:
        HOLDS(wc_wire_decode_clock(f, &clock, NULL) == 0);
        break;
    case WC_WIRE_RECORDS:
        HOLDS(wc_wire_decode_records(f, &records, NULL) == 0);
        break;
    case WC_WIRE_SYNC:
        HOLDS(wc_wire_decode_sync(f, &ranges, NULL) == 0);
        run.session = ranges.session;
        run.set = ranges.set;
        break;
    case WC_WIRE_AUDIT:
        HOLDS(wc_wire_decode_audit(f, &ranges, NULL) == 0);
        run.session = ranges.session;
        run.set = ranges.set;
        break;
    case WC_WIRE_DIFF:
        HOLDS(wc_wire_decode_diff(f, &ranges, NULL) == 0);
        break;
    case WC_WIRE_WANT:
        HOLDS(wc_wire_decode_want(f, &ranges, NULL) == 0);
        break;
    case WC_WIRE_ASK:
        HOLDS(wc_wire_decode_ask(f, &ask, NULL) == 0);
        break;
    case WC_WIRE_ANSWERS:
        HOLDS(wc_wire_decode_answers(f, &answers, NULL) == 0);
        break;
    case WC_WIRE_NEIGHBOUR:
        HOLDS(wc_wire_decode_neighbour(f, &priority, NULL) == 0);
        break;
    case WC_WIRE_JOINED:
        HOLDS(wc_wire_decode_joined(f, &joined, NULL) == 0);
        break;
    case WC_WIRE_SHUFFLE:
    case WC_WIRE_SHUFFLED:
    case WC_WIRE_IHAVE:
    case WC_WIRE_GRAFT:
        HOLDS(wc_wire_decode_list(f, &list, NULL) == 0);
        break;
    case WC_WIRE_PART:
    case WC_WIRE_PRUNE:
        HOLDS(wc_wire_decode_bare(f, NULL) == 0);
        break;
    case WC_WIRE_BEAT:
        HOLDS(wc_wire_decode_beat(f, &beat, NULL) == 0);
        break;
    }
}

static void check_put(const struct wc_effect *e)
{
    struct wc_record r;
    HOLDS(wc_record_decode(wc_slice(e->u.put.bytes, e->u.put.len), &r, NULL) == 0);
    HOLDS(r.kind == e->u.put.kind && r.slot_kind != 0);
    /* an office's own rows are trusted to be signed as the caller says */
    if (memcmp(r.author_key, me.signer.key, WC_KEY_BYTES) != 0)
        HOLDS(wc_record_verify(&r, &org.org) == 0);
    HOLDS(run.changes_count < CHANGES);
}

static void later(const struct wc_effect *e)
{
    struct change *c = &run.changes[run.changes_count++];
    *c = (struct change){.drop = e->type == WC_EFFECT_DROP};
    if (c->drop) {
        memcpy(c->slot, e->u.drop.slot, WC_DIGEST_BYTES);
        return;
    }
    c->token = e->u.put.token;
    memcpy(c->slot, e->u.put.slot, WC_DIGEST_BYTES);
    wc_buf_append(&c->bytes, e->u.put.bytes, e->u.put.len);
}

static void closed(uint32_t link)
{
    HOLDS(is_open(link));
    for (int i = 0; i < NEIGHBOURS; i++) {
        if (run.links[i] == link)
            run.links[i] = 0;
    }
}

static void effect(const struct wc_effect *e, size_t *output)
{
    switch (e->type) {
    case WC_EFFECT_SEND:
        HOLDS(is_open(e->u.send.link));
        check_frame(wc_slice(e->u.send.bytes, e->u.send.len));
        *output += e->u.send.len;
        break;
    case WC_EFFECT_DIAL:
        HOLDS(e->u.dial.dial != 0 && e->u.dial.address[0] != '\0');
        run.dials[run.dials_count++ % 64] = e->u.dial.dial;
        break;
    case WC_EFFECT_CLOSE:
        closed(e->u.close.link);
        break;
    case WC_EFFECT_PUT:
        check_put(e);
        later(e);
        break;
    case WC_EFFECT_DROP:
        HOLDS(run.changes_count < CHANGES);
        later(e);
        break;
    case WC_EFFECT_ASK_MATCH:
        memcpy(run.matched, e->u.ask_match.id, sizeof(run.matched));
        break;
    case WC_EFFECT_ASK_ANSWER:
        HOLDS(e->u.ask_answer.heard_count >= 1);
        HOLDS(e->u.ask_answer.heard_count <= NEIGHBOURS + 1);
        break;
    case WC_EFFECT_ACK:
        HOLDS((e->u.ack.token & WC_NODE_TOKEN) == 0 || e->u.ack.rc == -WC_EINVALID);
        break;
    case WC_EFFECT_IDENTITY: /* it is signed by keys that the fuzzer has not */
        HOLDS(false);
        break;
    case WC_EFFECT_NOTE:
        HOLDS(strlen(e->u.note.office) <= WC_OFFICE_NAME_MAX_BYTES);
        break;
    }
}

static void check_node(void)
{
    struct wc_node_office o, before = {0};
    struct wc_node_stats stats;
    wc_node_stats(run.node, &stats);
    HOLDS(stats.links_count <= NEIGHBOURS);
    HOLDS(stats.offices_count >= 1 && stats.offices_count <= NEIGHBOURS + 1);
    for (uint32_t i = 0; wc_node_office_at(run.node, i, &o); i++) {
        HOLDS(i <= NEIGHBOURS);
        HOLDS(strcmp(before.cert.name, o.cert.name) <= 0);
        before = o;
    }
}

static void step(struct wc_event *e)
{
    size_t output = 0;
    e->mono_ms = run.mono_ms;
    e->now_ms = run.now_ms;
    wc_effects_reset(&run.fx);
    wc_node_step(run.node, e, &run.fx);
    HOLDS(!run.fx.failed && run.fx.count <= EFFECTS_MAX);
    for (size_t i = 0; i < run.fx.count; i++)
        effect(&run.fx.list[i], &output);
    HOLDS(output <= OUTPUT_MAX_BYTES);
    check_node();
}

/* ---- commands ---- */

static void say(uint8_t who, struct wc_slice frame)
{
    struct wc_event e = {.type = WC_EVENT_FRAME};
    e.u.frame.link = run.links[who % NEIGHBOURS];
    e.u.frame.bytes = frame;
    if (e.u.frame.link != 0)
        step(&e);
}

static void say_buf(uint8_t who, struct wc_buf *b)
{
    say(who, wc_buf_slice(b));
    wc_buf_fini(b);
}

static void link_up(uint8_t who, bool initiator)
{
    struct wc_event e = {.type = WC_EVENT_LINK_UP};
    const struct wc_identity *peer = &others[who % NEIGHBOURS];
    struct wc_buf hello = {0};
    uint32_t number = ++run.next_link, old = run.links[who % NEIGHBOURS];
    /* the new link may replace the old one or be closed itself */
    run.links[who % NEIGHBOURS] = number;
    if (old != 0) {
        struct wc_event down = {.type = WC_EVENT_LINK_DOWN};
        down.u.link_down.link = old;
        step(&down);
    }
    e.u.link_up.link = number;
    e.u.link_up.peer = &peer->cert;
    e.u.link_up.peer_cert = wc_slice(peer->cert_bytes, peer->cert_len);
    e.u.link_up.initiator = initiator;
    e.u.link_up.dial = initiator ? run.dials[who % 64] : 0;
    step(&e);
    wc_wire_hello(&hello, run.now_ms);
    say_buf(who, &hello);
}

/* A record by a neighbour (or, past the last, by us): signed well unless `bad`. */
static void build(uint8_t who, uint8_t kind, uint8_t login, uint8_t rev, bool bad,
                  struct wc_buf *out)
{
    const struct wc_identity *office = who % 6 < 5 ? &others[who % 6] : &me;
    struct wc_stamp_params p = {.seq = run.now_ms + login % 3,
                                .stamped_at_ms = run.now_ms,
                                .expires_at_ms = run.now_ms + 3600000};
    struct wc_card card = {.cert = wc_slice(office->cert_bytes, office->cert_len)};
    struct wc_buf body = {0};
    char subject[8];
    uint8_t sig[WC_SIG_BYTES];
    snprintf(subject, sizeof(subject), "p%u", login % 8);
    if (login % 2 == 0) {
        card.address_count = 1;
        snprintf(card.addresses[0], sizeof(card.addresses[0]), "h%u:1", who);
    }
    int rc = 0;
    if (kind == WC_KIND_CARD)
        rc = wc_card_body(office->signer.key, 1 + rev % 4, &card, &body);
    else if (kind == WC_KIND_RETIRE)
        rc = wc_retire_body(office->signer.key, subject, 1 + rev % 4,
                            login % 2 ? WC_KIND_ROW : WC_KIND_PROFILE, login % 3 == 0,
                            &body);
    else
        wc_body_begin(&body, office->signer.key, subject, 1 + rev % 4, 0);
    if (rc == 0 && wc_body_sign(sig, kind, wc_buf_slice(&body), &office->signer) == 0)
        wc_record_stamp(kind, wc_buf_slice(&body), office->signer.key, sig,
                        &office->signer, &p, out);
    if (bad && out->len > 0)
        out->data[out->len - 1] ^= 1;
    wc_buf_fini(&body);
}

static void say_record(uint8_t who)
{
    static const uint8_t kinds[] = {WC_KIND_CARD, WC_KIND_ROW, WC_KIND_PROFILE,
                                    WC_KIND_RETIRE, 77};
    struct wc_buf record = {0}, packed = {0}, b = {0};
    uint8_t what = take(), by = take(), login = take(), rev = take();
    if (what % 16 == 15)
        wc_revoke_build(others[by % NEIGHBOURS].signer.key, &org.signer, run.now_ms,
                        &record);
    else
        build(by, kinds[what % 5], login, rev, what > 250, &record);
    if (record.len > 0) {
        wc_pack_bin(&packed, wc_buf_slice(&record));
        wc_wire_records(&b, (enum wc_wire_reason)(what / 16 % 3), 1,
                        wc_buf_slice(&packed));
        say_buf(who, &b);
    }
    wc_buf_fini(&record);
    wc_buf_fini(&packed);
}

static void say_ask(uint8_t who)
{
    const struct wc_identity *office = &others[take() % NEIGHBOURS];
    struct wc_ask ask = {.text = wc_slice_text("who?"), .by = wc_slice_text("zoe")};
    struct wc_stamp_params p = {.seq = 1,
                                .stamped_at_ms = run.now_ms - 1000u * take(),
                                .expires_at_ms = run.now_ms + 3600000};
    struct wc_buf body = {0}, record = {0}, b = {0};
    uint8_t sig[WC_SIG_BYTES];
    memset(ask.id, take(), sizeof(ask.id));
    HOLDS(wc_ask_body(office->signer.key, 1, &ask, &body) == 0);
    HOLDS(wc_body_sign(sig, WC_KIND_ASK, wc_buf_slice(&body), &office->signer) == 0);
    HOLDS(wc_record_stamp(WC_KIND_ASK, wc_buf_slice(&body), office->signer.key, sig,
                          &office->signer, &p, &record) == 0);
    wc_wire_ask(&b, 1 + take() % WC_ASK_HOPS_MAX, wc_buf_slice(&record));
    say_buf(who, &b);
    wc_buf_fini(&body);
    wc_buf_fini(&record);
}

static void say_answer(uint8_t who)
{
    const struct wc_identity *office = &others[take() % NEIGHBOURS];
    struct wc_answer a = {.total = take()};
    struct wc_buf body = {0}, packed = {0}, b = {0};
    uint8_t sig[WC_SIG_BYTES];
    memset(a.ask_id, take(), sizeof(a.ask_id));
    memcpy(a.office_key, office->signer.key, WC_KEY_BYTES);
    wc_answer_encode(&body, &a);
    HOLDS(wc_answer_sign(sig, wc_buf_slice(&body), &office->signer) == 0);
    wc_wire_answer(&packed, wc_buf_slice(&body), sig);
    wc_wire_answers(&b, 1, wc_buf_slice(&packed));
    say_buf(who, &b);
    wc_buf_fini(&body);
    wc_buf_fini(&packed);
}

/* A SYNC or an AUDIT, or a DIFF to the engine's own session. */
static void say_ranges(uint8_t who, bool diff)
{
    static struct wc_wire_ranges r;
    static uint8_t items[WC_ITEM_LEAF_MAX * WC_ITEM_BYTES];
    struct wc_buf b = {0};
    uint8_t shape = take();
    bool audit = !diff && shape % 4 == 3;
    r = (struct wc_wire_ranges){.set = diff ? (uint8_t)run.set : shape % 3u,
                                .session = diff ? run.session : shape};
    r.set = audit ? r.set & 1u : r.set;
    r.count = r.set == WC_SET_ALL ? 1 : 1 + shape / 2 % 4;
    for (uint32_t i = 0; i < r.count; i++) {
        struct wc_wire_range *w = &r.ranges[i];
        uint8_t what = take(), count = (uint8_t)(1 + take() % (WC_ITEM_LEAF_MAX - 1));
        w->bits = (uint16_t)(r.set == WC_SET_ALL ? 0 : 4 * (what % 4));
        if (w->bits >= 4)
            wc_item_set_branch(w->prefix, 0, take() % 16);
        w->form = audit || what / 4 % 2 == 0 || r.set == WC_SET_ALL ? WC_FORM_COMPARE
                                                                    : WC_FORM_OPEN;
        if (!diff)
            continue;
        w->form =
            r.set == WC_SET_ALL ? WC_FORM_BRANCHES : (enum wc_wire_form)(what / 4 % 3);
        for (uint32_t k = 0; k < count; k++) {
            uint8_t *item = items + (size_t)k * WC_ITEM_BYTES;
            memcpy(item, w->prefix, WC_ITEM_BYTES);
            item[WC_ITEM_BYTES - 1] = (uint8_t)(k + 1);
        }
        w->data =
            wc_slice(items, w->form == WC_FORM_ITEMS ? count * WC_ITEM_BYTES
                            : w->form == WC_FORM_IDS ? count * WC_SHORT_ID_BYTES
                            : r.set == WC_SET_ALL    ? WC_SETS_COUNT * WC_BRANCH_BYTES
                                                  : WC_ITEM_BRANCHES * WC_BRANCH_BYTES);
    }
    if (diff)
        wc_wire_diff(&b, &r);
    else if (audit)
        wc_wire_audit(&b, &r);
    else
        wc_wire_sync(&b, &r);
    say_buf(who, &b);
}

static void say_want(uint8_t who)
{
    static struct wc_wire_ranges want;
    uint8_t item[1][WC_ITEM_BYTES], id[1][WC_SHORT_ID_BYTES];
    struct wc_buf b = {0};
    struct wc_record r;
    uint8_t which = take();
    memset(item, which, sizeof(item));
    if (run.stored_count > 0) { /* one that there is, if it was not replaced */
        uint32_t i = which % run.stored_count;
        if (wc_record_decode(wc_buf_slice(&run.stored[i].bytes), &r, NULL) == 0)
            wc_record_item(run.stored[i].slot, &r.version, org.org.secret, item[0]);
    }
    reconciling_wants(&want, which & 1u, item, 1, id);
    wc_wire_want(&b, &want);
    say_buf(who, &b);
}

/* What keeps neighbours and the tree, each well-formed. */
static void say_overlay(uint8_t who)
{
    static const enum wc_wire_type lists[] = {WC_WIRE_SHUFFLE, WC_WIRE_SHUFFLED,
                                              WC_WIRE_IHAVE, WC_WIRE_GRAFT};
    uint8_t what = take(), number = take(), items[4 * WC_KEY_BYTES];
    struct wc_wire_beat beat = {.number = number, .hops = number % WC_BEAT_HOPS_MAX};
    struct wc_buf b = {0}, card = {0};
    for (unsigned i = 0; i < 4; i++)
        memcpy(items + (size_t)i * WC_KEY_BYTES,
               others[(number + i) % NEIGHBOURS].signer.key, WC_KEY_BYTES);
    switch (what % 6) {
    case 0:
        wc_wire_neighbour(&b, (enum wc_wire_priority)(number % 3));
        break;
    case 1:
        wc_wire_bare(&b, number % 2 == 0 ? WC_WIRE_PART : WC_WIRE_PRUNE);
        break;
    case 2:
        build(number, WC_KIND_CARD, 0, number, false, &card);
        wc_wire_joined(&b, number % WC_WALK_HOPS_MAX, wc_buf_slice(&card));
        break;
    case 3:
    case 4:
        wc_wire_list(&b, lists[number % 4],
                     wc_slice(items, (size_t)(number % 5) * WC_KEY_BYTES));
        break;
    case 5:
        memset(beat.root, what, sizeof(beat.root));
        wc_wire_beat(&b, &beat);
        break;
    }
    say_buf(who, &b);
    wc_buf_fini(&card);
}

static void local_put(uint8_t kind)
{
    struct wc_event e = {.type = WC_EVENT_LOCAL_PUT};
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES], slot[WC_DIGEST_BYTES], held_kind;
    struct wc_version v = {0};
    char subject[8];
    uint8_t who = take();
    snprintf(subject, sizeof(subject), "p%u", who % 8);
    wc_slot(slot, who % 2 ? WC_KIND_ROW : WC_KIND_PROFILE, me.signer.key, subject);
    if (wc_node_slot(run.node, slot, &v, &held_kind) != 0)
        v.rev = 0;
    if (kind == WC_KIND_RETIRE)
        HOLDS(wc_retire_body(me.signer.key, subject, v.rev + 1,
                             who % 2 ? WC_KIND_ROW : WC_KIND_PROFILE, who % 3 == 0,
                             &body) == 0);
    else
        wc_body_begin(&body, me.signer.key, subject, v.rev + who / 64, 0);
    e.u.local_put.token = who > 250 ? 0 : ++run.next_token;
    e.u.local_put.kind = kind;
    e.u.local_put.body = wc_buf_slice(&body);
    e.u.local_put.author_key = me.signer.key;
    e.u.local_put.author_sig = sig;
    if (wc_body_sign(sig, kind, wc_buf_slice(&body), &me.signer) == 0)
        step(&e);
    wc_buf_fini(&body);
}

static void commit(bool well)
{
    static struct change batch[CHANGES];
    uint32_t count = run.changes_count;
    memcpy(batch, run.changes, count * sizeof(*batch));
    run.changes_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct wc_event e = {.type = WC_EVENT_STORED};
        e.u.stored.token = batch[i].token;
        e.u.stored.rc = well ? 0 : -WC_EFULL;
        if (well)
            apply(&batch[i]);
        wc_buf_fini(&batch[i].bytes);
        if (e.u.stored.token != 0)
            step(&e);
    }
}

static void local_ask(void)
{
    struct wc_event e = {.type = WC_EVENT_LOCAL_ASK};
    uint8_t id[WC_ASK_ID_BYTES];
    memset(id, take(), sizeof(id));
    e.u.local_ask.id = id;
    e.u.local_ask.text = take_bytes(take());
    e.u.local_ask.by = wc_slice_text("alice");
    step(&e);
}

static void matched(void)
{
    struct wc_answer_person people[WC_ANSWER_PEOPLE_MAX] = {{.subject = "bob"}};
    struct wc_event e = {.type = WC_EVENT_ASK_MATCHED};
    uint8_t id[WC_ASK_ID_BYTES];
    uint8_t which = take();
    memset(id, which, sizeof(id));
    e.u.ask_matched.id = which % 2 == 0 ? run.matched : id;
    e.u.ask_matched.people_count = which % 2;
    e.u.ask_matched.total = which;
    e.u.ask_matched.people = people;
    step(&e);
}

static void cancel(void)
{
    struct wc_event e = {.type = WC_EVENT_ASK_CANCEL};
    uint8_t id[WC_ASK_ID_BYTES];
    memset(id, take(), sizeof(id));
    e.u.ask_cancel.id = id;
    step(&e);
}

static void pass_time(uint8_t how_long)
{
    struct wc_event e = {.type = WC_EVENT_TIMER};
    uint64_t ms = 1ULL << how_long % 24; /* up to hours */
    uint64_t deadline = wc_node_deadline(run.node);
    if (how_long >= 128 && deadline != UINT64_MAX && deadline > run.mono_ms)
        ms = deadline - run.mono_ms;
    run.mono_ms += ms;
    run.now_ms += ms;
    step(&e);
}

/* The clock is set, by up to a few weeks to and fro. */
static void set_clock(uint8_t how)
{
    uint64_t by = (uint64_t)(how & 127) * 17 * 3600000;
    run.now_ms = how < 128 ? run.now_ms + by : run.now_ms - by;
    if (run.now_ms < OFFICES_FROM_MS || run.now_ms > OFFICES_UNTIL_MS)
        run.now_ms = OFFICES_NOW_MS;
    pass_time(0);
}

static void link_down(uint8_t who)
{
    struct wc_event e = {.type = WC_EVENT_LINK_DOWN};
    e.u.link_down.link = run.links[who % NEIGHBOURS];
    run.links[who % NEIGHBOURS] = 0;
    step(&e);
}

static void dial_failed(uint8_t which)
{
    struct wc_event e = {.type = WC_EVENT_DIAL_FAILED};
    e.u.dial_failed.dial = run.dials[which % 64];
    step(&e);
}

/* A beacon, of somebody known or made up. */
static void hear(void)
{
    uint8_t key[WC_KEY_BYTES], from = take();
    char address[WC_ADDRESS_MAX_BYTES + 8];
    struct wc_event e = {.type = WC_EVENT_HEARD};
    memset(key, from, sizeof(key));
    snprintf(address, sizeof(address), "%.*d:1", from == 255 ? 66 : 1 + from % 3,
             from % 40);
    e.u.heard.address = address;
    e.u.heard.office_key = from % 2 == 0     ? key
                           : from % 16 == 15 ? me.signer.key
                                             : others[from % NEIGHBOURS].signer.key;
    step(&e);
}

static void command(void)
{
    uint8_t what = take(), who = what / 32;
    if (what == 249) {
        hear();
        return;
    }
    if (what >= 250) {
        say_overlay(take());
        return;
    }
    switch (what % 20) {
    case 0:
        say(who, take_bytes(take()));
        break;
    case 1:
        link_up(who, false);
        break;
    case 2:
        link_up(who, true);
        break;
    case 3:
        link_down(who);
        break;
    case 4:
    case 5:
        say_record(who);
        break;
    case 6:
        say_ask(who);
        break;
    case 7:
        say_answer(who);
        break;
    case 8:
        say_ranges(who, false);
        break;
    case 9:
        say_ranges(who, true);
        break;
    case 10:
        say_want(who);
        break;
    case 11:
        local_put(who % 3 == 0   ? WC_KIND_ROW
                  : who % 3 == 1 ? WC_KIND_PROFILE
                                 : WC_KIND_RETIRE);
        break;
    case 12:
        commit(true);
        break;
    case 13:
        commit(who < 4);
        break;
    case 14:
        local_ask();
        break;
    case 15:
        matched();
        break;
    case 16:
        cancel();
        break;
    case 17:
        pass_time(take());
        break;
    case 18:
        set_clock(take());
        break;
    case 19:
        dial_failed(who);
        break;
    }
}

static void begin(uint8_t how)
{
    const char *joins[] = {"one:1", "two:1"}, *listen = "me:1";
    struct wc_node_config config = {.identity = &me,
                                    .store = {.read = read_stored},
                                    .seed = how,
                                    .replicate = how % 4 != 0};
    run.mono_ms = 1000;
    run.now_ms = OFFICES_NOW_MS;
    HOLDS(wc_node_new(&run.node, &config) == 0);
    HOLDS(wc_node_set_join(run.node, joins, how % 3) == 0);
    HOLDS(wc_node_set_listen(run.node, &listen, 1) == 0);
    step(&(struct wc_event){.type = WC_EVENT_START});
}

static void end(void)
{
    wc_node_free(run.node);
    for (uint32_t i = 0; i < run.changes_count; i++)
        wc_buf_fini(&run.changes[i].bytes);
    for (uint32_t i = 0; i < run.stored_count; i++)
        wc_buf_fini(&run.stored[i].bytes);
    wc_effects_fini(&run.fx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!ready) {
        HOLDS(wc_crypto_init() == 0);
        org = offices_org('o');
        me = offices_office(&org, 'm');
        for (int i = 0; i < NEIGHBOURS; i++)
            others[i] = offices_office(&org, (char)('a' + i));
        ready = true;
    }
    memset(&run, 0, sizeof(run));
    run.in = wc_slice(data, size);
    begin(take());
    for (int i = 0; i < STEPS_MAX && run.in.len > 0; i++)
        command();
    end();
    return 0;
}
