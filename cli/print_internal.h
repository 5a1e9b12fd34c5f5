/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of screens, for cli/print*.c alone. */
#ifndef CLI_PRINT_INTERNAL_H
#define CLI_PRINT_INTERNAL_H

#include "cli/print.h"

/* Append a text of an object, made safe; nothing when there is none. */
void wc_print_str(struct wc_buf *out, const json_t *object, const char *key);

/* "label        text": the text wraps below itself. Nothing when there is no text. */
void wc_print_labelled(const struct wc_term *term, struct wc_buf *out,
                       const char *label, struct wc_slice safe);
void wc_print_labelled_key(const struct wc_term *term, struct wc_buf *out,
                           const char *label, const json_t *object, const char *key);
/* The same; *text is emptied. */
void wc_print_labelled_buf(const struct wc_term *term, struct wc_buf *out,
                           const char *label, struct wc_buf *text);

/* Append how long ago a time of an object is; nothing when there is none. */
void wc_print_ago_of(struct wc_buf *out, const json_t *object, const char *key,
                     time_t now);

#endif
