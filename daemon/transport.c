/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links of this office over TCP.
 *
 * A connection, accepted or dialled, is CONNECTING (dialled only), then in HANDSHAKE,
 * then OPEN, and CLOSING from any of these. Until it is OPEN nobody but this file knows
 * it, and it stands in `waiting`, which is ordered by deadline because every stage has
 * the same time: the head is both the next to time out and the oldest, which is what
 * gives way when strangers crowd in.
 *
 * What strangers can take from us is bounded: WC_STRANGERS_MAX_COUNT connections that
 * have not shown the MAC, WC_HANDSHAKES_MAX_COUNT that have (only these cost a
 * Diffie-Hellman), and of both together WC_HANDSHAKES_ADDR_COUNT of one source.
 *
 * Output is sealed into conn->pending at once and written when the loop comes round
 * (`work`), so that the frames of one turn leave in one system call. At most one
 * uv_write is in flight on a connection; what is sealed meanwhile waits in pending, and
 * both together are bounded.
 *
 * Memory and handles: a connection is freed in its close callback, which also reports
 * `down` or goes on with the dial. That is why no event comes from within a call.
 */
#include "daemon/transport.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <uv.h>

#include <whocan/error.h>
#include <whocan/limits.h>
#include <whocan/link.h>

#include "daemon/address.h"
#include "daemon/random.h"

#define READ_BYTES         65536        /* one Noise message fits */
#define FLUSH_BYTES        (256u << 10) /* pending above this does not wait for the loop */
#define KEEP_BYTES         (16u << 10) /* output memory that an idle link keeps */
#define LISTEN_BACKLOG     1024 /* a burst of strangers must not cost an office a second */
#define KEEPALIVE_S        60
#define RELISTEN_MS        1000
#define DIALS_QUEUED_MAX   4096 /* the address book of a large organisation */
#define LINK_BUCKETS_COUNT 256

struct listener {
    uv_tcp_t tcp;
    struct wc_transport *t;
    struct sockaddr_storage address; /* with the port that was picked */
    bool discard; /* free it when closed; else it is to be opened again */
    bool closed;
    TAILQ_ENTRY(listener) entry;
};

enum dial_state {
    DIAL_QUEUED,
    DIAL_RESOLVING,
    DIAL_CONNECTING,
    DIAL_FAILED, /* to be reported when the loop comes round */
};

struct dial {
    struct wc_transport *t;
    uint32_t number;
    enum dial_state state;
    struct wc_address address;
    uv_getaddrinfo_t resolve;
    struct sockaddr_storage found[WC_DIAL_ADDRESSES_MAX_COUNT];
    unsigned found_count, next;
    int rc; /* about the last address tried */
    TAILQ_ENTRY(dial) entry;
};

enum phase {
    PHASE_CONNECTING,
    PHASE_HANDSHAKE,
    PHASE_OPEN,
    PHASE_CLOSING,
};

struct conn {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uint8_t *writing; /* what uv_write has in flight, or NULL */
    size_t writing_len;
    struct wc_transport *t;
    struct wc_link *link;
    struct dial *dial; /* NULL when they dialled, and once open */
    enum phase phase;
    bool accepted;
    bool passed;   /* accepted, and its MAC was right */
    bool limited;  /* accepted, and counts against its source */
    bool waits;    /* in t->waiting */
    bool flushes;  /* in t->flushing */
    bool busy;     /* its link is in use further up the stack */
    bool was_open; /* report `down` when closed */
    int rc;        /* why it is closing */
    uint32_t number;
    uint64_t deadline_ms, since_ms;
    uint64_t received_bytes, sent_bytes;
    struct wc_source source;
    struct wc_buf pending;
    char remote[WC_ADDRESS_MAX_BYTES + 1];
    TAILQ_ENTRY(conn) entry, waiting_entry, flushing_entry;
    LIST_ENTRY(conn) number_entry;
};

/* A configured peer; its sources follow from its address, or from the last dial. */
struct exempt {
    struct wc_address address;
    struct wc_source sources[WC_DIAL_ADDRESSES_MAX_COUNT];
    unsigned sources_count;
};

TAILQ_HEAD(conn_list, conn);
TAILQ_HEAD(dial_list, dial);
TAILQ_HEAD(listener_list, listener);
LIST_HEAD(conn_bucket, conn);

