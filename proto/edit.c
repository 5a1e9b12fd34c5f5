/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <whocan/edit.h>

static const char *const edit_names[] = {
    [WC_EDIT_SET] = "set", [WC_EDIT_ADD] = "add", [WC_EDIT_DROP] = "drop"};
#define EDIT_COUNT (sizeof(edit_names) / sizeof(edit_names[0]))

const char *wc_edit_name(enum wc_edit_kind kind)
{
    return edit_names[kind];
}

int wc_edit_find(struct wc_slice name, enum wc_edit_kind *out)
{
    for (size_t i = 0; i < EDIT_COUNT; i++) {
        if (wc_slice_is(name, edit_names[i])) {
            *out = (enum wc_edit_kind)i;
            return 0;
        }
    }
    return -WC_EINVALID;
}

/* ---- lists ---- */

#define LISTS ((uint32_t)WC_PERSON_SKILLS | (uint32_t)WC_PERSON_INTERESTS)

static bool has_skill(const struct wc_person *p, struct wc_slice name)
{
    for (uint32_t i = 0; i < p->skill_count; i++)
        if (wc_name_eq(p->skills[i].name, name))
            return true;
    return false;
}

static bool has_interest(const struct wc_person *p, struct wc_slice name)
{
    for (uint32_t i = 0; i < p->interest_count; i++)
        if (wc_name_eq(p->interests[i], name))
            return true;
    return false;
}

/* Part what is held into what `names` names and what it does not. */
static void part(const struct wc_person *held, const struct wc_person *names,
                 struct wc_person *named, struct wc_person *left)
{
    *named = (struct wc_person){.present = names->present & LISTS};
    *left = (struct wc_person){.present = names->present & LISTS};
    for (uint32_t i = 0; i < held->skill_count; i++) {
        struct wc_person *to = has_skill(names, held->skills[i].name) ? named : left;
        to->skills[to->skill_count++] = held->skills[i];
    }
    for (uint32_t i = 0; i < held->interest_count; i++) {
        struct wc_person *to = has_interest(names, held->interests[i]) ? named : left;
        to->interests[to->interest_count++] = held->interests[i];
    }
}

static int append(struct wc_person *to, const struct wc_person *more,
                  struct wc_err *err)
{
    if (to->skill_count + more->skill_count > WC_SKILLS_MAX_COUNT)
        return wc_fail(err, WC_ETOOBIG, "skills",
                       "would be more than 64: drop some first");
    if (to->interest_count + more->interest_count > WC_INTERESTS_MAX_COUNT)
        return wc_fail(err, WC_ETOOBIG, "interests",
                       "would be more than 32: drop some first");
    for (uint32_t i = 0; i < more->skill_count; i++)
        to->skills[to->skill_count++] = more->skills[i];
    for (uint32_t i = 0; i < more->interest_count; i++)
        to->interests[to->interest_count++] = more->interests[i];
    return 0;
}

/* ---- the edit ---- */

static int lay(struct wc_person *p, enum wc_edit_kind kind,
               const struct wc_person *fields, struct wc_person *dropped,
               struct wc_err *err)
{
    struct wc_person named, left;
    int rc = 0;
    switch (kind) {
    case WC_EDIT_SET:
        wc_person_merge(p, fields);
        return 0;
    case WC_EDIT_ADD:
        part(p, fields, &named, &left);
        rc = append(&left, fields, err);
        break;
    case WC_EDIT_DROP:
        part(p, fields, &named, &left);
        if (dropped != NULL)
            *dropped = named;
        break;
    }
    if (rc == 0)
        wc_person_merge(p, &left);
    return rc;
}

int wc_edit_build(const struct wc_edit_base *base, enum wc_edit_kind kind,
                  const struct wc_person *fields, struct wc_buf *out,
                  struct wc_person *dropped, struct wc_err *err)
{
    struct wc_person p = {.present = 0};
    int rc = 0;
    if (dropped != NULL)
        *dropped = (struct wc_person){.present = 0};
    if (base->body != NULL)
        rc = wc_person_decode(base->body, &p, err);
    if (rc == 0)
        rc = lay(&p, kind, fields, dropped, err);
    if (rc != 0)
        return rc;
    struct wc_person times = {.present =
                                  WC_PERSON_CONFIRMED_AT | WC_PERSON_KEY_CHANGED_AT,
                              .confirmed_at_ms = base->now_ms,
                              .key_changed_at_ms = base->key_changed_at_ms};
    wc_person_merge(&p, &times);
    return wc_person_body(base->office_key, base->subject, base->rev, &p, base->body,
                          out);
}
