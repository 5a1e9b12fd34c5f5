/* SPDX-License-Identifier: Apache-2.0 */
/* Who has left: days and answers, and the look-ups that they come from. */
#include <errno.h>
#include <pwd.h>

#include "daemon/leavers.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

/* ---- the decision ---- */

/* What comes of looks on one day after another, each a letter: t there, a absent, ? no
 * answer, o there with another uid. Upper case: the profile is to be retired at that look.
 * `rev` is that of the profile, which stays. */
static void assert_looks(const char *looks, uint64_t rev)
{
    struct wc_leaver l = {.seen = false};
    for (uint32_t day = 0; looks[day] != '\0'; day++) {
        char c = looks[day];
        char small = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        enum wc_account_answer answer = small == 'a'   ? WC_ACCOUNT_ABSENT
                                        : small == '?' ? WC_ACCOUNT_UNKNOWN
                                                       : WC_ACCOUNT_THERE;
        uint8_t bytes[WC_LEAVER_BYTES]; /* as if the daemon was restarted each day */
        bool retire =
            wc_leaver_look(&l, answer, small == 'o' ? 2000 : 1000, 20000 + day, rev);
        if (retire != (c != small))
            fail_msg("%s, rev %d: wrong at day %u", looks, (int)rev, day);
        wc_leaver_pack(&l, bytes);
        assert_int_equal(wc_leaver_read(wc_slice(bytes, sizeof(bytes)), &l), 0);
    }
}

static void seven_days_without_an_account(void **state)
{
    (void)state;
    assert_looks("taaaaaaA", 3);
    assert_looks("taaaaaaAA", 3); /* said again until it is retired */
    assert_looks("taaaaaaA?A", 3);
    assert_looks("taaaaaaAtt", 3);      /* or until the account is there again */
    assert_looks("taaaaaaAO", 3);       /* but with its uid */
    assert_looks("taaaaaatt", 3);       /* six are not seven */
    assert_looks("taaaaaataaaaaaA", 3); /* an account begins the count anew */
    assert_looks("taaa????aaaA", 3);    /* no answer neither counts nor takes back */
    assert_looks("t??????????????", 3);
    assert_looks("aaaaaaA", 3);        /* a profile was written by an account */
    assert_looks("aaaaaaaaaaaaaa", 0); /* a row alone is not judged */
    assert_looks("taaaaaaaaaa", 0);    /* nor has it anything to retire */
}

static void another_uid_is_another_person(void **state)
{
    (void)state;
    assert_looks("ttO", 3);
    assert_looks("ttOO", 3);
    assert_looks("tt?O", 3);
    assert_looks("oooo", 3);
    assert_looks("ttoo", 0);
    struct wc_leaver l = {.seen = true, .uid = 1000};
    assert_true(wc_leaver_look(&l, WC_ACCOUNT_THERE, 2000, 1, 3));
    assert_false(
        wc_leaver_look(&l, WC_ACCOUNT_THERE, 2000, 2, 5)); /* the new one's own */
}

static void one_day_counts_once(void **state)
{
    (void)state;
    struct wc_leaver l = {.seen = true, .uid = 1000};
    for (int i = 0; i < 20; i++)
        assert_false(wc_leaver_look(&l, WC_ACCOUNT_ABSENT, 0, 20000, 3));
    assert_int_equal(l.absent_days, 1);
    assert_false(wc_leaver_may_stamp(&l));
    assert_false(
        wc_leaver_look(&l, WC_ACCOUNT_ABSENT, 0, 19999, 3)); /* clock set back */
    assert_int_equal(l.absent_days, 1);
    assert_false(wc_leaver_look(&l, WC_ACCOUNT_THERE, 1000, 20000, 3));
    assert_true(wc_leaver_may_stamp(&l));
}

static void what_is_stored_is_checked(void **state)
{
    (void)state;
    struct wc_leaver l = {.seen = true, .uid = 7, .absent_days = 3, .last_day = 9};
    uint8_t bytes[WC_LEAVER_BYTES];
    wc_leaver_pack(&l, bytes);
    assert_int_equal(wc_leaver_read(wc_slice(bytes, sizeof(bytes) - 1), &l),
                     -WC_ECORRUPT);
    bytes[3] = 2;
    assert_int_equal(wc_leaver_read(wc_slice(bytes, sizeof(bytes)), &l), -WC_ECORRUPT);
    bytes[3] = 1;
    bytes[11] = 8;
    assert_int_equal(wc_leaver_read(wc_slice(bytes, sizeof(bytes)), &l), -WC_ECORRUPT);
}

