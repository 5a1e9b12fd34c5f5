/* SPDX-License-Identifier: Apache-2.0 */
/*
 * me.erase, people.erase: forget somebody. What is kept about them here and nowhere else
 * goes first; then each of their records is retired with the word that it is an erasure,
 * which every office obeys (engine.h). me.erasure, people.erasure: which offices say that
 * they have.
 *
 * Of the request a note stays as long as its retirements live: when it was made, and their
 * marks, by which the cards of the offices report.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/record.h>

#include "daemon/about.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"

#define SLOTS_MAX_COUNT 4096 /* more asks than anybody has open */
#define NOTE_KEY_BYTES  (sizeof("erasure/") + WC_AUDIT_PERSON_CHARS)

/* A record that is about the person. */
struct slot {
    struct erasure *of;
    uint8_t kind;
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint8_t slot[WC_DIGEST_BYTES];
    uint8_t digest[WC_DIGEST_BYTES]; /* of what the store had */
    bool gone;                       /* that was an erasure already */
};

struct erasure {
    struct wc_request *r;
    struct wc_daemon *d;
    char login[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t now_ms;
    struct slot *slots;
    uint32_t count, cap;
    uint32_t facts_count;
    uint32_t
        waiting_count; /* puts whose outcome is to come, and 1 while they are put */
    struct wc_buf note;
    int rc;
};

/* ---------------------------------------------------------------- the note */

/* It is there when the person is not, and says as little about them as the audit log. */
static void note_key(const struct wc_daemon *d, const char *login,
                     char out[NOTE_KEY_BYTES])
{
    char person[WC_AUDIT_PERSON_CHARS + 1];
    wc_audit_hash(d->audit, wc_slice_text(login), person);
    snprintf(out, NOTE_KEY_BYTES, "erasure/%s", person);
}

static bool note_valid(const struct wc_buf *note, uint64_t now_ms)
{
    return note->len >= 8 && (note->len - 8) % WC_ERASED_MARK_BYTES == 0 &&
           now_ms < wc_get_u64(note->data) + WC_RETIRE_LEASE_MS;
}

static uint32_t note_marks(const struct wc_buf *note)
{
    return (uint32_t)((note->len - 8) / WC_ERASED_MARK_BYTES);
}

/* All marks of one office: waiting when one waits, done when all are. */
static enum wc_erased office_state(const struct wc_node *node,
                                   const struct wc_buf *note, const uint8_t *key)
{
    enum wc_erased all = WC_ERASED_DONE;
    for (uint32_t i = 0; i < note_marks(note) && all != WC_ERASED_WAITING; i++) {
        enum wc_erased one = wc_node_office_erased(
            node, key, note->data + 8 + (size_t)i * WC_ERASED_MARK_BYTES);
        if (one != WC_ERASED_DONE)
            all = one;
    }
    return all;
}

static const char *state_name(enum wc_erased state)
{
    switch (state) {
    case WC_ERASED_WAITING:
        return "waiting";
    case WC_ERASED_DONE:
        return "done";
    case WC_ERASED_UNKNOWN:
        return "unknown";
    }
    return "";
}

static void pack_status(struct wc_buf *b, const struct wc_daemon *d, const char *login,
                        const struct wc_buf *note)
{
    char handle[WC_HANDLE_MAX_BYTES + 1];
    const struct wc_node *node = wc_engine_node(d->engine);
    struct wc_node_office office;
    struct wc_buf list = {0};
    uint32_t known = 0, done = 0;
    for (uint32_t i = 0; wc_node_office_at(node, i, &office); i++) {
        if (office.revoked || office.superseded)
            continue;
        enum wc_erased state = office_state(node, note, office.cert.sign_key);
        known++;
        done += state == WC_ERASED_DONE;
        wc_pack_map(&list, 3);
        wc_pack_text(&list, "name");
        wc_pack_text(&list, office.cert.name);
        wc_pack_text(&list, "state");
        wc_pack_text(&list, state_name(state));
        wc_pack_text(&list, "linked");
        wc_pack_bool(&list, office.self || office.linked);
    }
    snprintf(handle, sizeof(handle), "%s@%s", login, d->identity->cert.name);
    wc_pack_map(b, 7);
    wc_pack_text(b, "handle");
    wc_pack_text(b, handle);
    wc_pack_text(b, "requested_at");
    wc_pack_time(b, wc_get_u64(note->data));
    wc_pack_text(b, "records");
    wc_pack_u64(b, note_marks(note));
    wc_pack_text(b, "complete");
    wc_pack_bool(b, done == known);
    wc_pack_text(b, "offices_done");
    wc_pack_u64(b, done);
    wc_pack_text(b, "offices_known");
    wc_pack_u64(b, known);
    wc_pack_text(b, "offices");
    wc_pack_array(b, known);
    wc_buf_append(b, list.data, list.len);
    b->failed = b->failed || list.failed;
    wc_buf_fini(&list);
}

/* ---------------------------------------------------------------- whom */

bool wc_request_about(struct wc_request *r, char login[WC_SUBJECT_MAX_BYTES + 1])
{
    const struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_obj *value = wc_obj_get(wc_request_params(r, NULL), "handle");
    struct wc_slice handle, name, office;
    if (value == NULL) {
        memcpy(login, wc_request_caller(r)->login, WC_SUBJECT_MAX_BYTES + 1);
        return true;
    }
    wc_obj_str(value, &handle);
    if (wc_handle_split(handle, &name, &office) != 0) {
        wc_request_fail(r, -WC_EINVALID, "handle",
                        "a handle is a login, or a login and an office: alice@leeds");
        return false;
    }
    if (office.len > 0 && !wc_slice_is(office, d->identity->cert.name)) {
        wc_request_fail(
            r, -WC_EDENIED, "handle",
            "that is somebody of another office: only IT there may do this");
        return false;
    }
    wc_slice_copy(name, login, WC_SUBJECT_MAX_BYTES + 1);
    return true;
}

static void read_status(struct wc_request *r, const char *login)
{
    struct wc_daemon *d = wc_request_daemon(r);
    char key[NOTE_KEY_BYTES];
    struct wc_buf note = {0}, out = {0};
    note_key(d, login, key);
    int rc = wc_records_meta_get(d->records, key, &note);
    if (rc == 0 && !note_valid(&note, wc_wall_ms()))
        rc = -WC_ENOTFOUND;
    if (rc == 0) {
        pack_status(&out, d, login, &note);
        wc_request_reply(r, &out);
    } else if (rc == -WC_ENOTFOUND) {
        wc_request_fail(r, rc, NULL, "no erasure of %s in the last 181 days is known",
                        login);
    } else {
        wc_request_fail(r, rc, NULL, "the note of the erasure %s", wc_strerror(rc));
    }
    wc_buf_fini(&note);
}

void wc_people_erasure(struct wc_request *r)
{
    char login[WC_SUBJECT_MAX_BYTES + 1];
    if (wc_request_about(r, login))
        read_status(r, login);
}

/* ---------------------------------------------------------------- what there is */

static void erasure_free(struct erasure *e)
{
    e->d->writers_count--;
    wc_buf_fini(&e->note);
    free(e->slots);
    free(e);
}

static void erasure_fail(struct erasure *e, int rc)
{
    if (rc == -WC_EFULL)
        wc_request_fail(e->r, rc, NULL,
                        "the disk of this office's state directory is full: try again "
                        "when there is space");
    else
        wc_request_fail(e->r, rc, NULL, "the erasure is not complete: it %s; ask again",
                        wc_strerror(rc));
    erasure_free(e);
}

static struct slot *add_slot(struct erasure *e, uint8_t kind, const char *subject)
{
    if (e->count == e->cap) {
        uint32_t cap = e->cap == 0 ? 8 : 2 * e->cap;
        struct slot *slots = realloc(e->slots, cap * sizeof(*slots));
        if (slots == NULL)
            return NULL;
        e->slots = slots;
        e->cap = cap;
    }
    struct slot *s = &e->slots[e->count++];
    *s = (struct slot){.of = e, .kind = kind};
    snprintf(s->subject, sizeof(s->subject), "%s", subject);
    wc_slot(s->slot, kind, e->d->identity->signer.key, subject);
    return s;
}

static int found(void *ctx, const struct wc_record *r)
{
    struct erasure *e = ctx;
    if (e->count == SLOTS_MAX_COUNT)
        return -WC_ELIMIT;
    /* an ask has its id; the rest is of the person, even if it does not say so */
    struct slot *s =
        add_slot(e, r->slot_kind, r->kind == WC_KIND_ASK ? r->subject : e->login);
    if (s == NULL)
        return -WC_ENOMEM;
    s->gone = r->kind == WC_KIND_RETIRE && r->erases;
    memcpy(s->digest, r->version.digest, sizeof(s->digest));
    return 0;
}

static int count_fact(void *ctx, struct wc_slice key, struct wc_slice value)
{
    struct erasure *e = ctx;
    (void)key;
    (void)value;
    e->facts_count++;
    return 0;
}

static void gather_work(void *ctx)
{
    struct erasure *e = ctx;
    char prefix[WC_ABOUT_PREFIX_BYTES];
    wc_about_prefix(e->login, prefix);
    e->rc = wc_about_records(e->d->records, e->d->identity->signer.key, e->login, found,
                             e, NULL);
    if (e->rc == 0)
        e->rc = wc_records_meta_each(e->d->records, prefix, count_fact, e);
}

/* Row and profile may be on their way to the store. */
static int add_pending(struct erasure *e, uint8_t kind)
{
    struct wc_version version;
    uint8_t slot[WC_DIGEST_BYTES], held;
    wc_slot(slot, kind, e->d->identity->signer.key, e->login);
    for (uint32_t i = 0; i < e->count; i++)
        if (memcmp(e->slots[i].slot, slot, sizeof(slot)) == 0)
            return 0;
    if (wc_node_slot(wc_engine_node(e->d->engine), slot, &version, &held) != 0)
        return 0;
    return add_slot(e, kind, e->login) == NULL ? -WC_ENOMEM : 0;
}

/* What was an erasure when it was read, and still is, need not be one again. */
static uint32_t leave_gone(struct erasure *e)
{
    struct wc_version version;
    uint8_t held;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        struct slot *s = &e->slots[i];
        bool same =
            wc_node_slot(wc_engine_node(e->d->engine), s->slot, &version, &held) == 0 &&
            memcmp(version.digest, s->digest, sizeof(s->digest)) == 0;
        if (!s->gone || !same)
            e->slots[kept++] = *s;
    }
    uint32_t left = e->count - kept;
    e->count = kept;
    return left;
}

