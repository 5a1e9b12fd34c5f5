/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link without a network: two links, the bytes between them in our hands. What must
 * hold: whole handshakes open, and nothing else does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/link.h>
#include <whocan/noise.h>
#include <whocan/pack.h>

#include "proto/link_internal.h"
#include "tests/unit/offices.h"
#include "tests/unit/unit.h"

#define NOW OFFICES_NOW_MS

/* One end of a link and everything that it gave out. */
struct end {
    struct wc_link *link;
    struct wc_buf out;
    struct wc_buf frames; /* each with its u16 length before it */
    size_t frames_count;
};

static struct offices_org org_a, org_b;
static struct wc_identity leeds, york;

static void end_open(struct end *e, const struct wc_identity *id, bool initiator)
{
    uint8_t random[WC_KEY_BYTES];
    memset(random, initiator ? 0x11 : 0x22, sizeof(random));
    *e = (struct end){0};
    assert_int_equal(wc_link_new(&e->link, id, initiator, random), 0);
}

static void end_close(struct end *e)
{
    wc_link_free(e->link);
    wc_buf_fini(&e->out);
    wc_buf_fini(&e->frames);
}

static void keep_frame(void *ctx, struct wc_slice frame)
{
    struct end *e = ctx;
    uint8_t len[2];
    wc_put_u16(len, (uint16_t)frame.len);
    wc_buf_append(&e->frames, len, 2);
    wc_buf_append(&e->frames, frame.data, frame.len);
    e->frames_count++;
}

static int give_at(struct end *to, struct wc_slice bytes, uint64_t now_ms)
{
    return wc_link_receive(to->link, bytes, now_ms, &to->out, keep_frame, to);
}

static int give(struct end *to, struct wc_slice bytes)
{
    return give_at(to, bytes, NOW);
}

/* Hand over everything that `from` has said. */
static int pass(struct end *from, struct end *to)
{
    int rc = give(to, wc_buf_slice(&from->out));
    wc_buf_reset(&from->out);
    return rc;
}

static void send_text(struct end *from, const char *text)
{
    assert_int_equal(wc_link_send(from->link, wc_slice_text(text), NOW, &from->out), 0);
}

static void assert_state(const struct end *e, enum wc_link_state state, int error)
{
    assert_int_equal(wc_link_state(e->link), state);
    assert_int_equal(wc_link_error(e->link), error);
}

static void handshake(struct end *a, struct end *b)
{
    assert_int_equal(wc_link_start(a->link, &a->out), 0);
    assert_int_equal(pass(a, b), 0);
    assert_int_equal(pass(b, a), 0);
    assert_int_equal(pass(a, b), 0);
    assert_state(a, WC_LINK_OPEN, 0);
    assert_state(b, WC_LINK_OPEN, 0);
}

static void open_pair(struct end *a, struct end *b)
{
    end_open(a, &leeds, true);
    end_open(b, &york, false);
    handshake(a, b);
}

static void close_pair(struct end *a, struct end *b)
{
    end_close(a);
    end_close(b);
}

/* ---- what works ---- */

static void two_offices_open_a_link(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    assert_null(wc_link_peer(a.link));
    assert_int_equal(wc_link_peer_cert(a.link).len, 0);
    assert_int_equal(wc_link_version(a.link), 0);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    assert_int_equal(a.out.len, 2 + 48);
    assert_false(wc_link_past_mac(b.link));
    assert_int_equal(pass(&a, &b), 0);
    assert_true(wc_link_past_mac(b.link));
    assert_state(&b, WC_LINK_HANDSHAKE, 0);
    assert_false(wc_link_past_mac(a.link));
    assert_int_equal(pass(&b, &a), 0);
    assert_true(wc_link_past_mac(a.link));
    assert_int_equal(pass(&a, &b), 0);
    assert_state(&a, WC_LINK_OPEN, 0);
    assert_state(&b, WC_LINK_OPEN, 0);
    assert_string_equal(wc_link_peer(a.link)->name, york.cert.name);
    assert_string_equal(wc_link_peer(b.link)->name, leeds.cert.name);
    assert_true(wc_slice_eq(wc_link_peer_cert(a.link),
                            wc_slice(york.cert_bytes, york.cert_len)));
    assert_true(wc_slice_eq(wc_link_peer_cert(b.link),
                            wc_slice(leeds.cert_bytes, leeds.cert_len)));
    assert_int_equal(wc_link_version(a.link), 1);
    assert_int_equal(wc_link_version(b.link), 1);
    send_text(&a, "from leeds");
    send_text(&b, "from york");
    send_text(&b, "and more");
    assert_int_equal(pass(&a, &b), 0);
    assert_int_equal(pass(&b, &a), 0);
    assert_true(wc_slice_eq(wc_buf_slice(&b.frames), wc_slice("\0\12from leeds", 12)));
    assert_true(wc_slice_eq(wc_buf_slice(&a.frames),
                            wc_slice("\0\11from york\0\10and more", 21)));
    close_pair(&a, &b);
}

