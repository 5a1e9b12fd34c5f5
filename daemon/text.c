/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text is first folded to an array of code points, then read word by word. Folding is
 * Unicode's compatibility decomposition and full case folding (utf8proc), after which
 * accents go; letters that do not decompose (ø æ ß ł đ ð þ œ ı) have a table. Two marks
 * stay in the array, because a word with them has a second spelling: å is "a" and "aa",
 * ä ö ü are "a o u" and "ae oe ue".
 */
#include "daemon/text.h"

#include <libstemmer.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define MARK_DIAERESIS 0x0308
#define MARK_RING      0x030A

#define CAPITAL 0x80000000U /* flag on a code point: it was a capital letter */
#define POINT   0x001FFFFFU
#define OSLASH  0x40000000U /* flag on an o: it was ø, with "oe" for second spelling */

#define PARTS_MAX 4 /* of a word with hyphens or dots */

/* One word as it grows: its main form, its second spelling, and the main form without
 * dots. */
struct form {
    uint8_t bytes[WC_WORD_MAX_BYTES];
    size_t len;
};

/* Stems of late, each where the hash of its word says. A profile says the same words again
 * and again, and a vocabulary asks for each of them up to a dozen times: stemming them
 * anew took a quarter of an import. */
#define MEMORY_COUNT      1024
#define MEMORY_WORD_BYTES 24 /* longer ones are rare, and are stemmed each time */

struct remembered {
    uint8_t word_len, stem_len; /* 0: nothing is here */
    uint8_t word[MEMORY_WORD_BYTES], stem[MEMORY_WORD_BYTES];
};

struct wc_text {
    struct remembered *memory[WC_STEMMERS_MAX];
    struct sb_stemmer *stemmers[WC_STEMMERS_MAX];
    uint32_t stemmer_count;
    struct wc_slice in;
    uint32_t *points;
    uint16_t *origins; /* where in the text each of them comes from */
    size_t point_count, point_cap, at;
    struct form main, spelling, plain, parts[PARTS_MAX];
    uint32_t part_count;
};

/* ---- languages ---- */

const char *const *wc_text_languages(void)
{
    return (const char *const *)sb_stemmer_list();
}

int wc_text_new(struct wc_text **out, const char *const *languages)
{
    struct wc_text *t = calloc(1, sizeof(*t));
    *out = NULL;
    if (t == NULL)
        return -WC_ENOMEM;
    for (uint32_t i = 0; languages[i] != NULL; i++) {
        struct sb_stemmer *s =
            i < WC_STEMMERS_MAX ? sb_stemmer_new(languages[i], NULL) : NULL;
        if (s == NULL) {
            wc_text_free(t);
            return -WC_EINVALID;
        }
        t->stemmers[t->stemmer_count++] = s;
        t->memory[i] = calloc(MEMORY_COUNT, sizeof(*t->memory[i]));
        if (t->memory[i] == NULL) {
            wc_text_free(t);
            return -WC_ENOMEM;
        }
    }
    *out = t;
    return 0;
}

void wc_text_free(struct wc_text *t)
{
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->stemmer_count; i++)
        sb_stemmer_delete(t->stemmers[i]);
    for (uint32_t i = 0; i < t->stemmer_count; i++)
        free(t->memory[i]);
    free(t->points);
    free(t->origins);
    free(t);
}

uint32_t wc_text_language_count(const struct wc_text *t)
{
    return t->stemmer_count;
}

static struct wc_slice stem_anew(struct sb_stemmer *s, struct wc_slice word)
{
    const sb_symbol *stem = sb_stemmer_stem(s, word.data, (int)word.len);
    /* when memory is out the word stands for itself */
    return stem == NULL || sb_stemmer_length(s) == 0
               ? word
               : wc_slice(stem, (size_t)sb_stemmer_length(s));
}

/* FNV-1a. Words that meet in one place push each other out, and nothing worse. */
static uint32_t place_of(struct wc_slice word)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < word.len; i++)
        hash = (hash ^ word.data[i]) * 16777619u;
    return (hash ^ hash >> 16) % MEMORY_COUNT;
}

struct wc_slice wc_text_stem(struct wc_text *t, uint32_t language, struct wc_slice word)
{
    struct sb_stemmer *s = t->stemmers[language];
    if (word.len == 0 || word.len > MEMORY_WORD_BYTES)
        return stem_anew(s, word);
    struct remembered *m = &t->memory[language][place_of(word)];
    if (m->word_len == word.len && memcmp(m->word, word.data, word.len) == 0)
        return wc_slice(m->stem, m->stem_len);
    struct wc_slice stem = stem_anew(s, word);
    if (stem.len > MEMORY_WORD_BYTES)
        return stem;
    memcpy(m->word, word.data, word.len); /* first: it may be the stem that was here */
    memmove(m->stem, stem.data, stem.len);
    m->stem_len = (uint8_t)stem.len;
    m->word_len = (uint8_t)word.len;
    return wc_slice(m->stem, m->stem_len);
}

