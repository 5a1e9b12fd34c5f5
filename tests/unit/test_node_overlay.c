/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's rules for neighbours and for the tree over which it passes things on. */
#include "proto/plumtree.h"
#include "tests/unit/net.h"

#define MANY       24   /* more offices than are flooded */
#define FEW        16   /* as many as are */
#define SETTLED_MS 1100 /* children of a beat have said that they are */

static struct wc_buf record, frame;
static struct wc_identity who[MANY];
static uint32_t links[MANY];

static int teardown(void **state)
{
    wc_buf_fini(&record);
    wc_buf_fini(&frame);
    return net_teardown(state);
}

/* The office of a number. */
static void name_office(uint32_t i)
{
    who[i] = net.nodes[1].identity;
    memset(who[i].sign_seed, 3, sizeof(who[i].sign_seed));
    wc_put_u32(who[i].sign_seed, i + 1);
    wc_signer_init(&who[i].signer, who[i].sign_seed);
    memcpy(who[i].cert.sign_key, who[i].signer.key, WC_KEY_BYTES);
    snprintf(who[i].cert.name, sizeof(who[i].cert.name), "p%u", i);
    offices_certify(&who[i], &net.org);
}

/* Engine 0 and so many puppets that dialled it: the first eight are its neighbours. */
static void many(uint32_t count)
{
    net_start(0);
    for (uint32_t i = 0; i < count; i++) {
        name_office(i);
        links[i] = puppet_link(0, &who[i]);
    }
}

static void say_priority(uint32_t link, enum wc_wire_priority priority)
{
    wc_wire_neighbour(&frame, priority);
    puppet_say(link, &frame);
}

static void say_list(uint32_t link, enum wc_wire_type type, const void *items,
                     size_t len)
{
    wc_wire_list(&frame, type, wc_slice(items, len));
    puppet_say(link, &frame);
}

static void say_bare(uint32_t link, enum wc_wire_type type)
{
    wc_wire_bare(&frame, type);
    puppet_say(link, &frame);
}

static uint32_t heard_by(uint32_t count, enum wc_wire_type type)
{
    uint32_t heard = 0;
    for (uint32_t i = 0; i < count; i++)
        heard += puppet_count(links[i], type);
    return heard;
}

static void row(const struct wc_identity *office, const char *login)
{
    make_record(&(struct made){.office = office, .kind = WC_KIND_ROW, .login = login},
                &record);
}

static void id_of(const struct wc_buf *bytes, uint8_t id[WC_MESSAGE_ID_BYTES])
{
    struct wc_record r;
    uint8_t slot[WC_DIGEST_BYTES], item[WC_ITEM_BYTES];
    assert_int_equal(wc_record_decode(wc_buf_slice(bytes), &r, NULL), 0);
    wc_record_slot(&r, slot);
    wc_record_item(slot, &r.version, net.org.org.secret, item);
    memcpy(id, item, WC_MESSAGE_ID_BYTES);
}

/* Any frame says that it is there. */
static void puppet_hello_pong(uint32_t link)
{
    wc_wire_pong(&frame, net.now_ms, 1);
    puppet_say(link, &frame);
}

/* All puppets' first words, so that what they send twice counts. */
static void greet(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        make_card(&who[i], "somewhere:1", &record);
        puppet_records(links[i], WC_REASON_BROADCAST, &record);
    }
    net_wait(50);
    puppet_clear();
}

static void calm(uint64_t ms)
{
    for (uint64_t at = 0; at < ms; at += 4000) {
        net_wait(4000);
        for (uint32_t i = 0; i < MANY; i++) {
            if (!net_is_open(links[i]))
                continue;
            wc_wire_ping(&frame, net.now_ms, 1);
            puppet_say(links[i], &frame);
        }
    }
    puppet_clear();
}

/* ---- neighbours ---- */

