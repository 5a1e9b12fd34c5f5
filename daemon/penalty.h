/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that misbehave. Every accepted connection that ends without a link, or whose
 * link ends within WC_PENALTY_STEADY_MS, is a failure of its source. A source may have WC_PENALTY_BURST_COUNT of them, and one more
 * every WC_PENALTY_DECAY_MS; after that it is paused: what comes from it is closed as it
 * is accepted, before it costs memory or a hash. Each further pause is twice as long, up
 * to WC_PENALTY_PAUSE_MAX_MS, and after each a few connections are looked at again, so
 * that nobody is shut out for ever. A link that lasts clears its source.
 *
 * One address can be many offices (an address translator) and an attacker beside them.
 * So a source from which an office authenticated of late is counted and never paused: it
 * still has no more than its few handshakes at once. "Of late" is an hour after its last
 * link was open, a day for a configured peer. That an address is configured is not
 * enough: it says where an office ought to be, and anybody may be there.
 *
 * Pure: no I/O, the time is an argument (milliseconds of any clock that never goes
 * back). Memory is bounded, and allocated once; the source that failed the longest ago
 * gives way.
 */
#ifndef WHOCAN_DAEMON_PENALTY_H
#define WHOCAN_DAEMON_PENALTY_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/address.h"

struct wc_penalties;

/* -WC_ENOMEM. */
int wc_penalties_new(struct wc_penalties **out);
void wc_penalties_free(struct wc_penalties *p); /* NULL is fine */

/* Whether a connection from there is to be closed at once. */
bool wc_penalties_paused(const struct wc_penalties *p, const struct wc_source *source,
                         uint64_t now_ms);

/* Whether an office has, or had of late, a link from there that lasted. */
bool wc_penalties_trusted(const struct wc_penalties *p, const struct wc_source *source,
                          uint64_t now_ms);

/* A failure. spared: count it, and never pause its source. True when it was one too
 * many: worth a line in the log. */
bool wc_penalties_fail(struct wc_penalties *p, const struct wc_source *source,
                       bool spared, uint64_t now_ms);

/* An office has, or had until now, a link from there that lasted. configured: it is the
 * address of a configured peer. */
void wc_penalties_good(struct wc_penalties *p, const struct wc_source *source,
                       bool configured, uint64_t now_ms);

/* One that had more failures than it may, within the last WC_PENALTY_NAMED_MS. */
struct wc_offender {
    struct wc_source source;
    uint64_t failures_count; /* since it was first seen */
    uint64_t last_ms;        /* the last one */
    uint64_t paused_ms;      /* from now on; 0: it is not paused */
};

/* The worst first, at most max; *total (may be NULL) gets how many there are. */
uint32_t wc_penalties_worst(const struct wc_penalties *p, struct wc_offender *out,
                            uint32_t max, uint64_t now_ms, uint32_t *total);

#endif
