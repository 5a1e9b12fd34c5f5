/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org create, org invite, org admit, org show: the organisation's key file, which stays offline. org
 * publish hands what it signed to a daemon.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <whocan/admit.h>
#include <whocan/cert.h>
#include <whocan/register.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/orgfile.h"
#include "cli/passphrase.h"
#include "cli/pasted.h"
#include "cli/print.h"
#include "cli/statement.h"

#define DAYS_DEFAULT  730
#define DAYS_MAX      3650
#define QUOTA_DEFAULT 100000
#define QUOTA_MAX     10000000

#define STATEMENTS_MAX_BYTES (64u << 20) /* grants for tens of thousands of offices */

/* ---- create ---- */

static int create_key(struct wc_run *run, const char *name,
                      const struct wc_passphrase *passphrase, struct wc_orgkey *key,
                      struct wc_recovery *recovery)
{
    uint8_t random[WC_ORGKEY_RANDOM_BYTES];
    int code = wc_orgfile_random(run, random, sizeof(random));
    if (code == 0) {
        int rc = wc_orgkey_create(
            key, name, wc_slice(passphrase->text, passphrase->len), random, recovery);
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

/* Beside the key file: council.key has council.recovery. */
static int recovery_path(struct wc_run *run, const char *key_path, char *out,
                         size_t room)
{
    size_t len = strlen(key_path);
    if (len > 4 && strcmp(key_path + len - 4, ".key") == 0)
        len -= 4;
    int n = snprintf(out, room, "%.*s.recovery", (int)len, key_path);
    if (n < 0 || (size_t)n >= room)
        return wc_run_fail(run, WC_EXIT_USAGE, "%s is too long a name", key_path);
    return 0;
}

static int write_recovery(struct wc_run *run, const char *path,
                          const struct wc_recovery *recovery)
{
    struct wc_buf line = {0};
    char why[4400] = "out of memory";
    int rc = wc_recovery_line(recovery, &line);
    wc_buf_byte(&line, '\n');
    if (rc == 0)
        rc = wc_file_put(path, wc_buf_slice(&line), 0600, false, why, sizeof(why));
    if (line.data != NULL)
        wc_wipe(line.data, line.len);
    wc_buf_fini(&line);
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

static int created(struct wc_run *run, const char *path, const char *recovery,
                   const struct wc_orgkey *key)
{
    struct wc_buf out = {0};
    if (wc_run_wants_json(run)) {
        json_t *value = org_json(key);
        json_object_set_new(value, "recovery_file",
                            wc_json_new_str(wc_slice_text(recovery)));
        int code = wc_run_json(run, value);
        json_decref(value);
        return code;
    }
    wc_buf_text(&out, "The organisation \"");
    wc_term_safe(&out, wc_slice_text(key->org.name));
    wc_buf_text(&out, "\" has its key in ");
    wc_term_safe(&out, wc_slice_text(path));
    wc_buf_text(&out, ".\nKeep the file offline, and its passphrase somewhere else: "
                      "without both no office\ncan be admitted.\n\nPrint ");
    wc_term_safe(&out, wc_slice_text(recovery));
    wc_buf_text(&out, ", put the paper in a safe, and delete the file: its one line\n"
                      "is what a lost or stolen key is answered with (whocan org "
                      "rotate).\n\n"
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
    struct wc_recovery recovery = {.org_name = ""};
    char recovery_file[4200];
    wc_run_join(run, &name);
    wc_buf_byte(&name, '\0');
    int code = wc_orgfile_begin(run, &path);
    if (code == 0 && name.failed)
        code = wc_run_fail(run, WC_EXIT_FILE, "out of memory");
    if (code == 0)
        code = refuse_existing(run, path);
    if (code == 0)
        code = recovery_path(run, path, recovery_file, sizeof(recovery_file));
    if (code == 0)
        code = refuse_existing(run, recovery_file);
    if (code == 0)
        code = wc_passphrase_get(run, true, &passphrase);
    if (code == 0)
        code = create_key(run, (const char *)name.data, &passphrase, &key, &recovery);
    if (code == 0)
        code = write_recovery(run, recovery_file, &recovery);
    if (code == 0 && (code = wc_orgfile_write(run, path, &key, false)) != 0)
        unlink(recovery_file); /* of a key that there is not */
    if (code == 0)
        code = created(run, path, recovery_file, &key);
    wc_wipe(&recovery, sizeof(recovery));
    wc_passphrase_fini(&passphrase);
    wc_orgkey_fini(&key);
    wc_buf_fini(&name);
    return code;
}

/* ---- invite ---- */

struct invite {
    const char *office;
    const char *title;
    uint64_t quota;
    uint64_t days;
};

static int bad_office_name(struct wc_run *run)
{
    return wc_run_fail(run, WC_EXIT_USAGE,
                       "an office's name has 1 to %d of a-z, 0-9 and hyphens, and "
                       "starts and ends with a letter or digit",
                       WC_OFFICE_NAME_MAX_BYTES);
}

/* --quota and --days. */
static int read_terms(const struct wc_run *run, struct invite *in, char *why,
                      size_t why_cap)
{
    int rc =
        wc_args_number(run->args, WC_OPT_QUOTA, 1, QUOTA_MAX, &in->quota, why, why_cap);
    if (rc == 0)
        rc = wc_args_number(run->args, WC_OPT_DAYS, 1, DAYS_MAX, &in->days, why,
                            why_cap);
    return rc;
}

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
        return bad_office_name(run);
    if (read_terms(run, in, why, sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    return 0;
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

/* Somebody who invites an office twice may have an office at work with the first one. The
 * certificate that was issued last is the one of this invitation. */
static void say_earlier(struct wc_run *run, const struct wc_register *reg,
                        const char *office)
{
    char key[2 * WC_KEY_BYTES + 1];
    for (uint32_t i = reg->issued_count - 1; i > 0; i--) {
        const struct wc_cert *c = &reg->issued[i - 1].cert;
        if (strcmp(c->name, office) != 0 ||
            wc_register_revoked_at(reg, c->sign_key) != 0 ||
            c->not_after_ms <= wc_orgfile_now_ms())
            continue;
        wc_hex(key, c->sign_key, WC_KEY_BYTES);
        wc_run_hint(
            run,
            "\"%s\" has a certificate already, number %llu, which still counts. "
            "From now on org renew %s renews that of this invitation instead. "
            "When the former is not in use any more: whocan org revoke %s",
            office, (unsigned long long)c->serial, office, key);
        return;
    }
}

static int issue(struct wc_run *run, const char *path, const struct invite *in,
                 struct wc_orgkey *key, const struct wc_signer *signer)
{
    uint8_t seeds[2 * WC_KEY_BYTES];
    struct wc_identity identity = {.cert_len = 0};
    int code = wc_orgfile_random(run, seeds, sizeof(seeds));
    if (code == 0 && wc_orgkey_invite(key, signer, in->office, in->title,
                                      (uint32_t)in->quota, wc_orgfile_now_ms(),
                                      (uint32_t)in->days, seeds, &identity) != 0)
        code = wc_run_fail(run, WC_EXIT_USAGE,
                           "the title must be text of at most %d bytes on one line",
                           WC_TITLE_MAX_BYTES);
    /* the serial must be used up on disk before anybody can see what carries it */
    if (code == 0)
        code = wc_orgfile_write(run, path, key, true);
    if (code == 0)
        code = print_invite(run, &identity);
    if (code == 0)
        say_earlier(run, &key->reg, in->office);
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
    int code = wc_orgfile_begin(run, &path);
    if (code == 0)
        code = read_invite(run, &in);
    if (code == 0)
        code = wc_orgfile_lock(run, path, &lock);
    if (code == 0)
        code = wc_orgfile_read(run, path, &key);
    if (code == 0)
        code = wc_orgfile_unlock(run, path, &key, &signer);
    if (code == 0)
        code = issue(run, path, &in, &key, &signer);
    if (lock >= 0)
        close(lock);
    wc_signer_fini(&signer);
    wc_orgkey_fini(&key);
    return code;
}

/* ---- admit ---- */

static const char *const request_starts[] = {"whocan-request-", NULL};
static const struct wc_pasted_rule request_rule = {
    "request",
    "a",
    "org admit REQUEST|-",
    request_starts,
    "A request is one line that starts with whocan-request-1. The office makes it: "
    "whocan "
    "office request",
    65536,
};

/* The request, with the name and title that --name and --title give it. */
static int read_request(struct wc_run *run, struct wc_office_request *request,
                        struct invite *in)
{
    struct wc_buf text = {0};
    struct wc_slice line = {0};
    struct wc_err err = {0};
    char why[160];
    const char *name = wc_run_option(run, WC_OPT_NAME);
    in->quota = QUOTA_DEFAULT;
    in->days = DAYS_DEFAULT;
    int code = wc_pasted_read(run, &request_rule, &text, &line);
    if (code == 0 && wc_request_parse(line, request, &err) != 0)
        code = wc_run_fail(run, WC_EXIT_USAGE, "this request %s",
                           err.why != NULL ? err.why : wc_strerror(err.rc));
    wc_buf_fini(&text);
    if (code != 0)
        return code;
    in->office = name != NULL ? name : request->name;
    in->title = wc_run_option(run, WC_OPT_TITLE);
    if (in->title == NULL)
        in->title = name != NULL && strcmp(request->title, request->name) == 0
                        ? name
                        : request->title;
    if (!wc_office_name_valid(wc_slice_text(in->office)))
        return bad_office_name(run);
    if (strlen(in->title) > WC_TITLE_MAX_BYTES)
        return wc_run_fail(run, WC_EXIT_USAGE, "a title has at most %d bytes",
                           WC_TITLE_MAX_BYTES);
    if (read_terms(run, in, why, sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    /* they may point into the request */
    struct wc_office_request changed = *request;
    wc_slice_copy(wc_slice_text(in->office), changed.name, sizeof(changed.name));
    wc_slice_copy(wc_slice_text(in->title), changed.title, sizeof(changed.title));
    *request = changed;
    return 0;
}

/* What is about to be signed, before the passphrase is asked for. */
static void show_request(struct wc_run *run, const struct wc_office_request *request,
                         const struct invite *in)
{
    char key[2 * WC_KEY_BYTES + 1];
    wc_hex(key, request->sign_key, WC_KEY_BYTES);
    wc_run_hint(run,
                "Admits \"%s\" (%s) for %" PRIu64 " days, up to %" PRIu64 " people.",
                request->name, request->title, in->days, in->quota);
    wc_run_hint(run, "Its key: %s", key);
    wc_run_hint(run, "Compare it with what `whocan office request` or `whocan office "
                     "show` says there.");
}

static int print_admission(struct wc_run *run, const struct wc_cert *cert,
                           struct wc_buf *line)
{
    char key[2 * WC_KEY_BYTES + 1];
    if (!wc_run_wants_json(run)) {
        wc_buf_byte(line, '\n');
        return wc_run_write(run, line);
    }
    wc_hex(key, cert->sign_key, WC_KEY_BYTES);
    json_t *value = json_pack("{s:s, s:s, s:I, s:o}", "office", cert->name, "key", key,
                              "serial", (json_int_t)cert->serial, "admission",
                              wc_json_new_str(wc_buf_slice(line)));
    int code = wc_run_json(run, value);
    json_decref(value);
    return code;
}

static int admit(struct wc_run *run, const char *path,
                 const struct wc_office_request *request, const struct invite *in,
                 struct wc_orgkey *key, const struct wc_signer *signer)
{
    uint8_t seed[WC_KEY_BYTES];
    struct wc_cert cert;
    struct wc_buf line = {0};
    int code = wc_orgfile_random(run, seed, sizeof(seed));
    int rc = code != 0 ? 0
                       : wc_orgkey_admit(key, signer, request, (uint32_t)in->quota,
                                         wc_orgfile_now_ms(), (uint32_t)in->days, seed,
                                         &cert, &line);
    wc_wipe(seed, sizeof(seed));
    if (rc == -WC_EREVOKED)
        code = wc_run_fail(run, WC_EXIT_USAGE,
                           "the key of this office was revoked, and that is for ever: "
                           "it starts with an empty state directory and asks again");
    else if (rc != 0)
        code = wc_run_fail(run, WC_EXIT_USAGE, "the certificate %s", wc_strerror(rc));
    if (code == 0)
        code = wc_orgfile_write(run, path, key, true);
    if (code == 0)
        code = print_admission(run, &cert, &line);
    wc_buf_fini(&line);
    return code;
}

int wc_cmd_org_admit(struct wc_run *run)
{
    const char *path = NULL;
    struct invite in;
    struct wc_office_request request;
    struct wc_orgkey key = {.next_serial = 0};
    struct wc_signer signer = {{0}, {0}};
    int lock = -1;
    int code = wc_orgfile_begin(run, &path);
    if (code == 0)
        code = read_request(run, &request, &in);
    if (code == 0)
        code = wc_orgfile_lock(run, path, &lock);
    if (code == 0)
        code = wc_orgfile_read(run, path, &key);
    if (code == 0) {
        show_request(run, &request, &in);
        code = wc_orgfile_unlock(run, path, &key, &signer);
    }
    if (code == 0)
        code = admit(run, path, &request, &in, &key, &signer);
    if (lock >= 0)
        close(lock);
    wc_signer_fini(&signer);
    wc_orgkey_fini(&key);
    return code;
}

/* ---- show ---- */

static int show_key(struct wc_run *run, const char *path)
{
    struct wc_orgkey key = {.next_serial = 0};
    struct wc_buf out = {0};
    int code = wc_orgfile_read(run, path, &key);
    if (code != 0)
        return code;
    json_t *value = org_json(&key);
    wc_orgkey_fini(&key);
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

/* ---- publish ---- */

static const char *const statement_starts[] = {"whocan-statement-", NULL};
static const struct wc_pasted_rule statement_rule = {
    "statement",
    "a",
    "org publish LINE|-",
    statement_starts,
    "A statement is one line that starts with whocan-statement-1. Whoever keeps the "
    "organisation's key makes it: whocan org revoke OFFICE --key FILE --print",
    STATEMENTS_MAX_BYTES,
};

static int published(struct wc_run *run, uint64_t accepted, uint64_t known)
{
    struct wc_buf out = {0};
    if (wc_run_wants_json(run)) {
        json_t *value = json_pack("{s:I, s:I}", "accepted", (json_int_t)accepted,
                                  "known", (json_int_t)known);
        int code = wc_run_json(run, value);
        json_decref(value);
        return code;
    }
    if (accepted > 0)
        wc_buf_text(&out, "Published: this office tells every other one.\n");
    else
        wc_buf_text(&out, "This office knew it already.\n");
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

/* The first statement of several; *rest is what follows it. A line may be wrapped, so
 * the next one begins where the next prefix is. */
static struct wc_slice first_statement(struct wc_slice *rest)
{
    const char *start = statement_starts[0];
    size_t len = strlen(start), at = len;
    while (at < rest->len &&
           (rest->len - at < len || memcmp(rest->data + at, start, len) != 0))
        at++;
    struct wc_slice first = wc_slice(rest->data, at);
    *rest = wc_slice(rest->data + at, rest->len - at);
    return first;
}

/* In their order: a rotation comes before what the new key signed. */
static int publish_all(struct wc_run *run, struct wc_slice rest, uint64_t *accepted,
                       uint64_t *known)
{
    int code = 0;
    while (code == 0 && rest.len > 0) {
        json_t *result = NULL;
        json_t *params =
            json_pack("{s:o}", "statement", wc_json_new_str(first_statement(&rest)));
        code = wc_run_call(run, "org.submit", params, &result);
        if (code == 0) {
            *accepted += wc_json_u64(result, "accepted");
            *known += wc_json_u64(result, "known");
        }
        json_decref(result);
    }
    return code;
}

int wc_cmd_org_publish(struct wc_run *run)
{
    struct wc_buf text = {0};
    struct wc_slice lines = {0};
    uint64_t accepted = 0, known = 0;
    int code = wc_pasted_read(run, &statement_rule, &text, &lines);
    if (code == 0)
        code = publish_all(run, lines, &accepted, &known);
    if (code == 0)
        code = published(run, accepted, known);
    wc_buf_fini(&text);
    return code;
}
