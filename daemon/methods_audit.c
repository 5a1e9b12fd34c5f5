/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every method of administration is written into the audit log twice: before its handler
 * runs, and with its outcome before the caller hears of it. And audit.read, which shows
 * the log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/audit_names.h"
#include "daemon/daemon.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"

#define PAGE_BYTES (64u << 10) /* of the log in one notification */

/* ---------------------------------------------------------------- acts */

struct act {
    struct wc_daemon *d;
    struct wc_request *r;
    const struct wc_method *method;
    struct wc_buf details; /* that the handler adds for the outcome */
};

static void act_free(struct act *act)
{
    wc_buf_fini(&act->details);
    free(act);
}

static void act_written(void *ctx, int rc)
{
    struct act *act = ctx;
    (void)rc; /* it has happened; the log counts what it misses */
    wc_request_release(act->r);
    act_free(act);
}

static void act_ending(void *ctx, int rc)
{
    struct act *act = ctx;
    struct wc_audit_entry entry = {0};
    wc_audit_begin(act->d->audit, &entry, act->method->name, wc_request_caller(act->r));
    wc_audit_say(&entry.members, "stage", wc_slice_text("end"));
    wc_audit_say_u64(&entry.members, "request", wc_request_number(act->r));
    wc_audit_say(&entry.members, "result", wc_slice_text(wc_errname(rc)));
    wc_buf_append(&entry.members, act->details.data, act->details.len);
    wc_audit_add(act->d->audit, &entry, act_written, act);
}

static void act_begun(void *ctx, int rc)
{
    struct act *act = ctx;
    struct wc_daemon *d = act->d;
    struct wc_request *r = act->r;
    if (rc == 0 && !d->stopping && !d->joining) {
        wc_request_on_end(r, act_ending, act);
        act->method->call(r);
        return;
    }
    if (rc == -WC_EFULL)
        wc_request_fail(
            r, rc, NULL,
            "nothing was done: the disk of the state directory is full, and "
            "the audit log could not be written");
    else if (rc != 0)
        wc_request_fail(r, rc, NULL, "nothing was done: the audit log %s",
                        wc_strerror(rc));
    else
        wc_request_fail(r, -WC_EBUSY, NULL,
                        "nothing was done: this daemon is stopping or joining an "
                        "organisation: try again");
    act_free(act);
}

/* Whom it is about, as far as the parameters say so, written as a handle. */
static void say_about(struct wc_audit_entry *entry, const struct act *act)
{
    struct wc_slice given, login, office;
    if (wc_obj_str(wc_obj_get(wc_request_params(act->r, NULL), "handle"), &given) !=
            0 ||
        wc_handle_split(given, &login, &office) != 0)
        return;
    if (office.len == 0)
        office = wc_slice_text(act->d->identity->cert.name);
    wc_audit_about(act->d->audit, entry, login, office);
}

/* Of how many, where the request names several. */
static void say_count(struct wc_audit_entry *entry, const struct act *act)
{
    static const char *const lists[] = {"rows", "handles"};
    const struct wc_obj *params = wc_request_params(act->r, NULL);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const struct wc_obj *list = wc_obj_get(params, lists[i]);
        if (list != NULL)
            wc_audit_say_u64(&entry->members, lists[i], wc_obj_count(list));
    }
}

