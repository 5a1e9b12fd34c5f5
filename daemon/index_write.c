/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch is written in four steps: give every person a document number; compare the
 * terms they had with those they have; sort the differences by term and document, so
 * that each block of postings is read and written once; bring the dictionary up to date.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/analyst.h"
#include "daemon/index_internal.h"
#include "daemon/postings.h"
#include "daemon/starts.h"

/* ---- what a batch holds ---- */

struct person {
    struct wc_person_ref who;
    bool exists;
    uint32_t first, count; /* their terms, in `found` */
    uint32_t office;       /* of the analyst's */
    uint8_t traits[2 * WC_TRAITS_BYTES];
};

struct found {
    uint32_t entry; /* in `entries` */
    uint8_t impact;
};

/* A term that the batch meets: by its key from analysis, or by its number from what
 * somebody had. */
struct entry {
    uint32_t id;     /* in the writer's lexicon */
    uint32_t number; /* 0: not looked up, or not in the dictionary yet */
    uint32_t people; /* before the batch */
    int32_t change;
    uint8_t max; /* the largest impact so far */
    bool raised; /* by the batch */
    bool fresh;
};

struct op {
    uint32_t term, doc;
    uint8_t impact; /* 0: remove */
};

/* A growing array. */
struct vec {
    void *items;
    uint32_t count, cap;
};

struct wc_batch {
    struct wc_index *ix;
    struct wc_analyst analyst; /* 90 KB, kept off the stack */
    struct vec people, found, entries;
    uint32_t *places; /* of each term of the lexicon: entry + 1 */
    uint32_t place_count;
    uint32_t analysed; /* entries that analysis made; the rest are of one write */
    /* while writing */
    const struct wc_batch_mark *mark;
    struct vec ops, starts, released, terms_now, terms_old, merged;
    uint32_t *numbers; /* term number -> entry + 1 */
    uint32_t number_count;
    uint32_t next_doc, next_term, next_office;
};

static void *push(struct vec *v, size_t size)
{
    if (v->count == v->cap) {
        uint32_t cap = v->cap == 0 ? 256 : v->cap * 2;
        void *items = realloc(v->items, cap * size);
        if (items == NULL)
            return NULL;
        v->items = items;
        v->cap = cap;
    }
    void *item = (uint8_t *)v->items + size * v->count++;
    memset(item, 0, size);
    return item;
}

int wc_batch_new(struct wc_batch **out, struct wc_index *ix)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return -WC_ENOMEM;
    (*out)->ix = ix;
    (*out)->analyst.ix = ix;
    (*out)->analyst.text = ix->text;
    (*out)->analyst.terms = &ix->terms;
    return 0;
}

void wc_batch_free(struct wc_batch *b)
{
    if (b == NULL)
        return;
    struct vec *all[] = {&b->people,    &b->found,     &b->entries,
                         &b->ops,       &b->starts,    &b->released,
                         &b->terms_now, &b->terms_old, &b->merged};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]->items);
    wc_analyst_fini(&b->analyst);
    free(b->places);
    free(b->numbers);
    free(b);
}

static struct entry *entry_at(const struct wc_batch *b, uint32_t i)
{
    return (struct entry *)b->entries.items + i;
}

/* Forget the entries from one on. */
static void drop_entries(struct wc_batch *b, uint32_t from)
{
    for (uint32_t i = from; i < b->entries.count; i++)
        b->places[entry_at(b, i)->id] = 0;
    b->entries.count = from;
}

void wc_batch_reset(struct wc_batch *b)
{
    drop_entries(b, 0);
    b->people.count = b->found.count = 0;
    wc_analyst_reset(&b->analyst);
    b->analysed = 0;
}

uint32_t wc_batch_count(const struct wc_batch *b)
{
    return b->people.count;
}

/* ---- entries by key ---- */

static struct wc_slice entry_key(const struct wc_batch *b, const struct entry *e)
{
    return wc_lexicon_key(&b->ix->terms.lexicon, e->id);
}

static int grow_places(struct wc_batch *b, uint32_t id)
{
    uint32_t count = b->place_count == 0 ? 4096 : b->place_count;
    while (count <= id)
        count *= 2;
    uint32_t *places = realloc(b->places, count * sizeof(*places));
    if (places == NULL)
        return -WC_ENOMEM;
    memset(places + b->place_count, 0, (count - b->place_count) * sizeof(*places));
    b->places = places;
    b->place_count = count;
    return 0;
}

