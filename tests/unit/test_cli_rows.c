/* SPDX-License-Identifier: Apache-2.0 */
/* Fields, skills and rows as people write them, and sources of rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/json.h"
#include "cli/rows.h"
#include "cli/source.h"
#include "tests/unit/unit.h"

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    char why[200] = "";
    assert_int_equal(wc_json_parse(wc_slice_text(text), &value, why, sizeof(why)), 0);
    return value;
}

static void assert_json(json_t *value, const char *expected)
{
    struct wc_buf text = {0};
    assert_non_null(value);
    assert_int_equal(wc_json_text(&text, value, false), 0);
    wc_buf_byte(&text, '\0');
    assert_string_equal((char *)text.data, expected);
    wc_buf_fini(&text);
    json_decref(value);
}

/* ---- fields ---- */

static void fields_have_many_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum wc_field field;
    } cases[] = {
        {"handle", WC_FIELD_HANDLE},
        {"Login", WC_FIELD_HANDLE},
        {"E-Mail", WC_FIELD_EMAIL},
        {"mail", WC_FIELD_EMAIL},
        {"Job Title", WC_FIELD_TITLE},
        {"DEPARTMENT", WC_FIELD_TEAM},
        {"ask me about", WC_FIELD_ASK_ME_ABOUT},
        {"working-days", WC_FIELD_WORKING_DAYS},
    };
    enum wc_field field;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(wc_field_find(wc_slice_text(cases[i].name), &field), 0);
        assert_int_equal(field, cases[i].field);
    }
    assert_int_equal(wc_field_find(wc_slice_text("salary"), &field), -WC_ENOTFOUND);
    assert_int_equal(wc_field_find(wc_slice_text(""), &field), -WC_ENOTFOUND);
    assert_string_equal(wc_field_nearest(wc_slice_text("skils")), "skills");
    assert_null(wc_field_nearest(wc_slice_text("salary")));
}

static void skills_carry_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"blogging", "\"blogging\""},
        {" content design ", "\"content design\""},
        {"content design:expert",
         "{\"name\": \"content design\", \"level\": \"expert\"}"},
        {"content design: Expert, can mentor",
         "{\"name\": \"content design\", \"level\": \"expert\", \"mentor\": true}"},
        {"go:learn", "{\"name\": \"go\", \"learn\": true}"},
        {"a:mentor:working",
         "{\"name\": \"a\", \"level\": \"working\", \"mentor\": true}"},
        {"ISO 9001:2015", "\"ISO 9001:2015\""},
        {"ISO 9001:2015:expert",
         "{\"name\": \"ISO 9001:2015\", \"level\": \"expert\"}"},
        {"Adobe\\:Photoshop", "\"Adobe:Photoshop\""},
        {"expert\\:expert:expert",
         "{\"name\": \"expert:expert\", \"level\": \"expert\"}"},
        {"Writing, editing: working",
         "{\"name\": \"Writing, editing\", \"level\": \"working\"}"},
        {"TCP\\IP", "\"TCP\\\\IP\""},
        {"a\\;b\\|c\\\\", "\"a;b|c\\\\\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *value = NULL;
        char why[200] = "";
        assert_int_equal(
            wc_skill_read(wc_slice_text(cases[i].text), &value, why, sizeof(why)), 0);
        assert_json(value, cases[i].json);
    }
}

static void a_level_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"blog:expart", "blog: expart, mentor",
                                      "blog:expart:mentor", ":expert", "  "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *value = NULL;
        char why[200] = "";
        assert_int_equal(wc_skill_read(wc_slice_text(bad[i]), &value, why, sizeof(why)),
                         -WC_EINVALID);
        assert_null(value);
        assert_true(why[0] != '\0');
    }
}

static void assert_field(enum wc_field field, const char *text, const char *separators,
                         const char *expected)
{
    json_t *value = NULL;
    char why[200] = "";
    int rc = wc_field_parse(field, wc_slice_text(text), separators, &value, why,
                            sizeof(why));
    if (rc != 0)
        print_error("%s: %s\n", text, why);
    assert_int_equal(rc, 0);
    assert_json(value, expected);
}

