/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/vocabulary.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/limits.h>

#include "daemon/ini.h"

#define NO_CONCEPT UINT32_MAX
#define ID_BYTES   (2 * WC_CONCEPT_ID_MAX_BYTES + 2) /* vocabulary, colon, concept */

/* A reference as it was written, until all files are read. */
struct reference {
    uint32_t from;
    bool broader;
    char id[ID_BYTES];
    char place[128]; /* file:line, for errors */
};

/* The kinds of keys that lead to concepts. */
enum key_kind {
    KEY_ID = 1, /* "web:blogging" */
    KEY_NAME,   /* "blogging": the id without its vocabulary */
    KEY_WORDS,  /* the words of a label, folded, one space between */
    KEY_STEMS,  /* their stems in one language */
};

struct entry {
    uint8_t *key; /* kind, text */
    uint32_t key_len;
    uint32_t concept;
    uint32_t next; /* another concept of the same key: entry number + 1, or 0 */
};

struct near {
    uint32_t *items;
    uint32_t count;
};

/* A concept while it is built; the public part points into it. */
struct concept {
    struct wc_concept shown;
    char *id, *about, *levels[WC_LEVEL_EXPERT + 1];
    struct wc_label *labels;
    uint32_t label_count;
    struct near broader, narrower, related;
};

struct wc_vocabulary {
    struct concept **concepts;
    uint32_t count, cap;
    struct reference *references;
    uint32_t reference_count, reference_cap;
    struct entry *entries;
    uint32_t entry_count, entry_cap;
    uint32_t *slots; /* open addressing; entry number + 1 */
    uint32_t slot_count;
};

/* ---- making and freeing ---- */

int wc_vocabulary_new(struct wc_vocabulary **out)
{
    *out = calloc(1, sizeof(**out));
    return *out == NULL ? -WC_ENOMEM : 0;
}

static void concept_free(struct concept *c)
{
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->label_count; i++)
        free((char *)c->labels[i].text);
    for (int i = 0; i <= WC_LEVEL_EXPERT; i++)
        free(c->levels[i]);
    free(c->labels);
    free(c->broader.items);
    free(c->narrower.items);
    free(c->related.items);
    free(c->about);
    free(c->id);
    free(c);
}

void wc_vocabulary_free(struct wc_vocabulary *v)
{
    if (v == NULL)
        return;
    for (uint32_t i = 0; i < v->count; i++)
        concept_free(v->concepts[i]);
    for (uint32_t i = 0; i < v->entry_count; i++)
        free(v->entries[i].key);
    free(v->concepts);
    free(v->references);
    free(v->entries);
    free(v->slots);
    free(v);
}

/* Room for one more element of an array that doubles; NULL when memory is out. */
static void *room(void *items, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    uint32_t grown = *cap == 0 ? 64 : 2 * *cap;
    void *more = realloc(items, grown * size);
    if (more != NULL)
        *cap = grown;
    return more;
}

/* ---- the table of keys ---- */

/* Files come from whoever runs the office: no need for a secret key. */
static const uint8_t hash_key[16];

static uint32_t *probe(const struct wc_vocabulary *v, struct wc_slice key)
{
    uint32_t at = (uint32_t)wc_siphash(hash_key, key) & (v->slot_count - 1);
    while (v->slots[at] != 0) {
        const struct entry *e = &v->entries[v->slots[at] - 1];
        if (wc_slice_eq(wc_slice(e->key, e->key_len), key))
            break;
        at = (at + 1) & (v->slot_count - 1);
    }
    return &v->slots[at];
}

/* Twice as many slots as there can be entries. */
static int grow(struct wc_vocabulary *v)
{
    struct entry *entries =
        room(v->entries, v->entry_count, &v->entry_cap, sizeof(*entries));
    if (entries == NULL)
        return -WC_ENOMEM;
    v->entries = entries;
    if (v->slot_count == 2 * v->entry_cap)
        return 0;
    uint32_t *slots = calloc((size_t)2 * v->entry_cap, sizeof(*slots));
    if (slots == NULL)
        return -WC_ENOMEM;
    free(v->slots);
    v->slots = slots;
    v->slot_count = 2 * v->entry_cap;
    for (uint32_t i = 0; i < v->entry_count; i++) {
        uint32_t *slot = probe(v, wc_slice(entries[i].key, entries[i].key_len));
        if (*slot == 0)
            *slot = i + 1; /* the first of its key; the others hang on it */
    }
    return 0;
}

