/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include <whocan/limits.h>

#include "daemon/daemon.h"
#include "daemon/expiry.h"
#include "daemon/methods.h"
#include "daemon/office.h"

/* What is looked at, all at one moment. */
struct snapshot {
    struct wc_records_usage records;
    struct wc_index_usage index;
    struct wc_node_stats node;
    struct wc_transport_stats transport;
    struct wc_engine_health health;
    struct wc_api_stats api;
    struct wc_leavers_held leavers;
    struct wc_upkeep_stats upkeep;
    uint64_t slow_finds;
    bool audit_failing, index_building;
    struct wc_discovery_stats discovery;
    struct wc_node_overview overview;
    uint32_t neighbours_eager, neighbours_lazy, visitors;
    uint64_t queued_bytes; /* of all links */
    uint32_t watchers_count;
    uint64_t watch_skipped;
    uint32_t linked_count;
    uint64_t uptime_s;
    bool member; /* it has a certificate that ends */
    uint64_t expiry_ms, now_ms;
};

#define VALUE(name, expression)                                                        \
    static uint64_t name(const struct snapshot *s)                                     \
    {                                                                                  \
        return (expression);                                                           \
    }
VALUE(uptime, s->uptime_s)
VALUE(people, s->index.people_count)
VALUE(records, s->records.records_count)
VALUE(store_used, s->records.used_bytes)
VALUE(store_map, s->records.map_bytes)
VALUE(index_used, s->index.used_bytes)
VALUE(offices_known, s->node.offices_count)
VALUE(offices_linked, s->linked_count)
VALUE(links, s->node.links_count)
VALUE(link_accepted, s->transport.accepted_count)
VALUE(link_refused, s->transport.refused_count)
VALUE(link_limited, s->transport.limited_count)
VALUE(link_paused, s->transport.paused_count)
VALUE(link_timeouts, s->transport.timeout_count)
VALUE(link_handshakes, s->health.handshakes_count)
VALUE(link_dropped, s->health.dropped_count)
VALUE(beacons_sent, s->discovery.sent_count)
VALUE(beacons_heard, s->discovery.heard_count)
VALUE(beacons_foreign, s->discovery.foreign_count)
VALUE(beacons_ignored, s->discovery.ignored_count)
VALUE(beacon_sockets, s->discovery.sockets_count)
VALUE(srv_targets, s->discovery.srv_count)
VALUE(peers_remembered, s->discovery.cached_count)
VALUE(records_received, s->node.records_received)
VALUE(records_refused, s->node.records_refused)
VALUE(asks, s->health.asked_count)
VALUE(answers, s->health.answers_count)
VALUE(asks_answered, s->health.answered_count)
VALUE(asks_relayed, s->node.asks_relayed)
VALUE(answers_relayed, s->node.answers_relayed)
VALUE(syncs, s->node.syncs_done)
VALUE(records_accepted, s->node.counts.records_accepted)
VALUE(whole_received, s->node.counts.whole_received)
VALUE(whole_again, s->node.counts.whole_again)
VALUE(whole_sent, s->node.counts.whole_sent)
VALUE(sync_differences, s->node.counts.sync_wanted)
VALUE(sync_taken, s->node.counts.sync_taken)
VALUE(sync_running, s->overview.syncing)
VALUE(audits, s->node.audits_done)
VALUE(audit_finds, s->node.audit_finds)
VALUE(passive, s->overview.passive_count)
VALUE(watchers, s->watchers_count)
VALUE(watch_skipped, s->watch_skipped)
VALUE(clock_off, s->node.clock_off)
VALUE(disk_full, s->health.disk_full)
VALUE(index_behind, s->health.index_behind)
VALUE(slow_finds, s->slow_finds)
VALUE(index_building, s->index_building)
VALUE(index_rounds, s->upkeep.rounds_count)
VALUE(index_damaged, s->upkeep.damaged_count)
VALUE(index_rebuilds, s->upkeep.rebuilds_count)
VALUE(records_owed, s->health.owed_count)
VALUE(erasures_waiting, s->health.erasures_waiting)
VALUE(audit_failing, s->audit_failing)
VALUE(leavers_held, s->leavers.held ? s->leavers.missing_count : 0)
VALUE(certificate_end, s->expiry_ms / 1000)
VALUE(connections, s->api.connections_count)
VALUE(unread, s->api.unread_bytes)
VALUE(errors, s->api.errors_count)
VALUE(busy, s->api.busy_count)

