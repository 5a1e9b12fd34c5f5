/* SPDX-License-Identifier: Apache-2.0 */
/*
 * people.import. Three stages: on the loop each row's handle is taken apart and its slot
 * looked up; on the pool its fields are read, compared with what is held, packed and
 * signed; on the loop again the changed ones are put. The answer comes when all are
 * durable.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/record.h>

#include "daemon/daemon.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"

enum row_state { ROW_NEW, ROW_UNCHANGED, ROW_REFUSED, ROW_PUT, ROW_STORED };

struct import;

struct row {
    struct import *of;
    const struct wc_obj *map;
    enum row_state state;
    struct wc_slice handle; /* as it was given, for the report */
    char login[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev;   /* the next one of its slot */
    bool slot_held; /* what is in the slot is a row, and not a retirement */
    struct wc_buf body;
    uint8_t sig[WC_SIG_BYTES];
    struct wc_field_problem problem;
};

struct import {
    struct wc_request *r;
    struct wc_daemon *d;
    bool dry_run;
    const struct wc_signer *office; /* stays while d->writers_count counts us */
    const char *office_name;
    uint64_t quota_left;
    struct row *rows;
    uint32_t count;
    uint32_t
        waiting_count; /* puts whose outcome is to come, and 1 while they are put */
};

static void refuse(struct row *row, int rc, const char *field, const char *reason)
{
    row->state = ROW_REFUSED;
    wc_field_problem(&row->problem, rc, field, reason);
}

/* ---------------------------------------------------------------- before */

static bool handle_is_new(const struct import *im, const struct row *row)
{
    for (const struct row *other = im->rows; other < row; other++)
        if (strcmp(other->login, row->login) == 0)
            return false;
    return true;
}

static void read_handle(struct import *im, struct row *row)
{
    struct wc_slice login, office;
    const struct wc_obj *value = wc_obj_get(row->map, "handle");
    int rc = wc_obj_str(value, &row->handle);
    if (wc_obj_type(row->map) != WC_MAP) {
        refuse(row, -WC_ETYPE, NULL, "must be a map");
    } else if (rc != 0) {
        refuse(row, rc, "handle", rc == -WC_EMISSING ? "is missing" : "must be text");
    } else if (wc_handle_split(row->handle, &login, &office) != 0) {
        refuse(
            row, -WC_EINVALID, "handle",
            "must be a login: 1 to 32 of a-z 0-9 . _ -, starting with a letter, digit "
            "or underscore");
    } else if (office.len > 0 && !wc_slice_is(office, im->office_name)) {
        refuse(row, -WC_EDENIED, "handle", "is of another office: import it there");
    } else {
        wc_slice_copy(login, row->login, sizeof(row->login));
        if (!handle_is_new(im, row))
            refuse(row, -WC_EEXISTS, "handle", "is twice in this batch");
    }
}

static void look_up_slot(struct import *im, struct row *row)
{
    uint8_t slot[WC_DIGEST_BYTES], kind = WC_KIND_ROW;
    struct wc_version version = {0};
    wc_slot(slot, WC_KIND_ROW, im->office->key, row->login);
    int rc = wc_node_slot(wc_engine_node(im->d->engine), slot, &version, &kind);
    row->rev = rc == 0 ? version.rev + 1 : 1;
    row->slot_held = rc == 0 && kind == WC_KIND_ROW;
}

/* ---------------------------------------------------------------- on the pool */

static bool same_fields(const struct wc_person *a, const struct wc_person *b)
{
    struct wc_buf x = {0}, y = {0};
    wc_person_pack_fields(&x, a);
    wc_person_pack_fields(&y, b);
    bool same =
        !x.failed && !y.failed && wc_slice_eq(wc_buf_slice(&x), wc_buf_slice(&y));
    wc_buf_fini(&x);
    wc_buf_fini(&y);
    return same;
}

/* Compare with what is held; *old_body gets it. */
static void compare_row(struct import *im, struct row *row, const struct wc_person *p,
                        struct wc_people_view *v)
{
    bool newest = v->has_row && row->slot_held && v->row_rev + 1 == row->rev;
    if (newest && same_fields(&v->row, p)) {
        row->state = ROW_UNCHANGED;
    } else if (!v->has_row && !v->has_profile) {
        if (im->quota_left == 0)
            refuse(row, -WC_ELIMIT, NULL,
                   "is over the number of people that the organisation allows this "
                   "office");
        else
            im->quota_left--;
    }
}