uint32_t wc_text_stems(struct wc_text *t, struct wc_slice word,
                       struct wc_slice out[WC_STEMMERS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->stemmer_count; i++) {
        struct wc_slice s = wc_text_stem(t, i, word);
        bool known = false;
        for (uint32_t k = 0; k < count && !known; k++)
            known = wc_slice_eq(out[k], s);
        if (!known)
            out[count++] = s;
    }
    if (count == 0)
        out[count++] = word;
    return count;
}

/* ---- folding ---- */

/* Letters that decomposition leaves alone, after case folding. */
static const struct {
    uint32_t point;
    const char *plain;
} letters[] = {
    {0x00E6, "ae"}, {0x00F0, "d"}, {0x00F8, "o"}, {0x00FE, "th"}, {0x0111, "d"},
    {0x0127, "h"},  {0x0131, "i"}, {0x0142, "l"}, {0x014B, "n"},  {0x0153, "oe"},
    {0x0167, "t"},  {0x0192, "f"}, {0x0259, "e"}, {0x0268, "i"},  {0x026B, "l"},
};

/* Accents and vowel points. Other marks (such as the vowel signs of Devanagari) are
 * letters for our purpose. */
static bool is_accent(uint32_t p)
{
    return (p >= 0x0300 && p <= 0x036F) || (p >= 0x0591 && p <= 0x05C7) ||
           (p >= 0x064B && p <= 0x065F) || (p >= 0x1AB0 && p <= 0x1AFF) ||
           (p >= 0x1DC0 && p <= 0x1DFF) || (p >= 0x20D0 && p <= 0x20FF) ||
           (p >= 0xFE20 && p <= 0xFE2F);
}

static void fold_point(struct wc_text *t, uint32_t p, uint32_t flags)
{
    if (is_accent(p) && p != MARK_DIAERESIS && p != MARK_RING)
        return;
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (letters[i].point != p)
            continue;
        if (p == 0x00F8)
            flags |= OSLASH;
        for (const char *c = letters[i].plain; *c != '\0'; c++)
            t->points[t->point_count++] = (uint32_t)*c | flags;
        return;
    }
    t->points[t->point_count++] = p | flags;
}

/* More than any code point folds to (18, U+FDFA), twice over for the table above. */
#define EXPANSION_MAX 40

static bool room(struct wc_text *t)
{
    if (t->point_cap - t->point_count >= EXPANSION_MAX)
        return true;
    size_t cap = t->point_cap * 2 + 1024;
    uint32_t *grown = realloc(t->points, cap * sizeof(*grown));
    if (grown == NULL)
        return false;
    t->points = grown;
    uint16_t *origins = realloc(t->origins, cap * sizeof(*origins));
    if (origins == NULL)
        return false;
    t->origins = origins;
    t->point_cap = cap;
    return true;
}

static void fold_wide(struct wc_text *t, utf8proc_int32_t p)
{
    utf8proc_int32_t out[EXPANSION_MAX / 2];
    int boundary = 0;
    uint32_t flags = utf8proc_category(p) == UTF8PROC_CATEGORY_LU ? CAPITAL : 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        p, out, EXPANSION_MAX / 2,
        UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE,
        &boundary);
    for (utf8proc_ssize_t i = 0; i < n && i < EXPANSION_MAX / 2; i++)
        fold_point(t, (uint32_t)out[i], flags);
}

static int fold_text(struct wc_text *t, struct wc_slice text)
{
    t->point_count = 0;
    for (size_t i = 0; i < text.len;) {
        if (!room(t))
            return -WC_ENOMEM;
        uint8_t c = text.data[i];
        if (c < 0x80) {
            bool upper = c >= 'A' && c <= 'Z';
            t->origins[t->point_count] = (uint16_t)i;
            t->points[t->point_count++] =
                upper ? (uint32_t)(c | 0x20) | CAPITAL : (uint32_t)c;
            i++;
            continue;
        }
        utf8proc_int32_t p;
        size_t first = t->point_count;
        utf8proc_ssize_t n =
            utf8proc_iterate(text.data + i, (utf8proc_ssize_t)(text.len - i), &p);
        if (n > 0)
            fold_wide(t, p);
        else
            t->points[t->point_count++] = ' ';
        for (; first < t->point_count; first++)
            t->origins[first] = (uint16_t)i;
        i += n > 0 ? (size_t)n : 1;
    }
    return 0;
}

