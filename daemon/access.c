/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <whocan/person.h>

#define NSS_BUFFER_BYTES     16384
#define NSS_BUFFER_MAX_BYTES (4u << 20) /* a group of a hundred thousand members */
#define GROUPS_MAX_COUNT     65536      /* NGROUPS_MAX of Linux */

const struct wc_role_row wc_roles[WC_ROLES_COUNT] = {
    [WC_ROLE_READ] = {"read", "whom `access` lets in: `people` (human accounts, and "
                              "members of `group`), `group` or `everyone`; "
                              "administrators; the intranet's account"},
    [WC_ROLE_SELF] = {"self", "whom `access` lets in, and administrators: each for "
                              "their own profile"},
    [WC_ROLE_ADMIN] = {"admin",
                       "root, the daemon's own user, members of `admin_group`"},
    [WC_ROLE_INTRANET] = {"intranet",
                          "the account `intranet_user`: calls what `read` calls; with "
                          "`intranet_acts = yes` it also acts for a person, where a "
                          "method has the parameter `as`"},
};

void wc_access_rules(struct wc_access_rules *out, const struct wc_config *config)
{
    memset(out, 0, sizeof(*out));
    out->mode = config->access;
    snprintf(out->group, sizeof(out->group), "%s", config->group);
    snprintf(out->admin_group, sizeof(out->admin_group), "%s", config->admin_group);
    if (config->intranet_user != NULL)
        snprintf(out->intranet_user, sizeof(out->intranet_user), "%s",
                 config->intranet_user);
    out->intranet_acts = config->intranet_acts;
    out->people_uid_min = config->people_uid_min;
    out->people_uid_max = config->people_uid_max;
    out->own_uid = geteuid();
}

/* ---------------------------------------------------------------- accounts */

struct account {
    struct passwd entry;
    char *buffer;
};

/* By name, or by uid when name is NULL. 0 (then free out->buffer), -WC_ENOTFOUND, -WC_EIO
 * or -WC_ENOMEM. */
static int read_account(const char *name, uid_t uid, struct account *out)
{
    struct passwd *found = NULL;
    for (size_t size = NSS_BUFFER_BYTES; size <= NSS_BUFFER_MAX_BYTES; size *= 4) {
        char *buffer = malloc(size);
        if (buffer == NULL)
            return -WC_ENOMEM;
        int error = name == NULL ? getpwuid_r(uid, &out->entry, buffer, size, &found)
                                 : getpwnam_r(name, &out->entry, buffer, size, &found);
        if (error == 0 && found != NULL) {
            out->buffer = buffer;
            return 0;
        }
        free(buffer);
        if (error != ERANGE)
            return error == 0 ? -WC_ENOTFOUND : -WC_EIO;
    }
    return -WC_EIO;
}

/* The uid that the text says: a number, or the name of an account. False when there is no
 * such account, or it could not be read. */
static bool user_number(const char *text, uid_t *out)
{
    struct account account = {.buffer = NULL};
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '\0') {
        unsigned long long number = strtoull(text, NULL, 10);
        *out = (uid_t)number;
        return digits <= 10 && number < UINT32_MAX; /* (uid_t)-1 is nobody's */
    }
    if (read_account(text, 0, &account) != 0)
        return false;
    *out = account.entry.pw_uid;
    free(account.buffer);
    return true;
}

/* The number of a group. False when there is none, or it could not be read. */
static bool group_number(const char *name, gid_t *out)
{
    struct group entry, *found = NULL;
    int error = ERANGE;
    for (size_t size = NSS_BUFFER_BYTES;
         error == ERANGE && size <= NSS_BUFFER_MAX_BYTES; size *= 4) {
        char *buffer = malloc(size);
        if (buffer == NULL)
            return false;
        error = getgrnam_r(name, &entry, buffer, size, &found);
        if (error == 0 && found != NULL)
            *out = entry.gr_gid;
        free(buffer);
    }
    return error == 0 && found != NULL;
}

static bool is_missing(const char *name, const char *default_name)
{
    gid_t number;
    return strcmp(name, default_name) != 0 && !group_number(name, &number);
}

bool wc_access_problem(const struct wc_access_rules *rules, char *out, size_t cap)
{
    const char *key = NULL, *name = NULL;
    if (is_missing(rules->group, WC_DEFAULT_GROUP)) {
        key = "group";
        name = rules->group;
    } else if (is_missing(rules->admin_group, WC_DEFAULT_ADMIN_GROUP)) {
        key = "admin_group";
        name = rules->admin_group;
    }
    uid_t number;
    const char *what = "group";
    if (key == NULL && rules->intranet_user[0] != '\0' &&
        !user_number(rules->intranet_user, &number)) {
        key = "intranet_user";
        name = rules->intranet_user;
        what = "account";
    }
    if (key != NULL)
        snprintf(out, cap, "%s: this machine has no %s \"%s\": it lets nobody in", key,
                 what, name);
    return key != NULL;
}

/* The groups of an account; *count of them, to be freed. NULL when memory is out. */
static gid_t *read_groups(const struct passwd *account, int *count)
{
    int cap = 64;
    gid_t *groups = NULL;
    for (;;) {
        gid_t *bigger = realloc(groups, (size_t)cap * sizeof(*groups));
        if (bigger == NULL)
            break;
        groups = bigger;
        *count = cap;
        if (getgrouplist(account->pw_name, account->pw_gid, groups, count) >= 0)
            return groups;
        if (cap >= GROUPS_MAX_COUNT)
            break;
        cap = *count > cap ? *count : 2 * cap;
        if (cap > GROUPS_MAX_COUNT)
            cap = GROUPS_MAX_COUNT;
    }
    free(groups);
    *count = 0;
    return NULL;
}