struct wc_transport {
    uv_loop_t *loop;
    struct wc_transport_events events;
    const struct wc_identity *identity;
    uv_idle_t work;
    uv_timer_t deadline;
    uv_timer_t relisten;
    unsigned open_count; /* handles and look-ups that must end before we are freed */
    bool closing;
    void (*done)(void *ctx);
    void *done_ctx;

    struct listener_list listeners;
    struct conn_list conns, waiting, flushing;
    struct conn_bucket numbers[LINK_BUCKETS_COUNT];
    uint32_t last_number;

    struct dial_list dials;  /* queued, resolving and connecting */
    struct dial_list failed; /* to be reported */
    unsigned dials_count, active_count, resolving_count, failed_count;

    struct exempt *exempt;
    uint32_t exempt_count;
    struct wc_transport_stats stats;
    char read[READ_BYTES];
};

static uint64_t wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int result_of(int status)
{
    if (status >= 0)
        return 0;
    if (status == UV_EOF || status == UV_ECONNRESET || status == UV_EPIPE ||
        status == UV_ECONNABORTED)
        return -WC_ECLOSED;
    if (status == UV_ETIMEDOUT)
        return -WC_ETIMEOUT;
    if (status == UV_EADDRINUSE)
        return -WC_EBUSY;
    if (status == UV_EACCES || status == UV_EPERM)
        return -WC_EDENIED;
    return status == UV_ENOMEM ? -WC_ENOMEM : -WC_EIO;
}

/* ---- the end ---- */

static void free_if_done(struct wc_transport *t)
{
    if (!t->closing || t->open_count > 0)
        return;
    void (*done)(void *) = t->done;
    void *ctx = t->done_ctx;
    free(t->exempt);
    free(t);
    done(ctx);
}

static void on_own_handle_closed(uv_handle_t *handle)
{
    struct wc_transport *t = handle->data;
    t->open_count--;
    free_if_done(t);
}

/* ---- work that waits for the loop to come round ---- */

static void on_work(uv_idle_t *idle);

/* An idle handle runs before the loop sleeps and keeps it from sleeping while active. */
static void wake(struct wc_transport *t)
{
    if (!t->closing)
        uv_idle_start(&t->work, on_work);
}

/* ---- connections: life ---- */

static void on_deadline(uv_timer_t *timer);

static void arm_deadline(struct wc_transport *t)
{
    const struct conn *head = TAILQ_FIRST(&t->waiting);
    uint64_t now_ms = uv_now(t->loop);
    if (head == NULL)
        uv_timer_stop(&t->deadline);
    else
        uv_timer_start(&t->deadline, on_deadline,
                       head->deadline_ms > now_ms ? head->deadline_ms - now_ms : 0, 0);
}

static void waiting_add(struct conn *c)
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

static void waiting_remove(struct conn *c)
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

static void conn_passed(struct conn *c)
{
    c->passed = true;
    c->t->stats.strangers_count--;
    c->t->stats.handshakes_count++;
}

static void link_drop(struct conn *c)
{
    wc_link_free(c->link);
    c->link = NULL;
}

static void dial_next(struct dial *d, int rc);

static void on_conn_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct wc_transport *t = c->t;
    struct dial *d = c->dial;
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
        free_if_done(t);
    else if (was_open)
        t->events.down(t->events.ctx, number, rc);
    else if (d != NULL)
        dial_next(d, rc);
}

