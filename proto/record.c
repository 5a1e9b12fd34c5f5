/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include <whocan/person.h>
#include <whocan/record.h>

#include "proto/field.h"

#define RECORD_VERSION 1

#define BODY_DOMAIN    "whocan body"
#define STAMP_DOMAIN   "whocan stamp"
#define SLOT_DOMAIN    "whocan slot"
#define SUBJECT_DOMAIN "whocan subject"

#define ROTATE_SUBJECT "organisation"

/* ---- order, leases, slots ---- */

int wc_version_cmp(const struct wc_version *a, const struct wc_version *b)
{
    if (a->rev != b->rev)
        return a->rev < b->rev ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return memcmp(a->digest, b->digest, WC_DIGEST_BYTES);
}

bool wc_kind_by_organisation(uint8_t kind)
{
    return kind == WC_KIND_REVOKE || kind == WC_KIND_GRANT || kind == WC_KIND_ROTATE;
}

uint64_t wc_kind_lease_max_ms(uint8_t kind)
{
    if (wc_kind_by_organisation(kind))
        return UINT64_MAX;
    if (kind == WC_KIND_RETIRE)
        return WC_RETIRE_LEASE_MS;
    if (kind == WC_KIND_ASK || kind == WC_KIND_OFFER)
        return WC_ASK_LEASE_MAX_MS;
    /* kinds of the future too: none may outlive the retirement that ends it */
    return WC_PROFILE_LEASE_MAX_MS;
}

int wc_record_dates(const struct wc_record *r, uint64_t now_ms)
{
    if (wc_kind_by_organisation(r->kind))
        return r->kind == WC_KIND_GRANT && now_ms >= r->expires_at_ms ? -WC_EEXPIRED
                                                                      : 0;
    if (r->stamped_at_ms > now_ms && r->stamped_at_ms - now_ms > WC_FUTURE_SLACK_MS)
        return -WC_EFUTURE;
    if (r->expires_at_ms <= r->stamped_at_ms ||
        r->expires_at_ms - r->stamped_at_ms > wc_kind_lease_max_ms(r->kind))
        return -WC_ELEASE;
    return now_ms >= r->expires_at_ms ? -WC_EEXPIRED : 0;
}

static void slot_part(uint8_t out[WC_DIGEST_BYTES], const char *domain, uint8_t kind,
                      const uint8_t office_key[WC_KEY_BYTES], struct wc_slice last)
{
    struct wc_slice parts[] = {
        wc_slice_text(domain),
        wc_slice(&kind, 1),
        wc_slice(office_key, WC_KEY_BYTES),
        last,
    };
    wc_hash(out, parts, 4);
}

void wc_slot(uint8_t out[WC_DIGEST_BYTES], uint8_t kind,
             const uint8_t office_key[WC_KEY_BYTES], const char *subject)
{
    uint8_t hash[WC_DIGEST_BYTES];
    slot_part(hash, SUBJECT_DOMAIN, kind, office_key, wc_slice_text(subject));
    slot_part(out, SLOT_DOMAIN, kind, office_key, wc_slice(hash, sizeof(hash)));
}

int wc_retire_slot(uint8_t out[WC_DIGEST_BYTES], uint8_t ends_kind,
                   const uint8_t office_key[WC_KEY_BYTES], const char *subject)
{
    uint8_t hash[WC_DIGEST_BYTES];
    if (wc_unhex(hash, sizeof(hash), wc_slice_text(subject)) != 0)
        return -WC_EINVALID;
    slot_part(out, SLOT_DOMAIN, ends_kind, office_key, wc_slice(hash, sizeof(hash)));
    return 0;
}

void wc_record_slot(const struct wc_record *r, uint8_t out[WC_DIGEST_BYTES])
{
    if (r->kind != WC_KIND_RETIRE) {
        wc_slot(out, r->kind, r->office_key, r->subject);
        return;
    }
    int rc = wc_retire_slot(out, r->slot_kind, r->office_key, r->subject);
    assert(rc == 0); /* it was decoded, and the subject looked at */
    (void)rc;
}

void wc_record_item(const uint8_t slot[WC_DIGEST_BYTES],
                    const struct wc_version *version,
                    const uint8_t org_secret[WC_SECRET_BYTES],
                    uint8_t out[WC_DIGEST_BYTES])
{
    uint8_t numbers[16];
    wc_put_u64(numbers, version->rev);
    wc_put_u64(numbers + 8, version->seq);
    struct wc_slice parts[] = {
        wc_slice(slot, WC_DIGEST_BYTES),
        wc_slice(numbers, sizeof(numbers)),
        wc_slice(version->digest, WC_DIGEST_BYTES),
    };
    wc_hash_keyed(out, WC_DIGEST_BYTES, org_secret, parts, 3);
}

