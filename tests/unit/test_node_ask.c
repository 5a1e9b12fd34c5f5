/* SPDX-License-Identifier: Apache-2.0 */
/* Asks and answers: how far they go, who is heard, and what is not passed on. */
#include "tests/unit/net.h"

static struct wc_buf record, frame;

static const uint8_t *ask_id(uint8_t n)
{
    static uint8_t id[WC_ASK_ID_BYTES];
    memset(id, n, sizeof(id));
    return id;
}

static void ask(int n, uint8_t id)
{
    struct wc_event e = {.type = WC_EVENT_LOCAL_ASK};
    e.u.local_ask.id = ask_id(id);
    e.u.local_ask.text = wc_slice_text("who can help us start a blog?");
    e.u.local_ask.by = wc_slice_text("alice");
    net_step(n, &e);
}

/* The staff was matched: `people` of them. */
static void matched(int n, uint8_t id, uint32_t people)
{
    struct wc_answer_person found[WC_ANSWER_PEOPLE_MAX] = {
        {.subject = "bob", .score_milli = 900}, {.subject = "eve", .score_milli = 100}};
    struct wc_event e = {.type = WC_EVENT_ASK_MATCHED};
    e.u.ask_matched.id = ask_id(id);
    e.u.ask_matched.total = people + 5;
    e.u.ask_matched.people_count = people;
    e.u.ask_matched.people = found;
    net_step(n, &e);
}

/* The ask of an office that is no engine. */
static void make_ask(const struct wc_identity *office, uint8_t id,
                     uint64_t stamped_at_ms, struct wc_buf *out)
{
    struct wc_ask a = {.text = wc_slice_text("who?"), .by = wc_slice_text("zoe")};
    struct wc_stamp_params p = {.seq = 1,
                                .stamped_at_ms = stamped_at_ms,
                                .expires_at_ms = stamped_at_ms + WC_DAY_MS};
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    memcpy(a.id, ask_id(id), sizeof(a.id));
    wc_buf_reset(out);
    assert_int_equal(wc_ask_body(office->signer.key, 1, &a, &body), 0);
    assert_int_equal(
        wc_body_sign(sig, WC_KIND_ASK, wc_buf_slice(&body), &office->signer), 0);
    assert_int_equal(wc_record_stamp(WC_KIND_ASK, wc_buf_slice(&body),
                                     office->signer.key, sig, &office->signer, &p, out),
                     0);
    wc_buf_fini(&body);
}

static void say_ask(uint32_t link, uint32_t hops)
{
    wc_wire_ask(&frame, hops, wc_buf_slice(&record));
    puppet_say(link, &frame);
    net_run();
}

/* An answer of an office that is no engine. */
static void say_answer(uint32_t link, const struct wc_identity *office, uint8_t id,
                       const struct wc_signer *by)
{
    struct wc_answer a = {.total = 1, .people_count = 1};
    struct wc_buf body = {0}, packed = {0};
    uint8_t sig[WC_SIG_BYTES];
    memcpy(a.ask_id, ask_id(id), sizeof(a.ask_id));
    memcpy(a.office_key, office->signer.key, WC_KEY_BYTES);
    snprintf(a.people[0].subject, sizeof(a.people[0].subject), "carol");
    wc_answer_encode(&body, &a);
    assert_int_equal(wc_answer_sign(sig, wc_buf_slice(&body), by), 0);
    wc_wire_answer(&packed, wc_buf_slice(&body), sig);
    wc_wire_answers(&frame, 1, wc_buf_slice(&packed));
    wc_buf_fini(&body);
    wc_buf_fini(&packed);
    puppet_say(link, &frame);
    net_wait(5);
}

/* ---- there and back ---- */

