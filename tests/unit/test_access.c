/* SPDX-License-Identifier: Apache-2.0 */
/* Who a caller is and what they may do, with the accounts that every Debian has: root (0),
 * daemon (1, group daemon 1), www-data (33, group www-data 33), nobody (65534). */
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include <whocan/error.h>

#include "daemon/access.h"
#include "tests/unit/unit.h"

#define NO_GID ((gid_t)4000000000u) /* of no group */

static struct wc_access_rules rules;
static struct wc_caller caller;

static int set_up(void **state)
{
    (void)state;
    rules = (struct wc_access_rules){.mode = WC_ACCESS_PEOPLE,
                                     .group = "www-data",
                                     .admin_group = "daemon",
                                     .people_uid_min = 1000,
                                     .people_uid_max = 60000,
                                     .own_uid = 61000};
    return 0;
}

/* A uid in the range of people that no account has. */
static uid_t stranger(void)
{
    for (uid_t uid = 59999; uid > 50000; uid--)
        if (getpwuid(uid) == NULL)
            return uid;
    fail_msg("every uid has an account here");
    return 0;
}

static void may(uid_t uid, gid_t gid, bool read, bool admin)
{
    wc_access_resolve(&rules, uid, gid, &caller);
    assert_int_equal(caller.uid, uid);
    if (caller.may_read != read || caller.may_admin != admin)
        fail_msg("uid %u, gid %u: read %d, admin %d", (unsigned)uid, (unsigned)gid,
                 caller.may_read, caller.may_admin);
}

static void people_are_known_by_their_uid(void **state)
{
    (void)state;
    may(1000, NO_GID, true, false);
    may(60000, NO_GID, true, false);
    may(999, NO_GID, false, false);
    may(60001, NO_GID, false, false);
    may(65534, NO_GID, false, false);
    may(0, 0, true, true);
    may(61000, NO_GID, true, true); /* the daemon's own user */
}

static void groups_open_the_door(void **state)
{
    (void)state;
    may(33, NO_GID, true, false); /* by the account database */
    may(999, 33, true, false);    /* by the group of the process */
    may(1, NO_GID, true, true);   /* an administrator may read as well */
    may(stranger(), 1, true, true);
    rules.mode = WC_ACCESS_GROUP;
    may(1000, NO_GID, false, false);
    may(33, NO_GID, true, false);
    may(0, 0, true, true);
    rules.mode = WC_ACCESS_EVERYONE;
    may(65534, NO_GID, true, false);
    snprintf(rules.group, sizeof(rules.group), "no-such-group");
    snprintf(rules.admin_group, sizeof(rules.admin_group), "no-such-group");
    rules.mode = WC_ACCESS_GROUP;
    may(33, 33, false, false);
    may(1, 1, false, false);
}

static void logins_come_from_the_account_database(void **state)
{
    (void)state;
    wc_access_resolve(&rules, 33, NO_GID, &caller);
    assert_int_equal(caller.login_state, WC_LOGIN_OK);
    assert_string_equal(caller.login, "www-data");
    wc_access_resolve(&rules, stranger(), NO_GID, &caller);
    assert_int_equal(caller.login_state, WC_LOGIN_NONE);
    assert_string_equal(caller.login, "");
}

static void a_refusal_names_who_may(void **state)
{
    (void)state;
    char text[256];
    wc_access_resolve(&rules, 999, NO_GID, &caller);
    wc_access_refusal(&rules, &caller, WC_ROLE_READ, text, sizeof(text));
    assert_string_equal(text,
                        "this office answers accounts of people and members of the "
                        "group www-data, and your account (uid 999) is not among them: "
                        "ask IT to add it to the group");
    wc_access_refusal(&rules, &caller, WC_ROLE_SELF, text, sizeof(text));
    assert_non_null(strstr(text, "uid 999"));
    rules.mode = WC_ACCESS_GROUP;
    wc_access_refusal(&rules, &caller, WC_ROLE_READ, text, sizeof(text));
    assert_string_equal(text,
                        "this office answers members of the group www-data, and your "
                        "account (uid 999) is not among them: ask IT to add it to the "
                        "group");
    wc_access_refusal(&rules, &caller, WC_ROLE_ADMIN, text, sizeof(text));
    assert_string_equal(text,
                        "only root and members of the group daemon may do this: run it "
                        "with sudo, or ask IT to add you to the group");
}

static void set_intranet(const char *user, bool acts)
{
    snprintf(rules.intranet_user, sizeof(rules.intranet_user), "%s", user);
    rules.intranet_acts = acts;
}

