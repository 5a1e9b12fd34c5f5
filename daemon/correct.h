/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mistakes in a question: words that nobody has are taken for those that they may have
 * meant. What somebody has is left alone, so that a question without mistakes loses
 * nothing. docs/search.md has the rules.
 */
#ifndef WHOCAN_DAEMON_CORRECT_H
#define WHOCAN_DAEMON_CORRECT_H

#include "daemon/question.h"

/*
 * After the terms of a question were sought: read neighbours as one word when it is known
 * ("web master"), and give the groups that nobody has what their words may have meant:
 * near words, an unfinished last word's endings, two words ("webmaster"), their stems and
 * concepts. A word that may have been one of those that questions are made of is dropped.
 * -WC_ECORRUPT, -WC_EIO, -WC_ENOMEM.
 */
int wc_correct_unknown(struct wc_question *q, const struct wc_question_tools *tools,
                       struct wc_txn *t);

/* The same for the groups that somebody has: when the question has led nowhere. */
int wc_correct_all(struct wc_question *q, const struct wc_question_tools *tools,
                   struct wc_txn *t);

#endif
