/* SPDX-License-Identifier: Apache-2.0 */
/* An index that is built from nothing holds what one holds that grew with every change. */
#include <time.h>

#include "daemon/index_internal.h"
#include "daemon/local.h"
#include "daemon/postings.h"
#include "daemon/runs.h"
#include "daemon/starts.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

static const char *const languages[] = {"english", "norwegian", NULL};
static struct wc_records *records;
static struct wc_index *index_;
static struct office offices[3];

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

static uint64_t built;

static void progress(void *ctx, uint64_t done, uint64_t all)
{
    (void)ctx;
    assert_true(done <= all);
    assert_true(built == UINT64_MAX || done > built);
    built = done;
}

static void open_index(void)
{
    char problem[WC_PROBLEM_BYTES];
    built = UINT64_MAX;
    int rc = wc_index_open(&index_, scratch_path("state"), records, languages, NULL,
                           offices[0].key, progress, NULL, problem);
    if (rc != 0)
        fail_msg("%s: %s", wc_strerror(rc), problem);
}

static void remove_index(void)
{
    wc_index_close(index_);
    assert_int_equal(wc_store_remove(scratch_path("state/index")), 0);
}

static int setup(void **state)
{
    static const char *const names[] = {"leeds", "bergen", "york"};
    char problem[WC_PROBLEM_BYTES];
    if (scratch_setup(state) != 0)
        return -1;
    for (uint8_t i = 0; i < 3; i++)
        office_init(&offices[i], names[i], i + 1);
    assert_int_equal(wc_records_open(&records, scratch_path("state"), problem), 0);
    open_index();
    random_state = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    return 0;
}

static int teardown(void **state)
{
    wc_index_close(index_);
    wc_records_close(records);
    return scratch_teardown(state);
}

/* ---- people ---- */

static const char *const words[] = {
    "welding",  "Blogging",   "sign language", "C++",       "node.js", "Ålesund",
    "gardens",  "gardening",  "data",          "modelling", "e-post",  "saksbehandling",
    "accounts", "accounting", "the",           "drawing",
};

static const char *word(void)
{
    return words[draw(sizeof(words) / sizeof(words[0]))];
}

/* Of some the last character is cut in two: they cannot be read. */
#define ABOUT_BYTES 100

static void invent(struct wc_person *p, char about[ABOUT_BYTES])
{
    person_texts(p, word(), word(), word());
    for (uint32_t i = draw(6); i > 0; i--) {
        person_skill(p, word(), (enum wc_level)draw(5));
        p->skills[p->skill_count - 1].learn = draw(8) == 0;
        p->skills[p->skill_count - 1].mentor = draw(8) == 0;
    }
    snprintf(about, ABOUT_BYTES, "%s and %s with %s. %s for %s, %s, %s, %s\n%s", word(),
             word(), word(), word(), word(), word(), word(), word(), word());
    p->ask_me_about = wc_slice_text(about);
    p->interests[p->interest_count++] = wc_slice_text(word());
    p->languages[p->language_count++] = wc_slice_text(word());
    p->willing = draw(4) > 0;
    p->present |= WC_PERSON_SKILLS | WC_PERSON_ASK_ME_ABOUT | WC_PERSON_INTERESTS |
                  WC_PERSON_LANGUAGES | WC_PERSON_WILLING;
}

/* Changes that wait for their commit. */
static struct wc_change waiting[16];
static size_t waiting_count;

static void apply(void)
{
    assert_int_equal(commit(records, waiting, waiting_count), 0);
    assert_int_equal(wc_index_apply(index_, NULL, 0), 0);
    waiting_count = 0;
}

static void change(struct wc_change c)
{
    waiting[waiting_count++] = c;
    if (waiting_count == sizeof(waiting) / sizeof(waiting[0]) || c.beside != NULL)
        apply();
}

/* Somebody of the home office, with a skill that others do not see. */
static void put_hidden(const char *subject, uint64_t rev, const struct wc_person *p)
{
    struct wc_parts parts = {.of = {{.present = 0}}};
    struct wc_buf value = {0};
    char name[WC_LOCAL_NAME_BYTES];
    person_skill(&parts.of[WC_AUDIENCE_OFFICE], word(), WC_LEVEL_EXPERT);
    assert_int_equal(wc_local_pack(&value, &parts), 0);
    wc_local_name(subject, name);
    struct wc_meta_edit beside = {.key = name, .value = wc_buf_slice(&value)};
    struct wc_change c = office_person(&offices[0], WC_KIND_PROFILE, subject, rev, p);
    c.beside = &beside;
    change(c);
    wc_buf_fini(&value);
}

