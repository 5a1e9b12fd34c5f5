/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pasted.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/file.h"

static struct wc_slice trim(struct wc_slice text)
{
    while (text.len > 0 && text.data[0] <= ' ')
        text = wc_slice(text.data + 1, text.len - 1);
    while (text.len > 0 && text.data[text.len - 1] <= ' ')
        text.len--;
    return text;
}

static int read_text(struct wc_run *run, const struct wc_pasted_rule *rule,
                     struct wc_buf *out)
{
    char why[4400];
    const char *file = wc_run_option(run, WC_OPT_FILE);
    const char *word = run->args->word_count > 0 ? run->args->words[0] : NULL;
    if (file != NULL && word != NULL)
        return wc_run_fail(run, WC_EXIT_USAGE, "give the %s itself or --file, not both",
                           rule->what);
    if (file == NULL && word == NULL)
        return wc_run_fail(run, WC_EXIT_USAGE, "usage: whocan %s, or --file FILE",
                           rule->usage);
    if (file == NULL && strcmp(word, "-") == 0 && isatty(STDIN_FILENO) == 1)
        fprintf(stderr, "Paste the %s, then Enter and Ctrl-D:\n", rule->what);
    if (word != NULL && strcmp(word, "-") != 0) {
        wc_buf_text(out, word);
        return 0;
    }
    if (wc_file_read(file != NULL ? file : "-", rule->max_bytes, out, why,
                     sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "%s", why);
    return 0;
}

static bool starts_right(const struct wc_pasted_rule *rule, struct wc_slice line)
{
    for (const char *const *start = rule->starts; *start != NULL; start++) {
        size_t len = strlen(*start);
        if (line.len > len && memcmp(line.data, *start, len) == 0)
            return memchr(line.data, '\0', line.len) == NULL && wc_utf8_valid(line);
    }
    return false;
}

int wc_pasted_read(struct wc_run *run, const struct wc_pasted_rule *rule,
                   struct wc_buf *text, struct wc_slice *line)
{
    const char *file = wc_run_option(run, WC_OPT_FILE);
    int code = read_text(run, rule, text);
    if (code != 0)
        return code;
    *line = trim(wc_buf_slice(text));
    if (starts_right(rule, *line))
        return 0;
    if (file == NULL && strcmp(run->args->words[0], "-") == 0)
        file = "standard input";
    wc_run_fail(run, WC_EXIT_USAGE, "%s is not %s %s", file != NULL ? file : "that",
                rule->article, rule->what);
    wc_run_hint(run, "%s", rule->hint);
    return WC_EXIT_USAGE;
}
