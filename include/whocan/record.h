/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record: the signed, versioned unit that is gossiped.
 *
 *   record = [ version = 1, kind, body (bin), author_key (bin 32), author_sig (bin 64),
 *              stamp (bin), stamp_sig (bin 64) ]
 *   body   = { "office": office key (bin 32), "subject": str, "rev": uint, ...fields }
 *   stamp  = [ office key (bin 32), subject (str), rev, seq, stamped_at_ms,
 *              expires_at_ms, digest (bin 32) ]
 *   digest = BLAKE2b-256( kind (1 byte) ‖ body ‖ author_key ‖ author_sig )
 *
 * author_sig covers the exact body bytes, domain "whocan body"; stamp_sig the exact
 * stamp bytes, domain "whocan stamp"; both with the kind. There is no canonical form.
 *
 * Statements are what the organisation says: revocations and grants, signed by its key,
 * and rotations, signed by its recovery key. They are unstamped: stamp and stamp_sig are
 * empty, `office` is the key that signs, and rev alone orders them.
 */
#ifndef WHOCAN_RECORD_H
#define WHOCAN_RECORD_H

#include <whocan/bytes.h>
#include <whocan/cert.h>
#include <whocan/crypto.h>
#include <whocan/error.h>
#include <whocan/limits.h>
#include <whocan/pack.h>

/* Kinds 1..127 are known or reserved here; unknown ones up to 127 verify and are
 * relayed. */
enum wc_kind {
    WC_KIND_CARD = 1,   /* an office: certificate and addresses; subject "card" */
    WC_KIND_REVOKE = 2, /* a key of the organisation is no longer believed; unstamped */
    WC_KIND_ROW = 3,    /* a person, as the directory of the office has them */
    WC_KIND_PROFILE = 4, /* a person, in their own words */
    WC_KIND_ASK = 5,     /* "who can help with X"; subject: ask id in hexadecimal */
    WC_KIND_OFFER = 6,   /* sealed to the ask's reply key; subject random */
    WC_KIND_THANKS = 7,  /* the asker's word that somebody helped */
    WC_KIND_RETIRE = 8,  /* ends a slot: the hash of what it ends, field "kind" */
    WC_KIND_GRANT = 9,   /* a certificate for an office's key; unstamped */
    WC_KIND_ROTATE = 10, /* the organisation has another key now; unstamped */
};
#define WC_KIND_MAX 127

/* Whether records of a kind are statements of the organisation: it is their author, they
 * are unstamped, and count for everybody. Revocations, grants, rotations. */
bool wc_kind_by_organisation(uint8_t kind);

/* The order of two contents of one slot: (rev, seq, digest). Clocks never decide. */
struct wc_version {
    uint64_t rev;
    uint64_t seq;
    uint8_t digest[WC_DIGEST_BYTES];
};
int wc_version_cmp(const struct wc_version *a, const struct wc_version *b);

/* A decoded envelope. Slices point into the encoded bytes. */
struct wc_record {
    struct wc_slice bytes; /* the whole record as received */
    uint8_t kind;
    uint8_t slot_kind; /* whose slot it takes: kind, but of a retirement what it ends */
    bool erases;       /* a retirement that must leave no copy of what it ends */
    struct wc_slice body;
    uint8_t author_key[WC_KEY_BYTES];
    uint8_t author_sig[WC_SIG_BYTES];
    struct wc_slice stamp; /* empty for a statement */
    uint8_t stamp_sig[WC_SIG_BYTES];

    /* from the stamp; for a statement from the body, with seq 0 */
    uint8_t office_key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    struct wc_version version;
    uint64_t stamped_at_ms; /* for a statement its "at" */
    uint64_t expires_at_ms; /* UINT64_MAX for revocations and rotations: they never end;
                               a grant ends with its certificate */
    struct wc_slice granted;       /* of a grant: the certificate; else empty */
    uint8_t new_key[WC_KEY_BYTES]; /* of a rotation */
};

/*
 * Decode and check all that needs no key and no clock: form, limits, digest, that body
 * and stamp name the same office, subject and rev, and that the subject is one of its
 * kind (see docs/records.md). Allocates only inside; *out borrows from `bytes` and is
 * filled on 0 only. -WC_ETOOBIG, -WC_EVERSION, -WC_EMISSING, -WC_ETYPE, -WC_EINVALID,
 * -WC_ETRUNCATED, -WC_ETRAILING, -WC_EDEPTH, -WC_ENOMEM; *err names the field.
 */
int wc_record_decode(struct wc_slice bytes, struct wc_record *out, struct wc_err *err);

