/* SPDX-License-Identifier: Apache-2.0 */
/* Records: golden vectors of every kind, each bit and each truncation of them, what is
 * refused and by which name, order, leases and slots. */
#include <stdio.h>
#include <string.h>

#include <whocan/edit.h>
#include <whocan/person.h>
#include <whocan/record.h>

#include "tests/unit/fixture.h"
#include "tests/unit/golden.h"
#include "tests/unit/unit.h"

#define T0           FIXTURE_NOW_MS
#define KIND_UNKNOWN 99
#define TEXT(s)      wc_slice_text(s)

static struct fixture fix;

static int fixture_setup(void **state)
{
    (void)state;
    fixture_init(&fix);
    return 0;
}

static int fixture_teardown(void **state)
{
    (void)state;
    fixture_fini(&fix);
    return 0;
}

/* ---- the golden records ---- */

static void pack_pair(struct wc_buf *b, const char *key, const char *value)
{
    wc_pack_text(b, key);
    wc_pack_text(b, value);
}

static void body_card(struct wc_buf *b)
{
    struct wc_card card = {
        .cert = wc_slice(fix.leeds.cert_bytes, fix.leeds.cert_len),
        .address_count = 2,
        .addresses = {"192.0.2.10:7447", "[2001:db8::10]:7447"},
    };
    assert_int_equal(wc_card_body(fix.leeds.signer.key, 1, &card, b), 0);
}

static void person_row(struct wc_person *p)
{
    *p = (struct wc_person){
        .present = WC_PERSON_NAME | WC_PERSON_TITLE | WC_PERSON_TEAM | WC_PERSON_EMAIL,
        .name = TEXT("Alice \xc3\x85s"),
        .title = TEXT("Service designer"),
        .team = TEXT("Digital"),
        .email = TEXT("alice@leeds.example"),
    };
}

static void body_row(struct wc_buf *b)
{
    struct wc_person p;
    person_row(&p);
    assert_int_equal(wc_person_body(fix.leeds.signer.key, "alice", 1, &p, NULL, b), 0);
}

static void body_profile(struct wc_buf *b)
{
    struct wc_person p;
    person_row(&p);
    p.present = 0xfff;
    p.skill_count = 2;
    p.skills[0] = (struct wc_skill){.name = TEXT("User research"),
                                    .id = TEXT("gdd:user-research"),
                                    .level = WC_LEVEL_EXPERT,
                                    .mentor = true};
    p.skills[1] = (struct wc_skill){.name = TEXT("Norsk"), .learn = true};
    p.interest_count = 1;
    p.interests[0] = TEXT("accessibility");
    p.ask_me_about = TEXT("Interviews\nand surveys");
    p.language_count = 2;
    p.languages[0] = TEXT("en");
    p.languages[1] = TEXT("nb");
    p.working_days = 0x1f;
    p.phone = TEXT("+44 113 496 0000");
    p.willing = true;
    p.confirmed_at_ms = T0;
    assert_int_equal(wc_person_body(fix.leeds.signer.key, "alice", 3, &p, NULL, b), 0);
}

/* The same after she lost her key: the person's second one signs. */
static void body_rekeyed(struct wc_buf *b)
{
    struct wc_buf before = {0};
    struct wc_doc *doc = NULL;
    static const struct wc_person nothing = {.present = 0};
    body_profile(&before);
    assert_int_equal(wc_doc_new(wc_buf_slice(&before), &wc_scan_default, &doc), 0);
    struct wc_edit_base base = {.office_key = fix.leeds.signer.key,
                                .subject = "alice",
                                .rev = 4,
                                .now_ms = T0 + WC_DAY_MS,
                                .key_changed_at_ms = T0 + WC_DAY_MS,
                                .body = wc_doc_root(doc)};
    struct wc_buf local = {0};
    assert_int_equal(
        wc_edit_build(&base, WC_EDIT_SET, &nothing, NULL, b, &local, NULL, NULL), 0);
    wc_doc_free(doc);
    wc_buf_fini(&before);
}

static void body_ask(struct wc_buf *b)
{
    struct wc_ask ask = {.text = TEXT("Who can help us start a blog?"),
                         .by = TEXT("alice")};
    memset(ask.id, 0xa5, sizeof(ask.id));
    assert_int_equal(wc_ask_body(fix.leeds.signer.key, 1, &ask, b), 0);
}

/* The fields of offers and thanks are not fixed yet: these two and the unknown kind show
 * that what is not understood is verified and kept all the same. */
static void body_offer(struct wc_buf *b)
{
    uint8_t sealed[48];
    memset(sealed, 0x5e, sizeof(sealed));
    wc_body_begin(b, fix.leeds.signer.key, "00112233445566778899aabbccddeeff", 1, 1);
    wc_pack_text(b, "sealed");
    wc_pack_bin(b, wc_slice(sealed, sizeof(sealed)));
}

static void body_thanks(struct wc_buf *b)
{
    wc_body_begin(b, fix.leeds.signer.key, "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5", 1, 1);
    pack_pair(b, "to", "bob@oslo");
}

static void body_retire(struct wc_buf *b)
{
    assert_int_equal(
        wc_retire_body(fix.leeds.signer.key, "alice", 4, WC_KIND_PROFILE, false, b), 0);
}

static void body_unknown(struct wc_buf *b)
{
    wc_body_begin(b, fix.leeds.signer.key, "something", 1, 2);
    wc_pack_text(b, "list");
    wc_pack_array(b, 2);
    wc_pack_nil(b);
    wc_pack_double(b, 1.5);
    pack_pair(b, "word", "new");
}

/* The hash of what the golden retirement ends: it says no more. */
#define RETIRED "90a868828f4971d69c8031eefc7e78782995b901454a088445c71bd3c45e3df8"

static const struct golden {
    const char *name;
    uint8_t kind;
    void (*body)(struct wc_buf *b); /* NULL: a revocation */
    bool by_person;                 /* else by the office */
    const char *subject;
    uint64_t rev;
} goldens[] = {
    {"record-card", WC_KIND_CARD, body_card, false, "card", 1},
    {"record-revoke", WC_KIND_REVOKE, NULL, false, NULL, 1},
    {"record-row", WC_KIND_ROW, body_row, false, "alice", 1},
    {"record-profile", WC_KIND_PROFILE, body_profile, true, "alice", 3},
    {"record-profile-rekeyed", WC_KIND_PROFILE, body_rekeyed, true, "alice", 4},
    {"record-ask", WC_KIND_ASK, body_ask, true, "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5", 1},
    {"record-offer", WC_KIND_OFFER, body_offer, true,
     "00112233445566778899aabbccddeeff", 1},
    {"record-thanks", WC_KIND_THANKS, body_thanks, true,
     "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5", 1},
    {"record-retire", WC_KIND_RETIRE, body_retire, false, RETIRED, 4},
    {"record-unknown", KIND_UNKNOWN, body_unknown, true, "something", 1},
};
#define GOLDEN_COUNT (sizeof(goldens) / sizeof(goldens[0]))

/* Sign and stamp a body as its kind has it. */
static int stamp(uint8_t kind, struct wc_slice body, const struct wc_signer *author,
                 const struct wc_stamp_params *params, struct wc_buf *out)
{
    uint8_t sig[WC_SIG_BYTES];
    int rc = wc_body_sign(sig, kind, body, author);
    return rc != 0 ? rc
                   : wc_record_stamp(kind, body, author->key, sig, &fix.leeds.signer,
                                     params, out);
}

static void build(const struct golden *g, struct wc_buf *out)
{
    if (g->body == NULL) {
        assert_int_equal(wc_revoke_build(fix.stranger.key, &fix.org, T0, out), 0);
        return;
    }
    struct wc_buf body = {0};
    struct wc_stamp_params params = {
        .seq = T0 + g->rev,
        .stamped_at_ms = T0,
        .expires_at_ms = T0 + wc_kind_lease_max_ms(g->kind),
    };
    g->body(&body);
    assert_int_equal(stamp(g->kind, wc_buf_slice(&body),
                           g->by_person ? &fix.person : &fix.leeds.signer, &params,
                           out),
                     0);
    wc_buf_fini(&body);
}

/* Decode and verify; 0 when both do. */
static int admit(struct wc_slice bytes)
{
    struct wc_record r;
    int rc = wc_record_decode(bytes, &r, NULL);
    return rc != 0 ? rc : wc_record_verify(&r, &fix.orgkey.org);
}

/* The certificate of leeds, granted; and a rotation to the key of the stranger. */
static void build_statements(struct wc_buf *grant, struct wc_buf *rotation)
{
    assert_int_equal(wc_grant_build(wc_slice(fix.leeds.cert_bytes, fix.leeds.cert_len),
                                    &fix.org, T0, grant),
                     0);
    assert_int_equal(wc_rotate_build(fix.stranger.key, 1, &fix.recovery, T0, rotation),
                     0);
}

