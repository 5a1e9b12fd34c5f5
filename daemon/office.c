/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/office.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <whocan/crypto.h>
#include <whocan/error.h>
#include <whocan/person.h>
#include <whocan/record.h>

#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/people.h"
#include "daemon/random.h"

#define LEAVING_KEY       "leaving" /* in the records: the identity to become */
#define LEFT_KEY          "left/"   /* and the key, in hexadecimal: it is used up */
#define LEFT_KEY_BYTES    (sizeof(LEFT_KEY) + (size_t)2 * WC_KEY_BYTES)
#define MOVE_PAGE_COUNT   500 /* people signed anew in one commit */
#define COMMIT_PAGE_COUNT 2000

/* ---------------------------------------------------------------- identities */

bool wc_office_is_standalone(const struct wc_identity *identity)
{
    return identity->cert.not_after_ms == WC_REV_MAX; /* an invitation always ends */
}

void wc_office_free(struct wc_identity *identity)
{
    if (identity == NULL)
        return;
    wc_identity_fini(identity);
    free(identity);
}

void wc_office_slug(const char *host, char out[WC_OFFICE_NAME_MAX_BYTES + 1])
{
    size_t len = 0;
    for (; *host != '\0' && *host != '.' && len < WC_OFFICE_NAME_MAX_BYTES; host++) {
        bool plain = isascii((unsigned char)*host) && isalnum((unsigned char)*host);
        if (plain)
            out[len++] = (char)tolower((unsigned char)*host);
        else if (len > 0 && out[len - 1] != '-')
            out[len++] = '-';
    }
    while (len > 0 && out[len - 1] == '-')
        len--;
    out[len] = '\0';
    if (!wc_office_name_valid(wc_slice_text(out)))
        snprintf(out, WC_OFFICE_NAME_MAX_BYTES + 1, "office");
}

int wc_office_standalone(struct wc_identity **out, const char *name)
{
    uint8_t seeds[WC_STANDALONE_SEED_BYTES];
    struct wc_identity *identity = calloc(1, sizeof(*identity));
    if (identity == NULL)
        return -WC_ENOMEM;
    wc_random_bytes(seeds, sizeof(seeds));
    int rc = wc_identity_standalone(identity, name, wc_wall_ms(), seeds);
    wc_wipe(seeds, sizeof(seeds));
    if (rc != 0)
        free(identity);
    else
        *out = identity;
    return rc;
}

static int store_identity(struct wc_records *records,
                          const struct wc_identity *identity)
{
    struct wc_buf bytes = {0};
    int rc = wc_identity_encode(identity, &bytes);
    if (rc == 0)
        rc = wc_records_meta_put(records, WC_OFFICE_META_KEY, wc_buf_slice(&bytes));
    if (bytes.data != NULL)
        wc_wipe(bytes.data, bytes.len);
    wc_buf_fini(&bytes);
    return rc;
}

static int make_first(struct wc_identity **out, struct wc_records *records,
                      const struct wc_config *config, char problem[WC_PROBLEM_BYTES])
{
    char host[256] = "", name[WC_OFFICE_NAME_MAX_BYTES + 1];
    gethostname(host, sizeof(host) - 1);
    wc_office_slug(config->office != NULL ? config->office : host, name);
    int rc = wc_office_standalone(out, name);
    if (rc == 0)
        rc = store_identity(records, *out);
    if (rc != 0)
        snprintf(problem, WC_PROBLEM_BYTES,
                 "an identity for this office could not be made: it %s",
                 wc_strerror(rc));
    else
        wc_log(WC_LOG_NOTICE, "this office is %s and stands alone", name);
    return rc;
}

