/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a question, a team and a language, against a small office: an answer that is
 * sound, the same once more, or an error that says what was wrong. Bytes that are no UTF-8
 * do not come this far from the socket; here they do.
 *
 * input: how (1) ‖ level, mentor, day (1) ‖ lengths of team and language (2) ‖ these ‖ question
 */
#include "tests/fuzz/council.h"

static struct wc_slice take(const uint8_t **data, size_t *size, size_t len)
{
    struct wc_slice s = wc_slice(*data, len < *size ? len : *size);
    *data += s.len;
    *size -= s.len;
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_filter filter = {.level = WC_LEVEL_NONE};
    if (council_index == NULL)
        council_begin(true);
    if (size < 4)
        return 0;
    unsigned how = data[0], what = data[1];
    size_t team = data[2] % 32, language = data[3] % 32;
    data += 4;
    size -= 4;
    filter.level = (enum wc_level)(what % 5);
    filter.mentor = (what & 8) != 0;
    filter.day = (uint8_t)((what & 16) != 0 ? 1 << what % 7 : 0);
    filter.team = take(&data, &size, team);
    filter.language = take(&data, &size, language);
    int n = council_find(wc_slice(data, size), &filter, how);
    HOLDS(n >= 0 || n == -WC_EINVALID || n == -WC_ETOOBIG);
    HOLDS(council_find(wc_slice(data, size), &filter, how) == n);
    return 0;
}
