/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/text.h"
#include "tests/unit/unit.h"

static struct wc_text *text;
static const char *const languages[] = {"english", "norwegian", NULL};

static int setup(void **state)
{
    (void)state;
    return wc_text_new(&text, languages);
}

static int teardown(void **state)
{
    (void)state;
    wc_text_free(text);
    return 0;
}

/* "main|other|other main|..." */
static void words_are(const char *in, const char *expected)
{
    struct wc_buf out = {0};
    struct wc_word w;
    assert_int_equal(wc_text_set(text, wc_slice_text(in)), 0);
    while (wc_text_next(text, &w)) {
        if (out.len > 0)
            wc_buf_byte(&out, ' ');
        wc_buf_append(&out, w.main.data, w.main.len);
        for (uint32_t i = 0; i < w.other_count; i++) {
            wc_buf_byte(&out, '|');
            wc_buf_append(&out, w.others[i].data, w.others[i].len);
        }
    }
    if (!wc_slice_is(wc_buf_slice(&out), expected))
        fail_msg("\"%s\" gave \"%.*s\", not \"%s\"", in, (int)out.len, (char *)out.data,
                 expected);
    wc_buf_fini(&out);
}

static void test_words(void **state)
{
    (void)state;
    words_are("", "");
    words_are(" ,;- ...!", "");
    words_are("Content design, and blogging.", "content design and blogging");
    words_are("GIS/CAD", "gis cad");
    words_are("Tom & Jerry; R&D", "tom jerry r d");
    words_are("snake_case x=y", "snake case x y");
    words_are("alice@leeds", "alice leeds");
}

static void test_signs_that_belong_to_words(void **state)
{
    (void)state;
    words_are("C++ and C#, F#.", "c++ and c# f#");
    words_are("C++/C#", "c++ c#");
    words_are("a+b=c #hashtag +47", "a b c hashtag 47");
    words_are("a +++ c++++", "a c");
    words_are(".NET, ASP.NET", ".net|net asp.net|aspnet|asp|net");
    words_are("node.js", "node.js|nodejs|node|js");
    words_are("Web 2.0 v3.1.4 .5", "web 2.0 v3.1.4 5");
    words_are("end.Start e.g. U.S.A.", "end.start|endstart|end|start e.g|eg u.s.a|usa");
    words_are("wait...what", "wait what");
}

static void test_hyphens_and_apostrophes(void **state)
{
    (void)state;
    words_are("e-government", "egovernment|government");
    words_are("co‑design", "codesign|co|design"); /* U+2011 */
    words_are("state-of-the-art-of-it", "stateoftheartofit|state|of|the|art");
    words_are("children's Leeds’s don't", "children leeds dont|don");
    words_are("O'Brien 'quoted' l'état", "obrien|brien quoted letat|etat");
    words_are("- -a- -", "a");
}

/* The words of a text as they stand in it: "Web|master". */
static void written_as(const char *in, const char *expected)
{
    char found[256] = "";
    struct wc_word w;
    assert_int_equal(wc_text_set(text, wc_slice_text(in)), 0);
    while (wc_text_next(text, &w))
        snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%.*s",
                 found[0] != '\0' ? "|" : "", (int)w.written.len,
                 (const char *)w.written.data);
    assert_string_equal(found, expected);
}

static void test_words_as_they_stand(void **state)
{
    (void)state;
    written_as("Økonomi, e-Governement og C++!", "Økonomi|e-Governement|og|C++");
    written_as("  Ærlig talt\xff blåBÆR ", "Ærlig|talt|blåBÆR");
    written_as("x\xc2\xb2", "x\xc2\xb2"); /* two points of one character */
    written_as("", "");
}

static void test_folding(void **state)
{
    (void)state;
    words_are("Ålesund", "alesund|aalesund");
    words_are("A\xcc\x8alesund", "alesund|aalesund"); /* A and a ring */
    words_are("Aalesund", "aalesund");
    words_are("blåbær", "blabaer|blaabaer");
    words_are("Ørsta", "orsta|oersta");
    words_are("Müller", "muller|mueller");
    words_are("naïve café", "naive cafe"); /* i has no second spelling */
    words_are("Straße Łódź Ðþ", "strasse lodz dth");
    words_are("ﬁle ＡＢ x²", "file ab x2");
    words_are("so\xc2\xad"
              "ft",
              "soft"); /* a soft hyphen */
    words_are("Москва", "москва");
    words_are("東京", "東 京");
}

static void test_bad_input(void **state)
{
    (void)state;
    char many[WC_TEXT_MAX_BYTES + 2];
    struct wc_word w;
    words_are("ab\xff"
              "cd \xc3",
              "ab cd");
    words_are("\xed\xa0\x80x", "x");    /* a surrogate */
    words_are("\xcc\x8a \xcc\x88", ""); /* marks alone */
    memset(many, 'x', sizeof(many));
    assert_int_equal(wc_text_set(text, wc_slice(many, sizeof(many))), -WC_ETOOBIG);
    assert_false(wc_text_next(text, &w));
    assert_int_equal(wc_text_set(text, wc_slice(many, WC_TEXT_MAX_BYTES)), 0);
    assert_true(wc_text_next(text, &w));
    assert_int_equal(w.main.len, WC_WORD_MAX_BYTES);
    assert_false(wc_text_next(text, &w));
}

