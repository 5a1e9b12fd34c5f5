/* SPDX-License-Identifier: Apache-2.0 */
/* me show, set, add, drop, confirm, reject: one's own profile, a field at a time.
 * cmd_edit.c has the form, profile.c how an edit is signed. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <whocan/audience.h>
#include <whocan/limits.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/print.h"
#include "cli/profile.h"
#include "cli/rows.h"

#define JSON_FILE_MAX_BYTES                                                            \
    ((size_t)6 * WC_RECORD_MAX_BYTES) /* every byte as an escape */

/* ---- show ---- */

/* What waits for the person's word, and what it would do. */
static void print_pending(struct wc_run *run, struct wc_buf *out, const json_t *pending)
{
    time_t asked;
    bool intranet = wc_slice_is(wc_json_str(pending, "by"), "intranet");
    wc_buf_text(out, intranet ? "The intranet asked for this change"
                              : "A program asked for this change");
    if (wc_print_time(wc_json_str(pending, "asked_at"), &asked)) {
        wc_buf_text(out, ", ");
        wc_print_ago(out, asked, run->now);
    }
    wc_buf_text(out, ":\n");
    wc_print_fields(&run->out, out, wc_json_str(pending, "edit"),
                    json_object_get(pending, "fields"));
}

static bool is_office_made(const json_t *me)
{
    const json_t *person = json_object_get(me, "person");
    return json_is_object(json_object_get(me, "profile")) &&
           wc_slice_is(wc_json_str(person, "authored_by"), "office");
}

static void print_notes(struct wc_run *run, struct wc_buf *out, const json_t *me)
{
    const json_t *pending = json_object_get(me, "pending");
    if (json_is_object(pending)) {
        wc_buf_byte(out, '\n');
        print_pending(run, out, pending);
        wc_buf_text(out, "`whocan me confirm` publishes it, `whocan me reject` drops "
                         "it.\n");
    } else if (is_office_made(me)) {
        wc_buf_text(out, "\nYour office signed this for you. `whocan me confirm` signs "
                         "it yourself, as it stands;\nso does your next edit.\n");
    }
}

static int print_me(struct wc_run *run, const json_t *result)
{
    struct wc_buf out = {0};
    const json_t *person = json_object_get(result, "person");
    if (json_is_object(person)) {
        wc_print_person(&run->out, &out, person, run->now);
    } else {
        wc_buf_text(&out, "You are ");
        wc_term_safe(&out, wc_json_str(result, "handle"));
        wc_buf_text(&out, ", and nobody can find you yet: `whocan me edit` starts your "
                          "profile.\n");
    }
    print_notes(run, &out, result);
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

int wc_cmd_me_show(struct wc_run *run)
{
    json_t *result = NULL;
    int code = wc_run_call(run, "me.show", json_object(), &result);
    if (code == 0)
        code =
            wc_run_wants_json(run) ? wc_run_json(run, result) : print_me(run, result);
    json_decref(result);
    return code;
}

/* ---- set ---- */

static int put_field(struct wc_run *run, json_t *params, struct wc_slice name,
                     struct wc_slice value)
{
    enum wc_field field;
    char why[200];
    json_t *parsed = NULL;
    if (wc_field_find(name, &field) != 0) {
        const char *near = wc_field_nearest(name);
        return wc_run_fail(
            run, WC_EXIT_USAGE, "no field \"%.*s\"; %s%s%s",
            (int)(name.len < 40 ? name.len : 40), (const char *)name.data,
            near != NULL ? "did you mean \"" : "see `whocan me set --help",
            near != NULL ? near : "", near != NULL ? "\"?" : "`");
    }
    if (field == WC_FIELD_HANDLE)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "the handle is your login and cannot be changed");
    if (field == WC_FIELD_WILLING && value.len == 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "willing: say yes or no");
    if (wc_field_parse(field, value, ",", &parsed, why, sizeof(why)) != 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "%s: %s", wc_field_name(field), why);
    json_object_set_new(params, wc_field_name(field), parsed);
    return 0;
}

