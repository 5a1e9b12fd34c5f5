/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: the fields of a person as import, export and `me set` carry them, as JSON values
 * and as they are written in CSV cells, on the command line and in the form of `me edit`.
 *
 * A list is written with separators. A skill is written NAME, or NAME:WORD:WORD where the
 * words are a level (awareness, working, practitioner, expert), "mentor" or "learn". A
 * backslash before a separator, colon, backslash or blank takes its meaning away.
 */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include <jansson.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#include "cli/csv.h"

enum wc_field {
    WC_FIELD_HANDLE,
    WC_FIELD_NAME,
    WC_FIELD_TITLE,
    WC_FIELD_TEAM,
    WC_FIELD_SKILLS,
    WC_FIELD_INTERESTS,
    WC_FIELD_ASK_ME_ABOUT,
    WC_FIELD_LANGUAGES,
    WC_FIELD_WORKING_DAYS,
    WC_FIELD_EMAIL,
    WC_FIELD_PHONE,
    WC_FIELD_WILLING,
    WC_FIELD_COUNT
};

/* "ask_me_about": the key in JSON and the name of the column. */
const char *wc_field_name(enum wc_field field);

/* What a person may call it: any case, blanks or hyphens for underscores, and the usual
 * other names (login, mail, department, ...). -WC_ENOTFOUND. */
int wc_field_find(struct wc_slice name, enum wc_field *out);

/* The field whose name is nearest to what was typed, or NULL when none is near. */
const char *wc_field_nearest(struct wc_slice name);

/* "handle, name, title, ..." */
void wc_field_list(struct wc_buf *out);

/*
 * The value of a field from its written form: text, a list, or true/false (yes, no, true,
 * false, 1, 0). `separators` part the items of a list. -WC_EINVALID with one line in
 * `why`; -WC_ENOMEM.
 */
int wc_field_parse(enum wc_field field, struct wc_slice text, const char *separators,
                   json_t **out, char *why, size_t why_cap);

/* The written form of a value: wc_field_parse() with the same first separator gives it
 * back. Appends nothing for NULL. */
void wc_field_write(struct wc_buf *out, enum wc_field field, const json_t *value,
                    char separator);

/* The level that was meant, any case, or NULL; and "awareness, working, ...". */
const char *wc_level_find(struct wc_slice text);
void wc_level_list(struct wc_buf *out);

/* One skill and one plain item of a list. `pretty` writes "name: expert, mentor". */
int wc_skill_read(struct wc_slice text, json_t **out, char *why, size_t why_cap);
void wc_skill_write(struct wc_buf *out, const json_t *skill, char separator,
                    bool pretty);
json_t *wc_item_read(struct wc_slice text);
void wc_item_write(struct wc_buf *out, struct wc_slice text, const char *separators);

/* ---- CSV ---- */

/* Which column holds which field. */
struct wc_columns {
    size_t count;
    enum wc_field fields[WC_CSV_FIELDS_MAX];
};

/* Read the header. -WC_EINVALID with one line in `why`: an unknown or repeated column, no
 * column of handles. */
int wc_columns_read(const struct wc_csv_record *header, struct wc_columns *out,
                    char *why, size_t why_cap);

/* A row object; empty cells are left out. -WC_EINVALID with one line in `why`. */
int wc_row_from_csv(const struct wc_columns *columns,
                    const struct wc_csv_record *record, json_t **out, char *why,
                    size_t why_cap);

/* Append the header, or one row, and CRLF. */
void wc_row_csv_header(struct wc_buf *out);
void wc_row_to_csv(struct wc_buf *out, const json_t *row);

#endif
