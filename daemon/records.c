/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables (numbers are big-endian, so that keys sort as numbers do):
 *
 *   record   group (1) ‖ sequence (8)  ->  checksum (16) ‖ slot (32) ‖ record
 *   slot     slot (32)                 ->  group (1) ‖ sequence (8)
 *   person   office key (32) ‖ subject ->  bit 0 a row, bit 1 a profile
 *   count    office key (32), or "*"   ->  people (8)
 *   log      sequence (8)              ->  kind (1) ‖ office key (32) ‖ subject
 *   meta     "sequence", "trimmed" (8), "instance" (16), "=" ‖ key of the caller,
 *            "erase:" ‖ mark (8)     ->  when it was completed (8); 0: it waits
 *            "@" ‖ slot              ->  a note of author_notes.h
 *
 * Records are appended under a sequence of their own, which costs half of what random
 * keys cost. Rotations are group 0, grants and revocations 1, cards 2, everything else is
 * 3. The checksum, half of BLAKE2b-256 over slot and record, is checked at every read.
 */
#include "daemon/records.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <whocan/crypto.h>
#include <whocan/record.h>

#include "daemon/author_notes.h"
#include "daemon/loop.h"
#include "daemon/records_log.h"
#include "daemon/store.h"

enum table { T_RECORD, T_SLOT, T_PERSON, T_COUNT, T_LOG, T_META };
static const char *const tables[] = {"record", "slot", "person", "count",
                                     "log",    "meta", NULL};

#define FORMAT_VERSION 1
#define MAP_FIRST      (64ULL << 20) /* a few thousand people without growing */
#define CHECKSUM_BYTES 16
#define RECORD_HEAD    (CHECKSUM_BYTES + WC_DIGEST_BYTES)
#define PLACE_BYTES    9 /* group ‖ sequence: the key of a record, the value of a slot */
#define HAS_ROW        1
#define HAS_PROFILE    2
#define PATH_BYTES     4096
#define EACH_BYTES     (1 << 20) /* of records read in one transaction of a walk */

struct wc_records {
    struct wc_store *store;
    int lock_fd;
    _Atomic uint64_t indexed; /* the log up to here may go */
    _Atomic uint64_t erasures_waiting;
    struct {
        pthread_mutex_t lock;
        bool hidden;
        uint8_t home_key[WC_KEY_BYTES];
        uint64_t (*now_ms)(void);
    } ended;
};

__attribute__((format(printf, 3, 4))) static int fail(char *problem, int rc,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(problem, WC_PROBLEM_BYTES, format, args);
    va_end(args);
    return rc;
}

static struct wc_slice text(const char *s)
{
    return wc_slice_text(s);
}

/* ---- the state directory ---- */

/* LMDB's locks and mapped pages do not work across machines. */
static bool is_network(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return false;
    unsigned long type = (unsigned long)fs.f_type & 0xffffffffUL;
    return type == NFS_SUPER_MAGIC || type == SMB_SUPER_MAGIC ||
           type == CIFS_SUPER_MAGIC || type == SMB2_SUPER_MAGIC;
}

/* Make it when it is not there, and refuse one that others could read or own: it holds
 * the office's secret key. */
static int check_dir(const char *dir, char *problem)
{
    struct stat st;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail(problem, errno == ENOSPC ? -WC_EFULL : -WC_EDENIED,
                    "cannot create the state directory %s: %s", dir, strerror(errno));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(problem, -WC_EDENIED, "cannot open the state directory %s: %s", dir,
                    strerror(errno));
    int rc = 0;
    if (fstat(fd, &st) != 0)
        rc = fail(problem, -WC_EIO, "cannot read %s: %s", dir, strerror(errno));
    else if (st.st_uid != geteuid())
        rc = fail(problem, -WC_EDENIED,
                  "the state directory %s belongs to uid %u, and this is uid %u: run "
                  "as its owner, or chown -R it",
                  dir, (unsigned)st.st_uid, (unsigned)geteuid());
    else if ((st.st_mode & 077) != 0)
        rc = fail(problem, -WC_EDENIED,
                  "the state directory %s is open to others (mode %04o): chmod 700 %s",
                  dir, (unsigned)(st.st_mode & 07777), dir);
    else if (is_network(fd))
        rc = fail(problem, -WC_EDENIED,
                  "the state directory %s is on a network file system, where data "
                  "would be lost: choose a local one with --state",
                  dir);
    close(fd);
    return rc;
}

static void read_pid(int fd, char *out, size_t cap)
{
    ssize_t n = pread(fd, out, cap - 1, 0);
    size_t len = n > 0 ? (size_t)n : 0;
    out[len] = '\0';
    out[strspn(out, "0123456789")] = '\0';
}

/* The kernel releases the lock when the process ends, however it ends. */
static int take_lock(const char *dir, int *out, char *problem)
{
    char path[PATH_BYTES], pid[16];
    if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
        return fail(problem, -WC_ETOOBIG, "the path %.100s... is too long", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(problem, errno == ENOSPC ? -WC_EFULL : -WC_EDENIED,
                    "cannot open %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        read_pid(fd, pid, sizeof(pid));
        close(fd);
        return fail(problem, -WC_EBUSY,
                    "another whocand (pid %s) is using the state directory %s",
                    pid[0] != '\0' ? pid : "unknown", dir);
    }
    /* For the message above only, so a full disk is no reason to stop; of one length, so
     * that it fits where the last one was. */
    int len = snprintf(pid, sizeof(pid), "%-10ld\n", (long)getpid());
    (void)!pwrite(fd, pid, (size_t)len, 0);
    *out = fd;
    return 0;
}

/* ---- small values ---- */

static int meta_u64(struct wc_txn *t, const char *key, uint64_t *out)
{
    struct wc_slice v;
    *out = 0;
    int rc = wc_txn_get(t, T_META, text(key), &v);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0 && v.len != 8)
        return -WC_ECORRUPT;
    if (rc == 0)
        *out = wc_get_u64(v.data);
    return rc;
}

static int put_u64(struct wc_txn *t, enum table table, struct wc_slice key, uint64_t v)
{
    uint8_t bytes[8];
    wc_put_u64(bytes, v);
    return wc_txn_put(t, table, key, wc_slice(bytes, sizeof(bytes)));
}

