/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask: the question goes to every office, and answers are shown as they come. On a
 * terminal the list so far, best first, and a progress line below it are drawn again with
 * each answer; elsewhere the list is printed once at the end. With --json each answer is
 * one line, written at once.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/limits.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/print.h"

#define TICK_MS        200   /* how often the clock of the progress line moves */
#define GRACE_MS       10000 /* beyond the wait: then the daemon does not answer */
#define CANCEL_MS      2000
#define SHOWN_DEFAULT  10
#define LINES_A_PERSON 3 /* who, and why on two lines at most */

struct ask {
    struct wc_run *run;
    uint32_t request;
    bool known;  /* the daemon has said what the ask is called */
    char id[80]; /* of the ask */
    uint64_t wait_ms;
    uint64_t limit;
    uint64_t heard;
    uint64_t offices;
    uint64_t total; /* people who match, in all offices that answered */
    json_t *people; /* array, best first */
    unsigned drawn; /* lines on the screen that the next drawing replaces */
    struct timespec start;
    int code; /* of writing */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int64_t elapsed_ms(const struct ask *a)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)(t.tv_sec - a->start.tv_sec) * 1000 +
           (t.tv_nsec - a->start.tv_nsec) / 1000000;
}

/* ---- the list ---- */

/* Better scores first; of equal ones the handle decides, so that nothing jumps. */
static int compare(const json_t *a, const json_t *b)
{
    double one = json_number_value(json_object_get(a, "score"));
    double two = json_number_value(json_object_get(b, "score"));
    if (one != two)
        return one > two ? -1 : 1;
    return wc_slice_cmp(wc_json_str(a, "handle"), wc_json_str(b, "handle"));
}

static void insert(json_t *people, json_t *person)
{
    size_t at = json_array_size(people);
    while (at > 0 && compare(person, json_array_get(people, at - 1)) < 0)
        at--;
    json_array_insert(people, at, person);
}

static void progress(const struct ask *a, struct wc_buf *out)
{
    struct wc_buf text = {0};
    char seconds[32];
    wc_buf_text(&text, "Heard from ");
    wc_term_number(&text, a->heard);
    wc_buf_text(&text, " of ");
    wc_term_plural(&text, a->offices, "office", "offices");
    wc_buf_text(&text, ", ");
    wc_term_plural(&text, a->total, "person", "people");
    snprintf(seconds, sizeof(seconds), "  (%.1f s, Ctrl-C stops)",
             (double)elapsed_ms(a) / 1000.0);
    wc_buf_text(&text, seconds);
    struct wc_buf cut = {0};
    wc_term_cut(&cut, wc_buf_slice(&text), a->run->out.columns - 1);
    wc_term_styled(&a->run->out, out, WC_STYLE_DIM, wc_buf_slice(&cut));
    wc_buf_fini(&cut);
    wc_buf_fini(&text);
}

static unsigned count_lines(const struct wc_buf *out)
{
    unsigned lines = 0;
    for (size_t i = 0; i < out->len; i++)
        lines += out->data[i] == '\n';
    return lines;
}

/* Go back to where the last drawing began and clear what it left. */
static void rewind_drawing(const struct ask *a, struct wc_buf *out)
{
    char up[24];
    wc_buf_byte(out, '\r');
    if (a->drawn > 0) {
        snprintf(up, sizeof(up), "\033[%uA", a->drawn);
        wc_buf_text(out, up);
    }
    wc_buf_text(out, "\033[J");
}

/* While answers come: as many people as the screen holds, and the progress line. */
static void draw(struct ask *a)
{
    struct wc_buf screen = {0};
    struct wc_buf list = {0};
    const struct wc_term *term = &a->run->out;
    uint64_t fits = term->rows > 4 ? (term->rows - 2) / LINES_A_PERSON : 1;
    uint64_t shown = a->limit < fits ? a->limit : fits;
    wc_print_people(term, &list, a->people, shown);
    rewind_drawing(a, &screen);
    wc_buf_append(&screen, list.data, list.len);
    progress(a, &screen);
    a->drawn = count_lines(&list);
    int code = wc_run_write(a->run, &screen);
    a->code = a->code != 0 ? a->code : code;
    wc_buf_fini(&list);
    wc_buf_fini(&screen);
}

static bool draws(const struct ask *a)
{
    return a->run->out.tty && !wc_run_wants_json(a->run);
}

/* ---- what comes ---- */

