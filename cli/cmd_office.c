/* SPDX-License-Identifier: Apache-2.0 */
/* office join, office request, office leave: into an organisation, and out of it. */
#include <stdio.h>

#include <whocan/crypto.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/pasted.h"

/* ---- join ---- */

static const char *const invite_starts[] = {"whocan-invite-", "whocan-admission-",
                                            NULL};
static const struct wc_pasted_rule invite_rule = {
    "invitation or admission",
    "an",
    "office join LINE|-",
    invite_starts,
    "An invitation is one line that starts with whocan-invite-1, an admission one that "
    "starts with whocan-admission-1. Whoever keeps the organisation's key makes them: "
    "whocan org invite OFFICE --key FILE, or, from what whocan office request printed "
    "here, whocan org admit --key FILE",
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

/* ---- request ---- */

int wc_cmd_office_request(struct wc_run *run)
{
    const char *name = wc_run_option(run, WC_OPT_NAME);
    const char *title = wc_run_option(run, WC_OPT_TITLE);
    json_t *params = json_object();
    json_t *result = NULL;
    struct wc_buf out = {0};
    if (name != NULL)
        json_object_set_new(params, "name", wc_json_new_str(wc_slice_text(name)));
    if (title != NULL)
        json_object_set_new(params, "title", wc_json_new_str(wc_slice_text(title)));
    int code = wc_run_call(run, "office.request", params, &result);
    if (code == 0 && wc_run_wants_json(run)) {
        code = wc_run_json(run, result);
    } else if (code == 0) {
        struct wc_slice key = wc_json_str(result, "key");
        wc_term_safe(&out, wc_json_str(result, "request"));
        wc_buf_byte(&out, '\n');
        code = wc_run_write(run, &out);
        wc_run_hint(run, "This office's key: %.*s", (int)key.len,
                    (const char *)key.data);
        wc_run_hint(run, "Whoever keeps the organisation's key compares it: whocan org "
                         "admit LINE --key FILE");
    }
    wc_buf_fini(&out);
    json_decref(result);
    return code;
}

/* ---- leave ---- */

static int ask_to_leave(struct wc_run *run)
{
    return wc_run_confirm(run, "this office leaves its organisation: its people are "
                               "kept here and found nowhere else, and what is here of "
                               "other offices is deleted");
}

static void say_who_knows(struct wc_buf *out, uint64_t told, uint64_t links)
{
    char counts[120];
    if (links == 0) {
        wc_buf_text(out, "No other office was linked: they keep its people until the "
                         "leases of their records end,\nor the organisation revokes "
                         "it.\n");
        return;
    }
    snprintf(counts, sizeof(counts),
             "%llu of %llu linked offices have forgotten its people",
             (unsigned long long)told, (unsigned long long)links);
    wc_buf_text(out, counts);
    wc_buf_text(out, told > 0 ? ", and tell the others.\n"
                              : ": they do it when the leases end, or the organisation "
                                "revokes it.\n");
}

static int has_left(struct wc_run *run, const json_t *result)
{
    struct wc_buf out = {0};
    if (wc_run_wants_json(run))
        return wc_run_json(run, result);
    wc_buf_text(&out, "This office left ");
    wc_term_safe(&out, wc_json_str(result, "organisation"));
    wc_buf_text(&out, " and stands alone as \"");
    wc_term_safe(&out, wc_json_str(result, "name"));
    wc_buf_text(&out, "\". ");
    wc_term_plural(&out, wc_json_u64(result, "people_kept"), "profile", "profiles");
    wc_buf_text(&out, " stayed.\n");
    say_who_knows(&out, wc_json_u64(result, "offices_told"),
                  wc_json_u64(result, "offices_linked"));
    wc_buf_text(&out, "Its certificate still counts until it ends. Whoever keeps the "
                      "organisation's key revokes it:\n  whocan org revoke ");
    wc_term_safe(&out, wc_json_str(result, "key"));
    wc_buf_text(&out, " --key FILE\n");
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

int wc_cmd_office_leave(struct wc_run *run)
{
    json_t *result = NULL;
    int code = ask_to_leave(run);
    if (code == 0)
        code = wc_run_call(run, "office.leave", json_object(), &result);
    if (code == 0)
        code = has_left(run, result);
    json_decref(result);
    return code;
}