static void a_full_office_makes_room_for_who_has_none(void **state)
{
    (void)state;
    many(10);
    say_priority(links[8], WC_PRIORITY_LOW);
    assert_int_equal(puppet_count(links[8], WC_WIRE_PART), 1);
    assert_int_equal(heard_by(8, WC_WIRE_PART), 0);
    say_priority(links[9], WC_PRIORITY_HIGH);
    assert_int_equal(puppet_count(links[9], WC_WIRE_PART), 0);
    assert_int_equal(heard_by(8, WC_WIRE_PART), 1);
    puppet_clear();
    net_put(0, WC_KIND_ROW, "alice");
    net_wait(50);
    assert_int_equal(puppet_count(links[8], WC_WIRE_RECORDS), 0);
    assert_int_equal(puppet_count(links[9], WC_WIRE_RECORDS), 1);
    assert_int_equal(heard_by(10, WC_WIRE_RECORDS), WC_VIEW_ACTIVE_COUNT);
}

static void nobody_pushes_others_out_for_ever(void **state)
{
    (void)state;
    many(8);
    name_office(8);
    for (uint32_t i = 0; i < 2 * WC_VIEW_ACTIVE_COUNT; i++) {
        links[8] = puppet_link(0, &who[8]);
        say_priority(links[8], WC_PRIORITY_HIGH);
        bool refused = puppet_count(links[8], WC_WIRE_PART) > 0;
        assert_true(refused == (i >= 8)); /* so often may one office do that */
        net_cut(links[8]);
        for (uint32_t k = 0; k < 8; k++) {
            if (puppet_count(links[k], WC_WIRE_PART) > 0)
                say_priority(links[k], WC_PRIORITY_LOW); /* it finds its way back */
        }
        puppet_clear();
    }
}

static void a_newcomer_is_told_about_when_its_card_is_there(void **state)
{
    (void)state;
    struct wc_wire_joined joined;
    many(4);
    say_priority(links[3], WC_PRIORITY_JOIN); /* its card was not ready */
    assert_int_equal(heard_by(3, WC_WIRE_JOINED), 0);
    make_card(&who[3], "d:1", &record);
    puppet_records(links[3], WC_REASON_BROADCAST, &record);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wc_wire_decode_joined(puppet_heard(links[i], WC_WIRE_JOINED),
                                               &joined, NULL),
                         0);
        assert_int_equal(joined.ttl, WC_WALK_HOPS_MAX);
        assert_true(wc_slice_eq(joined.card, wc_buf_slice(&record)));
    }
    assert_int_equal(puppet_count(links[3], WC_WIRE_JOINED), 0);
    puppet_clear();
    say_priority(links[3], WC_PRIORITY_JOIN); /* and now it is known */
    assert_int_equal(heard_by(3, WC_WIRE_JOINED), 3);
}

static void a_walk_goes_on_or_ends_with_a_dial(void **state)
{
    (void)state;
    struct wc_wire_joined joined;
    many(2);
    name_office(10);
    make_card(&who[10], "far:1", &record);
    net_wait(3000);
    puppet_clear();
    uint32_t dials = net.nodes[0].dials;
    wc_wire_joined(&frame, 4, wc_buf_slice(&record));
    puppet_say(links[0], &frame);
    assert_int_equal(puppet_count(links[0], WC_WIRE_JOINED), 0);
    assert_int_equal(
        wc_wire_decode_joined(puppet_heard(links[1], WC_WIRE_JOINED), &joined, NULL),
        0);
    assert_int_equal(joined.ttl, 3);
    wc_wire_joined(&frame, 0, wc_buf_slice(&record));
    puppet_say(links[0], &frame);
    assert_int_equal(puppet_count(links[1], WC_WIRE_JOINED), 1); /* not again */
    assert_int_equal(net.nodes[0].dials, dials + 1);
    assert_string_equal(net.nodes[0].dialled[net.nodes[0].last_dial % 64], "far:1");
}

static void only_a_card_walks(void **state)
{
    (void)state;
    many(2);
    row(&who[0], "alice");
    wc_wire_joined(&frame, 4, wc_buf_slice(&record));
    puppet_say(links[0], &frame);
    assert_false(net_is_open(links[0]));
    make_card(&who[1], "b:1", &record);
    record.data[record.len - 1] ^= 1; /* nobody signed this */
    wc_wire_joined(&frame, 4, wc_buf_slice(&record));
    puppet_say(links[1], &frame);
    assert_false(net_is_open(links[1]));
    assert_int_equal(net.nodes[0].notes[WC_NOTE_FRAME_REFUSED], 2);
}

