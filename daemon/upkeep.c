/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/upkeep.h"

#include <inttypes.h>
#include <stdlib.h>

#include "daemon/index_check.h"
#include "daemon/log.h"

/* Of values, each minute: some milliseconds of one processor. An index of 150 MB is
 * looked at six times an hour. */
#define SWEEP_BYTES  (16u << 20)
#define SAY_EVERY_MS 5000

struct wc_upkeep {
    struct wc_loop *loop;
    struct wc_index *ix;
    struct wc_sweep sweep;
    atomic_bool stop;
    bool runs, again, rebuild; /* again: once more after this; rebuild: in any case */
    bool rebuilding;           /* the job at hand */
    bool whole;                /* a round ended with it */
    int rc;
    uint64_t started_ms, said_ms;
    struct wc_upkeep_stats stats;
};

int wc_upkeep_new(struct wc_upkeep **out, struct wc_loop *loop, struct wc_index *ix)
{
    struct wc_upkeep *u = calloc(1, sizeof(*u));
    *out = u;
    if (u == NULL)
        return -WC_ENOMEM;
    u->loop = loop;
    u->ix = ix;
    return 0;
}

void wc_upkeep_free(struct wc_upkeep *u)
{
    free(u);
}

/* On the pool. */
static void say_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct wc_upkeep *u = ctx;
    uint64_t now_ms = wc_mono_ms();
    if (now_ms - u->said_ms < SAY_EVERY_MS)
        return;
    u->said_ms = now_ms;
    wc_log(WC_LOG_NOTICE, "building the search index: %" PRIu64 " of %" PRIu64, done,
           total);
}

static void work(void *ctx)
{
    struct wc_upkeep *u = ctx;
    u->whole = false;
    if (u->rebuilding) {
        u->rc = wc_index_rebuild(u->ix, &u->stop, say_progress, u);
        return;
    }
    wc_index_tidy(u->ix);
    u->rc = wc_index_sweep(u->ix, &u->sweep, SWEEP_BYTES, &u->whole);
}

static void start(struct wc_upkeep *u);

static void say_rebuilt(struct wc_upkeep *u)
{
    struct wc_index_usage usage;
    if (u->rc != 0) {
        wc_log(
            WC_LOG_ERROR,
            "the search index could not be built anew: it %s; the next attempt is in "
            "a minute, and until then nothing is searched",
            wc_strerror(u->rc));
        return;
    }
    if (atomic_load(&u->stop))
        return;
    u->stats.rebuilds_count++;
    wc_index_usage(u->ix, &usage);
    wc_log(WC_LOG_NOTICE,
           "the search index was built anew: %" PRIu64 " people in %" PRIu64 " ms",
           usage.people_count, wc_mono_ms() - u->started_ms);
}

static void done(void *ctx)
{
    struct wc_upkeep *u = ctx;
    u->runs = false;
    if (u->rebuilding) {
        say_rebuilt(u);
    } else {
        u->stats.rounds_count += u->whole;
        if (wc_index_is_damaged(u->ix, NULL))
            u->again = true; /* and now it is built anew */
    }
    bool failed = u->rebuilding && u->rc != 0;
    u->rebuilding = false;
    if (u->again && !failed) {
        u->again = false;
        start(u);
    }
}

static void start(struct wc_upkeep *u)
{
    char what[WC_PROBLEM_BYTES];
    uint64_t built, total;
    if (atomic_load(&u->stop))
        return;
    if (u->runs) {
        u->again = true;
        return;
    }
    bool damaged = wc_index_is_damaged(u->ix, what);
    if (damaged) {
        u->stats.damaged_count++;
        wc_log(WC_LOG_WARNING,
               "the search index is damaged (%s): it is built anew from the records, "
               "and until that is done nothing is searched",
               what);
    }
    u->rebuilding =
        damaged || u->rebuild || wc_index_is_building(u->ix, &built, &total);
    u->rebuild = false;
    u->started_ms = u->said_ms = wc_mono_ms();
    u->runs = wc_loop_work(u->loop, work, done, u) == 0; /* else with the next tick */
    if (!u->runs)
        wc_log(WC_LOG_ERROR, "out of memory: the index is looked after in a minute");
}

void wc_upkeep_tick(struct wc_upkeep *u)
{
    if (!u->runs)
        start(u);
}

void wc_upkeep_damaged(struct wc_upkeep *u)
{
    if (!u->rebuilding)
        start(u);
}

void wc_upkeep_rebuild(struct wc_upkeep *u)
{
    if (u->rebuilding)
        return;
    u->rebuild = true;
    start(u);
}

bool wc_upkeep_is_rebuilding(const struct wc_upkeep *u)
{
    return u->rebuilding || (u->runs && u->rebuild);
}

void wc_upkeep_stop(struct wc_upkeep *u)
{
    atomic_store(&u->stop, true);
}

void wc_upkeep_stats(const struct wc_upkeep *u, struct wc_upkeep_stats *out)
{
    *out = u->stats;
}
