/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/limits.h>
#include <whocan/pack.h>

#define KEYS_ON_STACK_COUNT                                                            \
    64 /* more than a body of ours has: no memory to run out of */

/* ---- writing ---- */

static int write_bytes(void *data, const char *buf, size_t len)
{
    struct wc_buf *b = data;
    wc_buf_append(b, buf, len);
    return b->failed ? -1 : 0;
}

static msgpack_packer packer(struct wc_buf *b)
{
    return (msgpack_packer){.data = b, .callback = write_bytes};
}

void wc_pack_nil(struct wc_buf *b)
{
    msgpack_packer p = packer(b);
    msgpack_pack_nil(&p);
}

void wc_pack_bool(struct wc_buf *b, bool v)
{
    msgpack_packer p = packer(b);
    if (v)
        msgpack_pack_true(&p);
    else
        msgpack_pack_false(&p);
}

void wc_pack_u64(struct wc_buf *b, uint64_t v)
{
    msgpack_packer p = packer(b);
    msgpack_pack_uint64(&p, v);
}

void wc_pack_i64(struct wc_buf *b, int64_t v)
{
    msgpack_packer p = packer(b);
    msgpack_pack_int64(&p, v);
}

void wc_pack_double(struct wc_buf *b, double v)
{
    msgpack_packer p = packer(b);
    msgpack_pack_double(&p, v);
}

void wc_pack_text(struct wc_buf *b, const char *text)
{
    if (text == NULL)
        wc_pack_nil(b);
    else
        wc_pack_str(b, wc_slice_text(text));
}

void wc_pack_str(struct wc_buf *b, struct wc_slice text)
{
    msgpack_packer p = packer(b);
    msgpack_pack_str(&p, text.len);
    msgpack_pack_str_body(&p, text.data, text.len);
}

void wc_pack_bin(struct wc_buf *b, struct wc_slice raw)
{
    msgpack_packer p = packer(b);
    msgpack_pack_bin(&p, raw.len);
    msgpack_pack_bin_body(&p, raw.data, raw.len);
}

void wc_pack_array(struct wc_buf *b, uint32_t count)
{
    msgpack_packer p = packer(b);
    msgpack_pack_array(&p, count);
}

void wc_pack_map(struct wc_buf *b, uint32_t count)
{
    msgpack_packer p = packer(b);
    msgpack_pack_map(&p, count);
}

/* ---- the pre-scan ---- */

const struct wc_scan_limits wc_scan_default = {
    .bytes_max = WC_FRAME_MAX_BYTES,
    .depth_max = WC_SCAN_DEPTH_MAX,
    .nodes_max = WC_SCAN_NODES_MAX,
};

/* What the first byte of an object says: how many bytes of length follow it, what the
 * length counts, or (length_bytes 0) the length itself. */
struct head {
    unsigned length_bytes;
    uint32_t length;
    enum { COUNTS_BYTES, COUNTS_OBJECTS, COUNTS_PAIRS } counts;
};

/* The format bytes of the specification; false for extensions and 0xc1. */
static bool scan_head(uint8_t c, struct head *h)
{
    *h = (struct head){0};
    if (c <= 0x7f || c >= 0xe0) /* fixint */
        return true;
    if (c <= 0x8f) { /* fixmap */
        *h = (struct head){.length = c & 0x0f, .counts = COUNTS_PAIRS};
    } else if (c <= 0x9f) { /* fixarray */
        *h = (struct head){.length = c & 0x0f, .counts = COUNTS_OBJECTS};
    } else if (c <= 0xbf) { /* fixstr */
        h->length = c & 0x1f;
    } else if (c >= 0xc4 && c <= 0xc6) { /* bin 8, 16, 32 */
        h->length_bytes = 1u << (c - 0xc4);
    } else if (c >= 0xca && c <= 0xcb) { /* float 32, 64 */
        h->length = 4u << (c - 0xca);
    } else if (c >= 0xcc && c <= 0xcf) { /* uint 8, 16, 32, 64 */
        h->length = 1u << (c - 0xcc);
    } else if (c >= 0xd0 && c <= 0xd3) { /* int 8, 16, 32, 64 */
        h->length = 1u << (c - 0xd0);
    } else if (c >= 0xd9 && c <= 0xdb) { /* str 8, 16, 32 */
        h->length_bytes = 1u << (c - 0xd9);
    } else if (c == 0xdc || c == 0xdd) { /* array 16, 32 */
        *h = (struct head){.length_bytes = 2u << (c - 0xdc), .counts = COUNTS_OBJECTS};
    } else if (c == 0xde || c == 0xdf) { /* map 16, 32 */
        *h = (struct head){.length_bytes = 2u << (c - 0xde), .counts = COUNTS_PAIRS};
    } else {
        return c == 0xc0 || c == 0xc2 || c == 0xc3; /* nil, false, true */
    }
    return true;
}

