/* SPDX-License-Identifier: Apache-2.0 */
/* What an office stamps of what a person signed, and all that it does not. */
#include <string.h>

#include <whocan/record.h>

#include "daemon/signed_edit.h"
#include "tests/unit/fixture.h"
#include "tests/unit/unit.h"

#define NOW_MS (FIXTURE_NOW_MS + WC_DAY_MS)

static struct fixture fix;
static struct wc_enrolment enrolled; /* as the office has it */

/* What alice signs, before a test changes it. */
struct attempt {
    const struct wc_signer *author;
    const uint8_t *office_key;
    const char *subject;
    uint64_t rev;
    struct wc_person person;
    uint8_t kind; /* for which it is signed */
};

static struct attempt good(void)
{
    struct attempt a = {.author = &fix.person,
                        .office_key = fix.leeds.signer.key,
                        .subject = "alice",
                        .rev = 7,
                        .person = {.present = WC_PERSON_NAME | WC_PERSON_CONFIRMED_AT,
                                   .confirmed_at_ms = NOW_MS},
                        .kind = WC_KIND_PROFILE};
    a.person.name = wc_slice_text("Alice");
    return a;
}

static int check_bytes(struct wc_slice body, const uint8_t *key, const uint8_t *sig,
                       struct wc_field_problem *problem)
{
    uint64_t changed_ms;
    struct wc_signed_edit edit = {.body = body, .key = key, .sig = sig};
    struct wc_signed_rules rules = {.office_key = fix.leeds.signer.key,
                                    .login = "alice",
                                    .rev = 7,
                                    .enrolled = &enrolled,
                                    .now_ms = NOW_MS};
    return wc_signed_edit_check(&edit, &rules, &changed_ms, problem);
}

static int check(const struct attempt *a, const char *field)
{
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    struct wc_field_problem problem = {0};
    assert_int_equal(
        wc_person_body(a->office_key, a->subject, a->rev, &a->person, NULL, &body), 0);
    assert_int_equal(wc_body_sign(sig, a->kind, wc_buf_slice(&body), a->author), 0);
    int rc = check_bytes(wc_buf_slice(&body), a->author->key, sig, &problem);
    if (rc != 0)
        assert_string_equal(problem.field, field);
    wc_buf_fini(&body);
    return rc;
}

static int setup(void **state)
{
    (void)state;
    enrolled = (struct wc_enrolment){.known = false};
    return 0;
}

static void enrol(const struct wc_signer *who, uint64_t changed_ms)
{
    enrolled = (struct wc_enrolment){
        .known = true, .has_key = true, .key_changed_at_ms = changed_ms};
    memcpy(enrolled.key, who->key, WC_KEY_BYTES);
}

static void what_is_right_is_taken(void **state)
{
    (void)state;
    struct attempt a = good();
    assert_int_equal(check(&a, ""), 0);
    enrol(&fix.person, 0);
    assert_int_equal(check(&a, ""), 0);
}

static void of_another_login(void **state)
{
    (void)state;
    struct attempt a = good();
    a.subject = "bob";
    assert_int_equal(check(&a, "subject"), -WC_EDENIED);
}

static void of_another_office(void **state)
{
    (void)state;
    struct attempt a = good();
    a.office_key = fix.stranger.key;
    assert_int_equal(check(&a, "office"), -WC_EDENIED);
}

static void with_the_office_key(void **state)
{
    (void)state;
    struct attempt a = good();
    a.author = &fix.leeds.signer;
    assert_int_equal(check(&a, "key"), -WC_EDENIED);
}

/* An older body that was once good, and one that skips what is there. */
static void of_another_rev(void **state)
{
    (void)state;
    struct attempt a = good();
    for (a.rev = 1; a.rev < 12; a.rev++)
        assert_int_equal(check(&a, ""), a.rev == 7 ? 0 : -WC_ESTALE);
}

static void signed_for_another_purpose(void **state)
{
    (void)state;
    struct attempt a = good();
    a.kind = WC_KIND_ROW;
    assert_int_equal(check(&a, "sig"), -WC_EBADSIG);
}

static void every_bit_is_signed(void **state)
{
    (void)state;
    struct attempt a = good();
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES], key[WC_KEY_BYTES];
    struct wc_field_problem problem;
    assert_int_equal(
        wc_person_body(a.office_key, a.subject, a.rev, &a.person, NULL, &body), 0);
    assert_int_equal(wc_body_sign(sig, a.kind, wc_buf_slice(&body), a.author), 0);
    memcpy(key, a.author->key, sizeof(key));
    struct {
        uint8_t *bytes;
        size_t len;
    } parts[] = {{body.data, body.len}, {key, sizeof(key)}, {sig, sizeof(sig)}};
    for (size_t p = 0; p < 3; p++) {
        for (size_t bit = 0; bit < 8 * parts[p].len; bit++) {
            parts[p].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(check_bytes(wc_buf_slice(&body), key, sig, &problem),
                             -WC_EBADSIG);
            parts[p].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    assert_int_equal(check_bytes(wc_buf_slice(&body), key, sig, &problem), 0);
    wc_buf_fini(&body);
}

/* Well signed, and not a body. */
static void rubbish(void **state)
{
    (void)state;
    static const char *const bytes[] = {
        "", "\xc0", "\x80", "\x93\x01\x02\x03", "\xdd\x10\x00\x00\x00", "\x81\xa4name"};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        uint8_t sig[WC_SIG_BYTES];
        struct wc_field_problem problem;
        struct wc_slice body = wc_slice_text(bytes[i]);
        assert_int_equal(wc_body_sign(sig, WC_KIND_PROFILE, body, &fix.person), 0);
        assert_true(check_bytes(body, fix.person.key, sig, &problem) < 0);
    }
}

