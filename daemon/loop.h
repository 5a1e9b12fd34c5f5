/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop in the words of this daemon, so that only the files that carry bytes
 * know libuv. Everything here is called on the loop thread.
 */
#ifndef WHOCAN_DAEMON_LOOP_H
#define WHOCAN_DAEMON_LOOP_H

#include <stdint.h>

struct uv_loop_s;
struct wc_loop;
struct wc_timer;

/* Clocks in ms: the wall (since 1970), and one that never jumps. Any thread. */
uint64_t wc_wall_ms(void);
uint64_t wc_mono_ms(void);
uint64_t wc_mono_us(void);

/* -WC_ENOMEM, -WC_EIO. The loop ignores SIGPIPE from now on. */
int wc_loop_new(struct wc_loop **out);

/* After wc_loop_run() has returned; NULL is fine. */
void wc_loop_free(struct wc_loop *loop);

/* For the transport and api.c. */
struct uv_loop_s *wc_loop_uv(struct wc_loop *loop);

/* Run until wc_loop_halt() was called and the last handle of anybody is closed. */
void wc_loop_run(struct wc_loop *loop);

/* Close the loop's own handles (signals, hooks); timers stay their owners'. */
void wc_loop_halt(struct wc_loop *loop);

/* fn(ctx) whenever the signal arrives. At most 4 signals. -WC_EIO. */
int wc_loop_on_signal(struct wc_loop *loop, int signum, void (*fn)(void *ctx),
                      void *ctx);

/* fn(ctx) once a turn of the loop, when it has done all it can and is about to wait. */
int wc_loop_before_wait(struct wc_loop *loop, void (*fn)(void *ctx), void *ctx);

/*
 * work(ctx) on a thread of the pool, then done(ctx) on the loop thread. -WC_ENOMEM when it
 * could not be queued: then neither is called.
 */
int wc_loop_work(struct wc_loop *loop, void (*work)(void *ctx), void (*done)(void *ctx),
                 void *ctx);

/*
 * The same in a lane: at most WC_LANE_MAX_COUNT jobs of a lane are on the pool at once,
 * and WC_LANE_USER_COUNT of one user; the others wait, and users take turns. What may take
 * long and what somebody can cause belongs in here: then neither commits nor other users
 * wait behind it.
 */
enum wc_lane {
    WC_LANE_SEARCH,
    WC_LANE_SEARCH_LONG, /* takes places of the above: one of a user, and never all */
    WC_LANE_ACCOUNTS,
};
#define WC_LANE_USER_OFFICES UINT32_MAX /* work for other offices; never a uid */
int wc_loop_work_in(struct wc_loop *loop, enum wc_lane lane, uint32_t user,
                    void (*work)(void *ctx), void (*done)(void *ctx), void *ctx);

/* A timer that calls fn(ctx). NULL when memory is out. */
struct wc_timer *wc_timer_new(struct wc_loop *loop, void (*fn)(void *ctx), void *ctx);

/* Once after after_ms; then every repeat_ms unless that is 0. Replaces what was set. */
void wc_timer_set(struct wc_timer *timer, uint64_t after_ms, uint64_t repeat_ms);
void wc_timer_stop(struct wc_timer *timer);
void wc_timer_free(struct wc_timer *timer); /* never fires again; NULL is fine */

#endif
