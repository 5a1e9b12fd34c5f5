/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, and the admissions that answer them. */
#include <stdio.h>
#include <string.h>

#include <whocan/admit.h>
#include <whocan/register.h>

#include "tests/unit/fixture.h"
#include "tests/unit/golden.h"
#include "tests/unit/unit.h"

#define T0 FIXTURE_NOW_MS

static struct fixture fix;
static struct wc_identity york; /* stands alone, and wants to join */
static struct wc_office_request request;
static struct wc_buf line;
static struct wc_err err;

static void stand_alone(struct wc_identity *out, int letter)
{
    uint8_t seeds[WC_STANDALONE_SEED_BYTES];
    memset(seeds, letter, sizeof(seeds));
    seeds[0] ^= 1;
    assert_int_equal(wc_identity_standalone(out, "machine-7", T0, seeds), 0);
}

static int setup(void **state)
{
    (void)state;
    fixture_init(&fix);
    stand_alone(&york, 'y');
    wc_buf_reset(&line);
    assert_int_equal(wc_request_line(&york, "york", "York Guildhall", T0 + 1, &line),
                     0);
    assert_int_equal(wc_request_parse(wc_buf_slice(&line), &request, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_fini(&fix);
    wc_identity_fini(&york);
    wc_buf_fini(&line);
    return 0;
}

static int admit(struct wc_buf *out)
{
    uint8_t seed[WC_KEY_BYTES];
    memset(seed, 0x5a, sizeof(seed));
    wc_buf_reset(out);
    return wc_orgkey_admit(&fix.orgkey, &fix.org, &request, 50, T0 + 2, 100, seed, NULL,
                           out);
}

static void the_golden_request_and_admission(void **state)
{
    (void)state;
    struct wc_buf answer = {0}, golden = {0};
    struct wc_identity id;
    golden_check("request", wc_buf_slice(&line));
    assert_string_equal(request.name, "york");
    assert_string_equal(request.title, "York Guildhall");
    assert_memory_equal(request.sign_key, york.cert.sign_key, WC_KEY_BYTES);
    assert_memory_equal(request.link_key, york.cert.link_key, WC_KEY_BYTES);
    assert_int_equal(request.at_ms, T0 + 1);

    assert_int_equal(admit(&answer), 0);
    golden_check("admission", wc_buf_slice(&answer));
    golden_read("admission", &golden);
    assert_int_equal(wc_admission_open(wc_buf_slice(&golden), &york, &id, &err), 0);
    assert_string_equal(id.org.name, "Example Council");
    assert_memory_equal(id.org.secret, fix.orgkey.org.secret, WC_SECRET_BYTES);
    assert_string_equal(id.cert.name, "york");
    assert_int_equal(id.cert.quota, 50);
    assert_int_equal(id.cert.serial, 2);
    assert_int_equal(id.cert.not_after_ms, T0 + 2 + 100 * WC_DAY_MS);
    assert_memory_equal(&id.signer, &york.signer, sizeof(id.signer)); /* its own keys */
    assert_memory_equal(id.link_secret, york.link_secret, WC_KEY_BYTES);
    /* what it is now can be kept */
    struct wc_buf kept = {0};
    struct wc_identity again;
    assert_int_equal(wc_identity_encode(&id, &kept), 0);
    assert_int_equal(wc_identity_decode(wc_buf_slice(&kept), &again, NULL), 0);
    /* and the organisation knows whom it admitted */
    assert_int_equal(fix.orgkey.reg.issued_count, 2);
    assert_string_equal(fix.orgkey.reg.issued[1].cert.name, "york");
    assert_int_equal(fix.orgkey.next_serial, 3);
    wc_buf_fini(&kept);
    wc_buf_fini(&golden);
    wc_buf_fini(&answer);
}

/* No secret of either side is in what travels. */
static void no_secret_travels(void **state)
{
    (void)state;
    struct wc_buf answer = {0}, raw = {0};
    assert_int_equal(admit(&answer), 0);
    const struct wc_slice lines[] = {wc_buf_slice(&line), wc_buf_slice(&answer)};
    const uint8_t *const secrets[] = {york.sign_seed, york.link_secret, york.org.secret,
                                      fix.orgkey.org.secret};
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *colon = memchr(lines[i].data, ':', lines[i].len);
        size_t at = (size_t)(colon + 1 - lines[i].data);
        wc_buf_reset(&raw);
        assert_int_equal(
            wc_base64url_decode(wc_slice(lines[i].data + at, lines[i].len - at), &raw),
            0);
        for (size_t k = 0; k < 4; k++)
            assert_null(memmem(raw.data, raw.len, secrets[k], WC_KEY_BYTES));
    }
    wc_buf_fini(&raw);
    wc_buf_fini(&answer);
}

static void every_bit_of_a_line_counts(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"whocan-request-1:", "whocan-admission-1:"};
    struct wc_buf answer = {0}, raw = {0}, changed = {0};
    struct wc_office_request r;
    struct wc_identity id;
    assert_int_equal(admit(&answer), 0);
    for (int which = 0; which < 2; which++) {
        const struct wc_buf *from = which == 0 ? &line : &answer;
        size_t skip = strlen(prefixes[which]);
        wc_buf_reset(&raw);
        assert_int_equal(
            wc_base64url_decode(wc_slice(from->data + skip, from->len - skip), &raw),
            0);
        for (size_t bit = 0; bit < 8 * raw.len; bit++) {
            raw.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            wc_buf_reset(&changed);
            wc_buf_text(&changed, prefixes[which]);
            wc_buf_base64url(&changed, wc_buf_slice(&raw));
            int rc = which == 0
                         ? wc_request_parse(wc_buf_slice(&changed), &r, &err)
                         : wc_admission_open(wc_buf_slice(&changed), &york, &id, &err);
            raw.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (rc == 0)
                fail_msg("bit %zu of %s changed nothing", bit, prefixes[which]);
            assert_int_equal(err.rc, rc);
        }
        for (size_t len = 0; len < from->len; len++) {
            struct wc_slice cut = wc_slice(from->data, len);
            assert_true((which == 0 ? wc_request_parse(cut, &r, &err)
                                    : wc_admission_open(cut, &york, &id, &err)) < 0);
        }
    }
    wc_buf_fini(&changed);
    wc_buf_fini(&raw);
    wc_buf_fini(&answer);
}

