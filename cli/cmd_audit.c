/* SPDX-License-Identifier: Apache-2.0 */
/* audit: what was done to this office and by whom, and whether the log is whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/audit.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"

#define SILENCE_MAX_MS 30000         /* between two batches */
#define FILE_MAX_BYTES (1100u << 20) /* the largest audit_file_bytes and a group more */
#define DAY_S          86400

struct audit {
    struct wc_run *run;
    uint32_t request;
    uint64_t shown_count;
    int code;
};

/* ---- lines ---- */

static bool is_said_elsewhere(const char *key)
{
    static const char *const keys[] = {"n",     "prev",    "at",    "act",
                                       "uid",   "for",     "login", "about",
                                       "stage", "request", "names"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static void add_safe(struct wc_buf *out, struct wc_slice text, size_t width)
{
    struct wc_buf safe = {0};
    wc_term_safe(&safe, text);
    if (width > 0)
        wc_term_fit(out, wc_buf_slice(&safe), width, false);
    else
        wc_buf_append(out, safe.data, safe.len);
    out->failed |= safe.failed;
    wc_buf_fini(&safe);
}

/* A member whose value is a person: by name where the daemon knows it. */
static struct wc_slice person_of(const json_t *line, const char *key)
{
    struct wc_slice name = wc_json_str(json_object_get(line, "names"), key);
    return name.len > 0 ? name : wc_json_str(line, key);
}

/* Somebody of whom only the hash is known is who the account number says. */
static struct wc_slice named_person_of(const json_t *line, const char *key)
{
    struct wc_slice name = person_of(line, key);
    return name.len > 0 && name.data[0] == '#' ? wc_slice(NULL, 0) : name;
}

static void add_who(struct wc_buf *out, const json_t *line)
{
    char text[160];
    struct wc_slice login = named_person_of(line, "login"),
                    person = person_of(line, "for");
    unsigned long long uid = wc_json_u64(line, "uid");
    if (json_object_get(line, "uid") == NULL)
        snprintf(text, sizeof(text), "-");
    else if (person.len > 0)
        snprintf(text, sizeof(text), "%.*s by %llu", (int)person.len,
                 (const char *)person.data, uid);
    else if (login.len > 0)
        snprintf(text, sizeof(text), "%.*s", (int)login.len, (const char *)login.data);
    else
        snprintf(text, sizeof(text), "uid %llu", uid);
    add_safe(out, wc_slice_text(text), 14);
}

static void add_details(struct wc_buf *out, json_t *line)
{
    const char *key;
    json_t *value;
    char number[32];
    struct wc_slice about = person_of(line, "about"),
                    stage = wc_json_str(line, "stage");
    if (stage.len > 0)
        add_safe(out, stage, 6);
    if (about.len > 0)
        add_safe(out, about, 0);
    json_object_foreach(line, key, value)
    {
        if (is_said_elsewhere(key))
            continue;
        wc_buf_byte(out, ' ');
        add_safe(out, wc_slice_text(key), 0);
        wc_buf_byte(out, '=');
        if (json_is_string(value)) {
            add_safe(out, wc_json_str(line, key), 0);
        } else {
            snprintf(number, sizeof(number), "%lld",
                     (long long)json_integer_value(value));
            wc_buf_text(out, number);
        }
    }
}

/* "2026-11-21T22:30:01.123Z alice          people.import  begin" */
static void add_for_people(struct wc_buf *out, json_t *line)
{
    add_safe(out, wc_json_str(line, "at"), 26);
    add_who(out, line);
    wc_buf_byte(out, ' ');
    add_safe(out, wc_json_str(line, "act"), 15);
    wc_buf_byte(out, ' ');
    add_details(out, line);
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->len--;
    wc_buf_byte(out, '\n');
}

/* "names": whoever of the line is known: {"about": "alice@leeds", "login": "root"}. */
static void add_names(json_t *line, const struct wc_obj *names)
{
    static const char *const keys[] = {"login", "for", "about"};
    json_t *known = json_object();
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char person[WC_AUDIT_PERSON_CHARS + 1];
        struct wc_slice login, said = wc_json_str(line, keys[i]);
        if (said.len < WC_AUDIT_PERSON_CHARS)
            continue;
        wc_slice_copy(wc_slice(said.data, WC_AUDIT_PERSON_CHARS), person,
                      sizeof(person));
        if (wc_obj_str(wc_obj_get(names, person), &login) != 0)
            continue;
        json_object_set_new(
            known, keys[i],
            json_sprintf("%.*s%.*s", (int)login.len, (const char *)login.data,
                         (int)(said.len - WC_AUDIT_PERSON_CHARS),
                         (const char *)said.data + WC_AUDIT_PERSON_CHARS));
    }
    if (json_object_size(known) > 0)
        json_object_set(line, "names", known);
    json_decref(known);
}

static void add_line(const struct audit *x, struct wc_buf *out, struct wc_slice text,
                     const struct wc_obj *names)
{
    json_t *line = NULL;
    char why[160];
    if (wc_json_parse(text, &line, why, sizeof(why)) != 0 || !json_is_object(line)) {
        json_decref(
            line); /* somebody wrote it: the check names it, it is shown as is */
        line = wc_json_new_str(text);
    } else {
        add_names(line, names);
    }
    if (line == NULL) {
        out->failed = true;
    } else if (wc_run_wants_json(x->run)) {
        out->failed |= wc_json_text(out, line, false) != 0;
        wc_buf_byte(out, '\n');
    } else if (json_is_object(line)) {
        add_for_people(out, line);
    } else {
        add_safe(out, text, 0);
        wc_buf_byte(out, '\n');
    }
    json_decref(line);
}

static void on_batch(void *arg, const char *method, uint32_t request,
                     const struct wc_obj *params)
{
    struct audit *x = arg;
    struct wc_buf text = {0};
    struct wc_slice line;
    const struct wc_obj *lines = wc_obj_get(params, "lines");
    if (request != x->request || strcmp(method, "audit.batch") != 0 || x->code != 0)
        return;
    for (uint32_t i = 0; i < wc_obj_count(lines); i++) {
        if (wc_obj_str(wc_obj_at(lines, i), &line) != 0)
            continue;
        add_line(x, &text, line, wc_obj_get(params, "names"));
        x->shown_count++;
    }
    x->code = wc_run_write(x->run, &text);
    wc_buf_fini(&text);
}

/* ---- the verdict ---- */

struct verdict {
    uint64_t lines_count, last;
    char hash[2 * WC_DIGEST_BYTES + 1];
    char file[512]; /* empty: nothing is broken */
    uint64_t line;
    char why[160];
};

static int print_json(struct wc_run *run, const struct verdict *v)
{
    json_t *broken = json_null();
    if (v->file[0] != '\0')
        broken = json_pack("{s:s,s:I,s:s}", "file", v->file, "line",
                           (json_int_t)v->line, "why", v->why);
    json_t *value =
        json_pack("{s:I,s:I,s:s,s:o}", "checked", (json_int_t)v->lines_count, "last",
                  (json_int_t)v->last, "hash", v->hash, "broken", broken);
    int code = wc_run_json(run, value);
    json_decref(value);
    return code;
}

static int print_verdict(struct wc_run *run, const struct verdict *v)
{
    struct wc_buf text = {0};
    char line[400];
    int code = 0;
    if (wc_run_wants_json(run)) {
        code = print_json(run, v);
    } else if (v->file[0] == '\0') {
        snprintf(
            line, sizeof(line),
            "The log is whole: %llu lines, the last is number %llu with the hash\n%s\n",
            (unsigned long long)v->lines_count, (unsigned long long)v->last, v->hash);
        wc_buf_text(&text, line);
        code = wc_run_write(run, &text);
    }
    wc_buf_fini(&text);
    if (code != 0 || v->file[0] == '\0')
        return code;
    return wc_run_fail(run, WC_EXIT_PARTIAL, "%s, line %llu %s", v->file,
                       (unsigned long long)v->line, v->why);
}

/* ---- files, without a daemon ---- */

struct files {
    struct wc_run *run;
    struct wc_audit_check check;
};

static void check_file(struct files *x, uint64_t index, struct wc_slice text)
{
    uint64_t line = 0;
    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.data);
        /* a last line without its end is none: as if it were empty */
        wc_audit_check_line(&x->check, wc_slice(text.data, end == NULL ? 0 : len),
                            index << 40 | ++line);
        len += end != NULL;
        text = wc_slice(text.data + len, text.len - len);
    }
}

