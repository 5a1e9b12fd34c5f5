/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why somebody was found: those of their fields that answer most of a question, in words
 * for people.
 */
#ifndef WHOCAN_DAEMON_WHY_H
#define WHOCAN_DAEMON_WHY_H

#include "daemon/index.h"
#include "daemon/question.h"

struct wc_why;

/* `ix` and `text` are borrowed. -WC_ENOMEM. */
int wc_why_new(struct wc_why **out, struct wc_index *ix, struct wc_text *text);
void wc_why_free(struct wc_why *y); /* NULL is fine */

/* The hits of another question follow; it is borrowed until the last of them. home: as
 * in the query. */
void wc_why_begin(struct wc_why *y, const struct wc_question *q, bool home);

/* Whether somebody passes a filter; nobody who has gone meanwhile does. About skills, it is
 * the one that answers most of the question that counts, or any of several that do
 * equally. As wc_why_hit(). */
int wc_why_passes(struct wc_why *y, const struct wc_person_ref *who,
                  const struct wc_filter *f, bool *passes);

/* Fill in the reasons of one hit; *here is false when the person has gone meanwhile.
 * Outside of transactions: it reads the records. -WC_ENOMEM, -WC_EIO, -WC_EBUSY. */
int wc_why_hit(struct wc_why *y, struct wc_hit *hit, bool *here);

#endif
