/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include <whocan/cert.h>
#include <whocan/pack.h>
#include <whocan/record.h>
#include <whocan/register.h>

#include "proto/field.h"
#include "proto/line.h"
#include "proto/recovery.h"

#define CERT_VERSION     1
#define IDENTITY_VERSION 1
#define ORGKEY_VERSION   1
#define RECOVERY_VERSION 1

#define CERT_DOMAIN   "whocan certificate"
#define CERT_KIND     0
#define CHECK_BYTES   8 /* against typing errors; who could forge it has all */
#define ORGKEY_HEADER "whocan organisation key 1\n"
#define ORGKEY_COLUMN 64

#define TEXT_FILE_MAX_BYTES 8192 /* an invitation is under 3 KiB */

/* RFC 9106, section 4, second recommended option: 64 MiB, so that a small machine can
 * hold the key too. */
#define ORGKEY_OPS       3
#define ORGKEY_MEM_BYTES (64ULL << 20)

static const struct wc_text_rule org_name_rule = {
    "organisation name", WC_TITLE_MAX_BYTES, "must be at most 200 bytes long", false,
    false};
static const struct wc_text_rule office_title_rule = {
    "office title", WC_TITLE_MAX_BYTES, "must be at most 200 bytes long", false, true};
static_assert(WC_TITLE_MAX_BYTES == 200, "the texts above name the limit");

bool wc_office_name_valid(struct wc_slice name)
{
    if (name.len == 0 || name.len > WC_OFFICE_NAME_MAX_BYTES || name.data[0] == '-' ||
        name.data[name.len - 1] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

/* ---- certificates ---- */

static int cert_check(const struct wc_cert *c, struct wc_err *err)
{
    if (!wc_office_name_valid(wc_slice_text(c->name)))
        return wc_fail(err, WC_EINVALID, "office name",
                       "must be 1 to 32 characters of a-z, 0-9 and '-'");
    int rc = wc_text_check(wc_slice_text(c->title), &office_title_rule, err);
    if (rc != 0)
        return rc;
    if (c->not_before_ms >= c->not_after_ms || c->not_after_ms > WC_REV_MAX)
        return wc_fail(err, WC_EINVALID, "certificate dates",
                       "must start before they end");
    if (c->serial > WC_REV_MAX)
        return wc_fail(err, WC_EINVALID, "serial", "is too large a number");
    return 0;
}

static void pack_cert_body(struct wc_buf *b, const struct wc_cert *c)
{
    wc_pack_array(b, 10);
    wc_pack_u64(b, CERT_VERSION);
    wc_pack_bin(b, wc_slice(c->org_id, WC_ORG_ID_BYTES));
    wc_pack_text(b, c->name);
    wc_pack_text(b, c->title);
    wc_pack_bin(b, wc_slice(c->sign_key, WC_KEY_BYTES));
    wc_pack_bin(b, wc_slice(c->link_key, WC_KEY_BYTES));
    wc_pack_u64(b, c->not_before_ms);
    wc_pack_u64(b, c->not_after_ms);
    wc_pack_u64(b, c->serial);
    wc_pack_u64(b, c->quota);
}

int wc_cert_issue(const struct wc_cert *cert, const struct wc_signer *org,
                  struct wc_buf *out)
{
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    int rc = cert_check(cert, NULL);
    if (rc != 0)
        return -WC_EINVALID;
    pack_cert_body(&body, cert);
    rc = body.failed ? -WC_ENOMEM
                     : wc_sign(sig, org, CERT_DOMAIN, CERT_KIND, wc_buf_slice(&body));
    if (rc != 0)
        goto out;
    wc_pack_array(out, 2);
    wc_pack_bin(out, wc_buf_slice(&body));
    wc_pack_bin(out, wc_slice(sig, sizeof(sig)));
    if (out->failed)
        rc = -WC_ENOMEM;
out:
    wc_buf_fini(&body);
    return rc;
}

static const struct wc_text_rule office_name_rule = {
    "office name", WC_OFFICE_NAME_MAX_BYTES,
    "must be 1 to 32 characters of a-z, 0-9 and '-'", false, false};

static int decode_cert_body(const struct wc_obj *root, struct wc_cert *c,
                            struct wc_err *err)
{
    uint64_t quota = 0;
    int rc = wc_field_version(root, 10, CERT_VERSION, "certificate", err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 1), "organisation id", c->org_id,
                          WC_ORG_ID_BYTES, err);
    if (rc == 0)
        rc = wc_field_copy(wc_obj_at(root, 2), &office_name_rule, c->name, err);
    if (rc == 0)
        rc = wc_field_copy(wc_obj_at(root, 3), &office_title_rule, c->title, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 4), "sign key", c->sign_key, WC_KEY_BYTES,
                          err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 5), "link key", c->link_key, WC_KEY_BYTES,
                          err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 6), "not_before", WC_REV_MAX,
                          &c->not_before_ms, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 7), "not_after", WC_REV_MAX, &c->not_after_ms,
                          err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 8), "serial", WC_REV_MAX, &c->serial, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 9), "quota", UINT32_MAX, &quota, err);
    if (rc != 0)
        return rc;
    c->quota = (uint32_t)quota;
    return cert_check(c, err);
}

