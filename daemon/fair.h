/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is: work of many users, served round robin, so that the backlog of one
 * never delays another's by more than one piece of work. Each user has a queue for each
 * class of work; a class has a rate (bucket.h) and a number that may be at work at once.
 * What is over a limit waits; what would wait beyond the bounds is not taken.
 *
 * Pure: no I/O, and time is an argument. Two things use it: the requests of the socket
 * (users are uids, classes are costs), and the jobs of the pool's lanes.
 */
#ifndef WHOCAN_DAEMON_FAIR_H
#define WHOCAN_DAEMON_FAIR_H

#include <stddef.h>

#include "daemon/bucket.h"

#define WC_FAIR_CLASSES_MAX 8

struct wc_fair_class {
    struct wc_rate rate;
    uint32_t running_max;     /* of one user at once; 0: no limit */
    uint32_t running_all_max; /* of all users; 0: no limit */
};

struct wc_fair_config {
    struct wc_fair_class classes[WC_FAIR_CLASSES_MAX];
    uint32_t classes_count;
    uint32_t running_user_max, running_max; /* of one user, of all; 0: no limit */
    uint32_t waiting_user_max; /* pieces of work of one user; 0: no limit */
    size_t waiting_user_bytes; /* of what a rate binds; 0: no limit */
    uint64_t
        wait_max_ms; /* what would wait longer for its rate is not taken; 0: no limit */
};

struct wc_fair;
struct wc_fair_user;

enum wc_fair_state { WC_FAIR_OUT, WC_FAIR_WAITING, WC_FAIR_RUNNING };

/* Stands in the caller's struct; zero-initialised. */
struct wc_fair_item {
    struct wc_fair_item *next, *previous;
    struct wc_fair_user *user;
    enum wc_fair_state state;
    uint32_t class;
    uint32_t scale;
    size_t bytes;
};

int wc_fair_new(struct wc_fair **out, const struct wc_fair_config *config); /* NOMEM */
void wc_fair_free(struct wc_fair *f); /* items are forgotten; NULL is fine */

/*
 * Queue a piece of work of `class`. `scale` multiplies the rate for a user who stands for
 * many; 0 frees from rates, and from the bound on bytes. 0, -WC_EBUSY (the bounds; then
 * *retry_ms, which may be NULL, says when another try is worth it) or -WC_ENOMEM.
 */
int wc_fair_add(struct wc_fair *f, struct wc_fair_item *item, uint32_t user,
                uint32_t class, uint32_t scale, size_t bytes, uint64_t now_ms,
                uint64_t *retry_ms);

/* Who goes next; NULL: nobody can now. It counts as running until wc_fair_end(). */
struct wc_fair_item *wc_fair_next(struct wc_fair *f, uint64_t now_ms);

/* It has ended, or is given up while it waits. Fine for one that is out. */
void wc_fair_end(struct wc_fair *f, struct wc_fair_item *item);

/* After wc_fair_next() gave NULL: when a rate lets somebody go; UINT64_MAX: not before
 * another add or end. */
uint64_t wc_fair_deadline(const struct wc_fair *f);

/* How many pieces of work of a user wait. */
uint32_t wc_fair_waiting(const struct wc_fair *f, uint32_t user);

/* Forget the users who have nothing here and owe nothing; how many are left. */
uint32_t wc_fair_tidy(struct wc_fair *f, uint64_t now_ms);

#endif
