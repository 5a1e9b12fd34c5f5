/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of sections with "key = value" lines, read by inih out of memory: with line
 * numbers, and with an error for a line that inih would silently cut in two.
 */
#ifndef WHOCAN_DAEMON_INI_H
#define WHOCAN_DAEMON_INI_H

#include <stdint.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#define WC_INI_LINE_MAX_BYTES 1000

struct wc_ini_pair {
    const char *section; /* empty before the first one */
    const char *key;
    const char *value; /* of a line that continues the one before: what it adds */
    uint32_t line;
};

/* Return not 0 to stop there. */
typedef int (*wc_ini_fn)(void *ctx, const struct wc_ini_pair *pair);

/*
 * Give every pair to fn, in order. 0, what fn returned, -WC_ENOMEM, or -WC_EINVALID with
 * the line in *line and what is wrong with it in *problem (static, to follow the place).
 */
int wc_ini_read(struct wc_slice text, wc_ini_fn fn, void *ctx, uint32_t *line,
                const char **problem);

/*
 * Read a whole file of at most max_bytes; *out is the caller's to free. -WC_ENOTFOUND,
 * -WC_EIO (errno says why), -WC_ETOOBIG, -WC_ENOMEM.
 */
int wc_ini_file(const char *path, size_t max_bytes, uint8_t **out, size_t *len);

#endif
