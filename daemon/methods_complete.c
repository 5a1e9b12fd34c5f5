/* SPDX-License-Identifier: Apache-2.0 */
/*
 * people.rows, people.retire: what an import needs that is complete. The first tells, in
 * slices, who has a row of the directory here; the second ends rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/record.h>

#include "daemon/daemon.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"

#define SLICE_MAX_COUNT 500 /* people looked at for one answer */

/* ---------------------------------------------------------------- people.rows */

struct rows {
    struct wc_request *r;
    struct wc_daemon *d;
    struct wc_person_ref after;
    bool has_after;
    struct wc_person_ref people[SLICE_MAX_COUNT];
    int count;
    struct wc_buf logins;
    uint32_t logins_count;
};

/* Whether there is a live row; a damaged one is none, the next import writes it anew. */
static bool has_row(const struct rows *w, const struct wc_person_ref *who)
{
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_buf bytes = {0};
    struct wc_record r;
    wc_slot(slot, WC_KIND_ROW, who->office_key, who->subject);
    bool has = wc_records_get(w->d->records, slot, &bytes) == 0 &&
               wc_record_decode(wc_buf_slice(&bytes), &r, NULL) == 0 &&
               r.kind == WC_KIND_ROW;
    wc_buf_fini(&bytes);
    return has;
}

static void rows_work(void *ctx)
{
    struct rows *w = ctx;
    w->count =
        wc_records_people(w->d->records, w->d->identity->signer.key,
                          w->has_after ? &w->after : NULL, w->people, SLICE_MAX_COUNT);
    for (int i = 0; i < w->count; i++) {
        if (!has_row(w, &w->people[i]))
            continue;
        wc_pack_text(&w->logins, w->people[i].subject);
        w->logins_count++;
    }
}

static void rows_done(void *ctx)
{
    struct rows *w = ctx;
    struct wc_buf out = {0};
    if (w->count < 0) {
        wc_request_fail(w->r, w->count, NULL, "the records %s", wc_strerror(w->count));
    } else {
        wc_pack_map(&out, 2);
        wc_pack_text(&out, "handles");
        wc_pack_array(&out, w->logins_count);
        wc_buf_append(&out, w->logins.data, w->logins.len);
        out.failed = out.failed || w->logins.failed;
        wc_pack_text(&out, "next");
        if (w->count == SLICE_MAX_COUNT)
            wc_pack_text(&out, w->people[w->count - 1].subject);
        else
            wc_pack_nil(&out);
        wc_request_reply(w->r, &out);
    }
    w->d->writers_count--;
    wc_buf_fini(&w->logins);
    free(w);
}

void wc_people_rows(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    struct wc_slice after;
    struct rows *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    w->r = r;
    w->d = d;
    if (wc_obj_str(wc_obj_get(wc_request_params(r, NULL), "after"), &after) == 0) {
        memcpy(w->after.office_key, d->identity->signer.key, WC_KEY_BYTES);
        w->has_after = wc_slice_copy(after, w->after.subject, sizeof(w->after.subject));
    }
    d->writers_count++; /* the identity stays */
    if (wc_loop_work(d->loop, rows_work, rows_done, w) != 0) {
        w->count = -WC_ENOMEM;
        rows_done(w);
    }
}

/* ---------------------------------------------------------------- people.retire */

