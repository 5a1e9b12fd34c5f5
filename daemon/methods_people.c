/* SPDX-License-Identifier: Apache-2.0 */
/* people.find, people.show, people.export */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/enrol.h"
#include "daemon/explain.h"
#include "daemon/facets.h"
#include "daemon/log.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"

#define FIND_SHORT_COUNT  50 /* people in a search that is soon done */
#define EXPORT_PAGE_COUNT 100
#define EXPORT_PAGE_BYTES                                                              \
    (256u << 10) /* of one people.batch, and the largest row more */
#define RESULT_SLACK_BYTES                                                             \
    49152 /* around the people of a result: corrections, facets */
#define RESULT_SLACK_NODES 1600

typedef char office_name[WC_OFFICE_NAME_MAX_BYTES + 1];

static struct wc_slice param_str(const struct wc_request *r, const char *name)
{
    struct wc_slice text = {0};
    wc_obj_str(wc_obj_get(wc_request_params(r, NULL), name), &text);
    return text;
}

/* An office by its name; ends the request when there is none. */
static bool find_office(struct wc_request *r, struct wc_slice name,
                        struct wc_node_office *out)
{
    struct wc_daemon *d = wc_request_daemon(r);
    if (wc_node_office_by_name(wc_engine_node(d->engine), name, out))
        return true;
    wc_request_fail(r, -WC_ENOTFOUND, "office",
                    "there is no office \"%.*s\": whocan offices lists them",
                    (int)(name.len < 64 ? name.len : 64), (const char *)name.data);
    return false;
}

/* The name of an office by its key, or an empty one. */
static void name_office(const struct wc_daemon *d, const uint8_t key[WC_KEY_BYTES],
                        office_name out)
{
    struct wc_node_office office;
    const struct wc_node *node = wc_engine_node(d->engine);
    out[0] = '\0';
    if (node != NULL && wc_node_office_by_key(node, key, &office))
        memcpy(out, office.cert.name, sizeof(office_name));
}

/* What a caller may see of the people of an office. A server of the intranet shows what it
 * gets to whoever looks at it, from any office. */
static enum wc_audience sees(struct wc_request *r,
                             const uint8_t office_key[WC_KEY_BYTES])
{
    const struct wc_daemon *d = wc_request_daemon(r);
    bool home = memcmp(office_key, d->identity->signer.key, WC_KEY_BYTES) == 0;
    return home && !wc_request_caller(r)->is_intranet ? WC_AUDIENCE_OFFICE
                                                      : WC_AUDIENCE_ORGANISATION;
}

/* ---------------------------------------------------------------- find */

struct find {
    struct wc_request *r;
    struct wc_daemon *d;
    struct wc_index_query query; /* the text is the request's */
    uint8_t office_key[WC_KEY_BYTES];
    uint8_t home_key[WC_KEY_BYTES];
    enum wc_audience home_audience; /* of the own people */
    struct wc_hit *hits;
    office_name *names;
    int count; /* of hits, or a negative error */
    struct wc_found found;
    struct wc_corrections corrected;
    struct wc_buf explain; /* packed, when it is wanted */
    uint64_t slow_us;      /* from here on it is noted; 0: never */
    uint64_t took_us;
    struct wc_buf people; /* packed one after the other */
    uint32_t people_count;
    const struct wc_vocabulary *vocabulary; /* when facets are wanted, else NULL */
    struct wc_facets *facets;
};

#define FACET_SKILLS_COUNT  50 /* of one answer */
#define FACET_OFFICES_COUNT 50

/* Each hit costs a third of a millisecond, most of it for the reasons. */
static enum wc_lane find_lane(const struct find *f)
{
    return f->query.limit > FIND_SHORT_COUNT || f->vocabulary != NULL
               ? WC_LANE_SEARCH_LONG
               : WC_LANE_SEARCH;
}

static void find_free(struct find *f)
{
    wc_buf_fini(&f->people);
    wc_buf_fini(&f->explain);
    wc_facets_free(f->facets);
    wc_vocabulary_free(f->vocabulary);
    free(f->hits);
    free(f->names);
    free(f);
}

