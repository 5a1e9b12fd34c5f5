/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks and answers. An ask is a signed record that is not stored: it is broadcast as
 * records are, and each office remembers for a while where it came from. Every office matches
 * its own staff and sends one signed answer, with nobody in it when nobody matches, so
 * that the asker can count who was heard. Answers go back the way the ask came, each
 * verified and passed on whole or not at all, one for each office; node_answers.c has
 * what happens when that way breaks.
 *
 * The sequence number of an ask's stamp is drawn without waiting for a commit: its slot
 * is its random id, which no other record ever takes.
 */
#include <stdlib.h>
#include <string.h>

#include <whocan/person.h>

#include "proto/node_internal.h"

/* ---- the table ---- */

static const uint8_t *asked_id(const void *ctx, uint32_t id)
{
    const struct wc_node *node = ctx;
    return node->asks[id]->id;
}

int wc_node_asks_init(struct wc_node *node)
{
    wc_map_init(&node->asks_by_id, WC_ASK_ID_BYTES, asked_id, node, &node->rng);
    node->asks = calloc(WC_ASKS_MAX_COUNT, sizeof(struct wc_asked *));
    return node->asks == NULL ? -WC_ENOMEM : 0;
}

static void asked_free(struct wc_asked *a)
{
    if (a == NULL)
        return;
    free(a->text);
    free(a->heard);
    free(a);
}

void wc_node_asks_fini(struct wc_node *node)
{
    for (uint32_t i = 0; node->asks != NULL && i < WC_ASKS_MAX_COUNT; i++)
        asked_free(node->asks[i]);
    free(node->asks);
    wc_node_answers_fini(node);
    wc_map_fini(&node->asks_by_id);
}

static struct wc_asked *find_ask(const struct wc_node *node,
                                 const uint8_t id[WC_ASK_ID_BYTES])
{
    uint32_t place = wc_map_find(&node->asks_by_id, id);
    return place == WC_MAP_NONE ? NULL : node->asks[place];
}

static void match_ended(struct wc_node *node, struct wc_asked *a)
{
    if (a->match == WC_MATCH_ASKED && !a->local)
        node->matches_open--;
    if (a->match == WC_MATCH_WAITS)
        node->matches_waiting--;
    a->match = WC_MATCH_DONE;
    free(a->text);
    a->text = NULL;
}

static void forget_oldest(struct wc_node *node)
{
    uint32_t place = node->asks_first;
    match_ended(node, node->asks[place]);
    wc_map_remove(&node->asks_by_id, place);
    asked_free(node->asks[place]);
    node->asks[place] = NULL;
    node->asks_first = (place + 1) % WC_ASKS_MAX_COUNT;
    node->asks_count--;
}

static struct wc_asked *remember_ask(struct wc_node *node,
                                     const uint8_t id[WC_ASK_ID_BYTES],
                                     struct wc_slice text)
{
    if (node->asks_count == WC_ASKS_MAX_COUNT)
        forget_oldest(node);
    uint32_t place = (node->asks_first + node->asks_count) % WC_ASKS_MAX_COUNT;
    struct wc_asked *a = calloc(1, sizeof(*a));
    char *copy = wc_slice_dup(text);
    if (a == NULL || copy == NULL) {
        free(a);
        free(copy);
        wc_node_fail(node);
        return NULL;
    }
    memcpy(a->id, id, WC_ASK_ID_BYTES);
    a->born_ms = node->mono_ms;
    a->text = copy;
    node->matches_waiting++; /* WC_MATCH_WAITS */
    node->asks[place] = a;
    node->asks_count++;
    if (wc_map_add(&node->asks_by_id, place) != 0)
        wc_node_fail(node);
    wc_node_due(node, WC_DUE_ASKS, node->mono_ms + WC_ASK_REMEMBER_MS);
    return a;
}

/* Whether answers still find their way. */
static bool on_path(const struct wc_node *node, const struct wc_asked *a)
{
    return node->mono_ms - a->born_ms < WC_ASK_PATH_MS && !a->cancelled;
}

