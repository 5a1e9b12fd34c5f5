/* SPDX-License-Identifier: Apache-2.0 */
/* What finds damage: the look at the file before it is opened, the round through its values,
 * and the check of everything against everything. */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/index_check.h"
#include "daemon/index_internal.h"
#include "daemon/starts.h"
#include "daemon/store_pages.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

#define PEOPLE 120
#define FLIPS  60 /* WHOCAN_FLIPS asks for more */

static const char *const languages[] = {"english", "norwegian", NULL};
static const char *const words[] = {"welding", "gardening", "blogging", "accounting",
                                    "mapping", "testing",   "cooking",  "nursing",
                                    "law",     "archives",  "planning", "roads"};
#define WORDS (sizeof(words) / sizeof(words[0]))

static struct wc_records *records;
static struct wc_index *index_;
static struct office leeds;
static bool was_built;
static char said[WC_PROBLEM_BYTES];
static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    (void)ctx;
    was_built |= done > 0 && done <= total;
}

static void open_index(void)
{
    was_built = false;
    int rc = wc_index_open(&index_, scratch_path("state"), records, languages, NULL,
                           NULL, on_progress, NULL, said);
    if (rc != 0)
        fail_msg("%s: %s", wc_strerror(rc), said);
}

static void close_index(void)
{
    wc_index_close(index_);
    index_ = NULL;
}

static struct wc_change change_one(const char *subject, uint64_t rev, const char *a,
                                   const char *b)
{
    struct wc_person p = {.present = WC_PERSON_NAME, .name = wc_slice_text(subject)};
    char about[96];
    snprintf(about, sizeof(about), "%s in %s, and a little %s", a, b, subject);
    person_skill(&p, a, (enum wc_level)(1 + draw(4)));
    person_skill(&p, b, WC_LEVEL_NONE);
    p.ask_me_about = wc_slice_text(about);
    p.present |= WC_PERSON_ASK_ME_ABOUT;
    return office_person(&leeds, WC_KIND_PROFILE, subject, rev, &p);
}

static void put_one(const char *subject, uint64_t rev, const char *a, const char *b)
{
    assert_int_equal(commit_one(records, change_one(subject, rev, a, b)), 0);
}

static int setup(void **state)
{
    static struct wc_change changes[PEOPLE];
    char problem[WC_PROBLEM_BYTES];
    if (scratch_setup(state) != 0)
        return -1;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const char *seed = getenv("WHOCAN_SEED");
    random_state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)now.tv_nsec;
    print_message("seed %llu\n", (unsigned long long)random_state);
    office_init(&leeds, "leeds", 1);
    assert_int_equal(wc_records_open(&records, scratch_path("state"), problem), 0);
    for (int i = 0; i < PEOPLE; i++) {
        char subject[16];
        snprintf(subject, sizeof(subject), "p%04d", i);
        uint32_t first = draw(WORDS); /* nobody has a skill twice: that is no profile */
        changes[i] = change_one(subject, 1, words[first],
                                words[(first + 1 + draw(WORDS - 1)) % WORDS]);
    }
    assert_int_equal(commit(records, changes, PEOPLE), 0);
    open_index();
    return 0;
}

static int teardown(void **state)
{
    close_index();
    wc_records_close(records);
    records = NULL;
    return scratch_teardown(state);
}

/* ---- answers ---- */

#define QUESTIONS 6
static const char *const questions[QUESTIONS] = {
    "welding", "gardening roads",       "who can help with accounting",
    "p0007",   "archives planning law", "bloging"};

struct answers {
    int count[QUESTIONS];
    struct wc_hit hits[QUESTIONS][20];
};

/* False: there is none, for the index is damaged. */
static bool ask(struct answers *a)
{
    memset(a, 0, sizeof(*a));
    for (int i = 0; i < QUESTIONS; i++) {
        struct wc_found found;
        struct wc_index_query q = {
            .text = wc_slice_text(questions[i]), .limit = 20, .near_too = true};
        a->count[i] = wc_index_find(index_, &q, a->hits[i], &found);
        if (a->count[i] == -WC_ECORRUPT)
            return false;
        assert_true(a->count[i] >= 0);
    }
    return true;
}

