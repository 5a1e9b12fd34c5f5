/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MessagePack-RPC (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md) on the
 * daemon's side: what a client may send, and what a client gets. docs/socket.md is the
 * contract.
 */
#ifndef WHOCAN_DAEMON_RPC_H
#define WHOCAN_DAEMON_RPC_H

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/limits.h>
#include <whocan/pack.h>

/* What one message may hold. */
extern const struct wc_scan_limits wc_rpc_limits;        /* of an administrator */
extern const struct wc_scan_limits wc_rpc_person_limits; /* of anybody else */

/* What a client may send. */
struct wc_rpc {
    bool notification; /* never answered */
    uint32_t msgid;    /* of a request */
    struct wc_slice method;
    const struct wc_obj *params; /* the one map, or NULL for none */
    int params_rc; /* not 0: the params are not [] or [map] with unique keys */
};

/* The pieces of a decoded message; *out borrows from the document. -WC_EPROTOCOL (with a
 * reason in *err) when it is not a request or notification of MessagePack-RPC at all. */
int wc_rpc_decode(const struct wc_obj *root, struct wc_rpc *out, struct wc_err *err);

/* Append a whole response or notification. `result` and `params` are one packed map. */
void wc_rpc_pack_result(struct wc_buf *out, uint32_t msgid, struct wc_slice result);
void wc_rpc_pack_notification(struct wc_buf *out, const char *method,
                              struct wc_slice params);

/* The error BUSY of a request that would wait too long. */
void wc_rpc_pack_busy(struct wc_buf *out, uint32_t msgid, const char *message,
                      uint64_t retry_after_ms);

/* An error; msgid NULL for a message that could not be read; field NULL for none. */
void wc_rpc_pack_error(struct wc_buf *out, const uint32_t *msgid, int rc,
                       const char *message, const char *field);

#endif
