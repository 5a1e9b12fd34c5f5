/* SPDX-License-Identifier: Apache-2.0 */
/* ask.create, ask.cancel */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"
#include "daemon/random.h"

/* How long the record of an ask lives. Answers come within a minute or not at all, but
 * clocks may differ by ten: an ask that lived shorter would be over before it arrives. */
#define ASK_LEASE_MS (3600000ULL)
/* Hits of the own index of which the reasons are taken for an office's answer. */
#define WHY_HITS_COUNT (4 * WC_ANSWER_PEOPLE_MAX)
#define ASKS_UID_COUNT 16 /* asks of one uid at once */

struct wc_asking {
    struct wc_asking *next;
    struct wc_request *r;
    struct wc_daemon *d;
    uid_t uid;
    char login[WC_SUBJECT_MAX_BYTES + 1]; /* empty: an account without one */
    uint8_t id[WC_ASK_ID_BYTES];
    char hex[2 * WC_ASK_ID_BYTES + 1];
    struct wc_slice text; /* the request's */
    struct wc_timer *patience;
    uint32_t heard_count, known_count;
    uint32_t packing_count; /* answers on the pool, which may overtake each other */
    uint32_t told_count;    /* answers sent to the client */
    uint64_t people_total;
    bool over; /* as soon as nothing is packed any more */
};

/* ---------------------------------------------------------------- the end */

static void asking_end(struct wc_asking *a)
{
    struct wc_asking **at = &a->d->asks;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    struct wc_buf out = {0};
    wc_pack_map(&out, 4);
    wc_pack_text(&out, "ask");
    wc_pack_text(&out, a->hex);
    wc_pack_text(&out, "offices_heard");
    wc_pack_u64(&out, a->heard_count);
    wc_pack_text(&out, "offices_known");
    wc_pack_u64(&out, a->known_count);
    wc_pack_text(&out, "people_total");
    wc_pack_u64(&out, a->people_total);
    wc_request_reply(a->r, &out);
    wc_timer_free(a->patience);
    free(a);
}

/* Wait no longer; what is being packed is still sent. */
static void asking_over(void *ctx)
{
    struct wc_asking *a = ctx;
    if (!a->over) {
        a->over = true;
        wc_timer_stop(a->patience);
        wc_engine_ask_end(a->d->engine, a->id);
    }
    if (a->packing_count == 0)
        asking_end(a);
}

/* ---------------------------------------------------------------- answers */

/* One office's answer on its way to the client. */
struct packing {
    struct wc_asking *a;
    struct wc_answer answer;
    char office[WC_OFFICE_NAME_MAX_BYTES + 1];
    struct wc_hit hits[WHY_HITS_COUNT]; /* of the own index, for the reasons */
    int hits_count;
    struct wc_buf people;
    struct wc_people_view view;
};

static const struct wc_hit *find_hit(const struct packing *p, const char *subject)
{
    for (int i = 0; i < p->hits_count; i++)
        if (strcmp(p->hits[i].who.subject, subject) == 0)
            return &p->hits[i];
    return NULL;
}

static void pack_stranger(struct wc_buf *b, const struct packing *p,
                          const struct wc_answer_person *person)
{
    char handle[WC_HANDLE_MAX_BYTES + 1];
    snprintf(handle, sizeof(handle), "%s@%s", person->subject, p->office);
    wc_pack_map(b, 3);
    wc_pack_text(b, "handle");
    wc_pack_text(b, handle);
    wc_pack_text(b, "office");
    wc_pack_text(b, p->office);
    wc_pack_text(b, "score");
    wc_pack_double(b, person->score_milli / 1000.0);
}

/* On the pool: the reasons come from the own index, the order and the scores from the
 * people's home office. */
static void packing_work(void *ctx)
{
    struct packing *p = ctx;
    struct wc_daemon *d = p->a->d;
    struct wc_index_query query = {.text = p->a->text,
                                   .limit = WHY_HITS_COUNT,
                                   .office_key = p->answer.office_key};
    struct wc_found counts;
    uint64_t now_ms = wc_wall_ms();
    if (p->answer.people_count > 0)
        p->hits_count = wc_index_find(d->index, &query, p->hits, &counts);
    for (uint32_t i = 0; i < p->answer.people_count; i++) {
        const struct wc_answer_person *person = &p->answer.people[i];
        const struct wc_hit *found = find_hit(p, person->subject);
        if (wc_people_load_shown(d->records, p->answer.office_key, person->subject,
                                 WC_AUDIENCE_ORGANISATION, &p->view) != 0) {
            pack_stranger(&p->people, p, person);
            continue;
        }
        struct wc_hit hit = {.why_count = 0};
        if (found != NULL)
            hit = *found;
        hit.score = person->score_milli / 1000.0;
        wc_pack_person(&p->people, &p->view, person->subject, p->office, &hit, now_ms);
        wc_people_view_fini(&p->view);
    }
}

static void packing_done(void *ctx)
{
    struct packing *p = ctx;
    struct wc_asking *a = p->a;
    struct wc_buf out = {0};
    wc_pack_map(&out, 7);
    wc_pack_text(&out, "request");
    wc_request_pack_id(a->r, &out);
    wc_pack_text(&out, "ask");
    wc_pack_text(&out, a->hex);
    wc_pack_text(&out, "office");
    wc_pack_text(&out, p->office);
    wc_pack_text(&out, "people");
    wc_pack_array(&out, p->answer.people_count);
    wc_buf_append(&out, p->people.data, p->people.len);
    wc_pack_text(&out, "total");
    wc_pack_u64(&out, p->answer.total);
    wc_pack_text(&out, "offices_heard");
    wc_pack_u64(&out, ++a->told_count);
    wc_pack_text(&out, "offices_known");
    wc_pack_u64(&out, a->known_count);
    out.failed = out.failed || p->people.failed;
    wc_request_notify(a->r, "ask.answer", &out);
    wc_buf_fini(&p->people);
    free(p);
    a->packing_count--;
    if (a->over || a->heard_count >= a->known_count)
        asking_over(a);
}

