/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise_XX_25519_ChaChaPoly_BLAKE2b. The names of the specification are kept:
 *
 *   -> e                 message 1, written by the initiator
 *   <- e, ee, s, es      message 2
 *   -> s, se             message 3
 *
 * Section numbers are those of revision 34.
 */
#include <assert.h>
#include <string.h>

#include <whocan/noise.h>

static const char protocol_name[] = "Noise_XX_25519_ChaChaPoly_BLAKE2b";
static_assert(sizeof(protocol_name) - 1 <= WC_HASH64_BYTES,
              "a longer name is hashed, a shorter one padded (5.2)");

#define KEY_MESSAGE_BYTES (WC_KEY_BYTES + WC_AEAD_TAG_BYTES)

/* ---- CipherState (5.1) ---- */

int wc_cipher_seal(struct wc_cipher *c, struct wc_slice plain, struct wc_buf *out)
{
    if (c->nonce == UINT64_MAX)
        return -WC_EPROTOCOL;
    if (plain.len > WC_NOISE_MAX_BYTES - WC_AEAD_TAG_BYTES)
        return -WC_ETOOBIG;
    uint8_t *room = wc_buf_reserve(out, plain.len + WC_AEAD_TAG_BYTES);
    if (room == NULL)
        return -WC_ENOMEM;
    wc_aead_seal(room, c->key, c->nonce++, wc_slice(NULL, 0), plain);
    out->len += plain.len + WC_AEAD_TAG_BYTES;
    return 0;
}

int wc_cipher_open(struct wc_cipher *c, struct wc_slice sealed, struct wc_buf *out)
{
    if (c->nonce == UINT64_MAX)
        return -WC_EPROTOCOL;
    if (sealed.len < WC_AEAD_TAG_BYTES)
        return -WC_ETRUNCATED;
    if (sealed.len > WC_NOISE_MAX_BYTES)
        return -WC_ETOOBIG;
    uint8_t *room = wc_buf_reserve(out, sealed.len);
    if (room == NULL)
        return -WC_ENOMEM;
    int rc = wc_aead_open(room, c->key, c->nonce, wc_slice(NULL, 0), sealed);
    if (rc != 0)
        return rc;
    c->nonce++;
    out->len += sealed.len - WC_AEAD_TAG_BYTES;
    return 0;
}

void wc_cipher_rekey(struct wc_cipher *c)
{
    uint8_t zeros[WC_SECRET_BYTES] = {0}, sealed[WC_SECRET_BYTES + WC_AEAD_TAG_BYTES];
    wc_aead_seal(sealed, c->key, UINT64_MAX, wc_slice(NULL, 0),
                 wc_slice(zeros, sizeof(zeros)));
    memcpy(c->key, sealed, sizeof(c->key)); /* the nonce goes on (4.2, 11.3) */
    wc_wipe(sealed, sizeof(sealed));
}

/* ---- SymmetricState (5.2) ---- */

static void mix_hash(struct wc_noise *n, struct wc_slice data)
{
    struct wc_slice parts[] = {wc_slice(n->h, sizeof(n->h)), data};
    wc_hash64(n->h, parts, 2);
}

/* HKDF with two outputs (4.3). out1 may be the chaining key itself. */
static void hkdf(const uint8_t ck[WC_HASH64_BYTES], struct wc_slice ikm,
                 uint8_t out1[WC_HASH64_BYTES], uint8_t out2[WC_HASH64_BYTES])
{
    uint8_t temp[WC_HASH64_BYTES];
    wc_hmac64(temp, wc_slice(ck, WC_HASH64_BYTES), &ikm, 1);
    struct wc_slice key = wc_slice(temp, sizeof(temp));
    wc_hmac64(out1, key, (struct wc_slice[]){wc_slice("\x01", 1)}, 1);
    struct wc_slice second[] = {wc_slice(out1, WC_HASH64_BYTES), wc_slice("\x02", 1)};
    wc_hmac64(out2, key, second, 2);
    wc_wipe(temp, sizeof(temp));
}

