/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MessagePack-RPC over a Unix socket, client side. Two buffers and a small table: what
 * is still to be written, what was read and is not yet a whole message, and the requests
 * under way. A failure of the connection is final and kept in `broken`.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <whocan/client.h>

#define READ_BYTES       65536
#define METHOD_MAX_BYTES 64

enum { TYPE_REQUEST = 0, TYPE_RESPONSE = 1, TYPE_NOTIFICATION = 2 };

/* The bytes bound the objects too: a legal message is never refused for their number. */
static const struct wc_scan_limits message_limits = {
    .bytes_max = WC_RPC_MESSAGE_MAX_BYTES,
    .depth_max = WC_SCAN_DEPTH_MAX,
    .nodes_max = WC_RPC_MESSAGE_MAX_BYTES,
};

struct wc_reply {
    uint8_t *bytes;
    struct wc_doc *doc;
    const struct wc_obj *result; /* exactly one of result and error is not NULL */
    const struct wc_obj *error;
};

enum wait_state { WAIT_FREE, WAIT_SENT, WAIT_FORGOTTEN, WAIT_READY };

struct waiting {
    enum wait_state state;
    uint32_t id;
    struct wc_reply *reply; /* WAIT_READY */
};

struct wc_client {
    int fd;
    int broken; /* 0, or why the connection is of no further use */
    bool refused;
    bool in_callback;
    uint32_t last_id;
    struct wc_buf in;
    struct wc_scan_state scan; /* of the message that `in` starts with */
    struct wc_buf out;
    struct waiting waiting[WC_RPC_INFLIGHT_MAX_COUNT];
    wc_client_notify_fn *notify;
    void *notify_arg;
    char error[512];
};

/* ---- failures ---- */

__attribute__((format(printf, 3, 4))) static int fail(struct wc_client *c, int rc,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->error, sizeof(c->error), format, args);
    va_end(args);
    c->refused = false;
    return rc;
}

/* A failure after which the stream has no meaning any more. */
static int break_off(struct wc_client *c, int rc, const char *why)
{
    if (c->broken == 0)
        c->broken = rc;
    return fail(c, rc, "%s", why);
}

const char *wc_client_error(const struct wc_client *client)
{
    return client->error;
}

bool wc_client_refused(const struct wc_client *client)
{
    return client->refused;
}

/* ---- time ---- */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* -1 stands for no end, in both directions. */
static int64_t deadline_after(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

static int time_left(int64_t deadline_ms)
{
    if (deadline_ms < 0)
        return -1;
    int64_t left = deadline_ms - now_ms();
    return left < 0 ? 0 : (int)left;
}

/* ---- life ---- */

struct wc_client *wc_client_new(void)
{
    struct wc_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->fd = -1;
    wc_buf_init(&c->in);
    wc_buf_init(&c->out);
    return c;
}

void wc_client_free(struct wc_client *client)
{
    if (client == NULL)
        return;
    if (client->fd >= 0)
        close(client->fd);
    for (size_t i = 0; i < WC_RPC_INFLIGHT_MAX_COUNT; i++)
        wc_reply_free(client->waiting[i].reply);
    wc_buf_fini(&client->in);
    wc_buf_fini(&client->out);
    free(client);
}

void wc_reply_free(struct wc_reply *reply)
{
    if (reply == NULL)
        return;
    wc_doc_free(reply->doc);
    free(reply->bytes);
    free(reply);
}

const struct wc_obj *wc_reply_result(const struct wc_reply *reply)
{
    return reply->result;
}

const struct wc_obj *wc_reply_error(const struct wc_reply *reply)
{
    return reply->error;
}

void wc_client_on_notify(struct wc_client *client, wc_client_notify_fn *fn, void *arg)
{
    client->notify = fn;
    client->notify_arg = arg;
}

int wc_client_fd(const struct wc_client *client)
{
    return client->fd;
}

short wc_client_events(const struct wc_client *client)
{
    return client->out.len > 0 ? POLLIN | POLLOUT : POLLIN;
}

/* ---- connecting ---- */

static int write_path(char *out, size_t cap, const char *directory, const char *name)
{
    int n = snprintf(out, cap, "%s%s", directory, name);
    return n < 0 || (size_t)n >= cap ? -WC_ETOOBIG : 0;
}

int wc_client_path(const char *path, char *out, size_t out_cap)
{
    const char *named = path != NULL ? path : getenv("WHOCAN_SOCKET");
    if (named != NULL && named[0] != '\0')
        return write_path(out, out_cap, named, "");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/' &&
        write_path(out, out_cap, runtime, "/whocan/whocan.sock") == 0 &&
        access(out, F_OK) == 0)
        return 0;
    return write_path(out, out_cap, "/run/whocan/whocan.sock", "");
}

