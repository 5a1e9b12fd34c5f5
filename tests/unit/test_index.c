/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/index.h"
#include "daemon/local.h"
#include "daemon/postings.h"
#include "daemon/records_log.h"
#include "daemon/skills.h"
#include "daemon/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

static const char *const languages[] = {"english", "norwegian", NULL};
static struct wc_records *records;
static struct wc_index *index_;
static struct wc_vocabulary *vocabulary; /* of the next open_index() */
static struct office leeds, bergen;
static const uint8_t *home_key; /* of the next open_index() */
static struct wc_hit hits[64];
static struct wc_found found;

static uint64_t built; /* people that a build went through */

static void progress(void *ctx, uint64_t done, uint64_t all)
{
    (void)ctx;
    assert_true(done <= all);
    built = done;
}

static void open_index(void)
{
    char problem[WC_PROBLEM_BYTES];
    built = UINT64_MAX;
    int rc = wc_index_open(&index_, scratch_path("state"), records, languages,
                           vocabulary, home_key, progress, NULL, problem);
    if (rc != 0)
        fail_msg("%s: %s", wc_strerror(rc), problem);
}

static void open_records(void)
{
    char problem[WC_PROBLEM_BYTES];
    assert_int_equal(wc_records_open(&records, scratch_path("state"), problem), 0);
}

static void close_both(void)
{
    wc_index_close(index_);
    wc_records_close(records);
    index_ = NULL;
    records = NULL;
}

static void reopen(void)
{
    close_both();
    open_records();
    open_index();
}

static int setup(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    office_init(&leeds, "leeds", 1);
    office_init(&bergen, "bergen", 2);
    open_records();
    open_index();
    return 0;
}

static int teardown(void **state)
{
    close_both();
    return scratch_teardown(state);
}

/* Commit and apply, as the daemon does. */
static void apply(struct wc_change *changes, size_t count)
{
    assert_int_equal(wc_records_commit(records, changes, count), 0);
    assert_int_equal(wc_index_apply(index_, changes, count), 0);
    for (size_t i = 0; i < count; i++)
        change_fini(&changes[i]);
}

static void apply_one(struct wc_change change)
{
    apply(&change, 1);
}

static void put(struct office *o, const char *subject, const struct wc_person *p)
{
    apply_one(office_person(o, WC_KIND_PROFILE, subject, 1, p));
}

static void put_skill(const char *subject, const char *skill, enum wc_level level)
{
    struct wc_person p = {.present = 0};
    person_skill(&p, skill, level);
    put(&leeds, subject, &p);
}

static int find(const char *text)
{
    struct wc_index_query q = {
        .text = wc_slice_text(text), .limit = 64, .near_too = true};
    return wc_index_find(index_, &q, hits, &found);
}

/* The logins that a question finds, best first: "alice bob". */
static void finds(const char *question, const char *expected)
{
    char logins[1024] = "";
    int n = find(question);
    if (n < 0)
        fail_msg("\"%s\": %s", question, wc_strerror(n));
    for (int i = 0; i < n; i++) {
        strcat(logins, i > 0 ? " " : "");
        strcat(logins, hits[i].who.subject);
        assert_true(hits[i].score > 0 && hits[i].score <= 1);
        assert_true(i == 0 || hits[i].score <= hits[i - 1].score);
    }
    assert_int_equal(found.total, n);
    assert_true(found.exact);
    if (strcmp(logins, expected) != 0)
        fail_msg("\"%s\" finds \"%s\", not \"%s\"", question, logins, expected);
}

static uint64_t terms_count(void)
{
    struct wc_index_usage u;
    wc_index_usage(index_, &u);
    return u.terms_count;
}

static uint64_t people_count(void)
{
    struct wc_index_usage u;
    wc_index_usage(index_, &u);
    assert_true(u.used_bytes > 0 && u.map_bytes >= u.used_bytes);
    return u.people_count;
}

/* ---- postings ---- */

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

#define MODEL_DOCS 40000

/* How far apart the documents of a list are, and how different its impacts. */
static const struct {
    uint32_t gap, impacts;
} shapes[] = {{1, 1}, {3, 4}, {60, 15}, {2, 255}, {700, 3}, {90, 200}, {200000, 9}};

/* What was written, taken window by window and read at once, is the same. */
static void reads_back(struct wc_slice value, const struct wc_posting *expected,
                       uint32_t count)
{
    static struct wc_posting all[WC_POSTINGS_MAX];
    static uint16_t low[4096];
    static uint8_t impact[4096];
    struct wc_postings p;
    uint32_t at = 0, skipped = draw(count + 1);
    assert_int_equal(wc_postings_read(value, all), count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(all[i].doc, expected[i].doc);
        assert_int_equal(all[i].impact, expected[i].impact);
    }
    assert_int_equal(wc_postings_open(&p, value), 0);
    if (skipped < count) {
        wc_postings_skip(&p, expected[skipped].doc);
        at = skipped;
    }
    while (at < count) {
        uint32_t base = expected[at].doc & ~4095U;
        int n = wc_postings_take(&p, base, base + 4096, 0, low, impact);
        assert_true(n > 0);
        for (int i = 0; i < n; i++, at++) {
            assert_int_equal(base + low[i], expected[at].doc);
            assert_int_equal(impact[i], expected[at].impact);
            assert_true(impact[i] <= p.max);
        }
    }
    assert_int_equal(at, count);
    assert_int_equal(wc_postings_take(&p, 0, WC_DOCS_END, 0, low, impact), 0);
}

/* Only those with a large impact, window by window. */
static void takes_the_largest(struct wc_slice value, const struct wc_posting *expected,
                              uint32_t count, uint8_t least)
{
    static uint16_t low[4096];
    static uint8_t impact[4096];
    struct wc_postings p;
    uint32_t at = 0;
    assert_int_equal(wc_postings_open(&p, value), 0);
    while (p.at < p.count) {
        uint32_t base = p.doc - draw(p.doc < 64 ? p.doc + 1 : 64), end = p.doc + 1;
        end += draw(base + 4096 - end + 1);
        int n = wc_postings_take(&p, base, end, least, low, impact);
        assert_true(n >= 0);
        for (int i = 0; i < n; i++, at++) {
            while (at < count && expected[at].impact < least)
                at++;
            assert_true(at < count);
            assert_int_equal(base + low[i], expected[at].doc);
            assert_int_equal(impact[i], expected[at].impact);
        }
    }
    while (at < count && expected[at].impact < least)
        at++;
    assert_int_equal(at, count);
}

/* Documents that are there, and some that are not. */
static void finds_each(struct wc_slice value, const struct wc_posting *expected,
                       uint32_t count)
{
    struct wc_postings p;
    uint8_t impact = 0;
    assert_int_equal(wc_postings_open(&p, value), 0);
    for (uint32_t at = draw(5); at < count; at += 1 + draw(draw(3) * 40 + 1)) {
        if (at > 0 && expected[at - 1].doc + 1 < expected[at].doc)
            assert_int_equal(wc_postings_find(&p, expected[at].doc - 1, &impact), 0);
        assert_int_equal(wc_postings_find(&p, expected[at].doc, &impact), 1);
        assert_int_equal(impact, expected[at].impact);
    }
    assert_int_equal(wc_postings_find(&p, expected[count - 1].doc + 1, &impact), 0);
}

static void test_postings_are_read_back(void **state)
{
    (void)state;
    static struct wc_posting some[3000];
    uint8_t value[WC_POSTINGS_MAX_BYTES];
    random_state = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    for (uint32_t round = 0; round < 400; round++) {
        uint32_t shape = round % (sizeof(shapes) / sizeof(shapes[0]));
        uint32_t count = 1 + draw(round < 200 ? 20 : 3000), doc = draw(1000);
        for (uint32_t i = 0; i < count; i++) {
            some[i] =
                (struct wc_posting){doc, (uint8_t)(255 - draw(shapes[shape].impacts))};
            doc += 1 + draw(shapes[shape].gap);
        }
        for (uint32_t done = 0, n; done < count; done += n) {
            size_t len;
            n = wc_postings_write(some + done, count - done, value, &len);
            assert_true(n > 0 && len <= WC_POSTINGS_MAX_BYTES);
            reads_back(wc_slice(value, len), some + done, n);
            takes_the_largest(wc_slice(value, len), some + done, n,
                              (uint8_t)(255 - draw(shapes[shape].impacts + 1)));
            finds_each(wc_slice(value, len), some + done, n);
        }
    }
}

