/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of node.status that are about other offices, each a key and its value. */
#ifndef WHOCAN_DAEMON_METHODS_STATUS_H
#define WHOCAN_DAEMON_METHODS_STATUS_H

#include <whocan/bytes.h>

struct wc_daemon;

void wc_status_links(struct wc_buf *b, const struct wc_daemon *d);
void wc_status_overlay(struct wc_buf *b, const struct wc_daemon *d);
void wc_status_reconciliation(struct wc_buf *b, const struct wc_daemon *d);
void wc_status_queues(struct wc_buf *b, const struct wc_daemon *d);

#endif
