/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include <whocan/person.h>
#include <whocan/record.h>

#include "proto/field.h"

static uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool wc_name_eq(struct wc_slice a, struct wc_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
            return false;
    }
    return true;
}

/* ---- levels and days ---- */

static const char *const level_names[] = {
    [WC_LEVEL_NONE] = "",           [WC_LEVEL_AWARENESS] = "awareness",
    [WC_LEVEL_WORKING] = "working", [WC_LEVEL_PRACTITIONER] = "practitioner",
    [WC_LEVEL_EXPERT] = "expert",
};

const char *wc_level_name(enum wc_level level)
{
    return level_names[level];
}

int wc_level_parse(struct wc_slice text, enum wc_level *out)
{
    for (unsigned i = WC_LEVEL_AWARENESS; i <= WC_LEVEL_EXPERT; i++) {
        if (wc_name_eq(text, wc_slice_text(level_names[i]))) {
            *out = (enum wc_level)i;
            return 0;
        }
    }
    return -WC_EINVALID;
}

#define DAY_COUNT 7
static const char *const day_names[DAY_COUNT] = {"mon", "tue", "wed", "thu",
                                                 "fri", "sat", "sun"};

/* ---- the table of fields ---- */

/* The keys of bodies and of the socket, in the order in which they are packed. */
static const struct person_key {
    const char *key;
    enum wc_person_field bit;
} person_keys[] = {
    {"name", WC_PERSON_NAME},
    {"title", WC_PERSON_TITLE},
    {"team", WC_PERSON_TEAM},
    {"skills", WC_PERSON_SKILLS},
    {"interests", WC_PERSON_INTERESTS},
    {"ask_me_about", WC_PERSON_ASK_ME_ABOUT},
    {"languages", WC_PERSON_LANGUAGES},
    {"working_days", WC_PERSON_WORKING_DAYS},
    {"email", WC_PERSON_EMAIL},
    {"phone", WC_PERSON_PHONE},
    {"willing", WC_PERSON_WILLING},
    {"confirmed_at", WC_PERSON_CONFIRMED_AT},
    {"key_changed_at", WC_PERSON_KEY_CHANGED_AT},
};
#define PERSON_KEY_COUNT (sizeof(person_keys) / sizeof(person_keys[0]))

#define AT_MOST_200  "must be at most 200 bytes long"
#define AT_MOST_100  "must be at most 100 bytes long"
#define AT_MOST_1000 "must be at most 1000 bytes long"
#define AT_MOST_254  "must be at most 254 bytes long"
#define AT_MOST_32   "must be at most 32 bytes long"
static_assert(WC_TITLE_MAX_BYTES == 200 && WC_SKILL_NAME_MAX_BYTES == 100 &&
                  WC_ABOUT_MAX_BYTES == 1000 && WC_EMAIL_MAX_BYTES == 254 &&
                  WC_PHONE_MAX_BYTES == 32 && WC_LANGUAGE_MAX_BYTES == 32,
              "the texts above name the limits");

static const struct wc_text_rule name_rule = {"name", WC_TITLE_MAX_BYTES, AT_MOST_200,
                                              false, true};
static const struct wc_text_rule title_rule = {"title", WC_TITLE_MAX_BYTES, AT_MOST_200,
                                               false, true};
static const struct wc_text_rule team_rule = {"team", WC_TITLE_MAX_BYTES, AT_MOST_200,
                                              false, true};
static const struct wc_text_rule about_rule = {"ask_me_about", WC_ABOUT_MAX_BYTES,
                                               AT_MOST_1000, true, true};
static const struct wc_text_rule email_rule = {"email", WC_EMAIL_MAX_BYTES, AT_MOST_254,
                                               false, true};
static const struct wc_text_rule phone_rule = {"phone", WC_PHONE_MAX_BYTES, AT_MOST_32,
                                               false, true};
static const struct wc_text_rule skill_rule = {"skills[].name", WC_SKILL_NAME_MAX_BYTES,
                                               AT_MOST_100, false, false};
static const struct wc_text_rule skill_id_rule = {
    "skills[].id", WC_SKILL_NAME_MAX_BYTES, AT_MOST_100, false, true};
static const struct wc_text_rule interest_rule = {
    "interests[]", WC_SKILL_NAME_MAX_BYTES, AT_MOST_100, false, false};
