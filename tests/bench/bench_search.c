/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers questions from a state directory that bench_find filled, one of a line. Prints
 * a line for each: its number of people, the median of its times in us, and the logins
 * found, best first, parted by spaces.
 *
 * usage: bench_search STATE-DIRECTORY QUESTIONS PASSES [VOCABULARY-DIRECTORY...]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/index.h"
#include "daemon/vocabulary.h"

#define LIMIT      10
#define PASSES_MAX 99

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_search: %s: %s\n", what, why);
    exit(1);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Nothing to search for is an answer without people, as people meet it. */
static void ask(struct wc_index *ix, struct wc_slice text, int passes)
{
    static struct wc_hit hits[LIMIT];
    struct wc_index_query q = {.text = text, .limit = LIMIT, .near_too = true};
    double times[PASSES_MAX];
    struct wc_found found = {.total = 0};
    int n = 0;
    for (int i = 0; i < passes; i++) {
        times[i] = -now_us();
        n = wc_index_find(ix, &q, hits, &found);
        times[i] += now_us();
    }
    if (n < 0 && n != -WC_EINVALID)
        fail("find", wc_strerror(n));
    qsort(times, (size_t)passes, sizeof(times[0]), compare);
    printf("%llu %.1f", (unsigned long long)found.total, times[passes / 2]);
    for (int i = 0; i < n; i++)
        printf(" %s", hits[i].who.subject);
    printf("\n");
}

static void ask_all(struct wc_index *ix, const char *path, int passes)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    if (f == NULL)
        fail(path, strerror(errno));
    for (ssize_t n; (n = getline(&line, &cap, f)) > 0;)
        ask(ix, wc_slice(line, (size_t)n - (line[n - 1] == '\n')), passes);
    free(line);
    fclose(f);
}

int main(int argc, char **argv)
{
    static const char *const languages[] = {"english", "norwegian", NULL};
    struct wc_vocabulary *vocabulary = NULL;
    struct wc_records *records = NULL;
    struct wc_index *index = NULL;
    char problem[WC_VOCABULARY_PROBLEM_BYTES];
    int passes = argc < 4 ? 0 : atoi(argv[3]);
    if (passes < 1 || passes > PASSES_MAX) {
        fprintf(stderr, "usage: bench_search STATE-DIRECTORY QUESTIONS PASSES "
                        "[VOCABULARY-DIRECTORY...]\n");
        return 2;
    }
    if (wc_crypto_init() != 0)
        fail("crypto", "does not start");
    if (wc_vocabulary_load(&vocabulary, (const char *const *)argv + 4, languages,
                           problem) != 0 ||
        wc_records_open(&records, argv[1], problem) != 0 ||
        wc_index_open(&index, argv[1], records, languages, vocabulary, NULL, NULL, NULL,
                      problem) != 0)
        fail(argv[1], problem);
    ask_all(index, argv[2], passes);
    wc_index_close(index);
    wc_records_close(records);
    wc_vocabulary_free(vocabulary);
    return 0;
}
