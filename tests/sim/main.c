/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

struct options {
    const char *scenario; /* NULL: each in turn */
    uint32_t nodes;
    uint64_t seed;
    uint32_t runs;
    bool twice;
};

static void usage(FILE *out)
{
    fputs("usage: sim [--scenario NAME] [--nodes N] [--seed S] [--runs K] [--twice]\n\n"
          "Simulates an organisation of N offices (100) from seed S (1), K runs (1) "
          "with seeds S, S+1, ...\n"
          "--twice runs each seed again and compares the two traces.\n\nScenarios:\n",
          out);
    for (const struct sim_scenario *c = sim_scenarios; c->name != NULL; c++)
        fprintf(out, "  %-10s %s\n", c->name, c->what);
}

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *out <= max;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"scenario", required_argument, NULL, 'c'},
        {"nodes", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},
        {"runs", required_argument, NULL, 'r'},
        {"twice", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    uint64_t number = 0;
    bool ok = true;
    for (int c; ok && (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case 'c':
            o->scenario = optarg;
            break;
        case 'n':
            ok = parse_number(optarg, 100000, &number) && number >= 3;
            o->nodes = (uint32_t)number;
            break;
        case 's':
            ok = parse_number(optarg, UINT64_MAX, &o->seed);
            break;
        case 'r':
            ok = parse_number(optarg, UINT32_MAX, &number) && number >= 1;
            o->runs = (uint32_t)number;
            break;
        case 't':
            o->twice = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            ok = false;
        }
    }
    return ok && optind == argc ? 0 : -1;
}

/* One run; its trace goes to *trace. */
static bool run_once(const struct sim_scenario *c, const struct options *o,
                     uint64_t seed, uint8_t trace[WC_DIGEST_BYTES])
{
    struct sim s;
    sim_init(&s, seed, o->nodes);
    c->run(&s);
    bool ok = !s.failed;
    memcpy(trace, s.trace, WC_DIGEST_BYTES);
    printf("%s %-10s seed %" PRIu64 ", %u offices: %" PRIu64 " s simulated, %" PRIu64
           " events, %" PRIu64 " frames, %" PRIu64 " KiB\n",
           ok ? "passed" : "FAILED", c->name, seed, s.count, s.now_ms / 1000, s.steps,
           s.frames, s.frame_bytes >> 10);
    if (!ok)
        printf("again: sim --scenario %s --nodes %u --seed %" PRIu64 "\n", c->name,
               o->nodes, seed);
    fflush(stdout);
    sim_fini(&s);
    return ok;
}

static bool run_seed(const struct sim_scenario *c, const struct options *o,
                     uint64_t seed)
{
    uint8_t first[WC_DIGEST_BYTES], second[WC_DIGEST_BYTES];
    bool ok = run_once(c, o, seed, first);
    if (!ok || !o->twice)
        return ok;
    ok = run_once(c, o, seed, second);
    if (memcmp(first, second, sizeof(first)) == 0)
        return ok;
    printf("FAILED %s: seed %" PRIu64 " gave two different runs\n", c->name, seed);
    return false;
}

int main(int argc, char **argv)
{
    struct options o = {.nodes = 100, .seed = 1, .runs = 1};
    uint32_t passed = 0, failed = 0;
    bool found = false;
    if (parse(argc, argv, &o) != 0) {
        usage(stderr);
        return 2;
    }
    if (wc_crypto_init() != 0)
        return 1;
    for (const struct sim_scenario *c = sim_scenarios; c->name != NULL; c++) {
        if (o.scenario != NULL && strcmp(o.scenario, c->name) != 0)
            continue;
        found = true;
        for (uint32_t i = 0; i < o.runs; i++) {
            if (run_seed(c, &o, o.seed + i))
                passed++;
            else
                failed++;
        }
    }
    if (!found) {
        fprintf(stderr, "sim: there is no scenario %s; --help lists them\n",
                o.scenario);
        return 2;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
