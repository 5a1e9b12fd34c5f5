/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/print_internal.h"
#include "cli/rows.h"

#define LABEL_COLUMNS      14
#define NAME_COLUMNS_MAX   24
#define HANDLE_COLUMNS_MAX 30 /* longer ones stand out, uncut */
#define WHY_INDENT         4
#define DAY_SECONDS        86400L

/* ---- pieces ---- */

void wc_print_str(struct wc_buf *out, const json_t *object, const char *key)
{
    wc_term_safe(out, wc_json_str(object, key));
}

/* "a, b, c" of an array of texts. */
static void join_texts(struct wc_buf *out, const json_t *array, const char *between)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        wc_buf_text(out, i > 0 ? between : "");
        wc_term_safe(out, wc_slice(json_string_value(item), json_string_length(item)));
    }
}

/* "label        text": the text wraps below itself. Nothing when there is no text. */
void wc_print_labelled(const struct wc_term *term, struct wc_buf *out,
                       const char *label, struct wc_slice safe)
{
    struct wc_buf left = {0};
    if (safe.len == 0)
        return;
    wc_term_fit(&left, wc_slice_text(label), LABEL_COLUMNS, false);
    wc_term_styled(term, out, WC_STYLE_DIM, wc_buf_slice(&left));
    wc_term_wrap(out, safe, LABEL_COLUMNS, term->columns);
    wc_buf_fini(&left);
}

void wc_print_labelled_key(const struct wc_term *term, struct wc_buf *out,
                           const char *label, const json_t *object, const char *key)
{
    struct wc_buf text = {0};
    wc_print_str(&text, object, key);
    wc_print_labelled(term, out, label, wc_buf_slice(&text));
    wc_buf_fini(&text);
}

void wc_print_labelled_buf(const struct wc_term *term, struct wc_buf *out,
                           const char *label, struct wc_buf *text)
{
    wc_print_labelled(term, out, label, wc_buf_slice(text));
    out->failed |= text->failed;
    wc_buf_reset(text);
}

/* ---- times ---- */

bool wc_print_time(struct wc_slice text, time_t *out)
{
    char copy[32];
    struct tm tm = {0};
    if (!wc_slice_copy(text, copy, sizeof(copy)))
        return false;
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (end == NULL || (*end != 'Z' && *end != '.' && *end != '\0'))
        return false;
    *out = timegm(&tm);
    return true;
}

void wc_print_date(struct wc_buf *out, time_t t)
{
    static const char *const months[] = {
        "January", "February", "March",     "April",   "May",      "June",
        "July",    "August",   "September", "October", "November", "December"};
    char text[64];
    struct tm tm;
    if (localtime_r(&t, &tm) == NULL)
        return;
    snprintf(text, sizeof(text), "%d %s %d", tm.tm_mday, months[tm.tm_mon],
             tm.tm_year + 1900);
    wc_buf_text(out, text);
}

void wc_print_ago(struct wc_buf *out, time_t t, time_t now)
{
    int64_t seconds = (int64_t)now - (int64_t)t;
    if (seconds > -2 && seconds < 2) {
        wc_buf_text(out, "now");
        return;
    }
    wc_buf_text(out, seconds < 0 ? "in " : "");
    uint64_t length = (uint64_t)(seconds < 0 ? -seconds : seconds);
    if (length >= 2 * (uint64_t)DAY_SECONDS)
        wc_term_plural(out, length / (uint64_t)DAY_SECONDS, "day", "days");
    else
        wc_term_duration(out, length);
    wc_buf_text(out, seconds > 0 ? " ago" : "");
}

void wc_print_ago_of(struct wc_buf *out, const json_t *object, const char *key,
                     time_t now)
{
    time_t t;
    if (wc_print_time(wc_json_str(object, key), &t))
        wc_print_ago(out, t, now);
}

/* ---- a list of people ---- */

