/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether somebody has left, from one look a day at the account database. Pure: leavers.c
 * asks the database and keeps what is decided here.
 *
 * - Seven definite answers "no such account", on seven days: the person has left, and their
 *   profile is retired. An error or a time-out is no answer: it neither counts nor takes
 *   back what was counted. An account that is there begins the count anew.
 *   That holds until the profile is retired or the account is there again.
 * - An account with another uid is another person: the profile that there is goes at once.
 * - Who never had an account here and no profile (somebody in the staff directory alone) is
 *   not judged: their row ends with the directory.
 */
#ifndef WHOCAN_DAEMON_LEAVER_H
#define WHOCAN_DAEMON_LEAVER_H

#include <stdbool.h>
#include <stdint.h>

#include <whocan/bytes.h>

#define WC_LEAVER_DAYS 7
/* Fewer than these leave at once in any office; more may be a directory that lost them. */
#define WC_LEAVERS_MANY_COUNT 10
#define WC_LEAVER_BYTES       24

enum wc_account_answer {
    WC_ACCOUNT_THERE,
    WC_ACCOUNT_ABSENT,  /* the database answered, and there is none */
    WC_ACCOUNT_UNKNOWN, /* it did not answer */
};

/* What is known of one login. Zero: nothing yet. */
struct wc_leaver {
    bool seen;              /* an account was there once, with this uid */
    uint32_t uid;           /* while seen */
    uint32_t absent_days;   /* definite answers in a row */
    uint32_t last_day;      /* of the latest that counted; days since 1970 */
    uint64_t retire_to_rev; /* the profile up to this rev is another uid's; 0: none */
};

/* One look at a login. `rev` is that of its live profile, 0 when there is none. Returns
 * whether that profile is to be retired now, which is said again at each definite answer until it is. */
bool wc_leaver_look(struct wc_leaver *l, enum wc_account_answer answer, uint32_t uid,
                    uint32_t day, uint64_t rev);

/* Whether nothing is left to remember. */
bool wc_leaver_is_empty(const struct wc_leaver *l);

/* Whether its profile may be stamped again: not while the account is missing. */
bool wc_leaver_may_stamp(const struct wc_leaver *l);

/*
 * Whether so many accounts are missing at once that it is more likely the account database
 * which is at fault than that all these people left: at least WC_LEAVERS_MANY_COUNT, and
 * more than a third. `missing` counts the logins with wc_leaver_is_missing(), `known` all
 * that are not empty. Nobody's profile is retired then but by the word of IT.
 */
bool wc_leavers_are_many(uint64_t missing, uint64_t known);

/* Whether the latest definite answer was that there is no such account. */
bool wc_leaver_is_missing(const struct wc_leaver *l);

/* As it is stored. -WC_ECORRUPT. */
void wc_leaver_pack(const struct wc_leaver *l, uint8_t out[WC_LEAVER_BYTES]);
int wc_leaver_read(struct wc_slice bytes, struct wc_leaver *out);

#endif
