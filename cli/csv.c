/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/csv.h"

#include <string.h>

static bool is_line_end(uint8_t c)
{
    return c == '\n' || c == '\r';
}

static uint8_t find_delimiter(struct wc_slice in)
{
    size_t commas = 0;
    size_t semicolons = 0;
    size_t tabs = 0;
    bool quoted = false;
    for (size_t i = 0; i < in.len && (quoted || !is_line_end(in.data[i])); i++) {
        uint8_t c = in.data[i];
        if (c == '"')
            quoted = !quoted;
        commas += !quoted && c == ',';
        semicolons += !quoted && c == ';';
        tabs += !quoted && c == '\t';
    }
    if (semicolons > commas && semicolons >= tabs)
        return ';';
    return tabs > commas ? '\t' : ',';
}

void wc_csv_init(struct wc_csv *csv, struct wc_slice in)
{
    if (in.len >= 3 && memcmp(in.data, "\xef\xbb\xbf", 3) == 0)
        in = wc_slice(in.data + 3, in.len - 3);
    *csv = (struct wc_csv){.in = in, .line = 1, .delimiter = find_delimiter(in)};
}

void wc_csv_fini(struct wc_csv *csv)
{
    wc_buf_fini(&csv->text);
}

/* ---- one field ---- */

static bool at_end(const struct wc_csv *csv)
{
    return csv->at >= csv->in.len;
}

static uint8_t peek(const struct wc_csv *csv)
{
    return csv->in.data[csv->at];
}

/* Step over one LF, CRLF or CR. */
static void skip_line_end(struct wc_csv *csv)
{
    uint8_t c = csv->in.data[csv->at++];
    if (c == '\r' && !at_end(csv) && peek(csv) == '\n')
        csv->at++;
    csv->line++;
}

/* The part of a quoted field up to the next quote goes over as it is. */
static int read_quoted(struct wc_csv *csv, const char **why)
{
    csv->at++;
    for (;;) {
        if (at_end(csv)) {
            *why = "a quoted field is never closed";
            return -WC_EINVALID;
        }
        uint8_t c = peek(csv);
        if (is_line_end(c)) {
            size_t from = csv->at;
            skip_line_end(csv);
            wc_buf_append(&csv->text, csv->in.data + from, csv->at - from);
            continue;
        }
        csv->at++;
        if (c == '"' && (at_end(csv) || peek(csv) != '"'))
            return 0;
        csv->at += c == '"'; /* a doubled quote stands for one */
        wc_buf_byte(&csv->text, c);
    }
}

static void read_plain(struct wc_csv *csv)
{
    size_t from = csv->at;
    while (!at_end(csv) && peek(csv) != csv->delimiter && !is_line_end(peek(csv)))
        csv->at++;
    size_t end = csv->at;
    while (end > from && csv->in.data[end - 1] == ' ')
        end--;
    wc_buf_append(&csv->text, csv->in.data + from, end - from);
}

static void skip_blanks(struct wc_csv *csv)
{
    while (!at_end(csv) && peek(csv) == ' ')
        csv->at++;
}

/* *more: a delimiter follows, and so does a field. */
static int read_field(struct wc_csv *csv, bool *more, const char **why)
{
    int rc = 0;
    skip_blanks(csv);
    if (!at_end(csv) && peek(csv) == '"') {
        rc = read_quoted(csv, why);
        skip_blanks(csv);
    } else {
        read_plain(csv);
    }
    if (rc != 0)
        return rc;
    *more = !at_end(csv) && peek(csv) == csv->delimiter;
    if (!*more && !at_end(csv) && !is_line_end(peek(csv))) {
        *why = "text follows a closing quote (a quote inside a field is written twice)";
        return -WC_EINVALID;
    }
    csv->at += *more;
    return 0;
}

/* ---- one record ---- */

static int read_record(struct wc_csv *csv, struct wc_csv_record *record,
                       const char **why)
{
    size_t ends[WC_CSV_FIELDS_MAX];
    bool more = true;
    wc_buf_reset(&csv->text);
    record->count = 0;
    while (more) {
        if (record->count == WC_CSV_FIELDS_MAX) {
            *why = "has more than 64 columns";
            return -WC_EINVALID;
        }
        int rc = read_field(csv, &more, why);
        if (rc != 0)
            return rc;
        ends[record->count++] = csv->text.len;
    }
    if (csv->text.failed || wc_buf_reserve(&csv->text, 1) == NULL)
        return -WC_ENOMEM; /* reserved: a record of nothing has an address too */
    for (size_t i = 0, from = 0; i < record->count; from = ends[i++])
        record->fields[i] = wc_slice(csv->text.data + from, ends[i] - from);
    if (!at_end(csv))
        skip_line_end(csv);
    return 1;
}

int wc_csv_next(struct wc_csv *csv, struct wc_csv_record *record, const char **why)
{
    int rc = 0;
    do {
        record->line = csv->line;
        record->count = 0;
        if (at_end(csv))
            return 0;
        rc = read_record(csv, record, why);
    } while (rc == 1 && record->count == 1 && record->fields[0].len == 0);
    return rc;
}

/* ---- writing ---- */

static bool needs_quotes(struct wc_slice field)
{
    for (size_t i = 0; i < field.len; i++) {
        uint8_t c = field.data[i];
        if (c == '"' || c == ',' || c == ';' || c == '\t' || is_line_end(c))
            return true;
    }
    return field.len > 0 && (field.data[0] == ' ' || field.data[field.len - 1] == ' ');
}

void wc_csv_write(struct wc_buf *out, struct wc_slice field)
{
    if (!needs_quotes(field)) {
        wc_buf_append(out, field.data, field.len);
        return;
    }
    wc_buf_byte(out, '"');
    for (size_t i = 0; i < field.len; i++) {
        if (field.data[i] == '"')
            wc_buf_byte(out, '"');
        wc_buf_byte(out, field.data[i]);
    }
    wc_buf_byte(out, '"');
}
