/* SPDX-License-Identifier: Apache-2.0 */
/* Dialling: a name is looked up, its addresses are tried in turn. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/transport_internal.h"

#define DIALS_QUEUED_MAX 4096 /* the address book of a large organisation */

void wc_dial_free(struct wc_dial *d)
{
    struct wc_transport *t = d->t;
    bool failed = d->state == WC_DIAL_FAILED;
    TAILQ_REMOVE(failed ? &t->failed : &t->dials, d, entry);
    if (failed)
        t->failed_count--;
    else
        t->dials_count--;
    if (d->state == WC_DIAL_CONNECTING)
        t->active_count--;
    free(d);
    wc_transport_wake(t); /* one that is queued may begin */
}

static void dial_fail(struct wc_dial *d, int rc)
{
    struct wc_transport *t = d->t;
    TAILQ_REMOVE(&t->dials, d, entry);
    t->dials_count--;
    if (d->state == WC_DIAL_CONNECTING)
        t->active_count--;
    d->state = WC_DIAL_FAILED;
    d->rc = rc;
    TAILQ_INSERT_TAIL(&t->failed, d, entry);
    t->failed_count++;
    wc_transport_wake(t);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct wc_conn *c = req->data;
    if (c->phase == WC_CONN_CLOSING)
        return;
    wc_conn_waited(c);
    int rc = status < 0 ? wc_transport_result(status) : wc_conn_begin(c);
    if (rc != 0)
        wc_conn_close(c, rc);
}

/* Begin to connect; 0 when on_connected or on_conn_closed will go on. */
static int dial_connect(struct wc_dial *d, const struct sockaddr_storage *address)
{
    struct wc_transport *t = d->t;
    const struct sockaddr *sa = (const struct sockaddr *)address;
    if (t->identity == NULL)
        return -WC_EDENIED;
    struct wc_conn *c = wc_conn_new(t);
    if (c == NULL)
        return -WC_ENOMEM;
    c->dial = d;
    c->phase = WC_CONN_CONNECTING;
    wc_address_text(sa, c->remote);
    wc_source_of(sa, &c->source);
    wc_conn_wait(c);
    int status = uv_tcp_connect(&c->connect, &c->tcp, sa, on_connected);
    if (status < 0)
        wc_conn_close(c, wc_transport_result(status));
    return 0;
}

/* Try the next address, or give up with what the last one said. */
void wc_dial_next(struct wc_dial *d, int rc)
{
    assert(d->state == WC_DIAL_CONNECTING);
    if (rc != 0)
        d->rc = rc;
    while (d->next < d->found_count) {
        d->rc = dial_connect(d, &d->found[d->next++]);
        if (d->rc == 0)
            return;
    }
    dial_fail(d, d->rc);
}

static void dial_addresses_known(struct wc_dial *d)
{
    d->state = WC_DIAL_CONNECTING;
    d->t->active_count++;
    wc_dial_next(d, 0);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct wc_dial *d = req->data;
    struct wc_transport *t = d->t;
    t->open_count--;
    t->resolving_count--;
    if (t->closing) {
        uv_freeaddrinfo(found);
        wc_dial_free(d);
        wc_transport_free_if_done(t);
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
    wc_exempt_learn(t, d);
    dial_addresses_known(d);
    wc_transport_wake(t); /* the next name may be looked up */
}

static void dial_resolve(struct wc_dial *d)
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
    d->state = WC_DIAL_RESOLVING;
    t->resolving_count++;
    t->open_count++;
}

static void dial_begin(struct wc_dial *d)
{
    if (wc_address_numeric(&d->address, &d->found[0]) == 0) {
        d->found_count = 1;
        dial_addresses_known(d);
    } else if (d->t->resolving_count < WC_RESOLVES_MAX_COUNT) {
        dial_resolve(d);
    }
}

void wc_dials_begin(struct wc_transport *t)
{
    struct wc_dial *d, *next;
    for (d = TAILQ_FIRST(&t->dials); d != NULL; d = next) {
        next = TAILQ_NEXT(d, entry);
        if (t->active_count >= WC_DIALS_MAX_COUNT)
            return;
        if (d->state == WC_DIAL_QUEUED)
            dial_begin(d);
    }
}

/* Those that had failed before we began: the owner may dial again at once. */
void wc_dials_report(struct wc_transport *t)
{
    for (unsigned n = t->failed_count; n > 0 && !t->closing; n--) {
        struct wc_dial *d = TAILQ_FIRST(&t->failed);
        uint32_t number = d->number;
        int rc = d->rc;
        wc_dial_free(d);
        t->events.dial_failed(t->events.ctx, number, rc);
    }
}

void wc_transport_dial(struct wc_transport *t, uint32_t dial, const char *address)
{
    assert(dial != 0);
    if (t->closing)
        return;
    struct wc_dial *d = calloc(1, sizeof(*d));
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
    wc_transport_wake(t);
}

void wc_dials_close(struct wc_transport *t)
{
    struct wc_dial *d, *next;
    struct wc_conn *c;
    TAILQ_FOREACH(c, &t->conns, entry)
    c->dial = NULL;
    for (d = TAILQ_FIRST(&t->dials); d != NULL; d = next) {
        next = TAILQ_NEXT(d, entry);
        if (d->state == WC_DIAL_RESOLVING)
            uv_cancel((uv_req_t *)&d->resolve); /* on_resolved frees it, now or later */
        else
            wc_dial_free(d);
    }
    for (d = TAILQ_FIRST(&t->failed); d != NULL; d = next) {
        next = TAILQ_NEXT(d, entry);
        wc_dial_free(d);
    }
}
