/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/signed_edit.h"

#include <string.h>

#include <whocan/crypto.h>
#include <whocan/record.h>

static bool replaces_key(const struct wc_enrolment *enrolled, const uint8_t *key)
{
    return key != NULL && enrolled->has_key &&
           memcmp(enrolled->key, key, WC_KEY_BYTES) != 0;
}

uint64_t wc_key_changed_due(const struct wc_enrolment *enrolled, const uint8_t *key,
                            uint64_t now_ms)
{
    if (replaces_key(enrolled, key))
        return now_ms;
    uint64_t at_ms = enrolled->key_changed_at_ms;
    return at_ms != 0 && at_ms + WC_KEY_CHANGE_SHOWN_MS > now_ms ? at_ms : 0;
}

static int check_header(const struct wc_obj *body, const struct wc_signed_rules *rules,
                        struct wc_field_problem *problem)
{
    uint8_t office_key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev;
    struct wc_err err = {0};
    int rc = wc_body_header(body, office_key, subject, &rev, &err);
    if (rc != 0)
        return wc_field_problem(problem, rc, err.field, err.why);
    if (memcmp(office_key, rules->office_key, WC_KEY_BYTES) != 0)
        return wc_field_problem(problem, -WC_EDENIED, "office",
                                "is another office: read your profile again");
    if (strcmp(subject, rules->login) != 0)
        return wc_field_problem(problem, -WC_EDENIED, "subject",
                                "is somebody else: you edit yourself alone");
    if (rev != rules->rev)
        return wc_field_problem(problem, -WC_ESTALE, NULL,
                                "was changed in the meantime: read it again");
    return 0;
}

/* The times that the body carries in the name of its author. */
static int check_times(const struct wc_person *p, const struct wc_signed_edit *edit,
                       const struct wc_signed_rules *rules,
                       struct wc_field_problem *problem)
{
    uint64_t said_ms = p->key_changed_at_ms, now_ms = rules->now_ms;
    uint64_t due_ms = wc_key_changed_due(rules->enrolled, edit->key, now_ms);
    bool right = said_ms == due_ms;
    if ((p->present & WC_PERSON_CONFIRMED_AT) == 0)
        return wc_field_problem(problem, -WC_EMISSING, "confirmed_at", "is missing");
    if (p->confirmed_at_ms > now_ms + WC_FUTURE_SLACK_MS)
        return wc_field_problem(problem, -WC_EFUTURE, "confirmed_at",
                                "is in the future: set the clock of your machine");
    if (replaces_key(rules->enrolled, edit->key))
        right = said_ms <= now_ms + WC_FUTURE_SLACK_MS &&
                said_ms + WC_FUTURE_SLACK_MS >= now_ms;
    else if (due_ms == 0) /* half a year is over since it was read, or long before */
        right = said_ms == 0 || said_ms == rules->enrolled->key_changed_at_ms;
    return right ? 0
                 : wc_field_problem(problem, -WC_EINVALID, "key_changed_at",
                                    "must be what me.show says of this key");
}

static int check_body(const struct wc_obj *body, const struct wc_signed_edit *edit,
                      const struct wc_signed_rules *rules, uint64_t *key_changed_at_ms,
                      struct wc_field_problem *problem)
{
    struct wc_person p;
    struct wc_err err = {0};
    int rc = check_header(body, rules, problem);
    if (rc != 0)
        return rc;
    rc = wc_person_decode(body, &p, &err);
    if (rc != 0)
        return wc_field_problem(problem, rc, err.field, err.why);
    *key_changed_at_ms = p.key_changed_at_ms;
    return check_times(&p, edit, rules, problem);
}

int wc_signed_edit_check(const struct wc_signed_edit *edit,
                         const struct wc_signed_rules *rules,
                         uint64_t *key_changed_at_ms, struct wc_field_problem *problem)
{
    struct wc_doc *doc = NULL;
    *key_changed_at_ms = 0;
    if (memcmp(edit->key, rules->office_key, WC_KEY_BYTES) == 0)
        return wc_field_problem(problem, -WC_EDENIED, "key",
                                "is the office's: a person has one of their own");
    int rc = wc_body_verify(edit->sig, WC_KIND_PROFILE, edit->body, edit->key);
    if (rc != 0)
        return wc_field_problem(problem, rc, "sig", "does not fit body and key");
    rc = wc_doc_new(edit->body, &wc_scan_default, &doc);
    if (rc != 0)
        return wc_field_problem(problem, rc, "body", NULL);
    rc = check_body(wc_doc_root(doc), edit, rules, key_changed_at_ms, problem);
    wc_doc_free(doc);
    return rc;
}
