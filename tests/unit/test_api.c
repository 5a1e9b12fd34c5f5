/* SPDX-License-Identifier: Apache-2.0 */
/* The server of the socket by itself: clients on threads of their own against handlers that
 * answer at once, from the pool, in a stream, or never. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <whocan/error.h>

#include "daemon/api.h"
#include "daemon/rpc.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

#define PATIENCE_MS 60000
#define CLIENTS     4
#define REQUESTS    300

static struct wc_loop *loop;
static struct wc_api *api;
static struct wc_timer *patience, *look;
static struct wc_access_rules rules = {.mode = WC_ACCESS_EVERYONE};
static int cancelled_count;

/* ---- handlers ---- */

static void reply_empty(struct wc_request *r)
{
    struct wc_buf out = {0};
    wc_pack_map(&out, 0);
    wc_request_reply(r, &out);
}

static void slow_work(void *ctx)
{
    (void)ctx;
}

static void slow_done(void *ctx)
{
    reply_empty(ctx);
}

static void on_cancel(void *ctx)
{
    cancelled_count++;
    wc_request_fail(ctx, -WC_ECLOSED, NULL, "nobody waits any more");
}

struct stream {
    struct wc_request *r;
    int left;
    bool waiting, gone;
};

static void stream_on(void *ctx)
{
    struct stream *s = ctx;
    s->waiting = false;
    while (s->left > 0 && !s->gone && wc_request_may_stream(s->r)) {
        struct wc_buf out = {0};
        static const uint8_t filler[30000];
        s->left--;
        wc_pack_map(&out, 1);
        wc_pack_text(&out, "x");
        wc_pack_bin(&out, wc_slice(filler, sizeof(filler)));
        wc_request_notify(s->r, "piece", &out);
    }
    if (s->left == 0 || s->gone) {
        reply_empty(s->r);
        free(s);
    } else {
        s->waiting = true;
        wc_request_on_drain(s->r, stream_on, s);
    }
}

static void stream_cancel(void *ctx)
{
    struct stream *s = ctx;
    s->gone = true;
    if (s->waiting)
        stream_on(s);
}

static void stream_start(struct wc_request *r)
{
    struct stream *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->r = r;
    s->left = 200; /* six megabytes: more than a client may leave unread */
    wc_request_on_cancel(r, stream_cancel, s);
    stream_on(s);
}

static void dispatch(struct wc_daemon *daemon, struct wc_request *r)
{
    struct wc_slice method = wc_request_method(r);
    assert_null(daemon);
    assert_int_equal(wc_request_caller(r)->uid, geteuid());
    if (wc_slice_is(method, "quick"))
        reply_empty(r);
    else if (wc_slice_is(method, "slow"))
        assert_int_equal(wc_loop_work(loop, slow_work, slow_done, r), 0);
    else if (wc_slice_is(method, "never"))
        wc_request_on_cancel(r, on_cancel, r);
    else if (wc_slice_is(method, "stream"))
        stream_start(r);
    else
        wc_request_fail(r, -WC_EMETHOD, NULL, "no such method");
}

static enum wc_cost cost(struct wc_slice method)
{
    (void)method;
    return WC_COST_READ;
}

/* ---- clients ---- */

static atomic_int clients_done;

static int dial(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", scratch_dir) >=
        (int)sizeof(addr.sun_path))
        abort();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        perror("connect");
        abort();
    }
    return fd;
}

static void send_request(int fd, uint32_t id, const char *method)
{
    struct wc_buf out = {0};
    wc_pack_array(&out, 4);
    wc_pack_u64(&out, 0);
    wc_pack_u64(&out, id);
    wc_pack_text(&out, method);
    wc_pack_array(&out, 0);
    if (send(fd, out.data, out.len, MSG_NOSIGNAL) != (ssize_t)out.len)
        abort();
    wc_buf_fini(&out);
}

/* Read one message: the id of a response, -1 for a notification, -2 at the end. */
static int64_t receive(int fd, struct wc_buf *in)
{
    size_t used;
    while (wc_scan(wc_buf_slice(in), &wc_rpc_limits, &used) != 0) {
        uint8_t *room = wc_buf_reserve(in, 65536);
        ssize_t len = room == NULL ? -1 : recv(fd, room, 65536, 0);
        if (len <= 0)
            return -2;
        in->len += (size_t)len;
    }
    struct wc_doc *doc;
    if (wc_doc_new(wc_slice(in->data, used), &wc_rpc_limits, &doc) != 0)
        abort();
    uint64_t type = 0, id = 0;
    wc_obj_u64(wc_obj_at(wc_doc_root(doc), 0), &type);
    wc_obj_u64(wc_obj_at(wc_doc_root(doc), 1), &id);
    wc_doc_free(doc);
    wc_buf_drop(in, used);
    return type == 2 ? -1 : (int64_t)id;
}

