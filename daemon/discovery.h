/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding other offices without being told where they are: multicast beacons
 * (whocan/beacon.h), service records of a domain (daemon/srv.h), and addresses that
 * worked before (daemon/peers.h). What is found goes to the engine, which decides what to
 * dial; nothing here answers anybody.
 *
 * A beacon goes out on every interface where this office can be reached, on IPv4 and on
 * IPv6 (link-local), with a TTL of 1; interfaces are looked at again every half minute.
 * One socket for each interface and family, bound to the group: nothing that was sent to
 * this machine alone reaches it, and several daemons of one machine hear alike.
 *
 * What is heard counts when it came from the network that the interface is in (IPv6: from
 * a link-local address), so that no dial that a beacon causes leaves it, when its source
 * has not said too much already, and when it opens under the organisation's beacon key.
 *
 * Everything here is called on the loop thread.
 */
#ifndef WHOCAN_DAEMON_DISCOVERY_H
#define WHOCAN_DAEMON_DISCOVERY_H

#include <whocan/cert.h>
#include <whocan/node.h>

#include "daemon/config.h"
#include "daemon/loop.h"

struct wc_discovery;

struct wc_discovery_config {
    struct wc_loop *loop;
    const struct wc_config *settings;  /* outlives this; its keys of discovery */
    const struct wc_strings *listened; /* copied: where links are accepted, HOST:PORT */
    /* An office is said to be at an address. */
    void (*heard)(void *ctx, const char *address,
                  const uint8_t office_key[WC_KEY_BYTES]);
    /* All that is known in one way now: in place of what was known so before. */
    void (*found)(void *ctx, enum wc_hint how, const char *const *addresses,
                  uint32_t count);
    void *ctx;
};

/* -WC_ENOMEM. Nothing is sent or asked before wc_discovery_begin(). */
int wc_discovery_new(struct wc_discovery **out,
                     const struct wc_discovery_config *config);

/* This is an office of an organisation now (identity outlives wc_discovery_end()): say so,
 * listen, ask, and give what worked before. And: it is none any more. */
void wc_discovery_begin(struct wc_discovery *d, const struct wc_identity *identity);
void wc_discovery_end(struct wc_discovery *d);

/* A dial led to an office. */
void wc_discovery_reached(struct wc_discovery *d,
                          const uint8_t office_key[WC_KEY_BYTES], const char *address);

/* How many links there are now: who has none looks harder. */
void wc_discovery_links(struct wc_discovery *d, uint32_t count);

/* After wc_discovery_end(): write what is to be remembered, close all, then closed(ctx),
 * not before this returns. It must not be used after that. */
void wc_discovery_close(struct wc_discovery *d, void (*closed)(void *ctx), void *ctx);

/* For people and for metrics; counts since the start. */
struct wc_discovery_stats {
    uint32_t sockets_count; /* interfaces, each family for itself */
    uint64_t sent_count, heard_count;
    uint64_t foreign_count; /* heard, and not of this organisation */
    uint64_t ignored_count; /* not looked at: too many, or from another network */
    uint32_t srv_count;     /* targets in the name server's last answer */
    uint32_t cached_count;  /* addresses that are remembered */
};
void wc_discovery_stats(const struct wc_discovery *d, struct wc_discovery_stats *out);

#endif
