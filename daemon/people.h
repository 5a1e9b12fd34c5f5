/* SPDX-License-Identifier: Apache-2.0 */
/* A person as others see them: the directory's row and the own profile, merged. */
#ifndef WHOCAN_DAEMON_PEOPLE_H
#define WHOCAN_DAEMON_PEOPLE_H

#include <whocan/audience.h>
#include <whocan/person.h>

#include "daemon/records.h"

struct wc_people_view {
    struct wc_person
        person; /* merged: the profile's fields win; skills of both, own first */
    bool has_row, has_profile;
    uint32_t own_skill_count;      /* skills[0..own) are self-declared, the rest the
                                      directory's */
    uint64_t row_rev, profile_rev; /* 0 when absent */
    struct wc_person row, profile; /* each side alone, as every office has it */
    struct wc_parts
        local;      /* what the audience sees beside that; the first part is empty */
    bool by_person; /* the profile is signed by a person, not by the office */
    uint64_t
        key_changed_said_ms; /* when the key changed, as the profile says; 0: never */
    uint64_t key_changed_seen_ms; /* the same, as this office saw it */
    /* what the slices point into */
    struct wc_buf row_bytes, profile_bytes, local_bytes;
    struct wc_doc *row_doc, *profile_doc, *local_doc;
};

/* Read one person (about 40 KB: keep it off small stacks) as every office sees them.
 * -WC_ENOTFOUND when there is neither row nor profile. Call wc_people_view_fini() after 0. Any thread. */
int wc_people_load(struct wc_records *r, const uint8_t office_key[WC_KEY_BYTES],
                   const char *subject, struct wc_people_view *out);
/* The same as `audience` sees them: for people of this office alone, since what stands
 * beside a profile is kept by login. The caller knows that it may see that. Nothing is
 * loaded of what is for a narrower audience. */
int wc_people_load_as(struct wc_records *r, const uint8_t office_key[WC_KEY_BYTES],
                      const char *subject, enum wc_audience audience,
                      struct wc_people_view *out);
/* The same, and when this office itself saw the key change: for showing somebody. What
 * has ended (wc_records_shows()) is as if it was not there. */
int wc_people_load_shown(struct wc_records *r, const uint8_t office_key[WC_KEY_BYTES],
                         const char *subject, enum wc_audience audience,
                         struct wc_people_view *out);
void wc_people_view_fini(struct wc_people_view *v);

#endif
