/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/reissue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/orgfile.h"
#include "cli/statement.h"

static int no_memory(struct wc_run *run)
{
    return wc_run_fail(run, WC_EXIT_FILE, "out of memory");
}

int wc_reissue_init(struct wc_run *run, struct wc_reissue *re)
{
    re->offices = json_array();
    return re->offices == NULL ? no_memory(run) : 0;
}

void wc_reissue_fini(struct wc_reissue *re)
{
    for (uint32_t i = 0; i < re->count; i++)
        wc_buf_fini(&re->grants[i]);
    free(re->grants);
    json_decref(re->offices);
    *re = (struct wc_reissue){0};
}

static struct wc_buf *new_grant(struct wc_reissue *re)
{
    if (re->count == re->cap) {
        uint32_t cap = re->cap == 0 ? 64 : 2 * re->cap;
        struct wc_buf *grants = realloc(re->grants, cap * sizeof(*grants));
        if (grants == NULL)
            return NULL;
        re->grants = grants;
        re->cap = cap;
    }
    re->grants[re->count] = (struct wc_buf){0};
    return &re->grants[re->count++];
}

int wc_reissue_add(struct wc_run *run, struct wc_reissue *re, struct wc_orgkey *key,
                   const struct wc_signer *signer, struct wc_cert *cert)
{
    struct wc_buf bytes = {0};
    struct wc_buf *grant = new_grant(re);
    int rc = grant == NULL ? -WC_ENOMEM
                           : wc_orgkey_reissue(key, signer, cert, wc_orgfile_now_ms(),
                                               &bytes, grant);
    wc_buf_fini(&bytes);
    if (rc != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "the certificate of %s %s", cert->name,
                           wc_strerror(rc));
    json_t *office = json_pack("{s:s, s:I, s:I}", "office", cert->name, "serial",
                               (json_int_t)cert->serial, "not_after_ms",
                               (json_int_t)cert->not_after_ms);
    return json_array_append_new(re->offices, office) == 0 ? 0 : no_memory(run);
}

static int hand(struct wc_run *run, const struct wc_slice *records, uint32_t count,
                struct wc_buf *left, char *why_not)
{
    struct wc_statement_fate fate = {.handed = false};
    int code = wc_statement_hand(run, records, count, &fate);
    if (code == 0 && !fate.handed) {
        wc_buf_append(left, fate.line.data, fate.line.len);
        wc_buf_byte(left, '\n');
        if (why_not[0] == '\0')
            snprintf(why_not, sizeof(fate.why_not), "%s", fate.why_not);
        if (left->failed)
            code = no_memory(run);
    }
    wc_statement_fate_fini(&fate);
    return code;
}

int wc_reissue_hand(struct wc_run *run, const struct wc_reissue *re,
                    struct wc_slice rotation, struct wc_buf *left, char *why_not)
{
    struct wc_slice records[WC_STATEMENTS_MAX_COUNT];
    int code = 0;
    why_not[0] = '\0';
    /* in a line of its own: the grants are judged by the key that it names */
    if (rotation.len > 0)
        code = hand(run, &rotation, 1, left, why_not);
    for (uint32_t at = 0; code == 0 && at < re->count;) {
        uint32_t count = 0;
        while (count < WC_STATEMENTS_MAX_COUNT && at < re->count)
            records[count++] = wc_buf_slice(&re->grants[at++]);
        code = hand(run, records, count, left, why_not);
    }
    return code;
}
