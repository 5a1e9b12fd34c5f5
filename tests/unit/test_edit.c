/* SPDX-License-Identifier: Apache-2.0 */
/* Edits of a profile: what becomes of lists, times and what is not known here. */
#include <stdio.h>
#include <string.h>

#include <whocan/edit.h>
#include <whocan/record.h>

#include "tests/unit/unit.h"

#define NOW_MS 1735689600000ULL

static const uint8_t office_key[WC_KEY_BYTES] = {7};

/* A body, decoded. */
struct body {
    struct wc_buf bytes;
    struct wc_doc *doc;
    struct wc_person person;
};

static void body_read(struct body *b)
{
    assert_false(b->bytes.failed);
    assert_int_equal(wc_doc_new(wc_buf_slice(&b->bytes), &wc_scan_default, &b->doc), 0);
    assert_int_equal(wc_person_decode(wc_doc_root(b->doc), &b->person, NULL), 0);
}

static void body_fini(struct body *b)
{
    wc_doc_free(b->doc);
    wc_buf_fini(&b->bytes);
}

static struct wc_slice text(const char *s)
{
    return wc_slice_text(s);
}

static void add_skill(struct wc_person *p, const char *name, enum wc_level level)
{
    p->present |= WC_PERSON_SKILLS;
    p->skills[p->skill_count++] = (struct wc_skill){.name = text(name), .level = level};
}

static void add_interest(struct wc_person *p, const char *name)
{
    p->present |= WC_PERSON_INTERESTS;
    p->interests[p->interest_count++] = text(name);
}

static struct wc_edit_base base_of(const struct body *old)
{
    return (struct wc_edit_base){.office_key = office_key,
                                 .subject = "alice",
                                 .rev = 8,
                                 .now_ms = NOW_MS,
                                 .body = old == NULL ? NULL : wc_doc_root(old->doc)};
}

/* What alice has: two skills, an interest, a phone, and a key of a later version. */
static void start(struct body *b)
{
    struct wc_person p = {.present = WC_PERSON_PHONE | WC_PERSON_KEY_CHANGED_AT,
                          .phone = text("1"),
                          .key_changed_at_ms = NOW_MS - 5};
    add_skill(&p, "Brewing", WC_LEVEL_EXPERT);
    add_skill(&p, "welding", WC_LEVEL_NONE);
    add_interest(&p, "bees");
    wc_body_begin(&b->bytes, office_key, "alice", 7, wc_person_pairs(&p) + 1);
    wc_person_pack_fields(&b->bytes, &p);
    wc_pack_text(&b->bytes, "pronouns");
    wc_pack_text(&b->bytes, "she");
    body_read(b);
}

static int build(const struct body *old, enum wc_edit_kind kind,
                 const struct wc_person *fields, struct body *out,
                 struct wc_person *dropped, struct wc_err *err)
{
    struct wc_edit_base base = base_of(old);
    struct wc_buf local = {0};
    int rc =
        wc_edit_build(&base, kind, fields, NULL, &out->bytes, &local, dropped, err);
    assert_int_equal(local.len, 0);
    if (rc == 0)
        body_read(out);
    return rc;
}

static void kinds_have_names(void **state)
{
    (void)state;
    enum wc_edit_kind kind;
    for (enum wc_edit_kind k = WC_EDIT_SET; k <= WC_EDIT_DROP; k++) {
        assert_int_equal(wc_edit_find(text(wc_edit_name(k)), &kind), 0);
        assert_int_equal(kind, k);
    }
    assert_int_equal(wc_edit_find(text("SET"), &kind), -WC_EINVALID);
    assert_int_equal(wc_edit_find(text(""), &kind), -WC_EINVALID);
}

