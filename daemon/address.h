/* SPDX-License-Identifier: Apache-2.0 */
/* Network addresses as text ("HOST:PORT", "[IPv6]:PORT") and as the socket calls have
 * them. Nothing here asks a name server. */
#ifndef WHOCAN_DAEMON_ADDRESS_H
#define WHOCAN_DAEMON_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <whocan/limits.h>

#define WC_HOST_MAX_BYTES 253 /* a DNS name in text (RFC 1035, 2.3.4) */

struct wc_address {
    char host[WC_HOST_MAX_BYTES + 1]; /* without brackets */
    uint16_t port;
};

/* Take "HOST:PORT" apart; an IPv6 address stands in brackets. -WC_EINVALID. */
int wc_address_parse(struct wc_address *out, const char *text);

/* The socket address when host is a numeric address (IPv4, or IPv6 with an optional
 * zone), else -WC_ENOTFOUND. */
int wc_address_numeric(const struct wc_address *address, struct sockaddr_storage *out);

/* "192.0.2.1:7411" or "[2001:db8::1]:7411"; IPv4 inside IPv6 is shown as IPv4. */
void wc_address_text(const struct sockaddr *sa, char out[WC_ADDRESS_MAX_BYTES + 1]);

/* What a limit per source counts as one: an IPv4 address, or a /64 of IPv6, because
 * whoever has one address of a /64 has all of them. */
struct wc_source {
    uint8_t prefix[16];
};
void wc_source_of(const struct sockaddr *sa, struct wc_source *out);
bool wc_source_eq(const struct wc_source *a, const struct wc_source *b);
/* "192.0.2.1", "2001:db8:1:2::/64". */
void wc_source_text(const struct wc_source *source, char out[WC_ADDRESS_MAX_BYTES + 1]);

/* 127.0.0.0/8 and ::1. */
bool wc_address_is_loopback(const struct sockaddr *sa);

#endif
