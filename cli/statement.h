/* SPDX-License-Identifier: Apache-2.0 */
/* What the organisation signed, on its way to the offices. */
#ifndef CLI_STATEMENT_H
#define CLI_STATEMENT_H

#include <whocan/statement.h>

#include "cli/run.h"

/* What became of it. */
struct wc_statement_fate {
    bool handed;             /* a daemon took it; else `line` is to be published */
    uint64_t accepted_count; /* of the records, new to that daemon */
    struct wc_buf line;      /* always filled; no newline */
    char why_not[256];       /* why no daemon took it, one line; empty when one did */
};

/*
 * Hand records that the organisation signed to the daemon at the socket, unless --print
 * is given. That no daemon answers there, or that it refuses, is no failure: the line can
 * be published elsewhere. 0, or the exit code after saying what is wrong. Release the
 * fate with wc_statement_fate_fini(), also after a failure.
 */
int wc_statement_hand(struct wc_run *run, const struct wc_slice *records,
                      uint32_t count, struct wc_statement_fate *out);
void wc_statement_fate_fini(struct wc_statement_fate *fate);

/* Print the line of a fate that was not handed over, on standard output, and on standard
 * error what to do with it. */
int wc_statement_print(struct wc_run *run, const struct wc_statement_fate *fate);

#endif