static const char *const cost_names[WC_COSTS_COUNT] = {
    [WC_COST_READ] = "read", [WC_COST_FIND] = "find",     [WC_COST_ASK] = "ask",
    [WC_COST_EDIT] = "edit", [WC_COST_EXPORT] = "export", [WC_COST_ADMIN] = "admin",
};

__attribute__((format(printf, 2, 3))) static void line(struct wc_buf *out,
                                                       const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    wc_buf_text(out, text);
}

static void write_requests(struct wc_buf *out, const char *name,
                           const struct snapshot *s)
{
    for (int i = 0; i < WC_COSTS_COUNT; i++)
        line(out, "%s{class=\"%s\"} %" PRIu64 "\n", name, cost_names[i],
             s->api.requests_count[i]);
}

static void write_certificate_days(struct wc_buf *out, const char *name,
                                   const struct snapshot *s)
{
    line(out, "%s %" PRId64 "\n", name, wc_expiry_days(s->expiry_ms, s->now_ms));
}

/* Every reason that there was, and one that is always there. */
static void write_reasons(struct wc_buf *out, const char *name,
                          const uint64_t counts[WC_ERRORS_COUNT], int always)
{
    for (int i = 0; i < WC_ERRORS_COUNT; i++) {
        if (counts[i] > 0 || i == always)
            line(out, "%s{reason=\"%s\"} %" PRIu64 "\n", name, wc_errname(-i),
                 counts[i]);
    }
}

static void write_refused(struct wc_buf *out, const char *name,
                          const struct snapshot *s)
{
    write_reasons(out, name, s->node.counts.refused, WC_EBADSIG);
}

static void write_ended(struct wc_buf *out, const char *name, const struct snapshot *s)
{
    write_reasons(out, name, s->health.ended, WC_ECLOSED);
}

/* One sample for each value of a label. */
static void labelled(struct wc_buf *out, const char *name, const char *label,
                     const char *value, uint64_t number)
{
    line(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, number);
}

static void write_roles(struct wc_buf *out, const char *name, const struct snapshot *s)
{
    labelled(out, name, "role", "eager", s->neighbours_eager);
    labelled(out, name, "role", "lazy", s->neighbours_lazy);
    labelled(out, name, "role", "visitor", s->visitors);
}

static void both_ways(struct wc_buf *out, const char *name, uint64_t sent,
                      uint64_t received)
{
    labelled(out, name, "direction", "sent", sent);
    labelled(out, name, "direction", "received", received);
}

static void write_frames(struct wc_buf *out, const char *name, const struct snapshot *s)
{
    both_ways(out, name, s->health.sent_frames, s->health.received_frames);
}

static void write_frame_bytes(struct wc_buf *out, const char *name,
                              const struct snapshot *s)
{
    both_ways(out, name, s->health.sent_bytes, s->health.received_bytes);
}

static void write_ids(struct wc_buf *out, const char *name, const struct snapshot *s)
{
    both_ways(out, name, s->node.counts.ids_sent, s->node.counts.ids_received);
}

static void write_grafts(struct wc_buf *out, const char *name, const struct snapshot *s)
{
    both_ways(out, name, s->node.counts.grafts_sent, s->node.counts.grafts_received);
}

static void write_prunes(struct wc_buf *out, const char *name, const struct snapshot *s)
{
    both_ways(out, name, s->node.counts.prunes_sent, s->node.counts.prunes_received);
}

static void write_left_out(struct wc_buf *out, const char *name,
                           const struct snapshot *s)
{
    labelled(out, name, "kind", "answers",
             s->health.left_out_frames[WC_URGENT_ANSWERS]);
    labelled(out, name, "kind", "news", s->health.left_out_frames[WC_URGENT_NEWS]);
}

static void write_left_out_bytes(struct wc_buf *out, const char *name,
                                 const struct snapshot *s)
{
    labelled(out, name, "kind", "answers", s->health.left_out_bytes[WC_URGENT_ANSWERS]);
    labelled(out, name, "kind", "news", s->health.left_out_bytes[WC_URGENT_NEWS]);
}

static void write_lengths(struct wc_buf *out, const char *name,
                          const struct snapshot *s)
{
    labelled(out, name, "queue", "commit",
             s->health.gathering_count + s->health.committing_count);
    labelled(out, name, "queue", "own", s->overview.commits_waiting);
    labelled(out, name, "queue", "asks", s->overview.asks_count);
    labelled(out, name, "queue", "matches", s->overview.matches_waiting);
    labelled(out, name, "queue", "missing", s->overview.missing_count);
    labelled(out, name, "queue", "kept", s->overview.kept_count);
    labelled(out, name, "queue", "dials", s->overview.dials_count);
}

