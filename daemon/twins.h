/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offices that run on two machines at once: a copied virtual machine, or a restored
 * backup whose original still runs. Both hold the same keys, so their links drive each
 * other out and their records overwrite each other, silently.
 *
 * Two things give them away. Somebody else shows this office's own key: certain, at
 * once. Or links of one office come from two addresses by turns: the same can happen
 * now and then to an office with two addresses, so WC_TWIN_SWAPS_COUNT turns are needed,
 * none more than WC_TWIN_SWAP_MS after the one before.
 *
 * Pure: no I/O, the time is an argument. Memory is bounded; the other office
 * heard of the longest ago gives way.
 */
#ifndef WHOCAN_DAEMON_TWINS_H
#define WHOCAN_DAEMON_TWINS_H

#include <stdbool.h>
#include <stdint.h>

#include <whocan/cert.h>

struct wc_twins;

/* -WC_ENOMEM. */
int wc_twins_new(struct wc_twins **out);
void wc_twins_free(struct wc_twins *t); /* NULL is fine */

/* Somebody at that address (HOST:PORT) is this office too. own: its certificate. True
 * when it was not known (any more): worth a line in the log. */
bool wc_twins_own(struct wc_twins *t, const struct wc_cert *own, const char *address,
                  uint64_t now_ms);

/* A link with an office is up. other: where another open link with it goes to, or NULL.
 * True as above. */
bool wc_twins_link(struct wc_twins *t, const struct wc_cert *peer, const char *address,
                   const char *other, uint64_t now_ms);

struct wc_twin {
    char office[WC_OFFICE_NAME_MAX_BYTES + 1];
    bool own;
    char host[WC_ADDRESS_MAX_BYTES + 1]; /* where it was seen last */
    char
        other_host[WC_ADDRESS_MAX_BYTES + 1]; /* and before; empty for the own office */
};

/* The i-th that was seen within WC_TWIN_NAMED_MS, in no order; false past the end. */
bool wc_twins_at(const struct wc_twins *t, uint32_t i, uint64_t now_ms,
                 struct wc_twin *out);

#endif
