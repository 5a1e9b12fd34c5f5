/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/crypto.h>

#include "proto/concepts_internal.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define QUOTE_BYTES 120 /* of what a file says, in a fault */

struct wc_chunk {
    struct wc_chunk *next;
    size_t used, size;
    max_align_t bytes[];
};

/* ---- memory ---- */

void *wc_concepts_alloc(struct wc_concepts *c, size_t size)
{
    size_t rounded = (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
    struct wc_chunk *k = c->chunks;
    if (k == NULL || k->size - k->used < rounded) {
        size_t room = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;
        k = malloc(sizeof(*k) + room);
        if (k == NULL)
            return NULL;
        *k = (struct wc_chunk){.next = c->chunks, .size = room};
        c->chunks = k;
    }
    void *out = (uint8_t *)k->bytes + k->used;
    k->used += rounded;
    return out;
}

const char *wc_concepts_text(struct wc_concepts *c, struct wc_slice text)
{
    char *out = wc_concepts_alloc(c, text.len + 1);
    if (out == NULL)
        return NULL;
    if (text.len > 0)
        memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return out;
}

void *wc_concepts_room(void *items, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    uint32_t grown = *cap == 0 ? 64 : 2 * *cap;
    void *more = realloc(items, grown * size);
    if (more != NULL)
        *cap = grown;
    return more;
}

int wc_concepts_new(struct wc_concepts **out, wc_fault_fn fault, void *ctx)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return -WC_ENOMEM;
    (*out)->fault = fault;
    (*out)->ctx = ctx;
    return 0;
}

void wc_concepts_free(struct wc_concepts *c)
{
    if (c == NULL)
        return;
    while (c->chunks != NULL) {
        struct wc_chunk *next = c->chunks->next;
        free(c->chunks);
        c->chunks = next;
    }
    free(c->items);
    free(c->same_name);
    free(c->references);
    free(c->by_id);
    free(c->by_name);
    free(c);
}

/* ---- faults ---- */

/* A piece of a fault, which may be what the file says: not longer than a line is wide, and
 * cut between characters. */
static void quote(struct wc_buf *out, const char *piece)
{
    size_t len = strlen(piece);
    if (len > QUOTE_BYTES) {
        len = QUOTE_BYTES;
        while (len > 0 && ((uint8_t)piece[len] & 0xC0) == 0x80)
            len--;
    }
    wc_buf_append(out, piece, len);
}

int wc_concepts_fault(struct wc_concepts *c, const char *file, uint32_t line,
                      bool remark, const char *piece, ...)
{
    struct wc_buf text = {0};
    va_list pieces;
    va_start(pieces, piece);
    for (; piece != NULL; piece = va_arg(pieces, const char *))
        quote(&text, piece);
    va_end(pieces);
    wc_buf_byte(&text, '\0');
    int rc = text.failed ? -WC_ENOMEM : -WC_ECONFIG;
    struct wc_fault fault = {file, line, remark, (const char *)text.data};
    if (!text.failed && c->fault != NULL)
        c->fault(c->ctx, &fault);
    wc_buf_fini(&text);
    return rc;
}

/* ---- the tables of ids ---- */

/* Files come from whoever runs the office: no need for a secret key. */
static const uint8_t hash_key[16];

bool wc_concept_id_valid(struct wc_slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        uint8_t x = id.data[i];
        if ((x < 'a' || x > 'z') && (x < '0' || x > '9') && x != '-')
            return false;
    }
    return id.len > 0 && id.len <= WC_CONCEPT_ID_MAX_BYTES;
}

/* The part of an id behind its vocabulary. */
static struct wc_slice bare(const char *id)
{
    const char *colon = strchr(id, ':');
    return wc_slice_text(colon == NULL ? id : colon + 1);
}

static struct wc_slice name_of(const struct wc_concepts *c, uint32_t i, bool whole)
{
    return whole ? wc_slice_text(c->items[i].id) : bare(c->items[i].id);
}

static uint32_t *probe(const struct wc_concepts *c, struct wc_slice name, bool whole)
{
    uint32_t *slots = whole ? c->by_id : c->by_name;
    uint32_t at = (uint32_t)wc_siphash(hash_key, name) & (c->slots_count - 1);
    while (slots[at] != 0 && !wc_slice_eq(name_of(c, slots[at] - 1, whole), name))
        at = (at + 1) & (c->slots_count - 1);
    return &slots[at];
}

