/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/skills.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/index_internal.h"

#define NO_CONCEPT UINT32_MAX

/* A skill on its way to the answer. Texts are in the text of the search. */
struct row {
    uint32_t concept; /* or NO_CONCEPT */
    uint32_t label;   /* of the concept, that was met */
    uint32_t people;
    uint32_t at, folded_len, len; /* of a name: folded, then as most people write it */
    uint8_t distance; /* from what was typed: the name, another one, a part */
};

struct search {
    const struct wc_skills_query *query;
    const struct wc_vocabulary *vocabulary; /* or NULL */
    struct wc_index *ix;
    struct row *rows;
    uint32_t count, cap;
    uint32_t *row_of; /* of each concept, + 1 */
    struct wc_buf text;
    struct wc_slice prefix; /* what was typed, or what it may have meant */
    struct wc_buf typed;    /* its words, folded */
    bool failed;
};

static struct row *add_row(struct search *s)
{
    if (s->count == s->cap) {
        uint32_t cap = s->cap == 0 ? 256 : 2 * s->cap;
        struct row *rows = realloc(s->rows, cap * sizeof(*rows));
        if (rows == NULL) {
            s->failed = true;
            return NULL;
        }
        s->rows = rows;
        s->cap = cap;
    }
    s->rows[s->count] = (struct row){.concept = NO_CONCEPT};
    return &s->rows[s->count++];
}

/* ---- concepts ---- */

/* The nearest of a concept's labels counts, or the first of them in its file. */
static void take_concept(void *ctx, uint32_t concept, uint32_t label, bool inner)
{
    struct search *s = ctx;
    const struct wc_concept *c = wc_vocabulary_at(s->vocabulary, concept);
    uint8_t distance = inner ? 2 : c->labels[label].preferred ? 0 : 1;
    if (s->failed)
        return;
    if (s->row_of[concept] == 0) {
        struct row *fresh = add_row(s);
        if (fresh == NULL)
            return;
        *fresh = (struct row){.concept = concept, .label = label, .distance = distance};
        s->row_of[concept] = s->count;
        return;
    }
    struct row *known = &s->rows[s->row_of[concept] - 1];
    if (distance < known->distance ||
        (distance == known->distance && label < known->label)) {
        known->label = label;
        known->distance = distance;
    }
}

static int take_concepts(struct search *s)
{
    if (s->vocabulary == NULL)
        return 0;
    uint32_t count = wc_vocabulary_count(s->vocabulary);
    s->row_of = calloc((size_t)count + 1, sizeof(*s->row_of));
    if (s->row_of == NULL)
        return -WC_ENOMEM;
    if (s->prefix.len > 0)
        wc_vocabulary_complete(s->vocabulary, s->prefix, take_concept, s);
    for (uint32_t i = 0; s->prefix.len == 0 && i < count; i++)
        take_concept(s, i, 0, false);
    return s->failed ? -WC_ENOMEM : 0;
}

/* How many people a value of the dictionary says. */
static int people_of(struct wc_slice value, uint32_t *people)
{
    if (value.len != WC_TERM_VALUE_BYTES)
        return -WC_ECORRUPT;
    *people = wc_get_u32(value.data + 4);
    return 0;
}

/* Add the people who have a key in the scopes that the caller may see. */
static int count_people(struct search *s, struct wc_txn *t, uint8_t what,
                        struct wc_slice text, uint32_t *people)
{
    struct wc_buf key = {0};
    int rc = 0;
    for (int home = 0; rc == 0 && home <= (s->query->home ? 1 : 0); home++) {
        struct wc_slice value;
        uint32_t more = 0;
        wc_buf_reset(&key);
        wc_buf_byte(&key, (uint8_t)(WC_TERM_SKILL | (home ? WC_TERM_HOME : 0)));
        wc_buf_byte(&key, what);
        wc_buf_append(&key, text.data, text.len);
        rc = key.failed ? -WC_ENOMEM
                        : wc_txn_get(t, WC_IX_TERM, wc_buf_slice(&key), &value);
        if (rc == 0)
            rc = people_of(value, &more);
        else if (rc == -WC_ENOTFOUND)
            rc = 0;
        *people += more;
    }
    wc_buf_fini(&key);
    return rc;
}

/* ---- names ---- */

static int take_name(struct search *s, struct wc_slice key, struct wc_slice value)
{
    const uint8_t *end = memchr(key.data + 2, '\0', key.len - 2);
    if (end == NULL)
        return -WC_ECORRUPT;
    struct row *r = add_row(s);
    if (r == NULL)
        return -WC_ENOMEM;
    r->at = (uint32_t)s->text.len;
    r->folded_len = (uint32_t)(end - (key.data + 2));
    r->len = (uint32_t)(key.len - 2) - r->folded_len - 1;
    wc_buf_append(&s->text, key.data + 2, key.len - 2);
    int rc = people_of(value, &r->people);
    return s->text.failed ? -WC_ENOMEM : rc;
}

