/* SPDX-License-Identifier: Apache-2.0 */
/* Reconciliation: what it costs when nothing differs, that everything comes across when
 * something does, and what a neighbour may not do with it. */
#include "proto/node_internal.h"
#include "tests/unit/net.h"
#include "tests/unit/reconciling.h"

static struct wc_buf record, frame;
static struct wc_wire_ranges ranges, reply;

/* Fill a store with rows that an office made earlier, before its engine starts. */
static void stock(int n, const struct wc_identity *office, uint32_t from,
                  uint32_t count)
{
    struct net_node *m = &net.nodes[n];
    for (uint32_t i = from; i < from + count; i++) {
        char login[16];
        struct wc_record r;
        struct net_stored *s = &m->stored[m->stored_count++];
        assert_true(m->stored_count < NET_STORED_MAX);
        *s = (struct net_stored){0};
        snprintf(login, sizeof(login), "p%u", i);
        make_record(
            &(struct made){.office = office, .kind = WC_KIND_ROW, .login = login},
            &s->bytes);
        assert_int_equal(wc_record_decode(wc_buf_slice(&s->bytes), &r, NULL), 0);
        wc_record_slot(&r, s->slot);
    }
}

static void stock_card(int n, const struct wc_identity *office)
{
    struct net_stored *s = &net.nodes[n].stored[net.nodes[n].stored_count++];
    *s = (struct net_stored){0};
    make_card(office, NULL, &s->bytes);
    wc_slot(s->slot, WC_KIND_CARD, office->signer.key, "card");
}

static void copy_stored(int to, const struct net_stored *from)
{
    struct net_stored *s = &net.nodes[to].stored[net.nodes[to].stored_count++];
    *s = (struct net_stored){0};
    memcpy(s->slot, from->slot, WC_DIGEST_BYTES);
    wc_buf_append(&s->bytes, from->bytes.data, from->bytes.len);
}

static void raise_quota(int n)
{
    net.nodes[n].identity.cert.quota = 100000;
    offices_certify(&net.nodes[n].identity, &net.org);
}

/* ---- between engines ---- */

static void equal_sets_cost_two_small_frames(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_wait(5000); /* cards are exchanged, and both have asked */
    assert_true(net_same(0, 1));
    uint64_t before = net.frames, bytes = net.frame_bytes,
             syncs = net_stats(0).syncs_done;
    uint64_t pings = 0;
    while (net_stats(0).syncs_done == syncs) {
        net_wait(100);
        pings = net.frames - before;
        bytes = net.frame_bytes - bytes;
        before = net.frames;
        if (net_stats(0).syncs_done == syncs)
            bytes = net.frame_bytes;
    }
    assert_true(pings <= 2 + 2); /* a ping may fall into the same moment */
    assert_true(bytes <= 48 + 40);
}

static void hundreds_come_across(void **state)
{
    (void)state;
    raise_quota(0);
    raise_quota(1);
    stock(0, &net.nodes[0].identity, 0, 400);
    stock(1, &net.nodes[1].identity, 0, 250);
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_wait(5000);
    assert_true(net_same(0, 1));
    assert_int_equal(net_stats(0).records_count[1], 650);
    assert_int_equal(net_stats(1).records_count[1], 650);
    /* never too much at once */
    assert_true(net.step_bytes_max < (3u << 20));
    assert_true(net.nodes[0].notes[WC_NOTE_SYNC_DONE] > 0);
}

static void few_differences_cost_little(void **state)
{
    (void)state;
    raise_quota(0);
    raise_quota(1);
    stock(0, &net.nodes[0].identity, 0, 1000);
    stock_card(0, &net.nodes[0].identity);
    for (uint32_t i = 0; i < net.nodes[0].stored_count; i++) { /* all but ten */
        if (i % 100 != 7)
            copy_stored(1, &net.nodes[0].stored[i]);
    }
    net_start(0);
    net_start(1);
    uint64_t before = net.frame_bytes;
    net_link(0, 1);
    net_wait(2000);
    assert_true(net_same(0, 1));
    assert_int_equal(net_stats(1).records_count[1], 1000);
    /* the ten records with their way down the tree, and not all the items */
    assert_true(net.frame_bytes - before < 12000);
}

