/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One link between two offices, without I/O: bytes in, bytes and frames out.
 *
 * Noise_XX_25519_ChaChaPoly_BLAKE2b (Noise specification revision 34), prologue
 * "whocan/1|" ‖ organisation id. Each Noise message travels as a u16 big-endian length
 * and that many bytes. message 1 payload: 16-byte MAC of the ephemeral under the
 * organisation secret message 2 payload: [ version_min, version_max, certificate (bin)
 * ] of the responder message 3 payload: the same of the initiator Then transport
 * messages: plaintext = one frame (wire.h), at most WC_FRAME_MAX_BYTES. A wrong MAC
 * closes without a byte. Rekeying after WC_REKEY_AFTER_COUNT messages or
 * WC_REKEY_AFTER_MS: the sender sends an empty transport message and both rekey that
 * direction.
 */
#ifndef WHOCAN_LINK_H
#define WHOCAN_LINK_H

#include <whocan/bytes.h>
#include <whocan/cert.h>

struct wc_link;

enum wc_link_state {
    WC_LINK_HANDSHAKE, /* nothing authenticated but (for a responder past message 1) the
                          MAC */
    WC_LINK_OPEN,      /* both certificates verified */
    WC_LINK_FAILED,    /* close the connection; wc_link_error() says why */
};

/* random: 32 bytes for the ephemeral secret. identity is borrowed and outlives the
 * link. */
int wc_link_new(struct wc_link **out, const struct wc_identity *identity,
                bool initiator, const uint8_t random[WC_KEY_BYTES]);
void wc_link_free(struct wc_link *link); /* wipes; NULL is fine */

/* The initiator's first message; once, before anything is received. */
int wc_link_start(struct wc_link *link, struct wc_buf *out);

/*
 * Take bytes from the peer. Answers of the handshake are appended to `out` (to be sent
 * to the peer). Each complete plaintext frame is given to on_frame in order; on_frame
 * may not free the link. Returns 0, or the negative error that made the link
 * WC_LINK_FAILED (nothing is sent then). now_ms checks the certificate's dates.
 */
typedef void (*wc_link_frame_fn)(void *ctx, struct wc_slice frame);
int wc_link_receive(struct wc_link *link, struct wc_slice in, uint64_t now_ms,
                    struct wc_buf *out, wc_link_frame_fn on_frame, void *ctx);

/* Seal one frame and append it to out. -WC_EPROTOCOL before WC_LINK_OPEN, -WC_ETOOBIG.
 */
int wc_link_send(struct wc_link *link, struct wc_slice frame, uint64_t now_ms,
                 struct wc_buf *out);

/* Where the link stands, and why it ended (0 while it has not, else -WC_E...). */
enum wc_link_state wc_link_state(const struct wc_link *link);
int wc_link_error(const struct wc_link *link);

/* True once message 1's MAC was right (responder) or message 2 authenticated
 * (initiator). */
bool wc_link_past_mac(const struct wc_link *link);

/* The peer's certificate (and its exact bytes); NULL before WC_LINK_OPEN. */
const struct wc_cert *wc_link_peer(const struct wc_link *link);
struct wc_slice wc_link_peer_cert(const struct wc_link *link);

#endif
