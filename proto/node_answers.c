/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers on their way, when the way breaks. An answer goes back the way the ask came,
 * each office knowing one hop of it. A hop that dies takes with it what it had received
 * and not passed on; nobody downstream can tell what that was. So each office keeps what
 * it sent for a while, longer than a dead link stays unnoticed, and when the link over
 * which an answer went is lost, the answer goes another way:
 *
 *   to the office that the ask came from, if there is another link to it;
 *   or to the office that asks, if that is linked, or can be dialled: the neighbours of
 *   a hop that died are few;
 *   or, when who asks cannot be reached so, to everybody that is linked.
 *
 * An answer that comes from the office to which it would go has been turned back there,
 * and goes on to everybody else. Each office passes an answer on once, and spreads only
 * so many; what had arrived already is dropped by whoever saw it. An answer without a
 * way is given to whoever comes while it is kept.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

static struct wc_sent *sent_at(const struct wc_node *node, uint32_t i)
{
    return &node->sent[(node->sent_first + i) % node->sent_cap];
}

static void drop_first(struct wc_node *node)
{
    struct wc_sent *s = sent_at(node, 0);
    node->sent_bytes -= s->len;
    free(s->bytes);
    s->bytes = NULL;
    node->sent_first = (node->sent_first + 1) % node->sent_cap;
    node->sent_count--;
}

void wc_node_answers_fini(struct wc_node *node)
{
    while (node->sent_count > 0)
        drop_first(node);
    free(node->sent);
}

/* Room for one more; the ring is unrolled when it grows. */
static bool grow(struct wc_node *node)
{
    uint32_t cap = node->sent_cap == 0 ? 16 : 2 * node->sent_cap;
    struct wc_sent *sent = malloc(cap * sizeof(*sent));
    if (sent == NULL) {
        wc_node_fail(node);
        return false;
    }
    for (uint32_t i = 0; i < node->sent_count; i++)
        sent[i] = *sent_at(node, i);
    free(node->sent);
    node->sent = sent;
    node->sent_cap = cap;
    node->sent_first = 0;
    return true;
}

/* Keep a copy: body, then signature. NULL when memory is out. */
static struct wc_sent *keep(struct wc_node *node, const struct wc_asked *a,
                            struct wc_slice body, const uint8_t sig[WC_SIG_BYTES])
{
    size_t len = body.len + WC_SIG_BYTES;
    while (node->sent_count > 0 && (node->sent_count == WC_SENT_MAX_COUNT ||
                                    node->sent_bytes + len > WC_SENT_MAX_BYTES))
        drop_first(node);
    if (node->sent_count == node->sent_cap && !grow(node))
        return NULL;
    struct wc_sent *s = sent_at(node, node->sent_count);
    *s = (struct wc_sent){.since_ms = node->mono_ms, .len = len};
    memcpy(s->ask_id, a->id, WC_ASK_ID_BYTES);
    if ((s->bytes = malloc(len)) == NULL) {
        wc_node_fail(node);
        return NULL;
    }
    memcpy(s->bytes, body.data, body.len);
    memcpy(s->bytes + body.len, sig, WC_SIG_BYTES);
    node->sent_bytes += len;
    if (node->sent_count++ == 0)
        wc_node_due(node, WC_DUE_ASKS, node->mono_ms + WC_SENT_KEPT_MS);
    return s;
}

static void queue(struct wc_node *node, struct wc_peer *peer, const struct wc_sent *s)
{
    size_t body_len = s->len - WC_SIG_BYTES;
    wc_node_queue_answer(node, peer, wc_slice(s->bytes, body_len), s->bytes + body_len);
}

/* The link to an office but for one, or NULL. */
static struct wc_peer *peer_of(const struct wc_node *node,
                               const uint8_t key[WC_KEY_BYTES], uint32_t except)
{
    uint32_t office = wc_node_office_find(node, key);
    struct wc_peer *peer =
        office == WC_NONE ? NULL : wc_node_peer(node, node->offices[office]->link);
    return peer == NULL || peer->link == except ? NULL : peer;
}

