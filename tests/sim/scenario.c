/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include <whocan/link.h>
#include <whocan/pack.h>

#include "tests/sim/sim.h"

#define SETTLE_EVERY_MS   100
#define SETTLE_MAX_MS     (300 * SIM_SECOND)
#define ASK_JUDGED_MS     (10 * SIM_SECOND)
#define ASK_ENDED_MS      (90 * SIM_SECOND) /* dead hosts were noticed, new ways found */
#define SPREAD_MS         (5 * SIM_SECOND)  /* over which one step's edits are spread */
#define PEOPLE_PER_OFFICE 12
#define IMPORT_BATCH      200

/* clang-format off */
#define STEPS(...) (const struct step[]){__VA_ARGS__}

const struct scenario scenarios[] = {
    {
        .name = "calm",
        .what = "nothing goes wrong",
        .nodes = 40,
        .delay_min_ms = 1,
        .delay_max_ms = 20,
        .asks_reach_all = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {10, STEP_EDIT, 300},
            {20, STEP_ASK, 10},
            {35, STEP_EDIT, 50},
            {40, STEP_END, 0}),
    },
    {
        .name = "large",
        .what = "hundreds of offices, all at once",
        .nodes = 300,
        .delay_min_ms = 1,
        .delay_max_ms = 50,
        .asks_reach_all = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {20, STEP_EDIT, 100},
            {26, STEP_ASK, 2},
            {36, STEP_EDIT, 10},
            {41, STEP_END, 0}),
    },
    {
        .name = "loss",
        .what = "dials fail and links break",
        .nodes = 80,
        .delay_min_ms = 5,
        .delay_max_ms = 100,
        .weather.dial_loss_percent = 20,
        .weather.reset_after_s = 30,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {5, STEP_EDIT, 150},
            {15, STEP_ASK, 5},
            {20, STEP_EDIT, 150},
            {25, STEP_END, 0}),
    },
    {
        .name = "hostile-network",
        .what = "frames vanish and come twice, which no TCP link would do",
        .nodes = 40,
        .delay_min_ms = 5,
        .delay_max_ms = 50,
        .weather.frame_loss_percent = 3,
        .weather.frame_twice_percent = 3,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {5, STEP_EDIT, 200},
            {6, STEP_ASK, 5},
            {12, STEP_EDIT, 50},
            {17, STEP_END, 0}),
    },
    {
        .name = "slow",
        .what = "links of 100 to 200 ms",
        .nodes = 60,
        .delay_min_ms = 100,
        .delay_max_ms = 200,
        .asks_reach_all = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {15, STEP_EDIT, 200},
            {21, STEP_ASK, 5},
            {36, STEP_EDIT, 50},
            {41, STEP_END, 0}),
    },
    {
        .name = "partition",
        .what = "two halves edit apart and meet again",
        .nodes = 80,
        .delay_min_ms = 1,
        .delay_max_ms = 30,
        .asks_reach_all = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {10, STEP_EDIT, 100},
            {20, STEP_PARTITION, 50},
            {60, STEP_EDIT, 300},
            {70, STEP_ASK, 4},
            {90, STEP_HEAL, 0},
            {90, STEP_END, 0}),
    },
    {
        .name = "restart",
        .what = "offices are killed in the middle of edits and start again",
        .nodes = 50,
        .delay_min_ms = 1,
        .delay_max_ms = 20,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {8, STEP_EDIT, 300},
            {10, STEP_KILL, 15},
            {11, STEP_KILL, 10},
            {15, STEP_RESTART, 0},
            {18, STEP_EDIT, 300},
            {20, STEP_KILL, 25},
            {22, STEP_RESTART, 0},
            {24, STEP_ASK, 5},
            {25, STEP_KILL, 5},
            {27, STEP_RESTART, 0},
            {29, STEP_END, 0}),
    },
    {
        .name = "churn",
        .what = "offices join, die and come back while links break",
        .nodes = 80,
        .delay_min_ms = 5,
        .delay_max_ms = 60,
        .weather.dial_loss_percent = 10,
        .weather.reset_after_s = 60,
        .skew_s = 60,
        .steps = STEPS(
            {0, STEP_JOIN, 40},
            {5, STEP_EDIT, 100},
            {8, STEP_JOIN, 20},
            {10, STEP_KILL, 10},
            {15, STEP_EDIT, 100},
            {18, STEP_RESTART, 0},
            {20, STEP_JOIN, 40},
            {22, STEP_KILL, 30},
            {25, STEP_ASK, 5},
            {30, STEP_EDIT, 100},
            {35, STEP_RESTART, 0},
            {36, STEP_EDIT, 50},
            {41, STEP_END, 0}),
    },
    {
        .name = "half-die",
        .what = "half of all offices are killed at once",
        .nodes = 100,
        .delay_min_ms = 1,
        .delay_max_ms = 30,
        .asks_reach_all = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {15, STEP_KILL, 50},
            {20, STEP_EDIT, 100},
            {40, STEP_ASK, 5},
            {51, STEP_EDIT, 20},
            {56, STEP_END, 0}),
    },
    {
        .name = "hops-die",
        .what = "offices die while answers are on their way through them",
        .nodes = 80,
        .delay_min_ms = 10,
        .delay_max_ms = 50,
        .asks_reach_living = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {90, STEP_ASK, 40},
            {91, STEP_KILL, 4},
            {92, STEP_KILL, 4},
            {93, STEP_KILL, 4},
            {94, STEP_KILL, 4},
            {95, STEP_KILL, 4},
            {190, STEP_RESTART, 0},
            {191, STEP_END, 0}),
    },
    {
        .name = "full-disks",
        .what = "every fifth commit fails",
        .nodes = 25,
        .delay_min_ms = 1,
        .delay_max_ms = 20,
        .weather.commit_fail_percent = 20,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {8, STEP_EDIT, 200},
            {20, STEP_KILL, 5},
            {25, STEP_RESTART, 0},
            {27, STEP_END, 0}),
    },
    {
        .name = "revoke",
        .what = "offices are revoked while they edit",
        .nodes = 60,
        .delay_min_ms = 1,
        .delay_max_ms = 30,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {8, STEP_EDIT, 300},
            {11, STEP_REVOKE, 6},
            {20, STEP_EDIT, 100},
            {22, STEP_KILL, 10},
            {25, STEP_RESTART, 0},
            {28, STEP_REVOKE, 3},
            {28, STEP_END, 0}),
    },
    {
        .name = "renew",
        .what = "certificates near their end are renewed while the gossip runs",
        .nodes = 40,
        .delay_min_ms = 1,
        .delay_max_ms = 40,
        .weather.dial_loss_percent = 10,
        .weather.reset_after_s = 30,
        .certificates_s = 60,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {5, STEP_EDIT, 200},
            {14, STEP_KILL, 8},
            {18, STEP_RENEW, 100},
            {20, STEP_EDIT, 100},
            {28, STEP_RESTART, 0},
            {35, STEP_RENEW, 30},
            {40, STEP_EDIT, 50},
            {50, STEP_CLEAR, 0},
            {90, STEP_END, 0}),
    },
    {
        .name = "rotate",
        .what = "the organisation's key changes under loss and partition, some are away",
        .nodes = 60,
        .delay_min_ms = 1,
        .delay_max_ms = 60,
        .weather.dial_loss_percent = 10,
        .weather.reset_after_s = 20,
        .steps = STEPS(
            {0, STEP_JOIN, 90},
            {5, STEP_EDIT, 200},
            {12, STEP_REVOKE, 3},
            {18, STEP_KILL, 12},
            {20, STEP_PARTITION, 40},
            {25, STEP_ROTATE, 0},
            {26, STEP_EDIT, 200},
            {35, STEP_KILL, 6},
            {38, STEP_RENEW, 10},
            {40, STEP_HEAL, 0},
            {45, STEP_THIEF, 10},
            {50, STEP_RESTART, 0},
            {55, STEP_JOIN, 10},
            {60, STEP_EDIT, 100},
            {65, STEP_CLEAR, 0},
            {66, STEP_THIEF, 10},
            {70, STEP_ROTATE, 0},
            {72, STEP_EDIT, 50},
            {80, STEP_THIEF, 10},
            {80, STEP_END, 0}),
    },
    {
        .name = "forgery",
        .what = "a certified neighbour tells lies",
        .nodes = 25,
        .delay_min_ms = 1,
        .delay_max_ms = 20,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {8, STEP_EDIT, 100},
            {10, STEP_FORGE, 10},
            {20, STEP_FORGE, 10},
            {22, STEP_END, 0}),
    },
    {
        .name = "liars",
        .what = "member offices lie in every way while links break and halves part",
        .nodes = 30,
        .delay_min_ms = 1,
        .delay_max_ms = 40,
        .weather.dial_loss_percent = 10,
        .weather.reset_after_s = 40,
        .nobody_blamed = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {8, STEP_EDIT, 100},
            {10, STEP_LIE, 20},
            {14, STEP_PARTITION, 40},
            {16, STEP_LIE, 20},
            {20, STEP_EDIT, 100},
            {40, STEP_HEAL, 0}, /* no link outlives it: they would miss frames */
            {40, STEP_LIE, 20},
            {46, STEP_END, 0}),
    },
    {
        .name = "backup",
        .what = "offices lose their stores and start again with old copies of them",
        .nodes = 30,
        .delay_min_ms = 1,
        .delay_max_ms = 20,
        .weather.dial_loss_percent = 30,
        .nobody_blamed = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {5, STEP_EDIT, 150},
            {15, STEP_BACKUP, 6},
            {16, STEP_EDIT, 150},
            {30, STEP_DAYS, 100},
            {60, STEP_RESTORE, 0},
            {62, STEP_EDIT, 50},
            {75, STEP_END, 0}),
    },
    {
        .name = "import",
        .what = "one office imports thousands of rows, and some come late",
        .nodes = 8,
        .delay_min_ms = 1,
        .delay_max_ms = 5,
        .steps = STEPS(
            {0, STEP_JOIN, 75},
            {5, STEP_IMPORT, 3000},
            {6, STEP_EDIT, 50},
            {12, STEP_JOIN, 25},
            {14, STEP_END, 0}),
    },
    {
        .name = "no-replication",
        .what = "half of the offices keep only their own records, all answer",
        .nodes = 30,
        .delay_min_ms = 1,
        .delay_max_ms = 20,
        .not_replicating = 50,
        .asks_reach_all = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {10, STEP_EDIT, 200},
            {20, STEP_ASK, 10},
            {36, STEP_EDIT, 20},
            {41, STEP_END, 0}),
    },
    {
        .name = "skew",
        .what = "clocks differ by minutes, and one is ten years wrong",
        .nodes = 30,
        .delay_min_ms = 1,
        .delay_max_ms = 20,
        .skew_s = 240,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {10, STEP_EDIT, 100},
            {15, STEP_CLOCK, 87600},
            {25, STEP_EDIT, 100},
            {35, STEP_CLOCK_RIGHT, 0},
            {36, STEP_EDIT, 50},
            {41, STEP_END, 0}),
    },
    {
        .name = "beacons",
        .what = "nobody is configured: beacons, and a name server for one of ten",
        .nodes = 60,
        .delay_min_ms = 1,
        .delay_max_ms = 20,
        .lan = 10,
        .srv = true,
        .asks_reach_all = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {70, STEP_EDIT, 100},
            {80, STEP_ASK, 5},
            {96, STEP_EDIT, 10},
            {101, STEP_END, 0}),
    },
    {
        .name = "strangers",
        .what = "two networks that never heard of each other are joined by a cable",
        .nodes = 40,
        .delay_min_ms = 1,
        .delay_max_ms = 20,
        .lan = 20,
        .asks_reach_all = true,
        .steps = STEPS(
            {0, STEP_JOIN, 100},
            {60, STEP_EDIT, 100},
            {90, STEP_LAN, 40},
            {220, STEP_ASK, 3},
            {236, STEP_EDIT, 10},
            {241, STEP_END, 0}),
    },
    {
        .name = "mixed",
        .what = "all of it at once, and then the sky clears",
        .nodes = 60,
        .delay_min_ms = 1,
        .delay_max_ms = 100,
        .weather.dial_loss_percent = 10,
        .weather.reset_after_s = 60,
        .weather.frame_loss_percent = 1,
        .weather.frame_twice_percent = 1,
        .weather.commit_fail_percent = 5,
        .skew_s = 120,
        .steps = STEPS(
            {0, STEP_JOIN, 70},
            {5, STEP_EDIT, 150},
            {8, STEP_PARTITION, 30},
            {9, STEP_KILL, 10},
            {12, STEP_ASK, 5},
            {15, STEP_RESTART, 0},
            {18, STEP_REVOKE, 2},
            {20, STEP_JOIN, 30},
            {25, STEP_HEAL, 0},
            {25, STEP_EDIT, 150},
            {28, STEP_FORGE, 3},
            {30, STEP_KILL, 10},
            {33, STEP_RESTART, 0},
            {36, STEP_CLEAR, 0},
            {36, STEP_END, 0}),
    },
    {.name = NULL},
};