static void test_capitals(void **state)
{
    (void)state;
    static const bool expected[] = {true, false, false, true, true, false, false};
    struct wc_word w;
    assert_int_equal(wc_text_set(text, wc_slice_text("IT It it GIS2 ÅS I 42")), 0);
    for (size_t i = 0; i < sizeof(expected); i++) {
        assert_true(wc_text_next(text, &w));
        assert_int_equal(w.capitals, expected[i]);
    }
}

static bool has_stem(const char *word, const char *stem)
{
    struct wc_slice stems[WC_STEMMERS_MAX];
    uint32_t n = wc_text_stems(text, wc_slice_text(word), stems);
    assert_true(n >= 1 && n <= 2);
    for (uint32_t i = 0; i < n; i++)
        if (wc_slice_is(stems[i], stem))
            return true;
    return false;
}

/* Words that were stemmed before, and words that take each other's place in memory. */
static void test_stems_do_not_depend_on_what_came_before(void **state)
{
    static const char *const ends[] = {"", "s", "ing", "ene", "ed", "fully-and-longer"};
    (void)state;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 3000; i++) {
            struct wc_text *fresh;
            char word[64];
            struct wc_slice a[WC_STEMMERS_MAX], b[WC_STEMMERS_MAX];
            snprintf(word, sizeof(word), "w%cr%ck%s", 'a' + i % 26, 'a' + i / 26 % 26,
                     ends[i % 6]);
            assert_int_equal(wc_text_new(&fresh, languages), 0);
            uint32_t n = wc_text_stems(text, wc_slice_text(word), a);
            assert_int_equal(wc_text_stems(fresh, wc_slice_text(word), b), n);
            for (uint32_t k = 0; k < n; k++)
                assert_true(wc_slice_eq(a[k], b[k]));
            struct wc_slice again = wc_text_stem(text, 0, wc_text_stem(text, 0, b[0]));
            assert_true(wc_slice_eq(
                again, wc_text_stem(fresh, 0, wc_text_stem(fresh, 0, b[0]))));
            wc_text_free(fresh);
        }
}

static void test_stems(void **state)
{
    (void)state;
    assert_true(has_stem("blogging", "blog"));
    assert_true(has_stem("blogs", "blog"));
    assert_true(has_stem("kjokkenet", "kjokken"));
    assert_true(has_stem("bibliotekene", "bibliotek"));
    assert_true(has_stem("2.0", "2.0"));
}

static void test_languages(void **state)
{
    (void)state;
    static const char *const bad[] = {"english", "klingon", NULL};
    static const char *const none[] = {NULL};
    static const char *const many[] = {"english", "english", "english", "english",
                                       "english", "english", "english", "english",
                                       "english", NULL};
    struct wc_text *t;
    assert_int_equal(wc_text_new(&t, bad), -WC_EINVALID);
    assert_null(t);
    assert_int_equal(wc_text_new(&t, many), -WC_EINVALID);
    assert_int_equal(wc_text_new(&t, none), 0);
    struct wc_slice stems[WC_STEMMERS_MAX];
    assert_int_equal(wc_text_stems(t, wc_slice_text("blogs"), stems), 1);
    assert_true(wc_slice_is(stems[0], "blogs"));
    wc_text_free(t);
    bool english = false;
    for (const char *const *l = wc_text_languages(); *l != NULL; l++)
        english = english || strcmp(*l, "english") == 0;
    assert_true(english);
}

static void test_stop_words(void **state)
{
    (void)state;
    static const char *const stops[] = {"we",   "want",   "to",   "start", "a",
                                        "who",  "can",    "help", "with",  "it",
                                        "hvem", "hjelpe", "med",  "noen",  "yours"};
    static const char *const words[] = {"blog",  "content",    "design", "",
                                        "zebra", "personvern", "whom ",  "per"};
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
        if (!wc_text_is_stop(wc_slice_text(stops[i])))
            fail_msg("%s", stops[i]);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (wc_text_is_stop(wc_slice_text(words[i])))
            fail_msg("%s", words[i]);
}

static void test_names_compare(void **state)
{
    (void)state;
    struct wc_buf a = {0};
    wc_text_fold(wc_slice_text("  Content \t\n DESIGN\xc3\xa9 "), &a);
    assert_true(wc_slice_is(wc_buf_slice(&a), "content designe"));
    wc_buf_reset(&a);
    wc_text_fold(wc_slice_text("\xc3\x85 C++"), &a);
    assert_true(wc_slice_is(wc_buf_slice(&a), "a c++"));
    wc_buf_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_signs_that_belong_to_words),
        cmocka_unit_test(test_hyphens_and_apostrophes),
        cmocka_unit_test(test_words_as_they_stand),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_capitals),
        cmocka_unit_test(test_stems),
        cmocka_unit_test(test_stems_do_not_depend_on_what_came_before),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_stop_words),
        cmocka_unit_test(test_names_compare),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