static void a_shuffle_is_answered_and_too_many_are_not(void **state)
{
    (void)state;
    struct wc_wire_list told;
    uint8_t keys[2][WC_KEY_BYTES] = {{1}};
    struct wc_node_blamed blamed;
    uint32_t count = 0;
    many(4);
    greet(4);
    memcpy(keys[1], who[2].signer.key, WC_KEY_BYTES);
    say_list(links[0], WC_WIRE_SHUFFLE, keys, sizeof(keys));
    assert_int_equal(
        wc_wire_decode_list(puppet_heard(links[0], WC_WIRE_SHUFFLED), &told, NULL), 0);
    assert_int_equal(told.count, 3); /* its neighbours, but not the one who asks */
    say_list(links[1], WC_WIRE_SHUFFLED, keys, sizeof(keys)); /* nobody asked for it */
    assert_true(net_is_open(links[1]));
    while (net_is_open(links[0]) && count++ < 1000)
        say_list(links[0], WC_WIRE_SHUFFLE, keys, sizeof(keys));
    assert_in_range(count, 10, 20);
    assert_true(wc_node_blamed_at(net.nodes[0].node, 0, &blamed));
    assert_true(blamed.counts[WC_BLAME_FLOOD] > 0);
}

static void now_and_then_an_office_shuffles(void **state)
{
    (void)state;
    uint32_t count = 0;
    many(3);
    greet(3);
    for (int i = 0; i < 75; i++) { /* five minutes */
        for (int k = 0; k < 3; k++) {
            wc_wire_ping(&frame, net.now_ms, 1);
            puppet_say(links[k], &frame);
        }
        net_wait(4000);
        count += heard_by(3, WC_WIRE_SHUFFLE);
        puppet_clear();
    }
    assert_in_range(count, 3, 4); /* one each 90 seconds */
}

/* ---- the tree ---- */

static void who_sends_what_came_already_is_pruned(void **state)
{
    (void)state;
    struct wc_wire_list ids;
    uint8_t id[WC_MESSAGE_ID_BYTES];
    many(MANY);
    greet(8);
    row(&who[0], "alice");
    puppet_records(links[0], WC_REASON_BROADCAST, &record);
    puppet_records(links[1], WC_REASON_BROADCAST, &record);
    assert_int_equal(puppet_count(links[0], WC_WIRE_PRUNE), 0);
    assert_int_equal(puppet_count(links[1], WC_WIRE_PRUNE), 1);
    net_wait(50);
    puppet_clear();
    row(&who[0], "bob");
    puppet_records(links[0], WC_REASON_BROADCAST, &record);
    net_wait(50);
    assert_int_equal(puppet_count(links[1], WC_WIRE_RECORDS), 0);
    assert_int_equal(
        wc_wire_decode_list(puppet_heard(links[1], WC_WIRE_IHAVE), &ids, NULL), 0);
    id_of(&record, id);
    assert_int_equal(ids.count, 1);
    assert_memory_equal(ids.items.data, id, sizeof(id));
    assert_int_equal(puppet_count(links[0], WC_WIRE_IHAVE), 0); /* it came from there */
}

static void a_statement_that_comes_twice_prunes_nobody(void **state)
{
    (void)state;
    many(MANY);
    greet(8);
    wc_buf_reset(&record);
    assert_int_equal(
        wc_revoke_build(who[20].signer.key, &net.org.signer, net.now_ms, &record), 0);
    for (int i = 0; i < 8; i++)
        puppet_records(links[i], WC_REASON_BROADCAST, &record);
    assert_int_equal(heard_by(8, WC_WIRE_PRUNE), 0);
    assert_int_equal(heard_by(MANY, WC_WIRE_IHAVE), 0);
    /* and everybody had it at once, neighbour or not */
    assert_true(puppet_count(links[15], WC_WIRE_RECORDS) >= 1);
}

