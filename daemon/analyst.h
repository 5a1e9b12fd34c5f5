/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a person from the records and works out what the index keeps of them. One for each
 * thread that analyses.
 */
#ifndef WHOCAN_DAEMON_ANALYST_H
#define WHOCAN_DAEMON_ANALYST_H

#include "daemon/index_internal.h"

/* An office whose people were met, and what of it they are found by. */
struct wc_analyst_office {
    uint8_t key[WC_KEY_BYTES];
    char text[WC_OFFICE_TEXT_BYTES];
};

/* Zero-initialise but for the first three, which are borrowed. Some 90 KB. */
struct wc_analyst {
    struct wc_index *ix;
    struct wc_text *text;
    struct wc_terms *terms;
    struct wc_people_view view;
    struct wc_people_view home_view; /* as the home office sees the same person */
    struct wc_unit units[WC_UNITS_MAX];
    struct wc_analyst_office *offices;
    uint32_t office_count, office_cap;
};
void wc_analyst_fini(struct wc_analyst *a);
/* Offices are read anew: their cards may have changed. */
void wc_analyst_reset(struct wc_analyst *a);

struct wc_analysed {
    bool exists;     /* else nothing of the rest is set, and there are no terms */
    uint32_t office; /* of the analyst's */
    uint8_t
        traits[2 * WC_TRAITS_BYTES]; /* as every office sees them, as the home office */
};
/* One person; the terms are in a->terms until the next one. Who is not there, or cannot be
 * read, does not exist. -WC_ENOMEM, -WC_EIO, -WC_EBUSY. */
int wc_analyst_read(struct wc_analyst *a, const struct wc_person_ref *who,
                    struct wc_analysed *out);

#endif
