/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise with fixed keys. The first byte says what the rest is: a handshake message for
 * one of its three readers, a transport message, or a payload that must come through a
 * whole handshake as it was.
 */
#include <whocan/noise.h>

#include "tests/fuzz/fuzz.h"

enum what {
    WHAT_FIRST,  /* a responder reads message 1 */
    WHAT_SECOND, /* an initiator reads message 2 */
    WHAT_THIRD,  /* a responder reads message 3 */
    WHAT_SEALED, /* a transport message is opened */
    WHAT_PAYLOAD,
    WHAT_COUNT,
};

static void pair_init(struct wc_noise *a, struct wc_noise *b)
{
    static const uint8_t s[2][WC_KEY_BYTES] = {{1}, {2}},
                         e[2][WC_KEY_BYTES] = {{3}, {4}};
    wc_noise_init(a, true, wc_slice_text("prologue"), s[0], e[0]);
    wc_noise_init(b, false, wc_slice_text("prologue"), s[1], e[1]);
}

/* One message from one side to the other; the payload comes through unchanged. */
static void pass(struct wc_noise *from, struct wc_noise *to, struct wc_slice payload)
{
    struct wc_buf message = {0}, back = {0};
    HOLDS(wc_noise_write(from, payload, &message) == 0);
    HOLDS(wc_noise_read(to, wc_buf_slice(&message), &back) == 0);
    HOLDS(wc_slice_eq(wc_buf_slice(&back), payload));
    wc_buf_fini(&message);
    wc_buf_fini(&back);
}

/* The reader of message 2 or 3 must refuse whatever is not that message; message 1 has
 * no key yet, and its payload is what it says. */
static void read_message(struct wc_noise *reader, unsigned step, struct wc_slice in)
{
    struct wc_buf payload = {0};
    wc_buf_text(&payload, "before");
    int rc = wc_noise_read(reader, in, &payload);
    if (step == 0)
        HOLDS(rc == (in.len < WC_KEY_BYTES ? -WC_ETRUNCATED : 0));
    else
        HOLDS(rc == -WC_EBADSIG || rc == -WC_ETRUNCATED || rc == -WC_ECRYPTO);
    HOLDS(payload.len == 6 + (rc == 0 ? in.len - WC_KEY_BYTES : 0));
    HOLDS(memcmp(payload.data, "before", 6) == 0);
    if (rc != 0)
        HOLDS(wc_noise_read(reader, in, &payload) == -WC_EPROTOCOL);
    wc_buf_fini(&payload);
}

static void open_sealed(struct wc_slice in)
{
    struct wc_cipher c = {.key = {5}, .nonce = 6};
    struct wc_buf out = {0};
    int rc = wc_cipher_open(&c, in, &out);
    HOLDS(rc == (in.len < WC_AEAD_TAG_BYTES ? -WC_ETRUNCATED : -WC_EBADSIG));
    HOLDS(out.len == 0 && c.nonce == 6);
    wc_buf_fini(&out);
}

static void carry(struct wc_noise *a, struct wc_noise *b, struct wc_slice payload)
{
    struct wc_cipher send[2], receive[2];
    struct wc_buf sealed = {0}, back = {0};
    pass(a, b, payload);
    pass(b, a, payload);
    pass(a, b, payload);
    HOLDS(wc_noise_split(a, &send[0], &receive[0]) == 0);
    HOLDS(wc_noise_split(b, &send[1], &receive[1]) == 0);
    HOLDS(memcmp(send[0].key, receive[1].key, WC_KEY_BYTES) == 0);
    HOLDS(memcmp(send[0].key, send[1].key, WC_KEY_BYTES) != 0);
    HOLDS(wc_cipher_seal(&send[1], payload, &sealed) == 0);
    HOLDS(wc_cipher_open(&receive[0], wc_buf_slice(&sealed), &back) == 0);
    HOLDS(wc_slice_eq(wc_buf_slice(&back), payload));
    wc_buf_fini(&sealed);
    wc_buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct wc_noise a, b;
    if (!ready)
        HOLDS(wc_crypto_init() == 0);
    ready = true;
    if (size == 0 || size > 4096)
        return 0;
    struct wc_slice in = wc_slice(data + 1, size - 1);
    pair_init(&a, &b);
    switch ((enum what)(data[0] % WHAT_COUNT)) {
    case WHAT_FIRST:
        read_message(&b, 0, in);
        break;
    case WHAT_SECOND:
        pass(&a, &b, wc_slice_text("one"));
        read_message(&a, 1, in);
        break;
    case WHAT_THIRD:
        pass(&a, &b, wc_slice_text("one"));
        pass(&b, &a, wc_slice_text("two"));
        read_message(&b, 2, in);
        break;
    case WHAT_SEALED:
        open_sealed(in);
        break;
    case WHAT_PAYLOAD:
        carry(&a, &b, in);
        break;
    case WHAT_COUNT:
        break;
    }
    wc_noise_fini(&a);
    wc_noise_fini(&b);
    return 0;
}
