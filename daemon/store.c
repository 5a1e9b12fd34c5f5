/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB's rules are in docs/store.md; each comment here names the one that it keeps. */
#include "daemon/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/store_pages.h"
#include "daemon/sum.h"

/* A table of our own in each store says what the file is. */
#define FORMAT_TABLE WC_STORE_FORMAT_TABLE
#define FORMAT_KEY   "format"

/* The copy that is to take the place of data.mdb. */
#define COPY_NAME "/data.new"

#define READERS_MAX  512 /* a thread holds at most one for a moment */
#define PATH_BYTES   4096
#define GROW_TRIES   24 /* each at least 1.25-fold: far beyond any one transaction */
#define GROW_DOUBLES (1ULL << 30) /* below this the map doubles, above it adds this */
#define PROBE_BYTES  (1 << 20)    /* more than LMDB writes in one call */
#define LOCK_BYTES   (64 << 10)   /* LMDB's table of readers takes 64 bytes for each */

struct wc_store {
    MDB_env *env; /* changes with `writing` and the gate held; NULL: it is lost */
    struct wc_store_options options;
    MDB_dbi *tables;
    uint32_t table_count;
    char *path;
    pthread_mutex_t writing; /* held for the length of a write, growth included */
    pthread_rwlock_t gate;   /* readers share it; growth has it alone */
    bool unmapped;           /* growth, or the change of files, failed half-way;
                                guarded by the gate */
    atomic_bool failed;      /* the disk failed: nobody knows what is on it */
    atomic_uint_fast64_t longest_read_ns, longest_write_ns;
};

struct wc_txn {
    struct wc_store *store;
    MDB_txn *txn;
    bool map_full; /* what failed was the map, not the disk */
};

/* ---- results ---- */

static int from_lmdb(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -WC_ENOTFOUND;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return -WC_EFULL;
    case ENOMEM:
        return -WC_ENOMEM;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
        return -WC_ECORRUPT;
    case MDB_VERSION_MISMATCH:
        return -WC_EVERSION;
    case MDB_READERS_FULL:
        return -WC_EBUSY;
    case MDB_BAD_VALSIZE:
        return -WC_ETOOBIG;
    case MDB_KEYEXIST:
        return -WC_EINVALID;
    case EACCES:
    case EPERM:
    case EROFS:
        return -WC_EDENIED;
    default:
        return -WC_EIO;
    }
}

__attribute__((format(printf, 3, 4))) static int fail(char *problem, int rc,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(problem, WC_PROBLEM_BYTES, format, args);
    va_end(args);
    return rc;
}

/* A failure that the operating system explains. */
static int fail_errno(char *problem, const char *what, const char *path, int err)
{
    return fail(problem, from_lmdb(err), "cannot %s %s: %s", what, path,
                mdb_strerror(err));
}

/* ---- creation and opening ---- */

static int path_join(char out[PATH_BYTES], const char *a, const char *b)
{
    int n = snprintf(out, PATH_BYTES, "%s%s", a, b);
    return n > 0 && n < PATH_BYTES ? 0 : -WC_ETOOBIG;
}

static int remove_files(const char *dir)
{
    static const char *const files[] = {"/data.mdb", "/lock.mdb", COPY_NAME};
    char path[PATH_BYTES];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (path_join(path, dir, files[i]) != 0)
            return -WC_ETOOBIG;
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            return from_lmdb(errno);
    }
    if (rmdir(dir) != 0 && errno != ENOENT)
        return from_lmdb(errno);
    return 0;
}

int wc_store_remove(const char *path)
{
    char fresh[PATH_BYTES];
    int rc = path_join(fresh, path, ".new");
    if (rc == 0)
        rc = remove_files(fresh);
    return rc != 0 ? rc : remove_files(path);
}

/* Flush a file or a directory. 0 or errno. */
static int flush_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int err = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return err;
}

