/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link state machine. A side waits for one thing at a time:
 *
 *   initiator  START --wc_link_start()--> REPLY --message 2, sends 3--> FRAMES
 *   responder  HELLO --message 1, sends 2--> FINISH --message 3--> FRAMES
 *
 * Order of the checks. A stranger is told apart by one keyed hash: no key pair is made
 * and no Diffie-Hellman computed before the MAC of message 1 is right. Each length is
 * checked against what may come now as soon as its two bytes are there, so that a
 * stranger makes us hold 48 bytes at most.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/link.h>
#include <whocan/noise.h>
#include <whocan/pack.h>
#include <whocan/record.h>
#include <whocan/wire.h>

#include "proto/link_internal.h"

#define LENGTH_BYTES     2
#define MAC_BYTES        16
#define HELLO_BYTES      (WC_KEY_BYTES + MAC_BYTES)
#define REPLY_MIN_BYTES  (2 * WC_KEY_BYTES + 2 * WC_AEAD_TAG_BYTES)
#define REPLY_MAX_BYTES  (REPLY_MIN_BYTES + WC_HANDSHAKE_PAYLOAD_MAX_BYTES)
#define FINISH_MIN_BYTES (WC_KEY_BYTES + 2 * WC_AEAD_TAG_BYTES)
#define FINISH_MAX_BYTES (FINISH_MIN_BYTES + WC_HANDSHAKE_PAYLOAD_MAX_BYTES)
#define FRAME_MIN_BYTES  WC_AEAD_TAG_BYTES

/* An idle link keeps no more buffer than this: most frames are smaller, and a burst of
 * large ones must not stay in memory. */
#define KEEP_BYTES 4096

static_assert(WC_FRAME_MAX_BYTES + WC_AEAD_TAG_BYTES == WC_NOISE_MAX_BYTES &&
                  WC_NOISE_MAX_BYTES == UINT16_MAX,
              "every u16 length is a legal transport message");

const struct wc_link_tuning wc_link_tuning_default = {
    .rekey_after_count = WC_REKEY_AFTER_COUNT,
    .rekey_after_ms = WC_REKEY_AFTER_MS,
    .version_min = WC_WIRE_VERSION_MIN,
    .version_max = WC_WIRE_VERSION_MAX,
};

enum waiting {
    WAITING_START,  /* initiator: for our own side to start */
    WAITING_HELLO,  /* responder: for message 1 */
    WAITING_REPLY,  /* initiator: for message 2 */
    WAITING_FINISH, /* responder: for message 3 */
    WAITING_FRAMES,
};

struct wc_link {
    const struct wc_identity *identity; /* borrowed; not touched once open */
    struct wc_link_tuning tuning;
    bool initiator;
    enum waiting waiting;
    enum wc_link_state state;
    int error;
    bool past_mac;
    bool opened;
    uint32_t version;

    uint8_t ephemeral[WC_KEY_BYTES]; /* until the Noise state takes it */
    uint8_t hello[WC_KEY_BYTES];     /* the public ephemeral of message 1 */
    bool said_hello;
    struct wc_noise noise;

    struct wc_cipher send;
    uint64_t send_count; /* messages under the present key */
    uint64_t send_key_ms;
    struct wc_cipher receive;
    bool receive_rekeyed; /* the last message was a rekeying */

    uint8_t length[LENGTH_BYTES]; /* of the message that has not come whole yet */
    size_t length_len;
    struct wc_buf part;  /* what there is of it */
    struct wc_buf plain; /* the message or frame being read */

    struct wc_cert peer;
    uint8_t peer_cert[WC_CERT_MAX_BYTES];
    size_t peer_cert_len;
    bool peer_former;
    uint8_t peer_rotation[WC_ROTATION_MAX_BYTES];
    size_t peer_rotation_len;
};

/* ---- life ---- */

int wc_link_new(struct wc_link **out, const struct wc_identity *identity,
                bool initiator, const uint8_t random[WC_KEY_BYTES])
{
    struct wc_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return -WC_ENOMEM;
    link->identity = identity;
    link->tuning = wc_link_tuning_default;
    link->initiator = initiator;
    link->waiting = initiator ? WAITING_START : WAITING_HELLO;
    link->state = WC_LINK_HANDSHAKE;
    memcpy(link->ephemeral, random, sizeof(link->ephemeral));
    *out = link;
    return 0;
}

