/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the simulated organisation, one function a scenario. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

/* Long enough for the slowest way back: a dial that backed off to its longest wait, then a
 * reconciliation round. */
#define SETTLE_MS 240000

static void start_all(struct sim *s, uint32_t spread_ms)
{
    for (uint32_t i = 0; i < s->count; i++) {
        sim_start(s, i);
        sim_run_until(s, s->now_ms + sim_below(&s->rng, spread_ms + 1));
    }
}

static void edits(struct sim *s, uint32_t count, uint32_t gap_ms)
{
    for (uint32_t i = 0; i < count; i++) {
        sim_edit(s, sim_below(&s->rng, s->count), sim_chance(&s->rng, 300));
        sim_run_until(s, s->now_ms + sim_below(&s->rng, gap_ms + 1));
    }
}

/* All offices that are up must come to hold the same. */
static void settle(struct sim *s)
{
    if (!s->failed && !sim_run_while_not(s, sim_converged, SETTLE_MS))
        sim_fail(s, "offices still differ after %d s", SETTLE_MS / 1000);
    if (!s->failed)
        sim_check(s);
}

/* How many offices are up and not revoked. */
static uint32_t up_count(const struct sim *s)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < s->count; i++)
        up += s->offices[i].node != NULL && !s->offices[i].revoked;
    return up;
}

/* Every office that is up has answered the last ask. */
static bool all_answered(struct sim *s)
{
    return s->asks[s->asks_count - 1].answered_count >= up_count(s);
}

static void ask_all(struct sim *s, uint32_t office)
{
    sim_ask(s, office);
    if (!sim_run_while_not(s, all_answered, 30000))
        sim_fail(s,
                 "an ask of office %u reached %u and was answered by %u of %u offices",
                 office, s->asks[s->asks_count - 1].reached_count,
                 s->asks[s->asks_count - 1].answered_count, up_count(s));
}

static void quiet(struct sim *s)
{
    start_all(s, 20);
    edits(s, s->count * 2, 20);
    settle(s);
}

static void lossy(struct sim *s)
{
    s->params.delay_max_ms = 200;
    s->params.dial_loss = 200;
    s->params.frame_loss = 100;
    s->params.frame_again = 50;
    start_all(s, 50);
    edits(s, s->count * 2, 50);
    sim_run_until(s, s->now_ms + 30000);
    s->params.frame_loss = s->params.dial_loss = 0; /* the weather clears */
    settle(s);
}

static void partition(struct sim *s)
{
    start_all(s, 20);
    edits(s, s->count, 20);
    sim_run_until(s, s->now_ms + 5000);
    for (uint32_t i = 0; i < s->count; i++)
        s->offices[i].group = i % 2;
    edits(s, s->count, 100);
    sim_run_until(s, s->now_ms + 60000); /* links time out */
    edits(s, s->count, 20);
    for (uint32_t i = 0; i < s->count; i++)
        s->offices[i].group = 0;
    settle(s);
    ask_all(s, 0);
}

/* Offices crash at any moment, also between a change and its commit, and come back with what their disk
 * has and a clock that is a little behind. */
static void restart(struct sim *s)
{
    s->params.commit_max_ms = 50;
    start_all(s, 20);
    for (uint32_t i = 0; i < s->count * 2; i++) {
        uint32_t office = sim_below(&s->rng, s->count);
        sim_edit(s, office, false);
        sim_edit(s, office, true);
        sim_run_until(s, s->now_ms + sim_below(&s->rng, 60));
        sim_kill(s, office, sim_chance(&s->rng, 300));
        sim_run_until(s, s->now_ms + sim_below(&s->rng, 500));
        s->offices[office].skew_ms = -(int64_t)sim_below(&s->rng, 60000);
        sim_start(s, office);
    }
    settle(s);
}

/* Offices come late and vanish silently, all but the first, which everybody knows. */
static void churn(struct sim *s)
{
    for (uint32_t i = 0; i < s->count / 2; i++)
        sim_start(s, i);
    edits(s, s->count / 2, 50);
    for (uint32_t i = s->count / 2; i < s->count; i++) {
        sim_start(s, i);
        sim_edit(s, i, false);
        sim_run_until(s, s->now_ms + sim_below(&s->rng, 200));
        if (sim_chance(&s->rng, 300))
            sim_kill(s, 1 + sim_below(&s->rng, i - 1), true);
    }
    settle(s);
    ask_all(s, s->count - 1);
}

static void ask(struct sim *s)
{
    start_all(s, 10);
    edits(s, s->count / 2, 10);
    settle(s);
    for (int i = 0; i < 5 && !s->failed; i++)
        ask_all(s, sim_below(&s->rng, s->count));
}

