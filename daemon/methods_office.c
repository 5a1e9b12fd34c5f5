/* SPDX-License-Identifier: Apache-2.0 */
/* offices.list, node.status, office.show, office.join */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/admit.h>
#include <whocan/crypto.h>

#include "daemon/address.h"
#include "daemon/daemon.h"
#include "daemon/expiry.h"
#include "daemon/log.h"
#include "daemon/methods.h"
#include "daemon/methods_status.h"
#include "daemon/office.h"
#include "daemon/penalty.h"
#include "daemon/person_params.h"

#define FINGERPRINT_BYTES 16 /* of a certificate, to compare and to name it */
#define WARN_BLAMED_COUNT 16 /* warnings about offices that are at fault */

/* ---------------------------------------------------------------- offices.list */

static const char *state_name(const struct wc_node_office *o)
{
    if (o->revoked)
        return "revoked";
    if (o->self)
        return "self";
    return o->linked ? "linked" : "known";
}

/* How often an office was found at fault since the start, for whatever reason. */
static uint64_t blamed_count(const struct wc_daemon *d, const struct wc_node_office *o)
{
    struct wc_node_blamed b;
    uint64_t count = 0;
    for (uint32_t i = 0; wc_node_blamed_at(wc_engine_node(d->engine), i, &b); i++) {
        if (memcmp(b.office_key, o->cert.sign_key, WC_KEY_BYTES) != 0)
            continue;
        for (int reason = 0; reason < WC_BLAMES_COUNT; reason++)
            count += b.counts[reason];
    }
    return count;
}

/* The office at the other end of a link, or empty. */
static const char *office_of_link(const struct wc_daemon *d, uint32_t link,
                                  struct wc_node_office *out)
{
    const struct wc_node *node = wc_engine_node(d->engine);
    struct wc_node_link l;
    for (uint32_t i = 0; link != 0 && wc_node_link_at(node, i, &l); i++) {
        if (l.link == link && wc_node_office_by_key(node, l.office_key, out))
            return out->cert.name;
    }
    return "";
}

static void pack_or_nil(struct wc_buf *b, const char *key, const char *text)
{
    wc_pack_text(b, key);
    if (text[0] == '\0')
        wc_pack_nil(b);
    else
        wc_pack_text(b, text);
}

/* How far it is, as far as that is known, and by whom its latest words came. A version
 * tells what a daemon may be open to: for administrators. */
static void pack_distance(struct wc_buf *b, const struct wc_daemon *d,
                          const struct wc_node_office *o, bool admin)
{
    struct wc_node_office via;
    bool here = o->self || o->linked;
    uint64_t hops = o->self ? 0 : o->hops;
    pack_or_nil(b, "version", !admin ? "" : o->self ? WHOCAN_VERSION : o->version);
    wc_pack_text(b, "last_news_at");
    wc_pack_time(b, o->last_news_ms);
    pack_or_nil(b, "via", here ? "" : office_of_link(d, o->via_link, &via));
    wc_pack_text(b, "hops");
    if (o->self || hops > 0)
        wc_pack_u64(b, hops);
    else
        wc_pack_nil(b);
}

static void pack_office(struct wc_buf *b, const struct wc_daemon *d,
                        const struct wc_node_office *o, bool admin)
{
    wc_pack_map(b, 14);
    wc_pack_text(b, "name");
    wc_pack_text(b, o->cert.name);
    wc_pack_text(b, "title");
    wc_pack_text(b, o->cert.title);
    wc_pack_text(b, "state");
    wc_pack_text(b, state_name(o));
    wc_pack_text(b, "people");
    wc_pack_u64(b, wc_records_people_count(d->records, o->cert.sign_key));
    wc_pack_text(b, "addresses");
    wc_pack_array(b, o->address_count);
    for (uint32_t i = 0; i < o->address_count; i++)
        wc_pack_text(b, o->addresses[i]);
    wc_pack_text(b, "last_heard_at");
    wc_pack_time(b, o->last_heard_ms);
    wc_pack_text(b, "expires_at");
    wc_pack_time(b, o->cert.not_after_ms);
    wc_pack_text(b, "clock_offset_ms");
    wc_pack_i64(b, o->clock_offset_ms);
    wc_pack_text(b, "clock_known");
    wc_pack_bool(b, o->self || o->clock_known);
    wc_pack_text(b, "faults");
    wc_pack_u64(b, blamed_count(d, o));
    pack_distance(b, d, o, admin);
}

