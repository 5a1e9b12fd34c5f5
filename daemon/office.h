/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which office this is. The identity lives in the records store under the meta key
 * "identity". A fresh daemon stands alone in an organisation of its own; joining one
 * signs its people's records anew under the new key.
 */
#ifndef WHOCAN_DAEMON_OFFICE_H
#define WHOCAN_DAEMON_OFFICE_H

#include <whocan/cert.h>

#include "daemon/config.h"
#include "daemon/index.h"
#include "daemon/records.h"

#define WC_OFFICE_META_KEY "identity"

/* Read the identity, or make and store a standalone one named config->office or after
 * the host. -WC_ECORRUPT, -WC_EVERSION, -WC_ENOMEM or what the store said; *problem gets
 * one line. Free with wc_office_free(). */
int wc_office_load(struct wc_identity **out, struct wc_records *records,
                   const struct wc_config *config, char problem[WC_PROBLEM_BYTES]);

/* A new standalone identity of that name. -WC_EINVALID, -WC_ENOMEM. */
int wc_office_standalone(struct wc_identity **out, const char *name);

void wc_office_free(struct wc_identity *identity); /* wipes; NULL is fine */

/* Whether it stands alone: then nobody signed it but itself. */
bool wc_office_is_standalone(const struct wc_identity *identity);

/* A host name as an office name: lower case, other characters become -, "office" when
 * nothing is left. */
void wc_office_slug(const char *host, char out[WC_OFFICE_NAME_MAX_BYTES + 1]);

/*
 * Become another office: sign the people's records of `from` anew as `to`, store `to` as
 * the identity, and delete what belonged to `from`, each durably and in this order, so
 * that a crash loses nobody: the next start clears what is left of the other one.
 * Takes long with many people: on the pool, with the engine stopped. *moved: how many
 * people. On failure `from` is still the identity. When both have the same keys (an
 * admission) every record stays as it is, and its handle changes with the office's name.
 */
int wc_office_adopt(struct wc_records *records, struct wc_index *index,
                    const struct wc_identity *from, const struct wc_identity *to,
                    uint64_t now_ms, uint64_t *moved);

/*
 * Leave: go back to standing alone under a fresh identity, in two parts, so that a crash
 * leaves the office a member, or alone with all its people, and never in between.
 *
 * wc_office_begin_leave() makes the decision durable, together with the note that the
 * keys of `from` are used up; `to` comes from wc_office_standalone(). It may run while the
 * engine works. wc_office_end_leave(), with the engine stopped, signs the people anew as
 * `to`, stores it, and drops what is not of `to`, from the files' free pages, too, when
 * there is space for a copy. Should the process end between the two, or in the second,
 * wc_office_resume_leave() at the next start does the rest: it replaces *identity, or does
 * nothing. All on the pool, or before the loop runs. -WC_EFULL, -WC_ENOMEM, -WC_EIO; after
 * an error of the second part the process must end: others may have been told.
 */
int wc_office_begin_leave(struct wc_records *records, const struct wc_identity *from,
                          const struct wc_identity *to);
int wc_office_end_leave(struct wc_records *records, struct wc_index *index,
                        const struct wc_identity *from, const struct wc_identity *to,
                        uint64_t now_ms, uint64_t *moved);
int wc_office_resume_leave(struct wc_records *records, struct wc_index *index,
                           struct wc_identity **identity, uint64_t now_ms);

/* Whether an office here left with these keys: others hold retirements of all that they
 * signed, and joining with them again would bring those here. */
bool wc_office_has_left(struct wc_records *records, const uint8_t key[WC_KEY_BYTES]);

#endif