static int draw_instance(struct wc_txn *t)
{
    uint8_t instance[WC_INSTANCE_BYTES];
    if (getrandom(instance, sizeof(instance), 0) != sizeof(instance))
        return -WC_EIO;
    return wc_txn_put(t, T_META, text("instance"),
                      wc_slice(instance, sizeof(instance)));
}

static int first_use(struct wc_txn *t, void *ctx)
{
    (void)ctx;
    struct wc_slice v;
    int rc = wc_txn_get(t, T_META, text("instance"), &v);
    return rc == -WC_ENOTFOUND ? draw_instance(t) : rc;
}

/* ---- marks of erasures ---- */

#define ERASE_KEY       "erase:"
#define ERASE_KEY_BYTES (sizeof(ERASE_KEY) - 1 + WC_ERASED_MARK_BYTES)

struct mark {
    uint64_t completed_ms; /* 0: it waits */
    uint8_t bytes[WC_ERASED_MARK_BYTES];
};

/* All of them. */
struct marks {
    struct mark *list;
    size_t count, cap;
};

static int put_mark(struct wc_txn *t, const uint8_t mark[WC_ERASED_MARK_BYTES],
                    uint64_t completed_ms)
{
    uint8_t key[ERASE_KEY_BYTES];
    memcpy(key, ERASE_KEY, sizeof(ERASE_KEY) - 1);
    memcpy(key + sizeof(ERASE_KEY) - 1, mark, WC_ERASED_MARK_BYTES);
    return put_u64(t, T_META, wc_slice(key, sizeof(key)), completed_ms);
}

static int drop_mark(struct wc_txn *t, const uint8_t mark[WC_ERASED_MARK_BYTES])
{
    uint8_t key[ERASE_KEY_BYTES];
    memcpy(key, ERASE_KEY, sizeof(ERASE_KEY) - 1);
    memcpy(key + sizeof(ERASE_KEY) - 1, mark, WC_ERASED_MARK_BYTES);
    return wc_txn_del(t, T_META, wc_slice(key, sizeof(key)));
}

static bool starts_with(struct wc_slice key, struct wc_slice prefix)
{
    return key.len >= prefix.len && memcmp(key.data, prefix.data, prefix.len) == 0;
}

static int add_mark(struct marks *m, const struct wc_cursor *c)
{
    if (c->key.len != ERASE_KEY_BYTES || c->value.len != 8)
        return -WC_ECORRUPT;
    if (m->count == m->cap) {
        size_t cap = m->cap == 0 ? 64 : 2 * m->cap;
        struct mark *list = realloc(m->list, cap * sizeof(*list));
        if (list == NULL)
            return -WC_ENOMEM;
        m->list = list;
        m->cap = cap;
    }
    struct mark *mark = &m->list[m->count++];
    mark->completed_ms = wc_get_u64(c->value.data);
    memcpy(mark->bytes, c->key.data + sizeof(ERASE_KEY) - 1, sizeof(mark->bytes));
    return 0;
}

static int compare_marks(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    if (x->completed_ms != y->completed_ms)
        return x->completed_ms < y->completed_ms ? -1 : 1;
    return memcmp(x->bytes, y->bytes, sizeof(x->bytes));
}

/* In order of completion, those that wait first. */
static int read_marks(struct wc_txn *t, void *ctx)
{
    struct marks *m = ctx;
    struct wc_slice prefix = text(ERASE_KEY);
    struct wc_cursor c;
    m->count = 0;
    int rc = wc_cursor_open(&c, t, T_META);
    if (rc == 0)
        rc = wc_cursor_seek(&c, prefix);
    while (rc == 0 && starts_with(c.key, prefix)) {
        rc = add_mark(m, &c);
        if (rc == 0)
            rc = wc_cursor_next(&c);
    }
    wc_cursor_close(&c);
    if (m->count > 0)
        qsort(m->list, m->count, sizeof(*m->list), compare_marks);
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

static int count_waiting(struct wc_records *r)
{
    struct marks m = {.count = 0};
    uint64_t waiting = 0;
    int rc = wc_store_read(r->store, read_marks, &m);
    while (rc == 0 && waiting < m.count && m.list[waiting].completed_ms == 0)
        waiting++;
    if (rc == 0)
        atomic_store(&r->erasures_waiting, waiting);
    free(m.list);
    return rc;
}

/* ---- open and close ---- */

static const struct wc_store_options options = {.format = "whocan records",
                                                .version = FORMAT_VERSION,
                                                .tables = tables,
                                                .map_bytes = MAP_FIRST};

static int open_store(struct wc_records *r, const char *dir, char *problem)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof(path), "%s/records", dir) >= (int)sizeof(path))
        return fail(problem, -WC_ETOOBIG, "the path %.100s... is too long", dir);
    int rc = wc_store_open(&r->store, path, &options, NULL, problem);
    if (rc != 0)
        return rc;
    rc = wc_store_write(r->store, first_use, NULL);
    if (rc == 0)
        rc = count_waiting(r);
    return rc == 0 ? 0 : fail(problem, rc, "the store %s %s", path, wc_strerror(rc));
}

int wc_records_check_file(const char *state_dir, char problem[WC_PROBLEM_BYTES])
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof(path), "%s/records", state_dir);
    if (n < 0 || (size_t)n >= sizeof(path))
        return fail(problem, -WC_ETOOBIG, "the path %.100s... is too long", state_dir);
    int lock = -1, rc = 0;
    if (access(state_dir, F_OK) != 0)
        return fail(problem, -WC_ENOTFOUND, "there is no %s", state_dir);
    rc = check_dir(state_dir, problem);
    if (rc == 0)
        rc = take_lock(state_dir, &lock, problem);
    if (rc == 0)
        rc = wc_store_check_file(path, &options, problem);
    if (lock >= 0)
        close(lock);
    return rc;
}