/* Three in a row: what the first brings, the last has soon. */
static void what_was_fetched_is_passed_on(void **state)
{
    (void)state;
    raise_quota(0);
    stock(0, &net.nodes[0].identity, 0, 300);
    for (int n = 0; n < 3; n++)
        net_start(n);
    net_link(1, 2);
    net_wait(3000);
    net_open(0, 1, 0);
    net_wait(5000); /* less than a round */
    assert_int_equal(net_stats(2).records_count[1], 300);
    assert_true(net_same(0, 2));
}

static void rounds_repair_what_a_link_did_not_say(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_wait(5000);
    net.links[net.links_count - 1].open = false; /* frames vanish for a moment */
    net_put(0, WC_KIND_ROW, "alice");
    net_wait(100);
    net.links[net.links_count - 1].open = true;
    assert_false(net_same(0, 1));
    net_wait(70000);
    assert_true(net_same(0, 1));
}

static void who_does_not_replicate_fetches_cards_only(void **state)
{
    (void)state;
    raise_quota(0);
    raise_quota(1);
    net.nodes[1].replicate = false;
    stock(0, &net.nodes[0].identity, 0, 100);
    stock(1, &net.nodes[1].identity, 0, 100);
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_wait(60000);
    assert_int_equal(net_stats(0).records_count[1], 200); /* its own are fetched */
    assert_int_equal(net_stats(1).records_count[1], 100);
    assert_int_equal(net_stats(1).records_count[0], 2);
    net_put(0, WC_KIND_ROW, "alice"); /* nor does it keep what is broadcast */
    net_put(1, WC_KIND_ROW, "bob");
    net_wait(100);
    assert_int_equal(net_stats(0).records_count[1], 202);
    assert_int_equal(net_stats(1).records_count[1], 101);
}

/* Others kept our records while we lost them. */
static void own_records_come_back_from_others(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    uint32_t a = net_link(0, 1);
    net_put(0, WC_KIND_ROW, "alice");
    net_wait(100);
    uint64_t seq = net_version(0, net_key(0), WC_KIND_ROW, "alice").seq;
    net_cut(a);
    net_stop(0);
    for (uint32_t i = 0; i < net.nodes[0].stored_count; i++)
        wc_buf_fini(&net.nodes[0].stored[i].bytes);
    net.nodes[0].stored_count = 0;
    net.nodes[0].skew_ms = -600000 + 1000; /* and the clock is behind */
    net_start(0);
    net_link(0, 1);
    net_wait(10000);
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "alice"));
    net_put(0, WC_KIND_ROW, "bob");
    net_wait(100);
    assert_true(net_version(0, net_key(0), WC_KIND_ROW, "bob").seq > seq);
    assert_true(net_same(0, 1));
}

/* ---- with a puppet ---- */

static void wait_for(uint32_t link, enum wc_wire_type type)
{
    for (int i = 0; i < 400 && puppet_count(link, type) == 0; i++)
        net_wait(100);
    assert_int_not_equal(puppet_count(link, type), 0);
}

/* The engine's next SYNC; `ranges` holds it. */
static void heard_sync(uint32_t link)
{
    wait_for(link, WC_WIRE_SYNC);
    assert_int_equal(
        wc_wire_decode_sync(puppet_heard(link, WC_WIRE_SYNC), &ranges, NULL), 0);
    puppet_clear();
}

static void say_reply(uint32_t link)
{
    wc_wire_diff(&frame, &reply);
    puppet_say(link, &frame);
    net_run();
}

static void begin_reply(void)
{
    reply = (struct wc_wire_ranges){.set = ranges.set, .session = ranges.session};
}

/* Nothing differs. */
static void say_equal(uint32_t link)
{
    begin_reply();
    say_reply(link);
}

/* Every range that was asked about differs below. */
static void say_more(uint32_t link)
{
    begin_reply();
    for (uint32_t i = 0; i < ranges.count; i++)
        reconciling_more(&reply, &ranges, i);
    say_reply(link);
}

static void say_list(uint32_t link, const uint8_t *items, uint32_t count)
{
    static uint8_t ids[WC_ITEM_LEAF_MAX * WC_SHORT_ID_BYTES];
    begin_reply();
    reconciling_list(&reply, &ranges, 0, items, count, ids);
    say_reply(link);
}

/* The engine's next question about set 1. */
static void heard_sync_of_1(uint32_t link)
{
    heard_sync(link);
    assert_int_equal(ranges.set, WC_SET_ALL);
    say_more(link);
    heard_sync(link);
    assert_int_equal(ranges.set, 1);
}