/* ---------------------------------------------------------------- erasing */

static void note_work(void *ctx)
{
    struct erasure *e = ctx;
    char key[NOTE_KEY_BYTES];
    note_key(e->d, e->login, key);
    e->rc = e->note.failed
                ? -WC_ENOMEM
                : wc_records_meta_put(e->d->records, key, wc_buf_slice(&e->note));
}

/* Whoever wants to be forgotten is, with room in the audit log or without. */
static void erasure_audited(void *ctx, int rc)
{
    struct erasure *e = ctx;
    struct wc_buf out = {0};
    (void)rc;
    pack_status(&out, e->d, e->login, &e->note);
    wc_request_reply(e->r, &out);
    erasure_free(e);
}

static void note_done(void *ctx)
{
    struct erasure *e = ctx;
    struct wc_audit_entry entry = {0};
    if (e->rc != 0) {
        erasure_fail(e, e->rc);
        return;
    }
    wc_log(WC_LOG_NOTICE,
           "a person was erased on request of uid %lu: %" PRIu32 " records",
           (unsigned long)wc_request_caller(e->r)->uid, note_marks(&e->note));
    wc_audit_begin(e->d->audit, &entry, "erase", wc_request_caller(e->r));
    wc_audit_about(e->d->audit, &entry, wc_slice_text(e->login),
                   wc_slice_text(e->d->identity->cert.name));
    wc_audit_say_u64(&entry.members, "records", note_marks(&e->note));
    wc_audit_add(e->d->audit, &entry, erasure_audited, e);
}

