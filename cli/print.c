/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/rows.h"
#include "cli/table.h"

#define LABEL_COLUMNS      14
#define NAME_COLUMNS_MAX   24
#define HANDLE_COLUMNS_MAX 30 /* longer ones stand out, uncut */
#define WHY_INDENT         4
#define DAY_SECONDS        86400L

/* ---- pieces ---- */

static void safe_str(struct wc_buf *out, const json_t *object, const char *key)
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
static void labelled(const struct wc_term *term, struct wc_buf *out, const char *label,
                     struct wc_slice safe)
{
    struct wc_buf left = {0};
    if (safe.len == 0)
        return;
    wc_term_fit(&left, wc_slice_text(label), LABEL_COLUMNS, false);
    wc_term_styled(term, out, WC_STYLE_DIM, wc_buf_slice(&left));
    wc_term_wrap(out, safe, LABEL_COLUMNS, term->columns);
    wc_buf_fini(&left);
}

static void labelled_key(const struct wc_term *term, struct wc_buf *out,
                         const char *label, const json_t *object, const char *key)
{
    struct wc_buf text = {0};
    safe_str(&text, object, key);
    labelled(term, out, label, wc_buf_slice(&text));
    wc_buf_fini(&text);
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

static void add_ago(struct wc_buf *out, const json_t *object, const char *key,
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
        safe_str(&safe, json_array_get(people, i), key);
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
    safe_str(&safe, person, key);
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
            safe_str(out, skill, "name");
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
    safe_str(&safe, person, "handle");
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
        safe_str(&text, skill, "name");
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
    labelled(term, out, label, wc_buf_slice(&text));
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
    labelled(term, out, label, wc_buf_slice(&text));
    wc_buf_fini(&text);
}

static void print_contact(const struct wc_term *term, struct wc_buf *out,
                          const json_t *contact)
{
    struct wc_buf text = {0};
    safe_str(&text, contact, "email");
    wc_buf_text(&text,
                text.len > 0 && wc_json_str(contact, "phone").len > 0 ? ", " : "");
    safe_str(&text, contact, "phone");
    labelled(term, out, "Contact", wc_buf_slice(&text));
    wc_buf_fini(&text);
}

static void print_days(const struct wc_term *term, struct wc_buf *out,
                       const json_t *person)
{
    struct wc_buf text = {0};
    join_texts(&text, json_object_get(person, "working_days"), " ");
    if (!wc_json_bool(person, "available", true))
        wc_buf_text(&text, text.len > 0 ? " (not today)" : "not today");
    labelled(term, out, "Works", wc_buf_slice(&text));
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
    labelled(term, out, "Profile", wc_buf_slice(&text));
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
        labelled(term, out, "Signature", wc_buf_slice(&text));
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
        labelled(term, out, key, wc_buf_slice(&text));
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
        labelled(term, out, kept[i].label, wc_buf_slice(&text));
        wc_buf_fini(&text);
    }
}

void wc_print_person(const struct wc_term *term, struct wc_buf *out,
                     const json_t *person, time_t now)
{
    struct wc_buf text = {0};
    safe_str(&text, person, "name");
    wc_term_styled(term, out, WC_STYLE_STRONG, wc_buf_slice(&text));
    wc_buf_text(out, text.len > 0 ? "  " : "");
    wc_buf_reset(&text);
    safe_str(&text, person, "handle");
    wc_term_styled(term, out, WC_STYLE_HANDLE, wc_buf_slice(&text));
    wc_buf_byte(out, '\n');
    wc_buf_reset(&text);
    add_job(&text, person);
    if (text.len > 0)
        wc_term_wrap(out, wc_buf_slice(&text), 0, term->columns);
    wc_buf_byte(out, '\n');

    print_skills(term, out, json_object_get(person, "skills"));
    print_texts(term, out, "Interests", json_object_get(person, "interests"), ", ");
    labelled_key(term, out, "Ask about", person, "ask_me_about");
    print_texts(term, out, "Languages", json_object_get(person, "languages"), ", ");
    print_days(term, out, person);
    if (!wc_json_bool(person, "willing", true))
        labelled(term, out, "Help",
                 wc_slice_text("prefers not to be asked at present"));
    print_contact(term, out, json_object_get(person, "contact"));
    labelled_key(term, out, "Office", person, "office");
    print_audiences(term, out, json_object_get(person, "audience"));
    print_origin(term, out, person, now);
    print_key_change(term, out, person);
    out->failed |= text.failed;
    wc_buf_fini(&text);
}

