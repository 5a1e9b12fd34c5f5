/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building an index from nothing. What a batch does for its people one by one is done
 * here for all of them in sorted order, so that each table is written once, from its
 * beginning to its end:
 *
 * 1. Threads take slices of neighbouring people, analyse them, and sort the terms of the
 *    slice. A slice that is analysed waits for those before it twice: for its document and
 *    term numbers, so that the index does not depend on which thread was quicker, and for
 *    being written: documents, people and attributes go to the store, its postings to a
 *    run (runs.h).
 * 2. The runs are read side by side, term by term: postings and names.
 * 3. The dictionary is sorted and written.
 *
 * Searches meanwhile find nobody, as in an index that is empty. A build that ends early
 * is no index: "complete" is not set, and the next open begins anew.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/analyst.h"
#include "daemon/index_internal.h"
#include "daemon/postings.h"
#include "daemon/runs.h"
#include "daemon/starts.h"

#define SLICE_PEOPLE_MIN 32
#define SLICE_PEOPLE_MAX 4096 /* some half a million postings, 8 MB */
#define SLICES_A_THREAD  8    /* of few people, so that no thread waits for long */
#define WRITE_BYTES      (4u << 20) /* of values in one transaction: some 10 ms */

struct built_person {
    struct wc_person_ref who;
    uint32_t office; /* of the analyst's */
    uint8_t traits[2 * WC_TRAITS_BYTES];
    uint32_t first, count, filled; /* in `found` */
};

/* A term of a person: by the thread's lexicon, then by its number. */
struct found {
    uint32_t term;
    uint8_t impact;
};

/* A term of a slice. */
struct slice_term {
    uint32_t number, id; /* in the index, in the thread's lexicon */
    uint32_t first, count;
    uint8_t max;
};

/* What one thread works with, for one slice after the other. */
struct worker {
    pthread_t thread;
    struct build *build;
    struct wc_terms terms;
    struct wc_analyst analyst;
    uint64_t slice; /* the one at hand */
    struct wc_person_ref *refs;
    uint32_t ref_count;
    struct built_person *people;
    uint32_t people_count;
    struct found *found;
    uint32_t found_count, found_cap;
    struct slice_term *distinct;
    uint32_t distinct_count, distinct_cap;
    uint32_t
        *places; /* of each term of the lexicon in this slice: in `distinct`, + 1 */
    uint32_t *numbers; /* of each term of the lexicon in the index; 0: not known yet */
    uint32_t place_cap;
    struct wc_posting *postings;
    uint32_t postings_cap;
    uint32_t first_doc;
    struct wc_buf docs, run;
    struct wc_start *starts;
};

/* A term of the index; its number is its place + 1. */
struct built_term {
    uint32_t people;
    uint8_t max;
};

/* Keys and values, to be appended to a table in one transaction. */
struct pairs {
    uint32_t table;
    struct wc_buf bytes; /* key length (2) ‖ value length (4) ‖ key ‖ value */
};

struct build {
    struct wc_index *ix;
    struct wc_runs *runs;
    pthread_mutex_t lock;
    pthread_cond_t moved;              /* one of the three below, rc, or running */
    uint64_t taken, numbered, written; /* slices */
    int rc;
    uint32_t slice_people;
    size_t lexicon_max_bytes;
    bool ended; /* no more slices */
    uint32_t running;
    struct wc_person_ref last;        /* of the slices that were taken */
    uint64_t taken_count, done_count; /* people */
    struct wc_lexicon lexicon;        /* every term of the index */
    struct built_term *terms;
    uint32_t term_cap;
    uint32_t next_doc, next_office;
    uint8_t attrs[WC_ATTR_BLOCK_BYTES]; /* of the block that is not full yet */
    uint32_t attr_block;
};

static struct wc_slice u32_key(uint8_t bytes[4], uint32_t n)
{
    wc_put_u32(bytes, n);
    return wc_slice(bytes, 4);
}

/* Room for at least `count` elements; what is new is zero. */
static int room(void **items, uint32_t *cap, uint32_t count, size_t size)
{
    if (count <= *cap)
        return 0;
    uint32_t grown = *cap == 0 ? 1024 : *cap;
    while (grown < count)
        grown *= 2;
    uint8_t *larger = realloc(*items, grown * size);
    if (larger == NULL)
        return -WC_ENOMEM;
    memset(larger + *cap * size, 0, (grown - *cap) * size);
    *items = larger;
    *cap = grown;
    return 0;
}

