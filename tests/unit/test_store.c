/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "daemon/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

/* ---- a disk that fails: these stand in front of libc's ---- */

static atomic_int flush_count; /* flushes so far */
static atomic_int flush_fails; /* fail from this one on; 0: never */

static int step_begin(void);
static long step_end(int n, long result);

static int flush(long number, int fd)
{
    int fails = atomic_load(&flush_fails);
    if (atomic_fetch_add(&flush_count, 1) + 1 >= fails && fails > 0) {
        errno = EIO;
        return -1;
    }
    int n = step_begin();
    return (int)step_end(n, syscall(number, fd));
}

int fsync(int fd)
{
    return flush(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return flush(SYS_fdatasync, fd);
}

static void fail_flush(int from)
{
    atomic_store(&flush_count, 0);
    atomic_store(&flush_fails, from);
}

static atomic_bool short_writes; /* write a part of what is asked */
static atomic_bool no_room;      /* reserving space fails */

ssize_t writev(int fd, const struct iovec *parts, int part_count)
{
    if (!atomic_load(&short_writes))
        return syscall(SYS_writev, fd, parts, part_count);
    return write(fd, parts[0].iov_base, 512);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    if (atomic_load(&no_room))
        return ENOSPC;
    return syscall(SYS_fallocate, fd, 0, at, len) == 0 ? 0 : errno;
}

/* ---- a process that is killed at a step: before or after the nth call ---- */

static atomic_int steps;     /* calls so far while armed */
static atomic_int kill_step; /* 2n - 1: before the nth call, 2n: after it; 0: never */
static atomic_bool armed;
static atomic_bool no_space; /* every write fails */

static void kill_at(int moment)
{
    if (atomic_load(&kill_step) == moment)
        kill(getpid(), SIGKILL);
}

static int step_begin(void)
{
    if (!atomic_load(&armed))
        return 0;
    int n = atomic_fetch_add(&steps, 1) + 1;
    kill_at(2 * n - 1);
    return n;
}

static long step_end(int n, long result)
{
    if (n > 0)
        kill_at(2 * n);
    return result;
}

ssize_t write(int fd, const void *data, size_t len)
{
    if (atomic_load(&no_space) && fd > STDERR_FILENO) {
        errno = ENOSPC;
        return -1;
    }
    int n = step_begin();
    return step_end(n, syscall(SYS_write, fd, data, len));
}

int rename(const char *from, const char *to)
{
    int n = step_begin();
    return (int)step_end(n, syscall(SYS_rename, from, to));
}

int unlink(const char *path)
{
    int n = step_begin();
    return (int)step_end(n, syscall(SYS_unlink, path));
}

/* ---- helpers ---- */

enum { T_A, T_B };
static const char *const tables[] = {"a", "b", NULL};
static const struct wc_store_options plain = {
    .format = "test store", .version = 3, .tables = tables, .map_bytes = 1 << 20};

static struct wc_store *open_store(const char *path)
{
    char problem[WC_PROBLEM_BYTES];
    struct wc_store *s;
    assert_int_equal(wc_store_open(&s, path, &plain, NULL, problem), 0);
    return s;
}

static struct wc_slice text(const char *s)
{
    return wc_slice_text(s);
}

static struct wc_slice number(uint8_t bytes[8], uint64_t n)
{
    wc_put_u64(bytes, n);
    return wc_slice(bytes, 8);
}

struct put {
    uint64_t from, count;
    size_t value_len;
    int result; /* what the function returns in the end */
    int runs;
};

static int put_fn(struct wc_txn *t, void *ctx)
{
    struct put *p = ctx;
    static const uint8_t value[65536];
    uint8_t key[8];
    int rc = 0;
    p->runs++;
    for (uint64_t i = 0; rc == 0 && i < p->count; i++)
        rc =
            wc_txn_put(t, T_A, number(key, p->from + i), wc_slice(value, p->value_len));
    return rc != 0 ? rc : p->result;
}

static int put(struct wc_store *s, uint64_t from, uint64_t count, size_t value_len)
{
    struct put p = {.from = from, .count = count, .value_len = value_len};
    return wc_store_write(s, put_fn, &p);
}

static int count_fn(struct wc_txn *t, void *ctx)
{
    return wc_txn_count(t, T_A, ctx);
}

static uint64_t count(struct wc_store *s)
{
    uint64_t n = 0;
    assert_int_equal(wc_store_read(s, count_fn, &n), 0);
    return n;
}

static void refused(const char *path, const struct wc_store_options *o, int rc,
                    const char *says)
{
    char problem[WC_PROBLEM_BYTES];
    struct wc_store *s;
    assert_int_equal(wc_store_open(&s, path, o, NULL, problem), rc);
    assert_null(s);
    if (strstr(problem, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem, says);
}

/* ---- reading and writing ---- */

static int change_fn(struct wc_txn *t, void *ctx)
{
    (void)ctx;
    struct wc_slice v;
    uint8_t long_key[WC_STORE_KEY_MAX_BYTES + 1] = {0};
    assert_int_equal(wc_txn_get(t, T_A, text("one"), &v), -WC_ENOTFOUND);
    assert_int_equal(wc_txn_put(t, T_A, text("one"), text("1")), 0);
    assert_int_equal(wc_txn_put(t, T_A, text("one"), text("uno")), 0);
    assert_int_equal(wc_txn_put(t, T_A, text("two"), text("")), 0);
    assert_int_equal(wc_txn_get(t, T_A, text("one"), &v), 0);
    assert_true(wc_slice_is(v, "uno"));
    assert_int_equal(wc_txn_get(t, T_B, text("one"), &v), -WC_ENOTFOUND);
    assert_int_equal(wc_txn_append(t, T_B, text("m"), text("x")), 0);
    assert_int_equal(wc_txn_append(t, T_B, text("a"), text("x")), -WC_EINVALID);
    assert_int_equal(wc_txn_append(t, T_B, text("n"), text("y")), 0);
    assert_int_equal(wc_txn_del(t, T_B, text("zz")), -WC_ENOTFOUND);
    assert_int_equal(wc_txn_put(t, T_A, text(""), text("x")), -WC_ETOOBIG);
    assert_int_equal(
        wc_txn_put(t, T_A, wc_slice(long_key, sizeof(long_key)), text("x")),
        -WC_ETOOBIG);
    return 0;
}

static int walk_fn(struct wc_txn *t, void *ctx)
{
    struct wc_buf *seen = ctx;
    struct wc_cursor c;
    assert_int_equal(wc_cursor_open(&c, t, T_B), 0);
    for (int rc = wc_cursor_first(&c); rc == 0; rc = wc_cursor_next(&c)) {
        wc_buf_append(seen, c.key.data, c.key.len);
        wc_buf_append(seen, c.value.data, c.value.len);
    }
    assert_int_equal(wc_cursor_seek(&c, text("mm")), 0);
    assert_true(wc_slice_is(c.key, "n"));
    assert_int_equal(wc_cursor_seek(&c, text("o")), -WC_ENOTFOUND);
    assert_int_equal(wc_cursor_last(&c), 0);
    assert_true(wc_slice_is(c.key, "n"));
    wc_cursor_close(&c);
    wc_cursor_close(&c);
    return 7;
}

static int clear_fn(struct wc_txn *t, void *ctx)
{
    (void)ctx;
    return wc_txn_clear(t, T_A);
}

static void test_reads_and_writes(void **state)
{
    (void)state;
    bool created;
    char problem[WC_PROBLEM_BYTES];
    struct wc_buf seen = {0};
    struct wc_store *s;
    const char *path = scratch_path("s");
    assert_int_equal(wc_store_open(&s, path, &plain, &created, problem), 0);
    assert_true(created);
    assert_int_equal(wc_store_write(s, change_fn, NULL), 0);
    wc_store_close(s);

    assert_int_equal(wc_store_open(&s, path, &plain, &created, problem), 0);
    assert_false(created);
    assert_int_equal(count(s), 2);
    assert_int_equal(wc_store_read(s, walk_fn, &seen), 7);
    assert_true(wc_slice_is(wc_buf_slice(&seen), "mxny"));
    assert_int_equal(wc_store_write(s, clear_fn, NULL), 0);
    assert_int_equal(count(s), 0);
    wc_store_close(s);
    wc_store_close(NULL);
    wc_buf_fini(&seen);
    assert_int_equal(wc_store_remove(path), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(wc_store_remove(path), 0);
}

static void test_what_fails_changes_nothing(void **state)
{
    (void)state;
    struct wc_store *s = open_store(scratch_path("s"));
    assert_int_equal(put(s, 0, 10, 10), 0);
    struct put p = {.from = 10, .count = 10, .value_len = 10, .result = -WC_ESTALE};
    assert_int_equal(wc_store_write(s, put_fn, &p), -WC_ESTALE);
    assert_int_equal(p.runs, 1);
    assert_int_equal(count(s), 10);
    wc_store_close(s);
}

/* ---- what is not ours ---- */

static void test_refuses_other_stores(void **state)
{
    (void)state;
    const char *path = scratch_path("s");
    struct wc_store_options o = plain;
    wc_store_close(open_store(path));
    o.version = 2;
    refused(path, &o, -WC_EVERSION,
            "newer version of whocan (format 3, this one knows "
            "2): upgrade whocan");
    o.version = 4;
    refused(path, &o, -WC_EVERSION, "older version");
    o = plain;
    o.format = "another store";
    refused(path, &o, -WC_EVERSION, "not a store of whocan");

    const char *empty = scratch_path("empty");
    assert_int_equal(mkdir(empty, 0700), 0);
    refused(empty, &plain, -WC_EVERSION, "not a store of whocan");
    const char *file = scratch_path("file");
    scratch_write(file, "x", 1);
    refused(file, &plain, -WC_EVERSION, "not a store of whocan");
    refused(scratch_path("no/such/parent"), &plain, -WC_EIO, "cannot create");
}

static void test_refuses_damaged_files(void **state)
{
    (void)state;
    static uint8_t noise[32768];
    assert_int_equal(mkdir(scratch_path("s"), 0700), 0);
    scratch_write(scratch_path("s/data.mdb"), "", 0);
    refused(scratch_path("s"), &plain, -WC_ECORRUPT, "damaged");
    memset(noise, 0x5a, sizeof(noise));
    scratch_write(scratch_path("s/data.mdb"), noise, sizeof(noise));
    refused(scratch_path("s"), &plain, -WC_ECORRUPT, "damaged");
    /* what was there is still there */
    struct stat st;
    assert_int_equal(stat(scratch_path("s/data.mdb"), &st), 0);
    assert_int_equal(st.st_size, sizeof(noise));
}

static int read_all_fn(struct wc_txn *t, void *ctx)
{
    struct wc_cursor c;
    uint64_t *n = ctx;
    int rc = wc_cursor_open(&c, t, T_A);
    if (rc == 0)
        rc = wc_cursor_first(&c);
    for (; rc == 0; rc = wc_cursor_next(&c))
        ++*n;
    wc_cursor_close(&c);
    return rc;
}

static void test_a_file_cut_short_is_an_error(void **state)
{
    (void)state;
    char problem[WC_PROBLEM_BYTES];
    struct wc_store *s = open_store(scratch_path("s"));
    assert_int_equal(put(s, 0, 2000, 1000), 0);
    wc_store_close(s);
    assert_int_equal(truncate(scratch_path("s/data.mdb"), 200 * 4096L), 0);
    /* The root may be lost or may lie before the cut: an error, never a signal. */
    int rc = wc_store_open(&s, scratch_path("s"), &plain, NULL, problem);
    if (rc == 0) {
        uint64_t n = 0;
        rc = wc_store_read(s, read_all_fn, &n);
        assert_in_range(n, 0, 1999);
        wc_store_close(s);
    }
    assert_int_equal(rc, -WC_ECORRUPT);
}

/* ---- creation ---- */

static void test_creation_is_atomic(void **state)
{
    (void)state;
    char problem[WC_PROBLEM_BYTES];
    struct wc_store *s;
    const char *path = scratch_path("s");
    int failures = 0;
    for (int at = 1;; at++) {
        fail_flush(at);
        int rc = wc_store_open(&s, path, &plain, NULL, problem);
        bool reached = atomic_load(&flush_count) >= at;
        fail_flush(0);
        if (rc == 0) {
            assert_false(reached);
            break;
        }
        failures++;
        assert_int_equal(rc, -WC_EIO);
        assert_non_null(strstr(problem, "cannot create"));
        /* Nothing, or (when only the last flush failed) all of it. */
        s = open_store(path);
        assert_int_equal(put(s, 0, 1, 1), 0);
        wc_store_close(s);
        assert_int_equal(wc_store_remove(path), 0);
    }
    wc_store_close(s);
    assert_true(failures >= 4); /* the commit, the file, the directory, its parent */
}

static void test_an_interrupted_creation_is_no_obstacle(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("s.new"), 0700), 0);
    scratch_write(scratch_path("s.new/data.mdb"), "half", 4);
    wc_store_close(open_store(scratch_path("s")));
    assert_int_equal(access(scratch_path("s.new"), F_OK), -1);
}

/* ---- growth ---- */

static void test_map_grows_within_one_transaction(void **state)
{
    (void)state;
    struct wc_store_usage u;
    struct wc_store *s = open_store(scratch_path("s"));
    struct put p = {.from = 0, .count = 4000, .value_len = 2000}; /* in 1 MiB */
    assert_int_equal(wc_store_write(s, put_fn, &p), 0);
    assert_true(p.runs > 1);
    assert_int_equal(count(s), 4000);
    wc_store_usage(s, &u);
    assert_true(u.map_bytes >= u.file_bytes && u.file_bytes >= u.used_bytes);
    assert_true(u.used_bytes > 8000000);
    wc_store_close(s);
}

static void test_map_grows_before_it_is_full(void **state)
{
    (void)state;
    struct wc_store_usage u;
    struct wc_store *s = open_store(scratch_path("s"));
    for (uint64_t i = 0; i < 3000; i += 20) {
        struct put p = {.from = i, .count = 20, .value_len = 1000};
        assert_int_equal(wc_store_write(s, put_fn, &p), 0);
        assert_int_equal(p.runs, 1); /* never had to be run again */
    }
    wc_store_usage(s, &u);
    assert_true(u.map_bytes > plain.map_bytes);
    wc_store_close(s);
}

static void test_free_pages_do_not_count_as_used(void **state)
{
    (void)state;
    struct wc_store_usage full, empty;
    struct wc_store *s = open_store(scratch_path("s"));
    assert_int_equal(put(s, 0, 1000, 1000), 0);
    wc_store_usage(s, &full);
    assert_int_equal(wc_store_write(s, clear_fn, NULL), 0);
    wc_store_usage(s, &empty);
    assert_true(empty.used_bytes < full.used_bytes / 4);
    assert_true(empty.file_bytes >= full.file_bytes);
    wc_store_close(s);
}

struct reader {
    struct wc_store *store;
    atomic_bool stop;
    atomic_ulong reads;
};

/* Transactions of 16 entries: a reader sees all of one or nothing. */
static void *read_loop(void *arg)
{
    struct reader *r = arg;
    while (!atomic_load(&r->stop)) {
        uint64_t n = 0;
        assert_int_equal(wc_store_read(r->store, read_all_fn, &n), -WC_ENOTFOUND);
        assert_int_equal(n % 16, 0);
        atomic_fetch_add(&r->reads, 1);
    }
    return NULL;
}

static void test_growth_beside_readers(void **state)
{
    (void)state;
    pthread_t threads[3];
    struct wc_store_usage u;
    struct reader r = {.store = open_store(scratch_path("s"))};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_loop, &r), 0);
    for (uint64_t i = 0; i < 200 || atomic_load(&r.reads) < 50; i++)
        assert_int_equal(put(r.store, i % 400 * 16, 16, 1500), 0);
    wc_store_usage(r.store, &u);
    atomic_store(&r.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_true(u.map_bytes > plain.map_bytes);
    wc_store_close(r.store);
}