static void mix_key(struct wc_noise *n, const uint8_t ikm[WC_KEY_BYTES])
{
    uint8_t temp[WC_HASH64_BYTES];
    hkdf(n->ck, wc_slice(ikm, WC_KEY_BYTES), n->ck, temp);
    memcpy(n->cipher.key, temp, sizeof(n->cipher.key));
    n->cipher.nonce = 0;
    n->has_key = true;
    wc_wipe(temp, sizeof(temp));
}

static int encrypt_and_hash(struct wc_noise *n, struct wc_slice plain,
                            struct wc_buf *out)
{
    size_t tag = n->has_key ? WC_AEAD_TAG_BYTES : 0, start = out->len;
    uint8_t *room = wc_buf_reserve(out, plain.len + tag);
    if (room == NULL)
        return -WC_ENOMEM;
    if (n->has_key)
        wc_aead_seal(room, n->cipher.key, n->cipher.nonce++,
                     wc_slice(n->h, sizeof(n->h)), plain);
    else if (plain.len > 0)
        memcpy(room, plain.data, plain.len);
    out->len += plain.len + tag;
    mix_hash(n, wc_slice(out->data + start, plain.len + tag));
    return 0;
}

static int decrypt_and_hash(struct wc_noise *n, struct wc_slice in, struct wc_buf *out)
{
    size_t tag = n->has_key ? WC_AEAD_TAG_BYTES : 0;
    if (in.len < tag)
        return -WC_ETRUNCATED;
    uint8_t *room = wc_buf_reserve(out, in.len);
    if (room == NULL)
        return -WC_ENOMEM;
    if (n->has_key) {
        int rc = wc_aead_open(room, n->cipher.key, n->cipher.nonce++,
                              wc_slice(n->h, sizeof(n->h)), in);
        if (rc != 0)
            return rc;
    } else if (in.len > 0) {
        memcpy(room, in.data, in.len);
    }
    out->len += in.len - tag;
    mix_hash(n, in);
    return 0;
}

/* ---- HandshakeState (5.3) ---- */

void wc_noise_init(struct wc_noise *n, bool initiator, struct wc_slice prologue,
                   const uint8_t static_secret[WC_KEY_BYTES],
                   const uint8_t ephemeral_secret[WC_KEY_BYTES])
{
    *n = (struct wc_noise){.initiator = initiator};
    memcpy(n->h, protocol_name, sizeof(protocol_name) - 1);
    memcpy(n->ck, n->h, sizeof(n->ck));
    mix_hash(n, prologue);
    memcpy(n->s, static_secret, sizeof(n->s));
    memcpy(n->e, ephemeral_secret, sizeof(n->e));
    wc_dh_public(n->s_pub, n->s);
    wc_dh_public(n->e_pub, n->e);
}

void wc_noise_fini(struct wc_noise *n)
{
    wc_wipe(n, sizeof(*n));
    n->step = WC_NOISE_DEAD;
}

static int mix_dh(struct wc_noise *n, const uint8_t secret[WC_KEY_BYTES],
                  const uint8_t pub[WC_KEY_BYTES])
{
    uint8_t shared[WC_KEY_BYTES];
    int rc = wc_dh(shared, secret, pub);
    if (rc == 0)
        mix_key(n, shared);
    wc_wipe(shared, sizeof(shared));
    return rc;
}

/* The tokens. "es" and "se" name the initiator's key first, so that each side uses the
 * half that it has. */
static int token_ee(struct wc_noise *n)
{
    return mix_dh(n, n->e, n->re);
}

static int token_es(struct wc_noise *n)
{
    return n->initiator ? mix_dh(n, n->e, n->rs) : mix_dh(n, n->s, n->re);
}

static int token_se(struct wc_noise *n)
{
    return n->initiator ? mix_dh(n, n->s, n->re) : mix_dh(n, n->e, n->rs);
}

static int write_e(struct wc_noise *n, struct wc_buf *out)
{
    wc_buf_append(out, n->e_pub, sizeof(n->e_pub));
    mix_hash(n, wc_slice(n->e_pub, sizeof(n->e_pub)));
    return out->failed ? -WC_ENOMEM : 0;
}

static int write_s(struct wc_noise *n, struct wc_buf *out)
{
    return encrypt_and_hash(n, wc_slice(n->s_pub, sizeof(n->s_pub)), out);
}

