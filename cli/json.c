/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/limits.h>

#include "cli/term.h"

/* ---- from MessagePack ---- */

json_t *wc_json_new_str(struct wc_slice text)
{
    return json_stringn(text.len > 0 ? (const char *)text.data : "", text.len);
}

static json_t *from_uint(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value)
                              : json_real((double)value);
}

static json_t *from_double(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *from_bin(struct wc_slice raw)
{
    struct wc_buf text = {0};
    wc_buf_base64url(&text, raw);
    json_t *value = text.failed ? NULL : wc_json_new_str(wc_buf_slice(&text));
    wc_buf_fini(&text);
    return value;
}

static int from_array(const struct wc_obj *obj, json_t **out)
{
    json_t *array = json_array();
    int rc = array == NULL ? -WC_ENOMEM : 0;
    for (uint32_t i = 0; rc == 0 && i < wc_obj_count(obj); i++) {
        json_t *item = NULL;
        rc = wc_json_from_obj(wc_obj_at(obj, i), &item);
        if (rc == 0 && json_array_append_new(array, item) != 0)
            rc = -WC_ENOMEM;
    }
    *out = array;
    return rc;
}

static int add_pair(json_t *object, const struct wc_obj *key,
                    const struct wc_obj *value)
{
    struct wc_slice name;
    json_t *item = NULL;
    int rc = wc_obj_str(key, &name);
    if (rc != 0)
        return rc;
    const char *text = name.len > 0 ? (const char *)name.data : "";
    if (json_object_getn(object, text, name.len) != NULL)
        return 0;
    rc = wc_json_from_obj(value, &item);
    if (rc == 0 && json_object_setn_new(object, text, name.len, item) != 0)
        rc = -WC_ENOMEM;
    return rc;
}

static int from_map(const struct wc_obj *obj, json_t **out)
{
    json_t *object = json_object();
    int rc = object == NULL ? -WC_ENOMEM : 0;
    for (uint32_t i = 0; rc == 0 && i < wc_obj_count(obj); i++)
        rc = add_pair(object, wc_obj_key(obj, i), wc_obj_value(obj, i));
    *out = object;
    return rc;
}

static int from_scalar(const struct wc_obj *obj, json_t **out)
{
    bool flag = false;
    uint64_t natural = 0;
    int64_t integer = 0;
    double real = 0;
    struct wc_slice text = {0};
    int rc = 0;

    if (wc_obj_bool(obj, &flag) == 0)
        *out = json_boolean(flag);
    else if (wc_obj_u64(obj, &natural) == 0)
        *out = from_uint(natural);
    else if (wc_obj_i64(obj, &integer) == 0)
        *out = json_integer(integer);
    else if (wc_obj_double(obj, &real) == 0)
        *out = from_double(real);
    else if (wc_obj_bin(obj, &text) == 0)
        *out = from_bin(text);
    else if ((rc = wc_obj_str(obj, &text)) == 0)
        *out = wc_json_new_str(text);
    return rc != 0 ? rc : *out == NULL ? -WC_ENOMEM : 0;
}

/* Recursion is bounded by the depth limit of the scan that let the object in. */
int wc_json_from_obj(const struct wc_obj *obj, json_t **out)
{
    int rc = 0;
    *out = NULL;
    switch (wc_obj_type(obj)) {
    case WC_NIL:
        *out = json_null();
        return 0;
    case WC_ARRAY:
        rc = from_array(obj, out);
        break;
    case WC_MAP:
        rc = from_map(obj, out);
        break;
    case WC_BOOL:
    case WC_UINT:
    case WC_INT:
    case WC_DOUBLE:
    case WC_STR:
    case WC_BIN:
        rc = from_scalar(obj, out);
        break;
    }
    if (rc != 0) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

/* ---- to MessagePack ---- */

static int pack_value(struct wc_buf *out, const json_t *value, unsigned depth);

static int pack_array(struct wc_buf *out, const json_t *array, unsigned depth)
{
    int rc = 0;
    wc_pack_array(out, (uint32_t)json_array_size(array));
    for (size_t i = 0; rc == 0 && i < json_array_size(array); i++)
        rc = pack_value(out, json_array_get(array, i), depth + 1);
    return rc;
}

static int pack_object(struct wc_buf *out, const json_t *object, unsigned depth)
{
    const char *key;
    json_t *value;
    wc_pack_map(out, (uint32_t)json_object_size(object));
    json_object_foreach((json_t *)object, key, value)
    {
        wc_pack_text(out, key);
        int rc = pack_value(out, value, depth + 1);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int pack_value(struct wc_buf *out, const json_t *value, unsigned depth)
{
    if (depth > WC_SCAN_DEPTH_MAX)
        return -WC_EDEPTH;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return pack_object(out, value, depth);
    case JSON_ARRAY:
        return pack_array(out, value, depth);
    case JSON_STRING:
        wc_pack_str(out, wc_slice(json_string_value(value), json_string_length(value)));
        break;
    case JSON_INTEGER:
        wc_pack_i64(out, json_integer_value(value));
        break;
    case JSON_REAL:
        wc_pack_double(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        wc_pack_bool(out, json_is_true(value));
        break;
    case JSON_NULL:
        wc_pack_nil(out);
        break;
    }
    return 0;
}

int wc_json_pack(struct wc_buf *out, const json_t *value)
{
    int rc = pack_value(out, value, 0);
    return rc == 0 && out->failed ? -WC_ENOMEM : rc;
}

/* ---- text ---- */

int wc_json_parse(struct wc_slice text, json_t **out, char *why, size_t why_cap)
{
    json_error_t error;
    *out = json_loadb(text.len > 0 ? (const char *)text.data : "", text.len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*out != NULL)
        return 0;
    enum json_error_code code = json_error_code(&error);
    if (code == json_error_null_character || code == json_error_null_byte_in_key) {
        snprintf(why, why_cap,
                 "line %d: a text holds \\u0000, the character with the number 0; no "
                 "field can hold it",
                 error.line);
        return -WC_EINVALID;
    }
    struct wc_buf safe = {0}; /* the parser quotes what it met */
    wc_term_safe(&safe, wc_slice_text(error.text));
    snprintf(why, why_cap, "%.*s", (int)safe.len,
             safe.len > 0 ? (char *)safe.data : "");
    wc_buf_fini(&safe);
    return -WC_EINVALID;
}

/* Dangerous characters stand in texts only, where an escape means the same. */
static void escape_hostile(struct wc_buf *out, struct wc_slice json)
{
    char text[16];
    for (size_t i = 0; i < json.len;) {
        uint32_t c = 0xfffd;
        size_t len = wc_term_decode(wc_slice(json.data + i, json.len - i), &c);
        if (len > 1 && wc_term_is_hostile(c) && c > 0xffff) {
            snprintf(text, sizeof(text), "\\u%04x\\u%04x",
                     0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
            wc_buf_text(out, text);
        } else if (c == 0x7f || (len > 1 && wc_term_is_hostile(c))) {
            snprintf(text, sizeof(text), "\\u%04x", c);
            wc_buf_text(out, text);
        } else {
            wc_buf_append(out, json.data + i, len == 0 ? 1 : len);
        }
        i += len == 0 ? 1 : len;
    }
}

int wc_json_text(struct wc_buf *out, const json_t *value, bool pretty)
{
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(12);
    char *text = json_dumps(value, pretty ? flags | JSON_INDENT(2) : flags);
    if (text == NULL)
        return -WC_ENOMEM;
    escape_hostile(out, wc_slice_text(text));
    free(text);
    return out->failed ? -WC_ENOMEM : 0;
}

/* ---- lookups ---- */

struct wc_slice wc_json_str(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return wc_slice(NULL, 0);
    return wc_slice(json_string_value(value), json_string_length(value));
}

uint64_t wc_json_u64(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return 0;
    return (uint64_t)json_integer_value(value);
}

bool wc_json_bool(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}