int wc_text_set(struct wc_text *t, struct wc_slice text)
{
    t->at = t->point_count = 0;
    t->in = text;
    return text.len > WC_TEXT_MAX_BYTES ? -WC_ETOOBIG : fold_text(t, text);
}

/* ---- what a code point is in a word ---- */

enum role {
    BREAK,  /* parts words */
    WORD,   /* letters, digits and their marks */
    SINGLE, /* an ideograph: a word by itself */
    JOINER, /* a hyphen, apostrophe or dot: part of a word when inside one */
    TAIL,   /* + and #: part of a word when at its end */
};

static bool is_ideograph(uint32_t p)
{
    return (p >= 0x2E80 && p <= 0x9FFF) || (p >= 0xF900 && p <= 0xFAFF) ||
           (p >= 0x20000 && p <= 0x3FFFF);
}

static enum role wide_role(uint32_t p)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)p);
    if (p == 0x2010 || p == 0x2019)
        return JOINER;
    if ((c < UTF8PROC_CATEGORY_LU || c > UTF8PROC_CATEGORY_NO) && p != MARK_DIAERESIS &&
        p != MARK_RING)
        return BREAK;
    return is_ideograph(p) ? SINGLE : WORD;
}

static enum role role_at(const struct wc_text *t, size_t i)
{
    if (i >= t->point_count)
        return BREAK;
    uint32_t p = t->points[i] & POINT;
    if ((p >= 'a' && p <= 'z') || (p >= '0' && p <= '9'))
        return WORD;
    if (p == '-' || p == '\'' || p == '.')
        return JOINER;
    if (p == '+' || p == '#')
        return TAIL;
    return p < 0x80 ? BREAK : wide_role(p);
}

static uint32_t point_at(const struct wc_text *t, size_t i)
{
    return i < t->point_count ? t->points[i] & POINT : 0;
}

static bool is_digit(uint32_t p)
{
    return p >= '0' && p <= '9';
}

static bool is_apostrophe(uint32_t p)
{
    return p == '\'' || p == 0x2019;
}

/* ---- building a word ---- */

static void form_add(struct form *f, uint32_t p)
{
    if (p < 0x80) {
        if (f->len < sizeof(f->bytes))
            f->bytes[f->len++] = (uint8_t)p;
        return;
    }
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)p, bytes);
    if (n <= 0 || f->len + (size_t)n > sizeof(f->bytes))
        return;
    memcpy(f->bytes + f->len, bytes, (size_t)n);
    f->len += (size_t)n;
}

/* A letter, or one of the two marks that only the second spelling shows. */
static void word_add(struct wc_text *t, uint32_t raw)
{
    uint32_t p = raw & POINT;
    struct form *s = &t->spelling;
    uint8_t last = s->len > 0 ? s->bytes[s->len - 1] : 0;
    if (p == MARK_RING) {
        if (last == 'a')
            form_add(s, 'a');
        return;
    }
    if (p == MARK_DIAERESIS) {
        if (last == 'a' || last == 'o' || last == 'u')
            form_add(s, 'e');
        return;
    }
    form_add(&t->main, p);
    form_add(&t->plain, p);
    if (t->part_count < PARTS_MAX)
        form_add(&t->parts[t->part_count], p);
    form_add(s, p);
    if ((raw & OSLASH) != 0)
        form_add(s, 'e');
}

static void part_end(struct wc_text *t)
{
    if (t->part_count < PARTS_MAX)
        t->part_count++;
    if (t->part_count < PARTS_MAX)
        t->parts[t->part_count].len = 0;
}

/* At a joiner between two letters. Dots stay, in "node.js" and "2.0"; hyphens and
 * apostrophes go; a final 's goes with what it belongs to. Returns where to go on. */
static size_t join(struct wc_text *t, size_t i)
{
    uint32_t p = point_at(t, i);
    if (is_apostrophe(p) && point_at(t, i + 1) == 's' && role_at(t, i + 2) != WORD)
        return i + 2;
    if (p == '.') {
        form_add(&t->main, '.');
        form_add(&t->spelling, '.');
        if (is_digit(point_at(t, i - 1)) && is_digit(point_at(t, i + 1))) {
            form_add(&t->plain, '.'); /* 2.0 is not 20 */
            return i + 1;
        }
    }
    part_end(t);
    return i + 1;
}

