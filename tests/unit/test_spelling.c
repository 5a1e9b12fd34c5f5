/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <whocan/crypto.h>

#include "daemon/spelling.h"
#include "tests/unit/unit.h"

static const uint8_t key[16] = {1, 2, 3};
static struct wc_spelling *table;
static struct wc_spelled got[WC_SPELLED_MAX];
static struct wc_spelling_work work;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(wc_crypto_init(), 0);
    return wc_spelling_new(&table, key, WC_SPELLING_WORDS_MAX);
}

static int teardown(void **state)
{
    (void)state;
    wc_spelling_free(table);
    table = NULL;
    return 0;
}

static void know(const char *word, uint32_t people)
{
    assert_int_equal(wc_spelling_set(table, wc_slice_text(word), people), 0);
}

static uint32_t people(const char *word)
{
    return wc_spelling_find(table, wc_slice_text(word)).people;
}

static uint32_t suggest(const char *word)
{
    work = (struct wc_spelling_work){0};
    return wc_spelling_suggest(table, wc_slice_text(word), got, &work);
}

/* What a word is taken for, nearest first: "blogging logging". */
static void means(const char *word, const char *expected)
{
    char found[256] = "";
    uint32_t n = suggest(word);
    for (uint32_t i = 0; i < n; i++)
        snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%.*s",
                 i > 0 ? " " : "", (int)got[i].len, (const char *)got[i].text);
    if (strcmp(found, expected) != 0)
        fail_msg("\"%s\" means \"%s\", not \"%s\"", word, found, expected);
}

static void weighs(const char *word, float expected)
{
    assert_true(suggest(word) > 0);
    if (got[0].weight < expected - 0.001F || got[0].weight > expected + 0.001F)
        fail_msg("\"%s\" weighs %f, not %f", word, (double)got[0].weight,
                 (double)expected);
}

/* ---- kinds of mistakes ---- */

static void test_one_mistake(void **state)
{
    (void)state;
    know("blogging", 3);
    means("bloging", "blogging");   /* one too few */
    means("bloggging", "blogging"); /* one too many */
    means("blogginh", "blogging");  /* another one */
    means("bloggnig", "blogging");  /* two that changed places */
    means("logging", "blogging");
    means("blogging", ""); /* nothing but itself */
    weighs("bloging", 0.75F);
    weighs("logging", 0.75F * 0.85F); /* another first letter */
}

static void test_two_mistakes(void **state)
{
    (void)state;
    know("accommodation", 3);
    know("budget", 3);
    means("acccomodation", "accommodation"); /* one too many, one too few */
    means("accommodaaation", "accommodation");
    weighs("accommodaaation", 0.45F);
    means("bugtedt", ""); /* what is three away is another word */
    means("bbudegt", "budget");
    means("bugget", "budget");
    means("buggte", "");                      /* two in a short word */
    means("accommudotion", "accommodation");  /* two wrong ones */
    means("akkommodation", "accommodation");  /* beside each other */
    means("accommdatuon", "accommodation");   /* one missing, one wrong */
    means("acommodatin", "accommodation");    /* two missing */
    means("caccommudation", "accommodation"); /* one too many, one wrong */
    means("acocmmudation", "accommodation");  /* two that changed places, one wrong */
    means("acocmmodatin", "accommodation");   /* the same, and one missing */
    means("acocmmodatino", "accommodation");  /* twice two that changed places */
    means("eccomnodation", "accommodation");  /* the first, too */
    /* the keys of one mistake meet the first of these, and not the second */
    know("ebefcae", 2);
    know("eefeab", 1);
    assert_int_equal(suggest("ebefaeb"), 2);
}

static void test_scrambled(void **state)
{
    (void)state;
    know("university", 3);
    means("uinervtisy", "university");
    weighs("uinervtisy", 0.75F);
    means("ytisrevinu", ""); /* the first and the last letter stay */
    know("planning", 3);
    means("pninlang", "planning");
}

