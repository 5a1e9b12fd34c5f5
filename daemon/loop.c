/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/loop.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include <whocan/error.h>
#include <whocan/limits.h>

#include "daemon/fair.h"

#define SIGNALS_MAX_COUNT 4

struct hook {
    void (*fn)(void *ctx);
    void *ctx;
};

struct wc_loop {
    uv_loop_t uv;
    uv_signal_t signals[SIGNALS_MAX_COUNT];
    struct hook signal_hooks[SIGNALS_MAX_COUNT];
    int signals_count;
    uv_prepare_t prepare;
    struct hook prepare_hook;
    bool has_prepare;
    struct wc_fair *search, *accounts; /* whose turn it is on the pool */
};

struct wc_timer {
    uv_timer_t uv;
    struct hook hook;
};

/* ---------------------------------------------------------------- clocks */

static uint64_t read_clock(clockid_t id, uint64_t per_second)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * per_second +
           (uint64_t)now.tv_nsec / (1000000000 / per_second);
}

uint64_t wc_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}

uint64_t wc_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

uint64_t wc_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

/* ---------------------------------------------------------------- the loop */

enum { SHORT, LONG };

static int lanes_new(struct wc_loop *loop)
{
    const struct wc_fair_config config = {
        .classes = {[LONG] = {.running_max = 1,
                              .running_all_max = WC_LANE_MAX_COUNT - 1}},
        .classes_count = 2,
        .running_user_max = WC_LANE_USER_COUNT,
        .running_max = WC_LANE_MAX_COUNT};
    int rc = wc_fair_new(&loop->search, &config);
    return rc != 0 ? rc : wc_fair_new(&loop->accounts, &config);
}

static void lanes_free(struct wc_loop *loop)
{
    wc_fair_free(loop->search);
    wc_fair_free(loop->accounts);
}

/* libuv reads it once, when the pool is used for the first time. */
static int set_pool_size(void)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", WC_POOL_THREADS_COUNT);
    return setenv("UV_THREADPOOL_SIZE", text, 1);
}

int wc_loop_new(struct wc_loop **out)
{
    struct wc_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return -WC_ENOMEM;
    if (lanes_new(loop) != 0 || set_pool_size() != 0 || uv_loop_init(&loop->uv) != 0) {
        lanes_free(loop);
        free(loop);
        return -WC_EIO;
    }
    signal(SIGPIPE, SIG_IGN);
    *out = loop;
    return 0;
}

void wc_loop_free(struct wc_loop *loop)
{
    if (loop == NULL)
        return;
    uv_loop_close(&loop->uv);
    lanes_free(loop);
    free(loop);
}

struct uv_loop_s *wc_loop_uv(struct wc_loop *loop)
{
    return &loop->uv;
}

void wc_loop_run(struct wc_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    (void)signum;
    struct hook *hook = handle->data;
    hook->fn(hook->ctx);
}

int wc_loop_on_signal(struct wc_loop *loop, int signum, void (*fn)(void *ctx),
                      void *ctx)
{
    if (loop->signals_count == SIGNALS_MAX_COUNT)
        return -WC_EIO;
    int i = loop->signals_count;
    if (uv_signal_init(&loop->uv, &loop->signals[i]) != 0)
        return -WC_EIO;
    loop->signals_count++;
    loop->signal_hooks[i] = (struct hook){fn, ctx};
    loop->signals[i].data = &loop->signal_hooks[i];
    return uv_signal_start(&loop->signals[i], on_signal, signum) == 0 ? 0 : -WC_EIO;
}

static void on_prepare(uv_prepare_t *handle)
{
    struct hook *hook = handle->data;
    hook->fn(hook->ctx);
}

int wc_loop_before_wait(struct wc_loop *loop, void (*fn)(void *ctx), void *ctx)
{
    loop->prepare_hook = (struct hook){fn, ctx};
    if (uv_prepare_init(&loop->uv, &loop->prepare) != 0)
        return -WC_EIO;
    loop->has_prepare = true;
    loop->prepare.data = &loop->prepare_hook;
    return uv_prepare_start(&loop->prepare, on_prepare) == 0 ? 0 : -WC_EIO;
}