void wc_link_tune(struct wc_link *link, const struct wc_link_tuning *tuning)
{
    assert(link->waiting == WAITING_START || link->waiting == WAITING_HELLO);
    link->tuning = *tuning;
}

static void wipe_secrets(struct wc_link *link)
{
    wc_wipe(link->ephemeral, sizeof(link->ephemeral));
    wc_noise_fini(&link->noise);
    wc_wipe(&link->send, sizeof(link->send));
    wc_wipe(&link->receive, sizeof(link->receive));
}

void wc_link_free(struct wc_link *link)
{
    if (link == NULL)
        return;
    wipe_secrets(link);
    wc_buf_fini(&link->part);
    wc_buf_fini(&link->plain);
    free(link);
}

/* Buffers stay: a frame of ours may be in the hands of on_frame. */
static int fail(struct wc_link *link, int rc)
{
    assert(rc < 0);
    wipe_secrets(link);
    link->state = WC_LINK_FAILED;
    link->error = rc;
    return rc;
}

enum wc_link_state wc_link_state(const struct wc_link *link)
{
    return link->state;
}

int wc_link_error(const struct wc_link *link)
{
    return link->error;
}

uint32_t wc_link_version(const struct wc_link *link)
{
    return link->opened ? link->version : 0;
}

bool wc_link_past_mac(const struct wc_link *link)
{
    return link->past_mac;
}

const uint8_t *wc_link_hello(const struct wc_link *link)
{
    return link->said_hello ? link->hello : NULL;
}

const struct wc_cert *wc_link_peer(const struct wc_link *link)
{
    return link->opened ? &link->peer : NULL;
}

struct wc_slice wc_link_peer_cert(const struct wc_link *link)
{
    return wc_slice(link->peer_cert, link->opened ? link->peer_cert_len : 0);
}

bool wc_link_peer_former(const struct wc_link *link)
{
    return link->opened && link->peer_former;
}

struct wc_slice wc_link_peer_rotation(const struct wc_link *link)
{
    return wc_slice(link->peer_rotation, link->opened ? link->peer_rotation_len : 0);
}

/* ---- writing the handshake ---- */

static void hello_mac(uint8_t mac[MAC_BYTES], const struct wc_identity *identity,
                      const uint8_t ephemeral[WC_KEY_BYTES])
{
    struct wc_slice parts[] = {wc_slice_text("whocan/1 hello"),
                               wc_slice(ephemeral, WC_KEY_BYTES)};
    wc_hash_keyed(mac, MAC_BYTES, identity->org.secret, parts, 2);
}

static void keep_hello(struct wc_link *link, const uint8_t ephemeral[WC_KEY_BYTES])
{
    memcpy(link->hello, ephemeral, sizeof(link->hello));
    link->said_hello = true;
}

static void noise_begin(struct wc_link *link)
{
    static const char label[] = "whocan/1|";
    uint8_t prologue[sizeof(label) - 1 + WC_ORG_ID_BYTES];
    memcpy(prologue, label, sizeof(label) - 1);
    memcpy(prologue + sizeof(label) - 1, link->identity->org.id, WC_ORG_ID_BYTES);
    wc_noise_init(&link->noise, link->initiator, wc_slice(prologue, sizeof(prologue)),
                  link->identity->link_secret, link->ephemeral);
    wc_wipe(link->ephemeral, sizeof(link->ephemeral));
}

static int write_message(struct wc_link *link, struct wc_slice payload,
                         struct wc_buf *out)
{
    size_t start = out->len;
    wc_buf_append(out, (uint8_t[LENGTH_BYTES]){0}, LENGTH_BYTES);
    int rc = wc_noise_write(&link->noise, payload, out);
    if (rc == 0)
        wc_put_u16(out->data + start, (uint16_t)(out->len - start - LENGTH_BYTES));
    else
        out->len = start;
    return rc;
}

/* Message 2 or 3: who we are, and which protocol versions we speak. */
static int write_introduction(struct wc_link *link, struct wc_buf *out)
{
    struct wc_buf payload = {0};
    const struct wc_org *org = &link->identity->org;
    wc_pack_array(&payload, 4);
    wc_pack_u64(&payload, link->tuning.version_min);
    wc_pack_u64(&payload, link->tuning.version_max);
    wc_pack_bin(&payload,
                wc_slice(link->identity->cert_bytes, link->identity->cert_len));
    wc_pack_bin(&payload, wc_slice(org->rotation, org->rotation_len));
    int rc =
        payload.failed ? -WC_ENOMEM : write_message(link, wc_buf_slice(&payload), out);
    wc_buf_fini(&payload);
    return rc;
}

