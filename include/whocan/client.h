/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client library: calls to whocand over its Unix socket. docs/socket.md lists the
 * methods, their parameters and their results.
 *
 *     struct wc_client *client = wc_client_new();
 *     struct wc_reply *reply = NULL;
 *     struct wc_buf params = {0};
 *     wc_pack_map(&params, 1);
 *     wc_pack_text(&params, "query");
 *     wc_pack_text(&params, "start a blog");
 *     int rc = wc_client_connect(client, NULL, 5000);
 *     if (rc == 0)
 *         rc = wc_client_call(client, "people.find", wc_buf_slice(&params), 5000, &reply);
 *     if (rc == 0) {
 *         const struct wc_obj *people = wc_obj_get(wc_reply_result(reply), "people");
 *         for (uint32_t i = 0; i < wc_obj_count(people); i++) {
 *             struct wc_slice handle;
 *             if (wc_obj_str(wc_obj_get(wc_obj_at(people, i), "handle"), &handle) == 0)
 *                 printf("%.*s\n", (int)handle.len, (const char *)handle.data);
 *         }
 *     } else {
 *         fprintf(stderr, "%s\n", wc_client_error(client));
 *     }
 *     wc_reply_free(reply);
 *     wc_buf_fini(&params);
 *     wc_client_free(client);
 *
 * Build with `cc example.c $(pkg-config --cflags --libs whocan)`.
 *
 * A client belongs to one thread at a time. Nothing here blocks longer than the timeout
 * that the caller gives, raises a signal or prints.
 */
#ifndef WHOCAN_CLIENT_H
#define WHOCAN_CLIENT_H

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/limits.h>
#include <whocan/pack.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One connection. */
struct wc_client;

/* One response, with the memory that its objects point into. */
struct wc_reply;

/*
 * Where the daemon's socket is: `path` when it is not NULL, else $WHOCAN_SOCKET, else
 * $XDG_RUNTIME_DIR/whocan/whocan.sock when something is there, else
 * /run/whocan/whocan.sock. Writes a terminated text; -WC_ETOOBIG when it does not fit.
 */
int wc_client_path(const char *path, char *out, size_t out_cap);

/* A client without a connection, or NULL when memory is out. Free it with
 * wc_client_free(), which closes the connection; NULL is fine there. */
struct wc_client *wc_client_new(void);
void wc_client_free(struct wc_client *client);

/*
 * Connect to the socket that wc_client_path() finds, within timeout_ms (-1: no end).
 * -WC_ETOOBIG: the path is longer than a socket's may be. -WC_ENOTFOUND: no socket
 * there. -WC_ECLOSED: a socket, but nobody listens. -WC_EDENIED: the file's permissions.
 * -WC_ETIMEOUT. -WC_EIO: any other error of the system. -WC_EEXISTS: connected already.
 */
int wc_client_connect(struct wc_client *client, const char *path, int timeout_ms);

/* Talk over a socket that is connected already (through a tunnel, say), and take it over:
 * wc_client_free() closes it. -WC_EEXISTS: connected already; -WC_EIO: no descriptor; then
 * it stays the caller's. */
int wc_client_adopt(struct wc_client *client, int fd);

/* One line about the latest failure, for a person; never NULL. Valid until the next
 * call. It can hold text of the daemon's: escape it for a terminal. */
const char *wc_client_error(const struct wc_client *client);

/* Whether the latest failure is the daemon's answer (true), or the connection's. */
bool wc_client_refused(const struct wc_client *client);

/*
 * Send a request. `params` is one packed map, or empty. *id names the request in the
 * calls below; it is never 0. May be called from a notification callback.
 * -WC_ELIMIT: WC_RPC_INFLIGHT_MAX_COUNT requests are under way. -WC_ETOOBIG: over
 * WC_RPC_MESSAGE_MAX_BYTES. -WC_ECLOSED, -WC_ENOMEM. What the socket does not take at
 * once is sent by the calls below.
 */
int wc_client_send(struct wc_client *client, const char *method, struct wc_slice params,
                   uint32_t *id);

/*
 * Wait for the response to one request; others that come meanwhile are kept, and
 * notifications are delivered. *reply is the caller's (wc_reply_free).
 *
 * 0: the result is in *reply. -WC_ETIMEOUT: not within timeout_ms (-1: no end); it may
 * be waited for again. When the daemon refused: the code that it gave (-WC_EINVALID
 * when this library does not know it), wc_client_refused() is true and *reply holds the
 * error. -WC_EMISSING: no such request. -WC_ECLOSED, -WC_EPROTOCOL, -WC_ENOMEM: the
 * connection is of no further use. Where no reply came *reply is NULL.
 */
int wc_client_wait(struct wc_client *client, uint32_t id, int timeout_ms,
                   struct wc_reply **reply);

/* Send and wait. A request that timed out is forgotten. Errors of both. */
int wc_client_call(struct wc_client *client, const char *method, struct wc_slice params,
                   int timeout_ms, struct wc_reply **reply);

/* The response is not wanted any more: it is dropped when it comes. */
void wc_client_forget(struct wc_client *client, uint32_t id);

/*
 * A notification: its method, the request that it belongs to (0: none), and its map
 * (NULL when it has none). Objects are borrowed and end with the call. The callback may
 * send; it must not wait, pump, call or free (-WC_EBUSY).
 */
typedef void wc_client_notify_fn(void *arg, const char *method, uint32_t request,
                                 const struct wc_obj *params);
void wc_client_on_notify(struct wc_client *client, wc_client_notify_fn *fn, void *arg);

/*
 * For a program with a loop of its own: the descriptor to poll, and the events that it
 * wants (POLLIN, POLLOUT of poll.h). When one is there, wc_client_pump(client, 0).
 */
int wc_client_fd(const struct wc_client *client);
short wc_client_events(const struct wc_client *client);

/* Wait at most timeout_ms (-1: no end) until something can be read or written, read and
 * write what is possible, deliver notifications, keep responses. 0, -WC_ETIMEOUT when
 * nothing happened, or as wc_client_wait(). */
int wc_client_pump(struct wc_client *client, int timeout_ms);

/* The response to one request if it is here: as wc_client_wait(), or -WC_EBUSY. */
int wc_client_take(struct wc_client *client, uint32_t id, struct wc_reply **reply);

/* The result (NULL when the daemon refused), or the error map { code, message, detail }
 * (NULL when it did not). Borrowed from the reply. */
const struct wc_obj *wc_reply_result(const struct wc_reply *reply);
const struct wc_obj *wc_reply_error(const struct wc_reply *reply);
void wc_reply_free(struct wc_reply *reply); /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
