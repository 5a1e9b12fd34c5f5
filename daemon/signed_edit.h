/* SPDX-License-Identifier: Apache-2.0 */
/* A body that a person signed, as me.put brings it: whether this office stamps it. */
#ifndef WHOCAN_DAEMON_SIGNED_EDIT_H
#define WHOCAN_DAEMON_SIGNED_EDIT_H

#include "daemon/enrol.h"
#include "daemon/person_params.h"

struct wc_signed_edit {
    struct wc_slice body;
    const uint8_t *key; /* WC_KEY_BYTES */
    const uint8_t *sig; /* WC_SIG_BYTES */
};

/* What this office knows. */
struct wc_signed_rules {
    const uint8_t *office_key; /* WC_KEY_BYTES */
    const char *login;         /* of the caller */
    uint64_t rev;              /* the one that comes next */
    const struct wc_enrolment *enrolled;
    uint64_t now_ms;
};

/*
 * 0, and *key_changed_at_ms is what the body says of it (0: nothing). -WC_EDENIED: of
 * another office or login, or signed with the office's key. -WC_ESTALE: not the next
 * rev. -WC_EBADSIG. -WC_EFUTURE: its confirmed_at. -WC_EINVALID: its key_changed_at is
 * not what it has to be. Else what is wrong with a field. *problem says it in words.
 */
int wc_signed_edit_check(const struct wc_signed_edit *edit,
                         const struct wc_signed_rules *rules,
                         uint64_t *key_changed_at_ms, struct wc_field_problem *problem);

/* What key_changed_at a body has to carry that is signed with `key` (NULL: by the office)
 * now; 0: none. */
uint64_t wc_key_changed_due(const struct wc_enrolment *enrolled, const uint8_t *key,
                            uint64_t now_ms);

#endif
