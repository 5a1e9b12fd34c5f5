/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/people.h"
#include "daemon/person_params.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

static struct wc_records *records;
static struct office leeds;
static struct wc_people_view view;

static int setup(void **state)
{
    char problem[WC_PROBLEM_BYTES];
    if (scratch_setup(state) != 0)
        return -1;
    office_init(&leeds, "leeds", 1);
    return wc_records_open(&records, scratch_path("state"), problem);
}

static int teardown(void **state)
{
    wc_records_close(records);
    return scratch_teardown(state);
}

static void put(uint8_t kind, const char *subject, uint64_t rev,
                const struct wc_person *p)
{
    assert_int_equal(commit_one(records, office_person(&leeds, kind, subject, rev, p)),
                     0);
}

static int load(const char *subject)
{
    return wc_people_load(records, leeds.key, subject, &view);
}

static void test_nobody(void **state)
{
    (void)state;
    assert_int_equal(load("alice"), -WC_ENOTFOUND);
}

static void test_a_row_alone(void **state)
{
    (void)state;
    struct wc_person row;
    person_texts(&row, "Alice Archer", "Librarian", "Libraries");
    person_skill(&row, "cataloguing", WC_LEVEL_WORKING);
    put(WC_KIND_ROW, "alice", 7, &row);
    assert_int_equal(load("alice"), 0);
    assert_true(view.has_row && !view.has_profile);
    assert_int_equal(view.row_rev, 7);
    assert_int_equal(view.profile_rev, 0);
    assert_true(wc_slice_is(view.person.name, "Alice Archer"));
    assert_int_equal(view.own_skill_count, 0);
    assert_int_equal(view.person.skill_count, 1);
    assert_true(view.person.present & WC_PERSON_SKILLS);
    wc_people_view_fini(&view);
}

/* Who signed, and when another key took over. */
static void test_the_author(void **state)
{
    (void)state;
    struct wc_person p;
    struct wc_signer alice;
    static const uint8_t seed[WC_KEY_BYTES] = {9};
    person_texts(&p, "Alice Archer", "Librarian", "Libraries");
    wc_signer_init(&alice, seed);
    put(WC_KIND_PROFILE, "alice", 1, &p);
    assert_int_equal(load("alice"), 0);
    assert_false(view.by_person);
    wc_people_view_fini(&view);

    leeds.author = &alice;
    p.present |= WC_PERSON_KEY_CHANGED_AT;
    p.key_changed_at_ms = 5;
    put(WC_KIND_PROFILE, "alice", 2, &p);
    put(WC_KIND_ROW, "alice", 1, &p);
    leeds.author = NULL;
    assert_int_equal(wc_people_load_shown(records, leeds.key, "alice",
                                          WC_AUDIENCE_ORGANISATION, &view),
                     0);
    assert_true(view.by_person);
    assert_int_equal(view.key_changed_said_ms, 5);
    assert_int_equal(view.key_changed_seen_ms, 0);
    wc_people_view_fini(&view);

    put(WC_KIND_ROW, "bob", 1, &p); /* a row says nothing of anybody's key */
    assert_int_equal(load("bob"), 0);
    assert_false(view.by_person);
    assert_int_equal(view.key_changed_said_ms, 0);
    wc_people_view_fini(&view);
}

static uint64_t clock_ms;

static uint64_t clock_now(void)
{
    return clock_ms;
}

static int load_shown(void)
{
    return wc_people_load_shown(records, leeds.key, "alice", WC_AUDIENCE_ORGANISATION,
                                &view);
}