/* Close a connection; what is told about it is told when the handle is closed. */
static void conn_close(struct conn *c, int rc)
{
    struct wc_transport *t = c->t;
    if (c->phase == PHASE_CLOSING)
        return;
    waiting_remove(c);
    if (c->flushes) {
        TAILQ_REMOVE(&t->flushing, c, flushing_entry);
        c->flushes = false;
    }
    if (c->phase == PHASE_OPEN) {
        c->was_open = true;
        t->stats.links_count--;
    }
    c->phase = PHASE_CLOSING;
    c->rc = rc;
    if (!c->busy)
        link_drop(c); /* wipes keys; else whoever made it busy does */
    uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

/* Close it to make room, or for lack of room. */
static void conn_evict(struct conn *c)
{
    c->t->stats.limited_count++;
    conn_close(c, -WC_ELIMIT);
}

static void on_deadline(uv_timer_t *timer)
{
    struct wc_transport *t = timer->data;
    struct conn *c;
    while ((c = TAILQ_FIRST(&t->waiting)) != NULL &&
           c->deadline_ms <= uv_now(t->loop)) {
        t->stats.timeout_count++;
        conn_close(c, -WC_ETIMEOUT);
    }
    arm_deadline(t);
}

static struct conn *conn_new(struct wc_transport *t)
{
    struct conn *c = calloc(1, sizeof(*c));
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

static struct conn *conn_of(const struct wc_transport *t, uint32_t number)
{
    struct conn *c;
    LIST_FOREACH(c, &t->numbers[number % LINK_BUCKETS_COUNT], number_entry)
    {
        if (c->number == number)
            return c;
    }
    return NULL;
}

/* ---- output ---- */

static size_t queued_bytes(const struct conn *c)
{
    return c->pending.len +
           uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

static void flush(struct conn *c);

static void on_written(uv_write_t *req, int status)
{
    struct conn *c = req->data;
    if (status == 0)
        c->sent_bytes += c->writing_len;
    free(c->writing);
    c->writing = NULL;
    if (status < 0)
        conn_close(c, result_of(status)); /* closing already when cancelled */
    else
        flush(c);
}

/* Hand the rest of pending to libuv, which keeps it until it is written. */
static int write_rest(struct conn *c, size_t done)
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

static void flush(struct conn *c)
{
    if (c->writing != NULL || c->pending.len == 0 || c->phase == PHASE_CLOSING)
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
        conn_close(c, result_of(status));
}

static void flush_soon(struct conn *c)
{
    if (c->flushes || c->pending.len == 0 || c->phase == PHASE_CLOSING)
        return;
    c->flushes = true;
    TAILQ_INSERT_TAIL(&c->t->flushing, c, flushing_entry);
    wake(c->t);
}

static void flush_all(struct wc_transport *t)
{
    struct conn *c;
    while ((c = TAILQ_FIRST(&t->flushing)) != NULL) {
        TAILQ_REMOVE(&t->flushing, c, flushing_entry);
        c->flushes = false;
        flush(c);
    }
}

/* ---- input ---- */

static uint32_t next_number(struct wc_transport *t)
{
    do {
        t->last_number++;
    } while (t->last_number == 0 || conn_of(t, t->last_number) != NULL);
    return t->last_number;
}

static void dial_free(struct dial *d);

/* The handshake is done: show the link to the owner. */
static void conn_up(struct conn *c)
{
    struct wc_transport *t = c->t;
    uint32_t dial = 0;
    if (c->accepted && t->stats.links_count >= WC_LINKS_MAX_COUNT) {
        conn_evict(c);
        return;
    }
    waiting_remove(c);
    if (c->dial != NULL) {
        dial = c->dial->number;
        dial_free(c->dial);
        c->dial = NULL;
    }
    c->phase = PHASE_OPEN;
    c->since_ms = uv_now(t->loop);
    c->number = next_number(t);
    LIST_INSERT_HEAD(&t->numbers[c->number % LINK_BUCKETS_COUNT], c, number_entry);
    t->stats.links_count++;
    t->events.up(t->events.ctx, c->number, wc_link_peer(c->link),
                 wc_link_peer_cert(c->link), !c->accepted, dial, c->remote);
}

/* The first frame can come in one read with the end of the handshake: `up` goes first.
 */
static void on_frame(void *ctx, struct wc_slice frame)
{
    struct conn *c = ctx;
    if (c->phase == PHASE_HANDSHAKE)
        conn_up(c);
    if (c->phase == PHASE_OPEN)
        c->t->events.frame(c->t->events.ctx, c->number, frame);
}

/* They broke the rules. Who passed the MAC belongs to the organisation, and somebody
 * there will want to know why it does not work. */
static void conn_refuse(struct conn *c, int rc)
{
    struct wc_transport *t = c->t;
    if (c->accepted && c->phase == PHASE_HANDSHAKE) {
        t->stats.refused_count++;
        if (wc_link_past_mac(c->link) && t->events.refused != NULL)
            t->events.refused(t->events.ctx, c->remote, rc);
    }
    conn_close(c, rc);
}

static void conn_input(struct conn *c, struct wc_slice in)
{
    int rc = wc_link_receive(c->link, in, wall_ms(), &c->pending, on_frame, c);
    if (c->phase == PHASE_CLOSING)
        return;
    if (rc != 0) {
        conn_refuse(c, rc);
        return;
    }
    if (c->accepted && !c->passed && wc_link_past_mac(c->link))
        conn_passed(c);
    if (c->phase == PHASE_HANDSHAKE && wc_link_state(c->link) == WC_LINK_OPEN)
        conn_up(c);
    flush_soon(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->t->read, READ_BYTES); /* read and taken in one go */
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (got < 0)
        conn_close(c, result_of((int)got));
    if (got <= 0 || c->phase == PHASE_CLOSING)
        return;
    if (c->accepted && !c->passed &&
        c->t->stats.handshakes_count >= WC_HANDSHAKES_MAX_COUNT) {
        conn_evict(c); /* before it can cost a Diffie-Hellman */
        return;
    }
    c->received_bytes += (uint64_t)got;
    /* The owner may close it while it looks at a frame or a certificate. */
    c->busy = true;
    conn_input(c, wc_slice(buf->base, (size_t)got));
    c->busy = false;
    if (c->phase == PHASE_CLOSING)
        link_drop(c);
}

/* TCP is there; begin the handshake. */
static int conn_begin(struct conn *c)
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
    c->phase = PHASE_HANDSHAKE;
    waiting_add(c);
    rc = result_of(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read));
    if (rc == 0 && !c->accepted)
        rc = wc_link_start(c->link, &c->pending);
    flush_soon(c);
    return rc;
}

/* ---- accepting ---- */

static bool source_exempt(const struct wc_transport *t, const struct wc_source *source)
{
    for (uint32_t i = 0; i < t->exempt_count; i++) {
        const struct exempt *e = &t->exempt[i];
        for (unsigned k = 0; k < e->sources_count; k++) {
            if (wc_source_eq(&e->sources[k], source))
                return true;
        }
    }
    return false;
}

/* The oldest stranger, of one source or of all (NULL); *count gets the handshakes of
 * that source, strangers or not. */
static struct conn *oldest_stranger(const struct wc_transport *t,
                                    const struct wc_source *source, unsigned *count)
{
    struct conn *c, *oldest = NULL;
    *count = 0;
    TAILQ_FOREACH(c, &t->waiting, waiting_entry)
    {
        if (!c->accepted)
            continue;
        if (source != NULL && (!c->limited || !wc_source_eq(&c->source, source)))
            continue;
        ++*count;
        if (oldest == NULL && !c->passed)
            oldest = c;
    }
    return oldest;
}

/* False when a source has all its handshakes past the MAC. Otherwise its oldest stranger
 * gives way rather than the newcomer: offices behind one address translator are not shut
 * out by a silent neighbour. */
static bool make_room(struct conn *c)
{
    struct wc_transport *t = c->t;
    unsigned count;
    if (c->limited) {
        struct conn *oldest = oldest_stranger(t, &c->source, &count);
        if (count >= WC_HANDSHAKES_ADDR_COUNT) {
            if (oldest == NULL)
                return false;
            conn_evict(oldest);
        }
    }
    if (t->stats.strangers_count >= WC_STRANGERS_MAX_COUNT)
        conn_evict(oldest_stranger(t, NULL, &count));
    return true;
}

static void conn_accepted(struct conn *c)
{
    struct wc_transport *t = c->t;
    struct sockaddr_storage peer;
    int len = sizeof(peer);
    c->accepted = true;
    t->stats.accepted_count++;
    int status = uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &len);
    if (status < 0) {
        conn_close(c, result_of(status)); /* gone again */
        return;
    }
    const struct sockaddr *sa = (const struct sockaddr *)&peer;
    wc_address_text(sa, c->remote);
    wc_source_of(sa, &c->source);
    c->limited = !wc_address_is_loopback(sa) && !source_exempt(t, &c->source);
    if (!make_room(c)) {
        conn_evict(c);
        return;
    }
    int rc = conn_begin(c);
    if (rc != 0)
        conn_close(c, rc);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    struct wc_transport *t = l->t;
    l->closed = true;
    if (l->discard) {
        TAILQ_REMOVE(&t->listeners, l, entry);
        free(l);
    }
    t->open_count--;
    free_if_done(t);
}

