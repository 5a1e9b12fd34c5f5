/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form of `whocan me edit`: one's own profile as a text that explains itself.
 *
 *     # comment
 *     name: Alice Archer
 *     skills:
 *       content design: expert, mentor
 *       blogging
 *
 * A line that starts in the first column names a field; indented lines below it are its
 * items (or its lines of text); lines that start with # are skipped.
 */
#ifndef CLI_FORM_H
#define CLI_FORM_H

#include <jansson.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

/* Append the form. `profile` is the person's own row and `row` the directory's (its values
 * stand as comments where the profile has none); `marks` says of fields and names who sees
 * them, as me.show does. Each may be NULL. */
void wc_form_write(struct wc_buf *out, const char *handle, const json_t *profile,
                   const json_t *row, const json_t *marks);

/* Read a form: an object with a value for every field, empty ones included, and the marks
 * of what is not for every office as "audience", if there are any.
 * -WC_EINVALID with the line and one line in `why`; -WC_ENOMEM. */
int wc_form_parse(struct wc_slice text, json_t **out, unsigned *line, char *why,
                  size_t why_cap);

/* Whether nothing but comments and blank lines is left. */
bool wc_form_is_empty(struct wc_slice text);

/* What to send: the fields of `after` that differ from `before`, and the audiences of what
 * moves. A new object, empty when
 * nothing differs, or NULL when memory is out. */
json_t *wc_form_diff(const json_t *before, const json_t *after);

#endif
