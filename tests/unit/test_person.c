/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a person: reading, refusing with words for people, merging, bodies. */
#include <stdio.h>
#include <string.h>

#include <whocan/person.h>
#include <whocan/record.h>

#include "tests/unit/unit.h"

#define BYTES(literal) wc_slice(literal, sizeof(literal) - 1)

static const uint8_t office_key[WC_KEY_BYTES] = {1, 2, 3};

/* One document being read. */
struct doc {
    struct wc_buf bytes;
    struct wc_doc *doc;
    struct wc_person person;
    struct wc_err err;
};

static int doc_read(struct doc *d)
{
    assert_false(d->bytes.failed);
    assert_int_equal(wc_doc_new(wc_buf_slice(&d->bytes), &wc_scan_default, &d->doc), 0);
    return wc_person_decode(wc_doc_root(d->doc), &d->person, &d->err);
}

static void doc_fini(struct doc *d)
{
    wc_doc_free(d->doc);
    wc_buf_fini(&d->bytes);
    *d = (struct doc){0};
}

static void pack_texts(struct wc_buf *b, const char *key, const char *const *texts)
{
    uint32_t count = 0;
    while (texts[count] != NULL)
        count++;
    wc_pack_text(b, key);
    wc_pack_array(b, count);
    for (uint32_t i = 0; i < count; i++)
        wc_pack_text(b, texts[i]);
}

static void pack_pair(struct wc_buf *b, const char *key, const char *value)
{
    wc_pack_text(b, key);
    wc_pack_text(b, value);
}

/* Everything a person can say, with a pair of a later version in between. */
static void pack_alice(struct wc_buf *b)
{
    wc_pack_map(b, 13);
    pack_pair(b, "name", "Alice \xc3\x85s");
    pack_pair(b, "title", "Service designer");
    pack_pair(b, "team", "Digital");
    wc_pack_text(b, "skills");
    wc_pack_array(b, 3);
    wc_pack_map(b, 5);
    pack_pair(b, "name", "User research");
    pack_pair(b, "level", "Expert");
    pack_pair(b, "id", "gdd:user-research");
    wc_pack_text(b, "mentor");
    wc_pack_bool(b, true);
    wc_pack_text(b, "learn");
    wc_pack_bool(b, false);
    wc_pack_text(b, "plain");
    wc_pack_map(b, 2);
    pack_pair(b, "name", "C");
    wc_pack_text(b, "learn");
    wc_pack_bool(b, true);
    wc_pack_text(b, "pronouns");
    wc_pack_array(b, 1);
    wc_pack_text(b, "she");
    pack_texts(b, "interests", (const char *[]){"maps", "bicycles", NULL});
    pack_pair(b, "ask_me_about", "Interviews,\n\tand how to stop them");
    pack_texts(b, "languages", (const char *[]){"en", "nb", NULL});
    pack_texts(b, "working_days", (const char *[]){"mon", "Wed", "fri", NULL});
    pack_pair(b, "email", "alice@example.org");
    pack_pair(b, "phone", "+44 113 496 0000");
    wc_pack_text(b, "willing");
    wc_pack_bool(b, true);
    wc_pack_text(b, "confirmed_at");
    wc_pack_u64(b, 1735689600000);
}

static void assert_alice(const struct wc_person *p)
{
    assert_int_equal(p->present, 0xfff);
    assert_true(wc_slice_is(p->name, "Alice \xc3\x85s"));
    assert_true(wc_slice_is(p->title, "Service designer"));
    assert_true(wc_slice_is(p->team, "Digital"));
    assert_int_equal(p->skill_count, 3);
    assert_true(wc_slice_is(p->skills[0].name, "User research"));
    assert_int_equal(p->skills[0].level, WC_LEVEL_EXPERT);
    assert_true(wc_slice_is(p->skills[0].id, "gdd:user-research"));
    assert_true(p->skills[0].mentor);
    assert_false(p->skills[0].learn);
    assert_true(wc_slice_is(p->skills[1].name, "plain"));
    assert_int_equal(p->skills[1].level, WC_LEVEL_NONE);
    assert_int_equal(p->skills[1].id.len, 0);
    assert_true(p->skills[2].learn);
    assert_int_equal(p->interest_count, 2);
    assert_true(wc_slice_is(p->interests[1], "bicycles"));
    assert_true(wc_slice_is(p->ask_me_about, "Interviews,\n\tand how to stop them"));
    assert_int_equal(p->language_count, 2);
    assert_true(wc_slice_is(p->languages[1], "nb"));
    assert_int_equal(p->working_days, 1 | 4 | 16);
    assert_true(wc_slice_is(p->email, "alice@example.org"));
    assert_true(wc_slice_is(p->phone, "+44 113 496 0000"));
    assert_true(p->willing);
    assert_int_equal(p->confirmed_at_ms, 1735689600000);
}

