/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator: many node engines in one process, one virtual clock, one seed.
 *
 *   main.c      options, runs, what is printed
 *   scenario.c  the table of scenarios and what their steps do
 *   world.c     offices, the network between them, their stores, the order of events
 *   ledger.c    what must be true, and is looked at throughout
 *   measure.c   how fast a broadcast is, and what it costs
 *   memo.c      signatures that were checked once are not checked again
 *
 * Everything that happens is one event in a queue ordered by virtual time; everything
 * drawn comes from one generator. So one seed gives one trace, whose hash is printed.
 */
#ifndef WHOCAN_TESTS_SIM_H
#define WHOCAN_TESTS_SIM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/node.h>

#include "proto/map.h"
#include "proto/rng.h"
#include "proto/views.h"
#include "proto/wire.h"

#define SIM_WALL_MS    1700000000000ULL /* the wall clock when virtual time is 0 */
#define SIM_SECOND     1000ULL
#define SIM_LIAR_QUOTA 10 /* people that an office which lies may have */

/* ---- scenarios ---- */

enum step_what {
    STEP_END,       /* the last: settle, compare, count */
    STEP_JOIN,      /* amount percent of the offices start, over two seconds */
    STEP_EDIT,      /* amount edits in offices drawn at random */
    STEP_IMPORT,    /* one office imports amount rows, 200 in a commit */
    STEP_ASK,       /* amount asks, from offices drawn at random */
    STEP_PARTITION, /* amount percent of the offices are cut off from the others */
    STEP_HEAL,
    STEP_KILL,    /* amount offices are killed in whatever they do */
    STEP_RESTART, /* all that were killed start again from their stores */
    STEP_REVOKE,  /* amount offices are revoked */
    STEP_RENEW, /* amount percent of the offices get new certificates, higher serials */
    STEP_ROTATE, /* the organisation gets another key, and all offices grants */
    STEP_THIEF,  /* amount offices are visited by whoever stole the former key */
    STEP_FORGE,  /* amount offices are told lies by a certified neighbour */
    STEP_CLOCK,  /* one office's clock goes amount hours wrong */
    STEP_CLOCK_RIGHT,
    STEP_LIE,     /* amount member offices lie, each in one way */
    STEP_BACKUP,  /* the stores of amount offices are copied */
    STEP_RESTORE, /* these offices lose their stores and start again with the copies */
    STEP_DAYS,    /* amount days pass, for every clock at once */
    STEP_CLEAR,   /* network and disks do nothing wrong any more */
    STEP_LAN,     /* from now on amount offices are on one local network */
};

struct step {
    unsigned at_s;
    enum step_what what;
    unsigned amount;
};

/* What the network and the disks do wrong; all of it ends with STEP_CLEAR. */
struct weather {
    unsigned dial_loss_percent;
    unsigned reset_after_s;     /* links break after so long on average; 0 never */
    double frame_loss_percent;  /* hostile: TCP would not */
    double frame_twice_percent; /* hostile */
    unsigned commit_fail_percent;
};

struct scenario {
    const char *name;
    const char *what;
    unsigned nodes;                      /* unless told otherwise */
    unsigned delay_min_ms, delay_max_ms; /* of a link, drawn once for each */
    struct weather weather;
    unsigned certificates_s;  /* how long the first certificates last; 0: a year */
    unsigned skew_s;          /* clocks differ by at most twice this */
    unsigned not_replicating; /* percent of offices that keep only their own records */
    bool asks_reach_all;      /* nothing breaks while asks are under way */
    bool asks_reach_living; /* offices die meanwhile: all others are heard in the end */
    unsigned
        lan;  /* so many offices are on one local network, hear each other's beacons,
                     and know no address; 0: all know the first office and another one */
    bool srv; /* the first office of each local network asks a name server */
    bool nobody_blamed; /* whoever is to blame in the end is an office that lied */
    const struct step *steps;
};

extern const struct scenario scenarios[];

/* ---- the world ---- */

