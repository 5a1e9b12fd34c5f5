/* SPDX-License-Identifier: Apache-2.0 */
/* The client library against a server that says exactly what a test wants it to. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <whocan/client.h>

#include "tests/unit/unit.h"

#define WAIT_MS 10000

/* ---- a directory, a listener, and a thread that plays the daemon ---- */

struct server {
    char directory[64];
    char path[108];
    int listener;
    int fd; /* of the one connection */
    pthread_t thread;
    void (*play)(struct server *s);
};

static void *play(void *arg)
{
    struct server *s = arg;
    s->fd = accept(s->listener, NULL, NULL);
    if (s->fd >= 0) {
        s->play(s);
        close(s->fd);
    }
    return NULL;
}

static void server_start(struct server *s, void (*script)(struct server *s))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(s->directory, "/tmp/whocan-test-XXXXXX");
    assert_non_null(mkdtemp(s->directory));
    snprintf(s->path, sizeof(s->path), "%s/s", s->directory);
    memcpy(address.sun_path, s->path, strlen(s->path) + 1);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, sizeof(address)),
                     0);
    assert_int_equal(listen(s->listener, 1), 0);
    s->play = script;
    if (script != NULL)
        assert_int_equal(pthread_create(&s->thread, NULL, play, s), 0);
}

static void server_stop(struct server *s)
{
    if (s->play != NULL)
        pthread_join(s->thread, NULL);
    close(s->listener);
    unlink(s->path);
    rmdir(s->directory);
}

/* Read one request; its number and method. False when the client has gone. */
static bool take_request(struct server *s, struct wc_buf *in, uint64_t *id,
                         char method[64])
{
    static const struct wc_scan_limits limits = {1u << 20, 16, 1u << 20};
    size_t used = 0;
    while (wc_scan(wc_buf_slice(in), &limits, &used) != 0) {
        uint8_t *room = wc_buf_reserve(in, 4096);
        ssize_t n = recv(s->fd, room, 4096, 0);
        if (n <= 0)
            return false;
        in->len += (size_t)n;
    }
    struct wc_doc *doc = NULL;
    struct wc_slice name;
    assert_int_equal(wc_doc_new(wc_slice(in->data, used), &limits, &doc), 0);
    const struct wc_obj *root = wc_doc_root(doc);
    assert_int_equal(wc_obj_count(root), 4);
    assert_int_equal(wc_obj_u64(wc_obj_at(root, 1), id), 0);
    assert_int_equal(wc_obj_str(wc_obj_at(root, 2), &name), 0);
    assert_true(wc_slice_copy(name, method, 64));
    wc_doc_free(doc);
    wc_buf_drop(in, used);
    return true;
}

