/* SPDX-License-Identifier: Apache-2.0 */
/* Questions with mistakes, through the index. */
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "daemon/index.h"
#include "daemon/local.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

static const char *const languages[] = {"english", "norwegian", NULL};
static struct wc_records *records;
static struct wc_index *index_;
static struct wc_vocabulary *vocabulary;
static struct office leeds, bergen;
static struct wc_hit hits[64];
static struct wc_found found_;
static struct wc_corrections corrected;
static uint64_t rev;

static const char labels[] = "[vocabulary]\nformat = 1\nid = t\n"
                             "[blogging]\nen = Blogging\nen = Weblog\nnb = Blogging\n"
                             "[content-design]\nen = Content design\n"
                             "[welding]\nen = Welding\nrelated = soldering\n"
                             "[soldering]\nen = Soldering\n";

static void open_index(void)
{
    char problem[WC_PROBLEM_BYTES];
    if (wc_index_open(&index_, scratch_path("state"), records, languages, vocabulary,
                      leeds.key, NULL, NULL, problem) != 0)
        fail_msg("%s", problem);
}

static void load_vocabulary(const char *file)
{
    struct wc_text *text;
    char problem[WC_VOCABULARY_PROBLEM_BYTES];
    assert_int_equal(wc_vocabulary_new(&vocabulary), 0);
    assert_int_equal(wc_text_new(&text, languages), 0);
    assert_int_equal(
        wc_vocabulary_add(vocabulary, wc_slice_text(file), "test.ini", problem), 0);
    assert_int_equal(wc_vocabulary_finish(vocabulary, text, problem), 0);
    wc_text_free(text);
}

static int setup(void **state)
{
    char problem[WC_PROBLEM_BYTES];
    if (scratch_setup(state) != 0)
        return -1;
    office_init(&leeds, "leeds", 1);
    office_init(&bergen, "bergen", 2);
    assert_int_equal(wc_records_open(&records, scratch_path("state"), problem), 0);
    load_vocabulary(labels);
    open_index();
    return 0;
}

static int teardown(void **state)
{
    wc_index_close(index_);
    wc_records_close(records);
    wc_vocabulary_free(vocabulary);
    return scratch_teardown(state);
}

static void apply(struct wc_change change)
{
    assert_int_equal(wc_records_commit(records, &change, 1), 0);
    assert_int_equal(wc_index_apply(index_, &change, 1), 0);
    change_fini(&change);
}

static void put_in(struct office *o, const char *subject, const char *skill)
{
    struct wc_person p = {.present = 0};
    person_skill(&p, skill, WC_LEVEL_WORKING);
    apply(office_person(o, WC_KIND_PROFILE, subject, ++rev, &p));
}

static void put(const char *subject, const char *skill)
{
    put_in(&leeds, subject, skill);
}

static int find_as(const char *text, bool home, const uint8_t *office)
{
    struct wc_index_query q = {.text = wc_slice_text(text),
                               .limit = 64,
                               .near_too = true,
                               .home = home,
                               .office_key = office,
                               .corrected = &corrected};
    return wc_index_find(index_, &q, hits, &found_);
}

/* Found, best first, and what was corrected: "bloging>blogging". */
static void check(const char *question, int n, const char *people,
                  const char *corrections)
{
    char found[1024] = "", said[2048] = "";
    if (n < 0)
        fail_msg("\"%s\": %s", question, wc_strerror(n));
    for (int i = 0; i < n; i++)
        snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s",
                 i > 0 ? " " : "", hits[i].who.subject);
    for (uint32_t i = 0; i < corrected.count; i++)
        snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s>%s",
                 i > 0 ? ", " : "", corrected.items[i].from, corrected.items[i].to);
    if (strcmp(found, people) != 0 || strcmp(said, corrections) != 0)
        fail_msg("\"%s\" finds \"%s\" by \"%s\", not \"%s\" by \"%s\"", question, found,
                 said, people, corrections);
}

