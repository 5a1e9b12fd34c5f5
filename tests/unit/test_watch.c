/* SPDX-License-Identifier: Apache-2.0 */
/* Watchers behind a real socket: what happens reaches who reads, who does not read misses
 * what finds no room and is told how much, and nobody else notices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <whocan/error.h>

#include "daemon/api.h"
#include "daemon/rpc.h"
#include "daemon/watch.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

#define PATIENCE_MS 60000
#define TEXT_BYTES  900
#define EVENTS      840 /* twice what a socket, its queue and a watcher's hold */
#define AT_ONCE     60  /* said in one turn of the loop: one queue takes them */

static struct wc_loop *loop;
static struct wc_api *api;
static struct wc_watch *watch;
static struct wc_timer *patience, *look;
static struct wc_access_rules rules = {.mode = WC_ACCESS_EVERYONE};
static void (*each_turn)(void);
static int looks;

struct reader {
    int fd;
    struct wc_buf in;
    uint64_t events, skipped, responses;
    int rc; /* of the response: 0, or an error */
};
static struct reader fast, slow;

/* ---- the daemon's side ---- */

static void dispatch(struct wc_daemon *daemon, struct wc_request *r)
{
    (void)daemon;
    wc_watch_add(watch, r);
}

static enum wc_cost cost(struct wc_slice method)
{
    (void)method;
    return WC_COST_ADMIN;
}

static void never(void *ctx)
{
    (void)ctx;
    fail_msg("what was waited for did not come");
}

static void closed(void *ctx)
{
    (void)ctx;
    wc_timer_free(patience);
    wc_timer_free(look);
    wc_watch_free(watch);
    wc_loop_halt(loop);
}

static void on_look(void *ctx)
{
    (void)ctx;
    if (each_turn != NULL)
        each_turn();
}

static void count_look(void *ctx)
{
    (void)ctx;
    looks++;
}

/* ---- the client's side ---- */