static void content_digest(uint8_t out[WC_DIGEST_BYTES], uint8_t kind,
                           struct wc_slice body, const uint8_t author_key[WC_KEY_BYTES],
                           const uint8_t author_sig[WC_SIG_BYTES])
{
    struct wc_slice parts[] = {
        wc_slice(&kind, 1),
        body,
        wc_slice(author_key, WC_KEY_BYTES),
        wc_slice(author_sig, WC_SIG_BYTES),
    };
    wc_hash(out, parts, 4);
}

/* ---- subjects ---- */

static bool is_lower_hex(struct wc_slice s, size_t digits)
{
    if (s.len != digits)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

static bool subject_plain(struct wc_slice s)
{
    if (s.len == 0 || s.len > WC_SUBJECT_MAX_BYTES)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
              c == '_' || c == '-'))
            return false;
    }
    return true;
}

/* Whether a plain subject can be one of this kind. */
static bool subject_fits(uint8_t kind, struct wc_slice s)
{
    switch (kind) {
    case WC_KIND_CARD:
        return wc_slice_is(s, "card");
    case WC_KIND_REVOKE:
    case WC_KIND_GRANT:
        return is_lower_hex(s, (size_t)2 * WC_KEY_BYTES);
    case WC_KIND_ROTATE:
        return wc_slice_is(s, ROTATE_SUBJECT);
    case WC_KIND_ROW:
    case WC_KIND_PROFILE:
        return wc_login_valid(s);
    case WC_KIND_ASK:
        return is_lower_hex(s, (size_t)2 * WC_ASK_ID_BYTES);
    case WC_KIND_RETIRE:
        return is_lower_hex(s, (size_t)2 * WC_DIGEST_BYTES);
    }
    return true; /* offers, thanks and kinds of the future say no more */
}

/* ---- bodies ---- */

void wc_body_begin(struct wc_buf *b, const uint8_t office_key[WC_KEY_BYTES],
                   const char *subject, uint64_t rev, uint32_t extra)
{
    wc_pack_map(b, 3 + extra);
    wc_pack_text(b, "office");
    wc_pack_bin(b, wc_slice(office_key, WC_KEY_BYTES));
    wc_pack_text(b, "subject");
    wc_pack_text(b, subject);
    wc_pack_text(b, "rev");
    wc_pack_u64(b, rev);
}

static int read_subject(const struct wc_obj *o, const char *field,
                        char subject[WC_SUBJECT_MAX_BYTES + 1], struct wc_err *err)
{
    struct wc_slice text;
    int rc = wc_obj_str(o, &text);
    if (rc == -WC_EMISSING)
        return wc_fail(err, WC_EMISSING, field, "is missing");
    if (rc == -WC_ETYPE)
        return wc_fail(err, WC_ETYPE, field, "must be text");
    if (rc != 0 || !subject_plain(text))
        return wc_fail(err, WC_EINVALID, field,
                       "must be 1 to 64 characters of a-z, 0-9, '.', '_' and '-'");
    wc_slice_copy(text, subject, WC_SUBJECT_MAX_BYTES + 1);
    return 0;
}

static int read_rev(const struct wc_obj *o, const char *field, uint64_t *rev,
                    struct wc_err *err)
{
    int rc = wc_field_u64(o, field, WC_REV_MAX, rev, err);
    if (rc == 0 && *rev == 0)
        return wc_fail(err, WC_EINVALID, field, "must be at least 1");
    return rc;
}

int wc_body_header(const struct wc_obj *body, uint8_t office_key[WC_KEY_BYTES],
                   char subject[WC_SUBJECT_MAX_BYTES + 1], uint64_t *rev,
                   struct wc_err *err)
{
    if (body == NULL || wc_obj_type(body) != WC_MAP)
        return wc_fail(err, WC_ETYPE, "body", "must be a map");
    if (!wc_obj_keys_unique(body))
        return wc_fail(err, WC_EINVALID, "body", "must have text keys that all differ");
    int rc = wc_field_bin(wc_obj_get(body, "office"), "office", office_key,
                          WC_KEY_BYTES, err);
    if (rc == 0)
        rc = read_subject(wc_obj_get(body, "subject"), "subject", subject, err);
    if (rc == 0)
        rc = read_rev(wc_obj_get(body, "rev"), "rev", rev, err);
    return rc;
}

int wc_body_sign(uint8_t sig[WC_SIG_BYTES], uint8_t kind, struct wc_slice body,
                 const struct wc_signer *author)
{
    return wc_sign(sig, author, BODY_DOMAIN, kind, body);
}

