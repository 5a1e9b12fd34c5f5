/* SPDX-License-Identifier: Apache-2.0 */
/* Renewal and rotation: grants, another organisation key, who was away, who stole a key. */
#include <whocan/link.h>

#include "tests/unit/net.h"

#define HOUR_MS 3600000ULL

static struct wc_buf record, other;
static struct wc_signer recovery, next_key;
static struct wc_org rotated; /* the organisation after the rotation */

/* An organisation that can rotate, and the key that it will have. */
static int setup(void **state)
{
    uint8_t seed[WC_KEY_BYTES];
    net_setup(state);
    memset(seed, 'R', sizeof(seed));
    wc_signer_init(&recovery, seed);
    memset(seed, 'N', sizeof(seed));
    wc_signer_init(&next_key, seed);
    memcpy(net.org.org.recovery_key, recovery.key, WC_KEY_BYTES);
    for (int i = 0; i < NET_NODES_MAX; i++)
        net.nodes[i].identity.org = net.org.org;
    rotated = net.org.org;
    return 0;
}

static int teardown(void **state)
{
    wc_buf_fini(&record);
    wc_buf_fini(&other);
    return net_teardown(state);
}

/* A grant of node n's keys by some organisation key, into `record`. */
static void grant(int n, const struct wc_signer *by, uint64_t serial,
                  uint64_t not_after_ms, uint32_t quota)
{
    struct wc_buf bytes = {0};
    struct wc_cert cert = net.nodes[n].identity.cert;
    cert.serial = serial;
    cert.not_after_ms = not_after_ms;
    cert.quota = quota;
    assert_int_equal(wc_cert_issue(&cert, by, &bytes), 0);
    wc_buf_reset(&record);
    assert_int_equal(wc_grant_build(wc_buf_slice(&bytes), by, net.now_ms, &record), 0);
    wc_buf_fini(&bytes);
}

/* Hand `record` to node n as its administrator does; what it is acknowledged with. */
static int submit(int n)
{
    struct net_node *m = &net.nodes[n];
    struct wc_event e = {.type = WC_EVENT_STATEMENT};
    e.u.statement.token = ++m->next_token;
    e.u.statement.record = wc_buf_slice(&record);
    uint32_t acks = m->acks;
    net_step(n, &e);
    net_run();
    assert_int_equal(m->acks, acks + 1);
    return m->acked_rc;
}

static void rotate_at(int n)
{
    wc_buf_reset(&record);
    assert_int_equal(wc_rotate_build(next_key.key, 1, &recovery, net.now_ms, &record),
                     0);
    assert_int_equal(wc_org_rotate(&rotated, wc_buf_slice(&record)), 0);
    assert_int_equal(submit(n), 0);
}

static const struct wc_identity *who(int n)
{
    return wc_node_identity(net.nodes[n].node);
}

static struct wc_node_office office(int at, int n)
{
    struct wc_node_office o;
    memset(&o, 0, sizeof(o));
    wc_node_office_by_key(net.nodes[at].node, net_key(n), &o);
    return o;
}

/* ---- renewal ---- */

static void a_granted_certificate_is_taken(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    uint64_t later = OFFICES_UNTIL_MS + WC_DAY_MS;
    grant(0, &net.org.signer, 500, later, 77);
    assert_int_equal(submit(1), 0);
    net_wait(100);
    assert_int_equal(who(0)->cert.serial, 500);
    assert_int_equal(who(0)->cert.quota, 77);
    assert_int_equal(net.nodes[0].identities, 1);
    assert_true(net.nodes[0].identity_lasting);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_RENEWED], 1);
    /* what it shows now is signed, and everybody knows it */
    struct wc_cert cert;
    assert_int_equal(wc_cert_open(wc_slice(who(0)->cert_bytes, who(0)->cert_len),
                                  &net.org.org, &cert, NULL),
                     0);
    assert_int_equal(office(1, 0).cert.serial, 500);
    assert_int_equal(net_version(1, net_key(0), WC_KIND_CARD, "card").rev, 2);
    assert_true(net_same(0, 1));
    /* an older one changes nothing, nor one by somebody else */
    grant(0, &net.org.signer, 400, later, 5);
    assert_int_equal(submit(1), -WC_EEXISTS);
    grant(0, &next_key, 600, later, 5);
    assert_int_equal(submit(1), -WC_EDENIED);
    /* nor one for a link key that this office has not */
    net.nodes[0].identity.cert.link_key[0] ^= 1;
    grant(0, &net.org.signer, 700, later, 5);
    net.nodes[0].identity.cert.link_key[0] ^= 1;
    assert_int_equal(submit(1), 0);
    net_wait(100);
    assert_int_equal(who(0)->cert.serial, 500);
    assert_int_equal(net.nodes[0].identities, 1);
}

