/* SPDX-License-Identifier: Apache-2.0 */
/* Where imported rows come from: CSV with a header row, or JSON lines, in memory. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <jansson.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#define WC_SOURCE_WHY_BYTES 320

enum wc_format { WC_FORMAT_CSV, WC_FORMAT_JSONL };

struct wc_source;

/* One row, or why it is none. */
struct wc_source_row {
    uint64_t line; /* on which it starts, from 1 */
    json_t *row;   /* an object, the caller's (json_decref); NULL when refused */
    char handle[80];
    char reason[WC_SOURCE_WHY_BYTES]; /* why it was refused; may hold text of the file:
                                         it is safe for a terminal */
};

/* "csv" and "jsonl" by name; -WC_ENOTFOUND. */
int wc_format_parse(const char *name, enum wc_format *out);

/* By the file's extension, or by its first character: '{' starts JSON lines. */
enum wc_format wc_format_guess(const char *path, struct wc_slice in);

/*
 * Open a text, which is borrowed, and check its structure from the first byte to the
 * last: the encoding, the header, and that each CSV record is whole. -WC_EINVALID with one
 * line in `why` that names the place; -WC_ENOMEM.
 */
int wc_source_open(struct wc_source **out, struct wc_slice in, enum wc_format format,
                   char *why, size_t why_cap);
void wc_source_free(struct wc_source *source); /* NULL is fine */

/* Rows in all, the refused ones included. */
uint64_t wc_source_rows(const struct wc_source *source);

/* The next row. 1, 0 at the end, -WC_ENOMEM. */
int wc_source_next(struct wc_source *source, struct wc_source_row *row);

/* "the row has 20,000 bytes; a record holds 16,384" */
void wc_source_too_big(size_t bytes, char *why, size_t why_cap);

#endif
