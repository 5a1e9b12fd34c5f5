/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/expiry.h"

#include <inttypes.h>
#include <stdio.h>

#include <whocan/limits.h>

enum wc_expiry_stage wc_expiry_stage(uint64_t end_ms, uint64_t now_ms)
{
    if (now_ms >= end_ms)
        return WC_EXPIRY_ENDED;
    uint64_t left_ms = end_ms - now_ms;
    if (left_ms <= 1 * WC_DAY_MS)
        return WC_EXPIRY_DAY;
    if (left_ms <= 7 * WC_DAY_MS)
        return WC_EXPIRY_WEEK;
    return left_ms <= 30 * WC_DAY_MS ? WC_EXPIRY_MONTH : WC_EXPIRY_FAR;
}

int64_t wc_expiry_days(uint64_t end_ms, uint64_t now_ms)
{
    if (now_ms < end_ms)
        return (int64_t)((end_ms - now_ms) / WC_DAY_MS);
    return -1 - (int64_t)((now_ms - end_ms) / WC_DAY_MS);
}

void wc_expiry_text(char out[WC_EXPIRY_TEXT_BYTES], uint64_t end_ms, uint64_t now_ms)
{
    static const char renewal[] =
        "have it renewed by whoever keeps the organisation's key";
    int64_t days = wc_expiry_days(end_ms, now_ms);
    out[0] = '\0';
    switch (wc_expiry_stage(end_ms, now_ms)) {
    case WC_EXPIRY_FAR:
        break;
    case WC_EXPIRY_MONTH:
    case WC_EXPIRY_WEEK:
        snprintf(out, WC_EXPIRY_TEXT_BYTES,
                 "the certificate of this office ends in %" PRId64 " day%s: %s", days,
                 days == 1 ? "" : "s", renewal);
        break;
    case WC_EXPIRY_DAY:
        snprintf(out, WC_EXPIRY_TEXT_BYTES,
                 "the certificate of this office ends within a day: %s", renewal);
        break;
    case WC_EXPIRY_ENDED:
        snprintf(
            out, WC_EXPIRY_TEXT_BYTES,
            "the certificate of this office has ended: no other office links to "
            "it; %s, and publish that here (whocan org publish LINE): it can come by "
            "no link",
            renewal);
        break;
    }
}

bool wc_expiry_due(struct wc_expiry *said, uint64_t end_ms, uint64_t now_ms)
{
    enum wc_expiry_stage stage = wc_expiry_stage(end_ms, now_ms);
    enum wc_expiry_stage before = said->end_ms == end_ms ? said->stage : WC_EXPIRY_FAR;
    said->end_ms = end_ms;
    said->stage = stage;
    return stage > before;
}