static void all_is_asked_about_at_once(void **state)
{
    (void)state;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    heard_sync(a);
    assert_int_equal(ranges.set, WC_SET_ALL);
    assert_int_equal(ranges.count, 1);
    assert_int_equal(ranges.ranges[0].bits, 0);
    assert_int_equal(ranges.ranges[0].form, WC_FORM_COMPARE);
    uint32_t number = ranges.session;
    say_equal(a);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_SYNC_DONE], 1);
    net_cut(a);
    a = puppet_link(0, &net.nodes[2].identity);
    heard_sync(a);
    assert_int_not_equal(ranges.session,
                         number); /* each session under its own number */
}

static void cards_and_revocations_come_first(void **state)
{
    (void)state;
    static const uint8_t both[WC_SETS_COUNT * WC_BRANCH_BYTES] = {1, 1, 1, 1,
                                                                  1, 1, 1, 1};
    uint8_t item[WC_ITEM_BYTES] = {0xaa};
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    heard_sync(a);
    begin_reply();
    reconciling_more(&reply, &ranges, 0);
    reply.ranges[0].data = wc_slice(both, sizeof(both));
    say_reply(a);
    heard_sync(a);
    assert_int_equal(ranges.set, 0);
    say_list(a, item, 1);
    assert_int_equal(puppet_count(a, WC_WIRE_WANT), 1);
    assert_int_equal(puppet_count(a, WC_WIRE_SYNC), 0); /* not before it came */
    wc_wire_records(&frame, WC_REASON_LAST, 0, wc_slice(NULL, 0));
    puppet_say(a, &frame);
    heard_sync(a);
    assert_int_equal(ranges.set, 1);
    say_equal(a);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_SYNC_DONE], 1);
}

static void what_is_listed_is_wanted_and_taken(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    static struct wc_wire_ranges want;
    uint8_t items[3][WC_ITEM_BYTES];
    for (int i = 0; i < 3; i++)
        memset(items[i], 0x11 * (i + 1), WC_ITEM_BYTES);
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    heard_sync_of_1(a);
    say_list(a, items[0], 3);
    assert_int_equal(wc_wire_decode_want(puppet_heard(a, WC_WIRE_WANT), &want, NULL),
                     0);
    assert_int_equal(want.set, 1);
    assert_int_equal(reconciling_wanted(&want), 3);
    make_record(&(struct made){.office = &from, .kind = WC_KIND_ROW, .login = "bob"},
                &record);
    puppet_records(a, WC_REASON_WANTED, &record);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_SYNC_DONE], 0);
    wc_wire_records(&frame, WC_REASON_LAST, 0, wc_slice(NULL, 0));
    puppet_say(a, &frame);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_SYNC_DONE], 1);
    assert_true(net_holds(0, from.signer.key, WC_KIND_ROW, "bob"));
    puppet_clear();
    net_wait(1000); /* two were not there yet: soon again */
    assert_true(puppet_count(a, WC_WIRE_SYNC) > 0);
}

/* What the neighbour keeps listing and never sends is asked for ever more rarely. */
static void what_cannot_be_had_is_not_asked_for_without_end(void **state)
{
    (void)state;
    uint8_t item[WC_ITEM_BYTES] = {0xaa};
    uint32_t sessions = 0;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    uint64_t end = net.mono_ms + 300000;
    while (net.mono_ms < end) {
        net_wait(50);
        if (net.mono_ms % 1000 < 60) { /* be heard now and then */
            wc_wire_ping(&frame, net.now_ms, 1);
            puppet_say(a, &frame);
        }
        if (puppet_count(a, WC_WIRE_SYNC) > 0) {
            heard_sync(a);
            if (ranges.set == WC_SET_ALL) {
                say_more(a);
                continue;
            }
            sessions++;
            say_list(a, item, 1);
        } else if (puppet_count(a, WC_WIRE_WANT) > 0) {
            puppet_clear();
            wc_wire_records(&frame, WC_REASON_LAST, 0, wc_slice(NULL, 0));
            puppet_say(a, &frame);
        }
    }
    assert_in_range(sessions, 10, 40); /* in five minutes */
}