static void values_are_read_by_their_field(void **state)
{
    (void)state;
    assert_field(WC_FIELD_NAME, "Alice; Archer", ";|", "\"Alice; Archer\"");
    assert_field(WC_FIELD_INTERESTS, "a;b | c;;", ";|", "[\"a\", \"b\", \"c\"]");
    assert_field(WC_FIELD_INTERESTS, "a, b\\, c", ",", "[\"a\", \"b, c\"]");
    assert_field(WC_FIELD_INTERESTS, "", ",", "[]");
    assert_field(WC_FIELD_LANGUAGES, "English, Norwegian;Sami", ";|",
                 "[\"English\", \"Norwegian\", \"Sami\"]");
    assert_field(WC_FIELD_WORKING_DAYS, "Monday tue,WED", ";|",
                 "[\"mon\", \"tue\", \"wed\"]");
    assert_field(WC_FIELD_WILLING, "Yes", ",", "true");
    assert_field(WC_FIELD_WILLING, "0", ",", "false");
    json_t *value = NULL;
    char why[200];
    assert_int_equal(wc_field_parse(WC_FIELD_WILLING, wc_slice_text("maybe"), ",",
                                    &value, why, sizeof(why)),
                     -WC_EINVALID);
    assert_int_equal(wc_field_parse(WC_FIELD_WORKING_DAYS, wc_slice_text("mon foo"),
                                    ",", &value, why, sizeof(why)),
                     -WC_EINVALID);
    assert_int_equal(wc_field_parse(WC_FIELD_NAME, wc_slice_text("\xff"), ",", &value,
                                    why, sizeof(why)),
                     -WC_EINVALID);
}

/* ---- rows to CSV and back ---- */

static struct wc_source *open_source(const char *text, size_t len,
                                     enum wc_format format)
{
    struct wc_source *source = NULL;
    char why[WC_SOURCE_WHY_BYTES] = "";
    int rc = wc_source_open(&source, wc_slice(text, len), format, why, sizeof(why));
    if (rc != 0)
        print_error("%s\n", why);
    assert_int_equal(rc, 0);
    return source;
}

static json_t *through_csv(const json_t *row)
{
    struct wc_buf csv = {0};
    struct wc_source_row out;
    wc_row_csv_header(&csv);
    wc_row_to_csv(&csv, row);
    struct wc_source *source =
        open_source((const char *)csv.data, csv.len, WC_FORMAT_CSV);
    assert_int_equal(wc_source_rows(source), 1);
    assert_int_equal(wc_source_next(source, &out), 1);
    if (out.row == NULL)
        print_error("%s\n", out.reason);
    assert_non_null(out.row);
    wc_source_free(source);
    wc_buf_fini(&csv);
    return out.row;
}

static void a_full_row_survives_csv(void **state)
{
    (void)state;
    json_t *row =
        parse("{\"handle\": \"alice\", \"name\": \"Alice \\\"A\\\" Archer, Ms\","
              " \"title\": \" Librarian\", \"team\": \"Libraries; North\","
              " \"skills\": [{\"name\": \"content design\", \"level\": \"expert\","
              " \"mentor\": true}, \"blog|ging\", \"ISO 9001:2015\", \"a:expert\","
              " {\"name\": \"x;y\", \"learn\": true}],"
              " \"interests\": [\"local history\", \" padded \", \"back\\\\slash\"],"
              " \"ask_me_about\": \"starting a blog;\\nline two\","
              " \"languages\": [\"English\", \"Norwegian, Nynorsk\"],"
              " \"working_days\": [\"mon\", \"fri\"], \"email\": \"a@example.org\","
              " \"phone\": \"+44 113 496 0000\", \"willing\": false}");
    json_t *again = through_csv(row);
    assert_true(json_equal(row, again));
    json_decref(row);
    json_decref(again);
}

static json_t *random_text(void)
{
    static const char *const pieces[] = {"a",  "B ",       ";", "|",      ":",
                                         "\\", ",",        " ", "expert", "mentor",
                                         "\"", "\xc3\xa5", "x"};
    char text[64] = "t"; /* an empty cell is a field left out */
    for (int n = rand() % 6; n > 0; n--)
        strcat(text, pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))]);
    return json_string(text);
}

