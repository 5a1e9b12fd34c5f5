/* SPDX-License-Identifier: Apache-2.0 */
/* The recovery line of an organisation, as text and as what the text encodes. */
#include <whocan/cert.h>

#include "tests/fuzz/fuzz.h"

static void parse(struct wc_slice line)
{
    static const struct wc_recovery wiped;
    struct wc_recovery r, again;
    struct wc_err err = {0};
    struct wc_buf b = {0};
    int rc = wc_recovery_parse(line, &r, &err);
    if (rc == 0) {
        HOLDS(wc_recovery_line(&r, &b) == 0);
        HOLDS(wc_recovery_parse(wc_buf_slice(&b), &again, NULL) == 0);
        HOLDS(memcmp(r.seed, again.seed, sizeof(r.seed)) == 0);
        HOLDS(memcmp(r.org_secret, again.org_secret, sizeof(r.org_secret)) == 0);
        HOLDS(strcmp(r.org_name, again.org_name) == 0);
    } else {
        HOLDS(err.rc == rc && err.field != NULL);
        HOLDS(memcmp(&r, &wiped, sizeof(r)) == 0);
    }
    wc_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_buf text = {0};
    HOLDS(wc_crypto_init() == 0);
    parse(wc_slice(data, size));
    wc_buf_text(&text, "whocan-recovery-1:");
    wc_buf_base64url(&text, wc_slice(data, size));
    parse(wc_buf_slice(&text));
    wc_buf_fini(&text);
    return 0;
}