static void an_ask_crosses_offices_and_answers_come_back(void **state)
{
    (void)state;
    for (int n = 0; n < 3; n++)
        net_start(n);
    net_link(0, 1); /* a chain: 0 - 1 - 2 */
    net_link(1, 2);
    ask(0, 7);
    net_run();
    for (int n = 0; n < 3; n++)
        assert_int_equal(net.nodes[n].matches, 1);
    matched(2, 7, 2);
    matched(1, 7, 0); /* nobody, and yet heard */
    matched(0, 7, 1);
    net_wait(10);
    assert_int_equal(net.nodes[0].answers_count, 3);
    assert_int_equal(net.nodes[0].heard_count, 3);
    assert_int_equal(net.nodes[1].answers_count, 0);
    for (int i = 0; i < 3; i++) {
        const struct wc_answer *a = &net.nodes[0].answers[i];
        assert_memory_equal(a->ask_id, ask_id(7), WC_ASK_ID_BYTES);
        if (memcmp(a->office_key, net_key(2), WC_KEY_BYTES) != 0)
            continue;
        assert_int_equal(a->total, 7);
        assert_int_equal(a->people_count, 2);
        assert_string_equal(a->people[0].subject, "bob");
        assert_int_equal(a->people[0].score_milli, 900);
    }
    assert_int_equal(net_stats(1).asks_relayed, 1);
    assert_int_equal(net_stats(1).answers_relayed, 1);
}

static void in_a_ring_everybody_is_asked_once(void **state)
{
    (void)state;
    for (int n = 0; n < 4; n++)
        net_start(n);
    for (int n = 0; n < 4; n++)
        net_link(n, (n + 1) % 4);
    net_link(0, 2);
    ask(1, 9);
    net_run();
    for (int n = 0; n < 4; n++)
        assert_int_equal(net.nodes[n].matches, 1);
    for (int n = 0; n < 4; n++)
        matched(n, 9, 0);
    net_wait(10);
    assert_int_equal(net.nodes[1].answers_count, 4);
    assert_int_equal(net.nodes[1].heard_count, 4);
}

static void an_office_without_replication_answers_too(void **state)
{
    (void)state;
    net.nodes[1].replicate = false;
    for (int n = 0; n < 3; n++)
        net_start(n);
    net_link(0, 1);
    net_link(1, 2);
    ask(2, 3);
    net_run();
    for (int n = 0; n < 3; n++)
        matched(n, 3, 1);
    net_wait(10);
    assert_int_equal(net.nodes[2].heard_count, 3);
}

/* The link breaks and comes back between question and answer. */
static void answers_find_the_office_and_not_the_link(void **state)
{
    (void)state;
    for (int n = 0; n < 3; n++)
        net_start(n);
    uint32_t first = net_link(0, 1);
    net_link(1, 2);
    ask(0, 4);
    net_run();
    net_cut(first);
    net_link(0, 1);
    for (int n = 0; n < 3; n++)
        matched(n, 4, 1);
    net_wait(10);
    assert_int_equal(net.nodes[0].heard_count, 3);
}

/* ---- what is not answered ---- */

static void an_old_ask_is_not_answered_live(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &who);
    make_ask(&who, 1, net.now_ms - WC_ASK_LIVE_MS - 1000, &record);
    say_ask(a, 1);
    assert_int_equal(net.nodes[0].matches, 0);
    assert_true(net_is_open(a));
    make_ask(&who, 2, net.now_ms - WC_ASK_LIVE_MS + 1000, &record);
    say_ask(a, 1);
    assert_int_equal(net.nodes[0].matches, 1);
}

/* A neighbour's clock is known, so its asks are measured by it. */
static void an_ask_is_as_old_as_its_askers_clock_says(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_open(0, &who);
    puppet_hello(a, -300000);
    make_ask(&who, 1, net.now_ms - 300000, &record); /* now, by their clock */
    say_ask(a, 1);
    assert_int_equal(net.nodes[0].matches, 1);
    make_ask(&who, 2, net.now_ms - 300000 - 70000, &record);
    say_ask(a, 1);
    assert_int_equal(net.nodes[0].matches, 1);
}