static void finds(const char *question, const char *people, const char *corrections)
{
    check(question, find_as(question, false, NULL), people, corrections);
}

static void finds_at_home(const char *question, const char *people,
                          const char *corrections)
{
    check(question, find_as(question, true, NULL), people, corrections);
}

/* ---- kinds of mistakes ---- */

static void test_misspelt_words(void **state)
{
    (void)state;
    put("alice", "gardening");
    put("bob", "procurement");
    finds("gardening", "alice", "");
    finds("gardning", "alice", "gardning>gardening");
    assert_string_equal(hits[0].why[0], "working knowledge of gardening");
    finds("gadrening", "alice", "gadrening>gardening");
    finds("ginenradg", "alice", "ginenradg>gardening");
    finds("proccuremment", "bob", "proccuremment>procurement");
    finds("Gardning and Procuremnt", "alice bob",
          "Gardning>gardening, Procuremnt>procurement");
    finds("zymurgy", "", "");
}

static void test_stems_of_what_was_meant(void **state)
{
    (void)state;
    put("alice", "gardens");
    put("bob", "gardening");
    finds("gardning", "bob alice", "gardning>gardening");
    finds("gdaerns", "alice bob", "gdaerns>gardens");
}

static void test_concepts_of_what_was_meant(void **state)
{
    (void)state;
    put("alice", "Blogging");
    put("bob", "Content design");
    put("carol", "design");
    finds("welbog", "alice", "welbog>weblog"); /* a label that nobody wrote */
    finds("wbelog", "alice", "wbelog>weblog");
    finds("contnet desgin", "bob carol", "contnet>content, desgin>design");
    finds("cotnent design", "bob carol", "cotnent>content");
}

static void test_norwegian_letters(void **state)
{
    (void)state;
    put("ida", "Økonomi og blåbærsyltetøy");
    put("ola", "Rådgivning");
    finds("økonmi", "ida", "økonmi>okonomi");
    finds("oekonmi", "ida", "oekonmi>oekonomi, oekonmi>okonomi");
    finds("blåbærsyltetyø", "ida", "blåbærsyltetyø>blabaersyltetoy");
    finds("rådgivnnig", "ola", "rådgivnnig>radgivning");
    finds("råvgdining", "ola", "råvgdining>radgivning");
}

static void test_other_alphabets(void **state)
{
    (void)state;
    put("yana", "библиотека");
    finds("библиотка", "yana", "библиотка>библиотека");
}

static void test_unfinished_words(void **state)
{
    (void)state;
    put("alice", "photography");
    put("bob", "photogrammetry");
    finds("photogra", "alice bob", "photogra>photogrammetry, photogra>photography");
    finds("photogra ", "", ""); /* said to the end */
    finds("photogra?", "", "");
    finds("photogra studio", "", ""); /* and only the last word is unfinished */
    finds("ph", "", "");              /* that says too little */
    finds("photo", "alice bob", "photo>photogrammetry, photo>photography");
}

static void test_two_words_for_one(void **state)
{
    (void)state;
    put("alice", "webmaster");
    put("per", "prosjektleder");
    finds("web master", "alice", "web master>webmaster");
    finds("prosjekt leder", "per", "prosjekt leder>prosjektleder");
    put("bob", "web master");
    /* what is written is there now; what is written otherwise comes after it */
    finds("web master", "bob alice", "");
    finds("web log", "bob", "");
    put("carol", "Blogging");
    finds("web log", "carol bob", "web log>weblog");
}

static void test_one_word_for_two(void **state)
{
    (void)state;
    put("alice", "web master");
    put("bob", "master data");
    finds("webmaster", "alice bob", "webmaster>web master");
    put("ida", "informasjon om sikkerhet");
    finds("informasjonssikkerhet", "ida",
          "informasjonssikkerhet>informasjon sikkerhet");
    finds("bobmaster", "bob alice", "bobmaster>bob master");
    finds("themaster", "", ""); /* no word of questions is a half */
}

