/* SPDX-License-Identifier: Apache-2.0 */
/* The skills that people have, counted, and completed while somebody types one. */
#ifndef WHOCAN_DAEMON_SKILLS_H
#define WHOCAN_DAEMON_SKILLS_H

#include "daemon/index.h"

struct wc_skills_query {
    struct wc_slice prefix; /* what was typed; empty: every skill that somebody has */
    uint32_t limit;
    bool home; /* of somebody of the home office: what is for it alone is counted too */
};

/* Borrowed during the call. */
struct wc_skill_row {
    struct wc_slice name; /* what the concept is called, or the name that most use */
    const char *id;       /* of the concept, or NULL */
    const char *alias;    /* the other label that goes on as was typed, or NULL */
    uint32_t people;      /* who have it; who only want to learn it have not */
};
typedef void (*wc_skill_fn)(void *ctx, const struct wc_skill_row *row);

/* Zero-initialise; `corrected` is the caller's to free. */
struct wc_skills_found {
    uint64_t total; /* how many there are, shown or not */
    struct wc_buf
        corrected; /* what the beginning was taken for when nothing begins as it
                                was typed; else empty */
};

/*
 * Call fn for the skills whose name, or one of whose other labels, goes on as was typed:
 * those that most people have first, at most `limit`. Concepts that nobody has are among
 * them when something was typed. Of names that are no concepts
 * at most WC_SKILL_NAMES_MAX are looked at. -WC_ENOMEM, -WC_ECORRUPT, -WC_EIO. Any thread.
 */
#define WC_SKILL_NAMES_MAX 50000
int wc_index_skills(struct wc_index *ix, const struct wc_skills_query *query,
                    wc_skill_fn fn, void *ctx, struct wc_skills_found *found);

#endif
