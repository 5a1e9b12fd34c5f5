/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of a search: who passes, that traits never rule out anybody who does, and that a
 * filtered search is the unfiltered one without those who do not pass.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/filter.h"
#include "daemon/index.h"
#include "daemon/local.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

#define PEOPLE  1200 /* more than are looked at closely */
#define BATCH   400
#define FILTERS 40

static const char *const languages[] = {"english", "norwegian", NULL};
static const char *const teams[] = {"Libraries North", "Libraries South",
                                    "Web and Data", ""};
static const char *const tongues[] = {"English", "Norwegian Bokmål",
                                      "Norwegian Nynorsk", "Welsh"};

static struct wc_records *records;
static struct wc_index *index_;
static struct office leeds;
static struct wc_text *text;
static uint64_t random_state;
static struct wc_hit hits[WC_FIND_LIMIT_MAX];
static struct wc_found found;

/* What the oracle knows of everybody, by number. */
static struct somebody {
    enum wc_level level;
    bool mentor;
    uint32_t team, tongue;
    uint8_t days;
} people[PEOPLE];

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

static void open_both(void)
{
    char problem[WC_PROBLEM_BYTES];
    assert_int_equal(wc_records_open(&records, scratch_path("state"), problem), 0);
    assert_int_equal(wc_index_open(&index_, scratch_path("state"), records, languages,
                                   NULL, leeds.key, NULL, NULL, problem),
                     0);
}

static int setup(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    random_state = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    office_init(&leeds, "leeds", 1);
    open_both();
    return wc_text_new(&text, languages);
}

static int teardown(void **state)
{
    wc_text_free(text);
    wc_index_close(index_);
    wc_records_close(records);
    return scratch_teardown(state);
}

static void put(const char *subject, const struct wc_person *p)
{
    struct wc_change c = office_person(&leeds, WC_KIND_PROFILE, subject, 1, p);
    assert_int_equal(wc_records_commit(records, &c, 1), 0);
    assert_int_equal(wc_index_apply(index_, &c, 1), 0);
    change_fini(&c);
}

static int find(const char *question, const struct wc_filter *f, uint32_t limit,
                bool home)
{
    struct wc_index_query q = {.text = wc_slice_text(question),
                               .limit = limit,
                               .filter = *f,
                               .near_too = true,
                               .home = home};
    return wc_index_find(index_, &q, hits, &found);
}

/* The logins that a question finds: "alice bob". */
static void finds(const char *question, struct wc_filter f, const char *expected)
{
    char logins[256] = "";
    int n = find(question, &f, 20, false);
    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        strcat(logins, i > 0 ? " " : "");
        strcat(logins, hits[i].who.subject);
    }
    if (strcmp(logins, expected) != 0)
        fail_msg("\"%s\" finds \"%s\", not \"%s\"", question, logins, expected);
    assert_true(found.exact);
    assert_int_equal(found.total, n);
}

/* ---- who passes ---- */

static void put_three(void)
{
    struct wc_person p;
    person_texts(&p, "", "", "Libraries, North");
    person_skill(&p, "content design", WC_LEVEL_AWARENESS);
    person_skill(&p, "service design", WC_LEVEL_EXPERT);
    p.present |= WC_PERSON_LANGUAGES | WC_PERSON_WORKING_DAYS;
    p.languages[p.language_count++] = wc_slice_text("Norwegian (Bokmål)");
    p.working_days = 1U << 0 | 1U << 1; /* Monday, Tuesday */
    put("anne", &p);
    person_texts(&p, "", "", "Web north");
    person_skill(&p, "content design", WC_LEVEL_PRACTITIONER);
    p.skills[0].mentor = true;
    put("bob", &p);
    person_texts(&p, "", "Content designer", "");
    person_skill(&p, "content design", WC_LEVEL_EXPERT);
    p.skills[0].learn = true;
    put("carl", &p);
}

static void test_each_filter(void **state)
{
    (void)state;
    put_three();
    finds("content design", (struct wc_filter){.day = 0}, "bob anne carl");
    finds("content design", (struct wc_filter){.team = wc_slice_text("NORTH")},
          "bob anne");
    finds("content design",
          (struct wc_filter){.team = wc_slice_text("north libraries")}, "anne");
    finds("content design", (struct wc_filter){.team = wc_slice_text("nort")}, "");
    finds("content design", (struct wc_filter){.language = wc_slice_text("bokmal")},
          "anne");
    finds("content design", (struct wc_filter){.language = wc_slice_text("Norwegian")},
          "anne");
    /* of the skill that answers: not of another one, and not of one to be learned */
    finds("content design", (struct wc_filter){.level = WC_LEVEL_AWARENESS},
          "bob anne");
    finds("content design", (struct wc_filter){.level = WC_LEVEL_WORKING}, "bob");
    finds("content design", (struct wc_filter){.level = WC_LEVEL_EXPERT}, "");
    finds("design", (struct wc_filter){.level = WC_LEVEL_EXPERT}, "anne");
    finds("content design", (struct wc_filter){.mentor = true}, "bob");
    finds("content design", (struct wc_filter){.day = 1U << 1}, "bob anne carl");
    finds("content design", (struct wc_filter){.day = 1U << 2}, "bob carl");
    finds("content design",
          (struct wc_filter){.mentor = true, .team = wc_slice_text("libraries")}, "");
}

