/* SPDX-License-Identifier: Apache-2.0 */
/*
 * me.show, me.set, me.add, me.drop: the caller's own profile. The office signs as its
 * author. Changes of one profile go one after the other, so that none is lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/record.h>

#include "daemon/daemon.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"

enum edit_kind { EDIT_SET, EDIT_ADD, EDIT_DROP };

struct wc_edit {
    struct wc_edit *next;
    struct wc_request *r;
    struct wc_daemon *d;
    enum edit_kind kind;
    bool running;
    char login[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev;
    int waiting_count;     /* for the records and the audit log */
    int rc;                /* what the records said */
    struct wc_buf dropped; /* names, packed one after the other */
    uint32_t dropped_count;
};

/* ---------------------------------------------------------------- show */

static void pack_side(struct wc_buf *b, const char *key, bool has,
                      const struct wc_person *p, const char *login, const char *office)
{
    wc_pack_text(b, key);
    if (has)
        wc_pack_row(b, p, login, office);
    else
        wc_pack_nil(b);
}

/* Load the caller's record; an absent one gives an empty view. Call
 * wc_people_view_fini() in either case but an error. */
static int load_view(const struct wc_daemon *d, const char *login,
                     struct wc_people_view *v)
{
    int rc = wc_people_load(d->records, d->identity->signer.key, login, v);
    if (rc != -WC_ENOTFOUND)
        return rc;
    memset(v, 0, sizeof(*v));
    return 0;
}

static void pack_me(struct wc_buf *b, const struct wc_daemon *d, const char *login,
                    const struct wc_people_view *v)
{
    wc_pack_text(b, "person");
    if (v->has_row || v->has_profile)
        wc_pack_person(b, v, login, d->identity->cert.name, NULL, wc_wall_ms());
    else
        wc_pack_nil(b);
}

void wc_me_show(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_caller *caller = wc_request_caller(r);
    const char *office = d->identity->cert.name;
    struct wc_people_view v;
    int rc = load_view(d, caller->login, &v);
    if (rc != 0) {
        wc_request_fail(r, rc, NULL, "your record %s: tell IT", wc_strerror(rc));
        return;
    }
    char handle[WC_HANDLE_MAX_BYTES + 1];
    snprintf(handle, sizeof(handle), "%s@%s", caller->login, office);
    struct wc_buf out = {0};
    wc_pack_map(&out, 7);
    wc_pack_text(&out, "handle");
    wc_pack_text(&out, handle);
    wc_pack_text(&out, "office");
    wc_pack_text(&out, office);
    wc_pack_text(&out, "admin");
    wc_pack_bool(&out, caller->may_admin);
    wc_pack_text(&out, "rev");
    wc_pack_u64(&out, v.profile_rev);
    pack_me(&out, d, caller->login, &v);
    pack_side(&out, "profile", v.has_profile, &v.profile, caller->login, office);
    pack_side(&out, "row", v.has_row, &v.row, caller->login, office);
    wc_people_view_fini(&v);
    wc_request_reply(r, &out);
}

/* ---------------------------------------------------------------- one after another */

static void edit_start(struct wc_edit *e);

/* Another change of the same profile that is at work, or the first that waits. */
static struct wc_edit *find_edit(struct wc_daemon *d, const char *login, bool running)
{
    struct wc_edit *e = d->edits;
    while (e != NULL && (e->running != running || strcmp(e->login, login) != 0))
        e = e->next;
    return e;
}

/* The request has ended: let the next one of this profile go. A whole row of them may
 * fail at once, so they are started in a loop and not from within each other. */
static void edit_end(struct wc_edit *e)
{
    struct wc_daemon *d = e->d;
    char login[sizeof(e->login)];
    memcpy(login, e->login, sizeof(login));
    struct wc_edit **at = &d->edits;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    d->writers_count--;
    wc_buf_fini(&e->dropped);
    free(e);
    if (d->edits_going_on)
        return;
    d->edits_going_on = true;
    while ((e = find_edit(d, login, false)) != NULL &&
           find_edit(d, login, true) == NULL)
        edit_start(e);
    d->edits_going_on = false;
}

static void edit_fail(struct wc_edit *e, int rc, const char *field, const char *reason)
{
    if (rc == -WC_EFULL)
        wc_request_fail(
            e->r, rc, NULL,
            "the disk of this office's daemon is full: nothing was changed");
    else if (field != NULL && field[0] != '\0')
        wc_request_fail(e->r, rc, field, "%s %s", field,
                        reason == NULL ? wc_strerror(rc) : reason);
    else
        wc_request_fail(e->r, rc, NULL, "your profile %s",
                        reason == NULL ? wc_strerror(rc) : reason);
    edit_end(e);
}

