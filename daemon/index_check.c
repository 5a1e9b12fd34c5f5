/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/index_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <whocan/record.h>

#include "daemon/index_internal.h"
#include "daemon/postings.h"
#include "daemon/starts.h"

/* Of one slice: some milliseconds each, far below the 100 that a read may take. */
#define SLICE_ENTRIES  4096
#define SLICE_BYTES    (1u << 20)
#define SLICE_POSTINGS 20000  /* looked up one by one */
#define SLICE_DECODED  500000 /* only decoded */
#define SLICE_TERMS    20000  /* of people, looked up one by one */
#define SLICE_PEOPLE   64
#define DOC_COST       16 /* of a document, in looks at a term: 4 µs and more */

#define SAMPLE_EVERY 64 /* signatures and people, when it is no full check */
#define TRIES_MAX    8  /* to look at somebody while nothing is written */
#define KEY_MAX      WC_STORE_KEY_MAX_BYTES

static const struct {
    const char *name, *means;
} steps[WC_CHECK_STEPS] = {
    [WC_CHECK_RECORDS] = {"records", "the records are as they were stored"},
    [WC_CHECK_VALUES] = {"values", "the index is as it was written"},
    [WC_CHECK_WORDS] = {"words", "the words of the index have their numbers and names"},
    [WC_CHECK_POSTINGS] = {"postings",
                           "the lists of people are sound, and as long as they say"},
    [WC_CHECK_PEOPLE] = {"people", "the people of the index are in its lists"},
    [WC_CHECK_SAME] = {"same", "the index holds what the records say, and nobody else"},
};

struct wc_check {
    struct wc_check_options options;
    enum wc_check_step at;
    bool started;   /* the step at hand */
    uint64_t total; /* of it, as it was when it started */
    uint32_t part;  /* of it */
    uint8_t key[KEY_MAX];
    size_t key_len; /* go on behind this key; 0: from the start */
    bool end;       /* of the table at hand */
    struct wc_records_place place;
    uint64_t drawn; /* records or people, to take a sample */
    struct wc_person_ref after, refs[SLICE_PEOPLE];
    bool has_after;
    int ref_count;
    struct wc_check_result results[WC_CHECK_STEPS];
    /* what it takes to know somebody's terms */
    struct wc_text *text;
    struct wc_terms terms;
    const struct wc_vocabulary *vocabulary;
    struct wc_people_view view, home_view;
    struct wc_unit units[WC_UNITS_MAX];
    struct pair {
        uint32_t number;
        uint8_t impact;
    } pairs[WC_TERMS_MAX_COUNT];
    uint32_t pair_count;
    struct wc_posting piece[WC_POSTINGS_MAX];
};

const char *wc_check_name(enum wc_check_step step)
{
    return steps[step].name;
}

const char *wc_check_means(enum wc_check_step step)
{
    return steps[step].means;
}

int wc_check_new(struct wc_check **out, const struct wc_check_options *options)
{
    struct wc_check *c = calloc(1, sizeof(*c));
    *out = c;
    if (c == NULL)
        return -WC_ENOMEM;
    c->options = *options;
    if (options->ix == NULL)
        return 0;
    int rc = wc_text_new(&c->text, options->ix->languages);
    if (rc == 0 &&
        getrandom(c->terms.lexicon.hash_key, sizeof(c->terms.lexicon.hash_key), 0) !=
            sizeof(c->terms.lexicon.hash_key))
        rc = -WC_EIO;
    if (rc != 0) {
        wc_check_free(c);
        *out = NULL;
    }
    return rc;
}

void wc_check_free(struct wc_check *c)
{
    if (c == NULL)
        return;
    wc_terms_fini(&c->terms);
    wc_text_free(c->text);
    free(c);
}

enum wc_check_step wc_check_at(const struct wc_check *c)
{
    return c->at < WC_CHECK_STEPS ? c->at : WC_CHECK_STEPS - 1;
}

void wc_check_progress(const struct wc_check *c, uint64_t *done, uint64_t *total)
{
    const struct wc_check_result *r = &c->results[wc_check_at(c)];
    *done = r->looked;
    *total = c->total > r->looked ? c->total : r->looked;
}

const struct wc_check_result *wc_check_result(const struct wc_check *c,
                                              enum wc_check_step step)
{
    return &c->results[step];
}