/* Against a table with a place for each document. */
static void test_changes_are_merged(void **state)
{
    (void)state;
    static uint8_t model[MODEL_DOCS];
    static struct wc_posting old[MODEL_DOCS], changes[MODEL_DOCS], out[2 * MODEL_DOCS];
    uint32_t old_count = 0;
    random_state = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    memset(model, 0, sizeof(model));
    for (int round = 0; round < 50; round++) {
        uint32_t count = 0, density = 1 + draw(200);
        for (uint32_t doc = 0; doc < MODEL_DOCS; doc++) {
            if (draw(density) != 0)
                continue;
            uint8_t impact = (uint8_t)(draw(3) == 0 ? 0 : 1 + draw(255));
            changes[count++] = (struct wc_posting){doc, impact};
            model[doc] = impact;
        }
        uint32_t merged = wc_postings_merge(old, old_count, changes, count, out), n = 0;
        for (uint32_t doc = 0; doc < MODEL_DOCS; doc++) {
            if (model[doc] == 0)
                continue;
            assert_true(n < merged);
            assert_int_equal(out[n].doc, doc);
            assert_int_equal(out[n++].impact, model[doc]);
        }
        assert_int_equal(n, merged);
        memcpy(old, out, merged * sizeof(old[0]));
        old_count = merged;
    }
}

static int read_value(const void *bytes, size_t len)
{
    static struct wc_posting all[WC_POSTINGS_MAX];
    return wc_postings_read(wc_slice(bytes, len), all);
}

static void test_damaged_postings_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[20];
        size_t len;
    } bad[] = {
        {{0}, 0},
        {{9, 0, 0, 1, 0, 0, 0}, 7},
        {{9, 0, 0, 0, 0, 0, 0, 5}, 8},                 /* no document */
        {{0, 0, 0, 1, 0, 0, 0, 5}, 8},                 /* no impact */
        {{9, 0, 0, 1, 128, 0, 0, 0}, 8},               /* document 2^31 */
        {{9, 3, 0, 1, 0, 0, 0, 5}, 8},                 /* gaps of 8 bytes */
        {{9, 48, 0, 1, 0, 0, 0, 5}, 8},                /* an unknown way */
        {{9, 0, 0, 1, 0, 0, 0, 5, 9}, 9},              /* more than it says */
        {{9, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 5, 0}, 13}, /* twice the same */
        {{9, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9, 4}, 13}, /* beyond its last */
        {{9, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9, 2}, 13}, /* not up to its last */
        {{9, 32, 0, 1, 0, 0, 0, 5, 0}, 9},             /* impact 0 */
        {{9, 32, 0, 1, 0, 0, 0, 5, 10}, 9},            /* above the largest */
        {{9, 16, 0, 1, 0, 0, 0, 5, 1, 9, 0}, 11},      /* a table of one */
        {{9, 16, 0, 1, 0, 0, 0, 5, 2, 9, 9, 0}, 12},   /* not in order */
        {{9, 16, 0, 1, 0, 0, 0, 5, 2, 7, 8, 0}, 12},   /* without the largest */
        {{9, 16, 0, 1, 0, 0, 0, 5, 2, 8, 9, 2}, 12},   /* beyond the table */
        {{9, 16, 0, 1, 0, 0, 0, 5, 200, 8, 9, 2}, 12}, /* a table too long */
        {{9, 2, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9, 255, 255, 255, 255}, 16},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (read_value(bad[i].bytes, bad[i].len) != -WC_ECORRUPT)
            fail_msg("value %zu is taken for good", i);
    assert_int_equal(read_value("\x09\0\0\x02\0\0\0\x05\0\0\0\x09\x03", 13), 2);
    assert_int_equal(read_value("\x09\x20\0\x01\0\0\0\x05\x09", 9), 1);
    static uint8_t long_value[WC_POSTINGS_MAX_BYTES + 3] = {1};
    assert_int_equal(read_value(long_value, sizeof(long_value)), -WC_ECORRUPT);
}

/* ---- what is found ---- */

static void people_of_a_council(void)
{
    struct wc_person p;
    person_texts(&p, "Alice Archer", "Librarian", "Libraries North");
    person_skill(&p, "content design", WC_LEVEL_EXPERT);
    person_interest(&p, "local history blogging");
    put(&leeds, "alice", &p);
    person_texts(&p, "Bob Baker", "Web editor", "Digital");
    person_skill(&p, "blogging", WC_LEVEL_PRACTITIONER);
    person_about(&p, "Starting a blog. Or anything with\twords;\nthe press");
    put(&leeds, "bob", &p);
    person_texts(&p, "Ida Ås", "Rådgiver", "Kommunikasjon");
    person_skill(&p, "C++", WC_LEVEL_WORKING);
    person_skill(&p, "åpne data", WC_LEVEL_EXPERT);
    put(&bergen, "ida", &p);
}

static void test_finds_by_every_field(void **state)
{
    (void)state;
    people_of_a_council();
    apply_one(office_card(&bergen));
    finds("archer", "alice");
    finds("librarians", "alice");
    finds("web editor", "bob");
    finds("digital", "bob");
    finds("history", "alice");
    finds("press", "bob");
    finds("c++", "ida");
    finds("c#", "");
    finds("ida", "ida");
    finds("AAPNE data", "ida");
    finds("as", "ida");
    finds("rådgivere", "ida"); /* whose stem is the other word */
    finds("rådgiveren", "ida");
    finds("bergen", "ida");
    finds("ida@bergen", "ida");
    finds("zebra", "");
}

static void test_the_question_of_the_readme(void **state)
{
    (void)state;
    people_of_a_council();
    finds("We want to start a blog, who can help?", "bob alice");
    assert_string_equal(hits[0].why[0], "practitioner in blogging");
    assert_string_equal(hits[0].why[1], "can be asked about: Starting a blog");
    assert_int_equal(hits[0].why_count, 2);
    assert_string_equal(hits[1].why[0], "interested in local history blogging");
    assert_int_equal(hits[1].why_count, 1);
}

static void test_reasons(void **state)
{
    (void)state;
    struct wc_person row, p = {.present = 0};
    person_texts(&row, "Zoë Zander", "Head of zebras", "Zebra team");
    person_skill(&row, "zebra listing", WC_LEVEL_NONE);
    person_texts(&p, "Zoë Zander", "Head of zebras", "Zebra team");
    person_skill(&p, "zebra care", WC_LEVEL_EXPERT);
    p.skills[0].mentor = true;
    person_skill(&p, "zebra law", WC_LEVEL_NONE);
    p.skills[1].learn = true;
    person_skill(&p, "zebra history", WC_LEVEL_AWARENESS);
    p.present |= WC_PERSON_LANGUAGES;
    p.languages[p.language_count++] = wc_slice_text("Zulu");
    struct wc_change c[] = {office_person(&leeds, WC_KIND_ROW, "zoe", 1, &row),
                            office_person(&leeds, WC_KIND_PROFILE, "zoe", 1, &p),
                            office_card(&leeds)};
    apply(c, 3);
    assert_int_equal(find("zebra"), 1);
    assert_int_equal(hits[0].why_count, 4);
    assert_string_equal(hits[0].why[0], "expert in zebra care, willing to mentor");
    assert_string_equal(hits[0].why[1], "skilled in zebra listing (directory)");
    assert_string_equal(hits[0].why[2], "some awareness of zebra history");
    assert_int_equal(find("zulu"), 1);
    assert_string_equal(hits[0].why[0], "speaks Zulu");
    assert_int_equal(find("zoe"), 1);
    assert_string_equal(hits[0].why[0], "name: Zoë Zander");
    assert_string_equal(hits[0].why[1], "login: zoe");
    assert_int_equal(find("head"), 1);
    assert_string_equal(hits[0].why[0], "title: Head of zebras");
    assert_int_equal(find("team"), 1);
    assert_string_equal(hits[0].why[0], "team: Zebra team");
    assert_int_equal(find("leeds"), 1);
    assert_non_null(strstr(hits[0].why[0], "office: leeds"));
    assert_int_equal(find("law"), 1);
    assert_string_equal(hits[0].why[0], "wants to learn zebra law");
}