int wc_body_verify(const uint8_t sig[WC_SIG_BYTES], uint8_t kind, struct wc_slice body,
                   const uint8_t author_key[WC_KEY_BYTES])
{
    return wc_verify(sig, author_key, BODY_DOMAIN, kind, body);
}

/* ---- decoding ---- */

static int read_bin(const struct wc_obj *o, const char *field, struct wc_slice *out,
                    struct wc_err *err)
{
    return wc_obj_bin(o, out) == 0 ? 0 : wc_fail(err, WC_ETYPE, field, "must be bytes");
}

static int decode_envelope(const struct wc_obj *root, struct wc_record *r,
                           struct wc_slice *stamp_sig, struct wc_err *err)
{
    uint64_t version, kind;
    if (wc_obj_type(root) != WC_ARRAY || wc_obj_count(root) < 1)
        return wc_fail(err, WC_ETYPE, "record", "must be an array");
    int rc = wc_field_u64(wc_obj_at(root, 0), "version", UINT64_MAX, &version, err);
    if (rc != 0)
        return rc;
    if (version != RECORD_VERSION)
        return wc_fail(err, WC_EVERSION, "version", NULL);
    if (wc_obj_count(root) != 7)
        return wc_fail(err, WC_EINVALID, "record", "must have seven elements");
    if ((rc = wc_field_u64(wc_obj_at(root, 1), "kind", WC_KIND_MAX, &kind, err)) != 0)
        return rc;
    if (kind == 0)
        return wc_fail(err, WC_EINVALID, "kind", "must be at least 1");
    r->kind = (uint8_t)kind;
    r->slot_kind = r->kind;
    rc = read_bin(wc_obj_at(root, 2), "body", &r->body, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 3), "author_key", r->author_key, WC_KEY_BYTES,
                          err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 4), "author_sig", r->author_sig, WC_SIG_BYTES,
                          err);
    if (rc == 0)
        rc = read_bin(wc_obj_at(root, 5), "stamp", &r->stamp, err);
    if (rc == 0)
        rc = read_bin(wc_obj_at(root, 6), "stamp_sig", stamp_sig, err);
    return rc;
}

/* A granted certificate names the key and the number that the record is filed under. */
static int decode_grant(const struct wc_obj *body, struct wc_record *r,
                        struct wc_err *err)
{
    struct wc_cert cert;
    char hex[2 * WC_KEY_BYTES + 1];
    const struct wc_obj *bytes = wc_obj_get(body, "cert");
    if (bytes == NULL)
        return wc_fail(err, WC_EMISSING, "cert", "is missing");
    int rc = read_bin(bytes, "cert", &r->granted, err);
    if (rc == 0)
        rc = wc_cert_read(r->granted, &cert, err);
    if (rc != 0)
        return rc;
    wc_hex(hex, cert.sign_key, WC_KEY_BYTES);
    if (strcmp(hex, r->subject) != 0)
        return wc_fail(err, WC_EINVALID, "cert", "is for another key than the subject");
    if (cert.serial != r->version.rev)
        return wc_fail(err, WC_EINVALID, "rev", "must be the certificate's serial");
    r->expires_at_ms = cert.not_after_ms;
    return 0;
}

/* A statement: everything comes from the body, and nothing from a stamp. */
static int decode_statement(const struct wc_obj *body, struct wc_record *r,
                            struct wc_slice stamp_sig, struct wc_err *err)
{
    if (r->stamp.len != 0 || stamp_sig.len != 0)
        return wc_fail(err, WC_EINVALID, "stamp",
                       "must be empty in what the organisation signs");
    if (r->kind == WC_KIND_REVOKE && r->version.rev != 1)
        return wc_fail(err, WC_EINVALID, "rev", "must be 1 in a revocation");
    if (r->kind == WC_KIND_ROTATE && r->bytes.len > WC_ROTATION_MAX_BYTES)
        return wc_fail(err, WC_ETOOBIG, "record", "is too long to be a rotation");
    r->version.seq = 0;
    r->expires_at_ms = UINT64_MAX;
    int rc =
        wc_field_u64(wc_obj_get(body, "at"), "at", WC_REV_MAX, &r->stamped_at_ms, err);
    if (rc == 0 && r->kind == WC_KIND_GRANT)
        rc = decode_grant(body, r, err);
    if (rc == 0 && r->kind == WC_KIND_ROTATE)
        rc =
            wc_field_bin(wc_obj_get(body, "key"), "key", r->new_key, WC_KEY_BYTES, err);
    return rc;
}

