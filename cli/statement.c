/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/statement.h"

#include <stdio.h>

#include "cli/json.h"

static int submit(struct wc_run *run, struct wc_slice line,
                  struct wc_statement_fate *out)
{
    json_t *result = NULL;
    int refused = 0;
    int code = wc_run_call_quiet(run, "org.submit",
                                 json_pack("{s:o}", "statement", wc_json_new_str(line)),
                                 &result, &refused);
    if (refused != 0) {
        snprintf(out->why_not, sizeof(out->why_not), "%s",
                 wc_client_error(run->client));
        code = 0;
    } else if (code == 0) {
        json_int_t accepted = json_integer_value(json_object_get(result, "accepted"));
        out->handed = true;
        out->accepted_count = accepted > 0 ? (uint64_t)accepted : 0;
    }
    json_decref(result);
    return code;
}

int wc_statement_hand(struct wc_run *run, const struct wc_slice *records,
                      uint32_t count, struct wc_statement_fate *out)
{
    *out = (struct wc_statement_fate){.handed = false};
    int rc = wc_statement_line(records, count, &out->line);
    if (rc != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "the statement %s", wc_strerror(rc));
    if (wc_run_option(run, WC_OPT_PRINT) != NULL)
        return 0;
    if (!wc_run_reaches(run)) {
        snprintf(out->why_not, sizeof(out->why_not),
                 "no daemon of this organisation answers here");
        return 0;
    }
    return submit(run, wc_buf_slice(&out->line), out);
}

void wc_statement_fate_fini(struct wc_statement_fate *fate)
{
    wc_buf_fini(&fate->line);
}

int wc_statement_print(struct wc_run *run, const struct wc_statement_fate *fate)
{
    struct wc_buf out = {0};
    if (fate->why_not[0] != '\0')
        wc_run_hint(run, "It was not handed to a daemon: %s.", fate->why_not);
    wc_run_hint(run, "Give this line to the daemon of any office, as its "
                     "administrator: whocan org publish LINE");
    wc_buf_append(&out, fate->line.data, fate->line.len);
    wc_buf_byte(&out, '\n');
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}
