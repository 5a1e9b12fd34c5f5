/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a value of a store is sealed with: 32 bits of XXH3 (https://xxhash.com), keyed by
 * its table and its key, so that a value in the place of another is found as well. It
 * finds accidents, not forgery: whoever can write to the file can seal anything.
 */
#ifndef WHOCAN_DAEMON_SUM_H
#define WHOCAN_DAEMON_SUM_H

#include <whocan/bytes.h>

#define WC_SUM_BYTES 4

uint32_t wc_sum(uint32_t table, struct wc_slice key, struct wc_slice value);

#endif
