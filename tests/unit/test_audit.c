/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: its lines, what a check names, its files, and what a disk does to them. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include <whocan/crypto.h>
#include <whocan/error.h>
#include <whocan/pack.h>

#include "daemon/audit.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

#define DAY_S    86400
#define LINES    7
#define LOG_SIZE 65536

/* ---- the disk and the clock: these stand in front of libc's ---- */

static atomic_bool no_room;
static atomic_int flush_count;
static atomic_long clock_ahead_s;

int fallocate(int fd, int mode, off_t at, off_t len)
{
    if (atomic_load(&no_room)) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int fdatasync(int fd)
{
    atomic_fetch_add(&flush_count, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, id, out);
    if (id == CLOCK_REALTIME)
        out->tv_sec += atomic_load(&clock_ahead_s);
    return rc;
}

/* ---- lines in memory ---- */

struct book {
    char lines[LINES + 1][256];
    int count;
    struct wc_audit_head head;
};

static void book_add(struct book *b, const char *act)
{
    struct wc_buf members = {0}, out = {0};
    wc_audit_say(&members, "act", wc_slice_text(act));
    assert_int_equal(wc_audit_line(&out, &b->head, 1763764201123 + (uint64_t)b->count,
                                   wc_buf_slice(&members)),
                     0);
    assert_int_equal(out.data[out.len - 1], '\n');
    assert_true(out.len < sizeof(b->lines[0]));
    memcpy(b->lines[b->count], out.data, out.len - 1);
    b->lines[b->count++][out.len - 1] = '\0';
    wc_buf_fini(&out);
    wc_buf_fini(&members);
}

static struct book a_book(void)
{
    struct book b = {.count = 0};
    book_add(&b, WC_AUDIT_ACT_FILE);
    while (b.count < LINES)
        book_add(&b, "people.import");
    return b;
}

/* Check a book; places are 1, 2 and so on. */
static struct wc_audit_check check(const struct book *b,
                                   const struct wc_audit_head *end)
{
    struct wc_audit_check c = {.has_end = end != NULL};
    if (end != NULL)
        c.end = *end;
    for (int i = 0; i < b->count; i++)
        wc_audit_check_line(&c, wc_slice_text(b->lines[i]), (uint64_t)i + 1);
    wc_audit_check_end(&c);
    return c;
}

/* The line that a check names; 0: none. */
static uint64_t named(const struct book *b, const struct wc_audit_head *end)
{
    struct wc_audit_check c = check(b, end);
    return c.broken == NULL ? 0 : c.broken_place;
}

static void book_drop(struct book *b, int i)
{
    memmove(b->lines[i], b->lines[i + 1],
            sizeof(b->lines[0]) * (size_t)(b->count - i - 1));
    b->count--;
}

static void book_insert(struct book *b, int i, const char *line)
{
    char kept[256];
    snprintf(kept, sizeof(kept), "%s", line);
    memmove(b->lines[i + 1], b->lines[i], sizeof(b->lines[0]) * (size_t)(b->count - i));
    memcpy(b->lines[i], kept, sizeof(kept));
    b->count++;
}

static void test_the_bytes_of_a_line(void **state)
{
    (void)state;
    struct wc_audit_head head = {0};
    struct wc_buf members = {0}, out = {0};
    wc_audit_say(&members, "act", wc_slice_text("row"));
    wc_audit_say_u64(&members, "uid", 1000);
    wc_audit_say(&members, "about", wc_slice_text("alice@leeds"));
    assert_int_equal(wc_audit_line(&out, &head, 1763764201123, wc_buf_slice(&members)),
                     0);
    wc_buf_byte(&out, 0);
    assert_string_equal(
        (char *)out.data,
        "{\"n\":1,\"prev\":"
        "\"0000000000000000000000000000000000000000000000000000000000000"
        "000\",\"at\":\"2025-11-21T22:30:01.123Z\",\"act\":\"row\",\"uid\":1000,"
        "\"about\":"
        "\"alice@leeds\"}\n");
    struct wc_slice line = wc_slice(out.data, out.len - 1);
    uint8_t hash[WC_DIGEST_BYTES];
    wc_hash(hash, &line, 1);
    assert_int_equal(head.n, 1);
    assert_memory_equal(head.hash, hash, sizeof(hash));
    struct wc_audit_start start;
    assert_int_equal(wc_audit_parse(wc_slice(out.data, out.len - 2), &start), 0);
    assert_int_equal(start.at_ms, 1763764201123);
    wc_buf_fini(&out);
    wc_buf_fini(&members);
}

static void test_every_day_is_written_and_read(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 60000; day++) {
        struct wc_audit_head head = {0};
        struct wc_audit_start start;
        struct wc_buf out = {0};
        uint64_t at_ms = day * WC_DAY_MS + day * 1439 % WC_DAY_MS;
        time_t seconds = (time_t)(at_ms / 1000);
        struct tm tm;
        char wanted[64];
        gmtime_r(&seconds, &tm);
        strftime(wanted, sizeof(wanted), ",\"at\":\"%Y-%m-%dT%H:%M:%S", &tm);
        assert_int_equal(wc_audit_line(&out, &head, at_ms, wc_slice_text(",\"a\":1")),
                         0);
        wc_buf_byte(&out, 0);
        assert_non_null(strstr((char *)out.data, wanted));
        assert_int_equal(wc_audit_parse(wc_slice(out.data, out.len - 2), &start), 0);
        assert_int_equal(start.at_ms, at_ms);
        wc_buf_fini(&out);
    }
}