/* The identity on disk is the old one: the records say the rest. */
static void a_grant_survives_a_restart(void **state)
{
    (void)state;
    net_start(0);
    grant(0, &net.org.signer, 500, OFFICES_UNTIL_MS, 77);
    assert_int_equal(submit(0), 0);
    net_stop(0);
    net.nodes[0].identities = 0;
    net_start(0);
    assert_int_equal(who(0)->cert.serial, 500);
    assert_int_equal(net.nodes[0].identities, 1);
    assert_true(net.nodes[0].identity_lasting);
}

static void certificate_of_days(int n, uint64_t days)
{
    net.nodes[n].identity.cert.not_after_ms = net.now_ms + days * WC_DAY_MS;
    offices_certify(&net.nodes[n].identity, &net.org);
}

static void leases_cut_by_a_certificate_grow_with_the_next(void **state)
{
    (void)state;
    certificate_of_days(0, 10);
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_put(0, WC_KIND_ROW, "alice");
    net_days(8);
    grant(0, &net.org.signer, 500, net.now_ms + 365 * WC_DAY_MS, 77);
    assert_int_equal(submit(1), 0);
    net_wait(61000);
    assert_true(net_version(1, net_key(0), WC_KIND_ROW, "alice").seq >
                OFFICES_NOW_MS + 7 * WC_DAY_MS);
    net_days(10);
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "alice"));
    assert_true(net_holds(1, net_key(0), WC_KIND_ROW, "alice"));
    assert_true(net_same(0, 1));
}

/* Renewed too late: what the office had is still there. */
static void own_records_outlive_the_certificate(void **state)
{
    (void)state;
    certificate_of_days(0, 10);
    net_start(0);
    net_put(0, WC_KIND_ROW, "alice");
    net_days(15);
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "alice"));
    assert_int_equal(net_stats(0).records_count[1], 0); /* hidden */
    grant(0, &net.org.signer, 500, net.now_ms + 365 * WC_DAY_MS, 77);
    assert_int_equal(submit(0), 0);
    net_days(2);
    assert_int_equal(net_stats(0).records_count[1], 1);
}

/* Its certificate ended while it was off. All others have its renewal, and cannot give it,
 * for a handshake takes no certificate that has ended; its own administrator can. */
static void an_office_that_comes_back_too_late_is_renewed_by_hand(void **state)
{
    (void)state;
    certificate_of_days(0, 10);
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_put(0, WC_KIND_ROW, "alice");
    net_wait(100);
    net_stop(0);
    net_days(5);
    uint64_t until_ms = net.now_ms + 365 * WC_DAY_MS;
    grant(0, &net.org.signer, 500, until_ms, 77);
    assert_int_equal(submit(1), 0);
    net_days(10);
    net_start(0);
    assert_int_equal(who(0)->cert.serial, net.nodes[0].identity.cert.serial);
    grant(0, &net.org.signer, 500, until_ms, 77);
    assert_int_equal(submit(0), 0);
    assert_int_equal(who(0)->cert.serial, 500);
    uint32_t link = net_link(0, 1);
    net_wait(70000);
    assert_true(net_is_open(link));
    assert_true(net_holds(1, net_key(0), WC_KIND_ROW, "alice"));
    assert_true(net_same(0, 1));
}

