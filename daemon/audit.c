/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing. What is added gathers while a group is being written, so that many lines share
 * one flush. A group is written whole or not at all: when the disk fills up in its middle
 * the file is cut back to where it was.
 *
 * STATE/audit/head holds number and hash of the last line, so that lines cut off the end
 * are missed. It is written after the flush of the lines and not flushed itself: after a
 * power cut it may be behind, never ahead.
 */
#include "daemon/audit.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <whocan/crypto.h>
#include <whocan/error.h>
#include <whocan/pack.h>

#include "daemon/log.h"
#include "daemon/random.h"

#define NAME_BYTES 32
#define PATH_BYTES 4096
/* Kept free behind the end of the file: an act that has begun finds room for its people
 * (a batch of imported rows) and its end. */
#define RESERVE_BYTES (128u << 10)
/* A file ends after this part of the time that lines are kept, so that they are not kept
 * for much longer because little happens. */
#define FILES_PER_TERM   12
#define LINE_START_BYTES 140 /* about: number, hash and time */

struct line {
    struct line *next;
    uint64_t at_ms;
    struct wc_buf members;
    void (*done)(void *ctx, int rc);
    void *ctx;
};

struct wc_audit {
    char dir[PATH_BYTES];
    int dir_fd, fd, head_fd;
    uint8_t key[WC_SECRET_BYTES]; /* of the hashes of people */
    bool key_stored;              /* before the first line with one */
    struct wc_loop *loop;
    _Atomic uint64_t keep_days, file_bytes;
    _Atomic bool failing;
    /* the writer's: whoever runs write_group() */
    uint32_t file; /* its number */
    uint64_t file_bytes_now;
    uint64_t file_since_ms; /* of its first line; 0: it has none */
    struct wc_audit_head head;
    uint64_t missed_count; /* lines that could not be written since the last one */
    /* what readers may read: a copy of the above */
    pthread_mutex_t mutex;
    uint32_t readable_file;
    uint64_t readable_bytes;
    struct wc_audit_head readable_head;
    /* the loop's */
    struct line *gathering, **gathering_end;
    struct line *writing;
    int written_rc;
    bool told; /* the operator, that it cannot be written */
};

static int result(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return -WC_EFULL;
    case ENOMEM:
        return -WC_ENOMEM;
    case EACCES:
    case EPERM:
    case EROFS:
        return -WC_EDENIED;
    default:
        return -WC_EIO;
    }
}

static void file_name(char out[NAME_BYTES], uint32_t number)
{
    snprintf(out, NAME_BYTES, "%06" PRIu32 ".log", number);
}

/* "000012.log" is 12; anything else 0. */
static uint32_t file_number(const char *name)
{
    char again[NAME_BYTES];
    unsigned long number = strtoul(name, NULL, 10);
    if (number == 0 || number > UINT32_MAX)
        return 0;
    file_name(again, (uint32_t)number);
    return strcmp(again, name) == 0 ? (uint32_t)number : 0;
}

/* The numbers of the first and the last file; 0 when there is none. */
static int list_files(const struct wc_audit *a, uint32_t *first, uint32_t *last)
{
    DIR *dir = opendir(a->dir);
    *first = *last = 0;
    if (dir == NULL)
        return result(errno);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        uint32_t number = file_number(e->d_name);
        if (number == 0)
            continue;
        if (*first == 0 || number < *first)
            *first = number;
        if (number > *last)
            *last = number;
    }
    closedir(dir);
    return 0;
}

/* ---------------------------------------------------------------- lines of a file */

enum line_kind {
    LINE_NONE, /* the end of the file */
    LINE_TEXT,
    LINE_BAD, /* too long, or with a NUL: no line of ours */
    LINE_CUT, /* without its newline: the file ends in it */
};

