/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is to blame, and what one office may cost the others.
 *
 * Two kinds of fault. What an office signed is its own fault, whoever passed it on; it
 * is counted only after the signature was found good, so that nobody can make another
 * look guilty. What nobody signed, or what no honest office passes on, is the fault of
 * the neighbour that sent it: its link is closed, and each time it may come back later
 * than the time before.
 *
 * Nobody is thrown out by this: only the organisation does that. The counts are for
 * people, who see in the status whose daemon to look at.
 *
 * Costs are bounded by buckets that fill with use and leak with time. An honest office
 * in an organisation of any size stays far below their brims.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

/* ---- buckets ---- */

static void leak(struct wc_bucket *b, uint64_t mono_ms, uint64_t leak_an_hour)
{
    uint64_t elapsed_ms = mono_ms - b->since_ms;
    if (elapsed_ms > 24 * WC_HOUR_MS)
        elapsed_ms = 24 * WC_HOUR_MS; /* the largest rate must not overflow */
    uint64_t out = leak_an_hour * elapsed_ms / WC_HOUR_MS;
    if (out == 0 && b->used > 0)
        return; /* the time counts on */
    b->used = out < b->used ? b->used - out : 0;
    b->since_ms = mono_ms;
}

bool wc_bucket_has_room(struct wc_bucket *b, uint64_t mono_ms, uint64_t brim,
                        uint64_t leak_an_hour)
{
    leak(b, mono_ms, leak_an_hour);
    return b->used < brim;
}

void wc_bucket_pour(struct wc_bucket *b, uint64_t amount)
{
    b->used += amount;
}

/* What an office of so many people may change before it has to wait: all that it may
 * have, twice, and as much again in an hour. */
static uint64_t changes_brim(const struct wc_office *o)
{
    return 2 * (2 * (uint64_t)o->cert.quota + wc_node_quota(o, WC_QUOTA_REST));
}

bool wc_node_may_change(const struct wc_node *node, uint32_t office)
{
    struct wc_office *o = node->offices[office];
    return wc_bucket_has_room(&o->changes, node->mono_ms, changes_brim(o),
                              changes_brim(o));
}

bool wc_node_may_ask(const struct wc_node *node, uint32_t office)
{
    /* the own asks stop a little before the others would refuse them */
    uint64_t brim =
        office == node->self ? WC_ASKS_BRIM_COUNT * 3 / 4 : WC_ASKS_BRIM_COUNT;
    return wc_bucket_has_room(&node->offices[office]->asks, node->mono_ms, brim,
                              office == node->self ? WC_ASKS_AN_HOUR * 3 / 4
                                                   : WC_ASKS_AN_HOUR);
}

/* ---- conduct ---- */

void wc_node_blame_fini(struct wc_node *node)
{
    for (uint32_t i = 0; i < node->conduct_count; i++)
        free(node->conduct[i]);
    for (uint32_t i = 0; i < node->evidence_count; i++)
        free(node->evidence[i]);
}

static struct wc_conduct *find(const struct wc_node *node,
                               const uint8_t key[WC_KEY_BYTES])
{
    for (uint32_t i = 0; i < node->conduct_count; i++) {
        if (memcmp(node->conduct[i]->key, key, WC_KEY_BYTES) == 0)
            return node->conduct[i];
    }
    return NULL;
}

/* Whom to forget for another one: of those without a link whoever was not blamed and
 * was used least recently; else the one blamed the longest ago. */
static struct wc_conduct *forgettable(const struct wc_node *node)
{
    struct wc_conduct *worst = NULL;
    for (uint32_t i = 0; i < node->conduct_count; i++) {
        struct wc_conduct *c = node->conduct[i];
        if (c->links > 0)
            continue;
        bool sooner = worst == NULL || (c->blamed < worst->blamed) ||
                      (c->blamed == worst->blamed && c->used_ms < worst->used_ms);
        if (sooner)
            worst = c;
    }
    return worst;
}

struct wc_conduct *wc_node_conduct(struct wc_node *node, uint32_t office)
{
    const struct wc_office *o = node->offices[office];
    struct wc_conduct *c = find(node, o->key);
    if (c == NULL && node->conduct_count < WC_CONDUCT_MAX_COUNT) {
        if ((c = calloc(1, sizeof(*c))) == NULL) {
            wc_node_fail(node);
            return NULL;
        }
        node->conduct[node->conduct_count++] = c;
        memcpy(c->key, o->key, WC_KEY_BYTES);
    } else if (c == NULL) {
        /* there are twice as many places as links: one is without */
        c = forgettable(node);
        *c = (struct wc_conduct){0};
        memcpy(c->key, o->key, WC_KEY_BYTES);
    }
    c->used_ms = node->mono_ms;
    if (o->has_cert)
        memcpy(c->office, o->cert.name, sizeof(c->office));
    return c;
}