static void a_neighbour_that_does_not_answer_is_left(void **state)
{
    (void)state;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    uint32_t b = puppet_link(0, &net.nodes[2].identity);
    heard_sync(a);
    for (int i = 0; i < 15; i++) { /* alive, and mute */
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(a, &frame);
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(b, &frame);
        if (puppet_count(b, WC_WIRE_SYNC) > 0)
            break;
        net_wait(1000);
    }
    assert_true(puppet_count(b, WC_WIRE_SYNC) > 0);
    assert_true(net_is_open(a));
}

static void a_range_that_was_not_asked_about_is_refused(void **state)
{
    (void)state;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    heard_sync_of_1(a);
    ranges.ranges[0].bits = 4; /* one level down */
    say_more(a);
    assert_false(net_is_open(a));
    assert_int_equal(net.nodes[0].last_note_rc, -WC_EPROTOCOL);
}

static void a_late_diff_is_ignored(void **state)
{
    (void)state;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    heard_sync(a);
    ranges.session++;
    say_equal(a);
    assert_true(net_is_open(a));
    assert_int_equal(puppet_count(a, WC_WIRE_SYNC), 0);
}

/* A neighbour whose every branch differs, all the way down: there is an end to it. */
static void a_bottomless_neighbour_ends_somewhere(void **state)
{
    (void)state;
    uint32_t syncs = 0;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    wait_for(a, WC_WIRE_SYNC);
    while (puppet_count(a, WC_WIRE_SYNC) > 0 && syncs < 20000) {
        heard_sync(a);
        syncs++;
        say_more(a);
    }
    assert_in_range(syncs, 30, 19999);
    assert_true(net_is_open(a));
}

/* ---- answering a puppet ---- */

/* A question about all of set 1, whose answer is in `ranges`. */
static void ask_root(uint32_t link)
{
    ranges = (struct wc_wire_ranges){.set = 1, .session = 77, .count = 1};
    ranges.ranges[0].form = WC_FORM_COMPARE;
    memset(ranges.ranges[0].fingerprint, 0x5a, sizeof(ranges.ranges[0].fingerprint));
    wc_wire_sync(&frame, &ranges);
    puppet_say(link, &frame);
    assert_int_equal(
        wc_wire_decode_diff(puppet_heard(link, WC_WIRE_DIFF), &ranges, NULL), 0);
}

static void few_items_are_listed_and_many_are_split(void **state)
{
    (void)state;
    static const uint8_t zeros[WC_BRANCH_BYTES];
    raise_quota(0);
    stock(0, &net.nodes[0].identity, 0, 20);
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    ask_root(a);
    assert_int_equal(ranges.count, 1);
    assert_int_equal(ranges.ranges[0].form, WC_FORM_ITEMS);
    assert_int_equal(ranges.ranges[0].count, 20);
    net_cut(a);
    net_stop(0);
    stock(0, &net.nodes[0].identity, 20, 200);
    net_start(0);
    a = puppet_link(0, &net.nodes[1].identity);
    ask_root(a);
    assert_int_equal(ranges.count, 1);
    assert_int_equal(ranges.ranges[0].form, WC_FORM_BRANCHES);
    for (size_t i = 0; i < WC_ITEM_BRANCHES; i++)
        assert_memory_not_equal(ranges.ranges[0].data.data + i * WC_BRANCH_BYTES, zeros,
                                WC_BRANCH_BYTES);
}

/* All items of set 1, asked for leaf by leaf. */
static uint32_t list_all(uint32_t link, uint8_t (*items)[WC_ITEM_BYTES], uint32_t max)
{
    static struct wc_wire_ranges leaf;
    uint32_t count = 0;
    for (unsigned branch = 0; branch < 256; branch++) {
        puppet_clear();
        ranges = (struct wc_wire_ranges){.set = 1, .session = 9, .count = 1};
        ranges.ranges[0].bits = 8;
        ranges.ranges[0].prefix[0] = (uint8_t)branch;
        ranges.ranges[0].form = WC_FORM_COMPARE;
        wc_wire_sync(&frame, &ranges);
        puppet_say(link, &frame);
        assert_int_equal(
            wc_wire_decode_diff(puppet_heard(link, WC_WIRE_DIFF), &leaf, NULL), 0);
        for (uint32_t i = 0; i < leaf.count; i++) {
            assert_int_equal(leaf.ranges[i].form, WC_FORM_ITEMS);
            for (uint64_t k = 0; k < leaf.ranges[i].count && count < max; k++)
                memcpy(items[count++], leaf.ranges[i].data.data + k * WC_ITEM_BYTES,
                       WC_ITEM_BYTES);
        }
    }
    puppet_clear();
    return count;
}

