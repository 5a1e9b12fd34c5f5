/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define COLUMNS_DEFAULT 80
#define COLUMNS_MIN     40 /* narrower, the tables have no sense any more */
#define COLUMNS_MAX     500
#define ROWS_DEFAULT    24
#define ELLIPSIS        "\u2026"

static unsigned between(unsigned n, unsigned low, unsigned high)
{
    if (n < low)
        return low;
    return n > high ? high : n;
}

static unsigned columns_wanted(unsigned found)
{
    const char *text = getenv("COLUMNS");
    if (text != NULL && text[0] >= '1' && text[0] <= '9')
        found = (unsigned)strtoul(text, NULL, 10);
    return found == 0 ? COLUMNS_DEFAULT : between(found, COLUMNS_MIN, COLUMNS_MAX);
}

void wc_term_init(struct wc_term *term, int fd)
{
    struct winsize size = {0};
    const char *kind = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");
    bool dumb = kind == NULL || strcmp(kind, "dumb") == 0;

    /* wcwidth() of glibc asks the locale; the output is UTF-8 in every locale */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        setlocale(LC_CTYPE, "");
    *term = (struct wc_term){.tty = isatty(fd) == 1 && !dumb};
    if (isatty(fd) == 1)
        (void)ioctl(fd, TIOCGWINSZ, &size);
    term->colour = term->tty && (no_colour == NULL || no_colour[0] == '\0');
    term->columns = columns_wanted(size.ws_col);
    term->rows = size.ws_row == 0 ? ROWS_DEFAULT : size.ws_row;
}

static const char *style_code(enum wc_style style)
{
    switch (style) {
    case WC_STYLE_PLAIN:
        return "";
    case WC_STYLE_STRONG:
        return "\033[1m";
    case WC_STYLE_HANDLE:
        return "\033[36m";
    case WC_STYLE_DIM:
        return "\033[2m";
    case WC_STYLE_GOOD:
        return "\033[32m";
    case WC_STYLE_WARN:
        return "\033[33m";
    case WC_STYLE_BAD:
        return "\033[31m";
    }
    return "";
}

void wc_term_styled(const struct wc_term *term, struct wc_buf *out, enum wc_style style,
                    struct wc_slice text)
{
    bool colour = term->colour && style != WC_STYLE_PLAIN && text.len > 0;
    if (colour)
        wc_buf_text(out, style_code(style));
    wc_buf_append(out, text.data, text.len);
    if (colour)
        wc_buf_text(out, "\033[0m");
}

/* ---- characters ---- */

size_t wc_term_decode(struct wc_slice text, uint32_t *character)
{
    const uint8_t *s = text.data;
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len > text.len || !wc_utf8_valid(wc_slice(s, len)))
        return 0;
    static const uint8_t first_bits[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = s[0] & first_bits[len];
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (s[i] & 0x3f);
    *character = c;
    return len;
}

bool wc_term_is_hostile(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || /* C0, DEL, C1 */
           c == 0x061c || c == 0x200b ||   /* directional mark, invisible blank */
           c == 0x200e || c == 0x200f ||   /* directional marks */
           (c >= 0x2028 && c <= 0x202e) || /* separators, embeddings, overrides */
           (c >= 0x2060 && c <= 0x206f) || /* isolates, invisible operators */
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || /* BOM, annotations */
           (c >= 0xe0000 && c <= 0xe007f);                /* tags: invisible letters */
}

static void escape_byte(struct wc_buf *out, uint8_t byte)
{
    char text[8];
    snprintf(text, sizeof(text), "\\x%02x", byte);
    wc_buf_text(out, text);
}

static void escape_character(struct wc_buf *out, uint32_t c)
{
    char text[16];
    snprintf(text, sizeof(text), "\\u{%" PRIx32 "}", c);
    wc_buf_text(out, text);
}

void wc_term_safe(struct wc_buf *out, struct wc_slice text)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t c = 0;
        size_t len = wc_term_decode(wc_slice(text.data + i, text.len - i), &c);
        if (len == 0)
            escape_byte(out, text.data[i]);
        else if (c == '\n' || c == '\t' || (c == '\r' && i + 1 < text.len))
            wc_buf_byte(out, ' ');
        else if (wc_term_is_hostile(c))
            escape_character(out, c);
        else
            wc_buf_append(out, text.data + i, len);
        i += len == 0 ? 1 : len;
    }
}

static size_t char_width(uint32_t c)
{
    int width = wcwidth((wchar_t)c);
    return width < 0 ? 1 : (size_t)width;
}

