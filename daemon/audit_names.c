/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/audit_names.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/error.h>
#include <whocan/pack.h>

#define PEOPLE             "person/" /* as wc_about_prefix() begins */
#define BATCH_COUNT        256       /* people in one read transaction */
#define ACCOUNTS_MAX_COUNT 64 /* whose names are asked for; the others stay numbers */
#define NSS_BUFFER_BYTES   16384

struct name {
    char person[WC_AUDIT_PERSON_CHARS + 1];
    char login[WC_SUBJECT_MAX_BYTES + 1]; /* empty: an account without a name */
    uint64_t page;                        /* on which it was given last */
};

struct account {
    uint64_t uid;
    struct name name;
};

struct wc_audit_names {
    const struct wc_audit *audit;
    struct name *people; /* in the order of their hashes */
    uint64_t count, cap;
    struct account accounts[ACCOUNTS_MAX_COUNT];
    uint32_t accounts_count;
    uint64_t page;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->person, ((const struct name *)b)->person);
}

/* ---- people ---- */

static int add(struct wc_audit_names *n, struct wc_slice login)
{
    if (n->count == n->cap) {
        uint64_t cap = 2 * n->cap + BATCH_COUNT;
        struct name *people = realloc(n->people, cap * sizeof(*people));
        if (people == NULL)
            return -WC_ENOMEM;
        n->people = people;
        n->cap = cap;
    }
    struct name *name = &n->people[n->count];
    *name = (struct name){.login = ""};
    n->count += wc_slice_copy(login, name->login, sizeof(name->login));
    return 0;
}

static int add_people(struct wc_audit_names *n, struct wc_records *records,
                      const uint8_t office_key[WC_KEY_BYTES])
{
    struct wc_person_ref refs[BATCH_COUNT], last;
    const struct wc_person_ref *after = NULL;
    int count, rc = 0;
    do {
        count = wc_records_people(records, office_key, after, refs, BATCH_COUNT);
        if (count < 0)
            return count;
        for (int i = 0; rc == 0 && i < count; i++)
            rc = add(n, wc_slice_text(refs[i].subject));
        if (count > 0) {
            last = refs[count - 1];
            after = &last;
        }
    } while (rc == 0 && count == BATCH_COUNT);
    return rc;
}

/* "person/LOGIN/fact": of one login they stand together. */
static int add_known(void *ctx, struct wc_slice key, struct wc_slice value)
{
    struct wc_audit_names *n = ctx;
    const size_t prefix = sizeof(PEOPLE) - 1;
    const uint8_t *end =
        key.len <= prefix ? NULL : memchr(key.data + prefix, '/', key.len - prefix);
    (void)value;
    if (end == NULL)
        return 0;
    struct wc_slice login =
        wc_slice(key.data + prefix, (size_t)(end - key.data) - prefix);
    if (n->count > 0 && wc_slice_is(login, n->people[n->count - 1].login))
        return 0;
    return add(n, login);
}

static int read_people(struct wc_audit_names *n, struct wc_records *records,
                       const uint8_t office_key[WC_KEY_BYTES])
{
    int rc = add_people(n, records, office_key);
    if (rc == 0)
        rc = wc_records_meta_each(records, PEOPLE, add_known, n);
    for (uint64_t i = 0; rc == 0 && i < n->count; i++)
        wc_audit_hash(n->audit, wc_slice_text(n->people[i].login), n->people[i].person);
    if (rc == 0 && n->count > 0)
        qsort(n->people, n->count, sizeof(*n->people), compare);
    return rc;
}

int wc_audit_names_new(struct wc_audit_names **out, const struct wc_audit *audit,
                       struct wc_records *records,
                       const uint8_t office_key[WC_KEY_BYTES])
{
    struct wc_audit_names *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return -WC_ENOMEM;
    n->audit = audit;
    int rc = read_people(n, records, office_key);
    if (rc == 0)
        *out = n;
    else
        wc_audit_names_free(n);
    return rc;
}

void wc_audit_names_free(struct wc_audit_names *n)
{
    if (n == NULL)
        return;
    free(n->people);
    free(n);
}

/* ---- accounts ---- */

/* The number behind "uid":. */
static bool read_uid(struct wc_slice line, uint64_t *uid)
{
    static const char key[] = ",\"uid\":";
    const uint8_t *at = memmem(line.data, line.len, key, sizeof(key) - 1);
    if (at == NULL)
        return false;
    const uint8_t *end = line.data + line.len;
    *uid = 0;
    for (at += sizeof(key) - 1; at < end && *at >= '0' && *at <= '9'; at++)
        if ((*uid = *uid * 10 + (uint64_t)(*at - '0')) > UINT32_MAX)
            return false;
    return true;
}

static void name_account(const struct wc_audit_names *n, struct name *out,
                         const char *login)
{
    if (wc_slice_copy(wc_slice_text(login), out->login, sizeof(out->login)))
        wc_audit_hash(n->audit, wc_slice_text(login), out->person);
}

static void learn(struct wc_audit_names *n, struct wc_slice line)
{
    char buffer[NSS_BUFFER_BYTES];
    struct passwd entry, *found = NULL;
    uint64_t uid;
    if (!read_uid(line, &uid) || n->accounts_count == ACCOUNTS_MAX_COUNT)
        return;
    for (uint32_t i = 0; i < n->accounts_count; i++)
        if (n->accounts[i].uid == uid)
            return;
    struct account *a = &n->accounts[n->accounts_count++];
    *a = (struct account){.uid = uid};
    if (getpwuid_r((uid_t)uid, &entry, buffer, sizeof(buffer), &found) == 0 &&
        found != NULL)
        name_account(n, &a->name, entry.pw_name);
}

/* ---- looking ---- */

static struct name *find(struct wc_audit_names *n, struct wc_slice person)
{
    struct name wanted = {.login = ""};
    wc_slice_copy(person, wanted.person, sizeof(wanted.person));
    struct name *hit = n->count == 0 ? NULL
                                     : bsearch(&wanted, n->people, n->count,
                                               sizeof(*n->people), compare);
    for (uint32_t i = 0; hit == NULL && i < n->accounts_count; i++)
        if (wc_slice_is(person, n->accounts[i].name.person))
            hit = &n->accounts[i].name;
    return hit;
}

void wc_audit_names_page(struct wc_audit_names *n)
{
    n->page++;
}

void wc_audit_names_of(struct wc_audit_names *n, struct wc_slice line,
                       struct wc_buf *out, uint32_t *count)
{
    struct wc_slice person;
    learn(n, line);
    for (size_t at = 0; wc_audit_next_person(line, &at, &person);) {
        struct name *name = find(n, person);
        if (name == NULL || name->page == n->page)
            continue;
        name->page = n->page;
        wc_pack_str(out, person);
        wc_pack_text(out, name->login);
        (*count)++;
    }
}
