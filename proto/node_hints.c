/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that may be offices', and that nobody's card has: what IT configured, what a
 * name server said, what worked before the last stop, what a beacon said. They are
 * hints: who is there shows in the handshake alone. node_dial.c dials them.
 *
 * A beacon is looked at twice. Of an office that is known and linked it says nothing
 * new; of one that is known it is worth something while neighbours are wanted; only one
 * of an office whose card never came is dialled whatever else there is: by it two groups
 * that never heard of each other become one. Repeated or made up, it costs a place in a
 * short list, for a moment.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/node_internal.h"

static struct wc_join *find_in(struct wc_join *joins, uint32_t count,
                               const char *address)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(joins[i].address, address) == 0)
            return &joins[i];
    }
    return NULL;
}

struct wc_join *wc_node_join_find(struct wc_node *node, const char *address)
{
    return find_in(node->joins, node->join_count, address);
}

/* ---- lists ---- */

static uint32_t count_max(enum wc_hint how)
{
    switch (how) {
    case WC_HINT_CONFIGURED:
        return WC_JOIN_MAX_COUNT;
    case WC_HINT_SRV:
        return WC_SRV_MAX_COUNT;
    case WC_HINT_CACHE:
        return WC_CACHE_MAX_COUNT;
    case WC_HINT_BEACON:
        break;
    }
    return 0;
}

/* Those of the present list that come before (or after) a kind stay; an address that is
 * there already does not come again. */
static uint32_t keep_others(const struct wc_node *node, enum wc_hint how, bool after,
                            struct wc_join *joins, uint32_t kept)
{
    for (uint32_t i = 0; i < node->join_count; i++) {
        const struct wc_join *join = &node->joins[i];
        if ((after ? join->how > how : join->how < how) &&
            find_in(joins, kept, join->address) == NULL)
            joins[kept++] = *join;
    }
    return kept;
}

/* One of the new list; false: too long. What was learned of the address stays. */
static bool keep_one(struct wc_node *node, enum wc_hint how, const char *address,
                     struct wc_join *joins, uint32_t *kept)
{
    const struct wc_join *old = wc_node_join_find(node, address);
    struct wc_join *join = &joins[*kept];
    if (find_in(joins, *kept, address) != NULL)
        return true; /* given twice: what one learned, the other would not know */
    if (old != NULL)
        *join = *old;
    else if (!wc_slice_copy(wc_slice_text(address), join->address,
                            sizeof(join->address)))
        return false;
    join->how = how;
    ++*kept;
    return true;
}

int wc_node_set_hints(struct wc_node *node, enum wc_hint how,
                      const char *const *addresses, uint32_t count)
{
    if (count > count_max(how))
        return -WC_ETOOBIG;
    struct wc_join *joins = calloc(node->join_count + count + 1, sizeof(*joins));
    if (joins == NULL)
        return -WC_ENOMEM;
    uint32_t kept = keep_others(node, how, false, joins, 0);
    for (uint32_t i = 0; i < count; i++) {
        if (!keep_one(node, how, addresses[i], joins, &kept)) {
            free(joins);
            return -WC_ETOOBIG;
        }
    }
    kept = keep_others(node, how, true, joins, kept);
    free(node->joins);
    node->joins = joins;
    node->join_count = kept;
    wc_node_due(node, WC_DUE_DIAL, 0);
    return 0;
}

int wc_node_set_join(struct wc_node *node, const char *const *addresses, uint32_t count)
{
    return wc_node_set_hints(node, WC_HINT_CONFIGURED, addresses, count);
}

/* ---- beacons ---- */

/* Whether a beacon of that office is worth a dial. */
static bool worth_dialling(const struct wc_node *node,
                           const uint8_t office_key[WC_KEY_BYTES])
{
    uint32_t office = wc_node_office_find(node, office_key);
    uint64_t until_ms;
    if (node->own_revoked || office == node->self ||
        wc_node_shunned(node, office_key, &until_ms))
        return false;
    if (office == WC_NONE)
        return true;
    const struct wc_office *o = node->offices[office];
    return !o->revoked && !o->superseded && o->link == 0 &&
           (!o->has_card || node->views.active_count < WC_VIEW_WANTED_COUNT);
}

/* A place for what was heard: a new one at the end, or that of what was heard the longest
 * ago. */
static struct wc_join *heard_place(struct wc_node *node)
{
    struct wc_join *oldest = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->join_count; i++) {
        struct wc_join *join = &node->joins[i];
        if (join->how != WC_HINT_BEACON)
            continue;
        count++;
        if (oldest == NULL || join->heard_ms < oldest->heard_ms)
            oldest = join;
    }
    if (count == WC_HEARD_MAX_COUNT)
        return oldest;
    struct wc_join *joins =
        realloc(node->joins, (node->join_count + 1) * sizeof(*joins));
    if (joins == NULL) {
        wc_node_fail(node);
        return NULL;
    }
    node->joins = joins;
    return &joins[node->join_count++];
}

void wc_node_heard(struct wc_node *node, const struct wc_event *event)
{
    const char *address = event->u.heard.address;
    if (strlen(address) > WC_ADDRESS_MAX_BYTES ||
        !worth_dialling(node, event->u.heard.office_key))
        return;
    struct wc_join *join = wc_node_join_find(node, address);
    if (join == NULL) {
        join = heard_place(node);
        if (join == NULL)
            return;
        *join = (struct wc_join){.how = WC_HINT_BEACON};
        memcpy(join->address, address, strlen(address) + 1);
    }
    if (join->how == WC_HINT_BEACON && !join->known) { /* the handshake says more */
        memcpy(join->office_key, event->u.heard.office_key, WC_KEY_BYTES);
        join->known = true;
    }
    join->heard_ms = node->mono_ms;
    wc_node_due(node, WC_DUE_DIAL, node->mono_ms);
}

void wc_node_hints_tidy(struct wc_node *node)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->join_count; i++) {
        const struct wc_join *join = &node->joins[i];
        if (join->how != WC_HINT_BEACON ||
            node->mono_ms - join->heard_ms < WC_HEARD_KEEP_MS)
            node->joins[kept++] = *join;
    }
    node->join_count = kept;
}