uint64_t wc_check_index_faults(const struct wc_check *c)
{
    uint64_t sum = 0;
    for (int i = WC_CHECK_VALUES; i < WC_CHECK_STEPS; i++)
        sum += c->results[i].faults;
    return sum;
}

/* ---- findings ---- */

__attribute__((format(printf, 2, 3))) static void fault(struct wc_check *c,
                                                        const char *format, ...)
{
    struct wc_check_result *r = &c->results[c->at];
    va_list args;
    if (r->faults++ > 0)
        return;
    va_start(args, format);
    vsnprintf(r->first, sizeof(r->first), format, args);
    va_end(args);
}

static void looked(struct wc_check *c, uint64_t count)
{
    c->results[c->at].looked += count;
}

/* ---- tables, in slices ---- */

/* A cursor behind the key where the last slice ended. */
static int resume(struct wc_cursor *c, struct wc_txn *t, uint32_t table,
                  struct wc_slice behind)
{
    int rc = wc_cursor_open(c, t, table);
    if (rc != 0)
        return rc;
    rc = behind.len == 0 ? wc_cursor_first(c) : wc_cursor_seek(c, behind);
    if (rc == 0 && behind.len > 0 && wc_slice_eq(c->key, behind))
        rc = wc_cursor_next(c);
    return rc;
}

static void remember(struct wc_check *c, struct wc_slice key)
{
    c->key_len = key.len < KEY_MAX ? key.len : KEY_MAX;
    memcpy(c->key, key.data, c->key_len);
}

/* What a slice looks at of one entry. Returns how much it took of the slice's budget, or
 * a negative error; faults are no errors. */
typedef int (*entry_fn)(struct wc_check *c, struct wc_txn *t, struct wc_cursor *at);

struct slice {
    struct wc_check *check;
    uint32_t table;
    entry_fn fn;
    int budget;
};

/* -WC_ECORRUPT in the middle of a walk: whatever follows cannot be looked at. */
static int slice_fn(struct wc_txn *t, void *ctx)
{
    struct slice *s = ctx;
    struct wc_check *c = s->check;
    struct wc_cursor at;
    int rc = wc_index_usable(c->options.ix), left = s->budget;
    if (rc == -WC_EBUSY)
        return rc;
    rc = resume(&at, t, s->table, wc_slice(c->key, c->key_len));
    while (rc == 0 && left > 0) {
        remember(c, at.key);
        looked(c, 1);
        rc = s->fn(c, t, &at);
        left -= rc > 0 ? rc : 0;
        if (rc >= 0)
            rc = wc_cursor_next(&at);
    }
    wc_cursor_close(&at);
    if (rc == -WC_ECORRUPT)
        fault(c, "table %s cannot be read to its end", wc_index_store.tables[s->table]);
    c->end = rc == -WC_ENOTFOUND || rc == -WC_ECORRUPT;
    return c->end ? 0 : rc;
}

static int look_at_table(struct wc_check *c, uint32_t table, entry_fn fn, int budget)
{
    struct slice s = {.check = c, .table = table, .fn = fn, .budget = budget};
    return wc_store_read(c->options.ix->store, slice_fn, &s);
}

static struct wc_slice u32_key(uint8_t bytes[4], uint32_t n)
{
    wc_put_u32(bytes, n);
    return wc_slice(bytes, 4);
}

/* ---- values ---- */

static int check_value(struct wc_check *c, struct wc_txn *t, struct wc_cursor *at)
{
    (void)t;
    if (wc_cursor_check(at) != 0)
        fault(c, "a value of table %s is not as it was written",
              wc_index_store.tables[c->part]);
    return (int)(64 + at->value.len);
}

/* ---- words ---- */

static bool term_value(struct wc_slice v, uint32_t *number, uint32_t *people,
                       uint8_t *max)
{
    if (v.len != WC_TERM_VALUE_BYTES)
        return false;
    *number = wc_get_u32(v.data);
    *people = wc_get_u32(v.data + 4);
    *max = v.data[8];
    return true;
}

