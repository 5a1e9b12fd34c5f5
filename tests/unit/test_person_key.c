/* SPDX-License-Identifier: Apache-2.0 */
/* A person's key in text: read back, and never taken for another one. */
#include <string.h>

#include <whocan/crypto.h>
#include <whocan/person_key.h>

#include "tests/unit/golden.h"
#include "tests/unit/unit.h"

static const uint8_t zero[WC_KEY_BYTES];

static void make(int fill, struct wc_buf *out)
{
    uint8_t seed[WC_KEY_BYTES];
    memset(seed, fill, sizeof(seed));
    assert_int_equal(wc_person_key_encode(seed, out), 0);
}

static void refused(struct wc_slice text, int rc)
{
    uint8_t seed[WC_KEY_BYTES];
    assert_int_equal(wc_person_key_decode(text, seed), rc);
    assert_memory_equal(seed, zero, sizeof(seed));
}

static void the_golden_key_is_written_byte_by_byte(void **state)
{
    (void)state;
    struct wc_buf text = {0};
    make(0x04, &text);
    golden_check("person-key", wc_buf_slice(&text));
    wc_buf_fini(&text);
}

static void it_is_read_back(void **state)
{
    (void)state;
    struct wc_buf text = {0}, padded = {0};
    uint8_t seed[WC_KEY_BYTES], want[WC_KEY_BYTES];
    memset(want, 0x5a, sizeof(want));
    make(0x5a, &text);
    assert_int_equal(wc_person_key_decode(wc_buf_slice(&text), seed), 0);
    assert_memory_equal(seed, want, sizeof(seed));
    wc_buf_text(&padded, "\n  ");
    wc_buf_append(&padded, text.data, text.len);
    wc_buf_text(&padded, "\r\n\t");
    assert_int_equal(wc_person_key_decode(wc_buf_slice(&padded), seed), 0);
    assert_memory_equal(seed, want, sizeof(seed));
    wc_buf_fini(&padded);
    wc_buf_fini(&text);
}

/* Any bit, any shortening: damaged, and no key. */
static void damage_is_no_other_key(void **state)
{
    (void)state;
    struct wc_buf text = {0};
    make(0x33, &text);
    size_t len = text.len - 1; /* without the newline, which does not matter */
    for (size_t bit = 0; bit < 8 * len; bit++) {
        uint8_t seed[WC_KEY_BYTES];
        text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (wc_person_key_decode(wc_buf_slice(&text), seed) == 0)
            fail_msg("read with bit %zu flipped", bit);
        assert_memory_equal(seed, zero, sizeof(seed));
        text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    size_t header = strlen("whocan-person-key-1:");
    for (size_t n = 0; n < len; n++) /* a cut version might be a later one's */
        refused(wc_slice(text.data, n),
                n + 2 == header || n + 1 == header ? -WC_EVERSION : -WC_EINVALID);
    wc_buf_fini(&text);
}

static void what_it_is_not_is_told(void **state)
{
    (void)state;
    static const uint8_t long_text[WC_PERSON_KEY_TEXT_MAX_BYTES + 1] = {' '};
    refused(wc_slice_text("whocan-person-key-2:AAAA"), -WC_EVERSION);
    refused(wc_slice_text("whocan-invite-1:AAAA"), -WC_EINVALID);
    refused(wc_slice_text("whocan-person-key-1:!!"), -WC_EINVALID);
    refused(wc_slice(NULL, 0), -WC_EINVALID);
    refused(wc_slice(long_text, sizeof(long_text)), -WC_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_key_is_written_byte_by_byte),
        cmocka_unit_test(it_is_read_back),
        cmocka_unit_test(damage_is_no_other_key),
        cmocka_unit_test(what_it_is_not_is_told),
    };
    return wc_crypto_init() != 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
