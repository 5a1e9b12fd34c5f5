/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that come from others. Cheap checks first: what was seen a moment ago, what
 * is not newer than what is held; signatures last. What is new is stored, held and
 * passed on.
 *
 * Blame: bytes that no honest neighbour forwards (they do not decode, a signature is
 * wrong) are the neighbour's fault, and its link is closed. What is well signed and yet
 * not acceptable (too long a lease, a date in the future) is the fault of the office
 * that signed it: refused, and said so once a minute. What we cannot judge (an office
 * whose card has not come) is nobody's fault: the next reconciliation brings it again.
 */
#include <string.h>

#include "proto/node_internal.h"

/* ---- seen of late ---- */

static uint64_t *seen_place(struct wc_node *node, struct wc_slice bytes, uint64_t *hash)
{
    *hash = wc_siphash(node->seen_key, bytes) | 1; /* 0 is an empty place */
    return &node->seen[*hash / 2 % WC_SEEN_COUNT];
}

static bool seen(struct wc_node *node, struct wc_slice bytes)
{
    uint64_t hash, *place = seen_place(node, bytes, &hash);
    return *place == hash;
}

static void remember(struct wc_node *node, struct wc_slice bytes)
{
    uint64_t hash, *place = seen_place(node, bytes, &hash);
    *place = hash;
}

/* ---- what is refused ---- */

void wc_node_refused(struct wc_node *node, uint32_t office, uint32_t link, int rc)
{
    uint32_t who = office == WC_NONE ? node->self : office;
    struct wc_office *o = node->offices[who];
    node->records_refused++;
    if (node->clock_off ||
        (o->noted_ms != 0 && node->mono_ms - o->noted_ms < WC_REFUSED_NOTE_MS))
        return;
    o->noted_ms = node->mono_ms + (node->mono_ms == 0);
    wc_node_note(node, WC_NOTE_RECORD_REFUSED, rc, link, 0, office);
}

int wc_node_office_believed(const struct wc_node *node, uint32_t office)
{
    if (office == WC_NONE)
        return -WC_EUNKNOWN_OFFICE;
    const struct wc_office *o = node->offices[office];
    if (o->revoked)
        return -WC_EREVOKED;
    if (!o->has_cert)
        return -WC_EUNKNOWN_OFFICE;
    return wc_cert_dates(&o->cert, node->now_ms);
}

/* ---- one record ---- */

/* What is known of an incoming record while it is judged. */
struct incoming {
    struct wc_record r;
    uint8_t slot[WC_DIGEST_BYTES];
    uint32_t office; /* WC_NONE: unknown yet */
    struct wc_card card;
    struct wc_cert cert; /* of a card */
};

enum verdict {
    TAKE,       /* new */
    HAVE,       /* not newer than what is held */
    LEAVE,      /* cannot or need not be judged now; nobody's fault */
    REFUSE,     /* the office's fault */
    BLAME,      /* the neighbour's fault */
    CONTRADICT, /* two contents of one (rev, seq): look at the signature before saying so */
};

/* Against what is held and what waits for its commit. */
static enum verdict compare(struct wc_node *node, const struct incoming *in)
{
    const struct wc_version *mine = NULL;
    const struct wc_pending *p = wc_node_pending_of(node, in->slot);
    uint32_t id = wc_node_held_find(node, in->slot);
    if (id != WC_NONE)
        mine = &node->held[id].version;
    if (p != NULL && (mine == NULL || wc_version_cmp(&p->version, mine) > 0))
        mine = &p->version;
    int order = mine == NULL ? 1 : wc_version_cmp(&in->r.version, mine);
    if (order == 0 && id != WC_NONE)
        wc_node_unhide(node, id); /* our clock was wrong when it hid this */
    if (order != 0 && mine != NULL && !wc_kind_by_organisation(in->r.kind) &&
        in->r.version.rev == mine->rev && in->r.version.seq == mine->seq)
        return CONTRADICT;
    return order > 0 ? TAKE : HAVE;
}

