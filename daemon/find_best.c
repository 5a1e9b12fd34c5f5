/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/find_best.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/index_internal.h"

void wc_best_fini(struct wc_best *b)
{
    free(b->heap);
}

int wc_best_begin(struct wc_best *b, struct wc_txn *t, uint32_t wanted)
{
    b->txn = t;
    b->count = 0;
    b->wanted = wanted;
    b->seen = b->near = 0;
    b->ruled_out = false;
    b->attrs.handle = b->start_blocks.handle = NULL;
    b->attr_block = b->starts_block = UINT32_MAX;
    if (wanted > b->cap) {
        struct wc_candidate *heap = realloc(b->heap, wanted * sizeof(*heap));
        if (heap == NULL)
            return -WC_ENOMEM;
        b->heap = heap;
        b->cap = wanted;
    }
    int rc = wc_cursor_open(&b->start_blocks, t, WC_IX_START);
    if (rc == 0 && (b->one_office || b->filtered))
        rc = wc_cursor_open(&b->attrs, t, WC_IX_ATTR);
    return rc;
}

void wc_best_end(struct wc_best *b)
{
    wc_cursor_close(&b->attrs);
    wc_cursor_close(&b->start_blocks);
}

/* ---- who may be found ---- */

static int read_attr(struct wc_best *b, uint32_t doc)
{
    uint8_t key[4];
    uint32_t block = doc / WC_ATTR_DOCS;
    if (b->attr_block == block)
        return 0;
    wc_put_u32(key, block);
    int rc = wc_cursor_seek(&b->attrs, wc_slice(key, sizeof(key)));
    if (rc == -WC_ENOTFOUND ||
        (rc == 0 && (!wc_slice_eq(b->attrs.key, wc_slice(key, sizeof(key))) ||
                     b->attrs.value.len != WC_ATTR_BLOCK_BYTES)))
        return -WC_ECORRUPT;
    if (rc != 0)
        return rc;
    b->attr_block = block;
    b->attr = b->attrs.value.data;
    return 0;
}

static bool may_pass(const struct wc_best *b, uint32_t doc)
{
    const uint8_t *attr = b->attr + (size_t)(doc % WC_ATTR_DOCS) * WC_ATTR_BYTES;
    if (b->one_office && wc_get_u32(attr) != b->office)
        return false;
    const uint8_t *traits = attr + WC_ATTR_TRAITS + (b->home ? WC_TRAITS_BYTES : 0);
    return !b->filtered || wc_traits_suffice(traits, b->least);
}

/* ---- order ---- */

static int read_start(struct wc_best *b, struct wc_candidate *c)
{
    uint32_t block = c->doc / WC_STARTS_DOCS;
    size_t at = wc_start_at(c->doc);
    if (b->starts_block != block || b->starts.len < at + WC_START_BYTES) {
        int rc = wc_starts_block(&b->start_blocks, c->doc, &b->starts);
        if (rc != 0)
            return rc;
        b->starts_block = block;
    }
    memcpy(c->start, b->starts.data + at, WC_START_BYTES);
    return 0;
}

static int read_doc(struct wc_txn *t, uint32_t doc, struct wc_person_ref *who)
{
    uint8_t key[4];
    struct wc_slice v;
    struct wc_doc_value d;
    wc_put_u32(key, doc);
    int rc = wc_txn_get(t, WC_IX_DOC, wc_slice(key, sizeof(key)), &v);
    if (rc == -WC_ENOTFOUND)
        return -WC_ECORRUPT;
    if (rc == 0)
        rc = wc_doc_value(v, &d);
    if (rc == 0)
        *who = d.who;
    return rc;
}

/* <0 when a comes before b. The beginning of a login nearly always decides a tie; only
 * when it does not are the documents read. */
static int compare(const struct wc_best *best, const struct wc_candidate *a,
                   const struct wc_candidate *b)
{
    struct wc_person_ref x, y;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    int order = memcmp(a->start, b->start, WC_START_BYTES);
    if (order != 0 || a->doc == b->doc)
        return order;
    if (read_doc(best->txn, a->doc, &x) != 0 || read_doc(best->txn, b->doc, &y) != 0)
        return a->doc < b->doc ? -1 : 1; /* the caller meets the damage later */
    order = strcmp(x.subject, y.subject);
    return order != 0 ? order : memcmp(x.office_key, y.office_key, WC_KEY_BYTES);
}

static void swap(struct wc_candidate *a, struct wc_candidate *b)
{
    struct wc_candidate c = *a;
    *a = *b;
    *b = c;
}

static void sift_down(struct wc_best *b)
{
    struct wc_candidate *h = b->heap;
    for (uint32_t i = 0, worst;; i = worst) {
        worst = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < b->count && compare(b, &h[child], &h[worst]) > 0)
                worst = child;
        if (worst == i)
            return;
        swap(&h[i], &h[worst]);
    }
}

static void offer(struct wc_best *b, const struct wc_candidate *c)
{
    struct wc_candidate *h = b->heap;
    if (wc_best_full(b)) {
        if (compare(b, c, &h[0]) > 0)
            return;
        h[0] = *c;
        sift_down(b);
        return;
    }
    h[b->count] = *c;
    for (uint32_t i = b->count++; i > 0; i = (i - 1) / 2) {
        if (compare(b, &h[i], &h[(i - 1) / 2]) <= 0)
            break;
        swap(&h[i], &h[(i - 1) / 2]);
    }
}

int wc_best_meet(struct wc_best *b, uint32_t doc, double rank, bool sure)
{
    struct wc_candidate c = {.rank = rank, .doc = doc};
    bool wanted = b->wanted > 0 && rank >= wc_best_least(b);
    int rc = 0;
    if (b->one_office || b->filtered) {
        rc = read_attr(b, doc);
        if (rc != 0)
            return rc;
        if (!may_pass(b, doc)) {
            b->ruled_out |= b->filtered;
            return 0;
        }
    }
    if (wanted || sure)
        *(rank < 0 ? &b->near : &b->seen) += 1;
    if (wanted)
        rc = read_start(b, &c);
    if (wanted && rc == 0)
        offer(b, &c);
    return rc;
}

int wc_best_take(struct wc_best *b, struct wc_person_ref *who, double *rank)
{
    int rc = read_doc(b->txn, b->heap[0].doc, who);
    *rank = b->heap[0].rank;
    b->heap[0] = b->heap[--b->count];
    sift_down(b);
    return rc;
}
