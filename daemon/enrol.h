/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who signs as whom here: for each login the account that it belongs to and the key that
 * its person signs with; and the one change that the intranet asked for and its person has
 * not confirmed. All of it is local and durable, and is never offered to another office.
 *
 *   "person/LOGIN/enrolled"  ->  [ 1, uid, since, key (bin 32) or nil, key_changed_at ]
 *   "person/LOGIN/pending"   ->  [ 1, edit ("set"), asked_at, by, fields (map) ]
 *   "key-owner/HASH"         ->  hash of the login: no key serves two logins
 *
 * The first two are facts about the person (about.h): exported to them, and erased with
 * them. The third holds hashes alone.
 */
#ifndef WHOCAN_DAEMON_ENROL_H
#define WHOCAN_DAEMON_ENROL_H

#include <whocan/edit.h>

#include "daemon/records.h"

struct wc_enrolment {
    bool known; /* somebody edited here under this login */
    uint64_t uid;
    uint64_t since_ms; /* of this person */
    bool has_key;
    uint8_t key[WC_KEY_BYTES];
    uint64_t key_changed_at_ms; /* another key, or another person, took over; 0 never */
};

/* Read it; *out says not known when there is none. Any thread. -WC_ECORRUPT, errors of
 * the store. */
int wc_enrol_get(struct wc_records *r, const char *login, struct wc_enrolment *out);

/* Whether the account with that uid is the person who edits under this login: somebody
 * else may have had it before. False too when that cannot be read. Any thread. */
bool wc_enrol_is(struct wc_records *r, const char *login, uint64_t uid);

/*
 * Replace `old` (as wc_enrol_get() gave it) by `now`. With `another` it is another person
 * from now on: what waits for the former goes too, and what leavers.h knows of their
 * account. Durable; waits for the disk: never on the loop thread. -WC_EEXISTS:
 * the key is enrolled for another login.
 */
int wc_enrol_put(struct wc_records *r, const char *login,
                 const struct wc_enrolment *old, const struct wc_enrolment *now,
                 bool another);

/* ---- what waits ---- */

#define WC_PENDING_ID_CHARS 16

struct wc_pending_edit {
    enum wc_edit_kind kind;
    uint64_t asked_at_ms;
    struct wc_slice by;          /* who asked: the login of the intranet's account */
    const struct wc_obj *fields; /* as wc_person_decode() takes them */
    char id[WC_PENDING_ID_CHARS + 1]; /* another one for each change */
    /* what the above points into */
    struct wc_buf bytes;
    struct wc_doc *doc;
};

/* -WC_ENOTFOUND: nothing waits. Call wc_pending_fini() after 0. Any thread. */
int wc_pending_get(struct wc_records *r, const char *login,
                   struct wc_pending_edit *out);
void wc_pending_fini(struct wc_pending_edit *p);

/* Pack one with the audiences that it asks for (NULL: none), and store what was packed in place of what waits. The second waits for the
 * disk. */
void wc_pending_pack(struct wc_buf *out, enum wc_edit_kind kind, uint64_t asked_at_ms,
                     const char *by, const struct wc_person *fields,
                     const struct wc_obj *audiences);
int wc_pending_put(struct wc_records *r, const char *login, struct wc_slice packed);
int wc_pending_drop(struct wc_records *r, const char *login);

#endif