static void build_row(struct import *im, struct row *row, const struct wc_person *p,
                      const struct wc_people_view *v)
{
    const struct wc_obj *old = v->has_row ? wc_doc_root(v->row_doc) : NULL;
    int rc = wc_person_body(im->office->key, row->login, row->rev, p, old, &row->body);
    if (rc == 0)
        rc = wc_body_sign(row->sig, WC_KIND_ROW, wc_buf_slice(&row->body), im->office);
    if (rc == -WC_ETOOBIG)
        refuse(row, rc, NULL, "is larger than 16 KiB in all");
    else if (rc != 0)
        refuse(row, rc, NULL, NULL);
}

static void prepare_row(struct import *im, struct row *row, struct wc_people_view *v)
{
    static const char *const also[] = {"handle", NULL};
    struct wc_person p;
    int rc = wc_person_params_decode(row->map, also, &p, &row->problem);
    if (rc != 0) {
        row->state = ROW_REFUSED;
        return;
    }
    rc = wc_people_load(im->d->records, im->office->key, row->login, v);
    if (rc != 0 && rc != -WC_ENOTFOUND) {
        refuse(row, rc, NULL, "has a record that could not be read");
        return;
    }
    if (rc == -WC_ENOTFOUND)
        memset(v, 0, sizeof(*v));
    compare_row(im, row, &p, v);
    if (row->state == ROW_NEW)
        build_row(im, row, &p, v);
    if (rc == 0)
        wc_people_view_fini(v);
}

static void prepare_work(void *ctx)
{
    struct import *im = ctx;
    struct wc_people_view *v = malloc(sizeof(*v));
    for (uint32_t i = 0; i < im->count; i++) {
        if (im->rows[i].state != ROW_NEW)
            continue;
        if (v == NULL)
            refuse(&im->rows[i], -WC_ENOMEM, NULL, NULL);
        else
            prepare_row(im, &im->rows[i], v);
    }
    free(v);
}

/* ---------------------------------------------------------------- after */

static uint32_t count_rows(const struct import *im, enum row_state state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < im->count; i++)
        count += im->rows[i].state == state;
    return count;
}

static void pack_refused(struct wc_buf *b, const struct import *im)
{
    wc_pack_text(b, "refused");
    wc_pack_array(b, count_rows(im, ROW_REFUSED));
    for (uint32_t i = 0; i < im->count; i++) {
        const struct row *row = &im->rows[i];
        if (row->state != ROW_REFUSED)
            continue;
        struct wc_slice handle = row->handle;
        if (handle.len > WC_HANDLE_MAX_BYTES)
            handle = (struct wc_slice){0};
        wc_pack_map(b, 4);
        wc_pack_text(b, "index");
        wc_pack_u64(b, i);
        wc_pack_text(b, "handle");
        wc_pack_str(b, handle);
        wc_pack_text(b, "field");
        wc_pack_text(b, row->problem.field);
        wc_pack_text(b, "reason");
        wc_pack_text(b, row->problem.reason);
    }
}

static void import_free(struct import *im)
{
    im->d->writers_count--;
    for (uint32_t i = 0; i < im->count; i++)
        wc_buf_fini(&im->rows[i].body);
    free(im->rows);
    free(im);
}

/* Why nothing at all could be stored, when that is not a matter of rows; or 0. */
static int common_failure(const struct import *im)
{
    if (count_rows(im, ROW_STORED) > 0)
        return 0;
    for (uint32_t i = 0; i < im->count; i++) {
        int rc = im->rows[i].state == ROW_REFUSED ? im->rows[i].problem.rc : 0;
        if (rc == -WC_EFULL || rc == -WC_ECLOCK || rc == -WC_EBUSY)
            return rc;
    }
    return 0;
}