static json_t *random_list(enum wc_field field)
{
    json_t *list = json_array();
    for (int n = 1 + rand() % 3; n > 0; n--) {
        json_t *text = random_text();
        if (field == WC_FIELD_SKILLS && rand() % 2 == 0) {
            json_t *skill = json_pack("{s:o}", "name", text);
            json_object_set_new(skill, "level", json_string("working"));
            if (rand() % 2 == 0)
                json_object_set_new(skill, "mentor", json_true());
            text = skill;
        }
        json_array_append_new(list, text);
    }
    return list;
}

static void random_rows_survive_csv(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 3000; round++) {
        json_t *row = json_object();
        json_object_set_new(row, "handle", json_string("alice"));
        json_object_set_new(row, "name", random_text());
        json_object_set_new(row, "skills", random_list(WC_FIELD_SKILLS));
        json_object_set_new(row, "interests", random_list(WC_FIELD_INTERESTS));
        json_object_set_new(row, "languages", random_list(WC_FIELD_LANGUAGES));
        json_t *again = through_csv(row);
        if (!json_equal(row, again)) {
            print_error("%s\n%s\n", json_dumps(row, 0), json_dumps(again, 0));
            fail();
        }
        json_decref(row);
        json_decref(again);
    }
}

/* ---- sources ---- */

static void assert_not_opened(const char *text, enum wc_format format, const char *said)
{
    struct wc_source *source = NULL;
    char why[WC_SOURCE_WHY_BYTES] = "";
    assert_int_equal(
        wc_source_open(&source, wc_slice_text(text), format, why, sizeof(why)),
        -WC_EINVALID);
    assert_null(source);
    if (strstr(why, said) == NULL)
        print_error("%s\n", why);
    assert_non_null(strstr(why, said));
}

static void a_broken_structure_is_refused_as_a_whole(void **state)
{
    (void)state;
    assert_not_opened("", WC_FORMAT_CSV, "is empty");
    assert_not_opened("handle,name\na,b\nc\n", WC_FORMAT_CSV, "line 3 has 1 columns");
    assert_not_opened("handle,name\na,\"b\n", WC_FORMAT_CSV, "line 2: a quoted field");
    assert_not_opened("handle,salary\na,b\n", WC_FORMAT_CSV,
                      "column \"salary\" is not known (known are: handle, name,");
    assert_not_opened("handle,login\na,b\n", WC_FORMAT_CSV,
                      "two columns hold the handle");
    assert_not_opened("name,team\na,b\n", WC_FORMAT_CSV, "no column holds the handle");
    assert_not_opened("handle,na\x1b[2Jme\n", WC_FORMAT_CSV, "\\u{1b}");
    assert_not_opened("handle\na\n\xff\n", WC_FORMAT_CSV, "line 3 is not UTF-8");
    assert_not_opened("{}\n{\"\xff\n", WC_FORMAT_JSONL, "line 2 is not UTF-8");
    assert_not_opened("\xff\xfeh", WC_FORMAT_CSV, "UTF-16");
    assert_not_opened(" [{\"handle\": \"a\"}]", WC_FORMAT_JSONL, "one JSON array");
}

static void bad_rows_are_refused_alone(void **state)
{
    (void)state;
    static const char text[] = "login;skills;willing\r\n"
                               "\"al\nice\";blog:expert;yes\r\n"
                               "bob;blog:expart;\r\n"
                               "\r\n"
                               "carol;;perhaps\r\n"
                               "dan;;\r\n";
    struct wc_source_row row;
    struct wc_source *s = open_source(text, sizeof(text) - 1, WC_FORMAT_CSV);
    assert_int_equal(wc_source_rows(s), 4);
    assert_int_equal(wc_source_next(s, &row), 1);
    assert_int_equal(row.line, 2);
    assert_string_equal(row.handle, "al ice");
    assert_json(row.row, "{\"handle\": \"al\\nice\", \"skills\": [{\"name\": \"blog\", "
                         "\"level\": \"expert\"}], \"willing\": true}");
    assert_int_equal(wc_source_next(s, &row), 1);
    assert_int_equal(row.line, 4);
    assert_null(row.row);
    assert_string_equal(row.handle, "bob");
    assert_non_null(strstr(row.reason, "skills: \"expart\" is not a level"));
    assert_int_equal(wc_source_next(s, &row), 1);
    assert_int_equal(row.line, 6);
    assert_non_null(strstr(row.reason, "willing: \"perhaps\" is neither yes nor no"));
    assert_int_equal(wc_source_next(s, &row), 1);
    assert_json(row.row, "{\"handle\": \"dan\"}");
    assert_int_equal(wc_source_next(s, &row), 0);
    wc_source_free(s);
}

