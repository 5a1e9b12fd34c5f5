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

/* ---- the names of lists ---- */

/* An edit at work. */
struct work {
    struct wc_parts parts;
    enum wc_edit_kind kind;
    const struct wc_person *fields;
    const struct wc_obj *audiences;
    struct wc_person *dropped;
    struct wc_err *err;
};

/* Take a name out of whatever part has it: its audience, or -1. */
static int take_skill(struct work *w, struct wc_slice name, struct wc_skill *out)
{
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++) {
        struct wc_person *p = &w->parts.of[a];
        for (uint32_t i = 0; i < p->skill_count; i++) {
            if (!wc_name_eq(p->skills[i].name, name))
                continue;
            *out = p->skills[i];
            p->skill_count--;
            memmove(&p->skills[i], &p->skills[i + 1],
                    (p->skill_count - i) * sizeof(p->skills[0]));
            return a;
        }
    }
    return -1;
}

static int take_interest(struct work *w, struct wc_slice name, struct wc_slice *out)
{
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++) {
        struct wc_person *p = &w->parts.of[a];
        for (uint32_t i = 0; i < p->interest_count; i++) {
            if (!wc_name_eq(p->interests[i], name))
                continue;
            *out = p->interests[i];
            p->interest_count--;
            memmove(&p->interests[i], &p->interests[i + 1],
                    (p->interest_count - i) * sizeof(p->interests[0]));
            return a;
        }
    }
    return -1;
}

static int put_skill(struct work *w, int audience, const struct wc_skill *skill)
{
    uint32_t count = 0;
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++)
        count += w->parts.of[a].skill_count;
    if (count >= WC_SKILLS_MAX_COUNT)
        return wc_fail(w->err, WC_ETOOBIG, "skills",
                       "would be more than 64: drop some first");
    struct wc_person *p = &w->parts.of[audience];
    p->skills[p->skill_count++] = *skill;
    return 0;
}

static int put_interest(struct work *w, int audience, struct wc_slice name)
{
    uint32_t count = 0;
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++)
        count += w->parts.of[a].interest_count;
    if (count >= WC_INTERESTS_MAX_COUNT)
        return wc_fail(w->err, WC_ETOOBIG, "interests",
                       "would be more than 32: drop some first");
    struct wc_person *p = &w->parts.of[audience];
    p->interests[p->interest_count++] = name;
    return 0;
}

/* What is asked for, else where it was, else the organisation's. */
static int settle(int asked, int held)
{
    if (asked >= 0)
        return asked;
    return held >= 0 ? held : WC_AUDIENCE_ORGANISATION;
}

static int add_skills(struct work *w)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < w->fields->skill_count; i++) {
        const struct wc_skill *skill = &w->fields->skills[i];
        struct wc_skill old;
        int asked = wc_audience_of_name(w->audiences, WC_PERSON_SKILLS, skill->name);
        int held = take_skill(w, skill->name, &old);
        rc = put_skill(w, settle(asked, held), skill);
    }
    return rc;
}

static int add_interests(struct work *w)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < w->fields->interest_count; i++) {
        struct wc_slice old, name = w->fields->interests[i];
        int asked = wc_audience_of_name(w->audiences, WC_PERSON_INTERESTS, name);
        int held = take_interest(w, name, &old);
        rc = put_interest(w, settle(asked, held), name);
    }
    return rc;
}

/* The lists as given and no other names, each where it was or is asked to be. */
static int set_skills(struct work *w)
{
    struct wc_parts before = w->parts;
    int audiences[WC_SKILLS_MAX_COUNT], rc = 0;
    for (uint32_t i = 0; i < w->fields->skill_count; i++) {
        struct wc_slice name = w->fields->skills[i].name;
        struct wc_skill old;
        int asked = wc_audience_of_name(w->audiences, WC_PERSON_SKILLS, name);
        audiences[i] = settle(asked, take_skill(w, name, &old));
    }
    w->parts = before;
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++)
        w->parts.of[a].skill_count = 0;
    for (uint32_t i = 0; rc == 0 && i < w->fields->skill_count; i++)
        rc = put_skill(w, audiences[i], &w->fields->skills[i]);
    return rc;
}

