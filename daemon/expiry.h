/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a certificate: how near it is, and what is to be said about it now. Pure: the
 * clock is an argument.
 *
 * It is said once when 30, 7 and 1 days are left and once when the certificate has ended,
 * and of several of these that passed unseen the last one alone. A certificate with
 * another end (it was renewed) begins anew.
 */
#ifndef WHOCAN_DAEMON_EXPIRY_H
#define WHOCAN_DAEMON_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WC_EXPIRY_TEXT_BYTES 256

/* In the order in which they come. */
enum wc_expiry_stage {
    WC_EXPIRY_FAR,   /* more than 30 days are left: nothing is said */
    WC_EXPIRY_MONTH, /* at most 30 days */
    WC_EXPIRY_WEEK,  /* at most 7 days */
    WC_EXPIRY_DAY,   /* at most one day */
    WC_EXPIRY_ENDED, /* it does not hold any more */
};

/* Times are wall clock, ms since 1970; end_ms is when it no longer holds. */
enum wc_expiry_stage wc_expiry_stage(uint64_t end_ms, uint64_t now_ms);

/* Whole days left: 0 on the last day, negative from the end on (-1 on the first day). */
int64_t wc_expiry_days(uint64_t end_ms, uint64_t now_ms);

/* One sentence for an operator; empty while the end is far. */
void wc_expiry_text(char out[WC_EXPIRY_TEXT_BYTES], uint64_t end_ms, uint64_t now_ms);

/* What has been said. Zero-initialise at the start of the process, and for an office that
 * stands alone: then the next call says where a certificate stands. */
struct wc_expiry {
    uint64_t end_ms;            /* of the certificate that it was said of */
    enum wc_expiry_stage stage; /* up to which it was said */
};

/* Whether the stage is to be said now; it counts as said. A clock that is set back makes
 * the later stages due again. */
bool wc_expiry_due(struct wc_expiry *said, uint64_t end_ms, uint64_t now_ms);

#endif
