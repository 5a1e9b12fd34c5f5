/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's rules for records: what originates here, what comes from others, what is
 * believed and for how long. */
#include "tests/unit/net.h"

static struct wc_buf record;

/* An office that is no engine here, and its card at engine 0. */
static void know(const struct wc_identity *office, uint32_t link)
{
    make_card(office, NULL, &record);
    puppet_records(link, WC_REASON_BROADCAST, &record);
    assert_true(net_holds(0, office->signer.key, WC_KIND_CARD, "card"));
}

/* ---- the own card ---- */

static void the_own_card_is_stored_before_it_is_sent(void **state)
{
    (void)state;
    struct wc_identity peer = net.nodes[1].identity;
    net.nodes[0].hold_commits = true;
    net_start(0);
    assert_int_equal(net.nodes[0].own_puts, 1);
    assert_true((net.nodes[0].changes[0].token & WC_NODE_TOKEN) != 0);
    uint32_t link = puppet_open(0, &peer);
    puppet_hello(link, 0);
    net_wait(50);
    assert_int_equal(puppet_count(link, WC_WIRE_RECORDS), 0);
    net_commit(0, 0);
    net_wait(50);
    assert_int_equal(puppet_count(link, WC_WIRE_RECORDS), 1);
    assert_int_equal(net.nodes[0].acks, 0);
    /* who comes later gets it with the first words */
    struct wc_identity third = net.nodes[2].identity;
    link = puppet_open(0, &third);
    assert_int_equal(puppet_count(link, WC_WIRE_RECORDS), 1);
}

static void the_own_card_shows_certificate_and_addresses(void **state)
{
    (void)state;
    struct wc_node_office me, by_name;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    assert_true(wc_node_office_by_key(net.nodes[1].node, net_key(0), &me));
    assert_string_equal(me.cert.name, "office-a");
    assert_int_equal(me.address_count, 1);
    assert_string_equal(me.addresses[0], "a:1");
    assert_true(me.linked);
    assert_false(me.self);
    assert_true(
        wc_node_office_by_name(net.nodes[1].node, wc_slice_text("office-b"), &by_name));
    assert_true(by_name.self);
    assert_int_equal(net.nodes[1].notes[WC_NOTE_OFFICE_NEW], 1);
    assert_int_equal(net_stats(1).offices_count, 2);
}

static void the_own_card_is_written_again_only_when_it_changes(void **state)
{
    (void)state;
    const char *elsewhere = "a:2";
    struct wc_node_office me;
    net_start(0);
    net_stop(0);
    net_start(0);
    assert_int_equal(net.nodes[0].own_puts, 1);
    assert_int_equal(net_version(0, net_key(0), WC_KIND_CARD, "card").rev, 1);
    assert_int_equal(wc_node_set_listen(net.nodes[0].node, &elsewhere, 1), 0);
    assert_int_equal(wc_node_deadline(net.nodes[0].node), 0);
    net_run();
    assert_int_equal(net_version(0, net_key(0), WC_KIND_CARD, "card").rev, 2);
    assert_true(wc_node_office_by_key(net.nodes[0].node, net_key(0), &me));
    assert_string_equal(me.addresses[0], "a:2");
}

static void the_own_card_is_tried_again_when_the_disk_was_full(void **state)
{
    (void)state;
    net.nodes[0].hold_commits = true;
    net_start(0);
    net_commit(0, -WC_EFULL);
    assert_int_equal(net_version(0, net_key(0), WC_KIND_CARD, "card").rev, 0);
    net.nodes[0].hold_commits = false;
    net_wait(10000);
    assert_true(net_holds(0, net_key(0), WC_KIND_CARD, "card"));
}

/* The store is gone; the others remember a later card than the one written now. */
static void a_card_that_the_others_have_later_is_outdone(void **state)
{
    (void)state;
    net_start(1);
    uint32_t link = puppet_link(1, &net.nodes[0].identity);
    make_record(&(struct made){.office = &net.nodes[0].identity,
                               .kind = WC_KIND_CARD,
                               .login = "card",
                               .rev = 7,
                               .address = "old:1"},
                &record);
    puppet_records(link, WC_REASON_BROADCAST, &record);
    net_cut(link);
    net_start(0);
    assert_int_equal(net_version(0, net_key(0), WC_KIND_CARD, "card").rev, 1);
    net_link(0, 1);
    net_wait(10000);
    assert_int_equal(net_version(1, net_key(0), WC_KIND_CARD, "card").rev, 8);
    assert_true(net_same(0, 1));
}

/* ---- what originates here ---- */

static void a_put_is_neither_sent_nor_acknowledged_before_it_is_stored(void **state)
{
    (void)state;
    net_start(0);
    uint32_t link = puppet_link(0, &net.nodes[1].identity);
    net.nodes[0].hold_commits = true;
    uint64_t token = net_put(0, WC_KIND_ROW, "alice");
    net_wait(3000);
    assert_int_equal(puppet_count(link, WC_WIRE_RECORDS), 0);
    assert_int_equal(net.nodes[0].acks, 0);
    /* an edit on top of it must already exceed it */
    assert_int_equal(net_version(0, net_key(0), WC_KIND_ROW, "alice").rev, 1);
    net_commit(0, 0);
    assert_int_equal(net.nodes[0].acks, 1);
    assert_int_equal(net.nodes[0].acked_token, token);
    assert_int_equal(net.nodes[0].acked_rc, 0);
    net_wait(10);
    assert_int_equal(puppet_count(link, WC_WIRE_RECORDS), 1);
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "alice"));
}

static void a_put_that_cannot_be_stored_never_was(void **state)
{
    (void)state;
    net_start(0);
    uint32_t link = puppet_link(0, &net.nodes[1].identity);
    net.nodes[0].hold_commits = true;
    net_put(0, WC_KIND_ROW, "alice");
    net_commit(0, -WC_EFULL);
    assert_int_equal(net.nodes[0].acked_rc, -WC_EFULL);
    assert_int_equal(net_version(0, net_key(0), WC_KIND_ROW, "alice").rev, 0);
    net_wait(3000);
    assert_int_equal(puppet_count(link, WC_WIRE_RECORDS), 0);
    net_put(0, WC_KIND_ROW, "alice"); /* and there is room again */
    net_commit(0, 0);
    assert_int_equal(net.nodes[0].acked_rc, 0);
}

