/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that an office tells the others. */
#ifndef WHOCAN_DAEMON_ADVERTISE_H
#define WHOCAN_DAEMON_ADVERTISE_H

#include <stdint.h>

#include "daemon/config.h"

/*
 * What is configured as `advertise`; without it what is listened on, where `ports[i]` is
 * the port that listened->items[i] got: a wildcard stands for the addresses of the
 * interfaces that are up (no loopback, no link-local), or for loopback when there is no
 * other. At most WC_ADDRESSES_MAX_COUNT. *out needs wc_strings_fini(). -WC_ENOMEM.
 */
int wc_advertise(struct wc_strings *out, const struct wc_strings *advertise,
                 const struct wc_strings *listened, const uint16_t *ports);

#endif