/* FIELD=VALUE, where FIELD is one: a text may hold "=" too. */
static bool split_pair(const char *word, struct wc_slice *name, struct wc_slice *value)
{
    enum wc_field field;
    const char *equals = strchr(word, '=');
    if (equals == NULL)
        return false;
    *name = wc_slice(word, (size_t)(equals - word));
    *value = wc_slice_text(equals + 1);
    return wc_field_find(*name, &field) == 0;
}

/* Several words of a list are several items; of a text, words of it. */
static void join_values(const struct wc_args *args, enum wc_field field,
                        struct wc_buf *out)
{
    bool list = field == WC_FIELD_SKILLS || field == WC_FIELD_INTERESTS ||
                field == WC_FIELD_LANGUAGES || field == WC_FIELD_WORKING_DAYS;
    for (int i = 1; i < args->word_count; i++) {
        wc_buf_text(out, i == 1 ? "" : list ? "," : " ");
        wc_buf_text(out, args->words[i]);
    }
}

/* "me set name Root title=X" was meant as two fields, not as one long name. */
static int refuse_pairs(struct wc_run *run)
{
    struct wc_slice name;
    struct wc_slice value;
    char *const *words = run->args->words;
    for (int i = 1; i < run->args->word_count; i++) {
        if (!split_pair(words[i], &name, &value))
            continue;
        int code = wc_run_fail(run, WC_EXIT_USAGE, "\"%s\" looks like another field",
                               words[i]);
        wc_run_hint(run,
                    "Several fields: write each as FIELD=VALUE, %s=\"...\" too. If it "
                    "belongs to the value: %s=\"... %s\"",
                    words[0], words[0], words[i]);
        return code;
    }
    return 0;
}

static int params_from_words(struct wc_run *run, json_t *params)
{
    const struct wc_args *args = run->args;
    struct wc_slice name;
    struct wc_slice value;
    enum wc_field field = WC_FIELD_NAME;
    if (!split_pair(args->words[0], &name, &value)) {
        struct wc_buf text = {0};
        name = wc_slice_text(args->words[0]);
        if (wc_field_find(name, &field) == 0 && args->word_count < 2)
            return wc_run_fail(run, WC_EXIT_USAGE, "set %s to what? (\"\" clears it)",
                               args->words[0]);
        join_values(args, field, &text);
        int code = refuse_pairs(run);
        if (code == 0)
            code = put_field(run, params, name, wc_buf_slice(&text));
        wc_buf_fini(&text);
        return code;
    }
    int code = 0;
    for (int i = 0; code == 0 && i < args->word_count; i++) {
        if (!split_pair(args->words[i], &name, &value))
            return wc_run_fail(
                run, WC_EXIT_USAGE,
                "\"%s\" is not FIELD=VALUE (put quotes around a value with "
                "blanks)",
                args->words[i]);
        code = put_field(run, params, name, value);
    }
    return code;
}

/* Put an audience into the map of an edit, below a list when it is one of its names. */
static void note_audience(json_t *audiences, const char *list, json_t *name,
                          const char *audience)
{
    json_t *names = json_object_get(audiences, list);
    if (!json_is_object(names)) {
        names = json_object();
        json_object_set_new(audiences, list, names);
    }
    json_object_set_new(names, json_string_value(name), json_string(audience));
}

/* "phone", "skill sign language", "interest choir". */
static int read_audience_of(struct wc_run *run, struct wc_slice what,
                            const char *audience, json_t *audiences)
{
    static const struct {
        const char *word;
        const char *list;
    } lists[] = {{"skill ", "skills"}, {"interest ", "interests"}};
    enum wc_field field;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        size_t len = strlen(lists[i].word);
        if (what.len <= len || memcmp(what.data, lists[i].word, len) != 0)
            continue;
        json_t *name = wc_json_new_str(wc_slice(what.data + len, what.len - len));
        if (name == NULL)
            return wc_run_fail(run, WC_EXIT_USAGE, "--audience is not UTF-8 text");
        note_audience(audiences, lists[i].list, name, audience);
        json_decref(name);
        return 0;
    }
    if (wc_field_find(what, &field) != 0 || field == WC_FIELD_HANDLE)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--audience: no field \"%.*s\" (one of a list: \"skill "
                           "NAME=match\")",
                           (int)(what.len < 40 ? what.len : 40),
                           (const char *)what.data);
    json_object_set_new(audiences, wc_field_name(field), json_string(audience));
    return 0;
}

