/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes a profile or a question holds: words come out as promised. */
#include "daemon/text.h"
#include "tests/fuzz/fuzz.h"

static void check_form(struct wc_slice s)
{
    HOLDS(s.len > 0 && s.len <= WC_WORD_MAX_BYTES && wc_utf8_valid(s));
}

static void check_word(struct wc_text *t, const struct wc_word *w)
{
    struct wc_slice stems[WC_STEMMERS_MAX];
    check_form(w->main);
    HOLDS(w->other_count <= WC_WORD_OTHERS_MAX);
    for (uint32_t i = 0; i < w->other_count; i++) {
        check_form(w->others[i]);
        HOLDS(!wc_slice_eq(w->others[i], w->main));
    }
    (void)wc_text_is_stop(w->main);
    uint32_t n = wc_text_stems(t, w->main, stems);
    HOLDS(n >= 1 && n <= WC_STEMMERS_MAX);
    for (uint32_t i = 0; i < n; i++)
        HOLDS(stems[i].len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const languages[] = {"english", "norwegian", "finnish", NULL};
    static struct wc_text *t;
    struct wc_slice in = wc_slice(data, size);
    struct wc_word w;
    struct wc_buf folded = {0};
    size_t words = 0;
    if (t == NULL)
        HOLDS(wc_text_new(&t, languages) == 0);
    int rc = wc_text_set(t, in);
    HOLDS(rc == 0 || (rc == -WC_ETOOBIG && size > WC_TEXT_MAX_BYTES));
    while (wc_text_next(t, &w)) {
        check_word(t, &w);
        words++;
    }
    HOLDS(words <= 18 * size); /* no code point folds to more than that */
    if (rc == 0) {
        wc_text_fold(in, &folded);
        HOLDS(!folded.failed && wc_utf8_valid(wc_buf_slice(&folded)));
    }
    wc_buf_fini(&folded);
    return 0;
}