/* The entry of a term of the lexicon; made when it is new. */
static int entry_of_term(struct wc_batch *b, uint32_t id, uint32_t *out)
{
    if (id >= b->place_count && grow_places(b, id) != 0)
        return -WC_ENOMEM;
    if (b->places[id] == 0) {
        struct entry *e = push(&b->entries, sizeof(*e));
        if (e == NULL)
            return -WC_ENOMEM;
        e->id = id;
        b->places[id] = b->entries.count;
    }
    *out = b->places[id] - 1;
    return 0;
}

static int entry_of_key(struct wc_batch *b, struct wc_slice key, uint32_t *out)
{
    uint32_t id = wc_lexicon_term(&b->ix->terms.lexicon, key);
    return id == WC_LEXICON_NONE ? -WC_ENOMEM : entry_of_term(b, id, out);
}

/* ---- analysis ---- */

/* Move the terms of one person from the set to the batch. */
static int keep_terms(struct wc_batch *b, struct person *p, const struct wc_terms *s)
{
    p->first = b->found.count;
    p->count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t entry;
        if (s->items[i].impact == 0)
            continue;
        struct found *f = push(&b->found, sizeof(*f));
        if (f == NULL || entry_of_term(b, s->items[i].id, &entry) != 0)
            return -WC_ENOMEM;
        f->entry = entry;
        f->impact = s->items[i].impact;
        p->count++;
    }
    return 0;
}

static bool in_batch(const struct wc_batch *b, const struct wc_person_ref *who)
{
    const struct person *p = b->people.items;
    for (uint32_t i = b->people.count; i-- > 0;)
        if (memcmp(p[i].who.office_key, who->office_key, WC_KEY_BYTES) == 0 &&
            strcmp(p[i].who.subject, who->subject) == 0)
            return true;
    return false;
}

int wc_batch_add(struct wc_batch *b, const struct wc_person_ref *who)
{
    struct wc_analysed seen;
    if (in_batch(b, who))
        return 0;
    if (b->people.count == 0 &&
        wc_lexicon_bytes(&b->ix->terms.lexicon) > WC_LEXICON_MAX_BYTES)
        wc_terms_forget(&b->ix->terms);
    int rc = wc_analyst_read(&b->analyst, who, &seen);
    struct person *p = rc == 0 ? push(&b->people, sizeof(*p)) : NULL;
    if (p == NULL)
        return rc != 0 ? rc : -WC_ENOMEM;
    p->who = *who;
    p->exists = seen.exists;
    if (!seen.exists)
        return 0;
    p->office = seen.office;
    memcpy(p->traits, seen.traits, sizeof(p->traits));
    return keep_terms(b, p, &b->ix->terms);
}

/* ---- small values ---- */

int wc_index_meta_u64(struct wc_txn *t, const char *key, uint64_t *out)
{
    struct wc_slice v;
    *out = 0;
    int rc = wc_txn_get(t, WC_IX_META, wc_slice_text(key), &v);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0 && v.len != 8)
        return -WC_ECORRUPT;
    if (rc == 0)
        *out = wc_get_u64(v.data);
    return rc;
}

int wc_index_put_u64(struct wc_txn *t, const char *key, uint64_t value)
{
    uint8_t bytes[8];
    wc_put_u64(bytes, value);
    return wc_txn_put(t, WC_IX_META, wc_slice_text(key), wc_slice(bytes, 8));
}

static struct wc_slice u32_key(uint8_t bytes[4], uint32_t n)
{
    wc_put_u32(bytes, n);
    return wc_slice(bytes, 4);
}

/* "next": the numbers to be given out next. */
static int read_next(struct wc_txn *t, struct wc_batch *b)
{
    struct wc_slice v;
    b->next_doc = b->next_term = b->next_office = 1;
    int rc = wc_txn_get(t, WC_IX_META, wc_slice_text("next"), &v);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0 && v.len != 12)
        return -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    b->next_doc = wc_get_u32(v.data);
    b->next_term = wc_get_u32(v.data + 4);
    b->next_office = wc_get_u32(v.data + 8);
    return 0;
}

int wc_index_put_next(struct wc_txn *t, uint32_t doc, uint32_t term, uint32_t office)
{
    uint8_t bytes[12];
    wc_put_u32(bytes, doc);
    wc_put_u32(bytes + 4, term);
    wc_put_u32(bytes + 8, office);
    return wc_txn_put(t, WC_IX_META, wc_slice_text("next"), wc_slice(bytes, 12));
}

