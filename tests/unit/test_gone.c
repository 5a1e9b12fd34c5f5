/* SPDX-License-Identifier: Apache-2.0 */
/* Who was retired stays retired, whoever comes back with what; and who has erased says so. */
#include "tests/unit/net.h"

/* The kind of record that engine n holds in the slot of a profile; 0: none. */
static uint8_t held_kind(int n, const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES], kind = 0;
    struct wc_version version;
    wc_slot(slot, WC_KIND_PROFILE, net_key(0), login);
    return wc_node_slot(net.nodes[n].node, slot, &version, &kind) == 0 ? kind : 0;
}

/* What lies in the store of engine n for the profile; 0: nothing. */
static uint8_t stored_kind(int n, const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_record r;
    wc_slot(slot, WC_KIND_PROFILE, net_key(0), login);
    const struct net_stored *s = net_find(&net.nodes[n], slot);
    if (s == NULL)
        return 0;
    assert_int_equal(wc_record_decode(wc_buf_slice(&s->bytes), &r, NULL), 0);
    return r.kind;
}

static void retire(const char *login)
{
    struct wc_version v = net_version(0, net_key(0), WC_KIND_PROFILE, login);
    net_put_rev(0, WC_KIND_RETIRE, login, v.rev + 1, WC_KIND_PROFILE);
    net_wait(1000);
    assert_int_equal(net.nodes[0].acked_rc, 0);
}

/* alice has a profile at office 0, which offices 1 and 2 hold too. */
static void start_three(void)
{
    for (int n = 0; n < 3; n++)
        net_start(n);
    net_link(0, 1);
    net_link(1, 2);
    net_put(0, WC_KIND_PROFILE, "alice");
    net_wait(1000);
    for (int n = 0; n < 3; n++)
        assert_int_equal(stored_kind(n, "alice"), WC_KIND_PROFILE);
}

static void an_office_that_was_away_for_100_days_retires_too(void **state)
{
    (void)state;
    start_three();
    net_stop(2);
    retire("alice");
    net_days(100);
    assert_int_equal(stored_kind(2, "alice"), WC_KIND_PROFILE);
    net_start(2);
    assert_int_equal(held_kind(2, "alice"), WC_KIND_PROFILE); /* its lease goes on */
    net_link(2, 1);
    net_wait(120000);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(held_kind(n, "alice"), WC_KIND_RETIRE);
        assert_int_equal(stored_kind(n, "alice"), WC_KIND_RETIRE);
    }
}

/* The retirement is over, and so is every lease of what it ended. */
static void an_office_that_was_away_for_200_days_brings_nobody_back(void **state)
{
    (void)state;
    start_three();
    net_stop(2);
    net_days(1);
    retire("alice");
    net_days(180);
    for (int n = 0; n < 2; n++) /* it outlives the longest lease of a profile */
        assert_int_equal(held_kind(n, "alice"), WC_KIND_RETIRE);
    net_days(19);
    for (int n = 0; n < 2; n++)
        assert_int_equal(stored_kind(n, "alice"), 0);
    assert_int_equal(stored_kind(2, "alice"), WC_KIND_PROFILE);
    net_start(2);
    net_link(2, 1);
    net_link(2, 0);
    net_days(3);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(held_kind(n, "alice"), 0);
        assert_int_equal(stored_kind(n, "alice"), 0);
    }
}

/* The home office itself, put back to a copy of its store from before the retirement. */
static void restore_after(uint64_t days)
{
    static struct net_stored backup[NET_STORED_MAX];
    struct net_node *home = &net.nodes[0];
    start_three();
    uint32_t count = home->stored_count;
    for (uint32_t i = 0; i < count; i++) {
        backup[i] = (struct net_stored){0};
        memcpy(backup[i].slot, home->stored[i].slot, WC_DIGEST_BYTES);
        wc_buf_append(&backup[i].bytes, home->stored[i].bytes.data,
                      home->stored[i].bytes.len);
    }
    retire("alice");
    net_stop(0);
    net_days(days);
    for (uint32_t i = 0; i < home->stored_count; i++)
        wc_buf_fini(&home->stored[i].bytes);
    memcpy(home->stored, backup, sizeof(backup));
    home->stored_count = count;
    net_start(0);
    net_wait(10 * 60000); /* alone: it stamps nothing anew */
    assert_int_equal(stored_kind(0, "alice"), WC_KIND_PROFILE);
    net_link(0, 1);
    net_days(30);
}

static void a_restored_backup_of_the_home_office_undoes_nothing(void **state)
{
    (void)state;
    restore_after(120);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(held_kind(n, "alice"), WC_KIND_RETIRE);
        assert_int_equal(stored_kind(n, "alice"), WC_KIND_RETIRE);
    }
}

static void nor_does_one_that_is_older_than_the_retirement_lives(void **state)
{
    (void)state;
    restore_after(185);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(held_kind(n, "alice"), 0);
        assert_int_equal(stored_kind(n, "alice"), 0);
    }
}

/* ---- whose account is missing ---- */

static bool account_is_there;

static bool may_restamp(void *ctx, uint8_t kind, const char *subject)
{
    (void)ctx;
    return kind != WC_KIND_PROFILE || strcmp(subject, "alice") != 0 || account_is_there;
}

