/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 65536

__attribute__((format(printf, 4, 5))) static int fail(int rc, char *why, size_t why_cap,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, why_cap, format, args);
    va_end(args);
    return rc;
}

/* ---- reading ---- */

static int read_all(int fd, const char *name, size_t max_bytes, struct wc_buf *out,
                    char *why, size_t why_cap)
{
    size_t total = 0;
    for (;;) {
        uint8_t *room = wc_buf_reserve(out, READ_BYTES);
        if (room == NULL)
            return fail(-WC_ENOMEM, why, why_cap, "%s: out of memory", name);
        ssize_t n = read(fd, room, READ_BYTES);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(-WC_EIO, why, why_cap, "%s: %s", name, strerror(errno));
        out->len += (size_t)n;
        total += (size_t)n;
        if (total > max_bytes)
            return fail(-WC_ETOOBIG, why, why_cap, "%s is larger than %zu bytes", name,
                        max_bytes);
    }
}

int wc_file_read(const char *path, size_t max_bytes, struct wc_buf *out, char *why,
                 size_t why_cap)
{
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, "the standard input", max_bytes, out, why,
                        why_cap);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(-WC_EIO, why, why_cap, "%s: %s", path, strerror(errno));
    int rc = read_all(fd, path, max_bytes, out, why, why_cap);
    close(fd);
    return rc;
}

/* ---- writing ---- */

struct wc_file {
    int fd;
    bool replace;
    char *path;
    char *temporary; /* NULL once it has its name, or was never made */
};

void wc_file_free(struct wc_file *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        close(file->fd);
    if (file->temporary != NULL)
        unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    free(file);
}

/* The umask may narrow what was asked for, as with any new file. */
static mode_t allowed(unsigned mode)
{
    mode_t mask = umask(0);
    umask(mask);
    return (mode_t)mode & ~mask;
}

static int make_temporary(struct wc_file *f, unsigned mode, char *why, size_t why_cap)
{
    char *template = NULL;
    if (asprintf(&template, "%s.XXXXXX", f->path) < 0)
        return fail(-WC_ENOMEM, why, why_cap, "%s: out of memory", f->path);
    f->fd = mkostemp(template, O_CLOEXEC);
    if (f->fd < 0) {
        int error = errno;
        free(template);
        return fail(-WC_EIO, why, why_cap, "cannot write %s: %s", f->path,
                    strerror(error));
    }
    f->temporary = template;
    if (fchmod(f->fd, allowed(mode)) != 0)
        return fail(-WC_EIO, why, why_cap, "cannot write %s: %s", f->path,
                    strerror(errno));
    return 0;
}

/* A symbolic link stays one: what it points to is replaced. */
static char *real_target(const char *path)
{
    char *resolved = realpath(path, NULL);
    return resolved != NULL ? resolved : strdup(path);
}

int wc_file_new(struct wc_file **out, const char *path, unsigned mode, bool replace,
                char *why, size_t why_cap)
{
    struct wc_file *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return fail(-WC_ENOMEM, why, why_cap, "%s: out of memory", path);
    *f = (struct wc_file){.fd = -1, .replace = replace, .path = real_target(path)};
    int rc = 0;
    struct stat st;
    if (f->path == NULL)
        rc = fail(-WC_ENOMEM, why, why_cap, "%s: out of memory", path);
    else if (!replace && lstat(path, &st) == 0)
        rc = fail(-WC_EEXISTS, why, why_cap, "%s exists already; it was left as it is",
                  path);
    else if (replace && stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        rc = fail(-WC_EINVALID, why, why_cap, "%s is not a regular file", path);
    else
        rc = make_temporary(f, mode, why, why_cap);
    if (rc != 0) {
        wc_file_free(f);
        return rc;
    }
    *out = f;
    return 0;
}

int wc_file_write(struct wc_file *file, struct wc_slice data, char *why, size_t why_cap)
{
    assert(file != NULL);
    while (data.len > 0) {
        ssize_t n = write(file->fd, data.data, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(-WC_EIO, why, why_cap, "cannot write %s: %s", file->path,
                        strerror(errno));
        data = wc_slice(data.data + n, data.len - (size_t)n);
    }
    return 0;
}

/* The name itself must reach the disk too. Some file systems cannot sync a directory. */
static void sync_directory(const char *path)
{
    char *copy = strdup(path);
    int fd =
        copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(copy);
}

int wc_file_commit(struct wc_file *file, char *why, size_t why_cap)
{
    assert(file != NULL && file->temporary != NULL);
    if (fsync(file->fd) != 0)
        return fail(-WC_EIO, why, why_cap, "cannot write %s: %s", file->path,
                    strerror(errno));
    int rc = file->replace ? rename(file->temporary, file->path)
                           : link(file->temporary, file->path);
    if (rc != 0 && errno == EEXIST)
        return fail(-WC_EEXISTS, why, why_cap,
                    "%s exists already; it was left as it is", file->path);
    if (rc != 0)
        return fail(-WC_EIO, why, why_cap, "cannot write %s: %s", file->path,
                    strerror(errno));
    if (!file->replace)
        unlink(file->temporary);
    free(file->temporary);
    file->temporary = NULL;
    sync_directory(file->path);
    return 0;
}

int wc_file_put(const char *path, struct wc_slice data, unsigned mode, bool replace,
                char *why, size_t why_cap)
{
    struct wc_file *f = NULL;
    int rc = wc_file_new(&f, path, mode, replace, why, why_cap);
    if (rc == 0)
        rc = wc_file_write(f, data, why, why_cap);
    if (rc == 0)
        rc = wc_file_commit(f, why, why_cap);
    wc_file_free(f);
    return rc;
}
