/* SPDX-License-Identifier: Apache-2.0 */
/* An office that signs records of its people, for tests of what keeps and finds them. */
#ifndef WHOCAN_TESTS_STAFF_H
#define WHOCAN_TESTS_STAFF_H

#include <stdlib.h>
#include <string.h>

#include <whocan/cert.h>
#include <whocan/person.h>
#include <whocan/record.h>

#include "daemon/records.h"
#include "tests/unit/unit.h"

#define OFFICE_NOW_MS 1700000000000ULL

struct office {
    struct wc_identity identity;
    const uint8_t *key;             /* the office key of its records */
    uint64_t seq, later_ms;         /* its records begin and end so much later */
    const struct wc_signer *author; /* who signs profiles; NULL: the office */
};

static inline void office_init(struct office *o, const char *name, uint8_t seed)
{
    uint8_t seeds[WC_STANDALONE_SEED_BYTES];
    memset(seeds, seed, sizeof(seeds));
    assert_int_equal(wc_crypto_init(), 0);
    assert_int_equal(wc_identity_standalone(&o->identity, name, OFFICE_NOW_MS, seeds),
                     0);
    o->key = o->identity.signer.key;
    o->seq = OFFICE_NOW_MS;
    o->later_ms = 0;
    o->author = NULL;
}

/* The change that puts a signed body. Release with change_fini(). */
static inline struct wc_change office_change(struct office *o, uint8_t kind,
                                             uint8_t slot_kind, const char *subject,
                                             struct wc_buf *body)
{
    struct wc_change c = {.kind = slot_kind};
    struct wc_record r;
    struct wc_buf bytes = {0};
    uint8_t sig[WC_SIG_BYTES];
    struct wc_stamp_params stamp = {.seq = ++o->seq,
                                    .stamped_at_ms = OFFICE_NOW_MS + o->later_ms,
                                    .expires_at_ms =
                                        OFFICE_NOW_MS + o->later_ms + 30 * WC_DAY_MS};
    const struct wc_signer *office = &o->identity.signer;
    const struct wc_signer *author =
        kind == WC_KIND_PROFILE && o->author != NULL ? o->author : office;
    assert_int_equal(wc_body_sign(sig, kind, wc_buf_slice(body), author), 0);
    assert_int_equal(wc_record_stamp(kind, wc_buf_slice(body), author->key, sig, office,
                                     &stamp, &bytes),
                     0);
    wc_slot(c.slot, slot_kind, o->key, subject);
    memcpy(c.office_key, o->key, WC_KEY_BYTES);
    /* as it says itself: of a retirement that is a hash */
    assert_int_equal(wc_record_decode(wc_buf_slice(&bytes), &r, NULL), 0);
    memcpy(c.subject, r.subject, sizeof(c.subject));
    c.bytes = wc_buf_take(&bytes, &c.len);
    wc_buf_fini(body);
    return c;
}

static inline struct wc_change office_person(struct office *o, uint8_t kind,
                                             const char *subject, uint64_t rev,
                                             const struct wc_person *p)
{
    struct wc_buf body = {0};
    assert_int_equal(wc_person_body(o->key, subject, rev, p, NULL, &body), 0);
    return office_change(o, kind, kind, subject, &body);
}

static inline struct wc_change office_retire(struct office *o, uint8_t ends_kind,
                                             const char *subject, uint64_t rev)
{
    struct wc_buf body = {0};
    assert_int_equal(wc_retire_body(o->key, subject, rev, ends_kind, false, &body), 0);
    return office_change(o, WC_KIND_RETIRE, ends_kind, subject, &body);
}

static inline struct wc_change office_card(struct office *o)
{
    struct wc_buf body = {0};
    struct wc_card card = {.cert =
                               wc_slice(o->identity.cert_bytes, o->identity.cert_len)};
    assert_int_equal(wc_card_body(o->key, 1, &card, &body), 0);
    return office_change(o, WC_KIND_CARD, WC_KIND_CARD, "card", &body);
}

static inline struct wc_change office_drop(const struct office *o, uint8_t kind,
                                           const char *subject)
{
    struct wc_change c = {.drop = true, .kind = kind};
    wc_slot(c.slot, kind, o->key, subject);
    memcpy(c.office_key, o->key, WC_KEY_BYTES);
    assert_true(wc_slice_copy(wc_slice_text(subject), c.subject, sizeof(c.subject)));
    return c;
}

static inline void change_fini(struct wc_change *c)
{
    free(c->bytes);
    c->bytes = NULL;
}

/* Commit changes and release them. */
static inline int commit(struct wc_records *r, struct wc_change *changes, size_t count)
{
    int rc = wc_records_commit(r, changes, count);
    for (size_t i = 0; i < count; i++)
        change_fini(&changes[i]);
    return rc;
}

static inline int commit_one(struct wc_records *r, struct wc_change change)
{
    return commit(r, &change, 1);
}

/* ---- people in a few words ---- */

static inline void person_texts(struct wc_person *p, const char *name,
                                const char *title, const char *team)
{
    *p = (struct wc_person){.name = wc_slice_text(name),
                            .title = wc_slice_text(title),
                            .team = wc_slice_text(team)};
    p->present = WC_PERSON_NAME | WC_PERSON_TITLE | WC_PERSON_TEAM;
}

static inline void person_skill(struct wc_person *p, const char *name,
                                enum wc_level level)
{
    p->present |= WC_PERSON_SKILLS;
    p->skills[p->skill_count++] =
        (struct wc_skill){.name = wc_slice_text(name), .level = level};
}

static inline void person_interest(struct wc_person *p, const char *text)
{
    p->present |= WC_PERSON_INTERESTS;
    p->interests[p->interest_count++] = wc_slice_text(text);
}

static inline void person_about(struct wc_person *p, const char *text)
{
    p->present |= WC_PERSON_ASK_ME_ABOUT;
    p->ask_me_about = wc_slice_text(text);
}

#endif