static void an_admission_serves_one_office(void **state)
{
    (void)state;
    static const struct wc_identity wiped;
    struct wc_buf answer = {0};
    struct wc_identity other, id;
    stand_alone(&other, 'z');
    assert_int_equal(admit(&answer), 0);
    assert_int_equal(wc_admission_open(wc_buf_slice(&answer), &other, &id, &err),
                     -WC_EDENIED);
    assert_string_equal(err.why, "is the answer to the request of another office");
    assert_memory_equal(&id, &wiped, sizeof(id));
    /* with the sign key alone it is of no use either */
    other = york;
    other.link_secret[5] ^= 1;
    assert_int_equal(wc_admission_open(wc_buf_slice(&answer), &other, &id, &err),
                     -WC_EBADSIG);
    memcpy(other.link_secret, york.link_secret, WC_KEY_BYTES);
    other.cert.link_key[3] ^= 1;
    assert_int_equal(wc_admission_open(wc_buf_slice(&answer), &other, &id, &err),
                     -WC_EDENIED);
    wc_buf_fini(&answer);
}

static void nobody_asks_in_the_name_of_another(void **state)
{
    (void)state;
    struct wc_identity thief = york; /* york's keys, without their secret */
    struct wc_office_request r;
    memcpy(&thief.signer, &fix.stranger, sizeof(thief.signer));
    wc_buf_reset(&line);
    assert_int_equal(wc_request_line(&thief, "york", "York", T0, &line), 0);
    assert_int_equal(wc_request_parse(wc_buf_slice(&line), &r, &err), -WC_EBADSIG);
}

static void a_revoked_key_is_not_admitted(void **state)
{
    (void)state;
    struct wc_buf record = {0}, answer = {0};
    assert_int_equal(
        wc_orgkey_revoke(&fix.orgkey, &fix.org, york.cert.sign_key, T0 + 1, &record),
        0);
    assert_int_equal(admit(&answer), -WC_EREVOKED);
    assert_int_equal(answer.len, 0);
    assert_int_equal(fix.orgkey.next_serial, 2);
    assert_int_equal(fix.orgkey.reg.issued_count, 1);
    wc_buf_fini(&answer);
    wc_buf_fini(&record);
}

static void bad_requests_are_not_made(void **state)
{
    (void)state;
    static char long_title[WC_TITLE_MAX_BYTES + 2];
    struct wc_buf out = {0};
    uint8_t seed[WC_KEY_BYTES] = {1};
    memset(long_title, 'x', WC_TITLE_MAX_BYTES + 1);
    assert_int_equal(wc_request_line(&york, "No", "Title", T0, &out), -WC_EINVALID);
    assert_int_equal(wc_request_line(&york, "york", "a\nb", T0, &out), -WC_EINVALID);
    assert_int_equal(wc_request_line(&york, "york", long_title, T0, &out),
                     -WC_EINVALID);
    assert_int_equal(wc_orgkey_admit(&fix.orgkey, &fix.stranger, &request, 1, T0, 1,
                                     seed, NULL, &out),
                     -WC_EINVALID); /* not its key */
    assert_int_equal(
        wc_orgkey_admit(&fix.orgkey, &fix.org, &request, 1, T0, 0, seed, NULL, &out),
        -WC_EINVALID);
    memset(request.link_key, 0, WC_KEY_BYTES); /* a point of low order */
    assert_int_equal(
        wc_orgkey_admit(&fix.orgkey, &fix.org, &request, 1, T0, 1, seed, NULL, &out),
        -WC_ECRYPTO);
    assert_int_equal(fix.orgkey.reg.issued_count, 1);
    wc_buf_fini(&out);
}

int main(void)
{
#define one(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        one(the_golden_request_and_admission),   one(no_secret_travels),
        one(every_bit_of_a_line_counts),         one(an_admission_serves_one_office),
        one(nobody_asks_in_the_name_of_another), one(a_revoked_key_is_not_admitted),
        one(bad_requests_are_not_made),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