static void put(struct server *s, const struct wc_buf *b)
{
    size_t done = 0;
    while (done < b->len) {
        ssize_t n = send(s->fd, b->data + done, b->len - done, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

/* [ 1, id, nil, { "echo": method } ] */
static void pack_answer(struct wc_buf *b, uint64_t id, const char *method)
{
    wc_pack_array(b, 4);
    wc_pack_u64(b, 1);
    wc_pack_u64(b, id);
    wc_pack_nil(b);
    wc_pack_map(b, 1);
    wc_pack_text(b, "echo");
    wc_pack_text(b, method);
}

static void pack_refusal(struct wc_buf *b, uint64_t id, const char *code,
                         const char *message)
{
    wc_pack_array(b, 4);
    wc_pack_u64(b, 1);
    wc_pack_u64(b, id);
    wc_pack_map(b, 2);
    wc_pack_text(b, "code");
    wc_pack_text(b, code);
    wc_pack_text(b, "message");
    wc_pack_text(b, message);
    wc_pack_nil(b);
}

static void pack_notification(struct wc_buf *b, const char *method, uint64_t request)
{
    wc_pack_array(b, 3);
    wc_pack_u64(b, 2);
    wc_pack_text(b, method);
    wc_pack_array(b, 1);
    wc_pack_map(b, 1);
    wc_pack_text(b, "request");
    wc_pack_u64(b, request);
}

static struct wc_client *connected(struct server *s)
{
    struct wc_client *c = wc_client_new();
    assert_non_null(c);
    assert_int_equal(wc_client_connect(c, s->path, WAIT_MS), 0);
    return c;
}

static void assert_echo(const struct wc_reply *reply, const char *method)
{
    struct wc_slice text;
    assert_non_null(reply);
    assert_null(wc_reply_error(reply));
    assert_int_equal(wc_obj_str(wc_obj_get(wc_reply_result(reply), "echo"), &text), 0);
    assert_true(wc_slice_is(text, method));
}

/* ---- scripts ---- */

static void answer_all(struct server *s)
{
    struct wc_buf in = {0};
    uint64_t id;
    char method[64];
    while (take_request(s, &in, &id, method)) {
        struct wc_buf out = {0};
        pack_answer(&out, id, method);
        put(s, &out);
        wc_buf_fini(&out);
    }
    wc_buf_fini(&in);
}

/* Three requests, answered last first, each byte on its own. */
static void answer_three_backwards(struct server *s)
{
    struct wc_buf in = {0};
    uint64_t ids[3];
    char methods[3][64];
    for (int i = 0; i < 3; i++)
        assert_true(take_request(s, &in, &ids[i], methods[i]));
    struct wc_buf out = {0};
    for (int i = 2; i >= 0; i--)
        pack_answer(&out, ids[i], methods[i]);
    for (size_t i = 0; i < out.len; i++)
        send(s->fd, out.data + i, 1, MSG_NOSIGNAL);
    wc_buf_fini(&out);
    wc_buf_fini(&in);
}

static void notify_then_answer(struct server *s)
{
    struct wc_buf in = {0};
    struct wc_buf out = {0};
    uint64_t id;
    char method[64];
    assert_true(take_request(s, &in, &id, method));
    pack_notification(&out, "ask.started", id);
    pack_notification(&out, "ask.answer", id);
    pack_notification(&out, "somebody.else", 0);
    pack_answer(&out, id, method);
    put(s, &out);
    wc_buf_fini(&out);
    wc_buf_fini(&in);
}

static void refuse(struct server *s)
{
    struct wc_buf in = {0};
    struct wc_buf out = {0};
    uint64_t id;
    char method[64];
    assert_true(take_request(s, &in, &id, method));
    pack_refusal(&out, id, "TOOBIG", "the phone has 40 bytes; the limit is 32");
    assert_true(take_request(s, &in, &id, method));
    pack_refusal(&out, id, "NEWER_CODE", "of a later version");
    put(s, &out);
    wc_buf_fini(&out);
    wc_buf_fini(&in);
}

static void answer_first_then_hang_up(struct server *s)
{
    struct wc_buf in = {0};
    struct wc_buf out = {0};
    uint64_t id;
    uint64_t second;
    char method[64];
    assert_true(take_request(s, &in, &id, method));
    pack_answer(&out, id, method);
    assert_true(take_request(s, &in, &second, method));
    put(s, &out);
    wc_buf_fini(&out);
    wc_buf_fini(&in);
}

/* Says nothing until the client goes. */
static void keep_silent(struct server *s)
{
    char byte;
    while (recv(s->fd, &byte, 1, 0) > 0)
        continue;
}

static const struct wc_buf *raw_bytes;

static void say_raw(struct server *s)
{
    struct wc_buf in = {0};
    uint64_t id;
    char method[64];
    assert_true(take_request(s, &in, &id, method));
    put(s, raw_bytes);
    wc_buf_fini(&in);
    keep_silent(s);
}

/* ---- tests ---- */

static void a_call_gets_its_result(void **state)
{
    (void)state;
    struct server s;
    struct wc_reply *reply = NULL;
    server_start(&s, answer_all);
    struct wc_client *c = connected(&s);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            wc_client_call(c, "node.status", wc_slice(NULL, 0), WAIT_MS, &reply), 0);
        assert_echo(reply, "node.status");
        wc_reply_free(reply);
    }
    assert_int_equal(wc_client_connect(c, s.path, WAIT_MS), -WC_EEXISTS);
    wc_client_free(c);
    server_stop(&s);
}

static void responses_find_their_requests(void **state)
{
    (void)state;
    static const char *const methods[] = {"a", "b", "c"};
    struct server s;
    uint32_t ids[3];
    server_start(&s, answer_three_backwards);
    struct wc_client *c = connected(&s);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wc_client_send(c, methods[i], wc_slice(NULL, 0), &ids[i]), 0);
    for (int i = 0; i < 3; i++) {
        struct wc_reply *reply = NULL;
        assert_int_equal(wc_client_wait(c, ids[i], WAIT_MS, &reply), 0);
        assert_echo(reply, methods[i]);
        wc_reply_free(reply);
        assert_int_equal(wc_client_wait(c, ids[i], WAIT_MS, &reply), -WC_EMISSING);
    }
    wc_client_free(c);
    server_stop(&s);
}