void wc_offices_list(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_node *node = wc_engine_node(d->engine);
    struct wc_node_office office;
    struct wc_buf list = {0}, out = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; wc_node_office_at(node, i, &office); i++) {
        if (office.superseded)
            continue; /* another key speaks for this name now */
        pack_office(&list, d, &office, wc_request_caller(r)->may_admin);
        count++;
    }
    wc_pack_map(&out, 1);
    wc_pack_text(&out, "offices");
    wc_pack_array(&out, count);
    wc_buf_append(&out, list.data, list.len);
    out.failed = out.failed || list.failed;
    wc_buf_fini(&list);
    wc_request_reply(r, &out);
}

/* ---------------------------------------------------------------- node.status */

static const char *mode_name(const struct wc_identity *identity)
{
    return wc_office_is_standalone(identity) ? "standalone" : "member";
}

static void pack_days_left(struct wc_buf *b, const struct wc_identity *identity)
{
    wc_pack_text(b, "days_left");
    if (wc_office_is_standalone(identity))
        wc_pack_nil(b);
    else
        wc_pack_i64(b, wc_expiry_days(identity->cert.not_after_ms, wc_wall_ms()));
}

static void pack_certificate(struct wc_buf *b, const struct wc_identity *identity)
{
    wc_pack_text(b, "certificate");
    wc_pack_map(b, 2);
    wc_pack_text(b, "not_after");
    wc_pack_time(b, identity->cert.not_after_ms);
    pack_days_left(b, identity);
}

static void pack_misbehaving(struct wc_buf *b, const struct wc_daemon *d)
{
    struct wc_offender worst[WC_PENALTY_NAMED_COUNT];
    char source[WC_ADDRESS_MAX_BYTES + 1];
    uint32_t count = wc_transport_offenders(wc_engine_transport(d->engine), worst,
                                            WC_PENALTY_NAMED_COUNT, NULL);
    wc_pack_text(b, "misbehaving");
    wc_pack_array(b, count);
    for (uint32_t i = 0; i < count; i++) {
        wc_source_text(&worst[i].source, source);
        wc_pack_map(b, 3);
        wc_pack_text(b, "address");
        wc_pack_text(b, source);
        wc_pack_text(b, "connections");
        wc_pack_u64(b, worst[i].failures_count);
        wc_pack_text(b, "paused_s");
        wc_pack_u64(b, (worst[i].paused_ms + 999) / 1000);
    }
}

/* Addresses that connect and are no office, in one line however many there are. */
static uint32_t warn_misbehaving(struct wc_buf *b, const struct wc_daemon *d)
{
    struct wc_offender worst;
    char text[256], source[WC_ADDRESS_MAX_BYTES + 1];
    uint32_t total;
    if (wc_transport_offenders(wc_engine_transport(d->engine), &worst, 1, &total) == 0)
        return 0;
    wc_source_text(&worst.source, source);
    if (total == 1)
        snprintf(text, sizeof(text),
                 "%s connects again and again and is no office that may link (%" PRIu64
                 " times)",
                 source, worst.failures_count);
    else
        snprintf(text, sizeof(text),
                 "%" PRIu32
                 " addresses connect again and again and are no offices that "
                 "may link, most often %s (%" PRIu64 " times)",
                 total, source, worst.failures_count);
    wc_pack_text(b, text);
    return 1;
}