/* Decode both layers. *body points into `bytes`. */
static int decode_cert(struct wc_slice bytes, struct wc_cert *out,
                       struct wc_slice *body, uint8_t sig[WC_SIG_BYTES],
                       struct wc_err *err)
{
    struct wc_doc *outer = NULL, *inner = NULL;
    if (bytes.len > WC_CERT_MAX_BYTES)
        return wc_fail(err, WC_ETOOBIG, "certificate",
                       "must be at most 1024 bytes long");
    int rc = wc_field_doc(bytes, "certificate", &outer, err);
    if (rc != 0)
        return rc;
    const struct wc_obj *root = wc_doc_root(outer);
    if (wc_obj_type(root) != WC_ARRAY || wc_obj_count(root) != 2 ||
        wc_obj_bin(wc_obj_at(root, 0), body) != 0)
        rc = wc_fail(err, WC_ETYPE, "certificate", "must be a body and a signature");
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 1), "certificate signature", sig,
                          WC_SIG_BYTES, err);
    if (rc == 0)
        rc = wc_field_doc(*body, "certificate", &inner, err);
    if (rc == 0)
        rc = decode_cert_body(wc_doc_root(inner), out, err);
    wc_doc_free(inner);
    wc_doc_free(outer);
    return rc;
}

int wc_cert_read(struct wc_slice bytes, struct wc_cert *out, struct wc_err *err)
{
    struct wc_slice body = {0};
    uint8_t sig[WC_SIG_BYTES];
    struct wc_cert cert = {0};
    int rc = decode_cert(bytes, &cert, &body, sig, err);
    if (rc == 0)
        *out = cert;
    return rc;
}

int wc_cert_open(struct wc_slice bytes, const struct wc_org *org, struct wc_cert *out,
                 struct wc_err *err)
{
    struct wc_slice body = {0};
    uint8_t sig[WC_SIG_BYTES];
    struct wc_cert cert = {0};
    int rc = decode_cert(bytes, &cert, &body, sig, err);
    if (rc != 0)
        return rc;
    if (memcmp(cert.org_id, org->id, WC_ORG_ID_BYTES) != 0)
        return wc_fail(err, WC_EORGANISATION, "certificate", NULL);
    if (wc_verify(sig, org->key, CERT_DOMAIN, CERT_KIND, body) != 0)
        return wc_fail(err, WC_EBADSIG, "certificate", NULL);
    *out = cert;
    return 0;
}

int wc_cert_dates(const struct wc_cert *cert, uint64_t now_ms)
{
    if (cert->not_before_ms > now_ms &&
        cert->not_before_ms - now_ms > WC_FUTURE_SLACK_MS)
        return -WC_EFUTURE;
    return now_ms >= cert->not_after_ms ? -WC_EEXPIRED : 0;
}

/* ---- identities ---- */

void wc_identity_fini(struct wc_identity *identity)
{
    wc_wipe(identity, sizeof(*identity));
}

/* Derive the public keys from the seeds and have the organisation certify them. */
static int identity_certify(struct wc_identity *identity, const struct wc_signer *org)
{
    struct wc_buf bytes = {0};
    wc_signer_init(&identity->signer, identity->sign_seed);
    memcpy(identity->cert.org_id, identity->org.id, WC_ORG_ID_BYTES);
    memcpy(identity->cert.sign_key, identity->signer.key, WC_KEY_BYTES);
    wc_dh_public(identity->cert.link_key, identity->link_secret);
    int rc = wc_cert_issue(&identity->cert, org, &bytes);
    if (rc == 0) {
        assert(bytes.len <= WC_CERT_MAX_BYTES);
        memcpy(identity->cert_bytes, bytes.data, bytes.len);
        identity->cert_len = bytes.len;
    }
    wc_buf_fini(&bytes);
    return rc;
}