static int connect_failed(struct wc_client *c, const char *path, int error)
{
    int rc = -WC_EIO;
    if (error == ENOENT || error == ENOTDIR)
        rc = -WC_ENOTFOUND;
    else if (error == ECONNREFUSED || error == ENOTSOCK)
        rc = -WC_ECLOSED;
    else if (error == EACCES || error == EPERM)
        rc = -WC_EDENIED;
    else if (error == EAGAIN)
        return fail(c, -WC_ETIMEOUT, "%s does not take the connection", path);
    return fail(c, rc, "%s: %s", path, strerror(error));
}

/* On a Unix socket a full backlog cannot be polled for; the send timeout bounds it. */
static int connect_within(int fd, const struct sockaddr_un *address, int timeout_ms)
{
    if (timeout_ms >= 0) {
        long ms = timeout_ms > 0 ? timeout_ms : 1; /* 0 would mean no end */
        struct timeval t = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) != 0)
            return errno;
    }
    while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        if (errno != EINTR)
            return errno;
    }
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ? errno : 0;
}

/*
 * Never 0 to 2: where a program was started with one of them closed, what it prints would
 * go into the daemon's socket. Negative with errno.
 */
static int make_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int error = errno;
    close(fd);
    errno = error;
    return above;
}

int wc_client_connect(struct wc_client *client, const char *path, int timeout_ms)
{
    char found[4096];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (client->fd >= 0)
        return fail(client, -WC_EEXISTS, "this client is connected already");
    int rc = wc_client_path(path, found, sizeof(found));
    if (rc != 0 || strlen(found) >= sizeof(address.sun_path))
        return fail(
            client, -WC_ETOOBIG,
            "the socket path is longer than the %zu bytes that the system takes",
            sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, found, strlen(found) + 1);
    int fd = make_socket();
    if (fd < 0)
        return fail(client, -WC_EIO, "cannot make a socket: %s", strerror(errno));
    int error = connect_within(fd, &address, timeout_ms);
    if (error != 0) {
        close(fd);
        return connect_failed(client, found, error);
    }
    client->fd = fd;
    return 0;
}

int wc_client_adopt(struct wc_client *client, int fd)
{
    if (client->fd >= 0)
        return fail(client, -WC_EEXISTS, "this client is connected already");
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return fail(client, -WC_EIO, "cannot use the connection: %s", strerror(errno));
    client->fd = fd;
    return 0;
}

/* ---- the table of requests ---- */

static struct waiting *waiting_find(struct wc_client *c, uint32_t id)
{
    for (size_t i = 0; i < WC_RPC_INFLIGHT_MAX_COUNT; i++) {
        if (c->waiting[i].state != WAIT_FREE && c->waiting[i].id == id)
            return &c->waiting[i];
    }
    return NULL;
}

static struct waiting *waiting_free_slot(struct wc_client *c)
{
    for (size_t i = 0; i < WC_RPC_INFLIGHT_MAX_COUNT; i++) {
        if (c->waiting[i].state == WAIT_FREE)
            return &c->waiting[i];
    }
    return NULL;
}

static void waiting_clear(struct waiting *w)
{
    wc_reply_free(w->reply);
    *w = (struct waiting){.state = WAIT_FREE};
}

static uint32_t next_id(struct wc_client *c)
{
    do {
        c->last_id++;
    } while (c->last_id == 0 || waiting_find(c, c->last_id) != NULL);
    return c->last_id;
}

