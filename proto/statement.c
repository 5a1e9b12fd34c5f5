/* SPDX-License-Identifier: Apache-2.0 */
#include <whocan/pack.h>
#include <whocan/statement.h>

#include "proto/line.h"

#define STATEMENT_VERSION 1

static const struct wc_line_rule statement_line = {
    "statement", "whocan-statement-1:", "must start with whocan-statement-1:",
    WC_STATEMENT_LINE_MAX_BYTES};

/* One line in one request: more than one frame, because it never is one. */
static const struct wc_scan_limits statement_scan = {
    .bytes_max = WC_STATEMENT_LINE_MAX_BYTES,
    .depth_max = 3,
    .nodes_max = WC_STATEMENTS_MAX_COUNT + 8,
};

int wc_statement_line(const struct wc_slice *records, uint32_t count,
                      struct wc_buf *out)
{
    struct wc_buf raw = {0};
    if (count == 0 || count > WC_STATEMENTS_MAX_COUNT)
        return -WC_EINVALID;
    wc_pack_array(&raw, 2);
    wc_pack_u64(&raw, STATEMENT_VERSION);
    wc_pack_array(&raw, count);
    for (uint32_t i = 0; i < count; i++)
        wc_pack_bin(&raw, records[i]);
    int rc = raw.failed ? -WC_ENOMEM
                        : wc_line_encode(&statement_line, wc_buf_slice(&raw), out);
    wc_buf_fini(&raw);
    return rc;
}

static int read_records(const struct wc_obj *list, struct wc_statements *out,
                        struct wc_err *err)
{
    if (wc_obj_type(list) != WC_ARRAY || wc_obj_count(list) == 0)
        return wc_fail(err, WC_ETYPE, "statement", "must be a list of records");
    if (wc_obj_count(list) > WC_STATEMENTS_MAX_COUNT)
        return wc_fail(err, WC_ETOOBIG, "statement", "holds too many records");
    for (uint32_t i = 0; i < wc_obj_count(list); i++) {
        struct wc_slice record;
        if (wc_obj_bin(wc_obj_at(list, i), &record) != 0)
            return wc_fail(err, WC_ETYPE, "statement", "must be a list of records");
        if (record.len > WC_RECORD_MAX_BYTES)
            return wc_fail(err, WC_ETOOBIG, "statement", "holds too large a record");
        out->records[out->count++] = record;
    }
    return 0;
}

static int read_root(const struct wc_obj *root, struct wc_statements *out,
                     struct wc_err *err)
{
    uint64_t version;
    if (wc_obj_type(root) != WC_ARRAY || wc_obj_u64(wc_obj_at(root, 0), &version) != 0)
        return wc_fail(err, WC_ETYPE, "statement", "must be an array with a version");
    if (version != STATEMENT_VERSION)
        return wc_fail(err, WC_EVERSION, "statement", NULL);
    if (wc_obj_count(root) != 2)
        return wc_fail(err, WC_EINVALID, "statement",
                       "has the wrong number of elements");
    return read_records(wc_obj_at(root, 1), out, err);
}

int wc_statement_parse(struct wc_slice line, struct wc_statements *out,
                       struct wc_err *err)
{
    struct wc_doc *doc = NULL;
    int rc = wc_line_decode(&statement_line, line, &out->raw, err);
    if (rc != 0)
        return rc;
    rc = wc_doc_new(wc_buf_slice(&out->raw), &statement_scan, &doc);
    if (rc != 0)
        return wc_fail(err, (enum wc_error)(-rc), "statement", NULL);
    rc = read_root(wc_doc_root(doc), out, err);
    wc_doc_free(doc);
    if (rc != 0)
        out->count = 0;
    return rc;
}

void wc_statements_fini(struct wc_statements *s)
{
    wc_buf_fini(&s->raw);
    s->count = 0;
}
