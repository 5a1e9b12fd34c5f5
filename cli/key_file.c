/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <whocan/person_key.h>

#include "cli/file.h"

#define PATH_BYTES 4096

__attribute__((format(printf, 4, 5))) static int fail(int rc, char *why, size_t why_cap,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, why_cap, format, args);
    va_end(args);
    return rc;
}

/* ---- where ---- */

static bool is_mine(const char *directory)
{
    struct stat st;
    return stat(directory, &st) == 0 && st.st_uid == geteuid();
}

/* The home of the account that runs this. `sudo` may leave that of another one in HOME,
 * where a key of ours would only be in the way. */
static const char *find_home(void)
{
    const char *home = getenv("HOME");
    if (home != NULL && home[0] == '/' && is_mine(home))
        return home;
    const struct passwd *account = getpwuid(geteuid());
    return account != NULL && account->pw_dir[0] == '/' ? account->pw_dir : NULL;
}

int wc_key_file_path(char *out, size_t cap, char *why, size_t why_cap)
{
    const char *data = getenv("XDG_DATA_HOME");
    int n;
    if (data != NULL && data[0] == '/') {
        n = snprintf(out, cap, "%s/whocan/person.key", data);
    } else {
        const char *home = find_home();
        if (home == NULL)
            return fail(-WC_ENOTFOUND, why, why_cap,
                        "your account has no home directory to keep your key in; set "
                        "XDG_DATA_HOME to a directory of yours");
        n = snprintf(out, cap, "%s/.local/share/whocan/person.key", home);
    }
    if (n < 0 || (size_t)n >= cap)
        return fail(-WC_ETOOBIG, why, why_cap,
                    "the path of your data directory is too long");
    return 0;
}

/* ---- directories ---- */

/* Make what is missing of the directories above the file, for nobody else to enter. */
static int make_directories(const char *path, char *why, size_t why_cap)
{
    char part[PATH_BYTES];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - path);
        memcpy(part, path, len);
        part[len] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST && access(part, X_OK) != 0)
            return fail(-WC_EIO, why, why_cap,
                        "cannot make %s for the key that signs your profile: %s", part,
                        strerror(errno));
    }
    return 0;
}

/* Who can write here can put another key in the place of ours. */
static int check_directory(const char *path, char *why, size_t why_cap)
{
    char directory[PATH_BYTES];
    struct stat st;
    size_t len = (size_t)(strrchr(path, '/') - path);
    memcpy(directory, path, len);
    directory[len] = '\0';
    if (stat(directory, &st) != 0)
        return fail(-WC_EIO, why, why_cap, "%s: %s", directory, strerror(errno));
    if (st.st_uid != geteuid())
        return fail(-WC_EDENIED, why, why_cap,
                    "%s, where the key that signs your profile belongs, is another "
                    "account's: chown it, or set XDG_DATA_HOME",
                    directory);
    if ((st.st_mode & 077) != 0)
        return fail(-WC_EDENIED, why, why_cap,
                    "%s, where the key that signs your profile is kept, is open to "
                    "others (mode %04o): chmod 700 %s",
                    directory, (unsigned)(st.st_mode & 07777), directory);
    return 0;
}

/* ---- the file ---- */

static int check_file(int fd, const char *path, char *why, size_t why_cap)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail(-WC_EIO, why, why_cap, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fail(-WC_EDENIED, why, why_cap, "%s is not a plain file", path);
    if (st.st_uid != geteuid())
        return fail(-WC_EDENIED, why, why_cap,
                    "%s is another account's: move it away, and the next edit makes a "
                    "key of your own",
                    path);
    if ((st.st_mode & 077) != 0)
        return fail(
            -WC_EDENIED, why, why_cap,
            "others can read the key that signs your profile (mode %04o of %s). "
            "If nobody has, chmod 600 it; else remove it, and the next edit "
            "makes a new one",
            (unsigned)(st.st_mode & 07777), path);
    return 0;
}