static void an_ask_ends_after_so_many_hops(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    struct wc_wire_ask heard;
    net_start(0);
    uint32_t a = puppet_link(0, &who), b = puppet_link(0, &net.nodes[2].identity);
    make_ask(&who, 1, net.now_ms, &record);
    say_ask(a, WC_ASK_HOPS_MAX - 1);
    assert_int_equal(wc_wire_decode_ask(puppet_heard(b, WC_WIRE_ASK), &heard, NULL), 0);
    assert_int_equal(heard.hops, WC_ASK_HOPS_MAX);
    assert_int_equal(puppet_count(a, WC_WIRE_ASK), 0); /* not back */
    puppet_clear();
    make_ask(&who, 2, net.now_ms, &record);
    say_ask(a, WC_ASK_HOPS_MAX);
    assert_int_equal(puppet_count(b, WC_WIRE_ASK), 0);
    assert_int_equal(net.nodes[0].matches, 2); /* answered all the same */
}

static void an_ask_of_an_unknown_office_is_left(void **state)
{
    (void)state;
    struct wc_identity unknown = net.nodes[3].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    make_ask(&unknown, 1, net.now_ms, &record);
    say_ask(a, 2);
    assert_int_equal(net.nodes[0].matches, 0);
    assert_true(net_is_open(a));
}

static void a_forged_ask_costs_the_neighbour_its_link(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity, victim = net.nodes[2].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &who);
    puppet_link(0, &victim);
    memcpy(victim.signer.secret, who.signer.secret, sizeof(victim.signer.secret));
    make_ask(&victim, 1, net.now_ms, &record);
    say_ask(a, 1);
    assert_int_equal(net.nodes[0].matches, 0);
    assert_false(net_is_open(a));
}

static void another_kind_of_record_is_no_ask(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &who);
    make_card(&who, NULL, &record);
    say_ask(a, 1);
    assert_false(net_is_open(a));
}

/* ---- answers ---- */

static void a_forged_answer_costs_the_neighbour_its_link(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity, victim = net.nodes[2].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &who), b = puppet_link(0, &victim);
    ask(0, 1);
    net_run();
    say_answer(a, &victim, 1, &who.signer);
    assert_false(net_is_open(a));
    assert_int_equal(net.nodes[0].answers_count, 0);
    /* and the true one is heard all the same */
    say_answer(b, &victim, 1, &victim.signer);
    assert_int_equal(net.nodes[0].answers_count, 1);
    assert_int_equal(net.nodes[0].heard_count, 1);
}

static void an_office_is_heard_once(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &who);
    ask(0, 1);
    net_run();
    say_answer(a, &who, 1, &who.signer);
    say_answer(a, &who, 1, &who.signer);
    assert_int_equal(net.nodes[0].answers_count, 1);
    assert_int_equal(net.nodes[0].heard_count, 1);
    matched(0, 1, 1);
    matched(0, 1, 1);
    assert_int_equal(net.nodes[0].answers_count, 2);
    assert_int_equal(net.nodes[0].heard_count, 2);
    assert_true(net_is_open(a));
}

static void answers_to_nobody_are_dropped(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity, unknown = net.nodes[4].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &who);
    say_answer(a, &who, 1, &who.signer); /* to an ask that there is not */
    ask(0, 2);
    net_run();
    say_answer(a, &unknown, 2, &unknown.signer); /* of an office that we do not know */
    assert_int_equal(net.nodes[0].answers_count, 0);
    assert_true(net_is_open(a));
}

static void who_no_longer_listens_hears_nothing(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    struct wc_event e = {.type = WC_EVENT_ASK_CANCEL};
    net_start(0);
    uint32_t a = puppet_link(0, &who);
    ask(0, 1);
    net_run();
    e.u.ask_cancel.id = ask_id(1);
    net_step(0, &e);
    say_answer(a, &who, 1, &who.signer);
    matched(0, 1, 1);
    assert_int_equal(net.nodes[0].answers_count, 0);
    ask(0, 1); /* the id is not used again */
    assert_int_equal(net.nodes[0].matches, 1);
}

static void answers_stop_after_two_minutes(void **state)
{
    (void)state;
    net_start(0);
    ask(0, 1);
    net_wait(WC_ASK_PATH_MS + 1000);
    matched(0, 1, 1);
    assert_int_equal(net.nodes[0].answers_count, 0);
}

