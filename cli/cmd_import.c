/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import: the file is checked from end to end, then its rows go in batches, a few of them
 * under way at once. What the daemon acknowledged is on its disk, so a count of that is
 * what a person needs when something breaks in the middle.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/limits.h>

#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/source.h"

#define FILE_MAX_BYTES    (1u << 30)                        /* a million rows */
#define BATCH_MAX_BYTES   (WC_RPC_MESSAGE_MAX_BYTES - 4096) /* leaves room around it */
#define BATCHES_UNDER_WAY 4
#define BATCH_MAX_MS      120000 /* a commit on a slow disk, with others before it */
#define REFUSED_SHOWN     20     /* one screen */
#define REFUSED_KEPT      1000   /* so many are sorted before the later ones go */
#define PROGRESS_EVERY_MS 100
#define LOOK_EVERY_MS     200 /* while waiting, so that the time left goes on */

struct batch {
    uint32_t request; /* 0: free */
    size_t count;
    uint64_t lines[WC_IMPORT_BATCH_MAX_COUNT];
};

struct import {
    struct wc_run *run;
    const char *name;
    bool dry_run;
    struct wc_source *source;
    uint64_t rows;
    json_t *seen;  /* login -> line on which it stands */
    uint64_t done; /* rows that were answered or refused here */
    uint64_t accepted;
    uint64_t unchanged;
    uint64_t refused_count;
    bool keep_all;
    json_t *retired; /* logins, with --complete; else NULL */
    json_t *refused; /* array of { line, handle, field?, reason }; the first ones unless
                        keep_all */

    struct wc_buf packed; /* rows of the batch that is being filled */
    struct batch filling;
    struct batch sent[BATCHES_UNDER_WAY]; /* a ring, oldest at `oldest` */
    size_t oldest;
    size_t under_way;

    bool bar;
    int64_t drawn_at_ms;
    struct timespec start;
};

/* ---- the progress bar ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int64_t elapsed_ms(const struct import *m)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)(t.tv_sec - m->start.tv_sec) * 1000 +
           (t.tv_nsec - m->start.tv_nsec) / 1000000;
}

static void bar_blocks(struct wc_buf *out, uint64_t done, uint64_t all, size_t width)
{
    size_t filled = all == 0 ? width : (size_t)(done * width / all);
    wc_buf_byte(out, '[');
    for (size_t i = 0; i < width; i++)
        wc_buf_byte(out, i < filled ? '#' : '.');
    wc_buf_byte(out, ']');
}

static void draw_bar(struct import *m, int64_t now_ms)
{
    struct wc_buf line = {0};
    struct wc_buf cut = {0};
    bar_blocks(&line, m->done, m->rows, 24);
    char percent[16];
    snprintf(percent, sizeof(percent), " %3u%%  ",
             m->rows == 0 ? 100 : (unsigned)(m->done * 100 / m->rows));
    wc_buf_text(&line, percent);
    wc_term_number(&line, m->done);
    wc_buf_text(&line, " of ");
    wc_term_plural(&line, m->rows, "row", "rows");
    if (now_ms > 2000 && m->done > 0 && m->done < m->rows) {
        uint64_t left = (uint64_t)now_ms * (m->rows - m->done) / m->done / 1000;
        wc_buf_text(&line, ", ");
        wc_term_duration(&line, left + 1);
        wc_buf_text(&line, " left");
    }
    wc_term_cut(&cut, wc_buf_slice(&line), m->run->err.columns - 1);
    if (!cut.failed)
        fprintf(stderr, "\r\033[K%.*s", (int)cut.len, (const char *)cut.data);
    wc_buf_fini(&line);
    wc_buf_fini(&cut);
}

static void progress(struct import *m)
{
    int64_t now_ms = elapsed_ms(m);
    if (!m->bar || now_ms - m->drawn_at_ms < PROGRESS_EVERY_MS)
        return;
    m->drawn_at_ms = now_ms;
    draw_bar(m, now_ms);
}

static void clear_bar(const struct import *m)
{
    if (m->bar)
        fputs("\r\033[K", stderr);
}

/* ---- answers ---- */

static int compare_lines(const void *a, const void *b)
{
    uint64_t one = wc_json_u64(*(json_t *const *)a, "line");
    uint64_t two = wc_json_u64(*(json_t *const *)b, "line");
    return (one > two) - (one < two);
}

