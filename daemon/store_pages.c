/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_pages.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/sum.h"

/* Numbers are as this machine writes them; a page number and a size take a word, which
 * has eight bytes: where it has not, no file is in order, and the store is made anew. */
#define PAGE_HEAD_BYTES 16 /* page (8), nothing (2), kind (2), lower (2), upper (2) */
#define NODE_HEAD_BYTES 8  /* size or page (4), flags (2), length of the key (2) */
#define META_PAGES      2
#define META_MAGIC      0xBEEFC0DEU
#define META_VERSION    1
#define TREE_BYTES      48
#define DEPTH_MAX       32 /* LMDB's own limit */
#define NO_PAGE         UINT64_MAX

enum { BRANCH = 1, LEAF = 2, OVERFLOW = 4 };                     /* kinds of pages */
enum { NODE_OVERFLOW = 1, NODE_TREE = 2 };                       /* flags of nodes */
enum { TREE_PLAIN = 0, TREE_NUMBERS = 8 };                       /* flags of trees */
enum { VALUES_SEALED, VALUES_TREES, VALUES_FREE, VALUES_PLAIN }; /* what is in a tree */

struct tree {
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct look {
    struct wc_slice file;
    const char *const *tables;
    bool sealed;
    char *problem;
    size_t page_bytes;
    uint64_t pages; /* of the newest state */
    uint8_t *used;  /* a bit each */
    /* of the tree at hand */
    const char *name;
    uint32_t table;
    int values;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries;
    /* What keys must lie beyond: the one before, or what the page above begins with. */
    struct wc_slice last;
    bool has_last, may_be_last;
};

static uint16_t get16(const uint8_t *p)
{
    uint16_t n;
    memcpy(&n, p, sizeof(n));
    return n;
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t n;
    memcpy(&n, p, sizeof(n));
    return n;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t n;
    memcpy(&n, p, sizeof(n));
    return n;
}

__attribute__((format(printf, 2, 3))) static int bad(struct look *l, const char *format,
                                                     ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(l->problem, WC_PROBLEM_BYTES, format, args);
    va_end(args);
    return -WC_ECORRUPT;
}

static const uint8_t *page_at(const struct look *l, uint64_t page)
{
    return l->file.data + page * l->page_bytes;
}

/* Pages that nobody else uses. */
static int claim(struct look *l, uint64_t page, uint64_t count)
{
    if (page < META_PAGES || count == 0 || page >= l->pages || count > l->pages - page)
        return bad(l, "table %s names page %llu, which is not there", l->name,
                   (unsigned long long)page);
    for (uint64_t i = page; i < page + count; i++) {
        if ((l->used[i / 8] & 1 << i % 8) != 0)
            return bad(l, "page %llu is used twice", (unsigned long long)i);
        l->used[i / 8] |= (uint8_t)(1 << i % 8);
    }
    return 0;
}

/* ---- pages ---- */

static size_t node_count(const uint8_t *page)
{
    return (size_t)(get16(page + 12) - PAGE_HEAD_BYTES) / 2;
}

static const uint8_t *node_at(const uint8_t *page, size_t i)
{
    return page + get16(page + PAGE_HEAD_BYTES + 2 * i);
}

static struct wc_slice node_key(const uint8_t *node)
{
    return wc_slice(node + NODE_HEAD_BYTES, get16(node + 6));
}

/* How much of a value lies in its node. */
static size_t node_value_bytes(const uint8_t *node, bool branch)
{
    if (branch)
        return 0;
    return (get16(node + 4) & NODE_OVERFLOW) != 0 ? 8 : get32(node);
}

/* That everything which a page says of itself lies within it. */
static int check_page(struct look *l, uint64_t number, bool branch)
{
    const uint8_t *p = page_at(l, number);
    uint16_t lower = get16(p + 12), upper = get16(p + 14);
    if (get64(p) != number || get16(p + 10) != (branch ? BRANCH : LEAF))
        return bad(l, "page %llu is not the one that table %s has there",
                   (unsigned long long)number, l->name);
    if (lower < PAGE_HEAD_BYTES + 2 || lower % 2 != 0 || lower > upper ||
        upper > l->page_bytes)
        return bad(l, "page %llu has no sound head", (unsigned long long)number);
    for (size_t i = 0; i < node_count(p); i++) {
        size_t at = get16(p + PAGE_HEAD_BYTES + 2 * i);
        size_t left = at >= upper && at < l->page_bytes ? l->page_bytes - at : 0;
        if (at % 2 != 0 || left < NODE_HEAD_BYTES ||
            left - NODE_HEAD_BYTES < node_key(p + at).len ||
            left - NODE_HEAD_BYTES - node_key(p + at).len <
                node_value_bytes(p + at, branch))
            return bad(l, "an entry of page %llu lies outside of it",
                       (unsigned long long)number);
    }
    return 0;
}

static int compare_keys(const struct look *l, struct wc_slice a, struct wc_slice b)
{
    if (l->flags == TREE_NUMBERS) {
        uint64_t x = get64(a.data), y = get64(b.data);
        return x < y ? -1 : x > y;
    }
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int check_key(struct look *l, uint64_t page, struct wc_slice key)
{
    if (key.len == 0 || (l->flags == TREE_NUMBERS && key.len != 8))
        return bad(l, "page %llu has no sound key", (unsigned long long)page);
    int order = l->has_last ? compare_keys(l, l->last, key) : -1;
    if (order > 0 || (order == 0 && !l->may_be_last))
        return bad(l, "the keys of table %s are not in order at page %llu", l->name,
                   (unsigned long long)page);
    l->last = key;
    l->has_last = true;
    l->may_be_last = false;
    return 0;
}

/* ---- values ---- */

static int overflow_value(struct look *l, const uint8_t *node, struct wc_slice *value)
{
    uint64_t number = get64(node + NODE_HEAD_BYTES + node_key(node).len);
    size_t len = get32(node);
    uint64_t pages = (PAGE_HEAD_BYTES - 1 + len) / l->page_bytes + 1;
    int rc = claim(l, number, pages);
    if (rc != 0)
        return rc;
    const uint8_t *p = page_at(l, number);
    if (get64(p) != number || get16(p + 10) != OVERFLOW || get32(p + 12) != pages)
        return bad(l, "page %llu is not the one that table %s has there",
                   (unsigned long long)number, l->name);
    l->overflows += pages;
    *value = wc_slice(p + PAGE_HEAD_BYTES, len);
    return 0;
}

/* The pages that may be written to. */
static int free_value(struct look *l, struct wc_slice value)
{
    uint64_t count = value.len >= 8 ? get64(value.data) : UINT64_MAX;
    if (count > value.len / 8 - 1)
        return bad(l, "the list of free pages ends too early");
    for (uint64_t i = 1; i <= count; i++) {
        int rc = claim(l, get64(value.data + 8 * i), 1);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int sealed_value(struct look *l, uint64_t page, struct wc_slice key,
                        struct wc_slice value)
{
    size_t len = value.len - WC_SUM_BYTES;
    if (value.len < WC_SUM_BYTES ||
        wc_get_u32(value.data + len) !=
            wc_sum(l->table, key, wc_slice(value.data, len)))
        return bad(l, "a value of table %s is not as it was written (page %llu)",
                   l->name, (unsigned long long)page);
    return 0;
}

static int check_leaf_node(struct look *l, uint64_t page, const uint8_t *node)
{
    struct wc_slice key = node_key(node);
    struct wc_slice value = wc_slice(key.data + key.len, get32(node));
    uint16_t flags = get16(node + 4);
    int rc = check_key(l, page, key);
    if (rc != 0)
        return rc;
    l->entries++;
    if (flags != (l->values == VALUES_TREES ? NODE_TREE : flags & NODE_OVERFLOW))
        return bad(l, "an entry of page %llu is of no kind that is written",
                   (unsigned long long)page);
    if ((flags & NODE_OVERFLOW) != 0)
        rc = overflow_value(l, node, &value);
    if (rc == 0 && l->values == VALUES_FREE)
        rc = free_value(l, value);
    if (rc == 0 && l->values == VALUES_SEALED)
        rc = sealed_value(l, page, key, value);
    return rc;
}

/* ---- trees ---- */

static int walk_leaf(struct look *l, uint64_t number)
{
    const uint8_t *p = page_at(l, number);
    int rc = 0;
    l->leaves++;
    for (size_t i = 0; rc == 0 && i < node_count(p); i++)
        rc = check_leaf_node(l, number, node_at(p, i));
    return rc;
}

static int walk(struct look *l, uint64_t number, uint16_t level);

static int walk_branch(struct look *l, uint64_t number, uint16_t level)
{
    const uint8_t *p = page_at(l, number);
    int rc = 0;
    l->branches++;
    for (size_t i = 0; rc == 0 && i < node_count(p); i++) {
        const uint8_t *node = node_at(p, i);
        if (i > 0) { /* the first key says nothing */
            rc = check_key(l, number, node_key(node));
            l->may_be_last = true;
        }
        if (rc == 0)
            rc = walk(l, get32(node) | (uint64_t)get16(node + 4) << 32,
                      (uint16_t)(level + 1));
    }
    return rc;
}

/* As deep as the tree is, and no deeper. */
static int walk(struct look *l, uint64_t number, uint16_t level)
{
    bool branch = level < l->depth;
    int rc = claim(l, number, 1);
    if (rc == 0)
        rc = check_page(l, number, branch);
    if (rc != 0)
        return rc;
    return branch ? walk_branch(l, number, level) : walk_leaf(l, number);
}

static struct tree read_tree(const uint8_t *p)
{
    return (struct tree){.flags = get16(p + 4),
                         .depth = get16(p + 6),
                         .branches = get64(p + 8),
                         .leaves = get64(p + 16),
                         .overflows = get64(p + 24),
                         .entries = get64(p + 32),
                         .root = get64(p + 40)};
}

static int check_tree(struct look *l, const char *name, int values,
                      const struct tree *t)
{
    int rc = 0;
    l->name = name;
    l->values = values;
    l->flags = values == VALUES_FREE ? TREE_NUMBERS : TREE_PLAIN;
    l->depth = t->depth;
    l->branches = l->leaves = l->overflows = l->entries = 0;
    l->has_last = l->may_be_last = false;
    if (t->flags != l->flags || t->depth > DEPTH_MAX ||
        (t->root == NO_PAGE) != (t->depth == 0))
        return bad(l, "table %s has no sound head", name);
    if (t->root != NO_PAGE)
        rc = walk(l, t->root, 1);
    if (rc == 0 && (l->branches != t->branches || l->leaves != t->leaves ||
                    l->overflows != t->overflows || l->entries != t->entries))
        return bad(l, "table %s has %llu entries, and says that it has %llu", name,
                   (unsigned long long)l->entries, (unsigned long long)t->entries);
    return rc;
}

/* ---- the file ---- */

/* The newer of the two states that a file holds. */
static const uint8_t *newest_meta(const struct look *l)
{
    const uint8_t *a = page_at(l, 0) + PAGE_HEAD_BYTES;
    const uint8_t *b = page_at(l, 1) + PAGE_HEAD_BYTES;
    return get64(a + 128) < get64(b + 128) ? b : a;
}

static int check_meta(struct look *l, const uint8_t *meta)
{
    struct tree free_pages = read_tree(meta + 24);
    uint64_t last = get64(meta + 120);
    if (get32(meta) != META_MAGIC || get32(meta + 4) != META_VERSION ||
        get32(meta + 24) != l->page_bytes || free_pages.flags != TREE_NUMBERS)
        return bad(l, "its first pages are not those of a store");
    if (last < META_PAGES - 1 || last >= l->file.len / l->page_bytes)
        return bad(l, "it ends before its last page");
    l->pages = last + 1;
    return 0;
}

/* The table of a name that the store has, by the tree of trees. */
static int check_table(struct look *l, const struct tree *names, const char *name,
                       uint32_t table, bool sealed)
{
    uint64_t number = names->root;
    struct wc_slice wanted = wc_slice_text(name);
    for (uint16_t level = 1; number != NO_PAGE; level++) {
        const uint8_t *p = page_at(l, number);
        size_t i = 0, count = node_count(p);
        bool leaf = level == names->depth;
        l->flags = TREE_PLAIN;
        while (i + 1 < count &&
               compare_keys(l, node_key(node_at(p, i + 1)), wanted) <= 0)
            i++;
        const uint8_t *node = node_at(p, i);
        if (!leaf) {
            number = get32(node) | (uint64_t)get16(node + 4) << 32;
            continue;
        }
        if (!wc_slice_eq(node_key(node), wanted) || get32(node) != TREE_BYTES)
            break;
        struct tree t = read_tree(node + NODE_HEAD_BYTES + wanted.len);
        l->table = table;
        return check_tree(l, name, sealed ? VALUES_SEALED : VALUES_PLAIN, &t);
    }
    return bad(l, "there is no table %s", name);
}

static int check_file(struct look *l)
{
    const uint8_t *meta = newest_meta(l);
    struct tree names = read_tree(meta + 72), free_pages = read_tree(meta + 24);
    uint32_t count = 0;
    int rc = check_meta(l, meta);
    if (rc != 0)
        return rc;
    l->used = calloc(l->pages / 8 + 1, 1);
    if (l->used == NULL) {
        (void)bad(l, "out of memory");
        return -WC_ENOMEM;
    }
    rc = check_tree(l, "of tables", VALUES_TREES, &names);
    while (l->tables[count] != NULL)
        count++;
    if (rc == 0 && names.entries != count + 1) /* and the one that says what it is */
        rc = bad(l, "it has %llu tables", (unsigned long long)names.entries);
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = check_table(l, &names, l->tables[i], i, l->sealed);
    if (rc == 0)
        rc = check_table(l, &names, WC_STORE_FORMAT_TABLE, count, false);
    /* last: what is free is not in use */
    return rc == 0 ? check_tree(l, "of free pages", VALUES_FREE, &free_pages) : rc;
}

int wc_store_pages_check(struct wc_slice file, const char *const *tables, bool sealed,
                         char problem[WC_PROBLEM_BYTES])
{
    long page_bytes = sysconf(_SC_PAGESIZE);
    struct look l = {.file = file,
                     .tables = tables,
                     .sealed = sealed,
                     .problem = problem,
                     .page_bytes = (size_t)page_bytes};
    problem[0] = '\0';
    if (sizeof(size_t) != 8 || page_bytes < 1024 || page_bytes > 32768 ||
        file.len < (size_t)META_PAGES * l.page_bytes)
        return bad(&l, "it ends before its last page");
    int rc = check_file(&l);
    free(l.used);
    return rc;
}