static void want(uint32_t link, uint8_t (*items)[WC_ITEM_BYTES], uint32_t count)
{
    static uint8_t ids[WC_WANT_ITEMS_MAX_COUNT][WC_SHORT_ID_BYTES];
    reconciling_wants(&ranges, 1, items, count, ids);
    wc_wire_want(&frame, &ranges);
    puppet_say(link, &frame);
}

/* Records that a puppet was sent, and how many answers to WANT have ended. */
static uint32_t received(uint32_t link, uint32_t *ended)
{
    uint32_t count = 0;
    *ended = 0;
    for (size_t i = 0; i < net.heard_count; i++) {
        struct wc_wire_records f;
        if (net.heard[i].link != link ||
            wc_wire_decode_records(wc_slice(net.heard[i].bytes, net.heard[i].len), &f,
                                   NULL) != 0)
            continue;
        count += f.count;
        *ended += f.reason == WC_REASON_LAST;
    }
    return count;
}

static void a_want_is_answered_in_full_and_says_where_it_ends(void **state)
{
    (void)state;
    static uint8_t items[300][WC_ITEM_BYTES];
    uint32_t ended;
    raise_quota(0);
    stock(0, &net.nodes[0].identity, 0, 200);
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    assert_int_equal(list_all(a, items, 300), 200);
    memset(items[127], 0xff, WC_ITEM_BYTES); /* one that there is not */
    want(a, items, WC_WANT_ITEMS_MAX_COUNT);
    want(a, items + WC_WANT_ITEMS_MAX_COUNT, 200 - WC_WANT_ITEMS_MAX_COUNT);
    net_run();
    assert_int_equal(received(a, &ended), 199);
    assert_int_equal(ended, 2);
}

static void more_wants_than_are_answered_are_refused(void **state)
{
    (void)state;
    static uint8_t items[WC_WANT_ITEMS_MAX_COUNT][WC_ITEM_BYTES];
    char login[16], *filler = malloc(15000);
    assert_non_null(filler);
    memset(filler, 'x', 14999);
    filler[14999] = '\0';
    raise_quota(0);
    struct net_node *m = &net.nodes[0];
    for (uint32_t i = 0; i < WC_WANT_ITEMS_MAX_COUNT; i++) {
        struct net_stored *s = &m->stored[m->stored_count++];
        *s = (struct net_stored){0};
        snprintf(login, sizeof(login), "p%u", i);
        make_record(&(struct made){.office = &m->identity,
                                   .kind = WC_KIND_ROW,
                                   .login = login,
                                   .title = filler},
                    &s->bytes);
        wc_slot(s->slot, WC_KIND_ROW, net_key(0), login);
    }
    free(filler);
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    assert_int_equal(list_all(a, items, WC_WANT_ITEMS_MAX_COUNT),
                     WC_WANT_ITEMS_MAX_COUNT);
    net.step_bytes_max = 0;
    want(a, items, WC_WANT_ITEMS_MAX_COUNT); /* about 2 MB */
    want(a, items, WC_WANT_ITEMS_MAX_COUNT);
    assert_true(net.step_bytes_max > (512u << 10));
    assert_true(net.step_bytes_max < (1200u << 10)); /* in pieces */
    assert_true(net_is_open(a));
    want(a, items, WC_WANT_ITEMS_MAX_COUNT);
    assert_false(net_is_open(a));
    assert_int_equal(net.nodes[0].last_note_rc, -WC_EPROTOCOL);
}

static void all_of_a_large_answer_comes_in_time(void **state)
{
    (void)state;
    static uint8_t items[300][WC_ITEM_BYTES];
    uint32_t ended;
    raise_quota(0);
    stock(0, &net.nodes[0].identity, 0, 256);
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    assert_int_equal(list_all(a, items, 300), 256);
    for (int round = 0; round < 2; round++) { /* the places are free again */
        puppet_clear();
        want(a, items, 128);
        want(a, items + 128, 128);
        net_wait(100);
        assert_int_equal(received(a, &ended), 256);
        assert_int_equal(ended, 2);
    }
}