static void enter(struct wc_concepts *c, uint32_t i)
{
    *probe(c, name_of(c, i, true), true) = i + 1;
    uint32_t *slot = probe(c, name_of(c, i, false), false);
    c->same_name[i] = *slot;
    *slot = i + 1;
}

/* Twice as many slots as there is room for concepts. */
static int grow_slots(struct wc_concepts *c)
{
    uint32_t count = 2 * c->cap;
    if (c->slots_count == count)
        return 0;
    uint32_t *by_id = calloc(count, sizeof(*by_id));
    uint32_t *by_name = calloc(count, sizeof(*by_name));
    if (by_id == NULL || by_name == NULL) {
        free(by_id);
        free(by_name);
        return -WC_ENOMEM;
    }
    free(c->by_id);
    free(c->by_name);
    c->by_id = by_id;
    c->by_name = by_name;
    c->slots_count = count;
    for (uint32_t i = 0; i + 1 < c->count; i++)
        enter(c, i);
    return 0;
}

int wc_concepts_enter(struct wc_concepts *c)
{
    uint32_t *same = wc_concepts_room(c->same_name, c->count - 1, &c->same_cap,
                                      sizeof(*c->same_name));
    if (same == NULL)
        return -WC_ENOMEM;
    c->same_name = same;
    int rc = grow_slots(c);
    if (rc == 0)
        enter(c, c->count - 1);
    return rc;
}

uint32_t wc_concepts_exact(const struct wc_concepts *c, struct wc_slice id)
{
    uint32_t slot = c->slots_count == 0 ? 0 : *probe(c, id, true);
    return slot == 0 ? NO_CONCEPT : slot - 1;
}

uint32_t wc_concepts_find(const struct wc_concepts *c, struct wc_slice id)
{
    if (id.len > 0 && memchr(id.data, ':', id.len) != NULL)
        return wc_concepts_exact(c, id);
    uint32_t slot = c->slots_count == 0 ? 0 : *probe(c, id, false);
    return slot == 0 || c->same_name[slot - 1] != 0 ? NO_CONCEPT : slot - 1;
}

/* ---- what is near to what ---- */

static size_t put(char *out, size_t at, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++)
        out[at++] = text[i];
    return at;
}

/* In the vocabulary of `from` first. */
static uint32_t resolve(const struct wc_concepts *c, const struct wc_reference *ref)
{
    const char *vocabulary = c->heads[c->items[ref->from].vocabulary].id;
    char id[2 * ID_BYTES];
    if (strchr(ref->id, ':') == NULL &&
        strlen(vocabulary) + 1 + strlen(ref->id) < sizeof(id)) {
        size_t len = put(id, 0, vocabulary);
        len = put(id, len, ":");
        len = put(id, len, ref->id);
        uint32_t own = wc_concepts_exact(c, wc_slice(id, len));
        if (own != NO_CONCEPT)
            return own;
    }
    return wc_concepts_find(c, wc_slice_text(ref->id));
}

/* The three lists of a concept while they are filled. */
struct near {
    uint32_t *broader, *narrower, *related;
};

static void add_near(uint32_t *items, uint32_t *count, uint32_t concept)
{
    for (uint32_t i = 0; i < *count; i++)
        if (items[i] == concept)
            return;
    if (*count < WC_CONCEPT_NEAR_MAX)
    items[(*count)++] = concept;
}

static const char *file_of(const struct wc_concepts *c, uint32_t concept)
{
    return c->heads[c->items[concept].vocabulary].file;
}

/* Where each reference leads, NO_CONCEPT where nowhere, which is a fault. */
static int find_targets(struct wc_concepts *c, uint32_t *to)
{
    int rc = 0;
    for (uint32_t i = 0; i < c->references_count && rc != -WC_ENOMEM; i++) {
        const struct wc_reference *ref = &c->references[i];
        to[i] = resolve(c, ref);
        if (to[i] != NO_CONCEPT && to[i] != ref->from)
            continue;
        rc = wc_concepts_fault(
            c, file_of(c, ref->from), ref->line, false, "\"", ref->id, "\" is ",
            to[i] == ref->from ? "the concept itself"
                               : "no concept, or several: write vocabulary:concept",
            NULL);
        to[i] = NO_CONCEPT;
    }
    return rc;
}