static int flush_parent(const char *path)
{
    char parent[PATH_BYTES];
    if (path_join(parent, path, "") != 0)
        return ENAMETOOLONG;
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        return flush_path(".");
    slash[slash == parent ? 1 : 0] = '\0';
    return flush_path(parent);
}

/* LMDB maps its table of readers as a sparse file, and touching it on a full disk raises
 * SIGBUS. So it gets its blocks first. 0 or errno. */
static int reserve_lock_file(const char *dir)
{
    char path[PATH_BYTES];
    if (path_join(path, dir, "/lock.mdb") != 0)
        return ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    int err = posix_fallocate(fd, 0, LOCK_BYTES);
    close(fd);
    return err;
}

/* No WRITEMAP: it raises SIGBUS on a full disk. NOTLS: a reader belongs to its
 * transaction, since searches run on whichever thread of a pool is free. */
static int env_open(MDB_env **out, const char *path, uint64_t map_bytes,
                    uint32_t table_count, unsigned flags)
{
    *out = NULL;
    int rc = reserve_lock_file(path);
    if (rc == 0)
        rc = mdb_env_create(out);
    if (rc != 0)
        return rc;
    rc = mdb_env_set_mapsize(*out, map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(*out, table_count + 1);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(*out, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_open(*out, path, MDB_NOTLS | flags, 0600);
    if (rc != 0) {
        mdb_env_close(*out);
        *out = NULL;
    }
    return rc;
}

static MDB_val val(struct wc_slice s)
{
    return (MDB_val){.mv_size = s.len, .mv_data = (void *)s.data};
}

static struct wc_slice slice(MDB_val v)
{
    return wc_slice(v.mv_data, v.mv_size);
}

/* The tables and the line that says what this is, in one transaction. */
static int create_tables(MDB_env *env, const struct wc_store_options *o)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; rc == 0 && o->tables[i] != NULL; i++)
        rc = mdb_dbi_open(txn, o->tables[i], MDB_CREATE, &dbi);
    if (rc == 0)
        rc = mdb_dbi_open(txn, FORMAT_TABLE, MDB_CREATE, &dbi);
    if (rc == 0) {
        uint8_t value[4 + 64];
        size_t len = strlen(o->format);
        assert(len <= 64);
        wc_put_u32(value, o->version);
        memcpy(value + 4, o->format, len);
        MDB_val k = val(wc_slice_text(FORMAT_KEY));
        MDB_val v = val(wc_slice(value, 4 + len));
        rc = mdb_put(txn, dbi, &k, &v, 0);
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static uint32_t count_tables(const struct wc_store_options *o)
{
    uint32_t n = 0;
    while (o->tables[n] != NULL)
        n++;
    return n;
}

/* A flushed store in the directory `fresh`. */
static int make(const char *fresh, const struct wc_store_options *o, char *problem)
{
    char file[PATH_BYTES];
    if (path_join(file, fresh, "/data.mdb") != 0)
        return fail(problem, -WC_ETOOBIG, "the path %.100s... is too long", fresh);
    int rc = remove_files(fresh); /* of a creation that was interrupted */
    if (rc != 0)
        return fail(problem, rc, "cannot remove %s: %s", fresh, strerror(errno));
    if (mkdir(fresh, 0700) != 0)
        return fail_errno(problem, "create", fresh, errno);

    MDB_env *env = NULL;
    int err = env_open(&env, fresh, o->map_bytes, count_tables(o), 0);
    if (err == 0)
        err = create_tables(env, o);
    if (env != NULL)
        mdb_env_close(env);
    if (err == 0)
        err = flush_path(file);
    if (err == 0)
        err = flush_path(fresh);
    if (err != 0) {
        remove_files(fresh);
        return fail_errno(problem, "create", fresh, err);
    }
    return 0;
}

/* The one moment at which a power cut can leave half a store: so it gets its name only
 * when all of it is on the disk. */
static int create(const char *path, const struct wc_store_options *o, char *problem)
{
    char fresh[PATH_BYTES];
    if (path_join(fresh, path, ".new") != 0)
        return fail(problem, -WC_ETOOBIG, "the path %.100s... is too long", path);
    int rc = make(fresh, o, problem);
    if (rc != 0)
        return rc;
    int err = rename(fresh, path) == 0 ? flush_parent(path) : errno;
    if (err != 0) {
        remove_files(fresh);
        return fail_errno(problem, "create", path, err);
    }
    return 0;
}

/* Whether path is there and holds a data file. *exists is false for nothing at all. */
static int look(const char *path, bool *exists, char *problem)
{
    char file[PATH_BYTES];
    struct stat st;
    *exists = false;
    if (path_join(file, path, "/data.mdb") != 0)
        return fail(problem, -WC_ETOOBIG, "the path %.100s... is too long", path);
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : fail_errno(problem, "read", path, errno);
    *exists = true;
    if (!S_ISDIR(st.st_mode) || (lstat(file, &st) != 0 && errno == ENOENT))
        return fail(problem, -WC_EVERSION,
                    "%s is not a store of whocan: move it away, or choose another "
                    "state directory",
                    path);
    /* LMDB would take an empty file for a new store. */
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return fail(problem, -WC_ECORRUPT, "%s is damaged: restore a backup", file);
    return 0;
}

static int check_format(struct wc_store *s, MDB_txn *txn,
                        const struct wc_store_options *o, char *problem)
{
    MDB_dbi dbi;
    MDB_val k = val(wc_slice_text(FORMAT_KEY)), v;
    int rc = mdb_dbi_open(txn, FORMAT_TABLE, 0, &dbi);
    if (rc == 0)
        rc = mdb_get(txn, dbi, &k, &v);
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE ||
        (rc == 0 &&
         (v.mv_size < 4 ||
          !wc_slice_is(wc_slice((uint8_t *)v.mv_data + 4, v.mv_size - 4), o->format))))
        return fail(problem, -WC_EVERSION,
                    "%s is not a store of whocan: move it away, or choose another "
                    "state directory",
                    s->path);
    if (rc != 0)
        return fail_errno(problem, "read", s->path, rc);
    uint32_t version = wc_get_u32(v.mv_data);
    if (version == o->version)
        return 0;
    return fail(problem, -WC_EVERSION,
                "%s was written by %s version of whocan (format %u, this one knows "
                "%u): %s",
                s->path, version > o->version ? "a newer" : "an older", version,
                o->version,
                version > o->version ? "upgrade whocan" : "it cannot be read");
}

static int open_tables(struct wc_store *s, const struct wc_store_options *o,
                       char *problem)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return fail_errno(problem, "read", s->path, rc);
    int result = check_format(s, txn, o, problem);
    for (uint32_t i = 0; result == 0 && i < s->table_count; i++) {
        rc = mdb_dbi_open(txn, o->tables[i], 0, &s->tables[i]);
        if (rc != 0)
            result = fail(problem, -WC_ECORRUPT,
                          "%s is damaged (no table %s): restore a backup", s->path,
                          o->tables[i]);
    }
    if (result != 0)
        mdb_txn_abort(txn);
    else if ((rc = mdb_txn_commit(txn)) != 0) /* keeps the handles */
        result = fail_errno(problem, "read", s->path, rc);
    return result;
}

