/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link with fixed keys, and a peer whose bytes come from the input. The first byte says
 * how far the peer keeps to the rules, the second in pieces of what size its bytes come.
 */
#include <whocan/link.h>
#include <whocan/noise.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/offices.h"

enum peer {
    PEER_STRANGER,     /* the input is all that a responder hears */
    PEER_PAST_MAC,     /* a right message 1, then the input */
    PEER_RESPONDER,    /* the input is all that an initiator hears */
    PEER_INTRODUCED,   /* a right handshake whose message 3 has the input as payload */
    PEER_INTRODUCES,   /* message 2 with the input as payload, to an initiator */
    PEER_OPEN,         /* a right handshake, then the input */
    PEER_OPEN_SEALING, /* a right handshake, then the input sealed, in frames */
    PEER_COUNT,
};

static struct offices_org org;
static struct wc_identity ours, theirs;

struct play {
    struct wc_link *link;
    struct wc_noise noise; /* the peer's side, played by hand */
    struct wc_cipher send, receive;
    struct wc_buf out;
    size_t step_bytes;
    uint64_t frames_count, frames_bytes;
};

static void on_frame(void *ctx, struct wc_slice frame)
{
    struct play *p = ctx;
    HOLDS(wc_link_state(p->link) == WC_LINK_OPEN);
    HOLDS(frame.len > 0 && frame.len <= WC_FRAME_MAX_BYTES);
    p->frames_count++;
    p->frames_bytes += frame.len;
}

static int give_piece(struct play *p, struct wc_slice in)
{
    size_t before = p->out.len;
    int rc = wc_link_receive(p->link, in, OFFICES_NOW_MS, &p->out, on_frame, p);
    HOLDS(rc == wc_link_error(p->link));
    HOLDS((rc < 0) == (wc_link_state(p->link) == WC_LINK_FAILED));
    if (rc != 0) {
        HOLDS(p->out.len == before);
        HOLDS(wc_link_receive(p->link, in, OFFICES_NOW_MS, &p->out, on_frame, p) == rc);
        HOLDS(wc_link_send(p->link, wc_slice_text("x"), OFFICES_NOW_MS, &p->out) ==
              -WC_EPROTOCOL);
    }
    return rc;
}

static int give(struct play *p, struct wc_slice in)
{
    int rc = 0;
    while (in.len > 0 && rc == 0) {
        size_t len = in.len < p->step_bytes ? in.len : p->step_bytes;
        rc = give_piece(p, wc_slice(in.data, len));
        in = wc_slice(in.data + len, in.len - len);
    }
    return rc;
}

/* ---- the peer ---- */

static void play_begin(struct play *p, bool we_initiate)
{
    static const uint8_t random[WC_KEY_BYTES] = {1}, ephemeral[WC_KEY_BYTES] = {2};
    uint8_t prologue[9 + WC_ORG_ID_BYTES];
    memcpy(prologue, "whocan/1|", 9);
    memcpy(prologue + 9, org.org.id, WC_ORG_ID_BYTES);
    HOLDS(wc_link_new(&p->link, &ours, we_initiate, random) == 0);
    wc_noise_init(&p->noise, !we_initiate, wc_slice(prologue, sizeof(prologue)),
                  theirs.link_secret, ephemeral);
}

static void play_end(struct play *p)
{
    wc_link_free(p->link);
    wc_noise_fini(&p->noise);
    wc_buf_fini(&p->out);
}

static int peer_says(struct play *p, struct wc_slice payload)
{
    struct wc_buf message = {0};
    wc_buf_append(&message, "\0\0", 2);
    HOLDS(wc_noise_write(&p->noise, payload, &message) == 0);
    wc_put_u16(message.data, (uint16_t)(message.len - 2));
    int rc = give(p, wc_buf_slice(&message));
    wc_buf_fini(&message);
    return rc;
}

static void peer_hears(struct play *p)
{
    struct wc_buf payload = {0};
    HOLDS(p->out.len > 2 && p->out.len == 2u + wc_get_u16(p->out.data));
    HOLDS(wc_noise_read(&p->noise, wc_slice(p->out.data + 2, p->out.len - 2),
                        &payload) == 0);
    wc_buf_reset(&p->out);
    wc_buf_fini(&payload);
}