/* Check both signatures (one for a statement). The author of cards, rows and retirements
 * must be the office itself; of a revocation or grant the organisation's present key,
 * which must have signed the granted certificate too; of a rotation the recovery key. 0,
 * -WC_EBADSIG, -WC_EORGANISATION (a certificate of another one) or -WC_EDENIED (wrong
 * author). */
int wc_record_verify(const struct wc_record *r, const struct wc_org *org);

/* Check the signature of a stamp alone. 0 or -WC_EBADSIG. */
int wc_stamp_verify(const uint8_t sig[WC_SIG_BYTES],
                    const uint8_t office_key[WC_KEY_BYTES], uint8_t kind,
                    struct wc_slice stamp);

/* The longest lease of a kind in ms (UINT64_MAX: no end). */
uint64_t wc_kind_lease_max_ms(uint8_t kind);

/* Dates against now_ms: -WC_EFUTURE when stamped more than 10 minutes ahead, -WC_ELEASE
 * when the lease is longer than the kind allows or ends before it starts, -WC_EEXPIRED
 * when it is over. Of statements only a grant ends; the others are always 0. */
int wc_record_dates(const struct wc_record *r, uint64_t now_ms);

/* The slot, which is what a newer record replaces: BLAKE2b-256("whocan slot" ‖ kind ‖
 * office key ‖ hash), with hash = BLAKE2b-256("whocan subject" ‖ kind ‖ office key ‖
 * subject). Rows and profiles of one person are two slots; a retirement has the slot of
 * what it ends. */
void wc_slot(uint8_t out[WC_DIGEST_BYTES], uint8_t kind,
             const uint8_t office_key[WC_KEY_BYTES], const char *subject);
void wc_record_slot(const struct wc_record *r, uint8_t out[WC_DIGEST_BYTES]);

/* The slot that a retirement takes: its subject is that hash in hexadecimal, so that it
 * names nobody and can be of no other office. -WC_EINVALID when it is none. */
int wc_retire_slot(uint8_t out[WC_DIGEST_BYTES], uint8_t ends_kind,
                   const uint8_t office_key[WC_KEY_BYTES], const char *subject);

/* The item of reconciliation: keyed BLAKE2b-256 under the organisation secret over
 * slot, rev, seq and digest. */
void wc_record_item(const uint8_t slot[WC_DIGEST_BYTES],
                    const struct wc_version *version,
                    const uint8_t org_secret[WC_SECRET_BYTES],
                    uint8_t out[WC_DIGEST_BYTES]);

/* Begin a body: packs a map of 3 + extra pairs with office, subject and rev (1 or more);
 * the caller packs `extra` further pairs. */
void wc_body_begin(struct wc_buf *b, const uint8_t office_key[WC_KEY_BYTES],
                   const char *subject, uint64_t rev, uint32_t extra);

/* Read office, subject and rev of a body, which must be a map whose keys are text and
 * differ; the decoded document stays the caller's. -WC_ETYPE, -WC_EMISSING,
 * -WC_EINVALID, -WC_ETOOBIG. */
int wc_body_header(const struct wc_obj *body, uint8_t office_key[WC_KEY_BYTES],
                   char subject[WC_SUBJECT_MAX_BYTES + 1], uint64_t *rev,
                   struct wc_err *err);

/* Sign a body as its author. 0 or -WC_ETOOBIG. */
int wc_body_sign(uint8_t sig[WC_SIG_BYTES], uint8_t kind, struct wc_slice body,
                 const struct wc_signer *author);

/* Check an author's signature of a body. 0, -WC_EBADSIG or -WC_ETOOBIG. */
int wc_body_verify(const uint8_t sig[WC_SIG_BYTES], uint8_t kind, struct wc_slice body,
                   const uint8_t author_key[WC_KEY_BYTES]);

/* What the home office adds. */
struct wc_stamp_params {
    uint64_t seq;
    uint64_t stamped_at_ms;
    uint64_t expires_at_ms;
};

/*
 * Stamp a signed body and append the whole record to *out (a fresh buffer). office->key
 * must be the body's office. What it writes is what wc_record_decode() accepts, else it
 * writes nothing and returns what that would: -WC_EINVALID when the body is not one of
 * its kind, -WC_ETOOBIG over WC_RECORD_MAX_BYTES, -WC_ENOMEM. The author's signature is
 * the caller's to check.
 */
int wc_record_stamp(uint8_t kind, struct wc_slice body,
                    const uint8_t author_key[WC_KEY_BYTES],
                    const uint8_t author_sig[WC_SIG_BYTES],
                    const struct wc_signer *office,
                    const struct wc_stamp_params *params, struct wc_buf *out);