static void test_long_reasons_are_cut_between_characters(void **state)
{
    (void)state;
    char about[WC_ABOUT_MAX_BYTES + 1] = "quagga ";
    struct wc_person p = {.present = 0};
    for (size_t i = strlen(about); i + 3 < sizeof(about); i += 2)
        memcpy(about + i, "ø", 3);
    person_about(&p, about);
    put(&leeds, "quentin", &p);
    assert_int_equal(find("quagga"), 1);
    size_t len = strlen(hits[0].why[0]);
    assert_in_range(len, 150, sizeof(hits[0].why[0]) - 1);
    assert_true(wc_utf8_valid(wc_slice_text(hits[0].why[0])));
    assert_string_equal(hits[0].why[0] + len - 3, "…");
}

/* ---- order ---- */

static void test_levels_order(void **state)
{
    (void)state;
    put_skill("a", "gis", WC_LEVEL_AWARENESS);
    put_skill("b", "gis", WC_LEVEL_WORKING);
    put_skill("c", "gis", WC_LEVEL_PRACTITIONER);
    put_skill("d", "gis", WC_LEVEL_EXPERT);
    struct wc_person p = {.present = 0};
    person_skill(&p, "gis", WC_LEVEL_EXPERT);
    p.skills[0].learn = true;
    put(&leeds, "e", &p);
    p.skills[0].learn = false;
    p.skills[0].mentor = true;
    put(&leeds, "f", &p);
    p = (struct wc_person){.present = 0};
    person_interest(&p, "gis");
    put(&leeds, "g", &p);
    finds("gis", "f d c b a g e");
}

static void test_own_skills_come_before_listed_ones(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_skill(&p, "welding", WC_LEVEL_WORKING);
    apply_one(office_person(&leeds, WC_KIND_ROW, "listed", 1, &p));
    put(&leeds, "own", &p);
    finds("welding", "own listed");
}

static void test_the_unwilling_come_last(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_texts(&p, "Will Not", "", "");
    person_skill(&p, "welding", WC_LEVEL_EXPERT);
    p.present |= WC_PERSON_WILLING;
    p.willing = false;
    put(&leeds, "a", &p);
    p = (struct wc_person){.present = 0};
    person_interest(&p, "welding");
    put(&leeds, "b", &p);
    person_texts(&p, "Not Carl", "", "");
    put(&leeds, "c", &p);
    finds("welding", "b a");
    finds("not", "a c"); /* by name, willing or not: by login */
}

static void test_as_written_comes_first(void **state)
{
    (void)state;
    put_skill("a", "editors", WC_LEVEL_WORKING);
    put_skill("b", "editor", WC_LEVEL_WORKING);
    put_skill("c", "editing", WC_LEVEL_WORKING);
    finds("editor", "b a");
    finds("editors", "a b");
    finds("edit", "c"); /* its stem; "editor" has another one */
}

static void test_all_words_come_before_some(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_interest(&p, "plumbing");
    person_interest(&p, "welding");
    put(&leeds, "weakboth", &p);
    put_skill("strongone", "plumbing", WC_LEVEL_EXPERT);
    put_skill("strongtwo", "welding", WC_LEVEL_EXPERT);
    finds("plumbing welding", "weakboth strongone strongtwo");
    assert_true(hits[0].score > hits[1].score);
    /* A word that nobody has makes everybody partial: then strength decides. */
    finds("plumbing welding xyzzy", "strongone strongtwo weakboth");
    finds("We are looking for a person with long experience of welding, since our old "
          "bridge in the park falls to pieces and has to be repaired before summer",
          "strongtwo weakboth");
}

static void test_rare_words_say_more(void **state)
{
    (void)state;
    char subject[8];
    for (int i = 0; i < 20; i++) {
        snprintf(subject, sizeof(subject), "c%02d", i);
        put_skill(subject, "common", WC_LEVEL_WORKING);
    }
    put_skill("rare", "unusual", WC_LEVEL_WORKING);
    assert_int_equal(find("common unusual"), 21);
    assert_string_equal(hits[0].who.subject, "rare");
    assert_string_equal(hits[1].who.subject, "c00");
}

static void test_whole_names_count_more(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_skill(&p, "content", WC_LEVEL_WORKING);
    person_skill(&p, "design", WC_LEVEL_WORKING);
    put(&leeds, "apart", &p);
    put_skill("whole", "Content Design", WC_LEVEL_WORKING);
    finds("who does content design", "whole apart");
    finds("design content", "apart whole"); /* no name: by login */
}

/* Of several skills with a word in them, the best one counts, and the others little. */
static void test_many_mentions_make_no_expert(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_skill(&p, "data modelling", WC_LEVEL_AWARENESS);
    person_skill(&p, "data standards", WC_LEVEL_AWARENESS);
    person_skill(&p, "data governance", WC_LEVEL_AWARENESS);
    person_skill(&p, "data ethics", WC_LEVEL_AWARENESS);
    put(&leeds, "breadth", &p);
    put_skill("depth", "data engineering", WC_LEVEL_EXPERT);
    finds("data", "depth breadth");
}

/* Levels are further apart than two fields are. */
static void test_an_expert_comes_before_a_title_and_less(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_texts(&p, "", "Testing", "");
    person_skill(&p, "testing", WC_LEVEL_PRACTITIONER);
    put(&leeds, "titled", &p);
    p = (struct wc_person){.present = 0};
    person_skill(&p, "testing", WC_LEVEL_EXPERT);
    put(&leeds, "expert", &p);
    finds("testing", "expert titled");
}

/* The skill that is the word asked for, before those that have it in their names. */
static void test_a_name_of_one_word(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_skill(&p, "test analysis", WC_LEVEL_PRACTITIONER);
    person_skill(&p, "systems analysis", WC_LEVEL_PRACTITIONER);
    put(&leeds, "longer", &p);
    put_skill("whole", "Analysis", WC_LEVEL_WORKING);
    finds("analysis", "whole longer");
    finds("who could help with analysis?", "whole longer");
}

/* A word of a long sentence says less than one of a short one. */
static void test_long_sentences_say_less(void **state)
{
    (void)state;
    struct wc_person p = {.present = WC_PERSON_ASK_ME_ABOUT};
    p.ask_me_about = wc_slice_text(
        "I sat beside the people who look after the boats and their moorings all "
        "through the long summer in which the old harbour was closed to all traffic");
    put(&leeds, "a", &p);
    p.ask_me_about = wc_slice_text("finding moorings");
    put(&leeds, "b", &p);
    put_skill("c", "moorings", WC_LEVEL_WORKING);
    finds("moorings", "c b a");
}

/* What is missing costs by how rare it is, but not all of what was found. */
static void test_a_missing_word_costs_less_than_what_was_found(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_interest(&p, "lean working");
    person_interest(&p, "approach");
    put(&leeds, "weak", &p);
    put_skill("expert", "lean working", WC_LEVEL_EXPERT);
    put_skill("other", "approach", WC_LEVEL_NONE);
    finds("lean working approach xyzzy", "expert weak other");
}

/* What every task is: done, carried out, provided. */
static void test_verbs_of_every_task_do_not_count(void **state)
{
    (void)state;
    struct wc_person p = {.present = WC_PERSON_ASK_ME_ABOUT};
    p.ask_me_about = wc_slice_text("I implement, undertake and perform what is asked");
    put(&leeds, "verbs", &p);
    put_skill("welder", "welding", WC_LEVEL_AWARENESS);
    finds("implement welding", "welder");
    finds("who could undertake or perform welding for us", "welder");
    finds("hvem kan utføre welding", "welder");
    finds("undertake", "verbs"); /* alone it is a word as any other */
}