static void on_relisten(uv_timer_t *timer);

/* Close a listener that cannot accept now, and open it again a little later. */
static void listener_pause(struct listener *l)
{
    if (uv_is_closing((uv_handle_t *)&l->tcp))
        return;
    uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
    uv_timer_start(&l->t->relisten, on_relisten, RELISTEN_MS, 0);
}

/*
 * When descriptors run out, libuv gives up one that it keeps in reserve to accept and
 * close what waits, and we hear nothing. An error comes only when the reserve is gone as
 * well; libuv would then call us again without end, and memory that is out leaves a
 * connection that nobody takes. Both end with the listener closed for a second.
 */
static void on_connection(uv_stream_t *server, int status)
{
    struct listener *l = server->data;
    if (status < 0) {
        if (status == UV_EMFILE || status == UV_ENFILE || status == UV_ENOBUFS ||
            status == UV_ENOMEM)
            listener_pause(l);
        return; /* else that one connection failed before it was taken */
    }
    struct conn *c = conn_new(l->t);
    if (c == NULL) {
        listener_pause(l);
        return;
    }
    c->phase = PHASE_HANDSHAKE;
    status = uv_accept(server, (uv_stream_t *)&c->tcp);
    if (status < 0)
        conn_close(c, result_of(status));
    else
        conn_accepted(c);
}

