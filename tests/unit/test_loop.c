/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: timers, the pool, signals, and an end that leaves nothing behind. */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <whocan/error.h>

#include "daemon/loop.h"
#include "tests/unit/unit.h"

#define PATIENCE_MS 60000

static struct wc_loop *loop;
static struct wc_timer *patience;

static void never(void *ctx)
{
    (void)ctx;
    fail_msg("nothing ended the loop");
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(wc_loop_new(&loop), 0);
    patience = wc_timer_new(loop, never, NULL);
    wc_timer_set(patience, PATIENCE_MS, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wc_loop_free(loop);
    wc_loop_free(NULL);
    wc_timer_free(NULL);
    return 0;
}

static void halt(void)
{
    wc_timer_free(patience);
    wc_loop_halt(loop);
}

/* ---- timers ---- */

static struct wc_timer *timers[3];
static int fired[3];

static void fire(int i)
{
    fired[i]++;
}

static void once(void *ctx)
{
    (void)ctx;
    fire(0);
}

static void again_and_again(void *ctx)
{
    (void)ctx;
    fire(1);
    if (fired[1] < 5)
        return;
    for (int i = 0; i < 3; i++)
        wc_timer_free(timers[i]);
    halt();
}

static void stopped(void *ctx)
{
    (void)ctx;
    fire(2);
}

static void timers_fire_as_they_are_set(void **state)
{
    (void)state;
    memset(fired, 0, sizeof(fired));
    timers[0] = wc_timer_new(loop, once, NULL);
    timers[1] = wc_timer_new(loop, again_and_again, NULL);
    timers[2] = wc_timer_new(loop, stopped, NULL);
    wc_timer_set(timers[0], 3, 0);
    wc_timer_set(timers[0], 1, 0); /* instead, not beside */
    wc_timer_set(timers[1], 2, 2);
    wc_timer_set(timers[2], 1, 0);
    wc_timer_stop(timers[2]);
    wc_loop_run(loop);
    assert_int_equal(fired[0], 1);
    assert_int_equal(fired[1], 5);
    assert_int_equal(fired[2], 0);
}

/* ---- the pool ---- */

#define JOBS 100
static struct job {
    int input, output;
    bool worked;
} jobs[JOBS];
static int jobs_done;
static atomic_int at_work;

static void work(void *ctx)
{
    struct job *job = ctx;
    atomic_fetch_add(&at_work, 1);
    job->output = job->input * job->input;
    job->worked = true;
}

static void done(void *ctx)
{
    struct job *job = ctx;
    assert_true(job->worked); /* the loop thread sees what the pool wrote */
    if (++jobs_done == JOBS)
        halt();
}

static void work_is_done_on_the_pool_and_told_on_the_loop(void **state)
{
    (void)state;
    jobs_done = 0;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){.input = i};
        assert_int_equal(wc_loop_work(loop, work, done, &jobs[i]), 0);
    }
    wc_loop_run(loop);
    assert_int_equal(atomic_load(&at_work), JOBS);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(jobs[i].output, i * i);
}

/* ---- before the wait ---- */

static int turns, turns_at_last_tick, ticks;

static void before_wait(void *ctx)
{
    assert_ptr_equal(ctx, &turns);
    turns++;
}

/* A timer fires once a turn at most, and a turn ends in a wait: on however slow a
 * machine, the hook ran between two ticks. */
static void tick(void *ctx)
{
    (void)ctx;
    if (ticks++ > 0)
        assert_true(turns > turns_at_last_tick);
    turns_at_last_tick = turns;
    if (ticks < 5)
        return;
    wc_timer_free(timers[0]);
    halt();
}

static void a_turn_is_noticed_before_the_loop_waits(void **state)
{
    (void)state;
    turns = ticks = 0;
    assert_int_equal(wc_loop_before_wait(loop, before_wait, &turns), 0);
    timers[0] = wc_timer_new(loop, tick, NULL);
    wc_timer_set(timers[0], 1, 1);
    wc_loop_run(loop);
    assert_int_equal(ticks, 5);
}

/* ---- signals ---- */

static int signals_seen;

static void on_hangup(void *ctx)
{
    (void)ctx;
    signals_seen++;
    kill(getpid(), SIGTERM);
}

static void on_term(void *ctx)
{
    (void)ctx;
    signals_seen += 10;
    halt();
}

static void signals_arrive_on_the_loop(void **state)
{
    (void)state;
    signals_seen = 0;
    assert_int_equal(wc_loop_on_signal(loop, SIGHUP, on_hangup, NULL), 0);
    assert_int_equal(wc_loop_on_signal(loop, SIGTERM, on_term, NULL), 0);
    kill(getpid(), SIGPIPE); /* ignored from the first on */
    kill(getpid(), SIGHUP);
    wc_loop_run(loop);
    assert_int_equal(signals_seen, 11);
}

static void clocks_go_on(void **state)
{
    (void)state;
    uint64_t ms = wc_mono_ms(), us = wc_mono_us(), wall = wc_wall_ms();
    assert_true(us / 1000 >= ms && us / 1000 - ms < PATIENCE_MS);
    assert_true(wall > 1700000000000); /* not before this was written */
    assert_true(wc_mono_us() >= us);
    halt();
    wc_loop_run(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_as_they_are_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(work_is_done_on_the_pool_and_told_on_the_loop,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_turn_is_noticed_before_the_loop_waits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(signals_arrive_on_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clocks_go_on, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