static void edit_reply(struct wc_edit *e)
{
    struct wc_people_view v;
    int rc = load_view(e->d, e->login, &v);
    if (rc != 0) {
        edit_fail(e, rc, NULL, NULL);
        return;
    }
    struct wc_buf out = {0};
    wc_pack_map(&out, e->kind == EDIT_DROP ? 3 : 2);
    pack_me(&out, e->d, e->login, &v);
    wc_pack_text(&out, "rev");
    wc_pack_u64(&out, v.profile_rev);
    if (e->kind == EDIT_DROP) {
        wc_pack_text(&out, "dropped");
        wc_pack_array(&out, e->dropped_count);
        wc_buf_append(&out, e->dropped.data, e->dropped.len);
    }
    wc_people_view_fini(&v);
    wc_request_reply(e->r, &out);
    edit_end(e);
}

static void edit_settle(struct wc_edit *e)
{
    if (--e->waiting_count > 0)
        return;
    if (e->rc != 0)
        edit_fail(e, e->rc, NULL, NULL);
    else
        edit_reply(e);
}

static void edit_stored(void *ctx, int rc)
{
    struct wc_edit *e = ctx;
    e->rc = rc;
    edit_settle(e);
}

/* What somebody does to their own profile does not depend on the audit log: the log counts
 * what it misses. */
static void edit_audited(void *ctx, int rc)
{
    (void)rc;
    edit_settle(ctx);
}

static void edit_audit(struct wc_edit *e)
{
    struct wc_audit_entry entry = {0};
    wc_audit_begin(&entry, "profile", wc_request_caller(e->r));
    wc_audit_about(&entry, e->login, e->d->identity->cert.name);
    wc_audit_say_u64(&entry.members, "rev", e->rev);
    wc_audit_add(e->d->audit, &entry, edit_audited, e);
}

/* ---------------------------------------------------------------- lists */

static uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool same_name(struct wc_slice a, struct wc_slice b)
{
    bool same = a.len == b.len;
    for (size_t i = 0; same && i < a.len; i++)
        same = ascii_lower(a.data[i]) == ascii_lower(b.data[i]);
    return same;
}

static bool has_skill(const struct wc_person *p, struct wc_slice name)
{
    for (uint32_t i = 0; i < p->skill_count; i++)
        if (same_name(p->skills[i].name, name))
            return true;
    return false;
}

static bool has_interest(const struct wc_person *p, struct wc_slice name)
{
    for (uint32_t i = 0; i < p->interest_count; i++)
        if (same_name(p->interests[i], name))
            return true;
    return false;
}

static void note_dropped(struct wc_edit *e, struct wc_slice name)
{
    wc_pack_str(&e->dropped, name);
    e->dropped_count++;
}

/* `lists` becomes what the profile holds without what `lists` names. */
static void lay_drop(struct wc_edit *e, const struct wc_person *held,
                     struct wc_person *lists)
{
    struct wc_person left = {.present = lists->present};
    for (uint32_t i = 0; i < held->skill_count; i++) {
        if (has_skill(lists, held->skills[i].name))
            note_dropped(e, held->skills[i].name);
        else
            left.skills[left.skill_count++] = held->skills[i];
    }
    for (uint32_t i = 0; i < held->interest_count; i++) {
        if (has_interest(lists, held->interests[i]))
            note_dropped(e, held->interests[i]);
        else
            left.interests[left.interest_count++] = held->interests[i];
    }
    *lists = left;
}

/* `lists` becomes what the profile holds with what `lists` names; a skill of the same
 * name is replaced. */
static int lay_add(const struct wc_person *held, struct wc_person *lists,
                   struct wc_field_problem *problem)
{
    struct wc_person sum = {.present = lists->present};
    for (uint32_t i = 0; i < held->skill_count; i++)
        if (!has_skill(lists, held->skills[i].name))
            sum.skills[sum.skill_count++] = held->skills[i];
    for (uint32_t i = 0; i < held->interest_count; i++)
        if (!has_interest(lists, held->interests[i]))
            sum.interests[sum.interest_count++] = held->interests[i];
    if (sum.skill_count + lists->skill_count > WC_SKILLS_MAX_COUNT)
        return wc_field_problem(problem, -WC_ETOOBIG, "skills",
                                "would be more than 64: drop some first");
    if (sum.interest_count + lists->interest_count > WC_INTERESTS_MAX_COUNT)
        return wc_field_problem(problem, -WC_ETOOBIG, "interests",
                                "would be more than 32: drop some first");
    for (uint32_t i = 0; i < lists->skill_count; i++)
        sum.skills[sum.skill_count++] = lists->skills[i];
    for (uint32_t i = 0; i < lists->interest_count; i++)
        sum.interests[sum.interest_count++] = lists->interests[i];
    *lists = sum;
    return 0;
}

/* ---------------------------------------------------------------- changing */

