/* SPDX-License-Identifier: Apache-2.0 */
#include <whocan/audience.h>

static const char *const audience_names[WC_AUDIENCE_COUNT] = {
    [WC_AUDIENCE_ORGANISATION] = "organisation",
    [WC_AUDIENCE_OFFICE] = "office",
    [WC_AUDIENCE_MATCH] = "match",
    [WC_AUDIENCE_ME] = "me",
};

const char *wc_audience_name(enum wc_audience audience)
{
    return audience_names[audience];
}

int wc_audience_find(struct wc_slice name, enum wc_audience *out)
{
    for (size_t i = 0; i < WC_AUDIENCE_COUNT; i++) {
        if (wc_slice_is(name, audience_names[i])) {
            *out = (enum wc_audience)i;
            return 0;
        }
    }
    return -WC_EINVALID;
}

/* ---- parts ---- */

#define LISTS ((uint32_t)WC_PERSON_SKILLS | (uint32_t)WC_PERSON_INTERESTS)

int wc_parts_read(struct wc_parts *parts, const struct wc_obj *local,
                  struct wc_err *err)
{
    int rc = 0;
    for (size_t i = WC_AUDIENCE_OFFICE; i < WC_AUDIENCE_COUNT; i++)
        parts->of[i] = (struct wc_person){.present = 0};
    if (local == NULL)
        return 0;
    if (wc_obj_type(local) != WC_MAP || !wc_obj_keys_unique(local))
        return wc_fail(err, WC_ETYPE, "local", "must be a map by audience");
    for (size_t i = WC_AUDIENCE_OFFICE; rc == 0 && i < WC_AUDIENCE_COUNT; i++) {
        const struct wc_obj *map = wc_obj_get(local, audience_names[i]);
        if (map != NULL)
            rc = wc_person_decode(map, &parts->of[i], err);
        parts->of[i].present &= WC_PERSON_FILLED;
    }
    return rc;
}

/* Whether a name of the list stands in another part before it. */
static bool skill_before(const struct wc_parts *parts, size_t part,
                         struct wc_slice name)
{
    for (size_t i = 0; i < part; i++)
        for (uint32_t k = 0; k < parts->of[i].skill_count; k++)
            if (wc_name_eq(parts->of[i].skills[k].name, name))
                return true;
    return false;
}

static bool interest_before(const struct wc_parts *parts, size_t part,
                            struct wc_slice name)
{
    for (size_t i = 0; i < part; i++)
        for (uint32_t k = 0; k < parts->of[i].interest_count; k++)
            if (wc_name_eq(parts->of[i].interests[k], name))
                return true;
    return false;
}

static int check_names(const struct wc_parts *parts, size_t part, struct wc_err *err)
{
    const struct wc_person *p = &parts->of[part];
    for (uint32_t k = 0; k < p->skill_count; k++)
        if (skill_before(parts, part, p->skills[k].name))
            return wc_fail(err, WC_EINVALID, "skills[].name",
                           "must not have two audiences");
    for (uint32_t k = 0; k < p->interest_count; k++)
        if (interest_before(parts, part, p->interests[k]))
            return wc_fail(err, WC_EINVALID, "interests[]",
                           "must not have two audiences");
    return 0;
}

int wc_parts_check(const struct wc_parts *parts, struct wc_err *err)
{
    uint32_t seen = 0, skills = 0, interests = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < WC_AUDIENCE_COUNT; i++) {
        const struct wc_person *p = &parts->of[i];
        uint32_t fields = p->present & WC_PERSON_FILLED & ~LISTS;
        for (uint32_t bit = 1; bit <= WC_PERSON_FILLED; bit <<= 1)
            if ((seen & fields & bit) != 0)
                return wc_fail(err, WC_EINVALID, wc_person_field_name(bit),
                               "must not have two audiences");
        seen |= fields;
        skills += p->skill_count;
        interests += p->interest_count;
        rc = check_names(parts, i, err);
    }
    if (rc == 0 && skills > WC_SKILLS_MAX_COUNT)
        rc = wc_fail(err, WC_ETOOBIG, "skills", "may list at most 64");
    if (rc == 0 && interests > WC_INTERESTS_MAX_COUNT)
        rc = wc_fail(err, WC_ETOOBIG, "interests", "may list at most 32");
    return rc;
}

