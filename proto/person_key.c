/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <whocan/crypto.h>
#include <whocan/person_key.h>

#define KIND        "whocan-person-key-"
#define HEADER      KIND "1:"
#define CHECK_BYTES 8
#define RAW_BYTES   (WC_KEY_BYTES + CHECK_BYTES)

static void check_of(const uint8_t seed[WC_KEY_BYTES], uint8_t out[CHECK_BYTES])
{
    uint8_t digest[WC_DIGEST_BYTES];
    const struct wc_slice parts[] = {wc_slice_text("whocan person key"),
                                     wc_slice(seed, WC_KEY_BYTES)};
    wc_hash(digest, parts, 2);
    memcpy(out, digest, CHECK_BYTES);
}

int wc_person_key_encode(const uint8_t seed[WC_KEY_BYTES], struct wc_buf *out)
{
    uint8_t raw[RAW_BYTES];
    memcpy(raw, seed, WC_KEY_BYTES);
    check_of(seed, raw + WC_KEY_BYTES);
    /* room at once: what grows leaves copies of the secret behind */
    if (wc_buf_reserve(out, WC_PERSON_KEY_TEXT_MAX_BYTES) != NULL) {
        wc_buf_text(out, HEADER);
        wc_buf_base64url(out, wc_slice(raw, sizeof(raw)));
        wc_buf_byte(out, '\n');
    }
    wc_wipe(raw, sizeof(raw));
    return out->failed ? -WC_ENOMEM : 0;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct wc_slice trimmed(struct wc_slice text)
{
    while (text.len > 0 && is_space(text.data[0]))
        text = wc_slice(text.data + 1, text.len - 1);
    while (text.len > 0 && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

static bool starts_with(struct wc_slice text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.data, start, len) == 0;
}

int wc_person_key_decode(struct wc_slice text, uint8_t seed[WC_KEY_BYTES])
{
    struct wc_buf raw = {0};
    uint8_t check[CHECK_BYTES];
    size_t header = strlen(HEADER);
    memset(seed, 0, WC_KEY_BYTES);
    if (text.len > WC_PERSON_KEY_TEXT_MAX_BYTES)
        return -WC_ETOOBIG;
    text = trimmed(text);
    if (!starts_with(text, HEADER))
        return starts_with(text, KIND) ? -WC_EVERSION : -WC_EINVALID;
    if (wc_buf_reserve(&raw, WC_PERSON_KEY_TEXT_MAX_BYTES) == NULL)
        return -WC_ENOMEM;
    int rc = wc_base64url_decode(wc_slice(text.data + header, text.len - header), &raw);
    if (rc == 0 && raw.len != RAW_BYTES)
        rc = -WC_EINVALID;
    if (rc == 0) {
        check_of(raw.data, check);
        rc =
            memcmp(check, raw.data + WC_KEY_BYTES, CHECK_BYTES) == 0 ? 0 : -WC_EINVALID;
    }
    if (rc == 0)
        memcpy(seed, raw.data, WC_KEY_BYTES);
    wc_wipe(raw.data, raw.cap);
    wc_buf_fini(&raw);
    return rc;
}
