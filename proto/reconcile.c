/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/reconcile.h"

#include <stdlib.h>
#include <string.h>

#include <whocan/error.h>

static const uint8_t everything[WC_ITEM_BYTES];

void wc_reconcile_fini(struct wc_reconcile *r)
{
    free(r->stack);
    free(r->need);
    memset(r, 0, sizeof(*r));
}

/* ---- fingerprints ---- */

/* Of one range, by an ordinary sum. */
static uint64_t sum_fingerprint(const struct wc_itemset *set, const uint8_t *prefix,
                                uint32_t bits, uint32_t session,
                                uint8_t out[WC_FINGERPRINT_BYTES])
{
    struct wc_item_sum sum;
    wc_itemset_range(set, prefix, bits, &sum);
    wc_wire_fingerprint(out, &sum, 1, session);
    return sum.count;
}

/* How fingerprints are made in one exchange. */
struct yardstick {
    const struct wc_itemset *sets;
    uint8_t set;
    uint32_t session;
    const uint8_t *key; /* of an audit, else NULL */
    uint8_t *items;     /* room for those of a range, in an audit */
    size_t items_max;
};

/* Of one range: how many items it has. In an audit one with more than there is room for
 * has a fingerprint of zeros. */
static uint64_t fingerprint(const struct yardstick *y, const uint8_t *prefix,
                            uint32_t bits, uint8_t out[WC_FINGERPRINT_BYTES])
{
    const struct wc_itemset *set = &y->sets[y->set];
    if (y->key == NULL)
        return sum_fingerprint(set, prefix, bits, y->session, out);
    uint64_t count = wc_itemset_range_count(set, prefix, bits);
    memset(out, 0, WC_FINGERPRINT_BYTES);
    if (count > y->items_max)
        return count;
    wc_itemset_keys(set, prefix, bits, y->items, y->items_max);
    wc_wire_audit_fingerprint(out, wc_slice(y->items, (size_t)count * WC_ITEM_BYTES),
                              y->key, y->session);
    return count;
}

static void branch_of(const struct yardstick *y, const uint8_t *prefix, uint32_t bits,
                      uint8_t out[WC_BRANCH_BYTES])
{
    uint8_t whole[WC_FINGERPRINT_BYTES];
    uint64_t count = fingerprint(y, prefix, bits, whole);
    wc_wire_branch(out, whole, count == 0);
}

static void fingerprint_all(const struct wc_itemset *sets, uint32_t session,
                            uint8_t out[WC_FINGERPRINT_BYTES])
{
    struct wc_item_sum sums[WC_SETS_COUNT];
    for (uint32_t i = 0; i < WC_SETS_COUNT; i++)
        wc_itemset_range(&sets[i], everything, 0, &sums[i]);
    wc_wire_fingerprint(out, sums, WC_SETS_COUNT, session);
}

/* ---- what is to be asked about ---- */

static int push_range(struct wc_reconcile *r, const struct wc_reconcile_range *range)
{
    if (r->stack_count == r->stack_cap) {
        uint32_t cap = r->stack_cap == 0 ? 16 : 2 * r->stack_cap;
        struct wc_reconcile_range *stack = realloc(r->stack, cap * sizeof(*stack));
        if (stack == NULL)
            return -WC_ENOMEM;
        r->stack = stack;
        r->stack_cap = cap;
    }
    r->stack[r->stack_count++] = *range;
    return 0;
}

static int push_need(struct wc_reconcile *r, const uint8_t *prefix, uint32_t bits,
                     const uint8_t id[WC_SHORT_ID_BYTES])
{
    if (r->need_count == r->need_cap) {
        uint32_t cap = r->need_cap == 0 ? 64 : 2 * r->need_cap;
        struct wc_reconcile_need *need = realloc(r->need, cap * sizeof(*need));
        if (need == NULL)
            return -WC_ENOMEM;
        r->need = need;
        r->need_cap = cap;
    }
    struct wc_reconcile_need *n = &r->need[r->need_count++];
    memcpy(n->prefix, prefix, WC_ITEM_BYTES);
    n->bits = (uint16_t)bits;
    memcpy(n->id, id, WC_SHORT_ID_BYTES);
    return 0;
}