static uint32_t warn_twins(struct wc_buf *b, const struct wc_daemon *d)
{
    struct wc_twin twin;
    char text[320];
    uint32_t count = 0;
    for (; count < WC_PENALTY_NAMED_COUNT && wc_engine_twin_at(d->engine, count, &twin);
         count++) {
        if (twin.own)
            snprintf(text, sizeof(text),
                     "another machine runs as this office, with its keys: the one at "
                     "%s; stop one of them",
                     twin.host);
        else
            snprintf(text, sizeof(text),
                     "office %s seems to run on two machines, at %s and at %s: their "
                     "links drive each other out",
                     twin.office, twin.other_host, twin.host);
        wc_pack_text(b, text);
    }
    return count;
}

/* Reasons by enum wc_blame: their names, and what an operator is told of them. */
static const struct reason {
    const char *name, *before, *after, *why; /* the number stands in between */
} reasons[WC_BLAMES_COUNT] = {
    [WC_BLAME_FUTURE] = {"future", "sent ", " records dated in the future",
                         "its clock or its daemon is wrong"},
    [WC_BLAME_LEASE] = {"lease", "sent ", " records with too long a lease",
                        "its daemon is wrong"},
    [WC_BLAME_CONTENT] = {"content", "signed ",
                          " records, asks or answers that are not what they must be",
                          "its daemon is wrong"},
    [WC_BLAME_QUOTA] = {"quota",
                        "has more people or records than its certificate allows (",
                        " times)", "only as many as it allows are kept"},
    [WC_BLAME_TWO_CONTENTS] =
        {"two_contents", "signed two contents with one number (", " times)",
         "it runs on a restored backup or on two machines, or its "
         "daemon is wrong"},
    [WC_BLAME_CHANGES] = {"changes",
                          "changes its records more often than anybody could (seen ",
                          " times)",
                          "its daemon is wrong, and its changes are taken late"},
    [WC_BLAME_ASKS] = {"asks", "asks more often than anybody could (seen ", " times)",
                       "some of its questions are not passed on"},
    [WC_BLAME_FRAME] = {"frame", "sent what breaks the protocol or nobody signed (",
                        " times)", "its daemon is wrong"},
    [WC_BLAME_FLOOD] = {"flood", "sent or asked for far too much that is of no use (",
                        " times)", "its daemon is wrong"},
    [WC_BLAME_SYNC] = {"sync", "says that it has records and does not give them (",
                       " times)", "its daemon is wrong"},
};

static void pack_blamed(struct wc_buf *b, const struct wc_daemon *d)
{
    const struct wc_node *node = wc_engine_node(d->engine);
    struct wc_node_blamed blamed;
    struct wc_buf list = {0};
    uint32_t count = 0;
    for (; wc_node_blamed_at(node, count, &blamed); count++) {
        wc_pack_map(&list, 3);
        wc_pack_text(&list, "office");
        wc_pack_text(&list, blamed.office);
        wc_pack_text(&list, "last_at");
        wc_pack_time(&list, blamed.last_ms);
        uint32_t kinds = 0;
        for (int reason = 0; reason < WC_BLAMES_COUNT; reason++)
            kinds += blamed.counts[reason] > 0;
        wc_pack_text(&list, "reasons");
        wc_pack_map(&list, kinds);
        for (int reason = 0; reason < WC_BLAMES_COUNT; reason++) {
            if (blamed.counts[reason] == 0)
                continue;
            wc_pack_text(&list, reasons[reason].name);
            wc_pack_u64(&list, blamed.counts[reason]);
        }
    }
    wc_pack_text(b, "offices_blamed");
    wc_pack_array(b, count);
    wc_buf_append(b, list.data, list.len);
    b->failed = b->failed || list.failed;
    wc_buf_fini(&list);
}

