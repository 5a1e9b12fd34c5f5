/* SPDX-License-Identifier: Apache-2.0 */
/* What a number of people have in common: how many have each skill, at which level, and
 * how many are of each office. */
#ifndef WHOCAN_DAEMON_FACETS_H
#define WHOCAN_DAEMON_FACETS_H

#include "daemon/people.h"
#include "daemon/vocabulary.h"

struct wc_facet_skill {
    const char *name; /* what the concept is called, or as the first person writes it */
    const char *id;   /* of the concept, or NULL */
    uint32_t people;
    uint32_t levels[WC_LEVEL_EXPERT + 1]; /* of them; by enum wc_level */
};

struct wc_facet_office {
    uint8_t key[WC_KEY_BYTES];
    uint32_t people;
};

/* An empty count, for one thread. The vocabulary (NULL: none) is shared. -WC_ENOMEM. */
struct wc_facets;
int wc_facets_new(struct wc_facets **out, const struct wc_vocabulary *v);
void wc_facets_free(struct wc_facets *f); /* NULL is fine */

/* Count a person: each skill once, also if it has several names, and none that they only
 * want to learn. -WC_ENOMEM. */
int wc_facets_add(struct wc_facets *f, const uint8_t office_key[WC_KEY_BYTES],
                  const struct wc_person *p);

/* Put them in order: what most people have first, then by name; offices so too, then by key.
 * After the last person, before looking. */
void wc_facets_sort(struct wc_facets *f);

uint32_t wc_facets_people(const struct wc_facets *f);
uint32_t wc_facets_skills_count(const struct wc_facets *f);
const struct wc_facet_skill *wc_facets_skill(const struct wc_facets *f, uint32_t i);
uint32_t wc_facets_offices_count(const struct wc_facets *f);
const struct wc_facet_office *wc_facets_office(const struct wc_facets *f, uint32_t i);

#endif