/* A newcomer gives its card to all whom it dials, and the fronts meet somewhere. */
static void a_card_that_comes_twice_prunes_nobody(void **state)
{
    (void)state;
    many(MANY);
    greet(8);
    make_card(&who[20], "new:1", &record);
    for (int i = 0; i < 8; i++)
        puppet_records(links[i], WC_REASON_BROADCAST, &record);
    assert_int_equal(heard_by(8, WC_WIRE_PRUNE), 0);
    net_wait(50);
    puppet_clear();
    row(&who[0], "alice"); /* the tree is as it was */
    puppet_records(links[0], WC_REASON_BROADCAST, &record);
    net_wait(50);
    assert_int_equal(heard_by(8, WC_WIRE_RECORDS), 7);
}

/* Who is new thinks that there are few, until it learns of all. */
static void who_learns_that_there_are_many_asks_to_be_fed(void **state)
{
    (void)state;
    many(2);
    for (uint32_t i = 2; i < MANY; i++) {
        assert_int_equal(heard_by(2, WC_WIRE_GRAFT), i + 1 > FEW);
        name_office(i);
        make_card(&who[i], "somewhere:1", &record);
        puppet_records(links[1], WC_REASON_BROADCAST, &record);
    }
    assert_int_equal(heard_by(2, WC_WIRE_GRAFT), 1);
}

static void few_offices_tell_everything_to_all(void **state)
{
    (void)state;
    many(6);
    greet(6);
    row(&who[0], "alice");
    for (int i = 0; i < 3; i++)
        puppet_records(links[i], WC_REASON_BROADCAST, &record);
    net_wait(50);
    assert_int_equal(heard_by(6, WC_WIRE_PRUNE), 0);
    assert_int_equal(heard_by(6, WC_WIRE_IHAVE), 0);
    assert_int_equal(heard_by(6, WC_WIRE_RECORDS), 5);
}

static void what_is_announced_and_does_not_come_is_asked_for(void **state)
{
    (void)state;
    struct wc_wire_list ids;
    uint8_t id[WC_MESSAGE_ID_BYTES];
    many(MANY);
    greet(8);
    row(&who[5], "alice");
    id_of(&record, id);
    say_list(links[2], WC_WIRE_IHAVE, id, sizeof(id));
    say_list(links[3], WC_WIRE_IHAVE, id, sizeof(id));
    net_wait(WC_TREE_MISSING_MS - 10);
    assert_int_equal(heard_by(MANY, WC_WIRE_GRAFT), 0);
    net_wait(20);
    assert_int_equal(
        wc_wire_decode_list(puppet_heard(links[2], WC_WIRE_GRAFT), &ids, NULL), 0);
    assert_int_equal(ids.count, 1);
    assert_memory_equal(ids.items.data, id, sizeof(id));
    assert_int_equal(puppet_count(links[3], WC_WIRE_GRAFT), 0);
    net_wait(WC_TREE_AGAIN_MS); /* it does not give it */
    assert_int_equal(puppet_count(links[3], WC_WIRE_GRAFT), 1);
    puppet_records(links[3], WC_REASON_BROADCAST, &record);
    assert_true(net_holds(0, who[5].signer.key, WC_KIND_ROW, "alice"));
    puppet_clear();
    say_list(links[4], WC_WIRE_IHAVE, id, sizeof(id)); /* it is here */
    net_wait(5000);
    assert_int_equal(heard_by(MANY, WC_WIRE_GRAFT), 0);
}

static void a_graft_is_answered_from_memory_and_from_the_disk(void **state)
{
    (void)state;
    uint8_t id[WC_MESSAGE_ID_BYTES], unknown[WC_MESSAGE_ID_BYTES] = {9};
    struct wc_wire_records in;
    many(MANY);
    greet(MANY);
    net.nodes[0].hold_commits = true;
    row(&who[0], "alice");
    id_of(&record, id);
    puppet_records(links[0], WC_REASON_BROADCAST, &record);
    net_wait(50);
    for (int when = 0; when < 2; when++) {
        say_bare(links[1], WC_WIRE_PRUNE);
        puppet_clear();
        say_list(links[1], WC_WIRE_GRAFT, id, sizeof(id));
        net_wait(5);
        assert_int_equal(
            wc_wire_decode_records(puppet_heard(links[1], WC_WIRE_RECORDS), &in, NULL),
            0);
        assert_int_equal(in.reason, WC_REASON_BROADCAST);
        assert_true(wc_slice_eq(in.records[0], wc_buf_slice(&record)));
        net.nodes[0].hold_commits = false;
        calm(12000); /* it is only in the store now */
    }
    puppet_clear();
    say_list(links[1], WC_WIRE_GRAFT, unknown, sizeof(unknown));
    net_wait(5);
    assert_int_equal(puppet_count(links[1], WC_WIRE_RECORDS), 0);
    assert_true(net_is_open(links[1]));
    row(&who[0], "bob"); /* and from now on it is eager */
    puppet_records(links[0], WC_REASON_BROADCAST, &record);
    net_wait(5);
    assert_int_equal(puppet_count(links[1], WC_WIRE_RECORDS), 1);
}