struct seen {
    struct wc_client *client;
    char methods[8][64];
    uint32_t requests[8];
    int count;
    int reentered;
};

static void on_notify(void *arg, const char *method, uint32_t request,
                      const struct wc_obj *params)
{
    struct seen *seen = arg;
    struct wc_reply *reply;
    assert_non_null(params);
    assert_true(seen->count < 8);
    strcpy(seen->methods[seen->count], method);
    seen->requests[seen->count++] = request;
    seen->reentered =
        wc_client_call(seen->client, "x", wc_slice(NULL, 0), WAIT_MS, &reply);
}

static void notifications_come_before_the_response(void **state)
{
    (void)state;
    struct server s;
    struct seen seen = {.count = 0};
    uint32_t id;
    struct wc_reply *reply = NULL;
    server_start(&s, notify_then_answer);
    struct wc_client *c = connected(&s);
    seen.client = c;
    wc_client_on_notify(c, on_notify, &seen);
    assert_int_equal(wc_client_send(c, "ask.create", wc_slice(NULL, 0), &id), 0);
    assert_int_equal(wc_client_wait(c, id, WAIT_MS, &reply), 0);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.methods[0], "ask.started");
    assert_string_equal(seen.methods[1], "ask.answer");
    assert_int_equal(seen.requests[0], id);
    assert_int_equal(seen.requests[2], 0);
    assert_int_equal(seen.reentered, -WC_EBUSY);
    wc_reply_free(reply);
    wc_client_free(c);
    server_stop(&s);
}

static void a_refusal_has_its_code_and_words(void **state)
{
    (void)state;
    struct server s;
    uint32_t ids[2];
    struct wc_reply *reply = NULL;
    server_start(&s, refuse);
    struct wc_client *c = connected(&s);
    for (int i = 0; i < 2; i++)
        assert_int_equal(wc_client_send(c, "me.set", wc_slice(NULL, 0), &ids[i]), 0);
    assert_int_equal(wc_client_wait(c, ids[0], WAIT_MS, &reply), -WC_ETOOBIG);
    assert_true(wc_client_refused(c));
    assert_string_equal(wc_client_error(c), "the phone has 40 bytes; the limit is 32");
    assert_null(wc_reply_result(reply));
    assert_non_null(wc_reply_error(reply));
    wc_reply_free(reply);
    assert_int_equal(wc_client_wait(c, ids[1], WAIT_MS, &reply), -WC_EINVALID);
    assert_true(wc_client_refused(c));
    assert_string_equal(wc_client_error(c), "of a later version");
    wc_reply_free(reply);
    wc_client_free(c);
    server_stop(&s);
}

static void what_came_before_the_end_is_good(void **state)
{
    (void)state;
    struct server s;
    uint32_t ids[2];
    struct wc_reply *reply = NULL;
    server_start(&s, answer_first_then_hang_up);
    struct wc_client *c = connected(&s);
    for (int i = 0; i < 2; i++)
        assert_int_equal(wc_client_send(c, "a", wc_slice(NULL, 0), &ids[i]), 0);
    assert_int_equal(wc_client_wait(c, ids[1], WAIT_MS, &reply), -WC_ECLOSED);
    assert_null(reply);
    assert_false(wc_client_refused(c));
    assert_int_equal(wc_client_wait(c, ids[0], WAIT_MS, &reply), 0);
    assert_echo(reply, "a");
    wc_reply_free(reply);
    assert_int_equal(wc_client_send(c, "a", wc_slice(NULL, 0), &ids[0]), -WC_ECLOSED);
    wc_client_free(c);
    server_stop(&s);
}

static void a_silent_daemon_ends_in_a_timeout(void **state)
{
    (void)state;
    struct server s;
    uint32_t id;
    struct wc_reply *reply = NULL;
    server_start(&s, keep_silent);
    struct wc_client *c = connected(&s);
    assert_int_equal(wc_client_call(c, "a", wc_slice(NULL, 0), 20, &reply),
                     -WC_ETIMEOUT);
    assert_null(reply);
    assert_int_equal(wc_client_send(c, "a", wc_slice(NULL, 0), &id), 0);
    assert_int_equal(wc_client_take(c, id, &reply), -WC_EBUSY);
    assert_int_equal(wc_client_wait(c, id, 20, &reply), -WC_ETIMEOUT);
    assert_int_equal(wc_client_pump(c, 0), -WC_ETIMEOUT);
    wc_client_free(c);
    server_stop(&s);
}