/* ---- offices ---- */

static const char *state_text(struct wc_slice state)
{
    if (wc_slice_is(state, "self"))
        return "this office";
    if (wc_slice_is(state, "linked"))
        return "linked";
    if (wc_slice_is(state, "known"))
        return "not linked";
    if (wc_slice_is(state, "revoked"))
        return "revoked";
    return "unknown";
}

static void cell_buf(struct wc_table *table, struct wc_buf *text)
{
    if (text->len == 0)
        wc_buf_text(text, "-");
    wc_table_cell(table, wc_buf_slice(text));
    wc_buf_reset(text);
}

static void office_row(struct wc_table *table, const json_t *office, time_t now)
{
    struct wc_buf text = {0};
    struct wc_slice state = wc_json_str(office, "state");
    wc_table_cell(table, wc_json_str(office, "name"));
    wc_table_cell(table, wc_json_str(office, "title"));
    wc_table_cell(table, wc_slice_text(state_text(state)));
    if (json_is_integer(json_object_get(office, "people")))
        wc_term_number(&text, wc_json_u64(office, "people"));
    cell_buf(table, &text);
    if (!wc_slice_is(state, "self"))
        add_ago(&text, office, "last_heard_at", now);
    cell_buf(table, &text);
    wc_buf_fini(&text);
}

/* Clocks within two seconds are as good as the same. */
static void add_clock_note(struct wc_buf *out, const json_t *office)
{
    const json_t *offset = json_object_get(office, "clock_offset_ms");
    double seconds = json_number_value(offset) / 1000.0;
    if (!json_is_number(offset) || (seconds > -2 && seconds < 2))
        return;
    wc_buf_text(out, "its clock is ");
    wc_term_duration(out, (uint64_t)(seconds < 0 ? -seconds : seconds));
    wc_buf_text(out, seconds < 0 ? " behind this office's" : " ahead of this office's");
}

/* The own one is asked for in the last month; of others the last week is worth a word. */
static void add_certificate_note(struct wc_buf *out, const json_t *office, time_t now)
{
    bool own = wc_slice_is(wc_json_str(office, "state"), "self");
    time_t ends;
    if (!wc_print_time(wc_json_str(office, "expires_at"), &ends) ||
        ends - now > (own ? 30 : 7) * DAY_SECONDS)
        return;
    wc_buf_text(out, out->len > 0 ? "; its certificate " : "its certificate ");
    wc_buf_text(out, ends < now ? "ended " : "ends ");
    wc_print_ago(out, ends, now);
}

static void add_faults_note(struct wc_buf *out, const json_t *office)
{
    uint64_t faults = wc_json_u64(office, "faults");
    if (faults == 0)
        return;
    wc_buf_text(out, out->len > 0 ? "; it was " : "it was ");
    wc_buf_text(out, "found at fault ");
    wc_term_plural(out, faults, "time", "times");
    wc_buf_text(out, " (`whocan status` says why)");
}

static void office_note(const struct wc_term *term, struct wc_buf *out,
                        const json_t *office, time_t now)
{
    struct wc_buf note = {0};
    struct wc_buf line = {0};
    struct wc_slice state = wc_json_str(office, "state");
    if (wc_slice_is(state, "linked") || wc_slice_is(state, "known"))
        add_clock_note(&note, office);
    if (!wc_slice_is(state, "revoked"))
        add_certificate_note(&note, office, now);
    add_faults_note(&note, office);
    if (note.len > 0) {
        safe_str(&line, office, "name");
        wc_buf_text(&line, ": ");
        wc_buf_append(&line, note.data, note.len);
        wc_term_styled(term, out, WC_STYLE_WARN, wc_slice_text("! "));
        wc_term_wrap(out, wc_buf_slice(&line), 2, term->columns);
    }
    wc_buf_fini(&note);
    wc_buf_fini(&line);
}

