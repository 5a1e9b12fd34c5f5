/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/concepts.h>

#include "tests/unit/unit.h"

#define HEAD "[vocabulary]\nformat = 1\nid = web\n"

/* What was said, a line each: "file:line: text". */
static struct wc_buf said;

static void on_fault(void *ctx, const struct wc_fault *fault)
{
    char line[32];
    (void)ctx;
    wc_buf_text(&said, fault->file);
    snprintf(line, sizeof(line), ":%u%s: ", fault->line,
             fault->remark ? " remark" : "");
    wc_buf_text(&said, line);
    wc_buf_text(&said, fault->text);
    wc_buf_byte(&said, '\n');
}

static int tear_down(void **state)
{
    (void)state;
    wc_buf_fini(&said);
    return 0;
}

static struct wc_concepts *begin(void)
{
    struct wc_concepts *c;
    wc_buf_reset(&said);
    assert_int_equal(wc_concepts_new(&c, on_fault, NULL), 0);
    return c;
}

/* Read one text as "f", with its remarks; what is said must be just that. */
static void says(const char *text, size_t len, const char *expected)
{
    struct wc_concepts *c = begin();
    int rc = wc_concepts_read(c, wc_slice(text, len), "f");
    int near = wc_concepts_resolve(c);
    int remarks = wc_concepts_remark(c);
    assert_true(remarks >= 0);
    bool faults = strstr(expected, "f:") != NULL && strstr(expected, "remark") == NULL;
    if (faults)
        assert_true(rc == -WC_ECONFIG || near == -WC_ECONFIG);
    else
        assert_true(rc == 0 && near == 0);
    wc_buf_byte(&said, '\0');
    assert_string_equal((const char *)said.data, expected);
    wc_concepts_free(c);
}

#define SAYS(text, expected) says(text, sizeof(text) - 1, expected)

static void every_fault_is_named_with_its_line(void **state)
{
    (void)state;
    SAYS(
        "[vocabulary]\nformat = 1\nid = web\ncolour = red\n\n"
        "[a]\nen = A | B\n   | A\nenglish = C\n   | D\nrelated = b, nowhere\n"
        "[a]\nen = Twice\n[Bad id]\nen = X\n[b]\nabout = No label\nabout = again\n[c\n"
        "en C\n[d]\nen = D\nbroader = d\n",
        "f:4: unknown key \"colour\": format, id, title, licence and source belong "
        "under "
        "[vocabulary]\n"
        "f:8: \"A\" is there twice\n"
        "f:9: unknown key \"english\": a language such as en, broader, related, about, "
        "awareness, working, practitioner, expert\n"
        "f:12: [a] of vocabulary web is there twice\n"
        "f:14: \"Bad id\" is not an id: 1 to 48 of a-z, 0-9 and '-'\n"
        "f:18: \"about\" is there twice\n"
        "f:16: [b] has no label, such as \"en = ...\"\n"
        "f:19: the section has no ']'\n"
        "f:20: is neither \"key = value\" nor a comment\n"
        "f:11: \"nowhere\" is no concept, or several: write vocabulary:concept\n"
        "f:23: \"d\" is the concept itself\n");
}

static void a_file_that_says_nothing_is_a_fault(void **state)
{
    (void)state;
    SAYS("", "f:0: has no [vocabulary] with its format and id\n");
    SAYS("; nothing\n", "f:0: has no [vocabulary] with its format and id\n");
    SAYS("en = A\n", "f:1: stands before [vocabulary]\n");
    SAYS("[a]\nen = A\n",
         "f:1: [a] stands before [vocabulary] with its format and id\n");
    SAYS("[vocabulary]\nid = web\n[a]\nen = A\n",
         "f:3: [a] stands before [vocabulary] with its format and id\n");
    SAYS("[vocabulary]\nformat = 2\nid = web\n",
         "f:2: format 2: this version reads format 1\n");
    SAYS(HEAD "[vocabulary]\n", "f:4: [vocabulary] is there twice\n");
}