static void test_a_text_cannot_leave_its_quotes(void **state)
{
    (void)state;
    struct wc_buf members = {0};
    wc_audit_say(&members, "login", wc_slice("a\"b\\c\n\x1b\xc3\xa9\0z", 11));
    wc_buf_byte(&members, 0);
    assert_string_equal((char *)members.data, ",\"login\":\"a\\\"b\\\\c?????z\"");
    wc_buf_reset(&members);
    wc_audit_say(&members, "login", wc_slice_text("x\",\"about\":\"bob@leeds"));
    assert_false(
        wc_audit_says(wc_buf_slice(&members), "about", wc_slice_text("bob@leeds")));
    wc_audit_say(&members, "about", wc_slice_text("bob@leeds"));
    assert_true(
        wc_audit_says(wc_buf_slice(&members), "about", wc_slice_text("bob@leeds")));
    assert_false(
        wc_audit_says(wc_buf_slice(&members), "about", wc_slice_text("bob@leed")));
    wc_buf_fini(&members);
}

static void test_a_line_that_is_too_long(void **state)
{
    (void)state;
    char much[WC_AUDIT_LINE_MAX_BYTES];
    struct wc_buf members = {0}, out = {0};
    struct wc_audit_head head = {.n = 4}, before = head;
    memset(much, 'x', sizeof(much));
    wc_audit_say(&members, "act", wc_slice(much, sizeof(much)));
    assert_int_equal(wc_audit_line(&out, &head, 0, wc_buf_slice(&members)),
                     -WC_ETOOBIG);
    assert_int_equal(out.len, 0);
    assert_memory_equal(&head, &before, sizeof(head));
    wc_buf_fini(&members);
}

static void test_a_whole_log(void **state)
{
    (void)state;
    struct book b = a_book();
    struct wc_audit_check c = check(&b, &b.head);
    assert_null(c.broken);
    assert_int_equal(c.lines_count, LINES);
    assert_memory_equal(&c.head, &b.head, sizeof(b.head));
    struct wc_audit_head earlier;
    wc_audit_head_of(&earlier, 3, wc_slice_text(b.lines[2]));
    assert_int_equal(named(&b, &earlier), 0); /* a head that is behind is no fault */
}

