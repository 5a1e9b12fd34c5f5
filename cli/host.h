/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --host: the daemon of another machine, over the user's own ssh. This side runs
 *
 *     ssh -T -a -x -o ConnectTimeout=10 -- HOST whocan relay
 *
 * and talks the protocol of the socket through it; `whocan relay` on that side connects
 * its standard input and output to that machine's daemon. Who you are there is the account
 * that ssh logs in to.
 *
 * The relay's first line is WC_RELAY_GREETING and its version; what a login script printed
 * before it is skipped.
 */
#ifndef CLI_HOST_H
#define CLI_HOST_H

#include "cli/run.h"

#define WC_RELAY_GREETING "whocan-relay 1 "

/* Whether the text may be given to ssh as a host: [user@]name, where neither part starts
 * with a hyphen, so that none is taken for an option. */
bool wc_host_valid(const char *host);

/* Connect run->client to the daemon of that host. 0, or the exit code after saying why
 * not. */
int wc_host_connect(struct wc_run *run, const char *host);

/* The connection is closed: let ssh end. Nothing to do without one. */
void wc_host_end(struct wc_run *run);

#endif
