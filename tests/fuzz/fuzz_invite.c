/* SPDX-License-Identifier: Apache-2.0 */
/* What people copy from one machine to another: invitations, identity files and the
 * organisation's key file; as the text, and as what the text encodes. */
#include <whocan/cert.h>
#include <whocan/register.h>

#include "tests/fuzz/fuzz.h"

static void check_identity(const struct wc_identity *id)
{
    struct wc_buf once = {0}, twice = {0};
    struct wc_identity again;
    HOLDS(id->cert_len <= WC_CERT_MAX_BYTES);
    HOLDS(wc_identity_encode(id, &once) == 0);
    HOLDS(wc_identity_decode(wc_buf_slice(&once), &again, NULL) == 0);
    HOLDS(wc_identity_encode(&again, &twice) == 0);
    HOLDS(wc_slice_eq(wc_buf_slice(&once), wc_buf_slice(&twice)));
    wc_buf_fini(&twice);
    wc_buf_fini(&once);
}

static int parse_invite(struct wc_slice text)
{
    static const struct wc_identity wiped;
    struct wc_identity id;
    struct wc_err err = {0};
    int rc = wc_invite_parse(text, &id, &err);
    if (rc == 0)
        check_identity(&id);
    else
        HOLDS(err.rc == rc && err.field != NULL &&
              memcmp(&id, &wiped, sizeof(id)) == 0);
    return rc;
}

static void parse_orgkey(struct wc_slice text)
{
    struct wc_orgkey k, again;
    struct wc_err err = {0};
    struct wc_buf b = {0};
    int rc = wc_orgkey_decode(text, &k, &err);
    if (rc == 0) {
        HOLDS(k.box_len <= sizeof(k.box));
        HOLDS(wc_orgkey_encode(&k, &b) == 0);
        HOLDS(wc_orgkey_decode(wc_buf_slice(&b), &again, NULL) == 0);
        struct wc_register reg = k.reg, reg_again = again.reg;
        struct wc_buf twice = {0};
        HOLDS(wc_orgkey_encode(&again, &twice) == 0);
        HOLDS(wc_slice_eq(wc_buf_slice(&b), wc_buf_slice(&twice)));
        wc_buf_fini(&twice);
        memset(&k.reg, 0, sizeof(k.reg));
        memset(&again.reg, 0, sizeof(again.reg));
        HOLDS(memcmp(&k, &again, sizeof(k)) == 0);
        wc_register_fini(&reg);
        wc_register_fini(&reg_again);
    } else {
        HOLDS(err.rc == rc && err.field != NULL);
    }
    wc_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_slice in = wc_slice(data, size);
    struct wc_identity id;
    struct wc_buf text = {0};
    HOLDS(wc_crypto_init() == 0);
    parse_invite(in);
    parse_orgkey(in);

    int rc = wc_identity_decode(in, &id, NULL);
    if (rc == 0)
        check_identity(&id);
    wc_buf_text(&text, "whocan-invite-1:");
    wc_buf_base64url(&text, in);
    HOLDS(size > 6000 || parse_invite(wc_buf_slice(&text)) == rc);
    wc_buf_reset(&text);
    wc_buf_text(&text, "whocan organisation key 1\n");
    wc_buf_base64url(&text, in);
    parse_orgkey(wc_buf_slice(&text));
    wc_buf_fini(&text);
    return 0;
}