static void find_fail(struct find *f, int rc)
{
    const char *field = f->found.field;
    if (rc == -WC_EINVALID)
        wc_request_fail(f->r, rc, field, "the %s has no word to search for", field);
    else
        wc_fail_search(f->r, rc);
    find_free(f);
}

/* On the pool: as many of the hits as one message holds. */
static void find_pack_work(void *ctx)
{
    struct find *f = ctx;
    struct wc_people_view *v = malloc(sizeof(*v));
    uint64_t now_ms = wc_wall_ms(), nodes = RESULT_SLACK_NODES, gone_count = 0;
    nodes += f->explain.len > 0 ? WC_EXPLAIN_NODES_MAX : 0;
    f->people.failed = v == NULL;
    for (int i = 0; i < f->count && !f->people.failed; i++) {
        const struct wc_hit *hit = &f->hits[i];
        bool home = memcmp(hit->who.office_key, f->home_key, WC_KEY_BYTES) == 0;
        if (f->names[i][0] == '\0' ||
            wc_people_load_shown(f->d->records, hit->who.office_key, hit->who.subject,
                                 home ? f->home_audience : WC_AUDIENCE_ORGANISATION,
                                 v) != 0) {
            gone_count++; /* ended, or gone since the search */
            continue;
        }
        size_t before = f->people.len;
        nodes += wc_person_nodes(v);
        wc_pack_person(&f->people, v, hit->who.subject, f->names[i], hit, now_ms);
        wc_people_view_fini(v);
        if (f->people.len + f->explain.len + RESULT_SLACK_BYTES >
                WC_RPC_MESSAGE_MAX_BYTES ||
            nodes > WC_RPC_NODES_MAX) {
            f->people.len = before;
            break;
        }
        f->people_count++;
    }
    f->found.total -= gone_count < f->found.total ? gone_count : f->found.total;
    free(v);
}

static void pack_levels(struct wc_buf *b, const struct wc_facet_skill *s)
{
    static const char *const names[] = {"none", "awareness", "working", "practitioner",
                                        "expert"};
    wc_pack_map(b, WC_LEVEL_EXPERT + 1);
    for (int i = 0; i <= WC_LEVEL_EXPERT; i++) {
        wc_pack_text(b, names[i]);
        wc_pack_u64(b, s->levels[i]);
    }
}

static void pack_facet_skills(struct wc_buf *b, const struct wc_facets *f)
{
    uint32_t count = wc_facets_skills_count(f);
    count = count < FACET_SKILLS_COUNT ? count : FACET_SKILLS_COUNT;
    wc_pack_text(b, "skills");
    wc_pack_array(b, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct wc_facet_skill *s = wc_facets_skill(f, i);
        wc_pack_map(b, 4);
        wc_pack_text(b, "name");
        wc_pack_text(b, s->name);
        wc_pack_text(b, "id");
        if (s->id != NULL)
            wc_pack_text(b, s->id);
        else
            wc_pack_nil(b);
        wc_pack_text(b, "people");
        wc_pack_u64(b, s->people);
        wc_pack_text(b, "levels");
        pack_levels(b, s);
    }
}

/* Names of offices are known on the loop thread only: this is packed there. */
static void pack_facets(const struct find *f, struct wc_buf *b)
{
    wc_pack_text(b, "facets");
    if (f->facets == NULL) {
        wc_pack_nil(b);
        return;
    }
    uint32_t count = wc_facets_offices_count(f->facets);
    count = count < FACET_OFFICES_COUNT ? count : FACET_OFFICES_COUNT;
    wc_pack_map(b, 3);
    wc_pack_text(b, "people");
    wc_pack_u64(b, wc_facets_people(f->facets));
    pack_facet_skills(b, f->facets);
    wc_pack_text(b, "offices");
    wc_pack_array(b, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct wc_facet_office *o = wc_facets_office(f->facets, i);
        office_name name;
        name_office(f->d, o->key, name);
        wc_pack_map(b, 2);
        wc_pack_text(b, "name");
        wc_pack_text(b, name);
        wc_pack_text(b, "people");
        wc_pack_u64(b, o->people);
    }
}

