/* SPDX-License-Identifier: Apache-2.0 */
/* The form of `me edit`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/form.h"
#include "cli/json.h"
#include "tests/unit/unit.h"

static json_t *json(const char *text)
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

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    unsigned line = 0;
    char why[300] = "";
    int rc = wc_form_parse(wc_slice_text(text), &value, &line, why, sizeof(why));
    if (rc != 0)
        print_error("line %u: %s\n", line, why);
    assert_int_equal(rc, 0);
    return value;
}

static const char full[] =
    "{\"name\": \"Alice Archer\", \"title\": \"Librarian\", \"team\": \"North: Web\","
    " \"skills\": [{\"name\": \"content design\", \"level\": \"expert\", \"mentor\": "
    "true},"
    " \"ISO 9001:2015\", \"# hash\", \"back\\\\slash\", {\"name\": \"go\", \"learn\": "
    "true}],"
    " \"interests\": [\"local history\", \"a, b; c\"],"
    " \"ask_me_about\": \"starting a blog\\nline two: with a colon\","
    " \"languages\": [\"English\", \"Norwegian, Nynorsk\"],"
    " \"working_days\": [\"mon\", \"tue\"], \"email\": \"a@example.org\","
    " \"phone\": \"+44 113 496 0000\", \"willing\": false}";

static void what_is_written_is_read(void **state)
{
    (void)state;
    json_t *profile = json(full);
    struct wc_buf form = {0};
    wc_form_write(&form, "alice@leeds", profile, NULL, NULL);
    wc_buf_byte(&form, '\0');
    assert_false(form.failed);
    json_t *again = parse((const char *)form.data);
    assert_true(json_equal(profile, again));
    json_t *diff = wc_form_diff(profile, again);
    assert_json(diff, "{}");
    json_decref(profile);
    json_decref(again);
    wc_buf_fini(&form);
}

/* Who sees a field stands behind it; a text that ends like that is not taken for it. */
static void audiences_are_written_and_read(void **state)
{
    (void)state;
    json_t *profile = json("{\"name\": \"Head [me]\", \"phone\": \"1\", "
                           "\"skills\": [\"chess [office]\", \"go\"], "
                           "\"ask_me_about\": \"bees\"}");
    json_t *marks = json("{\"phone\": \"office\", \"ask_me_about\": \"me\", "
                         "\"team\": \"me\", \"skills\": {\"go\": \"match\"}}");
    struct wc_buf form = {0};
    wc_form_write(&form, "alice@leeds", profile, NULL, marks);
    wc_buf_byte(&form, '\0');
    json_t *again = parse((char *)form.data);
    assert_true(json_equal(json_object_get(again, "audience"), marks));
    assert_string_equal(json_string_value(json_object_get(again, "name")), "Head [me]");
    assert_string_equal(json_string_value(json_object_get(again, "ask_me_about")),
                        "bees");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(again, "skills"), 0)),
        "chess [office]");
    json_decref(marks);
    json_decref(profile);

    json_t *after = parse("name: Head [me] [organisation]\nphone: 1\nteam: [office]\n"
                          "skills:\n  chess [office] [organisation]\n  go\n"
                          "ask me about: [me]\n  bees\n");
    assert_json(wc_form_diff(again, after),
                "{\"audience\": {\"team\": \"office\", \"skills\": "
                "{\"chess [office]\": \"organisation\", \"go\": \"organisation\"}, "
                "\"phone\": \"organisation\"}}");
    json_decref(after);
    json_decref(again);
    wc_buf_fini(&form);
}

static void an_empty_profile_has_an_empty_form(void **state)
{
    (void)state;
    struct wc_buf form = {0};
    json_t *row = json("{\"handle\": \"alice\", \"title\": \"Clerk\\nof works\", "
                       "\"skills\": [\"first aid\", {\"name\": \"go\", \"level\": "
                       "\"expert\"}]}");
    wc_form_write(&form, "alice@leeds\nname: forged", NULL, row, NULL);
    wc_buf_byte(&form, '\0');
    const char *text = (const char *)form.data;
    assert_non_null(strstr(text, "#   the directory says: Clerk of works\n"));
    assert_non_null(strstr(text, "#   the directory says: first aid;go:expert\n"));
    assert_json(parse(text),
                "{\"name\": \"\", \"title\": \"\", \"team\": \"\", \"skills\": [], "
                "\"interests\": [], \"ask_me_about\": \"\", \"languages\": [], "
                "\"working_days\": [], \"email\": \"\", \"phone\": \"\", \"willing\": "
                "true}");
    json_decref(row);
    wc_buf_fini(&form);
}