static void test_every_changed_bit_is_named(void **state)
{
    (void)state;
    struct book b = a_book();
    for (int i = 0; i < LINES; i++) {
        for (size_t at = 0; at < strlen(b.lines[i]); at++) {
            for (int bit = 0; bit < 8; bit++) {
                struct book other = b;
                other.lines[i][at] = (char)(other.lines[i][at] ^ (1 << bit));
                if (other.lines[i][at] == '\0')
                    continue;
                assert_int_equal(named(&other, &b.head), i + 1);
                if (i < LINES - 1) /* the last needs the head to be known */
                    assert_int_not_equal(named(&other, NULL), 0);
            }
        }
    }
}

static void test_every_dropped_line_is_named(void **state)
{
    (void)state;
    struct book b = a_book();
    for (int i = 0; i < LINES; i++) {
        struct book other = b;
        book_drop(&other, i);
        /* where it should be stands the next one; after the last the one before */
        assert_int_equal(named(&other, &b.head), i < LINES - 1 ? i + 1 : i);
    }
}

static void test_every_inserted_line_is_named(void **state)
{
    (void)state;
    struct book b = a_book();
    for (int i = 1; i < LINES; i++) {
        struct book other = b, forged = b;
        book_insert(&other, i, b.lines[0]);
        assert_int_equal(named(&other, &b.head), i + 1);
        /* one that fits what stands before it */
        forged.count = i;
        wc_audit_head_of(&forged.head, (uint64_t)i, wc_slice_text(b.lines[i - 1]));
        book_add(&forged, "org.submit");
        other = b;
        book_insert(&other, i, forged.lines[i]);
        assert_int_equal(named(&other, &b.head), i + 1);
    }
}

static void test_every_swap_is_named(void **state)
{
    (void)state;
    struct book b = a_book();
    for (int i = 0; i < LINES; i++) {
        for (int k = i + 1; k < LINES; k++) {
            struct book other = b;
            memcpy(other.lines[i], b.lines[k], sizeof(b.lines[0]));
            memcpy(other.lines[k], b.lines[i], sizeof(b.lines[0]));
            assert_int_equal(named(&other, &b.head), i + 1);
        }
    }
}

static void test_another_end(void **state)
{
    (void)state;
    struct book b = a_book(), other = b;
    /* the last line written anew, as whoever can write the file can */
    other.count--;
    wc_audit_head_of(&other.head, LINES - 1, wc_slice_text(b.lines[LINES - 2]));
    book_add(&other, "another");
    assert_int_equal(named(&other, NULL), 0);
    assert_int_equal(named(&other, &b.head), LINES);
    struct wc_audit_head again;
    char text[WC_AUDIT_HEAD_BYTES + 1];
    wc_audit_head_text(text, &b.head);
    assert_int_equal(strlen(text), WC_AUDIT_HEAD_BYTES);
    assert_int_equal(wc_audit_head_parse(wc_slice_text(text), &again), 0);
    assert_memory_equal(&again, &b.head, sizeof(again));
    for (size_t len = 0; len < WC_AUDIT_HEAD_BYTES; len++)
        assert_int_equal(wc_audit_head_parse(wc_slice(text, len), &again),
                         -WC_ECORRUPT);
}

/* ---- files ---- */

static const struct wc_audit_limits wide = {.keep_days = 365, .file_bytes = 1 << 20};

static struct wc_audit *open_log(const struct wc_audit_limits *limits)
{
    struct wc_audit *a = NULL;
    char problem[WC_PROBLEM_BYTES] = "";
    int rc = wc_audit_open(&a, scratch_dir, limits, problem);
    if (rc != 0)
        fail_msg("%s", problem);
    return a;
}

static int add(struct wc_audit *a, const char *act)
{
    struct wc_audit_entry entry = {0};
    wc_audit_begin(a, &entry, act, NULL);
    return wc_audit_add_now(a, &entry);
}

static size_t slurp(const char *name, char out[LOG_SIZE])
{
    char path[64];
    snprintf(path, sizeof(path), "audit/%s", name);
    FILE *f = fopen(scratch_path(path), "r");
    if (f == NULL)
        return 0;
    size_t len = fread(out, 1, LOG_SIZE - 1, f);
    out[len] = '\0';
    fclose(f);
    return len;
}