/* The bytes of message 1 and 2 for fixed keys: message 1's MAC, the prologue and the
 * payload are whocan's own, so no published vector has them. Key and MAC are those of the
 * example in docs/links.md. */
static void the_bytes_are_as_documented(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    uint8_t secret[WC_KEY_BYTES], pub[WC_KEY_BYTES], mac[16];
    memset(secret, 0x11, sizeof(secret));
    static const char pub_hex[] =
        "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13";
    assert_int_equal(wc_unhex(pub, 32, wc_slice_text(pub_hex)), 0);
    assert_int_equal(leeds.org.secret[0], 0x41); /* and so are the other 31 */
    static const char mac_hex[] = "b855f214c0546d186d55e9bed969cb71";
    assert_int_equal(wc_unhex(mac, 16, wc_slice_text(mac_hex)), 0);
    assert_memory_equal(a.out.data, "\0\60", 2);
    assert_memory_equal(a.out.data + 2, pub, 32);
    assert_memory_equal(a.out.data + 34, mac, 16);

    struct wc_noise noise;
    uint8_t prologue[9 + WC_ORG_ID_BYTES];
    memcpy(prologue, "whocan/1|", 9);
    memcpy(prologue + 9, leeds.org.id, WC_ORG_ID_BYTES);
    wc_noise_init(&noise, true, wc_slice(prologue, sizeof(prologue)), leeds.link_secret,
                  secret);
    struct wc_buf first = {0}, payload = {0}, want = {0};
    assert_int_equal(wc_noise_write(&noise, wc_slice(mac, 16), &first), 0);
    assert_memory_equal(first.data, a.out.data + 2, 48);
    assert_int_equal(pass(&a, &b), 0);
    assert_int_equal(wc_get_u16(b.out.data), b.out.len - 2);
    assert_int_equal(
        wc_noise_read(&noise, wc_slice(b.out.data + 2, b.out.len - 2), &payload), 0);
    wc_pack_array(&want, 4);
    wc_pack_u64(&want, 1);
    wc_pack_u64(&want, 1);
    wc_pack_bin(&want, wc_slice(york.cert_bytes, york.cert_len));
    wc_pack_bin(&want, wc_slice(NULL, 0));
    assert_true(wc_slice_eq(wc_buf_slice(&payload), wc_buf_slice(&want)));
    wc_noise_fini(&noise);
    wc_buf_fini(&first);
    wc_buf_fini(&payload);
    wc_buf_fini(&want);
    close_pair(&a, &b);
}

static void give_bytewise(struct end *from, struct end *to)
{
    for (size_t i = 0; i < from->out.len; i++)
        assert_int_equal(give(to, wc_slice(from->out.data + i, 1)), 0);
    wc_buf_reset(&from->out);
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    give_bytewise(&a, &b);
    give_bytewise(&b, &a);
    send_text(&a, "in the same breath as message 3");
    send_text(&a, "twice");
    give_bytewise(&a, &b);
    assert_state(&b, WC_LINK_OPEN, 0);
    assert_int_equal(b.frames_count, 2);
    close_pair(&a, &b);
}

/* All splits of a stream into two reads, over message 3 and frames after it. */
static void any_split_gives_the_same_frames(void **state)
{
    (void)state;
    size_t len = 1;
    for (size_t at = 0; at <= len; at++) {
        struct end a, b;
        end_open(&a, &leeds, true);
        end_open(&b, &york, false);
        assert_int_equal(wc_link_start(a.link, &a.out), 0);
        assert_int_equal(pass(&a, &b), 0);
        assert_int_equal(pass(&b, &a), 0);
        send_text(&a, "one");
        send_text(&a, "two");
        len = a.out.len;
        assert_int_equal(give(&b, wc_slice(a.out.data, at)), 0);
        assert_int_equal(give(&b, wc_slice(a.out.data + at, len - at)), 0);
        assert_true(
            wc_slice_eq(wc_buf_slice(&b.frames), wc_slice("\0\3one\0\3two", 10)));
        close_pair(&a, &b);
    }
}