/* ---- the look-ups ---- */

/* The account database: logins that are there, with their uid as the second word. */
static const char *accounts;
static int database_error;
static unsigned asked;

int getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t len,
               struct passwd **found)
{
    char wanted[80];
    *found = NULL;
    asked++;
    if (database_error != 0)
        return database_error;
    snprintf(wanted, sizeof(wanted), " %s:", name);
    const char *at = strstr(accounts, wanted);
    if (at == NULL)
        return 0;
    if (len < 20000)
        return ERANGE; /* a larger buffer must be tried */
    *entry =
        (struct passwd){.pw_name = buffer, .pw_uid = (uid_t)atoi(at + strlen(wanted))};
    *found = entry;
    return 0;
}

static uint64_t now_ms;
static uint64_t read_clock(void)
{
    return now_ms;
}

static struct run {
    struct wc_loop *loop;
    struct wc_records *records;
    struct wc_leavers *leavers;
    struct office office;
    bool at_work, closed; /* a look goes on; nobody may be looked at */
    char retired[256];
} run;

static const uint8_t *begin(void *ctx)
{
    (void)ctx;
    assert_false(run.at_work);
    run.at_work = !run.closed;
    return run.closed ? NULL : run.office.key;
}

static void end(void *ctx, const struct wc_leaving *retire, uint32_t count)
{
    (void)ctx;
    run.at_work = false;
    for (uint32_t i = 0; i < count; i++) {
        strcat(run.retired, retire[i].who.subject);
        strcat(run.retired, retire[i].another_uid ? "! " : " ");
        assert_int_equal(retire[i].rev, 1);
    }
}

static void open_run(void)
{
    char problem[WC_PROBLEM_BYTES];
    struct wc_leavers_config config = {
        .now_ms = read_clock, .begin = begin, .end = end};
    assert_int_equal(wc_records_open(&run.records, scratch_path("state"), problem), 0);
    assert_int_equal(wc_loop_new(&run.loop), 0);
    config.loop = run.loop;
    config.records = run.records;
    assert_int_equal(wc_leavers_new(&run.leavers, &config), 0);
}

static void close_run(void)
{
    wc_loop_halt(run.loop);
    wc_loop_run(run.loop);
    wc_leavers_free(run.leavers);
    wc_loop_free(run.loop);
    wc_records_close(run.records);
}

/* A day of minutes, and who is to be retired in it. */
static const char *a_day(void)
{
    run.retired[0] = '\0';
    now_ms += WC_DAY_MS;
    for (int i = 0; i < 20; i++) {
        wc_leavers_tick(run.leavers);
        wc_loop_run(run.loop);
    }
    return run.retired;
}

static void add_person(uint8_t kind, const char *login)
{
    struct wc_person p;
    person_texts(&p, "Somebody", "Clerk", "Office");
    assert_int_equal(
        commit_one(run.records, office_person(&run.office, kind, login, 1, &p)), 0);
}

static void looked_at_once_a_day_across_restarts(void **state)
{
    (void)state;
    memset(&run, 0, sizeof(run));
    now_ms = OFFICE_NOW_MS;
    database_error = 0;
    office_init(&run.office, "leeds", 1);
    open_run();
    add_person(WC_KIND_PROFILE, "alice");
    add_person(WC_KIND_PROFILE, "bob");
    add_person(WC_KIND_ROW, "carol"); /* in the staff directory alone */
    accounts = " alice:1001 bob:1002 ";
    asked = 0;
    assert_string_equal(a_day(), "");
    assert_int_equal(asked, 5); /* two of the three with a larger buffer */
    accounts = " bob:1002 ";
    for (int day = 1; day <= 6; day++)
        assert_string_equal(a_day(), "");
    database_error = EIO; /* neither a day more nor the count anew */
    for (int day = 0; day < 10; day++)
        assert_string_equal(a_day(), "");
    database_error = 0;
    close_run();
    open_run();
    assert_string_equal(a_day(), "alice ");
    close_run(); /* and before she was retired it ended */
    open_run();
    assert_string_equal(a_day(), "alice ");
    assert_int_equal(commit_one(run.records, office_retire(&run.office, WC_KIND_PROFILE,
                                                           "alice", 2)),
                     0);
    assert_string_equal(a_day(), "");
    accounts = " bob:2222 ";
    assert_string_equal(a_day(), "bob! ");
    close_run();
}

