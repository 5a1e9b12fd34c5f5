/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports people (JSON lines, as tests/bench/people makes them) into records and index as
 * the daemon does, and asks questions: those of a file, one a line, or else drawn from
 * their own words. Prints medians. People who are there from an earlier run are not
 * imported again, and the index is built anew only with -r.
 *
 * usage: bench_find [-b BATCH] [-s SEED] [-q QUESTIONS.txt] [-v VOCABULARY-DIRECTORY] [-r]
 *                   PEOPLE.jsonl STATE-DIRECTORY
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <whocan/cert.h>
#include <whocan/person.h>
#include <whocan/record.h>

#include "daemon/index.h"
#include "daemon/store.h"

#define QUESTIONS   1000
#define PASSES      5
#define LIMIT       10
#define WORDS_BYTES 256
#define NOW_MS      1700000000000ULL

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

static double clock_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

/* What this thread took of a processor: nearly the same on a busy machine. */
static double spent_us(void)
{
    return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

static void check(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_find: %s: %s\n", what, wc_strerror(rc));
    exit(1);
}

/* ---- people ---- */

static struct wc_slice text_of(const json_t *v)
{
    return json_is_string(v) ? wc_slice_text(json_string_value(v)) : wc_slice("", 0);
}

static void read_skills(struct wc_person *p, const json_t *skills)
{
    size_t i;
    json_t *v;
    json_array_foreach(skills, i, v)
    {
        struct wc_skill *s = &p->skills[p->skill_count];
        if (p->skill_count == WC_SKILLS_MAX_COUNT)
            return;
        *s = (struct wc_skill){
            .name = text_of(json_is_string(v) ? v : json_object_get(v, "name"))};
        (void)wc_level_parse(text_of(json_object_get(v, "level")), &s->level);
        p->skill_count += s->name.len > 0;
    }
    p->present |= WC_PERSON_SKILLS;
}

static uint32_t read_texts(struct wc_slice *out, uint32_t max, const json_t *texts)
{
    size_t i;
    json_t *v;
    uint32_t n = 0;
    json_array_foreach(texts, i, v)
    {
        if (n < max)
            out[n++] = text_of(v);
    }
    return n;
}

static void read_person(struct wc_person *p, const json_t *o)
{
    *p =
        (struct wc_person){.name = text_of(json_object_get(o, "name")),
                           .title = text_of(json_object_get(o, "title")),
                           .team = text_of(json_object_get(o, "team")),
                           .ask_me_about = text_of(json_object_get(o, "ask_me_about"))};
    p->present = WC_PERSON_NAME | WC_PERSON_TITLE | WC_PERSON_TEAM |
                 WC_PERSON_ASK_ME_ABOUT | WC_PERSON_INTERESTS | WC_PERSON_LANGUAGES;
    read_skills(p, json_object_get(o, "skills"));
    p->interest_count = read_texts(p->interests, WC_INTERESTS_MAX_COUNT,
                                   json_object_get(o, "interests"));
    p->language_count = read_texts(p->languages, WC_LANGUAGES_MAX_COUNT,
                                   json_object_get(o, "languages"));
}

/* ---- questions: words of somebody's skills, name and title ---- */

static char questions[QUESTIONS][WORDS_BYTES];
static uint32_t question_count;

static void add_word(char *out, struct wc_slice words)
{
    size_t len = strlen(out), from = words.len > 0 ? draw((uint32_t)words.len) : 0;
    while (from > 0 && words.data[from - 1] != ' ')
        from--;
    size_t n = 0;
    while (from + n < words.len && words.data[from + n] != ' ')
        n++;
    if (len + n + 2 < WORDS_BYTES)
        snprintf(out + len, WORDS_BYTES - len, "%s%.*s", len > 0 ? " " : "", (int)n,
                 (const char *)words.data + from);
}

static void add_question(const struct wc_person *p)
{
    char *out = questions[question_count++];
    uint32_t kind = draw(10), words = 1 + draw(4);
    if (kind < 2) { /* somebody known */
        add_word(out, p->name);
        add_word(out, p->title);
        return;
    }
    if (kind < 4) /* a sentence */
        snprintf(out, WORDS_BYTES, "we want to start something new, who can help with");
    for (uint32_t i = 0; i < words && p->skill_count > 0; i++)
        add_word(out, p->skills[draw(p->skill_count)].name);
}

/* ---- import ---- */

struct office {
    struct wc_identity identity;
    uint64_t seq;
};

static struct wc_change change_of(struct office *o, const char *subject,
                                  const struct wc_person *p)
{
    struct wc_change c = {.kind = WC_KIND_PROFILE};
    struct wc_buf body = {0}, bytes = {0};
    uint8_t sig[WC_SIG_BYTES];
    const uint8_t *key = o->identity.signer.key;
    struct wc_stamp_params stamp = {++o->seq, NOW_MS, NOW_MS + 30 * WC_DAY_MS};
    check(wc_person_body(key, subject, 1, p, NULL, &body), "body");
    check(wc_body_sign(sig, c.kind, wc_buf_slice(&body), &o->identity.signer), "sign");
    check(wc_record_stamp(c.kind, wc_buf_slice(&body), key, sig, &o->identity.signer,
                          &stamp, &bytes),
          "stamp");
    wc_slot(c.slot, c.kind, key, subject);
    memcpy(c.office_key, key, WC_KEY_BYTES);
    snprintf(c.subject, sizeof(c.subject), "%s", subject);
    c.bytes = wc_buf_take(&bytes, &c.len);
    wc_buf_fini(&body);
    return c;
}

struct import {
    struct wc_records *records;
    struct wc_index *index;
    struct office office;
    struct wc_change *changes;
    uint32_t batch, count;
    uint64_t people, bytes, line;
    bool draws; /* questions, from the people */
    bool known; /* the people are there already */
    const struct wc_vocabulary *vocabulary;
    double commit_us, apply_us, worst_us, spent_us;
};

static void flush(struct import *m)
{
    double start = now_us(), spent = spent_us();
    check(wc_records_commit(m->records, m->changes, m->count), "commit");
    double committed = now_us();
    check(wc_index_apply(m->index, m->changes, m->count), "apply");
    double applied = now_us();
    m->commit_us += committed - start;
    m->apply_us += applied - committed;
    m->spent_us += spent_us() - spent;
    if (applied - start > m->worst_us)
        m->worst_us = applied - start;
    for (uint32_t i = 0; i < m->count; i++) {
        m->bytes += m->changes[i].len;
        free(m->changes[i].bytes);
    }
    m->people += m->count;
    m->count = 0;
}

static void import_line(struct import *m, const char *line, uint64_t every)
{
    json_error_t error;
    struct wc_person p;
    json_t *o = json_loads(line, 0, &error);
    const char *handle = json_string_value(json_object_get(o, "handle"));
    if (handle == NULL) {
        fprintf(stderr, "bench_find: a line is no person: %s\n", error.text);
        exit(1);
    }
    read_person(&p, o);
    if (m->draws && question_count < QUESTIONS && m->line++ % every == 0)
        add_question(&p);
    if (m->known) {
        json_decref(o);
        return;
    }
    m->changes[m->count++] = change_of(&m->office, handle, &p);
    if (m->count == m->batch)
        flush(m);
    json_decref(o);
}

/* The questions of a file, one a line, as many as there is room for. */
static void read_questions(const char *path)
{
    FILE *f = fopen(path, "r");
    check(f == NULL ? -WC_ENOTFOUND : 0, path);
    while (question_count < QUESTIONS &&
           fgets(questions[question_count], WORDS_BYTES, f) != NULL) {
        questions[question_count][strcspn(questions[question_count], "\n")] = '\0';
        question_count += questions[question_count][0] != '\0';
    }
    fclose(f);
}

static uint64_t count_lines(FILE *f)
{
    uint64_t n = 0;
    for (int c; (c = getc(f)) != EOF;)
        n += c == '\n';
    rewind(f);
    return n;
}

static void import_file(struct import *m, const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    if (f == NULL) {
        fprintf(stderr, "bench_find: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    uint64_t lines = count_lines(f), every = lines / QUESTIONS + 1;
    while (getline(&line, &cap, f) > 0)
        import_line(m, line, every);
    if (m->count > 0)
        flush(m);
    free(line);
    fclose(f);
    double us = m->commit_us + m->apply_us;
    if (m->known)
        return;
    printf(
        "import   %.0f people/s (commit %.1f s, index %.1f s), %.0f people a second of "
        "processor, worst batch of %u %.0f ms, %.0f bytes a record\n",
        (double)m->people / us * 1e6, m->commit_us / 1e6, m->apply_us / 1e6,
        (double)m->people / m->spent_us * 1e6, m->batch, m->worst_us / 1e3,
        (double)m->bytes / (double)m->people);
}

/* ---- the measurement ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void report(const char *what, double *medians)
{
    qsort(medians, question_count, sizeof(medians[0]), compare);
    printf("%s p50 %.0f us, p90 %.0f us, p99 %.0f us, worst %.0f us\n", what,
           medians[question_count / 2], medians[question_count * 9 / 10],
           medians[question_count * 99 / 100], medians[question_count - 1]);
}

/* Every question several times; the median of each counts. */
static void ask(struct wc_index *ix, bool reasons)
{
    static struct wc_hit hits[LIMIT];
    static double wall[QUESTIONS], processor[QUESTIONS];
    struct wc_found found;
    uint64_t total = 0;
    for (uint32_t i = 0; i < question_count; i++) {
        double times[PASSES], spent[PASSES];
        struct wc_index_query q = {.text = wc_slice_text(questions[i]),
                                   .limit = LIMIT,
                                   .near_too = true,
                                   .without_why = !reasons};
        for (int pass = 0; pass < PASSES; pass++) {
            times[pass] = -now_us();
            spent[pass] = -spent_us();
            int rc = wc_index_find(ix, &q, hits, &found);
            spent[pass] += spent_us();
            times[pass] += now_us();
            check(rc == -WC_EINVALID ? 0 : rc, questions[i]);
        }
        qsort(times, PASSES, sizeof(times[0]), compare);
        qsort(spent, PASSES, sizeof(spent[0]), compare);
        wall[i] = times[PASSES / 2];
        processor[i] = spent[PASSES / 2];
        total += found.total;
    }
    report(reasons ? "find, with reasons" : "search            ", wall);
    report("      of processor", processor);
    if (!reasons)
        printf("         %u questions, top %d, %.0f people match one\n", question_count,
               LIMIT, (double)total / question_count);
}

static void print_status(const char *key)
{
    char line[128];
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            printf("  %s %.1f MiB", key, atof(line + strlen(key) + 1) / 1024);
    if (f != NULL)
        fclose(f);
}

static void sizes(struct wc_records *r, struct wc_index *ix)
{
    struct wc_records_usage ru;
    struct wc_index_usage iu;
    wc_records_usage(r, &ru);
    wc_index_usage(ix, &iu);
    printf("sizes    records %.1f MiB, index %.1f MiB, %llu people, %llu terms\n",
           (double)ru.used_bytes / 1048576, (double)iu.used_bytes / 1048576,
           (unsigned long long)iu.people_count, (unsigned long long)iu.terms_count);
    printf("memory ");
    print_status("VmHWM:");
    print_status("RssAnon:");
    print_status("RssFile:");
    printf("\n");
}

static void open_both(struct import *m, const char *dir)
{
    static const char *const languages[] = {"english", "norwegian", NULL};
    char problem[WC_PROBLEM_BYTES];
    if (wc_records_open(&m->records, dir, problem) != 0 ||
        wc_index_open(&m->index, dir, m->records, languages, m->vocabulary, NULL, NULL,
                      NULL, problem) != 0) {
        fprintf(stderr, "bench_find: %s\n", problem);
        exit(1);
    }
}

static void build_anew(struct import *m, const char *dir)
{
    char path[4096];
    wc_index_close(m->index);
    wc_records_close(m->records);
    snprintf(path, sizeof(path), "%s/index", dir);
    check(wc_store_remove(path), path);
    double start = now_us(), spent = spent_us();
    open_both(m, dir);
    printf("build    %.0f people/s, %.0f people a second of processor\n",
           (double)m->people / (now_us() - start) * 1e6,
           (double)m->people / (spent_us() - spent) * 1e6);
}

static void usage(void)
{
    fprintf(stderr, "usage: bench_find [-b BATCH] [-s SEED] [-q QUESTIONS.txt]\n"
                    "                  [-v VOCABULARY-DIRECTORY] [-r] PEOPLE.jsonl "
                    "STATE-DIRECTORY\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const char *const languages[] = {"english", "norwegian", NULL};
    struct import m = {.batch = 200, .draws = true};
    struct wc_vocabulary *vocabulary = NULL;
    struct wc_index_usage usage_now;
    char problem[WC_VOCABULARY_PROBLEM_BYTES];
    uint8_t seeds[WC_STANDALONE_SEED_BYTES] = {1};
    bool again = false;
    random_state = 1;
    for (int c; (c = getopt(argc, argv, "b:s:q:v:r")) != -1;) {
        const char *directories[] = {optarg, NULL};
        if (c == 'b')
            m.batch = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 's')
            random_state = strtoull(optarg, NULL, 10);
        else if (c == 'q')
            read_questions(optarg);
        else if (c == 'v')
            check(wc_vocabulary_load(&vocabulary, directories, languages, problem),
                  optarg);
        else if (c == 'r')
            again = true;
        else
            usage();
    }
    if (argc - optind != 2)
        usage();
    m.vocabulary = vocabulary;
    m.draws = question_count == 0;
    m.changes = calloc(m.batch + 1U, sizeof(*m.changes));
    check(m.changes == NULL || m.batch == 0 ? -WC_EINVALID : 0, "batch");
    check(wc_crypto_init(), "crypto");
    check(wc_identity_standalone(&m.office.identity, "bench", NOW_MS, seeds), "office");
    const char *dir = argv[optind + 1];
    double start = now_us();
    open_both(&m, dir);
    wc_index_usage(m.index, &usage_now);
    m.known = usage_now.people_count > 0;
    m.people = usage_now.people_count;
    if (m.known)
        printf("reopen   %.0f ms, %llu people\n", (now_us() - start) / 1e3,
               (unsigned long long)m.people);
    if (!m.known || m.draws)
        import_file(&m, argv[optind]);
    ask(m.index, false);
    ask(m.index, true);
    sizes(m.records, m.index);
    if (again)
        build_anew(&m, dir);
    wc_index_close(m.index);
    wc_records_close(m.records);
    wc_vocabulary_free(vocabulary);
    free(m.changes);
    return 0;
}