void wc_act_call(struct wc_daemon *d, struct wc_request *r,
                 const struct wc_method *method)
{
    struct wc_audit_entry entry = {0};
    struct act *act = calloc(1, sizeof(*act));
    if (act == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    act->d = d;
    act->r = r;
    act->method = method;
    wc_audit_begin(d->audit, &entry, method->name, wc_request_caller(r));
    wc_audit_say(&entry.members, "stage", wc_slice_text("begin"));
    wc_audit_say_u64(&entry.members, "request", wc_request_number(r));
    say_about(&entry, act);
    say_count(&entry, act);
    wc_audit_add(d->audit, &entry, act_begun, act);
}

void wc_act_say(struct wc_request *r, const char *key, const char *text)
{
    struct act *act = wc_request_end_ctx(r);
    if (act != NULL)
        wc_audit_say(&act->details, key, wc_slice_text(text));
}

void wc_act_say_u64(struct wc_request *r, const char *key, uint64_t value)
{
    struct act *act = wc_request_end_ctx(r);
    if (act != NULL)
        wc_audit_say_u64(&act->details, key, value);
}

/* ---------------------------------------------------------------- audit.read */

struct reading {
    struct wc_request *r;
    struct wc_daemon *d;
    struct wc_audit_filter filter;
    struct wc_audit_reader *reader;
    uint8_t office_key[WC_KEY_BYTES];
    struct wc_audit_names *names;
    bool cancelled;
    bool waiting; /* for the client to read */
    struct wc_buf lines;
    uint32_t lines_count; /* in `lines` */
    struct wc_buf people; /* of them: pairs of hash and login */
    uint32_t people_count;
    uint64_t sent_count;
    int rc;
};

static void read_next(void *ctx);

static void reading_free(struct reading *x)
{
    wc_audit_reader_free(x->reader);
    wc_audit_names_free(x->names);
    wc_buf_fini(&x->lines);
    wc_buf_fini(&x->people);
    free(x);
}

static void read_fail(struct reading *x, int rc)
{
    wc_request_fail(x->r, rc, NULL, "the audit log %s", wc_strerror(rc));
    reading_free(x);
}

static void pack_broken(struct wc_buf *out, const struct wc_audit_verdict *v)
{
    wc_pack_text(out, "broken");
    if (v->broken == NULL) {
        wc_pack_nil(out);
        return;
    }
    char file[32];
    snprintf(file, sizeof(file), "%06u.log", v->broken_file);
    wc_pack_map(out, 3);
    wc_pack_text(out, "file");
    wc_pack_text(out, file);
    wc_pack_text(out, "line");
    wc_pack_u64(out, v->broken_line);
    wc_pack_text(out, "why");
    wc_pack_text(out, v->broken);
}

static void read_end(struct reading *x)
{
    struct wc_audit_verdict v = {0};
    char hex[2 * WC_DIGEST_BYTES + 1];
    struct wc_buf out = {0};
    if (x->reader != NULL)
        wc_audit_reader_verdict(x->reader, &v);
    wc_hex(hex, v.head.hash, sizeof(v.head.hash));
    wc_pack_map(&out, 5);
    wc_pack_text(&out, "count");
    wc_pack_u64(&out, x->sent_count);
    wc_pack_text(&out, "checked");
    wc_pack_u64(&out, v.lines_count);
    wc_pack_text(&out, "last");
    wc_pack_u64(&out, v.head.n);
    wc_pack_text(&out, "hash");
    wc_pack_text(&out, hex);
    pack_broken(&out, &v);
    wc_request_reply(x->r, &out);
    reading_free(x);
}

static void read_cancel(void *ctx)
{
    struct reading *x = ctx;
    x->cancelled = true;
    if (x->waiting)
        read_end(x);
}

static void line_given(void *ctx, struct wc_slice line)
{
    struct reading *x = ctx;
    wc_audit_names_of(x->names, line, &x->people, &x->people_count);
}

static int begin_reading(struct reading *x)
{
    int rc = wc_audit_names_new(&x->names, x->d->audit, x->d->records, x->office_key);
    x->filter.given = line_given;
    x->filter.ctx = x;
    return rc != 0 ? rc : wc_audit_reader_new(&x->reader, x->d->audit, &x->filter);
}

static void read_work(void *ctx)
{
    struct reading *x = ctx;
    x->rc = x->reader != NULL ? 0 : begin_reading(x);
    if (x->rc != 0)
        return;
    wc_audit_names_page(x->names);
    x->rc = wc_audit_reader_next(x->reader, PAGE_BYTES, &x->lines, &x->lines_count);
}

static void read_send(struct reading *x)
{
    struct wc_buf out = {0};
    if (x->lines_count == 0)
        return;
    wc_pack_map(&out, 3);
    wc_pack_text(&out, "request");
    wc_request_pack_id(x->r, &out);
    wc_pack_text(&out, "names");
    wc_pack_map(&out, x->people_count);
    wc_buf_append(&out, x->people.data, x->people.len);
    wc_pack_text(&out, "lines");
    wc_pack_array(&out, x->lines_count);
    wc_buf_append(&out, x->lines.data, x->lines.len);
    out.failed |= x->people.failed;
    x->sent_count += x->lines_count;
    wc_request_notify(x->r, "audit.batch", &out);
}

static void read_done(void *ctx)
{
    struct reading *x = ctx;
    if (x->cancelled || x->rc == -WC_ENOTFOUND) {
        read_end(x);
        return;
    }
    if (x->rc != 0) {
        read_fail(x, x->rc);
        return;
    }
    read_send(x);
    if (x->cancelled || wc_request_may_stream(x->r)) {
        read_next(x);
    } else {
        x->waiting = true;
        wc_request_on_drain(x->r, read_next, x);
    }
}

static void read_next(void *ctx)
{
    struct reading *x = ctx;
    x->waiting = false;
    if (x->cancelled) {
        read_end(x);
        return;
    }
    wc_buf_reset(&x->lines);
    wc_buf_reset(&x->people);
    x->lines_count = x->people_count = 0;
    int rc = wc_loop_work(x->d->loop, read_work, read_done, x);
    if (rc != 0)
        read_fail(x, rc);
}

/* Whom to look for: a login alone is one of this office, whatever it was called then. */
static bool read_about(struct wc_request *r, struct wc_audit_filter *filter)
{
    struct wc_slice given, login, office;
    if (wc_obj_str(wc_obj_get(wc_request_params(r, NULL), "about"), &given) != 0)
        return true;
    if (wc_handle_split(given, &login, &office) != 0) {
        wc_request_fail(r, -WC_EINVALID, "about",
                        "a handle is a login, or a login and an office: alice@leeds");
        return false;
    }
    return wc_slice_copy(login, filter->login, sizeof(filter->login)) &&
           wc_slice_copy(office, filter->office, sizeof(filter->office));
}

void wc_audit_read(struct wc_request *r)
{
    const struct wc_obj *params = wc_request_params(r, NULL);
    struct wc_audit_filter filter = {0};
    if (!read_about(r, &filter))
        return;
    wc_obj_u64(wc_obj_get(params, "since_ms"), &filter.since_ms);
    wc_obj_bool(wc_obj_get(params, "verify"), &filter.none);
    struct reading *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    x->r = r;
    x->d = wc_request_daemon(r);
    x->filter = filter;
    memcpy(x->office_key, x->d->identity->signer.key, WC_KEY_BYTES);
    wc_request_on_cancel(r, read_cancel, x);
    read_next(x);
}