static void many_at_once(void **state)
{
    (void)state;
    assert_false(wc_leavers_are_many(9, 9));
    assert_true(wc_leavers_are_many(10, 10));
    assert_true(wc_leavers_are_many(10, 29));
    assert_false(wc_leavers_are_many(10, 30)); /* a third is not more than a third */
    assert_true(wc_leavers_are_many(11, 32));
    assert_false(wc_leavers_are_many(333, 1000));
    assert_true(wc_leavers_are_many(334, 1000));
    assert_false(wc_leavers_are_many(0, 0));
}

static bool held(uint64_t missing, uint64_t known)
{
    struct wc_leavers_held h;
    wc_leavers_held(run.leavers, &h);
    return h.held && h.missing_count == missing && h.known_count == known;
}

/* How many words there are. */
static unsigned count_words(const char *text)
{
    unsigned count = 0;
    for (; *text != '\0'; text++)
        count += *text == ' ';
    return count;
}

static void a_database_that_lost_its_people_retires_nobody(void **state)
{
    (void)state;
    char everybody[400] = " ", login[8];
    memset(&run, 0, sizeof(run));
    now_ms = OFFICE_NOW_MS;
    database_error = 0;
    office_init(&run.office, "leeds", 1);
    open_run();
    for (int i = 0; i < 12; i++) {
        snprintf(login, sizeof(login), "p%02d", i);
        add_person(WC_KIND_PROFILE, login);
        snprintf(everybody + strlen(everybody), 32, "p%02d:%d ", i, 1000 + i);
    }
    accounts = everybody;
    assert_string_equal(a_day(), "");
    accounts = " ";
    for (int day = 1; day <= 9; day++)
        assert_string_equal(a_day(), "");
    assert_true(held(12, 12));
    close_run();
    open_run(); /* a restart is no word of IT */
    assert_string_equal(a_day(), "");
    assert_true(held(12, 12));
    accounts = everybody; /* it has them again, and nobody has left */
    assert_string_equal(a_day(), "");
    assert_false(held(0, 12));
    accounts = strstr(everybody, " p09"); /* nine may leave */
    for (int day = 1; day <= 6; day++)
        assert_string_equal(a_day(), "");
    assert_int_equal(count_words(a_day()), 9);
    assert_int_equal(count_words(a_day()), 9); /* that are still there */
    accounts = " ";
    a_day(); /* the nine, until the first of the others is missed */
    assert_string_equal(a_day(), "");
    assert_true(held(12, 12));
    wc_leavers_set_many(run.leavers, true); /* without another day */
    now_ms -= WC_DAY_MS;
    assert_int_equal(count_words(a_day()), 9);
    assert_false(held(12, 12));
    close_run();
}

static void nobody_is_looked_at_while_the_office_changes(void **state)
{
    (void)state;
    memset(&run, 0, sizeof(run));
    now_ms = OFFICE_NOW_MS;
    office_init(&run.office, "leeds", 1);
    open_run();
    add_person(WC_KIND_PROFILE, "alice");
    accounts = " ";
    run.closed = true;
    asked = 0;
    a_day();
    assert_int_equal(asked, 0);
    run.closed = false;
    now_ms -= WC_DAY_MS; /* the same day */
    a_day();
    assert_int_equal(asked, 1);
    close_run();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seven_days_without_an_account),
        cmocka_unit_test(another_uid_is_another_person),
        cmocka_unit_test(one_day_counts_once),
        cmocka_unit_test(what_is_stored_is_checked),
        cmocka_unit_test(many_at_once),
        SCRATCH_TEST(a_database_that_lost_its_people_retires_nobody),
        SCRATCH_TEST(looked_at_once_a_day_across_restarts),
        SCRATCH_TEST(nobody_is_looked_at_while_the_office_changes),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