static const struct wc_text_rule language_rule = {"languages[]", WC_LANGUAGE_MAX_BYTES,
                                                  AT_MOST_32, false, false};

/* ---- reading ---- */

static int read_bool(const struct wc_obj *o, const char *field, bool *out,
                     struct wc_err *err)
{
    if (wc_obj_bool(o, out) != 0)
        return wc_fail(err, WC_ETYPE, field, "must be true or false");
    return 0;
}

static int read_level(const struct wc_obj *o, enum wc_level *out, struct wc_err *err)
{
    struct wc_slice text;
    if (wc_obj_str(o, &text) != 0)
        return wc_fail(err, WC_ETYPE, "skills[].level", "must be text");
    if (text.len > 0 && wc_level_parse(text, out) != 0)
        return wc_fail(err, WC_EINVALID, "skills[].level",
                       "must be one of awareness, working, practitioner, expert");
    return 0;
}

static int read_skill_map(const struct wc_obj *map, struct wc_skill *out,
                          struct wc_err *err)
{
    const struct wc_obj *level = wc_obj_get(map, "level");
    const struct wc_obj *id = wc_obj_get(map, "id");
    const struct wc_obj *mentor = wc_obj_get(map, "mentor");
    const struct wc_obj *learn = wc_obj_get(map, "learn");
    int rc = wc_field_text(wc_obj_get(map, "name"), &skill_rule, &out->name, err);
    if (rc == 0 && level != NULL)
        rc = read_level(level, &out->level, err);
    if (rc == 0 && id != NULL)
        rc = wc_field_text(id, &skill_id_rule, &out->id, err);
    if (rc == 0 && mentor != NULL)
        rc = read_bool(mentor, "skills[].mentor", &out->mentor, err);
    if (rc == 0 && learn != NULL)
        rc = read_bool(learn, "skills[].learn", &out->learn, err);
    return rc;
}

static int read_skill(const struct wc_obj *o, struct wc_skill *out, struct wc_err *err)
{
    *out = (struct wc_skill){0};
    switch (wc_obj_type(o)) {
    case WC_STR:
        return wc_field_text(o, &skill_rule, &out->name, err);
    case WC_MAP:
        if (!wc_obj_keys_unique(o))
            return wc_fail(err, WC_EINVALID, "skills[]", "must not name a key twice");
        return read_skill_map(o, out, err);
    case WC_NIL:
    case WC_BOOL:
    case WC_UINT:
    case WC_INT:
    case WC_DOUBLE:
    case WC_BIN:
    case WC_ARRAY:
        break;
    }
    return wc_fail(err, WC_ETYPE, "skills[]", "must be a name or a map with a name");
}

/* Whether o is a list of at most max elements. */
static int read_list(const struct wc_obj *o, const char *field, uint32_t max,
                     const char *too_many, struct wc_err *err)
{
    if (wc_obj_type(o) != WC_ARRAY)
        return wc_fail(err, WC_ETYPE, field, "must be a list");
    if (wc_obj_count(o) > max)
        return wc_fail(err, WC_ETOOBIG, field, too_many);
    return 0;
}

static int read_skills(const struct wc_obj *o, struct wc_person *p, struct wc_err *err)
{
    int rc = read_list(o, "skills", WC_SKILLS_MAX_COUNT, "may list at most 64", err);
    for (uint32_t i = 0; rc == 0 && i < wc_obj_count(o); i++) {
        rc = read_skill(wc_obj_at(o, i), &p->skills[i], err);
        for (uint32_t k = 0; rc == 0 && k < i; k++) {
            if (wc_name_eq(p->skills[k].name, p->skills[i].name))
                rc = wc_fail(err, WC_EINVALID, "skills[].name",
                             "must not name one skill twice");
        }
        p->skill_count = i + 1;
    }
    return rc;
}

static int read_texts(const struct wc_obj *o, const struct wc_text_rule *rule,
                      struct wc_slice *out, uint32_t *count, struct wc_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < wc_obj_count(o); i++)
        rc = wc_field_text(wc_obj_at(o, i), rule, &out[i], err);
    *count = wc_obj_count(o);
    return rc;
}

