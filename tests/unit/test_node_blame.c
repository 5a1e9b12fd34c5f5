/* SPDX-License-Identifier: Apache-2.0 */
/* What a member office that lies can do to the others, and who is named for it. */
#include "proto/node_internal.h"
#include "tests/unit/net.h"
#include "tests/unit/reconciling.h"

static struct wc_buf record, frame;
static struct wc_wire_ranges ranges;

/* Engine 0 is the honest one; hull lies, york passes on, leeds is honest and quiet. */
static struct wc_identity hull, york, leeds;

static void know(const struct wc_identity *office, uint32_t link)
{
    make_card(office, NULL, &record);
    puppet_records(link, WC_REASON_BROADCAST, &record);
}

/* Engine 0 with a link to york, who has told it of all. */
static uint32_t begin(void)
{
    hull = net.nodes[1].identity;
    york = net.nodes[2].identity;
    leeds = net.nodes[3].identity;
    net_start(0);
    uint32_t link = puppet_link(0, &york);
    know(&york, link);
    know(&hull, link);
    know(&leeds, link);
    return link;
}

static uint64_t blamed(const struct wc_identity *who, enum wc_blame reason)
{
    struct wc_node_blamed b;
    for (uint32_t i = 0; wc_node_blamed_at(net.nodes[0].node, i, &b); i++) {
        if (memcmp(b.office_key, who->signer.key, WC_KEY_BYTES) != 0)
            continue;
        assert_string_equal(b.office, who->cert.name);
        return b.counts[reason];
    }
    return 0;
}

static bool blameless(const struct wc_identity *who)
{
    uint64_t count = 0;
    for (int reason = 0; reason < WC_BLAMES_COUNT; reason++)
        count += blamed(who, (enum wc_blame)reason);
    return count == 0;
}

static void say(uint32_t link, const struct made *m)
{
    make_record(m, &record);
    puppet_records(link, WC_REASON_BROADCAST, &record);
}

static bool row(const struct wc_identity *who, const char *login)
{
    return net_version(0, who->signer.key, WC_KIND_ROW, login).rev > 0;
}

/* Nobody was hurt: an honest record is taken over an honest link at once. */
static void still_at_work(uint32_t link, const char *login)
{
    assert_true(net_is_open(link));
    say(link, &(struct made){.office = &leeds, .kind = WC_KIND_ROW, .login = login});
    assert_true(row(&leeds, login));
    assert_true(blameless(&leeds));
}

/* ---- who is to blame ---- */

static const uint8_t *ask_id(uint32_t n)
{
    static uint8_t id[WC_ASK_ID_BYTES];
    memset(id, 0x5c, sizeof(id));
    wc_put_u32(id, n);
    return id;
}

static uint64_t faults_of(int n)
{
    struct wc_node_blamed b;
    uint64_t count = 0;
    for (uint32_t i = 0; wc_node_blamed_at(net.nodes[n].node, i, &b); i++)
        for (int reason = 0; reason < WC_BLAMES_COUNT; reason++)
            count += b.counts[reason];
    return count;
}

static void ask_of(int n, uint32_t number)
{
    struct wc_event e = {.type = WC_EVENT_LOCAL_ASK};
    e.u.local_ask.id = ask_id(number);
    e.u.local_ask.text = wc_slice_text("who?");
    e.u.local_ask.by = wc_slice_text("alice");
    net_step(n, &e);
}

/* Two cannot say whose clock is wrong: each works on by its own, neither names the other,
 * and when the one is set right both have everything. */
static void work_apart(int64_t apart_ms)
{
    char login[16];
    net_start(0);
    net_start(1);
    net.nodes[1].skew_ms = apart_ms;
    uint32_t link = net_link(0, 1);
    for (uint32_t i = 0; i < 30; i++) {
        snprintf(login, sizeof(login), "p%u", i);
        net_put(0, WC_KIND_ROW, login);
        net_put(1, WC_KIND_ROW, login);
        ask_of(0, 2 * i);
        ask_of(1, 2 * i + 1);
        net_run();
        net_wait(120000);
    }
    assert_true(net_is_open(link));
    assert_int_equal(faults_of(0), 0);
    assert_int_equal(faults_of(1), 0);
    assert_true(net_stats(0).records_refused + net_stats(1).records_refused > 0);
    net.nodes[1].skew_ms = 0;
    net_wait(3 * WC_HOUR_MS);
    assert_true(net_same(0, 1));
    assert_int_equal(faults_of(0) + faults_of(1), 0);
}

static void a_clock_an_hour_ahead_is_nobodys_fault(void **state)
{
    (void)state;
    work_apart(3600000);
}

static void a_clock_an_hour_behind_is_nobodys_fault(void **state)
{
    (void)state;
    work_apart(-3600000);
}

static void a_clock_of_another_day_is_nobodys_fault(void **state)
{
    (void)state;
    work_apart(2000 * 60000);
}

/* A lie is no clock: what is dated in the future of its own office's clock, too. */
static void a_clock_excuses_no_lie(void **state)
{
    (void)state;
    uint32_t york_link = begin(), link = puppet_link(0, &hull);
    struct made m = {.office = &hull, .kind = WC_KIND_ROW, .login = "future"};
    wc_wire_ping(&frame, net.now_ms + WC_HOUR_MS, 1);
    puppet_say(link, &frame);
    m.stamped_at_ms = net.now_ms + WC_HOUR_MS;
    say(link, &m);
    assert_true(blameless(&hull));
    m.rev = 2;
    m.stamped_at_ms += WC_FUTURE_SLACK_MS + 60000;
    say(york_link, &m);
    assert_int_equal(blamed(&hull, WC_BLAME_FUTURE), 1);
    assert_true(blameless(&york));
    assert_false(row(&hull, "future"));
}

static void a_signed_lie_is_the_signers_and_not_the_messengers(void **state)
{
    (void)state;
    uint32_t link = begin();
    struct made future = {.office = &hull, .kind = WC_KIND_ROW, .login = "future"};
    struct made lease = {.office = &hull,
                         .kind = WC_KIND_ROW,
                         .login = "long",
                         .lease_ms = WC_PROFILE_LEASE_MAX_MS + 1};
    struct made card = {.office = &hull,
                        .kind = WC_KIND_RETIRE,
                        .login = "card",
                        .rev = 9,
                        .ends_kind = WC_KIND_CARD};
    future.stamped_at_ms = net.now_ms + WC_FUTURE_SLACK_MS + 60000;
    say(link, &lease);
    say(link, &card);
    for (int i = 0; i < 20; i++) { /* nobody multiplies another's fault */
        say(link, &future);
        puppet_records(link, WC_REASON_WANTED, &record);
    }
    assert_int_equal(blamed(&hull, WC_BLAME_FUTURE), 1);
    assert_int_equal(blamed(&hull, WC_BLAME_LEASE), 1);
    assert_int_equal(blamed(&hull, WC_BLAME_CONTENT), 1);
    assert_true(blameless(&york));
    assert_false(row(&hull, "future") || row(&hull, "long"));
    still_at_work(link, "ann");
}

