/* SPDX-License-Identifier: Apache-2.0 */
/* The cryptographic primitives, all from libsodium. No randomness is drawn here: seeds
 * come in. */
#ifndef WHOCAN_CRYPTO_H
#define WHOCAN_CRYPTO_H

#include <whocan/bytes.h>
#include <whocan/limits.h>

/* Must succeed once per process before anything else here. 0 or -WC_ECRYPTO. */
int wc_crypto_init(void);

/* Overwrite memory in a way that the compiler keeps. */
void wc_wipe(void *p, size_t len);

/* Constant-time equality of two ranges of len bytes. */
bool wc_equal(const void *a, const void *b, size_t len);

/* ---- BLAKE2b (RFC 7693) ---- */

/* BLAKE2b-256 over the concatenation of `count` parts. */
void wc_hash(uint8_t out[WC_DIGEST_BYTES], const struct wc_slice *parts, size_t count);

/* Keyed BLAKE2b with a 32-byte key; out_len 16..64 bytes. */
void wc_hash_keyed(uint8_t *out, size_t out_len, const uint8_t key[WC_SECRET_BYTES],
                   const struct wc_slice *parts, size_t count);

/* BLAKE2b-512, and HMAC (RFC 2104) over it with a 128-byte block, as Noise asks. */
void wc_hash64(uint8_t out[WC_HASH64_BYTES], const struct wc_slice *parts,
               size_t count);
void wc_hmac64(uint8_t out[WC_HASH64_BYTES], struct wc_slice key,
               const struct wc_slice *parts, size_t count);

/* ---- Ed25519 (RFC 8032) ---- */

/* A signer in one place. `secret` is libsodium's expanded form; wipe it after use. */
struct wc_signer {
    uint8_t key[WC_KEY_BYTES];
    uint8_t secret[WC_SIGN_SK_BYTES];
};

/* Init derives both keys from the seed; fini wipes them. */
void wc_signer_init(struct wc_signer *signer, const uint8_t seed[WC_KEY_BYTES]);
void wc_signer_fini(struct wc_signer *signer);

/*
 * Sign domain ‖ 0x00 ‖ kind (one byte) ‖ message. The domain is a fixed text of this
 * program
 * ("whocan record"), so that a signature made for one purpose never serves another.
 * Messages are at most WC_RECORD_MAX_BYTES: -WC_ETOOBIG, else 0.
 */
int wc_sign(uint8_t sig[WC_SIG_BYTES], const struct wc_signer *signer,
            const char *domain, uint8_t kind, struct wc_slice message);

/* 0, -WC_EBADSIG or -WC_ETOOBIG. Low-order keys and non-canonical signatures are
 * refused. */
int wc_verify(const uint8_t sig[WC_SIG_BYTES], const uint8_t key[WC_KEY_BYTES],
              const char *domain, uint8_t kind, struct wc_slice message);

/* ---- X25519 (RFC 7748) ---- */

void wc_dh_public(uint8_t pub[WC_KEY_BYTES], const uint8_t secret[WC_KEY_BYTES]);

/* -WC_ECRYPTO when the shared secret would be all zero (a low-order point). */
int wc_dh(uint8_t out[WC_KEY_BYTES], const uint8_t secret[WC_KEY_BYTES],
          const uint8_t pub[WC_KEY_BYTES]);

/* ---- ChaCha20-Poly1305 (RFC 8439), nonce of 4 zero bytes and a 64-bit little-endian
 * counter ---- */

/* Writes plain.len + 16 bytes; out may equal plain.data. */
void wc_aead_seal(uint8_t *out, const uint8_t key[WC_SECRET_BYTES], uint64_t nonce,
                  struct wc_slice ad, struct wc_slice plain);

/* Writes sealed.len - 16 bytes; -WC_EBADSIG when it does not authenticate; out may
 * equal the input. On failure nothing useful is in out. */
int wc_aead_open(uint8_t *out, const uint8_t key[WC_SECRET_BYTES], uint64_t nonce,
                 struct wc_slice ad, struct wc_slice sealed);

/* ---- a key from a passphrase: Argon2id (RFC 9106) ---- */

#define WC_SALT_BYTES 16

/* ops and mem_bytes as libsodium means them; -WC_ENOMEM, or -WC_EINVALID out of bounds
 * (ops 1..16, memory 8 MiB..1 GiB: a hostile file must not exhaust the machine). */
int wc_pwhash(uint8_t key[WC_SECRET_BYTES], struct wc_slice passphrase,
              const uint8_t salt[WC_SALT_BYTES], uint32_t ops, uint64_t mem_bytes);

/* secretbox (XSalsa20-Poly1305). box holds plain.len + 16 bytes. */
#define WC_BOX_NONCE_BYTES 24
void wc_box_seal(uint8_t *box, const uint8_t key[WC_SECRET_BYTES],
                 const uint8_t nonce[WC_BOX_NONCE_BYTES], struct wc_slice plain);
int wc_box_open(uint8_t *plain, const uint8_t key[WC_SECRET_BYTES],
                const uint8_t nonce[WC_BOX_NONCE_BYTES],
                struct wc_slice box); /* -WC_EBADSIG */

/* A sealed box (crypto_box_seal of libsodium): for whoever has the secret of an X25519
 * key, from nobody in particular. sealed holds plain.len + WC_SEAL_EXTRA_BYTES. seed: 32
 * random bytes, never used twice. -WC_ECRYPTO for a key that is none. */
#define WC_SEAL_EXTRA_BYTES 48
int wc_seal(uint8_t *sealed, const uint8_t to[WC_KEY_BYTES],
            const uint8_t seed[WC_KEY_BYTES], struct wc_slice plain);

/* plain holds sealed.len - WC_SEAL_EXTRA_BYTES. -WC_EBADSIG. */
int wc_seal_open(uint8_t *plain, const uint8_t pub[WC_KEY_BYTES],
                 const uint8_t secret[WC_KEY_BYTES], struct wc_slice sealed);

/* SipHash-2-4 of a slice under a 16-byte key: for hash tables that strangers can fill.
 */
uint64_t wc_siphash(const uint8_t key[16], struct wc_slice in);

#endif
