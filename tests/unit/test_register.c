/* SPDX-License-Identifier: Apache-2.0 */
/* What the organisation issued and revoked. */
#include <stdio.h>
#include <string.h>

#include <whocan/pack.h>
#include <whocan/record.h>
#include <whocan/register.h>

#include "tests/unit/fixture.h"
#include "tests/unit/golden.h"
#include "tests/unit/unit.h"

#define T0 FIXTURE_NOW_MS

static struct fixture fix; /* its register has leeds, serial 1 */

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

/* Issue one more; its keys follow from a letter. */
static struct wc_identity invite(const char *name, int letter, uint32_t days)
{
    uint8_t seeds[2 * WC_KEY_BYTES];
    struct wc_identity id;
    memset(seeds, letter, sizeof(seeds));
    assert_int_equal(wc_orgkey_invite(&fix.orgkey, &fix.org, name, "Title", 100, T0,
                                      days, seeds, &id),
                     0);
    return id;
}

/* A certificate of the organisation for an office that has one already. */
static void reissue(const struct wc_identity *office, const char *name, uint64_t serial)
{
    struct wc_cert cert = office->cert;
    struct wc_buf bytes = {0};
    cert.serial = serial;
    snprintf(cert.name, sizeof(cert.name), "%s", name);
    assert_int_equal(wc_cert_issue(&cert, &fix.org, &bytes), 0);
    assert_int_equal(
        wc_register_add(&fix.orgkey.reg, &fix.orgkey.org, wc_buf_slice(&bytes), NULL),
        0);
    wc_buf_fini(&bytes);
}

static void revoke(const uint8_t key[WC_KEY_BYTES])
{
    struct wc_buf record = {0};
    struct wc_record r;
    char hex[2 * WC_KEY_BYTES + 1];
    assert_int_equal(wc_orgkey_revoke(&fix.orgkey, &fix.org, key, T0 + 5, &record), 0);
    assert_int_equal(wc_record_decode(wc_buf_slice(&record), &r, NULL), 0);
    assert_int_equal(wc_record_verify(&r, &fix.orgkey.org), 0);
    assert_int_equal(r.kind, WC_KIND_REVOKE);
    wc_hex(hex, key, WC_KEY_BYTES);
    assert_string_equal(r.subject, hex);
    wc_buf_fini(&record);
}

/* The states of the register as one letter each, in order of serial. */
static const char *states(uint64_t now_ms)
{
    static char text[64];
    enum wc_issued_state list[64];
    const struct wc_register *reg = &fix.orgkey.reg;
    assert_int_equal(wc_register_states(reg, now_ms, list), 0);
    for (uint32_t i = 0; i < reg->issued_count; i++)
        text[i] = list[i] == WC_ISSUED_CURRENT    ? 'c'
                  : list[i] == WC_ISSUED_REPLACED ? 'o'
                  : list[i] == WC_ISSUED_REVOKED  ? 'r'
                                                  : 'x';
    text[reg->issued_count] = '\0';
    return text;
}

static void what_is_issued_is_entered(void **state)
{
    (void)state;
    const struct wc_register *reg = &fix.orgkey.reg;
    invite("york", 'y', 10);
    invite("hull", 'h', 20);
    assert_int_equal(reg->issued_count, 3);
    assert_string_equal(reg->issued[0].cert.name, "leeds");
    assert_string_equal(reg->issued[1].cert.name, "york");
    assert_int_equal(reg->issued[2].cert.serial, 3);
    assert_int_equal(reg->issued[2].cert.quota, 100);
    assert_string_equal(states(T0), "ccc");
    assert_string_equal(states(T0 + 10 * WC_DAY_MS), "cxc");
    assert_string_equal(states(T0 + 20 * WC_DAY_MS), "cxx");
}

static void the_newest_of_a_name_and_of_a_key_is_current(void **state)
{
    (void)state;
    struct wc_identity york = invite("york", 'y', 10);
    invite("york", 'z', 10); /* the machine was lost */
    assert_string_equal(states(T0), "coc");
    reissue(&york, "york", 4); /* its old key was renewed all the same */
    assert_string_equal(states(T0), "cooc");
    reissue(&fix.leeds, "leeds-north", 5); /* renewed under another name */
    assert_string_equal(states(T0), "ooocc");
    revoke(york.signer.key); /* the other york counts again */
    assert_string_equal(states(T0), "orcrc");
    assert_string_equal(states(T0 + 400 * WC_DAY_MS), "orxrx");
}