/* What hull never signed is not hull's fault, whatever it says. */
static void nobody_makes_another_look_guilty(void **state)
{
    (void)state;
    begin();
    struct made lies[] = {
        {.office = &hull, .stamped_at_ms = net.now_ms + WC_DAY_MS},
        {.office = &hull, .lease_ms = WC_PROFILE_LEASE_MAX_MS + 1},
        {.office = &hull, .rev = 5},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        net_wait(WC_SHUN_MAX_MS);
        uint32_t link = puppet_link(0, &york);
        lies[i].kind = WC_KIND_ROW;
        lies[i].login = "forged";
        lies[i].stamper = &york.signer;
        say(link, &lies[i]);
        assert_false(net_is_open(link));
        assert_true(blameless(&hull));
        assert_int_equal(blamed(&york, WC_BLAME_FRAME), i + 1);
    }
    assert_false(row(&hull, "forged"));
    /* the dates of an ask, too */
    struct wc_ask ask = {.text = wc_slice_text("who?"), .by = wc_slice_text("zoe")};
    struct wc_stamp_params p = {.seq = 1, .stamped_at_ms = net.now_ms + WC_DAY_MS};
    struct wc_signer forger = hull.signer;
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    p.expires_at_ms = p.stamped_at_ms + 1000;
    memcpy(forger.secret, york.signer.secret, sizeof(forger.secret));
    assert_int_equal(wc_ask_body(hull.signer.key, 1, &ask, &body), 0);
    assert_int_equal(wc_body_sign(sig, WC_KIND_ASK, wc_buf_slice(&body), &forger), 0);
    wc_buf_reset(&record);
    assert_int_equal(wc_record_stamp(WC_KIND_ASK, wc_buf_slice(&body), forger.key, sig,
                                     &forger, &p, &record),
                     0);
    wc_buf_fini(&body);
    net_wait(WC_SHUN_MAX_MS);
    uint32_t link = puppet_link(0, &york);
    wc_wire_ask(&frame, 1, wc_buf_slice(&record));
    puppet_say(link, &frame);
    assert_false(net_is_open(link));
    assert_true(blameless(&hull));
}

/* The office stamped what its author did not write: it signed a lie, and whoever passes
 * it on did not look. */
static void a_stamp_on_what_nobody_wrote_blames_both(void **state)
{
    (void)state;
    uint32_t link = begin();
    say(link, &(struct made){.office = &hull,
                             .kind = WC_KIND_ROW,
                             .login = "bob",
                             .author = &leeds.signer});
    assert_false(net_is_open(link));
    assert_int_equal(blamed(&hull, WC_BLAME_CONTENT), 1);
    assert_int_equal(blamed(&york, WC_BLAME_FRAME), 1);
    assert_true(blameless(&leeds));
}

/* One record of bytes that are none, each by a neighbour whose link is closed. */
static void send_bytes(const uint8_t *bytes, size_t len)
{
    struct wc_buf packed = {0};
    uint64_t before = blamed(&york, WC_BLAME_FRAME);
    net_wait(WC_SHUN_MAX_MS);
    uint32_t link = puppet_link(0, &york);
    assert_true(net_is_open(link));
    wc_pack_bin(&packed, wc_slice(bytes, len));
    wc_wire_records(&frame, WC_REASON_BROADCAST, 1, wc_buf_slice(&packed));
    wc_buf_fini(&packed);
    puppet_say(link, &frame);
    assert_false(net_is_open(link));
    assert_int_equal(blamed(&york, WC_BLAME_FRAME), before + 1);
}

/* A record around a body, whose signatures do not matter. */
static void send_body(const struct wc_buf *body, uint8_t kind)
{
    static const uint8_t zero[WC_SIG_BYTES];
    struct wc_buf b = {0};
    wc_pack_array(&b, 7);
    wc_pack_u64(&b, 1);
    wc_pack_u64(&b, kind);
    wc_pack_bin(&b, wc_buf_slice(body));
    wc_pack_bin(&b, wc_slice(hull.signer.key, WC_KEY_BYTES));
    wc_pack_bin(&b, wc_slice(zero, sizeof(zero)));
    wc_pack_bin(&b, wc_slice(zero, 1));
    wc_pack_bin(&b, wc_slice(zero, sizeof(zero)));
    send_bytes(b.data, b.len);
    wc_buf_fini(&b);
}

static void malformed_records_cost_the_neighbour_its_link(void **state)
{
    (void)state;
    static uint8_t large[WC_RECORD_MAX_BYTES + 1];
    static const uint8_t huge_array[] = {0xdd, 0x10, 0, 0, 0};
    struct wc_buf body = {0};
    begin();
    send_bytes(large, sizeof(large));
    send_bytes(huge_array, sizeof(huge_array));
    send_bytes(large, 1);
    memset(large, 0x91, sizeof(large)); /* an array in an array in an array */
    send_bytes(large, 1000);
    wc_pack_array(&body, WC_SCAN_NODES_MAX + 1);
    for (int i = 0; i <= WC_SCAN_NODES_MAX; i++)
        wc_pack_nil(&body);
    send_body(&body, WC_KIND_ROW);
    wc_buf_reset(&body);
    wc_body_begin(&body, hull.signer.key, "bob", 1, 1);
    wc_pack_text(&body, "title");
    wc_pack_str(&body, wc_slice("\xff\xfe", 2)); /* not UTF-8 */
    send_body(&body, WC_KIND_ROW);
    wc_buf_reset(&body);
    wc_body_begin(&body, hull.signer.key, "bob", 1, 1);
    wc_pack_text(&body, "rev"); /* the same key twice */
    wc_pack_u64(&body, 2);
    send_body(&body, WC_KIND_ROW);
    send_body(&body, 0);
    send_body(&body, WC_KIND_MAX + 1);
    wc_buf_fini(&body);
    assert_true(blameless(&hull));
    assert_int_equal(net_stats(0).records_count[1], 0);
    net_wait(WC_SHUN_MAX_MS);
    still_at_work(puppet_link(0, &leeds), "ann");
}

/* Body and stamp of one record that name different subjects. */
static void body_and_stamp_agree(void **state)
{
    (void)state;
    struct wc_record a, b;
    struct wc_buf one = {0}, two = {0}, mixed = {0};
    begin();
    make_record(&(struct made){.office = &hull, .kind = WC_KIND_ROW, .login = "bob"},
                &one);
    make_record(&(struct made){.office = &hull, .kind = WC_KIND_ROW, .login = "eve"},
                &two);
    assert_int_equal(wc_record_decode(wc_buf_slice(&one), &a, NULL), 0);
    assert_int_equal(wc_record_decode(wc_buf_slice(&two), &b, NULL), 0);
    wc_pack_array(&mixed, 7);
    wc_pack_u64(&mixed, 1);
    wc_pack_u64(&mixed, WC_KIND_ROW);
    wc_pack_bin(&mixed, a.body);
    wc_pack_bin(&mixed, wc_slice(a.author_key, WC_KEY_BYTES));
    wc_pack_bin(&mixed, wc_slice(a.author_sig, WC_SIG_BYTES));
    wc_pack_bin(&mixed, b.stamp);
    wc_pack_bin(&mixed, wc_slice(b.stamp_sig, WC_SIG_BYTES));
    send_bytes(mixed.data, mixed.len);
    assert_true(blameless(&hull));
    wc_buf_fini(&one);
    wc_buf_fini(&two);
    wc_buf_fini(&mixed);
}

