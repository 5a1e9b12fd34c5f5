/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broadcast costs and how fast it is, and how soon the overlay heals. All offices
 * join; some edits make the tree; then:
 *
 *   steady     40 edits, one each half second, by offices drawn at random
 *   killed     half of all offices die at once, and the others edit
 *   parted     the others are cut in halves for a minute, edit, and meet again
 *
 * Copies are records sent to be passed on (in RECORDS of a broadcast), for each office
 * that lacked them; control is what else was sent to pass them on (ids, grafts, prunes)
 * and to keep the overlay (neighbours, walks, shuffles), for each office and edit; idle
 * is everything that is sent while nobody edits.
 */
#include <assert.h>

#include "tests/sim/sim.h"

#define WARM_EDITS  20
#define EDITS       40
#define AFTER_EDITS 20
#define EVERY_MS    500
#define JOINED_MS   (150 * SIM_SECOND) /* some beats */
#define IDLE_MS     (30 * SIM_SECOND)
#define PARTED_MS   (60 * SIM_SECOND)
#define LOOK_MS     100
#define GIVE_UP_MS  (120 * SIM_SECOND)

enum phase { WARM, IDLE, STEADY, KILLED, PARTED, HEALED, PHASES };

struct broadcast {
    uint32_t home, blob; /* WC_MAP_NONE: not on the disk of its home yet */
    uint64_t began_ms, last_ms;
    uint32_t came, hops_max;
    uint64_t hops;
    uint8_t *hops_at; /* by office, plus one: 0 is "not there" */
};

struct measure {
    enum phase phase;
    struct broadcast *list;
    uint32_t count;
    uint32_t sender; /* whose frame is being handled, WC_MAP_NONE: nobody's */
    uint64_t copies[PHASES], control_bytes[PHASES], all_bytes[PHASES];
    uint64_t grafts[PHASES], prunes[PHASES];
    uint64_t killed_ms, whole_ms, healed_ms, met_ms, same_ms;
    uint32_t healed_pieces;
};

/* ---- what is sent ---- */

/* How many of the records of a frame are measured. */
static uint32_t records_in(const struct world *w, struct wc_slice frame)
{
    static struct wc_wire_records in;
    uint32_t count = 0;
    if (wc_wire_decode_records(frame, &in, NULL) != 0)
        abort();
    for (uint32_t i = 0; in.reason == WC_REASON_BROADCAST && i < in.count; i++) {
        uint8_t hash[WC_DIGEST_BYTES];
        wc_hash(hash, &in.records[i], 1);
        uint32_t blob = wc_map_find(&w->blobs_by_hash, hash);
        for (uint32_t k = w->measure->count; blob != WC_MAP_NONE && k-- > 0;) {
            if (w->measure->list[k].blob != blob)
                continue;
            count++;
            break;
        }
    }
    return count;
}

void measure_sent(struct world *w, const uint8_t *bytes, size_t len)
{
    struct measure *m = w->measure;
    struct wc_slice frame = wc_slice(bytes, len);
    m->all_bytes[m->phase] += len;
    switch ((enum wc_wire_type)wc_wire_type(frame)) {
    case WC_WIRE_RECORDS:
        m->copies[m->phase] += records_in(w, frame);
        break;
    case WC_WIRE_GRAFT:
        m->grafts[m->phase]++;
        m->control_bytes[m->phase] += len;
        break;
    case WC_WIRE_PRUNE:
        m->prunes[m->phase]++;
        m->control_bytes[m->phase] += len;
        break;
    case WC_WIRE_IHAVE:
    case WC_WIRE_NEIGHBOUR:
    case WC_WIRE_PART:
    case WC_WIRE_JOINED:
    case WC_WIRE_SHUFFLE:
    case WC_WIRE_SHUFFLED:
    case WC_WIRE_BEAT:
        m->control_bytes[m->phase] += len;
        break;
    case WC_WIRE_HELLO:
    case WC_WIRE_PING:
    case WC_WIRE_PONG:
    case WC_WIRE_SYNC:
    case WC_WIRE_AUDIT:
    case WC_WIRE_DIFF:
    case WC_WIRE_WANT:
    case WC_WIRE_ASK:
    case WC_WIRE_ANSWERS:
        break;
    }
}

void measure_sender(struct world *w, uint32_t office)
{
    w->measure->sender = office;
}

/* ---- what arrives ---- */