static void test_words_that_questions_are_made_of(void **state)
{
    (void)state;
    put("alice", "gardening");
    put("bob", "helm charts");
    finds("whcih of you can hlep with gardening?", "alice", "whcih>which, hlep>help");
    double with_mistakes = hits[0].score; /* nothing was missed */
    finds("gardening", "alice", "");
    assert_true(with_mistakes == hits[0].score);
    finds("whcih", "", ""); /* there must be something else */
}

static void test_parts_of_words(void **state)
{
    (void)state;
    put("alice", "government");
    finds("e-governmnet", "alice", "e-governmnet>government");
}

/* ---- what exists is left alone ---- */

static void test_what_exists_is_left_alone(void **state)
{
    (void)state;
    put("alice", "planning");
    put("bob", "planting");
    finds("planning", "alice", "");
    finds("planting", "bob", "");
    assert_int_equal(corrected.work.keys, 0);
    put("carol", "plannning"); /* as somebody writes it */
    finds("plannning", "carol", "");
}

static void test_an_exact_match_comes_before_a_corrected_one(void **state)
{
    (void)state;
    put("alice", "gardening");
    put("zoe", "roses");
    finds("rosse", "zoe", "rosse>roses");
    finds("gardening rosse", "alice zoe", "rosse>roses");
}

/* Near in meaning is better than near in letters. */
static void test_what_is_near_a_known_label_is_no_mistake(void **state)
{
    (void)state;
    put("alice", "Soldering");
    put("bob", "wielding");
    finds("welding", "alice", "");
    put("alice", "Sewing");
    finds("welding", "bob", "welding>wielding"); /* now it leads nowhere */
}

/* It exists, but not where one looks. */
static void test_a_word_that_leads_nowhere(void **state)
{
    (void)state;
    put_in(&leeds, "alice", "planning");
    put_in(&bergen, "bob", "planting");
    check("in bergen", find_as("planning", false, bergen.key), "bob",
          "planning>planting");
    check("in leeds", find_as("planning", false, leeds.key), "alice", "");
    check("nothing", find_as("zymurgy", false, leeds.key), "", "");
    /* an office that is asked does not answer something else: others may know */
    struct wc_index_query asked = {
        .text = wc_slice_text("planning"), .limit = 64, .office_key = bergen.key};
    assert_int_equal(wc_index_find(index_, &asked, hits, &found_), 0);
    asked.text = wc_slice_text("plantign"); /* what nobody has is corrected, though */
    assert_int_equal(wc_index_find(index_, &asked, hits, &found_), 1);
}

/* ---- with the index ---- */

static void test_keeps_up_with_the_index(void **state)
{
    (void)state;
    for (int pass = 0; pass < 2; pass++) {
        put("alice", "gardening");
        finds("gardning", "alice", "gardning>gardening");
        wc_index_close(index_); /* and from the disk */
        open_index();
        finds("gardning", "alice", "gardning>gardening");
        put("alice", "brewing");
        finds("gardning", "", "");
        wc_index_close(index_);
        open_index();
        finds("gardning", "", "");
        finds("brweing", "alice", "brweing>brewing");
    }
    assert_int_equal(wc_records_clear(records), 0);
    assert_int_equal(wc_index_clear(index_), 0);
    finds("brweing", "", "");
}

static void test_follows_another_vocabulary(void **state)
{
    (void)state;
    const struct wc_vocabulary *first = vocabulary;
    uint64_t people;
    put("alice", "Blogging");
    finds("wbelog", "alice", "wbelog>weblog");
    load_vocabulary("[vocabulary]\nformat = 1\nid = t\n"
                    "[blogging]\nen = Blogging\nen = Journaling\n");
    atomic_bool stop = false;
    assert_int_equal(wc_index_set_vocabulary(index_, vocabulary, &stop, &people), 0);
    wc_vocabulary_free(first);
    finds("wbelog", "", "");
    finds("juornaling", "alice", "juornaling>journaling");
}

static void test_built_anew(void **state)
{
    (void)state;
    put("alice", "gardening");
    wc_index_close(index_);
    scratch_remove(scratch_path("state/index"));
    open_index();
    finds("gardning", "alice", "gardning>gardening");
}

