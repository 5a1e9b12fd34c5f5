/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a terminal needs: how wide it is, whether it takes colour, how many columns a
 * text fills, and text from other people made harmless. Everything is written into a
 * buffer, so that it can be tested without a terminal.
 */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <whocan/bytes.h>

struct wc_term {
    bool tty;         /* cursor movement may be written */
    bool colour;      /* colour may be written; never the only sign of anything */
    unsigned columns; /* 80 when it is not a terminal */
    unsigned rows;    /* 24 when it is not a terminal */
};

enum wc_style {
    WC_STYLE_PLAIN,
    WC_STYLE_STRONG, /* names, headings */
    WC_STYLE_HANDLE,
    WC_STYLE_DIM,
    WC_STYLE_GOOD,
    WC_STYLE_WARN,
    WC_STYLE_BAD,
};

/* Look at a descriptor and at NO_COLOR, TERM, COLUMNS. Sets the character type to
 * UTF-8 for the whole process. */
void wc_term_init(struct wc_term *term, int fd);

/* Append `text` (already safe) in a style; plain without colour. */
void wc_term_styled(const struct wc_term *term, struct wc_buf *out, enum wc_style style,
                    struct wc_slice text);

/*
 * Append a text of somebody else's on one line: line ends and tabs become blanks; other
 * control characters, bidirectional overrides and invisible format characters become
 * \u{...}, and bytes that are not UTF-8 \x.. .
 */
void wc_term_safe(struct wc_buf *out, struct wc_slice text);

/* Whether a character must not reach a terminal, or a JSON text, as it is. */
bool wc_term_is_hostile(uint32_t character);

/* Decode the first character of a text that is not empty. Returns its length in bytes,
 * 0 when it is not UTF-8. */
size_t wc_term_decode(struct wc_slice text, uint32_t *character);

/* Columns that a safe text fills. */
size_t wc_term_width(struct wc_slice safe);

/* Append a safe text in exactly `width` columns: cut with an ellipsis, or filled with
 * blanks on its right (on its left with `right`). */
void wc_term_fit(struct wc_buf *out, struct wc_slice safe, size_t width, bool right);

/* Append a safe text cut to at most `width` columns, not filled. */
void wc_term_cut(struct wc_buf *out, struct wc_slice safe, size_t width);

/* Append a safe text that starts at column `indent`, broken at blanks before `columns`;
 * later lines start with `indent` blanks. Ends with a newline. */
void wc_term_wrap(struct wc_buf *out, struct wc_slice safe, size_t indent,
                  size_t columns);

/* Append n blanks. */
void wc_term_blanks(struct wc_buf *out, size_t n);

/* ---- numbers and times for people ---- */

/* "1,234,567" */
void wc_term_number(struct wc_buf *out, uint64_t n);
/* "1 office", "3 offices" */
void wc_term_plural(struct wc_buf *out, uint64_t n, const char *one, const char *many);
/* "812 B", "1.2 MB" (decimal units) */
void wc_term_bytes(struct wc_buf *out, uint64_t n);
/* "12 s", "3 min", "4 h 10 min", "3 d 4 h" */
void wc_term_duration(struct wc_buf *out, uint64_t seconds);

/* Edits (insert, delete, replace, swap neighbours) between two short texts; used to
 * suggest what was meant. Texts over 63 bytes are "far" (SIZE_MAX). */
size_t wc_term_distance(const char *a, const char *b);

#endif
