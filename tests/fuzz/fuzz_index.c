/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of an index changed, and sealed again, so that nothing but sense can tell:
 * opening, searching, counting and checking it may find it damaged, and nothing worse.
 * What was damaged is built anew, and then right.
 *
 * input: changes of table (1), entry (1), length (1) and value; length 255: delete it, from
 * 128 on: change that many bytes, less 128, of the value that is there
 */
#include <stdatomic.h>

#include "daemon/index_check.h"
#include "daemon/index_internal.h"
#include "daemon/skills.h"
#include "tests/fuzz/council.h"

static struct wc_buf whole;

struct changes {
    const uint8_t *data;
    size_t size;
};

static struct wc_slice take(struct changes *x, size_t len)
{
    struct wc_slice s = wc_slice(x->data, len < x->size ? len : x->size);
    x->data += s.len;
    x->size -= s.len;
    return s;
}

static int change_one(struct wc_txn *t, struct changes *x)
{
    uint8_t key[WC_STORE_KEY_MAX_BYTES], value[8192];
    struct wc_slice head = take(x, 3);
    struct wc_cursor c;
    uint32_t table = head.data[0] % (WC_IX_META + 1);
    size_t len = head.data[2];
    HOLDS(wc_cursor_open(&c, t, table) == 0);
    int rc = wc_cursor_first(&c);
    for (int i = 0; rc == 0 && i < head.data[1]; i++)
        if (wc_cursor_next(&c) != 0)
            rc = wc_cursor_first(&c);
    size_t key_len = rc == 0 ? c.key.len : 0, old = rc == 0 ? c.value.len : 0;
    if (rc == 0) {
        memcpy(key, c.key.data, key_len);
        old = old < sizeof(value) ? old : sizeof(value);
        memcpy(value, c.value.data, old);
    }
    wc_cursor_close(&c);
    if (rc != 0)
        return 0; /* an empty table */
    if (len == 255)
        return wc_txn_del(t, table, wc_slice(key, key_len));
    struct wc_slice bytes = take(x, len & 0x7F);
    if (len < 128)
        return wc_txn_put(t, table, wc_slice(key, key_len), bytes);
    for (size_t i = 0; i + 1 < bytes.len && old > 0; i += 2)
        value[(bytes.data[i] * 8U) % old] = bytes.data[i + 1];
    return wc_txn_put(t, table, wc_slice(key, key_len), wc_slice(value, old));
}

static int change_fn(struct wc_txn *t, void *ctx)
{
    struct changes x = *(const struct changes *)ctx;
    int rc = 0;
    while (rc == 0 && x.size >= 3)
        rc = change_one(t, &x);
    return rc;
}

static void no_row(void *ctx, const struct wc_skill_row *row)
{
    (void)ctx;
    HOLDS(row->people <= COUNCIL_PEOPLE || row->people > 0);
}

static void search(void)
{
    static const char *const questions[] = {"content design", "gardning blogs",
                                            "who can help with C++", "person7 ann web"};
    static const struct wc_filter none;
    struct wc_skills_query q = {.limit = 50, .home = true};
    struct wc_skills_found found = {0};
    for (unsigned i = 0; i < 4; i++)
        (void)council_find(wc_slice_text(questions[i]), &none, i * 2 + 4);
    (void)wc_index_skills(council_index, &q, no_row, NULL, &found);
    wc_buf_fini(&found.corrected);
}

static uint64_t faults(void)
{
    const struct wc_check_options o = {council_index, council_records, true};
    struct wc_check *c;
    int rc = wc_check_new(&c, &o);
    while (rc == 0 && (rc = wc_check_go_on(c)) == 1)
        rc = 0;
    HOLDS(rc == 0);
    uint64_t count = wc_check_index_faults(c);
    HOLDS(wc_check_result(c, WC_CHECK_RECORDS)->faults == 0);
    wc_check_free(c);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    atomic_bool stop = false;
    struct changes x = {data, size};
    if (whole.len == 0) {
        council_begin(false);
        HOLDS(faults() == 0);
        council_close();
        council_read(&whole);
    }
    council_write(wc_buf_slice(&whole));
    council_open();
    HOLDS(wc_store_write(council_index->store, change_fn, &x) == 0);
    council_close();
    council_open();
    search();
    if (faults() > 0 || wc_index_is_damaged(council_index, NULL)) {
        HOLDS(wc_index_rebuild(council_index, &stop, NULL, NULL) == 0);
        HOLDS(faults() == 0);
    }
    council_close();
    return 0;
}
