/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP and Noise: listens, dials, and carries frames. Only authenticated links are ever
 * shown to the owner. One per event loop; everything happens on the loop thread.
 */
#ifndef WHOCAN_DAEMON_TRANSPORT_H
#define WHOCAN_DAEMON_TRANSPORT_H

#include <stdint.h>

#include <whocan/bytes.h>
#include <whocan/cert.h>

struct uv_loop_s;
struct wc_transport;

struct wc_transport_events {
    void *ctx;
    /* An authenticated link. dial: the number given to wc_transport_dial, 0 when they
     * dialled. */
    void (*up)(void *ctx, uint32_t link, const struct wc_cert *peer,
               struct wc_slice peer_cert, bool initiator, uint32_t dial,
               const char *remote_address);
    void (*frame)(void *ctx, uint32_t link, struct wc_slice frame);
    void (*down)(void *ctx, uint32_t link,
                 int rc); /* after up, once; also after our own close */
    void (*dial_failed)(void *ctx, uint32_t dial, int rc);
};

int wc_transport_new(struct wc_transport **out, struct uv_loop_s *loop,
                     const struct wc_transport_events *events);

/* Stop everything; done(ctx) is called when every handle is closed and memory is freed.
 */
void wc_transport_close(struct wc_transport *t, void (*done)(void *ctx), void *ctx);

/* The identity for new handshakes (borrowed); a change closes all links. NULL: refuse
 * everything. */
void wc_transport_set_identity(struct wc_transport *t,
                               const struct wc_identity *identity);

/* Listen on HOST:PORT ("[::]:7411", "0.0.0.0:7411"); "HOST:0" picks a port. May be
 * called several times. problem gets one line. *port (may be NULL) gets the port. */
int wc_transport_listen(struct wc_transport *t, const char *address, uint16_t *port,
                        char problem[256]);

/* Addresses that are exempt from per-address limits (configured peers), replacing those
 * before. */
void wc_transport_set_exempt(struct wc_transport *t, const char *const *addresses,
                             uint32_t count);

/* Resolve and connect; ends in up() or dial_failed(). */
void wc_transport_dial(struct wc_transport *t, uint32_t dial, const char *address);

/* Queue a frame. A link whose queue is over WC_LINK_QUEUE_MAX_BYTES is closed (down
 * follows). */
void wc_transport_send(struct wc_transport *t, uint32_t link, struct wc_slice frame);

void wc_transport_close_link(struct wc_transport *t, uint32_t link);

struct wc_transport_link {
    uint64_t since_mono_ms, received_bytes, sent_bytes, queued_bytes;
    char remote_address[WC_ADDRESS_MAX_BYTES + 1];
};
bool wc_transport_link(const struct wc_transport *t, uint32_t link,
                       struct wc_transport_link *out);

#endif
