/* SPDX-License-Identifier: Apache-2.0 */
/* The Noise handshake against the published vectors, against one of our own, and against
 * bytes that are not what they should be. */
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/noise.h>

#include "tests/unit/unit.h"

#define MESSAGES_MAX 8

struct vector {
    char prologue[128];
    char init_static[65], init_ephemeral[65];
    char resp_static[65], resp_ephemeral[65];
    char handshake_hash[129];
    int count; /* messages: three of the handshake, then responder, initiator, ... */
    struct {
        char payload[256];
        char bytes[512];
    } messages[MESSAGES_MAX];
};

/* Computed by a separate implementation, so that a checkout without the published data
 * still notices a changed byte. Payloads are empty, short, and longer than a block. */
static const struct vector own_vector = {
    .prologue = "77686f63616e2f317c000102030405060708090a0b0c0d0e0f",
    .init_static = "0101010101010101010101010101010101010101010101010101010101010101",
    .init_ephemeral =
        "0202020202020202020202020202020202020202020202020202020202020202",
    .resp_static = "0303030303030303030303030303030303030303030303030303030303030303",
    .resp_ephemeral =
        "0404040404040404040404040404040404040404040404040404040404040404",
    .handshake_hash =
        "5265684c07ebbdd70f281a57ec4ad531ad76939fd7ea21c93d579aca7c54c0be"
        "a62518596363bfc2f8536ea6ea0b0041e4bfbd089fb6f793842aedc24c2a3531",
    .count = 5,
    .messages =
        {
            {.payload = "",
             .bytes =
                 "ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59"},
            {.payload = "74776f",
             .bytes = "ac01b2209e86354fb853237b5de0f4fab13c7fcbf433a61c019369617fecf10b"
                      "8001b4ce4bb2746a6bd693c4d0a900d849389237f160d22856081e810110e359"
                      "1f5ced0d6e247cf3b92053511f9f923ffb7cba46f1df5b3178a37b572fdd9c1a"
                      "b9a051"},
            {.payload =
                 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
                 "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
                 "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
                 "60616263",
             .bytes = "ef85c6b0379016c6845ae99f75be21275605d8f34ef8dbd5a2653aa4ef7b87c5"
                      "d45b0c3e5ebaf53bfff3c977ad60bb6695f36b37273e0816f301c473b2281fe4"
                      "51bd6c479caac3f1785da583554c9e44228023ef42b10c73eff8e1cf08b99601"
                      "0b70a4635d4fd30f9e4af469c2a52b33b94d06a313b35304bc8aa4796c9b2a41"
                      "55c796db2d2406ef6d20fdea2f23303b457d10dff0bf3b8300bb835a4c736e71"
                      "858fd2a7"},
            {.payload = "", .bytes = "815c9f1df67a496539f77fdd82b85a03"},
            {.payload = "66697665",
             .bytes = "0c27248654df8c2415a1ed170fd4bb4f2ac3e634"},
        },
};

static struct wc_slice unhex(const char *text, uint8_t *out, size_t cap)
{
    size_t len = strlen(text) / 2;
    assert_true(len <= cap);
    assert_int_equal(wc_unhex(out, len, wc_slice_text(text)), 0);
    return wc_slice(out, len);
}

static void pair_init(const struct vector *v, struct wc_noise *init,
                      struct wc_noise *resp)
{
    uint8_t prologue_raw[64], s[WC_KEY_BYTES], e[WC_KEY_BYTES];
    struct wc_slice prologue = unhex(v->prologue, prologue_raw, sizeof(prologue_raw));
    unhex(v->init_static, s, sizeof(s));
    unhex(v->init_ephemeral, e, sizeof(e));
    wc_noise_init(init, true, prologue, s, e);
    unhex(v->resp_static, s, sizeof(s));
    unhex(v->resp_ephemeral, e, sizeof(e));
    wc_noise_init(resp, false, prologue, s, e);
}

