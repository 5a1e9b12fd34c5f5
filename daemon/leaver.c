/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/leaver.h"

#include <whocan/error.h>

static void account_there(struct wc_leaver *l, uint32_t uid, uint64_t rev)
{
    if (l->seen && l->uid != uid)
        l->retire_to_rev = rev; /* what is there is by somebody else */
    l->seen = true;
    l->uid = uid;
    l->absent_days = 0;
    l->last_day = 0;
}

static void account_absent(struct wc_leaver *l, uint32_t day, uint64_t rev)
{
    if (!l->seen && rev == 0)
        return;
    if (day > l->last_day && l->absent_days < WC_LEAVER_DAYS) {
        l->absent_days++;
        l->last_day = day;
    }
}

/* As long as the account is missing: who comes back with the same uid has not left. */
static bool has_left(const struct wc_leaver *l)
{
    return l->absent_days == WC_LEAVER_DAYS;
}

bool wc_leaver_look(struct wc_leaver *l, enum wc_account_answer answer, uint32_t uid,
                    uint32_t day, uint64_t rev)
{
    switch (answer) {
    case WC_ACCOUNT_THERE:
        account_there(l, uid, rev);
        break;
    case WC_ACCOUNT_ABSENT:
        account_absent(l, day, rev);
        break;
    case WC_ACCOUNT_UNKNOWN:
        break;
    }
    if (rev == 0 &&
        (!l->seen || has_left(l))) /* retired, or a row alone: the count is over */
        *l = (struct wc_leaver){.seen = false};
    if (rev == 0 || answer == WC_ACCOUNT_UNKNOWN)
        return false;
    return has_left(l) || rev <= l->retire_to_rev;
}

bool wc_leaver_is_empty(const struct wc_leaver *l)
{
    return !l->seen && l->absent_days == 0;
}

bool wc_leaver_is_missing(const struct wc_leaver *l)
{
    return l->absent_days > 0;
}

bool wc_leaver_may_stamp(const struct wc_leaver *l)
{
    return !wc_leaver_is_missing(l);
}

bool wc_leavers_are_many(uint64_t missing, uint64_t known)
{
    return missing >= WC_LEAVERS_MANY_COUNT && missing > known / 3;
}

void wc_leaver_pack(const struct wc_leaver *l, uint8_t out[WC_LEAVER_BYTES])
{
    wc_put_u32(out, 1); /* the form of what follows */
    wc_put_u32(out + 4, l->seen ? l->uid : UINT32_MAX);
    wc_put_u32(out + 8, l->absent_days);
    wc_put_u32(out + 12, l->last_day);
    wc_put_u64(out + 16, l->retire_to_rev);
}

int wc_leaver_read(struct wc_slice bytes, struct wc_leaver *out)
{
    if (bytes.len != WC_LEAVER_BYTES || wc_get_u32(bytes.data) != 1)
        return -WC_ECORRUPT;
    uint32_t uid = wc_get_u32(bytes.data + 4);
    *out = (struct wc_leaver){.seen = uid != UINT32_MAX,
                              .uid = uid != UINT32_MAX ? uid : 0,
                              .absent_days = wc_get_u32(bytes.data + 8),
                              .last_day = wc_get_u32(bytes.data + 12),
                              .retire_to_rev = wc_get_u64(bytes.data + 16)};
    return out->absent_days <= WC_LEAVER_DAYS ? 0 : -WC_ECORRUPT;
}