static void forms_of_people_are_understood(void **state)
{
    (void)state;
    json_t *value = parse("# comment\r\n"
                          "Name:   Alice  \r\n"
                          "\r\n"
                          "skills: blogging: expert\n"
                          "\tfirst aid\n"
                          "  # not a comment: learn\n"
                          "Ask me about:  one\n"
                          "  two\n"
                          "\n"
                          "  three\n"
                          "interests: a, b\n"
                          "willing: NO\n"
                          "working days: Monday, wed\n");
    assert_string_equal(json_string_value(json_object_get(value, "name")), "Alice");
    assert_json(json_incref(json_object_get(value, "skills")),
                "[{\"name\": \"blogging\", \"level\": \"expert\"}, \"first aid\", "
                "{\"name\": \"# not a comment\", \"learn\": true}]");
    assert_string_equal(json_string_value(json_object_get(value, "ask_me_about")),
                        "one\ntwo\nthree");
    assert_json(json_incref(json_object_get(value, "interests")), "[\"a\", \"b\"]");
    assert_json(json_incref(json_object_get(value, "working_days")),
                "[\"mon\", \"wed\"]");
    assert_true(json_is_false(json_object_get(value, "willing")));
    json_decref(value);
}

static void mistakes_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
        const char *said;
    } cases[] = {
        {"name: a\nnmae: b\n", 2, "did you mean \"name\"?"},
        {"skills:\nblogging: expert\n", 2, "items of a list are indented"},
        {"skills:\n  blogging: expart\n", 2, "\"expart\" is not a level"},
        {"# c\n\njust words\n", 3, "neither a field"},
        {"  words\n", 1, "before the first field"},
        {"name: a\nname: b\n", 2, "a second time"},
        {"email: a\n  b\n", 2, "one line only"},
        {"handle: root\n", 1, "cannot be changed here"},
        {"willing: perhaps\n", 1, "neither yes nor no"},
        {"name: a\xff\n", 1, "UTF-8"},
        {"interests:\n  a\xff\n", 2, "UTF-8"},
        {"ask me about:\n  a\xff\n", 2, "UTF-8"},
        {"x\x1b[2J: a\n", 1, "\\u{1b}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *value = NULL;
        unsigned line = 0;
        char why[300] = "";
        assert_int_equal(wc_form_parse(wc_slice_text(cases[i].text), &value, &line, why,
                                       sizeof(why)),
                         -WC_EINVALID);
        assert_null(value);
        assert_int_equal(line, cases[i].line);
        if (strstr(why, cases[i].said) == NULL)
            print_error("%s: %s\n", cases[i].text, why);
        assert_non_null(strstr(why, cases[i].said));
    }
}

static void only_what_changed_is_sent(void **state)
{
    (void)state;
    json_t *before = parse("name: Alice\nphone: 1\nskills:\n  a\n  b\n");
    json_t *after = parse("name: Alice\nskills:\n  a\n  c\nwilling: no\n");
    assert_json(wc_form_diff(before, after),
                "{\"skills\": [\"a\", \"c\"], \"phone\": \"\", \"willing\": false}");
    json_decref(before);
    json_decref(after);
}

static void emptiness_is_seen(void **state)
{
    (void)state;
    assert_true(wc_form_is_empty(wc_slice_text("")));
    assert_true(wc_form_is_empty(wc_slice_text("# a\n\n  \t\r\n#b")));
    assert_false(wc_form_is_empty(wc_slice_text("# a\n x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(audiences_are_written_and_read),
        cmocka_unit_test(an_empty_profile_has_an_empty_form),
        cmocka_unit_test(forms_of_people_are_understood),
        cmocka_unit_test(mistakes_name_their_line),
        cmocka_unit_test(only_what_changed_is_sent),
        cmocka_unit_test(emptiness_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