int wc_doc_value(struct wc_slice v, struct wc_doc_value *out)
{
    if (v.len < WC_KEY_BYTES + 1)
        return -WC_ECORRUPT;
    size_t len = v.data[WC_KEY_BYTES], head = WC_KEY_BYTES + 1 + len;
    if (len > WC_SUBJECT_MAX_BYTES || v.len < head)
        return -WC_ECORRUPT;
    *out = (struct wc_doc_value){.terms = wc_slice(v.data + head, v.len - head)};
    memcpy(out->who.office_key, v.data, WC_KEY_BYTES);
    memcpy(out->who.subject, v.data + WC_KEY_BYTES + 1, len);
    return 0;
}

#define STEP_MAX_BYTES 5 /* 32 bits in sevens */

int wc_doc_term(struct wc_doc_value *d)
{
    uint64_t step = 0;
    size_t n = 0;
    if (d->terms.len == 0)
        return 0;
    do {
        if (n == STEP_MAX_BYTES || n + 1 >= d->terms.len)
            return -WC_ECORRUPT;
        step = step << 7 | (d->terms.data[n] & 0x7F);
    } while ((d->terms.data[n++] & 0x80) != 0);
    if (step == 0 || step > UINT32_MAX - d->number)
        return -WC_ECORRUPT;
    d->number += (uint32_t)step;
    d->impact = d->terms.data[n];
    d->terms = wc_slice(d->terms.data + n + 1, d->terms.len - n - 1);
    return 1;
}

int wc_doc_begin(struct wc_buf *out, const struct wc_person_ref *who)
{
    size_t len = strlen(who->subject);
    wc_buf_append(out, who->office_key, WC_KEY_BYTES);
    wc_buf_byte(out, (uint8_t)len);
    wc_buf_append(out, who->subject, len);
    return out->failed ? -WC_ENOMEM : 0;
}

int wc_doc_add(struct wc_buf *out, uint32_t step, uint8_t impact)
{
    uint8_t *at = wc_buf_reserve(out, STEP_MAX_BYTES + 1);
    size_t n = 0;
    if (at == NULL)
        return -WC_ENOMEM;
    for (int shift = 28; shift > 0; shift -= 7)
        if (step >> shift != 0)
            at[n++] = (uint8_t)(0x80 | (step >> shift & 0x7F));
    at[n++] = step & 0x7F;
    at[n++] = impact;
    out->len += n;
    return 0;
}

/* ---- the dictionary ---- */

/* What the dictionary says of a key. -WC_ENOTFOUND. */
static int read_term(struct wc_txn *t, struct wc_slice key, struct entry *e)
{
    struct wc_slice v;
    int rc = wc_txn_get(t, WC_IX_TERM, key, &v);
    if (rc == 0 && v.len != WC_TERM_VALUE_BYTES)
        return -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    e->number = wc_get_u32(v.data);
    e->people = wc_get_u32(v.data + 4);
    e->max = v.data[8];
    return 0;
}

/* The key of a number. */
static int read_name(struct wc_txn *t, uint32_t number, struct wc_slice *key)
{
    uint8_t k[4];
    int rc = wc_txn_get(t, WC_IX_NAME, u32_key(k, number), key);
    return rc == -WC_ENOTFOUND || (rc == 0 && key->len < 2) ? -WC_ECORRUPT : rc;
}

static uint32_t *probe_number(const struct wc_batch *b, uint32_t number)
{
    uint32_t mask = b->number_count - 1;
    uint32_t at = (number * 2654435761U) & mask;
    while (b->numbers[at] != 0 && entry_at(b, b->numbers[at] - 1)->number != number)
        at = (at + 1) & mask;
    return &b->numbers[at];
}

static int know_number(struct wc_batch *b, uint32_t entry)
{
    if (b->entries.count * 2 >= b->number_count) {
        uint32_t count = b->number_count == 0 ? 4096 : b->number_count * 2;
        while (b->entries.count * 2 >= count)
            count *= 2;
        uint32_t *numbers = calloc(count, sizeof(*numbers));
        if (numbers == NULL)
            return -WC_ENOMEM;
        free(b->numbers);
        b->numbers = numbers;
        b->number_count = count;
        for (uint32_t i = 0; i < b->entries.count; i++)
            if (entry_at(b, i)->number != 0)
                *probe_number(b, entry_at(b, i)->number) = i + 1;
    }
    *probe_number(b, entry_at(b, entry)->number) = entry + 1;
    return 0;
}

