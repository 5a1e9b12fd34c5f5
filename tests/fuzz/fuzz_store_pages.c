/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of an index with bytes changed, or any bytes as such a file: what is found to be
 * in order LMDB reads to its end without a fault, and every value is as it was sealed.
 *
 * input: 0 ‖ changes of place (3) and byte (1); or 1 ‖ a file
 */
#include "daemon/index_internal.h"
#include "daemon/store_pages.h"
#include "tests/fuzz/council.h"

static struct wc_buf whole, changed;

static int walk_fn(struct wc_txn *t, void *ctx)
{
    uint64_t count, walked;
    (void)ctx;
    for (uint32_t i = 0; wc_index_store.tables[i] != NULL; i++) {
        struct wc_cursor c;
        struct wc_slice value;
        walked = 0;
        HOLDS(wc_txn_count(t, i, &count) == 0 && wc_cursor_open(&c, t, i) == 0);
        for (int rc = wc_cursor_first(&c); rc == 0; rc = wc_cursor_next(&c), walked++) {
            HOLDS(wc_cursor_check(&c) == 0);
            HOLDS(wc_txn_get(t, i, c.key, &value) == 0);
            HOLDS(wc_slice_eq(value, c.value));
        }
        wc_cursor_close(&c);
        HOLDS(walked == count);
    }
    return 0;
}

static void read_by_lmdb(struct wc_slice file)
{
    char problem[WC_PROBLEM_BYTES];
    struct wc_store *s;
    council_write(file);
    if (wc_store_open(&s, council_path("index"), &wc_index_store, NULL, problem) != 0)
        return; /* of another version */
    HOLDS(wc_store_read(s, walk_fn, NULL) == 0);
    wc_store_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[WC_PROBLEM_BYTES];
    if (whole.len == 0) {
        council_begin(true);
        council_close();
        council_read(&whole);
        HOLDS(wc_store_pages_check(wc_buf_slice(&whole), wc_index_store.tables, true,
                                   problem) == 0);
    }
    if (size == 0)
        return 0;
    if (data[0] != 0) {
        (void)wc_store_pages_check(wc_slice(data + 1, size - 1), wc_index_store.tables,
                                   true, problem);
        return 0;
    }
    wc_buf_reset(&changed);
    wc_buf_append(&changed, whole.data, whole.len);
    HOLDS(!changed.failed);
    for (size_t i = 1; i + 4 <= size; i += 4) {
        size_t at = (size_t)data[i] << 16 | (size_t)data[i + 1] << 8 | data[i + 2];
        changed.data[at % changed.len] = data[i + 3];
    }
    if (wc_store_pages_check(wc_buf_slice(&changed), wc_index_store.tables, true,
                             problem) == 0)
        read_by_lmdb(wc_buf_slice(&changed));
    else
        HOLDS(problem[0] != '\0');
    return 0;
}