static void assert_hex(struct wc_slice got, const char *want, const char *what)
{
    char text[1024];
    assert_true(got.len * 2 < sizeof(text));
    wc_hex(text, got.data, got.len);
    text[got.len * 2] = '\0';
    if (strcmp(text, want) != 0)
        print_error("%s is\n%s\nand should be\n%s\n", what, text, want);
    assert_string_equal(text, want);
}

static void run_vector(const struct vector *v)
{
    struct wc_noise init, resp, *sides[] = {&init, &resp};
    struct wc_cipher send[2], receive[2];
    pair_init(v, &init, &resp);
    for (int i = 0; i < v->count; i++) {
        uint8_t raw[256];
        struct wc_slice payload = unhex(v->messages[i].payload, raw, sizeof(raw));
        struct wc_buf message = {0}, back = {0};
        int from = i % 2, to = 1 - from;
        char what[32];
        snprintf(what, sizeof(what), "message %d", i + 1);
        if (i < 3) {
            assert_int_equal(wc_noise_write(sides[from], payload, &message), 0);
            assert_hex(wc_buf_slice(&message), v->messages[i].bytes, what);
            assert_int_equal(wc_noise_read(sides[to], wc_buf_slice(&message), &back),
                             0);
        } else {
            assert_int_equal(wc_cipher_seal(&send[from], payload, &message), 0);
            assert_hex(wc_buf_slice(&message), v->messages[i].bytes, what);
            assert_int_equal(
                wc_cipher_open(&receive[to], wc_buf_slice(&message), &back), 0);
        }
        assert_true(wc_slice_eq(wc_buf_slice(&back), payload));
        if (i == 2) {
            if (v->handshake_hash[0] != '\0') /* some projects leave it out */
                assert_hex(wc_slice(init.h, sizeof(init.h)), v->handshake_hash, "hash");
            assert_memory_equal(init.h, resp.h, sizeof(init.h));
            assert_int_equal(wc_noise_split(&init, &send[0], &receive[0]), 0);
            assert_int_equal(wc_noise_split(&resp, &send[1], &receive[1]), 0);
        }
        wc_buf_fini(&message);
        wc_buf_fini(&back);
    }
    wc_noise_fini(&init);
    wc_noise_fini(&resp);
}

static void own_vector_holds(void **state)
{
    (void)state;
    run_vector(&own_vector);
}

/* ---- the published vectors ---- */

static void copy_text(const json_t *object, const char *key, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    assert_true(strlen(text) < cap);
    snprintf(out, cap, "%s", text);
}

static bool is_ours(const json_t *one)
{
    const char *name = json_string_value(json_object_get(one, "protocol_name"));
    if (name == NULL)
        name = json_string_value(json_object_get(one, "name"));
    return name != NULL && strcmp(name, "Noise_XX_25519_ChaChaPoly_BLAKE2b") == 0;
}

static void load_vector(const json_t *one, struct vector *v)
{
    char resp_prologue[sizeof(v->prologue)];
    copy_text(one, "init_prologue", v->prologue, sizeof(v->prologue));
    copy_text(one, "resp_prologue", resp_prologue, sizeof(resp_prologue));
    assert_string_equal(v->prologue, resp_prologue);
    copy_text(one, "init_static", v->init_static, sizeof(v->init_static));
    copy_text(one, "init_ephemeral", v->init_ephemeral, sizeof(v->init_ephemeral));
    copy_text(one, "resp_static", v->resp_static, sizeof(v->resp_static));
    copy_text(one, "resp_ephemeral", v->resp_ephemeral, sizeof(v->resp_ephemeral));
    if (json_object_get(one, "handshake_hash") != NULL)
        copy_text(one, "handshake_hash", v->handshake_hash, sizeof(v->handshake_hash));
    const json_t *messages = json_object_get(one, "messages");
    v->count = (int)json_array_size(messages);
    assert_in_range(v->count, 4, MESSAGES_MAX);
    for (int i = 0; i < v->count; i++) {
        const json_t *m = json_array_get(messages, (size_t)i);
        copy_text(m, "payload", v->messages[i].payload, sizeof(v->messages[i].payload));
        copy_text(m, "ciphertext", v->messages[i].bytes, sizeof(v->messages[i].bytes));
    }
}