static void an_ask_is_announced_and_given_with_its_hops(void **state)
{
    (void)state;
    struct wc_event e = {.type = WC_EVENT_LOCAL_ASK};
    struct wc_wire_list ids;
    struct wc_wire_ask ask;
    uint8_t ask_id[WC_ASK_ID_BYTES] = {7}, id[WC_MESSAGE_ID_BYTES];
    many(MANY);
    greet(8);
    say_bare(links[1], WC_WIRE_PRUNE);
    e.u.local_ask.id = ask_id;
    e.u.local_ask.text = wc_slice_text("who?");
    e.u.local_ask.by = wc_slice_text("alice");
    net_step(0, &e);
    net_wait(50);
    assert_int_equal(puppet_count(links[1], WC_WIRE_ASK), 0);
    assert_int_equal(
        wc_wire_decode_list(puppet_heard(links[1], WC_WIRE_IHAVE), &ids, NULL), 0);
    memcpy(id, ids.items.data, sizeof(id));
    say_list(links[1], WC_WIRE_GRAFT, id, sizeof(id));
    assert_int_equal(
        wc_wire_decode_ask(puppet_heard(links[1], WC_WIRE_ASK), &ask, NULL), 0);
    assert_int_equal(ask.hops, 1);
}

static void who_announces_and_never_gives_is_named(void **state)
{
    (void)state;
    static uint8_t ids[WC_IDS_MAX_COUNT][WC_MESSAGE_ID_BYTES];
    struct wc_node_blamed blamed;
    uint32_t number = 0;
    many(2);
    for (int round = 0; round < 300 && net_is_open(links[0]); round++) {
        for (int i = 0; i < 4 && net_is_open(links[0]); i++) {
            for (uint32_t k = 0; k < WC_IDS_MAX_COUNT; k++)
                wc_put_u32(ids[k], ++number);
            say_list(links[0], WC_WIRE_IHAVE, ids, sizeof(ids));
        }
        net_wait(WC_TREE_MISSING_MS + WC_TREE_AGAIN_MS + 100);
        puppet_clear();
    }
    assert_false(net_is_open(links[0]));
    bool named = false;
    for (uint32_t i = 0; wc_node_blamed_at(net.nodes[0].node, i, &blamed); i++)
        named =
            named || (blamed.counts[WC_BLAME_SYNC] > 0 &&
                      memcmp(blamed.office_key, who[0].signer.key, WC_KEY_BYTES) == 0);
    assert_true(named);
}

static void a_branch_that_is_lost_is_replaced_at_once(void **state)
{
    (void)state;
    many(MANY);
    greet(8);
    for (int i = 1; i < 8; i++)
        say_bare(links[i], WC_WIRE_PRUNE);
    puppet_clear();
    net_cut(links[0]); /* the only eager one */
    assert_int_equal(heard_by(8, WC_WIRE_GRAFT), 1);
}

/* ---- lost neighbours ---- */

static void who_loses_two_neighbours_asks_the_others(void **state)
{
    (void)state;
    many(8);
    greet(8);
    net_wait(1000);
    net_cut(links[0]);
    assert_int_equal(heard_by(8, WC_WIRE_PING), 0);
    net_wait(500);
    net_cut(links[1]);
    assert_int_equal(heard_by(8, WC_WIRE_PING), 6);
    net_wait(100);
    for (int i = 2; i < 7; i++)
        puppet_hello_pong(links[i]);
    net_wait(3000);
    for (int i = 2; i < 7; i++)
        assert_true(net_is_open(links[i]));
    assert_false(net_is_open(links[7])); /* it does not answer */
}

