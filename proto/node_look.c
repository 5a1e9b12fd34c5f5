/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine looks like from outside, for people and monitoring: links, neighbours,
 * reconciliation, what waits. Nothing here changes anything but the counts.
 */
#include <string.h>

#include "proto/node_internal.h"

/* ---- counting ---- */

void wc_node_news(struct wc_node *node, uint32_t office, const struct wc_peer *peer,
                  uint32_t hops)
{
    struct wc_office *o = node->offices[office];
    o->news_ms = node->now_ms;
    o->news_link = peer->link;
    if (hops > 0) /* at most WC_ASK_HOPS_MAX: its decoder sees to that */
        o->news_hops = (uint8_t)hops;
}

void wc_node_count_refused(struct wc_node *node, int rc)
{
    node->records_refused++;
    if (rc < 0 && -rc < WC_ERRORS_COUNT)
        node->counts.refused[-rc]++;
}

const struct wc_node_counts *wc_node_counts(const struct wc_node *node)
{
    return &node->counts;
}

/* ---- links ---- */

static void show_link(const struct wc_node *node, const struct wc_peer *peer,
                      struct wc_node_link *out)
{
    const struct wc_tree_peer *branch = NULL;
    for (uint32_t i = 0; i < node->tree.peer_count; i++) {
        if (node->tree.peers[i].link == peer->link)
            branch = &node->tree.peers[i];
    }
    *out = (struct wc_node_link){
        .link = peer->link,
        .dialled = peer->initiator,
        .neighbour = peer->active,
        .eager = branch != NULL && branch->eager,
        .parent = branch != NULL && node->beat.parent == peer->link,
        .child = branch != NULL && branch->child,
        .heard_mono_ms = peer->heard_ms,
        .rtt_ms = peer->rtt_ms,
        .waiting_count = peer->records.count + peer->answers.count +
                         (branch == NULL ? 0 : branch->ids_count),
    };
    memcpy(out->office_key, node->offices[peer->office]->key, WC_KEY_BYTES);
    for (int i = 0; i < WC_WANTS_OPEN_MAX_COUNT; i++)
        out->wants_count += peer->wants[i] != NULL;
}

bool wc_node_link_at(const struct wc_node *node, uint32_t i, struct wc_node_link *out)
{
    for (uint32_t k = 0; k < node->peer_count; k++) {
        if (node->peers[k]->closing || i-- > 0)
            continue;
        show_link(node, node->peers[k], out);
        return true;
    }
    return false;
}

/* ---- the whole ---- */

static void name_office(const struct wc_node *node, const uint8_t *key, size_t key_len,
                        char out[WC_OFFICE_NAME_MAX_BYTES + 1])
{
    for (uint32_t i = 0; i < node->by_name_count; i++) {
        const struct wc_office *o = node->offices[node->by_name[i]];
        if (memcmp(o->key, key, key_len) == 0)
            memcpy(out, o->cert.name, WC_OFFICE_NAME_MAX_BYTES + 1);
    }
}

static void show_tree(const struct wc_node *node, struct wc_node_overview *out)
{
    const struct wc_beat *beat = &node->beat;
    out->active_count = node->views.active_count;
    out->passive_count = node->views.passive_count;
    out->eager_count = wc_plumtree_eager_count(&node->tree);
    out->flooding = node->by_name_count <= WC_FLOOD_OFFICES_COUNT;
    out->has_root = !out->flooding && beat->heard_ms != 0 &&
                    node->mono_ms - beat->heard_ms < WC_BEAT_STALE_MS;
    if (!out->has_root)
        return;
    name_office(node, beat->last.root, WC_ROOT_BYTES, out->root);
    out->root_hops = beat->last.hops;
}

/* Of several sessions the one that fetches most. */
static void show_session(const struct wc_node *node, struct wc_node_overview *out)
{
    const struct wc_session *most = NULL;
    for (int i = 0; i < WC_SESSIONS_MAX_COUNT; i++) {
        const struct wc_session *s = &node->sessions[i];
        if (s->link == 0)
            continue;
        out->sync_wanted += s->wanted + s->r.need_count;
        out->sync_came += s->accepted;
        out->sync_ranges_count += s->r.stack_count;
        out->sync_sessions_count++;
        if (most == NULL || s->wanted > most->wanted)
            most = s;
    }
    const struct wc_peer *peer = most == NULL ? NULL : wc_node_peer(node, most->link);
    if (peer == NULL)
        return;
    out->syncing = true;
    name_office(node, node->offices[peer->office]->key, WC_KEY_BYTES, out->sync_office);
    out->sync_since_mono_ms = most->began_ms;
}

static void show_sync(const struct wc_node *node, struct wc_node_overview *out)
{
    const struct wc_last_sync *last = &node->last_sync;
    out->next_sync_mono_ms = node->sync_round_ms;
    out->next_audit_mono_ms = node->audit_ms;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (node->peers[i]->sync_due_ms < out->next_sync_mono_ms)
            out->next_sync_mono_ms = node->peers[i]->sync_due_ms;
    }
    show_session(node, out);
    out->reconciled = last->any;
    if (!last->any)
        return;
    name_office(node, last->office_key, WC_KEY_BYTES, out->last_office);
    out->last_mono_ms = last->ended_ms;
    out->last_took_ms = last->took_ms;
    out->last_wanted = last->wanted;
    out->last_taken = last->taken;
}

void wc_node_overview(const struct wc_node *node, struct wc_node_overview *out)
{
    *out = (struct wc_node_overview){
        .asks_count = node->asks_count,
        .matches_waiting = node->matches_waiting,
        .missing_count = node->tree.due.count,
        .kept_count = node->kept_count,
        .kept_bytes = node->kept_bytes,
    };
    show_tree(node, out);
    show_sync(node, out);
    for (int i = 0; i < WC_NODE_DIALS_COUNT; i++)
        out->dials_count += node->dials[i].number != 0;
    for (uint32_t i = 0; i < node->pending_count; i++)
        out->commits_waiting += node->pending[i].used;
}