static void warn_of(struct wc_buf *b, const struct wc_node_blamed *blamed, int reason)
{
    char text[320];
    const struct reason *r = &reasons[reason];
    snprintf(text, sizeof(text), "office %s %s%" PRIu64 "%s: %s",
             blamed->office[0] == '\0' ? "without a name" : blamed->office, r->before,
             blamed->counts[reason], r->after, r->why);
    wc_pack_text(b, text);
}

/* What offices did in the last day; of many faults the first ones, lest they hide all
 * else. */
static uint32_t warn_blamed(struct wc_buf *b, const struct wc_daemon *d)
{
    const struct wc_node *node = wc_engine_node(d->engine);
    struct wc_node_blamed blamed;
    uint64_t now_ms = wc_wall_ms();
    uint32_t count = 0;
    for (uint32_t i = 0; wc_node_blamed_at(node, i, &blamed); i++) {
        if (blamed.last_ms + WC_DAY_MS < now_ms)
            continue;
        for (int reason = 0; reason < WC_BLAMES_COUNT; reason++) {
            if (blamed.counts[reason] == 0 || count == WARN_BLAMED_COUNT)
                continue;
            warn_of(b, &blamed, reason);
            count++;
        }
    }
    return count;
}

/* Neighbours whose clocks are so far from this one's that records are refused. Which of
 * two is wrong, nobody knows; where most say that it is this one, that is said instead. */
static uint32_t warn_clocks(struct wc_buf *b, const struct wc_daemon *d)
{
    const struct wc_node *node = wc_engine_node(d->engine);
    struct wc_node_office o;
    char text[300];
    uint32_t count = 0;
    for (uint32_t i = 0; wc_node_office_at(node, i, &o); i++) {
        uint64_t apart_ms = (uint64_t)llabs(o.clock_offset_ms);
        if (!o.linked || apart_ms <= WC_FUTURE_SLACK_MS || count == WARN_BLAMED_COUNT)
            continue;
        snprintf(text, sizeof(text),
                 "the clock of office %s is %" PRIu64 " minutes %s this machine's: one "
                 "of the two is wrong, and new records of the one that is ahead wait",
                 o.cert.name, apart_ms / 60000,
                 o.clock_offset_ms > 0 ? "ahead of" : "behind");
        wc_pack_text(b, text);
        count++;
    }
    return count;
}

static uint32_t warn_certificate(struct wc_buf *b, const struct wc_identity *identity)
{
    char text[WC_EXPIRY_TEXT_BYTES];
    wc_expiry_text(text, identity->cert.not_after_ms, wc_wall_ms());
    if (text[0] == '\0')
        return 0;
    wc_pack_text(b, text);
    return 1;
}

/* One text for each thing that an operator should look at. */
static uint32_t warn_leavers(struct wc_buf *b, const struct wc_daemon *d)
{
    struct wc_leavers_held held;
    char text[300];
    wc_leavers_held(d->leavers, &held);
    if (!held.held)
        return 0;
    snprintf(text, sizeof(text),
             "%" PRIu64 " of %" PRIu64
             " accounts are missing at once, and nobody's profile is retired: see to "
             "the account database, or say leavers_many = yes if they have left",
             held.missing_count, held.known_count);
    wc_pack_text(b, text);
    return 1;
}

