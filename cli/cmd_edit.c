/* SPDX-License-Identifier: Apache-2.0 */
/*
 * me edit: the profile as a form in the person's editor. A mistake brings the editor back
 * with the reason on top; where the edit cannot be stored at all the text stays in its
 * file, so that nobody's words are lost.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/form.h"
#include "cli/json.h"
#include "cli/profile.h"

#define FORM_MAX_BYTES (1u << 20)
#define NOTE_START     "#! " /* lines that say what is wrong; they go with the next try */
#define NOTE_LINES     2

struct edit {
    struct wc_run *run;
    char path[4096];
    bool keep; /* the file stays behind */
    json_t *me;
    json_t *before;      /* the profile as the form had it */
    struct wc_buf shown; /* what the editor was given */
};

/* ---- the editor ---- */

static const char *find_editor(void)
{
    const char *names[] = {getenv("VISUAL"), getenv("EDITOR")};
    for (size_t i = 0; i < 2; i++) {
        if (names[i] != NULL && names[i][0] != '\0')
            return names[i];
    }
    if (access("/usr/bin/editor", X_OK) == 0)
        return "/usr/bin/editor";
    return access("/usr/bin/nano", X_OK) == 0 ? "/usr/bin/nano" : "vi";
}

/* The variable may hold options ("code --wait"), so a shell takes it apart. */
static void exec_editor(const char *editor, const char *path)
{
    char *command = NULL;
    if (asprintf(&command, "exec %s \"$1\"", editor) < 0)
        _exit(127);
    execl("/bin/sh", "sh", "-c", command, "whocan", path, (char *)NULL);
    _exit(127);
}

/* Ctrl-C in the editor is the editor's. */
static int run_editor(struct edit *e)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction old_int;
    struct sigaction old_quit;
    const char *editor = find_editor();
    int status = 0;
    sigemptyset(&ignore.sa_mask);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        exec_editor(editor, e->path);
    if (pid < 0)
        return wc_run_fail(e->run, WC_EXIT_FILE, "cannot start %s: %s", editor,
                           strerror(errno));
    sigaction(SIGINT, &ignore, &old_int);
    sigaction(SIGQUIT, &ignore, &old_quit);
    pid_t done = waitpid(pid, &status, 0);
    while (done < 0 && errno == EINTR)
        done = waitpid(pid, &status, 0);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGQUIT, &old_quit, NULL);
    if (done == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    int code = wc_run_fail(e->run, WC_EXIT_FILE,
                           "the editor \"%s\" ended with an error; nothing was changed",
                           editor);
    wc_run_hint(e->run, "VISUAL or EDITOR name the editor to use.");
    return code;
}

/* ---- the file ---- */

static int make_file(struct edit *e)
{
    const char *directory = getenv("TMPDIR");
    int n = snprintf(e->path, sizeof(e->path), "%s/whocan-me-XXXXXX.txt",
                     directory != NULL && directory[0] == '/' ? directory : "/tmp");
    int fd = n > 0 && (size_t)n < sizeof(e->path) ? mkstemps(e->path, 4) : -1;
    if (fd < 0) {
        e->path[0] = '\0';
        return wc_run_fail(e->run, WC_EXIT_FILE,
                           "cannot make a file for your editor: %s", strerror(errno));
    }
    close(fd);
    return 0;
}

static int write_form(struct edit *e)
{
    char why[4200];
    if (!e->shown.failed && wc_file_put(e->path, wc_buf_slice(&e->shown), 0600, true,
                                        why, sizeof(why)) == 0)
        return 0;
    return wc_run_fail(e->run, WC_EXIT_FILE, "%s",
                       e->shown.failed ? "out of memory" : why);
}

/* Drop the notes of an earlier try from the top. */
static struct wc_slice without_notes(struct wc_slice text)
{
    size_t len = strlen(NOTE_START);
    while (text.len >= len && memcmp(text.data, NOTE_START, len) == 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t next = end == NULL ? text.len : (size_t)(end - text.data) + 1;
        text = wc_slice(text.data + next, text.len - next);
    }
    return text;
}

/* Show the text again with what is wrong on top; line 0: no line has it. */
static int show_again(struct edit *e, struct wc_slice text, unsigned line,
                      const char *why)
{
    char note[600];
    struct wc_buf safe = {0};
    wc_term_safe(&safe, wc_slice_text(why));
    if (line > 0)
        snprintf(note, sizeof(note), NOTE_START "line %u: %.*s\n", line + NOTE_LINES,
                 (int)safe.len, (const char *)safe.data);
    else
        snprintf(note, sizeof(note), NOTE_START "%.*s\n", (int)safe.len,
                 (const char *)safe.data);
    struct wc_buf shown = {0};
    wc_buf_text(&shown, note);
    wc_buf_text(&shown,
                NOTE_START "Correct it, save and close; or close without saving "
                           "to give up.\n");
    wc_buf_append(&shown, text.data, text.len);
    wc_buf_fini(&e->shown);
    wc_buf_fini(&safe);
    e->shown = shown;
    return write_form(e);
}

/* ---- storing ---- */