static void test_letters_of_all_alphabets(void **state)
{
    (void)state;
    know("bibliotekar", 2);
    know("okonomi", 2); /* økonomi, folded */
    know("θεσσαλονικη", 1);
    know("библиотека", 1);
    means("okonmi", "okonomi");
    means("θεσαλονικη", "θεσσαλονικη"); /* one letter, two bytes */
    means("θεσσλαονικη", "θεσσαλονικη");
    means("бблиотека", "библиотека");
    means("биелоибтка", "библиотека");
    weighs("θεσαλονικη", 0.75F);
}

static void test_nearest_first_then_what_most_have(void **state)
{
    (void)state;
    know("planner", 5);
    know("planned", 9);
    know("planted", 2);
    know("plane", 100);
    means("plannen", "planned planner");
    means("planed", "plane planned planted");
    know("planes", 9);
    know("planets", 4);
    know("plant", 3); /* a fourth one is too many */
    means("planet", "plane planes planets");
    assert_true(got[1].weight < got[0].weight);
    know("banned", 9); /* equals in the order of their bytes */
    know("canned", 9);
    means("fanned", "banned canned");
}

static void test_words_of_questions_go_first(void **state)
{
    (void)state;
    assert_int_equal(wc_spelling_keep(table, wc_slice_text("help"), true), 0);
    know("helm", 1000);
    means("helo", "help helm");
    assert_true(got[0].stop && !got[1].stop);
}

static void test_what_is_no_word(void **state)
{
    (void)state;
    static const char *const none[] = {"",         "ab",   "2026", "3.11",
                                       "\xff\xfe", "\xc3", "----"};
    char longest[128];
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        know(none[i], 1);
        assert_int_equal(people(none[i]), 0);
        assert_int_equal(suggest(none[i]), 0);
    }
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    know(longest, 1);
    longest[WC_SPELLING_LETTERS_MAX + 1] = '\0';
    know(longest, 1);
    assert_int_equal(people(longest), 0);
    assert_int_equal(suggest(longest), 0);
    longest[WC_SPELLING_LETTERS_MAX] = '\0';
    know(longest, 1);
    assert_int_equal(people(longest), 1);
    know("gis", 4); /* may be meant, but is too short to be corrected */
    means("gisx", "gis");
    means("gix", "");
    know("2026", 7);
    means("2025", "");
}

/* ---- coming and going ---- */

static void test_what_nobody_has_is_forgotten(void **state)
{
    (void)state;
    struct wc_spelling_usage before, after;
    know("blogging", 3);
    wc_spelling_usage(table, &before);
    know("gardening", 1);
    means("gardning", "gardening");
    know("gardening", 0);
    means("gardning", "");
    assert_int_equal(people("gardening"), 0);
    wc_spelling_usage(table, &after);
    assert_int_equal(after.words, before.words);
    know("gardening", 2);
    means("gardning", "gardening");
    know("nobody", 0);
    assert_int_equal(people("nobody"), 0);
}

static void test_labels_stay(void **state)
{
    (void)state;
    assert_int_equal(wc_spelling_keep(table, wc_slice_text("weblog"), false), 0);
    means("webolg", "weblog");
    know("weblog", 2);
    know("weblog", 0);
    means("webolg", "weblog");
    know("gardening", 1);
    assert_int_equal(wc_spelling_keep(table, wc_slice_text("gardening"), false), 0);
    assert_int_equal(people("gardening"), 1);
    know("blogging", 5);
    wc_spelling_clear(table);
    means("webolg", "weblog");
    means("gardning", "gardening");
    means("bloging", "");
    assert_int_equal(people("gardening"), 0);
    know("gardening", 2);
    assert_int_equal(wc_spelling_keep(table, wc_slice_text("help"), true), 0);
    wc_spelling_release(table);
    means("webolg", "");
    means("gardning", "gardening");
    means("hlep", "help");
}

