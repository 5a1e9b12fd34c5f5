/* SPDX-License-Identifier: Apache-2.0 */
/* Each primitive against a published vector or one from another implementation, and
 * against bytes that are not what they should be. */
#include <string.h>

#include <whocan/crypto.h>
#include <whocan/error.h>

#include "tests/unit/unit.h"

#define TEXT(s) wc_slice_text(s)

/* 00 01 02 ... */
static const uint8_t *counting(void)
{
    static uint8_t bytes[256];
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    return bytes;
}

static void assert_hex(const uint8_t *raw, size_t len, const char *hex)
{
    char text[513];
    assert_true(len <= 256);
    wc_hex(text, raw, len);
    assert_string_equal(text, hex);
}

static void hashes_agree_with_another_implementation(void **state)
{
    (void)state;
    uint8_t out[64];
    struct wc_slice abc[] = {TEXT("a"), wc_slice(NULL, 0), TEXT("bc")};
    wc_hash(out, abc, 3);
    assert_hex(out, 32,
               "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    /* of nothing: RFC 7693 defines it, libsodium must not mind the NULL */
    wc_hash64(out, NULL, 0);
    assert_hex(out, 64,
               "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419"
               "d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce");
    struct wc_slice hello = TEXT("hello");
    wc_hash_keyed(out, 32, counting(), &hello, 1);
    assert_hex(out, 32,
               "bc2cf927f9ed52cc29116e6a5cfdbdf96a7250f85db66887b13652596bf40d61");
}

static void hmac_agrees_with_another_implementation(void **state)
{
    (void)state;
    uint8_t out[64];
    struct wc_slice parts[] = {TEXT("one"), TEXT(" two")};
    wc_hmac64(out, wc_slice(counting(), 40), parts, 2);
    assert_hex(out, 64,
               "0ca08c0f93cd9313e886896c494bbc3ce5231da51b38362421c000893918098a"
               "60420a6c73909747039eb51909fcc3ebce6b2f7c93201d0bccca18b1d1727e6a");
    /* a key longer than the block is hashed first */
    wc_hmac64(out, wc_slice(counting(), 200), parts, 2);
    assert_hex(out, 64,
               "db89e92f7eeec470a5d80b7e3645f9e099911c7cfd646aa6a0b99b6e431709b3"
               "872f449118fabf65e434ce828300d17031d6fa2a249737383e2700bd4b49f45b");
    wc_hmac64(out, wc_slice(NULL, 0), NULL, 0);
    assert_hex(out, 64,
               "198cd2006f66ff83fbbd913f78aca2251caf4f19fe9475aade8cf2091b99a684"
               "66775177424f58286886cbae8229644cec747237d4b721735485e17372fdf59c");
}

static void signatures_cover_domain_kind_and_message(void **state)
{
    (void)state;
    struct wc_signer signer;
    uint8_t sig[WC_SIG_BYTES];
    wc_signer_init(&signer, counting());
    assert_hex(signer.key, 32,
               "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
    /* computed by another implementation over "whocan test" 00 07 "hello" */
    assert_int_equal(wc_sign(sig, &signer, "whocan test", 7, TEXT("hello")), 0);
    assert_hex(sig, 64,
               "96a3ff0fb970fc90484b0ebe3300c31fef68c87ad95599e8862e702f3cf815a8"
               "3041948b9ef1506adb510d5b13635a6edaa756f50dfdd65934dd6928baa59b0c");

    assert_int_equal(wc_verify(sig, signer.key, "whocan test", 7, TEXT("hello")), 0);
    assert_int_equal(wc_verify(sig, signer.key, "whocan tes", 7, TEXT("hello")),
                     -WC_EBADSIG);
    assert_int_equal(wc_verify(sig, signer.key, "whocan test", 8, TEXT("hello")),
                     -WC_EBADSIG);
    assert_int_equal(wc_verify(sig, signer.key, "whocan test", 7, TEXT("hellp")),
                     -WC_EBADSIG);
    for (size_t i = 0; i < sizeof(sig) * 8; i++) {
        sig[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(wc_verify(sig, signer.key, "whocan test", 7, TEXT("hello")),
                         -WC_EBADSIG);
        sig[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    wc_signer_fini(&signer);
    static const struct wc_signer wiped;
    assert_memory_equal(&signer, &wiped, sizeof(signer));
}

static void signatures_refuse_what_is_not_canonical(void **state)
{
    (void)state;
    /* S + L is another signature by the plain equation: it must not be one here */
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a,       0x63,
                                      0x12, 0x58, 0xd6, 0x9c, 0xf7,       0xa2,
                                      0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    struct wc_signer signer;
    uint8_t sig[WC_SIG_BYTES];
    wc_signer_init(&signer, counting());
    assert_int_equal(wc_sign(sig, &signer, "whocan test", 1, TEXT("m")), 0);
    unsigned carry = 0;
    for (unsigned i = 0; i < 32; i++) {
        carry += sig[32 + i] + order[i];
        sig[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(wc_verify(sig, signer.key, "whocan test", 1, TEXT("m")),
                     -WC_EBADSIG);
    /* under a key of low order one signature fits every message */
    uint8_t low[WC_KEY_BYTES] = {1};
    memset(sig, 0, sizeof(sig));
    sig[0] = 1;
    assert_int_equal(wc_verify(sig, low, "whocan test", 1, TEXT("m")), -WC_EBADSIG);
}

static void signed_messages_are_bounded(void **state)
{
    (void)state;
    static uint8_t message[WC_RECORD_MAX_BYTES + 1];
    struct wc_signer signer;
    uint8_t sig[WC_SIG_BYTES];
    struct wc_slice most = wc_slice(message, WC_RECORD_MAX_BYTES),
                    more = wc_slice(message, WC_RECORD_MAX_BYTES + 1);
    wc_signer_init(&signer, counting());
    assert_int_equal(wc_sign(sig, &signer, "d", 1, more), -WC_ETOOBIG);
    assert_int_equal(wc_sign(sig, &signer, "d", 1, most), 0);
    assert_int_equal(wc_verify(sig, signer.key, "d", 1, most), 0);
    assert_int_equal(wc_verify(sig, signer.key, "d", 1, more), -WC_ETOOBIG);
    assert_int_equal(wc_sign(sig, &signer, "d", 1, wc_slice(NULL, 0)), 0);
    assert_int_equal(wc_verify(sig, signer.key, "d", 1, wc_slice(NULL, 0)), 0);
}

/* RFC 7748, section 6.1: Bob's side. */
static void key_agreement_is_as_published(void **state)
{
    (void)state;
    uint8_t secret[32], peer[32], out[32];
    wc_unhex(secret, 32,
             TEXT("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
    wc_unhex(peer, 32,
             TEXT("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
    wc_dh_public(out, secret);
    assert_hex(out, 32,
               "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    assert_int_equal(wc_dh(out, secret, peer), 0);
    assert_hex(out, 32,
               "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    static const uint8_t zero[32];
    assert_int_equal(wc_dh(out, secret, zero), -WC_ECRYPTO);
}

static void sealed_boxes_agree_with_another_implementation(void **state)
{
    (void)state;
    uint8_t sealed[26], plain[26];
    const uint64_t nonce = 0x0102030405060708;
    wc_aead_seal(sealed, counting(), nonce, TEXT("extra"), TEXT("plain text"));
    assert_hex(sealed, 26, "8025cc8dc5199e7d1cdf4685f5d0e80121f55de02ab315f3d99c");
    struct wc_slice in = wc_slice(sealed, sizeof(sealed));
    assert_int_equal(wc_aead_open(plain, counting(), nonce, TEXT("extra"), in), 0);
    assert_memory_equal(plain, "plain text", 10);

    assert_int_equal(wc_aead_open(plain, counting(), nonce + 1, TEXT("extra"), in),
                     -WC_EBADSIG);
    assert_int_equal(wc_aead_open(plain, counting(), nonce, TEXT("extr"), in),
                     -WC_EBADSIG);
    assert_int_equal(wc_aead_open(plain, counting() + 1, nonce, TEXT("extra"), in),
                     -WC_EBADSIG);
    for (size_t len = 0; len < sizeof(sealed); len++)
        assert_int_equal(wc_aead_open(plain, counting(), nonce, TEXT("extra"),
                                      wc_slice(sealed, len)),
                         -WC_EBADSIG);
    /* in place */
    memcpy(plain, "plain text", 10);
    wc_aead_seal(plain, counting(), nonce, TEXT("extra"), wc_slice(plain, 10));
    assert_memory_equal(plain, sealed, sizeof(sealed));
    assert_int_equal(wc_aead_open(plain, counting(), nonce, TEXT("extra"),
                                  wc_slice(plain, sizeof(plain))),
                     0);
    assert_memory_equal(plain, "plain text", 10);
}

static void secret_boxes_open_with_their_key_only(void **state)
{
    (void)state;
    uint8_t box[20], plain[4];
    wc_box_seal(box, counting(), counting() + 50, TEXT("word"));
    assert_int_equal(
        wc_box_open(plain, counting(), counting() + 50, wc_slice(box, sizeof(box))), 0);
    assert_memory_equal(plain, "word", 4);
    assert_int_equal(
        wc_box_open(plain, counting() + 1, counting() + 50, wc_slice(box, sizeof(box))),
        -WC_EBADSIG);
    assert_int_equal(
        wc_box_open(plain, counting(), counting() + 51, wc_slice(box, sizeof(box))),
        -WC_EBADSIG);
    for (size_t len = 0; len < sizeof(box); len++)
        assert_int_equal(
            wc_box_open(plain, counting(), counting() + 50, wc_slice(box, len)),
            -WC_EBADSIG);
    box[19] ^= 1;
    assert_int_equal(
        wc_box_open(plain, counting(), counting() + 50, wc_slice(box, sizeof(box))),
        -WC_EBADSIG);
}

static void passphrases_are_hashed_within_bounds(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    const uint64_t mem = 8u << 20;
    assert_int_equal(wc_pwhash(a, TEXT("correct horse"), counting(), 1, mem), 0);
    assert_int_equal(wc_pwhash(b, TEXT("correct horse"), counting(), 1, mem), 0);
    assert_memory_equal(a, b, 32);
    assert_int_equal(wc_pwhash(b, TEXT("correct horsf"), counting(), 1, mem), 0);
    assert_memory_not_equal(a, b, 32);
    assert_int_equal(wc_pwhash(b, TEXT("correct horse"), counting() + 1, 1, mem), 0);
    assert_memory_not_equal(a, b, 32);
    assert_int_equal(wc_pwhash(b, wc_slice(NULL, 0), counting(), 1, mem), 0);

    assert_int_equal(wc_pwhash(a, TEXT("x"), counting(), 0, mem), -WC_EINVALID);
    assert_int_equal(wc_pwhash(a, TEXT("x"), counting(), 17, mem), -WC_EINVALID);
    assert_int_equal(wc_pwhash(a, TEXT("x"), counting(), 1, mem - 1), -WC_EINVALID);
    assert_int_equal(wc_pwhash(a, TEXT("x"), counting(), 1, (1u << 30) + 1),
                     -WC_EINVALID);
    assert_int_equal(wc_pwhash(a, TEXT("x"), counting(), 1, UINT64_MAX), -WC_EINVALID);
}

/* The example of the SipHash paper, appendix A. */
static void siphash_is_as_published(void **state)
{
    (void)state;
    assert_true(wc_siphash(counting(), wc_slice(counting(), 15)) ==
                0xa129ca6149be45e5ULL);
    assert_true(wc_siphash(counting(), wc_slice(NULL, 0)) !=
                wc_siphash(counting() + 1, wc_slice(NULL, 0)));
}

static void memory_is_compared_and_wiped(void **state)
{
    (void)state;
    uint8_t a[8] = "abcdefg", b[8] = "abcdefg";
    static const uint8_t zero[8];
    assert_true(wc_equal(a, b, sizeof(a)));
    b[7] ^= 0x80;
    assert_false(wc_equal(a, b, sizeof(a)));
    assert_true(wc_equal(a, b, 0));
    wc_wipe(a, sizeof(a));
    assert_memory_equal(a, zero, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_agree_with_another_implementation),
        cmocka_unit_test(hmac_agrees_with_another_implementation),
        cmocka_unit_test(signatures_cover_domain_kind_and_message),
        cmocka_unit_test(signatures_refuse_what_is_not_canonical),
        cmocka_unit_test(signed_messages_are_bounded),
        cmocka_unit_test(key_agreement_is_as_published),
        cmocka_unit_test(sealed_boxes_agree_with_another_implementation),
        cmocka_unit_test(secret_boxes_open_with_their_key_only),
        cmocka_unit_test(passphrases_are_hashed_within_bounds),
        cmocka_unit_test(siphash_is_as_published),
        cmocka_unit_test(memory_is_compared_and_wiped),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