/* A profile of leeds with a skill that is for the home office alone. */
static void put_at_home(const char *subject, const char *skill, const char *hidden)
{
    struct wc_person p = {.present = 0};
    struct wc_parts parts = {.of = {{.present = 0}}};
    struct wc_buf value = {0};
    char name[WC_LOCAL_NAME_BYTES];
    person_skill(&p, skill, WC_LEVEL_WORKING);
    person_skill(&parts.of[WC_AUDIENCE_OFFICE], hidden, WC_LEVEL_EXPERT);
    assert_int_equal(wc_local_pack(&value, &parts), 0);
    wc_local_name(subject, name);
    struct wc_meta_edit beside = {.key = name, .value = wc_buf_slice(&value)};
    struct wc_change c = office_person(&leeds, WC_KIND_PROFILE, subject, ++rev, &p);
    c.beside = &beside;
    apply(c);
    wc_buf_fini(&value);
}

/* What is for the home office alone corrects nothing for anybody else: no misspelling, no
 * beginning, no joining, no halves, no retry. */
static void test_home_words_stay_at_home(void **state)
{
    (void)state;
    put("bob", "juggling");
    put_at_home("alice", "brewing", "juggernaut");
    put_at_home("carol", "sewing", "webmaster");
    put_at_home("dan", "cooking", "stone masonry");
    put("eve", "planting");
    put_at_home("finn", "baking", "planning");
    for (int pass = 0; pass < 2; pass++) {
        finds("juggernuat", "", "");
        finds("jugger", "", "");
        finds("juggernatu brewing", "alice", "");
        finds("web master", "", "");
        finds("stonemasonry", "", "");
        assert_int_equal(find_as("juggernuat", false, leeds.key), 0);
        /* nor does a hidden word, being nearer, stand before one that is known */
        finds("planninng", "eve", "planninng>planting");
        finds_at_home("planninng", "finn eve",
                      "planninng>planning, planninng>planting");
        finds_at_home("juggernuat", "alice", "juggernuat>juggernaut");
        finds_at_home("juggern", "alice", "juggern>juggernaut");
        finds_at_home("web master", "carol", "web master>webmaster");
        finds_at_home("stonemasonry", "dan", "stonemasonry>stone masonry");
        finds_at_home("jugglign", "bob", "jugglign>juggling");
        wc_index_close(index_);
        open_index();
    }
    put_at_home("alice", "brewing", "nothing");
    finds_at_home("juggernuat", "", "");
}

/* ---- questions that are none ---- */

static void test_hostile_questions(void **state)
{
    (void)state;
    static char text[WC_QUERY_MAX_BYTES + 2];
    put("alice", "gardening");
    assert_int_equal(find_as("", false, NULL), -WC_EINVALID);
    assert_int_equal(find_as("\x01\x02\x1b[31m\x7f", false, NULL), 0);
    assert_int_equal(find_as("\xff\xfe\xc3\x28", false, NULL), -WC_EINVALID);
    finds("\xff gardning \xc3(", "alice", "gardning>gardening");
    finds("gard\x01ning", "", "");
    memset(text, 'a', WC_QUERY_MAX_BYTES);
    finds(text, "", "");
    memset(text, 'a', WC_QUERY_MAX_BYTES + 1);
    assert_int_equal(find_as(text, false, NULL), -WC_ETOOBIG);
}

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