/* A record that never reached the disk is forgotten, so that it comes again. */
static void what_the_store_lost_is_fetched_again(void **state)
{
    (void)state;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net.nodes[1].losing = true;
    net_put(0, WC_KIND_ROW, "alice");
    net_wait(1000);
    net.nodes[1].losing = false;
    assert_int_equal(net_version(1, net_key(0), WC_KIND_ROW, "alice").rev, 1);
    assert_false(net_holds(1, net_key(0), WC_KIND_ROW, "alice"));
    net_start(2); /* somebody wants it from who has not got it */
    net_link(1, 2);
    net_wait(120000);
    assert_true(net_holds(1, net_key(0), WC_KIND_ROW, "alice"));
    assert_true(net_holds(2, net_key(0), WC_KIND_ROW, "alice"));
}

/* ---- a new office ---- */

/* Records that a node served to node 0. */
static uint64_t served(int n)
{
    struct wc_node *node = net.nodes[n].node;
    uint32_t office = wc_node_office_find(node, net_key(0));
    return wc_node_peer(node, node->offices[office]->link)->conduct->fetched.used;
}

static void raise_all(int nodes, uint32_t rows)
{
    for (int n = 0; n < nodes; n++)
        raise_quota(n);
    stock(1, &net.nodes[1].identity, 0, rows);
    stock_card(1, &net.nodes[1].identity);
    for (int n = 2; n < nodes; n++) {
        for (uint32_t i = 0; i < net.nodes[1].stored_count; i++)
            copy_stored(n, &net.nodes[1].stored[i]);
    }
}

static void a_new_office_fetches_from_several_at_once(void **state)
{
    (void)state;
    raise_all(4, 4000);
    for (int n = 0; n < 4; n++)
        net_start(n);
    for (int n = 1; n < 4; n++)
        net_open(0, n, 0);
    net_wait(10000);
    assert_int_equal(net_stats(0).records_count[1], 4000);
    for (int n = 1; n < 4; n++) {
        print_message("%llu from neighbour %d\n", (unsigned long long)served(n), n);
        assert_in_range(served(n), 200, 3600);
    }
    /* little of it twice */
    assert_true(served(1) + served(2) + served(3) < 5000);
    assert_null(net.nodes[0].node->leases);
}

static void turn(int nodes)
{
    net_deliver();
    for (int n = 0; n < nodes; n++) {
        if (net.nodes[n].changes_count > 0)
            net_commit(n, 0);
        if (wc_node_deadline(net.nodes[n].node) <= net.mono_ms)
            net_step(n, &(struct wc_event){.type = WC_EVENT_TIMER});
    }
}

/* Both sides die in the middle: what came is not asked for again. */
static void a_fetch_goes_on_after_a_crash(void **state)
{
    (void)state;
    raise_all(2, 3000);
    net_start(0);
    net_start(1);
    uint32_t link = net_open(0, 1, 0);
    while (net_stats(0).records_count[1] < 500) /* in steps smaller than net_run()'s */
        turn(2);
    uint64_t had = net_stats(0).records_count[1];
    assert_in_range(had, 500, 2500);
    net_cut(link);
    net_stop(0);
    net_stop(1);
    net_start(0);
    net_start(1);
    had = net_stats(0).records_count[1]; /* what the disk has */
    assert_true(had >= 400);
    net_link(0, 1);
    net_wait(10000);
    assert_int_equal(net_stats(0).records_count[1], 3000);
    assert_true(served(1) <= 3000 - had + 100);
}

/* One neighbour lists what all have, takes its time, and gives nothing. */
static void a_slow_source_holds_up_nobody(void **state)
{
    (void)state;
    static uint8_t items[WC_ITEM_LEAF_MAX * WC_ITEM_BYTES];
    raise_all(2, 4000);
    net_start(0);
    net_start(1);
    uint32_t slow = puppet_link(0, &net.nodes[2].identity);
    net_open(0, 1, 0);
    uint64_t began_ms = net.mono_ms;
    while (net_stats(0).records_count[1] < 4000 && net.mono_ms - began_ms < 60000) {
        net_wait(500);
        while (puppet_count(slow, WC_WIRE_SYNC) > 0) {
            heard_sync(slow);
            if (ranges.set != WC_SET_ALL && ranges.ranges[0].bits >= 8)
                say_list(slow, items, 1); /* not in its range: it is closed for that */
            else
                say_more(slow);
        }
    }
    print_message("all there after %llu ms\n",
                  (unsigned long long)(net.mono_ms - began_ms));
    assert_true(net.mono_ms - began_ms < 15000);
}

/* ---- audits ---- */

