/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org create, org invite, org show: the organisation's key file, which stays offline.
 * office join hands an invitation to the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <whocan/cert.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/print.h"

#define KEY_FILE_MAX_BYTES 65536
#define INVITE_MAX_BYTES   65536
#define INVITE_START       "whocan-invite-" /* and the version */
#define DAYS_DEFAULT       730
#define DAYS_MAX           3650
#define QUOTA_DEFAULT      100000
#define QUOTA_MAX          10000000

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int draw_random(struct wc_run *run, uint8_t *out, size_t len)
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

static int begin(struct wc_run *run, const char **key_path)
{
    *key_path = wc_run_option(run, WC_OPT_KEY);
    if (*key_path == NULL)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "say where the organisation's key is: --key FILE");
    if (wc_crypto_init() != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "cryptography does not start");
    return 0;
}

/* ---- create ---- */

static int create_key(struct wc_run *run, const char *name,
                      const struct wc_passphrase *passphrase, struct wc_orgkey *key)
{
    uint8_t random[WC_ORGKEY_RANDOM_BYTES];
    int code = draw_random(run, random, sizeof(random));
    if (code == 0) {
        int rc = wc_orgkey_create(key, name,
                                  wc_slice(passphrase->text, passphrase->len), random);
        if (rc == -WC_EINVALID)
            code = wc_run_fail(run, WC_EXIT_USAGE,
                               "the name must be text of 1 to %d bytes on one line",
                               WC_TITLE_MAX_BYTES);
        else if (rc != 0)
            code = wc_run_fail(run, WC_EXIT_FILE, "the key %s", wc_strerror(rc));
    }
    wc_wipe(random, sizeof(random));
    return code;
}