/* C++ and C#, but not the sum in a+b. Returns where to go on. */
static size_t tail(struct wc_text *t, size_t i)
{
    size_t end = i;
    while (role_at(t, end) == TAIL)
        end++;
    if (role_at(t, end) == WORD || end - i > 2)
        return end;
    for (; i < end; i++) {
        form_add(&t->main, point_at(t, i));
        form_add(&t->plain, point_at(t, i));
        form_add(&t->spelling, point_at(t, i));
    }
    return end;
}

static void other(struct wc_word *w, const struct form *f)
{
    struct wc_slice s = wc_slice(f->bytes, f->len);
    if (s.len < 2 || wc_slice_eq(s, w->main) || w->other_count == WC_WORD_OTHERS_MAX)
        return;
    for (uint32_t i = 0; i < w->other_count; i++)
        if (wc_slice_eq(s, w->others[i]))
            return;
    w->others[w->other_count++] = s;
}

static void finish(struct wc_text *t, struct wc_word *w)
{
    w->main = wc_slice(t->main.bytes, t->main.len);
    w->other_count = 0;
    other(w, &t->spelling);
    other(w, &t->plain);
    if (t->part_count < PARTS_MAX)
        t->part_count++;
    for (uint32_t i = 0; t->part_count > 1 && i < t->part_count; i++)
        other(w, &t->parts[i]);
}

/* Where the next word starts. ".net" starts at its dot. */
static size_t find_start(const struct wc_text *t, size_t i)
{
    for (; i < t->point_count; i++) {
        enum role c = role_at(t, i);
        if (c == WORD || c == SINGLE)
            break;
        if (point_at(t, i) == '.' && role_at(t, i + 1) == WORD &&
            !is_digit(point_at(t, i + 1)) && (i == 0 || role_at(t, i - 1) == BREAK))
            break;
    }
    return i;
}

static size_t read_word(struct wc_text *t, size_t i, bool *capitals)
{
    uint32_t letters_seen = 0;
    *capitals = true;
    if (point_at(t, i) == '.') { /* kept in the main form alone */
        form_add(&t->main, '.');
        form_add(&t->spelling, '.');
        i++;
    }
    if (role_at(t, i) == SINGLE) {
        word_add(t, t->points[i]);
        return i + 1;
    }
    for (;;) {
        enum role c = role_at(t, i);
        if (c == WORD) {
            bool digit = is_digit(point_at(t, i));
            letters_seen += !digit;
            if (!digit && !is_accent(point_at(t, i)) && (t->points[i] & CAPITAL) == 0)
                *capitals = false;
            word_add(t, t->points[i++]);
        } else if (c == JOINER && role_at(t, i + 1) == WORD) {
            i = join(t, i);
        } else {
            *capitals = *capitals && letters_seen > 1;
            return c == TAIL ? tail(t, i) : i;
        }
    }
}

/* From one point up to another, as it was written. */
static struct wc_slice written(const struct wc_text *t, size_t from, size_t to)
{
    size_t start = t->origins[from];
    size_t end = to < t->point_count ? t->origins[to] : t->in.len;
    return wc_slice(t->in.data + start, end > start ? end - start : 0);
}

bool wc_text_next(struct wc_text *t, struct wc_word *out)
{
    size_t from;
    do {
        t->main.len = t->spelling.len = t->plain.len = t->parts[0].len = 0;
        t->part_count = 0;
        t->at = find_start(t, t->at);
        if (t->at >= t->point_count)
            return false;
        from = t->at;
        t->at = read_word(t, t->at, &out->capitals);
    } while (t->plain.len == 0); /* a lone mark */
    finish(t, out);
    out->written = written(t, from, t->at);
    return true;
}

/* ---- comparing names ---- */

void wc_text_fold(struct wc_slice text, struct wc_buf *out)
{
    struct wc_text t = {.stemmer_count = 0};
    bool space = false;
    if (fold_text(&t, text) != 0)
        out->failed = true;
    size_t start = out->len;
    for (size_t i = 0; i < t.point_count && !out->failed; i++) {
        uint32_t p = t.points[i] & POINT;
        utf8proc_uint8_t bytes[4];
        if (p == ' ' || p == '\t' || p == '\n') {
            space = out->len > start;
            continue;
        }
        if (p == MARK_RING || p == MARK_DIAERESIS)
            continue;
        if (space)
            wc_buf_byte(out, ' ');
        space = false;
        utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)p, bytes);
        wc_buf_append(out, bytes, n > 0 ? (size_t)n : 0);
    }
    free(t.points);
    free(t.origins);
}