/* Beside the newest file stands where the log ended when it was last written. */
static void read_head(struct files *x, const char *newest)
{
    char path[4096], why[512];
    struct wc_buf text = {0};
    const char *slash = strrchr(newest, '/');
    int dir_len = slash == NULL ? 0 : (int)(slash - newest + 1);
    unsigned long number = strtoul(newest + dir_len, NULL, 10);
    snprintf(path, sizeof(path), "%.*s%06lu.log", dir_len, newest, number + 1);
    FILE *next = fopen(path, "re");
    snprintf(path, sizeof(path), "%.*shead", dir_len, newest);
    if (next != NULL)
        fclose(next); /* the head is not that of these files */
    else if (number > 0 && wc_file_read(path, 4096, &text, why, sizeof(why)) == 0)
        x->check.has_end = wc_audit_head_parse(wc_buf_slice(&text), &x->check.end) == 0;
    wc_buf_fini(&text);
}

static int verify_files(struct wc_run *run)
{
    struct files x = {.run = run};
    struct verdict v = {.lines_count = 0};
    char why[512] = "";
    const struct wc_args *args = run->args;
    read_head(&x, args->words[args->word_count - 1]);
    for (int i = 0; i < args->word_count; i++) {
        struct wc_buf text = {0};
        int rc = wc_file_read(args->words[i], FILE_MAX_BYTES, &text, why, sizeof(why));
        if (rc == 0)
            check_file(&x, (uint64_t)i, wc_buf_slice(&text));
        wc_buf_fini(&text);
        if (rc != 0)
            return wc_run_fail(run, WC_EXIT_FILE, "%s", why);
    }
    wc_audit_check_end(&x.check);
    v.lines_count = x.check.lines_count;
    v.last = x.check.head.n;
    wc_hex(v.hash, x.check.head.hash, WC_DIGEST_BYTES);
    if (x.check.broken != NULL) {
        snprintf(v.file, sizeof(v.file), "%s", args->words[x.check.broken_place >> 40]);
        snprintf(v.why, sizeof(v.why), "%s", x.check.broken);
        v.line = x.check.broken_place & ((1ULL << 40) - 1);
    }
    return print_verdict(run, &v);
}

