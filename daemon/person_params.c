/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/person_params.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <whocan/cert.h>

#include "daemon/filter.h"

const struct wc_param wc_person_params[] = {
    {"name", WC_PARAM_STR, false, 0, WC_TITLE_MAX_BYTES, "the person's name"},
    {"title", WC_PARAM_STR, false, 0, WC_TITLE_MAX_BYTES, "job title"},
    {"team", WC_PARAM_STR, false, 0, WC_TITLE_MAX_BYTES, "team or department"},
    {"skills", WC_PARAM_LIST, false, 0, WC_SKILLS_MAX_COUNT,
     "names, or maps with name, level, mentor, learn"},
    {"interests", WC_PARAM_LIST, false, 0, WC_INTERESTS_MAX_COUNT, "texts"},
    {"ask_me_about", WC_PARAM_STR, false, 0, WC_ABOUT_MAX_BYTES,
     "what colleagues may ask about, in own words"},
    {"languages", WC_PARAM_LIST, false, 0, WC_LANGUAGES_MAX_COUNT, "texts"},
    {"working_days", WC_PARAM_LIST, false, 0, 7, "mon, tue, wed, thu, fri, sat, sun"},
    {"email", WC_PARAM_STR, false, 0, WC_EMAIL_MAX_BYTES, "address of mail"},
    {"phone", WC_PARAM_STR, false, 0, WC_PHONE_MAX_BYTES, "telephone number"},
    {"willing", WC_PARAM_BOOL, false, 0, 0,
     "whether to be found as somebody who helps"},
    {.name = NULL},
};

static bool is_field(struct wc_slice key, const char *const *also)
{
    for (const struct wc_param *p = wc_person_params; p->name != NULL; p++)
        if (wc_slice_is(key, p->name))
            return true;
    for (; *also != NULL; also++)
        if (wc_slice_is(key, *also))
            return true;
    return false;
}

int wc_field_problem(struct wc_field_problem *p, int rc, const char *field,
                     const char *reason)
{
    p->rc = rc;
    snprintf(p->field, sizeof(p->field), "%s", field == NULL ? "" : field);
    snprintf(p->reason, sizeof(p->reason), "%s",
             reason == NULL ? wc_strerror(rc) : reason);
    return rc;
}

static int check_keys(const struct wc_obj *map, const char *const *also,
                      struct wc_field_problem *problem)
{
    if (wc_obj_type(map) != WC_MAP)
        return wc_field_problem(problem, -WC_ETYPE, NULL, "must be a map");
    if (!wc_obj_keys_unique(map))
        return wc_field_problem(problem, -WC_EINVALID, NULL,
                                "has a key twice, or one that is not text");
    for (uint32_t i = 0; i < wc_obj_count(map); i++) {
        struct wc_slice key = {0};
        char name[sizeof(problem->field)];
        if (wc_obj_str(wc_obj_key(map, i), &key) == 0 && is_field(key, also))
            continue;
        wc_slice_copy(key, name, sizeof(name));
        return wc_field_problem(problem, -WC_EINVALID, name,
                                "is not a field of a person");
    }
    return 0;
}

int wc_person_params_decode(const struct wc_obj *map, const char *const *also,
                            struct wc_person *out, struct wc_field_problem *problem)
{
    struct wc_err err = {0};
    memset(out, 0, sizeof(*out));
    if (map == NULL)
        return 0;
    int rc = check_keys(map, also, problem);
    if (rc != 0)
        return rc;
    rc = wc_person_decode(map, out, &err);
    return rc == 0 ? 0 : wc_field_problem(problem, rc, err.field, err.why);
}

int wc_handle_split(struct wc_slice handle, struct wc_slice *login,
                    struct wc_slice *office)
{
    const uint8_t *at = handle.len == 0 ? NULL : memchr(handle.data, '@', handle.len);
    *login = handle;
    *office = (struct wc_slice){0};
    if (at != NULL) {
        login->len = (size_t)(at - handle.data);
        *office = wc_slice(at + 1, handle.len - login->len - 1);
        if (!wc_office_name_valid(*office))
            return -WC_EINVALID;
    }
    return wc_login_valid(*login) ? 0 : -WC_EINVALID;
}

