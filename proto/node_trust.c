/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renewal and rotation.
 *
 * A grant is a certificate that travels as a record. So an office is renewed without
 * anybody going there: it finds the grant for its own key among the records, takes the
 * certificate and writes a new card; all others know it from the same grant.
 *
 * A rotation gives the organisation another key. It is signed by the recovery key, which
 * signs nothing else, and so it answers a stolen organisation key too. Who takes it
 * forgets what the former key said: its revocations and grants are dropped, and its
 * certificates are "former". A former certificate is never taken from anybody again; an
 * office that was known by one is believed for an hour, because its grant is on its way,
 * and then forgotten. Own records stay, whatever happens.
 *
 * An office that was away during the rotation can show nothing but a former certificate.
 * That is worth nothing (a thief of the former key writes such things), but the link has
 * proved a link key; when a grant is held for exactly that sign key and that link key,
 * it is the office that the grant means, and it is told of the rotation and of its grant
 * first of all.
 */
#include <string.h>

#include "proto/node_internal.h"

/* ---- who this office is ---- */

static bool lasting(const struct wc_node *node)
{
    return !node->offices[node->self]->former;
}

static void identity_changed(struct wc_node *node)
{
    struct wc_effect *e;
    if (node->fx == NULL) {
        node->identity_changed = true; /* records are being loaded */
        return;
    }
    node->identity_changed = false;
    if ((e = wc_node_effect(node, WC_EFFECT_IDENTITY)) != NULL)
        e->u.identity.lasting = lasting(node);
}

/* The own certificate, when it is newer and for the keys that we have. */
static void adopt(struct wc_node *node, const struct wc_cert *cert,
                  struct wc_slice bytes)
{
    struct wc_identity *own = &node->own;
    uint64_t former_end_ms = own->cert.not_after_ms;
    if ((cert->serial <= own->cert.serial && !node->offices[node->self]->former) ||
        memcmp(cert->link_key, own->cert.link_key, WC_KEY_BYTES) != 0)
        return;
    own->cert = *cert;
    memcpy(own->cert_bytes, bytes.data, bytes.len);
    own->cert_len = bytes.len;
    wc_node_office_certify(node, node->self, cert);
    wc_node_lengthen(node, former_end_ms);
    wc_node_card_changed(node);
    wc_node_note(node, WC_NOTE_RENEWED, 0, 0, cert->serial, node->self);
    identity_changed(node);
}

const struct wc_identity *wc_node_identity(const struct wc_node *node)
{
    return node->identity;
}

/* ---- grants ---- */

void wc_node_granted(struct wc_node *node, uint32_t office, const struct wc_record *r)
{
    struct wc_cert cert;
    if (wc_cert_read(r->granted, &cert, NULL) != 0) { /* read before: memory is out */
        wc_node_fail(node);
        return;
    }
    if (office == node->self)
        adopt(node, &cert, r->granted);
    else
        wc_node_office_certify(node, office, &cert);
}

static void grant_slot(const struct wc_node *node, uint32_t office,
                       uint8_t slot[WC_DIGEST_BYTES])
{
    char subject[2 * WC_KEY_BYTES + 1];
    wc_hex(subject, node->offices[office]->key, WC_KEY_BYTES);
    wc_slot(slot, WC_KIND_GRANT, node->identity->org.key, subject);
}

bool wc_node_has_grant(const struct wc_node *node, uint32_t office)
{
    uint8_t slot[WC_DIGEST_BYTES];
    grant_slot(node, office, slot);
    uint32_t id = wc_node_held_find(node, slot);
    return id != WC_NONE && !node->held[id].hidden;
}

uint32_t wc_node_pack_trust(struct wc_node *node, uint32_t office, struct wc_buf *out)
{
    const struct wc_org *org = &node->identity->org;
    struct wc_buf grant = {0};
    uint8_t slot[WC_DIGEST_BYTES];
    uint32_t count = 0;
    if (org->rotation_len > 0) {
        wc_pack_bin(out, wc_slice(org->rotation, org->rotation_len));
        count++;
    }
    grant_slot(node, office, slot);
    /* one that is on its way to the disk comes with the reconciliation */
    if (wc_node_has_grant(node, office) &&
        node->store.read(node->store.ctx, slot, &grant) == 0 &&
        grant.len <= WC_RECORD_MAX_BYTES) {
        wc_pack_bin(out, wc_buf_slice(&grant));
        count++;
    }
    wc_buf_fini(&grant);
    return count;
}