static int write_key(struct wc_run *run, const char *path, const struct wc_orgkey *key,
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

static json_t *org_json(const struct wc_orgkey *key)
{
    char id[2 * WC_ORG_ID_BYTES + 1];
    char hex[2 * WC_KEY_BYTES + 1];
    wc_hex(id, key->org.id, WC_ORG_ID_BYTES);
    wc_hex(hex, key->org.key, WC_KEY_BYTES);
    return json_pack("{s:s, s:s, s:s, s:I}", "organisation", key->org.name,
                     "organisation_id", id, "key", hex, "next_serial",
                     (json_int_t)key->next_serial);
}

static int created(struct wc_run *run, const char *path, const struct wc_orgkey *key)
{
    struct wc_buf out = {0};
    if (wc_run_wants_json(run)) {
        json_t *value = org_json(key);
        int code = wc_run_json(run, value);
        json_decref(value);
        return code;
    }
    wc_buf_text(&out, "The organisation \"");
    wc_term_safe(&out, wc_slice_text(key->org.name));
    wc_buf_text(&out, "\" has its key in ");
    wc_term_safe(&out, wc_slice_text(path));
    wc_buf_text(&out, ".\nKeep the file offline, and its passphrase somewhere else: "
                      "without both no office\ncan be admitted.\n"
                      "Next: whocan org invite OFFICE --key ");
    wc_term_safe(&out, wc_slice_text(path));
    wc_buf_byte(&out, '\n');
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

/* Before anybody types a passphrase in vain. */
static int refuse_existing(struct wc_run *run, const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return 0;
    return wc_run_fail(run, WC_EXIT_FILE,
                       "%s exists already; it was left as it is (a lost key cannot be "
                       "made again)",
                       path);
}

int wc_cmd_org_create(struct wc_run *run)
{
    const char *path = NULL;
    struct wc_buf name = {0};
    struct wc_passphrase passphrase = {.len = 0};
    struct wc_orgkey key = {.next_serial = 0};
    wc_run_join(run, &name);
    wc_buf_byte(&name, '\0');
    int code = begin(run, &path);
    if (code == 0 && name.failed)
        code = wc_run_fail(run, WC_EXIT_FILE, "out of memory");
    if (code == 0)
        code = refuse_existing(run, path);
    if (code == 0)
        code = wc_passphrase_get(run, true, &passphrase);
    if (code == 0)
        code = create_key(run, (const char *)name.data, &passphrase, &key);
    if (code == 0)
        code = write_key(run, path, &key, false);
    if (code == 0)
        code = created(run, path, &key);
    wc_passphrase_fini(&passphrase);
    wc_wipe(&key, sizeof(key));
    wc_buf_fini(&name);
    return code;
}

/* ---- reading a key file ---- */

static int read_key(struct wc_run *run, const char *path, struct wc_orgkey *key)
{
    struct wc_buf text = {0};
    struct wc_err err = {0};
    char why[4400];
    int code = 0;
    int rc = wc_file_read(path, KEY_FILE_MAX_BYTES, &text, why, sizeof(why));
    if (rc != 0)
        code = wc_run_fail(run, WC_EXIT_FILE, "%s", why);
    else if (wc_orgkey_decode(wc_buf_slice(&text), key, &err) != 0)
        code = wc_run_fail(run, WC_EXIT_FILE, "%s: %s %s", path,
                           err.field != NULL ? err.field : "the file",
                           err.why != NULL ? err.why : wc_strerror(err.rc));
    wc_buf_fini(&text);
    return code;
}

/*
 * One invitation at a time: two that ran side by side would give one serial to two
 * offices. The lock is on the file that stands at the path; as writing replaces it, whoever
 * waited looks again.
 */
static int lock_key(struct wc_run *run, const char *path, int *out)
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

/* ---- invite ---- */

struct invite {
    const char *office;
    const char *title;
    uint64_t quota;
    uint64_t days;
};

static int read_invite(struct wc_run *run, struct invite *in)
{
    char why[160];
    in->office = run->args->words[0];
    in->title = wc_run_option(run, WC_OPT_TITLE);
    in->quota = QUOTA_DEFAULT;
    in->days = DAYS_DEFAULT;
    if (in->title == NULL)
        in->title = in->office;
    if (!wc_office_name_valid(wc_slice_text(in->office)))
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "an office's name has 1 to %d of a-z, 0-9 and hyphens, and "
                           "starts and ends with a letter or digit",
                           WC_OFFICE_NAME_MAX_BYTES);
    if (wc_args_number(run->args, WC_OPT_QUOTA, 1, QUOTA_MAX, &in->quota, why,
                       sizeof(why)) != 0 ||
        wc_args_number(run->args, WC_OPT_DAYS, 1, DAYS_MAX, &in->days, why,
                       sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    return 0;
}

static int unlock(struct wc_run *run, const char *path, struct wc_orgkey *key,
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

static int print_invite(struct wc_run *run, const struct wc_identity *identity)
{
    struct wc_buf line = {0};
    int code = 0;
    int rc = wc_invite_line(identity, &line);
    if (rc != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "the invitation %s", wc_strerror(rc));
    if (wc_run_wants_json(run)) {
        json_t *value = json_object();
        json_object_set_new(value, "office", json_string(identity->cert.name));
        json_object_set_new(value, "serial",
                            json_integer((json_int_t)identity->cert.serial));
        json_object_set_new(value, "invite", wc_json_new_str(wc_buf_slice(&line)));
        code = wc_run_json(run, value);
        json_decref(value);
    } else {
        wc_buf_byte(&line, '\n');
        code = wc_run_write(run, &line);
    }
    if (line.data != NULL)
        wc_wipe(line.data, line.len);
    wc_buf_fini(&line);
    if (code == 0 && run->out.tty && !wc_run_wants_json(run)) {
        wc_run_hint(run, "This line is a secret: whoever has it is the office \"%s\".",
                    identity->cert.name);
        wc_run_hint(run,
                    "There: whocan office join --file FILE (a file that holds it)");
    }
    return code;
}

static int issue(struct wc_run *run, const char *path, const struct invite *in,
                 struct wc_orgkey *key, const struct wc_signer *signer)
{
    uint8_t seeds[2 * WC_KEY_BYTES];
    struct wc_identity identity = {.cert_len = 0};
    int code = draw_random(run, seeds, sizeof(seeds));
    if (code == 0 &&
        wc_orgkey_invite(key, signer, in->office, in->title, (uint32_t)in->quota,
                         now_ms(), (uint32_t)in->days, seeds, &identity) != 0)
        code = wc_run_fail(run, WC_EXIT_USAGE,
                           "the title must be text of at most %d bytes on one line",
                           WC_TITLE_MAX_BYTES);
    /* the serial must be used up on disk before anybody can see what carries it */
    if (code == 0)
        code = write_key(run, path, key, true);
    if (code == 0)
        code = print_invite(run, &identity);
    wc_identity_fini(&identity);
    wc_wipe(seeds, sizeof(seeds));
    return code;
}

int wc_cmd_org_invite(struct wc_run *run)
{
    const char *path = NULL;
    struct invite in;
    struct wc_orgkey key = {.next_serial = 0};
    struct wc_signer signer = {{0}, {0}};
    int lock = -1;
    int code = begin(run, &path);
    if (code == 0)
        code = read_invite(run, &in);
    if (code == 0)
        code = lock_key(run, path, &lock);
    if (code == 0)
        code = read_key(run, path, &key);
    if (code == 0)
        code = unlock(run, path, &key, &signer);
    if (code == 0)
        code = issue(run, path, &in, &key, &signer);
    if (lock >= 0)
        close(lock);
    wc_signer_fini(&signer);
    wc_wipe(&key, sizeof(key));
    return code;
}

/* ---- show ---- */

static int show_key(struct wc_run *run, const char *path)
{
    struct wc_orgkey key = {.next_serial = 0};
    struct wc_buf out = {0};
    int code = read_key(run, path, &key);
    if (code != 0)
        return code;
    json_t *value = org_json(&key);
    if (wc_run_wants_json(run)) {
        code = wc_run_json(run, value);
    } else {
        wc_print_org(&run->out, &out, value);
        code = wc_run_write(run, &out);
    }
    wc_buf_fini(&out);
    json_decref(value);
    return code;
}

/* What this office knows of its organisation. */
static int show_known(struct wc_run *run)
{
    json_t *result = NULL;
    struct wc_buf out = {0};
    int code = wc_run_call(run, "office.show", json_object(), &result);
    json_t *value = json_object();
    json_object_set(value, "organisation", json_object_get(result, "organisation"));
    json_object_set(value, "organisation_id",
                    json_object_get(result, "organisation_id"));
    json_object_set(value, "mode", json_object_get(result, "mode"));
    if (code == 0 && wc_run_wants_json(run)) {
        code = wc_run_json(run, value);
    } else if (code == 0) {
        wc_print_org(&run->out, &out, value);
        code = wc_run_write(run, &out);
    }
    wc_buf_fini(&out);
    json_decref(value);
    json_decref(result);
    return code;
}

int wc_cmd_org_show(struct wc_run *run)
{
    const char *path = wc_run_option(run, WC_OPT_KEY);
    return path != NULL ? show_key(run, path) : show_known(run);
}

/* ---- office join ---- */

static struct wc_slice trim_line(struct wc_slice text)
{
    while (text.len > 0 && text.data[0] <= ' ')
        text = wc_slice(text.data + 1, text.len - 1);
    while (text.len > 0 && text.data[text.len - 1] <= ' ')
        text.len--;
    return text;
}

static int read_invitation(struct wc_run *run, struct wc_buf *out)
{
    char why[4400];
    const char *file = wc_run_option(run, WC_OPT_FILE);
    const char *word = run->args->word_count > 0 ? run->args->words[0] : NULL;
    if (file != NULL && word != NULL)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "give the invitation itself or --file, not both");
    if (file == NULL && word == NULL)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "usage: whocan office join INVITATION|-, or --file FILE");
    if (file == NULL && strcmp(word, "-") == 0 && isatty(STDIN_FILENO) == 1)
        fputs("Paste the invitation, then Enter and Ctrl-D:\n", stderr);
    if (word != NULL && strcmp(word, "-") != 0) {
        wc_buf_text(out, word);
        return 0;
    }
    if (wc_file_read(file != NULL ? file : "-", INVITE_MAX_BYTES, out, why,
                     sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "%s", why);
    return 0;
}

/* Whether it is one is the daemon's to judge; what cannot be one is told with its name. */
static int check_invitation(struct wc_run *run, struct wc_slice line)
{
    const char *file = wc_run_option(run, WC_OPT_FILE);
    size_t start = strlen(INVITE_START);
    if (line.len > start && memcmp(line.data, INVITE_START, start) == 0 &&
        memchr(line.data, '\0', line.len) == NULL && wc_utf8_valid(line))
        return 0;
    if (file == NULL && strcmp(run->args->words[0], "-") == 0)
        file = "standard input";
    wc_run_fail(run, WC_EXIT_USAGE, "%s is not an invitation",
                file != NULL ? file : "that");
    wc_run_hint(run, "An invitation is one line that starts with " INVITE_START "1. "
                     "Whoever keeps the organisation's key");
    wc_run_hint(run, "makes it: whocan org invite OFFICE --key FILE");
    return WC_EXIT_USAGE;
}

static int joined(struct wc_run *run, const json_t *result)
{
    struct wc_buf out = {0};
    uint64_t moved = wc_json_u64(result, "people_moved");
    if (wc_run_wants_json(run))
        return wc_run_json(run, result);
    wc_buf_text(&out, "This office is now \"");
    wc_term_safe(&out, wc_json_str(result, "name"));
    wc_buf_text(&out, "\" of ");
    wc_term_safe(&out, wc_json_str(result, "organisation"));
    wc_buf_text(&out, ".\n");
    if (moved > 0) {
        wc_term_plural(&out, moved, "profile", "profiles");
        wc_buf_text(&out, " came along.\n");
    }
    wc_buf_text(&out, "`whocan offices` shows whom it has found.\n");
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

int wc_cmd_office_join(struct wc_run *run)
{
    struct wc_buf text = {0};
    json_t *result = NULL;
    int code = read_invitation(run, &text);
    struct wc_slice line = trim_line(wc_buf_slice(&text));
    if (code == 0)
        code = check_invitation(run, line);
    if (code == 0)
        code =
            wc_run_call(run, "office.join",
                        json_pack("{s:o}", "invite", wc_json_new_str(line)), &result);
    if (code == 0)
        code = joined(run, result);
    if (text.data != NULL)
        wc_wipe(text.data, text.len);
    wc_buf_fini(&text);
    json_decref(result);
    return code;
}
