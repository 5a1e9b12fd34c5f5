/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/enrol.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <whocan/crypto.h>

#include "daemon/about.h"
#include "daemon/local.h"

#define VERSION    1
#define OWNER      "key-owner/"
#define NAME_BYTES (WC_ABOUT_PREFIX_BYTES + 16)

typedef char value_name[NAME_BYTES];

static void fact_name(const char *login, const char *fact, value_name out)
{
    char prefix[WC_ABOUT_PREFIX_BYTES];
    wc_about_prefix(login, prefix);
    snprintf(out, NAME_BYTES, "%s%s", prefix, fact);
}

static void enrolled_name(const char *login, value_name out)
{
    fact_name(login, "enrolled", out);
}

static void pending_name(const char *login, value_name out)
{
    fact_name(login, "pending", out);
}

static void hash_of(const char *domain, struct wc_slice what,
                    uint8_t out[WC_DIGEST_BYTES])
{
    const struct wc_slice parts[] = {wc_slice_text(domain), what};
    wc_hash(out, parts, 2);
}

static void owner_name(const uint8_t key[WC_KEY_BYTES], value_name out)
{
    uint8_t hash[WC_DIGEST_BYTES];
    static_assert(sizeof(OWNER) + (size_t)2 * WC_DIGEST_BYTES <= NAME_BYTES, "it fits");
    hash_of("whocan key owner", wc_slice(key, WC_KEY_BYTES), hash);
    memcpy(out, OWNER, sizeof(OWNER) - 1);
    wc_hex(out + sizeof(OWNER) - 1, hash, sizeof(hash));
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
    value_name name;
    enrolled_name(login, name);
    memset(out, 0, sizeof(*out));
    int rc = wc_records_meta_get(r, name, &bytes);
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

bool wc_enrol_is(struct wc_records *r, const char *login, uint64_t uid)
{
    struct wc_enrolment e;
    return login[0] != '\0' && wc_enrol_get(r, login, &e) == 0 && e.known &&
           e.uid == uid;
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
                 bool another)
{
    struct wc_buf value = {0};
    value_name enrolled, pending, account, local, was, is;
    uint8_t login_hash[WC_DIGEST_BYTES];
    struct wc_meta_edit edits[6];
    size_t count = 0;
    enrolled_name(login, enrolled);
    pending_name(login, pending);
    fact_name(login, "account", account);
    fact_name(login, WC_LOCAL_FACT, local);
    owner_name(old->key, was);
    owner_name(now->key, is);
    hash_of("whocan login", wc_slice_text(login), login_hash);
    pack_enrolment(&value, now);
    if (old->known && old->has_key)
        edits[count++] = (struct wc_meta_edit){.key = was, .drop = true};
    if (now->has_key)
        edits[count++] =
            (struct wc_meta_edit){.key = is,
                                  .value = wc_slice(login_hash, sizeof(login_hash)),
                                  .claim = true};
    if (another) {
        edits[count++] = (struct wc_meta_edit){.key = pending, .drop = true};
        edits[count++] = (struct wc_meta_edit){.key = account, .drop = true};
        edits[count++] = (struct wc_meta_edit){.key = local, .drop = true};
    }
    edits[count++] =
        (struct wc_meta_edit){.key = enrolled, .value = wc_buf_slice(&value)};
    int rc = value.failed ? -WC_ENOMEM : wc_records_meta_edit(r, edits, count);
    wc_buf_fini(&value);
    return rc;
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
    value_name name;
    pending_name(login, name);
    memset(out, 0, sizeof(*out));
    int rc = wc_records_meta_get(r, name, &out->bytes);
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
                     const char *by, const struct wc_person *fields,
                     const struct wc_obj *audiences)
{
    wc_pack_array(out, 5);
    wc_pack_u64(out, VERSION);
    wc_pack_text(out, wc_edit_name(kind));
    wc_pack_u64(out, asked_at_ms);
    wc_pack_text(out, by);
    wc_pack_map(out, wc_person_pairs(fields) + (audiences != NULL));
    wc_person_pack_fields(out, fields);
    if (audiences != NULL) {
        wc_pack_text(out, "audience");
        wc_pack_obj(out, audiences);
    }
}

int wc_pending_put(struct wc_records *r, const char *login, struct wc_slice packed)
{
    value_name name;
    pending_name(login, name);
    return wc_records_meta_put(r, name, packed);
}

int wc_pending_drop(struct wc_records *r, const char *login)
{
    value_name name;
    pending_name(login, name);
    struct wc_meta_edit edit = {.key = name, .drop = true};
    return wc_records_meta_edit(r, &edit, 1);
}
