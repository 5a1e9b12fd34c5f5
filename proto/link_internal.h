/* SPDX-License-Identifier: Apache-2.0 */
/* What tests must be able to reach in a link and nobody else may change. */
#ifndef WHOCAN_PROTO_LINK_INTERNAL_H
#define WHOCAN_PROTO_LINK_INTERNAL_H

#include <whocan/link.h>

struct wc_link_tuning {
    uint64_t rekey_after_count; /* transport messages of one direction */
    uint64_t rekey_after_ms;
    uint32_t version_min, version_max; /* of the protocol that this side speaks */
};

/* The values that every link starts with. */
extern const struct wc_link_tuning wc_link_tuning_default;

/* Replace them; before the first byte only. */
void wc_link_tune(struct wc_link *link, const struct wc_link_tuning *tuning);

#endif