/* What was refused here stands before what the daemon refused later. */
static void sort_refused(struct import *m)
{
    size_t count = json_array_size(m->refused);
    json_t **entries = count == 0 ? NULL : calloc(count, sizeof(json_t *));
    if (entries == NULL)
        return; /* as they came is good enough */
    for (size_t i = 0; i < count; i++)
        entries[i] = json_incref(json_array_get(m->refused, i));
    qsort(entries, count, sizeof(json_t *), compare_lines);
    for (size_t i = 0; i < count; i++)
        json_array_set_new(m->refused, i, entries[i]);
    free(entries);
}

/* Those with the lowest lines stay, in whatever order they came. */
static void keep_first(struct import *m)
{
    sort_refused(m);
    while (json_array_size(m->refused) > REFUSED_SHOWN)
        json_array_remove(m->refused, json_array_size(m->refused) - 1);
}

static void refuse(struct import *m, uint64_t line, struct wc_slice handle,
                   struct wc_slice field, struct wc_slice reason)
{
    m->refused_count++;
    json_t *entry = json_object();
    json_object_set_new(entry, "line", json_integer((json_int_t)line));
    json_object_set_new(entry, "handle", wc_json_new_str(handle));
    if (field.len > 0)
        json_object_set_new(entry, "field", wc_json_new_str(field));
    json_object_set_new(entry, "reason", wc_json_new_str(reason));
    json_array_append_new(m->refused, entry);
    if (!m->keep_all && json_array_size(m->refused) >= REFUSED_KEPT)
        keep_first(m);
}

static void take_refused(struct import *m, const struct batch *b, const json_t *refused)
{
    size_t i;
    json_t *entry;
    json_array_foreach(refused, i, entry)
    {
        uint64_t index = wc_json_u64(entry, "index");
        refuse(m, index < b->count ? b->lines[index] : 0, wc_json_str(entry, "handle"),
               wc_json_str(entry, "field"), wc_json_str(entry, "reason"));
    }
}

/* What it means when it breaks off in the middle. */
static void say_so_far(struct import *m)
{
    struct wc_buf text = {0};
    uint64_t safe = m->accepted + m->unchanged;
    wc_term_number(&text, safe);
    wc_buf_text(&text, " of ");
    wc_term_plural(&text, m->rows, "row", "rows");
    wc_buf_byte(&text, '\0');
    if (m->dry_run)
        wc_run_hint(m->run, "Nothing was changed: this was a dry run.");
    else if (safe == 0)
        wc_run_hint(m->run, "No row was acknowledged.");
    else if (!text.failed)
        wc_run_hint(m->run, "%s were acknowledged and are safe.",
                    (const char *)text.data);
    if (!m->dry_run && !wc_client_refused(m->run->client))
        wc_run_hint(m->run,
                    "Import the same file again: what is there already counts as "
                    "unchanged.");
    wc_buf_fini(&text);
}

static int failed(struct import *m, int rc)
{
    clear_bar(m);
    int code = wc_run_call_failed(m->run, rc);
    say_so_far(m);
    return code;
}

static int wait_batch(struct import *m, uint32_t request, struct wc_reply **reply)
{
    int64_t end_ms = elapsed_ms(m) + BATCH_MAX_MS;
    int rc = wc_client_wait(m->run->client, request, LOOK_EVERY_MS, reply);
    while (rc == -WC_ETIMEOUT && *reply == NULL && elapsed_ms(m) < end_ms) {
        progress(m);
        rc = wc_client_wait(m->run->client, request, LOOK_EVERY_MS, reply);
    }
    return rc;
}

/* Take the answer to the oldest batch. */
static int take_batch(struct import *m)
{
    struct batch *b = &m->sent[m->oldest];
    struct wc_reply *reply = NULL;
    json_t *result = NULL;
    int rc = wait_batch(m, b->request, &reply);
    int code = rc != 0 ? failed(m, rc) : 0;
    if (code == 0 && wc_json_from_obj(wc_reply_result(reply), &result) == 0) {
        m->accepted += wc_json_u64(result, "accepted");
        m->unchanged += wc_json_u64(result, "unchanged");
        take_refused(m, b, json_object_get(result, "refused"));
        m->done += b->count;
        progress(m);
    }
    json_decref(result);
    wc_reply_free(reply);
    m->oldest = (m->oldest + 1) % BATCHES_UNDER_WAY;
    m->under_way--;
    return code;
}