static void several_edits_of_one_person_wait_in_order(void **state)
{
    (void)state;
    net_start(0);
    net.nodes[0].hold_commits = true;
    net_put(0, WC_KIND_PROFILE, "alice");
    net_put(0, WC_KIND_PROFILE, "alice");
    net_put(0, WC_KIND_PROFILE, "alice");
    struct wc_version last = net_version(0, net_key(0), WC_KIND_PROFILE, "alice");
    assert_int_equal(last.rev, 3);
    net_commit(0, 0);
    assert_int_equal(net.nodes[0].acks, 3);
    struct wc_version held = net_version(0, net_key(0), WC_KIND_PROFILE, "alice");
    assert_int_equal(wc_version_cmp(&held, &last), 0);
    assert_int_equal(net_stats(0).records_count[1], 1);
}

static void the_first_of_two_edits_may_fail(void **state)
{
    (void)state;
    struct net_node *m = &net.nodes[0];
    net_start(0);
    m->hold_commits = true;
    uint64_t first = net_put(0, WC_KIND_PROFILE, "alice");
    uint64_t second = net_put(0, WC_KIND_PROFILE, "alice");
    struct wc_event e = {.type = WC_EVENT_STORED};
    e.u.stored.token = first;
    e.u.stored.rc = -WC_EIO;
    net_step(0, &e);
    assert_int_equal(m->acked_rc, -WC_EIO);
    assert_int_equal(net_version(0, net_key(0), WC_KIND_PROFILE, "alice").rev, 2);
    e = (struct wc_event){.type = WC_EVENT_STORED};
    e.u.stored.token = second;
    net_step(0, &e);
    assert_int_equal(m->acked_rc, 0);
    assert_int_equal(net_version(0, net_key(0), WC_KIND_PROFILE, "alice").rev, 2);
    net_step(0, &e); /* said twice: nothing happens */
    assert_int_equal(m->acks, 2);
}

static int refused(struct wc_event *e)
{
    uint32_t acks = net.nodes[0].acks, puts = net.nodes[0].puts;
    net_step(0, e);
    assert_int_equal(net.nodes[0].acks, acks + 1);
    assert_int_equal(net.nodes[0].puts, puts);
    assert_int_equal(net.nodes[0].acked_token, e->u.local_put.token);
    return net.nodes[0].acked_rc;
}

static void bad_puts_are_refused_at_once(void **state)
{
    (void)state;
    struct wc_identity *me = &net.nodes[0].identity, *other = &net.nodes[1].identity;
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    struct wc_event e = {.type = WC_EVENT_LOCAL_PUT};
    net_start(0);
    net_put(0, WC_KIND_ROW, "bob");
    net_run();
    make_body(&(struct made){.office = me, .kind = WC_KIND_ROW, .login = "bob"}, &body);
    assert_int_equal(wc_body_sign(sig, WC_KIND_ROW, wc_buf_slice(&body), &me->signer),
                     0);
    e.u.local_put.kind = WC_KIND_ROW;
    e.u.local_put.body = wc_buf_slice(&body);
    e.u.local_put.author_key = me->signer.key;
    e.u.local_put.author_sig = sig;
    e.u.local_put.token = 500;
    assert_int_equal(refused(&e), -WC_ESTALE);
    e.u.local_put.token = 0;
    assert_int_equal(refused(&e), -WC_EINVALID);
    e.u.local_put.token = WC_NODE_TOKEN | 1;
    assert_int_equal(refused(&e), -WC_EINVALID);
    e.u.local_put.token = 501;
    e.u.local_put.kind = WC_KIND_CARD;
    assert_int_equal(refused(&e), -WC_EDENIED);
    e.u.local_put.kind = WC_KIND_ROW;
    e.u.local_put.body.len--;
    assert_int_equal(refused(&e), -WC_ETRUNCATED);

    wc_buf_reset(&body); /* of another office */
    make_body(&(struct made){.office = other, .kind = WC_KIND_ROW, .login = "eve"},
              &body);
    e.u.local_put.body = wc_buf_slice(&body);
    assert_int_equal(refused(&e), -WC_EDENIED);

    wc_buf_reset(&body); /* signed by nobody */
    make_body(&(struct made){.office = me, .kind = WC_KIND_PROFILE, .login = "eve"},
              &body);
    e.u.local_put.kind = WC_KIND_PROFILE;
    e.u.local_put.body = wc_buf_slice(&body);
    e.u.local_put.author_key = other->signer.key;
    assert_int_equal(refused(&e), -WC_EBADSIG);

    wc_buf_reset(&body); /* the end of the own card */
    assert_int_equal(
        wc_retire_body(me->signer.key, "card", 9, WC_KIND_CARD, false, &body), 0);
    e.u.local_put.kind = WC_KIND_RETIRE;
    e.u.local_put.body = wc_buf_slice(&body);
    e.u.local_put.author_key = me->signer.key;
    assert_int_equal(refused(&e), -WC_EDENIED);
    wc_buf_fini(&body);
}

static void a_token_is_not_used_twice_at_once(void **state)
{
    (void)state;
    net_start(0);
    net.nodes[0].hold_commits = true;
    net_put(0, WC_KIND_ROW, "alice");
    net.nodes[0].next_token--;
    net_put(0, WC_KIND_ROW, "bob");
    assert_int_equal(net.nodes[0].acked_rc, -WC_EEXISTS);
}

static void a_person_signs_their_own_profile(void **state)
{
    (void)state;
    struct wc_identity *me = &net.nodes[0].identity;
    struct wc_signer alice = net.nodes[3].identity.signer;
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    struct wc_event e = {.type = WC_EVENT_LOCAL_PUT};
    net_start(0);
    make_body(&(struct made){.office = me, .kind = WC_KIND_PROFILE, .login = "alice"},
              &body);
    assert_int_equal(wc_body_sign(sig, WC_KIND_PROFILE, wc_buf_slice(&body), &alice),
                     0);
    e.u.local_put.token = 1;
    e.u.local_put.kind = WC_KIND_PROFILE;
    e.u.local_put.body = wc_buf_slice(&body);
    e.u.local_put.author_key = alice.key;
    e.u.local_put.author_sig = sig;
    net_step(0, &e);
    net_run();
    assert_int_equal(net.nodes[0].acked_rc, 0);
    assert_true(net_holds(0, net_key(0), WC_KIND_PROFILE, "alice"));
    wc_buf_fini(&body);
}