int wc_reconcile_begin(struct wc_reconcile *r, uint8_t set, uint32_t number)
{
    struct wc_reconcile_range all = {.set = set};
    wc_reconcile_fini(r);
    r->set = set;
    r->number = number;
    return push_range(r, &all);
}

int wc_reconcile_audit(struct wc_reconcile *r, uint32_t sets, uint32_t number,
                       const uint8_t key[WC_SECRET_BYTES])
{
    int rc = 0;
    wc_reconcile_fini(r);
    r->number = number;
    r->audit = true;
    memcpy(r->key, key, WC_SECRET_BYTES);
    while (rc == 0 && sets-- > 0) { /* set 0 on top */
        struct wc_reconcile_range all = {.set = (uint8_t)sets};
        rc = push_range(r, &all);
    }
    return rc;
}

static int push_branches(struct wc_reconcile *r, const struct wc_reconcile_range *of)
{
    int rc = 0;
    for (unsigned branch = WC_ITEM_BRANCHES; rc == 0 && branch-- > 0;) {
        struct wc_reconcile_range child = *of;
        wc_item_set_branch(child.prefix, child.bits, branch);
        child.bits += WC_ITEM_STEP_BITS;
        rc = push_range(r, &child);
    }
    return rc;
}

/* ---- asking ---- */

/* A question about one range, and what it costs. */
static uint64_t question(struct wc_reconcile *r, const struct yardstick *y,
                         const struct wc_reconcile_range *range,
                         struct wc_wire_ranges *out)
{
    struct wc_wire_range *w = &out->ranges[out->count];
    uint64_t count =
        range->set == WC_SET_ALL
            ? 0
            : wc_itemset_range_count(&y->sets[range->set], range->prefix, range->bits);
    bool open = range->differs && !r->audit && count <= WC_RECONCILE_IDS_MAX_COUNT;
    memcpy(w->prefix, range->prefix, WC_ITEM_BYTES);
    w->bits = range->bits;
    w->form = open ? WC_FORM_OPEN : WC_FORM_COMPARE;
    w->data = (struct wc_slice){0};
    w->count = 0;
    if (range->set == WC_SET_ALL)
        fingerprint_all(y->sets, r->number, w->fingerprint);
    else if (!open)
        fingerprint(y, range->prefix, range->bits, w->fingerprint);
    r->asked_ranges[out->count] = *range;
    r->asked_open[out->count++] = open;
    return count;
}

/* Whether it has become equal since the other side said that it differs. */
static bool settled(const struct wc_reconcile *r, const struct yardstick *y,
                    const struct wc_reconcile_range *range)
{
    uint8_t branch[WC_BRANCH_BYTES];
    if (!range->differs || r->audit)
        return false;
    branch_of(y, range->prefix, range->bits, branch);
    return memcmp(branch, range->branch, sizeof(branch)) == 0;
}

/* Room for the items of a range, which only an audit needs. */
static int yardstick_init(struct yardstick *y, const struct wc_itemset *sets,
                          const uint8_t *key, uint32_t session, size_t items_max)
{
    *y = (struct yardstick){.sets = sets, .session = session, .key = key};
    if (key == NULL)
        return 0;
    y->items_max = items_max;
    y->items = malloc(items_max * WC_ITEM_BYTES);
    return y->items == NULL ? -WC_ENOMEM : 0;
}

