/* SPDX-License-Identifier: Apache-2.0 */
/* Who a caller is, and what they may do. A uid comes from SO_PEERCRED; all else follows
 * from the account database and the configuration. */
#ifndef WHOCAN_DAEMON_ACCESS_H
#define WHOCAN_DAEMON_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/config.h"

/*
 * Who may do what: the roles, in the words of docs/socket.md and api.describe. The row of
 * a method in daemon/methods.c names the role that it takes; the intranet's calls the
 * methods of `read`, and with the parameter `as` those that have it.
 */
enum wc_role { WC_ROLE_READ, WC_ROLE_SELF, WC_ROLE_ADMIN, WC_ROLE_INTRANET };
#define WC_ROLES_COUNT 4
struct wc_role_row {
    const char *name;
    const char *who;
};
extern const struct wc_role_row wc_roles[WC_ROLES_COUNT]; /* by enum wc_role */

/* A copy of what the configuration says, so that a thread of the pool can use it while
 * the configuration is read anew. */
struct wc_access_rules {
    enum wc_access_mode mode;
    char group[WC_PATH_MAX_BYTES + 1];
    char admin_group[WC_PATH_MAX_BYTES + 1];
    char intranet_user[WC_PATH_MAX_BYTES + 1]; /* a name or a uid; empty: none */
    bool intranet_acts;
    uint64_t people_uid_min, people_uid_max;
    uid_t own_uid; /* the daemon's user */
};
void wc_access_rules(struct wc_access_rules *out, const struct wc_config *config);

/* One line for the log about a group or account that was configured and is not there, so
 * that nobody is let in by it; false when all is well. On the pool only, like wc_access_resolve(). The
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
    uid_t uid;      /* of the person that the request speaks for */
    uid_t peer_uid; /* of the process at the other end: limits count by it */
    bool may_read, may_self, may_admin; /* the roles */
    bool is_intranet;                   /* the account intranet_user */
    enum wc_login_state login_state;
    bool via_intranet; /* the intranet's account speaks for this person */
    char login[WC_SUBJECT_MAX_BYTES + 1]; /* when WC_LOGIN_OK */
};

/* Look a caller up. Asks the account database, which may take long: on the pool only.
 * Never fails: what cannot be read gives no right. */
void wc_access_resolve(const struct wc_access_rules *rules, uid_t uid, gid_t gid,
                       struct wc_caller *out);

/* Whether `intranet` may act for others; when not, one line that names the key. */
bool wc_access_may_act(const struct wc_access_rules *rules,
                       const struct wc_caller *intranet, char *why, size_t cap);

/*
 * The person with that login, for whom `intranet` acts: their rights as if they were here
 * themselves, less administration, and via_intranet. 0; -WC_EINVALID: it cannot be a
 * handle; -WC_ENOTFOUND: no such account; -WC_EDENIED: `access` does not let it in;
 * -WC_EIO, -WC_ENOMEM: the account database could not be read. *out is filled at 0 only.
 * On the pool only.
 */
int wc_access_resolve_as(const struct wc_access_rules *rules,
                         const struct wc_caller *intranet, const char *login,
                         struct wc_caller *out);

/* One line for somebody who was refused a role: who has it, and what to change. */
void wc_access_refusal(const struct wc_access_rules *rules,
                       const struct wc_caller *caller, enum wc_role role, char *out,
                       size_t cap);

#endif