static int read_e(struct wc_noise *n, struct wc_slice *in)
{
    if (in->len < sizeof(n->re))
        return -WC_ETRUNCATED;
    memcpy(n->re, in->data, sizeof(n->re));
    *in = wc_slice(in->data + sizeof(n->re), in->len - sizeof(n->re));
    mix_hash(n, wc_slice(n->re, sizeof(n->re)));
    return 0;
}

static int read_s(struct wc_noise *n, struct wc_slice *in)
{
    if (in->len < KEY_MESSAGE_BYTES)
        return -WC_ETRUNCATED;
    struct wc_buf key = {0};
    int rc = decrypt_and_hash(n, wc_slice(in->data, KEY_MESSAGE_BYTES), &key);
    if (rc == 0)
        memcpy(n->rs, key.data, sizeof(n->rs));
    wc_buf_fini(&key);
    *in = wc_slice(in->data + KEY_MESSAGE_BYTES, in->len - KEY_MESSAGE_BYTES);
    return rc;
}

static int write_tokens(struct wc_noise *n, struct wc_buf *out)
{
    int rc;
    if (n->step == 0)
        return write_e(n, out);
    if (n->step == 1) {
        if ((rc = write_e(n, out)) != 0 || (rc = token_ee(n)) != 0 ||
            (rc = write_s(n, out)) != 0)
            return rc;
        return token_es(n);
    }
    if ((rc = write_s(n, out)) != 0)
        return rc;
    return token_se(n);
}

static int read_tokens(struct wc_noise *n, struct wc_slice *in)
{
    int rc;
    if (n->step == 0)
        return read_e(n, in);
    if (n->step == 1) {
        if ((rc = read_e(n, in)) != 0 || (rc = token_ee(n)) != 0 ||
            (rc = read_s(n, in)) != 0)
            return rc;
        return token_es(n);
    }
    if ((rc = read_s(n, in)) != 0)
        return rc;
    return token_se(n);
}

/* Messages 1 and 3 are the initiator's. */
static bool writes_next(const struct wc_noise *n)
{
    return n->initiator == (n->step % 2 == 0);
}

int wc_noise_write(struct wc_noise *n, struct wc_slice payload, struct wc_buf *out)
{
    size_t start = out->len;
    int rc = -WC_EPROTOCOL;
    if (n->step >= 3 || !writes_next(n))
        goto out;
    rc = -WC_ETOOBIG;
    if (payload.len >
        WC_NOISE_MAX_BYTES - WC_KEY_BYTES - KEY_MESSAGE_BYTES - WC_AEAD_TAG_BYTES)
        goto out;
    rc = write_tokens(n, out);
    if (rc == 0)
        rc = encrypt_and_hash(n, payload, out);
    n->step++;
out:
    if (rc != 0) {
        out->len = start;
        wc_noise_fini(n);
    }
    return rc;
}

int wc_noise_read(struct wc_noise *n, struct wc_slice message, struct wc_buf *payload)
{
    int rc = -WC_EPROTOCOL;
    if (n->step >= 3 || writes_next(n))
        goto out;
    rc = -WC_ETOOBIG;
    if (message.len > WC_NOISE_MAX_BYTES)
        goto out;
    rc = read_tokens(n, &message);
    if (rc == 0)
        rc = decrypt_and_hash(n, message, payload);
    n->step++;
out:
    if (rc != 0)
        wc_noise_fini(n);
    return rc;
}

int wc_noise_split(struct wc_noise *n, struct wc_cipher *send,
                   struct wc_cipher *receive)
{
    if (n->step != 3)
        return -WC_EPROTOCOL;
    uint8_t first[WC_HASH64_BYTES], second[WC_HASH64_BYTES];
    hkdf(n->ck, wc_slice(NULL, 0), first, second);
    struct wc_cipher *from_initiator = n->initiator ? send : receive;
    struct wc_cipher *from_responder = n->initiator ? receive : send;
    memcpy(from_initiator->key, first, sizeof(from_initiator->key));
    memcpy(from_responder->key, second, sizeof(from_responder->key));
    from_initiator->nonce = from_responder->nonce = 0;
    n->step = WC_NOISE_DEAD;
    wc_wipe(first, sizeof(first));
    wc_wipe(second, sizeof(second));
    return 0;
}
