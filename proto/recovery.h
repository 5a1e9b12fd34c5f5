/* SPDX-License-Identifier: Apache-2.0 */
/* How identities, admissions and key files carry what a rotation is judged by. */
#ifndef WHOCAN_PROTO_RECOVERY_H
#define WHOCAN_PROTO_RECOVERY_H

#include <whocan/cert.h>
#include <whocan/pack.h>

/* Two elements: the recovery key and the rotation (bin, may be empty). */
void wc_recovery_pack(struct wc_buf *out, const struct wc_org *org);

/* Read them into *org, whose key must be the one that the rotation (if any), signed by
 * that recovery key, led to. -WC_ETYPE, -WC_EBADSIG, what wc_org_rotate() gives. */
int wc_recovery_read(const struct wc_obj *key, const struct wc_obj *rotation,
                     struct wc_org *org, struct wc_err *err);

#endif