const struct wc_asked *wc_node_ask_on_path(const struct wc_node *node,
                                           const uint8_t id[WC_ASK_ID_BYTES])
{
    const struct wc_asked *a = find_ask(node, id);
    return a != NULL && on_path(node, a) ? a : NULL;
}

/* The first answer of an office? Then it is marked as heard. */
static bool first_answer(struct wc_node *node, struct wc_asked *a, uint32_t office)
{
    uint32_t byte = office / 8;
    uint8_t bit = (uint8_t)(1u << office % 8);
    if (byte >= a->heard_bytes) {
        uint32_t bytes = byte + 8;
        uint8_t *heard = realloc(a->heard, bytes);
        if (heard == NULL) {
            wc_node_fail(node);
            return false;
        }
        memset(heard + a->heard_bytes, 0, bytes - a->heard_bytes);
        a->heard = heard;
        a->heard_bytes = bytes;
    }
    if ((a->heard[byte] & bit) != 0)
        return false;
    a->heard[byte] |= bit;
    a->heard_count++;
    return true;
}

/* ---- matching the own staff ---- */

static void match(struct wc_node *node, struct wc_asked *a)
{
    struct wc_effect *e = wc_node_effect(node, WC_EFFECT_ASK_MATCH);
    if (e == NULL)
        return;
    memcpy(e->u.ask_match.id, a->id, WC_ASK_ID_BYTES);
    wc_slice_copy(wc_slice_text(a->text), e->u.ask_match.text,
                  sizeof(e->u.ask_match.text));
    a->match = WC_MATCH_ASKED;
    node->matches_waiting--;
    node->matches_open += !a->local;
}

/* Begin what there is a place for; asks of our own staff do not wait. */
static void match_next(struct wc_node *node)
{
    for (uint32_t i = 0; node->matches_waiting > 0 && i < node->asks_count; i++) {
        struct wc_asked *a = node->asks[(node->asks_first + i) % WC_ASKS_MAX_COUNT];
        if (a->match == WC_MATCH_WAITS &&
            (a->local || node->matches_open < WC_ASK_MATCHES_MAX_COUNT))
            match(node, a);
    }
}

void wc_node_run_asks(struct wc_node *node)
{
    while (node->asks_count > 0 &&
           node->mono_ms - node->asks[node->asks_first]->born_ms >= WC_ASK_REMEMBER_MS)
        forget_oldest(node);
    match_next(node);
    wc_node_answers_tidy(node);
    if (node->asks_count > 0)
        wc_node_due(node, WC_DUE_ASKS,
                    node->asks[node->asks_first]->born_ms + WC_ASK_REMEMBER_MS);
}

/* ---- answers ---- */

/* Towards whoever asked: here, or over a link. from: the link that it came over, 0: it
 * is our own. */
static void pass_answer(struct wc_node *node, const struct wc_asked *a,
                        const struct wc_answer *answer, struct wc_slice body,
                        const uint8_t sig[WC_SIG_BYTES], uint32_t from)
{
    if (!a->local) {
        wc_node_answer_send(node, a, body, sig, from);
        return;
    }
    struct wc_effect *e = wc_node_effect(node, WC_EFFECT_ASK_ANSWER);
    if (e == NULL)
        return;
    e->u.ask_answer.answer = *answer;
    e->u.ask_answer.heard_count = a->heard_count;
}