static uint64_t page_bytes(struct wc_store *s)
{
    MDB_stat st;
    mdb_env_stat(s->env, &st);
    return st.ms_psize;
}

static uint64_t file_bytes(struct wc_store *s)
{
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    return (info.me_last_pgno + 1) * page_bytes(s);
}

/* Reading a page beyond the end of a file that was cut short raises SIGBUS. Make the
 * file whole again: lost pages are zeros, which are found to be damaged. (LMDB itself
 * may leave the last free pages unwritten, so a short file is no error.) */
static int lengthen(struct wc_store *s, char *problem)
{
    int fd;
    struct stat st;
    off_t want = (off_t)file_bytes(s);
    if (mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &st) != 0 ||
        (st.st_size < want && ftruncate(fd, want) != 0))
        return fail_errno(problem, "read", s->path, errno);
    return 0;
}

/* Of a copy that was interrupted. It holds what was not deleted then, and may be deleted
 * by now. */
static int remove_copy(struct wc_store *s)
{
    char path[PATH_BYTES];
    if (path_join(path, s->path, COPY_NAME) != 0)
        return ENAMETOOLONG;
    return unlink(path) == 0 || errno == ENOENT ? 0 : errno;
}

/* What LMDB is about to believe. Read through a map, as LMDB does it; a file that was cut
 * short is no longer than it is. */
