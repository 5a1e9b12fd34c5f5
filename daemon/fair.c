/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/fair.h"

#include <assert.h>
#include <stdlib.h>

#include <whocan/error.h>

struct queue {
    struct wc_fair_item *first, *last;
    uint32_t waiting, running;
    struct wc_bucket bucket;
    uint32_t scale; /* of what was queued last */
};

struct wc_fair_user {
    struct wc_fair_user *next, *previous;
    uint32_t number;
    uint32_t waiting, running;
    size_t waiting_bytes;
    uint32_t turn; /* the class that is looked at first */
    struct queue queues[WC_FAIR_CLASSES_MAX];
};

struct wc_fair {
    struct wc_fair_config config;
    struct wc_fair_user *first,
        *last; /* whose turn it is; who had it goes to the end */
    uint32_t users_count;
    uint32_t running;
    uint32_t class_running[WC_FAIR_CLASSES_MAX];
    uint64_t deadline_ms;
};

int wc_fair_new(struct wc_fair **out, const struct wc_fair_config *config)
{
    struct wc_fair *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -WC_ENOMEM;
    assert(config->classes_count <= WC_FAIR_CLASSES_MAX);
    f->config = *config;
    f->deadline_ms = UINT64_MAX;
    *out = f;
    return 0;
}

void wc_fair_free(struct wc_fair *f)
{
    if (f == NULL)
        return;
    while (f->first != NULL) {
        struct wc_fair_user *next = f->first->next;
        free(f->first);
        f->first = next;
    }
    free(f);
}

/* ---- users ---- */

static struct wc_fair_user *user_find(const struct wc_fair *f, uint32_t number)
{
    struct wc_fair_user *u = f->first;
    while (u != NULL && u->number != number)
        u = u->next;
    return u;
}

static void user_unlink(struct wc_fair *f, struct wc_fair_user *u)
{
    *(u->previous != NULL ? &u->previous->next : &f->first) = u->next;
    *(u->next != NULL ? &u->next->previous : &f->last) = u->previous;
    f->users_count--;
}

static void user_link_last(struct wc_fair *f, struct wc_fair_user *u)
{
    u->next = NULL;
    u->previous = f->last;
    *(f->last != NULL ? &f->last->next : &f->first) = u;
    f->last = u;
    f->users_count++;
}

static struct wc_fair_user *user_get(struct wc_fair *f, uint32_t number)
{
    struct wc_fair_user *u = user_find(f, number);
    if (u != NULL)
        return u;
    u = calloc(1, sizeof(*u));
    if (u == NULL)
        return NULL;
    u->number = number;
    user_link_last(f, u);
    return u;
}

static struct wc_rate scaled(const struct wc_fair *f, uint32_t class, uint32_t scale)
{
    struct wc_rate rate = f->config.classes[class].rate;
    rate.per_minute *= scale;
    rate.burst *= scale;
    return rate;
}

static bool owes_nothing(const struct wc_fair *f, struct wc_fair_user *u,
                         uint64_t now_ms)
{
    bool nothing = u->waiting == 0 && u->running == 0;
    for (uint32_t i = 0; i < f->config.classes_count && nothing; i++) {
        struct wc_rate rate = scaled(f, i, u->queues[i].scale);
        nothing = wc_bucket_full(&u->queues[i].bucket, &rate, now_ms);
    }
    return nothing;
}

uint32_t wc_fair_tidy(struct wc_fair *f, uint64_t now_ms)
{
    struct wc_fair_user *u = f->first;
    while (u != NULL) {
        struct wc_fair_user *next = u->next;
        if (owes_nothing(f, u, now_ms)) {
            user_unlink(f, u);
            free(u);
        }
        u = next;
    }
    return f->users_count;
}

uint32_t wc_fair_waiting(const struct wc_fair *f, uint32_t user)
{
    const struct wc_fair_user *u = user_find(f, user);
    return u == NULL ? 0 : u->waiting;
}

/* ---- queueing ---- */

static bool over_bounds(const struct wc_fair_config *config,
                        const struct wc_fair_user *u, const struct wc_fair_item *item)
{
    if (config->waiting_user_max > 0 && u->waiting >= config->waiting_user_max)
        return true;
    return config->waiting_user_bytes > 0 && item->scale > 0 &&
           u->waiting_bytes + item->bytes > config->waiting_user_bytes;
}

