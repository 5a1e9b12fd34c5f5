/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and admissions, as text and as what the text encodes. */
#include <whocan/admit.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/offices.h"

static void parse(struct wc_slice line, const struct wc_identity *mine)
{
    static const struct wc_identity wiped;
    struct wc_office_request r;
    struct wc_identity id;
    struct wc_err err = {0};
    int rc = wc_request_parse(line, &r, &err);
    if (rc == 0)
        HOLDS(wc_office_name_valid(wc_slice_text(r.name)));
    else
        HOLDS(err.rc == rc && err.field != NULL);
    rc = wc_admission_open(line, mine, &id, &err);
    if (rc == 0)
        HOLDS(memcmp(id.cert.sign_key, mine->cert.sign_key, WC_KEY_BYTES) == 0);
    else
        HOLDS(err.rc == rc && err.field != NULL &&
              memcmp(&id, &wiped, sizeof(id)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const prefixes[] = {"whocan-request-1:", "whocan-admission-1:"};
    struct wc_buf text = {0};
    HOLDS(wc_crypto_init() == 0);
    struct offices_org org = offices_org('o');
    struct wc_identity mine = offices_office(&org, 'a');
    parse(wc_slice(data, size), &mine);
    for (int i = 0; i < 2; i++) {
        wc_buf_reset(&text);
        wc_buf_text(&text, prefixes[i]);
        wc_buf_base64url(&text, wc_slice(data, size));
        parse(wc_buf_slice(&text), &mine);
    }
    wc_buf_fini(&text);
    return 0;
}
