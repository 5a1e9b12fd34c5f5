/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/rpc.h"

enum { REQUEST = 0, RESPONSE = 1, NOTIFICATION = 2 };

const struct wc_scan_limits wc_rpc_limits = {
    .bytes_max = WC_RPC_MESSAGE_MAX_BYTES,
    .depth_max = WC_SCAN_DEPTH_MAX,
    .nodes_max = WC_RPC_NODES_MAX,
};

const struct wc_scan_limits wc_rpc_person_limits = {
    .bytes_max = WC_RPC_PERSON_MESSAGE_MAX_BYTES,
    .depth_max = WC_SCAN_DEPTH_MAX,
    .nodes_max = WC_RPC_PERSON_NODES_MAX,
};

/* params is [] or [ map ]. */
static int decode_params(const struct wc_obj *params, const struct wc_obj **out)
{
    *out = NULL;
    if (params == NULL || wc_obj_type(params) != WC_ARRAY || wc_obj_count(params) > 1)
        return -WC_ETYPE;
    if (wc_obj_count(params) == 0)
        return 0;
    const struct wc_obj *map = wc_obj_at(params, 0);
    if (wc_obj_type(map) != WC_MAP)
        return -WC_ETYPE;
    if (!wc_obj_keys_unique(map))
        return -WC_EINVALID;
    *out = map;
    return 0;
}

int wc_rpc_decode(const struct wc_obj *root, struct wc_rpc *out, struct wc_err *err)
{
    uint64_t type, msgid = 0;
    *out = (struct wc_rpc){0};
    if (wc_obj_type(root) != WC_ARRAY || wc_obj_u64(wc_obj_at(root, 0), &type) != 0)
        return wc_fail(err, WC_EPROTOCOL, NULL,
                       "a message is an array that starts with its type");
    if (type != REQUEST && type != NOTIFICATION)
        return wc_fail(err, WC_EPROTOCOL, NULL,
                       "a client sends requests (type 0) and notifications (type 2)");
    out->notification = type == NOTIFICATION;
    uint32_t at = 1;
    if (!out->notification &&
        (wc_obj_u64(wc_obj_at(root, at++), &msgid) != 0 || msgid > UINT32_MAX))
        return wc_fail(err, WC_EPROTOCOL, NULL,
                       "the message id is an unsigned 32-bit number");
    out->msgid = (uint32_t)msgid;
    if (wc_obj_count(root) != at + 2)
        return wc_fail(err, WC_EPROTOCOL, NULL,
                       "a request has 4 elements, a notification 3");
    if (wc_obj_str(wc_obj_at(root, at), &out->method) != 0)
        return wc_fail(err, WC_EPROTOCOL, NULL, "the method is a text");
    out->params_rc = decode_params(wc_obj_at(root, at + 1), &out->params);
    return 0;
}

void wc_rpc_pack_result(struct wc_buf *out, uint32_t msgid, struct wc_slice result)
{
    wc_pack_array(out, 4);
    wc_pack_u64(out, RESPONSE);
    wc_pack_u64(out, msgid);
    wc_pack_nil(out);
    wc_buf_append(out, result.data, result.len);
}

void wc_rpc_pack_notification(struct wc_buf *out, const char *method,
                              struct wc_slice params)
{
    wc_pack_array(out, 3);
    wc_pack_u64(out, NOTIFICATION);
    wc_pack_text(out, method);
    wc_pack_array(out, 1);
    wc_buf_append(out, params.data, params.len);
}

/* All of an error but what its detail holds. */
static void pack_failure(struct wc_buf *out, const uint32_t *msgid, int rc,
                         const char *message, bool detail)
{
    wc_pack_array(out, 4);
    wc_pack_u64(out, RESPONSE);
    if (msgid == NULL)
        wc_pack_nil(out);
    else
        wc_pack_u64(out, *msgid);
    wc_pack_map(out, detail ? 3 : 2);
    wc_pack_text(out, "code");
    wc_pack_text(out, wc_errname(rc));
    wc_pack_text(out, "message");
    wc_pack_text(out, message);
    if (!detail)
        return;
    wc_pack_text(out, "detail");
    wc_pack_map(out, 1);
}

void wc_rpc_pack_error(struct wc_buf *out, const uint32_t *msgid, int rc,
                       const char *message, const char *field)
{
    pack_failure(out, msgid, rc, message, field != NULL);
    if (field != NULL) {
        wc_pack_text(out, "field");
        wc_pack_text(out, field);
    }
    wc_pack_nil(out);
}

void wc_rpc_pack_busy(struct wc_buf *out, uint32_t msgid, const char *message,
                      uint64_t retry_after_ms)
{
    pack_failure(out, &msgid, -WC_EBUSY, message, true);
    wc_pack_text(out, "retry_after_ms");
    wc_pack_u64(out, retry_after_ms);
    wc_pack_nil(out);
}