/* ---- the daemon's ---- */

/* "2026-11-21" (midnight here), or "7d": so many days ago. */
static int read_since(struct wc_run *run, uint64_t *ms)
{
    const char *text = wc_run_option(run, WC_OPT_SINCE);
    char *end = NULL;
    if (text == NULL)
        return 0;
    unsigned long days = strtoul(text, &end, 10);
    if (end != text && strcmp(end, "d") == 0 && days <= 36500) {
        uint64_t now = (uint64_t)run->now, ago = (uint64_t)days * DAY_S;
        *ms = (now > ago ? now - ago : 0) * 1000;
        return 0;
    }
    struct tm tm = {.tm_isdst = -1};
    const char *rest = strptime(text, "%Y-%m-%d", &tm);
    if (rest != NULL && *rest == '\0' && tm.tm_year >= 70) {
        time_t when = mktime(&tm);
        *ms = when > 0 ? (uint64_t)when * 1000 : 0;
        return 0;
    }
    return wc_run_fail(run, WC_EXIT_USAGE,
                       "--since takes a day (2026-11-21) or a number of days (7d)");
}

static void pack_params(struct wc_run *run, uint64_t since_ms, struct wc_buf *out)
{
    const char *about = wc_run_option(run, WC_OPT_ABOUT);
    wc_pack_map(out, 2 + (about != NULL));
    wc_pack_text(out, "since_ms");
    wc_pack_u64(out, since_ms);
    wc_pack_text(out, "verify");
    wc_pack_bool(out, wc_run_option(run, WC_OPT_VERIFY) != NULL);
    if (about != NULL) {
        wc_pack_text(out, "about");
        wc_pack_text(out, about);
    }
}