/* Anything that may happen to somebody. */
static void change_one(uint64_t rev, uint32_t people)
{
    struct office *o = &offices[draw(3)];
    struct wc_person p;
    char subject[16], about[ABOUT_BYTES];
    snprintf(subject, sizeof(subject), "p%03u", draw(people));
    invent(&p, about);
    switch (draw(8)) {
    case 0:
        change(office_drop(o, WC_KIND_PROFILE, subject));
        return;
    case 1:
        change(office_retire(o, WC_KIND_PROFILE, subject, rev));
        return;
    case 2:
        change(office_person(o, WC_KIND_ROW, subject, rev, &p));
        return;
    case 3:
        put_hidden(subject, rev, &p);
        return;
    default:
        change(office_person(o, WC_KIND_PROFILE, subject, rev, &p));
        return;
    }
}

/* ---- what an index holds, without its numbers ---- */

static struct wc_buf lines;

static void hex(struct wc_slice s)
{
    char two[3];
    for (size_t i = 0; i < s.len; i++) {
        wc_hex(two, s.data + i, 1);
        wc_buf_text(&lines, two);
    }
    wc_buf_text(&lines, " ");
}

static void number(uint32_t n)
{
    char text[16];
    snprintf(text, sizeof(text), "%u ", n);
    wc_buf_text(&lines, text);
}

static struct wc_slice get(struct wc_txn *t, uint32_t table, uint32_t n)
{
    uint8_t key[4];
    struct wc_slice v;
    wc_put_u32(key, n);
    assert_int_equal(wc_txn_get(t, table, wc_slice(key, 4), &v), 0);
    return v;
}

/* Who has a document: office key, length and login. */
static struct wc_slice who(struct wc_txn *t, uint32_t doc)
{
    struct wc_slice v = get(t, WC_IX_DOC, doc);
    return wc_slice(v.data, WC_KEY_BYTES + 1 + v.data[WC_KEY_BYTES]);
}

static void say_term(struct wc_txn *t, const struct wc_cursor *c)
{
    wc_buf_text(&lines, "term ");
    hex(c->key);
    number(wc_get_u32(c->value.data + 4));
    assert_true(wc_slice_eq(get(t, WC_IX_NAME, wc_get_u32(c->value.data)), c->key));
    if (c->key.data[0] == WC_TERM_WORD)
        number(wc_spelling_find(index_->spelling[WC_SCOPE_ORGANISATION],
                                wc_slice(c->key.data + 1, c->key.len - 1))
                   .people);
    wc_buf_text(&lines, "\n");
}

static void say_postings(struct wc_txn *t, const struct wc_cursor *c)
{
    static struct wc_posting postings[WC_POSTINGS_MAX];
    int n = wc_postings_read(c->value, postings);
    uint32_t end = wc_get_u32(c->key.data + 4);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        assert_true(postings[i].doc <= end);
        wc_buf_text(&lines, "posting ");
        hex(get(t, WC_IX_NAME, wc_get_u32(c->key.data)));
        hex(who(t, postings[i].doc));
        number(postings[i].impact);
        wc_buf_text(&lines, "\n");
    }
}

static void say_doc(struct wc_txn *t, const struct wc_cursor *c)
{
    struct wc_doc_value d;
    assert_int_equal(wc_doc_value(c->value, &d), 0);
    while (wc_doc_term(&d) > 0) {
        wc_buf_text(&lines, "doc ");
        hex(wc_slice(c->value.data, WC_KEY_BYTES + 1 + c->value.data[WC_KEY_BYTES]));
        hex(get(t, WC_IX_NAME, d.number));
        number(d.impact);
        wc_buf_text(&lines, "\n");
    }
}

/* How the login begins. */
static struct wc_slice start(struct wc_txn *t, uint32_t doc)
{
    struct wc_slice block = get(t, WC_IX_START, doc / WC_STARTS_DOCS);
    assert_true(wc_start_at(doc) + WC_START_BYTES <= block.len);
    return wc_slice(block.data + wc_start_at(doc), WC_START_BYTES);
}

