/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client may send: a stream is cut into the same messages whatever the size of its
 * pieces, and each message is refused or taken apart without harm. The first byte says how
 * large the pieces are.
 */
#include "daemon/methods.h"
#include "daemon/person_params.h"
#include "daemon/rpc.h"
#include "tests/fuzz/fuzz.h"

/* A problem always has something to say, on one line. */
static void check_reason(const char *reason)
{
    HOLDS(reason[0] != '\0');
}

static void check_row(const struct wc_obj *map)
{
    static const char *const also[] = {"handle", NULL};
    struct wc_person p;
    struct wc_field_problem problem = {0};
    struct wc_slice handle, login, office;
    int rc = wc_person_params_decode(map, also, &p, &problem);
    if (rc != 0) {
        HOLDS(problem.rc == rc);
        check_reason(problem.reason);
    } else {
        struct wc_buf out = {0};
        struct wc_doc *doc;
        wc_pack_row(&out, &p, "alice", "leeds");
        HOLDS(wc_doc_new(wc_buf_slice(&out), &wc_rpc_limits, &doc) == 0);
        HOLDS(wc_person_params_decode(wc_doc_root(doc), also, &p, &problem) == 0);
        wc_doc_free(doc);
        wc_buf_fini(&out);
    }
    if (wc_obj_str(wc_obj_get(map, "handle"), &handle) == 0 &&
        wc_handle_split(handle, &login, &office) == 0)
        HOLDS(login.len > 0 && login.len <= WC_SUBJECT_MAX_BYTES &&
              office.len <= WC_OFFICE_NAME_MAX_BYTES);
}

static void check_request(const struct wc_rpc *rpc)
{
    char why[256] = "";
    struct wc_err err = {0};
    const struct wc_method *method = wc_method_find(rpc->method);
    if (method == NULL || rpc->params_rc != 0)
        return;
    int rc = wc_params_check(method, rpc->params, &err, why, sizeof(why));
    if (rc != 0) {
        HOLDS(err.rc == rc);
        check_reason(why);
        return;
    }
    if (method->person_fields && rpc->params != NULL)
        check_row(rpc->params);
    const struct wc_obj *rows = wc_obj_get(rpc->params, "rows");
    for (uint32_t i = 0; i < wc_obj_count(rows); i++)
        check_row(wc_obj_at(rows, i));
}

static void check_message(struct wc_slice message)
{
    struct wc_doc *doc;
    struct wc_rpc rpc;
    struct wc_err err = {0};
    HOLDS(wc_doc_new(message, &wc_rpc_limits, &doc) == 0); /* the scan let it through */
    if (wc_rpc_decode(wc_doc_root(doc), &rpc, &err) == 0)
        check_request(&rpc);
    else
        check_reason(err.why);
    wc_doc_free(doc);
}

/* Scan the first message of a stream that arrives in pieces. */
static int scan_pieces(struct wc_slice stream, size_t piece, size_t *used)
{
    struct wc_scan_state scan = {0};
    size_t len = 0;
    for (;;) {
        len = stream.len - len > piece ? len + piece : stream.len;
        int rc = wc_scan_on(&scan, wc_slice(stream.data, len), &wc_rpc_limits, used);
        if (rc != -WC_ETRUNCATED || len == stream.len)
            return rc;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t piece = (size_t)data[0] + 1;
    struct wc_slice stream = wc_slice(data + 1, size - 1);
    while (stream.len > 0) {
        size_t used = 0, whole = 0;
        int rc = scan_pieces(stream, piece, &used);
        HOLDS(wc_scan(stream, &wc_rpc_limits, &whole) == rc);
        if (rc != 0)
            break;
        HOLDS(used == whole && used > 0 && used <= stream.len);
        check_message(wc_slice(stream.data, used));
        stream.data += used;
        stream.len -= used;
    }
    return 0;
}
