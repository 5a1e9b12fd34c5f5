/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seeded generator: xoshiro256** (Blackman and Vigna, "Scrambled Linear Pseudorandom
 * Number Generators", 2021), its state filled by splitmix64 as its authors advise.
 *
 * For jitter, choice of neighbours and numbers that only must not collide. Never for
 * keys.
 */
#ifndef WHOCAN_PROTO_RNG_H
#define WHOCAN_PROTO_RNG_H

#include <stdint.h>

struct wc_rng {
    uint64_t s[4];
};

/* Any seed is good, zero too. */
void wc_rng_init(struct wc_rng *rng, uint64_t seed);
uint64_t wc_rng_u64(struct wc_rng *rng);

/* 0..n-1, each alike; n is at least 1. */
uint64_t wc_rng_below(struct wc_rng *rng, uint64_t n);

#endif
