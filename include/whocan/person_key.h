/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A person's key in text, as the command keeps it in a file of its owner's:
 *
 *   whocan-person-key-1:BASE64URL( seed (32) ‖ check (8) )
 *
 * The seed is that of an Ed25519 key; check is the start of BLAKE2b-256 over
 * "whocan person key" ‖ seed, so that a damaged file is not taken for another key.
 */
#ifndef WHOCAN_PERSON_KEY_H
#define WHOCAN_PERSON_KEY_H

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/limits.h>

/* Append the text and a newline. 0 or -WC_ENOMEM. The caller wipes *out. */
int wc_person_key_encode(const uint8_t seed[WC_KEY_BYTES], struct wc_buf *out);

/* Read it; blanks and newlines around it do not matter. -WC_ETOOBIG, -WC_EVERSION when it
 * is of a later version, -WC_EINVALID when it is damaged or something else, -WC_ENOMEM;
 * then *seed is all zero. */
int wc_person_key_decode(struct wc_slice text, uint8_t seed[WC_KEY_BYTES]);

#endif
