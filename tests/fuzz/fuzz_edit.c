/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits and audiences: the input is [kind, fields, audiences, body, local], of which the
 * last three may be nil. Whatever is built can be read again, and no field of it stands in
 * two places.
 */
#include <whocan/edit.h>

#include "tests/fuzz/fuzz.h"

static struct wc_person fields, dropped;
static struct wc_parts parts;

static const struct wc_obj *map_or_null(const struct wc_obj *o)
{
    return o != NULL && wc_obj_type(o) == WC_MAP ? o : NULL;
}

static void check_built(const struct wc_buf *body, const struct wc_buf *local)
{
    struct wc_doc *public_doc = NULL, *local_doc = NULL;
    HOLDS(wc_doc_new(wc_buf_slice(body), &wc_scan_default, &public_doc) == 0);
    HOLDS(wc_person_decode(wc_doc_root(public_doc), &parts.of[WC_AUDIENCE_ORGANISATION],
                           NULL) == 0);
    if (local->len > 0)
        HOLDS(wc_doc_new(wc_buf_slice(local), &wc_scan_default, &local_doc) == 0);
    HOLDS(wc_parts_read(&parts, local_doc == NULL ? NULL : wc_doc_root(local_doc),
                        NULL) == 0);
    HOLDS(wc_parts_check(&parts, NULL) == 0);
    HOLDS(wc_parts_has_local(&parts) == (local->len > 0));
    wc_doc_free(public_doc);
    wc_doc_free(local_doc);
}

static void build(const struct wc_obj *root)
{
    static const uint8_t office[WC_KEY_BYTES] = {7};
    uint64_t kind = 0;
    struct wc_err err = {0};
    struct wc_buf body = {0}, local = {0};
    const struct wc_obj *audiences = map_or_null(wc_obj_at(root, 2));
    struct wc_edit_base base = {.office_key = office,
                                .subject = "alice",
                                .rev = 2,
                                .now_ms = 1763764201123,
                                .body = map_or_null(wc_obj_at(root, 3)),
                                .local = map_or_null(wc_obj_at(root, 4))};
    const struct wc_obj *given = map_or_null(wc_obj_at(root, 1));
    if (given == NULL || wc_person_decode(given, &fields, NULL) != 0)
        return;
    wc_obj_u64(wc_obj_at(root, 0), &kind);
    if (wc_parts_read(&parts, base.local, NULL) == 0) {
        struct wc_buf marks = {0};
        wc_parts_pack_marks(&marks, &parts);
        HOLDS(!marks.failed);
        wc_buf_fini(&marks);
    }
    int rc = wc_edit_build(&base, (enum wc_edit_kind)(kind % 3), &fields, audiences,
                           &body, &local, &dropped, &err);
    if (rc == 0)
        check_built(&body, &local);
    else
        HOLDS(err.rc == rc || rc == -WC_ENOMEM);
    wc_buf_fini(&body);
    wc_buf_fini(&local);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_doc *doc = NULL;
    if (wc_doc_new(wc_slice(data, size), &wc_scan_default, &doc) == 0)
        build(wc_doc_root(doc));
    wc_doc_free(doc);
    return 0;
}
