/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who answers a question (question.h), without a look at everybody. A group is found by
 * any of its terms, the best of which counts:
 *
 *   score of a person = sum over groups of rarity × best (weight × impact)
 *
 * and whoever matches every group has a little more. There are two passes: the first looks
 * only at people who are in all groups, who are few, and most of the best at that; the
 * second looks at the others, as far as they can still come among them. docs/search.md has
 * the details.
 */
#ifndef WHOCAN_DAEMON_FIND_PASS_H
#define WHOCAN_DAEMON_FIND_PASS_H

#include "daemon/find_best.h"
#include "daemon/find_lists.h"

/* Of one search at a time; it is large. */
struct wc_pass;

int wc_pass_new(struct wc_pass **out); /* -WC_ENOMEM */
void wc_pass_free(struct wc_pass *p);  /* NULL is fine */

/* Let `best` meet whoever answers a question whose terms were looked up; when nobody does,
 * and near_too, those who are near. *passed: somebody who may answer was passed over, so
 * that not all were counted. -WC_ECORRUPT, -WC_EIO, -WC_ENOMEM. */
int wc_pass_run(struct wc_pass *p, struct wc_txn *t, const struct wc_question *q,
                bool near_too, struct wc_best *best, bool *passed);

/* How many pieces of the list of a term (0: of all lists) the last run looked at. */
uint64_t wc_pass_pieces(const struct wc_pass *p, uint32_t number);
/* How many terms it looked for. */
uint32_t wc_pass_terms(const struct wc_pass *p);

/* For people: up to 1, from 0.9 an expert in every word. Always larger for the larger rank:
 * other offices' people are sorted in by it. */
double wc_pass_score(double rank);

#endif
