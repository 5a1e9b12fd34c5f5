/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: who administered this office, and who changed or erased whom. Text
 * lines in STATE/audit/000001.log and so on, chained by hashes (docs/audit.md). Never
 * profile text, questions or keys; people stand in it by a hash of their login, whose key
 * is in STATE/audit/key.
 *
 * What is added is written in groups on the pool and flushed before done() is called, in
 * the order in which it was added. Functions are for the loop thread unless they say
 * otherwise.
 */
#ifndef WHOCAN_DAEMON_AUDIT_H
#define WHOCAN_DAEMON_AUDIT_H

#include <whocan/audit.h>

#include "daemon/access.h"
#include "daemon/loop.h"

struct wc_audit;

struct wc_audit_limits {
    uint64_t keep_days;  /* whole files whose last line is older are deleted */
    uint64_t file_bytes; /* a new file begins beyond this size */
};

/*
 * Open the log of a state directory, or begin one. What a crash left of a last line is cut
 * off, and the log says so. -WC_EDENIED, -WC_EFULL, -WC_EIO, -WC_ENOMEM with one line in
 * *problem. `loop` may be NULL until the first wc_audit_add() (wc_audit_set_loop).
 */
int wc_audit_open(struct wc_audit **out, const char *state_dir,
                  const struct wc_audit_limits *limits, char problem[WC_PROBLEM_BYTES]);
void wc_audit_close(struct wc_audit *a); /* nothing may be in flight; NULL is fine */
void wc_audit_set_loop(struct wc_audit *a, struct wc_loop *loop);
void wc_audit_set_limits(struct wc_audit *a, const struct wc_audit_limits *limits);

/*
 * One line in the making: zero-initialise, wc_audit_begin(), say more with wc_audit_say()
 * and wc_audit_say_u64() on `members`, then add it. `by` is who did it; NULL: the daemon
 * itself.
 */
struct wc_audit_entry {
    struct wc_buf members;
};
void wc_audit_begin(const struct wc_audit *a, struct wc_audit_entry *entry,
                    const char *act, const struct wc_caller *by);

/* ,"about":"#hash@office" */
void wc_audit_about(const struct wc_audit *a, struct wc_audit_entry *entry,
                    struct wc_slice login, struct wc_slice office);

/* How a login stands in this log. Any thread. */
void wc_audit_hash(const struct wc_audit *a, struct wc_slice login,
                   char out[WC_AUDIT_PERSON_CHARS + 1]);

/*
 * Write the line; done(ctx, rc) when it is on the disk, or could not be written: -WC_EFULL,
 * -WC_ENOMEM. Takes what the entry holds. done may be NULL. A line that could not be
 * written is counted, and the next one that can be says how many are missing. A disk that
 * fails ends the process.
 */
void wc_audit_add(struct wc_audit *a, struct wc_audit_entry *entry,
                  void (*done)(void *ctx, int rc), void *ctx);

/* The same at once, for the start and the end, when no loop runs. 0 or as above. */
int wc_audit_add_now(struct wc_audit *a, struct wc_audit_entry *entry);

/* Whether the latest lines could not be written. */
bool wc_audit_failing(const struct wc_audit *a);

/* ---- reading; any thread, one reader each ---- */

struct wc_audit_filter {
    uint64_t since_ms;                    /* 0: from the start */
    char login[WC_SUBJECT_MAX_BYTES + 1]; /* about them; empty: about anybody */
    char
        office[WC_OFFICE_NAME_MAX_BYTES + 1]; /* of it; empty: whatever it was called */
    bool none;                                /* no lines at all: only check */
    /* called for each line that is given; NULL: nobody looks */
    void (*given)(void *ctx, struct wc_slice line);
    void *ctx;
};

/* A reader of what is on the disk by now. It checks the chain while it reads. */
struct wc_audit_reader;
int wc_audit_reader_new(struct wc_audit_reader **out, struct wc_audit *a,
                        const struct wc_audit_filter *filter); /* -WC_ENOMEM, -WC_EIO */
void wc_audit_reader_free(struct wc_audit_reader *r);          /* NULL is fine */

/* Pack the next lines as texts, until about max_bytes of the log are read; *count says how
 * many. -WC_ENOTFOUND: there are no more. -WC_EIO, -WC_ENOMEM. */
int wc_audit_reader_next(struct wc_audit_reader *r, size_t max_bytes,
                         struct wc_buf *out, uint32_t *count);

/* What the check has found; when reading has ended. */
struct wc_audit_verdict {
    uint64_t lines_count; /* read, shown or not */
    struct wc_audit_head head;
    const char *broken;   /* NULL: nothing is */
    uint32_t broken_file; /* 1 is 000001.log */
    uint64_t broken_line; /* in it; the first is 1 */
};
void wc_audit_reader_verdict(const struct wc_audit_reader *r,
                             struct wc_audit_verdict *out);

#endif
