/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/concepts.h>

#include "cli/file.h"
#include "cli/vocabulary.h"
#include "tests/unit/unit.h"

static void read_file(const char *name, struct wc_buf *out)
{
    char path[512], why[600];
    snprintf(path, sizeof(path), "%s/tests/vocabulary/%s", WHOCAN_SOURCE_DIR, name);
    if (wc_file_read(path, 1 << 20, out, why, sizeof(why)) != 0)
        fail_msg("%s", why);
}

static void take(struct wc_maker *m, const char *name, const char *language)
{
    struct wc_buf table = {0};
    char why[300];
    read_file(name, &table);
    if (wc_maker_take(m, wc_buf_slice(&table), language, why, sizeof(why)) != 0)
        fail_msg("%s: %s", name, why);
    wc_buf_fini(&table);
}

/* The vocabulary file of what was taken in is the one that is kept beside the tables. */
static void comes_to(const struct wc_maker *m, const char *golden)
{
    struct wc_buf text = {0}, expected = {0};
    json_t *vocabulary = wc_maker_vocabulary(m, wc_framework_id(m->framework));
    struct wc_concepts *c;
    assert_non_null(vocabulary);
    wc_vocabulary_write_ini(&text, vocabulary);
    read_file(golden, &expected);
    wc_buf_byte(&text, '\0');
    wc_buf_byte(&expected, '\0');
    assert_string_equal((const char *)text.data, (const char *)expected.data);
    assert_int_equal(wc_concepts_new(&c, NULL, NULL), 0);
    assert_int_equal(wc_concepts_read(c, wc_slice(text.data, text.len - 1), golden), 0);
    assert_int_equal(wc_concepts_resolve(c), 0);
    wc_concepts_free(c);
    json_decref(vocabulary);
    wc_buf_fini(&text);
    wc_buf_fini(&expected);
}

static void two_languages_of_esco_make_one_vocabulary(void **state)
{
    (void)state;
    struct wc_maker m;
    assert_int_equal(wc_maker_init(&m), 0);
    take(&m, "skills_en.csv", "en");
    take(&m, "skills_no.csv", "nb");
    comes_to(&m, "esco.ini");
    wc_maker_fini(&m);
}

static void skills_and_roles_make_one_vocabulary(void **state)
{
    (void)state;
    struct wc_maker m;
    assert_int_equal(wc_maker_init(&m), 0);
    take(&m, "framework_skills.csv", "en");
    take(&m, "framework_roles.csv", "en");
    comes_to(&m, "gdad.ini");
    wc_maker_fini(&m);
}

/* ---- tables that are wrong ---- */

static void refused_bytes(const char *table, size_t len, const char *expected)
{
    struct wc_maker m;
    char why[300];
    assert_int_equal(wc_maker_init(&m), 0);
    assert_int_equal(wc_maker_take(&m, wc_slice(table, len), "en", why, sizeof(why)),
                     -WC_EINVALID);
    if (strstr(why, expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, expected);
    wc_maker_fini(&m);
}

#define REFUSED(table, expected) refused_bytes(table, sizeof(table) - 1, expected)
#define ESCO                     "conceptUri,preferredLabel,altLabels\n"

static void a_wrong_table_has_its_line(void **state)
{
    (void)state;
    REFUSED("", "line 1: the file is empty");
    REFUSED("name,email\nAlice,a@example.org\n", "line 1: no table that is known");
    REFUSED(ESCO "http://x/1,one,\nhttp://x/2,two\n",
            "line 3: has more or fewer columns");
    REFUSED(ESCO "http://x/1,one,\n\"http://x/2,two,\n", "line 3: a quoted field");
    REFUSED(ESCO ",one,\n", "line 2: conceptUri is empty");
    REFUSED(ESCO "http://x/1,\" \",\n", "line 2: preferredLabel is empty");
    REFUSED(ESCO "http://x/,one,\n", "line 2: conceptUri ends in no id");
    REFUSED(ESCO "http://x/1,\xff,\n", "line 2: a label is not UTF-8");
    REFUSED(ESCO "http://x/1,one,two | \xc3\n", "line 2: a label is not UTF-8");
    REFUSED("Skill Name,Awareness,Expert\n,a,b\n", "line 2: Skill Name is empty");
    REFUSED("Skill Name,Awareness,Expert\nX,\xff,b\n",
            "line 2: awareness is not UTF-8");
    REFUSED("Role Family,Role\nX,-\n", "line 2: a name has no letter");
}

static void one_framework_at_a_time(void **state)
{
    (void)state;
    struct wc_maker m;
    char why[300];
    const char *table = "Skill Name,Awareness,Expert\nX,a,b\n";
    assert_int_equal(wc_maker_init(&m), 0);
    take(&m, "skills_en.csv", "en");
    assert_int_equal(wc_maker_take(&m, wc_slice_text(table), "en", why, sizeof(why)),
                     -WC_EINVALID);
    assert_non_null(strstr(why, "of another framework"));
    wc_maker_fini(&m);
}

/* Long labels are left out, long names and texts cut; nothing is too long to be read. */
static void what_is_too_long_is_cut_or_left_out(void **state)
{
    (void)state;
    struct wc_buf table = {0}, text = {0};
    struct wc_maker m;
    struct wc_concepts *c;
    char why[300], piece[64];
    wc_buf_text(&table, "conceptUri,preferredLabel,altLabels,description\nhttp://x/1,");
    for (int i = 0; i < 30; i++)
        wc_buf_text(&table, "b\xc3\xa5t ");
    wc_buf_text(&table, ",");
    for (int i = 0; i < 200; i++) {
        snprintf(piece, sizeof(piece), "label %d | ", i);
        wc_buf_text(&table, piece);
    }
    snprintf(piece, sizeof(piece), ",%060d", 0);
    for (int i = 0; i < 40; i++)
        wc_buf_text(&table, piece + (i > 0)); /* one word of 2,400 bytes */
    wc_buf_byte(&table, '\n');
    assert_int_equal(wc_maker_init(&m), 0);
    if (wc_maker_take(&m, wc_buf_slice(&table), "en", why, sizeof(why)) != 0)
        fail_msg("%s", why);
    assert_int_equal(m.labels_left_out, 1 + 200 - 127);
    assert_int_equal(m.texts_cut, 1);
    json_t *vocabulary = wc_maker_vocabulary(&m, "x");
    wc_vocabulary_write_ini(&text, vocabulary);
    assert_int_equal(wc_concepts_new(&c, NULL, NULL), 0);
    int rc = wc_concepts_read(c, wc_buf_slice(&text), "x");
    assert_int_equal(rc, 0);
    const struct wc_concept *one = wc_concepts_at(c, 0);
    assert_int_equal(one->label_count, 128);
    assert_true(strlen(one->labels[0].text) <= 100);
    assert_non_null(strstr(one->labels[0].text, "b\xc3\xa5t\xe2\x80\xa6"));
    wc_concepts_free(c);
    json_decref(vocabulary);
    wc_maker_fini(&m);
    wc_buf_fini(&table);
    wc_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_languages_of_esco_make_one_vocabulary),
        cmocka_unit_test(skills_and_roles_make_one_vocabulary),
        cmocka_unit_test(a_wrong_table_has_its_line),
        cmocka_unit_test(one_framework_at_a_time),
        cmocka_unit_test(what_is_too_long_is_cut_or_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