static size_t widest(const json_t *people, size_t count, const char *key,
                     size_t columns_max)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        struct wc_buf safe = {0};
        wc_print_str(&safe, json_array_get(people, i), key);
        size_t width = wc_term_width(wc_buf_slice(&safe));
        most = width > most ? width : most;
        wc_buf_fini(&safe);
    }
    return most < columns_max ? most : columns_max;
}

static void fitted(const struct wc_term *term, struct wc_buf *out, enum wc_style style,
                   const json_t *person, const char *key, size_t width)
{
    struct wc_buf safe = {0};
    struct wc_buf cell = {0};
    wc_print_str(&safe, person, key);
    wc_term_fit(&cell, wc_buf_slice(&safe), width, false);
    wc_term_styled(term, out, style, wc_buf_slice(&cell));
    wc_buf_fini(&safe);
    wc_buf_fini(&cell);
}

/* "Librarian, Libraries North" */
static void add_job(struct wc_buf *out, const json_t *person)
{
    struct wc_slice title = wc_json_str(person, "title");
    struct wc_slice team = wc_json_str(person, "team");
    wc_term_safe(out, title);
    wc_buf_text(out, title.len > 0 && team.len > 0 ? ", " : "");
    wc_term_safe(out, team);
}

/* The skills, when the search gave no reasons. */
static void add_skill_names(struct wc_buf *out, const json_t *person)
{
    const json_t *skills = json_object_get(person, "skills");
    for (size_t i = 0; i < json_array_size(skills); i++) {
        const json_t *skill = json_array_get(skills, i);
        wc_buf_text(out, i > 0 ? ", " : "");
        if (json_is_string(skill))
            wc_term_safe(out, wc_slice_text(json_string_value(skill)));
        else
            wc_print_str(out, skill, "name");
    }
}

static void add_why(struct wc_buf *out, const json_t *person)
{
    const json_t *why = json_object_get(person, "why");
    if (json_array_size(why) > 0)
        join_texts(out, why, "; ");
    else
        add_skill_names(out, person);
    if (json_object_get(person, "name") == NULL)
        wc_buf_text(out, "this profile has not arrived here yet");
    if (!wc_json_bool(person, "willing", true))
        wc_buf_text(out, out->len > 0 ? "; prefers not to be asked"
                                      : "prefers not to be asked");
    if (!wc_json_bool(person, "available", true))
        wc_buf_text(out, out->len > 0 ? "; not working today" : "not working today");
}

struct list_widths {
    size_t name;
    size_t handle;
};

/* A handle is there to be copied: it is never cut. */
static size_t print_handle(const struct wc_term *term, struct wc_buf *out,
                           const json_t *person, size_t width)
{
    struct wc_buf safe = {0};
    wc_print_str(&safe, person, "handle");
    size_t own = wc_term_width(wc_buf_slice(&safe));
    wc_term_styled(term, out, WC_STYLE_HANDLE, wc_buf_slice(&safe));
    wc_term_blanks(out, own < width ? width - own : 0);
    wc_buf_fini(&safe);
    return own < width ? width : own;
}

/* The reasons on two lines at most. */
static void print_why(const struct wc_term *term, struct wc_buf *out,
                      const json_t *person)
{
    struct wc_buf why = {0};
    struct wc_buf cut = {0};
    size_t width = term->columns - WHY_INDENT;
    add_why(&why, person);
    wc_term_cut(&cut, wc_buf_slice(&why), 2 * width - 10); /* breaking costs a little */
    if (cut.len > 0) {
        wc_term_blanks(out, WHY_INDENT);
        wc_term_wrap(out, wc_buf_slice(&cut), WHY_INDENT, term->columns);
    }
    out->failed |= why.failed || cut.failed;
    wc_buf_fini(&why);
    wc_buf_fini(&cut);
}

