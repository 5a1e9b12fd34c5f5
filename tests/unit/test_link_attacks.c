/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an attacker on the path, or one with recordings, or a former office could try
 * against the handshake and the link. test_link.c flips every bit; here are whole
 * messages, whole sessions, protocol versions and each field of a certificate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/link.h>
#include <whocan/pack.h>

#include "proto/link_internal.h"
#include "tests/unit/offices.h"
#include "tests/unit/unit.h"

#define NOW OFFICES_NOW_MS

static struct offices_org org_a, org_b;
static struct wc_identity leeds, york, hull;
static uint8_t last_random; /* no two links draw the same */

struct end {
    struct wc_link *link;
    struct wc_buf out;
    unsigned frames;
};

static void end_open(struct end *e, const struct wc_identity *id, bool initiator)
{
    uint8_t random[WC_KEY_BYTES];
    memset(random, ++last_random, sizeof(random));
    *e = (struct end){0};
    assert_int_equal(wc_link_new(&e->link, id, initiator, random), 0);
}

static void end_close(struct end *e)
{
    wc_link_free(e->link);
    wc_buf_fini(&e->out);
}

static void count_frame(void *ctx, struct wc_slice frame)
{
    struct end *e = ctx;
    (void)frame;
    e->frames++;
}

static int give(struct end *to, struct wc_slice bytes)
{
    return wc_link_receive(to->link, bytes, NOW, &to->out, count_frame, to);
}

static int give_buf(struct end *to, const struct wc_buf *bytes)
{
    return give(to, wc_buf_slice(bytes));
}

static void send_text(struct end *from, const char *text)
{
    assert_int_equal(wc_link_send(from->link, wc_slice_text(text), NOW, &from->out), 0);
}

static bool is_open(const struct end *e)
{
    return wc_link_state(e->link) == WC_LINK_OPEN;
}

static void tune_versions(struct end *e, uint32_t min, uint32_t max)
{
    struct wc_link_tuning tuning = wc_link_tuning_default;
    tuning.version_min = min;
    tuning.version_max = max;
    wc_link_tune(e->link, &tuning);
}

/* What passed between leeds and york, as somebody on the path has it. */
struct session {
    struct wc_buf messages[3]; /* of the handshake */
    struct wc_buf frames;      /* of leeds, after it */
    struct wc_buf leeds_said;  /* everything of leeds */
};

static void record(struct session *s, uint32_t max_a, uint32_t max_b)
{
    struct end a, b, *ends[] = {&a, &b};
    *s = (struct session){0};
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    tune_versions(&a, 1, max_a);
    tune_versions(&b, 1, max_b);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    for (int i = 0; i < 3; i++) {
        struct end *from = ends[i % 2], *to = ends[1 - i % 2];
        wc_buf_append(&s->messages[i], from->out.data, from->out.len);
        if (i % 2 == 0)
            wc_buf_append(&s->leeds_said, from->out.data, from->out.len);
        assert_int_equal(give_buf(to, &from->out), 0);
        wc_buf_reset(&from->out);
    }
    assert_true(is_open(&a) && is_open(&b));
    assert_int_equal(wc_link_version(a.link), max_a < max_b ? max_a : max_b);
    send_text(&a, "one");
    send_text(&a, "two");
    wc_buf_append(&s->frames, a.out.data, a.out.len);
    wc_buf_append(&s->leeds_said, a.out.data, a.out.len);
    assert_int_equal(give_buf(&b, &a.out), 0);
    assert_int_equal(b.frames, 2);
    end_close(&a);
    end_close(&b);
}

static void session_drop(struct session *s)
{
    for (int i = 0; i < 3; i++)
        wc_buf_fini(&s->messages[i]);
    wc_buf_fini(&s->frames);
    wc_buf_fini(&s->leeds_said);
}

/* ---- recordings ---- */

/* Message 1 carries no proof of freshness: it is answered, by the same and by another
 * office, differently each time, and that is as far as it gets. */