int wc_identity_standalone(struct wc_identity *out, const char *office_name,
                           uint64_t now_ms,
                           const uint8_t seeds[WC_STANDALONE_SEED_BYTES])
{
    struct wc_signer org;
    *out = (struct wc_identity){0};
    if (!wc_office_name_valid(wc_slice_text(office_name)) || now_ms > WC_REV_MAX)
        return -WC_EINVALID;
    wc_signer_init(&org, seeds);
    memcpy(out->org.key, org.key, WC_KEY_BYTES);
    memcpy(out->org.secret, seeds + WC_KEY_BYTES, WC_SECRET_BYTES);
    memcpy(out->sign_seed, seeds + (size_t)2 * WC_KEY_BYTES, WC_KEY_BYTES);
    memcpy(out->link_secret, seeds + (size_t)3 * WC_KEY_BYTES, WC_KEY_BYTES);
    memcpy(out->org.id, seeds + (size_t)4 * WC_KEY_BYTES, WC_ORG_ID_BYTES);
    wc_slice_copy(wc_slice_text(office_name), out->org.name, sizeof(out->org.name));
    wc_slice_copy(wc_slice_text(office_name), out->cert.name, sizeof(out->cert.name));
    wc_slice_copy(wc_slice_text(office_name), out->cert.title, sizeof(out->cert.title));
    /* Nobody could renew it, so it never ends; and a machine whose clock was wrong when
     * it started first must not have to wait for its own certificate. */
    out->cert.not_before_ms = 0;
    out->cert.not_after_ms = WC_REV_MAX;
    out->cert.serial = now_ms;
    out->cert.quota = UINT32_MAX;
    int rc = identity_certify(out, &org);
    wc_signer_fini(&org);
    if (rc != 0)
        wc_identity_fini(out);
    return rc;
}

bool wc_org_has_recovery(const struct wc_org *org)
{
    static const uint8_t none[WC_KEY_BYTES];
    return memcmp(org->recovery_key, none, WC_KEY_BYTES) != 0;
}

/* The two last elements of identities and key files. */
void wc_recovery_pack(struct wc_buf *out, const struct wc_org *org)
{
    wc_pack_bin(out, wc_slice(org->recovery_key, WC_KEY_BYTES));
    wc_pack_bin(out, wc_slice(org->rotation, org->rotation_len));
}

/* The recovery key, and that the rotation (if any) is by it and led to the key. */
int wc_recovery_read(const struct wc_obj *key, const struct wc_obj *rotation,
                     struct wc_org *org, struct wc_err *err)
{
    struct wc_slice bytes = {0};
    struct wc_org before;
    int rc = wc_field_bin(key, "recovery key", org->recovery_key, WC_KEY_BYTES, err);
    if (rc == 0 && wc_obj_bin(rotation, &bytes) != 0)
        rc = wc_fail(err, WC_ETYPE, "rotation", "must be bytes");
    if (rc != 0 || bytes.len == 0)
        return rc;
    before = *org;
    rc = wc_org_rotate(&before, bytes);
    if (rc == 0 && memcmp(before.key, org->key, WC_KEY_BYTES) != 0)
        rc = -WC_EBADSIG;
    if (rc == 0)
        *org = before;
    wc_wipe(&before, sizeof(before));
    return rc == 0 ? 0 : wc_fail(err, (enum wc_error)(-rc), "rotation", NULL);
}

static void identity_digest(uint8_t out[WC_DIGEST_BYTES], const struct wc_identity *id)
{
    uint8_t lengths[4];
    wc_put_u32(lengths, (uint32_t)strlen(id->org.name));
    struct wc_slice parts[] = {
        wc_slice_text("whocan identity"),
        wc_slice(id->org.id, WC_ORG_ID_BYTES),
        wc_slice(lengths, sizeof(lengths)),
        wc_slice_text(id->org.name),
        wc_slice(id->org.key, WC_KEY_BYTES),
        wc_slice(id->org.secret, WC_SECRET_BYTES),
        wc_slice(id->sign_seed, WC_KEY_BYTES),
        wc_slice(id->link_secret, WC_KEY_BYTES),
        wc_slice(id->org.recovery_key, WC_KEY_BYTES),
        wc_slice(id->org.rotation, id->org.rotation_len),
    };
    wc_hash(out, parts, sizeof(parts) / sizeof(parts[0]));
}

int wc_identity_encode(const struct wc_identity *identity, struct wc_buf *out)
{
    uint8_t check[WC_DIGEST_BYTES];
    identity_digest(check, identity);
    wc_pack_array(out, 11);
    wc_pack_u64(out, IDENTITY_VERSION);
    wc_pack_bin(out, wc_slice(identity->org.id, WC_ORG_ID_BYTES));
    wc_pack_text(out, identity->org.name);
    wc_pack_bin(out, wc_slice(identity->org.key, WC_KEY_BYTES));
    wc_pack_bin(out, wc_slice(identity->org.secret, WC_SECRET_BYTES));
    wc_pack_bin(out, wc_slice(identity->cert_bytes, identity->cert_len));
    wc_pack_bin(out, wc_slice(identity->sign_seed, WC_KEY_BYTES));
    wc_pack_bin(out, wc_slice(identity->link_secret, WC_KEY_BYTES));
    wc_recovery_pack(out, &identity->org);
    wc_pack_bin(out, wc_slice(check, CHECK_BYTES));
    return out->failed ? -WC_ENOMEM : 0;
}

/* Whether the secrets are those of the certificate, and nothing was changed on the way:
 * an office with another recovery key than all others would be lost at a rotation. */