static int read_audience(struct wc_run *run, struct wc_slice word, const char **out)
{
    enum wc_audience audience;
    if (wc_audience_find(word, &audience) != 0)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--audience: \"%.*s\" is not organisation, office, match or "
                           "me",
                           (int)(word.len < 40 ? word.len : 40),
                           (const char *)word.data);
    *out = wc_audience_name(audience);
    return 0;
}

/* FIELD=WHO, or WHO for every field that is set. */
static int read_audience_part(struct wc_run *run, struct wc_slice part,
                              const json_t *fields, json_t *audiences)
{
    const char *audience = NULL;
    const char *key;
    json_t *value;
    size_t at = part.len;
    while (at > 0 && part.data[at - 1] != '=')
        at--;
    int code = read_audience(run, wc_slice(part.data + at, part.len - at), &audience);
    if (code != 0)
        return code;
    if (at > 0)
        return read_audience_of(run, wc_slice(part.data, at - 1), audience, audiences);
    if (json_object_size(fields) == 0)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--audience: say which field, as in phone=%s", audience);
    json_object_foreach((json_t *)fields, key, value)
    {
        (void)value;
        json_object_set_new(audiences, key, json_string(audience));
    }
    return 0;
}

/* What --audience says of `me set`, into the fields as `audience`. */
static int apply_audience(struct wc_run *run, json_t *fields)
{
    const char *text = wc_run_option(run, WC_OPT_AUDIENCE);
    int code = 0;
    if (text == NULL)
        return 0;
    json_t *audiences = json_object();
    while (code == 0) {
        size_t len = strcspn(text, ",");
        code = read_audience_part(run, wc_slice(text, len), fields, audiences);
        if (text[len] == '\0')
            break;
        text += len + 1;
        text += strspn(text, " ");
    }
    if (code == 0)
        json_object_set(fields, "audience", audiences);
    json_decref(audiences);
    return code;
}

/* Of what `me export` wrote, perhaps elsewhere, the fields of the profile. */
static int take_profile(struct wc_run *run, const char *path, json_t **document)
{
    json_t *fields = json_object_get(json_object_get(*document, "profile"), "fields");
    if (!json_is_object(fields))
        return wc_run_fail(run, WC_EXIT_USAGE, "there is no profile in %s", path);
    json_incref(fields);
    json_decref(*document);
    *document = fields;
    json_object_del(fields, "handle"); /* it is the login, which may be another here */
    return 0;
}

static int params_from_file(struct wc_run *run, const char *path, json_t **out)
{
    struct wc_buf text = {0};
    char why[512];
    int code = 0;
    int rc = wc_file_read(path, JSON_FILE_MAX_BYTES, &text, why, sizeof(why));
    if (rc != 0)
        code = wc_run_fail(run, rc == -WC_ETOOBIG ? WC_EXIT_USAGE : WC_EXIT_FILE, "%s",
                           why);
    else if (wc_json_parse(wc_buf_slice(&text), out, why, sizeof(why)) != 0)
        code = wc_run_fail(run, WC_EXIT_USAGE, "%s is not JSON: %s", path, why);
    else if (!json_is_object(*out))
        code =
            wc_run_fail(run, WC_EXIT_USAGE, "%s is not a JSON object of fields", path);
    if (code == 0 && wc_slice_is(wc_json_str(*out, "format"), "whocan-about-1"))
        code = take_profile(run, path, out);
    wc_buf_fini(&text);
    return code;
}

/* Sign and store; what is refused is said. */
static int store(struct wc_run *run, const struct wc_profile_edit *edit,
                 json_t **result)
{
    struct wc_profile_refusal refusal;
    int code = wc_profile_store(run, edit, result, &refusal);
    return refusal.rc != 0 ? wc_profile_refused(run, &refusal) : code;
}

/* Store a change and say so. `fields` is taken over. */
static int change(struct wc_run *run, enum wc_edit_kind kind, json_t *fields,
                  const char *said)
{
    json_t *result = NULL;
    struct wc_buf out = {0};
    struct wc_profile_edit edit = {.kind = kind, .fields = fields};
    int code = store(run, &edit, &result);
    json_decref(fields);
    if (code == 0 && wc_run_wants_json(run)) {
        code = wc_run_json(run, result);
    } else if (code == 0) {
        wc_term_safe(&out, wc_slice_text(said));
        wc_buf_byte(&out, '\n');
        code = wc_run_write(run, &out);
    }
    wc_buf_fini(&out);
    json_decref(result);
    return code;
}