/* A line without its newline. Of a bad one only a part is given. */
static enum line_kind read_line(FILE *f, char out[WC_AUDIT_LINE_MAX_BYTES + 2],
                                size_t *len)
{
    int c = 0;
    bool bad = false;
    *len = 0;
    while ((c = getc(f)) != EOF && c != '\n') {
        if (c == '\0' || *len > WC_AUDIT_LINE_MAX_BYTES)
            bad = true;
        else
            out[(*len)++] = (char)c;
    }
    if (c == EOF)
        return *len == 0 && !bad ? LINE_NONE : LINE_CUT;
    return bad ? LINE_BAD : LINE_TEXT;
}

static FILE *open_file(const struct wc_audit *a, uint32_t number)
{
    char name[NAME_BYTES];
    file_name(name, number);
    int fd = openat(a->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    FILE *f = fdopen(fd, "r");
    if (f == NULL)
        close(fd);
    return f;
}

/* ---------------------------------------------------------------- the key */

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? -WC_EFULL : result(errno);
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

#define KEY_TEXT_BYTES (2 * WC_SECRET_BYTES + 1) /* in hexadecimal, and a newline */

/* Read the key, or make one, which is written with the first line. */
static int load_key(struct wc_audit *a, char problem[WC_PROBLEM_BYTES])
{
    char text[KEY_TEXT_BYTES + 1];
    int fd = openat(a->dir_fd, "key", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        wc_random_bytes(a->key, sizeof(a->key));
        return 0;
    }
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
    int rc = len < 0 ? result(errno) : 0;
    if (fd >= 0)
        close(fd);
    if (rc == 0 &&
        (len != KEY_TEXT_BYTES || text[len - 1] != '\n' ||
         wc_unhex(a->key, sizeof(a->key), wc_slice(text, KEY_TEXT_BYTES - 1)) != 0))
        rc = -WC_ECORRUPT;
    a->key_stored = rc == 0;
    if (rc != 0)
        snprintf(
            problem, WC_PROBLEM_BYTES,
            "%.200s/key %s: put it back from a backup, or move it away, and nobody "
            "can be looked for in the lines up to now",
            a->dir, wc_strerror(rc));
    wc_wipe(text, sizeof(text));
    return rc;
}

static int write_key(const struct wc_audit *a, int fd)
{
    char text[KEY_TEXT_BYTES + 1];
    wc_hex(text, a->key, sizeof(a->key));
    text[KEY_TEXT_BYTES - 1] = '\n';
    int rc = write_all(fd, (const uint8_t *)text, KEY_TEXT_BYTES);
    wc_wipe(text, sizeof(text));
    return rc == 0 && fsync(fd) != 0 ? result(errno) : rc;
}

/* There is the whole of it under its name, or none. */
static int store_key(struct wc_audit *a)
{
    int fd = openat(a->dir_fd, "key.new",
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc = fd < 0 ? result(errno) : write_key(a, fd);
    if (fd >= 0 && close(fd) != 0 && rc == 0)
        rc = result(errno);
    if (rc == 0 && (renameat(a->dir_fd, "key.new", a->dir_fd, "key") != 0 ||
                    fsync(a->dir_fd) != 0))
        rc = result(errno);
    a->key_stored = rc == 0;
    return rc;
}

/* ---------------------------------------------------------------- keeping */

/* The time of a file's first line; 0 when it has none that can be read. */
static uint64_t first_time(const struct wc_audit *a, uint32_t number)
{
    char text[WC_AUDIT_LINE_MAX_BYTES + 2];
    size_t len;
    struct wc_audit_start start = {0};
    FILE *f = open_file(a, number);
    if (f == NULL)
        return 0;
    if (read_line(f, text, &len) != LINE_TEXT ||
        wc_audit_parse(wc_slice(text, len), &start) != 0)
        start.at_ms = 0;
    fclose(f);
    return start.at_ms;
}

static int add_line(struct wc_buf *out, struct wc_audit_head *head, uint64_t at_ms,
                    struct wc_audit_entry *entry)
{
    int rc = entry->members.failed
                 ? -WC_ENOMEM
                 : wc_audit_line(out, head, at_ms, wc_buf_slice(&entry->members));
    wc_buf_fini(&entry->members);
    return rc;
}

/* Delete the oldest files whose successor begins before the time that lines are kept: all
 * that stands in them is older. Says so in *out, the lines that are being made. */
static int drop_old(struct wc_audit *a, struct wc_buf *out, struct wc_audit_head *head,
                    uint64_t now_ms)
{
    uint32_t first, last;
    uint64_t keep_ms = a->keep_days * WC_DAY_MS;
    int rc = list_files(a, &first, &last);
    for (; rc == 0 && first != 0 && first + 1 < a->file; first++) {
        char name[NAME_BYTES];
        uint64_t next_ms = first_time(a, first + 1);
        file_name(name, first);
        if (next_ms == 0 || next_ms + keep_ms > now_ms ||
            unlinkat(a->dir_fd, name, 0) != 0)
            break;
        struct wc_audit_entry entry = {0};
        wc_audit_begin(a, &entry, "audit.expire", NULL);
        wc_audit_say(&entry.members, "file", wc_slice_text(name));
        rc = add_line(out, head, now_ms, &entry);
    }
    return rc;
}

/* The first lines of a file. */
static int begin_file(struct wc_audit *a, struct wc_buf *out,
                      struct wc_audit_head *head, uint64_t now_ms)
{
    char name[NAME_BYTES];
    struct wc_audit_entry entry = {0};
    file_name(name, a->file);
    wc_audit_begin(a, &entry, WC_AUDIT_ACT_FILE, NULL);
    wc_audit_say(&entry.members, "file", wc_slice_text(name));
    wc_audit_say_u64(&entry.members, "format", WC_AUDIT_FORMAT);
    int rc = add_line(out, head, now_ms, &entry);
    return rc != 0 ? rc : drop_old(a, out, head, now_ms);
}

/* ---------------------------------------------------------------- files */

static int create_file(struct wc_audit *a, uint32_t number)
{
    char name[NAME_BYTES];
    file_name(name, number);
    int fd =
        openat(a->dir_fd, name,
               O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return result(errno);
    if (fsync(a->dir_fd) != 0) {
        int rc = result(errno);
        unlinkat(a->dir_fd, name, 0);
        close(fd);
        return rc;
    }
    if (a->fd >= 0) {
        /* gives back what was kept free behind the end */
        if (ftruncate(a->fd, (off_t)a->file_bytes_now) != 0)
            wc_log(WC_LOG_DEBUG, "the audit log keeps some room: %s", strerror(errno));
        close(a->fd);
    }
    a->fd = fd;
    a->file = number;
    a->file_bytes_now = 0;
    a->file_since_ms = 0;
    return 0;
}

static bool is_over(const struct wc_audit *a, size_t more_bytes, uint64_t now_ms)
{
    uint64_t term_ms = a->keep_days * WC_DAY_MS / FILES_PER_TERM;
    return a->file_bytes_now > 0 &&
           (a->file_bytes_now + more_bytes > a->file_bytes ||
            (a->file_since_ms > 0 && a->file_since_ms + term_ms < now_ms));
}

/* Behind the lines is room for more, or the disk is as good as full. A file system that
 * cannot keep room is taken as it is. */
static int reserve(const struct wc_audit *a, size_t len)
{
    if (fallocate(a->fd, FALLOC_FL_KEEP_SIZE, (off_t)a->file_bytes_now,
                  (off_t)(len + RESERVE_BYTES)) == 0)
        return 0;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? -WC_EFULL : 0;
}

static void write_head(const struct wc_audit *a)
{
    char text[WC_AUDIT_HEAD_BYTES + 1];
    wc_audit_head_text(text, &a->head);
    if (pwrite(a->head_fd, text, WC_AUDIT_HEAD_BYTES, 0) != WC_AUDIT_HEAD_BYTES)
        wc_log(WC_LOG_WARNING, "%s/head cannot be written", a->dir);
}

static void publish(struct wc_audit *a)
{
    pthread_mutex_lock(&a->mutex);
    a->readable_file = a->file;
    a->readable_bytes = a->file_bytes_now;
    a->readable_head = a->head;
    pthread_mutex_unlock(&a->mutex);
}

/* Lines to the disk, all of them or none. */
static int put_lines(struct wc_audit *a, const struct wc_buf *lines)
{
    int rc = reserve(a, lines->len);
    if (rc == 0)
        rc = write_all(a->fd, lines->data, lines->len);
    if (rc == 0 && fdatasync(a->fd) != 0)
        rc = result(errno);
    if (rc == 0)
        a->file_bytes_now += lines->len;
    else if (ftruncate(a->fd, (off_t)a->file_bytes_now) != 0)
        rc = -WC_EIO;
    return rc;
}

/* ---------------------------------------------------------------- groups */

static int say_missed(struct wc_audit *a, struct wc_buf *out,
                      struct wc_audit_head *head)
{
    if (a->missed_count == 0)
        return 0;
    struct wc_audit_entry entry = {0};
    wc_audit_begin(a, &entry, "audit.gap", NULL);
    wc_audit_say_u64(&entry.members, "missed", a->missed_count);
    return add_line(out, head, wc_wall_ms(), &entry);
}

static int make_lines(struct wc_audit *a, struct line *list, struct wc_buf *out,
                      struct wc_audit_head *head)
{
    int rc = say_missed(a, out, head);
    for (struct line *l = list; l != NULL && rc == 0; l = l->next) {
        struct wc_audit_entry entry = {.members = l->members};
        l->members = (struct wc_buf){0};
        rc = add_line(out, head, l->at_ms, &entry);
    }
    return rc;
}

/* Write what is in the list. Any thread, one at a time. */
static int write_group(struct wc_audit *a, struct line *list)
{
    struct wc_buf out = {0};
    struct wc_audit_head head = a->head;
    uint64_t now_ms = wc_wall_ms(), count = 0;
    size_t bytes = 0;
    int rc = a->key_stored ? 0 : store_key(a);
    for (const struct line *l = list; l != NULL; l = l->next) {
        count++;
        bytes += LINE_START_BYTES + l->members.len;
    }
    if (rc == 0 && is_over(a, bytes, now_ms))
        create_file(a, a->file + 1); /* without room for one the old one goes on */
    bool begins = a->file_bytes_now == 0;
    if (rc == 0 && begins)
        rc = begin_file(a, &out, &head, now_ms);
    if (rc == 0)
        rc = make_lines(a, list, &out, &head);
    if (rc == 0 && out.failed)
        rc = -WC_ENOMEM;
    if (rc == 0)
        rc = put_lines(a, &out);
    if (rc == 0) {
        a->head = head;
        a->missed_count = 0;
        a->file_since_ms = begins ? now_ms : a->file_since_ms;
        write_head(a);
        publish(a);
    } else {
        a->missed_count += count;
    }
    a->failing = rc != 0;
    wc_buf_fini(&out);
    return rc;
}

static void write_work(void *ctx)
{
    struct wc_audit *a = ctx;
    a->written_rc = write_group(a, a->writing);
}

static void end_lines(struct line *list, int rc)
{
    while (list != NULL) {
        struct line *l = list;
        list = l->next;
        if (l->done != NULL)
            l->done(l->ctx, rc);
        wc_buf_fini(&l->members);
        free(l);
    }
}

static void write_next(struct wc_audit *a);

/* As the records: after a failed flush nobody knows what is on the disk. */
static void die_of(int rc)
{
    if (rc != -WC_EIO)
        return;
    wc_log(WC_LOG_ERROR, "the audit log could not be read or written: stopping");
    exit(1);
}

static void write_done(void *ctx)
{
    struct wc_audit *a = ctx;
    struct line *list = a->writing;
    int rc = a->written_rc;
    die_of(rc);
    if (rc != 0 && !a->told)
        wc_log(WC_LOG_ERROR, "the audit log %s: administration is refused",
               wc_strerror(rc));
    else if (rc == 0 && a->told)
        wc_log(WC_LOG_NOTICE, "the audit log is written again: there is space again");
    a->told = rc != 0;
    end_lines(list, rc);
    a->writing = NULL;
    write_next(a);
}

static void write_next(struct wc_audit *a)
{
    if (a->writing != NULL || a->gathering == NULL)
        return;
    a->writing = a->gathering;
    a->gathering = NULL;
    a->gathering_end = &a->gathering;
    if (wc_loop_work(a->loop, write_work, write_done, a) != 0) {
        wc_log(WC_LOG_ERROR, "out of memory");
        exit(1);
    }
}

void wc_audit_add(struct wc_audit *a, struct wc_audit_entry *entry,
                  void (*done)(void *ctx, int rc), void *ctx)
{
    struct line *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        wc_log(WC_LOG_ERROR, "out of memory"); /* an act without its line must not be */
        exit(1);
    }
    l->at_ms = wc_wall_ms();
    l->members = entry->members;
    entry->members = (struct wc_buf){0};
    l->done = done;
    l->ctx = ctx;
    *a->gathering_end = l;
    a->gathering_end = &l->next;
    write_next(a);
}

int wc_audit_add_now(struct wc_audit *a, struct wc_audit_entry *entry)
{
    assert(a->writing == NULL && a->gathering == NULL);
    struct line l = {.at_ms = wc_wall_ms(), .members = entry->members};
    entry->members = (struct wc_buf){0};
    int rc = write_group(a, &l);
    wc_buf_fini(&l.members);
    return rc;
}

bool wc_audit_failing(const struct wc_audit *a)
{
    return a->failing;
}

/* ---------------------------------------------------------------- saying */

void wc_audit_hash(const struct wc_audit *a, struct wc_slice login,
                   char out[WC_AUDIT_PERSON_CHARS + 1])
{
    wc_audit_person(out, a->key, login);
}

void wc_audit_begin(const struct wc_audit *a, struct wc_audit_entry *entry,
                    const char *act, const struct wc_caller *by)
{
    char person[WC_AUDIT_PERSON_CHARS + 1];
    wc_audit_say(&entry->members, "act", wc_slice_text(act));
    if (by == NULL)
        return;
    wc_audit_say_u64(&entry->members, "uid", by->peer_uid);
    if (by->login_state != WC_LOGIN_OK)
        return;
    wc_audit_hash(a, wc_slice_text(by->login), person);
    wc_audit_say(&entry->members, by->via_intranet ? "for" : "login",
                 wc_slice_text(person));
}

void wc_audit_about(const struct wc_audit *a, struct wc_audit_entry *entry,
                    struct wc_slice login, struct wc_slice office)
{
    char person[WC_AUDIT_PERSON_CHARS + 1];
    struct wc_buf handle = {0};
    wc_audit_hash(a, login, person);
    wc_buf_text(&handle, person);
    wc_buf_byte(&handle, '@');
    wc_buf_append(&handle, office.data, office.len);
    wc_audit_say(&entry->members, "about", wc_buf_slice(&handle));
    entry->members.failed |= handle.failed;
    wc_buf_fini(&handle);
}

/* ---------------------------------------------------------------- opening */

static int problem_of(char problem[WC_PROBLEM_BYTES], const struct wc_audit *a,
                      int error)
{
    snprintf(problem, WC_PROBLEM_BYTES, "the audit log %.200s cannot be opened: %s",
             a->dir, strerror(error));
    return result(error);
}

/* What stands in the last file: where the chain goes on, and how much is whole. */
struct tail {
    uint64_t whole_bytes;
    struct wc_audit_head head;
    uint64_t since_ms;
    bool hashed; /* its people */
};

/* Lines that cannot be read still count: the next one goes on behind them, and a check
 * names them. */
static void read_tail(FILE *f, struct tail *t)
{
    char text[WC_AUDIT_LINE_MAX_BYTES + 2];
    size_t len;
    struct wc_audit_start start;
    enum line_kind kind = read_line(f, text, &len);
    for (; kind == LINE_TEXT || kind == LINE_BAD; kind = read_line(f, text, &len)) {
        long at = ftell(f);
        t->whole_bytes = at < 0 ? t->whole_bytes : (uint64_t)at;
        uint64_t n = t->head.n + 1;
        if (kind == LINE_TEXT && wc_audit_parse(wc_slice(text, len), &start) == 0) {
            n = start.n;
            t->hashed = t->hashed || (t->since_ms == 0 &&
                                      wc_audit_says_u64(wc_slice(text, len), "format",
                                                        WC_AUDIT_FORMAT));
            t->since_ms = t->since_ms == 0 ? start.at_ms : t->since_ms;
        }
        wc_audit_head_of(&t->head, n, wc_slice(text, len));
    }
}

static int scan_file(const struct wc_audit *a, uint32_t number, struct tail *t)
{
    FILE *f = open_file(a, number);
    if (f == NULL)
        return result(errno);
    read_tail(f, t);
    int rc = ferror(f) ? -WC_EIO : 0;
    fclose(f);
    return rc;
}

static int say_cut(struct wc_audit *a, uint64_t bytes)
{
    struct wc_audit_entry entry = {0};
    wc_audit_begin(a, &entry, "audit.cut", NULL);
    wc_audit_say_u64(&entry.members, "bytes", bytes);
    wc_log(WC_LOG_WARNING,
           "the audit log ended in the middle of a line: %" PRIu64 " bytes are cut off",
           bytes);
    int rc = wc_audit_add_now(a, &entry);
    return rc == -WC_EFULL ? 0 : rc;
}

/* Nobody can be looked for in what was written before. */
static int say_new_key(struct wc_audit *a)
{
    struct wc_audit_entry entry = {0};
    wc_audit_begin(a, &entry, "audit.key", NULL);
    wc_log(WC_LOG_WARNING,
           "%s/key is missing: who is meant in the lines of the audit "
           "log up to here cannot be told any more",
           a->dir);
    int rc = wc_audit_add_now(a, &entry);
    return rc == -WC_EFULL ? 0 : rc;
}

/* Go on behind the last whole line. */
static int resume(struct wc_audit *a, uint32_t first, uint32_t last)
{
    struct tail t = {0};
    char name[NAME_BYTES];
    int rc = 0;
    if (last > first) { /* the last one may be empty yet */
        rc = scan_file(a, last - 1, &t);
        t = (struct tail){.head = t.head};
    }
    if (rc == 0)
        rc = scan_file(a, last, &t);
    if (rc != 0)
        return rc;
    file_name(name, last);
    a->fd = openat(a->dir_fd, name, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (a->fd < 0 || fstat(a->fd, &st) != 0 ||
        ftruncate(a->fd, (off_t)t.whole_bytes) != 0)
        return result(errno);
    a->file = last;
    a->file_bytes_now = t.whole_bytes;
    a->file_since_ms = t.since_ms;
    a->head = t.head;
    uint64_t size = (uint64_t)st.st_size;
    if (t.whole_bytes > 0 && !t.hashed)
        create_file(a, last + 1); /* without room for one the old one goes on */
    publish(a);
    if (size > t.whole_bytes)
        rc = say_cut(a, size - t.whole_bytes);
    return rc == 0 && t.hashed && !a->key_stored ? say_new_key(a) : rc;
}

static bool read_head(const struct wc_audit *a, struct wc_audit_head *out)
{
    char text[WC_AUDIT_HEAD_BYTES] = "";
    ssize_t len = pread(a->head_fd, text, sizeof(text), 0);
    return len > 0 && wc_audit_head_parse(wc_slice(text, (size_t)len), out) == 0;
}

/* Lines that were there when the head was written and are gone or others now were not lost
 * by a crash: each was flushed before. */
static int check_head(struct wc_audit *a)
{
    struct wc_audit_head was;
    struct wc_audit_entry entry = {0};
    if (!read_head(a, &was) || was.n < a->head.n ||
        memcmp(&was, &a->head, sizeof(was)) == 0)
        return 0;
    wc_log(WC_LOG_ERROR, "the audit log was changed while the daemon did not run");
    wc_audit_begin(a, &entry, was.n > a->head.n ? "audit.lost" : "audit.changed", NULL);
    wc_audit_say_u64(&entry.members, "was", was.n);
    int rc = wc_audit_add_now(a, &entry);
    return rc == -WC_EFULL ? 0 : rc;
}

static int open_dir(struct wc_audit *a, char problem[WC_PROBLEM_BYTES])
{
    if (mkdir(a->dir, 0700) != 0 && errno != EEXIST)
        return problem_of(problem, a, errno);
    a->dir_fd = open(a->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (a->dir_fd < 0)
        return problem_of(problem, a, errno);
    a->head_fd =
        openat(a->dir_fd, "head", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return a->head_fd < 0 ? problem_of(problem, a, errno) : 0;
}

int wc_audit_open(struct wc_audit **out, const char *state_dir,
                  const struct wc_audit_limits *limits, char problem[WC_PROBLEM_BYTES])
{
    uint32_t first, last;
    struct wc_audit *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -WC_ENOMEM;
    a->fd = a->dir_fd = a->head_fd = -1;
    a->gathering_end = &a->gathering;
    pthread_mutex_init(&a->mutex, NULL);
    wc_audit_set_limits(a, limits);
    snprintf(a->dir, sizeof(a->dir), "%s/audit", state_dir);
    int rc = open_dir(a, problem);
    if (rc != 0)
        goto out;
    rc = load_key(a, problem);
    if (rc != 0)
        goto out;
    rc = list_files(a, &first, &last);
    if (rc == 0)
        rc = last == 0 ? create_file(a, 1) : resume(a, first, last);
    if (rc == 0)
        rc = check_head(a);
    if (rc == 0)
        publish(a);
    else
        snprintf(problem, WC_PROBLEM_BYTES, "the audit log %.200s %s", a->dir,
                 wc_strerror(rc));
out:
    if (rc == 0)
        *out = a;
    else
        wc_audit_close(a);
    return rc;
}

void wc_audit_set_loop(struct wc_audit *a, struct wc_loop *loop)
{
    a->loop = loop;
}

void wc_audit_set_limits(struct wc_audit *a, const struct wc_audit_limits *limits)
{
    a->keep_days = limits->keep_days;
    a->file_bytes = limits->file_bytes;
}

void wc_audit_close(struct wc_audit *a)
{
    if (a == NULL)
        return;
    assert(a->writing == NULL && a->gathering == NULL);
    if (a->fd >= 0) {
        if (ftruncate(a->fd, (off_t)a->file_bytes_now) != 0)
            wc_log(WC_LOG_DEBUG, "the audit log keeps some room: %s", strerror(errno));
        close(a->fd);
    }
    if (a->dir_fd >= 0)
        close(a->dir_fd);
    if (a->head_fd >= 0)
        close(a->head_fd);
    pthread_mutex_destroy(&a->mutex);
    free(a);
}

/* ---------------------------------------------------------------- reading */

struct wc_audit_reader {
    struct wc_audit *a;
    struct wc_audit_filter filter;
    char person[WC_AUDIT_PERSON_CHARS + 1]; /* whom the filter asks for */
    struct wc_audit_check check;
    FILE *f;             /* the file it reads; NULL between two */
    uint32_t file, last; /* the next one to open, or the one that is open; the last */
    uint64_t last_bytes; /* of the last file that may be read */
    uint64_t line;       /* in the file */
};

int wc_audit_reader_new(struct wc_audit_reader **out, struct wc_audit *a,
                        const struct wc_audit_filter *filter)
{
    uint32_t newest;
    struct wc_audit_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -WC_ENOMEM;
    r->a = a;
    r->filter = *filter;
    wc_audit_hash(a, wc_slice_text(filter->login), r->person);
    pthread_mutex_lock(&a->mutex);
    r->last = a->readable_file;
    r->last_bytes = a->readable_bytes;
    r->check.end = a->readable_head;
    r->check.has_end = true;
    pthread_mutex_unlock(&a->mutex);
    int rc = list_files(a, &r->file, &newest);
    if (rc == 0 && r->file == 0)
        r->file = r->last;
    if (rc != 0) {
        free(r);
        return rc;
    }
    *out = r;
    return 0;
}

void wc_audit_reader_free(struct wc_audit_reader *r)
{
    if (r == NULL)
        return;
    if (r->f != NULL)
        fclose(r->f);
    free(r);
}

/* The place of a line, for the check. */
static uint64_t place(const struct wc_audit_reader *r)
{
    return (uint64_t)r->file << 40 | r->line;
}

static bool is_wanted(const struct wc_audit_reader *r, struct wc_slice line)
{
    struct wc_audit_start start;
    const struct wc_audit_filter *f = &r->filter;
    if (f->none)
        return false;
    if (f->since_ms > 0 &&
        (wc_audit_parse(line, &start) != 0 || start.at_ms < f->since_ms))
        return false;
    return f->login[0] == '\0' || wc_audit_is_about(line, r->person, f->office) ||
           wc_audit_is_about(line, f->login, f->office);
}

/* Open the next file. -WC_ENOTFOUND after the last. A missing one in between is a gap that
 * the check sees; the first may just have been deleted for its age. */
static int open_next(struct wc_audit_reader *r)
{
    while (r->f == NULL && r->file <= r->last) {
        r->f = open_file(r->a, r->file);
        r->line = 0;
        if (r->f == NULL && errno != ENOENT)
            return result(errno);
        r->file += r->f == NULL;
    }
    return r->f == NULL ? -WC_ENOTFOUND : 0;
}

static void close_file(struct wc_audit_reader *r)
{
    fclose(r->f);
    r->f = NULL;
    r->file++;
}

/* Read one line of the open file, or close it. */
static int read_one(struct wc_audit_reader *r, struct wc_buf *out, uint32_t *count)
{
    char text[WC_AUDIT_LINE_MAX_BYTES + 2];
    size_t len;
    long at = ftell(r->f);
    if (r->file == r->last && at >= 0 && (uint64_t)at >= r->last_bytes) {
        close_file(r);
        return 0;
    }
    enum line_kind kind = read_line(r->f, text, &len);
    if (ferror(r->f))
        return -WC_EIO;
    if (kind == LINE_NONE) {
        close_file(r);
        return 0;
    }
    r->line++;
    struct wc_slice line = wc_slice(text, kind == LINE_TEXT ? len : 0);
    wc_audit_check_line(&r->check, line, place(r));
    /* a line that is no text is counted and named by the check, not shown */
    if (kind == LINE_TEXT && is_wanted(r, line) && wc_utf8_valid(line)) {
        wc_pack_str(out, line);
        (*count)++;
        if (r->filter.given != NULL)
            r->filter.given(r->filter.ctx, line);
    }
    return 0;
}

int wc_audit_reader_next(struct wc_audit_reader *r, size_t max_bytes,
                         struct wc_buf *out, uint32_t *count)
{
    const uint64_t lines_max = max_bytes / 64; /* a scan without a hit ends, too */
    uint64_t from = r->check.lines_count;
    int rc = 0;
    *count = 0;
    while (rc == 0 && out->len < max_bytes && r->check.lines_count - from < lines_max) {
        rc = open_next(r);
        if (rc == 0)
            rc = read_one(r, out, count);
    }
    if (rc == -WC_ENOTFOUND && r->check.lines_count > from)
        rc = 0; /* the next call says it */
    if (rc == 0 && out->failed)
        rc = -WC_ENOMEM;
    return rc;
}

void wc_audit_reader_verdict(const struct wc_audit_reader *r,
                             struct wc_audit_verdict *out)
{
    struct wc_audit_check check = r->check;
    wc_audit_check_end(&check);
    memset(out, 0, sizeof(*out));
    out->lines_count = check.lines_count;
    out->head = check.head;
    out->broken = check.broken;
    if (check.broken != NULL) {
        out->broken_file = (uint32_t)(check.broken_place >> 40);
        out->broken_line = check.broken_place & ((1ULL << 40) - 1);
    }
}