/* ---- bad disks ---- */

static void test_a_failing_disk_stops_writing(void **state)
{
    (void)state;
    struct wc_store *s = open_store(scratch_path("s"));
    assert_int_equal(put(s, 0, 5, 10), 0);
    fail_flush(1);
    assert_int_equal(put(s, 5, 5, 10), -WC_EIO);
    fail_flush(0);
    /* After a failed flush the kernel may have thrown pages away: no more promises. */
    assert_int_equal(put(s, 5, 5, 10), -WC_EIO);
    assert_int_equal(wc_store_sync(s), -WC_EIO);
    assert_int_equal(count(s), 5);
    wc_store_close(s);
    s = open_store(scratch_path("s"));
    assert_int_equal(count(s), 5);
    assert_int_equal(put(s, 5, 5, 10), 0);
    wc_store_close(s);
}

static void test_a_rebuildable_store_is_not_flushed(void **state)
{
    (void)state;
    char problem[WC_PROBLEM_BYTES];
    struct wc_store_options o = plain;
    struct wc_store *s;
    o.rebuildable = true;
    assert_int_equal(wc_store_open(&s, scratch_path("s"), &o, NULL, problem), 0);
    fail_flush(1000000);
    assert_int_equal(put(s, 0, 5, 10), 0);
    assert_int_equal(atomic_load(&flush_count), 0);
    assert_int_equal(wc_store_sync(s), 0);
    assert_int_equal(atomic_load(&flush_count), 1);
    fail_flush(0);
    wc_store_close(s);
}