static int identity_check(struct wc_identity *identity,
                          const uint8_t check[CHECK_BYTES], struct wc_err *err)
{
    uint8_t link_key[WC_KEY_BYTES], digest[WC_DIGEST_BYTES];
    wc_signer_init(&identity->signer, identity->sign_seed);
    wc_dh_public(link_key, identity->link_secret);
    if (memcmp(identity->signer.key, identity->cert.sign_key, WC_KEY_BYTES) != 0 ||
        memcmp(link_key, identity->cert.link_key, WC_KEY_BYTES) != 0)
        return wc_fail(err, WC_EINVALID, "identity",
                       "has keys that are not those of its certificate");
    identity_digest(digest, identity);
    if (!wc_equal(digest, check, CHECK_BYTES))
        return wc_fail(err, WC_EINVALID, "identity", "has a typing error in it");
    return 0;
}

static int decode_identity(const struct wc_obj *root, struct wc_identity *id,
                           struct wc_err *err)
{
    struct wc_slice cert = {0};
    uint8_t check[CHECK_BYTES];
    int rc = wc_field_version(root, 11, IDENTITY_VERSION, "identity", err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 1), "organisation id", id->org.id,
                          WC_ORG_ID_BYTES, err);
    if (rc == 0)
        rc = wc_field_copy(wc_obj_at(root, 2), &org_name_rule, id->org.name, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 3), "organisation key", id->org.key,
                          WC_KEY_BYTES, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 4), "organisation secret", id->org.secret,
                          WC_SECRET_BYTES, err);
    if (rc == 0 && wc_obj_bin(wc_obj_at(root, 5), &cert) != 0)
        rc = wc_fail(err, WC_ETYPE, "certificate", "must be bytes");
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 6), "sign seed", id->sign_seed, WC_KEY_BYTES,
                          err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 7), "link secret", id->link_secret,
                          WC_KEY_BYTES, err);
    if (rc == 0)
        rc = wc_recovery_read(wc_obj_at(root, 8), wc_obj_at(root, 9), &id->org, err);
    if (rc == 0)
        rc = wc_cert_open(cert, &id->org, &id->cert, err);
    if (rc != 0)
        return rc;
    memcpy(id->cert_bytes, cert.data, cert.len);
    id->cert_len = cert.len;
    rc = wc_field_bin(wc_obj_at(root, 10), "check", check, sizeof(check), err);
    return rc == 0 ? identity_check(id, check, err) : rc;
}

int wc_identity_decode(struct wc_slice bytes, struct wc_identity *out,
                       struct wc_err *err)
{
    struct wc_doc *doc;
    *out = (struct wc_identity){0};
    int rc = wc_field_doc(bytes, "identity", &doc, err);
    if (rc != 0)
        return rc;
    rc = decode_identity(wc_doc_root(doc), out, err);
    wc_doc_free(doc);
    if (rc != 0)
        wc_identity_fini(out);
    return rc;
}

/* ---- invitations ---- */

static const struct wc_line_rule invite_line = {
    "invitation",
    "whocan-invite-1:", "must start with whocan-invite-1:", TEXT_FILE_MAX_BYTES};

int wc_invite_line(const struct wc_identity *identity, struct wc_buf *out)
{
    struct wc_buf raw = {0};
    wc_buf_reserve(&raw, (size_t)2 * WC_CERT_MAX_BYTES); /* growth leaves no copies */
    int rc = wc_identity_encode(identity, &raw);
    if (rc == 0)
        rc = wc_line_encode(&invite_line, wc_buf_slice(&raw), out);
    wc_line_wipe(&raw);
    return rc;
}

int wc_invite_parse(struct wc_slice line, struct wc_identity *out, struct wc_err *err)
{
    struct wc_buf raw = {0};
    *out = (struct wc_identity){0};
    int rc = wc_line_decode(&invite_line, line, &raw, err);
    if (rc == 0)
        rc = wc_identity_decode(wc_buf_slice(&raw), out, err);
    wc_line_wipe(&raw);
    return rc;
}

/* ---- the recovery line ---- */

static const struct wc_line_rule recovery_line = {
    "recovery line",
    "whocan-recovery-1:", "must start with whocan-recovery-1:", TEXT_FILE_MAX_BYTES};

static void recovery_check(uint8_t check[WC_DIGEST_BYTES], const struct wc_recovery *r)
{
    struct wc_slice parts[] = {
        wc_slice_text("whocan recovery"), wc_slice(r->seed, WC_KEY_BYTES),
        wc_slice(r->org_secret, WC_SECRET_BYTES), wc_slice(r->org_id, WC_ORG_ID_BYTES),
        wc_slice_text(r->org_name)};
    wc_hash(check, parts, 5);
}