void wc_pack_time(struct wc_buf *b, uint64_t ms)
{
    const uint64_t year_10000_ms = 253402300800000;
    char text[32];
    struct tm utc;
    time_t seconds = (time_t)(ms / 1000);
    if (ms == 0 || ms >= year_10000_ms || gmtime_r(&seconds, &utc) == NULL) {
        wc_pack_nil(b);
        return;
    }
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    wc_pack_text(b, text);
}

/* ---------------------------------------------------------------- going out */

static const char *const day_names[] = {"mon", "tue", "wed", "thu",
                                        "fri", "sat", "sun"};

static void pack_texts(struct wc_buf *b, const char *key, const struct wc_slice *list,
                       uint32_t count)
{
    wc_pack_text(b, key);
    wc_pack_array(b, count);
    for (uint32_t i = 0; i < count; i++)
        wc_pack_str(b, list[i]);
}

static void pack_slice(struct wc_buf *b, const char *key, struct wc_slice value)
{
    wc_pack_text(b, key);
    wc_pack_str(b, value);
}

static void pack_handle(struct wc_buf *b, const char *subject, const char *office)
{
    char handle[WC_HANDLE_MAX_BYTES + 1];
    snprintf(handle, sizeof(handle), "%s@%s", subject, office);
    wc_pack_text(b, "handle");
    wc_pack_text(b, handle);
}

static void pack_skill(struct wc_buf *b, const struct wc_skill *s, bool own)
{
    wc_pack_map(b, 3 + (s->id.len > 0) + s->mentor + s->learn);
    pack_slice(b, "name", s->name);
    wc_pack_text(b, "level");
    wc_pack_text(b, wc_level_name(s->level));
    if (s->id.len > 0)
        pack_slice(b, "id", s->id);
    if (s->mentor) {
        wc_pack_text(b, "mentor");
        wc_pack_bool(b, true);
    }
    if (s->learn) {
        wc_pack_text(b, "learn");
        wc_pack_bool(b, true);
    }
    wc_pack_text(b, "source");
    wc_pack_text(b, own ? "self" : "directory");
}

static void pack_skills(struct wc_buf *b, const struct wc_people_view *v)
{
    wc_pack_text(b, "skills");
    wc_pack_array(b, v->person.skill_count);
    for (uint32_t i = 0; i < v->person.skill_count; i++)
        pack_skill(b, &v->person.skills[i], i < v->own_skill_count);
}

static void pack_days(struct wc_buf *b, uint8_t days)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < 7; i++)
        count += days >> i & 1;
    wc_pack_text(b, "working_days");
    wc_pack_array(b, count);
    for (unsigned i = 0; i < 7; i++)
        if (days >> i & 1)
            wc_pack_text(b, day_names[i]);
}

static void pack_contact(struct wc_buf *b, const struct wc_person *p)
{
    wc_pack_text(b, "contact");
    wc_pack_map(b, (p->email.len > 0) + (p->phone.len > 0));
    if (p->email.len > 0)
        pack_slice(b, "email", p->email);
    if (p->phone.len > 0)
        pack_slice(b, "phone", p->phone);
}

/* Whether somebody with these working days (none said: all) is at work on that day. */
static bool works_on(uint8_t days, uint64_t now_ms)
{
    return days == 0 || (days & wc_filter_day(now_ms)) != 0;
}

static const char *source_name(const struct wc_people_view *v)
{
    if (v->has_row && v->has_profile)
        return "both";
    return v->has_profile ? "self" : "directory";
}

/* A change of key is told for half a year: then whoever met the old one has forgotten. A
 * date that cannot be is as good as none. */