/* A closed link comes back after a second, and each time later. */
static void who_misbehaves_again_waits_longer(void **state)
{
    (void)state;
    uint64_t waits[12];
    uint32_t calm = begin();
    for (int i = 0; i < 12; i++) {
        uint32_t link = puppet_open(0, &hull);
        assert_true(net_is_open(link));
        wc_wire_ping(&frame, net.now_ms, 1); /* before HELLO */
        puppet_say(link, &frame);
        assert_false(net_is_open(link));
        uint64_t from_ms = net.mono_ms;
        do {
            net.links_count = link; /* use the place again */
            net_wait(500);
            wc_wire_ping(&frame, net.now_ms, 1); /* york is alive */
            puppet_say(calm, &frame);
            link = puppet_open(0, &hull);
        } while (!net_is_open(link));
        waits[i] = net.mono_ms - from_ms;
        net_cut(link);
    }
    assert_in_range(waits[0], 1000, 1500);
    assert_in_range(waits[1], 2000, 2500);
    assert_in_range(waits[2], 4000, 4500);
    for (int i = 0; i < 12; i++)
        assert_in_range(waits[i], 1000, WC_SHUN_MAX_MS + 500);
    assert_true(waits[11] >= WC_SHUN_MAX_MS);
    assert_int_equal(blamed(&hull, WC_BLAME_FRAME), 12);
    assert_true(blameless(&york));
    /* calm times count */
    net_wait(12ULL * WC_STRIKE_FORGET_MS);
    uint32_t link = puppet_open(0, &hull);
    wc_wire_ping(&frame, net.now_ms, 1);
    puppet_say(link, &frame);
    net_wait(1500);
    assert_true(net_is_open(puppet_open(0, &hull)));
}

/* However many misbehave, what is remembered of them stays small. */
static void conduct_is_remembered_of_so_many(void **state)
{
    (void)state;
    struct wc_node_blamed b;
    uint32_t count = 0;
    net_start(0);
    for (uint32_t i = 0; i < WC_CONDUCT_MAX_COUNT + 50; i++) {
        struct wc_identity who = offices_office(&net.org, 'z');
        uint8_t seed[WC_KEY_BYTES] = {0x77};
        wc_put_u32(seed + 1, i);
        wc_signer_init(&who.signer, seed);
        memcpy(who.cert.sign_key, who.signer.key, WC_KEY_BYTES);
        snprintf(who.cert.name, sizeof(who.cert.name), "office-%u", i);
        offices_certify(&who, &net.org);
        uint32_t link = puppet_open(0, &who);
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(link, &frame);
        assert_false(net_is_open(link));
        net.links_count = link;
        net_wait(1);
    }
    while (wc_node_blamed_at(net.nodes[0].node, count, &b)) {
        assert_string_not_equal(b.office, "office-0"); /* the oldest went */
        count++;
    }
    assert_int_equal(count, WC_CONDUCT_MAX_COUNT);
}

/* ---- numbers ---- */

/* The highest rev and seq: hull's own slot is stuck, and nothing else. */
static void the_highest_numbers_harm_their_office_alone(void **state)
{
    (void)state;
    uint32_t link = begin();
    say(link, &(struct made){.office = &hull,
                             .kind = WC_KIND_ROW,
                             .login = "bob",
                             .rev = WC_REV_MAX,
                             .seq = WC_REV_MAX});
    assert_true(row(&hull, "bob"));
    say(link,
        &(struct made){.office = &hull, .kind = WC_KIND_ROW, .login = "eve", .rev = 3});
    assert_true(row(&hull, "eve"));
    still_at_work(link, "ann");
}

/* A number that another holder of our keys used up does not use up ours. */
static void the_highest_own_number_is_not_followed(void **state)
{
    (void)state;
    uint32_t link = begin();
    net_put(0, WC_KIND_ROW, "bob");
    net_run();
    say(link, &(struct made){.office = &net.nodes[0].identity,
                             .kind = WC_KIND_ROW,
                             .login = "bob",
                             .rev = 1,
                             .seq = WC_REV_MAX});
    assert_int_equal(net_version(0, net_key(0), WC_KIND_ROW, "bob").seq, WC_REV_MAX);
    for (int restart = 0; restart < 2; restart++) {
        net_put(0, WC_KIND_ROW, "eve");
        net_run();
        assert_int_equal(net.nodes[0].acked_rc, 0);
        net_put(0, WC_KIND_ROW, "bob"); /* an edit outdoes it */
        net_run();
        assert_int_equal(net.nodes[0].acked_rc, 0);
        assert_true(net_version(0, net_key(0), WC_KIND_ROW, "bob").seq <
                    net.now_ms + 1000);
        net_stop(0);
        net_start(0);
    }
}

/* Stamping again cannot give a greater number: it is left, and does not spin. */
static void the_highest_number_is_not_stamped_again(void **state)
{
    (void)state;
    uint32_t link = begin();
    say(link, &(struct made){.office = &net.nodes[0].identity,
                             .kind = WC_KIND_ROW,
                             .login = "bob",
                             .seq = WC_REV_MAX,
                             .lease_ms = 20 * WC_DAY_MS});
    uint32_t puts = net.nodes[0].own_puts;
    net_days(15);
    assert_in_range(net.nodes[0].own_puts - puts, 0, 2); /* of the card */
    assert_true(row(&net.nodes[0].identity, "bob"));
}

/* ---- two contents ---- */

static void contradict(uint32_t link, const char *login, uint64_t seq)
{
    struct made m = {.office = &hull, .kind = WC_KIND_ROW, .login = login, .seq = seq};
    say(link, &m);
    m.title = "mayor";
    say(link, &m);
}

static void two_contents_leave_evidence(void **state)
{
    (void)state;
    struct wc_node_evidence e, again;
    struct wc_buf packed = {0};
    uint32_t link = begin();
    net.nodes[0].hold_commits = true; /* neither is on the disk yet */
    contradict(link, "bob", 77);
    assert_true(wc_node_evidence_at(net.nodes[0].node, 0, &e));
    assert_int_equal(net.nodes[0].notes[WC_NOTE_TWO_CONTENTS], 1);
    net.nodes[0].hold_commits = false;
    net_run();
    /* after a hundred others, from the disk */
    struct made m = {.office = &hull, .kind = WC_KIND_ROW, .login = "eve", .seq = 78};
    say(link, &m);
    for (int i = 0; i < WC_RECENT_COUNT + 4; i++) {
        char login[8];
        snprintf(login, sizeof(login), "p%d", i);
        say(link,
            &(struct made){.office = &leeds, .kind = WC_KIND_ROW, .login = login});
    }
    m.title = "duke";
    say(link, &m);
    assert_true(wc_node_evidence_at(net.nodes[0].node, 1, &again));
    assert_string_equal(again.subject, "eve");
    assert_int_equal(again.seq, 78);
    assert_int_equal(blamed(&hull, WC_BLAME_TWO_CONTENTS), 2);
    assert_true(blameless(&york));
    /* the stamps prove it to anybody, and hold no word of the content */
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            wc_stamp_verify(again.stamps[i].sig, hull.signer.key, WC_KIND_ROW,
                            wc_slice(again.stamps[i].bytes, again.stamps[i].len)),
            0);
    assert_memory_not_equal(again.stamps[0].sig, again.stamps[1].sig, WC_SIG_BYTES);
    wc_evidence_encode(&packed, &again);
    for (size_t i = 0; i + 4 <= packed.len; i++)
        assert_memory_not_equal(packed.data + i, "duke", 4);
    /* kept over a restart, and not when it was tampered with */
    net_stop(0);
    net_load(0);
    assert_int_equal(wc_node_load_evidence(net.nodes[0].node, wc_buf_slice(&packed)),
                     0);
    assert_true(wc_node_evidence_at(net.nodes[0].node, 0, &e));
    assert_string_equal(e.subject, "eve");
    packed.data[packed.len - 1] ^= 1;
    assert_int_equal(wc_node_load_evidence(net.nodes[0].node, wc_buf_slice(&packed)),
                     -WC_EBADSIG);
    assert_false(wc_node_evidence_at(net.nodes[0].node, 1, &e));
    net_begin(0);
    wc_buf_fini(&packed);
}