static void pack_corrections(struct wc_buf *out, const struct wc_corrections *c)
{
    wc_pack_text(out, "corrected");
    wc_pack_array(out, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        wc_pack_map(out, 2);
        wc_pack_text(out, "from");
        wc_pack_text(out, c->items[i].from);
        wc_pack_text(out, "to");
        wc_pack_text(out, c->items[i].to);
    }
}

static void find_pack_done(void *ctx)
{
    struct find *f = ctx;
    struct wc_buf out = {0};
    if (f->people.failed) {
        find_fail(f, -WC_ENOMEM);
        return;
    }
    wc_pack_map(&out, 8);
    wc_pack_text(&out, "people");
    wc_pack_array(&out, f->people_count);
    wc_buf_append(&out, f->people.data, f->people.len);
    wc_pack_text(&out, "total");
    wc_pack_u64(&out, f->found.total);
    wc_pack_text(&out, "total_exact");
    wc_pack_bool(&out, f->found.exact);
    wc_pack_text(&out, "took_us");
    wc_pack_u64(&out, f->took_us);
    pack_corrections(&out, &f->corrected);
    wc_pack_text(&out, "stops_only");
    wc_pack_bool(&out, f->found.stops_only);
    pack_facets(f, &out);
    wc_pack_text(&out, "explain");
    if (f->explain.len > 0)
        wc_buf_append(&out, f->explain.data, f->explain.len);
    else
        wc_pack_nil(&out);
    wc_request_reply(f->r, &out);
    find_free(f);
}

/* Count what the best of those who match have in common, each as the caller sees them. */
static int count_facets(struct find *f, const struct wc_hit *hits, int count)
{
    struct wc_people_view *v = malloc(sizeof(*v));
    int rc = v == NULL ? -WC_ENOMEM : 0;
    for (int i = 0; rc == 0 && i < count; i++) {
        const struct wc_person_ref *who = &hits[i].who;
        bool home = memcmp(who->office_key, f->home_key, WC_KEY_BYTES) == 0;
        if (wc_people_load_shown(f->d->records, who->office_key, who->subject,
                                 home ? f->home_audience : WC_AUDIENCE_ORGANISATION,
                                 v) != 0)
            continue; /* gone since the search */
        rc = wc_facets_add(f->facets, who->office_key, &v->person);
        wc_people_view_fini(v);
    }
    free(v);
    return rc;
}

static int find_facets(struct find *f)
{
    struct wc_index_query query = f->query;
    struct wc_found found;
    struct wc_hit *hits = calloc(WC_FIND_LIMIT_MAX, sizeof(*hits));
    int rc = hits == NULL ? -WC_ENOMEM : wc_facets_new(&f->facets, f->vocabulary);
    query.limit = WC_FIND_LIMIT_MAX;
    query.without_why = true;
    query.explain = NULL;
    int count = rc == 0 ? wc_index_find(f->d->index, &query, hits, &found) : 0;
    if (rc == 0)
        rc = count < 0 ? count : count_facets(f, hits, count);
    if (rc == 0)
        wc_facets_sort(f->facets);
    free(hits);
    return rc;
}

static void find_work(void *ctx)
{
    struct find *f = ctx;
    uint64_t start_us = wc_mono_us();
    f->count = wc_index_find(f->d->index, &f->query, f->hits, &f->found);
    f->took_us = wc_mono_us() - start_us;
    int rc = f->count >= 0 && f->vocabulary != NULL ? find_facets(f) : 0;
    if (rc != 0)
        f->count = rc;
}