/* A question as long as it may be, of words that nobody has: the work has its limits. */
static void test_bounded_work(void **state)
{
    (void)state;
    enum { LETTERS = WC_SPELLING_LETTERS_MAX };
    static char text[WC_QUERY_MAX_BYTES + 1];
    random_state = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    for (int i = 0; i < 40; i++) {
        char login[16], skill[64];
        snprintf(login, sizeof(login), "p%d", i);
        for (int k = 0; k < 60; k++)
            skill[k] = (char)(k % 12 == 11 ? ' ' : 'a' + draw(5));
        skill[60] = '\0';
        put(login, skill);
    }
    for (int round = 0; round < 30; round++) {
        for (uint32_t i = 0; i < WC_QUERY_MAX_BYTES; i++) {
            bool gap = draw(1 + draw(LETTERS)) == 0;
            text[i] = (char)(gap ? ' ' : 'a' + draw(5));
        }
        int n = find_as(text, round % 2 == 0, NULL);
        assert_true(n >= 0 || n == -WC_EINVALID);
        /* every scope; the words themselves, and other spellings of them */
        const struct wc_spelling_work *w = &corrected.work;
        assert_true(w->keys <=
                    2 * WC_CORRECTED_MAX_COUNT * WC_SPELLING_KEYS_MAX + 2 * 128);
        assert_true(w->compared <=
                    2 * WC_CORRECTED_MAX_COUNT * WC_SPELLING_COMPARED_MAX);
        assert_true(corrected.count <= WC_CORRECTED_MAX_COUNT * WC_SPELLED_MAX);
    }
}

/* Of a question in which all is wrong, so many words are corrected. */
static void test_so_many_words_are_corrected(void **state)
{
    (void)state;
    enum { WORDS = 30 };
    char question[WORDS * 9 + 1] = "", word[9];
    struct wc_person p = {.present = 0};
    static char skills[WORDS][9];
    random_state = 1;
    for (int i = 0; i < WORDS; i++) {
        for (int k = 0; k < 8; k++)
            skills[i][k] = (char)('a' + draw(26));
        person_skill(&p, skills[i], WC_LEVEL_WORKING);
        strcpy(word, skills[i]);
        memmove(word + 4, word + 5, 4);
        strcat(question, word);
        strcat(question, " ");
    }
    apply(office_person(&leeds, WC_KIND_PROFILE, "alice", ++rev, &p));
    assert_int_equal(find_as(question, false, NULL), 1);
    assert_int_equal(corrected.count, WC_CORRECTED_MAX_COUNT);
}

/* Anything, and what comes of it: an answer or a clear error. */
static void test_random_questions(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "gardening", "gardning", "web", "master", "webmaster", "wbemaster", " ", " ",
        " ",         "-",        ".",   "+",      "økonomi",   "økonmi",    "æ", "å",
        "\xff",      "\x01",     "the", "hlep",   "content",   "desgin",    "s", "?"};
    random_state = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    put("alice", "gardening webmaster");
    put("bob", "web master økonomi");
    put_at_home("carol", "content design", "master gardening");
    for (int round = 0; round < 1500; round++) {
        char text[512] = "";
        for (uint32_t n = draw(12); n > 0; n--)
            strcat(text, pieces[draw(sizeof(pieces) / sizeof(pieces[0]))]);
        int n = find_as(text, draw(2) == 0, draw(4) == 0 ? leeds.key : NULL);
        assert_true(n >= 0 || n == -WC_EINVALID);
        assert_true(n > 0 || corrected.count == 0);
        for (int i = 0; i < n; i++)
            assert_true(hits[i].score > 0 && hits[i].score <= 1);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_misspelt_words),
        T(test_stems_of_what_was_meant),
        T(test_concepts_of_what_was_meant),
        T(test_norwegian_letters),
        T(test_other_alphabets),
        T(test_unfinished_words),
        T(test_two_words_for_one),
        T(test_one_word_for_two),
        T(test_words_that_questions_are_made_of),
        T(test_parts_of_words),
        T(test_what_exists_is_left_alone),
        T(test_an_exact_match_comes_before_a_corrected_one),
        T(test_what_is_near_a_known_label_is_no_mistake),
        T(test_a_word_that_leads_nowhere),
        T(test_keeps_up_with_the_index),
        T(test_follows_another_vocabulary),
        T(test_built_anew),
        T(test_home_words_stay_at_home),
        T(test_hostile_questions),
        T(test_bounded_work),
        T(test_so_many_words_are_corrected),
        T(test_random_questions),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
