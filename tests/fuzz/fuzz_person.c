/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a person: what is read can be written and read again, and a body made of
 * it is one that everybody accepts. */
#include <whocan/person.h>
#include <whocan/record.h>

#include "tests/fuzz/fuzz.h"

static const uint8_t office_key[WC_KEY_BYTES] = {1};

static void write_fields(const struct wc_person *p, struct wc_buf *out)
{
    wc_pack_map(out, wc_person_pairs(p));
    wc_person_pack_fields(out, p);
    HOLDS(!out->failed);
}

static void check_person(const struct wc_person *p, const struct wc_obj *root)
{
    struct wc_buf once = {0}, twice = {0}, body = {0};
    struct wc_doc *doc, *body_doc;
    struct wc_person again;
    uint8_t key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev;

    write_fields(p, &once);
    HOLDS(wc_doc_new(wc_buf_slice(&once), &wc_scan_default, &doc) == 0);
    HOLDS(wc_person_decode(wc_doc_root(doc), &again, NULL) == 0);
    write_fields(&again, &twice);
    HOLDS(wc_slice_eq(wc_buf_slice(&once), wc_buf_slice(&twice)));
    struct wc_person merged = again;
    wc_person_merge(&merged, &again);
    HOLDS((merged.present & ~again.present) == 0);

    /* as the body of a record, with the input as what was there before */
    HOLDS(wc_person_body(office_key, "alice", 1, p, root, &body) == 0);
    if (wc_doc_new(wc_buf_slice(&body), &wc_scan_default, &body_doc) == 0) {
        if (wc_obj_keys_unique(root))
            HOLDS(wc_body_header(wc_doc_root(body_doc), key, subject, &rev, NULL) == 0);
        HOLDS(wc_person_decode(wc_doc_root(body_doc), &again, NULL) == 0);
        HOLDS(again.present == merged.present);
        wc_doc_free(body_doc);
    }
    wc_doc_free(doc);
    wc_buf_fini(&body);
    wc_buf_fini(&twice);
    wc_buf_fini(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_doc *doc;
    struct wc_person p;
    struct wc_err err = {0};
    enum wc_level level;
    wc_login_valid(wc_slice(data, size));
    wc_level_parse(wc_slice(data, size), &level);
    if (wc_doc_new(wc_slice(data, size), &wc_scan_default, &doc) != 0)
        return 0;
    int rc = wc_person_decode(wc_doc_root(doc), &p, &err);
    if (rc == 0)
        check_person(&p, wc_doc_root(doc));
    else
        HOLDS(err.rc == rc && err.field != NULL && err.why != NULL);
    wc_doc_free(doc);
    return 0;
}