/* How much there was to do, and nothing of what was asked. */
static void note_slow(struct find *f)
{
    struct wc_daemon *d = f->d;
    const struct wc_found *found = &f->found;
    if (f->slow_us == 0 || f->took_us < f->slow_us)
        return;
    d->slow_finds_count++;
    if (wc_log_allow(&d->slow_valve, wc_mono_ms()))
        wc_log(WC_LOG_NOTICE,
               "a slow find: %" PRIu64
               " ms, %u words (%u corrected), %u terms, %" PRIu64
               " pieces of lists, %" PRIu64 " people met, %" PRIu64
               " or more match, %d shown%s",
               f->took_us / 1000, found->words_count, f->corrected.count,
               found->terms_count, found->pieces_count, found->met_count, found->total,
               f->count, wc_filter_is_set(&f->query.filter) ? ", filtered" : "");
}

/* Names of offices are known on the loop thread only. */
static void find_done(void *ctx)
{
    struct find *f = ctx;
    if (f->count >= 0)
        note_slow(f);
    if (f->count < 0) {
        find_fail(f, f->count);
        return;
    }
    for (int i = 0; i < f->count; i++)
        name_office(f->d, f->hits[i].who.office_key, f->names[i]);
    int rc =
        wc_loop_work_in(f->d->loop, find_lane(f), wc_request_caller(f->r)->peer_uid,
                        find_pack_work, find_pack_done, f);
    if (rc != 0)
        find_fail(f, rc);
}

static bool param_true(struct wc_request *r, const char *name)
{
    bool value = false;
    wc_obj_bool(wc_obj_get(wc_request_params(r, NULL), name), &value);
    return value;
}

/* What whoever is found must have; ends the request when there is no such level. The texts
 * are the request's. */
static bool find_filter(struct wc_request *r, struct wc_filter *out)
{
    struct wc_slice level = param_str(r, "level");
    *out = (struct wc_filter){.team = param_str(r, "team"),
                              .language = param_str(r, "language"),
                              .mentor = param_true(r, "mentor")};
    if (param_true(r, "today"))
        out->day = wc_filter_day(wc_wall_ms());
    if (level.len == 0 || wc_level_parse(level, &out->level) == 0)
        return true;
    wc_request_fail(r, -WC_EINVALID, "level",
                    "level must be one of awareness, working, practitioner, expert");
    return false;
}

void wc_people_find(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_obj *params = wc_request_params(r, NULL);
    struct wc_node_office office;
    struct wc_filter filter;
    uint64_t limit = WC_FIND_LIMIT_DEFAULT;
    bool one_office = wc_obj_get(params, "office") != NULL, facets = false;
    if (!find_filter(r, &filter) ||
        (one_office && !find_office(r, param_str(r, "office"), &office)))
        return;
    wc_obj_u64(wc_obj_get(params, "limit"), &limit);
    struct find *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    f->r = r;
    f->d = d;
    f->query.text = param_str(r, "query");
    f->query.limit = (uint32_t)limit;
    f->query.filter = filter;
    f->query.near_too = true;
    f->query.corrected = &f->corrected;
    f->slow_us = d->config.slow_find_ms * 1000;
    if (param_true(r, "explain"))
        f->query.explain = &f->explain;
    wc_obj_bool(wc_obj_get(params, "facets"), &facets);
    if (facets)
        f->vocabulary = wc_vocabulary_ref(d->vocabulary);
    memcpy(f->home_key, d->identity->signer.key, WC_KEY_BYTES);
    f->home_audience = sees(r, f->home_key);
    f->query.home = f->home_audience == WC_AUDIENCE_OFFICE;
    if (one_office) {
        memcpy(f->office_key, office.cert.sign_key, WC_KEY_BYTES);
        f->query.office_key = f->office_key;
    }
    f->hits = calloc(limit, sizeof(*f->hits));
    f->names = calloc(limit, sizeof(*f->names));
    int rc = f->hits == NULL || f->names == NULL ? -WC_ENOMEM : 0;
    if (rc == 0)
        rc = wc_loop_work_in(d->loop, find_lane(f), wc_request_caller(f->r)->peer_uid,
                             find_work, find_done, f);
    if (rc != 0)
        find_fail(f, rc);
}

/* ---------------------------------------------------------------- show */

/* All that the caller may see, or less, if they want to know what others see. Ends the
 * request when they ask for more. */