/* Room for as many neighbours as each concept has references, within the limit. */
static int make_room(struct wc_concepts *c, const uint32_t *to, struct near *near)
{
    uint32_t(*counts)[3] = calloc(c->count, sizeof(*counts));
    int rc = counts == NULL ? -WC_ENOMEM : 0;
    for (uint32_t i = 0; rc == 0 && i < c->references_count; i++) {
        const struct wc_reference *ref = &c->references[i];
        if (to[i] == NO_CONCEPT)
            continue;
        counts[ref->from][ref->broader ? 0 : 2]++;
        counts[to[i]][ref->broader ? 1 : 2]++;
    }
    for (uint32_t i = 0; rc == 0 && i < c->count; i++) {
        uint32_t *parts[3] = {0};
        for (int k = 0; k < 3; k++) {
            uint32_t n =
                counts[i][k] < WC_CONCEPT_NEAR_MAX ? counts[i][k] : WC_CONCEPT_NEAR_MAX;
            parts[k] = n == 0 ? NULL : wc_concepts_alloc(c, n * sizeof(uint32_t));
            if (n > 0 && parts[k] == NULL)
                rc = -WC_ENOMEM;
        }
        near[i] = (struct near){parts[0], parts[1], parts[2]};
    }
    free(counts);
    return rc;
}

static void join(struct wc_concepts *c, const uint32_t *to, const struct near *near)
{
    for (uint32_t i = 0; i < c->references_count; i++) {
        const struct wc_reference *ref = &c->references[i];
        if (to[i] == NO_CONCEPT)
            continue;
        struct wc_concept *from = &c->items[ref->from], *other = &c->items[to[i]];
        if (ref->broader) {
            add_near(near[ref->from].broader, &from->broader_count, to[i]);
            add_near(near[to[i]].narrower, &other->narrower_count, ref->from);
        } else {
            add_near(near[ref->from].related, &from->related_count, to[i]);
            add_near(near[to[i]].related, &other->related_count, ref->from);
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        c->items[i].broader = near[i].broader;
        c->items[i].narrower = near[i].narrower;
        c->items[i].related = near[i].related;
    }
}

/* ---- circles ---- */

/* A walk up from a concept; `next` is which broader one comes after. */
struct step {
    uint32_t concept, next;
};

enum colour { UNSEEN, ON_THE_WAY, DONE };

static int say_circle(struct wc_concepts *c, uint32_t concept, uint32_t broader)
{
    return wc_concepts_fault(c, file_of(c, concept), c->items[concept].line, false, "[",
                             (const char *)bare(c->items[concept].id).data, "] has ",
                             c->items[broader].id,
                             " as broader, which is narrower: a circle", NULL);
}

/* Depth first, without recursion: a file decides how deep. */
static int walk(struct wc_concepts *c, uint32_t from, struct step *path,
                uint8_t *colour)
{
    uint32_t depth = 0;
    int rc = 0;
    path[depth++] = (struct step){from, 0};
    colour[from] = ON_THE_WAY;
    while (depth > 0 && rc != -WC_ENOMEM) {
        struct step *at = &path[depth - 1];
        const struct wc_concept *x = &c->items[at->concept];
        if (at->next == x->broader_count) {
            colour[at->concept] = DONE;
            depth--;
            continue;
        }
        uint32_t up = x->broader[at->next++];
        if (colour[up] == ON_THE_WAY) {
            rc = say_circle(c, at->concept, up);
        } else if (colour[up] == UNSEEN) {
            colour[up] = ON_THE_WAY;
            path[depth++] = (struct step){up, 0};
        }
    }
    return rc;
}

static int find_circles(struct wc_concepts *c)
{
    struct step *path = calloc((size_t)c->count + 1, sizeof(*path));
    uint8_t *colour = calloc((size_t)c->count + 1, 1);
    int rc = path == NULL || colour == NULL ? -WC_ENOMEM : 0;
    for (uint32_t i = 0; i < c->count && rc != -WC_ENOMEM; i++) {
        int found = colour[i] == UNSEEN ? walk(c, i, path, colour) : 0;
        if (found != 0)
            rc = found;
    }
    free(colour);
    free(path);
    return rc;
}

int wc_concepts_resolve(struct wc_concepts *c)
{
    uint32_t *to = calloc((size_t)c->references_count + 1, sizeof(*to));
    struct near *near = calloc((size_t)c->count + 1, sizeof(*near));
    int wrong = 0, rc = to == NULL || near == NULL ? -WC_ENOMEM : 0;
    if (rc == 0)
        wrong = find_targets(c, to);
    if (rc == 0 && wrong != -WC_ENOMEM && c->count > 0)
        rc = make_room(c, to, near);
    if (rc == 0 && wrong != -WC_ENOMEM) {
        join(c, to, near);
        rc = find_circles(c);
    }
    free(to);
    free(near);
    free(c->references);
    c->references = NULL;
    c->references_count = c->references_cap = 0;
    return wrong == -WC_ENOMEM || rc == -WC_ENOMEM ? -WC_ENOMEM : rc != 0 ? rc : wrong;
}

/* ---- labels of two concepts ---- */

struct named {
    const struct wc_label *label;
    uint32_t concept, vocabulary;
};

/* Case folding of ASCII and of Latin letters, which is enough to tell people that they
 * wrote a thing twice. */
static uint8_t lower(const uint8_t *text, size_t i)
{
    uint8_t x = text[i];
    if (x >= 'A' && x <= 'Z')
        return x + 32;
    bool latin = i > 0 && text[i - 1] == 0xC3 && x >= 0x80 && x <= 0x9E && x != 0x97;
    return latin ? x + 32 : x;
}

static int compare_texts(const char *a, const char *b)
{
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
    size_t i = 0;
    while (x[i] != 0 && lower(x, i) == lower(y, i))
        i++;
    return (int)lower(x, i) - (int)lower(y, i);
}

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    if (x->vocabulary != y->vocabulary)
        return x->vocabulary < y->vocabulary ? -1 : 1;
    int order = strcmp(x->label->language, y->label->language);
    if (order == 0)
        order = compare_texts(x->label->text, y->label->text);
    if (order != 0)
        return order;
    if (x->concept != y->concept)
    return x->concept < y->concept ? -1 : 1;
    return x->label->line < y->label->line ? -1 : x->label->line > y->label->line;
}

