/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/engine.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/error.h>
#include <whocan/pack.h>

#include "daemon/leavers.h"
#include "daemon/log.h"
#include "daemon/office.h"
#include "daemon/random.h"

#define COMMIT_MAX_COUNT 4096 /* changes in one commit: some 10 ms of writing */
#define COMMIT_MAX_BYTES (16u << 20)
#define OWED_MAX_BYTES                                                                 \
    (32u << 20) /* records of others that wait for space; more come again by sync */
#define OWED_RETRY_MS  5000
#define ERASE_RETRY_MS 300000     /* after a failure: no space, mostly */
#define EVIDENCE_KEY   "evidence" /* in the records */
#define LEAVE_LOOK_MS  5
#define DIALLED_COUNT  16
#define LEAVE_QUEUE_BYTES                                                              \
    (1u << 20)               /* unread by a neighbour: then no more is retired */
#define MATCHES_MAX_COUNT 64 /* asks being matched at once; one more is not answered */

/* Changes in the order of their effects. */
struct batch {
    struct wc_change *list;
    size_t count, cap;
    size_t bytes;
};

/* A put whose outcome is not known yet. Its token is its index and a number that tells
 * it from earlier ones of that index; node tokens have the highest bit. */
struct pending {
    void (*done)(void *ctx, int rc);
    void *ctx;
    uint64_t token;
    struct wc_meta_edit *beside; /* until the change takes it; one allocation */
    size_t next_free;            /* index + 1; 0 ends the list */
};

struct asking {
    struct asking *next;
    uint8_t id[WC_ASK_ID_BYTES];
    wc_engine_answer_fn answered;
    void *ctx;
};

struct open_link {
    uint32_t link;
    uint8_t key[WC_KEY_BYTES];
    uint64_t sent_frames, received_frames, dropped_frames;
};

struct wc_engine {
    struct wc_engine_config config;
    struct wc_transport *transport;
    struct wc_node *node;
    struct wc_identity *identity;                 /* the caller's */
    struct wc_buf identity_due, identity_storing; /* to be written to disk; secret */
    int identity_rc;
    bool clock_off;
    uint64_t starts; /* how often it was started: a match of an earlier life is void */
    struct wc_effects effects;
    bool carrying_out; /* effects are being carried out further up the stack */
    struct wc_timer *deadline;
    uint64_t deadline_mono_ms;

    struct batch gathering, committing, owed;
    bool commit_runs;
    bool committing_owed;
    int commit_rc, index_rc;
    bool evidence_new;             /* of the node, and not on the disk yet */
    struct wc_buf evidence_packed; /* what the commit under way writes of it */
    uint64_t owed_retry_mono_ms;
    struct wc_timer *owed_timer;
    struct wc_engine_health health;

    uint64_t erase_mono_ms; /* not before then */
    struct wc_timer *erase_timer;
    int erase_rc;
    uint64_t erase_began_mono_ms;

    struct pending *pending;
    size_t pending_count;
    size_t pending_free; /* index + 1 of the first free one; 0: none */
    uint64_t puts;

    struct asking *asking;
    uint32_t matches_count;
    struct open_link *links;
    uint32_t links_count, links_cap;
    struct {
        uint32_t dial;
        char address[WC_ADDRESS_MAX_BYTES + 1];
    } dialled[DIALLED_COUNT]; /* by number, of the latest: for watchers */
    int down_rc; /* why the transport lost the link whose end is being told */

    void (*left)(void *ctx, uint32_t told, uint32_t links); /* NULL: not leaving */
    void *left_ctx;
    uint32_t leave_links_count;
    uint64_t leave_until_mono_ms;
    struct wc_timer *leave_timer;

    void (*settled)(void *ctx);
    void *settled_ctx;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    struct wc_twins *twins;
    struct wc_log_valve refused_valve, link_valve, match_valve, misbehaved_valve;
};

static void carry_out(struct wc_engine *e);

/* The process cannot go on: all that was acknowledged is on disk. */
static _Noreturn void die(const char *why)
{
    wc_log(WC_LOG_ERROR, "%s: stopping, so that a restart begins from what is on disk",
           why);
    exit(1);
}

/* What has ended is shown to nobody, unless it may be this clock that is wrong. */
static void judge_ended(struct wc_engine *e)
{
    bool off = wc_node_clock_off(e->node);
    if (off != e->clock_off)
        wc_records_hide_ended(e->config.records, off ? NULL : e->identity->signer.key,
                              wc_wall_ms);
    e->clock_off = off;
}

static void step(struct wc_engine *e, struct wc_event *event)
{
    event->now_ms = wc_wall_ms();
    event->mono_ms = wc_mono_ms();
    wc_node_step(e->node, event, &e->effects);
    if (e->effects.failed)
        die("out of memory");
    judge_ended(e);
    if (!e->carrying_out)
        carry_out(e);
}

static void secret_fini(struct wc_buf *b)
{
    if (b->data != NULL)
        wc_wipe(b->data, b->cap);
    wc_buf_fini(b);
}

/* ---------------------------------------------------------------- batches */

static void change_fini(struct wc_change *c)
{
    free(c->bytes);
    free((struct wc_meta_edit *)c->beside);
    c->bytes = NULL;
    c->beside = NULL;
}

static void batch_fini(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        change_fini(&b->list[i]);
    free(b->list);
    memset(b, 0, sizeof(*b));
}

/* Takes what the change owns. */
static void batch_add(struct batch *b, const struct wc_change *change)
{
    if (b->count == b->cap) {
        size_t cap = b->cap == 0 ? 64 : 2 * b->cap;
        struct wc_change *list = realloc(b->list, cap * sizeof(*list));
        if (list == NULL)
            die("out of memory");
        b->list = list;
        b->cap = cap;
    }
    b->list[b->count++] = *change;
    b->bytes += change->len;
}

/* Move the first changes of `from`, as many as one commit takes, to the empty `to`. */
static void batch_take(struct batch *to, struct batch *from)
{
    size_t count = 0, bytes = 0;
    while (count < from->count && count < COMMIT_MAX_COUNT && bytes < COMMIT_MAX_BYTES)
        bytes += from->list[count++].len;
    if (count == from->count) {
        *to = *from;
        memset(from, 0, sizeof(*from));
        return;
    }
    for (size_t i = 0; i < count; i++)
        batch_add(to, &from->list[i]);
    memmove(from->list, from->list + count,
            (from->count - count) * sizeof(*from->list));
    from->count -= count;
    from->bytes -= bytes;
}

/* Forget the changes of one slot: a later one takes their place. */
static void batch_forget(struct batch *b, const uint8_t slot[WC_DIGEST_BYTES])
{
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (memcmp(b->list[i].slot, slot, WC_DIGEST_BYTES) == 0) {
            b->bytes -= b->list[i].len;
            change_fini(&b->list[i]);
        } else {
            b->list[kept++] = b->list[i];
        }
    }
    b->count = kept;
}

static bool batch_has(const struct batch *b, const uint8_t slot[WC_DIGEST_BYTES])
{
    for (size_t i = 0; i < b->count; i++)
        if (memcmp(b->list[i].slot, slot, WC_DIGEST_BYTES) == 0)
            return true;
    return false;
}

static void gather(struct wc_engine *e, const struct wc_change *change)
{
    if (e->owed.count > 0)
        batch_forget(&e->owed, change->slot);
    batch_add(&e->gathering, change);
}

/* ---------------------------------------------------------------- commits */