/* What measure.c measures: it ends by itself. */
const struct scenario scenario_measured = {
    .name = "measure",
    .delay_min_ms = 10,
    .delay_max_ms = 50,
    .steps = STEPS({0, STEP_JOIN, 100}, {1000000, STEP_END, 0}),
};
/* clang-format on */

/* ---- drawing ---- */

/* An office that runs and is not revoked, or NULL. */
struct office *scenario_draw_office(struct world *w)
{
    struct office *drawn = NULL;
    uint64_t count = 0;
    for (uint32_t i = 0; i < w->office_count; i++) {
        struct office *o = &w->offices[i];
        if (o->node != NULL && !o->revoked && wc_rng_below(&w->rng, ++count) == 0)
            drawn = o;
    }
    return drawn;
}

static void spread(struct world *w, enum happening what, unsigned amount,
                   uint64_t over_ms)
{
    for (unsigned i = 0; i < amount; i++)
        world_later(w, wc_rng_below(&w->rng, over_ms), (struct event){.what = what});
}

/* ---- edits ---- */

static void person_signer(const struct office *o, const char *login,
                          struct wc_signer *out)
{
    uint8_t seed[WC_KEY_BYTES];
    struct wc_slice parts[] = {wc_slice(o->identity.sign_seed, WC_KEY_BYTES),
                               wc_slice_text(login)};
    wc_hash(seed, parts, 2);
    wc_signer_init(out, seed);
}

