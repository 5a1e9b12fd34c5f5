/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <whocan/limits.h>

#include "cli/csv.h"
#include "cli/json.h"
#include "cli/rows.h"
#include "cli/term.h"

struct wc_source {
    enum wc_format format;
    struct wc_slice in;
    uint64_t rows;

    struct wc_csv csv; /* CSV */
    struct wc_columns columns;

    size_t at; /* JSON lines */
    uint64_t line;
};

__attribute__((format(printf, 3, 4))) static int invalid(char *why, size_t why_cap,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, why_cap, format, args);
    va_end(args);
    return -WC_EINVALID;
}

/* ---- formats ---- */

int wc_format_parse(const char *name, enum wc_format *out)
{
    if (strcasecmp(name, "csv") == 0)
        *out = WC_FORMAT_CSV;
    else if (strcasecmp(name, "jsonl") == 0)
        *out = WC_FORMAT_JSONL;
    else
        return -WC_ENOTFOUND;
    return 0;
}

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path);
    size_t end_len = strlen(end);
    return len > end_len && strcasecmp(path + len - end_len, end) == 0;
}

static uint8_t first_character(struct wc_slice in)
{
    size_t i = in.len >= 3 && memcmp(in.data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (i < in.len && strchr(" \t\r\n", in.data[i]) != NULL && in.data[i] != '\0')
        i++;
    return i < in.len ? in.data[i] : 0;
}

enum wc_format wc_format_guess(const char *path, struct wc_slice in)
{
    if (ends_with(path, ".csv") || ends_with(path, ".tsv"))
        return WC_FORMAT_CSV;
    if (ends_with(path, ".jsonl") || ends_with(path, ".ndjson"))
        return WC_FORMAT_JSONL;
    uint8_t c = first_character(in);
    return c == '{' || c == '[' ? WC_FORMAT_JSONL : WC_FORMAT_CSV;
}

/* ---- what is checked before the first row ---- */

/* The number of the line on which the first byte stands that is not UTF-8; 0: none. */
static uint64_t first_bad_line(struct wc_slice in)
{
    uint64_t line = 1;
    for (size_t i = 0; i < in.len; line++) {
        const uint8_t *end = memchr(in.data + i, '\n', in.len - i);
        size_t next = end == NULL ? in.len : (size_t)(end - in.data) + 1;
        if (!wc_utf8_valid(wc_slice(in.data + i, next - i)))
            return line;
        i = next;
    }
    return 0;
}

static int check_encoding(struct wc_slice in, char *why, size_t why_cap)
{
    if (in.len >= 2 && ((in.data[0] == 0xff && in.data[1] == 0xfe) ||
                        (in.data[0] == 0xfe && in.data[1] == 0xff)))
        return invalid(why, why_cap, "is UTF-16 text: save it as UTF-8");
    uint64_t line = first_bad_line(in);
    if (line == 0)
        return 0;
    return invalid(why, why_cap, "line %llu is not UTF-8 text: save the file as UTF-8",
                   (unsigned long long)line);
}

/* Read the header; the reader stands before the first row afterwards. */
static int csv_begin(struct wc_source *s, char *why, size_t why_cap)
{
    struct wc_csv_record record;
    const char *broken = NULL;
    char header[WC_SOURCE_WHY_BYTES] = "";
    wc_csv_init(&s->csv, s->in);
    int rc = wc_csv_next(&s->csv, &record, &broken);
    if (rc == 0)
        return invalid(why, why_cap, "is empty: a header row and rows are needed");
    if (rc == -WC_EINVALID)
        return invalid(why, why_cap, "line %llu: %s", (unsigned long long)record.line,
                       broken);
    if (rc < 0)
        return rc;
    rc = wc_columns_read(&record, &s->columns, header, sizeof(header));
    return rc == -WC_EINVALID ? invalid(why, why_cap, "header: %s", header) : rc;
}

static int csv_check(struct wc_source *s, char *why, size_t why_cap)
{
    struct wc_csv_record record;
    const char *broken = NULL;
    int rc = csv_begin(s, why, why_cap);
    if (rc != 0)
        return rc;
    while ((rc = wc_csv_next(&s->csv, &record, &broken)) == 1) {
        if (record.count != s->columns.count)
            return invalid(why, why_cap, "line %llu has %zu columns, the header %zu",
                           (unsigned long long)record.line, record.count,
                           s->columns.count);
        s->rows++;
    }
    if (rc == -WC_EINVALID)
        return invalid(why, why_cap, "line %llu: %s", (unsigned long long)record.line,
                       broken);
    if (rc < 0)
        return rc;
    wc_csv_fini(&s->csv);
    return csv_begin(s, why, why_cap);
}

/* The next line that is not blank. */
static bool next_line(struct wc_source *s, struct wc_slice *line)
{
    while (s->at < s->in.len) {
        const uint8_t *from = s->in.data + s->at;
        const uint8_t *end = memchr(from, '\n', s->in.len - s->at);
        *line = wc_slice(from, end == NULL ? s->in.len - s->at : (size_t)(end - from));
        s->at += line->len + (end != NULL);
        s->line++;
        if (first_character(*line) != 0)
            return true;
    }
    return false;
}

static int jsonl_check(struct wc_source *s, char *why, size_t why_cap)
{
    struct wc_slice line;
    if (first_character(s->in) == '[')
        return invalid(why, why_cap,
                       "is one JSON array: put each object on a line of its own "
                       "(jq -c '.[]' does that)");
    while (next_line(s, &line))
        s->rows++;
    s->at = 0;
    s->line = 0;
    return 0;
}

int wc_source_open(struct wc_source **out, struct wc_slice in, enum wc_format format,
                   char *why, size_t why_cap)
{
    struct wc_source *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -WC_ENOMEM;
    *s = (struct wc_source){.format = format, .in = in};
    int rc = check_encoding(in, why, why_cap);
    if (rc == 0)
        rc = format == WC_FORMAT_CSV ? csv_check(s, why, why_cap)
                                     : jsonl_check(s, why, why_cap);
    if (rc != 0) {
        wc_source_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void wc_source_free(struct wc_source *source)
{
    if (source == NULL)
        return;
    wc_csv_fini(&source->csv);
    free(source);
}

uint64_t wc_source_rows(const struct wc_source *source)
{
    return source->rows;
}

/* ---- rows ---- */

void wc_source_too_big(size_t bytes, char *why, size_t why_cap)
{
    struct wc_buf text = {0};
    wc_buf_text(&text, "the row has ");
    wc_term_number(&text, bytes);
    wc_buf_text(&text, " bytes; a record holds ");
    wc_term_number(&text, WC_RECORD_MAX_BYTES);
    snprintf(why, why_cap, "%.*s", (int)text.len, (const char *)text.data);
    wc_buf_fini(&text);
}

static void refuse_size(struct wc_source_row *row, size_t bytes)
{
    wc_source_too_big(bytes, row->reason, sizeof(row->reason));
}

static void keep_handle(struct wc_source_row *row, struct wc_slice handle)
{
    struct wc_buf safe = {0};
    wc_term_safe(&safe, wc_slice(handle.data, handle.len < 64 ? handle.len : 64));
    if (!wc_slice_copy(wc_buf_slice(&safe), row->handle, sizeof(row->handle)))
        row->handle[0] = '\0';
    wc_buf_fini(&safe);
}

static size_t record_bytes(const struct wc_csv_record *record)
{
    size_t bytes = 0;
    for (size_t i = 0; i < record->count; i++)
        bytes += record->fields[i].len;
    return bytes;
}

static int csv_row(struct wc_source *s, struct wc_source_row *row)
{
    struct wc_csv_record record;
    const char *broken = NULL;
    int rc = wc_csv_next(&s->csv, &record, &broken);
    if (rc != 1)
        return rc;
    row->line = record.line;
    for (size_t i = 0; i < record.count; i++) {
        if (s->columns.fields[i] == WC_FIELD_HANDLE)
            keep_handle(row, record.fields[i]);
    }
    if (record_bytes(&record) > WC_RECORD_MAX_BYTES) {
        refuse_size(row, record_bytes(&record));
        return 1;
    }
    rc = wc_row_from_csv(&s->columns, &record, &row->row, row->reason,
                         sizeof(row->reason));
    return rc == 0 || rc == -WC_EINVALID ? 1 : rc;
}

static int jsonl_row(struct wc_source *s, struct wc_source_row *row)
{
    struct wc_slice line;
    char why[200] = "";
    if (!next_line(s, &line))
        return 0;
    row->line = s->line;
    if (s->line == 1 && line.len >= 3 && memcmp(line.data, "\xef\xbb\xbf", 3) == 0)
        line = wc_slice(line.data + 3, line.len - 3);
    /* escapes make JSON longer than what it stands for: up to 6 bytes for one */
    if (line.len > (size_t)6 * WC_RECORD_MAX_BYTES) {
        refuse_size(row, line.len);
        return 1;
    }
    if (wc_json_parse(line, &row->row, why, sizeof(why)) != 0) {
        snprintf(row->reason, sizeof(row->reason), "is not JSON: %s", why);
    } else if (!json_is_object(row->row)) {
        json_decref(row->row);
        row->row = NULL;
        snprintf(row->reason, sizeof(row->reason), "is not a JSON object");
    } else {
        keep_handle(row, wc_json_str(row->row, "handle"));
    }
    return 1;
}

int wc_source_next(struct wc_source *source, struct wc_source_row *row)
{
    *row = (struct wc_source_row){.line = 0};
    return source->format == WC_FORMAT_CSV ? csv_row(source, row)
                                           : jsonl_row(source, row);
}
