/* SPDX-License-Identifier: Apache-2.0 */
/* What discovery reads: beacons, answers of name servers, the file of addresses that
 * worked. */
#include <unistd.h>

#include <whocan/beacon.h>

#include "daemon/peers.h"
#include "daemon/srv.h"
#include "tests/unit/golden.h"
#include "tests/unit/offices.h"
#include "tests/unit/scratch.h"

/* ---- beacons ---- */

static uint8_t key[WC_SECRET_BYTES], wire[WC_BEACON_BYTES];
static struct wc_beacon sent;

static int make_beacon(void **state)
{
    (void)state;
    uint8_t nonce[WC_BOX_NONCE_BYTES];
    struct offices_org org = offices_org('o');
    wc_beacon_key(key, &org.org);
    memset(nonce, 'n', sizeof(nonce));
    memset(sent.office_key, 'k', sizeof(sent.office_key));
    sent.port = 7411;
    wc_beacon_encode(wire, key, nonce, &sent);
    return 0;
}

static void a_beacon_is_as_it_always_was(void **state)
{
    (void)state;
    struct wc_beacon got;
    golden_check("beacon", wc_slice(wire, sizeof(wire)));
    assert_int_equal(wc_beacon_decode(wc_slice(wire, sizeof(wire)), key, &got), 0);
    assert_memory_equal(got.office_key, sent.office_key, WC_KEY_BYTES);
    assert_int_equal(got.port, 7411);
}

static void of_a_beacon_no_bit_can_be_changed(void **state)
{
    (void)state;
    struct wc_beacon got;
    for (size_t bit = 0; bit < 8 * sizeof(wire); bit++) {
        wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(wc_beacon_decode(wc_slice(wire, sizeof(wire)), key, &got),
                         bit < 64 ? -WC_EPROTOCOL : -WC_EBADSIG);
        wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len < sizeof(wire); len++)
        assert_int_equal(wc_beacon_decode(wc_slice(wire, len), key, &got),
                         -WC_EPROTOCOL);
}

/* Neither by another secret, nor by the same one in another organisation. */
static void a_beacon_is_of_one_organisation(void **state)
{
    (void)state;
    struct wc_beacon got;
    struct offices_org other = offices_org('o');
    other.org.secret[31] ^= 1;
    wc_beacon_key(key, &other.org);
    assert_int_equal(wc_beacon_decode(wc_slice(wire, sizeof(wire)), key, &got),
                     -WC_EBADSIG);
    other.org.secret[31] ^= 1;
    other.org.id[0] ^= 1;
    wc_beacon_key(key, &other.org);
    assert_int_equal(wc_beacon_decode(wc_slice(wire, sizeof(wire)), key, &got),
                     -WC_EBADSIG);
}

static void a_beacon_has_a_port(void **state)
{
    (void)state;
    uint8_t nonce[WC_BOX_NONCE_BYTES] = {0};
    struct wc_beacon got;
    sent.port = 0;
    wc_beacon_encode(wire, key, nonce, &sent);
    assert_int_equal(wc_beacon_decode(wc_slice(wire, sizeof(wire)), key, &got),
                     -WC_EINVALID);
}

/* Two of one office have nothing in common that a stranger could follow it by. */
static void a_beacon_shows_nothing_of_its_sender(void **state)
{
    (void)state;
    uint8_t nonce[WC_BOX_NONCE_BYTES] = {1}, again[WC_BEACON_BYTES];
    uint32_t same = 0;
    wc_beacon_encode(again, key, nonce, &sent);
    for (size_t i = 8; i < sizeof(wire); i++)
        same += wire[i] == again[i];
    assert_in_range(same, 0, 4); /* of 74 */
}

static void so_many_are_heard_of_one_source_and_of_all(void **state)
{
    (void)state;
    static struct wc_beacon_gate gate;
    uint8_t source[16] = {0};
    uint32_t heard = 0;
    for (int i = 0; i < 1000; i++)
        heard += wc_beacon_allow(&gate, source, 50000);
    assert_int_equal(heard, WC_BEACON_SOURCE_COUNT);
    source[0] = 1; /* another one is heard all the same */
    assert_true(wc_beacon_allow(&gate, source, 50000));
    heard++;
    for (uint32_t i = 0; i < 3 * WC_BEACON_ALL_COUNT; i++) {
        wc_put_u32(source, 1000 + i % 300);
        heard += wc_beacon_allow(&gate, source, 50001);
    }
    assert_int_equal(heard, WC_BEACON_ALL_COUNT);
    assert_true(wc_beacon_allow(&gate, source, 50000 + WC_BEACON_WINDOW_MS));
    for (uint32_t i = 0; i < 2 * WC_BEACON_SOURCES_COUNT; i++) {
        wc_put_u32(source, 5000 + i);
        wc_beacon_allow(&gate, source, 61000);
    }
    assert_int_equal(gate.sources_count, WC_BEACON_SOURCES_COUNT);
}