static bool show_audience(struct wc_request *r, const uint8_t office_key[WC_KEY_BYTES],
                          const char *subject, enum wc_audience *out)
{
    const struct wc_caller *caller = wc_request_caller(r);
    struct wc_slice wanted = param_str(r, "audience");
    enum wc_audience most = sees(r, office_key), as;
    bool own = most == WC_AUDIENCE_OFFICE && caller->login_state == WC_LOGIN_OK &&
               strcmp(caller->login, subject) == 0 &&
               wc_enrol_is(wc_request_daemon(r)->records, subject, caller->uid);
    *out = own ? WC_AUDIENCE_ME : most;
    if (wanted.len == 0)
        return true;
    if (wc_audience_find(wanted, &as) != 0) {
        wc_request_fail(r, -WC_EINVALID, "audience",
                        "audience must be one of organisation, office, match, me");
        return false;
    }
    if (as > WC_AUDIENCE_OFFICE && !own) {
        wc_request_fail(r, -WC_EDENIED, "audience",
                        "only %s may see that: of others you see what is for your "
                        "office, and for the organisation",
                        subject);
        return false;
    }
    *out = as < *out ? as : *out;
    return true;
}

void wc_people_show(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    struct wc_slice handle = param_str(r, "handle"), login, office_slice;
    if (wc_handle_split(handle, &login, &office_slice) != 0) {
        wc_request_fail(r, -WC_EINVALID, "handle",
                        "a handle is a login, or a login and an office: alice@leeds");
        return;
    }
    struct wc_node_office office;
    if (office_slice.len == 0)
        office_slice = wc_slice_text(d->identity->cert.name);
    if (!find_office(r, office_slice, &office))
        return;
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    wc_slice_copy(login, subject, sizeof(subject));
    enum wc_audience audience;
    if (!show_audience(r, office.cert.sign_key, subject, &audience))
        return;
    struct wc_people_view v;
    int rc =
        wc_people_load_shown(d->records, office.cert.sign_key, subject, audience, &v);
    if (rc == -WC_ENOTFOUND) {
        wc_request_fail(
            r, rc, "handle",
            "nobody is known as %s@%s: whocan find searches by name and skill", subject,
            office.cert.name);
        return;
    }
    if (rc != 0) {
        wc_request_fail(r, rc, NULL, "the record of %s@%s %s", subject,
                        office.cert.name, wc_strerror(rc));
        return;
    }
    struct wc_buf out = {0};
    wc_pack_map(&out, 1);
    wc_pack_text(&out, "person");
    wc_pack_person(&out, &v, subject, office.cert.name, NULL, wc_wall_ms());
    wc_people_view_fini(&v);
    wc_request_reply(r, &out);
}

/* ---------------------------------------------------------------- export */

struct export
{
    struct wc_request *r;
    struct wc_daemon *d;
    bool all, cancelled;
    bool waiting; /* for the client to read */
    uint8_t office_key[WC_KEY_BYTES];
    struct wc_person_ref after;
    bool has_after;
    uint64_t sent_count;
    /* one page */
    struct wc_person_ref refs[EXPORT_PAGE_COUNT];
    office_name names[EXPORT_PAGE_COUNT];
    int count; /* of refs, or a negative error */
    int used;  /* of refs, that are in rows or gone */
    struct wc_buf rows;
    uint32_t rows_count;
};

static void export_next(void *ctx);

static void export_fail(struct export *x, int rc)
{
    wc_request_fail(x->r, rc, NULL, "the records could not be read to the end: %s",
                    wc_strerror(rc));
    wc_buf_fini(&x->rows);
    free(x);
}

static void export_end(struct export *x)
{
    struct wc_buf out = {0};
    wc_pack_map(&out, 1);
    wc_pack_text(&out, "count");
    wc_pack_u64(&out, x->sent_count);
    wc_request_reply(x->r, &out);
    wc_buf_fini(&x->rows);
    free(x);
}

static void export_cancel(void *ctx)
{
    struct export *x = ctx;
    x->cancelled = true;
    if (x->waiting)
        export_end(x);
}