static void write_lengths_bytes(struct wc_buf *out, const char *name,
                                const struct snapshot *s)
{
    labelled(out, name, "queue", "links", s->queued_bytes);
    labelled(out, name, "queue", "commit", s->health.gathering_bytes);
    labelled(out, name, "queue", "owed", s->health.owed_bytes);
    labelled(out, name, "queue", "kept", s->overview.kept_bytes);
}

static void write_rounds(struct wc_buf *out, const char *name, const struct snapshot *s)
{
    const struct wc_node_counts *c = &s->node.counts;
    labelled(out, name, "result", "equal", c->syncs_equal);
    labelled(out, name, "result", "different", s->node.syncs_done - c->syncs_equal);
    labelled(out, name, "result", "broken_off", c->syncs_broken);
}

/* Of asks of others, by the links that they had crossed when they came. */
static void write_hops(struct wc_buf *out, const char *name, const struct snapshot *s)
{
    static const uint32_t ends[] = {1, 2, 3, 4, 6, 8, 12, WC_ASK_HOPS_MAX};
    const uint64_t *counts = s->node.counts.ask_hops;
    uint64_t all = 0, sum = 0;
    for (uint32_t hops = 0, i = 0; hops < WC_NODE_HOPS_COUNT; hops++) {
        all += counts[hops];
        sum += hops * counts[hops];
        if (hops == ends[i])
            line(out, "%s_bucket{le=\"%" PRIu32 "\"} %" PRIu64 "\n", name, ends[i++],
                 all);
    }
    line(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, all);
    line(out, "%s_sum %" PRIu64 "\n%s_count %" PRIu64 "\n", name, sum, name, all);
}

static void write_finds(struct wc_buf *out, const char *name, const struct snapshot *s)
{
    uint64_t sum = 0;
    for (int i = 0; i < WC_FIND_BUCKETS_COUNT; i++) {
        sum += s->api.finds_count[i];
        line(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
             (double)wc_find_buckets_us[i] / 1e6, sum);
    }
    sum += s->api.finds_count[WC_FIND_BUCKETS_COUNT];
    line(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, sum);
    line(out, "%s_sum %.6f\n", name, (double)s->api.finds_us / 1e6);
    line(out, "%s_count %" PRIu64 "\n", name, sum);
}

