/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be true:
 *
 * - no office stores a record that was forged, or before it is on its home's disk;
 * - no sequence number of a committed record is used twice;
 * - what was acknowledged is there after every restart, and everywhere in the end;
 * - one step asks for a bounded amount of work, and no engine spins;
 * - an ask is matched at most once by an office and answered at most once by it, and by
 *   all that are connected while nothing breaks;
 * - in the end all honest offices hold the same records, in memory and on disk, and
 *   nothing of a revoked office;
 * - whoever is blamed is an office that lied;
 * - an office that runs on an old copy stamps nothing again before it knows what others
 *   have.
 */
#include <assert.h>
#include <stdarg.h>

#include "tests/sim/sim.h"

/* A step may answer 200 puts and fill frames for 256 links, and not more by far. */
#define EFFECTS_MAX_COUNT      4096
#define EFFECTS_MAX_BYTES      (32u << 20)
#define TIMERS_AT_A_MOMENT_MAX 200

void ledger_fail(const struct world *w, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "sim: %s: at %llu ms: ", w->scenario->name,
            (unsigned long long)w->now_ms);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr,
            "\nseed %llu; to see it again: sim --scenario %s --nodes %u --seed %llu "
            "--verbose\n",
            (unsigned long long)w->seed, w->scenario->name, w->office_count,
            (unsigned long long)w->seed);
    exit(1);
}

/* ---- puts and their acknowledgement ---- */

void ledger_put(struct world *w, const struct office *o, uint64_t token,
                const uint8_t slot[WC_DIGEST_BYTES])
{
    if (w->put_count == w->put_cap) {
        w->put_cap = w->put_cap == 0 ? 64 : 2 * w->put_cap;
        w->puts = realloc(w->puts, w->put_cap * sizeof(*w->puts));
        assert(w->puts != NULL);
    }
    struct put *p = &w->puts[w->put_count++];
    *p = (struct put){.office = o->index, .token = token};
    memcpy(p->acked.slot, slot, WC_DIGEST_BYTES);
    p->acked.office = o->index;
}

static struct put *find_put(struct world *w, const struct office *o, uint64_t token)
{
    for (uint32_t i = 0; i < w->put_count; i++) {
        if (w->puts[i].office == o->index && w->puts[i].token == token)
            return &w->puts[i];
    }
    return NULL;
}

static void remember_acked(struct world *w, const struct acked *a)
{
    for (uint32_t i = 0; i < w->acked_count; i++) {
        struct acked *old = &w->acked[i];
        if (memcmp(old->slot, a->slot, WC_DIGEST_BYTES) != 0)
            continue;
        if (wc_version_cmp(&a->version, &old->version) > 0)
            *old = *a;
        return;
    }
    if (w->acked_count == w->acked_cap) {
        w->acked_cap = w->acked_cap == 0 ? 64 : 2 * w->acked_cap;
        w->acked = realloc(w->acked, w->acked_cap * sizeof(*w->acked));
        assert(w->acked != NULL);
    }
    w->acked[w->acked_count++] = *a;
}

static void check_ack(struct world *w, const struct office *o, uint64_t token, int rc)
{
    struct put *p = find_put(w, o, token);
    if (p == NULL)
        ledger_fail(w, "%s acknowledges token %llu, which nobody waits for",
                    o->identity.cert.name, (unsigned long long)token);
    if (rc == 0 && p->acked.version.seq == 0)
        ledger_fail(w, "%s acknowledges what it did not put", o->identity.cert.name);
    if (rc == 0)
        remember_acked(w, &p->acked);
    else
        w->refused_edits++;
    *p = w->puts[--w->put_count];
}

static struct wc_record decode(const struct world *w, const uint8_t *bytes, size_t len)
{
    struct wc_record r;
    if (wc_record_decode(wc_slice(bytes, len), &r, NULL) != 0)
        ledger_fail(w, "a record that is put does not decode");
    return r;
}