/* ---- sending ---- */

static void pack_batch(const struct import *m, struct wc_buf *out)
{
    wc_pack_map(out, m->dry_run ? 2 : 1);
    wc_pack_text(out, "rows");
    wc_pack_array(out, (uint32_t)m->filling.count);
    wc_buf_append(out, m->packed.data, m->packed.len);
    if (m->dry_run) {
        wc_pack_text(out, "dry_run");
        wc_pack_bool(out, true);
    }
}

static int send_batch(struct import *m)
{
    struct wc_buf params = {0};
    if (m->filling.count == 0)
        return 0;
    int code = m->under_way == BATCHES_UNDER_WAY ? take_batch(m) : 0;
    if (code != 0)
        return code;
    pack_batch(m, &params);
    int rc = params.failed || m->packed.failed
                 ? -WC_ENOMEM
                 : wc_client_send(m->run->client, "people.import",
                                  wc_buf_slice(&params), &m->filling.request);
    wc_buf_fini(&params);
    if (rc != 0)
        return failed(m, rc);
    m->sent[(m->oldest + m->under_way) % BATCHES_UNDER_WAY] = m->filling;
    m->under_way++;
    m->filling.count = 0;
    wc_buf_reset(&m->packed);
    return 0;
}

static void refuse_here(struct import *m, const struct wc_source_row *row,
                        const char *reason)
{
    refuse(m, row->line, wc_slice_text(row->handle), wc_slice(NULL, 0),
           wc_slice_text(reason));
    m->done++;
}

/* The line on which the same person stands already; 0: none. Otherwise this one is kept.
 * alice and alice@leeds are one: only this office's people can be imported. */
static uint64_t seen_before(struct import *m, const struct wc_source_row *row)
{
    struct wc_slice handle = wc_json_str(row->row, "handle");
    size_t len = 0;
    while (len < handle.len && handle.data[len] != '@')
        len++;
    if (len == 0)
        return 0; /* the daemon says what is wrong with it */
    const char *login = (const char *)handle.data;
    const json_t *line = json_object_getn(m->seen, login, len);
    if (line != NULL)
        return (uint64_t)json_integer_value(line);
    json_object_setn_new(m->seen, login, len, json_integer((json_int_t)row->line));
    return 0;
}

/* A row that no record can hold never leaves; the rest is the daemon's to judge. */
static int add_row(struct import *m, const struct wc_source_row *row)
{
    struct wc_buf one = {0};
    char reason[120];
    int code = 0;
    uint64_t earlier = seen_before(m, row);
    int rc = wc_json_pack(&one, row->row);
    if (earlier > 0) {
        snprintf(reason, sizeof(reason), "the same handle stands in line %" PRIu64,
                 earlier);
        refuse_here(m, row, reason);
    } else if (rc == -WC_EDEPTH) {
        refuse_here(m, row, wc_strerror(rc));
    } else if (one.len > WC_RECORD_MAX_BYTES) {
        wc_source_too_big(one.len, reason, sizeof(reason));
        refuse_here(m, row, reason);
    } else {
        if (m->packed.len + one.len > BATCH_MAX_BYTES)
            code = send_batch(m);
        m->filling.lines[m->filling.count++] = row->line;
        wc_buf_append(&m->packed, one.data, one.len);
        m->packed.failed |= one.failed;
        if (code == 0 && m->filling.count == WC_IMPORT_BATCH_MAX_COUNT)
            code = send_batch(m);
    }
    wc_buf_fini(&one);
    return code;
}

/* Ctrl-C: what is under way is waited for, so that the count of what is safe is right. */
static int stopped(struct import *m)
{
    int code = 0;
    while (code == 0 && m->under_way > 0)
        code = take_batch(m);
    clear_bar(m);
    if (code == 0) {
        code = wc_run_fail(m->run, WC_EXIT_INTERRUPTED, "stopped");
        say_so_far(m);
    }
    return code;
}