static void dial(struct reader *who, uint32_t requests)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct wc_buf out = {0};
    *who = (struct reader){0};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", scratch_path("s"));
    who->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(who->fd >= 0);
    assert_int_equal(connect(who->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    for (uint32_t i = 0; i < requests; i++) {
        wc_pack_array(&out, 4);
        wc_pack_u64(&out, 0);
        wc_pack_u64(&out, i);
        wc_pack_text(&out, "node.watch");
        wc_pack_array(&out, 0);
    }
    assert_int_equal(send(who->fd, out.data, out.len, MSG_NOSIGNAL), out.len);
    wc_buf_fini(&out);
}

static void take_notification(struct reader *who, const struct wc_obj *params)
{
    const struct wc_obj *events = wc_obj_get(params, "events");
    uint64_t skipped = 0;
    assert_int_equal(wc_obj_u64(wc_obj_get(params, "skipped"), &skipped), 0);
    for (uint32_t i = 0; i < wc_obj_count(events); i++) {
        struct wc_slice name;
        assert_int_equal(wc_obj_str(wc_obj_get(wc_obj_at(events, i), "event"), &name),
                         0);
    }
    who->events += wc_obj_count(events);
    who->skipped += skipped;
}

static void take_response(struct reader *who, const struct wc_obj *root)
{
    uint64_t events = 0, skipped = 0;
    const struct wc_obj *result = wc_obj_at(root, 3);
    who->responses++;
    if (wc_obj_type(result) != WC_MAP) {
        struct wc_slice code;
        assert_int_equal(wc_obj_str(wc_obj_get(wc_obj_at(root, 2), "code"), &code), 0);
        assert_true(wc_slice_is(code, "LIMIT"));
        who->rc = -WC_ELIMIT;
        return;
    }
    wc_obj_u64(wc_obj_get(result, "events"), &events);
    wc_obj_u64(wc_obj_get(result, "skipped"), &skipped);
    assert_int_equal(events, who->events);
    assert_true(skipped >= who->skipped);
    who->skipped = skipped; /* those that nothing came after */
}

/* All that is there now; false at the end of the connection. */
static bool read_on(struct reader *who)
{
    uint8_t *room = wc_buf_reserve(&who->in, 65536);
    ssize_t len = recv(who->fd, room, 65536, MSG_DONTWAIT);
    size_t used;
    if (len > 0)
        who->in.len += (size_t)len;
    while (wc_scan(wc_buf_slice(&who->in), &wc_rpc_limits, &used) == 0) {
        struct wc_doc *doc;
        uint64_t type = 0;
        assert_int_equal(wc_doc_new(wc_slice(who->in.data, used), &wc_rpc_limits, &doc),
                         0);
        wc_obj_u64(wc_obj_at(wc_doc_root(doc), 0), &type);
        if (type == 2)
            take_notification(who, wc_obj_at(wc_obj_at(wc_doc_root(doc), 2), 0));
        else
            take_response(who, wc_doc_root(doc));
        wc_doc_free(doc);
        wc_buf_drop(&who->in, used);
    }
    return len != 0;
}

static void hang_up(struct reader *who)
{
    close(who->fd);
    wc_buf_fini(&who->in);
}

static uint32_t watchers(void)
{
    uint32_t count;
    uint64_t skipped;
    wc_watch_stats(watch, &count, &skipped);
    return count;
}

static void say_one(void)
{
    static char text[TEXT_BYTES + 1];
    memset(text, 'x', TEXT_BYTES);
    const struct wc_watch_fact facts[] = {{.name = "reason", .text = text},
                                          {.name = "records", .number = 123456}};
    wc_watch_say(watch, "something", facts, 2);
}

/* ---- around each test ---- */

static int set_up(void **state)
{
    char problem[WC_PROBLEM_BYTES] = "";
    assert_int_equal(scratch_setup(state), 0);
    assert_int_equal(wc_loop_new(&loop), 0);
    patience = wc_timer_new(loop, never, NULL);
    look = wc_timer_new(loop, on_look, NULL);
    wc_timer_set(patience, PATIENCE_MS, 0);
    wc_timer_set(look, 1, 1);
    looks = 0;
    assert_int_equal(wc_watch_new(&watch, loop, count_look, NULL), 0);
    if (wc_api_new(&api, loop, NULL, dispatch, cost, scratch_path("s"), problem) != 0)
        fail_msg("%s", problem);
    wc_api_set_rules(api, &rules);
    return 0;
}

static int tear_down(void **state)
{
    wc_api_free(api);
    wc_loop_free(loop);
    return scratch_teardown(state);
}

/* ---- the tests ---- */

static uint64_t said;

static void flood(void)
{
    if (watchers() < 2)
        return;
    /* one turn's events wait for the tick together: never more than one queue takes, so
     * that who reads misses none */
    read_on(&fast);
    for (int i = 0; said < EVENTS && fast.events == said - (uint64_t)i && i < AT_ONCE;
         i++, said++)
        say_one();
    if (fast.events < EVENTS)
        return;
    /* only now the slow one reads; whatever follows brings the number that it missed */
    read_on(&slow);
    if (slow.events + slow.skipped >= EVENTS) {
        each_turn = NULL;
        wc_api_close(api, closed, NULL);
    } else if (fast.events == said) {
        said++;
        say_one();
    }
}

static void who_does_not_read_misses_events_and_is_told(void **state)
{
    (void)state;
    said = 0;
    dial(&fast, 1);
    dial(&slow, 1);
    each_turn = flood;
    wc_loop_run(loop);
    while (read_on(&fast))
        ;
    while (read_on(&slow))
        ;
    assert_int_equal(fast.skipped, 0);
    assert_true(fast.events >= EVENTS);
    assert_true(slow.skipped > 0);
    assert_true(slow.events >= WC_WATCH_QUEUE_BYTES / (TEXT_BYTES + 100));
    assert_int_equal(slow.events + slow.skipped, said);
    assert_int_equal(fast.responses, 1);
    assert_int_equal(slow.responses, 1);
    hang_up(&fast);
    hang_up(&slow);
}

static void refused(void)
{
    read_on(&fast);
    if (watchers() != WC_WATCHERS_MAX_COUNT || fast.responses != 1)
        return;
    each_turn = NULL;
    wc_api_close(api, closed, NULL);
}

static void there_are_so_many_watchers(void **state)
{
    (void)state;
    dial(&fast, WC_WATCHERS_MAX_COUNT + 1);
    each_turn = refused;
    wc_loop_run(loop);
    assert_int_equal(fast.rc, -WC_ELIMIT);
    hang_up(&fast);
}

static bool hung_up;

/* Several requests of one connection, which ends while they are being told things. */
static void leave(void)
{
    if (!hung_up && watchers() == 8) {
        hung_up = true;
        say_one();
        hang_up(&slow);
    }
    if (hung_up)
        say_one();
    if (!hung_up || watchers() > 0)
        return;
    assert_false(wc_watch_wanted(watch));
    each_turn = NULL;
    wc_api_close(api, closed, NULL);
}

static void who_goes_watches_no_more(void **state)
{
    (void)state;
    hung_up = false;
    dial(&slow, 8);
    each_turn = leave;
    wc_loop_run(loop);
}

static void counted(void)
{
    if (looks < 1)
        return;
    each_turn = NULL;
    wc_api_close(api, closed, NULL);
}

static void counts_are_looked_at_while_somebody_watches(void **state)
{
    (void)state;
    say_one(); /* to nobody */
    dial(&fast, 1);
    each_turn = counted;
    wc_loop_run(loop);
    assert_int_equal(looks, 1);
    hang_up(&fast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_does_not_read_misses_events_and_is_told,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_are_so_many_watchers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_goes_watches_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_are_looked_at_while_somebody_watches,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
