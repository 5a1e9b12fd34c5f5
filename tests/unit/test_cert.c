/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, identities, invitations and the organisation's key file. */
#include <stdio.h>
#include <string.h>

#include <whocan/cert.h>
#include <whocan/pack.h>
#include <whocan/record.h>

#include "tests/unit/fixture.h"
#include "tests/unit/golden.h"
#include "tests/unit/unit.h"

#define T0      FIXTURE_NOW_MS
#define TEXT(s) wc_slice_text(s)

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

static struct wc_slice leeds_cert(void)
{
    return wc_slice(fix.leeds.cert_bytes, fix.leeds.cert_len);
}

/* ---- certificates ---- */

static void the_golden_certificate_is_issued_and_opened(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_cert cert;
    golden_check("certificate", leeds_cert());
    golden_read("certificate", &b);
    assert_int_equal(wc_cert_open(wc_buf_slice(&b), &fix.orgkey.org, &cert, NULL), 0);
    assert_string_equal(cert.name, "leeds");
    assert_string_equal(cert.title, "Leeds Civic Hall");
    assert_memory_equal(cert.org_id, fix.orgkey.org.id, WC_ORG_ID_BYTES);
    assert_memory_equal(cert.sign_key, fix.leeds.signer.key, WC_KEY_BYTES);
    uint8_t link_key[WC_KEY_BYTES];
    wc_dh_public(link_key, fix.leeds.link_secret);
    assert_memory_equal(cert.link_key, link_key, WC_KEY_BYTES);
    assert_int_equal(cert.not_before_ms, T0);
    assert_int_equal(cert.not_after_ms, T0 + 365 * WC_DAY_MS);
    assert_int_equal(cert.serial, 1);
    assert_int_equal(cert.quota, 1000);
    wc_buf_fini(&b);
}

static void a_changed_certificate_does_not_open(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_cert cert, untouched;
    memset(&cert, 0x77, sizeof(cert));
    untouched = cert;
    wc_buf_append(&b, fix.leeds.cert_bytes, fix.leeds.cert_len);
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (wc_cert_open(wc_buf_slice(&b), &fix.orgkey.org, &cert, NULL) == 0)
            fail_msg("opens with bit %zu flipped", bit);
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(
            wc_cert_open(wc_slice(b.data, len), &fix.orgkey.org, &cert, NULL),
            -WC_ETRUNCATED);
    wc_buf_byte(&b, 0);
    assert_int_equal(wc_cert_open(wc_buf_slice(&b), &fix.orgkey.org, &cert, NULL),
                     -WC_ETRAILING);
    assert_memory_equal(&cert, &untouched, sizeof(cert));
    wc_buf_fini(&b);
}

static void a_certificate_serves_one_organisation(void **state)
{
    (void)state;
    struct wc_org other = fix.orgkey.org;
    struct wc_cert cert;
    struct wc_err err;
    other.id[0] ^= 1;
    assert_int_equal(wc_cert_open(leeds_cert(), &other, &cert, &err),
                     -WC_EORGANISATION);
    other = fix.orgkey.org;
    memcpy(other.key, fix.stranger.key, WC_KEY_BYTES);
    assert_int_equal(wc_cert_open(leeds_cert(), &other, &cert, &err), -WC_EBADSIG);
    assert_string_equal(err.field, "certificate");
}

/* What was checked before it was stored is read without keys, by the same rules. */
static void a_stored_certificate_is_read_without_its_organisation(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_cert cert;
    struct wc_err err;
    assert_int_equal(wc_cert_read(leeds_cert(), &cert, NULL), 0);
    assert_memory_equal(&cert, &fix.leeds.cert, sizeof(cert));
    wc_buf_append(&b, fix.leeds.cert_bytes, fix.leeds.cert_len);
    b.data[b.len - 1] ^= 1; /* in the signature, which nobody checks here */
    assert_int_equal(wc_cert_read(wc_buf_slice(&b), &cert, NULL), 0);
    assert_int_equal(wc_cert_read(wc_slice(b.data, b.len - 1), &cert, &err),
                     -WC_ETRUNCATED);
    wc_buf_byte(&b, 0);
    assert_int_equal(wc_cert_read(wc_buf_slice(&b), &cert, &err), -WC_ETRAILING);
    wc_buf_fini(&b);
}

