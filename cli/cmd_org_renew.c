/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org renew: certificates with new dates. org rotate: another key for the organisation.
 * Neither touches the offices' machines: what is signed here reaches them from any
 * office.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <whocan/record.h>
#include <whocan/register.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/orgfile.h"
#include "cli/passphrase.h"
#include "cli/print.h"
#include "cli/reissue.h"

#define DAYS_DEFAULT  730
#define DAYS_MAX      3650
#define QUOTA_MAX     10000000
#define LINE_MAX_TEXT 8192
#define PATH_ROOM     4200
#define WHY_ROOM      256
#define KNOWN_PAGE    500 /* certificates in one answer of a daemon */
/* A daemon that stands in for a lost register may not know certificates that were issued
 * and never used: the serials go on well above what it knows. */
#define SERIAL_GAP 100000

/* ---- telling ---- */

static void say_offices(struct wc_run *run, const json_t *offices, struct wc_buf *out)
{
    size_t i;
    json_t *office;
    (void)run;
    json_array_foreach(offices, i, office)
    {
        char number[32];
        wc_buf_text(out, "  ");
        wc_term_safe(out, wc_json_str(office, "office"));
        wc_buf_text(out, ": until ");
        wc_print_date(out, (time_t)(wc_json_u64(office, "not_after_ms") / 1000));
        snprintf(number, sizeof(number), ", number %llu\n",
                 (unsigned long long)wc_json_u64(office, "serial"));
        wc_buf_text(out, number);
    }
}

static int tell_json(struct wc_run *run, const char *what, const json_t *offices,
                     const struct wc_buf *left, const char *statements_file)
{
    json_t *value = json_object();
    json_object_set(value, what, (json_t *)offices);
    json_object_set_new(value, "handed", json_boolean(left->len == 0));
    if (left->len > 0 && statements_file == NULL)
        json_object_set_new(value, "statements",
                            wc_json_new_str(wc_buf_slice((struct wc_buf *)left)));
    if (left->len > 0 && statements_file != NULL)
        json_object_set_new(value, "statements_file", json_string(statements_file));
    int code = wc_run_json(run, value);
    json_decref(value);
    return code;
}

/* ---- renew ---- */

struct renewal {
    uint64_t days;
    uint64_t quota; /* 0: as it was */
    bool all;
};

static int read_renewal(struct wc_run *run, struct renewal *in)
{
    char why[160];
    *in = (struct renewal){.days = DAYS_DEFAULT,
                           .all = wc_run_option(run, WC_OPT_ALL) != NULL};
    if (wc_args_number(run->args, WC_OPT_DAYS, 1, DAYS_MAX, &in->days, why,
                       sizeof(why)) != 0 ||
        (wc_run_option(run, WC_OPT_QUOTA) != NULL &&
         wc_args_number(run->args, WC_OPT_QUOTA, 1, QUOTA_MAX, &in->quota, why,
                        sizeof(why)) != 0))
        return wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    if (in->all == (run->args->word_count > 0))
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "say which offices to renew: their names, or --all");
    return 0;
}

/* The states of all certificates in the register, or NULL after saying why not. */
static enum wc_issued_state *read_states(struct wc_run *run,
                                         const struct wc_register *reg)
{
    enum wc_issued_state *states = calloc(reg->issued_count + 1, sizeof(*states));
    if (states == NULL || wc_register_states(reg, wc_orgfile_now_ms(), states) != 0) {
        free(states);
        wc_run_fail(run, WC_EXIT_FILE, "out of memory");
        return NULL;
    }
    return states;
}

static int renew_one(struct wc_run *run, const struct renewal *in,
                     struct wc_reissue *re, struct wc_orgkey *key,
                     const struct wc_signer *signer, const struct wc_cert *old)
{
    struct wc_cert cert = *old;
    cert.not_after_ms = wc_orgfile_now_ms() + in->days * WC_DAY_MS;
    if (in->quota > 0)
        cert.quota = (uint32_t)in->quota;
    return wc_reissue_add(run, re, key, signer, &cert);
}

