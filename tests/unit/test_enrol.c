/* SPDX-License-Identifier: Apache-2.0 */
/* Who signs as whom, and what waits for them: durable, local, one key for one login. */
#include "daemon/about.h"
#include "daemon/enrol.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

static struct wc_records *records;

static void open_again(void)
{
    char problem[WC_PROBLEM_BYTES];
    wc_records_close(records);
    assert_int_equal(wc_records_open(&records, scratch_path("state"), problem), 0);
}

static int setup(void **state)
{
    if (scratch_setup(state) != 0 || wc_crypto_init() != 0)
        return -1;
    records = NULL;
    open_again();
    return 0;
}

static int teardown(void **state)
{
    wc_records_close(records);
    return scratch_teardown(state);
}

static struct wc_enrolment with_key(uint64_t uid, int fill)
{
    struct wc_enrolment e = {.known = true,
                             .uid = uid,
                             .since_ms = 11,
                             .has_key = true,
                             .key_changed_at_ms = 12};
    memset(e.key, fill, sizeof(e.key));
    return e;
}

static int put(const char *login, const struct wc_enrolment *now)
{
    struct wc_enrolment old;
    assert_int_equal(wc_enrol_get(records, login, &old), 0);
    return wc_enrol_put(records, login, &old, now, false);
}

static void wait_for(const char *login, const char *title)
{
    struct wc_buf packed = {0};
    struct wc_person fields = {.present = WC_PERSON_TITLE,
                               .title = wc_slice_text(title)};
    wc_pending_pack(&packed, WC_EDIT_SET, 99, "intranet", &fields, NULL);
    assert_int_equal(wc_pending_put(records, login, wc_buf_slice(&packed)), 0);
    wc_buf_fini(&packed);
}

static void an_enrolment_is_kept(void **state)
{
    (void)state;
    struct wc_enrolment e = with_key(50001, 1), got;
    assert_int_equal(wc_enrol_get(records, "alice", &got), 0);
    assert_false(got.known || got.has_key);
    assert_int_equal(put("alice", &e), 0);
    open_again();
    assert_int_equal(wc_enrol_get(records, "alice", &got), 0);
    assert_true(got.known && got.has_key);
    assert_int_equal(got.uid, 50001);
    assert_int_equal(got.since_ms, 11);
    assert_int_equal(got.key_changed_at_ms, 12);
    assert_memory_equal(got.key, e.key, sizeof(e.key));

    e.has_key = false;
    assert_int_equal(put("alice", &e), 0);
    assert_int_equal(wc_enrol_get(records, "alice", &got), 0);
    assert_true(got.known && !got.has_key);
}

static void a_key_is_one_logins(void **state)
{
    (void)state;
    struct wc_enrolment alice = with_key(50001, 1), bob = with_key(50002, 1), got;
    assert_int_equal(put("alice", &alice), 0);
    assert_int_equal(put("bob", &bob), -WC_EEXISTS);
    assert_int_equal(wc_enrol_get(records, "bob", &got), 0);
    assert_false(got.known); /* all of it or nothing */
    bob = with_key(50002, 2);
    assert_int_equal(put("bob", &bob), 0);
    alice = with_key(50001, 2);
    assert_int_equal(put("alice", &alice), -WC_EEXISTS);
    /* a key that alice gave up is free */
    alice = with_key(50001, 3);
    assert_int_equal(put("alice", &alice), 0);
    bob = with_key(50002, 1);
    assert_int_equal(put("bob", &bob), 0);
}