static bool has_text(const struct wc_buf *packed, const char *text)
{
    return memmem(packed->data, packed->len, text, strlen(text)) != NULL;
}

/* What shows that an office lied must not keep the name of somebody who was erased. */
static void an_erasure_leaves_hashes_of_evidence(void **state)
{
    (void)state;
    struct wc_node_evidence e, again;
    struct wc_buf packed = {0};
    uint32_t link = begin();
    contradict(link, "bobby", 77);
    contradict(link, "eve", 78);
    assert_true(wc_node_evidence_at(net.nodes[0].node, 0, &e));
    wc_evidence_encode(&packed, &e);
    assert_true(has_text(&packed, "bobby")); /* in both stamps, too */
    /* a retirement takes nothing away, an erasure does */
    struct made gone = {.office = &hull,
                        .kind = WC_KIND_RETIRE,
                        .ends_kind = WC_KIND_PROFILE,
                        .login = "bobby",
                        .rev = 3};
    say(link, &gone);
    assert_true(wc_node_evidence_at(net.nodes[0].node, 0, &e) && !e.erased);
    gone.rev = 4;
    gone.erase = true;
    say(link, &gone);
    assert_int_equal(net.nodes[0].notes[WC_NOTE_EVIDENCE_ERASED], 1);
    assert_true(wc_node_evidence_at(net.nodes[0].node, 0, &e) && e.erased);
    assert_true(wc_node_evidence_at(net.nodes[0].node, 1, &again) && !again.erased);
    assert_string_equal(again.subject, "eve");
    wc_buf_reset(&packed);
    wc_evidence_encode(&packed, &e);
    assert_false(has_text(&packed, "bobby"));
    assert_int_equal(blamed(&hull, WC_BLAME_TWO_CONTENTS), 2); /* it is named still */
    /* kept over a restart; the same lie again is no other one */
    net_stop(0);
    net_load(0);
    assert_int_equal(wc_node_load_evidence(net.nodes[0].node, wc_buf_slice(&packed)),
                     0);
    assert_true(wc_node_evidence_at(net.nodes[0].node, 0, &again) && again.erased);
    assert_memory_equal(e.whom, again.whom, WC_DIGEST_BYTES);
    assert_memory_equal(e.hashes, again.hashes, sizeof(e.hashes));
    assert_int_equal(wc_node_load_evidence(net.nodes[0].node, wc_buf_slice(&packed)),
                     0);
    assert_false(wc_node_evidence_at(net.nodes[0].node, 1, &again));
    net_begin(0);
    /* nor does a lie about the erasure itself bring the name back */
    link = puppet_link(0, &york);
    gone.seq = 4711;
    gone.rev = 9;
    say(link, &gone);
    gone.erase = false;
    say(link, &gone);
    assert_true(wc_node_evidence_at(net.nodes[0].node, 1, &again) && again.erased);
    wc_buf_fini(&packed);
}

static void evidence_is_kept_of_so_much(void **state)
{
    (void)state;
    struct wc_node_evidence e;
    uint32_t link = begin();
    for (int i = 0; i < 20; i++) {
        char login[8];
        snprintf(login, sizeof(login), "p%d", i);
        contradict(link, login, 100);
    }
    assert_int_equal(blamed(&hull, WC_BLAME_TWO_CONTENTS), 20);
    assert_false(wc_node_evidence_at(net.nodes[0].node, WC_EVIDENCE_OFFICE_COUNT, &e));
    /* each evidence is said, and after that once a minute */
    assert_in_range(net.nodes[0].notes[WC_NOTE_TWO_CONTENTS], 1,
                    WC_EVIDENCE_OFFICE_COUNT + 1);
    still_at_work(link, "ann");
}

/* Whichever came first, the greater digest stays. */
static void of_two_contents_all_keep_the_same(void **state)
{
    (void)state;
    static const char *const titles[] = {"clerk", "mayor", "duke", "smith", "cook"};
    struct wc_version held[2];
    for (int way = 0; way < 2; way++) {
        uint32_t link = begin();
        for (int i = 0; i < 5; i++)
            say(link, &(struct made){.office = &hull,
                                     .kind = WC_KIND_ROW,
                                     .login = "bob",
                                     .seq = 5,
                                     .stamped_at_ms = OFFICES_NOW_MS,
                                     .title = titles[way == 0 ? i : 4 - i]});
        held[way] = net_version(0, hull.signer.key, WC_KIND_ROW, "bob");
        net_fini();
        net_init();
    }
    assert_int_equal(wc_version_cmp(&held[0], &held[1]), 0);
}

/* ---- quotas ---- */

#define CROWD 30
#define QUOTA 7

struct member {
    struct wc_buf bytes;
    uint8_t slot[WC_DIGEST_BYTES];
};

static int slot_order(const void *a, const void *b)
{
    return memcmp(((const struct member *)a)->slot, ((const struct member *)b)->slot,
                  WC_DIGEST_BYTES);
}

static void make_crowd(struct member *crowd, uint8_t kind)
{
    for (int i = 0; i < CROWD; i++) {
        struct wc_record r;
        char login[8];
        snprintf(login, sizeof(login), "p%d", i);
        crowd[i].bytes = (struct wc_buf){0};
        make_record(&(struct made){.office = &hull, .kind = kind, .login = login},
                    &crowd[i].bytes);
        assert_int_equal(wc_record_decode(wc_buf_slice(&crowd[i].bytes), &r, NULL), 0);
        wc_record_slot(&r, crowd[i].slot);
    }
    qsort(crowd, CROWD, sizeof(*crowd), slot_order);
}

/* Rows and profiles of a crowd, in any order and some of them twice: the smallest slots
 * of each stay. */
static void over_the_quota_the_smallest_slots_stay_in_any_order(void **state)
{
    (void)state;
    struct member crowd[2 * CROWD];
    struct wc_rng rng;
    uint64_t seed = 20250101;
    const char *given = getenv("WHOCAN_TEST_SEED");
    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    wc_rng_init(&rng, seed);
    for (int round = 0; round < 20; round++) {
        net_fini();
        net_init();
        net.nodes[1].identity.cert.quota = QUOTA;
        offices_certify(&net.nodes[1].identity, &net.org);
        uint32_t link = begin();
        make_crowd(crowd, WC_KIND_ROW);
        make_crowd(crowd + CROWD, WC_KIND_PROFILE);
        uint32_t order[3 * CROWD];
        for (uint32_t i = 0; i < 3 * CROWD; i++)
            order[i] = i < 2 * CROWD ? i : (uint32_t)wc_rng_below(&rng, 2 * CROWD);
        for (uint32_t i = 3 * CROWD; i > 1; i--) {
            uint32_t k = (uint32_t)wc_rng_below(&rng, i), swap = order[k];
            order[k] = order[i - 1];
            order[i - 1] = swap;
        }
        for (uint32_t i = 0; i < 3 * CROWD; i++)
            puppet_records(link, WC_REASON_WANTED, &crowd[order[i]].bytes);
        for (int i = 0; i < 2 * CROWD; i++) {
            bool stays = i % CROWD < QUOTA;
            struct wc_version v;
            uint8_t kind;
            assert_int_equal(
                wc_node_slot(net.nodes[0].node, crowd[i].slot, &v, &kind) == 0, stays);
            assert_int_equal(net_find(&net.nodes[0], crowd[i].slot) != NULL, stays);
            wc_buf_fini(&crowd[i].bytes);
        }
        assert_true(blameless(&york));
    }
}