static int set_interests(struct work *w)
{
    struct wc_parts before = w->parts;
    int audiences[WC_INTERESTS_MAX_COUNT], rc = 0;
    for (uint32_t i = 0; i < w->fields->interest_count; i++) {
        struct wc_slice old, name = w->fields->interests[i];
        int asked = wc_audience_of_name(w->audiences, WC_PERSON_INTERESTS, name);
        audiences[i] = settle(asked, take_interest(w, name, &old));
    }
    w->parts = before;
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++)
        w->parts.of[a].interest_count = 0;
    for (uint32_t i = 0; rc == 0 && i < w->fields->interest_count; i++)
        rc = put_interest(w, audiences[i], w->fields->interests[i]);
    return rc;
}

static void drop_names(struct work *w)
{
    struct wc_person found = {.present = w->fields->present &
                                         (WC_PERSON_SKILLS | WC_PERSON_INTERESTS)};
    for (uint32_t i = 0; i < w->fields->skill_count; i++)
        if (take_skill(w, w->fields->skills[i].name,
                       &found.skills[found.skill_count]) >= 0)
            found.skill_count++;
    for (uint32_t i = 0; i < w->fields->interest_count; i++)
        if (take_interest(w, w->fields->interests[i],
                          &found.interests[found.interest_count]) >= 0)
            found.interest_count++;
    if (w->dropped != NULL)
        *w->dropped = found;
}

/* ---- what moves ---- */

static int move_skill(struct work *w, struct wc_slice name, int audience)
{
    struct wc_skill skill;
    if (take_skill(w, name, &skill) < 0)
        return wc_fail(w->err, WC_ENOTFOUND, "skills", "has no such name to move");
    return put_skill(w, audience, &skill);
}

static int move_interest(struct work *w, struct wc_slice name, int audience)
{
    struct wc_slice interest;
    if (take_interest(w, name, &interest) < 0)
        return wc_fail(w->err, WC_ENOTFOUND, "interests", "has no such name to move");
    return put_interest(w, audience, interest);
}

static int move_one(struct work *w, enum wc_person_field list, struct wc_slice name)
{
    int audience = wc_audience_of_name(w->audiences, list, name);
    return list == WC_PERSON_SKILLS ? move_skill(w, name, audience)
                                    : move_interest(w, name, audience);
}

/* Every name of the list that is there. */
static int move_list(struct work *w, enum wc_person_field list)
{
    struct wc_parts before = w->parts;
    int rc = 0;
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++) {
        const struct wc_person *p = &before.of[a];
        for (uint32_t i = 0; rc == 0 && list == WC_PERSON_SKILLS && i < p->skill_count;
             i++)
            rc = move_one(w, list, p->skills[i].name);
        for (uint32_t i = 0;
             rc == 0 && list == WC_PERSON_INTERESTS && i < p->interest_count; i++)
            rc = move_one(w, list, p->interests[i]);
    }
    return rc;
}

/* Those that the audiences name; of those that were given it is done. */
static int move_names(struct work *w, enum wc_person_field list)
{
    const struct wc_obj *o = w->audiences == NULL
                                 ? NULL
                                 : wc_obj_get(w->audiences, wc_person_field_name(list));
    int rc = 0;
    if (o == NULL)
        return 0;
    if (wc_obj_type(o) != WC_MAP)
        return (w->fields->present & list) != 0 ? 0 : move_list(w, list);
    for (uint32_t i = 0; rc == 0 && i < wc_obj_count(o); i++) {
        struct wc_slice name;
        if (wc_obj_str(wc_obj_key(o, i), &name) == 0)
            rc = move_one(w, list, name);
    }
    return rc;
}

/* ---- single fields ---- */

static int holder(const struct work *w, uint32_t field)
{
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++)
        if ((w->parts.of[a].present & field) != 0)
            return a;
    return -1;
}

