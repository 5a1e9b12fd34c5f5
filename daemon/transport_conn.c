/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: its life, output and input.
 *
 * Output is sealed into conn->pending at once and written when the loop comes round
 * (`work`), so that the frames of one turn leave in one system call. At most one
 * uv_write is in flight on a connection; what is sealed meanwhile waits in pending, and
 * both together are bounded.
 */
#include <assert.h>
#include <stdlib.h>

#include "daemon/loop.h"
#include "daemon/random.h"
#include "daemon/transport_internal.h"

#define KEEP_BYTES  (16u << 10) /* output memory that an idle link keeps */
#define KEEPALIVE_S 60

/* ---- connections: life ---- */

static void on_deadline(uv_timer_t *timer);

static void arm_deadline(struct wc_transport *t)
{
    const struct wc_conn *head = TAILQ_FIRST(&t->waiting);
    uint64_t now_ms = uv_now(t->loop);
    if (head == NULL)
        uv_timer_stop(&t->deadline);
    else
        uv_timer_start(&t->deadline, on_deadline,
                       head->deadline_ms > now_ms ? head->deadline_ms - now_ms : 0, 0);
}

void wc_conn_wait(struct wc_conn *c)
{
    struct wc_transport *t = c->t;
    assert(!c->waits);
    c->waits = true;
    c->deadline_ms = uv_now(t->loop) + WC_HANDSHAKE_MAX_MS;
    bool first = TAILQ_EMPTY(&t->waiting);
    TAILQ_INSERT_TAIL(&t->waiting, c, waiting_entry);
    if (c->accepted)
        t->stats.strangers_count++;
    if (first)
        arm_deadline(t);
}

void wc_conn_waited(struct wc_conn *c)
{
    struct wc_transport *t = c->t;
    if (!c->waits)
        return;
    c->waits = false;
    TAILQ_REMOVE(&t->waiting, c, waiting_entry);
    if (c->passed)
        t->stats.handshakes_count--;
    else if (c->accepted)
        t->stats.strangers_count--;
}

static void conn_passed(struct wc_conn *c)
{
    c->passed = true;
    c->t->stats.strangers_count--;
    c->t->stats.handshakes_count++;
}

static void link_drop(struct wc_conn *c)
{
    wc_link_free(c->link);
    c->link = NULL;
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct wc_conn *c = handle->data;
    struct wc_transport *t = c->t;
    struct wc_dial *d = c->dial;
    uint32_t number = c->number;
    bool was_open = c->was_open;
    int rc = c->rc;
    if (was_open)
        LIST_REMOVE(c, number_entry);
    TAILQ_REMOVE(&t->conns, c, entry);
    link_drop(c);
    wc_buf_fini(&c->pending);
    free(c);
    t->open_count--;
    if (t->closing)
        wc_transport_free_if_done(t);
    else if (was_open)
        t->events.down(t->events.ctx, number, rc);
    else if (d != NULL)
        wc_dial_next(d, rc);
}

/* Close a connection; what is told about it is told when the handle is closed. */
/* What its end says about its source: no link is a failure unless the cause lies here,
 * and so is one that did not last. */
static void judge(struct wc_conn *c, int rc)
{
    struct wc_transport *t = c->t;
    uint64_t now_ms = uv_now(t->loop);
    if (t->closing || t->renaming || c->link == NULL)
        return;
    if (c->phase == WC_CONN_OPEN && now_ms - c->since_ms >= WC_PENALTY_STEADY_MS)
        wc_penalties_good(t->penalties, &c->source, wc_source_exempt(t, &c->source),
                          now_ms);
    else if (c->accepted && rc != -WC_ELIMIT && rc != -WC_ENOMEM)
        wc_source_failed(c);
}