/* Header, subject and what the kind itself needs in order to be placed. */
static int decode_body(struct wc_record *r, struct wc_slice stamp_sig,
                       struct wc_err *err)
{
    struct wc_doc *doc;
    int rc = wc_field_doc(r->body, "body", &doc, err);
    if (rc != 0)
        return rc;
    const struct wc_obj *body = wc_doc_root(doc);
    rc = wc_body_header(body, r->office_key, r->subject, &r->version.rev, err);
    if (rc == 0 && r->kind == WC_KIND_RETIRE)
        rc = wc_retire_decode(body, &r->slot_kind, &r->erases, err);
    if (rc == 0 && !subject_fits(r->kind, wc_slice_text(r->subject)))
        rc = wc_fail(err, WC_EINVALID, "subject", "is not a subject of its kind");
    if (rc == 0 && wc_kind_by_organisation(r->kind))
        rc = decode_statement(body, r, stamp_sig, err);
    wc_doc_free(doc);
    return rc;
}

static int decode_stamp_fields(const struct wc_obj *root, struct wc_record *r,
                               struct wc_err *err)
{
    uint8_t office_key[WC_KEY_BYTES], digest[WC_DIGEST_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev = 0;
    if (wc_obj_type(root) != WC_ARRAY || wc_obj_count(root) != 7)
        return wc_fail(err, WC_ETYPE, "stamp", "must be an array of seven elements");
    int rc =
        wc_field_bin(wc_obj_at(root, 0), "stamp.office", office_key, WC_KEY_BYTES, err);
    if (rc == 0)
        rc = read_subject(wc_obj_at(root, 1), "stamp.subject", subject, err);
    if (rc == 0)
        rc = read_rev(wc_obj_at(root, 2), "stamp.rev", &rev, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 3), "stamp.seq", WC_REV_MAX, &r->version.seq,
                          err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 4), "stamp.stamped_at", WC_REV_MAX,
                          &r->stamped_at_ms, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(root, 5), "stamp.expires_at", WC_REV_MAX,
                          &r->expires_at_ms, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_at(root, 6), "stamp.digest", digest, WC_DIGEST_BYTES,
                          err);
    if (rc != 0)
        return rc;
    if (memcmp(office_key, r->office_key, WC_KEY_BYTES) != 0 ||
        strcmp(subject, r->subject) != 0 || rev != r->version.rev)
        return wc_fail(err, WC_EINVALID, "stamp",
                       "must name the office, subject and rev of the body");
    if (memcmp(digest, r->version.digest, WC_DIGEST_BYTES) != 0)
        return wc_fail(err, WC_EINVALID, "stamp.digest", "is not that of the content");
    return 0;
}

static int decode_stamp(struct wc_record *r, struct wc_slice stamp_sig,
                        struct wc_err *err)
{
    struct wc_doc *doc;
    if (stamp_sig.len != WC_SIG_BYTES)
        return wc_fail(err, WC_EINVALID, "stamp_sig", "has the wrong length");
    memcpy(r->stamp_sig, stamp_sig.data, WC_SIG_BYTES);
    int rc = wc_field_doc(r->stamp, "stamp", &doc, err);
    if (rc != 0)
        return rc;
    rc = decode_stamp_fields(wc_doc_root(doc), r, err);
    wc_doc_free(doc);
    return rc;
}

int wc_record_decode(struct wc_slice bytes, struct wc_record *out, struct wc_err *err)
{
    struct wc_record r = {.bytes = bytes};
    struct wc_slice stamp_sig = {0};
    struct wc_doc *doc;
    if (bytes.len > WC_RECORD_MAX_BYTES)
        return wc_fail(err, WC_ETOOBIG, "record", "must be at most 16384 bytes long");
    int rc = wc_field_doc(bytes, "record", &doc, err);
    if (rc != 0)
        return rc;
    rc = decode_envelope(wc_doc_root(doc), &r, &stamp_sig, err);
    if (rc == 0)
        rc = decode_body(&r, stamp_sig, err);
    if (rc == 0)
        content_digest(r.version.digest, r.kind, r.body, r.author_key, r.author_sig);
    if (rc == 0 && !wc_kind_by_organisation(r.kind))
        rc = decode_stamp(&r, stamp_sig, err);
    wc_doc_free(doc);
    if (rc == 0)
        *out = r;
    return rc;
}

/* Whether the organisation's key for such statements is the author. */
static int verify_author(const struct wc_record *r, const struct wc_org *org)
{
    const uint8_t *key = r->kind == WC_KIND_ROTATE ? org->recovery_key : org->key;
    if (r->kind == WC_KIND_ROTATE && !wc_org_has_recovery(org))
        return -WC_EDENIED;
    return memcmp(r->author_key, key, WC_KEY_BYTES) == 0 ? 0 : -WC_EDENIED;
}