/* "Saved: title, team." */
static void saved_text(const json_t *params, char *out, size_t cap)
{
    const char *key;
    json_t *value;
    size_t used = (size_t)snprintf(out, cap, "Saved: ");
    bool first = true;
    json_object_foreach((json_t *)params, key, value)
    {
        (void)value;
        bool audience_alone =
            strcmp(key, "audience") == 0 && json_object_size(params) > 1;
        if (audience_alone)
            continue;
        if (used < cap)
            used += (size_t)snprintf(out + used, cap - used, "%s%s", first ? "" : ", ",
                                     key);
        first = false;
    }
    if (used < cap)
        snprintf(out + used, cap - used, ".");
}

int wc_cmd_me_set(struct wc_run *run)
{
    const struct wc_args *args = run->args;
    struct wc_slice name;
    struct wc_slice value;
    char said[400];
    json_t *params = NULL;
    int code = 0;
    if (args->word_count == 0 && wc_run_option(run, WC_OPT_AUDIENCE) == NULL)
        return wc_run_fail(run, WC_EXIT_USAGE, "set what? See `whocan me set --help`");
    bool file = wc_run_wants_json(run) && args->word_count == 1 &&
                !split_pair(args->words[0], &name, &value);
    if (file) {
        code = params_from_file(run, args->words[0], &params);
    } else {
        params = json_object();
        code = args->word_count > 0 ? params_from_words(run, params) : 0;
    }
    if (code == 0)
        code = apply_audience(run, params);
    if (code == 0) {
        saved_text(params, said, sizeof(said));
        return change(run, WC_EDIT_SET, params, said);
    }
    json_decref(params);
    return code;
}

/* ---- add and drop ---- */

enum what { WHAT_SKILLS, WHAT_INTERESTS };

static int read_what(struct wc_run *run, enum what *what)
{
    const char *word = run->args->words[0];
    if (strcmp(word, "skill") == 0 || strcmp(word, "skills") == 0)
        *what = WHAT_SKILLS;
    else if (strcmp(word, "interest") == 0 || strcmp(word, "interests") == 0)
        *what = WHAT_INTERESTS;
    else
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "say what \"%s\" is: skill %s, or interest %s", word, word,
                           word);
    return 0;
}

/* The names behind "skill": words are joined, commas part. */
static int read_names(struct wc_run *run, enum what what, json_t **out)
{
    struct wc_buf text = {0};
    char why[200] = "out of memory";
    for (int i = 1; i < run->args->word_count; i++) {
        wc_buf_text(&text, i > 1 ? " " : "");
        wc_buf_text(&text, run->args->words[i]);
    }
    int rc = wc_field_parse(what == WHAT_SKILLS ? WC_FIELD_SKILLS : WC_FIELD_INTERESTS,
                            wc_buf_slice(&text), ",", out, why, sizeof(why));
    wc_buf_fini(&text);
    if (rc != 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "%s", why);
    if (json_array_size(*out) == 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "there is no name in that");
    return 0;
}

/* What the options say goes to every skill named. */
static int apply_options(struct wc_run *run, json_t *skills)
{
    const char *level = NULL;
    int code = wc_run_level(run, &level);
    if (code != 0)
        return code;
    for (size_t i = 0; i < json_array_size(skills); i++) {
        json_t *skill = json_array_get(skills, i);
        if (json_is_string(skill)) {
            json_t *map = json_pack("{s:O}", "name", skill);
            json_array_set_new(skills, i, map);
            skill = json_array_get(skills, i);
        }
        if (level != NULL)
            json_object_set_new(skill, "level", json_string(level));
        if (wc_run_option(run, WC_OPT_MENTOR) != NULL)
            json_object_set_new(skill, "mentor", json_true());
        if (wc_run_option(run, WC_OPT_LEARN) != NULL)
            json_object_set_new(skill, "learn", json_true());
    }
    return 0;
}

