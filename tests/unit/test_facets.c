/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "daemon/facets.h"
#include "tests/unit/unit.h"

#define NAMES_COUNT 3000 /* more than any table begins with */

static const uint8_t leeds[WC_KEY_BYTES] = {1}, york[WC_KEY_BYTES] = {2};

static void add(struct wc_facets *f, const uint8_t *office, const char *const *names,
                uint32_t count, enum wc_level level)
{
    struct wc_person p = {.present = 0};
    for (uint32_t i = 0; i < count; i++)
        p.skills[p.skill_count++] =
            (struct wc_skill){.name = wc_slice_text(names[i]), .level = level};
    assert_int_equal(wc_facets_add(f, office, &p), 0);
}

static void every_name_is_counted_once_for_a_person(void **state)
{
    (void)state;
    struct wc_facets *f;
    const char *const twice[] = {"Welding", "welding", "WELDING"};
    char name[32];
    const char *one = name;
    assert_int_equal(wc_facets_new(&f, NULL), 0);
    add(f, leeds, twice, 3, WC_LEVEL_EXPERT);
    add(f, york, twice + 1, 1, WC_LEVEL_NONE);
    add(f, york, twice, 0, WC_LEVEL_NONE);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < NAMES_COUNT; i++) {
            snprintf(name, sizeof(name), "skill %04d", i);
            add(f, leeds, &one, 1, WC_LEVEL_WORKING);
        }
    }
    wc_facets_sort(f);
    assert_int_equal(wc_facets_people(f), 3 + 2 * NAMES_COUNT);
    assert_int_equal(wc_facets_skills_count(f), 1 + NAMES_COUNT);
    for (uint32_t i = 0; i < NAMES_COUNT; i++) {
        snprintf(name, sizeof(name), "skill %04u", i);
        const struct wc_facet_skill *s = wc_facets_skill(f, i + 1);
        assert_string_equal(s->name, name);
        assert_int_equal(s->people, 2);
        assert_int_equal(s->levels[WC_LEVEL_WORKING], 2);
        assert_null(s->id);
    }
    const struct wc_facet_skill *welding = wc_facets_skill(f, 0);
    assert_string_equal(welding->name, "Welding");
    assert_int_equal(welding->people, 2);
    assert_int_equal(welding->levels[WC_LEVEL_EXPERT], 1);
    assert_int_equal(welding->levels[WC_LEVEL_NONE], 1);
    assert_int_equal(wc_facets_offices_count(f), 2);
    assert_memory_equal(wc_facets_office(f, 1)->key, york, WC_KEY_BYTES);
    assert_int_equal(wc_facets_office(f, 1)->people, 2);
    wc_facets_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_counted_once_for_a_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
