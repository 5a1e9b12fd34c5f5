/* SPDX-License-Identifier: Apache-2.0 */
/* What an office notes of the keys that profiles come by, whatever stands between two of
 * them and whatever the records say. */
#include "daemon/author_notes.h"
#include "daemon/loop.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

static struct wc_records *records;
static struct office leeds;
static struct wc_signer first, second, third;
static uint64_t rev;

static void make_signer(struct wc_signer *s, int fill)
{
    uint8_t seed[WC_KEY_BYTES];
    memset(seed, fill, sizeof(seed));
    wc_signer_init(s, seed);
}

static int setup(void **state)
{
    char problem[WC_PROBLEM_BYTES];
    if (scratch_setup(state) != 0)
        return -1;
    office_init(&leeds, "leeds", 1);
    make_signer(&first, 0x11);
    make_signer(&second, 0x22);
    make_signer(&third, 0x33);
    rev = 0;
    return wc_records_open(&records, scratch_path("state"), problem);
}

static int teardown(void **state)
{
    wc_records_close(records);
    return scratch_teardown(state);
}

/* The profile of alice as this author signs it; NULL: the office. `said_ms` is what it
 * says of its key. */
static void put_saying(const struct wc_signer *author, uint64_t said_ms)
{
    struct wc_person p;
    person_texts(&p, "Alice Archer", "Librarian", "Libraries");
    p.present |= said_ms != 0 ? WC_PERSON_KEY_CHANGED_AT : 0;
    p.key_changed_at_ms = said_ms;
    leeds.author = author;
    assert_int_equal(
        commit_one(records, office_person(&leeds, WC_KIND_PROFILE, "alice", ++rev, &p)),
        0);
}

static void put(const struct wc_signer *author)
{
    put_saying(author, 0);
}

static uint64_t changed_at(void)
{
    uint8_t slot[WC_DIGEST_BYTES];
    uint64_t at_ms = 77;
    wc_slot(slot, WC_KIND_PROFILE, leeds.key, "alice");
    assert_int_equal(wc_records_key_changed(records, slot, &at_ms), 0);
    return at_ms;
}

/* Changed by the clock of this machine, between then and now. */
static void assert_changed(uint64_t since_ms)
{
    uint64_t at_ms = changed_at();
    assert_true(at_ms >= since_ms && at_ms <= wc_wall_ms());
}

static void one_key_is_no_news(void **state)
{
    (void)state;
    put(&first);
    put(&first);
    assert_int_equal(changed_at(), 0);
}

static void another_key_is_noted(void **state)
{
    (void)state;
    uint64_t since_ms = wc_wall_ms();
    put(&first);
    put(&second);
    assert_changed(since_ms);
    uint64_t at_ms = changed_at();
    put(&second); /* and stays as it is */
    assert_int_equal(changed_at(), at_ms);
}

/* Whatever the body says: nothing, long ago, or a time that will never be. */
static void the_body_hides_nothing(void **state)
{
    (void)state;
    uint64_t since_ms = wc_wall_ms();
    put(&first);
    put_saying(&second, 1);
    assert_changed(since_ms);
    put_saying(&third, WC_REV_MAX);
    assert_changed(since_ms);
}

static void the_office_in_between_hides_nothing(void **state)
{
    (void)state;
    uint64_t since_ms = wc_wall_ms();
    put(&first);
    put(NULL);
    put(NULL);
    assert_int_equal(changed_at(), 0);
    put(&second);
    assert_changed(since_ms);
}

static void a_retirement_in_between_hides_nothing(void **state)
{
    (void)state;
    uint64_t since_ms = wc_wall_ms();
    put(&first);
    assert_int_equal(
        commit_one(records, office_retire(&leeds, WC_KIND_PROFILE, "alice", ++rev)), 0);
    put(&second);
    assert_changed(since_ms);
}

/* An office over its quota can make its readers drop a record. */
static void a_drop_in_between_hides_nothing(void **state)
{
    (void)state;
    uint64_t since_ms = wc_wall_ms();
    put(&first);
    assert_int_equal(commit_one(records, office_drop(&leeds, WC_KIND_PROFILE, "alice")),
                     0);
    put(&second);
    assert_changed(since_ms);
}

/* The own key again after all of that is no change. */
static void coming_back_is_no_news(void **state)
{
    (void)state;
    put(&first);
    put(NULL);
    put(&first);
    assert_int_equal(commit_one(records, office_drop(&leeds, WC_KIND_PROFILE, "alice")),
                     0);
    put(NULL);
    put(&first);
    assert_int_equal(changed_at(), 0);
}