int wc_office_load(struct wc_identity **out, struct wc_records *records,
                   const struct wc_config *config, char problem[WC_PROBLEM_BYTES])
{
    struct wc_buf bytes = {0};
    struct wc_err err = {0};
    *out = NULL;
    int rc = wc_records_meta_get(records, WC_OFFICE_META_KEY, &bytes);
    if (rc == -WC_ENOTFOUND) {
        wc_buf_fini(&bytes);
        rc = make_first(out, records, config, problem);
        if (rc != 0) {
            wc_office_free(*out);
            *out = NULL;
        }
        return rc;
    }
    struct wc_identity *identity = calloc(1, sizeof(*identity));
    if (rc == 0 && identity == NULL)
        rc = -WC_ENOMEM;
    if (rc == 0)
        rc = wc_identity_decode(wc_buf_slice(&bytes), identity, &err);
    if (rc != 0) {
        snprintf(problem, WC_PROBLEM_BYTES,
                 "the identity of this office in %s %s%s%s: restore the backup",
                 config->state, wc_strerror(rc), err.field != NULL ? ": " : "",
                 err.field != NULL ? err.field : "");
        free(identity);
    } else {
        *out = identity;
    }
    if (bytes.data != NULL)
        wc_wipe(bytes.data, bytes.len);
    wc_buf_fini(&bytes);
    return rc;
}

/* ---------------------------------------------------------------- adopting */

struct move {
    struct wc_records *records;
    struct wc_index *index;
    const struct wc_identity *from, *to;
    uint64_t now_ms;
    uint64_t seq;
    bool drop_others; /* who is neither `from` nor `to`, too */
    struct wc_change *changes;
    size_t count, cap;
};

/* Room for one more, empty but for its memory; NULL when memory is out. */
static struct wc_change *new_change(struct move *m)
{
    if (m->count == m->cap) {
        size_t cap = m->cap == 0 ? 1024 : 2 * m->cap;
        struct wc_change *changes = realloc(m->changes, cap * sizeof(*changes));
        if (changes == NULL)
            return NULL;
        m->changes = changes;
        m->cap = cap;
    }
    struct wc_change *c = &m->changes[m->count++];
    memset(c, 0, sizeof(*c));
    return c;
}

static void forget_changes(struct move *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->changes[i].bytes);
    m->count = 0;
}

/* The index follows by itself when this fails: the next start catches up. */
static int commit_changes(struct move *m)
{
    int rc = 0;
    for (size_t at = 0; at < m->count && rc == 0; at += COMMIT_PAGE_COUNT) {
        size_t count = m->count - at;
        if (count > COMMIT_PAGE_COUNT)
            count = COMMIT_PAGE_COUNT;
        rc = wc_records_commit(m->records, m->changes + at, count);
        if (rc == 0 && wc_index_apply(m->index, m->changes + at, count) != 0)
            wc_log(WC_LOG_WARNING, "the search index is behind the records");
    }
    forget_changes(m);
    return rc;
}

/* One side of a person (row or profile) as a record of the new office. */
static int add_side(struct move *m, uint8_t kind, const char *subject, uint64_t rev,
                    const struct wc_person *p, const struct wc_doc *old)
{
    const struct wc_signer *office = &m->to->signer;
    struct wc_buf body = {0}, record = {0};
    uint8_t sig[WC_SIG_BYTES];
    uint64_t expires_ms = m->now_ms + WC_PROFILE_LEASE_MAX_MS;
    if (expires_ms > m->to->cert.not_after_ms)
        expires_ms = m->to->cert.not_after_ms;
    struct wc_stamp_params stamp = {
        .seq = ++m->seq, .stamped_at_ms = m->now_ms, .expires_at_ms = expires_ms};
    int rc = wc_person_body(office->key, subject, rev, p, wc_doc_root(old), &body);
    if (rc == 0)
        rc = wc_body_sign(sig, kind, wc_buf_slice(&body), office);
    if (rc == 0)
        rc = wc_record_stamp(kind, wc_buf_slice(&body), office->key, sig, office,
                             &stamp, &record);
    if (rc == 0) {
        struct wc_change *c = new_change(m);
        rc = c == NULL ? -WC_ENOMEM : 0;
        if (c == NULL)
            goto out;
        c->kind = kind;
        wc_slot(c->slot, kind, office->key, subject);
        memcpy(c->office_key, office->key, WC_KEY_BYTES);
        snprintf(c->subject, sizeof(c->subject), "%s", subject);
        c->bytes = wc_buf_take(&record, &c->len);
    }
out:
    wc_buf_fini(&record);
    wc_buf_fini(&body);
    return rc;
}