/* Bind and listen; on failure the handle is closing and on_listener_closed follows. */
static int listener_open(struct listener *l)
{
    struct wc_transport *t = l->t;
    int status = uv_tcp_init(t->loop, &l->tcp);
    assert(status == 0);
    l->tcp.data = l;
    l->closed = false;
    t->open_count++;
    status = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&l->address, 0);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&l->tcp, LISTEN_BACKLOG, on_connection);
    int len = sizeof(l->address);
    if (status == 0)
        status = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&l->address, &len);
    if (status < 0)
        uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
    return status;
}

static void on_relisten(uv_timer_t *timer)
{
    struct wc_transport *t = timer->data;
    struct listener *l;
    TAILQ_FOREACH(l, &t->listeners, entry)
    {
        if (l->discard || (!l->closed && !uv_is_closing((uv_handle_t *)&l->tcp)))
            continue;
        if (!l->closed || listener_open(l) < 0)
            uv_timer_start(timer, on_relisten, RELISTEN_MS, 0);
    }
}

static int listen_on(struct wc_transport *t, const struct sockaddr_storage *address,
                     uint16_t *port)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return UV_ENOMEM;
    l->t = t;
    l->address = *address;
    TAILQ_INSERT_TAIL(&t->listeners, l, entry);
    int status = listener_open(l);
    if (status < 0)
        l->discard = true;
    else if (port != NULL) /* at the same place for both families */
        *port = ntohs(((const struct sockaddr_in *)&l->address)->sin_port);
    return status;
}

/* The first of the addresses of a name that can be listened on. */
static int listen_on_name(struct wc_transport *t, const struct wc_address *address,
                          uint16_t *port)
{
    uv_getaddrinfo_t req;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char service[8];
    snprintf(service, sizeof(service), "%u", (unsigned)address->port);
    int status = uv_getaddrinfo(t->loop, &req, NULL, address->host, service, &hints);
    if (status < 0)
        return status;
    status = UV_EAI_NONAME;
    for (const struct addrinfo *ai = req.addrinfo; ai != NULL && status != 0;
         ai = ai->ai_next) {
        struct sockaddr_storage one = {0};
        memcpy(&one, ai->ai_addr, ai->ai_addrlen);
        status = listen_on(t, &one, port);
    }
    uv_freeaddrinfo(req.addrinfo);
    return status;
}

/* UV_EAI_... are libuv's own numbers, below every errno. */
static bool is_lookup_error(int status)
{
    return status <= UV_EAI_ADDRFAMILY && status != UV_EAI_MEMORY && status > UV_EOF;
}