static void person_body(struct world *w, const struct office *o, const char *login,
                        uint64_t rev, struct wc_buf *out)
{
    char about[512];
    size_t len = 40 + wc_rng_below(&w->rng, sizeof(about) - 40);
    for (size_t i = 0; i < len; i++)
        about[i] = (char)('a' + wc_rng_below(&w->rng, 26));
    wc_body_begin(out, o->identity.signer.key, login, rev, 1);
    wc_pack_text(out, "ask_me_about");
    wc_pack_str(out, wc_slice(about, len));
}

void scenario_put(struct world *w, struct office *o, uint8_t kind, const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES], held_kind, sig[WC_SIG_BYTES];
    uint8_t slot_kind = kind == WC_KIND_RETIRE ? WC_KIND_PROFILE : kind;
    struct wc_version held = {0};
    struct wc_buf body = {0};
    struct wc_signer author = o->identity.signer;
    struct wc_event e = {.type = WC_EVENT_LOCAL_PUT};
    int rc;
    wc_slot(slot, slot_kind, o->identity.signer.key, login);
    if (wc_node_slot(o->node, slot, &held, &held_kind) != 0)
        held.rev = 0;
    if (kind == WC_KIND_RETIRE) {
        rc = wc_retire_body(o->identity.signer.key, login, held.rev + 1, slot_kind,
                            false, &body);
        assert(rc == 0);
    } else {
        person_body(w, o, login, held.rev + 1, &body);
    }
    if (kind == WC_KIND_PROFILE)
        person_signer(o, login, &author);
    rc = wc_body_sign(sig, kind, wc_buf_slice(&body), &author);
    assert(rc == 0);
    e.u.local_put.token = ++o->next_token;
    e.u.local_put.kind = kind;
    e.u.local_put.body = wc_buf_slice(&body);
    e.u.local_put.author_key = author.key;
    e.u.local_put.author_sig = sig;
    ledger_put(w, o, o->next_token, slot);
    w->edits++;
    world_step(w, o, &e);
    wc_buf_fini(&body);
}

