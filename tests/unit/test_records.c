/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "daemon/records.h"
#include "daemon/records_log.h"
#include "tests/unit/scratch.h"
#include "tests/unit/staff.h"
#include "tests/unit/unit.h"

static struct wc_records *open_records(void)
{
    char problem[WC_PROBLEM_BYTES];
    struct wc_records *r;
    int rc = wc_records_open(&r, scratch_path("state"), problem);
    if (rc != 0)
        fail_msg("%s: %s", wc_strerror(rc), problem);
    return r;
}

static void refused(const char *dir, int rc, const char *says)
{
    char problem[WC_PROBLEM_BYTES];
    struct wc_records *r;
    assert_int_equal(wc_records_open(&r, dir, problem), rc);
    assert_null(r);
    if (strstr(problem, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem, says);
}

static struct wc_change profile(struct office *o, const char *subject, uint64_t rev)
{
    struct wc_person p;
    person_texts(&p, "Alice Archer", "Librarian", "Libraries");
    person_skill(&p, "cataloguing", WC_LEVEL_EXPERT);
    return office_person(o, WC_KIND_PROFILE, subject, rev, &p);
}

static struct wc_change row(struct office *o, const char *subject, uint64_t rev)
{
    struct wc_person p;
    person_texts(&p, "Alice Archer", "Librarian", "Libraries");
    return office_person(o, WC_KIND_ROW, subject, rev, &p);
}

/* ---- the state directory ---- */

static void test_state_directory(void **state)
{
    (void)state;
    struct stat st;
    wc_records_close(open_records());
    assert_int_equal(stat(scratch_path("state"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(scratch_path("state/records/data.mdb"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    wc_records_close(open_records());

    assert_int_equal(chmod(scratch_path("state"), 0750), 0);
    refused(scratch_path("state"), -WC_EDENIED, "(mode 0750): chmod 700");
    assert_int_equal(chmod(scratch_path("state"), 0701), 0);
    refused(scratch_path("state"), -WC_EDENIED, "chmod 700");
    scratch_write(scratch_path("file"), "", 0);
    refused(scratch_path("file"), -WC_EDENIED, "Not a directory");
    refused(scratch_path("no/state"), -WC_EDENIED, "cannot create");
    if (geteuid() != 0) {
        print_message("another user's directory needs root: not tried\n");
        return;
    }
    assert_int_equal(chmod(scratch_path("state"), 0700), 0);
    assert_int_equal(chown(scratch_path("state"), 12345, 12345), 0);
    refused(scratch_path("state"), -WC_EDENIED, "belongs to uid 12345");
    assert_int_equal(chown(scratch_path("state"), 0, 0), 0);
    wc_records_close(open_records());
}

static void test_one_daemon_for_one_directory(void **state)
{
    (void)state;
    char says[64];
    struct wc_records *r = open_records();
    snprintf(says, sizeof(says), "another whocand (pid %ld) is using", (long)getpid());
    refused(scratch_path("state"), -WC_EBUSY, says);
    /* The failed attempt has not let go of the lock. */
    refused(scratch_path("state"), -WC_EBUSY, says);
    wc_records_close(r);
    wc_records_close(open_records());
    wc_records_close(NULL);
}

/* ---- records ---- */

static void same_record(struct wc_records *r, const struct wc_change *c)
{
    struct wc_buf got = {0};
    assert_int_equal(wc_records_get(r, c->slot, &got), 0);
    assert_true(wc_slice_eq(wc_buf_slice(&got), wc_slice(c->bytes, c->len)));
    wc_buf_fini(&got);
}

static uint64_t record_count(struct wc_records *r)
{
    struct wc_records_usage u;
    wc_records_usage(r, &u);
    assert_true(u.map_bytes >= u.used_bytes && u.used_bytes > 0);
    return u.records_count;
}

static void test_a_newer_record_replaces(void **state)
{
    (void)state;
    struct office leeds;
    struct wc_buf none = {0};
    office_init(&leeds, "leeds", 1);
    struct wc_records *r = open_records();
    struct wc_change c[] = {profile(&leeds, "alice", 1), profile(&leeds, "bob", 1)};
    assert_int_equal(wc_records_get(r, c[0].slot, &none), -WC_ENOTFOUND);
    assert_int_equal(wc_records_commit(r, c, 2), 0);
    same_record(r, &c[0]);
    same_record(r, &c[1]);

    struct wc_change newer = profile(&leeds, "alice", 2);
    assert_memory_equal(newer.slot, c[0].slot, WC_DIGEST_BYTES);
    assert_int_equal(wc_records_commit(r, &newer, 1), 0);
    same_record(r, &newer);
    assert_int_equal(record_count(r), 2);
    wc_records_close(r);

    r = open_records();
    same_record(r, &newer);
    same_record(r, &c[1]);
    struct wc_change drop = office_drop(&leeds, WC_KIND_PROFILE, "bob");
    assert_int_equal(wc_records_commit(r, &drop, 1), 0);
    assert_int_equal(wc_records_commit(r, &drop, 1), 0); /* nothing to drop: fine */
    assert_int_equal(wc_records_get(r, c[1].slot, &none), -WC_ENOTFOUND);
    assert_int_equal(record_count(r), 1);
    wc_records_close(r);
    change_fini(&c[0]);
    change_fini(&c[1]);
    change_fini(&newer);
}

static void test_a_bad_change_changes_nothing(void **state)
{
    (void)state;
    struct office leeds;
    office_init(&leeds, "leeds", 1);
    struct wc_records *r = open_records();
    struct wc_change c[] = {profile(&leeds, "alice", 1), profile(&leeds, "bob", 1)};
    c[1].bytes[0] = 0xc1;
    assert_true(wc_records_commit(r, c, 2) < 0);
    assert_int_equal(record_count(r), 0);
    assert_int_equal(wc_records_people_count(r, NULL), 0);
    c[1].kind = WC_KIND_ROW; /* not what the record is */
    c[1].bytes[0] = c[0].bytes[0];
    assert_int_equal(wc_records_commit(r, c, 2), -WC_EINVALID);
    assert_int_equal(record_count(r), 0);
    change_fini(&c[0]);
    change_fini(&c[1]);
    wc_records_close(r);
}

struct seen {
    uint8_t kinds[64];
    uint32_t count, stop_at;
};

static int see(void *ctx, struct wc_slice bytes)
{
    struct seen *s = ctx;
    struct wc_record record;
    assert_int_equal(wc_record_decode(bytes, &record, NULL), 0);
    s->kinds[s->count++] = record.kind;
    return s->count == s->stop_at ? 42 : 0;
}

static void test_each_gives_cards_first(void **state)
{
    (void)state;
    struct office leeds;
    office_init(&leeds, "leeds", 1);
    struct wc_records *r = open_records();
    struct wc_change c[] = {profile(&leeds, "alice", 1), row(&leeds, "bob", 1),
                            office_card(&leeds)};
    assert_int_equal(commit(r, c, 3), 0);
    struct seen s = {.count = 0};
    uint64_t damaged = 9;
    assert_int_equal(wc_records_each(r, see, &s, &damaged), 0);
    assert_int_equal(damaged, 0);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.kinds[0], WC_KIND_CARD);
    assert_int_equal(s.kinds[1], WC_KIND_PROFILE);
    assert_int_equal(s.kinds[2], WC_KIND_ROW);
    s = (struct seen){.stop_at = 2};
    assert_int_equal(wc_records_each(r, see, &s, NULL), 42);
    assert_int_equal(s.count, 2);
    wc_records_close(r);
}

static int count_each(void *ctx, struct wc_slice bytes)
{
    (void)bytes;
    ++*(uint64_t *)ctx;
    return 0;
}

/* More than one transaction's worth, with a walk that starts anew within. */
static void test_each_walks_far(void **state)
{
    (void)state;
    enum { PEOPLE = 600, ABOUT = 900 };
    static char about[ABOUT + 1];
    struct office leeds;
    struct wc_change *c = calloc(PEOPLE, sizeof(*c));
    assert_non_null(c);
    memset(about, 'x', ABOUT);
    office_init(&leeds, "leeds", 1);
    struct wc_records *r = open_records();
    for (int batch = 0; batch < 3; batch++) {
        for (int i = 0; i < PEOPLE; i++) {
            char subject[32];
            struct wc_person p;
            person_texts(&p, "A", "B", "C");
            person_about(&p, about);
            snprintf(subject, sizeof(subject), "p%d.%d", batch, i);
            c[i] = office_person(&leeds, WC_KIND_PROFILE, subject, 1, &p);
        }
        assert_int_equal(commit(r, c, PEOPLE), 0);
    }
    uint64_t n = 0;
    assert_int_equal(wc_records_each(r, count_each, &n, NULL), 0);
    assert_int_equal(n, 3 * PEOPLE);
    assert_int_equal(wc_records_people_count(r, NULL), 3 * PEOPLE);
    free(c);
    wc_records_close(r);
}

/* Flip one bit wherever `needle` stands in the file. */
static int flip(const char *path, const void *needle, size_t len)
{
    int found = 0, fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *bytes = malloc((size_t)st.st_size);
    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
    for (off_t i = 0; i + (off_t)len <= st.st_size; i++) {
        if (memcmp(bytes + i, needle, len) != 0)
            continue;
        bytes[i] ^= 0x20;
        assert_int_equal(pwrite(fd, bytes + i, 1, i), 1);
        found++;
    }
    free(bytes);
    close(fd);
    return found;
}

static void test_flipped_bits_are_never_data(void **state)
{
    (void)state;
    struct office leeds;
    struct wc_buf out = {0};
    office_init(&leeds, "leeds", 1);
    struct wc_records *r = open_records();
    struct wc_person p;
    person_texts(&p, "Zebedee Quill", "Clerk", "Registry");
    struct wc_change c[] = {profile(&leeds, "alice", 1),
                            office_person(&leeds, WC_KIND_ROW, "zeb", 1, &p)};
    assert_int_equal(wc_records_commit(r, c, 2), 0);
    wc_records_close(r);
    assert_true(flip(scratch_path("state/records/data.mdb"), "Zebedee", 7) > 0);

    r = open_records();
    uint64_t n = 0, damaged = 0;
    assert_int_equal(wc_records_get(r, c[1].slot, &out), -WC_ECORRUPT);
    assert_int_equal(out.len, 0);
    same_record(r, &c[0]);
    assert_int_equal(wc_records_each(r, count_each, &n, &damaged), 0);
    assert_int_equal(n, 1);
    assert_int_equal(damaged, 1);
    /* A newer record takes the place of the damaged one. */
    struct wc_change again = office_person(&leeds, WC_KIND_ROW, "zeb", 2, &p);
    assert_int_equal(wc_records_commit(r, &again, 1), 0);
    same_record(r, &again);
    wc_records_close(r);
    change_fini(&c[0]);
    change_fini(&c[1]);
    change_fini(&again);
    wc_buf_fini(&out);
}

/* ---- people ---- */

static void test_who_is_a_person(void **state)
{
    (void)state;
    struct office leeds, bergen;
    struct wc_person_ref refs[8];
    office_init(&leeds, "leeds", 1);
    office_init(&bergen, "bergen", 2);
    struct wc_records *r = open_records();
    assert_int_equal(wc_records_people(r, NULL, NULL, refs, 8), 0);
    struct wc_change c[] = {row(&leeds, "alice", 1),    profile(&leeds, "alice", 1),
                            row(&leeds, "bob", 1),      profile(&leeds, "carol", 1),
                            profile(&bergen, "ida", 1), office_card(&leeds)};
    assert_int_equal(commit(r, c, 6), 0);
    assert_int_equal(wc_records_people_count(r, NULL), 4);
    assert_int_equal(wc_records_people_count(r, leeds.key), 3);
    assert_int_equal(wc_records_people_count(r, bergen.key), 1);

    /* Either side keeps Alice a person; neither ends her. */
    assert_int_equal(commit_one(r, office_drop(&leeds, WC_KIND_ROW, "alice")), 0);
    assert_int_equal(wc_records_people_count(r, leeds.key), 3);
    assert_int_equal(commit_one(r, office_retire(&leeds, WC_KIND_PROFILE, "alice", 2)),
                     0);
    assert_int_equal(wc_records_people_count(r, leeds.key), 2);
    assert_int_equal(wc_records_people_count(r, NULL), 3);
    assert_int_equal(record_count(r), 5); /* the retirement holds its slot */
    assert_int_equal(commit_one(r, profile(&leeds, "alice", 3)), 0);
    assert_int_equal(wc_records_people_count(r, leeds.key), 3);
    assert_int_equal(commit_one(r, office_drop(&bergen, WC_KIND_PROFILE, "ida")), 0);
    assert_int_equal(wc_records_people_count(r, bergen.key), 0);
    assert_int_equal(wc_records_people(r, bergen.key, NULL, refs, 8), 0);
    wc_records_close(r);
}

static void test_people_page_by_page(void **state)
{
    (void)state;
    static const char *const names[] = {"anne", "ben", "cai", "dag", "eve"};
    struct office offices[2];
    struct wc_person_ref refs[8], all[10];
    struct wc_records *r = open_records();
    office_init(&offices[0], "leeds", 1);
    office_init(&offices[1], "bergen", 2);
    for (int o = 0; o < 2; o++)
        for (int i = 4; i >= 0; i--)
            assert_int_equal(commit_one(r, row(&offices[o], names[i], 1)), 0);

    int n = 0, got;
    while ((got = wc_records_people(r, NULL, n > 0 ? &all[n - 1] : NULL, refs, 3)) >
           0) {
        memcpy(&all[n], refs, (size_t)got * sizeof(refs[0]));
        n += got;
    }
    assert_int_equal(got, 0);
    assert_int_equal(n, 10);
    for (int i = 1; i < n; i++) {
        int order = memcmp(all[i - 1].office_key, all[i].office_key, WC_KEY_BYTES);
        assert_true(order < 0 ||
                    (order == 0 && strcmp(all[i - 1].subject, all[i].subject) < 0));
    }
    struct wc_person_ref after = {.subject = "bob"}; /* need not exist */
    memcpy(after.office_key, offices[0].key, WC_KEY_BYTES);
    assert_int_equal(wc_records_people(r, offices[0].key, &after, refs, 8), 3);
    assert_string_equal(refs[0].subject, "cai");
    assert_int_equal(wc_records_people(r, offices[0].key, NULL, refs, 2), 2);
    assert_string_equal(refs[1].subject, "ben");
    assert_int_equal(wc_records_people(r, offices[0].key, &refs[1], refs, 0), 0);
    wc_records_close(r);
}

/* ---- values beside the records ---- */

static void test_meta_and_clear(void **state)
{
    (void)state;
    struct office leeds;
    struct wc_buf out = {0};
    struct wc_records_state before, after;
    office_init(&leeds, "leeds", 1);
    struct wc_records *r = open_records();
    assert_int_equal(wc_records_meta_get(r, "identity", &out), -WC_ENOTFOUND);
    assert_int_equal(wc_records_meta_get(r, "sequence", &out), -WC_ENOTFOUND);
    assert_int_equal(wc_records_meta_put(r, "identity", wc_slice_text("me")), 0);
    assert_int_equal(wc_records_meta_put(r, "sequence", wc_slice_text("mine")), 0);
    struct wc_change c[] = {row(&leeds, "alice", 1), office_card(&leeds)};
    assert_int_equal(commit(r, c, 2), 0);
    assert_int_equal(wc_records_state(r, &before), 0);
    assert_int_equal(before.sequence, 2);

    assert_int_equal(wc_records_clear(r), 0);
    assert_int_equal(record_count(r), 0);
    assert_int_equal(wc_records_people_count(r, NULL), 0);
    assert_int_equal(wc_records_people_count(r, leeds.key), 0);
    assert_int_equal(wc_records_state(r, &after), 0);
    assert_memory_not_equal(before.instance, after.instance, WC_INSTANCE_BYTES);
    assert_int_equal(wc_records_meta_get(r, "identity", &out), 0);
    assert_true(wc_slice_is(wc_buf_slice(&out), "me"));
    assert_int_equal(commit_one(r, row(&leeds, "bob", 1)), 0);
    wc_records_tidy(r);
    assert_int_equal(wc_records_state(r, &after), 0);
    assert_int_equal(after.sequence, 3); /* goes on: a sequence never comes twice */
    wc_buf_fini(&out);
    wc_records_close(r);
}

/* ---- the log ---- */

static void test_the_log(void **state)
{
    (void)state;
    struct office leeds;
    struct wc_log_entry log[8];
    office_init(&leeds, "leeds", 1);
    struct wc_records *r = open_records();
    struct wc_change c[] = {row(&leeds, "alice", 1), office_card(&leeds),
                            office_drop(&leeds, WC_KIND_ROW, "alice"),
                            profile(&leeds, "bob", 1)};
    assert_int_equal(commit(r, c, 4), 0);
    assert_int_equal(wc_records_log(r, 0, log, 8), 4);
    assert_int_equal(log[0].sequence, 1);
    assert_int_equal(log[0].kind, WC_KIND_ROW);
    assert_string_equal(log[0].who.subject, "alice");
    assert_memory_equal(log[0].who.office_key, leeds.key, WC_KEY_BYTES);
    assert_int_equal(log[1].kind, WC_KIND_CARD);
    assert_string_equal(log[2].who.subject, "alice");
    assert_int_equal(wc_records_log(r, 2, log, 8), 2);
    assert_int_equal(wc_records_log(r, 2, log, 1), 1);
    assert_int_equal(log[0].sequence, 3);
    assert_int_equal(wc_records_log(r, 4, log, 8), 0);

    wc_records_indexed(r, 3);
    assert_int_equal(commit_one(r, profile(&leeds, "carol", 1)), 0);
    assert_int_equal(wc_records_log(r, 2, log, 8), -WC_ESTALE);
    assert_int_equal(wc_records_log(r, 3, log, 8), 2);
    assert_string_equal(log[0].who.subject, "bob");
    wc_records_close(r);
    r = open_records();
    assert_int_equal(wc_records_log(r, 2, log, 8), -WC_ESTALE);
    assert_int_equal(wc_records_log(r, 3, log, 8), 2);
    wc_records_close(r);
}

/* ---- threads and crashes ---- */

struct shared {
    struct wc_records *records;
    uint8_t slot[WC_DIGEST_BYTES];
    atomic_bool stop;
    atomic_ulong reads;
};

static void *read_loop(void *arg)
{
    struct shared *s = arg;
    struct wc_buf out = {0};
    while (!atomic_load(&s->stop)) {
        uint64_t n = 0, damaged = 0;
        wc_buf_reset(&out);
        assert_int_equal(wc_records_get(s->records, s->slot, &out), 0);
        assert_int_equal(wc_records_each(s->records, count_each, &n, &damaged), 0);
        assert_int_equal(damaged, 0);
        assert_true(n >= 1);
        atomic_fetch_add(&s->reads, 1);
    }
    wc_buf_fini(&out);
    return NULL;
}

static void test_readers_beside_a_committer(void **state)
{
    (void)state;
    struct office leeds;
    pthread_t threads[2];
    office_init(&leeds, "leeds", 1);
    struct shared s = {.records = open_records()};
    struct wc_change first = profile(&leeds, "alice", 1);
    memcpy(s.slot, first.slot, sizeof(s.slot));
    assert_int_equal(commit_one(s.records, first), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_loop, &s), 0);
    for (uint64_t rev = 2; rev < 40 || atomic_load(&s.reads) < 40; rev++) {
        char subject[32];
        snprintf(subject, sizeof(subject), "p%u", (unsigned)(rev % 100));
        struct wc_change c[] = {profile(&leeds, "alice", rev),
                                profile(&leeds, subject, rev)};
        assert_int_equal(commit(s.records, c, 2), 0);
    }
    atomic_store(&s.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    wc_records_close(s.records);
}

static void test_acknowledged_commits_survive_a_kill(void **state)
{
    (void)state;
    int pipes[2], acknowledged = 0, last;
    struct office leeds;
    office_init(&leeds, "leeds", 1);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        struct wc_records *r = open_records();
        for (int i = 0;; i++) {
            char subject[32];
            snprintf(subject, sizeof(subject), "p%d", i);
            if (commit_one(r, row(&leeds, subject, 1)) != 0 ||
                write(pipes[1], &i, sizeof(i)) != sizeof(i))
                _exit(1);
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

    struct wc_records *r = open_records(); /* the lock went with the process */
    struct wc_records_state at;
    struct wc_buf out = {0};
    for (int i = 0; i < acknowledged; i++) {
        char subject[32];
        uint8_t slot[WC_DIGEST_BYTES];
        snprintf(subject, sizeof(subject), "p%d", i);
        wc_slot(slot, WC_KIND_ROW, leeds.key, subject);
        assert_int_equal(wc_records_get(r, slot, &out), 0);
    }
    assert_int_equal(wc_records_state(r, &at), 0);
    assert_int_equal(at.sequence, wc_records_people_count(r, NULL));
    wc_buf_fini(&out);
    wc_records_close(r);
}

/* ---- erasure ---- */

static struct wc_change erase(struct office *o, uint8_t ends_kind, const char *subject,
                              uint64_t rev)
{
    struct wc_buf body = {0};
    assert_int_equal(wc_retire_body(o->key, subject, rev, ends_kind, true, &body), 0);
    return office_change(o, WC_KIND_RETIRE, ends_kind, subject, &body);
}

static bool in_file(const char *path, const char *text)
{
    struct wc_buf all = {0};
    uint8_t bytes[65536];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), f)) > 0;)
        wc_buf_append(&all, bytes, n);
    fclose(f);
    bool found = memmem(all.data, all.len, text, strlen(text)) != NULL;
    wc_buf_fini(&all);
    return found;
}

/* A retirement does not say whom it ends: the store knows it from what it takes away. */
static void test_a_retirement_ends_whom_the_slot_was_about(void **state)
{
    (void)state;
    struct office o, other;
    struct wc_log_entry log[8];
    struct wc_person_ref refs[8];
    office_init(&o, "leeds", 1);
    office_init(&other, "bergen", 2);
    struct wc_records *r = open_records();
    struct wc_change c[] = {profile(&o, "zqloginwx", 1), row(&o, "zqloginwx", 1),
                            row(&o, "bob", 1), row(&other, "zqloginwx", 1)};
    assert_int_equal(commit(r, c, 4), 0);
    struct wc_change gone = erase(&o, WC_KIND_PROFILE, "zqloginwx", 2);
    assert_int_equal(strlen(gone.subject), 2 * WC_DIGEST_BYTES); /* a hash */
    assert_int_equal(commit_one(r, gone), 0);
    assert_int_equal(wc_records_people_count(r, o.key), 2); /* the row is left */
    assert_int_equal(wc_records_log(r, 4, log, 8), 1);
    assert_int_equal(log[0].kind, WC_KIND_PROFILE);
    assert_string_equal(log[0].who.subject, "zqloginwx");
    assert_int_equal(commit_one(r, erase(&o, WC_KIND_ROW, "zqloginwx", 2)), 0);
    assert_int_equal(wc_records_people_count(r, o.key), 1);
    assert_int_equal(wc_records_people(r, o.key, NULL, refs, 8), 1);
    assert_string_equal(refs[0].subject, "bob");
    assert_int_equal(wc_records_people_count(r, other.key), 1); /* is somebody else */

    /* Of nobody, or of somebody who is gone already: there is nobody to look at. */
    assert_int_equal(commit_one(r, erase(&o, WC_KIND_ROW, "zqloginwx", 3)), 0);
    assert_int_equal(commit_one(r, erase(&o, WC_KIND_ROW, "nobody", 1)), 0);
    struct wc_change over = office_drop(&o, WC_KIND_ROW, "zqloginwx");
    snprintf(over.subject, sizeof(over.subject), "%064d", 0); /* as the node has it */
    assert_int_equal(commit_one(r, over), 0);
    assert_int_equal(wc_records_people_count(r, o.key), 1);
    assert_int_equal(wc_records_log(r, 6, log, 8), 0);

    /* The log does not keep the name over an erasure. */
    assert_int_equal(commit_one(r, office_drop(&other, WC_KIND_ROW, "zqloginwx")), 0);
    wc_records_indexed(r, 10);
    assert_true(in_file(scratch_path("state/records/data.mdb"), "zqloginwx"));
    assert_int_equal(wc_records_compact(r), 0);
    assert_false(in_file(scratch_path("state/records/data.mdb"), "zqloginwx"));
    assert_true(in_file(scratch_path("state/records/data.mdb"), "bob"));
    wc_records_close(r);
}

/* What is damaged does not say whose it was, and they are gone all the same. */
static void test_a_retirement_ends_what_is_damaged(void **state)
{
    (void)state;
    struct office o, other;
    struct wc_log_entry log[2];
    struct wc_person p;
    office_init(&o, "leeds", 1);
    office_init(&other, "bergen", 2);
    person_texts(&p, "Zebedee Quill", "Clerk", "Registry");
    struct wc_records *r = open_records();
    struct wc_change c[] = {row(&o, "alice", 1),
                            office_person(&o, WC_KIND_ROW, "zeb", 1, &p),
                            row(&other, "zeb", 1), row(&o, "zoe", 1)};
    assert_int_equal(commit(r, c, 4), 0);
    wc_records_close(r);
    assert_true(flip(scratch_path("state/records/data.mdb"), "Zebedee", 7) > 0);
    r = open_records();
    assert_int_equal(wc_records_people_count(r, o.key), 3);
    assert_int_equal(commit_one(r, office_retire(&o, WC_KIND_ROW, "zeb", 2)), 0);
    assert_int_equal(wc_records_people_count(r, o.key), 2);
    assert_int_equal(wc_records_people_count(r, other.key), 1);
    assert_int_equal(wc_records_log(r, 4, log, 2), 1);
    assert_string_equal(log[0].who.subject, "zeb");
    wc_records_close(r);
}

static int marks(struct wc_records *r, uint8_t first[WC_ERASED_MARK_BYTES])
{
    static uint8_t all[WC_ERASED_MAX_COUNT][WC_ERASED_MARK_BYTES];
    int count = wc_records_erased_marks(r, all);
    if (count > 0)
        memcpy(first, all[count - 1], WC_ERASED_MARK_BYTES);
    return count;
}

static void test_erasures_wait_until_they_are_completed(void **state)
{
    (void)state;
    struct office o;
    struct wc_record record;
    uint8_t mark[WC_ERASED_MARK_BYTES], last[WC_ERASED_MARK_BYTES];
    office_init(&o, "leeds", 1);
    struct wc_records *r = open_records();
    assert_int_equal(commit_one(r, profile(&o, "alice", 1)), 0);
    assert_int_equal(commit_one(r, office_retire(&o, WC_KIND_PROFILE, "alice", 2)), 0);
    assert_int_equal(wc_records_erasures_waiting(r), 0); /* she merely left */
    struct wc_change change = erase(&o, WC_KIND_PROFILE, "alice", 3);
    assert_int_equal(
        wc_record_decode(wc_slice(change.bytes, change.len), &record, NULL), 0);
    memcpy(mark, record.version.digest, sizeof(mark));
    assert_int_equal(commit_one(r, change), 0);
    assert_int_equal(commit_one(r, erase(&o, WC_KIND_ROW, "alice", 1)), 0);
    assert_int_equal(wc_records_erasures_waiting(r), 2);
    assert_int_equal(marks(r, last), 0);
    wc_records_close(r); /* they wait across a restart */
    r = open_records();
    assert_int_equal(wc_records_erasures_waiting(r), 2);
    assert_int_equal(wc_records_compact(r), 0);
    assert_int_equal(wc_records_erased(r, 1000), 0);
    assert_int_equal(wc_records_erasures_waiting(r), 0);
    assert_int_equal(marks(r, last), 2);

    /* The newest are kept, whatever their marks are. */
    for (uint64_t i = 0; i < WC_ERASED_MAX_COUNT + 5; i++) {
        change = erase(&o, WC_KIND_PROFILE, "bob", i + 1);
        assert_int_equal(
            wc_record_decode(wc_slice(change.bytes, change.len), &record, NULL), 0);
        memcpy(mark, record.version.digest, sizeof(mark));
        assert_int_equal(commit_one(r, change), 0);
        if (i % 50 == 0 || i == WC_ERASED_MAX_COUNT + 4) {
            assert_int_equal(wc_records_erased(r, 2000 + i), 0);
            assert_true(marks(r, last) <= WC_ERASED_MAX_COUNT);
        }
    }
    assert_int_equal(marks(r, last), WC_ERASED_MAX_COUNT);
    wc_records_close(r);
    r = open_records();
    assert_int_equal(marks(r, last), WC_ERASED_MAX_COUNT);
    wc_records_close(r);
}

static int add_key(void *ctx, struct wc_slice key, struct wc_slice value)
{
    wc_buf_append(ctx, key.data, key.len);
    wc_buf_text(ctx, "=");
    wc_buf_append(ctx, value.data, value.len);
    wc_buf_text(ctx, ";");
    return 0;
}

static void assert_values(struct wc_records *r, const char *prefix,
                          const char *expected)
{
    struct wc_buf all = {0};
    assert_int_equal(wc_records_meta_each(r, prefix, add_key, &all), 0);
    if (!wc_slice_is(wc_buf_slice(&all), expected))
        fail_msg("%.*s and not %s", (int)all.len, (const char *)all.data, expected);
    wc_buf_fini(&all);
}

static void test_small_values_by_their_prefix(void **state)
{
    (void)state;
    struct wc_records *r = open_records();
    const struct wc_meta_edit edits[] = {
        {.key = "person/al/x", .value = wc_slice_text("1")},
        {.key = "person/alice/b", .value = wc_slice_text("2")},
        {.key = "person/alice/a", .value = wc_slice_text("3")},
        {.key = "person/alicea/a", .value = wc_slice_text("4")},
    };
    assert_int_equal(wc_records_meta_edit(r, edits, 4), 0);
    assert_values(r, "person/alice/", "person/alice/a=3;person/alice/b=2;");
    assert_values(r, "person/bob/", "");
    assert_values(r, "zzz", "");
    const struct wc_meta_edit drops[] = {{.key = "person/alice/b", .drop = true},
                                         {.key = "person/none", .drop = true}};
    assert_int_equal(wc_records_meta_edit(r, drops, 2), 0);
    assert_values(r, "person/", "person/al/x=1;person/alice/a=3;person/alicea/a=4;");
    assert_int_equal(wc_records_meta_forget(r, "person/alice/"), 0);
    assert_int_equal(wc_records_meta_forget(r, "person/alice/"), 0);
    assert_values(r, "person/", "person/al/x=1;person/alicea/a=4;");
    wc_records_close(r);
}

/* A profile and what stands beside it are durable together, or neither is: in one
 * transaction, so that what fails in either undoes both. */
static void test_a_value_beside_a_record_goes_with_it(void **state)
{
    (void)state;
    struct wc_records *r = open_records();
    struct office leeds;
    office_init(&leeds, "leeds", 1);
    struct wc_change first = profile(&leeds, "alice", 1);
    struct wc_change second = profile(&leeds, "alice", 2);
    struct wc_meta_edit beside = {.key = "person/alice/local",
                                  .value = wc_slice_text("1")};
    first.beside = &beside;
    assert_int_equal(wc_records_commit(r, &first, 1), 0);
    assert_values(r, "person/alice/", "person/alice/local=1;");

    struct wc_meta_edit claim = {
        .key = "person/alice/local", .value = wc_slice_text("2"), .claim = true};
    second.beside = &claim;
    assert_int_equal(wc_records_commit(r, &second, 1), -WC_EEXISTS);
    same_record(r, &first);
    assert_values(r, "person/alice/", "person/alice/local=1;");

    struct wc_change bad = profile(&leeds, "bob", 1);
    bad.kind = WC_KIND_ROW; /* it is a profile */
    claim.claim = false;
    struct wc_change both[] = {second, bad};
    assert_int_equal(wc_records_commit(r, both, 2), -WC_EINVALID);
    same_record(r, &first);
    assert_values(r, "person/alice/", "person/alice/local=1;");

    claim.drop = true;
    assert_int_equal(wc_records_commit(r, &second, 1), 0);
    same_record(r, &second);
    assert_values(r, "person/alice/", "");
    change_fini(&first);
    change_fini(&second);
    change_fini(&bad);
    wc_records_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_state_directory),
        SCRATCH_TEST(test_one_daemon_for_one_directory),
        SCRATCH_TEST(test_a_newer_record_replaces),
        SCRATCH_TEST(test_a_bad_change_changes_nothing),
        SCRATCH_TEST(test_a_value_beside_a_record_goes_with_it),
        SCRATCH_TEST(test_each_gives_cards_first),
        SCRATCH_TEST(test_each_walks_far),
        SCRATCH_TEST(test_flipped_bits_are_never_data),
        SCRATCH_TEST(test_who_is_a_person),
        SCRATCH_TEST(test_people_page_by_page),
        SCRATCH_TEST(test_meta_and_clear),
        SCRATCH_TEST(test_the_log),
        SCRATCH_TEST(test_readers_beside_a_committer),
        SCRATCH_TEST(test_acknowledged_commits_survive_a_kill),
        SCRATCH_TEST(test_a_retirement_ends_whom_the_slot_was_about),
        SCRATCH_TEST(test_a_retirement_ends_what_is_damaged),
        SCRATCH_TEST(test_erasures_wait_until_they_are_completed),
        SCRATCH_TEST(test_small_values_by_their_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