/* Whether n more bytes may be there after pos, and are. */
static int scan_need(struct wc_slice in, const struct wc_scan_limits *limits,
                     size_t pos, uint64_t n)
{
    if (n > limits->bytes_max - pos)
        return -WC_ETOOBIG;
    return n > in.len - pos ? -WC_ETRUNCATED : 0;
}

/* Step over one object's head and payload; *s changes on 0 only. *children gets how many
 * objects it promises; *container whether it is an array or map. */
static int scan_one(struct wc_scan_state *s, struct wc_slice in,
                    const struct wc_scan_limits *limits, uint64_t *children,
                    bool *container)
{
    struct head h;
    size_t pos = s->pos;
    int rc = scan_need(in, limits, pos, 1);
    if (rc != 0)
        return rc;
    if (!scan_head(in.data[pos], &h))
        return -WC_ETYPE;
    pos++;
    if ((rc = scan_need(in, limits, pos, h.length_bytes)) != 0)
        return rc;
    uint64_t length = h.length;
    for (unsigned i = 0; i < h.length_bytes; i++)
        length = length << 8 | in.data[pos++];

    *container = h.counts != COUNTS_BYTES;
    *children = *container ? length * (h.counts == COUNTS_PAIRS ? 2 : 1) : 0;
    if (s->nodes + *children > limits->nodes_max)
        return -WC_ETOOBIG;
    /* a child is at least one byte */
    rc = scan_need(in, limits, pos, *container ? *children : length);
    if (rc != 0)
        return rc;
    s->nodes += *children;
    s->pos = *container ? pos : pos + length;
    return 0;
}

int wc_scan_on(struct wc_scan_state *s, struct wc_slice in,
               const struct wc_scan_limits *limits, size_t *used)
{
    assert(limits->depth_max <= WC_SCAN_STACK_MAX && s->pos <= in.len);
    if (s->nodes == 0) {
        s->nodes = 1;
        s->left[0] = 1;
    }
    while (s->left[s->depth] > 0) {
        uint64_t children;
        bool container;
        int rc = scan_one(s, in, limits, &children, &container);
        if (rc != 0)
            return rc;
        s->left[s->depth]--;
        if (container) {
            if (s->depth == limits->depth_max)
                return -WC_EDEPTH;
            s->left[++s->depth] = children;
        }
        while (s->depth > 0 && s->left[s->depth] == 0)
            s->depth--;
    }
    *used = s->pos;
    return 0;
}

int wc_scan(struct wc_slice in, const struct wc_scan_limits *limits, size_t *used)
{
    struct wc_scan_state s = {0};
    return wc_scan_on(&s, in, limits, used);
}

/* ---- documents ---- */

struct wc_doc {
    msgpack_unpacked unpacked;
};

/* A wc_obj is a msgpack_object under a name that other files need not know. */
static const msgpack_object *raw(const struct wc_obj *o)
{
    return (const void *)o;
}

static const struct wc_obj *obj(const msgpack_object *o)
{
    return (const void *)o;
}