void wc_conn_close(struct wc_conn *c, int rc)
{
    struct wc_transport *t = c->t;
    if (c->phase == WC_CONN_CLOSING)
        return;
    judge(c, rc);
    wc_conn_waited(c);
    if (c->flushes) {
        TAILQ_REMOVE(&t->flushing, c, flushing_entry);
        c->flushes = false;
    }
    if (c->phase == WC_CONN_OPEN) {
        c->was_open = true;
        t->stats.links_count--;
    }
    c->phase = WC_CONN_CLOSING;
    c->rc = rc;
    if (!c->busy)
        link_drop(c); /* wipes keys; else whoever made it busy does */
    uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

/* Close it to make room, or for lack of room. */
void wc_conn_evict(struct wc_conn *c)
{
    c->t->stats.limited_count++;
    wc_conn_close(c, -WC_ELIMIT);
}

static void on_deadline(uv_timer_t *timer)
{
    struct wc_transport *t = timer->data;
    struct wc_conn *c;
    while ((c = TAILQ_FIRST(&t->waiting)) != NULL &&
           c->deadline_ms <= uv_now(t->loop)) {
        t->stats.timeout_count++;
        wc_conn_close(c, -WC_ETIMEOUT);
    }
    arm_deadline(t);
}

struct wc_conn *wc_conn_new(struct wc_transport *t)
{
    struct wc_conn *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    int rc = uv_tcp_init(t->loop, &c->tcp); /* makes no socket yet, so cannot fail */
    assert(rc == 0);
    c->tcp.data = c;
    c->connect.data = c;
    c->write.data = c;
    c->t = t;
    c->since_ms = uv_now(t->loop);
    t->open_count++;
    TAILQ_INSERT_TAIL(&t->conns, c, entry);
    return c;
}

struct wc_conn *wc_conn_of(const struct wc_transport *t, uint32_t number)
{
    struct wc_conn *c;
    LIST_FOREACH(c, &t->numbers[number % WC_LINK_BUCKETS_COUNT], number_entry)
    {
        if (c->number == number)
            return c;
    }
    return NULL;
}

/* ---- output ---- */

size_t wc_conn_queued_bytes(const struct wc_conn *c)
{
    return c->pending.len +
           uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

void wc_conn_flush(struct wc_conn *c);

static void on_written(uv_write_t *req, int status)
{
    struct wc_conn *c = req->data;
    if (status == 0)
        c->sent_bytes += c->writing_len;
    free(c->writing);
    c->writing = NULL;
    if (status < 0)
        wc_conn_close(c,
                      wc_transport_result(status)); /* closing already when cancelled */
    else
        wc_conn_flush(c);
}

/* Hand the rest of pending to libuv, which keeps it until it is written. */
static int write_rest(struct wc_conn *c, size_t done)
{
    size_t len;
    c->writing = wc_buf_take(&c->pending, &len);
    c->writing_len = len - done;
    uv_buf_t buf = uv_buf_init((char *)c->writing + done, (unsigned int)c->writing_len);
    int status = uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
    if (status < 0) {
        free(c->writing);
        c->writing = NULL;
    }
    return status;
}

void wc_conn_flush(struct wc_conn *c)
{
    if (c->writing != NULL || c->pending.len == 0 || c->phase == WC_CONN_CLOSING)
        return;
    uv_buf_t buf = uv_buf_init((char *)c->pending.data, (unsigned int)c->pending.len);
    int status = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    size_t done = status > 0 ? (size_t)status : 0;
    c->sent_bytes += done;
    if (done == c->pending.len) {
        wc_buf_reset(&c->pending);
        if (c->pending.cap > KEEP_BYTES)
            wc_buf_fini(&c->pending);
        return;
    }
    if (status >= 0 || status == UV_EAGAIN)
        status = write_rest(c, done);
    if (status < 0)
        wc_conn_close(c, wc_transport_result(status));
}

void wc_conn_flush_soon(struct wc_conn *c)
{
    if (c->flushes || c->pending.len == 0 || c->phase == WC_CONN_CLOSING)
        return;
    c->flushes = true;
    TAILQ_INSERT_TAIL(&c->t->flushing, c, flushing_entry);
    wc_transport_wake(c->t);
}

void wc_conns_flush(struct wc_transport *t)
{
    struct wc_conn *c;
    while ((c = TAILQ_FIRST(&t->flushing)) != NULL) {
        TAILQ_REMOVE(&t->flushing, c, flushing_entry);
        c->flushes = false;
        wc_conn_flush(c);
    }
}

/* ---- input ---- */

static uint32_t next_number(struct wc_transport *t)
{
    do {
        t->last_number++;
    } while (t->last_number == 0 || wc_conn_of(t, t->last_number) != NULL);
    return t->last_number;
}

/* The handshake is done: show the link to the owner. */
static void conn_up(struct wc_conn *c)
{
    struct wc_transport *t = c->t;
    uint32_t dial = 0;
    if (c->accepted && t->stats.links_count >= WC_LINKS_MAX_COUNT) {
        wc_conn_evict(c);
        return;
    }
    wc_conn_waited(c);
    if (c->dial != NULL) {
        dial = c->dial->number;
        wc_dial_free(c->dial);
        c->dial = NULL;
    }
    c->phase = WC_CONN_OPEN;
    c->since_ms = uv_now(t->loop);
    c->number = next_number(t);
    LIST_INSERT_HEAD(&t->numbers[c->number % WC_LINK_BUCKETS_COUNT], c, number_entry);
    t->stats.links_count++;
    t->events.up(t->events.ctx, c->number, wc_link_peer(c->link),
                 wc_link_peer_cert(c->link), wc_link_peer_rotation(c->link),
                 !c->accepted, dial, c->remote);
}

/* The first frame can come in one read with the end of the handshake: `up` goes first.
 */
static void on_frame(void *ctx, struct wc_slice frame)
{
    struct wc_conn *c = ctx;
    if (c->phase == WC_CONN_HANDSHAKE)
        conn_up(c);
    if (c->phase == WC_CONN_OPEN)
        c->t->events.frame(c->t->events.ctx, c->number, frame);
}

/* Whether the other end is in this process: an office dials its own address when it does
 * not know that it is its own. */
static bool is_ourselves(const struct wc_conn *c)
{
    const struct wc_conn *other;
    const uint8_t *hello = wc_link_hello(c->link);
    TAILQ_FOREACH(other, &c->t->conns, entry)
    {
        const uint8_t *theirs =
            other == c || other->link == NULL ? NULL : wc_link_hello(other->link);
        if (theirs != NULL && wc_equal(hello, theirs, WC_KEY_BYTES))
            return true;
    }
    return false;
}

/* They broke the rules. Who passed the MAC belongs to the organisation, and somebody
 * there will want to know why it does not work. */
static void conn_refuse(struct wc_conn *c, int rc)
{
    struct wc_transport *t = c->t;
    if (rc == -WC_EEXISTS && t->events.twin != NULL && !is_ourselves(c))
        t->events.twin(t->events.ctx, c->remote);
    if (c->accepted && c->phase == WC_CONN_HANDSHAKE) {
        t->stats.refused_count++;
        if (wc_link_past_mac(c->link) && t->events.refused != NULL)
            t->events.refused(t->events.ctx, c->remote, rc);
    }
    wc_conn_close(c, rc);
}

static void conn_input(struct wc_conn *c, struct wc_slice in)
{
    int rc = wc_link_receive(c->link, in, wc_wall_ms(), &c->pending, on_frame, c);
    if (c->phase == WC_CONN_CLOSING)
        return;
    if (rc != 0) {
        conn_refuse(c, rc);
        return;
    }
    if (c->accepted && !c->passed && wc_link_past_mac(c->link))
        conn_passed(c);
    if (c->phase == WC_CONN_HANDSHAKE && wc_link_state(c->link) == WC_LINK_OPEN)
        conn_up(c);
    wc_conn_flush_soon(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct wc_conn *c = handle->data;
    (void)suggested;
    *buf =
        uv_buf_init(c->t->read, WC_TRANSPORT_READ_BYTES); /* read and taken in one go */
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct wc_conn *c = stream->data;
    if (got < 0)
        wc_conn_close(c, wc_transport_result((int)got));
    if (got <= 0 || c->phase == WC_CONN_CLOSING)
        return;
    if (c->accepted && !c->passed &&
        c->t->stats.handshakes_count >= WC_HANDSHAKES_MAX_COUNT) {
        wc_conn_evict(c); /* before it can cost a Diffie-Hellman */
        return;
    }
    c->received_bytes += (uint64_t)got;
    /* The owner may close it while it looks at a frame or a certificate. */
    c->busy = true;
    conn_input(c, wc_slice(buf->base, (size_t)got));
    c->busy = false;
    if (c->phase == WC_CONN_CLOSING)
        link_drop(c);
}

/* TCP is there; begin the handshake. */
int wc_conn_begin(struct wc_conn *c)
{
    struct wc_transport *t = c->t;
    uint8_t random[WC_KEY_BYTES];
    if (t->identity == NULL)
        return -WC_EDENIED;
    /* Frames are small and answers are waited for. Both calls only tune: a socket that
     * refuses them carries a link all the same. */
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
    wc_random_bytes(random, sizeof(random));
    int rc = wc_link_new(&c->link, t->identity, !c->accepted, random);
    wc_wipe(random, sizeof(random));
    if (rc != 0)
        return rc;
    c->phase = WC_CONN_HANDSHAKE;
    wc_conn_wait(c);
    rc = wc_transport_result(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read));
    if (rc == 0 && !c->accepted)
        rc = wc_link_start(c->link, &c->pending);
    wc_conn_flush_soon(c);
    return rc;
}
