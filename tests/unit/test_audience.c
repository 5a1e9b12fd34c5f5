/* SPDX-License-Identifier: Apache-2.0 */
/* A profile taken apart by audience: edits put each field and name into one part alone. */
#include <stdio.h>
#include <string.h>

#include <whocan/audience.h>
#include <whocan/edit.h>

#include "tests/unit/unit.h"

static const uint8_t office_key[WC_KEY_BYTES] = {7};

/* A profile as it lies in its two places. */
struct state {
    struct wc_buf body, local;
    struct wc_doc *body_doc, *local_doc;
    struct wc_parts parts;
};

static struct wc_doc *doc_of(const struct wc_buf *b)
{
    struct wc_doc *doc;
    assert_false(b->failed);
    assert_int_equal(wc_doc_new(wc_buf_slice(b), &wc_scan_default, &doc), 0);
    return doc;
}

static void state_read(struct state *s)
{
    s->body_doc = doc_of(&s->body);
    assert_int_equal(wc_person_decode(wc_doc_root(s->body_doc), &s->parts.of[0], NULL),
                     0);
    s->local_doc = s->local.len > 0 ? doc_of(&s->local) : NULL;
    assert_int_equal(
        wc_parts_read(&s->parts,
                      s->local_doc == NULL ? NULL : wc_doc_root(s->local_doc), NULL),
        0);
    assert_int_equal(wc_parts_check(&s->parts, NULL), 0);
}

static void state_fini(struct state *s)
{
    wc_doc_free(s->body_doc);
    wc_doc_free(s->local_doc);
    wc_buf_fini(&s->body);
    wc_buf_fini(&s->local);
}

/* {"phone": "office"} or {"skills": {"chess": "me"}}, from words. */
static struct wc_doc *audiences(const char *field, const char *name, const char *who)
{
    static struct wc_buf b; /* the document points into it */
    wc_buf_reset(&b);
    wc_pack_map(&b, 1);
    wc_pack_text(&b, field);
    if (name != NULL) {
        wc_pack_map(&b, 1);
        wc_pack_text(&b, name);
    }
    wc_pack_text(&b, who);
    return doc_of(&b);
}

static int edit(struct state *s, enum wc_edit_kind kind, const struct wc_person *fields,
                struct wc_doc *who, struct wc_err *err)
{
    struct state after = {.body_doc = NULL};
    struct wc_edit_base base = {
        .office_key = office_key,
        .subject = "alice",
        .rev = 1,
        .now_ms = 5,
        .body = s->body_doc == NULL ? NULL : wc_doc_root(s->body_doc),
        .local = s->local_doc == NULL ? NULL : wc_doc_root(s->local_doc)};
    int rc = wc_edit_build(&base, kind, fields, who == NULL ? NULL : wc_doc_root(who),
                           &after.body, &after.local, NULL, err);
    wc_doc_free(who);
    if (rc == 0) {
        state_read(&after);
        state_fini(s);
        *s = after;
    } else {
        state_fini(&after);
    }
    return rc;
}

static struct wc_person with_phone(const char *phone)
{
    return (struct wc_person){.present = WC_PERSON_PHONE,
                              .phone = wc_slice_text(phone)};
}

static struct wc_person with_skill(const char *name)
{
    struct wc_person p = {.present = WC_PERSON_SKILLS, .skill_count = 1};
    p.skills[0].name = wc_slice_text(name);
    return p;
}

static const struct wc_person nothing = {.present = 0};

static void assert_phone(const struct state *s, int audience, const char *phone)
{
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++) {
        bool here = (s->parts.of[a].present & WC_PERSON_PHONE) != 0;
        assert_int_equal(here, a == audience);
        if (here)
            assert_true(wc_slice_is(s->parts.of[a].phone, phone));
    }
}

static void a_field_moves_and_stays(void **state)
{
    (void)state;
    struct state s = {.body_doc = NULL};
    struct wc_person one = with_phone("1"), two = with_phone("2"),
                     none = with_phone("");
    assert_int_equal(edit(&s, WC_EDIT_SET, &one, NULL, NULL), 0);
    assert_phone(&s, WC_AUDIENCE_ORGANISATION, "1");
    assert_int_equal(s.local.len, 0);
    assert_int_equal(
        edit(&s, WC_EDIT_SET, &nothing, audiences("phone", NULL, "office"), NULL), 0);
    assert_phone(&s, WC_AUDIENCE_OFFICE, "1");
    assert_int_equal(edit(&s, WC_EDIT_SET, &two, NULL, NULL), 0);
    assert_phone(&s, WC_AUDIENCE_OFFICE, "2");
    /* cleared, it remembers where its next value belongs, and hides nobody else's */
    assert_int_equal(edit(&s, WC_EDIT_SET, &none, NULL, NULL), 0);
    assert_phone(&s, WC_AUDIENCE_OFFICE, "");
    struct wc_person shown = with_phone("of the directory");
    wc_parts_join(&shown, &s.parts, WC_AUDIENCE_ME);
    assert_true(wc_slice_is(shown.phone, "of the directory"));
    assert_int_equal(edit(&s, WC_EDIT_SET, &one, NULL, NULL), 0);
    assert_phone(&s, WC_AUDIENCE_OFFICE, "1");
    assert_int_equal(
        edit(&s, WC_EDIT_SET, &two, audiences("phone", NULL, "organisation"), NULL), 0);
    assert_phone(&s, WC_AUDIENCE_ORGANISATION, "2");
    assert_int_equal(s.local.len, 0);
    state_fini(&s);
}

static uint32_t skills_of(const struct state *s, enum wc_audience audience)
{
    return s->parts.of[audience].skill_count;
}

