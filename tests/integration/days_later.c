/* SPDX-License-Identifier: Apache-2.0 */
/*
 * days_later STATE LOGIN...: makes a stopped office believe that what it knows of the account
 * of each login is a day older than it is, so that the look at its next start is that of
 * another day. For the tests of leavers: a clock that is set forward would put the office
 * at odds with all others.
 *
 * A login of which it knows nothing becomes one whose account was there once and is missing
 * since today.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/about.h"
#include "daemon/config.h"
#include "daemon/leavers.h"

static int one_day_older(struct wc_records *records, const char *login)
{
    struct wc_leaver leaver;
    char key[WC_ABOUT_PREFIX_BYTES + sizeof("account")];
    uint8_t value[WC_LEAVER_BYTES] = {0};
    struct wc_meta_edit edit = {.key = key, .value = wc_slice(value, sizeof(value))};
    wc_leavers_get(records, login, &leaver);
    if (wc_leaver_is_empty(&leaver)) {
        uint32_t today = (uint32_t)(wc_wall_ms() / WC_DAY_MS);
        wc_leaver_look(&leaver, WC_ACCOUNT_THERE, 1000, today, 1);
        wc_leaver_look(&leaver, WC_ACCOUNT_ABSENT, 0, today, 1);
    }
    leaver.last_day--;
    wc_leaver_pack(&leaver, value);
    wc_about_prefix(login, key);
    strcat(key, "account");
    return wc_records_meta_edit(records, &edit, 1);
}

int main(int argc, char **argv)
{
    struct wc_records *records = NULL;
    char problem[WC_PROBLEM_BYTES] = "";
    if (argc < 3) {
        fputs("usage: days_later STATE LOGIN...\n", stderr);
        return 2;
    }
    int rc = wc_records_open(&records, argv[1], problem);
    for (int i = 2; rc == 0 && i < argc; i++)
        rc = one_day_older(records, argv[i]);
    if (rc != 0)
        fprintf(stderr, "days_later: it %s %s\n", wc_strerror(rc), problem);
    wc_records_close(records);
    return rc == 0 ? 0 : 1;
}
