/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements of the organisation (revocations) on their way from the organisation's key
 * to an office: records, as one line of text.
 *
 *   statement line = "whocan-statement-1:" + base64url( [ version = 1, [ record (bin),
 *                    ... ] ] )
 *
 * It holds no secret: what it says is meant for every office, and only what the
 * organisation signed counts.
 */
#ifndef WHOCAN_STATEMENT_H
#define WHOCAN_STATEMENT_H

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/limits.h>

/* The records of a line; they borrow from `raw`. Zero-initialise. */
struct wc_statements {
    struct wc_buf raw;
    struct wc_slice records[WC_STATEMENTS_MAX_COUNT];
    uint32_t count;
};

/* Append the line of 1 to WC_STATEMENTS_MAX_COUNT records, no newline. -WC_EINVALID for
 * another count, -WC_ENOMEM. */
int wc_statement_line(const struct wc_slice *records, uint32_t count,
                      struct wc_buf *out);

/*
 * Read a line, white space in it skipped. The records are slices of the right size and
 * no more: wc_record_decode() and wc_record_verify() say what they are. -WC_ETOOBIG,
 * -WC_EINVALID, -WC_EVERSION, -WC_ETYPE, -WC_ENOMEM and what wc_doc_new() gives; *err
 * names the field. Release with wc_statements_fini(), also after a failure.
 */
int wc_statement_parse(struct wc_slice line, struct wc_statements *out,
                       struct wc_err *err);
void wc_statements_fini(struct wc_statements *s);

#endif
