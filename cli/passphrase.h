/* SPDX-License-Identifier: Apache-2.0 */
/* Passphrases: asked on the terminal without echo, or read from a file. */
#ifndef CLI_PASSPHRASE_H
#define CLI_PASSPHRASE_H

#include "cli/run.h"

#define WC_PASSPHRASE_MAX_BYTES 1024
#define WC_PASSPHRASE_MIN_BYTES 8 /* of a new one: Argon2id cannot save a shorter one */

struct wc_passphrase {
    char text[WC_PASSPHRASE_MAX_BYTES + 1];
    size_t len;
};

/* Fill *out from --passphrase-file, or ask on the terminal, twice with `again`. A new one
 * (`again`) has a least length. 0, or an exit code after saying why not. */
int wc_passphrase_get(struct wc_run *run, bool again, struct wc_passphrase *out);

/* Overwrite it. */
void wc_passphrase_fini(struct wc_passphrase *p);

#endif
