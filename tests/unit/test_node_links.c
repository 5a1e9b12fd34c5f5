/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's rules for links: which of two stays, who is alive, what may be said,
 * whose clock is wrong, and whom to dial. */
#include "tests/unit/net.h"

static struct wc_buf frame;

static int64_t minutes(int n)
{
    return (int64_t)n * 60000;
}

/* The engines in order of their keys, so that a test can name the smaller one. */
static int smaller, larger;

static void order_keys(void)
{
    bool ordered = memcmp(net_key(0), net_key(1), WC_KEY_BYTES) < 0;
    smaller = ordered ? 0 : 1;
    larger = 1 - smaller;
}

/* ---- what may be said ---- */

static void the_first_word_is_hello(void **state)
{
    (void)state;
    net_start(0);
    uint32_t a = puppet_open(0, &net.nodes[1].identity);
    assert_int_equal(puppet_count(a, WC_WIRE_HELLO), 1); /* ours came at once */
    wc_wire_ping(&frame, net.now_ms, 1);
    puppet_say(a, &frame);
    assert_false(net_is_open(a));
    assert_int_equal(net.nodes[0].notes[WC_NOTE_FRAME_REFUSED], 1);
    assert_int_equal(net.nodes[0].last_note_rc, -WC_EPROTOCOL);

    net_wait(2000); /* it is shunned for a second */
    a = puppet_link(0, &net.nodes[1].identity);
    puppet_hello(a, 0); /* twice */
    assert_false(net_is_open(a));
}

static void what_is_no_frame_ends_the_link(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "\x92",
                                      "\xc1",
                                      "\x92\x13\x00",
                                      "\x92\x07",
                                      "\x93\x05\xc0\xc0",
                                      "\xdd\xff\xff\xff\xff"};
    net_start(0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t a = puppet_link(0, &net.nodes[1].identity);
        wc_buf_text(&frame, bad[i]);
        puppet_say(a, &frame);
        assert_false(net_is_open(a));
        assert_int_equal(net.nodes[0].notes[WC_NOTE_FRAME_REFUSED], i + 1);
        net_wait(1000u << i); /* it is shunned for longer each time */
        net_wait(500);
    }
}

static void a_frame_on_a_link_that_we_closed_is_ignored(void **state)
{
    (void)state;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    wc_buf_text(&frame, "\xc1");
    puppet_say(a, &frame);
    assert_false(net_is_open(a));
    wc_wire_ping(&frame, net.now_ms, 1); /* it was on its way */
    puppet_say(a, &frame);
    struct wc_event e = {.type = WC_EVENT_LINK_DOWN};
    e.u.link_down.link = net.links[a].number[0];
    net_step(0, &e);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_LINK_DOWN], 1);
}

/* ---- alive ---- */

static void a_ping_is_answered_with_its_token(void **state)
{
    (void)state;
    struct wc_wire_clock pong;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    wc_wire_ping(&frame, net.now_ms, 4711);
    puppet_say(a, &frame);
    assert_int_equal(wc_wire_decode_clock(puppet_heard(a, WC_WIRE_PONG), &pong, NULL),
                     0);
    assert_int_equal(pong.token, 4711);
    assert_int_equal(pong.now_ms, net.now_ms);
}

static void a_silent_link_is_asked_and_then_closed(void **state)
{
    (void)state;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    net_wait(11900);
    assert_int_equal(puppet_count(a, WC_WIRE_PING), 0);
    net_wait(200);
    assert_int_equal(puppet_count(a, WC_WIRE_PING), 1);
    net_wait(7800);
    assert_true(net_is_open(a));
    net_wait(200);
    assert_false(net_is_open(a));
    assert_int_equal(net.nodes[0].notes[WC_NOTE_LINK_DOWN], 1);
}

static void a_living_link_stays(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    uint32_t a = net_link(0, 1);
    net_wait(3600000);
    assert_true(net_is_open(a));
    assert_int_equal(net_stats(0).links_count, 1);
}

/* ---- two links to one office ---- */

