/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that led to an office, for the next start: the file `peers` in the state
 * directory. It matters where cards do not help: behind address translation, or when
 * a configured name is gone. One address an office, the latest; what worked the longest
 * ago goes first. A text file, so that it can be looked at:
 *
 *     whocan peers 1 <organisation id>
 *     <ms since 1970> <office key> <HOST:PORT>
 *     end <how many>
 *
 * It is replaced as a whole. Losing it loses nothing but time.
 */
#ifndef WHOCAN_DAEMON_PEERS_H
#define WHOCAN_DAEMON_PEERS_H

#include <whocan/bytes.h>
#include <whocan/limits.h>

#define WC_PEERS_FILE           "peers"
#define WC_PEERS_FILE_MAX_BYTES 16384 /* 64 lines of at most 150 bytes, and two */

struct wc_peers {
    struct {
        char address[WC_ADDRESS_MAX_BYTES + 1];
        uint8_t office_key[WC_KEY_BYTES];
        uint64_t worked_ms;     /* wall clock */
    } list[WC_CACHE_MAX_COUNT]; /* the latest first */
    uint32_t count;
};

/* Read the file's text. 0, also (and then with nothing in it) when it is another
 * organisation's; -WC_EPROTOCOL: it is not what was written. */
int wc_peers_parse(struct wc_slice text, const uint8_t org_id[WC_ORG_ID_BYTES],
                   struct wc_peers *out);

/* Append the file's text. */
void wc_peers_text(const struct wc_peers *p, const uint8_t org_id[WC_ORG_ID_BYTES],
                   struct wc_buf *out);

/* An address led to an office. True: that is worth writing down, being new, or the last
 * time a day ago. */
bool wc_peers_add(struct wc_peers *p, const uint8_t office_key[WC_KEY_BYTES],
                  const char *address, uint64_t now_ms);

/* Read STATE/peers. 0, -WC_ENOTFOUND, -WC_EPROTOCOL, -WC_EIO, -WC_ENOMEM. */
int wc_peers_load(const char *state, const uint8_t org_id[WC_ORG_ID_BYTES],
                  struct wc_peers *out);

/* Replace STATE/peers by a text, durably: after a crash it is the old one or the new one.
 * -WC_EFULL, -WC_EIO. Any thread. */
int wc_peers_save(const char *state, struct wc_slice text);

#endif
