/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/people.h"

#include <string.h>

#include <whocan/pack.h>
#include <whocan/record.h>

#include "daemon/local.h"
#include "daemon/text.h"

/* One side of a person, as it lies in a view. */
struct side {
    uint8_t kind;
    struct wc_buf *bytes;
    struct wc_doc **doc;
    struct wc_person *person;
    uint64_t *rev;
    bool *present;   /* false when there is no record, or a retired one */
    bool *by_person; /* somebody else than the office signed it */
};

static int load_side(struct wc_records *r, const uint8_t *office_key,
                     const char *subject, bool shown, const struct side *s)
{
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_record record;
    wc_slot(slot, s->kind, office_key, subject);
    int rc = wc_records_get(r, slot, s->bytes);
    if (rc == -WC_ENOTFOUND)
        return 0;
    if (rc == 0)
        rc = wc_record_decode(wc_buf_slice(s->bytes), &record, NULL);
    if (rc != 0 || record.kind == WC_KIND_RETIRE)
        return rc;
    if (shown && !wc_records_shows(r, office_key, record.expires_at_ms))
        return 0;
    rc = wc_doc_new(record.body, &wc_scan_default, s->doc);
    if (rc == 0)
        rc = wc_person_decode(wc_doc_root(*s->doc), s->person, NULL);
    *s->rev = rc == 0 ? record.version.rev : 0;
    *s->present = rc == 0;
    *s->by_person =
        rc == 0 && memcmp(record.author_key, record.office_key, WC_KEY_BYTES) != 0;
    return rc;
}

static bool same_name(struct wc_buf *a, struct wc_slice other, struct wc_buf *scratch)
{
    wc_buf_reset(scratch);
    wc_text_fold(other, scratch);
    return wc_slice_eq(wc_buf_slice(a), wc_buf_slice(scratch));
}

static bool is_own(const struct wc_people_view *v, struct wc_slice name,
                   struct wc_buf scratch[2])
{
    wc_buf_reset(&scratch[0]);
    wc_text_fold(name, &scratch[0]);
    for (uint32_t i = 0; i < v->own_skill_count; i++)
        if (same_name(&scratch[0], v->person.skills[i].name, &scratch[1]))
            return true;
    return false;
}

/* The directory's skills follow the own ones, but for those that are named there. */
static int add_row_skills(struct wc_people_view *v)
{
    struct wc_person *p = &v->person;
    struct wc_buf scratch[2] = {{0}, {0}};
    for (uint32_t i = 0; i < v->row.skill_count; i++) {
        if (p->skill_count == WC_SKILLS_MAX_COUNT)
            break;
        if (!is_own(v, v->row.skills[i].name, scratch))
            p->skills[p->skill_count++] = v->row.skills[i];
    }
    bool failed = scratch[0].failed || scratch[1].failed;
    wc_buf_fini(&scratch[0]);
    wc_buf_fini(&scratch[1]);
    if (p->skill_count > 0)
        p->present |= WC_PERSON_SKILLS;
    return failed ? -WC_ENOMEM : 0;
}

/* What stands beside the profile here, if the audience sees any of it. */
static int load_local(struct wc_records *r, const char *subject,
                      enum wc_audience audience, struct wc_people_view *v)
{
    struct wc_local local;
    if (audience == WC_AUDIENCE_ORGANISATION || !v->has_profile)
        return 0;
    int rc = wc_local_get(r, subject, &local);
    if (rc != 0)
        return rc == -WC_ENOTFOUND ? 0 : rc;
    v->local_bytes = local.bytes;
    v->local_doc = local.doc;
    rc = wc_parts_read(&v->local, local.map, NULL);
    for (size_t i = (size_t)audience + 1; i < WC_AUDIENCE_COUNT; i++)
        v->local.of[i] = (struct wc_person){.present = 0};
    return rc;
}

static int merge(struct wc_people_view *v, enum wc_audience audience)
{
    /* Skills are not replaced but joined, so they stay out of the plain merge. */
    struct wc_person own = v->profile;
    wc_parts_join(&own, &v->local, audience);
    v->person = v->row;
    v->person.present &= ~(uint32_t)WC_PERSON_SKILLS;
    v->person.skill_count = 0;
    wc_person_merge(&v->person, &own);
    v->own_skill_count = v->person.skill_count;
    return add_row_skills(v);
}

int wc_people_load(struct wc_records *r, const uint8_t office_key[WC_KEY_BYTES],
                   const char *subject, struct wc_people_view *out)
{
    return wc_people_load_as(r, office_key, subject, WC_AUDIENCE_ORGANISATION, out);
}

static int load(struct wc_records *r, const uint8_t office_key[WC_KEY_BYTES],
                const char *subject, enum wc_audience audience, bool shown,
                struct wc_people_view *out)
{
    memset(out, 0, sizeof(*out));
    bool row_by_person = false; /* never: rows are the office's */
    struct side sides[] = {
        {WC_KIND_ROW, &out->row_bytes, &out->row_doc, &out->row, &out->row_rev,
         &out->has_row, &row_by_person},
        {WC_KIND_PROFILE, &out->profile_bytes, &out->profile_doc, &out->profile,
         &out->profile_rev, &out->has_profile, &out->by_person},
    };
    int rc = load_side(r, office_key, subject, shown, &sides[0]);
    if (rc == 0)
        rc = load_side(r, office_key, subject, shown, &sides[1]);
    if (rc == 0 && !out->has_row && !out->has_profile)
        rc = -WC_ENOTFOUND;
    if (rc == 0)
        rc = load_local(r, subject, audience, out);
    if (rc == 0)
        rc = merge(out, audience);
    out->key_changed_said_ms = out->profile.key_changed_at_ms;
    if (rc != 0)
        wc_people_view_fini(out);
    return rc;
}

int wc_people_load_as(struct wc_records *r, const uint8_t office_key[WC_KEY_BYTES],
                      const char *subject, enum wc_audience audience,
                      struct wc_people_view *out)
{
    return load(r, office_key, subject, audience, false, out);
}

int wc_people_load_shown(struct wc_records *r, const uint8_t office_key[WC_KEY_BYTES],
                         const char *subject, enum wc_audience audience,
                         struct wc_people_view *out)
{
    uint8_t slot[WC_DIGEST_BYTES];
    int rc = load(r, office_key, subject, audience, true, out);
    if (rc != 0 || !out->has_profile)
        return rc;
    wc_slot(slot, WC_KIND_PROFILE, office_key, subject);
    rc = wc_records_key_changed(r, slot, &out->key_changed_seen_ms);
    if (rc != 0)
        wc_people_view_fini(out);
    return rc;
}

void wc_people_view_fini(struct wc_people_view *v)
{
    wc_doc_free(v->row_doc);
    wc_doc_free(v->profile_doc);
    wc_doc_free(v->local_doc);
    wc_buf_fini(&v->row_bytes);
    wc_buf_fini(&v->profile_bytes);
    wc_buf_fini(&v->local_bytes);
    v->row_doc = v->profile_doc = v->local_doc = NULL;
}
