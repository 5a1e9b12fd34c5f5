/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <whocan/admit.h>
#include <whocan/pack.h>
#include <whocan/register.h>

#include "proto/field.h"
#include "proto/line.h"
#include "proto/recovery.h"

#define REQUEST_VERSION   1
#define ADMISSION_VERSION 1

#define REQUEST_DOMAIN   "whocan request"
#define REQUEST_KIND     0
#define ADMISSION_DOMAIN "whocan admission"

#define LINE_MAX_BYTES 8192 /* either is under 3 KiB */

static const struct wc_line_rule request_line = {
    "request",
    "whocan-request-1:", "must start with whocan-request-1:", LINE_MAX_BYTES};
static const struct wc_line_rule admission_line = {
    "admission",
    "whocan-admission-1:", "must start with whocan-admission-1:", LINE_MAX_BYTES};

static const struct wc_text_rule name_rule = {
    "office name", WC_OFFICE_NAME_MAX_BYTES,
    "must be 1 to 32 characters of a-z, 0-9 and '-'", false, false};
static const struct wc_text_rule title_rule = {
    "office title", WC_TITLE_MAX_BYTES, "must be at most 200 bytes long", false, true};
static const struct wc_text_rule org_name_rule = {
    "organisation name", WC_TITLE_MAX_BYTES, "must be at most 200 bytes long", false,
    false};

/* ---- requests ---- */

static int check_names(const char *name, const char *title, struct wc_err *err)
{
    if (!wc_office_name_valid(wc_slice_text(name)))
        return wc_fail(err, WC_EINVALID, "office name",
                       "must be 1 to 32 characters of a-z, 0-9 and '-'");
    return wc_text_check(wc_slice_text(title), &title_rule, err) == 0
               ? 0
               : wc_fail(err, WC_EINVALID, "office title",
                         "must be text of at most 200 bytes on one line");
}

int wc_request_line(const struct wc_identity *office, const char *name,
                    const char *title, uint64_t now_ms, struct wc_buf *out)
{
    struct wc_buf body = {0}, raw = {0};
    uint8_t sig[WC_SIG_BYTES];
    int rc = now_ms > WC_REV_MAX ? -WC_EINVALID : check_names(name, title, NULL);
    if (rc != 0)
        return rc;
    wc_pack_array(&body, 6);
    wc_pack_u64(&body, REQUEST_VERSION);
    wc_pack_text(&body, name);
    wc_pack_text(&body, title);
    wc_pack_bin(&body, wc_slice(office->cert.sign_key, WC_KEY_BYTES));
    wc_pack_bin(&body, wc_slice(office->cert.link_key, WC_KEY_BYTES));
    wc_pack_u64(&body, now_ms);
    rc = body.failed ? -WC_ENOMEM
                     : wc_sign(sig, &office->signer, REQUEST_DOMAIN, REQUEST_KIND,
                               wc_buf_slice(&body));
    if (rc == 0) {
        wc_pack_array(&raw, 2);
        wc_pack_bin(&raw, wc_buf_slice(&body));
        wc_pack_bin(&raw, wc_slice(sig, sizeof(sig)));
        rc = raw.failed ? -WC_ENOMEM
                        : wc_line_encode(&request_line, wc_buf_slice(&raw), out);
    }
    wc_buf_fini(&raw);
    wc_buf_fini(&body);
    return rc;
}

static int decode_request_body(const struct wc_obj *root, struct wc_office_request *r,
                               struct wc_err *err)
{
    int rc = wc_field_version(root, 6, REQUEST_VERSION, "request", err);
    if (rc == 0)
        rc = wc_field_copy(wc_obj_at(root, 1), &name_rule, r->name, err);
    if (rc == 0)
        rc = wc_field_copy(wc_obj_at(root, 2), &title_rule, r->title, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 3), "sign key", r->sign_key, WC_KEY_BYTES,
                          err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 4), "link key", r->link_key, WC_KEY_BYTES,
                          err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 5), "at", WC_REV_MAX, &r->at_ms, err);
    return rc == 0 ? check_names(r->name, r->title, err) : rc;
}