static int renew_all(struct wc_run *run, const struct renewal *in,
                     struct wc_reissue *re, struct wc_orgkey *key,
                     const struct wc_signer *signer, const enum wc_issued_state *states)
{
    int code = 0;
    uint32_t count = key->reg.issued_count; /* those that are added are behind it */
    for (uint32_t i = 0; code == 0 && i < count; i++) {
        if (states[i] == WC_ISSUED_CURRENT)
            code = renew_one(run, in, re, key, signer, &key->reg.issued[i].cert);
    }
    return code;
}

/* By name: one that has ended may be renewed too, as long as nothing replaced it. */
static int renew_named(struct wc_run *run, const struct renewal *in,
                       struct wc_reissue *re, struct wc_orgkey *key,
                       const struct wc_signer *signer,
                       const enum wc_issued_state *states)
{
    uint32_t count = key->reg.issued_count;
    for (int w = 0; w < run->args->word_count; w++) {
        const char *name = run->args->words[w];
        uint32_t i = count;
        while (i > 0 && ((states[i - 1] != WC_ISSUED_CURRENT &&
                          states[i - 1] != WC_ISSUED_EXPIRED) ||
                         strcmp(key->reg.issued[i - 1].cert.name, name) != 0))
            i--;
        if (i == 0)
            return wc_run_fail(
                run, WC_EXIT_USAGE,
                "there is no office \"%s\" to renew; nothing was changed", name);
        int code = renew_one(run, in, re, key, signer, &key->reg.issued[i - 1].cert);
        if (code != 0)
            return code;
    }
    return 0;
}