static int move_person(struct move *m, const struct wc_person_ref *ref)
{
    struct wc_people_view *v = malloc(sizeof(*v));
    if (v == NULL)
        return -WC_ENOMEM;
    int rc = wc_people_load(m->records, ref->office_key, ref->subject, v);
    if (rc != 0)
        goto out;
    if (v->has_row)
        rc = add_side(m, WC_KIND_ROW, ref->subject, v->row_rev, &v->row, v->row_doc);
    if (rc == 0 && v->has_profile)
        rc = add_side(m, WC_KIND_PROFILE, ref->subject, v->profile_rev, &v->profile,
                      v->profile_doc);
    wc_people_view_fini(v);
out:
    free(v);
    return rc;
}

static int move_people(struct move *m, uint64_t *moved)
{
    struct wc_person_ref *refs = calloc(MOVE_PAGE_COUNT, sizeof(*refs));
    struct wc_person_ref after;
    bool has_after = false;
    int rc = refs == NULL ? -WC_ENOMEM : 0;
    while (rc == 0) {
        int count = wc_records_people(m->records, m->from->signer.key,
                                      has_after ? &after : NULL, refs, MOVE_PAGE_COUNT);
        if (count <= 0) {
            rc = count;
            break;
        }
        for (int i = 0; i < count && rc == 0; i++)
            rc = move_person(m, &refs[i]);
        if (rc == 0)
            rc = commit_changes(m);
        if (rc == 0)
            *moved += (uint64_t)count;
        after = refs[count - 1];
        has_after = true;
    }
    free(refs);
    return rc;
}

/* Records of every kind that the former office signed, its card included; or all but
 * those of the new one. */
static int gather_former(void *ctx, struct wc_slice bytes)
{
    struct move *m = ctx;
    struct wc_record r;
    if (wc_record_decode(bytes, &r, NULL) != 0)
        return 0;
    bool former = memcmp(r.office_key, m->from->signer.key, WC_KEY_BYTES) == 0;
    bool own = memcmp(r.office_key, m->to->signer.key, WC_KEY_BYTES) == 0;
    if (m->drop_others ? own : !former)
        return 0;
    struct wc_change *c = new_change(m);
    if (c == NULL)
        return -WC_ENOMEM;
    c->drop = true;
    c->kind = r.kind;
    wc_record_slot(&r, c->slot);
    memcpy(c->office_key, r.office_key, WC_KEY_BYTES);
    memcpy(c->subject, r.subject, sizeof(c->subject));
    return 0;
}

static int drop_former(struct move *m)
{
    int rc = wc_records_each(m->records, gather_former, m, NULL);
    if (rc == 0)
        rc = commit_changes(m);
    forget_changes(m);
    return rc;
}

int wc_office_adopt(struct wc_records *records, struct wc_index *index,
                    const struct wc_identity *from, const struct wc_identity *to,
                    uint64_t now_ms, uint64_t *moved)
{
    struct move m = {.records = records,
                     .index = index,
                     .from = from,
                     .to = to,
                     .now_ms = now_ms,
                     .seq = now_ms};
    *moved = 0;
    if (memcmp(from->signer.key, to->signer.key, WC_KEY_BYTES) == 0) {
        /* the same keys: every record stays as it is, under another name */
        *moved = wc_records_people_count(records, to->signer.key);
        return store_identity(records, to);
    }
    wc_index_set_home(index, to->signer.key);
    int rc = move_people(&m, moved);
    forget_changes(&m);
    if (rc == 0)
        rc = store_identity(records, to);
    if (rc == 0 && drop_former(&m) != 0)
        wc_log(WC_LOG_WARNING, "records of the former office are left: the next start "
                               "clears them");
    if (rc != 0) {
        wc_index_set_home(index, from->signer.key);
        m.from = to; /* nobody may find people twice */
        drop_former(&m);
    }
    free(m.changes);
    return rc;
}

/* ---------------------------------------------------------------- leaving */