static uint64_t told(uint64_t at_ms, uint64_t now_ms)
{
    bool lately =
        at_ms <= now_ms + WC_FUTURE_SLACK_MS && at_ms + WC_KEY_CHANGE_SHOWN_MS > now_ms;
    return lately ? at_ms : 0;
}

static void pack_author(struct wc_buf *b, const struct wc_people_view *v,
                        uint64_t now_ms)
{
    uint64_t said_ms = told(v->key_changed_said_ms, now_ms);
    uint64_t seen_ms = told(v->key_changed_seen_ms, now_ms);
    wc_pack_text(b, "authored_by");
    if (v->has_profile)
        wc_pack_text(b, v->by_person ? "person" : "office");
    else
        wc_pack_nil(b);
    wc_pack_text(b, "key_changed_at");
    wc_pack_time(b, said_ms > seen_ms ? said_ms : seen_ms);
}

static void pack_why(struct wc_buf *b, const struct wc_hit *hit)
{
    wc_pack_text(b, "score");
    wc_pack_double(b, hit->score);
    wc_pack_text(b, "why");
    wc_pack_array(b, hit->why_count);
    for (uint32_t i = 0; i < hit->why_count; i++)
        wc_pack_text(b, hit->why[i]);
}

void wc_pack_person(struct wc_buf *b, const struct wc_people_view *v,
                    const char *subject, const char *office, const struct wc_hit *hit,
                    uint64_t now_ms)
{
    const struct wc_person *p = &v->person;
    bool days = p->working_days != 0;
    bool marks = wc_parts_has_local(&v->local);
    wc_pack_map(b, 16 + (uint32_t)days + (uint32_t)marks + (hit != NULL ? 2 : 0));
    pack_handle(b, subject, office);
    wc_pack_text(b, "office");
    wc_pack_text(b, office);
    pack_slice(b, "name", p->name);
    pack_slice(b, "title", p->title);
    pack_slice(b, "team", p->team);
    pack_skills(b, v);
    pack_texts(b, "interests", p->interests, p->interest_count);
    pack_slice(b, "ask_me_about", p->ask_me_about);
    pack_texts(b, "languages", p->languages, p->language_count);
    if (days)
        pack_days(b, p->working_days);
    pack_contact(b, p);
    if (marks) {
        wc_pack_text(b, "audience");
        wc_parts_pack_marks(b, &v->local);
    }
    wc_pack_text(b, "willing");
    wc_pack_bool(b, (p->present & WC_PERSON_WILLING) == 0 || p->willing);
    wc_pack_text(b, "available");
    wc_pack_bool(b, works_on(p->working_days, now_ms));
    wc_pack_text(b, "confirmed_at");
    if (p->confirmed_at_ms != 0)
        wc_pack_time(b, p->confirmed_at_ms);
    else
        wc_pack_nil(b); /* nobody knows: only the directory speaks of them */
    wc_pack_text(b, "source");
    wc_pack_text(b, source_name(v));
    pack_author(b, v, now_ms);
    if (hit != NULL)
        pack_why(b, hit);
}

uint32_t wc_person_nodes(const struct wc_people_view *v)
{
    const uint32_t fields = 2 * 19 + 1, contact = 4, days = 7, skill = 2 * 6 + 1;
    const uint32_t marks =
        2 * (14 + WC_SKILLS_MAX_COUNT + WC_INTERESTS_MAX_COUNT); /* at most */
    return (wc_parts_has_local(&v->local) ? marks : 0) + fields + contact + days +
           skill * v->person.skill_count + v->person.interest_count +
           v->person.language_count + WC_WHY_MAX;
}

void wc_pack_row(struct wc_buf *b, const struct wc_person *p, const char *subject,
                 const char *office)
{
    struct wc_person row = *p;
    /* these are the profile's, and no fields of a row */
    row.present &= ~(uint32_t)(WC_PERSON_CONFIRMED_AT | WC_PERSON_KEY_CHANGED_AT);
    wc_pack_map(b, 1 + wc_person_pairs(&row));
    pack_handle(b, subject, office);
    wc_person_pack_fields(b, &row);
}