void wc_node_blame(struct wc_node *node, uint32_t office, enum wc_blame reason)
{
    /* a wrong clock of our own is no judge of others */
    if (office == WC_NONE || office == node->self || node->clock_off)
        return;
    struct wc_conduct *c = wc_node_conduct(node, office);
    if (c == NULL)
        return;
    c->counts[reason]++;
    if (!c->blamed || node->mono_ms - c->noted_ms >= WC_BLAMED_NOTE_MS) {
        c->noted_ms = node->mono_ms;
        wc_node_note(node, WC_NOTE_BLAMED, 0, 0, (uint64_t)reason, office);
    }
    c->blamed = true;
    c->last_ms = node->now_ms;
}

/* ---- neighbours ---- */

void wc_node_strike(struct wc_node *node, const struct wc_peer *peer)
{
    struct wc_conduct *c = peer->conduct;
    uint64_t calm = (node->mono_ms - c->strike_ms) / WC_STRIKE_FORGET_MS;
    c->strikes = calm < c->strikes ? c->strikes - (uint32_t)calm : 0;
    uint64_t shun_ms = (uint64_t)WC_SHUN_MS << c->strikes;
    if (shun_ms < WC_SHUN_MAX_MS)
        c->strikes++;
    else
        shun_ms = WC_SHUN_MAX_MS;
    c->strike_ms = node->mono_ms;
    c->shun_until_ms = node->mono_ms + shun_ms;
}

bool wc_node_shunned(const struct wc_node *node, const uint8_t key[WC_KEY_BYTES],
                     uint64_t *until_ms)
{
    const struct wc_conduct *c = find(node, key);
    if (c == NULL || c->shun_until_ms <= node->mono_ms)
        return false;
    *until_ms = c->shun_until_ms;
    return true;
}

bool wc_node_waste(struct wc_node *node, const struct wc_peer *peer, uint64_t bytes)
{
    struct wc_bucket *b = &peer->conduct->waste;
    if (node->clock_off)
        return true;
    wc_bucket_pour(b, bytes);
    return wc_bucket_has_room(b, node->mono_ms, WC_WASTE_BRIM_BYTES,
                              WC_WASTE_AN_HOUR_BYTES);
}

static void make_up(struct wc_bucket *b, uint64_t bytes)
{
    b->used = bytes < b->used ? b->used - bytes : 0;
}

void wc_node_worth(const struct wc_peer *peer, uint64_t bytes)
{
    make_up(&peer->conduct->waste, bytes);
    make_up(&peer->conduct->unkept, bytes);
}

bool wc_node_wasteful(const struct wc_node *node, const struct wc_peer *peer)
{
    return !wc_bucket_has_room(&peer->conduct->waste, node->mono_ms,
                               (uint64_t)WC_WASTE_BRIM_BYTES * 3 / 4,
                               WC_WASTE_AN_HOUR_BYTES);
}

void wc_node_unkept(struct wc_node *node, const struct wc_peer *peer, uint64_t bytes)
{
    if (!node->clock_off)
        wc_bucket_pour(&peer->conduct->unkept, bytes);
    wc_node_waste(node, peer, bytes);
}

/* A flood of other things, or what clocks explain, fills the one bucket too, and then no
 * session is led for a while either: but that is not what this names. */
bool wc_node_keeps_nothing(const struct wc_node *node, const struct wc_peer *peer)
{
    return !wc_bucket_has_room(&peer->conduct->unkept, node->mono_ms,
                               (uint64_t)WC_WASTE_BRIM_BYTES * 3 / 8,
                               WC_WASTE_AN_HOUR_BYTES);
}

bool wc_node_may_sync(const struct wc_node *node, const struct wc_peer *peer,
                      uint64_t amount)
{
    struct wc_bucket *b = &peer->conduct->syncs;
    wc_bucket_pour(b, amount);
    return wc_bucket_has_room(b, node->mono_ms, WC_SYNCS_BRIM_COUNT + node->held_count,
                              WC_SYNCS_AN_HOUR);
}

