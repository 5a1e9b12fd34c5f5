/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few engines driven by hand, and puppets: neighbours that are no engines, whose
 * frames the test writes and reads itself. Frames between engines arrive in order and
 * at once, when net_run() is called; time passes in net_wait(). Commits happen in
 * net_run() too, unless they are held.
 */
#ifndef WHOCAN_TESTS_NET_H
#define WHOCAN_TESTS_NET_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/node.h>
#include <whocan/pack.h>

#include "proto/views.h"
#include "proto/wire.h"
#include "tests/unit/offices.h"
#include "tests/unit/unit.h"

#define NET_NODES_MAX   6
#define NET_LINKS_MAX   700
#define NET_NOTES       WC_NOTES_COUNT
#define NET_STORED_MAX  8192
#define NET_CHANGES_MAX 4096

struct net_stored {
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_buf bytes;
};

struct net_change {
    bool drop;
    uint64_t token;
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_buf bytes;
};

/* One engine with its store, and what it asked for so far. */
struct net_node {
    struct wc_identity identity;
    struct wc_node *node;
    bool replicate, alone;
    bool (*may_restamp)(void *ctx, uint8_t kind, const char *subject);
    uint64_t last_seq;
    int64_t skew_ms;
    uint32_t next_link;
    uint64_t next_token;
    struct net_stored stored[NET_STORED_MAX];
    uint32_t stored_count;
    struct net_change changes[NET_CHANGES_MAX]; /* waiting for a commit */
    uint32_t changes_count;
    bool hold_commits, losing; /* losing: what others wrote never reaches the disk */
    /* seen in effects */
    uint32_t puts, own_puts, drops, dials, matches, identities;
    bool identity_lasting;
    char dialled[64][WC_ADDRESS_MAX_BYTES + 1]; /* by dial number */
    uint32_t last_dial;
    uint64_t notes[NET_NOTES];
    int last_note_rc;
    uint64_t acked_token;
    int acked_rc;
    uint32_t acks;
    uint8_t matched[64][WC_ASK_ID_BYTES];
    struct wc_answer answers[64];
    uint32_t answers_count, heard_count;
};

struct net_link {
    int node[2]; /* -1: a puppet */
    uint32_t number[2];
    bool open;
};

struct net_frame {
    uint32_t link;
    int to; /* side */
    uint8_t *bytes;
    size_t len;
};

static struct net {
    struct offices_org org;
    struct net_node *nodes;
    struct net_link links[NET_LINKS_MAX];
    uint32_t links_count;
    struct net_frame *queue;
    size_t queue_count, queue_cap;
    /* frames that engines sent to puppets, oldest first */
    struct net_frame *heard;
    size_t heard_count, heard_cap;
    uint64_t frames, frame_bytes, step_bytes_max;
    uint64_t mono_ms, now_ms;
    struct wc_effects fx;
} net;

static inline void net_step(int n, struct wc_event *e);

/* ---- making ---- */

static inline void net_init(void)
{
    memset(&net, 0, sizeof(net));
    net.org = offices_org('o');
    net.nodes = calloc(NET_NODES_MAX, sizeof(*net.nodes));
    assert_non_null(net.nodes);
    for (int i = 0; i < NET_NODES_MAX; i++) {
        net.nodes[i].identity = offices_office(&net.org, (char)('a' + i));
        net.nodes[i].replicate = true;
    }
    net.mono_ms = 1000;
    net.now_ms = OFFICES_NOW_MS;
}

static inline void net_forget_changes(struct net_node *m)
{
    for (uint32_t i = 0; i < m->changes_count; i++)
        wc_buf_fini(&m->changes[i].bytes);
    m->changes_count = 0;
}

static inline void net_fini(void)
{
    for (int i = 0; i < NET_NODES_MAX; i++) {
        struct net_node *m = &net.nodes[i];
        wc_node_free(m->node);
        net_forget_changes(m);
        for (uint32_t k = 0; k < m->stored_count; k++)
            wc_buf_fini(&m->stored[k].bytes);
    }
    for (size_t i = 0; i < net.queue_count; i++)
        free(net.queue[i].bytes);
    for (size_t i = 0; i < net.heard_count; i++)
        free(net.heard[i].bytes);
    free(net.queue);
    free(net.heard);
    free(net.nodes);
    wc_effects_fini(&net.fx);
}

static inline int net_setup(void **state)
{
    (void)state;
    net_init();
    return 0;
}

