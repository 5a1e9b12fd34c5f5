/* SPDX-License-Identifier: Apache-2.0 */
/* import --complete: the file is the whole directory, so rows that it lacks end. */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "cli/run.h"

/*
 * Retire the rows of this office whose login is no key of `seen`. Asks first when they are
 * more than a tenth of all, or more than a hundred. dry_run: only find out. *retired gets
 * their logins, a new array in any case. 0, or the exit code after saying why not.
 */
int wc_complete(struct wc_run *run, const json_t *seen, bool dry_run, json_t **retired);

#endif