static void commit_work(void *ctx)
{
    struct wc_engine *e = ctx;
    e->index_rc = e->commit_rc = e->identity_rc = 0;
    /* a crash before this is no loss: the grant is among the records */
    if (e->identity_storing.len > 0)
        e->identity_rc = wc_records_meta_put(e->config.records, WC_OFFICE_META_KEY,
                                             wc_buf_slice(&e->identity_storing));
    if (e->evidence_packed.len > 0)
        e->commit_rc = wc_records_meta_put(e->config.records, EVIDENCE_KEY,
                                           wc_buf_slice(&e->evidence_packed));
    if (e->commit_rc == 0)
        e->commit_rc = wc_records_commit(e->config.records, e->committing.list,
                                         e->committing.count);
    if (e->commit_rc == 0)
        e->index_rc =
            wc_index_apply(e->config.index, e->committing.list, e->committing.count);
}

/* What others wrote and found no space waits; what was put here was refused. */
static void keep_owed(struct wc_engine *e)
{
    uint64_t lost = 0;
    for (size_t i = 0; i < e->committing.count; i++) {
        struct wc_change *c = &e->committing.list[i];
        bool newer = batch_has(&e->gathering, c->slot);
        if (c->token != 0 || newer)
            continue;
        if (e->owed.bytes + c->len > OWED_MAX_BYTES) {
            lost++;
            continue;
        }
        if (!e->committing_owed)
            batch_forget(&e->owed, c->slot);
        batch_add(&e->owed, c);
        c->bytes = NULL;
    }
    if (lost > 0)
        wc_log(WC_LOG_WARNING,
               "%" PRIu64 " records of other offices found no space; they are fetched "
               "again after the next start",
               lost);
    e->owed_retry_mono_ms = wc_mono_ms() + OWED_RETRY_MS;
    wc_timer_set(e->owed_timer, OWED_RETRY_MS, 0);
}

/* The identity is on disk, or waits for space. */
static void judge_identity(struct wc_engine *e)
{
    if (e->identity_rc == -WC_EFULL && e->identity_due.len == 0) {
        e->identity_due = e->identity_storing;
        e->identity_storing = (struct wc_buf){0};
        e->owed_retry_mono_ms = wc_mono_ms() + OWED_RETRY_MS;
        wc_timer_set(e->owed_timer, OWED_RETRY_MS, 0);
    } else if (e->identity_rc != 0 && e->identity_rc != -WC_EFULL) {
        die("the identity could not be written");
    }
    secret_fini(&e->identity_storing);
}

/* Say a change of health once, not with each commit. */
static void judge_commit(struct wc_engine *e)
{
    if (e->commit_rc != 0 && e->commit_rc != -WC_EFULL) {
        char why[128];
        snprintf(why, sizeof(why), "the records %s", wc_strerror(e->commit_rc));
        die(why);
    }
    bool full = e->commit_rc == -WC_EFULL;
    if (full != e->health.disk_full)
        wc_watch_say(e->config.watch, full ? "disk_full" : "disk_has_space", NULL, 0);
    if (full && !e->health.disk_full)
        wc_log(WC_LOG_ERROR, "the disk of the state directory is full: nothing new is "
                             "stored until there is space");
    if (!full && e->health.disk_full)
        wc_log(WC_LOG_NOTICE, "there is space again: changes are stored");
    bool behind = !full && e->index_rc != 0;
    if (behind && !e->health.index_behind)
        wc_log(WC_LOG_WARNING,
               "the search index %s: it is behind the records until it "
               "can be written",
               wc_strerror(e->index_rc));
    e->health.disk_full = full;
    if (!full)
        e->health.index_behind = behind;
}

static void commit_done(void *ctx)
{
    struct wc_engine *e = ctx;
    judge_commit(e);
    judge_identity(e);
    if (e->commit_rc == -WC_EFULL)
        keep_owed(e);
    if (e->commit_rc != 0 && e->evidence_packed.len > 0)
        e->evidence_new = true; /* with the next one */
    wc_buf_reset(&e->evidence_packed);
    e->commit_runs = false;
    struct batch stored = e->committing;
    memset(&e->committing, 0, sizeof(e->committing));
    for (size_t i = 0; i < stored.count; i++) {
        struct wc_event event = {.type = WC_EVENT_STORED};
        event.u.stored.token = stored.list[i].token;
        event.u.stored.rc = e->commit_rc;
        if (stored.list[i].token != 0)
            step(e, &event);
    }
    batch_fini(&stored);
    e->health.owed_count = e->owed.count;
    e->health.erasures_waiting = wc_records_erasures_waiting(e->config.records);
}

/* All evidence there is, as one value: there is little of it, and it hardly ever grows. */
static void pack_evidence(struct wc_engine *e)
{
    struct wc_node_evidence one;
    struct wc_buf packed = {0};
    uint32_t count = 0;
    while (wc_node_evidence_at(e->node, count, &one))
        count++;
    wc_pack_array(&e->evidence_packed, count);
    for (uint32_t i = 0; i < count && wc_node_evidence_at(e->node, i, &one); i++) {
        wc_buf_reset(&packed);
        wc_evidence_encode(&packed, &one);
        wc_pack_bin(&e->evidence_packed, wc_buf_slice(&packed));
    }
    if (packed.failed || e->evidence_packed.failed)
        die("out of memory");
    wc_buf_fini(&packed);
}

static void start_commit(struct wc_engine *e)
{
    if (e->evidence_new) {
        e->evidence_new = false;
        pack_evidence(e);
    }
    e->committing_owed = e->gathering.count == 0;
    batch_take(&e->committing, e->committing_owed ? &e->owed : &e->gathering);
    e->identity_storing = e->identity_due;
    e->identity_due = (struct wc_buf){0};
    e->commit_runs = true;
    if (wc_loop_work(e->config.loop, commit_work, commit_done, e) != 0)
        die("out of memory");
}

/* ---------------------------------------------------------------- erasures */

/* In the place of a commit: what is on disk is all that there is. */
static void erase_work(void *ctx)
{
    struct wc_engine *e = ctx;
    e->erase_rc = wc_index_compact(e->config.index);
    if (e->erase_rc == 0)
        e->erase_rc = wc_records_compact(e->config.records);
    if (e->erase_rc == 0)
        e->erase_rc = wc_records_erased(e->config.records, wc_wall_ms());
}

/* Have the own card list what is completed. */
static void say_erased(struct wc_engine *e)
{
    uint8_t marks[WC_ERASED_MAX_COUNT][WC_ERASED_MARK_BYTES];
    int count = wc_records_erased_marks(e->config.records, marks);
    if (count < 0) {
        wc_log(WC_LOG_ERROR, "what was erased could not be read: it %s",
               wc_strerror(count));
        return;
    }
    if (wc_node_set_erased(e->node, (const uint8_t(*)[WC_ERASED_MARK_BYTES])marks,
                           (uint32_t)count) != 0)
        die("out of memory");
}

static void erase_failed(struct wc_engine *e)
{
    if (e->erase_rc == -WC_EIO)
        die("the stores could not be written anew");
    if (e->health.erasure_rc == 0)
        wc_log(WC_LOG_ERROR,
               "what is to be erased stays in free pages for now: a copy of the stores "
               "%s; the next attempt is in five minutes",
               wc_strerror(e->erase_rc));
}

static void erase_done(void *ctx)
{
    struct wc_engine *e = ctx;
    uint64_t now_ms = wc_mono_ms(), wait_ms = e->config.erase_interval_ms;
    uint64_t count = e->health.erasures_waiting;
    e->commit_runs = false;
    if (e->erase_rc == 0) {
        wc_log(WC_LOG_NOTICE,
               "%" PRIu64 " erasures are completed: the stores were written anew in "
               "%" PRIu64 " ms",
               count, now_ms - e->erase_began_mono_ms);
    } else {
        erase_failed(e);
        if (wait_ms > ERASE_RETRY_MS)
            wait_ms = ERASE_RETRY_MS;
    }
    e->health.erasure_rc = e->erase_rc;
    e->health.erasures_waiting = wc_records_erasures_waiting(e->config.records);
    e->erase_mono_ms = now_ms + wait_ms;
    wc_timer_set(e->erase_timer, wait_ms, 0);
    if (e->erase_rc == 0 && e->node != NULL) {
        struct wc_event event = {.type = WC_EVENT_TIMER};
        say_erased(e);
        step(e, &event);
    }
}

