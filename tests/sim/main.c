/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>

#include "tests/sim/sim.h"

static void usage(FILE *to)
{
    fprintf(to, "usage: sim [--scenario NAME] [--nodes N] [--seed S] [--runs K] "
                "[--twice] [--verbose]\n"
                "       sim --measure [--nodes N] [--seed S]\n"
                "Runs a scenario (default: each) with K seeds from S on. --twice runs "
                "each seed twice\nand compares the traces. Scenarios:\n");
    for (const struct scenario *s = scenarios; s->name != NULL; s++)
        fprintf(to, "  %-16s %s (%u offices)\n", s->name, s->what, s->nodes);
}

struct options {
    const char *scenario;
    uint64_t nodes; /* 0: as the scenario says */
    uint64_t seed, runs;
    bool twice, verbose, measure;
};

static uint64_t run(const struct scenario *s, const struct options *o, uint64_t seed)
{
    uint32_t nodes = o->nodes > 0 ? (uint32_t)o->nodes : s->nodes;
    memo_reset();
    struct world *w = world_new(s, nodes, seed, o->verbose);
    world_run(w);
    uint64_t trace = w->trace;
    printf("%-16s seed %llu: %u offices, %llu events, %llu frames, %llu KiB, "
           "%llu edits (%llu refused), %u asks, at most %llu effects and %llu KiB in a "
           "step, same after %llu ms, trace %016llx\n",
           s->name, (unsigned long long)seed, nodes, (unsigned long long)w->events,
           (unsigned long long)w->frames, (unsigned long long)(w->frame_bytes >> 10),
           (unsigned long long)w->edits, (unsigned long long)w->refused_edits,
           w->ask_count, (unsigned long long)w->effects_max,
           (unsigned long long)(w->effect_bytes_max >> 10),
           (unsigned long long)w->converged_ms, (unsigned long long)trace);
    fflush(stdout);
    world_free(w);
    memo_reset();
    return trace;
}

/* How many of the K runs of a scenario went; a run that fails ends the program. */
static uint64_t run_seeds(const struct scenario *s, const struct options *o)
{
    for (uint64_t i = 0; i < o->runs; i++) {
        uint64_t trace = run(s, o, o->seed + i);
        if (o->twice && run(s, o, o->seed + i) != trace) {
            fprintf(stderr, "sim: %s: seed %llu gives two traces\n", s->name,
                    (unsigned long long)(o->seed + i));
            exit(1);
        }
    }
    return o->runs;
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && *out >= min &&
           *out <= max;
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option long_options[] = {
        {"scenario", required_argument, NULL, 'c'},
        {"nodes", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},
        {"runs", required_argument, NULL, 'r'},
        {"twice", no_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},
        {"measure", no_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    bool ok = true;
    for (int c; ok && (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            o->scenario = optarg;
            break;
        case 'n':
            ok = number(optarg, 4, 100000, &o->nodes);
            break;
        case 's':
            ok = number(optarg, 0, UINT64_MAX, &o->seed);
            break;
        case 'r':
            ok = number(optarg, 1, UINT64_MAX, &o->runs);
            break;
        case 't':
            o->twice = true;
            break;
        case 'v':
            o->verbose = true;
            break;
        case 'm':
            o->measure = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            ok = false;
        }
    }
    return ok && optind == argc;
}

static bool measure(const struct options *o)
{
    memo_reset();
    struct world *w =
        world_new(&scenario_measured, o->nodes > 0 ? (uint32_t)o->nodes : 100, o->seed,
                  o->verbose);
    bool everywhere = measure_run(w);
    world_free(w);
    memo_reset();
    return everywhere;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .runs = 1};
    uint64_t runs = 0;
    if (!parse(argc, argv, &o)) {
        usage(stderr);
        return 2;
    }
    if (wc_crypto_init() != 0)
        return 1;
    if (o.measure)
        return measure(&o) ? 0 : 1;
    for (const struct scenario *s = scenarios; s->name != NULL; s++) {
        if (o.scenario == NULL || strcmp(o.scenario, s->name) == 0)
            runs += run_seeds(s, &o);
    }
    if (runs == 0) {
        fprintf(stderr, "sim: there is no scenario %s; --help lists them\n",
                o.scenario);
        return 2;
    }
    printf("%llu runs, none failed\n", (unsigned long long)runs);
    return 0;
}
