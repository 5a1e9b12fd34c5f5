/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passing on, by Plumtree (proto/plumtree.h): every new record and every ask goes whole
 * to the eager neighbours and by its id to the lazy ones, but to nobody from whom it
 * came. What is due to a neighbour is gathered until the caller comes to the deadline,
 * which is at once: what comes within one turn of its loop travels in as few frames as it
 * fits, and nothing waits for a clock.
 *
 * A neighbour that sends what came already is pruned, unless the organisation is so small
 * that all are told everything by everybody. An id whose message does not come is asked
 * for. What was passed on is kept for a moment for those who ask; later it is in the
 * store. What the organisation says does not wait for a tree: node_statement.c.
 *
 * Who announces what it does not give is charged for it, and in the end closed; and so is
 * who asks for what nobody has.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

void wc_node_message_id(const struct wc_node *node, const uint8_t slot[WC_DIGEST_BYTES],
                        const struct wc_version *version,
                        uint8_t id[WC_MESSAGE_ID_BYTES])
{
    uint8_t item[WC_ITEM_BYTES];
    wc_record_item(slot, version, node->identity->org.secret, item);
    memcpy(id, item, WC_MESSAGE_ID_BYTES);
}

/* ---- what was passed on of late ---- */

static void drop_oldest(struct wc_node *node)
{
    struct wc_kept *k = &node->kept[node->kept_first];
    node->kept_bytes -= k->len;
    free(k->bytes);
    k->bytes = NULL;
    node->kept_first = (node->kept_first + 1) % node->kept_cap;
    node->kept_count--;
}

void wc_node_broadcast_fini(struct wc_node *node)
{
    while (node->kept_count > 0)
        drop_oldest(node);
    free(node->kept);
    wc_plumtree_fini(&node->tree);
}

/* Room for one more; the ring is unrolled when it grows. */
static bool grow_kept(struct wc_node *node)
{
    uint32_t cap = node->kept_cap == 0 ? 16 : 2 * node->kept_cap;
    struct wc_kept *kept = malloc(cap * sizeof(*kept));
    if (kept == NULL) {
        wc_node_fail(node);
        return false;
    }
    for (uint32_t i = 0; i < node->kept_count; i++)
        kept[i] = node->kept[(node->kept_first + i) % node->kept_cap];
    free(node->kept);
    node->kept = kept;
    node->kept_cap = cap;
    node->kept_first = 0;
    return true;
}

static void keep(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES],
                 struct wc_slice bytes, uint32_t hops)
{
    while (node->kept_count > 0 && (node->kept_count == WC_KEPT_COUNT ||
                                    node->kept_bytes + bytes.len > WC_KEPT_BYTES))
        drop_oldest(node);
    if (node->kept_count == node->kept_cap && !grow_kept(node))
        return;
    struct wc_kept *k =
        &node->kept[(node->kept_first + node->kept_count) % node->kept_cap];
    *k = (struct wc_kept){.hops = hops, .since_ms = node->mono_ms, .len = bytes.len};
    if ((k->bytes = malloc(bytes.len)) == NULL) {
        wc_node_fail(node);
        return;
    }
    memcpy(k->bytes, bytes.data, bytes.len);
    memcpy(k->id, id, WC_MESSAGE_ID_BYTES);
    node->kept_bytes += bytes.len;
    if (node->kept_count++ == 0)
        wc_node_due(node, WC_DUE_TREE, node->mono_ms + WC_KEPT_MS);
}

/* The place of what is held under an id, or WC_NONE. */
static uint32_t held_under(const struct wc_node *node,
                           const uint8_t id[WC_MESSAGE_ID_BYTES])
{
    uint8_t prefix[WC_ITEM_BYTES] = {0};
    struct wc_item item;
    memcpy(prefix, id, WC_MESSAGE_ID_BYTES);
    for (int set = 0; set < WC_SETS_COUNT; set++) {
        if (wc_itemset_list(&node->sets[set], prefix, 8 * WC_MESSAGE_ID_BYTES, &item,
                            1) > 0)
            return item.value;
    }
    return WC_NONE;
}