/* ---- pairs ---- */

static void pair(struct pairs *p, struct wc_slice key, struct wc_slice value)
{
    uint8_t head[6];
    wc_put_u16(head, (uint16_t)key.len);
    wc_put_u32(head + 2, (uint32_t)value.len);
    wc_buf_append(&p->bytes, head, sizeof(head));
    wc_buf_append(&p->bytes, key.data, key.len);
    wc_buf_append(&p->bytes, value.data, value.len);
}

static int append_pairs(struct wc_txn *t, const struct pairs *p)
{
    const uint8_t *at = p->bytes.data, *end = at + p->bytes.len;
    int rc = p->bytes.failed ? -WC_ENOMEM : 0;
    while (rc == 0 && at < end) {
        size_t key_len = wc_get_u16(at), value_len = wc_get_u32(at + 2);
        at += 6;
        rc = wc_txn_append(t, p->table, wc_slice(at, key_len),
                           wc_slice(at + key_len, value_len));
        at += key_len + value_len;
    }
    return rc;
}

static int pairs_fn(struct wc_txn *t, void *ctx)
{
    return append_pairs(t, ctx);
}

/* Write what has gathered, when it is enough or all there is. */
static int flush_pairs(struct wc_index *ix, struct pairs *p, bool all)
{
    if (p->bytes.len < WRITE_BYTES && !all && !p->bytes.failed)
        return 0;
    int rc = wc_store_write(ix->store, pairs_fn, p);
    wc_buf_reset(&p->bytes);
    return rc;
}

/* ---- a slice is taken ---- */

static int take_slice(struct build *b, struct worker *w)
{
    pthread_mutex_lock(&b->lock);
    int n = b->rc;
    w->ref_count = 0;
    if (wc_lexicon_bytes(&b->lexicon) > b->lexicon_max_bytes)
        b->ended = true; /* the others are added as to any index */
    if (n == 0 && !b->ended)
        n = wc_records_people(b->ix->records, NULL, b->taken > 0 ? &b->last : NULL,
                              w->refs, (int)b->slice_people);
    if (n > 0) {
        w->ref_count = (uint32_t)n;
        w->slice = b->taken++;
        b->last = w->refs[n - 1];
        b->taken_count += (uint64_t)n;
        n = 0;
    } else {
        b->ended = true;
    }
    pthread_mutex_unlock(&b->lock);
    return n;
}

/* ---- analysis ---- */

static int note_term(struct worker *w, const struct wc_term *t)
{
    uint32_t cap = w->place_cap;
    if (t->id >= cap) {
        int rc = room((void **)&w->places, &cap, t->id + 1, sizeof(*w->places));
        if (rc == 0)
            rc = room((void **)&w->numbers, &w->place_cap, t->id + 1,
                      sizeof(*w->numbers));
        if (rc != 0)
            return rc;
    }
    if (w->places[t->id] == 0) {
        if (room((void **)&w->distinct, &w->distinct_cap, w->distinct_count + 1,
                 sizeof(*w->distinct)) != 0)
            return -WC_ENOMEM;
        w->distinct[w->distinct_count++] = (struct slice_term){.id = t->id};
        w->places[t->id] = w->distinct_count;
    }
    struct slice_term *d = &w->distinct[w->places[t->id] - 1];
    d->count++;
    d->max = t->impact > d->max ? t->impact : d->max;
    w->found[w->found_count++] = (struct found){t->id, t->impact};
    return 0;
}

static int keep_person(struct worker *w, const struct wc_person_ref *who,
                       const struct wc_analysed *seen)
{
    struct built_person *p = &w->people[w->people_count++];
    int rc = room((void **)&w->found, &w->found_cap, w->found_count + w->terms.count,
                  sizeof(*w->found));
    p->who = *who;
    p->office = seen->office;
    memcpy(p->traits, seen->traits, sizeof(p->traits));
    p->first = w->found_count;
    p->filled = 0;
    for (uint32_t i = 0; rc == 0 && i < w->terms.count; i++)
        if (w->terms.items[i].impact > 0)
            rc = note_term(w, &w->terms.items[i]);
    p->count = w->found_count - p->first;
    return rc;
}