static void the_first_edit_starts_from_nothing(void **state)
{
    (void)state;
    struct body after = {.doc = NULL};
    struct wc_person fields = {.present = WC_PERSON_NAME | WC_PERSON_TITLE,
                               .name = text("Alice")};
    uint8_t key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev;
    assert_int_equal(build(NULL, WC_EDIT_SET, &fields, &after, NULL, NULL), 0);
    assert_int_equal(wc_body_header(wc_doc_root(after.doc), key, subject, &rev, NULL),
                     0);
    assert_memory_equal(key, office_key, sizeof(key));
    assert_string_equal(subject, "alice");
    assert_int_equal(rev, 8);
    assert_int_equal(after.person.present, WC_PERSON_NAME | WC_PERSON_CONFIRMED_AT);
    assert_int_equal(after.person.confirmed_at_ms, NOW_MS);
    body_fini(&after);
}

static void set_replaces_and_clears(void **state)
{
    (void)state;
    struct body before = {.doc = NULL}, after = {.doc = NULL};
    struct wc_slice pronouns;
    struct wc_person fields = {.present = WC_PERSON_PHONE};
    start(&before);
    add_skill(&fields, "go", WC_LEVEL_NONE);
    assert_int_equal(build(&before, WC_EDIT_SET, &fields, &after, NULL, NULL), 0);
    assert_int_equal(after.person.present,
                     WC_PERSON_SKILLS | WC_PERSON_INTERESTS | WC_PERSON_CONFIRMED_AT);
    assert_int_equal(after.person.skill_count, 1);
    assert_true(wc_slice_is(after.person.skills[0].name, "go"));
    assert_int_equal(
        wc_obj_str(wc_obj_get(wc_doc_root(after.doc), "pronouns"), &pronouns), 0);
    assert_true(wc_slice_is(pronouns, "she"));
    body_fini(&before);
    body_fini(&after);
}

/* A change of key stands in the body for as long as the caller says, and no longer. */
static void the_change_of_key_is_the_callers_word(void **state)
{
    (void)state;
    struct body before = {.doc = NULL}, after = {.doc = NULL};
    static const struct wc_person nothing = {.present = 0};
    start(&before);
    struct wc_edit_base base = base_of(&before);
    struct wc_buf local = {0};
    base.key_changed_at_ms = NOW_MS - 9;
    assert_int_equal(wc_edit_build(&base, WC_EDIT_SET, &nothing, NULL, &after.bytes,
                                   &local, NULL, NULL),
                     0);
    body_read(&after);
    assert_int_equal(after.person.key_changed_at_ms, NOW_MS - 9);
    body_fini(&after);
    after = (struct body){.doc = NULL};
    assert_int_equal(build(&before, WC_EDIT_SET, &nothing, &after, NULL, NULL), 0);
    assert_false(after.person.present & WC_PERSON_KEY_CHANGED_AT);
    body_fini(&before);
    body_fini(&after);
}

static void add_joins_lists(void **state)
{
    (void)state;
    struct body before = {.doc = NULL}, after = {.doc = NULL};
    struct wc_person fields = {.present = 0};
    start(&before);
    add_skill(&fields, "brewing", WC_LEVEL_WORKING); /* the same, but for case */
    add_skill(&fields, "go", WC_LEVEL_NONE);
    assert_int_equal(build(&before, WC_EDIT_ADD, &fields, &after, NULL, NULL), 0);
    assert_int_equal(after.person.skill_count, 3);
    assert_true(wc_slice_is(after.person.skills[0].name, "welding"));
    assert_true(wc_slice_is(after.person.skills[1].name, "brewing"));
    assert_int_equal(after.person.skills[1].level, WC_LEVEL_WORKING);
    assert_true(wc_slice_is(after.person.skills[2].name, "go"));
    assert_int_equal(after.person.interest_count, 1);
    assert_true(wc_slice_is(after.person.phone, "1"));
    body_fini(&before);
    body_fini(&after);
}

