/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed byte ranges and growable buffers. */
#ifndef WHOCAN_BYTES_H
#define WHOCAN_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes owned by somebody else. `data` may be NULL when `len` is 0; never
 * NUL-terminated. */
struct wc_slice {
    const uint8_t *data;
    size_t len;
};

/* Shorthands. wc_slice_text() borrows a C string without its terminator; NULL gives
 * empty. */
struct wc_slice wc_slice(const void *data, size_t len);
struct wc_slice wc_slice_text(const char *text);

/* Byte equality, not constant time: never for secrets (wc_equal in crypto.h is). */
bool wc_slice_eq(struct wc_slice a, struct wc_slice b);
bool wc_slice_is(struct wc_slice a, const char *text);

/* Order by bytes, then by length: <0, 0, >0. */
int wc_slice_cmp(struct wc_slice a, struct wc_slice b);

/* A malloc'd NUL-terminated copy, or NULL when memory is out. The caller frees it. */
char *wc_slice_dup(struct wc_slice s);

/* Copy into a fixed array with a terminator; false (and an empty text) when it does not
 * fit. */
bool wc_slice_copy(struct wc_slice s, char *out, size_t out_cap);

/*
 * A growable buffer. Zero-initialise ({0}) or wc_buf_init(). Failure is sticky: after
 * an allocation fails `failed` stays true and appends do nothing, so a writer checks
 * once at its end.
 */
struct wc_buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool failed;
};

/* Init, and append bytes, a C string without its terminator, or one
 * byte. What is appended is copied. */
void wc_buf_init(struct wc_buf *b);
void wc_buf_fini(struct wc_buf *b);  /* frees; the buffer is empty and usable again */
void wc_buf_reset(struct wc_buf *b); /* empties, keeps the memory, clears `failed` */
void wc_buf_append(struct wc_buf *b, const void *data, size_t len);
void wc_buf_text(struct wc_buf *b, const char *text);
void wc_buf_byte(struct wc_buf *b, uint8_t byte);

/* Room for len more bytes at b->data + b->len, or NULL. The caller then adds to b->len.
 */
uint8_t *wc_buf_reserve(struct wc_buf *b, size_t len);

/* Remove len bytes from the front (len <= b->len). */
void wc_buf_drop(struct wc_buf *b, size_t len);

/* Take over the memory (free() it); *len gets the length. The buffer is empty
 * afterwards. */
uint8_t *wc_buf_take(struct wc_buf *b, size_t *len);

/* What the buffer holds; borrowed until the next change. */
struct wc_slice wc_buf_slice(const struct wc_buf *b);

/* Text encodings. base64url is RFC 4648 section 5 without padding; hexadecimal is lower
 * case. */
void wc_buf_base64url(struct wc_buf *b, struct wc_slice raw);
int wc_base64url_decode(struct wc_slice text,
                        struct wc_buf *out);         /* -WC_EINVALID, -WC_ENOMEM */
void wc_hex(char *out, const void *raw, size_t len); /* writes 2*len + 1 chars */
int wc_unhex(uint8_t *out, size_t out_len,
             struct wc_slice text); /* exactly 2*out_len digits */

/* Whether s is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool wc_utf8_valid(struct wc_slice s);

/* Big-endian integers. */
void wc_put_u16(uint8_t *out, uint16_t v);
void wc_put_u32(uint8_t *out, uint32_t v);
void wc_put_u64(uint8_t *out, uint64_t v);
uint16_t wc_get_u16(const uint8_t *in);
uint32_t wc_get_u32(const uint8_t *in);
uint64_t wc_get_u64(const uint8_t *in);

#endif