static int read_key(int fd, const char *path, struct wc_signer *out, char *why,
                    size_t why_cap)
{
    uint8_t text[WC_PERSON_KEY_TEXT_MAX_BYTES + 1], seed[WC_KEY_BYTES];
    size_t len = 0;
    ssize_t n = 1;
    while (n > 0 && len < sizeof(text)) {
        n = read(fd, text + len, sizeof(text) - len);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            len += (size_t)n;
    }
    int rc = n < 0 ? -WC_EIO : wc_person_key_decode(wc_slice(text, len), seed);
    if (rc == 0)
        wc_signer_init(out, seed);
    wc_wipe(text, sizeof(text));
    wc_wipe(seed, sizeof(seed));
    if (rc == 0 || rc == -WC_ENOMEM)
        return rc == 0 ? 0 : fail(rc, why, why_cap, "out of memory");
    if (rc == -WC_EIO)
        return fail(rc, why, why_cap, "%s: %s", path, strerror(errno));
    if (rc == -WC_EVERSION)
        return fail(rc, why, why_cap,
                    "%s is of a later version of whocan than this one", path);
    return fail(-WC_ECORRUPT, why, why_cap,
                "%s, the key that signs your profile, is damaged: restore it from a "
                "backup, or move it away, and the next edit makes a new one",
                path);
}

/* -WC_ENOTFOUND: there is none. */
static int open_key(const char *path, struct wc_signer *out, char *why, size_t why_cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return -WC_ENOTFOUND;
    if (fd < 0)
        return fail(errno == EACCES || errno == ELOOP ? -WC_EDENIED : -WC_EIO, why,
                    why_cap, "%s: %s", path,
                    errno == ELOOP ? "is a link, which may lead anywhere"
                                   : strerror(errno));
    int rc = check_file(fd, path, why, why_cap);
    if (rc == 0)
        rc = check_directory(path, why, why_cap);
    if (rc == 0)
        rc = read_key(fd, path, out, why, why_cap);
    close(fd);
    return rc;
}

static int draw(uint8_t seed[WC_KEY_BYTES], char *why, size_t why_cap)
{
    size_t done = 0;
    while (done < WC_KEY_BYTES) {
        ssize_t n = getrandom(seed + done, WC_KEY_BYTES - done, 0);
        if (n < 0 && errno != EINTR)
            return fail(-WC_EIO, why, why_cap, "no random numbers: %s",
                        strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* -WC_EEXISTS when another run of the command was quicker. */
static int make_key(const char *path, char *why, size_t why_cap)
{
    uint8_t seed[WC_KEY_BYTES];
    struct wc_buf text = {0};
    int rc = make_directories(path, why, why_cap);
    if (rc == 0)
        rc = check_directory(path, why, why_cap);
    if (rc == 0)
        rc = draw(seed, why, why_cap);
    if (rc != 0)
        return rc;
    rc = wc_person_key_encode(seed, &text);
    if (rc != 0)
        fail(rc, why, why_cap, "out of memory");
    else
        rc = wc_file_put(path, wc_buf_slice(&text), 0600, false, why, why_cap);
    wc_wipe(seed, sizeof(seed));
    if (text.data != NULL)
        wc_wipe(text.data, text.cap);
    wc_buf_fini(&text);
    return rc;
}

int wc_key_file_load(const char *path, struct wc_signer *out, char *why, size_t why_cap)
{
    if (strlen(path) >= PATH_BYTES)
        return fail(-WC_ETOOBIG, why, why_cap, "the path of your key is too long");
    if (wc_crypto_init() != 0)
        return fail(-WC_ECRYPTO, why, why_cap, "cryptography does not work here");
    int rc = open_key(path, out, why, why_cap);
    if (rc != -WC_ENOTFOUND)
        return rc;
    rc = make_key(path, why, why_cap);
    if (rc == 0 || rc == -WC_EEXISTS)
        rc = open_key(path, out, why, why_cap);
    return rc == -WC_ENOTFOUND ? fail(-WC_EIO, why, why_cap, "%s went away", path) : rc;
}