static void add_keeps_to_the_limits(void **state)
{
    (void)state;
    char names[WC_SKILLS_MAX_COUNT][8];
    struct body before = {.doc = NULL}, after = {.doc = NULL};
    struct wc_person fields = {.present = 0};
    struct wc_err err = {0};
    start(&before);
    for (int i = 0; i < WC_SKILLS_MAX_COUNT - 1; i++) {
        snprintf(names[i], sizeof(names[i]), "s%d", i);
        add_skill(&fields, names[i], WC_LEVEL_NONE);
    }
    assert_int_equal(build(&before, WC_EDIT_ADD, &fields, &after, NULL, &err),
                     -WC_ETOOBIG);
    assert_string_equal(err.field, "skills");
    fields.skill_count -= 1; /* 62 and the two */
    wc_buf_reset(&after.bytes);
    assert_int_equal(build(&before, WC_EDIT_ADD, &fields, &after, NULL, NULL), 0);
    assert_int_equal(after.person.skill_count, WC_SKILLS_MAX_COUNT);
    body_fini(&after);
    after = (struct body){.doc = NULL};

    fields = (struct wc_person){.present = 0};
    for (int i = 0; i < WC_INTERESTS_MAX_COUNT; i++)
        add_interest(&fields, names[i]);
    assert_int_equal(build(&before, WC_EDIT_ADD, &fields, &after, NULL, &err),
                     -WC_ETOOBIG);
    assert_string_equal(err.field, "interests");
    body_fini(&before);
    body_fini(&after);
}

static void drop_takes_out_and_tells(void **state)
{
    (void)state;
    struct body before = {.doc = NULL}, after = {.doc = NULL};
    struct wc_person fields = {.present = 0}, dropped;
    start(&before);
    add_skill(&fields, "BREWING", WC_LEVEL_NONE);
    add_skill(&fields, "nothing", WC_LEVEL_NONE);
    add_interest(&fields, "bees");
    assert_int_equal(build(&before, WC_EDIT_DROP, &fields, &after, &dropped, NULL), 0);
    assert_int_equal(after.person.skill_count, 1);
    assert_true(wc_slice_is(after.person.skills[0].name, "welding"));
    assert_false(after.person.present & WC_PERSON_INTERESTS);
    assert_int_equal(dropped.skill_count, 1);
    assert_true(wc_slice_is(dropped.skills[0].name, "Brewing"));
    assert_int_equal(dropped.interest_count, 1);
    body_fini(&after);
    after = (struct body){.doc = NULL};

    fields = (struct wc_person){.present = 0}; /* a list that is not named stays */
    add_skill(&fields, "welding", WC_LEVEL_NONE);
    assert_int_equal(build(&before, WC_EDIT_DROP, &fields, &after, NULL, NULL), 0);
    assert_int_equal(after.person.interest_count, 1);
    body_fini(&before);
    body_fini(&after);
}

static void a_body_that_is_none_is_refused(void **state)
{
    (void)state;
    struct body before = {.doc = NULL}, after = {.doc = NULL};
    static const struct wc_person nothing = {.present = 0};
    struct wc_err err = {0};
    wc_body_begin(&before.bytes, office_key, "alice", 7, 1);
    wc_pack_text(&before.bytes, "name");
    wc_pack_u64(&before.bytes, 7);
    assert_int_equal(
        wc_doc_new(wc_buf_slice(&before.bytes), &wc_scan_default, &before.doc), 0);
    assert_int_equal(build(&before, WC_EDIT_SET, &nothing, &after, NULL, &err),
                     -WC_ETYPE);
    assert_string_equal(err.field, "name");
    body_fini(&before);
    body_fini(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_have_names),
        cmocka_unit_test(the_first_edit_starts_from_nothing),
        cmocka_unit_test(set_replaces_and_clears),
        cmocka_unit_test(the_change_of_key_is_the_callers_word),
        cmocka_unit_test(add_joins_lists),
        cmocka_unit_test(add_keeps_to_the_limits),
        cmocka_unit_test(drop_takes_out_and_tells),
        cmocka_unit_test(a_body_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