int wc_reconcile_ask(struct wc_reconcile *r, const struct wc_itemset *sets, bool turn,
                     wc_reconcile_mine_fn mine, void *ctx, struct wc_wire_ranges *out)
{
    struct yardstick y;
    uint64_t hashed = 0;
    int rc = yardstick_init(&y, sets, r->audit ? r->key : NULL, r->number,
                            WC_AUDIT_RANGE_MAX_COUNT);
    out->count = 0;
    while (rc == 0 && r->stack_count > 0 && out->count < WC_SYNC_RANGES_MAX_COUNT &&
           hashed < WC_AUDIT_FRAME_MAX_COUNT) {
        const struct wc_reconcile_range range = r->stack[r->stack_count - 1];
        if (range.set != r->set && (!turn || out->count > 0))
            break;
        r->set = y.set = range.set;
        r->stack_count--;
        if (r->audit && wc_itemset_range_count(&sets[range.set], range.prefix,
                                               range.bits) > WC_AUDIT_RANGE_MAX_COUNT) {
            rc = push_branches(r, &range);
        } else if (range.set != WC_SET_ALL && settled(r, &y, &range)) {
            continue;
        } else if (mine != NULL && !mine(ctx, &range)) {
            r->aside_count++;
        } else {
            uint64_t count = question(r, &y, &range, out);
            hashed += r->audit ? count : 0;
        }
    }
    free(y.items);
    out->set = r->set;
    out->session = r->number;
    memcpy(out->key, r->key, sizeof(out->key));
    r->asked_count = out->count;
    r->asked = out->count > 0;
    return rc;
}

/* ---- hearing ---- */

/* What was asked that a range of the answer is about; they come in order, so `from` is
 * where to go on looking. asked_count: nothing. */
static uint32_t belongs_to(const struct wc_reconcile *r, uint32_t from,
                           const struct wc_wire_range *in)
{
    uint32_t i = from;
    while (i < r->asked_count &&
           (r->asked_ranges[i].bits != in->bits ||
            memcmp(r->asked_ranges[i].prefix, in->prefix, WC_ITEM_BYTES) != 0))
        i++;
    if (i < r->asked_count && ((in->form == WC_FORM_IDS && !r->asked_open[i]) ||
                               (in->form == WC_FORM_ITEMS && r->asked_open[i])))
        return r->asked_count;
    return i;
}

/* Which of the branches differ from those here. What the other side has not at all is
 * nothing to be fetched. */
static int hear_branches(struct wc_reconcile *r, const struct yardstick *y,
                         const struct wc_wire_range *in)
{
    static const uint8_t nothing[WC_BRANCH_BYTES];
    uint8_t own[WC_BRANCH_BYTES];
    int rc = 0;
    for (unsigned branch = 0; rc == 0 && branch < in->count; branch++) {
        const uint8_t *theirs = in->data.data + (size_t)branch * WC_BRANCH_BYTES;
        struct wc_reconcile_range child = {.bits =
                                               (uint16_t)(in->bits + WC_ITEM_STEP_BITS),
                                           .set = r->set,
                                           .differs = true};
        memcpy(child.prefix, in->prefix, WC_ITEM_BYTES);
        wc_item_set_branch(child.prefix, in->bits, branch);
        memcpy(child.branch, theirs, WC_BRANCH_BYTES);
        if (memcmp(theirs, nothing, WC_BRANCH_BYTES) == 0)
            continue;
        branch_of(y, child.prefix, child.bits, own);
        if (memcmp(own, theirs, WC_BRANCH_BYTES) != 0)
            rc = push_range(r, &child);
    }
    return rc;
}

/* Which sets differ: set 0 goes on top. */
static int hear_sets(struct wc_reconcile *r, const struct wc_itemset *sets,
                     const struct wc_wire_range *in)
{
    static const uint8_t nothing[WC_BRANCH_BYTES];
    struct yardstick y = {.sets = sets, .session = r->number};
    uint8_t own[WC_BRANCH_BYTES];
    int rc = 0;
    for (uint8_t set = WC_SETS_COUNT; rc == 0 && set-- > 0;) {
        struct wc_reconcile_range all = {.set = set, .differs = true};
        memcpy(all.branch, in->data.data + (size_t)set * WC_BRANCH_BYTES,
               WC_BRANCH_BYTES);
        y.set = set;
        branch_of(&y, everything, 0, own);
        if (memcmp(all.branch, nothing, WC_BRANCH_BYTES) != 0 &&
            memcmp(own, all.branch, WC_BRANCH_BYTES) != 0)
            rc = push_range(r, &all);
    }
    return rc;
}