/* At once, whatever the store still has; and nothing is lost by a clock that was wrong. */
static void test_what_has_ended_is_not_shown(void **state)
{
    (void)state;
    const uint64_t end_ms = OFFICE_NOW_MS + 30 * WC_DAY_MS; /* of every record here */
    uint8_t york_key[WC_KEY_BYTES] = {7};
    struct wc_person p;
    person_texts(&p, "Alice Archer", "Librarian", "Libraries");
    put(WC_KIND_ROW, "alice", 1, &p);
    wc_records_hide_ended(records, york_key, clock_now);
    clock_ms = end_ms - 1;
    assert_int_equal(load_shown(), 0);
    wc_people_view_fini(&view);
    clock_ms = end_ms;
    assert_int_equal(load_shown(), -WC_ENOTFOUND);
    assert_int_equal(load("alice"), 0); /* the index goes on having her */
    wc_people_view_fini(&view);
    /* a clock that is known to be wrong hides nothing */
    wc_records_hide_ended(records, NULL, NULL);
    assert_int_equal(load_shown(), 0);
    wc_people_view_fini(&view);
    wc_records_hide_ended(records, york_key, clock_now);
    assert_int_equal(load_shown(), -WC_ENOTFOUND);
    clock_ms = OFFICE_NOW_MS; /* set right */
    assert_int_equal(load_shown(), 0);
    wc_people_view_fini(&view);
    /* at home she is there as long as her office has her */
    clock_ms = end_ms + WC_DAY_MS;
    wc_records_hide_ended(records, leeds.key, clock_now);
    assert_int_equal(load_shown(), 0);
    wc_people_view_fini(&view);
}

/* Of somebody whose profile has ended the directory's row is left. */
static void test_each_side_ends_by_itself(void **state)
{
    (void)state;
    uint8_t york_key[WC_KEY_BYTES] = {7};
    struct wc_person p;
    person_texts(&p, "Alice Archer", "Librarian", "Libraries");
    put(WC_KIND_PROFILE, "alice", 1, &p);
    leeds.later_ms = WC_DAY_MS;
    put(WC_KIND_ROW, "alice", 1, &p);
    leeds.later_ms = 0;
    wc_records_hide_ended(records, york_key, clock_now);
    clock_ms = OFFICE_NOW_MS + 30 * WC_DAY_MS;
    assert_int_equal(load_shown(), 0);
    assert_true(view.has_row && !view.has_profile);
    wc_people_view_fini(&view);
}

static struct wc_slice shown_key_change(uint64_t said_ms, uint64_t seen_ms,
                                        uint64_t now_ms, struct wc_buf *b,
                                        struct wc_doc **doc)
{
    struct wc_slice text = {0};
    memset(&view, 0, sizeof(view));
    view.has_profile = true;
    view.key_changed_said_ms = said_ms;
    view.key_changed_seen_ms = seen_ms;
    wc_pack_person(b, &view, "alice", "leeds", NULL, now_ms);
    assert_int_equal(wc_doc_new(wc_buf_slice(b), &wc_scan_default, doc), 0);
    wc_obj_str(wc_obj_get(wc_doc_root(*doc), "key_changed_at"), &text);
    return text;
}

