/* SPDX-License-Identifier: Apache-2.0 */
/* A table of texts: columns as wide as what they hold, one of them cut when the screen is
 * too narrow. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>

#include <whocan/bytes.h>

#include "cli/term.h"

#define WC_TABLE_COLUMNS_MAX 10

struct wc_table_column {
    const char *heading;
    bool right;    /* numbers stand on the right */
    bool flexible; /* gives way first */
    enum wc_style style;
};

struct wc_table {
    const struct wc_table_column *columns;
    size_t column_count;
    struct wc_buf cells; /* each ends in NUL */
    size_t cell_count;
};

/* `columns` is borrowed. */
void wc_table_init(struct wc_table *table, const struct wc_table_column *columns,
                   size_t count);
void wc_table_fini(struct wc_table *table);

/* Append the next cell, made safe; column_count of them are a row. */
void wc_table_cell(struct wc_table *table, struct wc_slice text);

/* Append the table: a line of headings and a line for each row, within the screen. */
void wc_table_print(const struct wc_table *table, const struct wc_term *term,
                    struct wc_buf *out);

#endif