static void test_a_short_write_is_a_full_disk_or_a_failure(void **state)
{
    (void)state;
    struct wc_store *s = open_store(scratch_path("s"));
    assert_int_equal(put(s, 0, 5, 10), 0);
    atomic_store(&short_writes, true);
    atomic_store(&no_room, true);
    assert_int_equal(put(s, 5, 500, 1000), -WC_EFULL);
    atomic_store(&short_writes, false);
    assert_int_equal(count(s), 5);
    assert_int_equal(put(s, 5, 5, 10), 0);

    atomic_store(&short_writes, true);
    atomic_store(&no_room, false);
    assert_int_equal(put(s, 10, 500, 1000), -WC_EIO);
    atomic_store(&short_writes, false);
    assert_int_equal(put(s, 10, 5, 10), -WC_EIO);
    assert_int_equal(count(s), 10);
    wc_store_close(s);
}

static bool small_disk(const char *path)
{
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mkdir(path, 0700) != 0)
        return false;
    return mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0;
}

static void test_a_full_disk_is_survived(void **state)
{
    (void)state;
    const char *disk = scratch_path("disk");
    if (geteuid() != 0 || !small_disk(disk)) {
        print_message("skipped: a small disk needs root\n");
        skip();
    }
    struct wc_store *s = open_store(scratch_path("disk/s"));
    static uint8_t filler[200 * 1024];
    scratch_write(scratch_path("disk/filler"), filler, sizeof(filler));
    uint64_t n = 0;
    int rc;
    while ((rc = put(s, n, 30, 2000)) == 0)
        n += 30;
    assert_int_equal(rc, -WC_EFULL);
    assert_true(n > 0);
    assert_int_equal(count(s), n);
    assert_int_equal(put(s, n, 400, 2000), -WC_EFULL); /* again, and in one piece */
    assert_int_equal(count(s), n);
    assert_int_equal(unlink(scratch_path("disk/filler")), 0);
    assert_int_equal(put(s, n, 30, 2000), 0);
    wc_store_close(s);
    s = open_store(scratch_path("disk/s"));
    assert_int_equal(count(s), n + 30);
    wc_store_close(s);
    assert_int_equal(umount(disk), 0);
}