static void test_no_more_than_its_limit(void **state)
{
    (void)state;
    wc_spelling_free(table);
    assert_int_equal(wc_spelling_new(&table, key, 2), 0);
    know("blogging", 1);
    know("gardening", 1);
    assert_int_equal(wc_spelling_set(table, wc_slice_text("painting"), 1), -WC_EFULL);
    know("blogging", 2);  /* those that are in still change, */
    know("gardening", 0); /* and make room */
    know("painting", 1);
    means("paintng", "painting");
}

/* ---- the work has limits ---- */

/* As long as the limits say, whatever is in the table. */
static void check_work(void)
{
    assert_true(work.keys <= WC_SPELLING_KEYS_MAX);
    assert_true(work.places <= work.keys * WC_SPELLING_WALK_COUNT);
    assert_true(work.compared <= WC_SPELLING_COMPARED_MAX);
}

/* Words made up so that all of them share their keys with a real one. */
static void test_a_crowd_of_made_up_words(void **state)
{
    (void)state;
    enum { CROWD = 20000 };
    char word[64];
    know("blogging", 3);
    for (uint32_t i = 0; i < CROWD; i++) {
        /* "blogging" and one Chinese character more, at its end */
        uint32_t p = 0x4E00 + i;
        snprintf(word, sizeof(word), "blogging%c%c%c", (char)(0xE0 | p >> 12),
                 (char)(0x80 | (p >> 6 & 0x3F)), (char)(0x80 | (p & 0x3F)));
        know(word, 1);
    }
    suggest("bloggingx");
    check_work();
    assert_true(work.keys <= 2 + 9);
    assert_true(work.compared >= WC_SPELLING_SHARED_COUNT);
    assert_true(work.compared <= WC_SPELLING_SHARED_COUNT + 16);
    assert_true(work.places <= work.keys * WC_SPELLING_WALK_COUNT);
    means("bloging", "blogging");
    know("bloggings", 40); /* what many people say finds its place, */
    suggest("bloggingx");
    assert_memory_equal(got[0].text, "bloggings", 9);
    know("bloggingz", 1); /* and so does what more and more people say */
    know("bloggingz", 80);
    suggest("bloggingx");
    assert_memory_equal(got[0].text, "bloggingz", 9);
}

/* A crowd under each key of one word. */
static void test_crowds_under_all_keys(void **state)
{
    (void)state;
    static const char word[] = "abcdefghijklmnop";
    char text[64];
    for (int at = 0; at < 16; at++) {
        for (uint32_t i = 0; i < 60; i++) {
            uint32_t p = 0x4E00 + i;
            snprintf(text, sizeof(text), "%.*s%c%c%c%s", at, word,
                     (char)(0xE0 | p >> 12), (char)(0x80 | (p >> 6 & 0x3F)),
                     (char)(0x80 | (p & 0x3F)), word + at + 1);
            know(text, 1);
        }
    }
    assert_int_equal(suggest(word), WC_SPELLED_MAX);
    assert_int_equal(work.compared, WC_SPELLING_COMPARED_MAX);
}

static void test_the_longest_word_costs_no_more(void **state)
{
    (void)state;
    char word[WC_SPELLING_LETTERS_MAX + 1];
    for (uint32_t i = 0; i < WC_SPELLING_LETTERS_MAX; i++)
        word[i] = (char)('a' + i * 7 % 26);
    word[WC_SPELLING_LETTERS_MAX] = '\0';
    know("blogging", 3);
    assert_int_equal(suggest(word), 0);
    check_work();
    assert_true(work.keys > WC_SPELLING_LETTERS_MAX);
}

/* ---- against a list ---- */

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

#define MODEL_COUNT 300
static struct {
    char text[16];
    uint32_t people;
    bool kept;
} model[MODEL_COUNT];