static void who_stays_over_the_quota_is_named(void **state)
{
    (void)state;
    net.nodes[1].identity.cert.quota = 2;
    offices_certify(&net.nodes[1].identity, &net.org);
    uint32_t link = begin();
    char login[8];
    for (int i = 0; i < 4; i++) {
        snprintf(login, sizeof(login), "p%d", i);
        say(link, &(struct made){.office = &hull, .kind = WC_KIND_ROW, .login = login});
    }
    assert_true(blameless(&hull)); /* perhaps somebody left, and it is on its way */
    for (int i = 4; i < 10; i++) {
        net_wait(4000);
        snprintf(login, sizeof(login), "p%d", i);
        say(link, &(struct made){.office = &hull, .kind = WC_KIND_ROW, .login = login});
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(link, &frame);
    }
    assert_true(blamed(&hull, WC_BLAME_QUOTA) > 0);
    still_at_work(link, "ann");
}

/* The news that one came overtakes the news that one left. */
static void a_quota_that_is_kept_is_nobodys_fault(void **state)
{
    (void)state;
    net.nodes[1].identity.cert.quota = 1;
    offices_certify(&net.nodes[1].identity, &net.org);
    uint32_t link = begin();
    char last[8] = "p0", login[8];
    say(link, &(struct made){.office = &hull, .kind = WC_KIND_ROW, .login = last});
    for (int i = 1; i < 20; i++) {
        snprintf(login, sizeof(login), "p%d", i);
        say(link, &(struct made){.office = &hull, .kind = WC_KIND_ROW, .login = login});
        say(link, &(struct made){.office = &hull,
                                 .kind = WC_KIND_RETIRE,
                                 .login = last,
                                 .rev = 2,
                                 .ends_kind = WC_KIND_ROW});
        puppet_records(link, WC_REASON_WANTED, &record);
        say(link, &(struct made){.office = &hull,
                                 .kind = WC_KIND_ROW,
                                 .login = login,
                                 .seq = net.now_ms + 1});
        assert_true(row(&hull, login));
        memcpy(last, login, sizeof(last));
        net_wait(5000);
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(link, &frame);
    }
    assert_true(blameless(&hull));
}

/* Retirements of nobody and records of kinds that nobody knows have a bound, too. */
static void all_kinds_count(void **state)
{
    (void)state;
    net.nodes[1].identity.cert.quota = 0;
    offices_certify(&net.nodes[1].identity, &net.org);
    uint32_t link = begin();
    char login[16];
    for (uint32_t i = 0; i < WC_REST_SPARE_COUNT + 200; i++) {
        snprintf(login, sizeof(login), "p%u", i);
        say(link, &(struct made){.office = &hull,
                                 .kind = i % 2 == 0 ? WC_KIND_RETIRE : 99,
                                 .login = login,
                                 .ends_kind = WC_KIND_PROFILE});
    }
    assert_int_equal(net_stats(0).records_count[1], WC_REST_SPARE_COUNT);
    still_at_work(link, "ann");
}

/* Records that end within a moment are kept for a day; but no more of them than an
 * office may have. */
static void what_ends_at_once_fills_nothing(void **state)
{
    (void)state;
    net.nodes[1].identity.cert.quota = 1;
    offices_certify(&net.nodes[1].identity, &net.org);
    uint32_t link = begin();
    uint32_t most = 2 + WC_REST_PER_PERSON + WC_REST_SPARE_COUNT + 1;
    char login[16];
    for (uint32_t i = 0; i < most + 300; i++) {
        snprintf(login, sizeof(login), "p%u", i);
        say(link,
            &(struct made){
                .office = &hull, .kind = WC_KIND_ROW, .login = login, .lease_ms = 10});
        net_wait(15);
    }
    assert_int_equal(net_stats(0).records_count[1], 0);
    assert_in_range(net.nodes[0].stored_count, most - 10, most + 10);
    still_at_work(link, "ann");
}

/* ---- too much ---- */

/* A row that changes without end is taken so often, and then now and then. */
static void changes_without_end_are_taken_now_and_then(void **state)
{
    (void)state;
    net.nodes[1].identity.cert.quota = 1;
    offices_certify(&net.nodes[1].identity, &net.org);
    uint32_t link = begin();
    uint64_t brim = 2 * (2 + WC_REST_PER_PERSON + WC_REST_SPARE_COUNT);
    struct made m = {.office = &hull, .kind = WC_KIND_ROW, .login = "bob"};
    for (m.rev = 1; m.rev <= brim + 500; m.rev++)
        say(link, &m);
    uint64_t taken = net_version(0, hull.signer.key, WC_KIND_ROW, "bob").rev;
    assert_in_range(taken, brim - 5, brim + 5);
    assert_in_range(blamed(&hull, WC_BLAME_CHANGES), 1, 2);
    assert_true(blameless(&york));
    still_at_work(link, "ann");
    net_wait(60000); /* a minute later: some, and the latest */
    link = puppet_link(0, &york);
    say(link, &m);
    assert_int_equal(net_version(0, hull.signer.key, WC_KIND_ROW, "bob").rev, m.rev);
}

static void say_ask(uint32_t link, const struct wc_identity *who, uint32_t number,
                    uint64_t stamped_at_ms)
{
    struct wc_ask a = {.text = wc_slice_text("who?"), .by = wc_slice_text("zoe")};
    struct wc_stamp_params p = {.seq = 1,
                                .stamped_at_ms = stamped_at_ms,
                                .expires_at_ms = stamped_at_ms + 3600000};
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    memcpy(a.id, ask_id(number), sizeof(a.id));
    wc_buf_reset(&record);
    assert_int_equal(wc_ask_body(who->signer.key, 1, &a, &body), 0);
    assert_int_equal(wc_body_sign(sig, WC_KIND_ASK, wc_buf_slice(&body), &who->signer),
                     0);
    assert_int_equal(wc_record_stamp(WC_KIND_ASK, wc_buf_slice(&body), who->signer.key,
                                     sig, &who->signer, &p, &record),
                     0);
    wc_buf_fini(&body);
    wc_wire_ask(&frame, 1, wc_buf_slice(&record));
    puppet_say(link, &frame);
}

static void asks_without_end_leave_room_for_others(void **state)
{
    (void)state;
    uint32_t link = begin();
    say_ask(link, &leeds, 999999, net.now_ms);
    for (uint32_t i = 0; i < 3 * WC_ASKS_MAX_COUNT; i++)
        say_ask(link, &hull, i, net.now_ms);
    assert_int_equal(net_stats(0).asks_relayed, 1 + WC_ASKS_BRIM_COUNT);
    assert_int_equal(blamed(&hull, WC_BLAME_ASKS), 1);
    assert_true(blameless(&york) && blameless(&leeds));
    /* the ask of before is still known: it is not asked again */
    say_ask(link, &leeds, 999999, net.now_ms);
    assert_int_equal(net_stats(0).asks_relayed, 1 + WC_ASKS_BRIM_COUNT);
    say_ask(link, &leeds, 999998, net.now_ms);
    assert_int_equal(net_stats(0).asks_relayed, 2 + WC_ASKS_BRIM_COUNT);
    say_ask(link, &hull, 888888, net.now_ms + WC_DAY_MS); /* dated in the future */
    assert_true(net_is_open(link));
}