/* One row that is being ended. */
struct ending {
    struct retiring *of;
    char login[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev;
};

struct retiring {
    struct wc_request *r;
    struct wc_daemon *d;
    uint64_t retired_count;
    uint32_t
        waiting_count; /* puts whose outcome is to come, and 1 while they are put */
    struct ending *endings;
    uint32_t endings_count;
    int rc;
};

static void one_done(struct retiring *t, int rc)
{
    struct wc_buf out = {0};
    if (rc != 0 && t->rc == 0)
        t->rc = rc;
    if (--t->waiting_count > 0)
        return;
    wc_act_say_u64(t->r, "retired", t->retired_count);
    if (t->rc != 0) {
        wc_request_fail(t->r, t->rc, NULL, "not every row was retired: it %s",
                        wc_strerror(t->rc));
    } else {
        wc_pack_map(&out, 1);
        wc_pack_text(&out, "retired");
        wc_pack_u64(&out, t->retired_count);
        wc_request_reply(t->r, &out);
    }
    t->d->writers_count--;
    free(t->endings);
    free(t);
}

/* Who changed whom. The answer waits for the act's last line, which comes after these. */
static void row_retired(void *ctx, int rc)
{
    struct ending *ending = ctx;
    struct retiring *t = ending->of;
    struct wc_audit_entry entry = {0};
    if (rc == 0) {
        t->retired_count++;
        wc_audit_begin(t->d->audit, &entry, "retire", wc_request_caller(t->r));
        wc_audit_about(t->d->audit, &entry, wc_slice_text(ending->login),
                       wc_slice_text(t->d->identity->cert.name));
        wc_audit_say_u64(&entry.members, "rev", ending->rev);
        wc_audit_add(t->d->audit, &entry, NULL, NULL);
    }
    one_done(t, rc);
}

/* End the row of a login, if there is one. 0, or why it could not be begun. */
static int retire_row(struct retiring *t, const char *login)
{
    const struct wc_signer *office = &t->d->identity->signer;
    struct wc_version version;
    struct wc_buf body = {0};
    uint8_t slot[WC_DIGEST_BYTES], kind, sig[WC_SIG_BYTES];
    if (wc_engine_node(t->d->engine) == NULL)
        return -WC_EBUSY;
    wc_slot(slot, WC_KIND_ROW, office->key, login);
    if (wc_node_slot(wc_engine_node(t->d->engine), slot, &version, &kind) != 0 ||
        kind != WC_KIND_ROW)
        return 0;
    int rc =
        wc_retire_body(office->key, login, version.rev + 1, WC_KIND_ROW, false, &body);
    if (rc == 0)
        rc = wc_body_sign(sig, WC_KIND_RETIRE, wc_buf_slice(&body), office);
    if (rc == 0) {
        struct ending *ending = &t->endings[t->endings_count++];
        *ending = (struct ending){.of = t, .rev = version.rev + 1};
        snprintf(ending->login, sizeof(ending->login), "%s", login);
        t->waiting_count++;
        wc_engine_put(t->d->engine, WC_KIND_RETIRE, wc_buf_slice(&body), office->key,
                      sig, row_retired, ending);
    }
    wc_buf_fini(&body);
    return rc;
}

/* All of them are logins; else the request is ended and nothing is done. */
static bool are_logins(struct wc_request *r, const struct wc_obj *handles)
{
    for (uint32_t i = 0; i < wc_obj_count(handles); i++) {
        struct wc_slice login;
        if (wc_obj_str(wc_obj_at(handles, i), &login) == 0 && wc_login_valid(login))
            continue;
        wc_request_fail(r, -WC_EINVALID, "handles",
                        "handles must be logins of this office: nothing was changed");
        return false;
    }
    return true;
}

void wc_people_retire(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_obj *handles = wc_obj_get(wc_request_params(r, NULL), "handles");
    if (!are_logins(r, handles))
        return;
    struct retiring *t = calloc(1, sizeof(*t));
    if (t != NULL)
        t->endings = calloc(wc_obj_count(handles) + 1, sizeof(*t->endings));
    if (t == NULL || t->endings == NULL) {
        free(t);
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    t->r = r;
    t->d = d;
    t->waiting_count = 1;
    d->writers_count++;
    for (uint32_t i = 0; i < wc_obj_count(handles) && t->rc == 0; i++) {
        char login[WC_SUBJECT_MAX_BYTES + 1];
        struct wc_slice text = {0};
        wc_obj_str(wc_obj_at(handles, i), &text);
        wc_slice_copy(text, login, sizeof(login));
        int rc = retire_row(t, login);
        if (rc != 0)
            t->rc = rc;
    }
    one_done(t, 0);
}
