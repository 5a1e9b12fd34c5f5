/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <sodium.h>
#include <string.h>

#include <whocan/crypto.h>
#include <whocan/error.h>

#define DOMAIN_MAX_BYTES    32
#define HMAC_BLOCK_BYTES    128 /* of BLAKE2b */
#define PWHASH_OPS_MAX      16u
#define PWHASH_MEM_MIN      (8ULL << 20)
#define PWHASH_MEM_MAX      (1ULL << 30)
#define SIGNED_PREFIX_BYTES (DOMAIN_MAX_BYTES + 2)

static_assert(WC_KEY_BYTES == crypto_sign_PUBLICKEYBYTES &&
                  WC_KEY_BYTES == crypto_sign_SEEDBYTES &&
                  WC_KEY_BYTES == crypto_scalarmult_BYTES &&
                  WC_KEY_BYTES == crypto_scalarmult_SCALARBYTES &&
                  WC_SIGN_SK_BYTES == crypto_sign_SECRETKEYBYTES &&
                  WC_SIG_BYTES == crypto_sign_BYTES,
              "curve sizes");
static_assert(WC_SECRET_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES &&
                  WC_SECRET_BYTES == crypto_secretbox_KEYBYTES &&
                  WC_AEAD_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES &&
                  WC_AEAD_TAG_BYTES == crypto_secretbox_MACBYTES &&
                  WC_BOX_NONCE_BYTES == crypto_secretbox_NONCEBYTES &&
                  WC_SALT_BYTES == crypto_pwhash_SALTBYTES,
              "cipher sizes");

int wc_crypto_init(void)
{
    return sodium_init() < 0 ? -WC_ECRYPTO : 0;
}

void wc_wipe(void *p, size_t len)
{
    sodium_memzero(p, len);
}

bool wc_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

/* ---- BLAKE2b ---- */

static void hash_parts(uint8_t *out, size_t out_len, struct wc_slice key,
                       const struct wc_slice *parts, size_t count)
{
    crypto_generichash_state state;
    int rc = crypto_generichash_init(&state, key.data, key.len, out_len);
    for (size_t i = 0; i < count; i++)
        rc |= crypto_generichash_update(&state, parts[i].data, parts[i].len);
    rc |= crypto_generichash_final(&state, out, out_len);
    assert(rc == 0); /* fails for wrong lengths only */
    sodium_memzero(&state, sizeof(state));
}

void wc_hash(uint8_t out[WC_DIGEST_BYTES], const struct wc_slice *parts, size_t count)
{
    hash_parts(out, WC_DIGEST_BYTES, wc_slice(NULL, 0), parts, count);
}

void wc_hash_keyed(uint8_t *out, size_t out_len, const uint8_t key[WC_SECRET_BYTES],
                   const struct wc_slice *parts, size_t count)
{
    assert(out_len >= crypto_generichash_BYTES_MIN &&
           out_len <= crypto_generichash_BYTES_MAX);
    hash_parts(out, out_len, wc_slice(key, WC_SECRET_BYTES), parts, count);
}

void wc_hash64(uint8_t out[WC_HASH64_BYTES], const struct wc_slice *parts, size_t count)
{
    hash_parts(out, WC_HASH64_BYTES, wc_slice(NULL, 0), parts, count);
}

void wc_hmac64(uint8_t out[WC_HASH64_BYTES], struct wc_slice key,
               const struct wc_slice *parts, size_t count)
{
    uint8_t block[HMAC_BLOCK_BYTES] = {0}, inner[WC_HASH64_BYTES];
    if (key.len > sizeof(block))
        wc_hash64(block, &key, 1);
    else if (key.len > 0)
        memcpy(block, key.data, key.len);

    crypto_generichash_state state;
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36;
    int rc = crypto_generichash_init(&state, NULL, 0, WC_HASH64_BYTES);
    rc |= crypto_generichash_update(&state, block, sizeof(block));
    for (size_t i = 0; i < count; i++)
        rc |= crypto_generichash_update(&state, parts[i].data, parts[i].len);
    rc |= crypto_generichash_final(&state, inner, sizeof(inner));
    assert(rc == 0);

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36 ^ 0x5c;
    wc_hash64(out,
              (struct wc_slice[]){wc_slice(block, sizeof(block)),
                                  wc_slice(inner, sizeof(inner))},
              2);
    sodium_memzero(&state, sizeof(state));
    sodium_memzero(block, sizeof(block));
    sodium_memzero(inner, sizeof(inner));
}