static int read_interests(const struct wc_obj *o, struct wc_person *p,
                          struct wc_err *err)
{
    int rc =
        read_list(o, "interests", WC_INTERESTS_MAX_COUNT, "may list at most 32", err);
    return rc != 0
               ? rc
               : read_texts(o, &interest_rule, p->interests, &p->interest_count, err);
}

static int read_languages(const struct wc_obj *o, struct wc_person *p,
                          struct wc_err *err)
{
    int rc =
        read_list(o, "languages", WC_LANGUAGES_MAX_COUNT, "may list at most 16", err);
    return rc != 0
               ? rc
               : read_texts(o, &language_rule, p->languages, &p->language_count, err);
}

static int read_days(const struct wc_obj *o, uint8_t *out, struct wc_err *err)
{
    int rc = read_list(o, "working_days", DAY_COUNT, "may list at most 7", err);
    *out = 0;
    for (uint32_t i = 0; rc == 0 && i < wc_obj_count(o); i++) {
        struct wc_slice text;
        unsigned day = DAY_COUNT;
        if (wc_obj_str(wc_obj_at(o, i), &text) == 0) {
            for (day = 0; day < DAY_COUNT; day++) {
                if (wc_name_eq(text, wc_slice_text(day_names[day])))
                    break;
            }
        }
        if (day == DAY_COUNT)
            return wc_fail(err, WC_EINVALID, "working_days[]",
                           "must be one of mon, tue, wed, thu, fri, sat, sun");
        *out |= (uint8_t)(1u << day);
    }
    return rc;
}

/* No more than what catches a wrong column: one @ with something on both sides and no
 * space. */
static int read_email(const struct wc_obj *o, struct wc_slice *out, struct wc_err *err)
{
    int rc = wc_field_text(o, &email_rule, out, err);
    if (rc != 0 || out->len == 0)
        return rc;
    const uint8_t *at = memchr(out->data, '@', out->len);
    const uint8_t *end = out->data + out->len;
    if (at == NULL || at == out->data || at + 1 == end ||
        memchr(at + 1, '@', (size_t)(end - at - 1)) != NULL ||
        memchr(out->data, ' ', out->len) != NULL)
        return wc_fail(err, WC_EINVALID, "email",
                       "must be an address such as alice@example.org");
    return 0;
}

static int read_field(enum wc_person_field field, const struct wc_obj *o,
                      struct wc_person *p, struct wc_err *err)
{
    switch (field) {
    case WC_PERSON_NAME:
        return wc_field_text(o, &name_rule, &p->name, err);
    case WC_PERSON_TITLE:
        return wc_field_text(o, &title_rule, &p->title, err);
    case WC_PERSON_TEAM:
        return wc_field_text(o, &team_rule, &p->team, err);
    case WC_PERSON_SKILLS:
        return read_skills(o, p, err);
    case WC_PERSON_INTERESTS:
        return read_interests(o, p, err);
    case WC_PERSON_ASK_ME_ABOUT:
        return wc_field_text(o, &about_rule, &p->ask_me_about, err);
    case WC_PERSON_LANGUAGES:
        return read_languages(o, p, err);
    case WC_PERSON_WORKING_DAYS:
        return read_days(o, &p->working_days, err);
    case WC_PERSON_EMAIL:
        return read_email(o, &p->email, err);
    case WC_PERSON_PHONE:
        return wc_field_text(o, &phone_rule, &p->phone, err);
    case WC_PERSON_WILLING:
        return read_bool(o, "willing", &p->willing, err);
    case WC_PERSON_CONFIRMED_AT:
        return wc_field_u64(o, "confirmed_at", WC_REV_MAX, &p->confirmed_at_ms, err);
    case WC_PERSON_KEY_CHANGED_AT:
        return wc_field_u64(o, "key_changed_at", WC_REV_MAX, &p->key_changed_at_ms,
                            err);
    }
    return wc_fail(err, WC_EINVALID, NULL, NULL);
}

int wc_person_decode(const struct wc_obj *map, struct wc_person *out,
                     struct wc_err *err)
{
    *out = (struct wc_person){0};
    if (map == NULL || wc_obj_type(map) != WC_MAP)
        return wc_fail(err, WC_ETYPE, "person", "must be a map of fields");
    for (size_t i = 0; i < PERSON_KEY_COUNT; i++) {
        const struct wc_obj *o = wc_obj_get(map, person_keys[i].key);
        if (o == NULL)
            continue;
        int rc = read_field(person_keys[i].bit, o, out, err);
        if (rc != 0)
            return rc;
        out->present |= person_keys[i].bit;
    }
    return 0;
}