static void json_lines_are_rows(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbf"
                               "{\"handle\": \"a\"}\r\n"
                               "\n"
                               "not json\n"
                               "[1]\n"
                               "{\"handle\": 5}";
    struct wc_source_row row;
    struct wc_source *s = open_source(text, sizeof(text) - 1, WC_FORMAT_JSONL);
    assert_int_equal(wc_source_rows(s), 4);
    assert_int_equal(wc_source_next(s, &row), 1);
    assert_int_equal(row.line, 1);
    assert_string_equal(row.handle, "a");
    assert_json(row.row, "{\"handle\": \"a\"}");
    assert_int_equal(wc_source_next(s, &row), 1);
    assert_int_equal(row.line, 3);
    assert_null(row.row);
    assert_non_null(strstr(row.reason, "is not JSON"));
    assert_int_equal(wc_source_next(s, &row), 1);
    assert_string_equal(row.reason, "is not a JSON object");
    assert_int_equal(wc_source_next(s, &row),
                     1); /* its type is the daemon's to judge */
    assert_string_equal(row.handle, "");
    assert_json(row.row, "{\"handle\": 5}");
    assert_int_equal(wc_source_next(s, &row), 0);
    wc_source_free(s);
}

static void a_row_of_a_mebibyte_is_refused(void **state)
{
    (void)state;
    static char text[(1u << 20) + 100];
    struct wc_source_row row;
    int start = snprintf(text, sizeof(text), "handle,name\nbig,");
    memset(text + start, 'x', 1u << 20);
    strcpy(text + start + (1u << 20), "\nsmall,y\n");
    struct wc_source *s = open_source(text, strlen(text), WC_FORMAT_CSV);
    assert_int_equal(wc_source_next(s, &row), 1);
    assert_null(row.row);
    assert_string_equal(row.handle, "big");
    assert_string_equal(row.reason,
                        "the row has 1,048,579 bytes; a record holds 16,384");
    assert_int_equal(wc_source_next(s, &row), 1);
    json_decref(row.row);
    wc_source_free(s);

    start = snprintf(text, sizeof(text), "{\"handle\":\"big\",\"name\":\"");
    memset(text + start, 'x', 1u << 20);
    strcpy(text + start + (1u << 20), "\"}\n");
    s = open_source(text, strlen(text), WC_FORMAT_JSONL);
    assert_int_equal(wc_source_next(s, &row), 1);
    assert_null(row.row);
    assert_non_null(strstr(row.reason, "a record holds 16,384"));
    wc_source_free(s);
}

static void formats_are_guessed(void **state)
{
    (void)state;
    enum wc_format f;
    assert_int_equal(wc_format_guess("p.csv", wc_slice_text("{")), WC_FORMAT_CSV);
    assert_int_equal(wc_format_guess("p.JSONL", wc_slice_text("h")), WC_FORMAT_JSONL);
    assert_int_equal(wc_format_guess("-", wc_slice_text(" \n{")), WC_FORMAT_JSONL);
    assert_int_equal(wc_format_guess("-", wc_slice_text("handle")), WC_FORMAT_CSV);
    assert_int_equal(wc_format_guess("p.json", wc_slice_text("[")), WC_FORMAT_JSONL);
    assert_int_equal(wc_format_parse("CSV", &f), 0);
    assert_int_equal(wc_format_parse("xml", &f), -WC_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_have_many_names),
        cmocka_unit_test(skills_carry_words),
        cmocka_unit_test(a_level_that_is_none_is_refused),
        cmocka_unit_test(values_are_read_by_their_field),
        cmocka_unit_test(a_full_row_survives_csv),
        cmocka_unit_test(random_rows_survive_csv),
        cmocka_unit_test(a_broken_structure_is_refused_as_a_whole),
        cmocka_unit_test(bad_rows_are_refused_alone),
        cmocka_unit_test(json_lines_are_rows),
        cmocka_unit_test(a_row_of_a_mebibyte_is_refused),
        cmocka_unit_test(formats_are_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