static void the_newest_change_waits(void **state)
{
    (void)state;
    struct wc_pending_edit p;
    struct wc_person fields;
    char first[sizeof(p.id)];
    assert_int_equal(wc_pending_get(records, "alice", &p), -WC_ENOTFOUND);
    wait_for("alice", "One");
    assert_int_equal(wc_pending_get(records, "alice", &p), 0);
    memcpy(first, p.id, sizeof(first));
    wc_pending_fini(&p);
    wait_for("alice", "Two");
    open_again();
    assert_int_equal(wc_pending_get(records, "alice", &p), 0);
    assert_string_not_equal(first, p.id);
    assert_int_equal(p.kind, WC_EDIT_SET);
    assert_int_equal(p.asked_at_ms, 99);
    assert_true(wc_slice_is(p.by, "intranet"));
    assert_int_equal(wc_person_decode(p.fields, &fields, NULL), 0);
    assert_int_equal(fields.present, WC_PERSON_TITLE);
    assert_true(wc_slice_is(fields.title, "Two"));
    wc_pending_fini(&p);
    assert_int_equal(wc_pending_get(records, "bob", &p), -WC_ENOTFOUND);
    assert_int_equal(wc_pending_drop(records, "alice"), 0);
    assert_int_equal(wc_pending_drop(records, "alice"), 0);
    assert_int_equal(wc_pending_get(records, "alice", &p), -WC_ENOTFOUND);
}

static void another_person_inherits_nothing(void **state)
{
    (void)state;
    struct wc_enrolment former = with_key(50001, 1),
                        now = {.known = true, .uid = 50009};
    struct wc_pending_edit p;
    assert_int_equal(put("alice", &former), 0);
    wait_for("alice", "One");
    static const char account[] = "person/alice/account"; /* as the leavers keep it */
    struct wc_buf kept = {0};
    assert_int_equal(wc_records_meta_put(records, account, wc_slice_text("x")), 0);
    assert_int_equal(wc_enrol_put(records, "alice", &former, &now, true), 0);
    assert_int_equal(wc_records_meta_get(records, account, &kept), -WC_ENOTFOUND);
    wc_buf_fini(&kept);
    assert_int_equal(wc_pending_get(records, "alice", &p), -WC_ENOTFOUND);
    struct wc_enrolment bob = with_key(50002, 1);
    assert_int_equal(put("bob", &bob), 0);
}

/* What is erased with a person: everything but hashes. */
static void erasing_leaves_hashes(void **state)
{
    (void)state;
    struct wc_enrolment alice = with_key(50001, 1), got;
    struct wc_pending_edit p;
    char prefix[WC_ABOUT_PREFIX_BYTES];
    assert_int_equal(put("alice", &alice), 0);
    wait_for("alice", "One");
    wc_about_prefix("alice", prefix);
    assert_int_equal(wc_records_meta_forget(records, prefix), 0);
    assert_int_equal(wc_enrol_get(records, "alice", &got), 0);
    assert_false(got.known);
    assert_int_equal(wc_pending_get(records, "alice", &p), -WC_ENOTFOUND);
    assert_int_equal(put("alice", &alice), 0); /* she may come back */
    alice.has_key = false;
    assert_int_equal(put("alice", &alice), 0);
}

/* Nobody is let in because what is known of them cannot be read. */
static void damage_is_an_error(void **state)
{
    (void)state;
    struct wc_enrolment got;
    struct wc_pending_edit p;
    static const char *const values[] = {"", "\xc0", "\x95\x01\xa1x\x01\xc0\x00",
                                         "\x92\x01\x01",
                                         "\x95\x01\x01\x01\xc4\x01x\x00"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct wc_slice value = wc_slice_text(values[i]);
        assert_int_equal(wc_records_meta_put(records, "person/alice/enrolled", value),
                         0);
        assert_int_equal(wc_records_meta_put(records, "person/alice/pending", value),
                         0);
        assert_true(wc_enrol_get(records, "alice", &got) < 0);
        assert_false(got.known);
        int rc = wc_pending_get(records, "alice", &p);
        assert_true(rc < 0 && rc != -WC_ENOTFOUND);
    }
    struct wc_slice later = wc_slice("\x95\x02\x01\x01\xc0\x00", 6);
    assert_int_equal(wc_records_meta_put(records, "person/alice/enrolled", later), 0);
    assert_int_equal(wc_enrol_get(records, "alice", &got), -WC_EVERSION);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_enrolment_is_kept),    TEST(a_key_is_one_logins),
        TEST(the_newest_change_waits), TEST(another_person_inherits_nothing),
        TEST(erasing_leaves_hashes),   TEST(damage_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