/* ---- the way back ---- */

static struct wc_ask asked = {.text = {(const uint8_t *)"who?", 4},
                              .by = {(const uint8_t *)"zoe", 3}};

/* Six neighbours; the first one brings the ask of a far office (the tenth), whose card is
 * held. */
static void far_ask(void)
{
    struct wc_stamp_params p = {
        .seq = 1, .stamped_at_ms = net.now_ms, .expires_at_ms = net.now_ms + WC_DAY_MS};
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    many(6);
    for (uint32_t i = 6; i < MANY; i++)
        links[i] = links[1];
    name_office(10);
    make_card(&who[10], "far:1", &record);
    puppet_records(links[0], WC_REASON_BROADCAST, &record);
    memset(asked.id, 5, sizeof(asked.id));
    wc_buf_reset(&record);
    assert_int_equal(wc_ask_body(who[10].signer.key, 1, &asked, &body), 0);
    assert_int_equal(
        wc_body_sign(sig, WC_KIND_ASK, wc_buf_slice(&body), &who[10].signer), 0);
    assert_int_equal(wc_record_stamp(WC_KIND_ASK, wc_buf_slice(&body),
                                     who[10].signer.key, sig, &who[10].signer, &p,
                                     &record),
                     0);
    wc_buf_fini(&body);
    wc_wire_ask(&frame, 3, wc_buf_slice(&record));
    puppet_say(links[0], &frame);
    puppet_clear();
}

static void match(void)
{
    struct wc_event e = {.type = WC_EVENT_ASK_MATCHED};
    e.u.ask_matched.id = asked.id;
    net_step(0, &e);
    net_wait(5);
}

static const char *last_address(void)
{
    return net.nodes[0].dialled[net.nodes[0].last_dial % 64];
}

static void fail_dial(uint32_t dial)
{
    struct wc_event e = {.type = WC_EVENT_DIAL_FAILED};
    e.u.dial_failed.dial = dial;
    net_step(0, &e);
    net_wait(5);
}

static void an_answer_whose_way_is_lost_goes_to_who_asks(void **state)
{
    (void)state;
    far_ask();
    net_cut(links[0]);
    match();
    assert_int_equal(heard_by(6, WC_WIRE_ANSWERS), 0);
    assert_string_equal(last_address(), "far:1");
    links[10] = puppet_dialled(0, &who[10], net.nodes[0].last_dial);
    net_wait(5);
    assert_int_equal(puppet_count(links[10], WC_WIRE_ANSWERS), 1);
    assert_int_equal(heard_by(6, WC_WIRE_ANSWERS), 0);
}

static void an_answer_goes_to_all_when_who_asks_cannot_be_reached(void **state)
{
    (void)state;
    far_ask();
    net_cut(links[0]);
    match();
    fail_dial(net.nodes[0].last_dial);
    assert_int_equal(heard_by(6, WC_WIRE_ANSWERS), 5);
    links[6] = puppet_open(0, &who[0]); /* the office that it came from is back */
    net_wait(5);
    assert_int_equal(puppet_count(links[6], WC_WIRE_ANSWERS), 1);
}

/* Halves that were parted meet again by those that could not be reached. */
static void who_could_not_be_reached_is_tried_again_soon(void **state)
{
    (void)state;
    far_ask();
    net_cut(links[0]);
    match();
    fail_dial(net.nodes[0].last_dial);
    links[6] =
        puppet_open(0, &who[0]); /* neighbours enough, so that nobody is sought */
    puppet_hello(links[6], 0);
    net_wait(5);
    for (int i = 0; i < 3; i++) {
        uint32_t dial = net.nodes[0].last_dial;
        for (int k = 0; k < 10 && net.nodes[0].last_dial == dial; k++)
            calm(1000);
        assert_int_equal(net.nodes[0].last_dial, dial + 1);
        assert_string_equal(last_address(), "far:1");
        fail_dial(net.nodes[0].last_dial);
    }
}