/* The first entry of a key, or NULL. key: kind and text. */
static const struct entry *entry_at(const struct wc_vocabulary *v, struct wc_slice key)
{
    uint32_t slot = v->slot_count == 0 ? 0 : *probe(v, key);
    return slot == 0 ? NULL : &v->entries[slot - 1];
}

static const struct entry *entry_next(const struct wc_vocabulary *v,
                                      const struct entry *e)
{
    return e->next == 0 ? NULL : &v->entries[e->next - 1];
}

#define KEY_MAX_BYTES (1 + WC_LABEL_WORDS_MAX * (WC_WORD_MAX_BYTES + 1))

static struct wc_slice make_key(uint8_t out[KEY_MAX_BYTES], enum key_kind kind,
                                struct wc_slice text)
{
    size_t len = text.len < KEY_MAX_BYTES ? text.len : KEY_MAX_BYTES - 1;
    out[0] = (uint8_t)kind;
    memcpy(out + 1, text.data, len);
    return wc_slice(out, len + 1);
}

static const struct entry *entry_find(const struct wc_vocabulary *v, enum key_kind kind,
                                      struct wc_slice text)
{
    uint8_t key[KEY_MAX_BYTES];
    return entry_at(v, make_key(key, kind, text));
}

/* Add a key of a concept, unless it has it. */
static int entry_add_key(struct wc_vocabulary *v, struct wc_slice key, uint32_t concept)
{
    for (const struct entry *e = entry_at(v, key); e != NULL; e = entry_next(v, e))
        if (e->concept == concept)
            return 0;
    if (grow(v) != 0)
        return -WC_ENOMEM;
    struct entry *fresh = &v->entries[v->entry_count];
    *fresh = (struct entry){.key_len = (uint32_t)key.len, .concept = concept};
    fresh->key = malloc(key.len);
    if (fresh->key == NULL)
        return -WC_ENOMEM;
    memcpy(fresh->key, key.data, key.len);
    uint32_t *slot = probe(v, key);
    if (*slot == 0) {
        *slot = ++v->entry_count;
        return 0;
    }
    struct entry *last = &v->entries[*slot - 1];
    while (last->next != 0)
        last = &v->entries[last->next - 1];
    last->next = ++v->entry_count;
    return 0;
}

static int entry_add(struct wc_vocabulary *v, enum key_kind kind, struct wc_slice text,
                     uint32_t concept)
{
    uint8_t key[KEY_MAX_BYTES];
    return entry_add_key(v, make_key(key, kind, text), concept);
}

/* ---- reading a file ---- */

/* Where the reader of one file stands. */
struct reader {
    struct wc_vocabulary *v;
    const char *name;
    char *problem;
    char vocabulary[WC_CONCEPT_ID_MAX_BYTES + 1];
    char section[WC_CONCEPT_ID_MAX_BYTES + 1]; /* of `concept` */
    struct concept *concept;                   /* NULL: in [vocabulary] */
    uint32_t first;                            /* the first concept of this file */
    uint32_t line;
    bool format;
};

__attribute__((format(printf, 2, 3))) static int fail(struct reader *r,
                                                      const char *format, ...)
{
    int used = snprintf(r->problem, WC_VOCABULARY_PROBLEM_BYTES, "%.200s:%u: ", r->name,
                        r->line);
    va_list args;
    va_start(args, format);
    vsnprintf(r->problem + used, WC_VOCABULARY_PROBLEM_BYTES - (size_t)used, format,
              args);
    va_end(args);
    return -WC_ECONFIG;
}

static int out_of_memory(struct reader *r)
{
    fail(r, "out of memory");
    return -WC_ENOMEM;
}