static inline int net_teardown(void **state)
{
    (void)state;
    net_fini();
    return 0;
}

#define net_test(f) cmocka_unit_test_setup_teardown(f, net_setup, net_teardown)

static inline const uint8_t *net_key(int n)
{
    return net.nodes[n].identity.signer.key;
}

/* ---- stores ---- */

static inline struct net_stored *net_find(struct net_node *m, const uint8_t *slot)
{
    for (uint32_t i = 0; i < m->stored_count; i++) {
        if (memcmp(m->stored[i].slot, slot, WC_DIGEST_BYTES) == 0)
            return &m->stored[i];
    }
    return NULL;
}

static inline int net_read(void *ctx, const uint8_t slot[WC_DIGEST_BYTES],
                           struct wc_buf *out)
{
    const struct net_stored *s = net_find(ctx, slot);
    if (s == NULL)
        return -WC_ENOTFOUND;
    wc_buf_append(out, s->bytes.data, s->bytes.len);
    return 0;
}

static inline void net_apply(struct net_node *m, struct net_change *c)
{
    struct net_stored *s = net_find(m, c->slot);
    if (c->drop) {
        if (s != NULL) {
            wc_buf_fini(&s->bytes);
            *s = m->stored[--m->stored_count];
        }
        return;
    }
    if (s == NULL) {
        assert_true(m->stored_count < NET_STORED_MAX);
        s = &m->stored[m->stored_count++];
        *s = (struct net_stored){0};
        memcpy(s->slot, c->slot, WC_DIGEST_BYTES);
    }
    wc_buf_fini(&s->bytes);
    s->bytes = c->bytes;
    c->bytes = (struct wc_buf){0};
}

