/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/views.h"

#include <assert.h>

/* The place of an office in a list, or the length of the list. */
static uint32_t place_of(const uint32_t *list, uint32_t count, uint32_t office)
{
    uint32_t i = 0;
    while (i < count && list[i] != office)
        i++;
    return i;
}

static bool take_out(uint32_t *list, uint32_t *count, uint32_t office)
{
    uint32_t i = place_of(list, *count, office);
    if (i == *count)
        return false;
    list[i] = list[--*count];
    return true;
}

bool wc_views_is_active(const struct wc_views *v, uint32_t office)
{
    return place_of(v->active, v->active_count, office) < v->active_count;
}

bool wc_views_is_passive(const struct wc_views *v, uint32_t office)
{
    return place_of(v->passive, v->passive_count, office) < v->passive_count;
}

bool wc_views_full(const struct wc_views *v)
{
    return v->active_count == WC_VIEW_ACTIVE_COUNT;
}

/* One of a list, none of two; WC_VIEW_NONE when there is none. */
static uint32_t draw(const uint32_t *list, uint32_t count, uint32_t not_a,
                     uint32_t not_b, struct wc_rng *rng)
{
    uint32_t drawn = WC_VIEW_NONE;
    uint64_t fit = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] != not_a && list[i] != not_b && wc_rng_below(rng, ++fit) == 0)
            drawn = list[i];
    }
    return drawn;
}

void wc_views_activate(struct wc_views *v, uint32_t office, uint32_t out,
                       struct wc_rng *rng)
{
    if (wc_views_is_active(v, office))
        return;
    take_out(v->passive, &v->passive_count, office);
    if (wc_views_full(v))
        wc_views_deactivate(v, out, true, rng);
    assert(v->active_count < WC_VIEW_ACTIVE_COUNT);
    v->active[v->active_count++] = office;
}

void wc_views_deactivate(struct wc_views *v, uint32_t office, bool again,
                         struct wc_rng *rng)
{
    if (!take_out(v->active, &v->active_count, office))
        return;
    if (again)
        wc_views_learn(v, office, rng);
}

void wc_views_learn(struct wc_views *v, uint32_t office, struct wc_rng *rng)
{
    if (wc_views_is_active(v, office) || wc_views_is_passive(v, office))
        return;
    if (v->passive_count < WC_VIEW_PASSIVE_COUNT)
        v->passive[v->passive_count++] = office;
    else
        v->passive[wc_rng_below(rng, WC_VIEW_PASSIVE_COUNT)] = office;
}

void wc_views_forget(struct wc_views *v, uint32_t office)
{
    take_out(v->passive, &v->passive_count, office);
}

uint32_t wc_views_walk(const struct wc_views *v, uint32_t from, uint32_t newcomer,
                       uint32_t ttl, struct wc_rng *rng)
{
    return ttl == 0 ? WC_VIEW_NONE
                    : draw(v->active, v->active_count, from, newcomer, rng);
}

/* Up to `want` of a list, each once, but not `to`: how many were appended. */
static uint32_t sample(const uint32_t *list, uint32_t count, uint32_t want, uint32_t to,
                       uint32_t *out, struct wc_rng *rng)
{
    /* reservoir sampling: Knuth, volume 2, 3.4.2, algorithm R */
    uint32_t taken = 0;
    uint64_t fit = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == to)
            continue;
        uint64_t place = wc_rng_below(rng, ++fit);
        if (taken < want)
            out[taken++] = list[i];
        else if (place < want)
            out[place] = list[i];
    }
    return taken;
}

uint32_t wc_views_sample(const struct wc_views *v, uint32_t to,
                         uint32_t out[WC_SHUFFLE_ACTIVE + WC_SHUFFLE_PASSIVE],
                         struct wc_rng *rng)
{
    uint32_t count =
        sample(v->active, v->active_count, WC_SHUFFLE_ACTIVE, to, out, rng);
    return count + sample(v->passive, v->passive_count, WC_SHUFFLE_PASSIVE, to,
                          out + count, rng);
}

void wc_views_merge(struct wc_views *v, const uint32_t *came, uint32_t came_count,
                    const uint32_t *told, uint32_t told_count, struct wc_rng *rng)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < came_count; i++) {
        if (wc_views_is_active(v, came[i]) || wc_views_is_passive(v, came[i]))
            continue;
        while (v->passive_count == WC_VIEW_PASSIVE_COUNT && next < told_count)
            take_out(v->passive, &v->passive_count, told[next++]);
        wc_views_learn(v, came[i], rng);
    }
}