int wc_record_verify(const struct wc_record *r, const struct wc_org *org)
{
    bool statement = wc_kind_by_organisation(r->kind);
    bool by_office = statement || r->kind == WC_KIND_CARD || r->kind == WC_KIND_ROW ||
                     r->kind == WC_KIND_RETIRE;
    struct wc_cert cert;
    if (by_office && memcmp(r->author_key, r->office_key, WC_KEY_BYTES) != 0)
        return -WC_EDENIED;
    int rc = statement ? verify_author(r, org) : 0;
    if (rc == 0)
        rc = wc_body_verify(r->author_sig, r->kind, r->body, r->author_key);
    if (rc == 0 && !statement)
        rc = wc_verify(r->stamp_sig, r->office_key, STAMP_DOMAIN, r->kind, r->stamp);
    if (rc == 0 && r->kind == WC_KIND_GRANT)
        rc = wc_cert_open(r->granted, org, &cert, NULL);
    return rc;
}

int wc_stamp_verify(const uint8_t sig[WC_SIG_BYTES],
                    const uint8_t office_key[WC_KEY_BYTES], uint8_t kind,
                    struct wc_slice stamp)
{
    return wc_verify(sig, office_key, STAMP_DOMAIN, kind, stamp);
}

/* ---- building ---- */

/* Append the envelope; what it holds must be what wc_record_decode() accepts. */
static int build_record(const struct wc_record *r, bool stamped, struct wc_buf *out)
{
    size_t start = out->len;
    wc_pack_array(out, 7);
    wc_pack_u64(out, RECORD_VERSION);
    wc_pack_u64(out, r->kind);
    wc_pack_bin(out, r->body);
    wc_pack_bin(out, wc_slice(r->author_key, WC_KEY_BYTES));
    wc_pack_bin(out, wc_slice(r->author_sig, WC_SIG_BYTES));
    wc_pack_bin(out, r->stamp);
    wc_pack_bin(out, wc_slice(r->stamp_sig, stamped ? WC_SIG_BYTES : 0));

    struct wc_record check;
    int rc = out->failed
                 ? -WC_ENOMEM
                 : wc_record_decode(wc_slice(out->data + start, out->len - start),
                                    &check, NULL);
    if (rc != 0 && !out->failed)
        out->len = start;
    return rc;
}

static int pack_stamp(const struct wc_record *r, struct wc_buf *out)
{
    wc_pack_array(out, 7);
    wc_pack_bin(out, wc_slice(r->office_key, WC_KEY_BYTES));
    wc_pack_text(out, r->subject);
    wc_pack_u64(out, r->version.rev);
    wc_pack_u64(out, r->version.seq);
    wc_pack_u64(out, r->stamped_at_ms);
    wc_pack_u64(out, r->expires_at_ms);
    wc_pack_bin(out, wc_slice(r->version.digest, WC_DIGEST_BYTES));
    return out->failed ? -WC_ENOMEM : 0;
}

/* The office, subject and rev that a body names. */
static int body_names(struct wc_record *r)
{
    struct wc_doc *doc;
    int rc = wc_doc_new(r->body, &wc_scan_default, &doc);
    if (rc != 0)
        return rc == -WC_ENOMEM || rc == -WC_ETOOBIG ? rc : -WC_EINVALID;
    rc = wc_body_header(wc_doc_root(doc), r->office_key, r->subject, &r->version.rev,
                        NULL);
    wc_doc_free(doc);
    return rc == 0 ? 0 : -WC_EINVALID;
}

int wc_record_stamp(uint8_t kind, struct wc_slice body,
                    const uint8_t author_key[WC_KEY_BYTES],
                    const uint8_t author_sig[WC_SIG_BYTES],
                    const struct wc_signer *office,
                    const struct wc_stamp_params *params, struct wc_buf *out)
{
    struct wc_buf stamp = {0};
    struct wc_record r = {.kind = kind,
                          .body = body,
                          .version.seq = params->seq,
                          .stamped_at_ms = params->stamped_at_ms,
                          .expires_at_ms = params->expires_at_ms};
    if (body.len > WC_RECORD_MAX_BYTES)
        return -WC_ETOOBIG;
    int rc = body_names(&r);
    if (rc != 0)
        return rc;
    if (wc_kind_by_organisation(kind) ||
        memcmp(r.office_key, office->key, WC_KEY_BYTES) != 0)
        return -WC_EINVALID;
    memcpy(r.author_key, author_key, WC_KEY_BYTES);
    memcpy(r.author_sig, author_sig, WC_SIG_BYTES);
    content_digest(r.version.digest, kind, body, author_key, author_sig);

    if ((rc = pack_stamp(&r, &stamp)) != 0)
        goto out;
    r.stamp = wc_buf_slice(&stamp);
    if ((rc = wc_sign(r.stamp_sig, office, STAMP_DOMAIN, kind, r.stamp)) != 0)
        goto out;
    rc = build_record(&r, true, out);
out:
    wc_buf_fini(&stamp);
    return rc;
}