/* nobody (65534) is no person and in none of the groups */
static void the_intranet_may_search_and_has_no_profile(void **state)
{
    (void)state;
    char text[256];
    static const char *const names[] = {"nobody", "65534"};
    for (size_t i = 0; i < 2; i++) {
        set_intranet(names[i], false);
        may(65534, NO_GID, true, false);
        assert_true(caller.is_intranet);
        assert_false(caller.may_self);
        may(999, NO_GID, false, false);
        assert_false(caller.is_intranet);
    }
    wc_access_resolve(&rules, 65534, NO_GID, &caller);
    wc_access_refusal(&rules, &caller, WC_ROLE_SELF, text, sizeof(text));
    assert_non_null(strstr(text, "\"as\""));
    static const char *const wrong[] = {"", "no-such-user", "4294967295", "65534x",
                                        "99999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        set_intranet(wrong[i], true);
        may(65534, NO_GID, false, false);
        assert_false(caller.is_intranet);
    }
    rules.mode = WC_ACCESS_EVERYONE; /* then it is an account like others as well */
    set_intranet("nobody", false);
    may(65534, NO_GID, true, false);
    assert_true(caller.may_self);
}

static void acting_for_others_needs_both_keys(void **state)
{
    (void)state;
    char text[256];
    set_intranet("nobody", false);
    wc_access_resolve(&rules, 65534, NO_GID, &caller);
    assert_false(wc_access_may_act(&rules, &caller, text, sizeof(text)));
    assert_non_null(strstr(text, "intranet_acts = yes"));
    rules.intranet_acts = true;
    assert_true(wc_access_may_act(&rules, &caller, text, sizeof(text)));
    wc_access_resolve(&rules, 0, 0, &caller); /* not even root */
    assert_false(wc_access_may_act(&rules, &caller, text, sizeof(text)));
    assert_non_null(strstr(text, "intranet_user"));
}

static void a_person_acted_for_keeps_their_rights_and_no_more(void **state)
{
    (void)state;
    struct wc_caller intranet, person;
    set_intranet("nobody", true);
    wc_access_resolve(&rules, 65534, NO_GID, &intranet);
    assert_int_equal(wc_access_resolve_as(&rules, &intranet, "www-data", &person), 0);
    assert_int_equal(person.uid, 33);
    assert_int_equal(person.peer_uid, 65534);
    assert_string_equal(person.login, "www-data");
    assert_true(person.via_intranet && person.may_read && person.may_self);
    assert_false(person.may_admin || person.is_intranet);
    assert_int_equal(wc_access_resolve_as(&rules, &intranet, "no-such-user", &person),
                     -WC_ENOTFOUND);
    assert_int_equal(wc_access_resolve_as(&rules, &intranet, "DOMAIN\\user", &person),
                     -WC_EINVALID);
    /* the administrator daemon is in the group of none, and root is no person */
    assert_int_equal(wc_access_resolve_as(&rules, &intranet, "daemon", &person),
                     -WC_EDENIED);
    assert_int_equal(wc_access_resolve_as(&rules, &intranet, "root", &person),
                     -WC_EDENIED);
    rules.mode = WC_ACCESS_EVERYONE;
    assert_int_equal(wc_access_resolve_as(&rules, &intranet, "daemon", &person), 0);
    assert_false(person.may_admin);
}

static void what_is_configured_and_missing_is_named(void **state)
{
    (void)state;
    char text[256];
    assert_false(wc_access_problem(&rules, text, sizeof(text)));
    set_intranet("no-such-user", false);
    assert_true(wc_access_problem(&rules, text, sizeof(text)));
    assert_string_equal(text, "intranet_user: this machine has no account "
                              "\"no-such-user\": it lets nobody in");
    set_intranet("nobody", false);
    assert_false(wc_access_problem(&rules, text, sizeof(text)));
}

static void rules_are_those_of_the_configuration(void **state)
{
    (void)state;
    struct wc_config config;
    enum wc_config_action action;
    char problem[WC_PROBLEM_BYTES];
    const struct wc_config_env env = {.system = true};
    const char *argv[] = {"whocand", "--config",         "/dev/null", "--access",
                          "group",   "--group",          "staff",     "--admin-group",
                          "it",      "--people-uid-min", "7",         "--intranet-user",
                          "web",     "--intranet-acts"};
    assert_int_equal(wc_config_load(&config, 14, argv, &env, &action, problem), 0);
    wc_access_rules(&rules, &config);
    wc_config_fini(&config);
    assert_int_equal(rules.mode, WC_ACCESS_GROUP);
    assert_string_equal(rules.group, "staff");
    assert_string_equal(rules.admin_group, "it");
    assert_string_equal(rules.intranet_user, "web");
    assert_true(rules.intranet_acts);
    assert_int_equal(rules.people_uid_min, 7);
    assert_int_equal(rules.people_uid_max, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(people_are_known_by_their_uid, set_up),
        cmocka_unit_test_setup(groups_open_the_door, set_up),
        cmocka_unit_test_setup(logins_come_from_the_account_database, set_up),
        cmocka_unit_test_setup(a_refusal_names_who_may, set_up),
        cmocka_unit_test_setup(the_intranet_may_search_and_has_no_profile, set_up),
        cmocka_unit_test_setup(acting_for_others_needs_both_keys, set_up),
        cmocka_unit_test_setup(a_person_acted_for_keeps_their_rights_and_no_more,
                               set_up),
        cmocka_unit_test_setup(what_is_configured_and_missing_is_named, set_up),
        cmocka_unit_test_setup(rules_are_those_of_the_configuration, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