static int analyse_slice(struct worker *w)
{
    struct wc_analysed seen;
    int rc = 0;
    if (wc_lexicon_bytes(&w->terms.lexicon) > WC_LEXICON_MAX_BYTES) {
        wc_terms_forget(&w->terms);
        memset(w->numbers, 0, w->place_cap * sizeof(*w->numbers));
    }
    w->people_count = w->found_count = w->distinct_count = 0;
    for (uint32_t i = 0; rc == 0 && i < w->ref_count; i++) {
        rc = wc_analyst_read(&w->analyst, &w->refs[i], &seen);
        if (rc == 0 && seen.exists)
            rc = keep_person(w, &w->refs[i], &seen);
    }
    for (uint32_t i = 0; i < w->distinct_count; i++)
        w->places[w->distinct[i].id] = 0;
    return rc;
}

/* ---- numbers ---- */

static int number_term(struct build *b, struct worker *w, struct slice_term *d)
{
    uint32_t *number = &w->numbers[d->id];
    if (*number == 0) {
        uint32_t id =
            wc_lexicon_term(&b->lexicon, wc_lexicon_key(&w->terms.lexicon, d->id));
        if (id == WC_LEXICON_NONE ||
            room((void **)&b->terms, &b->term_cap, id + 1, sizeof(*b->terms)) != 0)
            return -WC_ENOMEM;
        *number = id + 1;
    }
    d->number = *number;
    struct built_term *t = &b->terms[d->number - 1];
    t->people += d->count;
    t->max = d->max > t->max ? d->max : t->max;
    return 0;
}

/* Under the lock, slice after slice. */
static int number_slice(struct build *b, struct worker *w)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < w->distinct_count; i++)
        rc = number_term(b, w, &w->distinct[i]);
    w->first_doc = b->next_doc;
    b->next_doc += w->people_count;
    return rc;
}

/* ---- sorting ---- */

static int compare_terms(const void *a, const void *b)
{
    const struct slice_term *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* The postings of the slice, by term and then by document. */
static int sort_postings(struct worker *w)
{
    uint32_t first = 0;
    if (room((void **)&w->postings, &w->postings_cap, w->found_count,
             sizeof(*w->postings)) != 0)
        return -WC_ENOMEM;
    if (w->distinct_count > 1)
        qsort(w->distinct, w->distinct_count, sizeof(*w->distinct), compare_terms);
    for (uint32_t i = 0; i < w->distinct_count; i++) {
        w->distinct[i].first = first;
        w->places[w->distinct[i].id] = first;
        first += w->distinct[i].count;
    }
    for (uint32_t i = 0; i < w->people_count; i++) {
        const struct found *f = w->found + w->people[i].first;
        for (uint32_t k = 0; k < w->people[i].count; k++)
            w->postings[w->places[f[k].term]++] =
                (struct wc_posting){w->first_doc + i, f[k].impact};
    }
    for (uint32_t i = 0; i < w->distinct_count; i++)
        w->places[w->distinct[i].id] = 0;
    return 0;
}

/* The run; and every person's terms again, now by number, for terms are met in that
 * order. */
static int write_run(struct worker *w)
{
    uint32_t before = 0;
    wc_buf_reset(&w->run);
    for (uint32_t i = 0; i < w->distinct_count; i++) {
        const struct slice_term *d = &w->distinct[i];
        const struct wc_posting *p = w->postings + d->first;
        wc_run_add(&w->run, d->number - before, w->first_doc, p, d->count);
        before = d->number;
        for (uint32_t k = 0; k < d->count; k++) {
            struct built_person *one = &w->people[p[k].doc - w->first_doc];
            w->found[one->first + one->filled++] =
                (struct found){d->number, p[k].impact};
        }
    }
    return w->run.failed ? -WC_ENOMEM : 0;
}

/* Values of the doc table, each with its length (4) before it. */
static int write_docs(struct worker *w)
{
    int rc = 0;
    wc_buf_reset(&w->docs);
    for (uint32_t i = 0; rc == 0 && i < w->people_count; i++) {
        const struct built_person *p = &w->people[i];
        const struct found *f = w->found + p->first;
        size_t at = w->docs.len;
        wc_buf_append(&w->docs, "\0\0\0", 4);
        rc = wc_doc_begin(&w->docs, &p->who);
        for (uint32_t k = 0; rc == 0 && k < p->count; k++)
            rc = wc_doc_add(&w->docs, f[k].term - (k > 0 ? f[k - 1].term : 0),
                            f[k].impact);
        if (rc == 0)
            wc_put_u32(w->docs.data + at, (uint32_t)(w->docs.len - at - 4));
    }
    return rc;
}

/* ---- writing a slice ---- */

struct slice_write {
    struct build *build;
    struct worker *worker;
    /* outcome, taken over when the transaction is committed */
    uint32_t next_office, attr_block;
    uint8_t attrs[WC_ATTR_BLOCK_BYTES];
};

static int append_docs(struct wc_txn *t, const struct worker *w)
{
    const uint8_t *at = w->docs.data;
    uint8_t key[4];
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < w->people_count; i++) {
        uint32_t len = wc_get_u32(at);
        rc = wc_txn_append(t, WC_IX_DOC, u32_key(key, w->first_doc + i),
                           wc_slice(at + 4, len));
        at += 4 + len;
    }
    return rc;
}