static void take_answer(struct ask *a, json_t *answer)
{
    size_t i;
    json_t *person;
    const json_t *people = json_object_get(answer, "people");
    json_array_foreach(people, i, person) insert(a->people, person);
    a->heard = wc_json_u64(answer, "offices_heard");
    a->offices = wc_json_u64(answer, "offices_known");
    a->total += wc_json_u64(answer, "total");
    if (wc_run_wants_json(a->run)) {
        json_t *line = json_pack("{s:s}", "event", "answer");
        json_object_del(answer, "request");
        json_object_update(line, answer);
        int code = wc_run_json_line(a->run, line);
        a->code = a->code != 0 ? a->code : code;
        json_decref(line);
    } else if (draws(a)) {
        draw(a);
    }
}

static void on_notification(void *arg, const char *method, uint32_t request,
                            const struct wc_obj *params)
{
    struct ask *a = arg;
    json_t *value = NULL;
    if (request != a->request || params == NULL ||
        wc_json_from_obj(params, &value) != 0)
        return;
    if (strcmp(method, "ask.started") == 0) {
        a->known = wc_slice_copy(wc_json_str(value, "ask"), a->id, sizeof(a->id));
        a->offices = wc_json_u64(value, "offices_known");
    } else if (strcmp(method, "ask.answer") == 0) {
        take_answer(a, value);
    }
    json_decref(value);
}

/* ---- waiting ---- */

/* Wait for input, a signal or the next tick. The signal is let in while waiting only, so
 * that none is lost between looking and waiting. */
static void wait_input(const struct ask *a, const sigset_t *waiting_mask)
{
    struct pollfd p = {.fd = wc_client_fd(a->run->client),
                       .events = wc_client_events(a->run->client)};
    struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    (void)ppoll(&p, 1, &tick, waiting_mask);
}

/* Until the response is here, an error, Ctrl-C, or far too much time has passed. */
static int wait_response(struct ask *a, const sigset_t *waiting_mask,
                         struct wc_reply **reply)
{
    struct wc_client *client = a->run->client;
    int rc = wc_client_take(client, a->request, reply);
    while (rc == -WC_EBUSY && *reply == NULL && !interrupted && a->code == 0) {
        wait_input(a, waiting_mask);
        rc = wc_client_pump(client, 0);
        if (rc != 0 && rc != -WC_ETIMEOUT)
            return rc;
        if (rc == -WC_ETIMEOUT && elapsed_ms(a) > (int64_t)a->wait_ms + GRACE_MS)
            return rc;
        rc = wc_client_take(client, a->request, reply);
        if (draws(a) && *reply == NULL)
            draw(a);
    }
    return rc;
}

/* Tell the daemon; whether it still hears does not matter to the person. */
static void cancel(struct ask *a)
{
    struct wc_buf params = {0};
    struct wc_reply *reply = NULL;
    wc_client_forget(a->run->client, a->request);
    if (!a->known)
        return;
    wc_pack_map(&params, 1);
    wc_pack_text(&params, "ask");
    wc_pack_text(&params, a->id);
    (void)wc_client_call(a->run->client, "ask.cancel", wc_buf_slice(&params), CANCEL_MS,
                         &reply);
    wc_reply_free(reply);
    wc_buf_fini(&params);
}

/* ---- the end ---- */

static int print_done_json(struct ask *a, bool cancelled)
{
    json_t *line = json_pack(
        "{s:s, s:I, s:I, s:I}", "event", "done", "offices_heard", (json_int_t)a->heard,
        "offices_known", (json_int_t)a->offices, "people_total", (json_int_t)a->total);
    if (a->known)
        json_object_set_new(line, "ask", json_string(a->id));
    if (cancelled)
        json_object_set_new(line, "cancelled", json_true());
    int code = wc_run_json_line(a->run, line);
    json_decref(line);
    return code;
}

static void summary(const struct ask *a, struct wc_buf *out, uint64_t shown)
{
    struct wc_buf text = {0};
    wc_buf_text(&text, "Heard from ");
    wc_term_number(&text, a->heard);
    wc_buf_text(&text, " of ");
    wc_term_plural(&text, a->offices, "office", "offices");
    wc_buf_text(&text, ": ");
    wc_term_plural(&text, a->total, "person", "people");
    if (shown < a->total) {
        wc_buf_text(&text, ", the best ");
        wc_term_number(&text, shown);
        wc_buf_text(&text, " shown");
    }
    wc_buf_text(&text, ".");
    if (a->heard > 0 && a->heard < a->offices)
        wc_buf_text(&text, " --wait SECONDS waits longer.");
    wc_buf_text(out, shown > 0 ? "\n" : "");
    wc_term_styled(&a->run->out, out, WC_STYLE_DIM, wc_buf_slice(&text));
    wc_buf_byte(out, '\n');
    wc_buf_fini(&text);
}