int wc_link_start(struct wc_link *link, struct wc_buf *out)
{
    if (link->waiting != WAITING_START || link->state != WC_LINK_HANDSHAKE)
        return -WC_EPROTOCOL;
    uint8_t mac[MAC_BYTES];
    noise_begin(link);
    hello_mac(mac, link->identity, link->noise.e_pub);
    keep_hello(link, link->noise.e_pub);
    int rc = write_message(link, wc_slice(mac, sizeof(mac)), out);
    if (rc != 0)
        return fail(link, rc);
    link->waiting = WAITING_REPLY;
    return 0;
}

/* ---- reading the handshake ---- */

static int choose_version(struct wc_link *link, const struct wc_obj *introduction)
{
    uint64_t min, max;
    int rc;
    if ((rc = wc_obj_u64(wc_obj_at(introduction, 0), &min)) != 0 ||
        (rc = wc_obj_u64(wc_obj_at(introduction, 1), &max)) != 0)
        return rc;
    if (min > max)
        return -WC_EINVALID;
    if (max < link->tuning.version_min || min > link->tuning.version_max)
        return -WC_EVERSION;
    link->version =
        max < link->tuning.version_max ? (uint32_t)max : link->tuning.version_max;
    return 0;
}

/* Whoever shows a rotation that our recovery key did not sign is of another
 * organisation, whatever its id. */
static int judge_rotation(struct wc_org *org, struct wc_slice rotation, bool *newer)
{
    int rc = wc_org_rotate(org, rotation);
    *newer = rc == 0;
    if (rc == -WC_EDENIED || rc == -WC_EBADSIG)
        return -WC_EORGANISATION;
    return rc == -WC_ESTALE ? 0 : rc;
}

int wc_link_judge(const struct wc_org *org, struct wc_slice cert,
                  struct wc_slice rotation, struct wc_cert *out, bool *newer,
                  bool *former)
{
    struct wc_org present = *org;
    int rc = 0;
    *newer = *former = false;
    if (rotation.len > 0)
        rc = judge_rotation(&present, rotation, newer);
    if (rc == 0)
        rc = wc_cert_open(cert, &present, out, NULL);
    /* before a rotation there is no former key to make allowance for */
    if (rc == -WC_EBADSIG && present.rotation_len > 0) {
        *former = true;
        rc = wc_cert_read(cert, out, NULL);
    }
    wc_wipe(&present, sizeof(present));
    return rc;
}

/* A certificate of our organisation, not our own, for the key that spoke to us, valid
 * now. */
static int check_certificate(struct wc_link *link, struct wc_slice bytes,
                             struct wc_slice rotation, uint64_t now_ms)
{
    bool newer;
    if (bytes.len > sizeof(link->peer_cert) ||
        rotation.len > sizeof(link->peer_rotation))
        return -WC_ETOOBIG;
    int rc = wc_link_judge(&link->identity->org, bytes, rotation, &link->peer, &newer,
                           &link->peer_former);
    if (rc != 0)
        return rc;
    if (!wc_equal(link->peer.link_key, link->noise.rs, WC_KEY_BYTES))
        return -WC_EDENIED;
    if (wc_equal(link->peer.sign_key, link->identity->cert.sign_key, WC_KEY_BYTES))
        return -WC_EEXISTS;
    rc = wc_cert_dates(&link->peer, now_ms);
    if (rc != 0)
        return rc;
    memcpy(link->peer_cert, bytes.data, bytes.len);
    link->peer_cert_len = bytes.len;
    if (newer) {
        memcpy(link->peer_rotation, rotation.data, rotation.len);
        link->peer_rotation_len = rotation.len;
    }
    return 0;
}

/* Elements after the fourth are left to later versions. */
static int read_introduction(struct wc_link *link, uint64_t now_ms)
{
    struct wc_doc *doc = NULL;
    struct wc_slice cert, rotation;
    int rc = wc_doc_new(wc_buf_slice(&link->plain), &wc_scan_default, &doc);
    if (rc != 0)
        return rc;
    const struct wc_obj *root = wc_doc_root(doc);
    rc = -WC_ETYPE;
    if (wc_obj_type(root) != WC_ARRAY)
        goto out;
    rc = choose_version(link, root);
    if (rc != 0)
        goto out;
    rc = wc_obj_bin(wc_obj_at(root, 2), &cert);
    if (rc != 0)
        goto out;
    rc = wc_obj_bin(wc_obj_at(root, 3), &rotation);
    if (rc != 0)
        goto out;
    rc = check_certificate(link, cert, rotation, now_ms);
out:
    wc_doc_free(doc);
    return rc;
}

