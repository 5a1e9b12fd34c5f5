/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: file, flags, defaults, and the texts that the table makes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <whocan/error.h>

#include "daemon/config.h"
#include "tests/unit/unit.h"

static const struct wc_config_env as_system = {.system = true};
static const struct wc_config_env as_user = {.home = "/home/alice",
                                             .xdg_runtime_dir = "/run/user/1000"};

static struct wc_config config;
static enum wc_config_action action;
static char problem[WC_PROBLEM_BYTES];

static int tear_down(void **state)
{
    (void)state;
    wc_config_fini(&config);
    return 0;
}

/* Load with flags separated by single spaces. */
static int load(const struct wc_config_env *env, const char *flags)
{
    char copy[2048], *rest = NULL;
    const char *words[64] = {"whocand"};
    int count = 1;
    snprintf(copy, sizeof(copy), "%s", flags);
    for (char *w = strtok_r(copy, " ", &rest); w != NULL;
         w = strtok_r(NULL, " ", &rest))
        words[count++] = w;
    wc_config_fini(&config);
    return wc_config_load(&config, count, words, env, &action, problem);
}

static int parse(const char *text)
{
    wc_config_fini(&config);
    return wc_config_parse(&config, wc_slice_text(text), "f", problem);
}

static void refused(int rc, const char *words)
{
    assert_int_equal(rc, -WC_ECONFIG);
    assert_null(strchr(problem, '\n'));
    if (strstr(problem, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem, words);
}

/* ---- defaults ---- */

static void root_gets_system_paths(void **state)
{
    (void)state;
    assert_int_equal(load(&as_system, "--config /dev/null"), 0);
    assert_string_equal(config.state, "/var/lib/whocan");
    assert_string_equal(config.socket, "/run/whocan/whocan.sock");
    assert_int_equal(config.listen.count, 1);
    assert_string_equal(config.listen.items[0], "[::]:7411");
    assert_true(config.listen_is_default);
    assert_int_equal(config.join.count, 0);
    assert_null(config.office);
    assert_int_equal(config.access, WC_ACCESS_PEOPLE);
    assert_string_equal(config.group, "whocan");
    assert_string_equal(config.admin_group, "whocan-admin");
    assert_int_equal(config.people_uid_min, 1000);
    assert_int_equal(config.people_uid_max, 60000);
    assert_true(config.replicate);
    assert_false(config.foreground);
    assert_int_equal(config.languages.count, 2);
    assert_string_equal(config.languages.items[1], "norwegian");
    assert_int_equal(config.vocabulary.count, 2);
    assert_string_equal(config.vocabulary.items[1], "/etc/whocan/vocabulary");
    assert_int_equal(config.log_level, WC_LOG_NOTICE);
    assert_int_equal(action, WC_ACTION_RUN);
}

static void users_get_xdg_directories(void **state)
{
    (void)state;
    assert_int_equal(load(&as_user, ""), 0);
    assert_string_equal(config.state, "/home/alice/.local/state/whocan");
    assert_string_equal(config.socket, "/run/user/1000/whocan/whocan.sock");
    assert_string_equal(config.path, "/home/alice/.config/whocan/whocan.conf");
    struct wc_config_env env = as_user;
    env.xdg_state_home = "/data";
    env.xdg_config_home = "relative"; /* which the specification says to ignore */
    assert_int_equal(load(&env, ""), 0);
    assert_string_equal(config.state, "/data/whocan");
    assert_string_equal(config.path, "/home/alice/.config/whocan/whocan.conf");
}

static void a_missing_environment_asks_for_the_flag(void **state)
{
    (void)state;
    struct wc_config_env env = {.home = "/home/alice"};
    refused(load(&env, ""), "the environment has no XDG_RUNTIME_DIR: give --socket");
    env = (struct wc_config_env){.xdg_runtime_dir = "/run/user/1000"};
    refused(load(&env, ""), "the environment has no HOME: give --state");
    assert_int_equal(load(&env, "--state /s"), 0);
}

/* ---- flags ---- */

static void each_key_is_a_flag(void **state)
{
    (void)state;
    assert_int_equal(
        load(&as_system,
             "--config /dev/null --state s --socket=/s --listen 127.0.0.1:1 --listen "
             "[::1]:2 "
             "--advertise a.example:3 --join b:4 --join c:5 --office leeds --access "
             "group "
             "--group staff --admin-group it --people-uid-min 5 --people-uid-max 9 "
             "--replicate=no --languages german,danish --vocabulary /a:/b --log-level "
             "debug --foreground"),
        0);
    assert_string_equal(config.state, "s");
    assert_string_equal(config.socket, "/s");
    assert_int_equal(config.listen.count, 2);
    assert_string_equal(config.listen.items[1], "[::1]:2");
    assert_false(config.listen_is_default);
    assert_string_equal(config.advertise.items[0], "a.example:3");
    assert_int_equal(config.join.count, 2);
    assert_string_equal(config.office, "leeds");
    assert_int_equal(config.access, WC_ACCESS_GROUP);
    assert_string_equal(config.group, "staff");
    assert_string_equal(config.admin_group, "it");
    assert_int_equal(config.people_uid_min, 5);
    assert_int_equal(config.people_uid_max, 9);
    assert_false(config.replicate);
    assert_int_equal(config.languages.count, 2);
    assert_string_equal(config.languages.items[0], "german");
    assert_int_equal(config.vocabulary.count, 2);
    assert_string_equal(config.vocabulary.items[1], "/b");
    assert_int_equal(config.log_level, WC_LOG_DEBUG);
    assert_true(config.foreground);
}

static void wrong_flags_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *flags, *words;
    } wrong[] = {
        {"--colour red", "--colour: unknown flag"},
        {"--log_level debug", "--log_level: unknown flag"},
        {"leeds", "leeds: is not a flag"},
        {"--", "is not a flag"},
        {"--state", "needs a value: --state DIR"},
        {"--config", "needs a value: --config FILE"},
        {"--config=", "needs a value"},
        {"--config a --config b", "is given twice"},
        {"--state a --state b", "is given twice"},
        {"--office Leeds", "\"Leeds\" is not a name for an office"},
        {"--listen 7411", "\"7411\" is not HOST:PORT"},
        {"--listen ::1:7411", "is not HOST:PORT"},
        {"--listen none --listen 127.0.0.1:1 --config /dev/null", "none cannot stand"},
        {"--join leeds.example", "is not HOST:PORT"},
        {"--access staff", "\"staff\" is not one of: people group everyone"},
        {"--access peop", "is not one of"},
        {"--people-uid-min -1", "is not a number from 0 to 4294967294"},
        {"--people-uid-min 4294967295", "is not a number from"},
        {"--people-uid-min 99999999999999999999", "is not a number from"},
        {"--people-uid-min 9 --people-uid-max 5 --config /dev/null", "is above"},
        {"--replicate=maybe", "neither yes nor no"},
        {"--languages English", "is not a lower-case name"},
        {"--languages ,", "has no value"},
        {"--log-level loud", "is not one of: error warning notice info debug"},
        {"--config /nonexistent/f", "/nonexistent/f: cannot be read"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        refused(load(&as_system, wrong[i].flags), wrong[i].words);
}

static void a_socket_path_must_fit(void **state)
{
    (void)state;
    char flags[256] = "--config /dev/null --socket /";
    size_t start = strlen(flags) - 1;
    while (strlen(flags) - start < WC_SOCKET_PATH_MAX_BYTES)
        strcat(flags, "x");
    assert_int_equal(load(&as_system, flags), 0);
    strcat(flags, "x");
    refused(load(&as_system, flags),
            "has 108 bytes, and a Unix socket takes at most 107");
}

static void actions_need_no_configuration(void **state)
{
    (void)state;
    struct wc_config_env bare = {.system = false};
    assert_int_equal(load(&bare, "--help"), 0);
    assert_int_equal(action, WC_ACTION_HELP);
    assert_int_equal(load(&bare, "-h"), 0);
    assert_int_equal(action, WC_ACTION_HELP);
    assert_int_equal(load(&bare, "--version"), 0);
    assert_int_equal(action, WC_ACTION_VERSION);
    assert_int_equal(load(&as_system, "--check-config --config /dev/null"), 0);
    assert_int_equal(action, WC_ACTION_CHECK);
    refused(load(&as_system, "--check-config --config /nonexistent"), "cannot be read");
}

/* ---- the file ---- */

static void a_file_is_read(void **state)
{
    (void)state;
    assert_int_equal(parse("\xef\xbb\xbf# comment\n; comment\n\n[whocan]\n"
                           "state = /srv/whocan ; where it is\r\n"
                           "join = a:1, b:2\n"
                           "join = c:3\n"
                           "  d:4\n" /* goes on */
                           "listen: [::]:7411\n"
                           "replicate = NO"),
                     0);
    assert_string_equal(config.state, "/srv/whocan");
    assert_int_equal(config.join.count, 4);
    assert_string_equal(config.join.items[1], "b:2");
    assert_string_equal(config.join.items[3], "d:4");
    assert_string_equal(config.listen.items[0], "[::]:7411");
    assert_false(config.replicate);
}

static void flags_win_over_the_file(void **state)
{
    (void)state;
    char path[] = "/tmp/whocan-config-XXXXXX", flags[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] = "[whocan]\nstate = /file\njoin = a:1\njoin = b:2\n"
                               "log_level = info\noffice = york\nlisten = none\n";
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    snprintf(flags, sizeof(flags), "--join c:3 --config %s --office leeds", path);
    int rc = load(&as_system, flags);
    unlink(path);
    assert_int_equal(rc, 0);
    assert_string_equal(config.state, "/file");
    assert_int_equal(config.join.count, 1);
    assert_string_equal(config.join.items[0], "c:3");
    assert_string_equal(config.office, "leeds");
    assert_int_equal(config.log_level, WC_LOG_INFO);
    assert_int_equal(config.listen.count, 0);
    assert_false(config.listen_is_default);
}

static void wrong_lines_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } wrong[] = {
        {"[whocan]\n\ncolour = red\n", "f:3: unknown key \"colour\""},
        {"state = /s\n", "f:1: \"state\" stands before the line [whocan]"},
        {"[whocan]\n[other]\nstate = /s\n", "f:3: unknown section [other]"},
        {"[whocan]\nstate\n", "f:2: is neither"},
        {"[whocan\n", "f:1: is neither"},
        {"[whocan]\nstate = /a\nstate = /b\n", "f:3: state: is given twice"},
        {"[whocan]\nstate = /a\n  /b\n", "f:3: state: is given twice"},
        {"[whocan]\nstate = relative\n", "must start with /"},
        {"[whocan]\nstate =\n", "f:2: state: has no value"},
        {"[whocan]\nlog_level = loud\n[x\n", "f:2: log_level: \"loud\""},
        {"[whocan]\nlog-level = info\n", "unknown key \"log-level\""},
        {"[whocan]\nconfig = /x\n", "unknown key \"config\""},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        refused(parse(wrong[i].text), wrong[i].words);
}