static void of_two_links_the_smaller_keys_stays(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    order_keys();
    uint32_t by_larger = net_open(larger, smaller, 0);
    uint32_t by_smaller = net_open(smaller, larger, 0);
    net_wait(1000);
    assert_true(net_is_open(by_smaller));
    assert_false(net_is_open(by_larger));
    by_larger =
        net_open(larger, smaller, 0); /* and it does not matter which is first */
    net_wait(1000);
    assert_true(net_is_open(by_smaller));
    assert_false(net_is_open(by_larger));
    assert_int_equal(net_stats(0).links_count, 1);
    assert_int_equal(net_stats(1).links_count, 1);
}

static void of_two_links_by_one_office_the_newer_stays(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    uint32_t old = net_open(0, 1, 0), new = net_open(0, 1, 0);
    net_wait(1000);
    assert_false(net_is_open(old));
    assert_true(net_is_open(new));
}

/* The other end lost its power and came back: it knows nothing of the old link. */
static void a_link_that_fell_silent_gives_way(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    order_keys();
    uint32_t old = net_open(smaller, larger, 0);
    net_wait(1000);
    struct wc_node *gone = net.nodes[larger].node;
    net.nodes[larger].node = NULL;
    wc_node_free(gone);
    net.links[old].node[1] = -1; /* nobody is told */
    net_load(larger);
    net_begin(larger);
    net_wait(1000);
    uint32_t new = net_open(larger, smaller, 0);
    assert_false(net_is_open(new)); /* by rule the old one stays */
    net_wait(15000);
    new = net_open(larger, smaller, 0);
    net_wait(1000);
    assert_true(net_is_open(new)); /* and now it is known to be dead */
    assert_false(net_is_open(old));
}

static void a_link_to_ourselves_is_closed(void **state)
{
    (void)state;
    const char *join = "me:1";
    net_load(0);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, &join, 1), 0);
    net_begin(0);
    net_run();
    assert_int_equal(net.nodes[0].dials, 1);
    uint32_t a = puppet_dialled(0, &net.nodes[0].identity, net.nodes[0].last_dial);
    assert_false(net_is_open(a));
    net_wait(600000);
    assert_int_equal(net.nodes[0].dials, 1); /* and never dialled again */
    assert_int_equal(net_stats(0).links_count, 0);
}

static void there_is_an_end_to_links(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    uint32_t last = 0;
    net_start(0);
    for (uint32_t i = 0; i <= WC_NODE_LINKS_MAX_COUNT; i++) {
        memset(who.sign_seed, 0, sizeof(who.sign_seed));
        wc_put_u32(who.sign_seed, i + 1);
        wc_signer_init(&who.signer, who.sign_seed);
        memcpy(who.cert.sign_key, who.signer.key, WC_KEY_BYTES);
        offices_certify(&who, &net.org);
        last = puppet_open(0, &who);
        assert_int_equal(net_is_open(last), i < WC_NODE_LINKS_MAX_COUNT);
    }
    assert_int_equal(net_stats(0).links_count, WC_NODE_LINKS_MAX_COUNT);
    /* a peer that we dialled ourselves, and cannot have, is not dialled at once again */
    const char *join = "f:1";
    assert_int_equal(wc_node_set_join(net.nodes[0].node, &join, 1), 0);
    net_run();
    for (int i = 0; i < 20; i++) {
        uint32_t dials = net.nodes[0].dials;
        if (dials > 0 && i > 0)
            net_wait(50);
        if (net.nodes[0].dials > dials || i == 0)
            puppet_dialled(0, &net.nodes[5].identity, net.nodes[0].last_dial);
    }
    assert_in_range(net.nodes[0].dials, 1, 2); /* there are links enough */
}

/* Who comes when there are neighbours enough may stay for a moment. */
static void who_is_no_neighbour_is_a_visitor(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    uint32_t links[20], open = 0;
    net_start(0);
    for (uint32_t i = 0; i < 20; i++) {
        memset(who.sign_seed, 1, sizeof(who.sign_seed));
        wc_put_u32(who.sign_seed, i + 1);
        wc_signer_init(&who.signer, who.sign_seed);
        memcpy(who.cert.sign_key, who.signer.key, WC_KEY_BYTES);
        offices_certify(&who, &net.org);
        links[i] = puppet_open(0, &who);
    }
    net_wait(14000);
    assert_int_equal(net_stats(0).links_count, 20);
    net_cut(links[3]); /* a neighbour leaves: there is room for one who never parted */
    for (uint32_t i = 0; i < 20; i++) {
        if (net_is_open(links[i]))
            puppet_hello(links[i], 0);
    }
    net_wait(2000);
    for (uint32_t i = 0; i < 20; i++)
        open += net_is_open(links[i]);
    assert_in_range(open, WC_VIEW_WANTED_COUNT, WC_VIEW_ACTIVE_COUNT);
    assert_int_equal(net_stats(0).links_count, open);
    assert_true(net_is_open(links[4]));
    assert_false(net_is_open(links[19]));
}