static int check_term(struct wc_check *c, struct wc_txn *t, struct wc_cursor *at)
{
    uint32_t number, people;
    uint8_t max, key[8];
    struct wc_slice name;
    struct wc_cursor post;
    if (!term_value(at->value, &number, &people, &max) || number == 0 || people == 0 ||
        max == 0) {
        fault(c, "a word has no sound entry");
        return 1;
    }
    int rc = wc_txn_get(t, WC_IX_NAME, u32_key(key, number), &name);
    if (rc != 0 || !wc_slice_eq(name, at->key))
        fault(c, "word %" PRIu32 " has not the name that the dictionary says", number);
    rc = wc_cursor_open(&post, t, WC_IX_POST);
    if (rc != 0)
        return rc;
    wc_put_u32(key, number);
    wc_put_u32(key + 4, 0);
    rc = wc_cursor_seek(&post, wc_slice(key, sizeof(key)));
    if (rc != 0 || post.key.len != 8 || wc_get_u32(post.key.data) != number)
        fault(c, "nobody is in the list of word %" PRIu32, number);
    wc_cursor_close(&post);
    return 1;
}

static int check_name(struct wc_check *c, struct wc_txn *t, struct wc_cursor *at)
{
    struct wc_slice v;
    if (at->key.len != 4 || at->value.len < 2 || at->value.len > KEY_MAX ||
        wc_txn_get(t, WC_IX_TERM, at->value, &v) != 0 || v.len != WC_TERM_VALUE_BYTES ||
        memcmp(v.data, at->key.data, 4) != 0)
        fault(c, "a number of the dictionary has no word");
    return 1;
}

/* ---- lists ---- */

/* How a document has a term: its impact; 0: it has not; or a negative error. */
static int impact_of(struct wc_txn *t, uint32_t doc, uint32_t number)
{
    uint8_t key[4];
    struct wc_slice v;
    struct wc_doc_value d;
    int rc = wc_txn_get(t, WC_IX_DOC, u32_key(key, doc), &v);
    if (rc == 0)
        rc = wc_doc_value(v, &d);
    if (rc != 0)
        return rc == -WC_EIO || rc == -WC_ENOMEM ? rc : 0;
    while (wc_doc_term(&d) > 0 && d.number <= number)
        if (d.number == number)
            return d.impact;
    return 0;
}

/* One piece of a list; *from: no document is before it. */
static void check_piece(struct wc_check *c, const struct wc_cursor *at, uint32_t *from,
                        uint8_t max, uint64_t *people)
{
    uint32_t number = wc_get_u32(at->key.data), end = wc_get_u32(at->key.data + 4);
    uint8_t highest = 0;
    int n = wc_cursor_check(at) == 0 ? wc_postings_read(at->value, c->piece) : -1;
    if (n <= 0 || c->piece[0].doc < *from || c->piece[n - 1].doc > end) {
        fault(c, "a piece of the list of word %" PRIu32 " is damaged", number);
        return;
    }
    for (int i = 0; i < n; i++)
        highest = c->piece[i].impact > highest ? c->piece[i].impact : highest;
    if (highest != at->value.data[0] || highest > max)
        fault(c, "the largest impact of word %" PRIu32 " is not what is said", number);
    *from = c->piece[n - 1].doc + 1;
    *people += (uint64_t)n;
}

/* All pieces of the list where the cursor stands, in one slice; it stays at the last. */
static int check_list(struct wc_check *c, struct wc_txn *t, struct wc_cursor *at)
{
    uint8_t key[4], max = 0;
    uint32_t number, people = 0, said = 0, from = 0;
    uint64_t found = 0;
    struct wc_slice name, v;
    if (at->key.len != 8) {
        fault(c, "a piece of a list has no sound key");
        return 1;
    }
    number = wc_get_u32(at->key.data);
    int rc = wc_txn_get(t, WC_IX_NAME, u32_key(key, number), &name);
    if (rc == 0)
        rc = wc_txn_get(t, WC_IX_TERM, name, &v);
    if (rc != 0 || !term_value(v, &said, &people, &max) || said != number)
        fault(c, "there is a list of word %" PRIu32 ", which is in no dictionary",
              number);
    for (bool last = false; !last; looked(c, 1)) {
        last = wc_get_u32(at->key.data + 4) == UINT32_MAX;
        check_piece(c, at, &from, max, &found);
        remember(c, at->key);
        if (last)
            break;
        rc = wc_cursor_next(at);
        if (rc != 0 || at->key.len != 8 || wc_get_u32(at->key.data) != number) {
            fault(c, "the list of word %" PRIu32 " has no end", number);
            break;
        }
    }
    if (found != people)
        fault(c,
              "the list of word %" PRIu32 " has %" PRIu64
              " people, and the dictionary says %" PRIu32,
              number, found, people);
    /* what was passed is remembered: the walk goes on behind it */
    return found < SLICE_DECODED ? 1 + (int)found : SLICE_DECODED;
}