static void check_put(struct world *w, struct office *o, const struct wc_effect *e)
{
    struct wc_record r = decode(w, e->u.put.bytes, e->u.put.len);
    uint32_t home = wc_map_find(&w->offices_by_key, r.office_key);
    uint32_t blob = world_blob(w, e->u.put.bytes, e->u.put.len);
    struct blob *b = &w->blobs[blob];
    uint32_t rotations = (uint32_t)wc_org_rotations(&w->org) + 1;
    struct put *p;
    /* of the former key, too: not everybody knows of the rotation at once */
    if (b->forged || (b->verified != rotations && wc_record_verify(&r, &w->org) != 0 &&
                      wc_record_verify(&r, &w->former_org) != 0))
        ledger_fail(w, "%s believes a forged record", o->identity.cert.name);
    b->verified = rotations;
    if (w->measure != NULL)
        measure_put(w, o, blob);
    bool statement = wc_kind_by_organisation(r.kind);
    bool of_liar = world_is_liar(w, r.office_key);
    if (!statement && home == WC_MAP_NONE && !of_liar)
        ledger_fail(w, "%s believes a record of nobody", o->identity.cert.name);
    if ((e->u.put.token & WC_NODE_TOKEN) != 0 && r.kind != WC_KIND_CARD &&
        o->restored && !o->reconciled)
        ledger_fail(w, "%s stamps again before it knows what others have",
                    o->identity.cert.name);
    if (!statement && !of_liar && home != o->index && !b->home_committed)
        ledger_fail(w, "%s holds a record that its home may lose",
                    o->identity.cert.name);
    if (e->u.put.token != 0 && (e->u.put.token & WC_NODE_TOKEN) == 0) {
        if ((p = find_put(w, o, e->u.put.token)) == NULL)
            ledger_fail(w, "%s puts what nobody asked for", o->identity.cert.name);
        p->acked.version = r.version;
    }
}

void ledger_commit(struct world *w, struct office *o, const struct change *c)
{
    struct blob *b = &w->blobs[c->blob];
    if (b->home != o->index)
        return;
    struct wc_record r = decode(w, b->bytes, b->len);
    if (c->token != 0 && r.version.seq <= o->last_seq)
        ledger_fail(w, "%s uses sequence number %llu again", o->identity.cert.name,
                    (unsigned long long)r.version.seq);
    if (r.version.seq > o->last_seq)
        o->last_seq = r.version.seq;
    b->home_committed = true;
    if (w->measure != NULL && c->token != 0)
        measure_committed(w, o, c->blob);
}

static void check_held(const struct world *w, const struct office *o,
                       const struct acked *a)
{
    struct wc_version held;
    uint8_t kind;
    if (wc_node_slot(o->node, a->slot, &held, &kind) != 0 ||
        wc_version_cmp(&held, &a->version) < 0)
        ledger_fail(w, "%s lacks a record of %s that was acknowledged",
                    o->identity.cert.name, w->offices[a->office].identity.cert.name);
}

void ledger_started(struct world *w, const struct office *o)
{
    for (uint32_t i = 0; i < w->acked_count; i++) {
        /* an old copy lacks what came after it, until others give it back */
        if (w->acked[i].office == o->index && !o->restored)
            check_held(w, o, &w->acked[i]);
    }
    /* nobody waits for the tokens of its life before */
    for (uint32_t i = w->put_count; i-- > 0;) {
        if (w->puts[i].office == o->index)
            w->puts[i] = w->puts[--w->put_count];
    }
}

/* ---- asks ---- */

static struct asked *find_ask(const struct world *w, const uint8_t *id)
{
    for (uint32_t i = 0; i < w->ask_count; i++) {
        if (memcmp(w->asks[i].id, id, WC_ASK_ID_BYTES) == 0)
            return &w->asks[i];
    }
    ledger_fail(w, "an ask that nobody asked");
}

static void check_match(const struct world *w, const struct office *o,
                        const struct wc_effect *e)
{
    struct asked *a = find_ask(w, e->u.ask_match.id);
    if (a->matched[o->index] == (uint8_t)o->life)
        ledger_fail(w, "%s matches an ask twice", o->identity.cert.name);
    a->matched[o->index] = (uint8_t)o->life;
}

static void check_answer(const struct world *w, const struct office *o,
                         const struct wc_effect *e)
{
    struct asked *a = find_ask(w, e->u.ask_answer.answer.ask_id);
    uint32_t from = wc_map_find(&w->offices_by_key, e->u.ask_answer.answer.office_key);
    if (a->office != o->index || a->life != o->life)
        ledger_fail(w, "%s hears the answer to another's ask", o->identity.cert.name);
    if (from == WC_MAP_NONE)
        ledger_fail(w, "an answer from nobody");
    if (e->u.ask_answer.answer.total != from ||
        e->u.ask_answer.answer.people_count != from % 3)
        ledger_fail(w, "an answer of %s was altered",
                    w->offices[from].identity.cert.name);
    if (a->answered[from]++ != 0)
        ledger_fail(w, "%s answered twice", w->offices[from].identity.cert.name);
    if (e->u.ask_answer.heard_count != ++a->heard)
        ledger_fail(w, "%u offices were heard and not %u", a->heard,
                    e->u.ask_answer.heard_count);
}