static int open_link(struct wc_link *link, uint64_t now_ms)
{
    int rc = wc_noise_split(&link->noise, &link->send, &link->receive);
    wc_noise_fini(&link->noise);
    if (rc != 0)
        return rc;
    link->send_key_ms = now_ms;
    link->waiting = WAITING_FRAMES;
    link->state = WC_LINK_OPEN;
    link->opened = true;
    return 0;
}

static int take_hello(struct wc_link *link, struct wc_slice message, struct wc_buf *out)
{
    uint8_t mac[MAC_BYTES];
    hello_mac(mac, link->identity, message.data);
    if (!wc_equal(mac, message.data + WC_KEY_BYTES, MAC_BYTES))
        return -WC_EORGANISATION;
    link->past_mac = true;
    keep_hello(link, message.data);
    noise_begin(link);
    int rc = wc_noise_read(&link->noise, message, &link->plain);
    if (rc == 0)
        rc = write_introduction(link, out);
    if (rc == 0)
        link->waiting = WAITING_FINISH;
    return rc;
}

static int take_reply(struct wc_link *link, struct wc_slice message, uint64_t now_ms,
                      struct wc_buf *out)
{
    int rc = wc_noise_read(&link->noise, message, &link->plain);
    if (rc != 0)
        return rc;
    link->past_mac = true;
    rc = read_introduction(link, now_ms);
    if (rc == 0)
        rc = write_introduction(link, out);
    return rc == 0 ? open_link(link, now_ms) : rc;
}

static int take_finish(struct wc_link *link, struct wc_slice message, uint64_t now_ms)
{
    int rc = wc_noise_read(&link->noise, message, &link->plain);
    if (rc == 0)
        rc = read_introduction(link, now_ms);
    return rc == 0 ? open_link(link, now_ms) : rc;
}

/* ---- transport messages ---- */

/* An empty message rekeys. Senders put a frame after it, so two in a row are no honest
 * peer's: without this rule one could make us rekey as fast as it sends. */
static int take_rekey(struct wc_link *link)
{
    if (link->receive_rekeyed)
        return -WC_EPROTOCOL;
    wc_cipher_rekey(&link->receive);
    link->receive_rekeyed = true;
    return 0;
}

static int take_frame(struct wc_link *link, struct wc_slice message,
                      wc_link_frame_fn on_frame, void *ctx)
{
    int rc = wc_cipher_open(&link->receive, message, &link->plain);
    if (rc != 0)
        return rc;
    if (link->plain.len == 0)
        return take_rekey(link);
    link->receive_rekeyed = false;
    on_frame(ctx, wc_buf_slice(&link->plain));
    return link->state == WC_LINK_OPEN ? 0 : link->error;
}

static int seal(struct wc_link *link, struct wc_slice plain, struct wc_buf *out)
{
    uint8_t *room = wc_buf_reserve(out, LENGTH_BYTES + plain.len + WC_AEAD_TAG_BYTES);
    if (room == NULL)
        return -WC_ENOMEM;
    wc_put_u16(room, (uint16_t)(plain.len + WC_AEAD_TAG_BYTES));
    out->len += LENGTH_BYTES;
    link->send_count++;
    return wc_cipher_seal(&link->send, plain, out);
}

static int rekey_when_due(struct wc_link *link, uint64_t now_ms, struct wc_buf *out)
{
    if (now_ms < link->send_key_ms)
        link->send_key_ms = now_ms; /* the clock was set back: count from here */
    if (link->send_count < link->tuning.rekey_after_count &&
        now_ms - link->send_key_ms < link->tuning.rekey_after_ms)
        return 0;
    int rc = seal(link, wc_slice(NULL, 0), out);
    if (rc != 0)
        return rc;
    wc_cipher_rekey(&link->send);
    link->send_count = 0;
    link->send_key_ms = now_ms;
    return 0;
}