/* Everybody in a piece has the term, with that impact. */
static int check_members(struct wc_check *c, struct wc_txn *t, struct wc_cursor *at)
{
    int n = wc_postings_read(at->value, c->piece);
    if (n <= 0 || at->key.len != 8)
        return 1; /* said before */
    uint32_t number = wc_get_u32(at->key.data);
    for (int i = 0; i < n; i++) {
        int impact = impact_of(t, c->piece[i].doc, number);
        if (impact < 0)
            return impact;
        if (impact != c->piece[i].impact)
            fault(c, "somebody is in the list of word %" PRIu32 ", and should not be",
                  number);
    }
    return 1 + n;
}

/* ---- people ---- */

static bool office_is(struct wc_txn *t, const uint8_t *office_key, uint32_t number)
{
    struct wc_slice v;
    return wc_txn_get(t, WC_IX_OFFICE, wc_slice(office_key, WC_KEY_BYTES), &v) == 0 &&
           v.len >= 4 && wc_get_u32(v.data) == number && number != 0;
}

static bool attr_is(struct wc_txn *t, uint32_t doc, const struct wc_person_ref *who)
{
    uint8_t key[4];
    struct wc_slice v;
    if (wc_txn_get(t, WC_IX_ATTR, u32_key(key, doc / WC_ATTR_DOCS), &v) != 0 ||
        v.len != WC_ATTR_BLOCK_BYTES)
        return false;
    const uint8_t *attr = v.data + (size_t)(doc % WC_ATTR_DOCS) * WC_ATTR_BYTES;
    return office_is(t, who->office_key, wc_get_u32(attr));
}

static bool start_is(struct wc_txn *t, uint32_t doc, const struct wc_person_ref *who)
{
    struct wc_start start;
    struct wc_slice block;
    struct wc_cursor c;
    wc_start_set(&start, doc, who->subject);
    bool same = wc_cursor_open(&c, t, WC_IX_START) == 0 &&
                wc_starts_block(&c, doc, &block) == 0 &&
                memcmp(block.data + wc_start_at(doc), start.bytes, WC_START_BYTES) == 0;
    wc_cursor_close(&c);
    return same;
}

static struct wc_slice person_key(uint8_t out[WC_KEY_BYTES + WC_SUBJECT_MAX_BYTES],
                                  const struct wc_person_ref *who)
{
    size_t len = strlen(who->subject);
    memcpy(out, who->office_key, WC_KEY_BYTES);
    memcpy(out + WC_KEY_BYTES, who->subject, len);
    return wc_slice(out, WC_KEY_BYTES + len);
}

/* The document of somebody; 0: they have none. */
static uint32_t doc_of(struct wc_txn *t, const struct wc_person_ref *who)
{
    uint8_t key[WC_KEY_BYTES + WC_SUBJECT_MAX_BYTES];
    struct wc_slice v;
    if (wc_txn_get(t, WC_IX_PERSON, person_key(key, who), &v) != 0 || v.len != 4)
        return 0;
    return wc_get_u32(v.data);
}

/* Whether a document is in the list of a term, with that impact. */
static int in_list(struct wc_cursor *post, uint32_t number, uint32_t doc,
                   uint8_t impact, bool *in)
{
    uint8_t key[8], got = 0;
    struct wc_postings p;
    *in = false;
    wc_put_u32(key, number);
    wc_put_u32(key + 4, doc);
    int rc = wc_cursor_seek(post, wc_slice(key, sizeof(key)));
    if (rc != 0 || post->key.len != 8 || wc_get_u32(post->key.data) != number)
        return rc == -WC_EIO ? rc : 0;
    if (wc_postings_open(&p, post->value) != 0)
        return 0;
    wc_postings_skip(&p, doc);
    if (p.at < p.count && p.doc == doc)
        *in = wc_postings_find(&p, doc, &got) == 1 && got == impact;
    return 0;
}

static int check_doc_terms(struct wc_check *c, struct wc_txn *t, struct wc_doc_value *d,
                           uint32_t doc)
{
    struct wc_cursor post;
    int taken = 1, rc = wc_cursor_open(&post, t, WC_IX_POST), more = 0;
    while (rc == 0 && (more = wc_doc_term(d)) > 0) {
        bool in = true;
        if (c->options.full)
            rc = in_list(&post, d->number, doc, d->impact, &in);
        if (!in)
            fault(c, "somebody is not in the list of word %" PRIu32 ", and should be",
                  d->number);
        taken++;
    }
    wc_cursor_close(&post);
    if (more < 0)
        fault(c, "document %" PRIu32 " is damaged", doc);
    return rc != 0 ? rc : DOC_COST + (c->options.full ? taken : 0);
}