static void *pipelining_client(void *arg)
{
    bool *seen = arg;
    struct wc_buf in = {0};
    int fd = dial();
    for (uint32_t i = 0; i < REQUESTS; i++)
        send_request(fd, i, i % 3 == 0 ? "slow" : "quick");
    for (int i = 0; i < REQUESTS; i++) {
        int64_t id = receive(fd, &in);
        if (id < 0 || id >= REQUESTS || seen[id])
            abort();
        seen[id] = true;
    }
    close(fd);
    wc_buf_fini(&in);
    atomic_fetch_add(&clients_done, 1);
    return NULL;
}

static void *streaming_client(void *arg)
{
    int *pieces = arg;
    struct wc_buf in = {0};
    int fd = dial();
    send_request(fd, 1, "stream");
    int64_t id;
    while ((id = receive(fd, &in)) == -1)
        (*pieces)++;
    if (id != 1)
        abort();
    close(fd);
    wc_buf_fini(&in);
    atomic_fetch_add(&clients_done, 1);
    return NULL;
}

/* Comes, asks for everything, and goes without reading. */
static void *rude_client(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        int fd = dial();
        send_request(fd, 1, "never");
        send_request(fd, 2, "slow");
        send_request(fd, 3, "stream");
        close(fd);
    }
    atomic_fetch_add(&clients_done, 1);
    return NULL;
}

/* Is still there when the server ends. */
static void *patient_client(void *arg)
{
    int64_t *ids = arg;
    struct wc_buf in = {0};
    int fd = dial();
    send_request(fd, 7, "never");
    send_request(fd, 8, "quick");
    ids[0] = receive(fd, &in);
    atomic_fetch_add(&clients_done, 1);
    ids[1] = receive(fd, &in);
    ids[2] = receive(fd, &in);
    close(fd);
    wc_buf_fini(&in);
    return NULL;
}

/* ---- the loop ---- */

static int wanted_done;

static void never(void *ctx)
{
    (void)ctx;
    fail_msg("the clients did not end");
}

static void closed(void *ctx)
{
    (void)ctx;
    wc_timer_free(patience);
    wc_loop_halt(loop);
}

static void look_for_end(void *ctx)
{
    (void)ctx;
    if (atomic_load(&clients_done) < wanted_done)
        return;
    wc_timer_free(look);
    wc_api_close(api, closed, NULL);
}

static int set_up(void **state)
{
    char problem[WC_PROBLEM_BYTES] = "";
    assert_int_equal(scratch_setup(state), 0);
    assert_int_equal(wc_loop_new(&loop), 0);
    patience = wc_timer_new(loop, never, NULL);
    look = wc_timer_new(loop, look_for_end, NULL);
    wc_timer_set(patience, PATIENCE_MS, 0);
    wc_timer_set(look, 1, 1);
    atomic_store(&clients_done, 0);
    cancelled_count = 0;
    if (wc_api_new(&api, loop, NULL, dispatch, cost, scratch_path("s"), problem) != 0)
        fail_msg("%s", problem);
    wc_api_set_rules(api, &rules);
    return 0;
}

static int tear_down(void **state)
{
    wc_api_free(api);
    wc_loop_free(loop);
    assert_int_not_equal(access(scratch_path("s"), F_OK), 0);
    return scratch_teardown(state);
}

static void run_until(int count)
{
    wanted_done = count;
    wc_loop_run(loop);
}

/* ---- the tests ---- */

static void every_request_is_answered_once(void **state)
{
    (void)state;
    static bool seen[CLIENTS][REQUESTS];
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pipelining_client, seen[i]),
                         0);
    run_until(CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CLIENTS * REQUESTS; i++)
        assert_true(seen[i / REQUESTS][i % REQUESTS]);
}

static void a_stream_is_read_at_the_readers_pace(void **state)
{
    (void)state;
    int pieces = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, streaming_client, &pieces), 0);
    run_until(1);
    pthread_join(thread, NULL);
    assert_int_equal(pieces, 200);
}

static void clients_that_go_leave_nothing(void **state)
{
    (void)state;
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rude_client, NULL), 0);
    run_until(2);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void the_end_answers_what_is_open(void **state)
{
    (void)state;
    int64_t ids[3] = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, patient_client, ids), 0);
    run_until(1);
    pthread_join(thread, NULL);
    assert_int_equal(ids[0], 8);
    assert_int_equal(ids[1], 7);
    assert_int_equal(ids[2], -2);
    assert_int_equal(cancelled_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_request_is_answered_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stream_is_read_at_the_readers_pace, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(clients_that_go_leave_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_answers_what_is_open, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