static void the_fields_keep_to_their_limits(void **state)
{
    (void)state;
    char name[WC_TITLE_MAX_BYTES + 1];
    struct attempt a = good();
    memset(name, 'x', sizeof(name));
    a.person.name = wc_slice(name, sizeof(name));
    assert_int_equal(check(&a, "name"), -WC_ETOOBIG);
    a.person.name = wc_slice_text("Al\x1b[2J");
    assert_int_equal(check(&a, "name"), -WC_EINVALID);
}

static void the_time_of_the_edit(void **state)
{
    (void)state;
    struct attempt a = good();
    a.person.confirmed_at_ms = NOW_MS + WC_FUTURE_SLACK_MS;
    assert_int_equal(check(&a, ""), 0);
    a.person.confirmed_at_ms++;
    assert_int_equal(check(&a, "confirmed_at"), -WC_EFUTURE);
    a.person.present &= ~(uint32_t)WC_PERSON_CONFIRMED_AT;
    assert_int_equal(check(&a, "confirmed_at"), -WC_EMISSING);
}

static int check_changed(uint64_t said_ms)
{
    struct attempt a = good();
    a.person.present |= WC_PERSON_KEY_CHANGED_AT;
    a.person.key_changed_at_ms = said_ms;
    return check(&a, "key_changed_at");
}

/* Nobody replaces a key without readers being told when. */
static void a_new_key_says_so(void **state)
{
    (void)state;
    enrol(&fix.stranger, 0);
    struct attempt silent = good();
    assert_int_equal(check(&silent, "key_changed_at"), -WC_EINVALID);
    assert_int_equal(check_changed(NOW_MS), 0);
    assert_int_equal(check_changed(NOW_MS - WC_FUTURE_SLACK_MS), 0);
    assert_int_equal(check_changed(NOW_MS - WC_FUTURE_SLACK_MS - 1), -WC_EINVALID);
    assert_int_equal(check_changed(NOW_MS + WC_FUTURE_SLACK_MS + 1), -WC_EINVALID);
    assert_int_equal(check_changed(WC_REV_MAX), -WC_EINVALID);
    uint64_t due_ms = wc_key_changed_due(&enrolled, fix.person.key, NOW_MS);
    assert_int_equal(due_ms, NOW_MS);
}

static void it_says_so_for_half_a_year(void **state)
{
    (void)state;
    struct attempt silent = good();
    uint64_t lately_ms = NOW_MS - WC_KEY_CHANGE_SHOWN_MS + 1;
    enrol(&fix.person, lately_ms);
    assert_int_equal(wc_key_changed_due(&enrolled, fix.person.key, NOW_MS), lately_ms);
    assert_int_equal(check(&silent, "key_changed_at"), -WC_EINVALID);
    assert_int_equal(check_changed(lately_ms), 0);
    assert_int_equal(check_changed(lately_ms - 1), -WC_EINVALID);
    assert_int_equal(check_changed(NOW_MS), -WC_EINVALID);

    enrol(&fix.person, lately_ms - 1);
    assert_int_equal(wc_key_changed_due(&enrolled, fix.person.key, NOW_MS), 0);
    assert_int_equal(check(&silent, ""), 0);
    assert_int_equal(check_changed(lately_ms - 1), 0); /* it was due when it was read */
    assert_int_equal(check_changed(NOW_MS), -WC_EINVALID);
}

/* A first key has nothing to tell; one after another person's has. */
static void the_first_key(void **state)
{
    (void)state;
    assert_int_equal(check_changed(NOW_MS), -WC_EINVALID);
    enrolled = (struct wc_enrolment){.known = true, .key_changed_at_ms = NOW_MS - 5};
    assert_int_equal(check_changed(NOW_MS - 5), 0);
    assert_int_equal(wc_key_changed_due(&enrolled, NULL, NOW_MS), NOW_MS - 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_right_is_taken, setup),
        cmocka_unit_test_setup(of_another_login, setup),
        cmocka_unit_test_setup(of_another_office, setup),
        cmocka_unit_test_setup(with_the_office_key, setup),
        cmocka_unit_test_setup(of_another_rev, setup),
        cmocka_unit_test_setup(signed_for_another_purpose, setup),
        cmocka_unit_test_setup(every_bit_is_signed, setup),
        cmocka_unit_test_setup(rubbish, setup),
        cmocka_unit_test_setup(the_fields_keep_to_their_limits, setup),
        cmocka_unit_test_setup(the_time_of_the_edit, setup),
        cmocka_unit_test_setup(a_new_key_says_so, setup),
        cmocka_unit_test_setup(it_says_so_for_half_a_year, setup),
        cmocka_unit_test_setup(the_first_key, setup),
    };
    if (wc_crypto_init() != 0)
        return 1;
    fixture_init(&fix);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_fini(&fix);
    return failed;
}