static int check_doc(struct wc_check *c, struct wc_txn *t, struct wc_cursor *at)
{
    struct wc_doc_value d;
    uint8_t key[4];
    struct wc_slice none;
    if (at->key.len != 4 || wc_cursor_check(at) != 0 ||
        wc_doc_value(at->value, &d) != 0) {
        fault(c, "a document is damaged");
        return 1;
    }
    uint32_t doc = wc_get_u32(at->key.data);
    if (doc_of(t, &d.who) != doc)
        fault(c, "document %" PRIu32 " belongs to nobody", doc);
    if (!attr_is(t, doc, &d.who) || !start_is(t, doc, &d.who))
        fault(c, "document %" PRIu32 " is noted for somebody else", doc);
    if (wc_txn_get(t, WC_IX_FREE, u32_key(key, doc), &none) == 0)
        fault(c, "document %" PRIu32 " is in use, and noted as free", doc);
    return check_doc_terms(c, t, &d, doc);
}

static int check_person(struct wc_check *c, struct wc_txn *t, struct wc_cursor *at)
{
    struct wc_slice v;
    struct wc_doc_value d;
    uint8_t key[WC_KEY_BYTES + WC_SUBJECT_MAX_BYTES];
    if (at->value.len != 4 || wc_txn_get(t, WC_IX_DOC, at->value, &v) != 0 ||
        wc_doc_value(v, &d) != 0 || !wc_slice_eq(at->key, person_key(key, &d.who)))
        fault(c, "somebody has no document");
    return 1;
}

/* ---- the same as the records ---- */

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool is_willing(const struct wc_person *p)
{
    return (p->present & WC_PERSON_WILLING) == 0 || p->willing;
}

static int add_units(struct wc_check *c, uint32_t count)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = wc_terms_add(&c->terms, c->text, c->vocabulary, &c->units[i]);
    return rc;
}

/* What the home office sees beside the rest; nothing when it is not their home. */
static int load_home(struct wc_check *c, const struct wc_person_ref *who)
{
    struct wc_index *ix = c->options.ix;
    memset(&c->home_view, 0, sizeof(c->home_view));
    if (wc_index_audience(ix, who->office_key, true) == WC_AUDIENCE_ORGANISATION)
        return 0;
    int rc = wc_people_load_as(c->options.records, who->office_key, who->subject,
                               WC_AUDIENCE_OFFICE, &c->home_view);
    if (rc != 0)
        memset(&c->home_view, 0, sizeof(c->home_view));
    return rc == -WC_ENOMEM || rc == -WC_EIO || rc == -WC_EBUSY ? rc : 0;
}

/* The terms that somebody should have, into c->terms. *exists: they are to be found. */
static int analyse(struct wc_check *c, const struct wc_person_ref *who, bool *exists)
{
    char office[WC_OFFICE_TEXT_BYTES];
    int rc =
        wc_people_load(c->options.records, who->office_key, who->subject, &c->view);
    *exists = rc == 0;
    wc_terms_reset(&c->terms);
    if (rc != 0)
        return rc == -WC_ENOMEM || rc == -WC_EIO || rc == -WC_EBUSY ? rc : 0;
    rc = load_home(c, who);
    if (rc == 0)
        rc = wc_office_text(c->options.records, who->office_key, office);
    if (rc == 0)
        rc = add_units(c, wc_units(&c->view, wc_slice_text(who->subject),
                                   wc_slice_text(office), c->units));
    if (rc == 0 && c->home_view.has_profile) {
        wc_terms_go_home(&c->terms);
        rc = add_units(c, wc_units_home(&c->home_view, c->units));
    }
    wc_terms_finish(&c->terms, is_willing(&c->view.person),
                    is_willing(&c->home_view.person));
    wc_people_view_fini(&c->view);
    wc_people_view_fini(&c->home_view);
    return rc;
}

struct same {
    struct wc_check *check;
    const struct wc_person_ref *who;
    bool exists, whole;  /* in the records; their words are compared as well */
    const char *differs; /* NULL: they do not */
};