/* Look every analysed key up; new ones get a number. */
static int number_entries(struct wc_txn *t, struct wc_batch *b)
{
    for (uint32_t i = 0; i < b->entries.count; i++) {
        struct entry *e = entry_at(b, i);
        int rc = read_term(t, entry_key(b, e), e);
        if (rc == -WC_ENOTFOUND) {
            e->number = b->next_term++;
            e->fresh = true;
            rc = 0;
        }
        if (rc == 0)
            rc = know_number(b, i);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The entry of a term that somebody had. */
static int entry_of_number(struct wc_txn *t, struct wc_batch *b, uint32_t number,
                           uint32_t *out)
{
    uint32_t slot = b->number_count > 0 ? *probe_number(b, number) : 0;
    struct wc_slice key;
    if (slot != 0) {
        *out = slot - 1;
        return 0;
    }
    int rc = read_name(t, number, &key);
    if (rc == 0)
        rc = entry_of_key(b, key, out);
    if (rc != 0)
        return rc;
    struct entry *e = entry_at(b, *out);
    if (e->number != 0)
        return -WC_ECORRUPT; /* two numbers for one key */
    rc = read_term(t, entry_key(b, e), e);
    if (rc == -WC_ENOTFOUND || (rc == 0 && e->number != number))
        return -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    return know_number(b, *out);
}

void wc_term_value(uint8_t out[WC_TERM_VALUE_BYTES], uint32_t number, uint32_t people,
                   uint8_t max)
{
    wc_put_u32(out, number);
    wc_put_u32(out + 4, people);
    out[8] = max;
}

static int write_entry(struct wc_txn *t, struct wc_batch *b, struct entry *e)
{
    uint8_t number[4], value[WC_TERM_VALUE_BYTES];
    struct wc_slice key = entry_key(b, e), number_key = u32_key(number, e->number);
    int64_t people = (int64_t)e->people + e->change;
    if (people < 0 || key.len > WC_TERM_MAX_BYTES)
        return -WC_ECORRUPT;
    if (people == 0) {
        int rc = e->fresh ? 0 : wc_txn_del(t, WC_IX_TERM, key);
        return rc != 0 || e->fresh ? rc : wc_txn_del(t, WC_IX_NAME, number_key);
    }
    wc_term_value(value, e->number, (uint32_t)people, e->max);
    int rc = e->fresh ? wc_txn_put(t, WC_IX_NAME, number_key, key) : 0;
    return rc != 0 ? rc
                   : wc_txn_put(t, WC_IX_TERM, key, wc_slice(value, sizeof(value)));
}

static int write_entries(struct wc_txn *t, struct wc_batch *b)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < b->entries.count; i++)
        if (entry_at(b, i)->change != 0 || entry_at(b, i)->raised)
            rc = write_entry(t, b, entry_at(b, i));
    return rc;
}

/* ---- people ---- */

static int put_office(struct wc_txn *t, const uint8_t *office_key, uint32_t number,
                      const char *text)
{
    uint8_t value[4 + WC_OFFICE_TEXT_BYTES];
    struct wc_slice in = wc_slice_text(text);
    wc_put_u32(value, number);
    memcpy(value + 4, in.data, in.len);
    return wc_txn_put(t, WC_IX_OFFICE, wc_slice(office_key, WC_KEY_BYTES),
                      wc_slice(value, 4 + in.len));
}

/* The text of an office that is known stays: wc_office_set changes it, once all of its
 * people are indexed under the new one. */
int wc_office_number(struct wc_txn *t, const uint8_t *key, const char *text,
                     uint32_t *next, uint32_t *out)
{
    struct wc_slice v;
    int rc = wc_txn_get(t, WC_IX_OFFICE, wc_slice(key, WC_KEY_BYTES), &v);
    if (rc == -WC_ENOTFOUND) {
        *out = (*next)++;
        return put_office(t, key, *out, text);
    }
    if (rc == 0 && v.len < 4)
        return -WC_ECORRUPT;
    if (rc == 0)
        *out = wc_get_u32(v.data);
    return rc;
}

struct office_look {
    const uint8_t *key;
    const char *text;
    bool changed;
};

