/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rng.h"

#include <assert.h>

static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

void wc_rng_init(struct wc_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = splitmix64(&seed);
}

uint64_t wc_rng_u64(struct wc_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t wc_rng_below(struct wc_rng *rng, uint64_t n)
{
    assert(n > 0);
    /* 2^64 mod n values at the bottom would make the first ones likelier */
    uint64_t uneven = (UINT64_MAX - n + 1) % n, v;
    do
        v = wc_rng_u64(rng);
    while (v < uneven);
    return v % n;
}