static void edit(struct world *w)
{
    struct office *o = scenario_draw_office(w);
    uint64_t what = wc_rng_below(&w->rng, 10);
    char login[16];
    snprintf(login, sizeof(login), "p%u",
             (unsigned)wc_rng_below(&w->rng, PEOPLE_PER_OFFICE));
    if (o != NULL)
        scenario_put(w, o,
                     what < 6   ? WC_KIND_PROFILE
                     : what < 9 ? WC_KIND_ROW
                                : WC_KIND_RETIRE,
                     login);
}

/* The rows of one batch, all in the moment in which they came. */
static void import(struct world *w, const struct event *e)
{
    struct office *o = &w->offices[e->office];
    char login[16];
    for (uint64_t i = 0; i < IMPORT_BATCH && o->node != NULL; i++) {
        snprintf(login, sizeof(login), "i%u", (unsigned)(e->number + i));
        scenario_put(w, o, WC_KIND_ROW, login);
    }
}

/* ---- asks ---- */

static void ask(struct world *w)
{
    struct office *o = scenario_draw_office(w);
    struct wc_event e = {.type = WC_EVENT_LOCAL_ASK};
    if (o == NULL)
        return;
    w->asks = realloc(w->asks, (w->ask_count + 1) * sizeof(*w->asks));
    assert(w->asks != NULL);
    struct asked *a = &w->asks[w->ask_count];
    *a = (struct asked){.office = o->index,
                        .life = o->life,
                        .reachable = world_reachable(w, o->index),
                        .answered = calloc(w->office_count, 1),
                        .matched = calloc(w->office_count, 1),
                        .lives = calloc(w->office_count, sizeof(uint32_t))};
    assert(a->answered != NULL && a->matched != NULL && a->lives != NULL);
    uint8_t *reached = world_reached(w, o->index);
    for (uint32_t i = 0; i < w->office_count; i++)
        a->lives[i] = reached[i] ? w->offices[i].life : 0;
    free(reached);
    wc_put_u64(a->id, wc_rng_u64(&w->rng));
    wc_put_u64(a->id + 8, w->ask_count);
    world_later(w, w->scenario->asks_reach_living ? ASK_ENDED_MS : ASK_JUDGED_MS,
                (struct event){.what = HAPPENS_ASK_JUDGED, .number = w->ask_count});
    w->ask_count++;
    e.u.local_ask.id = a->id;
    e.u.local_ask.text = wc_slice_text("who can help with a blog?");
    e.u.local_ask.by = wc_slice_text("alice");
    world_step(w, o, &e);
}

/* ---- joining, dying, revoking ---- */

static void join(struct world *w, unsigned percent)
{
    uint32_t amount = (w->office_count * percent + 99) / 100;
    for (uint32_t i = 0; i < w->office_count && amount > 0; i++) {
        struct office *o = &w->offices[i];
        if (o->started)
            continue;
        o->started = true;
        amount--;
        world_later(w, i == 0 ? 0 : wc_rng_below(&w->rng, 2 * SIM_SECOND),
                    (struct event){.what = HAPPENS_START, .office = i});
    }
}

static void kill_some(struct world *w, unsigned amount)
{
    for (unsigned i = 0; i < amount; i++) {
        struct office *o = scenario_draw_office(w);
        if (o != NULL && o->index != 0)
            world_kill(w, o->index);
    }
}

static void restart_all(struct world *w)
{
    for (uint32_t i = 0; i < w->office_count; i++) {
        if (w->offices[i].killed)
            world_later(w, wc_rng_below(&w->rng, 2 * SIM_SECOND),
                        (struct event){.what = HAPPENS_START, .office = i});
    }
}

/* Stores that are copied, and what becomes of the copies. */
static void backup_some(struct world *w, unsigned amount)
{
    for (unsigned i = 0; i < amount; i++) {
        struct office *o = scenario_draw_office(w);
        if (o != NULL)
            world_backup(w, o->index);
    }
}

static void restore_all(struct world *w)
{
    for (uint32_t i = 0; i < w->office_count; i++) {
        if (w->offices[i].backup == NULL)
            continue;
        world_kill(w, i);
        world_restore(w, i);
        world_later(w, wc_rng_below(&w->rng, SIM_SECOND),
                    (struct event){.what = HAPPENS_START, .office = i});
    }
}