/* The names of one scope that begin with what was typed. */
static int take_names(struct search *s, struct wc_txn *t, uint8_t kind)
{
    struct wc_cursor cursor;
    struct wc_buf from = {0};
    uint32_t taken = 0;
    wc_buf_byte(&from, kind);
    wc_buf_byte(&from, WC_SKILL_NAME);
    wc_buf_append(&from, s->typed.data, s->typed.len);
    int rc = from.failed ? -WC_ENOMEM : wc_cursor_open(&cursor, t, WC_IX_TERM);
    if (rc == 0) {
        rc = wc_cursor_seek(&cursor, wc_buf_slice(&from));
        while (rc == 0 && cursor.key.len >= from.len &&
               memcmp(cursor.key.data, from.data, from.len) == 0 &&
               taken++ < WC_SKILL_NAMES_MAX) {
            rc = take_name(s, cursor.key, cursor.value);
            if (rc == 0)
                rc = wc_cursor_next(&cursor);
        }
        wc_cursor_close(&cursor);
    }
    wc_buf_fini(&from);
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

static int read_fn(struct wc_txn *t, void *ctx)
{
    struct search *s = ctx;
    int rc = wc_index_usable(s->ix);
    for (uint32_t i = 0; rc == 0 && i < s->count; i++) {
        const char *id = wc_vocabulary_at(s->vocabulary, s->rows[i].concept)->id;
        rc =
            count_people(s, t, WC_SKILL_CONCEPT, wc_slice_text(id), &s->rows[i].people);
    }
    if (rc == 0)
        rc = take_names(s, t, WC_TERM_SKILL);
    if (rc == 0 && s->query->home)
        rc = take_names(s, t, WC_TERM_SKILL | WC_TERM_HOME);
    return rc;
}

/* ---- putting together ---- */

static struct wc_slice folded_of(const struct search *s, const struct row *r)
{
    return wc_slice(s->text.data + r->at, r->folded_len);
}

static struct wc_slice name_of(const struct search *s, const struct row *r)
{
    if (r->concept == NO_CONCEPT)
        return wc_slice(s->text.data + r->at + r->folded_len + 1, r->len);
    const struct wc_concept *c = wc_vocabulary_at(s->vocabulary, r->concept);
    return wc_slice_text(
        wc_concept_name(c, s->prefix.len == 0 ? "en" : c->labels[r->label].language));
}

static int compare_names(const void *a, const void *b, void *ctx)
{
    const struct row *x = a, *y = b;
    int order = wc_slice_cmp(folded_of(ctx, x), folded_of(ctx, y));
    if (order != 0)
        return order;
    if (x->people != y->people)
        return x->people > y->people ? -1 : 1;
    return wc_slice_cmp(name_of(ctx, x), name_of(ctx, y));
}

static int compare_rows(const void *a, const void *b, void *ctx)
{
    const struct row *x = a, *y = b;
    if (x->people != y->people)
        return x->people > y->people ? -1 : 1;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    int order = wc_slice_cmp(name_of(ctx, x), name_of(ctx, y));
    if (order != 0 || x->concept == y->concept)
        return order;
    return x->concept < y->concept ? -1 : 1;
}

/* Spellings of one name become one, as most people write it; what nobody has goes, unless
 * it is a concept that somebody is looking for. */
static void merge(struct search *s)
{
    uint32_t names = 0, kept = 0;
    while (names < s->count && s->rows[names].concept != NO_CONCEPT)
        names++;
    if (s->count > names)
        qsort_r(s->rows + names, s->count - names, sizeof(*s->rows), compare_names, s);
    for (uint32_t i = 0; i < s->count; i++) {
        struct row *r = &s->rows[i], *last = kept > 0 ? &s->rows[kept - 1] : NULL;
        bool named = r->concept == NO_CONCEPT;
        if (named && last != NULL && last->concept == NO_CONCEPT &&
            wc_slice_eq(folded_of(s, last), folded_of(s, r)))
            last->people += r->people;
        else if (r->people > 0 || (!named && s->prefix.len > 0))
            s->rows[kept++] = *r;
    }
    s->count = kept;
    if (kept > 0)
        qsort_r(s->rows, kept, sizeof(*s->rows), compare_rows, s);
}

static void give(const struct search *s, wc_skill_fn fn, void *ctx)
{
    for (uint32_t i = 0; i < s->count && i < s->query->limit; i++) {
        const struct row *r = &s->rows[i];
        struct wc_skill_row out = {.name = name_of(s, r), .people = r->people};
        if (r->concept != NO_CONCEPT) {
            const struct wc_concept *c = wc_vocabulary_at(s->vocabulary, r->concept);
            out.id = c->id;
            if (s->prefix.len > 0 && !c->labels[r->label].preferred)
                out.alias = c->labels[r->label].text;
        }
        fn(ctx, &out);
    }
}

/* The words of what was typed, as names of skills are kept. */
static int fold_typed(struct search *s)
{
    static const char *const none[] = {NULL};
    struct wc_text *text = NULL;
    struct wc_word w;
    int rc = wc_text_new(&text, none);
    if (rc == 0)
        rc = wc_text_set(text, s->prefix);
    while (rc == 0 && wc_text_next(text, &w)) {
        if (s->typed.len > 0)
            wc_buf_byte(&s->typed, ' ');
        wc_buf_append(&s->typed, w.main.data, w.main.len);
    }
    wc_text_free(text);
    return rc != 0 ? rc : s->typed.failed ? -WC_ENOMEM : 0;
}

static int look(struct search *s)
{
    int rc = take_concepts(s);
    if (rc == 0 && (s->typed.len > 0 || s->prefix.len == 0))
        rc = wc_index_note(s->ix, wc_store_read(s->ix->store, read_fn, s));
    if (rc == 0)
        merge(s);
    return rc;
}

/* ---- mistakes ---- */

/* The nearest word that somebody has, or that is in a label; false: the word is one, or
 * there is none. */
static bool suggest(const struct search *s, struct wc_slice word,
                    struct wc_spelled *out)
{
    struct wc_spelled found[WC_SPELLED_MAX];
    struct wc_spelling_work work = {.keys = 0};
    bool any = false;
    for (int scope = 0; scope < WC_SCOPES; scope++) {
        if (scope == WC_SCOPE_HOME && !s->query->home)
            continue;
        if (wc_spelling_find(s->ix->spelling[scope], word).known)
            return false;
        uint32_t n = wc_spelling_suggest(s->ix->spelling[scope], word, found, &work);
        for (uint32_t i = 0; i < n; i++) {
            if (found[i].stop || (any && found[i].weight <= out->weight))
                continue;
            *out = found[i];
            any = true;
        }
    }
    return any;
}

/* Append the words of what was typed, each that nobody has as what it may have meant.
 * False: there is no such word. */
static bool correct(const struct search *s, struct wc_buf *out)
{
    bool any = false;
    const uint8_t *at = s->typed.data, *end = at + s->typed.len;
    while (at < end) {
        const uint8_t *space = memchr(at, ' ', (size_t)(end - at));
        struct wc_slice word = wc_slice(at, (size_t)((space ? space : end) - at));
        struct wc_spelled meant;
        bool wrong = suggest(s, word, &meant);
        if (out->len > 0)
            wc_buf_byte(out, ' ');
        if (wrong)
            wc_buf_append(out, meant.text, meant.len);
        else
            wc_buf_append(out, word.data, word.len);
        any |= wrong;
        at = space ? space + 1 : end;
    }
    return any && !out->failed;
}

/* Nothing begins so: look again for what may have been meant. */
static int look_again(struct search *s, struct wc_buf *corrected)
{
    if (s->typed.len == 0 || !correct(s, corrected)) {
        wc_buf_reset(corrected);
        return 0;
    }
    free(s->row_of);
    s->row_of = NULL;
    s->prefix = wc_buf_slice(corrected);
    wc_buf_reset(&s->typed);
    wc_buf_append(&s->typed, corrected->data, corrected->len);
    int rc = s->typed.failed ? -WC_ENOMEM : look(s);
    if (s->count == 0)
        wc_buf_reset(corrected);
    return rc;
}

int wc_index_skills(struct wc_index *ix, const struct wc_skills_query *query,
                    wc_skill_fn fn, void *ctx, struct wc_skills_found *found)
{
    struct search s = {.query = query,
                       .ix = ix,
                       .prefix = query->prefix,
                       .vocabulary = wc_index_vocabulary(ix)};
    found->total = 0;
    wc_buf_reset(&found->corrected);
    int rc = fold_typed(&s);
    if (rc == 0)
        rc = look(&s);
    if (rc == 0 && s.count == 0)
        rc = look_again(&s, &found->corrected);
    if (rc == 0) {
        found->total = s.count;
        give(&s, fn, ctx);
    }
    wc_vocabulary_free(s.vocabulary);
    wc_buf_fini(&s.text);
    wc_buf_fini(&s.typed);
    free(s.row_of);
    free(s.rows);
    return rc;
}
