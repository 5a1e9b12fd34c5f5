/* SPDX-License-Identifier: Apache-2.0 */
/* find, show, offices, status, office show: one request, one screen. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <whocan/audience.h>
#include <whocan/limits.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/print.h"

static int bad_text(struct wc_run *run, const struct wc_buf *text, size_t max_bytes)
{
    if (!wc_utf8_valid(wc_buf_slice(text)))
        return wc_run_fail(run, WC_EXIT_USAGE, "what you ask for is not UTF-8 text");
    if (text->len > max_bytes)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "what you ask for has %zu bytes; the limit is %zu",
                           text->len, max_bytes);
    return 0;
}

/* ---- find ---- */

/* Options that leave people out, and the parameters that they become. */
static const struct filter {
    const char *param;
    enum wc_opt opt;
    bool flag;
} filters[] = {
    {"office", WC_OPT_OFFICE, false},     {"team", WC_OPT_TEAM, false},
    {"language", WC_OPT_LANGUAGE, false}, {"level", WC_OPT_LEVEL, false},
    {"mentor", WC_OPT_MENTOR, true},      {"today", WC_OPT_TODAY, true},
};

static int find_filter(struct wc_run *run, json_t *params, const struct filter *f)
{
    const char *value = wc_run_option(run, f->opt);
    if (value == NULL)
        return 0;
    if (f->opt == WC_OPT_LEVEL) {
        int code = wc_run_level(run, &value);
        if (code != 0)
            return code;
    }
    json_t *json = f->flag ? json_true() : json_string(value);
    if (json == NULL)
        return wc_run_fail(run, WC_EXIT_USAGE, "--%s is not UTF-8 text",
                           wc_opts[f->opt].name);
    json_object_set_new(params, f->param, json);
    return 0;
}

static bool find_filtered(const struct wc_run *run)
{
    bool any = false;
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        any = any || wc_run_option(run, filters[i].opt) != NULL;
    return any;
}

static int find_params(struct wc_run *run, json_t *params, uint64_t limit)
{
    struct wc_buf query = {0};
    wc_run_join(run, &query);
    int code = bad_text(run, &query, WC_QUERY_MAX_BYTES);
    json_object_set_new(params, "query", wc_json_new_str(wc_buf_slice(&query)));
    json_object_set_new(params, "limit", json_integer((json_int_t)limit));
    if (wc_run_option(run, WC_OPT_FACETS) != NULL)
        json_object_set_new(params, "facets", json_true());
    if (wc_run_option(run, WC_OPT_EXPLAIN) != NULL)
        json_object_set_new(params, "explain", json_true());
    wc_buf_fini(&query);
    for (size_t i = 0; code == 0 && i < sizeof(filters) / sizeof(filters[0]); i++)
        code = find_filter(run, params, &filters[i]);
    return code;
}

/* What stands below the list: how many more there are, and how to see them. */
static void find_footer(const struct wc_run *run, struct wc_buf *out, uint64_t shown,
                        const json_t *result, uint64_t limit)
{
    uint64_t total = wc_json_u64(result, "total");
    bool more = json_is_false(json_object_get(result, "total_exact"));
    struct wc_buf text = {0};
    if (shown == 0) {
        wc_term_wrap(
            out,
            wc_slice_text(find_filtered(run)
                              ? "Nobody found who is all of that. Try with fewer "
                                "options, or other words."
                              : "Nobody found. Try fewer or other words, or put the "
                                "question to every office: whocan ask"),
            0, run->out.columns);
        return;
    }
    if (total > shown || more) {
        wc_term_number(&text, shown);
        wc_buf_text(&text, more ? " of at least " : " of ");
        wc_term_plural(&text, total, "person", "people");
        wc_buf_text(&text, shown < limit ? "; one answer holds no more."
                                         : "; --limit N shows more.");
    } else {
        wc_term_plural(&text, shown, "person", "people");
        wc_buf_text(&text, ".");
    }
    wc_buf_text(&text, " `whocan show HANDLE` tells all about one.");
    struct wc_buf lines = {0};
    wc_term_wrap(&lines, wc_buf_slice(&text), 0, run->out.columns);
    out->failed |= text.failed || lines.failed;
    wc_buf_byte(out, '\n');
    wc_term_styled(&run->out, out, WC_STYLE_DIM,
                   wc_slice(lines.data, lines.len > 0 ? lines.len - 1 : 0));
    wc_buf_byte(out, '\n');
    wc_buf_fini(&lines);
    wc_buf_fini(&text);
}