static void test_ties_are_in_order_of_login(void **state)
{
    (void)state;
    static const char *const logins[] = {"zz", "somebody-with-a-long-login-b",
                                         "somebody-with-a-long-login-a",
                                         "somebody-with-a-long-login-c", "aa"};
    struct wc_person p = {.present = 0};
    person_skill(&p, "tying", WC_LEVEL_NONE);
    for (int i = 0; i < 5; i++)
        put_skill(logins[i], "tying", WC_LEVEL_NONE);
    put(&bergen, "aa", &p);
    finds("tying", "aa aa somebody-with-a-long-login-a somebody-with-a-long-login-b "
                   "somebody-with-a-long-login-c zz");
    assert_true(memcmp(hits[0].who.office_key, hits[1].who.office_key, WC_KEY_BYTES) <
                0);
    /* Every shorter list is the beginning of the longer one. */
    for (uint32_t limit = 0; limit < 6; limit++) {
        struct wc_hit few[6];
        struct wc_index_query q = {.text = wc_slice_text("tying"), .limit = limit};
        assert_int_equal(wc_index_find(index_, &q, few, &found), limit);
        assert_int_equal(found.total, 6);
        for (uint32_t i = 0; i < limit; i++)
            assert_memory_equal(&few[i].who, &hits[i].who, sizeof(few[i].who));
    }
}

/* ---- questions ---- */

static void test_one_office(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    struct wc_index_query q = {.text = wc_slice_text("welding"), .limit = 64};
    person_skill(&p, "welding", WC_LEVEL_EXPERT);
    put(&leeds, "lee", &p);
    put(&bergen, "bea", &p);
    put(&bergen, "bo", &p);
    q.office_key = bergen.key;
    assert_int_equal(wc_index_find(index_, &q, hits, &found), 2);
    assert_int_equal(found.total, 2);
    assert_string_equal(hits[0].who.subject, "bea");
    q.limit = 1;
    assert_int_equal(wc_index_find(index_, &q, hits, &found), 1);
    assert_int_equal(found.total, 2);
    q.office_key = (const uint8_t *)"nobody's key, thirty-two bytes !";
    assert_int_equal(wc_index_find(index_, &q, hits, &found), 0);
    assert_int_equal(found.total, 0);
}

static void test_questions_of_stop_words(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_texts(&p, "Who", "IT support", "");
    put(&leeds, "doctor", &p);
    finds("who", "doctor");
    finds("who can help with IT", "doctor");
    finds("it", "doctor");
    assert_int_equal(find(""), -WC_EINVALID);
    assert_int_equal(find(" ?! ... -"), -WC_EINVALID);
    char many[WC_QUERY_MAX_BYTES + 2];
    memset(many, 'x', sizeof(many));
    many[sizeof(many) - 1] = '\0';
    assert_int_equal(find(many), -WC_ETOOBIG);
    struct wc_index_query q = {.text = wc_slice_text("x"),
                               .limit = WC_FIND_LIMIT_MAX + 1};
    assert_int_equal(wc_index_find(index_, &q, hits, &found), -WC_EINVALID);
}

static void test_a_question_with_very_many_words(void **state)
{
    (void)state;
    char many[WC_QUERY_MAX_BYTES + 1] = "";
    put_skill("w", "w7 w8", WC_LEVEL_EXPERT);
    for (int i = 0; strlen(many) + 6 < sizeof(many); i++)
        snprintf(many + strlen(many), 8, "w%u ", (unsigned)i % 10000);
    finds(many, "w");
    for (size_t i = 0; i + 1 < sizeof(many); i += 2)
        memcpy(many + i, "x ", 3);
    finds(many, "");
}

/* ---- keeping up ---- */

static void test_edits_and_removals_are_exact(void **state)
{
    (void)state;
    uint64_t nothing = terms_count();
    struct wc_person p = {.present = 0};
    person_skill(&p, "first skill", WC_LEVEL_EXPERT);
    put(&leeds, "alice", &p);
    put_skill("bob", "other skill", WC_LEVEL_EXPERT);
    finds("first", "alice");
    p = (struct wc_person){.present = 0};
    person_skill(&p, "second skill", WC_LEVEL_EXPERT);
    apply_one(office_person(&leeds, WC_KIND_PROFILE, "alice", 2, &p));
    finds("first", "");
    finds("second", "alice");
    finds("skill", "alice bob");
    assert_int_equal(people_count(), 2);

    apply_one(office_retire(&leeds, WC_KIND_PROFILE, "alice", 3));
    finds("second", "");
    finds("skill", "bob");
    apply_one(office_drop(&leeds, WC_KIND_PROFILE, "bob"));
    finds("skill", "");
    assert_int_equal(people_count(), 0);
    assert_int_equal(terms_count(), nothing); /* the dictionary forgets words too */
}

static void test_document_numbers_are_used_again(void **state)
{
    (void)state;
    char subject[16];
    struct wc_change c[40];
    struct wc_person p = {.present = 0};
    person_skill(&p, "welding", WC_LEVEL_EXPERT);
    for (int round = 0; round < 5; round++) {
        /* In one batch: the even ones come, the odd ones of the last round go. */
        for (int i = 0; i < 40; i++) {
            snprintf(subject, sizeof(subject), "p%02d", i);
            c[i] = (i + round) % 2 == 0
                       ? office_person(&leeds, WC_KIND_PROFILE, subject, 1, &p)
                       : office_drop(&leeds, WC_KIND_PROFILE, subject);
        }
        apply(c, 40);
        assert_int_equal(find("welding"), 20);
        assert_string_equal(hits[0].who.subject, round % 2 == 0 ? "p00" : "p01");
    }
}

static void test_an_office_gets_another_title(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_skill(&p, "welding", WC_LEVEL_EXPERT);
    put(&leeds, "alice", &p); /* before the card */
    finds("leeds", "");
    apply_one(office_card(&leeds));
    finds("leeds", "alice");
    finds("welding leeds", "alice");

    struct wc_cert *cert = &leeds.identity.cert;
    struct wc_signer org;
    struct wc_buf bytes = {0};
    uint8_t seed[WC_KEY_BYTES] = {7};
    wc_signer_init(&org, seed);
    strcpy(cert->title, "Headrow House");
    assert_int_equal(wc_cert_issue(cert, &org, &bytes), 0);
    memcpy(leeds.identity.cert_bytes, bytes.data, bytes.len);
    leeds.identity.cert_len = bytes.len;
    wc_buf_fini(&bytes);
    apply_one(office_card(&leeds));
    finds("headrow", "alice");
    assert_true(strstr(hits[0].why[0], "Headrow House") != NULL);
    apply_one(office_card(&leeds)); /* the same again */
    finds("headrow", "alice");
}

static void test_a_clean_stop_keeps_the_index(void **state)
{
    (void)state;
    assert_int_equal(built, UINT64_MAX); /* nobody to build from */
    people_of_a_council();
    reopen();
    assert_int_equal(built, UINT64_MAX);
    finds("blogging", "bob alice");
    wc_index_tidy(index_);
    finds("blogging", "bob alice");
}

static void test_catches_up_with_what_it_missed(void **state)
{
    (void)state;
    put_skill("alice", "welding", WC_LEVEL_EXPERT);
    wc_index_close(index_);
    struct wc_person p = {.present = 0};
    person_skill(&p, "welding", WC_LEVEL_WORKING);
    assert_int_equal(
        commit_one(records, office_person(&leeds, WC_KIND_PROFILE, "bob", 1, &p)), 0);
    assert_int_equal(commit_one(records, office_drop(&leeds, WC_KIND_PROFILE, "alice")),
                     0);
    open_index();
    assert_int_equal(built, UINT64_MAX); /* not built anew */
    finds("welding", "bob");
}