/* ---- clocks ---- */

static void a_clock_far_from_most_neighbours_is_off(void **state)
{
    (void)state;
    uint32_t links[3];
    net_start(0);
    net_put(0, WC_KIND_ROW, "alice");
    net_run();
    for (int i = 0; i < 3; i++)
        links[i] = puppet_open(0, &net.nodes[1 + i].identity);
    puppet_hello(links[0], minutes(-11));
    puppet_hello(links[1], minutes(-11));
    assert_false(net_stats(0).clock_off); /* two cannot say who is wrong */
    puppet_hello(links[2], 0);
    assert_true(net_stats(0).clock_off);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_CLOCK_OFF], 1);
    net_put(0, WC_KIND_ROW, "bob");
    assert_int_equal(net.nodes[0].acked_rc, -WC_ECLOCK);
    /* said once, and nothing expires */
    wc_wire_ping(&frame, net.now_ms + (uint64_t)minutes(-12), 1);
    puppet_say(links[0], &frame);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_CLOCK_OFF], 1);
    net.now_ms += 400 * WC_DAY_MS;
    for (int i = 0; i < 3; i++) {
        wc_wire_ping(&frame, OFFICES_NOW_MS, 2);
        puppet_say(links[i], &frame);
    }
    net_run();
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "alice"));
    assert_int_equal(net.nodes[0].drops, 0);
    /* and all is well when it is right again */
    net.now_ms -= 400 * WC_DAY_MS;
    for (int i = 0; i < 3; i++) {
        wc_wire_ping(&frame, net.now_ms, 3);
        puppet_say(links[i], &frame);
    }
    assert_false(net_stats(0).clock_off);
    net_put(0, WC_KIND_ROW, "bob");
    net_run();
    assert_int_equal(net.nodes[0].acked_rc, 0);
}

static void one_wrong_neighbour_is_their_own_trouble(void **state)
{
    (void)state;
    struct wc_node_office o;
    net_start(0);
    for (int i = 0; i < 4; i++) {
        uint32_t a = puppet_open(0, &net.nodes[1 + i].identity);
        puppet_hello(a, i == 0 ? minutes(5000) : minutes(9));
    }
    assert_false(net_stats(0).clock_off);
    assert_true(wc_node_office_by_key(net.nodes[0].node, net_key(1), &o));
    assert_int_equal(o.clock_offset_ms, minutes(5000));
    assert_true(wc_node_office_by_key(net.nodes[0].node, net_key(2), &o));
    assert_int_equal(o.clock_offset_ms, minutes(9));
    assert_int_equal(o.last_heard_ms, net.now_ms);
}

static void who_leaves_has_no_say(void **state)
{
    (void)state;
    uint32_t links[3];
    net_start(0);
    for (int i = 0; i < 3; i++) {
        links[i] = puppet_open(0, &net.nodes[1 + i].identity);
        puppet_hello(links[i], minutes(20));
    }
    assert_true(net_stats(0).clock_off);
    net_cut(links[0]);
    assert_false(net_stats(0).clock_off);
}

/* ---- dialling ---- */

static void fail_last_dial(void)
{
    struct wc_event e = {.type = WC_EVENT_DIAL_FAILED};
    e.u.dial_failed.dial = net.nodes[0].last_dial;
    net_step(0, &e);
}

static const char *last_address(void)
{
    return net.nodes[0].dialled[net.nodes[0].last_dial % 64];
}

