/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed organisation of the golden vectors: one office, "leeds", and one person. */
#ifndef WHOCAN_TESTS_FIXTURE_H
#define WHOCAN_TESTS_FIXTURE_H

#include <string.h>

#include <whocan/cert.h>

#include "tests/unit/unit.h"

#define FIXTURE_NOW_MS 1735689600000ULL /* 2025-01-01 00:00 UTC */

struct fixture {
    struct wc_signer org, person, stranger, recovery;
    struct wc_orgkey orgkey; /* as if unlocked */
    struct wc_identity leeds;
};

static void fixture_signer(struct wc_signer *signer, int fill)
{
    uint8_t seed[WC_KEY_BYTES];
    memset(seed, fill, sizeof(seed));
    wc_signer_init(signer, seed);
}

static void fixture_init(struct fixture *f)
{
    uint8_t seeds[2 * WC_KEY_BYTES];
    memset(f, 0, sizeof(*f));
    fixture_signer(&f->org, 0x01);
    fixture_signer(&f->person, 0x04);
    fixture_signer(&f->stranger, 0x07);
    fixture_signer(&f->recovery, 0x08);
    memset(f->orgkey.org.id, 0x05, WC_ORG_ID_BYTES);
    memset(f->orgkey.org.secret, 0x06, WC_SECRET_BYTES);
    memcpy(f->orgkey.org.key, f->org.key, WC_KEY_BYTES);
    memcpy(f->orgkey.org.recovery_key, f->recovery.key, WC_KEY_BYTES);
    strcpy(f->orgkey.org.name, "Example Council");
    f->orgkey.next_serial = 1;
    memset(seeds, 0x02, WC_KEY_BYTES);
    memset(seeds + WC_KEY_BYTES, 0x03, WC_KEY_BYTES);
    assert_int_equal(wc_orgkey_invite(&f->orgkey, &f->org, "leeds", "Leeds Civic Hall",
                                      1000, FIXTURE_NOW_MS, 365, seeds, &f->leeds),
                     0);
}

static void fixture_fini(struct fixture *f)
{
    wc_identity_fini(&f->leeds);
    wc_orgkey_fini(&f->orgkey);
    wc_signer_fini(&f->org);
}

#endif