static void days_pass(struct world *w, unsigned days)
{
    for (uint32_t i = 0; i < w->office_count; i++)
        w->offices[i].skew_ms += (int64_t)days * (int64_t)WC_DAY_MS;
}

static void one_record(struct wc_buf *frames, const struct wc_buf *record)
{
    struct wc_buf packed = {0};
    wc_wire_hello(&frames[0], SIM_WALL_MS);
    wc_pack_bin(&packed, wc_buf_slice(record));
    wc_wire_records(&frames[1], WC_REASON_BROADCAST, 1, wc_buf_slice(&packed));
    wc_buf_fini(&packed);
}

/* One office is told one record by a neighbour with a certificate. */
static void tell(struct world *w, uint32_t office, const struct wc_identity *from,
                 struct wc_buf *record)
{
    struct wc_buf frames[2] = {{0}};
    one_record(frames, record);
    world_inject(w, office, from, frames, 2);
    wc_buf_fini(&frames[0]);
    wc_buf_fini(&frames[1]);
    wc_buf_fini(record);
}

/* The same by somebody honest. */
static void send_word(struct world *w, uint32_t office, struct wc_buf *record)
{
    struct wc_identity messenger;
    world_identity(w, &messenger, 900000, "messenger", &w->org_signer);
    tell(w, office, &messenger, record);
}

static void revoke_some(struct world *w, unsigned amount)
{
    for (unsigned i = 0; i < amount; i++) {
        struct office *gone = scenario_draw_office(w);
        struct wc_buf record = {0};
        if (gone == NULL || gone->index == 0)
            continue;
        gone->revoked = true;
        int rc = wc_revoke_build(gone->identity.signer.key, &w->org_signer,
                                 SIM_WALL_MS + w->now_ms, &record);
        assert(rc == 0);
        struct office *first = scenario_draw_office(w);
        send_word(w, first->index, &record);
    }
}

/* ---- another certificate, another key ---- */

/* The office's certificate under the present key, and the grant that says so. */
static void certify(struct world *w, struct office *o, struct wc_buf *grant)
{
    struct wc_buf bytes = {0};
    struct wc_cert cert = o->identity.cert;
    cert.serial = o->granted_serial = ++w->next_serial;
    cert.not_after_ms = SIM_WALL_MS + 365 * WC_DAY_MS;
    int rc = wc_cert_issue(&cert, &w->org_signer, &bytes);
    if (rc == 0)
        rc = wc_grant_build(wc_buf_slice(&bytes), &w->org_signer,
                            SIM_WALL_MS + w->now_ms, grant);
    assert(rc == 0);
    wc_buf_fini(&bytes);
}

/* Whoever is told is told by an office that runs and is not revoked. */
static void renew_some(struct world *w, unsigned percent)
{
    for (uint32_t i = 0; i < w->office_count; i++) {
        struct wc_buf grant = {0};
        struct office *first = scenario_draw_office(w);
        if (w->offices[i].revoked || wc_rng_below(&w->rng, 100) >= percent)
            continue;
        certify(w, &w->offices[i], &grant);
        send_word(w, first->index, &grant);
    }
}

static void rotate(struct world *w)
{
    uint8_t seed[WC_KEY_BYTES] = "another seed of the organisation";
    struct wc_buf rotation = {0};
    struct office *first = scenario_draw_office(w);
    w->former_signer = w->org_signer;
    w->former_org = w->org;
    seed[0] ^= (uint8_t)w->next_serial;
    wc_signer_init(&w->org_signer, seed);
    int rc = wc_rotate_build(w->org_signer.key, wc_org_rotations(&w->org) + 1,
                             &w->recovery_signer, SIM_WALL_MS + w->now_ms, &rotation);
    if (rc == 0)
        rc = wc_org_rotate(&w->org, wc_buf_slice(&rotation));
    assert(rc == 0);
    send_word(w, first->index, &rotation);
    for (uint32_t i = 0; i < w->office_count; i++) {
        struct wc_buf grant = {0};
        if (w->offices[i].revoked)
            continue;
        certify(w, &w->offices[i], &grant);
        send_word(w, first->index, &grant);
    }
}

/* ---- lies ---- */

static void stamped_row(struct world *w, const struct wc_identity *office,
                        const struct wc_signer *stamper, struct wc_buf *out)
{
    uint8_t sig[WC_SIG_BYTES];
    struct wc_buf body = {0};
    struct wc_signer who = office->signer;
    struct wc_stamp_params stamp = {.seq = UINT32_MAX,
                                    .stamped_at_ms = SIM_WALL_MS + w->now_ms,
                                    .expires_at_ms =
                                        SIM_WALL_MS + w->now_ms + WC_DAY_MS};
    /* their key on the outside, another secret beneath */
    memcpy(who.secret, stamper->secret, sizeof(who.secret));
    wc_body_begin(&body, office->signer.key, "mallory", 1, 0);
    int rc = wc_body_sign(sig, WC_KIND_ROW, wc_buf_slice(&body), &who);
    if (rc == 0)
        rc = wc_record_stamp(WC_KIND_ROW, wc_buf_slice(&body), who.key, sig, &who,
                             &stamp, out);
    assert(rc == 0);
    wc_buf_fini(&body);
}

