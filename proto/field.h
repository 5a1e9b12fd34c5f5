/* SPDX-License-Identifier: Apache-2.0 */
/* Reading named fields: every check says which field failed and what it must be, in
 * words that can be shown to a member of staff. */
#ifndef WHOCAN_PROTO_FIELD_H
#define WHOCAN_PROTO_FIELD_H

#include <whocan/error.h>
#include <whocan/pack.h>

/* What a text field may hold. */
struct wc_text_rule {
    const char *field; /* its name in messages, static */
    size_t max_bytes;
    const char *too_long; /* "must be at most 200 bytes", static */
    bool lines;           /* newline and tab are allowed */
    bool blank;           /* may be empty or all spaces */
};

/* Whether s holds a control character (C0, DEL or C1; s is valid UTF-8). `lines` lets
 * newline and tab pass. */
bool wc_text_has_control(struct wc_slice s, bool lines);

/* Read a text by its rule; *out borrows from the document. -WC_EMISSING, -WC_ETYPE,
 * -WC_EINVALID, -WC_ETOOBIG. */
int wc_field_text(const struct wc_obj *o, const struct wc_text_rule *rule,
                  struct wc_slice *out, struct wc_err *err);

/* Check a text that was read elsewhere. */
int wc_text_check(struct wc_slice s, const struct wc_text_rule *rule,
                  struct wc_err *err);

/* Read an integer of 0..max, or bytes of exactly len. -WC_EMISSING, -WC_ETYPE,
 * -WC_EINVALID. */
int wc_field_u64(const struct wc_obj *o, const char *field, uint64_t max, uint64_t *out,
                 struct wc_err *err);
int wc_field_bin(const struct wc_obj *o, const char *field, uint8_t *out, size_t len,
                 struct wc_err *err);

/* Read a text into `out`, which has room for what the rule allows and a terminator. */
int wc_field_copy(const struct wc_obj *o, const struct wc_text_rule *rule, char *out,
                  struct wc_err *err);

/* Decode a document within the usual limits; `field` names it in errors. What
 * wc_doc_new() gives. */
int wc_field_doc(struct wc_slice bytes, const char *field, struct wc_doc **doc,
                 struct wc_err *err);

/* Whether root is an array of `count` elements whose first is `version`. -WC_ETYPE,
 * -WC_EVERSION, -WC_EINVALID. */
int wc_field_version(const struct wc_obj *root, uint32_t count, uint64_t version,
                     const char *field, struct wc_err *err);

#endif
