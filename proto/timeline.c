/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/timeline.h"

#include <stdlib.h>
#include <string.h>

#include <whocan/error.h>

void wc_timeline_fini(struct wc_timeline *t)
{
    free(t->heap);
    free(t->at);
    *t = (struct wc_timeline){0};
}

static bool before(struct wc_timeline_entry a, struct wc_timeline_entry b)
{
    return a.due_ms != b.due_ms ? a.due_ms < b.due_ms : a.id < b.id;
}

static void place(struct wc_timeline *t, uint32_t i, struct wc_timeline_entry e)
{
    t->heap[i] = e;
    t->at[e.id] = i + 1;
}

/* Put e at i or wherever the order above and below wants it. */
static void settle(struct wc_timeline *t, uint32_t i, struct wc_timeline_entry e)
{
    while (i > 0 && before(e, t->heap[(i - 1) / 2])) {
        place(t, i, t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < t->count && before(t->heap[child + 1], t->heap[child]))
            child++;
        if (child >= t->count || !before(t->heap[child], e))
            break;
        place(t, i, t->heap[child]);
        i = child;
    }
    place(t, i, e);
}

static int make_room(struct wc_timeline *t, uint32_t id)
{
    if (id >= t->ids) {
        uint32_t ids = t->ids == 0 ? 16 : t->ids;
        while (ids <= id)
            ids *= 2;
        uint32_t *at = realloc(t->at, ids * sizeof(*at));
        if (at == NULL)
            return -WC_ENOMEM;
        memset(at + t->ids, 0, (ids - t->ids) * sizeof(*at));
        t->at = at;
        t->ids = ids;
    }
    if (t->count == t->cap) {
        uint32_t cap = t->cap == 0 ? 16 : 2 * t->cap;
        struct wc_timeline_entry *heap = realloc(t->heap, cap * sizeof(*heap));
        if (heap == NULL)
            return -WC_ENOMEM;
        t->heap = heap;
        t->cap = cap;
    }
    return 0;
}

int wc_timeline_set(struct wc_timeline *t, uint32_t id, uint64_t due_ms)
{
    if (make_room(t, id) != 0)
        return -WC_ENOMEM;
    uint32_t i = t->at[id] != 0 ? t->at[id] - 1 : t->count++;
    settle(t, i, (struct wc_timeline_entry){.due_ms = due_ms, .id = id});
    return 0;
}

void wc_timeline_remove(struct wc_timeline *t, uint32_t id)
{
    if (id >= t->ids || t->at[id] == 0)
        return;
    uint32_t i = t->at[id] - 1;
    t->at[id] = 0;
    struct wc_timeline_entry last = t->heap[--t->count];
    if (i < t->count)
        settle(t, i, last);
}

bool wc_timeline_first(const struct wc_timeline *t, struct wc_timeline_entry *out)
{
    if (t->count == 0)
        return false;
    *out = t->heap[0];
    return true;
}