static bool erasure_is_due(const struct wc_engine *e)
{
    return e->stopped == NULL && e->node != NULL && e->health.erasures_waiting > 0 &&
           wc_mono_ms() >= e->erase_mono_ms;
}

static void start_erasure(struct wc_engine *e)
{
    e->erase_began_mono_ms = wc_mono_ms();
    e->commit_runs = true;
    if (wc_loop_work(e->config.loop, erase_work, erase_done, e) != 0)
        die("out of memory");
}

/* ---------------------------------------------------------------- between commits */

static void check_stopped(struct wc_engine *e)
{
    if (e->node == NULL)
        return;
    void (*stopped)(void *ctx) = e->stopped;
    e->stopped = NULL;
    if (e->owed.count > 0)
        wc_log(WC_LOG_WARNING, "%zu records of other offices found no space",
               e->owed.count);
    batch_fini(&e->owed);
    wc_timer_stop(e->deadline);
    wc_timer_stop(e->owed_timer);
    wc_timer_stop(e->erase_timer);
    wc_effects_reset(&e->effects);
    wc_node_free(e->node);
    e->node = NULL;
    stopped(e->stopped_ctx);
}

/* Nothing is to be written, and the engine has nothing to do at once. */
static void check_settled(struct wc_engine *e)
{
    if (e->settled == NULL || e->node == NULL ||
        wc_node_deadline(e->node) <= wc_mono_ms())
        return;
    void (*settled)(void *ctx) = e->settled;
    e->settled = NULL;
    settled(e->settled_ctx);
}

/* A turn of the loop is over: what it gathered becomes one commit. */
static void before_wait(void *ctx)
{
    struct wc_engine *e = ctx;
    if (e->commit_runs)
        return;
    bool waiting = e->owed.count > 0 || e->identity_due.len > 0;
    if (erasure_is_due(e))
        start_erasure(e);
    else if (e->gathering.count > 0 || e->evidence_new ||
             (waiting && e->stopped == NULL && wc_mono_ms() >= e->owed_retry_mono_ms))
        start_commit(e);
    else if (e->stopped != NULL)
        check_stopped(e);
    else
        check_settled(e);
}

/* These timers only wake the loop; before_wait() does the rest. */
static void on_wake_timer(void *ctx)
{
    (void)ctx;
}

/* ---------------------------------------------------------------- puts */

static struct pending *pending_new(struct wc_engine *e)
{
    if (e->pending_free == 0) {
        size_t count = e->pending_count == 0 ? 64 : 2 * e->pending_count;
        struct pending *list = realloc(e->pending, count * sizeof(*list));
        if (list == NULL)
            die("out of memory");
        for (size_t i = e->pending_count; i < count; i++)
            list[i] = (struct pending){.next_free = i + 2 > count ? 0 : i + 2};
        e->pending = list;
        e->pending_free = e->pending_count + 1;
        e->pending_count = count;
    }
    size_t index = e->pending_free - 1;
    struct pending *p = &e->pending[index];
    e->pending_free = p->next_free;
    e->puts = (e->puts + 1) & 0x7fffffff;
    p->token = e->puts << 32 | (index + 1);
    return p;
}

static void pending_end(struct wc_engine *e, uint64_t token, int rc)
{
    size_t index = (size_t)(token & UINT32_MAX);
    assert(index >= 1 && index <= e->pending_count);
    struct pending *p = &e->pending[index - 1];
    assert(p->token == token);
    void (*done)(void *ctx, int rc) = p->done;
    void *ctx = p->ctx;
    free(p->beside);
    *p = (struct pending){.next_free = e->pending_free};
    e->pending_free = index;
    done(ctx, rc);
}

/* In one allocation: the edit, its value, its key. */
static struct wc_meta_edit *copy_beside(const struct wc_meta_edit *from)
{
    size_t key_bytes = strlen(from->key) + 1;
    struct wc_meta_edit *copy = malloc(sizeof(*copy) + from->value.len + key_bytes);
    if (copy == NULL)
        die("out of memory");
    uint8_t *value = (uint8_t *)(copy + 1);
    char *key = (char *)value + from->value.len;
    if (from->value.len > 0)
        memcpy(value, from->value.data, from->value.len);
    memcpy(key, from->key, key_bytes);
    *copy = *from;
    copy->key = key;
    copy->value = wc_slice(value, from->value.len);
    return copy;
}

/* What is to be stored beside the record of a put, once. */
static struct wc_meta_edit *take_beside(struct wc_engine *e, uint64_t token)
{
    size_t index = (size_t)(token & UINT32_MAX);
    if (token == 0 || token >> 63 != 0 || index < 1 || index > e->pending_count ||
        e->pending[index - 1].token != token)
        return NULL;
    struct wc_meta_edit *beside = e->pending[index - 1].beside;
    e->pending[index - 1].beside = NULL;
    return beside;
}

void wc_engine_put(struct wc_engine *e, uint8_t kind, struct wc_slice body,
                   const uint8_t author_key[WC_KEY_BYTES],
                   const uint8_t author_sig[WC_SIG_BYTES],
                   void (*done)(void *ctx, int rc), void *ctx)
{
    wc_engine_put_with(e, kind, body, author_key, author_sig, NULL, done, ctx);
}

void wc_engine_put_with(struct wc_engine *e, uint8_t kind, struct wc_slice body,
                        const uint8_t author_key[WC_KEY_BYTES],
                        const uint8_t author_sig[WC_SIG_BYTES],
                        const struct wc_meta_edit *beside,
                        void (*done)(void *ctx, int rc), void *ctx)
{
    if (e->node == NULL || e->stopped != NULL) {
        done(ctx, -WC_EBUSY);
        return;
    }
    struct pending *p = pending_new(e);
    p->done = done;
    p->ctx = ctx;
    if (beside != NULL)
        p->beside = copy_beside(beside);
    struct wc_event event = {.type = WC_EVENT_LOCAL_PUT};
    event.u.local_put.token = p->token;
    event.u.local_put.kind = kind;
    event.u.local_put.body = body;
    event.u.local_put.author_key = author_key;
    event.u.local_put.author_sig = author_sig;
    step(e, &event);
}

void wc_engine_statement(struct wc_engine *e, struct wc_slice record,
                         void (*done)(void *ctx, int rc), void *ctx)
{
    if (e->node == NULL || e->stopped != NULL) {
        done(ctx, -WC_EBUSY);
        return;
    }
    struct pending *p = pending_new(e);
    p->done = done;
    p->ctx = ctx;
    struct wc_event event = {.type = WC_EVENT_STATEMENT};
    event.u.statement.token = p->token;
    event.u.statement.record = record;
    step(e, &event);
}

/* ---------------------------------------------------------------- asks */

static struct asking *find_asking(struct wc_engine *e,
                                  const uint8_t id[WC_ASK_ID_BYTES])
{
    struct asking *a = e->asking;
    while (a != NULL && memcmp(a->id, id, WC_ASK_ID_BYTES) != 0)
        a = a->next;
    return a;
}

