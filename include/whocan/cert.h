/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who belongs to the organisation: the organisation's public side, office certificates,
 * the invitation that an office joins with, and the organisation's offline key file.
 */
#ifndef WHOCAN_CERT_H
#define WHOCAN_CERT_H

#include <whocan/bytes.h>
#include <whocan/crypto.h>
#include <whocan/error.h>
#include <whocan/limits.h>

/* What every office of an organisation holds. `secret` keys the beacon, the first
 * handshake message and the reconciliation digests: never log it. */
struct wc_org {
    uint8_t id[WC_ORG_ID_BYTES]; /* drawn at creation; stays when the key changes */
    char name[WC_TITLE_MAX_BYTES + 1];
    uint8_t key[WC_KEY_BYTES]; /* Ed25519: signs certificates, grants and revocations,
                                  nothing else */
    uint8_t secret[WC_SECRET_BYTES];
    uint8_t recovery_key[WC_KEY_BYTES]; /* Ed25519: signs rotations, nothing else; all
                                           zero: there is none, and the key stays */
    uint8_t rotation[WC_ROTATION_MAX_BYTES]; /* the record that made `key` the key */
    size_t rotation_len;                     /* 0: it is the first one */
};

/* Whether its key can ever change. */
bool wc_org_has_recovery(const struct wc_org *org);

/*
 * certificate = [ body (bin), sig (bin 64) ], sig by the organisation key over the
 * exact body bytes with the domain "whocan certificate". body = [ version = 1, org id
 * (bin 16), office name (str), title (str), sign key (bin 32), link key (bin 32),
 * not_before_ms, not_after_ms, serial, quota ]
 */
struct wc_cert {
    uint8_t org_id[WC_ORG_ID_BYTES];
    char name[WC_OFFICE_NAME_MAX_BYTES +
              1];                       /* slug, unique in the organisation: "leeds" */
    char title[WC_TITLE_MAX_BYTES + 1]; /* "Leeds Civic Hall" */
    uint8_t sign_key[WC_KEY_BYTES];     /* Ed25519: the "office key" of records */
    uint8_t link_key[WC_KEY_BYTES];     /* X25519: the static key of the Noise link */
    uint64_t not_before_ms;
    uint64_t not_after_ms;
    uint64_t serial;
    uint32_t quota; /* people this office may have */
};

/* An office name: 1..32 of [a-z0-9-], starting and ending with a letter or digit. */
bool wc_office_name_valid(struct wc_slice name);

/* Append the certificate of `cert`, signed by the organisation's key. -WC_EINVALID for
 * a bad field, -WC_ENOMEM. */
int wc_cert_issue(const struct wc_cert *cert, const struct wc_signer *org,
                  struct wc_buf *out);

/* Decode and check everything but dates and revocation: form, limits, organisation,
 * signature. -WC_EORGANISATION for another organisation id, -WC_EBADSIG. *out is filled
 * on 0 only. */
int wc_cert_open(struct wc_slice bytes, const struct wc_org *org, struct wc_cert *out,
                 struct wc_err *err);

/* As wc_cert_open without organisation and signature: for a certificate that was checked
 * before it was stored. Never for one that came from outside. */
int wc_cert_read(struct wc_slice bytes, struct wc_cert *out, struct wc_err *err);

/* 0 while valid at now_ms, -WC_EFUTURE before (with WC_FUTURE_SLACK_MS), -WC_EEXPIRED
 * after. */
int wc_cert_dates(const struct wc_cert *cert, uint64_t now_ms);

/* Everything an office is: its organisation, certificate and secret seeds. */
struct wc_identity {
    struct wc_org org;
    struct wc_cert cert;
    uint8_t cert_bytes[WC_CERT_MAX_BYTES];
    size_t cert_len;
    struct wc_signer signer;           /* from sign_seed */
    uint8_t sign_seed[WC_KEY_BYTES];   /* secret */
    uint8_t link_secret[WC_KEY_BYTES]; /* secret: X25519 private key */
};
void wc_identity_fini(struct wc_identity *identity); /* wipes */

/*
 * A one-office organisation of its own for a fresh daemon. `seeds` are 4 * 32 + 16
 * random bytes: organisation seed, organisation secret, sign seed, link secret,
 * organisation id. The organisation's seed is not kept: nobody else can ever be
 * admitted to a standalone organisation, and as nobody could renew its certificate, that
 * never ends; now_ms becomes its serial. -WC_EINVALID for the name, -WC_ENOMEM; on
 * failure *out is wiped.
 */
