/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.metrics: numbers about this daemon in the text format of Prometheus
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). One table in metrics.c
 * names all of them. No label and no value comes from a profile, a question or a name.
 */
#ifndef WHOCAN_DAEMON_METRICS_H
#define WHOCAN_DAEMON_METRICS_H

#include <whocan/bytes.h>

struct wc_daemon;
struct wc_request;

/* Append all of them. Loop thread. */
void wc_metrics_text(struct wc_daemon *d, struct wc_buf *out);

void wc_node_metrics(struct wc_request *r);

#endif
