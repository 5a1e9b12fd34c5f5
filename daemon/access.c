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

void wc_access_rules(struct wc_access_rules *out, const struct wc_config *config)
{
    memset(out, 0, sizeof(*out));
    out->mode = config->access;
    snprintf(out->group, sizeof(out->group), "%s", config->group);
    snprintf(out->admin_group, sizeof(out->admin_group), "%s", config->admin_group);
    out->people_uid_min = config->people_uid_min;
    out->people_uid_max = config->people_uid_max;
    out->own_uid = geteuid();
}

/* ---------------------------------------------------------------- accounts */

struct account {
    struct passwd entry;
    char *buffer;
};

/* 0 (then free out->buffer), -WC_ENOTFOUND, -WC_EIO or -WC_ENOMEM. */
static int read_account(uid_t uid, struct account *out)
{
    struct passwd *found = NULL;
    for (size_t size = NSS_BUFFER_BYTES; size <= NSS_BUFFER_MAX_BYTES; size *= 4) {
        char *buffer = malloc(size);
        if (buffer == NULL)
            return -WC_ENOMEM;
        int error = getpwuid_r(uid, &out->entry, buffer, size, &found);
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
    if (key != NULL)
        snprintf(out, cap, "%s: this machine has no group \"%s\": it lets nobody in",
                 key, name);
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

void wc_access_resolve(const struct wc_access_rules *rules, uid_t uid, gid_t gid,
                       struct wc_caller *out)
{
    memset(out, 0, sizeof(*out));
    out->uid = uid;
    struct account account = {.buffer = NULL};
    int groups_count = 0;
    gid_t *groups = NULL;
    int rc = read_account(uid, &account);
    resolve_login(rc, &account, out);
    if (rc == 0)
        groups = read_groups(&account.entry, &groups_count);

    out->may_admin = uid == 0 || uid == rules->own_uid ||
                     in_group(rules->admin_group, gid, groups, groups_count);
    switch (rules->mode) {
    case WC_ACCESS_EVERYONE:
        out->may_read = true;
        break;
    case WC_ACCESS_PEOPLE:
        out->may_read = is_person(rules, uid);
        /* fall through */
    case WC_ACCESS_GROUP:
        out->may_read = out->may_read || out->may_admin ||
                        in_group(rules->group, gid, groups, groups_count);
        break;
    }
    free(groups);
    free(account.buffer);
}

void wc_access_refusal(const struct wc_access_rules *rules,
                       const struct wc_caller *caller, bool admin, char *out,
                       size_t cap)
{
    if (admin) {
        snprintf(out, cap,
                 "only root and members of the group %s may do this: run it with sudo, "
                 "or ask IT to add you to the group",
                 rules->admin_group);
        return;
    }
    const char *who = rules->mode == WC_ACCESS_PEOPLE
                          ? "accounts of people and members of the group"
                          : "members of the group";
    snprintf(
        out, cap,
        "this office answers %s %s, and your account (uid %lu) is not among them: ask "
        "IT to add it to the group",
        who, rules->group, (unsigned long)caller->uid);
}
