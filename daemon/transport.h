/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP and Noise: listens, dials, and carries frames. Only authenticated links are ever
 * shown to the owner. One per event loop; everything happens on the loop thread.
 *
 * Events come from the loop, never from within a call to a function of this file (one
 * exception stands at dial_failed). So a caller may send, dial and close while it handles
 * an event, and need not fear what a call does to the structures that it walks over.
 */
#ifndef WHOCAN_DAEMON_TRANSPORT_H
#define WHOCAN_DAEMON_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <whocan/bytes.h>
#include <whocan/cert.h>

struct uv_loop_s;
struct wc_transport;

/* What happens. Every function may call anything below, wc_transport_close() included.
 * Borrowed arguments are good for the call. */
struct wc_transport_events {
    void *ctx;
    /* An authenticated link, with what wc_link_peer(), wc_link_peer_cert() and
     * wc_link_peer_rotation() say. dial: the number given to wc_transport_dial, 0 when they
     * dialled. link is never 0 and not used again before its `down`. */
    void (*up)(void *ctx, uint32_t link, const struct wc_cert *peer,
               struct wc_slice peer_cert, struct wc_slice peer_rotation, bool initiator,
               uint32_t dial, const char *remote_address);
    void (*frame)(void *ctx, uint32_t link, struct wc_slice frame);
    /* After up, once, and nothing of that link follows. rc: 0 after our own close or a
     * new identity, -WC_ECLOSED when the peer closed, -WC_ELIMIT when it left too much
     * unread, what wc_link_receive() found wrong, or -WC_EIO. */
    void (*down)(void *ctx, uint32_t link, int rc);
    /* No link came of a dial. rc is about the last address tried: -WC_EINVALID not
     * HOST:PORT, -WC_ENOTFOUND no such name, -WC_EIO not reachable, -WC_ETIMEOUT,
     * -WC_ECLOSED closed in the handshake (as an office of another organisation does),
     * -WC_EDENIED without an identity, -WC_ELIMIT when thousands wait, or what
     * wc_link_receive() found wrong. With -WC_ENOMEM alone it may come from within
     * wc_transport_dial(). */
    void (*dial_failed)(void *ctx, uint32_t dial, int rc);
    /* Somebody who knows the organisation secret was refused all the same: an expired
     * certificate, say. For the log; may be NULL. */
    void (*refused)(void *ctx, const char *remote_address, int rc);
    /* A source had one connection too many that came to nothing (daemon/penalty.h). For
     * the log, where it must be throttled. It may come from within a call, and may not
     * call anything below; may be NULL. */
    void (*misbehaved)(void *ctx, const char *source);
    /* Somebody at that address, and not this process, showed our own certificate's key;
     * may be NULL. */
    void (*twin)(void *ctx, const char *remote_address);
};

/* Copies *events. SIGPIPE must be ignored in this process (daemon/loop.h does that):
 * libuv writes to sockets that the peer has closed. -WC_ENOMEM. */
int wc_transport_new(struct wc_transport **out, struct uv_loop_s *loop,
                     const struct wc_transport_events *events);

/* Stop everything. No event follows but done(ctx), from the loop, when every handle is
 * closed and memory is freed. A name look-up that runs in a thread cannot be stopped and
 * is waited for. */
void wc_transport_close(struct wc_transport *t, void (*done)(void *ctx), void *ctx);

/* The identity for new handshakes (borrowed until the next call or the end of
 * wc_transport_close); a call closes all links and fails handshakes under way. NULL:
 * refuse everything. */
void wc_transport_set_identity(struct wc_transport *t,
                               const struct wc_identity *identity);

/* Listen on HOST:PORT ("[::]:7411", which takes IPv4 as well, "0.0.0.0:7411"); "HOST:0"
 * picks a port. May be called several times. A name is looked up while the caller waits.
 * problem gets one line on failure, *port (may be NULL) the port on success.
 * -WC_EINVALID, -WC_ENOTFOUND, -WC_EBUSY (taken), -WC_EDENIED, -WC_EIO, -WC_ENOMEM. */
int wc_transport_listen(struct wc_transport *t, const char *address, uint16_t *port,
                        char problem[WC_PROBLEM_BYTES]);

/* Addresses (HOST:PORT) that are exempt from per-address limits (configured peers),
 * replacing those before. A name stands for what it was when last dialled. */
void wc_transport_set_exempt(struct wc_transport *t, const char *const *addresses,
                             uint32_t count);

/* Resolve and connect, trying every address of a name in turn; ends in one up() or one
 * dial_failed(). dial is the caller's number, not 0. WC_DIALS_MAX_COUNT are under way at
 * once, others wait their turn. */
void wc_transport_dial(struct wc_transport *t, uint32_t dial, const char *address);

/* Queue a frame of 1..WC_FRAME_MAX_BYTES bytes (copied). Frames queued in one turn of
 * the loop leave together. A link whose queue is over WC_LINK_QUEUE_MAX_BYTES is closed
 * (down follows), and when all queues together are over WC_LINKS_QUEUE_MAX_BYTES the one
 * with the longest. A link that is gone is no error: the frame is dropped. */
void wc_transport_send(struct wc_transport *t, uint32_t link, struct wc_slice frame);

/* Output of a link that the kernel has not taken; 0 when there is no such open link. */
uint64_t wc_transport_queued_bytes(const struct wc_transport *t, uint32_t link);

/* Close a link at once; of what is queued goes what the kernel takes now, the rest is
 * dropped. down follows, no frame does. */
void wc_transport_close_link(struct wc_transport *t, uint32_t link);

struct wc_transport_link {
    uint64_t since_mono_ms;              /* clock of uv_now() */
    uint64_t received_bytes, sent_bytes; /* of the TCP stream, handshake included */
    uint64_t queued_bytes;               /* not yet taken by the kernel */
    char remote_address[WC_ADDRESS_MAX_BYTES + 1];
};
/* False when there is no such open link. */
bool wc_transport_link(const struct wc_transport *t, uint32_t link,
                       struct wc_transport_link *out);

/* Counts since the start, but for the last three, which are of now. */
struct wc_transport_stats {
    uint64_t accepted_count;
    uint64_t refused_count;   /* accepted, then closed for what they said */
    uint64_t limited_count;   /* accepted, then closed to make room or for lack of it */
    uint64_t paused_count;    /* closed as they were accepted: their source is paused */
    uint64_t timeout_count;   /* handshakes and dials that took too long */
    uint32_t strangers_count; /* accepted, not past the MAC */
    uint32_t handshakes_count; /* accepted, past the MAC, not open */
    uint32_t links_count;
};
void wc_transport_stats(const struct wc_transport *t, struct wc_transport_stats *out);

/* The sources that misbehave, the worst first, at most max; *total gets how many there
 * are. */
struct wc_offender;
uint32_t wc_transport_offenders(const struct wc_transport *t, struct wc_offender *out,
                                uint32_t max, uint32_t *total);

#endif
