/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/api.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <uv.h>

#include <whocan/error.h>
#include <whocan/limits.h>

#include "daemon/fair.h"
#include "daemon/log.h"
#include "daemon/rpc.h"

#define BACKLOG             128
#define READ_BYTES          65536
#define LOW_WATER_BYTES     (256u << 10) /* streams go on below this much unread output */
#define CLOSE_PATIENCE_MS   1000 /* for clients to read their last answers at a stop */
#define ERROR_MESSAGE_BYTES 512

const uint64_t wc_find_buckets_us[WC_FIND_BUCKETS_COUNT] = {
    500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 500000, 2000000};

static const struct wc_fair_config turns_config = {
    .classes =
        {
            [WC_COST_READ] = {.rate = {WC_RPC_READS_MINUTE, WC_RPC_READS_BURST}},
            [WC_COST_FIND] = {.rate = {WC_RPC_FINDS_MINUTE, WC_RPC_FINDS_BURST},
                              .running_max = WC_RPC_FINDS_UID_COUNT},
            [WC_COST_ASK] = {.rate = {WC_RPC_ASKS_MINUTE, WC_RPC_ASKS_BURST}},
            [WC_COST_EDIT] = {.rate = {WC_RPC_EDITS_MINUTE, WC_RPC_EDITS_BURST}},
            [WC_COST_EXPORT] = {.rate = {WC_RPC_EXPORTS_MINUTE, WC_RPC_EXPORTS_BURST},
                                .running_max = WC_RPC_EXPORTS_UID_COUNT},
            [WC_COST_ADMIN] = {.rate = {0, 0}},
        },
    .classes_count = WC_COSTS_COUNT,
    .waiting_user_max = WC_RPC_WAITING_UID_COUNT,
    .waiting_user_bytes = WC_RPC_WAITING_UID_BYTES,
    .wait_max_ms = WC_RPC_WAIT_MAX_MS,
};

struct wc_request {
    struct wc_fair_item turn;           /* first: an item is its request */
    struct wc_request *next, *previous; /* of its client */
    struct client *client;
    uint64_t number;
    enum wc_cost cost;
    uint64_t came_us;
    uint8_t *bytes; /* what doc points into */
    struct wc_doc *doc;
    struct wc_rpc rpc;
    struct wc_caller caller; /* as it was when the request came */
    bool cancelled;
    void (*cancel)(void *ctx);
    void *cancel_ctx;
    void (*drained)(void *ctx);
    void *drained_ctx;
    void (*ending)(void *ctx, int rc);
    void *ending_ctx;
    struct wc_buf answer; /* waits for wc_request_release() */
};

struct client {
    struct client *next, *previous;
    struct wc_api *api;
    uv_pipe_t pipe;
    bool pipe_open; /* its close callback is still to come */
    uid_t uid;
    gid_t gid;
    struct wc_caller caller;
    uint64_t caller_rules;      /* api->rules_number when it was looked up; 0: never */
    bool looking_up, in_lookup; /* it waits for a look-up; that is its own */
    uint64_t paused_until_ms;   /* not read before: it was told BUSY; 0: it is read */
    struct wc_buf in;
    struct wc_scan_state scan;
    struct wc_request *requests;
    uint32_t requests_count;
    bool reading, handling;
    bool ended;               /* the client sends no more */
    bool last_written;        /* nothing is read any more; close when all is written */
    int last_rc;              /* with last_message: the last word, after all answers */
    const char *last_message; /* static; NULL: there is none, or it was said */
};

struct wc_api {
    struct wc_loop *loop;
    struct wc_daemon *daemon;
    wc_api_dispatch_fn dispatch;
    wc_api_cost_fn cost;
    struct wc_fair *turns;
    uv_check_t check; /* serves, once a turn of the loop */
    uv_idle_t idle;   /* at work while something is left to serve: the loop goes on */
    struct wc_timer *later; /* a rate lets somebody go, a pause ends */
    uint32_t served_count;
    struct wc_api_stats stats; /* the counts */
    uv_pipe_t listener;
    bool listening;
    uint32_t accepted_count;                 /* in this turn of the loop */
    bool accept_later;                       /* a connection waits at the listener */
    char path[WC_SOCKET_PATH_MAX_BYTES + 1]; /* empty: the service manager's */
    dev_t device;
    ino_t inode;
    struct wc_access_rules rules;
    uint64_t rules_number;
    uint64_t requests_count;
    struct client *clients;
    uint32_t clients_count;
    bool quiet, closing;
    struct wc_log_valve valve; /* for what clients can cause */
    struct wc_timer *patience;
    void (*closed)(void *ctx);
    void *closed_ctx;
    uint8_t read_buffer[READ_BYTES];
};