static void lines_and_files_have_an_end(void **state)
{
    (void)state;
    char text[2048] = "[whocan]\nstate = /";
    size_t len = strlen(text);
    memset(text + len, 'x', 1200);
    refused(parse(text), "f:2: is not a line of text");
    static const char zero[] = "[whocan]\nstate = /a\0b\n";
    wc_config_fini(&config);
    refused(wc_config_parse(&config, wc_slice(zero, sizeof(zero) - 1), "f", problem),
            "f:2: is not a line of text");
    refused(load(&as_system, "--config /dev/zero"), "is longer than 65536 bytes");
    char many[4096] = "[whocan]\njoin = a:1";
    for (int i = 0; i < WC_CONFIG_LIST_MAX_COUNT; i++)
        strcat(many, "\n a:1");
    refused(parse(many), "join: more than 32 values");
}

/* ---- comparing ---- */

static void a_reload_knows_what_needs_a_restart(void **state)
{
    (void)state;
    struct wc_config other;
    assert_int_equal(load(&as_system, "--config /dev/null --join a:1 --office leeds"),
                     0);
    const char *argv[] = {"whocand", "--config",    "/dev/null", "--join",
                          "b:2",     "--log-level", "debug",     "--listen",
                          "none",    "--access",    "everyone",  "--group",
                          "g",       "--languages", "german"};
    assert_int_equal(wc_config_load(&other, 15, argv, &as_system, &action, problem), 0);
    size_t from = 0;
    assert_string_equal(wc_config_restart_key(&config, &other, &from), "listen");
    assert_string_equal(wc_config_restart_key(&config, &other, &from), "office");
    assert_string_equal(wc_config_restart_key(&config, &other, &from), "languages");
    assert_null(wc_config_restart_key(&config, &other, &from));
    from = 0;
    assert_null(wc_config_restart_key(&config, &config, &from));
    wc_config_fini(&other);
}