void wc_node_message_read(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES],
                          struct wc_buf *out, uint32_t *hops)
{
    *hops = 0;
    for (uint32_t i = node->kept_count; i-- > 0;) {
        const struct wc_kept *k = &node->kept[(node->kept_first + i) % node->kept_cap];
        if (memcmp(k->id, id, WC_MESSAGE_ID_BYTES) != 0)
            continue;
        *hops = k->hops;
        wc_buf_append(out, k->bytes, k->len);
        return;
    }
    uint32_t held = held_under(node, id);
    if (held != WC_NONE &&
        (node->store.read(node->store.ctx, node->held[held].slot, out) != 0 ||
         out->len > WC_RECORD_MAX_BYTES))
        wc_buf_reset(out); /* reconciliation looks into it */
}

/* ---- frames ---- */

static void flush_records(struct wc_node *node, struct wc_peer *peer)
{
    struct wc_buf frame = {0};
    if (peer->records.count == 0)
        return;
    wc_wire_records(&frame, WC_REASON_BROADCAST, peer->records.count,
                    wc_buf_slice(&peer->records.packed));
    wc_node_send_as(node, peer, peer->records.urgent ? WC_URGENT : WC_URGENT_NEWS,
                    &frame);
    wc_buf_fini(&peer->records.packed);
    peer->records.count = 0;
    peer->records.urgent = false;
}

static void flush_answers(struct wc_node *node, struct wc_peer *peer)
{
    struct wc_buf frame = {0};
    if (peer->answers.count == 0)
        return;
    wc_wire_answers(&frame, peer->answers.count, wc_buf_slice(&peer->answers.packed));
    wc_node_send_as(node, peer, WC_URGENT_ANSWERS, &frame);
    wc_buf_fini(&peer->answers.packed);
    peer->answers.count = 0;
}

static void flush_ids(struct wc_node *node, const struct wc_peer *peer)
{
    struct wc_tree_peer *lazy = wc_plumtree_peer(&node->tree, peer->link);
    struct wc_buf frame = {0};
    if (lazy == NULL || lazy->ids_count == 0)
        return;
    wc_wire_list(&frame, WC_WIRE_IHAVE,
                 wc_slice(lazy->ids, (size_t)lazy->ids_count * WC_MESSAGE_ID_BYTES));
    wc_node_send(node, peer, &frame);
    node->counts.ids_sent += lazy->ids_count;
    lazy->ids_count = 0;
}

/* Whether one more piece still fits the frame that is being gathered. */
static bool fits(const struct wc_outbox *box, uint32_t max_count, size_t more_bytes)
{
    return box->count < max_count &&
           box->packed.len + more_bytes + WC_WIRE_RECORDS_HEAD_BYTES <=
               WC_FRAME_MAX_BYTES;
}

static void queue_record(struct wc_node *node, struct wc_peer *peer,
                         struct wc_slice record)
{
    if (!fits(&peer->records, WC_WIRE_RECORDS_MAX_COUNT,
              wc_wire_record_bytes(record.len)))
        flush_records(node, peer);
    wc_pack_bin(&peer->records.packed, record);
    peer->records.count++;
    node->counts.whole_sent++;
    if (peer->records.packed.failed)
        wc_node_fail(node);
    wc_node_due(node, WC_DUE_FLUSH, node->mono_ms);
}

static void send_ask(struct wc_node *node, const struct wc_peer *peer,
                     struct wc_slice record, uint32_t hops)
{
    struct wc_buf frame = {0};
    wc_wire_ask(&frame, hops, record);
    node->counts.whole_sent++;
    wc_node_send_as(node, peer, WC_URGENT_NEWS, &frame);
}

static void announce(struct wc_node *node, const struct wc_peer *peer,
                     struct wc_tree_peer *lazy, const uint8_t id[WC_MESSAGE_ID_BYTES])
{
    int count = wc_plumtree_announce(lazy, id);
    if (count < 0)
        wc_node_fail(node);
    if (count == WC_IDS_MAX_COUNT)
        flush_ids(node, peer);
    wc_node_due(node, WC_DUE_ANNOUNCE, node->mono_ms + WC_ANNOUNCE_MS);
}

/* ---- passing on ---- */

