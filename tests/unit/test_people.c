/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/people.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

static struct wc_records *records;
static struct office leeds;
static struct wc_people_view view;

static int setup(void **state)
{
    char problem[256];
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
        PEOPLE_TEST(test_the_own_words_win),
        PEOPLE_TEST(test_skills_stay_within_their_limit),
        PEOPLE_TEST(test_a_retired_profile_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
