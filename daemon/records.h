/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable store of records: one LMDB environment in the state directory, the only
 * thing to back up.
 *
 * Threads: one committer at a time (wc_records_commit), any number of readers. Every
 * read checks the digest kept beside each record: flipped bytes on disk are an error,
 * never data.
 */
#ifndef WHOCAN_DAEMON_RECORDS_H
#define WHOCAN_DAEMON_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include <whocan/bytes.h>
#include <whocan/limits.h>

struct wc_records;

/*
 * Open, or create atomically, the store in state_dir (made with mode 0700 when its
 * parent exists). *problem gets one line for the operator on failure (static size,
 * never NULL-terminated short). -WC_EBUSY another daemon has it; -WC_EDENIED it belongs
 * to another user or has a loose mode; -WC_EVERSION newer schema; -WC_ECORRUPT;
 * -WC_EFULL; -WC_EIO.
 */
int wc_records_open(struct wc_records **out, const char *state_dir,
                    char problem[WC_PROBLEM_BYTES]);
void wc_records_close(struct wc_records *r); /* NULL is fine */

/* One of the small values below, put or deleted. */
struct wc_meta_edit {
    const char *key;
    struct wc_slice value;
    bool drop;  /* delete it, if it is there */
    bool claim; /* another value there is an error */
};

/* A change of one slot, as the node's PUT and DROP effects give it. */
struct wc_change {
    bool drop;
    uint8_t slot[WC_DIGEST_BYTES];
    uint8_t kind; /* of the slot: a retirement has the kind that it ends */
    uint8_t office_key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1]; /* not looked at when a row or profile ends:
                                               what the slot has says whose it was */
    uint8_t *bytes; /* the record; owned by whoever holds the change; NULL for a drop */
    size_t len;
    uint64_t token;                    /* carried along, not looked at */
    const struct wc_meta_edit *beside; /* in the same transaction; NULL: nothing */
};

/* All changes in one durable transaction, or none. -WC_EFULL (recoverable), -WC_EIO
 * (the process must exit and let the service manager restart it). */
int wc_records_commit(struct wc_records *r, const struct wc_change *changes,
                      size_t count);

/* Append the record of a slot. -WC_ENOTFOUND, -WC_ECORRUPT. Any thread. */
int wc_records_get(struct wc_records *r, const uint8_t slot[WC_DIGEST_BYTES],
                   struct wc_buf *out);

/*
 * Records end, and stay in the store for a day after, in case it was the clock that was
 * wrong. Nothing that has ended is to be shown meanwhile: wc_records_shows() says so. What
 * the home office has is shown there as long as it is kept: it is the one that stamps
 * it, and when its certificate ends its own people go on finding each other. While the clock is
 * not to be trusted (home_key NULL, and at first) everything is shown. The clock is
 * looked at each time, so that one that is set right undoes all that a wrong one did.
 * Any thread.
 */
void wc_records_hide_ended(struct wc_records *r, const uint8_t *home_key,
                           uint64_t (*now_ms)(void));
bool wc_records_shows(struct wc_records *r, const uint8_t office_key[WC_KEY_BYTES],
                      uint64_t expires_at_ms);

/* Every record in turn: the rotation, grants and revocations, cards, and the others. fn returning non-zero stops with that value.
 * Damaged records are counted in *damaged (may be NULL) and left out. */
typedef int (*wc_records_fn)(void *ctx, struct wc_slice record);
int wc_records_each(struct wc_records *r, wc_records_fn fn, void *ctx,
                    uint64_t *damaged);

/* One slice of that, a megabyte: zero the place, and call until it is done. */
struct wc_records_place {
    uint8_t from[9];
    uint64_t damaged; /* so far */
    bool done;
};
int wc_records_slice(struct wc_records *r, struct wc_records_place *place,
                     wc_records_fn fn, void *ctx);

/* Look at the file of a store that is not open (store_pages.h). 0; -WC_ENOTFOUND: there is
 * none; -WC_ECORRUPT and one line; -WC_EBUSY: a daemon has it; -WC_EIO, -WC_EDENIED. */
int wc_records_check_file(const char *state_dir, char problem[WC_PROBLEM_BYTES]);

/*
 * The people of an office (NULL: of all), in order of office key and subject, after the
 * given person (NULL: from the start), at most `limit` of them, in one short read
 * transaction. Returns how many, or a negative error. A person is somebody with a row
 * or a profile.
 */
struct wc_person_ref {
    uint8_t office_key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
};
int wc_records_people(struct wc_records *r, const uint8_t *office_key,
                      const struct wc_person_ref *after, struct wc_person_ref *out,
                      int limit);

/* How many people an office has (NULL: all offices). Kept up to date by commits: cheap.
 */
uint64_t wc_records_people_count(struct wc_records *r, const uint8_t *office_key);

/* Small values that live with the records ("identity"). Durable; -WC_ENOTFOUND. */
int wc_records_meta_get(struct wc_records *r, const char *key, struct wc_buf *out);
int wc_records_meta_put(struct wc_records *r, const char *key, struct wc_slice value);

/* All of them in one durable transaction, or none. -WC_EEXISTS: what another one has is
 * claimed. */
int wc_records_meta_edit(struct wc_records *r, const struct wc_meta_edit *edits,
                         size_t count);

/* Every such value whose key starts with `prefix`, in the order of keys, within one
 * short read transaction: fn only copies. fn returning non-zero stops with that value. */
typedef int (*wc_records_meta_fn)(void *ctx, struct wc_slice key,
                                  struct wc_slice value);
int wc_records_meta_each(struct wc_records *r, const char *prefix,
                         wc_records_meta_fn fn, void *ctx);

/* Delete all of them, durably. */
int wc_records_meta_forget(struct wc_records *r, const char *prefix);

/*
 * Erasure. A commit of a retirement that asks for it leaves its mark (the first bytes of
 * its digest), which waits until the stores were written anew. With no commit in between:
 * wc_records_compact() and the same for the index, then wc_records_erased().
 */

/* How many marks wait. Cheap; any thread. */
uint64_t wc_records_erasures_waiting(const struct wc_records *r);
/* As wc_store_compact(), and the log forgets what the index holds: it names people. */
int wc_records_compact(struct wc_records *r);
/* No mark waits any more; the newest WC_ERASED_MAX_COUNT are kept. Durable. */
int wc_records_erased(struct wc_records *r, uint64_t now_ms);
/* The marks that do not wait, newest last, for the own card. Returns how many, or a
 * negative error. */
int wc_records_erased_marks(struct wc_records *r,
                            uint8_t out[WC_ERASED_MAX_COUNT][WC_ERASED_MARK_BYTES]);

/* When this office saw the profile of a slot come by another person key than before
 * (author_notes.h); 0: never. Any thread. Errors of the store. */
int wc_records_key_changed(struct wc_records *r, const uint8_t slot[WC_DIGEST_BYTES],
                           uint64_t *changed_at_ms);

/* Delete everything but meta, durably: an office that joins starts anew under another
 * key. */
int wc_records_clear(struct wc_records *r);

struct wc_records_usage {
    uint64_t used_bytes; /* pages in use */
    uint64_t map_bytes;
    uint64_t records_count;
};
void wc_records_usage(struct wc_records *r, struct wc_records_usage *out);

/* wc_store_longest() of its store. */
struct wc_store_longest;
void wc_records_longest(struct wc_records *r, struct wc_store_longest *out);

/* Clear readers of dead processes; at start and each minute. */
void wc_records_tidy(struct wc_records *r);

#endif