static void every_field_is_read(void **state)
{
    (void)state;
    struct doc d = {0};
    pack_alice(&d.bytes);
    assert_int_equal(doc_read(&d), 0);
    assert_alice(&d.person);
    assert_int_equal(wc_person_pairs(&d.person), 12);
    doc_fini(&d);
}

static void what_is_written_reads_the_same(void **state)
{
    (void)state;
    struct doc d = {0}, again = {0};
    pack_alice(&d.bytes);
    assert_int_equal(doc_read(&d), 0);
    wc_pack_map(&again.bytes, wc_person_pairs(&d.person));
    wc_person_pack_fields(&again.bytes, &d.person);
    assert_int_equal(doc_read(&again), 0);
    assert_alice(&again.person);
    doc_fini(&again);
    doc_fini(&d);
}

static void an_empty_map_says_nothing(void **state)
{
    (void)state;
    struct doc d = {0};
    wc_pack_map(&d.bytes, 0);
    assert_int_equal(doc_read(&d), 0);
    assert_int_equal(d.person.present, 0);
    assert_int_equal(wc_person_pairs(&d.person), 0);
    doc_fini(&d);
    wc_pack_array(&d.bytes, 0);
    assert_int_equal(doc_read(&d), -WC_ETYPE);
    doc_fini(&d);
    assert_int_equal(wc_person_decode(NULL, &d.person, NULL), -WC_ETYPE);
}

/* ---- refusals ---- */

/* { key: value }, the value in raw MessagePack. */
static void assert_refused(const char *key, struct wc_slice value, int rc,
                           const char *field, const char *why)
{
    struct doc d = {0};
    wc_pack_map(&d.bytes, 1);
    wc_pack_text(&d.bytes, key);
    wc_buf_append(&d.bytes, value.data, value.len);
    int got = doc_read(&d);
    if (got != rc || d.err.rc != rc || strcmp(d.err.field, field) != 0 ||
        strcmp(d.err.why, why) != 0)
        fail_msg("%s: %d, %s %s", key, got, got == 0 ? "" : d.err.field,
                 got == 0 ? "" : d.err.why);
    doc_fini(&d);
}

static void wrong_types_are_named(void **state)
{
    (void)state;
    static const char *const texts[] = {"name",  "title", "team",
                                        "email", "phone", "ask_me_about"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_refused(texts[i], BYTES("\x01"), -WC_ETYPE, texts[i], "must be text");
        assert_refused(texts[i], BYTES("\xc0"), -WC_ETYPE, texts[i], "must be text");
        assert_refused(texts[i], BYTES("\xa1\xff"), -WC_EINVALID, texts[i],
                       "must be UTF-8 text");
        assert_refused(texts[i], BYTES("\xa1\x1b"), -WC_EINVALID, texts[i],
                       "must not contain control characters");
        assert_refused(texts[i], BYTES("\xa1\x7f"), -WC_EINVALID, texts[i],
                       "must not contain control characters");
        assert_refused(texts[i], BYTES("\xa2\xc2\x9b"), -WC_EINVALID, texts[i],
                       "must not contain control characters");
        assert_refused(texts[i], BYTES("\xa1\x00"), -WC_EINVALID, texts[i],
                       "must not contain control characters");
        if (strcmp(texts[i], "ask_me_about") != 0)
            assert_refused(texts[i],
                           BYTES("\xa3"
                                 "a\nb"),
                           -WC_EINVALID, texts[i],
                           "must not contain control characters");
    }
    static const char *const lists[] = {"skills", "interests", "languages",
                                        "working_days"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        assert_refused(lists[i], BYTES("\xa1x"), -WC_ETYPE, lists[i], "must be a list");
        assert_refused(lists[i], BYTES("\x80"), -WC_ETYPE, lists[i], "must be a list");
    }
    assert_refused("willing", BYTES("\x01"), -WC_ETYPE, "willing",
                   "must be true or false");
    assert_refused("confirmed_at", BYTES("\xff"), -WC_ETYPE, "confirmed_at",
                   "must be a whole number of 0 or more");
    assert_refused("confirmed_at", BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
                   -WC_EINVALID, "confirmed_at", "is too large a number");
    assert_refused("interests", BYTES("\x91\x01"), -WC_ETYPE, "interests[]",
                   "must be text");
    assert_refused("interests", BYTES("\x91\xa0"), -WC_EINVALID, "interests[]",
                   "must not be empty");
    assert_refused("languages", BYTES("\x91\xa1 "), -WC_EINVALID, "languages[]",
                   "must not be empty");
    assert_refused("working_days", BYTES("\x91\xa6monday"), -WC_EINVALID,
                   "working_days[]",
                   "must be one of mon, tue, wed, thu, fri, sat, sun");
    assert_refused("working_days", BYTES("\x91\x01"), -WC_EINVALID, "working_days[]",
                   "must be one of mon, tue, wed, thu, fri, sat, sun");
}

