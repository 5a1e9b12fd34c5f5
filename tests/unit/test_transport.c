/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real connections on one event loop: offices with a transport each, and raw clients
 * that keep to no rules.
 *
 * Where the kernel allows it, all this happens in a network namespace of its own, which
 * also has an address that is not loopback; tests that need that one are skipped
 * elsewhere. Nothing waits for a time: the loop runs until a condition holds, and a
 * condition that never holds fails the test.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <whocan/link.h>

#include "daemon/penalty.h"
#include "daemon/transport.h"
#include "tests/unit/offices.h"
#include "tests/unit/unit.h"

#define PATIENCE_MS  60000 /* a condition that takes longer is a failure */
#define OUTSIDE      "10.213.7.1"
#define LINKS_MAX    256
#define FAILURES_MAX 64

static bool own_network; /* OUTSIDE is ours */
static struct offices_org org_a, org_b;
static struct wc_identity leeds_id, york_id;
static uv_loop_t *loop;

/* ---- offices ---- */

#define DEAF_COUNT 20 /* links that do not read */

struct office {
    struct wc_transport *t;
    const char *name;
    char address[80];
    uint16_t port;
    uint32_t links[LINKS_MAX]; /* up now */
    unsigned links_count;
    unsigned ups, downs, frames, refusals, excesses, twins;
    char last_excess[WC_ADDRESS_MAX_BYTES + 1];
    int last_down, last_refusal;
    uint32_t last_dial;
    bool last_initiator;
    char last_peer[WC_OFFICE_NAME_MAX_BYTES + 1];
    char last_remote[WC_ADDRESS_MAX_BYTES + 1];
    struct {
        uint32_t dial;
        int rc;
    } failures[FAILURES_MAX];
    unsigned failures_count;
    uint64_t bytes;
    struct wc_buf last_frame;
    bool closed;
    bool in_call; /* a function of the transport is running */

    /* what it does besides counting */
    void (*on_up)(struct office *o, uint32_t link);
    void (*on_frame)(struct office *o, uint32_t link, struct wc_slice frame);
    struct office *other;
    uint64_t wanted;
};

static bool has_link(const struct office *o, uint32_t link)
{
    for (unsigned i = 0; i < o->links_count; i++) {
        if (o->links[i] == link)
            return true;
    }
    return false;
}

static void office_up(void *ctx, uint32_t link, const struct wc_cert *peer,
                      struct wc_slice peer_cert, struct wc_slice peer_rotation,
                      bool initiator, uint32_t dial, const char *remote)
{
    struct office *o = ctx;
    assert_false(o->in_call);
    assert_false(o->closed);
    assert_int_not_equal(link, 0);
    assert_false(has_link(o, link));
    assert_true(o->links_count < LINKS_MAX);
    assert_int_equal(initiator, dial != 0);
    o->links[o->links_count++] = link;
    o->ups++;
    o->last_dial = dial;
    o->last_initiator = initiator;
    snprintf(o->last_peer, sizeof(o->last_peer), "%s", peer->name);
    snprintf(o->last_remote, sizeof(o->last_remote), "%s", remote);
    assert_true(peer_cert.len > 0);
    assert_int_equal(peer_rotation.len, 0);
    if (o->on_up != NULL)
        o->on_up(o, link);
    /* what was lent for the call is still there, whatever on_up did */
    assert_string_equal(o->last_peer, peer->name);
    assert_int_equal(peer_cert.data[0], 0x92);
}

static void office_frame(void *ctx, uint32_t link, struct wc_slice frame)
{
    struct office *o = ctx;
    assert_false(o->in_call);
    assert_false(o->closed);
    assert_true(has_link(o, link));
    o->frames++;
    o->bytes += frame.len;
    wc_buf_reset(&o->last_frame);
    wc_buf_append(&o->last_frame, frame.data, frame.len);
    if (o->on_frame != NULL)
        o->on_frame(o, link, frame);
    assert_memory_equal(o->last_frame.data, frame.data, frame.len);
}

static void office_down(void *ctx, uint32_t link, int rc)
{
    struct office *o = ctx;
    assert_false(o->in_call);
    assert_false(o->closed);
    assert_true(has_link(o, link));
    for (unsigned i = 0; i < o->links_count; i++) {
        if (o->links[i] == link)
            o->links[i] = o->links[o->links_count - 1];
    }
    o->links_count--;
    o->downs++;
    o->last_down = rc;
}

static void office_dial_failed(void *ctx, uint32_t dial, int rc)
{
    struct office *o = ctx;
    assert_false(o->in_call);
    assert_false(o->closed);
    if (o->failures_count < FAILURES_MAX) {
        o->failures[o->failures_count].dial = dial;
        o->failures[o->failures_count].rc = rc;
    }
    o->failures_count++;
}

static void office_refused(void *ctx, const char *remote, int rc)
{
    struct office *o = ctx;
    assert_false(o->closed);
    assert_non_null(strchr(remote, ':'));
    o->refusals++;
    o->last_refusal = rc;
}

static void office_misbehaved(void *ctx, const char *source)
{
    struct office *o = ctx;
    assert_false(o->closed);
    o->excesses++;
    snprintf(o->last_excess, sizeof(o->last_excess), "%s", source);
}

static void office_twin(void *ctx, const char *remote)
{
    struct office *o = ctx;
    assert_false(o->in_call);
    assert_false(o->closed);
    assert_non_null(strchr(remote, ':'));
    o->twins++;
}

static void office_done(void *ctx)
{
    struct office *o = ctx;
    assert_false(o->in_call);
    assert_false(o->closed);
    o->closed = true;
}

static void office_listen(struct office *o, const char *host)
{
    char problem[WC_PROBLEM_BYTES] = "", address[80];
    snprintf(address, sizeof(address), "%s:0", host);
    int rc = wc_transport_listen(o->t, address, &o->port, problem);
    if (rc != 0)
        print_error("%s\n", problem);
    assert_int_equal(rc, 0);
    assert_int_not_equal(o->port, 0);
    snprintf(o->address, sizeof(o->address), "%s:%u", host, (unsigned)o->port);
}

/* An office that listens on a port of host (NULL: does not listen). */
static void office_start(struct office *o, const struct wc_identity *id,
                         const char *host)
{
    *o = (struct office){.name = id == NULL ? "nobody" : id->cert.name};
    const struct wc_transport_events events = {
        .ctx = o,
        .up = office_up,
        .frame = office_frame,
        .down = office_down,
        .dial_failed = office_dial_failed,
        .refused = office_refused,
        .misbehaved = office_misbehaved,
        .twin = office_twin,
    };
    assert_int_equal(wc_transport_new(&o->t, loop, &events), 0);
    wc_transport_set_identity(o->t, id);
    if (host != NULL)
        office_listen(o, host);
}

static void office_dial(struct office *o, uint32_t dial, const char *address)
{
    o->in_call = true;
    wc_transport_dial(o->t, dial, address);
    o->in_call = false;
}

static void office_send(struct office *o, uint32_t link, struct wc_slice frame)
{
    o->in_call = true;
    wc_transport_send(o->t, link, frame);
    o->in_call = false;
}

static struct wc_transport_stats office_stats(const struct office *o)
{
    struct wc_transport_stats stats;
    wc_transport_stats(o->t, &stats);
    return stats;
}

/* ---- running the loop ---- */

static void on_patience(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle->data = NULL;
}

