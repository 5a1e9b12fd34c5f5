/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/vocabulary.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/limits.h>

#include "daemon/ini.h"

/* The kinds of keys that lead to concepts. */
enum key_kind {
    KEY_WORDS = 1, /* the words of a label, folded, one space between */
    KEY_STEMS,     /* their stems in one language */
};

/* What leads to a concept. Only the hash of the key is kept: two keys in 2^64 are one, and
 * whoever finds such a pair has gained what the word itself would have given. */
struct entry {
    uint64_t hash;
    uint32_t concept;
    uint32_t next; /* another concept of the same key: entry number + 1, or 0 */
};

/* Most words of a text begin no label: a table of bytes says so before a key is made. Two
 * words that meet in one place cost a look in vain. */
#define OPENERS_COUNT 65536

/* A place where a label may begin for whoever is typing: its first word, or a later one
 * of what a concept is called. */
struct start {
    const char *text; /* folded, to the label's end */
    uint32_t concept;
    uint16_t label; /* of the concept */
    bool inner;
};

struct wc_vocabulary {
    atomic_uint users;
    struct start *starts; /* by text */
    uint32_t starts_count;
    struct wc_buf folded; /* their texts */
    struct wc_concepts *concepts;
    char *problem; /* where the first fault goes while files are read */
    struct entry *entries;
    uint32_t entry_count, entry_cap;
    uint32_t *slots; /* open addressing; entry number + 1 */
    uint32_t slot_count;
    uint8_t openers[OPENERS_COUNT]; /* most words of a label that begins so; 0: none */
};

/* ---- making and freeing ---- */

static void on_fault(void *ctx, const struct wc_fault *fault)
{
    struct wc_vocabulary *v = ctx;
    if (v->problem == NULL || v->problem[0] != '\0')
        return; /* the first one is enough */
    if (fault->line > 0)
        snprintf(v->problem, WC_VOCABULARY_PROBLEM_BYTES, "%.200s:%u: %s", fault->file,
                 fault->line, fault->text);
    else
        snprintf(v->problem, WC_VOCABULARY_PROBLEM_BYTES, "%.200s: %s", fault->file,
                 fault->text);
}

int wc_vocabulary_new(struct wc_vocabulary **out)
{
    struct wc_vocabulary *v = calloc(1, sizeof(*v));
    *out = NULL;
    if (v == NULL)
        return -WC_ENOMEM;
    atomic_init(&v->users, 1);
    int rc = wc_concepts_new(&v->concepts, on_fault, v);
    if (rc != 0) {
        free(v);
        return rc;
    }
    *out = v;
    return 0;
}

const struct wc_vocabulary *wc_vocabulary_ref(const struct wc_vocabulary *v)
{
    if (v != NULL)
        atomic_fetch_add(&((struct wc_vocabulary *)v)->users, 1);
    return v;
}

void wc_vocabulary_free(const struct wc_vocabulary *v)
{
    struct wc_vocabulary *own = (struct wc_vocabulary *)v;
    if (own == NULL || atomic_fetch_sub(&own->users, 1) > 1)
        return;
    wc_concepts_free(own->concepts);
    free(own->starts);
    wc_buf_fini(&own->folded);
    free(own->entries);
    free(own->slots);
    free(own);
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

static uint32_t *probe(const struct wc_vocabulary *v, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (v->slot_count - 1);
    while (v->slots[at] != 0 && v->entries[v->slots[at] - 1].hash != hash)
        at = (at + 1) & (v->slot_count - 1);
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
        uint32_t *slot = probe(v, entries[i].hash);
        if (*slot == 0)
            *slot = i + 1; /* the first of its key; the others hang on it */
    }
    return 0;
}

/* The first entry of a key, or NULL. key: kind and text. */
static const struct entry *entry_at(const struct wc_vocabulary *v, struct wc_slice key)
{
    uint32_t slot = v->slot_count == 0 ? 0 : *probe(v, wc_siphash(hash_key, key));
    return slot == 0 ? NULL : &v->entries[slot - 1];
}

