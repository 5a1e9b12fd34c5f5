/* SPDX-License-Identifier: Apache-2.0 */
/* The line of what the organisation signed, as text and as what the text encodes. */
#include <whocan/statement.h>

#include "tests/fuzz/fuzz.h"

static void parse(struct wc_slice line)
{
    struct wc_statements s = {.count = 0}, again = {.count = 0};
    struct wc_err err = {0};
    struct wc_buf b = {0};
    int rc = wc_statement_parse(line, &s, &err);
    if (rc == 0) {
        HOLDS(s.count >= 1 && s.count <= WC_STATEMENTS_MAX_COUNT);
        HOLDS(wc_statement_line(s.records, s.count, &b) == 0);
        HOLDS(wc_statement_parse(wc_buf_slice(&b), &again, NULL) == 0);
        HOLDS(again.count == s.count);
        for (uint32_t i = 0; i < s.count; i++)
            HOLDS(wc_slice_eq(s.records[i], again.records[i]));
    } else {
        HOLDS(err.rc == rc && err.field != NULL && s.count == 0);
    }
    wc_buf_fini(&b);
    wc_statements_fini(&again);
    wc_statements_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_buf text = {0};
    HOLDS(wc_crypto_init() == 0);
    parse(wc_slice(data, size));
    wc_buf_text(&text, "whocan-statement-1:");
    wc_buf_base64url(&text, wc_slice(data, size));
    parse(wc_buf_slice(&text));
    wc_buf_fini(&text);
    return 0;
}