static void client_go_on(struct client *c);
static void api_wake(struct wc_api *api);
static void client_close(struct client *c);

/* ---------------------------------------------------------------- output */

struct output {
    uv_write_t uv;
    struct client *client;
    uint8_t *bytes;
};

static size_t unread_bytes(const struct client *c)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&c->pipe);
}

static struct wc_request *find_drained(const struct client *c)
{
    struct wc_request *r = c->requests;
    while (r != NULL && r->drained == NULL)
        r = r->next;
    return r;
}

/* Looks for the next one anew each time: what one does may end others. */
static void tell_drained(struct client *c)
{
    struct wc_request *r;
    while (!uv_is_closing((uv_handle_t *)&c->pipe) &&
           unread_bytes(c) < LOW_WATER_BYTES && (r = find_drained(c)) != NULL) {
        void (*drained)(void *ctx) = r->drained;
        r->drained = NULL;
        drained(r->drained_ctx);
    }
}

static void on_written(uv_write_t *req, int status)
{
    struct output *o = req->data;
    struct client *c = o->client;
    free(o->bytes);
    free(o);
    if (status != 0) {
        client_close(c);
        return;
    }
    if (!c->pipe_open || uv_is_closing((uv_handle_t *)&c->pipe))
        return;
    if (c->last_written && c->last_message == NULL && c->requests_count == 0 &&
        unread_bytes(c) == 0)
        client_close(c);
    else
        tell_drained(c);
}

/* Whether one more answer is too much for this client, or for all of its uid together. */
static bool leaves_unread(const struct client *c, size_t len)
{
    size_t all = len;
    if (unread_bytes(c) + len > WC_RPC_QUEUE_MAX_BYTES)
        return true;
    if (unread_bytes(c) + len < LOW_WATER_BYTES)
        return false; /* all of them together stay below */
    for (const struct client *other = c->api->clients; other != NULL;
         other = other->next)
        if (other->uid == c->uid)
            all += unread_bytes(other);
    return all > WC_RPC_QUEUE_UID_MAX_BYTES;
}

/* Takes out's memory. A client that does not read loses its connection. */
static void client_send(struct client *c, struct wc_buf *out)
{
    size_t len = 0;
    bool failed = out->failed;
    uint8_t *bytes = wc_buf_take(out, &len);
    struct output *o = NULL;
    if (failed || uv_is_closing((uv_handle_t *)&c->pipe))
        goto out;
    if (leaves_unread(c, len)) {
        if (wc_log_allow(&c->api->valve, wc_mono_ms()))
            wc_log(WC_LOG_INFO,
                   "closing a connection of uid %lu: it leaves too many bytes unread",
                   (unsigned long)c->uid);
        client_close(c);
        goto out;
    }
    o = calloc(1, sizeof(*o));
    if (o == NULL) {
        client_close(c);
        goto out;
    }
    o->client = c;
    o->bytes = bytes;
    o->uv.data = o;
    uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)len);
    if (uv_write(&o->uv, (uv_stream_t *)&c->pipe, &buf, 1, on_written) == 0)
        return;
    client_close(c);
out:
    free(o);
    free(bytes);
    if (failed)
        client_close(c);
}

static void client_send_error(struct client *c, const uint32_t *msgid, int rc,
                              const char *field, const char *message)
{
    struct wc_buf out = {0};
    c->api->stats.errors_count++;
    wc_rpc_pack_error(&out, msgid, rc, message, field);
    client_send(c, &out);
}

/* ---------------------------------------------------------------- requests */

struct wc_daemon *wc_request_daemon(const struct wc_request *r)
{
    return r->client->api->daemon;
}

const struct wc_caller *wc_request_caller(const struct wc_request *r)
{
    return &r->caller;
}

void wc_request_set_caller(struct wc_request *r, const struct wc_caller *caller)
{
    r->caller = *caller;
}

struct wc_slice wc_request_method(const struct wc_request *r)
{
    return r->rpc.method;
}

const struct wc_obj *wc_request_params(const struct wc_request *r, int *rc)
{
    if (rc != NULL)
        *rc = r->rpc.params_rc;
    return r->rpc.params;
}

uint64_t wc_request_number(const struct wc_request *r)
{
    return r->number;
}

void wc_request_pack_id(const struct wc_request *r, struct wc_buf *out)
{
    if (r->rpc.notification)
        wc_pack_nil(out);
    else
        wc_pack_u64(out, r->rpc.msgid);
}

void wc_request_on_cancel(struct wc_request *r, void (*cancel)(void *ctx), void *ctx)
{
    r->cancel = cancel;
    r->cancel_ctx = ctx;
}