static void begin_note(struct erasure *e)
{
    uint8_t at[8];
    wc_put_u64(at, e->now_ms);
    wc_buf_append(&e->note, at, sizeof(at));
}

/* All retirements are on disk. */
static void erasure_stored(struct erasure *e)
{
    begin_note(e);
    for (uint32_t i = 0; i < e->count; i++) {
        struct wc_version version;
        uint8_t held;
        if (wc_node_slot(wc_engine_node(e->d->engine), e->slots[i].slot, &version,
                         &held) == 0)
            wc_buf_append(&e->note, version.digest, WC_ERASED_MARK_BYTES);
    }
    if (wc_loop_work(e->d->loop, note_work, note_done, e) != 0)
        erasure_fail(e, -WC_ENOMEM);
}

static void slot_stored(void *ctx, int rc)
{
    struct slot *s = ctx;
    struct erasure *e = s->of;
    if (rc != 0 && e->rc == 0)
        e->rc = rc;
    if (--e->waiting_count > 0)
        return;
    if (e->rc != 0)
        erasure_fail(e, e->rc);
    else
        erasure_stored(e);
}

static int put_retirement(struct erasure *e, struct slot *s)
{
    const struct wc_signer *office = &e->d->identity->signer;
    struct wc_version version = {0};
    struct wc_buf body = {0};
    uint8_t held, sig[WC_SIG_BYTES];
    if (wc_engine_node(e->d->engine) == NULL)
        return -WC_EBUSY;
    if (wc_node_slot(wc_engine_node(e->d->engine), s->slot, &version, &held) != 0)
        version.rev = 0;
    int rc =
        wc_retire_body(office->key, s->subject, version.rev + 1, s->kind, true, &body);
    if (rc == 0)
        rc = wc_body_sign(sig, WC_KIND_RETIRE, wc_buf_slice(&body), office);
    if (rc == 0) {
        e->waiting_count++;
        wc_engine_put(e->d->engine, WC_KIND_RETIRE, wc_buf_slice(&body), office->key,
                      sig, slot_stored, s);
    }
    wc_buf_fini(&body);
    return rc;
}