static bool same_label(const struct named *x, const struct named *y)
{
    return x->vocabulary == y->vocabulary && x->concept != y->concept &&
           strcmp(x->label->language, y->label->language) == 0 &&
           compare_texts(x->label->text, y->label->text) == 0;
}

int wc_concepts_remark(struct wc_concepts *c)
{
    size_t count = 0, n = 0;
    int remarks = 0;
    for (uint32_t i = 0; i < c->count; i++)
        count += c->items[i].label_count;
    struct named *all = calloc(count + 1, sizeof(*all));
    if (all == NULL)
        return -WC_ENOMEM;
    for (uint32_t i = 0; i < c->count; i++)
        for (uint32_t k = 0; k < c->items[i].label_count; k++)
            all[n++] =
                (struct named){&c->items[i].labels[k], i, c->items[i].vocabulary};
    qsort(all, count, sizeof(*all), compare_named);
    for (size_t i = 1; i < count; i++) {
        if (!same_label(&all[i - 1], &all[i]))
            continue;
        remarks++;
        if (wc_concepts_fault(c, file_of(c, all[i].concept), all[i].label->line, true,
                              "\"", all[i].label->text, "\" is a label of [",
                              (const char *)bare(c->items[all[i - 1].concept].id).data,
                              "] and of [",
                              (const char *)bare(c->items[all[i].concept].id).data,
                              "]: who writes it means both", NULL) == -WC_ENOMEM)
            remarks = -WC_ENOMEM;
        if (remarks < 0)
            break;
    }
    free(all);
    return remarks;
}

/* ---- looking ---- */

uint32_t wc_concepts_count(const struct wc_concepts *c)
{
    return c->count;
}

const struct wc_concept *wc_concepts_at(const struct wc_concepts *c, uint32_t i)
{
    return &c->items[i];
}

uint32_t wc_concepts_heads_count(const struct wc_concepts *c)
{
    return c->heads_count;
}

const struct wc_vocabulary_head *wc_concepts_head(const struct wc_concepts *c,
                                                  uint32_t i)
{
    return &c->heads[i];
}

