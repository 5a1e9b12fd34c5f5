/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done for the index now and then, on the pool: flush it, look at a part of its
 * values, and build it anew when it is found to be damaged. Loop thread only.
 */
#ifndef WHOCAN_DAEMON_UPKEEP_H
#define WHOCAN_DAEMON_UPKEEP_H

#include "daemon/index.h"
#include "daemon/loop.h"

struct wc_upkeep;

/* Both are borrowed. -WC_ENOMEM. */
int wc_upkeep_new(struct wc_upkeep **out, struct wc_loop *loop, struct wc_index *ix);
void wc_upkeep_free(struct wc_upkeep *u); /* after the loop has run; NULL is fine */

/* Each minute, and when a search met damage: an index that is damaged is built anew. */
void wc_upkeep_tick(struct wc_upkeep *u);
void wc_upkeep_damaged(struct wc_upkeep *u);
/* Build it anew in any case. */
void wc_upkeep_rebuild(struct wc_upkeep *u);
/* Whether it is being built anew, or will be as soon as something else has ended. */
bool wc_upkeep_is_rebuilding(const struct wc_upkeep *u);
/* Begin nothing more, and cut short what goes on. */
void wc_upkeep_stop(struct wc_upkeep *u);

struct wc_upkeep_stats {
    uint64_t rounds_count;   /* times that all values were looked at */
    uint64_t damaged_count;  /* times that damage was found while running */
    uint64_t rebuilds_count; /* times that the index was built anew while running */
};
void wc_upkeep_stats(const struct wc_upkeep *u, struct wc_upkeep_stats *out);

#endif
