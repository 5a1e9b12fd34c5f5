/* SPDX-License-Identifier: Apache-2.0 */
/*
 * me.show, me.put, me.reject, and me.set, me.add, me.drop: the caller's own profile.
 *
 * me.put brings a body that the person signed: checked, the key enrolled, stamped. The
 * other three are for somebody without a key: the office writes the body and signs as its
 * author, which every reader sees. Once there is a key they change nothing: what they ask
 * for waits until its owner confirms it.
 *
 * All that is done about one login goes one after the other, so that no change is lost.
 * Each begins with whose login it is: one that an account with another uid used before is
 * another person's, whose profile is retired and not inherited.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/edit.h>
#include <whocan/record.h>

#include "daemon/daemon.h"
#include "daemon/local.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"
#include "daemon/signed_edit.h"

enum job { JOB_SHOW, JOB_SET, JOB_ADD, JOB_DROP, JOB_PUT, JOB_REJECT };

struct wc_edit {
    struct wc_edit *next;
    struct wc_request *r;
    struct wc_daemon *d;
    enum job job;
    bool running;
    char login[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t uid;
    struct wc_enrolment enrolled, enrolling; /* as it is; as it is to be */
    /* what is to be stored */
    struct wc_buf body;
    bool local_known;    /* what stands beside it is replaced, and not left as it is */
    struct wc_buf local; /* the value of local.h; empty: there is none any more */
    uint8_t author_key[WC_KEY_BYTES];
    uint8_t author_sig[WC_SIG_BYTES];
    uint64_t rev;
    int waiting_count;     /* for the records and the audit log */
    bool waits;            /* it is to be confirmed by its owner; `body` has it */
    struct wc_buf dropped; /* names, packed one after the other */
    uint32_t dropped_count;
    /* a write on the pool, and what comes after it */
    int (*write)(struct wc_edit *e);
    void (*then)(struct wc_edit *e);
    int rc;
};

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
    wc_buf_fini(&e->body);
    wc_buf_fini(&e->local);
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

static void edit_fail_problem(struct wc_edit *e, const struct wc_field_problem *p)
{
    edit_fail(e, p->rc, p->field, p->reason);
}

/* ---- writes that wait for the disk ---- */

static void write_work(void *ctx)
{
    struct wc_edit *e = ctx;
    e->rc = e->write(e);
}

static void write_done(void *ctx)
{
    struct wc_edit *e = ctx;
    if (e->rc == -WC_EEXISTS)
        edit_fail(e, e->rc, "key",
                  "is another account's: move the file of the key away, and the next "
                  "edit makes a new one");
    else if (e->rc != 0)
        edit_fail(e, e->rc, NULL, NULL);
    else
        e->then(e);
}

static void write_then(struct wc_edit *e, int (*write)(struct wc_edit *e),
                       void (*then)(struct wc_edit *e))
{
    e->write = write;
    e->then = then;
    int rc = wc_loop_work(e->d->loop, write_work, write_done, e);
    if (rc != 0)
        edit_fail(e, rc, NULL, NULL);
}

static int write_enrolment(struct wc_edit *e)
{
    return wc_enrol_put(e->d->records, e->login, &e->enrolled, &e->enrolling, false);
}

static int write_settled(struct wc_edit *e)
{
    return wc_enrol_put(e->d->records, e->login, &e->enrolled, &e->enrolling, true);
}

static int write_waiting(struct wc_edit *e)
{
    return wc_pending_put(e->d->records, e->login, wc_buf_slice(&e->body));
}

static int write_none_waiting(struct wc_edit *e)
{
    return wc_pending_drop(e->d->records, e->login);
}

/* ---------------------------------------------------------------- looking */

/* Load the caller's record; an absent one gives an empty view. Call
 * wc_people_view_fini() in either case but an error. */
static int load_view(const struct wc_daemon *d, const char *login,
                     struct wc_people_view *v)
{
    int rc = wc_people_load_shown(d->records, d->identity->signer.key, login,
                                  WC_AUDIENCE_ME, v);
    if (rc != -WC_ENOTFOUND)
        return rc;
    memset(v, 0, sizeof(*v));
    return 0;
}