static void many_puts_in_one_commit_travel_in_few_frames(void **state)
{
    (void)state;
    char login[16];
    net_start(0);
    net.nodes[0].identity.cert.quota = 1000;
    offices_certify(&net.nodes[0].identity, &net.org);
    net_stop(0);
    net_start(0);
    uint32_t link = puppet_link(0, &net.nodes[1].identity);
    net.nodes[0].hold_commits = true;
    for (int i = 0; i < 200; i++) {
        snprintf(login, sizeof(login), "p%d", i);
        net_put(0, WC_KIND_ROW, login);
    }
    net_commit(0, 0);
    net_wait(10);
    assert_int_equal(net.nodes[0].acks, 200);
    uint32_t frames = puppet_count(link, WC_WIRE_RECORDS);
    assert_true(frames >= 1 && frames <= 3);
}

static void over_the_quota_nobody_more_is_taken(void **state)
{
    (void)state;
    net.nodes[0].identity.cert.quota = 2;
    offices_certify(&net.nodes[0].identity, &net.org);
    net_start(0);
    net.nodes[0].hold_commits = true;
    net_put(0, WC_KIND_ROW, "alice");
    net_put(0, WC_KIND_ROW, "bob");
    net_put(0, WC_KIND_ROW, "carol");
    assert_int_equal(net.nodes[0].acked_rc, -WC_ELIMIT); /* those that wait count */
    net_put(0, WC_KIND_ROW, "alice");                    /* nobody new */
    net_put(0, WC_KIND_PROFILE, "alice"); /* a row and a profile are one person */
    net_commit(0, 0);
    assert_int_equal(net.nodes[0].acked_rc, 0);
    net_put(0, WC_KIND_ROW, "carol");
    assert_int_equal(net.nodes[0].acked_rc, -WC_ELIMIT);
    uint64_t rev = net_version(0, net_key(0), WC_KIND_ROW, "bob").rev + 1;
    net_put_rev(0, WC_KIND_RETIRE, "bob", rev, WC_KIND_ROW);
    net_commit(0, 0);
    net_put(0, WC_KIND_ROW, "carol");
    net_commit(0, 0);
    assert_int_equal(net.nodes[0].acked_rc, 0);
}

static void sequence_numbers_only_grow(void **state)
{
    (void)state;
    net_start(0);
    net_put(0, WC_KIND_ROW, "alice");
    net_put(0, WC_KIND_ROW, "bob");
    net_run();
    uint64_t a = net_version(0, net_key(0), WC_KIND_ROW, "alice").seq;
    uint64_t b = net_version(0, net_key(0), WC_KIND_ROW, "bob").seq;
    assert_true(b > a && a >= OFFICES_NOW_MS);
    net_stop(0);
    net.nodes[0].skew_ms = -300000; /* and the clock goes back */
    net_start(0);
    net_put(0, WC_KIND_ROW, "carol");
    net_run();
    assert_int_equal(net_version(0, net_key(0), WC_KIND_ROW, "carol").seq, b + 1);
    net_stop(0);
    net.nodes[0].last_seq = b + 1000; /* the caller knows of more */
    net_start(0);
    net_put(0, WC_KIND_ROW, "dave");
    net_run();
    assert_int_equal(net_version(0, net_key(0), WC_KIND_ROW, "dave").seq, b + 1001);
}

static struct wc_record stored_record(int n, const uint8_t *office, uint8_t kind,
                                      const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_record r;
    wc_slot(slot, kind, office, login);
    struct net_stored *s = net_find(&net.nodes[n], slot);
    assert_non_null(s);
    assert_int_equal(wc_record_decode(wc_buf_slice(&s->bytes), &r, NULL), 0);
    return r;
}

static void a_lease_ends_with_the_certificate(void **state)
{
    (void)state;
    struct wc_identity *me = &net.nodes[0].identity;
    me->cert.not_after_ms = OFFICES_NOW_MS + 10 * WC_DAY_MS;
    offices_certify(me, &net.org);
    net_start(0);
    net_start(1);
    net_put(0, WC_KIND_ROW, "alice");
    net_put(1, WC_KIND_ROW, "alice");
    net_run();
    struct wc_record r = stored_record(0, net_key(0), WC_KIND_ROW, "alice");
    assert_int_equal(r.expires_at_ms, me->cert.not_after_ms);
    r = stored_record(1, net_key(1), WC_KIND_ROW, "alice");
    assert_int_equal(r.expires_at_ms, net.now_ms + WC_PROFILE_LEASE_MAX_MS);
    net_days(11); /* and then nothing is stamped any more */
    net_put(0, WC_KIND_ROW, "bob");
    assert_int_equal(net.nodes[0].acked_rc, -WC_EEXPIRED);
}

static void a_retirement_takes_the_slot_of_what_it_ends(void **state)
{
    (void)state;
    uint8_t slot[WC_DIGEST_BYTES], kind;
    struct wc_version v;
    net_start(0);
    net_start(1);
    net_link(0, 1);
    net_put(0, WC_KIND_PROFILE, "alice");
    net_wait(10);
    net_put_rev(0, WC_KIND_RETIRE, "alice", 2, WC_KIND_PROFILE);
    net_wait(10);
    for (int n = 0; n < 2; n++) {
        wc_slot(slot, WC_KIND_PROFILE, net_key(0), "alice");
        assert_int_equal(wc_node_slot(net.nodes[n].node, slot, &v, &kind), 0);
        assert_int_equal(kind, WC_KIND_RETIRE);
        assert_int_equal(v.rev, 2);
        assert_int_equal(net_stats(n).records_count[1], 1);
    }
    struct wc_record r = stored_record(1, net_key(0), WC_KIND_PROFILE, "alice");
    assert_int_equal(r.expires_at_ms - r.stamped_at_ms, WC_RETIRE_LEASE_MS);
    net_put(0, WC_KIND_PROFILE, "alice"); /* she is back */
    net_wait(10);
    wc_slot(slot, WC_KIND_PROFILE, net_key(0), "alice");
    assert_int_equal(wc_node_slot(net.nodes[1].node, slot, &v, &kind), 0);
    assert_int_equal(kind, WC_KIND_PROFILE);
    assert_int_equal(v.rev, 3);
}

/* ---- what comes from others ---- */