#define RUN_UNTIL(condition)                                                           \
    do {                                                                               \
        bool out_ = false;                                                             \
        uv_timer_t patience_;                                                          \
        uv_update_time(loop);                                                          \
        uv_timer_init(loop, &patience_);                                               \
        patience_.data = &out_;                                                        \
        uv_timer_start(&patience_, on_patience, PATIENCE_MS, 0);                       \
        while (!(condition) && !out_)                                                  \
            uv_run(loop, UV_RUN_ONCE);                                                 \
        bool held_ = (condition);                                                      \
        uv_close((uv_handle_t *)&patience_, on_timer_closed);                          \
        while (patience_.data != NULL)                                                 \
            uv_run(loop, UV_RUN_NOWAIT);                                               \
        if (!held_)                                                                    \
            print_error("never came to hold: %s\n", #condition);                       \
        assert_true(held_);                                                            \
    } while (0)

static void office_stop(struct office *o)
{
    wc_transport_close(o->t, office_done, o);
    assert_false(o->closed);
    RUN_UNTIL(o->closed);
    wc_buf_fini(&o->last_frame);
}

static void join(struct office *from, struct office *to)
{
    unsigned ups = to->ups, own = from->ups;
    office_dial(from, 77, to->address);
    RUN_UNTIL(from->ups > own && to->ups > ups);
}

static int fresh_loop(void)
{
    loop = malloc(sizeof(*loop));
    return loop == NULL ? -1 : uv_loop_init(loop);
}

/* Every test leaves the loop as empty as it found it. One that failed leaves handles of
 * things that are no more: the tests after it get another loop. */
static int check_loop(void **state)
{
    (void)state;
    if (!uv_loop_alive(loop))
        return 0;
    fresh_loop();
    return -1;
}

/* ---- raw clients ---- */

struct raw {
    uv_tcp_t tcp;
    uv_connect_t connect;
    struct wc_buf in;
    bool connected, ended, closed;
    char read[4096];
};

static void raw_on_closed(uv_handle_t *handle)
{
    ((struct raw *)handle->data)->closed = true;
}

static void raw_close(struct raw *r)
{
    if (!uv_is_closing((uv_handle_t *)&r->tcp))
        uv_close((uv_handle_t *)&r->tcp, raw_on_closed);
}

static void raw_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct raw *r = handle->data;
    (void)suggested;
    *buf = uv_buf_init(r->read, sizeof(r->read));
}

static void raw_on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct raw *r = stream->data;
    if (got > 0)
        wc_buf_append(&r->in, buf->base, (size_t)got);
    if (got >= 0)
        return;
    r->ended = true;
    raw_close(r);
}

static void raw_on_connected(uv_connect_t *req, int status)
{
    struct raw *r = req->data;
    if (status == UV_ECANCELED)
        return;
    r->connected = true;
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&r->tcp, raw_on_alloc, raw_on_read);
    if (status < 0) {
        r->ended = true; /* accepted and closed before we looked */
        raw_close(r);
    }
}

static void raw_connect_from(struct raw *r, const char *from, const char *host,
                             uint16_t port)
{
    struct sockaddr_in address, own;
    memset(r, 0, sizeof(*r));
    assert_int_equal(uv_ip4_addr(host, port, &address), 0);
    assert_int_equal(uv_tcp_init(loop, &r->tcp), 0);
    r->tcp.data = r->connect.data = r;
    if (from != NULL) {
        assert_int_equal(uv_ip4_addr(from, 0, &own), 0);
        assert_int_equal(uv_tcp_bind(&r->tcp, (const struct sockaddr *)&own, 0), 0);
    }
    assert_int_equal(uv_tcp_connect(&r->connect, &r->tcp,
                                    (const struct sockaddr *)&address,
                                    raw_on_connected),
                     0);
}

static void raw_connect(struct raw *r, uint16_t port)
{
    raw_connect_from(r, NULL, "127.0.0.1", port);
}

/* What fits the socket at once; a peer that is gone is as good. */
static void raw_send(struct raw *r, const void *data, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)data, (unsigned)len);
    int status = uv_try_write((uv_stream_t *)&r->tcp, &buf, 1);
    assert_true(status == (int)len || status == UV_EPIPE || status == UV_ECONNRESET);
}

static void raw_end(struct raw *r)
{
    raw_close(r);
    RUN_UNTIL(r->closed);
    wc_buf_fini(&r->in);
}

/* Message 1 of a member of the organisation. */
static void good_hello(struct wc_buf *out)
{
    struct wc_link *link;
    uint8_t random[WC_KEY_BYTES] = {0x42};
    assert_int_equal(wc_link_new(&link, &leeds_id, true, random), 0);
    assert_int_equal(wc_link_start(link, out), 0);
    wc_link_free(link);
}

/* ---- links ---- */

static void exchange(struct office *a, struct office *b)
{
    office_send(a, a->links[0], wc_slice_text("there"));
    office_send(b, b->links[0], wc_slice_text("and back"));
    RUN_UNTIL(a->frames > 0 && b->frames > 0);
    assert_true(wc_slice_is(wc_buf_slice(&b->last_frame), "there"));
    assert_true(wc_slice_is(wc_buf_slice(&a->last_frame), "and back"));
}

/* A bare system may have no /etc/hosts, and then not even localhost is a name. */
static bool localhost_is_a_name(void)
{
    struct addrinfo *list = NULL;
    bool known = getaddrinfo("localhost", NULL, NULL, &list) == 0;
    if (known)
        freeaddrinfo(list);
    else
        print_message("this machine does not know the name localhost\n");
    return known;
}

static void two_offices_talk(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "[::1]", "localhost"};
    size_t count = sizeof(hosts) / sizeof(hosts[0]) - (localhost_is_a_name() ? 0 : 1);
    for (size_t i = 0; i < count; i++) {
        struct office leeds, york;
        office_start(&leeds, &leeds_id, NULL);
        office_start(&york, &york_id, hosts[i]);
        office_dial(&leeds, 5, york.address);
        assert_int_equal(leeds.ups, 0);
        RUN_UNTIL(leeds.ups == 1 && york.ups == 1);
        assert_string_equal(leeds.last_peer, york_id.cert.name);
        assert_string_equal(york.last_peer, leeds_id.cert.name);
        assert_int_equal(leeds.last_dial, 5);
        assert_true(leeds.last_initiator);
        assert_int_equal(york.last_dial, 0);
        assert_false(york.last_initiator);
        if (i < 2)
            assert_string_equal(leeds.last_remote, york.address);
        exchange(&leeds, &york);

        struct wc_transport_link info;
        assert_true(wc_transport_link(leeds.t, leeds.links[0], &info));
        assert_string_equal(info.remote_address, leeds.last_remote);
        assert_true(info.sent_bytes > 50 && info.received_bytes > 50);
        assert_int_equal(info.queued_bytes, 0);
        assert_false(wc_transport_link(leeds.t, leeds.links[0] + 1, &info));
        assert_int_equal(office_stats(&york).accepted_count, 1);
        assert_int_equal(office_stats(&york).links_count, 1);
        assert_int_equal(office_stats(&york).handshakes_count, 0);
        assert_int_equal(office_stats(&york).strangers_count, 0);

        uint32_t link = leeds.links[0];
        leeds.in_call = true;
        wc_transport_send(leeds.t, link, wc_slice_text("the last word"));
        wc_transport_close_link(leeds.t, link);
        wc_transport_close_link(leeds.t, link);
        wc_transport_send(leeds.t, link, wc_slice_text("too late"));
        leeds.in_call = false;
        RUN_UNTIL(leeds.downs == 1 && york.downs == 1);
        assert_int_equal(leeds.last_down, 0);
        assert_int_equal(york.last_down, -WC_ECLOSED);
        assert_int_equal(york.frames, 2); /* the last word, too */
        assert_int_equal(office_stats(&york).links_count, 0);
        office_stop(&leeds);
        office_stop(&york);
    }
}

/* localhost may be ::1 first; york listens on 127.0.0.1 alone. */
static void every_address_of_a_name_is_tried(void **state)
{
    (void)state;
    struct office leeds, york;
    char name[32];
    if (!localhost_is_a_name())
        skip();
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    snprintf(name, sizeof(name), "localhost:%u", (unsigned)york.port);
    office_dial(&leeds, 5, name);
    RUN_UNTIL(leeds.ups == 1 && york.ups == 1);
    assert_int_equal(leeds.failures_count, 0);
    office_stop(&leeds);
    office_stop(&york);
}

/* Both directions at once, every size, in order, with only so much queued. */
#define VOLUME_BYTES  (24u << 20)
#define VOLUME_QUEUED (1u << 20)