void ledger_ask_judged(struct world *w, const struct asked *a)
{
    const struct office *o = &w->offices[a->office];
    if (o->node == NULL || o->life != a->life)
        return;
    if (w->verbose)
        printf("%8llu.%03llu %s heard %u of %u\n",
               (unsigned long long)(w->now_ms / SIM_SECOND),
               (unsigned long long)(w->now_ms % SIM_SECOND), o->identity.cert.name,
               a->heard, a->reachable);
    uint32_t lived = 0, lost = 0;
    uint8_t *reached = world_reached(w, o->index);
    for (uint32_t i = 0; i < w->office_count; i++) {
        bool lives =
            a->lives[i] != 0 && w->offices[i].life == a->lives[i] && reached[i];
        lived += lives;
        lost += lives && a->answered[i] == 0;
    }
    free(reached);
    if (w->scenario->asks_reach_living && lost > 0)
        ledger_fail(w, "an ask of %s was not answered by %u of %u offices that live",
                    o->identity.cert.name, lost, lived);
    if (w->scenario->asks_reach_all && a->heard != a->reachable)
        ledger_fail(w, "an ask of %s was answered by %u offices of %u",
                    o->identity.cert.name, a->heard, a->reachable);
}

/* ---- each effect and each step ---- */

void ledger_effect(struct world *w, struct office *o, const struct wc_effect *e)
{
    switch (e->type) {
    case WC_EFFECT_PUT:
        check_put(w, o, e);
        break;
    case WC_EFFECT_ACK:
        check_ack(w, o, e->u.ack.token, e->u.ack.rc);
        break;
    case WC_EFFECT_ASK_MATCH:
        check_match(w, o, e);
        break;
    case WC_EFFECT_ASK_ANSWER:
        check_answer(w, o, e);
        break;
    case WC_EFFECT_SEND:
        if (e->u.send.len == 0 || e->u.send.len > WC_FRAME_MAX_BYTES)
            ledger_fail(w, "%s sends a frame of %zu bytes", o->identity.cert.name,
                        e->u.send.len);
        break;
    case WC_EFFECT_NOTE:
        o->clock_notes += e->u.note.what == WC_NOTE_CLOCK_OFF;
        o->reconciled = o->reconciled || e->u.note.what == WC_NOTE_SYNC_DONE;
        break;
    case WC_EFFECT_IDENTITY:
    case WC_EFFECT_DIAL:
    case WC_EFFECT_CLOSE:
    case WC_EFFECT_DROP:
        break;
    }
}

void ledger_step(struct world *w, struct office *o, const struct wc_event *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < w->fx.count; i++) {
        if (w->fx.list[i].type == WC_EFFECT_SEND)
            bytes += w->fx.list[i].u.send.len;
    }
    if (w->fx.count > w->effects_max)
        w->effects_max = w->fx.count;
    if (bytes > w->effect_bytes_max)
        w->effect_bytes_max = bytes;
    if (w->fx.count > EFFECTS_MAX_COUNT || bytes > EFFECTS_MAX_BYTES)
        ledger_fail(w, "%s asks for %zu effects with %zu bytes in one step",
                    o->identity.cert.name, w->fx.count, bytes);
    if (o->stepped_ms != w->now_ms)
        o->timers = 0;
    o->stepped_ms = w->now_ms;
    o->timers += e->type == WC_EVENT_TIMER;
    if (o->timers > TIMERS_AT_A_MOMENT_MAX)
        ledger_fail(w, "%s spins", o->identity.cert.name);
}

/* ---- the end ---- */

static bool counts(const struct office *o)
{
    return o->node != NULL && !o->revoked;
}