static void a_new_record_is_stored_and_passed_on_once(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity, to = net.nodes[2].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &from), b = puppet_link(0, &to);
    know(&from, a);
    net_wait(10);
    puppet_clear();
    make_record(
        &(struct made){.office = &from, .kind = WC_KIND_PROFILE, .login = "bob"},
        &record);
    uint32_t puts = net.nodes[0].puts;
    puppet_records(a, WC_REASON_BROADCAST, &record);
    puppet_records(b, WC_REASON_BROADCAST, &record); /* it comes back */
    puppet_records(a, WC_REASON_BROADCAST, &record);
    net_wait(10);
    assert_int_equal(net.nodes[0].puts, puts + 1);
    assert_int_equal(puppet_count(b, WC_WIRE_RECORDS), 1);
    assert_int_equal(puppet_count(a, WC_WIRE_RECORDS), 0);
    assert_true(net_holds(0, from.signer.key, WC_KIND_PROFILE, "bob"));
}

static void the_older_of_two_versions_is_not_taken(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    struct made m = {.office = &from, .kind = WC_KIND_ROW, .login = "bob", .rev = 5};
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    know(&from, a);
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    uint32_t puts = net.nodes[0].puts;
    m.rev = 4;
    m.seq = net.now_ms + 1000; /* rev comes first, whatever the clock says */
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_int_equal(net.nodes[0].puts, puts);
    m.rev = 5;
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_int_equal(net.nodes[0].puts, puts + 1);
    assert_true(net_is_open(a));
}

static void a_record_of_an_unknown_office_is_left_without_blame(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity, unknown = net.nodes[2].identity;
    struct wc_buf row = {0};
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    make_record(&(struct made){.office = &unknown, .kind = WC_KIND_ROW, .login = "bob"},
                &row);
    puppet_records(a, WC_REASON_BROADCAST, &row);
    assert_true(net_is_open(a));
    assert_false(net_holds(0, unknown.signer.key, WC_KIND_ROW, "bob"));
    assert_int_equal(net.nodes[0].notes[WC_NOTE_RECORD_REFUSED], 0);
    know(&unknown, a);
    puppet_records(a, WC_REASON_BROADCAST, &row);
    assert_true(net_holds(0, unknown.signer.key, WC_KIND_ROW, "bob"));
    wc_buf_fini(&row);
}

static void the_certificate_of_a_link_is_enough(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    make_record(&(struct made){.office = &from, .kind = WC_KIND_ROW, .login = "bob"},
                &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_true(net_holds(0, from.signer.key, WC_KIND_ROW, "bob"));
}

static void a_bad_signature_costs_the_neighbour_its_link(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity, to = net.nodes[2].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &from), b = puppet_link(0, &to);
    know(&from, a);
    net_wait(10);
    puppet_clear();
    make_record(&(struct made){.office = &from,
                               .kind = WC_KIND_ROW,
                               .login = "bob",
                               .stamper = &to.signer},
                &record);
    puppet_records(b, WC_REASON_BROADCAST, &record);
    net_wait(10);
    assert_false(net_is_open(b));
    assert_true(net_is_open(a));
    assert_int_equal(net.nodes[0].notes[WC_NOTE_FRAME_REFUSED], 1);
    assert_int_equal(puppet_count(a, WC_WIRE_RECORDS), 0);
    assert_false(net_holds(0, from.signer.key, WC_KIND_ROW, "bob"));
}