/* Bytes of the longest start of `safe` within `width` columns; *used gets its columns. */
static size_t fitting(struct wc_slice safe, size_t width, size_t *used)
{
    size_t at = 0;
    *used = 0;
    while (at < safe.len) {
        uint32_t c = 0xfffd;
        size_t len = wc_term_decode(wc_slice(safe.data + at, safe.len - at), &c);
        size_t columns = char_width(c);
        if (*used + columns > width)
            break;
        *used += columns;
        at += len == 0 ? 1 : len;
    }
    return at;
}

size_t wc_term_width(struct wc_slice safe)
{
    size_t used;
    fitting(safe, SIZE_MAX, &used);
    return used;
}

void wc_term_blanks(struct wc_buf *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wc_buf_byte(out, ' ');
}

void wc_term_cut(struct wc_buf *out, struct wc_slice safe, size_t width)
{
    size_t used;
    size_t len = fitting(safe, width, &used);
    if (len == safe.len) {
        wc_buf_append(out, safe.data, safe.len);
    } else if (width > 0) {
        wc_buf_append(out, safe.data, fitting(safe, width - 1, &used));
        wc_buf_text(out, ELLIPSIS);
    }
}

void wc_term_fit(struct wc_buf *out, struct wc_slice safe, size_t width, bool right)
{
    size_t own = wc_term_width(safe);
    size_t fill = own < width ? width - own : 0;
    if (right)
        wc_term_blanks(out, fill);
    size_t before = out->len;
    wc_term_cut(out, safe, width);
    if (own > width) { /* a wide character may leave one column at the cut */
        size_t now = wc_term_width(wc_slice(out->data + before, out->len - before));
        fill = now < width ? width - now : 0;
    }
    if (!right)
        wc_term_blanks(out, fill);
}

/* How much of `rest` goes on one line of `width` columns. */
static size_t line_break(struct wc_slice rest, size_t width)
{
    size_t used;
    size_t len = fitting(rest, width, &used);
    if (len == rest.len || rest.data[len] == ' ')
        return len;
    for (size_t i = len; i > 0; i--) {
        if (rest.data[i - 1] == ' ')
            return i - 1;
    }
    return len > 0 ? len : rest.len; /* one word longer than the line is cut */
}

void wc_term_wrap(struct wc_buf *out, struct wc_slice safe, size_t indent,
                  size_t columns)
{
    size_t width = columns > indent + 20 ? columns - indent : 20;
    struct wc_slice rest = safe;
    do {
        size_t len = line_break(rest, width);
        if (len == 0 && rest.len > 0)
            len = 1; /* a blank at the very start */
        wc_buf_append(out, rest.data, len);
        wc_buf_byte(out, '\n');
        while (len < rest.len && rest.data[len] == ' ')
            len++;
        rest = wc_slice(len < rest.len ? rest.data + len : NULL, rest.len - len);
        if (rest.len > 0)
            wc_term_blanks(out, indent);
    } while (rest.len > 0);
}

/* ---- numbers and times ---- */

void wc_term_number(struct wc_buf *out, uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            wc_buf_byte(out, ',');
        wc_buf_byte(out, (uint8_t)digits[i]);
    }
}

void wc_term_plural(struct wc_buf *out, uint64_t n, const char *one, const char *many)
{
    wc_term_number(out, n);
    wc_buf_byte(out, ' ');
    wc_buf_text(out, n == 1 ? one : many);
}

void wc_term_bytes(struct wc_buf *out, uint64_t n)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    char text[32];
    double value = (double)n;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000;
        unit++;
    }
    int digits = unit == 0 || value >= 9.95 ? 0 : 1;
    snprintf(text, sizeof(text), "%.*f %s", digits, value, units[unit]);
    wc_buf_text(out, text);
}

void wc_term_duration(struct wc_buf *out, uint64_t seconds)
{
    char text[64];
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;
    if (seconds < 60)
        snprintf(text, sizeof(text), "%" PRIu64 " s", seconds);
    else if (hours == 0)
        snprintf(text, sizeof(text), "%" PRIu64 " min", minutes);
    else if (hours < 24)
        snprintf(text, sizeof(text), "%" PRIu64 " h %" PRIu64 " min", hours,
                 minutes % 60);
    else if (hours < 1440) /* 60 days */
        snprintf(text, sizeof(text), "%" PRIu64 " d %" PRIu64 " h", hours / 24,
                 hours % 24);
    else
        snprintf(text, sizeof(text), "%" PRIu64 " days", hours / 24);
    wc_buf_text(out, text);
}

/* ---- what was meant ---- */

#define DISTANCE_MAX_BYTES 63

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the usual table. */
size_t wc_term_distance(const char *a, const char *b)
{
    size_t rows[3][DISTANCE_MAX_BYTES + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > DISTANCE_MAX_BYTES || b_len > DISTANCE_MAX_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *now = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = least(best, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, rows[(i + 1) % 3][j - 2] + 1);
            now[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}
