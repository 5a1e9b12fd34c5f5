/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Unix socket: connections, who is behind them, requests in flight, and output that
 * never grows without bound. docs/socket.md is the contract. Loop thread only.
 */
#ifndef WHOCAN_DAEMON_API_H
#define WHOCAN_DAEMON_API_H

#include <stdbool.h>
#include <stdint.h>

#include <whocan/bytes.h>
#include <whocan/pack.h>

#include "daemon/access.h"
#include "daemon/loop.h"

struct wc_api;
struct wc_daemon;
struct wc_request;

/* What a request costs, by which its uid is rated (limits.h). */
enum wc_cost {
    WC_COST_READ,   /* little: it is answered at once */
    WC_COST_FIND,   /* a search */
    WC_COST_ASK,    /* work for every office */
    WC_COST_EDIT,   /* a signature and a commit */
    WC_COST_EXPORT, /* a walk through all records */
    WC_COST_ADMIN,  /* without a rate */
};
#define WC_COSTS_COUNT 6
typedef enum wc_cost (*wc_api_cost_fn)(struct wc_slice method);

/* What is done with a request: it ends it with wc_request_reply() or wc_request_fail(),
 * now or later. */
typedef void (*wc_api_dispatch_fn)(struct wc_daemon *daemon, struct wc_request *r);

/*
 * Listen on the socket that the service manager handed over, or else on `path`: a socket
 * that nobody answers is replaced, a live one is not. -WC_EBUSY, -WC_EDENIED, -WC_ETOOBIG
 * (the path), -WC_EIO, -WC_ENOMEM; *problem gets one line.
 */
int wc_api_new(struct wc_api **out, struct wc_loop *loop, struct wc_daemon *daemon,
               wc_api_dispatch_fn dispatch, wc_api_cost_fn cost, const char *path,
               char problem[WC_PROBLEM_BYTES]);

/* Who may use it. Until the first call requests wait; later ones have connections that
 * are open judged anew. */
void wc_api_set_rules(struct wc_api *api, const struct wc_access_rules *rules);
const struct wc_access_rules *wc_api_rules(const struct wc_api *api);

/* What happened since the start, and what is so now. */
#define WC_FIND_BUCKETS_COUNT 10
extern const uint64_t wc_find_buckets_us[WC_FIND_BUCKETS_COUNT]; /* upper ends */
struct wc_api_stats {
    uint64_t requests_count[WC_COSTS_COUNT];
    uint64_t errors_count, busy_count; /* the latter are among the former */
    uint64_t finds_count[WC_FIND_BUCKETS_COUNT + 1]; /* by time; the last: longer */
    uint64_t finds_us;                               /* of all of them together */
    uint32_t connections_count;
    uint64_t unread_bytes;
};
void wc_api_stats(const struct wc_api *api, struct wc_api_stats *out);

/* Take no more connections and requests; those in flight go on. */
void wc_api_quiesce(struct wc_api *api);

/* Cancel what is in flight, give clients a moment to read, close everything, then call
 * closed(ctx). */
void wc_api_close(struct wc_api *api, void (*closed)(void *ctx), void *ctx);
void wc_api_free(struct wc_api *api); /* after closed(); NULL is fine */

/* ---- one request ---- */

struct wc_daemon *wc_request_daemon(const struct wc_request *r);
const struct wc_caller *wc_request_caller(const struct wc_request *r);
/* The caller from now on: the person for whom the intranet acts. */
void wc_request_set_caller(struct wc_request *r, const struct wc_caller *caller);
struct wc_slice wc_request_method(const struct wc_request *r);

/* The parameters: a map, or NULL when there are none. They live as long as the request.
 * *rc (may be NULL) is not 0 when they were not a map with unique keys. */
const struct wc_obj *wc_request_params(const struct wc_request *r, int *rc);

/* A number that tells it from the other requests of this process. */
uint64_t wc_request_number(const struct wc_request *r);

/* Append the value of "request" in notifications: the message id. */
void wc_request_pack_id(const struct wc_request *r, struct wc_buf *out);

/*
 * Let ending(ctx, rc) have the last word: it is called when the request is ended, with
 * what it ends in, and the answer waits until wc_request_release(). The request's
 * parameters live until then; it cannot be cancelled any more.
 */
void wc_request_on_end(struct wc_request *r, void (*ending)(void *ctx, int rc),
                       void *ctx);
void *wc_request_end_ctx(const struct wc_request *r); /* that ctx, or NULL */
void wc_request_release(struct wc_request *r);        /* frees r */

/* End it with a result: one packed map, whose memory is taken. Frees r. A result that
 * does not fit one message becomes the error TOOBIG, a failed buffer NOMEM. */
void wc_request_reply(struct wc_request *r, struct wc_buf *result);

/* End it with an error; field may be NULL. Frees r. */
void wc_request_fail(struct wc_request *r, int rc, const char *field,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Send a notification that belongs to it: one packed map, whose memory is taken. */
void wc_request_notify(struct wc_request *r, const char *method, struct wc_buf *params);

/* cancel(ctx) is called when nobody waits for it any more; it must still be ended, which
 * may be done from within. */
void wc_request_on_cancel(struct wc_request *r, void (*cancel)(void *ctx), void *ctx);

/* For long streams: whether the client has read most of what was sent, and a call when
 * it has (once; not after cancel). */
bool wc_request_may_stream(const struct wc_request *r);
void wc_request_on_drain(struct wc_request *r, void (*drained)(void *ctx), void *ctx);

#endif
