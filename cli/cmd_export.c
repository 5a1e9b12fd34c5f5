/* SPDX-License-Identifier: Apache-2.0 */
/* export: rows stream in batches and go straight out, to a file or the standard output. */
#include <string.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/rows.h"
#include "cli/source.h"

#define SILENCE_MAX_MS 30000 /* between two batches */

struct export
{
    struct wc_run *run;
    enum wc_format format;
    struct wc_file *file; /* NULL: standard output */
    uint32_t request;
    uint64_t rows;
    int code;
    char why[512];
};

/* CSV has no escapes: on a terminal, where nobody can import it, it is made safe. */
static int write_for_eyes(struct wc_run *run, const struct wc_buf *text)
{
    struct wc_buf safe = {0};
    struct wc_slice rest = wc_buf_slice(text);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.data);
        size_t line = len > 0 && rest.data[len - 1] == '\r' ? len - 1 : len;
        wc_term_safe(&safe, wc_slice(rest.data, line));
        wc_buf_byte(&safe, '\n');
        len += end != NULL;
        rest = wc_slice(rest.data + len, rest.len - len);
    }
    safe.failed |= text->failed;
    int code = wc_run_write(run, &safe);
    wc_buf_fini(&safe);
    return code;
}

static void put(struct export *x, const struct wc_buf *text)
{
    if (x->code != 0)
        return;
    if (x->file == NULL)
        x->code = x->format == WC_FORMAT_CSV && x->run->out.tty
                      ? write_for_eyes(x->run, text)
                      : wc_run_write(x->run, text);
    else if (text->failed ||
             wc_file_write(x->file, wc_buf_slice(text), x->why, sizeof(x->why)) != 0)
        x->code = wc_run_fail(x->run, WC_EXIT_FILE, "%s",
                              text->failed ? "out of memory" : x->why);
}

static void add_row(const struct export *x, struct wc_buf *out, const json_t *row)
{
    if (x->format == WC_FORMAT_CSV) {
        wc_row_to_csv(out, row);
        return;
    }
    if (wc_json_text(out, row, false) != 0)
        out->failed = true;
    wc_buf_byte(out, '\n');
}

static void on_batch(void *arg, const char *method, uint32_t request,
                     const struct wc_obj *params)
{
    struct export *x = arg;
    struct wc_buf text = {0};
    json_t *value = NULL;
    size_t i;
    json_t *row;
    if (request != x->request || strcmp(method, "people.batch") != 0 || x->code != 0 ||
        wc_json_from_obj(params, &value) != 0)
        return;
    json_array_foreach(json_object_get(value, "people"), i, row)
    {
        add_row(x, &text, row);
        x->rows++;
    }
    put(x, &text);
    json_decref(value);
    wc_buf_fini(&text);
}

/* As long as rows come, it may take long. */
static int wait_end(struct export *x)
{
    struct wc_client *client = x->run->client;
    struct wc_reply *reply = NULL;
    int rc = wc_client_take(client, x->request, &reply);
    while (reply == NULL && rc == -WC_EBUSY && x->code == 0) {
        rc = wc_client_pump(client, SILENCE_MAX_MS);
        if (rc == 0)
            rc = wc_client_take(client, x->request, &reply);
    }
    uint64_t count = 0;
    if (x->code == 0 && rc != 0)
        x->code = wc_run_call_failed(x->run, rc);
    else if (x->code == 0 &&
             wc_obj_u64(wc_obj_get(wc_reply_result(reply), "count"), &count) == 0 &&
             count != x->rows)
        x->code = wc_run_fail(x->run, WC_EXIT_UNREACHABLE,
                              "the export is not complete: %llu of %llu rows came",
                              (unsigned long long)x->rows, (unsigned long long)count);
    wc_reply_free(reply);
    return x->code;
}

static int run_export(struct export *x)
{
    struct wc_buf params = {0};
    struct wc_buf header = {0};
    const char *office = wc_run_option(x->run, WC_OPT_OFFICE);
    bool all = wc_run_option(x->run, WC_OPT_ALL) != NULL;
    wc_pack_map(&params, (office != NULL) + all);
    if (office != NULL) {
        wc_pack_text(&params, "office");
        wc_pack_text(&params, office);
    }
    if (all) {
        wc_pack_text(&params, "all");
        wc_pack_bool(&params, true);
    }
    wc_client_on_notify(x->run->client, on_batch, x);
    int rc = wc_client_send(x->run->client, "people.export", wc_buf_slice(&params),
                            &x->request);
    wc_buf_fini(&params);
    if (rc != 0)
        return wc_run_call_failed(x->run, rc);
    if (x->format == WC_FORMAT_CSV)
        wc_row_csv_header(&header);
    put(x, &header);
    wc_buf_fini(&header);
    wait_end(x);
    wc_client_on_notify(x->run->client, NULL, NULL);
    return x->code;
}

static int read_options(struct export *x, const char *output)
{
    const char *format = wc_run_option(x->run, WC_OPT_FORMAT);
    x->format = WC_FORMAT_JSONL;
    if (format != NULL && wc_format_parse(format, &x->format) != 0)
        return wc_run_fail(x->run, WC_EXIT_USAGE, "--format takes csv or jsonl");
    if (format == NULL && output != NULL)
        x->format = wc_format_guess(output, wc_slice_text("{"));
    if (wc_run_option(x->run, WC_OPT_ALL) != NULL &&
        wc_run_option(x->run, WC_OPT_OFFICE) != NULL)
        return wc_run_fail(x->run, WC_EXIT_USAGE,
                           "--all and --office exclude each other");
    return 0;
}

int wc_cmd_export(struct wc_run *run)
{
    struct export x = {.run = run};
    const char *output = wc_run_option(run, WC_OPT_OUTPUT);
    const char *about = wc_run_option(run, WC_OPT_ABOUT);
    if (about != NULL && (wc_run_option(run, WC_OPT_ALL) != NULL ||
                          wc_run_option(run, WC_OPT_OFFICE) != NULL ||
                          wc_run_option(run, WC_OPT_FORMAT) != NULL))
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--about goes with --json and --output only");
    if (about != NULL)
        return wc_cmd_export_about(run, about);
    if (output != NULL && strcmp(output, "-") == 0)
        output = NULL;
    int code = read_options(&x, output);
    if (code == 0)
        code = wc_run_connect(run);
    if (code == 0 && output != NULL &&
        wc_file_new(&x.file, output, 0666, true, x.why, sizeof(x.why)) != 0)
        code = wc_run_fail(run, WC_EXIT_FILE, "%s", x.why);
    if (code == 0)
        code = run_export(&x);
    if (code == 0 && x.file != NULL &&
        wc_file_commit(x.file, x.why, sizeof(x.why)) != 0)
        code = wc_run_fail(run, WC_EXIT_FILE, "%s", x.why);
    wc_file_free(x.file);
    return code;
}
