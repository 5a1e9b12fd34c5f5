/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md): a writer into a
 * wc_buf and a checked reader. The reader runs a pre-scan over the raw bytes before the
 * library sees them, because five bytes can otherwise make it allocate 8 GiB.
 */
#ifndef WHOCAN_PACK_H
#define WHOCAN_PACK_H

#include <whocan/bytes.h>
#include <whocan/error.h>

/* ---- writing; failures are sticky in the buffer ---- */

void wc_pack_nil(struct wc_buf *b);
void wc_pack_bool(struct wc_buf *b, bool v);
void wc_pack_u64(struct wc_buf *b, uint64_t v);
void wc_pack_i64(struct wc_buf *b, int64_t v);
void wc_pack_double(struct wc_buf *b, double v);
void wc_pack_text(struct wc_buf *b, const char *text); /* str; NULL packs nil */
void wc_pack_str(struct wc_buf *b, struct wc_slice text);
void wc_pack_bin(struct wc_buf *b, struct wc_slice raw);
void wc_pack_array(struct wc_buf *b, uint32_t count);
void wc_pack_map(struct wc_buf *b, uint32_t count);

/* ---- reading ---- */

enum wc_type {
    WC_NIL,
    WC_BOOL,
    WC_UINT, /* any integer >= 0 */
    WC_INT,  /* a negative integer */
    WC_DOUBLE,
    WC_STR,
    WC_BIN,
    WC_ARRAY,
    WC_MAP,
};

/* What one document may hold; pass wc_scan_default for records and frames. */
struct wc_scan_limits {
    size_t bytes_max;
    uint32_t depth_max;
    uint32_t nodes_max;
};
extern const struct wc_scan_limits wc_scan_default;

/*
 * Walk one object without allocating: every count is at most the bytes left, depth and
 * number of objects within limits, no extension types, no reserved byte 0xc1. On
 * success *used is the length of the object in bytes. -WC_ETRUNCATED when more bytes
 * are needed (a stream reads on), else -WC_ETOOBIG, -WC_EDEPTH, -WC_ETYPE.
 */
int wc_scan(struct wc_slice in, const struct wc_scan_limits *limits, size_t *used);

/* A scan that goes on where it stopped: zero-initialise, then call with all the bytes so
 * far, which may have grown but not changed. Results as wc_scan; each byte is looked at
 * once, however small the pieces of a stream are. Zero it again after 0. */
#define WC_SCAN_STACK_MAX                                                              \
    32 /* msgpack-c 4 decodes no deeper (MSGPACK_EMBED_STACK_SIZE) */
struct wc_scan_state {
    size_t pos;     /* bytes walked over */
    uint64_t nodes; /* objects seen or promised by a count */
    uint32_t depth;
    uint64_t left[WC_SCAN_STACK_MAX + 1]; /* objects still to come at each depth */
};
int wc_scan_on(struct wc_scan_state *state, struct wc_slice in,
               const struct wc_scan_limits *limits, size_t *used);

/* A decoded document and the objects in it. Objects live as long as their document. */
struct wc_doc;
struct wc_obj;

/*
 * Scan and decode exactly one object that fills `in`. Strings point into `in`, which
 * must outlive the document. -WC_ETRAILING for bytes after the object, else as wc_scan,
 * or -WC_ENOMEM.
 */
int wc_doc_new(struct wc_slice in, const struct wc_scan_limits *limits,
               struct wc_doc **out);
void wc_doc_free(struct wc_doc *doc); /* NULL is fine */
const struct wc_obj *wc_doc_root(const struct wc_doc *doc);

/* The type of an object, which is not NULL. */
enum wc_type wc_obj_type(const struct wc_obj *o);

/* Each getter returns 0 or -WC_ETYPE (-WC_EINVALID for text that is not UTF-8 and for an
 * integer past INT64_MAX). NULL objects give -WC_EMISSING, so that lookups can be
 * chained. Slices borrow from the input of the document. */
int wc_obj_bool(const struct wc_obj *o, bool *out);
int wc_obj_u64(const struct wc_obj *o, uint64_t *out);
int wc_obj_i64(const struct wc_obj *o, int64_t *out);
int wc_obj_double(const struct wc_obj *o, double *out); /* integers are converted */
int wc_obj_str(const struct wc_obj *o, struct wc_slice *out);
int wc_obj_bin(const struct wc_obj *o, struct wc_slice *out);
int wc_obj_bin_exact(const struct wc_obj *o, uint8_t *out,
                     size_t len); /* -WC_EINVALID: length */

uint32_t wc_obj_count(
    const struct wc_obj *o); /* elements of an array or pairs of a map, else 0 */
const struct wc_obj *wc_obj_at(const struct wc_obj *array,
                               uint32_t i); /* NULL past the end */
const struct wc_obj *wc_obj_key(const struct wc_obj *map,
                                uint32_t i); /* NULL past the end */
const struct wc_obj *wc_obj_value(const struct wc_obj *map,
                                  uint32_t i); /* NULL past the end */

/* The value under a text key of a map, or NULL. The first of equal keys counts;
 * decoders of signed bodies refuse maps with duplicate keys. */
const struct wc_obj *wc_obj_get(const struct wc_obj *map, const char *key);

/* Whether o is a map whose keys are all UTF-8 text and all differ. Also false for one of
 * more than 64 pairs when memory is out. */
bool wc_obj_keys_unique(const struct wc_obj *o);

/* Pack a decoded object again (used to keep unknown keys when a body is edited). */
void wc_pack_obj(struct wc_buf *b, const struct wc_obj *o);

#endif