static int send_rows(struct import *m)
{
    struct wc_source_row row;
    int code = 0;
    int rc = 0;
    while (code == 0 && !interrupted && (rc = wc_source_next(m->source, &row)) == 1) {
        if (row.row == NULL)
            refuse_here(m, &row, row.reason);
        else
            code = add_row(m, &row);
        json_decref(row.row);
        progress(m);
    }
    if (code == 0 && interrupted)
        return stopped(m);
    if (code == 0 && rc < 0)
        code = failed(m, rc);
    if (code == 0)
        code = send_batch(m);
    while (code == 0 && m->under_way > 0)
        code = take_batch(m);
    clear_bar(m);
    return code;
}

/* ---- the report ---- */

static void report_row(struct import *m, struct wc_buf *out, const json_t *entry)
{
    struct wc_buf text = {0};
    char line[32];
    struct wc_slice handle = wc_json_str(entry, "handle");
    struct wc_slice field = wc_json_str(entry, "field");
    snprintf(line, sizeof(line), "line %" PRIu64, wc_json_u64(entry, "line"));
    wc_buf_text(&text, line);
    wc_buf_text(&text, handle.len > 0 ? ", " : "");
    wc_term_safe(&text, handle);
    wc_buf_text(&text, ": ");
    if (field.len > 0) { /* a text of jansson ends with a zero byte */
        size_t path = wc_run_field_path((const char *)field.data);
        wc_buf_text(&text, path > 0 ? "skill " : "");
        wc_term_safe(&text, wc_slice(field.data + path, field.len - path));
    }
    wc_buf_text(&text, field.len > 0 ? ": " : "");
    wc_term_safe(&text, wc_json_str(entry, "reason"));
    wc_buf_text(out, "  ");
    wc_term_wrap(out, wc_buf_slice(&text), 4, m->run->out.columns);
    out->failed |= text.failed;
    wc_buf_fini(&text);
}

static void report_refused(struct import *m, struct wc_buf *out)
{
    size_t shown = json_array_size(m->refused);
    for (size_t i = 0; i < shown; i++)
        report_row(m, out, json_array_get(m->refused, i));
    if (shown < m->refused_count) {
        wc_buf_text(out, "  and ");
        wc_term_number(out, m->refused_count - shown);
        wc_buf_text(out, " more: --verbose lists them all\n");
    }
}

/* "103 rows: 100 accepted, 2 unchanged, 1 refused" */
static void report_counts(const struct import *m, struct wc_buf *out)
{
    struct wc_buf text = {0};
    wc_term_plural(&text, m->rows, "row", "rows");
    wc_buf_text(&text, ": ");
    wc_term_number(&text, m->accepted);
    wc_buf_text(&text, m->dry_run ? " would be accepted, " : " accepted, ");
    wc_term_number(&text, m->unchanged);
    wc_buf_text(&text, " unchanged, ");
    wc_term_number(&text, m->refused_count);
    wc_buf_text(&text, " refused");
    wc_buf_text(&text, m->dry_run ? " (dry run: nothing was changed)" : "");
    wc_term_styled(&m->run->out, out,
                   m->refused_count > 0 ? WC_STYLE_WARN : WC_STYLE_GOOD,
                   wc_buf_slice(&text));
    wc_buf_byte(out, '\n');
    wc_buf_fini(&text);
}

static int report_json(struct import *m)
{
    json_t *report =
        json_pack("{s:b, s:I, s:I, s:I, s:O}", "dry_run", m->dry_run, "rows",
                  (json_int_t)m->rows, "accepted", (json_int_t)m->accepted, "unchanged",
                  (json_int_t)m->unchanged, "refused", m->refused);
    if (report != NULL && m->retired != NULL)
        json_object_set(report, "retired", m->retired);
    int code = report == NULL ? wc_run_fail(m->run, WC_EXIT_FILE, "out of memory")
                              : wc_run_json(m->run, report);
    json_decref(report);
    return code;
}

/* "3 rows retired: alice, bob, carol" */
static void report_retired(const struct import *m, struct wc_buf *out)
{
    struct wc_buf text = {0};
    size_t count = json_array_size(m->retired);
    if (m->retired == NULL)
        return;
    wc_term_plural(&text, count, "row", "rows");
    wc_buf_text(&text, m->dry_run ? " would be retired" : " retired");
    for (size_t i = 0; i < count && (m->keep_all || i < REFUSED_SHOWN); i++) {
        wc_buf_text(&text, i == 0 ? ": " : ", ");
        wc_term_safe(&text,
                     wc_slice_text(json_string_value(json_array_get(m->retired, i))));
    }
    if (count > REFUSED_SHOWN && !m->keep_all)
        wc_buf_text(&text, ", ... (--verbose lists them all)");
    wc_term_wrap(out, wc_buf_slice(&text), 2, m->run->out.columns);
    out->failed = out->failed || text.failed;
    wc_buf_fini(&text);
}