static void test_without_a_word(void **state)
{
    (void)state;
    put_three();
    struct wc_filter f = {.team = wc_slice_text("?!")};
    assert_int_equal(find("design", &f, 5, false), -WC_EINVALID);
    assert_string_equal(found.field, "team");
    f = (struct wc_filter){.language = wc_slice_text(" ")};
    assert_int_equal(find("design", &f, 5, false), -WC_EINVALID);
    assert_string_equal(found.field, "language");
    f = (struct wc_filter){.mentor = true};
    assert_int_equal(find("?!", &f, 5, false), -WC_EINVALID);
    assert_string_equal(found.field, "query");
}

/* An edit of nothing but what filters look at is an edit. */
static void test_an_edit(void **state)
{
    (void)state;
    struct wc_person p = {.present = WC_PERSON_WORKING_DAYS, .working_days = 1};
    person_skill(&p, "gis", WC_LEVEL_WORKING);
    put("anne", &p);
    finds("gis", (struct wc_filter){.day = 2}, "");
    p.working_days = 3;
    struct wc_change c = office_person(&leeds, WC_KIND_PROFILE, "anne", 2, &p);
    assert_int_equal(wc_records_commit(records, &c, 1), 0);
    assert_int_equal(wc_index_apply(index_, &c, 1), 0);
    change_fini(&c);
    finds("gis", (struct wc_filter){.day = 2}, "anne");
}

/* What is for the home office passes no filter of anybody else. */
static void test_what_is_for_the_home_office(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    struct wc_parts parts = {.of = {{.present = 0}}};
    struct wc_buf value = {0};
    char name[WC_LOCAL_NAME_BYTES];
    person_skill(&p, "gis", WC_LEVEL_WORKING);
    struct wc_person *local = &parts.of[WC_AUDIENCE_OFFICE];
    local->present = WC_PERSON_TEAM | WC_PERSON_WORKING_DAYS;
    local->team = wc_slice_text("Fraud");
    local->working_days = 1;
    assert_int_equal(wc_local_pack(&value, &parts), 0);
    wc_local_name("anne", name);
    struct wc_meta_edit beside = {.key = name, .value = wc_buf_slice(&value)};
    struct wc_change c = office_person(&leeds, WC_KIND_PROFILE, "anne", 1, &p);
    c.beside = &beside;
    assert_int_equal(wc_records_commit(records, &c, 1), 0);
    assert_int_equal(wc_index_apply(index_, &c, 1), 0);
    change_fini(&c);
    wc_buf_fini(&value);
    struct wc_filter fraud = {.team = wc_slice_text("fraud")}, late = {.day = 2};
    finds("gis", fraud, "");
    finds("gis", late, "anne"); /* for all that others know, she works each day */
    assert_int_equal(find("gis", &fraud, 5, true), 1);
    assert_int_equal(find("gis", &late, 5, true), 0);
    assert_int_equal(found.total, 0);
}

/* ---- against a look at everybody ---- */

static void put_everybody(void)
{
    static struct wc_change changes[BATCH];
    for (uint32_t i = 0; i < PEOPLE; i++) {
        struct somebody *s = &people[i];
        struct wc_person p;
        char subject[16];
        *s = (struct somebody){.level = (enum wc_level)draw(WC_LEVEL_EXPERT + 1),
                               .mentor = draw(15) == 0,
                               .team = draw(4),
                               .tongue = draw(4),
                               .days = (uint8_t)draw(0x80)};
        person_texts(&p, "", "", teams[s->team]);
        person_skill(&p, "gis", s->level);
        p.skills[0].mentor = s->mentor;
        person_skill(&p, "welding", WC_LEVEL_EXPERT); /* answers another question */
        p.skills[1].mentor = true;
        p.present |= WC_PERSON_LANGUAGES | WC_PERSON_WORKING_DAYS;
        p.languages[p.language_count++] = wc_slice_text(tongues[s->tongue]);
        p.working_days = s->days;
        snprintf(subject, sizeof(subject), "p%04u", i);
        changes[i % BATCH] = office_person(&leeds, WC_KIND_PROFILE, subject, 1, &p);
        if (i % BATCH != BATCH - 1)
            continue;
        assert_int_equal(wc_records_commit(records, changes, BATCH), 0);
        assert_int_equal(wc_index_apply(index_, changes, BATCH), 0);
        for (uint32_t k = 0; k < BATCH; k++)
            change_fini(&changes[k]);
    }
}

