/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket: so much at once, and so much a minute. Pure: time is an argument. What is
 * kept is how much is owed, so that a bucket of zeros is a full one and the rate may differ
 * from call to call (a reload, an account that stands for many people).
 */
#ifndef WHOCAN_DAEMON_BUCKET_H
#define WHOCAN_DAEMON_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct wc_rate {
    uint32_t per_minute; /* tokens; 0: there is no limit */
    uint32_t burst;      /* tokens at once; at least 1 */
};

struct wc_bucket {
    uint64_t
        owed; /* 1/60,000 of a token, which a rate of n a minute pays n of each ms */
    uint64_t at_ms; /* when that was so */
};

/* Take `count` tokens (more than the burst counts as the burst). 0: taken. Otherwise
 * nothing was, and it is worth another try after so many ms. A clock that goes back pays
 * nothing. */
uint64_t wc_bucket_take(struct wc_bucket *b, const struct wc_rate *rate, uint32_t count,
                        uint64_t now_ms);

/* How long until `count` tokens can be taken, without taking them; 0: now. For a count
 * above the burst: until so many have flowed in. */
uint64_t wc_bucket_wait_ms(struct wc_bucket *b, const struct wc_rate *rate,
                           uint32_t count, uint64_t now_ms);

/* Whether it is as full as a new one. */
bool wc_bucket_full(struct wc_bucket *b, const struct wc_rate *rate, uint64_t now_ms);

#endif