bool wc_request_may_stream(const struct wc_request *r)
{
    return r->cancelled || unread_bytes(r->client) < LOW_WATER_BYTES;
}

void wc_request_on_drain(struct wc_request *r, void (*drained)(void *ctx), void *ctx)
{
    r->drained = drained;
    r->drained_ctx = ctx;
}

void wc_request_on_end(struct wc_request *r, void (*ending)(void *ctx, int rc),
                       void *ctx)
{
    r->ending = ending;
    r->ending_ctx = ctx;
}

void *wc_request_end_ctx(const struct wc_request *r)
{
    return r->ending_ctx;
}

static void request_free(struct wc_request *r)
{
    wc_buf_fini(&r->answer);
    wc_doc_free(r->doc);
    free(r->bytes);
    free(r);
}

static void api_check_closed(struct wc_api *api);

static void client_free(struct client *c)
{
    struct wc_api *api = c->api;
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        api->clients = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    api->clients_count--;
    wc_buf_fini(&c->in);
    free(c);
    api_check_closed(api);
}

/* The last to go frees: the pipe, a request, or a look-up on the pool. */
static void client_check_free(struct client *c)
{
    if (!c->pipe_open && c->requests_count == 0 && !c->looking_up)
        client_free(c);
}

static void count_find(struct wc_api_stats *stats, uint64_t took_us)
{
    int i = 0;
    while (i < WC_FIND_BUCKETS_COUNT && took_us > wc_find_buckets_us[i])
        i++;
    stats->finds_count[i]++;
    stats->finds_us += took_us;
}

/* Unlink and free a request whose last word was sent. */
static void request_end(struct wc_request *r)
{
    struct client *c = r->client;
    if (c->requests == r)
        c->requests = r->next;
    else
        r->previous->next = r->next;
    if (r->next != NULL)
        r->next->previous = r->previous;
    c->requests_count--;
    if (r->cost == WC_COST_FIND && r->turn.state == WC_FAIR_RUNNING && !r->cancelled)
        count_find(&c->api->stats, wc_mono_us() - r->came_us);
    wc_fair_end(c->api->turns, &r->turn);
    api_wake(c->api);
    request_free(r);
    if (!c->pipe_open)
        client_check_free(c);
    else if (!c->handling)
        client_go_on(c);
}

static bool wants_answer(const struct wc_request *r)
{
    return !r->rpc.notification && r->client->pipe_open &&
           !uv_is_closing((const uv_handle_t *)&r->client->pipe);
}

void wc_request_release(struct wc_request *r)
{
    if (wants_answer(r))
        client_send(r->client, &r->answer);
    request_end(r);
}

/* The answer is packed: send it, or let somebody have the last word before. */
static void request_answer(struct wc_request *r, int rc)
{
    void (*ending)(void *ctx, int rc) = r->ending;
    r->client->api->stats.errors_count += rc != 0;
    r->ending = NULL;
    if (ending == NULL) {
        wc_request_release(r);
        return;
    }
    r->cancel = NULL; /* whoever worked on it is gone */
    r->drained = NULL;
    ending(r->ending_ctx, rc);
}

void wc_request_reply(struct wc_request *r, struct wc_buf *result)
{
    int rc = result->failed ? -WC_ENOMEM : 0;
    const char *message = "out of memory";
    if (rc == 0) {
        wc_rpc_pack_result(&r->answer, r->rpc.msgid, wc_buf_slice(result));
        rc = r->answer.len > WC_RPC_MESSAGE_MAX_BYTES ? -WC_ETOOBIG : 0;
        message = "the result does not fit one message: ask for less";
    }
    if (rc != 0) {
        wc_buf_reset(&r->answer);
        wc_rpc_pack_error(&r->answer, &r->rpc.msgid, rc, message, NULL);
    }
    wc_buf_fini(result);
    request_answer(r, rc);
}