static void a_configured_peer_is_dialled_again_and_again(void **state)
{
    (void)state;
    const char *join = "seed.example:7411";
    uint64_t wait = 0, longest = 0, shortest = UINT64_MAX, before;
    net_load(0);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, &join, 1), 0);
    net_begin(0);
    net_run();
    assert_int_equal(net.nodes[0].dials, 1);
    assert_string_equal(last_address(), join);
    net_wait(100000);
    assert_int_equal(net.nodes[0].dials, 1); /* one at a time */
    for (int i = 0; i < 30; i++) {
        uint32_t dials = net.nodes[0].dials;
        fail_last_dial();
        before = net.mono_ms;
        while (net.nodes[0].dials == dials)
            net_wait(10);
        wait = net.mono_ms - before;
        longest = wait > longest ? wait : longest;
        if (i >= 10 && wait < shortest)
            shortest = wait;
        assert_true(wait <= 60010);
        if (i == 0)
            assert_true(wait <= 260);
    }
    assert_true(longest >= 30000); /* by now they are far apart, */
    assert_true(shortest < 30000); /* and drawn from all of the wait */
}

static void an_office_that_is_linked_is_not_dialled(void **state)
{
    (void)state;
    const char *joins[] = {"b:1", "also-b:1"};
    net_load(0);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, joins, 2), 0);
    net_start(1);
    net_begin(0);
    assert_int_equal(net.nodes[0].dials, 2);
    net_open(0, 1, 1);
    net_open(0, 1, 2); /* both names lead to one office */
    net_wait(3600000);
    assert_int_equal(net.nodes[0].dials, 2);
    assert_int_equal(net.nodes[1].dials, 0); /* nor back by its card */
    assert_int_equal(net_stats(0).links_count, 1);
}

static void a_lost_link_is_dialled_again_at_once(void **state)
{
    (void)state;
    const char *join = "b:1";
    net_load(0);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, &join, 1), 0);
    net_start(1);
    net_begin(0);
    uint32_t a = net_open(0, 1, net.nodes[0].last_dial);
    net_wait(6000);
    assert_int_equal(net.nodes[0].dials, 1);
    net_cut(a);
    net_wait(250);
    assert_true(net.nodes[0].dials >= 2);
    assert_string_equal(last_address(), "b:1");
}

/* A peer that closes each link at once is not hammered. */
static void a_link_that_does_not_last_counts_as_a_failure(void **state)
{
    (void)state;
    const char *join = "b:1";
    net_load(0);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, &join, 1), 0);
    net_begin(0);
    for (int i = 0; i < 600; i++) {
        uint32_t dials = net.nodes[0].dials;
        net_wait(100);
        if (net.nodes[0].dials == dials && i > 0)
            continue;
        if (net.links_count == NET_LINKS_MAX - 1)
            break;
        uint32_t id = puppet_dialled(0, &net.nodes[1].identity, net.nodes[0].last_dial);
        net_cut(id);
    }
    assert_in_range(net.nodes[0].dials, 5, 20); /* in a minute */
}

static void
addresses_of_cards_are_dialled_until_there_are_enough_neighbours(void **state)
{
    (void)state;
    struct wc_identity offices[12];
    struct wc_buf card = {0};
    char address[32];
    net_start(0);
    uint32_t teller = puppet_link(0, &net.nodes[1].identity);
    for (int i = 0; i < 12; i++) {
        offices[i] = offices_office(&net.org, (char)('g' + i));
        snprintf(address, sizeof(address), "office%d:1", i);
        make_card(&offices[i], address, &card);
        puppet_records(teller, WC_REASON_BROADCAST, &card);
    }
    net_wait(2000);
    assert_int_equal(net.nodes[0].dials, 5); /* and the link that there is */
    fail_last_dial();
    net_wait(2000);
    assert_true(net.nodes[0].dials > 5);
    for (uint32_t i = 0; i < net.nodes[0].dials; i++) {
        for (uint32_t k = i + 1; k < net.nodes[0].dials && k < 5; k++)
            assert_string_not_equal(net.nodes[0].dialled[i + 1],
                                    net.nodes[0].dialled[k + 1]);
    }
    wc_buf_fini(&card);
}

static void only_so_many_dials_are_under_way(void **state)
{
    (void)state;
    const char *joins[20];
    char addresses[20][16];
    for (int i = 0; i < 20; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "host%d:1", i);
        joins[i] = addresses[i];
    }
    net_load(0);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, joins, 20), 0);
    net_begin(0);
    net_wait(1000);
    assert_int_equal(net.nodes[0].dials, 8);
    fail_last_dial();
    net_run();
    assert_int_equal(net.nodes[0].dials, 9);
}

