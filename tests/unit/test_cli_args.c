/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: the parser, the tables behind it, and what documents them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/file.h"
#include "tests/unit/unit.h"

#define WORDS_MAX 16

struct line {
    char text[512];
    char *argv[WORDS_MAX];
    int argc;
    struct wc_args args;
    char why[512];
    int rc;
};

/* Parse a line; "|" parts the words. */
static struct line *parse(const char *text)
{
    static struct line l;
    memset(&l, 0, sizeof(l));
    strcpy(l.text, text);
    for (char *word = text[0] == '\0' ? NULL : l.text; word != NULL;) {
        char *bar = strchr(word, '|');
        if (bar != NULL)
            *bar = '\0';
        l.argv[l.argc++] = word;
        word = bar == NULL ? NULL : bar + 1;
    }
    l.rc = wc_args_parse(l.argc, l.argv, wc_commands, &l.args, l.why, sizeof(l.why));
    return &l;
}

static void assert_refused(const char *text, const char *said)
{
    const struct line *l = parse(text);
    assert_int_equal(l->rc, -WC_EINVALID);
    if (strstr(l->why, said) == NULL)
        print_error("%s: %s\n", text, l->why);
    assert_non_null(strstr(l->why, said));
}

static const struct wc_args *accepted(const char *text, const char *path)
{
    const struct line *l = parse(text);
    if (l->rc != 0)
        print_error("%s: %s\n", text, l->why);
    assert_int_equal(l->rc, 0);
    assert_non_null(l->args.command);
    assert_string_equal(l->args.command->path, path);
    return &l->args;
}

static void commands_of_one_and_two_words_are_found(void **state)
{
    (void)state;
    for (const struct wc_command *c = wc_commands; c->path != NULL; c++) {
        char line[200];
        snprintf(line, sizeof(line), "%s", c->path);
        for (char *blank = line; (blank = strchr(blank, ' ')) != NULL;)
            *blank = '|';
        for (int i = 0; i < c->words_min; i++)
            strcat(line, "|w");
        const struct wc_args *a = accepted(line, c->path);
        assert_int_equal(a->word_count, c->words_min);
    }
    accepted("me", "me show");
    accepted("org", "org show");
    accepted("office", "office show");
}

static void options_stand_anywhere(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "--socket|/s|find|--limit|3|web|--json|design",
        "find|web|design|--json|--limit=3|--socket=/s",
        "--json|-n3|find|--socket|/x|--socket|/s|web|design",
        "find|-n|3|--json|--socket|/s|--|web|design",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const struct wc_args *a = accepted(lines[i], "find");
        assert_string_equal(a->value[WC_OPT_SOCKET], "/s");
        assert_string_equal(a->value[WC_OPT_LIMIT], "3");
        assert_non_null(a->value[WC_OPT_JSON]);
        assert_null(a->value[WC_OPT_OFFICE]);
        assert_int_equal(a->word_count, 2);
        assert_string_equal(a->words[0], "web");
        assert_string_equal(a->words[1], "design");
    }
}

static void words_may_look_like_options(void **state)
{
    (void)state;
    const struct wc_args *a = accepted("find|--|--limit|-x", "find");
    assert_int_equal(a->word_count, 2);
    assert_string_equal(a->words[0], "--limit");
    assert_null(a->value[WC_OPT_LIMIT]);
    a = accepted("import|-", "import");
    assert_string_equal(a->words[0], "-");
    a = accepted("me|set|phone|--|-5", "me set");
    assert_string_equal(a->words[1], "-5");
}

static void help_is_found_in_every_way(void **state)
{
    (void)state;
    assert_non_null(accepted("find|--help", "find")->value[WC_OPT_HELP]);
    assert_non_null(accepted("help|find", "find")->value[WC_OPT_HELP]);
    assert_non_null(accepted("-h|me|set", "me set")->value[WC_OPT_HELP]);
    const struct line *l = parse("help");
    assert_int_equal(l->rc, 0);
    assert_null(l->args.command);
    assert_non_null(l->args.value[WC_OPT_HELP]);
    l = parse("");
    assert_int_equal(l->rc, 0);
    assert_null(l->args.command);
}

static void mistakes_are_told_and_guessed(void **state)
{
    (void)state;
    assert_refused("fnd|x", "did you mean \"find\"?");
    assert_refused("ofices", "did you mean \"offices\"?");
    assert_refused("xyzzy", "whocan --help");
    assert_refused("me|sett|x", "did you mean \"me set\"?");
    assert_refused("me|frobnicate", "there are: show, edit, set, add, drop");
    assert_refused("find|x|--limt|3", "did you mean --limit?");
    assert_refused("find|x|--frobnicate", "no option --frobnicate");
    assert_refused("find|x|-Z", "no option -Z");
    assert_refused("find|x|--limit", "--limit needs a value");
    assert_refused("find|x|--json=yes", "--json takes no value");
    assert_refused("find|x|--dry-run", "\"find\" has no option --dry-run");
    assert_refused("--limit|3", "--limit needs a command");
    assert_refused("find", "usage: whocan find QUERY...");
    assert_refused("show|a|b", "one word too many");
    assert_refused("status|now", "one word too many");
    assert_refused("f\x1b[2J", "\\u{1b}");
    assert_refused("find|x|--\x1b[2J", "\\u{1b}");
}