void wc_request_fail(struct wc_request *r, int rc, const char *field,
                     const char *format, ...)
{
    char message[ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    wc_rpc_pack_error(&r->answer, &r->rpc.msgid, rc, message, field);
    request_answer(r, rc);
}

void wc_request_notify(struct wc_request *r, const char *method, struct wc_buf *params)
{
    struct wc_buf out = {0};
    if (wants_answer(r) && !params->failed) {
        wc_rpc_pack_notification(&out, method, wc_buf_slice(params));
        if (out.len <= WC_RPC_MESSAGE_MAX_BYTES)
            client_send(r->client, &out);
    }
    wc_buf_fini(&out);
    wc_buf_fini(params);
}

static void request_cancel(struct wc_request *r)
{
    void (*cancel)(void *ctx) = r->cancel;
    r->cancelled = true;
    r->cancel = NULL;
    r->drained = NULL;
    if (cancel != NULL)
        cancel(r->cancel_ctx);
    else if (r->turn.state == WC_FAIR_WAITING)
        request_end(r); /* nothing knows of it yet */
}

static struct wc_request *find_not_cancelled(const struct client *c)
{
    struct wc_request *r = c->requests;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what has ended is off the list */
    while (r != NULL && r->cancelled)
        r = r->next;
    return r;
}

/* Looks for the next one anew each time: what one does may end others. */
static void client_cancel_all(struct client *c)
{
    struct wc_request *r;
    while ((r = find_not_cancelled(c)) != NULL)
        request_cancel(r);
}

/* ---------------------------------------------------------------- input */

/* The bytes are not MessagePack-RPC: say so when what came before is answered, and close,
 * for nobody knows where the next message would start. client_go_on() must follow. */
static void client_refuse(struct client *c, int rc, const char *message)
{
    if (wc_log_allow(&c->api->valve, wc_mono_ms()))
        wc_log(WC_LOG_INFO, "closing a connection of uid %lu: %s",
               (unsigned long)c->uid, message);
    c->last_written = true;
    c->last_rc = rc;
    c->last_message = message;
}

/* More of this uid waits than may: the request is not taken, and the connection is left
 * alone for a moment. */
static void request_refuse_busy(struct wc_request *r, uint64_t retry_ms)
{
    struct client *c = r->client;
    struct wc_buf out = {0};
    char message[ERROR_MESSAGE_BYTES];
    uint64_t seconds = retry_ms / 1000 + 1;
    snprintf(
        message, sizeof(message),
        "too many requests of your account wait already: try again in %lu second%s",
        (unsigned long)seconds, seconds == 1 ? "" : "s");
    if (wants_answer(r)) {
        wc_rpc_pack_busy(&out, r->rpc.msgid, message, seconds * 1000);
        client_send(c, &out);
    }
    c->api->stats.errors_count++;
    c->api->stats.busy_count++;
    c->paused_until_ms = wc_mono_ms() + WC_RPC_BUSY_PAUSE_MS;
    request_end(r);
}

static const struct wc_scan_limits *limits_of(const struct client *c)
{
    return c->caller.may_admin ? &wc_rpc_limits : &wc_rpc_person_limits;
}

/* How much of the rates an account has; 0 frees it from them. */
static uint32_t scale_of(const struct wc_caller *caller)
{
    if (caller->may_admin)
        return 0;
    return caller->is_intranet ? WC_RPC_INTRANET_SCALE : 1;
}

static struct wc_request *request_new(struct client *c, struct wc_slice message)
{
    struct wc_request *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->bytes = malloc(message.len);
    if (r->bytes == NULL) {
        free(r);
        return NULL;
    }
    memcpy(r->bytes, message.data, message.len);
    r->client = c;
    r->caller = c->caller;
    r->number = ++c->api->requests_count;
    return r;
}

static void client_message(struct client *c, struct wc_slice message)
{
    struct wc_err err = {0};
    struct wc_request *r = request_new(c, message);
    if (r == NULL) {
        client_refuse(c, -WC_ENOMEM, "out of memory");
        return;
    }
    int rc = wc_doc_new(wc_slice(r->bytes, message.len), limits_of(c), &r->doc);
    if (rc == 0)
        rc = wc_rpc_decode(wc_doc_root(r->doc), &r->rpc, &err);
    if (rc != 0) {
        request_free(r);
        client_refuse(c, rc, err.why != NULL ? err.why : "this is not MessagePack-RPC");
        return;
    }
    r->next = c->requests;
    if (c->requests != NULL)
        c->requests->previous = r;
    c->requests = r;
    c->requests_count++;
    uint64_t retry_ms = 0;
    r->cost = c->api->cost(r->rpc.method);
    r->came_us = wc_mono_us();
    c->api->stats.requests_count[r->cost]++;
    rc = wc_fair_add(c->api->turns, &r->turn, c->uid, r->cost, scale_of(&r->caller),
                     message.len, wc_mono_ms(), &retry_ms);
    if (rc == -WC_EBUSY)
        request_refuse_busy(r, retry_ms);
    else if (rc != 0)
        wc_request_fail(r, rc, NULL, "out of memory");
    else
        api_wake(c->api);
}

static bool client_takes_requests(const struct client *c)
{
    return c->pipe_open && !c->last_written && !c->api->quiet && !c->looking_up &&
           c->api->rules_number > 0 && c->requests_count < WC_RPC_INFLIGHT_MAX_COUNT &&
           c->paused_until_ms == 0 && !uv_is_closing((const uv_handle_t *)&c->pipe);
}

static void look_up(struct client *c);

/* Handle the messages that are there, as many as may be in flight. */
static void client_handle(struct client *c)
{
    size_t done = 0;
    while (client_takes_requests(c)) {
        size_t used;
        struct wc_slice rest = wc_slice(c->in.data + done, c->in.len - done);
        if (rest.len == 0)
            break;
        if (c->caller_rules != c->api->rules_number) {
            look_up(c);
            break;
        }
        int rc = wc_scan_on(&c->scan, rest, limits_of(c), &used);
        if (rc == -WC_ETRUNCATED)
            break;
        if (rc != 0) {
            client_refuse(c, rc,
                          rc == -WC_ETOOBIG ? "the message is larger than the limit"
                                            : "this is not MessagePack-RPC");
            break;
        }
        c->scan = (struct wc_scan_state){0};
        client_message(c, wc_slice(rest.data, used));
        done += used;
    }
    wc_buf_drop(&c->in, done);
    if (c->in.len == 0 && c->in.cap > READ_BYTES)
        wc_buf_fini(&c->in); /* one large message must not be held for ever */
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct client *c = handle->data;
    *buf = uv_buf_init((char *)c->api->read_buffer, sizeof(c->api->read_buffer));
}

/* A client that shut down only its sending side still waits for answers; one that is
 * gone altogether does not. */
static bool client_is_gone(const struct client *c)
{
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&c->pipe, &fd) != 0)
        return true;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) < 0 || (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct client *c = stream->data;
    if (len == UV_EOF && !client_is_gone(c)) {
        c->ended = true;
        client_go_on(c);
        return;
    }
    if (len < 0) {
        client_close(c);
        return;
    }
    wc_buf_append(&c->in, buf->base, (size_t)len);
    if (c->in.failed)
        client_close(c);
    else
        client_go_on(c);
}