static int check_pages(const char *path, const struct wc_store_options *o,
                       char *problem)
{
    char file[PATH_BYTES], why[WC_PROBLEM_BYTES];
    struct stat st;
    if (path_join(file, path, "/data.mdb") != 0)
        return fail(problem, -WC_ETOOBIG, "the path %.100s... is too long", path);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return fail_errno(problem, "read", file, err);
    }
    size_t len = (size_t)st.st_size;
    void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return fail_errno(problem, "read", file, errno);
    (void)madvise(map, len, MADV_WILLNEED);
    int rc = wc_store_pages_check(wc_slice(map, len), o->tables, o->sealed, why);
    munmap(map, len);
    return rc == 0 ? 0 : fail(problem, rc, "%s is damaged: %.160s", file, why);
}

int wc_store_check_file(const char *path, const struct wc_store_options *options,
                        char problem[WC_PROBLEM_BYTES])
{
    bool exists;
    int rc = look(path, &exists, problem);
    if (rc == 0 && !exists)
        return fail(problem, -WC_ENOTFOUND, "there is no %s", path);
    return rc == 0 ? check_pages(path, options, problem) : rc;
}

static int open_existing(struct wc_store *s, const struct wc_store_options *o,
                         char *problem)
{
    int rc = remove_copy(s);
    if (rc != 0)
        return fail_errno(problem, "remove the unfinished copy in", s->path, rc);
    rc = env_open(&s->env, s->path, o->map_bytes, s->table_count,
                  o->rebuildable ? MDB_NOSYNC : 0);
    if (rc == MDB_INVALID)
        return fail(problem, -WC_ECORRUPT,
                    "%s is damaged, or not a store of whocan: restore a backup, or "
                    "choose another state directory",
                    s->path);
    if (rc != 0)
        return fail_errno(problem, "open", s->path, rc);
    rc = lengthen(s, problem);
    if (rc == 0)
        rc = open_tables(s, o, problem);
    return rc;
}

static struct wc_store *store_new(const char *path, uint32_t table_count)
{
    assert(table_count > 0);
    struct wc_store *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    /* Growth must not starve while searches come without a pause. */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->gate, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&s->writing, NULL);
    s->path = strdup(path);
    s->tables = calloc(table_count, sizeof(s->tables[0]));
    s->table_count = table_count;
    if (s->path == NULL || s->tables == NULL) {
        wc_store_close(s);
        return NULL;
    }
    return s;
}

int wc_store_open(struct wc_store **out, const char *path,
                  const struct wc_store_options *options, bool *created,
                  char problem[WC_PROBLEM_BYTES])
{
    bool exists;
    *out = NULL;
    int rc = look(path, &exists, problem);
    if (rc == 0 && !exists)
        rc = create(path, options, problem);
    if (rc != 0)
        return rc;
    struct wc_store *s = store_new(path, count_tables(options));
    if (s == NULL)
        return fail(problem, -WC_ENOMEM, "out of memory");
    s->options = *options;
    rc = options->sealed && exists ? check_pages(s->path, options, problem) : 0;
    if (rc == 0)
        rc = open_existing(s, options, problem);
    if (rc != 0) {
        wc_store_close(s);
        return rc;
    }
    wc_store_tidy(s);
    if (created != NULL)
        *created = !exists;
    *out = s;
    return 0;
}