/* ---- writing ---- */

static void pack_skill(struct wc_buf *b, const struct wc_skill *s)
{
    wc_pack_map(b, 1u + (s->level != WC_LEVEL_NONE) + (s->id.len > 0) + s->mentor +
                       s->learn);
    wc_pack_text(b, "name");
    wc_pack_str(b, s->name);
    if (s->level != WC_LEVEL_NONE) {
        wc_pack_text(b, "level");
        wc_pack_text(b, wc_level_name(s->level));
    }
    if (s->id.len > 0) {
        wc_pack_text(b, "id");
        wc_pack_str(b, s->id);
    }
    if (s->mentor) {
        wc_pack_text(b, "mentor");
        wc_pack_bool(b, true);
    }
    if (s->learn) {
        wc_pack_text(b, "learn");
        wc_pack_bool(b, true);
    }
}

static void pack_skills(struct wc_buf *b, const struct wc_person *p)
{
    wc_pack_array(b, p->skill_count);
    for (uint32_t i = 0; i < p->skill_count; i++)
        pack_skill(b, &p->skills[i]);
}

static void pack_texts(struct wc_buf *b, const struct wc_slice *texts, uint32_t count)
{
    wc_pack_array(b, count);
    for (uint32_t i = 0; i < count; i++)
        wc_pack_str(b, texts[i]);
}

static void pack_days(struct wc_buf *b, uint8_t days)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < DAY_COUNT; i++)
        count += days >> i & 1;
    wc_pack_array(b, count);
    for (unsigned i = 0; i < DAY_COUNT; i++) {
        if (days >> i & 1)
            wc_pack_text(b, day_names[i]);
    }
}

static void pack_field(struct wc_buf *b, enum wc_person_field field,
                       const struct wc_person *p)
{
    switch (field) {
    case WC_PERSON_NAME:
        wc_pack_str(b, p->name);
        break;
    case WC_PERSON_TITLE:
        wc_pack_str(b, p->title);
        break;
    case WC_PERSON_TEAM:
        wc_pack_str(b, p->team);
        break;
    case WC_PERSON_SKILLS:
        pack_skills(b, p);
        break;
    case WC_PERSON_INTERESTS:
        pack_texts(b, p->interests, p->interest_count);
        break;
    case WC_PERSON_ASK_ME_ABOUT:
        wc_pack_str(b, p->ask_me_about);
        break;
    case WC_PERSON_LANGUAGES:
        pack_texts(b, p->languages, p->language_count);
        break;
    case WC_PERSON_WORKING_DAYS:
        pack_days(b, p->working_days);
        break;
    case WC_PERSON_EMAIL:
        wc_pack_str(b, p->email);
        break;
    case WC_PERSON_PHONE:
        wc_pack_str(b, p->phone);
        break;
    case WC_PERSON_WILLING:
        wc_pack_bool(b, p->willing);
        break;
    case WC_PERSON_CONFIRMED_AT:
        wc_pack_u64(b, p->confirmed_at_ms);
        break;
    case WC_PERSON_KEY_CHANGED_AT:
        wc_pack_u64(b, p->key_changed_at_ms);
        break;
    }
}

uint32_t wc_person_pairs(const struct wc_person *p)
{
    uint32_t count = 0;
    for (size_t i = 0; i < PERSON_KEY_COUNT; i++)
        count += (p->present & person_keys[i].bit) != 0;
    return count;
}

void wc_person_pack_fields(struct wc_buf *b, const struct wc_person *p)
{
    for (size_t i = 0; i < PERSON_KEY_COUNT; i++) {
        if ((p->present & person_keys[i].bit) == 0)
            continue;
        wc_pack_text(b, person_keys[i].key);
        pack_field(b, person_keys[i].bit, p);
    }
}

/* ---- merging ---- */

