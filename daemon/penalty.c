/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/penalty.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <whocan/error.h>
#include <whocan/limits.h>

#define BUCKETS_COUNT 256

struct entry {
    struct wc_source source;
    uint64_t changed_ms; /* when `failures` was right */
    uint32_t failures;   /* held against it */
    uint32_t pauses;     /* so far; the length of the next follows */
    uint64_t paused_until_ms;
    uint64_t trusted_until_ms; /* in the other table */
    uint64_t failures_count, last_ms;
    bool excessive;
    LIST_ENTRY(entry) bucket;
    TAILQ_ENTRY(entry) age;
};

LIST_HEAD(bucket, entry);
TAILQ_HEAD(ages, entry);

/* Sources by address and by age. Two of them, so that no number of offenders makes us
 * forget who is trusted. */
struct table {
    struct entry entries[WC_PENALTY_SOURCES_COUNT];
    struct bucket buckets[BUCKETS_COUNT];
    struct ages ages; /* oldest first */
    uint32_t used;
};

struct wc_penalties {
    struct table offenders, trusted;
};

/* ---- tables ---- */

static void table_init(struct table *t)
{
    TAILQ_INIT(&t->ages);
    for (uint32_t i = 0; i < BUCKETS_COUNT; i++)
        LIST_INIT(&t->buckets[i]);
}

/* FNV-1a. Who picks addresses that meet in one bucket makes us walk the whole table at
 * worst, which is short. */
static uint32_t bucket_of(const struct wc_source *source)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof(source->prefix); i++)
        hash = (hash ^ source->prefix[i]) * 16777619u;
    return (hash ^ hash >> 16) % BUCKETS_COUNT;
}

static struct entry *table_find(const struct table *t, const struct wc_source *source)
{
    struct entry *e;
    LIST_FOREACH(e, &t->buckets[bucket_of(source)], bucket)
    {
        if (wc_source_eq(&e->source, source))
            return e;
    }
    return NULL;
}

static struct entry *table_take(struct table *t)
{
    if (t->used < WC_PENALTY_SOURCES_COUNT)
        return &t->entries[t->used++];
    struct entry *oldest = TAILQ_FIRST(&t->ages);
    TAILQ_REMOVE(&t->ages, oldest, age);
    LIST_REMOVE(oldest, bucket);
    return oldest;
}

/* The entry of a source, made if need be, as the youngest. */
static struct entry *table_touch(struct table *t, const struct wc_source *source)
{
    struct entry *e = table_find(t, source);
    if (e != NULL) {
        TAILQ_REMOVE(&t->ages, e, age);
    } else {
        e = table_take(t);
        memset(e, 0, sizeof(*e));
        e->source = *source;
        LIST_INSERT_HEAD(&t->buckets[bucket_of(source)], e, bucket);
    }
    TAILQ_INSERT_TAIL(&t->ages, e, age);
    return e;
}

/* ---- life ---- */

int wc_penalties_new(struct wc_penalties **out)
{
    struct wc_penalties *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -WC_ENOMEM;
    table_init(&p->offenders);
    table_init(&p->trusted);
    *out = p;
    return 0;
}

void wc_penalties_free(struct wc_penalties *p)
{
    free(p);
}

/* ---- judging ---- */

bool wc_penalties_trusted(const struct wc_penalties *p, const struct wc_source *source,
                          uint64_t now_ms)
{
    const struct entry *e = table_find(&p->trusted, source);
    return e != NULL && now_ms < e->trusted_until_ms;
}

bool wc_penalties_paused(const struct wc_penalties *p, const struct wc_source *source,
                         uint64_t now_ms)
{
    const struct entry *e = table_find(&p->offenders, source);
    return e != NULL && now_ms < e->paused_until_ms &&
           !wc_penalties_trusted(p, source, now_ms);
}

/* Time heals: failures one by one, pauses more slowly. */
static void heal(struct entry *e, uint64_t now_ms)
{
    uint64_t quiet_ms = now_ms > e->changed_ms ? now_ms - e->changed_ms : 0;
    uint64_t forgotten = quiet_ms / WC_PENALTY_DECAY_MS;
    uint64_t calmed = quiet_ms / WC_PENALTY_CALM_MS;
    e->failures -= forgotten < e->failures ? (uint32_t)forgotten : e->failures;
    e->pauses -= calmed < e->pauses ? (uint32_t)calmed : e->pauses;
    e->changed_ms += forgotten * WC_PENALTY_DECAY_MS;
}

static void pause_it(struct entry *e, uint64_t now_ms)
{
    uint64_t pause_ms = WC_PENALTY_PAUSE_MS << (e->pauses < 20 ? e->pauses : 20);
    if (pause_ms > WC_PENALTY_PAUSE_MAX_MS)
        pause_ms = WC_PENALTY_PAUSE_MAX_MS;
    e->pauses++;
    e->paused_until_ms = now_ms + pause_ms;
    e->changed_ms = e->paused_until_ms; /* a pause heals nothing */
    e->failures = WC_PENALTY_BURST_COUNT - WC_PENALTY_AGAIN_COUNT;
}

bool wc_penalties_fail(struct wc_penalties *p, const struct wc_source *source,
                       bool spared, uint64_t now_ms)
{
    struct entry *e = table_touch(&p->offenders, source);
    if (e->failures_count == 0)
        e->changed_ms = now_ms;
    e->failures_count++;
    e->last_ms = now_ms;
    if (now_ms < e->paused_until_ms)
        return false; /* begun before the pause */
    heal(e, now_ms);
    if (e->failures < WC_PENALTY_BURST_COUNT) {
        e->failures++;
        return false;
    }
    e->excessive = true;
    if (!spared)
        pause_it(e, now_ms);
    return true;
}

void wc_penalties_good(struct wc_penalties *p, const struct wc_source *source,
                       bool configured, uint64_t now_ms)
{
    struct entry *e = table_find(&p->offenders, source);
    uint64_t for_ms = configured ? WC_PENALTY_TRUST_PEER_MS : WC_PENALTY_TRUST_MS;
    if (e != NULL) {
        e->failures = e->pauses = 0;
        e->paused_until_ms = 0;
        e->changed_ms = now_ms;
    }
    table_touch(&p->trusted, source)->trusted_until_ms = now_ms + for_ms;
}

/* ---- telling ---- */

static void insert_worst(struct wc_offender *out, uint32_t *count, uint32_t max,
                         const struct wc_offender *one)
{
    uint32_t at = *count;
    while (at > 0 && out[at - 1].failures_count < one->failures_count)
        at--;
    if (at >= max)
        return;
    if (*count < max)
        ++*count;
    memmove(&out[at + 1], &out[at], (*count - at - 1) * sizeof(*out));
    out[at] = *one;
}

uint32_t wc_penalties_worst(const struct wc_penalties *p, struct wc_offender *out,
                            uint32_t max, uint64_t now_ms, uint32_t *total)
{
    const struct entry *e;
    uint32_t count = 0, all = 0;
    TAILQ_FOREACH(e, &p->offenders.ages, age)
    {
        if (!e->excessive || now_ms - e->last_ms >= WC_PENALTY_NAMED_MS)
            continue;
        struct wc_offender one = {.source = e->source,
                                  .failures_count = e->failures_count,
                                  .last_ms = e->last_ms};
        if (wc_penalties_paused(p, &e->source, now_ms))
            one.paused_ms = e->paused_until_ms - now_ms;
        insert_worst(out, &count, max, &one);
        all++;
    }
    if (total != NULL)
        *total = all;
    return count;
}