static void say_person(struct wc_txn *t, const struct wc_cursor *c)
{
    uint32_t doc = wc_get_u32(c->value.data);
    struct wc_slice block = get(t, WC_IX_ATTR, doc / WC_ATTR_DOCS), office;
    const uint8_t *attr = block.data + (size_t)(doc % WC_ATTR_DOCS) * WC_ATTR_BYTES;
    assert_int_equal(block.len, WC_ATTR_BLOCK_BYTES);
    assert_int_equal(
        wc_txn_get(t, WC_IX_OFFICE, wc_slice(c->key.data, WC_KEY_BYTES), &office), 0);
    assert_int_equal(wc_get_u32(office.data), wc_get_u32(attr));
    wc_buf_text(&lines, "person ");
    hex(c->key);
    hex(wc_slice(attr + 4, WC_ATTR_BYTES - 4));
    hex(start(t, doc));
    hex(wc_slice(office.data + 4, office.len - 4));
    wc_buf_text(&lines, "\n");
}

static int say_all(struct wc_txn *t, void *ctx)
{
    static const struct {
        uint32_t table;
        void (*say)(struct wc_txn *t, const struct wc_cursor *c);
    } parts[] = {{WC_IX_TERM, say_term},
                 {WC_IX_POST, say_postings},
                 {WC_IX_DOC, say_doc},
                 {WC_IX_PERSON, say_person}};
    (void)ctx;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct wc_cursor c;
        assert_int_equal(wc_cursor_open(&c, t, parts[i].table), 0);
        for (int rc = wc_cursor_first(&c); rc == 0; rc = wc_cursor_next(&c))
            parts[i].say(t, &c);
        wc_cursor_close(&c);
    }
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All lines in order, one text. The caller frees it. */
static char *contents(uint32_t *count)
{
    lines = (struct wc_buf){0};
    assert_int_equal(wc_store_read(index_->store, say_all, NULL), 0);
    wc_buf_byte(&lines, 0);
    assert_false(lines.failed);
    char *text = (char *)lines.data, *next = text, **list;
    *count = 0;
    for (char *p = text; *p != '\0'; p++)
        *count += *p == '\n';
    list = calloc(*count + 1u, sizeof(*list));
    assert_non_null(list);
    for (uint32_t i = 0; i < *count; i++)
        list[i] = strsep(&next, "\n");
    qsort(list, *count, sizeof(*list), compare_lines);
    struct wc_buf sorted = {0};
    for (uint32_t i = 0; i < *count; i++) {
        wc_buf_text(&sorted, list[i]);
        wc_buf_byte(&sorted, '\n');
    }
    wc_buf_byte(&sorted, 0);
    assert_false(sorted.failed);
    free(list);
    wc_buf_fini(&lines);
    size_t len;
    return (char *)wc_buf_take(&sorted, &len);
}

/* ---- the tests ---- */

static void same_as(const char *expected, uint32_t expected_count)
{
    uint32_t count;
    char *now = contents(&count);
    size_t at = 0;
    while (now[at] != '\0' && now[at] == expected[at])
        at++;
    if (now[at] != expected[at]) {
        while (at > 0 && now[at - 1] != '\n')
            at--;
        fail_msg("built:\n%.400s\ngrown:\n%.400s", now + at, expected + at);
    }
    assert_int_equal(count, expected_count);
    free(now);
}

static void grow(uint32_t changes, uint32_t people)
{
    for (uint32_t i = 0; i < 2; i++)
        change(office_card(&offices[i]));
    for (uint32_t i = 0; i < changes; i++)
        change_one(i + 1, people);
    apply();
}

static uint64_t people_count(void)
{
    struct wc_index_usage u;
    wc_index_usage(index_, &u);
    return u.people_count;
}

static void test_built_is_as_grown(void **state)
{
    (void)state;
    uint32_t count;
    grow(700, 150);
    char *grown = contents(&count);
    uint64_t people = people_count();
    assert_true(people > 100);
    remove_index();
    open_index();
    assert_int_equal(built, wc_records_people_count(records, NULL));
    assert_int_equal(people_count(), people);
    same_as(grown, count);
    free(grown);
    grow(100, 150); /* what was built goes on growing */
    grown = contents(&count);
    remove_index();
    open_index();
    same_as(grown, count);
    free(grown);
}

