/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: the input as a whole one, and as a body that the organisation of the
 * golden vectors has signed. */
#include <whocan/cert.h>
#include <whocan/pack.h>

#include "tests/fuzz/fuzz.h"

static struct wc_signer signer;
static struct wc_org org;

static int open_cert(struct wc_slice in, struct wc_cert *cert)
{
    struct wc_err err = {0};
    int read = wc_cert_read(in, cert, NULL);
    int rc = wc_cert_open(in, &org, cert, &err);
    HOLDS(read == 0 ? rc == 0 || rc == -WC_EBADSIG || rc == -WC_EORGANISATION
                    : rc == read);
    if (rc != 0)
        HOLDS(err.rc == rc && err.field != NULL);
    return rc;
}

/* What opens can be issued again, and says the same. */
static void check_opened(const struct wc_cert *cert)
{
    struct wc_buf once = {0}, twice = {0};
    struct wc_cert again;
    HOLDS(wc_office_name_valid(wc_slice_text(cert->name)));
    HOLDS(cert->not_before_ms < cert->not_after_ms);
    HOLDS(wc_cert_dates(cert, cert->not_before_ms) == 0);
    HOLDS(wc_cert_dates(cert, cert->not_after_ms) == -WC_EEXPIRED);
    HOLDS(wc_cert_issue(cert, &signer, &once) == 0);
    HOLDS(once.len <= WC_CERT_MAX_BYTES);
    HOLDS(open_cert(wc_buf_slice(&once), &again) == 0);
    HOLDS(wc_cert_issue(&again, &signer, &twice) == 0);
    HOLDS(wc_slice_eq(wc_buf_slice(&once), wc_buf_slice(&twice)));
    wc_buf_fini(&twice);
    wc_buf_fini(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_cert cert;
    struct wc_buf b = {0};
    uint8_t sig[WC_SIG_BYTES];
    if (org.id[0] == 0) {
        fuzz_signer(&signer, 1);
        memcpy(org.key, signer.key, WC_KEY_BYTES);
        memset(org.id, 5, sizeof(org.id));
    }
    if (open_cert(wc_slice(data, size), &cert) == 0)
        check_opened(&cert);

    /* signing is slow: only what could be a body */
    if (size == 0 || data[0] != 0x9a || size > WC_CERT_MAX_BYTES)
        return 0;
    HOLDS(wc_sign(sig, &signer, "whocan certificate", 0, wc_slice(data, size)) == 0);
    wc_pack_array(&b, 2);
    wc_pack_bin(&b, wc_slice(data, size));
    wc_pack_bin(&b, wc_slice(sig, sizeof(sig)));
    if (open_cert(wc_buf_slice(&b), &cert) == 0)
        check_opened(&cert);
    wc_buf_fini(&b);
    return 0;
}