/* Record bytes, once for all offices that hold them. */
struct blob {
    uint8_t hash[WC_DIGEST_BYTES];
    uint8_t *bytes;
    size_t len;
    uint32_t home;       /* office that signed it, WC_MAP_NONE: the organisation */
    bool home_committed; /* it was on that office's disk */
    bool forged;         /* nobody may believe it */
    uint32_t verified;   /* found good under so many rotations, less one; 0: not yet */
};

struct stored {
    uint8_t slot[WC_DIGEST_BYTES];
    uint32_t blob;
};

struct change {
    bool drop;
    uint64_t token;
    uint8_t slot[WC_DIGEST_BYTES];
    uint32_t blob;
};

struct changes {
    struct change *list;
    size_t count, cap;
};

struct store {
    struct stored *list;
    uint32_t count, cap;
    struct wc_map by_slot;
    uint64_t sum; /* of hashes: equal stores have equal sums */
    struct changes waiting, committing;
};

struct office {
    struct world *world;
    uint32_t index;
    uint32_t life; /* counts starts: events for an earlier life are void */
    struct wc_identity identity;
    struct wc_node *node; /* NULL while it is down */
    struct store store;
    uint64_t last_seq;     /* highest committed */
    struct stored *backup; /* a copy of the store, and of what was highest then */
    uint32_t backup_count;
    uint64_t backup_seq;
    bool restored, reconciled; /* runs on a copy; and was told since what others have */
    uint64_t timer_ms;         /* when a TIMER event is queued for, UINT64_MAX none */
    int64_t skew_ms;
    unsigned side; /* of a partition */
    bool started, revoked, killed, replicates, wrong_clock;
    uint64_t granted_serial; /* of its last grant, 0 none */
    uint32_t next_link;
    uint32_t *links; /* by number: twice the link, plus the side, plus one */
    uint32_t link_cap;
    uint64_t next_token;
    uint64_t clock_notes;
    uint64_t stepped_ms; /* when it was stepped last, and how often at that moment */
    uint32_t timers;
};

struct side {
    uint32_t office, life, number;
    bool up;
    uint64_t last_ms; /* arrival of the last frame towards it: frames stay in order */
};

struct link {
    struct side sides[2]; /* 0 dialled */
    unsigned delay_ms;
    bool open;
};

enum happening {
    HAPPENS_TIMER,
    HAPPENS_UP,
    HAPPENS_FRAME,
    HAPPENS_DOWN,
    HAPPENS_DIAL_FAILED,
    HAPPENS_COMMIT,
    HAPPENS_MATCHED,
    HAPPENS_RESET,
    HAPPENS_STEP,
    HAPPENS_START,
    HAPPENS_EDIT,
    HAPPENS_IMPORT,
    HAPPENS_ASK,
    HAPPENS_ASK_JUDGED,
    HAPPENS_BEACON,
};

struct event {
    uint64_t at_ms, order;
    enum happening what;
    uint32_t office, life, link, side, dial;
    uint64_t number;
    uint8_t id[WC_ASK_ID_BYTES];
    uint8_t *bytes;
    size_t len;
};

struct asked {
    uint8_t id[WC_ASK_ID_BYTES];
    uint32_t office, life;
    uint32_t reachable; /* offices connected with the asker when it asked */
    uint32_t heard;
    uint8_t *answered, *matched; /* by office */
    uint32_t *lives; /* of those that were reachable when it was asked, 0 not */
};

struct acked {
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_version version;
    uint32_t office;
};

struct put {
    uint32_t office;
    uint64_t token;
    struct acked acked;
};

struct world {
    const struct scenario *scenario;
    uint64_t seed;
    struct wc_rng rng;
    uint64_t now_ms;
    uint64_t trace;
    uint64_t order;
    struct event *queue;
    size_t queue_count, queue_cap;

    struct wc_signer org_signer, former_signer, foreign_signer, recovery_signer;
    struct wc_org org, former_org;
    uint64_t next_serial;
    struct office *offices;
    uint32_t office_count;
    struct wc_map offices_by_key;

    struct link *links;
    uint32_t link_count, link_cap;
    struct weather weather;
    bool partitioned;
    uint32_t lan; /* offices on one local network now, 0 none */