static const struct entry *entry_next(const struct wc_vocabulary *v,
                                      const struct entry *e)
{
    return e->next == 0 ? NULL : &v->entries[e->next - 1];
}

#define KEY_MAX_BYTES (1 + WC_LABEL_WORDS_MAX * (WC_WORD_MAX_BYTES + 1))

/* Add a key of a concept, unless it has it. */
static int entry_add_key(struct wc_vocabulary *v, struct wc_slice key, uint32_t concept)
{
    for (const struct entry *e = entry_at(v, key); e != NULL; e = entry_next(v, e))
        if (e->concept == concept)
            return 0;
    if (grow(v) != 0)
        return -WC_ENOMEM;
    struct entry *fresh = &v->entries[v->entry_count];
    *fresh = (struct entry){.hash = wc_siphash(hash_key, key), .concept = concept};
    uint32_t *slot = probe(v, fresh->hash);
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

/* ---- reading files ---- */

/* The outcome, with a line about it if there was no fault to say. */
static int outcome(struct wc_vocabulary *v, int rc, char *problem)
{
    v->problem = NULL;
    if (rc == -WC_ENOMEM)
        snprintf(problem, WC_VOCABULARY_PROBLEM_BYTES, "out of memory");
    return rc;
}

int wc_vocabulary_add(struct wc_vocabulary *v, struct wc_slice text, const char *name,
                      char problem[WC_VOCABULARY_PROBLEM_BYTES])
{
    problem[0] = '\0';
    v->problem = problem;
    return outcome(v, wc_concepts_read(v->concepts, text, name), problem);
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
static struct wc_slice stem_of(struct wc_text *text, uint32_t language,
                               struct wc_slice word)
{
    struct wc_slice stem = wc_text_stem(text, language, word);
    return stem.len > word.len ? word : stem;
}

static struct wc_slice stems_key(uint8_t key[KEY_MAX_BYTES], struct wc_text *text,
                                 uint32_t language, const struct wc_slice *words,
                                 uint32_t count)
{
    size_t len = 0;
    key[len++] = KEY_STEMS;
    for (uint32_t i = 0; i < count; i++) {
        struct wc_slice stem = stem_of(text, language, words[i]);
        if (i > 0)
            key[len++] = ' ';
        memcpy(key + len, stem.data, stem.len);
        len += stem.len;
    }
    return wc_slice(key, len);
}

/* FNV-1a */
static uint32_t opener_of(enum key_kind kind, struct wc_slice word)
{
    uint32_t hash = 2166136261U ^ (uint32_t)kind;
    for (size_t i = 0; i < word.len; i++)
        hash = (hash ^ word.data[i]) * 16777619U;
    return (hash ^ hash >> 16) % OPENERS_COUNT;
}

static void add_opener(struct wc_vocabulary *v, enum key_kind kind,
                       struct wc_slice word, uint32_t count)
{
    uint8_t *longest = &v->openers[opener_of(kind, word)];
    if (count > *longest)
        *longest = (uint8_t)count;
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
    add_opener(v, KEY_WORDS, words.at[0], words.count);
    for (uint32_t i = 0; rc == 0 && i < wc_text_language_count(text); i++) {
        rc = entry_add_key(v, stems_key(key, text, i, words.at, words.count), concept);
        add_opener(v, KEY_STEMS, stem_of(text, i, words.at[0]), words.count);
    }
    return rc;
}

/* ---- what is being typed ---- */

static int compare_starts(const void *a, const void *b)
{
    const struct start *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    if (order != 0)
        return order;
    if (x->concept != y->concept)
    return x->concept < y->concept ? -1 : 1;
    return (int)x->label - (int)y->label;
}

static uint32_t count_words(const char *text)
{
    uint32_t count = 1;
    for (; *text != '\0'; text++)
        count += *text == ' ';
    return count;
}

/* The folded labels, one after the other, each with a NUL; and how many starts they have
 * at most. */
static int fold_labels(struct wc_vocabulary *v, uint32_t *most)
{
    *most = 0;
    for (uint32_t i = 0; i < wc_concepts_count(v->concepts); i++) {
        const struct wc_concept *c = wc_concepts_at(v->concepts, i);
        for (uint32_t k = 0; k < c->label_count; k++) {
            size_t at = v->folded.len;
            wc_text_fold(wc_slice_text(c->labels[k].text), &v->folded);
            wc_buf_byte(&v->folded, '\0');
            if (v->folded.failed)
                return -WC_ENOMEM;
            *most += count_words((const char *)v->folded.data + at);
        }
    }
    return 0;
}

static void add_starts(struct wc_vocabulary *v, const char *text, uint32_t concept,
                       uint32_t label, bool preferred)
{
    for (const char *p = text; *p != '\0'; p++)
        if (p == text || (preferred && p[-1] == ' '))
            v->starts[v->starts_count++] =
                (struct start){p, concept, (uint16_t)label, p != text};
}

static int find_starts(struct wc_vocabulary *v)
{
    uint32_t most;
    int rc = fold_labels(v, &most);
    if (rc != 0)
        return rc;
    v->starts = calloc((size_t)most + 1, sizeof(*v->starts));
    if (v->starts == NULL)
        return -WC_ENOMEM;
    const char *text = (const char *)v->folded.data;
    for (uint32_t i = 0; i < wc_concepts_count(v->concepts); i++) {
        const struct wc_concept *c = wc_concepts_at(v->concepts, i);
        for (uint32_t k = 0; k < c->label_count; k++) {
            add_starts(v, text, i, k, c->labels[k].preferred);
            text += strlen(text) + 1;
        }
    }
    qsort(v->starts, v->starts_count, sizeof(*v->starts), compare_starts);
    return 0;
}

/* The first start that is not before a folded text. */
static uint32_t first_start(const struct wc_vocabulary *v, const char *text)
{
    uint32_t low = 0, high = v->starts_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(v->starts[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t wc_vocabulary_named(const struct wc_vocabulary *v, struct wc_slice folded)
{
    char text[4 * WC_SKILL_NAME_MAX_BYTES];
    if (!wc_slice_copy(folded, text, sizeof(text)))
        return UINT32_MAX;
    uint32_t i = first_start(v, text);
    while (i < v->starts_count && strcmp(v->starts[i].text, text) == 0 &&
           v->starts[i].inner)
        i++;
    bool found = i < v->starts_count && strcmp(v->starts[i].text, text) == 0;
    return found ? v->starts[i].concept : UINT32_MAX;
}

void wc_vocabulary_complete(const struct wc_vocabulary *v, struct wc_slice typed,
                            wc_completion_fn fn, void *ctx)
{
    struct wc_buf folded = {0};
    wc_text_fold(typed, &folded);
    wc_buf_byte(&folded, '\0');
    const char *prefix = (const char *)folded.data;
    uint32_t i = folded.failed ? v->starts_count : first_start(v, prefix);
    for (;
         i < v->starts_count && strncmp(v->starts[i].text, prefix, strlen(prefix)) == 0;
         i++)
        fn(ctx, v->starts[i].concept, v->starts[i].label, v->starts[i].inner);
    wc_buf_fini(&folded);
}

int wc_vocabulary_finish(struct wc_vocabulary *v, struct wc_text *text,
                         char problem[WC_VOCABULARY_PROBLEM_BYTES])
{
    problem[0] = '\0';
    v->problem = problem;
    int rc = wc_concepts_resolve(v->concepts);
    uint32_t count = wc_concepts_count(v->concepts);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        const struct wc_concept *c = wc_concepts_at(v->concepts, i);
        for (uint32_t k = 0; rc == 0 && k < c->label_count; k++)
            rc = recognise_label(v, text, i, c->labels[k].text);
    }
    if (rc == 0)
        rc = find_starts(v);
    return outcome(v, rc, problem);
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

const struct wc_concepts *wc_vocabulary_concepts(const struct wc_vocabulary *v)
{
    return v->concepts;
}

uint32_t wc_vocabulary_count(const struct wc_vocabulary *v)
{
    return wc_concepts_count(v->concepts);
}

const struct wc_concept *wc_vocabulary_at(const struct wc_vocabulary *v, uint32_t i)
{
    return wc_concepts_at(v->concepts, i);
}

uint32_t wc_vocabulary_find(const struct wc_vocabulary *v, struct wc_slice id)
{
    return wc_concepts_find(v->concepts, id);
}

/* Chained, so that no buffer of the whole is needed. */
static void chain(uint8_t digest[WC_DIGEST_BYTES], const char *id,
                  const struct entry *e)
{
    uint8_t hash[8], next[WC_DIGEST_BYTES];
    wc_put_u64(hash, e == NULL ? 0 : e->hash);
    struct wc_slice parts[] = {
        wc_slice(digest, WC_DIGEST_BYTES),
        wc_slice(hash, sizeof(hash)),
        wc_slice_text(id),
    };
    wc_hash(next, parts, 3);
    memcpy(digest, next, sizeof(next));
}

void wc_vocabulary_fingerprint(const struct wc_vocabulary *v,
                               uint8_t out[WC_DIGEST_BYTES])
{
    memset(out, 0, WC_DIGEST_BYTES);
    for (uint32_t i = 0; i < wc_vocabulary_count(v); i++)
        chain(out, wc_vocabulary_at(v, i)->id, NULL);
    for (uint32_t i = 0; i < v->entry_count; i++)
        chain(out, wc_vocabulary_at(v, v->entries[i].concept)->id, &v->entries[i]);
}

int wc_vocabulary_words(const struct wc_vocabulary *v, struct wc_text *text,
                        int (*fn)(void *ctx, struct wc_slice word), void *ctx)
{
    struct words words;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < wc_vocabulary_count(v); i++) {
        const struct wc_concept *c = wc_vocabulary_at(v, i);
        for (uint32_t k = 0; rc == 0 && k < c->label_count; k++) {
            rc = read_words(text, c->labels[k].text, &words);
            rc = rc == -WC_ETOOBIG ? 0 : rc;
            for (uint32_t w = 0; rc == 0 && w < words.count; w++)
                rc = fn(ctx, words.at[w]);
        }
    }
    return rc;
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

uint32_t wc_vocabulary_opens(const struct wc_vocabulary *v, struct wc_text *text,
                             struct wc_slice word)
{
    uint32_t longest = v->openers[opener_of(KEY_WORDS, word)];
    for (uint32_t i = 0; i < wc_text_language_count(text); i++) {
        uint32_t n = v->openers[opener_of(KEY_STEMS, stem_of(text, i, word))];
        longest = n > longest ? n : longest;
    }
    return longest;
}

uint32_t wc_vocabulary_mentions_opened(const struct wc_vocabulary *v,
                                       struct wc_text *text,
                                       const struct wc_slice *words,
                                       const uint8_t *opens, uint32_t word_count,
                                       struct wc_mention *out, uint32_t cap)
{
    struct finder f = {.v = v, .out = out, .cap = cap};
    for (uint32_t first = 0, taken; first < word_count; first += taken) {
        uint32_t longest =
            opens != NULL ? opens[first] : wc_vocabulary_opens(v, text, words[first]);
        taken = 1;
        if (longest > word_count - first)
            longest = word_count - first;
        for (uint32_t n = longest; n > 0; n--) {
            if (look(&f, text, words, first, n)) {
                taken = n;
                break;
            }
        }
    }
    return f.count;
}

uint32_t wc_vocabulary_mentions(const struct wc_vocabulary *v, struct wc_text *text,
                                const struct wc_slice *words, uint32_t word_count,
                                struct wc_mention *out, uint32_t cap)
{
    return wc_vocabulary_mentions_opened(v, text, words, NULL, word_count, out, cap);
}
