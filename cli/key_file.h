/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that a person signs their profile with: one for each person and machine, in
 * $XDG_DATA_HOME/whocan/person.key (~/.local/share/whocan/person.key), which nobody else
 * may read. whocan/person_key.h has its form.
 */
#ifndef CLI_KEY_FILE_H
#define CLI_KEY_FILE_H

#include <whocan/crypto.h>
#include <whocan/error.h>

/* Where it is. -WC_ENOTFOUND: this account has no home; -WC_ETOOBIG; `why` gets a line. */
int wc_key_file_path(char *out, size_t cap, char *why, size_t why_cap);

/*
 * Read the key at `path`, or make one there when there is none. -WC_EDENIED: the file or
 * its directory is another account's, or others may read it; -WC_ECORRUPT: it is damaged;
 * -WC_EVERSION; -WC_EIO, -WC_ECRYPTO, -WC_ENOMEM. `why` gets one line that says what to
 * do. The caller wipes the signer (wc_signer_fini) after 0.
 */
int wc_key_file_load(const char *path, struct wc_signer *out, char *why,
                     size_t why_cap);

#endif