int wc_transport_listen(struct wc_transport *t, const char *address, uint16_t *port,
                        char problem[256])
{
    struct wc_address parsed;
    struct sockaddr_storage numeric;
    if (wc_address_parse(&parsed, address) != 0) {
        snprintf(problem, 256, "cannot listen on '%.128s': must be HOST:PORT", address);
        return -WC_EINVALID;
    }
    int status = wc_address_numeric(&parsed, &numeric) == 0
                     ? listen_on(t, &numeric, port)
                     : listen_on_name(t, &parsed, port);
    if (status == 0)
        return 0;
    snprintf(problem, 256, "cannot listen on %.128s: %s", address, uv_strerror(status));
    return is_lookup_error(status) ? -WC_ENOTFOUND : result_of(status);
}

/* ---- dialling ---- */

static void dial_free(struct dial *d)
{
    struct wc_transport *t = d->t;
    bool failed = d->state == DIAL_FAILED;
    TAILQ_REMOVE(failed ? &t->failed : &t->dials, d, entry);
    if (failed)
        t->failed_count--;
    else
        t->dials_count--;
    if (d->state == DIAL_CONNECTING)
        t->active_count--;
    free(d);
    wake(t); /* one that is queued may begin */
}

static void dial_fail(struct dial *d, int rc)
{
    struct wc_transport *t = d->t;
    TAILQ_REMOVE(&t->dials, d, entry);
    t->dials_count--;
    if (d->state == DIAL_CONNECTING)
        t->active_count--;
    d->state = DIAL_FAILED;
    d->rc = rc;
    TAILQ_INSERT_TAIL(&t->failed, d, entry);
    t->failed_count++;
    wake(t);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct conn *c = req->data;
    if (c->phase == PHASE_CLOSING)
        return;
    waiting_remove(c);
    int rc = status < 0 ? result_of(status) : conn_begin(c);
    if (rc != 0)
        conn_close(c, rc);
}

/* Begin to connect; 0 when on_connected or on_conn_closed will go on. */
static int dial_connect(struct dial *d, const struct sockaddr_storage *address)
{
    struct wc_transport *t = d->t;
    const struct sockaddr *sa = (const struct sockaddr *)address;
    if (t->identity == NULL)
        return -WC_EDENIED;
    struct conn *c = conn_new(t);
    if (c == NULL)
        return -WC_ENOMEM;
    c->dial = d;
    c->phase = PHASE_CONNECTING;
    wc_address_text(sa, c->remote);
    waiting_add(c);
    int status = uv_tcp_connect(&c->connect, &c->tcp, sa, on_connected);
    if (status < 0)
        conn_close(c, result_of(status));
    return 0;
}

/* Try the next address, or give up with what the last one said. */
static void dial_next(struct dial *d, int rc)
{
    assert(d->state == DIAL_CONNECTING);
    if (rc != 0)
        d->rc = rc;
    while (d->next < d->found_count) {
        d->rc = dial_connect(d, &d->found[d->next++]);
        if (d->rc == 0)
            return;
    }
    dial_fail(d, d->rc);
}

static void dial_addresses_known(struct dial *d)
{
    d->state = DIAL_CONNECTING;
    d->t->active_count++;
    dial_next(d, 0);
}

/* A configured peer that has a name is exempt under the addresses of that name. */
static void exempt_learn(struct wc_transport *t, const struct dial *d)
{
    for (uint32_t i = 0; i < t->exempt_count; i++) {
        struct exempt *e = &t->exempt[i];
        if (strcmp(e->address.host, d->address.host) != 0)
            continue;
        e->sources_count = d->found_count;
        for (unsigned k = 0; k < d->found_count; k++)
            wc_source_of((const struct sockaddr *)&d->found[k], &e->sources[k]);
    }
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct dial *d = req->data;
    struct wc_transport *t = d->t;
    t->open_count--;
    t->resolving_count--;
    if (t->closing) {
        uv_freeaddrinfo(found);
        dial_free(d);
        free_if_done(t);
        return;
    }
    for (const struct addrinfo *ai = status < 0 ? NULL : found;
         ai != NULL && d->found_count < WC_DIAL_ADDRESSES_MAX_COUNT; ai = ai->ai_next) {
        if (ai->ai_family == AF_INET || ai->ai_family == AF_INET6)
            memcpy(&d->found[d->found_count++], ai->ai_addr, ai->ai_addrlen);
    }
    uv_freeaddrinfo(found);
    if (d->found_count == 0) {
        dial_fail(d, status == UV_EAI_MEMORY ? -WC_ENOMEM : -WC_ENOTFOUND);
        return;
    }
    exempt_learn(t, d);
    dial_addresses_known(d);
    wake(t); /* the next name may be looked up */
}

