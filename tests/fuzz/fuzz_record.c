/* SPDX-License-Identifier: Apache-2.0 */
/* Records: the input as a whole record, and as a body that the home office of the golden
 * vectors stamps, which reaches what a digest would keep from a fuzzer. */
#include <whocan/person.h>
#include <whocan/record.h>

#include "tests/fuzz/fuzz.h"

static struct wc_signer org, office, person;
static struct wc_org council;

/* Read the contents as their kind has them. */
static void read_contents(const struct wc_record *r)
{
    struct wc_doc *doc;
    struct wc_card card;
    struct wc_person p;
    struct wc_ask ask;
    uint8_t ends;
    bool erase;
    HOLDS(wc_doc_new(r->body, &wc_scan_default, &doc) == 0);
    const struct wc_obj *body = wc_doc_root(doc);
    if (r->kind == WC_KIND_CARD && wc_card_decode(body, &card, NULL) == 0)
        HOLDS(card.address_count <= WC_ADDRESSES_MAX_COUNT &&
              card.erased_count <= WC_ERASED_MAX_COUNT);
    if (r->kind == WC_KIND_ASK && wc_ask_decode(body, &ask, NULL) == 0)
        HOLDS(ask.text.len > 0 && wc_login_valid(ask.by));
    if (r->kind == WC_KIND_ROW || r->kind == WC_KIND_PROFILE)
        wc_person_decode(body, &p, NULL);
    if (r->kind == WC_KIND_RETIRE)
        HOLDS(wc_retire_decode(body, &ends, &erase, NULL) == 0 &&
              ends == r->slot_kind && erase == r->erases);
    wc_doc_free(doc);
}

static void check_decoded(const struct wc_record *r, struct wc_slice in)
{
    uint8_t slot[WC_DIGEST_BYTES], again[WC_DIGEST_BYTES];
    HOLDS(wc_slice_eq(r->bytes, in));
    HOLDS(r->kind >= 1 && r->kind <= WC_KIND_MAX);
    HOLDS(strlen(r->subject) >= 1 && strlen(r->subject) <= WC_SUBJECT_MAX_BYTES);
    HOLDS(r->version.rev >= 1 && r->version.rev <= WC_REV_MAX);
    HOLDS(r->version.seq <= WC_REV_MAX);
    HOLDS(wc_version_cmp(&r->version, &r->version) == 0);
    wc_record_slot(r, slot);
    if (r->kind == WC_KIND_RETIRE)
        HOLDS(wc_retire_slot(again, r->slot_kind, r->office_key, r->subject) == 0);
    else
        wc_slot(again, r->kind, r->office_key, r->subject);
    HOLDS(memcmp(slot, again, sizeof(slot)) == 0);
    wc_record_dates(r, 0);
    wc_record_dates(r, UINT64_MAX);
    wc_record_verify(r, &council);
    read_contents(r);
}

static void as_record(struct wc_slice in)
{
    struct wc_record r;
    struct wc_err err = {0};
    int rc = wc_record_decode(in, &r, &err);
    if (rc == 0)
        check_decoded(&r, in);
    else
        HOLDS(err.rc == rc && err.field != NULL);
}

/* The first byte is the kind, the rest the fields of a body after its header. */
static void as_body(struct wc_slice in)
{
    struct wc_buf body = {0}, out = {0};
    struct wc_record r;
    uint8_t sig[WC_SIG_BYTES], kind = in.data[0];
    struct wc_stamp_params params = {.seq = 1, .stamped_at_ms = 2, .expires_at_ms = 3};
    wc_buf_append(&body, in.data + 1, in.len - 1);
    if (wc_body_sign(sig, kind, wc_buf_slice(&body), &person) == 0 &&
        wc_record_stamp(kind, wc_buf_slice(&body), person.key, sig, &office, &params,
                        &out) == 0) {
        HOLDS(wc_record_decode(wc_buf_slice(&out), &r, NULL) == 0);
        check_decoded(&r, wc_buf_slice(&out));
        int rc = wc_record_verify(&r, &council);
        HOLDS(rc == 0 || rc == -WC_EDENIED); /* cards, rows, retirements by a person */
    } else {
        HOLDS(out.len == 0);
    }
    wc_buf_fini(&out);
    wc_buf_fini(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready) {
        fuzz_signer(&org, 1);
        fuzz_signer(&office, 2);
        fuzz_signer(&person, 4);
        memcpy(council.key, org.key, WC_KEY_BYTES);
        memcpy(council.recovery_key, person.key, WC_KEY_BYTES);
        ready = true;
    }
    as_record(wc_slice(data, size));
    /* signing is slow: only what could be the map of a body */
    if (size > 1 && (data[1] >> 4 == 8 || data[1] == 0xde || data[1] == 0xdf))
        as_body(wc_slice(data, size));
    return 0;
}