static int lay_field(struct work *w, uint32_t field)
{
    int asked = wc_audience_of_field(w->audiences, field), held = holder(w, field);
    bool given = (w->fields->present & field) != 0;
    int to = settle(asked, held);
    if (!given && asked < 0)
        return 0;
    if (!given && held < 0 && field == WC_PERSON_WILLING)
        return wc_fail(w->err, WC_EMISSING, "willing", "has no value yet: set it too");
    struct wc_person value = {.present = 0};
    if (given)
        (void)wc_person_field_copy(field, &value, w->fields);
    else if (held >= 0)
        (void)wc_person_field_copy(field, &value, &w->parts.of[held]);
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++)
        w->parts.of[a].present &= ~field;
    bool full = wc_person_field_copy(field, &w->parts.of[to], &value);
    /* An empty one remembers who may see the next value. */
    if (full || to != WC_AUDIENCE_ORGANISATION)
        w->parts.of[to].present |= field;
    return 0;
}

static int lay_fields(struct work *w)
{
    const uint32_t lists = WC_PERSON_SKILLS | WC_PERSON_INTERESTS;
    int rc = 0;
    for (uint32_t field = 1; rc == 0 && field <= WC_PERSON_FILLED; field <<= 1)
        if ((field & lists) == 0)
            rc = lay_field(w, field);
    return rc;
}

/* ---- the edit ---- */

static int lay(struct work *w)
{
    int rc = 0;
    switch (w->kind) {
    case WC_EDIT_SET:
        rc = lay_fields(w);
        if (rc == 0 && (w->fields->present & WC_PERSON_SKILLS) != 0)
            rc = set_skills(w);
        if (rc == 0 && (w->fields->present & WC_PERSON_INTERESTS) != 0)
            rc = set_interests(w);
        break;
    case WC_EDIT_ADD:
        rc = add_skills(w);
        if (rc == 0)
            rc = add_interests(w);
        break;
    case WC_EDIT_DROP:
        drop_names(w);
        return 0;
    }
    if (rc == 0)
        rc = move_names(w, WC_PERSON_SKILLS);
    return rc == 0 ? move_names(w, WC_PERSON_INTERESTS) : rc;
}

static void mark_lists(struct wc_person *p)
{
    p->present &= ~(uint32_t)(WC_PERSON_SKILLS | WC_PERSON_INTERESTS);
    p->present |= p->skill_count > 0 ? WC_PERSON_SKILLS : 0;
    p->present |= p->interest_count > 0 ? WC_PERSON_INTERESTS : 0;
}

static int read_base(struct work *w, const struct wc_edit_base *base)
{
    int rc = 0;
    if (base->body != NULL)
        rc = wc_person_decode(base->body, &w->parts.of[WC_AUDIENCE_ORGANISATION],
                              w->err);
    if (rc == 0)
        rc = wc_parts_read(&w->parts, base->local, w->err);
    if (rc == 0 && w->audiences != NULL)
        rc = wc_audiences_check(w->audiences, w->err);
    return rc;
}

int wc_edit_build(const struct wc_edit_base *base, enum wc_edit_kind kind,
                  const struct wc_person *fields, const struct wc_obj *audiences,
                  struct wc_buf *body, struct wc_buf *local, struct wc_person *dropped,
                  struct wc_err *err)
{
    struct work w = {.kind = kind,
                     .fields = fields,
                     .audiences = audiences,
                     .dropped = dropped,
                     .err = err};
    if (dropped != NULL)
        *dropped = (struct wc_person){.present = 0};
    int rc = read_base(&w, base);
    if (rc == 0)
        rc = lay(&w);
    for (int a = 0; a < WC_AUDIENCE_COUNT; a++)
        mark_lists(&w.parts.of[a]);
    if (rc == 0)
        rc = wc_parts_check(&w.parts, err);
    if (rc != 0)
        return rc;
    struct wc_person *p = &w.parts.of[WC_AUDIENCE_ORGANISATION];
    struct wc_person times = {.present =
                                  WC_PERSON_CONFIRMED_AT | WC_PERSON_KEY_CHANGED_AT,
                              .confirmed_at_ms = base->now_ms,
                              .key_changed_at_ms = base->key_changed_at_ms};
    wc_person_merge(p, &times);
    if (wc_parts_has_local(&w.parts))
        wc_parts_pack(local, &w.parts);
    rc =
        wc_person_body(base->office_key, base->subject, base->rev, p, base->body, body);
    return rc == 0 && local->failed ? -WC_ENOMEM : rc;
}
