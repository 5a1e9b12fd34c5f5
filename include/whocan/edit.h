/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An edit of a profile: from the body that is there to the body that is to be signed. The
 * command builds it and signs with the person's key; the daemon builds it for somebody
 * who has none, and signs as the office. Whoever signs has built the words, so both use
 * this.
 */
#ifndef WHOCAN_EDIT_H
#define WHOCAN_EDIT_H

#include <whocan/audience.h>
#include <whocan/error.h>
#include <whocan/limits.h>
#include <whocan/pack.h>
#include <whocan/person.h>

enum wc_edit_kind {
    WC_EDIT_SET,  /* each field that is given replaces the old one; empty clears it */
    WC_EDIT_ADD,  /* skills and interests are added; one of the same name is replaced */
    WC_EDIT_DROP, /* skills and interests of these names are taken out */
};

/* "set", "add", "drop". */
const char *wc_edit_name(enum wc_edit_kind kind);
/* 0 or -WC_EINVALID. */
int wc_edit_find(struct wc_slice name, enum wc_edit_kind *out);

/* What is edited. */
struct wc_edit_base {
    const uint8_t *office_key;  /* WC_KEY_BYTES, borrowed */
    const char *subject;        /* the login, borrowed */
    uint64_t rev;               /* that the new body gets */
    uint64_t now_ms;            /* becomes confirmed_at */
    uint64_t key_changed_at_ms; /* 0: the body says nothing of it */
    const struct wc_obj *body;  /* the body that is there, or NULL */
    const struct wc_obj *local; /* what stays in the office (audience.h), or NULL */
};

/*
 * Append the new body to *body, and to *local what stays in the office beside it; nothing
 * when there is none. What the old body has and this version does not know is kept.
 * `audiences` (may be NULL) says where fields and names are to stand, those that `fields`
 * does not give included: they move. What it does not speak of stays where it is, and what
 * is new is the organisation's. *dropped (may be NULL) gets the skills and interests that
 * WC_EDIT_DROP found, borrowed from what was there. -WC_ETOOBIG when lists grow over their
 * limit, -WC_ENOTFOUND when a name that is to move is not there, what wc_person_decode()
 * and wc_audiences_check() say, -WC_ENOMEM; *err names the field. Needs about 60 KB of
 * stack.
 */
int wc_edit_build(const struct wc_edit_base *base, enum wc_edit_kind kind,
                  const struct wc_person *fields, const struct wc_obj *audiences,
                  struct wc_buf *body, struct wc_buf *local, struct wc_person *dropped,
                  struct wc_err *err);

#endif