static bool id_valid(const char *id)
{
    size_t len = strlen(id);
    return len > 0 && len <= WC_CONCEPT_ID_MAX_BYTES &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int begin_concept(struct reader *r, const char *section)
{
    char id[ID_BYTES];
    if (r->vocabulary[0] == '\0' || !r->format)
        return fail(r, "[%.60s] stands before [vocabulary] with its format and id",
                    section);
    if (!id_valid(section))
        return fail(r, "\"%.60s\" is not an id: 1 to %d of a-z, 0-9 and '-'", section,
                    WC_CONCEPT_ID_MAX_BYTES);
    snprintf(id, sizeof(id), "%s:%s", r->vocabulary, section);
    if (r->v->count == WC_CONCEPTS_MAX_COUNT)
        return fail(r, "more than %d concepts", WC_CONCEPTS_MAX_COUNT);
    if (entry_find(r->v, KEY_ID, wc_slice_text(id)) != NULL)
        return fail(r, "[%s] of vocabulary %s is there twice", section, r->vocabulary);
    void *items = room(r->v->concepts, r->v->count, &r->v->cap, sizeof(void *));
    struct concept *c = items != NULL ? calloc(1, sizeof(*c)) : NULL;
    if (items != NULL)
        r->v->concepts = items;
    if (c == NULL)
        return out_of_memory(r);
    r->v->concepts[r->v->count++] = c;
    c->id = strdup(id);
    r->concept = c;
    snprintf(r->section, sizeof(r->section), "%s", section);
    uint32_t number = r->v->count - 1;
    if (c->id == NULL || entry_add(r->v, KEY_ID, wc_slice_text(id), number) != 0 ||
        entry_add(r->v, KEY_NAME, wc_slice_text(section), number) != 0)
        return out_of_memory(r);
    return 0;
}

/* One trimmed piece of a list, or false at its end. */
static bool next_piece(const char **at, char separator, struct wc_slice *out)
{
    const char *p = *at;
    while (*p == ' ' || *p == '\t' || *p == separator)
        p++;
    if (*p == '\0')
        return false;
    const char *end = strchr(p, separator);
    if (end == NULL)
        end = p + strlen(p);
    *at = end;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *out = wc_slice((const uint8_t *)p, (size_t)(end - p));
    return true;
}

static bool has_label(const struct concept *c, const char *language,
                      struct wc_slice text)
{
    for (uint32_t i = 0; i < c->label_count; i++)
        if (strcmp(c->labels[i].language, language) == 0 &&
            wc_slice_is(text, c->labels[i].text))
            return true;
    return false;
}

static bool has_language(const struct concept *c, const char *language)
{
    for (uint32_t i = 0; i < c->label_count; i++)
        if (strcmp(c->labels[i].language, language) == 0)
            return true;
    return false;
}

static int add_label(struct reader *r, const char *language, struct wc_slice text)
{
    struct concept *c = r->concept;
    if (text.len > WC_SKILL_NAME_MAX_BYTES)
        return fail(r, "a label has %zu bytes; at most %d are allowed", text.len,
                    WC_SKILL_NAME_MAX_BYTES);
    if (has_label(c, language, text))
        return fail(r, "\"%.*s\" is there twice", (int)text.len,
                    (const char *)text.data);
    if (c->label_count == WC_CONCEPT_LABELS_MAX)
        return fail(r, "more than %d labels", WC_CONCEPT_LABELS_MAX);
    struct wc_label *labels =
        realloc(c->labels, (c->label_count + 1) * sizeof(*labels));
    char *copy = strndup((const char *)text.data, text.len);
    if (labels != NULL)
        c->labels = labels;
    if (labels == NULL || copy == NULL) {
        free(copy);
        return out_of_memory(r);
    }
    struct wc_label *l = &c->labels[c->label_count];
    *l = (struct wc_label){.text = copy, .preferred = !has_language(c, language)};
    memcpy(l->language, language, sizeof(l->language));
    c->label_count++;
    return 0;
}

static int add_labels(struct reader *r, const char *language, const char *value)
{
    struct wc_slice piece;
    int rc = 0;
    while (rc == 0 && next_piece(&value, '|', &piece))
        rc = add_label(r, language, piece);
    return rc;
}

static int add_references(struct reader *r, bool broader, const char *value)
{
    struct wc_slice piece;
    while (next_piece(&value, ',', &piece)) {
        struct wc_vocabulary *v = r->v;
        struct reference *items =
            room(v->references, v->reference_count, &v->reference_cap, sizeof(*items));
        if (items == NULL)
            return out_of_memory(r);
        v->references = items;
        struct reference *ref = &items[v->reference_count];
        *ref = (struct reference){.from = v->count - 1, .broader = broader};
        if (piece.len >= sizeof(ref->id))
            return fail(r, "\"%.60s\" is too long for an id", (const char *)piece.data);
        memcpy(ref->id, piece.data, piece.len);
        snprintf(ref->place, sizeof(ref->place), "%.100s:%u", r->name, r->line);
        v->reference_count++;
    }
    return 0;
}

/* A text that may go on over several lines. */
static int add_text(struct reader *r, char **field, const char *value)
{
    char *text;
    if (asprintf(&text, "%s%s%s", *field != NULL ? *field : "",
                 *field != NULL ? " " : "", value) < 0)
        return out_of_memory(r);
    free(*field);
    *field = text;
    if (strlen(text) > WC_ABOUT_MAX_BYTES)
        return fail(r, "the text is longer than %d bytes", WC_ABOUT_MAX_BYTES);
    return 0;
}

static const struct {
    const char *key;
    enum wc_level level;
} level_keys[] = {{"awareness", WC_LEVEL_AWARENESS},
                  {"working", WC_LEVEL_WORKING},
                  {"practitioner", WC_LEVEL_PRACTITIONER},
                  {"expert", WC_LEVEL_EXPERT}};

static int take_concept(struct reader *r, const char *key, const char *value)
{
    struct concept *c = r->concept;
    if (strlen(key) == 2 && key[0] >= 'a' && key[0] <= 'z' && key[1] >= 'a' &&
        key[1] <= 'z')
        return add_labels(r, key, value);
    if (strcmp(key, "broader") == 0 || strcmp(key, "related") == 0)
        return add_references(r, key[0] == 'b', value);
    if (strcmp(key, "about") == 0)
        return add_text(r, &c->about, value);
    for (size_t i = 0; i < sizeof(level_keys) / sizeof(level_keys[0]); i++)
        if (strcmp(key, level_keys[i].key) == 0)
            return add_text(r, &c->levels[level_keys[i].level], value);
    return fail(
        r,
        "unknown key \"%.60s\": a language such as en, broader, related, about, "
        "awareness, working, practitioner, expert",
        key);
}

static int take_head(struct reader *r, const char *key, const char *value)
{
    if (strcmp(key, "format") == 0) {
        if (strcmp(value, "1") != 0)
            return fail(r, "format %.20s: this version reads format 1", value);
        r->format = true;
    } else if (strcmp(key, "id") == 0) {
        if (!id_valid(value))
            return fail(r, "\"%.60s\" is not an id: 1 to %d of a-z, 0-9 and '-'", value,
                        WC_CONCEPT_ID_MAX_BYTES);
        snprintf(r->vocabulary, sizeof(r->vocabulary), "%s", value);
    } else if (strcmp(key, "title") != 0 && strcmp(key, "licence") != 0 &&
               strcmp(key, "source") != 0) {
        return fail(r,
                    "unknown key \"%.60s\": format, id, title, licence and source "
                    "belong under [vocabulary]",
                    key);
    }
    return 0;
}

static int take_pair(void *ctx, const struct wc_ini_pair *pair)
{
    struct reader *r = ctx;
    r->line = pair->line;
    if (strcmp(pair->section, "vocabulary") == 0) {
        r->concept = NULL;
        return take_head(r, pair->key, pair->value);
    }
    if (r->concept == NULL || strcmp(r->section, pair->section) != 0) {
        int rc = begin_concept(r, pair->section);
        if (rc != 0)
            return rc;
    }
    return take_concept(r, pair->key, pair->value);
}

static int check_text(struct reader *r, struct wc_slice text)
{
    if (text.len > WC_VOCABULARY_FILE_MAX_BYTES)
        return fail(r, "is longer than %u bytes", WC_VOCABULARY_FILE_MAX_BYTES);
    return wc_utf8_valid(text) ? 0 : fail(r, "is not UTF-8");
}

int wc_vocabulary_add(struct wc_vocabulary *v, struct wc_slice text, const char *name,
                      char problem[WC_VOCABULARY_PROBLEM_BYTES])
{
    struct reader r = {.v = v, .name = name, .problem = problem, .first = v->count};
    const char *wrong = NULL;
    uint32_t line = 0;
    int rc = check_text(&r, text);
    if (rc == 0)
        rc = wc_ini_read(text, take_pair, &r, &line, &wrong);
    if (wrong != NULL) {
        r.line = line;
        return fail(&r, "%s", wrong);
    }
    if (rc == -WC_ENOMEM)
        return out_of_memory(&r);
    for (uint32_t i = r.first; rc == 0 && i < v->count; i++)
        if (v->concepts[i]->label_count == 0)
            rc = fail(&r, "[%s] has no label, such as \"en = ...\"",
                      strchr(v->concepts[i]->id, ':') + 1);
    return rc;
}

/* ---- what is near to what ---- */

uint32_t wc_vocabulary_find(const struct wc_vocabulary *v, struct wc_slice id)
{
    bool whole = id.len > 0 && memchr(id.data, ':', id.len) != NULL;
    const struct entry *e = entry_find(v, whole ? KEY_ID : KEY_NAME, id);
    return e == NULL || e->next != 0 ? NO_CONCEPT : e->concept;
}

/* In the vocabulary of `from` first. */
static uint32_t resolve(const struct wc_vocabulary *v, const struct reference *ref)
{
    char id[2 * ID_BYTES];
    const char *own = v->concepts[ref->from]->id;
    snprintf(id, sizeof(id), "%.*s:%s", (int)strcspn(own, ":"), own, ref->id);
    uint32_t found = strchr(ref->id, ':') == NULL
                         ? wc_vocabulary_find(v, wc_slice_text(id))
                         : NO_CONCEPT;
    return found != NO_CONCEPT ? found : wc_vocabulary_find(v, wc_slice_text(ref->id));
}

/* One more neighbour, unless it is there; beyond WC_CONCEPT_NEAR_MAX it is left out. */
static int add_near(struct near *n, uint32_t concept)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (n->items[i] == concept)
            return 0;
    if (n->count == WC_CONCEPT_NEAR_MAX)
        return 0;
    uint32_t *items = realloc(n->items, (n->count + 1) * sizeof(*items));
    if (items == NULL)
        return -WC_ENOMEM;
    n->items = items;
    items[n->count++] = concept;
    return 0;
}