/* The log is cut when an index stays away too long. */
static void test_a_log_that_was_cut(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    person_skill(&p, "welding", WC_LEVEL_WORKING);
    put(&leeds, "alice", &p);
    wc_records_indexed(records, 1000); /* as if all of it were held */
    for (int i = 0; i < 2; i++)        /* the second commit forgets the first */
        assert_int_equal(
            commit_one(records, office_person(&leeds, WC_KIND_PROFILE,
                                              i == 0 ? "bob" : "carol", 1, &p)),
            0);
    finds("welding", "alice");
    assert_int_equal(wc_index_apply(index_, NULL, 0), 0);
    finds("welding", "alice bob carol");

    wc_index_close(index_);
    wc_records_indexed(records, 1000);
    for (int i = 0; i < 2; i++)
        assert_int_equal(commit_one(records, office_drop(&leeds, WC_KIND_PROFILE,
                                                         i == 0 ? "alice" : "bob")),
                         0);
    open_index();
    assert_int_equal(built, 1);
    finds("welding", "carol");
}

static bool index_on_small_disk(void)
{
    static uint8_t bytes[1 << 20];
    const char *file = scratch_path("state/index/data.mdb");
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, bytes, sizeof(bytes));
    close(fd);
    if (len <= 0 || geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", scratch_path("state/index"), "tmpfs", 0, "size=768k,mode=700") !=
            0)
        return false;
    scratch_write(file, bytes, (size_t)len);
    return true;
}

static void test_a_full_disk_leaves_it_behind(void **state)
{
    (void)state;
    static uint8_t filler[200 * 1024];
    wc_index_close(index_);
    if (!index_on_small_disk()) {
        open_index();
        print_message("skipped: a small disk needs root\n");
        skip();
    }
    open_index();
    assert_int_equal(built, UINT64_MAX);
    scratch_write(scratch_path("state/index/filler"), filler, sizeof(filler));
    int rc = 0, n = 0;
    for (; rc == 0 && n < 1000; n++) {
        char subject[16], skill[64];
        struct wc_person p = {.present = 0};
        snprintf(subject, sizeof(subject), "p%04d", n);
        snprintf(skill, sizeof(skill), "welding w%d x%d y%d z%d", n, n, n, n);
        person_skill(&p, skill, WC_LEVEL_NONE);
        struct wc_change c = office_person(&leeds, WC_KIND_PROFILE, subject, 1, &p);
        assert_int_equal(wc_records_commit(records, &c, 1), 0);
        rc = wc_index_apply(index_, &c, 1);
        change_fini(&c);
    }
    assert_int_equal(rc, -WC_EFULL);
    assert_true(find("welding") > 0);
    assert_int_equal(found.total, n - 1);
    assert_int_equal(unlink(scratch_path("state/index/filler")), 0);
    assert_int_equal(wc_index_apply(index_, NULL, 0), 0);
    assert_true(find("welding") > 0);
    assert_int_equal(found.total, n);
    wc_index_close(index_);
    index_ = NULL;
    assert_int_equal(umount(scratch_path("state/index")), 0);
}

static void rebuilds(void)
{
    open_index();
    assert_int_equal(built, 3);
    finds("blogging", "bob alice");
    finds("c++", "ida");
}

static void test_builds_anew_when_missing(void **state)
{
    (void)state;
    people_of_a_council();
    wc_index_close(index_);
    assert_int_equal(wc_store_remove(scratch_path("state/index")), 0);
    rebuilds();
    wc_index_close(index_);
    static uint8_t noise[8192];
    memset(noise, 0xee, sizeof(noise));
    scratch_write(scratch_path("state/index/data.mdb"), noise, sizeof(noise));
    rebuilds();
}

/* Change a value of the closed index, as a test of what opening makes of it. */
static const char *const tables[] = {"term",   "name", "post",  "doc",
                                     "person", "attr", "start", "free",
                                     "office", "meta", NULL};
enum { T_TERM = 0, T_POST = 2, T_META = 9 };

struct edit {
    uint32_t table;
    const char *key; /* NULL: every entry */
    struct wc_slice value;
};

static int edit_fn(struct wc_txn *t, void *ctx)
{
    struct edit *e = ctx;
    struct wc_cursor c;
    if (e->key != NULL)
        return wc_txn_put(t, e->table, wc_slice_text(e->key), e->value);
    assert_int_equal(wc_cursor_open(&c, t, e->table), 0);
    int rc = wc_cursor_first(&c);
    while (rc == 0) {
        uint8_t key[WC_STORE_KEY_MAX_BYTES];
        size_t len = c.key.len;
        assert_true(len <= sizeof(key));
        memcpy(key, c.key.data, len);
        assert_int_equal(wc_txn_put(t, e->table, wc_slice(key, len), e->value), 0);
        rc = wc_cursor_seek(&c, wc_slice(key, len));
        rc = rc == 0 ? wc_cursor_next(&c) : rc;
    }
    wc_cursor_close(&c);
    return 0;
}

static void edit_index(uint32_t table, const char *key, struct wc_slice value)
{
    struct wc_store_options o = {.format = "whocan index",
                                 .version = 6,
                                 .tables = tables,
                                 .map_bytes = 64 << 20,
                                 .sealed = true};
    struct edit e = {.table = table, .key = key, .value = value};
    struct wc_store *s;
    char problem[WC_PROBLEM_BYTES];
    assert_int_equal(wc_store_open(&s, scratch_path("state/index"), &o, NULL, problem),
                     0);
    assert_int_equal(wc_store_write(s, edit_fn, &e), 0);
    wc_store_close(s);
}

static void test_builds_anew_after_a_power_cut(void **state)
{
    (void)state;
    people_of_a_council();
    wc_index_close(index_);
    edit_index(T_META, "boot", wc_slice_text("another boot of this machine, some day"));
    rebuilds();
    wc_index_close(index_);
    edit_index(T_META, "boot", wc_slice_text("")); /* the kernel did not say */
    rebuilds();
}

static void test_builds_anew_for_another_version(void **state)
{
    (void)state;
    people_of_a_council();
    wc_index_close(index_);
    edit_index(T_META, "format", wc_slice_text("text 0 terms 0 unicode 1 latin"));
    rebuilds();

    static const char *const english[] = {"english", NULL};
    char problem[WC_PROBLEM_BYTES];
    wc_index_close(index_);
    built = UINT64_MAX;
    assert_int_equal(wc_index_open(&index_, scratch_path("state"), records, english,
                                   NULL, NULL, progress, NULL, problem),
                     0);
    assert_int_equal(built, 3);
}

static void test_builds_anew_for_other_records(void **state)
{
    (void)state;
    people_of_a_council();
    wc_index_close(index_);
    edit_index(T_META, "instance", wc_slice_text("sixteen bytes ..."));
    rebuilds();
    wc_index_close(index_);
    /* ahead of the records: a backup of them was restored */
    edit_index(T_META, "indexed", wc_slice("\0\0\0\0\0\0\0\xff", 8));
    rebuilds();
}

static void test_damage_is_noticed_and_repaired(void **state)
{
    (void)state;
    static const struct {
        uint32_t table;
        const char *value;
        size_t len;
    } damage[] = {
        {T_POST, "\1\0\0\2\0\0\0\1\0\0\0\3\2", 13}, /* beyond its last */
        {T_POST, "x", 1},
    };
    people_of_a_council();
    for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
        wc_index_close(index_);
        edit_index(damage[i].table, NULL, wc_slice(damage[i].value, damage[i].len));
        open_index();
        assert_int_equal(built, UINT64_MAX);
        assert_int_equal(find("blogging"), -WC_ECORRUPT);
        assert_int_equal(found.total, 0);
        wc_index_close(index_);
        rebuilds();
    }
    /* The dictionary is read when the index is opened. */
    wc_index_close(index_);
    edit_index(T_TERM, NULL, wc_slice_text("x"));
    rebuilds();
    /* Met by the writer, and then killed instead of closed. */
    wc_index_close(index_);
    edit_index(T_POST, NULL, wc_slice_text("x"));
    open_index();
    struct wc_person p = {.present = 0};
    person_skill(&p, "blogging", WC_LEVEL_NONE);
    assert_int_equal(
        commit_one(records, office_person(&leeds, WC_KIND_PROFILE, "alice", 2, &p)), 0);
    assert_int_equal(wc_index_apply(index_, NULL, 0), -WC_ECORRUPT);
    wc_index_close(index_);
    open_index();
    assert_int_equal(built, 3);
    finds("blogging", "bob alice");
}

