/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <assert.h>
#include <string.h>

#define GAP            2
#define FLEXIBLE_LEAST 8 /* columns that a cut column keeps */

void wc_table_init(struct wc_table *table, const struct wc_table_column *columns,
                   size_t count)
{
    assert(count > 0 && count <= WC_TABLE_COLUMNS_MAX);
    *table = (struct wc_table){.columns = columns, .column_count = count};
}

void wc_table_fini(struct wc_table *table)
{
    wc_buf_fini(&table->cells);
}

void wc_table_cell(struct wc_table *table, struct wc_slice text)
{
    wc_term_safe(&table->cells, text); /* leaves no NUL behind */
    wc_buf_byte(&table->cells, '\0');
    table->cell_count++;
}

static const char *next_cell(const char *cell)
{
    return cell + strlen(cell) + 1;
}

static void measure(const struct wc_table *t, const struct wc_term *term,
                    size_t widths[WC_TABLE_COLUMNS_MAX])
{
    assert(t->column_count > 0);
    size_t total = GAP * (t->column_count - 1);
    const char *cell = (const char *)t->cells.data;
    for (size_t i = 0; i < t->column_count; i++)
        widths[i] = strlen(t->columns[i].heading);
    for (size_t i = 0; i < t->cell_count; i++, cell = next_cell(cell)) {
        size_t width = wc_term_width(wc_slice_text(cell));
        if (width > widths[i % t->column_count])
            widths[i % t->column_count] = width;
    }
    for (size_t i = 0; i < t->column_count; i++)
        total += widths[i];
    for (size_t i = 0; i < t->column_count && total > term->columns; i++) {
        size_t over = total - term->columns;
        if (!t->columns[i].flexible || widths[i] <= FLEXIBLE_LEAST)
            continue;
        size_t gives = widths[i] - FLEXIBLE_LEAST;
        gives = gives < over ? gives : over;
        widths[i] -= gives;
        total -= gives;
    }
}

static void print_cell(const struct wc_table_column *column, const struct wc_term *term,
                       enum wc_style style, struct wc_slice text, size_t width,
                       struct wc_buf *out)
{
    struct wc_buf fitted = {0};
    wc_term_fit(&fitted, text, width, column->right);
    wc_term_styled(term, out, style, wc_buf_slice(&fitted));
    wc_buf_fini(&fitted);
}

/* The last column is not filled: no blanks at the end of a line. */
static void print_row(const struct wc_table *t, const struct wc_term *term,
                      const char *cell, const size_t *widths, struct wc_buf *out)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const struct wc_table_column *column = &t->columns[i];
        struct wc_slice text = wc_slice_text(cell != NULL ? cell : column->heading);
        size_t own = wc_term_width(text);
        bool last = i + 1 == t->column_count && !column->right && own < widths[i];
        print_cell(column, term, cell != NULL ? column->style : WC_STYLE_DIM, text,
                   last ? own : widths[i], out);
        if (cell != NULL)
            cell = next_cell(cell);
        if (i + 1 < t->column_count &&
            !(i + 2 == t->column_count && cell != NULL && cell[0] == '\0'))
            wc_term_blanks(out, GAP);
    }
    wc_buf_byte(out, '\n');
}

void wc_table_print(const struct wc_table *table, const struct wc_term *term,
                    struct wc_buf *out)
{
    size_t widths[WC_TABLE_COLUMNS_MAX];
    if (table->cells.failed) {
        out->failed = true;
        return;
    }
    measure(table, term, widths);
    print_row(table, term, NULL, widths, out);
    const char *cell = (const char *)table->cells.data;
    for (size_t i = 0; i + table->column_count <= table->cell_count;
         i += table->column_count) {
        print_row(table, term, cell, widths, out);
        for (size_t j = 0; j < table->column_count; j++)
            cell = next_cell(cell);
    }
}