void measure_put(struct world *w, const struct office *o, uint32_t blob)
{
    struct measure *m = w->measure;
    for (uint32_t i = m->count; i-- > 0;) {
        struct broadcast *b = &m->list[i];
        if (b->blob != blob || b->hops_at[o->index] != 0)
            continue;
        uint32_t hops =
            m->sender == WC_MAP_NONE ? 1 : (uint32_t)b->hops_at[m->sender] + 1;
        b->hops_at[o->index] = (uint8_t)hops;
        b->came++;
        b->last_ms = w->now_ms;
        b->hops += hops - 1;
        b->hops_max = hops - 1 > b->hops_max ? hops - 1 : b->hops_max;
        return;
    }
}

/* The home has it on its disk: now it goes out. */
void measure_committed(struct world *w, const struct office *o, uint32_t blob)
{
    struct measure *m = w->measure;
    for (uint32_t i = m->count; i-- > 0;) {
        struct broadcast *b = &m->list[i];
        if (b->home != o->index || b->blob != WC_MAP_NONE)
            continue;
        b->blob = blob;
        b->began_ms = b->last_ms = w->now_ms;
        b->hops_at[o->index] = 1;
        b->came = 1;
        return;
    }
}

static void edit(struct world *w)
{
    struct measure *m = w->measure;
    struct office *o = scenario_draw_office(w);
    char login[16];
    m->list = realloc(m->list, (m->count + 1) * sizeof(*m->list));
    assert(m->list != NULL);
    m->list[m->count++] = (struct broadcast){
        .home = o->index, .blob = WC_MAP_NONE, .hops_at = calloc(w->office_count, 1)};
    assert(m->list[m->count - 1].hops_at != NULL);
    snprintf(login, sizeof(login), "m%u", m->count);
    scenario_put(w, o, WC_KIND_PROFILE, login);
}

/* ---- time ---- */

/* Let the world go on for a while. */
static void pass(struct world *w, uint64_t ms)
{
    world_run_until(w, w->now_ms + ms);
}

static uint32_t alive(const struct world *w)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->office_count; i++)
        count += w->offices[i].node != NULL;
    return count;
}

static void edits(struct world *w, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        edit(w);
        pass(w, EVERY_MS);
    }
    pass(w, 5 * SIM_SECOND);
}

/* Whether an office holds a broadcast that is there, or was there before it. */
static bool all_have(const struct world *w, const struct broadcast *b)
{
    for (uint32_t i = 0; i < w->office_count; i++) {
        if (w->offices[i].node != NULL && b->hops_at[i] == 0)
            return false;
    }
    return true;
}

/* ---- the overlay ---- */