void wc_node_ask_matched(struct wc_node *node, const struct wc_event *event)
{
    struct wc_asked *a = find_ask(node, event->u.ask_matched.id);
    struct wc_answer answer = {.total = event->u.ask_matched.total,
                               .people_count = event->u.ask_matched.people_count};
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    if (a == NULL || a->match != WC_MATCH_ASKED)
        return;
    match_ended(node, a);
    match_next(node);
    if (!on_path(node, a) || !first_answer(node, a, node->self))
        return;
    if (answer.people_count > WC_ANSWER_PEOPLE_MAX)
        answer.people_count = WC_ANSWER_PEOPLE_MAX;
    memcpy(answer.ask_id, a->id, WC_ASK_ID_BYTES);
    memcpy(answer.office_key, node->identity->signer.key, WC_KEY_BYTES);
    for (uint32_t i = 0; i < answer.people_count; i++)
        answer.people[i] = event->u.ask_matched.people[i];
    wc_answer_encode(&body, &answer);
    if (body.failed ||
        wc_answer_sign(sig, wc_buf_slice(&body), &node->identity->signer) != 0)
        wc_node_fail(node);
    else
        pass_answer(node, a, &answer, wc_buf_slice(&body), sig, 0);
    wc_buf_fini(&body);
}

static int flooded(struct wc_node *node, const struct wc_peer *peer)
{
    wc_node_blame(node, peer->office, WC_BLAME_FLOOD);
    return -WC_ELIMIT;
}

/* What an office signed must be possible: logins and no handles of other offices,
 * everybody named once, not more of them than it can have, no score beyond the highest.
 */
static int check_answer(const struct wc_node *node, uint32_t office,
                        const struct wc_answer *answer)
{
    /* some have a row, others a profile */
    uint64_t most = 2 * (uint64_t)node->offices[office]->cert.quota;
    if (answer->total > most || answer->total < answer->people_count)
        return -WC_EINVALID;
    for (uint32_t i = 0; i < answer->people_count; i++) {
        if (answer->people[i].score_milli > WC_SCORE_MAX_MILLI ||
            !wc_login_valid(wc_slice_text(answer->people[i].subject)))
            return -WC_EINVALID;
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(answer->people[i].subject, answer->people[k].subject) == 0)
                return -WC_EINVALID;
        }
    }
    return 0;
}

/* One answer of a frame: 0, or why the neighbour is to blame. */
static int receive_answer(struct wc_node *node, struct wc_peer *peer,
                          const struct wc_wire_answer *in)
{
    struct wc_answer answer;
    int rc = wc_answer_decode(in->body, &answer, NULL);
    if (rc != 0)
        return rc;
    struct wc_asked *a = find_ask(node, answer.ask_id);
    uint32_t office = wc_node_office_find(node, answer.office_key);
    if (a == NULL || !on_path(node, a)) /* late, or never asked for */
        return wc_node_waste(node, peer, in->body.len) ? 0 : flooded(node, peer);
    if (wc_node_office_believed(node, office) != 0 || office == node->self)
        return 0;
    if (office / 8 < a->heard_bytes && (a->heard[office / 8] & 1u << office % 8) != 0)
        return 0; /* before the signature, which costs most */
    if ((rc = wc_answer_verify(in->sig, answer.office_key, in->body)) != 0)
        return rc;
    if (!first_answer(node, a, office))
        return 0;
    if ((rc = check_answer(node, office, &answer)) != 0) {
        wc_node_refused(node, office, peer->link, rc);
        return 0;
    }
    node->answers_relayed += !a->local;
    wc_node_news(node, office, peer, 0);
    pass_answer(node, a, &answer, in->body, in->sig, peer->link);
    return 0;
}

int wc_node_on_answers(struct wc_node *node, struct wc_peer *peer,
                       struct wc_slice frame)
{
    struct wc_wire_answers *f = malloc(sizeof(*f));
    if (f == NULL)
        return -WC_ENOMEM;
    int rc = wc_wire_decode_answers(frame, f, NULL);
    for (uint32_t i = 0; rc == 0 && i < f->count && !peer->closing; i++)
        rc = receive_answer(node, peer, &f->answers[i]);
    free(f);
    return rc;
}

/* ---- asks ---- */

