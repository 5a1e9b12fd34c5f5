/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures how records get into the index: many at once as they come from other offices
 * (verified by one thread, stored and indexed by another, as in the daemon), all of them
 * into a new index, and a thousand a second while others search.
 *
 * The people are invented from a seed: half a kilobyte to one kilobyte each, skills drawn by
 * Zipf's law from a vocabulary of 3,000, a text of words drawn by the same law from 60,000,
 * and now and then a word that hardly anybody else has.
 *
 * usage: bench_ingest [-n PEOPLE] [-s SEED] [-t SECONDS] [-v VOCABULARY-DIRECTORY]
 *                     STATE-DIRECTORY
 */
#include <pthread.h>
#include <stdatomic.h>
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

#define WORDS        60000
#define SKILLS       3000
#define TITLES       900
#define TEAMS        120
#define QUESTIONS    1000
#define CHUNK        32768 /* records made, then taken in */
#define COMMIT_MAX   4096  /* as the daemon commits */
#define VERIFY_COUNT 4000
#define RATE         1000 /* records a second while others search */
#define LIMIT        10
#define NOW_MS       1700000000000ULL

static void check(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_ingest: %s: %s\n", what, wc_strerror(rc));
    exit(1);
}

static double clock_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

/* What this thread took of a processor: nearly the same on a busy machine. */
static double spent_s(void)
{
    return clock_s(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- inventing ---- */

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((random_state >> 32) * below >> 32);
}

static char words[WORDS][24];
static char skills[SKILLS][64], titles[TITLES][64], teams[TEAMS][64];
static double word_weights[WORDS], skill_weights[SKILLS];

static uint32_t draw_by(const double *weights, uint32_t count)
{
    double x = (double)draw(1u << 31) / (1u << 31) * weights[count - 1];
    uint32_t low = 0, high = count - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (weights[middle] <= x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void zipf(double *weights, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        weights[i] = sum += 1.0 / (i + 3);
}

/* The number of a word in syllables: no two are alike. */
static void spell(char out[24], uint32_t n)
{
    static const char *const begins[] = {"b", "d",  "f",  "g",  "h",  "k",  "l", "m",
                                         "n", "p",  "r",  "s",  "t",  "v",  "w", "st",
                                         "",  "gr", "bl", "tr", "sk", "pl", "fr"};
    static const char *const ends[] = {"a",  "e",  "i",  "o",  "u",   "an", "en",
                                       "in", "on", "er", "al", "ing", "or", "is"};
    out[0] = '\0';
    for (n += 400; n > 0; n /= 23 * 14)
        snprintf(out + strlen(out), 24 - strlen(out), "%s%s", begins[n % 23],
                 ends[n / 23 % 14]);
}

static void name_of(char out[64], uint32_t count, uint32_t from)
{
    out[0] = '\0';
    for (uint32_t i = 0; i < count; i++)
        snprintf(out + strlen(out), 64 - strlen(out), "%s%s", i > 0 ? " " : "",
                 words[from + draw(2000)]);
}

static void invent_words(void)
{
    for (uint32_t i = 0; i < WORDS; i++)
        spell(words[i], i);
    for (uint32_t i = 0; i < SKILLS; i++)
        name_of(skills[i], 1 + draw(3), 50);
    for (uint32_t i = 0; i < TITLES; i++)
        name_of(titles[i], 2 + draw(2), 100);
    for (uint32_t i = 0; i < TEAMS; i++)
        name_of(teams[i], 2, 300);
    zipf(word_weights, WORDS);
    zipf(skill_weights, SKILLS);
}

struct invented {
    struct wc_person person;
    char name[96], about[WC_ABOUT_MAX_BYTES];
};

static void invent_about(char *out, size_t cap)
{
    size_t len = 0;
    for (uint32_t n = 15 + draw(55); n > 0 && len + 32 < cap; n--) {
        const char *stop = draw(9) == 0 ? ". " : " ";
        len +=
            (size_t)(draw(40) == 0
                         ? snprintf(out + len, cap - len, "k%u%s", draw(1u << 20), stop)
                         : snprintf(out + len, cap - len, "%s%s",
                                    words[draw_by(word_weights, WORDS)], stop));
    }
}

/* Nobody names one skill twice. */
static void add_skill(struct wc_person *p)
{
    struct wc_slice name = wc_slice_text(skills[draw_by(skill_weights, SKILLS)]);
    enum wc_level level = (enum wc_level)(1 + draw(4));
    for (uint32_t i = 0; i < p->skill_count; i++)
        if (wc_slice_eq(p->skills[i].name, name))
            return;
    p->skills[p->skill_count++] = (struct wc_skill){.name = name, .level = level};
}

static void add_interest(struct wc_person *p)
{
    struct wc_slice name = wc_slice_text(skills[draw_by(skill_weights, SKILLS)]);
    for (uint32_t i = 0; i < p->interest_count; i++)
        if (wc_slice_eq(p->interests[i], name))
            return;
    p->interests[p->interest_count++] = name;
}

/* Somebody is who they are: their number decides, and an edit adds skills. */
static void invent(struct invented *v, uint64_t seed, uint32_t number, uint32_t edits)
{
    struct wc_person *p = &v->person;
    uint64_t state = random_state;
    memset(p, 0, sizeof(*p));
    random_state = (seed << 32) + number;
    (void)draw(1);
    (void)draw(1);
    for (uint32_t n = 3 + draw(8); n > 0; n--)
        add_skill(p);
    for (uint32_t n = 1 + draw(4); n > 0; n--)
        add_interest(p);
    snprintf(v->name, sizeof(v->name), "%s %s%s", words[3000 + draw(600)],
             words[5000 + draw(3000)], words[4000 + draw(20)]);
    invent_about(v->about, sizeof(v->about));
    p->title = wc_slice_text(titles[draw(TITLES)]);
    p->team = wc_slice_text(teams[draw(TEAMS)]);
    random_state = state;
    while (edits-- > 0)
        add_skill(p);
    p->name = wc_slice_text(v->name);
    p->ask_me_about = wc_slice_text(v->about);
    p->languages[p->language_count++] = wc_slice_text("English");
    p->present = WC_PERSON_NAME | WC_PERSON_TITLE | WC_PERSON_TEAM | WC_PERSON_SKILLS |
                 WC_PERSON_INTERESTS | WC_PERSON_ASK_ME_ABOUT | WC_PERSON_LANGUAGES;
}

/* ---- records ---- */

struct bench {
    struct wc_identity office;
    struct wc_signer person; /* who signs all profiles */
    uint64_t seq, seed;
    struct wc_records *records;
    struct wc_index *index;
    struct wc_vocabulary *vocabulary;
    const char *directory;
    uint64_t people, bytes, seconds;
    double verify_rate, verify_spent_rate; /* by the clock, by processor time */
};

static struct wc_change make(struct bench *b, uint32_t number, uint64_t rev)
{
    static struct invented v;
    struct wc_change c = {.kind = WC_KIND_PROFILE};
    struct wc_buf body = {0}, bytes = {0};
    uint8_t sig[WC_SIG_BYTES];
    const uint8_t *key = b->office.signer.key;
    struct wc_stamp_params stamp = {++b->seq, NOW_MS, NOW_MS + 30 * WC_DAY_MS};
    invent(&v, b->seed, number, rev > 1 ? 2 : 0);
    snprintf(c.subject, sizeof(c.subject), "u%07u", number);
    check(wc_person_body(key, c.subject, rev, &v.person, NULL, &body), "body");
    check(wc_body_sign(sig, c.kind, wc_buf_slice(&body), &b->person), "sign");
    check(wc_record_stamp(c.kind, wc_buf_slice(&body), b->person.key, sig,
                          &b->office.signer, &stamp, &bytes),
          "stamp");
    wc_slot(c.slot, c.kind, key, c.subject);
    memcpy(c.office_key, key, WC_KEY_BYTES);
    c.bytes = wc_buf_take(&bytes, &c.len);
    wc_buf_fini(&body);
    b->bytes += c.len;
    return c;
}

/* Both of its signatures. */
static void verify(const struct bench *b, const struct wc_change *c)
{
    struct wc_record r;
    check(wc_record_decode(wc_slice(c->bytes, c->len), &r, NULL), "decode");
    check(wc_record_verify(&r, &b->office.org), "verify");
}

/* What libsodium does on one core, of messages as long as ours. */
static void measure_verify(struct bench *b)
{
    uint8_t message[900] = {1}, sig[WC_SIG_BYTES];
    struct wc_slice m = wc_slice(message, sizeof(message));
    check(wc_sign(sig, &b->person, "bench|", 1, m), "sign");
    double start = now_s(), spent = spent_s();
    for (int i = 0; i < VERIFY_COUNT; i++)
        check(wc_verify(sig, b->person.key, "bench|", 1, m), "verify");
    b->verify_rate = VERIFY_COUNT / (now_s() - start);
    b->verify_spent_rate = VERIFY_COUNT / (spent_s() - spent);
    printf("verify   %.0f signatures a second, one core; %.0f a second of processor\n",
           b->verify_rate, b->verify_spent_rate);
}

/* ---- many at once ---- */

struct pipe {
    struct bench *bench;
    struct wc_change *changes;
    uint32_t count;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint32_t verified;
    double commit_s, apply_s, spent_s;
};

static void *verify_all(void *arg)
{
    struct pipe *p = arg;
    for (uint32_t i = 0; i < p->count; i++) {
        verify(p->bench, &p->changes[i]);
        if (i % 64 != 63 && i + 1 < p->count)
            continue;
        pthread_mutex_lock(&p->lock);
        p->verified = i + 1;
        pthread_cond_signal(&p->moved);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

static void take_in(struct pipe *p, uint32_t from, uint32_t count)
{
    struct bench *b = p->bench;
    double start = now_s(), spent = spent_s();
    check(wc_records_commit(b->records, p->changes + from, count), "commit");
    double committed = now_s();
    check(wc_index_apply(b->index, p->changes + from, count), "apply");
    p->commit_s += committed - start;
    p->apply_s += now_s() - committed;
    p->spent_s += spent_s() - spent;
}

/* What was verified while the last commit ran is the next one. */
static void commit_all(struct pipe *p)
{
    for (uint32_t done = 0, count; done < p->count; done += count) {
        pthread_mutex_lock(&p->lock);
        while (p->verified == done)
            pthread_cond_wait(&p->moved, &p->lock);
        count = p->verified - done;
        pthread_mutex_unlock(&p->lock);
        count = count < COMMIT_MAX ? count : COMMIT_MAX;
        take_in(p, done, count);
    }
}

static void ingest(struct bench *b)
{
    struct pipe p = {.bench = b};
    struct wc_store_longest longest;
    double took = 0;
    pthread_mutex_init(&p.lock, NULL);
    pthread_cond_init(&p.moved, NULL);
    p.changes = calloc(CHUNK, sizeof(*p.changes));
    check(p.changes == NULL ? -WC_ENOMEM : 0, "changes");
    for (uint64_t done = 0; done < b->people; done += p.count) {
        pthread_t thread;
        p.count = (uint32_t)(b->people - done < CHUNK ? b->people - done : CHUNK);
        p.verified = 0;
        for (uint32_t i = 0; i < p.count; i++)
            p.changes[i] = make(b, (uint32_t)done + i, 1);
        double start = now_s();
        check(pthread_create(&thread, NULL, verify_all, &p) == 0 ? 0 : -WC_ENOMEM,
              "thread");
        commit_all(&p);
        pthread_join(thread, NULL);
        took += now_s() - start;
        for (uint32_t i = 0; i < p.count; i++)
            free(p.changes[i].bytes);
    }
    free(p.changes);
    wc_index_longest(b->index, &longest);
    double rate = (double)b->people / took;
    printf(
        "ingest   %.0f records a second, %.0f signatures: %.2f of the verify rate; "
        "%.0f bytes a record\n"
        "         commit %.0f us, index %.0f us a record; longest write %.0f ms, read "
        "%.0f ms\n",
        rate, 2 * rate, 2 * rate / b->verify_rate, (double)b->bytes / (double)b->people,
        p.commit_s / (double)b->people * 1e6, p.apply_s / (double)b->people * 1e6,
        (double)longest.write_us / 1e3, (double)longest.read_us / 1e3);
}

/* ---- all into a new index ---- */

/* In MB; of /proc/self/status. */
static double status_mb(const char *key)
{
    char line[128];
    double kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            kb = atof(line + strlen(key));
    if (f != NULL)
        fclose(f);
    return kb / 1024;
}

static void open_index(struct bench *b, wc_index_progress_fn progress, void *ctx)
{
    static const char *const languages[] = {"english", "norwegian", NULL};
    char problem[WC_PROBLEM_BYTES];
    check(wc_index_open(&b->index, b->directory, b->records, languages, b->vocabulary,
                        NULL, progress, ctx, problem),
          problem);
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    double *peak = ctx, now = status_mb("RssAnon:");
    (void)done;
    (void)total;
    if (now > *peak)
        *peak = now;
}

static void sizes(struct bench *b, const char *what)
{
    struct wc_index_usage u;
    const char *name;
    uint64_t bytes;
    wc_index_usage(b->index, &u);
    printf("%s %.1f MB, of %llu people and %llu terms:", what,
           (double)u.used_bytes / 1e6, (unsigned long long)u.people_count,
           (unsigned long long)u.terms_count);
    for (uint32_t i = 0; wc_index_table(b->index, i, &name, &bytes); i++)
        printf(" %s %.1f", name, (double)bytes / 1e6);
    printf("\n");
}

/* Everybody who was made is there. */
static void all_there(struct bench *b)
{
    struct wc_index_usage u;
    wc_index_usage(b->index, &u);
    check(u.people_count == b->people ? 0 : -WC_ENOTFOUND, "somebody");
}

static void build(struct bench *b)
{
    char path[4096];
    double peak = 0, before = status_mb("RssAnon:");
    wc_index_close(b->index);
    snprintf(path, sizeof(path), "%s/index", b->directory);
    check(wc_store_remove(path), path);
    double start = now_s(), spent = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    open_index(b, on_progress, &peak);
    spent = clock_s(CLOCK_PROCESS_CPUTIME_ID) - spent;
    printf("build    %.0f profiles a second, %.0f a second of processor (%.2f of the "
           "verify rate);\n"
           "         memory that is no file: %.0f MB before, %.0f most, %.0f after\n",
           (double)b->people / (now_s() - start), (double)b->people / spent,
           (double)b->people / spent / b->verify_spent_rate, before, peak,
           status_mb("RssAnon:"));
}

/* ---- searches, quiet and while records arrive ---- */

struct stream {
    struct bench *bench;
    struct wc_change *changes;
    uint32_t count, committed;
    double worst_s;
    atomic_bool done;
};

static void *arrive(void *arg)
{
    struct stream *s = arg;
    struct bench *b = s->bench;
    double start = now_s();
    while (s->committed < s->count) {
        uint32_t due = (uint32_t)((now_s() - start) * RATE);
        uint32_t n = (due < s->count ? due : s->count) - s->committed;
        if (n == 0) { /* nobody has sent anything yet */
            struct timespec millisecond = {.tv_nsec = 1000000};
            nanosleep(&millisecond, NULL);
            continue;
        }
        double began = now_s();
        for (uint32_t i = 0; i < n; i++)
            verify(b, &s->changes[s->committed + i]);
        check(wc_records_commit(b->records, s->changes + s->committed, n), "commit");
        check(wc_index_apply(b->index, s->changes + s->committed, n), "apply");
        s->committed += n;
        if (now_s() - began > s->worst_s)
            s->worst_s = now_s() - began;
    }
    atomic_store(&s->done, true);
    return NULL;
}

static char questions[QUESTIONS][256];

static void invent_questions(void)
{
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        char *out = questions[i];
        for (uint32_t n = 1 + draw(4); n > 0; n--) {
            const char *word = draw(4) == 0 ? words[draw_by(word_weights, WORDS)]
                                            : skills[draw_by(skill_weights, SKILLS)];
            snprintf(out + strlen(out), 256 - strlen(out), "%.*s ",
                     (int)strcspn(word, " "), word);
        }
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Ask until it is over; returns p99. */
static double ask(struct bench *b, const char *what, double until_s,
                  const atomic_bool *done)
{
    static struct wc_hit hits[LIMIT];
    struct wc_found found;
    size_t count = 0, cap = 1 << 22;
    double *times = calloc(cap, sizeof(*times));
    check(times == NULL ? -WC_ENOMEM : 0, "times");
    while (count < cap && (done != NULL ? !atomic_load(done) : now_s() < until_s)) {
        struct wc_index_query q = {.text = wc_slice_text(questions[count % QUESTIONS]),
                                   .limit = LIMIT,
                                   .near_too = true,
                                   .without_why = true};
        double start = now_s();
        int rc = wc_index_find(b->index, &q, hits, &found);
        times[count++] = now_s() - start;
        check(rc == -WC_EINVALID ? 0 : rc, "find");
    }
    qsort(times, count, sizeof(*times), compare);
    double p99 = times[count * 99 / 100];
    printf("%s p50 %.0f us, p99 %.0f us, worst %.1f ms, of %zu searches\n", what,
           times[count / 2] * 1e6, p99 * 1e6, times[count - 1] * 1e3, count);
    free(times);
    return p99;
}

static void search_meanwhile(struct bench *b)
{
    struct stream s = {.bench = b, .count = (uint32_t)b->seconds * RATE};
    struct wc_store_longest longest, of_records;
    pthread_t thread;
    s.changes = calloc(s.count, sizeof(*s.changes));
    check(s.changes == NULL ? -WC_ENOMEM : 0, "changes");
    for (uint32_t i = 0; i < s.count; i++) /* one in ten is new */
        s.changes[i] =
            make(b, draw(10) == 0 ? (uint32_t)b->people + i : draw((uint32_t)b->people),
                 2 + i);
    (void)ask(b, "warm    ", now_s() + (double)b->seconds / 4, NULL);
    double quiet = ask(b, "quiet   ", now_s() + (double)b->seconds, NULL);
    wc_index_longest(b->index, &longest);
    wc_records_longest(b->records, &of_records);
    double start = now_s();
    check(pthread_create(&thread, NULL, arrive, &s) == 0 ? 0 : -WC_ENOMEM, "thread");
    double busy = ask(b, "arriving", 0, &s.done);
    pthread_join(thread, NULL);
    double took = now_s() - start;
    wc_index_longest(b->index, &longest);
    wc_records_longest(b->records, &of_records);
    printf(
        "         %.0f records a second arrived, each searchable after %.0f ms at "
        "most; "
        "p99 is %.2f of the quiet one\n"
        "         longest of the index: read %.1f ms, write %.1f ms; of the records: "
        "read %.1f ms, write %.1f ms\n",
        s.count / took, s.worst_s * 1e3, busy / quiet, (double)longest.read_us / 1e3,
        (double)longest.write_us / 1e3, (double)of_records.read_us / 1e3,
        (double)of_records.write_us / 1e3);
    for (uint32_t i = 0; i < s.count; i++)
        free(s.changes[i].bytes);
    free(s.changes);
}

/* ---- */

static void usage(void)
{
    fprintf(stderr, "usage: bench_ingest [-n PEOPLE] [-s SEED] [-t SECONDS]\n"
                    "                    [-v VOCABULARY-DIRECTORY] STATE-DIRECTORY\n");
    exit(2);
}

static void read_options(struct bench *b, int argc, char **argv)
{
    static const char *const languages[] = {"english", "norwegian", NULL};
    char problem[WC_VOCABULARY_PROBLEM_BYTES];
    for (int c; (c = getopt(argc, argv, "n:s:t:v:")) != -1;) {
        const char *directories[] = {optarg, NULL};
        if (c == 'n')
            b->people = strtoull(optarg, NULL, 10);
        else if (c == 's')
            b->seed = strtoull(optarg, NULL, 10);
        else if (c == 't')
            b->seconds = strtoull(optarg, NULL, 10);
        else if (c == 'v')
            check(wc_vocabulary_load(&b->vocabulary, directories, languages, problem),
                  optarg);
        else
            usage();
    }
    if (argc - optind != 1 || b->people == 0 || b->people > 9000000)
        usage();
    b->directory = argv[optind];
}

int main(int argc, char **argv)
{
    static struct bench b = {.people = 10000, .seed = 1, .seconds = 5};
    uint8_t seeds[WC_STANDALONE_SEED_BYTES] = {1}, seed[WC_KEY_BYTES] = {2};
    char problem[WC_PROBLEM_BYTES];
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_options(&b, argc, argv);
    random_state = b.seed;
    invent_words();
    check(wc_crypto_init(), "crypto");
    check(wc_identity_standalone(&b.office, "bench", NOW_MS, seeds), "office");
    wc_signer_init(&b.person, seed);
    check(wc_records_open(&b.records, b.directory, problem), problem);
    if (wc_records_people_count(b.records, NULL) > 0) {
        fprintf(stderr, "bench_ingest: %s is not empty\n", b.directory);
        return 2;
    }
    open_index(&b, NULL, NULL);
    printf("%llu people, seed %llu\n", (unsigned long long)b.people,
           (unsigned long long)b.seed);
    measure_verify(&b);
    ingest(&b);
    sizes(&b, "grown   ");
    all_there(&b);
    build(&b);
    all_there(&b);
    sizes(&b, "built   ");
    invent_questions();
    if (b.seconds > 0)
        search_meanwhile(&b);
    wc_index_tidy(b.index);
    wc_index_tidy(b.index);
    printf("memory   %.0f MB that is no file, at rest\n", status_mb("RssAnon:"));
    wc_index_close(b.index);
    wc_records_close(b.records);
    wc_vocabulary_free(b.vocabulary);
    return 0;
}