bool wc_parts_has_local(const struct wc_parts *parts)
{
    uint32_t present = 0;
    for (size_t i = WC_AUDIENCE_OFFICE; i < WC_AUDIENCE_COUNT; i++)
        present |= parts->of[i].present;
    return present != 0;
}

void wc_parts_pack(struct wc_buf *b, const struct wc_parts *parts)
{
    uint32_t count = 0;
    for (size_t i = WC_AUDIENCE_OFFICE; i < WC_AUDIENCE_COUNT; i++)
        count += parts->of[i].present != 0;
    wc_pack_map(b, count);
    for (size_t i = WC_AUDIENCE_OFFICE; i < WC_AUDIENCE_COUNT; i++) {
        const struct wc_person *p = &parts->of[i];
        if (p->present == 0)
            continue;
        wc_pack_text(b, audience_names[i]);
        wc_pack_map(b, wc_person_pairs(p));
        wc_person_pack_fields(b, p);
    }
}

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

/* Lists are joined and not replaced. */
static void join_lists(struct wc_person *to, const struct wc_person *part)
{
    for (uint32_t i = 0; i < part->skill_count; i++)
        if (to->skill_count < WC_SKILLS_MAX_COUNT &&
            !has_skill(to, part->skills[i].name))
            to->skills[to->skill_count++] = part->skills[i];
    for (uint32_t i = 0; i < part->interest_count; i++)
        if (to->interest_count < WC_INTERESTS_MAX_COUNT &&
            !has_interest(to, part->interests[i]))
            to->interests[to->interest_count++] = part->interests[i];
    to->present |= to->skill_count > 0 ? WC_PERSON_SKILLS : 0;
    to->present |= to->interest_count > 0 ? WC_PERSON_INTERESTS : 0;
}

void wc_parts_join(struct wc_person *to, const struct wc_parts *parts,
                   enum wc_audience audience)
{
    for (size_t i = WC_AUDIENCE_OFFICE; i <= (size_t)audience; i++) {
        const struct wc_person *part = &parts->of[i];
        for (uint32_t bit = 1; bit <= WC_PERSON_FILLED; bit <<= 1) {
            struct wc_person one; /* an empty one must not take away what is there */
            if ((part->present & ~LISTS & bit) != 0 &&
                wc_person_field_copy(bit, &one, part)) {
                (void)wc_person_field_copy(bit, to, part);
                to->present |= bit;
            }
        }
        join_lists(to, part);
    }
}

/* ---- marks ---- */

static void pack_skill_marks(struct wc_buf *b, const struct wc_parts *parts,
                             uint32_t count)
{
    wc_pack_text(b, "skills");
    wc_pack_map(b, count);
    for (size_t i = WC_AUDIENCE_OFFICE; i < WC_AUDIENCE_COUNT; i++)
        for (uint32_t k = 0; k < parts->of[i].skill_count; k++) {
            wc_pack_str(b, parts->of[i].skills[k].name);
            wc_pack_text(b, audience_names[i]);
        }
}

static void pack_interest_marks(struct wc_buf *b, const struct wc_parts *parts,
                                uint32_t count)
{
    wc_pack_text(b, "interests");
    wc_pack_map(b, count);
    for (size_t i = WC_AUDIENCE_OFFICE; i < WC_AUDIENCE_COUNT; i++)
        for (uint32_t k = 0; k < parts->of[i].interest_count; k++) {
            wc_pack_str(b, parts->of[i].interests[k]);
            wc_pack_text(b, audience_names[i]);
        }
}

