/* SPDX-License-Identifier: Apache-2.0 */
/* Safe text, widths, wrapping, numbers, and guesses at what was meant. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"
#include "cli/term.h"
#include "tests/unit/unit.h"

static void assert_buf(struct wc_buf *b, const char *expected)
{
    wc_buf_byte(b, '\0');
    assert_false(b->failed);
    assert_string_equal((char *)b->data, expected);
    wc_buf_fini(b);
}

static int setup(void **state)
{
    (void)state;
    struct wc_term term;
    wc_term_init(&term, STDOUT_FILENO); /* sets the locale that widths need */
    return 0;
}

static void text_of_others_is_made_harmless(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"plain Bj\xc3\xb8rn \xe7\x8e\x8b", "plain Bj\xc3\xb8rn \xe7\x8e\x8b"},
        {"two\nlines\tand\r\nmore", "two lines and  more"},
        {"\x1b[2J\x07", "\\u{1b}[2J\\u{7}"},
        {"\x7f\xc2\x85", "\\u{7f}\\u{85}"},
        {"abc\xe2\x80\xae"
         "cba",
         "abc\\u{202e}cba"},
        {"\xe2\x81\xa6x\xe2\x81\xa9", "\\u{2066}x\\u{2069}"},
        {"\xe2\x80\x8b\xef\xbb\xbf", "\\u{200b}\\u{feff}"},
        {"\xf3\xa0\x81\x81", "\\u{e0041}"},
        {"bad\xff\xc3", "bad\\xff\\xc3"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wc_buf out = {0};
        wc_term_safe(&out, wc_slice_text(cases[i].in));
        assert_buf(&out, cases[i].out);
    }
    struct wc_buf out = {0};
    wc_term_safe(&out, wc_slice("a\0b", 3));
    assert_buf(&out, "a\\u{0}b");
}

/* Every byte string whatsoever: what comes out is UTF-8 without a control character. */
static void nothing_dangerous_gets_through(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 1u << 16; n++) {
        uint8_t bytes[3] = {(uint8_t)(n >> 8), (uint8_t)n, (uint8_t)(n * 31)};
        struct wc_buf out = {0};
        wc_term_safe(&out, wc_slice(bytes, 3));
        assert_true(wc_utf8_valid(wc_buf_slice(&out)));
        for (size_t i = 0; i < out.len;) {
            uint32_t c = 0;
            size_t len = wc_term_decode(wc_slice(out.data + i, out.len - i), &c);
            assert_true(len > 0);
            assert_false(wc_term_is_hostile(c));
            i += len;
        }
        wc_buf_fini(&out);
    }
}

static void widths_are_columns(void **state)
{
    (void)state;
    assert_int_equal(wc_term_width(wc_slice_text("")), 0);
    assert_int_equal(wc_term_width(wc_slice_text("abc")), 3);
    assert_int_equal(wc_term_width(wc_slice_text("Bj\xc3\xb8rn")), 5);
    assert_int_equal(wc_term_width(wc_slice_text("\xe7\x8e\x8b\xe5\xb0\x8f")), 4);
    assert_int_equal(wc_term_width(wc_slice_text("e\xcc\x81")), 1);
}

static void assert_fit(const char *text, size_t width, bool right, const char *expected)
{
    struct wc_buf out = {0};
    wc_term_fit(&out, wc_slice_text(text), width, right);
    assert_int_equal(wc_term_width(wc_buf_slice(&out)), width);
    assert_buf(&out, expected);
}

static void texts_are_cut_and_filled(void **state)
{
    (void)state;
    assert_fit("abc", 5, false, "abc  ");
    assert_fit("abc", 5, true, "  abc");
    assert_fit("abcdef", 4, false, "abc\xe2\x80\xa6");
    assert_fit("abcd", 4, false, "abcd");
    assert_fit("\xe7\x8e\x8b\xe5\xb0\x8f\xe6\x98\x8e", 4, false,
               "\xe7\x8e\x8b\xe2\x80\xa6 ");
    assert_fit("abc", 0, false, "");
    struct wc_buf out = {0};
    wc_term_cut(&out, wc_slice_text("Bj\xc3\xb8rn Dahl"), 6);
    assert_buf(&out, "Bj\xc3\xb8rn\xe2\x80\xa6");
}

static void lines_break_at_blanks(void **state)
{
    (void)state;
    struct wc_buf out = {0};
    wc_term_wrap(&out, wc_slice_text("one two three four five six seven"), 4, 24);
    assert_buf(&out, "one two three four\n    five six seven\n");
    wc_term_wrap(&out, wc_slice_text(""), 4, 24);
    assert_buf(&out, "\n");
    wc_term_wrap(&out, wc_slice_text("abcdefghijklmnopqrstuvwxyz"), 0, 20);
    assert_buf(&out, "abcdefghijklmnopqrst\nuvwxyz\n");
    wc_term_wrap(&out, wc_slice_text(" leading and  doubled blanks here"), 0, 20);
    assert_buf(&out, " leading and \ndoubled blanks here\n");
}