static int decode_request(struct wc_slice raw, struct wc_office_request *r,
                          struct wc_err *err)
{
    struct wc_doc *outer = NULL, *inner = NULL;
    struct wc_slice body = {0};
    uint8_t sig[WC_SIG_BYTES];
    int rc = wc_field_doc(raw, "request", &outer, err);
    if (rc != 0)
        return rc;
    const struct wc_obj *root = wc_doc_root(outer);
    if (wc_obj_type(root) != WC_ARRAY || wc_obj_count(root) != 2 ||
        wc_obj_bin(wc_obj_at(root, 0), &body) != 0)
        rc = wc_fail(err, WC_ETYPE, "request", "must be a body and a signature");
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 1), "request signature", sig, WC_SIG_BYTES,
                          err);
    if (rc == 0)
        rc = wc_field_doc(body, "request", &inner, err);
    if (rc == 0)
        rc = decode_request_body(wc_doc_root(inner), r, err);
    if (rc == 0 && wc_verify(sig, r->sign_key, REQUEST_DOMAIN, REQUEST_KIND, body) != 0)
        rc = wc_fail(err, WC_EBADSIG, "request", NULL);
    wc_doc_free(inner);
    wc_doc_free(outer);
    return rc;
}

int wc_request_parse(struct wc_slice line, struct wc_office_request *out,
                     struct wc_err *err)
{
    struct wc_office_request r = {.at_ms = 0};
    struct wc_buf raw = {0};
    int rc = wc_line_decode(&request_line, line, &raw, err);
    if (rc == 0)
        rc = decode_request(wc_buf_slice(&raw), &r, err);
    if (rc == 0)
        *out = r;
    wc_buf_fini(&raw);
    return rc;
}

/* ---- admissions ---- */

/* What the sealed box binds the rest to: a bit that is changed anywhere is noticed. */
static void admission_digest(uint8_t out[WC_DIGEST_BYTES], const struct wc_org *org,
                             struct wc_slice cert)
{
    uint8_t len[4];
    wc_put_u32(len, (uint32_t)strlen(org->name));
    struct wc_slice parts[] = {wc_slice_text(ADMISSION_DOMAIN),
                               wc_slice(org->id, WC_ORG_ID_BYTES),
                               wc_slice(org->key, WC_KEY_BYTES),
                               wc_slice(len, sizeof(len)),
                               wc_slice_text(org->name),
                               wc_slice(org->recovery_key, WC_KEY_BYTES),
                               wc_slice(org->rotation, org->rotation_len),
                               cert};
    wc_hash(out, parts, sizeof(parts) / sizeof(parts[0]));
}

#define SEALED_PLAIN_BYTES (WC_SECRET_BYTES + WC_DIGEST_BYTES)

static int pack_admission(const struct wc_org *org, struct wc_slice cert,
                          const uint8_t link_key[WC_KEY_BYTES],
                          const uint8_t seed[WC_KEY_BYTES], struct wc_buf *out)
{
    uint8_t plain[SEALED_PLAIN_BYTES];
    uint8_t sealed[SEALED_PLAIN_BYTES + WC_SEAL_EXTRA_BYTES];
    struct wc_buf raw = {0};
    memcpy(plain, org->secret, WC_SECRET_BYTES);
    admission_digest(plain + WC_SECRET_BYTES, org, cert);
    int rc = wc_seal(sealed, link_key, seed, wc_slice(plain, sizeof(plain)));
    wc_wipe(plain, sizeof(plain));
    if (rc != 0)
        return rc;
    wc_pack_array(&raw, 8);
    wc_pack_u64(&raw, ADMISSION_VERSION);
    wc_pack_bin(&raw, wc_slice(org->id, WC_ORG_ID_BYTES));
    wc_pack_text(&raw, org->name);
    wc_pack_bin(&raw, wc_slice(org->key, WC_KEY_BYTES));
    wc_pack_bin(&raw, cert);
    wc_pack_bin(&raw, wc_slice(sealed, sizeof(sealed)));
    wc_recovery_pack(&raw, org);
    rc = raw.failed ? -WC_ENOMEM
                    : wc_line_encode(&admission_line, wc_buf_slice(&raw), out);
    wc_buf_fini(&raw);
    return rc;
}

int wc_orgkey_admit(struct wc_orgkey *k, const struct wc_signer *org,
                    const struct wc_office_request *request, uint32_t quota,
                    uint64_t now_ms, uint32_t days, const uint8_t seed[WC_KEY_BYTES],
                    struct wc_cert *cert, struct wc_buf *out)
{
    struct wc_cert c = {.not_before_ms = now_ms,
                        .not_after_ms = now_ms + days * WC_DAY_MS,
                        .serial = k->next_serial,
                        .quota = quota};
    struct wc_buf bytes = {0};
    if (days == 0 || now_ms > WC_REV_MAX || k->next_serial >= WC_REV_MAX ||
        memcmp(org->key, k->org.key, WC_KEY_BYTES) != 0)
        return -WC_EINVALID;
    if (wc_register_revoked_at(&k->reg, request->sign_key) != 0)
        return -WC_EREVOKED;
    memcpy(c.org_id, k->org.id, WC_ORG_ID_BYTES);
    memcpy(c.name, request->name, sizeof(c.name));
    memcpy(c.title, request->title, sizeof(c.title));
    memcpy(c.sign_key, request->sign_key, WC_KEY_BYTES);
    memcpy(c.link_key, request->link_key, WC_KEY_BYTES);
    int rc = wc_cert_issue(&c, org, &bytes);
    if (rc == 0)
        rc = pack_admission(&k->org, wc_buf_slice(&bytes), c.link_key, seed, out);
    if (rc == 0)
        rc = wc_register_add(&k->reg, &k->org, wc_buf_slice(&bytes), NULL);
    if (rc == 0) {
        k->next_serial++;
        if (cert != NULL)
            *cert = c;
    }
    wc_buf_fini(&bytes);
    return rc;
}