static void a_row_by_somebody_else_is_not_believed(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    make_record(&(struct made){.office = &from,
                               .kind = WC_KIND_ROW,
                               .login = "bob",
                               .author = &net.nodes[2].identity.signer},
                &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_false(net_holds(0, from.signer.key, WC_KIND_ROW, "bob"));
    assert_false(net_is_open(a));
}

static void a_card_needs_a_certificate_of_ours_for_its_own_key(void **state)
{
    (void)state;
    struct offices_org foreign = offices_org('x');
    struct wc_identity from = net.nodes[1].identity, other = net.nodes[2].identity;
    struct wc_identity stranger = offices_office(&foreign, 's');
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    make_card(&stranger, "s:1", &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_false(net_holds(0, stranger.signer.key, WC_KIND_CARD, "card"));
    assert_false(net_is_open(a));
    net_wait(2000); /* it is shunned for a second */
    a = puppet_link(0, &from);
    make_record(
        &(struct made){
            .office = &other, .kind = WC_KIND_CARD, .login = "card", .cert = &from},
        &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_false(net_holds(0, other.signer.key, WC_KIND_CARD, "card"));
    assert_false(net_is_open(a));
}

static void dates_out_of_bounds_are_the_signers_fault(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    struct made m = {.office = &from, .kind = WC_KIND_ROW, .login = "future"};
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    know(&from, a);
    m.stamped_at_ms = net.now_ms + WC_FUTURE_SLACK_MS + 1000;
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    m = (struct made){.office = &from,
                      .kind = WC_KIND_ROW,
                      .login = "long",
                      .lease_ms = WC_PROFILE_LEASE_MAX_MS + 1};
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_true(net_is_open(a));
    assert_false(net_holds(0, from.signer.key, WC_KIND_ROW, "future"));
    assert_false(net_holds(0, from.signer.key, WC_KIND_ROW, "long"));
    /* said once a minute, counted each time */
    assert_int_equal(net.nodes[0].notes[WC_NOTE_RECORD_REFUSED], 1);
    assert_int_equal(net_stats(0).records_refused, 2);
    /* one that is over is nobody's fault */
    m = (struct made){.office = &from,
                      .kind = WC_KIND_ROW,
                      .login = "over",
                      .stamped_at_ms = net.now_ms - 2 * WC_DAY_MS};
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_int_equal(net_stats(0).records_refused, 2);
    assert_false(net_holds(0, from.signer.key, WC_KIND_ROW, "over"));
    /* the clock that was ahead: later it is no future any more */
    m = (struct made){.office = &from, .kind = WC_KIND_ROW, .login = "soon"};
    m.stamped_at_ms = net.now_ms + WC_FUTURE_SLACK_MS - 1000;
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_true(net_holds(0, from.signer.key, WC_KIND_ROW, "soon"));
}

static void a_lease_beyond_the_certificate_waits_for_the_next_one(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    from.cert.not_after_ms = OFFICES_NOW_MS + 5 * WC_DAY_MS;
    offices_certify(&from, &net.org);
    struct made m = {.office = &from, .kind = WC_KIND_ROW, .login = "bob"};
    m.lease_ms = 20 * WC_DAY_MS;
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_true(net_is_open(a));
    assert_false(net_holds(0, from.signer.key, WC_KIND_ROW, "bob"));
    from.cert.not_after_ms = OFFICES_NOW_MS + 100 * WC_DAY_MS; /* renewed */
    from.cert.serial += 100;
    offices_certify(&from, &net.org);
    struct made card = {.office = &from, .kind = WC_KIND_CARD, .login = "card"};
    struct wc_buf bytes = {0};
    make_record(&card, &bytes);
    puppet_records(a, WC_REASON_BROADCAST, &bytes);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_true(net_holds(0, from.signer.key, WC_KIND_ROW, "bob"));
    wc_buf_fini(&bytes);
}

static void two_contents_of_one_version_are_reported(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    struct made m = {.office = &from, .kind = WC_KIND_ROW, .login = "bob", .seq = 77};
    struct wc_version one, both;
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    know(&from, a);
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    one = net_version(0, from.signer.key, WC_KIND_ROW, "bob");
    m.title = "mayor";
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    both = net_version(0, from.signer.key, WC_KIND_ROW, "bob");
    assert_int_equal(net.nodes[0].notes[WC_NOTE_TWO_CONTENTS], 1);
    assert_true(net_is_open(a));
    assert_int_equal(one.seq, both.seq);
    assert_true(wc_version_cmp(&both, &one) >= 0); /* the greater digest stays */
    /* not signed: not even reported */
    m.title = "duke";
    m.stamper = &net.nodes[2].identity.signer;
    make_record(&m, &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_TWO_CONTENTS], 1);
    assert_false(net_is_open(a));
}

static void kinds_of_the_future_are_kept_and_passed_on(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity, to = net.nodes[2].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &from), b = puppet_link(0, &to);
    make_record(&(struct made){.office = &from, .kind = 99, .login = "something"},
                &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    net_wait(10);
    assert_true(net_holds(0, from.signer.key, 99, "something"));
    assert_int_equal(puppet_count(b, WC_WIRE_RECORDS), 1);
}

static void an_office_may_not_retire_its_card(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    know(&from, a);
    make_record(&(struct made){.office = &from,
                               .kind = WC_KIND_RETIRE,
                               .login = "card",
                               .rev = 9,
                               .ends_kind = WC_KIND_CARD},
                &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_int_equal(net_version(0, from.signer.key, WC_KIND_CARD, "card").rev, 1);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_RECORD_REFUSED], 1);
}

/* Two readers that hear of five people in different order keep the same three. */
static void over_the_quota_all_keep_the_same_people(void **state)
{
    (void)state;
    static const char *const logins[] = {"ann", "ben", "cat", "dan", "eve"};
    struct wc_identity from = net.nodes[1].identity;
    from.cert.quota = 3;
    offices_certify(&from, &net.org);
    uint32_t held[2] = {0};
    for (int n = 0; n < 3; n += 2) { /* engines 0 and 2 */
        net_start(n);
        uint32_t a = puppet_link(n, &from);
        for (int i = 0; i < 5; i++) {
            const char *login = logins[n == 0 ? i : 4 - i];
            make_record(
                &(struct made){.office = &from, .kind = WC_KIND_ROW, .login = login},
                &record);
            puppet_records(a, WC_REASON_BROADCAST, &record);
        }
        assert_true(net_is_open(a));
        net_cut(a);
    }
    for (int i = 0; i < 5; i++) {
        bool first = net_holds(0, from.signer.key, WC_KIND_ROW, logins[i]);
        assert_int_equal(first, net_holds(2, from.signer.key, WC_KIND_ROW, logins[i]));
        held[0] += first;
    }
    assert_int_equal(held[0], 3);
    assert_int_equal(net_stats(0).records_count[1], 3);
}

/* Another machine that runs under our certificate: its people never push out ours. */
static void own_people_stay_whatever_a_twin_says(void **state)
{
    (void)state;
    static const char *const logins[] = {"cat", "dan", "eve", "fay", "gus", "hal"};
    net.nodes[0].identity.cert.quota = 2;
    offices_certify(&net.nodes[0].identity, &net.org);
    net_start(0);
    net_put(0, WC_KIND_ROW, "alice");
    net_put(0, WC_KIND_ROW, "bob");
    net_run();
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    for (int i = 0; i < 6; i++) {
        make_record(&(struct made){.office = &net.nodes[0].identity,
                                   .kind = WC_KIND_ROW,
                                   .login = logins[i]},
                    &record);
        puppet_records(a, WC_REASON_BROADCAST, &record);
    }
    assert_true(net_is_open(a));
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "alice"));
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "bob"));
}

static void the_higher_serial_is_the_current_office_of_a_name(void **state)
{
    (void)state;
    struct wc_identity old = net.nodes[1].identity, new = net.nodes[2].identity;
    struct wc_node_office o;
    memcpy(new.cert.name, old.cert.name, sizeof(new.cert.name));
    new.cert.serial = old.cert.serial + 50;
    offices_certify(&new, &net.org);
    net_start(0);
    uint32_t a = puppet_link(0, &net.nodes[3].identity);
    know(&old, a);
    know(&new, a);
    assert_true(
        wc_node_office_by_name(net.nodes[0].node, wc_slice_text(old.cert.name), &o));
    assert_memory_equal(o.cert.sign_key, new.signer.key, WC_KEY_BYTES);
    assert_true(wc_node_office_by_key(net.nodes[0].node, old.signer.key, &o));
    assert_true(o.superseded);
    assert_int_equal(net_stats(0).offices_count, 3); /* own, the puppet's, the new */
    /* in order of name, of one name the current first */
    char last[WC_OFFICE_NAME_MAX_BYTES + 1] = "";
    for (uint32_t i = 0; wc_node_office_at(net.nodes[0].node, i, &o); i++) {
        assert_true(strcmp(last, o.cert.name) <= 0);
        if (strcmp(last, o.cert.name) == 0)
            assert_true(o.superseded);
        memcpy(last, o.cert.name, sizeof(last));
    }
}

/* ---- revocation ---- */

static void revoke(const struct wc_identity *who, const struct wc_signer *by)
{
    wc_buf_reset(&record);
    assert_int_equal(wc_revoke_build(who->signer.key, by, net.now_ms, &record), 0);
}