static int nothing_changed(struct edit *e)
{
    struct wc_buf out = {0};
    wc_buf_text(&out, "Nothing was changed.\n");
    int code = wc_run_write(e->run, &out);
    wc_buf_fini(&out);
    return code;
}

static int kept(struct edit *e, int code)
{
    e->keep = true;
    wc_run_hint(e->run, "Your text is kept in %s", e->path);
    return code;
}

static int saved(struct edit *e, const json_t *changes, const json_t *result)
{
    struct wc_buf out = {0};
    const char *key;
    json_t *value;
    const char *between = "Saved: ";
    if (wc_run_wants_json(e->run))
        return wc_run_json(e->run, result);
    json_object_foreach((json_t *)changes, key, value)
    {
        (void)value;
        wc_buf_text(&out, between);
        wc_buf_text(&out, key);
        between = ", ";
    }
    wc_buf_text(&out, ".\n");
    int code = wc_run_write(e->run, &out);
    wc_buf_fini(&out);
    return code;
}

/* The codes of a value that the person can correct. */
static bool is_correctable(int refused)
{
    return refused == -WC_EINVALID || refused == -WC_ETYPE || refused == -WC_ETOOBIG ||
           refused == -WC_EMISSING || refused == -WC_EEXISTS;
}

/* Send the changes. *again: the editor must come back. */
static int store(struct edit *e, const json_t *changes, struct wc_slice text,
                 bool *again)
{
    struct wc_profile_edit edit = {.kind = WC_EDIT_SET,
                                   .fields = changes,
                                   .if_rev = json_object_get(e->me, "rev")};
    struct wc_profile_refusal refusal;
    json_t *result = NULL;
    int code = wc_profile_store(e->run, &edit, &result, &refusal);
    if (code == 0) {
        code = saved(e, changes, result);
    } else if (is_correctable(refusal.rc)) {
        *again = true;
        code = show_again(e, text, 0, refusal.why);
    } else if (refusal.rc == -WC_ESTALE) {
        code = wc_run_fail(e->run, WC_EXIT_REFUSED,
                           "your profile was changed elsewhere while you edited it; "
                           "nothing was stored");
        kept(e, code);
        wc_run_hint(e->run, "Run `whocan me edit` again and take over what you need.");
    } else {
        code = kept(e, refusal.rc != 0 ? wc_profile_refused(e->run, &refusal) : code);
    }
    json_decref(result);
    return code;
}

/* Take what the editor left. *again: the editor must come back. */
static int take_text(struct edit *e, struct wc_slice text, bool *again)
{
    char why[300] = "out of memory";
    unsigned line = 0;
    json_t *after = NULL;
    struct wc_slice form = without_notes(text);
    bool had_notes = without_notes(wc_buf_slice(&e->shown)).len != e->shown.len;
    if (wc_slice_eq(text, wc_buf_slice(&e->shown)) && had_notes)
        return kept(
            e, wc_run_fail(e->run, WC_EXIT_USAGE, "you gave up; nothing was changed"));
    if (wc_slice_eq(text, wc_buf_slice(&e->shown)) || wc_form_is_empty(form))
        return nothing_changed(e);
    if (wc_form_parse(form, &after, &line, why, sizeof(why)) != 0) {
        *again = true;
        return show_again(e, form, line, why);
    }
    json_t *changes = wc_form_diff(e->before, after);
    int code = json_object_size(changes) == 0 ? nothing_changed(e)
                                              : store(e, changes, form, again);
    json_decref(changes);
    json_decref(after);
    return code;
}

static int edit_until_done(struct edit *e)
{
    bool again = true;
    int code = write_form(e);
    while (code == 0 && again) {
        struct wc_buf text = {0};
        char why[4200];
        again = false;
        code = run_editor(e);
        if (code == 0 &&
            wc_file_read(e->path, FORM_MAX_BYTES, &text, why, sizeof(why)) != 0)
            code = wc_run_fail(e->run, WC_EXIT_FILE, "%s", why);
        else if (code == 0)
            code = take_text(e, wc_buf_slice(&text), &again);
        wc_buf_fini(&text);
    }
    return code;
}

/* The form, and what it says before it was touched. */
static int prepare(struct edit *e)
{
    char why[300];
    unsigned line;
    struct wc_slice handle = wc_json_str(e->me, "handle");
    wc_form_write(&e->shown, handle.len > 0 ? (const char *)handle.data : "you",
                  json_object_get(e->me, "profile"), json_object_get(e->me, "row"),
                  json_object_get(json_object_get(e->me, "person"), "audience"));
    if (e->shown.failed || wc_form_parse(wc_buf_slice(&e->shown), &e->before, &line,
                                         why, sizeof(why)) != 0)
        return wc_run_fail(e->run, WC_EXIT_USAGE,
                           "this profile does not fit the form; use `whocan me set`");
    return make_file(e);
}

int wc_cmd_me_edit(struct wc_run *run)
{
    struct edit e = {.run = run};
    int code = wc_run_call(run, "me.show", json_object(), &e.me);
    if (code == 0)
        code = prepare(&e);
    if (code == 0)
        code = edit_until_done(&e);
    if (!e.keep && e.path[0] != '\0')
        unlink(e.path);
    json_decref(e.me);
    json_decref(e.before);
    wc_buf_fini(&e.shown);
    return code;
}