static void requests_under_way_are_bounded(void **state)
{
    (void)state;
    struct server s;
    uint32_t id = 0;
    server_start(&s, keep_silent);
    struct wc_client *c = connected(&s);
    for (int i = 0; i < WC_RPC_INFLIGHT_MAX_COUNT; i++)
        assert_int_equal(wc_client_send(c, "a", wc_slice(NULL, 0), &id), 0);
    assert_int_equal(wc_client_send(c, "a", wc_slice(NULL, 0), &id), -WC_ELIMIT);
    wc_client_free(c);
    server_stop(&s);
}

static void a_request_over_the_limit_is_not_sent(void **state)
{
    (void)state;
    struct server s;
    struct wc_buf params = {0};
    struct wc_reply *reply = NULL;
    static const uint8_t zeros[WC_RPC_MESSAGE_MAX_BYTES];
    server_start(&s, answer_all);
    struct wc_client *c = connected(&s);
    wc_pack_map(&params, 1);
    wc_pack_text(&params, "blob");
    wc_pack_bin(&params, wc_slice(zeros, sizeof(zeros)));
    assert_int_equal(wc_client_call(c, "a", wc_buf_slice(&params), WAIT_MS, &reply),
                     -WC_ETOOBIG);
    assert_int_equal(wc_client_call(c, "a", wc_slice(NULL, 0), WAIT_MS, &reply), 0);
    wc_reply_free(reply);
    wc_client_free(c);
    wc_buf_fini(&params);
    server_stop(&s);
}

/* Large requests in both directions at once must not stand still. */
static void large_requests_flow(void **state)
{
    (void)state;
    struct server s;
    struct wc_buf params = {0};
    uint32_t ids[8];
    static const uint8_t zeros[1000000];
    server_start(&s, answer_all);
    struct wc_client *c = connected(&s);
    wc_pack_map(&params, 1);
    wc_pack_text(&params, "blob");
    wc_pack_bin(&params, wc_slice(zeros, sizeof(zeros)));
    for (int i = 0; i < 8; i++)
        assert_int_equal(wc_client_send(c, "a", wc_buf_slice(&params), &ids[i]), 0);
    for (int i = 0; i < 8; i++) {
        struct wc_reply *reply = NULL;
        assert_int_equal(wc_client_wait(c, ids[i], WAIT_MS, &reply), 0);
        assert_echo(reply, "a");
        wc_reply_free(reply);
    }
    assert_int_equal(wc_client_events(c), POLLIN);
    wc_client_free(c);
    wc_buf_fini(&params);
    server_stop(&s);
}

static void what_the_socket_does_not_take_waits(void **state)
{
    (void)state;
    struct server s;
    struct wc_buf params = {0};
    uint32_t id;
    static const uint8_t zeros[1000000];
    server_start(&s, NULL); /* connects, but nobody reads */
    struct wc_client *c = connected(&s);
    assert_int_equal(wc_client_events(c), POLLIN);
    wc_pack_map(&params, 1);
    wc_pack_text(&params, "blob");
    wc_pack_bin(&params, wc_slice(zeros, sizeof(zeros)));
    assert_int_equal(wc_client_send(c, "a", wc_buf_slice(&params), &id), 0);
    assert_int_equal(wc_client_events(c), POLLIN | POLLOUT);
    assert_int_equal(wc_client_pump(c, 20), -WC_ETIMEOUT);
    wc_client_free(c);
    wc_buf_fini(&params);
    server_stop(&s);
}

static int say(const struct wc_buf *bytes, char error[512])
{
    struct server s;
    struct wc_reply *reply = NULL;
    raw_bytes = bytes;
    server_start(&s, say_raw);
    struct wc_client *c = connected(&s);
    int rc = wc_client_call(c, "a", wc_slice(NULL, 0), WAIT_MS, &reply);
    assert_null(reply);
    assert_false(wc_client_refused(c));
    assert_int_equal(wc_client_pump(c, 0), rc); /* it stays so */
    strcpy(error, wc_client_error(c));
    wc_client_free(c);
    server_stop(&s);
    return rc;
}