static void wrong_skills_are_named(void **state)
{
    (void)state;
    assert_refused("skills", BYTES("\x91\x05"), -WC_ETYPE, "skills[]",
                   "must be a name or a map with a name");
    assert_refused("skills", BYTES("\x91\xa0"), -WC_EINVALID, "skills[].name",
                   "must not be empty");
    assert_refused("skills", BYTES("\x91\xa2  "), -WC_EINVALID, "skills[].name",
                   "must not be empty");
    assert_refused("skills", BYTES("\x91\x80"), -WC_EMISSING, "skills[].name",
                   "is missing");
    assert_refused("skills", BYTES("\x91\x81\xa4name\x01"), -WC_ETYPE, "skills[].name",
                   "must be text");
    assert_refused("skills", BYTES("\x91\x82\xa4name\xa1x\xa4name\xa1y"), -WC_EINVALID,
                   "skills[]", "must not name a key twice");
    assert_refused("skills", BYTES("\x91\x82\xa4name\xa1x\xa5level\xa4guru"),
                   -WC_EINVALID, "skills[].level",
                   "must be one of awareness, working, practitioner, expert");
    assert_refused("skills", BYTES("\x91\x82\xa4name\xa1x\xa5level\x04"), -WC_ETYPE,
                   "skills[].level", "must be text");
    assert_refused("skills", BYTES("\x91\x82\xa4name\xa1x\xa6mentor\x01"), -WC_ETYPE,
                   "skills[].mentor", "must be true or false");
    assert_refused("skills", BYTES("\x91\x82\xa4name\xa1x\xa5learn\xc0"), -WC_ETYPE,
                   "skills[].learn", "must be true or false");
    assert_refused("skills", BYTES("\x91\x82\xa4name\xa1x\xa2id\xc0"), -WC_ETYPE,
                   "skills[].id", "must be text");
    assert_refused("skills", BYTES("\x92\xa4Rust\x81\xa4name\xa4rUST"), -WC_EINVALID,
                   "skills[].name", "must not name one skill twice");
}

static void an_email_looks_like_one(void **state)
{
    (void)state;
    static const char *const bad[] = {"alice", "@example.org", "alice@", "a@b@c",
                                      "alice smith@example.org"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wc_buf value = {0};
        wc_pack_text(&value, bad[i]);
        assert_refused("email", wc_buf_slice(&value), -WC_EINVALID, "email",
                       "must be an address such as alice@example.org");
        wc_buf_fini(&value);
    }
}

/* A value of exactly the limit is read, one more is not. */
static void check_text_limit(const char *key, size_t max, const char *why)
{
    char text[2000];
    memset(text, 'x', sizeof(text));
    text[1] = '@'; /* so that it serves as an address too */
    for (size_t len = max; len <= max + 1; len++) {
        struct wc_buf value = {0};
        wc_pack_str(&value, wc_slice(text, len));
        if (len > max) {
            assert_refused(key, wc_buf_slice(&value), -WC_ETOOBIG, key, why);
        } else {
            struct doc d = {0};
            wc_pack_map(&d.bytes, 1);
            wc_pack_text(&d.bytes, key);
            wc_buf_append(&d.bytes, value.data, value.len);
            assert_int_equal(doc_read(&d), 0);
            doc_fini(&d);
        }
        wc_buf_fini(&value);
    }
}

static void check_list_limit(const char *key, uint32_t max, const char *why)
{
    for (uint32_t count = max; count <= max + 1; count++) {
        struct wc_buf value = {0};
        wc_pack_array(&value, count);
        for (uint32_t i = 0; i < count; i++) {
            char text[16];
            snprintf(text, sizeof(text), "item %u", i);
            wc_pack_text(&value, text);
        }
        if (count > max) {
            assert_refused(key, wc_buf_slice(&value), -WC_ETOOBIG, key, why);
        } else {
            struct doc d = {0};
            wc_pack_map(&d.bytes, 1);
            wc_pack_text(&d.bytes, key);
            wc_buf_append(&d.bytes, value.data, value.len);
            assert_int_equal(doc_read(&d), 0);
            assert_int_equal(d.person.skill_count + d.person.interest_count +
                                 d.person.language_count,
                             max);
            doc_fini(&d);
        }
        wc_buf_fini(&value);
    }
}