static void test_creation_on_a_full_disk(void **state)
{
    (void)state;
    const char *disk = scratch_path("disk");
    if (geteuid() != 0 || !small_disk(disk)) {
        print_message("skipped: a small disk needs root\n");
        skip();
    }
    static uint8_t filler[1 << 20];
    int fd = open(scratch_path("disk/filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, filler, sizeof(filler)) > 0)
        continue;
    close(fd);
    refused(scratch_path("disk/s"), &plain, -WC_EFULL, "No space left");
    assert_int_equal(access(scratch_path("disk/s"), F_OK), -1);
    assert_int_equal(umount(disk), 0);
}

/* ---- processes that die ---- */

static void test_what_was_acknowledged_survives_a_kill(void **state)
{
    (void)state;
    int pipes[2];
    uint64_t acknowledged = 0, last;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        struct wc_store *s = open_store(scratch_path("s"));
        for (uint64_t i = 0;; i++) {
            if (put(s, i, 1, 700) != 0 || write(pipes[1], &i, sizeof(i)) != sizeof(i))
                _exit(1);
        }
    }
    close(pipes[1]);
    while (acknowledged < 50) {
        assert_int_equal(read(pipes[0], &last, sizeof(last)), sizeof(last));
        acknowledged++;
    }
    kill(child, SIGKILL);
    while (read(pipes[0], &last, sizeof(last)) == sizeof(last))
        acknowledged++;
    close(pipes[0]);
    waitpid(child, NULL, 0);
    struct wc_store *s = open_store(scratch_path("s"));
    assert_true(count(s) >= acknowledged);
    assert_true(count(s) <= acknowledged + 1);
    assert_int_equal(put(s, 0, 1, 1), 0);
    wc_store_close(s);
}

static int die_fn(struct wc_txn *t, void *ctx)
{
    (void)t;
    (void)ctx;
    kill(getpid(), SIGKILL);
    return 0;
}

static void test_dead_readers_are_forgotten(void **state)
{
    (void)state;
    int pipes[2];
    char byte = 0;
    assert_int_equal(pipe(pipes), 0);
    wc_store_close(open_store(scratch_path("s")));
    pid_t child = fork();
    if (child == 0) {
        struct wc_store *s = open_store(scratch_path("s"));
        if (read(pipes[0], &byte, 1) == 1) /* both have it open */
            (void)wc_store_read(s, die_fn, NULL);
        _exit(1);
    }
    struct wc_store *s = open_store(scratch_path("s"));
    assert_int_equal(write(pipes[1], &byte, 1), 1);
    waitpid(child, NULL, 0);
    assert_int_equal(wc_store_tidy(s), 1);
    assert_int_equal(wc_store_tidy(s), 0);
    wc_store_close(s);
    close(pipes[0]);
    close(pipes[1]);
}

/* ---- writing it anew ---- */

#define SECRET "zorgwhistle the forgotten"

struct secret {
    uint64_t from, count;
    bool drop;
};

/* Some share a page with others, some have pages of their own. */
static int secret_fn(struct wc_txn *t, void *ctx)
{
    const struct secret *p = ctx;
    static uint8_t value[9000];
    uint8_t key[8];
    int rc = 0;
    for (uint64_t i = p->from; rc == 0 && i < p->from + p->count; i++) {
        size_t len = i % 5 == 0 ? sizeof(value) : 200;
        memset(value, (int)(i & 0x7f), sizeof(value));
        memcpy(value + len / 2, SECRET, strlen(SECRET));
        rc = p->drop ? wc_txn_del(t, T_A, number(key, i))
                     : wc_txn_put(t, T_A, number(key, i), wc_slice(value, len));
    }
    return rc;
}

static void secrets(struct wc_store *s, uint64_t from, uint64_t count, bool drop)
{
    struct secret p = {.from = from, .count = count, .drop = drop};
    assert_int_equal(wc_store_write(s, secret_fn, &p), 0);
}

static bool file_has(const char *path, const char *what)
{
    static uint8_t all[8 << 20];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, all, sizeof(all));
    assert_true(len >= 0 && len < (ssize_t)sizeof(all));
    close(fd);
    return memmem(all, (size_t)len, what, strlen(what)) != NULL;
}

