/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/field.h"

#include <string.h>

static bool is_blank(struct wc_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] != ' ')
            return false;
    }
    return true;
}

/* Whether eight bytes are all from 0x20 to 0x7e. */
static bool is_plain_text(const uint8_t *bytes)
{
    const uint64_t each = 0x0101010101010101, high = 0x80 * each;
    uint64_t x, del;
    memcpy(&x, bytes, sizeof(x));
    del = x ^ 0x7f * each;
    return ((x | ((x - 0x20 * each) & ~x) | ((del - each) & ~del)) & high) == 0;
}

bool wc_text_has_control(struct wc_slice s, bool lines)
{
    for (size_t i = 0; i < s.len; i++) {
        while (s.len - i > 8 && is_plain_text(s.data + i))
            i += 8;
        uint8_t c = s.data[i];
        if (lines && (c == '\n' || c == '\t'))
            continue;
        if (c < 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 < s.len && s.data[i + 1] < 0xa0) /* U+0080..U+009F */
            return true;
    }
    return false;
}

int wc_text_check(struct wc_slice s, const struct wc_text_rule *rule,
                  struct wc_err *err)
{
    if (s.len > rule->max_bytes)
        return wc_fail(err, WC_ETOOBIG, rule->field, rule->too_long);
    if (!wc_utf8_valid(s))
        return wc_fail(err, WC_EINVALID, rule->field, "must be UTF-8 text");
    if (wc_text_has_control(s, rule->lines))
        return wc_fail(err, WC_EINVALID, rule->field,
                       "must not contain control characters");
    if (!rule->blank && is_blank(s))
        return wc_fail(err, WC_EINVALID, rule->field, "must not be empty");
    return 0;
}

int wc_field_text(const struct wc_obj *o, const struct wc_text_rule *rule,
                  struct wc_slice *out, struct wc_err *err)
{
    struct wc_slice s;
    int rc = wc_obj_str(o, &s);
    if (rc == -WC_EMISSING)
        return wc_fail(err, WC_EMISSING, rule->field, "is missing");
    if (rc == -WC_ETYPE)
        return wc_fail(err, WC_ETYPE, rule->field, "must be text");
    if (rc != 0)
        return wc_fail(err, WC_EINVALID, rule->field, "must be UTF-8 text");
    if ((rc = wc_text_check(s, rule, err)) == 0)
        *out = s;
    return rc;
}

int wc_field_u64(const struct wc_obj *o, const char *field, uint64_t max, uint64_t *out,
                 struct wc_err *err)
{
    uint64_t v;
    int rc = wc_obj_u64(o, &v);
    if (rc == -WC_EMISSING)
        return wc_fail(err, WC_EMISSING, field, "is missing");
    if (rc != 0)
        return wc_fail(err, WC_ETYPE, field, "must be a whole number of 0 or more");
    if (v > max)
        return wc_fail(err, WC_EINVALID, field, "is too large a number");
    *out = v;
    return 0;
}

int wc_field_bin(const struct wc_obj *o, const char *field, uint8_t *out, size_t len,
                 struct wc_err *err)
{
    int rc = wc_obj_bin_exact(o, out, len);
    if (rc == -WC_EMISSING)
        return wc_fail(err, WC_EMISSING, field, "is missing");
    if (rc == -WC_ETYPE)
        return wc_fail(err, WC_ETYPE, field, "must be bytes");
    if (rc != 0)
        return wc_fail(err, WC_EINVALID, field, "has the wrong length");
    return 0;
}

int wc_field_copy(const struct wc_obj *o, const struct wc_text_rule *rule, char *out,
                  struct wc_err *err)
{
    struct wc_slice text = {0};
    int rc = wc_field_text(o, rule, &text, err);
    if (rc == 0)
        wc_slice_copy(text, out, rule->max_bytes + 1);
    return rc;
}

int wc_field_doc(struct wc_slice bytes, const char *field, struct wc_doc **doc,
                 struct wc_err *err)
{
    int rc = wc_doc_new(bytes, &wc_scan_default, doc);
    return rc == 0 ? 0 : wc_fail(err, (enum wc_error)(-rc), field, NULL);
}

int wc_field_version(const struct wc_obj *root, uint32_t count, uint64_t version,
                     const char *field, struct wc_err *err)
{
    uint64_t v;
    if (wc_obj_type(root) != WC_ARRAY || wc_obj_u64(wc_obj_at(root, 0), &v) != 0)
        return wc_fail(err, WC_ETYPE, field, "must be an array with a version");
    if (v != version)
        return wc_fail(err, WC_EVERSION, field, NULL);
    if (wc_obj_count(root) != count)
        return wc_fail(err, WC_EINVALID, field, "has the wrong number of elements");
    return 0;
}