static void a_recorded_hello_gets_one_unreadable_answer(void **state)
{
    (void)state;
    const struct wc_identity *const offices[] = {&york, &york, &hull};
    struct wc_buf answers[3] = {{0}};
    struct session s;
    record(&s, 1, 1);
    for (int i = 0; i < 3; i++) {
        struct end b;
        end_open(&b, offices[i], false);
        assert_int_equal(give_buf(&b, &s.messages[0]), 0);
        assert_true(b.out.len > 0);
        wc_buf_append(&answers[i], b.out.data, b.out.len);
        wc_buf_reset(&b.out);
        assert_false(is_open(&b));
        assert_int_equal(give_buf(&b, &s.messages[2]), -WC_EBADSIG);
        assert_int_equal(b.out.len, 0);
        end_close(&b);
        assert_memory_not_equal(answers[i].data, s.messages[1].data, 60);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(answers[i].data, answers[k].data, 60);
    }
    for (int i = 0; i < 3; i++)
        wc_buf_fini(&answers[i]);
    session_drop(&s);
}

/* Everything that leeds said, to the same and to another office, in one piece. */
static void a_recorded_session_is_refused(void **state)
{
    (void)state;
    const struct wc_identity *const offices[] = {&york, &hull, &leeds};
    struct session s;
    record(&s, 1, 1);
    for (int i = 0; i < 3; i++) {
        struct end b;
        end_open(&b, offices[i], false);
        assert_int_equal(give_buf(&b, &s.leeds_said), -WC_EBADSIG);
        assert_int_equal(b.frames, 0);
        assert_null(wc_link_peer(b.link));
        assert_int_equal(b.out.len,
                         0); /* not even message 2, which would have gone first */
        end_close(&b);
    }
    session_drop(&s);
}

/* Message 3 and frames of one session within another of the same two offices. */
static void parts_of_a_session_do_not_fit_another(void **state)
{
    (void)state;
    struct session s;
    struct end a, b;
    record(&s, 1, 1);
    for (int what = 0; what < 3; what++) {
        end_open(&a, &leeds, true);
        end_open(&b, &york, false);
        assert_int_equal(wc_link_start(a.link, &a.out), 0);
        assert_int_equal(give_buf(&b, &a.out), 0);
        wc_buf_reset(&a.out);
        if (what == 0) { /* its message 2 */
            assert_int_equal(give_buf(&a, &s.messages[1]), -WC_EBADSIG);
            assert_int_equal(a.out.len, 0);
        } else if (what == 1) { /* its message 3 */
            assert_int_equal(give_buf(&a, &b.out), 0);
            assert_int_equal(give_buf(&b, &s.messages[2]), -WC_EBADSIG);
            assert_null(wc_link_peer(b.link));
        } else { /* its frames */
            assert_int_equal(give_buf(&a, &b.out), 0);
            assert_int_equal(give_buf(&b, &a.out), 0);
            assert_true(is_open(&b));
            assert_int_equal(give_buf(&b, &s.frames), -WC_EBADSIG);
            assert_int_equal(b.frames, 0);
        }
        end_close(&a);
        end_close(&b);
    }
    session_drop(&s);
}

/* All orders of three frames of one link, each once, twice or not at all: only a prefix
 * of what was sent is ever taken. */
static void frames_are_taken_in_order_and_once(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 4 * 4 * 4 * 4; code++) {
        struct end a, b;
        struct wc_buf frames[3] = {{0}};
        unsigned taken = 0;
        bool good = true;
        end_open(&a, &leeds, true);
        end_open(&b, &york, false);
        assert_int_equal(wc_link_start(a.link, &a.out), 0);
        assert_int_equal(give_buf(&b, &a.out), 0);
        wc_buf_reset(&a.out);
        assert_int_equal(give_buf(&a, &b.out), 0);
        assert_int_equal(give_buf(&b, &a.out), 0);
        for (int i = 0; i < 3; i++) {
            wc_buf_reset(&a.out);
            send_text(&a, "frame");
            wc_buf_append(&frames[i], a.out.data, a.out.len);
        }
        for (unsigned at = 0, c = code; at < 4; at++, c /= 4) {
            if (c % 4 == 3)
                continue;
            good = good && c % 4 == taken;
            taken += good;
            assert_int_equal(give_buf(&b, &frames[c % 4]), good ? 0 : -WC_EBADSIG);
            assert_int_equal(b.frames, taken);
        }
        for (int i = 0; i < 3; i++)
            wc_buf_fini(&frames[i]);
        end_close(&a);
        end_close(&b);
    }
}

/* ---- versions ---- */

/* Both speak 1 to 3. Nobody on the path makes them speak 1: the ranges are sealed, and
 * those of an earlier session, when york spoke 1 alone, belong to its keys. */
