/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A search that passes over people finds what a look at everybody finds: random people and
 * questions, against the terms that stand beside each document.
 */
#include <stdlib.h>
#include <time.h>

#include "daemon/index_internal.h"
#include "daemon/postings.h"
#include "daemon/question.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

#define PEOPLE    4500 /* two windows */
#define BATCH     500
#define WORDS     400
#define QUESTIONS 150
#define LIMIT_MAX 50

static struct wc_records *records;
static struct wc_index *index_;
static struct wc_vocabulary *vocabulary;
static struct office offices[3];
static char words[WORDS][8];
static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

/* The first words are everybody's, the last ones hardly anybody's. */
static const char *draw_word(void)
{
    return words[draw(1 + draw(1 + draw(WORDS)))];
}

static void open_all(void)
{
    static const char *const languages[] = {"english", NULL};
    static const char concepts[] = "[vocabulary]\nformat = 1\nid = t\n"
                                   "[a]\nen = baba\nrelated = b\n"
                                   "[b]\nen = bibi, bebe\nbroader = c\n"
                                   "[c]\nen = bobo, bubu\n";
    char problem[WC_VOCABULARY_PROBLEM_BYTES];
    struct wc_text *text;
    assert_int_equal(wc_vocabulary_new(&vocabulary), 0);
    if (wc_vocabulary_add(vocabulary, wc_slice_text(concepts), "t.ini", problem) != 0)
        fail_msg("%s", problem);
    assert_int_equal(wc_text_new(&text, languages), 0);
    assert_int_equal(wc_vocabulary_finish(vocabulary, text, problem), 0);
    wc_text_free(text);
    assert_int_equal(wc_records_open(&records, scratch_path("state"), problem), 0);
    assert_int_equal(wc_index_open(&index_, scratch_path("state"), records, languages,
                                   vocabulary, NULL, NULL, NULL, problem),
                     0);
}

static void add_people(uint32_t from, uint32_t count)
{
    static struct wc_change changes[BATCH];
    for (uint32_t i = 0; i < count; i++) {
        struct wc_person p = {.present = 0};
        char subject[16], skills[12][24];
        uint32_t n = 5 + draw(8);
        for (uint32_t k = 0; k < n; k++) {
            const char *first = draw_word();
            snprintf(skills[k], sizeof(skills[k]), "%s %s", first, draw_word());
            person_skill(&p, skills[k], (enum wc_level)draw(WC_LEVEL_EXPERT + 1));
        }
        /* in no order of their documents */
        snprintf(subject, sizeof(subject), "p%07u", (from + i) * 7919 % 1000003);
        changes[i] = office_person(&offices[draw(3)], WC_KIND_PROFILE, subject, 1, &p);
    }
    assert_int_equal(wc_records_commit(records, changes, count), 0);
    assert_int_equal(wc_index_apply(index_, changes, count), 0);
    for (uint32_t i = 0; i < count; i++)
        change_fini(&changes[i]);
}

static int setup(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    random_state = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)random_state);
    for (uint32_t i = 0; i < WORDS; i++)
        snprintf(words[i], sizeof(words[i]), "b%cb%c%c", "aeiou"[i % 5],
                 "aeiou"[i / 5 % 5], i < 25 ? '\0' : 'a' + (char)(i / 25));
    for (uint8_t i = 0; i < 3; i++)
        office_init(&offices[i], i == 0 ? "leeds" : i == 1 ? "york" : "hull", i + 1);
    open_all();
    for (uint32_t i = 0; i < PEOPLE; i += BATCH)
        add_people(i, BATCH);
    return 0;
}

static int teardown(void **state)
{
    wc_index_close(index_);
    wc_records_close(records);
    wc_vocabulary_free(vocabulary);
    return scratch_teardown(state);
}

/* ---- a look at everybody ---- */

struct person {
    struct wc_person_ref who;
    double rank;
};

struct look {
    struct wc_question_tools tools;
    struct wc_question q;
    const uint8_t *office_key;
    struct person *people;
    uint32_t count, answering;
};

#define NUMBERS_END 65536

/* The impacts of one document by the numbers of its terms, until the next call. */
static const uint8_t *impacts_of(struct wc_doc_value doc)
{
    static uint8_t impacts[NUMBERS_END];
    int rc;
    memset(impacts, 0, sizeof(impacts));
    while ((rc = wc_doc_term(&doc)) > 0) {
        assert_true(doc.number < NUMBERS_END);
        impacts[doc.number] = doc.impact;
    }
    assert_int_equal(rc, 0);
    return impacts;
}

/* As docs/search.md has it; negative: is only near. */
static bool rank_of(const struct wc_question *q, const uint8_t *impacts, double *rank)
{
    uint64_t score = 0, matched = 0;
    for (uint32_t i = 0; i < q->group_count; i++) {
        const struct wc_asked_group *g = &q->groups[i];
        uint64_t best = 0;
        bool answers = false;
        for (uint32_t k = 0; k < g->term_count; k++) {
            const struct wc_asked_term *t = &g->terms[k];
            uint32_t impact = impacts[t->number]; /* nobody has 0 */
            uint64_t x = (uint64_t)t->worth * impact;
            assert_true(impact <= t->max);
            best = x > best ? x : best;
            answers |= impact > 0 && t->weight >= WC_WEIGHT_ANSWERS;
        }
        score += best;
        matched += answers;
    }
    if (score == 0)
        return false;
    for (uint32_t i = 0; i < q->phrase_count; i++)
        score +=
            (uint64_t)q->phrases[i].term.worth * impacts[q->phrases[i].term.number];
    *rank = (double)score * q->share + (matched == q->group_count ? 0.12 : 0);
    if (matched == 0)
        *rank = -1.0 / (1.0 + *rank);
    return true;
}