static void an_ask_of_the_future_names_its_office(void **state)
{
    (void)state;
    uint32_t link = begin();
    say_ask(link, &hull, 1, net.now_ms + WC_DAY_MS);
    assert_int_equal(blamed(&hull, WC_BLAME_FUTURE), 1);
    assert_int_equal(net_stats(0).asks_relayed, 0);
    assert_true(blameless(&york));
}

/* ---- answers ---- */

static void say_answer(uint32_t link, const struct wc_identity *who,
                       const struct wc_answer *answer)
{
    struct wc_answer a = *answer;
    struct wc_buf body = {0}, packed = {0};
    uint8_t sig[WC_SIG_BYTES];
    memcpy(a.office_key, who->signer.key, WC_KEY_BYTES);
    wc_answer_encode(&body, &a);
    assert_int_equal(wc_answer_sign(sig, wc_buf_slice(&body), &who->signer), 0);
    wc_wire_answer(&packed, wc_buf_slice(&body), sig);
    wc_wire_answers(&frame, 1, wc_buf_slice(&packed));
    wc_buf_fini(&body);
    wc_buf_fini(&packed);
    puppet_say(link, &frame);
}

static void ask(uint32_t number)
{
    ask_of(0, number);
}

static void answers_that_cannot_be_are_the_signers_fault(void **state)
{
    (void)state;
    uint32_t link = begin();
    struct wc_answer huge = {.total = UINT32_MAX}, fewer = {.total = 0};
    struct wc_answer twice = {.total = 2, .people_count = 2};
    struct wc_answer best = {.total = 1, .people_count = 1};
    struct wc_answer fine = {.total = 1, .people_count = 1};
    fewer.people_count = 1;
    snprintf(fewer.people[0].subject, sizeof(fewer.people[0].subject), "bob");
    snprintf(twice.people[0].subject, sizeof(twice.people[0].subject), "bob");
    snprintf(twice.people[1].subject, sizeof(twice.people[1].subject), "bob");
    snprintf(best.people[0].subject, sizeof(best.people[0].subject), "bob");
    best.people[0].score_milli = WC_SCORE_MAX_MILLI + 1;
    snprintf(fine.people[0].subject, sizeof(fine.people[0].subject), "ann");
    const struct wc_answer *lies[] = {&huge, &fewer, &twice, &best};
    for (uint32_t i = 0; i < 4; i++) {
        struct wc_answer lie = *lies[i];
        ask(i);
        memcpy(lie.ask_id, ask_id(i), WC_ASK_ID_BYTES);
        say_answer(link, &hull, &lie);
        assert_int_equal(blamed(&hull, WC_BLAME_CONTENT), i + 1);
        assert_int_equal(net.nodes[0].answers_count, i);
        memcpy(fine.ask_id, ask_id(i), WC_ASK_ID_BYTES);
        say_answer(link, &leeds, &fine);
        assert_int_equal(net.nodes[0].answers_count, i + 1);
    }
    assert_true(blameless(&york));
    still_at_work(link, "ann");
}

/* Somebody of another office cannot be named: a subject is a login, never a handle. */
static void an_answer_names_nobody_elses_people(void **state)
{
    (void)state;
    uint32_t link = begin();
    struct wc_answer a = {.total = 1, .people_count = 1};
    snprintf(a.people[0].subject, sizeof(a.people[0].subject), "bob@leeds");
    ask(1);
    memcpy(a.ask_id, ask_id(1), WC_ASK_ID_BYTES);
    say_answer(link, &hull, &a);
    assert_int_equal(net.nodes[0].answers_count, 0);
    assert_true(blameless(&leeds));
}

static void answers_to_nobody_have_an_end(void **state)
{
    (void)state;
    struct wc_answer a = {.total = 0};
    struct wc_buf body = {0}, packed = {0};
    uint8_t sig[WC_SIG_BYTES] = {0};
    begin();
    uint32_t link = puppet_link(0, &hull), frames = 0;
    memcpy(a.ask_id, ask_id(7), WC_ASK_ID_BYTES);
    wc_answer_encode(&body, &a);
    for (int i = 0; i < WC_WIRE_ANSWERS_MAX_COUNT; i++)
        wc_wire_answer(&packed, wc_buf_slice(&body), sig);
    while (net_is_open(link) && frames < 5000) {
        wc_wire_answers(&frame, WC_WIRE_ANSWERS_MAX_COUNT, wc_buf_slice(&packed));
        puppet_say(link, &frame);
        frames++;
    }
    assert_in_range(frames, 100, 4999); /* an honest neighbour's late ones are borne */
    assert_int_equal(blamed(&hull, WC_BLAME_FLOOD), 1);
    wc_buf_fini(&body);
    wc_buf_fini(&packed);
}

/* ---- useless records ---- */

static void useless_records_have_an_end(void **state)
{
    (void)state;
    struct wc_buf packed = {0};
    char login[16];
    begin();
    uint32_t link = puppet_link(0, &hull), frames = 0;
    for (uint32_t i = 0; i < 150; i++) { /* over long ago */
        snprintf(login, sizeof(login), "p%u", i);
        make_record(&(struct made){.office = &leeds,
                                   .kind = WC_KIND_ROW,
                                   .login = login,
                                   .stamped_at_ms = net.now_ms - 3 * WC_DAY_MS},
                    &record);
        wc_pack_bin(&packed, wc_buf_slice(&record));
    }
    while (net_is_open(link) && frames < 5000) {
        wc_wire_records(&frame, WC_REASON_BROADCAST, 150, wc_buf_slice(&packed));
        puppet_say(link, &frame);
        frames++;
    }
    assert_in_range(frames, 50, 4999);
    assert_int_equal(blamed(&hull, WC_BLAME_FLOOD), 1);
    assert_true(blameless(&leeds));
    /* unasked, as if they were the answer to a WANT, from the start of another link */
    net_wait(2000);
    link = puppet_link(0, &hull);
    for (frames = 0; net_is_open(link) && frames < 5000; frames++) {
        wc_wire_records(&frame, WC_REASON_WANTED, 150, wc_buf_slice(&packed));
        puppet_say(link, &frame);
    }
    assert_in_range(frames, 1, 50);
    assert_int_equal(net_stats(0).records_count[1], 0);
    /* no session is led with it for a while; but it never said that it has what it has not */
    net_wait(10000);
    link = puppet_link(0, &hull);
    for (int i = 0; i < 40; i++) { /* until it would be its turn */
        net_wait(1000);
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(link, &frame);
    }
    assert_true(net_is_open(link));
    const struct wc_node *node = net.nodes[0].node;
    uint32_t office = wc_node_office_find(node, hull.signer.key);
    assert_true(
        wc_node_wasteful(node, wc_node_peer(node, node->offices[office]->link)));
    assert_int_equal(blamed(&hull, WC_BLAME_SYNC), 0);
    assert_int_equal(blamed(&hull, WC_BLAME_FLOOD), 2);
    wc_buf_fini(&packed);
}

/* ---- reconciliation ---- */

/* The puppet's part: nothing differs in set 0, and in set 1 it lists what it is told to
 * and gives nothing. Returns how many items were wanted. */