static int renewed(struct wc_run *run, const struct wc_reissue *re,
                   const struct wc_buf *left, const char *why_not)
{
    struct wc_buf out = {0};
    if (wc_run_wants_json(run))
        return tell_json(run, "renewed", re->offices, left, NULL);
    if (left->len > 0) {
        if (why_not[0] != '\0')
            wc_run_hint(run, "It was not handed to a daemon: %s.", why_not);
        wc_run_hint(run, "Give this to the daemon of any office, as its administrator: "
                         "whocan org publish -");
        wc_buf_append(&out, left->data, left->len);
    } else {
        wc_buf_text(&out, "Renewed; every office is told, and those that are away when "
                          "they come back:\n");
        say_offices(run, re->offices, &out);
    }
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

static int renew(struct wc_run *run, const char *path, const struct renewal *in,
                 struct wc_orgkey *key, const struct wc_signer *signer)
{
    struct wc_reissue re = {0};
    struct wc_buf left = {0};
    char why_not[WHY_ROOM] = "";
    enum wc_issued_state *states = read_states(run, &key->reg);
    int code = states == NULL ? WC_EXIT_FILE : wc_reissue_init(run, &re);
    if (code == 0)
        code = in->all ? renew_all(run, in, &re, key, signer, states)
                       : renew_named(run, in, &re, key, signer, states);
    if (code == 0 && re.count == 0)
        code = wc_run_fail(run, WC_EXIT_USAGE, "no office has a certificate to renew");
    /* the serials must be used up on disk before anybody can see what carries them */
    if (code == 0)
        code = wc_orgfile_write(run, path, key, true);
    if (code == 0)
        code = wc_reissue_hand(run, &re, wc_slice(NULL, 0), &left, why_not);
    if (code == 0)
        code = renewed(run, &re, &left, why_not);
    wc_buf_fini(&left);
    wc_reissue_fini(&re);
    free(states);
    return code;
}

int wc_cmd_org_renew(struct wc_run *run)
{
    const char *path = NULL;
    struct renewal in;
    struct wc_orgkey key = {.next_serial = 0};
    struct wc_signer signer = {{0}, {0}};
    int lock = -1;
    int code = wc_orgfile_begin(run, &path);
    if (code == 0)
        code = read_renewal(run, &in);
    if (code == 0)
        code = wc_orgfile_lock(run, path, &lock);
    if (code == 0)
        code = wc_orgfile_read(run, path, &key);
    if (code == 0)
        code = wc_orgfile_unlock(run, path, &key, &signer);
    if (code == 0)
        code = renew(run, path, &in, &key, &signer);
    if (lock >= 0)
        close(lock);
    wc_signer_fini(&signer);
    wc_orgkey_fini(&key);
    return code;
}

/* ---- rotate: what is known of the organisation ---- */

/* What the former key file or a daemon says. */
struct known {
    struct wc_org org;
    uint64_t next_serial;
    struct wc_cert *certs; /* of those that stay */
    uint32_t count, cap;
};

static int add_known(struct wc_run *run, struct known *k, const struct wc_cert *cert)
{
    if (k->count == k->cap) {
        uint32_t cap = k->cap == 0 ? 64 : 2 * k->cap;
        struct wc_cert *certs = realloc(k->certs, cap * sizeof(*certs));
        if (certs == NULL)
            return wc_run_fail(run, WC_EXIT_FILE, "out of memory");
        k->certs = certs;
        k->cap = cap;
    }
    k->certs[k->count++] = *cert;
    return 0;
}

static int known_from_file(struct wc_run *run, const char *path, struct known *k)
{
    struct wc_orgkey old = {.next_serial = 0};
    enum wc_issued_state *states = NULL;
    int code = wc_orgfile_read(run, path, &old);
    if (code == 0 && (states = read_states(run, &old.reg)) == NULL)
        code = WC_EXIT_FILE;
    k->org = old.org;
    k->next_serial = old.next_serial;
    for (uint32_t i = 0; code == 0 && i < old.reg.issued_count; i++) {
        if (states[i] == WC_ISSUED_CURRENT)
            code = add_known(run, k, &old.reg.issued[i].cert);
    }
    free(states);
    wc_orgkey_fini(&old);
    return code;
}

static bool read_hex(const json_t *value, const char *field, uint8_t *out, size_t len)
{
    return wc_unhex(out, len, wc_json_str(value, field)) == 0;
}

static bool read_known_cert(const json_t *o, struct wc_cert *cert)
{
    uint64_t quota = wc_json_u64(o, "quota");
    *cert = (struct wc_cert){.not_before_ms = wc_json_u64(o, "not_before_ms"),
                             .not_after_ms = wc_json_u64(o, "not_after_ms"),
                             .serial = wc_json_u64(o, "serial"),
                             .quota = (uint32_t)quota};
    return quota <= UINT32_MAX && read_hex(o, "key", cert->sign_key, WC_KEY_BYTES) &&
           read_hex(o, "link_key", cert->link_key, WC_KEY_BYTES) &&
           wc_slice_copy(wc_json_str(o, "name"), cert->name, sizeof(cert->name)) &&
           wc_slice_copy(wc_json_str(o, "title"), cert->title, sizeof(cert->title));
}

static bool read_known_org(const json_t *result, struct wc_org *org)
{
    struct wc_buf rotation = {0};
    bool ok = read_hex(result, "organisation_id", org->id, WC_ORG_ID_BYTES) &&
              read_hex(result, "key", org->key, WC_KEY_BYTES) &&
              read_hex(result, "recovery_key", org->recovery_key, WC_KEY_BYTES) &&
              wc_base64url_decode(wc_json_str(result, "rotation"), &rotation) == 0 &&
              rotation.len <= sizeof(org->rotation);
    if (ok && rotation.len > 0)
        memcpy(org->rotation, rotation.data, rotation.len);
    org->rotation_len = ok ? rotation.len : 0;
    wc_buf_fini(&rotation);
    return ok;
}

static int read_known_page(struct wc_run *run, const json_t *result, struct known *k)
{
    const json_t *offices = json_object_get(result, "offices");
    bool ok = read_known_org(result, &k->org);
    int code = 0;
    for (size_t i = 0; ok && code == 0 && i < json_array_size(offices); i++) {
        struct wc_cert cert;
        ok = read_known_cert(json_array_get(offices, i), &cert);
        if (ok && cert.serial >= k->next_serial)
            k->next_serial = cert.serial + 1;
        if (ok)
            code = add_known(run, k, &cert);
    }
    if (!ok)
        return wc_run_fail(
            run, WC_EXIT_REFUSED,
            "the daemon's answer makes no sense: it is of another version");
    return code;
}

static int known_from_daemon(struct wc_run *run, struct known *k)
{
    int code = 0;
    for (size_t from = 0; code == 0; from += KNOWN_PAGE) {
        json_t *result = NULL;
        code = wc_run_call(
            run, "org.known",
            json_pack("{s:I, s:i}", "from", (json_int_t)from, "limit", KNOWN_PAGE),
            &result);
        if (code == 0)
            code = read_known_page(run, result, k);
        bool more = code == 0 && json_is_true(json_object_get(result, "more"));
        json_decref(result);
        if (!more)
            break;
    }
    k->next_serial += SERIAL_GAP;
    return code;
}

/* ---- rotate ---- */

struct rotation {
    const char *recovery_file, *out;
    char statements_file[PATH_ROOM];
};

static int read_rotation(struct wc_run *run, struct rotation *in)
{
    struct stat st;
    in->recovery_file = wc_run_option(run, WC_OPT_RECOVERY);
    in->out = wc_run_option(run, WC_OPT_OUTPUT);
    bool daemon = wc_run_option(run, WC_OPT_FROM_DAEMON) != NULL;
    if (in->recovery_file == NULL || in->out == NULL)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "say where the recovery line is and where the new key goes: "
                           "--recovery FILE --output FILE");
    if (daemon == (wc_run_option(run, WC_OPT_KEY) != NULL))
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "say who knows the offices: --key with the former key file, "
                           "or --from-daemon");
    if (lstat(in->out, &st) == 0)
        return wc_run_fail(run, WC_EXIT_FILE, "%s exists already; it was left as it is",
                           in->out);
    int n = snprintf(in->statements_file, sizeof(in->statements_file), "%s.statements",
                     in->out);
    if (n < 0 || (size_t)n >= sizeof(in->statements_file))
        return wc_run_fail(run, WC_EXIT_USAGE, "%s is too long a name", in->out);
    if (wc_crypto_init() != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "cryptography does not start");
    return 0;
}