int wc_recovery_line(const struct wc_recovery *r, struct wc_buf *out)
{
    struct wc_buf raw = {0};
    uint8_t check[WC_DIGEST_BYTES];
    recovery_check(check, r);
    wc_buf_reserve(&raw, WC_CERT_MAX_BYTES); /* growth leaves no copies */
    wc_pack_array(&raw, 6);
    wc_pack_u64(&raw, RECOVERY_VERSION);
    wc_pack_bin(&raw, wc_slice(r->org_id, WC_ORG_ID_BYTES));
    wc_pack_text(&raw, r->org_name);
    wc_pack_bin(&raw, wc_slice(r->seed, WC_KEY_BYTES));
    wc_pack_bin(&raw, wc_slice(r->org_secret, WC_SECRET_BYTES));
    wc_pack_bin(&raw, wc_slice(check, CHECK_BYTES));
    int rc = raw.failed ? -WC_ENOMEM
                        : wc_line_encode(&recovery_line, wc_buf_slice(&raw), out);
    wc_line_wipe(&raw);
    return rc;
}

static int decode_recovery(const struct wc_obj *root, struct wc_recovery *r,
                           struct wc_err *err)
{
    uint8_t check[WC_DIGEST_BYTES], written[CHECK_BYTES];
    int rc = wc_field_version(root, 6, RECOVERY_VERSION, "recovery line", err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 1), "organisation id", r->org_id,
                          WC_ORG_ID_BYTES, err);
    if (rc == 0)
        rc = wc_field_copy(wc_obj_at(root, 2), &org_name_rule, r->org_name, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 3), "recovery seed", r->seed, WC_KEY_BYTES,
                          err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 4), "organisation secret", r->org_secret,
                          WC_SECRET_BYTES, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 5), "check", written, sizeof(written), err);
    if (rc != 0)
        return rc;
    recovery_check(check, r);
    if (!wc_equal(check, written, sizeof(written)))
        return wc_fail(err, WC_EINVALID, "recovery line", "has a typing error in it");
    return 0;
}

int wc_recovery_parse(struct wc_slice line, struct wc_recovery *out, struct wc_err *err)
{
    struct wc_buf raw = {0};
    struct wc_doc *doc = NULL;
    *out = (struct wc_recovery){0};
    int rc = wc_line_decode(&recovery_line, line, &raw, err);
    if (rc != 0)
        goto out;
    rc = wc_doc_new(wc_buf_slice(&raw), &wc_scan_default, &doc);
    if (rc == -WC_ENOMEM)
        wc_fail(err, WC_ENOMEM, "recovery line", NULL);
    else if (rc != 0)
        rc = wc_fail(err, WC_EINVALID, "recovery line", "has a typing error in it");
    else
        rc = decode_recovery(wc_doc_root(doc), out, err);
out:
    wc_doc_free(doc);
    wc_line_wipe(&raw);
    if (rc != 0)
        wc_wipe(out, sizeof(*out));
    return rc;
}

/* ---- the organisation's key file ---- */

/* Seal seed and secret under the passphrase; random: salt and nonce. */
static int orgkey_seal(struct wc_orgkey *k, const uint8_t seed[WC_KEY_BYTES],
                       struct wc_slice passphrase, const uint8_t *random)
{
    struct wc_buf plain = {0};
    uint8_t key[WC_SECRET_BYTES];
    k->ops = ORGKEY_OPS;
    k->mem_bytes = ORGKEY_MEM_BYTES;
    memcpy(k->salt, random, WC_SALT_BYTES);
    memcpy(k->nonce, random + WC_SALT_BYTES, WC_BOX_NONCE_BYTES);
    wc_buf_reserve(&plain, sizeof(k->box)); /* growth leaves no copies */
    wc_pack_array(&plain, 3);
    wc_pack_bin(&plain, wc_slice(seed, WC_KEY_BYTES));
    wc_pack_bin(&plain, wc_slice(k->org.secret, WC_SECRET_BYTES));
    wc_pack_bin(&plain, wc_slice(k->org.recovery_key, WC_KEY_BYTES));
    int rc = plain.failed ? -WC_ENOMEM
                          : wc_pwhash(key, passphrase, k->salt, k->ops, k->mem_bytes);
    if (rc == 0) {
        k->box_len = plain.len + WC_AEAD_TAG_BYTES;
        assert(k->box_len <= sizeof(k->box));
        wc_box_seal(k->box, key, k->nonce, wc_buf_slice(&plain));
    }
    wc_wipe(key, sizeof(key));
    wc_line_wipe(&plain);
    return rc;
}

void wc_orgkey_fini(struct wc_orgkey *k)
{
    wc_register_fini(&k->reg);
    wc_wipe(k, sizeof(*k));
}

int wc_orgkey_create(struct wc_orgkey *out, const char *name,
                     struct wc_slice passphrase,
                     const uint8_t random[WC_ORGKEY_RANDOM_BYTES],
                     struct wc_recovery *recovery)
{
    const uint8_t *seed = random, *sealing = seed + WC_KEY_BYTES,
                  *secret = random + WC_ORGKEY_ROTATE_RANDOM_BYTES,
                  *id = secret + WC_SECRET_BYTES, *recovery_seed = id + WC_ORG_ID_BYTES;
    struct wc_signer signer;