static void a_smaller_quota_counts_at_once(void **state)
{
    (void)state;
    static const char *const logins[] = {"ann", "ben", "cyd", "dov", "eve"};
    net_start(0);
    net_start(1);
    net_start(2);
    net_link(0, 1);
    net_link(1, 2);
    for (int i = 0; i < 5; i++)
        net_put(0, WC_KIND_ROW, logins[i]);
    net_wait(2000);
    assert_int_equal(net_stats(1).records_count[1], 5);
    grant(0, &net.org.signer, 500, OFFICES_UNTIL_MS, 3);
    assert_int_equal(submit(1), 0);
    net_wait(100);
    assert_int_equal(net_stats(0).records_count[1], 5); /* what it acknowledged */
    assert_int_equal(net_stats(1).records_count[1], 3);
    assert_true(net_same(1, 2)); /* the same three */
}

/* ---- rotation ---- */

static void an_organisation_gets_another_key(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_put(0, WC_KIND_ROW, "alice");
    net_put(1, WC_KIND_ROW, "bob");
    net_wait(2000);
    rotate_at(0);
    net_wait(10);
    for (int n = 0; n < 2; n++) {
        assert_memory_equal(who(n)->org.key, next_key.key, WC_KEY_BYTES);
        assert_int_equal(wc_org_rotations(&who(n)->org), 1);
        assert_int_equal(net.nodes[n].identities, 1);
        assert_false(net.nodes[n].identity_lasting); /* no certificate yet */
        assert_true(net_stats(n).former);
        assert_true(
            net_holds(n, net_key(1 - n), WC_KIND_ROW, n == 0 ? "bob" : "alice"));
    }
    /* they go on while the grants are on their way */
    net_put(0, WC_KIND_ROW, "carol");
    net_wait(2000);
    assert_true(net_holds(1, net_key(0), WC_KIND_ROW, "carol"));
    for (int n = 0; n < 2; n++) {
        grant(n, &next_key, 500 + (uint64_t)n, OFFICES_UNTIL_MS, 100);
        assert_int_equal(submit(0), 0);
    }
    net_wait(2000);
    for (int n = 0; n < 2; n++) {
        assert_false(net_stats(n).former);
        assert_true(net.nodes[n].identity_lasting);
        assert_int_equal(who(n)->cert.serial, 500 + n);
    }
    net_wait(2 * HOUR_MS);
    assert_true(net_holds(1, net_key(0), WC_KIND_ROW, "carol"));
    assert_true(net_holds(0, net_key(1), WC_KIND_ROW, "bob"));
    assert_true(net_same(0, 1));
    /* and so it is after a restart, whatever the identity on disk says */
    for (int n = 0; n < 2; n++) {
        net_stop(n);
        net.nodes[n].identities = 0;
        net_start(n);
        assert_int_equal(net.nodes[n].identities, 1);
        assert_false(net_stats(n).former);
        assert_true(
            net_holds(n, net_key(1 - n), WC_KIND_ROW, n == 0 ? "bob" : "alice"));
    }
}

static void who_gets_no_grant_is_forgotten_after_an_hour(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    uint32_t link = net_link(0, 1);
    net_put(1, WC_KIND_ROW, "bob");
    net_wait(2000);
    rotate_at(0);
    grant(0, &next_key, 500, OFFICES_UNTIL_MS, 100);
    assert_int_equal(submit(0), 0);
    net_wait(WC_FORMER_BELIEVED_MS - 60000);
    assert_true(net_holds(0, net_key(1), WC_KIND_ROW, "bob"));
    assert_true(net_is_open(link));
    net_wait(120000);
    assert_false(net_is_open(link));
    assert_false(net_holds(0, net_key(1), WC_KIND_ROW, "bob"));
    assert_false(net_holds(0, net_key(1), WC_KIND_CARD, "card"));
    assert_int_equal(office(0, 1).cert.serial, 0);
    /* it cannot come back, and loses nothing of its own */
    link = net_open(1, 0, 0);
    net_run();
    assert_false(net_is_open(link));
    assert_true(net_holds(1, net_key(1), WC_KIND_ROW, "bob"));
    net_days(2);
    assert_true(net_holds(1, net_key(1), WC_KIND_ROW, "bob"));
    /* until it is granted after all */
    grant(1, &next_key, 501, OFFICES_UNTIL_MS, 100);
    assert_int_equal(submit(0), 0);
    net_link(1, 0);
    net_wait(2000);
    assert_false(net_stats(1).former);
    assert_true(net_holds(0, net_key(1), WC_KIND_ROW, "bob"));
    assert_true(net_same(0, 1));
}

