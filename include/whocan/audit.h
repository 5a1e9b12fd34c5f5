/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of the audit log: JSON texts, each with the hash of the one before.
 * docs/audit.md says what stands in them. Files, times and callers are the daemon's
 * (daemon/audit.h); here is what writing and checking share.
 */
#ifndef WHOCAN_AUDIT_H
#define WHOCAN_AUDIT_H

#include <whocan/bytes.h>
#include <whocan/limits.h>

/* Where a log stands: the number of its last line, and the BLAKE2b-256 of that line with
 * its newline. All zero before the first line. */
struct wc_audit_head {
    uint64_t n;
    uint8_t hash[WC_DIGEST_BYTES];
};

/* What the first line of each file is about, and the form of the lines after it: in the
 * first form people stood in them by their logins. */
#define WC_AUDIT_ACT_FILE "audit.file"
#define WC_AUDIT_FORMAT   2

/* ---- writing ---- */

/* Append `,"key":value` to what a line says; keys are words of this program. In a text,
 * quotes, backslashes and all but printable ASCII are escaped or replaced. */
void wc_audit_say(struct wc_buf *members, const char *key, struct wc_slice text);
void wc_audit_say_u64(struct wc_buf *members, const char *key, uint64_t value);

/*
 * A person as the log knows them: '#' and, in hexadecimal, 16 bytes of BLAKE2b-256 of
 * "whocan audit" and the login, under the key of this log. '#' stands in no login.
 */
#define WC_AUDIT_PERSON_CHARS 33
void wc_audit_person(char out[WC_AUDIT_PERSON_CHARS + 1],
                     const uint8_t key[WC_SECRET_BYTES], struct wc_slice login);

/*
 * Append one line with its newline: number, hash of the line before, time (ms since 1970,
 * UTC), then `members` as wc_audit_say() made them. *head moves on. -WC_ETOOBIG (more
 * than WC_AUDIT_LINE_MAX_BYTES; then neither has changed), -WC_ENOMEM.
 */
int wc_audit_line(struct wc_buf *out, struct wc_audit_head *head, uint64_t at_ms,
                  struct wc_slice members);

/* ---- reading; lines come without their newline ---- */

/* What stands at the start of a line. */
struct wc_audit_start {
    uint64_t n;
    uint8_t prev[WC_DIGEST_BYTES];
    uint64_t at_ms;
};
int wc_audit_parse(struct wc_slice line, struct wc_audit_start *out); /* -WC_ECORRUPT */

/* The head of a log that ends with this line. */
void wc_audit_head_of(struct wc_audit_head *out, uint64_t n, struct wc_slice line);

/* Whether the line says `"key":"text"`. A text inside another cannot look so: its quotes
 * are escaped. */
bool wc_audit_says(struct wc_slice line, const char *key, struct wc_slice text);
bool wc_audit_says_u64(struct wc_slice line, const char *key, uint64_t value);

/* Whether the line is about that person (their hash, or in a file of the first form their
 * login) of that office; empty: of whichever. */
bool wc_audit_is_about(struct wc_slice line, const char *person, const char *office);

/* The next person in a line from *at on: their hash, WC_AUDIT_PERSON_CHARS long. *at moves
 * behind it. False when there is no more. */
bool wc_audit_next_person(struct wc_slice line, size_t *at, struct wc_slice *out);

/* The text of the file `head`: a number in 20 digits, a blank, a hash in hexadecimal and
 * a newline. Reading: -WC_ECORRUPT. */
#define WC_AUDIT_HEAD_BYTES (20 + 1 + 2 * WC_DIGEST_BYTES + 1)
void wc_audit_head_text(char out[WC_AUDIT_HEAD_BYTES + 1],
                        const struct wc_audit_head *head);
int wc_audit_head_parse(struct wc_slice text, struct wc_audit_head *out);

/* ---- checking ---- */

/*
 * Check lines one after another. Zero-initialise; set `has_end` and `end` when it is known
 * where the log stood at some moment: that line must be there, and be the same. A log
 * may start anywhere, for whole old files are deleted.
 *
 * Each line has a place, a number that only the caller understands. After
 * wc_audit_check_end(), `broken` is NULL, or says (static text) what is wrong with the
 * line at broken_place, the first that is not as it was written.
 */
struct wc_audit_check {
    bool has_end;
    struct wc_audit_head end;
    /* results */
    uint64_t lines_count;
    struct wc_audit_head head; /* of the last line */
    const char *broken;
    uint64_t broken_place;
    /* between two lines */
    uint64_t place, place_before;
    bool
        suspect; /* the last line or the one before is not genuine: the next one tells */
};
void wc_audit_check_line(struct wc_audit_check *c, struct wc_slice line,
                         uint64_t place);
void wc_audit_check_end(struct wc_audit_check *c);

#endif