static void count_offices(struct wc_asking *a)
{
    struct wc_node_stats stats;
    const struct wc_node *node = wc_engine_node(a->d->engine);
    if (node == NULL)
        return;
    wc_node_stats(node, &stats);
    a->known_count = stats.offices_count;
}

static void on_answer(void *ctx, const struct wc_answer *answer, uint32_t heard_count)
{
    struct wc_asking *a = ctx;
    struct wc_node_office office;
    const struct wc_node *node = wc_engine_node(a->d->engine);
    struct packing *p = calloc(1, sizeof(*p));
    a->heard_count = heard_count;
    a->people_total += answer->total;
    count_offices(a);
    if (p == NULL || !wc_node_office_by_key(node, answer->office_key, &office)) {
        free(p);
        return;
    }
    p->a = a;
    p->answer = *answer;
    memcpy(p->office, office.cert.name, sizeof(p->office));
    if (wc_loop_work_in(a->d->loop, WC_LANE_SEARCH, wc_request_caller(a->r)->peer_uid,
                        packing_work, packing_done, p) != 0) {
        free(p);
        return;
    }
    a->packing_count++;
}

/* ---------------------------------------------------------------- asking */

static uint32_t asks_of(const struct wc_daemon *d, uid_t uid)
{
    uint32_t count = 0;
    for (const struct wc_asking *a = d->asks; a != NULL; a = a->next)
        count += a->uid == uid;
    return count;
}

static void say_started(struct wc_asking *a)
{
    struct wc_buf out = {0};
    wc_pack_map(&out, 3);
    wc_pack_text(&out, "request");
    wc_request_pack_id(a->r, &out);
    wc_pack_text(&out, "ask");
    wc_pack_text(&out, a->hex);
    wc_pack_text(&out, "offices_known");
    wc_pack_u64(&out, a->known_count);
    wc_request_notify(a->r, "ask.started", &out);
}

static struct wc_asking *asking_new(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    struct wc_asking *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->patience = wc_timer_new(d->loop, asking_over, a);
    if (a->patience == NULL) {
        free(a);
        return NULL;
    }
    a->r = r;
    a->d = d;
    a->uid = wc_request_caller(r)->uid;
    wc_random_bytes(a->id, sizeof(a->id));
    wc_hex(a->hex, a->id, sizeof(a->id));
    a->next = d->asks;
    d->asks = a;
    return a;
}

uint32_t wc_asks_count(const struct wc_daemon *d, const char *login)
{
    uint32_t count = 0;
    for (const struct wc_asking *a = d->asks; a != NULL; a = a->next)
        count += strcmp(a->login, login) == 0;
    return count;
}

void wc_asks_pack(const struct wc_daemon *d, const char *login, struct wc_buf *b)
{
    wc_pack_array(b, wc_asks_count(d, login));
    for (const struct wc_asking *a = d->asks; a != NULL; a = a->next) {
        if (strcmp(a->login, login) != 0)
            continue;
        wc_pack_map(b, 2);
        wc_pack_text(b, "ask");
        wc_pack_text(b, a->hex);
        wc_pack_text(b, "text");
        wc_pack_str(b, a->text);
    }
}

void wc_asks_end(struct wc_daemon *d, const char *login)
{
    struct wc_asking *next;
    for (struct wc_asking *a = d->asks; a != NULL; a = next) {
        next = a->next; /* ending one touches no other */
        if (strcmp(a->login, login) == 0)
            asking_over(a);
    }
}

void wc_ask_create(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_obj *params = wc_request_params(r, NULL);
    const struct wc_caller *caller = wc_request_caller(r);
    uint64_t wait_ms = WC_ASK_WAIT_DEFAULT_MS;
    if (asks_of(d, caller->uid) >= ASKS_UID_COUNT) {
        wc_request_fail(r, -WC_ELIMIT, NULL,
                        "you have %d asks open: wait for one to end", ASKS_UID_COUNT);
        return;
    }
    struct wc_asking *a = asking_new(r);
    if (a == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    wc_obj_str(wc_obj_get(params, "text"), &a->text);
    wc_obj_u64(wc_obj_get(params, "wait_ms"), &wait_ms);
    count_offices(a);
    say_started(a);
    wc_request_on_cancel(r, asking_over, a);
    wc_timer_set(a->patience, wait_ms, 0);
    /* An account without a login asks as nobody. */
    const char *by = caller->login_state == WC_LOGIN_OK ? caller->login : "nobody";
    memcpy(a->login, caller->login, sizeof(a->login));
    int rc = wc_engine_ask(d->engine, a->id, a->text, wc_slice_text(by), ASK_LEASE_MS,
                           on_answer, a);
    if (rc != 0)
        asking_over(a);
}

void wc_ask_cancel(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_caller *caller = wc_request_caller(r);
    struct wc_slice hex = {0};
    struct wc_buf out = {0};
    wc_obj_str(wc_obj_get(wc_request_params(r, NULL), "ask"), &hex);
    struct wc_asking *a = d->asks;
    while (a != NULL && (a->over || a->uid != caller->uid || !wc_slice_is(hex, a->hex)))
        a = a->next;
    if (a == NULL) {
        wc_request_fail(r, -WC_ENOTFOUND, "ask", "you have no open ask of that name");
        return;
    }
    asking_over(a);
    wc_pack_map(&out, 0);
    wc_request_reply(r, &out);
}