    *out = (struct wc_orgkey){.next_serial = 1};
    *recovery = (struct wc_recovery){0};
    if (wc_text_check(wc_slice_text(name), &org_name_rule, NULL) != 0)
        return -WC_EINVALID;
    wc_slice_copy(wc_slice_text(name), out->org.name, sizeof(out->org.name));
    memcpy(out->org.id, id, WC_ORG_ID_BYTES);
    memcpy(out->org.secret, secret, WC_SECRET_BYTES);
    wc_signer_init(&signer, seed);
    memcpy(out->org.key, signer.key, WC_KEY_BYTES);
    wc_signer_init(&signer, recovery_seed);
    memcpy(out->org.recovery_key, signer.key, WC_KEY_BYTES);
    wc_signer_fini(&signer);
    int rc = orgkey_seal(out, seed, passphrase, sealing);
    wc_wipe(out->org.secret, WC_SECRET_BYTES); /* until it is unlocked */
    if (rc != 0)
        return rc;
    memcpy(recovery->org_id, id, WC_ORG_ID_BYTES);
    memcpy(recovery->org_name, out->org.name, sizeof(recovery->org_name));
    memcpy(recovery->seed, recovery_seed, WC_KEY_BYTES);
    memcpy(recovery->org_secret, secret, WC_SECRET_BYTES);
    return 0;
}

/* Sign for the new key in out->org. */
static int sign_rotation(struct wc_orgkey *out, const struct wc_recovery *recovery,
                         const uint8_t new_key[WC_KEY_BYTES], uint64_t now_ms)
{
    struct wc_buf rotation = {0};
    struct wc_signer by;
    wc_signer_init(&by, recovery->seed);
    int rc = -WC_EORGANISATION;
    if (memcmp(by.key, out->org.recovery_key, WC_KEY_BYTES) == 0)
        rc = wc_rotate_build(new_key, wc_org_rotations(&out->org) + 1, &by, now_ms,
                             &rotation);
    if (rc == 0)
        rc = wc_org_rotate(&out->org, wc_buf_slice(&rotation));
    wc_signer_fini(&by);
    wc_buf_fini(&rotation);
    return rc;
}

int wc_orgkey_rotate(struct wc_orgkey *out, const struct wc_org *org,
                     const struct wc_recovery *recovery, uint64_t next_serial,
                     struct wc_slice passphrase, uint64_t now_ms,
                     const uint8_t random[WC_ORGKEY_ROTATE_RANDOM_BYTES],
                     struct wc_signer *signer)
{
    *out = (struct wc_orgkey){.org = *org, .next_serial = next_serial};
    memcpy(out->org.name, recovery->org_name, sizeof(out->org.name));
    memcpy(out->org.secret, recovery->org_secret, WC_SECRET_BYTES);
    wc_signer_init(signer, random);
    int rc =
        memcmp(org->id, recovery->org_id, WC_ORG_ID_BYTES) == 0 ? 0 : -WC_EORGANISATION;
    if (rc == 0)
        rc = sign_rotation(out, recovery, signer->key, now_ms);
    if (rc == 0)
        rc = orgkey_seal(out, random, passphrase, random + WC_KEY_BYTES);
    if (rc != 0) {
        wc_signer_fini(signer);
        wc_wipe(out, sizeof(*out));
    }
    return rc;
}

int wc_orgkey_encode(const struct wc_orgkey *k, struct wc_buf *out)
{
    struct wc_buf raw = {0}, text = {0}, reg = {0};
    wc_register_encode(&k->reg, &reg);
    wc_pack_array(&raw, 13);
    wc_pack_u64(&raw, ORGKEY_VERSION);
    wc_pack_bin(&raw, wc_slice(k->org.id, WC_ORG_ID_BYTES));
    wc_pack_text(&raw, k->org.name);
    wc_pack_bin(&raw, wc_slice(k->org.key, WC_KEY_BYTES));
    wc_pack_u64(&raw, k->next_serial);
    wc_pack_bin(&raw, wc_slice(k->salt, WC_SALT_BYTES));
    wc_pack_u64(&raw, k->ops);
    wc_pack_u64(&raw, k->mem_bytes);
    wc_pack_bin(&raw, wc_slice(k->nonce, WC_BOX_NONCE_BYTES));
    wc_pack_bin(&raw, wc_slice(k->box, k->box_len));
    wc_pack_bin(&raw, wc_buf_slice(&reg));
    wc_recovery_pack(&raw, &k->org);
    wc_buf_base64url(&text, wc_buf_slice(&raw));
    wc_buf_text(out, ORGKEY_HEADER);
    for (size_t i = 0; i < text.len; i += ORGKEY_COLUMN) {
        size_t left = text.len - i;
        wc_buf_append(out, text.data + i, left < ORGKEY_COLUMN ? left : ORGKEY_COLUMN);
        wc_buf_byte(out, '\n');
    }
    int rc = reg.failed || raw.failed || text.failed || out->failed ? -WC_ENOMEM : 0;
    wc_buf_fini(&reg);
    wc_buf_fini(&text);
    wc_buf_fini(&raw);
    return rc;
}