static void a_revoked_office_is_gone(void **state)
{
    (void)state;
    struct wc_identity bad = net.nodes[1].identity, teller = net.nodes[2].identity;
    struct wc_buf row = {0};
    struct wc_node_office o;
    net_start(0);
    uint32_t a = puppet_link(0, &bad), b = puppet_link(0, &teller);
    know(&bad, a);
    make_record(&(struct made){.office = &bad, .kind = WC_KIND_ROW, .login = "bob"},
                &row);
    puppet_records(a, WC_REASON_BROADCAST, &row);
    assert_true(net_holds(0, bad.signer.key, WC_KIND_ROW, "bob"));
    revoke(&bad, &net.org.signer);
    puppet_records(b, WC_REASON_BROADCAST, &record);
    assert_false(net_is_open(a));
    assert_true(net_is_open(b));
    net_wait(10);
    assert_false(net_holds(0, bad.signer.key, WC_KIND_ROW, "bob"));
    assert_false(net_holds(0, bad.signer.key, WC_KIND_CARD, "card"));
    assert_int_equal(net.nodes[0].drops, 2);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_OFFICE_REVOKED], 1);
    assert_true(wc_node_office_by_key(net.nodes[0].node, bad.signer.key, &o));
    assert_true(o.revoked);
    assert_false(o.linked);
    assert_int_equal(net_stats(0).offices_count, 2);
    /* neither its link nor its records come back, nor its card, nor after a restart */
    for (int i = 0; i < 2; i++) {
        a = puppet_open(0, &bad);
        assert_false(net_is_open(a));
        make_record(
            &(struct made){
                .office = &bad, .kind = WC_KIND_ROW, .login = "bob", .rev = 2},
            &row);
        puppet_records(b, WC_REASON_BROADCAST, &row);
        make_card(&bad, NULL, &row);
        puppet_records(b, WC_REASON_BROADCAST, &row);
        assert_true(net_is_open(b));
        assert_false(net_holds(0, bad.signer.key, WC_KIND_ROW, "bob"));
        assert_false(net_holds(0, bad.signer.key, WC_KIND_CARD, "card"));
        net_stop(0);
        net_start(0);
        b = puppet_link(0, &teller);
    }
    wc_buf_fini(&row);
}

/* Whether the first frame of records that a puppet was told holds `record` alone. */
static bool heard_first(uint32_t link)
{
    struct wc_wire_records f;
    for (size_t i = 0; i < net.heard_count; i++) {
        struct wc_slice frame = wc_slice(net.heard[i].bytes, net.heard[i].len);
        if (net.heard[i].link != link || wc_wire_type(frame) != WC_WIRE_RECORDS)
            continue;
        return wc_wire_decode_records(frame, &f, NULL) == 0 && f.count == 1 &&
               wc_slice_eq(f.records[0], wc_buf_slice(&record));
    }
    return false;
}

/* Give node 0 a statement; what it said of it, 1: nothing yet. */
static int submit(const struct wc_buf *bytes)
{
    struct wc_event e = {.type = WC_EVENT_STATEMENT};
    e.u.statement.token = ++net.nodes[0].next_token;
    e.u.statement.record = wc_buf_slice(bytes);
    net_step(0, &e);
    return net.nodes[0].acked_token == e.u.statement.token ? net.nodes[0].acked_rc : 1;
}

static void a_statement_is_stored_before_it_counts(void **state)
{
    (void)state;
    struct wc_identity bad = net.nodes[1].identity;
    struct wc_node_office o;
    net_start(0);
    uint32_t a = puppet_link(0, &bad), b = puppet_link(0, &net.nodes[2].identity);
    puppet_clear();
    revoke(&bad, &net.org.signer);
    net.nodes[0].hold_commits = true;
    assert_int_equal(submit(&record), 1);
    net_run();
    assert_true(net_is_open(a));
    assert_int_equal(puppet_count(b, WC_WIRE_RECORDS), 0);
    /* a disk that is full: nothing happened */
    net_commit(0, -WC_EFULL);
    net_run();
    assert_int_equal(net.nodes[0].acked_rc, -WC_EFULL);
    assert_true(net_is_open(a));
    assert_int_equal(puppet_count(b, WC_WIRE_RECORDS), 0);
    /* once it is stored it is acknowledged, told and acted on */
    assert_int_equal(submit(&record), 1);
    net_commit(0, 0);
    net_run();
    assert_int_equal(net.nodes[0].acked_rc, 0);
    assert_false(net_is_open(a));
    assert_int_equal(puppet_count(b, WC_WIRE_RECORDS), 1);
    assert_true(wc_node_office_by_key(net.nodes[0].node, bad.signer.key, &o));
    assert_true(o.revoked);
    /* the second time it is known */
    assert_int_equal(submit(&record), -WC_EEXISTS);
    /* whom it is about was told before its link went */
    assert_int_equal(puppet_count(a, WC_WIRE_RECORDS), 1);
}

static void only_what_the_organisation_signed_is_a_statement(void **state)
{
    (void)state;
    struct wc_identity bad = net.nodes[1].identity;
    struct wc_buf row = {0};
    net_start(0);
    uint32_t puts = net.nodes[0].puts;
    revoke(&bad, &bad.signer); /* an office */
    assert_int_equal(submit(&record), -WC_EDENIED);
    struct offices_org other = offices_org('x');
    revoke(&bad, &other.signer);
    assert_int_equal(submit(&record), -WC_EDENIED);
    make_record(&(struct made){.office = &bad, .kind = WC_KIND_ROW, .login = "bob"},
                &row);
    assert_int_equal(submit(&row), -WC_EDENIED);
    /* every byte of it counts */
    revoke(&bad, &net.org.signer);
    for (size_t i = 0; i < record.len; i++) {
        record.data[i] ^= 0x10;
        assert_true(submit(&record) < 0);
        record.data[i] ^= 0x10;
    }
    wc_buf_drop(&record, 1);
    assert_true(submit(&record) < 0);
    assert_int_equal(net.nodes[0].puts, puts);
    wc_buf_fini(&row);
}

static void a_revocation_goes_before_what_is_being_gathered(void **state)
{
    (void)state;
    struct wc_identity bad = net.nodes[1].identity;
    net_start(0);
    uint32_t b = puppet_link(0, &net.nodes[2].identity);
    uint32_t c = puppet_link(0, &net.nodes[3].identity);
    puppet_clear();
    /* three edits are on their way out when it comes */
    net_put(0, WC_KIND_ROW, "alice");
    net_put(0, WC_KIND_ROW, "bob");
    net_put(0, WC_KIND_ROW, "carol");
    revoke(&bad, &net.org.signer);
    puppet_records(b, WC_REASON_BROADCAST, &record);
    net_wait(20);
    assert_int_equal(puppet_count(c, WC_WIRE_RECORDS), 2);
    assert_true(heard_first(c));
}