/* ---- service records ---- */

static struct wc_buf answer;
static struct wc_srv srv;

/* An answer's head: question and answers, and _whocan._tcp.a.example. */
static void begin_answer(uint8_t rcode, uint16_t answers)
{
    const uint8_t head[] = {1,
                            2,
                            0x81,
                            (uint8_t)(0x80 | rcode),
                            0,
                            1,
                            (uint8_t)(answers >> 8),
                            (uint8_t)answers,
                            0,
                            0,
                            0,
                            0};
    wc_buf_reset(&answer);
    wc_buf_append(&answer, head, sizeof(head));
    wc_buf_append(&answer, "\7_whocan\4_tcp\1a\7example\0\0\41\0\1", 28);
}

/* target: as it stands in the message, with its end. */
static void add_srv(uint32_t ttl_s, uint16_t priority, uint16_t weight, uint16_t port,
                    const char *target, size_t len)
{
    uint8_t fixed[18] = {0xc0, 12, 0, 33, 0, 1};
    wc_put_u32(fixed + 6, ttl_s);
    fixed[10] = (uint8_t)((6 + len) >> 8);
    fixed[11] = (uint8_t)(6 + len);
    fixed[12] = (uint8_t)(priority >> 8);
    fixed[13] = (uint8_t)priority;
    fixed[14] = (uint8_t)(weight >> 8);
    fixed[15] = (uint8_t)weight;
    fixed[16] = (uint8_t)(port >> 8);
    fixed[17] = (uint8_t)port;
    wc_buf_append(&answer, fixed, sizeof(fixed));
    wc_buf_append(&answer, target, len);
}

static int parse(void)
{
    return wc_srv_parse(wc_buf_slice(&answer), &srv);
}

static void service_records_are_read(void **state)
{
    (void)state;
    begin_answer(0, 3);
    add_srv(300, 10, 5, 7411, "\5leeds\300\31", 8);
    add_srv(120, 20, 0, 7412, "\4york\1a\7example", 16);
    add_srv(900, 0, 0, 0, "", 1); /* ".": no service there */
    assert_int_equal(parse(), 0);
    assert_int_equal(srv.count, 2);
    assert_int_equal(srv.left_out, 1);
    assert_int_equal(srv.ttl_ms, 120000);
    assert_string_equal(srv.targets[0].address, "leeds.a.example:7411");
    assert_string_equal(srv.targets[1].address, "york.a.example:7412");
    assert_int_equal(srv.targets[1].priority, 20);
    assert_int_equal(srv.targets[0].weight, 5);
}

static void the_time_of_an_answer_has_bounds(void **state)
{
    (void)state;
    begin_answer(0, 1);
    add_srv(0, 1, 1, 1, "\1b", 3);
    assert_int_equal(parse(), 0);
    assert_int_equal(srv.ttl_ms, WC_SRV_TTL_MIN_MS);
    begin_answer(0, 1);
    add_srv(0x7fffffff, 1, 1, 1, "\1b", 3);
    assert_int_equal(parse(), 0);
    assert_int_equal(srv.ttl_ms, WC_SRV_TTL_MAX_MS);
}

static void what_a_name_server_refuses(void **state)
{
    (void)state;
    begin_answer(3, 0); /* NXDOMAIN */
    assert_int_equal(parse(), -WC_ENOTFOUND);
    begin_answer(0, 0);
    assert_int_equal(parse(), -WC_ENOTFOUND);
    begin_answer(2, 0); /* SERVFAIL */
    assert_int_equal(parse(), -WC_EIO);
}

static void an_answer_that_is_none_is_refused(void **state)
{
    (void)state;
    begin_answer(0, 2);
    add_srv(300, 10, 5, 7411, "\5leeds\300\31", 8);
    add_srv(300, 10, 5, 7411, "\5leeds\300\31", 8);
    size_t len = answer.len;
    for (size_t cut = 0; cut < len; cut++) {
        answer.len = cut;
        assert_true(parse() != 0 || srv.count <= 1);
    }
    answer.len = len;
    answer.data[2] &= 0x7f; /* a question */
    assert_int_equal(parse(), -WC_EPROTOCOL);
    begin_answer(0, 2);
    add_srv(300, 10, 5, 7411, "\300\72", 2); /* a name that goes on as itself */
    add_srv(300, 10, 5, 7411, "\3a\nb", 5);  /* a line of its own in the log */
    assert_true(parse() != 0);
    assert_int_equal(srv.count, 0);
}