static void spill(const char *name, const char *data, size_t len)
{
    char path[64];
    snprintf(path, sizeof(path), "audit/%s", name);
    scratch_write(scratch_path(path), data, len);
}

/* What a reader finds: the acts in order, each with a blank, and its verdict. */
static struct wc_audit_verdict read_log(struct wc_audit *a,
                                        const struct wc_audit_filter *filter,
                                        char *acts, size_t cap)
{
    struct wc_audit_reader *r = NULL;
    struct wc_audit_verdict v;
    size_t len = 0;
    uint32_t count;
    int rc;
    acts[0] = '\0';
    assert_int_equal(wc_audit_reader_new(&r, a, filter), 0);
    do {
        struct wc_buf page = {0}, all = {0};
        struct wc_doc *doc = NULL;
        rc = wc_audit_reader_next(r, 600, &page, &count);
        wc_pack_array(&all, count);
        wc_buf_append(&all, page.data, page.len);
        assert_int_equal(wc_doc_new(wc_buf_slice(&all), &wc_scan_default, &doc), 0);
        for (uint32_t i = 0; i < count; i++) {
            struct wc_slice line;
            assert_int_equal(wc_obj_str(wc_obj_at(wc_doc_root(doc), i), &line), 0);
            const char *act =
                (const char *)memmem(line.data, line.len, "\"act\":\"", 7) + 7;
            len += (size_t)snprintf(acts + len, cap - len, "%.*s ",
                                    (int)strcspn(act, "\""), act);
        }
        wc_doc_free(doc);
        wc_buf_fini(&all);
        wc_buf_fini(&page);
    } while (rc == 0);
    assert_int_equal(rc, -WC_ENOTFOUND);
    wc_audit_reader_verdict(r, &v);
    wc_audit_reader_free(r);
    return v;
}

static void assert_acts(struct wc_audit *a, const char *wanted)
{
    static char acts[LOG_SIZE];
    struct wc_audit_verdict v =
        read_log(a, &(struct wc_audit_filter){0}, acts, sizeof(acts));
    assert_string_equal(acts, wanted);
    assert_null(v.broken);
}

