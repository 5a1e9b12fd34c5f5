/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/host.h"
#include "cli/json.h"
#include "cli/rows.h"

#define CONNECT_MAX_MS 5000
#define CALL_MAX_MS    30000 /* a daemon on a busy disk answers within seconds */

/* Opened for the direction that nobody uses: reading and writing fail as if closed. */
int wc_run_occupy_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* the lowest free number is given out, and all below are taken */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return -WC_EIO;
    }
    return 0;
}

void wc_run_init(struct wc_run *run, const struct wc_args *args)
{
    *run = (struct wc_run){.args = args, .now = time(NULL)};
    wc_term_init(&run->out, STDOUT_FILENO);
    wc_term_init(&run->err, STDERR_FILENO);
}

void wc_run_fini(struct wc_run *run)
{
    wc_client_free(run->client);
    run->client = NULL;
    wc_host_end(run);
}

bool wc_run_wants_json(const struct wc_run *run)
{
    return run->args->value[WC_OPT_JSON] != NULL;
}

const char *wc_run_option(const struct wc_run *run, enum wc_opt opt)
{
    return run->args->value[opt];
}

int wc_run_level(struct wc_run *run, const char **level)
{
    const char *word = wc_run_option(run, WC_OPT_LEVEL);
    *level = word == NULL ? NULL : wc_level_find(wc_slice_text(word));
    if (word == NULL || *level != NULL)
        return 0;
    struct wc_buf list = {0};
    wc_level_list(&list);
    int code = wc_run_fail(run, WC_EXIT_USAGE, "level must be one of %.*s",
                           (int)list.len, (const char *)list.data);
    wc_buf_fini(&list);
    return code;
}

void wc_run_join(const struct wc_run *run, struct wc_buf *out)
{
    for (int i = 0; i < run->args->word_count; i++) {
        wc_buf_text(out, i > 0 ? " " : "");
        wc_buf_text(out, run->args->words[i]);
    }
}

/* ---- saying what is wrong ---- */

/* A message may quote what others wrote: it becomes safe as a whole. */
__attribute__((format(printf, 4, 0))) static void say(const struct wc_term *term,
                                                      const char *start,
                                                      enum wc_style style,
                                                      const char *format, va_list args)
{
    char message[2048];
    struct wc_buf safe = {0};
    struct wc_buf line = {0};
    int len = vsnprintf(message, sizeof(message), format, args);
    if (len < 0)
        len = 0;
    size_t cap = sizeof(message) - 1;
    wc_term_safe(&safe, wc_slice(message, (size_t)len < cap ? (size_t)len : cap));
    wc_term_styled(term, &line, style, wc_slice_text(start));
    wc_buf_append(&line, safe.data, safe.len);
    wc_buf_byte(&line, '\n');
    if (!line.failed)
        fwrite(line.data, 1, line.len, stderr);
    wc_buf_fini(&safe);
    wc_buf_fini(&line);
}

int wc_run_fail(struct wc_run *run, enum wc_exit exit_code, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    va_start(args, format);
    say(&run->err, "whocan: ", WC_STYLE_BAD, format, args);
    va_end(args);
    return (int)exit_code;
}

void wc_run_hint(struct wc_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(&run->err, "        ", WC_STYLE_PLAIN, format, args);
    va_end(args);
}

/* ---- output ---- */

int wc_run_write(struct wc_run *run, const struct wc_buf *text)
{
    if (text->failed)
        return wc_run_fail(run, WC_EXIT_FILE, "out of memory");
    if (text->len > 0)
        fwrite(text->data, 1, text->len, stdout);
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "cannot write the output: %s",
                           strerror(errno));
    return 0;
}

static int write_json(struct wc_run *run, const json_t *value, bool pretty)
{
    struct wc_buf text = {0};
    if (wc_json_text(&text, value, pretty) != 0)
        text.failed = true;
    wc_buf_byte(&text, '\n');
    int rc = wc_run_write(run, &text);
    wc_buf_fini(&text);
    return rc;
}

int wc_run_json_line(struct wc_run *run, const json_t *value)
{
    return write_json(run, value, false);
}

int wc_run_json(struct wc_run *run, const json_t *value)
{
    return write_json(run, value, true);
}

/* ---- the connection ---- */

/* Who may open it: the group of the socket, or of the directory that hides it. */
static void hint_group(struct wc_run *run, const char *path)
{
    char parent[4096];
    struct stat st;
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent)
        *slash = '\0';
    const struct group *g = NULL;
    if (stat(path, &st) == 0 || stat(parent, &st) == 0)
        g = getgrgid(st.st_gid);
    if (g != NULL && (st.st_mode & S_IRWXG) != 0 && st.st_gid != 0)
        wc_run_hint(
            run,
            "It is open to the group \"%s\". IT can add you: adduser LOGIN %s; then "
            "log in again.",
            g->gr_name, g->gr_name);
    else
        wc_run_hint(run,
                    "Only its owner may open it. Ask IT, or name another socket with "
                    "--socket PATH.");
}

static void hint_start(struct wc_run *run)
{
    wc_run_hint(run,
                "Start it: `sudo systemctl start whocan`, or your own with `whocand "
                "--foreground`.");
    wc_run_hint(run, "If it listens elsewhere, name its socket: --socket PATH or "
                     "WHOCAN_SOCKET.");
}

