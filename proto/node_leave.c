/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaving. The office retires what it has, so that its people are gone elsewhere at once,
 * and asks each neighbour with a PING whether that has arrived: frames of a link are
 * handled in order, so the PONG says so. Nothing of it is put into the store, where the
 * people stay for what the office becomes. That breaks no promise: what was sent under a
 * number must not be signed otherwise after a crash, and after this nothing is ever
 * signed with these keys again.
 */
#include <string.h>

#include "proto/node_internal.h"

/* Whether others are to forget it now; the card stands for the certificate, which the
 * organisation ends. */
static bool to_retire(const struct wc_node *node, const struct wc_held *h)
{
    return h->used && !h->hidden && h->office == node->self &&
           h->kind != WC_KIND_RETIRE && wc_node_set_of(h->slot_kind) != 0;
}

static int retire(struct wc_node *node, uint32_t id)
{
    const struct wc_signer *office = &node->identity->signer;
    const struct wc_held *h = &node->held[id];
    struct wc_buf body = {0}, bytes = {0};
    struct wc_record r;
    uint8_t sig[WC_SIG_BYTES], slot[WC_DIGEST_BYTES];
    int rc = wc_retire_body(office->key, h->subject, h->version.rev + 1, h->slot_kind,
                            false, &body);
    if (rc == 0)
        rc = wc_body_sign(sig, WC_KIND_RETIRE, wc_buf_slice(&body), office);
    if (rc == 0)
        rc = wc_node_stamp(node, WC_KIND_RETIRE, wc_buf_slice(&body), office->key, sig,
                           &bytes);
    if (rc == 0)
        rc = wc_record_decode(wc_buf_slice(&bytes), &r, NULL);
    if (rc == 0) {
        memcpy(slot, h->slot, sizeof(slot));
        wc_node_hold(node, &r, slot,
                     node->self); /* its former self may not come back */
        wc_node_push_all(node, wc_buf_slice(&bytes));
    }
    wc_buf_fini(&bytes);
    wc_buf_fini(&body);
    return rc;
}

static void ask_neighbours(struct wc_node *node)
{
    wc_node_run_flush(node);
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (node->peers[i]->closing)
            continue;
        node->peers[i]->leave_asked = true;
        wc_node_ping(node, node->peers[i]);
    }
    node->leave_asked = true;
}

void wc_node_leave(struct wc_node *node)
{
    uint32_t count = 0;
    if (node->leave_asked || wc_node_may_stamp(node) != 0)
        return;
    while (node->leave_at < node->held_count && count < WC_LEAVE_STEP_COUNT) {
        uint32_t id = node->leave_at++;
        if (!to_retire(node, &node->held[id]))
            continue;
        count++;
        if (retire(node, id) == 0)
            node->leave_retired++;
    }
    if (node->leave_at >= node->held_count)
        ask_neighbours(node);
}

void wc_node_leave_heard(struct wc_node *node, struct wc_peer *peer)
{
    if (!peer->leave_asked)
        return;
    peer->leave_asked = false;
    node->leave_told++;
}

void wc_node_leaving(const struct wc_node *node, struct wc_node_leaving *out)
{
    *out = (struct wc_node_leaving){.retired_count = node->leave_retired,
                                    .told_count = node->leave_told};
    out->more = !node->leave_asked && wc_node_may_stamp(node) == 0;
    for (uint32_t i = 0; i < node->peer_count; i++)
        out->waiting_count +=
            !node->peers[i]->closing && (out->more || node->peers[i]->leave_asked);
}