void wc_print_offices(const struct wc_term *term, struct wc_buf *out,
                      const json_t *result, time_t now)
{
    static const struct wc_table_column columns[] = {
        {"OFFICE", false, false, WC_STYLE_STRONG},
        {"TITLE", false, true, WC_STYLE_PLAIN},
        {"STATE", false, false, WC_STYLE_PLAIN},
        {"PEOPLE", true, false, WC_STYLE_PLAIN},
        {"HEARD", false, false, WC_STYLE_PLAIN},
    };
    struct wc_table table;
    const json_t *offices = json_object_get(result, "offices");
    wc_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < json_array_size(offices); i++)
        office_row(&table, json_array_get(offices, i), now);
    wc_table_print(&table, term, out);
    for (size_t i = 0; i < json_array_size(offices); i++)
        office_note(term, out, json_array_get(offices, i), now);
    wc_table_fini(&table);
}

/* ---- status ---- */

static void labelled_buf(const struct wc_term *term, struct wc_buf *out,
                         const char *label, struct wc_buf *text)
{
    labelled(term, out, label, wc_buf_slice(text));
    out->failed |= text->failed;
    wc_buf_reset(text);
}

static void print_warnings(const struct wc_term *term, struct wc_buf *out,
                           const json_t *warnings)
{
    size_t count = json_array_size(warnings);
    struct wc_buf text = {0};
    if (count == 0) {
        wc_term_styled(term, out, WC_STYLE_GOOD, wc_slice_text("All is well."));
        wc_buf_text(out, "\n\n");
        return;
    }
    wc_term_plural(&text, count, "warning:", "warnings:");
    wc_term_styled(term, out, WC_STYLE_WARN, wc_buf_slice(&text));
    wc_buf_byte(out, '\n');
    for (size_t i = 0; i < count; i++) {
        const json_t *warning = json_array_get(warnings, i);
        wc_buf_reset(&text);
        wc_term_safe(&text,
                     wc_slice(json_string_value(warning), json_string_length(warning)));
        wc_term_styled(term, out, WC_STYLE_WARN, wc_slice_text("  ! "));
        wc_term_wrap(out, wc_buf_slice(&text), 4, term->columns);
    }
    wc_buf_byte(out, '\n');
    wc_buf_fini(&text);
}

static void print_membership(const struct wc_term *term, struct wc_buf *out,
                             const json_t *result)
{
    struct wc_buf text = {0};
    safe_str(&text, result, "office");
    labelled_buf(term, out, "Office", &text);
    if (wc_slice_is(wc_json_str(result, "mode"), "standalone")) {
        labelled(term, out, "Organisation",
                 wc_slice_text("none: this office stands alone (`whocan office join` "
                               "makes it a member)"));
    } else {
        safe_str(&text, result, "organisation");
        labelled_buf(term, out, "Organisation", &text);
    }
    wc_buf_fini(&text);
}

static void print_links(const struct wc_term *term, struct wc_buf *out,
                        const json_t *links)
{
    static const struct wc_table_column columns[] = {
        {"LINK TO", false, true, WC_STYLE_STRONG},
        {"SINCE", false, false, WC_STYLE_PLAIN},
        {"RECEIVED", true, false, WC_STYLE_PLAIN},
        {"SENT", true, false, WC_STYLE_PLAIN},
    };
    struct wc_table table;
    struct wc_buf text = {0};
    if (json_array_size(links) == 0)
        return;
    wc_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < json_array_size(links); i++) {
        const json_t *link = json_array_get(links, i);
        wc_table_cell(&table, wc_json_str(link, "office"));
        wc_term_duration(&text, wc_json_u64(link, "since_s"));
        cell_buf(&table, &text);
        wc_term_bytes(&text, wc_json_u64(link, "received_bytes"));
        cell_buf(&table, &text);
        wc_term_bytes(&text, wc_json_u64(link, "sent_bytes"));
        cell_buf(&table, &text);
    }
    wc_buf_byte(out, '\n');
    wc_table_print(&table, term, out);
    wc_table_fini(&table);
    wc_buf_fini(&text);
}

