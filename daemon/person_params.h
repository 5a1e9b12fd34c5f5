/* SPDX-License-Identifier: Apache-2.0 */
/* A person on the socket: the fields that come in, and how one goes out. */
#ifndef WHOCAN_DAEMON_PERSON_PARAMS_H
#define WHOCAN_DAEMON_PERSON_PARAMS_H

#include "daemon/index.h"
#include "daemon/methods.h"
#include "daemon/people.h"

/* "alice@leeds": a login, an @ and an office. */
#define WC_HANDLE_MAX_BYTES (WC_SUBJECT_MAX_BYTES + 1 + WC_OFFICE_NAME_MAX_BYTES)

/* An invitation in text: an identity is at most two kilobytes. */
#define WC_INVITE_MAX_BYTES 4096

/* The fields of a row but its handle; ends with a NULL name. wc_person_decode() checks
 * their values. */
extern const struct wc_param wc_person_params[];

/* What is wrong with one row or profile, in words for a person. */
struct wc_field_problem {
    int rc;
    char field[64]; /* empty: none in particular */
    char reason[160];
};

/* Fill *p and return rc. field and reason may be NULL: none, and the text of rc. */
int wc_field_problem(struct wc_field_problem *p, int rc, const char *field,
                     const char *reason);

/*
 * Read the fields of a person in a map (NULL: no field). A key that is neither a field
 * nor one of `also` (NULL-terminated) is refused. *out borrows from the document.
 */
int wc_person_params_decode(const struct wc_obj *map, const char *const *also,
                            struct wc_person *out, struct wc_field_problem *problem);

/* Take "alice" or "alice@leeds" apart; *office is empty for the first. -WC_EINVALID. */
int wc_handle_split(struct wc_slice handle, struct wc_slice *login,
                    struct wc_slice *office);

/* A time as RFC 3339 in UTC; 0 and what has more than four digits of year pack nil. */
void wc_pack_time(struct wc_buf *b, uint64_t ms);

/*
 * A person as docs/socket.md has it. hit (NULL for none) adds score and why. `now_ms`
 * says which day it is in the machine's time zone.
 */
void wc_pack_person(struct wc_buf *b, const struct wc_people_view *v,
                    const char *subject, const char *office, const struct wc_hit *hit,
                    uint64_t now_ms);

/* How many MessagePack objects wc_pack_person() writes, at most. */
uint32_t wc_person_nodes(const struct wc_people_view *v);

/* A row: handle and the fields that are there. */
void wc_pack_row(struct wc_buf *b, const struct wc_person *p, const char *subject,
                 const char *office);

#endif