static void the_golden_grant_and_rotation(void **state)
{
    (void)state;
    struct wc_buf grant = {0}, rotation = {0};
    struct wc_record r;
    char hex[2 * WC_KEY_BYTES + 1];
    build_statements(&grant, &rotation);
    golden_check("record-grant", wc_buf_slice(&grant));
    golden_check("record-rotate", wc_buf_slice(&rotation));
    assert_int_equal(wc_record_decode(wc_buf_slice(&grant), &r, NULL), 0);
    assert_int_equal(wc_record_verify(&r, &fix.orgkey.org), 0);
    wc_hex(hex, fix.leeds.signer.key, WC_KEY_BYTES);
    assert_string_equal(r.subject, hex);
    assert_int_equal(r.version.rev, 1);
    assert_true(
        wc_slice_eq(r.granted, wc_slice(fix.leeds.cert_bytes, fix.leeds.cert_len)));
    assert_int_equal(r.expires_at_ms, fix.leeds.cert.not_after_ms);
    assert_int_equal(wc_record_dates(&r, r.expires_at_ms - 1), 0);
    assert_int_equal(wc_record_dates(&r, r.expires_at_ms), -WC_EEXPIRED);
    assert_int_equal(wc_record_decode(wc_buf_slice(&rotation), &r, NULL), 0);
    assert_int_equal(wc_record_verify(&r, &fix.orgkey.org), 0);
    assert_string_equal(r.subject, "organisation");
    assert_memory_equal(r.new_key, fix.stranger.key, WC_KEY_BYTES);
    assert_true(rotation.len <= WC_ROTATION_MAX_BYTES);
    assert_true(r.expires_at_ms == UINT64_MAX);
    assert_int_equal(wc_record_dates(&r, UINT64_MAX), 0);
    /* no bit of either can change but of the envelope's numbers in a longer form */
    for (int which = 0; which < 2; which++) {
        struct wc_buf *b = which == 0 ? &grant : &rotation;
        for (size_t bit = 0; bit < b->len * 8; bit++) {
            b->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (admit(wc_buf_slice(b)) == 0)
                fail_msg("is admitted with bit %zu flipped", bit);
            b->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    wc_buf_fini(&grant);
    wc_buf_fini(&rotation);
}

static void grants_and_rotations_are_checked(void **state)
{
    (void)state;
    struct wc_buf b = {0}, cert = {0};
    struct wc_record r;
    struct wc_org org = fix.orgkey.org;
    struct wc_cert other = fix.leeds.cert;
    /* a certificate by another key inside a grant by the right one */
    assert_int_equal(wc_cert_issue(&other, &fix.stranger, &cert), 0);
    assert_int_equal(wc_grant_build(wc_buf_slice(&cert), &fix.org, T0, &b), 0);
    assert_int_equal(wc_record_decode(wc_buf_slice(&b), &r, NULL), 0);
    assert_int_equal(wc_record_verify(&r, &org), -WC_EBADSIG);
    /* and the other way round */
    wc_buf_reset(&b);
    assert_int_equal(wc_grant_build(wc_slice(fix.leeds.cert_bytes, fix.leeds.cert_len),
                                    &fix.stranger, T0, &b),
                     0);
    assert_int_equal(admit(wc_buf_slice(&b)), -WC_EDENIED);
    /* a rotation by the organisation's own key, or without a recovery key */
    wc_buf_reset(&b);
    assert_int_equal(wc_rotate_build(fix.stranger.key, 1, &fix.org, T0, &b), 0);
    assert_int_equal(admit(wc_buf_slice(&b)), -WC_EDENIED);
    wc_buf_reset(&b);
    assert_int_equal(wc_rotate_build(fix.stranger.key, 1, &fix.recovery, T0, &b), 0);
    assert_int_equal(wc_record_decode(wc_buf_slice(&b), &r, NULL), 0);
    memset(org.recovery_key, 0, WC_KEY_BYTES);
    assert_int_equal(wc_record_verify(&r, &org), -WC_EDENIED);
    wc_buf_fini(&b);
    wc_buf_fini(&cert);
}

static void golden_records_are_built_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        struct wc_buf b = {0};
        build(&goldens[i], &b);
        golden_check(goldens[i].name, wc_buf_slice(&b));
        wc_buf_fini(&b);
    }
}

static void golden_records_decode_and_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        const struct golden *g = &goldens[i];
        struct wc_buf b = {0};
        struct wc_record r;
        struct wc_err err = {0};
        golden_read(g->name, &b);
        if (wc_record_decode(wc_buf_slice(&b), &r, &err) != 0)
            fail_msg("%s: %s %s", g->name, err.field, err.why);
        assert_int_equal(wc_record_verify(&r, &fix.orgkey.org), 0);
        assert_int_equal(r.kind, g->kind);
        assert_true(wc_slice_eq(r.bytes, wc_buf_slice(&b)));
        assert_int_equal(r.version.rev, g->rev);
        assert_int_equal(r.stamped_at_ms, T0);
        if (g->body == NULL) {
            char hex[2 * WC_KEY_BYTES + 1];
            wc_hex(hex, fix.stranger.key, WC_KEY_BYTES);
            assert_string_equal(r.subject, hex);
            assert_memory_equal(r.office_key, fix.org.key, WC_KEY_BYTES);
            assert_int_equal(r.version.seq, 0);
            assert_true(r.expires_at_ms == UINT64_MAX);
        } else {
            assert_string_equal(r.subject, g->subject);
            assert_memory_equal(r.office_key, fix.leeds.signer.key, WC_KEY_BYTES);
            assert_int_equal(r.version.seq, T0 + g->rev);
            assert_int_equal(r.expires_at_ms, T0 + wc_kind_lease_max_ms(g->kind));
        }
        assert_int_equal(r.slot_kind,
                         g->kind == WC_KIND_RETIRE ? WC_KIND_PROFILE : g->kind);
        assert_int_equal(wc_record_dates(&r, T0), 0);
        wc_buf_fini(&b);
    }
}

/* The listing in docs/records.md is that record: "OFFSET | HEX | words" in the block
 * after its mark. */
static void the_documented_record_is_the_golden_one(void **state)
{
    (void)state;
    char line[256];
    struct wc_buf listed = {0}, golden = {0};
    bool marked = false, inside = false;
    FILE *f = fopen(WHOCAN_SOURCE_DIR "/docs/records.md", "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (strstr(line, "<!-- golden: record-retire -->") != NULL)
            marked = true;
        else if (marked && strncmp(line, "```", 3) == 0 && inside)
            break;
        else if (marked && strncmp(line, "```", 3) == 0)
            inside = true;
        else if (inside) {
            unsigned offset = 0, byte;
            int at = 0, step = 0;
            assert_int_equal(sscanf(line, "%u |%n", &offset, &at), 1);
            assert_int_equal(offset, listed.len);
            for (; sscanf(line + at, " %2x%n", &byte, &step) == 1; at += step)
                wc_buf_byte(&listed, (uint8_t)byte);
            assert_int_equal(strncmp(line + at + strspn(line + at, " "), "|", 1), 0);
        }
    }
    fclose(f);
    golden_read("record-retire", &golden);
    assert_true(wc_slice_eq(wc_buf_slice(&listed), wc_buf_slice(&golden)));
    wc_buf_fini(&listed);
    wc_buf_fini(&golden);
}

static void no_flipped_bit_is_admitted(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        struct wc_buf b = {0};
        golden_read(goldens[i].name, &b);
        for (size_t bit = 0; bit < b.len * 8; bit++) {
            b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (admit(wc_buf_slice(&b)) == 0)
                fail_msg("%s with bit %zu flipped", goldens[i].name, bit);
            b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(admit(wc_buf_slice(&b)), 0);
        wc_buf_fini(&b);
    }
}

static void no_truncation_or_extension_is_admitted(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        struct wc_buf b = {0};
        struct wc_record r;
        golden_read(goldens[i].name, &b);
        for (size_t len = 0; len < b.len; len++)
            assert_int_equal(wc_record_decode(wc_slice(b.data, len), &r, NULL),
                             -WC_ETRUNCATED);
        wc_buf_byte(&b, 0xc0);
        assert_int_equal(wc_record_decode(wc_buf_slice(&b), &r, NULL), -WC_ETRAILING);
        wc_buf_fini(&b);
    }
}

/* ---- contents ---- */

/* Open the body of a golden record. */
static const struct wc_obj *golden_body(const char *name, struct wc_buf *b,
                                        struct wc_doc **doc)
{
    struct wc_record r;
    golden_read(name, b);
    assert_int_equal(wc_record_decode(wc_buf_slice(b), &r, NULL), 0);
    assert_int_equal(wc_doc_new(r.body, &wc_scan_default, doc), 0);
    return wc_doc_root(*doc);
}