/* ---- bounds ---- */

static void searches_for_others_wait_their_turn(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &who);
    for (uint8_t i = 1; i <= 100; i++) {
        make_ask(&who, i, net.now_ms, &record);
        say_ask(a, 1);
    }
    assert_int_equal(net.nodes[0].matches, WC_ASK_MATCHES_MAX_COUNT);
    ask(0, 200); /* our own staff does not wait */
    assert_int_equal(net.nodes[0].matches, WC_ASK_MATCHES_MAX_COUNT + 1);
    for (uint8_t i = 1; i <= 100; i++) {
        matched(0, i, 0);
        assert_true(net.nodes[0].matches <= WC_ASK_MATCHES_MAX_COUNT + 1u + i);
    }
    net_wait(10);
    assert_int_equal(net.nodes[0].matches, 101);
    /* all were answered, in few frames */
    assert_true(puppet_count(a, WC_WIRE_ANSWERS) < 10);
    assert_int_equal(net_stats(0).asks_relayed, 100);
}

static void the_oldest_asks_are_forgotten_first(void **state)
{
    (void)state;
    struct wc_identity who = net.nodes[1].identity;
    uint8_t id[WC_ASK_ID_BYTES];
    net_start(0);
    uint32_t a = puppet_link(0, &who);
    for (uint32_t i = 0; i < WC_ASKS_MAX_COUNT + 5; i++) {
        struct wc_event e = {.type = WC_EVENT_LOCAL_ASK};
        memset(id, 0xee, sizeof(id));
        wc_put_u32(id, i);
        e.u.local_ask.id = id;
        e.u.local_ask.text = wc_slice_text("who?");
        e.u.local_ask.by = wc_slice_text("alice");
        net_step(0, &e);
    }
    struct wc_event e = {.type = WC_EVENT_ASK_MATCHED};
    wc_put_u32(id, 2); /* forgotten */
    e.u.ask_matched.id = id;
    net_step(0, &e);
    assert_int_equal(net.nodes[0].answers_count, 0);
    wc_put_u32(id, 7);
    net_step(0, &e);
    assert_int_equal(net.nodes[0].answers_count, 1);
    assert_true(net_is_open(a));
}

static void a_wrong_clock_asks_the_own_staff_only(void **state)
{
    (void)state;
    uint32_t links[3];
    net_start(0);
    for (int i = 0; i < 3; i++) {
        links[i] = puppet_open(0, &net.nodes[1 + i].identity);
        puppet_hello(links[i], 3600000);
    }
    assert_true(net_stats(0).clock_off);
    ask(0, 1);
    net_run();
    assert_int_equal(net.nodes[0].matches, 1);
    assert_int_equal(puppet_count(links[0], WC_WIRE_ASK), 0);
    matched(0, 1, 1);
    assert_int_equal(net.nodes[0].answers_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        net_test(an_ask_crosses_offices_and_answers_come_back),
        net_test(in_a_ring_everybody_is_asked_once),
        net_test(an_office_without_replication_answers_too),
        net_test(answers_find_the_office_and_not_the_link),
        net_test(an_old_ask_is_not_answered_live),
        net_test(an_ask_is_as_old_as_its_askers_clock_says),
        net_test(an_ask_ends_after_so_many_hops),
        net_test(an_ask_of_an_unknown_office_is_left),
        net_test(a_forged_ask_costs_the_neighbour_its_link),
        net_test(another_kind_of_record_is_no_ask),
        net_test(a_forged_answer_costs_the_neighbour_its_link),
        net_test(an_office_is_heard_once),
        net_test(answers_to_nobody_are_dropped),
        net_test(who_no_longer_listens_hears_nothing),
        net_test(answers_stop_after_two_minutes),
        net_test(searches_for_others_wait_their_turn),
        net_test(the_oldest_asks_are_forgotten_first),
        net_test(a_wrong_clock_asks_the_own_staff_only),
    };
    if (wc_crypto_init() != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wc_buf_fini(&record);
    return failed;
}