static void client_set_reading(struct client *c, bool reading)
{
    if (c->reading == reading)
        return;
    c->reading = reading;
    if (!reading)
        uv_read_stop((uv_stream_t *)&c->pipe);
    else if (uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) != 0)
        client_close(c);
}

/* After anything that may have made room: handle what came, then read on or not. */
static void client_go_on(struct client *c)
{
    if (c->handling)
        return;
    c->handling = true;
    client_handle(c);
    c->handling = false;
    if (!c->pipe_open || uv_is_closing((uv_handle_t *)&c->pipe)) {
        client_check_free(c);
        return;
    }
    bool idle = c->requests_count == 0 && !c->looking_up;
    if (idle && c->last_message != NULL) {
        const char *message = c->last_message;
        c->last_message = NULL;
        client_send_error(c, NULL, c->last_rc, NULL, message);
    }
    if ((c->ended && idle) || (c->last_written && idle)) {
        c->last_written = true;
        if (unread_bytes(c) == 0) {
            client_close(c);
            return;
        }
    }
    client_set_reading(c, !c->ended && client_takes_requests(c));
}

/* ---------------------------------------------------------------- who it is */

struct lookup {
    struct client *client;
    uint64_t rules_number;
    struct wc_access_rules rules;
    uid_t uid;
    gid_t gid;
    struct wc_caller caller;
};

static void lookup_work(void *ctx)
{
    struct lookup *l = ctx;
    wc_access_resolve(&l->rules, l->uid, l->gid, &l->caller);
}

static void lookup_start(struct client *c);

static void lookup_give(struct client *c, const struct lookup *l)
{
    c->looking_up = false;
    c->caller = l->caller;
    c->caller_rules = l->rules_number;
    client_go_on(c);
}

/* The answer is good for every connection of that account that waits for one; when they
 * differ in their group or the rules are others by now, the next one asks anew. */
static void lookup_done(void *ctx)
{
    struct lookup *l = ctx;
    struct wc_api *api = l->client->api;
    struct client *different = NULL, *next;
    l->client->in_lookup = false;
    lookup_give(l->client, l);
    for (struct client *c = api->clients; c != NULL; c = next) {
        next = c->next;
        if (!c->looking_up || c->in_lookup || c->uid != l->uid)
            continue;
        if (c->gid == l->gid && l->rules_number == api->rules_number)
            lookup_give(c, l);
        else
            different = c;
    }
    free(l);
    if (different != NULL)
        lookup_start(different);
}

static void lookup_start(struct client *c)
{
    struct lookup *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        c->looking_up = false;
        client_close(c);
        return;
    }
    l->client = c;
    l->rules = c->api->rules;
    l->rules_number = c->api->rules_number;
    l->uid = c->uid;
    l->gid = c->gid;
    c->in_lookup = true;
    if (wc_loop_work_in(c->api->loop, WC_LANE_ACCOUNTS, c->uid, lookup_work,
                        lookup_done, l) != 0) {
        c->looking_up = c->in_lookup = false;
        free(l);
        client_close(c);
    }
}