static int decode_box(const struct wc_obj *o, struct wc_orgkey *k, struct wc_err *err)
{
    struct wc_slice box;
    if (wc_obj_bin(o, &box) != 0)
        return wc_fail(err, WC_ETYPE, "organisation key file", "must have a box");
    if (box.len > sizeof(k->box))
        return wc_fail(err, WC_ETOOBIG, "organisation key file", "has too large a box");
    if (box.len > 0)
        memcpy(k->box, box.data, box.len);
    k->box_len = box.len;
    return 0;
}

/* After the key, which signed what it holds. */
static int decode_register(const struct wc_obj *o, struct wc_orgkey *k,
                           struct wc_err *err)
{
    struct wc_slice bytes;
    if (wc_obj_bin(o, &bytes) != 0)
        return wc_fail(err, WC_ETYPE, "organisation key file", "must have a register");
    return wc_register_decode(bytes, &k->org, &k->reg, err);
}

static int decode_orgkey(const struct wc_obj *root, struct wc_orgkey *k,
                         struct wc_err *err)
{
    uint64_t ops = 0;
    int rc = wc_field_version(root, 13, ORGKEY_VERSION, "organisation key file", err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 1), "organisation id", k->org.id,
                          WC_ORG_ID_BYTES, err);
    if (rc == 0)
        rc = wc_field_copy(wc_obj_at(root, 2), &org_name_rule, k->org.name, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 3), "organisation key", k->org.key,
                          WC_KEY_BYTES, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 4), "next serial", WC_REV_MAX,
                          &k->next_serial, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 5), "salt", k->salt, WC_SALT_BYTES, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 6), "ops", UINT32_MAX, &ops, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 7), "memory", UINT64_MAX, &k->mem_bytes, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 8), "nonce", k->nonce, WC_BOX_NONCE_BYTES,
                          err);
    k->ops = (uint32_t)ops;
    if (rc == 0)
        rc = decode_box(wc_obj_at(root, 9), k, err);
    if (rc == 0)
        rc = wc_recovery_read(wc_obj_at(root, 11), wc_obj_at(root, 12), &k->org, err);
    return rc == 0 ? decode_register(wc_obj_at(root, 10), k, err) : rc;
}

static const struct wc_scan_limits orgkey_scan = {
    .bytes_max = WC_ORGKEY_TEXT_MAX_BYTES, .depth_max = 2, .nodes_max = 16};

int wc_orgkey_decode(struct wc_slice text, struct wc_orgkey *out, struct wc_err *err)
{
    struct wc_buf raw = {0};
    struct wc_doc *doc = NULL;
    struct wc_orgkey k = {0};
    if (text.len > WC_ORGKEY_TEXT_MAX_BYTES)
        return wc_fail(err, WC_ETOOBIG, "organisation key file",
                       "is too long to be one");
    if (!wc_line_take(&text, ORGKEY_HEADER))
        return wc_fail(err, WC_EINVALID, "organisation key file",
                       "must start with the line 'whocan organisation key 1'");
    int rc = wc_line_decode_wrapped(text, &raw);
    if (rc != 0)
        wc_fail(err, (enum wc_error)(-rc), "organisation key file",
                rc == -WC_EINVALID ? "is damaged" : NULL);
    else if ((rc = wc_doc_new(wc_buf_slice(&raw), &orgkey_scan, &doc)) != 0)
        wc_fail(err, (enum wc_error)(-rc), "organisation key file", NULL);
    else
        rc = decode_orgkey(wc_doc_root(doc), &k, err);
    if (rc == 0)
        *out = k;
    else
        wc_register_fini(&k.reg);
    wc_doc_free(doc);
    wc_buf_fini(&raw);
    return rc;
}

/* Take the seed and the secret from the opened box; -WC_EBADSIG when they are not this
 * organisation's. */
static int open_secrets(struct wc_slice plain, struct wc_orgkey *k,
                        struct wc_signer *signer)
{
    struct wc_doc *doc;
    uint8_t seed[WC_KEY_BYTES], secret[WC_SECRET_BYTES], recovery[WC_KEY_BYTES];
    int rc = wc_doc_new(plain, &wc_scan_default, &doc);
    if (rc != 0)
        return rc == -WC_ENOMEM ? rc : -WC_EBADSIG;
    const struct wc_obj *root = wc_doc_root(doc);
    bool ok = wc_obj_count(root) == 3 &&
              wc_obj_bin_exact(wc_obj_at(root, 0), seed, sizeof(seed)) == 0 &&
              wc_obj_bin_exact(wc_obj_at(root, 1), secret, sizeof(secret)) == 0 &&
              wc_obj_bin_exact(wc_obj_at(root, 2), recovery, sizeof(recovery)) == 0;
    wc_doc_free(doc);
    if (ok) {
        wc_signer_init(signer, seed);
        ok = memcmp(signer->key, k->org.key, WC_KEY_BYTES) == 0 &&
             memcmp(recovery, k->org.recovery_key, WC_KEY_BYTES) == 0;
    }
    if (ok)
        memcpy(k->org.secret, secret, sizeof(secret));
    wc_wipe(seed, sizeof(seed));
    wc_wipe(secret, sizeof(secret));
    return ok ? 0 : -WC_EBADSIG;
}