static int print_done(struct ask *a)
{
    struct wc_buf out = {0};
    uint64_t count = json_array_size(a->people);
    uint64_t shown = a->limit < count ? a->limit : count;
    if (draws(a))
        rewind_drawing(a, &out);
    wc_print_people(&a->run->out, &out, a->people, shown);
    if (a->heard == 0 && interrupted)
        wc_buf_text(&out, "No office had answered yet.\n");
    else if (a->heard == 0)
        wc_buf_text(&out, "No office has answered in that time: raise --wait.\n");
    else if (count == 0)
        wc_buf_text(&out, "Nobody found. Try other words, or ask again later.\n");
    summary(a, &out, shown);
    int code = wc_run_write(a->run, &out);
    wc_buf_fini(&out);
    return code;
}

static int finish(struct ask *a, int rc, const struct wc_reply *reply)
{
    json_t *result = NULL;
    bool stopped = interrupted != 0;
    if (a->code != 0)
        return a->code;
    if (stopped)
        cancel(a);
    if (rc != 0 && !stopped) {
        if (draws(a))
            print_done(a);
        return wc_run_call_failed(a->run, rc);
    }
    if (!stopped && wc_json_from_obj(wc_reply_result(reply), &result) == 0) {
        a->heard = wc_json_u64(result, "offices_heard");
        a->offices = wc_json_u64(result, "offices_known");
        a->total = wc_json_u64(result, "people_total");
    }
    json_decref(result);
    int code = wc_run_wants_json(a->run) ? print_done_json(a, stopped) : print_done(a);
    return code == 0 && stopped ? WC_EXIT_INTERRUPTED : code;
}

static int send_ask(struct ask *a)
{
    struct wc_buf params = {0};
    struct wc_buf text = {0};
    wc_run_join(a->run, &text);
    int code = 0;
    if (!wc_utf8_valid(wc_buf_slice(&text)) || text.len > WC_ASK_TEXT_MAX_BYTES)
        code = wc_run_fail(a->run, WC_EXIT_USAGE,
                           "the question must be UTF-8 text of at most %d bytes",
                           WC_ASK_TEXT_MAX_BYTES);
    wc_pack_map(&params, 2);
    wc_pack_text(&params, "text");
    wc_pack_str(&params, wc_buf_slice(&text));
    wc_pack_text(&params, "wait_ms");
    wc_pack_u64(&params, a->wait_ms);
    if (code == 0)
        code = wc_run_connect(a->run);
    if (code == 0) {
        wc_client_on_notify(a->run->client, on_notification, a);
        int rc = wc_client_send(a->run->client, "ask.create", wc_buf_slice(&params),
                                &a->request);
        code = rc == 0 ? 0 : wc_run_call_failed(a->run, rc);
    }
    wc_buf_fini(&text);
    wc_buf_fini(&params);
    return code;
}

static int run_ask(struct ask *a)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;
    sigset_t waiting_mask;
    struct wc_reply *reply = NULL;
    int code = send_ask(a);
    if (code != 0)
        return code;
    interrupted = 0;
    sigemptyset(&action.sa_mask);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &waiting_mask);
    sigaction(SIGINT, &action, NULL);
    if (draws(a))
        draw(a);
    int rc = wait_response(a, &waiting_mask, &reply);
    code = finish(a, rc, reply);
    wc_client_on_notify(a->run->client, NULL, NULL);
    wc_reply_free(reply);
    return code;
}

/* "2.5" seconds into ms. */
static int read_wait(struct wc_run *run, uint64_t *wait_ms)
{
    const char *text = wc_run_option(run, WC_OPT_WAIT);
    char *end = NULL;
    double seconds = text == NULL ? 0 : strtod(text, &end);
    if (text == NULL)
        return 0;
    if (text[0] < '0' || text[0] > '9' || *end != '\0' ||
        !(seconds * 1000 <= WC_ASK_WAIT_MAX_MS))
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--wait takes a number of seconds from 0 to %d",
                           WC_ASK_WAIT_MAX_MS / 1000);
    *wait_ms = (uint64_t)(seconds * 1000);
    return 0;
}

int wc_cmd_ask(struct wc_run *run)
{
    char why[160];
    struct ask a = {
        .run = run, .wait_ms = WC_ASK_WAIT_DEFAULT_MS, .limit = SHOWN_DEFAULT};
    int code = read_wait(run, &a.wait_ms);
    if (code == 0 && wc_args_number(run->args, WC_OPT_LIMIT, 1, WC_FIND_LIMIT_MAX,
                                    &a.limit, why, sizeof(why)) != 0)
        code = wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    if (code != 0)
        return code;
    clock_gettime(CLOCK_MONOTONIC, &a.start);
    a.people = json_array();
    code = run_ask(&a);
    json_decref(a.people);
    return code;
}