static bool among(const uint8_t *ids, size_t count, const uint8_t *id)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(ids + i * WC_SHORT_ID_BYTES, id, WC_SHORT_ID_BYTES) == 0)
            return true;
    }
    return false;
}

static int hear_ids(struct wc_reconcile *r, const struct wc_itemset *set,
                    const struct wc_wire_range *in)
{
    /* as few as when it was asked, or a few more that came since */
    uint8_t keys[2 * WC_RECONCILE_IDS_MAX_COUNT][WC_ITEM_BYTES];
    uint8_t own[2 * WC_RECONCILE_IDS_MAX_COUNT][WC_SHORT_ID_BYTES];
    size_t count = wc_itemset_keys(set, in->prefix, in->bits, keys[0],
                                   (size_t)2 * WC_RECONCILE_IDS_MAX_COUNT);
    int rc = 0;
    for (size_t i = 0; i < count; i++)
        wc_wire_short_id(own[i], keys[i], r->number);
    for (uint32_t i = 0; rc == 0 && i < in->count; i++) {
        const uint8_t *id = in->data.data + (size_t)i * WC_SHORT_ID_BYTES;
        if (!among(own[0], count, id))
            rc = push_need(r, in->prefix, in->bits, id);
    }
    return rc;
}

static int hear_items(struct wc_reconcile *r, const struct wc_itemset *set,
                      const struct wc_wire_range *in)
{
    uint8_t id[WC_SHORT_ID_BYTES];
    uint32_t value;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < in->count; i++) {
        const uint8_t *item = in->data.data + (size_t)i * WC_ITEM_BYTES;
        if (wc_itemset_find(set, item, &value))
            continue;
        wc_wire_short_id(id, item, r->number);
        rc = push_need(r, item, WC_ITEM_BITS_MAX, id);
    }
    return rc;
}

/* What one answer added, in an order that is drawn: a session that is broken off begins
 * elsewhere the next time, and two sessions at once begin in different places. */
static void shuffle(struct wc_reconcile *r, uint32_t from, struct wc_rng *rng)
{
    for (uint32_t count = r->stack_count - from; count > 1; count--) {
        uint32_t drawn = (uint32_t)wc_rng_below(rng, count);
        struct wc_reconcile_range swap = r->stack[from + drawn];
        r->stack[from + drawn] = r->stack[from + count - 1];
        r->stack[from + count - 1] = swap;
    }
}

int wc_reconcile_hear(struct wc_reconcile *r, const struct wc_itemset *sets,
                      const struct wc_wire_ranges *in, struct wc_rng *rng)
{
    struct yardstick y;
    uint32_t asked = 0, from = r->stack_count;
    int rc = yardstick_init(&y, sets, r->audit ? r->key : NULL, r->number,
                            WC_AUDIT_RANGE_MAX_COUNT);
    y.set = r->set;
    r->asked = false;
    for (uint32_t i = 0; rc == 0 && i < in->count; i++) {
        const struct wc_wire_range *range = &in->ranges[i];
        asked = belongs_to(r, asked, range);
        if (asked == r->asked_count)
            rc = -WC_EPROTOCOL;
        else if (r->set == WC_SET_ALL)
            rc = hear_sets(r, sets, range);
        else if (range->form == WC_FORM_BRANCHES)
            rc = hear_branches(r, &y, range);
        else if (range->form == WC_FORM_IDS)
            rc = hear_ids(r, &sets[r->set], range);
        else
            rc = hear_items(r, &sets[r->set], range);
        asked++;
    }
    free(y.items);
    if (r->set != WC_SET_ALL)
        shuffle(r, from, rng);
    return rc;
}