/* The later of the two, for 180 days; what cannot be hides nothing. */
static void test_a_changed_key_is_shown(void **state)
{
    (void)state;
    const uint64_t now_ms = OFFICE_NOW_MS, day_ms = WC_DAY_MS;
    const uint64_t lately_ms = now_ms - 2 * day_ms;
    static const char day_2[] = "2023-11-12T22:13:20Z",
                      day_0[] = "2023-11-14T22:13:20Z";
    const struct {
        uint64_t said_ms, seen_ms;
        const char *shown;
    } cases[] = {
        {0, 0, ""},
        {lately_ms, 0, day_2},
        {0, lately_ms, day_2},
        {now_ms, lately_ms, day_0},
        {lately_ms, now_ms, day_0},
        {now_ms - WC_KEY_CHANGE_SHOWN_MS, 0, ""},
        {now_ms + WC_FUTURE_SLACK_MS + 1, lately_ms, day_2},
        {WC_REV_MAX, lately_ms, day_2},
        {WC_REV_MAX, 0, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wc_buf b = {0};
        struct wc_doc *doc;
        struct wc_slice text =
            shown_key_change(cases[i].said_ms, cases[i].seen_ms, now_ms, &b, &doc);
        if (!wc_slice_is(text, cases[i].shown))
            fail_msg("case %zu shows \"%.*s\"", i, (int)text.len,
                     (const char *)text.data);
        wc_doc_free(doc);
        wc_buf_fini(&b);
    }
}

static void test_the_own_words_win(void **state)
{
    (void)state;
    struct wc_person row, profile = {.present = 0};
    person_texts(&row, "Alice Archer", "Librarian", "Libraries");
    person_skill(&row, "Content  DESIGN", WC_LEVEL_AWARENESS);
    person_skill(&row, "cataloguing", WC_LEVEL_WORKING);
    row.present |= WC_PERSON_EMAIL;
    row.email = wc_slice_text("alice@example.org");
    profile.present = WC_PERSON_TITLE | WC_PERSON_WILLING;
    profile.title = wc_slice_text("Web librarian");
    person_skill(&profile, "blogging", WC_LEVEL_EXPERT);
    person_skill(&profile, "content design", WC_LEVEL_PRACTITIONER);
    put(WC_KIND_ROW, "alice", 1, &row);
    put(WC_KIND_PROFILE, "alice", 3, &profile);

    assert_int_equal(load("alice"), 0);
    assert_true(view.has_row && view.has_profile);
    assert_int_equal(view.profile_rev, 3);
    assert_true(wc_slice_is(view.person.name, "Alice Archer"));
    assert_true(wc_slice_is(view.person.title, "Web librarian"));
    assert_true(wc_slice_is(view.person.email, "alice@example.org"));
    assert_true((view.person.present & WC_PERSON_WILLING) && !view.person.willing);
    assert_int_equal(view.own_skill_count, 2);
    assert_int_equal(view.person.skill_count, 3);
    assert_true(wc_slice_is(view.person.skills[0].name, "blogging"));
    assert_int_equal(view.person.skills[1].level, WC_LEVEL_PRACTITIONER);
    assert_true(wc_slice_is(view.person.skills[2].name, "cataloguing"));
    assert_true(wc_slice_is(view.row.title, "Librarian"));
    assert_true(wc_slice_is(view.profile.title, "Web librarian"));
    assert_int_equal(view.row.skill_count, 2);
    wc_people_view_fini(&view);
}

static void test_skills_stay_within_their_limit(void **state)
{
    (void)state;
    static char names[2 * WC_SKILLS_MAX_COUNT][16];
    struct wc_person row = {.present = 0}, profile = {.present = 0};
    for (int i = 0; i < WC_SKILLS_MAX_COUNT; i++) {
        snprintf(names[2 * i], sizeof(names[0]), "own %d", i);
        snprintf(names[2 * i + 1], sizeof(names[0]), "listed %d", i);
        if (i < 40)
            person_skill(&profile, names[2 * i], WC_LEVEL_NONE);
        person_skill(&row, names[2 * i + 1], WC_LEVEL_NONE);
    }
    put(WC_KIND_ROW, "alice", 1, &row);
    put(WC_KIND_PROFILE, "alice", 1, &profile);
    assert_int_equal(load("alice"), 0);
    assert_int_equal(view.own_skill_count, 40);
    assert_int_equal(view.person.skill_count, WC_SKILLS_MAX_COUNT);
    assert_true(wc_slice_is(view.person.skills[40].name, "listed 0"));
    wc_people_view_fini(&view);
}

static void test_a_retired_profile_is_gone(void **state)
{
    (void)state;
    struct wc_person row, profile;
    person_texts(&row, "Alice", "Librarian", "Libraries");
    person_texts(&profile, "Alice the Great", "", "");
    put(WC_KIND_ROW, "alice", 1, &row);
    put(WC_KIND_PROFILE, "alice", 1, &profile);
    assert_int_equal(
        commit_one(records, office_retire(&leeds, WC_KIND_PROFILE, "alice", 2)), 0);
    assert_int_equal(load("alice"), 0);
    assert_true(view.has_row && !view.has_profile);
    assert_true(wc_slice_is(view.person.name, "Alice"));
    wc_people_view_fini(&view);
    assert_int_equal(
        commit_one(records, office_retire(&leeds, WC_KIND_ROW, "alice", 2)), 0);
    assert_int_equal(load("alice"), -WC_ENOTFOUND);
}

#define PEOPLE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEOPLE_TEST(test_nobody),
        PEOPLE_TEST(test_a_row_alone),
        PEOPLE_TEST(test_the_author),
        PEOPLE_TEST(test_what_has_ended_is_not_shown),
        PEOPLE_TEST(test_each_side_ends_by_itself),
        PEOPLE_TEST(test_a_changed_key_is_shown),
        PEOPLE_TEST(test_the_own_words_win),
        PEOPLE_TEST(test_skills_stay_within_their_limit),
        PEOPLE_TEST(test_a_retired_profile_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