static size_t volume_size(uint64_t n)
{
    return 1 + (size_t)(n * 2654435761u) % (n % 7 == 0 ? WC_FRAME_MAX_BYTES : 900);
}

static void volume_check(struct office *o, uint32_t link, struct wc_slice frame)
{
    (void)link;
    uint64_t n = o->frames - 1u;
    assert_int_equal(frame.len, volume_size(n));
    assert_int_equal(frame.data[0], n % 251);
    assert_int_equal(frame.data[frame.len - 1], n % 251);
}

static void volume_feed(struct office *o, uint64_t *n, uint64_t *sent)
{
    static uint8_t frame[WC_FRAME_MAX_BYTES];
    struct wc_transport_link info;
    while (*sent < VOLUME_BYTES && wc_transport_link(o->t, o->links[0], &info) &&
           info.queued_bytes < VOLUME_QUEUED) {
        size_t len = volume_size(*n);
        memset(frame, (int)(*n % 251), len);
        office_send(o, o->links[0], wc_slice(frame, len));
        *sent += len;
        ++*n;
    }
}

static void large_volumes_pass_both_ways(void **state)
{
    (void)state;
    struct office leeds, york;
    uint64_t n[2] = {0}, sent[2] = {0};
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    leeds.on_frame = york.on_frame = volume_check;
    join(&leeds, &york);
    while (leeds.bytes < VOLUME_BYTES || york.bytes < VOLUME_BYTES) {
        volume_feed(&leeds, &n[0], &sent[0]);
        volume_feed(&york, &n[1], &sent[1]);
        assert_int_equal(leeds.downs + york.downs, 0);
        uv_run(loop, UV_RUN_ONCE);
    }
    assert_int_equal(york.frames, n[0]);
    assert_int_equal(leeds.frames, n[1]);
    assert_int_equal(york.bytes, sent[0]);
    assert_int_equal(leeds.bytes, sent[1]);
    office_stop(&leeds);
    office_stop(&york);
}

static void echo(struct office *o, uint32_t link, struct wc_slice frame)
{
    wc_transport_send(o->t, link, frame);
}

static void answer_until_wanted(struct office *o, uint32_t link, struct wc_slice frame)
{
    if (o->frames < o->wanted)
        wc_transport_send(o->t, link, frame);
}

/* A frame that is answered from within its event, many times over. */
static void frames_may_be_answered_at_once(void **state)
{
    (void)state;
    struct office leeds, york;
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    leeds.on_frame = answer_until_wanted;
    leeds.wanted = 2000;
    york.on_frame = echo;
    join(&leeds, &york);
    office_send(&leeds, leeds.links[0], wc_slice_text("ping"));
    RUN_UNTIL(leeds.frames == leeds.wanted);
    office_stop(&leeds);
    office_stop(&york);
}

/* ---- peers that misbehave ---- */

/* A member opens a link by hand and then reads nothing more. */
static void link_and_read_nothing(struct office *to, struct raw *r)
{
    struct wc_link *link;
    struct wc_buf out = {0};
    uint8_t random[WC_KEY_BYTES] = {0x42};
    unsigned ups = to->ups;
    assert_int_equal(wc_link_new(&link, &leeds_id, true, random), 0);
    assert_int_equal(wc_link_start(link, &out), 0);
    raw_connect(r, to->port);
    RUN_UNTIL(r->connected);
    raw_send(r, out.data, out.len);
    RUN_UNTIL(r->in.len > 2 && r->in.len == 2u + wc_get_u16(r->in.data));
    uv_read_stop((uv_stream_t *)&r->tcp);
    wc_buf_reset(&out);
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    assert_int_equal(
        wc_link_receive(link, wc_buf_slice(&r->in), now_ms, &out, NULL, NULL), 0);
    raw_send(r, out.data, out.len);
    RUN_UNTIL(to->ups == ups + 1);
    wc_link_free(link);
    wc_buf_fini(&out);
}