static int office_look_fn(struct wc_txn *t, void *ctx)
{
    struct office_look *l = ctx;
    struct wc_slice v;
    int rc = wc_txn_get(t, WC_IX_OFFICE, wc_slice(l->key, WC_KEY_BYTES), &v);
    if (rc == -WC_ENOTFOUND)
        return 0; /* nobody of theirs is indexed */
    if (rc == 0 && v.len < 4)
        return -WC_ECORRUPT;
    if (rc == 0)
        l->changed = !wc_slice_is(wc_slice(v.data + 4, v.len - 4), l->text);
    return rc;
}

int wc_office_changed(struct wc_index *ix, const uint8_t *office_key, const char *text,
                      bool *changed)
{
    struct office_look l = {.key = office_key, .text = text};
    int rc = wc_store_read(ix->store, office_look_fn, &l);
    *changed = l.changed;
    return rc;
}

static int office_set_fn(struct wc_txn *t, void *ctx)
{
    struct office_look *l = ctx;
    struct wc_slice v;
    int rc = wc_txn_get(t, WC_IX_OFFICE, wc_slice(l->key, WC_KEY_BYTES), &v);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0 && v.len < 4)
        return -WC_ECORRUPT;
    return rc != 0 ? rc : put_office(t, l->key, wc_get_u32(v.data), l->text);
}

int wc_office_set(struct wc_index *ix, const uint8_t *office_key, const char *text)
{
    struct office_look l = {.key = office_key, .text = text};
    return wc_store_write(ix->store, office_set_fn, &l);
}

void wc_attr_put(uint8_t attr[WC_ATTR_BYTES], uint32_t office,
                 const uint8_t traits[2 * WC_TRAITS_BYTES])
{
    wc_put_u32(attr, office);
    memcpy(attr + WC_ATTR_TRAITS, traits, (size_t)2 * WC_TRAITS_BYTES);
}

/* Set or (office 0) clear what the search needs of a document without reading it. */
static int write_attr(struct wc_txn *t, uint32_t doc, uint32_t office,
                      const struct person *p)
{
    uint8_t key[4], block[WC_ATTR_BLOCK_BYTES] = {0};
    struct wc_slice v, k = u32_key(key, doc / WC_ATTR_DOCS);
    int rc = wc_txn_get(t, WC_IX_ATTR, k, &v);
    if (rc == 0 && v.len != sizeof(block))
        return -WC_ECORRUPT;
    if (rc == 0)
        memcpy(block, v.data, sizeof(block));
    else if (rc != -WC_ENOTFOUND)
        return rc;
    uint8_t *attr = block + (size_t)(doc % WC_ATTR_DOCS) * WC_ATTR_BYTES;
    memset(attr, 0, WC_ATTR_BYTES);
    if (office != 0)
        wc_attr_put(attr, office, p->traits);
    return wc_txn_put(t, WC_IX_ATTR, k, wc_slice(block, sizeof(block)));
}

static int take_doc(struct wc_txn *t, struct wc_batch *b, uint32_t *doc)
{
    struct wc_cursor c;
    uint8_t key[4];
    int rc = wc_cursor_open(&c, t, WC_IX_FREE);
    if (rc == 0)
        rc = wc_cursor_first(&c);
    if (rc == 0 && c.key.len != 4)
        rc = -WC_ECORRUPT;
    *doc = rc == 0 ? wc_get_u32(c.key.data) : b->next_doc;
    wc_cursor_close(&c);
    if (rc == 0)
        return wc_txn_del(t, WC_IX_FREE, u32_key(key, *doc));
    if (rc == -WC_ENOTFOUND) {
        b->next_doc++;
        rc = 0;
    }
    return rc;
}

struct wc_slice wc_index_person_key(uint8_t out[WC_PERSON_KEY_MAX],
                                    const struct wc_person_ref *who)
{
    size_t len = strlen(who->subject);
    memcpy(out, who->office_key, WC_KEY_BYTES);
    memcpy(out + WC_KEY_BYTES, who->subject, len);
    return wc_slice(out, WC_KEY_BYTES + len);
}

/* The document of a person and the terms it has now, into terms_old. *doc is 0 for
 * somebody who is not in the index. */