int wc_engine_ask(struct wc_engine *e, const uint8_t id[WC_ASK_ID_BYTES],
                  struct wc_slice text, struct wc_slice by, uint64_t lease_ms,
                  wc_engine_answer_fn answered, void *ctx)
{
    if (e->node == NULL || e->stopped != NULL)
        return -WC_EBUSY;
    struct asking *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -WC_ENOMEM;
    memcpy(a->id, id, WC_ASK_ID_BYTES);
    a->answered = answered;
    a->ctx = ctx;
    a->next = e->asking;
    e->asking = a;
    struct wc_event event = {.type = WC_EVENT_LOCAL_ASK};
    event.u.local_ask.id = id;
    event.u.local_ask.text = text;
    event.u.local_ask.by = by;
    event.u.local_ask.lease_ms = lease_ms;
    e->health.asked_count++;
    wc_watch_say(e->config.watch, "ask_here", NULL, 0);
    step(e, &event);
    return 0;
}

void wc_engine_ask_end(struct wc_engine *e, const uint8_t id[WC_ASK_ID_BYTES])
{
    struct asking **at = &e->asking;
    while (*at != NULL && memcmp((*at)->id, id, WC_ASK_ID_BYTES) != 0)
        at = &(*at)->next;
    struct asking *a = *at;
    if (a == NULL)
        return;
    *at = a->next;
    if (e->node != NULL) {
        struct wc_event event = {.type = WC_EVENT_ASK_CANCEL};
        event.u.ask_cancel.id = a->id;
        step(e, &event);
    }
    free(a);
}

/* One ask being matched against the own staff. */
struct match {
    struct wc_engine *e;
    uint64_t start;
    uint8_t id[WC_ASK_ID_BYTES];
    uint8_t office_key[WC_KEY_BYTES];
    char text[WC_ASK_TEXT_MAX_BYTES + 1];
    struct wc_hit hits[WC_ANSWER_PEOPLE_MAX];
    int count;
    struct wc_found found;
};

static void match_work(void *ctx)
{
    struct match *m = ctx;
    struct wc_index_query query = {.text = wc_slice_text(m->text),
                                   .limit = WC_ANSWER_PEOPLE_MAX,
                                   .office_key = m->office_key,
                                   .without_why = true};
    m->count = wc_index_find(m->e->config.index, &query, m->hits, &m->found);
}

static uint32_t score_milli(double score)
{
    return score <= 0 ? 0 : score >= 1000 ? 1000000 : (uint32_t)(score * 1000 + 0.5);
}

static void match_done(void *ctx)
{
    struct match *m = ctx;
    struct wc_engine *e = m->e;
    struct wc_answer_person people[WC_ANSWER_PEOPLE_MAX];
    e->matches_count--;
    if (m->count < 0 && m->count != -WC_EINVALID)
        wc_log(WC_LOG_WARNING, "an ask could not be matched: the search index %s",
               wc_strerror(m->count));
    for (int i = 0; i < m->count; i++) {
        memcpy(people[i].subject, m->hits[i].who.subject, sizeof(people[i].subject));
        people[i].score_milli = score_milli(m->hits[i].score);
    }
    if (e->node != NULL && m->start == e->starts) {
        struct wc_event event = {.type = WC_EVENT_ASK_MATCHED};
        event.u.ask_matched.id = m->id;
        event.u.ask_matched.total =
            m->count < 0
                ? 0
                : (m->found.total > UINT32_MAX ? UINT32_MAX : (uint32_t)m->found.total);
        event.u.ask_matched.people_count = m->count < 0 ? 0 : (uint32_t)m->count;
        event.u.ask_matched.people = people;
        e->health.answered_count++;
        step(e, &event);
    }
    free(m);
}

static void match(struct wc_engine *e, const uint8_t id[WC_ASK_ID_BYTES],
                  const char *text)
{
    struct match *m = NULL;
    if (e->matches_count < MATCHES_MAX_COUNT)
        m = calloc(1, sizeof(*m));
    if (m == NULL) {
        if (wc_log_allow(&e->match_valve, wc_mono_ms()))
            wc_log(WC_LOG_WARNING, "too many asks at once: one was not answered");
        return;
    }
    m->e = e;
    m->start = e->starts;
    memcpy(m->id, id, WC_ASK_ID_BYTES);
    memcpy(m->office_key, e->identity->signer.key, WC_KEY_BYTES);
    snprintf(m->text, sizeof(m->text), "%s", text);
    if (wc_loop_work_in(e->config.loop, WC_LANE_SEARCH, WC_LANE_USER_OFFICES,
                        match_work, match_done, m) != 0)
        die("out of memory");
    e->matches_count++;
}

/* ---------------------------------------------------------------- notes */

#define FACT_TEXT(key, value)                                                          \
    (struct wc_watch_fact)                                                             \
    {                                                                                  \
        .name = (key), .text = (value)                                                 \
    }
#define FACT_NUMBER(key, value)                                                        \
    (struct wc_watch_fact)                                                             \
    {                                                                                  \
        .name = (key), .number = (value)                                               \
    }

static void say(struct wc_engine *e, const char *event, struct wc_watch_fact one)
{
    wc_watch_say(e->config.watch, event, &one, 1);
}

static void say_two(struct wc_engine *e, const char *event, struct wc_watch_fact one,
                    struct wc_watch_fact two)
{
    const struct wc_watch_fact facts[] = {one, two};
    wc_watch_say(e->config.watch, event, facts, 2);
}

/* In words, where those of an error would mislead. */
static const char *end_reason(int rc)
{
    return rc == 0              ? "not needed any more"
           : rc == -WC_ECLOSED  ? "the other end closed it"
           : rc == -WC_ETIMEOUT ? "the other end was silent"
           : rc == -WC_ELIMIT   ? "over a limit"
                                : wc_strerror(rc);
}

static const char *blame_name(uint64_t reason)
{
    static const char *const names[WC_BLAMES_COUNT] = {
        [WC_BLAME_FUTURE] = "future",   [WC_BLAME_LEASE] = "lease",
        [WC_BLAME_CONTENT] = "content", [WC_BLAME_QUOTA] = "quota",
        [WC_BLAME_CHANGES] = "changes", [WC_BLAME_TWO_CONTENTS] = "two_contents",
        [WC_BLAME_ASKS] = "asks",       [WC_BLAME_FRAME] = "frame",
        [WC_BLAME_FLOOD] = "flood",     [WC_BLAME_SYNC] = "sync",
    };
    return reason < WC_BLAMES_COUNT ? names[reason] : "";
}

/* The same for who watches. */
static void tell_watchers(struct wc_engine *e, const struct wc_effect *effect, int rc)
{
    struct wc_watch_fact office = FACT_TEXT("office", effect->u.note.office);
    uint64_t count = effect->u.note.count;
    switch (effect->u.note.what) {
    case WC_NOTE_OFFICE_NEW:
        say(e, "office_new", office);
        break;
    case WC_NOTE_OFFICE_REVOKED:
        say(e, "office_revoked", office);
        break;
    case WC_NOTE_SELF_REVOKED:
        wc_watch_say(e->config.watch, "self_revoked", NULL, 0);
        break;
    case WC_NOTE_LINK_UP:
        say(e, "link_up", office);
        break;
    case WC_NOTE_LINK_DOWN:
        say_two(e, "link_down", office, FACT_TEXT("reason", end_reason(rc)));
        break;
    case WC_NOTE_RECORD_REFUSED:
        say_two(e, "record_refused", office, FACT_TEXT("reason", wc_strerror(rc)));
        break;
    case WC_NOTE_FRAME_REFUSED:
        say_two(e, "frame_refused", office, FACT_TEXT("reason", wc_strerror(rc)));
        break;
    case WC_NOTE_SYNC_DONE:
        say_two(e, "reconciled", office, FACT_NUMBER("records", count));
        break;
    case WC_NOTE_SYNC_BROKEN:
        say_two(e, "reconciliation_broken_off", office, FACT_NUMBER("records", count));
        break;
    case WC_NOTE_CLOCK_OFF:
        say(e, "clock_off", FACT_NUMBER("offices", count));
        break;
    case WC_NOTE_TWO_CONTENTS:
        say(e, "two_contents", office);
        break;
    case WC_NOTE_RENEWED:
        say(e, "certificate_renewed", FACT_NUMBER("serial", count));
        break;
    case WC_NOTE_ROTATED:
        wc_watch_say(e->config.watch, "organisation_key_changed", NULL, 0);
        break;
    case WC_NOTE_FORMER_REFUSED:
        wc_watch_say(e->config.watch, "former_certificate_refused", NULL, 0);
        break;
    case WC_NOTE_ASK_PASSED:
        say_two(e, "ask_passed", office, FACT_NUMBER("hops", count));
        break;
    case WC_NOTE_BLAMED:
        say_two(e, "office_blamed", office, FACT_TEXT("reason", blame_name(count)));
        break;
    case WC_NOTE_EVIDENCE_ERASED:
        break; /* nothing that happened to an office */
    }
}

