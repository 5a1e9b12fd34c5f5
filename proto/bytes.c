/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#define BUF_FIRST_BYTES 64

struct wc_slice wc_slice(const void *data, size_t len)
{
    return (struct wc_slice){.data = data, .len = len};
}

struct wc_slice wc_slice_text(const char *text)
{
    return wc_slice(text, text == NULL ? 0 : strlen(text));
}

bool wc_slice_eq(struct wc_slice a, struct wc_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool wc_slice_is(struct wc_slice a, const char *text)
{
    return wc_slice_eq(a, wc_slice_text(text));
}

int wc_slice_cmp(struct wc_slice a, struct wc_slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

char *wc_slice_dup(struct wc_slice s)
{
    char *copy = malloc(s.len + 1);
    if (copy == NULL)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}

bool wc_slice_copy(struct wc_slice s, char *out, size_t out_cap)
{
    assert(out_cap > 0);
    out[0] = '\0';
    if (s.len >= out_cap || (s.len > 0 && memchr(s.data, 0, s.len) != NULL))
        return false;
    if (s.len > 0)
        memcpy(out, s.data, s.len);
    out[s.len] = '\0';
    return true;
}

/* ---- buffers ---- */

void wc_buf_init(struct wc_buf *b)
{
    *b = (struct wc_buf){0};
}

void wc_buf_fini(struct wc_buf *b)
{
    free(b->data);
    wc_buf_init(b);
}

void wc_buf_reset(struct wc_buf *b)
{
    b->len = 0;
    b->failed = false;
}

uint8_t *wc_buf_reserve(struct wc_buf *b, size_t len)
{
    if (b->failed)
        return NULL;
    if (len > b->cap - b->len || b->data == NULL) {
        size_t cap = b->cap < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : b->cap;
        while (cap - b->len < len && cap <= SIZE_MAX / 2)
            cap *= 2;
        uint8_t *data = cap - b->len < len ? NULL : realloc(b->data, cap);
        if (data == NULL) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->cap = cap;
    }
    return b->data + b->len;
}

void wc_buf_append(struct wc_buf *b, const void *data, size_t len)
{
    uint8_t *room = len == 0 ? NULL : wc_buf_reserve(b, len);
    if (room == NULL)
        return;
    memcpy(room, data, len);
    b->len += len;
}

void wc_buf_text(struct wc_buf *b, const char *text)
{
    wc_buf_append(b, text, strlen(text));
}

void wc_buf_byte(struct wc_buf *b, uint8_t byte)
{
    wc_buf_append(b, &byte, 1);
}

void wc_buf_drop(struct wc_buf *b, size_t len)
{
    assert(len <= b->len);
    if (len == 0)
        return;
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

uint8_t *wc_buf_take(struct wc_buf *b, size_t *len)
{
    uint8_t *data = b->data;
    *len = b->len;
    wc_buf_init(b);
    return data;
}

struct wc_slice wc_buf_slice(const struct wc_buf *b)
{
    return wc_slice(b->data, b->len);
}

/* ---- text encodings ---- */

/* By arithmetic and not by table: invitations carry secrets, and a table read at a
 * secret place can be seen through the cache. */
static uint8_t base64url_char(unsigned v)
{
    assert(v < 64);
    unsigned c = 'A' + v;
    c += (v > 25) * (unsigned)('a' - 'A' - 26);
    c -= (v > 51) * (unsigned)('a' - '0' + 26);
    c -= (v > 61) * (unsigned)('0' + 10 - '-');
    c += (v > 62) * (unsigned)('_' - '-' - 1);
    return (uint8_t)c;
}

static int base64url_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

void wc_buf_base64url(struct wc_buf *b, struct wc_slice raw)
{
    size_t chars = raw.len / 3 * 4 + (raw.len % 3 == 0 ? 0 : raw.len % 3 + 1);
    uint8_t *out = wc_buf_reserve(b, chars);
    if (out == NULL)
        return;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < raw.len; i++) {
        bits = bits << 8 | raw.data[i];
        held += 8;
        for (; held >= 6; held -= 6)
            *out++ = base64url_char(bits >> (held - 6) & 63);
    }
    if (held > 0)
        *out++ = base64url_char(bits << (6 - held) & 63);
    b->len += chars;
}

int wc_base64url_decode(struct wc_slice text, struct wc_buf *out)
{
    if (text.len % 4 == 1)
        return -WC_EINVALID;
    uint8_t *raw = wc_buf_reserve(out, text.len / 4 * 3 + 2);
    if (raw == NULL)
        return -WC_ENOMEM;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int v = base64url_value(text.data[i]);
        if (v < 0)
            return -WC_EINVALID;
        bits = (bits << 6 | (uint32_t)v) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            raw[len++] = (uint8_t)(bits >> held);
        }
    }
    if ((bits & ((1u << held) - 1)) != 0)
        return -WC_EINVALID; /* one text for one value: spare bits are zero */
    out->len += len;
    return 0;
}

void wc_hex(char *out, const void *raw, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = raw;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int wc_unhex(uint8_t *out, size_t out_len, struct wc_slice text)
{
    if (text.len % 2 != 0 || text.len / 2 != out_len)
        return -WC_EINVALID;
    for (size_t i = 0; i < out_len; i++) {
        int high = hex_value(text.data[2 * i]), low = hex_value(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return -WC_EINVALID;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

/* The length of the well-formed sequence at s, or 0 (table 3-7 of the Unicode
 * standard). */
static size_t utf8_sequence(const uint8_t *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < len)
        return 0;
    uint8_t low = 0x80, high = 0xbf;
    if (s[0] == 0xe0)
        low = 0xa0; /* shorter forms exist below */
    else if (s[0] == 0xed)
        high = 0x9f; /* surrogates above */
    else if (s[0] == 0xf0)
        low = 0x90; /* shorter forms exist below */
    else if (s[0] == 0xf4)
        high = 0x8f; /* past U+10FFFF above */
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    }
    return len;
}

bool wc_utf8_valid(struct wc_slice s)
{
    for (size_t i = 0; i < s.len;) {
        uint64_t eight = 0x80;
        if (s.len - i >= sizeof(eight))
            memcpy(&eight, s.data + i, sizeof(eight));
        if ((eight & 0x8080808080808080) == 0) { /* most text: ASCII, at once */
            i += sizeof(eight);
            continue;
        }
        size_t len = utf8_sequence(s.data + i, s.len - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

/* ---- integers ---- */

void wc_put_u16(uint8_t *out, uint16_t v)
{
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
}

void wc_put_u32(uint8_t *out, uint32_t v)
{
    wc_put_u16(out, (uint16_t)(v >> 16));
    wc_put_u16(out + 2, (uint16_t)v);
}

void wc_put_u64(uint8_t *out, uint64_t v)
{
    wc_put_u32(out, (uint32_t)(v >> 32));
    wc_put_u32(out + 4, (uint32_t)v);
}

uint16_t wc_get_u16(const uint8_t *in)
{
    return (uint16_t)(in[0] << 8 | in[1]);
}

uint32_t wc_get_u32(const uint8_t *in)
{
    return (uint32_t)wc_get_u16(in) << 16 | wc_get_u16(in + 2);
}

uint64_t wc_get_u64(const uint8_t *in)
{
    return (uint64_t)wc_get_u32(in) << 32 | wc_get_u32(in + 4);
}
