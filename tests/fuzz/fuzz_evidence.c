/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence as it is kept: what is read again is what was written, and is well signed or
 * names nobody. */
#include <whocan/node.h>
#include <whocan/record.h>

#include "tests/fuzz/fuzz.h"

static struct wc_signer signer;

static void check(struct wc_slice in)
{
    struct wc_node_evidence e, again;
    struct wc_buf once = {0}, twice = {0};
    if (wc_evidence_decode(in, &e) != 0)
        return;
    for (int i = 0; i < 2 && !e.erased; i++)
        HOLDS(wc_stamp_verify(e.stamps[i].sig, e.office_key, e.kind,
                              wc_slice(e.stamps[i].bytes, e.stamps[i].len)) == 0);
    HOLDS(!e.erased || (e.subject[0] == '\0' && e.stamps[0].len == 0));
    wc_evidence_encode(&once, &e);
    HOLDS(wc_evidence_decode(wc_buf_slice(&once), &again) == 0);
    HOLDS(memcmp(e.whom, again.whom, sizeof(e.whom)) == 0);
    wc_evidence_encode(&twice, &again);
    HOLDS(wc_slice_eq(wc_buf_slice(&once), wc_buf_slice(&twice)));
    wc_buf_fini(&once);
    wc_buf_fini(&twice);
}

/* The input as the stamp of an office. */
static void sign(struct wc_slice in)
{
    struct wc_node_evidence e = {.kind = WC_KIND_ROW, .subject = "alice", .rev = 1};
    struct wc_buf b = {0};
    if (in.len > sizeof(e.stamps[0].bytes))
        return;
    memcpy(e.office_key, signer.key, WC_KEY_BYTES);
    for (int i = 0; i < 2; i++) {
        memcpy(e.stamps[i].bytes, in.data, in.len);
        e.stamps[i].len = (uint32_t)in.len;
        HOLDS(wc_sign(e.stamps[i].sig, &signer, "whocan stamp", e.kind, in) == 0);
    }
    wc_evidence_encode(&b, &e);
    check(wc_buf_slice(&b));
    wc_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t empty;
    if (signer.key[0] == 0)
        fuzz_signer(&signer, 1);
    check(wc_slice(data, size));
    if (size % 16 == 1) /* signing is slow */
        sign(wc_slice(size == 0 ? &empty : data, size));
    return 0;
}