/* In any file of the store. */
static bool store_has(const char *what)
{
    static const char *const names[] = {"s/data.mdb", "s/lock.mdb", "s/data.new"};
    bool has = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        has = has || file_has(scratch_path(names[i]), what);
    return has;
}

static void test_what_was_deleted_is_gone_after_compaction(void **state)
{
    (void)state;
    struct wc_store_usage before, after;
    struct wc_store *s = open_store(scratch_path("s"));
    assert_int_equal(put(s, 0, 100, 300), 0);
    secrets(s, 1000, 200, false);
    secrets(s, 1000, 200, true);
    assert_int_equal(put(s, 100, 50, 300), 0);
    assert_true(store_has(SECRET)); /* or this would prove nothing */
    wc_store_usage(s, &before);
    assert_int_equal(wc_store_compact(s), 0);
    assert_false(store_has(SECRET));
    wc_store_usage(s, &after);
    assert_true(after.file_bytes < before.file_bytes);
    assert_int_equal(after.used_bytes, after.file_bytes);
    assert_int_equal(after.map_bytes, before.map_bytes);
    assert_int_equal(count(s), 150);

    /* It goes on as before, and again. */
    assert_int_equal(put(s, 150, 50, 3000), 0);
    secrets(s, 2000, 7, false);
    assert_int_equal(wc_store_compact(s), 0);
    assert_true(store_has(SECRET)); /* what is held is kept */
    secrets(s, 2000, 7, true);
    assert_int_equal(wc_store_compact(s), 0);
    assert_false(store_has(SECRET));
    wc_store_close(s);
    s = open_store(scratch_path("s"));
    assert_int_equal(count(s), 200);
    assert_int_equal(wc_store_write(s, clear_fn, NULL), 0);
    assert_int_equal(wc_store_compact(s), 0); /* with nothing in it */
    assert_int_equal(count(s), 0);
    wc_store_close(s);
}

