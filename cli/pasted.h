/* SPDX-License-Identifier: Apache-2.0 */
/* A line that somebody carried here (an invitation, a request, a statement): given as a
 * word, from --file, or pasted into standard input. */
#ifndef CLI_PASTED_H
#define CLI_PASTED_H

#include "cli/run.h"

struct wc_pasted_rule {
    const char *what;    /* "invitation" */
    const char *article; /* "an" */
    const char *usage;   /* "office join INVITATION|-" */
    const char *const
        *starts;      /* what it may start with: "whocan-invite-"; ends in NULL */
    const char *hint; /* a sentence that says where such a line comes from */
    size_t max_bytes;
};

/*
 * Read it into *text, which the caller releases (wiped when it may hold secrets), and trim
 * it into *line. Only what it starts with is looked at: the rest is for whoever decodes it
 * to judge. 0, or the exit code after saying what is wrong.
 */
int wc_pasted_read(struct wc_run *run, const struct wc_pasted_rule *rule,
                   struct wc_buf *text, struct wc_slice *line);

#endif