static void foreign_card(struct world *w, const struct wc_identity *office,
                         struct wc_buf *out)
{
    uint8_t sig[WC_SIG_BYTES];
    struct wc_buf body = {0};
    struct wc_card card = {.cert = wc_slice(office->cert_bytes, office->cert_len)};
    struct wc_stamp_params stamp = {.seq = 1,
                                    .stamped_at_ms = SIM_WALL_MS + w->now_ms,
                                    .expires_at_ms =
                                        SIM_WALL_MS + w->now_ms + WC_DAY_MS};
    int rc = wc_card_body(office->signer.key, 1, &card, &body);
    if (rc == 0)
        rc = wc_body_sign(sig, WC_KIND_CARD, wc_buf_slice(&body), &office->signer);
    if (rc == 0)
        rc = wc_record_stamp(WC_KIND_CARD, wc_buf_slice(&body), office->signer.key, sig,
                             &office->signer, &stamp, out);
    assert(rc == 0);
    wc_buf_fini(&body);
}

static void lie(struct world *w, uint32_t to, unsigned which)
{
    /* each by somebody else, because who lied once has to wait */
    const struct wc_identity *liar = world_liar(w);
    struct wc_identity stranger;
    struct wc_buf record = {0};
    const struct office *victim = scenario_draw_office(w);
    world_identity(w, &stranger, 900001, "stranger", &w->foreign_signer);
    switch (which % 4) {
    case 0: /* an office without a certificate of ours */
        stamped_row(w, &stranger, &stranger.signer, &record);
        break;
    case 1: /* a card with somebody else's certificate */
        foreign_card(w, &stranger, &record);
        break;
    case 2: /* in the name of another office */
        stamped_row(w, &victim->identity, &liar->signer, &record);
        break;
    case 3: /* a revocation that the organisation did not sign */
        if (wc_revoke_build(victim->identity.signer.key, &w->foreign_signer,
                            SIM_WALL_MS + w->now_ms, &record) != 0)
            abort();
        break;
    }
    uint32_t blob = world_blob(w, record.data, record.len);
    w->blobs[blob].forged = true;
    tell(w, to, liar, &record);
}

static void forge(struct world *w, unsigned amount)
{
    for (unsigned i = 0; i < amount; i++) {
        for (unsigned which = 0; which < 4; which++)
            lie(w, scenario_draw_office(w)->index, which);
    }
}

/* What a thief of the former key can make: an office of his own, or a certificate for
 * the key of one that there is, with a link key that he has. */
static void thief_identity(struct world *w, const struct office *victim, bool posing,
                           struct wc_identity *out)
{
    struct wc_buf bytes = {0};
    world_identity(w, out, 900002, "thief", &w->former_signer);
    out->org = w->former_org;
    if (!posing)
        return;
    memcpy(out->cert.name, victim->identity.cert.name, sizeof(out->cert.name));
    memcpy(out->cert.sign_key, victim->identity.cert.sign_key, WC_KEY_BYTES);
    out->cert.serial = UINT32_MAX;
    if (wc_cert_issue(&out->cert, &w->former_signer, &bytes) != 0)
        abort();
    memcpy(out->cert_bytes, bytes.data, bytes.len);
    out->cert_len = bytes.len;
    wc_buf_fini(&bytes);
}

/* He links to an office that knows of the rotation, and has his card told by others. */
static void visit(struct world *w, struct office *o, bool posing)
{
    struct wc_identity thief;
    struct wc_buf record = {0}, frames[2] = {{0}};
    struct wc_cert cert;
    bool newer, former;
    const struct wc_org *org = &wc_node_identity(o->node)->org;
    thief_identity(w, scenario_draw_office(w), posing, &thief);
    int rc = wc_link_judge(org, wc_slice(thief.cert_bytes, thief.cert_len),
                           wc_slice(thief.org.rotation, thief.org.rotation_len), &cert,
                           &newer, &former);
    if (rc == 0 && (!former || newer))
        ledger_fail(w, "%s believes a certificate by the former key",
                    o->identity.cert.name);
    foreign_card(w, &thief, &record);
    w->blobs[world_blob(w, record.data, record.len)].forged = true;
    one_record(frames, &record);
    if (rc == 0 && world_inject(w, o->index, &thief, frames, 2))
        ledger_fail(w, "%s lets a thief in", o->identity.cert.name);
    wc_buf_fini(&frames[0]);
    wc_buf_fini(&frames[1]);
    tell(w, o->index, world_liar(w), &record);
}

static void thieves(struct world *w, unsigned amount)
{
    for (unsigned i = 0; i < amount; i++) {
        struct office *o = scenario_draw_office(w);
        if (wc_org_rotations(&wc_node_identity(o->node)->org) ==
            wc_org_rotations(&w->org))
            visit(w, o, i % 2 == 0);
    }
}

/* ---- members that lie ---- */

struct claim {
    const char *login;
    uint8_t kind; /* a row */
    uint64_t rev, seq, stamped_at_ms, lease_ms;
    const struct wc_signer *author, *stamper;
    const uint8_t *office_key;
};

