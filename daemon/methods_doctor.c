/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.check: whether records and index are as they should be, looked at slice by slice on
 * the pool while everything else goes on; an index that is not is built anew at once.
 */
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/index_check.h"
#include "daemon/methods.h"

#define JOB_MS  100 /* of slices, before the loop hears of it */
#define WAIT_MS 200 /* how often it is looked at how far building is */
#define SAY_MS  500 /* between two notifications */

struct checking {
    struct wc_daemon *d;
    struct wc_request *r;
    struct wc_check *check;
    struct wc_timer *timer; /* while the index is built anew */
    uint64_t rebuilds_before, started_ms, said_ms;
    bool full, rebuild, rebuilt, checked;
    int rc; /* of the job at hand */
};

static void go_on(struct checking *x);

static void checking_free(struct checking *x)
{
    x->d->checking = false;
    wc_timer_free(x->timer);
    wc_check_free(x->check);
    free(x);
}

/* ---- the answer ---- */

static void pack_step(struct wc_buf *out, const struct checking *x,
                      enum wc_check_step step)
{
    const struct wc_check_result *r = wc_check_result(x->check, step);
    wc_pack_map(out, 5);
    wc_pack_text(out, "name");
    wc_pack_text(out, wc_check_name(step));
    wc_pack_text(out, "means");
    wc_pack_text(out, wc_check_means(step));
    wc_pack_text(out, "looked");
    wc_pack_u64(out, r->looked);
    wc_pack_text(out, "faults");
    wc_pack_u64(out, r->faults);
    wc_pack_text(out, "first");
    if (r->faults > 0)
        wc_pack_text(out, r->first);
    else
        wc_pack_nil(out);
}

static void pack_todo(struct wc_buf *out, uint64_t records, uint64_t index)
{
    wc_pack_text(out, "todo");
    wc_pack_array(out, (records > 0) + (index > 0));
    if (records > 0)
        wc_pack_text(out, "records are damaged: look at the disk, then put a backup of "
                          "the records back; what other offices signed comes again by "
                          "itself");
    if (index > 0)
        wc_pack_text(out, "the index was built anew, and is right again: if this "
                          "happens twice, look at the disk and the memory");
}

static void checking_end(struct checking *x)
{
    struct wc_buf out = {0};
    uint64_t records = wc_check_result(x->check, WC_CHECK_RECORDS)->faults;
    uint64_t index = wc_check_index_faults(x->check);
    wc_act_say_u64(x->r, "faults", records + index);
    wc_pack_map(&out, 6);
    wc_pack_text(&out, "ok");
    wc_pack_bool(&out, records + index == 0);
    wc_pack_text(&out, "full");
    wc_pack_bool(&out, x->full);
    wc_pack_text(&out, "checks");
    wc_pack_array(&out, WC_CHECK_STEPS);
    for (int i = 0; i < WC_CHECK_STEPS; i++)
        pack_step(&out, x, (enum wc_check_step)i);
    wc_pack_text(&out, "rebuilt");
    wc_pack_bool(&out, x->rebuilt);
    wc_pack_text(&out, "took_ms");
    wc_pack_u64(&out, wc_mono_ms() - x->started_ms);
    pack_todo(&out, records, index);
    wc_request_reply(x->r, &out);
    checking_free(x);
}

static void checking_fail(struct checking *x, int rc)
{
    if (x->d->stopping)
        wc_request_fail(x->r, -WC_EBUSY, NULL, "this daemon is stopping: try again");
    else if (rc == -WC_EBUSY)
        wc_request_fail(x->r, rc, NULL,
                        "the search index is being built anew: try again when that is "
                        "done");
    else
        wc_request_fail(x->r, rc, NULL, "the check could not be finished: the state %s",
                        wc_strerror(rc));
    checking_free(x);
}

static void say(struct checking *x, const char *step, uint64_t done, uint64_t total)
{
    struct wc_buf out = {0};
    uint64_t now_ms = wc_mono_ms();
    if (now_ms - x->said_ms < SAY_MS || !wc_request_may_stream(x->r))
        return;
    x->said_ms = now_ms;
    wc_pack_map(&out, 4);
    wc_pack_text(&out, "request");
    wc_request_pack_id(x->r, &out);
    wc_pack_text(&out, "step");
    wc_pack_text(&out, step);
    wc_pack_text(&out, "done");
    wc_pack_u64(&out, done);
    wc_pack_text(&out, "total");
    wc_pack_u64(&out, total);
    wc_request_notify(x->r, "check.progress", &out);
}

/* ---- building anew ---- */

