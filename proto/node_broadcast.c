/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passing on. Every new record goes to every neighbour but the one it came from: a
 * flood, in which each office passes a record on once, because the second time it is
 * not newer any more. What is due to a neighbour is gathered for a moment and travels
 * in as few frames as it fits.
 */
#include "proto/node_internal.h"

static void flush_records(struct wc_node *node, struct wc_peer *peer)
{
    struct wc_buf frame = {0};
    if (peer->records.count == 0)
        return;
    wc_wire_records(&frame, WC_REASON_BROADCAST, peer->records.count,
                    wc_buf_slice(&peer->records.packed));
    wc_node_send(node, peer, &frame);
    wc_buf_fini(&peer->records.packed);
    peer->records.count = 0;
}

static void flush_answers(struct wc_node *node, struct wc_peer *peer)
{
    struct wc_buf frame = {0};
    if (peer->answers.count == 0)
        return;
    wc_wire_answers(&frame, peer->answers.count, wc_buf_slice(&peer->answers.packed));
    wc_node_send(node, peer, &frame);
    wc_buf_fini(&peer->answers.packed);
    peer->answers.count = 0;
}

/* Whether one more piece still fits the frame that is being gathered. */
static bool fits(const struct wc_outbox *box, uint32_t max_count, size_t more_bytes)
{
    return box->count < max_count &&
           box->packed.len + more_bytes + WC_WIRE_RECORDS_HEAD_BYTES <=
               WC_FRAME_MAX_BYTES;
}

void wc_node_broadcast(struct wc_node *node, struct wc_slice record, uint32_t except)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        if (peer->link == except || peer->closing)
            continue;
        if (!fits(&peer->records, WC_WIRE_RECORDS_MAX_COUNT,
                  wc_wire_record_bytes(record.len)))
            flush_records(node, peer);
        wc_pack_bin(&peer->records.packed, record);
        peer->records.count++;
        if (peer->records.packed.failed)
            wc_node_fail(node);
    }
    wc_node_due(node, WC_DUE_FLUSH, node->mono_ms + WC_FLUSH_MS);
}

void wc_node_queue_answer(struct wc_node *node, struct wc_peer *peer,
                          struct wc_slice body, const uint8_t sig[WC_SIG_BYTES])
{
    if (!fits(&peer->answers, WC_WIRE_ANSWERS_MAX_COUNT, body.len + WC_SIG_BYTES + 6))
        flush_answers(node, peer);
    wc_wire_answer(&peer->answers.packed, body, sig);
    peer->answers.count++;
    if (peer->answers.packed.failed)
        wc_node_fail(node);
    wc_node_due(node, WC_DUE_FLUSH, node->mono_ms + WC_FLUSH_MS);
}

void wc_node_run_flush(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        flush_records(node, node->peers[i]);
        flush_answers(node, node->peers[i]);
    }
}