static void print_hit(const struct wc_term *term, struct wc_buf *out,
                      const json_t *person, const struct list_widths *w)
{
    struct wc_buf job = {0};
    add_job(&job, person);
    if (wc_json_str(person, "name").len > 0) {
        fitted(term, out, WC_STYLE_STRONG, person, "name", w->name);
        wc_buf_text(out, "  ");
    }
    size_t used =
        w->name + 2 + print_handle(term, out, person, job.len > 0 ? w->handle : 0) + 2;
    if (job.len > 0 && term->columns > used + 8) {
        wc_buf_text(out, "  ");
        wc_term_cut(out, wc_buf_slice(&job), term->columns - used);
    }
    wc_buf_byte(out, '\n');
    print_why(term, out, person);
    out->failed |= job.failed;
    wc_buf_fini(&job);
}

void wc_print_people(const struct wc_term *term, struct wc_buf *out,
                     const json_t *people, size_t count)
{
    size_t all = json_array_size(people);
    size_t shown = count < all ? count : all;
    struct list_widths w = {widest(people, shown, "name", NAME_COLUMNS_MAX),
                            widest(people, shown, "handle", HANDLE_COLUMNS_MAX)};
    for (size_t i = 0; i < shown; i++)
        print_hit(term, out, json_array_get(people, i), &w);
}

/* ---- one person ---- */

static void skill_line(const struct wc_term *term, struct wc_buf *out,
                       const json_t *skill, const char *label)
{
    struct wc_buf text = {0};
    const char *between = " (";
    struct wc_slice level = wc_json_str(skill, "level");
    if (json_is_string(skill))
        wc_term_safe(&text, wc_slice_text(json_string_value(skill)));
    else
        wc_print_str(&text, skill, "name");
    size_t bare = text.len;
    if (level.len > 0) {
        wc_buf_text(&text, between);
        wc_term_safe(&text, level);
        between = ", ";
    }
    const struct {
        bool said;
        const char *words;
    } notes[] = {
        {wc_json_bool(skill, "mentor", false), "can mentor"},
        {wc_json_bool(skill, "learn", false), "wants to learn"},
        {wc_slice_is(wc_json_str(skill, "source"), "directory"), "from the directory"},
    };
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        if (!notes[i].said)
            continue;
        wc_buf_text(&text, between);
        wc_buf_text(&text, notes[i].words);
        between = ", ";
    }
    wc_buf_text(&text, text.len > bare ? ")" : "");
    wc_print_labelled(term, out, label, wc_buf_slice(&text));
    wc_buf_fini(&text);
}

static void print_skills(const struct wc_term *term, struct wc_buf *out,
                         const json_t *skills)
{
    for (size_t i = 0; i < json_array_size(skills); i++)
        skill_line(term, out, json_array_get(skills, i), i == 0 ? "Skills" : "");
}

static void print_texts(const struct wc_term *term, struct wc_buf *out,
                        const char *label, const json_t *array, const char *between)
{
    struct wc_buf text = {0};
    join_texts(&text, array, between);
    wc_print_labelled(term, out, label, wc_buf_slice(&text));
    wc_buf_fini(&text);
}

static void print_contact(const struct wc_term *term, struct wc_buf *out,
                          const json_t *contact)
{
    struct wc_buf text = {0};
    wc_print_str(&text, contact, "email");
    wc_buf_text(&text,
                text.len > 0 && wc_json_str(contact, "phone").len > 0 ? ", " : "");
    wc_print_str(&text, contact, "phone");
    wc_print_labelled(term, out, "Contact", wc_buf_slice(&text));
    wc_buf_fini(&text);
}

static void print_days(const struct wc_term *term, struct wc_buf *out,
                       const json_t *person)
{
    struct wc_buf text = {0};
    join_texts(&text, json_object_get(person, "working_days"), " ");
    if (!wc_json_bool(person, "available", true))
        wc_buf_text(&text, text.len > 0 ? " (not today)" : "not today");
    wc_print_labelled(term, out, "Works", wc_buf_slice(&text));
    wc_buf_fini(&text);
}

