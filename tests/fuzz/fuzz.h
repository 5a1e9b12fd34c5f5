/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzers share: a check that names its line, and keys made once. */
#ifndef WHOCAN_TESTS_FUZZ_H
#define WHOCAN_TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/crypto.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of the decoder that does not hold: what libFuzzer and replay both see. */
#define HOLDS(property)                                                                \
    do {                                                                               \
        if (!(property)) {                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
                    #property);                                                        \
            abort();                                                                   \
        }                                                                              \
    } while (0)

/* The signer of the golden vectors whose seed is 32 times `fill`. */
static inline void fuzz_signer(struct wc_signer *signer, int fill)
{
    uint8_t seed[WC_KEY_BYTES];
    memset(seed, fill, sizeof(seed));
    HOLDS(wc_crypto_init() == 0);
    wc_signer_init(signer, seed);
}

#endif