static void same_answers(const struct answers *a, const struct answers *b)
{
    for (int i = 0; i < QUESTIONS; i++) {
        assert_int_equal(a->count[i], b->count[i]);
        for (int k = 0; k < a->count[i]; k++) {
            assert_string_equal(a->hits[i][k].who.subject, b->hits[i][k].who.subject);
            assert_true(a->hits[i][k].score == b->hits[i][k].score);
        }
    }
}

/* ---- the whole check ---- */

static struct wc_check *check(bool full)
{
    const struct wc_check_options o = {index_, records, full};
    struct wc_check *c;
    int rc = wc_check_new(&c, &o);
    while (rc == 0 && (rc = wc_check_go_on(c)) == 1)
        rc = 0;
    if (rc != 0)
        fail_msg("the check: %s", wc_strerror(rc));
    return c;
}

static void is_healthy(bool full)
{
    struct wc_check *c = check(full);
    for (int i = 0; i < WC_CHECK_STEPS; i++) {
        const struct wc_check_result *r = wc_check_result(c, (enum wc_check_step)i);
        if (r->faults > 0)
            fail_msg("%s: %s", wc_check_name((enum wc_check_step)i), r->first);
        assert_true(r->looked > 0);
    }
    wc_check_free(c);
}

static int rc_of_check(void)
{
    const struct wc_check_options o = {index_, records, false};
    struct wc_check *c;
    int rc = wc_check_new(&c, &o);
    while (rc == 0 && (rc = wc_check_go_on(c)) == 1)
        rc = 0;
    wc_check_free(c);
    return rc;
}

static void test_a_healthy_index_has_no_faults(void **state)
{
    (void)state;
    is_healthy(false);
    is_healthy(true);
    /* after edits, removals, and what is committed but not indexed yet */
    put_one("p0001", 2, "welding", "mosaics");
    assert_int_equal(wc_index_apply(index_, NULL, 0), 0);
    assert_int_equal(commit_one(records, office_drop(&leeds, WC_KIND_PROFILE, "p0002")),
                     0);
    put_one("p0003", 2, "roads", "ferries");
    put_one("new", 1, "roads", "tunnels");
    is_healthy(true);
}

/* ---- faults, one of each kind ---- */

struct edit {
    void (*change)(struct wc_txn *t);
};

static int edit_fn(struct wc_txn *t, void *ctx)
{
    ((struct edit *)ctx)->change(t);
    return 0;
}

/* What follows is written by whoever has the store: sealed, so that only sense can tell. */
static void edit(void (*change)(struct wc_txn *t))
{
    struct edit e = {change};
    assert_int_equal(wc_store_write(index_->store, edit_fn, &e), 0);
}

/* The first entry of a table, copied. */
static void first(struct wc_txn *t, uint32_t table, uint8_t key[512], size_t *key_len,
                  uint8_t value[4096], size_t *len)
{
    struct wc_cursor c;
    assert_int_equal(wc_cursor_open(&c, t, table), 0);
    assert_int_equal(wc_cursor_first(&c), 0);
    memcpy(key, c.key.data, *key_len = c.key.len);
    assert_true(c.value.len <= 4096);
    memcpy(value, c.value.data, *len = c.value.len);
    wc_cursor_close(&c);
}

static void change_first(struct wc_txn *t, uint32_t table, size_t at, uint8_t by)
{
    uint8_t key[512], value[4096];
    size_t key_len, len;
    first(t, table, key, &key_len, value, &len);
    assert_true(at < len);
    value[at] = (uint8_t)(value[at] + by);
    assert_int_equal(wc_txn_put(t, table, wc_slice(key, key_len), wc_slice(value, len)),
                     0);
}

static void another_count(struct wc_txn *t)
{
    change_first(t, WC_IX_TERM, 7, 1);
}

static void another_number(struct wc_txn *t)
{
    change_first(t, WC_IX_TERM, 3, 1);
}

static void another_max(struct wc_txn *t)
{
    uint8_t key[512], value[4096];
    size_t key_len, len;
    first(t, WC_IX_TERM, key, &key_len, value, &len);
    value[8] = 1;
    assert_int_equal(
        wc_txn_put(t, WC_IX_TERM, wc_slice(key, key_len), wc_slice(value, len)), 0);
}

static void another_name(struct wc_txn *t)
{
    change_first(t, WC_IX_NAME, 1, 1);
}

