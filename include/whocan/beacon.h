/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The beacon: one datagram by which an office tells the local network that it is there.
 *
 *   bytes  0..7   "whocan/1"
 *          8..31  nonce, random
 *         32..47  authenticator   } secretbox (XSalsa20-Poly1305) under the beacon key
 *         48..81  office key (32) ‖ TCP port (u16, big-endian), encrypted
 *
 * beacon key = BLAKE2b-256, keyed with the organisation secret, of "whocan beacon" ‖
 * organisation id. So a stranger sees that some office is at this address, which its
 * open port says anyway, and neither of which organisation nor which one; and whoever
 * does not know the secret can make nobody dial by words of his own. A beacon that is
 * repeated by somebody else leads to one dial in vain: what counts is the handshake.
 */
#ifndef WHOCAN_BEACON_H
#define WHOCAN_BEACON_H

#include <whocan/cert.h>
#include <whocan/crypto.h>

#define WC_BEACON_BYTES (8 + WC_BOX_NONCE_BYTES + 16 + WC_KEY_BYTES + 2)

struct wc_beacon {
    uint8_t office_key[WC_KEY_BYTES];
    uint16_t port; /* where the sender listens; never 0 */
};

/* The key of an organisation's beacons; secret. */
void wc_beacon_key(uint8_t key[WC_SECRET_BYTES], const struct wc_org *org);

/* nonce: random, for each one. */
void wc_beacon_encode(uint8_t out[WC_BEACON_BYTES], const uint8_t key[WC_SECRET_BYTES],
                      const uint8_t nonce[WC_BOX_NONCE_BYTES],
                      const struct wc_beacon *beacon);

/* -WC_EPROTOCOL: no beacon. -WC_EBADSIG: of another organisation, or altered.
 * -WC_EINVALID: port 0. */
int wc_beacon_decode(struct wc_slice bytes, const uint8_t key[WC_SECRET_BYTES],
                     struct wc_beacon *out);

/*
 * What is heard at all: so many datagrams of one source, and so many in all, in each
 * window; whatever is beyond is not even looked at. Zero-initialise.
 */
struct wc_beacon_gate {
    uint64_t since_ms;
    uint32_t heard;
    uint32_t sources_count;
    struct {
        uint8_t source[16];
        uint32_t heard;
    } sources[WC_BEACON_SOURCES_COUNT];
};
/* source: what a limit per address counts as one. mono_ms does not go back. */
bool wc_beacon_allow(struct wc_beacon_gate *gate, const uint8_t source[16],
                     uint64_t mono_ms);

#endif