/* Whether this office keeps such records at all. An erasure concerns whoever ever kept
 * the person, before `replicate` was set otherwise, say. */
static bool keeps(const struct wc_node *node, const struct wc_record *r)
{
    return node->replicate || r->erases || wc_node_set_of(r->slot_kind) == 0 ||
           memcmp(r->office_key, node->offices[node->self]->key, WC_KEY_BYTES) == 0;
}

/* The office and its certificate, which for a card come from the card itself. */
static enum verdict judge_office(struct wc_node *node, struct incoming *in, int *rc)
{
    in->office = wc_node_office_find(node, in->r.office_key);
    if (in->r.kind != WC_KIND_CARD) {
        *rc = wc_node_office_believed(node, in->office);
        return *rc == 0 ? TAKE : LEAVE;
    }
    if (in->office != WC_NONE && node->offices[in->office]->revoked) {
        *rc = -WC_EREVOKED;
        return LEAVE;
    }
    *rc = wc_node_card_open(node, &in->r, &in->card, &in->cert);
    if (*rc != 0)
        return BLAME;
    *rc = wc_cert_dates(&in->cert, node->now_ms);
    return *rc == 0 ? TAKE : LEAVE;
}

static enum verdict judge_dates(struct wc_node *node, const struct incoming *in,
                                int *rc)
{
    *rc = wc_record_dates(&in->r, node->now_ms);
    if (*rc == -WC_EEXPIRED)
        return LEAVE;
    if (*rc != 0)
        return REFUSE;
    uint64_t not_after_ms = in->r.kind == WC_KIND_CARD
                                ? in->cert.not_after_ms
                                : node->offices[in->office]->cert.not_after_ms;
    if (in->r.expires_at_ms > not_after_ms) {
        /* perhaps its certificate was renewed and the new card is on its way */
        *rc = -WC_ELEASE;
        return LEAVE;
    }
    return TAKE;
}

/* Everything about a stamped record but its signatures. */
static enum verdict judge(struct wc_node *node, struct incoming *in, int *rc)
{
    if (wc_kind_by_organisation(in->r.kind))
        return TAKE;
    enum verdict v = judge_office(node, in, rc);
    if (v == TAKE)
        v = judge_dates(node, in, rc);
    if (v == TAKE && in->r.kind == WC_KIND_RETIRE &&
        wc_node_set_of(in->r.slot_kind) == 0) {
        *rc = -WC_EDENIED; /* an office leaves by revocation */
        v = REFUSE;
    }
    return v;
}

/* Over the quota the smallest slots stay, so that every reader keeps the same ones; but
 * what this office itself acknowledged never goes in favour of what comes back from
 * outside. False: this one is not among those that stay. */
static bool make_room(struct wc_node *node, const struct incoming *in)
{
    int person = wc_node_person_set(in->r.kind);
    if (person < 0)
        return true;
    struct wc_office *o = node->offices[in->office];
    struct wc_itemset *people = &o->people[person];
    struct wc_item last;
    uint32_t id;
    if (wc_itemset_find(people, in->slot, &id))
        return true;
    if (o->cert.quota == 0)
        return false;
    while (wc_itemset_count(people) >= o->cert.quota) {
        wc_itemset_last(people, &last);
        if (in->office == node->self || memcmp(in->slot, last.key, WC_DIGEST_BYTES) > 0)
            return false;
        wc_node_unhold(node, last.value, true);
    }
    return true;
}

