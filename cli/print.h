/* SPDX-License-Identifier: Apache-2.0 */
/* The screens: what the daemon answers, laid out for people. Everything that others wrote
 * is made safe on its way. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <jansson.h>
#include <stdint.h>
#include <time.h>

#include <whocan/bytes.h>

#include "cli/term.h"

/* The first `count` people of an array of hits, two lines each: who, and why. */
void wc_print_people(const struct wc_term *term, struct wc_buf *out,
                     const json_t *people, size_t count);

/* The fields of an edit ("set", "add" or "drop"), a line each. */
void wc_print_fields(const struct wc_term *term, struct wc_buf *out,
                     struct wc_slice edit, const json_t *fields);

/* One person, everything that is known. */
void wc_print_person(const struct wc_term *term, struct wc_buf *out,
                     const json_t *person, time_t now);

/* The results of offices.list and node.status. */
void wc_print_offices(const struct wc_term *term, struct wc_buf *out,
                      const json_t *result, time_t now);
void wc_print_status(const struct wc_term *term, struct wc_buf *out,
                     const json_t *result, time_t now);
/* That, and every link, what waits and how reconciliation goes. */
void wc_print_status_links(const struct wc_term *term, struct wc_buf *out,
                           const json_t *result, time_t now);

/* One event of node.watch, a line. */
void wc_print_event(const struct wc_term *term, struct wc_buf *out,
                    const json_t *event);

/* The result of office.show. */
void wc_print_office(const struct wc_term *term, struct wc_buf *out,
                     const json_t *result, time_t now);

/* An organisation: its name, id, and key and next serial when they are there. */
void wc_print_org(const struct wc_term *term, struct wc_buf *out, const json_t *org);

/* A time as the daemon writes it, "2026-03-01T09:30:00Z". False when it is not one. */
bool wc_print_time(struct wc_slice text, time_t *out);

/* "1 March 2026"; and "3 min ago", "in 12 days", "now". */
void wc_print_date(struct wc_buf *out, time_t t);
void wc_print_ago(struct wc_buf *out, time_t t, time_t now);

#endif