static void test_clear(void **state)
{
    (void)state;
    people_of_a_council();
    assert_int_equal(wc_records_clear(records), 0);
    assert_int_equal(wc_index_clear(index_), 0);
    finds("blogging", "");
    assert_int_equal(people_count(), 0);
    put_skill("alice", "welding", WC_LEVEL_EXPERT);
    finds("welding", "alice");
    reopen();
    assert_int_equal(built, UINT64_MAX);
    finds("welding", "alice");
}

static void test_unknown_language(void **state)
{
    (void)state;
    static const char *const klingon[] = {"klingon", NULL};
    char problem[WC_PROBLEM_BYTES];
    struct wc_index *other;
    assert_int_equal(wc_index_open(&other, scratch_path("state"), records, klingon,
                                   NULL, NULL, NULL, NULL, problem),
                     -WC_ECONFIG);
    assert_null(other);
    assert_non_null(strstr(problem, " norwegian"));
    wc_index_close(NULL);
}

static void test_a_person_that_cannot_be_read_is_left_out(void **state)
{
    (void)state;
    people_of_a_council();
    /* A hit whose record has gone since: the index has not heard of it yet. */
    assert_int_equal(commit_one(records, office_drop(&leeds, WC_KIND_PROFILE, "bob")),
                     0);
    finds("blogging", "alice");
    assert_int_equal(wc_index_apply(index_, NULL, 0), 0);
    finds("blogging", "alice");
}

/* ---- many people, threads, crashes ---- */

/* Several blocks of postings, and batches that meet old blocks again. */
static void test_many_people(void **state)
{
    (void)state;
    enum { PEOPLE = 1300, BATCH = 100 };
    static struct wc_change c[BATCH];
    char subject[16], skill[32];
    for (int i = 0; i < PEOPLE; i++) {
        struct wc_person p = {.present = 0};
        snprintf(subject, sizeof(subject), "p%04d", i);
        snprintf(skill, sizeof(skill), "number %d", i % 10);
        person_skill(&p, skill, (enum wc_level)(i % 5));
        person_skill(&p, "everybody", WC_LEVEL_NONE);
        c[i % BATCH] = office_person(&leeds, WC_KIND_PROFILE, subject, 1, &p);
        if (i % BATCH == BATCH - 1)
            apply(c, BATCH);
    }
    struct wc_index_query q = {.text = wc_slice_text("number 7"), .limit = 3};
    assert_int_equal(people_count(), PEOPLE);
    assert_int_equal(wc_index_find(index_, &q, hits, &found), 3);
    assert_int_equal(found.total, PEOPLE); /* all have "number" */
    assert_string_equal(hits[0].who.subject, "p0007");
    q.text = wc_slice_text("7");
    assert_int_equal(wc_index_find(index_, &q, hits, &found), 3);
    assert_int_equal(found.total, PEOPLE / 10);
    q.text = wc_slice_text("everybody");
    assert_int_equal(wc_index_find(index_, &q, hits, &found), 3);
    assert_int_equal(found.total, PEOPLE);
    assert_string_equal(hits[2].who.subject, "p0002");

    /* The same from the records alone. */
    close_both();
    assert_int_equal(wc_store_remove(scratch_path("state/index")), 0);
    open_records();
    open_index();
    assert_int_equal(built, PEOPLE);
    assert_int_equal(wc_index_find(index_, &q, hits, &found), 3);
    assert_int_equal(found.total, PEOPLE);
    assert_string_equal(hits[2].who.subject, "p0002");
    q.text = wc_slice_text("number 7");
    assert_int_equal(wc_index_find(index_, &q, hits, &found), 3);
    assert_string_equal(hits[0].who.subject, "p0007");
}

struct shared {
    atomic_bool stop;
    atomic_ulong searches;
};

/* "even" and "odd" change hands in one batch: their holders always add up. */
static void *search_loop(void *arg)
{
    struct shared *s = arg;
    struct wc_hit *mine = calloc(8, sizeof(*mine));
    assert_non_null(mine);
    while (!atomic_load(&s->stop)) {
        struct wc_found n;
        struct wc_index_query q = {.text = wc_slice_text("even odd"), .limit = 8};
        int got = wc_index_find(index_, &q, mine, &n);
        assert_true(got >= 0);
        assert_int_equal(n.total, 50);
        q.text = wc_slice_text("nobody has this");
        assert_int_equal(wc_index_find(index_, &q, mine, &n), 0);
        atomic_fetch_add(&s->searches, 1);
    }
    free(mine);
    return NULL;
}

static void flip_all(int round)
{
    static struct wc_change c[50];
    char subject[16];
    for (int i = 0; i < 50; i++) {
        struct wc_person p = {.present = 0};
        person_skill(&p, (i + round) % 2 == 0 ? "even" : "odd", WC_LEVEL_NONE);
        snprintf(subject, sizeof(subject), "p%02d", i);
        c[i] = office_person(&leeds, WC_KIND_PROFILE, subject, (uint64_t)round + 1, &p);
    }
    apply(c, 50);
}

static void test_searches_beside_a_committer(void **state)
{
    (void)state;
    pthread_t threads[2];
    struct shared s = {.stop = false};
    flip_all(0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_loop, &s), 0);
    for (int round = 1; round < 12 || atomic_load(&s.searches) < 30; round++) {
        flip_all(round);
        (void)people_count();
    }
    atomic_store(&s.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(people_count(), 50);
}

static void test_a_killed_daemon_catches_up(void **state)
{
    (void)state;
    int pipes[2], acknowledged = 0, last;
    close_both();
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        open_records();
        open_index();
        for (int i = 0;; i++) {
            char subject[16];
            struct wc_person p = {.present = 0};
            person_skill(&p, "welding", WC_LEVEL_NONE);
            snprintf(subject, sizeof(subject), "p%04d", i);
            struct wc_change c = office_person(&leeds, WC_KIND_PROFILE, subject, 1, &p);
            if (wc_records_commit(records, &c, 1) != 0 ||
                write(pipes[1], &i, sizeof(i)) != sizeof(i) ||
                wc_index_apply(index_, &c, 1) != 0)
                _exit(1);
            change_fini(&c);
        }
    }
    close(pipes[1]);
    for (; acknowledged < 30; acknowledged++)
        assert_int_equal(read(pipes[0], &last, sizeof(last)), sizeof(last));
    kill(child, SIGKILL);
    while (read(pipes[0], &last, sizeof(last)) == sizeof(last))
        acknowledged++;
    close(pipes[0]);
    waitpid(child, NULL, 0);
    open_records();
    open_index();
    assert_int_equal(built, UINT64_MAX); /* caught up, not built anew */
    assert_true(find("welding") > 0);
    assert_true(found.total >= (uint64_t)acknowledged);
    assert_int_equal(found.total, wc_records_people_count(records, NULL));
}

#define INDEX_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* ---- the vocabulary ---- */

static void read_vocabulary(const char *file)
{
    static const char *const shipped[] = {WHOCAN_SOURCE_DIR "/packaging/vocabulary",
                                          NULL};
    static const char *const none[] = {NULL};
    char problem[WC_VOCABULARY_PROBLEM_BYTES];
    wc_vocabulary_free(vocabulary);
    if (wc_vocabulary_load(&vocabulary, file == NULL ? shipped : none, languages,
                           problem) != 0)
        fail_msg("%s", problem);
    if (file != NULL) {
        struct wc_text *text;
        wc_vocabulary_free(vocabulary);
        assert_int_equal(wc_vocabulary_new(&vocabulary), 0);
        assert_int_equal(wc_text_new(&text, languages), 0);
        assert_int_equal(
            wc_vocabulary_add(vocabulary, wc_slice_text(file), "test.ini", problem), 0);
        assert_int_equal(wc_vocabulary_finish(vocabulary, text, problem), 0);
        wc_text_free(text);
    }
}

static void with_vocabulary(const char *file)
{
    wc_index_close(index_);
    read_vocabulary(file);
    open_index();
}