static int append_people(struct wc_txn *t, const struct worker *w)
{
    uint8_t key[WC_PERSON_KEY_MAX], number[4];
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < w->people_count; i++)
        rc = wc_txn_append(t, WC_IX_PERSON, wc_index_person_key(key, &w->people[i].who),
                           u32_key(number, w->first_doc + i));
    return rc;
}

static int append_attr_block(struct wc_txn *t, struct slice_write *s)
{
    uint8_t key[4];
    int rc = wc_txn_append(t, WC_IX_ATTR, u32_key(key, s->attr_block),
                           wc_slice(s->attrs, sizeof(s->attrs)));
    memset(s->attrs, 0, sizeof(s->attrs));
    s->attr_block++;
    return rc;
}

/* The last block is kept back until it is full. */
static int append_attrs(struct wc_txn *t, struct slice_write *s)
{
    const struct worker *w = s->worker;
    uint32_t known = UINT32_MAX, office = 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < w->people_count; i++) {
        const struct built_person *p = &w->people[i];
        const struct wc_analyst_office *o = &w->analyst.offices[p->office];
        uint32_t doc = w->first_doc + i;
        if (doc / WC_ATTR_DOCS != s->attr_block)
            rc = append_attr_block(t, s);
        if (rc == 0 && p->office != known)
            rc = wc_office_number(t, o->key, o->text, &s->next_office, &office);
        known = p->office;
        wc_attr_put(s->attrs + (size_t)(doc % WC_ATTR_DOCS) * WC_ATTR_BYTES, office,
                    p->traits);
    }
    return rc;
}

static int write_starts(struct wc_txn *t, struct worker *w)
{
    for (uint32_t i = 0; i < w->people_count; i++)
        wc_start_set(&w->starts[i], w->first_doc + i, w->people[i].who.subject);
    return wc_starts_write(t, w->starts, w->people_count);
}

static int slice_fn(struct wc_txn *t, void *ctx)
{
    struct slice_write *s = ctx;
    s->next_office = s->build->next_office;
    s->attr_block = s->build->attr_block;
    memcpy(s->attrs, s->build->attrs, sizeof(s->attrs));
    int rc = append_docs(t, s->worker);
    if (rc == 0)
        rc = append_people(t, s->worker);
    if (rc == 0)
        rc = write_starts(t, s->worker);
    return rc == 0 ? append_attrs(t, s) : rc;
}

/* One at a time, slice after slice. */
static int write_slice(struct build *b, struct worker *w)
{
    struct slice_write s = {.build = b, .worker = w};
    int rc = wc_runs_add(b->runs, wc_buf_slice(&w->run), w->first_doc);
    if (rc == 0)
        rc = wc_store_write(b->ix->store, slice_fn, &s);
    if (rc != 0)
        return rc;
    b->next_office = s.next_office;
    b->attr_block = s.attr_block;
    memcpy(b->attrs, s.attrs, sizeof(b->attrs));
    return 0;
}