/* Message 1 of somebody who knows the secret. */
static void peer_hello(struct play *p)
{
    uint8_t mac[16];
    struct wc_slice parts[] = {wc_slice_text("whocan/1 hello"),
                               wc_slice(p->noise.e_pub, WC_KEY_BYTES)};
    wc_hash_keyed(mac, sizeof(mac), org.org.secret, parts, 2);
    HOLDS(peer_says(p, wc_slice(mac, sizeof(mac))) == 0);
    HOLDS(wc_link_past_mac(p->link));
}

static void peer_introduces(struct play *p, struct wc_slice payload)
{
    int rc = peer_says(p, payload);
    HOLDS((rc == 0) == (wc_link_state(p->link) == WC_LINK_OPEN));
    if (rc == 0) /* whatever else it said, the certificate was theirs */
        HOLDS(memcmp(&wc_link_peer(p->link)->sign_key, theirs.cert.sign_key,
                     WC_KEY_BYTES) == 0);
}

static void peer_opens(struct play *p)
{
    struct wc_buf payload = {0};
    wc_buf_append(&payload, "\x94\x01\x01\xc5\0\0", 6); /* bin 16 */
    wc_put_u16(payload.data + 4, (uint16_t)theirs.cert_len);
    wc_buf_append(&payload, theirs.cert_bytes, theirs.cert_len);
    wc_buf_append(&payload, "\xc4\0", 2); /* no rotation */
    peer_hello(p);
    peer_hears(p);
    HOLDS(peer_says(p, wc_buf_slice(&payload)) == 0);
    HOLDS(wc_noise_split(&p->noise, &p->send, &p->receive) == 0);
    wc_buf_fini(&payload);
}

/* Each input byte is the length of a frame of bytes after it; 0 rekeys. */
static void peer_seals(struct play *p, struct wc_slice in)
{
    uint64_t count = 0, bytes = 0;
    bool rekeyed = false, twice = false;
    while (in.len > 0 && !twice) {
        struct wc_buf message = {0};
        size_t len = in.data[0] < in.len - 1 ? in.data[0] : in.len - 1;
        wc_buf_append(&message, "\0\0", 2);
        HOLDS(wc_cipher_seal(&p->send, wc_slice(in.data + 1, len), &message) == 0);
        wc_put_u16(message.data, (uint16_t)(message.len - 2));
        twice = len == 0 && rekeyed;
        rekeyed = len == 0;
        if (rekeyed)
            wc_cipher_rekey(&p->send);
        HOLDS(give(p, wc_buf_slice(&message)) == (twice ? -WC_EPROTOCOL : 0));
        count += len > 0;
        bytes += len;
        in = wc_slice(in.data + 1 + len, in.len - 1 - len);
        wc_buf_fini(&message);
    }
    HOLDS(p->frames_count == count && p->frames_bytes == bytes);
}

static void play(struct play *p, enum peer peer, struct wc_slice in)
{
    play_begin(p, peer == PEER_RESPONDER || peer == PEER_INTRODUCES);
    switch (peer) {
    case PEER_STRANGER:
        give(p, in);
        HOLDS(!wc_link_past_mac(p->link) && p->out.len == 0);
        break;
    case PEER_PAST_MAC:
        peer_hello(p);
        give(p, in);
        HOLDS(wc_link_state(p->link) != WC_LINK_OPEN);
        break;
    case PEER_RESPONDER:
        HOLDS(wc_link_start(p->link, &p->out) == 0);
        wc_buf_reset(&p->out);
        give(p, in);
        HOLDS(wc_link_state(p->link) != WC_LINK_OPEN && p->out.len == 0);
        break;
    case PEER_INTRODUCED:
        peer_hello(p);
        peer_hears(p);
        peer_introduces(p, in);
        break;
    case PEER_INTRODUCES:
        HOLDS(wc_link_start(p->link, &p->out) == 0);
        peer_hears(p);
        peer_introduces(p, in);
        break;
    case PEER_OPEN:
        peer_opens(p);
        give(p, in);
        HOLDS(p->frames_count == 0);
        break;
    case PEER_OPEN_SEALING:
        peer_opens(p);
        peer_seals(p, in);
        break;
    case PEER_COUNT:
        break;
    }
    play_end(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready) {
        HOLDS(wc_crypto_init() == 0);
        org = offices_org('a');
        ours = offices_office(&org, 'o');
        theirs = offices_office(&org, 't');
        ready = true;
    }
    if (size < 2 || size > 4096)
        return 0;
    struct play p = {.step_bytes = data[1] == 0 ? SIZE_MAX : data[1]};
    play(&p, (enum peer)(data[0] % PEER_COUNT), wc_slice(data + 2, size - 2));
    return 0;
}