static void on_wait(void *ctx)
{
    struct checking *x = ctx;
    struct wc_upkeep_stats stats;
    uint64_t done = 0, total = 0;
    wc_upkeep_stats(x->d->upkeep, &stats);
    (void)wc_index_is_building(x->d->index, &done, &total);
    say(x, "rebuild", done, total);
    if (wc_upkeep_is_rebuilding(x->d->upkeep) && !x->d->stopping)
        return;
    wc_timer_stop(x->timer);
    x->rebuild = false;
    if (x->d->stopping) {
        checking_fail(x, -WC_EBUSY);
        return;
    }
    if (stats.rebuilds_count == x->rebuilds_before) {
        wc_request_fail(x->r, -WC_EIO, NULL,
                        "the search index could not be built anew: the log of the "
                        "daemon says why");
        checking_free(x);
        return;
    }
    x->rebuilt = true;
    go_on(x);
}

static void begin_rebuild(struct checking *x)
{
    struct wc_upkeep_stats stats;
    wc_upkeep_stats(x->d->upkeep, &stats);
    x->rebuilds_before = stats.rebuilds_count;
    wc_upkeep_rebuild(x->d->upkeep);
    wc_timer_set(x->timer, WAIT_MS, WAIT_MS);
}

/* ---- looking ---- */

static void check_work(void *ctx)
{
    struct checking *x = ctx;
    uint64_t end_ms = wc_mono_ms() + JOB_MS;
    do {
        x->rc = wc_check_go_on(x->check);
    } while (x->rc == 1 && wc_mono_ms() < end_ms);
}

static void check_done(void *ctx)
{
    struct checking *x = ctx;
    uint64_t done, total;
    if (x->rc < 0 || x->d->stopping) {
        checking_fail(x, x->rc);
        return;
    }
    wc_check_progress(x->check, &done, &total);
    say(x, wc_check_name(wc_check_at(x->check)), done, total);
    if (x->rc == 0) {
        enum wc_check_step step = WC_CHECK_VALUES;
        x->checked = true;
        x->rebuild = wc_check_index_faults(x->check) > 0;
        while (x->rebuild && wc_check_result(x->check, step)->faults == 0)
            step++;
        if (x->rebuild)
            wc_index_found_damage(x->d->index, wc_check_result(x->check, step)->first);
    }
    go_on(x);
}

static void go_on(struct checking *x)
{
    if (x->d->stopping) {
        checking_fail(x, -WC_EBUSY);
    } else if (x->rebuild) {
        begin_rebuild(x);
    } else if (x->checked) {
        checking_end(x);
    } else {
        int rc = wc_loop_work(x->d->loop, check_work, check_done, x);
        if (rc != 0)
            checking_fail(x, rc);
    }
}

static int begin(struct checking *x)
{
    const struct wc_check_options options = {
        .ix = x->d->index, .records = x->d->records, .full = x->full};
    x->timer = wc_timer_new(x->d->loop, on_wait, x);
    if (x->timer == NULL)
        return -WC_ENOMEM;
    return wc_check_new(&x->check, &options);
}

void wc_node_check(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_obj *params = wc_request_params(r, NULL);
    if (d->checking) {
        wc_request_fail(r, -WC_EBUSY, NULL,
                        "another check is at work: wait for its end");
        return;
    }
    struct checking *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    x->d = d;
    x->r = r;
    x->started_ms = x->said_ms = wc_mono_ms();
    d->checking = true;
    wc_obj_bool(wc_obj_get(params, "full"), &x->full);
    wc_obj_bool(wc_obj_get(params, "rebuild"), &x->rebuild);
    int rc = begin(x);
    if (rc != 0)
        checking_fail(x, rc);
    else
        go_on(x);
}

/* ---- a search that failed ---- */

void wc_fail_search(struct wc_request *r, int rc)
{
    struct wc_daemon *d = wc_request_daemon(r);
    uint64_t done, total;
    if (rc == -WC_ECORRUPT)
        wc_upkeep_damaged(d->upkeep);
    if (rc == -WC_ENOMEM) {
        wc_request_fail(r, rc, NULL, "out of memory");
    } else if (rc == -WC_ECORRUPT || rc == -WC_EBUSY) {
        (void)wc_index_is_building(d->index, &done, &total);
        wc_request_fail(r, -WC_EBUSY, NULL,
                        "the search index was damaged and is being built anew (%llu of "
                        "%llu people): try again in a moment",
                        (unsigned long long)done, (unsigned long long)total);
    } else {
        wc_request_fail(r, rc, NULL, "the search index %s", wc_strerror(rc));
    }
}