    struct blob *blobs;
    uint32_t blob_count, blob_cap;
    struct wc_map blobs_by_hash;

    struct asked *asks;
    uint32_t ask_count;
    struct acked *acked;
    uint32_t acked_count, acked_cap;
    struct wc_identity *liars; /* members that lied, each once */
    uint32_t liar_count;
    struct put *puts; /* local edits on their way */
    uint32_t put_count, put_cap;

    struct wc_effects fx;
    struct measure *measure; /* NULL: nothing is measured */
    bool done;
    bool verbose;

    /* totals */
    uint64_t events, frames, frame_bytes, edits, refused_edits;
    uint64_t effects_max, effect_bytes_max;
    uint64_t converged_ms;
};

struct world *world_new(const struct scenario *scenario, uint32_t offices,
                        uint64_t seed, bool verbose);
void world_free(struct world *w);
/* Let everything happen until the scenario has ended, or a time has come. */
void world_run(struct world *w);
void world_run_until(struct world *w, uint64_t at_ms);

/* Something happens later. The event is copied, its bytes are taken over. */
void world_later(struct world *w, uint64_t in_ms, struct event e);
void world_start(struct world *w, uint32_t office);
void world_kill(struct world *w, uint32_t office);
void world_step(struct world *w, struct office *o, struct wc_event *e);
/* Frames to an office from a neighbour that is no node: a link that only it sees.
 * Whether the office let it in. */
bool world_inject(struct world *w, uint32_t office, const struct wc_identity *from,
                  const struct wc_buf *frames, size_t count);
/* A member office that is no node. */
const struct wc_identity *world_liar(struct world *w);
bool world_is_liar(const struct world *w, const uint8_t key[WC_KEY_BYTES]);
/* Copy the store of an office; put the copy in the place of the store of one that is down. */
void world_backup(struct world *w, uint32_t office);
void world_restore(struct world *w, uint32_t office);
bool world_connected(const struct world *w, uint32_t a, uint32_t b);
uint32_t world_reachable(const struct world *w, uint32_t from);
/* Which, by office; the caller frees it. */
uint8_t *world_reached(const struct world *w, uint32_t from);
void world_identity(struct world *w, struct wc_identity *out, uint32_t number,
                    const char *name, const struct wc_signer *org);
uint32_t world_blob(struct world *w, const uint8_t *bytes, size_t len);
void world_trace(struct world *w, const void *data, size_t len);

/* ---- scenario.c ---- */

void scenario_happens(struct world *w, const struct event *e);
struct office *scenario_draw_office(struct world *w);
void scenario_put(struct world *w, struct office *o, uint8_t kind, const char *login);
extern const struct scenario scenario_measured;

/* ---- ledger.c ---- */

/* Print what is wrong, the seed and how to see it again; never returns. */
__attribute__((format(printf, 2, 3), noreturn)) void
ledger_fail(const struct world *w, const char *format, ...);
void ledger_effect(struct world *w, struct office *o, const struct wc_effect *e);
void ledger_step(struct world *w, struct office *o, const struct wc_event *e);
void ledger_commit(struct world *w, struct office *o, const struct change *c);
void ledger_put(struct world *w, const struct office *o, uint64_t token,
                const uint8_t slot[WC_DIGEST_BYTES]);
void ledger_started(struct world *w, const struct office *o);
void ledger_ask_judged(struct world *w, const struct asked *a);
bool ledger_converged(const struct world *w);
void ledger_end(struct world *w);

/* ---- measure.c ---- */

/* Measure, and print a table. Whether every broadcast came to everybody who lived. */
bool measure_run(struct world *w);
/* What happens meanwhile: a frame is sent, a frame of an office is handled (WC_MAP_NONE:
 * handled no more), an office takes a record, a home commits its own. */
void measure_sent(struct world *w, const uint8_t *bytes, size_t len);
void measure_sender(struct world *w, uint32_t office);
void measure_put(struct world *w, const struct office *o, uint32_t blob);
void measure_committed(struct world *w, const struct office *o, uint32_t blob);

/* ---- memo.c ---- */

void memo_reset(void);

#endif
