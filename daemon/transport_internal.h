/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the transport, shared by daemon/transport*.c and nobody else.
 *
 *   transport.c         what the owner calls; the end
 *   transport_accept.c  listening, and what strangers may take from us
 *   transport_dial.c    looking names up and dialling
 *   transport_conn.c    one connection: its life, output and input
 *
 * A connection, accepted or dialled, is CONNECTING (dialled only), then in HANDSHAKE,
 * then OPEN, and CLOSING from any of these. Until it is OPEN nobody but these files knows
 * it, and it stands in `waiting`, which is ordered by deadline because every stage has
 * the same time: the head is both the next to time out and the oldest, which is what
 * gives way when strangers crowd in.
 *
 * Memory and handles: a connection is freed in its close callback, which also reports
 * `down` or goes on with the dial. That is why no event comes from within a call.
 */
#ifndef WHOCAN_DAEMON_TRANSPORT_INTERNAL_H
#define WHOCAN_DAEMON_TRANSPORT_INTERNAL_H

#include <sys/queue.h>
#include <uv.h>

#include <whocan/error.h>
#include <whocan/limits.h>
#include <whocan/link.h>

#include "daemon/address.h"
#include "daemon/penalty.h"
#include "daemon/transport.h"

#define WC_TRANSPORT_READ_BYTES 65536 /* one Noise message fits */
#define WC_LINK_BUCKETS_COUNT   256

struct wc_listener {
    uv_tcp_t tcp;
    struct wc_transport *t;
    struct sockaddr_storage address; /* with the port that was picked */
    bool discard; /* free it when closed; else it is to be opened again */
    bool closed;
    TAILQ_ENTRY(wc_listener) entry;
};

enum wc_dial_state {
    WC_DIAL_QUEUED,
    WC_DIAL_RESOLVING,
    WC_DIAL_CONNECTING,
    WC_DIAL_FAILED, /* to be reported when the loop comes round */
};

struct wc_dial {
    struct wc_transport *t;
    uint32_t number;
    enum wc_dial_state state;
    struct wc_address address;
    uv_getaddrinfo_t resolve;
    struct sockaddr_storage found[WC_DIAL_ADDRESSES_MAX_COUNT];
    unsigned found_count, next;
    int rc; /* about the last address tried */
    TAILQ_ENTRY(wc_dial) entry;
};

enum wc_conn_phase {
    WC_CONN_CONNECTING,
    WC_CONN_HANDSHAKE,
    WC_CONN_OPEN,
    WC_CONN_CLOSING,
};

struct wc_conn {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uint8_t *writing; /* what uv_write has in flight, or NULL */
    size_t writing_len;
    struct wc_transport *t;
    struct wc_link *link;
    struct wc_dial *dial; /* NULL when they dialled, and once open */
    enum wc_conn_phase phase;
    bool accepted;
    bool passed;  /* accepted, and its MAC was right */
    bool limited; /* accepted, and counts against its source */
    bool loopback;
    bool waits;    /* in t->waiting */
    bool flushes;  /* in t->flushing */
    bool busy;     /* its link is in use further up the stack */
    bool was_open; /* report `down` when closed */
    int rc;        /* why it is closing */
    uint32_t number;
    uint64_t deadline_ms, since_ms;
    uint64_t received_bytes, sent_bytes;
    struct wc_source source; /* who is at the other end */
    struct wc_buf pending;
    char remote[WC_ADDRESS_MAX_BYTES + 1];
    TAILQ_ENTRY(wc_conn) entry, waiting_entry, flushing_entry;
    LIST_ENTRY(wc_conn) number_entry;
};

/* A configured peer; its sources follow from its address, or from the last dial. */
struct wc_exempt {
    struct wc_address address;
    struct wc_source sources[WC_DIAL_ADDRESSES_MAX_COUNT];
    unsigned sources_count;
};

TAILQ_HEAD(wc_conn_list, wc_conn);
TAILQ_HEAD(wc_dial_list, wc_dial);
TAILQ_HEAD(wc_listener_list, wc_listener);
LIST_HEAD(wc_conn_bucket, wc_conn);

struct wc_transport {
    uv_loop_t *loop;
    struct wc_transport_events events;
    const struct wc_identity *identity;
    uv_idle_t work;
    uv_timer_t deadline;
    uv_timer_t relisten;
    unsigned open_count; /* handles and look-ups that must end before we are freed */
    bool closing;
    void (*done)(void *ctx);
    void *done_ctx;

    struct wc_listener_list listeners;
    struct wc_conn_list conns, waiting, flushing;
    struct wc_conn_bucket numbers[WC_LINK_BUCKETS_COUNT];
    uint32_t last_number;

    struct wc_dial_list dials;  /* queued, resolving and connecting */
    struct wc_dial_list failed; /* to be reported */
    unsigned dials_count, active_count, resolving_count, failed_count;

    struct wc_exempt *exempt;
    uint32_t exempt_count;
    struct wc_penalties *penalties;
    bool renaming; /* all connections close for a new identity: nobody's fault */
    struct wc_transport_stats stats;
    char read[WC_TRANSPORT_READ_BYTES];
};

/* ---- transport.c ---- */

/* What a status of libuv is to the owner. */
int wc_transport_result(int status);
/* To be called whenever open_count fell. */
void wc_transport_free_if_done(struct wc_transport *t);
/* What waits for the loop to come round is done soon. */
void wc_transport_wake(struct wc_transport *t);

/* ---- transport_conn.c ---- */

/* A connection without a socket; NULL without memory. */
struct wc_conn *wc_conn_new(struct wc_transport *t);
/* Close it; what is told about it is told when the handle is closed. */
void wc_conn_close(struct wc_conn *c, int rc);
/* Close it to make room, or for lack of room. */
void wc_conn_evict(struct wc_conn *c);
/* TCP is there: begin the handshake. The caller closes it on failure. */
int wc_conn_begin(struct wc_conn *c);
/* Into `waiting`, with a new deadline, and out of it. */
void wc_conn_wait(struct wc_conn *c);
void wc_conn_waited(struct wc_conn *c);
/* The one of that number that is or was open, or NULL. */
struct wc_conn *wc_conn_of(const struct wc_transport *t, uint32_t number);
/* Output that the kernel has not taken; write it now, or when the loop comes round. */
size_t wc_conn_queued_bytes(const struct wc_conn *c);
void wc_conn_flush(struct wc_conn *c);
void wc_conn_flush_soon(struct wc_conn *c);
void wc_conns_flush(struct wc_transport *t);

/* ---- transport_accept.c ---- */

/* A configured peer that has a name is exempt under the addresses of that name. */
void wc_exempt_learn(struct wc_transport *t, const struct wc_dial *d);
/* Whether it is the address of a configured peer. */
bool wc_source_exempt(const struct wc_transport *t, const struct wc_source *source);
/* A connection of that source came to nothing. */
void wc_source_failed(struct wc_conn *c);
/* Close all for good. */
void wc_listeners_close(struct wc_transport *t);

/* ---- transport_dial.c ---- */

/* Try the next address, or give up with what the last one said. */
void wc_dial_next(struct wc_dial *d, int rc);
/* Of one that came to its end. */
void wc_dial_free(struct wc_dial *d);
/* Begin those that are queued, as many as may be under way. */
void wc_dials_begin(struct wc_transport *t);
/* Tell the owner of those that failed. */
void wc_dials_report(struct wc_transport *t);
/* End all. */
void wc_dials_close(struct wc_transport *t);

#endif
