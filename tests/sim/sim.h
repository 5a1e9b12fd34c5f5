/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole organisation in one process: the same node engine that the daemon drives, under a clock, a
 * network and disks that are made up from one seed. One seed gives one run, event by event.
 *
 * Time is virtual, in milliseconds. Links keep the order of frames, like TCP; beside delay they can lose
 * and repeat frames, which TCP would not, because the engine must survive that too. A disk commits
 * what was gathered, some milliseconds later; what a kill catches before that is gone.
 */
#ifndef WHOCAN_TESTS_SIM_H
#define WHOCAN_TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <whocan/node.h>

#define SIM_BASE_MS 1750000000000ULL /* wall clock at virtual time 0 */

/* ---- the generator: everything random comes from here ---- */

struct sim_rng {
    uint64_t state;
};
uint64_t sim_random(struct sim_rng *r);
uint32_t sim_below(struct sim_rng *r, uint32_t n); /* 0..n-1 */
bool sim_chance(struct sim_rng *r, uint32_t per_mille);

/* ---- a map of slots to records: a disk ---- */

struct sim_record {
    uint8_t slot[WC_DIGEST_BYTES];
    uint8_t *bytes; /* NULL: the place is free */
    size_t len;
};
struct sim_disk {
    struct sim_record *places;
    size_t cap, count;
};
void sim_disk_put(struct sim_disk *d, const uint8_t slot[WC_DIGEST_BYTES],
                  struct wc_slice bytes);
void sim_disk_drop(struct sim_disk *d, const uint8_t slot[WC_DIGEST_BYTES]);
struct wc_slice sim_disk_get(const struct sim_disk *d,
                             const uint8_t slot[WC_DIGEST_BYTES]);
void sim_disk_fini(struct sim_disk *d);

/* ---- the machine ---- */

struct sim_change {
    bool drop;
    uint8_t slot[WC_DIGEST_BYTES];
    uint8_t *bytes;
    size_t len;
    uint64_t token;
};

/* An edit that somebody makes here: what was acknowledged must never be lost. */
struct sim_edit {
    uint64_t token;
    uint8_t slot[WC_DIGEST_BYTES];
    bool acked;
};

struct sim_office {
    struct wc_identity identity;
    struct wc_node *node; /* NULL while it is down */
    uint32_t incarnation;
    bool replicate;
    bool revoked;
    bool disk_full;
    uint32_t group;  /* of a partition: only equal groups hear each other */
    int64_t skew_ms; /* of its wall clock */
    struct sim_disk disk;
    struct sim_change *batch;
    size_t batch_count, batch_cap;
    bool commit_due;
    uint64_t timer_at_ms;
    struct sim_conn **links; /* by link number */
    uint32_t links_count, links_cap;
    uint64_t next_token;
    struct sim_edit *edits;
    size_t edits_count, edits_cap;
    uint64_t highest_seq; /* of own records on its disk, ever */
    uint32_t next_person;
    uint64_t clock_notes;
};

struct sim_conn {
    uint32_t office[2]; /* 0: who dialled */
    uint32_t incarnation[2];
    uint32_t link[2];
    bool open[2];
    uint64_t last_at_ms[2]; /* arrival of the last frame towards each side */
};

struct sim_ask {
    uint8_t id[WC_ASK_ID_BYTES];
    uint32_t office;
    bool *reached;  /* by office */
    bool *answered; /* by office */
    uint32_t reached_count, answered_count;
};

struct sim_params {
    uint32_t delay_min_ms, delay_max_ms;
    uint32_t commit_min_ms, commit_max_ms;
    uint32_t frame_loss, frame_again, dial_loss; /* per mille */
};

struct sim {
    uint64_t seed;
    struct sim_rng rng;
    struct sim_params params;
    uint64_t now_ms;
    struct wc_org org;
    struct wc_signer org_signer;
    struct sim_office *offices;
    uint32_t count;
    struct sim_event *queue; /* a binary heap */
    size_t queue_count, queue_cap;
    uint64_t next_order;
    struct sim_conn **conns;
    size_t conns_count, conns_cap;
    struct sim_ask *asks;
    size_t asks_count;
    uint64_t steps, frames, frame_bytes;
    uint64_t steps_now; /* at one moment: a loop that does not end is a bug */
    uint8_t trace[WC_DIGEST_BYTES]; /* chained over every event */
    struct sim_memo *memo;
    bool failed;
};

/* An organisation of `count` offices that are all down. */
void sim_init(struct sim *s, uint64_t seed, uint32_t count);
void sim_fini(struct sim *s);

/* Say that a property failed; the seed is printed with it. */
void sim_fail(struct sim *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void sim_start(struct sim *s,
               uint32_t office); /* also after a kill: its disk is as it was */
void sim_kill(struct sim *s, uint32_t office,
              bool silent); /* silent: peers get no word of it */
void sim_run_until(struct sim *s, uint64_t at_ms);

/* Run until done(s, ctx) or `for_ms` later; true when done. Looked at every 100 ms. */
bool sim_run_while_not(struct sim *s, bool (*done)(struct sim *s), uint64_t for_ms);

/* Somebody at the office edits a profile (a new one, or an old one again). */
void sim_edit(struct sim *s, uint32_t office, bool again);
void sim_ask(struct sim *s, uint32_t office);

/* Bytes that a lying office sends to every neighbour. */
void sim_inject(struct sim *s, uint32_t office, struct wc_slice frame);

/* The organisation revokes an office; the revocation comes in at another one. */
void sim_revoke(struct sim *s, uint32_t office, uint32_t told);

/* ---- properties ---- */

bool sim_converged(struct sim *s); /* all honest offices that are up hold the same */
void sim_check(struct sim *s); /* nothing acknowledged lost, disks alike, asks once */

/* ---- scenarios ---- */

struct sim_scenario {
    const char *name;
    const char *what;
    void (*run)(struct sim *s);
};
extern const struct sim_scenario sim_scenarios[]; /* ends with a NULL name */

#endif