static void changed(struct wc_engine *e)
{
    if (e->config.changed != NULL)
        e->config.changed(e->config.ctx);
}

static void say_revoked(void)
{
    wc_log(WC_LOG_ERROR, "the organisation revoked this office: no other office links "
                         "to it or believes it any more, and its people are found "
                         "nowhere else");
}

static void note(struct wc_engine *e, const struct wc_effect *effect)
{
    const char *office = effect->u.note.office;
    const char *who = office[0] == '\0' ? "an unknown office" : office;
    int rc = effect->u.note.rc;
    uint64_t mono_ms = wc_mono_ms();
    if (effect->u.note.what == WC_NOTE_LINK_DOWN && rc == -WC_ECLOSED &&
        e->down_rc != 0)
        rc = e->down_rc; /* the transport knows better */
    if (effect->u.note.what == WC_NOTE_LINK_DOWN && rc <= 0 && -rc < WC_ERRORS_COUNT)
        e->health.ended[-rc]++;
    if (wc_watch_wanted(e->config.watch))
        tell_watchers(e, effect, rc);
    const char *why = wc_strerror(rc);
    switch (effect->u.note.what) {
    case WC_NOTE_OFFICE_NEW:
        wc_log(WC_LOG_INFO, "office %s is known now", who);
        changed(e);
        break;
    case WC_NOTE_OFFICE_REVOKED:
        wc_log(WC_LOG_NOTICE, "office %s was revoked by the organisation", who);
        changed(e);
        break;
    case WC_NOTE_SELF_REVOKED:
        say_revoked();
        changed(e);
        break;
    case WC_NOTE_LINK_UP:
        if (wc_log_allow(&e->link_valve, mono_ms))
            wc_log(WC_LOG_INFO, "link to %s is up", who);
        changed(e);
        break;
    case WC_NOTE_LINK_DOWN:
        if (wc_log_allow(&e->link_valve, mono_ms))
            wc_log(WC_LOG_INFO, "link to %s is down: %s", who, end_reason(rc));
        changed(e);
        break;
    case WC_NOTE_RECORD_REFUSED:
        if (wc_log_allow(&e->refused_valve, mono_ms))
            wc_log(WC_LOG_WARNING, "refused a record of %s: it %s", who, why);
        break;
    case WC_NOTE_FRAME_REFUSED:
        if (wc_log_allow(&e->refused_valve, mono_ms))
            wc_log(WC_LOG_WARNING, "refused a frame of %s and closed the link: it %s",
                   who, why);
        break;
    case WC_NOTE_SYNC_DONE:
        wc_log(WC_LOG_DEBUG, "reconciled with %s: %" PRIu64 " records came", who,
               effect->u.note.count);
        break;
    case WC_NOTE_CLOCK_OFF:
        wc_log(WC_LOG_ERROR,
               "this machine's clock is more than 10 minutes from most other offices: "
               "nothing is signed until it is set right");
        break;
    case WC_NOTE_RENEWED:
        wc_log(WC_LOG_NOTICE, "this office has a new certificate, number %" PRIu64,
               effect->u.note.count);
        break;
    case WC_NOTE_ROTATED:
        wc_log(WC_LOG_NOTICE, "the organisation has a new key; what the former one "
                              "signed is not believed any more");
        changed(e);
        break;
    case WC_NOTE_FORMER_REFUSED:
        if (wc_log_allow(&e->refused_valve, mono_ms))
            wc_log(WC_LOG_WARNING,
                   "turned away an office with a certificate by a former key of the "
                   "organisation: no grant names it");
        break;
    case WC_NOTE_EVIDENCE_ERASED:
        e->evidence_new = true;
        break;
    case WC_NOTE_SYNC_BROKEN:
        wc_log(WC_LOG_DEBUG, "a reconciliation with %s was broken off", who);
        break;
    case WC_NOTE_ASK_PASSED: /* too many for a log */
    case WC_NOTE_BLAMED:     /* what it did is said above, or in the status */
        break;
    case WC_NOTE_TWO_CONTENTS:
        if (effect->u.note.count > 0)
            e->evidence_new = true;
        if (wc_log_allow(&e->refused_valve, mono_ms))
            wc_log(
                WC_LOG_WARNING,
                "%s signed two contents with one number (a restored backup does that); "
                "the newer edit will win",
                who);
        break;
    }
}

/* ---------------------------------------------------------------- effects */

static void put(struct wc_engine *e, struct wc_effect *effect)
{
    struct wc_change change = {
        .kind = effect->u.put.kind == WC_KIND_RETIRE ? effect->u.put.ends_kind
                                                     : effect->u.put.kind,
        .bytes = effect->u.put.bytes,
        .len = effect->u.put.len,
        .token = effect->u.put.token,
        .beside = take_beside(e, effect->u.put.token),
    };
    memcpy(change.slot, effect->u.put.slot, sizeof(change.slot));
    memcpy(change.office_key, effect->u.put.office_key, sizeof(change.office_key));
    memcpy(change.subject, effect->u.put.subject, sizeof(change.subject));
    gather(e, &change);
}

static void drop(struct wc_engine *e, const struct wc_effect *effect)
{
    struct wc_change change = {.drop = true, .kind = effect->u.drop.kind};
    memcpy(change.slot, effect->u.drop.slot, sizeof(change.slot));
    memcpy(change.office_key, effect->u.drop.office_key, sizeof(change.office_key));
    memcpy(change.subject, effect->u.drop.subject, sizeof(change.subject));
    gather(e, &change);
}

static void answer(struct wc_engine *e, const struct wc_effect *effect)
{
    struct asking *a = find_asking(e, effect->u.ask_answer.answer.ask_id);
    e->health.answers_count++;
    if (a != NULL)
        a->answered(a->ctx, &effect->u.ask_answer.answer,
                    effect->u.ask_answer.heard_count);
}

/* The node learned of its own certificate, or of another organisation key: new
 * handshakes use it at once. */
static void learn_identity(struct wc_engine *e, bool lasting)
{
    *e->identity = *wc_node_identity(e->node);
    if (lasting) {
        secret_fini(&e->identity_due);
        wc_buf_reserve(&e->identity_due, (size_t)2 * WC_CERT_MAX_BYTES);
        if (wc_identity_encode(e->identity, &e->identity_due) != 0)
            die("out of memory");
    }
    changed(e);
}

static struct open_link *find_link(const struct wc_engine *e, uint32_t link)
{
    for (uint32_t i = 0; i < e->links_count; i++) {
        if (e->links[i].link == link)
            return &e->links[i];
    }
    return NULL;
}

