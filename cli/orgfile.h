/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The organisation's key file as the commands of `whocan org` use it: found by --key, read,
 * locked while it is changed, unlocked with the passphrase, written back whole. Each
 * function returns 0, or the exit code after saying what is wrong.
 */
#ifndef CLI_ORGFILE_H
#define CLI_ORGFILE_H

#include <whocan/cert.h>

#include "cli/run.h"

/* Milliseconds since 1970. */
uint64_t wc_orgfile_now_ms(void);

/* Random bytes of the kernel. */
int wc_orgfile_random(struct wc_run *run, uint8_t *out, size_t len);

/* The path that --key names, which must be given; starts the cryptography. */
int wc_orgfile_begin(struct wc_run *run, const char **path);

/* Wait until nobody else changes the file. *out: a descriptor to close afterwards. */
int wc_orgfile_lock(struct wc_run *run, const char *path, int *out);

/* Release *key with wc_orgkey_fini(). */
int wc_orgfile_read(struct wc_run *run, const char *path, struct wc_orgkey *key);

/* Ask for the passphrase (or read --passphrase-file) and unlock key and *signer; the
 * caller wipes both. */
int wc_orgfile_unlock(struct wc_run *run, const char *path, struct wc_orgkey *key,
                      struct wc_signer *signer);

/* Write it, 0600, whole or not at all; `replace`: over the one that is there. */
int wc_orgfile_write(struct wc_run *run, const char *path, const struct wc_orgkey *key,
                     bool replace);

#endif