static void an_old_version_cannot_be_forced(void **state)
{
    (void)state;
    struct session old;
    record(&old, 3, 1);
    size_t bits = old.messages[1].len * 8;
    for (size_t bit = 0; bit <= bits; bit++) {
        struct end a, b;
        end_open(&a, &leeds, true);
        end_open(&b, &york, false);
        tune_versions(&a, 1, 3);
        tune_versions(&b, 1, 3);
        assert_int_equal(wc_link_start(a.link, &a.out), 0);
        assert_int_equal(give_buf(&b, &a.out), 0);
        wc_buf_reset(&a.out);
        if (bit == bits) {
            assert_int_equal(give_buf(&a, &b.out), 0);
            assert_int_equal(give_buf(&b, &a.out), 0);
            assert_int_equal(wc_link_version(a.link), 3);
            assert_int_equal(wc_link_version(b.link), 3);
        } else {
            b.out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            give_buf(&a, &b.out);
            assert_int_equal(wc_link_version(a.link), 0);
            assert_int_equal(a.out.len, 0);
        }
        end_close(&a);
        end_close(&b);
    }
    struct end a;
    end_open(&a, &leeds, true);
    tune_versions(&a, 1, 3);
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    assert_int_equal(give_buf(&a, &old.messages[1]), -WC_EBADSIG);
    end_close(&a);
    session_drop(&old);
}

/* ---- certificates ---- */

#define CERT_FIELDS_COUNT 10
#define CHANGES_COUNT     (CERT_FIELDS_COUNT + 3)

/* The body of docs/certificates.md for `c`, with one thing changed. */
static void pack_changed(struct wc_buf *b, const struct wc_cert *c, int change)
{
    struct wc_cert d = *c;
    uint32_t count = CERT_FIELDS_COUNT;
    uint64_t version = change == 0 ? 2 : 1;
    if (change == 1)
        d.org_id[0] ^= 1;
    if (change == 2)
        memcpy(d.name, "office-z", sizeof("office-z"));
    if (change == 3)
        memcpy(d.title, "Palace", sizeof("Palace"));
    if (change == 4)
        d.sign_key[31] ^= 1;
    if (change == 5)
        d.link_key[0] ^= 1;
    if (change == 6)
        d.not_before_ms++;
    if (change == 7)
        d.not_after_ms++;
    if (change == 8)
        d.serial++;
    if (change == 9)
        d.quota++;
    if (change == 10)
        count--; /* the last left out */
    if (change == 11)
        count++; /* one more */
    wc_pack_array(b, count);
    if (change == 12) /* the same number, written longer */
        wc_buf_append(b, "\xcc\x01", 2);
    else
        wc_pack_u64(b, version);
    wc_pack_bin(b, wc_slice(d.org_id, sizeof(d.org_id)));
    wc_pack_text(b, d.name);
    wc_pack_text(b, d.title);
    wc_pack_bin(b, wc_slice(d.sign_key, sizeof(d.sign_key)));
    wc_pack_bin(b, wc_slice(d.link_key, sizeof(d.link_key)));
    wc_pack_u64(b, d.not_before_ms);
    wc_pack_u64(b, d.not_after_ms);
    wc_pack_u64(b, d.serial);
    if (change != 10)
        wc_pack_u64(b, d.quota);
    if (change == 11)
        wc_pack_u64(b, 0);
}

/* leeds's certificate with one thing changed. by: who signs it, NULL: the old signature
 * stays. */
static struct wc_identity changed(int change, const struct wc_signer *by)
{
    struct wc_identity id = leeds;
    struct wc_buf body = {0}, cert = {0};
    struct wc_doc *doc;
    struct wc_slice old;
    uint8_t sig[WC_SIG_BYTES];
    pack_changed(&body, &leeds.cert, change);
    assert_int_equal(
        wc_doc_new(wc_slice(leeds.cert_bytes, leeds.cert_len), &wc_scan_default, &doc),
        0);
    assert_int_equal(wc_obj_bin(wc_obj_at(wc_doc_root(doc), 1), &old), 0);
    memcpy(sig, old.data, sizeof(sig));
    if (by != NULL)
        assert_int_equal(wc_sign(sig, by, "whocan certificate", 0, wc_buf_slice(&body)),
                         0);
    wc_pack_array(&cert, 2);
    wc_pack_bin(&cert, wc_buf_slice(&body));
    wc_pack_bin(&cert, wc_slice(sig, sizeof(sig)));
    assert_true(!cert.failed && cert.len <= sizeof(id.cert_bytes));
    memcpy(id.cert_bytes, cert.data, cert.len);
    id.cert_len = cert.len;
    wc_doc_free(doc);
    wc_buf_fini(&body);
    wc_buf_fini(&cert);
    return id;
}