/* To everybody, but for the link that it came from. */
static void spread(struct wc_node *node, struct wc_sent *s)
{
    s->dialling = false;
    if (!wc_bucket_has_room(&node->spread, node->mono_ms, WC_SPREAD_BRIM_COUNT,
                            WC_SPREAD_AN_HOUR))
        return; /* who comes gets it */
    wc_bucket_pour(&node->spread, 1);
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        if (peer->active && !peer->closing && peer->link != s->from) {
            queue(node, peer, s);
            s->told = true;
        }
    }
}

static void route(struct wc_node *node, const struct wc_asked *a, struct wc_sent *s)
{
    struct wc_peer *peer = peer_of(node, a->from, s->from);
    if (peer == NULL)
        peer = peer_of(node, a->origin, s->from);
    s->via = peer == NULL ? 0 : peer->link;
    if (peer != NULL) {
        queue(node, peer, s);
        return;
    }
    uint32_t origin = wc_node_office_find(node, a->origin);
    s->dialling = origin != WC_NONE && wc_node_dial_known(node, origin);
    if (!s->dialling)
        spread(node, s);
}

void wc_node_answer_send(struct wc_node *node, const struct wc_asked *a,
                         struct wc_slice body, const uint8_t sig[WC_SIG_BYTES],
                         uint32_t from)
{
    struct wc_sent *s = keep(node, a, body, sig);
    if (s == NULL)
        return;
    s->from = from;
    route(node, a, s);
}

void wc_node_answers_lost(struct wc_node *node, uint32_t link)
{
    for (uint32_t i = 0; i < node->sent_count; i++) {
        struct wc_sent *s = sent_at(node, i);
        const struct wc_asked *a =
            s->via == link ? wc_node_ask_on_path(node, s->ask_id) : NULL;
        if (a != NULL)
            route(node, a, s);
    }
}

void wc_node_answers_found(struct wc_node *node, struct wc_peer *peer)
{
    const uint8_t *key = node->offices[peer->office]->key;
    for (uint32_t i = 0; i < node->sent_count; i++) {
        struct wc_sent *s = sent_at(node, i);
        const struct wc_asked *a =
            s->via == 0 ? wc_node_ask_on_path(node, s->ask_id) : NULL;
        bool way = a != NULL && (memcmp(a->from, key, WC_KEY_BYTES) == 0 ||
                                 memcmp(a->origin, key, WC_KEY_BYTES) == 0);
        if (way)
            s->via = peer->link;
        if (way || (a != NULL && !s->dialling && !s->told)) {
            queue(node, peer, s);
            s->told = true;
        }
    }
}

void wc_node_answers_unreached(struct wc_node *node, const uint8_t key[WC_KEY_BYTES])
{
    for (uint32_t i = 0; i < node->sent_count; i++) {
        struct wc_sent *s = sent_at(node, i);
        const struct wc_asked *a =
            s->dialling && s->via == 0 ? wc_node_ask_on_path(node, s->ask_id) : NULL;
        if (a != NULL && memcmp(a->origin, key, WC_KEY_BYTES) == 0)
            spread(node, s);
    }
}

/* Those that found no way are kept while the ask is; they are few. */
void wc_node_answers_tidy(struct wc_node *node)
{
    while (node->sent_count > 0) {
        const struct wc_sent *s = sent_at(node, 0);
        uint64_t kept_ms = s->via == 0 ? WC_ASK_PATH_MS : WC_SENT_KEPT_MS;
        if (node->mono_ms - s->since_ms < kept_ms) {
            wc_node_due(node, WC_DUE_ASKS, s->since_ms + kept_ms);
            return;
        }
        drop_first(node);
    }
    free(node->sent); /* asks are rare: nothing is held between them */
    node->sent = NULL;
    node->sent_cap = node->sent_first = 0;
}