uint32_t wc_reconcile_want(struct wc_reconcile *r, struct wc_wire_ranges *out,
                           uint8_t ids[WC_WANT_ITEMS_MAX_COUNT][WC_SHORT_ID_BYTES])
{
    uint32_t count = 0;
    struct wc_wire_range *w = NULL;
    out->set = r->set;
    out->session = r->number;
    out->count = 0;
    while (r->need_count > 0 && count < WC_WANT_ITEMS_MAX_COUNT) {
        const struct wc_reconcile_need *n = &r->need[--r->need_count];
        memcpy(ids[count], n->id, WC_SHORT_ID_BYTES);
        if (w == NULL || w->bits != n->bits ||
            memcmp(w->prefix, n->prefix, WC_ITEM_BYTES) != 0) {
            w = &out->ranges[out->count++];
            memcpy(w->prefix, n->prefix, WC_ITEM_BYTES);
            w->bits = n->bits;
            w->form = WC_FORM_IDS;
            w->count = 0;
            w->data = wc_slice(ids[count], 0);
        }
        w->count++;
        w->data.len += WC_SHORT_ID_BYTES;
        count++;
    }
    return count;
}

/* ---- answering ---- */

/* A few items are listed: whole, or to who knows that they differ by short ids. */
static void list(const struct yardstick *y, const struct wc_wire_range *asked,
                 uint64_t count, struct wc_wire_range *w, uint8_t *room)
{
    uint8_t items[WC_ITEM_LEAF_MAX][WC_ITEM_BYTES];
    bool whole = asked->form == WC_FORM_COMPARE;
    size_t each = whole ? WC_ITEM_BYTES : WC_SHORT_ID_BYTES;
    wc_itemset_keys(&y->sets[y->set], asked->prefix, asked->bits, items[0],
                    WC_ITEM_LEAF_MAX);
    for (uint64_t i = 0; i < count; i++) {
        if (whole)
            memcpy(room + i * each, items[i], WC_ITEM_BYTES);
        else
            wc_wire_short_id(room + i * each, items[i], y->session);
    }
    w->form = whole ? WC_FORM_ITEMS : WC_FORM_IDS;
    w->count = (uint32_t)count;
    w->data = wc_slice(room, (size_t)count * each);
}

static void split(const struct yardstick *y, const struct wc_wire_range *asked,
                  struct wc_wire_range *w, uint8_t *room)
{
    uint8_t prefix[WC_ITEM_BYTES];
    memcpy(prefix, asked->prefix, sizeof(prefix));
    for (unsigned branch = 0; branch < WC_ITEM_BRANCHES; branch++) {
        wc_item_set_branch(prefix, asked->bits, branch);
        branch_of(y, prefix, asked->bits + WC_ITEM_STEP_BITS,
                  room + (size_t)branch * WC_BRANCH_BYTES);
    }
    w->form = WC_FORM_BRANCHES;
    w->count = WC_ITEM_BRANCHES;
    w->data = wc_slice(room, (size_t)WC_ITEM_BRANCHES * WC_BRANCH_BYTES);
}

/* What there is to say about one range: nothing when it is equal, or when nothing is
 * held there. */
static bool answer_range(const struct yardstick *y, const struct wc_wire_range *asked,
                         struct wc_wire_range *w, uint8_t *room, bool *differs)
{
    uint8_t own[WC_FINGERPRINT_BYTES] = {0};
    uint64_t count =
        wc_itemset_range_count(&y->sets[y->set], asked->prefix, asked->bits);
    if (y->key != NULL && count > y->items_max)
        return false;
    if (asked->form == WC_FORM_COMPARE) {
        fingerprint(y, asked->prefix, asked->bits, own);
        if (memcmp(own, asked->fingerprint, sizeof(own)) == 0)
            return false;
        *differs = true;
    }
    memcpy(w->prefix, asked->prefix, WC_ITEM_BYTES);
    w->bits = asked->bits;
    if (count > WC_ITEM_LEAF_MAX)
        split(y, asked, w, room);
    else if (count > 0)
        list(y, asked, count, w, room);
    return count > 0;
}