static int join(struct wc_vocabulary *v, const struct reference *ref, char *problem)
{
    uint32_t to = resolve(v, ref);
    struct concept *from = v->concepts[ref->from];
    if (to == NO_CONCEPT || to == ref->from) {
        snprintf(problem, WC_VOCABULARY_PROBLEM_BYTES, "%s: \"%s\" is %s", ref->place,
                 ref->id,
                 to == ref->from ? "the concept itself"
                                 : "no concept, or several: write vocabulary:concept");
        return -WC_ECONFIG;
    }
    struct concept *other = v->concepts[to];
    if (add_near(ref->broader ? &from->broader : &from->related, to) != 0 ||
        add_near(ref->broader ? &other->narrower : &other->related, ref->from) != 0) {
        snprintf(problem, WC_VOCABULARY_PROBLEM_BYTES, "out of memory");
        return -WC_ENOMEM;
    }
    return 0;
}

static void show(struct concept *c)
{
    c->shown = (struct wc_concept){
        .id = c->id,
        .labels = c->labels,
        .label_count = c->label_count,
        .broader = c->broader.items,
        .narrower = c->narrower.items,
        .related = c->related.items,
        .broader_count = c->broader.count,
        .narrower_count = c->narrower.count,
        .related_count = c->related.count,
        .about = c->about,
    };
    for (int i = 0; i <= WC_LEVEL_EXPERT; i++)
        c->shown.levels[i] = c->levels[i];
}