int wc_records_open(struct wc_records **out, const char *state_dir,
                    char problem[WC_PROBLEM_BYTES])
{
    *out = NULL;
    problem[0] = '\0';
    int rc = check_dir(state_dir, problem);
    if (rc != 0)
        return rc;
    struct wc_records *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return fail(problem, -WC_ENOMEM, "out of memory");
    r->lock_fd = -1;
    pthread_mutex_init(&r->ended.lock, NULL);
    rc = take_lock(state_dir, &r->lock_fd, problem);
    if (rc == 0)
        rc = open_store(r, state_dir, problem);
    if (rc != 0) {
        wc_records_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

void wc_records_close(struct wc_records *r)
{
    if (r == NULL)
        return;
    wc_store_close(r->store);
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    pthread_mutex_destroy(&r->ended.lock);
    free(r);
}

/* ---- keys ---- */

#define GROUP_LAST 3

/* Who vouches comes before what is vouched for in a walk: the rotation, which says by
 * which key; grants and revocations; cards; everything else. */
static uint8_t group_of(uint8_t kind)
{
    if (kind == WC_KIND_ROTATE)
        return 0;
    if (wc_kind_by_organisation(kind))
        return 1;
    return kind == WC_KIND_CARD ? 2 : GROUP_LAST;
}

static void place_put(uint8_t out[PLACE_BYTES], uint8_t group, uint64_t sequence)
{
    out[0] = group;
    wc_put_u64(out + 1, sequence);
}

struct person_key {
    uint8_t bytes[WC_KEY_BYTES + WC_SUBJECT_MAX_BYTES];
    size_t len;
};

static struct person_key person_key(const uint8_t *office_key, const char *subject)
{
    struct person_key k;
    size_t len = strnlen(subject, WC_SUBJECT_MAX_BYTES);
    memcpy(k.bytes, office_key, WC_KEY_BYTES);
    memcpy(k.bytes + WC_KEY_BYTES, subject, len);
    k.len = WC_KEY_BYTES + len;
    return k;
}

static int person_ref(struct wc_slice key, struct wc_person_ref *out)
{
    if (key.len < WC_KEY_BYTES ||
        !wc_slice_copy(wc_slice(key.data + WC_KEY_BYTES, key.len - WC_KEY_BYTES),
                       out->subject, sizeof(out->subject)))
        return -WC_ECORRUPT;
    memcpy(out->office_key, key.data, WC_KEY_BYTES);
    return 0;
}

static void checksum(const uint8_t *slot, struct wc_slice record,
                     uint8_t out[WC_DIGEST_BYTES])
{
    struct wc_slice parts[] = {wc_slice(slot, WC_DIGEST_BYTES), record};
    wc_hash(out, parts, 2);
}

/* ---- commit ---- */

static int add_count(struct wc_txn *t, struct wc_slice key, int by)
{
    struct wc_slice v;
    uint64_t n = 0;
    int rc = wc_txn_get(t, T_COUNT, key, &v);
    if (rc == 0 && v.len == 8)
        n = wc_get_u64(v.data);
    else if (rc != -WC_ENOTFOUND)
        return rc != 0 ? rc : -WC_ECORRUPT;
    if (by < 0 && n == 0)
        return -WC_ECORRUPT;
    n = by < 0 ? n - 1 : n + 1;
    if (n > 0)
        return put_u64(t, T_COUNT, key, n);
    return wc_txn_del(t, T_COUNT, key);
}

/* Set or clear one of the bits that make somebody a person. */
static int mark_person(struct wc_txn *t, const struct wc_change *c, bool present)
{
    struct person_key k = person_key(c->office_key, c->subject);
    struct wc_slice key = wc_slice(k.bytes, k.len), v;
    uint8_t bit = c->kind == WC_KIND_ROW ? HAS_ROW : HAS_PROFILE, old = 0;
    int rc = wc_txn_get(t, T_PERSON, key, &v);
    if (rc == 0 && v.len == 1)
        old = v.data[0];
    else if (rc != -WC_ENOTFOUND)
        return rc != 0 ? rc : -WC_ECORRUPT;
    uint8_t now = (uint8_t)(present ? old | bit : old & ~bit);
    if (now == old)
        return 0;
    rc = now != 0 ? wc_txn_put(t, T_PERSON, key, wc_slice(&now, 1))
                  : wc_txn_del(t, T_PERSON, key);
    if (rc != 0 || (old != 0) == (now != 0))
        return rc;
    rc = add_count(t, wc_slice(c->office_key, WC_KEY_BYTES), now != 0 ? 1 : -1);
    return rc != 0 ? rc : add_count(t, text("*"), now != 0 ? 1 : -1);
}

static bool is_person(uint8_t kind)
{
    return kind == WC_KIND_ROW || kind == WC_KIND_PROFILE;
}

static int log_change(struct wc_txn *t, const struct wc_change *c, uint64_t sequence)
{
    if (!is_person(c->kind) && c->kind != WC_KIND_CARD)
        return 0;
    uint8_t key[8], value[1 + sizeof(((struct person_key *)0)->bytes)];
    struct person_key k = person_key(c->office_key, c->subject);
    wc_put_u64(key, sequence);
    value[0] = c->kind;
    memcpy(value + 1, k.bytes, k.len);
    return wc_txn_append(t, T_LOG, wc_slice(key, sizeof(key)),
                         wc_slice(value, 1 + k.len));
}

/* Take the record of a slot away, if there is one. */
static int drop_old(struct wc_txn *t, const uint8_t *slot)
{
    struct wc_slice key = wc_slice(slot, WC_DIGEST_BYTES), v;
    uint8_t place[PLACE_BYTES];
    int rc = wc_txn_get(t, T_SLOT, key, &v);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0 && v.len != PLACE_BYTES)
        return -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    memcpy(place, v.data, sizeof(place));
    rc = wc_txn_del(t, T_RECORD, wc_slice(place, sizeof(place)));
    if (rc != 0 && rc != -WC_ENOTFOUND)
        return rc;
    return wc_txn_del(t, T_SLOT, key);
}

static int put_record(struct wc_txn *t, const struct wc_change *c, uint64_t sequence,
                      struct wc_buf *scratch)
{
    uint8_t place[PLACE_BYTES], sum[WC_DIGEST_BYTES];
    struct wc_slice record = wc_slice(c->bytes, c->len);
    uint8_t group = group_of(c->kind);
    place_put(place, group, sequence);
    checksum(c->slot, record, sum);
    wc_buf_reset(scratch);
    wc_buf_append(scratch, sum, CHECKSUM_BYTES);
    wc_buf_append(scratch, c->slot, WC_DIGEST_BYTES);
    wc_buf_append(scratch, c->bytes, c->len);
    if (scratch->failed)
        return -WC_ENOMEM;
    struct wc_slice key = wc_slice(place, sizeof(place)), value = wc_buf_slice(scratch);
    /* The last group, and the sequence only rises: an append keeps pages full. */
    int rc = group == GROUP_LAST ? wc_txn_append(t, T_RECORD, key, value)
                                 : wc_txn_put(t, T_RECORD, key, value);
    return rc != 0 ? rc
                   : wc_txn_put(t, T_SLOT, wc_slice(c->slot, WC_DIGEST_BYTES), key);
}

/* What a change leaves in its slot, and asks for. */
struct meaning {
    bool live;      /* a retirement holds the slot but leaves nothing to show */
    bool by_person; /* a profile that a person signed, with this key */
    uint8_t author_key[WC_KEY_BYTES];
    bool erases;
    uint8_t mark[WC_ERASED_MARK_BYTES];
};

static void judge_record(const struct wc_record *record, struct meaning *out)
{
    out->live = record->kind != WC_KIND_RETIRE;
    out->by_person = record->kind == WC_KIND_PROFILE &&
                     memcmp(record->author_key, record->office_key, WC_KEY_BYTES) != 0;
    memcpy(out->author_key, record->author_key, WC_KEY_BYTES);
    out->erases = record->erases;
    memcpy(out->mark, record->version.digest, sizeof(out->mark));
}

static int read_meaning(const struct wc_change *c, struct meaning *out)
{
    struct wc_record record;
    memset(out, 0, sizeof(*out));
    if (c->drop)
        return 0;
    if (c->bytes == NULL || c->len == 0 || c->len > WC_RECORD_MAX_BYTES)
        return -WC_EINVALID;
    int rc = wc_record_decode(wc_slice(c->bytes, c->len), &record, NULL);
    if (rc == 0 && record.kind != c->kind && record.kind != WC_KIND_RETIRE)
        return -WC_EINVALID;
    if (rc == 0)
        judge_record(&record, out);
    return rc;
}

static int find_record(struct wc_txn *t, const uint8_t *slot, struct wc_slice *record);

/* Who wrote what a slot holds now. One that is damaged is on its way out: it counts as
 * written by nobody. */
static int judge_held(struct wc_txn *t, const uint8_t *slot, struct meaning *out)
{
    struct wc_slice bytes;
    struct wc_record record;
    memset(out, 0, sizeof(*out));
    int rc = find_record(t, slot, &bytes);
    if (rc == 0)
        rc = wc_record_decode(bytes, &record, NULL);
    if (rc == 0)
        judge_record(&record, out);
    return rc == -WC_ENOMEM || rc == -WC_EIO ? rc : 0;
}

struct commit {
    struct wc_records *records;
    const struct wc_change *changes;
    const struct meaning *meanings;
    size_t count;
    uint64_t now_ms;
    struct wc_buf scratch;
};

/* Remember whose words give way to whose. */
static int note_author(struct wc_txn *t, const struct commit *k, size_t i)
{
    const struct meaning *new = &k->meanings[i];
    struct meaning old;
    int rc = judge_held(t, k->changes[i].slot, &old);
    return rc != 0
               ? rc
               : wc_author_changes(t, T_META, k->changes[i].slot,
                                   old.by_person ? old.author_key : NULL,
                                   new->by_person ? new->author_key : NULL, k->now_ms);
}

/* The person of a slot whose record is damaged: each of the office is tried. */
static int find_person(struct wc_txn *t, struct wc_change *c)
{
    struct wc_person_ref ref = {.subject = ""};
    struct person_key from = person_key(c->office_key, "");
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_cursor cursor;
    int rc = wc_cursor_open(&cursor, t, T_PERSON);
    if (rc == 0)
        rc = wc_cursor_seek(&cursor, wc_slice(from.bytes, from.len));
    for (; rc == 0; rc = wc_cursor_next(&cursor)) {
        if ((rc = person_ref(cursor.key, &ref)) != 0)
            break;
        if (memcmp(ref.office_key, c->office_key, WC_KEY_BYTES) != 0) {
            rc = -WC_ENOTFOUND;
            break;
        }
        wc_slot(slot, c->kind, c->office_key, ref.subject);
        if (memcmp(slot, c->slot, sizeof(slot)) == 0)
            break;
    }
    wc_cursor_close(&cursor);
    if (rc == 0)
        memcpy(c->subject, ref.subject, sizeof(c->subject));
    return rc;
}

/* Whose row or profile a change ends: a retirement does not say it. -WC_ENOTFOUND:
 * nobody's, there is none. */
static int name_ended(struct wc_txn *t, struct wc_change *c)
{
    struct wc_slice bytes;
    struct wc_record record;
    int rc = find_record(t, c->slot, &bytes);
    if (rc == -WC_ENOTFOUND || rc == -WC_ENOMEM || rc == -WC_EIO)
        return rc;
    if (rc == 0)
        rc = wc_record_decode(bytes, &record, NULL);
    if (rc != 0)
        return rc == -WC_ENOMEM ? rc : find_person(t, c);
    if (record.kind == WC_KIND_RETIRE)
        return -WC_ENOTFOUND;
    memcpy(c->subject, record.subject, sizeof(c->subject));
    return 0;
}

static int put_beside(struct wc_txn *t, const struct wc_meta_edit *edit);

static int apply_change(struct wc_txn *t, struct commit *k, size_t i, uint64_t sequence)
{
    struct wc_change named = k->changes[i];
    const struct wc_change *c = &named;
    bool known = true; /* whom it is about */
    int rc = c->kind == WC_KIND_PROFILE ? note_author(t, k, i) : 0;
    if (rc == 0 && is_person(c->kind) && !k->meanings[i].live) {
        rc = name_ended(t, &named);
        known = rc != -WC_ENOTFOUND;
        rc = known ? rc : 0;
    }
    if (rc == 0)
        rc = drop_old(t, c->slot);
    if (rc == 0 && !c->drop)
        rc = put_record(t, c, sequence, &k->scratch);
    if (rc == 0 && known && is_person(c->kind))
        rc = mark_person(t, c, k->meanings[i].live);
    /* In the transaction that takes the content away: a crash forgets neither. */
    if (rc == 0 && k->meanings[i].erases)
        rc = put_mark(t, k->meanings[i].mark, 0);
    if (rc == 0 && c->beside != NULL)
        rc = put_beside(t, c->beside);
    return rc != 0 || !known ? rc : log_change(t, c, sequence);
}

static int log_oldest(struct wc_txn *t, uint64_t *sequence)
{
    struct wc_cursor c;
    int rc = wc_cursor_open(&c, t, T_LOG);
    if (rc == 0)
        rc = wc_cursor_first(&c);
    if (rc == 0 && c.key.len != 8)
        rc = -WC_ECORRUPT;
    if (rc == 0)
        *sequence = wc_get_u64(c.key.data);
    wc_cursor_close(&c);
    return rc;
}

/* Delete the log up to `upto`, and more when it is longer than WC_LOG_MAX_COUNT. */
static int trim_log(struct wc_txn *t, uint64_t upto)
{
    uint64_t entries, trimmed = 0, oldest = 0;
    int rc = wc_txn_count(t, T_LOG, &entries);
    while (rc == 0 && entries > 0) {
        uint8_t key[8];
        rc = log_oldest(t, &oldest);
        if (rc != 0 || (oldest > upto && entries <= WC_LOG_MAX_COUNT))
            break;
        wc_put_u64(key, oldest);
        rc = wc_txn_del(t, T_LOG, wc_slice(key, sizeof(key)));
        trimmed = oldest;
        entries--;
    }
    if (rc != 0 || trimmed == 0)
        return rc;
    return put_u64(t, T_META, text("trimmed"), trimmed);
}

static int commit_fn(struct wc_txn *t, void *ctx)
{
    struct commit *k = ctx;
    uint64_t sequence;
    int rc = meta_u64(t, "sequence", &sequence);
    for (size_t i = 0; rc == 0 && i < k->count; i++)
        rc = apply_change(t, k, i, ++sequence);
    if (rc == 0)
        rc = put_u64(t, T_META, text("sequence"), sequence);
    return rc != 0 ? rc : trim_log(t, atomic_load(&k->records->indexed));
}

int wc_records_commit(struct wc_records *r, const struct wc_change *changes,
                      size_t count)
{
    if (count == 0)
        return 0;
    bool erases = false;
    struct meaning *meanings = calloc(count, sizeof(*meanings));
    if (meanings == NULL)
        return -WC_ENOMEM;
    struct commit k = {.records = r,
                       .changes = changes,
                       .meanings = meanings,
                       .count = count,
                       .now_ms = wc_wall_ms()};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = read_meaning(&changes[i], &meanings[i]);
        erases = erases || meanings[i].erases;
    }
    if (rc == 0)
        rc = wc_store_write(r->store, commit_fn, &k);
    if (rc == 0 && erases)
        rc = count_waiting(r);
    wc_buf_fini(&k.scratch);
    free(meanings);
    return rc;
}