static void bad_certificates_are_not_issued(void **state)
{
    (void)state;
    static const char *const names[] = {"",       "-leeds", "leeds-", "Leeds",
                                        "le eds", "le.eds", "le_eds", "l\xc3\xa5s"};
    struct wc_buf b = {0};
    struct wc_cert cert = fix.leeds.cert;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        strcpy(cert.name, names[i]);
        assert_int_equal(wc_cert_issue(&cert, &fix.org, &b), -WC_EINVALID);
    }
    cert = fix.leeds.cert;
    strcpy(cert.title, "two\nlines");
    assert_int_equal(wc_cert_issue(&cert, &fix.org, &b), -WC_EINVALID);
    strcpy(cert.title, "\xff");
    assert_int_equal(wc_cert_issue(&cert, &fix.org, &b), -WC_EINVALID);
    cert = fix.leeds.cert;
    cert.not_after_ms = cert.not_before_ms;
    assert_int_equal(wc_cert_issue(&cert, &fix.org, &b), -WC_EINVALID);
    cert = fix.leeds.cert;
    cert.not_after_ms = WC_REV_MAX + 1;
    assert_int_equal(wc_cert_issue(&cert, &fix.org, &b), -WC_EINVALID);
    cert = fix.leeds.cert;
    cert.serial = WC_REV_MAX + 1;
    assert_int_equal(wc_cert_issue(&cert, &fix.org, &b), -WC_EINVALID);
    assert_int_equal(b.len, 0);

    /* the largest stays below its limit */
    cert = fix.leeds.cert;
    memset(cert.name, 'a', WC_OFFICE_NAME_MAX_BYTES);
    memset(cert.title, 'b', WC_TITLE_MAX_BYTES);
    cert.name[WC_OFFICE_NAME_MAX_BYTES] = cert.title[WC_TITLE_MAX_BYTES] = '\0';
    cert.not_after_ms = cert.serial = WC_REV_MAX;
    cert.quota = UINT32_MAX;
    assert_int_equal(wc_cert_issue(&cert, &fix.org, &b), 0);
    assert_true(b.len <= WC_CERT_MAX_BYTES);
    struct wc_cert opened;
    assert_int_equal(wc_cert_open(wc_buf_slice(&b), &fix.orgkey.org, &opened, NULL), 0);
    assert_string_equal(opened.name, cert.name);
    assert_string_equal(opened.title, cert.title);
    wc_buf_fini(&b);
}

/* A correctly signed certificate with one element of its body replaced by raw bytes. */
static void forge(unsigned element, struct wc_slice value, struct wc_buf *out)
{
    struct wc_buf body = {0};
    struct wc_doc *outer, *inner;
    struct wc_slice old;
    uint8_t sig[WC_SIG_BYTES];
    assert_int_equal(wc_doc_new(leeds_cert(), &wc_scan_default, &outer), 0);
    assert_int_equal(wc_obj_bin(wc_obj_at(wc_doc_root(outer), 0), &old), 0);
    assert_int_equal(wc_doc_new(old, &wc_scan_default, &inner), 0);
    wc_pack_array(&body, element == 10 ? 11 : 10);
    for (unsigned i = 0; i < 10; i++) {
        if (i == element)
            wc_buf_append(&body, value.data, value.len);
        else
            wc_pack_obj(&body, wc_obj_at(wc_doc_root(inner), i));
    }
    if (element == 10)
        wc_buf_append(&body, value.data, value.len);
    assert_int_equal(
        wc_sign(sig, &fix.org, "whocan certificate", 0, wc_buf_slice(&body)), 0);
    wc_pack_array(out, 2);
    wc_pack_bin(out, wc_buf_slice(&body));
    wc_pack_bin(out, wc_slice(sig, sizeof(sig)));
    wc_doc_free(inner);
    wc_doc_free(outer);
    wc_buf_fini(&body);
}