static uint32_t pack_each_warning(struct wc_buf *b, const struct wc_daemon *d,
                                  const struct wc_node_stats *stats)
{
    struct wc_engine_health health;
    char text[160];
    uint32_t count = 0;
    wc_engine_health(d->engine, &health);
    uint64_t built, to_build;
    bool index_building = wc_index_is_building(d->index, &built, &to_build) ||
                          wc_index_is_damaged(d->index, NULL);
    if (health.disk_full) {
        wc_pack_text(b,
                     "the disk of the state directory is full: nothing new is stored");
        count++;
    }
    if (index_building) {
        wc_pack_text(b,
                     "the search index was damaged and is being built anew: until that "
                     "is done nobody is found");
        count++;
    }
    if (health.index_behind) {
        wc_pack_text(b, "the search index is behind the records");
        count++;
    }
    if (stats->revoked) {
        wc_pack_text(b, "the organisation revoked this office: no other office links "
                        "to it or believes it any more");
        count++;
    }
    if (health.erasure_rc != 0) {
        snprintf(text, sizeof(text),
                 "%" PRIu64 " erasures wait: a copy of the stores %s",
                 health.erasures_waiting, wc_strerror(health.erasure_rc));
        wc_pack_text(b, text);
        count++;
    }
    if (wc_audit_failing(d->audit)) {
        wc_pack_text(b, "the disk is full: the audit log cannot be written, and "
                        "administration is refused");
        count++;
    }
    if (stats->former) {
        wc_pack_text(b,
                     "the organisation has a new key and this office no certificate by "
                     "it: whoever keeps the key renews it (whocan org renew)");
        count++;
    }
    if (stats->clock_off) {
        wc_pack_text(b, "this machine's clock is more than 10 minutes from most other "
                        "offices: set it right");
        count++;
    } else {
        count += warn_clocks(b, d);
    }
    if (!wc_office_is_standalone(d->identity) && !stats->revoked)
        count += warn_certificate(b, d->identity);
    uint64_t people = wc_records_people_count(d->records, d->identity->signer.key);
    if (people >= d->identity->cert.quota) {
        snprintf(text, sizeof(text),
                 "this office has %" PRIu64 " people, and its certificate allows no "
                 "more than %" PRIu32,
                 people, d->identity->cert.quota);
        wc_pack_text(b, text);
        count++;
    }
    if (wc_office_is_standalone(d->identity) && d->config.join.count > 0) {
        wc_pack_text(b,
                     "join is configured, but this office belongs to no organisation: "
                     "take an invitation with whocan office join");
        count++;
    }
    count += warn_leavers(b, d);
    count += warn_twins(b, d);
    count += warn_blamed(b, d);
    count += warn_misbehaving(b, d);
    return count;
}

static void pack_warnings(struct wc_buf *b, const struct wc_daemon *d,
                          const struct wc_node_stats *stats)
{
    struct wc_buf list = {0};
    uint32_t count = pack_each_warning(&list, d, stats);
    wc_pack_text(b, "warnings");
    wc_pack_array(b, count);
    wc_buf_append(b, list.data, list.len);
    wc_buf_fini(&list);
}

static void pack_store(struct wc_buf *b, const struct wc_daemon *d,
                       const struct wc_records_usage *usage)
{
    wc_pack_text(b, "store");
    wc_pack_map(b, 3);
    wc_pack_text(b, "path");
    wc_pack_text(b, d->config.state);
    wc_pack_text(b, "used_bytes");
    wc_pack_u64(b, usage->used_bytes);
    wc_pack_text(b, "map_bytes");
    wc_pack_u64(b, usage->map_bytes);
}

void wc_node_status(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    struct wc_records_usage usage;
    struct wc_index_usage searchable;
    struct wc_node_stats stats;
    struct wc_buf out = {0};
    wc_records_usage(d->records, &usage);
    wc_index_usage(d->index, &searchable);
    wc_node_stats(wc_engine_node(d->engine), &stats);
    wc_pack_map(&out, 17);
    wc_pack_text(&out, "version");
    wc_pack_text(&out, WHOCAN_VERSION);
    wc_pack_text(&out, "office");
    wc_pack_text(&out, d->identity->cert.name);
    wc_pack_text(&out, "organisation");
    wc_pack_text(&out, d->identity->org.name);
    wc_pack_text(&out, "mode");
    wc_pack_text(&out, mode_name(d->identity));
    wc_pack_text(&out, "uptime_s");
    wc_pack_u64(&out, (wc_mono_ms() - d->started_mono_ms) / 1000);
    wc_pack_text(&out, "people");
    wc_pack_u64(&out, searchable.people_count);
    wc_pack_text(&out, "records");
    wc_pack_u64(&out, usage.records_count);
    wc_pack_text(&out, "offices_known");
    wc_pack_u64(&out, stats.offices_count);
    wc_status_links(&out, d);
    wc_status_overlay(&out, d);
    wc_status_reconciliation(&out, d);
    wc_status_queues(&out, d);
    pack_store(&out, d, &usage);
    pack_certificate(&out, d->identity);
    pack_misbehaving(&out, d);
    pack_blamed(&out, d);
    pack_warnings(&out, d, &stats);
    wc_request_reply(r, &out);
}

