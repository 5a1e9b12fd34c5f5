/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that come from others. Cheap checks first: what was seen a moment ago, what
 * is not newer than what is held; signatures last. What is new is stored, held and
 * passed on.
 *
 * Blame: bytes that no honest neighbour forwards (they do not decode, a signature is
 * wrong) are the neighbour's fault, and its link is closed. What is well signed and yet
 * not acceptable (too long a lease, a date in the future) is the fault of the office
 * that signed it: refused, counted, and said so once a minute. The signature is checked
 * first, or anybody could make another office look guilty. What we cannot judge (an
 * office whose card has not come) is nobody's fault: the next reconciliation brings it
 * again.
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
    wc_node_count_refused(node, rc);
    wc_node_blame(node, office,
                  rc == -WC_EFUTURE  ? WC_BLAME_FUTURE
                  : rc == -WC_ELEASE ? WC_BLAME_LEASE
                  : rc == -WC_ELIMIT ? WC_BLAME_CHANGES
                                     : WC_BLAME_CONTENT);
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
    struct wc_cert cert; /* that counts for a card */
};

enum verdict {
    TAKE,       /* new */
    HAVE,       /* not newer than what is held */
    LEAVE,      /* cannot or need not be judged now; nobody's fault */
    REFUSE,     /* the office's fault */
    BLAME,      /* the neighbour's fault */
    LIMIT,      /* the office's fault, whose records may change again later */
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

/*
 * Something by an organisation key that is not ours. Around a rotation honest neighbours
 * hold such things for a moment, on either side of it: if its author signed it, it is
 * nobody's fault, and the next reconciliation brings it again if it is worth anything.
 */
static enum verdict judge_foreign(struct wc_node *node, const struct wc_record *r,
                                  int *rc)
{
    struct wc_org by = {0};
    memcpy(by.id, node->identity->org.id, WC_ORG_ID_BYTES);
    memcpy(by.key, r->author_key, WC_KEY_BYTES);
    if (!wc_org_has_recovery(&node->identity->org) ||
        node->verify(node->verify_ctx, r, &by) != 0)
        return BLAME;
    *rc = -WC_EUNKNOWN_OFFICE;
    return LEAVE;
}

static enum verdict judge_statement(struct wc_node *node, struct incoming *in, int *rc)
{
    const struct wc_record *r = &in->r;
    *rc = -WC_EDENIED;
    if (r->kind == WC_KIND_ROTATE)
        return TAKE; /* its signature says it all */
    if (memcmp(r->author_key, node->identity->org.key, WC_KEY_BYTES) != 0)
        return judge_foreign(node, r, rc);
    *rc = wc_node_statement_useless(node, r);
    return *rc == 0 ? TAKE : LEAVE;
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
    if (*rc == -WC_EBADSIG)
        return judge_foreign(node, &in->r, rc);
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

/* Everything about a record but its signatures. */
static enum verdict judge(struct wc_node *node, struct incoming *in, int *rc)
{
    if (wc_kind_by_organisation(in->r.kind))
        return judge_statement(node, in, rc);
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
    int set = wc_node_quota_set(in->r.kind);
    if (set < 0)
        return true;
    struct wc_office *o = node->offices[in->office];
    struct wc_itemset *counted = &o->counted[set];
    uint64_t quota = wc_node_quota(o, set);
    struct wc_item last;
    uint32_t id;
    if (wc_itemset_find(counted, in->slot, &id))
        return true;
    if (wc_itemset_count(counted) < quota)
        o->over_last_ms = 0; /* it was an accident of order */
    while (wc_itemset_count(counted) >= quota) {
        wc_node_over_quota(node, in->office);
        if (quota == 0 || in->office == node->self ||
            !wc_itemset_last(counted, &last) ||
            memcmp(in->slot, last.key, WC_DIGEST_BYTES) > 0)
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
    if (own) /* our store is older than what we told others */
        wc_node_seq_seen(node, r->version.seq);
    else
        wc_bucket_pour(&node->offices[in->office]->changes, 1);
    wc_node_hold(node, r, in->slot, in->office);
    wc_node_put(node, 0, r, in->slot);
    wc_node_recall(node, r, in->slot);
    if (r->kind == WC_KIND_CARD) {
        wc_node_office_card(node, in->office, &in->card);
        if (own)
            wc_node_card_changed(node);
        else
            wc_node_due(node, WC_DUE_DIAL, node->mono_ms + WC_DIAL_BACKOFF_MS);
    }
}

/* An office that changes its records without end costs the others nothing but this: they
 * take its latest ones now and then. Its signature is looked at now and then, too, so
 * that it is named. */
static bool too_often(struct wc_node *node, const struct incoming *in, bool *look)
{
    struct wc_office *o = in->office == WC_NONE ? NULL : node->offices[in->office];
    *look = false;
    if (o == NULL || in->office == node->self || wc_kind_by_organisation(in->r.kind) ||
        wc_node_may_change(node, in->office))
        return false;
    if (o->limited_ms == 0 || node->mono_ms - o->limited_ms >= WC_LIMITED_LOOK_MS) {
        o->limited_ms = node->mono_ms + (node->mono_ms == 0);
        *look = true;
    }
    return true;
}

/* Check the signatures. Who signed the stamp of what its author did not write is to
 * blame as well as the neighbour. */
static int verify(struct wc_node *node, const struct incoming *in)
{
    int rc = node->verify(node->verify_ctx, &in->r, &node->identity->org);
    if (rc != 0 && !wc_kind_by_organisation(in->r.kind) && in->office != WC_NONE &&
        wc_stamp_verify(in->r.stamp_sig, in->r.office_key, in->r.kind, in->r.stamp) ==
            0)
        wc_node_blame(node, in->office, WC_BLAME_CONTENT);
    return rc;
}

/* Two contents of one version, both well signed: say so, keep the stamps, and say
 * whether the one that came is the one that stays. */
static bool contradicts(struct wc_node *node, const struct incoming *in)
{
    uint32_t id = wc_node_held_find(node, in->slot);
    const struct wc_pending *p = wc_node_pending_of(node, in->slot);
    const struct wc_version *mine = p != NULL ? &p->version : NULL;
    struct wc_office *o = node->offices[in->office];
    if (id != WC_NONE &&
        (mine == NULL || wc_version_cmp(&node->held[id].version, mine) > 0))
        mine = &node->held[id].version;
    wc_node_blame(node, in->office, WC_BLAME_TWO_CONTENTS);
    bool kept = wc_node_contradiction(node, &in->r, in->slot, mine);
    if (kept || o->contradicted_ms == 0 ||
        node->mono_ms - o->contradicted_ms >= WC_REFUSED_NOTE_MS) {
        o->contradicted_ms = node->mono_ms + (node->mono_ms == 0);
        wc_node_note(node, WC_NOTE_TWO_CONTENTS, 0, 0, kept, in->office);
    }
    return wc_version_cmp(&in->r.version, mine) > 0;
}

static enum verdict receive(struct wc_node *node, struct incoming *in, uint32_t link,
                            int *rc)
{
    bool look;
    in->office = WC_NONE;
    wc_record_slot(&in->r, in->slot);
    enum verdict newer = compare(node, in), v;
    if (newer == HAVE)
        return HAVE;
    if (!keeps(node, &in->r))
        return HAVE; /* as good as */
    if ((v = judge(node, in, rc)) != TAKE && v != REFUSE)
        return v;
    bool often = too_often(node, in, &look);
    if (often && !look)
        return LIMIT;
    int bad = verify(node, in);
    if (bad != 0) {
        *rc = bad;
        return BLAME;
    }
    if (v == REFUSE)
        return REFUSE;
    if (often) {
        *rc = -WC_ELIMIT;
        wc_node_refused(node, in->office, 0, *rc);
        return LIMIT;
    }
    if (wc_kind_by_organisation(in->r.kind)) {
        wc_node_put(node, 0, &in->r, in->slot);
        wc_node_statement_take(node, &in->r, in->slot, link);
        return TAKE;
    }
    if (newer == CONTRADICT && !contradicts(node, in))
        return HAVE;
    if (!make_room(node, in))
        return LEAVE;
    take(node, in);
    return TAKE;
}

void wc_node_learn_rotation(struct wc_node *node, struct wc_slice bytes)
{
    struct incoming in;
    int rc = wc_record_decode(bytes, &in.r, NULL);
    if (rc == -WC_ENOMEM)
        wc_node_fail(node);
    if (rc == 0 && in.r.kind == WC_KIND_ROTATE)
        receive(node, &in, 0, &rc);
}

/* Whether the neighbour may go on although it sent what is of no use here; by `dated`
 * alone, which its clock explains. */
static bool bears(struct wc_node *node, const struct wc_peer *peer, size_t bytes,
                  bool asked_for, bool dated)
{
    if (wc_node_waste(node, peer, bytes + WC_WASTE_ITEM_BYTES) || asked_for)
        return true; /* what was asked for ends the session */
    if (!dated)
        wc_node_blame(node, peer->office, WC_BLAME_FLOOD);
    return false;
}

/* What became of the records of one frame. */
struct tally {
    uint32_t accepted;
    uint32_t again; /* passed on to us by somebody else before */
};

/* Bytes that came already. Statements come from everybody, and cards over every link of
 * their office, by walks and over the tree: fronts of one card that meet say nothing
 * about the link on which they meet, and pruned there a tree falls apart. */
static void count_again(struct wc_node *node, const struct incoming *in,
                        struct tally *tally)
{
    uint8_t message[WC_MESSAGE_ID_BYTES];
    if (wc_kind_by_organisation(in->r.kind) || in->r.kind == WC_KIND_CARD)
        return;
    wc_node_message_id(node, in->slot, &in->r.version, message);
    tally->again += !wc_node_message_came(node, message);
}

/* One record of a frame: 0, or why the neighbour is to blame. */
static int receive_bytes(struct wc_node *node, struct wc_peer *peer,
                         struct wc_slice bytes, enum wc_wire_reason reason,
                         struct tally *tally)
{
    struct incoming in;
    uint8_t message[WC_MESSAGE_ID_BYTES];
    bool broadcast = reason == WC_REASON_BROADCAST;
    const struct wc_session *session = broadcast ? NULL : wc_node_session(node, peer);
    bool asked_for = session != NULL, dated;
    /* what was asked for is looked at whatever came before: the store may have lost it */
    bool known = broadcast && seen(node, bytes);
    node->counts.whole_received += broadcast;
    node->counts.whole_again += known;
    if (known && !wc_node_may_prune(node, peer))
        return 0;
    int rc = wc_record_decode(bytes, &in.r, NULL);
    if (rc == -WC_ENOMEM)
        wc_node_fail(node);
    if (rc == -WC_ENOMEM || rc == -WC_EVERSION)
        return 0;
    if (rc != 0)
        return rc;
    if (known) {
        wc_record_slot(&in.r, in.slot);
        count_again(node, &in, tally);
        return 0;
    }
    node->records_received++;
    enum verdict v = receive(node, &in, peer->link, &rc);
    if (broadcast && v != BLAME && v != TAKE)
        count_again(node, &in, tally);
    switch (v) {
    case TAKE:
        tally->accepted++;
        node->counts.records_accepted++;
        remember(node, bytes);
        if (broadcast && in.office != WC_NONE)
            wc_node_news(node, in.office, peer, 0);
        if (wc_kind_by_organisation(in.r.kind))
            break; /* told already, before it was acted on */
        wc_node_message_id(node, in.slot, &in.r.version, message);
        wc_node_message_came(node, message);
        if (session == NULL ||
            session->accepted + tally->accepted <= WC_SYNC_FLOOD_MAX_COUNT)
            wc_node_broadcast(node, message, bytes, peer->link);
        if (in.r.kind == WC_KIND_CARD)
            wc_node_newcomer(node, in.office, bytes);
        wc_node_worth(peer, bytes.len + WC_WORTH_RECORD_BYTES);
        break;
    case HAVE:
    case CONTRADICT:
        node->counts.whole_again += broadcast;
        remember(node, bytes);
        /* of what is passed on everybody has most already */
        return broadcast || bears(node, peer, bytes.len, asked_for, false) ? 0
                                                                           : -WC_ELIMIT;
    case LEAVE:
        return bears(node, peer, bytes.len, asked_for, false) ? 0 : -WC_ELIMIT;
    case LIMIT:
        break;
    case REFUSE:
        dated = rc == -WC_EFUTURE &&
                wc_node_clocks_differ(node, in.office, peer, in.r.stamped_at_ms);
        if (dated) /* one of two clocks is wrong: perhaps it is ours */
            wc_node_count_refused(node, rc);
        else if (!seen(node, bytes)) /* nobody multiplies another's fault */
            wc_node_refused(node, in.office, peer->link, rc);
        remember(node, bytes);
        return bears(node, peer, bytes.len, asked_for, dated) ? 0 : -WC_ELIMIT;
    case BLAME:
        wc_node_count_refused(node, rc);
        return rc;
    }
    return 0;
}

int wc_node_on_record(struct wc_node *node, struct wc_peer *peer,
                      struct wc_slice record)
{
    struct tally tally = {0};
    return receive_bytes(node, peer, record, WC_REASON_BROADCAST, &tally);
}

int wc_node_on_records(struct wc_node *node, struct wc_peer *peer,
                       struct wc_slice frame)
{
    struct wc_wire_records f;
    struct tally tally = {0};
    int rc = wc_wire_decode_records(frame, &f, NULL);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; rc == 0 && i < f.count && !node->failed && !peer->closing; i++)
        rc = receive_bytes(node, peer, f.records[i], f.reason, &tally);
    if (rc != 0 || peer->closing)
        return rc;
    wc_node_sync_records(node, peer, f.reason, f.count, tally.accepted);
    if (f.reason != WC_REASON_BROADCAST)
        return 0;
    /* its first words were its own card, whoever knew it */
    if (peer->greeted && tally.again > 0 && tally.again == f.count)
        wc_node_prune(node, peer);
    peer->greeted = true;
    return 0;
}