#define WC_STANDALONE_SEED_BYTES (4 * WC_KEY_BYTES + WC_ORG_ID_BYTES)
int wc_identity_standalone(struct wc_identity *out, const char *office_name,
                           uint64_t now_ms,
                           const uint8_t seeds[WC_STANDALONE_SEED_BYTES]);

/*
 * identity file and invitation: the same MessagePack array
 * [ version = 1, org id, org name, org key, org secret, certificate (bin), sign seed,
 * link secret, recovery key, rotation (bin, may be empty), check (bin 8) ]. check: the
 * first bytes of BLAKE2b-256 over all but the certificate, against typing errors. As an invitation it is one line: "whocan-invite-1:" + base64url; white
 * space that mail put into it is skipped. It holds secrets: whoever reads it is that
 * office; wipe what it is encoded into. Decoding also checks that the certificate is by
 * that organisation and for those secrets, and that the rotation led to its key:
 * -WC_EINVALID, -WC_EBADSIG, -WC_EDENIED, -WC_EORGANISATION, -WC_EVERSION and what wc_doc_new() gives; on failure *out is wiped.
 */
int wc_identity_encode(const struct wc_identity *identity, struct wc_buf *out);
int wc_identity_decode(struct wc_slice bytes, struct wc_identity *out,
                       struct wc_err *err);
int wc_invite_line(const struct wc_identity *identity,
                   struct wc_buf *out); /* no newline */
int wc_invite_parse(struct wc_slice line, struct wc_identity *out, struct wc_err *err);

/* What the organisation issued and revoked (whocan/register.h). Zero-initialise. */
struct wc_issued {
    struct wc_cert cert;
    uint8_t *bytes; /* of the certificate */
    size_t len;
};
struct wc_revoked {
    uint8_t key[WC_KEY_BYTES];
    uint64_t at_ms;
};
struct wc_register {
    struct wc_issued *issued; /* in order of serial */
    uint32_t issued_count, issued_cap;
    struct wc_revoked *revoked; /* in order of key */
    uint32_t revoked_count, revoked_cap;
};

/*
 * The recovery line, which answers a lost or stolen organisation key: printed and put in
 * a safe. "whocan-recovery-1:" + base64url of [ version = 1, org id, org name, recovery
 * seed (bin 32), org secret (bin 32), check (bin 8) ], check = the first bytes of
 * BLAKE2b-256("whocan recovery" ‖ seed ‖ secret ‖ org id ‖ org name): a typing error is
 * noticed. Whoever has it rules the organisation.
 */
struct wc_recovery {
    uint8_t org_id[WC_ORG_ID_BYTES];
    char org_name[WC_TITLE_MAX_BYTES + 1];
    uint8_t seed[WC_KEY_BYTES]; /* secret: of the recovery key */
    uint8_t org_secret[WC_SECRET_BYTES];
};
int wc_recovery_line(const struct wc_recovery *r, struct wc_buf *out); /* no newline */
/* White space inside is skipped. -WC_EINVALID, -WC_ETOOBIG, -WC_EVERSION; on failure
 * *out is wiped. */
int wc_recovery_parse(struct wc_slice line, struct wc_recovery *out,
                      struct wc_err *err);

/*
 * The organisation's key file, kept offline: text "whocan organisation key 1\n" +
 * base64url lines of [ version = 1, org id, org name, org key, next serial, salt (bin
 * 16), ops, mem_bytes, nonce (bin 24), box (bin), register (bin), recovery key,
 * rotation (bin, may be empty) ], box = secretbox([ org seed (bin 32), org secret (bin
 * 32), recovery key ]) under Argon2id of the passphrase. Whatever issues a certificate
 * enters it in the register.
 */
struct wc_orgkey {
    struct wc_org org; /* org.secret is filled only after unlock */
    uint64_t next_serial;
    uint8_t salt[WC_SALT_BYTES];
    uint32_t ops;
    uint64_t mem_bytes;
    uint8_t nonce[WC_BOX_NONCE_BYTES];
    uint8_t box[128];
    size_t box_len;
    struct wc_register reg;
};