/* Half of the offices hold nobody else's people; every home office still answers. */
static void held_back(struct sim *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        s->offices[i].replicate = i % 2 == 0;
    start_all(s, 10);
    edits(s, s->count, 10);
    settle(s);
    ask_all(s, 1);
    ask_all(s, 0);
}

/* The records of a revoked office are gone everywhere and it has no links. */
static void revoke(struct sim *s)
{
    const uint32_t bad = s->count / 2;
    start_all(s, 10);
    edits(s, s->count * 2, 10);
    for (int i = 0; i < 3; i++)
        sim_edit(s, bad, false);
    settle(s);
    sim_revoke(s, bad, 0);
    settle(s);
    sim_run_until(s, s->now_ms + 10000);
    const uint8_t *key = s->offices[bad].identity.cert.sign_key;
    for (uint32_t i = 0; i < s->count && !s->failed; i++) {
        struct wc_node_office office;
        const struct sim_office *o = &s->offices[i];
        if (i == bad)
            continue;
        for (size_t e = 0; e < s->offices[bad].edits_count; e++) {
            if (sim_disk_get(&o->disk, s->offices[bad].edits[e].slot).len > 0)
                sim_fail(s, "office %u still holds people of a revoked office", i);
        }
        if (wc_node_office_by_key(o->node, key, &office) && office.linked)
            sim_fail(s, "office %u still has a link to a revoked office", i);
    }
}

/* ---- lies ---- */

static void inject_record(struct sim *s, uint32_t office, struct wc_slice record)
{
    struct wc_buf frame = {0};
    wc_pack_array(&frame, 3);
    wc_pack_u64(&frame, WC_WIRE_RECORDS);
    wc_pack_u64(&frame, sim_below(&s->rng, 2));
    wc_pack_array(&frame, 1);
    wc_pack_bin(&frame, record);
    sim_inject(s, office, wc_buf_slice(&frame));
    wc_buf_fini(&frame);
}

/* A profile that says it is of `office`, stamped by `signer`. */
static void forge(struct sim *s, const uint8_t office[WC_KEY_BYTES],
                  const struct wc_signer *signer, const char *subject,
                  uint64_t stamped_at_ms, struct wc_buf *out)
{
    struct wc_signer as = *signer;
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    struct wc_stamp_params stamp = {.seq = stamped_at_ms,
                                    .stamped_at_ms = stamped_at_ms,
                                    .expires_at_ms = stamped_at_ms + WC_DAY_MS};
    memcpy(as.key, office, WC_KEY_BYTES); /* the right name over the wrong secret */
    wc_body_begin(&body, office, subject, 1, 0);
    if (wc_body_sign(sig, WC_KIND_PROFILE, wc_buf_slice(&body), signer) != 0 ||
        wc_record_stamp(WC_KIND_PROFILE, wc_buf_slice(&body), signer->key, sig, &as,
                        &stamp, out) != 0)
        sim_fail(s, "a forgery could not be made");
    wc_buf_fini(&body);
}

static void nobody_holds(struct sim *s, const uint8_t office[WC_KEY_BYTES],
                         const char *subject)
{
    uint8_t slot[WC_DIGEST_BYTES];
    wc_slot(slot, WC_KIND_PROFILE, office, subject);
    for (uint32_t i = 0; i < s->count; i++) {
        if (sim_disk_get(&s->offices[i].disk, slot).len > 0)
            sim_fail(s, "office %u believes a lie: %s", i, subject);
    }
}

/* A member office speaks for another, for a stranger, and of the future; and sends rubbish. */
static void liar(struct sim *s)
{
    const uint32_t bad = s->count / 3;
    const uint64_t now_ms = SIM_BASE_MS;
    struct wc_signer stranger;
    uint8_t seed[WC_KEY_BYTES], rubbish[600];
    for (size_t i = 0; i < sizeof(seed); i++)
        seed[i] = (uint8_t)sim_random(&s->rng);
    wc_signer_init(&stranger, seed);
    start_all(s, 10);
    edits(s, s->count, 10);
    settle(s);
    const struct wc_signer *own = &s->offices[bad].identity.signer;
    const uint8_t *victim = s->offices[0].identity.cert.sign_key;
    for (uint32_t i = 0; i < 200 && !s->failed; i++) {
        struct wc_buf record = {0};
        switch (i % 4) {
        case 0:
            forge(s, victim, own, "of-another", now_ms + s->now_ms, &record);
            break;
        case 1:
            forge(s, stranger.key, &stranger, "of-a-stranger", now_ms + s->now_ms,
                  &record);
            break;
        case 2:
            forge(s, own->key, own, "of-the-future", now_ms + s->now_ms + WC_DAY_MS,
                  &record);
            break;
        case 3:
            for (size_t b = 0; b < sizeof(rubbish); b++)
                rubbish[b] = (uint8_t)sim_random(&s->rng);
            rubbish[0] = 0x93;
            rubbish[1] = (uint8_t)(1 + sim_below(&s->rng, 12));
            sim_inject(s, bad,
                       wc_slice(rubbish, 1 + sim_below(&s->rng, sizeof(rubbish))));
            break;
        }
        if (record.len > 0)
            inject_record(s, bad, wc_buf_slice(&record));
        wc_buf_fini(&record);
        sim_run_until(s, s->now_ms + 200);
    }
    edits(s, s->count, 10);
    settle(s);
    nobody_holds(s, victim, "of-another");
    nobody_holds(s, stranger.key, "of-a-stranger");
    nobody_holds(s, own->key, "of-the-future");
}

