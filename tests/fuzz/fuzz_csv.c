/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV rows. Besides not crashing: as many rows come as the check counted, and a row that
 * was accepted is the same after it was written as CSV and read again.
 */
#include <assert.h>

#include <whocan/limits.h>

#include "cli/rows.h"
#include "cli/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const json_t *row)
{
    struct wc_buf csv = {0};
    struct wc_source *source = NULL;
    struct wc_source_row again;
    char why[WC_SOURCE_WHY_BYTES];
    wc_row_csv_header(&csv);
    wc_row_to_csv(&csv, row);
    if (csv.failed)
        return;
    int rc =
        wc_source_open(&source, wc_buf_slice(&csv), WC_FORMAT_CSV, why, sizeof(why));
    assert(rc == 0);
    rc = wc_source_next(source, &again);
    assert(rc == 1);
    /* backslashes that writing adds may carry a row over the limit of one */
    assert(again.row == NULL ? csv.len > WC_RECORD_MAX_BYTES
                             : json_equal(row, again.row));
    json_decref(again.row);
    wc_source_free(source);
    wc_buf_fini(&csv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_source *source = NULL;
    struct wc_source_row row;
    char why[WC_SOURCE_WHY_BYTES] = "";
    uint64_t rows = 0;
    int rc =
        wc_source_open(&source, wc_slice(data, size), WC_FORMAT_CSV, why, sizeof(why));
    if (rc != 0) {
        assert(rc == -WC_EINVALID && why[0] != '\0');
        return 0;
    }
    while (wc_source_next(source, &row) == 1) {
        rows++;
        assert(row.line > 1);
        assert((row.row == NULL) == (row.reason[0] != '\0'));
        if (row.row != NULL && json_object_size(row.row) > 0)
            check_round_trip(row.row);
        json_decref(row.row);
    }
    assert(rows == wc_source_rows(source));
    wc_source_free(source);
    return 0;
}