void wc_store_close(struct wc_store *s)
{
    if (s == NULL)
        return;
    if (s->env != NULL)
        mdb_env_close(s->env);
    pthread_rwlock_destroy(&s->gate);
    pthread_mutex_destroy(&s->writing);
    free(s->tables);
    free(s->path);
    free(s);
}

/* ---- growth ---- */

/* Whether the address space has room. LMDB unmaps before it maps anew, and would be left
 * with nothing. */
static bool room_for(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p != MAP_FAILED && munmap(p, bytes) == 0;
}

/* Called with `writing` held and no write of ours open; the gate keeps readers out. */
static int grow(struct wc_store *s)
{
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    uint64_t bytes = info.me_mapsize;
    do {
        bytes += bytes < GROW_DOUBLES ? bytes : GROW_DOUBLES;
    } while (file_bytes(s) > bytes / 10 * 8);
    if (!room_for(bytes))
        return -WC_ENOMEM;
    pthread_rwlock_wrlock(&s->gate);
    int rc = from_lmdb(mdb_env_set_mapsize(s->env, bytes));
    if (rc != 0) {
        s->unmapped = true;
        atomic_store(&s->failed, true);
    }
    pthread_rwlock_unlock(&s->gate);
    return rc;
}

/* At 80% of the map, so that a transaction seldom has to be run twice. Failing to grow
 * early is no failure: the write may still fit. */
static void grow_early(struct wc_store *s)
{
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    if (file_bytes(s) > info.me_mapsize / 10 * 8)
        (void)grow(s);
}

/* ---- transactions ---- */

/*
 * LMDB calls a short write EIO, but it is how a disk fills up. Ask the disk: room for a
 * file of the size of one write means that the failure was another.
 */
static bool disk_is_full(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOSPC || errno == EDQUOT;
    int err = posix_fallocate(fd, 0, PROBE_BYTES);
    close(fd);
    return err == ENOSPC || err == EDQUOT || err == EFBIG;
}

/* Only a commit, or a spill before it, writes. */
static int write_result(struct wc_store *s, int rc)
{
    if (rc != -WC_EIO)
        return rc;
    if (disk_is_full(s->path))
        return -WC_EFULL;
    /* After a failed flush nobody knows what is on the disk. */
    atomic_store(&s->failed, true);
    return -WC_EIO;
}

static int write_once(struct wc_store *s, wc_store_fn fn, void *ctx, bool *map_full)
{
    struct wc_txn t = {.store = s};
    int lmdb = mdb_txn_begin(s->env, NULL, 0, &t.txn);
    if (lmdb != 0) {
        *map_full = lmdb == MDB_MAP_FULL;
        return from_lmdb(lmdb);
    }
    int rc = fn(&t, ctx);
    if (rc != 0 || t.map_full) {
        mdb_txn_abort(t.txn);
        *map_full = t.map_full;
        return rc != 0 ? rc : -WC_EFULL;
    }
    lmdb = mdb_txn_commit(t.txn);
    *map_full = lmdb == MDB_MAP_FULL;
    return write_result(s, from_lmdb(lmdb));
}

/* ---- how long they take ---- */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void note_time(atomic_uint_fast64_t *longest, uint64_t began_ns)
{
    uint_fast64_t took = now_ns() - began_ns, known = atomic_load(longest);
    while (took > known && !atomic_compare_exchange_weak(longest, &known, took))
        ;
}

void wc_store_longest(struct wc_store *s, struct wc_store_longest *out)
{
    out->read_us = atomic_exchange(&s->longest_read_ns, 0) / 1000;
    out->write_us = atomic_exchange(&s->longest_write_ns, 0) / 1000;
}

int wc_store_write(struct wc_store *s, wc_store_fn fn, void *ctx)
{
    int rc = -WC_EIO;
    pthread_mutex_lock(&s->writing);
    if (atomic_load(&s->failed))
        goto out;
    grow_early(s);
    for (int i = 0; i < GROW_TRIES; i++) {
        bool map_full = false;
        uint64_t began_ns = now_ns();
        rc = write_once(s, fn, ctx, &map_full);
        note_time(&s->longest_write_ns, began_ns);
        if (!map_full)
            break;
        int grown = grow(s);
        if (grown != 0) {
            rc = grown;
            break;
        }
    }
out:
    pthread_mutex_unlock(&s->writing);
    return rc;
}

