/* SPDX-License-Identifier: Apache-2.0 */
/*
 * office.leave: back to standing alone. First it is made durable (daemon/office.h), then
 * the neighbours are told while links are up, then the engine stops, the people are
 * signed anew, and the engine starts as the office that stands alone.
 */
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/methods.h"
#include "daemon/office.h"

#define TELL_MAX_MS 4000 /* for neighbours that answer slowly, or not at all */

struct leave {
    struct wc_request *r;
    struct wc_daemon *d;
    struct wc_identity *from, *to;
    uint64_t moved;
    uint32_t told, links;
    int rc;
};

static void leave_end(struct leave *l)
{
    struct wc_daemon *d = l->d;
    if (l->rc == 0)
        wc_office_free(l->from);
    else
        wc_office_free(l->to);
    free(l);
    d->joining = false;
    if (d->joined != NULL)
        d->joined(d);
}

static void leave_settled(void *ctx)
{
    struct leave *l = ctx;
    struct wc_buf out = {0};
    char hex[2 * WC_KEY_BYTES + 1];
    wc_hex(hex, l->from->signer.key, WC_KEY_BYTES);
    wc_act_say(l->r, "office", l->from->cert.name);
    wc_act_say(l->r, "key", hex);
    wc_act_say_u64(l->r, "people_kept", l->moved);
    wc_act_say_u64(l->r, "offices_told", l->told);
    wc_pack_map(&out, 6);
    wc_pack_text(&out, "name");
    wc_pack_text(&out, l->to->cert.name);
    wc_pack_text(&out, "organisation");
    wc_pack_text(&out, l->from->org.name);
    wc_pack_text(&out, "key");
    wc_pack_text(&out, hex);
    wc_pack_text(&out, "people_kept");
    wc_pack_u64(&out, l->moved);
    wc_pack_text(&out, "offices_linked");
    wc_pack_u64(&out, l->links);
    wc_pack_text(&out, "offices_told");
    wc_pack_u64(&out, l->told);
    l->d->joining = false; /* the answer is true from now on */
    wc_request_reply(l->r, &out);
    leave_end(l);
}

/* The decision stands, and others may have been told: what failed here is done at the next
 * start. */
static _Noreturn void leave_later(const char *why)
{
    wc_log(
        WC_LOG_ERROR,
        "leaving was begun and could not be finished: %s. The next start finishes it",
        why);
    exit(1);
}

static void move_work(void *ctx)
{
    struct leave *l = ctx;
    l->rc = wc_office_end_leave(l->d->records, l->d->index, l->from, l->to,
                                wc_wall_ms(), &l->moved);
}

static void move_done(void *ctx)
{
    struct leave *l = ctx;
    struct wc_daemon *d = l->d;
    char problem[WC_PROBLEM_BYTES] = "";
    if (l->rc != 0)
        leave_later(wc_strerror(l->rc));
    d->identity = l->to;
    wc_log(WC_LOG_NOTICE,
           "this office left %s and stands alone as %s now; %u of %u neighbours were "
           "told",
           l->from->org.name, l->to->cert.name, l->told, l->links);
    struct wc_engine_office office = {.identity = d->identity,
                                      .join = &d->config.join,
                                      .addresses = &d->addresses,
                                      .settled = leave_settled,
                                      .ctx = l};
    if (wc_engine_start(d->engine, &office, problem) != 0)
        leave_later(problem);
}

static void leave_stopped(void *ctx)
{
    struct leave *l = ctx;
    if (wc_loop_work(l->d->loop, move_work, move_done, l) != 0)
        leave_later("out of memory");
}

static void neighbours_told(void *ctx, uint32_t told, uint32_t links)
{
    struct leave *l = ctx;
    l->told = told;
    l->links = links;
    wc_engine_stop(l->d->engine, leave_stopped, l);
}

static void decide_work(void *ctx)
{
    struct leave *l = ctx;
    l->rc = wc_office_begin_leave(l->d->records, l->from, l->to);
}

static void decide_done(void *ctx)
{
    struct leave *l = ctx;
    if (l->rc == 0) {
        wc_log(WC_LOG_NOTICE, "this office leaves %s: telling its neighbours",
               l->from->org.name);
        wc_engine_leave(l->d->engine, TELL_MAX_MS, neighbours_told, l);
        return;
    }
    wc_request_fail(l->r, l->rc, NULL, "nothing was changed: the records %s",
                    wc_strerror(l->rc));
    leave_end(l);
}

/* The name that the configuration wants, or the present one: handles stay as they are. */
static int make_alone(const struct wc_daemon *d, struct wc_identity **out)
{
    const char *name = d->config.office;
    return wc_office_standalone(out, name != NULL ? name : d->identity->cert.name);
}

void wc_office_leave(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    if (wc_office_is_standalone(d->identity)) {
        wc_request_fail(r, -WC_ENOTFOUND, NULL,
                        "this office stands alone: there is nothing to leave");
        return;
    }
    if (d->writers_count > 0 || d->stopping) {
        wc_request_fail(r, -WC_EBUSY, NULL,
                        "people are being changed at this moment: try again");
        return;
    }
    struct leave *l = calloc(1, sizeof(*l));
    int rc = l == NULL ? -WC_ENOMEM : make_alone(d, &l->to);
    if (rc == 0) {
        l->r = r;
        l->d = d;
        l->from = d->identity;
        rc = wc_loop_work(d->loop, decide_work, decide_done, l);
        if (rc != 0)
            wc_office_free(l->to);
    }
    if (rc != 0) {
        free(l);
        wc_request_fail(r, rc, NULL, "nothing was changed: out of memory");
        return;
    }
    d->joining = true;
}