int wc_record_statement(uint8_t kind, struct wc_slice body, const struct wc_signer *org,
                        struct wc_buf *out)
{
    struct wc_record r = {.kind = kind, .body = body};
    if (!wc_kind_by_organisation(kind))
        return -WC_EINVALID;
    memcpy(r.author_key, org->key, WC_KEY_BYTES);
    int rc = wc_body_sign(r.author_sig, kind, body, org);
    return rc == 0 ? build_record(&r, false, out) : rc;
}

/* Sign a body, which is emptied. */
static int build_statement(uint8_t kind, struct wc_buf *body,
                           const struct wc_signer *signer, struct wc_buf *out)
{
    int rc = body->failed ? -WC_ENOMEM
                          : wc_record_statement(kind, wc_buf_slice(body), signer, out);
    wc_buf_fini(body);
    return rc;
}

int wc_revoke_build(const uint8_t key[WC_KEY_BYTES], const struct wc_signer *org,
                    uint64_t now_ms, struct wc_buf *out)
{
    struct wc_buf body = {0};
    char subject[2 * WC_KEY_BYTES + 1];
    wc_hex(subject, key, WC_KEY_BYTES);
    wc_body_begin(&body, org->key, subject, 1, 1);
    wc_pack_text(&body, "at");
    wc_pack_u64(&body, now_ms);
    return build_statement(WC_KIND_REVOKE, &body, org, out);
}

int wc_grant_build(struct wc_slice cert, const struct wc_signer *org, uint64_t now_ms,
                   struct wc_buf *out)
{
    struct wc_buf body = {0};
    struct wc_cert granted;
    char subject[2 * WC_KEY_BYTES + 1];
    int rc = wc_cert_read(cert, &granted, NULL);
    if (rc != 0)
        return rc;
    wc_hex(subject, granted.sign_key, WC_KEY_BYTES);
    wc_body_begin(&body, org->key, subject, granted.serial, 2);
    wc_pack_text(&body, "at");
    wc_pack_u64(&body, now_ms);
    wc_pack_text(&body, "cert");
    wc_pack_bin(&body, cert);
    return build_statement(WC_KIND_GRANT, &body, org, out);
}

int wc_rotate_build(const uint8_t new_key[WC_KEY_BYTES], uint64_t rev,
                    const struct wc_signer *recovery, uint64_t now_ms,
                    struct wc_buf *out)
{
    struct wc_buf body = {0};
    if (rev == 0 || rev > WC_REV_MAX)
        return -WC_EINVALID;
    wc_body_begin(&body, recovery->key, ROTATE_SUBJECT, rev, 2);
    wc_pack_text(&body, "at");
    wc_pack_u64(&body, now_ms);
    wc_pack_text(&body, "key");
    wc_pack_bin(&body, wc_slice(new_key, WC_KEY_BYTES));
    return build_statement(WC_KIND_ROTATE, &body, recovery, out);
}

int wc_org_rotate(struct wc_org *org, struct wc_slice rotation)
{
    struct wc_record r = {0}, last = {0};
    int rc = wc_record_decode(rotation, &r, NULL);
    if (rc != 0)
        return rc;
    if (r.kind != WC_KIND_ROTATE)
        return -WC_EDENIED;
    if ((rc = wc_record_verify(&r, org)) != 0)
        return rc;
    if (org->rotation_len > 0) {
        rc = wc_record_decode(wc_slice(org->rotation, org->rotation_len), &last, NULL);
        if (rc != 0)
            return rc;
        if (wc_version_cmp(&r.version, &last.version) <= 0)
            return -WC_ESTALE;
    }
    memcpy(org->key, r.new_key, WC_KEY_BYTES);
    memcpy(org->rotation, rotation.data, rotation.len);
    org->rotation_len = rotation.len;
    return 0;
}

uint64_t wc_org_rotations(const struct wc_org *org)
{
    struct wc_record r = {0};
    if (org->rotation_len == 0 ||
        wc_record_decode(wc_slice(org->rotation, org->rotation_len), &r, NULL) != 0)
        return 0;
    return r.version.rev;
}

/* ---- office cards ---- */

/* "host:port": what follows is the transport's to parse. */
static bool address_valid(struct wc_slice s)
{
    if (s.len < 3 || s.len > WC_ADDRESS_MAX_BYTES)
        return false;
    size_t colon = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f)
            return false;
        if (s.data[i] == ':')
            colon = i;
    }
    if (colon == 0 || colon + 1 == s.len || s.len - colon > 6)
        return false;
    for (size_t i = colon + 1; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    }
    return true;
}

