/* SPDX-License-Identifier: Apache-2.0 */
/* watch: what happens at this office, as it happens, until Ctrl-C. */
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/print.h"

struct watch {
    struct wc_run *run;
    uint32_t request;
    int code; /* of writing */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void show(struct watch *w, const json_t *event)
{
    struct wc_buf out = {0};
    if (w->code != 0)
        return;
    if (wc_run_wants_json(w->run)) {
        w->code = wc_run_json_line(w->run, event);
        return;
    }
    wc_print_event(&w->run->out, &out, event);
    w->code = wc_run_write(w->run, &out);
    wc_buf_fini(&out);
}

/* They came after the others, and this command had not read them in time. */
static void show_skipped(struct watch *w, uint64_t count)
{
    struct wc_buf out = {0};
    if (w->code != 0 || count == 0)
        return;
    if (wc_run_wants_json(w->run)) {
        json_t *line =
            json_pack("{s:s, s:I}", "event", "skipped", "events", (json_int_t)count);
        w->code = wc_run_json_line(w->run, line);
        json_decref(line);
        return;
    }
    wc_term_plural(&out, count, "event", "events");
    wc_buf_text(&out, " skipped\n");
    w->code = wc_run_write(w->run, &out);
    wc_buf_fini(&out);
}

static void on_notification(void *arg, const char *method, uint32_t request,
                            const struct wc_obj *params)
{
    struct watch *w = arg;
    json_t *value = NULL, *event;
    size_t i;
    if (request != w->request || params == NULL ||
        strcmp(method, "watch.events") != 0 || wc_json_from_obj(params, &value) != 0)
        return;
    json_array_foreach(json_object_get(value, "events"), i, event) show(w, event);
    show_skipped(w, wc_json_u64(value, "skipped"));
    json_decref(value);
}

/* The signal is let in while waiting only, so that none is lost between looking and
 * waiting. */
static int follow(struct watch *w, const sigset_t *waiting_mask,
                  struct wc_reply **reply)
{
    struct wc_client *client = w->run->client;
    int rc = wc_client_take(client, w->request, reply);
    while (rc == -WC_EBUSY && *reply == NULL && !interrupted && w->code == 0) {
        struct pollfd p = {.fd = wc_client_fd(client),
                           .events = wc_client_events(client)};
        (void)ppoll(&p, 1, NULL, waiting_mask);
        int pumped = wc_client_pump(client, 0);
        rc = wc_client_take(client, w->request, reply);
        if (*reply == NULL && pumped != 0 && pumped != -WC_ETIMEOUT)
            return pumped;
    }
    return rc;
}

int wc_cmd_watch(struct wc_run *run)
{
    struct watch w = {.run = run};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked, waiting_mask;
    struct wc_reply *reply = NULL;
    int code = wc_run_connect(run);
    if (code != 0)
        return code;
    wc_client_on_notify(run->client, on_notification, &w);
    int rc = wc_client_send(run->client, "node.watch", wc_slice(NULL, 0), &w.request);
    if (rc != 0)
        return wc_run_call_failed(run, rc);
    interrupted = 0;
    sigemptyset(&action.sa_mask);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &waiting_mask);
    sigaction(SIGINT, &action, NULL);
    rc = follow(&w, &waiting_mask, &reply);
    wc_client_on_notify(run->client, NULL, NULL);
    wc_reply_free(reply);
    if (w.code != 0 || interrupted)
        return w.code; /* Ctrl-C is how it is meant to end */
    if (rc != 0)
        return wc_run_call_failed(run, rc);
    return wc_run_fail(run, WC_EXIT_UNREACHABLE, "the daemon is stopping");
}
