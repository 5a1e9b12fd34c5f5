/* SPDX-License-Identifier: Apache-2.0 */
/* The pre-scan and the reader: what the scan lets through the library takes, a prefix of
 * it wants more bytes, and it can be walked and packed again without loss. */
#include <whocan/limits.h>
#include <whocan/pack.h>

#include "tests/fuzz/fuzz.h"

/* Visit every object, with every getter. */
static uint32_t walk(const struct wc_obj *o)
{
    bool v_bool;
    uint64_t v_u64;
    int64_t v_i64;
    double v_double;
    struct wc_slice s;
    uint8_t raw[8];
    unsigned readable = 0;
    readable += wc_obj_bool(o, &v_bool) == 0;
    readable += wc_obj_u64(o, &v_u64) == 0;
    readable += wc_obj_str(o, &s) == 0;
    readable += wc_obj_bin(o, &s) == 0;
    HOLDS(readable <= 1);
    if (wc_obj_i64(o, &v_i64) == 0)
        HOLDS(wc_obj_double(o, &v_double) == 0);
    HOLDS(wc_obj_bin_exact(o, raw, sizeof(raw)) != 0 || s.len == sizeof(raw));
    wc_obj_get(o, "key");
    wc_obj_keys_unique(o);

    uint32_t nodes = 1;
    bool map = wc_obj_type(o) == WC_MAP;
    for (uint32_t i = 0; i < wc_obj_count(o); i++) {
        nodes += walk(map ? wc_obj_key(o, i) : wc_obj_at(o, i));
        if (map)
            nodes += walk(wc_obj_value(o, i));
    }
    return nodes;
}

static void check_accepted(struct wc_slice in, const struct wc_scan_limits *limits)
{
    /* packed again a float of 32 bits takes 64 */
    static const struct wc_scan_limits roomy = {
        .bytes_max = 1 << 20, .depth_max = 32, .nodes_max = WC_SCAN_NODES_MAX};
    struct wc_doc *doc;
    struct wc_buf once = {0}, twice = {0};
    size_t used;
    HOLDS(wc_doc_new(in, limits, &doc) == 0);
    HOLDS(walk(wc_doc_root(doc)) <= limits->nodes_max);
    wc_pack_obj(&once, wc_doc_root(doc));
    wc_doc_free(doc);
    HOLDS(!once.failed);

    HOLDS(wc_doc_new(wc_buf_slice(&once), &roomy, &doc) == 0);
    wc_pack_obj(&twice, wc_doc_root(doc));
    wc_doc_free(doc);
    HOLDS(wc_slice_eq(wc_buf_slice(&once), wc_buf_slice(&twice)));
    wc_buf_fini(&once);
    wc_buf_fini(&twice);

    for (size_t len = 0; len < in.len; len += 1 + in.len / 16)
        HOLDS(wc_scan(wc_slice(in.data, len), limits, &used) == -WC_ETRUNCATED);
}

/* A scan that goes on as a stream arrives comes to what one over all of it says. */
static void check_stream(struct wc_slice in, const struct wc_scan_limits *limits,
                         int rc, size_t used)
{
    struct wc_scan_state state = {0};
    size_t step = 1 + in.len / 32, got = 0, len = 0;
    int on;
    do {
        len = in.len - len < step ? in.len : len + step;
        on = wc_scan_on(&state, wc_slice(in.data, len), limits, &got);
    } while (on == -WC_ETRUNCATED && len < in.len);
    HOLDS(on == rc && (rc != 0 || got == used));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wc_scan_limits few = {
        .bytes_max = 4096, .depth_max = 32, .nodes_max = 64};
    const struct wc_scan_limits *const both[] = {&wc_scan_default, &few};
    for (unsigned i = 0; i < 2; i++) {
        size_t used = 0;
        int rc = wc_scan(wc_slice(data, size), both[i], &used);
        check_stream(wc_slice(data, size), both[i], rc, used);
        if (rc == 0) {
            HOLDS(used > 0 && used <= size && used <= both[i]->bytes_max);
            check_accepted(wc_slice(data, used), both[i]);
        }
    }
    return 0;
}