static int read_recovery(struct wc_run *run, const char *path, struct wc_recovery *out)
{
    struct wc_buf text = {0};
    struct wc_err err = {0};
    char why[4400];
    int code = 0;
    wc_buf_reserve(&text, LINE_MAX_TEXT + 1); /* growth leaves no copies */
    if (wc_file_read(path, LINE_MAX_TEXT, &text, why, sizeof(why)) != 0)
        code = wc_run_fail(run, WC_EXIT_FILE, "%s", why);
    else if (wc_recovery_parse(wc_buf_slice(&text), out, &err) != 0)
        code = wc_run_fail(run, WC_EXIT_USAGE, "%s: the recovery line %s", path,
                           err.why != NULL ? err.why : wc_strerror(err.rc));
    if (text.data != NULL)
        wc_wipe(text.data, text.cap);
    wc_buf_fini(&text);
    return code;
}

static int new_key(struct wc_run *run, const struct known *k,
                   const struct wc_recovery *recovery, struct wc_orgkey *key,
                   struct wc_signer *signer)
{
    uint8_t random[WC_ORGKEY_ROTATE_RANDOM_BYTES];
    struct wc_passphrase passphrase = {.len = 0};
    int code = wc_passphrase_get(run, true, &passphrase);
    if (code == 0)
        code = wc_orgfile_random(run, random, sizeof(random));
    if (code == 0) {
        int rc = wc_orgkey_rotate(key, &k->org, recovery, k->next_serial,
                                  wc_slice(passphrase.text, passphrase.len),
                                  wc_orgfile_now_ms(), random, signer);
        if (rc == -WC_EORGANISATION)
            code = wc_run_fail(run, WC_EXIT_USAGE,
                               "that recovery line is of another organisation");
        else if (rc != 0)
            code = wc_run_fail(run, WC_EXIT_FILE, "the new key %s", wc_strerror(rc));
    }
    wc_passphrase_fini(&passphrase);
    wc_wipe(random, sizeof(random));
    return code;
}