static bool in_group(const char *name, gid_t gid, const gid_t *groups, int count)
{
    gid_t wanted;
    if (!group_number(name, &wanted))
        return false;
    bool member = gid == wanted;
    for (int i = 0; i < count && !member; i++)
        member = groups[i] == wanted;
    return member;
}

/* ---------------------------------------------------------------- callers */

static void resolve_login(int rc, const struct account *account, struct wc_caller *out)
{
    if (rc == -WC_ENOTFOUND) {
        out->login_state = WC_LOGIN_NONE;
    } else if (rc != 0) {
        out->login_state = WC_LOGIN_UNREADABLE;
    } else if (!wc_login_valid(wc_slice_text(account->entry.pw_name))) {
        out->login_state = WC_LOGIN_INVALID;
    } else {
        out->login_state = WC_LOGIN_OK;
        snprintf(out->login, sizeof(out->login), "%s", account->entry.pw_name);
    }
}

static bool is_person(const struct wc_access_rules *rules, uid_t uid)
{
    return uid >= rules->people_uid_min && uid <= rules->people_uid_max;
}

/* Whether `access` lets an account in, whatever else it may. */
static bool is_let_in(const struct wc_access_rules *rules, uid_t uid, gid_t gid,
                      const gid_t *groups, int groups_count)
{
    switch (rules->mode) {
    case WC_ACCESS_EVERYONE:
        return true;
    case WC_ACCESS_PEOPLE:
        if (is_person(rules, uid))
            return true;
        /* fall through */
    case WC_ACCESS_GROUP:
        return in_group(rules->group, gid, groups, groups_count);
    }
    return false;
}

void wc_access_resolve(const struct wc_access_rules *rules, uid_t uid, gid_t gid,
                       struct wc_caller *out)
{
    memset(out, 0, sizeof(*out));
    out->uid = out->peer_uid = uid;
    struct account account = {.buffer = NULL};
    int groups_count = 0;
    gid_t *groups = NULL;
    uid_t intranet_uid;
    int rc = read_account(NULL, uid, &account);
    resolve_login(rc, &account, out);
    if (rc == 0)
        groups = read_groups(&account.entry, &groups_count);

    out->may_admin = uid == 0 || uid == rules->own_uid ||
                     in_group(rules->admin_group, gid, groups, groups_count);
    out->is_intranet = rules->intranet_user[0] != '\0' &&
                       user_number(rules->intranet_user, &intranet_uid) &&
                       uid == intranet_uid;
    out->may_self = out->may_admin || is_let_in(rules, uid, gid, groups, groups_count);
    out->may_read = out->may_self || out->is_intranet;
    free(groups);
    free(account.buffer);
}

bool wc_access_may_act(const struct wc_access_rules *rules,
                       const struct wc_caller *intranet, char *why, size_t cap)
{
    if (intranet->is_intranet && rules->intranet_acts)
        return true;
    if (intranet->is_intranet)
        snprintf(why, cap,
                 "the intranet may not act for people here: IT allows it with "
                 "intranet_acts = yes");
    else
        snprintf(why, cap,
                 "you act for yourself alone: \"as\" is for the account that IT names "
                 "with intranet_user");
    return false;
}

int wc_access_resolve_as(const struct wc_access_rules *rules,
                         const struct wc_caller *intranet, const char *login,
                         struct wc_caller *out)
{
    struct account account = {.buffer = NULL};
    int groups_count = 0;
    if (!wc_login_valid(wc_slice_text(login)))
        return -WC_EINVALID;
    int rc = read_account(login, 0, &account);
    if (rc != 0)
        return rc;
    gid_t gid = account.entry.pw_gid;
    gid_t *groups = read_groups(&account.entry, &groups_count);
    if (is_let_in(rules, account.entry.pw_uid, gid, groups, groups_count)) {
        *out = (struct wc_caller){.uid = account.entry.pw_uid,
                                  .peer_uid = intranet->peer_uid,
                                  .may_read = true,
                                  .may_self = true,
                                  .via_intranet = true};
        resolve_login(0, &account, out);
        /* a database that folds case or adds a domain answers with the real name */
        rc = out->login_state == WC_LOGIN_OK ? 0 : -WC_EINVALID;
    } else {
        rc = -WC_EDENIED;
    }
    free(groups);
    free(account.buffer);
    return rc;
}

static void refuse_reading(const struct wc_access_rules *rules,
                           const struct wc_caller *caller, char *out, size_t cap)
{
    const char *who = rules->mode == WC_ACCESS_PEOPLE
                          ? "accounts of people and members of the group"
                          : "members of the group";
    snprintf(
        out, cap,
        "this office answers %s %s, and your account (uid %lu) is not among them: ask "
        "IT to add it to the group",
        who, rules->group, (unsigned long)caller->uid);
}

void wc_access_refusal(const struct wc_access_rules *rules,
                       const struct wc_caller *caller, enum wc_role role, char *out,
                       size_t cap)
{
    switch (role) {
    case WC_ROLE_ADMIN:
        snprintf(out, cap,
                 "only root and members of the group %s may do this: run it with sudo, "
                 "or ask IT to add you to the group",
                 rules->admin_group);
        break;
    case WC_ROLE_SELF:
    case WC_ROLE_INTRANET:
        if (caller->is_intranet) {
            snprintf(
                out, cap,
                "the intranet's account has no profile of its own: say with \"as\" "
                "whose it is");
            break;
        }
        /* fall through */
    case WC_ROLE_READ:
        refuse_reading(rules, caller, out, cap);
        break;
    }
}