/* It was off: it finds the rotation and its grant when it links, with nobody's help. */
static void an_office_that_was_away_comes_back(void **state)
{
    (void)state;
    for (int dialler = 0; dialler < 2; dialler++) {
        if (dialler > 0) {
            teardown(state);
            setup(state);
        }
        net_start(0);
        net_start(1);
        net_link(0, 1);
        net_put(1, WC_KIND_ROW, "bob");
        net_put(0, WC_KIND_ROW, "alice");
        net_wait(2000);
        net_stop(1);
        rotate_at(0);
        for (int n = 0; n < 2; n++) {
            grant(n, &next_key, 500 + (uint64_t)n, OFFICES_UNTIL_MS, 100);
            assert_int_equal(submit(0), 0);
        }
        net_stop(0); /* its card is the old one, and stands */
        net_start(0);
        net_wait(3 * HOUR_MS);
        assert_true(net_holds(0, net_key(1), WC_KIND_ROW, "bob"));
        assert_true(net_holds(0, net_key(1), WC_KIND_CARD, "card"));
        net_start(1);
        uint32_t link = net_link(dialler, 1 - dialler);
        assert_true(net_is_open(link));
        assert_false(net_stats(1).former);
        assert_int_equal(who(1)->cert.serial, 501);
        net_put(1, WC_KIND_ROW, "bert");
        net_wait(2000);
        assert_true(net_holds(0, net_key(1), WC_KIND_ROW, "bert"));
        assert_true(net_holds(1, net_key(0), WC_KIND_ROW, "alice"));
        assert_true(net_same(0, 1));
        net_wait(2 * HOUR_MS);
        assert_true(net_is_open(link));
        assert_true(net_same(0, 1));
    }
}

static void what_the_former_key_said_counts_no_more(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_put(1, WC_KIND_ROW, "bob");
    net_wait(2000);
    wc_buf_reset(&record);
    assert_int_equal(wc_revoke_build(net_key(1), &net.org.signer, net.now_ms, &record),
                     0);
    wc_buf_append(&other, record.data, record.len);
    assert_int_equal(submit(0), 0);
    net_wait(10);
    assert_true(office(0, 1).revoked);
    rotate_at(0);
    net_wait(10);
    assert_int_equal(office(0, 1).cert.serial, 0); /* not even for an hour */
    /* the thief of the key revoked it: the new key certifies it again */
    grant(1, &next_key, 501, OFFICES_UNTIL_MS, 100);
    assert_int_equal(submit(0), 0);
    grant(0, &next_key, 500, OFFICES_UNTIL_MS, 100);
    assert_int_equal(submit(0), 0);
    net_link(0, 1);
    assert_false(net_stats(1).revoked);
    assert_true(net_holds(0, net_key(1), WC_KIND_ROW, "bob"));
    wc_buf_reset(&record);
    wc_buf_append(&record, other.data, other.len);
    assert_int_equal(submit(0), -WC_EDENIED);
    assert_false(office(0, 1).revoked);
    assert_true(net_same(0, 1));
}

/* ---- the thief ---- */

/* Whether the link judges a certificate by the former key as good. */
static bool handshake_believes(const struct wc_identity *thief)
{
    struct wc_cert cert;
    bool newer, former;
    int rc = wc_link_judge(&who(0)->org, wc_slice(thief->cert_bytes, thief->cert_len),
                           wc_slice(NULL, 0), &cert, &newer, &former);
    return rc == 0 && !former;
}