static void what_is_no_message_ends_the_connection(void **state)
{
    (void)state;
    char error[512];
    struct wc_buf b = {0};

    wc_buf_byte(&b, 0xc1); /* never used by MessagePack */
    assert_int_equal(say(&b, error), -WC_EPROTOCOL);

    wc_buf_reset(&b);
    wc_pack_text(&b, "hello"); /* MessagePack, but not RPC */
    assert_int_equal(say(&b, error), -WC_EPROTOCOL);

    wc_buf_reset(&b);
    wc_pack_array(&b, 4); /* a request from the daemon */
    for (int i = 0; i < 4; i++)
        wc_pack_u64(&b, 0);
    assert_int_equal(say(&b, error), -WC_EPROTOCOL);

    wc_buf_reset(&b);
    pack_answer(&b, 4711, "a"); /* nobody asked */
    assert_int_equal(say(&b, error), -WC_EPROTOCOL);

    wc_buf_reset(&b);
    wc_pack_array(&b, 1); /* a notification that is too short */
    wc_pack_u64(&b, 2);
    assert_int_equal(say(&b, error), -WC_EPROTOCOL);

    wc_buf_reset(&b); /* five bytes that promise 4 GiB */
    wc_buf_append(&b, "\xdd\xff\xff\xff\xff", 5);
    assert_int_equal(say(&b, error), -WC_ETOOBIG);

    wc_buf_reset(&b);
    for (int i = 0; i < 40; i++)
        wc_buf_byte(&b, 0x91); /* an array in an array in ... */
    assert_int_equal(say(&b, error), -WC_EPROTOCOL);
    wc_buf_fini(&b);
}

static void the_daemons_last_words_are_kept(void **state)
{
    (void)state;
    char error[512];
    struct wc_buf b = {0};
    wc_pack_array(&b, 4);
    wc_pack_u64(&b, 1);
    wc_pack_nil(&b);
    wc_pack_map(&b, 1);
    wc_pack_text(&b, "message");
    wc_pack_text(&b, "that was not MessagePack-RPC");
    wc_pack_nil(&b);
    assert_int_equal(say(&b, error), -WC_EPROTOCOL);
    assert_non_null(strstr(error, "that was not MessagePack-RPC"));
    wc_buf_fini(&b);
}

static void a_forgotten_response_is_dropped(void **state)
{
    (void)state;
    struct server s;
    uint32_t id;
    struct wc_reply *reply = NULL;
    server_start(&s, answer_all);
    struct wc_client *c = connected(&s);
    for (int i = 0; i < 3 * WC_RPC_INFLIGHT_MAX_COUNT; i++) {
        assert_int_equal(wc_client_send(c, "a", wc_slice(NULL, 0), &id), 0);
        wc_client_forget(c, id);
        assert_int_equal(wc_client_take(c, id, &reply), -WC_EMISSING);
        assert_int_equal(wc_client_call(c, "b", wc_slice(NULL, 0), WAIT_MS, &reply), 0);
        assert_echo(reply, "b");
        wc_reply_free(reply);
    }
    wc_client_free(c);
    server_stop(&s);
}

/* ---- finding and failing to find the socket ---- */

static void failures_to_connect_are_told_apart(void **state)
{
    (void)state;
    struct server s;
    char path[256];
    struct wc_client *c = wc_client_new();
    server_start(&s, NULL);

    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[200] = '\0';
    assert_int_equal(wc_client_connect(c, path, WAIT_MS), -WC_ETOOBIG);
    snprintf(path, sizeof(path), "%s/none", s.directory);
    assert_int_equal(wc_client_connect(c, path, WAIT_MS), -WC_ENOTFOUND);
    assert_non_null(strstr(wc_client_error(c), path));
    snprintf(path, sizeof(path), "%s/none/none", s.directory);
    assert_int_equal(wc_client_connect(c, path, WAIT_MS), -WC_ENOTFOUND);
    assert_int_equal(wc_client_connect(c, s.directory, WAIT_MS), -WC_ECLOSED);
    close(s.listener); /* the file stays: what a killed daemon leaves */
    assert_int_equal(wc_client_connect(c, s.path, WAIT_MS), -WC_ECLOSED);
    s.listener = -1;

    uint32_t id;
    assert_int_equal(wc_client_send(c, "a", wc_slice(NULL, 0), &id), -WC_ECLOSED);
    assert_int_equal(wc_client_pump(c, 0), -WC_ECLOSED);
    wc_client_free(c);
    wc_client_free(NULL);
    wc_reply_free(NULL);
    server_stop(&s);
}