/* ---- the texts ---- */

/* A file of the source tree, or what a printer prints; free it. */
static char *whole_file(FILE *f)
{
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_non_null(f);
    rewind(f);
    size_t len = fread(text, 1, (1 << 20) - 1, f);
    assert_true(len > 0);
    fclose(f);
    return text;
}

static char *printed(void (*print)(FILE *out))
{
    FILE *f = tmpfile();
    assert_non_null(f);
    print(f);
    return whole_file(f);
}

static void help_names_each_key(void **state)
{
    (void)state;
    char *help = printed(wc_config_print_help);
    for (size_t i = 0; i < wc_config_options_count; i++) {
        char flag[64] = "--";
        strcat(flag, wc_config_options[i].key);
        for (char *p = flag; *p != '\0'; p++)
            *p = *p == '_' ? '-' : *p;
        assert_non_null(strstr(help, flag));
    }
    for (const char *line = help; line != NULL && *line != '\0';) {
        assert_true(strcspn(line, "\n") <= 80);
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    free(help);
}

static void the_example_file_is_up_to_date(void **state)
{
    (void)state;
    char *example = printed(wc_config_print_example);
    char *file = whole_file(fopen(WHOCAN_SOURCE_DIR "/packaging/whocan.conf", "re"));
    if (strcmp(example, file) != 0)
        fail_msg("packaging/whocan.conf is not what whocand --print-config prints");
    assert_int_equal(parse(example), 0);
    free(file);
    free(example);
}

/* With the comment signs before the keys taken away it says what is so without it. */
static void the_example_file_says_the_defaults(void **state)
{
    (void)state;
    char *example = printed(wc_config_print_example);
    char path[] = "/tmp/whocan-config-XXXXXX", flags[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    char *rest = NULL;
    for (char *l = strtok_r(example, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest)) {
        bool key = l[0] == '#' && l[1] != ' ' && l[strlen(l) - 1] != '=';
        fprintf(f, "%s\n", key ? l + 1 : l);
    }
    fclose(f);
    snprintf(flags, sizeof(flags), "--config %s", path);
    int rc = load(&as_system, flags);
    unlink(path);
    free(example);
    if (rc != 0)
        fail_msg("%s", problem);

    struct wc_config defaults;
    const char *argv[] = {"whocand", "--config", "/dev/null"};
    size_t from = 0;
    assert_int_equal(wc_config_load(&defaults, 3, argv, &as_system, &action, problem),
                     0);
    assert_null(wc_config_restart_key(&config, &defaults, &from));
    assert_int_equal(config.access, defaults.access);
    assert_int_equal(config.log_level, defaults.log_level);
    assert_string_equal(config.group, defaults.group);
    assert_string_equal(config.admin_group, defaults.admin_group);
    assert_int_equal(config.people_uid_min, defaults.people_uid_min);
    assert_int_equal(config.people_uid_max, defaults.people_uid_max);
    wc_config_fini(&defaults);
}

static void the_manual_lists_each_key(void **state)
{
    (void)state;
    char *manual = printed(wc_config_print_manual);
    char *page = whole_file(fopen(WHOCAN_SOURCE_DIR "/docs/whocand.8", "re"));
    if (strstr(page, manual) == NULL)
        fail_msg("docs/whocand.8 does not hold what whocand --print-manual prints");
    free(page);
    free(manual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_gets_system_paths),
        cmocka_unit_test(users_get_xdg_directories),
        cmocka_unit_test(a_missing_environment_asks_for_the_flag),
        cmocka_unit_test(each_key_is_a_flag),
        cmocka_unit_test(wrong_flags_are_refused),
        cmocka_unit_test(a_socket_path_must_fit),
        cmocka_unit_test(actions_need_no_configuration),
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(flags_win_over_the_file),
        cmocka_unit_test(wrong_lines_are_named),
        cmocka_unit_test(lines_and_files_have_an_end),
        cmocka_unit_test(a_reload_knows_what_needs_a_restart),
        cmocka_unit_test(help_names_each_key),
        cmocka_unit_test(the_example_file_is_up_to_date),
        cmocka_unit_test(the_example_file_says_the_defaults),
        cmocka_unit_test(the_manual_lists_each_key),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