static void a_peer_that_does_not_read_is_closed(void **state)
{
    (void)state;
    static uint8_t frame[WC_FRAME_MAX_BYTES];
    struct office york;
    struct raw r;
    office_start(&york, &york_id, "127.0.0.1");
    link_and_read_nothing(&york, &r);

    struct wc_transport_link info;
    uint64_t most = 0;
    while (york.downs == 0) {
        for (int i = 0; i < 16; i++) {
            office_send(&york, york.last_dial + york.links[0],
                        wc_slice(frame, sizeof(frame)));
            if (wc_transport_link(york.t, york.links[0], &info) &&
                info.queued_bytes > most)
                most = info.queued_bytes;
        }
        uv_run(loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(york.last_down, -WC_ELIMIT);
    assert_true(most > WC_LINK_QUEUE_MAX_BYTES / 2);
    assert_true(most <= WC_LINK_QUEUE_MAX_BYTES);
    raw_end(&r);
    office_stop(&york);
}

/* Each of them below what one may have; and who reads loses nothing by it. */
static void all_queues_together_are_bounded(void **state)
{
    (void)state;
    static uint8_t frame[WC_FRAME_MAX_BYTES];
    static struct raw deaf[DEAF_COUNT];
    uint32_t links[DEAF_COUNT];
    struct office york, hull;
    uint64_t most = 0;
    office_start(&york, &york_id, "127.0.0.1");
    office_start(&hull, &leeds_id, NULL);
    office_dial(&hull, 1, york.address);
    RUN_UNTIL(york.ups == 1 && hull.ups == 1);
    uint32_t reads = york.links[0];
    for (int i = 0; i < DEAF_COUNT; i++) {
        link_and_read_nothing(&york, &deaf[i]);
        links[i] = york.links[york.links_count - 1];
    }
    for (int round = 0; round < 200 && york.downs == 0; round++) {
        uint64_t total = 0;
        for (int i = 0; i < DEAF_COUNT; i++) {
            office_send(&york, links[i], wc_slice(frame, sizeof(frame)));
            assert_true(wc_transport_queued_bytes(york.t, links[i]) <
                        WC_LINK_QUEUE_MAX_BYTES);
        }
        for (int i = 0; i < DEAF_COUNT; i++)
            total += wc_transport_queued_bytes(york.t, links[i]);
        most = total > most ? total : most;
        office_send(&york, reads, wc_slice(frame, 100));
        uv_run(loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(york.last_down, -WC_ELIMIT);
    assert_true(most > WC_LINKS_QUEUE_MAX_BYTES / 2);
    assert_true(most <= WC_LINKS_QUEUE_MAX_BYTES);
    unsigned frames = hull.frames;
    office_send(&york, reads, wc_slice(frame, 100));
    RUN_UNTIL(hull.frames > frames);
    for (int i = 0; i < DEAF_COUNT; i++)
        raw_end(&deaf[i]);
    office_stop(&hull);
    office_stop(&york);
}

static void other_organisations_get_no_byte(void **state)
{
    (void)state;
    struct wc_identity far_id = offices_office(&org_b, 'f');
    struct office far, york;
    office_start(&far, &far_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    office_dial(&far, 9, york.address);
    RUN_UNTIL(far.failures_count == 1);
    assert_int_equal(far.failures[0].dial, 9);
    assert_int_equal(far.failures[0].rc, -WC_ECLOSED);
    assert_int_equal(york.ups, 0);
    assert_int_equal(york.refusals, 0); /* a stranger is not worth a line */
    assert_int_equal(office_stats(&york).refused_count, 1);

    struct wc_link *link;
    struct wc_buf hello = {0};
    struct raw r;
    uint8_t random[WC_KEY_BYTES] = {0x42};
    assert_int_equal(wc_link_new(&link, &far_id, true, random), 0);
    assert_int_equal(wc_link_start(link, &hello), 0);
    raw_connect(&r, york.port);
    RUN_UNTIL(r.connected);
    raw_send(&r, hello.data, hello.len);
    RUN_UNTIL(r.ended);
    assert_int_equal(r.in.len, 0);
    wc_link_free(link);
    wc_buf_fini(&hello);
    raw_end(&r);
    office_stop(&far);
    office_stop(&york);
}

/* Whoever knows the secret and is refused all the same is told of. */
static void an_expired_office_is_refused_by_name(void **state)
{
    (void)state;
    struct wc_identity old_id = offices_office(&org_a, 'o');
    old_id.cert.not_after_ms = old_id.cert.not_before_ms + 1;
    offices_certify(&old_id, &org_a);
    struct office old, york;
    office_start(&old, &old_id, "127.0.0.1");
    office_start(&york, &york_id, "127.0.0.1");
    office_dial(&old, 1, york.address);
    RUN_UNTIL(york.refusals == 1 && old.downs == 1);
    assert_int_equal(york.last_refusal, -WC_EEXPIRED);
    assert_int_equal(old.last_down, -WC_ECLOSED);
    office_dial(&york, 2, old.address);
    RUN_UNTIL(york.failures_count == 1);
    assert_int_equal(york.failures[0].rc, -WC_EEXPIRED);
    assert_int_equal(york.ups, 0);
    assert_int_equal(old.ups, 1);
    office_stop(&old);
    office_stop(&york);
}

static void an_office_that_dials_itself_learns_so(void **state)
{
    (void)state;
    struct office york;
    office_start(&york, &york_id, "127.0.0.1");
    office_dial(&york, 3, york.address);
    RUN_UNTIL(york.failures_count == 1);
    assert_int_equal(york.failures[0].dial, 3);
    assert_int_equal(york.failures[0].rc, -WC_EEXISTS);
    assert_int_equal(york.ups, 0);
    assert_int_equal(york.twins, 0); /* it was not somebody else */
    office_stop(&york);
}

/* Two machines with one office's keys. */
static void a_twin_is_noticed(void **state)
{
    (void)state;
    struct office york, copy;
    office_start(&york, &york_id, "127.0.0.1");
    office_start(&copy, &york_id, "127.0.0.1");
    office_dial(&copy, 3, york.address);
    RUN_UNTIL(copy.failures_count == 1);
    assert_int_equal(copy.failures[0].rc, -WC_EEXISTS);
    assert_int_equal(copy.twins, 1);
    office_dial(&york, 4, copy.address);
    office_dial(&york, 5, york.address); /* itself, at the same time */
    RUN_UNTIL(york.failures_count == 2);
    assert_int_equal(york.twins, 1);
    office_stop(&york);
    office_stop(&copy);
}

/* 2,000 connections that say something or nothing, while two offices talk. */
static const struct {
    const char *bytes;
    size_t len;
} garbage[] = {
    {"", 0},
    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27},
    {"\0", 1},
    {"\0\60", 2},
    {"\377\377", 2},
    {"\0\60aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 50},
    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11},
};
#define GARBAGE_COUNT (sizeof(garbage) / sizeof(garbage[0]))
#define STORM_TOTAL   2000u
#define STORM_AT_ONCE 200u

static void storms_of_strangers_disturb_nobody(void **state)
{
    (void)state;
    static struct raw raws[STORM_AT_ONCE];
    struct office leeds, york;
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    leeds.on_frame = york.on_frame = echo;
    join(&leeds, &york);
    office_send(&leeds, leeds.links[0], wc_slice_text("round and round"));
    for (unsigned done = 0; done < STORM_TOTAL; done += STORM_AT_ONCE) {
        unsigned frames = york.frames;
        for (unsigned i = 0; i < STORM_AT_ONCE; i++)
            raw_connect(&raws[i], york.port);
        for (unsigned i = 0; i < STORM_AT_ONCE; i++) {
            RUN_UNTIL(raws[i].connected);
            if (!raws[i].ended && garbage[i % GARBAGE_COUNT].len > 0)
                raw_send(&raws[i], garbage[i % GARBAGE_COUNT].bytes,
                         garbage[i % GARBAGE_COUNT].len);
            assert_true(office_stats(&york).strangers_count <= WC_STRANGERS_MAX_COUNT);
        }
        /* what is wrong is closed at once; what is silent stays until it is crowded
         * out, or its time is over */
        for (unsigned i = 0; i < STORM_AT_ONCE; i++) {
            if (garbage[i % GARBAGE_COUNT].len > 2)
                RUN_UNTIL(raws[i].ended);
        }
        RUN_UNTIL(york.frames > frames);
        for (unsigned i = 0; i < STORM_AT_ONCE; i++) {
            assert_int_equal(raws[i].in.len, 0);
            raw_end(&raws[i]);
        }
    }
    assert_int_equal(leeds.downs + york.downs, 0);
    assert_int_equal(york.ups, 1);
    RUN_UNTIL(office_stats(&york).strangers_count == 0);
    assert_int_equal(office_stats(&york).accepted_count, STORM_TOTAL + 1);
    /* of each 200, 72 may be crowded out before they have spoken, and 4 of 7 speak badly */
    assert_true(office_stats(&york).refused_count >= STORM_TOTAL / 200 * 40);
    office_stop(&leeds);
    office_stop(&york);
}

static unsigned count_ended(const struct raw *raws, unsigned count)
{
    unsigned ended = 0;
    for (unsigned i = 0; i < count; i++)
        ended += raws[i].ended;
    return ended;
}

#define SILENT_COUNT (WC_STRANGERS_MAX_COUNT + 40u)

static void the_oldest_strangers_give_way(void **state)
{
    (void)state;
    static struct raw raws[SILENT_COUNT];
    struct office leeds, york;
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    for (unsigned i = 0; i < SILENT_COUNT; i++) {
        raw_connect(&raws[i], york.port);
        RUN_UNTIL(office_stats(&york).accepted_count == i + 1);
    }
    RUN_UNTIL(count_ended(raws, SILENT_COUNT) == SILENT_COUNT - WC_STRANGERS_MAX_COUNT);
    assert_int_equal(count_ended(raws, SILENT_COUNT - WC_STRANGERS_MAX_COUNT),
                     SILENT_COUNT - WC_STRANGERS_MAX_COUNT);
    assert_int_equal(office_stats(&york).strangers_count, WC_STRANGERS_MAX_COUNT);
    join(&leeds, &york); /* full of strangers, and yet */
    exchange(&leeds, &york);
    for (unsigned i = 0; i < SILENT_COUNT; i++)
        raw_end(&raws[i]);
    office_stop(&leeds);
    office_stop(&york);
}

/* A message 1 that was overheard passes the MAC for ever: such handshakes are counted,
 * and no more than so many cost a Diffie-Hellman. */
static void handshakes_past_the_mac_are_bounded(void **state)
{
    (void)state;
    static struct raw raws[WC_HANDSHAKES_MAX_COUNT];
    struct office leeds, york;
    struct raw late;
    struct wc_buf hello = {0};
    good_hello(&hello);
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    for (unsigned i = 0; i < WC_HANDSHAKES_MAX_COUNT; i++) {
        raw_connect(&raws[i], york.port);
        RUN_UNTIL(raws[i].connected);
        raw_send(&raws[i], hello.data, hello.len);
        RUN_UNTIL(raws[i].in.len > 0);
    }
    assert_int_equal(office_stats(&york).handshakes_count, WC_HANDSHAKES_MAX_COUNT);
    assert_int_equal(office_stats(&york).strangers_count, 0);
    raw_connect(&late, york.port);
    RUN_UNTIL(late.connected);
    raw_send(&late, hello.data, hello.len);
    RUN_UNTIL(late.ended);
    assert_int_equal(late.in.len, 0);
    raw_end(&late);
    assert_int_equal(office_stats(&york).limited_count, 1);
    for (unsigned i = 0; i < WC_HANDSHAKES_MAX_COUNT; i++)
        raw_end(&raws[i]);
    RUN_UNTIL(office_stats(&york).handshakes_count == 0);
    join(&leeds, &york);
    wc_buf_fini(&hello);
    office_stop(&leeds);
    office_stop(&york);
}

/* ---- limits by source ---- */

static void need_own_network(void)
{
    if (!own_network) {
        print_message("[  NOTE    ] no network namespace of our own here\n");
        skip();
    }
}

static void one_source_gets_four_handshakes(void **state)
{
    (void)state;
    need_own_network();
    struct raw raws[WC_HANDSHAKES_ADDR_COUNT + 2], local;
    struct office york;
    struct wc_buf hello = {0};
    good_hello(&hello);
    office_start(&york, &york_id, OUTSIDE);
    /* two that pass the MAC, two that say nothing */
    for (unsigned i = 0; i < WC_HANDSHAKES_ADDR_COUNT; i++) {
        raw_connect_from(&raws[i], OUTSIDE, OUTSIDE, york.port);
        RUN_UNTIL(raws[i].connected);
        RUN_UNTIL(office_stats(&york).accepted_count == i + 1);
        if (i % 2 == 0) {
            raw_send(&raws[i], hello.data, hello.len);
            RUN_UNTIL(raws[i].in.len > 0);
        }
    }
    /* the fifth pushes out the oldest that said nothing, and so the sixth */
    for (unsigned i = 0; i < 2; i++) {
        struct raw *newest = &raws[WC_HANDSHAKES_ADDR_COUNT + i];
        raw_connect_from(newest, OUTSIDE, OUTSIDE, york.port);
        RUN_UNTIL(raws[1 + 2 * i].ended);
        RUN_UNTIL(newest->connected);
        assert_false(newest->ended);
        raw_send(newest, hello.data, hello.len);
        RUN_UNTIL(newest->in.len > 0);
    }
    assert_int_equal(office_stats(&york).handshakes_count, WC_HANDSHAKES_ADDR_COUNT);
    /* all four past the MAC: the next is turned away, but not one of another source */
    raw_end(&raws[1]);
    raw_connect_from(&raws[1], OUTSIDE, OUTSIDE, york.port);
    RUN_UNTIL(raws[1].ended);
    assert_int_equal(office_stats(&york).limited_count, 3);
    assert_int_equal(office_stats(&york).timeout_count, 0);
    raw_connect_from(&local, "127.0.0.2", OUTSIDE, york.port);
    RUN_UNTIL(local.connected);
    raw_send(&local, hello.data, hello.len);
    RUN_UNTIL(local.in.len > 0);
    raw_end(&local);
    for (unsigned i = 0; i < WC_HANDSHAKES_ADDR_COUNT + 2; i++)
        raw_end(&raws[i]);
    wc_buf_fini(&hello);
    office_stop(&york);
}

static void configured_peers_are_exempt(void **state)
{
    (void)state;
    need_own_network();
    static const char *const peers[] = {"nonsense", "leeds.example:1", OUTSIDE ":7411"};
    struct raw raws[3 * WC_HANDSHAKES_ADDR_COUNT];
    const unsigned count = sizeof(raws) / sizeof(raws[0]);
    struct office york;
    office_start(&york, &york_id, OUTSIDE);
    wc_transport_set_exempt(york.t, peers, 3);
    for (unsigned i = 0; i < count; i++) {
        raw_connect_from(&raws[i], OUTSIDE, OUTSIDE, york.port);
        RUN_UNTIL(office_stats(&york).accepted_count == i + 1);
    }
    assert_int_equal(office_stats(&york).strangers_count, count);
    assert_int_equal(office_stats(&york).limited_count, 0);
    for (unsigned i = 0; i < count; i++)
        raw_end(&raws[i]);
    RUN_UNTIL(office_stats(&york).strangers_count == 0);

    wc_transport_set_exempt(york.t, NULL, 0);
    for (unsigned i = 0; i < count; i++) {
        raw_connect_from(&raws[i], OUTSIDE, OUTSIDE, york.port);
        RUN_UNTIL(office_stats(&york).accepted_count == count + i + 1);
    }
    assert_int_equal(office_stats(&york).strangers_count, WC_HANDSHAKES_ADDR_COUNT);
    for (unsigned i = 0; i < count; i++)
        raw_end(&raws[i]);
    office_stop(&york);
}

/* ---- sources that misbehave ---- */

static void garbage_from(const char *from, struct office *to)
{
    struct raw r;
    raw_connect_from(&r, from, OUTSIDE, to->port);
    RUN_UNTIL(r.connected);
    raw_send(&r, "GET / HTTP/1.1\r\n\r\n", 18);
    RUN_UNTIL(r.ended);
    assert_int_equal(r.in.len, 0);
    raw_end(&r);
}

/* Whether a connection from there is looked at: one that says nothing stays. */
static bool is_let_in(const char *from, struct office *to)
{
    struct raw r;
    struct wc_transport_stats before = office_stats(to);
    raw_connect_from(&r, from, OUTSIDE, to->port);
    RUN_UNTIL(office_stats(to).accepted_count > before.accepted_count && r.connected);
    bool in = office_stats(to).strangers_count > before.strangers_count;
    assert_int_equal(office_stats(to).paused_count - before.paused_count, in ? 0 : 1);
    if (!in)
        RUN_UNTIL(r.ended);
    assert_int_equal(r.in.len, 0);
    raw_end(&r);
    RUN_UNTIL(office_stats(to).strangers_count == before.strangers_count);
    return in;
}

static void a_source_that_keeps_failing_is_paused(void **state)
{
    (void)state;
    need_own_network();
    struct office leeds, york;
    struct wc_offender worst;
    uint32_t total;
    char text[WC_ADDRESS_MAX_BYTES + 1];
    office_start(&york, &york_id, OUTSIDE);
    office_start(&leeds, &leeds_id, NULL);
    for (unsigned i = 0; york.excesses == 0; i++) {
        assert_true(i <=
                    WC_PENALTY_BURST_COUNT + 20); /* some are forgotten meanwhile */
        garbage_from(OUTSIDE, &york);
    }
    assert_string_equal(york.last_excess, OUTSIDE);
    assert_false(is_let_in(OUTSIDE, &york));
    assert_true(is_let_in("127.0.0.2", &york)); /* another source */
    assert_int_equal(wc_transport_offenders(york.t, &worst, 1, &total), 1);
    assert_int_equal(total, 1);
    wc_source_text(&worst.source, text);
    assert_string_equal(text, OUTSIDE);
    assert_true(worst.failures_count > WC_PENALTY_BURST_COUNT);
    office_dial(&leeds, 1, york.address); /* an office at that address waits as well */
    RUN_UNTIL(leeds.failures_count == 1 || leeds.ups == 1);
    unsigned failures = leeds.failures_count;
    while (leeds.ups == 0) { /* and is let in when the pause is over */
        office_dial(&leeds, 2, york.address);
        RUN_UNTIL(leeds.failures_count > failures || leeds.ups == 1);
        failures = leeds.failures_count;
    }
    assert_true(office_stats(&york).paused_count > 0);
    office_stop(&leeds);
    office_stop(&york);
}

/* Half-open connections push each other out, four at a time: that counts as well. */
static void silence_in_numbers_is_a_failure(void **state)
{
    (void)state;
    need_own_network();
    struct raw raws[WC_PENALTY_BURST_COUNT + 60];
    const unsigned count = sizeof(raws) / sizeof(raws[0]);
    struct office york;
    unsigned made = 0;
    office_start(&york, &york_id, OUTSIDE);
    while (office_stats(&york).paused_count == 0) {
        assert_true(made < count);
        raw_connect_from(&raws[made], OUTSIDE, OUTSIDE, york.port);
        made++;
        RUN_UNTIL(office_stats(&york).accepted_count == made);
        assert_true(office_stats(&york).strangers_count <= WC_HANDSHAKES_ADDR_COUNT);
    }
    for (unsigned i = 0; i < made; i++) {
        assert_int_equal(raws[i].in.len, 0);
        raw_end(&raws[i]);
    }
    office_stop(&york);
}

/* Whoever overheard a message 1 makes us compute, but not for long. */
static void a_replayed_hello_is_a_failure(void **state)
{
    (void)state;
    need_own_network();
    struct office york;
    struct wc_buf hello = {0};
    good_hello(&hello);
    office_start(&york, &york_id, OUTSIDE);
    for (unsigned i = 0; york.excesses == 0; i++) {
        struct raw r;
        assert_true(i <= WC_PENALTY_BURST_COUNT + 20);
        raw_connect_from(&r, OUTSIDE, OUTSIDE, york.port);
        RUN_UNTIL(r.connected);
        raw_send(&r, hello.data, hello.len);
        RUN_UNTIL(r.in.len > 0);
        raw_end(&r);
        RUN_UNTIL(office_stats(&york).handshakes_count == 0);
    }
    assert_false(is_let_in(OUTSIDE, &york));
    wc_buf_fini(&hello);
    office_stop(&york);
}

static void close_at_once(struct office *o, uint32_t link)
{
    wc_transport_close_link(o->t, link);
}

/* An office that was revoked authenticates and is closed, again and again. */
static void links_that_do_not_last_are_failures(void **state)
{
    (void)state;
    need_own_network();
    struct office leeds, york;
    office_start(&york, &york_id, OUTSIDE);
    office_start(&leeds, &leeds_id, NULL);
    york.on_up = close_at_once;
    for (unsigned i = 1; york.excesses == 0; i++) {
        assert_true(i <= WC_PENALTY_BURST_COUNT + 20);
        office_dial(&leeds, i, york.address);
        RUN_UNTIL(leeds.downs == i && york.downs == i);
    }
    assert_false(is_let_in(OUTSIDE, &york));
    office_stop(&leeds);
    office_stop(&york);
}

static void no_crowd_pushes_out(const char *from, struct office *to)
{
    struct raw first, last;
    static struct raw crowd[WC_STRANGERS_MAX_COUNT + 10];
    raw_connect_from(&first, from, OUTSIDE, to->port);
    RUN_UNTIL(first.connected && office_stats(to).strangers_count == 1);
    for (unsigned i = 0; i < WC_STRANGERS_MAX_COUNT + 10; i++)
        raw_connect_from(&crowd[i], "127.0.0.2", OUTSIDE, to->port);
    RUN_UNTIL(crowd[9].ended && crowd[10].ended);
    raw_connect_from(&last, "127.0.0.2", OUTSIDE, to->port);
    RUN_UNTIL(crowd[11].ended);
    assert_int_equal(office_stats(to).strangers_count, WC_STRANGERS_MAX_COUNT);
    assert_false(first.ended);
    raw_end(&first);
    raw_end(&last);
    for (unsigned i = 0; i < WC_STRANGERS_MAX_COUNT + 10; i++)
        raw_end(&crowd[i]);
}

/* leeds and somebody with garbage behind one address translator: while its link is open,
 * and after it was lost. */
static void an_office_behind_the_same_address_is_let_in(void **state)
{
    (void)state;
    need_own_network();
    for (int lost = 0; lost < 2; lost++) {
        struct office leeds, york;
        struct wc_transport_link info;
        office_start(&york, &york_id, OUTSIDE);
        office_start(&leeds, &leeds_id, NULL);
        join(&leeds, &york);
        RUN_UNTIL(wc_transport_link(york.t, york.links[0], &info) &&
                  uv_now(loop) - info.since_mono_ms >= WC_PENALTY_STEADY_MS);
        if (lost == 1) {
            wc_transport_close_link(leeds.t, leeds.links[0]);
            RUN_UNTIL(york.downs == 1 && leeds.downs == 1);
        }
        while (york.excesses == 0)
            garbage_from(OUTSIDE, &york);
        assert_true(is_let_in(OUTSIDE, &york));
        no_crowd_pushes_out(OUTSIDE, &york);
        join(&leeds, &york);
        assert_int_equal(office_stats(&york).paused_count, 0);
        office_stop(&leeds);
        office_stop(&york);
    }
}

static void loopback_is_never_paused(void **state)
{
    (void)state;
    struct office york, leeds;
    office_start(&york, &york_id, "127.0.0.1");
    office_start(&leeds, &leeds_id, NULL);
    for (unsigned i = 0; i < 2 * WC_PENALTY_BURST_COUNT || york.excesses == 0; i++) {
        struct raw r;
        raw_connect(&r, york.port);
        RUN_UNTIL(r.connected);
        raw_send(&r, "\377\377", 2);
        RUN_UNTIL(r.ended);
        raw_end(&r);
    }
    assert_string_equal(york.last_excess, "127.0.0.1");
    assert_int_equal(office_stats(&york).paused_count, 0);
    join(&leeds, &york);
    office_stop(&leeds);
    office_stop(&york);
}

/* ---- time ---- */

static void silence_ends_after_its_time(void **state)
{
    (void)state;
    struct office york;
    struct raw stranger, replay;
    struct wc_buf hello = {0};
    char mute_address[32];
    /* a server that never says a word: it listens, and nobody accepts */
    struct sockaddr_in mute = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(mute);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&mute, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&mute, &len), 0);
    snprintf(mute_address, sizeof(mute_address), "127.0.0.1:%u",
             (unsigned)ntohs(mute.sin_port));

    good_hello(&hello);
    office_start(&york, &york_id, "127.0.0.1");
    uv_update_time(loop);
    uint64_t start_ms = uv_now(loop);
    office_dial(&york, 4, mute_address);
    raw_connect(&stranger, york.port);
    raw_connect(&replay, york.port);
    RUN_UNTIL(stranger.connected && replay.connected);
    raw_send(&stranger, hello.data, 1);
    raw_send(&replay, hello.data, hello.len);
    RUN_UNTIL(replay.in.len > 0);
    RUN_UNTIL(stranger.ended && replay.ended && york.failures_count == 1);
    assert_true(uv_now(loop) - start_ms >= WC_HANDSHAKE_MAX_MS);
    assert_int_equal(york.failures[0].dial, 4);
    assert_int_equal(york.failures[0].rc, -WC_ETIMEOUT);
    assert_int_equal(stranger.in.len, 0);
    assert_int_equal(office_stats(&york).timeout_count, 3);
    close(fd);
    wc_buf_fini(&hello);
    raw_end(&stranger);
    raw_end(&replay);
    office_stop(&york);
}

/* ---- dials ---- */

static void failed_dials_are_reported_once(void **state)
{
    (void)state;
    struct office york, gone;
    office_start(&gone, &leeds_id, "127.0.0.1");
    char nobody[80];
    memcpy(nobody, gone.address, sizeof(nobody));
    office_stop(&gone);

    office_start(&york, &york_id, NULL);
    office_dial(&york, 1, nobody);
    office_dial(&york, 2, "not an address");
    office_dial(&york, 3, "127.0.0.1:0");
    office_dial(&york, 4, "no-such-host.invalid:7411");
    office_dial(&york, 5, "neither.invalid:7411");
    office_dial(&york, 6, "nor-this-one.invalid:7411");
    RUN_UNTIL(york.failures_count == 6);
    for (int i = 0; i < 20; i++)
        uv_run(loop, UV_RUN_NOWAIT);
    assert_int_equal(york.failures_count, 6);
    static const int want[] = {0,
                               -WC_EIO,
                               -WC_EINVALID,
                               -WC_EINVALID,
                               -WC_ENOTFOUND,
                               -WC_ENOTFOUND,
                               -WC_ENOTFOUND};
    unsigned seen = 0;
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(york.failures[i].rc, want[york.failures[i].dial]);
        seen |= 1u << york.failures[i].dial;
    }
    assert_int_equal(seen, 0x7e);
    office_stop(&york);
}

static void dials_over_the_limit_wait_their_turn(void **state)
{
    (void)state;
    const unsigned count = WC_DIALS_MAX_COUNT + 30;
    struct office leeds, york;
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    for (uint32_t i = 1; i <= count; i++)
        office_dial(&leeds, i, york.address);
    RUN_UNTIL(leeds.ups + leeds.failures_count == count);
    assert_int_equal(leeds.failures_count, 0);
    RUN_UNTIL(york.ups == count);
    office_stop(&leeds);
    RUN_UNTIL(york.downs == count);
    office_stop(&york);
}

/* ---- the identity ---- */

static void without_an_identity_there_are_no_links(void **state)
{
    (void)state;
    struct office nobody, york;
    struct raw r;
    office_start(&nobody, NULL, "127.0.0.1");
    office_start(&york, &york_id, NULL);
    office_dial(&nobody, 1, "127.0.0.1:9");
    office_dial(&york, 2, nobody.address);
    raw_connect(&r, nobody.port);
    RUN_UNTIL(nobody.failures_count == 1 && york.failures_count == 1 && r.ended);
    assert_int_equal(nobody.failures[0].rc, -WC_EDENIED);
    assert_int_equal(york.failures[0].rc, -WC_ECLOSED);
    raw_end(&r);
    office_stop(&nobody);
    office_stop(&york);
}

static void a_new_identity_closes_all_links(void **state)
{
    (void)state;
    struct wc_identity *first = malloc(sizeof(*first)), second;
    *first = offices_office(&org_a, 'o');
    second = offices_office(&org_a, 'n');
    struct office leeds, york;
    struct raw stranger;
    office_start(&leeds, &leeds_id, "127.0.0.1");
    office_start(&york, first, "127.0.0.1");
    join(&leeds, &york);
    assert_string_equal(leeds.last_peer, "office-o");
    raw_connect(&stranger, york.port);
    RUN_UNTIL(stranger.connected && office_stats(&york).strangers_count == 1);
    office_dial(&york, 8, leeds.address);
    uv_run(loop, UV_RUN_NOWAIT); /* the dial is on its way */
    york.in_call = true;
    wc_transport_set_identity(york.t, &second);
    york.in_call = false;
    free(first); /* nothing may look at it from now on */
    RUN_UNTIL(york.downs == york.ups && leeds.downs == leeds.ups && stranger.ended);
    assert_int_equal(york.last_down, 0);
    join(&leeds, &york);
    assert_string_equal(leeds.last_peer, "office-n");
    raw_end(&stranger);
    office_stop(&leeds);
    office_stop(&york);
}

/* ---- calls from within events ---- */

static void close_it(struct office *o, uint32_t link)
{
    wc_transport_send(o->t, link, wc_slice_text("the last word"));
    wc_transport_close_link(o->t, link);
    wc_transport_send(o->t, link, wc_slice_text("into the void"));
}

static void close_on_third(struct office *o, uint32_t link, struct wc_slice frame)
{
    (void)frame;
    if (o->frames == 3)
        close_it(o, link);
}

static void close_all(struct office *o, uint32_t link)
{
    (void)link;
    wc_transport_close(o->t, office_done, o);
}

static void close_all_on_frame(struct office *o, uint32_t link, struct wc_slice frame)
{
    (void)frame;
    close_all(o, link);
}

static void forget_identity(struct office *o, uint32_t link)
{
    (void)link;
    wc_transport_set_identity(o->t, NULL);
}

static void forget_identity_on_frame(struct office *o, uint32_t link,
                                     struct wc_slice frame)
{
    (void)frame;
    forget_identity(o, link);
}

static void a_link_may_be_closed_as_it_opens(void **state)
{
    (void)state;
    struct office leeds, york;
    for (int who = 0; who < 2; who++) {
        office_start(&leeds, &leeds_id, NULL);
        office_start(&york, &york_id, "127.0.0.1");
        (who == 0 ? &leeds : &york)->on_up = close_it;
        office_dial(&leeds, 1, york.address);
        RUN_UNTIL(leeds.downs == 1 && office_stats(&york).links_count == 0 &&
                  office_stats(&york).handshakes_count == 0 &&
                  leeds.frames + york.frames == 1); /* the last word arrives */
        office_stop(&leeds);
        office_stop(&york);
    }
}

static void send_three(struct office *o, uint32_t link)
{
    for (int i = 0; i < 3; i++)
        wc_transport_send(o->t, link, wc_slice_text("at once"));
}

/* They travel with message 3, so that they are there before york has said `up`. */
static void frames_may_come_with_the_handshake(void **state)
{
    (void)state;
    struct office leeds, york;
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    leeds.on_up = send_three;
    office_dial(&leeds, 1, york.address);
    RUN_UNTIL(york.frames == 3);
    office_stop(&leeds);
    office_stop(&york);
}

/* Frames that lie behind the one that made the owner close are not shown. */
static void a_link_may_be_closed_by_a_frame(void **state)
{
    (void)state;
    struct office leeds, york;
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    york.on_frame = close_on_third;
    join(&leeds, &york);
    for (int i = 0; i < 10; i++)
        office_send(&leeds, leeds.links[0], wc_slice_text("many in one read"));
    RUN_UNTIL(leeds.downs == 1 && york.downs == 1);
    assert_int_equal(york.frames, 3);
    office_stop(&leeds);
    office_stop(&york);
}

static void the_identity_may_go_in_an_event(void **state)
{
    (void)state;
    struct office leeds, york;
    for (int which = 0; which < 2; which++) {
        office_start(&leeds, &leeds_id, NULL);
        office_start(&york, &york_id, "127.0.0.1");
        if (which == 0)
            york.on_up = forget_identity;
        else
            york.on_frame = forget_identity_on_frame;
        office_dial(&leeds, 1, york.address);
        RUN_UNTIL(leeds.ups == 1);
        office_send(&leeds, leeds.links[0], wc_slice_text("forget"));
        RUN_UNTIL(leeds.downs == 1 && york.downs == 1);
        assert_int_equal(york.last_down, 0);
        office_stop(&leeds);
        office_stop(&york);
    }
}

static void all_may_end_in_an_event(void **state)
{
    (void)state;
    struct office leeds, york;
    for (int which = 0; which < 2; which++) {
        office_start(&leeds, &leeds_id, NULL);
        office_start(&york, &york_id, "127.0.0.1");
        if (which == 0)
            york.on_up = close_all;
        else
            york.on_frame = close_all_on_frame;
        office_dial(&leeds, 1, york.address);
        RUN_UNTIL(leeds.ups == 1);
        office_send(&leeds, leeds.links[0], wc_slice_text("the end"));
        RUN_UNTIL(york.closed && leeds.downs == 1);
        assert_int_equal(york.downs, 0); /* nothing follows but done */
        wc_buf_fini(&york.last_frame);
        office_stop(&leeds);
    }
}

/* Look-ups, connections, handshakes, strangers and full queues, all at once. */
static void everything_in_flight_is_freed(void **state)
{
    (void)state;
    static uint8_t frame[WC_FRAME_MAX_BYTES];
    struct office leeds, york;
    struct raw silent, replay;
    struct wc_buf hello = {0};
    good_hello(&hello);
    for (int turns = 0; turns < 8; turns++) {
        office_start(&leeds, &leeds_id, "127.0.0.1");
        office_start(&york, &york_id, "127.0.0.1");
        join(&leeds, &york);
        raw_connect(&silent, york.port);
        raw_connect(&replay, york.port);
        RUN_UNTIL(silent.connected && replay.connected);
        raw_send(&replay, hello.data, hello.len);
        for (int i = 0; i < 60; i++)
            office_send(&york, york.links[0], wc_slice(frame, sizeof(frame)));
        for (uint32_t i = 1; i <= 4; i++)
            office_dial(&york, i, "slow-look-up.invalid:7411");
        office_dial(&york, 5, leeds.address);
        office_dial(&york, 6, "localhost:1");
        office_dial(&york, 7, "not an address");
        for (int i = 0; i < turns; i++)
            uv_run(loop, UV_RUN_NOWAIT);
        office_stop(&york);
        office_stop(&leeds);
        RUN_UNTIL(silent.ended && replay.ended);
        raw_end(&silent);
        raw_end(&replay);
    }
    wc_buf_fini(&hello);
}

/* ---- listening ---- */

static void listening_says_what_is_wrong(void **state)
{
    (void)state;
    struct office york, leeds;
    char problem[WC_PROBLEM_BYTES];
    office_start(&york, &york_id, "127.0.0.1");
    office_start(&leeds, &leeds_id, NULL);
    assert_int_equal(wc_transport_listen(leeds.t, "7411", NULL, problem), -WC_EINVALID);
    assert_string_equal(problem, "cannot listen on '7411': must be HOST:PORT");
    assert_int_equal(wc_transport_listen(leeds.t, york.address, NULL, problem),
                     -WC_EBUSY);
    assert_non_null(strstr(problem, york.address));
    assert_non_null(strstr(problem, "in use"));
    assert_int_equal(wc_transport_listen(leeds.t, "192.0.2.1:0", NULL, problem),
                     -WC_EIO);
    assert_int_equal(wc_transport_listen(leeds.t, "no-such.invalid:0", NULL, problem),
                     -WC_ENOTFOUND);
    assert_int_equal(wc_transport_listen(leeds.t, "127.0.0.1:0", NULL, problem), 0);
    office_stop(&york);
    office_stop(&leeds);
}

static void both_families_on_one_port(void **state)
{
    (void)state;
    struct office leeds, york;
    char four[32], six[32];
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "[::]");
    snprintf(four, sizeof(four), "127.0.0.1:%u", (unsigned)york.port);
    snprintf(six, sizeof(six), "[::1]:%u", (unsigned)york.port);
    office_dial(&leeds, 4, four);
    RUN_UNTIL(york.ups == 1 && leeds.ups == 1);
    assert_memory_equal(york.last_remote, "127.0.0.1:", 10);
    office_dial(&leeds, 6, six);
    RUN_UNTIL(york.ups == 2 && leeds.ups == 2);
    assert_memory_equal(york.last_remote, "[::1]:", 6);
    office_stop(&leeds);
    office_stop(&york);
}

