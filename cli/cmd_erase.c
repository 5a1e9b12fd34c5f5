/* SPDX-License-Identifier: Apache-2.0 */
/* erase: forget oneself, or for IT somebody else, and see which offices have. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/print.h"
#include "cli/table.h"

#define WAIT_MAX_S    86400
#define LOOK_EVERY_MS 250 /* between two looks while waiting */

/* Of oneself, or of the handle on the command line. */
static int call(struct wc_run *run, const char *mine, const char *of_another,
                json_t **result)
{
    const char *handle = run->args->word_count > 0 ? run->args->words[0] : NULL;
    return handle == NULL ? wc_run_call(run, mine, json_object(), result)
                          : wc_run_call(run, of_another,
                                        json_pack("{s:s}", "handle", handle), result);
}

/* ---- asking first ---- */

int wc_run_confirm(struct wc_run *run, const char *question)
{
    char answer[16] = "";
    if (wc_run_option(run, WC_OPT_YES) != NULL)
        return 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        wc_run_fail(run, WC_EXIT_USAGE, "%s", question);
        wc_run_hint(run, "There is nobody to ask here: say --yes to go on.");
        return WC_EXIT_USAGE;
    }
    wc_run_hint(run, "%s", question);
    fputs("        Type yes to go on: ", stderr);
    fflush(stderr);
    if (fgets(answer, sizeof(answer), stdin) != NULL && strcmp(answer, "yes\n") == 0)
        return 0;
    return wc_run_fail(run, WC_EXIT_USAGE, "not confirmed: nothing is deleted");
}

static int confirm(struct wc_run *run)
{
    char question[300];
    if (run->args->word_count > 0)
        snprintf(question, sizeof(question),
                 "everything about %.100s is deleted in every office, and cannot be "
                 "brought back",
                 run->args->words[0]);
    else
        snprintf(question, sizeof(question),
                 "everything about you is deleted in every office, and cannot be "
                 "brought back (`whocan me export` shows it)");
    return wc_run_confirm(run, question);
}

/* ---- what has been done ---- */

static struct wc_slice state_text(const json_t *office)
{
    struct wc_slice state = wc_json_str(office, "state");
    bool linked = wc_json_bool(office, "linked", false);
    if (wc_slice_is(state, "done"))
        return wc_slice_text("has erased it");
    if (wc_slice_is(state, "unknown"))
        return wc_slice_text("not known any more");
    return wc_slice_text(linked ? "has not yet" : "is off or cut off now");
}

static void print_offices(struct wc_run *run, struct wc_buf *out, const json_t *offices)
{
    static const struct wc_table_column columns[] = {{.heading = "OFFICE"},
                                                     {.heading = "STATE"}};
    struct wc_table table;
    size_t i;
    json_t *office;
    wc_table_init(&table, columns, 2);
    json_array_foreach(offices, i, office)
    {
        wc_table_cell(&table, wc_json_str(office, "name"));
        wc_table_cell(&table, state_text(office));
    }
    wc_table_print(&table, &run->out, out);
    wc_table_fini(&table);
}

static int print_status(struct wc_run *run, const json_t *result)
{
    struct wc_buf out = {0};
    char counts[120];
    time_t at = 0;
    wc_term_safe(&out, wc_json_str(result, "handle"));
    wc_buf_text(&out, " was erased");
    if (wc_print_time(wc_json_str(result, "requested_at"), &at)) {
        wc_buf_text(&out, " (");
        wc_print_ago(&out, at, time(NULL));
        wc_buf_text(&out, ")");
    }
    snprintf(counts, sizeof(counts), ": %llu of %llu offices have completed it.\n",
             (unsigned long long)wc_json_u64(result, "offices_done"),
             (unsigned long long)wc_json_u64(result, "offices_known"));
    wc_buf_text(&out, counts);
    if (!wc_json_bool(result, "complete", false)) {
        print_offices(run, &out, json_object_get(result, "offices"));
        wc_buf_text(&out,
                    "An office that is off does it when it returns: `whocan erase "
                    "--status` tells.\n");
    }
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

static double since_s(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) +
           (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Look until every office has completed it, or the time is over. *result is replaced. */
static int wait_complete(struct wc_run *run, uint64_t wait_s, json_t **result)
{
    struct timespec start, pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
    int code = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (code == 0 && !wc_json_bool(*result, "complete", false) &&
           since_s(&start) < (double)wait_s) {
        nanosleep(&pause, NULL);
        json_decref(*result);
        *result = NULL;
        code = call(run, "me.erasure", "people.erasure", result);
    }
    return code;
}

int wc_cmd_erase(struct wc_run *run)
{
    json_t *result = NULL;
    char why[200];
    uint64_t wait_s = 0;
    bool status = wc_run_option(run, WC_OPT_STATUS) != NULL;
    if (wc_args_number(run->args, WC_OPT_WAIT, 0, WAIT_MAX_S, &wait_s, why,
                       sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    int code = status ? 0 : confirm(run);
    if (code == 0)
        code = status ? call(run, "me.erasure", "people.erasure", &result)
                      : call(run, "me.erase", "people.erase", &result);
    if (code == 0 && wait_s > 0)
        code = wait_complete(run, wait_s, &result);
    if (code == 0)
        code = wc_run_wants_json(run) ? wc_run_json(run, result)
                                      : print_status(run, result);
    json_decref(result);
    return code;
}
