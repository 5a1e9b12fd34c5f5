/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What whoever is found must have beside answering the question. Two looks: the traits of
 * everybody lie in the index, a few bytes each, and leave out nearly all that do not fit;
 * who is left is read, best first, and is looked at as a whole (why.h).
 */
#ifndef WHOCAN_DAEMON_FILTER_H
#define WHOCAN_DAEMON_FILTER_H

#include <whocan/person.h>

#include "daemon/text.h"

/* Zero: nothing. */
struct wc_filter {
    struct wc_slice team;     /* all its words stand in the name of their team */
    struct wc_slice language; /* and these in that of one of their languages */
    enum wc_level level;      /* at least, of the skill that answers best; NONE: any */
    bool mentor;              /* willing to mentor in that skill */
    uint8_t day;              /* a bit of wc_person.working_days; 0: any day */
};

bool wc_filter_is_set(const struct wc_filter *f);
/* Whether it is about the skill that answers. */
bool wc_filter_skills(const struct wc_filter *f);

/* -WC_EINVALID: a team or language without a word, and *field names it; -WC_ENOMEM. */
int wc_filter_check(const struct wc_filter *f, struct wc_text *text,
                    const char **field);

/*
 * The traits of a person:
 *
 *   working days (1; all when none are said) ‖ highest level of a skill, + 8 with a skill
 *   to mentor in (1) ‖ three bits of 64 for each word of team and languages (8)
 */
#define WC_TRAITS_BYTES 10

/* -WC_ENOMEM. */
int wc_traits_of(const struct wc_person *p, struct wc_text *text,
                 uint8_t out[WC_TRAITS_BYTES]);
/* The least that whoever passes has. -WC_ENOMEM. */
int wc_filter_traits(const struct wc_filter *f, struct wc_text *text,
                     uint8_t out[WC_TRAITS_BYTES]);
/* Whether somebody may pass; nobody who passes does not. */
bool wc_traits_suffice(const uint8_t have[WC_TRAITS_BYTES],
                       const uint8_t least[WC_TRAITS_BYTES]);

/* Whether somebody passes, but for what is about skills. -WC_ENOMEM. */
int wc_filter_person(const struct wc_filter *f, struct wc_text *text,
                     const struct wc_person *p, bool *passes);
/* Whether a skill that answers the question is one of those wanted. */
bool wc_filter_skill(const struct wc_filter *f, const struct wc_skill *s);

/* The day of the week of a time here, as a bit of wc_person.working_days; all of them when
 * nobody can tell. */
uint8_t wc_filter_day(uint64_t now_ms);

#endif