int wc_link_send(struct wc_link *link, struct wc_slice frame, uint64_t now_ms,
                 struct wc_buf *out)
{
    if (link->state != WC_LINK_OPEN)
        return -WC_EPROTOCOL;
    if (frame.len == 0)
        return -WC_EINVALID;
    if (frame.len > WC_FRAME_MAX_BYTES)
        return -WC_ETOOBIG;
    size_t start = out->len;
    int rc = rekey_when_due(link, now_ms, out);
    if (rc == 0)
        rc = seal(link, frame, out);
    if (rc != 0) {
        out->len = start;
        fail(link, rc);
    }
    return rc;
}

/* ---- framing ---- */

/* Whether a message of this length may come now. */
static int check_length(const struct wc_link *link, size_t len)
{
    size_t min = 0, max = 0;
    switch (link->waiting) {
    case WAITING_START:
        return -WC_EPROTOCOL;
    case WAITING_HELLO:
        min = max = HELLO_BYTES;
        break;
    case WAITING_REPLY:
        min = REPLY_MIN_BYTES;
        max = REPLY_MAX_BYTES;
        break;
    case WAITING_FINISH:
        min = FINISH_MIN_BYTES;
        max = FINISH_MAX_BYTES;
        break;
    case WAITING_FRAMES:
        min = FRAME_MIN_BYTES;
        max = WC_NOISE_MAX_BYTES;
        break;
    }
    return len < min || len > max ? -WC_EPROTOCOL : 0;
}

static struct wc_slice cut(struct wc_slice *in, size_t len)
{
    if (len > in->len)
        len = in->len;
    struct wc_slice front = wc_slice(in->data, len);
    *in = wc_slice(in->data + len, in->len - len);
    return front;
}

/*
 * The next whole message: 1 and *message (borrowed from `in` or from link->part), 0 when
 * more bytes are needed, or an error. A message that lies whole in `in` is not copied;
 * memory for others grows as their bytes come, never by what a length claims.
 */
static int next_message(struct wc_link *link, struct wc_slice *in,
                        struct wc_slice *message)
{
    if (link->length_len < LENGTH_BYTES) {
        struct wc_slice head = cut(in, LENGTH_BYTES - link->length_len);
        memcpy(link->length + link->length_len, head.data, head.len);
        link->length_len += head.len;
        if (link->length_len < LENGTH_BYTES)
            return 0;
    }
    size_t len = wc_get_u16(link->length);
    int rc = check_length(link, len);
    if (rc != 0)
        return rc;
    if (link->part.len == 0 && in->len >= len) {
        *message = cut(in, len);
    } else {
        struct wc_slice more = cut(in, len - link->part.len);
        wc_buf_append(&link->part, more.data, more.len);
        if (link->part.failed)
            return -WC_ENOMEM;
        if (link->part.len < len)
            return 0;
        *message = wc_buf_slice(&link->part);
    }
    link->length_len = 0;
    return 1;
}

static int take_message(struct wc_link *link, struct wc_slice message, uint64_t now_ms,
                        struct wc_buf *out, wc_link_frame_fn on_frame, void *ctx)
{
    wc_buf_reset(&link->plain);
    switch (link->waiting) {
    case WAITING_START:
        break;
    case WAITING_HELLO:
        return take_hello(link, message, out);
    case WAITING_REPLY:
        return take_reply(link, message, now_ms, out);
    case WAITING_FINISH:
        return take_finish(link, message, now_ms);
    case WAITING_FRAMES:
        return take_frame(link, message, on_frame, ctx);
    }
    return -WC_EPROTOCOL;
}

static void shrink(struct wc_buf *b)
{
    if (b->len == 0 && b->cap > KEEP_BYTES)
        wc_buf_fini(b);
}

int wc_link_receive(struct wc_link *link, struct wc_slice in, uint64_t now_ms,
                    struct wc_buf *out, wc_link_frame_fn on_frame, void *ctx)
{
    if (link->state == WC_LINK_FAILED)
        return link->error;
    size_t start = out->len;
    struct wc_slice message;
    int rc = 0;
    if (link->opened && wc_cert_dates(&link->peer, now_ms) == -WC_EEXPIRED)
        rc = -WC_EEXPIRED;
    while (rc == 0 && in.len > 0) {
        rc = next_message(link, &in, &message);
        if (rc <= 0)
            break;
        rc = take_message(link, message, now_ms, out, on_frame, ctx);
        wc_buf_reset(&link->part);
    }
    if (rc != 0) {
        fail(link, rc);
        wc_buf_reset(&link->part);
        if (out->len > start)
            out->len = start;
    }
    wc_buf_reset(&link->plain);
    shrink(&link->plain);
    shrink(&link->part);
    return rc;
}
