/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: whether what the daemon holds is as it should be. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <whocan/limits.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/term.h"

#define SILENCE_MAX_MS 120000 /* it says every second how far it is */

struct doctor {
    struct wc_run *run;
    uint32_t request;
    bool shown; /* a line of progress stands on the screen */
};

/* "looking at the postings: 120,000 of 153,000", on one line that is written again. */
static void on_progress(void *arg, const char *method, uint32_t request,
                        const struct wc_obj *params)
{
    struct doctor *x = arg;
    struct wc_buf text = {0};
    struct wc_slice step = {0};
    uint64_t done = 0, total = 0;
    if (request != x->request || strcmp(method, "check.progress") != 0 ||
        !x->run->err.tty)
        return;
    wc_obj_str(wc_obj_get(params, "step"), &step);
    wc_obj_u64(wc_obj_get(params, "done"), &done);
    wc_obj_u64(wc_obj_get(params, "total"), &total);
    wc_buf_text(&text, "\r\033[K");
    wc_buf_text(&text, wc_slice_is(step, "rebuild") ? "building the search index anew"
                                                    : "looking at the ");
    if (!wc_slice_is(step, "rebuild"))
        wc_term_safe(&text, step);
    wc_buf_text(&text, ": ");
    wc_term_number(&text, done);
    wc_buf_text(&text, " of ");
    wc_term_number(&text, total);
    if (!text.failed)
        (void)fwrite(text.data, 1, text.len, stderr);
    (void)fflush(stderr);
    x->shown = true;
    wc_buf_fini(&text);
}

/* "ok      the records are as they were stored (1,204)", and what was found below it. */
static void print_check(const struct wc_run *run, struct wc_buf *out, const json_t *one)
{
    uint64_t faults = wc_json_u64(one, "faults");
    struct wc_buf text = {0};
    if (faults == 0)
        wc_term_styled(&run->out, out, WC_STYLE_STRONG, wc_slice_text("ok     "));
    else
        wc_term_styled(&run->out, out, WC_STYLE_BAD, wc_slice_text("FAULT  "));
    wc_term_safe(out, wc_json_str(one, "means"));
    wc_buf_text(&text, " (");
    wc_term_number(&text, wc_json_u64(one, "looked"));
    wc_buf_text(&text, " looked at)");
    wc_term_styled(&run->out, out, WC_STYLE_DIM, wc_buf_slice(&text));
    wc_buf_byte(out, '\n');
    if (faults > 0) {
        wc_buf_text(out, "       ");
        wc_term_plural(out, faults, "fault", "faults");
        wc_buf_text(out, ", the first: ");
        wc_term_safe(out, wc_json_str(one, "first"));
        wc_buf_byte(out, '\n');
    }
    out->failed |= text.failed;
    wc_buf_fini(&text);
}

static int print_result(struct wc_run *run, const json_t *result)
{
    struct wc_buf out = {0};
    size_t i;
    json_t *one;
    bool ok = wc_json_bool(result, "ok", false);
    json_array_foreach(json_object_get(result, "checks"), i, one)
    {
        print_check(run, &out, one);
    }
    wc_buf_byte(&out, '\n');
    if (ok)
        wc_buf_text(&out, wc_json_bool(result, "rebuilt", false)
                              ? "The search index was built anew, and all is well.\n"
                              : "All is well.\n");
    json_array_foreach(json_object_get(result, "todo"), i, one)
    {
        struct wc_buf text = {0};
        wc_term_safe(&text, wc_slice(json_string_value(one), json_string_length(one)));
        wc_buf_byte(&text, '.');
        wc_term_wrap(&out, wc_buf_slice(&text), 0, run->out.columns);
        out.failed |= text.failed;
        wc_buf_fini(&text);
    }
    if (!wc_json_bool(result, "full", true))
        wc_buf_text(&out,
                    "Samples of signatures and people were looked at; --full looks "
                    "at all of them.\n");
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

static int finish(struct wc_run *run, const struct wc_reply *reply)
{
    json_t *result = NULL;
    if (wc_json_from_obj(wc_reply_result(reply), &result) != 0)
        return wc_run_fail(run, WC_EXIT_UNREACHABLE,
                           "the daemon's answer is not sound");
    bool ok = wc_json_bool(result, "ok", false);
    int code =
        wc_run_wants_json(run) ? wc_run_json(run, result) : print_result(run, result);
    json_decref(result);
    return code != 0 || ok ? code : WC_EXIT_PARTIAL;
}

static int wait_end(struct doctor *x)
{
    struct wc_client *client = x->run->client;
    struct wc_reply *reply = NULL;
    int rc = wc_client_take(client, x->request, &reply);
    while (reply == NULL && rc == -WC_EBUSY) {
        rc = wc_client_pump(client, SILENCE_MAX_MS);
        if (rc == 0)
            rc = wc_client_take(client, x->request, &reply);
    }
    if (x->shown)
        (void)fputs("\r\033[K", stderr);
    int code = rc != 0 ? wc_run_call_failed(x->run, rc) : finish(x->run, reply);
    wc_reply_free(reply);
    return code;
}

int wc_cmd_doctor(struct wc_run *run)
{
    struct doctor x = {.run = run};
    struct wc_buf params = {0};
    int code = wc_run_connect(run);
    if (code != 0) {
        wc_run_hint(run, "Where no daemon runs, `whocand --check-state` looks at its "
                         "files.");
        return code;
    }
    wc_pack_map(&params, 2);
    wc_pack_text(&params, "full");
    wc_pack_bool(&params, wc_run_option(run, WC_OPT_FULL) != NULL);
    wc_pack_text(&params, "rebuild");
    wc_pack_bool(&params, wc_run_option(run, WC_OPT_REBUILD) != NULL);
    wc_client_on_notify(run->client, on_progress, &x);
    int rc =
        wc_client_send(run->client, "node.check", wc_buf_slice(&params), &x.request);
    wc_buf_fini(&params);
    code = rc != 0 ? wc_run_call_failed(run, rc) : wait_end(&x);
    wc_client_on_notify(run->client, NULL, NULL);
    return code;
}
