/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/enrol.h"

#include <string.h>

#include <whocan/crypto.h>

#define VERSION  1
#define ENROLLED "enrolled/"
#define OWNER    "person-key/"
#define PENDING  "pending/"
#define KEY_ROOM (16 + WC_SUBJECT_MAX_BYTES)

struct key {
    uint8_t bytes[KEY_ROOM];
    size_t len;
};

static struct key key_of(const char *prefix, const void *name, size_t len)
{
    struct key k = {.len = strlen(prefix)};
    memcpy(k.bytes, prefix, k.len);
    memcpy(k.bytes + k.len, name, len);
    k.len += len;
    return k;
}

static struct key login_key(const char *prefix, const char *login)
{
    return key_of(prefix, login, strnlen(login, WC_SUBJECT_MAX_BYTES));
}

static struct wc_slice slice(const struct key *k)
{
    return wc_slice(k->bytes, k->len);
}

/* ---- enrolments ---- */

static int read_enrolment(const struct wc_obj *o, struct wc_enrolment *out)
{
    uint64_t version = 0;
    const struct wc_obj *key = wc_obj_at(o, 3);
    int rc = wc_obj_u64(wc_obj_at(o, 0), &version);
    if (rc == 0 && version != VERSION)
        return -WC_EVERSION;
    if (rc == 0)
        rc = wc_obj_u64(wc_obj_at(o, 1), &out->uid);
    if (rc == 0)
        rc = wc_obj_u64(wc_obj_at(o, 2), &out->since_ms);
    out->has_key = key != NULL && wc_obj_type(key) != WC_NIL;
    if (rc == 0 && out->has_key)
        rc = wc_obj_bin_exact(key, out->key, WC_KEY_BYTES);
    if (rc == 0)
        rc = wc_obj_u64(wc_obj_at(o, 4), &out->key_changed_at_ms);
    return rc == 0 || rc == -WC_ENOMEM ? rc : -WC_ECORRUPT;
}

int wc_enrol_get(struct wc_records *r, const char *login, struct wc_enrolment *out)
{
    struct wc_buf bytes = {0};
    struct wc_doc *doc = NULL;
    struct key key = login_key(ENROLLED, login);
    memset(out, 0, sizeof(*out));
    int rc = wc_records_local_get(r, slice(&key), &bytes);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0)
        rc = wc_doc_new(wc_buf_slice(&bytes), &wc_scan_default, &doc);
    if (rc == 0)
        rc = read_enrolment(wc_doc_root(doc), out);
    out->known = rc == 0;
    wc_doc_free(doc);
    wc_buf_fini(&bytes);
    return rc;
}

static void pack_enrolment(struct wc_buf *b, const struct wc_enrolment *e)
{
    wc_pack_array(b, 5);
    wc_pack_u64(b, VERSION);
    wc_pack_u64(b, e->uid);
    wc_pack_u64(b, e->since_ms);
    if (e->has_key)
        wc_pack_bin(b, wc_slice(e->key, WC_KEY_BYTES));
    else
        wc_pack_nil(b);
    wc_pack_u64(b, e->key_changed_at_ms);
}

int wc_enrol_put(struct wc_records *r, const char *login,
                 const struct wc_enrolment *old, const struct wc_enrolment *now,
                 bool drop_pending)
{
    struct wc_buf value = {0};
    struct key enrolled = login_key(ENROLLED, login);
    struct key pending = login_key(PENDING, login);
    struct key was = key_of(OWNER, old->key, WC_KEY_BYTES);
    struct key is = key_of(OWNER, now->key, WC_KEY_BYTES);
    struct wc_local changes[4];
    size_t count = 0;
    pack_enrolment(&value, now);
    if (old->known && old->has_key)
        changes[count++] = (struct wc_local){.key = slice(&was), .drop = true};
    if (now->has_key)
        changes[count++] = (struct wc_local){
            .key = slice(&is), .value = wc_slice_text(login), .claim = true};
    if (drop_pending)
        changes[count++] = (struct wc_local){.key = slice(&pending), .drop = true};
    changes[count++] =
        (struct wc_local){.key = slice(&enrolled), .value = wc_buf_slice(&value)};
    int rc = value.failed ? -WC_ENOMEM : wc_records_local_write(r, changes, count);
    wc_buf_fini(&value);
    return rc;
}