/* One office's clock is a day ahead: it says so, stamps nothing, loses nothing; the others go on. */
static void clock_off(struct sim *s)
{
    const uint32_t bad = s->count - 1;
    start_all(s, 10);
    edits(s, s->count, 10);
    settle(s);
    sim_kill(s, bad, false);
    s->offices[bad].skew_ms = (int64_t)WC_DAY_MS;
    sim_start(s, bad);
    sim_run_until(s, s->now_ms + 60000);
    if (s->offices[bad].clock_notes == 0)
        sim_fail(s, "office %u's clock is a day ahead and it does not say so", bad);
    size_t before = s->offices[bad].edits_count;
    sim_edit(s, bad, false);
    sim_run_until(s, s->now_ms + 1000);
    if (s->offices[bad].edits[before].acked)
        sim_fail(s, "office %u stamps by a clock that it knows is wrong", bad);
    s->offices[bad].skew_ms = 0;
    sim_run_until(s, s->now_ms + 120000);
    sim_edit(s, bad, false);
    edits(s, s->count, 10);
    settle(s);
    if (!s->offices[bad].edits[before + 1].acked)
        sim_fail(s, "office %u does not stamp although its clock is right again", bad);
}

/* Disks fill up: nothing is acknowledged that is not stored, and all is well once there is room. */
static void disk_full(struct sim *s)
{
    start_all(s, 10);
    edits(s, s->count, 10);
    for (uint32_t i = 0; i < s->count; i += 5)
        s->offices[i].disk_full = true;
    edits(s, s->count * 2, 10);
    sim_run_until(s, s->now_ms + 5000);
    for (uint32_t i = 0; i < s->count; i += 5)
        s->offices[i].disk_full = false;
    settle(s);
}

/* All of it at once. */
static void mixed(struct sim *s)
{
    s->params.delay_max_ms = 100;
    s->params.frame_loss = 20;
    s->params.frame_again = 20;
    s->params.dial_loss = 50;
    s->params.commit_max_ms = 50;
    start_all(s, 50);
    for (uint32_t i = 0; i < s->count * 3 && !s->failed; i++) {
        uint32_t office = sim_below(&s->rng, s->count);
        sim_edit(s, office, sim_chance(&s->rng, 300));
        if (sim_chance(&s->rng, 100)) {
            sim_kill(s, office, sim_chance(&s->rng, 500));
            sim_run_until(s, s->now_ms + sim_below(&s->rng, 300));
            sim_start(s, office);
        }
        if (sim_chance(&s->rng, 20))
            s->offices[office].group = 1 - s->offices[office].group;
        if (sim_chance(&s->rng, 50))
            sim_ask(s, office);
        sim_run_until(s, s->now_ms + sim_below(&s->rng, 100));
    }
    for (uint32_t i = 0; i < s->count; i++)
        s->offices[i].group = 0;
    s->params.frame_loss = s->params.dial_loss = 0;
    settle(s);
}

const struct sim_scenario sim_scenarios[] = {
    {"quiet", "nothing goes wrong", quiet},
    {"lossy", "10% of frames lost, 5% twice, 20% of dials lost, delay 1-200 ms", lossy},
    {"partition", "two halves for more than a minute, edits on both sides", partition},
    {"restart", "crashes between a change and its commit, clocks that go back",
     restart},
    {"churn", "offices that come late and vanish silently", churn},
    {"ask", "every office answers every ask, once", ask},
    {"held-back", "half of the offices replicate nothing, all answer", held_back},
    {"revoke", "a revoked office is gone everywhere", revoke},
    {"liar", "a member sends forgeries and rubbish", liar},
    {"clock", "a clock a day ahead", clock_off},
    {"disk-full", "a fifth of the disks is full for a while", disk_full},
    {"mixed", "loss, crashes, partitions, asks, all at once", mixed},
    {NULL, NULL, NULL},
};