/* "0.1.0", "1.2~rc1-3": graphic characters. */
static bool program_valid(struct wc_slice s)
{
    if (s.len < 1 || s.len > WC_PROGRAM_MAX_BYTES)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f)
            return false;
    }
    return true;
}

int wc_card_body(const uint8_t office_key[WC_KEY_BYTES], uint64_t rev,
                 const struct wc_card *card, struct wc_buf *out)
{
    bool erased = card->erased_count > 0, program = card->version[0] != '\0';
    if (card->cert.len > WC_CERT_MAX_BYTES ||
        card->address_count > WC_ADDRESSES_MAX_COUNT ||
        card->erased_count > WC_ERASED_MAX_COUNT)
        return -WC_ETOOBIG;
    for (uint32_t i = 0; i < card->address_count; i++) {
        if (!address_valid(wc_slice_text(card->addresses[i])))
            return -WC_EINVALID;
    }
    if (program && !program_valid(wc_slice_text(card->version)))
        return -WC_EINVALID;
    wc_body_begin(out, office_key, "card", rev, 2u + erased + program);
    wc_pack_text(out, "cert");
    wc_pack_bin(out, card->cert);
    wc_pack_text(out, "addresses");
    wc_pack_array(out, card->address_count);
    for (uint32_t i = 0; i < card->address_count; i++)
        wc_pack_text(out, card->addresses[i]);
    if (erased) {
        wc_pack_text(out, "erased");
        wc_pack_array(out, card->erased_count);
    }
    for (uint32_t i = 0; i < card->erased_count; i++)
        wc_pack_bin(out, wc_slice(card->erased[i], WC_ERASED_MARK_BYTES));
    if (program) {
        wc_pack_text(out, "version");
        wc_pack_text(out, card->version);
    }
    return out->failed ? -WC_ENOMEM : 0;
}

/* Absent in the card of an office that has erased nothing, or knows nothing of it. */
static int decode_erased(const struct wc_obj *list, struct wc_card *card,
                         struct wc_err *err)
{
    if (list == NULL)
        return 0;
    if (wc_obj_type(list) != WC_ARRAY)
        return wc_fail(err, WC_ETYPE, "erased", "must be a list");
    if (wc_obj_count(list) > WC_ERASED_MAX_COUNT)
        return wc_fail(err, WC_ETOOBIG, "erased", "may list at most 256");
    card->erased_count = wc_obj_count(list);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < card->erased_count; i++)
        rc = wc_field_bin(wc_obj_at(list, i), "erased[]", card->erased[i],
                          WC_ERASED_MARK_BYTES, err);
    return rc;
}

/* Absent in the card of an office that does not say it. */
static int decode_version(const struct wc_obj *text, struct wc_card *card,
                          struct wc_err *err)
{
    struct wc_slice version;
    if (text == NULL)
        return 0;
    if (wc_obj_str(text, &version) != 0 || !program_valid(version))
        return wc_fail(err, WC_EINVALID, "version",
                       "must be 1 to 32 graphic characters");
    wc_slice_copy(version, card->version, sizeof(card->version));
    return 0;
}

int wc_card_decode(const struct wc_obj *body, struct wc_card *out, struct wc_err *err)
{
    struct wc_card card = {0};
    const struct wc_obj *cert = wc_obj_get(body, "cert");
    const struct wc_obj *addresses = wc_obj_get(body, "addresses");
    if (cert == NULL)
        return wc_fail(err, WC_EMISSING, "cert", "is missing");
    int rc = read_bin(cert, "cert", &card.cert, err);
    if (rc != 0)
        return rc;
    if (card.cert.len > WC_CERT_MAX_BYTES)
        return wc_fail(err, WC_ETOOBIG, "cert", "must be at most 1024 bytes long");
    if (addresses == NULL)
        return wc_fail(err, WC_EMISSING, "addresses", "is missing");
    if (wc_obj_type(addresses) != WC_ARRAY)
        return wc_fail(err, WC_ETYPE, "addresses", "must be a list");
    card.address_count = wc_obj_count(addresses);
    if (card.address_count > WC_ADDRESSES_MAX_COUNT)
        return wc_fail(err, WC_ETOOBIG, "addresses", "may list at most 8");
    for (uint32_t i = 0; i < card.address_count; i++) {
        struct wc_slice text;
        if (wc_obj_str(wc_obj_at(addresses, i), &text) != 0 || !address_valid(text))
            return wc_fail(err, WC_EINVALID, "addresses[]", "must be HOST:PORT");
        wc_slice_copy(text, card.addresses[i], sizeof(card.addresses[i]));
    }
    rc = decode_erased(wc_obj_get(body, "erased"), &card, err);
    if (rc == 0)
        rc = decode_version(wc_obj_get(body, "version"), &card, err);
    if (rc == 0)
        *out = card;
    return rc;
}