static const struct metric {
    const char *name, *type, *help;
    uint64_t (*value)(const struct snapshot *s); /* or NULL, and write */
    void (*write)(struct wc_buf *out, const char *name, const struct snapshot *s);
    bool member_only; /* not there while an office stands alone */
} metrics[] = {
    {"uptime_seconds", "gauge", "Since the start of the daemon.", uptime, NULL, false},
    {"people", "gauge", "People that a search here can find.", people, NULL, false},
    {"records", "gauge", "Records held.", records, NULL, false},
    {"store_used_bytes", "gauge", "Of the records on the disk.", store_used, NULL,
     false},
    {"store_map_bytes", "gauge", "What the records may grow to before the map grows.",
     store_map, NULL, false},
    {"index_used_bytes", "gauge", "Of the search index on the disk.", index_used, NULL,
     false},
    {"offices_known", "gauge", "Offices of the organisation, this one included.",
     offices_known, NULL, false},
    {"offices_linked", "gauge", "Offices with an open link to this one.",
     offices_linked, NULL, false},
    {"links", "gauge", "Open links.", links, NULL, false},
    {"link_accepted_total", "counter", "Connections accepted on the port for offices.",
     link_accepted, NULL, false},
    {"link_refused_total", "counter", "Of them closed for what they said.",
     link_refused, NULL, false},
    {"link_limited_total", "counter", "Of them closed for lack of room.", link_limited,
     NULL, false},
    {"link_paused_total", "counter",
     "Of them closed at once because their address misbehaved.", link_paused, NULL,
     false},
    {"link_timeouts_total", "counter", "Handshakes and dials that took too long.",
     link_timeouts, NULL, false},
    {"link_handshakes_total", "counter", "Handshakes that succeeded, whoever dialled.",
     link_handshakes, NULL, false},
    {"link_dropped_total", "counter", "Links that ended.", link_dropped, NULL, false},
    {"beacon_sockets", "gauge",
     "Interfaces on which beacons are heard, each family for itself.", beacon_sockets,
     NULL, false},
    {"beacons_sent_total", "counter", "Beacons sent.", beacons_sent, NULL, false},
    {"beacons_heard_total", "counter", "Datagrams that may be beacons.", beacons_heard,
     NULL, false},
    {"beacons_foreign_total", "counter", "Of them not of this organisation.",
     beacons_foreign, NULL, false},
    {"beacons_ignored_total", "counter",
     "Datagrams not looked at: too many, or from another network.", beacons_ignored,
     NULL, false},
    {"srv_targets", "gauge", "Offices in the name server's last answer.", srv_targets,
     NULL, false},
    {"peers_remembered", "gauge", "Addresses kept for the next start.",
     peers_remembered, NULL, false},
    {"records_received_total", "counter", "Records that came from other offices.",
     records_received, NULL, false},
    {"records_refused_total", "counter", "Of them not believed.", records_refused, NULL,
     false},
    {"records_accepted_total", "counter", "Of them new, and taken.", records_accepted,
     NULL, false},
    {"refused_total", "counter", "Records, asks and answers not believed, by reason.",
     NULL, write_refused, false},
    {"asks_total", "counter", "Asks of people here.", asks, NULL, false},
    {"answers_total", "counter",
     "Offices' answers to them, those of this office included.", answers, NULL, false},
    {"asks_answered_total", "counter",
     "Asks that this office answered, those of its own people included.", asks_answered,
     NULL, false},
    {"asks_relayed_total", "counter", "Asks of other offices passed on.", asks_relayed,
     NULL, false},
    {"answers_relayed_total", "counter", "Answers passed on.", answers_relayed, NULL,
     false},
    {"syncs_total", "counter", "Reconciliations with other offices.", syncs, NULL,
     false},
    {"sync_rounds_total", "counter", "Reconciliations by how they ended.", NULL,
     write_rounds, false},
    {"sync_differences_total", "counter", "Records found missing in them.",
     sync_differences, NULL, false},
    {"sync_taken_total", "counter", "Of them fetched and taken.", sync_taken, NULL,
     false},
    {"sync_running", "gauge", "1: a reconciliation is under way.", sync_running, NULL,
     false},
    {"audits_total", "counter", "Audits that this office led.", audits, NULL, false},
    {"audit_finds_total", "counter", "Answers to them that showed a difference.",
     audit_finds, NULL, false},
    {"neighbours", "gauge", "Open links by what they are.", NULL, write_roles, false},
    {"passive_offices", "gauge", "Offices that would be neighbours next.", passive,
     NULL, false},
    {"link_ended_total", "counter", "Links that ended, by reason.", NULL, write_ended,
     false},
    {"link_frames_total", "counter", "Frames on all links.", NULL, write_frames, false},
    {"link_frame_bytes_total", "counter", "Bytes of them before encryption.", NULL,
     write_frame_bytes, false},
    {"link_left_out_total", "counter",
     "Frames not sent because an office left too much unread.", NULL, write_left_out,
     false},
    {"link_left_out_bytes_total", "counter", "Bytes of them.", NULL,
     write_left_out_bytes, false},
    {"broadcast_received_total", "counter",
     "Records and asks that neighbours passed on.", whole_received, NULL, false},
    {"broadcast_again_total", "counter", "Of them here already.", whole_again, NULL,
     false},
    {"broadcast_sent_total", "counter", "Records and asks passed on, copies counted.",
     whole_sent, NULL, false},
    {"broadcast_ids_total", "counter", "Announcements of such.", NULL, write_ids,
     false},
    {"broadcast_grafts_total", "counter", "Frames that ask for what was announced.",
     NULL, write_grafts, false},
    {"broadcast_prunes_total", "counter", "Frames that ask for ids alone.", NULL,
     write_prunes, false},
    {"ask_hops", "histogram", "Links that asks of others had crossed.", NULL,
     write_hops, false},
    {"queue_length", "gauge", "What waits, by where.", NULL, write_lengths, false},
    {"queue_bytes", "gauge", "Bytes of what waits, by where.", NULL,
     write_lengths_bytes, false},
    {"watchers", "gauge", "Who watches what happens.", watchers, NULL, false},
    {"watch_skipped_total", "counter", "Events that watchers did not read in time.",
     watch_skipped, NULL, false},
    {"clock_off", "gauge", "1: the clock differs from most neighbours'.", clock_off,
     NULL, false},
    {"disk_full", "gauge", "1: the last commit found no space.", disk_full, NULL,
     false},
    {"index_behind", "gauge", "1: the search index lacks changes.", index_behind, NULL,
     false},
    {"index_building", "gauge",
     "1: the search index is being built anew, and nothing is searched.",
     index_building, NULL, false},
    {"index_rounds_total", "counter",
     "Times that every value of the search index was compared with its checksum.",
     index_rounds, NULL, false},
    {"index_damaged_total", "counter",
     "Times that the search index was found damaged while running.", index_damaged,
     NULL, false},
    {"index_rebuilds_total", "counter",
     "Times that the search index was built anew while running.", index_rebuilds, NULL,
     false},
    {"records_owed", "gauge", "Records of others that wait for space.", records_owed,
     NULL, false},
    {"erasures_waiting", "gauge",
     "Records that were erased here and still stand in free pages.", erasures_waiting,
     NULL, false},
    {"audit_failing", "gauge",
     "1: the audit log cannot be written, and administration is refused.",
     audit_failing, NULL, false},
    {"leavers_held", "gauge",
     "Missing accounts, while they are too many for a profile to be retired.",
     leavers_held, NULL, false},
    {"certificate_expiry_timestamp_seconds", "gauge",
     "When the certificate of this office ends.", certificate_end, NULL, true},
    {"certificate_days_left", "gauge",
     "Whole days until then; negative when it has ended.", NULL, write_certificate_days,
     true},
    {"connections", "gauge", "Open connections to the socket.", connections, NULL,
     false},
    {"unread_bytes", "gauge", "Answers that clients have not read.", unread, NULL,
     false},
    {"requests_total", "counter", "Requests on the socket by what they cost.", NULL,
     write_requests, false},
    {"errors_total", "counter", "Requests that were refused or failed.", errors, NULL,
     false},
    {"busy_total", "counter", "Of them refused because too many waited.", busy, NULL,
     false},
    {"slow_finds_total", "counter", "Finds that took as long as slow_find says.",
     slow_finds, NULL, false},
    {"find_seconds", "histogram", "From a find's arrival to its answer.", NULL,
     write_finds, false},
};

