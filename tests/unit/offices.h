/* SPDX-License-Identifier: Apache-2.0 */
/* Offices of made-up organisations with fixed keys, for tests and fuzzers. */
#ifndef WHOCAN_TESTS_OFFICES_H
#define WHOCAN_TESTS_OFFICES_H

#include <stdlib.h>
#include <string.h>

#include <whocan/cert.h>

#define OFFICES_FROM_MS  1700000000000ULL /* 2023 */
#define OFFICES_UNTIL_MS 4102444800000ULL /* 2100: some tests run by the real clock */
#define OFFICES_NOW_MS   1750000000000ULL

/* An organisation whose id, key and secret follow from one letter. */
struct offices_org {
    struct wc_org org;
    struct wc_signer signer;
};

static inline struct offices_org offices_org(char letter)
{
    struct offices_org o = {0};
    uint8_t seed[WC_KEY_BYTES];
    memset(seed, letter, sizeof(seed));
    wc_signer_init(&o.signer, seed);
    memcpy(o.org.key, o.signer.key, sizeof(o.org.key));
    memset(o.org.id, letter, sizeof(o.org.id));
    memset(o.org.secret, letter ^ 0x20, sizeof(o.org.secret));
    memcpy(o.org.name, "Council", sizeof("Council"));
    return o;
}

/* Have the organisation certify what identity->cert says now. */
static inline void offices_certify(struct wc_identity *identity,
                                   const struct offices_org *by)
{
    struct wc_buf bytes = {0};
    if (wc_cert_issue(&identity->cert, &by->signer, &bytes) != 0)
        abort();
    memcpy(identity->cert_bytes, bytes.data, bytes.len);
    identity->cert_len = bytes.len;
    wc_buf_fini(&bytes);
}

/* An office of it whose keys follow from another letter. */
static inline struct wc_identity offices_office(const struct offices_org *by,
                                                char letter)
{
    struct wc_identity identity = {.org = by->org};
    memset(identity.sign_seed, letter, sizeof(identity.sign_seed));
    memset(identity.link_secret, letter ^ 0x20, sizeof(identity.link_secret));
    wc_signer_init(&identity.signer, identity.sign_seed);
    struct wc_cert *cert = &identity.cert;
    memcpy(cert->org_id, by->org.id, sizeof(cert->org_id));
    memcpy(cert->name, "office-", sizeof("office-"));
    cert->name[7] = letter;
    memcpy(cert->title, "Office", sizeof("Office"));
    memcpy(cert->sign_key, identity.signer.key, sizeof(cert->sign_key));
    wc_dh_public(cert->link_key, identity.link_secret);
    cert->not_before_ms = OFFICES_FROM_MS;
    cert->not_after_ms = OFFICES_UNTIL_MS;
    cert->serial = (uint64_t)letter;
    cert->quota = 100;
    offices_certify(&identity, by);
    return identity;
}

#endif