static void numbers_have_bounds(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0", "1001", "-1", "3x", "", " 3", "99999999999999999999999", "0x10"};
    char why[160];
    uint64_t n = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wc_args a = {.value[WC_OPT_LIMIT] = bad[i]};
        assert_int_equal(
            wc_args_number(&a, WC_OPT_LIMIT, 1, 1000, &n, why, sizeof(why)),
            -WC_EINVALID);
        assert_string_equal(why, "--limit takes a whole number from 1 to 1000");
    }
    struct wc_args a = {.value[WC_OPT_LIMIT] = "1000"};
    assert_int_equal(wc_args_number(&a, WC_OPT_LIMIT, 1, 1000, &n, why, sizeof(why)),
                     0);
    assert_int_equal(n, 1000);
    a.value[WC_OPT_LIMIT] = NULL;
    n = 7;
    assert_int_equal(wc_args_number(&a, WC_OPT_LIMIT, 1, 1000, &n, why, sizeof(why)),
                     0);
    assert_int_equal(n, 7);
}

static void a_group_alone_is_known(void **state)
{
    (void)state;
    const struct wc_args *args = accepted("me|--help", "me show");
    assert_ptr_equal(args->group, args->command);
    assert_non_null(accepted("help|org", "org show")->group);
    assert_null(accepted("me|set|--help", "me set")->group);
    assert_null(accepted("find|x", "find")->group);
    const struct wc_command *group = accepted("org|--help", "org show")->group;
    struct wc_buf text = {0};
    wc_args_help_group(&text, group);
    wc_buf_byte(&text, '\0');
    assert_non_null(strstr((const char *)text.data, "  org create NAME"));
    assert_non_null(strstr((const char *)text.data, "  org invite OFFICE"));
    assert_null(strstr((const char *)text.data, "office join"));
    wc_buf_fini(&text);
}

static void an_empty_socket_is_refused(void **state)
{
    (void)state;
    assert_refused("--socket=|status", "--socket needs the path");
}

static void help_fits_the_screen(void **state)
{
    (void)state;
    struct wc_buf out = {0};
    wc_args_help_all(&out, wc_commands);
    for (const struct wc_command *c = wc_commands; c->path != NULL; c++)
        wc_args_help(&out, c);
    size_t column = 0;
    for (size_t i = 0; i < out.len; i++) {
        column = out.data[i] == '\n' ? 0 : column + 1;
        assert_true(column <= 80);
    }
    wc_buf_fini(&out);
}

static char *read_source(const char *name)
{
    struct wc_buf text = {0};
    char why[512];
    size_t len;
    assert_int_equal(wc_file_read(name, 1u << 20, &text, why, sizeof(why)), 0);
    wc_buf_byte(&text, '\0');
    return (char *)wc_buf_take(&text, &len);
}

/* Every command and option stands in the manual and in the completion. */
static void everything_is_documented(void **state)
{
    (void)state;
    char *manual = read_source(WHOCAN_SOURCE_DIR "/docs/whocan.1");
    char *completion = read_source(WHOCAN_SOURCE_DIR "/packaging/completion/whocan");
    for (const struct wc_command *c = wc_commands; c->path != NULL; c++) {
        char text[128];
        snprintf(text, sizeof(text), ".B %s", c->path);
        if (strstr(manual, text) == NULL)
            fail_msg("docs/whocan.1 has no line \"%s\"", text);
        const char *last = strchr(c->path, ' ');
        if (strstr(completion, last == NULL ? c->path : last + 1) == NULL)
            fail_msg("packaging/completion/whocan does not know %s", c->path);
    }
    for (size_t i = 0; i < WC_OPT_COUNT; i++) {
        char text[64] = "\\-\\-";
        const char *from = wc_opts[i].name;
        size_t len = 4;
        for (; *from != '\0'; from++) {
            if (*from == '-')
                text[len++] = '\\';
            text[len++] = *from;
        }
        text[len] = '\0';
        if (strstr(manual, text) == NULL)
            fail_msg("docs/whocan.1 does not have %s", text);
        snprintf(text, sizeof(text), "--%s", wc_opts[i].name);
        if (strstr(completion, text) == NULL)
            fail_msg("packaging/completion/whocan does not know %s", text);
    }
    free(manual);
    free(completion);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_of_one_and_two_words_are_found),
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(words_may_look_like_options),
        cmocka_unit_test(help_is_found_in_every_way),
        cmocka_unit_test(mistakes_are_told_and_guessed),
        cmocka_unit_test(numbers_have_bounds),
        cmocka_unit_test(a_group_alone_is_known),
        cmocka_unit_test(an_empty_socket_is_refused),
        cmocka_unit_test(help_fits_the_screen),
        cmocka_unit_test(everything_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