static void read_verdict(const struct wc_obj *result, struct verdict *v)
{
    struct wc_slice text;
    const struct wc_obj *broken = wc_obj_get(result, "broken");
    memset(v, 0, sizeof(*v));
    wc_obj_u64(wc_obj_get(result, "checked"), &v->lines_count);
    wc_obj_u64(wc_obj_get(result, "last"), &v->last);
    if (wc_obj_str(wc_obj_get(result, "hash"), &text) == 0)
        wc_slice_copy(text, v->hash, sizeof(v->hash));
    if (broken == NULL || wc_obj_type(broken) != WC_MAP)
        return;
    wc_obj_u64(wc_obj_get(broken, "line"), &v->line);
    if (wc_obj_str(wc_obj_get(broken, "file"), &text) == 0)
        wc_slice_copy(text, v->file, sizeof(v->file));
    if (wc_obj_str(wc_obj_get(broken, "why"), &text) == 0)
        wc_slice_copy(text, v->why, sizeof(v->why));
}

static int finish(struct audit *x, const struct wc_obj *result)
{
    struct verdict v;
    uint64_t count = 0;
    read_verdict(result, &v);
    wc_obj_u64(wc_obj_get(result, "count"), &count);
    if (wc_run_option(x->run, WC_OPT_VERIFY) != NULL)
        return print_verdict(x->run, &v);
    if (count != x->shown_count)
        return wc_run_fail(x->run, WC_EXIT_UNREACHABLE,
                           "the log is not complete: %llu of %llu lines came",
                           (unsigned long long)x->shown_count,
                           (unsigned long long)count);
    if (v.file[0] == '\0')
        return 0;
    return wc_run_fail(x->run, WC_EXIT_PARTIAL, "%s, line %llu %s", v.file,
                       (unsigned long long)v.line, v.why);
}

/* As long as lines come, it may take long. */
static int wait_end(struct audit *x)
{
    struct wc_client *client = x->run->client;
    struct wc_reply *reply = NULL;
    int rc = wc_client_take(client, x->request, &reply);
    while (reply == NULL && rc == -WC_EBUSY && x->code == 0) {
        rc = wc_client_pump(client, SILENCE_MAX_MS);
        if (rc == 0)
            rc = wc_client_take(client, x->request, &reply);
    }
    if (x->code == 0 && rc != 0)
        x->code = wc_run_call_failed(x->run, rc);
    else if (x->code == 0)
        x->code = finish(x, wc_reply_result(reply));
    wc_reply_free(reply);
    return x->code;
}

static int read_daemon(struct wc_run *run)
{
    struct audit x = {.run = run};
    struct wc_buf params = {0};
    uint64_t since_ms = 0;
    int code = read_since(run, &since_ms);
    if (code == 0)
        code = wc_run_connect(run);
    if (code != 0)
        return code;
    pack_params(run, since_ms, &params);
    wc_client_on_notify(run->client, on_batch, &x);
    int rc =
        wc_client_send(run->client, "audit.read", wc_buf_slice(&params), &x.request);
    wc_buf_fini(&params);
    code = rc != 0 ? wc_run_call_failed(run, rc) : wait_end(&x);
    wc_client_on_notify(run->client, NULL, NULL);
    return code;
}

int wc_cmd_audit(struct wc_run *run)
{
    bool verify = wc_run_option(run, WC_OPT_VERIFY) != NULL;
    if (run->args->word_count == 0)
        return read_daemon(run);
    if (!verify)
        return wc_run_fail(run, WC_EXIT_USAGE, "files are for --verify only");
    if (wc_run_option(run, WC_OPT_SINCE) != NULL ||
        wc_run_option(run, WC_OPT_ABOUT) != NULL)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--verify looks at whole files: leave out --since and "
                           "--about");
    return verify_files(run);
}