/* Nobody has to retire them: the lease ends. */
static void whose_account_is_missing_disappears_with_the_lease(void **state)
{
    (void)state;
    net.nodes[0].may_restamp = may_restamp;
    account_is_there = false;
    start_three();
    net_put(0, WC_KIND_PROFILE, "bob");
    net_put(0, WC_KIND_ROW, "alice");
    net_days(179);
    assert_int_equal(held_kind(1, "alice"), WC_KIND_PROFILE);
    net_days(3);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(stored_kind(n, "alice"), 0);
        assert_int_equal(stored_kind(n, "bob"), WC_KIND_PROFILE);
        assert_true(net_holds(n, net_key(0), WC_KIND_ROW, "alice"));
    }
}

/* What is held of somebody who was retired names nobody. Who comes back has a name again,
 * and the next rev, after a restart too. */
static void who_comes_back_has_a_name_again(void **state)
{
    (void)state;
    net.nodes[0].may_restamp = may_restamp;
    account_is_there = false;
    start_three();
    retire("alice");
    net_stop(0);
    net_start(0); /* from here on it knows of the retirement alone */
    net_link(0, 1);
    net_wait(1000);
    net_put(0, WC_KIND_PROFILE, "alice");
    net_wait(1000);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(net_version(n, net_key(0), WC_KIND_PROFILE, "alice").rev, 3);
        assert_int_equal(stored_kind(n, "alice"), WC_KIND_PROFILE);
    }
    net_days(179);
    assert_int_equal(held_kind(1, "alice"), WC_KIND_PROFILE);
    net_days(3); /* as it is hers, it was not stamped again */
    for (int n = 0; n < 3; n++)
        assert_int_equal(stored_kind(n, "alice"), 0);
}

static void whose_account_comes_back_in_time_stays(void **state)
{
    (void)state;
    net.nodes[0].may_restamp = may_restamp;
    account_is_there = false;
    start_three();
    net_days(150);
    account_is_there = true;
    net_days(60);
    for (int n = 0; n < 3; n++)
        assert_int_equal(stored_kind(n, "alice"), WC_KIND_PROFILE);
}

/* ---- what cards say of erasures ---- */

static enum wc_erased erased(int n, int office, uint8_t number)
{
    uint8_t mark[WC_ERASED_MARK_BYTES];
    memset(mark, number, sizeof(mark));
    return wc_node_office_erased(net.nodes[n].node, net_key(office), mark);
}

static void say_erased(int n, uint32_t count)
{
    static uint8_t marks[WC_ERASED_MAX_COUNT + 1][WC_ERASED_MARK_BYTES];
    for (uint32_t i = 0; i <= WC_ERASED_MAX_COUNT; i++)
        memset(marks[i], (int)(i & 0xff), WC_ERASED_MARK_BYTES);
    assert_int_equal(wc_node_set_erased(net.nodes[n].node,
                                        (const uint8_t(*)[WC_ERASED_MARK_BYTES])marks,
                                        count),
                     count > WC_ERASED_MAX_COUNT ? -WC_ETOOBIG : 0);
    net_wait(1000);
}

static void what_an_office_erased_stands_in_its_card(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    assert_int_equal(erased(1, 0, 3), WC_ERASED_WAITING);
    uint64_t rev = net_version(1, net_key(0), WC_KIND_CARD, "card").rev;
    say_erased(0, 4);
    for (int n = 0; n < 2; n++) {
        assert_int_equal(erased(n, 0, 3), WC_ERASED_DONE);
        assert_int_equal(erased(n, 0, 4), WC_ERASED_WAITING);
    }
    assert_int_equal(erased(0, 1, 3), WC_ERASED_WAITING);
    assert_int_equal(net_version(1, net_key(0), WC_KIND_CARD, "card").rev, rev + 1);
    say_erased(0, 4); /* nothing new: no new card */
    assert_int_equal(net_version(1, net_key(0), WC_KIND_CARD, "card").rev, rev + 1);

    net_stop(1); /* it is in the card, not in what was heard */
    net_start(1);
    assert_int_equal(erased(1, 0, 3), WC_ERASED_DONE);
    assert_int_equal(erased(1, 5, 3), WC_ERASED_UNKNOWN); /* no such office is known */
}

static void a_full_list_leaves_the_rest_unknown(void **state)
{
    (void)state;
    net_start(0);
    say_erased(0, WC_ERASED_MAX_COUNT + 1);
    assert_int_equal(erased(0, 0, 3), WC_ERASED_WAITING);
    say_erased(0, WC_ERASED_MAX_COUNT - 1);
    assert_int_equal(erased(0, 0, 255), WC_ERASED_WAITING);
    say_erased(0, WC_ERASED_MAX_COUNT);
    assert_int_equal(erased(0, 0, 255), WC_ERASED_DONE);
    uint8_t mark[WC_ERASED_MARK_BYTES] = {1, 2};
    assert_int_equal(wc_node_office_erased(net.nodes[0].node, net_key(0), mark),
                     WC_ERASED_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        net_test(an_office_that_was_away_for_100_days_retires_too),
        net_test(an_office_that_was_away_for_200_days_brings_nobody_back),
        net_test(a_restored_backup_of_the_home_office_undoes_nothing),
        net_test(nor_does_one_that_is_older_than_the_retirement_lives),
        net_test(whose_account_is_missing_disappears_with_the_lease),
        net_test(who_comes_back_has_a_name_again),
        net_test(whose_account_comes_back_in_time_stays),
        net_test(what_an_office_erased_stands_in_its_card),
        net_test(a_full_list_leaves_the_rest_unknown),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