/* The numbers of the terms that somebody should have. False: a word is unknown. */
static bool number_terms(struct wc_check *c, struct wc_txn *t)
{
    const struct wc_terms *s = &c->terms;
    c->pair_count = 0;
    for (uint32_t i = 0; i < s->count && c->pair_count < WC_TERMS_MAX_COUNT; i++) {
        struct wc_slice v;
        if (s->items[i].impact == 0)
            continue;
        if (wc_txn_get(t, WC_IX_TERM, wc_lexicon_key(&s->lexicon, s->items[i].id),
                       &v) != 0 ||
            v.len != WC_TERM_VALUE_BYTES)
            return false;
        c->pairs[c->pair_count++] =
            (struct pair){wc_get_u32(v.data), s->items[i].impact};
    }
    if (c->pair_count > 1)
        qsort(c->pairs, c->pair_count, sizeof(c->pairs[0]), compare_pairs);
    return true;
}

static bool same_terms(struct wc_check *c, struct wc_txn *t, uint32_t doc)
{
    uint8_t key[4];
    struct wc_slice v;
    struct wc_doc_value d;
    uint32_t i = 0;
    if (wc_txn_get(t, WC_IX_DOC, u32_key(key, doc), &v) != 0 ||
        wc_doc_value(v, &d) != 0 || !number_terms(c, t))
        return false;
    for (; wc_doc_term(&d) > 0; i++)
        if (i >= c->pair_count || c->pairs[i].number != d.number ||
            c->pairs[i].impact != d.impact)
            return false;
    return i == c->pair_count && d.terms.len == 0;
}

static int same_fn(struct wc_txn *t, void *ctx)
{
    struct same *s = ctx;
    int rc = wc_index_usable(s->check->options.ix);
    uint32_t doc = doc_of(t, s->who);
    if (rc == -WC_EBUSY)
        return rc;
    s->differs = NULL;
    if (s->exists != (doc != 0))
        s->differs = s->exists ? "somebody with a record is not in the index"
                               : "somebody in the index has no record";
    else if (s->exists && s->whole && !same_terms(s->check, t, doc))
        s->differs = "somebody is not indexed by what their record says";
    return 0;
}

static int compare_once(struct same *s)
{
    struct wc_check *c = s->check;
    int rc = 0;
    if (s->whole) {
        rc = analyse(c, s->who, &s->exists);
    } else {
        rc = wc_people_load(c->options.records, s->who->office_key, s->who->subject,
                            &c->view);
        s->exists = rc == 0;
        if (rc == 0)
            wc_people_view_fini(&c->view);
        rc = rc == -WC_ENOMEM || rc == -WC_EIO || rc == -WC_EBUSY ? rc : 0;
    }
    return rc == 0 ? wc_store_read(c->options.ix->store, same_fn, s) : rc;
}

/* The index follows the records: whoever differs is looked at again once it has caught
 * up, and counts if nothing was written meanwhile. */
static int compare(struct wc_check *c, const struct wc_person_ref *who, bool whole)
{
    struct same s = {.check = c, .who = who, .whole = whole};
    struct wc_records_state before = {.sequence = 0}, after = {.sequence = 0};
    int rc = compare_once(&s);
    for (int i = 0; rc == 0 && s.differs != NULL && i < TRIES_MAX; i++) {
        rc = wc_records_state(c->options.records, &before);
        if (rc == 0)
            rc = wc_index_apply(c->options.ix, NULL, 0);
        if (rc == -WC_ECORRUPT)
            rc = 0; /* it stays as it is, and that is what is found */
        if (rc == 0)
            rc = compare_once(&s);
        if (rc == 0)
            rc = wc_records_state(c->options.records, &after);
        if (rc == 0 && s.differs != NULL && before.sequence == after.sequence) {
            fault(c, "%s", s.differs);
            return 0;
        }
    }
    return rc;
}

static bool draws(struct wc_check *c)
{
    return c->options.full || c->drawn++ % SAMPLE_EVERY == 0;
}

static int compare_people(struct wc_check *c)
{
    int rc = 0;
    c->vocabulary = wc_index_vocabulary(c->options.ix);
    wc_terms_forget(&c->terms); /* by another vocabulary, perhaps */
    for (int i = 0; rc == 0 && i < c->ref_count; i++)
        rc = compare(c, &c->refs[i], draws(c));
    wc_vocabulary_free(c->vocabulary);
    looked(c, (uint64_t)c->ref_count);
    return rc;
}