/* Every vector of our protocol in one file; how many there were. */
static int run_file(const char *path)
{
    json_error_t error;
    int found = 0;
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL)
        fail_msg("%s: %s (line %d)", path, error.text, error.line);
    const json_t *vectors = json_object_get(root, "vectors");
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        const json_t *one = json_array_get(vectors, i);
        struct vector v = {.count = 0};
        if (!is_ours(one))
            continue;
        load_vector(one, &v);
        run_vector(&v);
        found++;
    }
    json_decref(root);
    return found;
}

/* All files in the format that the projects publish, whoever they are by. */
static void published_vectors_hold(void **state)
{
    (void)state;
    const char *data = getenv("WHOCAN_TEST_DATA");
    char pattern[1024];
    glob_t files;
    int found = 0;
    snprintf(pattern, sizeof(pattern), "%s/noise/*.json",
             data != NULL ? data : WHOCAN_SOURCE_DIR "/../shared/data");
    if (glob(pattern, 0, NULL, &files) != 0) {
        print_message("[  NOTE    ] no %s: set WHOCAN_TEST_DATA to the directory of "
                      "the published vectors\n",
                      pattern);
        skip();
    }
    for (size_t i = 0; i < files.gl_pathc; i++)
        found += run_file(files.gl_pathv[i]);
    globfree(&files);
    print_message("[  NOTE    ] %d published vectors\n", found);
    assert_true(found > 0);
}

/* ---- what must not work ---- */

/* Run the handshake up to message `step`; its bytes go to `message`. */
static void run_until(struct wc_noise *init, struct wc_noise *resp, int step,
                      struct wc_buf *message)
{
    struct wc_noise *sides[] = {init, resp};
    struct wc_buf payload = {0};
    pair_init(&own_vector, init, resp);
    for (int i = 0; i <= step; i++) {
        wc_buf_reset(message);
        assert_int_equal(
            wc_noise_write(sides[i % 2], wc_slice_text("payload"), message), 0);
        if (i < step)
            assert_int_equal(
                wc_noise_read(sides[1 - i % 2], wc_buf_slice(message), &payload), 0);
    }
    wc_buf_fini(&payload);
}

static void flipped_bits_are_refused(void **state)
{
    (void)state;
    for (int step = 1; step < 3; step++) {
        struct wc_noise init, resp;
        struct wc_buf message = {0}, payload = {0};
        run_until(&init, &resp, step, &message);
        for (size_t bit = 0; bit < message.len * 8; bit++) {
            struct wc_noise reader = step == 1 ? init : resp;
            message.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            /* the top bit of a public key is masked (RFC 7748, 5): only the hash of the
             * transcript sees it */
            assert_int_not_equal(
                wc_noise_read(&reader, wc_buf_slice(&message), &payload), 0);
            assert_int_equal(payload.len, 0);
            assert_int_equal(reader.step, WC_NOISE_DEAD);
            message.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        wc_buf_fini(&message);
        wc_buf_fini(&payload);
    }
}

/* Message 1 is in clear, so a changed one is read; the transcript then differs and
 * message 2 must not be readable. */
static void a_changed_first_message_ends_at_the_second(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < (WC_KEY_BYTES + 7) * 8; bit++) {
        struct wc_noise init, resp;
        struct wc_buf message = {0}, payload = {0};
        run_until(&init, &resp, 0, &message);
        message.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(wc_noise_read(&resp, wc_buf_slice(&message), &payload), 0);
        wc_buf_reset(&message);
        assert_int_equal(wc_noise_write(&resp, wc_slice(NULL, 0), &message), 0);
        assert_int_equal(wc_noise_read(&init, wc_buf_slice(&message), &payload),
                         -WC_EBADSIG);
        wc_buf_fini(&message);
        wc_buf_fini(&payload);
    }
}