/* ---------------------------------------------------------------- office.show */

/* Of the certificate's bytes: it tells a renewed certificate from the one before. */
static void pack_fingerprint(struct wc_buf *b, const struct wc_identity *identity)
{
    const struct wc_slice bytes = wc_slice(identity->cert_bytes, identity->cert_len);
    uint8_t digest[WC_DIGEST_BYTES];
    char hex[2 * FINGERPRINT_BYTES + 1];
    wc_hash(digest, &bytes, 1);
    wc_hex(hex, digest, FINGERPRINT_BYTES);
    wc_pack_text(b, "fingerprint");
    wc_pack_text(b, hex);
}

void wc_office_show(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_identity *identity = d->identity;
    char hex[2 * WC_KEY_BYTES + 1];
    struct wc_buf out = {0};
    wc_pack_map(&out, 13);
    wc_pack_text(&out, "name");
    wc_pack_text(&out, identity->cert.name);
    wc_pack_text(&out, "title");
    wc_pack_text(&out, identity->cert.title);
    wc_pack_text(&out, "organisation");
    wc_pack_text(&out, identity->org.name);
    wc_pack_text(&out, "organisation_id");
    wc_hex(hex, identity->org.id, WC_ORG_ID_BYTES);
    wc_pack_text(&out, hex);
    wc_pack_text(&out, "key");
    wc_hex(hex, identity->cert.sign_key, WC_KEY_BYTES);
    wc_pack_text(&out, hex);
    pack_fingerprint(&out, identity);
    wc_pack_text(&out, "serial");
    wc_pack_u64(&out, identity->cert.serial);
    wc_pack_text(&out, "people");
    wc_pack_u64(&out, wc_records_people_count(d->records, identity->cert.sign_key));
    wc_pack_text(&out, "quota");
    if (identity->cert.quota == UINT32_MAX)
        wc_pack_nil(&out);
    else
        wc_pack_u64(&out, identity->cert.quota);
    wc_pack_text(&out, "not_before");
    wc_pack_time(&out, identity->cert.not_before_ms);
    wc_pack_text(&out, "not_after");
    wc_pack_time(&out, identity->cert.not_after_ms);
    pack_days_left(&out, identity);
    wc_pack_text(&out, "mode");
    wc_pack_text(&out, mode_name(identity));
    wc_request_reply(r, &out);
}

/* ---------------------------------------------------------------- office.request */

/* Whether this office could join; ends the request when not. */
static bool may_join(struct wc_request *r)
{
    const struct wc_daemon *d = wc_request_daemon(r);
    if (wc_office_is_standalone(d->identity))
        return true;
    wc_request_fail(r, -WC_EEXISTS, NULL,
                    "this office is %s of %s already: a machine that should become "
                    "another office starts with an empty state directory",
                    d->identity->cert.name, d->identity->org.name);
    return false;
}

static void param_text(const struct wc_request *r, const char *name, char *out,
                       size_t cap)
{
    struct wc_slice text;
    if (wc_obj_str(wc_obj_get(wc_request_params(r, NULL), name), &text) == 0)
        wc_slice_copy(text, out, cap);
}