bool wc_node_may_fetch(const struct wc_node *node, const struct wc_peer *peer)
{
    uint64_t brim = WC_FETCH_BRIM_COUNT + 4 * (uint64_t)node->held_count;
    return wc_bucket_has_room(&peer->conduct->fetched, node->mono_ms, brim, brim);
}

bool wc_node_may_shuffle(const struct wc_node *node, const struct wc_peer *peer)
{
    struct wc_bucket *b = &peer->conduct->shuffles;
    wc_bucket_pour(b, 1);
    return wc_bucket_has_room(b, node->mono_ms, WC_SHUFFLES_BRIM_COUNT,
                              WC_SHUFFLES_AN_HOUR);
}

bool wc_node_may_press(const struct wc_node *node, const struct wc_peer *peer)
{
    struct wc_bucket *b = &peer->conduct->urgent;
    if (!wc_bucket_has_room(b, node->mono_ms, WC_URGENT_BRIM_COUNT, WC_URGENT_AN_HOUR))
        return false;
    wc_bucket_pour(b, 1);
    return true;
}

/* ---- the quota ---- */

uint64_t wc_node_quota(const struct wc_office *o, int set)
{
    return set == WC_QUOTA_REST
               ? WC_REST_PER_PERSON * (uint64_t)o->cert.quota + WC_REST_SPARE_COUNT
               : o->cert.quota;
}

void wc_node_over_quota(struct wc_node *node, uint32_t office)
{
    struct wc_office *o = node->offices[office];
    if (o->over_last_ms == 0 || node->mono_ms - o->over_last_ms > WC_OVER_FORGET_MS)
        o->over_first_ms = node->mono_ms;
    o->over_last_ms = node->mono_ms;
    if (node->mono_ms - o->over_first_ms >= WC_OVER_PATIENCE_MS)
        wc_node_blame(node, office, WC_BLAME_QUOTA);
}

/* ---- evidence ---- */

/* The stamp of a record, kept for a moment: until the record is on the disk, its stamp
 * can be read nowhere else. */
void wc_node_recall(struct wc_node *node, const struct wc_record *r,
                    const uint8_t slot[WC_DIGEST_BYTES])
{
    struct wc_recent *place = &node->recent[node->recent_next++ % WC_RECENT_COUNT];
    if (r->stamp.len > WC_STAMP_MAX_BYTES)
        return;
    memcpy(place->slot, slot, WC_DIGEST_BYTES);
    place->version = r->version;
    place->stamp.len = (uint32_t)r->stamp.len;
    memcpy(place->stamp.bytes, r->stamp.data, r->stamp.len);
    memcpy(place->stamp.sig, r->stamp_sig, WC_SIG_BYTES);
}

static void copy_stamp(struct wc_node_stamp *to, const struct wc_record *r)
{
    to->len = (uint32_t)r->stamp.len;
    memcpy(to->bytes, r->stamp.data, r->stamp.len);
    memcpy(to->sig, r->stamp_sig, WC_SIG_BYTES);
}

/* The stamp of what is held in a slot: from the moment's memory, or from the store. */
static bool held_stamp(struct wc_node *node, const uint8_t slot[WC_DIGEST_BYTES],
                       const struct wc_version *version, struct wc_node_stamp *out)
{
    struct wc_buf bytes = {0};
    struct wc_record r;
    for (uint32_t i = 0; i < WC_RECENT_COUNT; i++) {
        const struct wc_recent *recent = &node->recent[i];
        if (recent->stamp.len > 0 && memcmp(recent->slot, slot, WC_DIGEST_BYTES) == 0 &&
            wc_version_cmp(&recent->version, version) == 0) {
            *out = recent->stamp;
            return true;
        }
    }
    int rc = node->store.read(node->store.ctx, slot, &bytes);
    if (rc == 0)
        rc = wc_record_decode(wc_buf_slice(&bytes), &r, NULL);
    bool found = rc == 0 && wc_version_cmp(&r.version, version) == 0 &&
                 r.stamp.len <= WC_STAMP_MAX_BYTES;
    if (found)
        copy_stamp(out, &r);
    wc_buf_fini(&bytes);
    return found;
}

static bool same_contradiction(const struct wc_node_evidence *a,
                               const struct wc_node_evidence *b)
{
    return a->rev == b->rev && a->seq == b->seq &&
           memcmp(a->whom, b->whom, WC_DIGEST_BYTES) == 0;
}