/* A record of whatever, signed by whoever: the liar, unless told otherwise. */
static void claim(struct world *w, const struct wc_identity *liar,
                  const struct claim *c, struct wc_buf *out)
{
    uint8_t sig[WC_SIG_BYTES];
    struct wc_buf body = {0};
    struct wc_signer who = liar->signer;
    const struct wc_signer *author = c->author != NULL ? c->author : &liar->signer;
    struct wc_card card = {.cert = wc_slice(liar->cert_bytes, liar->cert_len)};
    uint8_t kind = c->kind != 0 ? c->kind : WC_KIND_ROW;
    uint64_t now_ms = SIM_WALL_MS + w->now_ms, rev = c->rev != 0 ? c->rev : 1;
    struct wc_stamp_params stamp = {
        .seq = c->seq != 0 ? c->seq : now_ms,
        .stamped_at_ms = c->stamped_at_ms != 0 ? c->stamped_at_ms : now_ms};
    int rc = 0;
    stamp.expires_at_ms =
        stamp.stamped_at_ms + (c->lease_ms != 0 ? c->lease_ms : WC_DAY_MS);
    if (c->office_key != NULL) /* their key on the outside, our secret beneath */
        memcpy(who.key, c->office_key, WC_KEY_BYTES);
    if (kind == WC_KIND_CARD) {
        rc = wc_card_body(who.key, rev, &card, &body);
    } else {
        wc_body_begin(&body, who.key, c->login, rev, 1);
        wc_pack_text(&body, "title");
        wc_pack_u64(&body, wc_rng_u64(&w->rng)); /* no two contents are the same */
    }
    if (rc == 0)
        rc = wc_body_sign(sig, kind, wc_buf_slice(&body),
                          c->office_key != NULL ? &who : author);
    if (rc == 0)
        rc = wc_record_stamp(kind, wc_buf_slice(&body),
                             c->office_key != NULL ? who.key : author->key, sig, &who,
                             &stamp, out);
    assert(rc == 0);
    wc_buf_fini(&body);
}

/* An honest office hears it. */
static void hear(struct world *w, const struct office *o,
                 const struct wc_identity *liar, const struct claim *c, bool believable)
{
    struct wc_buf record = {0};
    claim(w, liar, c, &record);
    uint32_t blob = world_blob(w, record.data, record.len);
    w->blobs[blob].forged = !believable;
    tell(w, o->index, liar, &record);
}

/* Whoever heard a lie knows whose it was. */
static void check_named(const struct world *w, const struct office *o,
                        const struct wc_identity *liar, enum wc_blame reason)
{
    struct wc_node_blamed b;
    for (uint32_t i = 0; wc_node_blamed_at(o->node, i, &b); i++) {
        if (memcmp(b.office_key, liar->signer.key, WC_KEY_BYTES) == 0 &&
            b.counts[reason] > 0)
            return;
    }
    ledger_fail(w, "%s does not name %s for its lie", o->identity.cert.name,
                liar->cert.name);
}

static void hear_bytes(struct world *w, const struct office *o,
                       const struct wc_identity *liar, size_t len)
{
    struct wc_buf bytes = {0};
    for (size_t i = 0; i < len; i++)
        wc_buf_byte(&bytes, 0x91); /* an array in an array */
    tell(w, o->index, liar, &bytes);
}

/* Twice as many people as it may have; each is told to somebody else. */
static void crowd(struct world *w, const struct wc_identity *liar)
{
    char login[16];
    for (unsigned i = 0; i < 2 * SIM_LIAR_QUOTA; i++) {
        snprintf(login, sizeof(login), "p%u", i);
        hear(w, scenario_draw_office(w), liar, &(struct claim){.login = login}, true);
    }
}

/* One lie of one member, to one honest office or to several. */
static void member_lies(struct world *w)
{
    const struct wc_identity *liar = world_liar(w);
    const struct office *o = scenario_draw_office(w), *victim = scenario_draw_office(w);
    uint64_t which = wc_rng_below(&w->rng, 8), now_ms = SIM_WALL_MS + w->now_ms;
    struct claim c = {.login = "mallory"};
    hear(w, o, liar, &(struct claim){.login = "card", .kind = WC_KIND_CARD}, true);
    switch (which) {
    case 0:
        c.office_key = victim->identity.signer.key;
        hear(w, o, liar, &c, false);
        check_named(w, o, liar, WC_BLAME_FRAME);
        break;
    case 1:
        c.author = &w->foreign_signer;
        hear(w, o, liar, &c, false);
        check_named(w, o, liar, WC_BLAME_CONTENT);
        break;
    case 2:
        c.stamped_at_ms = now_ms + WC_DAY_MS;
        hear(w, o, liar, &c, false);
        check_named(w, o, liar, WC_BLAME_FUTURE);
        break;
    case 3:
        c.lease_ms = WC_PROFILE_LEASE_MAX_MS + 1;
        hear(w, o, liar, &c, false);
        check_named(w, o, liar, WC_BLAME_LEASE);
        break;
    case 4:
        c.rev = c.seq = WC_REV_MAX;
        hear(w, o, liar, &c, true);
        break;
    case 5: /* two contents: here one, there the other, and both where they meet */
        c.seq = now_ms;
        hear(w, o, liar, &c, true);
        hear(w, scenario_draw_office(w), liar, &c, true);
        break;
    case 6:
        crowd(w, liar);
        break;
    case 7:
        hear_bytes(w, o, liar,
                   wc_rng_below(&w->rng, 2) == 0 ? 1000 : WC_RECORD_MAX_BYTES + 1);
        check_named(w, o, liar, WC_BLAME_FRAME);
        break;
    }
}