/* The certificate, for the keys of `mine`. */
static int take_cert(const struct wc_obj *o, const struct wc_identity *mine,
                     struct wc_identity *id, struct wc_err *err)
{
    struct wc_slice cert = {0};
    if (wc_obj_bin(o, &cert) != 0)
        return wc_fail(err, WC_ETYPE, "certificate", "must be bytes");
    int rc = wc_cert_open(cert, &id->org, &id->cert, err);
    if (rc != 0)
        return rc;
    if (memcmp(id->cert.sign_key, mine->cert.sign_key, WC_KEY_BYTES) != 0 ||
        memcmp(id->cert.link_key, mine->cert.link_key, WC_KEY_BYTES) != 0)
        return wc_fail(err, WC_EDENIED, "admission",
                       "is the answer to the request of another office");
    memcpy(id->cert_bytes, cert.data, cert.len);
    id->cert_len = cert.len;
    return 0;
}

static int unseal(const struct wc_obj *o, const struct wc_identity *mine,
                  struct wc_identity *id, struct wc_err *err)
{
    uint8_t sealed[SEALED_PLAIN_BYTES + WC_SEAL_EXTRA_BYTES];
    uint8_t plain[SEALED_PLAIN_BYTES], digest[WC_DIGEST_BYTES];
    int rc = wc_field_bin(o, "sealed secret", sealed, sizeof(sealed), err);
    if (rc != 0)
        return rc;
    admission_digest(digest, &id->org, wc_slice(id->cert_bytes, id->cert_len));
    if (wc_seal_open(plain, mine->cert.link_key, mine->link_secret,
                     wc_slice(sealed, sizeof(sealed))) != 0 ||
        !wc_equal(plain + WC_SECRET_BYTES, digest, WC_DIGEST_BYTES))
        rc = wc_fail(err, WC_EBADSIG, "admission",
                     "was changed on its way: copy the whole line and nothing else");
    else
        memcpy(id->org.secret, plain, WC_SECRET_BYTES);
    wc_wipe(plain, sizeof(plain));
    return rc;
}

static int decode_admission(const struct wc_obj *root, const struct wc_identity *mine,
                            struct wc_identity *id, struct wc_err *err)
{
    int rc = wc_field_version(root, 8, ADMISSION_VERSION, "admission", err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 1), "organisation id", id->org.id,
                          WC_ORG_ID_BYTES, err);
    if (rc == 0)
        rc = wc_field_copy(wc_obj_at(root, 2), &org_name_rule, id->org.name, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 3), "organisation key", id->org.key,
                          WC_KEY_BYTES, err);
    if (rc == 0)
        rc = wc_recovery_read(wc_obj_at(root, 6), wc_obj_at(root, 7), &id->org, err);
    if (rc == 0)
        rc = take_cert(wc_obj_at(root, 4), mine, id, err);
    return rc == 0 ? unseal(wc_obj_at(root, 5), mine, id, err) : rc;
}

int wc_admission_open(struct wc_slice line, const struct wc_identity *mine,
                      struct wc_identity *out, struct wc_err *err)
{
    struct wc_buf raw = {0};
    struct wc_doc *doc = NULL;
    *out = (struct wc_identity){0};
    int rc = wc_line_decode(&admission_line, line, &raw, err);
    if (rc == 0)
        rc = wc_field_doc(wc_buf_slice(&raw), "admission", &doc, err);
    if (rc == 0)
        rc = decode_admission(wc_doc_root(doc), mine, out, err);
    if (rc == 0) {
        out->signer = mine->signer;
        memcpy(out->sign_seed, mine->sign_seed, WC_KEY_BYTES);
        memcpy(out->link_secret, mine->link_secret, WC_KEY_BYTES);
    } else {
        wc_identity_fini(out);
    }
    wc_doc_free(doc);
    wc_buf_fini(&raw);
    return rc;
}