/* ---- Ed25519 ---- */

void wc_signer_init(struct wc_signer *signer, const uint8_t seed[WC_KEY_BYTES])
{
    int rc = crypto_sign_seed_keypair(signer->key, signer->secret, seed);
    assert(rc == 0);
}

void wc_signer_fini(struct wc_signer *signer)
{
    sodium_memzero(signer, sizeof(*signer));
}

/* What is signed, in one piece because Ed25519 reads it twice. Its length, or 0 when
 * the message is too long. */
static size_t signed_bytes(uint8_t out[SIGNED_PREFIX_BYTES + WC_RECORD_MAX_BYTES],
                           const char *domain, uint8_t kind, struct wc_slice message)
{
    size_t len = strlen(domain);
    assert(len > 0 && len <= DOMAIN_MAX_BYTES);
    if (message.len > WC_RECORD_MAX_BYTES)
        return 0;
    memcpy(out, domain, len);
    out[len++] = 0;
    out[len++] = kind;
    if (message.len > 0)
        memcpy(out + len, message.data, message.len);
    return len + message.len;
}

int wc_sign(uint8_t sig[WC_SIG_BYTES], const struct wc_signer *signer,
            const char *domain, uint8_t kind, struct wc_slice message)
{
    uint8_t text[SIGNED_PREFIX_BYTES + WC_RECORD_MAX_BYTES];
    size_t len = signed_bytes(text, domain, kind, message);
    if (len == 0)
        return -WC_ETOOBIG;
    int rc = crypto_sign_detached(sig, NULL, text, len, signer->secret);
    assert(rc == 0);
    return 0;
}

int wc_verify(const uint8_t sig[WC_SIG_BYTES], const uint8_t key[WC_KEY_BYTES],
              const char *domain, uint8_t kind, struct wc_slice message)
{
    uint8_t text[SIGNED_PREFIX_BYTES + WC_RECORD_MAX_BYTES];
    size_t len = signed_bytes(text, domain, kind, message);
    if (len == 0)
        return -WC_ETOOBIG;
    return crypto_sign_verify_detached(sig, text, len, key) == 0 ? 0 : -WC_EBADSIG;
}

/* ---- X25519 ---- */

void wc_dh_public(uint8_t pub[WC_KEY_BYTES], const uint8_t secret[WC_KEY_BYTES])
{
    int rc = crypto_scalarmult_base(pub, secret);
    assert(rc == 0);
}

int wc_dh(uint8_t out[WC_KEY_BYTES], const uint8_t secret[WC_KEY_BYTES],
          const uint8_t pub[WC_KEY_BYTES])
{
    return crypto_scalarmult(out, secret, pub) == 0 ? 0 : -WC_ECRYPTO;
}

/* ---- ChaCha20-Poly1305 ---- */