/* Too many words for the memory: the rest of the people come one batch after the other. */
static void test_a_build_that_ends_early_is_made_up_for(void **state)
{
    (void)state;
    struct wc_person_ref last;
    uint64_t done = 0;
    uint32_t count;
    grow(300, 150);
    char *grown = contents(&count);
    uint64_t people = wc_records_people_count(records, NULL);
    assert_int_equal(wc_index_clear(index_), 0);
    assert_int_equal(wc_index_build(index_, 1, NULL, NULL, &last, &done), 0);
    assert_in_range(done, 1, people - 1);
    assert_in_range(people_count(), 1, done);
    assert_int_equal(wc_index_rest(index_, &last, done, NULL, NULL), 0);
    same_as(grown, count);
    free(grown);
}

static void test_nobody(void **state)
{
    (void)state;
    remove_index();
    open_index();
    assert_int_equal(people_count(), 0);
    grow(3, 3);
}

/* ---- runs ---- */

enum { RUNS = 7, TERMS = 50, DOCS = 40 };

static void test_runs_are_read_side_by_side(void **state)
{
    (void)state;
    static uint8_t impacts[TERMS][RUNS * DOCS]; /* 0: none */
    struct wc_runs *r;
    struct wc_buf run = {0};
    assert_int_equal(wc_runs_new(&r, scratch_path("state")), 0);
    for (uint32_t i = 0; i < RUNS; i++) {
        uint32_t before = 0;
        wc_buf_reset(&run);
        for (uint32_t term = 0; term < TERMS; term++) {
            struct wc_posting list[DOCS];
            uint32_t n = 0;
            for (uint32_t k = 0; k < DOCS; k++) {
                uint8_t impact = draw(3) == 0 ? (uint8_t)(1 + draw(255)) : 0;
                impacts[term][i * DOCS + k] = impact;
                if (impact > 0)
                    list[n++] = (struct wc_posting){1000 * i + k, impact};
            }
            if (n == 0)
                continue;
            wc_run_add(&run, term + 1 - before, 1000 * i, list, n);
            before = term + 1;
        }
        assert_false(run.failed);
        assert_int_equal(wc_runs_add(r, wc_buf_slice(&run), 1000 * i), 0);
    }
    assert_int_equal(wc_runs_read(r), 0);
    const struct wc_posting *list;
    uint32_t term, n, last_term = 0, last_doc = 0;
    int more;
    while ((more = wc_runs_next(r, &term, &list, &n)) > 0) {
        assert_true(term >= last_term);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t place = list[k].doc / 1000 * DOCS + list[k].doc % 1000;
            assert_true(term > last_term || list[k].doc > last_doc);
            assert_int_equal(impacts[term - 1][place], list[k].impact);
            impacts[term - 1][place] = 0;
            last_doc = list[k].doc;
            last_term = term;
        }
    }
    assert_int_equal(more, 0);
    for (uint32_t i = 0; i < TERMS; i++)
        for (uint32_t k = 0; k < RUNS * DOCS; k++)
            assert_int_equal(impacts[i][k], 0);
    wc_runs_free(r);
    wc_runs_free(NULL);
    wc_buf_fini(&run);
}

static void test_damaged_runs_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x01\x02\x00\x05\x00", 5},         /* a block that is cut short */
        {"\x00\x01\x00\x05", 4},             /* the same term again */
        {"\x01\x00", 2},                     /* nobody has it */
        {"\x81", 1},                         /* a number that is cut short */
        {"\xff\xff\xff\xff\xff\x01", 6},     /* and one of too many bytes */
        {"\x01\x01\xff\xff\xff\xff\x0f", 7}, /* a document beyond the last */
        {"\x01\xff\xff\x03\x00\x01", 6},     /* more than there are bytes */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wc_runs *r;
        const struct wc_posting *list;
        uint32_t term, n;
        assert_int_equal(wc_runs_new(&r, scratch_path("state")), 0);
        assert_int_equal(wc_runs_add(r, wc_slice(bad[i].bytes, bad[i].len), 1), 0);
        int rc = wc_runs_read(r);
        while (rc >= 0 && (rc = wc_runs_next(r, &term, &list, &n)) > 0)
            ;
        assert_int_equal(rc, -WC_ECORRUPT);
        wc_runs_free(r);
    }
}

#define BUILD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUILD_TEST(test_built_is_as_grown),
        BUILD_TEST(test_a_build_that_ends_early_is_made_up_for),
        BUILD_TEST(test_nobody),
        BUILD_TEST(test_runs_are_read_side_by_side),
        BUILD_TEST(test_damaged_runs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