static int read_person(struct wc_txn *t, struct wc_batch *b, const struct person *p,
                       uint32_t *doc)
{
    uint8_t key[WC_PERSON_KEY_MAX], doc_key[4];
    struct wc_doc_value d;
    struct wc_slice v;
    *doc = 0;
    b->terms_old.count = 0;
    int rc = wc_txn_get(t, WC_IX_PERSON, wc_index_person_key(key, &p->who), &v);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0 && v.len != 4)
        return -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    *doc = wc_get_u32(v.data);
    rc = wc_txn_get(t, WC_IX_DOC, u32_key(doc_key, *doc), &v);
    if (rc == -WC_ENOTFOUND)
        return -WC_ECORRUPT;
    if (rc == 0)
        rc = wc_doc_value(v, &d);
    while (rc == 0 && (rc = wc_doc_term(&d)) > 0) {
        struct op *op = push(&b->terms_old, sizeof(*op));
        if (op == NULL)
            return -WC_ENOMEM;
        *op = (struct op){d.number, *doc, d.impact};
        rc = 0;
    }
    return rc;
}

static int compare_ops(const void *a, const void *b)
{
    const struct op *x = a, *y = b;
    if (x->term != y->term)
        return x->term < y->term ? -1 : 1;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

/* The terms of a person as analysed, sorted, into terms_now. */
static int collect_now(struct wc_batch *b, const struct person *p, uint32_t doc)
{
    b->terms_now.count = 0;
    for (uint32_t i = 0; p->exists && i < p->count; i++) {
        struct found *f = (struct found *)b->found.items + p->first + i;
        struct op *op = push(&b->terms_now, sizeof(*op));
        if (op == NULL)
            return -WC_ENOMEM;
        *op = (struct op){entry_at(b, f->entry)->number, doc, f->impact};
    }
    if (b->terms_now.count > 1)
        qsort(b->terms_now.items, b->terms_now.count, sizeof(struct op), compare_ops);
    return 0;
}

static int add_op(struct wc_txn *t, struct wc_batch *b, const struct op *from,
                  uint8_t impact, int32_t change)
{
    uint32_t entry;
    struct op *op = push(&b->ops, sizeof(*op));
    if (op == NULL)
        return -WC_ENOMEM;
    *op = (struct op){from->term, from->doc, impact};
    int rc = entry_of_number(t, b, from->term, &entry);
    if (rc != 0)
        return rc;
    struct entry *e = entry_at(b, entry);
    e->change += change;
    if (impact > e->max) {
        e->max = impact;
        e->raised = true;
    }
    return 0;
}

/* Two sorted lists of terms; what differs becomes operations. */
static int diff_terms(struct wc_txn *t, struct wc_batch *b)
{
    const struct op *old = b->terms_old.items, *now = b->terms_now.items;
    uint32_t i = 0, k = 0;
    int rc = 0;
    while (rc == 0 && (i < b->terms_old.count || k < b->terms_now.count)) {
        if (k == b->terms_now.count ||
            (i < b->terms_old.count && old[i].term < now[k].term)) {
            rc = add_op(t, b, &old[i++], 0, -1);
        } else if (i == b->terms_old.count || now[k].term < old[i].term) {
            rc = add_op(t, b, &now[k], now[k].impact, 1);
            k++;
        } else {
            if (now[k].impact != old[i].impact)
                rc = add_op(t, b, &now[k], now[k].impact, 0);
            i++;
            k++;
        }
    }
    return rc;
}

static int write_doc(struct wc_txn *t, struct wc_batch *b, const struct person *p,
                     uint32_t doc)
{
    uint8_t key[4];
    const struct op *now = b->terms_now.items;
    struct wc_buf value = {0};
    int rc = wc_doc_begin(&value, &p->who);
    for (uint32_t i = 0; rc == 0 && i < b->terms_now.count; i++)
        rc = wc_doc_add(&value, now[i].term - (i > 0 ? now[i - 1].term : 0),
                        now[i].impact);
    if (rc == 0)
        rc = wc_txn_put(t, WC_IX_DOC, u32_key(key, doc), wc_buf_slice(&value));
    wc_buf_fini(&value);
    return rc;
}

static int add_start(struct wc_batch *b, uint32_t doc, const char *subject)
{
    struct wc_start *s = push(&b->starts, sizeof(*s));
    if (s == NULL)
        return -WC_ENOMEM;
    wc_start_set(s, doc, subject);
    return 0;
}

static int enter_person(struct wc_txn *t, struct wc_batch *b, const struct person *p,
                        uint32_t doc)
{
    uint8_t key[WC_PERSON_KEY_MAX], number[4];
    uint32_t office;
    const struct wc_analyst_office *o = &b->analyst.offices[p->office];
    int rc = wc_office_number(t, o->key, o->text, &b->next_office, &office);
    if (rc == 0)
        rc = wc_txn_put(t, WC_IX_PERSON, wc_index_person_key(key, &p->who),
                        u32_key(number, doc));
    return rc != 0 ? rc : write_attr(t, doc, office, p);
}

/* The number may be given out again, but not within this batch: operations on the old
 * and the new owner of one number could not be told apart. */
static int remove_person(struct wc_txn *t, struct wc_batch *b, const struct person *p,
                         uint32_t doc)
{
    uint8_t key[WC_PERSON_KEY_MAX], number[4];
    uint32_t *released = push(&b->released, sizeof(*released));
    if (released == NULL)
        return -WC_ENOMEM;
    *released = doc;
    int rc = wc_txn_del(t, WC_IX_PERSON, wc_index_person_key(key, &p->who));
    if (rc == 0)
        rc = wc_txn_del(t, WC_IX_DOC, u32_key(number, doc));
    if (rc == 0)
        rc = add_start(b, doc, "");
    return rc != 0 ? rc : write_attr(t, doc, 0, p);
}

static int write_person(struct wc_txn *t, struct wc_batch *b, const struct person *p)
{
    uint32_t doc;
    int rc = read_person(t, b, p, &doc);
    bool fresh = doc == 0;
    if (rc != 0 || (fresh && !p->exists))
        return rc;
    if (fresh)
        rc = take_doc(t, b, &doc);
    if (rc == 0 && fresh)
        rc = add_start(b, doc, p->who.subject);
    if (rc == 0)
        rc = collect_now(b, p, doc);
    if (rc == 0)
        rc = diff_terms(t, b);
    if (rc != 0)
        return rc;
    if (!p->exists)
        return remove_person(t, b, p, doc);
    rc = enter_person(t, b, p, doc);
    return rc != 0 ? rc : write_doc(t, b, p, doc);
}

/* ---- postings ---- */

/* The piece of a term that a document belongs to. */
struct piece {
    uint32_t term, end;
    bool exists;
    int count;
    struct wc_posting postings[WC_POSTINGS_MAX];
};

static int read_piece(struct wc_cursor *c, uint32_t term, uint32_t doc, struct piece *p)
{
    uint8_t key[8];
    wc_put_u32(key, term);
    wc_put_u32(key + 4, doc);
    p->term = term;
    p->end = UINT32_MAX;
    p->exists = false;
    p->count = 0;
    int rc = wc_cursor_seek(c, wc_slice(key, sizeof(key)));
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0 && c->key.len != sizeof(key))
        return -WC_ECORRUPT;
    if (rc != 0 || wc_get_u32(c->key.data) != term)
        return rc;
    p->end = wc_get_u32(c->key.data + 4);
    p->exists = true;
    p->count = wc_postings_read(c->value, p->postings);
    return p->count < 0 ? p->count : 0;
}