static void truncated_messages_are_refused(void **state)
{
    (void)state;
    for (int step = 0; step < 3; step++) {
        struct wc_noise init, resp;
        struct wc_buf message = {0}, payload = {0};
        run_until(&init, &resp, step, &message);
        /* the first message ends in seven clear bytes of payload */
        size_t shortest_good = step == 0 ? WC_KEY_BYTES : message.len;
        for (size_t len = 0; len < shortest_good; len++) {
            struct wc_noise reader = step == 1 ? init : resp;
            int rc = wc_noise_read(&reader, wc_slice(message.data, len), &payload);
            assert_true(rc == -WC_ETRUNCATED || rc == -WC_EBADSIG);
            assert_int_equal(payload.len, 0);
        }
        wc_buf_fini(&message);
        wc_buf_fini(&payload);
    }
}

static void low_order_points_are_refused(void **state)
{
    (void)state;
    static const uint8_t zero[WC_KEY_BYTES] = {0};
    struct wc_noise init, resp;
    struct wc_buf buf = {0}, out = {0};
    pair_init(&own_vector, &init, &resp);
    assert_int_equal(wc_noise_read(&resp, wc_slice(zero, sizeof(zero)), &buf), 0);
    assert_int_equal(wc_noise_write(&resp, wc_slice(NULL, 0), &out), -WC_ECRYPTO);
    assert_int_equal(out.len, 0);
    assert_int_equal(wc_noise_write(&resp, wc_slice(NULL, 0), &out), -WC_EPROTOCOL);
    wc_buf_fini(&buf);
    wc_buf_fini(&out);
}

static void turns_are_kept(void **state)
{
    (void)state;
    struct wc_noise init, resp;
    struct wc_cipher a, b;
    struct wc_buf buf = {0};
    pair_init(&own_vector, &init, &resp);
    assert_int_equal(wc_noise_split(&init, &a, &b), -WC_EPROTOCOL);
    assert_int_equal(wc_noise_write(&resp, wc_slice(NULL, 0), &buf), -WC_EPROTOCOL);
    uint8_t message[WC_KEY_BYTES] = {9};
    assert_int_equal(wc_noise_read(&init, wc_slice(message, sizeof(message)), &buf),
                     -WC_EPROTOCOL);
    assert_int_equal(wc_noise_write(&init, wc_slice(NULL, 0), &buf), -WC_EPROTOCOL);
    wc_buf_fini(&buf);
}

static void a_nonce_never_wraps(void **state)
{
    (void)state;
    struct wc_cipher c = {.key = {1}, .nonce = UINT64_MAX - 1}, d = c;
    struct wc_buf sealed = {0}, out = {0};
    assert_int_equal(wc_cipher_seal(&c, wc_slice_text("last"), &sealed), 0);
    assert_int_equal(wc_cipher_seal(&c, wc_slice_text("over"), &sealed), -WC_EPROTOCOL);
    assert_int_equal(wc_cipher_open(&d, wc_buf_slice(&sealed), &out), 0);
    assert_int_equal(wc_cipher_open(&d, wc_buf_slice(&sealed), &out), -WC_EPROTOCOL);
    assert_true(wc_slice_is(wc_buf_slice(&out), "last"));
    wc_buf_fini(&sealed);
    wc_buf_fini(&out);
}