/* ---- reading records ---- */

/* Split a stored value, and check it. slot may be NULL: then any will do. */
static int open_value(struct wc_slice v, const uint8_t *slot, struct wc_slice *record)
{
    uint8_t sum[WC_DIGEST_BYTES];
    if (v.len < RECORD_HEAD)
        return -WC_ECORRUPT;
    const uint8_t *stored = v.data + CHECKSUM_BYTES;
    if (slot != NULL && memcmp(stored, slot, WC_DIGEST_BYTES) != 0)
        return -WC_ECORRUPT;
    *record = wc_slice(v.data + RECORD_HEAD, v.len - RECORD_HEAD);
    checksum(stored, *record, sum);
    return memcmp(sum, v.data, CHECKSUM_BYTES) == 0 ? 0 : -WC_ECORRUPT;
}

static int find_record(struct wc_txn *t, const uint8_t *slot, struct wc_slice *record)
{
    struct wc_slice place, v;
    int rc = wc_txn_get(t, T_SLOT, wc_slice(slot, WC_DIGEST_BYTES), &place);
    if (rc != 0)
        return rc;
    rc = wc_txn_get(t, T_RECORD, place, &v);
    if (rc == -WC_ENOTFOUND || rc == -WC_ETOOBIG)
        return -WC_ECORRUPT;
    return rc != 0 ? rc : open_value(v, slot, record);
}