static void dial_resolve(struct dial *d)
{
    struct wc_transport *t = d->t;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char service[8];
    snprintf(service, sizeof(service), "%u", (unsigned)d->address.port);
    d->resolve.data = d;
    int status = uv_getaddrinfo(t->loop, &d->resolve, on_resolved, d->address.host,
                                service, &hints);
    if (status < 0) {
        dial_fail(d, status == UV_ENOMEM ? -WC_ENOMEM : -WC_ENOTFOUND);
        return;
    }
    d->state = DIAL_RESOLVING;
    t->resolving_count++;
    t->open_count++;
}

static void dial_begin(struct dial *d)
{
    if (wc_address_numeric(&d->address, &d->found[0]) == 0) {
        d->found_count = 1;
        dial_addresses_known(d);
    } else if (d->t->resolving_count < WC_RESOLVES_MAX_COUNT) {
        dial_resolve(d);
    }
}

static void begin_dials(struct wc_transport *t)
{
    struct dial *d, *next;
    for (d = TAILQ_FIRST(&t->dials); d != NULL; d = next) {
        next = TAILQ_NEXT(d, entry);
        if (t->active_count >= WC_DIALS_MAX_COUNT)
            return;
        if (d->state == DIAL_QUEUED)
            dial_begin(d);
    }
}

/* Those that had failed before we began: the owner may dial again at once. */
static void report_failed(struct wc_transport *t)
{
    for (unsigned n = t->failed_count; n > 0 && !t->closing; n--) {
        struct dial *d = TAILQ_FIRST(&t->failed);
        uint32_t number = d->number;
        int rc = d->rc;
        dial_free(d);
        t->events.dial_failed(t->events.ctx, number, rc);
    }
}

void wc_transport_dial(struct wc_transport *t, uint32_t dial, const char *address)
{
    assert(dial != 0);
    if (t->closing)
        return;
    struct dial *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        t->events.dial_failed(t->events.ctx, dial, -WC_ENOMEM);
        return;
    }
    d->t = t;
    d->number = dial;
    TAILQ_INSERT_TAIL(&t->dials, d, entry);
    t->dials_count++;
    if (t->dials_count > DIALS_QUEUED_MAX)
        dial_fail(d, -WC_ELIMIT);
    else if (wc_address_parse(&d->address, address) != 0 || d->address.port == 0)
        dial_fail(d, -WC_EINVALID);
    wake(t);
}

/* ---- the loop came round ---- */

static void on_work(uv_idle_t *idle)
{
    struct wc_transport *t = idle->data;
    uv_idle_stop(idle);
    flush_all(t);
    begin_dials(t);
    report_failed(t);
}

/* ---- what the owner calls ---- */

int wc_transport_new(struct wc_transport **out, struct uv_loop_s *loop,
                     const struct wc_transport_events *events)
{
    struct wc_transport *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -WC_ENOMEM;
    t->loop = loop;
    t->events = *events;
    TAILQ_INIT(&t->listeners);
    TAILQ_INIT(&t->conns);
    TAILQ_INIT(&t->waiting);
    TAILQ_INIT(&t->flushing);
    TAILQ_INIT(&t->dials);
    TAILQ_INIT(&t->failed);
    uv_idle_init(loop, &t->work);
    uv_timer_init(loop, &t->deadline);
    uv_timer_init(loop, &t->relisten);
    t->work.data = t->deadline.data = t->relisten.data = t;
    t->open_count = 3;
    *out = t;
    return 0;
}

static void close_all_conns(struct wc_transport *t, int rc)
{
    struct conn *c;
    TAILQ_FOREACH(c, &t->conns, entry)
    {
        if (c->dial != NULL)
            c->dial->next = c->dial->found_count; /* no other address either */
        conn_close(c, c->dial != NULL ? -WC_ECLOSED : rc);
    }
}