/* Compact, killed at one moment; then one write more, which is acknowledged by the exit
 * status. Returns whether it came to its end. */
static bool compact_killed(int moment)
{
    pid_t child = fork();
    if (child == 0) {
        struct wc_store *s = open_store(scratch_path("s"));
        atomic_store(&kill_step, moment);
        atomic_store(&armed, true);
        int rc = wc_store_compact(s);
        rc = rc != 0 ? rc : put(s, 5000, 1, 10);
        syscall(SYS_exit_group, rc == 0 ? 0 : 1); /* nothing is flushed or closed */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return true;
    }
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return false;
}

static int last_key_fn(struct wc_txn *t, void *ctx)
{
    uint8_t key[8];
    struct wc_slice v;
    *(bool *)ctx = wc_txn_get(t, T_A, number(key, 5000), &v) == 0;
    return 0;
}

static void test_a_kill_while_compacting_loses_nothing(void **state)
{
    (void)state;
    bool ended = false, last;
    int moments = 0;
    while (!ended) {
        struct stat st;
        struct wc_store *s = open_store(scratch_path("s"));
        assert_int_equal(put(s, 0, 300, 700), 0);
        secrets(s, 1000, 300, false);
        secrets(s, 1000, 300, true);
        wc_store_close(s);
        ended = compact_killed(++moments);
        s = open_store(scratch_path("s"));
        assert_int_not_equal(stat(scratch_path("s/data.new"), &st), 0);
        assert_int_equal(wc_store_read(s, last_key_fn, &last), 0);
        assert_true(last || !ended);
        assert_int_equal(count(s), last ? 301 : 300);
        assert_int_equal(wc_store_compact(s), 0);
        assert_false(store_has(SECRET));
        wc_store_close(s);
        assert_int_equal(wc_store_remove(scratch_path("s")), 0);
    }
    print_message("%d moments\n", moments);
    assert_true(moments > 10); /* the calls were seen */
}