bool wc_node_message_came(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES])
{
    int rc = wc_plumtree_got(&node->tree, id);
    if (rc < 0)
        wc_node_fail(node);
    return rc > 0;
}

/* hops: of an ask; 0: a record. */
static void spread(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES],
                   struct wc_slice bytes, uint32_t hops, uint32_t except)
{
    wc_node_message_came(node, id);
    keep(node, id, bytes, hops);
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        struct wc_tree_peer *branch = wc_plumtree_peer(&node->tree, peer->link);
        if (branch == NULL || peer->link == except)
            continue;
        if (!branch->eager)
            announce(node, peer, branch, id);
        else if (hops == 0)
            queue_record(node, peer, bytes);
        else
            send_ask(node, peer, bytes, hops);
    }
}

void wc_node_broadcast(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES],
                       struct wc_slice record, uint32_t except)
{
    spread(node, id, record, 0, except);
}

void wc_node_broadcast_ask(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES],
                           struct wc_slice record, uint32_t hops, uint32_t except)
{
    spread(node, id, record, hops, except);
}

void wc_node_push_all(struct wc_node *node, struct wc_slice record)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (node->peers[i]->closing)
            continue;
        queue_record(node, node->peers[i], record);
        node->peers[i]->records.urgent = true;
    }
}

/* ---- the tree ---- */

bool wc_node_may_prune(struct wc_node *node, const struct wc_peer *peer)
{
    const struct wc_tree_peer *branch = wc_plumtree_peer(&node->tree, peer->link);
    return branch != NULL && peer->greeted &&
           node->by_name_count > WC_FLOOD_OFFICES_COUNT;
}

void wc_node_prune(struct wc_node *node, struct wc_peer *peer)
{
    struct wc_buf frame = {0};
    if (!wc_node_may_prune(node, peer))
        return;
    wc_plumtree_peer(&node->tree, peer->link)->eager = false;
    wc_wire_bare(&frame, WC_WIRE_PRUNE);
    wc_node_send(node, peer, &frame);
    node->counts.prunes_sent++;
}

void wc_node_graft(struct wc_node *node, uint32_t link)
{
    const struct wc_peer *peer = wc_node_peer(node, link);
    struct wc_tree_peer *branch = wc_plumtree_peer(&node->tree, link);
    struct wc_buf frame = {0};
    if (peer == NULL || branch == NULL || branch->eager)
        return;
    branch->eager = true;
    wc_wire_list(&frame, WC_WIRE_GRAFT, (struct wc_slice){0});
    wc_node_send(node, peer, &frame);
    node->counts.grafts_sent++;
}

int wc_node_on_ihave(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_list in;
    int rc = wc_wire_decode_list(frame, &in, NULL);
    node->counts.ids_received += rc == 0 ? in.count : 0;
    for (uint32_t i = 0; rc == 0 && peer->active && i < in.count; i++) {
        const uint8_t *id = in.items.data + (size_t)i * WC_MESSAGE_ID_BYTES;
        if (wc_plumtree_has(&node->tree, id) || held_under(node, id) != WC_NONE)
            continue;
        rc = wc_plumtree_ihave(&node->tree, peer->link, id, node->mono_ms);
        if (rc == -WC_ELIMIT) {
            /* reconciliation brings the rest */
            wc_node_sync_want(node, peer, node->mono_ms);
            rc = 0;
            break;
        }
    }
    wc_node_due(node, WC_DUE_TREE, wc_plumtree_deadline(&node->tree));
    return rc;
}

/* One id of a GRAFT. False: the neighbour asks for too much that nobody has. */
static bool give(struct wc_node *node, struct wc_peer *peer,
                 const uint8_t id[WC_MESSAGE_ID_BYTES])
{
    struct wc_buf bytes = {0};
    uint32_t hops;
    bool bears = true;
    wc_bucket_pour(&peer->conduct->fetched, 1);
    wc_node_message_read(node, id, &bytes, &hops);
    if (bytes.failed)
        wc_node_fail(node);
    else if (bytes.len == 0)
        bears = wc_node_waste(node, peer, WC_WASTE_ITEM_BYTES);
    else if (hops == 0)
        queue_record(node, peer, wc_buf_slice(&bytes));
    else
        send_ask(node, peer, wc_buf_slice(&bytes), hops);
    wc_buf_fini(&bytes);
    return bears;
}