/* ---- what a label is recognised by ---- */

/* The words of a text as one key; empty when there are none, or too many. */
struct words {
    uint8_t text[WC_LABEL_WORDS_MAX][WC_WORD_MAX_BYTES];
    struct wc_slice at[WC_LABEL_WORDS_MAX];
    uint32_t count;
};

static int read_words(struct wc_text *text, const char *label, struct words *out)
{
    struct wc_word w;
    uint32_t count = 0;
    out->count = 0;
    int rc = wc_text_set(text, wc_slice_text(label));
    while (rc == 0 && wc_text_next(text, &w)) {
        if (count < WC_LABEL_WORDS_MAX) {
            memcpy(out->text[count], w.main.data, w.main.len);
            out->at[count] = wc_slice(out->text[count], w.main.len);
        }
        count++;
    }
    out->count = count > WC_LABEL_WORDS_MAX ? 0 : count;
    return rc;
}

static struct wc_slice words_key(uint8_t key[KEY_MAX_BYTES],
                                 const struct wc_slice *words, uint32_t count)
{
    size_t len = 0;
    key[len++] = KEY_WORDS;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            key[len++] = ' ';
        memcpy(key + len, words[i].data, words[i].len);
        len += words[i].len;
    }
    return wc_slice(key, len);
}

