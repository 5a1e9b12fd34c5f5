/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259) and MessagePack, one into the other. The command line works on JSON
 * values throughout; the socket speaks MessagePack. Text is text, a map is an object with
 * text keys, nil is null, binary becomes base64url text.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stdio.h>

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/pack.h>

/*
 * A new JSON value (json_decref). -WC_EINVALID: text that is not UTF-8. -WC_ETYPE: a map
 * key that is not text. -WC_ENOMEM. Of equal keys the first counts, as wc_obj_get() has
 * it. An integer above 2^63 becomes a number with a fraction, infinity and NaN null.
 */
int wc_json_from_obj(const struct wc_obj *obj, json_t **out);

/* Append a value as MessagePack. -WC_EDEPTH when nested more than WC_SCAN_DEPTH_MAX deep,
 * -WC_ENOMEM. */
int wc_json_pack(struct wc_buf *out, const json_t *value);

/* Read exactly one JSON value. -WC_EINVALID, and one line that says what is wrong in
 * `why`. Equal keys in one object and the character U+0000 are refused. */
int wc_json_parse(struct wc_slice text, json_t **out, char *why, size_t why_cap);

/* Append a value as text on one line (indented with `pretty`), every character that could
 * harm a terminal as a \uXXXX escape. -WC_ENOMEM. */
int wc_json_text(struct wc_buf *out, const json_t *value, bool pretty);

/* ---- lookups that never fail: what is absent or of another type is empty ---- */

struct wc_slice wc_json_str(const json_t *object, const char *key);
uint64_t wc_json_u64(const json_t *object, const char *key);
bool wc_json_bool(const json_t *object, const char *key, bool otherwise);

/* A text value of a slice; NULL when memory is out or it is not UTF-8. */
json_t *wc_json_new_str(struct wc_slice text);

#endif
