/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash index: finds the number of a thing by a key of fixed length that stands in the
 * thing itself. Open addressing, linear probing; hashed by SipHash under a key of its
 * own, because strangers choose what comes in. Never iterated: nothing can depend on
 * its order.
 */
#ifndef WHOCAN_PROTO_MAP_H
#define WHOCAN_PROTO_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/rng.h"

/* The key of thing `id`; borrowed until the next change. */
typedef const uint8_t *(*wc_map_key_fn)(const void *ctx, uint32_t id);

struct wc_map_cell {
    uint32_t hash;
    uint32_t id; /* plus one; 0 is an empty cell */
};

struct wc_map {
    struct wc_map_cell *cells;
    uint32_t cap; /* a power of two, or 0 */
    uint32_t count;
    uint8_t hash_key[16];
    size_t key_bytes;
    wc_map_key_fn key_of;
    const void *ctx;
};

#define WC_MAP_NONE UINT32_MAX

void wc_map_init(struct wc_map *m, size_t key_bytes, wc_map_key_fn key_of,
                 const void *ctx, struct wc_rng *rng);
void wc_map_fini(struct wc_map *m);

/* The id under a key, or WC_MAP_NONE. */
uint32_t wc_map_find(const struct wc_map *m, const uint8_t *key);

/* Add a thing whose key is not in the map. 0 or -WC_ENOMEM (nothing changed). */
int wc_map_add(struct wc_map *m, uint32_t id);

/* Take out a thing that is in the map and still has the key it was added with. */
void wc_map_remove(struct wc_map *m, uint32_t id);

#endif