static void export_pack_work(void *ctx)
{
    struct export *x = ctx;
    struct wc_people_view *v = malloc(sizeof(*v));
    if (v == NULL) {
        x->rows.failed = true;
        return;
    }
    for (x->used = 0; x->used < x->count && x->rows.len < EXPORT_PAGE_BYTES;
         x->used++) {
        const struct wc_person_ref *ref = &x->refs[x->used];
        if (x->names[x->used][0] == '\0' ||
            wc_people_load_shown(x->d->records, ref->office_key, ref->subject,
                                 WC_AUDIENCE_ORGANISATION, v) != 0)
            continue; /* ended, or gone since the page was read */
        wc_pack_row(&x->rows, &v->person, ref->subject, x->names[x->used]);
        wc_people_view_fini(v);
        x->rows_count++;
    }
    free(v);
}

static void export_pack_done(void *ctx)
{
    struct export *x = ctx;
    if (x->rows.failed) {
        export_fail(x, -WC_ENOMEM);
        return;
    }
    if (x->cancelled) {
        export_end(x);
        return;
    }
    x->after = x->refs[x->used - 1];
    x->has_after = true;
    if (x->rows_count > 0) {
        struct wc_buf out = {0};
        wc_pack_map(&out, 2);
        wc_pack_text(&out, "request");
        wc_request_pack_id(x->r, &out);
        wc_pack_text(&out, "people");
        wc_pack_array(&out, x->rows_count);
        wc_buf_append(&out, x->rows.data, x->rows.len);
        x->sent_count += x->rows_count;
        wc_request_notify(x->r, "people.batch", &out);
    }
    if (x->cancelled || wc_request_may_stream(x->r)) {
        export_next(x);
    } else {
        x->waiting = true;
        wc_request_on_drain(x->r, export_next, x);
    }
}

static void export_page_work(void *ctx)
{
    struct export *x = ctx;
    x->count =
        wc_records_people(x->d->records, x->all ? NULL : x->office_key,
                          x->has_after ? &x->after : NULL, x->refs, EXPORT_PAGE_COUNT);
}

static void export_page_done(void *ctx)
{
    struct export *x = ctx;
    if (x->count < 0) {
        export_fail(x, x->count);
        return;
    }
    if (x->count == 0) {
        export_end(x);
        return;
    }
    for (int i = 0; i < x->count; i++)
        name_office(x->d, x->refs[i].office_key, x->names[i]);
    int rc = wc_loop_work_in(x->d->loop, WC_LANE_SEARCH_LONG,
                             wc_request_caller(x->r)->peer_uid, export_pack_work,
                             export_pack_done, x);
    if (rc != 0)
        export_fail(x, rc);
}

static void export_next(void *ctx)
{
    struct export *x = ctx;
    x->waiting = false;
    if (x->cancelled) {
        export_end(x);
        return;
    }
    wc_buf_reset(&x->rows);
    x->rows_count = 0;
    int rc = wc_loop_work_in(x->d->loop, WC_LANE_SEARCH_LONG,
                             wc_request_caller(x->r)->peer_uid, export_page_work,
                             export_page_done, x);
    if (rc != 0)
        export_fail(x, rc);
}

void wc_people_export(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_obj *params = wc_request_params(r, NULL);
    struct wc_node_office office;
    bool all = false;
    struct wc_slice name = wc_slice_text(d->identity->cert.name);
    if (wc_obj_get(params, "office") != NULL)
        name = param_str(r, "office");
    if (!find_office(r, name, &office))
        return;
    wc_obj_bool(wc_obj_get(params, "all"), &all);
    if (all && wc_obj_get(params, "office") != NULL) {
        wc_request_fail(r, -WC_EINVALID, "all", "all and office exclude each other");
        return;
    }
    struct export *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    x->r = r;
    x->d = d;
    x->all = all;
    memcpy(x->office_key, office.cert.sign_key, WC_KEY_BYTES);
    wc_request_on_cancel(r, export_cancel, x);
    export_next(x);
}