static void bytes_that_are_no_text_have_their_line(void **state)
{
    (void)state;
    SAYS(HEAD "[a]\nen = A\n   | \xff\nnb = B\n", "f:6: is not UTF-8\n");
    SAYS(HEAD "[a]\nen = A\0B\n   | C\nnb = D\n",
         "f:5: is not a line of text of at most 1000 bytes\n");
    SAYS("\xef\xbb\xbf" HEAD "[a]\r\nen = A ; a comment\r\n# b\r\n", "");
}

/* ---- limits ---- */

static void one_too_many(const char *before, const char *head, int width,
                         const char *tail, uint32_t count, const char *expected)
{
    struct wc_buf text = {0};
    char piece[400];
    wc_buf_text(&text, before);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(piece, sizeof(piece), "%s%0*u%s", head, width, i, tail);
        wc_buf_text(&text, piece);
    }
    assert_false(text.failed);
    says((const char *)text.data, text.len, expected);
    wc_buf_fini(&text);
}

static void limits_are_kept_at_their_edge(void **state)
{
    (void)state;
    one_too_many(HEAD "[a]\nen = A\n", "   | x", 1, "\n", 127, "");
    one_too_many(HEAD "[a]\nen = A\n", "   | x", 1, "\n", 130,
                 "f:133: more than 128 labels\n");
    one_too_many(HEAD "[a]\nen = ", "", 100, "\n", 1, "");
    one_too_many(HEAD "[a]\nen = A\nnb = ", "", 101, "\n", 1,
                 "f:6: a label has 101 bytes; at most 100 are allowed\n");
    one_too_many(HEAD "[a]\nen = A\nabout = xxxx\n", "   ", 331, "\n", 3, "");
    one_too_many(HEAD "[a]\nen = A\nabout = xxxxx\n", "   ", 331, "\n", 3,
                 "f:6: the text is longer than 1000 bytes\n");
    one_too_many(
        HEAD "[a]\nen = A\nrelated = ", "", 100, "\n", 1,
        "f:6: "
        "\"000000000000000000000000000000000000000000000000000000000000\" is too "
        "long for an id\n");
}

static void there_are_not_more_concepts_than_allowed(void **state)
{
    (void)state;
    struct wc_buf text = {0};
    char piece[64];
    wc_buf_text(&text, HEAD);
    for (int i = 0; i < WC_CONCEPTS_MAX_COUNT + 3; i++) {
        snprintf(piece, sizeof(piece), "[c%d]\nen = C%d\n", i, i);
        wc_buf_text(&text, piece);
    }
    says((const char *)text.data, text.len, "f:131076: more than 65536 concepts\n");
    wc_buf_fini(&text);
}

static void a_file_longer_than_the_limit_is_not_read(void **state)
{
    (void)state;
    char *text = malloc(WC_VOCABULARY_FILE_MAX_BYTES + 1);
    assert_non_null(text);
    memset(text, '\n', WC_VOCABULARY_FILE_MAX_BYTES + 1);
    says(text, WC_VOCABULARY_FILE_MAX_BYTES + 1, "f:0: is longer than 16 MiB\n");
    free(text);
}

/* ---- what concepts say of each other ---- */

static void a_circle_is_found_however_long(void **state)
{
    (void)state;
    SAYS(HEAD "[a]\nen = A\nbroader = b\n[b]\nen = B\nbroader = c, d\n"
              "[c]\nen = C\nbroader = a\n[d]\nen = D\n",
         "f:10: [c] has web:a as broader, which is narrower: a circle\n");
    SAYS(HEAD "[a]\nen = A\nbroader = b, c\n[b]\nen = B\nbroader = d\n"
              "[c]\nen = C\nbroader = d\n[d]\nen = D\n",
         "");
    struct wc_buf text = {0};
    char piece[100];
    wc_buf_text(&text, HEAD);
    for (int i = 0; i < 20000; i++) { /* a chain that recursion would not survive */
        snprintf(piece, sizeof(piece), "[c%d]\nen = C%d\nbroader = c%d\n", i, i,
                 (i + 1) % 20000);
        wc_buf_text(&text, piece);
    }
    says((const char *)text.data, text.len,
         "f:60001: [c19999] has web:c0 as broader, which is narrower: a circle\n");
    wc_buf_fini(&text);
}