static void numbers_read_well(void **state)
{
    (void)state;
    struct wc_buf out = {0};
    wc_term_number(&out, 0);
    wc_buf_byte(&out, ' ');
    wc_term_number(&out, 999);
    wc_buf_byte(&out, ' ');
    wc_term_number(&out, 1234567);
    wc_buf_byte(&out, ' ');
    wc_term_number(&out, UINT64_MAX);
    assert_buf(&out, "0 999 1,234,567 18,446,744,073,709,551,615");
    wc_term_plural(&out, 1, "office", "offices");
    wc_buf_byte(&out, ' ');
    wc_term_plural(&out, 0, "office", "offices");
    assert_buf(&out, "1 office 0 offices");
}

static void sizes_and_durations_read_well(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        const char *bytes, *duration;
    } cases[] = {
        {0, "0 B", "0 s"},
        {59, "59 B", "59 s"},
        {999, "999 B", "16 min"},
        {1000, "1.0 kB", "16 min"},
        {3599, "3.6 kB", "59 min"},
        {3600, "3.6 kB", "1 h 0 min"},
        {86400, "86 kB", "1 d 0 h"},
        {999999, "1.0 MB", "11 d 13 h"},
        {86400ULL * 90, "7.8 MB", "90 days"},
        {1234567890123ULL, "1.2 TB", "14288980 days"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wc_buf out = {0};
        wc_term_bytes(&out, cases[i].n);
        assert_buf(&out, cases[i].bytes);
        wc_term_duration(&out, cases[i].n);
        assert_buf(&out, cases[i].duration);
    }
}

static void distances_count_edits(void **state)
{
    (void)state;
    assert_int_equal(wc_term_distance("find", "find"), 0);
    assert_int_equal(wc_term_distance("fnid", "find"), 1);
    assert_int_equal(wc_term_distance("fin", "find"), 1);
    assert_int_equal(wc_term_distance("", "find"), 4);
    assert_int_equal(wc_term_distance("ofices", "offices"), 1);
    assert_int_equal(wc_term_distance("status", "export"), 6);
    char longer[80];
    memset(longer, 'a', 64);
    longer[64] = '\0';
    assert_true(wc_term_distance(longer, "a") == SIZE_MAX);
    longer[63] = '\0';
    assert_int_equal(wc_term_distance(longer, "a"), 62);
}

static void colour_is_for_terminals_only(void **state)
{
    (void)state;
    struct wc_buf out = {0};
    struct wc_term term = {.columns = 80, .rows = 24};
    wc_term_styled(&term, &out, WC_STYLE_BAD, wc_slice_text("x"));
    assert_buf(&out, "x");
    term.colour = true;
    wc_term_styled(&term, &out, WC_STYLE_BAD, wc_slice_text("x"));
    assert_buf(&out, "\033[31mx\033[0m");
    wc_term_styled(&term, &out, WC_STYLE_PLAIN, wc_slice_text("x"));
    assert_buf(&out, "x");

    int fds[2]; /* a pipe is no terminal, whatever the environment says */
    assert_int_equal(pipe(fds), 0);
    setenv("TERM", "xterm-256color", 1);
    setenv("COLUMNS", "100", 1);
    wc_term_init(&term, fds[1]);
    assert_false(term.tty);
    assert_false(term.colour);
    assert_int_equal(term.columns, 100);
    setenv("COLUMNS", "3", 1);
    wc_term_init(&term, fds[1]);
    assert_int_equal(term.columns, 40);
    unsetenv("COLUMNS");
    wc_term_init(&term, fds[1]);
    assert_int_equal(term.columns, 80);
    close(fds[0]);
    close(fds[1]);
}

static void tables_fit_the_screen(void **state)
{
    (void)state;
    static const struct wc_table_column columns[] = {
        {"NAME", false, false, WC_STYLE_STRONG},
        {"TITLE", false, true, WC_STYLE_PLAIN},
        {"N", true, false, WC_STYLE_PLAIN},
        {"NOTE", false, false, WC_STYLE_PLAIN},
    };
    static const char *const cells[] = {
        "leeds", "Leeds Civic Hall", "5", "", "t\x1bn", "Town", "12", "revoked"};
    struct wc_table table;
    struct wc_term term = {.columns = 80, .rows = 24};
    struct wc_buf out = {0};
    wc_table_init(&table, columns, 4);
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        wc_table_cell(&table, wc_slice_text(cells[i]));
    wc_table_print(&table, &term, &out);
    assert_buf(&out, "NAME      TITLE              N  NOTE\n"
                     "leeds     Leeds Civic Hall   5\n"
                     "t\\u{1b}n  Town              12  revoked\n");
    term.columns = 35;
    wc_table_print(&table, &term, &out);
    assert_buf(&out, "NAME      TITLE          N  NOTE\n"
                     "leeds     Leeds Civic\xe2\x80\xa6   5\n"
                     "t\\u{1b}n  Town          12  revoked\n");
    wc_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_others_is_made_harmless),
        cmocka_unit_test(nothing_dangerous_gets_through),
        cmocka_unit_test(widths_are_columns),
        cmocka_unit_test(texts_are_cut_and_filled),
        cmocka_unit_test(lines_break_at_blanks),
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(sizes_and_durations_read_well),
        cmocka_unit_test(distances_count_edits),
        cmocka_unit_test(colour_is_for_terminals_only),
        cmocka_unit_test(tables_fit_the_screen),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