/* What it had not passed on yet would be lost with it. */
static void what_was_sent_to_a_hop_that_dies_is_sent_again(void **state)
{
    (void)state;
    far_ask();
    match();
    assert_int_equal(puppet_count(links[0], WC_WIRE_ANSWERS), 1);
    calm(16000);
    net_cut(links[0]);
    net_wait(5);
    assert_string_equal(last_address(), "far:1");
    links[10] = puppet_dialled(0, &who[10], net.nodes[0].last_dial);
    net_wait(5);
    assert_int_equal(puppet_count(links[10], WC_WIRE_ANSWERS), 1);
}

static void what_was_sent_long_ago_has_arrived(void **state)
{
    (void)state;
    far_ask();
    match();
    calm(36000);
    net_cut(links[0]);
    net_wait(5);
    puppet_clear();
    links[10] = puppet_open(0, &who[10]);
    puppet_hello(links[10], 0);
    net_wait(5);
    assert_int_equal(heard_by(6, WC_WIRE_ANSWERS), 0);
    assert_int_equal(puppet_count(links[10], WC_WIRE_ANSWERS), 0);
}

/* Who would get it gave it: its own way is lost. */
static void an_answer_that_was_turned_back_goes_on_to_the_others(void **state)
{
    (void)state;
    struct wc_answer a = {0};
    struct wc_buf body = {0}, packed = {0};
    uint8_t sig[WC_SIG_BYTES];
    far_ask();
    memcpy(a.ask_id, asked.id, sizeof(a.ask_id));
    memcpy(a.office_key, who[3].signer.key, WC_KEY_BYTES);
    wc_answer_encode(&body, &a);
    assert_int_equal(wc_answer_sign(sig, wc_buf_slice(&body), &who[3].signer), 0);
    for (int i = 0; i < 2; i++) { /* and once only */
        wc_buf_reset(&packed);
        wc_wire_answer(&packed, wc_buf_slice(&body), sig);
        wc_wire_answers(&frame, 1, wc_buf_slice(&packed));
        puppet_say(links[0], &frame);
        net_wait(5);
        if (net.nodes[0].dials > 0 && i == 0)
            fail_dial(net.nodes[0].last_dial);
    }
    assert_int_equal(heard_by(6, WC_WIRE_ANSWERS), 5);
    assert_int_equal(puppet_count(links[0], WC_WIRE_ANSWERS), 0);
    wc_buf_fini(&body);
    wc_buf_fini(&packed);
}

/* ---- beats ---- */

static void say_beat(uint32_t link, uint8_t root, uint64_t number, uint32_t hops)
{
    struct wc_wire_beat beat = {.number = number, .hops = hops};
    memset(beat.root, root, sizeof(beat.root));
    wc_wire_beat(&frame, &beat);
    puppet_say(link, &frame);
}

static void the_first_beat_shows_the_way(void **state)
{
    (void)state;
    struct wc_wire_beat beat;
    many(MANY);
    greet(MANY);
    for (int i = 0; i < 8; i++)
        say_bare(links[i], WC_WIRE_PRUNE);
    puppet_clear();
    say_beat(links[2], 0, 1, 4);
    assert_int_equal(puppet_count(links[2], WC_WIRE_GRAFT), 1);
    assert_int_equal(puppet_count(links[2], WC_WIRE_BEAT), 0);
    assert_int_equal(heard_by(MANY, WC_WIRE_BEAT), WC_VIEW_ACTIVE_COUNT - 1);
    assert_int_equal(
        wc_wire_decode_beat(puppet_heard(links[3], WC_WIRE_BEAT), &beat, NULL), 0);
    assert_int_equal(beat.hops, 5);
    puppet_clear();
    say_beat(links[3], 0, 1, 4); /* the same again, another way; too soon; too great */
    say_beat(links[3], 0, 2, 4);
    say_beat(links[3], 0xff, 9, 0);
    assert_int_equal(heard_by(MANY, WC_WIRE_BEAT), 0);

    calm(16000); /* another link is faster, and the parent is hardly later */
    say_beat(links[3], 0, 3, 4);
    net_wait(2);
    say_beat(links[2], 0, 3, 4);
    net_wait(20);
    assert_int_equal(puppet_count(links[3], WC_WIRE_GRAFT), 0);
    calm(16000); /* much later: the way is another one */
    say_beat(links[3], 0, 4, 4);
    net_wait(20);
    say_beat(links[2], 0, 4, 4);
    assert_int_equal(puppet_count(links[3], WC_WIRE_GRAFT), 1);
    say_list(links[5], WC_WIRE_GRAFT, NULL, 0); /* a child says that it is one */
    net_wait(SETTLED_MS);
    assert_int_equal(puppet_count(links[2], WC_WIRE_PRUNE), 1);
    assert_int_equal(heard_by(8, WC_WIRE_PRUNE), 1);
    calm(16000); /* not later, but farther from the root: it may hang on us */
    say_beat(links[2], 0, 5, 4);
    net_wait(2);
    say_beat(links[3], 0, 5, 5);
    net_wait(20);
    assert_int_equal(puppet_count(links[2], WC_WIRE_GRAFT), 1);
}