static bool answer_all(const struct wc_itemset *sets, const struct wc_wire_ranges *in,
                       struct wc_wire_range *w, uint8_t *room)
{
    struct yardstick y = {.sets = sets, .session = in->session};
    uint8_t own[WC_FINGERPRINT_BYTES];
    fingerprint_all(sets, in->session, own);
    if (memcmp(own, in->ranges[0].fingerprint, sizeof(own)) == 0)
        return false;
    *w = (struct wc_wire_range){.form = WC_FORM_BRANCHES, .count = WC_SETS_COUNT};
    for (y.set = 0; y.set < WC_SETS_COUNT; y.set++)
        branch_of(&y, everything, 0, room + (size_t)y.set * WC_BRANCH_BYTES);
    w->data = wc_slice(room, (size_t)WC_SETS_COUNT * WC_BRANCH_BYTES);
    return true;
}

int wc_reconcile_answer(const struct wc_itemset *sets, bool audit,
                        const struct wc_wire_ranges *in, struct wc_wire_ranges *out,
                        struct wc_reconcile_room *room, bool *differs)
{
    struct yardstick y;
    int rc = yardstick_init(&y, sets, audit ? in->key : NULL, in->session,
                            WC_AUDIT_ANSWER_MAX_COUNT);
    y.set = in->set;
    out->set = in->set;
    out->session = in->session;
    out->count = 0;
    *differs = false;
    for (uint32_t i = 0; rc == 0 && i < in->count; i++) {
        struct wc_wire_range *w = &out->ranges[out->count];
        bool said = in->set == WC_SET_ALL
                        ? (*differs = answer_all(sets, in, w, room->bytes[i]))
                        : answer_range(&y, &in->ranges[i], w, room->bytes[i], differs);
        out->count += said;
    }
    free(y.items);
    return rc;
}

uint64_t wc_reconcile_cost(const struct wc_itemset *sets,
                           const struct wc_wire_ranges *in)
{
    uint64_t cost = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        uint64_t count = wc_itemset_range_count(&sets[in->set], in->ranges[i].prefix,
                                                in->ranges[i].bits);
        cost += count > WC_AUDIT_ANSWER_MAX_COUNT ? 0 : count;
    }
    return cost;
}

static uint32_t resolve_range(const struct wc_itemset *set,
                              const struct wc_wire_range *w, uint32_t session,
                              uint8_t (*items)[WC_ITEM_BYTES], uint32_t max)
{
    uint8_t keys[WC_WANT_RANGE_MAX_COUNT][WC_ITEM_BYTES], id[WC_SHORT_ID_BYTES];
    uint32_t found = 0;
    if (wc_itemset_range_count(set, w->prefix, w->bits) > WC_WANT_RANGE_MAX_COUNT)
        return 0;
    size_t count =
        wc_itemset_keys(set, w->prefix, w->bits, keys[0], WC_WANT_RANGE_MAX_COUNT);
    for (size_t i = 0; i < count && found < max; i++) {
        wc_wire_short_id(id, keys[i], session);
        if (among(w->data.data, w->count, id))
            memcpy(items[found++], keys[i], WC_ITEM_BYTES);
    }
    return found;
}

uint32_t wc_reconcile_resolve(const struct wc_itemset *sets,
                              const struct wc_wire_ranges *want,
                              uint8_t items[WC_WANT_ITEMS_MAX_COUNT][WC_ITEM_BYTES])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < want->count; i++)
        count += resolve_range(&sets[want->set], &want->ranges[i], want->session,
                               items + count, WC_WANT_ITEMS_MAX_COUNT - count);
    return count;
}