struct get {
    const uint8_t *slot;
    struct wc_buf *out;
};

static int get_fn(struct wc_txn *t, void *ctx)
{
    struct get *g = ctx;
    struct wc_slice record;
    int rc = find_record(t, g->slot, &record);
    if (rc != 0)
        return rc;
    wc_buf_append(g->out, record.data, record.len);
    return g->out->failed ? -WC_ENOMEM : 0;
}

int wc_records_get(struct wc_records *r, const uint8_t slot[WC_DIGEST_BYTES],
                   struct wc_buf *out)
{
    struct get g = {.slot = slot, .out = out};
    return wc_store_read(r->store, get_fn, &g);
}

void wc_records_hide_ended(struct wc_records *r, const uint8_t *home_key,
                           uint64_t (*now_ms)(void))
{
    pthread_mutex_lock(&r->ended.lock);
    r->ended.hidden = home_key != NULL;
    if (home_key != NULL)
        memcpy(r->ended.home_key, home_key, WC_KEY_BYTES);
    r->ended.now_ms = now_ms;
    pthread_mutex_unlock(&r->ended.lock);
}

bool wc_records_shows(struct wc_records *r, const uint8_t office_key[WC_KEY_BYTES],
                      uint64_t expires_at_ms)
{
    pthread_mutex_lock(&r->ended.lock);
    bool shows = !r->ended.hidden ||
                 memcmp(office_key, r->ended.home_key, WC_KEY_BYTES) == 0 ||
                 r->ended.now_ms() < expires_at_ms;
    pthread_mutex_unlock(&r->ended.lock);
    return shows;
}

struct changed_at {
    const uint8_t *slot;
    uint64_t changed_at_ms;
};

