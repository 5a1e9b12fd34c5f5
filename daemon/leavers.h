/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for the account of each person of this office once a day, and retires the profile
 * of whoever has left (leaver.h decides). Look-ups run on the pool, a few each minute, so
 * that everybody's turn comes within eight hours; each day begins where the last one ended,
 * so that a machine that is on for less reaches everybody in turn. What is known is in the
 * records' small values ("person/LOGIN/account") and survives a restart.
 *
 * While too many are missing at once (wc_leavers_are_many) nobody who is missing is given
 * to end(): an account database that lost its people, or a machine that was cut off from
 * its directory and answers "no such account" for everybody, must not empty an office.
 *
 * Loop thread only.
 */
#ifndef WHOCAN_DAEMON_LEAVERS_H
#define WHOCAN_DAEMON_LEAVERS_H

#include "daemon/leaver.h"
#include "daemon/loop.h"
#include "daemon/records.h"

struct wc_leavers;

/* A profile that is to be retired now. */
struct wc_leaving {
    struct wc_person_ref who;
    uint64_t rev;     /* of the profile that was looked at */
    bool another_uid; /* the account is somebody else's; else it is missing */
};

/* Why nobody who is missing is retired. */
struct wc_leavers_held {
    bool held;
    uint64_t missing_count; /* accounts */
    uint64_t known_count;   /* of so many */
};

struct wc_leavers_config {
    struct wc_loop *loop;
    struct wc_records *records;
    uint64_t (*now_ms)(void); /* the wall clock */
    /* The key of the office whose people are looked at, or NULL: not now. It stays
     * until end() is called. */
    const uint8_t *(*begin)(void *ctx);
    /* A look has ended. */
    void (*end)(void *ctx, const struct wc_leaving *retire, uint32_t count);
    bool many; /* retire even while too many are missing */
    void *ctx;
};

/* -WC_ENOMEM. */
int wc_leavers_new(struct wc_leavers **out, const struct wc_leavers_config *config);

/* Look at those whose turn it is: call each minute. Nothing while a look is going on. */
void wc_leavers_tick(struct wc_leavers *l);

/* Another word of IT about many at once. With yes everybody is looked at anew at once. */
void wc_leavers_set_many(struct wc_leavers *l, bool many);

/* As of the latest look. NULL is fine. */
void wc_leavers_held(const struct wc_leavers *l, struct wc_leavers_held *out);

/* After the loop has ended; NULL is fine. */
void wc_leavers_free(struct wc_leavers *l);

/* What is known of a login; nothing when it cannot be read. Any thread. */
void wc_leavers_get(struct wc_records *records, const char *login,
                    struct wc_leaver *out);

#endif
