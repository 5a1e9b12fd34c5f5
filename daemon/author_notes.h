/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this office itself saw of the keys that profiles were signed with. When a profile
 * comes by another person key than the last one seen in its slot, that is noted with the
 * time of this machine, whatever the record or its office say about it.
 *
 * The last person key of a slot is that of the record held, or else stands in a note: one
 * is written when a profile by a person gives way to one by its office, to a retirement,
 * or to nothing. So neither hides a change of key. Notes are hashes and times, without a
 * word of a profile; they are forgotten when they could no longer be shown.
 *
 *   "@" ‖ slot (32)  ->  hash of the key (32) ‖ changed at (8, 0 never) ‖ noted at (8)
 *   "@next"          ->  the slot at which the next look for old notes begins
 */
#ifndef WHOCAN_DAEMON_AUTHOR_NOTES_H
#define WHOCAN_DAEMON_AUTHOR_NOTES_H

#include <whocan/limits.h>

#include "daemon/store.h"

/* The content of a slot changes. Keys are NULL for what is not a profile signed by a
 * person. Inside a write transaction, before the old content is gone; `table` has the
 * notes. Errors of the store, -WC_ECORRUPT. */
int wc_author_changes(struct wc_txn *t, uint32_t table,
                      const uint8_t slot[WC_DIGEST_BYTES], const uint8_t *old_key,
                      const uint8_t *new_key, uint64_t now_ms);

/* When the key of a slot changed, as noted here; 0: never. Errors of the store. */
int wc_author_changed_at(struct wc_txn *t, uint32_t table,
                         const uint8_t slot[WC_DIGEST_BYTES], uint64_t *changed_at_ms);

#endif