static void a_full_backlog_ends_in_a_timeout(void **state)
{
    (void)state;
    struct server s;
    struct wc_client *clients[8];
    int rc = 0;
    int count = 0;
    server_start(&s, NULL); /* listens, and accepts nobody */
    while (rc == 0 && count < 8) {
        clients[count] = wc_client_new();
        rc = wc_client_connect(clients[count++], s.path, 20);
    }
    assert_int_equal(rc, -WC_ETIMEOUT);
    while (count > 0)
        wc_client_free(clients[--count]);
    server_stop(&s);
}

static void the_socket_is_found_in_order(void **state)
{
    (void)state;
    char directory[] = "/tmp/whocan-test-XXXXXX";
    char sub[64];
    char file[80];
    char found[256];
    assert_non_null(mkdtemp(directory));
    snprintf(sub, sizeof(sub), "%s/whocan", directory);
    snprintf(file, sizeof(file), "%s/whocan.sock", sub);
    assert_int_equal(mkdir(sub, 0700), 0);

    setenv("WHOCAN_SOCKET", "/somewhere/else", 1);
    setenv("XDG_RUNTIME_DIR", directory, 1);
    assert_int_equal(wc_client_path("/named", found, sizeof(found)), 0);
    assert_string_equal(found, "/named");
    assert_int_equal(wc_client_path(NULL, found, sizeof(found)), 0);
    assert_string_equal(found, "/somewhere/else");
    unsetenv("WHOCAN_SOCKET");
    assert_int_equal(wc_client_path(NULL, found, sizeof(found)), 0);
    assert_string_equal(found, "/run/whocan/whocan.sock");
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(wc_client_path(NULL, found, sizeof(found)), 0);
    assert_string_equal(found, file);
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    assert_int_equal(wc_client_path(NULL, found, sizeof(found)), 0);
    assert_string_equal(found, "/run/whocan/whocan.sock");
    assert_int_equal(wc_client_path("/too/long", found, 5), -WC_ETOOBIG);
    unlink(file);
    rmdir(sub);
    rmdir(directory);
}

/* Descriptors 0 to 2 are for what a program reads and prints. */
static void a_closed_standard_output_is_no_socket(void **state)
{
    (void)state;
    struct server s = {0};
    server_start(&s, NULL);
    int kept = dup(STDIN_FILENO);
    assert_true(kept > STDERR_FILENO);
    close(STDIN_FILENO);
    struct wc_client *c = wc_client_new();
    int rc = wc_client_connect(c, s.path, WAIT_MS);
    bool taken = fcntl(STDIN_FILENO, F_GETFD) >= 0;
    dup2(kept, STDIN_FILENO);
    close(kept);
    assert_int_equal(rc, 0);
    assert_false(taken);
    assert_true(wc_client_fd(c) > STDERR_FILENO);
    assert_true((fcntl(wc_client_fd(c), F_GETFD) & FD_CLOEXEC) != 0);
    wc_client_free(c);
    server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_gets_its_result),
        cmocka_unit_test(responses_find_their_requests),
        cmocka_unit_test(notifications_come_before_the_response),
        cmocka_unit_test(a_refusal_has_its_code_and_words),
        cmocka_unit_test(what_came_before_the_end_is_good),
        cmocka_unit_test(a_silent_daemon_ends_in_a_timeout),
        cmocka_unit_test(requests_under_way_are_bounded),
        cmocka_unit_test(a_request_over_the_limit_is_not_sent),
        cmocka_unit_test(large_requests_flow),
        cmocka_unit_test(what_the_socket_does_not_take_waits),
        cmocka_unit_test(what_is_no_message_ends_the_connection),
        cmocka_unit_test(the_daemons_last_words_are_kept),
        cmocka_unit_test(a_forgotten_response_is_dropped),
        cmocka_unit_test(failures_to_connect_are_told_apart),
        cmocka_unit_test(a_full_backlog_ends_in_a_timeout),
        cmocka_unit_test(the_socket_is_found_in_order),
        cmocka_unit_test(a_closed_standard_output_is_no_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
