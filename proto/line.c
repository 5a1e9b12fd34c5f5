/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/line.h"

#include <string.h>

#include <whocan/crypto.h>

void wc_line_wipe(struct wc_buf *b)
{
    if (b->data != NULL)
        wc_wipe(b->data, b->cap);
    wc_buf_fini(b);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

int wc_line_decode_wrapped(struct wc_slice text, struct wc_buf *raw)
{
    struct wc_buf packed = {0};
    uint8_t *room = wc_buf_reserve(&packed, text.len);
    if (room == NULL)
        return -WC_ENOMEM;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_space(text.data[i]))
            room[packed.len++] = text.data[i];
    }
    int rc = wc_base64url_decode(wc_buf_slice(&packed), raw);
    wc_line_wipe(&packed);
    return rc;
}

bool wc_line_take(struct wc_slice *s, const char *prefix)
{
    size_t len = strlen(prefix);
    if (s->len < len || !wc_slice_is(wc_slice(s->data, len), prefix))
        return false;
    *s = wc_slice(s->data + len, s->len - len);
    return true;
}

int wc_line_encode(const struct wc_line_rule *rule, struct wc_slice raw,
                   struct wc_buf *out)
{
    wc_buf_text(out, rule->prefix);
    wc_buf_base64url(out, raw);
    return out->failed ? -WC_ENOMEM : 0;
}

int wc_line_decode(const struct wc_line_rule *rule, struct wc_slice text,
                   struct wc_buf *raw, struct wc_err *err)
{
    if (text.len > rule->max_bytes)
        return wc_fail(err, WC_ETOOBIG, rule->field, "is too long to be one");
    while (text.len > 0 && is_space(text.data[0]))
        text = wc_slice(text.data + 1, text.len - 1);
    if (!wc_line_take(&text, rule->prefix))
        return wc_fail(err, WC_EINVALID, rule->field, rule->must);
    int rc = wc_line_decode_wrapped(text, raw);
    if (rc == -WC_EINVALID)
        return wc_fail(err, WC_EINVALID, rule->field,
                       "is damaged: copy the whole line and nothing else");
    return rc == 0 ? 0 : wc_fail(err, (enum wc_error)(-rc), rule->field, NULL);
}
