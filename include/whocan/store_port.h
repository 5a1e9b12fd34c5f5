/* SPDX-License-Identifier: Apache-2.0 */
/* What the node engine needs of a store. Writing goes through effects; this is the
 * reading side. */
#ifndef WHOCAN_STORE_PORT_H
#define WHOCAN_STORE_PORT_H

#include <whocan/bytes.h>
#include <whocan/limits.h>

struct wc_store_port {
    void *ctx;
    /*
     * Append the committed record of a slot to *out: 0, -WC_ENOTFOUND, or another error
     * (the engine then leaves that record out and says so). Called from within
     * wc_node_step: must not step the node.
     */
    int (*read)(void *ctx, const uint8_t slot[WC_DIGEST_BYTES], struct wc_buf *out);
};

#endif
