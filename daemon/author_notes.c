/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/author_notes.h"

#include <string.h>

#include <whocan/crypto.h>

#define PREFIX      '@'
#define KEY_BYTES   (1 + WC_DIGEST_BYTES)
#define VALUE_BYTES (WC_DIGEST_BYTES + 8 + 8)
#define LOOK_COUNT                                                                     \
    8 /* notes looked at for each one that is written: old ones go faster
                         than new ones come */
#define KEEP_MS (WC_KEY_CHANGE_SHOWN_MS + WC_DAY_MS)

struct note {
    uint8_t key_hash[WC_DIGEST_BYTES];
    uint64_t changed_at_ms, noted_at_ms;
};

static void note_key(uint8_t out[KEY_BYTES], const uint8_t slot[WC_DIGEST_BYTES])
{
    out[0] = PREFIX;
    memcpy(out + 1, slot, WC_DIGEST_BYTES);
}

static int read_value(struct wc_slice v, struct note *out)
{
    if (v.len != VALUE_BYTES)
        return -WC_ECORRUPT;
    memcpy(out->key_hash, v.data, WC_DIGEST_BYTES);
    out->changed_at_ms = wc_get_u64(v.data + WC_DIGEST_BYTES);
    out->noted_at_ms = wc_get_u64(v.data + WC_DIGEST_BYTES + 8);
    return 0;
}

static int get_note(struct wc_txn *t, uint32_t table,
                    const uint8_t slot[WC_DIGEST_BYTES], struct note *out)
{
    uint8_t key[KEY_BYTES];
    struct wc_slice v;
    note_key(key, slot);
    int rc = wc_txn_get(t, table, wc_slice(key, sizeof(key)), &v);
    return rc != 0 ? rc : read_value(v, out);
}

static int put_note(struct wc_txn *t, uint32_t table,
                    const uint8_t slot[WC_DIGEST_BYTES], const struct note *n)
{
    uint8_t key[KEY_BYTES], value[VALUE_BYTES];
    note_key(key, slot);
    memcpy(value, n->key_hash, WC_DIGEST_BYTES);
    wc_put_u64(value + WC_DIGEST_BYTES, n->changed_at_ms);
    wc_put_u64(value + WC_DIGEST_BYTES + 8, n->noted_at_ms);
    return wc_txn_put(t, table, wc_slice(key, sizeof(key)),
                      wc_slice(value, sizeof(value)));
}

/* ---- old notes ---- */

static bool is_note(struct wc_slice key)
{
    return key.len == KEY_BYTES && key.data[0] == PREFIX;
}

static bool is_old(struct wc_slice value, uint64_t now_ms)
{
    struct note n;
    return read_value(value, &n) != 0 || n.noted_at_ms + KEEP_MS < now_ms;
}

/* Look at some notes after the place where the last look ended: *old gets the keys of
 * those that may go, next where to go on. */
static int look(struct wc_txn *t, uint32_t table, uint64_t now_ms,
                uint8_t old[LOOK_COUNT][KEY_BYTES], int *old_count,
                uint8_t next[KEY_BYTES])
{
    struct wc_cursor c;
    int rc = wc_cursor_open(&c, t, table);
    *old_count = 0;
    if (rc == 0)
        rc = wc_cursor_seek(&c, wc_slice(next, KEY_BYTES));
    for (int i = 0; rc == 0 && i < LOOK_COUNT && is_note(c.key); i++) {
        if (is_old(c.value, now_ms))
            memcpy(old[(*old_count)++], c.key.data, KEY_BYTES);
        rc = wc_cursor_next(&c);
    }
    if (rc == 0 && is_note(c.key))
        memcpy(next, c.key.data, KEY_BYTES);
    else
        memset(next + 1, 0, WC_DIGEST_BYTES); /* past the last one: from the start */
    wc_cursor_close(&c);
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

static int forget_old(struct wc_txn *t, uint32_t table, uint64_t now_ms)
{
    static const char next_key[] = "@next";
    struct wc_slice v, place = wc_slice_text(next_key);
    uint8_t old[LOOK_COUNT][KEY_BYTES], next[KEY_BYTES] = {PREFIX};
    int old_count;
    int rc = wc_txn_get(t, table, place, &v);
    if (rc == 0 && is_note(v))
        memcpy(next, v.data, sizeof(next));
    if (rc != 0 && rc != -WC_ENOTFOUND)
        return rc;
    rc = look(t, table, now_ms, old, &old_count, next);
    for (int i = 0; rc == 0 && i < old_count; i++)
        rc = wc_txn_del(t, table, wc_slice(old[i], KEY_BYTES));
    return rc != 0 ? rc : wc_txn_put(t, table, place, wc_slice(next, sizeof(next)));
}

/* ---- changes ---- */

static void hash_key(const uint8_t key[WC_KEY_BYTES], uint8_t out[WC_DIGEST_BYTES])
{
    const struct wc_slice parts[] = {wc_slice_text("whocan author"),
                                     wc_slice(key, WC_KEY_BYTES)};
    wc_hash(out, parts, 2);
}

int wc_author_changes(struct wc_txn *t, uint32_t table,
                      const uint8_t slot[WC_DIGEST_BYTES], const uint8_t *old_key,
                      const uint8_t *new_key, uint64_t now_ms)
{
    struct note n = {.changed_at_ms = 0};
    if (old_key != NULL && new_key != NULL &&
        memcmp(old_key, new_key, WC_KEY_BYTES) == 0)
        return 0;
    int rc = get_note(t, table, slot, &n);
    bool noted = rc == 0;
    if (rc != 0 && rc != -WC_ENOTFOUND)
        return rc;
    uint8_t new_hash[WC_DIGEST_BYTES] = {0};
    if (old_key != NULL)
        hash_key(old_key, n.key_hash);
    if (new_key != NULL)
        hash_key(new_key, new_hash);
    bool known = noted || old_key != NULL;
    bool changed =
        known && new_key != NULL && memcmp(n.key_hash, new_hash, sizeof(new_hash)) != 0;
    if (!changed && (new_key != NULL || old_key == NULL))
        return 0;
    if (changed) {
        memcpy(n.key_hash, new_hash, sizeof(new_hash));
        n.changed_at_ms = now_ms;
    }
    n.noted_at_ms = now_ms;
    rc = put_note(t, table, slot, &n);
    return rc != 0 ? rc : forget_old(t, table, now_ms);
}

int wc_author_changed_at(struct wc_txn *t, uint32_t table,
                         const uint8_t slot[WC_DIGEST_BYTES], uint64_t *changed_at_ms)
{
    struct note n;
    *changed_at_ms = 0;
    int rc = get_note(t, table, slot, &n);
    if (rc == 0)
        *changed_at_ms = n.changed_at_ms;
    return rc == -WC_ENOTFOUND ? 0 : rc;
}
