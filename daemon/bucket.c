/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bucket.h"

#define TOKEN 60000u /* ms of a minute: a rate of n a minute pays n units each ms */

static void pay(struct wc_bucket *b, const struct wc_rate *rate, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms > b->at_ms ? now_ms - b->at_ms : 0;
    b->at_ms = now_ms;
    /* compared by division: a long time must not overflow */
    if (rate->per_minute > 0 && passed_ms < b->owed / rate->per_minute + 1) {
        uint64_t paid = passed_ms * rate->per_minute;
        b->owed = b->owed > paid ? b->owed - paid : 0;
    } else {
        b->owed = 0;
    }
}

uint64_t wc_bucket_wait_ms(struct wc_bucket *b, const struct wc_rate *rate,
                           uint32_t count, uint64_t now_ms)
{
    pay(b, rate, now_ms);
    uint64_t cap = (uint64_t)rate->burst * TOKEN,
             wanted = b->owed + (uint64_t)count * TOKEN;
    if (rate->per_minute == 0 || wanted <= cap)
        return 0;
    return (wanted - cap + rate->per_minute - 1) / rate->per_minute;
}

uint64_t wc_bucket_take(struct wc_bucket *b, const struct wc_rate *rate, uint32_t count,
                        uint64_t now_ms)
{
    if (count > rate->burst)
        count = rate->burst;
    uint64_t wait_ms = wc_bucket_wait_ms(b, rate, count, now_ms);
    if (wait_ms == 0 && rate->per_minute > 0)
        b->owed += (uint64_t)count * TOKEN;
    return wait_ms;
}

bool wc_bucket_full(struct wc_bucket *b, const struct wc_rate *rate, uint64_t now_ms)
{
    pay(b, rate, now_ms);
    return b->owed == 0;
}