static uint32_t root_of(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* In how many pieces the offices that live are, by links whose both ends are up. */
static uint32_t pieces(const struct world *w)
{
    uint32_t *parent = malloc(w->office_count * sizeof(*parent)), count = alive(w);
    assert(parent != NULL);
    for (uint32_t i = 0; i < w->office_count; i++)
        parent[i] = i;
    for (uint32_t i = 0; i < w->link_count; i++) {
        const struct link *l = &w->links[i];
        if (!l->open || !l->sides[0].up || !l->sides[1].up)
            continue;
        uint32_t a = root_of(parent, l->sides[0].office);
        uint32_t b = root_of(parent, l->sides[1].office);
        if (a == b)
            continue;
        parent[a] = b;
        count--;
    }
    free(parent);
    return count;
}

/* Whether all are one piece, and each has as many living links as it wants. */
static bool healed(const struct world *w)
{
    uint32_t *links = calloc(w->office_count, sizeof(*links));
    uint32_t want = alive(w) - 1 < WC_VIEW_FEW_COUNT ? alive(w) - 1 : WC_VIEW_FEW_COUNT;
    bool enough = true;
    assert(links != NULL);
    for (uint32_t i = 0; i < w->link_count; i++) {
        const struct link *l = &w->links[i];
        for (int side = 0; side < 2; side++)
            links[l->sides[side].office] += l->open && l->sides[0].up && l->sides[1].up;
    }
    for (uint32_t i = 0; i < w->office_count; i++)
        enough = enough && (w->offices[i].node == NULL || links[i] >= want);
    free(links);
    return enough && pieces(w) == 1;
}

/* ---- phases ---- */

static void begin(struct world *w, enum phase phase)
{
    w->measure->phase = phase;
}

static void kill_half(struct world *w)
{
    struct measure *m = w->measure;
    uint32_t half = w->office_count / 2;
    begin(w, KILLED);
    m->killed_ms = w->now_ms;
    while (half > 0) {
        uint32_t i = (uint32_t)wc_rng_below(&w->rng, w->office_count);
        if (w->offices[i].node == NULL)
            continue;
        world_kill(w, i);
        half--;
    }
    m->healed_pieces = pieces(w);
    bool whole = false, enough = false;
    while (!enough && w->now_ms - m->killed_ms < GIVE_UP_MS) {
        whole = whole || pieces(w) == 1;
        enough = healed(w);
        m->whole_ms += whole ? 0 : LOOK_MS;
        m->healed_ms += enough ? 0 : LOOK_MS;
        if (!enough)
            pass(w, LOOK_MS);
    }
    edits(w, AFTER_EDITS);
}

static void part_and_meet(struct world *w)
{
    struct measure *m = w->measure;
    begin(w, PARTED);
    w->partitioned = true;
    for (uint32_t i = 0; i < w->office_count; i++)
        w->offices[i].side = (unsigned)wc_rng_below(&w->rng, 2);
    pass(w, PARTED_MS / 2);
    uint32_t first = m->count;
    edits(w, AFTER_EDITS);
    pass(w, PARTED_MS / 2);
    begin(w, HEALED);
    w->partitioned = false;
    m->met_ms = w->now_ms;
    bool same = false;
    while (!same && w->now_ms - m->met_ms < GIVE_UP_MS) {
        pass(w, LOOK_MS);
        same = true;
        for (uint32_t i = first; i < m->count; i++)
            same = same && all_have(w, &m->list[i]);
    }
    m->same_ms = w->now_ms - m->met_ms;
}

/* ---- the table ---- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

struct row {
    uint64_t typical_ms, worst_ms;
    double hops, copies, control;
    uint32_t hops_max, missed;
};

static struct row row_of(const struct world *w, uint32_t from, uint32_t to,
                         enum phase phase)
{
    const struct measure *m = w->measure;
    struct row r = {0};
    uint64_t *last = malloc((to - from) * sizeof(*last));
    uint64_t came = 0, hops = 0;
    assert(last != NULL);
    for (uint32_t i = from; i < to; i++) {
        const struct broadcast *b = &m->list[i];
        last[i - from] = b->last_ms - b->began_ms;
        came += b->came - 1;
        hops += b->hops;
        r.hops_max = b->hops_max > r.hops_max ? b->hops_max : r.hops_max;
        r.missed += !all_have(w, b);
    }
    qsort(last, to - from, sizeof(*last), compare);
    r.typical_ms = last[(to - from) / 2];
    r.worst_ms = last[to - from - 1];
    r.hops = (double)hops / (double)came;
    r.copies = (double)m->copies[phase] / (double)came;
    r.control = (double)m->control_bytes[phase] / (double)came;
    free(last);
    return r;
}

static void say(const char *what, const struct row *r)
{
    printf("%-8s last delivery %llu ms (median), %llu ms (worst); copies %.3f; control "
           "%.0f bytes; hops %.1f (mean), %u (most); %u not everywhere\n",
           what, (unsigned long long)r->typical_ms, (unsigned long long)r->worst_ms,
           r->copies, r->control, r->hops, r->hops_max, r->missed);
    fflush(stdout);
}

bool measure_run(struct world *w)
{
    struct measure m = {.sender = WC_MAP_NONE};
    struct row steady, killed;
    w->measure = &m;
    pass(w, JOINED_MS);
    edits(w, WARM_EDITS);
    begin(w, IDLE);
    pass(w, IDLE_MS);
    begin(w, STEADY);
    uint32_t first = m.count;
    edits(w, EDITS);
    steady = row_of(w, first, m.count, STEADY);
    printf("measure  seed %llu: %u offices, idle %.1f bytes a second and office, %llu "
           "grafts, %llu prunes\n",
           (unsigned long long)w->seed, w->office_count,
           (double)m.all_bytes[IDLE] / (double)(IDLE_MS / SIM_SECOND) /
               (double)w->office_count,
           (unsigned long long)m.grafts[STEADY], (unsigned long long)m.prunes[STEADY]);
    say("steady", &steady);
    first = m.count;
    kill_half(w);
    killed = row_of(w, first, m.count, KILLED);
    printf("killed   in %u pieces at once, one piece after %llu ms, and all with three "
           "living links after %llu ms\n",
           m.healed_pieces, (unsigned long long)m.whole_ms,
           (unsigned long long)m.healed_ms);
    say("after", &killed);
    part_and_meet(w);
    printf("parted   everything everywhere %llu ms after the halves met\n",
           (unsigned long long)m.same_ms);
    for (uint32_t i = 0; i < m.count; i++)
        free(m.list[i].hops_at);
    free(m.list);
    w->measure = NULL;
    return steady.missed == 0 && killed.missed == 0;
}