static void frames_of_every_size_fit(void **state)
{
    (void)state;
    static uint8_t big[WC_FRAME_MAX_BYTES + 1];
    static const size_t sizes[] = {1, 2, 4095, 4096, 4097, 65518, WC_FRAME_MAX_BYTES};
    struct end a, b;
    open_pair(&a, &b);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct wc_slice frame = wc_slice(big, sizes[i]);
        assert_int_equal(wc_link_send(a.link, frame, NOW, &a.out), 0);
        assert_int_equal(a.out.len, 2 + sizes[i] + 16);
        if (i % 2 == 0)
            give_bytewise(&a, &b);
        else
            assert_int_equal(pass(&a, &b), 0);
        assert_int_equal(b.frames.len, 2 + sizes[i]);
        assert_memory_equal(b.frames.data + 2, big, sizes[i]);
        wc_buf_reset(&b.frames);
    }
    assert_int_equal(wc_link_send(a.link, wc_slice(big, sizeof(big)), NOW, &a.out),
                     -WC_ETOOBIG);
    assert_int_equal(wc_link_send(a.link, wc_slice(NULL, 0), NOW, &a.out),
                     -WC_EINVALID);
    assert_int_equal(a.out.len, 0);
    send_text(&a, "the link is none the worse");
    assert_int_equal(pass(&a, &b), 0);
    assert_state(&a, WC_LINK_OPEN, 0);
    close_pair(&a, &b);
}

static void answer_frame(void *ctx, struct wc_slice frame)
{
    struct end *e = ctx;
    keep_frame(e, frame);
    assert_int_equal(wc_link_send(e->link, frame, NOW, &e->out), 0);
}

static void a_frame_may_be_answered_at_once(void **state)
{
    (void)state;
    struct end a, b;
    open_pair(&a, &b);
    send_text(&a, "one");
    send_text(&a, "two");
    assert_int_equal(
        wc_link_receive(b.link, wc_buf_slice(&a.out), NOW, &b.out, answer_frame, &b),
        0);
    assert_int_equal(pass(&b, &a), 0);
    assert_true(wc_slice_eq(wc_buf_slice(&a.frames), wc_slice("\0\3one\0\3two", 10)));
    close_pair(&a, &b);
}

/* ---- what must not work ---- */

/* The three messages of a good handshake, each with its length. */
struct capture {
    struct wc_buf messages[3];
};

static void capture_take(struct capture *c)
{
    struct end a, b, *ends[] = {&a, &b};
    *c = (struct capture){0};
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    for (int i = 0; i < 3; i++) {
        struct end *from = ends[i % 2], *to = ends[1 - i % 2];
        wc_buf_append(&c->messages[i], from->out.data, from->out.len);
        assert_int_equal(pass(from, to), 0);
    }
    close_pair(&a, &b);
}

static void capture_drop(struct capture *c)
{
    for (int i = 0; i < 3; i++)
        wc_buf_fini(&c->messages[i]);
}

/* Bring the side that reads message `which` to where it waits for it, and give it
 * `message`. Keys and randomness are fixed, so that the captured messages fit. */
static void replay(struct end *reader, const struct capture *c, int which,
                   struct wc_slice message)
{
    bool initiator = which == 1;
    end_open(reader, initiator ? &leeds : &york, initiator);
    if (initiator)
        assert_int_equal(wc_link_start(reader->link, &reader->out), 0);
    if (which == 2)
        assert_int_equal(give(reader, wc_buf_slice(&c->messages[0])), 0);
    wc_buf_reset(&reader->out);
    give(reader, message);
}

/* It may not open and may not answer; then the other side cannot open either. */
static void expect_no_link(const struct capture *c, int which, struct wc_slice forged)
{
    struct end reader;
    replay(&reader, c, which, forged);
    assert_int_not_equal(wc_link_state(reader.link), WC_LINK_OPEN);
    assert_null(wc_link_peer(reader.link));
    assert_int_equal(reader.out.len, 0);
    end_close(&reader);
}

/* What the tests below change is good before they change it. */
static void captured_messages_fit(void **state)
{
    (void)state;
    struct capture c;
    capture_take(&c);
    for (int which = 0; which < 3; which++) {
        struct end reader;
        replay(&reader, &c, which, wc_buf_slice(&c.messages[which]));
        assert_int_equal(wc_link_state(reader.link),
                         which == 0 ? WC_LINK_HANDSHAKE : WC_LINK_OPEN);
        assert_true(wc_link_past_mac(reader.link));
        if (which < 2)
            assert_true(wc_slice_eq(wc_buf_slice(&reader.out),
                                    wc_buf_slice(&c.messages[which + 1])));
        end_close(&reader);
    }
    capture_drop(&c);
}

/* Under valgrind, which makes Diffie-Hellman slow, one bit of each byte and one length
 * of nine; everywhere else all of them. */
static size_t stride(void)
{
    return getenv("WHOCAN_VALGRIND") != NULL ? 9 : 1;
}

