/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens, for whoever watches (node.watch): events are gathered for a moment and
 * sent as notifications of the watcher's request. Each watcher has a queue of its own,
 * with an end: who does not read misses events, and is told how many; nobody else waits
 * for it, and nothing is made while nobody watches.
 *
 * Events hold names of offices, addresses, reasons and numbers; never anything of a
 * profile, a question or a key. Loop thread only.
 */
#ifndef WHOCAN_DAEMON_WATCH_H
#define WHOCAN_DAEMON_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/loop.h"

struct wc_request;
struct wc_watch;

/* One fact of an event: a text, or (text NULL) a number. */
struct wc_watch_fact {
    const char *name;
    const char *text;
    uint64_t number;
};

/* look(ctx) is called once a second while somebody watches, for what is counted and not
 * said as it happens; NULL: nothing is. -WC_ENOMEM. */
int wc_watch_new(struct wc_watch **out, struct wc_loop *loop, void (*look)(void *ctx),
                 void *ctx);

/* Ends the requests that are left. NULL is fine. */
void wc_watch_free(struct wc_watch *w);

/* Whether anybody watches: else there is no need to look at anything. NULL: nobody. */
bool wc_watch_wanted(const struct wc_watch *w);

/* Something happened; texts are copied. w may be NULL. */
void wc_watch_say(struct wc_watch *w, const char *event,
                  const struct wc_watch_fact *facts, uint32_t facts_count);

/* Take a request of node.watch: it is answered when the daemon stops or its client goes.
 * With WC_WATCHERS_MAX_COUNT others it is refused. */
void wc_watch_add(struct wc_watch *w, struct wc_request *r);

/* Watchers now, and events that they missed since the start. */
void wc_watch_stats(const struct wc_watch *w, uint32_t *watchers, uint64_t *skipped);

#endif