int wc_doc_new(struct wc_slice in, const struct wc_scan_limits *limits,
               struct wc_doc **out)
{
    size_t used, offset = 0;
    int rc = wc_scan(in, limits, &used);
    if (rc != 0)
        return rc;
    if (used != in.len)
        return -WC_ETRAILING;
    struct wc_doc *doc = malloc(sizeof(*doc));
    if (doc == NULL)
        return -WC_ENOMEM;
    msgpack_unpacked_init(&doc->unpacked);
    /* after the scan only memory can be wanting */
    if (msgpack_unpack_next(&doc->unpacked, (const char *)in.data, in.len, &offset) !=
            MSGPACK_UNPACK_SUCCESS ||
        offset != in.len) {
        wc_doc_free(doc);
        return -WC_ENOMEM;
    }
    *out = doc;
    return 0;
}

void wc_doc_free(struct wc_doc *doc)
{
    if (doc == NULL)
        return;
    msgpack_unpacked_destroy(&doc->unpacked);
    free(doc);
}

const struct wc_obj *wc_doc_root(const struct wc_doc *doc)
{
    return obj(&doc->unpacked.data);
}

enum wc_type wc_obj_type(const struct wc_obj *o)
{
    switch (raw(o)->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        return WC_BOOL;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return WC_UINT;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return WC_INT;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return WC_DOUBLE;
    case MSGPACK_OBJECT_STR:
        return WC_STR;
    case MSGPACK_OBJECT_BIN:
        return WC_BIN;
    case MSGPACK_OBJECT_ARRAY:
        return WC_ARRAY;
    case MSGPACK_OBJECT_MAP:
        return WC_MAP;
    case MSGPACK_OBJECT_EXT: /* the scan lets none through */
    case MSGPACK_OBJECT_NIL:
        break;
    }
    return WC_NIL;
}

/* 0 when o is there and of that type. */
static int expect(const struct wc_obj *o, enum wc_type type)
{
    if (o == NULL)
        return -WC_EMISSING;
    return wc_obj_type(o) == type ? 0 : -WC_ETYPE;
}

int wc_obj_bool(const struct wc_obj *o, bool *out)
{
    int rc = expect(o, WC_BOOL);
    if (rc == 0)
        *out = raw(o)->via.boolean;
    return rc;
}

int wc_obj_u64(const struct wc_obj *o, uint64_t *out)
{
    int rc = expect(o, WC_UINT);
    if (rc == 0)
        *out = raw(o)->via.u64;
    return rc;
}

int wc_obj_i64(const struct wc_obj *o, int64_t *out)
{
    if (expect(o, WC_INT) == 0) {
        *out = raw(o)->via.i64;
        return 0;
    }
    uint64_t v;
    int rc = wc_obj_u64(o, &v);
    if (rc == 0 && v > INT64_MAX)
        return -WC_EINVALID;
    if (rc == 0)
        *out = (int64_t)v;
    return rc;
}

int wc_obj_double(const struct wc_obj *o, double *out)
{
    if (o == NULL)
        return -WC_EMISSING;
    enum wc_type type = wc_obj_type(o);
    if (type == WC_DOUBLE)
        *out = raw(o)->via.f64;
    else if (type == WC_UINT)
        *out = (double)raw(o)->via.u64;
    else if (type == WC_INT)
        *out = (double)raw(o)->via.i64;
    else
        return -WC_ETYPE;
    return 0;
}

static struct wc_slice str_bytes(const struct wc_obj *o)
{
    return wc_slice(raw(o)->via.str.ptr, raw(o)->via.str.size);
}

int wc_obj_str(const struct wc_obj *o, struct wc_slice *out)
{
    int rc = expect(o, WC_STR);
    if (rc != 0)
        return rc;
    if (!wc_utf8_valid(str_bytes(o)))
        return -WC_EINVALID;
    *out = str_bytes(o);
    return 0;
}

int wc_obj_bin(const struct wc_obj *o, struct wc_slice *out)
{
    int rc = expect(o, WC_BIN);
    if (rc == 0)
        *out = wc_slice(raw(o)->via.bin.ptr, raw(o)->via.bin.size);
    return rc;
}

int wc_obj_bin_exact(const struct wc_obj *o, uint8_t *out, size_t len)
{
    struct wc_slice bin;
    int rc = wc_obj_bin(o, &bin);
    if (rc == 0 && bin.len != len)
        return -WC_EINVALID;
    if (rc == 0 && len > 0)
        memcpy(out, bin.data, len);
    return rc;
}