static void a_label_of_two_concepts_is_remarked_on(void **state)
{
    (void)state;
    SAYS(HEAD "[a]\nen = Law | Rett\nnb = Årsak\n[b]\nen = LAW\nnb = årsak\n",
         "f:8 remark: \"LAW\" is a label of [a] and of [b]: who writes it means both\n"
         "f:9 remark: \"årsak\" is a label of [a] and of [b]: who writes it means "
         "both\n");
    SAYS(HEAD "[a]\nen = Law | Rett\n[b]\nen = Lore\nnb = Rett\n", "");
}

static void vocabularies_share_labels_but_no_name(void **state)
{
    (void)state;
    struct wc_concepts *c = begin();
    const char *other = "[vocabulary]\nformat = 1\nid = more\n[b]\nen = Law\n"
                        "related = web:a\n";
    const char *one = HEAD "title = One\n[a]\nen = Law\n";
    assert_int_equal(wc_concepts_read(c, wc_slice_text(one), "1"), 0);
    assert_int_equal(wc_concepts_read(c, wc_slice_text(other), "2"), 0);
    assert_int_equal(wc_concepts_read(c, wc_slice_text(HEAD), "3"), -WC_ECONFIG);
    assert_int_equal(wc_concepts_resolve(c), 0);
    assert_int_equal(wc_concepts_remark(c), 0);
    assert_true(wc_slice_is(wc_buf_slice(&said),
                            "3:3: the vocabulary \"web\" is in 1 already\n"));
    assert_int_equal(wc_concepts_heads_count(c), 2);
    assert_string_equal(wc_concepts_head(c, 0)->title, "One");
    assert_int_equal(wc_concepts_head(c, 1)->first, 1);
    assert_int_equal(wc_concepts_head(c, 1)->labels_count, 1);
    assert_int_equal(wc_concepts_at(c, 0)->related_count, 1);
    wc_concepts_free(c);
}

/* ---- writing ---- */

static void what_is_written_is_read_as_it_was_meant(void **state)
{
    (void)state;
    struct wc_buf text = {0};
    struct wc_slice labels[40];
    char names[40][90];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), "#%d a|b ;c \n\t of many words %060d", i,
                 i);
        labels[i] = wc_slice_text(names[i]);
    }
    wc_buf_text(&text, HEAD);
    wc_vocabulary_write_text(&text, "title", wc_slice_text(" ; T ;;x #y\n[z] "));
    wc_buf_text(&text, "[a]\n");
    wc_vocabulary_write_list(&text, "en", '|', labels, 40);
    struct wc_slice near[] = {wc_slice_text("b"), wc_slice_text("web:c")};
    wc_vocabulary_write_list(&text, "related", ',', near, 2);
    wc_buf_text(&text, "[b]\nen = B\n[c]\nen = C\n");
    struct wc_concepts *c = begin();
    assert_int_equal(wc_concepts_read(c, wc_buf_slice(&text), "f"), 0);
    assert_int_equal(wc_concepts_resolve(c), 0);
    assert_string_equal(wc_concepts_head(c, 0)->title, "T;;x#y [z]");
    const struct wc_concept *a = wc_concepts_at(c, 0);
    assert_int_equal(a->label_count, 40);
    assert_int_equal(a->related_count, 2);
    snprintf(names[0], sizeof(names[0]), "7 a/b;c of many words %060d", 7);
    assert_string_equal(a->labels[7].text, names[0]);
    wc_concepts_free(c);
    wc_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_is_named_with_its_line),
        cmocka_unit_test(a_file_that_says_nothing_is_a_fault),
        cmocka_unit_test(bytes_that_are_no_text_have_their_line),
        cmocka_unit_test(limits_are_kept_at_their_edge),
        cmocka_unit_test(there_are_not_more_concepts_than_allowed),
        cmocka_unit_test(a_file_longer_than_the_limit_is_not_read),
        cmocka_unit_test(a_circle_is_found_however_long),
        cmocka_unit_test(a_label_of_two_concepts_is_remarked_on),
        cmocka_unit_test(vocabularies_share_labels_but_no_name),
        cmocka_unit_test(what_is_written_is_read_as_it_was_meant),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
