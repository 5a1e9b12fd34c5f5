/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NUMBER_MAX_BYTES 5 /* 32 bits in sevens */
#define NAME_BYTES       4096

/* A run on the way through its blocks; `term` is that of the next one. */
struct run {
    size_t at, end; /* in the file */
    uint32_t first_doc, term;
};

struct wc_runs {
    int fd;
    size_t len;
    struct run *runs;
    uint32_t count, cap;
    /* while reading */
    const uint8_t *map;
    uint32_t *heap; /* runs with blocks left, the one with the lowest term first */
    uint32_t heap_count;
    struct wc_posting *postings;
    uint32_t postings_cap;
};

/* ---- the file ---- */

static int from_errno(int err)
{
    return err == ENOSPC || err == EDQUOT ? -WC_EFULL
                                          : (err == ENOMEM ? -WC_ENOMEM : -WC_EIO);
}

/* Where the file system has no files without a name, the name goes at once. */
static int open_nameless(const char *directory)
{
    char name[NAME_BYTES];
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    if (snprintf(name, sizeof(name), "%s/runs.XXXXXX", directory) >= (int)sizeof(name))
        return -1;
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(name);
    return fd;
}

int wc_runs_new(struct wc_runs **out, const char *directory)
{
    struct wc_runs *r = calloc(1, sizeof(*r));
    *out = NULL;
    if (r == NULL)
        return -WC_ENOMEM;
    r->fd = open_nameless(directory);
    if (r->fd < 0) {
        int err = errno;
        free(r);
        return from_errno(err);
    }
    *out = r;
    return 0;
}

void wc_runs_free(struct wc_runs *r)
{
    if (r == NULL)
        return;
    if (r->map != NULL)
        munmap((void *)r->map, r->len);
    close(r->fd);
    free(r->runs);
    free(r->heap);
    free(r->postings);
    free(r);
}

/* ---- writing ---- */

static uint8_t *put_number(uint8_t *at, uint32_t n)
{
    for (; n > 0x7F; n >>= 7)
        *at++ = (uint8_t)(0x80 | (n & 0x7F));
    *at++ = (uint8_t)n;
    return at;
}

void wc_run_add(struct wc_buf *run, uint32_t step, uint32_t first_doc,
                const struct wc_posting *postings, uint32_t count)
{
    size_t most = (size_t)2 * NUMBER_MAX_BYTES + (size_t)count * (NUMBER_MAX_BYTES + 1);
    uint8_t *start = wc_buf_reserve(run, most), *at = start;
    uint32_t next = first_doc;
    if (start == NULL)
        return;
    at = put_number(at, step);
    at = put_number(at, count);
    for (uint32_t i = 0; i < count; i++) {
        at = put_number(at, postings[i].doc - next);
        *at++ = postings[i].impact;
        next = postings[i].doc + 1;
    }
    run->len += (size_t)(at - start);
}

static int write_all(int fd, struct wc_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return from_errno(n < 0 ? errno : ENOSPC);
        bytes = wc_slice(bytes.data + n, bytes.len - (size_t)n);
    }
    return 0;
}

int wc_runs_add(struct wc_runs *r, struct wc_slice run, uint32_t first_doc)
{
    if (run.len == 0)
        return 0;
    if (r->count == r->cap) {
        uint32_t cap = r->cap == 0 ? 64 : 2 * r->cap;
        struct run *runs = realloc(r->runs, cap * sizeof(*runs));
        if (runs == NULL)
            return -WC_ENOMEM;
        r->runs = runs;
        r->cap = cap;
    }
    int rc = write_all(r->fd, run);
    if (rc != 0)
        return rc;
    r->runs[r->count++] =
        (struct run){.at = r->len, .end = r->len + run.len, .first_doc = first_doc};
    r->len += run.len;
    return 0;
}

/* ---- reading ---- */

static int get_number(const struct wc_runs *r, struct run *run, uint32_t *out)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 7 * NUMBER_MAX_BYTES; shift += 7) {
        if (run->at == run->end)
            return -WC_ECORRUPT;
        uint8_t byte = r->map[run->at++];
        n |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) != 0)
            continue;
        *out = (uint32_t)n;
        return n <= UINT32_MAX ? 0 : -WC_ECORRUPT;
    }
    return -WC_ECORRUPT;
}

/* Runs are in order of their documents. */
static bool before(const struct wc_runs *r, uint32_t a, uint32_t b)
{
    return r->runs[a].term != r->runs[b].term ? r->runs[a].term < r->runs[b].term
                                              : a < b;
}

static void sink(struct wc_runs *r, uint32_t at)
{
    uint32_t one = r->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < r->heap_count && before(r, r->heap[child + 1], r->heap[child]))
            child++;
        if (child >= r->heap_count || !before(r, r->heap[child], one))
            break;
        r->heap[at] = r->heap[child];
        at = child;
    }
    r->heap[at] = one;
}

/* The term of the next block. */
static int next_term(const struct wc_runs *r, struct run *run)
{
    uint32_t step;
    int rc = get_number(r, run, &step);
    if (rc == 0 && (step == 0 || step > UINT32_MAX - run->term))
        rc = -WC_ECORRUPT;
    if (rc == 0)
        run->term += step;
    return rc;
}

int wc_runs_read(struct wc_runs *r)
{
    int rc = 0;
    if (r->count == 0)
        return 0;
    r->heap = calloc(r->count, sizeof(*r->heap));
    if (r->heap == NULL)
        return -WC_ENOMEM;
    void *map = mmap(NULL, r->len, PROT_READ, MAP_SHARED, r->fd, 0);
    if (map == MAP_FAILED)
        return from_errno(errno);
    r->map = map;
    for (uint32_t i = 0; rc == 0 && i < r->count; i++) {
        rc = next_term(r, &r->runs[i]);
        r->heap[i] = i;
    }
    r->heap_count = r->count;
    for (uint32_t i = r->heap_count / 2; rc == 0 && i-- > 0;)
        sink(r, i);
    return rc;
}

static int read_block(struct wc_runs *r, struct run *run, uint32_t *count)
{
    uint32_t n, next = run->first_doc;
    int rc = get_number(r, run, &n);
    if (rc != 0 || n == 0 || n > run->end - run->at)
        return -WC_ECORRUPT;
    if (n > r->postings_cap) {
        struct wc_posting *more = realloc(r->postings, n * sizeof(*more));
        if (more == NULL)
            return -WC_ENOMEM;
        r->postings = more;
        r->postings_cap = n;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t gap;
        rc = get_number(r, run, &gap);
        if (rc != 0 || run->at == run->end || gap >= WC_DOCS_END - next)
            return -WC_ECORRUPT;
        r->postings[i] = (struct wc_posting){next + gap, r->map[run->at++]};
        next += gap + 1;
    }
    *count = n;
    return 0;
}

int wc_runs_next(struct wc_runs *r, uint32_t *term, const struct wc_posting **postings,
                 uint32_t *count)
{
    if (r->heap_count == 0)
        return 0;
    struct run *run = &r->runs[r->heap[0]];
    *term = run->term;
    int rc = read_block(r, run, count);
    if (rc != 0)
        return rc;
    *postings = r->postings;
    if (run->at == run->end)
        r->heap[0] = r->heap[--r->heap_count];
    else if ((rc = next_term(r, run)) != 0)
        return rc;
    if (r->heap_count > 0)
        sink(r, 0);
    return 1;
}