uint32_t wc_obj_count(const struct wc_obj *o)
{
    if (expect(o, WC_ARRAY) == 0)
        return raw(o)->via.array.size;
    return expect(o, WC_MAP) == 0 ? raw(o)->via.map.size : 0;
}

const struct wc_obj *wc_obj_at(const struct wc_obj *array, uint32_t i)
{
    if (expect(array, WC_ARRAY) != 0 || i >= raw(array)->via.array.size)
        return NULL;
    return obj(&raw(array)->via.array.ptr[i]);
}

const struct wc_obj *wc_obj_key(const struct wc_obj *map, uint32_t i)
{
    if (expect(map, WC_MAP) != 0 || i >= raw(map)->via.map.size)
        return NULL;
    return obj(&raw(map)->via.map.ptr[i].key);
}

const struct wc_obj *wc_obj_value(const struct wc_obj *map, uint32_t i)
{
    if (expect(map, WC_MAP) != 0 || i >= raw(map)->via.map.size)
        return NULL;
    return obj(&raw(map)->via.map.ptr[i].val);
}

const struct wc_obj *wc_obj_get(const struct wc_obj *map, const char *key)
{
    for (uint32_t i = 0; i < wc_obj_count(map); i++) {
        const struct wc_obj *k = wc_obj_key(map, i);
        if (expect(k, WC_STR) == 0 && wc_slice_is(str_bytes(k), key))
            return wc_obj_value(map, i);
    }
    return NULL;
}

static int slice_order(const void *a, const void *b)
{
    return wc_slice_cmp(*(const struct wc_slice *)a, *(const struct wc_slice *)b);
}

bool wc_obj_keys_unique(const struct wc_obj *o)
{
    uint32_t count = wc_obj_count(o);
    if (expect(o, WC_MAP) != 0 || count == 0)
        return expect(o, WC_MAP) == 0;
    /* sorted, because pairs against pairs take seconds on a large hostile map */
    struct wc_slice few[KEYS_ON_STACK_COUNT], *keys = few;
    if (count > KEYS_ON_STACK_COUNT && (keys = malloc(count * sizeof(*keys))) == NULL)
        return false;
    bool unique = true;
    for (uint32_t i = 0; unique && i < count; i++)
        unique = wc_obj_str(wc_obj_key(o, i), &keys[i]) == 0;
    if (unique)
        qsort(keys, count, sizeof(*keys), slice_order);
    for (uint32_t i = 1; unique && i < count; i++)
        unique = !wc_slice_eq(keys[i - 1], keys[i]);
    if (keys != few)
        free(keys);
    return unique;
}

static void pack_children(struct wc_buf *b, const struct wc_obj *o)
{
    bool map = wc_obj_type(o) == WC_MAP;
    if (map)
        wc_pack_map(b, wc_obj_count(o));
    else
        wc_pack_array(b, wc_obj_count(o));
    for (uint32_t i = 0; i < wc_obj_count(o); i++) {
        wc_pack_obj(b, map ? wc_obj_key(o, i) : wc_obj_at(o, i));
        if (map)
            wc_pack_obj(b, wc_obj_value(o, i));
    }
}

/* Recursion is as deep as the document, which the scan has bounded. */
void wc_pack_obj(struct wc_buf *b, const struct wc_obj *o)
{
    switch (wc_obj_type(o)) {
    case WC_NIL:
        wc_pack_nil(b);
        break;
    case WC_BOOL:
        wc_pack_bool(b, raw(o)->via.boolean);
        break;
    case WC_UINT:
        wc_pack_u64(b, raw(o)->via.u64);
        break;
    case WC_INT:
        wc_pack_i64(b, raw(o)->via.i64);
        break;
    case WC_DOUBLE:
        wc_pack_double(b, raw(o)->via.f64);
        break;
    case WC_STR:
        wc_pack_str(b, str_bytes(o));
        break;
    case WC_BIN:
        wc_pack_bin(b, wc_slice(raw(o)->via.bin.ptr, raw(o)->via.bin.size));
        break;
    case WC_ARRAY:
    case WC_MAP:
        pack_children(b, o);
        break;
    }
}
