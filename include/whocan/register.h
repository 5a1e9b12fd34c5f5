/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The organisation's register: every certificate that it issued, and which keys it
 * revoked. It lies in the organisation's key file, in the clear: what it says of an
 * office is what every other office knows, too.
 *
 *   register = [ version = 1, [ certificate (bin), ... ], [ [ key (bin 32), at_ms ],
 *              ... ] ]
 *
 * Certificates are in order of their serials, revocations in order of their keys. Each
 * certificate is verified against the organisation's key when it is read or added, so
 * that nobody without that key can enter one.
 */
#ifndef WHOCAN_REGISTER_H
#define WHOCAN_REGISTER_H

#include <whocan/bytes.h>
#include <whocan/cert.h>
#include <whocan/error.h>
#include <whocan/limits.h>

/* The newest certificate that an office has, in order: none of the later words holds for
 * one that is current. */
enum wc_issued_state {
    WC_ISSUED_CURRENT,  /* the newest of its name and of its key, and valid */
    WC_ISSUED_REPLACED, /* its key or its name has a newer one */
    WC_ISSUED_REVOKED,  /* its key was revoked */
    WC_ISSUED_EXPIRED,
};

/* "current", "replaced", "revoked", "expired". Static. */
const char *wc_issued_state_name(enum wc_issued_state state);

/* Release what a register holds; it is empty afterwards. */
void wc_register_fini(struct wc_register *reg);

/* Enter a certificate. *out (may be NULL) gets its fields. -WC_EEXISTS: its serial is
 * there; -WC_ELIMIT over WC_REGISTER_MAX_COUNT; -WC_ENOMEM; what wc_cert_open() says. */
int wc_register_add(struct wc_register *reg, const struct wc_org *org,
                    struct wc_slice cert, struct wc_cert *out);

/* Enter that a key was revoked, whether or not it has a certificate here. -WC_EEXISTS
 * (the first time stays), -WC_ELIMIT, -WC_ENOMEM. */
int wc_register_revoke(struct wc_register *reg, const uint8_t key[WC_KEY_BYTES],
                       uint64_t at_ms);

/* When a key was revoked; 0: it was not. */
uint64_t wc_register_revoked_at(const struct wc_register *reg,
                                const uint8_t key[WC_KEY_BYTES]);

/* The state of each certificate, by its place in reg->issued; out has room for
 * issued_count. -WC_ENOMEM. */
int wc_register_states(const struct wc_register *reg, uint64_t now_ms,
                       enum wc_issued_state *out);

/* Append the bytes of a register. -WC_ENOMEM. */
int wc_register_encode(const struct wc_register *reg, struct wc_buf *out);

/* Read one, each certificate verified against org. *out is filled on 0 only.
 * -WC_EVERSION, -WC_ETYPE, -WC_EINVALID (order), -WC_ELIMIT, -WC_EBADSIG and the other
 * results of wc_cert_open(), -WC_ENOMEM; *err names the field. */
int wc_register_decode(struct wc_slice bytes, const struct wc_org *org,
                       struct wc_register *out, struct wc_err *err);

#endif