/* Wipe it and release its register. */
void wc_orgkey_fini(struct wc_orgkey *k);

/* A new organisation, and what recovers it. random: 32 seed, 16 salt, 24 nonce, 32
 * secret, 16 id, 32 recovery seed, in this order. Takes the memory and time of one
 * wc_pwhash(). -WC_EINVALID for the name, -WC_ENOMEM; on failure *recovery is wiped. */
#define WC_ORGKEY_ROTATE_RANDOM_BYTES                                                  \
    (WC_KEY_BYTES + WC_SALT_BYTES + WC_BOX_NONCE_BYTES)
#define WC_ORGKEY_RANDOM_BYTES                                                         \
    (WC_ORGKEY_ROTATE_RANDOM_BYTES + WC_SECRET_BYTES + WC_ORG_ID_BYTES + WC_KEY_BYTES)
int wc_orgkey_create(struct wc_orgkey *out, const char *name,
                     struct wc_slice passphrase,
                     const uint8_t random[WC_ORGKEY_RANDOM_BYTES],
                     struct wc_recovery *recovery);

/*
 * Another key for an organisation: what its former key file or a daemon knows of it
 * (`org`: id, key, recovery key, rotation), signed for by its recovery key. The number
 * of the rotation is the last one's and 1. next_serial: above every serial so far.
 * random: 32 seed, 16 salt, 24 nonce. *out is unlocked, *signer (the caller's to wipe)
 * its key; out->org.rotation is the record to tell everybody. -WC_EORGANISATION: the
 * recovery line is another organisation's; -WC_EINVALID, -WC_ENOMEM; on failure *out and
 * *signer are wiped.
 */
int wc_orgkey_rotate(struct wc_orgkey *out, const struct wc_org *org,
                     const struct wc_recovery *recovery, uint64_t next_serial,
                     struct wc_slice passphrase, uint64_t now_ms,
                     const uint8_t random[WC_ORGKEY_ROTATE_RANDOM_BYTES],
                     struct wc_signer *signer);

/*
 * Certify an office anew: the keys, name and title of *cert, with its dates and quota
 * as the caller set them, under k->next_serial, which it takes and advances. *cert gets
 * serial and organisation; its bytes are appended to `bytes` and the grant that tells
 * everybody to `grant`. -WC_EINVALID for a bad field or another organisation's signer,
 * -WC_ENOMEM.
 */
int wc_orgkey_reissue(struct wc_orgkey *k, const struct wc_signer *org,
                      struct wc_cert *cert, uint64_t now_ms, struct wc_buf *bytes,
                      struct wc_buf *grant);
int wc_orgkey_encode(const struct wc_orgkey *k, struct wc_buf *out);
int wc_orgkey_decode(struct wc_slice text, struct wc_orgkey *out, struct wc_err *err);

/* Fill k->org.secret and *signer. -WC_EBADSIG: wrong passphrase (or a damaged file);
 * -WC_EINVALID: settings of the passphrase hash out of bounds; -WC_ENOMEM. */
int wc_orgkey_unlock(struct wc_orgkey *k, struct wc_slice passphrase,
                     struct wc_signer *signer);

/*
 * Revoke a key: append the record that tells everybody to *out and enter it in the
 * register. A key that was revoked before is revoked again, by a record of its own.
 * -WC_EINVALID for another organisation's signer, -WC_ELIMIT, -WC_ENOMEM.
 */
int wc_orgkey_revoke(struct wc_orgkey *k, const struct wc_signer *org,
                     const uint8_t key[WC_KEY_BYTES], uint64_t now_ms,
                     struct wc_buf *out);

/* Make an office: draws from seeds (32 sign seed, 32 link secret). days: validity. Uses
 * k->next_serial and advances it (the caller writes the file back before showing the
 * invitation). k must be unlocked. -WC_EINVALID for a bad name, title, days or another
 * organisation's signer; -WC_ELIMIT when the register is full; -WC_ENOMEM; on failure
 * *out is wiped. */
int wc_orgkey_invite(struct wc_orgkey *k, const struct wc_signer *org,
                     const char *office_name, const char *title, uint32_t quota,
                     uint64_t now_ms, uint32_t days,
                     const uint8_t seeds[2 * WC_KEY_BYTES], struct wc_identity *out);

#endif