#define FACETS_SHOWN_COUNT 10
#define COUNT_COLUMNS      7

/* "     12  content design  (expert 5, working 7)" */
static void print_facet(const struct wc_run *run, struct wc_buf *out, const json_t *one)
{
    struct wc_buf number = {0}, name = {0}, levels = {0};
    const char *level;
    json_t *people;
    wc_term_number(&number, wc_json_u64(one, "people"));
    wc_term_fit(out, wc_buf_slice(&number), COUNT_COLUMNS, true);
    wc_buf_text(out, "  ");
    wc_term_safe(&name, wc_json_str(one, "name"));
    wc_term_styled(&run->out, out, WC_STYLE_STRONG, wc_buf_slice(&name));
    json_object_foreach(json_object_get(one, "levels"), level, people)
    {
        if (json_integer_value(people) == 0 || strcmp(level, "none") == 0)
            continue;
        wc_buf_text(&levels, levels.len > 0 ? ", " : "  (");
        wc_term_safe(&levels, wc_slice_text(level));
        wc_buf_byte(&levels, ' ');
        wc_term_number(&levels, (uint64_t)json_integer_value(people));
    }
    wc_buf_text(&levels, levels.len > 0 ? ")" : "");
    wc_term_styled(&run->out, out, WC_STYLE_DIM, wc_buf_slice(&levels));
    wc_buf_byte(out, '\n');
    out->failed |= number.failed || name.failed || levels.failed;
    wc_buf_fini(&number);
    wc_buf_fini(&name);
    wc_buf_fini(&levels);
}

static void print_facets(const struct wc_run *run, struct wc_buf *out,
                         const json_t *facets)
{
    static const char *const kinds[][2] = {{"skills", " PEOPLE  SKILL\n"},
                                           {"offices", " PEOPLE  OFFICE\n"}};
    if (!json_is_object(facets) || wc_json_u64(facets, "people") == 0)
        return;
    for (size_t k = 0; k < 2; k++) {
        const json_t *list = json_object_get(facets, kinds[k][0]);
        size_t i;
        json_t *one;
        if (json_array_size(list) == 0)
            continue;
        wc_buf_byte(out, '\n');
        wc_buf_text(out, kinds[k][1]);
        json_array_foreach(list, i, one)
        {
            if (i < FACETS_SHOWN_COUNT)
                print_facet(run, out, one);
        }
    }
}

static void quote(struct wc_buf *text, struct wc_slice word)
{
    wc_buf_byte(text, '"');
    wc_term_safe(text, word);
    wc_buf_byte(text, '"');
}

/* What was searched for instead of what: a line for each, above the list. */
static void find_corrections(const struct wc_run *run, struct wc_buf *out,
                             const json_t *corrected)
{
    size_t count = json_array_size(corrected);
    for (size_t i = 0; i < count;) {
        struct wc_buf text = {0};
        struct wc_slice from = wc_json_str(json_array_get(corrected, i), "from");
        wc_buf_text(&text, "Nobody found for ");
        quote(&text, from);
        wc_buf_text(&text, "; shown for ");
        for (bool first = true; i < count; i++, first = false) {
            const json_t *c = json_array_get(corrected, i);
            if (!wc_slice_eq(wc_json_str(c, "from"), from))
                break;
            if (!first)
                wc_buf_text(&text, ", ");
            quote(&text, wc_json_str(c, "to"));
        }
        wc_buf_byte(&text, '.');
        wc_term_wrap(out, wc_buf_slice(&text), 0, run->out.columns);
        out->failed |= text.failed;
        wc_buf_fini(&text);
    }
}

/* A question of nothing else is no mistake, but nobody would expect what it finds. */
static void find_stops_only(const struct wc_run *run, struct wc_buf *out,
                            const json_t *result)
{
    if (!wc_json_bool(result, "stops_only", false))
        return;
    wc_term_wrap(
        out,
        wc_slice_text("These are words that questions are made of, which are left "
                      "out beside others. They were looked for as they stand: "
                      "name a skill or a subject to find somebody."),
        0, run->out.columns);
}

