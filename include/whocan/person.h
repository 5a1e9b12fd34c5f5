/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a person, as rows and profiles carry them. Body keys and socket keys
 * are the same words, so there is one codec: the body of a record, the parameters of
 * me.set and people.import and the command line's JSON all name a field alike.
 *
 *   "name" str, "title" str, "team" str,
 *   "skills" [ { "name": str, "level"?: str, "id"?: str, "mentor"?: bool, "learn"?:
 * bool } | str ], "interests" [ str ], "ask_me_about" str, "languages" [ str ],
 *   "working_days" [ "mon".."sun" ], "email" str, "phone" str, "willing" bool,
 *   "confirmed_at" uint (ms since 1970: when its author last said that this is right),
 *   "key_changed_at" uint (ms since 1970: when another person key took over)
 *
 * The last two are written by whoever builds a body (whocan/edit.h) and never come from
 * a caller's fields.
 *
 * In bodies a skill is always a map and absent fields are left out.
 */
#ifndef WHOCAN_PERSON_H
#define WHOCAN_PERSON_H

#include <whocan/error.h>
#include <whocan/limits.h>
#include <whocan/pack.h>

enum wc_level {
    WC_LEVEL_NONE = 0, /* not said */
    WC_LEVEL_AWARENESS = 1,
    WC_LEVEL_WORKING = 2,
    WC_LEVEL_PRACTITIONER = 3,
    WC_LEVEL_EXPERT = 4,
};

/* "expert"; "" for WC_LEVEL_NONE. */
const char *wc_level_name(enum wc_level level);
/* 0, or -WC_EINVALID. Case of ASCII letters does not matter. */
int wc_level_parse(struct wc_slice text, enum wc_level *out);

struct wc_skill {
    struct wc_slice name;
    struct wc_slice id; /* of a vocabulary entry, or empty */
    enum wc_level level;
    bool mentor; /* willing to mentor */
    bool learn;  /* wants to learn: an interest rather than a skill */
};

/* Which fields are present: absent and empty differ in an edit (empty clears). */
enum wc_person_field {
    WC_PERSON_NAME = 1u << 0,
    WC_PERSON_TITLE = 1u << 1,
    WC_PERSON_TEAM = 1u << 2,
    WC_PERSON_SKILLS = 1u << 3,
    WC_PERSON_INTERESTS = 1u << 4,
    WC_PERSON_ASK_ME_ABOUT = 1u << 5,
    WC_PERSON_LANGUAGES = 1u << 6,
    WC_PERSON_WORKING_DAYS = 1u << 7,
    WC_PERSON_EMAIL = 1u << 8,
    WC_PERSON_PHONE = 1u << 9,
    WC_PERSON_WILLING = 1u << 10,
    WC_PERSON_CONFIRMED_AT = 1u << 11,
    WC_PERSON_KEY_CHANGED_AT = 1u << 12,
};

/* All slices borrow from the document that was decoded. About 4 KB: fine on the stack.
 */
struct wc_person {
    uint32_t present; /* of enum wc_person_field */
    struct wc_slice name, title, team, ask_me_about, email, phone;
    struct wc_skill skills[WC_SKILLS_MAX_COUNT];
    uint32_t skill_count;
    struct wc_slice interests[WC_INTERESTS_MAX_COUNT];
    uint32_t interest_count;
    struct wc_slice languages[WC_LANGUAGES_MAX_COUNT];
    uint32_t language_count;
    uint8_t working_days; /* bit 0 Monday .. bit 6 Sunday */
    bool willing;
    uint64_t confirmed_at_ms;
    uint64_t key_changed_at_ms;
};

/*
 * Read the fields of a map. Every text must be UTF-8 without control characters
 * (newline and tab are allowed in ask_me_about), within its limit. Unknown keys are
 * ignored here (they are kept by wc_person_pack_merged). *err names the field
 * ("skills[].level").
 */
int wc_person_decode(const struct wc_obj *map, struct wc_person *out,
                     struct wc_err *err);

/* Number of pairs that wc_person_pack_fields will write, and the pairs themselves (for
 * a map that the caller has begun). */
uint32_t wc_person_pairs(const struct wc_person *p);
void wc_person_pack_fields(struct wc_buf *b, const struct wc_person *p);

/* Whether two names of skills or interests are the same: case of ASCII letters does not
 * matter. */
bool wc_name_eq(struct wc_slice a, struct wc_slice b);

/* Whether `key` is one of the fields above that somebody may fill in: not a time that
 * whoever builds a body writes. */
bool wc_person_field_known(struct wc_slice key);

/* All that somebody may fill in. */
#define WC_PERSON_FILLED ((uint32_t)WC_PERSON_CONFIRMED_AT - 1)

/* "phone"; and back, 0 for what is no field. */
const char *wc_person_field_name(enum wc_person_field field);
uint32_t wc_person_field_find(struct wc_slice key);

/* Copy one field, `present` left as it is; false when it holds nothing. */
bool wc_person_field_copy(enum wc_person_field field, struct wc_person *to,
                          const struct wc_person *from);

/* Lay `edit` over `base`: every field present in edit replaces that of base; an empty
 * text or list removes the field. */
void wc_person_merge(struct wc_person *base, const struct wc_person *edit);

/*
 * The body of a row or profile: header, the fields of p, and every pair of old_body
 * (may be NULL) whose key is unknown to this version.
 */
int wc_person_body(const uint8_t office_key[WC_KEY_BYTES], const char *subject,
                   uint64_t rev, const struct wc_person *p,
                   const struct wc_obj *old_body, struct wc_buf *out);

/* A login that can be the subject of a person: 1..32 bytes of [a-z0-9._-], starting
 * with a letter, digit or underscore. */
bool wc_login_valid(struct wc_slice login);

#endif