/* The first own key after the office's words: there was none to change. */
static void a_first_key_is_no_change(void **state)
{
    (void)state;
    put(NULL);
    put(&first);
    assert_int_equal(changed_at(), 0);
}

static void within_one_commit(void **state)
{
    (void)state;
    uint64_t since_ms = wc_wall_ms();
    struct wc_person p;
    struct wc_change changes[3];
    person_texts(&p, "Alice Archer", "Librarian", "Libraries");
    leeds.author = &first;
    changes[0] = office_person(&leeds, WC_KIND_PROFILE, "alice", 1, &p);
    leeds.author = NULL;
    changes[1] = office_person(&leeds, WC_KIND_PROFILE, "alice", 2, &p);
    leeds.author = &second;
    changes[2] = office_person(&leeds, WC_KIND_PROFILE, "alice", 3, &p);
    assert_int_equal(commit(records, changes, 3), 0);
    assert_changed(since_ms);
}

/* ---- old notes ---- */

#define NOTES_COUNT 40

struct changes {
    uint64_t now_ms;
    int from, to;
    uint8_t old_fill, new_fill;
};

static void slot_of(int i, uint8_t out[WC_DIGEST_BYTES])
{
    memset(out, i, WC_DIGEST_BYTES);
}

static int change_fn(struct wc_txn *t, void *ctx)
{
    const struct changes *c = ctx;
    int rc = 0;
    for (int i = c->from; rc == 0 && i < c->to; i++) {
        uint8_t slot[WC_DIGEST_BYTES], old_key[WC_KEY_BYTES], new_key[WC_KEY_BYTES];
        slot_of(i, slot);
        memset(old_key, c->old_fill, sizeof(old_key));
        memset(new_key, c->new_fill, sizeof(new_key));
        rc = wc_author_changes(t, 0, slot, old_key, new_key, c->now_ms);
    }
    return rc;
}

static int count_fn(struct wc_txn *t, void *ctx)
{
    int *found = ctx;
    *found = 0;
    for (int i = 0; i < 2 * NOTES_COUNT; i++) {
        uint8_t slot[WC_DIGEST_BYTES];
        uint64_t at_ms;
        slot_of(i, slot);
        int rc = wc_author_changed_at(t, 0, slot, &at_ms);
        if (rc != 0)
            return rc;
        *found += at_ms != 0;
    }
    return 0;
}

/* Kept while they can be shown, gone after as many newer ones have come. */
static void old_notes_are_forgotten(void **state)
{
    (void)state;
    static const char *const tables[] = {"notes", NULL};
    static const struct wc_store_options options = {
        .format = "test", .version = 1, .tables = tables, .map_bytes = 1 << 20};
    struct wc_store *store;
    char problem[WC_PROBLEM_BYTES];
    int found;
    struct changes c = {OFFICE_NOW_MS, 0, NOTES_COUNT, 1, 2};
    assert_int_equal(
        wc_store_open(&store, scratch_path("notes"), &options, NULL, problem), 0);
    assert_int_equal(wc_store_write(store, change_fn, &c), 0);
    c = (struct changes){OFFICE_NOW_MS + WC_KEY_CHANGE_SHOWN_MS, NOTES_COUNT,
                         NOTES_COUNT + NOTES_COUNT / 2, 1, 2};
    assert_int_equal(wc_store_write(store, change_fn, &c), 0);
    assert_int_equal(wc_store_read(store, count_fn, &found), 0);
    assert_int_equal(found, NOTES_COUNT + NOTES_COUNT / 2);
    c = (struct changes){OFFICE_NOW_MS + WC_KEY_CHANGE_SHOWN_MS + WC_DAY_MS + 1,
                         NOTES_COUNT + NOTES_COUNT / 2, 2 * NOTES_COUNT, 1, 2};
    assert_int_equal(wc_store_write(store, change_fn, &c), 0);
    assert_int_equal(wc_store_read(store, count_fn, &found), 0);
    assert_int_equal(found, NOTES_COUNT);
    wc_store_close(store);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_key_is_no_news),
        TEST(another_key_is_noted),
        TEST(the_body_hides_nothing),
        TEST(the_office_in_between_hides_nothing),
        TEST(a_retirement_in_between_hides_nothing),
        TEST(a_drop_in_between_hides_nothing),
        TEST(coming_back_is_no_news),
        TEST(a_first_key_is_no_change),
        TEST(within_one_commit),
        TEST(old_notes_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