static void each_office_audits_once_a_day(void **state)
{
    (void)state;
    uint64_t first[4];
    for (int n = 0; n < 4; n++) {
        net_start(n);
        first[n] = net.nodes[n].node->audit_ms - net.mono_ms;
        assert_true(first[n] < WC_DAY_MS);
        for (int k = 0; k < n; k++) /* not all at once */
            assert_true(first[n] / 60000 != first[k] / 60000);
    }
    for (int quarter = 0; quarter < 4 * 20; quarter++) {
        uint32_t link = net_link(0, 1);
        net_wait(3000);
        net_cut(link);
        net.mono_ms += WC_DAY_MS / 4;
        net.now_ms += WC_DAY_MS / 4;
    }
    for (int n = 0; n < 2; n++) {
        assert_in_range(net_stats(n).audits_done, 14, 22);
        assert_int_equal(net_stats(n).audit_finds, 0);
    }
}

/* Two sets with one sum: what is in the place of two items is one more and one less. */
static void an_audit_sees_what_sums_do_not_show(void **state)
{
    (void)state;
    static const uint8_t all[WC_ITEM_BYTES];
    uint8_t keys[2][WC_ITEM_BYTES];
    raise_all(2, 200);
    net_start(0);
    net_start(1);
    uint32_t link = net_link(0, 1);
    net_wait(5000);
    assert_true(net_same(0, 1));
    struct wc_itemset *set = &net.nodes[1].node->sets[1];
    uint32_t value[2];
    assert_int_equal(wc_itemset_keys(set, all, 0, keys[0], 2), 2);
    for (int i = 0; i < 2; i++) {
        assert_true(wc_itemset_find(set, keys[i], &value[i]));
        wc_itemset_remove(set, keys[i]);
    }
    uint64_t x = wc_get_u64(keys[0] + 16), y = wc_get_u64(keys[1] + 16);
    assert_true(x < UINT64_MAX && y > 0);
    wc_put_u64(keys[0] + 16, x + 1);
    wc_put_u64(keys[1] + 16, y - 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(wc_itemset_insert(set, keys[i], value[i]), 0);
    uint64_t done = net_stats(0).syncs_done;
    net_wait(100000);
    assert_true(net_stats(0).syncs_done > done); /* and nothing was seen */
    assert_int_equal(net_stats(0).audit_finds, 0);
    net.nodes[0].node->audit_ms = net.mono_ms;
    net_wait(100000);
    assert_true(net_stats(0).audit_finds > 0);
    assert_true(net_stats(1).audits_done > 0); /* who was asked looks closer, too */
    assert_true(net_is_open(link));
    for (int i = 0; i < 2; i++) { /* as it was, for the end of the test */
        wc_itemset_remove(set, keys[i]);
        wc_put_u64(keys[i] + 16, i == 0 ? x : y);
        assert_int_equal(wc_itemset_insert(set, keys[i], value[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        net_test(equal_sets_cost_two_small_frames),
        net_test(hundreds_come_across),
        net_test(few_differences_cost_little),
        net_test(what_was_fetched_is_passed_on),
        net_test(rounds_repair_what_a_link_did_not_say),
        net_test(who_does_not_replicate_fetches_cards_only),
        net_test(own_records_come_back_from_others),
        net_test(all_is_asked_about_at_once),
        net_test(cards_and_revocations_come_first),
        net_test(what_is_listed_is_wanted_and_taken),
        net_test(what_cannot_be_had_is_not_asked_for_without_end),
        net_test(a_neighbour_that_does_not_answer_is_left),
        net_test(a_range_that_was_not_asked_about_is_refused),
        net_test(a_late_diff_is_ignored),
        net_test(a_bottomless_neighbour_ends_somewhere),
        net_test(few_items_are_listed_and_many_are_split),
        net_test(a_want_is_answered_in_full_and_says_where_it_ends),
        net_test(more_wants_than_are_answered_are_refused),
        net_test(all_of_a_large_answer_comes_in_time),
        net_test(what_the_store_lost_is_fetched_again),
        net_test(a_new_office_fetches_from_several_at_once),
        net_test(a_fetch_goes_on_after_a_crash),
        net_test(a_slow_source_holds_up_nobody),
        net_test(each_office_audits_once_a_day),
        net_test(an_audit_sees_what_sums_do_not_show),
    };
    if (wc_crypto_init() != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wc_buf_fini(&record);
    return failed;
}