/* ---- --explain ---- */

static void add_number(struct wc_buf *out, const char *before, int decimals, double x,
                       const char *after)
{
    char text[48];
    snprintf(text, sizeof(text), "%.*f", decimals, x);
    wc_buf_text(out, before);
    wc_buf_text(out, text);
    wc_buf_text(out, after);
}

/* "  stem     garden        x 0.80   1,204 people, 12 pieces, 3 reads" */
static void print_term(struct wc_buf *out, const json_t *term)
{
    struct wc_buf text = {0}, kind = {0};
    wc_buf_text(out, "    ");
    wc_term_safe(&kind, wc_json_str(term, "kind"));
    wc_term_fit(out, wc_buf_slice(&kind), 8, false);
    wc_term_safe(&text, wc_json_str(term, "text"));
    if (wc_json_bool(term, "home", false))
        wc_buf_text(&text, " (of this office)");
    wc_term_fit(out, wc_buf_slice(&text), 30, false);
    add_number(out, " x ", 2, json_number_value(json_object_get(term, "weight")), "  ");
    wc_term_plural(out, wc_json_u64(term, "people"), "person", "people");
    wc_buf_text(out, ", ");
    wc_term_plural(out, wc_json_u64(term, "pieces"), "piece", "pieces");
    wc_buf_text(out, ", ");
    wc_term_plural(out, wc_json_u64(term, "read"), "read", "reads");
    wc_buf_byte(out, '\n');
    out->failed |= text.failed || kind.failed;
    wc_buf_fini(&kind);
    wc_buf_fini(&text);
}

static void print_words(const struct wc_run *run, struct wc_buf *out,
                        const json_t *explain)
{
    size_t i, k;
    json_t *word, *term;
    json_array_foreach(json_object_get(explain, "words"), i, word)
    {
        struct wc_buf name = {0};
        wc_buf_text(out, "  ");
        wc_term_safe(&name, wc_json_str(word, "word"));
        wc_term_styled(&run->out, out, WC_STYLE_STRONG, wc_buf_slice(&name));
        add_number(out, "  (rarity ", 2,
                   json_number_value(json_object_get(word, "rarity")), "");
        wc_buf_text(out,
                    wc_json_bool(word, "corrected", false) ? ", corrected)\n" : ")\n");
        json_array_foreach(json_object_get(word, "terms"), k, term)
        {
            print_term(out, term);
        }
        out->failed |= name.failed;
        wc_buf_fini(&name);
    }
    if (json_array_size(json_object_get(explain, "names")) > 0)
        wc_buf_text(out, "  whole names\n");
    json_array_foreach(json_object_get(explain, "names"), i, term)
    {
        print_term(out, term);
    }
}

static void print_shares(const struct wc_run *run, struct wc_buf *out,
                         const json_t *explain)
{
    size_t i, k;
    json_t *who, *term;
    json_array_foreach(json_object_get(explain, "people"), i, who)
    {
        struct wc_buf name = {0};
        wc_term_safe(&name, wc_json_str(who, "login"));
        wc_buf_text(out, "  ");
        wc_term_styled(&run->out, out, WC_STYLE_HANDLE, wc_buf_slice(&name));
        add_number(out, "  ", 3, json_number_value(json_object_get(who, "score")),
                   "\n");
        json_array_foreach(json_object_get(who, "terms"), k, term)
        {
            wc_buf_text(out, "    ");
            add_number(out, "", 3, json_number_value(json_object_get(term, "share")),
                       "  ");
            wc_term_safe(out, wc_json_str(term, "kind"));
            wc_buf_byte(out, ' ');
            wc_term_safe(out, wc_json_str(term, "text"));
            wc_buf_byte(out, '\n');
        }
        out->failed |= name.failed;
        wc_buf_fini(&name);
    }
}

