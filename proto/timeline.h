/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which numbered thing is due next: a binary heap of (due, id) that knows where each id
 * stands, so that a date can be moved or taken back. Equal dates come in order of id.
 */
#ifndef WHOCAN_PROTO_TIMELINE_H
#define WHOCAN_PROTO_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wc_timeline_entry {
    uint64_t due_ms;
    uint32_t id;
};

/* Zero-initialise. */
struct wc_timeline {
    struct wc_timeline_entry *heap;
    uint32_t count, cap;
    uint32_t *at; /* by id: place in the heap plus one, 0 when absent */
    uint32_t ids; /* length of at */
};

void wc_timeline_fini(struct wc_timeline *t);

/* Give an id a date, or another one. 0 or -WC_ENOMEM (nothing changed). Ids are small
 * numbers: memory grows with the largest. */
int wc_timeline_set(struct wc_timeline *t, uint32_t id, uint64_t due_ms);

/* Nothing happens when the id has no date. */
void wc_timeline_remove(struct wc_timeline *t, uint32_t id);

/* The first, without taking it; false when there is none. */
bool wc_timeline_first(const struct wc_timeline *t, struct wc_timeline_entry *out);

#endif