void wc_loop_halt(struct wc_loop *loop)
{
    for (int i = 0; i < loop->signals_count; i++)
        uv_close((uv_handle_t *)&loop->signals[i], NULL);
    if (loop->has_prepare)
        uv_close((uv_handle_t *)&loop->prepare, NULL);
    loop->signals_count = 0;
    loop->has_prepare = false;
}

/* ---------------------------------------------------------------- the pool */

struct job {
    struct wc_fair_item turn; /* first: an item is its job */
    uv_work_t uv;
    struct hook work, done;
    struct wc_loop *loop;
    struct wc_fair *lane; /* NULL: it needs no turn */
};

static void lane_go_on(struct wc_fair *lane);

static void job_work(uv_work_t *req)
{
    struct job *job = req->data;
    job->work.fn(job->work.ctx);
}

static void job_done(uv_work_t *req, int status)
{
    (void)status; /* nothing here is ever cancelled */
    struct job *job = req->data;
    struct hook done = job->done;
    if (job->lane != NULL) {
        wc_fair_end(job->lane, &job->turn);
        lane_go_on(job->lane);
    }
    free(job);
    done.fn(done.ctx);
}

/* It cannot fail: libuv refuses nothing but a job without work. */
static void job_start(struct job *job)
{
    uv_queue_work(&job->loop->uv, &job->uv, job_work, job_done);
}

static void lane_go_on(struct wc_fair *lane)
{
    struct wc_fair_item *item;
    while ((item = wc_fair_next(lane, 0)) != NULL)
        job_start((struct job *)item);
    wc_fair_tidy(lane, 0);
}

static struct job *job_new(struct wc_loop *loop, void (*work)(void *ctx),
                           void (*done)(void *ctx), void *ctx)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return NULL;
    job->loop = loop;
    job->work = (struct hook){work, ctx};
    job->done = (struct hook){done, ctx};
    job->uv.data = job;
    return job;
}

int wc_loop_work_in(struct wc_loop *loop, enum wc_lane lane, uint32_t user,
                    void (*work)(void *ctx), void (*done)(void *ctx), void *ctx)
{
    struct job *job = job_new(loop, work, done, ctx);
    if (job == NULL)
        return -WC_ENOMEM;
    job->lane = lane == WC_LANE_ACCOUNTS ? loop->accounts : loop->search;
    int rc = wc_fair_add(job->lane, &job->turn, user,
                         lane == WC_LANE_SEARCH_LONG ? LONG : SHORT, 1, 0, 0, NULL);
    if (rc != 0) {
        free(job);
        return rc;
    }
    lane_go_on(job->lane);
    return 0;
}

int wc_loop_work(struct wc_loop *loop, void (*work)(void *ctx), void (*done)(void *ctx),
                 void *ctx)
{
    struct job *job = job_new(loop, work, done, ctx);
    if (job == NULL)
        return -WC_ENOMEM;
    job_start(job);
    return 0;
}

/* ---------------------------------------------------------------- timers */

static void on_timer(uv_timer_t *handle)
{
    struct wc_timer *timer = handle->data;
    timer->hook.fn(timer->hook.ctx);
}

struct wc_timer *wc_timer_new(struct wc_loop *loop, void (*fn)(void *ctx), void *ctx)
{
    struct wc_timer *timer = calloc(1, sizeof(*timer));
    if (timer == NULL)
        return NULL;
    timer->hook = (struct hook){fn, ctx};
    uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    return timer;
}

void wc_timer_set(struct wc_timer *timer, uint64_t after_ms, uint64_t repeat_ms)
{
    /* libuv counts from the start of this turn of the loop, which may be long ago */
    uv_update_time(timer->uv.loop);
    uv_timer_start(&timer->uv, on_timer, after_ms, repeat_ms);
}

void wc_timer_stop(struct wc_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

static void timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void wc_timer_free(struct wc_timer *timer)
{
    if (timer != NULL)
        uv_close((uv_handle_t *)&timer->uv, timer_closed);
}