/* Commit what waits, or fail to. */
static inline void net_commit(int n, int rc)
{
    struct net_node *m = &net.nodes[n];
    static struct net_change batch[NET_CHANGES_MAX];
    uint32_t count = m->changes_count;
    memcpy(batch, m->changes, count * sizeof(*batch));
    m->changes_count = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        if (batch[i].token != 0 || !m->losing)
            net_apply(m, &batch[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct wc_event e = {.type = WC_EVENT_STORED};
        uint64_t token = batch[i].token;
        wc_buf_fini(&batch[i].bytes);
        if (token == 0)
            continue;
        e.u.stored.token = token;
        e.u.stored.rc = rc;
        net_step(n, &e);
    }
}

/* ---- effects ---- */

static inline void net_push(struct net_frame **list, size_t *count, size_t *cap,
                            struct net_frame f)
{
    if (*count == *cap) {
        *cap = *cap == 0 ? 64 : 2 * *cap;
        *list = realloc(*list, *cap * sizeof(**list));
        assert_non_null(*list);
    }
    (*list)[(*count)++] = f;
}

/* The link that an engine calls by a number, and its side of it. */
static inline struct net_link *net_link_of(int n, uint32_t number, int *side)
{
    for (uint32_t i = 0; i < net.links_count; i++) {
        for (*side = 0; *side < 2; (*side)++) {
            if (net.links[i].node[*side] == n && net.links[i].number[*side] == number)
                return &net.links[i];
        }
    }
    return NULL;
}

static inline void net_send(int n, struct wc_effect *e)
{
    int side;
    struct net_link *l = net_link_of(n, e->u.send.link, &side);
    assert_non_null(l);
    assert_true(e->u.send.len > 0 && e->u.send.len <= WC_FRAME_MAX_BYTES);
    net.frames++;
    net.frame_bytes += e->u.send.len;
    if (!l->open)
        return;
    struct net_frame f = {.link = (uint32_t)(l - net.links),
                          .to = 1 - side,
                          .bytes = e->u.send.bytes,
                          .len = e->u.send.len};
    e->u.send.bytes = NULL;
    if (l->node[1 - side] < 0)
        net_push(&net.heard, &net.heard_count, &net.heard_cap, f);
    else
        net_push(&net.queue, &net.queue_count, &net.queue_cap, f);
}

static inline void net_closed(int n, uint32_t number)
{
    int side;
    struct net_link *l = net_link_of(n, number, &side);
    assert_non_null(l);
    l->open = false;
}

static inline void net_change_later(struct net_node *m, const struct wc_effect *e)
{
    assert_true(m->changes_count < NET_CHANGES_MAX);
    struct net_change *c = &m->changes[m->changes_count++];
    *c = (struct net_change){.drop = e->type == WC_EFFECT_DROP};
    if (c->drop) {
        memcpy(c->slot, e->u.drop.slot, WC_DIGEST_BYTES);
        m->drops++;
        return;
    }
    c->token = e->u.put.token;
    memcpy(c->slot, e->u.put.slot, WC_DIGEST_BYTES);
    wc_buf_append(&c->bytes, e->u.put.bytes, e->u.put.len);
    m->puts++;
    m->own_puts += c->token != 0;
}

static inline void net_effect(int n, struct wc_effect *e)
{
    struct net_node *m = &net.nodes[n];
    switch (e->type) {
    case WC_EFFECT_SEND:
        net_send(n, e);
        break;
    case WC_EFFECT_DIAL:
        m->dials++;
        m->last_dial = e->u.dial.dial;
        snprintf(m->dialled[e->u.dial.dial % 64], sizeof(m->dialled[0]), "%s",
                 e->u.dial.address);
        break;
    case WC_EFFECT_CLOSE:
        net_closed(n, e->u.close.link);
        break;
    case WC_EFFECT_PUT:
    case WC_EFFECT_DROP:
        net_change_later(m, e);
        break;
    case WC_EFFECT_ACK:
        m->acks++;
        m->acked_token = e->u.ack.token;
        m->acked_rc = e->u.ack.rc;
        break;
    case WC_EFFECT_ASK_MATCH:
        memcpy(m->matched[m->matches++ % 64], e->u.ask_match.id, WC_ASK_ID_BYTES);
        break;
    case WC_EFFECT_ASK_ANSWER:
        m->answers[m->answers_count++ % 64] = e->u.ask_answer.answer;
        m->heard_count = e->u.ask_answer.heard_count;
        break;
    case WC_EFFECT_IDENTITY:
        m->identities++;
        m->identity_lasting = e->u.identity.lasting;
        break;
    case WC_EFFECT_NOTE:
        m->notes[e->u.note.what]++;
        m->last_note_rc = e->u.note.rc;
        break;
    }
}

static inline void net_step(int n, struct wc_event *e)
{
    uint64_t before = net.frame_bytes;
    e->mono_ms = net.mono_ms;
    e->now_ms = net.now_ms + (uint64_t)net.nodes[n].skew_ms;
    wc_effects_reset(&net.fx);
    wc_node_step(net.nodes[n].node, e, &net.fx);
    assert_false(net.fx.failed);
    for (size_t i = 0; i < net.fx.count; i++)
        net_effect(n, &net.fx.list[i]);
    if (net.frame_bytes - before > net.step_bytes_max)
        net.step_bytes_max = net.frame_bytes - before;
}

/* ---- life ---- */

static inline const char *net_address(int n)
{
    static const char *const addresses[] = {"a:1", "b:1", "c:1", "d:1", "e:1", "f:1"};
    return addresses[n];
}

/* Make the engine from its store, without START. */
static inline void net_load(int n)
{
    struct net_node *m = &net.nodes[n];
    const char *listen = net_address(n);
    struct wc_node_config config = {.identity = &m->identity,
                                    .store = {.ctx = m, .read = net_read},
                                    .seed = 1000 + (uint64_t)n,
                                    .replicate = m->replicate,
                                    .alone = m->alone,
                                    .last_seq = m->last_seq,
                                    .may_restamp = m->may_restamp};
    assert_null(m->node);
    assert_int_equal(wc_node_new(&m->node, &config), 0);
    for (int pass = 0; pass < 4; pass++) {
        for (uint32_t i = 0; i < m->stored_count; i++) {
            struct wc_record r;
            assert_int_equal(
                wc_record_decode(wc_buf_slice(&m->stored[i].bytes), &r, NULL), 0);
            int rank = r.kind == WC_KIND_ROTATE          ? 0
                       : wc_kind_by_organisation(r.kind) ? 1
                       : r.kind == WC_KIND_CARD          ? 2
                                                         : 3;
            if (rank == pass)
                assert_int_equal(
                    wc_node_load(m->node, r.bytes, net.now_ms + (uint64_t)m->skew_ms),
                    0);
        }
    }
    assert_int_equal(wc_node_set_listen(m->node, &listen, 1), 0);
}

static inline void net_begin(int n)
{
    net_step(n, &(struct wc_event){.type = WC_EVENT_START});
}

static inline void net_stop(int n)
{
    struct net_node *m = &net.nodes[n];
    wc_node_free(m->node);
    m->node = NULL;
    net_forget_changes(m);
    for (uint32_t i = 0; i < net.links_count; i++) {
        struct net_link *l = &net.links[i];
        for (int side = 0; side < 2; side++) {
            if (l->node[side] != n || !l->open)
                continue;
            l->open = false;
            if (l->node[1 - side] >= 0 && net.nodes[l->node[1 - side]].node != NULL) {
                struct wc_event e = {.type = WC_EVENT_LINK_DOWN};
                e.u.link_down.link = l->number[1 - side];
                net_step(l->node[1 - side], &e);
            }
        }
    }
}

static inline bool net_deliver(void)
{
    size_t count = net.queue_count;
    struct net_frame *queue = net.queue;
    net.queue = NULL;
    net.queue_count = net.queue_cap = 0;
    for (size_t i = 0; i < count; i++) {
        const struct net_link *l = &net.links[queue[i].link];
        struct wc_event e = {.type = WC_EVENT_FRAME};
        e.u.frame.link = l->number[queue[i].to];
        e.u.frame.bytes = wc_slice(queue[i].bytes, queue[i].len);
        if (l->open)
            net_step(l->node[queue[i].to], &e);
        free(queue[i].bytes);
    }
    free(queue);
    return count > 0;
}

/* Whatever happens without time passing, commits included. */
static inline void net_run(void)
{
    for (bool more = true; more;) {
        more = net_deliver();
        for (int n = 0; n < NET_NODES_MAX; n++) {
            struct net_node *m = &net.nodes[n];
            if (m->node == NULL)
                continue;
            if (m->changes_count > 0 && !m->hold_commits) {
                net_commit(n, 0);
                more = true;
            }
            if (wc_node_deadline(m->node) <= net.mono_ms) {
                net_step(n, &(struct wc_event){.type = WC_EVENT_TIMER});
                more = true;
            }
        }
    }
}

/* Let time pass, from one deadline to the next. */
static inline void net_wait(uint64_t ms)
{
    uint64_t end = net.mono_ms + ms;
    net_run();
    while (net.mono_ms < end) {
        uint64_t next = end;
        for (int n = 0; n < NET_NODES_MAX; n++) {
            if (net.nodes[n].node != NULL && wc_node_deadline(net.nodes[n].node) < next)
                next = wc_node_deadline(net.nodes[n].node);
        }
        if (next <= net.mono_ms)
            next = net.mono_ms + 1;
        net.now_ms += next - net.mono_ms;
        net.mono_ms = next;
        net_run();
    }
}

/* Let days pass, as for a machine that sleeps: the wall clock jumps, and then there is
 * a minute to notice. */
static inline void net_days(uint64_t days)
{
    for (uint64_t i = 0; i < days; i++) {
        net.now_ms += WC_DAY_MS;
        net_wait(61000);
    }
}

static inline void net_start(int n)
{
    net_load(n);
    net_begin(n);
    net_run();
}

/* ---- links ---- */

static inline void net_up(int n, uint32_t number, const struct wc_identity *peer,
                          bool initiator, uint32_t dial)
{
    struct wc_event e = {.type = WC_EVENT_LINK_UP};
    e.u.link_up.link = number;
    e.u.link_up.peer = &peer->cert;
    e.u.link_up.peer_cert = wc_slice(peer->cert_bytes, peer->cert_len);
    e.u.link_up.peer_rotation = wc_slice(peer->org.rotation, peer->org.rotation_len);
    e.u.link_up.initiator = initiator;
    e.u.link_up.dial = dial;
    net_step(n, &e);
}

/* A link that `a` dialled (by the dial of that number, or 0), without waiting. */
static inline uint32_t net_open(int a, int b, uint32_t dial)
{
    assert_true(net.links_count < NET_LINKS_MAX);
    uint32_t id = net.links_count++;
    net.links[id] = (struct net_link){.node = {a, b}, .open = true};
    net.links[id].number[0] = ++net.nodes[a].next_link;
    net.links[id].number[1] = ++net.nodes[b].next_link;
    /* as each was when the handshake began */
    struct wc_identity of_a = *wc_node_identity(net.nodes[a].node);
    net_up(a, net.links[id].number[0], wc_node_identity(net.nodes[b].node), true, dial);
    net_up(b, net.links[id].number[1], &of_a, false, 0);
    return id;
}

static inline uint32_t net_link(int a, int b)
{
    uint32_t id = net_open(a, b, 0);
    net_wait(2000);
    return id;
}

static inline void net_cut(uint32_t id)
{
    net.links[id].open = false;
    for (int side = 0; side < 2; side++) {
        struct wc_event e = {.type = WC_EVENT_LINK_DOWN};
        e.u.link_down.link = net.links[id].number[side];
        if (net.links[id].node[side] >= 0)
            net_step(net.links[id].node[side], &e);
    }
}

static inline bool net_is_open(uint32_t id)
{
    return net.links[id].open;
}

/* ---- puppets ---- */

/* Forget what puppets were told so far. */
static inline void puppet_clear(void)
{
    for (size_t i = 0; i < net.heard_count; i++)
        free(net.heard[i].bytes);
    net.heard_count = 0;
}

/* A neighbour of engine n with this identity, who dialled or was dialled; it has not
 * said HELLO yet. */
static inline uint32_t puppet_dialled(int n, const struct wc_identity *who,
                                      uint32_t dial)
{
    assert_true(net.links_count < NET_LINKS_MAX);
    uint32_t id = net.links_count++;
    net.links[id] = (struct net_link){.node = {n, -1}, .open = true};
    net.links[id].number[0] = ++net.nodes[n].next_link;
    net_up(n, net.links[id].number[0], who, dial != 0, dial);
    return id;
}

static inline uint32_t puppet_open(int n, const struct wc_identity *who)
{
    return puppet_dialled(n, who, 0);
}

/* Say a frame; the buffer is emptied. */
static inline void puppet_say(uint32_t id, struct wc_buf *frame)
{
    struct wc_event e = {.type = WC_EVENT_FRAME};
    e.u.frame.link = net.links[id].number[0];
    e.u.frame.bytes = wc_buf_slice(frame);
    assert_false(frame->failed);
    net_step(net.links[id].node[0], &e);
    wc_buf_fini(frame);
}

static inline void puppet_hello(uint32_t id, int64_t offset_ms)
{
    struct wc_buf b = {0};
    wc_wire_hello(&b, net.now_ms + (uint64_t)offset_ms);
    puppet_say(id, &b);
}

/* Linked, greeted, and nothing of it remembered. */
static inline uint32_t puppet_link(int n, const struct wc_identity *who)
{
    uint32_t id = puppet_open(n, who);
    assert_true(net_is_open(id)); /* not shunned for what it did before */
    puppet_hello(id, 0);
    net_run();
    puppet_clear();
    return id;
}

static inline void puppet_records(uint32_t id, enum wc_wire_reason reason,
                                  const struct wc_buf *record)
{
    struct wc_buf packed = {0}, b = {0};
    wc_pack_bin(&packed, wc_buf_slice(record));
    wc_wire_records(&b, reason, 1, wc_buf_slice(&packed));
    wc_buf_fini(&packed);
    puppet_say(id, &b);
    net_run();
}

/* The last frame of a type that a puppet was told on this link; empty: none. */
static inline struct wc_slice puppet_heard(uint32_t id, enum wc_wire_type type)
{
    for (size_t i = net.heard_count; i-- > 0;) {
        struct wc_slice frame = wc_slice(net.heard[i].bytes, net.heard[i].len);
        if (net.heard[i].link == id && wc_wire_type(frame) == (int)type)
            return frame;
    }
    return wc_slice(NULL, 0);
}

static inline uint32_t puppet_count(uint32_t id, enum wc_wire_type type)
{
    uint32_t count = 0;
    for (size_t i = 0; i < net.heard_count; i++) {
        struct wc_slice frame = wc_slice(net.heard[i].bytes, net.heard[i].len);
        count += net.heard[i].link == id && wc_wire_type(frame) == (int)type;
    }
    return count;
}

/* ---- records ---- */

/* What a record is to be; zero means the usual. */
struct made {
    const struct wc_identity *office;
    uint8_t kind;
    const char *login;
    uint64_t rev, seq, stamped_at_ms, lease_ms;
    const struct wc_signer *author;  /* the office */
    const struct wc_signer *stamper; /* the office */
    const struct wc_identity *cert;  /* in a card: of whom */
    const char *address;             /* in a card */
    uint8_t ends_kind;               /* of a retirement */
    bool erase;                      /* of a retirement */
    const char *title;
};

static inline void make_body(const struct made *m, struct wc_buf *out)
{
    struct wc_card card = {0};
    const struct wc_identity *cert = m->cert != NULL ? m->cert : m->office;
    uint64_t rev = m->rev != 0 ? m->rev : 1;
    int rc = 0;
    if (m->kind == WC_KIND_CARD) {
        card.cert = wc_slice(cert->cert_bytes, cert->cert_len);
        if (m->address != NULL) {
            card.address_count = 1;
            snprintf(card.addresses[0], sizeof(card.addresses[0]), "%s", m->address);
        }
        rc = wc_card_body(m->office->signer.key, rev, &card, out);
    } else if (m->kind == WC_KIND_RETIRE) {
        rc = wc_retire_body(m->office->signer.key, m->login, rev, m->ends_kind,
                            m->erase, out);
    } else {
        wc_body_begin(out, m->office->signer.key, m->login, rev, 1);
        wc_pack_text(out, "title");
        wc_pack_text(out, m->title != NULL ? m->title : "clerk");
    }
    assert_int_equal(rc, 0);
}

static inline void make_record(const struct made *m, struct wc_buf *out)
{
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    const struct wc_signer *author = m->author != NULL ? m->author : &m->office->signer;
    struct wc_signer stamper = m->office->signer;
    struct wc_stamp_params p = {
        .seq = m->seq != 0 ? m->seq : net.now_ms,
        .stamped_at_ms = m->stamped_at_ms != 0 ? m->stamped_at_ms : net.now_ms};
    p.expires_at_ms = p.stamped_at_ms + (m->lease_ms != 0 ? m->lease_ms : WC_DAY_MS);
    if (m->stamper != NULL) /* the right name over the wrong secret */
        memcpy(stamper.secret, m->stamper->secret, sizeof(stamper.secret));
    wc_buf_reset(out);
    make_body(m, &body);
    assert_int_equal(wc_body_sign(sig, m->kind, wc_buf_slice(&body), author), 0);
    assert_int_equal(wc_record_stamp(m->kind, wc_buf_slice(&body), author->key, sig,
                                     &stamper, &p, out),
                     0);
    wc_buf_fini(&body);
}

/* The card of an office that is no engine. */
static inline void make_card(const struct wc_identity *office, const char *address,
                             struct wc_buf *out)
{
    make_record(&(struct made){.office = office,
                               .kind = WC_KIND_CARD,
                               .login = "card",
                               .address = address,
                               .lease_ms = 100 * WC_DAY_MS},
                out);
}

/* ---- edits ---- */

/* LOCAL_PUT of a row or profile by the office itself; returns the token. */
static inline uint64_t net_put_rev(int n, uint8_t kind, const char *login, uint64_t rev,
                                   uint8_t ends_kind)
{
    struct net_node *m = &net.nodes[n];
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    struct wc_event e = {.type = WC_EVENT_LOCAL_PUT};
    make_body(&(struct made){.office = &m->identity,
                             .kind = kind,
                             .login = login,
                             .rev = rev,
                             .ends_kind = ends_kind},
              &body);
    assert_int_equal(wc_body_sign(sig, kind, wc_buf_slice(&body), &m->identity.signer),
                     0);
    e.u.local_put.token = ++m->next_token;
    e.u.local_put.kind = kind;
    e.u.local_put.body = wc_buf_slice(&body);
    e.u.local_put.author_key = m->identity.signer.key;
    e.u.local_put.author_sig = sig;
    net_step(n, &e);
    wc_buf_fini(&body);
    return m->next_token;
}

/* The version that engine n holds of a slot; rev 0: none. */
static inline struct wc_version net_version(int n, const uint8_t *office, uint8_t kind,
                                            const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES], held;
    struct wc_version v = {0};
    wc_slot(slot, kind, office, login);
    if (wc_node_slot(net.nodes[n].node, slot, &v, &held) != 0)
        v = (struct wc_version){0};
    return v;
}

static inline uint64_t net_put(int n, uint8_t kind, const char *login)
{
    return net_put_rev(n, kind, login, net_version(n, net_key(n), kind, login).rev + 1,
                       0);
}

/* Whether it is held and on disk. */
static inline bool net_holds(int n, const uint8_t *office, uint8_t kind,
                             const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES];
    wc_slot(slot, kind, office, login);
    return net_version(n, office, kind, login).rev > 0 &&
           net_find(&net.nodes[n], slot) != NULL;
}

static inline struct wc_node_stats net_stats(int n)
{
    struct wc_node_stats stats;
    wc_node_stats(net.nodes[n].node, &stats);
    return stats;
}

static inline bool net_same(int a, int b)
{
    struct wc_node_stats x = net_stats(a), y = net_stats(b);
    return memcmp(x.fingerprint, y.fingerprint, WC_DIGEST_BYTES) == 0;
}

#endif