static void put_retirements(struct erasure *e)
{
    e->waiting_count = 1;
    for (uint32_t i = 0; i < e->count; i++) {
        int rc = put_retirement(e, &e->slots[i]);
        if (rc != 0 && e->rc == 0)
            e->rc = rc;
    }
    slot_stored(&e->slots[0], 0);
}

/* Facts go first: when what follows fails, the request is made again. */
static void facts_work(void *ctx)
{
    struct erasure *e = ctx;
    char prefix[WC_ABOUT_PREFIX_BYTES];
    wc_about_prefix(e->login, prefix);
    e->rc = e->facts_count == 0 ? 0 : wc_records_meta_forget(e->d->records, prefix);
}

static void facts_done(void *ctx)
{
    struct erasure *e = ctx;
    if (e->rc != 0) {
        erasure_fail(e, e->rc);
        return;
    }
    wc_asks_end(e->d, e->login);
    put_retirements(e);
}

/* There must be a retirement of the profile at least, so that every office writes its
 * stores anew. */
static bool has_profile_slot(const struct erasure *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (e->slots[i].kind == WC_KIND_PROFILE)
            return true;
    return false;
}

static void nothing_left(struct erasure *e, bool erased_before)
{
    if (erased_before)
        read_status(e->r, e->login);
    else
        wc_request_fail(e->r, -WC_ENOTFOUND, NULL, "nothing is held about %s",
                        e->login);
    erasure_free(e);
}

static void gather_done(void *ctx)
{
    struct erasure *e = ctx;
    int rc = e->rc;
    if (rc == 0)
        rc = wc_engine_node(e->d->engine) == NULL ? -WC_EBUSY : 0;
    if (rc == 0)
        rc = add_pending(e, WC_KIND_ROW);
    if (rc == 0)
        rc = add_pending(e, WC_KIND_PROFILE);
    if (rc != 0) {
        erasure_fail(e, rc);
        return;
    }
    bool erased_before = leave_gone(e) > 0;
    bool nothing =
        e->count == 0 && e->facts_count == 0 && wc_asks_count(e->d, e->login) == 0;
    if (nothing)
        nothing_left(e, erased_before);
    else if ((!has_profile_slot(e) && add_slot(e, WC_KIND_PROFILE, e->login) == NULL) ||
             wc_loop_work(e->d->loop, facts_work, facts_done, e) != 0)
        erasure_fail(e, -WC_ENOMEM);
}

void wc_people_erase(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    char login[WC_SUBJECT_MAX_BYTES + 1];
    if (!wc_request_about(r, login))
        return;
    struct erasure *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    e->r = r;
    e->d = d;
    e->now_ms = wc_wall_ms();
    memcpy(e->login, login, sizeof(e->login));
    d->writers_count++;
    if (wc_loop_work(d->loop, gather_work, gather_done, e) != 0)
        erasure_fail(e, -WC_ENOMEM);
}