void wc_client_forget(struct wc_client *client, uint32_t id)
{
    struct waiting *w = waiting_find(client, id);
    if (w == NULL)
        return;
    if (w->state == WAIT_READY || client->broken != 0)
        waiting_clear(w);
    else
        w->state = WAIT_FORGOTTEN;
}

/* ---- writing ---- */

static int flush_out(struct wc_client *c)
{
    while (c->out.len > 0) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
        if (n >= 0)
            wc_buf_drop(&c->out, (size_t)n);
        else if (errno == EAGAIN || errno == EPIPE || errno == ECONNRESET)
            return 0; /* of an end reading tells, after what the daemon said last */
        else if (errno != EINTR)
            return break_off(c, -WC_ECLOSED, "the connection to the daemon broke");
    }
    return 0;
}

static int pack_request(struct wc_client *c, uint32_t id, const char *method,
                        struct wc_slice params)
{
    struct wc_buf message = {0};
    wc_pack_array(&message, 4);
    wc_pack_u64(&message, TYPE_REQUEST);
    wc_pack_u64(&message, id);
    wc_pack_text(&message, method);
    wc_pack_array(&message, params.len > 0 ? 1 : 0);
    wc_buf_append(&message, params.data, params.len);
    int rc = 0;
    if (message.failed)
        rc = fail(c, -WC_ENOMEM, "out of memory");
    else if (message.len > WC_RPC_MESSAGE_MAX_BYTES)
        rc = fail(c, -WC_ETOOBIG, "the request is larger than %u bytes",
                  WC_RPC_MESSAGE_MAX_BYTES);
    else
        wc_buf_append(&c->out, message.data, message.len);
    if (c->out.failed)
        rc = break_off(c, -WC_ENOMEM, "out of memory");
    wc_buf_fini(&message);
    return rc;
}

int wc_client_send(struct wc_client *client, const char *method, struct wc_slice params,
                   uint32_t *id)
{
    if (client->broken != 0)
        return client->broken;
    if (client->fd < 0)
        return fail(client, -WC_ECLOSED, "there is no connection");
    struct waiting *w = waiting_free_slot(client);
    if (w == NULL)
        return fail(client, -WC_ELIMIT, "%d requests are under way already",
                    WC_RPC_INFLIGHT_MAX_COUNT);
    uint32_t chosen = next_id(client);
    int rc = pack_request(client, chosen, method, params);
    if (rc != 0)
        return rc;
    *w = (struct waiting){.state = WAIT_SENT, .id = chosen};
    *id = chosen;
    return flush_out(client);
}

/* ---- reading ---- */

/* The daemon's words about a message that is not one: [ 1, nil, error, nil ]. */
static int farewell(struct wc_client *c, const struct wc_obj *error)
{
    struct wc_slice text;
    if (wc_obj_str(wc_obj_get(error, "message"), &text) != 0)
        return break_off(c, -WC_EPROTOCOL, "the daemon closed the connection");
    c->broken = -WC_EPROTOCOL;
    return fail(c, -WC_EPROTOCOL, "the daemon closed the connection: %.*s",
                (int)(text.len < 400 ? text.len : 400), (const char *)text.data);
}