static void a_revoked_key_stays_revoked(void **state)
{
    (void)state;
    const struct wc_register *reg = &fix.orgkey.reg;
    assert_int_equal(wc_register_revoked_at(reg, fix.leeds.signer.key), 0);
    revoke(fix.leeds.signer.key);
    revoke(fix.leeds.signer.key); /* a second time */
    revoke(fix.stranger.key);     /* one that has no certificate here */
    assert_int_equal(reg->revoked_count, 2);
    assert_int_equal(wc_register_revoked_at(reg, fix.leeds.signer.key), T0 + 5);
    assert_int_equal(wc_register_revoked_at(reg, fix.stranger.key), T0 + 5);
    assert_string_equal(states(T0), "r");
    struct wc_buf record = {0};
    assert_int_equal(
        wc_orgkey_revoke(&fix.orgkey, &fix.stranger, fix.leeds.signer.key, T0, &record),
        -WC_EINVALID);
    assert_int_equal(
        wc_orgkey_revoke(&fix.orgkey, &fix.org, fix.leeds.signer.key, 0, &record),
        -WC_EINVALID);
    wc_buf_fini(&record);
}

static void it_is_kept_in_the_key_file(void **state)
{
    (void)state;
    struct wc_buf text = {0}, again = {0}, golden = {0};
    struct wc_orgkey read;
    fix.orgkey.ops = 1;
    fix.orgkey.mem_bytes = 8u << 20;
    fix.orgkey.box_len = 85;
    invite("york", 'y', 10);
    revoke(fix.leeds.signer.key);
    revoke(fix.stranger.key);
    assert_int_equal(wc_orgkey_encode(&fix.orgkey, &text), 0);
    golden_check("organisation-key", wc_buf_slice(&text));
    golden_read("organisation-key", &golden);
    assert_int_equal(wc_orgkey_decode(wc_buf_slice(&golden), &read, NULL), 0);
    assert_int_equal(read.reg.issued_count, 2);
    assert_int_equal(read.reg.revoked_count, 2);
    assert_string_equal(read.reg.issued[1].cert.name, "york");
    assert_int_equal(wc_register_revoked_at(&read.reg, fix.stranger.key), T0 + 5);
    assert_int_equal(wc_orgkey_encode(&read, &again), 0);
    assert_true(wc_slice_eq(wc_buf_slice(&again), wc_buf_slice(&text)));
    wc_orgkey_fini(&read);
    wc_buf_fini(&golden);
    wc_buf_fini(&again);
    wc_buf_fini(&text);
}

/* Nothing enters that the organisation did not sign: every bit of every certificate. */
static void a_changed_certificate_is_noticed(void **state)
{
    (void)state;
    struct wc_buf bytes = {0};
    struct wc_register reg;
    struct wc_err err;
    invite("york", 'y', 10);
    assert_int_equal(wc_register_encode(&fix.orgkey.reg, &bytes), 0);
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = wc_register_decode(wc_buf_slice(&bytes), &fix.orgkey.org, &reg, &err);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (rc == 0)
            fail_msg("bit %zu changed nothing", bit);
        assert_int_equal(err.rc, rc);
    }
    for (size_t len = 0; len < bytes.len; len++)
        assert_true(wc_register_decode(wc_slice(bytes.data, len), &fix.orgkey.org, &reg,
                                       &err) < 0);
    struct wc_org other = fix.orgkey.org;
    memcpy(other.key, fix.stranger.key, WC_KEY_BYTES);
    assert_int_equal(wc_register_decode(wc_buf_slice(&bytes), &other, &reg, &err),
                     -WC_EBADSIG);
    assert_string_equal(err.why,
                        "holds a certificate that the organisation did not sign");
    wc_buf_fini(&bytes);
}

static void begin(struct wc_buf *b, uint32_t certs)
{
    wc_buf_reset(b);
    wc_pack_array(b, 3);
    wc_pack_u64(b, 1);
    wc_pack_array(b, certs);
}

static int decode(const struct wc_buf *b, struct wc_err *err)
{
    struct wc_register reg;
    int rc = wc_register_decode(wc_buf_slice(b), &fix.orgkey.org, &reg, err);
    if (rc == 0)
        wc_register_fini(&reg);
    return rc;
}

static void pack_revoked(struct wc_buf *b, uint8_t fill, uint64_t at_ms)
{
    uint8_t key[WC_KEY_BYTES];
    memset(key, fill, sizeof(key));
    wc_pack_array(b, 2);
    wc_pack_bin(b, wc_slice(key, sizeof(key)));
    wc_pack_u64(b, at_ms);
}

