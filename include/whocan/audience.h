/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may see a field of a profile. What is the organisation's stands in the signed
 * record that every office gets; all else stays in the home office, as one map beside it:
 *
 *   { "office"?: {fields}, "match"?: {fields}, "me"?: {fields} }
 *
 * with fields as in whocan/person.h, each of them, each skill and each interest in one
 * audience alone. A field that is there but empty remembers its audience for the next
 * value.
 */
#ifndef WHOCAN_AUDIENCE_H
#define WHOCAN_AUDIENCE_H

#include <whocan/error.h>
#include <whocan/limits.h>
#include <whocan/pack.h>
#include <whocan/person.h>

/* From the widest to the narrowest: each sees what those before it see. */
enum wc_audience {
    WC_AUDIENCE_ORGANISATION, /* every office */
    WC_AUDIENCE_OFFICE,       /* people of the home office */
    WC_AUDIENCE_MATCH,        /* nobody: only a question may meet it */
    WC_AUDIENCE_ME,           /* nobody but its owner */
};
#define WC_AUDIENCE_COUNT 4

/* "organisation", "office", "match", "me". */
const char *wc_audience_name(enum wc_audience audience);
/* 0 or -WC_EINVALID. */
int wc_audience_find(struct wc_slice name, enum wc_audience *out);

/* A profile taken apart by audience. About 16 KB; all slices are borrowed. */
struct wc_parts {
    struct wc_person of[WC_AUDIENCE_COUNT];
};

/*
 * Read the map above (NULL: none) into all parts but the organisation's, which is left as
 * it is. Other keys are passed over. What wc_person_decode() says of a part; -WC_ETYPE.
 */
int wc_parts_read(struct wc_parts *parts, const struct wc_obj *local,
                  struct wc_err *err);

/* 0 when each field and each name stands in one part alone and the lists fit together
 * into one profile. -WC_EINVALID, -WC_ETOOBIG. */
int wc_parts_check(const struct wc_parts *parts, struct wc_err *err);

/* Whether any part but the organisation's holds something, if only an audience. */
bool wc_parts_has_local(const struct wc_parts *parts);

/* Pack the map above. */
void wc_parts_pack(struct wc_buf *b, const struct wc_parts *parts);

/* Lay over *to what `audience` sees beside the organisation's part. */
void wc_parts_join(struct wc_person *to, const struct wc_parts *parts,
                   enum wc_audience audience);

/*
 * Pack which field and which name has which audience, those of the organisation left out:
 * { "phone": "office", "skills": { "sign language": "match" } }
 */
void wc_parts_pack_marks(struct wc_buf *b, const struct wc_parts *parts);

/*
 * Check the map of an edit that says which audience its fields are to have. As above, or
 * one audience for a whole list; "organisation" is one too. -WC_ETYPE, -WC_EINVALID.
 */
int wc_audiences_check(const struct wc_obj *map, struct wc_err *err);

/* What such a map (NULL: it says nothing) says of a field, or of one name of a list:
 * -1 nothing, else an enum wc_audience. */
int wc_audience_of_field(const struct wc_obj *map, enum wc_person_field field);
int wc_audience_of_name(const struct wc_obj *map, enum wc_person_field list,
                        struct wc_slice name);

#endif
