/* SPDX-License-Identifier: Apache-2.0 */
/* One line of text that people carry from one machine to another: a prefix that says
 * what it is and of which version, and base64url of bytes. */
#ifndef WHOCAN_PROTO_LINE_H
#define WHOCAN_PROTO_LINE_H

#include <whocan/bytes.h>
#include <whocan/error.h>

/* Wipe and release a buffer that held secrets. */
void wc_line_wipe(struct wc_buf *b);

/* What such a line is called, and what is said of one that is wrong. */
struct wc_line_rule {
    const char *field;  /* "invitation" */
    const char *prefix; /* "whocan-invite-1:" */
    const char *must;   /* "must start with whocan-invite-1:" */
    size_t max_bytes;   /* of the whole text */
};

/* Remove `prefix` from the front of *s. */
bool wc_line_take(struct wc_slice *s, const char *prefix);

/* Append prefix and base64url of raw, no newline. 0 or -WC_ENOMEM. */
int wc_line_encode(const struct wc_line_rule *rule, struct wc_slice raw,
                   struct wc_buf *out);

/*
 * Append the bytes of a line. White space before it, and what mail put into it, is
 * skipped. -WC_ETOOBIG over the rule's limit, -WC_EINVALID for another prefix or damaged
 * base64url, -WC_ENOMEM; *err names the rule's field. What is appended may be secret:
 * wipe *raw.
 */
int wc_line_decode(const struct wc_line_rule *rule, struct wc_slice text,
                   struct wc_buf *raw, struct wc_err *err);

/* Append what base64url text holds, white space in it skipped. -WC_EINVALID, -WC_ENOMEM. */
int wc_line_decode_wrapped(struct wc_slice text, struct wc_buf *raw);

#endif