static void without_vocabulary(void)
{
    wc_index_close(index_);
    wc_vocabulary_free(vocabulary);
    vocabulary = NULL;
    open_index();
}

static void test_other_names_of_the_same_thing(void **state)
{
    (void)state;
    with_vocabulary(NULL);
    put_skill("anne", "Blogging", WC_LEVEL_NONE);
    put_skill("bjorn", "Informasjonssikkerhet", WC_LEVEL_EXPERT);
    put_skill("cara", "Plumbing", WC_LEVEL_EXPERT);
    finds("weblog", "anne");
    finds("blogg", "anne");
    assert_string_equal(hits[0].why[0], "skilled in Blogging");
    finds("information security", "bjorn");
    finds("infosec", "bjorn");
    finds("who knows about ISO 27001?", "bjorn");
    without_vocabulary();
    finds("weblog", "");
    finds("infosec", "");
}

static void test_the_word_itself_comes_first(void **state)
{
    (void)state;
    with_vocabulary(NULL);
    put_skill("anne", "Blogging", WC_LEVEL_NONE);
    put_skill("zoe", "Weblog", WC_LEVEL_NONE);
    finds("weblog", "zoe anne");
    finds("blogging", "anne zoe");
    without_vocabulary();
}

/* Who is only near the subject is an answer when nobody else is, and if it is wanted. */
static void test_near_things_when_nobody_answers(void **state)
{
    (void)state;
    with_vocabulary("[vocabulary]\nformat = 1\nid = t\n"
                    "[web]\nen = Web work\n"
                    "[blogging]\nen = Blogging\nbroader = web\nrelated = podcasts\n"
                    "[podcasts]\nen = Podcasting\n");
    put_skill("anne", "Podcasting", WC_LEVEL_EXPERT);
    put_skill("carl", "Plumbing", WC_LEVEL_NONE);
    finds("blogging", "anne");
    finds("plumbing a blogging", "carl");
    struct wc_index_query exact = {.text = wc_slice_text("blogging"), .limit = 64};
    assert_int_equal(wc_index_find(index_, &exact, hits, &found), 0);
    assert_int_equal(found.total, 0);
    put_skill("berit", "Blogging", WC_LEVEL_AWARENESS);
    finds("blogging", "berit");
    finds("web work", "berit"); /* a narrower concept; nobody is two steps away */
    struct wc_person both = {.present = 0};
    person_skill(&both, "Podcasting", WC_LEVEL_EXPERT);
    person_skill(&both, "Welsh", WC_LEVEL_NONE);
    put(&leeds, "dai", &both);
    finds("blogging Welsh", "dai berit"); /* nearness counts beside an answer */
    without_vocabulary();
}

static void test_a_concept_chosen_by_its_id(void **state)
{
    (void)state;
    struct wc_person p = {.present = 0};
    with_vocabulary("[vocabulary]\nformat = 1\nid = t\n"
                    "[r-language]\nen = The R language | statistics in R\n");
    person_skill(&p, "R", WC_LEVEL_EXPERT);
    p.skills[0].id = wc_slice_text("t:r-language");
    put(&leeds, "anne", &p);
    finds("statistics in R", "anne");
    assert_string_equal(hits[0].why[0], "expert in R");
    without_vocabulary();
}

#define BLOGGING "[vocabulary]\nformat = 1\nid = t\n[a]\nen = Blogging | weblog\n"
#define WELDING  "[b]\nen = Welding\nnb = Sveising\n"

/* A running index follows its vocabulary: other words find who was there before, in both
 * scopes, and the same vocabulary is no work. */
static void test_a_vocabulary_changes_while_running(void **state)
{
    (void)state;
    atomic_bool stop = false;
    uint64_t people;
    with_vocabulary(BLOGGING);
    put_skill("anne", "Blogging", WC_LEVEL_NONE);
    put_skill("bob", "Welding", WC_LEVEL_NONE);
    finds("weblog", "anne");
    finds("sveising", "");
    read_vocabulary(BLOGGING WELDING);
    assert_int_equal(wc_index_set_vocabulary(index_, vocabulary, &stop, &people), 0);
    assert_int_equal(people, 2);
    finds("weblog", "anne");
    finds("sveising", "bob");
    read_vocabulary(BLOGGING WELDING);
    assert_int_equal(wc_index_set_vocabulary(index_, vocabulary, &stop, &people), 0);
    assert_int_equal(people, 0);
    wc_index_close(index_);
    open_index();
    assert_int_equal(built, UINT64_MAX); /* it is complete */
    without_vocabulary();
}

/* Stopped half way, the index is not complete: the next open builds it anew. */
static void test_a_change_that_is_cut_short_is_made_up_for(void **state)
{
    (void)state;
    atomic_bool stop = true;
    uint64_t people;
    with_vocabulary(BLOGGING);
    put_skill("bob", "Welding", WC_LEVEL_NONE);
    read_vocabulary(BLOGGING WELDING);
    assert_int_equal(wc_index_set_vocabulary(index_, vocabulary, &stop, &people), 0);
    assert_int_equal(people, 0);
    finds("sveising", "");
    wc_index_close(index_);
    open_index();
    assert_int_equal(built, 1);
    finds("sveising", "bob");
    without_vocabulary();
}

static void test_another_vocabulary_builds_anew(void **state)
{
    (void)state;
    put_skill("anne", "Blogging", WC_LEVEL_NONE);
    with_vocabulary("[vocabulary]\nformat = 1\nid = t\n[a]\nen = Blogging\n");
    assert_int_equal(built, 1);
    wc_index_close(index_);
    open_index();
    assert_int_equal(built, UINT64_MAX); /* the same one does not */
    without_vocabulary();
    assert_int_equal(built, 1);
}

/* A profile of leeds with a skill that is for the home office alone. */
static void put_at_home(const char *subject, const char *skill, const char *hidden)
{
    struct wc_person p = {.present = 0};
    struct wc_parts parts = {.of = {{.present = 0}}};
    struct wc_buf value = {0};
    char name[WC_LOCAL_NAME_BYTES];
    person_skill(&p, skill, WC_LEVEL_WORKING);
    person_skill(&parts.of[WC_AUDIENCE_OFFICE], hidden, WC_LEVEL_EXPERT);
    person_skill(&parts.of[WC_AUDIENCE_MATCH], "kept for questions", WC_LEVEL_EXPERT);
    person_skill(&parts.of[WC_AUDIENCE_ME], "kept for me", WC_LEVEL_EXPERT);
    assert_int_equal(wc_local_pack(&value, &parts), 0);
    wc_local_name(subject, name);
    struct wc_meta_edit beside = {.key = name, .value = wc_buf_slice(&value)};
    struct wc_change c = office_person(&leeds, WC_KIND_PROFILE, subject, 2, &p);
    c.beside = &beside;
    apply_one(c);
    wc_buf_fini(&value);
}

static int find_at_home(const char *text)
{
    struct wc_index_query q = {
        .text = wc_slice_text(text), .limit = 64, .near_too = true, .home = true};
    return wc_index_find(index_, &q, hits, &found);
}