static void print_store(const struct wc_term *term, struct wc_buf *out,
                        const json_t *store)
{
    struct wc_buf text = {0};
    uint64_t used = wc_json_u64(store, "used_bytes");
    uint64_t map = wc_json_u64(store, "map_bytes");
    safe_str(&text, store, "path");
    wc_buf_text(&text, text.len > 0 ? ", " : "");
    wc_term_bytes(&text, used);
    if (map > 0) {
        wc_buf_text(&text, " of ");
        wc_term_bytes(&text, map);
    }
    labelled_buf(term, out, "Store", &text);
    wc_buf_fini(&text);
}

static void print_certificate(const struct wc_term *term, struct wc_buf *out,
                              const json_t *certificate)
{
    struct wc_buf text = {0};
    time_t ends;
    const json_t *days = json_object_get(certificate, "days_left");
    if (wc_print_time(wc_json_str(certificate, "not_after"), &ends)) {
        wc_buf_text(&text, "valid until ");
        wc_print_date(&text, ends);
        if (json_is_integer(days) && json_integer_value(days) >= 0) {
            wc_buf_text(&text, " (");
            wc_term_plural(&text, (uint64_t)json_integer_value(days), "day", "days");
            wc_buf_text(&text, ")");
        } else if (json_is_integer(days)) {
            wc_buf_text(&text, " (expired)");
        }
    }
    labelled_buf(term, out, "Certificate", &text);
    wc_buf_fini(&text);
}

void wc_print_status(const struct wc_term *term, struct wc_buf *out,
                     const json_t *result, time_t now)
{
    (void)now;
    struct wc_buf text = {0};
    const json_t *links = json_object_get(result, "links");
    print_warnings(term, out, json_object_get(result, "warnings"));
    print_membership(term, out, result);
    wc_buf_text(&text, "whocand ");
    safe_str(&text, result, "version");
    wc_buf_text(&text, ", up ");
    wc_term_duration(&text, wc_json_u64(result, "uptime_s"));
    labelled_buf(term, out, "Daemon", &text);
    wc_term_number(&text, wc_json_u64(result, "people"));
    wc_buf_text(&text, " can be found (");
    wc_term_plural(&text, wc_json_u64(result, "records"), "record)", "records)");
    labelled_buf(term, out, "People", &text);
    wc_term_number(&text, wc_json_u64(result, "offices_known"));
    wc_buf_text(&text, " known, this one included; ");
    wc_term_plural(&text, json_array_size(links), "link", "links");
    labelled_buf(term, out, "Offices", &text);
    print_store(term, out, json_object_get(result, "store"));
    print_certificate(term, out, json_object_get(result, "certificate"));
    print_links(term, out, links);
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
    labelled_key(term, out, "Office", result, "name");
    labelled_key(term, out, "Title", result, "title");
    labelled_key(term, out, "Organisation", result, "organisation");
    labelled_key(term, out, "Its id", result, "organisation_id");
    labelled_key(term, out, "Mode", result, "mode");
    labelled_key(term, out, "Key", result, "key");
    labelled_key(term, out, "Fingerprint", result, "fingerprint");
    wc_term_number(&text, wc_json_u64(result, "serial"));
    labelled_buf(term, out, "Serial", &text);
    add_quota(&text, result);
    labelled_buf(term, out, "People", &text);
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
    labelled_buf(term, out, "Certificate", &text);
    wc_buf_fini(&text);
}

void wc_print_org(const struct wc_term *term, struct wc_buf *out, const json_t *org)
{
    struct wc_buf text = {0};
    labelled_key(term, out, "Organisation", org, "organisation");
    labelled_key(term, out, "Id", org, "organisation_id");
    labelled_key(term, out, "Mode", org, "mode");
    labelled_key(term, out, "Key", org, "key");
    if (json_object_get(org, "next_serial") != NULL) {
        wc_term_number(&text, wc_json_u64(org, "next_serial"));
        labelled_buf(term, out, "Next serial", &text);
    }
    wc_buf_fini(&text);
}