/* Write postings in place of a piece, as several when they are many. At the end of a
 * list, where people are added, all but the last are full; elsewhere each has room. */
static int write_piece(struct wc_txn *t, const struct piece *p,
                       const struct wc_posting *postings, uint32_t count)
{
    uint8_t key[8], value[WC_POSTINGS_MAX_BYTES];
    size_t len;
    wc_put_u32(key, p->term);
    for (uint32_t done = 0; done < count;) {
        const struct wc_posting *from = postings + done;
        uint32_t left = count - done, n = wc_postings_write(from, left, value, &len);
        if (n < left && p->end != UINT32_MAX && n > (left + 1) / 2)
            n = wc_postings_write(from, (left + 1) / 2, value, &len);
        done += n;
        wc_put_u32(key + 4, done == count ? p->end : from[n - 1].doc);
        int rc =
            wc_txn_put(t, WC_IX_POST, wc_slice(key, sizeof(key)), wc_slice(value, len));
        if (rc != 0)
            return rc;
    }
    wc_put_u32(key + 4, p->end);
    return count == 0 && p->exists
               ? wc_txn_del(t, WC_IX_POST, wc_slice(key, sizeof(key)))
               : 0;
}

static struct wc_posting *room_for(struct vec *v, uint32_t count)
{
    if (count > v->cap) {
        void *items = realloc(v->items, count * sizeof(struct wc_posting));
        if (items == NULL)
            return NULL;
        v->items = items;
        v->cap = count;
    }
    return v->items;
}

