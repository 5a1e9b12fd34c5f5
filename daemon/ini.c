/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ini.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct wc_slice left;
    uint32_t line;
    bool cut; /* a line does not fit, or is no text */
    int rc;
    wc_ini_fn fn;
    void *ctx;
};

/* fgets() over memory, one line a call. */
static char *read_line(char *out, int cap, void *stream)
{
    struct reader *r = stream;
    if (r->left.len == 0 || r->cut)
        return NULL;
    const uint8_t *end = memchr(r->left.data, '\n', r->left.len);
    size_t len = end == NULL ? r->left.len : (size_t)(end - r->left.data) + 1;
    r->line++;
    r->cut = len > WC_INI_LINE_MAX_BYTES || len + 1 > (size_t)cap ||
             memchr(r->left.data, '\0', len) != NULL;
    if (r->cut)
        return NULL;
    memcpy(out, r->left.data, len);
    out[len] = '\0';
    r->left.data += len;
    r->left.len -= len;
    return out;
}

static int take_pair(void *user, const char *section, const char *name,
                     const char *value)
{
    struct reader *r = user;
    struct wc_ini_pair pair = {section, name, value, r->line};
    if (r->rc == 0)
        r->rc = r->fn(r->ctx, &pair);
    return r->rc == 0;
}

int wc_ini_read(struct wc_slice text, wc_ini_fn fn, void *ctx, uint32_t *line,
                const char **problem)
{
    struct reader r = {.left = text, .fn = fn, .ctx = ctx};
    ini_max_line = WC_INI_LINE_MAX_BYTES + 3;
    int wrong = ini_parse_stream(read_line, &r, take_pair, &r);
    *line = r.line;
    *problem = NULL;
    if (r.rc != 0)
        return r.rc;
    if (wrong < 0)
        return -WC_ENOMEM;
    if (r.cut)
        *problem = "is not a line of text of at most 1000 bytes";
    else if (wrong > 0)
        *problem = "is neither \"key = value\" nor a comment";
    if (wrong > 0 && !r.cut)
        *line = (uint32_t)wrong;
    return *problem != NULL ? -WC_EINVALID : 0;
}

int wc_ini_file(const char *path, size_t max_bytes, uint8_t **out, size_t *len)
{
    *out = NULL;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return errno == ENOENT ? -WC_ENOTFOUND : -WC_EIO;
    int rc = 0;
    uint8_t *text = NULL;
    size_t cap = 0, n = 0;
    while (rc == 0 && !feof(f)) {
        cap = cap == 0 ? 16384 : 2 * cap;
        if (cap > max_bytes + 1)
            cap = max_bytes + 1;
        uint8_t *more = realloc(text, cap);
        if (more == NULL) {
            rc = -WC_ENOMEM;
            break;
        }
        text = more;
        n += fread(text + n, 1, cap - n, f);
        if (ferror(f))
            rc = -WC_EIO;
        else if (n > max_bytes)
            rc = -WC_ETOOBIG;
    }
    int saved = errno;
    fclose(f);
    errno = saved;
    if (rc != 0) {
        free(text);
        return rc;
    }
    *out = text;
    *len = n;
    return 0;
}