static void import_end(struct import *im)
{
    int rc = common_failure(im);
    if (rc == -WC_EFULL) {
        wc_request_fail(
            im->r, rc, NULL,
            "the disk of this office's state directory is full: nothing was "
            "stored");
    } else if (rc != 0) {
        wc_request_fail(im->r, rc, NULL, "nothing was stored: it %s", wc_strerror(rc));
    } else {
        struct wc_buf out = {0};
        uint32_t accepted = count_rows(im, im->dry_run ? ROW_NEW : ROW_STORED);
        wc_act_say_u64(im->r, im->dry_run ? "would_accept" : "accepted", accepted);
        wc_act_say_u64(im->r, "unchanged", count_rows(im, ROW_UNCHANGED));
        wc_act_say_u64(im->r, "refused", count_rows(im, ROW_REFUSED));
        wc_pack_map(&out, 3);
        wc_pack_text(&out, "accepted");
        wc_pack_u64(&out, accepted);
        wc_pack_text(&out, "unchanged");
        wc_pack_u64(&out, count_rows(im, ROW_UNCHANGED));
        pack_refused(&out, im);
        wc_request_reply(im->r, &out);
    }
    import_free(im);
}

/* Who changed whom. The answer waits for the act's last line, which comes after these. */
static void note_row(const struct row *row)
{
    const struct import *im = row->of;
    struct wc_audit_entry entry = {0};
    wc_audit_begin(im->d->audit, &entry, "row", wc_request_caller(im->r));
    wc_audit_about(im->d->audit, &entry, wc_slice_text(row->login),
                   wc_slice_text(im->office_name));
    wc_audit_say_u64(&entry.members, "rev", row->rev);
    wc_audit_add(im->d->audit, &entry, NULL, NULL);
}

static void row_stored(void *ctx, int rc)
{
    struct row *row = ctx;
    struct import *im = row->of;
    if (rc == 0) {
        row->state = ROW_STORED;
        note_row(row);
    } else {
        refuse(row, rc, NULL, NULL);
    }
    if (--im->waiting_count == 0)
        import_end(im);
}

/* Put the rows that were prepared. False when one was overtaken by another request: its
 * slot has a newer rev, and it must be prepared again. */
static bool put_rows(struct import *im)
{
    bool all = true;
    for (uint32_t i = 0; i < im->count; i++) {
        struct row *row = &im->rows[i];
        uint64_t rev = row->rev;
        if (row->state != ROW_NEW)
            continue;
        if (wc_engine_node(im->d->engine) != NULL)
            look_up_slot(im, row);
        if (row->rev != rev) {
            wc_buf_reset(&row->body);
            all = false;
            continue;
        }
        row->state = ROW_PUT;
        im->waiting_count++;
        wc_engine_put(im->d->engine, WC_KIND_ROW, wc_buf_slice(&row->body),
                      im->office->key, row->sig, row_stored, row);
    }
    return all;
}

static void prepare_done(void *ctx)
{
    struct import *im = ctx;
    if (!im->dry_run && !put_rows(im)) {
        if (wc_loop_work_in(im->d->loop, WC_LANE_SEARCH,
                            wc_request_caller(im->r)->peer_uid, prepare_work,
                            prepare_done, im) == 0)
            return;
        for (uint32_t i = 0; i < im->count; i++)
            if (im->rows[i].state == ROW_NEW)
                refuse(&im->rows[i], -WC_ENOMEM, NULL, NULL);
    }
    if (--im->waiting_count == 0)
        import_end(im);
}

void wc_people_import(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_obj *params = wc_request_params(r, NULL);
    const struct wc_obj *rows = wc_obj_get(params, "rows");
    struct import *im = calloc(1, sizeof(*im));
    uint32_t count = wc_obj_count(rows);
    if (im != NULL)
        im->rows = calloc(count == 0 ? 1 : count, sizeof(*im->rows));
    if (im == NULL || im->rows == NULL) {
        free(im);
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    im->r = r;
    im->d = d;
    im->count = count;
    im->waiting_count = 1;
    im->office = &d->identity->signer;
    im->office_name = d->identity->cert.name;
    wc_obj_bool(wc_obj_get(params, "dry_run"), &im->dry_run);
    uint64_t people = wc_records_people_count(d->records, im->office->key);
    uint64_t quota = d->identity->cert.quota;
    im->quota_left = quota > people ? quota - people : 0;
    d->writers_count++;
    for (uint32_t i = 0; i < count; i++) {
        struct row *row = &im->rows[i];
        row->of = im;
        row->map = wc_obj_at(rows, i);
        read_handle(im, row);
        if (row->state == ROW_NEW)
            look_up_slot(im, row);
    }
    if (wc_loop_work_in(d->loop, WC_LANE_SEARCH, wc_request_caller(r)->peer_uid,
                        prepare_work, prepare_done, im) != 0) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        import_free(im);
    }
}