static void a_list_less(struct wc_txn *t)
{
    uint8_t key[512], value[4096];
    size_t key_len, len;
    first(t, WC_IX_POST, key, &key_len, value, &len);
    assert_int_equal(wc_txn_del(t, WC_IX_POST, wc_slice(key, key_len)), 0);
}

static void another_piece(struct wc_txn *t)
{
    change_first(t, WC_IX_POST, 0, 1); /* its largest impact */
}

static void another_impact(struct wc_txn *t)
{
    uint8_t key[512], value[4096];
    size_t key_len, len;
    first(t, WC_IX_DOC, key, &key_len, value, &len);
    value[len - 1] ^= 1;
    assert_int_equal(
        wc_txn_put(t, WC_IX_DOC, wc_slice(key, key_len), wc_slice(value, len)), 0);
}

static void another_doc(struct wc_txn *t)
{
    change_first(t, WC_IX_PERSON, 3, 1);
}

static void another_attr(struct wc_txn *t)
{
    change_first(t, WC_IX_ATTR, WC_ATTR_BYTES + 3, 1);
}

static void another_start(struct wc_txn *t)
{
    change_first(t, WC_IX_START, wc_start_at(1), 1);
}

static void a_free_doc(struct wc_txn *t)
{
    assert_int_equal(
        wc_txn_put(t, WC_IX_FREE, wc_slice("\0\0\0\1", 4), wc_slice("", 0)), 0);
}

static void test_each_fault_is_found(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct wc_txn *t);
        enum wc_check_step step;
        bool full; /* only then */
    } faults[] = {
        {another_count, WC_CHECK_POSTINGS, false},
        {another_number, WC_CHECK_WORDS, false},
        {another_max, WC_CHECK_POSTINGS, false},
        {another_name, WC_CHECK_WORDS, false},
        {a_list_less, WC_CHECK_WORDS, false},
        {another_piece, WC_CHECK_POSTINGS, false},
        {another_impact, WC_CHECK_POSTINGS, true},
        {another_impact, WC_CHECK_PEOPLE, true},
        {another_impact, WC_CHECK_SAME, true},
        {another_doc, WC_CHECK_PEOPLE, false},
        {another_attr, WC_CHECK_PEOPLE, false},
        {another_start, WC_CHECK_PEOPLE, false},
        {a_free_doc, WC_CHECK_PEOPLE, false},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        atomic_bool stop = false;
        edit(faults[i].change);
        struct wc_check *c = check(faults[i].full);
        if (wc_check_result(c, faults[i].step)->faults == 0)
            fail_msg("fault %zu was not found", i);
        assert_true(wc_check_index_faults(c) > 0);
        assert_true(wc_check_result(c, faults[i].step)->first[0] != '\0');
        assert_int_equal(wc_check_result(c, WC_CHECK_RECORDS)->faults, 0);
        wc_check_free(c);
        assert_int_equal(wc_index_rebuild(index_, &stop, NULL, NULL), 0);
        is_healthy(faults[i].full);
    }
}

static void skip_log(struct wc_txn *t)
{
    uint8_t v[8];
    struct wc_records_state s;
    assert_int_equal(wc_records_state(records, &s), 0);
    wc_put_u64(v, s.sequence);
    assert_int_equal(
        wc_txn_put(t, WC_IX_META, wc_slice_text("indexed"), wc_slice(v, 8)), 0);
}

static void finds_fault(enum wc_check_step step, bool full, const char *words_of_it)
{
    struct wc_check *c = check(full);
    assert_int_equal(wc_check_result(c, step)->faults, 1);
    assert_string_equal(wc_check_result(c, step)->first, words_of_it);
    wc_check_free(c);
}

static void test_who_is_in_one_of_both_alone(void **state)
{
    (void)state;
    atomic_bool stop = false;
    assert_int_equal(commit_one(records, office_drop(&leeds, WC_KIND_PROFILE, "p0002")),
                     0);
    edit(skip_log);
    finds_fault(WC_CHECK_SAME, false, "somebody in the index has no record");
    assert_int_equal(wc_index_rebuild(index_, &stop, NULL, NULL), 0);
    put_one("new", 1, "roads", "tunnels");
    edit(skip_log);
    finds_fault(WC_CHECK_SAME, false, "somebody with a record is not in the index");
    assert_int_equal(wc_index_rebuild(index_, &stop, NULL, NULL), 0);
    put_one("new", 2, "roads", "bridges");
    edit(skip_log);
    finds_fault(WC_CHECK_SAME, true,
                "somebody is not indexed by what their record says");
}

