/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One link between two offices, without I/O: bytes in, bytes and frames out.
 *
 * Noise_XX_25519_ChaChaPoly_BLAKE2b (Noise specification revision 34), prologue
 * "whocan/1|" ‖ organisation id. Each Noise message travels as a u16 big-endian length
 * and that many bytes.
 *   message 1 payload: 16-byte MAC of the ephemeral under the organisation secret
 *   message 2 payload: [ version_min, version_max, certificate (bin), rotation (bin, may
 *                      be empty) ] of the responder
 *   message 3 payload: the same of the initiator
 * Then transport messages: plaintext = one frame (wire.h), 1..WC_FRAME_MAX_BYTES bytes.
 * A wrong MAC closes without a byte. Rekeying after WC_REKEY_AFTER_COUNT messages or
 * WC_REKEY_AFTER_MS: the sender sends an empty transport message and both rekey that
 * direction; two empty messages in a row break the protocol. docs/links.md has every
 * byte.
 */
#ifndef WHOCAN_LINK_H
#define WHOCAN_LINK_H

#include <whocan/bytes.h>
#include <whocan/cert.h>

struct wc_link;

enum wc_link_state {
    WC_LINK_HANDSHAKE, /* nothing authenticated but (for a responder past message 1) the
                          MAC */
    WC_LINK_OPEN,      /* certificates checked, see wc_link_peer() */
    WC_LINK_FAILED,    /* close the connection; wc_link_error() says why */
};

/* random: 32 bytes for the ephemeral secret. identity is borrowed and outlives the
 * handshake: an open link no longer looks at it. -WC_ENOMEM. */
int wc_link_new(struct wc_link **out, const struct wc_identity *identity,
                bool initiator, const uint8_t random[WC_KEY_BYTES]);
void wc_link_free(struct wc_link *link); /* wipes; NULL is fine */

/* Append the initiator's first message; once, before anything is received.
 * -WC_EPROTOCOL otherwise, -WC_ENOMEM. */
int wc_link_start(struct wc_link *link, struct wc_buf *out);

/*
 * Take bytes from the peer, in pieces of any size. Answers of the handshake are appended
 * to `out` (to be sent to the peer). Each complete plaintext frame is given to on_frame
 * in order; it is borrowed for the call. on_frame may call wc_link_send(), into the same
 * buffer too, and may not free the link or give it bytes.
 *
 * Returns 0, or the negative error that made the link WC_LINK_FAILED; `out` is then as
 * it was. now_ms (wall clock) checks the certificate's dates, at the handshake and with
 * every later call.
 *   -WC_EORGANISATION  message 1 under another secret, or another organisation's
 *                      certificate
 *   -WC_EBADSIG        bytes that do not authenticate
 *   -WC_EPROTOCOL      a length or a message out of place
 *   -WC_EVERSION       no protocol version in common
 *   -WC_EEXPIRED, -WC_EFUTURE  the certificate's dates
 *   -WC_EDENIED        a certificate for another link key
 *   -WC_EEXISTS        the peer is this office itself
 *   -WC_ECRYPTO, -WC_ENOMEM, and what wc_doc_new() and wc_cert_open() return
 */
typedef void (*wc_link_frame_fn)(void *ctx, struct wc_slice frame);
int wc_link_receive(struct wc_link *link, struct wc_slice in, uint64_t now_ms,
                    struct wc_buf *out, wc_link_frame_fn on_frame, void *ctx);

/* Seal one frame and append it to out, after a rekeying message when one is due. now_ms
 * is the wall clock. -WC_EPROTOCOL unless WC_LINK_OPEN, -WC_EINVALID when empty,
 * -WC_ETOOBIG; -WC_ENOMEM also fails the link, for the peer would miss a message. */
int wc_link_send(struct wc_link *link, struct wc_slice frame, uint64_t now_ms,
                 struct wc_buf *out);

/* Where the link stands, and why it ended (0 while it has not, else -WC_E...). */
enum wc_link_state wc_link_state(const struct wc_link *link);
int wc_link_error(const struct wc_link *link); /* 0 unless WC_LINK_FAILED */

/* The protocol version (wire.h) that both sides speak; 0 before WC_LINK_OPEN. */
uint32_t wc_link_version(const struct wc_link *link);

/* True once message 1's MAC was right (responder) or message 2 authenticated
 * (initiator). */
bool wc_link_past_mac(const struct wc_link *link);

/* The ephemeral key of message 1, the same at both ends: whether two links of one process
 * are the two ends of one. Borrowed; NULL before message 1 (of a responder, before its
 * MAC was right). */
const uint8_t *wc_link_hello(const struct wc_link *link);

/*
 * The peer's certificate (and its exact bytes), borrowed from the link; NULL (empty)
 * before WC_LINK_OPEN. A link that failed after it was open still says whose it was.
 *
 * When this office knows of a rotation and the peer does not, the peer can only show a
 * certificate by a former organisation key, which proves nothing any more (that key may
 * be stolen): such a link opens, and wc_link_peer_former() says so. What it has proved
 * is that it holds the link key; whether an office of exactly these keys is believed is
 * for whoever knows the grants to say, before anything else is done with the link.
 */
const struct wc_cert *wc_link_peer(const struct wc_link *link);
struct wc_slice wc_link_peer_cert(const struct wc_link *link);
bool wc_link_peer_former(const struct wc_link *link);

/* The rotation that the peer showed, newer than what this office knew (its certificate
 * was checked under that key, unless it is former); empty: none. Borrowed. */
struct wc_slice wc_link_peer_rotation(const struct wc_link *link);

/*
 * The judgement of an introduction, for tests that have no link: opens the certificate
 * as above. rotation: what the peer showed, may be empty; *newer says whether it is
 * newer than that of `org`, *former whether the certificate is by no key that `org` or
 * the rotation names. What wc_cert_open() and wc_org_rotate() return; a rotation that is
 * not by the recovery key is -WC_EORGANISATION.
 */
int wc_link_judge(const struct wc_org *org, struct wc_slice cert,
                  struct wc_slice rotation, struct wc_cert *out, bool *newer,
                  bool *former);

#endif
