/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sum.h"

#include <xxhash.h>

uint32_t wc_sum(uint32_t table, struct wc_slice key, struct wc_slice value)
{
    uint64_t place = XXH3_64bits_withSeed(key.data, key.len, (uint64_t)table + 1);
    return (uint32_t)XXH3_64bits_withSeed(value.data, value.len, place);
}
