/* SPDX-License-Identifier: Apache-2.0 */
/* The CSV reader and writer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/csv.h"
#include "tests/unit/unit.h"

/* Read everything as one text: fields in [], records on lines with their number. */
static char *trace(const char *text, size_t len)
{
    struct wc_csv csv;
    struct wc_csv_record record;
    struct wc_buf out = {0};
    const char *why = NULL;
    char number[32];
    int rc;
    wc_csv_init(&csv, wc_slice(text, len));
    while ((rc = wc_csv_next(&csv, &record, &why)) == 1) {
        snprintf(number, sizeof(number), "%u:", (unsigned)record.line);
        wc_buf_text(&out, number);
        for (size_t i = 0; i < record.count; i++) {
            wc_buf_byte(&out, '[');
            wc_buf_append(&out, record.fields[i].data, record.fields[i].len);
            wc_buf_byte(&out, ']');
        }
        wc_buf_byte(&out, ' ');
    }
    if (rc < 0) {
        assert_int_equal(rc, -WC_EINVALID);
        assert_non_null(why);
        snprintf(number, sizeof(number), "error %u", (unsigned)record.line);
        wc_buf_text(&out, number);
    }
    wc_csv_fini(&csv);
    wc_buf_byte(&out, '\0');
    assert_false(out.failed);
    return (char *)wc_buf_take(&out, &len);
}

static void assert_trace(const char *text, const char *expected)
{
    char *got = trace(text, strlen(text));
    assert_string_equal(got, expected);
    free(got);
}

static void plain_records_are_read(void **state)
{
    (void)state;
    assert_trace("", "");
    assert_trace("a", "1:[a] ");
    assert_trace("a,b\n", "1:[a][b] ");
    assert_trace("a,b\r\nc,d\r\n", "1:[a][b] 2:[c][d] ");
    assert_trace("a,b\rc,d", "1:[a][b] 2:[c][d] ");
    assert_trace("a,,b,\n,\n", "1:[a][][b][] 2:[][] ");
    assert_trace("a , b\n", "1:[a][b] ");
    assert_trace("5\" pipe,b\n", "1:[5\" pipe][b] ");
}

static void quotes_hold_everything(void **state)
{
    (void)state;
    assert_trace("\"a,b\",c\n", "1:[a,b][c] ");
    assert_trace("\"say \"\"hi\"\"\",\"\"\n", "1:[say \"hi\"][] ");
    assert_trace("\"two\nlines\",b\nc,d\n", "1:[two\nlines][b] 3:[c][d] ");
    assert_trace("\"two\r\nlines\"\r\nc\r\n", "1:[two\r\nlines] 3:[c] ");
    assert_trace(" \" kept \" ,b\n", "1:[ kept ][b] ");
    assert_trace("\"\"\"\"\n", "1:[\"] ");
}

static void what_programs_add_is_understood(void **state)
{
    (void)state;
    assert_trace("\xef\xbb\xbf"
                 "a,b\n",
                 "1:[a][b] ");
    assert_trace("a;b;c\n1,5;2;3\n", "1:[a][b][c] 2:[1,5][2][3] ");
    assert_trace("a\tb\n1,2\t3\n", "1:[a][b] 2:[1,2][3] ");
    assert_trace("\"a;b;c;d\",e\n", "1:[a;b;c;d][e] ");
    assert_trace("a,b\n\n\r\nc,d\n\n", "1:[a][b] 4:[c][d] ");
}

static void broken_records_are_errors_with_their_line(void **state)
{
    (void)state;
    assert_trace("a,b\n\"c,d\ne,f\n", "1:[a][b] error 2");
    assert_trace("\"", "error 1");
    assert_trace("a,b\n\"c\"d,e\n", "1:[a][b] error 2");
    char many[200];
    memset(many, ',', sizeof(many));
    many[WC_CSV_FIELDS_MAX - 1] = '\0';
    char *got = trace(many, strlen(many));
    assert_int_equal(got[0], '1');
    free(got);
    many[WC_CSV_FIELDS_MAX - 1] = ',';
    many[WC_CSV_FIELDS_MAX] = '\0';
    assert_trace(many, "error 1");
}

static void a_field_of_a_mebibyte_is_read(void **state)
{
    (void)state;
    size_t len = 1u << 20;
    char *text = malloc(len + 3);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text + len, ",b", 3);
    char *got = trace(text, len + 2);
    assert_int_equal(strlen(got), len + 8);
    free(got);
    free(text);
}

/* Whatever is written is read again. */
static void writing_and_reading_are_inverse(void **state)
{
    (void)state;
    static const char alphabet[] = "ab ,;\t\"\n\r\xc3\xa5";
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 2000; round++) {
        struct wc_buf line = {0};
        struct wc_buf fields[4] = {{0}};
        wc_buf_text(&line, "h1,h2,h3,h4\r\n");
        for (int i = 0; i < 4; i++) {
            for (int n = rand() % 6; n > 0; n--)
                wc_buf_byte(&fields[i],
                            (uint8_t)alphabet[(size_t)rand() % (sizeof(alphabet) - 1)]);
            wc_buf_text(&line, i > 0 ? "," : "");
            wc_csv_write(&line, wc_buf_slice(&fields[i]));
        }
        wc_buf_text(&line, "\r\n");
        struct wc_csv csv;
        struct wc_csv_record record;
        const char *why = NULL;
        wc_csv_init(&csv, wc_buf_slice(&line));
        assert_int_equal(wc_csv_next(&csv, &record, &why), 1);
        assert_int_equal(wc_csv_next(&csv, &record, &why), 1);
        assert_int_equal(record.count, 4);
        for (int i = 0; i < 4; i++) {
            assert_true(wc_slice_eq(record.fields[i], wc_buf_slice(&fields[i])));
            wc_buf_fini(&fields[i]);
        }
        assert_int_equal(wc_csv_next(&csv, &record, &why), 0);
        wc_csv_fini(&csv);
        wc_buf_fini(&line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_records_are_read),
        cmocka_unit_test(quotes_hold_everything),
        cmocka_unit_test(what_programs_add_is_understood),
        cmocka_unit_test(broken_records_are_errors_with_their_line),
        cmocka_unit_test(a_field_of_a_mebibyte_is_read),
        cmocka_unit_test(writing_and_reading_are_inverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
