/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining an organisation with the keys that an office has already: it asks with a
 * request, the organisation answers with an admission, and no secret key travels.
 *
 *   request   = [ body (bin), sig (bin 64) ], sig by the sign key over the exact body
 *               bytes with the domain "whocan request"; body = [ version = 1, office
 *               name (str), title (str), sign key (bin 32), link key (bin 32), at_ms ]
 *   admission = [ version = 1, org id (bin 16), org name (str), org key (bin 32),
 *               certificate (bin), sealed (bin), recovery key (bin 32), rotation (bin,
 *               may be empty) ], sealed = a sealed box for the link key
 *               over org secret (32 bytes) ‖ digest (32 bytes), digest = BLAKE2b-256(
 *               "whocan admission" ‖ org id ‖ org key ‖ length of name (u32) ‖ name ‖
 *               recovery key ‖ rotation ‖ certificate )
 *
 * As text each is one line: "whocan-request-1:" or "whocan-admission-1:" and base64url;
 * white space in it is skipped. Neither holds anything that a stranger could use.
 */
#ifndef WHOCAN_ADMIT_H
#define WHOCAN_ADMIT_H

#include <whocan/cert.h>

struct wc_office_request {
    char name[WC_OFFICE_NAME_MAX_BYTES + 1];
    char title[WC_TITLE_MAX_BYTES + 1];
    uint8_t sign_key[WC_KEY_BYTES];
    uint8_t link_key[WC_KEY_BYTES];
    uint64_t at_ms;
};

/* Append the line of a request for the keys of `office`, which would be called `name`.
 * -WC_EINVALID for a bad name or title, -WC_ENOMEM. */
int wc_request_line(const struct wc_identity *office, const char *name,
                    const char *title, uint64_t now_ms, struct wc_buf *out);

/* Read one and check that whoever made it has its sign key. -WC_EBADSIG, -WC_EINVALID,
 * -WC_ETOOBIG, -WC_EVERSION, -WC_ETYPE, -WC_ENOMEM and what wc_doc_new() gives; *err
 * names the field. */
int wc_request_parse(struct wc_slice line, struct wc_office_request *out,
                     struct wc_err *err);

/*
 * Certify the keys of a request, with its name and title as the caller left them, and
 * append the line of the admission. seed: 32 random bytes, of the sealed box. As
 * wc_orgkey_invite(); -WC_EREVOKED when the register says that the key was revoked,
 * -WC_ECRYPTO for a link key that is none. *cert (may be NULL) gets the certificate.
 */
int wc_orgkey_admit(struct wc_orgkey *k, const struct wc_signer *org,
                    const struct wc_office_request *request, uint32_t quota,
                    uint64_t now_ms, uint32_t days, const uint8_t seed[WC_KEY_BYTES],
                    struct wc_cert *cert, struct wc_buf *out);

/*
 * Make the identity that an admission gives to the office `mine`: its keys, the
 * organisation's certificate for them. -WC_EDENIED: it is for the keys of another
 * office; -WC_EBADSIG: it was changed; else as wc_identity_decode(). On failure *out is
 * wiped.
 */
int wc_admission_open(struct wc_slice line, const struct wc_identity *mine,
                      struct wc_identity *out, struct wc_err *err);

#endif