static void configured_peers_can_change(void **state)
{
    (void)state;
    const char *joins[] = {"one:1", "one:1", "two:1"};
    char long_one[WC_ADDRESS_MAX_BYTES + 2];
    const char *too_long = long_one, *many[WC_JOIN_MAX_COUNT + 1];
    memset(long_one, 'x', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    for (int i = 0; i <= WC_JOIN_MAX_COUNT; i++)
        many[i] = "x:1";
    net_start(0);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, joins, 2), 0);
    assert_int_equal(wc_node_deadline(net.nodes[0].node), 0);
    net_run();
    assert_int_equal(net.nodes[0].dials, 1); /* said twice, dialled once */
    assert_int_equal(wc_node_set_join(net.nodes[0].node, joins, 3), 0);
    net_run();
    assert_int_equal(net.nodes[0].dials, 2);
    assert_string_equal(last_address(), "two:1");
    assert_int_equal(wc_node_set_join(net.nodes[0].node, &too_long, 1), -WC_ETOOBIG);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, many, WC_JOIN_MAX_COUNT + 1),
                     -WC_ETOOBIG);
    assert_int_equal(wc_node_set_listen(net.nodes[0].node, &too_long, 1), -WC_ETOOBIG);
    assert_int_equal(
        wc_node_set_listen(net.nodes[0].node, many, WC_ADDRESSES_MAX_COUNT + 1),
        -WC_ETOOBIG);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, NULL, 0), 0);
    fail_last_dial();
    net_wait(60000);
    assert_int_equal(net.nodes[0].dials, 2);
}

/* ---- addresses that were found ---- */

static void hear(const char *address, const uint8_t *office_key)
{
    struct wc_event e = {.type = WC_EVENT_HEARD};
    e.u.heard.address = address;
    e.u.heard.office_key = office_key;
    net_step(0, &e);
    net_run();
}

static uint32_t refused; /* dials, the first ones */

/* So long, with every dial refused. */
static void wait_refusing(uint64_t ms)
{
    for (uint64_t end = net.mono_ms + ms; net.mono_ms < end;) {
        net_wait(20);
        while (refused < net.nodes[0].dials) {
            struct wc_event e = {.type = WC_EVENT_DIAL_FAILED};
            e.u.dial_failed.dial = ++refused;
            net_step(0, &e);
        }
    }
}

static void who_is_heard_is_dialled(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    hear("b:1", net_key(1));
    assert_int_equal(net.nodes[0].dials, 1);
    assert_string_equal(last_address(), "b:1");
    hear("b:1", net_key(1)); /* under way */
    hear("a:1", net_key(0)); /* our own */
    assert_int_equal(net.nodes[0].dials, 1);
    net_open(0, 1, net.nodes[0].last_dial);
    net_wait(1000);
    hear("b:1", net_key(1)); /* linked, whatever its address */
    hear("also-b:1", net_key(1));
    net_wait(100000);
    assert_int_equal(net.nodes[0].dials, 1);
    char longest[WC_ADDRESS_MAX_BYTES + 2];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    hear(longest, net_key(2));
    assert_int_equal(net.nodes[0].dials, 1);
}

static void who_is_not_heard_any_more_is_forgotten(void **state)
{
    (void)state;
    net_start(0);
    hear("b:1", net_key(1));
    net_step(0,
             &(struct wc_event){.type = WC_EVENT_DIAL_FAILED, .u.dial_failed.dial = 1});
    wait_refusing(140000);
    uint32_t dials = net.nodes[0].dials;
    assert_in_range(dials, 4, 20); /* each time later */
    wait_refusing(20000);
    dials = net.nodes[0].dials;
    wait_refusing(600000);
    assert_int_equal(net.nodes[0].dials, dials);
}

/* Whoever repeats or makes up beacons has us dial so often, and not more. */
static void beacons_without_end_cause_so_many_dials(void **state)
{
    (void)state;
    char address[32];
    uint8_t key[WC_KEY_BYTES] = {0};
    refused = 0;
    net_start(0);
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(address, sizeof(address), "made-up-%u:1", (unsigned)i);
        wc_put_u32(key, i);
        hear(address, key);
        wait_refusing(20);
    }
    assert_in_range(net.nodes[0].dials, 64, 64 + 60 + 4); /* in a minute */
}