static void names_text(const json_t *list, struct wc_buf *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        struct wc_slice name = json_is_object(item)
                                   ? wc_json_str(item, "name")
                                   : wc_slice_text(json_string_value(item));
        wc_buf_text(out, i > 0 ? ", " : "");
        wc_buf_append(out, name.data, name.len);
    }
}

int wc_cmd_me_add(struct wc_run *run)
{
    enum what what = WHAT_SKILLS;
    json_t *list = NULL;
    struct wc_buf said = {0};
    int code = read_what(run, &what);
    if (code == 0)
        code = read_names(run, what, &list);
    if (code == 0 && what == WHAT_SKILLS)
        code = apply_options(run, list);
    const char *word = wc_run_option(run, WC_OPT_AUDIENCE);
    const char *audience = NULL;
    if (code == 0 && word != NULL)
        code = read_audience(run, wc_slice_text(word), &audience);
    if (code == 0 && what == WHAT_INTERESTS &&
        (wc_run_option(run, WC_OPT_LEVEL) != NULL ||
         wc_run_option(run, WC_OPT_MENTOR) != NULL ||
         wc_run_option(run, WC_OPT_LEARN) != NULL))
        code = wc_run_fail(run, WC_EXIT_USAGE,
                           "--level, --mentor and --learn go with a skill");
    if (code == 0) {
        wc_buf_text(&said, "Added: ");
        names_text(list, &said);
        wc_buf_byte(&said, '\0');
        const char *key = what == WHAT_SKILLS ? "skills" : "interests";
        json_t *fields = json_pack("{s:O}", key, list);
        if (audience != NULL)
            json_object_set_new(fields, "audience", json_pack("{s:s}", key, audience));
        code = change(run, WC_EDIT_ADD, fields,
                      said.failed ? "Added." : (const char *)said.data);
    }
    wc_buf_fini(&said);
    json_decref(list);
    return code;
}

/* Names alone: what was written behind a colon does not matter here. */
static json_t *plain_names(const json_t *list)
{
    json_t *names = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        json_array_append(names,
                          json_is_object(item) ? json_object_get(item, "name") : item);
    }
    return names;
}

/* What was asked for and is not in the list of what was dropped, compared as the daemon
 * compares names. */
static json_t *not_dropped(const json_t *names, const json_t *dropped)
{
    json_t *missing = json_array();
    for (size_t i = 0; i < json_array_size(names); i++) {
        json_t *name = json_array_get(names, i);
        bool found = false;
        for (size_t k = 0; k < json_array_size(dropped) && !found; k++) {
            const char *other = json_string_value(json_array_get(dropped, k));
            found = other != NULL && strcasecmp(json_string_value(name), other) == 0;
        }
        if (!found)
            json_array_append(missing, name);
    }
    return missing;
}

static int dropped_say(struct wc_run *run, const json_t *dropped)
{
    struct wc_buf out = {0};
    struct wc_buf text = {0};
    names_text(dropped, &text);
    wc_buf_text(&out, "Dropped: ");
    wc_term_safe(&out, wc_buf_slice(&text));
    wc_buf_byte(&out, '\n');
    out.failed |= text.failed;
    int code = wc_run_write(run, &out);
    wc_buf_fini(&text);
    wc_buf_fini(&out);
    return code;
}

/* What was not there is told; it is a failure only where nothing was. */
static int missing_say(struct wc_run *run, const json_t *missing, const char *key)
{
    struct wc_buf text = {0};
    names_text(missing, &text);
    int code = wc_run_fail(run, WC_EXIT_REFUSED,
                           "not among the %s of your profile: %.*s; `whocan me` lists "
                           "them",
                           key, (int)text.len, (const char *)text.data);
    wc_buf_fini(&text);
    return code;
}

static int drop(struct wc_run *run, enum what what, json_t *names)
{
    json_t *result = NULL;
    const char *key = what == WHAT_SKILLS ? "skills" : "interests";
    json_t *fields = json_pack("{s:O}", key, names);
    struct wc_profile_edit edit = {.kind = WC_EDIT_DROP, .fields = fields};
    int code = store(run, &edit, &result);
    json_decref(fields);
    if (code != 0)
        return code;
    const json_t *dropped = json_object_get(result, "dropped");
    json_t *missing = not_dropped(names, dropped);
    bool none = json_array_size(dropped) == 0;
    if (wc_run_wants_json(run))
        code = wc_run_json(run, result);
    else if (!none)
        code = dropped_say(run, dropped);
    if (code == 0 && json_array_size(missing) > 0) {
        int said = missing_say(run, missing, key);
        code = none ? said : 0;
    }
    json_decref(missing);
    json_decref(result);
    return code;
}

