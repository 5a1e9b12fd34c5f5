/* SPDX-License-Identifier: Apache-2.0 */
/* me export, export --about: everything that the office holds about somebody. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/print.h"
#include "cli/rows.h"

static void heading(struct wc_run *run, struct wc_buf *out, const char *title,
                    const char *words)
{
    wc_buf_byte(out, '\n');
    wc_term_styled(&run->out, out, WC_STYLE_STRONG, wc_slice_text(title));
    wc_buf_byte(out, '\n');
    wc_buf_text(out, "  ");
    wc_term_wrap(out, wc_slice_text(words), 2, run->out.columns);
}

static void line(struct wc_run *run, struct wc_buf *out, const char *label,
                 struct wc_slice text)
{
    struct wc_buf all = {0};
    wc_buf_text(&all, label);
    wc_buf_text(&all, ": ");
    wc_term_safe(&all, text);
    wc_buf_text(out, "  ");
    wc_term_wrap(out, wc_buf_slice(&all), 4, run->out.columns);
    out->failed = out->failed || all.failed;
    wc_buf_fini(&all);
}

static void time_line(struct wc_run *run, struct wc_buf *out, const char *label,
                      const json_t *part, const char *key)
{
    struct wc_slice text = wc_json_str(part, key);
    if (text.len > 0)
        line(run, out, label, text);
}

static void print_fields(struct wc_run *run, struct wc_buf *out, const json_t *fields)
{
    struct wc_buf text = {0};
    for (enum wc_field f = WC_FIELD_HANDLE; f < WC_FIELD_COUNT; f++) {
        const json_t *value = json_object_get(fields, wc_field_name(f));
        if (value == NULL || f == WC_FIELD_HANDLE)
            continue;
        wc_buf_reset(&text);
        wc_field_write(&text, f, value, ',');
        line(run, out, wc_field_name(f), wc_buf_slice(&text));
        out->failed = out->failed || text.failed;
    }
    wc_buf_fini(&text);
}

/* When and by whom. */
static void print_origin(struct wc_run *run, struct wc_buf *out, const json_t *part)
{
    bool person = wc_slice_is(wc_json_str(part, "author"), "person");
    char rev[32];
    snprintf(rev, sizeof(rev), "%llu", (unsigned long long)wc_json_u64(part, "rev"));
    line(run, out, "signed by",
         wc_slice_text(person ? "the person's own key" : "the office"));
    line(run, out, "changed so many times", wc_slice_text(rev));
    time_line(run, out, "last confirmed", part, "confirmed_at");
    time_line(run, out, "renewed by the office", part, "stamped_at");
    time_line(run, out, "ends unless it is renewed", part, "expires_at");
}

static void print_side(struct wc_run *run, struct wc_buf *out, const json_t *part,
                       const char *title, const char *words)
{
    if (!json_is_object(part))
        return;
    heading(run, out, title, words);
    if (wc_json_bool(part, "retired", false))
        line(run, out, "deleted",
             wc_slice_text("what is left is the word that it was"));
    print_fields(run, out, json_object_get(part, "fields"));
    print_origin(run, out, part);
}

static void print_asks(struct wc_run *run, struct wc_buf *out, const json_t *result,
                       const char *key, const char *words)
{
    const json_t *asks = json_object_get(result, key);
    size_t i;
    json_t *ask;
    if (json_array_size(asks) == 0)
        return;
    heading(run, out, "Questions", words);
    json_array_foreach(asks, i, ask)
    {
        line(run, out, "asked", wc_json_str(ask, "text"));
        time_line(run, out, "at", ask, "stamped_at");
    }
}

/* What of the profile is not for every office. */
static void print_local(struct wc_run *run, struct wc_buf *out, const json_t *result)
{
    const char *audience;
    json_t *fields;
    const json_t *local = json_object_get(result, "local");
    json_object_foreach((json_t *)local, audience, fields)
    {
        heading(run, out, "Profile, not for every office",
                strcmp(audience, "office") == 0
                    ? "For people of this office. It is never sent to another one."
                : strcmp(audience, "match") == 0
                    ? "For questions to meet. It is shown to nobody but you."
                    : "For you alone. It is shown to nobody else.");
        print_fields(run, out, fields);
    }
    if (wc_json_bool(result, "withheld", false))
        wc_buf_text(out, "\nSomething of the profile is told to its owner alone.\n");
}

static void print_facts(struct wc_run *run, struct wc_buf *out, const json_t *facts)
{
    size_t i;
    json_t *fact;
    if (json_array_size(facts) == 0)
        return;
    heading(run, out, "Kept in this office alone",
            "How this office knows the account. It is never sent to another office; "
            "--json has it in full.");
    json_array_foreach(facts, i, fact)
    {
        line(run, out, "fact", wc_json_str(fact, "name"));
    }
}

static void print_about(struct wc_run *run, struct wc_buf *out, const json_t *result)
{
    wc_buf_text(out, "What the office ");
    wc_term_safe(out, wc_json_str(result, "office"));
    wc_buf_text(out, " of ");
    wc_term_safe(out, wc_json_str(result, "organisation"));
    wc_buf_text(out, " holds about ");
    wc_term_safe(out, wc_json_str(result, "handle"));
    wc_buf_text(out, ", ");
    wc_term_safe(out, wc_json_str(result, "exported_at"));
    wc_buf_byte(out, '\n');
    print_side(
        run, out, json_object_get(result, "profile"), "Profile",
        "In the person's own words. Every office of the organisation has a copy.");
    print_side(run, out, json_object_get(result, "row"), "Staff directory",
               "What IT imported from the staff directory. Every office has a copy.");
    print_asks(run, out, result, "asks", "Kept until they end, in every office.");
    print_asks(run, out, result, "open_asks",
               "Waiting for answers now; they are kept nowhere.");
    print_local(run, out, result);
    print_facts(run, out, json_object_get(result, "facts"));
    wc_buf_text(out, "\n`whocan erase` deletes all of it, in every office.\n");
}

static int write_file(struct wc_run *run, const char *path, const json_t *result)
{
    struct wc_buf text = {0};
    char why[512] = "out of memory";
    int rc = wc_json_text(&text, result, true);
    wc_buf_byte(&text, '\n');
    if (rc == 0 && !text.failed)
        rc = wc_file_put(path, wc_buf_slice(&text), 0600, true, why, sizeof(why));
    int code = rc == 0 && !text.failed ? 0 : wc_run_fail(run, WC_EXIT_FILE, "%s", why);
    wc_buf_fini(&text);
    return code;
}

static int show(struct wc_run *run, const json_t *result)
{
    const char *path = wc_run_option(run, WC_OPT_OUTPUT);
    if (path != NULL && strcmp(path, "-") != 0)
        return write_file(run, path, result);
    if (wc_run_wants_json(run))
        return wc_run_json(run, result);
    struct wc_buf out = {0};
    print_about(run, &out, result);
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

int wc_cmd_me_export(struct wc_run *run)
{
    json_t *result = NULL;
    int code = wc_run_call(run, "me.export", json_object(), &result);
    if (code == 0)
        code = show(run, result);
    json_decref(result);
    return code;
}

int wc_cmd_export_about(struct wc_run *run, const char *handle)
{
    json_t *result = NULL;
    int code =
        wc_run_call(run, "people.about", json_pack("{s:s}", "handle", handle), &result);
    if (code == 0)
        code = show(run, result);
    json_decref(result);
    return code;
}