static uint64_t list_and_give_nothing(uint32_t link, struct wc_rng *rng)
{
    static uint8_t items[WC_ITEM_LEAF_MAX * WC_ITEM_BYTES];
    static uint8_t ids[WC_ITEM_LEAF_MAX * WC_SHORT_ID_BYTES];
    static struct wc_wire_ranges out, want;
    uint64_t wanted = 0;
    struct net_frame *heard = net.heard;
    size_t count = net.heard_count;
    net.heard = NULL;
    net.heard_count = net.heard_cap = 0;
    for (size_t i = 0; i < count; i++) {
        struct wc_slice in = wc_slice(heard[i].bytes, heard[i].len);
        if (heard[i].link == link && wc_wire_type(in) == WC_WIRE_SYNC &&
            wc_wire_decode_sync(in, &ranges, NULL) == 0) {
            for (size_t k = 0; k < sizeof(items); k++)
                items[k] = (uint8_t)wc_rng_u64(rng);
            for (size_t k = 0; k < WC_ITEM_LEAF_MAX; k++)
                items[k * WC_ITEM_BYTES] = (uint8_t)(k * 8); /* in order */
            out = (struct wc_wire_ranges){.set = ranges.set, .session = ranges.session};
            if (ranges.set == WC_SET_ALL)
                reconciling_more(&out, &ranges, 0);
            else if (ranges.set == 1)
                reconciling_list(&out, &ranges, 0, items, WC_ITEM_LEAF_MAX, ids);
            wc_wire_diff(&frame, &out);
            puppet_say(link, &frame);
        } else if (heard[i].link == link && wc_wire_type(in) == WC_WIRE_WANT &&
                   wc_wire_decode_want(in, &want, NULL) == 0) {
            wanted += reconciling_wanted(&want);
            wc_wire_records(&frame, WC_REASON_LAST, 0, wc_slice(NULL, 0));
            puppet_say(link, &frame);
        }
        free(heard[i].bytes);
    }
    free(heard);
    return wanted;
}

static void who_lists_and_gives_nothing_is_asked_ever_less(void **state)
{
    (void)state;
    struct wc_rng rng;
    uint64_t wanted = 0, first_minute = 0;
    wc_rng_init(&rng, 5);
    begin();
    uint32_t link = puppet_link(0, &hull);
    for (int second = 0; second < 600; second++) {
        for (int i = 0; i < 10; i++) {
            net_wait(100);
            wanted += list_and_give_nothing(link, &rng);
        }
        if (second == 59)
            first_minute = wanted;
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(link, &frame);
    }
    assert_true(net_is_open(link));
    assert_true(first_minute > 0);
    assert_in_range(wanted, 1, 100 * WC_ITEM_LEAF_MAX); /* rounds of half a minute */
}

/* One that answers each question with as many items as fit, and gives none of them. */
static void who_lists_much_and_gives_nothing_is_named(void **state)
{
    (void)state;
    static struct wc_wire_ranges out, want;
    static uint8_t items[WC_SYNC_RANGES_MAX_COUNT][WC_ITEM_LEAF_MAX * WC_ITEM_BYTES];
    static uint8_t ids[WC_SYNC_RANGES_MAX_COUNT][WC_ITEM_LEAF_MAX * WC_SHORT_ID_BYTES];
    uint64_t wanted = 0, serial = 0;
    begin();
    uint32_t link = puppet_link(0, &hull);
    for (uint64_t end = net.mono_ms + 3600000; net.mono_ms < end;) {
        struct net_frame *heard = net.heard;
        size_t count = net.heard_count;
        net.heard = NULL;
        net.heard_count = net.heard_cap = 0;
        for (size_t i = 0; i < count; i++) {
            struct wc_slice in = wc_slice(heard[i].bytes, heard[i].len);
            int type = heard[i].link == link ? wc_wire_type(in) : 0;
            if (type == WC_WIRE_SYNC && wc_wire_decode_sync(in, &ranges, NULL) == 0) {
                out = (struct wc_wire_ranges){.set = ranges.set,
                                              .session = ranges.session};
                for (uint32_t k = 0; k < ranges.count && ranges.set != 0; k++) {
                    const struct wc_wire_range *r = &ranges.ranges[k];
                    if (r->bits < 16 && k < 4) { /* it goes on below */
                        reconciling_more(&out, &ranges, k);
                        continue;
                    }
                    for (uint32_t n = 0; n < WC_ITEM_LEAF_MAX; n++) {
                        uint8_t *item = items[k] + n * WC_ITEM_BYTES;
                        memcpy(item, r->prefix, WC_ITEM_BYTES);
                        wc_put_u64(item + 8, ++serial);
                    }
                    reconciling_list(&out, &ranges, k, items[k], WC_ITEM_LEAF_MAX,
                                     ids[k]);
                }
                wc_wire_diff(&frame, &out);
                puppet_say(link, &frame);
            } else if (type == WC_WIRE_WANT &&
                       wc_wire_decode_want(in, &want, NULL) == 0) {
                wanted += reconciling_wanted(&want);
                wc_wire_records(&frame, WC_REASON_LAST, 0, wc_slice(NULL, 0));
                puppet_say(link, &frame);
            }
            free(heard[i].bytes);
        }
        free(heard);
        if (net.heard_count == 0)
            net_wait(1000);
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(link, &frame);
    }
    assert_true(net_is_open(link));
    print_message("wanted %llu items in an hour\n", (unsigned long long)wanted);
    /* what fills the bucket once, and what leaks in an hour */
    assert_in_range(
        wanted, 1000,
        (WC_WASTE_BRIM_BYTES + WC_WASTE_AN_HOUR_BYTES) / WC_WASTE_ITEM_BYTES + 100000);
    assert_true(blamed(&hull, WC_BLAME_SYNC) > 0);
}

/* A neighbour that answers at the slowest pace does not keep the others waiting. */
static void a_slow_session_gives_way(void **state)
{
    (void)state;
    static struct wc_wire_ranges slow, quick, drop;
    uint32_t others = begin(), asked = 0, dripped = 0;
    uint32_t link = puppet_link(0, &hull);
    for (int second = 0; second < 300; second += 5) {
        bool to_slow =
            wc_wire_decode_sync(puppet_heard(link, WC_WIRE_SYNC), &slow, NULL) == 0;
        bool to_quick =
            wc_wire_decode_sync(puppet_heard(others, WC_WIRE_SYNC), &quick, NULL) == 0;
        puppet_clear(); /* what comes in answer to this is for the next turn */
        if (to_slow && slow.ranges[0].bits < 252) {
            drop = (struct wc_wire_ranges){.set = slow.set, .session = slow.session};
            reconciling_more(&drop, &slow, 0);
            wc_wire_diff(&frame, &drop);
            puppet_say(link, &frame);
            dripped++;
        }
        if (to_quick) {
            asked += dripped > 0; /* since the slow one had its first turn */
            quick.count = 0;
            wc_wire_diff(&frame, &quick);
            puppet_say(others, &frame);
        }
        net_wait(5000); /* less than what is given up */
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(others, &frame);
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(link, &frame);
    }
    assert_true(net_is_open(link));
    assert_true(dripped >= 6);
    assert_true(asked >= 2);
}

/* It asks where we differ, again and again. */
static void questions_have_an_end(void **state)
{
    (void)state;
    uint32_t honest = begin(), questions = 0;
    uint32_t link = puppet_link(0, &hull);
    while (net_is_open(link) && questions < 200000) {
        ranges = (struct wc_wire_ranges){
            .set = 1, .session = 3, .count = 1, .ranges[0].form = WC_FORM_COMPARE};
        wc_wire_sync(&frame, &ranges);
        puppet_say(link, &frame);
        questions++;
        puppet_clear();
    }
    assert_in_range(questions, WC_SYNCS_BRIM_COUNT, WC_SYNCS_BRIM_COUNT + 1000);
    assert_int_equal(blamed(&hull, WC_BLAME_FLOOD), 1);
    still_at_work(honest, "ann");
}