int wc_store_read(struct wc_store *s, wc_store_fn fn, void *ctx)
{
    struct wc_txn t = {.store = s};
    pthread_rwlock_rdlock(&s->gate);
    int rc = s->unmapped ? -WC_EIO
                         : from_lmdb(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &t.txn));
    if (rc == 0) {
        uint64_t began_ns = now_ns();
        rc = fn(&t, ctx);
        mdb_txn_abort(t.txn);
        note_time(&s->longest_read_ns, began_ns);
    }
    pthread_rwlock_unlock(&s->gate);
    return rc;
}

/* ---- inside a transaction ---- */

static MDB_dbi dbi_of(struct wc_txn *t, uint32_t table)
{
    assert(table < t->store->table_count);
    return t->store->tables[table];
}

static int change_result(struct wc_txn *t, int lmdb)
{
    if (lmdb == MDB_MAP_FULL)
        t->map_full = true;
    int rc = from_lmdb(lmdb);
    return rc == -WC_EIO ? write_result(t->store, rc) : rc;
}

/* ---- sealed values ---- */

/* Take the seal off. -WC_ECORRUPT when there is none, or, if it is looked at, when the
 * value is another one. */
static int unseal(uint32_t table, struct wc_slice key, struct wc_slice *value,
                  bool check)
{
    if (value->len < WC_SUM_BYTES)
        return -WC_ECORRUPT;
    value->len -= WC_SUM_BYTES;
    return check && wc_get_u32(value->data + value->len) != wc_sum(table, key, *value)
               ? -WC_ECORRUPT
               : 0;
}

/* LMDB makes room in its page, and the value is written there. */
static int put_sealed(struct wc_txn *t, uint32_t table, struct wc_slice key,
                      struct wc_slice value, unsigned flags)
{
    uint32_t sum = wc_sum(table, key, value);
    MDB_val k = val(key), v = {.mv_size = value.len + WC_SUM_BYTES};
    int rc = mdb_put(t->txn, dbi_of(t, table), &k, &v, flags | MDB_RESERVE);
    if (rc != 0)
        return rc;
    if (value.len > 0)
        memcpy(v.mv_data, value.data, value.len);
    wc_put_u32((uint8_t *)v.mv_data + value.len, sum);
    return 0;
}

static int put(struct wc_txn *t, uint32_t table, struct wc_slice key,
               struct wc_slice value, unsigned flags)
{
    MDB_val k = val(key), v = val(value);
    if (t->store->options.sealed)
        return put_sealed(t, table, key, value, flags);
    return mdb_put(t->txn, dbi_of(t, table), &k, &v, flags);
}

int wc_txn_get(struct wc_txn *t, uint32_t table, struct wc_slice key,
               struct wc_slice *value)
{
    MDB_val k = val(key), v;
    int rc = from_lmdb(mdb_get(t->txn, dbi_of(t, table), &k, &v));
    if (rc != 0)
        return rc;
    *value = slice(v);
    return t->store->options.sealed ? unseal(table, key, value, true) : 0;
}

int wc_txn_put(struct wc_txn *t, uint32_t table, struct wc_slice key,
               struct wc_slice value)
{
    return change_result(t, put(t, table, key, value, 0));
}

int wc_txn_append(struct wc_txn *t, uint32_t table, struct wc_slice key,
                  struct wc_slice value)
{
    return change_result(t, put(t, table, key, value, MDB_APPEND));
}

int wc_txn_del(struct wc_txn *t, uint32_t table, struct wc_slice key)
{
    MDB_val k = val(key);
    return change_result(t, mdb_del(t->txn, dbi_of(t, table), &k, NULL));
}

