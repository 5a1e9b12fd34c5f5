/* SPDX-License-Identifier: Apache-2.0 */
/* skills: what people can do, and how it is called. */
#include <whocan/limits.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/term.h"

#define COUNT_COLUMNS 7

/* "     12  Information security  (infosec)" */
static void print_skill(const struct wc_run *run, struct wc_buf *out,
                        const json_t *skill)
{
    struct wc_buf number = {0}, name = {0}, alias = {0};
    wc_term_number(&number, wc_json_u64(skill, "people"));
    wc_term_fit(out, wc_buf_slice(&number), COUNT_COLUMNS, true);
    wc_term_safe(&name, wc_json_str(skill, "name"));
    wc_buf_text(out, "  ");
    wc_term_styled(&run->out, out, WC_STYLE_STRONG, wc_buf_slice(&name));
    if (json_is_string(json_object_get(skill, "alias"))) {
        wc_buf_text(&alias, "  (");
        wc_term_safe(&alias, wc_json_str(skill, "alias"));
        wc_buf_byte(&alias, ')');
        wc_term_styled(&run->out, out, WC_STYLE_DIM, wc_buf_slice(&alias));
    }
    wc_buf_byte(out, '\n');
    out->failed |= number.failed || name.failed || alias.failed;
    wc_buf_fini(&number);
    wc_buf_fini(&name);
    wc_buf_fini(&alias);
}

static int print_skills(struct wc_run *run, const json_t *result)
{
    struct wc_buf out = {0};
    const json_t *skills = json_object_get(result, "skills");
    uint64_t total = wc_json_u64(result, "total");
    size_t i;
    json_t *skill;
    struct wc_slice corrected = wc_json_str(result, "corrected");
    if (corrected.len > 0) {
        wc_buf_text(&out, "Nothing begins so; perhaps \"");
        wc_term_safe(&out, corrected);
        wc_buf_text(&out, "\" was meant:\n");
    }
    if (total > 0)
        wc_buf_text(&out, " PEOPLE  SKILL\n");
    json_array_foreach(skills, i, skill)
    {
        print_skill(run, &out, skill);
    }
    if (total == 0) {
        wc_buf_text(&out, "No skill begins so.\n");
    } else if (total > json_array_size(skills)) {
        wc_buf_byte(&out, '\n');
        wc_term_number(&out, json_array_size(skills));
        wc_buf_text(&out, " of ");
        wc_term_plural(&out, total, "skill", "skills");
        wc_buf_text(&out, "; --limit N shows more.\n");
    }
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

int wc_cmd_skills(struct wc_run *run)
{
    struct wc_buf prefix = {0};
    uint64_t limit = WC_FIND_LIMIT_DEFAULT;
    char why[160];
    json_t *params = json_object(), *result = NULL;
    int code = 0;
    wc_run_join(run, &prefix);
    if (wc_args_number(run->args, WC_OPT_LIMIT, 1, WC_FIND_LIMIT_MAX, &limit, why,
                       sizeof(why)) != 0)
        code = wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    else if (!wc_utf8_valid(wc_buf_slice(&prefix)))
        code = wc_run_fail(run, WC_EXIT_USAGE, "the beginning is not UTF-8 text");
    json_object_set_new(params, "limit", json_integer((json_int_t)limit));
    if (prefix.len > 0)
        json_object_set_new(params, "prefix", wc_json_new_str(wc_buf_slice(&prefix)));
    if (code == 0)
        code = wc_run_call(run, "skills.list", params, &result);
    else
        json_decref(params);
    if (code == 0)
        code = wc_run_wants_json(run) ? wc_run_json(run, result)
                                      : print_skills(run, result);
    wc_buf_fini(&prefix);
    json_decref(result);
    return code;
}