/* ---- threads ---- */

static void move_on(struct build *b, uint64_t *counter, int rc)
{
    ++*counter;
    if (rc != 0 && b->rc == 0)
        b->rc = rc;
    pthread_cond_broadcast(&b->moved);
}

/* Wait until it is this slice's turn, with the lock; the first error ends all. */
static int wait_turn(struct build *b, const uint64_t *counter, uint64_t slice)
{
    while (*counter != slice && b->rc == 0)
        pthread_cond_wait(&b->moved, &b->lock);
    return b->rc;
}

static int do_slice(struct build *b, struct worker *w)
{
    int rc = analyse_slice(w);
    pthread_mutex_lock(&b->lock);
    int other = wait_turn(b, &b->numbered, w->slice);
    if (rc == 0)
        rc = other;
    if (rc == 0)
        rc = number_slice(b, w);
    move_on(b, &b->numbered, rc);
    pthread_mutex_unlock(&b->lock);
    if (rc == 0)
        rc = sort_postings(w);
    if (rc == 0)
        rc = write_run(w);
    if (rc == 0)
        rc = write_docs(w);
    pthread_mutex_lock(&b->lock);
    other = wait_turn(b, &b->written, w->slice);
    pthread_mutex_unlock(&b->lock);
    if (rc == 0)
        rc = other;
    if (rc == 0)
        rc = write_slice(b, w);
    pthread_mutex_lock(&b->lock);
    b->done_count += w->ref_count;
    move_on(b, &b->written, rc);
    pthread_mutex_unlock(&b->lock);
    return rc;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct build *b = w->build;
    int rc = 0;
    while (rc == 0) {
        rc = take_slice(b, w);
        if (rc != 0 || w->ref_count == 0)
            break;
        rc = do_slice(b, w);
    }
    pthread_mutex_lock(&b->lock);
    if (rc != 0 && b->rc == 0)
        b->rc = rc;
    b->running--;
    pthread_cond_broadcast(&b->moved);
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static void worker_free(struct worker *w)
{
    if (w == NULL)
        return;
    wc_text_free(w->analyst.text);
    wc_analyst_fini(&w->analyst);
    wc_terms_fini(&w->terms);
    wc_buf_fini(&w->docs);
    wc_buf_fini(&w->run);
    free(w->refs);
    free(w->people);
    free(w->found);
    free(w->distinct);
    free(w->places);
    free(w->numbers);
    free(w->postings);
    free(w->starts);
    free(w);
}

static struct worker *worker_new(struct build *b)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->build = b;
    w->analyst.ix = b->ix;
    w->analyst.terms = &w->terms;
    memcpy(w->terms.lexicon.hash_key, b->ix->terms.lexicon.hash_key,
           sizeof(w->terms.lexicon.hash_key));
    w->refs = calloc(b->slice_people, sizeof(*w->refs));
    w->people = calloc(b->slice_people, sizeof(*w->people));
    w->starts = calloc(b->slice_people, sizeof(*w->starts));
    if (w->refs == NULL || w->people == NULL || w->starts == NULL ||
        wc_text_new(&w->analyst.text, b->ix->languages) != 0) {
        worker_free(w);
        return NULL;
    }
    return w;
}

/* One thread for each processor, with a few slices each, unless there are too many people
 * for that. */
static uint32_t divide(struct build *b, uint64_t people)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t threads = processors < 1 ? 1 : (uint64_t)processors;
    if (threads > WC_BUILD_THREADS_MAX)
        threads = WC_BUILD_THREADS_MAX;
    uint64_t slice = people / (threads * SLICES_A_THREAD) + 1;
    if (slice < SLICE_PEOPLE_MIN)
        slice = SLICE_PEOPLE_MIN;
    b->slice_people = (uint32_t)(slice > SLICE_PEOPLE_MAX ? SLICE_PEOPLE_MAX : slice);
    uint64_t slices = (people + b->slice_people - 1) / b->slice_people;
    return (uint32_t)(threads < slices ? threads : slices);
}