static void test_no_space_for_a_copy_changes_nothing(void **state)
{
    (void)state;
    struct stat st;
    struct wc_store *s = open_store(scratch_path("s"));
    assert_int_equal(put(s, 0, 100, 300), 0);
    atomic_store(&no_space, true);
    int rc = wc_store_compact(s);
    atomic_store(&no_space, false);
    assert_int_equal(rc, -WC_EFULL);
    assert_int_not_equal(stat(scratch_path("s/data.new"), &st), 0);
    assert_int_equal(put(s, 100, 1, 300), 0);
    assert_int_equal(wc_store_compact(s), 0);
    assert_int_equal(count(s), 101);
    wc_store_close(s);
}

static void test_compaction_on_a_failing_disk(void **state)
{
    (void)state;
    struct wc_store *s = open_store(scratch_path("s"));
    assert_int_equal(put(s, 0, 100, 300), 0);
    fail_flush(1); /* of the copy: nothing has happened yet */
    assert_int_equal(wc_store_compact(s), -WC_ECORRUPT);
    fail_flush(0);
    assert_int_equal(put(s, 100, 1, 300), 0);
    fail_flush(2); /* of the directory: nobody knows which file is there after a cut */
    assert_int_equal(wc_store_compact(s), -WC_EIO);
    fail_flush(0);
    assert_int_equal(put(s, 101, 1, 300), -WC_EIO);
    assert_int_equal(wc_store_compact(s), -WC_EIO);
    assert_int_equal(count(s), 101);
    wc_store_close(s);
    s = open_store(scratch_path("s"));
    assert_int_equal(count(s), 101);
    wc_store_close(s);
}