int wc_enrol_forget(struct wc_records *r, const char *login)
{
    struct wc_enrolment e;
    struct key enrolled = login_key(ENROLLED, login);
    struct key pending = login_key(PENDING, login);
    int rc = wc_enrol_get(r, login, &e);
    if (rc == -WC_ECORRUPT || rc == -WC_EVERSION)
        e.has_key = false; /* away with it all the same */
    else if (rc != 0)
        return rc;
    struct key owner = key_of(OWNER, e.key, WC_KEY_BYTES);
    struct wc_local changes[] = {{.key = slice(&enrolled), .drop = true},
                                 {.key = slice(&pending), .drop = true},
                                 {.key = slice(&owner), .drop = true}};
    return wc_records_local_write(r, changes, e.has_key ? 3 : 2);
}

/* ---- what waits ---- */

static int read_pending(struct wc_pending_edit *out)
{
    const struct wc_obj *o = wc_doc_root(out->doc);
    struct wc_slice name;
    uint64_t version = 0;
    int rc = wc_obj_u64(wc_obj_at(o, 0), &version);
    if (rc == 0 && version != VERSION)
        return -WC_EVERSION;
    if (rc == 0)
        rc = wc_obj_str(wc_obj_at(o, 1), &name);
    if (rc == 0)
        rc = wc_edit_find(name, &out->kind);
    if (rc == 0)
        rc = wc_obj_u64(wc_obj_at(o, 2), &out->asked_at_ms);
    if (rc == 0)
        rc = wc_obj_str(wc_obj_at(o, 3), &out->by);
    out->fields = wc_obj_at(o, 4);
    return rc == 0 && out->fields != NULL ? 0 : -WC_ECORRUPT;
}

static void name_pending(struct wc_pending_edit *p)
{
    uint8_t digest[WC_DIGEST_BYTES];
    const struct wc_slice parts[] = {wc_buf_slice(&p->bytes)};
    wc_hash(digest, parts, 1);
    wc_hex(p->id, digest, WC_PENDING_ID_CHARS / 2);
}

int wc_pending_get(struct wc_records *r, const char *login, struct wc_pending_edit *out)
{
    struct key key = login_key(PENDING, login);
    memset(out, 0, sizeof(*out));
    int rc = wc_records_local_get(r, slice(&key), &out->bytes);
    if (rc == 0)
        rc = wc_doc_new(wc_buf_slice(&out->bytes), &wc_scan_default, &out->doc);
    if (rc == 0)
        rc = read_pending(out);
    if (rc == 0)
        name_pending(out);
    else
        wc_pending_fini(out);
    return rc;
}

void wc_pending_fini(struct wc_pending_edit *p)
{
    wc_doc_free(p->doc);
    wc_buf_fini(&p->bytes);
    p->doc = NULL;
}

void wc_pending_pack(struct wc_buf *out, enum wc_edit_kind kind, uint64_t asked_at_ms,
                     const char *by, const struct wc_person *fields)
{
    wc_pack_array(out, 5);
    wc_pack_u64(out, VERSION);
    wc_pack_text(out, wc_edit_name(kind));
    wc_pack_u64(out, asked_at_ms);
    wc_pack_text(out, by);
    wc_pack_map(out, wc_person_pairs(fields));
    wc_person_pack_fields(out, fields);
}

int wc_pending_put(struct wc_records *r, const char *login, struct wc_slice packed)
{
    struct key key = login_key(PENDING, login);
    struct wc_local change = {.key = slice(&key), .value = packed};
    return wc_records_local_write(r, &change, 1);
}

int wc_pending_drop(struct wc_records *r, const char *login)
{
    struct key key = login_key(PENDING, login);
    struct wc_local change = {.key = slice(&key), .drop = true};
    return wc_records_local_write(r, &change, 1);
}
