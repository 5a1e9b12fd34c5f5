/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a person's key, as text and as what the text encodes. */
#include <whocan/person_key.h>

#include "tests/fuzz/fuzz.h"

static void read_key(struct wc_slice text)
{
    uint8_t seed[WC_KEY_BYTES], again[WC_KEY_BYTES];
    static const uint8_t nothing[WC_KEY_BYTES];
    struct wc_buf b = {0};
    memset(seed, 0, sizeof(seed));
    int rc = wc_person_key_decode(text, seed);
    if (rc == 0) {
        HOLDS(wc_person_key_encode(seed, &b) == 0);
        HOLDS(b.len <= WC_PERSON_KEY_TEXT_MAX_BYTES);
        HOLDS(wc_person_key_decode(wc_buf_slice(&b), again) == 0);
        HOLDS(memcmp(seed, again, sizeof(seed)) == 0);
    } else {
        HOLDS(memcmp(seed, nothing, sizeof(seed)) == 0);
    }
    wc_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_buf text = {0};
    HOLDS(wc_crypto_init() == 0);
    read_key(wc_slice(data, size));
    wc_buf_text(&text, "whocan-person-key-1:");
    wc_buf_base64url(&text, wc_slice(data, size));
    read_key(wc_buf_slice(&text));
    /* any seed there and back */
    if (size >= WC_KEY_BYTES) {
        wc_buf_reset(&text);
        HOLDS(wc_person_key_encode(data, &text) == 0);
        read_key(wc_buf_slice(&text));
    }
    wc_buf_fini(&text);
    return 0;
}