/* A stem may be longer than its word only by accident: then the word stands. */
static struct wc_slice stems_key(uint8_t key[KEY_MAX_BYTES], struct wc_text *text,
                                 uint32_t language, const struct wc_slice *words,
                                 uint32_t count)
{
    size_t len = 0;
    key[len++] = KEY_STEMS;
    for (uint32_t i = 0; i < count; i++) {
        struct wc_slice stem = wc_text_stem(text, language, words[i]);
        if (stem.len > words[i].len)
            stem = words[i];
        if (i > 0)
            key[len++] = ' ';
        memcpy(key + len, stem.data, stem.len);
        len += stem.len;
    }
    return wc_slice(key, len);
}

static int recognise_label(struct wc_vocabulary *v, struct wc_text *text,
                           uint32_t concept, const char *label)
{
    struct words words;
    uint8_t key[KEY_MAX_BYTES];
    int rc = read_words(text, label, &words);
    if (rc != 0 || words.count == 0)
        return rc == -WC_ETOOBIG ? 0 : rc;
    rc = entry_add_key(v, words_key(key, words.at, words.count), concept);
    for (uint32_t i = 0; rc == 0 && i < wc_text_language_count(text); i++)
        rc = entry_add_key(v, stems_key(key, text, i, words.at, words.count), concept);
    return rc;
}

int wc_vocabulary_finish(struct wc_vocabulary *v, struct wc_text *text,
                         char problem[WC_VOCABULARY_PROBLEM_BYTES])
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < v->reference_count; i++)
        rc = join(v, &v->references[i], problem);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; rc == 0 && i < v->count; i++) {
        struct concept *c = v->concepts[i];
        show(c);
        for (uint32_t k = 0; rc == 0 && k < c->label_count; k++)
            rc = recognise_label(v, text, i, c->labels[k].text);
    }
    if (rc != 0)
        snprintf(problem, WC_VOCABULARY_PROBLEM_BYTES, "out of memory");
    free(v->references);
    v->references = NULL;
    v->reference_count = v->reference_cap = 0;
    return rc;
}

/* ---- directories ---- */

static int is_ini(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');
    return d->d_name[0] != '.' && dot != NULL && strcmp(dot, ".ini") == 0;
}

static int load_file(struct wc_vocabulary *v, const char *directory, const char *name,
                     char *problem)
{
    char *path;
    uint8_t *text = NULL;
    size_t len;
    if (asprintf(&path, "%s/%s", directory, name) < 0) {
        snprintf(problem, WC_VOCABULARY_PROBLEM_BYTES, "out of memory");
        return -WC_ENOMEM;
    }
    int rc = wc_ini_file(path, WC_VOCABULARY_FILE_MAX_BYTES, &text, &len);
    if (rc == -WC_ENOMEM) {
        snprintf(problem, WC_VOCABULARY_PROBLEM_BYTES, "out of memory");
    } else if (rc != 0) {
        snprintf(problem, WC_VOCABULARY_PROBLEM_BYTES, "the vocabulary %.200s %s", path,
                 rc == -WC_ETOOBIG ? "is longer than 16 MiB" : strerror(errno));
        rc = -WC_ECONFIG;
    } else {
        rc = wc_vocabulary_add(v, wc_slice(text, len), path, problem);
    }
    free(text);
    free(path);
    return rc;
}

static int load_directory(struct wc_vocabulary *v, const char *directory, char *problem)
{
    struct dirent **names;
    int count = scandir(directory, &names, is_ini, alphasort), rc = 0;
    if (count < 0 && errno == ENOENT)
        return 0;
    if (count < 0) {
        snprintf(problem, WC_VOCABULARY_PROBLEM_BYTES,
                 "the directory of vocabularies %.200s: %s", directory,
                 strerror(errno));
        return -WC_ECONFIG;
    }
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = load_file(v, directory, names[i]->d_name, problem);
        free(names[i]);
    }
    free(names);
    return rc;
}