static void golden_contents_read_as_they_were_written(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_doc *doc;
    struct wc_card card;
    assert_int_equal(wc_card_decode(golden_body("record-card", &b, &doc), &card, NULL),
                     0);
    assert_true(
        wc_slice_eq(card.cert, wc_slice(fix.leeds.cert_bytes, fix.leeds.cert_len)));
    assert_int_equal(card.address_count, 2);
    assert_string_equal(card.addresses[1], "[2001:db8::10]:7447");
    wc_doc_free(doc);
    wc_buf_fini(&b);

    struct wc_person p;
    assert_int_equal(
        wc_person_decode(golden_body("record-profile", &b, &doc), &p, NULL), 0);
    assert_int_equal(p.present, 0xfff);
    assert_int_equal(p.skills[0].level, WC_LEVEL_EXPERT);
    assert_int_equal(p.working_days, 0x1f);
    wc_doc_free(doc);
    wc_buf_fini(&b);

    struct wc_ask ask;
    assert_int_equal(wc_ask_decode(golden_body("record-ask", &b, &doc), &ask, NULL), 0);
    assert_true(wc_slice_is(ask.text, "Who can help us start a blog?"));
    assert_true(wc_slice_is(ask.by, "alice"));
    assert_int_equal(ask.id[15], 0xa5);
    wc_doc_free(doc);
    wc_buf_fini(&b);

    uint8_t ends = 0;
    bool erase = true;
    assert_int_equal(
        wc_retire_decode(golden_body("record-retire", &b, &doc), &ends, &erase, NULL),
        0);
    assert_int_equal(ends, WC_KIND_PROFILE);
    assert_false(erase);
    wc_doc_free(doc);
    wc_buf_fini(&b);
}

/* ---- what is refused ---- */

/* A record with correct signatures and digest, of whatever it is told. Zero keeps the
 * value of a valid profile of alice. */
struct forgery {
    uint64_t version, kind;
    struct wc_slice body; /* whole body */
    bool empty_body;
    const struct wc_signer *author;
    struct wc_slice stamp; /* whole stamp */
    const uint8_t *stamp_office;
    const char *stamp_subject;
    uint64_t stamp_rev, seq, stamped_at, expires_at;
    bool zero_digest, empty_stamp, short_stamp_sig, empty_stamp_sig;
    uint32_t elements, stamp_elements;
};

static void forge_digest(uint8_t out[32], uint8_t kind, struct wc_slice body,
                         const uint8_t *key, const uint8_t *sig)
{
    struct wc_slice parts[] = {wc_slice(&kind, 1), body, wc_slice(key, 32),
                               wc_slice(sig, 64)};
    wc_hash(out, parts, 4);
}

#define OR(value, fallback) ((value) != 0 ? (value) : (fallback))

static void forge_stamp(const struct forgery *f, const uint8_t digest[32],
                        struct wc_buf *out)
{
    static const uint8_t zero[32];
    if (f->stamp.len > 0) {
        wc_buf_append(out, f->stamp.data, f->stamp.len);
        return;
    }
    const uint8_t *office =
        f->stamp_office == NULL ? fix.leeds.signer.key : f->stamp_office;
    wc_pack_array(out, OR(f->stamp_elements, 7));
    wc_pack_bin(out, wc_slice(office, 32));
    wc_pack_text(out, f->stamp_subject == NULL ? "alice" : f->stamp_subject);
    wc_pack_u64(out, OR(f->stamp_rev, 3));
    wc_pack_u64(out, OR(f->seq, T0));
    wc_pack_u64(out, OR(f->stamped_at, T0));
    wc_pack_u64(out, OR(f->expires_at, T0 + WC_DAY_MS));
    wc_pack_bin(out, wc_slice(f->zero_digest ? zero : digest, 32));
    if (f->stamp_elements == 8)
        wc_pack_nil(out);
}

static void forge(const struct forgery *f, struct wc_buf *out)
{
    struct wc_buf body = {0}, stamp_bytes = {0};
    uint8_t author_sig[64], stamp_sig[64], digest[32];
    const struct wc_signer *author = f->author == NULL ? &fix.person : f->author;
    uint8_t kind = (uint8_t)OR(f->kind, WC_KIND_PROFILE);
    if (f->body.len > 0)
        wc_buf_append(&body, f->body.data, f->body.len);
    else if (!f->empty_body)
        body_profile(&body);
    assert_int_equal(wc_body_sign(author_sig, kind, wc_buf_slice(&body), author), 0);
    forge_digest(digest, kind, wc_buf_slice(&body), author->key, author_sig);
    if (!f->empty_stamp)
        forge_stamp(f, digest, &stamp_bytes);
    assert_int_equal(wc_sign(stamp_sig, &fix.leeds.signer, "whocan stamp", kind,
                             wc_buf_slice(&stamp_bytes)),
                     0);
    wc_pack_array(out, OR(f->elements, 7));
    wc_pack_u64(out, OR(f->version, 1));
    wc_pack_u64(out, OR(f->kind, WC_KIND_PROFILE));
    wc_pack_bin(out, wc_buf_slice(&body));
    wc_pack_bin(out, wc_slice(author->key, 32));
    wc_pack_bin(out, wc_slice(author_sig, 64));
    wc_pack_bin(out, wc_buf_slice(&stamp_bytes));
    if (f->elements != 6)
        wc_pack_bin(out, wc_slice(stamp_sig, f->empty_stamp_sig   ? 0
                                             : f->short_stamp_sig ? 63
                                                                  : 64));
    if (f->elements == 8)
        wc_pack_nil(out);
    wc_buf_fini(&body);
    wc_buf_fini(&stamp_bytes);
}

static void assert_forgery(const struct forgery *f, int rc, const char *field)
{
    struct wc_buf b = {0};
    struct wc_record r;
    struct wc_err err = {0};
    memset(&r, 0x77, sizeof(r));
    struct wc_record untouched = r;
    forge(f, &b);
    int got = wc_record_decode(wc_buf_slice(&b), &r, &err);
    if (got == 0)
        got = wc_record_verify(&r, &fix.orgkey.org);
    else
        assert_memory_equal(&r, &untouched, sizeof(r));
    if (got != rc || (field != NULL && (err.field == NULL || strcmp(err.field, field))))
        fail_msg("%s, not %s: %s %s", wc_errname(got), wc_errname(rc),
                 err.field == NULL ? "" : err.field, err.why == NULL ? "" : err.why);
    wc_buf_fini(&b);
}

static void the_forge_can_make_a_good_one(void **state)
{
    (void)state;
    assert_forgery(&(struct forgery){0}, 0, NULL);
}

static void envelopes_are_checked(void **state)
{
    (void)state;
    assert_forgery(&(struct forgery){.version = 2}, -WC_EVERSION, "version");
    assert_forgery(&(struct forgery){.elements = 8}, -WC_EINVALID, "record");
    assert_forgery(&(struct forgery){.elements = 6}, -WC_EINVALID, "record");
    assert_forgery(&(struct forgery){.kind = 128}, -WC_EINVALID, "kind");
    assert_forgery(&(struct forgery){.kind = 256 + WC_KIND_PROFILE}, -WC_EINVALID,
                   "kind");
    assert_forgery(&(struct forgery){.kind = UINT64_MAX}, -WC_EINVALID, "kind");
    assert_forgery(&(struct forgery){.empty_body = true}, -WC_ETRUNCATED, "body");
    assert_forgery(&(struct forgery){.empty_stamp = true}, -WC_ETRUNCATED, "stamp");
    assert_forgery(&(struct forgery){.short_stamp_sig = true}, -WC_EINVALID,
                   "stamp_sig");
    assert_forgery(&(struct forgery){.empty_stamp_sig = true}, -WC_EINVALID,
                   "stamp_sig");

    struct wc_record r;
    struct wc_err err;
    assert_int_equal(wc_record_decode(TEXT("\x80"), &r, &err), -WC_ETYPE);
    assert_int_equal(wc_record_decode(TEXT("\x90"), &r, &err), -WC_ETYPE);
    assert_int_equal(wc_record_decode(TEXT("\x91\xc0"), &r, &err), -WC_ETYPE);
    assert_int_equal(wc_record_decode(TEXT("\x91\x01"), &r, &err), -WC_EINVALID);
    assert_int_equal(
        wc_record_decode(TEXT("\x97\x01\x04\xc0\xc0\xc0\xc0\xc0"), &r, &err),
        -WC_ETYPE);
    assert_string_equal(err.field, "body");
    /* a kind of 0 cannot be forged above, where it means "profile" */
    assert_int_equal(
        wc_record_decode(wc_slice("\x97\x01\x00\xc0\xc0\xc0\xc0\xc0", 8), &r, &err),
        -WC_EINVALID);
    assert_string_equal(err.field, "kind");
}