/* What york says to somebody who shows that as initiator, and as responder. */
static int shown_to_york(const struct wc_identity *id, bool initiator)
{
    struct end them, us;
    end_open(&them, id, initiator);
    end_open(&us, &york, !initiator);
    int rc;
    if (initiator) {
        assert_int_equal(wc_link_start(them.link, &them.out), 0);
        assert_int_equal(give_buf(&us, &them.out), 0);
        wc_buf_reset(&them.out);
        assert_int_equal(give_buf(&them, &us.out), 0);
        wc_buf_reset(&us.out);
        rc = give_buf(&us, &them.out);
        assert_int_equal(us.out.len, 0);
    } else {
        assert_int_equal(wc_link_start(us.link, &us.out), 0);
        assert_int_equal(give_buf(&them, &us.out), 0);
        wc_buf_reset(&us.out);
        rc = give_buf(&us, &them.out);
        assert_int_equal(us.out.len > 0, rc == 0); /* who york is stays unsaid */
    }
    assert_int_equal(rc == 0, is_open(&us));
    assert_int_equal(rc == 0, wc_link_peer(us.link) != NULL);
    end_close(&them);
    end_close(&us);
    return rc;
}

static void every_changed_field_of_a_certificate_is_refused(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        assert_int_equal(shown_to_york(&leeds, side == 0), 0);
        for (int change = 0; change < CHANGES_COUNT; change++) {
            struct wc_identity id = changed(change, NULL);
            assert_int_not_equal(shown_to_york(&id, side == 0), 0);
            id = changed(change, &org_b.signer); /* another organisation's key */
            assert_int_not_equal(shown_to_york(&id, side == 0), 0);
            id = changed(change, &leeds.signer); /* its own */
            assert_int_not_equal(shown_to_york(&id, side == 0), 0);
        }
        /* and the test can tell: signed by the right key, a title may be another */
        struct wc_identity id = changed(3, &org_a.signer);
        assert_int_equal(shown_to_york(&id, side == 0), 0);
    }
}

/* Every bit of the certificate, sealed in a handshake that is otherwise right. */
static void every_flipped_bit_of_a_certificate_is_refused(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < leeds.cert_len * 8; bit++) {
        struct wc_identity id = leeds;
        id.cert_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(shown_to_york(&id, true), 0);
    }
}

/* ---- both ends ---- */

static void the_hello_tells_the_two_ends_of_one_link(void **state)
{
    (void)state;
    struct end a, b, c;
    end_open(&a, &leeds, true);
    end_open(&b, &york, false);
    end_open(&c, &leeds, true);
    assert_null(wc_link_hello(a.link));
    assert_null(wc_link_hello(b.link));
    assert_int_equal(wc_link_start(a.link, &a.out), 0);
    assert_int_equal(wc_link_start(c.link, &c.out), 0);
    assert_int_equal(give_buf(&b, &a.out), 0);
    assert_memory_equal(wc_link_hello(a.link), wc_link_hello(b.link), WC_KEY_BYTES);
    assert_memory_equal(wc_link_hello(a.link), a.out.data + 2, WC_KEY_BYTES);
    assert_memory_not_equal(wc_link_hello(a.link), wc_link_hello(c.link), WC_KEY_BYTES);
    end_close(&a);
    end_close(&b);
    end_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_hello_gets_one_unreadable_answer),
        cmocka_unit_test(a_recorded_session_is_refused),
        cmocka_unit_test(parts_of_a_session_do_not_fit_another),
        cmocka_unit_test(frames_are_taken_in_order_and_once),
        cmocka_unit_test(an_old_version_cannot_be_forced),
        cmocka_unit_test(every_changed_field_of_a_certificate_is_refused),
        cmocka_unit_test(every_flipped_bit_of_a_certificate_is_refused),
        cmocka_unit_test(the_hello_tells_the_two_ends_of_one_link),
    };
    if (wc_crypto_init() != 0)
        return 1;
    org_a = offices_org('a');
    org_b = offices_org('b');
    leeds = offices_office(&org_a, 'l');
    york = offices_office(&org_a, 'y');
    hull = offices_office(&org_a, 'h');
    return cmocka_run_group_tests(tests, NULL, NULL);
}
