/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storing an edit of one's own profile: fetch what is there, build the new body, sign it
 * with the person's key, send it. Done again on the newer body when somebody was quicker.
 * What is there is looked at before it is signed again: a body under one's own key must
 * carry one's own signature, so that the office cannot slip words in.
 */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include <whocan/edit.h>

#include "cli/run.h"

struct wc_profile_edit {
    enum wc_edit_kind kind;
    const json_t *fields; /* an object of fields, as me.set takes them */
    const json_t
        *if_rev; /* an integer: refuse when the profile has another rev; NULL */
    const char *confirms; /* id of the pending change that this is; or NULL */
};

/* Why an edit was refused, here or by the daemon. */
struct wc_profile_refusal {
    int rc; /* -WC_E...; 0: it was not refused */
    char why[512];
};

/*
 * 0 with *result (the caller's): person, rev, and of WC_EDIT_DROP dropped. Else an exit
 * code: with refusal->rc set nothing has been said yet, otherwise it has.
 */
int wc_profile_store(struct wc_run *run, const struct wc_profile_edit *edit,
                     json_t **result, struct wc_profile_refusal *refusal);

/* Say why it was refused; returns the exit code. */
int wc_profile_refused(struct wc_run *run, const struct wc_profile_refusal *refusal);

#endif
