/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening, and what strangers may take from us. That is bounded:
 * WC_STRANGERS_MAX_COUNT connections that have not shown the MAC,
 * WC_HANDSHAKES_MAX_COUNT that have (only these cost a Diffie-Hellman), and of both
 * together WC_HANDSHAKES_ADDR_COUNT of one source.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/transport_internal.h"

#define LISTEN_BACKLOG 1024 /* a burst of strangers must not cost an office a second */
#define RELISTEN_MS    1000

/* ---- who is exempt ---- */

void wc_transport_set_exempt(struct wc_transport *t, const char *const *addresses,
                             uint32_t count)
{
    free(t->exempt);
    t->exempt_count = 0;
    t->exempt = calloc(count, sizeof(*t->exempt)); /* without memory, none is exempt */
    for (uint32_t i = 0; t->exempt != NULL && i < count; i++) {
        struct wc_exempt *e = &t->exempt[t->exempt_count];
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

/* A configured peer that has a name is exempt under the addresses of that name. */
void wc_exempt_learn(struct wc_transport *t, const struct wc_dial *d)
{
    for (uint32_t i = 0; i < t->exempt_count; i++) {
        struct wc_exempt *e = &t->exempt[i];
        if (strcmp(e->address.host, d->address.host) != 0)
            continue;
        e->sources_count = d->found_count;
        for (unsigned k = 0; k < d->found_count; k++)
            wc_source_of((const struct sockaddr *)&d->found[k], &e->sources[k]);
    }
}

bool wc_source_exempt(const struct wc_transport *t, const struct wc_source *source)
{
    for (uint32_t i = 0; i < t->exempt_count; i++) {
        const struct wc_exempt *e = &t->exempt[i];
        for (unsigned k = 0; k < e->sources_count; k++) {
            if (wc_source_eq(&e->sources[k], source))
                return true;
        }
    }
    return false;
}

/* ---- who misbehaves ---- */

void wc_source_failed(struct wc_conn *c)
{
    struct wc_transport *t = c->t;
    char text[WC_ADDRESS_MAX_BYTES + 1];
    if (!wc_penalties_fail(t->penalties, &c->source, c->loopback, uv_now(t->loop)) ||
        t->events.misbehaved == NULL)
        return;
    wc_source_text(&c->source, text);
    t->events.misbehaved(t->events.ctx, text);
}

/* A link from there that lasts, now: an office is there. */
static bool linked_from(const struct wc_transport *t, const struct wc_source *source)
{
    const struct wc_conn *c;
    TAILQ_FOREACH(c, &t->conns, entry)
    {
        if (c->phase == WC_CONN_OPEN && wc_source_eq(&c->source, source) &&
            uv_now(t->loop) - c->since_ms >= WC_PENALTY_STEADY_MS)
            return true;
    }
    return false;
}

/* Loopback never is: whatever is forwarded to this machine comes from there, and a local
 * user who wants to be a nuisance has better ways. */
static bool is_paused(const struct wc_conn *c)
{
    struct wc_transport *t = c->t;
    if (c->loopback || !wc_penalties_paused(t->penalties, &c->source, uv_now(t->loop)))
        return false;
    if (!linked_from(t, &c->source))
        return true;
    wc_penalties_good(t->penalties, &c->source, wc_source_exempt(t, &c->source),
                      uv_now(t->loop));
    return false;
}

/* ---- accepting ---- */

/* The oldest stranger of one source that counts against it, or NULL; *count gets the
 * handshakes of that source, strangers or not. */
static struct wc_conn *oldest_of(const struct wc_transport *t,
                                 const struct wc_source *source, unsigned *count)
{
    struct wc_conn *c, *oldest = NULL;
    *count = 0;
    TAILQ_FOREACH(c, &t->waiting, waiting_entry)
    {
        if (!c->accepted || !c->limited || !wc_source_eq(&c->source, source))
            continue;
        ++*count;
        if (oldest == NULL && !c->passed)
            oldest = c;
    }
    return oldest;
}

/* Of all strangers, the one that gives way: the oldest, but not one from where an office
 * was linked of late. In a flood an office that lost its link comes back. */
static struct wc_conn *first_to_go(const struct wc_transport *t)
{
    struct wc_conn *c, *oldest = NULL;
    TAILQ_FOREACH(c, &t->waiting, waiting_entry)
    {
        if (!c->accepted || c->passed)
            continue;
        if (!wc_penalties_trusted(t->penalties, &c->source, uv_now(t->loop)))
            return c;
        if (oldest == NULL)
            oldest = c;
    }
    return oldest;
}

/* False when a source has all its handshakes past the MAC. Otherwise its oldest stranger
 * gives way rather than the newcomer: offices behind one address translator are not shut
 * out by a silent neighbour. */
static bool make_room(struct wc_conn *c)
{
    struct wc_transport *t = c->t;
    unsigned count;
    if (c->limited) {
        struct wc_conn *oldest = oldest_of(t, &c->source, &count);
        if (count >= WC_HANDSHAKES_ADDR_COUNT) {
            if (oldest == NULL)
                return false;
            wc_source_failed(oldest); /* silent, and more of its kind come */
            wc_conn_evict(oldest);
        }
    }
    if (t->stats.strangers_count >= WC_STRANGERS_MAX_COUNT)
        wc_conn_evict(first_to_go(t));
    return true;
}

static void conn_accepted(struct wc_conn *c)
{
    struct wc_transport *t = c->t;
    struct sockaddr_storage peer;
    int len = sizeof(peer);
    c->accepted = true;
    t->stats.accepted_count++;
    int status = uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &len);
    if (status < 0) {
        wc_conn_close(c, wc_transport_result(status)); /* gone again */
        return;
    }
    const struct sockaddr *sa = (const struct sockaddr *)&peer;
    wc_address_text(sa, c->remote);
    wc_source_of(sa, &c->source);
    c->loopback = wc_address_is_loopback(sa);
    if (is_paused(c)) {
        t->stats.paused_count++;
        wc_conn_close(c, -WC_ELIMIT);
        return;
    }
    c->limited = !c->loopback && !wc_source_exempt(t, &c->source);
    if (!make_room(c)) {
        wc_conn_evict(c);
        return;
    }
    int rc = wc_conn_begin(c);
    if (rc != 0)
        wc_conn_close(c, rc);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct wc_listener *l = handle->data;
    struct wc_transport *t = l->t;
    l->closed = true;
    if (l->discard) {
        TAILQ_REMOVE(&t->listeners, l, entry);
        free(l);
    }
    t->open_count--;
    wc_transport_free_if_done(t);
}

static void on_relisten(uv_timer_t *timer);

/* Close a listener that cannot accept now, and open it again a little later. */
static void listener_pause(struct wc_listener *l)
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
    struct wc_listener *l = server->data;
    if (status < 0) {
        if (status == UV_EMFILE || status == UV_ENFILE || status == UV_ENOBUFS ||
            status == UV_ENOMEM)
            listener_pause(l);
        return; /* else that one connection failed before it was taken */
    }
    struct wc_conn *c = wc_conn_new(l->t);
    if (c == NULL) {
        listener_pause(l);
        return;
    }
    c->phase = WC_CONN_HANDSHAKE;
    status = uv_accept(server, (uv_stream_t *)&c->tcp);
    if (status < 0)
        wc_conn_close(c, wc_transport_result(status));
    else
        conn_accepted(c);
}

/* Bind and listen; on failure the handle is closing and on_listener_closed follows. */
static int listener_open(struct wc_listener *l)
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
    struct wc_listener *l;
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
    struct wc_listener *l = calloc(1, sizeof(*l));
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
                        char problem[WC_PROBLEM_BYTES])
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
    return is_lookup_error(status) ? -WC_ENOTFOUND : wc_transport_result(status);
}

void wc_listeners_close(struct wc_transport *t)
{
    struct wc_listener *l, *next;
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
}
