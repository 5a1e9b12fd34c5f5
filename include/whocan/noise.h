/* SPDX-License-Identifier: Apache-2.0 */
/* Noise_XX_25519_ChaChaPoly_BLAKE2b (https://noiseprotocol.org/noise.html, revision
 * 34), payloads free: link.h says what ours are. Kept apart so that the published
 * vectors drive it directly. */
#ifndef WHOCAN_NOISE_H
#define WHOCAN_NOISE_H

#include <whocan/bytes.h>
#include <whocan/crypto.h>
#include <whocan/error.h>

#define WC_NOISE_DEAD 4u

struct wc_cipher { /* CipherState, section 5.1 */
    uint8_t key[WC_SECRET_BYTES];
    uint64_t nonce;
};

struct wc_noise { /* HandshakeState, section 5.3, for the XX pattern */
    bool initiator;
    unsigned step; /* messages done: 0..3; WC_NOISE_DEAD once it failed or was split */
    bool has_key;
    struct wc_cipher cipher;
    uint8_t ck[WC_HASH64_BYTES];
    uint8_t h[WC_HASH64_BYTES];
    uint8_t s[WC_KEY_BYTES], s_pub[WC_KEY_BYTES];
    uint8_t e[WC_KEY_BYTES], e_pub[WC_KEY_BYTES];
    uint8_t rs[WC_KEY_BYTES], re[WC_KEY_BYTES];
};

/* The secrets and the prologue are copied. */
void wc_noise_init(struct wc_noise *n, bool initiator, struct wc_slice prologue,
                   const uint8_t static_secret[WC_KEY_BYTES],
                   const uint8_t ephemeral_secret[WC_KEY_BYTES]);
void wc_noise_fini(struct wc_noise *n); /* wipes */

/* Append the next handshake message with its payload. -WC_EPROTOCOL out of turn,
 * -WC_ECRYPTO, -WC_ETOOBIG over WC_NOISE_MAX_BYTES, -WC_ENOMEM. After an error nothing
 * was appended and the handshake is dead: every further call gives -WC_EPROTOCOL. */
int wc_noise_write(struct wc_noise *n, struct wc_slice payload, struct wc_buf *out);

/* Read the peer's next message; the payload is appended. -WC_EBADSIG when it does not
 * authenticate, -WC_ETRUNCATED, -WC_EPROTOCOL out of turn, -WC_ECRYPTO for a low-order
 * point, -WC_ETOOBIG, -WC_ENOMEM. After an error as with wc_noise_write. */
int wc_noise_read(struct wc_noise *n, struct wc_slice message, struct wc_buf *payload);

/* After three messages: keys of the two directions. The handshake state may then be
 * wiped. */
int wc_noise_split(struct wc_noise *n, struct wc_cipher *send,
                   struct wc_cipher *receive);

/* Transport messages; the nonce counts up. -WC_EPROTOCOL when the nonce is exhausted
 * (2^64 - 1 belongs to rekeying), -WC_ETOOBIG over WC_NOISE_MAX_BYTES, -WC_ENOMEM;
 * opening also -WC_EBADSIG and -WC_ETRUNCATED. After an error nothing was appended and
 * the nonce stands where it stood. */
int wc_cipher_seal(struct wc_cipher *c, struct wc_slice plain, struct wc_buf *out);
int wc_cipher_open(struct wc_cipher *c, struct wc_slice sealed, struct wc_buf *out);
void wc_cipher_rekey(struct wc_cipher *c); /* section 11.3 */

#endif