static int changed_at_fn(struct wc_txn *t, void *ctx)
{
    struct changed_at *k = ctx;
    return wc_author_changed_at(t, T_META, k->slot, &k->changed_at_ms);
}

int wc_records_key_changed(struct wc_records *r, const uint8_t slot[WC_DIGEST_BYTES],
                           uint64_t *changed_at_ms)
{
    struct changed_at k = {.slot = slot};
    int rc = wc_store_read(r->store, changed_at_fn, &k);
    *changed_at_ms = k.changed_at_ms;
    return rc;
}

/* One slice of a walk: records copied out, so that no transaction spans a callback. */
struct walk {
    uint8_t from[PLACE_BYTES]; /* the next record is at or after this */
    struct wc_buf bytes;
    struct wc_buf ends; /* uint64_t: where each record ends in bytes */
    uint64_t damaged;
    bool done;
};

static int walk_one(struct walk *w, struct wc_cursor *c)
{
    struct wc_slice record;
    if (open_value(c->value, NULL, &record) != 0) {
        w->damaged++;
        return 0;
    }
    wc_buf_append(&w->bytes, record.data, record.len);
    uint64_t end = w->bytes.len;
    wc_buf_append(&w->ends, &end, sizeof(end));
    return w->bytes.failed || w->ends.failed ? -WC_ENOMEM : 0;
}

static int walk_fn(struct wc_txn *t, void *ctx)
{
    struct walk *w = ctx;
    struct wc_cursor c;
    wc_buf_reset(&w->bytes);
    wc_buf_reset(&w->ends);
    int rc = wc_cursor_open(&c, t, T_RECORD);
    if (rc == 0)
        rc = wc_cursor_seek(&c, wc_slice(w->from, sizeof(w->from)));
    while (rc == 0 && w->bytes.len < EACH_BYTES) {
        rc = c.key.len == PLACE_BYTES ? walk_one(w, &c) : -WC_ECORRUPT;
        if (rc == 0) {
            place_put(w->from, c.key.data[0], wc_get_u64(c.key.data + 1) + 1);
            rc = wc_cursor_next(&c);
        }
    }
    wc_cursor_close(&c);
    w->done = rc == -WC_ENOTFOUND;
    return w->done ? 0 : rc;
}

static int walk_give(const struct walk *w, wc_records_fn fn, void *ctx)
{
    uint64_t from = 0, to;
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < w->ends.len; at += sizeof(to)) {
        memcpy(&to, w->ends.data + at, sizeof(to));
        rc = fn(ctx, wc_slice(w->bytes.data + from, to - from));
        from = to;
    }
    return rc;
}

int wc_records_each(struct wc_records *r, wc_records_fn fn, void *ctx,
                    uint64_t *damaged)
{
    struct walk w = {.done = false};
    int rc = 0;
    while (rc == 0 && !w.done) {
        rc = wc_store_read(r->store, walk_fn, &w);
        if (rc == 0)
            rc = walk_give(&w, fn, ctx);
    }
    wc_buf_fini(&w.bytes);
    wc_buf_fini(&w.ends);
    if (damaged != NULL)
        *damaged = w.damaged;
    return rc;
}

int wc_records_slice(struct wc_records *r, struct wc_records_place *place,
                     wc_records_fn fn, void *ctx)
{
    struct walk w = {.done = false};
    _Static_assert(sizeof(w.from) == sizeof(place->from), "a place is a key");
    memcpy(w.from, place->from, sizeof(w.from));
    int rc = wc_store_read(r->store, walk_fn, &w);
    if (rc == 0)
        rc = walk_give(&w, fn, ctx);
    memcpy(place->from, w.from, sizeof(w.from));
    place->damaged += w.damaged;
    place->done = w.done;
    wc_buf_fini(&w.bytes);
    wc_buf_fini(&w.ends);
    return rc;
}

/* ---- people ---- */

struct people {
    const uint8_t *office_key;
    const struct wc_person_ref *after;
    struct wc_person_ref *out;
    int limit, count;
};

