/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

static void effect_fini(struct wc_effect *e)
{
    switch (e->type) {
    case WC_EFFECT_SEND:
        free(e->u.send.bytes);
        break;
    case WC_EFFECT_PUT:
        free(e->u.put.bytes);
        break;
    case WC_EFFECT_DIAL:
    case WC_EFFECT_CLOSE:
    case WC_EFFECT_DROP:
    case WC_EFFECT_ACK:
    case WC_EFFECT_ASK_MATCH:
    case WC_EFFECT_ASK_ANSWER:
    case WC_EFFECT_NOTE:
    case WC_EFFECT_IDENTITY:
        break;
    }
}

void wc_effects_reset(struct wc_effects *e)
{
    for (size_t i = 0; i < e->count; i++)
        effect_fini(&e->list[i]);
    e->count = 0;
    e->failed = false;
}

void wc_effects_fini(struct wc_effects *e)
{
    wc_effects_reset(e);
    free(e->list);
    *e = (struct wc_effects){0};
}

struct wc_effect *wc_node_effect(struct wc_node *node, enum wc_effect_type type)
{
    struct wc_effects *fx = node->fx;
    if (fx == NULL) /* records are being loaded: there is nothing to do about them */
        return NULL;
    if (fx->count == fx->cap) {
        size_t cap = fx->cap == 0 ? 16 : 2 * fx->cap;
        struct wc_effect *list = realloc(fx->list, cap * sizeof(*list));
        if (list == NULL) {
            wc_node_fail(node);
            return NULL;
        }
        fx->list = list;
        fx->cap = cap;
    }
    struct wc_effect *e = &fx->list[fx->count++];
    e->type = type;
    return e;
}

void wc_node_send(struct wc_node *node, const struct wc_peer *peer,
                  struct wc_buf *frame)
{
    wc_node_send_as(node, peer, WC_URGENT, frame);
}

void wc_node_send_as(struct wc_node *node, const struct wc_peer *peer,
                     enum wc_urgency urgency, struct wc_buf *frame)
{
    struct wc_effect *e = NULL;
    if (frame->failed)
        wc_node_fail(node);
    else if (!peer->closing)
        e = wc_node_effect(node, WC_EFFECT_SEND);
    if (e == NULL) {
        wc_buf_fini(frame);
        return;
    }
    e->u.send.link = peer->link;
    e->u.send.urgency = urgency;
    e->u.send.bytes = wc_buf_take(frame, &e->u.send.len);
}

void wc_node_note(struct wc_node *node, enum wc_note what, int rc, uint32_t link,
                  uint64_t count, uint32_t office)
{
    struct wc_effect *e = wc_node_effect(node, WC_EFFECT_NOTE);
    if (e == NULL)
        return;
    e->u.note.what = what;
    e->u.note.rc = rc;
    e->u.note.link = link;
    e->u.note.count = count;
    e->u.note.office[0] = '\0';
    if (office != WC_NONE && node->offices[office]->has_cert)
        memcpy(e->u.note.office, node->offices[office]->cert.name,
               sizeof(e->u.note.office));
}

void wc_node_ack(struct wc_node *node, uint64_t token, int rc)
{
    struct wc_effect *e = wc_node_effect(node, WC_EFFECT_ACK);
    if (e == NULL)
        return;
    e->u.ack.token = token;
    e->u.ack.rc = rc;
}

void wc_node_put(struct wc_node *node, uint64_t token, const struct wc_record *r,
                 const uint8_t slot[WC_DIGEST_BYTES])
{
    if (r->erases)
        wc_node_evidence_erase(node, r, slot);
    uint8_t *copy = malloc(r->bytes.len);
    struct wc_effect *e = copy == NULL ? NULL : wc_node_effect(node, WC_EFFECT_PUT);
    if (e == NULL) {
        free(copy);
        wc_node_fail(node);
        return;
    }
    memcpy(copy, r->bytes.data, r->bytes.len);
    e->u.put.token = token;
    memcpy(e->u.put.slot, slot, WC_DIGEST_BYTES);
    e->u.put.kind = r->kind;
    memcpy(e->u.put.office_key, r->office_key, WC_KEY_BYTES);
    memcpy(e->u.put.subject, r->subject, sizeof(e->u.put.subject));
    e->u.put.ends_kind = r->kind == WC_KIND_RETIRE ? r->slot_kind : 0;
    e->u.put.bytes = copy;
    e->u.put.len = r->bytes.len;
}
