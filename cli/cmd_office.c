/* SPDX-License-Identifier: Apache-2.0 */
/* office join: hands an invitation to the daemon. */
#include <whocan/crypto.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/pasted.h"

/* ---- join ---- */

static const char *const invite_starts[] = {"whocan-invite-", NULL};
static const struct wc_pasted_rule invite_rule = {
    "invitation",
    "an",
    "office join INVITATION|-",
    invite_starts,
    "An invitation is one line that starts with whocan-invite-1. Whoever keeps the "
    "organisation's key makes it: whocan org invite OFFICE --key FILE",
    65536,
};

static int joined(struct wc_run *run, const json_t *result)
{
    struct wc_buf out = {0};
    uint64_t moved = wc_json_u64(result, "people_moved");
    if (wc_run_wants_json(run))
        return wc_run_json(run, result);
    wc_buf_text(&out, "This office is now \"");
    wc_term_safe(&out, wc_json_str(result, "name"));
    wc_buf_text(&out, "\" of ");
    wc_term_safe(&out, wc_json_str(result, "organisation"));
    wc_buf_text(&out, ".\n");
    if (moved > 0) {
        wc_term_plural(&out, moved, "profile", "profiles");
        wc_buf_text(&out, " came along.\n");
    }
    wc_buf_text(&out, "`whocan offices` shows whom it has found.\n");
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

int wc_cmd_office_join(struct wc_run *run)
{
    struct wc_buf text = {0};
    struct wc_slice line = {0};
    json_t *result = NULL;
    int code = wc_pasted_read(run, &invite_rule, &text, &line);
    if (code == 0)
        code =
            wc_run_call(run, "office.join",
                        json_pack("{s:o}", "invite", wc_json_new_str(line)), &result);
    if (code == 0)
        code = joined(run, result);
    if (text.data != NULL)
        wc_wipe(text.data, text.len);
    wc_buf_fini(&text);
    json_decref(result);
    return code;
}