static void left_key(char out[LEFT_KEY_BYTES], const uint8_t key[WC_KEY_BYTES])
{
    memcpy(out, LEFT_KEY, sizeof(LEFT_KEY));
    wc_hex(out + sizeof(LEFT_KEY) - 1, key, WC_KEY_BYTES);
}

static void secret_fini(struct wc_buf *b)
{
    if (b->data != NULL)
        wc_wipe(b->data, b->cap);
    wc_buf_fini(b);
}

bool wc_office_has_left(struct wc_records *records, const uint8_t key[WC_KEY_BYTES])
{
    char name[LEFT_KEY_BYTES];
    struct wc_buf value = {0};
    left_key(name, key);
    int rc = wc_records_meta_get(records, name, &value);
    wc_buf_fini(&value);
    return rc == 0;
}

int wc_office_begin_leave(struct wc_records *records, const struct wc_identity *from,
                          const struct wc_identity *to)
{
    char left[LEFT_KEY_BYTES];
    struct wc_buf bytes = {0};
    left_key(left, from->signer.key);
    bool room = wc_buf_reserve(&bytes, (size_t)2 * WC_CERT_MAX_BYTES) != NULL;
    int rc = room ? wc_identity_encode(to, &bytes) : -WC_ENOMEM;
    const struct wc_meta_edit edits[] = {
        {.key = left, .value = wc_slice_text("left")},
        {.key = LEAVING_KEY, .value = wc_buf_slice(&bytes)}};
    if (rc == 0)
        rc = wc_records_meta_edit(records, edits, 2);
    secret_fini(&bytes);
    return rc;
}

/* What others wrote is to be in no free page, either. */
static void drop_others(struct move *m)
{
    m->drop_others = true;
    int rc = drop_former(m);
    if (rc == 0)
        rc = wc_index_compact(m->index);
    if (rc == 0)
        rc = wc_records_compact(m->records);
    if (rc != 0)
        wc_log(WC_LOG_WARNING,
               "records of other offices, or free pages that held them, are left: what "
               "the stores are written on %s",
               wc_strerror(rc));
}

int wc_office_end_leave(struct wc_records *records, struct wc_index *index,
                        const struct wc_identity *from, const struct wc_identity *to,
                        uint64_t now_ms, uint64_t *moved)
{
    const struct wc_meta_edit done = {.key = LEAVING_KEY, .drop = true};
    struct move m = {.records = records,
                     .index = index,
                     .from = from,
                     .to = to,
                     .now_ms = now_ms,
                     .seq = now_ms};
    bool moves = memcmp(from->signer.key, to->signer.key, WC_KEY_BYTES) != 0;
    *moved = 0;
    int rc = moves ? move_people(&m, moved) : 0;
    forget_changes(&m);
    if (rc == 0 && moves)
        rc = store_identity(records, to);
    if (rc == 0) {
        drop_others(&m);
        rc = wc_records_meta_edit(records, &done, 1);
    }
    free(m.changes);
    return rc;
}

int wc_office_resume_leave(struct wc_records *records, struct wc_index *index,
                           struct wc_identity **identity, uint64_t now_ms)
{
    struct wc_buf bytes = {0};
    struct wc_identity *to = NULL;
    uint64_t moved;
    int rc = wc_records_meta_get(records, LEAVING_KEY, &bytes);
    if (rc != 0) {
        wc_buf_fini(&bytes);
        return rc == -WC_ENOTFOUND ? 0 : rc;
    }
    to = calloc(1, sizeof(*to));
    rc = to == NULL ? -WC_ENOMEM : wc_identity_decode(wc_buf_slice(&bytes), to, NULL);
    secret_fini(&bytes);
    if (rc == 0)
        rc = wc_office_end_leave(records, index, *identity, to, now_ms, &moved);
    if (rc != 0) {
        free(to);
        return rc;
    }
    wc_log(WC_LOG_NOTICE,
           "this office left %s and is %s now; %" PRIu64 " people stayed",
           (*identity)->org.name, to->cert.name,
           wc_records_people_count(records, to->signer.key));
    wc_office_free(*identity);
    *identity = to;
    return 0;
}