/* Whether the other end reads fast enough for something of that kind. */
static bool has_room(const struct wc_engine *e, uint32_t link, enum wc_urgency urgency)
{
    struct wc_transport_link l;
    if (urgency == WC_URGENT || !wc_transport_link(e->transport, link, &l))
        return true;
    return l.queued_bytes < (urgency == WC_URGENT_ANSWERS ? WC_LINK_ANSWERS_MAX_BYTES
                                                          : WC_LINK_NEWS_MAX_BYTES);
}

static void send_frame(struct wc_engine *e, struct wc_effect *effect)
{
    enum wc_urgency urgency = effect->u.send.urgency;
    struct open_link *l = find_link(e, effect->u.send.link);
    if (has_room(e, effect->u.send.link, urgency)) {
        wc_transport_send(e->transport, effect->u.send.link,
                          wc_slice(effect->u.send.bytes, effect->u.send.len));
        e->health.sent_frames++;
        e->health.sent_bytes += effect->u.send.len;
        if (l != NULL)
            l->sent_frames++;
    } else {
        e->health.left_out_frames[urgency]++;
        e->health.left_out_bytes[urgency] += effect->u.send.len;
        if (l != NULL)
            l->dropped_frames++;
    }
    free(effect->u.send.bytes);
}

static void carry_out_one(struct wc_engine *e, struct wc_effect *effect)
{
    switch (effect->type) {
    case WC_EFFECT_SEND:
        send_frame(e, effect);
        break;
    case WC_EFFECT_DIAL:
        e->dialled[effect->u.dial.dial % DIALLED_COUNT].dial = effect->u.dial.dial;
        memcpy(e->dialled[effect->u.dial.dial % DIALLED_COUNT].address,
               effect->u.dial.address, sizeof(effect->u.dial.address));
        wc_transport_dial(e->transport, effect->u.dial.dial, effect->u.dial.address);
        break;
    case WC_EFFECT_CLOSE:
        if (effect->u.close.rc != 0)
            wc_log(WC_LOG_DEBUG, "a link is closed: %s",
                   wc_strerror(effect->u.close.rc));
        wc_transport_close_link(e->transport, effect->u.close.link);
        break;
    case WC_EFFECT_PUT:
        put(e, effect);
        break;
    case WC_EFFECT_DROP:
        drop(e, effect);
        break;
    case WC_EFFECT_ACK:
        pending_end(e, effect->u.ack.token, effect->u.ack.rc);
        break;
    case WC_EFFECT_ASK_MATCH:
        match(e, effect->u.ask_match.id, effect->u.ask_match.text);
        break;
    case WC_EFFECT_ASK_ANSWER:
        answer(e, effect);
        break;
    case WC_EFFECT_NOTE:
        note(e, effect);
        break;
    case WC_EFFECT_IDENTITY:
        learn_identity(e, effect->u.identity.lasting);
        break;
    }
}

static void set_deadline(struct wc_engine *e)
{
    uint64_t deadline = wc_node_deadline(e->node);
    if (deadline == e->deadline_mono_ms)
        return;
    e->deadline_mono_ms = deadline;
    if (deadline == UINT64_MAX) {
        wc_timer_stop(e->deadline);
        return;
    }
    uint64_t now = wc_mono_ms();
    wc_timer_set(e->deadline, deadline > now ? deadline - now : 0, 0);
}

/* In order, and with those that carrying out adds: a step further down the stack only
 * appends to the list. */
static void carry_out(struct wc_engine *e)
{
    e->carrying_out = true;
    for (size_t i = 0; i < e->effects.count; i++) {
        struct wc_effect effect = e->effects.list[i]; /* the list may move */
        if (effect.type == WC_EFFECT_SEND)
            e->effects.list[i].u.send.bytes = NULL;
        if (effect.type == WC_EFFECT_PUT)
            e->effects.list[i].u.put.bytes = NULL;
        carry_out_one(e, &effect);
    }
    wc_effects_reset(&e->effects);
    e->carrying_out = false;
    if (e->node != NULL)
        set_deadline(e);
}

static void on_deadline(void *ctx)
{
    struct wc_engine *e = ctx;
    e->deadline_mono_ms = UINT64_MAX;
    struct wc_event event = {.type = WC_EVENT_TIMER};
    if (e->node != NULL)
        step(e, &event);
}

/* ---------------------------------------------------------------- links */

/* Where another open link with that office goes to; false when there is none. */
static bool other_link(const struct wc_engine *e, const uint8_t key[WC_KEY_BYTES],
                       struct wc_transport_link *out)
{
    for (uint32_t i = 0; i < e->links_count; i++) {
        if (memcmp(e->links[i].key, key, WC_KEY_BYTES) == 0 &&
            wc_transport_link(e->transport, e->links[i].link, out))
            return true;
    }
    return false;
}

static void look_for_twin(struct wc_engine *e, const struct wc_cert *peer,
                          const char *remote_address)
{
    struct wc_transport_link other;
    const char *at =
        other_link(e, peer->sign_key, &other) ? other.remote_address : NULL;
    if (wc_twins_link(e->twins, peer, remote_address, at, wc_mono_ms()))
        wc_log(WC_LOG_WARNING,
               "office %s seems to run on two machines: its links come from different "
               "addresses by turns, the last one from %s",
               peer->name, remote_address);
}

static void on_twin(void *ctx, const char *remote_address)
{
    struct wc_engine *e = ctx;
    if (e->node != NULL &&
        wc_twins_own(e->twins, &e->identity->cert, remote_address, wc_mono_ms()))
        wc_log(
            WC_LOG_ERROR,
            "another machine runs as this office, with its keys: the one at %s. Stop "
            "one of them; it can have an invitation of its own",
            remote_address);
}

bool wc_engine_twin_at(const struct wc_engine *e, uint32_t i, struct wc_twin *out)
{
    return wc_twins_at(e->twins, i, wc_mono_ms(), out);
}

static void on_up(void *ctx, uint32_t link, const struct wc_cert *peer,
                  struct wc_slice peer_cert, struct wc_slice peer_rotation,
                  bool initiator, uint32_t dial, const char *remote_address)
{
    struct wc_engine *e = ctx;
    if (e->node == NULL || e->stopped != NULL) {
        wc_transport_close_link(e->transport, link);
        return;
    }
    if (e->links_count == e->links_cap) {
        uint32_t cap = e->links_cap == 0 ? 16 : 2 * e->links_cap;
        struct open_link *links = realloc(e->links, cap * sizeof(*links));
        if (links == NULL)
            die("out of memory");
        e->links = links;
        e->links_cap = cap;
    }
    e->health.handshakes_count++;
    look_for_twin(e, peer, remote_address);
    if (initiator && e->config.reached != NULL)
        e->config.reached(e->config.ctx, peer->sign_key, remote_address);
    struct open_link *l = &e->links[e->links_count++];
    *l = (struct open_link){.link = link};
    memcpy(l->key, peer->sign_key, sizeof(l->key));
    wc_log(WC_LOG_DEBUG, "handshake with %s at %s is done", peer->name, remote_address);
    struct wc_event event = {.type = WC_EVENT_LINK_UP};
    event.u.link_up.link = link;
    event.u.link_up.peer = peer;
    event.u.link_up.peer_cert = peer_cert;
    event.u.link_up.peer_rotation = peer_rotation;
    event.u.link_up.initiator = initiator;
    event.u.link_up.dial = dial;
    step(e, &event);
}

/* Whether the engine was told that the link is up. */
static bool forget_link(struct wc_engine *e, uint32_t link)
{
    for (uint32_t i = 0; i < e->links_count; i++) {
        if (e->links[i].link == link) {
            e->links[i] = e->links[--e->links_count];
            e->health.dropped_count++;
            return true;
        }
    }
    return false;
}