static void make_word(char *out)
{
    uint32_t len = 3 + draw(8);
    for (uint32_t i = 0; i < len; i++)
        out[i] = (char)('a' + draw(6));
    out[len] = '\0';
}

/* The whole matrix, as the books have it. */
static uint32_t distance_of(const char *a, const char *b)
{
    uint32_t d[17][17], n = (uint32_t)strlen(a), m = (uint32_t)strlen(b);
    for (uint32_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (uint32_t k = 0; k <= m; k++)
        d[0][k] = k;
    for (uint32_t i = 1; i <= n; i++) {
        for (uint32_t k = 1; k <= m; k++) {
            uint32_t x = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
            x = d[i - 1][k] + 1 < x ? d[i - 1][k] + 1 : x;
            x = d[i][k - 1] + 1 < x ? d[i][k - 1] + 1 : x;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
                d[i - 2][k - 2] + 1 < x)
                x = d[i - 2][k - 2] + 1;
            d[i][k] = x;
        }
    }
    return d[n][m];
}

static bool is_scrambled(const char *a, const char *b)
{
    uint32_t letters[26] = {0};
    size_t n = strlen(a);
    if (n != strlen(b) || a[0] != b[0] || a[n - 1] != b[n - 1])
        return false;
    for (size_t i = 0; i < n; i++) {
        letters[a[i] - 'a']++;
        letters[b[i] - 'a']--;
    }
    for (int i = 0; i < 26; i++)
        if (letters[i] != 0)
            return false;
    return true;
}

static float weight_of(const char *word, const char *other)
{
    uint32_t d = distance_of(word, other);
    float weight = d == 1 || is_scrambled(word, other) ? 0.75F
                   : d == 2 && strlen(word) >= 7       ? 0.45F
                                                       : 0;
    return word[0] == other[0] ? weight : weight * 0.85F;
}

static int find_model(const struct wc_spelled *s)
{
    for (int i = 0; i < MODEL_COUNT; i++)
        if (strlen(model[i].text) == s->len &&
            memcmp(model[i].text, s->text, s->len) == 0)
            return i;
    return -1;
}

/* Everything that is near is found, by two mistakes when nothing is by one, and nothing
 * else. */
static void check_against_model(const char *word)
{
    uint32_t near = 0, far = 0, n = suggest(word);
    float best = 0;
    check_work();
    for (int i = 0; i < MODEL_COUNT; i++) {
        bool known = model[i].people > 0 || model[i].kept;
        float weight = known && strcmp(word, model[i].text) != 0
                           ? weight_of(word, model[i].text)
                           : 0;
        near += weight > 0.5F;
        far += weight > 0;
        best = weight > best ? weight : best;
    }
    if (strlen(word) < WC_SPELLING_LETTERS_MIN) {
        assert_int_equal(n, 0);
        return;
    }
    near = near > 0 ? near : far;
    assert_true(n >= (near < WC_SPELLED_MAX ? near : WC_SPELLED_MAX));
    if (n > 0 && best > 0.5F)
        assert_true(got[0].weight >= best);
    for (uint32_t i = 0; i < n; i++) {
        int at = find_model(&got[i]);
        assert_true(at >= 0);
        float weight = weight_of(word, model[at].text) * (i > 0 ? 0.8F : 1.0F);
        assert_true(model[at].people > 0 || model[at].kept);
        assert_int_equal(got[i].people, model[at].people);
        assert_true(got[i].weight > weight - 0.001F);
        assert_true(got[i].weight < weight + 0.001F);
    }
}

static bool is_in_model(const char *word)
{
    for (int i = 0; i < MODEL_COUNT; i++)
        if (strcmp(model[i].text, word) == 0)
            return true;
    return false;
}