/* Those who have a record. */
static int same_forth(struct wc_check *c)
{
    int n = wc_records_people(c->options.records, NULL, c->has_after ? &c->after : NULL,
                              c->refs, SLICE_PEOPLE);
    if (n < 0)
        return n;
    c->ref_count = n;
    c->end = n == 0;
    if (n > 0) {
        c->after = c->refs[n - 1];
        c->has_after = true;
    }
    return compare_people(c);
}

static int take_ref(struct wc_check *c, struct wc_txn *t, struct wc_cursor *at)
{
    struct wc_person_ref *ref = &c->refs[c->ref_count];
    (void)t;
    size_t len = at->key.len < WC_KEY_BYTES ? SIZE_MAX : at->key.len - WC_KEY_BYTES;
    if (len == 0 || len > WC_SUBJECT_MAX_BYTES)
        return 1; /* said before */
    *ref = (struct wc_person_ref){.subject = ""};
    memcpy(ref->office_key, at->key.data, WC_KEY_BYTES);
    memcpy(ref->subject, at->key.data + WC_KEY_BYTES, len);
    c->ref_count++;
    return 1;
}

/* Those who are in the index: whether their record is there. */
static int same_back(struct wc_check *c)
{
    uint64_t before = c->results[c->at].looked;
    c->ref_count = 0;
    int rc = look_at_table(c, WC_IX_PERSON, take_ref, SLICE_PEOPLE);
    c->results[c->at].looked = before;
    for (int i = 0; rc == 0 && i < c->ref_count; i++)
        rc = compare(c, &c->refs[i], false);
    looked(c, (uint64_t)c->ref_count);
    return rc;
}

/* ---- records ---- */

static int check_record(void *ctx, struct wc_slice bytes)
{
    struct wc_check *c = ctx;
    struct wc_record r;
    looked(c, 1);
    int rc = wc_record_decode(bytes, &r, NULL);
    if (rc == -WC_ENOMEM)
        return rc;
    if (rc != 0) {
        fault(c, "a record %s", wc_strerror(rc));
        return 0;
    }
    if (!draws(c))
        return 0;
    rc = wc_kind_by_organisation(r.kind)
             ? wc_body_verify(r.author_sig, r.kind, r.body, r.author_key)
             : wc_record_verify(&r, NULL);
    if (rc != 0)
        fault(c, "a record %s", wc_strerror(rc));
    return 0;
}

static int check_records(struct wc_check *c)
{
    uint64_t damaged = c->place.damaged;
    int rc = wc_records_slice(c->options.records, &c->place, check_record, c);
    for (; damaged < c->place.damaged; damaged++) {
        looked(c, 1);
        fault(c, "a record is not as it was stored");
    }
    if (rc == -WC_ECORRUPT) {
        fault(c, "the records cannot be read to their end");
        rc = 0;
        c->place.done = true;
    }
    c->end = c->place.done;
    return rc;
}

/* ---- all of it ---- */

/* One slice of the part at hand. Returns whether there is such a part, or an error. */
static int look_at_part(struct wc_check *c)
{
    int rc = 1;
    switch (c->at) {
    case WC_CHECK_RECORDS:
        rc = c->part == 0 ? check_records(c) : 1;
        break;
    case WC_CHECK_VALUES:
        rc = c->part <= WC_IX_META ? look_at_table(c, c->part, check_value, SLICE_BYTES)
                                   : 1;
        break;
    case WC_CHECK_WORDS:
        rc = c->part == 0   ? look_at_table(c, WC_IX_TERM, check_term, SLICE_ENTRIES)
             : c->part == 1 ? look_at_table(c, WC_IX_NAME, check_name, SLICE_ENTRIES)
                            : 1;
        break;
    case WC_CHECK_POSTINGS:
        rc = c->part == 0 ? look_at_table(c, WC_IX_POST, check_list, SLICE_DECODED)
             : c->part == 1 && c->options.full
                 ? look_at_table(c, WC_IX_POST, check_members, SLICE_POSTINGS)
                 : 1;
        break;
    case WC_CHECK_PEOPLE:
        rc = c->part == 0 ? look_at_table(c, WC_IX_DOC, check_doc, SLICE_TERMS)
             : c->part == 1
                 ? look_at_table(c, WC_IX_PERSON, check_person, SLICE_ENTRIES)
                 : 1;
        break;
    case WC_CHECK_SAME:
        rc = c->part == 0 ? same_forth(c) : c->part == 1 ? same_back(c) : 1;
        break;
    case WC_CHECK_STEPS:
        return 1;
    }
    return rc;
}