static void limits_are_exact(void **state)
{
    (void)state;
    check_text_limit("name", 200, "must be at most 200 bytes long");
    check_text_limit("title", 200, "must be at most 200 bytes long");
    check_text_limit("team", 200, "must be at most 200 bytes long");
    check_text_limit("ask_me_about", 1000, "must be at most 1000 bytes long");
    check_text_limit("email", 254, "must be at most 254 bytes long");
    check_text_limit("phone", 32, "must be at most 32 bytes long");
    check_list_limit("skills", 64, "may list at most 64");
    check_list_limit("interests", 32, "may list at most 32");
    check_list_limit("languages", 16, "may list at most 16");
    char long_name[104] = "\x91\xd9\x65"; /* one text of 101 bytes */
    memset(long_name + 3, 'x', 101);
    assert_refused("skills", wc_slice(long_name, 104), -WC_ETOOBIG, "skills[].name",
                   "must be at most 100 bytes long");
    assert_refused("interests", wc_slice(long_name, 104), -WC_ETOOBIG, "interests[]",
                   "must be at most 100 bytes long");
    assert_refused("languages", wc_slice(long_name, 104), -WC_ETOOBIG, "languages[]",
                   "must be at most 32 bytes long");
    assert_refused("working_days",
                   BYTES("\x98\xa3mon\xa3mon\xa3mon\xa3mon\xa3mon"
                         "\xa3mon\xa3mon\xa3mon"),
                   -WC_ETOOBIG, "working_days", "may list at most 7");
}

/* ---- levels and logins ---- */

static void levels_have_names(void **state)
{
    (void)state;
    enum wc_level level = WC_LEVEL_NONE;
    for (unsigned i = WC_LEVEL_AWARENESS; i <= WC_LEVEL_EXPERT; i++) {
        const char *name = wc_level_name((enum wc_level)i);
        assert_int_equal(wc_level_parse(wc_slice_text(name), &level), 0);
        assert_int_equal(level, i);
    }
    assert_string_equal(wc_level_name(WC_LEVEL_NONE), "");
    assert_int_equal(wc_level_parse(wc_slice_text("PractitioneR"), &level), 0);
    assert_int_equal(level, WC_LEVEL_PRACTITIONER);
    assert_int_equal(wc_level_parse(wc_slice_text(""), &level), -WC_EINVALID);
    assert_int_equal(wc_level_parse(wc_slice_text("expert "), &level), -WC_EINVALID);
    assert_int_equal(wc_level_parse(wc_slice_text("exper"), &level), -WC_EINVALID);
}