/* What makes a certificate another one leaves its key. */
static void a_revocation_goes_by_the_key_alone(void **state)
{
    (void)state;
    struct wc_identity bad = net.nodes[1].identity, again;
    net_start(0);
    uint32_t b = puppet_link(0, &net.nodes[2].identity);
    revoke(&bad, &net.org.signer);
    puppet_records(b, WC_REASON_BROADCAST, &record);
    again = bad; /* another serial and name, another title, later dates */
    again.cert.serial += 1000;
    memcpy(again.cert.name, "elsewhere", sizeof("elsewhere"));
    memcpy(again.cert.title, "Elsewhere", sizeof("Elsewhere"));
    again.cert.not_after_ms++;
    offices_certify(&again, &net.org);
    assert_false(net_is_open(puppet_open(0, &again)));
    /* another link key */
    again.link_secret[0] ^= 0xff;
    wc_dh_public(again.cert.link_key, again.link_secret);
    offices_certify(&again, &net.org);
    assert_false(net_is_open(puppet_open(0, &again)));
    wc_buf_reset(&record);
    make_card(&again, NULL, &record);
    puppet_records(b, WC_REASON_BROADCAST, &record);
    assert_true(net_is_open(b));
    assert_false(net_holds(0, bad.signer.key, WC_KIND_CARD, "card"));
}

static void a_revoked_office_that_was_away_is_told(void **state)
{
    (void)state;
    struct wc_identity bad = net.nodes[1].identity;
    net_start(0);
    uint32_t b = puppet_link(0, &net.nodes[2].identity);
    revoke(&bad, &net.org.signer);
    puppet_records(b, WC_REASON_BROADCAST, &record);
    net_wait(10);
    net_stop(0);
    net_start(0);
    puppet_clear();
    uint32_t a = puppet_open(0, &bad);
    assert_false(net_is_open(a));
    assert_int_equal(puppet_count(a, WC_WIRE_HELLO), 1);
    assert_true(heard_first(a));
}

static void a_revocation_never_ends(void **state)
{
    (void)state;
    struct wc_identity bad = net.nodes[1].identity;
    net_start(0);
    uint32_t b = puppet_link(0, &net.nodes[2].identity);
    revoke(&bad, &net.org.signer);
    puppet_records(b, WC_REASON_BROADCAST, &record);
    net_cut(b);
    net.now_ms += 3000 * WC_DAY_MS;
    net_wait(1000);
    uint32_t a = puppet_open(0, &bad);
    assert_false(net_is_open(a));
}

static void only_the_organisation_revokes(void **state)
{
    (void)state;
    struct wc_identity victim = net.nodes[1].identity, liar = net.nodes[2].identity;
    struct wc_node_office o;
    net_start(0);
    uint32_t a = puppet_link(0, &victim), b = puppet_link(0, &liar);
    revoke(&victim, &liar.signer);
    puppet_records(b, WC_REASON_BROADCAST, &record);
    assert_true(net_is_open(a));
    assert_false(net_is_open(b));
    assert_true(wc_node_office_by_key(net.nodes[0].node, victim.signer.key, &o));
    assert_false(o.revoked);
}

static void a_revoked_office_falls_silent_itself(void **state)
{
    (void)state;
    net_start(0);
    net_put(0, WC_KIND_ROW, "alice");
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    revoke(&net.nodes[0].identity, &net.org.signer);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_false(net_is_open(a));
    net_put(0, WC_KIND_ROW, "bob");
    assert_int_equal(net.nodes[0].acked_rc, -WC_EREVOKED);
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "alice")); /* they stay here */
    assert_int_equal(net.nodes[0].notes[WC_NOTE_SELF_REVOKED], 1);
    assert_true(net_stats(0).revoked);
    uint32_t dials = net.nodes[0].dials;
    net_wait(300000);
    assert_int_equal(net.nodes[0].dials, dials);
}

/* ---- dates ---- */

static void what_expires_is_hidden_and_dropped_a_day_later(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    make_record(
        &(struct made){
            .office = &from, .kind = WC_KIND_ROW, .login = "bob", .lease_ms = 3600000},
        &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    assert_int_equal(net_stats(0).records_count[1], 1);
    net_cut(a);
    net_wait(3600000);
    assert_int_equal(net_stats(0).records_count[1], 0);
    assert_int_equal(net.nodes[0].drops, 0);
    net_days(1);
    assert_int_equal(net.nodes[0].drops, 1);
    assert_int_equal(net_version(0, from.signer.key, WC_KIND_ROW, "bob").rev, 0);
}

static void own_records_are_stamped_again_at_half_their_lease(void **state)
{
    (void)state;
    net_start(0);
    net_put(0, WC_KIND_ROW, "alice");
    net_put_rev(0, WC_KIND_RETIRE, "bob", 1, WC_KIND_PROFILE);
    net_run();
    struct wc_record before = stored_record(0, net_key(0), WC_KIND_ROW, "alice");
    struct wc_buf old = {0};
    wc_buf_append(&old, before.bytes.data, before.bytes.len);
    assert_int_equal(wc_record_decode(wc_buf_slice(&old), &before, NULL), 0);
    net_days(89);
    assert_int_equal(net_version(0, net_key(0), WC_KIND_ROW, "alice").seq,
                     before.version.seq);
    net_days(20);
    struct wc_record after = stored_record(0, net_key(0), WC_KIND_ROW, "alice");
    assert_int_equal(after.version.rev, before.version.rev);
    assert_true(after.version.seq > before.version.seq);
    assert_true(after.expires_at_ms > before.expires_at_ms);
    assert_true(wc_slice_eq(after.body, before.body));
    assert_memory_equal(after.author_sig, before.author_sig, WC_SIG_BYTES);
    assert_int_equal(wc_record_verify(&after, &net.org.org), 0);
    /* a year on she is still there, and the retirement has ended */
    net_days(365);
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "alice"));
    assert_true(net_holds(0, net_key(0), WC_KIND_CARD, "card"));
    assert_false(net_holds(0, net_key(0), WC_KIND_PROFILE, "bob"));
    wc_buf_fini(&old);
}

