/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a person's own: read whole within a limit, written whole or not at all. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

/*
 * Append a whole file ("-": standard input) to *out. -WC_ETOOBIG over max_bytes, -WC_EIO,
 * -WC_ENOMEM; `why` gets one line that names the file.
 */
int wc_file_read(const char *path, size_t max_bytes, struct wc_buf *out, char *why,
                 size_t why_cap);

/* A file that comes into being when it is complete: written beside `path`, synced, then
 * renamed over it (or linked, which refuses one that exists). */
struct wc_file;

/*
 * Begin a file with these permissions. `replace` false: -WC_EEXISTS when it is there, now
 * or at the end. -WC_EIO, -WC_ENOMEM; `why` gets one line that names the file.
 */
int wc_file_new(struct wc_file **out, const char *path, unsigned mode, bool replace,
                char *why, size_t why_cap);
int wc_file_write(struct wc_file *file, struct wc_slice data, char *why,
                  size_t why_cap);

/* Finish it. On failure nothing stands at its path that was not there before. */
int wc_file_commit(struct wc_file *file, char *why, size_t why_cap);

/* Free it; what was not committed disappears. NULL is fine. */
void wc_file_free(struct wc_file *file);

/* All of it in one call. */
int wc_file_put(const char *path, struct wc_slice data, unsigned mode, bool replace,
                char *why, size_t why_cap);

#endif