static void close_dials(struct wc_transport *t)
{
    struct dial *d, *next;
    struct conn *c;
    TAILQ_FOREACH(c, &t->conns, entry)
    c->dial = NULL;
    for (d = TAILQ_FIRST(&t->dials); d != NULL; d = next) {
        next = TAILQ_NEXT(d, entry);
        if (d->state == DIAL_RESOLVING)
            uv_cancel((uv_req_t *)&d->resolve); /* on_resolved frees it, now or later */
        else
            dial_free(d);
    }
    for (d = TAILQ_FIRST(&t->failed); d != NULL; d = next) {
        next = TAILQ_NEXT(d, entry);
        dial_free(d);
    }
}

void wc_transport_close(struct wc_transport *t, void (*done)(void *ctx), void *ctx)
{
    struct listener *l, *next;
    assert(!t->closing);
    t->closing = true;
    t->done = done;
    t->done_ctx = ctx;
    close_all_conns(t, 0);
    close_dials(t);
    for (l = TAILQ_FIRST(&t->listeners); l != NULL; l = next) {
        next = TAILQ_NEXT(l, entry);
        l->discard = true;
        if (l->closed) {
            TAILQ_REMOVE(&t->listeners, l, entry);
            free(l);
        } else if (!uv_is_closing((uv_handle_t *)&l->tcp)) {
            uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
        }
    }
    uv_close((uv_handle_t *)&t->work, on_own_handle_closed);
    uv_close((uv_handle_t *)&t->deadline, on_own_handle_closed);
    uv_close((uv_handle_t *)&t->relisten, on_own_handle_closed);
}

void wc_transport_set_identity(struct wc_transport *t,
                               const struct wc_identity *identity)
{
    close_all_conns(t, 0);
    t->identity = identity;
}

void wc_transport_set_exempt(struct wc_transport *t, const char *const *addresses,
                             uint32_t count)
{
    free(t->exempt);
    t->exempt_count = 0;
    t->exempt = calloc(count, sizeof(*t->exempt)); /* without memory, none is exempt */
    for (uint32_t i = 0; t->exempt != NULL && i < count; i++) {
        struct exempt *e = &t->exempt[t->exempt_count];
        struct sockaddr_storage numeric;
        if (wc_address_parse(&e->address, addresses[i]) != 0)
            continue;
        t->exempt_count++;
        if (wc_address_numeric(&e->address, &numeric) != 0)
            continue;
        e->sources_count = 1;
        wc_source_of((const struct sockaddr *)&numeric, &e->sources[0]);
    }
}

void wc_transport_send(struct wc_transport *t, uint32_t link, struct wc_slice frame)
{
    struct conn *c = conn_of(t, link);
    assert(frame.len > 0 && frame.len <= WC_FRAME_MAX_BYTES);
    if (c == NULL || c->phase != PHASE_OPEN)
        return;
    int rc = wc_link_send(c->link, frame, wall_ms(), &c->pending);
    if (rc == 0 && queued_bytes(c) > WC_LINK_QUEUE_MAX_BYTES)
        rc = -WC_ELIMIT;
    if (rc != 0)
        conn_close(c, rc);
    else if (c->pending.len >= FLUSH_BYTES)
        flush(c);
    if (c->phase == PHASE_OPEN)
        flush_soon(c);
}

void wc_transport_close_link(struct wc_transport *t, uint32_t link)
{
    struct conn *c = conn_of(t, link);
    if (c != NULL)
        conn_close(c, 0);
}

bool wc_transport_link(const struct wc_transport *t, uint32_t link,
                       struct wc_transport_link *out)
{
    const struct conn *c = conn_of(t, link);
    if (c == NULL || c->phase != PHASE_OPEN)
        return false;
    *out = (struct wc_transport_link){
        .since_mono_ms = c->since_ms,
        .received_bytes = c->received_bytes,
        .sent_bytes = c->sent_bytes,
        .queued_bytes = queued_bytes(c),
    };
    memcpy(out->remote_address, c->remote, sizeof(out->remote_address));
    return true;
}

void wc_transport_stats(const struct wc_transport *t, struct wc_transport_stats *out)
{
    *out = t->stats;
}
