/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/orgfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file.h"
#include "cli/passphrase.h"

uint64_t wc_orgfile_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int wc_orgfile_random(struct wc_run *run, uint8_t *out, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = getrandom(out + done, len - done, 0);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EINTR)
            return wc_run_fail(run, WC_EXIT_FILE, "no random numbers: %s",
                               strerror(errno));
    }
    return 0;
}

int wc_orgfile_begin(struct wc_run *run, const char **key_path)
{
    *key_path = wc_run_option(run, WC_OPT_KEY);
    if (*key_path == NULL)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "say where the organisation's key is: --key FILE");
    if (wc_crypto_init() != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "cryptography does not start");
    return 0;
}

int wc_orgfile_read(struct wc_run *run, const char *path, struct wc_orgkey *key)
{
    struct wc_buf text = {0};
    struct wc_err err = {0};
    char why[4400];
    int code = 0;
    int rc = wc_file_read(path, WC_ORGKEY_TEXT_MAX_BYTES, &text, why, sizeof(why));
    if (rc != 0)
        code = wc_run_fail(run, WC_EXIT_FILE, "%s", why);
    else if (wc_orgkey_decode(wc_buf_slice(&text), key, &err) != 0)
        code = wc_run_fail(run, WC_EXIT_FILE, "%s: %s %s", path,
                           err.field != NULL ? err.field : "the file",
                           err.why != NULL ? err.why : wc_strerror(err.rc));
    wc_buf_fini(&text);
    return code;
}

int wc_orgfile_write(struct wc_run *run, const char *path, const struct wc_orgkey *key,
                     bool replace)
{
    struct wc_buf text = {0};
    char why[4400] = "out of memory";
    int rc = wc_orgkey_encode(key, &text);
    if (rc == 0)
        rc = wc_file_put(path, wc_buf_slice(&text), 0600, replace, why, sizeof(why));
    wc_buf_fini(&text);
    return rc == 0 ? 0 : wc_run_fail(run, WC_EXIT_FILE, "%s", why);
}

/*
 * One change at a time: two invitations that ran side by side would give one serial to two
 * offices. The lock is on the file that stands at the path; as writing replaces it, whoever
 * waited looks again.
 */
int wc_orgfile_lock(struct wc_run *run, const char *path, int *out)
{
    for (;;) {
        struct stat held;
        struct stat there;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return wc_run_fail(run, WC_EXIT_FILE, "%s: %s", path, strerror(errno));
        while (flock(fd, LOCK_EX) != 0) {
            if (errno == EINTR)
                continue;
            close(fd);
            return wc_run_fail(run, WC_EXIT_FILE, "cannot lock %s: %s", path,
                               strerror(errno));
        }
        if (fstat(fd, &held) == 0 && stat(path, &there) == 0 &&
            held.st_ino == there.st_ino && held.st_dev == there.st_dev) {
            *out = fd;
            return 0;
        }
        close(fd);
    }
}

int wc_orgfile_unlock(struct wc_run *run, const char *path, struct wc_orgkey *key,
                      struct wc_signer *signer)
{
    struct wc_passphrase passphrase = {.len = 0};
    int code = wc_passphrase_get(run, false, &passphrase);
    int rc =
        code == 0
            ? wc_orgkey_unlock(key, wc_slice(passphrase.text, passphrase.len), signer)
            : 0;
    wc_passphrase_fini(&passphrase);
    if (rc == -WC_EBADSIG)
        return wc_run_fail(run, WC_EXIT_USAGE, "that is not the passphrase of %s",
                           path);
    if (rc != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "%s %s", path, wc_strerror(rc));
    return code;
}