/* Requests wait until it is known who asks. One look-up of an account is under way at a
 * time, however many connections it opens. */
static void look_up(struct client *c)
{
    const struct client *other = c->api->clients;
    while (other != NULL && !(other->in_lookup && other->uid == c->uid))
        other = other->next;
    c->looking_up = true;
    if (other == NULL)
        lookup_start(c);
}

/* ---------------------------------------------------------------- connections */

static void on_client_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    c->pipe_open = false;
    client_check_free(c);
}

static void client_close(struct client *c)
{
    if (!c->pipe_open || uv_is_closing((uv_handle_t *)&c->pipe))
        return;
    uv_close((uv_handle_t *)&c->pipe, on_client_closed);
    client_cancel_all(c);
}

static uint32_t clients_of(const struct wc_api *api, uid_t uid)
{
    uint32_t count = 0;
    for (const struct client *c = api->clients; c != NULL; c = c->next)
        count += c->uid == uid;
    return count;
}

/* Fill uid and gid with what the kernel says of the other end. */
static int read_peer(struct client *c)
{
    uv_os_fd_t fd;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (uv_fileno((uv_handle_t *)&c->pipe, &fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return -WC_EIO;
    c->uid = peer.uid;
    c->gid = peer.gid;
    return 0;
}

static void take_connection(struct wc_api *api)
{
    struct client *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        api->accept_later = true;
        return;
    }
    c->api = api;
    uv_pipe_init(wc_loop_uv(api->loop), &c->pipe, 0);
    c->pipe.data = c;
    c->pipe_open = true;
    int rc = uv_accept((uv_stream_t *)&api->listener, (uv_stream_t *)&c->pipe);
    if (rc == 0)
        rc = read_peer(c);
    uint32_t same_uid = clients_of(api, c->uid);
    c->next = api->clients;
    if (api->clients != NULL)
        api->clients->previous = c;
    api->clients = c;
    api->clients_count++;
    if (rc != 0)
        client_close(c);
    else if (api->clients_count > WC_RPC_CLIENTS_MAX_COUNT)
        client_refuse(c, -WC_ELIMIT, "too many connections: try again in a moment");
    else if (same_uid >= WC_RPC_CLIENTS_UID_COUNT)
        client_refuse(c, -WC_ELIMIT, "too many connections of your account: close one");
    client_go_on(c);
}

/* libuv accepts as long as somebody connects: a flood would keep it from all else. A
 * connection that is not taken makes it stop, until it is. */
static void on_connection(uv_stream_t *listener, int status)
{
    struct wc_api *api = listener->data;
    if (status != 0)
        return; /* libuv sheds connections itself while descriptors are short */
    if (api->accepted_count++ < WC_RPC_ACCEPT_TURN_COUNT) {
        take_connection(api);
    } else {
        api->accept_later = true;
        api_wake(api);
    }
}

/* ---------------------------------------------------------------- turns */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* that the loop does not wait is all */
}

static void api_wake(struct wc_api *api)
{
    if (!api->quiet)
        uv_idle_start(&api->idle, on_idle);
}

/* Let the connections go on whose pause is over; returns when the next one's is. */
static uint64_t end_pauses(struct wc_api *api, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;
    struct client *next;
    for (struct client *c = api->clients; c != NULL; c = next) {
        next = c->next;
        if (c->paused_until_ms > now_ms) {
            next_ms = c->paused_until_ms < next_ms ? c->paused_until_ms : next_ms;
        } else if (c->paused_until_ms != 0) {
            c->paused_until_ms = 0;
            client_go_on(c);
        }
    }
    return next_ms;
}

/* Carry out requests, in turns, for a moment. Whether all who may go now have gone. */
static bool serve(struct wc_api *api)
{
    uint64_t start_us = wc_mono_us();
    struct wc_fair_item *item;
    while (!api->quiet && (item = wc_fair_next(api->turns, wc_mono_ms())) != NULL) {
        api->dispatch(api->daemon, (struct wc_request *)item);
        if (++api->served_count % 1024 == 0)
            wc_fair_tidy(api->turns, wc_mono_ms());
        if (wc_mono_us() - start_us >= WC_RPC_TURN_MAX_US)
            return false;
    }
    return true;
}

