/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the organisation says. A statement (a revocation, a grant, a rotation) is signed
 * by the organisation, belongs to no office, and goes before everything else: it leaves at once
 * in a frame of its own, ahead of what is being gathered for a neighbour, and
 * reconciliation brings it with the cards, before any other record. It is passed on
 * before it is acted on, so that an office that loses its links by it learns why.
 */
#include <string.h>

#include "proto/node_internal.h"

/* The frame of one record. */
static void pack_frame(struct wc_slice record, struct wc_buf *frame)
{
    struct wc_buf packed = {0};
    wc_pack_bin(&packed, record);
    wc_wire_records(frame, WC_REASON_BROADCAST, 1, wc_buf_slice(&packed));
    wc_buf_fini(&packed);
}

static void tell_all(struct wc_node *node, struct wc_slice record, uint32_t except)
{
    struct wc_buf frame = {0};
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (node->peers[i]->link == except)
            continue;
        pack_frame(record, &frame);
        wc_node_send(node, node->peers[i], &frame);
    }
}

static void act(struct wc_node *node, const struct wc_record *r,
                const uint8_t slot[WC_DIGEST_BYTES])
{
    uint8_t key[WC_KEY_BYTES];
    if (r->kind == WC_KIND_ROTATE)
        wc_node_rotated(node, r);
    else if (!wc_node_revoked_key(r, key))
        return;
    else if (r->kind == WC_KIND_REVOKE)
        wc_node_office_revoke(node, key, slot);
    else if (r->kind == WC_KIND_GRANT)
        wc_node_granted(node, wc_node_office_find(node, key), r);
}

/* Whose place it takes among the records that are held: a grant goes with its office.
 * WC_NONE when memory is out. */
static uint32_t holder(struct wc_node *node, const struct wc_record *r)
{
    uint8_t key[WC_KEY_BYTES];
    if (r->kind != WC_KIND_GRANT || !wc_node_revoked_key(r, key))
        return node->self;
    return wc_node_office_add(node, key);
}

/* Whether the key that signs such statements is its author, as things are now. */
static bool by_present_key(const struct wc_node *node, const struct wc_record *r)
{
    const struct wc_org *org = &node->identity->org;
    if (r->kind == WC_KIND_ROTATE)
        return wc_org_has_recovery(org) &&
               memcmp(r->office_key, org->recovery_key, WC_KEY_BYTES) == 0;
    return memcmp(r->office_key, org->key, WC_KEY_BYTES) == 0;
}

int wc_node_statement_useless(const struct wc_node *node, const struct wc_record *r)
{
    uint8_t key[WC_KEY_BYTES];
    struct wc_cert cert;
    if (r->kind != WC_KIND_GRANT)
        return 0;
    uint32_t office =
        wc_node_revoked_key(r, key) ? wc_node_office_find(node, key) : WC_NONE;
    if (office != WC_NONE && node->offices[office]->revoked)
        return -WC_EREVOKED;
    int rc = wc_cert_read(r->granted, &cert, NULL);
    return rc == 0 ? wc_cert_dates(&cert, node->now_ms) : rc;
}

void wc_node_statement_take(struct wc_node *node, const struct wc_record *r,
                            const uint8_t slot[WC_DIGEST_BYTES], uint32_t except)
{
    uint32_t office = holder(node, r);
    if (office == WC_NONE)
        return;
    wc_node_hold(node, r, slot, office);
    tell_all(node, r->bytes, except);
    act(node, r, slot);
}

bool wc_node_statement_load(struct wc_node *node, const struct wc_record *r,
                            const uint8_t slot[WC_DIGEST_BYTES])
{
    if (!by_present_key(node, r) || wc_node_statement_useless(node, r) == -WC_EREVOKED)
        return false; /* of an organisation that this office has left, or a former key */
    uint32_t office = holder(node, r);
    if (office == WC_NONE)
        return true; /* memory is out */
    act(node, r, slot);
    wc_node_hold(node, r, slot, office);
    return true;
}

int wc_node_statement_check(const struct wc_node *node, struct wc_slice record,
                            struct wc_record *out, uint8_t slot[WC_DIGEST_BYTES],
                            struct wc_err *err)
{
    int rc = wc_record_decode(record, out, err);
    if (rc != 0)
        return rc;
    if (!wc_kind_by_organisation(out->kind))
        return wc_fail(err, WC_EDENIED, "statement",
                       "is not of a kind that the organisation signs");
    rc = node->verify(node->verify_ctx, out, &node->identity->org);
    if (rc == -WC_EDENIED)
        return wc_fail(err, WC_EDENIED, "statement",
                       "was not signed by the organisation of this office");
    if (rc != 0)
        return wc_fail(err, (enum wc_error)(-rc), "statement", NULL);
    if ((rc = wc_node_statement_useless(node, out)) != 0)
        return wc_fail(err, (enum wc_error)(-rc), "certificate", NULL);
    wc_record_slot(out, slot);
    uint32_t id = wc_node_held_find(node, slot);
    if (id != WC_NONE && wc_version_cmp(&node->held[id].version, &out->version) >= 0)
        return wc_fail(err, WC_EEXISTS, "statement", "is known already");
    return 0;
}

void wc_node_tell_revoked(struct wc_node *node, uint32_t link, uint32_t office)
{
    struct wc_buf record = {0}, hello = {0}, frame = {0};
    const struct wc_office *o = node->offices[office];
    if (node->store.read(node->store.ctx, o->revoked_slot, &record) == 0) {
        const struct wc_peer to = {.link = link}; /* never one of ours */
        wc_wire_hello(&hello, node->now_ms);
        wc_node_send(node, &to, &hello);
        pack_frame(wc_buf_slice(&record), &frame);
        wc_node_send(node, &to, &frame);
    }
    wc_buf_fini(&record);
}