static void name_whom(struct wc_node_evidence *e)
{
    const struct wc_slice parts[] = {
        wc_slice_text("whocan evidence"), wc_slice(&e->kind, 1),
        wc_slice(e->office_key, WC_KEY_BYTES), wc_slice_text(e->subject)};
    wc_hash(e->whom, parts, 4);
}

static void erase(struct wc_node_evidence *e)
{
    for (int i = 0; i < 2; i++) {
        const struct wc_node_stamp *s = &e->stamps[i];
        const struct wc_slice parts[] = {wc_slice(s->bytes, s->len),
                                         wc_slice(s->sig, WC_SIG_BYTES)};
        wc_hash(e->hashes[i], parts, 2);
    }
    memset(e->subject, 0, sizeof(e->subject));
    memset(e->stamps, 0, sizeof(e->stamps));
    e->erased = true;
}

/* A retirement does not say whom it ends: their slot does. */
static bool is_about(const struct wc_node_evidence *e, const struct wc_record *retire,
                     const uint8_t slot[WC_DIGEST_BYTES])
{
    uint8_t own[WC_DIGEST_BYTES];
    wc_slot(own, retire->slot_kind, e->office_key, e->subject);
    return memcmp(own, slot, WC_DIGEST_BYTES) == 0;
}

void wc_node_evidence_erase(struct wc_node *node, const struct wc_record *r,
                            const uint8_t slot[WC_DIGEST_BYTES])
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < node->evidence_count; i++) {
        struct wc_node_evidence *e = node->evidence[i];
        if (e->erased || !is_about(e, r, slot))
            continue;
        erase(e);
        count++;
    }
    if (count > 0)
        wc_node_note(node, WC_NOTE_EVIDENCE_ERASED, 0, 0, count, WC_NONE);
}

/* Keep it unless there is one of the same version, or enough of that office. */
static bool add_evidence(struct wc_node *node, const struct wc_node_evidence *e)
{
    uint32_t of_office = 0;
    for (uint32_t i = 0; i < node->evidence_count; i++) {
        if (same_contradiction(node->evidence[i], e))
            return false;
        of_office +=
            memcmp(node->evidence[i]->office_key, e->office_key, WC_KEY_BYTES) == 0;
    }
    if (of_office >= WC_EVIDENCE_OFFICE_COUNT ||
        node->evidence_count >= WC_EVIDENCE_MAX_COUNT)
        return false;
    struct wc_node_evidence *copy = malloc(sizeof(*copy));
    if (copy == NULL) {
        wc_node_fail(node);
        return false;
    }
    *copy = *e;
    node->evidence[node->evidence_count++] = copy;
    return true;
}

static bool ends_erased(const struct wc_node *node, const uint8_t slot[WC_DIGEST_BYTES])
{
    struct wc_version version;
    uint8_t kind;
    return wc_node_slot(node, slot, &version, &kind) == 0 && kind == WC_KIND_RETIRE;
}

bool wc_node_contradiction(struct wc_node *node, const struct wc_record *r,
                           const uint8_t slot[WC_DIGEST_BYTES],
                           const struct wc_version *other)
{
    struct wc_node_evidence e = {.kind = r->kind,
                                 .rev = r->version.rev,
                                 .seq = r->version.seq,
                                 .seen_at_ms = node->now_ms};
    if (r->stamp.len > WC_STAMP_MAX_BYTES ||
        !held_stamp(node, slot, other, &e.stamps[0]))
        return false;
    memcpy(e.office_key, r->office_key, WC_KEY_BYTES);
    memcpy(e.subject, r->subject, sizeof(e.subject));
    copy_stamp(&e.stamps[1], r);
    name_whom(&e);
    if (r->kind == WC_KIND_RETIRE || ends_erased(node, slot))
        erase(&e); /* of two such contents one may be an erasure */
    return add_evidence(node, &e);
}

bool wc_node_evidence_at(const struct wc_node *node, uint32_t i,
                         struct wc_node_evidence *out)
{
    if (i >= node->evidence_count)
        return false;
    *out = *node->evidence[i];
    return true;
}

int wc_node_load_evidence(struct wc_node *node, struct wc_slice bytes)
{
    struct wc_node_evidence e;
    int rc = wc_evidence_decode(bytes, &e);
    if (rc == 0)
        add_evidence(node, &e);
    return node->failed ? -WC_ENOMEM : rc;
}