/* What is not in the file ends; unless a row of it could not be taken, for who knows whom
 * that was about. */
static int complete(struct import *m)
{
    if (wc_run_option(m->run, WC_OPT_COMPLETE) == NULL)
        return 0;
    if (m->refused_count == 0)
        return wc_complete(m->run, m->seen, m->dry_run, &m->retired);
    wc_run_fail(m->run, WC_EXIT_PARTIAL, "rows were refused: nobody's row is retired");
    return WC_EXIT_PARTIAL;
}

static int report(struct import *m)
{
    struct wc_buf out = {0};
    int code = 0;
    if (m->keep_all)
        sort_refused(m);
    else
        keep_first(m);
    if (wc_run_wants_json(m->run)) {
        code = report_json(m);
    } else if (wc_run_option(m->run, WC_OPT_QUIET) == NULL || m->refused_count > 0) {
        report_refused(m, &out);
        report_retired(m, &out);
        report_counts(m, &out); /* last, where the eye is */
        code = wc_run_write(m->run, &out);
    }
    wc_buf_fini(&out);
    return code == 0 && m->refused_count > 0 ? WC_EXIT_PARTIAL : code;
}

/* ---- the command ---- */

static int read_format(struct wc_run *run, const char *path, struct wc_slice text,
                       enum wc_format *format)
{
    const char *named = wc_run_option(run, WC_OPT_FORMAT);
    if (named == NULL)
        *format = wc_format_guess(path, text);
    else if (wc_format_parse(named, format) != 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "--format takes csv or jsonl");
    return 0;
}

static int send_file(struct import *m, struct wc_slice text, enum wc_format format)
{
    char why[WC_SOURCE_WHY_BYTES + 64] = "out of memory";
    if (wc_source_open(&m->source, text, format, why, sizeof(why)) != 0)
        return wc_run_fail(m->run, WC_EXIT_USAGE, "%s: %s; nothing was imported",
                           m->name, why);
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* a second Ctrl-C does not wait */
    m->rows = wc_source_rows(m->source);
    int code = wc_run_connect(m->run);
    if (code == 0)
        code = send_rows(m);
    int completed = code == 0 ? complete(m) : 0;
    if (code == 0)
        code = report(m);
    if (completed != 0)
        code = completed;
    wc_source_free(m->source);
    return code;
}

static int import_file(struct wc_run *run, const char *path, struct wc_slice text,
                       enum wc_format format)
{
    bool json = wc_run_wants_json(run);
    bool quiet = wc_run_option(run, WC_OPT_QUIET) != NULL;
    struct import m = {.run = run,
                       .name = strcmp(path, "-") == 0 ? "standard input" : path,
                       .dry_run = wc_run_option(run, WC_OPT_DRY_RUN) != NULL,
                       .keep_all = json || wc_run_option(run, WC_OPT_VERBOSE) != NULL,
                       .refused = json_array(),
                       .seen = json_object(),
                       .bar = run->err.tty && !quiet && !json};
    clock_gettime(CLOCK_MONOTONIC, &m.start);
    int code = send_file(&m, text, format);
    json_decref(m.refused);
    json_decref(m.seen);
    json_decref(m.retired);
    wc_buf_fini(&m.packed);
    return code;
}

int wc_cmd_import(struct wc_run *run)
{
    struct wc_buf text = {0};
    char why[512];
    enum wc_format format = WC_FORMAT_JSONL;
    const char *path = run->args->words[0];
    int rc = wc_file_read(path, FILE_MAX_BYTES, &text, why, sizeof(why));
    int code = 0;
    if (rc != 0)
        code = wc_run_fail(run, rc == -WC_ETOOBIG ? WC_EXIT_USAGE : WC_EXIT_FILE, "%s",
                           why);
    if (code == 0)
        code = read_format(run, path, wc_buf_slice(&text), &format);
    if (code == 0)
        code = import_file(run, path, wc_buf_slice(&text), format);
    wc_buf_fini(&text);
    return code;
}