static void on_frame(void *ctx, uint32_t link, struct wc_slice frame)
{
    struct wc_engine *e = ctx;
    struct wc_event event = {.type = WC_EVENT_FRAME};
    event.u.frame.link = link;
    event.u.frame.bytes = frame;
    struct open_link *l = find_link(e, link);
    if (l != NULL)
        l->received_frames++;
    e->health.received_frames++;
    e->health.received_bytes += frame.len;
    if (e->node != NULL && e->stopped == NULL)
        step(e, &event);
}

static void on_down(void *ctx, uint32_t link, int rc)
{
    struct wc_engine *e = ctx;
    struct wc_event event = {.type = WC_EVENT_LINK_DOWN};
    event.u.link_down.link = link;
    if (rc != 0)
        wc_log(WC_LOG_DEBUG, "a link ended: %s", wc_strerror(rc));
    if (!forget_link(e, link) || e->node == NULL)
        return;
    e->down_rc = rc;
    step(e, &event);
    e->down_rc = 0;
}

static void on_dial_failed(void *ctx, uint32_t dial, int rc)
{
    struct wc_engine *e = ctx;
    struct wc_event event = {.type = WC_EVENT_DIAL_FAILED};
    event.u.dial_failed.dial = dial;
    wc_log(WC_LOG_DEBUG, "an address did not answer as an office: %s", wc_strerror(rc));
    const char *address = e->dialled[dial % DIALLED_COUNT].address;
    bool named = e->dialled[dial % DIALLED_COUNT].dial == dial;
    say_two(e, "dial_failed", FACT_TEXT("address", named ? address : ""),
            FACT_TEXT("reason", rc == -WC_EIO ? "not reachable" : wc_strerror(rc)));
    if (e->node != NULL && e->stopped == NULL)
        step(e, &event);
}

/* A member of the organisation that may not link: an expired certificate, say. */
static void on_refused(void *ctx, const char *remote_address, int rc)
{
    struct wc_engine *e = ctx;
    say_two(e, "turned_away", FACT_TEXT("address", remote_address),
            FACT_TEXT("reason", wc_strerror(rc)));
    if (wc_log_allow(&e->refused_valve, wc_mono_ms()))
        wc_log(WC_LOG_WARNING, "turned away an office at %s: what it showed %s",
               remote_address, wc_strerror(rc));
}

static void on_misbehaved(void *ctx, const char *source)
{
    struct wc_engine *e = ctx;
    say(e, "address_misbehaves", FACT_TEXT("address", source));
    if (wc_log_allow(&e->misbehaved_valve, wc_mono_ms()))
        wc_log(WC_LOG_WARNING,
               "%s connects again and again and is no office that may link: see the "
               "warnings of whocan status",
               source);
}

bool wc_engine_link_at(const struct wc_engine *e, uint32_t i,
                       struct wc_engine_link *out)
{
    if (i >= e->links_count)
        return false;
    struct wc_node_office office;
    memset(out, 0, sizeof(*out));
    /* as the node knows it: what the other end showed may be a former certificate */
    if (e->node != NULL && wc_node_office_by_key(e->node, e->links[i].key, &office))
        memcpy(out->office, office.cert.name, sizeof(out->office));
    wc_transport_link(e->transport, e->links[i].link, &out->traffic);
    for (uint32_t k = 0;
         !out->known && e->node != NULL && wc_node_link_at(e->node, k, &out->node); k++)
        out->known = out->node.link == e->links[i].link;
    out->sent_frames = e->links[i].sent_frames;
    out->received_frames = e->links[i].received_frames;
    out->dropped_frames = e->links[i].dropped_frames;
    return true;
}

/* ---------------------------------------------------------------- life */

static int read_record(void *ctx, const uint8_t slot[WC_DIGEST_BYTES],
                       struct wc_buf *out)
{
    struct wc_engine *e = ctx;
    return wc_records_get(e->config.records, slot, out);
}

/* Whoever may have left: leavers.h. */
static bool may_restamp(void *ctx, uint8_t kind, const char *subject)
{
    const struct wc_engine *e = ctx;
    struct wc_leaver leaver;
    if (!e->config.accounts || kind != WC_KIND_PROFILE)
        return true;
    wc_leavers_get(e->config.records, subject, &leaver);
    return wc_leaver_may_stamp(&leaver);
}

/* What was found out before this start. Some of it may be of an organisation that this
 * office has left: it proves what it proves. */
static int load_evidence(struct wc_engine *e)
{
    static const struct wc_scan_limits limits = {
        .bytes_max = (size_t)WC_EVIDENCE_MAX_COUNT * 1024,
        .depth_max = 2,
        .nodes_max = WC_EVIDENCE_MAX_COUNT + 1};
    struct wc_buf packed = {0};
    struct wc_doc *doc = NULL;
    struct wc_slice one;
    int rc = wc_records_meta_get(e->config.records, EVIDENCE_KEY, &packed);
    if (rc == 0)
        rc = wc_doc_new(wc_buf_slice(&packed), &limits, &doc);
    uint32_t refused_count = rc != 0 && rc != -WC_ENOTFOUND;
    for (uint32_t i = 0; doc != NULL && i < wc_obj_count(wc_doc_root(doc)); i++) {
        if (wc_obj_bin(wc_obj_at(wc_doc_root(doc), i), &one) != 0 ||
            (rc = wc_node_load_evidence(e->node, one)) != 0)
            refused_count++;
    }
    if (refused_count > 0 && rc != -WC_ENOMEM)
        wc_log(WC_LOG_WARNING, "evidence of contradictions in the store was left out");
    wc_doc_free(doc);
    wc_buf_fini(&packed);
    return rc == -WC_ENOMEM ? rc : 0;
}

struct loading {
    struct wc_engine *e;
    uint64_t now_ms;
    uint64_t refused_count;
};

static int load_one(void *ctx, struct wc_slice bytes)
{
    struct loading *l = ctx;
    int rc = wc_node_load(l->e->node, bytes, l->now_ms);
    if (rc == -WC_ENOMEM)
        return rc;
    l->refused_count += rc != 0;
    return 0;
}

static int load(struct wc_engine *e, struct loading *l, char problem[WC_PROBLEM_BYTES])
{
    uint64_t damaged = 0;
    int rc = wc_records_each(e->config.records, load_one, l, &damaged);
    if (rc != 0) {
        snprintf(problem, WC_PROBLEM_BYTES, "the records %s", wc_strerror(rc));
        return rc;
    }
    if (damaged > 0)
        wc_log(WC_LOG_ERROR,
               "%" PRIu64
               " damaged records were left out; other offices' come again by "
               "themselves, this office's own are in your backup",
               damaged);
    if (l->refused_count > 0)
        wc_log(WC_LOG_WARNING, "%" PRIu64 " records in the store were left out",
               l->refused_count);
    return 0;
}

static int set_peers(struct wc_engine *e, const struct wc_strings *join)
{
    const char *const *items = (const char *const *)join->items;
    wc_transport_set_exempt(e->transport, items, join->count);
    return wc_node_set_join(e->node, items, join->count);
}