static void queue_append(struct queue *q, struct wc_fair_item *item)
{
    item->next = NULL;
    item->previous = q->last;
    *(q->last != NULL ? &q->last->next : &q->first) = item;
    q->last = item;
    q->waiting++;
}

static void queue_remove(struct queue *q, struct wc_fair_item *item)
{
    *(item->previous != NULL ? &item->previous->next : &q->first) = item->next;
    *(item->next != NULL ? &item->next->previous : &q->last) = item->previous;
    q->waiting--;
}

int wc_fair_add(struct wc_fair *f, struct wc_fair_item *item, uint32_t user,
                uint32_t class, uint32_t scale, size_t bytes, uint64_t now_ms,
                uint64_t *retry_ms)
{
    assert(class < f->config.classes_count && item->state == WC_FAIR_OUT);
    struct wc_fair_user *u = user_get(f, user);
    if (u == NULL)
        return -WC_ENOMEM;
    struct queue *q = &u->queues[class];
    *item = (struct wc_fair_item){
        .user = u, .class = class, .scale = scale, .bytes = bytes};
    struct wc_rate rate = scaled(f, class, scale);
    uint64_t wait_ms = wc_bucket_wait_ms(&q->bucket, &rate, q->waiting + 1, now_ms);
    bool too_long = f->config.wait_max_ms > 0 && wait_ms > f->config.wait_max_ms;
    if (too_long || over_bounds(&f->config, u, item)) {
        if (retry_ms != NULL)
            *retry_ms = wait_ms;
        return -WC_EBUSY;
    }
    q->scale = scale;
    item->state = WC_FAIR_WAITING;
    queue_append(q, item);
    u->waiting++;
    u->waiting_bytes += bytes;
    return 0;
}

/* ---- serving ---- */

static bool may_run(struct wc_fair *f, struct wc_fair_user *u, uint32_t class,
                    uint64_t now_ms)
{
    const struct wc_fair_class *c = &f->config.classes[class];
    struct queue *q = &u->queues[class];
    if (q->first == NULL || (c->running_max > 0 && q->running >= c->running_max) ||
        (c->running_all_max > 0 && f->class_running[class] >= c->running_all_max))
        return false;
    struct wc_rate rate = scaled(f, class, q->first->scale);
    uint64_t wait_ms = wc_bucket_take(&q->bucket, &rate, 1, now_ms);
    if (wait_ms > 0 && now_ms + wait_ms < f->deadline_ms)
        f->deadline_ms = now_ms + wait_ms;
    return wait_ms == 0;
}

static void leave_queue(struct wc_fair_item *item)
{
    queue_remove(&item->user->queues[item->class], item);
    item->user->waiting--;
    item->user->waiting_bytes -= item->bytes;
}

/* The next of one user, class after class. */
static struct wc_fair_item *user_next(struct wc_fair *f, struct wc_fair_user *u,
                                      uint64_t now_ms)
{
    uint32_t count = f->config.classes_count;
    if (u->waiting == 0 ||
        (f->config.running_user_max > 0 && u->running >= f->config.running_user_max))
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t class = (u->turn + i) % count;
        if (!may_run(f, u, class, now_ms))
            continue;
        struct wc_fair_item *item = u->queues[class].first;
        leave_queue(item);
        u->turn = class + 1;
        u->queues[class].running++;
        u->running++;
        f->class_running[class]++;
        f->running++;
        item->state = WC_FAIR_RUNNING;
        return item;
    }
    return NULL;
}

struct wc_fair_item *wc_fair_next(struct wc_fair *f, uint64_t now_ms)
{
    f->deadline_ms = UINT64_MAX;
    if (f->config.running_max > 0 && f->running >= f->config.running_max)
        return NULL;
    for (struct wc_fair_user *u = f->first; u != NULL; u = u->next) {
        struct wc_fair_item *item = user_next(f, u, now_ms);
        if (item == NULL)
            continue;
        user_unlink(f, u);
        user_link_last(f, u);
        return item;
    }
    return NULL;
}

uint64_t wc_fair_deadline(const struct wc_fair *f)
{
    return f->deadline_ms;
}

void wc_fair_end(struct wc_fair *f, struct wc_fair_item *item)
{
    switch (item->state) {
    case WC_FAIR_OUT:
        return;
    case WC_FAIR_WAITING:
        leave_queue(item);
        break;
    case WC_FAIR_RUNNING:
        item->user->queues[item->class].running--;
        item->user->running--;
        f->class_running[item->class]--;
        f->running--;
        break;
    }
    item->state = WC_FAIR_OUT;
}