/* ---- descriptors run out ---- */

#define CROWD_COUNT 20u

/* No descriptor is left, and strangers wait in the backlog. */
struct shortage {
    int crowd[CROWD_COUNT], fill[256];
    unsigned filled;
    struct rlimit old;
};

static void shortage_begin(struct shortage *s, uint16_t port)
{
    struct sockaddr_in address;
    s->filled = 0;
    assert_int_equal(uv_ip4_addr("127.0.0.1", port, &address), 0);
    for (unsigned i = 0; i < CROWD_COUNT; i++) {
        s->crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(s->crowd[i] >= 0);
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &s->old), 0);
    struct rlimit low = s->old;
    low.rlim_cur = (rlim_t)s->crowd[CROWD_COUNT - 1] + 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (s->filled < 256 && (s->fill[s->filled] = dup(s->crowd[0])) >= 0)
        s->filled++;
    assert_true(s->filled < 256);
    for (unsigned i = 0; i < CROWD_COUNT; i++)
        assert_int_equal(
            connect(s->crowd[i], (const struct sockaddr *)&address, sizeof(address)),
            0);
}

static void shortage_end(struct shortage *s)
{
    for (unsigned i = 0; i < s->filled; i++)
        close(s->fill[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &s->old), 0);
    for (unsigned i = 0; i < CROWD_COUNT; i++)
        close(s->crowd[i]);
}

