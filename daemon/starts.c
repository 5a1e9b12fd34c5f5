/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/starts.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/index_internal.h"

#define BLOCK_BYTES ((size_t)WC_STARTS_DOCS * WC_START_BYTES)

void wc_start_set(struct wc_start *s, uint32_t doc, const char *subject)
{
    *s = (struct wc_start){.doc = doc};
    memcpy(s->bytes, subject, strnlen(subject, WC_START_BYTES));
}

static struct wc_slice block_key(uint8_t out[4], uint32_t doc)
{
    wc_put_u32(out, doc / WC_STARTS_DOCS);
    return wc_slice(out, 4);
}

int wc_starts_block(struct wc_cursor *c, uint32_t doc, struct wc_slice *out)
{
    uint8_t bytes[4];
    struct wc_slice key = block_key(bytes, doc);
    int rc = wc_cursor_seek(c, key);
    if (rc == -WC_ENOTFOUND)
        return -WC_ECORRUPT;
    if (rc == 0 && (!wc_slice_eq(c->key, key) || c->value.len > BLOCK_BYTES ||
                    c->value.len % WC_START_BYTES != 0 ||
                    c->value.len < wc_start_at(doc) + WC_START_BYTES))
        return -WC_ECORRUPT;
    *out = c->value;
    return rc;
}

static int compare(const void *a, const void *b)
{
    const struct wc_start *x = a, *y = b;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

/* The first of some that lie in one block; *done of them. */
static int write_block(struct wc_txn *t, uint8_t *block, const struct wc_start *starts,
                       uint32_t count, uint32_t *done)
{
    uint8_t key_bytes[4];
    struct wc_slice old, key = block_key(key_bytes, starts[0].doc);
    size_t len = 0;
    int rc = wc_txn_get(t, WC_IX_START, key, &old);
    if (rc != 0 && rc != -WC_ENOTFOUND)
        return rc;
    if (rc == 0 && old.len > BLOCK_BYTES)
        return -WC_ECORRUPT;
    memset(block, 0, BLOCK_BYTES);
    if (rc == 0) {
        memcpy(block, old.data, old.len);
        len = old.len;
    }
    uint32_t n = 0;
    for (;
         n < count && starts[n].doc / WC_STARTS_DOCS == starts[0].doc / WC_STARTS_DOCS;
         n++) {
        size_t at = wc_start_at(starts[n].doc);
        memcpy(block + at, starts[n].bytes, WC_START_BYTES);
        len = at + WC_START_BYTES > len ? at + WC_START_BYTES : len;
    }
    *done = n;
    return wc_txn_put(t, WC_IX_START, key, wc_slice(block, len));
}

int wc_starts_write(struct wc_txn *t, struct wc_start *starts, uint32_t count)
{
    uint8_t *block = count > 0 ? malloc(BLOCK_BYTES) : NULL;
    int rc = count > 0 && block == NULL ? -WC_ENOMEM : 0;
    if (count > 1)
        qsort(starts, count, sizeof(*starts), compare);
    for (uint32_t i = 0, done = 0; rc == 0 && i < count; i += done)
        rc = write_block(t, block, starts + i, count - i, &done);
    free(block);
    return rc;
}