struct busy {
    struct wc_store *s;
    atomic_bool stop;
    atomic_uint written, reads;
};

static void *busy_reader(void *ctx)
{
    struct busy *b = ctx;
    while (!atomic_load(&b->stop)) {
        uint64_t n = 0, least = atomic_load(&b->written);
        if (wc_store_read(b->s, count_fn, &n) != 0 || n < least)
            return (void *)1;
        struct wc_store_usage usage;
        wc_store_usage(b->s, &usage);
        wc_store_tidy(b->s);
        atomic_fetch_add(&b->reads, 1);
    }
    return NULL;
}

static void *busy_writer(void *ctx)
{
    struct busy *b = ctx;
    while (!atomic_load(&b->stop)) {
        if (put(b->s, atomic_load(&b->written), 1, 500) != 0)
            return (void *)1;
        atomic_fetch_add(&b->written, 1);
        sched_yield(); /* the lock is not fair */
    }
    return NULL;
}

static void test_compaction_beside_readers_and_a_writer(void **state)
{
    (void)state;
    pthread_t threads[3];
    void *failed;
    struct busy b = {.s = open_store(scratch_path("s"))};
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i == 0 ? busy_writer : busy_reader, &b),
            0);
    for (int i = 0; i < 10; i++) {
        unsigned written = atomic_load(&b.written), reads = atomic_load(&b.reads);
        assert_int_equal(wc_store_compact(b.s), 0);
        while (atomic_load(&b.written) == written || atomic_load(&b.reads) == reads)
            sched_yield();
    }
    atomic_store(&b.stop, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    uint64_t written = atomic_load(&b.written);
    assert_int_equal(count(b.s), written);
    wc_store_close(b.s);
    b.s = open_store(scratch_path("s"));
    assert_int_equal(count(b.s), written);
    wc_store_close(b.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_reads_and_writes),
        SCRATCH_TEST(test_what_fails_changes_nothing),
        SCRATCH_TEST(test_refuses_other_stores),
        SCRATCH_TEST(test_refuses_damaged_files),
        SCRATCH_TEST(test_a_file_cut_short_is_an_error),
        SCRATCH_TEST(test_creation_is_atomic),
        SCRATCH_TEST(test_an_interrupted_creation_is_no_obstacle),
        SCRATCH_TEST(test_map_grows_within_one_transaction),
        SCRATCH_TEST(test_map_grows_before_it_is_full),
        SCRATCH_TEST(test_free_pages_do_not_count_as_used),
        SCRATCH_TEST(test_growth_beside_readers),
        SCRATCH_TEST(test_a_failing_disk_stops_writing),
        SCRATCH_TEST(test_a_rebuildable_store_is_not_flushed),
        SCRATCH_TEST(test_a_short_write_is_a_full_disk_or_a_failure),
        SCRATCH_TEST(test_a_full_disk_is_survived),
        SCRATCH_TEST(test_creation_on_a_full_disk),
        SCRATCH_TEST(test_what_was_acknowledged_survives_a_kill),
        SCRATCH_TEST(test_dead_readers_are_forgotten),
        SCRATCH_TEST(test_what_was_deleted_is_gone_after_compaction),
        SCRATCH_TEST(test_a_kill_while_compacting_loses_nothing),
        SCRATCH_TEST(test_no_space_for_a_copy_changes_nothing),
        SCRATCH_TEST(test_compaction_on_a_failing_disk),
        SCRATCH_TEST(test_compaction_beside_readers_and_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
