/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vocabulary.h"
#include "tests/unit/unit.h"

#define HEAD "[vocabulary]\nformat = 1\nid = web\n"

static const char *const languages[] = {"english", "norwegian", NULL};
static struct wc_text *text;
static char problem[WC_VOCABULARY_PROBLEM_BYTES];

static int set_up(void **state)
{
    (void)state;
    return wc_text_new(&text, languages);
}

static int tear_down(void **state)
{
    (void)state;
    wc_text_free(text);
    return 0;
}

static struct wc_vocabulary *read_one(const char *in)
{
    struct wc_vocabulary *v;
    assert_int_equal(wc_vocabulary_new(&v), 0);
    if (wc_vocabulary_add(v, wc_slice_text(in), "test.ini", problem) != 0 ||
        wc_vocabulary_finish(v, text, problem) != 0)
        fail_msg("%s", problem);
    return v;
}

static void refused(const char *in, const char *expected)
{
    struct wc_vocabulary *v;
    assert_int_equal(wc_vocabulary_new(&v), 0);
    int rc = wc_vocabulary_add(v, wc_slice_text(in), "test.ini", problem);
    if (rc == 0)
        rc = wc_vocabulary_finish(v, text, problem);
    assert_int_equal(rc, -WC_ECONFIG);
    if (strstr(problem, expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem, expected);
    wc_vocabulary_free(v);
}

static const struct wc_concept *by_id(const struct wc_vocabulary *v, const char *id)
{
    uint32_t i = wc_vocabulary_find(v, wc_slice_text(id));
    if (i == UINT32_MAX)
        fail_msg("there is no %s", id);
    return wc_vocabulary_at(v, i);
}

static void a_file_says_what_things_are_called(void **state)
{
    (void)state;
    struct wc_vocabulary *v = read_one(HEAD "title = Web\n\n"
                                            "[blogging]\n"
                                            "en = Blogging | blog\n"
                                            "   | weblog\n"
                                            "nb = Blogging | blogg\n"
                                            "about = Writing a blog,\n"
                                            "   and keeping it up.\n"
                                            "expert = Teaches others.\n");
    assert_int_equal(wc_vocabulary_count(v), 1);
    const struct wc_concept *c = by_id(v, "blogging");
    assert_string_equal(c->id, "web:blogging");
    assert_ptr_equal(c, by_id(v, "web:blogging"));
    assert_int_equal(c->label_count, 5);
    assert_string_equal(c->labels[2].text, "weblog");
    assert_false(c->labels[2].preferred);
    assert_string_equal(c->labels[3].language, "nb");
    assert_true(c->labels[3].preferred);
    assert_string_equal(c->about, "Writing a blog, and keeping it up.");
    assert_string_equal(c->levels[WC_LEVEL_EXPERT], "Teaches others.");
    assert_null(c->levels[WC_LEVEL_WORKING]);
    assert_string_equal(wc_concept_name(c, "nb"), "Blogging");
    assert_string_equal(wc_concept_name(c, "fr"), "Blogging");
    wc_vocabulary_free(v);
}

static void what_is_near_is_known_from_both_sides(void **state)
{
    (void)state;
    struct wc_vocabulary *v =
        read_one(HEAD "[web-work]\nen = Web work\n"
                      "[blogging]\nen = Blogging\n"
                      "broader = web-work\nrelated = web:editing\n"
                      "[editing]\nen = Editing\n"
                      "related = blogging\n");
    const struct wc_concept *c = by_id(v, "blogging");
    assert_int_equal(c->broader_count, 1);
    assert_string_equal(wc_vocabulary_at(v, c->broader[0])->id, "web:web-work");
    c = by_id(v, "web-work");
    assert_int_equal(c->narrower_count, 1);
    assert_string_equal(wc_vocabulary_at(v, c->narrower[0])->id, "web:blogging");
    c = by_id(v, "editing");
    assert_int_equal(c->related_count, 1); /* said twice, held once */
    wc_vocabulary_free(v);
}

static void vocabularies_stand_side_by_side(void **state)
{
    (void)state;
    struct wc_vocabulary *v;
    assert_int_equal(wc_vocabulary_new(&v), 0);
    const char *one = HEAD "[law]\nen = Law\n[tax]\nen = Tax\nrelated = law, sport\n";
    const char *two = "[vocabulary]\nformat = 1\nid = more\n"
                      "[law]\nen = Legal matters\n[sport]\nen = Sport\n";
    assert_int_equal(wc_vocabulary_add(v, wc_slice_text(one), "1", problem), 0);
    assert_int_equal(wc_vocabulary_add(v, wc_slice_text(two), "2", problem), 0);
    assert_int_equal(wc_vocabulary_finish(v, text, problem), 0);
    const struct wc_concept *c = by_id(v, "tax");
    assert_int_equal(c->related_count, 2);
    assert_string_equal(wc_vocabulary_at(v, c->related[0])->id, "web:law");
    assert_string_equal(wc_vocabulary_at(v, c->related[1])->id, "more:sport");
    assert_int_equal(wc_vocabulary_find(v, wc_slice_text("law")), UINT32_MAX); /* two */
    assert_string_equal(by_id(v, "more:law")->id, "more:law");
    wc_vocabulary_free(v);
}

static void mistakes_name_their_line(void **state)
{
    (void)state;
    refused("[blogging]\nen = Blogging\n", "test.ini:1: [blogging] stands before");
    refused("[vocabulary]\nformat = 2\n", "test.ini:2: format 2");
    refused("[vocabulary]\nformat = 1\nid = Web\n", "test.ini:3: \"Web\" is not an id");
    refused(HEAD "colour = red\n", "test.ini:4: unknown key \"colour\"");
    refused(HEAD "[blogging]\nenglish = Blogging\n",
            "test.ini:5: unknown key \"english\"");
    refused(HEAD "[Blogging]\nen = Blogging\n", "\"Blogging\" is not an id");
    refused(HEAD "[blogging]\nen = Blogging | Blogging\n",
            "\"Blogging\" is there twice");
    refused(HEAD "[a]\nen = A\n[b]\nen = B\n[a]\nnb = A\n",
            "[a] of vocabulary web is there twice");
    refused(HEAD "[a]\nabout = A\n", "[a] has no label");
    refused(HEAD "[a]\nen = A\nrelated = b\n", "test.ini:6: \"b\" is no concept");
    refused(HEAD "[a]\nen = A\nbroader = a\n", "\"a\" is the concept itself");
    refused(HEAD "[a]\nen A\n", "test.ini:5: is neither");
    refused(HEAD "[a]\nen = \xff\n", "is not UTF-8");
    char label[200];
    snprintf(label, sizeof(label), HEAD "[a]\nen = %0101d\n", 7);
    refused(label, "a label has 101 bytes");
    char *line = malloc(2000);
    assert_non_null(line);
    snprintf(line, 2000, HEAD "[a]\nen = %01500d\n", 7);
    refused(line, "test.ini:5: is not a line of text");
    free(line);
}

/* "blogging@2+1 ..." for the mentions; ~ behind it when found by stems. */
static void mentions_are(const struct wc_vocabulary *v, const char *in,
                         const char *expected)
{
    char copies[32][WC_WORD_MAX_BYTES], out[512] = "";
    struct wc_slice words[32];
    struct wc_mention mentions[32];
    struct wc_word w;
    uint32_t n = 0;
    size_t len = 0;
    assert_int_equal(wc_text_set(text, wc_slice_text(in)), 0);
    while (wc_text_next(text, &w)) {
        memcpy(copies[n], w.main.data, w.main.len);
        words[n] = wc_slice((uint8_t *)copies[n], w.main.len);
        n++;
    }
    uint32_t count = wc_vocabulary_mentions(v, text, words, n, mentions, 32);
    for (uint32_t i = 0; i < count; i++)
        len += (size_t)snprintf(
            out + len, sizeof(out) - len, "%s%s@%u+%u%s", i > 0 ? " " : "",
            strchr(wc_vocabulary_at(v, mentions[i].concept)->id, ':') + 1,
            mentions[i].first, mentions[i].count, mentions[i].exact ? "" : "~");
    assert_string_equal(out, expected);
}

static void labels_are_recognised_in_a_sentence(void **state)
{
    (void)state;
    struct wc_vocabulary *v =
        read_one(HEAD "[blogging]\nen = Blogging | weblog\nnb = Blogg\n"
                      "[content-design]\nen = Content design\n"
                      "[design]\nen = Design\n"
                      "[it]\nen = IT\n"
                      "[foi]\nen = Freedom of information | FOI\n"
                      "[long]\nen = one two three four five six\n");
    mentions_are(v, "", "");
    mentions_are(v, "gardening", "");
    mentions_are(v, "a WEBLOG please", "blogging@1+1");
    mentions_are(v, "weblogs", "blogging@0+1~");
    mentions_are(v, "blogger", "blogging@0+1~"); /* Norwegian: blogg, plural */
    mentions_are(v, "content design", "content-design@0+2"); /* and no "design" */
    mentions_are(v, "design of content", "design@0+1");
    mentions_are(v, "the freedom of information law", "foi@1+3");
    mentions_are(v, "what is it", ""); /* the word, not the trade */
    mentions_are(v, "one two three four five six", "");
    wc_vocabulary_free(v);
}

static void one_label_may_mean_several_things(void **state)
{
    (void)state;
    struct wc_vocabulary *v =
        read_one(HEAD "[planning]\nen = Town planning | planning\n"
                      "[roadmaps]\nen = Roadmaps | planning\n");
    struct wc_slice word = wc_slice_text("planning");
    struct wc_mention m[4];
    assert_int_equal(wc_vocabulary_mentions(v, text, &word, 1, m, 4), 2);
    assert_int_equal(m[0].concept, 0);
    assert_int_equal(m[1].concept, 1);
    assert_int_equal(wc_vocabulary_mentions(v, text, &word, 1, m, 1), 1); /* bounded */
    wc_vocabulary_free(v);
}

static void another_label_is_another_fingerprint(void **state)
{
    (void)state;
    uint8_t a[WC_DIGEST_BYTES], b[WC_DIGEST_BYTES];
    struct wc_vocabulary *v = read_one(HEAD "[a]\nen = A thing\nabout = One.\n");
    wc_vocabulary_fingerprint(v, a);
    wc_vocabulary_free(v);
    v = read_one(HEAD "[a]\nen = A thing\nabout = Another.\n"); /* is not searched */
    wc_vocabulary_fingerprint(v, b);
    assert_memory_equal(a, b, sizeof(a));
    wc_vocabulary_free(v);
    v = read_one(HEAD "[a]\nen = A thing | a matter\nabout = One.\n");
    wc_vocabulary_fingerprint(v, b);
    assert_memory_not_equal(a, b, sizeof(a));
    wc_vocabulary_free(v);
}

static void the_shipped_vocabularies_are_right(void **state)
{
    (void)state;
    const char *const directories[] = {WHOCAN_SOURCE_DIR "/packaging/vocabulary",
                                       "/nonexistent", NULL};
    struct wc_vocabulary *v;
    if (wc_vocabulary_load(&v, directories, languages, problem) != 0)
        fail_msg("%s", problem);
    assert_true(wc_vocabulary_count(v) >= 150);
    /* every entry is called something in both languages, and has a neighbour */
    for (uint32_t i = 0; i < wc_vocabulary_count(v); i++) {
        const struct wc_concept *c = wc_vocabulary_at(v, i);
        bool english = false, norwegian = false;
        for (uint32_t k = 0; k < c->label_count; k++) {
            english |= strcmp(c->labels[k].language, "en") == 0;
            norwegian |= strcmp(c->labels[k].language, "nb") == 0;
        }
        if (!english || !norwegian)
            fail_msg("%s lacks a language", c->id);
        if (c->broader_count + c->narrower_count + c->related_count == 0)
            fail_msg("%s stands alone", c->id);
    }
    mentions_are(v, "informasjonssikkerhet", "information-security@0+1");
    wc_vocabulary_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_says_what_things_are_called),
        cmocka_unit_test(what_is_near_is_known_from_both_sides),
        cmocka_unit_test(vocabularies_stand_side_by_side),
        cmocka_unit_test(mistakes_name_their_line),
        cmocka_unit_test(labels_are_recognised_in_a_sentence),
        cmocka_unit_test(one_label_may_mean_several_things),
        cmocka_unit_test(another_label_is_another_fingerprint),
        cmocka_unit_test(the_shipped_vocabularies_are_right),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
