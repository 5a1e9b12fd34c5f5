/* SPDX-License-Identifier: Apache-2.0 */
/* How a search came to its answer: what each word was looked for as, what of its lists was
 * read, and what each of the people found has of it. */
#ifndef WHOCAN_DAEMON_EXPLAIN_H
#define WHOCAN_DAEMON_EXPLAIN_H

#include "daemon/find_pass.h"
#include "daemon/index.h"

#define WC_EXPLAIN_TERMS_MAX 128 /* of the question */
#define WC_EXPLAIN_HITS_MAX  20  /* of the people found */
/* Objects of an explanation: so many fewer of people fit into the answer. */
#define WC_EXPLAIN_NODES_MAX 8192

struct wc_explained {
    const struct wc_question *q; /* that was looked up */
    const struct wc_pass *pass;  /* that was run for it */
    const struct wc_hit *hits;   /* as they are answered */
    int hit_count;
    const uint64_t *stages_us; /* WC_STAGES of them */
};

/* Append it as docs/socket.md has it. -WC_ECORRUPT, -WC_EIO, -WC_ENOMEM. */
int wc_explain(struct wc_buf *out, struct wc_txn *t, const struct wc_explained *e);

#endif