struct drawn {
    struct wc_filter f;
    uint32_t team, tongue; /* 4: any; tongue 5: both kinds of Norwegian */
};

static void draw_filter(struct drawn *d)
{
    *d = (struct drawn){.team = draw(2) == 0 ? draw(3) : 4,
                        .tongue = draw(2) == 0 ? draw(4) : 4 + draw(2)};
    d->f.level =
        draw(2) == 0 ? (enum wc_level)draw(WC_LEVEL_EXPERT + 1) : WC_LEVEL_NONE;
    d->f.mentor = draw(3) == 0;
    d->f.day = (uint8_t)(draw(2) == 0 ? 1U << draw(7) : 0);
    d->f.team = wc_slice_text(d->team < 4 ? teams[d->team] : "");
    d->f.language = wc_slice_text(d->tongue < 4    ? tongues[d->tongue]
                                  : d->tongue == 5 ? "norwegian"
                                                   : "");
}

static bool passes(const struct somebody *s, const struct drawn *d)
{
    bool tongue = d->tongue == 4 || s->tongue == d->tongue ||
                  (d->tongue == 5 && (s->tongue == 1 || s->tongue == 2));
    return tongue && (d->team == 4 || s->team == d->team) && s->level >= d->f.level &&
           (s->mentor || !d->f.mentor) &&
           (d->f.day == 0 || s->days == 0 || (s->days & d->f.day) != 0);
}

static void compare_filter(const uint32_t *order, uint32_t count)
{
    struct drawn d;
    draw_filter(&d);
    uint32_t limit = 1 + draw(30), expected = 0, all = 0;
    int n = find("gis", &d.f, limit, false);
    assert_true(n >= 0);
    for (uint32_t i = 0; i < count; i++) {
        if (!passes(&people[order[i]], &d))
            continue;
        all++;
        if (expected == limit)
            continue;
        if ((int)expected >= n ||
            strtoul(hits[expected].who.subject + 1, NULL, 10) != order[i])
            fail_msg("place %u is not p%04u", expected + 1, order[i]);
        expected++;
    }
    assert_int_equal(n, expected);
    if (found.exact)
        assert_int_equal(found.total, all);
    else
        assert_true(found.total <= all);
}

/* By level, those who would teach it first, then by login. */
static int compare_people(const void *a, const void *b)
{
    static const int worth[] = {[WC_LEVEL_NONE] = 2,
                                [WC_LEVEL_AWARENESS] = 1,
                                [WC_LEVEL_WORKING] = 2,
                                [WC_LEVEL_PRACTITIONER] = 3,
                                [WC_LEVEL_EXPERT] = 4};
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    int x = 2 * worth[people[i].level] + people[i].mentor;
    int y = 2 * worth[people[k].level] + people[k].mentor;
    return x != y ? y - x : i < k ? -1 : i > k;
}

static void test_against_a_look_at_everybody(void **state)
{
    (void)state;
    static uint32_t order[PEOPLE];
    put_everybody();
    for (uint32_t i = 0; i < PEOPLE; i++)
        order[i] = i;
    qsort(order, PEOPLE, sizeof(order[0]), compare_people);
    for (int i = 0; i < FILTERS; i++)
        compare_filter(order, PEOPLE);
}

/* ---- traits ---- */

static void test_traits_rule_out_nobody_who_passes(void **state)
{
    (void)state;
    uint32_t ruled_out = 0, passing = 0;
    for (int i = 0; i < 20000; i++) {
        struct wc_person p;
        struct drawn d;
        uint8_t have[WC_TRAITS_BYTES], least[WC_TRAITS_BYTES];
        bool pass;
        person_texts(&p, "", "", teams[draw(4)]);
        for (uint32_t k = draw(3); k > 0; k--)
            p.languages[p.language_count++] = wc_slice_text(tongues[draw(4)]);
        p.working_days = (uint8_t)draw(0x80);
        draw_filter(&d);
        d.f.level = WC_LEVEL_NONE;
        d.f.mentor = false;
        assert_int_equal(wc_traits_of(&p, text, have), 0);
        assert_int_equal(wc_filter_traits(&d.f, text, least), 0);
        assert_int_equal(wc_filter_person(&d.f, text, &p, &pass), 0);
        bool may = wc_traits_suffice(have, least);
        assert_true(may || !pass);
        passing += pass;
        ruled_out += !may;
    }
    assert_true(passing > 2000);
    assert_true(ruled_out > (20000 - passing) / 2); /* else they would be of no use */
}

#define FILTER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILTER_TEST(test_each_filter),
        FILTER_TEST(test_without_a_word),
        FILTER_TEST(test_an_edit),
        FILTER_TEST(test_what_is_for_the_home_office),
        FILTER_TEST(test_against_a_look_at_everybody),
        FILTER_TEST(test_traits_rule_out_nobody_who_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