static void find_explain(const struct wc_run *run, struct wc_buf *out,
                         const json_t *result)
{
    const json_t *explain = json_object_get(result, "explain");
    const char *stage;
    json_t *took;
    if (!json_is_object(explain))
        return;
    wc_buf_text(out, "\nWhat was looked for\n");
    print_words(run, out, explain);
    wc_buf_text(out, "\nWhat each has of it\n");
    print_shares(run, out, explain);
    wc_buf_text(out, "\nTime: ");
    json_object_foreach(json_object_get(explain, "times_us"), stage, took)
    {
        wc_term_safe(out, wc_slice_text(stage));
        add_number(out, " ", 3, json_number_value(took) / 1000, " ms, ");
    }
    add_number(out, "all of it ", 3, (double)wc_json_u64(result, "took_us") / 1000,
               " ms\n");
}

static int find_print(struct wc_run *run, const json_t *result, uint64_t limit)
{
    struct wc_buf out = {0};
    find_stops_only(run, &out, result);
    find_corrections(run, &out, json_object_get(result, "corrected"));
    const json_t *people = json_object_get(result, "people");
    size_t shown = json_array_size(people);
    wc_print_people(&run->out, &out, people, shown);
    find_footer(run, &out, shown, result, limit);
    print_facets(run, &out, json_object_get(result, "facets"));
    find_explain(run, &out, result);
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

int wc_cmd_find(struct wc_run *run)
{
    uint64_t limit = WC_FIND_LIMIT_DEFAULT;
    char why[160];
    json_t *result = NULL;
    if (wc_args_number(run->args, WC_OPT_LIMIT, 1, WC_FIND_LIMIT_MAX, &limit, why,
                       sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    json_t *params = json_object();
    int code = find_params(run, params, limit);
    if (code == 0)
        code = wc_run_call(run, "people.find", params, &result);
    else
        json_decref(params);
    if (code == 0)
        code = wc_run_wants_json(run) ? wc_run_json(run, result)
                                      : find_print(run, result, limit);
    json_decref(result);
    return code;
}

/* ---- the others ---- */

typedef void print_fn(const struct wc_term *term, struct wc_buf *out,
                      const json_t *value, time_t now);

/* Call a method and print what it gives, or `key` of it. `params` is taken over. */
static int call_and_print(struct wc_run *run, const char *method, json_t *params,
                          const char *key, print_fn *print)
{
    struct wc_buf out = {0};
    json_t *result = NULL;
    int code = wc_run_call(run, method, params, &result);
    const json_t *value = key == NULL ? result : json_object_get(result, key);
    if (code == 0 && wc_run_wants_json(run)) {
        code = wc_run_json(run, value);
    } else if (code == 0) {
        print(&run->out, &out, value, run->now);
        code = wc_run_write(run, &out);
    }
    wc_buf_fini(&out);
    json_decref(result);
    return code;
}

int wc_cmd_show(struct wc_run *run)
{
    json_t *params = json_pack("{s:s}", "handle", run->args->words[0]);
    const char *as = wc_run_option(run, WC_OPT_AS);
    enum wc_audience audience;
    if (params == NULL)
        return wc_run_fail(run, WC_EXIT_USAGE, "the handle is not UTF-8 text");
    if (as != NULL && wc_audience_find(wc_slice_text(as), &audience) != 0) {
        json_decref(params);
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--as takes organisation, office, match or me");
    }
    if (as != NULL)
        json_object_set_new(params, "audience", json_string(as));
    return call_and_print(run, "people.show", params, "person", wc_print_person);
}

int wc_cmd_offices(struct wc_run *run)
{
    return call_and_print(run, "offices.list", json_object(), NULL, wc_print_offices);
}

int wc_cmd_status(struct wc_run *run)
{
    bool links = wc_run_option(run, WC_OPT_LINKS) != NULL;
    return call_and_print(run, "node.status", json_object(), NULL,
                          links ? wc_print_status_links : wc_print_status);
}

/* For a program to read as it is, and not made safe for a screen: the daemon writes it. */
static void print_metrics(const struct wc_term *term, struct wc_buf *out,
                          const json_t *answer, time_t now)
{
    (void)term, (void)now;
    const char *text = json_string_value(json_object_get(answer, "text"));
    wc_buf_text(out, text == NULL ? "" : text);
}

int wc_cmd_metrics(struct wc_run *run)
{
    return call_and_print(run, "node.metrics", json_object(), NULL, print_metrics);
}

int wc_cmd_office_show(struct wc_run *run)
{
    return call_and_print(run, "office.show", json_object(), NULL, wc_print_office);
}
