/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the index needs of the records beside their content: which people changed since
 * it last looked, so that it can catch up after a crash. Nobody else includes this.
 */
#ifndef WHOCAN_DAEMON_RECORDS_LOG_H
#define WHOCAN_DAEMON_RECORDS_LOG_H

#include "daemon/records.h"

/* Changes kept for an index that is behind. Beyond this, building it anew is as quick. */
#define WC_LOG_MAX_COUNT 200000

/* 16 random bytes, drawn when the store is made and whenever it is cleared. */
#define WC_INSTANCE_BYTES 16

/* Where the store stands. An index that was built from another instance, or that is
 * ahead of the sequence (a backup was restored), is of no use. */
struct wc_records_state {
    uint8_t instance[WC_INSTANCE_BYTES];
    uint64_t sequence; /* of the last committed change; never falls, never repeats */
};
int wc_records_state(struct wc_records *r, struct wc_records_state *out);

/* One change to a row, a profile or an office card. */
struct wc_log_entry {
    uint64_t sequence;
    uint8_t kind;
    struct wc_person_ref who;
};

/*
 * The changes after `after`, in order, at most `limit`. Returns how many, or
 * -WC_ESTALE when some of them are no longer kept: build anew.
 */
int wc_records_log(struct wc_records *r, uint64_t after, struct wc_log_entry *out,
                   int limit);

/* The index holds everything up to `sequence`: the next commit forgets the log up to
 * there. Any thread. */
void wc_records_indexed(struct wc_records *r, uint64_t sequence);

#endif