/* ---- damage of the file ---- */

static struct wc_buf whole;

static void read_file(void)
{
    struct stat st;
    const char *path = scratch_path("state/index/data.mdb");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    wc_buf_reset(&whole);
    for (off_t at = 0; at < st.st_size;) {
        uint8_t page[4096];
        ssize_t n = read(fd, page, sizeof(page));
        assert_true(n > 0);
        wc_buf_append(&whole, page, (size_t)n);
        at += n;
    }
    close(fd);
}

static void flip(size_t at, uint8_t bits)
{
    int fd = open(scratch_path("state/index/data.mdb"), O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* A byte of the file of a stopped daemon: it is found, or nothing of it is ever read. */
static void test_a_flipped_byte_is_found_or_nothing(void **state)
{
    (void)state;
    static struct answers right, now;
    const char *many = getenv("WHOCAN_FLIPS");
    int found = 0, flips = many != NULL ? atoi(many) : FLIPS;
    assert_true(ask(&right));
    for (int i = 0; i < flips; i++) {
        close_index();
        read_file();
        size_t at = draw((uint32_t)whole.len);
        uint8_t bits = (uint8_t)(1 + draw(255));
        flip(at, bits);
        open_index();
        /* some look like another version, or like a state that the log has passed */
        assert_true(was_built || said[0] == '\0');
        found += was_built;
        assert_true(ask(&now));
        same_answers(&right, &now);
        is_healthy(i % 16 == 0);
    }
    print_message("%d of %d flipped bytes meant something\n", found, flips);
    assert_true(found > flips / 8);
    wc_buf_fini(&whole);
    whole = (struct wc_buf){0};
}

/* Where in the file something lies that the store has lent. */
static size_t place_in_file(const uint8_t *data)
{
    char line[512];
    size_t place = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned long from, to, offset;
        if (strstr(line, "/index/data.mdb") != NULL &&
            sscanf(line, "%lx-%lx %*s %lx", &from, &to, &offset) == 3 &&
            (uintptr_t)data >= from && (uintptr_t)data < to)
            place = (uintptr_t)data - from + offset;
    }
    fclose(f);
    assert_true(place > 0);
    return place;
}

static int first_document(struct wc_txn *t, void *ctx)
{
    struct wc_cursor c;
    assert_int_equal(wc_cursor_open(&c, t, WC_IX_DOC), 0);
    assert_int_equal(wc_cursor_first(&c), 0);
    *(size_t *)ctx = place_in_file(c.value.data + c.value.len - 1);
    wc_cursor_close(&c);
    return 0;
}

/* Within the first document, as it is now. */
static size_t place_of_a_document(void)
{
    size_t place = 0;
    assert_int_equal(wc_store_read(index_->store, first_document, &place), 0);
    return place;
}

/* And of a running one: the round through all values finds it, and then nothing is said
 * until the index was built anew. */
static void test_a_flipped_value_is_found_while_running(void **state)
{
    (void)state;
    static struct answers right, now;
    struct wc_sweep sweep = {.table = 0};
    bool round = false;
    char what[WC_PROBLEM_BYTES];
    atomic_bool stop = false;
    assert_true(ask(&right));
    while (!round)
        assert_int_equal(wc_index_sweep(index_, &sweep, 4096, &round), 0);
    assert_false(wc_index_is_damaged(index_, NULL));
    assert_int_equal(wc_store_sync(index_->store), 0);
    flip(place_of_a_document(), 1);
    round = false;
    while (!round && !wc_index_is_damaged(index_, NULL))
        assert_int_equal(wc_index_sweep(index_, &sweep, 4096, &round), 0);
    assert_true(wc_index_is_damaged(index_, what));
    assert_string_equal(what, "a value of table doc is not as it was written");
    assert_false(ask(&now));
    assert_int_equal(wc_index_rebuild(index_, &stop, on_progress, NULL), 0);
    assert_false(wc_index_is_damaged(index_, what));
    assert_true(ask(&now));
    same_answers(&right, &now);
    is_healthy(true);
}

/* Nothing is searched in what is not whole yet, and nothing committed meanwhile is lost. */
static void stop_after(void *ctx, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    atomic_store((atomic_bool *)ctx, true);
}

static void test_building_anew_is_cut_short(void **state)
{
    (void)state;
    static struct answers now;
    struct wc_hit hit;
    struct wc_found found;
    struct wc_index_query q = {.text = wc_slice_text("ferries"), .limit = 1};
    atomic_bool stop = false;
    uint64_t done, total;
    assert_int_equal(wc_index_rebuild(index_, &stop, stop_after, &stop), 0);
    assert_true(wc_index_is_building(index_, &done, &total));
    assert_int_equal(done, PEOPLE);
    assert_int_equal(total, PEOPLE);
    put_one("new", 1, "roads", "ferries");
    assert_int_equal(wc_index_apply(index_, NULL, 0), 0);
    assert_int_equal(wc_index_find(index_, &q, &hit, &found), -WC_EBUSY);
    assert_int_equal(rc_of_check(), -WC_EBUSY);
    close_index();
    open_index(); /* it begins again */
    assert_true(was_built);
    assert_int_equal(wc_index_find(index_, &q, &hit, &found), 1);
    assert_true(ask(&now));
    is_healthy(true);
}

static void damage_record(struct wc_txn *t)
{
    change_first(t, 0, 200, 1);
}

static void test_a_damaged_record_is_found(void **state)
{
    (void)state;
    static const char *const of_records[] = {"record", "slot", "person", "count",
                                             "log",    "meta", NULL};
    struct wc_store_options o = {.format = "whocan records",
                                 .version = 1,
                                 .tables = of_records,
                                 .map_bytes = 64 << 20};
    char problem[WC_PROBLEM_BYTES];
    struct wc_store *s;
    close_index();
    wc_records_close(records);
    assert_int_equal(wc_records_check_file(scratch_path("state"), problem), 0);
    assert_int_equal(
        wc_store_open(&s, scratch_path("state/records"), &o, NULL, problem), 0);
    struct wc_index as = {.store = s};
    index_ = &as;
    edit(damage_record);
    index_ = NULL;
    wc_store_close(s);
    assert_int_equal(wc_records_check_file(scratch_path("state"), problem), 0);
    assert_int_equal(wc_records_open(&records, scratch_path("state"), problem), 0);
    const struct wc_check_options alone = {NULL, records, true};
    struct wc_check *c;
    assert_int_equal(wc_check_new(&c, &alone), 0);
    while (wc_check_go_on(c) == 1)
        ;
    assert_int_equal(wc_check_result(c, WC_CHECK_RECORDS)->faults, 1);
    assert_int_equal(wc_check_result(c, WC_CHECK_RECORDS)->looked, PEOPLE);
    assert_string_equal(wc_check_result(c, WC_CHECK_RECORDS)->first,
                        "a record is not as it was stored");
    wc_check_free(c);
    open_index();
}

/* ---- hostile files ---- */

static void test_files_that_are_no_store(void **state)
{
    (void)state;
    char problem[WC_PROBLEM_BYTES];
    close_index();
    read_file();
    assert_int_equal(wc_store_pages_check(wc_buf_slice(&whole), wc_index_store.tables,
                                          true, problem),
                     0);
    assert_int_equal(wc_store_pages_check(wc_slice(whole.data, 4096),
                                          wc_index_store.tables, true, problem),
                     -WC_ECORRUPT);
    assert_int_equal(wc_store_pages_check(wc_slice(whole.data, whole.len / 2),
                                          wc_index_store.tables, true, problem),
                     -WC_ECORRUPT);
    assert_true(problem[0] != '\0');
    static const char *const others[] = {"term", "other", NULL};
    assert_int_equal(wc_store_pages_check(wc_buf_slice(&whole), others, true, problem),
                     -WC_ECORRUPT);
    wc_buf_fini(&whole);
    whole = (struct wc_buf){0};
    open_index();
}

#define CHECK_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECK_TEST(test_a_healthy_index_has_no_faults),
        CHECK_TEST(test_each_fault_is_found),
        CHECK_TEST(test_who_is_in_one_of_both_alone),
        CHECK_TEST(test_a_flipped_byte_is_found_or_nothing),
        CHECK_TEST(test_a_flipped_value_is_found_while_running),
        CHECK_TEST(test_building_anew_is_cut_short),
        CHECK_TEST(test_a_damaged_record_is_found),
        CHECK_TEST(test_files_that_are_no_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