static void what_a_name_server_says_is_tried_in_its_order(void **state)
{
    (void)state;
    const char *targets[] = {"one:1", "b:1", "three:1"};
    net_start(0);
    net_start(1);
    assert_int_equal(wc_node_set_hints(net.nodes[0].node, WC_HINT_SRV, targets, 3), 0);
    net_run();
    assert_int_equal(net.nodes[0].dials, 1); /* one at a time */
    assert_string_equal(last_address(), "one:1");
    fail_last_dial();
    net_run();
    assert_string_equal(last_address(), "b:1");
    net_open(0, 1, net.nodes[0].last_dial);
    net_wait(10);
    /* while neighbours are wanted it goes on */
    assert_int_not_equal(strcmp(last_address(), "b:1"), 0);
    assert_int_equal(wc_node_set_hints(net.nodes[0].node, WC_HINT_BEACON, targets, 1),
                     -WC_ETOOBIG);
    const char *many[WC_SRV_MAX_COUNT + 1];
    for (int i = 0; i <= WC_SRV_MAX_COUNT; i++)
        many[i] = "x:1";
    assert_int_equal(
        wc_node_set_hints(net.nodes[0].node, WC_HINT_SRV, many, WC_SRV_MAX_COUNT + 1),
        -WC_ETOOBIG);
}

static void what_worked_before_is_tried_while_neighbours_are_wanted(void **state)
{
    (void)state;
    const char *worked[10];
    char addresses[10][16];
    for (int i = 0; i < 10; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "host%d:1", i);
        worked[i] = addresses[i];
    }
    net_start(0);
    assert_int_equal(wc_node_set_hints(net.nodes[0].node, WC_HINT_CACHE, worked, 10),
                     0);
    net_run();
    assert_int_equal(net.nodes[0].dials, 6); /* as many as are wanted */
    for (uint32_t i = 1; i <= 6; i++) {
        struct wc_identity who = offices_office(&net.org, (char)('p' + i));
        puppet_dialled(0, &who, i);
    }
    net_wait(4000);
    assert_int_equal(net.nodes[0].dials, 6);
}

/* What is configured stays so, whatever else says the same; and what was learned of an
 * address stays. */
static void an_address_counts_once(void **state)
{
    (void)state;
    const char *one[] = {"b:1"}, *two[] = {"b:1", "c:1"};
    net_start(0);
    assert_int_equal(wc_node_set_join(net.nodes[0].node, one, 1), 0);
    assert_int_equal(wc_node_set_hints(net.nodes[0].node, WC_HINT_CACHE, two, 2), 0);
    hear("b:1", net_key(1));
    assert_int_equal(net.nodes[0].dials, 2);
    assert_int_equal(wc_node_set_hints(net.nodes[0].node, WC_HINT_SRV, two, 2), 0);
    net_wait(1000);
    assert_int_equal(net.nodes[0].dials, 2); /* under way, both */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        net_test(the_first_word_is_hello),
        net_test(what_is_no_frame_ends_the_link),
        net_test(a_frame_on_a_link_that_we_closed_is_ignored),
        net_test(a_ping_is_answered_with_its_token),
        net_test(a_silent_link_is_asked_and_then_closed),
        net_test(a_living_link_stays),
        net_test(of_two_links_the_smaller_keys_stays),
        net_test(of_two_links_by_one_office_the_newer_stays),
        net_test(a_link_that_fell_silent_gives_way),
        net_test(a_link_to_ourselves_is_closed),
        net_test(there_is_an_end_to_links),
        net_test(who_is_no_neighbour_is_a_visitor),
        net_test(a_clock_far_from_most_neighbours_is_off),
        net_test(one_wrong_neighbour_is_their_own_trouble),
        net_test(who_leaves_has_no_say),
        net_test(a_configured_peer_is_dialled_again_and_again),
        net_test(an_office_that_is_linked_is_not_dialled),
        net_test(a_lost_link_is_dialled_again_at_once),
        net_test(a_link_that_does_not_last_counts_as_a_failure),
        net_test(addresses_of_cards_are_dialled_until_there_are_enough_neighbours),
        net_test(only_so_many_dials_are_under_way),
        net_test(who_is_heard_is_dialled),
        net_test(who_is_not_heard_any_more_is_forgotten),
        net_test(beacons_without_end_cause_so_many_dials),
        net_test(what_a_name_server_says_is_tried_in_its_order),
        net_test(what_worked_before_is_tried_while_neighbours_are_wanted),
        net_test(an_address_counts_once),
        net_test(configured_peers_can_change),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