void wc_evidence_encode(struct wc_buf *b, const struct wc_node_evidence *e)
{
    wc_pack_array(b, 8);
    wc_pack_u64(b, e->kind);
    wc_pack_bin(b, wc_slice(e->office_key, WC_KEY_BYTES));
    if (e->erased)
        wc_pack_bin(b, wc_slice(e->whom, WC_DIGEST_BYTES));
    else
        wc_pack_text(b, e->subject);
    wc_pack_u64(b, e->rev);
    wc_pack_u64(b, e->seq);
    wc_pack_u64(b, e->seen_at_ms);
    for (int i = 0; i < 2 && e->erased; i++)
        wc_pack_bin(b, wc_slice(e->hashes[i], WC_DIGEST_BYTES));
    for (int i = 0; i < 2 && !e->erased; i++) {
        wc_pack_array(b, 2);
        wc_pack_bin(b, wc_slice(e->stamps[i].bytes, e->stamps[i].len));
        wc_pack_bin(b, wc_slice(e->stamps[i].sig, WC_SIG_BYTES));
    }
}

static int read_stamp(const struct wc_obj *o, const struct wc_node_evidence *e,
                      struct wc_node_stamp *out)
{
    struct wc_slice bytes = {0};
    int rc = wc_obj_bin(wc_obj_at(o, 0), &bytes);
    if (rc == 0)
        rc = wc_obj_bin_exact(wc_obj_at(o, 1), out->sig, WC_SIG_BYTES);
    if (rc == 0 && bytes.len > sizeof(out->bytes))
        rc = -WC_ETOOBIG;
    if (rc != 0)
        return rc;
    memcpy(out->bytes, bytes.data, bytes.len);
    out->len = (uint32_t)bytes.len;
    return wc_stamp_verify(out->sig, e->office_key, e->kind, bytes);
}

/* Whom it is about: a subject, or the hash of one who was erased. */
static int read_whom(const struct wc_obj *o, struct wc_node_evidence *out)
{
    struct wc_slice subject;
    if (wc_obj_bin_exact(o, out->whom, WC_DIGEST_BYTES) == 0) {
        out->erased = true;
        return 0;
    }
    int rc = wc_obj_str(o, &subject);
    if (rc == 0 && !wc_slice_copy(subject, out->subject, sizeof(out->subject)))
        rc = -WC_EINVALID;
    if (rc == 0)
        name_whom(out);
    return rc;
}

static int read_proof(const struct wc_obj *o, struct wc_node_evidence *e, uint32_t i)
{
    return e->erased ? wc_obj_bin_exact(o, e->hashes[i], WC_DIGEST_BYTES)
                     : read_stamp(o, e, &e->stamps[i]);
}

int wc_evidence_decode(struct wc_slice bytes, struct wc_node_evidence *out)
{
    struct wc_doc *doc;
    uint64_t kind = 0;
    int rc = wc_doc_new(bytes, &wc_scan_default, &doc);
    if (rc != 0)
        return rc;
    const struct wc_obj *root = wc_doc_root(doc);
    memset(out, 0, sizeof(*out));
    rc = wc_obj_u64(wc_obj_at(root, 0), &kind);
    if (rc == 0)
        rc = wc_obj_bin_exact(wc_obj_at(root, 1), out->office_key, WC_KEY_BYTES);
    if (rc == 0 && kind > WC_KIND_MAX)
        rc = -WC_EINVALID;
    out->kind = (uint8_t)kind;
    if (rc == 0)
        rc = read_whom(wc_obj_at(root, 2), out);
    if (rc == 0)
        rc = wc_obj_u64(wc_obj_at(root, 3), &out->rev);
    if (rc == 0)
        rc = wc_obj_u64(wc_obj_at(root, 4), &out->seq);
    if (rc == 0)
        rc = wc_obj_u64(wc_obj_at(root, 5), &out->seen_at_ms);
    for (uint32_t i = 0; rc == 0 && i < 2; i++)
        rc = read_proof(wc_obj_at(root, 6 + i), out, i);
    wc_doc_free(doc);
    return rc;
}

/* ---- looking ---- */

bool wc_node_blamed_at(const struct wc_node *node, uint32_t i,
                       struct wc_node_blamed *out)
{
    for (uint32_t k = 0; k < node->conduct_count; k++) {
        const struct wc_conduct *c = node->conduct[k];
        if (!c->blamed || i-- > 0)
            continue;
        *out = (struct wc_node_blamed){.last_ms = c->last_ms};
        memcpy(out->office_key, c->key, WC_KEY_BYTES);
        memcpy(out->office, c->office, sizeof(out->office));
        memcpy(out->counts, c->counts, sizeof(out->counts));
        return true;
    }
    return false;
}