/* Say how far it is until all are done. */
static void watch(struct build *b, wc_index_progress_fn progress, void *ctx,
                  uint64_t total)
{
    uint64_t said = 0;
    pthread_mutex_lock(&b->lock);
    while (b->running > 0 || said < b->done_count) {
        uint64_t done = b->done_count;
        if (done == said) {
            pthread_cond_wait(&b->moved, &b->lock);
            continue;
        }
        pthread_mutex_unlock(&b->lock);
        if (progress != NULL)
            progress(ctx, done, total > done ? total : done);
        said = done;
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
}

/* With as many threads as can be had, as long as there is one. */
static int analyse_all(struct build *b, uint32_t wanted, wc_index_progress_fn progress,
                       void *ctx, uint64_t total)
{
    struct worker *workers[WC_BUILD_THREADS_MAX];
    uint32_t count = 0;
    for (; count < wanted; count++) {
        workers[count] = worker_new(b);
        if (workers[count] == NULL)
            break;
        pthread_mutex_lock(&b->lock);
        b->running++;
        pthread_mutex_unlock(&b->lock);
        if (pthread_create(&workers[count]->thread, NULL, work, workers[count]) == 0)
            continue;
        pthread_mutex_lock(&b->lock);
        b->running--;
        pthread_mutex_unlock(&b->lock);
        worker_free(workers[count]);
        break;
    }
    watch(b, progress, ctx, total);
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(workers[i]->thread, NULL);
        worker_free(workers[i]);
    }
    return count < wanted && count == 0 ? -WC_ENOMEM : b->rc;
}

/* ---- postings and names ---- */

/* The postings of a term, as they come. */
struct gather {
    struct pairs post, names;
    struct wc_posting *list;
    uint32_t count, cap;
    uint32_t term; /* 0: none yet */
};

/* Write full pieces, and at the end of the term what is left. */
static void write_pieces(struct gather *g, bool end)
{
    uint8_t key[8], value[WC_POSTINGS_MAX_BYTES];
    uint32_t done = 0;
    size_t len;
    while (g->count - done >= WC_POSTINGS_MAX || (end && done < g->count)) {
        const struct wc_posting *from = g->list + done;
        done += wc_postings_write(from, g->count - done, value, &len);
        bool last = end && done == g->count;
        wc_put_u32(key, g->term);
        wc_put_u32(key + 4, last ? UINT32_MAX : g->list[done - 1].doc);
        pair(&g->post, wc_slice(key, sizeof(key)), wc_slice(value, len));
    }
    g->count -= done;
    if (done > 0 && g->count > 0)
        memmove(g->list, g->list + done, g->count * sizeof(*g->list));
}

static void end_term(struct build *b, struct gather *g)
{
    uint8_t key[4];
    if (g->term == 0)
        return;
    write_pieces(g, true);
    pair(&g->names, u32_key(key, g->term), wc_lexicon_key(&b->lexicon, g->term - 1));
}

static int gather_block(struct gather *g, const struct wc_posting *postings,
                        uint32_t count)
{
    if (count == 0)
        return 0;
    if (room((void **)&g->list, &g->cap, g->count + count, sizeof(*g->list)) != 0)
        return -WC_ENOMEM;
    memcpy(g->list + g->count, postings, count * sizeof(*postings));
    g->count += count;
    write_pieces(g, false);
    return 0;
}

static int write_postings(struct build *b)
{
    struct gather g = {.post = {.table = WC_IX_POST}, .names = {.table = WC_IX_NAME}};
    const struct wc_posting *postings;
    uint32_t term, count;
    int rc = wc_runs_read(b->runs), more = 1;
    while (rc == 0 && (more = wc_runs_next(b->runs, &term, &postings, &count)) > 0) {
        if (term != g.term)
            end_term(b, &g);
        g.term = term;
        rc = gather_block(&g, postings, count);
        if (rc == 0)
            rc = flush_pairs(b->ix, &g.post, false);
        if (rc == 0)
            rc = flush_pairs(b->ix, &g.names, false);
    }
    if (rc == 0)
        rc = more;
    if (rc == 0) {
        end_term(b, &g);
        rc = flush_pairs(b->ix, &g.post, true);
    }
    if (rc == 0)
        rc = flush_pairs(b->ix, &g.names, true);
    wc_buf_fini(&g.post.bytes);
    wc_buf_fini(&g.names.bytes);
    free(g.list);
    return rc;
}

/* ---- the dictionary ---- */