int wc_txn_clear(struct wc_txn *t, uint32_t table)
{
    return change_result(t, mdb_drop(t->txn, dbi_of(t, table), 0));
}

int wc_txn_count(struct wc_txn *t, uint32_t table, uint64_t *out)
{
    MDB_stat st;
    int rc = mdb_stat(t->txn, dbi_of(t, table), &st);
    if (rc == 0)
        *out = st.ms_entries;
    return from_lmdb(rc);
}

int wc_txn_bytes(struct wc_txn *t, uint32_t table, uint64_t *out)
{
    MDB_stat st;
    int rc = mdb_stat(t->txn, dbi_of(t, table), &st);
    if (rc == 0)
        *out = (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
               (uint64_t)st.ms_psize;
    return from_lmdb(rc);
}

int wc_cursor_open(struct wc_cursor *c, struct wc_txn *t, uint32_t table)
{
    MDB_cursor *handle = NULL;
    int rc = mdb_cursor_open(t->txn, dbi_of(t, table), &handle);
    *c = (struct wc_cursor){
        .handle = handle, .table = table, .sealed = t->store->options.sealed};
    return from_lmdb(rc);
}

void wc_cursor_close(struct wc_cursor *c)
{
    if (c->handle != NULL)
        mdb_cursor_close(c->handle);
    c->handle = NULL;
}

static int move(struct wc_cursor *c, MDB_val *k, MDB_cursor_op op)
{
    MDB_val v;
    int rc = mdb_cursor_get(c->handle, k, &v, op);
    if (rc != 0)
        return from_lmdb(rc);
    c->key = slice(*k);
    c->value = slice(v);
    return c->sealed ? unseal(c->table, c->key, &c->value, false) : 0;
}

int wc_cursor_check(const struct wc_cursor *c)
{
    struct wc_slice whole = wc_slice(c->value.data, c->value.len + WC_SUM_BYTES);
    return c->sealed ? unseal(c->table, c->key, &whole, true) : 0;
}

int wc_cursor_seek(struct wc_cursor *c, struct wc_slice key)
{
    MDB_val k = val(key);
    return move(c, &k, MDB_SET_RANGE);
}

int wc_cursor_first(struct wc_cursor *c)
{
    MDB_val k;
    return move(c, &k, MDB_FIRST);
}

int wc_cursor_last(struct wc_cursor *c)
{
    MDB_val k;
    return move(c, &k, MDB_LAST);
}

int wc_cursor_next(struct wc_cursor *c)
{
    MDB_val k;
    return move(c, &k, MDB_NEXT);
}

/* ---- keeping house ---- */

/* LMDB keeps its free pages in table 0: each value starts with their number. */
static int count_free(struct wc_txn *t, void *ctx)
{
    uint64_t *pages = ctx;
    MDB_cursor *c;
    MDB_val k, v;
    int rc = mdb_cursor_open(t->txn, 0, &c);
    if (rc != 0)
        return from_lmdb(rc);
    while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
        size_t n = 0;
        if (v.mv_size >= sizeof(n))
            memcpy(&n, v.mv_data, sizeof(n));
        *pages += n;
    }
    mdb_cursor_close(c);
    return rc == MDB_NOTFOUND ? 0 : from_lmdb(rc);
}

void wc_store_usage(struct wc_store *s, struct wc_store_usage *out)
{
    uint64_t free_pages = 0;
    MDB_envinfo info;
    *out = (struct wc_store_usage){0};
    (void)wc_store_read(s, count_free, &free_pages);
    pthread_rwlock_rdlock(&s->gate);
    if (s->env == NULL) {
        pthread_rwlock_unlock(&s->gate);
        return;
    }
    mdb_env_info(s->env, &info);
    out->map_bytes = info.me_mapsize;
    out->file_bytes = file_bytes(s);
    uint64_t free_bytes = free_pages * page_bytes(s);
    pthread_rwlock_unlock(&s->gate);
    out->used_bytes = out->file_bytes > free_bytes ? out->file_bytes - free_bytes : 0;
}