static void a_thief_of_the_former_key_gets_nowhere(void **state)
{
    (void)state;
    struct wc_identity fresh = net.nodes[3].identity, posing = net.nodes[3].identity;
    for (int n = 0; n < 3; n++)
        net_start(n);
    net_link(0, 1);
    net_link(0, 2);
    rotate_at(0);
    for (int n = 0; n < 3; n++) {
        grant(n, &next_key, 500 + (uint64_t)n, OFFICES_UNTIL_MS, 100);
        assert_int_equal(submit(0), 0);
    }
    net_wait(2000);
    /* a certificate freshly minted; and one for the key of an office that there is */
    fresh.cert.serial = 100000;
    offices_certify(&fresh, &net.org);
    memcpy(posing.cert.sign_key, net_key(1), WC_KEY_BYTES);
    posing.cert.serial = 100000;
    offices_certify(&posing, &net.org);
    struct wc_identity *thieves[] = {&fresh, &posing};
    for (int i = 0; i < 2; i++) {
        assert_false(handshake_believes(thieves[i]));
        puppet_clear();
        uint32_t link = puppet_open(0, thieves[i]);
        assert_false(net_is_open(link));
        assert_int_equal(net.nodes[0].notes[WC_NOTE_FORMER_REFUSED], i + 1);
        assert_int_equal(puppet_count(link, WC_WIRE_HELLO), 0); /* told nothing */
        assert_int_equal(office(0, 1).cert.serial, 501);
        /* nor does anybody pass on his card, whose neighbour is not to blame */
        make_card(thieves[i], NULL, &other);
        link = puppet_link(2, who(1));
        puppet_records(link, WC_REASON_BROADCAST, &other);
        assert_false(net_holds(2, fresh.signer.key, WC_KIND_CARD, "card"));
        assert_false(net_holds(0, fresh.signer.key, WC_KIND_CARD, "card"));
        assert_int_equal(net.nodes[2].notes[WC_NOTE_FRAME_REFUSED], 0);
        assert_true(net_is_open(link));
        net_wait(1000);
    }
    /* his grants and rotations */
    grant(3, &net.org.signer, 100000, OFFICES_UNTIL_MS, 100);
    assert_int_equal(submit(0), -WC_EDENIED);
    wc_buf_reset(&record);
    assert_int_equal(
        wc_rotate_build(net.org.signer.key, 2, &net.org.signer, net.now_ms, &record),
        0);
    assert_int_equal(submit(0), -WC_EDENIED);
    assert_memory_equal(who(0)->org.key, next_key.key, WC_KEY_BYTES);
}

/* A neighbour on the other side of the rotation is nobody's fault. */
static void neighbours_around_a_rotation_are_not_blamed(void **state)
{
    (void)state;
    struct wc_identity late = net.nodes[2].identity, early = net.nodes[3].identity;
    struct offices_org next = {.signer = next_key};
    net_start(0);
    uint32_t link = puppet_link(0, &net.nodes[1].identity);
    /* what the next key signed comes before the rotation does */
    offices_certify(&early, &next);
    make_card(&early, NULL, &other);
    puppet_records(link, WC_REASON_BROADCAST, &other);
    grant(3, &next_key, 900, OFFICES_UNTIL_MS, 100);
    puppet_records(link, WC_REASON_BROADCAST, &record);
    assert_true(net_is_open(link));
    assert_false(net_holds(0, early.signer.key, WC_KIND_CARD, "card"));
    rotate_at(0);
    puppet_records(link, WC_REASON_BROADCAST, &other);
    assert_true(net_holds(0, early.signer.key, WC_KIND_CARD, "card"));
    /* and what the former key signed after it */
    make_card(&late, NULL, &other);
    puppet_records(link, WC_REASON_BROADCAST, &other);
    assert_true(net_is_open(link));
    assert_false(net_holds(0, late.signer.key, WC_KIND_CARD, "card"));
    /* but what nobody signed is */
    other.data[other.len - 1] ^= 1;
    puppet_records(link, WC_REASON_BROADCAST, &other);
    assert_false(net_is_open(link));
}

int main(void)
{
#define trust_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        trust_test(a_granted_certificate_is_taken),
        trust_test(a_grant_survives_a_restart),
        trust_test(leases_cut_by_a_certificate_grow_with_the_next),
        trust_test(own_records_outlive_the_certificate),
        trust_test(an_office_that_comes_back_too_late_is_renewed_by_hand),
        trust_test(a_smaller_quota_counts_at_once),
        trust_test(an_organisation_gets_another_key),
        trust_test(who_gets_no_grant_is_forgotten_after_an_hour),
        trust_test(an_office_that_was_away_comes_back),
        trust_test(what_the_former_key_said_counts_no_more),
        trust_test(a_thief_of_the_former_key_gets_nowhere),
        trust_test(neighbours_around_a_rotation_are_not_blamed),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
