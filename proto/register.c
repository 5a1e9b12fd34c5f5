/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <whocan/pack.h>
#include <whocan/register.h>

#include "proto/field.h"

#define REGISTER_VERSION 1
#define FIELD            "register"

static const struct wc_scan_limits register_scan = {
    .bytes_max = WC_REGISTER_MAX_BYTES,
    .depth_max = 4,
    /* a byte string each; an array, a key and a time each */
    .nodes_max = 4 * WC_REGISTER_MAX_COUNT + 16,
};

const char *wc_issued_state_name(enum wc_issued_state state)
{
    switch (state) {
    case WC_ISSUED_CURRENT:
        return "current";
    case WC_ISSUED_REPLACED:
        return "replaced";
    case WC_ISSUED_REVOKED:
        return "revoked";
    case WC_ISSUED_EXPIRED:
        return "expired";
    }
    return "";
}

void wc_register_fini(struct wc_register *reg)
{
    for (uint32_t i = 0; i < reg->issued_count; i++)
        free(reg->issued[i].bytes);
    free(reg->issued);
    free(reg->revoked);
    *reg = (struct wc_register){.issued = NULL};
}

/* ---- certificates ---- */

/* The place of the first certificate whose serial is not below. */
static uint32_t serial_place(const struct wc_register *reg, uint64_t serial)
{
    uint32_t low = 0, high = reg->issued_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (reg->issued[middle].cert.serial < serial)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int grow(void **list, uint32_t count, uint32_t *cap, size_t size)
{
    if (count >= WC_REGISTER_MAX_COUNT)
        return -WC_ELIMIT;
    if (count < *cap)
        return 0;
    uint32_t more = *cap == 0 ? 16 : 2 * *cap;
    void *grown = realloc(*list, more * size);
    if (grown == NULL)
        return -WC_ENOMEM;
    *list = grown;
    *cap = more;
    return 0;
}

int wc_register_add(struct wc_register *reg, const struct wc_org *org,
                    struct wc_slice cert, struct wc_cert *out)
{
    struct wc_issued issued = {.len = cert.len};
    int rc = wc_cert_open(cert, org, &issued.cert, NULL);
    if (rc != 0)
        return rc;
    uint32_t at = serial_place(reg, issued.cert.serial);
    if (at < reg->issued_count && reg->issued[at].cert.serial == issued.cert.serial)
        return -WC_EEXISTS;
    void *list = reg->issued;
    rc = grow(&list, reg->issued_count, &reg->issued_cap, sizeof(*reg->issued));
    if (rc != 0)
        return rc;
    reg->issued = list;
    if ((issued.bytes = malloc(cert.len)) == NULL)
        return -WC_ENOMEM;
    memcpy(issued.bytes, cert.data, cert.len);
    memmove(&reg->issued[at + 1], &reg->issued[at],
            (reg->issued_count - at) * sizeof(*reg->issued));
    reg->issued[at] = issued;
    reg->issued_count++;
    if (out != NULL)
        *out = issued.cert;
    return 0;
}

/* ---- revocations ---- */

static uint32_t key_place(const struct wc_register *reg,
                          const uint8_t key[WC_KEY_BYTES])
{
    uint32_t low = 0, high = reg->revoked_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(reg->revoked[middle].key, key, WC_KEY_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool key_is_at(const struct wc_register *reg, uint32_t at,
                      const uint8_t key[WC_KEY_BYTES])
{
    return at < reg->revoked_count &&
           memcmp(reg->revoked[at].key, key, WC_KEY_BYTES) == 0;
}

int wc_register_revoke(struct wc_register *reg, const uint8_t key[WC_KEY_BYTES],
                       uint64_t at_ms)
{
    uint32_t at = key_place(reg, key);
    if (key_is_at(reg, at, key))
        return -WC_EEXISTS;
    void *list = reg->revoked;
    int rc = grow(&list, reg->revoked_count, &reg->revoked_cap, sizeof(*reg->revoked));
    if (rc != 0)
        return rc;
    reg->revoked = list;
    memmove(&reg->revoked[at + 1], &reg->revoked[at],
            (reg->revoked_count - at) * sizeof(*reg->revoked));
    memcpy(reg->revoked[at].key, key, WC_KEY_BYTES);
    reg->revoked[at].at_ms = at_ms;
    reg->revoked_count++;
    return 0;
}

uint64_t wc_register_revoked_at(const struct wc_register *reg,
                                const uint8_t key[WC_KEY_BYTES])
{
    uint32_t at = key_place(reg, key);
    return key_is_at(reg, at, key) ? reg->revoked[at].at_ms : 0;
}

/* ---- states ---- */

static int newer_first(const struct wc_issued *a, const struct wc_issued *b)
{
    return a->cert.serial > b->cert.serial ? -1 : a->cert.serial < b->cert.serial;
}

static int by_key(const void *one, const void *other)
{
    const struct wc_issued *a = *(const struct wc_issued *const *)one,
                           *b = *(const struct wc_issued *const *)other;
    int order = memcmp(a->cert.sign_key, b->cert.sign_key, WC_KEY_BYTES);
    return order != 0 ? order : newer_first(a, b);
}

static int by_name(const void *one, const void *other)
{
    const struct wc_issued *a = *(const struct wc_issued *const *)one,
                           *b = *(const struct wc_issued *const *)other;
    int order = strcmp(a->cert.name, b->cert.name);
    return order != 0 ? order : newer_first(a, b);
}

/* Of each run that `same` holds together, all but the first that still counts are
 * replaced. `sorted` is in the order that puts runs together, the newest first. */
static void replace_runs(const struct wc_register *reg, const struct wc_issued **sorted,
                         bool (*same)(const struct wc_issued *a,
                                      const struct wc_issued *b),
                         enum wc_issued_state *out)
{
    bool found = false;
    for (uint32_t i = 0; i < reg->issued_count; i++) {
        enum wc_issued_state *state = &out[sorted[i] - reg->issued];
        if (i > 0 && !same(sorted[i - 1], sorted[i]))
            found = false;
        if (*state != WC_ISSUED_CURRENT)
            continue;
        if (found)
            *state = WC_ISSUED_REPLACED;
        found = true;
    }
}

static bool same_key(const struct wc_issued *a, const struct wc_issued *b)
{
    return memcmp(a->cert.sign_key, b->cert.sign_key, WC_KEY_BYTES) == 0;
}

static bool same_name(const struct wc_issued *a, const struct wc_issued *b)
{
    return strcmp(a->cert.name, b->cert.name) == 0;
}

int wc_register_states(const struct wc_register *reg, uint64_t now_ms,
                       enum wc_issued_state *out)
{
    const struct wc_issued **sorted =
        calloc(reg->issued_count + 1u, sizeof(struct wc_issued *));
    if (sorted == NULL)
        return -WC_ENOMEM;
    for (uint32_t i = 0; i < reg->issued_count; i++) {
        const struct wc_issued *c = &reg->issued[i];
        bool revoked = wc_register_revoked_at(reg, c->cert.sign_key) != 0;
        out[i] = revoked ? WC_ISSUED_REVOKED : WC_ISSUED_CURRENT;
        sorted[i] = c;
    }
    qsort(sorted, reg->issued_count, sizeof(struct wc_issued *), by_key);
    replace_runs(reg, sorted, same_key, out);
    qsort(sorted, reg->issued_count, sizeof(struct wc_issued *), by_name);
    replace_runs(reg, sorted, same_name, out);
    for (uint32_t i = 0; i < reg->issued_count; i++) {
        if (out[i] == WC_ISSUED_CURRENT && now_ms >= reg->issued[i].cert.not_after_ms)
            out[i] = WC_ISSUED_EXPIRED;
    }
    free(sorted);
    return 0;
}

/* ---- bytes ---- */

int wc_register_encode(const struct wc_register *reg, struct wc_buf *out)
{
    wc_pack_array(out, 3);
    wc_pack_u64(out, REGISTER_VERSION);
    wc_pack_array(out, reg->issued_count);
    for (uint32_t i = 0; i < reg->issued_count; i++)
        wc_pack_bin(out, wc_slice(reg->issued[i].bytes, reg->issued[i].len));
    wc_pack_array(out, reg->revoked_count);
    for (uint32_t i = 0; i < reg->revoked_count; i++) {
        wc_pack_array(out, 2);
        wc_pack_bin(out, wc_slice(reg->revoked[i].key, WC_KEY_BYTES));
        wc_pack_u64(out, reg->revoked[i].at_ms);
    }
    return out->failed ? -WC_ENOMEM : 0;
}

static int read_issued(const struct wc_obj *list, const struct wc_org *org,
                       struct wc_register *reg, struct wc_err *err)
{
    uint64_t last = 0;
    if (wc_obj_type(list) != WC_ARRAY)
        return wc_fail(err, WC_ETYPE, FIELD, "must list certificates");
    for (uint32_t i = 0; i < wc_obj_count(list); i++) {
        struct wc_slice bytes;
        struct wc_cert cert;
        if (wc_obj_bin(wc_obj_at(list, i), &bytes) != 0)
            return wc_fail(err, WC_ETYPE, FIELD, "must list certificates");
        int rc = wc_register_add(reg, org, bytes, &cert);
        if (rc == -WC_EEXISTS || (rc == 0 && i > 0 && cert.serial < last))
            return wc_fail(err, WC_EINVALID, FIELD, "is not in order of its serials");
        if (rc == -WC_EBADSIG)
            return wc_fail(err, WC_EBADSIG, FIELD,
                           "holds a certificate that the organisation did not sign");
        if (rc != 0)
            return wc_fail(err, (enum wc_error)(-rc), FIELD, NULL);
        last = cert.serial;
    }
    return 0;
}

static int read_one_revoked(const struct wc_obj *pair, struct wc_register *reg,
                            struct wc_err *err)
{
    uint8_t key[WC_KEY_BYTES];
    uint64_t at_ms;
    if (wc_obj_type(pair) != WC_ARRAY || wc_obj_count(pair) != 2)
        return wc_fail(err, WC_ETYPE, FIELD, "must list keys and times");
    int rc = wc_field_bin(wc_obj_at(pair, 0), FIELD, key, WC_KEY_BYTES, err);
    if (rc == 0)
        rc = wc_field_u64(wc_obj_at(pair, 1), FIELD, WC_REV_MAX, &at_ms, err);
    if (rc != 0)
        return rc;
    if (at_ms == 0 || key_place(reg, key) != reg->revoked_count)
        return wc_fail(err, WC_EINVALID, FIELD, "is not in order of its keys");
    rc = wc_register_revoke(reg, key, at_ms);
    return rc == 0 ? 0 : wc_fail(err, (enum wc_error)(-rc), FIELD, NULL);
}

static int read_revoked(const struct wc_obj *list, struct wc_register *reg,
                        struct wc_err *err)
{
    int rc = 0;
    if (wc_obj_type(list) != WC_ARRAY)
        return wc_fail(err, WC_ETYPE, FIELD, "must list keys and times");
    for (uint32_t i = 0; rc == 0 && i < wc_obj_count(list); i++)
        rc = read_one_revoked(wc_obj_at(list, i), reg, err);
    return rc;
}

static int read_root(const struct wc_obj *root, const struct wc_org *org,
                     struct wc_register *reg, struct wc_err *err)
{
    uint64_t version;
    if (wc_obj_type(root) != WC_ARRAY || wc_obj_u64(wc_obj_at(root, 0), &version) != 0)
        return wc_fail(err, WC_ETYPE, FIELD, "must be an array with a version");
    if (version != REGISTER_VERSION)
        return wc_fail(err, WC_EVERSION, FIELD, NULL);
    if (wc_obj_count(root) != 3)
        return wc_fail(err, WC_EINVALID, FIELD, "has the wrong number of elements");
    int rc = read_issued(wc_obj_at(root, 1), org, reg, err);
    return rc == 0 ? read_revoked(wc_obj_at(root, 2), reg, err) : rc;
}

int wc_register_decode(struct wc_slice bytes, const struct wc_org *org,
                       struct wc_register *out, struct wc_err *err)
{
    struct wc_register reg = {.issued = NULL};
    struct wc_doc *doc;
    int rc = wc_doc_new(bytes, &register_scan, &doc);
    if (rc != 0)
        return wc_fail(err, (enum wc_error)(-rc), FIELD, NULL);
    rc = read_root(wc_doc_root(doc), org, &reg, err);
    wc_doc_free(doc);
    if (rc == 0)
        *out = reg;
    else
        wc_register_fini(&reg);
    return rc;
}