int wc_vocabulary_load(struct wc_vocabulary **out, const char *const *directories,
                       const char *const *languages,
                       char problem[WC_VOCABULARY_PROBLEM_BYTES])
{
    struct wc_vocabulary *v = NULL;
    struct wc_text *text = NULL;
    snprintf(problem, WC_VOCABULARY_PROBLEM_BYTES, "out of memory");
    int rc = wc_vocabulary_new(&v);
    if (rc == 0)
        rc = wc_text_new(&text, languages);
    for (uint32_t i = 0; rc == 0 && directories[i] != NULL; i++)
        rc = load_directory(v, directories[i], problem);
    if (rc == 0)
        rc = wc_vocabulary_finish(v, text, problem);
    wc_text_free(text);
    if (rc != 0) {
        wc_vocabulary_free(v);
        v = NULL;
    }
    *out = v;
    return rc;
}

/* ---- looking ---- */

uint32_t wc_vocabulary_count(const struct wc_vocabulary *v)
{
    return v->count;
}

const struct wc_concept *wc_vocabulary_at(const struct wc_vocabulary *v, uint32_t i)
{
    return &v->concepts[i]->shown;
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

void wc_vocabulary_fingerprint(const struct wc_vocabulary *v,
                               uint8_t out[WC_DIGEST_BYTES])
{
    /* chained, so that no buffer of the whole is needed */
    memset(out, 0, WC_DIGEST_BYTES);
    for (uint32_t i = 0; i < v->entry_count; i++) {
        const struct entry *e = &v->entries[i];
        struct wc_slice parts[] = {
            wc_slice(out, WC_DIGEST_BYTES),
            wc_slice(e->key, e->key_len),
            wc_slice_text(v->concepts[e->concept]->id),
        };
        uint8_t next[WC_DIGEST_BYTES];
        wc_hash(next, parts, 3);
        memcpy(out, next, sizeof(next));
    }
}

/* ---- recognising ---- */

struct finder {
    const struct wc_vocabulary *v;
    struct wc_mention *out;
    uint32_t count, cap;
};

static void found(struct finder *f, const struct entry *e, uint32_t first,
                  uint32_t count, bool exact)
{
    for (; e != NULL; e = entry_next(f->v, e)) {
        bool known = false;
        for (uint32_t i = 0; i < f->count && !known; i++)
        known = f->out[i].concept == e->concept && f->out[i].first == first &&
                f->out[i].count == count;
        if (!known && f->count < f->cap)
            f->out[f->count++] = (struct wc_mention){e->concept, first, count, exact};
    }
}

/* Whether these words are a label. A word that questions are made of is none by
 * itself, nor is a stem of three letters, which is anybody's. */
static bool look(struct finder *f, struct wc_text *text, const struct wc_slice *words,
                 uint32_t first, uint32_t count)
{
    uint8_t key[KEY_MAX_BYTES];
    uint32_t before = f->count;
    if (count == 1 && wc_text_is_stop(words[first]))
        return false;
    found(f, entry_at(f->v, words_key(key, words + first, count)), first, count, true);
    if (count == 1 && words[first].len < 4)
        return f->count > before;
    for (uint32_t i = 0; i < wc_text_language_count(text); i++)
        found(f, entry_at(f->v, stems_key(key, text, i, words + first, count)), first,
              count, false);
    return f->count > before;
}

uint32_t wc_vocabulary_mentions(const struct wc_vocabulary *v, struct wc_text *text,
                                const struct wc_slice *words, uint32_t word_count,
                                struct wc_mention *out, uint32_t cap)
{
    struct finder f = {.v = v, .out = out, .cap = cap};
    for (uint32_t first = 0, taken; first < word_count; first += taken) {
        uint32_t longest = word_count - first;
        taken = 1;
        if (longest > WC_LABEL_WORDS_MAX)
            longest = WC_LABEL_WORDS_MAX;
        for (uint32_t n = longest; n > 0; n--) {
            if (look(&f, text, words, first, n)) {
                taken = n;
                break;
            }
        }
    }
    return f.count;
}