static void running_out_of_descriptors_is_survived(void **state)
{
    (void)state;
    struct office leeds, york;
    struct shortage s;
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    join(&leeds, &york);
    shortage_begin(&s, york.port);
    exchange(&leeds, &york); /* links that are open work on meanwhile */
    office_dial(&leeds, 9, york.address);
    RUN_UNTIL(leeds.failures_count == 1);
    assert_int_equal(leeds.failures[0].rc, -WC_EIO);
    shortage_end(&s);
    join(&leeds, &york);
    office_stop(&leeds);
    office_stop(&york);
}

/* Even the descriptor that libuv keeps in reserve is gone (another thread can take it in
 * the moment when it is lent out): york stops listening for a second instead of spinning,
 * and is there again afterwards. */
static void a_lost_reserve_is_survived(void **state)
{
    (void)state;
    struct office leeds, york;
    struct shortage s;
    office_start(&leeds, &leeds_id, NULL);
    office_start(&york, &york_id, "127.0.0.1");
    join(&leeds, &york);
    close(loop->emfile_fd);
    loop->emfile_fd = -1;
    shortage_begin(&s, york.port);
    exchange(&leeds, &york);
    shortage_end(&s);
    unsigned failures = 0;
    while (york.ups < 2 || leeds.ups < 2) { /* refused until it listens again */
        office_dial(&leeds, 9, york.address);
        RUN_UNTIL((leeds.ups == 2 && york.ups == 2) || leeds.failures_count > failures);
        failures = leeds.failures_count;
    }
    assert_true(failures > 0);
    office_stop(&leeds);
    office_stop(&york);
}