static void on_check(uv_check_t *check)
{
    struct wc_api *api = check->data;
    api->accepted_count = 0;
    if (!uv_is_active((uv_handle_t *)&api->idle) || api->quiet)
        return;
    uv_idle_stop(&api->idle); /* what follows may start it again */
    if (api->accept_later) {
        api->accept_later = false;
        take_connection(api);
    }
    uint64_t next_ms = end_pauses(api, wc_mono_ms());
    if (!serve(api)) {
        api_wake(api);
        return;
    }
    if (api->quiet)
        return;
    uint64_t rate_ms = wc_fair_deadline(api->turns), now_ms = wc_mono_ms();
    next_ms = rate_ms < next_ms ? rate_ms : next_ms;
    if (next_ms != UINT64_MAX)
        wc_timer_set(api->later, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static void on_later(void *ctx)
{
    api_wake(ctx);
}

/* ---------------------------------------------------------------- the socket */

/* Whether somebody answers on the socket at addr. */
static bool is_live(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    int rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
    bool refused = rc != 0 && errno == ECONNREFUSED;
    close(fd);
    return !refused;
}

/* A socket with mode 0666 from the first moment: who may use it is decided by uid. */
static int bind_open(int fd, const struct sockaddr_un *addr)
{
    mode_t before = umask(0111);
    int rc = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
    int error = errno;
    umask(before);
    errno = error;
    return rc;
}

/* The directory of the socket; made when its parent is there. */
static void make_directory(const char *path)
{
    char directory[WC_SOCKET_PATH_MAX_BYTES + 1];
    snprintf(directory, sizeof(directory), "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash != NULL && slash != directory) {
        *slash = '\0';
        mode_t before = umask(022);
        mkdir(directory, 0755); /* bind() tells if this was in vain */
        umask(before);
    }
}

static int bind_problem(const char *path, char problem[WC_PROBLEM_BYTES])
{
    int error = errno;
    snprintf(problem, WC_PROBLEM_BYTES, "the socket %s cannot be made: %s", path,
             strerror(error));
    return error == EACCES || error == EPERM || error == EROFS ? -WC_EDENIED : -WC_EIO;
}

static int bind_path(int fd, const char *path, char problem[WC_PROBLEM_BYTES])
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) > WC_SOCKET_PATH_MAX_BYTES) {
        snprintf(
            problem, WC_PROBLEM_BYTES,
            "the path of the socket has %zu bytes, and a Unix socket takes at most %d",
            strlen(path), WC_SOCKET_PATH_MAX_BYTES);
        return -WC_ETOOBIG;
    }
    memcpy(addr.sun_path, path, strlen(path));
    make_directory(path);
    if (bind_open(fd, &addr) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return bind_problem(path, problem);
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
        snprintf(problem, WC_PROBLEM_BYTES,
                 "%s is in the way of the socket and is not a socket: move it", path);
        return -WC_EBUSY;
    }
    if (is_live(&addr)) {
        snprintf(problem, WC_PROBLEM_BYTES,
                 "another daemon answers on %s: stop it, or choose another --socket",
                 path);
        return -WC_EBUSY;
    }
    if (unlink(path) != 0 || bind_open(fd, &addr) != 0)
        return bind_problem(path, problem);
    return 0;
}

/* The descriptor to listen on, made here or handed over; negative: an error. */
static int make_socket(struct wc_api *api, const char *path,
                       char problem[WC_PROBLEM_BYTES])
{
    struct stat st;
    int handed = sd_listen_fds(1);
    if (handed > 0) {
        if (handed == 1 &&
            sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, -1, NULL, 0) > 0)
            return SD_LISTEN_FDS_START;
        snprintf(
            problem, WC_PROBLEM_BYTES,
            "the service manager handed over %d sockets, not one Unix stream socket",
            handed);
        return -WC_ECONFIG;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return bind_problem(path, problem);
    int rc = bind_path(fd, path, problem);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    snprintf(api->path, sizeof(api->path), "%s", path);
    if (stat(path, &st) == 0) {
        api->device = st.st_dev;
        api->inode = st.st_ino;
    }
    return fd;
}

/* Remove the socket, unless another daemon has put its own there. */
static void remove_socket(struct wc_api *api)
{
    struct stat st;
    if (api->path[0] != '\0' && stat(api->path, &st) == 0 && st.st_dev == api->device &&
        st.st_ino == api->inode)
        unlink(api->path);
    api->path[0] = '\0';
}

static void on_patience_over(void *ctx);