static int people_fn(struct wc_txn *t, void *ctx)
{
    struct people *p = ctx;
    struct wc_cursor c;
    struct person_key from = {.len = 0};
    if (p->after != NULL)
        from = person_key(p->after->office_key, p->after->subject);
    else if (p->office_key != NULL)
        from = person_key(p->office_key, "");
    int rc = wc_cursor_open(&c, t, T_PERSON);
    if (rc == 0)
        rc = from.len > 0 ? wc_cursor_seek(&c, wc_slice(from.bytes, from.len))
                          : wc_cursor_first(&c);
    if (rc == 0 && p->after != NULL &&
        wc_slice_eq(c.key, wc_slice(from.bytes, from.len)))
        rc = wc_cursor_next(&c);
    for (; rc == 0 && p->count < p->limit; rc = rc != 0 ? rc : wc_cursor_next(&c)) {
        if (p->office_key != NULL &&
            (c.key.len < WC_KEY_BYTES ||
             memcmp(c.key.data, p->office_key, WC_KEY_BYTES) != 0))
            break;
        rc = person_ref(c.key, &p->out[p->count]);
        if (rc == 0)
            p->count++;
    }
    wc_cursor_close(&c);
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

int wc_records_people(struct wc_records *r, const uint8_t *office_key,
                      const struct wc_person_ref *after, struct wc_person_ref *out,
                      int limit)
{
    struct people p = {
        .office_key = office_key, .after = after, .out = out, .limit = limit};
    int rc = wc_store_read(r->store, people_fn, &p);
    return rc != 0 ? rc : p.count;
}

struct count {
    const uint8_t *office_key;
    uint64_t n;
};

static int count_fn(struct wc_txn *t, void *ctx)
{
    struct count *k = ctx;
    struct wc_slice v,
        key = k->office_key != NULL ? wc_slice(k->office_key, WC_KEY_BYTES) : text("*");
    int rc = wc_txn_get(t, T_COUNT, key, &v);
    if (rc == 0 && v.len == 8)
        k->n = wc_get_u64(v.data);
    return rc;
}

uint64_t wc_records_people_count(struct wc_records *r, const uint8_t *office_key)
{
    struct count k = {.office_key = office_key};
    (void)wc_store_read(r->store, count_fn, &k);
    return k.n;
}

/* ---- values of the caller ---- */

struct meta {
    struct wc_buf key;
    struct wc_slice value;
    struct wc_buf *out;
};

static int meta_get_fn(struct wc_txn *t, void *ctx)
{
    struct meta *m = ctx;
    struct wc_slice v;
    int rc = wc_txn_get(t, T_META, wc_buf_slice(&m->key), &v);
    if (rc != 0)
        return rc;
    wc_buf_append(m->out, v.data, v.len);
    return m->out->failed ? -WC_ENOMEM : 0;
}

static int meta_put_fn(struct wc_txn *t, void *ctx)
{
    struct meta *m = ctx;
    return wc_txn_put(t, T_META, wc_buf_slice(&m->key), m->value);
}

/* The caller's keys carry a mark, so that they never meet ours. */
static int meta_key(struct meta *m, const char *key)
{
    wc_buf_text(&m->key, "=");
    wc_buf_text(&m->key, key);
    return m->key.failed ? -WC_ENOMEM : 0;
}

int wc_records_meta_get(struct wc_records *r, const char *key, struct wc_buf *out)
{
    struct meta m = {.out = out};
    int rc = meta_key(&m, key);
    if (rc == 0)
        rc = wc_store_read(r->store, meta_get_fn, &m);
    wc_buf_fini(&m.key);
    return rc;
}

int wc_records_meta_put(struct wc_records *r, const char *key, struct wc_slice value)
{
    struct meta m = {.value = value};
    int rc = meta_key(&m, key);
    if (rc == 0)
        rc = wc_store_write(r->store, meta_put_fn, &m);
    wc_buf_fini(&m.key);
    return rc;
}

static int meta_edit_one(struct wc_txn *t, const struct wc_meta_edit *edit,
                         struct wc_slice key);

static int put_beside(struct wc_txn *t, const struct wc_meta_edit *edit)
{
    struct meta m = {.out = NULL};
    int rc = meta_key(&m, edit->key);
    if (rc == 0)
        rc = meta_edit_one(t, edit, wc_buf_slice(&m.key));
    wc_buf_fini(&m.key);
    return rc;
}

struct meta_edits {
    const struct wc_meta_edit *list;
    size_t count;
};

static int meta_edit_one(struct wc_txn *t, const struct wc_meta_edit *edit,
                         struct wc_slice key)
{
    struct wc_slice held;
    if (edit->drop) {
        int rc = wc_txn_del(t, T_META, key);
        return rc == -WC_ENOTFOUND ? 0 : rc;
    }
    int rc = edit->claim ? wc_txn_get(t, T_META, key, &held) : -WC_ENOTFOUND;
    if (rc == 0)
        return wc_slice_eq(held, edit->value) ? 0 : -WC_EEXISTS;
    return rc == -WC_ENOTFOUND ? wc_txn_put(t, T_META, key, edit->value) : rc;
}

static int meta_edit_fn(struct wc_txn *t, void *ctx)
{
    const struct meta_edits *e = ctx;
    struct meta m = {.out = NULL};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < e->count; i++) {
        wc_buf_reset(&m.key);
        rc = meta_key(&m, e->list[i].key);
        if (rc == 0)
            rc = meta_edit_one(t, &e->list[i], wc_buf_slice(&m.key));
    }
    wc_buf_fini(&m.key);
    return rc;
}

int wc_records_meta_edit(struct wc_records *r, const struct wc_meta_edit *edits,
                         size_t count)
{
    struct meta_edits e = {.list = edits, .count = count};
    return count == 0 ? 0 : wc_store_write(r->store, meta_edit_fn, &e);
}

struct meta_walk {
    struct wc_buf prefix;
    wc_records_meta_fn fn;
    void *ctx;
};

static int meta_each_fn(struct wc_txn *t, void *ctx)
{
    const struct meta_walk *w = ctx;
    struct wc_slice prefix = wc_buf_slice(&w->prefix);
    struct wc_cursor c;
    int rc = wc_cursor_open(&c, t, T_META);
    if (rc == 0)
        rc = wc_cursor_seek(&c, prefix);
    if (rc == -WC_ENOTFOUND) { /* of the walk, not of fn */
        wc_cursor_close(&c);
        return 0;
    }
    while (rc == 0 && starts_with(c.key, prefix)) {
        rc = w->fn(w->ctx, wc_slice(c.key.data + 1, c.key.len - 1), c.value);
        if (rc == 0 && wc_cursor_next(&c) == -WC_ENOTFOUND)
            break;
    }
    wc_cursor_close(&c);
    return rc;
}

int wc_records_meta_each(struct wc_records *r, const char *prefix,
                         wc_records_meta_fn fn, void *ctx)
{
    struct meta_walk w = {.fn = fn, .ctx = ctx};
    wc_buf_text(&w.prefix, "=");
    wc_buf_text(&w.prefix, prefix);
    int rc = w.prefix.failed ? -WC_ENOMEM : wc_store_read(r->store, meta_each_fn, &w);
    wc_buf_fini(&w.prefix);
    return rc;
}

/* Delete the first key of the prefix until there is none: a cursor does not outlive what
 * it stands on. */