static uint32_t count_bits(uint32_t bits)
{
    uint32_t count = 0;
    for (; bits != 0; bits &= bits - 1)
        count++;
    return count;
}

void wc_parts_pack_marks(struct wc_buf *b, const struct wc_parts *parts)
{
    uint32_t fields = 0, skills = 0, interests = 0;
    for (size_t i = WC_AUDIENCE_OFFICE; i < WC_AUDIENCE_COUNT; i++) {
        fields += count_bits(parts->of[i].present & ~LISTS);
        skills += parts->of[i].skill_count;
        interests += parts->of[i].interest_count;
    }
    wc_pack_map(b, fields + (skills > 0) + (interests > 0));
    for (size_t i = WC_AUDIENCE_OFFICE; i < WC_AUDIENCE_COUNT; i++)
        for (uint32_t bit = 1; bit <= WC_PERSON_FILLED; bit <<= 1)
            if ((parts->of[i].present & ~LISTS & bit) != 0) {
                wc_pack_text(b, wc_person_field_name(bit));
                wc_pack_text(b, audience_names[i]);
            }
    if (skills > 0)
        pack_skill_marks(b, parts, skills);
    if (interests > 0)
        pack_interest_marks(b, parts, interests);
}

/* ---- what an edit asks for ---- */

static int audience_in(const struct wc_obj *o)
{
    struct wc_slice name;
    enum wc_audience audience;
    if (o == NULL || wc_obj_str(o, &name) != 0 ||
        wc_audience_find(name, &audience) != 0)
        return -1;
    return (int)audience;
}

static int check_one(const struct wc_obj *o, struct wc_err *err)
{
    if (audience_in(o) >= 0)
        return 0;
    return wc_fail(err, WC_EINVALID, "audience",
                   "must be one of organisation, office, match, me");
}

static int check_value(const struct wc_obj *o, bool list, struct wc_err *err)
{
    if (!list || wc_obj_type(o) != WC_MAP)
        return check_one(o, err);
    int rc = wc_obj_keys_unique(o)
                 ? 0
                 : wc_fail(err, WC_EINVALID, "audience", "must not name a key twice");
    for (uint32_t i = 0; rc == 0 && i < wc_obj_count(o); i++)
        rc = check_one(wc_obj_value(o, i), err);
    return rc;
}

int wc_audiences_check(const struct wc_obj *map, struct wc_err *err)
{
    int rc = 0;
    if (wc_obj_type(map) != WC_MAP || !wc_obj_keys_unique(map))
        return wc_fail(err, WC_ETYPE, "audience", "must be a map by field");
    for (uint32_t i = 0; rc == 0 && i < wc_obj_count(map); i++) {
        struct wc_slice key;
        if (wc_obj_str(wc_obj_key(map, i), &key) != 0 || !wc_person_field_known(key))
            return wc_fail(err, WC_EINVALID, "audience",
                           "names something that is not a field of a profile");
        rc = check_value(wc_obj_value(map, i), (wc_person_field_find(key) & LISTS) != 0,
                         err);
    }
    return rc;
}

int wc_audience_of_field(const struct wc_obj *map, enum wc_person_field field)
{
    return map == NULL ? -1 : audience_in(wc_obj_get(map, wc_person_field_name(field)));
}

int wc_audience_of_name(const struct wc_obj *map, enum wc_person_field list,
                        struct wc_slice name)
{
    const struct wc_obj *o =
        map == NULL ? NULL : wc_obj_get(map, wc_person_field_name(list));
    if (o == NULL || wc_obj_type(o) != WC_MAP)
        return audience_in(o);
    for (uint32_t i = 0; i < wc_obj_count(o); i++) {
        struct wc_slice key;
        if (wc_obj_str(wc_obj_key(o, i), &key) == 0 && wc_name_eq(key, name))
            return audience_in(wc_obj_value(o, i));
    }
    return -1;
}