/* ---- rotations ---- */

/* Of the former key nothing counts but, for an hour, who was known by it. */
static void make_former(struct wc_node *node, uint32_t office)
{
    struct wc_office *o = node->offices[office];
    bool revoked = o->revoked;
    o->revoked = false; /* by a key that counts no more, and so does its certificate */
    if (office == node->self) {
        node->own_revoked = false;
        o->former = true;
        return;
    }
    if (o->has_cert && !revoked) {
        o->former = true;
        return;
    }
    if (o->has_cert)
        wc_node_office_uncertify(node, office);
    wc_node_office_release(node, office);
}

void wc_node_rotated(struct wc_node *node, const struct wc_record *r)
{
    int rc = wc_org_rotate(&node->own.org, r->bytes);
    if (rc == -WC_ENOMEM)
        wc_node_fail(node);
    if (rc != 0)
        return;
    wc_node_drop_statements(node);
    for (uint32_t i = 0; i < node->offices_cap; i++) {
        if (node->offices[i] != NULL)
            make_former(node, i);
    }
    node->former_until_ms = node->mono_ms + WC_FORMER_BELIEVED_MS;
    wc_node_due(node, WC_DUE_FORMER, node->former_until_ms);
    wc_node_note(node, WC_NOTE_ROTATED, 0, 0, r->version.rev - 1, WC_NONE);
    identity_changed(node);
}

/* The hour is over: who has no certificate by the present key is unknown. */
void wc_node_run_former(struct wc_node *node)
{
    if (node->mono_ms < node->former_until_ms) {
        wc_node_due(node, WC_DUE_FORMER, node->former_until_ms);
        return;
    }
    for (uint32_t i = 0; i < node->offices_cap; i++) {
        struct wc_office *o = node->offices[i];
        if (o == NULL || !o->former || i == node->self)
            continue;
        struct wc_peer *peer = wc_node_peer(node, o->link);
        if (peer != NULL)
            wc_node_close(node, peer, -WC_EUNKNOWN_OFFICE);
        o->has_card = false;
        wc_node_office_uncertify(node, i);
        wc_node_office_purge(node, i);
    }
}

/* ---- links ---- */

int wc_node_link_cert(struct wc_node *node, const struct wc_event *event,
                      struct wc_cert *cert, bool *stale)
{
    const struct wc_org *org = &node->identity->org;
    *stale = false;
    int rc = wc_cert_open(event->u.link_up.peer_cert, org, cert, NULL);
    bool former = rc == -WC_EBADSIG && org->rotation_len > 0;
    if (former)
        rc = wc_cert_read(event->u.link_up.peer_cert, cert, NULL);
    if (rc != 0)
        return rc;
    uint32_t id = wc_node_office_find(node, cert->sign_key);
    const struct wc_office *o = id == WC_NONE ? NULL : node->offices[id];
    bool same = o != NULL && o->has_cert &&
                memcmp(o->cert.link_key, cert->link_key, WC_KEY_BYTES) == 0;
    if (former && id == node->self)
        return 0; /* refused for that */
    if (former && !same)
        return o != NULL && o->revoked ? -WC_EREVOKED : -WC_EUNKNOWN_OFFICE;
    *stale = former || (same && o->cert.serial > cert->serial);
    if (*stale)
        *cert = o->cert;
    return 0;
}

/* ---- start ---- */

void wc_node_trust_start(struct wc_node *node)
{
    const struct wc_org *org = &node->identity->org;
    struct wc_record r;
    uint8_t slot[WC_DIGEST_BYTES];
    if (node->identity_changed)
        identity_changed(node);
    if (org->rotation_len == 0)
        return;
    if (wc_record_decode(wc_slice(org->rotation, org->rotation_len), &r, NULL) != 0) {
        wc_node_fail(node);
        return;
    }
    wc_record_slot(&r, slot);
    uint32_t id = wc_node_held_find(node, slot);
    if (id != WC_NONE && wc_version_cmp(&node->held[id].version, &r.version) >= 0)
        return;
    wc_node_hold(node, &r, slot, node->self);
    wc_node_put(node, 0, &r, slot);
}