static void so_many_targets_are_kept(void **state)
{
    (void)state;
    begin_answer(0, 100);
    for (int i = 0; i < 100; i++)
        add_srv(300, 1, 1, 7411, "\1b", 3);
    assert_int_equal(parse(), 0);
    assert_int_equal(srv.count, WC_SRV_MAX_COUNT);
    assert_int_equal(srv.left_out, 100 - WC_SRV_MAX_COUNT);
    begin_answer(0, 2);
    add_srv(300, 1, 1, 7411, "\1b", 3);
    add_srv(300, 1, 1, 7411,
            "\77aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 65);
    assert_int_equal(parse(), 0);
    assert_int_equal(srv.count, 1); /* longer than an address may be */
}

static void add_target(uint16_t priority, uint16_t weight, const char *name)
{
    struct wc_srv_target *t = &srv.targets[srv.count++];
    t->priority = priority;
    t->weight = weight;
    snprintf(t->address, sizeof(t->address), "%s", name);
}

/* Priorities in order; within one as often first as the weight says (RFC 2782). */
static void targets_come_in_the_order_of_priority_and_weight(void **state)
{
    (void)state;
    uint32_t light = 0, random[WC_SRV_MAX_COUNT] = {0};
    for (uint32_t i = 0; i < 4000; i++) {
        srv.count = 0;
        add_target(30, 0, "last");
        add_target(10, 10, "light");
        add_target(20, 0, "middle");
        add_target(10, 30, "heavy");
        for (int k = 0; k < 4; k++)
            random[k] = i * 2654435761u >> (3 + k);
        wc_srv_order(&srv, random);
        assert_string_equal(srv.targets[2].address, "middle");
        assert_string_equal(srv.targets[3].address, "last");
        light += strcmp(srv.targets[0].address, "light") == 0;
    }
    assert_in_range(light, 800, 1300); /* a quarter of the draws, and a little */
}

static void a_weight_of_none_hardly_ever_comes_first(void **state)
{
    (void)state;
    uint32_t first = 0, random[WC_SRV_MAX_COUNT] = {0};
    for (uint32_t i = 0; i < 101; i++) {
        srv.count = 0;
        add_target(1, 100, "all");
        add_target(1, 0, "none");
        random[0] = i;
        wc_srv_order(&srv, random);
        first += strcmp(srv.targets[0].address, "none") == 0;
    }
    assert_int_equal(first, 1);
}

/* ---- addresses that worked ---- */

static struct wc_peers peers, again;
static struct wc_buf text;
static const uint8_t org_id[WC_ORG_ID_BYTES] = {1, 2, 3};

static bool worked(uint8_t who, const char *address, uint64_t now_ms)
{
    uint8_t office[WC_KEY_BYTES];
    memset(office, who, sizeof(office));
    return wc_peers_add(&peers, office, address, now_ms);
}

static int forget(void **state)
{
    (void)state;
    memset(&peers, 0, sizeof(peers));
    wc_buf_reset(&text);
    return 0;
}

static void an_office_has_one_address_the_latest(void **state)
{
    (void)state;
    assert_true(worked(1, "a:1", 1000));
    assert_true(worked(2, "b:1", 2000));
    assert_false(worked(1, "a:1", 3000)); /* nothing new */
    assert_string_equal(peers.list[0].address, "a:1");
    assert_int_equal(peers.list[0].worked_ms, 1000);
    assert_true(worked(1, "a:1", 1000 + WC_DAY_MS));
    assert_true(worked(1, "c:1", 1000 + WC_DAY_MS));
    assert_int_equal(peers.count, 2);
    assert_string_equal(peers.list[0].address, "c:1");
}

static void what_worked_the_longest_ago_goes_first(void **state)
{
    (void)state;
    for (int i = 0; i < WC_CACHE_MAX_COUNT; i++)
        worked((uint8_t)i, "a:1", 1000 + (uint64_t)i);
    worked(0, "a:1", 5000); /* it worked again */
    worked(200, "b:1", 6000);
    assert_int_equal(peers.count, WC_CACHE_MAX_COUNT);
    assert_int_equal(peers.list[0].office_key[0], 200);
    assert_int_equal(peers.list[1].office_key[0], 0);
    for (uint32_t i = 0; i < peers.count; i++)
        assert_int_not_equal(peers.list[i].office_key[0], 1);
}

static void fill(void)
{
    for (int i = 0; i < WC_CACHE_MAX_COUNT; i++)
        worked((uint8_t)i, "[fe80::1234:5678:9abc:def0%enp0s31f6]:7411",
               WC_REV_MAX - (uint64_t)i);
    wc_peers_text(&peers, org_id, &text);
}

static void the_file_has_what_was_written(void **state)
{
    (void)state;
    fill();
    assert_in_range(text.len, 1, WC_PEERS_FILE_MAX_BYTES);
    assert_int_equal(wc_peers_parse(wc_buf_slice(&text), org_id, &again), 0);
    assert_int_equal(again.count, peers.count);
    assert_memory_equal(again.list, peers.list, sizeof(peers.list));
    const uint8_t other[WC_ORG_ID_BYTES] = {9};
    assert_int_equal(wc_peers_parse(wc_buf_slice(&text), other, &again), 0);
    assert_int_equal(again.count, 0);
}

static void a_file_that_is_cut_off_or_changed_is_refused(void **state)
{
    (void)state;
    fill();
    for (size_t len = 0; len < text.len; len++) {
        assert_int_equal(wc_peers_parse(wc_slice(text.data, len), org_id, &again),
                         -WC_EPROTOCOL);
        assert_int_equal(again.count, 0);
    }
    wc_buf_text(&text, "x");
    assert_int_equal(wc_peers_parse(wc_buf_slice(&text), org_id, &again),
                     -WC_EPROTOCOL);
    static const char *const bad[] = {
        "",
        "\n",
        "whocan peers 2 01020300000000000000000000000000\nend 0\n",
        "whocan peers 1 01020300000000000000000000000000\nend 1\n",
        "whocan peers 1 01020300000000000000000000000000\nend\n",
        "whocan peers 1 01020300000000000000000000000000\n1 22 a:1\nend 1\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(wc_peers_parse(wc_slice_text(bad[i]), org_id, &again),
                         -WC_EPROTOCOL);
}

static int with_a_directory(void **state)
{
    forget(state);
    return scratch_setup(state);
}

static void the_file_is_replaced_as_a_whole(void **state)
{
    (void)state;
    const char *dir = scratch_dir;
    assert_int_equal(wc_peers_load(dir, org_id, &again), -WC_ENOTFOUND);
    worked(1, "a:1", 1000);
    wc_peers_text(&peers, org_id, &text);
    assert_int_equal(wc_peers_save(dir, wc_buf_slice(&text)), 0);
    assert_int_equal(wc_peers_load(dir, org_id, &again), 0);
    assert_int_equal(again.count, 1);
    /* what a crash left of another try is in nobody's way */
    char left[512];
    snprintf(left, sizeof(left), "%s/peers.new", dir);
    assert_int_equal(symlink("peers", left), 0);
    worked(2, "b:1", 2000);
    wc_buf_reset(&text);
    wc_peers_text(&peers, org_id, &text);
    assert_int_equal(wc_peers_save(dir, wc_buf_slice(&text)), 0);
    assert_int_equal(wc_peers_load(dir, org_id, &again), 0);
    assert_int_equal(again.count, 2);
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(wc_peers_save("/nonexistent", wc_buf_slice(&text)), -WC_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_beacon_is_as_it_always_was, make_beacon),
        cmocka_unit_test_setup(of_a_beacon_no_bit_can_be_changed, make_beacon),
        cmocka_unit_test_setup(a_beacon_is_of_one_organisation, make_beacon),
        cmocka_unit_test_setup(a_beacon_has_a_port, make_beacon),
        cmocka_unit_test_setup(a_beacon_shows_nothing_of_its_sender, make_beacon),
        cmocka_unit_test(so_many_are_heard_of_one_source_and_of_all),
        cmocka_unit_test(service_records_are_read),
        cmocka_unit_test(the_time_of_an_answer_has_bounds),
        cmocka_unit_test(what_a_name_server_refuses),
        cmocka_unit_test(an_answer_that_is_none_is_refused),
        cmocka_unit_test(so_many_targets_are_kept),
        cmocka_unit_test(targets_come_in_the_order_of_priority_and_weight),
        cmocka_unit_test(a_weight_of_none_hardly_ever_comes_first),
        cmocka_unit_test_setup(an_office_has_one_address_the_latest, forget),
        cmocka_unit_test_setup(what_worked_the_longest_ago_goes_first, forget),
        cmocka_unit_test_setup(the_file_has_what_was_written, forget),
        cmocka_unit_test_setup(a_file_that_is_cut_off_or_changed_is_refused, forget),
        cmocka_unit_test_setup_teardown(the_file_is_replaced_as_a_whole,
                                        with_a_directory, scratch_teardown),
    };
    assert_int_equal(wc_crypto_init(), 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wc_buf_fini(&answer);
    wc_buf_fini(&text);
    return failed;
}
