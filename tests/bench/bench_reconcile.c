/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to compare two sets of a million: bytes of all frames both ways, as they
 * are before encryption, without the records that lacked. Beside what negentropy (its
 * own benchmark, frames of 60,000 bytes) needs for the same.
 *
 * usage: bench_reconcile [ITEMS [SEED]]
 */
#include <stdio.h>
#include <time.h>

#include "tests/unit/reconciling.h"

#define LINK_BYTES 18 /* of a frame on an encrypted link: length and tag */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Fill both with the same, but for so many that each lacks. */
static void fill(struct wc_itemset *a, struct wc_itemset *b, uint64_t count,
                 uint64_t lacks_a, uint64_t lacks_b, struct wc_rng *rng)
{
    uint8_t item[WC_ITEM_BYTES];
    for (uint64_t i = 0; i < count; i++) {
        reconciling_item(rng, item);
        if (i >= lacks_a && wc_itemset_insert(&a[1], item, 0) != 0)
            abort();
        if ((i < lacks_a || i >= lacks_a + lacks_b) &&
            wc_itemset_insert(&b[1], item, 0) != 0)
            abort();
    }
}

static void row(const char *what, uint64_t count, uint64_t lacks_a, uint64_t lacks_b,
                const char *negentropy, uint64_t seed)
{
    struct wc_itemset a[WC_SETS_COUNT] = {{0}}, b[WC_SETS_COUNT] = {{0}};
    struct reconciling_cost cost = {0};
    struct wc_rng rng;
    wc_rng_init(&rng, seed);
    fill(a, b, count, lacks_a, lacks_b, &rng);
    double began = now_s();
    reconciling_session(a, b, &rng, &cost);
    if (lacks_b > 0)
        reconciling_session(b, a, &rng, &cost);
    double took = now_s() - began;
    if (cost.came != lacks_a + lacks_b)
        abort();
    printf("%-34s %9llu %7llu %7llu %11llu %9.1f   %s\n", what,
           (unsigned long long)cost.bytes, (unsigned long long)cost.frames,
           (unsigned long long)cost.rounds,
           (unsigned long long)(cost.bytes + LINK_BYTES * cost.frames), took * 1000,
           negentropy);
    for (int i = 0; i < WC_SETS_COUNT; i++) {
        wc_itemset_fini(&a[i]);
        wc_itemset_fini(&b[i]);
    }
}

static void audit_row(uint64_t count, uint64_t seed)
{
    struct wc_itemset a[WC_SETS_COUNT] = {{0}}, b[WC_SETS_COUNT] = {{0}};
    struct reconciling_cost cost = {0};
    struct wc_rng rng;
    wc_rng_init(&rng, seed);
    fill(a, b, count, 0, 0, &rng);
    double began = now_s();
    reconciling_audit(a, b, &rng, &cost);
    printf("%-34s %9llu %7llu %7llu %11llu %9.1f\n", "daily audit of equal sets",
           (unsigned long long)cost.bytes, (unsigned long long)cost.frames,
           (unsigned long long)cost.rounds,
           (unsigned long long)(cost.bytes + LINK_BYTES * cost.frames),
           (now_s() - began) * 1000);
    for (int i = 0; i < WC_SETS_COUNT; i++) {
        wc_itemset_fini(&a[i]);
        wc_itemset_fini(&b[i]);
    }
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (wc_crypto_init() != 0)
        return 1;
    printf("%llu items, seed %llu; milliseconds of processor time, both sides\n",
           (unsigned long long)count, (unsigned long long)seed);
    printf("%-34s %9s %7s %7s %11s %9s   %s\n", "", "bytes", "frames", "rounds",
           "on a link", "ms", "negentropy");
    row("equal", count, 0, 0, "351 B", seed);
    row("1 lacks on one side", count, 1, 0, "2.4 KB", seed);
    row("10 lack on one side", count, 10, 0, "20 KB", seed);
    row("10 lack, half on each side", count, 5, 5, "20 KB", seed);
    row("1,000 lack on one side", count, 1000, 0, "1.4 MB", seed);
    row("1,000 lack, half on each side", count, 500, 500, "1.4 MB", seed);
    audit_row(count, seed);
    return 0;
}
