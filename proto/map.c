/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/crypto.h>
#include <whocan/error.h>

#define FIRST_CELLS 16

void wc_map_init(struct wc_map *m, size_t key_bytes, wc_map_key_fn key_of,
                 const void *ctx, struct wc_rng *rng)
{
    *m = (struct wc_map){.key_bytes = key_bytes, .key_of = key_of, .ctx = ctx};
    wc_put_u64(m->hash_key, wc_rng_u64(rng));
    wc_put_u64(m->hash_key + 8, wc_rng_u64(rng));
}

void wc_map_fini(struct wc_map *m)
{
    free(m->cells);
    m->cells = NULL;
    m->cap = m->count = 0;
}

static uint32_t hash_of(const struct wc_map *m, const uint8_t *key)
{
    return (uint32_t)wc_siphash(m->hash_key, wc_slice(key, m->key_bytes));
}

/* The cell of a key, or the empty one where it would go. */
static uint32_t probe(const struct wc_map *m, const uint8_t *key, uint32_t hash)
{
    uint32_t i = hash & (m->cap - 1);
    for (; m->cells[i].id != 0; i = (i + 1) & (m->cap - 1)) {
        if (m->cells[i].hash == hash &&
            memcmp(m->key_of(m->ctx, m->cells[i].id - 1), key, m->key_bytes) == 0)
            break;
    }
    return i;
}

uint32_t wc_map_find(const struct wc_map *m, const uint8_t *key)
{
    if (m->count == 0)
        return WC_MAP_NONE;
    const struct wc_map_cell *cell = &m->cells[probe(m, key, hash_of(m, key))];
    return cell->id == 0 ? WC_MAP_NONE : cell->id - 1;
}

static int grow(struct wc_map *m)
{
    uint32_t cap = m->cap == 0 ? FIRST_CELLS : 2 * m->cap;
    struct wc_map_cell *cells = calloc(cap, sizeof(*cells));
    if (cells == NULL)
        return -WC_ENOMEM;
    for (uint32_t i = 0; i < m->cap; i++) {
        if (m->cells[i].id == 0)
            continue;
        uint32_t at = m->cells[i].hash & (cap - 1);
        while (cells[at].id != 0)
            at = (at + 1) & (cap - 1);
        cells[at] = m->cells[i];
    }
    free(m->cells);
    m->cells = cells;
    m->cap = cap;
    return 0;
}

int wc_map_add(struct wc_map *m, uint32_t id)
{
    /* at most three quarters full, so that a probe stays short */
    if (m->count + 1 > m->cap / 4 * 3 && grow(m) != 0)
        return -WC_ENOMEM;
    const uint8_t *key = m->key_of(m->ctx, id);
    uint32_t hash = hash_of(m, key);
    uint32_t at = probe(m, key, hash);
    assert(m->cells[at].id == 0 && id != WC_MAP_NONE);
    m->cells[at] = (struct wc_map_cell){.hash = hash, .id = id + 1};
    m->count++;
    return 0;
}

void wc_map_remove(struct wc_map *m, uint32_t id)
{
    const uint8_t *key = m->key_of(m->ctx, id);
    assert(m->count > 0);
    uint32_t hole = probe(m, key, hash_of(m, key)), mask = m->cap - 1;
    assert(m->cells[hole].id == id + 1);
    /* close the gap: move up whatever a probe would no longer reach (Knuth, volume 3,
     * 6.4, algorithm R) */
    for (uint32_t i = (hole + 1) & mask; m->cells[i].id != 0; i = (i + 1) & mask) {
        uint32_t home = m->cells[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->cells[hole] = m->cells[i];
            hole = i;
        }
    }
    m->cells[hole] = (struct wc_map_cell){0};
    m->count--;
}
