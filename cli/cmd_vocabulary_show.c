/* SPDX-License-Identifier: Apache-2.0 */
/* vocabulary list and vocabulary export: what the daemon has read. */
#include <stdio.h>

#include <whocan/limits.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/vocabulary.h"

/* ---------------------------------------------------------------- list */

static void number_cell(struct wc_table *table, uint64_t n)
{
    struct wc_buf text = {0};
    wc_term_number(&text, n);
    wc_table_cell(table, wc_buf_slice(&text));
    wc_buf_fini(&text);
}

static void print_vocabularies(const struct wc_run *run, struct wc_buf *out,
                               const json_t *result)
{
    static const struct wc_table_column columns[] = {
        {"ID", false, false, WC_STYLE_HANDLE},
        {"TITLE", false, true, WC_STYLE_PLAIN},
        {"CONCEPTS", true, false, WC_STYLE_PLAIN},
        {"LABELS", true, false, WC_STYLE_PLAIN},
    };
    const json_t *all = json_object_get(result, "vocabularies");
    struct wc_table table;
    size_t i;
    json_t *one;
    if (json_array_size(all) == 0) {
        wc_buf_text(out, "There is no vocabulary here: the key `vocabulary` of the "
                         "configuration says where.\n");
        return;
    }
    wc_table_init(&table, columns, 4);
    json_array_foreach(all, i, one)
    {
        wc_table_cell(&table, wc_json_str(one, "id"));
        wc_table_cell(&table, wc_json_str(one, "title"));
        number_cell(&table, wc_json_u64(one, "concepts"));
        number_cell(&table, wc_json_u64(one, "labels"));
    }
    wc_table_print(&table, &run->out, out);
    wc_table_fini(&table);
}

static void add_safe(struct wc_buf *out, struct wc_slice text)
{
    wc_term_safe(out, text);
}

/* "  en  Content design, copywriting" */
static void print_labels(const struct wc_run *run, struct wc_buf *out,
                         const json_t *concept)
{
    const char *language;
    json_t *labels, *label;
    json_object_foreach(json_object_get(concept, "labels"), language, labels)
    {
        struct wc_buf line = {0};
        size_t i;
        json_array_foreach(labels, i, label)
        {
            wc_buf_text(&line, i > 0 ? ", " : "");
            add_safe(&line,
                     wc_slice(json_string_value(label), json_string_length(label)));
        }
        wc_buf_text(out, "  ");
        add_safe(out, wc_slice_text(language));
        wc_buf_text(out, "  ");
        wc_term_wrap(out, wc_buf_slice(&line), 6, run->out.columns);
        out->failed |= line.failed;
        wc_buf_fini(&line);
    }
}

static void print_concepts(const struct wc_run *run, struct wc_buf *out,
                           const json_t *result)
{
    const json_t *concepts = json_object_get(result, "concepts");
    uint64_t total = wc_json_u64(result, "total");
    size_t i;
    json_t *concept;
    json_array_foreach(concepts, i, concept)
    {
        struct wc_buf id = {0};
        add_safe(&id, wc_json_str(concept, "id"));
        wc_term_styled(&run->out, out, WC_STYLE_HANDLE, wc_buf_slice(&id));
        wc_buf_byte(out, '\n');
        print_labels(run, out, concept);
        out->failed |= id.failed;
        wc_buf_fini(&id);
    }
    if (total > 0)
        wc_buf_byte(out, '\n');
    if (total > json_array_size(concepts)) {
        wc_term_number(out, json_array_size(concepts));
        wc_buf_text(out, " of ");
    }
    wc_term_plural(out, total, "concept", "concepts");
    wc_buf_text(out, ".\n");
}

static int list_params(struct wc_run *run, json_t *params)
{
    struct wc_buf words = {0};
    uint64_t limit = WC_FIND_LIMIT_DEFAULT;
    char why[160];
    int code = 0;
    wc_run_join(run, &words);
    if (wc_args_number(run->args, WC_OPT_LIMIT, 1, WC_FIND_LIMIT_MAX, &limit, why,
                       sizeof(why)) != 0)
        code = wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    else if (!wc_utf8_valid(wc_buf_slice(&words)))
        code = wc_run_fail(run, WC_EXIT_USAGE, "the words are not UTF-8 text");
    json_object_set_new(params, "limit", json_integer((json_int_t)limit));
    if (code == 0 && words.len > 0)
        json_object_set_new(params, "words", wc_json_new_str(wc_buf_slice(&words)));
    wc_buf_fini(&words);
    return code;
}

int wc_cmd_vocabulary_list(struct wc_run *run)
{
    struct wc_buf out = {0};
    json_t *params = json_object(), *result = NULL;
    int code = list_params(run, params);
    if (code == 0)
        code = wc_run_call(run, "vocabulary.list", params, &result);
    else
        json_decref(params);
    if (code == 0 && wc_run_wants_json(run)) {
        code = wc_run_json(run, result);
    } else if (code == 0) {
        if (run->args->word_count == 0)
            print_vocabularies(run, &out, result);
        else
            print_concepts(run, &out, result);
        code = wc_run_write(run, &out);
    }
    wc_buf_fini(&out);
    json_decref(result);
    return code;
}

/* ---------------------------------------------------------------- export */

/* The pages of a vocabulary, as one. */
static int fetch(struct wc_run *run, const char *id, json_t **out)
{
    json_t *vocabulary = NULL, *concepts = json_array(), *next = json_integer(0);
    int code = 0;
    while (code == 0 && json_is_integer(next)) {
        json_t *result = NULL;
        json_t *params = json_pack("{s:s, s:O}", "id", id, "from", next);
        if (params == NULL) {
            code = wc_run_fail(run, WC_EXIT_USAGE, "the id is not UTF-8 text");
            break;
        }
        code = wc_run_call(run, "vocabulary.read", params, &result);
        json_decref(next);
        next = json_incref(json_object_get(result, "next"));
        json_array_extend(concepts, json_object_get(result, "concepts"));
        if (vocabulary == NULL)
            vocabulary = json_incref(json_object_get(result, "vocabulary"));
        json_decref(result);
    }
    json_decref(next);
    if (code == 0) { /* the counts make way for what they count */
        json_object_del(vocabulary, "labels");
        json_object_set(vocabulary, "concepts", concepts);
        *out = json_incref(vocabulary);
    }
    json_decref(vocabulary);
    json_decref(concepts);
    return code;
}

static int write_out(struct wc_run *run, const struct wc_buf *text)
{
    const char *path = wc_run_option(run, WC_OPT_OUTPUT);
    char why[512];
    if (path == NULL)
        return wc_run_write(run, text);
    if (text->failed)
        return wc_run_fail(run, WC_EXIT_FILE, "out of memory");
    if (wc_file_put(path, wc_buf_slice(text), 0644, true, why, sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "%s", why);
    return 0;
}

int wc_cmd_vocabulary_export(struct wc_run *run)
{
    struct wc_buf text = {0};
    json_t *vocabulary = NULL;
    int code = fetch(run, run->args->words[0], &vocabulary);
    if (code == 0) {
        if (wc_run_wants_json(run))
            text.failed |= wc_json_text(&text, vocabulary, true) != 0;
        else
            wc_vocabulary_write_ini(&text, vocabulary);
        code = write_out(run, &text);
    }
    wc_buf_fini(&text);
    json_decref(vocabulary);
    return code;
}