static void aead_nonce(uint8_t out[crypto_aead_chacha20poly1305_ietf_NPUBBYTES],
                       uint64_t counter)
{
    memset(out, 0, 4);
    for (unsigned i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(counter >> (8 * i));
}

void wc_aead_seal(uint8_t *out, const uint8_t key[WC_SECRET_BYTES], uint64_t nonce,
                  struct wc_slice ad, struct wc_slice plain)
{
    uint8_t npub[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
    aead_nonce(npub, nonce);
    int rc = crypto_aead_chacha20poly1305_ietf_encrypt(
        out, NULL, plain.data, plain.len, ad.data, ad.len, NULL, npub, key);
    assert(rc == 0);
}

int wc_aead_open(uint8_t *out, const uint8_t key[WC_SECRET_BYTES], uint64_t nonce,
                 struct wc_slice ad, struct wc_slice sealed)
{
    uint8_t npub[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
    if (sealed.len < WC_AEAD_TAG_BYTES)
        return -WC_EBADSIG;
    aead_nonce(npub, nonce);
    int rc = crypto_aead_chacha20poly1305_ietf_decrypt(
        out, NULL, NULL, sealed.data, sealed.len, ad.data, ad.len, npub, key);
    return rc == 0 ? 0 : -WC_EBADSIG;
}

/* ---- passphrases and boxes ---- */

int wc_pwhash(uint8_t key[WC_SECRET_BYTES], struct wc_slice passphrase,
              const uint8_t salt[WC_SALT_BYTES], uint32_t ops, uint64_t mem_bytes)
{
    if (ops < 1 || ops > PWHASH_OPS_MAX || mem_bytes < PWHASH_MEM_MIN ||
        mem_bytes > PWHASH_MEM_MAX)
        return -WC_EINVALID;
    const char *text = passphrase.len == 0 ? "" : (const char *)passphrase.data;
    int rc = crypto_pwhash(key, WC_SECRET_BYTES, text, passphrase.len, salt, ops,
                           mem_bytes, crypto_pwhash_ALG_ARGON2ID13);
    return rc == 0 ? 0 : -WC_ENOMEM;
}

void wc_box_seal(uint8_t *box, const uint8_t key[WC_SECRET_BYTES],
                 const uint8_t nonce[WC_BOX_NONCE_BYTES], struct wc_slice plain)
{
    int rc = crypto_secretbox_easy(box, plain.data, plain.len, nonce, key);
    assert(rc == 0);
}

int wc_box_open(uint8_t *plain, const uint8_t key[WC_SECRET_BYTES],
                const uint8_t nonce[WC_BOX_NONCE_BYTES], struct wc_slice box)
{
    int rc = crypto_secretbox_open_easy(plain, box.data, box.len, nonce, key);
    return rc == 0 ? 0 : -WC_EBADSIG;
}

/* As libsodium's crypto_box_seal() does it, which draws its own randomness: an ephemeral
 * key, the nonce BLAKE2b-192 of it and the receiver's, and a box between the two. */
int wc_seal(uint8_t *sealed, const uint8_t to[WC_KEY_BYTES],
            const uint8_t seed[WC_KEY_BYTES], struct wc_slice plain)
{
    static_assert(crypto_box_SEALBYTES == WC_SEAL_EXTRA_BYTES, "as the header says");
    uint8_t secret[crypto_box_SECRETKEYBYTES], nonce[crypto_box_NONCEBYTES];
    crypto_generichash_state state;
    int rc = crypto_box_seed_keypair(sealed, secret, seed);
    assert(rc == 0);
    crypto_generichash_init(&state, NULL, 0, sizeof(nonce));
    crypto_generichash_update(&state, sealed, crypto_box_PUBLICKEYBYTES);
    crypto_generichash_update(&state, to, crypto_box_PUBLICKEYBYTES);
    crypto_generichash_final(&state, nonce, sizeof(nonce));
    rc = crypto_box_easy(sealed + crypto_box_PUBLICKEYBYTES, plain.data, plain.len,
                         nonce, to, secret);
    sodium_memzero(secret, sizeof(secret));
    sodium_memzero(&state, sizeof(state));
    return rc == 0 ? 0 : -WC_ECRYPTO;
}

int wc_seal_open(uint8_t *plain, const uint8_t pub[WC_KEY_BYTES],
                 const uint8_t secret[WC_KEY_BYTES], struct wc_slice sealed)
{
    int rc = crypto_box_seal_open(plain, sealed.data, sealed.len, pub, secret);
    return rc == 0 ? 0 : -WC_EBADSIG;
}

uint64_t wc_siphash(const uint8_t key[16], struct wc_slice in)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, in.data, in.len, key);
    uint64_t v = 0;
    for (unsigned i = sizeof(out); i-- > 0;) /* its text is little-endian */
        v = v << 8 | out[i];
    return v;
}
