/* SPDX-License-Identifier: Apache-2.0 */
/* node.status: links, neighbours, reconciliation, what waits; node.watch. */
#include "daemon/methods_status.h"

#include <string.h>

#include "daemon/daemon.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"

static void pair_text(struct wc_buf *b, const char *key, const char *value)
{
    wc_pack_text(b, key);
    if (value[0] == '\0')
        wc_pack_nil(b);
    else
        wc_pack_text(b, value);
}

static void pair(struct wc_buf *b, const char *key, uint64_t value)
{
    wc_pack_text(b, key);
    wc_pack_u64(b, value);
}

static void pair_bool(struct wc_buf *b, const char *key, bool value)
{
    wc_pack_text(b, key);
    wc_pack_bool(b, value);
}

/* A moment of the monotonic clock as a time; nil when it never was. */
static void pair_moment(struct wc_buf *b, const char *key, bool was, uint64_t mono_ms)
{
    uint64_t now_mono_ms = wc_mono_ms();
    uint64_t ago_ms = now_mono_ms > mono_ms ? now_mono_ms - mono_ms : 0;
    wc_pack_text(b, key);
    wc_pack_time(b, was ? wc_wall_ms() - ago_ms : 0);
}

/* ---------------------------------------------------------------- links */

static const char *path_name(const struct wc_engine_link *l)
{
    if (!l->known || !l->node.neighbour)
        return "";
    return l->node.eager ? "eager" : "lazy";
}

static const char *tree_name(const struct wc_engine_link *l)
{
    return !l->known ? "" : l->node.parent ? "parent" : l->node.child ? "child" : "";
}

static void pack_link(struct wc_buf *b, const struct wc_engine_link *l)
{
    uint64_t now_ms = wc_mono_ms(), since_ms = l->traffic.since_mono_ms;
    bool known = l->known;
    wc_pack_map(b, 16);
    wc_pack_text(b, "office");
    wc_pack_text(b, l->office);
    pair_text(b, "address", l->traffic.remote_address);
    pair_text(b, "role", !known ? "" : l->node.neighbour ? "neighbour" : "visitor");
    pair_text(b, "path", path_name(l));
    pair_text(b, "tree", tree_name(l));
    pair_bool(b, "dialled", known && l->node.dialled);
    pair(b, "since_s", now_ms > since_ms ? (now_ms - since_ms) / 1000 : 0);
    wc_pack_text(b, "silent_ms");
    if (known && now_ms > l->node.heard_mono_ms)
        wc_pack_u64(b, now_ms - l->node.heard_mono_ms);
    else
        wc_pack_u64(b, 0);
    wc_pack_text(b, "rtt_ms");
    if (known && l->node.rtt_ms != WC_RTT_UNKNOWN)
        wc_pack_u64(b, l->node.rtt_ms);
    else
        wc_pack_nil(b);
    pair(b, "received_bytes", l->traffic.received_bytes);
    pair(b, "sent_bytes", l->traffic.sent_bytes);
    pair(b, "received_frames", l->received_frames);
    pair(b, "sent_frames", l->sent_frames);
    pair(b, "dropped_frames", l->dropped_frames);
    pair(b, "queued_bytes", l->traffic.queued_bytes);
    pair(b, "waiting", known ? l->node.waiting_count + l->node.wants_count : 0);
}

void wc_status_links(struct wc_buf *b, const struct wc_daemon *d)
{
    struct wc_engine_link link;
    struct wc_buf list = {0};
    uint32_t count = 0;
    for (; wc_engine_link_at(d->engine, count, &link); count++)
        pack_link(&list, &link);
    wc_pack_text(b, "links");
    wc_pack_array(b, count);
    wc_buf_append(b, list.data, list.len);
    b->failed = b->failed || list.failed;
    wc_buf_fini(&list);
}

/* ---------------------------------------------------------------- neighbours */

void wc_status_overlay(struct wc_buf *b, const struct wc_daemon *d)
{
    struct wc_node_overview o;
    wc_node_overview(wc_engine_node(d->engine), &o);
    wc_pack_text(b, "overlay");
    wc_pack_map(b, 6);
    pair(b, "active", o.active_count);
    pair(b, "passive", o.passive_count);
    pair(b, "eager", o.eager_count);
    pair_text(b, "mode", o.flooding ? "flood" : "tree");
    pair_text(b, "root", o.root);
    wc_pack_text(b, "root_hops");
    if (o.has_root)
        wc_pack_u64(b, o.root_hops);
    else
        wc_pack_nil(b);
}

/* ---------------------------------------------------------------- reconciliation */

static void pack_last(struct wc_buf *b, const struct wc_node_overview *o)
{
    wc_pack_text(b, "last");
    if (!o->reconciled) {
        wc_pack_nil(b);
        return;
    }
    wc_pack_map(b, 5);
    pair_text(b, "office", o->last_office);
    pair_moment(b, "at", true, o->last_mono_ms);
    pair(b, "took_ms", o->last_took_ms);
    pair(b, "differences", o->last_wanted);
    pair(b, "taken", o->last_taken);
}