static void stamps_are_checked(void **state)
{
    (void)state;
    assert_forgery(&(struct forgery){.stamp = TEXT("\xc0")}, -WC_ETYPE, "stamp");
    assert_forgery(&(struct forgery){.stamp = TEXT("\xc1")}, -WC_ETYPE, "stamp");
    assert_forgery(&(struct forgery){.stamp = TEXT("\x90\x90")}, -WC_ETRAILING,
                   "stamp");
    assert_forgery(&(struct forgery){.stamp = TEXT("\x97\xc0\xc0\xc0\xc0\xc0\xc0\xc0")},
                   -WC_ETYPE, "stamp.office");
    assert_forgery(&(struct forgery){.stamp_elements = 8}, -WC_ETYPE, "stamp");
    assert_forgery(&(struct forgery){.stamp_office = fix.stranger.key}, -WC_EINVALID,
                   "stamp");
    assert_forgery(&(struct forgery){.stamp_subject = "alic"}, -WC_EINVALID, "stamp");
    assert_forgery(&(struct forgery){.stamp_subject = "Alice"}, -WC_EINVALID,
                   "stamp.subject");
    assert_forgery(&(struct forgery){.stamp_rev = 4}, -WC_EINVALID, "stamp");
    assert_forgery(&(struct forgery){.stamp_rev = WC_REV_MAX + 1}, -WC_EINVALID,
                   "stamp.rev");
    assert_forgery(&(struct forgery){.seq = WC_REV_MAX + 1}, -WC_EINVALID, "stamp.seq");
    assert_forgery(&(struct forgery){.seq = WC_REV_MAX}, 0, NULL);
    assert_forgery(&(struct forgery){.stamped_at = WC_REV_MAX + 1}, -WC_EINVALID,
                   "stamp.stamped_at");
    assert_forgery(&(struct forgery){.expires_at = WC_REV_MAX + 1}, -WC_EINVALID,
                   "stamp.expires_at");
    assert_forgery(&(struct forgery){.zero_digest = true}, -WC_EINVALID,
                   "stamp.digest");
}

/* A body of office, subject, rev and one more pair. */
struct body_case {
    struct wc_slice office;
    const char *subject;
    uint64_t rev;
    const char *key; /* one more */
    uint8_t value;   /* a MessagePack byte */
};

static void assert_body(uint8_t kind, const struct body_case *c, int rc,
                        const char *field)
{
    struct wc_buf b = {0};
    wc_pack_map(&b, c->key == NULL ? 3 : 4);
    wc_pack_text(&b, "office");
    wc_pack_bin(&b, c->office.len == 0 ? wc_slice(fix.leeds.signer.key, WC_KEY_BYTES)
                                       : c->office);
    pack_pair(&b, "subject", c->subject);
    wc_pack_text(&b, "rev");
    wc_pack_u64(&b, c->rev);
    if (c->key != NULL) {
        wc_pack_text(&b, c->key);
        wc_buf_byte(&b, c->value);
    }
    struct forgery f = {.kind = kind,
                        .body = wc_buf_slice(&b),
                        .author = &fix.leeds.signer,
                        .stamp_subject = c->subject,
                        .stamp_rev = c->rev};
    assert_forgery(&f, rc, field);
    wc_buf_fini(&b);
}

static void bodies_are_checked(void **state)
{
    (void)state;
    const uint8_t p = WC_KIND_PROFILE, r = WC_KIND_RETIRE;
    assert_body(p, &(struct body_case){.subject = "alice", .rev = 1}, 0, NULL);
    assert_body(p, &(struct body_case){.subject = "alice", .rev = WC_REV_MAX}, 0, NULL);
    assert_body(p, &(struct body_case){.subject = "alice", .rev = WC_REV_MAX + 1},
                -WC_EINVALID, "rev");
    assert_body(p, &(struct body_case){.subject = "alice", .rev = 0}, -WC_EINVALID,
                "rev");
    assert_body(
        p, &(struct body_case){.subject = "alice", .rev = 1, .key = "rev", .value = 1},
        -WC_EINVALID, "body");
    assert_body(p,
                &(struct body_case){
                    .subject = "alice", .rev = 1, .key = "later", .value = 0xc0},
                0, NULL);
    assert_body(
        p, &(struct body_case){.subject = "alice", .rev = 1, .office = TEXT("short")},
        -WC_EINVALID, "office");
    assert_body(r, &(struct body_case){.subject = RETIRED, .rev = 1}, -WC_EMISSING,
                "kind");
    static const uint8_t never[] = {0, WC_KIND_REVOKE, WC_KIND_RETIRE};
    for (size_t i = 0; i < sizeof(never); i++)
        assert_body(r,
                    &(struct body_case){
                        .subject = RETIRED, .rev = 1, .key = "kind", .value = never[i]},
                    -WC_EINVALID, "kind");
    assert_body(
        r,
        &(struct body_case){.subject = RETIRED, .rev = 1, .key = "kind", .value = 99},
        0, NULL);

    assert_forgery(&(struct forgery){.body = TEXT("\x90")}, -WC_ETYPE, "body");
    assert_forgery(&(struct forgery){.body = TEXT("\x81\x01\x02")}, -WC_EINVALID,
                   "body");
    assert_forgery(&(struct forgery){.body = wc_slice("\x80", 1)}, -WC_EMISSING,
                   "office");
    assert_forgery(&(struct forgery){.body = TEXT("\x80\xc0")}, -WC_ETRAILING, "body");
    assert_forgery(&(struct forgery){.body = TEXT("\xdd\x10\xff\xff\xff")}, -WC_ETOOBIG,
                   "body");
    assert_forgery(&(struct forgery){.body = TEXT("\x81\xa1x\xd4\x01\x01")}, -WC_ETYPE,
                   "body");
}