bool ledger_converged(const struct world *w)
{
    struct wc_node_stats first, stats;
    const struct office *reference = NULL;
    for (uint32_t i = 0; i < w->office_count; i++) {
        const struct office *o = &w->offices[i];
        if (!counts(o))
            continue;
        if (o->store.waiting.count > 0 || o->store.committing.count > 0)
            return false;
        wc_node_stats(o->node, &stats);
        if (reference == NULL && o->replicates) {
            reference = o;
            first = stats;
        }
        if (reference == NULL)
            continue;
        if (stats.records_count[0] != first.records_count[0])
            return false;
        if (o->replicates &&
            (memcmp(first.fingerprint, stats.fingerprint, WC_DIGEST_BYTES) != 0 ||
             reference->store.sum != o->store.sum))
            return false;
    }
    return true;
}

static void check_revoked(const struct world *w, const struct office *o,
                          const struct office *revoked)
{
    struct wc_node_office seen;
    /* who started after the revocation need not know whom it was about */
    if (wc_node_office_by_key(o->node, revoked->identity.signer.key, &seen) &&
        (!seen.revoked || seen.linked))
        ledger_fail(w, "%s does not know that %s is revoked", o->identity.cert.name,
                    revoked->identity.cert.name);
    for (uint32_t i = 0; i < o->store.count; i++) {
        if (w->blobs[o->store.list[i].blob].home == revoked->index)
            ledger_fail(w, "%s still has records of %s", o->identity.cert.name,
                        revoked->identity.cert.name);
    }
}

/* It has the certificate that it was granted, by the organisation's present key. */
static void check_trust(const struct world *w, const struct office *o)
{
    const struct wc_identity *own = wc_node_identity(o->node);
    struct wc_cert cert;
    struct wc_node_stats stats;
    wc_node_stats(o->node, &stats);
    if (memcmp(own->org.key, w->org.key, WC_KEY_BYTES) != 0)
        ledger_fail(w, "%s does not know the organisation's key", own->cert.name);
    if (own->cert.serial < o->granted_serial)
        ledger_fail(w, "%s has not taken its new certificate", own->cert.name);
    if (stats.former || wc_cert_open(wc_slice(own->cert_bytes, own->cert_len), &w->org,
                                     &cert, NULL) != 0)
        ledger_fail(w, "%s has a certificate by another key", own->cert.name);
}

static void check_blamed(const struct world *w, const struct office *o)
{
    struct wc_node_blamed b;
    for (uint32_t i = 0; wc_node_blamed_at(o->node, i, &b); i++) {
        int reason = 0;
        while (b.counts[reason] == 0)
            reason++;
        if (!world_is_liar(w, b.office_key))
            ledger_fail(w, "%s blames %s, which is honest, for reason %d",
                        o->identity.cert.name, b.office, reason);
    }
}

/* Of an office that lied nobody keeps more people than it may have. */
static void check_quota(const struct world *w, const struct office *o)
{
    uint32_t *rows = calloc(w->liar_count + 1, sizeof(*rows));
    assert(rows != NULL);
    for (uint32_t i = 0; i < o->store.count; i++) {
        const struct blob *b = &w->blobs[o->store.list[i].blob];
        if (b->home != WC_MAP_NONE)
            continue;
        struct wc_record r = decode(w, b->bytes, b->len);
        for (uint32_t k = 0; r.kind == WC_KIND_ROW && k < w->liar_count; k++)
            rows[k] += memcmp(w->liars[k].signer.key, r.office_key, WC_KEY_BYTES) == 0;
    }
    for (uint32_t k = 0; k < w->liar_count; k++) {
        if (rows[k] > SIM_LIAR_QUOTA)
            ledger_fail(w, "%s has %u people of %s", o->identity.cert.name, rows[k],
                        w->liars[k].cert.name);
    }
    free(rows);
}

void ledger_end(struct world *w)
{
    for (uint32_t i = 0; i < w->office_count; i++) {
        const struct office *o = &w->offices[i];
        if (!counts(o))
            continue;
        check_trust(w, o);
        for (uint32_t k = 0; k < w->acked_count; k++) {
            const struct acked *a = &w->acked[k];
            if (!w->offices[a->office].revoked &&
                (o->replicates || a->office == o->index))
                check_held(w, o, a);
        }
        for (uint32_t k = 0; k < w->office_count; k++) {
            if (w->offices[k].revoked)
                check_revoked(w, o, &w->offices[k]);
        }
        if (w->scenario->nobody_blamed)
            check_blamed(w, o);
        check_quota(w, o);
        if (o->wrong_clock && o->clock_notes == 0)
            ledger_fail(w, "%s does not say that its clock is wrong",
                        o->identity.cert.name);
    }
}