/* What the parameters say, laid out as an edit of the profile that is held. */
static int read_edit(struct wc_edit *e, const struct wc_person *held,
                     struct wc_person *edit, struct wc_field_problem *problem)
{
    static const char *const also[] = {"if_rev", "as", NULL};
    const struct wc_obj *params = wc_request_params(e->r, NULL);
    int rc = wc_person_params_decode(params, also, edit, problem);
    if (rc == 0 && e->kind == EDIT_ADD)
        rc = lay_add(held, edit, problem);
    if (rc == 0 && e->kind == EDIT_DROP)
        lay_drop(e, held, edit);
    return rc;
}

static int check_rev(const struct wc_edit *e, const struct wc_people_view *v,
                     struct wc_field_problem *problem)
{
    uint64_t wanted;
    const struct wc_obj *params = wc_request_params(e->r, NULL);
    if (wc_obj_u64(wc_obj_get(params, "if_rev"), &wanted) != 0 ||
        wanted == v->profile_rev)
        return 0;
    return wc_field_problem(problem, -WC_ESTALE, NULL,
                            "was changed in the meantime: read it again");
}

static int check_quota(const struct wc_edit *e, const struct wc_people_view *v,
                       struct wc_field_problem *problem)
{
    const struct wc_identity *identity = e->d->identity;
    if (v->has_row || v->has_profile ||
        wc_records_people_count(e->d->records, identity->signer.key) <
            identity->cert.quota)
        return 0;
    return wc_field_problem(problem, -WC_ELIMIT, NULL,
                            "is over the number of people that the organisation allows "
                            "this office: tell IT");
}

/* The signed body of the profile after the edit. */
static int build_profile(struct wc_edit *e, const struct wc_people_view *v,
                         const struct wc_person *edit, struct wc_buf *body,
                         uint8_t sig[WC_SIG_BYTES])
{
    const struct wc_signer *office = &e->d->identity->signer;
    const struct wc_obj *old = v->has_profile ? wc_doc_root(v->profile_doc) : NULL;
    struct wc_person p = v->profile;
    uint8_t slot[WC_DIGEST_BYTES], kind;
    struct wc_version version = {0};
    wc_person_merge(&p, edit);
    p.present |= WC_PERSON_CONFIRMED_AT;
    p.confirmed_at_ms = wc_wall_ms();
    wc_slot(slot, WC_KIND_PROFILE, office->key, e->login);
    if (wc_node_slot(wc_engine_node(e->d->engine), slot, &version, &kind) == 0)
        e->rev = version.rev + 1;
    else
        e->rev = 1;
    int rc = wc_person_body(office->key, e->login, e->rev, &p, old, body);
    return rc != 0 ? rc
                   : wc_body_sign(sig, WC_KIND_PROFILE, wc_buf_slice(body), office);
}

static void edit_put(struct wc_edit *e, const struct wc_people_view *v,
                     const struct wc_person *edit)
{
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    int rc = build_profile(e, v, edit, &body, sig);
    if (rc == -WC_ETOOBIG)
        edit_fail(e, rc, NULL, "would be larger than 16 KiB in all");
    else if (rc != 0)
        edit_fail(e, rc, NULL, NULL);
    else {
        e->waiting_count = 2;
        edit_audit(e);
        wc_engine_put(e->d->engine, WC_KIND_PROFILE, wc_buf_slice(&body),
                      e->d->identity->signer.key, sig, edit_stored, e);
    }
    wc_buf_fini(&body);
}

static void edit_start(struct wc_edit *e)
{
    struct wc_people_view v;
    struct wc_person edit;
    struct wc_field_problem problem = {0};
    e->running = true;
    int rc = load_view(e->d, e->login, &v);
    if (rc != 0) {
        edit_fail(e, rc, NULL, NULL);
        return;
    }
    rc = check_rev(e, &v, &problem);
    if (rc == 0)
        rc = read_edit(e, &v.profile, &edit, &problem);
    bool nothing = rc == 0 && e->kind == EDIT_DROP && e->dropped_count == 0;
    if (rc == 0 && !nothing)
        rc = check_quota(e, &v, &problem);
    if (rc != 0)
        edit_fail(e, rc, problem.field, problem.reason);
    else if (nothing)
        edit_reply(e);
    else
        edit_put(e, &v, &edit);
    wc_people_view_fini(&v);
}

static void edit_new(struct wc_request *r, enum edit_kind kind)
{
    struct wc_daemon *d = wc_request_daemon(r);
    struct wc_edit *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    e->r = r;
    e->d = d;
    e->kind = kind;
    memcpy(e->login, wc_request_caller(r)->login, sizeof(e->login));
    bool waits = find_edit(d, e->login, true) != NULL;
    struct wc_edit **at = &d->edits;
    while (*at != NULL) /* in the order in which they came */
        at = &(*at)->next;
    *at = e;
    d->writers_count++;
    if (!waits)
        edit_start(e);
}

void wc_me_set(struct wc_request *r)
{
    edit_new(r, EDIT_SET);
}

void wc_me_add(struct wc_request *r)
{
    edit_new(r, EDIT_ADD);
}

void wc_me_drop(struct wc_request *r)
{
    edit_new(r, EDIT_DROP);
}