static void who_hears_no_beat_makes_itself_the_root(void **state)
{
    (void)state;
    struct wc_wire_beat beat;
    many(MANY);
    greet(MANY);
    say_beat(links[2], 0, 1, 4);
    calm(64000);
    assert_int_equal(heard_by(MANY, WC_WIRE_BEAT), 0);
    for (int i = 0; i < 20 && heard_by(MANY, WC_WIRE_BEAT) == 0; i++) {
        net_wait(4000);
        for (uint32_t k = 0; k < 8; k++) {
            wc_wire_ping(&frame, net.now_ms, 1);
            puppet_say(links[k], &frame);
        }
    }
    assert_int_equal(
        wc_wire_decode_beat(puppet_heard(links[0], WC_WIRE_BEAT), &beat, NULL), 0);
    assert_memory_equal(beat.root, net_key(0), sizeof(beat.root));
    assert_int_equal(beat.hops, 0);
}

static void a_visitor_of_another_root_becomes_a_neighbour(void **state)
{
    (void)state;
    many(MANY);
    greet(MANY);
    say_beat(links[2], 1, 1, 4);
    puppet_clear();
    say_beat(links[10], 1, 1, 4); /* the same: all is one piece */
    assert_int_equal(puppet_count(links[10], WC_WIRE_NEIGHBOUR), 0);
    say_beat(links[11], 2, 1, 4);
    assert_int_equal(puppet_count(links[11], WC_WIRE_NEIGHBOUR), 1);
    assert_int_equal(heard_by(8, WC_WIRE_PART), 1);
}

#define test(f) cmocka_unit_test_setup_teardown(f, net_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_full_office_makes_room_for_who_has_none),
        test(nobody_pushes_others_out_for_ever),
        test(a_newcomer_is_told_about_when_its_card_is_there),
        test(a_walk_goes_on_or_ends_with_a_dial),
        test(only_a_card_walks),
        test(a_shuffle_is_answered_and_too_many_are_not),
        test(now_and_then_an_office_shuffles),
        test(who_sends_what_came_already_is_pruned),
        test(a_statement_that_comes_twice_prunes_nobody),
        test(a_card_that_comes_twice_prunes_nobody),
        test(who_learns_that_there_are_many_asks_to_be_fed),
        test(few_offices_tell_everything_to_all),
        test(what_is_announced_and_does_not_come_is_asked_for),
        test(a_graft_is_answered_from_memory_and_from_the_disk),
        test(an_ask_is_announced_and_given_with_its_hops),
        test(who_announces_and_never_gives_is_named),
        test(a_branch_that_is_lost_is_replaced_at_once),
        test(who_loses_two_neighbours_asks_the_others),
        test(an_answer_whose_way_is_lost_goes_to_who_asks),
        test(an_answer_goes_to_all_when_who_asks_cannot_be_reached),
        test(who_could_not_be_reached_is_tried_again_soon),
        test(what_was_sent_to_a_hop_that_dies_is_sent_again),
        test(what_was_sent_long_ago_has_arrived),
        test(an_answer_that_was_turned_back_goes_on_to_the_others),
        test(the_first_beat_shows_the_way),
        test(who_hears_no_beat_makes_itself_the_root),
        test(a_visitor_of_another_root_becomes_a_neighbour),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