static void change_model(void)
{
    uint32_t i = draw(MODEL_COUNT);
    char word[16];
    make_word(word);
    if (draw(400) == 0) {
        wc_spelling_clear(table);
        for (int k = 0; k < MODEL_COUNT; k++)
            model[k].people = 0;
    } else if (draw(3) == 0 && !model[i].kept && !is_in_model(word)) {
        know(model[i].text, 0);
        strcpy(model[i].text, word);
        model[i].people = 0;
    } else if (draw(20) == 0 && strlen(model[i].text) >= 3) {
        assert_int_equal(wc_spelling_keep(table, wc_slice_text(model[i].text), false),
                         0);
        model[i].kept = true;
    } else if (strlen(model[i].text) >= 3) {
        model[i].people = draw(4) * draw(30);
        know(model[i].text, model[i].people);
    }
}

static void test_against_a_list(void **state)
{
    (void)state;
    char word[16];
    random_state = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    memset(model, 0, sizeof(model));
    for (int round = 0; round < 6000; round++) {
        change_model();
        if (round % 3 == 0) {
            make_word(word);
            check_against_model(word);
        }
    }
    for (int i = 0; i < MODEL_COUNT; i++)
        assert_int_equal(people(model[i].text), model[i].people);
}

/* Bytes that are anything. */
static void test_random_bytes(void **state)
{
    (void)state;
    uint8_t bytes[80];
    random_state = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    for (int round = 0; round < 4000; round++) {
        uint32_t len = draw(sizeof(bytes));
        for (uint32_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(draw(3) == 0 ? draw(256) : 'a' + draw(4));
        struct wc_slice word = wc_slice(bytes, len);
        work = (struct wc_spelling_work){0};
        uint32_t n = wc_spelling_suggest(table, word, got, &work);
        check_work();
        for (uint32_t i = 0; i < n; i++)
            assert_true(wc_utf8_valid(wc_slice(got[i].text, got[i].len)));
        assert_int_equal(wc_spelling_set(table, word, draw(3)), 0);
    }
}

/* ---- readers beside the writer ---- */

static atomic_bool stop_reading;
static atomic_uint reads;

static void *read_on(void *arg)
{
    struct wc_spelled found[WC_SPELLED_MAX];
    struct wc_spelling_work w = {0};
    bool *wrong = arg;
    while (!atomic_load(&stop_reading)) {
        uint32_t n = wc_spelling_suggest(table, wc_slice_text("bloging"), found, &w);
        if (n != 1 || memcmp(found[0].text, "blogging", 8) != 0 ||
            people("blogging") != 3)
            *wrong = true;
        atomic_fetch_add(&reads, 1);
    }
    return NULL;
}

static void test_readers_beside_the_writer(void **state)
{
    (void)state;
    pthread_t readers[2];
    bool wrong[2] = {false, false};
    char word[32];
    know("blogging", 3);
    atomic_store(&stop_reading, false);
    atomic_store(&reads, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &wrong[i]), 0);
    uint32_t last = 0;
    for (uint32_t round = 0; round < 8 || last < 64; round++) {
        for (uint32_t i = 0; i < 500; i++) { /* tables come and go */
            snprintf(word, sizeof(word), "%c%c%cword%u", 'a' + i % 26,
                     'a' + i / 26 % 26, 'a' + round % 26, i);
            know(word, round % 2 == 0 ? 1 : 0);
        }
        last = atomic_load(&reads);
    }
    atomic_store(&stop_reading, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], NULL);
        assert_false(wrong[i]);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_one_mistake),
        T(test_two_mistakes),
        T(test_scrambled),
        T(test_letters_of_all_alphabets),
        T(test_nearest_first_then_what_most_have),
        T(test_words_of_questions_go_first),
        T(test_what_is_no_word),
        T(test_what_nobody_has_is_forgotten),
        T(test_labels_stay),
        T(test_no_more_than_its_limit),
        T(test_a_crowd_of_made_up_words),
        T(test_crowds_under_all_keys),
        T(test_the_longest_word_costs_no_more),
        T(test_against_a_list),
        T(test_random_bytes),
        T(test_readers_beside_the_writer),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