int wc_engine_start(struct wc_engine *e, const struct wc_engine_office *office,
                    char problem[WC_PROBLEM_BYTES])
{
    assert(e->node == NULL);
    e->identity = office->identity;
    secret_fini(&e->identity_due); /* of a former office: it must not come back */
    e->settled = office->settled;
    e->settled_ctx = office->ctx;
    e->starts++;
    struct loading l = {.e = e, .now_ms = wc_wall_ms()};
    struct wc_node_config config = {
        .identity = office->identity,
        .store = {.ctx = e, .read = read_record},
        .replicate = e->config.replicate,
        .may_restamp = may_restamp,
        .may_restamp_ctx = e,
        .alone = e->config.alone,
    };
    snprintf(config.version, sizeof(config.version), "%s", WHOCAN_VERSION);
    wc_random_bytes(&config.seed, sizeof(config.seed));
    int rc = wc_node_new(&e->node, &config); /* records raise its last_seq */
    if (rc != 0) {
        snprintf(problem, WC_PROBLEM_BYTES, "the engine could not start: it %s",
                 wc_strerror(rc));
        return rc;
    }
    rc = load(e, &l, problem);
    if (rc == 0)
        rc = load_evidence(e);
    if (rc == 0)
        rc = set_peers(e, office->join);
    if (rc == 0)
        rc = wc_node_set_listen(e->node, (const char *const *)office->addresses->items,
                                office->addresses->count);
    if (rc != 0) {
        wc_node_free(e->node);
        e->node = NULL;
        return rc;
    }
    struct wc_node_stats stats;
    wc_node_stats(e->node, &stats);
    if (stats.revoked)
        say_revoked();
    wc_transport_set_identity(e->transport, office->identity);
    e->clock_off = false;
    wc_records_hide_ended(e->config.records, office->identity->signer.key, wc_wall_ms);
    e->health.erasures_waiting = wc_records_erasures_waiting(e->config.records);
    say_erased(e);
    struct wc_event event = {.type = WC_EVENT_START};
    step(e, &event);
    if (e->config.began != NULL)
        e->config.began(e->config.ctx, office->identity);
    return 0;
}

void wc_engine_set_join(struct wc_engine *e, const struct wc_strings *join)
{
    if (e->node != NULL && set_peers(e, join) != 0)
        die("out of memory");
}

void wc_engine_set_hints(struct wc_engine *e, enum wc_hint how,
                         const char *const *addresses, uint32_t count)
{
    struct wc_event event = {.type = WC_EVENT_TIMER};
    if (e->node == NULL || e->stopped != NULL)
        return;
    if (wc_node_set_hints(e->node, how, addresses, count) == -WC_ENOMEM)
        die("out of memory");
    step(e, &event);
}

void wc_engine_heard(struct wc_engine *e, const char *address,
                     const uint8_t office_key[WC_KEY_BYTES])
{
    struct wc_event event = {.type = WC_EVENT_HEARD};
    event.u.heard.address = address;
    event.u.heard.office_key = office_key;
    if (e->node != NULL && e->stopped == NULL)
        step(e, &event);
}

void wc_engine_stop(struct wc_engine *e, void (*stopped)(void *ctx), void *ctx)
{
    assert(e->stopped == NULL && e->left == NULL && e->node != NULL);
    e->settled = NULL;
    e->stopped = stopped;
    e->stopped_ctx = ctx;
    if (e->config.ended != NULL)
        e->config.ended(e->config.ctx);
    wc_transport_set_identity(e->transport, NULL);
}

/* Whether every neighbour takes what it is sent. */
static bool links_have_room(const struct wc_engine *e)
{
    struct wc_transport_link link;
    for (uint32_t i = 0; i < e->links_count; i++) {
        if (wc_transport_link(e->transport, e->links[i].link, &link) &&
            link.queued_bytes > LEAVE_QUEUE_BYTES)
            return false;
    }
    return true;
}

static void on_leave_timer(void *ctx)
{
    struct wc_engine *e = ctx;
    struct wc_event event = {.type = WC_EVENT_LEAVE};
    struct wc_node_leaving leaving;
    uint64_t now_ms = wc_mono_ms();
    bool room = links_have_room(e);
    if (room)
        step(e, &event);
    wc_node_leaving(e->node, &leaving);
    if (leaving.waiting_count > 0 && now_ms < e->leave_until_mono_ms) {
        wc_timer_set(e->leave_timer, room && leaving.more ? 0 : LEAVE_LOOK_MS, 0);
        return;
    }
    void (*left)(void *ctx, uint32_t told, uint32_t links) = e->left;
    e->left = NULL;
    left(e->left_ctx, leaving.told_count, e->leave_links_count);
}

void wc_engine_leave(struct wc_engine *e, uint64_t wait_ms,
                     void (*done)(void *ctx, uint32_t told, uint32_t links), void *ctx)
{
    struct wc_node_stats stats;
    assert(e->left == NULL && e->stopped == NULL && e->node != NULL);
    wc_node_stats(e->node, &stats);
    e->left = done;
    e->left_ctx = ctx;
    e->leave_links_count = stats.links_count;
    e->leave_until_mono_ms = wc_mono_ms() + wait_ms;
    wc_timer_set(e->leave_timer, 0, 0);
}

void wc_engine_close(struct wc_engine *e, void (*closed)(void *ctx), void *ctx)
{
    assert(e->node == NULL);
    wc_timer_free(e->deadline);
    wc_timer_free(e->owed_timer);
    wc_timer_free(e->erase_timer);
    wc_timer_free(e->leave_timer);
    wc_transport_close(e->transport, closed, ctx);
}

int wc_engine_new(struct wc_engine **out, const struct wc_engine_config *config)
{
    struct wc_engine *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return -WC_ENOMEM;
    e->config = *config;
    e->deadline_mono_ms = UINT64_MAX;
    e->refused_valve = (struct wc_log_valve){.burst = 10, .window_ms = 60000};
    e->link_valve = (struct wc_log_valve){.burst = 100, .window_ms = 60000};
    e->match_valve = (struct wc_log_valve){.burst = 1, .window_ms = 60000};
    e->misbehaved_valve = (struct wc_log_valve){.burst = 1, .window_ms = 60000};
    e->deadline = wc_timer_new(config->loop, on_deadline, e);
    e->owed_timer = wc_timer_new(config->loop, on_wake_timer, e);
    e->erase_timer = wc_timer_new(config->loop, on_wake_timer, e);
    e->leave_timer = wc_timer_new(config->loop, on_leave_timer, e);
    struct wc_transport_events events = {.ctx = e,
                                         .up = on_up,
                                         .frame = on_frame,
                                         .down = on_down,
                                         .dial_failed = on_dial_failed,
                                         .refused = on_refused,
                                         .misbehaved = on_misbehaved,
                                         .twin = on_twin};
    int rc = wc_twins_new(&e->twins);
    if (rc == 0 && (e->deadline == NULL || e->owed_timer == NULL ||
                    e->erase_timer == NULL || e->leave_timer == NULL))
        rc = -WC_ENOMEM;
    if (rc == 0)
        rc = wc_transport_new(&e->transport, wc_loop_uv(config->loop), &events);
    if (rc == 0)
        rc = wc_loop_before_wait(config->loop, before_wait, e);
    if (rc == 0) {
        *out = e;
        return 0;
    }
    wc_timer_free(e->deadline);
    wc_timer_free(e->owed_timer);
    wc_timer_free(e->erase_timer);
    wc_timer_free(e->leave_timer);
    wc_engine_free(e);
    return rc;
}

void wc_engine_free(struct wc_engine *e)
{
    if (e == NULL)
        return;
    assert(e->node == NULL && !e->commit_runs);
    wc_effects_fini(&e->effects);
    batch_fini(&e->gathering);
    wc_buf_fini(&e->evidence_packed);
    secret_fini(&e->identity_due);
    free(e->pending);
    free(e->links);
    wc_twins_free(e->twins);
    free(e);
}

struct wc_transport *wc_engine_transport(struct wc_engine *e)
{
    return e->transport;
}

const struct wc_node *wc_engine_node(const struct wc_engine *e)
{
    return e->node;
}

void wc_engine_health(const struct wc_engine *e, struct wc_engine_health *out)
{
    *out = e->health;
    out->gathering_count = e->gathering.count;
    out->gathering_bytes = e->gathering.bytes;
    out->committing_count = e->committing.count;
    out->owed_bytes = e->owed.bytes;
}