/* ---- a network of our own ---- */

static bool interface_up(int fd, const char *name, const char *address)
{
    struct ifreq req = {0};
    struct sockaddr_in sa = {.sin_family = AF_INET};
    snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
    if (address != NULL) {
        inet_pton(AF_INET, address, &sa.sin_addr);
        memcpy(&req.ifr_addr, &sa, sizeof(sa));
        if (ioctl(fd, SIOCSIFADDR, &req) != 0)
            return false;
    }
    req.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(fd, SIOCSIFFLAGS, &req) == 0;
}

static bool make_own_network(void)
{
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok =
        fd >= 0 && interface_up(fd, "lo", NULL) && interface_up(fd, "lo:1", OUTSIDE);
    if (fd >= 0)
        close(fd);
    return ok;
}

#define TEST(name) cmocka_unit_test_teardown(name, check_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_offices_talk),
        TEST(every_address_of_a_name_is_tried),
        TEST(large_volumes_pass_both_ways),
        TEST(frames_may_be_answered_at_once),
        TEST(a_peer_that_does_not_read_is_closed),
        TEST(all_queues_together_are_bounded),
        TEST(other_organisations_get_no_byte),
        TEST(an_expired_office_is_refused_by_name),
        TEST(an_office_that_dials_itself_learns_so),
        TEST(a_twin_is_noticed),
        TEST(storms_of_strangers_disturb_nobody),
        TEST(the_oldest_strangers_give_way),
        TEST(handshakes_past_the_mac_are_bounded),
        TEST(one_source_gets_four_handshakes),
        TEST(configured_peers_are_exempt),
        TEST(a_source_that_keeps_failing_is_paused),
        TEST(silence_in_numbers_is_a_failure),
        TEST(a_replayed_hello_is_a_failure),
        TEST(links_that_do_not_last_are_failures),
        TEST(an_office_behind_the_same_address_is_let_in),
        TEST(loopback_is_never_paused),
        TEST(silence_ends_after_its_time),
        TEST(failed_dials_are_reported_once),
        TEST(dials_over_the_limit_wait_their_turn),
        TEST(without_an_identity_there_are_no_links),
        TEST(a_new_identity_closes_all_links),
        TEST(a_link_may_be_closed_as_it_opens),
        TEST(frames_may_come_with_the_handshake),
        TEST(a_link_may_be_closed_by_a_frame),
        TEST(the_identity_may_go_in_an_event),
        TEST(all_may_end_in_an_event),
        TEST(everything_in_flight_is_freed),
        TEST(listening_says_what_is_wrong),
        TEST(both_families_on_one_port),
        TEST(running_out_of_descriptors_is_survived),
        TEST(a_lost_reserve_is_survived),
    };
    signal(SIGPIPE, SIG_IGN);
    own_network = make_own_network();
    if (wc_crypto_init() != 0 || fresh_loop() != 0)
        return 1;
    org_a = offices_org('a');
    org_b = offices_org('b');
    leeds_id = offices_office(&org_a, 'l');
    york_id = offices_office(&org_a, 'y');
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed == 0 && uv_loop_close(loop) != 0)
        failed = 1;
    free(loop);
    return failed;
}