static void transport_messages_keep_their_order(void **state)
{
    (void)state;
    struct wc_cipher send = {.key = {7}}, receive = send;
    struct wc_buf one = {0}, two = {0}, out = {0};
    assert_int_equal(wc_cipher_seal(&send, wc_slice_text("one"), &one), 0);
    assert_int_equal(wc_cipher_seal(&send, wc_slice_text("two"), &two), 0);
    assert_int_equal(wc_cipher_open(&receive, wc_buf_slice(&two), &out), -WC_EBADSIG);
    assert_int_equal(wc_cipher_open(&receive, wc_buf_slice(&one), &out), 0);
    assert_int_equal(wc_cipher_open(&receive, wc_buf_slice(&one), &out), -WC_EBADSIG);
    assert_int_equal(wc_cipher_open(&receive, wc_buf_slice(&two), &out), 0);
    assert_true(wc_slice_is(wc_buf_slice(&out), "onetwo"));
    assert_int_equal(wc_cipher_open(&receive, wc_slice(one.data, 15), &out),
                     -WC_ETRUNCATED);
    wc_buf_fini(&one);
    wc_buf_fini(&two);
    wc_buf_fini(&out);
}

/* REKEY is one encryption of zeros under the nonce 2^64 - 1 (4.2); the counter goes on.
 */
static void rekeying_is_as_specified(void **state)
{
    (void)state;
    struct wc_cipher a = {.key = {7}, .nonce = 5}, b = a;
    uint8_t zeros[32] = {0}, want[48];
    wc_aead_seal(want, a.key, UINT64_MAX, wc_slice(NULL, 0), wc_slice(zeros, 32));
    wc_cipher_rekey(&a);
    assert_memory_equal(a.key, want, sizeof(a.key));
    assert_int_equal(a.nonce, 5);
    struct wc_buf sealed = {0}, out = {0};
    assert_int_equal(wc_cipher_seal(&a, wc_slice_text("new"), &sealed), 0);
    assert_int_equal(wc_cipher_open(&b, wc_buf_slice(&sealed), &out), -WC_EBADSIG);
    wc_cipher_rekey(&b);
    assert_int_equal(wc_cipher_open(&b, wc_buf_slice(&sealed), &out), 0);
    assert_true(wc_slice_is(wc_buf_slice(&out), "new"));
    wc_buf_fini(&sealed);
    wc_buf_fini(&out);
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    static const uint8_t big[WC_NOISE_MAX_BYTES + 1];
    struct wc_noise init, resp;
    struct wc_cipher c = {.key = {3}};
    struct wc_buf out = {0};
    assert_int_equal(wc_cipher_seal(&c, wc_slice(big, WC_FRAME_MAX_BYTES), &out), 0);
    assert_int_equal(out.len, WC_NOISE_MAX_BYTES);
    assert_int_equal(wc_cipher_seal(&c, wc_slice(big, WC_FRAME_MAX_BYTES + 1), &out),
                     -WC_ETOOBIG);
    assert_int_equal(wc_cipher_open(&c, wc_slice(big, sizeof(big)), &out), -WC_ETOOBIG);
    pair_init(&own_vector, &init, &resp);
    assert_int_equal(wc_noise_write(&init, wc_slice(big, WC_NOISE_MAX_BYTES), &out),
                     -WC_ETOOBIG);
    assert_int_equal(wc_noise_read(&resp, wc_slice(big, sizeof(big)), &out),
                     -WC_ETOOBIG);
    assert_int_equal(out.len, WC_NOISE_MAX_BYTES);
    wc_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_vector_holds),
        cmocka_unit_test(published_vectors_hold),
        cmocka_unit_test(flipped_bits_are_refused),
        cmocka_unit_test(a_changed_first_message_ends_at_the_second),
        cmocka_unit_test(truncated_messages_are_refused),
        cmocka_unit_test(low_order_points_are_refused),
        cmocka_unit_test(turns_are_kept),
        cmocka_unit_test(a_nonce_never_wraps),
        cmocka_unit_test(transport_messages_keep_their_order),
        cmocka_unit_test(rekeying_is_as_specified),
        cmocka_unit_test(sizes_are_bounded),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
