/* SPDX-License-Identifier: Apache-2.0 */
/* Who a caller is, and what they may do. A uid comes from SO_PEERCRED; all else follows
 * from the account database and the configuration. */
#ifndef WHOCAN_DAEMON_ACCESS_H
#define WHOCAN_DAEMON_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/config.h"

/* A copy of what the configuration says, so that a thread of the pool can use it while
 * the configuration is read anew. */
struct wc_access_rules {
    enum wc_access_mode mode;
    char group[WC_PATH_MAX_BYTES + 1];
    char admin_group[WC_PATH_MAX_BYTES + 1];
    uint64_t people_uid_min, people_uid_max;
    uid_t own_uid; /* the daemon's user */
};
void wc_access_rules(struct wc_access_rules *out, const struct wc_config *config);

/* One line for the log about a group that was configured and is not there, so that nobody
 * is let in by it; false when all is well. On the pool only, like wc_access_resolve(). The
 * defaults may be missing: an office that a person runs for themselves has no use for
 * them. */
bool wc_access_problem(const struct wc_access_rules *rules, char *out, size_t cap);

enum wc_login_state {
    WC_LOGIN_OK,
    WC_LOGIN_NONE,       /* the uid has no account */
    WC_LOGIN_INVALID,    /* it has one whose name cannot be a handle */
    WC_LOGIN_UNREADABLE, /* the account database could not be read */
};

struct wc_caller {
    uid_t uid;
    bool may_read;  /* access `read` and `self` */
    bool may_admin; /* access `admin` */
    enum wc_login_state login_state;
    char login[WC_SUBJECT_MAX_BYTES + 1]; /* when WC_LOGIN_OK */
};

/* Look a caller up. Asks the account database, which may take long: on the pool only.
 * Never fails: what cannot be read gives no right. */
void wc_access_resolve(const struct wc_access_rules *rules, uid_t uid, gid_t gid,
                       struct wc_caller *out);

/* One line for somebody who was refused: who may, and what to change. */
void wc_access_refusal(const struct wc_access_rules *rules,
                       const struct wc_caller *caller, bool admin, char *out,
                       size_t cap);

#endif