int wc_cmd_me_drop(struct wc_run *run)
{
    enum what what = WHAT_SKILLS;
    json_t *list = NULL;
    int code = read_what(run, &what);
    if (code == 0)
        code = read_names(run, what, &list);
    if (code == 0) {
        json_t *names = plain_names(list);
        code = drop(run, what, names);
        json_decref(names);
    }
    json_decref(list);
    return code;
}

/* ---- confirm and reject ---- */

/* Whether the person says yes. Only on a terminal is there somebody to ask. */
static bool says_yes(struct wc_run *run)
{
    char line[16];
    if (wc_run_wants_json(run) || isatty(STDIN_FILENO) == 0)
        return true;
    fputs("Publish this under your name? [y/N] ", stdout);
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL)
        return false;
    return line[0] == 'y' || line[0] == 'Y';
}

static int say(struct wc_run *run, const char *text)
{
    struct wc_buf out = {0};
    wc_buf_text(&out, text);
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

/* Show what would be published. */
static int print_offer(struct wc_run *run, const json_t *me)
{
    struct wc_buf out = {0};
    const json_t *pending = json_object_get(me, "pending");
    if (wc_run_wants_json(run))
        return 0;
    if (json_is_object(pending))
        print_pending(run, &out, pending);
    else
        wc_print_person(&run->out, &out, json_object_get(me, "person"), run->now);
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

static int publish(struct wc_run *run, const json_t *me)
{
    const json_t *pending = json_object_get(me, "pending");
    json_t *result = NULL;
    json_t *nothing = json_object();
    struct wc_profile_edit edit = {.kind = WC_EDIT_SET, .fields = nothing};
    int code = 0;
    if (json_is_object(pending)) {
        edit.fields = json_object_get(pending, "fields");
        edit.confirms = json_string_value(json_object_get(pending, "id"));
        if (wc_edit_find(wc_json_str(pending, "edit"), &edit.kind) != 0 ||
            edit.fields == NULL || edit.confirms == NULL)
            code = wc_run_fail(run, WC_EXIT_UNREACHABLE,
                               "the daemon's answer cannot be read");
    } else {
        edit.if_rev = json_object_get(me, "rev"); /* this profile, and no other */
    }
    if (code == 0)
        code = store(run, &edit, &result);
    if (code == 0)
        code = wc_run_wants_json(run) ? wc_run_json(run, result)
                                      : say(run, "Published, signed with your key.\n");
    json_decref(nothing);
    json_decref(result);
    return code;
}

int wc_cmd_me_confirm(struct wc_run *run)
{
    json_t *me = NULL;
    int code = wc_run_call(run, "me.show", json_object(), &me);
    if (code != 0)
        return code;
    if (!json_is_object(json_object_get(me, "pending")) && !is_office_made(me))
        code = wc_run_fail(run, WC_EXIT_REFUSED, "nothing waits for your word");
    else
        code = print_offer(run, me);
    if (code == 0)
        code = says_yes(run) ? publish(run, me) : say(run, "Nothing was changed.\n");
    json_decref(me);
    return code;
}

int wc_cmd_me_reject(struct wc_run *run)
{
    json_t *me = NULL;
    json_t *result = NULL;
    int code = wc_run_call(run, "me.show", json_object(), &me);
    json_t *id = json_object_get(json_object_get(me, "pending"), "id");
    if (code == 0 && !json_is_string(id))
        code = wc_run_fail(run, WC_EXIT_REFUSED, "nothing waits for your word");
    if (code == 0)
        code = wc_run_call(run, "me.reject", json_pack("{s:O}", "id", id), &result);
    if (code == 0)
        code = wc_run_wants_json(run)
                   ? wc_run_json(run, result)
                   : say(run, "Dropped. Your profile is as it was.\n");
    json_decref(result);
    json_decref(me);
    return code;
}