/* The operations on one piece, which is read and written once; *done of them. */
static int change_piece(struct wc_txn *t, struct wc_batch *b, struct wc_cursor *c,
                        const struct op *ops, uint32_t count, uint32_t *done)
{
    struct piece p;
    int rc = read_piece(c, ops[0].term, ops[0].doc, &p);
    if (rc != 0)
        return rc;
    uint32_t n = 0;
    while (n < count && ops[n].term == p.term && ops[n].doc <= p.end)
        n++;
    struct wc_posting *merged = room_for(&b->merged, 2 * n + (uint32_t)p.count);
    if (merged == NULL)
        return -WC_ENOMEM;
    struct wc_posting *changes = merged + n + (uint32_t)p.count;
    for (uint32_t i = 0; i < n; i++)
        changes[i] = (struct wc_posting){ops[i].doc, ops[i].impact};
    uint32_t left =
        wc_postings_merge(p.postings, (uint32_t)p.count, changes, n, merged);
    *done = n;
    return write_piece(t, &p, merged, left);
}

static int write_postings(struct wc_txn *t, struct wc_batch *b)
{
    struct op *ops = b->ops.items;
    uint32_t count = b->ops.count;
    struct wc_cursor c;
    if (count > 1)
        qsort(ops, count, sizeof(*ops), compare_ops);
    int rc = wc_cursor_open(&c, t, WC_IX_POST);
    for (uint32_t i = 0, done; rc == 0 && i < count; i += done)
        rc = change_piece(t, b, &c, ops + i, count - i, &done);
    wc_cursor_close(&c);
    return rc;
}

/* ---- the transaction ---- */

/* Forget what an earlier run of the transaction worked out. */
static void begin_again(struct wc_batch *b)
{
    drop_entries(b, b->analysed);
    for (uint32_t i = 0; i < b->entries.count; i++) {
        struct entry *e = entry_at(b, i);
        *e = (struct entry){.id = e->id};
    }
    b->ops.count = b->starts.count = b->released.count = 0;
    if (b->numbers != NULL)
        memset(b->numbers, 0, b->number_count * sizeof(b->numbers[0]));
}

static int release_docs(struct wc_txn *t, const struct wc_batch *b)
{
    const uint32_t *doc = b->released.items;
    uint8_t key[4];
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < b->released.count; i++)
        rc = wc_txn_put(t, WC_IX_FREE, u32_key(key, doc[i]), wc_slice("", 0));
    return rc;
}

static int write_mark(struct wc_txn *t, const struct wc_batch_mark *mark)
{
    int rc = mark->indexed > 0 ? wc_index_put_u64(t, "indexed", mark->indexed) : 0;
    return rc == 0 && mark->complete ? wc_index_put_u64(t, "complete", 1) : rc;
}

static int write_fn(struct wc_txn *t, void *ctx)
{
    struct wc_batch *b = ctx;
    begin_again(b);
    int rc = read_next(t, b);
    if (rc == 0)
        rc = number_entries(t, b);
    for (uint32_t i = 0; rc == 0 && i < b->people.count; i++)
        rc = write_person(t, b, (struct person *)b->people.items + i);
    if (rc == 0)
        rc = write_postings(t, b);
    if (rc == 0)
        rc = write_entries(t, b);
    if (rc == 0)
        rc = wc_starts_write(t, b->starts.items, b->starts.count);
    if (rc == 0)
        rc = release_docs(t, b);
    if (rc == 0)
        rc = wc_index_put_next(t, b->next_doc, b->next_term, b->next_office);
    return rc != 0 ? rc : write_mark(t, b->mark);
}

/* What is in the dictionary now, for who misspells it. */
static void tell_words(struct wc_batch *b)
{
    for (uint32_t i = 0; i < b->entries.count; i++) {
        const struct entry *e = entry_at(b, i);
        if (e->change != 0)
            wc_index_word_set(b->ix, entry_key(b, e),
                              (uint32_t)((int64_t)e->people + e->change));
    }
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000U + (uint64_t)t.tv_nsec / 1000U;
}

int wc_batch_write(struct wc_batch *b, const struct wc_batch_mark *mark,
                   struct wc_batch_cost *cost)
{
    uint64_t began_us = now_us();
    b->analysed = b->entries.count;
    b->mark = mark;
    int rc = wc_store_write(b->ix->store, write_fn, b);
    *cost = (struct wc_batch_cost){b->people.count, now_us() - began_us};
    if (rc == 0)
        tell_words(b);
    return rc;
}