/* Stamp the record of an own ask; a lease of 0 or too long becomes the longest. */
static int build_ask(struct wc_node *node, const struct wc_event *event,
                     struct wc_buf *out)
{
    const struct wc_signer *me = &node->identity->signer;
    struct wc_ask ask = {.text = event->u.local_ask.text, .by = event->u.local_ask.by};
    uint64_t lease_ms = event->u.local_ask.lease_ms;
    uint64_t not_after_ms = node->identity->cert.not_after_ms;
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    memcpy(ask.id, event->u.local_ask.id, WC_ASK_ID_BYTES);
    int rc = wc_node_may_stamp(node);
    if (rc == 0 && !wc_node_may_ask(node, node->self))
        rc = -WC_ELIMIT; /* the others would not take it */
    if (rc != 0)
        return rc;
    wc_bucket_pour(&node->offices[node->self]->asks, 1);
    if (lease_ms == 0 || lease_ms > WC_ASK_LEASE_MAX_MS)
        lease_ms = WC_ASK_LEASE_MAX_MS;
    struct wc_stamp_params stamp = {.stamped_at_ms = node->now_ms,
                                    .expires_at_ms = node->now_ms + lease_ms};
    if (stamp.expires_at_ms > not_after_ms)
        stamp.expires_at_ms = not_after_ms;
    stamp.seq = wc_node_next_seq(node);
    if ((rc = wc_ask_body(me->key, 1, &ask, &body)) == 0)
        rc = wc_body_sign(sig, WC_KIND_ASK, wc_buf_slice(&body), me);
    if (rc == 0)
        rc = wc_record_stamp(WC_KIND_ASK, wc_buf_slice(&body), me->key, sig, me, &stamp,
                             out);
    wc_buf_fini(&body);
    return rc;
}

static void message_id(const struct wc_node *node, const struct wc_record *r,
                       uint8_t message[WC_MESSAGE_ID_BYTES])
{
    uint8_t slot[WC_DIGEST_BYTES];
    wc_record_slot(r, slot);
    wc_node_message_id(node, slot, &r->version, message);
}

static void begin_ask(struct wc_node *node, struct wc_slice record)
{
    struct wc_record r;
    uint8_t message[WC_MESSAGE_ID_BYTES];
    if (wc_record_decode(record, &r, NULL) != 0) { /* built just now: memory is out */
        wc_node_fail(node);
        return;
    }
    message_id(node, &r, message);
    wc_node_broadcast_ask(node, message, record, 1, 0);
}

void wc_node_local_ask(struct wc_node *node, const struct wc_event *event)
{
    struct wc_buf record = {0};
    struct wc_asked *a;
    if (find_ask(node, event->u.local_ask.id) != NULL)
        return;
    /* who may not stamp now (a wrong clock) still asks the own staff */
    int rc = build_ask(node, event, &record);
    if (rc != 0)
        wc_node_refused(node, node->self, 0, rc);
    a = remember_ask(node, event->u.local_ask.id, event->u.local_ask.text);
    if (a != NULL) {
        a->local = true;
        match_next(node);
        if (rc == 0)
            begin_ask(node, wc_buf_slice(&record));
    }
    wc_buf_fini(&record);
}

void wc_node_ask_cancel(struct wc_node *node, const uint8_t id[WC_ASK_ID_BYTES])
{
    struct wc_asked *a = find_ask(node, id);
    if (a == NULL || !a->local || a->cancelled)
        return;
    /* the id stays: the ask itself may come back over a slow link */
    a->cancelled = true;
    match_ended(node, a);
    free(a->heard);
    a->heard = NULL;
    a->heard_bytes = 0;
}

/* 0 when an ask may be answered live. */
static int ask_is_live(const struct wc_node *node, const struct wc_record *r)
{
    uint32_t office = wc_node_office_find(node, r->office_key);
    int rc = wc_node_office_believed(node, office);
    if (rc == 0)
        rc = wc_record_dates(r, node->now_ms);
    if (rc != 0)
        return rc;
    /* by the clock of who asked if we know it, else by any clock that may be right */
    const struct wc_office *o = node->offices[office];
    bool measured = o->link != 0 && wc_node_peer(node, o->link)->clock;
    int64_t age = (int64_t)(node->now_ms - r->stamped_at_ms) +
                  (measured ? o->clock_offset_ms : -(int64_t)WC_FUTURE_SLACK_MS);
    return age <= (int64_t)WC_ASK_LIVE_MS ? 0 : -WC_EEXPIRED;
}