/* What no daemon took goes to a file: it is too long to copy from a screen. */
static int keep_statements(struct wc_run *run, const struct rotation *in,
                           struct wc_buf *left)
{
    char why[4400];
    if (left->len == 0)
        return 0;
    if (wc_file_put(in->statements_file, wc_buf_slice(left), 0644, false, why,
                    sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "%s", why);
    return 0;
}

static int rotated(struct wc_run *run, const struct rotation *in,
                   const struct wc_reissue *re, const struct wc_buf *left,
                   const char *why_not)
{
    struct wc_buf out = {0};
    if (wc_run_wants_json(run))
        return tell_json(run, "certified", re->offices, left, in->statements_file);
    wc_buf_text(&out, "The organisation has a new key, in ");
    wc_term_safe(&out, wc_slice_text(in->out));
    wc_buf_text(&out, ".\n");
    if (left->len > 0) {
        if (why_not[0] != '\0')
            wc_run_hint(run, "It was not handed to a daemon: %s.", why_not);
        wc_buf_text(&out,
                    "Nothing has changed for the offices yet. On one of them, as its "
                    "administrator:\n  whocan org publish --file ");
        wc_term_safe(&out, wc_slice_text(in->statements_file));
        wc_buf_byte(&out, '\n');
    } else {
        wc_buf_text(&out,
                    "Every office is told, and those that are away when they come "
                    "back. What the former key\nsigned is not believed any "
                    "more.\n");
    }
    wc_buf_text(&out,
                "These offices have certificates by the new key; any other is out "
                "after an hour:\n");
    say_offices(run, re->offices, &out);
    wc_buf_text(&out, "The recovery line stays good: put it back into the safe.\n");
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

static int rotate(struct wc_run *run, const struct rotation *in, const struct known *k,
                  struct wc_orgkey *key, const struct wc_signer *signer)
{
    struct wc_reissue re = {0};
    struct wc_buf left = {0};
    char why_not[WHY_ROOM] = "";
    int code = wc_reissue_init(run, &re);
    for (uint32_t i = 0; code == 0 && i < k->count; i++) {
        struct wc_cert cert = k->certs[i];
        code = wc_reissue_add(run, &re, key, signer, &cert);
    }
    if (code == 0)
        code = wc_orgfile_write(run, in->out, key, false);
    if (code == 0)
        code = wc_reissue_hand(run, &re,
                               wc_slice(key->org.rotation, key->org.rotation_len),
                               &left, why_not);
    if (code == 0)
        code = keep_statements(run, in, &left);
    if (code == 0)
        code = rotated(run, in, &re, &left, why_not);
    wc_buf_fini(&left);
    wc_reissue_fini(&re);
    return code;
}

int wc_cmd_org_rotate(struct wc_run *run)
{
    struct rotation in = {.recovery_file = NULL};
    struct wc_recovery recovery = {.org_name = ""};
    struct known k = {.next_serial = 1};
    struct wc_orgkey key = {.next_serial = 0};
    struct wc_signer signer = {{0}, {0}};
    const char *former = wc_run_option(run, WC_OPT_KEY);
    int code = read_rotation(run, &in);
    if (code == 0)
        code = read_recovery(run, in.recovery_file, &recovery);
    if (code == 0)
        code = former != NULL ? known_from_file(run, former, &k)
                              : known_from_daemon(run, &k);
    if (code == 0)
        code = new_key(run, &k, &recovery, &key, &signer);
    if (code == 0)
        code = rotate(run, &in, &k, &key, &signer);
    free(k.certs);
    wc_signer_fini(&signer);
    wc_wipe(&recovery, sizeof(recovery));
    wc_orgkey_fini(&key);
    return code;
}
