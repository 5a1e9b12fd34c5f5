/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log, as they arrive at the other end of standard error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "tests/unit/unit.h"

/* Standard error becomes a pipe; restored by caught(). */
static int kept_stderr = -1, read_end = -1;

static void catch_stderr(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    kept_stderr = dup(STDERR_FILENO);
    assert_true(kept_stderr >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    read_end = ends[0];
}

static const char *caught(void)
{
    static char text[8192];
    assert_true(dup2(kept_stderr, STDERR_FILENO) >= 0);
    close(kept_stderr);
    ssize_t len = read(read_end, text, sizeof(text) - 1);
    close(read_end);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

static void set_journal_stream(void)
{
    struct stat st;
    char text[64];
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
}

static void levels_have_words(void **state)
{
    (void)state;
    char words[] = WC_LOG_LEVELS, *rest = NULL;
    int expected = WC_LOG_ERROR;
    for (char *w = strtok_r(words, " ", &rest); w != NULL;
         w = strtok_r(NULL, " ", &rest)) {
        enum wc_log_level level;
        assert_int_equal(wc_log_level_parse(w, &level), 0);
        assert_int_equal(level, expected++);
        assert_string_equal(wc_log_level_name(level), w);
    }
    assert_int_equal(expected, WC_LOG_DEBUG + 1);
    enum wc_log_level level = WC_LOG_ERROR;
    assert_true(wc_log_level_parse("loud", &level) < 0);
    assert_true(wc_log_level_parse("", &level) < 0);
    assert_int_equal(level, WC_LOG_ERROR);
}

static void people_read_time_and_level(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    wc_log_init(WC_LOG_NOTICE, false);
    catch_stderr();
    wc_log(WC_LOG_WARNING, "the disk is %s", "full");
    const char *line = caught();
    assert_int_equal(
        strlen(line),
        strlen("2026-01-01T00:00:00Z whocand: warning: the disk is full\n"));
    assert_string_equal(line + 21, "whocand: warning: the disk is full\n");
    assert_int_equal(line[10], 'T');
}

static void the_journal_reads_priorities(void **state)
{
    (void)state;
    catch_stderr();
    set_journal_stream();
    wc_log_init(WC_LOG_NOTICE, false);
    wc_log(WC_LOG_ERROR, "one");
    wc_log(WC_LOG_NOTICE, "two");
    assert_string_equal(caught(), "<3>one\n<5>two\n");

    catch_stderr();
    set_journal_stream();
    wc_log_init(WC_LOG_NOTICE, true);
    wc_log(WC_LOG_ERROR, "one");
    assert_non_null(strstr(caught(), "Z whocand: error: one\n"));
}

static void another_stream_is_not_the_journal(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "1:2", 1);
    assert_false(wc_log_to_journal());
    setenv("JOURNAL_STREAM", "rubbish", 1);
    assert_false(wc_log_to_journal());
    unsetenv("JOURNAL_STREAM");
    assert_false(wc_log_to_journal());
}

static void quieter_lines_are_left_out(void **state)
{
    (void)state;
    wc_log_init(WC_LOG_WARNING, true);
    catch_stderr();
    wc_log(WC_LOG_NOTICE, "no");
    wc_log_set_level(WC_LOG_DEBUG);
    wc_log(WC_LOG_DEBUG, "yes");
    const char *text = caught();
    assert_null(strstr(text, "no\n"));
    assert_non_null(strstr(text, "debug: yes\n"));
}

static void a_line_stays_one_line(void **state)
{
    (void)state;
    char longest[3000];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    wc_log_init(WC_LOG_NOTICE, true);
    catch_stderr();
    wc_log(WC_LOG_ERROR, "a\nb\r\x1b[31m%s", longest);
    const char *text = caught();
    assert_non_null(strstr(text, "a?b??[31mxxx"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_true(strlen(text) < 1100);
}

static void a_valve_says_what_it_left_out(void **state)
{
    (void)state;
    struct wc_log_valve valve = {.burst = 2, .window_ms = 1000};
    wc_log_init(WC_LOG_NOTICE, true);
    assert_true(wc_log_allow(&valve, 5000));
    assert_true(wc_log_allow(&valve, 5500));
    for (int i = 0; i < 3; i++)
        assert_false(wc_log_allow(&valve, 5999));
    catch_stderr();
    assert_true(wc_log_allow(&valve, 6000));
    assert_non_null(strstr(caught(), "3 more lines like this were left out\n"));
    catch_stderr();
    assert_true(wc_log_allow(&valve, 7000));
    assert_string_equal(caught(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_have_words),
        cmocka_unit_test(people_read_time_and_level),
        cmocka_unit_test(the_journal_reads_priorities),
        cmocka_unit_test(another_stream_is_not_the_journal),
        cmocka_unit_test(quieter_lines_are_left_out),
        cmocka_unit_test(a_line_stays_one_line),
        cmocka_unit_test(a_valve_says_what_it_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