/* Found at home, with its reason; in the wider scope nothing is other than without it. */
static void what_is_for_the_home_office_changes_no_wider_scope(void **state)
{
    (void)state;
    static const char *const questions[] = {"brewing", "welding", "sign language",
                                            "welding sign language brewing",
                                            "language"};
    static struct wc_hit before[5][64];
    uint64_t totals[5];
    int counts[5];
    home_key = leeds.key;
    reopen();
    put_skill("alice", "brewing", WC_LEVEL_WORKING);
    put_skill("bob", "welding", WC_LEVEL_EXPERT);
    put_skill("carol", "sign language", WC_LEVEL_AWARENESS);
    struct wc_person same = {.present = 0};
    person_skill(&same, "welding", WC_LEVEL_NONE);
    put(&bergen, "alice", &same); /* another alice: what is local is not hers */
    for (int i = 0; i < 5; i++) {
        counts[i] = find(questions[i]);
        totals[i] = found.total;
        memcpy(before[i], hits, sizeof(hits));
    }
    put_at_home("alice", "brewing", "sign language");
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < 5; i++) {
            assert_int_equal(find(questions[i]), counts[i]);
            assert_int_equal(found.total, totals[i]);
            for (int k = 0; k < counts[i]; k++) {
                assert_string_equal(hits[k].who.subject, before[i][k].who.subject);
                assert_true(hits[k].score == before[i][k].score);
                assert_int_equal(hits[k].why_count, before[i][k].why_count);
            }
        }
        assert_int_equal(find_at_home("sign language"), 2);
        assert_string_equal(hits[0].who.subject, "alice");
        assert_memory_equal(hits[0].who.office_key, leeds.key, WC_KEY_BYTES);
        assert_string_equal(hits[0].why[0], "expert in sign language");
        assert_int_equal(find_at_home("questions"), 0);
        assert_int_equal(find_at_home("me"), 0);
        reopen(); /* and the same again, from the disk */
    }
    home_key = NULL;
}

/* ---- skills, counted ---- */

static void say_skill(void *ctx, const struct wc_skill_row *row)
{
    struct wc_buf *said = ctx;
    char people[32];
    if (said->len > 0)
        wc_buf_text(said, "; ");
    snprintf(people, sizeof(people), "%u ", row->people);
    wc_buf_text(said, people);
    wc_buf_append(said, row->name.data, row->name.len);
    if (row->alias != NULL) {
        wc_buf_text(said, " = ");
        wc_buf_text(said, row->alias);
    }
}

/* What a beginning leads to, as "PEOPLE NAME = ALIAS; ...". */
static void begins(const char *prefix, bool home, const char *expected)
{
    struct wc_buf said = {0};
    struct wc_skills_found counted = {.total = 0};
    struct wc_skills_query q = {
        .prefix = wc_slice_text(prefix), .limit = 5, .home = home};
    assert_int_equal(wc_index_skills(index_, &q, say_skill, &said, &counted), 0);
    wc_buf_byte(&said, '\0');
    assert_string_equal((const char *)said.data, expected);
    wc_buf_fini(&said);
    wc_buf_fini(&counted.corrected);
}

static void skills_are_completed_and_counted(void **state)
{
    (void)state;
    with_vocabulary("[vocabulary]\nformat = 1\nid = t\n"
                    "[blogging]\nen = Blogging | weblog\nnb = Blogging | nettdagbok\n"
                    "[security]\nen = Information security | infosec\n"
                    "nb = Informasjonssikkerhet\n");
    put_skill("anne", "weblog", WC_LEVEL_EXPERT);
    put_skill("bob", "Blogging", WC_LEVEL_NONE);
    put_skill("carl", "Welding", WC_LEVEL_NONE);
    put_skill("dora", "welding", WC_LEVEL_NONE);
    put_skill("egil", "welding", WC_LEVEL_NONE);
    put_skill("finn", "weaving of C++ and node.js in many long words", WC_LEVEL_NONE);
    struct wc_person learner = {.present = 0};
    person_skill(&learner, "Blogging", WC_LEVEL_NONE);
    learner.skills[0].learn = true;
    learner.interests[learner.interest_count++] = wc_slice_text("infosec");
    put(&leeds, "gro", &learner);
    begins("", false,
           "3 welding; 2 Blogging; 1 weaving of C++ and node.js in many long words");
    begins("we", false,
           "3 welding; 2 Blogging = weblog; "
           "1 weaving of C++ and node.js in many long words");
    begins("WELD", false, "3 welding");
    begins("weaving of c", false, "1 weaving of C++ and node.js in many long words");
    begins("nettd", false, "2 Blogging = nettdagbok");
    begins("secu", false, "0 Information security");
    begins("inf", false, "0 Information security");
    begins("informasjons", false, "0 Informasjonssikkerhet");
    begins("zither", false, "");
    begins("?!", false, "");
    begins("wedling", false, "3 welding");
    begins("Infromation secu", false, "0 Information security");
    apply_one(office_retire(&leeds, WC_KIND_PROFILE, "dora", 3));
    begins("weld", false, "2 Welding");
    without_vocabulary();
    begins("", false,
           "2 Welding; 1 Blogging; 1 weaving of C++ and node.js in many long words; "
           "1 weblog");
}

static void skills_of_the_home_office_count_at_home_alone(void **state)
{
    (void)state;
    home_key = leeds.key;
    reopen();
    put_skill("bob", "brewing", WC_LEVEL_NONE);
    put_at_home("alice", "brewing", "sign language");
    begins("", false, "2 brewing");
    begins("", true, "2 brewing; 1 sign language");
    begins("sign", false, "");
    begins("sign langauge", false, "");
    begins("sign langauge", true, "1 sign language");
    begins("kept", true, ""); /* what is for questions, or for oneself, for nobody */
    begins("sign", true, "1 sign language");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        INDEX_TEST(what_is_for_the_home_office_changes_no_wider_scope),
        cmocka_unit_test(test_postings_are_read_back),
        cmocka_unit_test(test_changes_are_merged),
        cmocka_unit_test(test_damaged_postings_are_refused),
        INDEX_TEST(test_finds_by_every_field),
        INDEX_TEST(test_the_question_of_the_readme),
        INDEX_TEST(test_reasons),
        INDEX_TEST(test_long_reasons_are_cut_between_characters),
        INDEX_TEST(test_levels_order),
        INDEX_TEST(test_own_skills_come_before_listed_ones),
        INDEX_TEST(test_the_unwilling_come_last),
        INDEX_TEST(test_as_written_comes_first),
        INDEX_TEST(test_all_words_come_before_some),
        INDEX_TEST(test_rare_words_say_more),
        INDEX_TEST(test_whole_names_count_more),
        INDEX_TEST(test_many_mentions_make_no_expert),
        INDEX_TEST(test_an_expert_comes_before_a_title_and_less),
        INDEX_TEST(test_a_name_of_one_word),
        INDEX_TEST(test_long_sentences_say_less),
        INDEX_TEST(test_a_missing_word_costs_less_than_what_was_found),
        INDEX_TEST(test_verbs_of_every_task_do_not_count),
        INDEX_TEST(test_ties_are_in_order_of_login),
        INDEX_TEST(test_one_office),
        INDEX_TEST(test_questions_of_stop_words),
        INDEX_TEST(test_a_question_with_very_many_words),
        INDEX_TEST(test_edits_and_removals_are_exact),
        INDEX_TEST(test_document_numbers_are_used_again),
        INDEX_TEST(test_an_office_gets_another_title),
        INDEX_TEST(test_a_clean_stop_keeps_the_index),
        INDEX_TEST(test_catches_up_with_what_it_missed),
        INDEX_TEST(test_a_log_that_was_cut),
        INDEX_TEST(test_a_full_disk_leaves_it_behind),
        INDEX_TEST(test_builds_anew_when_missing),
        INDEX_TEST(test_builds_anew_after_a_power_cut),
        INDEX_TEST(test_builds_anew_for_another_version),
        INDEX_TEST(test_builds_anew_for_other_records),
        INDEX_TEST(test_damage_is_noticed_and_repaired),
        INDEX_TEST(test_clear),
        INDEX_TEST(test_unknown_language),
        INDEX_TEST(test_a_person_that_cannot_be_read_is_left_out),
        INDEX_TEST(test_many_people),
        INDEX_TEST(test_searches_beside_a_committer),
        INDEX_TEST(test_a_killed_daemon_catches_up),
        INDEX_TEST(test_other_names_of_the_same_thing),
        INDEX_TEST(test_the_word_itself_comes_first),
        INDEX_TEST(test_near_things_when_nobody_answers),
        INDEX_TEST(test_a_concept_chosen_by_its_id),
        INDEX_TEST(test_another_vocabulary_builds_anew),
        INDEX_TEST(skills_are_completed_and_counted),
        INDEX_TEST(skills_of_the_home_office_count_at_home_alone),
        INDEX_TEST(test_a_vocabulary_changes_while_running),
        INDEX_TEST(test_a_change_that_is_cut_short_is_made_up_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