void wc_office_ask_admission(struct wc_request *r)
{
    const struct wc_daemon *d = wc_request_daemon(r);
    char name[WC_OFFICE_NAME_MAX_BYTES + 1], title[WC_TITLE_MAX_BYTES + 1];
    char hex[2 * WC_KEY_BYTES + 1];
    struct wc_buf line = {0}, out = {0};
    if (!may_join(r))
        return;
    memcpy(name, d->identity->cert.name, sizeof(name));
    param_text(r, "name", name, sizeof(name));
    memcpy(title, d->identity->cert.title, sizeof(title));
    if (wc_obj_get(wc_request_params(r, NULL), "name") != NULL)
        snprintf(title, sizeof(title), "%s", name);
    param_text(r, "title", title, sizeof(title));
    int rc = wc_request_line(d->identity, name, title, wc_wall_ms(), &line);
    if (rc != 0) {
        wc_buf_fini(&line);
        wc_request_fail(r, rc, "name",
                        "the name of an office has 1 to 32 characters of a-z, 0-9 and "
                        "'-', its title at most 200 bytes on one line");
        return;
    }
    wc_pack_map(&out, 3);
    wc_pack_text(&out, "name");
    wc_pack_text(&out, name);
    wc_pack_text(&out, "key");
    wc_hex(hex, d->identity->cert.sign_key, WC_KEY_BYTES);
    wc_pack_text(&out, hex);
    wc_pack_text(&out, "request");
    wc_pack_str(&out, wc_buf_slice(&line));
    wc_buf_fini(&line);
    wc_request_reply(r, &out);
}

/* ---------------------------------------------------------------- office.join */

struct join {
    struct wc_request *r;
    struct wc_daemon *d;
    struct wc_identity *to;
    uint64_t moved;
    int rc;
};

/* The office that there is now, the new one or (after a failure) the old, is at work. */
static void join_settled(void *ctx)
{
    struct join *j = ctx;
    struct wc_daemon *d = j->d;
    d->joining = false;
    if (j->rc == -WC_EFULL) {
        wc_request_fail(j->r, j->rc, NULL,
                        "the disk of the state directory is full: nothing was changed");
    } else if (j->rc != 0) {
        wc_request_fail(j->r, j->rc, NULL, "nothing was changed: the records %s",
                        wc_strerror(j->rc));
    } else {
        struct wc_buf out = {0};
        wc_act_say(j->r, "office", d->identity->cert.name);
        wc_act_say_u64(j->r, "serial", d->identity->cert.serial);
        wc_act_say_u64(j->r, "people_moved", j->moved);
        wc_pack_map(&out, 3);
        wc_pack_text(&out, "name");
        wc_pack_text(&out, d->identity->cert.name);
        wc_pack_text(&out, "organisation");
        wc_pack_text(&out, d->identity->org.name);
        wc_pack_text(&out, "people_moved");
        wc_pack_u64(&out, j->moved);
        wc_request_reply(j->r, &out);
    }
    free(j);
    if (d->joined != NULL)
        d->joined(d);
}

static void join_end(struct join *j)
{
    struct wc_daemon *d = j->d;
    char problem[WC_PROBLEM_BYTES] = "";
    if (j->rc == 0) {
        struct wc_identity *from = d->identity;
        d->identity = j->to;
        wc_office_free(from);
        wc_log(WC_LOG_NOTICE, "this office is %s of %s now; %" PRIu64 " people moved",
               d->identity->cert.name, d->identity->org.name, j->moved);
    } else {
        wc_office_free(j->to);
        wc_log(WC_LOG_ERROR, "joining failed: it %s", wc_strerror(j->rc));
    }
    struct wc_engine_office office = {.identity = d->identity,
                                      .join = &d->config.join,
                                      .addresses = &d->addresses,
                                      .settled = join_settled,
                                      .ctx = j};
    if (wc_engine_start(d->engine, &office, problem) != 0) {
        wc_log(WC_LOG_ERROR, "%s", problem);
        exit(1);
    }
}