bool wc_person_field_copy(enum wc_person_field field, struct wc_person *to,
                          const struct wc_person *from)
{
    switch (field) {
    case WC_PERSON_NAME:
        return (to->name = from->name).len > 0;
    case WC_PERSON_TITLE:
        return (to->title = from->title).len > 0;
    case WC_PERSON_TEAM:
        return (to->team = from->team).len > 0;
    case WC_PERSON_SKILLS:
        memcpy(to->skills, from->skills, sizeof(to->skills));
        return (to->skill_count = from->skill_count) > 0;
    case WC_PERSON_INTERESTS:
        memcpy(to->interests, from->interests, sizeof(to->interests));
        return (to->interest_count = from->interest_count) > 0;
    case WC_PERSON_ASK_ME_ABOUT:
        return (to->ask_me_about = from->ask_me_about).len > 0;
    case WC_PERSON_LANGUAGES:
        memcpy(to->languages, from->languages, sizeof(to->languages));
        return (to->language_count = from->language_count) > 0;
    case WC_PERSON_WORKING_DAYS:
        return (to->working_days = from->working_days) != 0;
    case WC_PERSON_EMAIL:
        return (to->email = from->email).len > 0;
    case WC_PERSON_PHONE:
        return (to->phone = from->phone).len > 0;
    case WC_PERSON_WILLING:
        to->willing = from->willing;
        return true;
    case WC_PERSON_CONFIRMED_AT:
        to->confirmed_at_ms = from->confirmed_at_ms;
        return true;
    case WC_PERSON_KEY_CHANGED_AT:
        return (to->key_changed_at_ms = from->key_changed_at_ms) != 0;
    }
    return false;
}

void wc_person_merge(struct wc_person *base, const struct wc_person *edit)
{
    for (size_t i = 0; i < PERSON_KEY_COUNT; i++) {
        enum wc_person_field bit = person_keys[i].bit;
        if ((edit->present & bit) == 0)
            continue;
        if (wc_person_field_copy(bit, base, edit))
            base->present |= bit;
        else
            base->present &= ~(uint32_t)bit;
    }
}

const char *wc_person_field_name(enum wc_person_field field)
{
    for (size_t i = 0; i < PERSON_KEY_COUNT; i++)
        if (person_keys[i].bit == field)
            return person_keys[i].key;
    return "";
}

uint32_t wc_person_field_find(struct wc_slice key)
{
    for (size_t i = 0; i < PERSON_KEY_COUNT; i++)
        if (wc_slice_is(key, person_keys[i].key))
            return person_keys[i].bit;
    return 0;
}

bool wc_person_field_known(struct wc_slice key)
{
    return (wc_person_field_find(key) & WC_PERSON_FILLED) != 0;
}

static bool key_known(const struct wc_obj *key)
{
    struct wc_slice text;
    if (wc_obj_str(key, &text) != 0)
        return false;
    if (wc_slice_is(text, "office") || wc_slice_is(text, "subject") ||
        wc_slice_is(text, "rev"))
        return true;
    for (size_t i = 0; i < PERSON_KEY_COUNT; i++) {
        if (wc_slice_is(text, person_keys[i].key))
            return true;
    }
    return false;
}

int wc_person_body(const uint8_t office_key[WC_KEY_BYTES], const char *subject,
                   uint64_t rev, const struct wc_person *p,
                   const struct wc_obj *old_body, struct wc_buf *out)
{
    struct wc_person full = {0};
    wc_person_merge(&full, p); /* leaves out what is present but empty */

    bool has_old = old_body != NULL && wc_obj_type(old_body) == WC_MAP;
    uint32_t extra = 0, old_count = has_old ? wc_obj_count(old_body) : 0;
    for (uint32_t i = 0; i < old_count; i++)
        extra += !key_known(wc_obj_key(old_body, i));
    wc_body_begin(out, office_key, subject, rev, wc_person_pairs(&full) + extra);
    wc_person_pack_fields(out, &full);
    for (uint32_t i = 0; i < old_count; i++) {
        const struct wc_obj *key = wc_obj_key(old_body, i);
        if (!key_known(key)) {
            wc_pack_obj(out, key);
            wc_pack_obj(out, wc_obj_value(old_body, i));
        }
    }
    if (out->failed)
        return -WC_ENOMEM;
    return 0;
}

bool wc_login_valid(struct wc_slice login)
{
    if (login.len == 0 || login.len > 32 || login.data[0] == '.' ||
        login.data[0] == '-')
        return false;
    for (size_t i = 0; i < login.len; i++) {
        uint8_t c = login.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
              c == '_' || c == '-'))
            return false;
    }
    return true;
}