static void pack_running(struct wc_buf *b, const struct wc_node_overview *o)
{
    wc_pack_text(b, "running");
    if (!o->syncing) {
        wc_pack_nil(b);
        return;
    }
    wc_pack_map(b, 6);
    pair_text(b, "office", o->sync_office);
    pair(b, "sessions", o->sync_sessions_count);
    pair_moment(b, "since", true, o->sync_since_mono_ms);
    pair(b, "differences", o->sync_wanted);
    pair(b, "came", o->sync_came);
    pair(b, "ranges_left", o->sync_ranges_count);
}

void wc_status_reconciliation(struct wc_buf *b, const struct wc_daemon *d)
{
    const struct wc_node *node = wc_engine_node(d->engine);
    const struct wc_node_counts *counts = wc_node_counts(node);
    struct wc_node_overview o;
    struct wc_node_stats stats;
    uint64_t now_ms = wc_mono_ms();
    wc_node_overview(node, &o);
    wc_node_stats(node, &stats);
    wc_pack_text(b, "reconciliation");
    wc_pack_map(b, 11);
    pack_last(b, &o);
    pack_running(b, &o);
    pair(b, "next_s",
         o.next_sync_mono_ms > now_ms ? (o.next_sync_mono_ms - now_ms + 999) / 1000
                                      : 0);
    pair(b, "rounds", counts->syncs_begun);
    pair(b, "equal", counts->syncs_equal);
    pair(b, "broken_off", counts->syncs_broken);
    pair(b, "differences", counts->sync_wanted);
    pair(b, "taken", counts->sync_taken);
    pair(b, "audits", stats.audits_done);
    pair(b, "audit_finds", stats.audit_finds);
    pair(b, "next_audit_s",
         o.next_audit_mono_ms > now_ms ? (o.next_audit_mono_ms - now_ms + 999) / 1000
                                       : 0);
}

/* ---------------------------------------------------------------- what waits */

static void pack_left_out(struct wc_buf *b, const struct wc_engine_health *h)
{
    static const struct {
        enum wc_urgency urgency;
        const char *name;
    } kinds[] = {{WC_URGENT_ANSWERS, "answers"}, {WC_URGENT_NEWS, "news"}};
    wc_pack_text(b, "left_out");
    wc_pack_map(b, 2);
    for (int i = 0; i < 2; i++) {
        wc_pack_text(b, kinds[i].name);
        wc_pack_map(b, 2);
        pair(b, "frames", h->left_out_frames[kinds[i].urgency]);
        pair(b, "bytes", h->left_out_bytes[kinds[i].urgency]);
    }
}

void wc_status_queues(struct wc_buf *b, const struct wc_daemon *d)
{
    struct wc_engine_health h;
    struct wc_node_overview o;
    struct wc_engine_link link;
    uint64_t queued_bytes = 0;
    wc_engine_health(d->engine, &h);
    wc_node_overview(wc_engine_node(d->engine), &o);
    for (uint32_t i = 0; wc_engine_link_at(d->engine, i, &link); i++)
        queued_bytes += link.traffic.queued_bytes;
    wc_pack_text(b, "queues");
    wc_pack_map(b, 13);
    pair(b, "links_bytes", queued_bytes);
    pack_left_out(b, &h);
    pair(b, "commit", h.gathering_count + h.committing_count);
    pair(b, "commit_bytes", h.gathering_bytes);
    pair(b, "owed", h.owed_count);
    pair(b, "owed_bytes", h.owed_bytes);
    pair(b, "own", o.commits_waiting);
    pair(b, "asks", o.asks_count);
    pair(b, "matches", o.matches_waiting);
    pair(b, "missing", o.missing_count);
    pair(b, "kept", o.kept_count);
    pair(b, "kept_bytes", o.kept_bytes);
    pair(b, "dials", o.dials_count);
}

/* ---------------------------------------------------------------- node.watch */

/* What is counted and not said one by one: told when it has grown. */
void wc_watch_look(void *ctx)
{
    struct wc_daemon *d = ctx;
    const struct wc_node *node = wc_engine_node(d->engine);
    if (node == NULL)
        return;
    const struct wc_node_counts *now = wc_node_counts(node);
    struct wc_node_counts *then = &d->watched;
    uint64_t refused = 0, refused_then = 0;
    for (int i = 0; i < WC_ERRORS_COUNT; i++) {
        refused += now->refused[i];
        refused_then += then->refused[i];
    }
    if (now->records_accepted < then->records_accepted || refused < refused_then)
        *then = (struct wc_node_counts){0}; /* another life of the engine */
    const struct wc_watch_fact facts[] = {
        {.name = "accepted", .number = now->records_accepted - then->records_accepted},
        {.name = "refused", .number = refused - refused_then},
        {.name = "again", .number = now->whole_again - then->whole_again},
    };
    if (facts[0].number + facts[1].number > 0)
        wc_watch_say(d->watch, "records", facts, 3);
    *then = *now;
}

void wc_node_watch(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_node *node = wc_engine_node(d->engine);
    if (!wc_watch_wanted(d->watch) && node != NULL)
        d->watched = *wc_node_counts(node);
    wc_watch_add(d->watch, r);
    const struct wc_watch_fact office = {.name = "office",
                                         .text = d->identity->cert.name};
    wc_watch_say(d->watch, "watching", &office, 1);
}