static void subjects_fit_their_kind(void **state)
{
    (void)state;
    static const char hex64[] =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const struct {
        uint8_t kind;
        const char *subject;
        int rc;
    } cases[] = {
        {WC_KIND_CARD, "card", 0},
        {WC_KIND_CARD, "cards", -WC_EINVALID},
        {WC_KIND_ROW, "alice", 0},
        {WC_KIND_ROW, "-alice", -WC_EINVALID},
        {WC_KIND_PROFILE, "a.b-c_0", 0},
        {WC_KIND_PROFILE, ".", -WC_EINVALID},
        {WC_KIND_PROFILE, "", -WC_EINVALID},
        {WC_KIND_PROFILE, "Alice", -WC_EINVALID},
        {WC_KIND_PROFILE, "al ice", -WC_EINVALID},
        {WC_KIND_PROFILE, "al/ice", -WC_EINVALID},
        {WC_KIND_PROFILE, "\xc3\xa5se", -WC_EINVALID},
        {WC_KIND_PROFILE, "abcdefghijklmnopqrstuvwxyz0123456", -WC_EINVALID},
        {WC_KIND_ASK, "0123456789abcdef0123456789abcdef", 0},
        {WC_KIND_ASK, "0123456789abcdef0123456789abcdeg", -WC_EINVALID},
        {WC_KIND_ASK, "0123456789abcdef0123456789abcde", -WC_EINVALID},
        {WC_KIND_ASK, "0123456789ABCDEF0123456789ABCDEF", -WC_EINVALID},
        {WC_KIND_OFFER, hex64, 0},
        {WC_KIND_THANKS, "-", 0},
        {KIND_UNKNOWN, hex64, 0},
        {KIND_UNKNOWN,
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
         -WC_EINVALID},
        {127, "x", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_body(cases[i].kind,
                    &(struct body_case){.subject = cases[i].subject, .rev = 1},
                    cases[i].rc, cases[i].rc == 0 ? NULL : "subject");
    /* a retirement has a hash, whatever it ends, and never a name */
    static const struct {
        uint8_t ends;
        const char *subject;
        int rc;
    } retirements[] = {
        {WC_KIND_PROFILE, hex64, 0},
        {WC_KIND_CARD, hex64, 0},
        {KIND_UNKNOWN, hex64, 0},
        {WC_KIND_PROFILE, "alice", -WC_EINVALID},
        {WC_KIND_CARD, "card", -WC_EINVALID},
        {WC_KIND_ASK, "0123456789abcdef0123456789abcdef", -WC_EINVALID},
        {KIND_UNKNOWN,
         "g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
         -WC_EINVALID},
    };
    for (size_t i = 0; i < sizeof(retirements) / sizeof(retirements[0]); i++)
        assert_body(WC_KIND_RETIRE,
                    &(struct body_case){.subject = retirements[i].subject,
                                        .rev = 2,
                                        .key = "kind",
                                        .value = retirements[i].ends},
                    retirements[i].rc, retirements[i].rc == 0 ? NULL : "subject");
}

/* What a key holder's broken program could sign. */
static void statements_say_what_they_hold(void **state)
{
    (void)state;
    struct wc_buf body = {0};
    char subject[2 * WC_KEY_BYTES + 1];
    struct wc_slice cert = wc_slice(fix.leeds.cert_bytes, fix.leeds.cert_len);
    static const struct {
        bool other_key, short_cert, no_cert;
        uint64_t rev;
        int rc;
        const char *field;
    } cases[] = {
        {false, false, false, 1, 0, NULL},
        {true, false, false, 1, -WC_EINVALID, "cert"},
        {false, false, false, 2, -WC_EINVALID, "rev"},
        {false, true, false, 1, -WC_ETRUNCATED, "certificate"},
        {false, false, true, 1, -WC_EMISSING, "cert"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wc_hex(subject, cases[i].other_key ? fix.person.key : fix.leeds.signer.key,
               WC_KEY_BYTES);
        wc_buf_reset(&body);
        wc_body_begin(&body, fix.org.key, subject, cases[i].rev,
                      cases[i].no_cert ? 1 : 2);
        wc_pack_text(&body, "at");
        wc_pack_u64(&body, T0);
        if (!cases[i].no_cert) {
            wc_pack_text(&body, "cert");
            wc_pack_bin(&body, wc_slice(cert.data, cert.len - cases[i].short_cert));
        }
        struct forgery f = {.kind = WC_KIND_GRANT,
                            .body = wc_buf_slice(&body),
                            .author = &fix.org,
                            .empty_stamp = true,
                            .empty_stamp_sig = true};
        assert_forgery(&f, cases[i].rc, cases[i].field);
    }
    /* a rotation as long as a record */
    wc_buf_reset(&body);
    wc_body_begin(&body, fix.recovery.key, "organisation", 1, 3);
    wc_pack_text(&body, "at");
    wc_pack_u64(&body, T0);
    wc_pack_text(&body, "key");
    wc_pack_bin(&body, wc_slice(fix.stranger.key, WC_KEY_BYTES));
    wc_pack_text(&body, "more");
    wc_pack_bin(&body, cert);
    struct forgery f = {.kind = WC_KIND_ROTATE,
                        .body = wc_buf_slice(&body),
                        .author = &fix.recovery,
                        .empty_stamp = true,
                        .empty_stamp_sig = true};
    assert_forgery(&f, -WC_ETOOBIG, "record");
    wc_buf_fini(&body);
}

static void revocations_are_checked(void **state)
{
    (void)state;
    struct wc_buf b = {0}, body = {0};
    struct wc_record r;
    char subject[2 * WC_KEY_BYTES + 1];
    wc_hex(subject, fix.stranger.key, WC_KEY_BYTES);

    /* stamped, although correctly */
    wc_body_begin(&body, fix.leeds.signer.key, subject, 1, 1);
    wc_pack_text(&body, "at");
    wc_pack_u64(&body, T0);
    struct forgery f = {.kind = WC_KIND_REVOKE,
                        .body = wc_buf_slice(&body),
                        .author = &fix.leeds.signer,
                        .stamp_subject = subject,
                        .stamp_rev = 1};
    assert_forgery(&f, -WC_EINVALID, "stamp");
    f.empty_stamp = true;
    assert_forgery(&f, -WC_EINVALID, "stamp");
    /* by an office and not the organisation */
    f.empty_stamp_sig = true;
    assert_forgery(&f, -WC_EDENIED, NULL);

    /* the organisation's key named, somebody else's signature */
    wc_buf_reset(&body);
    wc_body_begin(&body, fix.org.key, subject, 1, 1);
    wc_pack_text(&body, "at");
    wc_pack_u64(&body, T0);
    f.body = wc_buf_slice(&body);
    assert_forgery(&f, -WC_EDENIED, NULL);
    f.author = &fix.org;
    assert_forgery(&f, 0, NULL);

    /* a second revision, no date, a subject that is no key */
    wc_buf_reset(&body);
    wc_body_begin(&body, fix.org.key, subject, 2, 1);
    wc_pack_text(&body, "at");
    wc_pack_u64(&body, T0);
    f.body = wc_buf_slice(&body);
    assert_forgery(&f, -WC_EINVALID, "rev");
    wc_buf_reset(&body);
    wc_body_begin(&body, fix.org.key, subject, 1, 0);
    f.body = wc_buf_slice(&body);
    assert_forgery(&f, -WC_EMISSING, "at");
    wc_buf_reset(&body);
    wc_body_begin(&body, fix.org.key, "alice", 1, 0);
    f.body = wc_buf_slice(&body);
    assert_forgery(&f, -WC_EINVALID, "subject");

    /* one of another organisation */
    assert_int_equal(wc_revoke_build(fix.leeds.signer.key, &fix.stranger, T0, &b), 0);
    assert_int_equal(wc_record_decode(wc_buf_slice(&b), &r, NULL), 0);
    assert_int_equal(wc_record_verify(&r, &fix.orgkey.org), -WC_EDENIED);
    struct wc_org strangers = fix.orgkey.org;
    memcpy(strangers.key, fix.stranger.key, WC_KEY_BYTES);
    assert_int_equal(wc_record_verify(&r, &strangers), 0);
    /* it has no dates */
    assert_int_equal(wc_record_dates(&r, 0), 0);
    assert_int_equal(wc_record_dates(&r, UINT64_MAX), 0);
    wc_buf_fini(&body);
    wc_buf_fini(&b);
}

static void authors_are_checked(void **state)
{
    (void)state;
    static const struct {
        uint8_t kind;
        const char *subject;
        int rc; /* when a person and not the office is the author */
    } cases[] = {
        {WC_KIND_CARD, "card", -WC_EDENIED},
        {WC_KIND_ROW, "alice", -WC_EDENIED},
        {WC_KIND_PROFILE, "alice", 0},
        {WC_KIND_THANKS, "x", 0},
        {WC_KIND_OFFER, "x", 0},
        {KIND_UNKNOWN, "x", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wc_buf body = {0};
        wc_body_begin(&body, fix.leeds.signer.key, cases[i].subject, 3, 0);
        struct forgery f = {.kind = cases[i].kind,
                            .body = wc_buf_slice(&body),
                            .stamp_subject = cases[i].subject};
        f.author = &fix.leeds.signer;
        assert_forgery(&f, 0, NULL);
        f.author = &fix.person;
        assert_forgery(&f, cases[i].rc, NULL);
        wc_buf_fini(&body);
    }
    struct wc_buf body = {0};
    body_retire(&body);
    struct forgery f = {.kind = WC_KIND_RETIRE,
                        .body = wc_buf_slice(&body),
                        .author = &fix.person,
                        .stamp_subject = RETIRED,
                        .stamp_rev = 4};
    assert_forgery(&f, -WC_EDENIED, NULL);
    wc_buf_fini(&body);
}

/* Nobody but the home office can stamp, and a signature serves one kind only. */
static void signatures_do_not_travel(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_record r, changed;
    golden_read("record-profile", &b);
    assert_int_equal(wc_record_decode(wc_buf_slice(&b), &r, NULL), 0);

    changed = r;
    assert_int_equal(
        wc_sign(changed.stamp_sig, &fix.stranger, "whocan stamp", r.kind, r.stamp), 0);
    assert_int_equal(wc_record_verify(&changed, &fix.orgkey.org), -WC_EBADSIG);
    changed = r;
    assert_int_equal(
        wc_sign(changed.stamp_sig, &fix.leeds.signer, "whocan body", r.kind, r.stamp),
        0);
    assert_int_equal(wc_record_verify(&changed, &fix.orgkey.org), -WC_EBADSIG);
    changed = r;
    changed.kind = KIND_UNKNOWN;
    assert_int_equal(wc_record_verify(&changed, &fix.orgkey.org), -WC_EBADSIG);
    changed = r;
    memcpy(changed.author_key, fix.stranger.key, WC_KEY_BYTES);
    assert_int_equal(wc_record_verify(&changed, &fix.orgkey.org), -WC_EBADSIG);
    wc_buf_fini(&b);
}

/* ---- sizes ---- */

/* A profile with a padding of that many bytes. */
static int stamp_padded(size_t padding, struct wc_buf *out)
{
    static const uint8_t zeros[WC_RECORD_MAX_BYTES * 2];
    struct wc_buf body = {0};
    struct wc_stamp_params params = {
        .seq = T0, .stamped_at_ms = T0, .expires_at_ms = T0 + WC_DAY_MS};
    wc_body_begin(&body, fix.leeds.signer.key, "alice", 1, 1);
    wc_pack_text(&body, "padding");
    wc_pack_bin(&body, wc_slice(zeros, padding));
    int rc = stamp(WC_KIND_PROFILE, wc_buf_slice(&body), &fix.person, &params, out);
    wc_buf_fini(&body);
    return rc;
}

static void the_largest_record_is_exact(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    assert_int_equal(stamp_padded(15000, &b), 0);
    size_t most = 15000 + WC_RECORD_MAX_BYTES - b.len;
    wc_buf_reset(&b);
    assert_int_equal(stamp_padded(most, &b), 0);
    assert_int_equal(b.len, WC_RECORD_MAX_BYTES);
    assert_int_equal(admit(wc_buf_slice(&b)), 0);
    wc_buf_reset(&b);
    wc_buf_text(&b, "before");
    assert_int_equal(stamp_padded(most + 1, &b), -WC_ETOOBIG);
    assert_true(wc_slice_is(wc_buf_slice(&b), "before")); /* nothing was written */
    assert_int_equal(stamp_padded(WC_RECORD_MAX_BYTES + 100, &b), -WC_ETOOBIG);
    wc_buf_fini(&b);

    static const uint8_t big[WC_RECORD_MAX_BYTES + 1] = {0xc0};
    struct wc_record r;
    assert_int_equal(wc_record_decode(wc_slice(big, sizeof(big)), &r, NULL),
                     -WC_ETOOBIG);
}

/* limits.h promises that a full profile fits. */
static void a_full_profile_fits(void **state)
{
    (void)state;
    static char text[1000];
    memset(text, 'x', sizeof(text));
    struct wc_person p = {.present = 0xfff};
    p.name = p.title = p.team = wc_slice(text, WC_TITLE_MAX_BYTES);
    p.ask_me_about = wc_slice(text, WC_ABOUT_MAX_BYTES);
    p.email = wc_slice(text, WC_EMAIL_MAX_BYTES);
    p.phone = wc_slice(text, WC_PHONE_MAX_BYTES);
    static char names[WC_SKILLS_MAX_COUNT][WC_SKILL_NAME_MAX_BYTES];
    for (unsigned i = 0; i < WC_SKILLS_MAX_COUNT; i++) {
        memset(names[i], 'a', sizeof(names[i]));
        names[i][0] = (char)('0' + i);
        p.skills[i] = (struct wc_skill){.name = wc_slice(names[i], sizeof(names[i])),
                                        .level = WC_LEVEL_PRACTITIONER,
                                        .mentor = true,
                                        .learn = true};
    }
    p.skill_count = WC_SKILLS_MAX_COUNT;
    for (unsigned i = 0; i < WC_INTERESTS_MAX_COUNT; i++)
        p.interests[i] = wc_slice(names[i], sizeof(names[i]));
    p.interest_count = WC_INTERESTS_MAX_COUNT;
    for (unsigned i = 0; i < WC_LANGUAGES_MAX_COUNT; i++)
        p.languages[i] = wc_slice(names[i], WC_LANGUAGE_MAX_BYTES);
    p.language_count = WC_LANGUAGES_MAX_COUNT;
    p.working_days = 0x7f;
    p.confirmed_at_ms = T0;

    struct wc_buf body = {0}, b = {0};
    struct wc_stamp_params params = {
        .seq = T0, .stamped_at_ms = T0, .expires_at_ms = T0 + WC_DAY_MS};
    assert_int_equal(
        wc_person_body(fix.leeds.signer.key, "alice", WC_REV_MAX, &p, NULL, &body), 0);
    assert_int_equal(
        stamp(WC_KIND_PROFILE, wc_buf_slice(&body), &fix.person, &params, &b), 0);
    print_message("a full profile takes %zu bytes\n", b.len);
    assert_int_equal(admit(wc_buf_slice(&b)), 0);
    wc_buf_fini(&body);
    wc_buf_fini(&b);
}

/* ---- stamping ---- */

static void stamping_refuses_what_nobody_would_accept(void **state)
{
    (void)state;
    struct wc_buf body = {0}, out = {0};
    struct wc_stamp_params params = {
        .seq = T0, .stamped_at_ms = T0, .expires_at_ms = T0 + WC_DAY_MS};
    body_profile(&body);
    struct wc_slice good = wc_buf_slice(&body);
    assert_int_equal(stamp(WC_KIND_PROFILE, good, &fix.person, &params, &out), 0);
    wc_buf_reset(&out);
    assert_int_equal(stamp(WC_KIND_REVOKE, good, &fix.person, &params, &out),
                     -WC_EINVALID);
    assert_int_equal(stamp(0, good, &fix.person, &params, &out), -WC_EINVALID);
    assert_int_equal(stamp(128, good, &fix.person, &params, &out), -WC_EINVALID);
    assert_int_equal(stamp(WC_KIND_CARD, good, &fix.person, &params, &out),
                     -WC_EINVALID);
    assert_int_equal(stamp(WC_KIND_PROFILE, TEXT("\x90"), &fix.person, &params, &out),
                     -WC_EINVALID);
    assert_int_equal(
        stamp(WC_KIND_PROFILE, wc_slice(NULL, 0), &fix.person, &params, &out),
        -WC_EINVALID);
    params.seq = WC_REV_MAX + 1;
    assert_int_equal(stamp(WC_KIND_PROFILE, good, &fix.person, &params, &out),
                     -WC_EINVALID);
    params.seq = T0;
    uint8_t sig[WC_SIG_BYTES] = {0};
    assert_int_equal(wc_record_stamp(WC_KIND_PROFILE, good, fix.person.key, sig,
                                     &fix.stranger, &params, &out),
                     -WC_EINVALID); /* not the body's office */
    assert_int_equal(out.len, 0);
    wc_buf_fini(&out);
    wc_buf_fini(&body);
}

static void a_lease_is_renewed_with_the_same_body(void **state)
{
    (void)state;
    struct wc_buf b = {0}, again = {0};
    struct wc_record r, renewed;
    struct wc_stamp_params params = {.seq = T0 + 90 * WC_DAY_MS,
                                     .stamped_at_ms = T0 + 90 * WC_DAY_MS,
                                     .expires_at_ms = T0 + 270 * WC_DAY_MS};
    golden_read("record-profile", &b);
    assert_int_equal(wc_record_decode(wc_buf_slice(&b), &r, NULL), 0);
    assert_int_equal(wc_record_stamp(r.kind, r.body, r.author_key, r.author_sig,
                                     &fix.leeds.signer, &params, &again),
                     0);
    assert_int_equal(admit(wc_buf_slice(&again)), 0);
    assert_int_equal(wc_record_decode(wc_buf_slice(&again), &renewed, NULL), 0);
    assert_true(wc_slice_eq(renewed.body, r.body));
    assert_memory_equal(renewed.version.digest, r.version.digest, WC_DIGEST_BYTES);
    assert_true(wc_version_cmp(&renewed.version, &r.version) > 0);
    wc_buf_fini(&b);
    wc_buf_fini(&again);
}

/* The home office stamps, and could write any stamp; it cannot change a word below
 * another's signature, nor put an older one on top. */
static void the_home_office_alters_no_word(void **state)
{
    (void)state;
    struct wc_buf b = {0}, body = {0}, forged = {0};
    struct wc_record r;
    struct wc_stamp_params params = {.seq = T0 + WC_DAY_MS,
                                     .stamped_at_ms = T0 + WC_DAY_MS,
                                     .expires_at_ms = T0 + 2 * WC_DAY_MS};
    golden_read("record-profile", &b);
    assert_int_equal(wc_record_decode(wc_buf_slice(&b), &r, NULL), 0);
    for (size_t i = 0; i < r.body.len; i++) {
        wc_buf_reset(&body);
        wc_buf_reset(&forged);
        wc_buf_append(&body, r.body.data, r.body.len);
        body.data[i] ^= 0x01;
        if (wc_record_stamp(r.kind, wc_buf_slice(&body), r.author_key, r.author_sig,
                            &fix.leeds.signer, &params, &forged) != 0)
            continue; /* no body any more */
        assert_int_equal(admit(wc_buf_slice(&forged)), -WC_EBADSIG);
    }
    /* its own signature makes it its own words, which every reader sees */
    uint8_t sig[WC_SIG_BYTES];
    wc_buf_reset(&forged);
    assert_int_equal(wc_body_sign(sig, r.kind, r.body, &fix.leeds.signer), 0);
    assert_int_equal(wc_record_stamp(r.kind, r.body, r.author_key, sig,
                                     &fix.leeds.signer, &params, &forged),
                     0);
    assert_int_equal(admit(wc_buf_slice(&forged)), -WC_EBADSIG);
    wc_buf_fini(&b);
    wc_buf_fini(&body);
    wc_buf_fini(&forged);
}

/* ---- order, leases, slots ---- */

static void order_is_rev_then_seq_then_digest(void **state)
{
    (void)state;
    const struct wc_version sorted[] = {
        {1, 1, {0}},    {1, 1, {0, 1}}, {1, 1, {1, 0}},
        {1, 1, {0xff}}, {1, 2, {0}},    {1, WC_REV_MAX, {0}},
        {2, 0, {0}},    {2, 1, {0}},    {WC_REV_MAX, 0, {0}},
    };
    const int count = sizeof(sorted) / sizeof(sorted[0]);
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++) {
            int order = wc_version_cmp(&sorted[i], &sorted[k]);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
}

static void leases_are_as_long_as_their_kind_allows(void **state)
{
    (void)state;
    assert_true(wc_kind_lease_max_ms(WC_KIND_REVOKE) == UINT64_MAX);
    assert_true(wc_kind_lease_max_ms(WC_KIND_GRANT) == UINT64_MAX);
    assert_true(wc_kind_lease_max_ms(WC_KIND_ROTATE) == UINT64_MAX);
    assert_int_equal(wc_kind_lease_max_ms(WC_KIND_ASK), 30 * WC_DAY_MS);
    assert_int_equal(wc_kind_lease_max_ms(WC_KIND_OFFER), 30 * WC_DAY_MS);
    for (unsigned kind = 1; kind <= WC_KIND_MAX; kind++) {
        struct wc_record r = {.kind = (uint8_t)kind, .stamped_at_ms = T0};
        uint64_t lease = wc_kind_lease_max_ms((uint8_t)kind);
        if (wc_kind_by_organisation((uint8_t)kind))
            continue;
        assert_true(lease <= WC_RETIRE_LEASE_MS);
        /* nothing may outlive the retirement that ended it */
        assert_true(kind == WC_KIND_RETIRE || lease + WC_DAY_MS <= WC_RETIRE_LEASE_MS);
        r.expires_at_ms = T0 + lease;
        assert_int_equal(wc_record_dates(&r, T0), 0);
        assert_int_equal(wc_record_dates(&r, T0 + lease - 1), 0);
        assert_int_equal(wc_record_dates(&r, T0 + lease), -WC_EEXPIRED);
        assert_int_equal(wc_record_dates(&r, UINT64_MAX), -WC_EEXPIRED);
        r.expires_at_ms++;
        assert_int_equal(wc_record_dates(&r, T0), -WC_ELEASE);
        r.expires_at_ms = T0;
        assert_int_equal(wc_record_dates(&r, T0), -WC_ELEASE);
        r.expires_at_ms = 0;
        assert_int_equal(wc_record_dates(&r, T0), -WC_ELEASE);
    }
}

static void stamps_of_the_future_wait(void **state)
{
    (void)state;
    struct wc_record r = {
        .kind = WC_KIND_PROFILE, .stamped_at_ms = T0, .expires_at_ms = T0 + WC_DAY_MS};
    assert_int_equal(wc_record_dates(&r, T0 - WC_FUTURE_SLACK_MS), 0);
    assert_int_equal(wc_record_dates(&r, T0 - WC_FUTURE_SLACK_MS - 1), -WC_EFUTURE);
    assert_int_equal(wc_record_dates(&r, 0), -WC_EFUTURE);
}

static void slots_separate_kind_office_and_subject(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    const uint8_t *leeds = fix.leeds.signer.key;
    wc_slot(a, WC_KIND_PROFILE, leeds, "alice");
    wc_slot(b, WC_KIND_PROFILE, leeds, "alice");
    assert_memory_equal(a, b, 32);
    wc_slot(b, WC_KIND_ROW, leeds, "alice");
    assert_memory_not_equal(a, b, 32);
    wc_slot(b, WC_KIND_PROFILE, fix.stranger.key, "alice");
    assert_memory_not_equal(a, b, 32);
    wc_slot(b, WC_KIND_PROFILE, leeds, "alicf");
    assert_memory_not_equal(a, b, 32);

    /* exactly as documented */
    const uint8_t kind = WC_KIND_PROFILE;
    struct wc_slice of_subject[] = {TEXT("whocan subject"), wc_slice(&kind, 1),
                                    wc_slice(leeds, 32), TEXT("alice")};
    uint8_t hash[32];
    wc_hash(hash, of_subject, 4);
    struct wc_slice of_slot[] = {TEXT("whocan slot"), wc_slice(&kind, 1),
                                 wc_slice(leeds, 32), wc_slice(hash, 32)};
    wc_hash(b, of_slot, 4);
    wc_slot(a, WC_KIND_PROFILE, leeds, "alice");
    assert_memory_equal(a, b, 32);
}

static void a_retirement_takes_the_slot_of_what_it_ends(void **state)
{
    (void)state;
    struct wc_buf profile = {0}, retire = {0};
    struct wc_record p, r;
    uint8_t a[32], b[32];
    golden_read("record-profile", &profile);
    golden_read("record-retire", &retire);
    assert_int_equal(wc_record_decode(wc_buf_slice(&profile), &p, NULL), 0);
    assert_int_equal(wc_record_decode(wc_buf_slice(&retire), &r, NULL), 0);
    wc_record_slot(&p, a);
    wc_record_slot(&r, b);
    assert_memory_equal(a, b, 32);
    assert_true(wc_version_cmp(&r.version, &p.version) > 0);
    wc_buf_fini(&profile);
    wc_buf_fini(&retire);
}

static void a_retirement_names_nobody(void **state)
{
    (void)state;
    struct wc_buf retire = {0};
    golden_read("record-retire", &retire);
    assert_null(memmem(retire.data, retire.len, "alice", 5));
    wc_buf_fini(&retire);
}

/* An office may copy the hash of another's retirement: with its own key in the body that
 * is a slot of its own, and with the other's it cannot sign. */
static void a_retirement_ends_nothing_of_another_office(void **state)
{
    (void)state;
    uint8_t theirs[32], copied[32], elsewhere[32];
    wc_slot(theirs, WC_KIND_PROFILE, fix.leeds.signer.key, "alice");
    assert_int_equal(
        wc_retire_slot(copied, WC_KIND_PROFILE, fix.leeds.signer.key, RETIRED), 0);
    assert_memory_equal(theirs, copied, 32);
    assert_int_equal(wc_retire_slot(copied, WC_KIND_PROFILE, fix.stranger.key, RETIRED),
                     0);
    assert_memory_not_equal(theirs, copied, 32);
    wc_slot(elsewhere, WC_KIND_PROFILE, fix.stranger.key, "alice");
    assert_memory_not_equal(elsewhere, copied, 32);
    /* nor is the hash good for another kind */
    assert_int_equal(wc_retire_slot(copied, WC_KIND_ROW, fix.leeds.signer.key, RETIRED),
                     0);
    wc_slot(theirs, WC_KIND_ROW, fix.leeds.signer.key, "alice");
    assert_memory_not_equal(theirs, copied, 32);
    assert_int_equal(wc_retire_slot(copied, WC_KIND_ROW, fix.leeds.signer.key, "alice"),
                     -WC_EINVALID);
}

static void items_name_one_version_of_one_slot(void **state)
{
    (void)state;
    uint8_t slot[32] = {1}, secret[32] = {2}, a[32], b[32];
    struct wc_version v = {.rev = 1, .seq = 2, .digest = {3}}, w = v;
    wc_record_item(slot, &v, secret, a);
    wc_record_item(slot, &w, secret, b);
    assert_memory_equal(a, b, 32);
    w.rev = 2;
    wc_record_item(slot, &w, secret, b);
    assert_memory_not_equal(a, b, 32);
    w = v;
    w.seq = 3;
    wc_record_item(slot, &w, secret, b);
    assert_memory_not_equal(a, b, 32);
    w = v;
    w.digest[31] = 1;
    wc_record_item(slot, &w, secret, b);
    assert_memory_not_equal(a, b, 32);
    slot[31] = 1;
    wc_record_item(slot, &v, secret, b);
    assert_memory_not_equal(a, b, 32);
    slot[31] = 0;
    secret[31] = 1; /* strangers cannot compute it */
    wc_record_item(slot, &v, secret, b);
    assert_memory_not_equal(a, b, 32);
}

/* ---- codecs of single kinds ---- */

static void cards_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        "host",        ":1",      "host:",   "host:x",
        "ho st:1", "host:123456", "host:-1", "host\n:1"};
    struct wc_buf b = {0};
    struct wc_card card = {.address_count = 1};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        strcpy(card.addresses[0], bad[i]);
        assert_int_equal(wc_card_body(fix.leeds.signer.key, 1, &card, &b),
                         -WC_EINVALID);
    }
    card.address_count = WC_ADDRESSES_MAX_COUNT + 1;
    assert_int_equal(wc_card_body(fix.leeds.signer.key, 1, &card, &b), -WC_ETOOBIG);
    static const uint8_t big[WC_CERT_MAX_BYTES + 1];
    card = (struct wc_card){.cert = wc_slice(big, sizeof(big))};
    assert_int_equal(wc_card_body(fix.leeds.signer.key, 1, &card, &b), -WC_ETOOBIG);
    assert_int_equal(b.len, 0);

    static const struct {
        const char *body;
        size_t len;
        int rc;
        const char *field;
    } cases[] = {
#define CASE(literal, rc, field) {literal, sizeof(literal) - 1, rc, field}
        CASE("\x80", -WC_EMISSING, "cert"),
        CASE("\x81\xa4"
             "cert\xa1x",
             -WC_ETYPE, "cert"),
        CASE("\x81\xa4"
             "cert\xc4\x00",
             -WC_EMISSING, "addresses"),
        CASE("\x82\xa4"
             "cert\xc4\x00\xa9"
             "addresses\xc0",
             -WC_ETYPE, "addresses"),
        CASE("\x82\xa4"
             "cert\xc4\x00\xa9"
             "addresses\x99\0\0\0\0\0\0\0\0\0",
             -WC_ETOOBIG, "addresses"),
        CASE("\x82\xa4"
             "cert\xc4\x00\xa9"
             "addresses\x91\x01",
             -WC_EINVALID, "addresses[]"),
        CASE("\x82\xa4"
             "cert\xc4\x00\xa9"
             "addresses\x91\xa1x",
             -WC_EINVALID, "addresses[]"),
        CASE("\x82\xa4"
             "cert\xc4\x00\xa9"
             "addresses\x91\xa3x:1",
             0, NULL),
        CASE("\x82\xa4"
             "cert\xc4\x00\xa9"
             "addresses\x90",
             0, NULL),
        CASE("\x83\xa4"
             "cert\xc4\x00\xa9"
             "addresses\x90\xa6"
             "erased\xc3",
             -WC_ETYPE, "erased"),
        CASE("\x83\xa4"
             "cert\xc4\x00\xa9"
             "addresses\x90\xa6"
             "erased\x91\xc4\x07"
             "1234567",
             -WC_EINVALID, "erased[]"),
        CASE("\x83\xa4"
             "cert\xc4\x00\xa9"
             "addresses\x90\xa6"
             "erased\x91\xc4\x08"
             "12345678",
             0, NULL),
#undef CASE
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wc_doc *doc;
        struct wc_err err = {0};
        assert_int_equal(
            wc_doc_new(wc_slice(cases[i].body, cases[i].len), &wc_scan_default, &doc),
            0);
        assert_int_equal(wc_card_decode(wc_doc_root(doc), &card, &err), cases[i].rc);
        if (cases[i].field != NULL)
            assert_string_equal(err.field, cases[i].field);
        wc_doc_free(doc);
    }
    wc_buf_fini(&b);
}

static void card_reads_back(const struct wc_card *card, struct wc_card *out)
{
    struct wc_buf b = {0};
    struct wc_doc *doc;
    assert_int_equal(wc_card_body(fix.leeds.signer.key, 1, card, &b), 0);
    assert_int_equal(wc_doc_new(wc_buf_slice(&b), &wc_scan_default, &doc), 0);
    assert_int_equal(wc_card_decode(wc_doc_root(doc), out, NULL), 0);
    wc_doc_free(doc);
    wc_buf_fini(&b);
}

static void cards_list_erasures(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_card read, card = {.erased_count = WC_ERASED_MAX_COUNT};
    for (uint32_t i = 0; i < WC_ERASED_MAX_COUNT; i++)
        wc_put_u64(card.erased[i], i * 0x0102030405060708ULL);
    card_reads_back(&card, &read);
    assert_int_equal(read.erased_count, WC_ERASED_MAX_COUNT);
    assert_memory_equal(read.erased, card.erased, sizeof(card.erased));
    card.erased_count = 0; /* then the card is what it was before there were any */
    card_reads_back(&card, &read);
    assert_int_equal(read.erased_count, 0);
    card.erased_count = WC_ERASED_MAX_COUNT + 1;
    assert_int_equal(wc_card_body(fix.leeds.signer.key, 1, &card, &b), -WC_ETOOBIG);
    wc_buf_fini(&b);
}

static void retirements_may_erase(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_doc *doc;
    struct wc_err err;
    uint8_t ends;
    bool erase = false;
    assert_int_equal(
        wc_retire_body(fix.leeds.signer.key, "alice", 4, WC_KIND_ROW, true, &b), 0);
    assert_int_equal(wc_doc_new(wc_buf_slice(&b), &wc_scan_default, &doc), 0);
    assert_int_equal(wc_retire_decode(wc_doc_root(doc), &ends, &erase, NULL), 0);
    assert_true(erase);
    assert_int_equal(ends, WC_KIND_ROW);
    wc_doc_free(doc);
    b.data[b.len - 1] = 1; /* was true */
    assert_int_equal(wc_doc_new(wc_buf_slice(&b), &wc_scan_default, &doc), 0);
    assert_int_equal(wc_retire_decode(wc_doc_root(doc), &ends, &erase, &err),
                     -WC_ETYPE);
    assert_string_equal(err.field, "erase");
    wc_doc_free(doc);
    wc_buf_fini(&b);
}

/* Write an ask and read it back with one pair replaced. */
static void assert_ask(const char *subject, const char *text, const char *by,
                       size_t id_len, int rc, const char *field)
{
    uint8_t id[WC_ASK_ID_BYTES + 1] = {0xab};
    struct wc_buf b = {0};
    struct wc_doc *doc;
    struct wc_ask ask;
    struct wc_err err = {0};
    wc_body_begin(&b, fix.leeds.signer.key, subject, 1, 3);
    pack_pair(&b, "text", text);
    pack_pair(&b, "by", by);
    wc_pack_text(&b, "id");
    wc_pack_bin(&b, wc_slice(id, id_len));
    assert_int_equal(wc_doc_new(wc_buf_slice(&b), &wc_scan_default, &doc), 0);
    assert_int_equal(wc_ask_decode(wc_doc_root(doc), &ask, &err), rc);
    if (field != NULL)
        assert_string_equal(err.field, field);
    wc_doc_free(doc);
    wc_buf_fini(&b);
}

static void asks_are_checked(void **state)
{
    (void)state;
    const char *hex = "ab000000000000000000000000000000";
    static char longest[WC_ASK_TEXT_MAX_BYTES + 2];
    memset(longest, 'x', WC_ASK_TEXT_MAX_BYTES);
    assert_ask(hex, "Who\nknows?", "alice", 16, 0, NULL);
    assert_ask(hex, longest, "alice", 16, 0, NULL);
    longest[WC_ASK_TEXT_MAX_BYTES] = 'x';
    assert_ask(hex, longest, "alice", 16, -WC_ETOOBIG, "text");
    assert_ask(hex, "", "alice", 16, -WC_EINVALID, "text");
    assert_ask(hex, "  ", "alice", 16, -WC_EINVALID, "text");
    assert_ask(hex, "\x1b[31m", "alice", 16, -WC_EINVALID, "text");
    assert_ask(hex, "Who?", "Alice", 16, -WC_EINVALID, "by");
    assert_ask(hex, "Who?", NULL, 16, -WC_EINVALID, "by");
    assert_ask(hex, NULL, "alice", 16, -WC_ETYPE, "text");
    assert_ask(hex, "Who?", "alice", 15, -WC_EINVALID, "id");
    assert_ask(hex, "Who?", "alice", 17, -WC_EINVALID, "id");
    assert_ask("ac000000000000000000000000000000", "Who?", "alice", 16, -WC_EINVALID,
               "subject");

    struct wc_buf b = {0};
    struct wc_ask ask = {.text = TEXT("Who?"), .by = TEXT("al ice")};
    assert_int_equal(wc_ask_body(fix.leeds.signer.key, 1, &ask, &b), -WC_EINVALID);
    ask = (struct wc_ask){.text = TEXT(""), .by = TEXT("alice")};
    assert_int_equal(wc_ask_body(fix.leeds.signer.key, 1, &ask, &b), -WC_EINVALID);
    ask.text = TEXT(longest);
    assert_int_equal(wc_ask_body(fix.leeds.signer.key, 1, &ask, &b), -WC_ETOOBIG);
    assert_int_equal(
        wc_retire_body(fix.leeds.signer.key, "alice", 1, WC_KIND_REVOKE, true, &b),
        -WC_EINVALID);
    assert_int_equal(b.len, 0);
    wc_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_records_are_built_byte_by_byte),
        cmocka_unit_test(golden_records_decode_and_verify),
        cmocka_unit_test(the_documented_record_is_the_golden_one),
        cmocka_unit_test(no_flipped_bit_is_admitted),
        cmocka_unit_test(no_truncation_or_extension_is_admitted),
        cmocka_unit_test(golden_contents_read_as_they_were_written),
        cmocka_unit_test(the_forge_can_make_a_good_one),
        cmocka_unit_test(envelopes_are_checked),
        cmocka_unit_test(stamps_are_checked),
        cmocka_unit_test(bodies_are_checked),
        cmocka_unit_test(subjects_fit_their_kind),
        cmocka_unit_test(revocations_are_checked),
        cmocka_unit_test(the_golden_grant_and_rotation),
        cmocka_unit_test(grants_and_rotations_are_checked),
        cmocka_unit_test(statements_say_what_they_hold),
        cmocka_unit_test(authors_are_checked),
        cmocka_unit_test(the_home_office_alters_no_word),
        cmocka_unit_test(signatures_do_not_travel),
        cmocka_unit_test(the_largest_record_is_exact),
        cmocka_unit_test(a_full_profile_fits),
        cmocka_unit_test(stamping_refuses_what_nobody_would_accept),
        cmocka_unit_test(a_lease_is_renewed_with_the_same_body),
        cmocka_unit_test(order_is_rev_then_seq_then_digest),
        cmocka_unit_test(leases_are_as_long_as_their_kind_allows),
        cmocka_unit_test(stamps_of_the_future_wait),
        cmocka_unit_test(slots_separate_kind_office_and_subject),
        cmocka_unit_test(a_retirement_takes_the_slot_of_what_it_ends),
        cmocka_unit_test(a_retirement_names_nobody),
        cmocka_unit_test(a_retirement_ends_nothing_of_another_office),
        cmocka_unit_test(items_name_one_version_of_one_slot),
        cmocka_unit_test(cards_are_checked),
        cmocka_unit_test(cards_list_erasures),
        cmocka_unit_test(retirements_may_erase),
        cmocka_unit_test(asks_are_checked),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