static int reply_new(struct wc_slice message, struct wc_reply **out)
{
    struct wc_reply *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -WC_ENOMEM;
    r->bytes = malloc(message.len);
    if (r->bytes == NULL) {
        free(r);
        return -WC_ENOMEM;
    }
    memcpy(r->bytes, message.data, message.len);
    int rc = wc_doc_new(wc_slice(r->bytes, message.len), &message_limits, &r->doc);
    if (rc != 0) {
        wc_reply_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

/* The documents of `message` and of the reply are two: the reply outlives the buffer. */
static int take_response(struct wc_client *c, const struct wc_obj *message,
                         struct wc_slice bytes)
{
    uint64_t id = 0;
    if (wc_obj_type(wc_obj_at(message, 1)) == WC_NIL)
        return farewell(c, wc_obj_at(message, 2));
    if (wc_obj_u64(wc_obj_at(message, 1), &id) != 0 || id > UINT32_MAX)
        return break_off(c, -WC_EPROTOCOL,
                         "the daemon sent a response without a number");
    struct waiting *w = waiting_find(c, (uint32_t)id);
    if (w == NULL || w->state == WAIT_READY)
        return break_off(c, -WC_EPROTOCOL, "the daemon answered what nobody asked");
    if (w->state == WAIT_FORGOTTEN) {
        waiting_clear(w);
        return 0;
    }
    int rc = reply_new(bytes, &w->reply);
    if (rc != 0)
        return break_off(c, rc, wc_strerror(rc));
    const struct wc_obj *root = wc_doc_root(w->reply->doc);
    if (wc_obj_type(wc_obj_at(root, 2)) == WC_NIL)
        w->reply->result = wc_obj_at(root, 3);
    else
        w->reply->error = wc_obj_at(root, 2);
    w->state = WAIT_READY;
    return 0;
}

static int take_notification(struct wc_client *c, const struct wc_obj *message)
{
    struct wc_slice name;
    char method[METHOD_MAX_BYTES];
    if (wc_obj_str(wc_obj_at(message, 1), &name) != 0 ||
        !wc_slice_copy(name, method, sizeof(method)))
        return break_off(c, -WC_EPROTOCOL,
                         "the daemon sent a notification without a name");
    if (c->notify == NULL)
        return 0;
    const struct wc_obj *params = wc_obj_at(wc_obj_at(message, 2), 0);
    uint64_t request = 0;
    if (wc_obj_u64(wc_obj_get(params, "request"), &request) != 0 ||
        request > UINT32_MAX)
        request = 0;
    c->in_callback = true;
    c->notify(c->notify_arg, method, (uint32_t)request, params);
    c->in_callback = false;
    return 0;
}

static int take_message(struct wc_client *c, struct wc_slice bytes)
{
    struct wc_doc *doc = NULL;
    uint64_t type = UINT64_MAX;
    int rc = wc_doc_new(bytes, &message_limits, &doc);
    if (rc != 0)
        return break_off(c, rc, "the daemon sent something that is not a message");
    const struct wc_obj *message = wc_doc_root(doc);
    uint32_t count = wc_obj_type(message) == WC_ARRAY ? wc_obj_count(message) : 0;
    if (count == 0 || wc_obj_u64(wc_obj_at(message, 0), &type) != 0)
        type = UINT64_MAX;
    if (type == TYPE_RESPONSE && count == 4)
        rc = take_response(c, message, bytes);
    else if (type == TYPE_NOTIFICATION && count == 3)
        rc = take_notification(c, message);
    else
        rc = break_off(c, -WC_EPROTOCOL,
                       "the daemon sent something that is not MessagePack-RPC");
    wc_doc_free(doc);
    return rc;
}

static int not_a_message(struct wc_client *c, int rc)
{
    if (rc == -WC_ETOOBIG)
        return break_off(c, rc, "the daemon sent a message over 1 MiB");
    return break_off(c, -WC_EPROTOCOL,
                     "the daemon sent something that is not MessagePack");
}

/* Deliver every whole message of the input buffer. */
static int take_messages(struct wc_client *c)
{
    size_t done = 0;
    int rc = 0;
    while (rc == 0 && done < c->in.len) {
        struct wc_slice rest = wc_slice(c->in.data + done, c->in.len - done);
        size_t used = 0;
        rc = wc_scan_on(&c->scan, rest, &message_limits, &used);
        if (rc == -WC_ETRUNCATED)
            break;
        if (rc != 0)
            return not_a_message(c, rc);
        c->scan = (struct wc_scan_state){0};
        done += used;
        rc = take_message(c, wc_slice(rest.data, used));
    }
    wc_buf_drop(&c->in, done);
    return rc == -WC_ETRUNCATED ? 0 : rc;
}

static int read_in(struct wc_client *c)
{
    for (;;) {
        uint8_t *room = wc_buf_reserve(&c->in, READ_BYTES);
        if (room == NULL)
            return break_off(c, -WC_ENOMEM, "out of memory");
        ssize_t n = recv(c->fd, room, READ_BYTES, 0);
        if (n > 0) {
            c->in.len += (size_t)n;
            int rc = take_messages(c);
            if (rc != 0)
                return rc;
        } else if (n < 0 && errno == EAGAIN) {
            return 0;
        } else if (n == 0 || errno != EINTR) {
            return break_off(c, -WC_ECLOSED, "the daemon closed the connection");
        }
    }
}

int wc_client_pump(struct wc_client *client, int timeout_ms)
{
    if (client->in_callback)
        return fail(client, -WC_EBUSY, "a notification is being delivered");
    if (client->broken != 0)
        return client->broken;
    if (client->fd < 0)
        return fail(client, -WC_ECLOSED, "there is no connection");
    int64_t deadline_ms = deadline_after(timeout_ms);
    struct pollfd p = {.fd = client->fd, .events = wc_client_events(client)};
    int ready = poll(&p, 1, timeout_ms);
    while (ready < 0 && errno == EINTR)
        ready = poll(&p, 1, time_left(deadline_ms));
    if (ready < 0)
        return fail(client, -WC_EIO, "cannot wait: %s", strerror(errno));
    if (ready == 0)
        return fail(client, -WC_ETIMEOUT, "the daemon did not answer in time");
    int rc = flush_out(client);
    return rc != 0 || (p.revents & ~POLLOUT) == 0 ? rc : read_in(client);
}

/* ---- waiting ---- */

/* The number behind "TOOBIG"; a code of a later version is an invalid request to us. */
static int code_of(const struct wc_obj *error)
{
    struct wc_slice name;
    if (wc_obj_str(wc_obj_get(error, "code"), &name) != 0)
        return -WC_EINVALID;
#define CODE_MATCH(code, number, text)                                                 \
    if (wc_slice_is(name, #code))                                                      \
        return -(number);
    WC_ERRORS(CODE_MATCH)
#undef CODE_MATCH
    return -WC_EINVALID;
}

static int refusal(struct wc_client *c, const struct wc_obj *error)
{
    struct wc_slice text;
    int rc = code_of(error);
    if (wc_obj_str(wc_obj_get(error, "message"), &text) == 0)
        fail(c, rc, "%.*s", (int)(text.len < 500 ? text.len : 500),
             (const char *)text.data);
    else
        fail(c, rc, "the request %s", wc_strerror(rc));
    c->refused = true;
    return rc;
}

int wc_client_take(struct wc_client *client, uint32_t id, struct wc_reply **reply)
{
    struct waiting *w = waiting_find(client, id);
    *reply = NULL;
    if (w == NULL || w->state == WAIT_FORGOTTEN)
        return fail(client, -WC_EMISSING, "no such request is under way");
    if (w->state != WAIT_READY)
        return client->broken != 0 ? client->broken : -WC_EBUSY;
    *reply = w->reply;
    w->reply = NULL;
    waiting_clear(w);
    return (*reply)->error != NULL ? refusal(client, (*reply)->error) : 0;
}

int wc_client_wait(struct wc_client *client, uint32_t id, int timeout_ms,
                   struct wc_reply **reply)
{
    int64_t deadline_ms = deadline_after(timeout_ms);
    int rc = wc_client_take(client, id, reply);
    while (*reply == NULL && rc == -WC_EBUSY) {
        int left_ms = time_left(deadline_ms);
        int pumped = wc_client_pump(client, left_ms);
        rc = wc_client_take(client, id, reply); /* what came before a break is good */
        if (*reply == NULL && pumped != 0)
            return pumped;
        if (*reply == NULL && left_ms == 0)
            return fail(client, -WC_ETIMEOUT, "the daemon did not answer in time");
    }
    return rc;
}

int wc_client_call(struct wc_client *client, const char *method, struct wc_slice params,
                   int timeout_ms, struct wc_reply **reply)
{
    uint32_t id = 0;
    *reply = NULL;
    if (client->in_callback)
        return fail(client, -WC_EBUSY, "a notification is being delivered");
    int rc = wc_client_send(client, method, params, &id);
    if (rc != 0)
        return rc;
    rc = wc_client_wait(client, id, timeout_ms, reply);
    if (*reply == NULL)
        wc_client_forget(client, id);
    return rc;
}