int wc_orgkey_unlock(struct wc_orgkey *k, struct wc_slice passphrase,
                     struct wc_signer *signer)
{
    uint8_t key[WC_SECRET_BYTES], plain[sizeof(k->box)];
    if (k->box_len < WC_AEAD_TAG_BYTES)
        return -WC_EBADSIG;
    int rc = wc_pwhash(key, passphrase, k->salt, k->ops, k->mem_bytes);
    if (rc == 0)
        rc = wc_box_open(plain, key, k->nonce, wc_slice(k->box, k->box_len));
    wc_wipe(key, sizeof(key));
    if (rc != 0)
        return rc;
    rc = open_secrets(wc_slice(plain, k->box_len - WC_AEAD_TAG_BYTES), k, signer);
    if (rc != 0)
        wc_signer_fini(signer);
    wc_wipe(plain, sizeof(plain));
    return rc;
}

int wc_orgkey_invite(struct wc_orgkey *k, const struct wc_signer *org,
                     const char *office_name, const char *title, uint32_t quota,
                     uint64_t now_ms, uint32_t days,
                     const uint8_t seeds[2 * WC_KEY_BYTES], struct wc_identity *out)
{
    *out = (struct wc_identity){0};
    if (days == 0 || now_ms > WC_REV_MAX || k->next_serial >= WC_REV_MAX ||
        memcmp(org->key, k->org.key, WC_KEY_BYTES) != 0)
        return -WC_EINVALID;
    if (!wc_slice_copy(wc_slice_text(office_name), out->cert.name,
                       sizeof(out->cert.name)) ||
        !wc_slice_copy(wc_slice_text(title), out->cert.title,
                       sizeof(out->cert.title))) {
        wc_identity_fini(out);
        return -WC_EINVALID;
    }
    out->org = k->org;
    memcpy(out->sign_seed, seeds, WC_KEY_BYTES);
    memcpy(out->link_secret, seeds + WC_KEY_BYTES, WC_KEY_BYTES);
    out->cert.not_before_ms = now_ms;
    out->cert.not_after_ms = now_ms + days * WC_DAY_MS;
    out->cert.serial = k->next_serial;
    out->cert.quota = quota;
    int rc = identity_certify(out, org);
    if (rc == 0)
        rc = wc_register_add(&k->reg, &k->org, wc_slice(out->cert_bytes, out->cert_len),
                             NULL);
    if (rc == 0)
        k->next_serial++;
    else
        wc_identity_fini(out);
    return rc;
}

int wc_orgkey_revoke(struct wc_orgkey *k, const struct wc_signer *org,
                     const uint8_t key[WC_KEY_BYTES], uint64_t now_ms,
                     struct wc_buf *out)
{
    if (now_ms == 0 || now_ms > WC_REV_MAX ||
        memcmp(org->key, k->org.key, WC_KEY_BYTES) != 0)
        return -WC_EINVALID;
    int rc = wc_revoke_build(key, org, now_ms, out);
    if (rc == 0)
        rc = wc_register_revoke(&k->reg, key, now_ms);
    return rc == -WC_EEXISTS ? 0 : rc;
}

int wc_orgkey_reissue(struct wc_orgkey *k, const struct wc_signer *org,
                      struct wc_cert *cert, uint64_t now_ms, struct wc_buf *bytes,
                      struct wc_buf *grant)
{
    struct wc_cert issued = *cert;
    struct wc_buf fresh = {0};
    if (k->next_serial >= WC_REV_MAX || memcmp(org->key, k->org.key, WC_KEY_BYTES) != 0)
        return -WC_EINVALID;
    memcpy(issued.org_id, k->org.id, WC_ORG_ID_BYTES);
    issued.serial = k->next_serial;
    int rc = wc_cert_issue(&issued, org, &fresh);
    if (rc == 0)
        rc = wc_grant_build(wc_buf_slice(&fresh), org, now_ms, grant);
    if (rc == 0) {
        wc_buf_append(bytes, fresh.data, fresh.len);
        rc = bytes->failed ? -WC_ENOMEM : 0;
    }
    if (rc == 0)
        rc = wc_register_add(&k->reg, &k->org, wc_buf_slice(&fresh), NULL);
    if (rc == 0) {
        *cert = issued;
        k->next_serial++;
    }
    wc_buf_fini(&fresh);
    return rc;
}