int wc_node_on_graft(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_wire_list in;
    struct wc_tree_peer *branch = wc_plumtree_peer(&node->tree, peer->link);
    int rc = wc_wire_decode_list(frame, &in, NULL);
    if (rc != 0 || branch == NULL)
        return rc;
    node->counts.grafts_received++;
    branch->eager = branch->child = true;
    for (uint32_t i = 0; i < in.count && wc_node_may_fetch(node, peer); i++) {
        if (give(node, peer, in.items.data + (size_t)i * WC_MESSAGE_ID_BYTES))
            continue;
        wc_node_blame(node, peer->office, WC_BLAME_FLOOD);
        return -WC_ELIMIT;
    }
    return 0;
}

int wc_node_on_prune(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame)
{
    struct wc_tree_peer *branch = wc_plumtree_peer(&node->tree, peer->link);
    int rc = wc_wire_decode_bare(frame, NULL);
    node->counts.prunes_received += rc == 0;
    if (rc == 0 && branch != NULL)
        branch->eager = branch->child = false;
    return rc;
}

/* It said that it had something, was asked, and did not give it. */
static void charge_silence(struct wc_node *node, struct wc_peer *peer)
{
    if (peer == NULL)
        return;
    wc_node_unkept(node, peer, WC_WASTE_ITEM_BYTES);
    if (!wc_node_keeps_nothing(node, peer))
        return;
    wc_node_blame(node, peer->office, WC_BLAME_SYNC);
    wc_node_strike(node, peer);
    wc_node_close(node, peer, -WC_ELIMIT);
}

static void send_grafts(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct wc_peer *peer = node->peers[i];
        size_t most = (size_t)WC_IDS_MAX_COUNT * WC_MESSAGE_ID_BYTES;
        struct wc_buf frame = {0};
        for (size_t at = 0; at < peer->graft.len; at += most) {
            size_t len = peer->graft.len - at < most ? peer->graft.len - at : most;
            wc_wire_list(&frame, WC_WIRE_GRAFT, wc_slice(peer->graft.data + at, len));
            wc_node_send(node, peer, &frame);
            node->counts.grafts_sent++;
        }
        wc_buf_fini(&peer->graft);
    }
}

void wc_node_run_tree(struct wc_node *node)
{
    struct wc_tree_graft next;
    while (wc_plumtree_next(&node->tree, node->mono_ms, &next)) {
        struct wc_peer *peer = wc_node_peer(node, next.link);
        charge_silence(node, wc_node_peer(node, next.silent));
        if (peer == NULL)
            continue;
        wc_buf_append(&peer->graft, next.id, WC_MESSAGE_ID_BYTES);
        if (peer->graft.failed)
            wc_node_fail(node);
    }
    send_grafts(node);
    while (node->kept_count > 0 &&
           node->mono_ms - node->kept[node->kept_first].since_ms >= WC_KEPT_MS)
        drop_oldest(node);
    if (node->kept_count > 0)
        wc_node_due(node, WC_DUE_TREE,
                    node->kept[node->kept_first].since_ms + WC_KEPT_MS);
    wc_node_due(node, WC_DUE_TREE, wc_plumtree_deadline(&node->tree));
}

void wc_node_run_announce(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->peer_count; i++)
        flush_ids(node, node->peers[i]);
}

/* ---- answers ---- */

void wc_node_queue_answer(struct wc_node *node, struct wc_peer *peer,
                          struct wc_slice body, const uint8_t sig[WC_SIG_BYTES])
{
    if (!fits(&peer->answers, WC_WIRE_ANSWERS_MAX_COUNT, body.len + WC_SIG_BYTES + 6))
        flush_answers(node, peer);
    wc_wire_answer(&peer->answers.packed, body, sig);
    peer->answers.count++;
    if (peer->answers.packed.failed)
        wc_node_fail(node);
    wc_node_due(node, WC_DUE_FLUSH, node->mono_ms);
}

void wc_node_run_flush(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->peer_count; i++) {
        flush_records(node, node->peers[i]);
        flush_answers(node, node->peers[i]);
    }
}