static void logins_are_plain(void **state)
{
    (void)state;
    static const char *const good[] = {
        "alice", "a", "0day", "_apt", "a.b-c_d", "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {
        "",    ".a",  "-a",  "Alice",    "a b",
        "a@b", "a/b", "a\n", "\xc3\xa5", "abcdefghijklmnopqrstuvwxyz0123456"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(wc_login_valid(wc_slice_text(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(wc_login_valid(wc_slice_text(bad[i])));
    assert_false(wc_login_valid(wc_slice("a\0b", 3)));
}

/* ---- merging and bodies ---- */

static void an_edit_replaces_what_it_names(void **state)
{
    (void)state;
    struct doc base = {0}, edit = {0};
    pack_alice(&base.bytes);
    assert_int_equal(doc_read(&base), 0);
    wc_pack_map(&edit.bytes, 3);
    pack_pair(&edit.bytes, "title", "Head of design");
    pack_texts(&edit.bytes, "skills", (const char *[]){"one", NULL});
    wc_pack_text(&edit.bytes, "willing");
    wc_pack_bool(&edit.bytes, false);
    assert_int_equal(doc_read(&edit), 0);

    wc_person_merge(&base.person, &edit.person);
    assert_int_equal(base.person.present, 0xfff);
    assert_true(wc_slice_is(base.person.title, "Head of design"));
    assert_int_equal(base.person.skill_count, 1);
    assert_true(wc_slice_is(base.person.skills[0].name, "one"));
    assert_false(base.person.willing);
    assert_true(wc_slice_is(base.person.team, "Digital"));
    assert_int_equal(base.person.interest_count, 2);
    doc_fini(&edit);
    doc_fini(&base);
}

static void an_empty_value_removes_its_field(void **state)
{
    (void)state;
    struct doc base = {0}, edit = {0};
    pack_alice(&base.bytes);
    assert_int_equal(doc_read(&base), 0);
    wc_pack_map(&edit.bytes, 10);
    static const char *const texts[] = {"name",  "title", "team",
                                        "email", "phone", "ask_me_about"};
    static const char *const lists[] = {"skills", "interests", "languages",
                                        "working_days"};
    for (size_t i = 0; i < 6; i++)
        pack_pair(&edit.bytes, texts[i], "");
    for (size_t i = 0; i < 4; i++)
        pack_texts(&edit.bytes, lists[i], (const char *[]){NULL});
    assert_int_equal(doc_read(&edit), 0);
    assert_int_equal(wc_person_pairs(&edit.person), 10); /* empty is not absent */

    wc_person_merge(&base.person, &edit.person);
    assert_int_equal(base.person.present, WC_PERSON_WILLING | WC_PERSON_CONFIRMED_AT);
    assert_int_equal(wc_person_pairs(&base.person), 2);
    doc_fini(&edit);
    doc_fini(&base);
}

static void a_body_keeps_what_it_does_not_know(void **state)
{
    (void)state;
    struct doc old = {0}, edit = {0}, body = {0};
    uint8_t key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev;
    struct wc_slice she;

    /* an old body: the header, Alice's fields and her "pronouns" */
    pack_alice(&old.bytes);
    assert_int_equal(doc_read(&old), 0);
    assert_int_equal(wc_person_body(office_key, "alice", 7, &old.person,
                                    wc_doc_root(old.doc), &body.bytes),
                     0);
    assert_int_equal(doc_read(&body), 0);
    assert_alice(&body.person);
    doc_fini(&old);

    /* the next: a new title, no team, everything else as it was */
    wc_pack_map(&edit.bytes, 2);
    pack_pair(&edit.bytes, "title", "Director");
    pack_pair(&edit.bytes, "team", "");
    assert_int_equal(doc_read(&edit), 0);
    wc_person_merge(&body.person, &edit.person);
    assert_int_equal(wc_person_body(office_key, "alice", 8, &body.person,
                                    wc_doc_root(body.doc), &old.bytes),
                     0);
    assert_int_equal(doc_read(&old), 0);
    const struct wc_obj *root = wc_doc_root(old.doc);
    assert_int_equal(wc_body_header(root, key, subject, &rev, NULL), 0);
    assert_memory_equal(key, office_key, sizeof(key));
    assert_string_equal(subject, "alice");
    assert_int_equal(rev, 8);
    assert_int_equal(wc_obj_count(root), 3 + 11 + 1);
    assert_int_equal(wc_obj_str(wc_obj_at(wc_obj_get(root, "pronouns"), 0), &she), 0);
    assert_true(wc_slice_is(she, "she"));
    assert_true(wc_slice_is(old.person.title, "Director"));
    assert_null(wc_obj_get(root, "team"));
    doc_fini(&edit);
    doc_fini(&body);
    doc_fini(&old);
}

static void a_body_leaves_out_what_is_empty(void **state)
{
    (void)state;
    struct doc d = {0}, body = {0};
    wc_pack_map(&d.bytes, 2);
    pack_pair(&d.bytes, "name", "Bob");
    pack_pair(&d.bytes, "team", "");
    assert_int_equal(doc_read(&d), 0);
    assert_int_equal(wc_person_body(office_key, "bob", 1, &d.person, NULL, &body.bytes),
                     0);
    assert_int_equal(doc_read(&body), 0);
    assert_int_equal(body.person.present, WC_PERSON_NAME);
    assert_int_equal(wc_obj_count(wc_doc_root(body.doc)), 4);
    assert_int_equal(d.person.present, WC_PERSON_NAME | WC_PERSON_TEAM); /* untouched */
    doc_fini(&body);
    /* what is not a map has no pairs to keep */
    struct doc list = {0};
    wc_pack_array(&list.bytes, 1);
    wc_pack_nil(&list.bytes);
    assert_int_equal(doc_read(&list), -WC_ETYPE);
    assert_int_equal(wc_person_body(office_key, "bob", 1, &d.person,
                                    wc_doc_root(list.doc), &body.bytes),
                     0);
    doc_fini(&list);
    doc_fini(&body);
    doc_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(an_empty_map_says_nothing),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(wrong_skills_are_named),
        cmocka_unit_test(an_email_looks_like_one),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(logins_are_plain),
        cmocka_unit_test(an_edit_replaces_what_it_names),
        cmocka_unit_test(an_empty_value_removes_its_field),
        cmocka_unit_test(a_body_keeps_what_it_does_not_know),
        cmocka_unit_test(a_body_leaves_out_what_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