/* ---- asks ---- */

static const struct wc_text_rule ask_text_rule = {
    "text", WC_ASK_TEXT_MAX_BYTES, "must be at most 1000 bytes long", true, false};
static_assert(WC_ASK_TEXT_MAX_BYTES == 1000, "the text above names the limit");

int wc_ask_body(const uint8_t office_key[WC_KEY_BYTES], uint64_t rev,
                const struct wc_ask *ask, struct wc_buf *out)
{
    char subject[2 * WC_ASK_ID_BYTES + 1];
    int rc = wc_text_check(ask->text, &ask_text_rule, NULL);
    if (rc != 0)
        return rc;
    if (!wc_login_valid(ask->by))
        return -WC_EINVALID;
    wc_hex(subject, ask->id, WC_ASK_ID_BYTES);
    wc_body_begin(out, office_key, subject, rev, 3);
    wc_pack_text(out, "text");
    wc_pack_str(out, ask->text);
    wc_pack_text(out, "by");
    wc_pack_str(out, ask->by);
    wc_pack_text(out, "id");
    wc_pack_bin(out, wc_slice(ask->id, WC_ASK_ID_BYTES));
    return out->failed ? -WC_ENOMEM : 0;
}

int wc_ask_decode(const struct wc_obj *body, struct wc_ask *out, struct wc_err *err)
{
    struct wc_ask ask = {0};
    struct wc_slice subject;
    char hex[2 * WC_ASK_ID_BYTES + 1];
    int rc = wc_field_text(wc_obj_get(body, "text"), &ask_text_rule, &ask.text, err);
    if (rc == 0)
        rc = wc_field_bin(wc_obj_get(body, "id"), "id", ask.id, WC_ASK_ID_BYTES, err);
    if (rc != 0)
        return rc;
    if (wc_obj_str(wc_obj_get(body, "by"), &ask.by) != 0 || !wc_login_valid(ask.by))
        return wc_fail(err, WC_EINVALID, "by", "must be a login");
    wc_hex(hex, ask.id, WC_ASK_ID_BYTES);
    if (wc_obj_str(wc_obj_get(body, "subject"), &subject) != 0 ||
        !wc_slice_is(subject, hex))
        return wc_fail(err, WC_EINVALID, "subject", "must be the id in hexadecimal");
    *out = ask;
    return 0;
}

/* ---- retirements ---- */

/* Whether a retirement may end a record of that kind: statements are not an office's. */
static bool kind_ends(uint64_t kind)
{
    return kind >= 1 && kind <= WC_KIND_MAX &&
           !wc_kind_by_organisation((uint8_t)kind) && kind != WC_KIND_RETIRE;
}

int wc_retire_body(const uint8_t office_key[WC_KEY_BYTES], const char *subject,
                   uint64_t rev, uint8_t ends_kind, bool erase, struct wc_buf *out)
{
    uint8_t hash[WC_DIGEST_BYTES];
    char hex[2 * WC_DIGEST_BYTES + 1];
    if (!kind_ends(ends_kind))
        return -WC_EINVALID;
    slot_part(hash, SUBJECT_DOMAIN, ends_kind, office_key, wc_slice_text(subject));
    wc_hex(hex, hash, sizeof(hash));
    wc_body_begin(out, office_key, hex, rev, erase ? 2 : 1);
    wc_pack_text(out, "kind");
    wc_pack_u64(out, ends_kind);
    if (erase) {
        wc_pack_text(out, "erase");
        wc_pack_bool(out, true);
    }
    return out->failed ? -WC_ENOMEM : 0;
}

int wc_retire_decode(const struct wc_obj *body, uint8_t *ends_kind, bool *erase,
                     struct wc_err *err)
{
    const struct wc_obj *flag = wc_obj_get(body, "erase");
    bool erases = false;
    uint64_t kind;
    int rc = wc_field_u64(wc_obj_get(body, "kind"), "kind", WC_KIND_MAX, &kind, err);
    if (rc != 0)
        return rc;
    if (!kind_ends(kind))
        return wc_fail(err, WC_EINVALID, "kind", "must be a kind that can end");
    if (flag != NULL && wc_obj_bool(flag, &erases) != 0)
        return wc_fail(err, WC_ETYPE, "erase", "must be true or false");
    *ends_kind = (uint8_t)kind;
    *erase = erases;
    return 0;
}