static void print_origin(const struct wc_term *term, struct wc_buf *out,
                         const json_t *person, time_t now)
{
    struct wc_buf text = {0};
    time_t t;
    struct wc_slice source = wc_json_str(person, "source");
    bool office = wc_slice_is(wc_json_str(person, "authored_by"), "office");
    const char *own =
        office ? "via intranet, signed by their office" : "in their own words";
    if (!wc_slice_is(source, "directory") && source.len > 0)
        wc_buf_text(&text, own);
    if (wc_slice_is(source, "directory"))
        wc_buf_text(&text, "from the directory");
    else if (wc_slice_is(source, "both"))
        wc_buf_text(&text, ", and from the directory");
    if (wc_print_time(wc_json_str(person, "confirmed_at"), &t)) {
        wc_buf_text(&text, text.len > 0 ? "; confirmed " : "confirmed ");
        wc_print_ago(&text, t, now);
    }
    wc_print_labelled(term, out, "Profile", wc_buf_slice(&text));
    wc_buf_fini(&text);
}

/* Somebody else may be writing under this name. */
static void print_key_change(const struct wc_term *term, struct wc_buf *out,
                             const json_t *person)
{
    struct wc_buf text = {0};
    time_t t;
    if (wc_print_time(wc_json_str(person, "key_changed_at"), &t)) {
        wc_buf_text(&text, "key changed on ");
        wc_print_date(&text, t);
        wc_print_labelled(term, out, "Signature", wc_buf_slice(&text));
    }
    wc_buf_fini(&text);
}

void wc_print_fields(const struct wc_term *term, struct wc_buf *out,
                     struct wc_slice edit, const json_t *fields)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)fields, key, value)
    {
        struct wc_buf text = {0}, written = {0};
        enum wc_field field;
        if (wc_field_find(wc_slice_text(key), &field) == 0)
            wc_field_write(&written, field, value, ',');
        if (!wc_slice_is(edit, "set")) {
            wc_term_safe(&text, edit); /* "add", "drop" */
            wc_buf_byte(&text, ' ');
        }
        wc_term_safe(&text, wc_buf_slice(&written));
        if (written.len == 0)
            wc_buf_text(&text, "(taken away)");
        wc_print_labelled(term, out, key, wc_buf_slice(&text));
        out->failed |= text.failed || written.failed;
        wc_buf_fini(&text);
        wc_buf_fini(&written);
    }
}

static void add_kept(struct wc_buf *out, const char *word, const char *name)
{
    wc_buf_text(out, out->len > 0 ? ", " : "");
    wc_buf_text(out, word);
    wc_term_safe(out, wc_slice_text(name));
}

/* What of a list, or which field, has the audience. */
static void add_audience(struct wc_buf *out, const json_t *marks, const char *audience)
{
    const char *key;
    const char *name;
    json_t *value;
    json_t *mark;
    json_object_foreach((json_t *)marks, key, value)
    {
        if (json_is_string(value) && strcmp(json_string_value(value), audience) == 0)
            add_kept(out, "", key);
        json_object_foreach(value, name, mark)
        {
            if (json_is_string(mark) && strcmp(json_string_value(mark), audience) == 0)
                add_kept(out, strcmp(key, "skills") == 0 ? "skill " : "interest ",
                         name);
        }
    }
}

/* What is not for every office. */
static void print_audiences(const struct wc_term *term, struct wc_buf *out,
                            const json_t *marks)
{
    static const struct {
        const char *label;
        const char *audience;
    } kept[] = {{"Only office", "office"}, {"Only match", "match"}, {"Only me", "me"}};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        struct wc_buf text = {0};
        add_audience(&text, marks, kept[i].audience);
        wc_print_labelled(term, out, kept[i].label, wc_buf_slice(&text));
        wc_buf_fini(&text);
    }
}

