/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service records (RFC 2782): which machines of a domain run an office, as
 * `_whocan._tcp.DOMAIN` says. What a name server says is a hint and no more: an answer is
 * input of strangers, and who is there shows in the handshake.
 */
#ifndef WHOCAN_DAEMON_SRV_H
#define WHOCAN_DAEMON_SRV_H

#include <stdint.h>

#include <whocan/bytes.h>
#include <whocan/limits.h>

struct wc_srv_target {
    char address[WC_ADDRESS_MAX_BYTES + 1]; /* HOST:PORT */
    uint16_t priority, weight;
};

struct wc_srv {
    struct wc_srv_target targets[WC_SRV_MAX_COUNT];
    uint32_t count;
    uint32_t left_out; /* too many, too long, or not a host name */
    uint64_t ttl_ms; /* the shortest, between WC_SRV_TTL_MIN_MS and WC_SRV_TTL_MAX_MS */
};

/* Read a name server's answer. -WC_ENOTFOUND: no such name, or no service there.
 * -WC_EIO: the server cannot say now. -WC_EPROTOCOL: no answer of DNS. */
int wc_srv_parse(struct wc_slice answer, struct wc_srv *out);

/* In the order of RFC 2782: by priority; within one drawn by weight. */
void wc_srv_order(struct wc_srv *srv, const uint32_t random[WC_SRV_MAX_COUNT]);

/* Ask the name servers of this machine. It waits for them, for some seconds when they
 * are silent: for a thread of the pool. As wc_srv_parse(), -WC_ENOMEM, -WC_EINVALID for a
 * domain that is too long. */
int wc_srv_query(const char *domain, struct wc_srv *out);

#endif