static void order_and_form_are_checked(void **state)
{
    (void)state;
    struct wc_identity york = invite("york", 'y', 10);
    struct wc_slice one = wc_slice(fix.leeds.cert_bytes, fix.leeds.cert_len);
    struct wc_slice two = wc_slice(york.cert_bytes, york.cert_len);
    struct wc_buf b = {0};
    struct wc_err err;
    begin(&b, 2);
    wc_pack_bin(&b, one);
    wc_pack_bin(&b, two);
    wc_pack_array(&b, 2);
    pack_revoked(&b, 1, 7);
    pack_revoked(&b, 2, 7);
    assert_int_equal(decode(&b, &err), 0);

    begin(&b, 2); /* serials go down */
    wc_pack_bin(&b, two);
    wc_pack_bin(&b, one);
    wc_pack_array(&b, 0);
    assert_int_equal(decode(&b, &err), -WC_EINVALID);
    begin(&b, 2); /* one twice */
    wc_pack_bin(&b, one);
    wc_pack_bin(&b, one);
    wc_pack_array(&b, 0);
    assert_int_equal(decode(&b, &err), -WC_EINVALID);
    begin(&b, 1); /* text */
    wc_pack_text(&b, "certificate");
    wc_pack_array(&b, 0);
    assert_int_equal(decode(&b, &err), -WC_ETYPE);
    begin(&b, 0); /* keys go down */
    wc_pack_array(&b, 2);
    pack_revoked(&b, 2, 7);
    pack_revoked(&b, 1, 7);
    assert_int_equal(decode(&b, &err), -WC_EINVALID);
    begin(&b, 0); /* one twice */
    wc_pack_array(&b, 2);
    pack_revoked(&b, 2, 7);
    pack_revoked(&b, 2, 8);
    assert_int_equal(decode(&b, &err), -WC_EINVALID);
    begin(&b, 0); /* never */
    wc_pack_array(&b, 1);
    pack_revoked(&b, 2, 0);
    assert_int_equal(decode(&b, &err), -WC_EINVALID);
    begin(&b, 0); /* not a pair */
    wc_pack_array(&b, 1);
    wc_pack_u64(&b, 2);
    assert_int_equal(decode(&b, &err), -WC_ETYPE);
    wc_buf_reset(&b); /* another version */
    wc_pack_array(&b, 3);
    wc_pack_u64(&b, 2);
    wc_pack_array(&b, 0);
    wc_pack_array(&b, 0);
    assert_int_equal(decode(&b, &err), -WC_EVERSION);
    wc_buf_fini(&b);
}

/* As many as a large organisation has, and no more than the limit. */
static void it_holds_ten_thousand_offices(void **state)
{
    (void)state;
    const uint32_t count = 10000;
    struct wc_buf text = {0};
    struct wc_orgkey read;
    char name[WC_OFFICE_NAME_MAX_BYTES + 1];
    enum wc_issued_state *list = calloc(count, sizeof(*list));
    assert_non_null(list);
    for (uint32_t i = 1; i < count; i++) {
        snprintf(name, sizeof(name), "office-%u", i);
        reissue(&fix.leeds, name, 1 + i); /* the keys do not matter here */
    }
    fix.orgkey.box_len = 85;
    assert_int_equal(wc_orgkey_encode(&fix.orgkey, &text), 0);
    assert_true(text.len < WC_ORGKEY_TEXT_MAX_BYTES / 8);
    assert_int_equal(wc_orgkey_decode(wc_buf_slice(&text), &read, NULL), 0);
    assert_int_equal(read.reg.issued_count, count);
    assert_int_equal(wc_register_states(&read.reg, T0, list), 0);
    assert_int_equal(list[0], WC_ISSUED_REPLACED);
    assert_int_equal(list[count - 1], WC_ISSUED_CURRENT);
    wc_orgkey_fini(&read);

    struct wc_cert cert = fix.leeds.cert;
    struct wc_buf bytes = {0};
    cert.serial = 0;
    assert_int_equal(wc_cert_issue(&cert, &fix.org, &bytes), 0);
    struct wc_register full = {.issued_count = WC_REGISTER_MAX_COUNT,
                               .issued_cap = WC_REGISTER_MAX_COUNT};
    full.issued = calloc(WC_REGISTER_MAX_COUNT, sizeof(*full.issued));
    assert_non_null(full.issued);
    for (uint32_t i = 0; i < WC_REGISTER_MAX_COUNT; i++)
        full.issued[i].cert.serial = i + 1;
    assert_int_equal(
        wc_register_add(&full, &fix.orgkey.org, wc_buf_slice(&bytes), NULL),
        -WC_ELIMIT);
    free(full.issued);
    wc_buf_fini(&bytes);
    wc_buf_fini(&text);
    free(list);
}

int main(void)
{
#define one(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        one(what_is_issued_is_entered),
        one(the_newest_of_a_name_and_of_a_key_is_current),
        one(a_revoked_key_stays_revoked),
        one(it_is_kept_in_the_key_file),
        one(a_changed_certificate_is_noticed),
        one(order_and_form_are_checked),
        one(it_holds_ten_thousand_offices),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
