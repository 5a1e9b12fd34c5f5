/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about the end of a certificate, under a clock of our own. */
#include <string.h>

#include <whocan/limits.h>

#include "daemon/expiry.h"
#include "tests/unit/unit.h"

#define END (1000 * (uint64_t)WC_DAY_MS)

static void stages_begin_at_30_7_and_1_days(void **state)
{
    (void)state;
    static const struct {
        uint64_t left_ms;
        enum wc_expiry_stage stage;
        int64_t days;
    } cases[] = {
        {30 * WC_DAY_MS + 1, WC_EXPIRY_FAR, 30},
        {30 * WC_DAY_MS, WC_EXPIRY_MONTH, 30},
        {7 * WC_DAY_MS + 1, WC_EXPIRY_MONTH, 7},
        {7 * WC_DAY_MS, WC_EXPIRY_WEEK, 7},
        {WC_DAY_MS + 1, WC_EXPIRY_WEEK, 1},
        {WC_DAY_MS, WC_EXPIRY_DAY, 1},
        {WC_DAY_MS - 1, WC_EXPIRY_DAY, 0},
        {1, WC_EXPIRY_DAY, 0},
        {0, WC_EXPIRY_ENDED, -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t now_ms = END - cases[i].left_ms;
        assert_int_equal(wc_expiry_stage(END, now_ms), cases[i].stage);
        assert_int_equal(wc_expiry_days(END, now_ms), cases[i].days);
    }
    assert_int_equal(wc_expiry_days(END, END + WC_DAY_MS - 1), -1);
    assert_int_equal(wc_expiry_days(END, END + WC_DAY_MS), -2);
    assert_int_equal(wc_expiry_stage(END, END + 400 * WC_DAY_MS), WC_EXPIRY_ENDED);
}

static void each_threshold_is_said_once(void **state)
{
    (void)state;
    struct wc_expiry said = {0};
    unsigned count = 0;
    static const uint64_t at_ms[] = {30 * WC_DAY_MS, 7 * WC_DAY_MS, WC_DAY_MS, 0};
    /* a look each hour, from 40 days before the end to 3 days after it */
    for (uint64_t now_ms = END - 40 * WC_DAY_MS; now_ms < END + 3 * WC_DAY_MS;
         now_ms += WC_DAY_MS / 24) {
        if (!wc_expiry_due(&said, END, now_ms))
            continue;
        assert_true(count < 4);
        assert_int_equal(now_ms, END - at_ms[count]);
        count++;
    }
    assert_int_equal(count, 4);
}

static void a_start_says_where_it_stands_and_no_more(void **state)
{
    (void)state;
    static const uint64_t left_ms[] = {20 * WC_DAY_MS, 5 * WC_DAY_MS, WC_DAY_MS / 2, 0};
    for (size_t i = 0; i < 4; i++) {
        struct wc_expiry said = {0};
        assert_true(wc_expiry_due(&said, END, END - left_ms[i]));
        assert_false(wc_expiry_due(&said, END, END - left_ms[i] + (i < 3)));
    }
    struct wc_expiry far = {0};
    assert_false(wc_expiry_due(&far, END, END - 31 * WC_DAY_MS));
}

static void a_renewal_begins_anew(void **state)
{
    (void)state;
    struct wc_expiry said = {0};
    uint64_t now_ms = END - 5 * WC_DAY_MS, renewed = END + 730 * WC_DAY_MS;
    assert_true(wc_expiry_due(&said, END, now_ms));
    assert_false(wc_expiry_due(&said, renewed, now_ms));
    assert_true(wc_expiry_due(&said, renewed, renewed - 5 * WC_DAY_MS));
    /* to one that ends soon, too */
    assert_true(wc_expiry_due(&said, renewed + 1, renewed - 5 * WC_DAY_MS));
}

static void a_clock_that_was_wrong_hides_nothing(void **state)
{
    (void)state;
    struct wc_expiry said = {0};
    assert_true(wc_expiry_due(&said, END, END + WC_DAY_MS));
    assert_false(wc_expiry_due(&said, END, END - 20 * WC_DAY_MS)); /* set right */
    assert_true(wc_expiry_due(&said, END, END - 7 * WC_DAY_MS));
}

static void texts_name_days_and_the_way_out(void **state)
{
    (void)state;
    char text[WC_EXPIRY_TEXT_BYTES];
    wc_expiry_text(text, END, END - 31 * WC_DAY_MS);
    assert_string_equal(text, "");
    wc_expiry_text(text, END, END - 20 * WC_DAY_MS);
    assert_non_null(strstr(text, "ends in 20 days: have it renewed"));
    wc_expiry_text(text, END, END - WC_DAY_MS - 1);
    assert_non_null(strstr(text, "ends in 1 day: "));
    wc_expiry_text(text, END, END - 1);
    assert_non_null(strstr(text, "ends within a day: "));
    wc_expiry_text(text, END, END);
    assert_non_null(strstr(text, "has ended"));
    assert_non_null(strstr(text, "whocan org publish"));
    assert_int_equal(text[strlen(text) - 1], 'k'); /* nothing was cut off */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_begin_at_30_7_and_1_days),
        cmocka_unit_test(each_threshold_is_said_once),
        cmocka_unit_test(a_start_says_where_it_stands_and_no_more),
        cmocka_unit_test(a_renewal_begins_anew),
        cmocka_unit_test(a_clock_that_was_wrong_hides_nothing),
        cmocka_unit_test(texts_name_days_and_the_way_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
