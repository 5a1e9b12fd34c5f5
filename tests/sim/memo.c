/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hundreds of offices check the same signatures. The linker puts wc_verify() through
 * here (--wrap), so that each is computed once in a run; what is asked is the same, and
 * so is the answer.
 */
#include <assert.h>

#include "tests/sim/sim.h"

int __real_wc_verify(const uint8_t sig[WC_SIG_BYTES], const uint8_t key[WC_KEY_BYTES],
                     const char *domain, uint8_t kind, struct wc_slice message);
int __wrap_wc_verify(const uint8_t sig[WC_SIG_BYTES], const uint8_t key[WC_KEY_BYTES],
                     const char *domain, uint8_t kind, struct wc_slice message);

struct known {
    uint8_t hash[WC_DIGEST_BYTES];
    int rc;
};

static struct known *known;
static uint32_t known_count, known_cap;
static struct wc_map known_by_hash;

static const uint8_t *known_hash(const void *ctx, uint32_t id)
{
    (void)ctx;
    return known[id].hash;
}

void memo_reset(void)
{
    struct wc_rng rng;
    wc_rng_init(&rng, 1);
    free(known);
    known = NULL;
    known_count = known_cap = 0;
    wc_map_fini(&known_by_hash);
    wc_map_init(&known_by_hash, WC_DIGEST_BYTES, known_hash, NULL, &rng);
}

int __wrap_wc_verify(const uint8_t sig[WC_SIG_BYTES], const uint8_t key[WC_KEY_BYTES],
                     const char *domain, uint8_t kind, struct wc_slice message)
{
    struct known k;
    struct wc_slice parts[] = {wc_slice(sig, WC_SIG_BYTES), wc_slice(key, WC_KEY_BYTES),
                               wc_slice(domain, strlen(domain) + 1), wc_slice(&kind, 1),
                               message};
    wc_hash(k.hash, parts, 5);
    uint32_t id = wc_map_find(&known_by_hash, k.hash);
    if (id != WC_MAP_NONE)
        return known[id].rc;
    k.rc = __real_wc_verify(sig, key, domain, kind, message);
    if (known_count == known_cap) {
        known_cap = known_cap == 0 ? 1024 : 2 * known_cap;
        known = realloc(known, known_cap * sizeof(*known));
        assert(known != NULL);
    }
    known[known_count] = k;
    int rc = wc_map_add(&known_by_hash, known_count++);
    assert(rc == 0);
    return k.rc;
}