/* Over its number of asks an office is not worth a signature check; but now and then, to
 * name it. */
static bool look_at_ask(struct wc_node *node, uint32_t office)
{
    struct wc_office *o = node->offices[office];
    if (wc_node_may_ask(node, office))
        return true;
    if (o->limited_ms != 0 && node->mono_ms - o->limited_ms < WC_LIMITED_LOOK_MS)
        return false;
    o->limited_ms = node->mono_ms + (node->mono_ms == 0);
    return true;
}

int wc_node_on_ask(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_ask in;
    struct wc_record r;
    struct wc_doc *doc;
    struct wc_ask ask;
    int rc = wc_wire_decode_ask(frame, &in, NULL);
    if (rc == 0)
        rc = wc_record_decode(in.record, &r, NULL);
    if (rc != 0)
        return rc == -WC_EVERSION ? 0 : rc;
    if (r.kind != WC_KIND_ASK)
        return -WC_EPROTOCOL;
    uint8_t id[WC_ASK_ID_BYTES], message[WC_MESSAGE_ID_BYTES];
    if (wc_unhex(id, sizeof(id), wc_slice_text(r.subject)) != 0)
        return -WC_EPROTOCOL;
    message_id(node, &r, message);
    node->counts.whole_received++;
    if (find_ask(node, id) != NULL) {
        node->counts.whole_again++;
        if (!wc_node_message_came(node, message))
            wc_node_prune(node, peer);
        return 0;
    }
    uint32_t office = wc_node_office_find(node, r.office_key);
    int dated = ask_is_live(node, &r);
    bool lie = dated == -WC_ELEASE ||
               (dated == -WC_EFUTURE &&
                !wc_node_clocks_differ(node, office, peer, r.stamped_at_ms));
    if (dated != 0 && !lie)
        return 0;
    if (!look_at_ask(node, office))
        return 0;
    rc = node->verify(node->verify_ctx, &r, &node->identity->org);
    if (rc == 0)
        rc = wc_doc_new(r.body, &wc_scan_default, &doc);
    if (rc != 0)
        return rc;
    if (lie || !wc_node_may_ask(node, office)) {
        wc_doc_free(doc);
        if (lie)
            wc_node_refused(node, office, peer->link, dated);
        else
            wc_node_blame(node, office, WC_BLAME_ASKS);
        wc_bucket_pour(&node->offices[office]->asks, lie);
        return 0;
    }
    wc_bucket_pour(&node->offices[office]->asks, 1);
    rc = wc_ask_decode(wc_doc_root(doc), &ask, NULL);
    struct wc_asked *a = rc == 0 ? remember_ask(node, id, ask.text) : NULL;
    wc_doc_free(doc);
    if (rc != 0) { /* well signed, and yet not an ask */
        wc_node_refused(node, office, peer->link, rc);
        return 0;
    }
    if (a == NULL)
        return 0;
    memcpy(a->from, node->offices[peer->office]->key, sizeof(a->from));
    memcpy(a->origin, r.office_key, sizeof(a->origin));
    wc_node_message_came(node, message);
    node->asks_relayed++;
    node->counts.ask_hops[in.hops < WC_NODE_HOPS_COUNT ? in.hops : WC_ASK_HOPS_MAX]++;
    wc_node_news(node, office, peer, in.hops);
    wc_node_note(node, WC_NOTE_ASK_PASSED, 0, peer->link, in.hops, office);
    match_next(node);
    if (in.hops < WC_ASK_HOPS_MAX)
        wc_node_broadcast_ask(node, message, in.record, in.hops + 1, peer->link);
    return 0;
}