static void join_work(void *ctx)
{
    struct join *j = ctx;
    j->rc = wc_office_adopt(j->d->records, j->d->index, j->d->identity, j->to,
                            wc_wall_ms(), &j->moved);
}

static void join_done(void *ctx)
{
    join_end(ctx);
}

static void join_stopped(void *ctx)
{
    struct join *j = ctx;
    int rc = wc_loop_work(j->d->loop, join_work, join_done, j);
    if (rc == 0)
        return;
    j->rc = rc;
    join_end(j);
}

static bool is_admission(struct wc_slice line)
{
    static const char start[] = "whocan-admission-";
    size_t len = sizeof(start) - 1;
    return line.len > len && memcmp(line.data, start, len) == 0;
}

static struct wc_identity *read_admission(struct wc_request *r, struct wc_slice line)
{
    const struct wc_daemon *d = wc_request_daemon(r);
    struct wc_err err = {0};
    struct wc_identity *to = calloc(1, sizeof(*to));
    int rc = to == NULL ? -WC_ENOMEM : wc_admission_open(line, d->identity, to, &err);
    if (rc == 0)
        return to;
    free(to);
    wc_request_fail(r, rc, "invite", "this admission %s",
                    err.why != NULL ? err.why : wc_strerror(rc));
    return NULL;
}

static struct wc_identity *read_invitation(struct wc_request *r, struct wc_slice line)
{
    struct wc_err err = {0};
    struct wc_identity *to = calloc(1, sizeof(*to));
    int rc = to == NULL ? -WC_ENOMEM : wc_invite_parse(line, to, &err);
    if (rc != 0) {
        free(to);
        wc_request_fail(
            r, rc, "invite",
            "this is not a whole invitation or admission: copy the whole line that "
            "starts with whocan-invite-1 or whocan-admission-1, and nothing else");
        return NULL;
    }
    return to;
}

/* Refuse with the reason, or give the identity that the line makes of this office. */
static struct wc_identity *read_line(struct wc_request *r)
{
    struct wc_slice line = {0};
    wc_obj_str(wc_obj_get(wc_request_params(r, NULL), "invite"), &line);
    bool admission = is_admission(line);
    struct wc_identity *to =
        admission ? read_admission(r, line) : read_invitation(r, line);
    if (to == NULL)
        return NULL;
    int rc = wc_cert_dates(&to->cert, wc_wall_ms());
    if (rc != 0) {
        wc_office_free(to);
        wc_request_fail(r, rc, "invite", "this %s %s: ask for a new one%s",
                        admission ? "admission" : "invitation", wc_strerror(rc),
                        rc == -WC_EFUTURE ? ", or set this machine's clock" : "");
        return NULL;
    }
    return to;
}

void wc_office_join(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    if (!may_join(r))
        return;
    if (d->writers_count > 0 || d->stopping) {
        wc_request_fail(r, -WC_EBUSY, NULL,
                        "people are being changed at this moment: try again");
        return;
    }
    struct wc_identity *to = read_line(r);
    if (to == NULL)
        return;
    if (wc_office_has_left(d->records, to->signer.key)) {
        wc_request_fail(r, -WC_EEXISTS, "invite",
                        "this office left with the keys of this invitation: ask for a "
                        "new one");
        wc_office_free(to);
        return;
    }
    uint64_t people = wc_records_people_count(d->records, d->identity->signer.key);
    if (people > to->cert.quota) {
        wc_request_fail(r, -WC_ELIMIT, "invite",
                        "this office has %" PRIu64 " people, and the certificate "
                        "allows %" PRIu32 ": ask for one with a larger quota; nothing "
                        "was changed",
                        people, to->cert.quota);
        wc_office_free(to);
        return;
    }
    struct join *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        wc_office_free(to);
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    j->r = r;
    j->d = d;
    j->to = to;
    d->joining = true;
    wc_engine_stop(d->engine, join_stopped, j);
}