void wc_print_person(const struct wc_term *term, struct wc_buf *out,
                     const json_t *person, time_t now)
{
    struct wc_buf text = {0};
    wc_print_str(&text, person, "name");
    wc_term_styled(term, out, WC_STYLE_STRONG, wc_buf_slice(&text));
    wc_buf_text(out, text.len > 0 ? "  " : "");
    wc_buf_reset(&text);
    wc_print_str(&text, person, "handle");
    wc_term_styled(term, out, WC_STYLE_HANDLE, wc_buf_slice(&text));
    wc_buf_byte(out, '\n');
    wc_buf_reset(&text);
    add_job(&text, person);
    if (text.len > 0)
        wc_term_wrap(out, wc_buf_slice(&text), 0, term->columns);
    wc_buf_byte(out, '\n');

    print_skills(term, out, json_object_get(person, "skills"));
    print_texts(term, out, "Interests", json_object_get(person, "interests"), ", ");
    wc_print_labelled_key(term, out, "Ask about", person, "ask_me_about");
    print_texts(term, out, "Languages", json_object_get(person, "languages"), ", ");
    print_days(term, out, person);
    if (!wc_json_bool(person, "willing", true))
        wc_print_labelled(term, out, "Help",
                          wc_slice_text("prefers not to be asked at present"));
    print_contact(term, out, json_object_get(person, "contact"));
    wc_print_labelled_key(term, out, "Office", person, "office");
    print_audiences(term, out, json_object_get(person, "audience"));
    print_origin(term, out, person, now);
    print_key_change(term, out, person);
    out->failed |= text.failed;
    wc_buf_fini(&text);
}

/* ---- this office ---- */

static void add_date(struct wc_buf *out, const json_t *object, const char *key)
{
    time_t t;
    if (wc_print_time(wc_json_str(object, key), &t))
        wc_print_date(out, t);
}

static void add_quota(struct wc_buf *out, const json_t *office)
{
    wc_term_number(out, wc_json_u64(office, "people"));
    if (json_is_integer(json_object_get(office, "quota"))) {
        wc_buf_text(out, " of at most ");
        wc_term_number(out, wc_json_u64(office, "quota"));
    }
}

void wc_print_office(const struct wc_term *term, struct wc_buf *out,
                     const json_t *result, time_t now)
{
    struct wc_buf text = {0};
    time_t ends;
    wc_print_labelled_key(term, out, "Office", result, "name");
    wc_print_labelled_key(term, out, "Title", result, "title");
    wc_print_labelled_key(term, out, "Organisation", result, "organisation");
    wc_print_labelled_key(term, out, "Its id", result, "organisation_id");
    wc_print_labelled_key(term, out, "Mode", result, "mode");
    wc_print_labelled_key(term, out, "Key", result, "key");
    wc_print_labelled_key(term, out, "Fingerprint", result, "fingerprint");
    wc_term_number(&text, wc_json_u64(result, "serial"));
    wc_print_labelled_buf(term, out, "Serial", &text);
    add_quota(&text, result);
    wc_print_labelled_buf(term, out, "People", &text);
    add_date(&text, result, "not_before");
    wc_buf_text(&text, text.len > 0 ? " to " : "");
    add_date(&text, result, "not_after");
    if (wc_print_time(wc_json_str(result, "not_after"), &ends)) {
        wc_buf_text(&text, ends < now ? " (expired " : " (ends ");
        wc_print_ago(&text, ends, now);
        wc_buf_text(&text, ")");
    } else {
        wc_buf_text(&text, "none: this office stands alone");
    }
    wc_print_labelled_buf(term, out, "Certificate", &text);
    wc_buf_fini(&text);
}

void wc_print_org(const struct wc_term *term, struct wc_buf *out, const json_t *org)
{
    struct wc_buf text = {0};
    wc_print_labelled_key(term, out, "Organisation", org, "organisation");
    wc_print_labelled_key(term, out, "Id", org, "organisation_id");
    wc_print_labelled_key(term, out, "Mode", org, "mode");
    wc_print_labelled_key(term, out, "Key", org, "key");
    if (json_object_get(org, "next_serial") != NULL) {
        wc_term_number(&text, wc_json_u64(org, "next_serial"));
        wc_print_labelled_buf(term, out, "Next serial", &text);
    }
    wc_buf_fini(&text);
}