/* Hold, store and act on a record that was found good. */
static void take(struct wc_node *node, struct incoming *in)
{
    struct wc_record *r = &in->r;
    if (r->kind == WC_KIND_CARD) {
        in->office = wc_node_office_add(node, r->office_key);
        if (in->office == WC_NONE)
            return;
        wc_node_office_certify(node, in->office, &in->cert);
    }
    bool own = in->office == node->self;
    if (own && r->version.seq > node->last_seq)
        node->last_seq =
            r->version.seq; /* our store is older than what we told others */
    wc_node_hold(node, r, in->slot, in->office);
    wc_node_put(node, 0, r, in->slot);
    if (r->kind == WC_KIND_CARD) {
        wc_node_office_card(node, in->office, &in->card);
        if (own)
            wc_node_card_changed(node);
        else
            wc_node_due(node, WC_DUE_DIAL, node->mono_ms + WC_DIAL_BACKOFF_MS);
    }
}

static enum verdict receive(struct wc_node *node, struct incoming *in, uint32_t link,
                            int *rc)
{
    in->office = WC_NONE;
    wc_record_slot(&in->r, in->slot);
    enum verdict newer = compare(node, in), v;
    if (newer == HAVE)
        return HAVE;
    if (!keeps(node, &in->r))
        return LEAVE;
    if ((v = judge(node, in, rc)) != TAKE)
        return v;
    *rc = node->verify(node->verify_ctx, &in->r, node->identity->org.key);
    if (*rc != 0)
        return BLAME;
    if (newer == CONTRADICT) {
        wc_node_note(node, WC_NOTE_TWO_CONTENTS, 0, 0, in->r.version.rev, in->office);
        uint32_t id = wc_node_held_find(node, in->slot);
        const struct wc_pending *p = wc_node_pending_of(node, in->slot);
        if ((id != WC_NONE &&
             wc_version_cmp(&in->r.version, &node->held[id].version) < 0) ||
            (p != NULL && wc_version_cmp(&in->r.version, &p->version) < 0))
            return HAVE;
    }
    if (wc_kind_by_organisation(in->r.kind)) {
        wc_node_put(node, 0, &in->r, in->slot);
        wc_node_statement_take(node, &in->r, in->slot, link);
        return TAKE;
    }
    if (!make_room(node, in))
        return LEAVE;
    take(node, in);
    return TAKE;
}

/* One record of a frame: 0, or why the neighbour is to blame. */
static int receive_bytes(struct wc_node *node, const struct wc_peer *peer,
                         struct wc_slice bytes, enum wc_wire_reason reason,
                         uint32_t *accepted)
{
    struct incoming in;
    bool broadcast = reason == WC_REASON_BROADCAST;
    /* what was asked for is looked at whatever came before: the store may have lost it */
    if (broadcast && seen(node, bytes))
        return 0;
    int rc = wc_record_decode(bytes, &in.r, NULL);
    if (rc == -WC_ENOMEM)
        wc_node_fail(node);
    if (rc == -WC_ENOMEM || rc == -WC_EVERSION)
        return 0;
    if (rc != 0)
        return rc;
    node->records_received++;
    switch (receive(node, &in, peer->link, &rc)) {
    case TAKE:
        (*accepted)++;
        remember(node, bytes);
        if (wc_kind_by_organisation(in.r.kind))
            break; /* told already, before it was acted on */
        if (broadcast || node->session.link != peer->link ||
            node->session.accepted + *accepted <= WC_SYNC_FLOOD_MAX_COUNT)
            wc_node_broadcast(node, bytes, peer->link);
        break;
    case HAVE:
    case CONTRADICT:
        remember(node, bytes);
        break;
    case LEAVE:
        break;
    case REFUSE:
        wc_node_refused(node, in.office, peer->link, rc);
        break;
    case BLAME:
        node->records_refused++;
        return rc;
    }
    return 0;
}

int wc_node_on_records(struct wc_node *node, struct wc_peer *peer,
                       struct wc_slice frame)
{
    struct wc_wire_records f;
    uint32_t accepted = 0;
    int rc = wc_wire_decode_records(frame, &f, NULL);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; rc == 0 && i < f.count && !node->failed && !peer->closing; i++)
        rc = receive_bytes(node, peer, f.records[i], f.reason, &accepted);
    if (rc == 0)
        wc_node_sync_records(node, peer, f.reason, accepted);
    return rc;
}