/* The rev that comes next in the slot of the profile, and whether one is there now. */
static uint64_t next_rev(const struct wc_edit *e, bool *live)
{
    uint8_t slot[WC_DIGEST_BYTES], kind;
    struct wc_version version;
    wc_slot(slot, WC_KIND_PROFILE, e->d->identity->signer.key, e->login);
    int rc = wc_node_slot(wc_engine_node(e->d->engine), slot, &version, &kind);
    *live = rc == 0 && kind == WC_KIND_PROFILE;
    return rc == 0 ? version.rev + 1 : 1;
}

static void pack_side(struct wc_buf *b, const char *key, bool has,
                      const struct wc_person *p, const char *login, const char *office)
{
    wc_pack_text(b, key);
    if (has)
        wc_pack_row(b, p, login, office);
    else
        wc_pack_nil(b);
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

/* What waits for the person's word, or nil. */
static int pack_pending(struct wc_buf *b, const struct wc_edit *e)
{
    struct wc_pending_edit waiting;
    wc_pack_text(b, "pending");
    int rc = wc_pending_get(e->d->records, e->login, &waiting);
    if (rc == -WC_ENOTFOUND)
        wc_pack_nil(b);
    if (rc != 0)
        return rc == -WC_ENOTFOUND ? 0 : rc;
    wc_pack_map(b, 5);
    wc_pack_text(b, "id");
    wc_pack_text(b, waiting.id);
    wc_pack_text(b, "edit");
    wc_pack_text(b, wc_edit_name(waiting.kind));
    wc_pack_text(b, "asked_at");
    wc_pack_time(b, waiting.asked_at_ms);
    wc_pack_text(b, "by");
    wc_pack_str(b, waiting.by);
    wc_pack_text(b, "fields");
    wc_pack_obj(b, waiting.fields);
    wc_pending_fini(&waiting);
    return 0;
}

/* The body that is there with whose word it is, so that nobody signs what they did not
 * write without knowing. */
static void pack_signed(struct wc_buf *b, const struct wc_people_view *v)
{
    struct wc_record record;
    bool there = v->has_profile &&
                 wc_record_decode(wc_buf_slice(&v->profile_bytes), &record, NULL) == 0;
    const struct {
        const char *name;
        struct wc_slice value;
    } parts[] = {
        {"body", there ? record.body : wc_slice(NULL, 0)},
        {"author_key", wc_slice(record.author_key, WC_KEY_BYTES)},
        {"author_sig", wc_slice(record.author_sig, WC_SIG_BYTES)},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        wc_pack_text(b, parts[i].name);
        if (there)
            wc_pack_bin(b, parts[i].value);
        else
            wc_pack_nil(b);
    }
}

/* What a program needs to sign the next body with the key that it names, or nil. */
static void pack_edit(struct wc_buf *b, const struct wc_edit *e,
                      const struct wc_people_view *v)
{
    struct wc_slice key;
    uint64_t now_ms = wc_wall_ms();
    bool live;
    wc_pack_text(b, "edit");
    if (wc_obj_bin(wc_obj_get(wc_request_params(e->r, NULL), "key"), &key) != 0) {
        wc_pack_nil(b);
        return;
    }
    wc_pack_map(b, 9);
    wc_pack_text(b, "office_key");
    wc_pack_bin(b, wc_slice(e->d->identity->signer.key, WC_KEY_BYTES));
    wc_pack_text(b, "subject");
    wc_pack_text(b, e->login);
    wc_pack_text(b, "rev");
    wc_pack_u64(b, next_rev(e, &live));
    wc_pack_text(b, "now");
    wc_pack_u64(b, now_ms);
    wc_pack_text(b, "key_changed_at");
    wc_pack_u64(b, wc_key_changed_due(&e->enrolled, key.data, now_ms));
    pack_signed(b, v);
    wc_pack_text(b, "local");
    if (wc_parts_has_local(&v->local))
        wc_parts_pack(b, &v->local);
    else
        wc_pack_nil(b);
}

static void show(struct wc_edit *e, const struct wc_people_view *v)
{
    struct wc_daemon *d = e->d;
    const char *office = d->identity->cert.name;
    char handle[WC_HANDLE_MAX_BYTES + 1];
    struct wc_buf out = {0};
    snprintf(handle, sizeof(handle), "%s@%s", e->login, office);
    wc_pack_map(&out, 10);
    wc_pack_text(&out, "handle");
    wc_pack_text(&out, handle);
    wc_pack_text(&out, "office");
    wc_pack_text(&out, office);
    wc_pack_text(&out, "admin");
    wc_pack_bool(&out, wc_request_caller(e->r)->may_admin);
    wc_pack_text(&out, "rev");
    wc_pack_u64(&out, v->profile_rev);
    pack_me(&out, d, e->login, v);
    struct wc_person own = v->profile;
    wc_parts_join(&own, &v->local, WC_AUDIENCE_ME);
    pack_side(&out, "profile", v->has_profile, &own, e->login, office);
    pack_side(&out, "row", v->has_row, &v->row, e->login, office);
    wc_pack_text(&out, "has_key");
    wc_pack_bool(&out, e->enrolled.has_key);
    int rc = pack_pending(&out, e);
    if (rc != 0) {
        wc_buf_fini(&out);
        edit_fail(e, rc, NULL, NULL);
        return;
    }
    pack_edit(&out, e, v);
    wc_request_reply(e->r, &out);
    edit_end(e);
}

/* ---------------------------------------------------------------- answering */

static void reply(struct wc_edit *e)
{
    struct wc_people_view v;
    int rc = load_view(e->d, e->login, &v);
    if (rc != 0) {
        edit_fail(e, rc, NULL, NULL);
        return;
    }
    struct wc_buf out = {0};
    bool drops = e->job == JOB_DROP, put = e->job == JOB_PUT;
    wc_pack_map(&out, 2 + (uint32_t)drops + (uint32_t)!put);
    pack_me(&out, e->d, e->login, &v);
    wc_pack_text(&out, "rev");
    wc_pack_u64(&out, v.profile_rev);
    if (drops) {
        wc_pack_text(&out, "dropped");
        wc_pack_array(&out, e->dropped_count);
        wc_buf_append(&out, e->dropped.data, e->dropped.len);
    }
    if (!put) {
        wc_pack_text(&out, "waits");
        wc_pack_bool(&out, e->waits);
    }
    wc_people_view_fini(&v);
    wc_request_reply(e->r, &out);
    edit_end(e);
}

static void reply_rejected(struct wc_edit *e)
{
    struct wc_buf out = {0};
    wc_pack_map(&out, 0);
    wc_request_reply(e->r, &out);
    edit_end(e);
}

/* ---------------------------------------------------------------- storing a profile */

static void profile_settle(struct wc_edit *e)
{
    const struct wc_obj *params = wc_request_params(e->r, NULL);
    if (--e->waiting_count > 0)
        return;
    if (e->rc == -WC_ETOOBIG)
        edit_fail(e, e->rc, NULL, "would be larger than 16 KiB in all");
    else if (e->rc != 0)
        edit_fail(e, e->rc, NULL, NULL);
    else if (e->job == JOB_PUT && wc_obj_get(params, "confirms") != NULL)
        write_then(e, write_none_waiting, reply);
    else
        reply(e);
}

static void profile_stored(void *ctx, int rc)
{
    struct wc_edit *e = ctx;
    e->rc = rc;
    profile_settle(e);
}

/* What somebody does to their own profile does not depend on the audit log: the log counts
 * what it misses. */
static void profile_audited(void *ctx, int rc)
{
    (void)rc;
    profile_settle(ctx);
}

static void audit_begin(const struct wc_edit *e, struct wc_audit_entry *entry,
                        const char *act)
{
    wc_audit_begin(e->d->audit, entry, act, wc_request_caller(e->r));
    wc_audit_about(e->d->audit, entry, wc_slice_text(e->login),
                   wc_slice_text(e->d->identity->cert.name));
}

static void audit(struct wc_edit *e)
{
    struct wc_audit_entry entry = {0};
    audit_begin(e, &entry, "profile");
    wc_audit_say_u64(&entry.members, "rev", e->rev);
    wc_audit_add(e->d->audit, &entry, profile_audited, e);
}

static void put_profile(struct wc_edit *e)
{
    char name[WC_LOCAL_NAME_BYTES];
    wc_local_name(e->login, name);
    struct wc_meta_edit beside = {
        .key = name, .value = wc_buf_slice(&e->local), .drop = e->local.len == 0};
    e->enrolled = e->enrolling;
    e->waiting_count = 2;
    audit(e);
    wc_engine_put_with(e->d->engine, WC_KIND_PROFILE, wc_buf_slice(&e->body),
                       e->author_key, e->author_sig, e->local_known ? &beside : NULL,
                       profile_stored, e);
}

/* The line stands before that of the profile, which the answer waits for. */
static void enrolled(struct wc_edit *e)
{
    struct wc_audit_entry entry = {0};
    if (e->enrolling.has_key) {
        audit_begin(e, &entry, "key");
        wc_audit_say(&entry.members, "change",
                     wc_slice_text(e->enrolled.has_key ? "replaced" : "first"));
        wc_audit_add(e->d->audit, &entry, NULL, NULL);
    }
    put_profile(e);
}

/* Who edits is on disk before what they wrote. */
static void enrol_and_put(struct wc_edit *e)
{
    e->enrolling.known = true;
    e->enrolling.uid = e->uid;
    if (!e->enrolled.known)
        e->enrolling.since_ms = wc_wall_ms();
    bool same_key = e->enrolled.has_key == e->enrolling.has_key &&
                    memcmp(e->enrolled.key, e->enrolling.key, WC_KEY_BYTES) == 0;
    if (e->enrolled.known && same_key)
        put_profile(e);
    else
        write_then(e, write_enrolment, enrolled);
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

/* ---------------------------------------------------------------- me.put */

static int keep_local(struct wc_edit *e, const struct wc_parts *parts,
                      struct wc_field_problem *problem)
{
    int rc = wc_parts_has_local(parts) ? wc_local_pack(&e->local, parts) : 0;
    return rc == 0 ? 0
                   : wc_field_problem(problem, rc, NULL,
                                      rc == -WC_ETOOBIG
                                          ? "would keep more than 16 KiB for its office"
                                          : NULL);
}

static int read_bin(const struct wc_edit *e, const char *name, struct wc_slice *out)
{
    return wc_obj_bin(wc_obj_get(wc_request_params(e->r, NULL), name), out);
}

/* What is confirmed must be what waits: a newer one may have come while it was read. */
static int check_confirms(const struct wc_edit *e, struct wc_field_problem *problem)
{
    struct wc_slice id;
    struct wc_pending_edit waiting;
    const struct wc_obj *params = wc_request_params(e->r, NULL);
    if (wc_obj_str(wc_obj_get(params, e->job == JOB_PUT ? "confirms" : "id"), &id) != 0)
        return 0;
    int rc = wc_pending_get(e->d->records, e->login, &waiting);
    bool same = rc == 0 && wc_slice_is(id, waiting.id);
    if (rc == 0)
        wc_pending_fini(&waiting);
    if (rc == -WC_ENOTFOUND || (rc == 0 && !same))
        return wc_field_problem(problem, -WC_ESTALE, NULL,
                                "has no such change waiting: read it again");
    return rc == 0 ? 0 : wc_field_problem(problem, rc, NULL, NULL);
}

/* What is to stand beside the body: no field may stand in both, or everybody would get
 * what is for a few. */
static int check_local(struct wc_edit *e, const struct wc_obj *body,
                       const struct wc_people_view *v, struct wc_field_problem *problem)
{
    const struct wc_obj *local = wc_obj_get(wc_request_params(e->r, NULL), "local");
    struct wc_parts parts = v->local;
    struct wc_err err = {0};
    int rc = wc_person_decode(body, &parts.of[WC_AUDIENCE_ORGANISATION], &err);
    e->local_known = local != NULL;
    if (rc == 0 && e->local_known)
        rc = wc_parts_read(&parts, local, &err);
    if (rc == 0)
        rc = wc_parts_check(&parts, &err);
    if (rc != 0)
        return wc_field_problem(problem, rc, err.field, err.why);
    return keep_local(e, &parts, problem);
}

static int check_body_local(struct wc_edit *e, struct wc_slice body,
                            const struct wc_people_view *v,
                            struct wc_field_problem *problem)
{
    struct wc_doc *doc;
    int rc = wc_doc_new(body, &wc_scan_default, &doc);
    if (rc != 0)
        return wc_field_problem(problem, rc, "body", NULL);
    rc = check_local(e, wc_doc_root(doc), v, problem);
    wc_doc_free(doc);
    return rc;
}

static int check_put(struct wc_edit *e, const struct wc_people_view *v,
                     struct wc_field_problem *problem)
{
    struct wc_slice body, key, sig;
    uint64_t changed_ms;
    bool live;
    int rc = read_bin(e, "body", &body);
    if (rc == 0)
        rc = read_bin(e, "key", &key);
    if (rc == 0)
        rc = read_bin(e, "sig", &sig);
    if (rc != 0)
        return wc_field_problem(problem, rc, NULL, NULL);
    struct wc_signed_edit edit = {.body = body, .key = key.data, .sig = sig.data};
    struct wc_signed_rules rules = {.office_key = e->d->identity->signer.key,
                                    .login = e->login,
                                    .rev = next_rev(e, &live),
                                    .enrolled = &e->enrolled,
                                    .now_ms = wc_wall_ms()};
    rc = wc_signed_edit_check(&edit, &rules, &changed_ms, problem);
    if (rc == 0)
        rc = check_body_local(e, body, v, problem);
    if (rc == 0)
        rc = check_confirms(e, problem);
    if (rc == 0)
        rc = check_quota(e, v, problem);
    if (rc != 0)
        return rc;
    e->rev = rules.rev;
    wc_buf_append(&e->body, body.data, body.len);
    memcpy(e->author_key, key.data, WC_KEY_BYTES);
    memcpy(e->author_sig, sig.data, WC_SIG_BYTES);
    if (!e->enrolled.has_key || memcmp(e->enrolled.key, key.data, WC_KEY_BYTES) != 0)
        e->enrolling.key_changed_at_ms = changed_ms;
    e->enrolling.has_key = true;
    memcpy(e->enrolling.key, key.data, WC_KEY_BYTES);
    return e->body.failed ? wc_field_problem(problem, -WC_ENOMEM, NULL, NULL) : 0;
}

static void put(struct wc_edit *e, const struct wc_people_view *v)
{
    struct wc_field_problem problem = {0};
    if (check_put(e, v, &problem) != 0)
        edit_fail_problem(e, &problem);
    else
        enrol_and_put(e);
}

/* ---------------------------------------------------------------- me.set, add, drop */

static enum wc_edit_kind edit_kind(const struct wc_edit *e)
{
    return e->job == JOB_SET   ? WC_EDIT_SET
           : e->job == JOB_ADD ? WC_EDIT_ADD
                               : WC_EDIT_DROP;
}

/* What a request asks for, or NULL. */
static const struct wc_obj *audiences(const struct wc_edit *e)
{
    return wc_obj_get(wc_request_params(e->r, NULL), "audience");
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

static void note_dropped(struct wc_edit *e, const struct wc_person *dropped)
{
    for (uint32_t i = 0; i < dropped->skill_count; i++)
        wc_pack_str(&e->dropped, dropped->skills[i].name);
    for (uint32_t i = 0; i < dropped->interest_count; i++)
        wc_pack_str(&e->dropped, dropped->interests[i]);
    e->dropped_count = dropped->skill_count + dropped->interest_count;
}

/* What wc_edit_build() leaves for the office, as it is stored. */
static int store_local(struct wc_edit *e, struct wc_slice map,
                       struct wc_field_problem *problem)
{
    struct wc_parts parts = {.of = {{.present = 0}}};
    struct wc_doc *doc = NULL;
    int rc = 0;
    e->local_known = true;
    if (map.len > 0)
        rc = wc_doc_new(map, &wc_scan_default, &doc);
    if (rc == 0 && doc != NULL)
        rc = wc_parts_read(&parts, wc_doc_root(doc), NULL);
    rc = rc == 0 ? keep_local(e, &parts, problem)
                 : wc_field_problem(problem, rc, NULL, NULL);
    wc_doc_free(doc);
    return rc;
}

/* The body that the office signs, and what stands beside it. */
static int build_body(struct wc_edit *e, const struct wc_people_view *v,
                      const struct wc_person *fields, struct wc_field_problem *problem)
{
    const struct wc_signer *office = &e->d->identity->signer;
    struct wc_person dropped;
    struct wc_err err = {0};
    struct wc_buf local = {0};
    bool live;
    struct wc_edit_base base = {.office_key = office->key,
                                .subject = e->login,
                                .rev = next_rev(e, &live),
                                .now_ms = wc_wall_ms(),
                                .body = v->has_profile ? wc_doc_root(v->profile_doc)
                                                       : NULL};
    base.key_changed_at_ms = wc_key_changed_due(&e->enrolled, NULL, base.now_ms);
    base.local = v->local_doc == NULL ? NULL : wc_local_map(v->local_doc);
    int rc = wc_edit_build(&base, edit_kind(e), fields, audiences(e), &e->body, &local,
                           &dropped, &err);
    rc = rc == 0 ? store_local(e, wc_buf_slice(&local), problem)
                 : wc_field_problem(problem, rc, err.field, err.why);
    wc_buf_fini(&local);
    if (rc != 0)
        return rc;
    note_dropped(e, &dropped);
    e->rev = base.rev;
    memcpy(e->author_key, office->key, WC_KEY_BYTES);
    rc = wc_body_sign(e->author_sig, WC_KIND_PROFILE, wc_buf_slice(&e->body), office);
    return rc == 0
               ? 0
               : wc_field_problem(
                     problem, rc, NULL,
                     rc == -WC_ETOOBIG ? "would be larger than 16 KiB in all" : NULL);
}

/* Its owner has a key: keep what is asked for until they say yes. */
static void keep_waiting(struct wc_edit *e, const struct wc_person *fields)
{
    bool intranet = wc_request_caller(e->r)->via_intranet;
    e->waits = true;
    wc_buf_reset(&e->body);
    wc_pending_pack(&e->body, edit_kind(e), wc_wall_ms(),
                    intranet ? "intranet" : "program", fields, audiences(e));
    if (e->body.failed)
        edit_fail(e, -WC_ENOMEM, NULL, NULL);
    else
        write_then(e, write_waiting, reply);
}

static void change(struct wc_edit *e, const struct wc_people_view *v)
{
    static const char *const also[] = {"if_rev", "as", "audience", NULL};
    struct wc_person fields;
    struct wc_field_problem problem = {0};
    int rc = check_rev(e, v, &problem);
    if (rc == 0)
        rc = wc_person_params_decode(wc_request_params(e->r, NULL), also, &fields,
                                     &problem);
    if (rc == 0)
        rc = build_body(e, v, &fields, &problem);
    bool nothing = rc == 0 && e->job == JOB_DROP && e->dropped_count == 0;
    if (rc == 0 && !nothing)
        rc = check_quota(e, v, &problem);
    if (rc != 0)
        edit_fail_problem(e, &problem);
    else if (nothing)
        reply(e);
    else if (e->enrolled.has_key)
        keep_waiting(e, &fields);
    else
        enrol_and_put(e);
}

/* ---------------------------------------------------------------- me.reject */

static void reject(struct wc_edit *e)
{
    struct wc_field_problem problem = {0};
    if (check_confirms(e, &problem) != 0)
        edit_fail_problem(e, &problem);
    else
        write_then(e, write_none_waiting, reply_rejected);
}

/* ---------------------------------------------------------------- whose login it is */

/* This person, settled: do what was asked. */
static void go(struct wc_edit *e)
{
    struct wc_people_view v;
    e->enrolling = e->enrolled;
    int rc = load_view(e->d, e->login, &v);
    if (rc != 0) {
        edit_fail(e, rc, NULL, NULL);
        return;
    }
    switch (e->job) {
    case JOB_SHOW:
        show(e, &v);
        break;
    case JOB_SET:
    case JOB_ADD:
    case JOB_DROP:
        change(e, &v);
        break;
    case JOB_PUT:
        put(e, &v);
        break;
    case JOB_REJECT:
        reject(e);
        break;
    }
    wc_people_view_fini(&v);
}

static void settled(struct wc_edit *e)
{
    e->enrolled = e->enrolling;
    go(e);
}

static void former_retired(void *ctx, int rc)
{
    struct wc_edit *e = ctx;
    if (rc != 0) {
        edit_fail(e, rc, NULL, NULL);
        return;
    }
    uint64_t now_ms = wc_wall_ms();
    wc_buf_reset(&e->body);
    e->enrolling = (struct wc_enrolment){
        .known = true,
        .uid = e->uid,
        .since_ms = now_ms,
        .key_changed_at_ms = e->enrolled.has_key ? now_ms : 0,
    };
    write_then(e, write_settled, settled);
}

/* The log says it, or it is not done: whose profile it was had no part in this. */
static void former_written(void *ctx, int written)
{
    struct wc_edit *e = ctx;
    const struct wc_signer *office = &e->d->identity->signer;
    uint8_t sig[WC_SIG_BYTES];
    bool live;
    uint64_t rev = next_rev(e, &live);
    if (written != 0 || !live) {
        former_retired(e, written);
        return;
    }
    int rc =
        wc_retire_body(office->key, e->login, rev, WC_KIND_PROFILE, false, &e->body);
    if (rc == 0)
        rc = wc_body_sign(sig, WC_KIND_RETIRE, wc_buf_slice(&e->body), office);
    if (rc != 0)
        edit_fail(e, rc, NULL, NULL);
    else
        wc_engine_put(e->d->engine, WC_KIND_RETIRE, wc_buf_slice(&e->body), office->key,
                      sig, former_retired, e);
}

/* The account of this login is another one than before: so is the person. */
static void retire_former(struct wc_edit *e)
{
    struct wc_audit_entry entry = {0};
    bool live;
    uint64_t rev = next_rev(e, &live);
    audit_begin(e, &entry, "reused");
    wc_audit_say_u64(&entry.members, "former", e->enrolled.uid);
    if (live)
        wc_audit_say_u64(&entry.members, "rev", rev);
    wc_audit_add(e->d->audit, &entry, former_written, e);
}

static void edit_start(struct wc_edit *e)
{
    e->running = true;
    int rc = wc_enrol_get(e->d->records, e->login, &e->enrolled);
    if (rc != 0)
        edit_fail(e, rc, NULL, "has an enrolment that cannot be read: tell IT");
    else if (e->enrolled.known && e->enrolled.uid != e->uid)
        retire_former(e);
    else
        go(e);
}

static void edit_new(struct wc_request *r, enum job job)
{
    struct wc_daemon *d = wc_request_daemon(r);
    struct wc_edit *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    e->r = r;
    e->d = d;
    e->job = job;
    e->uid = wc_request_caller(r)->uid;
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

void wc_me_show(struct wc_request *r)
{
    edit_new(r, JOB_SHOW);
}

void wc_me_put(struct wc_request *r)
{
    edit_new(r, JOB_PUT);
}

void wc_me_reject(struct wc_request *r)
{
    edit_new(r, JOB_REJECT);
}

void wc_me_set(struct wc_request *r)
{
    edit_new(r, JOB_SET);
}

void wc_me_add(struct wc_request *r)
{
    edit_new(r, JOB_ADD);
}

void wc_me_drop(struct wc_request *r)
{
    edit_new(r, JOB_DROP);
}