static void take_links(const struct wc_daemon *d, struct snapshot *s)
{
    struct wc_engine_link link;
    for (uint32_t i = 0; wc_engine_link_at(d->engine, i, &link); i++) {
        s->queued_bytes += link.traffic.queued_bytes;
        s->visitors += !link.known || !link.node.neighbour;
        s->neighbours_eager += link.known && link.node.neighbour && link.node.eager;
        s->neighbours_lazy += link.known && link.node.neighbour && !link.node.eager;
    }
}

static void take(struct wc_daemon *d, struct snapshot *s)
{
    struct wc_node_office office;
    const struct wc_node *node = wc_engine_node(d->engine);
    *s = (struct snapshot){.uptime_s = (wc_mono_ms() - d->started_mono_ms) / 1000};
    wc_records_usage(d->records, &s->records);
    wc_index_usage(d->index, &s->index);
    wc_engine_health(d->engine, &s->health);
    wc_transport_stats(wc_engine_transport(d->engine), &s->transport);
    wc_api_stats(d->api, &s->api);
    wc_leavers_held(d->leavers, &s->leavers);
    wc_upkeep_stats(d->upkeep, &s->upkeep);
    s->slow_finds = d->slow_finds_count;
    uint64_t built, to_build;
    s->index_building = wc_index_is_building(d->index, &built, &to_build) ||
                        wc_index_is_damaged(d->index, NULL);
    wc_discovery_stats(d->discovery, &s->discovery);
    wc_watch_stats(d->watch, &s->watchers_count, &s->watch_skipped);
    s->audit_failing = wc_audit_failing(d->audit);
    if (node != NULL) {
        wc_node_stats(node, &s->node);
        wc_node_overview(node, &s->overview);
        take_links(d, s);
        for (uint32_t i = 0; wc_node_office_at(node, i, &office); i++)
            s->linked_count += office.linked;
    }
    s->member = !wc_office_is_standalone(d->identity);
    s->expiry_ms = d->identity->cert.not_after_ms;
    s->now_ms = wc_wall_ms();
}

void wc_metrics_text(struct wc_daemon *d, struct wc_buf *out)
{
    struct snapshot s;
    take(d, &s);
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        const struct metric *m = &metrics[i];
        char name[64];
        if (m->member_only && !s.member)
            continue;
        snprintf(name, sizeof(name), "whocan_%s", m->name);
        line(out, "# HELP %s %s\n# TYPE %s %s\n", name, m->help, name, m->type);
        if (m->value != NULL)
            line(out, "%s %" PRIu64 "\n", name, m->value(&s));
        else
            m->write(out, name, &s);
    }
}

void wc_node_metrics(struct wc_request *r)
{
    struct wc_buf text = {0}, out = {0};
    wc_metrics_text(wc_request_daemon(r), &text);
    wc_pack_map(&out, 1);
    wc_pack_text(&out, "text");
    wc_pack_str(&out, wc_buf_slice(&text));
    out.failed = out.failed || text.failed;
    wc_buf_fini(&text);
    wc_request_reply(r, &out);
}
