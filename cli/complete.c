/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <stdio.h>

#include <whocan/limits.h>

#include "cli/commands.h"
#include "cli/json.h"

#define ASK_ABOVE_COUNT   100 /* rows: more than leave an office in a month */
#define ASK_ABOVE_PERCENT 10

static void take_missing(const json_t *seen, const json_t *handles, json_t *missing)
{
    size_t i;
    json_t *handle;
    json_array_foreach(handles, i, handle)
    {
        if (json_object_get(seen, json_string_value(handle)) == NULL)
            json_array_append(missing, handle);
    }
}

/* Whoever has a row here and does not stand in the file. */
static int find_missing(struct wc_run *run, const json_t *seen, json_t *missing,
                        size_t *rows)
{
    json_t *next = json_null(), *result = NULL;
    int code = 0;
    *rows = 0;
    do {
        json_t *params = json_object();
        if (json_is_string(next))
            json_object_set(params, "after", next);
        json_decref(next);
        next = NULL;
        code = wc_run_call(run, "people.rows", params, &result);
        if (code == 0) {
            const json_t *handles = json_object_get(result, "handles");
            *rows += json_array_size(handles);
            take_missing(seen, handles, missing);
            next = json_incref(json_object_get(result, "next"));
        }
        json_decref(result);
        result = NULL;
    } while (code == 0 && json_is_string(next));
    json_decref(next);
    return code;
}

static int confirm(struct wc_run *run, size_t count, size_t rows)
{
    char question[200];
    if (count <= ASK_ABOVE_COUNT && count * 100 <= rows * ASK_ABOVE_PERCENT)
        return 0;
    snprintf(
        question, sizeof(question),
        "the file lacks %zu of the %zu people in this office's directory: their rows "
        "are to be retired in every office",
        count, rows);
    return wc_run_confirm(run, question);
}

static int retire(struct wc_run *run, const json_t *missing)
{
    size_t count = json_array_size(missing);
    int code = 0;
    for (size_t at = 0; code == 0 && at < count; at += WC_IMPORT_BATCH_MAX_COUNT) {
        json_t *handles = json_array(), *result = NULL;
        for (size_t i = at; i < count && i < at + WC_IMPORT_BATCH_MAX_COUNT; i++)
            json_array_append(handles, json_array_get(missing, i));
        code = wc_run_call(run, "people.retire", json_pack("{s:o}", "handles", handles),
                           &result);
        json_decref(result);
    }
    return code;
}

int wc_complete(struct wc_run *run, const json_t *seen, bool dry_run, json_t **retired)
{
    json_t *missing = json_array();
    size_t rows = 0;
    int code = find_missing(run, seen, missing, &rows);
    size_t count = json_array_size(missing);
    if (code == 0 && count > 0 && !dry_run)
        code = confirm(run, count, rows);
    if (code == 0 && !dry_run)
        code = retire(run, missing);
    if (code != 0)
        json_array_clear(missing);
    *retired = missing;
    return code;
}