static void every_flipped_bit_stops_the_handshake(void **state)
{
    (void)state;
    struct capture c;
    capture_take(&c);
    for (int which = 0; which < 3; which++) {
        struct wc_buf *m = &c.messages[which];
        for (size_t bit = 0; bit < m->len * 8; bit += stride()) {
            m->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            expect_no_link(&c, which, wc_buf_slice(m));
            m->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    capture_drop(&c);
}

static void truncated_messages_open_nothing(void **state)
{
    (void)state;
    struct capture c;
    capture_take(&c);
    for (int which = 0; which < 3; which++) {
        for (size_t len = 0; len < c.messages[which].len; len += stride()) {
            struct wc_buf cut = {0};
            expect_no_link(&c, which, wc_slice(c.messages[which].data, len));
            if (len < 2)
                continue;
            wc_buf_append(&cut, c.messages[which].data, len);
            wc_put_u16(cut.data, (uint16_t)(len - 2)); /* with a length that is right */
            expect_no_link(&c, which, wc_buf_slice(&cut));
            wc_buf_fini(&cut);
        }
    }
    capture_drop(&c);
}

static void messages_of_another_place_open_nothing(void **state)
{
    (void)state;
    struct capture c;
    capture_take(&c);
    for (int which = 0; which < 3; which++) {
        for (int other = 0; other < 3; other++) {
            if (other != which)
                expect_no_link(&c, which, wc_buf_slice(&c.messages[other]));
        }
    }
    capture_drop(&c);
}

/* A whole captured handshake played again to offices with fresh ephemerals. */
static void replayed_messages_open_nothing(void **state)
{
    (void)state;
    struct capture c;
    capture_take(&c);
    uint8_t fresh[WC_KEY_BYTES];
    memset(fresh, 0x77, sizeof(fresh));

    struct end b = {0};
    assert_int_equal(wc_link_new(&b.link, &york, false, fresh), 0);
    assert_int_equal(give(&b, wc_buf_slice(&c.messages[0])), 0); /* the MAC is right */
    assert_int_equal(give(&b, wc_buf_slice(&c.messages[2])), -WC_EBADSIG);
    assert_state(&b, WC_LINK_FAILED, -WC_EBADSIG);
    end_close(&b);

    struct end a = {0};
    assert_int_equal(wc_link_new(&a.link, &leeds, true, fresh), 0);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    assert_int_equal(give(&a, wc_buf_slice(&c.messages[1])), -WC_EBADSIG);
    assert_state(&a, WC_LINK_FAILED, -WC_EBADSIG);
    end_close(&a);
    capture_drop(&c);
}

/* Message 2 is good and what comes with it is not: message 3 stays unsaid. */
static void a_failure_takes_its_answer_back(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    assert_int_equal(pass(&a, &b), 0);
    wc_buf_append(&b.out, "\0\1", 2);
    wc_buf_text(&a.out, "kept");
    assert_int_equal(pass(&b, &a), -WC_EPROTOCOL);
    assert_true(wc_slice_is(wc_buf_slice(&a.out), "kept"));
    close_pair(&a, &b);
}

static void a_stranger_gets_no_byte(void **state)
{
    (void)state;
    struct offices_org other = org_a;
    memset(other.org.secret, 'x', sizeof(other.org.secret)); /* all but the secret */
    struct wc_identity stranger = offices_office(&other, 's');
    struct end a, b;
    end_open(&a, &stranger, true);
    end_open(&b, &york, false);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    assert_int_equal(pass(&a, &b), -WC_EORGANISATION);
    assert_int_equal(b.out.len, 0);
    assert_false(wc_link_past_mac(b.link));
    assert_state(&b, WC_LINK_FAILED, -WC_EORGANISATION);
    assert_int_equal(give(&b, wc_slice("more", 4)), -WC_EORGANISATION);
    assert_int_equal(b.out.len, 0);
    close_pair(&a, &b);
}

static void garbage_is_refused_at_its_length(void **state)
{
    (void)state;
    static const char *const garbage[] = {"GET / HTTP/1.1\r\n",
                                          "\x16\x03\x01",
                                          "SSH-",
                                          "\0\0",
                                          "\0\57",
                                          "\0\61",
                                          "\377\377"};
    static const size_t lengths[] = {16, 3, 4, 2, 2, 2, 2};
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        struct end b;
        end_open(&b, &york, false);
        assert_int_equal(give(&b, wc_slice(garbage[i], 1)), 0);
        assert_int_equal(give(&b, wc_slice(garbage[i] + 1, lengths[i] - 1)),
                         -WC_EPROTOCOL);
        assert_int_equal(b.out.len, 0);
        end_close(&b);
    }
}

/* The certificate that one side shows, and how the other side takes it. */
static void expect_refusal(const struct wc_identity *initiator,
                           const struct wc_identity *responder, uint64_t now_ms,
                           int initiator_rc, int responder_rc)
{
    struct end a, b;
    end_open(&a, initiator, true);
    end_open(&b, responder, false);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    assert_int_equal(pass(&a, &b), 0);
    assert_int_equal(give_at(&a, wc_buf_slice(&b.out), now_ms), initiator_rc);
    if (initiator_rc != 0) {
        assert_int_equal(a.out.len, 0);
        assert_null(wc_link_peer(a.link));
    } else {
        wc_buf_reset(&b.out);
        assert_int_equal(give_at(&b, wc_buf_slice(&a.out), now_ms), responder_rc);
        assert_int_equal(b.out.len, 0);
        assert_null(wc_link_peer(b.link));
    }
    close_pair(&a, &b);
}

static void other_organisations_are_refused(void **state)
{
    (void)state;
    /* Same secret and id, certificate signed by another key. */
    struct offices_org forger = org_b;
    forger.org = org_a.org;
    struct wc_identity forged = offices_office(&forger, 'f');
    expect_refusal(&leeds, &forged, NOW, -WC_EBADSIG, 0);
    expect_refusal(&forged, &york, NOW, 0, -WC_EBADSIG);

    /* Same secret, another id: the prologue differs. */
    struct offices_org twin = org_b;
    memcpy(twin.org.secret, org_a.org.secret, sizeof(twin.org.secret));
    struct wc_identity far = offices_office(&twin, 'f');
    expect_refusal(&leeds, &far, NOW, -WC_EBADSIG, 0);

    /* A peer that lies about the prologue, but has a certificate of its own only. */
    struct wc_identity liar = offices_office(&org_b, 'l');
    liar.org = org_a.org;
    expect_refusal(&leeds, &liar, NOW, -WC_EORGANISATION, 0);
    expect_refusal(&liar, &york, NOW, 0, -WC_EORGANISATION);
}

static void dates_are_checked(void **state)
{
    (void)state;
    struct wc_identity old = offices_office(&org_a, 'o');
    old.cert.not_after_ms = NOW;
    offices_certify(&old, &org_a);
    expect_refusal(&leeds, &old, NOW, -WC_EEXPIRED, 0);
    expect_refusal(&old, &york, NOW, 0, -WC_EEXPIRED);
    struct wc_identity early = offices_office(&org_a, 'e');
    early.cert.not_before_ms = NOW + WC_FUTURE_SLACK_MS + 1;
    offices_certify(&early, &org_a);
    expect_refusal(&leeds, &early, NOW, -WC_EFUTURE, 0);
    expect_refusal(&early, &york, NOW, 0, -WC_EFUTURE);
}

static void a_stolen_certificate_is_refused(void **state)
{
    (void)state;
    struct wc_identity thief = offices_office(&org_a, 't');
    thief.cert = york.cert;
    memcpy(thief.cert_bytes, york.cert_bytes, york.cert_len);
    thief.cert_len = york.cert_len; /* york's certificate, the thief's link key */
    expect_refusal(&leeds, &thief, NOW, -WC_EDENIED, 0);
    struct wc_identity hull = offices_office(&org_a, 'h');
    expect_refusal(&thief, &hull, NOW, 0, -WC_EDENIED);
}

static void an_office_does_not_link_to_itself(void **state)
{
    (void)state;
    expect_refusal(&leeds, &leeds, NOW, -WC_EEXISTS, 0);
    /* the same office after it got a new link key */
    struct wc_identity again = leeds;
    memset(again.link_secret, 0x55, sizeof(again.link_secret));
    wc_dh_public(again.cert.link_key, again.link_secret);
    offices_certify(&again, &org_a);
    expect_refusal(&again, &leeds, NOW, -WC_EEXISTS, 0);
}

static void a_link_ends_with_the_certificate(void **state)
{
    (void)state;
    struct end a, b;
    open_pair(&a, &b);
    send_text(&a, "in time");
    assert_int_equal(give_at(&b, wc_buf_slice(&a.out), OFFICES_UNTIL_MS - 1), 0);
    assert_int_equal(b.frames_count, 1);
    wc_buf_reset(&a.out);
    send_text(&a, "too late");
    assert_int_equal(give_at(&b, wc_buf_slice(&a.out), OFFICES_UNTIL_MS), -WC_EEXPIRED);
    assert_int_equal(b.frames_count, 1);
    assert_string_equal(wc_link_peer(b.link)->name, leeds.cert.name);
    close_pair(&a, &b);
}

/* ---- versions and payloads ---- */

static void tune_versions(struct end *e, uint32_t min, uint32_t max)
{
    struct wc_link_tuning tuning = wc_link_tuning_default;
    tuning.version_min = min;
    tuning.version_max = max;
    wc_link_tune(e->link, &tuning);
}

static void the_highest_common_version_is_chosen(void **state)
{
    (void)state;
    static const struct {
        uint32_t a_min, a_max, b_min, b_max, want; /* 0: none in common */
    } cases[] = {
        {1, 1, 1, 1, 1}, {1, 3, 2, 5, 3}, {2, 5, 1, 3, 3},          {1, 9, 4, 4, 4},
        {1, 1, 2, 3, 0}, {4, 5, 2, 3, 0}, {3, 3, 3, UINT32_MAX, 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct end a, b;
        end_open(&a, &leeds, true);
        end_open(&b, &york, false);
        tune_versions(&a, cases[i].a_min, cases[i].a_max);
        tune_versions(&b, cases[i].b_min, cases[i].b_max);
        assert_int_equal(wc_link_start(a.link, &a.out), 0);
        assert_int_equal(pass(&a, &b), 0);
        if (cases[i].want == 0) {
            assert_int_equal(pass(&b, &a), -WC_EVERSION);
            assert_int_equal(a.out.len, 0);
        } else {
            assert_int_equal(pass(&b, &a), 0);
            assert_int_equal(pass(&a, &b), 0);
            assert_int_equal(wc_link_version(a.link), cases[i].want);
            assert_int_equal(wc_link_version(b.link), cases[i].want);
        }
        close_pair(&a, &b);
    }
}

/* Leeds played by hand, so that it can say what the program never would, to a york that
 * waits for message 3. */
struct hand {
    struct end york;
    struct wc_noise noise;
    struct wc_buf wire;
};

static void hand_begin(struct hand *h)
{
    uint8_t prologue[9 + WC_ORG_ID_BYTES], secret[WC_KEY_BYTES], mac[16];
    struct wc_buf payload = {0};
    *h = (struct hand){0};
    memcpy(prologue, "whocan/1|", 9);
    memcpy(prologue + 9, leeds.org.id, WC_ORG_ID_BYTES);
    memset(secret, 0x33, sizeof(secret));
    wc_noise_init(&h->noise, true, wc_slice(prologue, sizeof(prologue)),
                  leeds.link_secret, secret);
    struct wc_slice parts[] = {wc_slice_text("whocan/1 hello"),
                               wc_slice(h->noise.e_pub, 32)};
    wc_hash_keyed(mac, 16, leeds.org.secret, parts, 2);

    end_open(&h->york, &york, false);
    wc_buf_append(&h->wire, "\0\60", 2);
    assert_int_equal(wc_noise_write(&h->noise, wc_slice(mac, 16), &h->wire), 0);
    assert_int_equal(give(&h->york, wc_buf_slice(&h->wire)), 0);
    const struct wc_buf *reply = &h->york.out;
    assert_int_equal(
        wc_noise_read(&h->noise, wc_slice(reply->data + 2, reply->len - 2), &payload),
        0);
    wc_buf_reset(&h->york.out);
    wc_buf_fini(&payload);
}

static int hand_finish(struct hand *h, struct wc_slice payload)
{
    wc_buf_reset(&h->wire);
    wc_buf_append(&h->wire, "\0\0", 2);
    assert_int_equal(wc_noise_write(&h->noise, payload, &h->wire), 0);
    wc_put_u16(h->wire.data, (uint16_t)(h->wire.len - 2));
    int rc = give(&h->york, wc_buf_slice(&h->wire));
    assert_int_equal(wc_link_state(h->york.link),
                     rc == 0 ? WC_LINK_OPEN : WC_LINK_FAILED);
    assert_int_equal(h->york.out.len, 0);
    return rc;
}

static void hand_end(struct hand *h)
{
    wc_noise_fini(&h->noise);
    wc_buf_fini(&h->wire);
    end_close(&h->york);
}

static int finish_with(struct wc_slice payload)
{
    struct hand h;
    hand_begin(&h);
    int rc = hand_finish(&h, payload);
    hand_end(&h);
    return rc;
}

static void pack_introduction(struct wc_buf *payload, uint64_t min, uint64_t max,
                              struct wc_slice cert, uint32_t extra)
{
    wc_pack_array(payload, 4 + extra);
    wc_pack_u64(payload, min);
    wc_pack_u64(payload, max);
    wc_pack_bin(payload, cert);
    wc_pack_bin(payload, wc_slice(NULL, 0));
    for (uint32_t i = 0; i < extra; i++)
        wc_pack_text(payload, "later");
}

static int finish_with_values(uint64_t min, uint64_t max, struct wc_slice cert,
                              uint32_t extra)
{
    struct wc_buf payload = {0};
    pack_introduction(&payload, min, max, cert, extra);
    int rc = finish_with(wc_buf_slice(&payload));
    wc_buf_fini(&payload);
    return rc;
}

static void payloads_are_checked(void **state)
{
    (void)state;
    struct wc_slice cert = wc_slice(leeds.cert_bytes, leeds.cert_len);
    static const uint8_t long_cert[WC_CERT_MAX_BYTES + 1];
    assert_int_equal(finish_with_values(1, 1, cert, 0), 0);
    assert_int_equal(finish_with_values(1, 1, cert, 2),
                     0); /* a newer office says more */
    assert_int_equal(finish_with_values(0, UINT64_MAX, cert, 0), 0);
    assert_int_equal(finish_with_values(2, 1, cert, 0), -WC_EINVALID);
    assert_int_equal(finish_with_values(2, 3, cert, 0), -WC_EVERSION);
    assert_int_equal(finish_with_values(1, 1, wc_slice(NULL, 0), 0), -WC_ETRUNCATED);
    assert_int_equal(
        finish_with_values(1, 1, wc_slice(long_cert, sizeof(long_cert)), 0),
        -WC_ETOOBIG);
    assert_int_equal(finish_with(wc_slice(NULL, 0)), -WC_ETRUNCATED);
    assert_int_equal(finish_with(wc_slice("\x80", 1)), -WC_ETYPE);
    assert_int_equal(finish_with(wc_slice("\x90", 1)), -WC_EMISSING);
    assert_int_equal(finish_with(wc_slice("\x93\x01\x01\xc0", 4)), -WC_ETYPE);
    assert_int_equal(finish_with(wc_slice("\x93\x01\x01\xc4\x01", 5)), -WC_ETRUNCATED);
    assert_int_equal(finish_with(wc_slice("\xdd\x10\0\0\0", 5)), -WC_ETOOBIG);
}

/* ---- transport messages ---- */

static void frames_cannot_be_changed_repeated_or_left_out(void **state)
{
    (void)state;
    struct end a, b;
    open_pair(&a, &b);
    send_text(&a, "hi");
    size_t len = a.out.len;
    close_pair(&a, &b);
    for (size_t bit = 0; bit < len * 8; bit++) {
        open_pair(&a, &b);
        send_text(&a, "hi");
        a.out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = pass(&a, &b);
        assert_true(rc == -WC_EBADSIG || rc == -WC_EPROTOCOL ||
                    wc_link_state(b.link) == WC_LINK_OPEN); /* a longer length waits */
        assert_int_equal(b.frames_count, 0);
        close_pair(&a, &b);
    }
    open_pair(&a, &b);
    send_text(&a, "hi");
    assert_int_equal(give(&b, wc_buf_slice(&a.out)), 0);
    assert_int_equal(give(&b, wc_buf_slice(&a.out)), -WC_EBADSIG); /* again */
    assert_int_equal(b.frames_count, 1);
    close_pair(&a, &b);
    open_pair(&a, &b);
    send_text(&a, "lost");
    wc_buf_reset(&a.out);
    send_text(&a, "hi");
    assert_int_equal(pass(&a, &b), -WC_EBADSIG);
    assert_int_equal(b.frames_count, 0);
    close_pair(&a, &b);
    open_pair(&a, &b);
    send_text(&a, "to york");
    assert_int_equal(give(&a, wc_buf_slice(&a.out)), -WC_EBADSIG); /* reflected */
    close_pair(&a, &b);
}

static void tune_rekey(struct end *e, uint64_t count, uint64_t after_ms)
{
    struct wc_link_tuning tuning = wc_link_tuning_default;
    tuning.rekey_after_count = count;
    tuning.rekey_after_ms = after_ms;
    wc_link_tune(e->link, &tuning);
}

#define MARK_BYTES (2 + 16) /* an empty transport message with its length */

static void keys_change_after_a_count(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    tune_rekey(&a, 3, UINT64_MAX);
    handshake(&a, &b);
    for (int i = 0; i < 20; i++) {
        send_text(&a, "x");
        size_t frame = MARK_BYTES + 1;
        bool rekeyed = i > 0 && i % 3 == 0;
        assert_int_equal(a.out.len, rekeyed ? MARK_BYTES + frame : frame);
        send_text(&b, "back"); /* the other direction keeps its key */
        assert_int_equal(b.out.len, MARK_BYTES + 4);
        assert_int_equal(pass(&a, &b), 0);
        assert_int_equal(pass(&b, &a), 0);
    }
    assert_int_equal(b.frames_count, 20);
    assert_int_equal(a.frames_count, 20);
    close_pair(&a, &b);
}

static void send_at(struct end *from, uint64_t now_ms, size_t want_bytes)
{
    wc_buf_reset(&from->out);
    assert_int_equal(wc_link_send(from->link, wc_slice("x", 1), now_ms, &from->out), 0);
    assert_int_equal(from->out.len, want_bytes);
}

static void keys_change_after_a_time(void **state)
{
    (void)state;
    struct end a, b;
    open_pair(&a, &b);
    const size_t frame = MARK_BYTES + 1;
    send_at(&a, NOW + WC_REKEY_AFTER_MS - 1, frame);
    assert_int_equal(pass(&a, &b), 0);
    send_at(&a, NOW + WC_REKEY_AFTER_MS, MARK_BYTES + frame);
    assert_int_equal(pass(&a, &b), 0);
    send_at(&a, NOW + WC_REKEY_AFTER_MS + 1, frame);
    assert_int_equal(pass(&a, &b), 0);
    /* a clock set back starts the hour anew and nothing else */
    send_at(&a, NOW, frame);
    assert_int_equal(pass(&a, &b), 0);
    send_at(&a, NOW + WC_REKEY_AFTER_MS, MARK_BYTES + frame);
    assert_int_equal(pass(&a, &b), 0);
    assert_int_equal(b.frames_count, 5);
    close_pair(&a, &b);
}

static void keys_may_change_before_every_frame(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    tune_rekey(&a, 0, 0);
    handshake(&a, &b);
    for (int i = 0; i < 5; i++)
        send_text(&a, "x");
    assert_int_equal(a.out.len, 5 * (2 * MARK_BYTES + 1));
    assert_int_equal(pass(&a, &b), 0);
    assert_int_equal(b.frames_count, 5);
    close_pair(&a, &b);
}

/* What a hostile peer could do: nothing but empty messages. */
static void two_empty_messages_break_the_protocol(void **state)
{
    (void)state;
    static const int want[] = {0, -WC_EPROTOCOL};
    struct hand h;
    struct wc_cipher send, receive;
    struct wc_buf payload = {0};
    pack_introduction(&payload, 1, 1, wc_slice(leeds.cert_bytes, leeds.cert_len), 0);
    hand_begin(&h);
    assert_int_equal(hand_finish(&h, wc_buf_slice(&payload)), 0);
    assert_int_equal(wc_noise_split(&h.noise, &send, &receive), 0);
    for (int i = 0; i < 2; i++) {
        wc_buf_reset(&h.wire);
        wc_buf_append(&h.wire, "\0\20", 2);
        assert_int_equal(wc_cipher_seal(&send, wc_slice(NULL, 0), &h.wire), 0);
        wc_cipher_rekey(&send);
        assert_int_equal(give(&h.york, wc_buf_slice(&h.wire)), want[i]);
    }
    assert_state(&h.york, WC_LINK_FAILED, -WC_EPROTOCOL);
    wc_buf_fini(&payload);
    hand_end(&h);
}

static void calls_out_of_turn_are_refused(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    assert_int_equal(wc_link_send(a.link, wc_slice("x", 1), NOW, &a.out),
                     -WC_EPROTOCOL);
    assert_int_equal(wc_link_start(b.link, &b.out), -WC_EPROTOCOL);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    assert_int_equal(wc_link_start(a.link, &a.out), -WC_EPROTOCOL);
    assert_state(&a, WC_LINK_HANDSHAKE, 0);
    close_pair(&a, &b);
    end_open(&a, &leeds, true);
    assert_int_equal(give(&a, wc_slice("\0\60", 2)), -WC_EPROTOCOL); /* not started */
    assert_int_equal(wc_link_start(a.link, &a.out), -WC_EPROTOCOL);
    assert_int_equal(a.out.len, 0);
    end_close(&a);
    wc_link_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_offices_open_a_link),
        cmocka_unit_test(the_bytes_are_as_documented),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(any_split_gives_the_same_frames),
        cmocka_unit_test(frames_of_every_size_fit),
        cmocka_unit_test(a_frame_may_be_answered_at_once),
        cmocka_unit_test(captured_messages_fit),
        cmocka_unit_test(every_flipped_bit_stops_the_handshake),
        cmocka_unit_test(truncated_messages_open_nothing),
        cmocka_unit_test(messages_of_another_place_open_nothing),
        cmocka_unit_test(replayed_messages_open_nothing),
        cmocka_unit_test(a_failure_takes_its_answer_back),
        cmocka_unit_test(a_stranger_gets_no_byte),
        cmocka_unit_test(garbage_is_refused_at_its_length),
        cmocka_unit_test(other_organisations_are_refused),
        cmocka_unit_test(dates_are_checked),
        cmocka_unit_test(a_stolen_certificate_is_refused),
        cmocka_unit_test(an_office_does_not_link_to_itself),
        cmocka_unit_test(a_link_ends_with_the_certificate),
        cmocka_unit_test(the_highest_common_version_is_chosen),
        cmocka_unit_test(payloads_are_checked),
        cmocka_unit_test(frames_cannot_be_changed_repeated_or_left_out),
        cmocka_unit_test(keys_change_after_a_count),
        cmocka_unit_test(keys_change_after_a_time),
        cmocka_unit_test(keys_may_change_before_every_frame),
        cmocka_unit_test(two_empty_messages_break_the_protocol),
        cmocka_unit_test(calls_out_of_turn_are_refused),
    };
    if (wc_crypto_init() != 0)
        return 1;
    org_a = offices_org('a');
    org_b = offices_org('b');
    leeds = offices_office(&org_a, 'l');
    york = offices_office(&org_a, 'y');
    return cmocka_run_group_tests(tests, NULL, NULL);
}