int wc_api_new(struct wc_api **out, struct wc_loop *loop, struct wc_daemon *daemon,
               wc_api_dispatch_fn dispatch, wc_api_cost_fn cost, const char *path,
               char problem[WC_PROBLEM_BYTES])
{
    struct wc_api *api = calloc(1, sizeof(*api));
    if (api == NULL) {
        snprintf(problem, WC_PROBLEM_BYTES, "out of memory");
        return -WC_ENOMEM;
    }
    api->loop = loop;
    api->daemon = daemon;
    api->dispatch = dispatch;
    api->cost = cost;
    api->valve = (struct wc_log_valve){.burst = 20, .window_ms = 60000};
    if (wc_fair_new(&api->turns, &turns_config) != 0) {
        free(api);
        snprintf(problem, WC_PROBLEM_BYTES, "out of memory");
        return -WC_ENOMEM;
    }
    int fd = make_socket(api, path, problem);
    if (fd < 0) {
        wc_fair_free(api->turns);
        free(api);
        return fd;
    }
    uv_check_init(wc_loop_uv(loop), &api->check);
    uv_idle_init(wc_loop_uv(loop), &api->idle);
    api->check.data = api;
    uv_check_start(&api->check, on_check);
    api->later = wc_timer_new(loop, on_later, api);
    uv_pipe_init(wc_loop_uv(loop), &api->listener, 0);
    api->listener.data = api;
    api->listening = true;
    api->patience = wc_timer_new(loop, on_patience_over, api);
    int rc = uv_pipe_open(&api->listener, fd);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&api->listener, BACKLOG, on_connection);
    if (rc != 0 || api->patience == NULL || api->later == NULL) {
        snprintf(problem, WC_PROBLEM_BYTES, "the socket %s cannot be listened on: %s",
                 path, uv_strerror(rc));
        remove_socket(api);
        return -WC_EIO;
    }
    *out = api;
    return 0;
}

void wc_api_set_rules(struct wc_api *api, const struct wc_access_rules *rules)
{
    api->rules = *rules;
    api->rules_number++;
    struct client *c = api->clients;
    while (c != NULL) {
        struct client *next = c->next;
        client_go_on(c);
        c = next;
    }
}

void wc_api_stats(const struct wc_api *api, struct wc_api_stats *out)
{
    *out = api->stats;
    out->connections_count = api->clients_count;
    for (const struct client *c = api->clients; c != NULL; c = c->next)
        out->unread_bytes += unread_bytes(c);
}

const struct wc_access_rules *wc_api_rules(const struct wc_api *api)
{
    return &api->rules;
}

/* ---------------------------------------------------------------- the end */

static void api_check_closed(struct wc_api *api)
{
    if (!api->closing || api->listening || api->clients != NULL || api->closed == NULL)
        return;
    void (*closed)(void *ctx) = api->closed;
    api->closed = NULL;
    wc_timer_free(api->patience);
    closed(api->closed_ctx);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct wc_api *api = handle->data;
    api->listening = false;
    api_check_closed(api);
}

/* A request that waits for its turn, or NULL. */
static struct wc_request *find_waiting(const struct wc_api *api)
{
    for (const struct client *c = api->clients; c != NULL; c = c->next)
        for (struct wc_request *r = c->requests; r != NULL; r = r->next)
            if (r->turn.state == WC_FAIR_WAITING)
                return r;
    return NULL;
}

void wc_api_quiesce(struct wc_api *api)
{
    struct wc_request *r;
    if (api->quiet)
        return;
    api->quiet = true;
    remove_socket(api);
    uv_close((uv_handle_t *)&api->listener, on_listener_closed);
    uv_close((uv_handle_t *)&api->check, NULL);
    uv_close((uv_handle_t *)&api->idle, NULL);
    wc_timer_free(api->later);
    while ((r = find_waiting(api)) != NULL)
        wc_request_fail(r, -WC_EBUSY, NULL,
                        "this daemon is stopping: try again in a moment");
    for (struct client *c = api->clients; c != NULL; c = c->next)
        if (!uv_is_closing((uv_handle_t *)&c->pipe))
            client_set_reading(c, false);
}

static void on_patience_over(void *ctx)
{
    struct wc_api *api = ctx;
    struct client *c = api->clients;
    while (c != NULL) {
        struct client *next = c->next;
        client_close(c);
        c = next;
    }
}

void wc_api_close(struct wc_api *api, void (*closed)(void *ctx), void *ctx)
{
    wc_api_quiesce(api);
    api->closing = true;
    api->closed = closed;
    api->closed_ctx = ctx;
    wc_timer_set(api->patience, CLOSE_PATIENCE_MS, 0);
    struct client *c = api->clients;
    while (c != NULL) {
        struct client *next = c->next;
        c->ended = true;
        c->handling = true; /* it ends below, not from within a request's end */
        client_cancel_all(c);
        c->handling = false;
        client_go_on(c);
        c = next;
    }
    api_check_closed(api);
}

void wc_api_free(struct wc_api *api)
{
    if (api == NULL)
        return;
    wc_fair_free(api->turns);
    free(api);
}