static int count_fn(struct wc_txn *t, void *ctx)
{
    struct wc_check *c = ctx;
    uint64_t n;
    int rc = 0;
    c->total = 0;
    for (uint32_t table = 0; rc == 0 && table <= WC_IX_META; table++) {
        bool counts = c->at == WC_CHECK_VALUES ||
                      (c->at == WC_CHECK_WORDS && table <= WC_IX_NAME) ||
                      (c->at == WC_CHECK_POSTINGS && table == WC_IX_POST) ||
                      (c->at == WC_CHECK_PEOPLE &&
                       (table == WC_IX_DOC || table == WC_IX_PERSON)) ||
                      (c->at == WC_CHECK_SAME && table == WC_IX_PERSON);
        rc = counts ? wc_txn_count(t, table, &n) : 0;
        c->total += counts && rc == 0 ? n : 0;
    }
    return rc;
}

static int start_step(struct wc_check *c)
{
    struct wc_records_usage usage;
    c->started = true;
    c->part = 0;
    c->key_len = 0;
    if (c->at != WC_CHECK_RECORDS) {
        int rc = wc_store_read(c->options.ix->store, count_fn, c);
        if (c->at == WC_CHECK_SAME || (c->at == WC_CHECK_POSTINGS && c->options.full))
            c->total *= 2; /* there and back */
        return rc;
    }
    wc_records_usage(c->options.records, &usage);
    c->total = usage.records_count;
    return 0;
}

int wc_check_go_on(struct wc_check *c)
{
    enum wc_check_step end = c->options.ix == NULL ? WC_CHECK_VALUES : WC_CHECK_STEPS;
    if (c->at >= end)
        return 0;
    int rc = c->started ? 0 : start_step(c);
    c->end = false;
    if (rc == 0)
        rc = look_at_part(c);
    if (rc < 0)
        return rc;
    if (rc == 1) {
        c->at++;
        c->started = false;
    } else if (c->end) {
        c->part++;
        c->key_len = 0;
    }
    return c->at < end;
}

/* ---- the slow round ---- */

struct round {
    struct wc_index *ix;
    struct wc_sweep *sweep;
    uint64_t left;
    bool whole;
};

static int sweep_table(struct round *r, struct wc_txn *t)
{
    struct wc_sweep *s = r->sweep;
    struct wc_cursor c;
    int rc = resume(&c, t, s->table, wc_slice(s->key, s->key_len));
    uint64_t slice = SLICE_BYTES;
    while (rc == 0 && r->left > 0 && slice > 0) {
        uint64_t bytes = 64 + c.value.len;
        rc = wc_cursor_check(&c);
        s->key_len = c.key.len < sizeof(s->key) ? c.key.len : sizeof(s->key);
        memcpy(s->key, c.key.data, s->key_len);
        r->left -= bytes < r->left ? bytes : r->left;
        slice -= bytes < slice ? bytes : slice;
        if (rc == 0)
            rc = wc_cursor_next(&c);
    }
    wc_cursor_close(&c);
    return rc;
}

static int sweep_fn(struct wc_txn *t, void *ctx)
{
    struct round *r = ctx;
    struct wc_sweep *s = r->sweep;
    int rc = wc_index_usable(r->ix);
    if (rc == 0)
        rc = sweep_table(r, t);
    if (rc != -WC_ENOTFOUND)
        return rc;
    s->key_len = 0;
    s->table = s->table == WC_IX_META ? 0 : s->table + 1;
    r->whole = s->table == 0;
    return 0;
}

int wc_index_sweep(struct wc_index *ix, struct wc_sweep *sweep, uint64_t max_bytes,
                   bool *whole)
{
    struct round r = {.ix = ix, .sweep = sweep, .left = max_bytes};
    int rc = 0;
    while (rc == 0 && r.left > 0 && !r.whole)
        rc = wc_store_read(ix->store, sweep_fn, &r);
    *whole = r.whole;
    if (rc == -WC_ECORRUPT && !wc_index_is_damaged(ix, NULL)) {
        char what[WC_PROBLEM_BYTES];
        snprintf(what, sizeof(what), "a value of table %s is not as it was written",
                 wc_index_store.tables[sweep->table]);
        wc_index_found_damage(ix, what);
    }
    return rc == -WC_ECORRUPT ? 0 : rc;
}