static void rank_everybody(struct look *l, struct wc_txn *t)
{
    struct wc_cursor c;
    int rc;
    l->count = l->answering = 0;
    assert_int_equal(wc_cursor_open(&c, t, WC_IX_DOC), 0);
    for (rc = wc_cursor_first(&c); rc == 0; rc = wc_cursor_next(&c)) {
        struct person *p = &l->people[l->count];
        struct wc_doc_value doc;
        assert_int_equal(wc_doc_value(c.value, &doc), 0);
        p->who = doc.who;
        if ((l->office_key != NULL &&
             memcmp(doc.who.office_key, l->office_key, WC_KEY_BYTES) != 0) ||
            !rank_of(&l->q, impacts_of(doc), &p->rank))
            continue;
        l->answering += p->rank >= 0;
        l->count++;
    }
    wc_cursor_close(&c);
    assert_int_equal(rc, -WC_ENOTFOUND);
}

static int look_fn(struct wc_txn *t, void *ctx)
{
    struct look *l = ctx;
    uint64_t people;
    bool again = false;
    assert_int_equal(wc_txn_count(t, WC_IX_PERSON, &people), 0);
    assert_int_equal(wc_question_look_up(&l->q, &l->tools, t, people), 0);
    rank_everybody(l, t);
    if (l->count == 0) /* nobody at all */
        assert_int_equal(wc_question_retry(&l->q, &l->tools, t, people, &again), 0);
    if (again)
        rank_everybody(l, t);
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct person *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
    int order = strcmp(x->who.subject, y->who.subject);
    return order != 0 ? order
                      : memcmp(x->who.office_key, y->who.office_key, WC_KEY_BYTES);
}

/* Everybody who answers, or else who is near, best first. */
static uint32_t look_at_everybody(struct look *l, const char *text)
{
    static struct wc_words room;
    static const char *const languages[] = {"english", NULL};
    l->tools = (struct wc_question_tools){
        .words = &room,
        .vocabulary = vocabulary,
        .spelling = index_->spelling[WC_SCOPE_ORGANISATION],
        .home_spelling = index_->spelling[WC_SCOPE_HOME],
    };
    assert_int_equal(wc_text_new(&l->tools.text, languages), 0);
    assert_int_equal(wc_question_read(&l->q, &l->tools, wc_slice_text(text)), 0);
    assert_int_equal(wc_store_read(index_->store, look_fn, l), 0);
    wc_text_free(l->tools.text);
    qsort(l->people, l->count, sizeof(l->people[0]), compare);
    return l->answering > 0 ? l->answering : l->count;
}

/* ---- the comparison ---- */

struct counts {
    uint32_t exact, full;
};

static void compare_question(struct look *l, const char *text, uint32_t limit,
                             struct counts *counts)
{
    static struct wc_hit hits[LIMIT_MAX];
    struct wc_found found;
    struct wc_index_query q = {.text = wc_slice_text(text),
                               .limit = limit,
                               .office_key = l->office_key,
                               .near_too = true,
                               .without_why = true};
    uint32_t all = look_at_everybody(l, text), expected = all < limit ? all : limit;
    int n = wc_index_find(index_, &q, hits, &found);
    if (n != (int)expected)
        fail_msg("\"%s\", %u: %d people, not %u", text, limit, n, expected);
    for (uint32_t i = 0; i < expected; i++)
        if (memcmp(&hits[i].who, &l->people[i].who, sizeof(hits[i].who)) != 0)
            fail_msg("\"%s\", %u: %s, not %s at %u", text, limit, hits[i].who.subject,
                     l->people[i].who.subject, i);
    if (found.exact ? found.total != all : found.total > all || found.total < expected)
        fail_msg("\"%s\": %s %llu, not %u", text, found.exact ? "exactly" : "at least",
                 (unsigned long long)found.total, all);
    counts->exact += found.exact;
    counts->full += expected == limit;
}

static void write_question(char *out, size_t cap)
{
    uint32_t count = 1 + draw(5);
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++)
        len += (size_t)snprintf(out + len, cap - len, "%s%s", i > 0 ? " " : "",
                                draw(20) == 0 ? "nobody" : draw_word());
}

static void test_against_a_look_at_everybody(void **state)
{
    (void)state;
    struct look *l = calloc(1, sizeof(*l));
    struct counts counts = {0};
    assert_non_null(l);
    l->people = calloc(PEOPLE, sizeof(l->people[0]));
    assert_non_null(l->people);
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        char text[64];
        write_question(text, sizeof(text));
        l->office_key = draw(5) == 0 ? offices[draw(3)].key : NULL;
        compare_question(l, text, 1 + draw(draw(2) == 0 ? 3 : LIMIT_MAX), &counts);
    }
    /* Both kinds were there: those that are counted, and those that are cut short. */
    assert_true(counts.exact > QUESTIONS / 10 && counts.exact < QUESTIONS * 9 / 10);
    assert_true(counts.full > QUESTIONS / 2);
    wc_question_fini(&l->q);
    free(l->people);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_look_at_everybody),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