/* It asks for everything, again and again: at first at full pace, then one by one. */
static void who_fetches_again_and_again_gets_it_slowly(void **state)
{
    (void)state;
    uint8_t items[WC_WANT_ITEMS_MAX_COUNT][WC_ITEM_BYTES], slot[WC_DIGEST_BYTES];
    uint8_t ids[WC_WANT_ITEMS_MAX_COUNT][WC_SHORT_ID_BYTES];
    uint64_t first = 0, records = 0;
    begin();
    uint32_t link = puppet_link(0, &hull);
    for (uint32_t i = 0; i < WC_WANT_ITEMS_MAX_COUNT; i++) {
        char login[8];
        struct wc_version v;
        snprintf(login, sizeof(login), "p%u", i % 90);
        if (i < 90)
            net_put(0, WC_KIND_ROW, login);
        net_run();
        v = net_version(0, net_key(0), WC_KIND_ROW, login);
        wc_slot(slot, WC_KIND_ROW, net_key(0), login);
        wc_record_item(slot, &v, net.org.org.secret, items[i]);
    }
    puppet_clear();
    for (int second = 0; second < 60; second++) {
        for (int i = 0; i < 100; i++) {
            uint32_t ended = 0;
            for (size_t k = 0; k < net.heard_count; k++) {
                struct wc_wire_records f;
                if (net.heard[k].link == link &&
                    wc_wire_decode_records(
                        wc_slice(net.heard[k].bytes, net.heard[k].len), &f, NULL) ==
                        0) {
                    records += f.count;
                    ended += f.reason == WC_REASON_LAST;
                }
            }
            puppet_clear();
            if (ended > 0 || (second == 0 && i == 0)) {
                reconciling_wants(&ranges, 1, items, WC_WANT_ITEMS_MAX_COUNT, ids);
                wc_wire_want(&frame, &ranges);
                puppet_say(link, &frame);
            }
            net_wait(10);
        }
        if (second == 29)
            first = records;
        wc_wire_ping(&frame, net.now_ms, 1);
        puppet_say(link, &frame);
    }
    assert_true(net_is_open(link));
    assert_true(first >= WC_FETCH_BRIM_COUNT);
    /* what leaks in half a minute, and one each tenth of a second */
    assert_in_range(records - first, 1, 1000);
}

/* ---- an old backup ---- */

static void who_says_that_it_is_alone_stamps_again(void **state)
{
    (void)state;
    net_start(0);
    net_put(0, WC_KIND_ROW, "alice");
    uint32_t link = puppet_link(0, &net.nodes[1].identity);
    know(&net.nodes[1].identity, link);
    net_cut(link);
    net_stop(0);
    net_days(110); /* half of the lease, and a tenth more */
    net.nodes[0].alone = true;
    net_start(0);
    net_wait(10 * 60000);
    struct wc_record r;
    uint8_t slot[WC_DIGEST_BYTES];
    wc_slot(slot, WC_KIND_ROW, net_key(0), "alice");
    struct net_stored *s = net_find(&net.nodes[0], slot);
    assert_non_null(s);
    assert_int_equal(wc_record_decode(wc_buf_slice(&s->bytes), &r, NULL), 0);
    assert_true(r.stamped_at_ms > OFFICES_NOW_MS + 90 * WC_DAY_MS);
}

/* A newer own record came back and is not on the disk yet: what is there is the old one, and is
 * not stamped again in its place. */
static void what_the_disk_has_of_old_is_not_stamped_again(void **state)
{
    (void)state;
    struct wc_record r;
    uint8_t slot[WC_DIGEST_BYTES];
    net.nodes[0].alone = true;
    uint32_t link = begin();
    net_put(0, WC_KIND_ROW, "alice");
    net_run();
    net.nodes[0].hold_commits = true;
    say(link, &(struct made){.office = &net.nodes[0].identity,
                             .kind = WC_KIND_ROW,
                             .login = "alice",
                             .rev = 2,
                             .lease_ms = WC_PROFILE_LEASE_MAX_MS});
    net_days(120); /* more than half of the lease */
    net.nodes[0].hold_commits = false;
    net_run();
    wc_slot(slot, WC_KIND_ROW, net_key(0), "alice");
    struct net_stored *s = net_find(&net.nodes[0], slot);
    assert_non_null(s);
    assert_int_equal(wc_record_decode(wc_buf_slice(&s->bytes), &r, NULL), 0);
    assert_int_equal(r.version.rev, 2);
    net_wait(WC_RESTAMP_RETRY_MS); /* and then the new one is */
    net_run();
    assert_int_equal(
        wc_record_decode(wc_buf_slice(&net_find(&net.nodes[0], slot)->bytes), &r, NULL),
        0);
    assert_int_equal(r.version.rev, 2);
    assert_true(r.stamped_at_ms > OFFICES_NOW_MS + 90 * WC_DAY_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        net_test(a_clock_an_hour_ahead_is_nobodys_fault),
        net_test(a_clock_an_hour_behind_is_nobodys_fault),
        net_test(a_clock_of_another_day_is_nobodys_fault),
        net_test(a_clock_excuses_no_lie),
        net_test(a_signed_lie_is_the_signers_and_not_the_messengers),
        net_test(nobody_makes_another_look_guilty),
        net_test(a_stamp_on_what_nobody_wrote_blames_both),
        net_test(malformed_records_cost_the_neighbour_its_link),
        net_test(body_and_stamp_agree),
        net_test(who_misbehaves_again_waits_longer),
        net_test(conduct_is_remembered_of_so_many),
        net_test(the_highest_numbers_harm_their_office_alone),
        net_test(the_highest_own_number_is_not_followed),
        net_test(the_highest_number_is_not_stamped_again),
        net_test(two_contents_leave_evidence),
        net_test(an_erasure_leaves_hashes_of_evidence),
        net_test(evidence_is_kept_of_so_much),
        net_test(of_two_contents_all_keep_the_same),
        net_test(over_the_quota_the_smallest_slots_stay_in_any_order),
        net_test(who_stays_over_the_quota_is_named),
        net_test(a_quota_that_is_kept_is_nobodys_fault),
        net_test(all_kinds_count),
        net_test(what_ends_at_once_fills_nothing),
        net_test(changes_without_end_are_taken_now_and_then),
        net_test(asks_without_end_leave_room_for_others),
        net_test(an_ask_of_the_future_names_its_office),
        net_test(answers_that_cannot_be_are_the_signers_fault),
        net_test(an_answer_names_nobody_elses_people),
        net_test(answers_to_nobody_have_an_end),
        net_test(useless_records_have_an_end),
        net_test(who_lists_and_gives_nothing_is_asked_ever_less),
        net_test(who_lists_much_and_gives_nothing_is_named),
        net_test(a_slow_session_gives_way),
        net_test(questions_have_an_end),
        net_test(who_fetches_again_and_again_gets_it_slowly),
        net_test(who_says_that_it_is_alone_stamps_again),
        net_test(what_the_disk_has_of_old_is_not_stamped_again),
    };
    if (wc_crypto_init() != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wc_buf_fini(&record);
    return failed;
}
