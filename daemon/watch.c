/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watch.h"

#include <stdlib.h>

#include <whocan/error.h>
#include <whocan/limits.h>

#include "daemon/api.h"
#include "daemon/person_params.h"

#define TICK_MS         100 /* events wait so long for others */
#define LOOK_EVERY_TICK 10

struct watcher {
    struct watcher *next;
    struct wc_watch *watch;
    struct wc_request *r;
    struct wc_buf events; /* packed, one after the other */
    uint32_t events_count;
    uint64_t skipped; /* that came after those, and found no room */
    uint64_t sent, missed;
    uint32_t flushed_tick;
};

struct wc_watch {
    struct wc_timer *tick;
    void (*look)(void *ctx);
    void *ctx;
    struct watcher *watchers;
    uint32_t watchers_count;
    uint32_t ticks;
    uint64_t skipped;
};

/* ---------------------------------------------------------------- one watcher */

static void unlink_watcher(struct watcher *who)
{
    struct watcher **at = &who->watch->watchers;
    while (*at != who)
        at = &(*at)->next;
    *at = who->next;
    if (--who->watch->watchers_count == 0)
        wc_timer_stop(who->watch->tick);
}

/* Nobody waits for it any more, or the daemon stops. */
static void end(void *ctx)
{
    struct watcher *who = ctx;
    struct wc_buf out = {0};
    unlink_watcher(who);
    wc_pack_map(&out, 2);
    wc_pack_text(&out, "events");
    wc_pack_u64(&out, who->sent);
    wc_pack_text(&out, "skipped");
    wc_pack_u64(&out, who->missed);
    wc_request_reply(who->r, &out);
    wc_buf_fini(&who->events);
    free(who);
}

/* Send what has gathered, unless the client left so much unread already. */
static void flush(struct watcher *who)
{
    struct wc_buf out = {0};
    if (who->events_count == 0 || !wc_request_may_stream(who->r))
        return;
    wc_pack_map(&out, 3);
    wc_pack_text(&out, "request");
    wc_request_pack_id(who->r, &out);
    wc_pack_text(&out, "events");
    wc_pack_array(&out, who->events_count);
    wc_buf_append(&out, who->events.data, who->events.len);
    wc_pack_text(&out, "skipped");
    wc_pack_u64(&out, who->skipped);
    out.failed = out.failed || who->events.failed;
    who->sent += who->events_count;
    who->events_count = 0;
    who->skipped = 0;
    wc_buf_reset(&who->events);
    wc_request_notify(who->r, "watch.events", &out);
}

static void take(struct watcher *who, const struct wc_buf *event)
{
    if (who->events_count == WC_WATCH_QUEUE_COUNT ||
        who->events.len + event->len > WC_WATCH_QUEUE_BYTES) {
        who->skipped++;
        who->missed++;
        who->watch->skipped++;
        return;
    }
    wc_buf_append(&who->events, event->data, event->len);
    who->events_count++;
}

/* ---------------------------------------------------------------- all of them */

static struct watcher *find_unflushed(const struct wc_watch *w)
{
    struct watcher *who = w->watchers;
    while (who != NULL && who->flushed_tick == w->ticks)
        who = who->next;
    return who;
}

/* Looks for the next one anew each time: a connection that cannot be written to ends all
 * its watchers in the middle. */
static void on_tick(void *ctx)
{
    struct wc_watch *w = ctx;
    struct watcher *who;
    if (++w->ticks % LOOK_EVERY_TICK == 0 && w->look != NULL)
        w->look(w->ctx);
    while ((who = find_unflushed(w)) != NULL) {
        who->flushed_tick = w->ticks;
        flush(who);
    }
}

int wc_watch_new(struct wc_watch **out, struct wc_loop *loop, void (*look)(void *ctx),
                 void *ctx)
{
    struct wc_watch *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -WC_ENOMEM;
    w->look = look;
    w->ctx = ctx;
    w->tick = wc_timer_new(loop, on_tick, w);
    if (w->tick == NULL) {
        free(w);
        return -WC_ENOMEM;
    }
    *out = w;
    return 0;
}

void wc_watch_free(struct wc_watch *w)
{
    if (w == NULL)
        return;
    for (struct watcher *who = w->watchers, *next; who != NULL; who = next) {
        next = who->next;
        end(who);
    }
    wc_timer_free(w->tick);
    free(w);
}

bool wc_watch_wanted(const struct wc_watch *w)
{
    return w != NULL && w->watchers != NULL;
}

void wc_watch_say(struct wc_watch *w, const char *event,
                  const struct wc_watch_fact *facts, uint32_t facts_count)
{
    struct wc_buf packed = {0};
    if (!wc_watch_wanted(w))
        return;
    wc_pack_map(&packed, 2 + facts_count);
    wc_pack_text(&packed, "event");
    wc_pack_text(&packed, event);
    wc_pack_text(&packed, "at");
    wc_pack_time(&packed, wc_wall_ms());
    for (uint32_t i = 0; i < facts_count; i++) {
        wc_pack_text(&packed, facts[i].name);
        if (facts[i].text != NULL)
            wc_pack_text(&packed, facts[i].text);
        else
            wc_pack_u64(&packed, facts[i].number);
    }
    for (struct watcher *who = w->watchers; who != NULL && !packed.failed;
         who = who->next)
        take(who, &packed);
    wc_buf_fini(&packed);
}

void wc_watch_add(struct wc_watch *w, struct wc_request *r)
{
    if (w->watchers_count == WC_WATCHERS_MAX_COUNT) {
        wc_request_fail(r, -WC_ELIMIT, NULL,
                        "%d others watch already: one of them must stop first",
                        WC_WATCHERS_MAX_COUNT);
        return;
    }
    struct watcher *who = calloc(1, sizeof(*who));
    if (who == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    who->watch = w;
    who->r = r;
    who->next = w->watchers;
    w->watchers = who;
    wc_request_on_cancel(r, end, who);
    if (w->watchers_count++ == 0)
        wc_timer_set(w->tick, TICK_MS, TICK_MS);
}

void wc_watch_stats(const struct wc_watch *w, uint32_t *watchers, uint64_t *skipped)
{
    *watchers = w == NULL ? 0 : w->watchers_count;
    *skipped = w == NULL ? 0 : w->skipped;
}