/* ---- steps ---- */

static void partition(struct world *w, unsigned percent)
{
    w->partitioned = true;
    for (uint32_t i = 0; i < w->office_count; i++)
        w->offices[i].side = wc_rng_below(&w->rng, 100) < percent;
}

static void clock_wrong(struct world *w, unsigned hours)
{
    struct office *o = scenario_draw_office(w);
    o->wrong_clock = true;
    o->skew_ms += (int64_t)hours * 3600 * 1000;
}

static void clock_right(struct world *w)
{
    for (uint32_t i = 0; i < w->office_count; i++) {
        if (w->offices[i].wrong_clock)
            w->offices[i].skew_ms = 0;
    }
}

/* The end: look ten times a second whether all hold the same. */
static void settle(struct world *w, const struct event *e)
{
    struct wc_node_stats stats;
    uint64_t began_ms = w->scenario->steps[e->number].at_s * SIM_SECOND;
    if (ledger_converged(w)) {
        w->converged_ms = w->now_ms - began_ms;
        w->done = true;
        ledger_end(w);
        return;
    }
    if (w->now_ms - began_ms < SETTLE_MAX_MS) {
        world_later(w, SETTLE_EVERY_MS, *e);
        return;
    }
    for (uint32_t i = 0; i < w->office_count; i++) {
        if (w->offices[i].node == NULL)
            continue;
        wc_node_stats(w->offices[i].node, &stats);
        fprintf(
            stderr,
            "%s: %u links, %u offices, %llu and %llu records (%02x%02x), %u on disk "
            "(%04llx)%s\n",
            w->offices[i].identity.cert.name, stats.links_count, stats.offices_count,
            (unsigned long long)stats.records_count[0],
            (unsigned long long)stats.records_count[1], stats.fingerprint[0],
            stats.fingerprint[1], w->offices[i].store.count,
            (unsigned long long)(w->offices[i].store.sum >> 48),
            w->offices[i].revoked ? ", revoked" : "");
    }
    ledger_fail(w, "offices do not hold the same records after %llu s",
                (unsigned long long)(SETTLE_MAX_MS / SIM_SECOND));
}

static void take_step(struct world *w, const struct event *e)
{
    const struct step *s = &w->scenario->steps[e->number];
    struct office *o;
    switch (s->what) {
    case STEP_END:
        settle(w, e);
        break;
    case STEP_JOIN:
        join(w, s->amount);
        break;
    case STEP_EDIT:
        spread(w, HAPPENS_EDIT, s->amount, SPREAD_MS);
        break;
    case STEP_IMPORT:
        o = scenario_draw_office(w);
        for (unsigned i = 0; i < s->amount / IMPORT_BATCH; i++)
            world_later(w, 10 * (uint64_t)i,
                        (struct event){.what = HAPPENS_IMPORT,
                                       .office = o->index,
                                       .number = (uint64_t)i * IMPORT_BATCH});
        break;
    case STEP_ASK:
        spread(w, HAPPENS_ASK, s->amount, SPREAD_MS);
        break;
    case STEP_PARTITION:
        partition(w, s->amount);
        break;
    case STEP_HEAL:
        w->partitioned = false;
        break;
    case STEP_KILL:
        kill_some(w, s->amount);
        break;
    case STEP_RESTART:
        restart_all(w);
        break;
    case STEP_REVOKE:
        revoke_some(w, s->amount);
        break;
    case STEP_RENEW:
        renew_some(w, s->amount);
        break;
    case STEP_ROTATE:
        rotate(w);
        break;
    case STEP_THIEF:
        thieves(w, s->amount);
        break;
    case STEP_FORGE:
        forge(w, s->amount);
        break;
    case STEP_CLOCK:
        clock_wrong(w, s->amount);
        break;
    case STEP_CLOCK_RIGHT:
        clock_right(w);
        break;
    case STEP_LIE:
        for (unsigned i = 0; i < s->amount; i++)
            member_lies(w);
        break;
    case STEP_BACKUP:
        backup_some(w, s->amount);
        break;
    case STEP_RESTORE:
        restore_all(w);
        break;
    case STEP_DAYS:
        days_pass(w, s->amount);
        break;
    case STEP_CLEAR:
        w->weather = (struct weather){0};
        break;
    case STEP_LAN:
        w->lan = s->amount;
        break;
    }
}

void scenario_happens(struct world *w, const struct event *e)
{
    switch (e->what) {
    case HAPPENS_STEP:
        take_step(w, e);
        break;
    case HAPPENS_START:
        world_start(w, e->office);
        break;
    case HAPPENS_EDIT:
        edit(w);
        break;
    case HAPPENS_IMPORT:
        import(w, e);
        break;
    case HAPPENS_ASK:
        ask(w);
        break;
    case HAPPENS_ASK_JUDGED:
        ledger_ask_judged(w, &w->asks[e->number]);
        break;
    case HAPPENS_TIMER:
    case HAPPENS_UP:
    case HAPPENS_FRAME:
    case HAPPENS_DOWN:
    case HAPPENS_DIAL_FAILED:
    case HAPPENS_COMMIT:
    case HAPPENS_MATCHED:
    case HAPPENS_RESET:
    case HAPPENS_BEACON:
        break;
    }
}