static void a_name_stands_in_one_part(void **state)
{
    (void)state;
    struct state s = {.body_doc = NULL};
    struct wc_err err = {0};
    struct wc_person chess = with_skill("chess"), again = with_skill("CHESS");
    struct wc_person go = with_skill("go");
    assert_int_equal(
        edit(&s, WC_EDIT_ADD, &chess, audiences("skills", NULL, "match"), NULL), 0);
    assert_int_equal(edit(&s, WC_EDIT_ADD, &again, NULL, NULL), 0);
    assert_int_equal(edit(&s, WC_EDIT_ADD, &go, NULL, NULL), 0);
    assert_int_equal(skills_of(&s, WC_AUDIENCE_MATCH), 1);
    assert_int_equal(skills_of(&s, WC_AUDIENCE_ORGANISATION), 1);
    assert_int_equal(
        edit(&s, WC_EDIT_SET, &nothing, audiences("skills", "Go", "me"), NULL), 0);
    assert_int_equal(skills_of(&s, WC_AUDIENCE_ME), 1);
    assert_int_equal(
        edit(&s, WC_EDIT_SET, &nothing, audiences("skills", "bees", "me"), &err),
        -WC_ENOTFOUND);
    assert_string_equal(err.field, "skills");
    assert_int_equal(
        edit(&s, WC_EDIT_SET, &nothing, audiences("skills", NULL, "office"), NULL), 0);
    assert_int_equal(skills_of(&s, WC_AUDIENCE_OFFICE), 2);
    assert_int_equal(edit(&s, WC_EDIT_SET, &go, NULL, NULL), 0); /* a whole list */
    assert_int_equal(skills_of(&s, WC_AUDIENCE_OFFICE), 1);
    assert_int_equal(edit(&s, WC_EDIT_DROP, &go, NULL, NULL), 0);
    assert_int_equal(s.local.len, 0);
    state_fini(&s);
}

static void the_parts_together_keep_the_limits(void **state)
{
    (void)state;
    struct state s = {.body_doc = NULL};
    struct wc_err err = {0};
    for (int i = 0; i <= WC_SKILLS_MAX_COUNT; i++) {
        char name[16];
        snprintf(name, sizeof(name), "skill %d", i);
        struct wc_person p = with_skill(name);
        struct wc_doc *who = i % 2 == 0 ? NULL : audiences("skills", NULL, "me");
        assert_int_equal(edit(&s, WC_EDIT_ADD, &p, who, &err),
                         i < WC_SKILLS_MAX_COUNT ? 0 : -WC_ETOOBIG);
    }
    assert_string_equal(err.field, "skills");
    state_fini(&s);
}

static void an_audience_sees_no_more_than_is_its(void **state)
{
    (void)state;
    struct wc_parts parts = {.of = {{.present = 0}}};
    parts.of[WC_AUDIENCE_OFFICE] = with_phone("1");
    parts.of[WC_AUDIENCE_MATCH] = with_skill("chess");
    parts.of[WC_AUDIENCE_ME] =
        (struct wc_person){.present = WC_PERSON_EMAIL, .email = wc_slice_text("a@b")};
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++) {
        struct wc_person seen = {.present = 0};
        wc_parts_join(&seen, &parts, (enum wc_audience)a);
        assert_int_equal(seen.phone.len > 0, a >= WC_AUDIENCE_OFFICE);
        assert_int_equal(seen.skill_count, a >= WC_AUDIENCE_MATCH);
        assert_int_equal(seen.email.len > 0, a >= WC_AUDIENCE_ME);
    }
}

static void what_stands_twice_is_refused(void **state)
{
    (void)state;
    struct wc_err err = {0};
    struct wc_parts parts = {.of = {{.present = 0}}};
    parts.of[WC_AUDIENCE_ORGANISATION] = with_phone("1");
    parts.of[WC_AUDIENCE_ME] = with_phone("1");
    assert_int_equal(wc_parts_check(&parts, &err), -WC_EINVALID);
    assert_string_equal(err.field, "phone");
    parts.of[WC_AUDIENCE_ORGANISATION] = with_skill("chess");
    parts.of[WC_AUDIENCE_ME] = with_skill("Chess");
    assert_int_equal(wc_parts_check(&parts, &err), -WC_EINVALID);
    assert_string_equal(err.field, "skills[].name");
}

static void maps_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *field, *name, *who;
        int rc;
    } cases[] = {
        {"phone", NULL, "office", 0},
        {"skills", "chess", "match", 0},
        {"phone", NULL, "everybody", -WC_EINVALID},
        {"phone", "chess", "office", -WC_EINVALID},
        {"confirmed_at", NULL, "office", -WC_EINVALID},
        {"subject", NULL, "office", -WC_EINVALID},
        {"interests", "chess", "", -WC_EINVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wc_doc *doc = audiences(cases[i].field, cases[i].name, cases[i].who);
        assert_int_equal(wc_audiences_check(wc_doc_root(doc), NULL), cases[i].rc);
        wc_doc_free(doc);
    }
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++) {
        enum wc_audience found;
        const char *name = wc_audience_name((enum wc_audience)a);
        assert_int_equal(wc_audience_find(wc_slice_text(name), &found), 0);
        assert_int_equal(found, a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_moves_and_stays),
        cmocka_unit_test(a_name_stands_in_one_part),
        cmocka_unit_test(the_parts_together_keep_the_limits),
        cmocka_unit_test(an_audience_sees_no_more_than_is_its),
        cmocka_unit_test(what_stands_twice_is_refused),
        cmocka_unit_test(maps_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