static int meta_forget_fn(struct wc_txn *t, void *ctx)
{
    struct meta *m = ctx;
    struct wc_slice prefix = wc_buf_slice(&m->key);
    uint8_t key[WC_STORE_KEY_MAX_BYTES];
    struct wc_cursor c;
    int rc = 0;
    while (rc == 0) {
        rc = wc_cursor_open(&c, t, T_META);
        if (rc == 0)
            rc = wc_cursor_seek(&c, prefix);
        if (rc == 0 && !starts_with(c.key, prefix))
            rc = -WC_ENOTFOUND;
        size_t len = rc == 0 ? c.key.len : 0;
        if (rc == 0)
            memcpy(key, c.key.data, len);
        wc_cursor_close(&c);
        if (rc == 0)
            rc = wc_txn_del(t, T_META, wc_slice(key, len));
    }
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

int wc_records_meta_forget(struct wc_records *r, const char *prefix)
{
    struct meta m = {.out = NULL};
    int rc = meta_key(&m, prefix);
    if (rc == 0)
        rc = wc_store_write(r->store, meta_forget_fn, &m);
    wc_buf_fini(&m.key);
    return rc;
}

/* ---- erasure ---- */

uint64_t wc_records_erasures_waiting(const struct wc_records *r)
{
    return atomic_load(&r->erasures_waiting);
}

static int forget_log_fn(struct wc_txn *t, void *ctx)
{
    struct wc_records *r = ctx;
    return trim_log(t, atomic_load(&r->indexed));
}

int wc_records_compact(struct wc_records *r)
{
    /* the log names who was erased, and would until the next commit */
    int rc = wc_store_write(r->store, forget_log_fn, r);
    return rc != 0 ? rc : wc_store_compact(r->store);
}

struct completion {
    uint64_t now_ms;
    struct marks marks;
};

static int erased_fn(struct wc_txn *t, void *ctx)
{
    struct completion *k = ctx;
    int rc = read_marks(t, &k->marks);
    size_t waiting = 0, count = k->marks.count;
    for (; rc == 0 && waiting < count && k->marks.list[waiting].completed_ms == 0;
         waiting++)
        rc = put_mark(t, k->marks.list[waiting].bytes, k->now_ms);
    /* The oldest go first, and of those that waited whichever are too many. */
    for (size_t i = 0; rc == 0 && i + WC_ERASED_MAX_COUNT < count; i++)
        rc = drop_mark(t, k->marks.list[(waiting + i) % count].bytes);
    return rc;
}

int wc_records_erased(struct wc_records *r, uint64_t now_ms)
{
    struct completion k = {.now_ms = now_ms > 0 ? now_ms : 1};
    int rc = wc_store_write(r->store, erased_fn, &k);
    free(k.marks.list);
    return rc != 0 ? rc : count_waiting(r);
}

int wc_records_erased_marks(struct wc_records *r,
                            uint8_t out[WC_ERASED_MAX_COUNT][WC_ERASED_MARK_BYTES])
{
    struct marks m = {.count = 0};
    int rc = wc_store_read(r->store, read_marks, &m);
    size_t from = 0;
    while (from < m.count &&
           (m.list[from].completed_ms == 0 || m.count - from > WC_ERASED_MAX_COUNT))
        from++;
    for (size_t i = from; rc == 0 && i < m.count; i++)
        memcpy(out[i - from], m.list[i].bytes, WC_ERASED_MARK_BYTES);
    size_t count = m.count - from;
    free(m.list);
    return rc != 0 ? rc : (int)count;
}

/* ---- the whole ---- */

static int clear_fn(struct wc_txn *t, void *ctx)
{
    (void)ctx;
    static const enum table all[] = {T_RECORD, T_SLOT, T_PERSON, T_COUNT, T_LOG};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(all) / sizeof(all[0]); i++)
        rc = wc_txn_clear(t, all[i]);
    /* The sequence goes on: an index that missed this must not think itself current. */
    return rc != 0 ? rc : draw_instance(t);
}

int wc_records_clear(struct wc_records *r)
{
    return wc_store_write(r->store, clear_fn, NULL);
}

static int records_count_fn(struct wc_txn *t, void *ctx)
{
    return wc_txn_count(t, T_SLOT, ctx);
}

void wc_records_usage(struct wc_records *r, struct wc_records_usage *out)
{
    struct wc_store_usage u;
    wc_store_usage(r->store, &u);
    *out =
        (struct wc_records_usage){.used_bytes = u.used_bytes, .map_bytes = u.map_bytes};
    (void)wc_store_read(r->store, records_count_fn, &out->records_count);
}

void wc_records_longest(struct wc_records *r, struct wc_store_longest *out)
{
    wc_store_longest(r->store, out);
}

void wc_records_tidy(struct wc_records *r)
{
    (void)wc_store_tidy(r->store);
}

/* ---- for the index ---- */

static int state_fn(struct wc_txn *t, void *ctx)
{
    struct wc_records_state *s = ctx;
    struct wc_slice v;
    int rc = wc_txn_get(t, T_META, text("instance"), &v);
    if (rc == 0 && v.len != WC_INSTANCE_BYTES)
        rc = -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    memcpy(s->instance, v.data, WC_INSTANCE_BYTES);
    return meta_u64(t, "sequence", &s->sequence);
}

int wc_records_state(struct wc_records *r, struct wc_records_state *out)
{
    return wc_store_read(r->store, state_fn, out);
}

struct log {
    uint64_t after;
    struct wc_log_entry *out;
    int limit, count;
};

static int log_entry(const struct wc_cursor *c, struct wc_log_entry *out)
{
    if (c->key.len != 8 || c->value.len < 1)
        return -WC_ECORRUPT;
    out->sequence = wc_get_u64(c->key.data);
    out->kind = c->value.data[0];
    return person_ref(wc_slice(c->value.data + 1, c->value.len - 1), &out->who);
}

static int log_fn(struct wc_txn *t, void *ctx)
{
    struct log *l = ctx;
    struct wc_cursor c;
    uint64_t trimmed;
    uint8_t key[8];
    int rc = meta_u64(t, "trimmed", &trimmed);
    if (rc == 0 && trimmed > l->after)
        return -WC_ESTALE;
    wc_put_u64(key, l->after + 1);
    if (rc == 0)
        rc = wc_cursor_open(&c, t, T_LOG);
    if (rc != 0)
        return rc;
    rc = wc_cursor_seek(&c, wc_slice(key, sizeof(key)));
    while (rc == 0 && l->count < l->limit) {
        rc = log_entry(&c, &l->out[l->count]);
        if (rc == 0) {
            l->count++;
            rc = wc_cursor_next(&c);
        }
    }
    wc_cursor_close(&c);
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

int wc_records_log(struct wc_records *r, uint64_t after, struct wc_log_entry *out,
                   int limit)
{
    struct log l = {.after = after, .out = out, .limit = limit};
    int rc = wc_store_read(r->store, log_fn, &l);
    return rc != 0 ? rc : l.count;
}

void wc_records_indexed(struct wc_records *r, uint64_t sequence)
{
    atomic_store(&r->indexed, sequence);
}