static int compare_keys(const void *a, const void *b, void *ctx)
{
    const struct wc_lexicon *l = ctx;
    return wc_slice_cmp(wc_lexicon_key(l, *(const uint32_t *)a),
                        wc_lexicon_key(l, *(const uint32_t *)b));
}

static int write_terms(struct build *b, const uint32_t *order)
{
    struct pairs p = {.table = WC_IX_TERM};
    uint8_t value[WC_TERM_VALUE_BYTES];
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < b->lexicon.count; i++) {
        const struct built_term *t = &b->terms[order[i]];
        wc_term_value(value, order[i] + 1, t->people, t->max);
        pair(&p, wc_lexicon_key(&b->lexicon, order[i]), wc_slice(value, sizeof(value)));
        rc = flush_pairs(b->ix, &p, false);
    }
    if (rc == 0)
        rc = flush_pairs(b->ix, &p, true);
    wc_buf_fini(&p.bytes);
    return rc;
}

/* When there are too many words, those that only one person has stay away. */
static void tell_words(struct build *b)
{
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < b->lexicon.count; i++)
            if ((b->terms[i].people > 1) == (pass == 0))
                wc_index_word_set(b->ix, wc_lexicon_key(&b->lexicon, i),
                                  b->terms[i].people);
}

struct dictionary {
    struct build *build;
    uint32_t *order;
};

/* All of it that needs no store, beside the postings. */
static void *sort_dictionary(void *arg)
{
    struct dictionary *d = arg;
    struct build *b = d->build;
    for (uint32_t i = 0; i < b->lexicon.count; i++)
        d->order[i] = i;
    qsort_r(d->order, b->lexicon.count, sizeof(*d->order), compare_keys, &b->lexicon);
    tell_words(b);
    return NULL;
}

static int write_lists(struct build *b)
{
    struct dictionary d = {.build = b,
                           .order = calloc(b->lexicon.count + 1u, sizeof(*d.order))};
    pthread_t thread;
    if (d.order == NULL)
        return -WC_ENOMEM;
    bool beside = pthread_create(&thread, NULL, sort_dictionary, &d) == 0;
    if (!beside)
        (void)sort_dictionary(&d);
    int rc = write_postings(b);
    if (beside)
        pthread_join(thread, NULL);
    if (rc == 0)
        rc = write_terms(b, d.order);
    free(d.order);
    return rc;
}

static int finish_fn(struct wc_txn *t, void *ctx)
{
    struct build *b = ctx;
    struct slice_write s = {.build = b, .attr_block = b->attr_block};
    memcpy(s.attrs, b->attrs, sizeof(s.attrs));
    int rc = append_attr_block(t, &s);
    return rc != 0 ? rc
                   : wc_index_put_next(t, b->next_doc, b->lexicon.count + 1,
                                       b->next_office);
}

int wc_index_build(struct wc_index *ix, size_t lexicon_max_bytes,
                   wc_index_progress_fn progress, void *ctx, struct wc_person_ref *last,
                   uint64_t *done)
{
    uint64_t total = wc_records_people_count(ix->records, NULL);
    struct build *b = calloc(1, sizeof(*b));
    *done = 0;
    if (b == NULL)
        return -WC_ENOMEM;
    b->ix = ix;
    b->lexicon_max_bytes = lexicon_max_bytes;
    b->next_doc = b->next_office = 1;
    memcpy(b->lexicon.hash_key, ix->terms.lexicon.hash_key,
           sizeof(b->lexicon.hash_key));
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->moved, NULL);
    int rc = wc_runs_new(&b->runs, ix->path);
    if (rc == 0)
        rc = analyse_all(b, divide(b, total), progress, ctx, total);
    if (rc == 0)
        rc = write_lists(b);
    if (rc == 0 && b->next_doc > 1)
        rc = wc_store_write(ix->store, finish_fn, b);
    if (rc == 0) {
        *last = b->last;
        *done = b->taken_count;
    }
    wc_runs_free(b->runs);
    wc_lexicon_fini(&b->lexicon);
    free(b->terms);
    pthread_cond_destroy(&b->moved);
    pthread_mutex_destroy(&b->lock);
    free(b);
    malloc_trim(0); /* a daemon that has built an index is small again */
    return rc;
}