/* ---- statements of the organisation ---- */

/*
 * Sign a body as the organisation (a rotation: with its recovery key) and append the
 * whole record, unstamped, to *out (a fresh buffer). As wc_record_stamp(); -WC_EINVALID
 * also for a kind that is not the organisation's.
 */
int wc_record_statement(uint8_t kind, struct wc_slice body, const struct wc_signer *org,
                        struct wc_buf *out);

/* A revocation of `key`: body { "office": org key, "subject": key in hex, "rev": 1,
 * "at": ms }. 0 or -WC_ENOMEM. */
int wc_revoke_build(const uint8_t key[WC_KEY_BYTES], const struct wc_signer *org,
                    uint64_t now_ms, struct wc_buf *out);

/* A grant of a certificate (as wc_cert_issue() wrote it, by the same signer): body {
 * "office": org key, "subject": the certificate's sign key in hex, "rev": its serial,
 * "at": ms, "cert": bin }. 0, -WC_ENOMEM, or what is wrong with the certificate. */
int wc_grant_build(struct wc_slice cert, const struct wc_signer *org, uint64_t now_ms,
                   struct wc_buf *out);

/* A rotation, number rev (1, 2, ...): body { "office": recovery key, "subject":
 * "organisation", "rev": rev, "at": ms, "key": the organisation's key from now on }. 0,
 * -WC_EINVALID for rev 0 or too large, -WC_ENOMEM. */
int wc_rotate_build(const uint8_t new_key[WC_KEY_BYTES], uint64_t rev,
                    const struct wc_signer *recovery, uint64_t now_ms,
                    struct wc_buf *out);

/* Take a rotation: *org gets its key, and keeps its bytes, when its recovery key signed
 * it and it is newer than the last one. 0, -WC_ESTALE (not newer: nothing changed),
 * -WC_EDENIED (another recovery key, or none, or no rotation at all), -WC_EBADSIG, or
 * what wc_record_decode() gives. */
int wc_org_rotate(struct wc_org *org, struct wc_slice rotation);

/* The number of the last rotation, 0 before the first. */
uint64_t wc_org_rotations(const struct wc_org *org);

/* ---- office card: body adds { "cert": bin, "addresses": [ "host:port", ... ] }, and
 * "erased": [ bin 8, ... ] when it has completed erasures ---- */

struct wc_card {
    struct wc_slice cert; /* borrowed from the document */
    uint32_t address_count;
    char addresses[WC_ADDRESSES_MAX_COUNT][WC_ADDRESS_MAX_BYTES + 1];
    uint32_t erased_count;
    uint8_t erased[WC_ERASED_MAX_COUNT][WC_ERASED_MARK_BYTES]; /* newest last */
    char version[WC_PROGRAM_MAX_BYTES + 1]; /* of the office's daemon, or empty */
};

/* Write and read such bodies. The writers return 0 or -WC_ENOMEM, or -WC_EINVALID and
 * -WC_ETOOBIG for a field that their reader would refuse. */
int wc_card_body(const uint8_t office_key[WC_KEY_BYTES], uint64_t rev,
                 const struct wc_card *card, struct wc_buf *out);
int wc_card_decode(const struct wc_obj *body, struct wc_card *out, struct wc_err *err);

/* ---- ask: body adds { "text": str, "by": login of the asker, "id": bin 16 } ---- */
struct wc_ask {
    uint8_t id[WC_ASK_ID_BYTES];
    struct wc_slice text; /* borrowed; 1..WC_ASK_TEXT_MAX_BYTES of UTF-8 */
    struct wc_slice by;   /* borrowed; the asker's login */
};
int wc_ask_body(const uint8_t office_key[WC_KEY_BYTES], uint64_t rev,
                const struct wc_ask *ask, struct wc_buf *out);
int wc_ask_decode(const struct wc_obj *body, struct wc_ask *out, struct wc_err *err);

/* ---- retirement: body adds { "kind": the kind it ends }, and "erase": true when every
 * office must also write its stores anew, so that no freed page keeps the content. The
 * writer takes the subject of what it ends, and writes its hash ---- */
int wc_retire_body(const uint8_t office_key[WC_KEY_BYTES], const char *subject,
                   uint64_t rev, uint8_t ends_kind, bool erase, struct wc_buf *out);
int wc_retire_decode(const struct wc_obj *body, uint8_t *ends_kind, bool *erase,
                     struct wc_err *err);

#endif
