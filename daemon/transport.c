/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links of this office over TCP: what the owner calls, and the end. The parts are
 * told in daemon/transport_internal.h.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop.h"
#include "daemon/transport_internal.h"

#define FLUSH_BYTES (256u << 10) /* pending above this does not wait for the loop */

int wc_transport_result(int status)
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

void wc_transport_free_if_done(struct wc_transport *t)
{
    if (!t->closing || t->open_count > 0)
        return;
    void (*done)(void *) = t->done;
    void *ctx = t->done_ctx;
    free(t->exempt);
    wc_penalties_free(t->penalties);
    free(t);
    done(ctx);
}

static void on_own_handle_closed(uv_handle_t *handle)
{
    struct wc_transport *t = handle->data;
    t->open_count--;
    wc_transport_free_if_done(t);
}

/* ---- work that waits for the loop to come round ---- */

static void on_work(uv_idle_t *idle);

/* An idle handle runs before the loop sleeps and keeps it from sleeping while active. */
void wc_transport_wake(struct wc_transport *t)
{
    if (!t->closing)
        uv_idle_start(&t->work, on_work);
}
/* ---- the loop came round ---- */

static void on_work(uv_idle_t *idle)
{
    struct wc_transport *t = idle->data;
    uv_idle_stop(idle);
    wc_conns_flush(t);
    wc_dials_begin(t);
    wc_dials_report(t);
}

/* ---- what the owner calls ---- */

int wc_transport_new(struct wc_transport **out, struct uv_loop_s *loop,
                     const struct wc_transport_events *events)
{
    struct wc_transport *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -WC_ENOMEM;
    if (wc_penalties_new(&t->penalties) != 0) {
        free(t);
        return -WC_ENOMEM;
    }
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
    struct wc_conn *c;
    TAILQ_FOREACH(c, &t->conns, entry)
    {
        if (c->dial != NULL)
            c->dial->next = c->dial->found_count; /* no other address either */
        wc_conn_close(c, c->dial != NULL ? -WC_ECLOSED : rc);
    }
}

void wc_transport_close(struct wc_transport *t, void (*done)(void *ctx), void *ctx)
{
    assert(!t->closing);
    t->closing = true;
    t->done = done;
    t->done_ctx = ctx;
    close_all_conns(t, 0);
    wc_dials_close(t);
    wc_listeners_close(t);
    uv_close((uv_handle_t *)&t->work, on_own_handle_closed);
    uv_close((uv_handle_t *)&t->deadline, on_own_handle_closed);
    uv_close((uv_handle_t *)&t->relisten, on_own_handle_closed);
}

void wc_transport_set_identity(struct wc_transport *t,
                               const struct wc_identity *identity)
{
    t->renaming = true;
    close_all_conns(t, 0);
    t->renaming = false;
    t->identity = identity;
}

/* Memory for what is unread is bounded for all links together: the longest queue goes. */
static void bound_queues(struct wc_transport *t)
{
    struct wc_conn *c, *longest = NULL;
    size_t total = 0;
    TAILQ_FOREACH(c, &t->conns, entry)
    {
        size_t queued = c->phase == WC_CONN_OPEN ? wc_conn_queued_bytes(c) : 0;
        total += queued;
        if (queued > 0 && (longest == NULL || queued > wc_conn_queued_bytes(longest)))
            longest = c;
    }
    if (total > WC_LINKS_QUEUE_MAX_BYTES)
        wc_conn_close(longest, -WC_ELIMIT);
}

uint64_t wc_transport_queued_bytes(const struct wc_transport *t, uint32_t link)
{
    const struct wc_conn *c = wc_conn_of(t, link);
    return c == NULL || c->phase != WC_CONN_OPEN ? 0 : wc_conn_queued_bytes(c);
}

void wc_transport_send(struct wc_transport *t, uint32_t link, struct wc_slice frame)
{
    struct wc_conn *c = wc_conn_of(t, link);
    assert(frame.len > 0 && frame.len <= WC_FRAME_MAX_BYTES);
    if (c == NULL || c->phase != WC_CONN_OPEN)
        return;
    int rc = wc_link_send(c->link, frame, wc_wall_ms(), &c->pending);
    if (rc == 0 && wc_conn_queued_bytes(c) > WC_LINK_QUEUE_MAX_BYTES)
        rc = -WC_ELIMIT;
    if (rc != 0)
        wc_conn_close(c, rc);
    else if (c->pending.len >= FLUSH_BYTES)
        wc_conn_flush(c);
    if (wc_conn_queued_bytes(c) > WC_LINK_QUEUE_MAX_BYTES / 8)
        bound_queues(t);
    if (c->phase == WC_CONN_OPEN)
        wc_conn_flush_soon(c);
}

void wc_transport_close_link(struct wc_transport *t, uint32_t link)
{
    struct wc_conn *c = wc_conn_of(t, link);
    if (c != NULL && c->phase == WC_CONN_OPEN)
        wc_conn_flush(c); /* what was said last, as far as it goes at once */
    if (c != NULL)
        wc_conn_close(c, 0);
}

bool wc_transport_link(const struct wc_transport *t, uint32_t link,
                       struct wc_transport_link *out)
{
    const struct wc_conn *c = wc_conn_of(t, link);
    if (c == NULL || c->phase != WC_CONN_OPEN)
        return false;
    *out = (struct wc_transport_link){
        .since_mono_ms = c->since_ms,
        .received_bytes = c->received_bytes,
        .sent_bytes = c->sent_bytes,
        .queued_bytes = wc_conn_queued_bytes(c),
    };
    memcpy(out->remote_address, c->remote, sizeof(out->remote_address));
    return true;
}

void wc_transport_stats(const struct wc_transport *t, struct wc_transport_stats *out)
{
    *out = t->stats;
}

uint32_t wc_transport_offenders(const struct wc_transport *t, struct wc_offender *out,
                                uint32_t max, uint32_t *total)
{
    return wc_penalties_worst(t->penalties, out, max, uv_now(t->loop), total);
}