/* After a restore the others may have more: nothing old is stamped before one said. */
static void old_records_are_not_stamped_before_somebody_was_asked(void **state)
{
    (void)state;
    net_start(0);
    net_put(0, WC_KIND_ROW, "alice");
    uint32_t a = puppet_link(0, &net.nodes[1].identity);
    know(&net.nodes[1].identity, a);
    net_cut(a);
    net_stop(0);
    net_days(95);
    net_start(0);
    net_wait(10 * 60000);
    struct wc_record r = stored_record(0, net_key(0), WC_KIND_ROW, "alice");
    assert_true(r.stamped_at_ms < OFFICES_NOW_MS + WC_DAY_MS);
    net_start(1);
    net_link(0, 1);
    net_days(20);
    r = stored_record(0, net_key(0), WC_KIND_ROW, "alice");
    assert_true(r.stamped_at_ms > OFFICES_NOW_MS + 90 * WC_DAY_MS);
}

static void a_clock_that_ran_ahead_and_was_set_back_costs_nothing(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &from);
    know(&from, a);
    make_record(&(struct made){.office = &from, .kind = WC_KIND_ROW, .login = "bob"},
                &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    net.nodes[0].skew_ms = 4000LL * (int64_t)WC_DAY_MS;
    net_put(0, WC_KIND_ROW, "alice"); /* nobody said that it is wrong yet */
    net_wait(120000);
    assert_int_equal(net.nodes[0].acked_rc, 0);
    assert_int_equal(net.nodes[0].drops, 0);
    net.nodes[0].skew_ms = 0;
    net_wait(120000);
    assert_true(net_holds(0, from.signer.key, WC_KIND_ROW, "bob"));
    assert_int_equal(net_stats(0).records_count[1], 2);
    assert_int_equal(net_stats(0).offices_count, 2);
    struct wc_record r = stored_record(0, net_key(0), WC_KIND_ROW, "alice");
    assert_int_equal(wc_record_dates(&r, net.now_ms), 0); /* stamped by the right one */
    assert_int_equal(net.nodes[0].drops, 0);
}

/* ---- the store ---- */

static void what_has_no_place_any_more_is_dropped_at_the_start(void **state)
{
    (void)state;
    struct wc_identity from = net.nodes[1].identity;
    net_start(0);
    uint32_t a = puppet_link(0, &from); /* known by its link alone */
    make_record(&(struct made){.office = &from, .kind = WC_KIND_ROW, .login = "bob"},
                &record);
    puppet_records(a, WC_REASON_BROADCAST, &record);
    net_put(0, WC_KIND_ROW, "alice");
    net_run();
    net_stop(0);
    net.nodes[0].drops = 0;
    net_start(0);
    assert_int_equal(net.nodes[0].drops, 1);
    assert_false(net_holds(0, from.signer.key, WC_KIND_ROW, "bob"));
    assert_true(net_holds(0, net_key(0), WC_KIND_ROW, "alice"));
}

static void a_damaged_record_is_refused_at_loading(void **state)
{
    (void)state;
    struct wc_buf bytes = {0};
    net_load(0);
    make_card(&net.nodes[1].identity, NULL, &bytes);
    bytes.data[bytes.len / 2] ^= 1;
    assert_true(wc_node_load(net.nodes[0].node, wc_slice(bytes.data, bytes.len - 1),
                             net.now_ms) < 0);
    assert_int_not_equal(
        wc_node_load(net.nodes[0].node, wc_buf_slice(&bytes), net.now_ms), -WC_ENOMEM);
    assert_int_equal(net_stats(0).offices_count, 1);
    wc_buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        net_test(the_own_card_is_stored_before_it_is_sent),
        net_test(the_own_card_shows_certificate_and_addresses),
        net_test(the_own_card_is_written_again_only_when_it_changes),
        net_test(the_own_card_is_tried_again_when_the_disk_was_full),
        net_test(a_card_that_the_others_have_later_is_outdone),
        net_test(a_put_is_neither_sent_nor_acknowledged_before_it_is_stored),
        net_test(a_put_that_cannot_be_stored_never_was),
        net_test(several_edits_of_one_person_wait_in_order),
        net_test(the_first_of_two_edits_may_fail),
        net_test(bad_puts_are_refused_at_once),
        net_test(a_token_is_not_used_twice_at_once),
        net_test(a_person_signs_their_own_profile),
        net_test(many_puts_in_one_commit_travel_in_few_frames),
        net_test(over_the_quota_nobody_more_is_taken),
        net_test(sequence_numbers_only_grow),
        net_test(a_lease_ends_with_the_certificate),
        net_test(a_retirement_takes_the_slot_of_what_it_ends),
        net_test(a_new_record_is_stored_and_passed_on_once),
        net_test(the_older_of_two_versions_is_not_taken),
        net_test(a_record_of_an_unknown_office_is_left_without_blame),
        net_test(the_certificate_of_a_link_is_enough),
        net_test(a_bad_signature_costs_the_neighbour_its_link),
        net_test(a_row_by_somebody_else_is_not_believed),
        net_test(a_card_needs_a_certificate_of_ours_for_its_own_key),
        net_test(dates_out_of_bounds_are_the_signers_fault),
        net_test(a_lease_beyond_the_certificate_waits_for_the_next_one),
        net_test(two_contents_of_one_version_are_reported),
        net_test(kinds_of_the_future_are_kept_and_passed_on),
        net_test(an_office_may_not_retire_its_card),
        net_test(over_the_quota_all_keep_the_same_people),
        net_test(own_people_stay_whatever_a_twin_says),
        net_test(the_higher_serial_is_the_current_office_of_a_name),
        net_test(a_revoked_office_is_gone),
        net_test(a_revocation_never_ends),
        net_test(only_the_organisation_revokes),
        net_test(a_statement_is_stored_before_it_counts),
        net_test(only_what_the_organisation_signed_is_a_statement),
        net_test(a_revocation_goes_before_what_is_being_gathered),
        net_test(a_revocation_goes_by_the_key_alone),
        net_test(a_revoked_office_that_was_away_is_told),
        net_test(a_revoked_office_falls_silent_itself),
        net_test(what_expires_is_hidden_and_dropped_a_day_later),
        net_test(own_records_are_stamped_again_at_half_their_lease),
        net_test(old_records_are_not_stamped_before_somebody_was_asked),
        net_test(a_clock_that_ran_ahead_and_was_set_back_costs_nothing),
        net_test(what_has_no_place_any_more_is_dropped_at_the_start),
        net_test(a_damaged_record_is_refused_at_loading),
    };
    if (wc_crypto_init() != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wc_buf_fini(&record);
    return failed;
}