static void every_field_of_a_certificate_is_checked(void **state)
{
    (void)state;
    static const struct {
        unsigned element;
        const char *value;
        size_t len;
        int rc;
        const char *field;
    } cases[] = {
#define CASE(element, literal, rc, field)                                              \
    {element, literal, sizeof(literal) - 1, rc, field}
        CASE(8, "\x02", 0, NULL),
        CASE(0, "\x02", -WC_EVERSION, "certificate"),
        CASE(0, "\xa1x", -WC_ETYPE, "certificate"),
        CASE(1, "\xc4\x01x", -WC_EINVALID, "organisation id"),
        CASE(1, "\xc0", -WC_ETYPE, "organisation id"),
        CASE(2, "\xa5Leeds", -WC_EINVALID, "office name"),
        CASE(2, "\xa1-", -WC_EINVALID, "office name"),
        CASE(2,
             "\xd9\x21"
             "012345678901234567890123456789012",
             -WC_ETOOBIG, "office name"),
        CASE(2, "\xc0", -WC_ETYPE, "office name"),
        CASE(2,
             "\xa3"
             "a\0b",
             -WC_EINVALID, "office name"),
        CASE(3, "\xa1\x07", -WC_EINVALID, "office title"),
        CASE(3, "\xa0", 0, NULL),
        CASE(4, "\xc4\x00", -WC_EINVALID, "sign key"),
        CASE(5, "\x01", -WC_ETYPE, "link key"),
        CASE(6, "\xff", -WC_ETYPE, "not_before"),
        CASE(6, "\xcf\x00\x20\x00\x00\x00\x00\x00\x00", -WC_EINVALID, "not_before"),
        CASE(7, "\x00", -WC_EINVALID, "certificate dates"),
        CASE(7, "\xcf\x00\x20\x00\x00\x00\x00\x00\x00", -WC_EINVALID, "not_after"),
        CASE(8, "\xcf\x00\x20\x00\x00\x00\x00\x00\x00", -WC_EINVALID, "serial"),
        CASE(9, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", -WC_EINVALID, "quota"),
        CASE(10, "\xc0", -WC_EINVALID, "certificate"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wc_buf b = {0};
        struct wc_cert cert;
        struct wc_err err = {0};
        forge(cases[i].element, wc_slice(cases[i].value, cases[i].len), &b);
        int rc = wc_cert_open(wc_buf_slice(&b), &fix.orgkey.org, &cert, &err);
        if (rc != cases[i].rc ||
            (rc != 0 && (err.rc != rc || strcmp(err.field, cases[i].field) != 0)))
            fail_msg("case %zu: %s %s", i, wc_errname(rc),
                     err.field == NULL ? "" : err.field);
        wc_buf_fini(&b);
    }
    static uint8_t big[WC_CERT_MAX_BYTES + 1];
    struct wc_cert cert;
    assert_int_equal(
        wc_cert_open(wc_slice(big, sizeof(big)), &fix.orgkey.org, &cert, NULL),
        -WC_ETOOBIG);
    assert_int_equal(wc_cert_open(TEXT("\x90"), &fix.orgkey.org, &cert, NULL),
                     -WC_ETYPE);
    assert_int_equal(wc_cert_open(TEXT("\xc0"), &fix.orgkey.org, &cert, NULL),
                     -WC_ETYPE);
    assert_int_equal(wc_cert_open(TEXT("\x92\xc0\xc0"), &fix.orgkey.org, &cert, NULL),
                     -WC_ETYPE);
    assert_int_equal(
        wc_cert_open(wc_slice("\x92\xc4\x00\xc4\x00", 5), &fix.orgkey.org, &cert, NULL),
        -WC_EINVALID);
}

static void certificates_hold_between_their_dates(void **state)
{
    (void)state;
    const struct wc_cert *c = &fix.leeds.cert;
    assert_int_equal(wc_cert_dates(c, T0 - WC_FUTURE_SLACK_MS - 1), -WC_EFUTURE);
    assert_int_equal(wc_cert_dates(c, T0 - WC_FUTURE_SLACK_MS), 0);
    assert_int_equal(wc_cert_dates(c, T0 + 365 * WC_DAY_MS - 1), 0);
    assert_int_equal(wc_cert_dates(c, T0 + 365 * WC_DAY_MS), -WC_EEXPIRED);
    assert_int_equal(wc_cert_dates(c, 0), -WC_EFUTURE);
    assert_int_equal(wc_cert_dates(c, UINT64_MAX), -WC_EEXPIRED);
}

/* ---- identities and invitations ---- */

static void assert_is_leeds(const struct wc_identity *id)
{
    assert_memory_equal(&id->org, &fix.leeds.org, sizeof(id->org));
    assert_memory_equal(&id->cert, &fix.leeds.cert, sizeof(id->cert));
    assert_int_equal(id->cert_len, fix.leeds.cert_len);
    assert_memory_equal(id->cert_bytes, fix.leeds.cert_bytes, id->cert_len);
    assert_memory_equal(&id->signer, &fix.leeds.signer, sizeof(id->signer));
    assert_memory_equal(id->sign_seed, fix.leeds.sign_seed, WC_KEY_BYTES);
    assert_memory_equal(id->link_secret, fix.leeds.link_secret, WC_KEY_BYTES);
}

static void the_golden_identity_and_invitation(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_identity id;
    assert_int_equal(wc_identity_encode(&fix.leeds, &b), 0);
    golden_check("identity", wc_buf_slice(&b));
    assert_int_equal(wc_identity_decode(wc_buf_slice(&b), &id, NULL), 0);
    assert_is_leeds(&id);
    wc_identity_fini(&id);

    wc_buf_reset(&b);
    assert_int_equal(wc_invite_line(&fix.leeds, &b), 0);
    golden_check("invitation", wc_buf_slice(&b));
    assert_null(memchr(b.data, '\n', b.len));
    wc_buf_reset(&b);
    golden_read("invitation", &b);
    assert_int_equal(wc_invite_parse(wc_buf_slice(&b), &id, NULL), 0);
    assert_is_leeds(&id);
    wc_identity_fini(&id);
    wc_buf_fini(&b);
}

static void an_invitation_survives_mail(void **state)
{
    (void)state;
    struct wc_buf line = {0}, wrapped = {0};
    struct wc_identity id;
    assert_int_equal(wc_invite_line(&fix.leeds, &line), 0);
    wc_buf_text(&wrapped, " \t\r\n");
    for (size_t i = 0; i < line.len; i++) {
        wc_buf_byte(&wrapped, line.data[i]);
        if (i > 20 && i % 60 == 0)
            wc_buf_text(&wrapped, "\r\n  ");
    }
    wc_buf_text(&wrapped, "\n\n");
    assert_int_equal(wc_invite_parse(wc_buf_slice(&wrapped), &id, NULL), 0);
    assert_is_leeds(&id);
    wc_identity_fini(&id);
    wc_buf_fini(&wrapped);
    wc_buf_fini(&line);
}

static void assert_wiped(const struct wc_identity *id)
{
    static const struct wc_identity zero;
    assert_memory_equal(id, &zero, sizeof(zero));
}

static void a_damaged_invitation_is_refused(void **state)
{
    (void)state;
    struct wc_buf line = {0};
    struct wc_identity id;
    struct wc_err err;
    assert_int_equal(wc_invite_parse(TEXT(""), &id, &err), -WC_EINVALID);
    assert_string_equal(err.why, "must start with whocan-invite-1:");
    assert_int_equal(wc_invite_parse(TEXT("whocan-invite-2:AA"), &id, &err),
                     -WC_EINVALID);
    assert_int_equal(wc_invite_parse(TEXT("whocan-invite-1:"), &id, &err),
                     -WC_ETRUNCATED);
    assert_int_equal(wc_invite_parse(TEXT("whocan-invite-1:!"), &id, &err),
                     -WC_EINVALID);
    assert_string_equal(err.why, "is damaged: copy the whole line and nothing else");
    assert_wiped(&id);

    assert_int_equal(wc_invite_line(&fix.leeds, &line), 0);
    for (size_t len = 0; len < line.len; len++) {
        assert_true(wc_invite_parse(wc_slice(line.data, len), &id, &err) < 0);
        assert_wiped(&id);
    }
    wc_buf_byte(&line, 'A');
    assert_true(wc_invite_parse(wc_buf_slice(&line), &id, &err) < 0);
    static char long_line[9000];
    memset(long_line, 'A', sizeof(long_line));
    assert_int_equal(wc_invite_parse(wc_slice(long_line, sizeof(long_line)), &id, &err),
                     -WC_ETOOBIG);
    assert_wiped(&id);
    wc_buf_fini(&line);
}

/* Whatever bit of the file rots, it is noticed. */
static void a_damaged_identity_is_refused(void **state)
{
    (void)state;
    struct wc_buf b = {0};
    struct wc_identity id;
    assert_int_equal(wc_identity_encode(&fix.leeds, &b), 0);
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        size_t at = bit / 8;
        b.data[at] ^= (uint8_t)(1u << bit % 8);
        int rc = wc_identity_decode(wc_buf_slice(&b), &id, NULL);
        b.data[at] ^= (uint8_t)(1u << bit % 8);
        if (rc == 0)
            fail_msg("decodes with bit %zu flipped", bit);
        assert_wiped(&id);
    }
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(wc_identity_decode(wc_slice(b.data, len), &id, NULL),
                         -WC_ETRUNCATED);
    wc_buf_fini(&b);
}

static void an_identity_has_the_keys_of_its_certificate(void **state)
{
    (void)state;
    struct wc_identity mixed = fix.leeds, id;
    struct wc_buf b = {0};
    struct wc_err err;
    mixed.sign_seed[0] ^= 1;
    assert_int_equal(wc_identity_encode(&mixed, &b), 0);
    assert_int_equal(wc_identity_decode(wc_buf_slice(&b), &id, &err), -WC_EINVALID);
    assert_string_equal(err.why, "has keys that are not those of its certificate");
    assert_wiped(&id);
    wc_buf_reset(&b);
    mixed = fix.leeds;
    mixed.link_secret[1] ^= 1;
    assert_int_equal(wc_identity_encode(&mixed, &b), 0);
    assert_int_equal(wc_identity_decode(wc_buf_slice(&b), &id, &err), -WC_EINVALID);
    wc_buf_reset(&b);
    mixed = fix.leeds;
    memcpy(mixed.org.key, fix.stranger.key, WC_KEY_BYTES);
    assert_int_equal(wc_identity_encode(&mixed, &b), 0);
    assert_int_equal(wc_identity_decode(wc_buf_slice(&b), &id, &err), -WC_EBADSIG);
    wc_buf_fini(&b);
}

static void a_standalone_office_trusts_itself(void **state)
{
    (void)state;
    uint8_t seeds[WC_STANDALONE_SEED_BYTES];
    struct wc_identity id, again;
    struct wc_buf b = {0};
    for (size_t i = 0; i < sizeof(seeds); i++)
        seeds[i] = (uint8_t)i;
    assert_int_equal(wc_identity_standalone(&id, "home", T0, seeds), 0);
    assert_string_equal(id.org.name, "home");
    assert_string_equal(id.cert.name, "home");
    assert_memory_equal(id.org.id, seeds + 128, WC_ORG_ID_BYTES);
    assert_memory_equal(id.org.secret, seeds + 32, WC_SECRET_BYTES);
    assert_memory_not_equal(id.org.key, id.cert.sign_key, WC_KEY_BYTES);
    /* whatever its clock said when it started first */
    assert_int_equal(wc_cert_dates(&id.cert, 0), 0);
    assert_int_equal(wc_cert_dates(&id.cert, T0 + 36500 * WC_DAY_MS), 0);
    assert_int_equal(wc_identity_encode(&id, &b), 0);
    assert_int_equal(wc_identity_decode(wc_buf_slice(&b), &again, NULL), 0);
    assert_memory_equal(&again.signer, &id.signer, sizeof(id.signer));
    assert_null(memmem(b.data, b.len, seeds, WC_KEY_BYTES)); /* nobody can admit more */

    assert_int_equal(wc_identity_standalone(&id, "No Slug", T0, seeds), -WC_EINVALID);
    assert_wiped(&id);
    wc_buf_fini(&b);
}

/* ---- the organisation's key file ---- */

static void make_orgkey(struct wc_orgkey *k)
{
    uint8_t random[WC_ORGKEY_RANDOM_BYTES];
    for (size_t i = 0; i < sizeof(random); i++)
        random[i] = (uint8_t)(i + 1);
    struct wc_recovery recovery;
    assert_int_equal(wc_orgkey_create(k, "Example Council", TEXT("correct horse"),
                                      random, &recovery),
                     0);
}

static void an_organisation_is_created_kept_and_unlocked(void **state)
{
    (void)state;
    struct wc_orgkey k, read;
    struct wc_signer signer = {0};
    struct wc_buf text = {0};
    struct wc_identity oslo;
    struct wc_cert cert;
    uint8_t seeds[2 * WC_KEY_BYTES] = {9, 9, 9};
    static const uint8_t zero[WC_SECRET_BYTES];

    make_orgkey(&k);
    assert_int_equal(k.next_serial, 1);
    assert_memory_equal(k.org.secret, zero, sizeof(zero)); /* locked */
    assert_int_equal(wc_orgkey_encode(&k, &text), 0);
    assert_int_equal(wc_orgkey_decode(wc_buf_slice(&text), &read, NULL), 0);
    assert_memory_equal(&read, &k, sizeof(k));
    for (size_t i = 0, column = 0; i < text.len; i++) {
        column = text.data[i] == '\n' ? 0 : column + 1;
        assert_true(column <= 64);
    }

    assert_int_equal(wc_orgkey_unlock(&read, TEXT("wrong horse"), &signer),
                     -WC_EBADSIG);
    assert_memory_equal(read.org.secret, zero, sizeof(zero));
    assert_int_equal(wc_orgkey_unlock(&read, TEXT("correct horse"), &signer), 0);
    assert_memory_equal(signer.key, k.org.key, WC_KEY_BYTES);
    for (unsigned i = 0; i < WC_SECRET_BYTES; i++)
        assert_int_equal(read.org.secret[i], 73 + i); /* of make_orgkey's random */

    assert_int_equal(wc_orgkey_invite(&read, &signer, "oslo",
                                      "Oslo r\xc3\xa5"
                                      "dhus",
                                      500, T0, 30, seeds, &oslo),
                     0);
    assert_int_equal(read.next_serial, 2);
    assert_int_equal(oslo.cert.serial, 1);
    assert_int_equal(oslo.cert.not_after_ms, T0 + 30 * WC_DAY_MS);
    assert_memory_equal(oslo.org.secret, read.org.secret, WC_SECRET_BYTES);
    assert_int_equal(
        wc_cert_open(wc_slice(oslo.cert_bytes, oslo.cert_len), &read.org, &cert, NULL),
        0);

    /* the file never holds the organisation's secret in the clear */
    wc_buf_reset(&text);
    assert_int_equal(wc_orgkey_encode(&read, &text), 0);
    struct wc_orgkey advanced;
    assert_int_equal(wc_orgkey_decode(wc_buf_slice(&text), &advanced, NULL), 0);
    assert_int_equal(advanced.next_serial, 2);
    assert_memory_equal(advanced.org.secret, zero, sizeof(zero));

    /* a file whose key is another's: the passphrase fits, the organisation does not */
    memcpy(advanced.org.key, fix.stranger.key, WC_KEY_BYTES);
    assert_int_equal(wc_orgkey_unlock(&advanced, TEXT("correct horse"), &signer),
                     -WC_EBADSIG);
    wc_orgkey_fini(&advanced);
    wc_orgkey_fini(&read);
    wc_signer_fini(&signer);
    wc_buf_fini(&text);
}

static void a_damaged_key_file_is_refused(void **state)
{
    (void)state;
    struct wc_orgkey k = fix.orgkey, read;
    struct wc_signer signer;
    struct wc_buf text = {0};
    struct wc_err err;
    k.ops = 1;
    k.mem_bytes = 8u << 20;
    k.box_len = 85;
    assert_int_equal(wc_orgkey_encode(&k, &text), 0);
    for (size_t len = 0; len + 1 < text.len; len++)
        assert_true(wc_orgkey_decode(wc_slice(text.data, len), &read, &err) < 0);
    assert_int_equal(wc_orgkey_decode(TEXT("-----BEGIN"), &read, &err), -WC_EINVALID);
    assert_string_equal(err.why,
                        "must start with the line 'whocan organisation key 1'");
    assert_int_equal(
        wc_orgkey_decode(TEXT("whocan organisation key 1\n!"), &read, &err),
        -WC_EINVALID);
    assert_string_equal(err.why, "is damaged");
    struct wc_buf long_text = {0};
    wc_buf_text(&long_text, "whocan organisation key 1\n");
    assert_non_null(wc_buf_reserve(&long_text, WC_ORGKEY_TEXT_MAX_BYTES));
    memset(long_text.data + long_text.len, ' ', WC_ORGKEY_TEXT_MAX_BYTES);
    long_text.len += WC_ORGKEY_TEXT_MAX_BYTES;
    assert_int_equal(wc_orgkey_decode(wc_buf_slice(&long_text), &read, &err),
                     -WC_ETOOBIG);
    wc_buf_fini(&long_text);

    /* a hostile file cannot ask for the machine's memory */
    k.mem_bytes = 1ULL << 40;
    wc_buf_reset(&text);
    assert_int_equal(wc_orgkey_encode(&k, &text), 0);
    assert_int_equal(wc_orgkey_decode(wc_buf_slice(&text), &read, &err), 0);
    assert_int_equal(wc_orgkey_unlock(&read, TEXT("x"), &signer), -WC_EINVALID);
    wc_orgkey_fini(&read);
    k.mem_bytes = 8u << 20;
    for (k.box_len = 0; k.box_len < WC_AEAD_TAG_BYTES + 2; k.box_len++)
        assert_int_equal(wc_orgkey_unlock(&k, TEXT("x"), &signer), -WC_EBADSIG);
    wc_buf_fini(&text);
}

/* ---- recovery, rotation ---- */

static void rotate(struct wc_orgkey *to, const struct wc_org *from,
                   const struct wc_recovery *recovery, uint8_t fill,
                   struct wc_signer *signer)
{
    uint8_t random[WC_ORGKEY_ROTATE_RANDOM_BYTES];
    memset(random, fill, sizeof(random));
    assert_int_equal(
        wc_orgkey_rotate(to, from, recovery, 7, TEXT("another"), T0, random, signer),
        0);
}

static void a_recovery_line_is_written_and_read(void **state)
{
    (void)state;
    struct wc_recovery r = {.org_name = "Example Council"}, read;
    struct wc_buf line = {0}, wrapped = {0};
    struct wc_err err;
    memset(r.org_id, 5, sizeof(r.org_id));
    memset(r.seed, 8, sizeof(r.seed));
    memset(r.org_secret, 6, sizeof(r.org_secret));
    assert_int_equal(wc_recovery_line(&r, &line), 0);
    golden_check("recovery", wc_buf_slice(&line));
    assert_int_equal(wc_recovery_parse(wc_buf_slice(&line), &read, NULL), 0);
    assert_memory_equal(&read, &r, sizeof(r));
    for (size_t i = 0; i < line.len; i++) {
        wc_buf_byte(&wrapped, line.data[i]);
        if (i > 20 && i % 40 == 0)
            wc_buf_text(&wrapped, "\n ");
    }
    assert_int_equal(wc_recovery_parse(wc_buf_slice(&wrapped), &read, NULL), 0);
    assert_memory_equal(&read, &r, sizeof(r));
    /* any letter that is typed wrong is noticed */
    for (size_t i = strlen("whocan-recovery-1:"); i < line.len; i++) {
        uint8_t was = line.data[i];
        line.data[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(wc_recovery_parse(wc_buf_slice(&line), &read, &err),
                         -WC_EINVALID);
        static const struct wc_recovery zero;
        assert_memory_equal(&read, &zero, sizeof(read));
        line.data[i] = was;
    }
    assert_int_equal(wc_recovery_parse(TEXT("whocan-invite-1:AAAA"), &read, &err),
                     -WC_EINVALID);
    assert_string_equal(err.why, "must start with whocan-recovery-1:");
    wc_buf_fini(&line);
    wc_buf_fini(&wrapped);
}

static void a_key_is_rotated_by_the_recovery_line(void **state)
{
    (void)state;
    struct wc_orgkey first, second, third, read;
    struct wc_recovery recovery, strangers;
    struct wc_signer signer, again;
    struct wc_buf text = {0}, bytes = {0}, grant = {0};
    struct wc_org away;
    struct wc_record r;
    struct wc_cert cert = fix.leeds.cert, opened;
    uint8_t random[WC_ORGKEY_RANDOM_BYTES] = {1};
    assert_int_equal(
        wc_orgkey_create(&first, "Council", TEXT("first"), random, &recovery), 0);
    assert_true(wc_org_has_recovery(&first.org));
    assert_int_equal(wc_org_rotations(&first.org), 0);
    away = first.org;
    rotate(&second, &first.org, &recovery, 0x22, &signer);
    assert_memory_equal(second.org.key, signer.key, WC_KEY_BYTES);
    assert_memory_not_equal(second.org.key, first.org.key, WC_KEY_BYTES);
    assert_memory_equal(second.org.id, first.org.id, WC_ORG_ID_BYTES);
    assert_memory_equal(second.org.secret, recovery.org_secret, WC_SECRET_BYTES);
    assert_int_equal(wc_org_rotations(&second.org), 1);
    assert_int_equal(second.next_serial, 7);

    /* the file of the new key says it all, under the new passphrase */
    assert_int_equal(wc_orgkey_encode(&second, &text), 0);
    assert_int_equal(wc_orgkey_decode(wc_buf_slice(&text), &read, NULL), 0);
    assert_int_equal(wc_org_rotations(&read.org), 1);
    assert_int_equal(wc_orgkey_unlock(&read, TEXT("first"), &again), -WC_EBADSIG);
    assert_int_equal(wc_orgkey_unlock(&read, TEXT("another"), &again), 0);
    assert_memory_equal(&again, &signer, sizeof(signer));

    /* a certificate is issued anew, with a grant to tell of it */
    cert.not_after_ms += WC_DAY_MS;
    assert_int_equal(wc_orgkey_reissue(&read, &fix.stranger, &cert, T0, &bytes, &grant),
                     -WC_EINVALID);
    assert_int_equal(wc_orgkey_reissue(&read, &signer, &cert, T0, &bytes, &grant), 0);
    assert_int_equal(cert.serial, 7);
    assert_int_equal(read.next_serial, 8);
    assert_int_equal(wc_cert_open(wc_buf_slice(&bytes), &read.org, &opened, NULL), 0);
    assert_memory_equal(opened.link_key, fix.leeds.cert.link_key, WC_KEY_BYTES);
    assert_int_equal(wc_record_decode(wc_buf_slice(&grant), &r, NULL), 0);
    assert_int_equal(wc_record_verify(&r, &read.org), 0);
    assert_int_equal(wc_record_verify(&r, &first.org), -WC_EDENIED);

    wc_orgkey_fini(&read);

    /* whoever was away follows, over any number of rotations, and never goes back */
    rotate(&third, &second.org, &recovery, 0x33, &again);
    assert_int_equal(wc_org_rotations(&third.org), 2);
    struct wc_slice one = wc_slice(second.org.rotation, second.org.rotation_len),
                    two = wc_slice(third.org.rotation, third.org.rotation_len);
    assert_int_equal(wc_org_rotate(&away, two), 0);
    assert_memory_equal(away.key, third.org.key, WC_KEY_BYTES);
    assert_int_equal(wc_org_rotate(&away, two), -WC_ESTALE);
    assert_int_equal(wc_org_rotate(&away, one), -WC_ESTALE);
    assert_memory_equal(away.key, third.org.key, WC_KEY_BYTES);

    /* nobody but the recovery key rotates, the organisation's own key included */
    strangers = recovery;
    strangers.seed[0] ^= 1;
    uint8_t drawn[WC_ORGKEY_ROTATE_RANDOM_BYTES] = {4};
    assert_int_equal(wc_orgkey_rotate(&read, &third.org, &strangers, 9, TEXT("p"), T0,
                                      drawn, &again),
                     -WC_EORGANISATION);
    strangers = recovery;
    strangers.org_id[0] ^= 1;
    assert_int_equal(wc_orgkey_rotate(&read, &third.org, &strangers, 9, TEXT("p"), T0,
                                      drawn, &again),
                     -WC_EORGANISATION);
    wc_buf_reset(&text);
    assert_int_equal(wc_rotate_build(fix.stranger.key, 3, &signer, T0, &text), 0);
    assert_int_equal(wc_org_rotate(&away, wc_buf_slice(&text)), -WC_EDENIED);
    memset(away.recovery_key, 0, WC_KEY_BYTES);
    assert_int_equal(wc_org_rotate(&away, two), -WC_EDENIED);
    assert_int_equal(wc_org_rotate(&first.org, wc_buf_slice(&grant)), -WC_EDENIED);
    assert_int_equal(wc_rotate_build(fix.stranger.key, 0, &signer, T0, &text),
                     -WC_EINVALID);
    wc_buf_fini(&text);
    wc_buf_fini(&bytes);
    wc_buf_fini(&grant);
    wc_orgkey_fini(&first);
    wc_orgkey_fini(&second);
    wc_orgkey_fini(&third);
}

/* An invitation after a rotation carries it, and cannot be patched together. */
static void an_identity_carries_the_rotation(void **state)
{
    (void)state;
    struct wc_orgkey first, second;
    struct wc_recovery recovery;
    struct wc_signer signer;
    struct wc_identity id, read;
    struct wc_buf b = {0};
    struct wc_err err;
    uint8_t random[WC_ORGKEY_RANDOM_BYTES] = {1}, seeds[2 * WC_KEY_BYTES] = {2};
    assert_int_equal(
        wc_orgkey_create(&first, "Council", TEXT("first"), random, &recovery), 0);
    rotate(&second, &first.org, &recovery, 0x22, &signer);
    assert_int_equal(
        wc_orgkey_invite(&second, &signer, "oslo", "Oslo", 5, T0, 30, seeds, &id), 0);
    assert_int_equal(wc_identity_encode(&id, &b), 0);
    assert_int_equal(wc_identity_decode(wc_buf_slice(&b), &read, NULL), 0);
    assert_int_equal(wc_org_rotations(&read.org), 1);
    assert_memory_equal(read.org.recovery_key, first.org.recovery_key, WC_KEY_BYTES);
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (wc_identity_decode(wc_buf_slice(&b), &read, NULL) == 0)
            fail_msg("decodes with bit %zu flipped", bit);
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    /* a rotation that led to another key than the one it shows */
    wc_buf_reset(&b);
    memcpy(id.org.key, first.org.key, WC_KEY_BYTES);
    assert_int_equal(wc_identity_encode(&id, &b), 0);
    assert_int_equal(wc_identity_decode(wc_buf_slice(&b), &read, &err), -WC_EBADSIG);
    assert_string_equal(err.field, "rotation");
    wc_buf_fini(&b);
    wc_orgkey_fini(&first);
    wc_orgkey_fini(&second);
}

static void bad_organisations_and_offices_are_refused(void **state)
{
    (void)state;
    uint8_t random[WC_ORGKEY_RANDOM_BYTES] = {0}, seeds[2 * WC_KEY_BYTES] = {0};
    struct wc_orgkey k;
    struct wc_recovery recovery;
    struct wc_identity id;
    static char long_title[WC_TITLE_MAX_BYTES + 2];
    memset(long_title, 'x', WC_TITLE_MAX_BYTES + 1);
    static const char *const names[] = {"", "  ", "two\nlines", "\xff", long_title};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(wc_orgkey_create(&k, names[i], TEXT("p"), random, &recovery),
                         -WC_EINVALID);

    static const struct {
        const char *name, *title;
        uint32_t days;
    } offices[] = {
        {"No", "Title", 1},
        {"", "Title", 1},
        {"leeds", "a\nb", 1},
        {"leeds", long_title, 1},
        {"leeds", "Title", 0},
        {"leeds", "Title", UINT32_MAX},
        {"abcdefghijklmnopqrstuvwxyz0123456", "Title", 1},
    };
    k = fix.orgkey;
    for (size_t i = 0; i < sizeof(offices) / sizeof(offices[0]); i++) {
        assert_int_equal(wc_orgkey_invite(&k, &fix.org, offices[i].name,
                                          offices[i].title, 1, T0, offices[i].days,
                                          seeds, &id),
                         -WC_EINVALID);
        assert_int_equal(k.next_serial, fix.orgkey.next_serial);
        assert_wiped(&id);
    }
    assert_int_equal(
        wc_orgkey_invite(&k, &fix.stranger, "leeds", "Title", 1, T0, 1, seeds, &id),
        -WC_EINVALID); /* not its key */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_certificate_is_issued_and_opened),
        cmocka_unit_test(a_changed_certificate_does_not_open),
        cmocka_unit_test(a_certificate_serves_one_organisation),
        cmocka_unit_test(a_stored_certificate_is_read_without_its_organisation),
        cmocka_unit_test(bad_certificates_are_not_issued),
        cmocka_unit_test(every_field_of_a_certificate_is_checked),
        cmocka_unit_test(certificates_hold_between_their_dates),
        cmocka_unit_test(the_golden_identity_and_invitation),
        cmocka_unit_test(an_invitation_survives_mail),
        cmocka_unit_test(a_damaged_invitation_is_refused),
        cmocka_unit_test(a_damaged_identity_is_refused),
        cmocka_unit_test(an_identity_has_the_keys_of_its_certificate),
        cmocka_unit_test(a_standalone_office_trusts_itself),
        cmocka_unit_test(an_organisation_is_created_kept_and_unlocked),
        cmocka_unit_test(a_damaged_key_file_is_refused),
        cmocka_unit_test(a_recovery_line_is_written_and_read),
        cmocka_unit_test(a_key_is_rotated_by_the_recovery_line),
        cmocka_unit_test(an_identity_carries_the_rotation),
        cmocka_unit_test(bad_organisations_and_offices_are_refused),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