int wc_store_tidy(struct wc_store *s)
{
    int dead = 0;
    pthread_rwlock_rdlock(&s->gate);
    if (s->env != NULL && mdb_reader_check(s->env, &dead) != 0)
        dead = 0;
    pthread_rwlock_unlock(&s->gate);
    return dead;
}

int wc_store_sync(struct wc_store *s)
{
    int rc = EIO;
    pthread_rwlock_rdlock(&s->gate);
    if (!atomic_load(&s->failed) && s->env != NULL)
        rc = mdb_env_sync(s->env, 1);
    pthread_rwlock_unlock(&s->gate);
    return write_result(s, from_lmdb(rc));
}

/* ---- writing it anew ---- */

/* A flushed copy without free pages. 0 or an error of LMDB or the system. */
static int copy_live(struct wc_store *s, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    int rc = mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT);
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
    close(fd);
    return rc;
}

/* With the gate held: nobody reads, and nobody writes. 0 or errno of the change; *lost
 * when neither file could be opened again. */
static int change_files(struct wc_store *s, const char *copy, const char *data,
                        uint64_t map_bytes, bool *lost)
{
    char problem[WC_PROBLEM_BYTES];
    struct wc_store_options options = s->options;
    options.map_bytes = map_bytes;
    mdb_env_close(s->env);
    s->env = NULL;
    int err = rename(copy, data) == 0 ? 0 : errno;
    *lost = open_existing(s, &options, problem) != 0;
    return err;
}

static int swap(struct wc_store *s, const char *copy, const char *data)
{
    bool lost = false;
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    pthread_rwlock_wrlock(&s->gate);
    int err = change_files(s, copy, data, info.me_mapsize, &lost);
    s->unmapped = s->unmapped || lost;
    pthread_rwlock_unlock(&s->gate);
    /* Still nobody writes: what was acknowledged after a change that a power cut then
     * undoes would be lost. */
    if (err == 0 && !lost)
        lost = flush_path(s->path) != 0;
    if (lost)
        atomic_store(&s->failed, true);
    return lost ? -WC_EIO : from_lmdb(err);
}

static int compact(struct wc_store *s)
{
    char copy[PATH_BYTES], data[PATH_BYTES];
    if (path_join(copy, s->path, COPY_NAME) != 0 ||
        path_join(data, s->path, "/data.mdb") != 0)
        return -WC_ETOOBIG;
    int err = remove_copy(s);
    if (err == 0)
        err = copy_live(s, copy);
    if (err == 0)
        return swap(s, copy, data);
    int rc = from_lmdb(err);
    (void)remove_copy(s);
    if (rc == -WC_EIO)
        rc = disk_is_full(s->path) ? -WC_EFULL : -WC_ECORRUPT;
    return rc;
}

static int renew(struct wc_store *s)
{
    char fresh[PATH_BYTES], copy[PATH_BYTES], data[PATH_BYTES];
    char problem[WC_PROBLEM_BYTES];
    if (path_join(fresh, s->path, ".new") != 0 ||
        path_join(copy, fresh, "/data.mdb") != 0 ||
        path_join(data, s->path, "/data.mdb") != 0)
        return -WC_ETOOBIG;
    int rc = make(fresh, &s->options, problem);
    if (rc == 0)
        rc = swap(s, copy, data);
    (void)remove_files(fresh);
    return rc;
}

int wc_store_renew(struct wc_store *s)
{
    pthread_mutex_lock(&s->writing);
    int rc = renew(s); /* also of one that failed: nothing of it is kept */
    if (rc == 0)
        atomic_store(&s->failed, false);
    pthread_mutex_unlock(&s->writing);
    return rc;
}

int wc_store_compact(struct wc_store *s)
{
    pthread_mutex_lock(&s->writing);
    int rc = atomic_load(&s->failed) ? -WC_EIO : compact(s);
    pthread_mutex_unlock(&s->writing);
    return rc;
}