const char *wc_concept_name(const struct wc_concept *c, const char *language)
{
    const char *english = NULL;
    for (uint32_t i = 0; i < c->label_count; i++) {
        if (!c->labels[i].preferred)
            continue;
        if (strcmp(c->labels[i].language, language) == 0)
            return c->labels[i].text;
        if (strcmp(c->labels[i].language, "en") == 0)
            english = c->labels[i].text;
    }
    return english != NULL ? english : c->labels[0].text;
}

/* ---- writing ---- */

#define LINE_COLUMNS   110 /* bytes, after which a value goes on in the next line */
#define WORD_MAX_BYTES 900 /* with its key it is a line that may be read */

static bool is_white(uint8_t x)
{
    return x <= ' ';
}

/* The next word of a text, or false: white space parts them. */
static bool next_word(struct wc_slice text, size_t *at, struct wc_slice *out)
{
    size_t i = *at;
    while (i < text.len && is_white(text.data[i]))
        i++;
    size_t from = i;
    while (i < text.len && !is_white(text.data[i]))
        i++;
    *out = wc_slice(text.data + from, i - from);
    *at = i;
    return i > from;
}

struct writer {
    struct wc_buf *out;
    size_t line; /* where the line at hand begins */
    bool first;  /* of the value */
};

static struct writer begin(struct wc_buf *out, const char *key)
{
    struct writer w = {out, out->len, true};
    wc_buf_text(out, key);
    wc_buf_text(out, " =");
    return w;
}

/* A word that begins with what begins a comment is never the first of a line, nor does it
 * follow a space: it is joined to the word before. */
static void put_word(struct writer *w, struct wc_slice word)
{
    bool comment = word.data[0] == ';' || word.data[0] == '#';
    if (comment && !w->first) {
        wc_buf_append(w->out, word.data, word.len);
        return;
    }
    while (comment && word.len > 0 && (word.data[0] == ';' || word.data[0] == '#'))
        word = wc_slice(word.data + 1, word.len - 1);
    if (word.len == 0)
        return;
    if (word.len > WORD_MAX_BYTES) { /* between characters */
        word.len = WORD_MAX_BYTES;
        while ((word.data[word.len] & 0xC0) == 0x80)
            word.len--;
    }
    if (!w->first && w->out->len - w->line + 1 + word.len > LINE_COLUMNS) {
        wc_buf_text(w->out, "\n  ");
        w->line = w->out->len - 2;
    }
    wc_buf_byte(w->out, ' ');
    wc_buf_append(w->out, word.data, word.len);
    w->first = false;
}

void wc_vocabulary_write_text(struct wc_buf *out, const char *key, struct wc_slice text)
{
    struct writer w = begin(out, key);
    struct wc_slice word;
    for (size_t at = 0; next_word(text, &at, &word);)
        put_word(&w, word);
    wc_buf_byte(out, '\n');
}

/* One label or id, whole, on one line. */
static void put_item(struct writer *w, char separator, struct wc_slice item)
{
    struct wc_buf clean = {0};
    struct writer inner = {&clean, 0, true};
    struct wc_slice word;
    for (size_t at = 0; next_word(item, &at, &word);) {
        inner.line = clean.len; /* never goes on in the next line */
        put_word(&inner, word);
    }
    for (size_t i = 0; i < clean.len; i++)
        if (clean.data[i] == (uint8_t)separator)
            clean.data[i] = '/';
    w->out->failed |= clean.failed;
    if (clean.len > 0) {
        bool list = separator == '|';
        if (!w->first && !list)
            wc_buf_byte(w->out, (uint8_t)separator);
        if (!w->first && w->out->len - w->line + 3 + clean.len > LINE_COLUMNS) {
            wc_buf_text(w->out, "\n  ");
            w->line = w->out->len - 2;
        }
        if (!w->first && list)
            wc_buf_text(w->out, " |");
        wc_buf_append(w->out, clean.data, clean.len);
        w->first = false;
    }
    wc_buf_fini(&clean);
}

void wc_vocabulary_write_list(struct wc_buf *out, const char *key, char separator,
                              const struct wc_slice *items, uint32_t count)
{
    struct writer w = begin(out, key);
    for (uint32_t i = 0; i < count; i++)
        put_item(&w, separator, items[i]);
    wc_buf_byte(out, '\n');
}
