/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader of comma-separated values: RFC 4180 (quotes, doubled quotes, line ends inside
 * quotes), and what programs write beside it: a byte order mark, LF or CRLF or CR, blank
 * lines, semicolon or tab instead of comma. Works on text in memory.
 */
#ifndef CLI_CSV_H
#define CLI_CSV_H

#include <stdbool.h>
#include <stdint.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#define WC_CSV_FIELDS_MAX 64 /* columns; a table of people has a dozen */

struct wc_csv {
    struct wc_slice in;
    size_t at;
    uint64_t line; /* of the next character, from 1 */
    uint8_t delimiter;
    struct wc_buf text; /* the fields of the latest record */
};

struct wc_csv_record {
    uint64_t line; /* on which it starts */
    size_t count;
    struct wc_slice fields[WC_CSV_FIELDS_MAX]; /* borrowed until the next record */
};

/* Skip a byte order mark and find the delimiter in the first line: of comma, semicolon
 * and tab the one that stands there most often. `in` is borrowed. */
void wc_csv_init(struct wc_csv *csv, struct wc_slice in);
void wc_csv_fini(struct wc_csv *csv);

/*
 * The next record that is not a blank line. 1, 0 at the end, or -WC_EINVALID with *why
 * (a static text) and record->line: a quote never closed, text after a closing quote,
 * more than WC_CSV_FIELDS_MAX fields; -WC_ENOMEM. Blanks around a field without quotes
 * are dropped.
 */
int wc_csv_next(struct wc_csv *csv, struct wc_csv_record *record, const char **why);

/* Append one field, in quotes where it needs them. */
void wc_csv_write(struct wc_buf *out, struct wc_slice field);

#endif