static int connect_failed(struct wc_run *run, int rc, const char *path)
{
    struct stat st;
    if (rc == -WC_ENOTFOUND) {
        wc_run_fail(run, WC_EXIT_UNREACHABLE, "no daemon is running: there is no %s",
                    path);
        hint_start(run);
    } else if (rc == -WC_ECLOSED && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
        wc_run_fail(run, WC_EXIT_UNREACHABLE, "%s is not a socket", path);
    } else if (rc == -WC_ECLOSED) {
        wc_run_fail(run, WC_EXIT_UNREACHABLE,
                    "no daemon is running: %s is left from one that ended", path);
        hint_start(run);
    } else if (rc == -WC_EDENIED) {
        wc_run_fail(run, WC_EXIT_UNREACHABLE, "you may not open %s", path);
        hint_group(run, path);
    } else if (rc == -WC_ETIMEOUT) {
        wc_run_fail(run, WC_EXIT_UNREACHABLE, "the daemon at %s does not answer", path);
        wc_run_hint(run, "It may be overloaded: look at `systemctl status whocan` and "
                         "try again.");
    } else {
        wc_run_fail(run, WC_EXIT_UNREACHABLE, "%s", wc_client_error(run->client));
    }
    return WC_EXIT_UNREACHABLE;
}

static int make_client(struct wc_run *run)
{
    if (run->client == NULL)
        run->client = wc_client_new();
    return run->client != NULL ? 0 : wc_run_fail(run, WC_EXIT_FILE, "out of memory");
}

int wc_run_connect(struct wc_run *run)
{
    const char *host = wc_run_option(run, WC_OPT_HOST);
    if (run->client != NULL && wc_client_fd(run->client) >= 0)
        return 0;
    if (host == NULL && wc_run_option(run, WC_OPT_SOCKET) == NULL)
        host = getenv("WHOCAN_HOST");
    if (host == NULL || (host[0] == '\0' && wc_run_option(run, WC_OPT_HOST) == NULL))
        return wc_run_connect_here(run);
    int code = make_client(run);
    return code != 0 ? code : wc_host_connect(run, host);
}

int wc_run_connect_here(struct wc_run *run)
{
    char path[4096] = "";
    const char *option = wc_run_option(run, WC_OPT_SOCKET);
    int code = make_client(run);
    if (code != 0)
        return code;
    int rc = wc_client_connect(run->client, option, CONNECT_MAX_MS);
    if (rc == 0)
        return 0;
    (void)wc_client_path(option, path, sizeof(path));
    return connect_failed(run, rc, path);
}

bool wc_run_reaches(struct wc_run *run)
{
    if (run->client == NULL)
        run->client = wc_client_new();
    if (run->client == NULL)
        return false;
    return wc_client_fd(run->client) >= 0 ||
           wc_client_connect(run->client, wc_run_option(run, WC_OPT_SOCKET),
                             CONNECT_MAX_MS) == 0;
}

size_t wc_run_field_path(const char *text)
{
    static const char path[] = "skills[].";
    return strncmp(text, path, strlen(path)) == 0 ? strlen(path) : 0;
}

int wc_run_call_failed(struct wc_run *run, int rc)
{
    const char *text = wc_client_error(run->client);
    if (wc_client_refused(run->client)) {
        size_t path = wc_run_field_path(text);
        return wc_run_fail(run, WC_EXIT_REFUSED, "%s%s", path > 0 ? "skill " : "",
                           text + path);
    }
    if (rc == -WC_ETOOBIG)
        return wc_run_fail(run, WC_EXIT_USAGE, "%s", text);
    wc_run_fail(run, WC_EXIT_UNREACHABLE, "%s", text);
    if (rc == -WC_ECLOSED)
        wc_run_hint(run, "Look at `systemctl status whocan`: it may have ended or be "
                         "restarting.");
    return WC_EXIT_UNREACHABLE;
}

static int pack_params(json_t *params, struct wc_buf *out)
{
    int rc = params == NULL ? -WC_ENOMEM : wc_json_pack(out, params);
    json_decref(params);
    return rc;
}

int wc_run_call_quiet(struct wc_run *run, const char *method, json_t *params,
                      json_t **result, int *refused)
{
    struct wc_buf packed = {0};
    struct wc_reply *reply = NULL;
    *result = NULL;
    *refused = 0;
    int rc = pack_params(params, &packed);
    int code = rc != 0
                   ? wc_run_fail(run, WC_EXIT_USAGE, "the request %s", wc_strerror(rc))
                   : wc_run_connect(run);
    if (code == 0) {
        rc = wc_client_call(run->client, method, wc_buf_slice(&packed), CALL_MAX_MS,
                            &reply);
        if (rc != 0 && wc_client_refused(run->client)) {
            *refused = rc;
            code = WC_EXIT_REFUSED;
        } else if (rc != 0) {
            code = wc_run_call_failed(run, rc);
        } else if (wc_json_from_obj(wc_reply_result(reply), result) != 0) {
            code = wc_run_fail(run, WC_EXIT_UNREACHABLE,
                               "the daemon's answer cannot be read");
        }
    }
    wc_reply_free(reply);
    wc_buf_fini(&packed);
    return code;
}

int wc_run_call(struct wc_run *run, const char *method, json_t *params, json_t **result)
{
    int refused = 0;
    int code = wc_run_call_quiet(run, method, params, result, &refused);
    return refused != 0 ? wc_run_call_failed(run, refused) : code;
}