static void test_the_chain_goes_on_after_a_restart(void **state)
{
    (void)state;
    struct wc_audit *a = open_log(&wide);
    assert_int_equal(add(a, "one"), 0);
    wc_audit_close(a);
    a = open_log(&wide);
    assert_int_equal(add(a, "two"), 0);
    assert_acts(a, "audit.file one two ");
    wc_audit_close(a);
    struct stat st;
    assert_int_equal(stat(scratch_path("audit/000001.log"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(scratch_path("audit"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    wc_audit_close(NULL);
}

static void test_every_cut_is_noted(void **state)
{
    (void)state;
    char whole[LOG_SIZE], cut[LOG_SIZE];
    struct wc_audit *a = open_log(&wide);
    assert_int_equal(add(a, "one"), 0);
    char head[LOG_SIZE];
    size_t head_len = slurp("head", head), before = slurp("000001.log", whole);
    assert_int_equal(add(a, "two"), 0);
    wc_audit_close(a);
    size_t len = slurp("000001.log", whole);
    for (size_t at = before + 1; at < len; at++) {
        /* a power cut: the head is as old as what is whole */
        spill("000001.log", whole, at);
        spill("head", head, head_len);
        a = open_log(&wide);
        assert_acts(a, "audit.file one audit.cut ");
        wc_audit_close(a);
        slurp("000001.log", cut);
        assert_memory_equal(cut, whole, before);
    }
}

static void test_lines_cut_off_the_end_are_missed(void **state)
{
    (void)state;
    char text[LOG_SIZE];
    struct wc_audit *a = open_log(&wide);
    assert_int_equal(add(a, "one"), 0);
    size_t before = slurp("000001.log", text);
    assert_int_equal(add(a, "two"), 0);
    wc_audit_close(a);
    slurp("000001.log", text);
    spill("000001.log", text, before);
    a = open_log(&wide);
    assert_acts(a, "audit.file one audit.lost ");
    wc_audit_close(a);
    size_t len = slurp("000001.log", text);
    text[len - 4] = text[len - 4] == '7' ? '8' : '7';
    spill("000001.log", text, len);
    a = open_log(&wide);
    assert_acts(a, "audit.file one audit.lost audit.changed ");
    wc_audit_close(a);
}

static void test_a_reader_names_file_and_line(void **state)
{
    (void)state;
    char text[LOG_SIZE];
    static char acts[LOG_SIZE];
    const struct wc_audit_limits narrow = {.keep_days = 365, .file_bytes = 1000};
    struct wc_audit *a = open_log(&narrow);
    for (int i = 0; i < 20; i++)
        assert_int_equal(add(a, "one"), 0);
    size_t len = slurp("000003.log", text);
    char *third = strchr(strchr(text, '\n') + 1, '\n') + 1;
    char *one = strstr(third, "one");
    one[0] = 'O';
    spill("000003.log", text, len);
    struct wc_audit_verdict v =
        read_log(a, &(struct wc_audit_filter){.none = true}, acts, sizeof(acts));
    assert_string_equal(acts, "");
    assert_non_null(v.broken);
    assert_int_equal(v.broken_file, 3);
    assert_int_equal(v.broken_line, 3);
    one[0] = 'o';
    spill("000003.log", text, len);
    assert_null(read_log(a, &(struct wc_audit_filter){.none = true}, acts, sizeof(acts))
                    .broken);
    /* a whole file in the middle */
    remove(scratch_path("audit/000002.log"));
    v = read_log(a, &(struct wc_audit_filter){.none = true}, acts, sizeof(acts));
    assert_int_equal(v.broken_file, 3);
    assert_int_equal(v.broken_line, 1);
    wc_audit_close(a);
}

static void test_old_files_go_and_the_rest_is_whole(void **state)
{
    (void)state;
    char text[LOG_SIZE];
    static char acts[LOG_SIZE];
    const struct wc_audit_limits short_term = {.keep_days = 24, .file_bytes = 1 << 20};
    atomic_store(&clock_ahead_s, 0);
    struct wc_audit *a = open_log(&short_term);
    for (int day = 0; day < 60; day++) { /* a file is two days here */
        assert_int_equal(add(a, "one"), 0);
        atomic_fetch_add(&clock_ahead_s, DAY_S);
    }
    assert_int_equal(slurp("000001.log", text), 0);
    struct wc_audit_verdict v =
        read_log(a, &(struct wc_audit_filter){0}, acts, sizeof(acts));
    assert_null(v.broken);
    int ones = 0;
    for (const char *at = acts; (at = strstr(at, "one ")) != NULL; at++)
        ones++;
    assert_in_range(ones, 24, 30); /* all of the last 24 days, and little more */
    assert_non_null(strstr(acts, "audit.expire"));
    wc_audit_close(a);
    a = open_log(&short_term);
    assert_null(read_log(a, &(struct wc_audit_filter){0}, acts, sizeof(acts)).broken);
    wc_audit_close(a);
    atomic_store(&clock_ahead_s, 0);
}

static void test_a_full_disk_refuses_and_is_said_afterwards(void **state)
{
    (void)state;
    struct wc_audit *a = open_log(&wide);
    assert_int_equal(add(a, "one"), 0);
    atomic_store(&no_room, true);
    assert_int_equal(add(a, "two"), -WC_EFULL);
    assert_int_equal(add(a, "three"), -WC_EFULL);
    assert_true(wc_audit_failing(a));
    atomic_store(&no_room, false);
    assert_int_equal(add(a, "four"), 0);
    assert_false(wc_audit_failing(a));
    assert_acts(a, "audit.file one audit.gap four ");
    char text[LOG_SIZE];
    slurp("000001.log", text);
    assert_non_null(strstr(text, "\"missed\":2"));
    wc_audit_close(a);
}

static void test_filters(void **state)
{
    (void)state;
    char acts[512];
    struct wc_audit *a = open_log(&wide);
    struct wc_caller by = {.uid = 1000, .peer_uid = 33, .via_intranet = true};
    struct wc_audit_entry entry = {0};
    snprintf(by.login, sizeof(by.login), "alice");
    assert_int_equal(add(a, "before"), 0);
    atomic_store(&clock_ahead_s, DAY_S);
    wc_audit_begin(a, &entry, "profile", &by);
    wc_audit_about(a, &entry, wc_slice_text("alice"), wc_slice_text("leeds"));
    wc_audit_say_u64(&entry.members, "rev", 7);
    assert_int_equal(wc_audit_add_now(a, &entry), 0);
    wc_audit_begin(a, &entry, "row", NULL);
    wc_audit_about(a, &entry, wc_slice_text("alic"), wc_slice_text("leeds"));
    assert_int_equal(wc_audit_add_now(a, &entry), 0);
    struct wc_audit_filter filter = {.login = "alice"};
    read_log(a, &filter, acts, sizeof(acts));
    assert_string_equal(acts, "profile ");
    snprintf(filter.office, sizeof(filter.office), "leeds");
    read_log(a, &filter, acts, sizeof(acts));
    assert_string_equal(acts, "profile ");
    snprintf(filter.office, sizeof(filter.office), "leed");
    read_log(a, &filter, acts, sizeof(acts));
    assert_string_equal(acts, "");
    filter = (struct wc_audit_filter){.since_ms = wc_wall_ms() - WC_DAY_MS / 2};
    read_log(a, &filter, acts, sizeof(acts));
    assert_string_equal(acts, "profile row ");
    char text[LOG_SIZE], person[WC_AUDIT_PERSON_CHARS + 1], wanted[256];
    slurp("000001.log", text);
    wc_audit_hash(a, wc_slice_text("alice"), person);
    snprintf(wanted, sizeof(wanted),
             "\"uid\":33,\"for\":\"%s\",\"about\":\"%s@leeds\",\"rev\":7", person,
             person);
    assert_non_null(strstr(text, wanted));
    assert_null(strstr(text, "alic"));
    wc_audit_close(a);
    atomic_store(&clock_ahead_s, 0);
}

/* Anybody with the key of the log finds the same (BLAKE2b, RFC 7693; the value is that of
 * Python's hashlib). Another key gives another hash. */
static void test_people_stand_in_it_by_a_hash(void **state)
{
    (void)state;
    uint8_t key[WC_SECRET_BYTES];
    char person[WC_AUDIT_PERSON_CHARS + 1], again[WC_AUDIT_PERSON_CHARS + 1];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    wc_audit_person(person, key, wc_slice_text("alice"));
    assert_string_equal(person, "#95214c60dd2f131e19ccf5e408c7881e");
    key[0] ^= 1;
    wc_audit_person(again, key, wc_slice_text("alice"));
    assert_string_not_equal(person, again);
}

static void test_whom_a_line_is_about(void **state)
{
    (void)state;
    const struct wc_slice line = wc_slice_text(
        "{\"n\":1,\"login\":\"#0123456789abcdef0123456789abcdef\",\"about\":"
        "\"#00000000000000000000000000000000@leeds\",\"x\":\"\\\":\\\"#0\"}");
    const char *zeros = "#00000000000000000000000000000000";
    struct wc_slice person;
    size_t at = 0;
    assert_true(wc_audit_is_about(line, zeros, ""));
    assert_true(wc_audit_is_about(line, zeros, "leeds"));
    assert_false(wc_audit_is_about(line, zeros, "york"));
    assert_false(wc_audit_is_about(line, zeros, "leed"));
    assert_false(wc_audit_is_about(line, "#0123456789abcdef0123456789abcdef", ""));
    assert_true(wc_audit_next_person(line, &at, &person));
    assert_true(wc_slice_is(person, "#0123456789abcdef0123456789abcdef"));
    assert_true(wc_audit_next_person(line, &at, &person));
    assert_true(wc_slice_is(person, zeros));
    assert_false(wc_audit_next_person(line, &at, &person));
    assert_false(wc_audit_next_person(line, &at, &person));
    assert_true(wc_audit_says_u64(line, "n", 1) == false); /* the first has no comma */
    assert_true(wc_audit_says_u64(wc_slice_text("{\"n\":1,\"a\":2,\"b\":3}"), "a", 2));
    assert_true(wc_audit_says_u64(wc_slice_text("{\"n\":1,\"a\":2,\"b\":3}"), "b", 3));
    assert_false(wc_audit_says_u64(wc_slice_text("{\"n\":1,\"a\":23}"), "a", 2));
}

static void read_key(char out[LOG_SIZE])
{
    struct stat st;
    assert_int_equal(slurp("key", out), 2 * WC_SECRET_BYTES + 1);
    assert_int_equal(stat(scratch_path("audit/key"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_the_key_stays(void **state)
{
    (void)state;
    char key[LOG_SIZE], again[LOG_SIZE], before[WC_AUDIT_PERSON_CHARS + 1],
        after[WC_AUDIT_PERSON_CHARS + 1], problem[WC_PROBLEM_BYTES] = "";
    struct wc_audit *a = open_log(&wide);
    assert_int_equal(add(a, "one"), 0);
    wc_audit_hash(a, wc_slice_text("alice"), before);
    wc_audit_close(a);
    read_key(key);
    a = open_log(&wide);
    wc_audit_hash(a, wc_slice_text("alice"), after);
    assert_string_equal(before, after);
    wc_audit_close(a);
    /* without it the log goes on, and says so */
    assert_int_equal(unlink(scratch_path("audit/key")), 0);
    a = open_log(&wide);
    assert_acts(a, "audit.file one audit.key ");
    wc_audit_hash(a, wc_slice_text("alice"), after);
    assert_string_not_equal(before, after);
    wc_audit_close(a);
    read_key(again);
    assert_string_not_equal(key, again);
    /* a damaged one is not replaced without a word */
    again[5] = 'x';
    spill("key", again, strlen(again));
    assert_int_equal(wc_audit_open(&a, scratch_dir, &wide, problem), -WC_ECORRUPT);
    assert_non_null(strstr(problem, "audit/key"));
    spill("key", key, strlen(key));
    a = open_log(&wide);
    assert_acts(a, "audit.file one audit.key ");
    wc_audit_close(a);
}

static void test_no_line_without_its_key(void **state)
{
    (void)state;
    char text[LOG_SIZE];
    assert_int_equal(mkdir(scratch_path("audit"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("audit/key.new"), 0700), 0);
    struct wc_audit *a = open_log(&wide);
    assert_int_not_equal(add(a, "one"), 0);
    assert_int_equal(slurp("000001.log", text), 0);
    assert_int_equal(rmdir(scratch_path("audit/key.new")), 0);
    assert_int_equal(add(a, "two"), 0);
    assert_acts(a, "audit.file audit.gap two ");
    wc_audit_close(a);
}

/* In the first form people stood in the log by their logins: such a file is read and
 * checked as before, and the next line begins another one. */
static void test_a_log_of_the_first_form(void **state)
{
    (void)state;
    static const char *const acts[] = {
        ",\"act\":\"audit.file\",\"file\":\"000001.log\"",
        ",\"act\":\"row\",\"uid\":0,\"login\":\"root\",\"about\":\"alice@leeds\","
        "\"rev\":1",
        ",\"act\":\"row\",\"uid\":0,\"login\":\"root\",\"about\":\"bob@leeds\",\"rev\":"
        "1"};
    char found[512], head_text[WC_AUDIT_HEAD_BYTES + 1];
    struct wc_buf file = {0};
    struct wc_audit_head head = {0};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(wc_audit_line(&file, &head, 1763764201123 + (uint64_t)i,
                                       wc_slice_text(acts[i])),
                         0);
    wc_audit_head_text(head_text, &head);
    assert_int_equal(mkdir(scratch_path("audit"), 0700), 0);
    spill("000001.log", (const char *)file.data, file.len);
    spill("head", head_text, WC_AUDIT_HEAD_BYTES);
    struct wc_audit *a = open_log(&wide);
    struct wc_audit_entry entry = {0};
    wc_audit_begin(a, &entry, "erase", NULL);
    wc_audit_about(a, &entry, wc_slice_text("alice"), wc_slice_text("leeds"));
    assert_int_equal(wc_audit_add_now(a, &entry), 0);
    assert_acts(a, "audit.file row row audit.file erase ");
    read_log(a, &(struct wc_audit_filter){.login = "alice"}, found, sizeof(found));
    assert_string_equal(found, "row erase ");
    wc_audit_close(a);
    char text[LOG_SIZE];
    assert_int_equal(slurp("000001.log", text), file.len);
    slurp("000002.log", text);
    assert_non_null(strstr(text, "\"format\":2"));
    assert_null(strstr(text, "alice"));
    a = open_log(&wide); /* and that one goes on */
    assert_int_equal(add(a, "more"), 0);
    assert_acts(a, "audit.file row row audit.file erase more ");
    wc_audit_close(a);
    wc_buf_fini(&file);
}

/* ---- groups ---- */

#define GROUP_COUNT 200

static struct wc_loop *loop;
static int done_count;

static void on_done(void *ctx, int rc)
{
    char text[LOG_SIZE];
    int *number = ctx;
    assert_int_equal(rc, 0);
    assert_int_equal(*number, done_count++); /* in their order */
    if (done_count == 1) {
        slurp("000001.log", text);
        assert_non_null(strstr(text, "first")); /* it is there when it is said to be */
    }
    if (done_count == GROUP_COUNT)
        wc_loop_halt(loop);
}

static void test_many_lines_share_a_flush(void **state)
{
    (void)state;
    int numbers[GROUP_COUNT];
    struct wc_audit *a = open_log(&wide);
    assert_int_equal(wc_loop_new(&loop), 0);
    wc_audit_set_loop(a, loop);
    done_count = 0;
    int flushes = atomic_load(&flush_count);
    for (int i = 0; i < GROUP_COUNT; i++) {
        struct wc_audit_entry entry = {0};
        numbers[i] = i;
        wc_audit_begin(a, &entry, i == 0 ? "first" : "more", NULL);
        wc_audit_add(a, &entry, on_done, &numbers[i]);
    }
    wc_loop_run(loop);
    wc_loop_free(loop);
    assert_int_equal(done_count, GROUP_COUNT);
    assert_int_equal(atomic_load(&flush_count) - flushes,
                     2); /* the first, and the rest */
    wc_audit_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_of_a_line),
        cmocka_unit_test(test_people_stand_in_it_by_a_hash),
        cmocka_unit_test(test_whom_a_line_is_about),
        cmocka_unit_test(test_every_day_is_written_and_read),
        cmocka_unit_test(test_a_text_cannot_leave_its_quotes),
        cmocka_unit_test(test_a_line_that_is_too_long),
        cmocka_unit_test(test_a_whole_log),
        cmocka_unit_test(test_every_changed_bit_is_named),
        cmocka_unit_test(test_every_dropped_line_is_named),
        cmocka_unit_test(test_every_inserted_line_is_named),
        cmocka_unit_test(test_every_swap_is_named),
        cmocka_unit_test(test_another_end),
        SCRATCH_TEST(test_the_chain_goes_on_after_a_restart),
        SCRATCH_TEST(test_every_cut_is_noted),
        SCRATCH_TEST(test_lines_cut_off_the_end_are_missed),
        SCRATCH_TEST(test_a_reader_names_file_and_line),
        SCRATCH_TEST(test_old_files_go_and_the_rest_is_whole),
        SCRATCH_TEST(test_a_full_disk_refuses_and_is_said_afterwards),
        SCRATCH_TEST(test_filters),
        SCRATCH_TEST(test_the_key_stays),
        SCRATCH_TEST(test_no_line_without_its_key),
        SCRATCH_TEST(test_a_log_of_the_first_form),
        SCRATCH_TEST(test_many_lines_share_a_flush),
    };
    assert_int_equal(wc_crypto_init(), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
