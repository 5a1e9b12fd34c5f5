/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/form.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <whocan/audience.h>

#include "cli/json.h"
#include "cli/rows.h"
#include "cli/term.h"

/* The fields in the order of the form, with what stands above each. */
static const struct {
    enum wc_field field;
    const char *label;
    const char *comment;
} layout[] = {
    {WC_FIELD_NAME, "name", NULL},
    {WC_FIELD_TITLE, "title", NULL},
    {WC_FIELD_TEAM, "team", NULL},
    {WC_FIELD_SKILLS, "skills",
     "# What you can do: one skill a line, indented. Behind a colon you may say how "
     "well\n"
     "# (awareness, working, practitioner, expert), and \"mentor\" if you would teach "
     "it\n"
     "# or \"learn\" if you want to learn it:  content design: expert, mentor\n"},
    {WC_FIELD_INTERESTS, "interests",
     "# What you care about: one interest a line, indented.\n"},
    {WC_FIELD_ASK_ME_ABOUT, "ask me about",
     "# In your own words, indented: what may people come to you with?\n"},
    {WC_FIELD_LANGUAGES, "languages", "# Parted by commas.\n"},
    {WC_FIELD_WORKING_DAYS, "working days", "# mon tue wed thu fri sat sun\n"},
    {WC_FIELD_EMAIL, "email", NULL},
    {WC_FIELD_PHONE, "phone", NULL},
    {WC_FIELD_WILLING, "willing", "# yes or no: may people ask you for help?\n"},
};

#define LAYOUT_COUNT (sizeof(layout) / sizeof(layout[0]))

static bool is_multiline(enum wc_field field)
{
    return field == WC_FIELD_SKILLS || field == WC_FIELD_INTERESTS ||
           field == WC_FIELD_ASK_ME_ABOUT;
}

static bool is_list(enum wc_field field)
{
    return field == WC_FIELD_SKILLS || field == WC_FIELD_INTERESTS ||
           field == WC_FIELD_LANGUAGES || field == WC_FIELD_WORKING_DAYS;
}

/* ---- audiences ---- */

/* A tag at the end of a text, " [office]": its audience, and where the text before it
 * ends. -1: there is none. */
static int tag_of(struct wc_slice text, size_t *before)
{
    size_t at = text.len;
    enum wc_audience audience;
    *before = text.len;
    if (text.len < 3 || text.data[text.len - 1] != ']')
        return -1;
    while (at > 0 && text.data[at - 1] != '[')
        at--;
    if (at == 0 || (at > 1 && text.data[at - 2] != ' ') ||
        wc_audience_find(wc_slice(text.data + at, text.len - at - 1), &audience) != 0)
        return -1;
    *before = at - 1;
    while (*before > 0 && text.data[*before - 1] == ' ')
        --*before;
    return (int)audience;
}

/* What the marks of me.show say of a field, or of one of its names. */
static const char *mark_of(const json_t *marks, const char *key, const json_t *item)
{
    const json_t *mark = json_object_get(marks, key);
    const json_t *name = json_is_object(item) ? json_object_get(item, "name") : item;
    if (item != NULL)
        mark = json_is_string(name) ? json_object_get(mark, json_string_value(name))
                                    : NULL;
    return json_string_value(mark);
}

/* Behind what stands from `from` on: a text that ends as a tag does gets one in any case,
 * so that it is not taken for one. */
static void write_tag(struct wc_buf *out, size_t from, const char *mark)
{
    size_t before;
    bool looks = out->len > from &&
                 tag_of(wc_slice(out->data + from, out->len - from), &before) >= 0;
    if (mark == NULL && !looks)
        return;
    wc_buf_text(out, " [");
    wc_buf_text(out, mark != NULL ? mark : wc_audience_name(WC_AUDIENCE_ORGANISATION));
    wc_buf_byte(out, ']');
}

/* ---- writing ---- */

static void write_line(struct wc_buf *out, struct wc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        wc_buf_byte(out,
                    text.data[i] == '\n' || text.data[i] == '\r' ? ' ' : text.data[i]);
}

/* A text of several lines, each indented. */
static void write_lines(struct wc_buf *out, struct wc_slice text)
{
    wc_buf_text(out, text.len > 0 ? "  " : "");
    for (size_t i = 0; i < text.len; i++) {
        wc_buf_byte(out, text.data[i]);
        if (text.data[i] == '\n')
            wc_buf_text(out, "  ");
    }
    wc_buf_text(out, text.len > 0 ? "\n" : "");
}

static void write_item(struct wc_buf *out, enum wc_field field, const json_t *item,
                       const char *separators)
{
    if (field == WC_FIELD_SKILLS)
        wc_skill_write(out, item, '\0', true);
    else
        wc_item_write(out, wc_slice(json_string_value(item), json_string_length(item)),
                      separators);
}

static void write_value(struct wc_buf *out, enum wc_field field, const json_t *value,
                        const json_t *marks)
{
    const char *key = wc_field_name(field);
    size_t from = out->len + 1;
    struct wc_slice text =
        wc_slice(json_string_value(value), json_string_length(value));
    if (field == WC_FIELD_ASK_ME_ABOUT) {
        write_tag(out, from, mark_of(marks, key, NULL));
        wc_buf_byte(out, '\n');
        write_lines(out, text);
        return;
    }
    if (is_multiline(field)) {
        wc_buf_byte(out, '\n');
        for (size_t i = 0; i < json_array_size(value); i++) {
            const json_t *item = json_array_get(value, i);
            wc_buf_text(out, "  ");
            from = out->len;
            write_item(out, field, item, "");
            write_tag(out, from, mark_of(marks, key, item));
            wc_buf_byte(out, '\n');
        }
        return;
    }
    wc_buf_byte(out, ' ');
    if (field == WC_FIELD_WILLING)
        wc_buf_text(out, json_is_false(value) ? "no" : "yes");
    for (size_t i = 0; i < json_array_size(value); i++) {
        wc_buf_text(out, i == 0 ? "" : field == WC_FIELD_LANGUAGES ? ", " : " ");
        write_item(out, field, json_array_get(value, i), ";|,");
    }
    write_line(out, text);
    write_tag(out, from, mark_of(marks, key, NULL));
    wc_buf_byte(out, '\n');
}

static void write_directory(struct wc_buf *out, enum wc_field field,
                            const json_t *value)
{
    struct wc_buf text = {0};
    wc_field_write(&text, field, value, ';');
    if (text.len > 0) {
        wc_buf_text(out, "#   the directory says: ");
        write_line(out, wc_buf_slice(&text));
        wc_buf_byte(out, '\n');
    }
    wc_buf_fini(&text);
}

void wc_form_write(struct wc_buf *out, const char *handle, const json_t *profile,
                   const json_t *row, const json_t *marks)
{
    wc_buf_text(out, "# The profile of ");
    write_line(out, wc_slice_text(handle));
    wc_buf_text(out,
                ", for everybody in the organisation to find.\n"
                "# Save and close to store it; close without saving to change "
                "nothing.\n"
                "# What you leave empty is not shown. Lines that start with # are "
                "skipped.\n"
                "# Behind a field, a skill or an interest you may say who is to see "
                "it: [office] for\n"
                "# your office, [match] for nobody (only a question may meet it), "
                "[me] for you alone.\n\n");
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        const char *key = wc_field_name(layout[i].field);
        const json_t *value = json_object_get(profile, key);
        if (layout[i].comment != NULL) {
            wc_buf_byte(out, '\n');
            wc_buf_text(out, layout[i].comment);
        }
        if (value == NULL)
            write_directory(out, layout[i].field, json_object_get(row, key));
        wc_buf_text(out, layout[i].label);
        wc_buf_byte(out, ':');
        write_value(out, layout[i].field, value, marks);
    }
}

/* ---- reading ---- */

struct reader {
    json_t *out;
    bool has_field;
    enum wc_field field;
    uint32_t seen; /* a bit for each field */
    unsigned line;
    unsigned *bad_line;
    char *why;
    size_t why_cap;
};

__attribute__((format(printf, 2, 3))) static int bad(struct reader *r,
                                                     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, r->why_cap, format, args);
    va_end(args);
    *r->bad_line = r->line;
    return -WC_EINVALID;
}

static bool is_blank_line(struct wc_slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    }
    return true;
}

static struct wc_slice trim(struct wc_slice text)
{
    while (text.len > 0 && strchr(" \t\r", text.data[0]) != NULL &&
           text.data[0] != '\0')
        text = wc_slice(text.data + 1, text.len - 1);
    while (text.len > 0 && is_blank_line(wc_slice(text.data + text.len - 1, 1)))
        text.len--;
    return text;
}

/* Cut the next line off *rest, without its end. */
static struct wc_slice cut_line(struct wc_slice *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->data);
    struct wc_slice line = wc_slice(rest->data, len);
    size_t next = end == NULL ? len : len + 1;
    *rest = wc_slice(rest->data + next, rest->len - next);
    return line;
}

static json_t *empty_value(enum wc_field field)
{
    if (is_list(field))
        return json_array();
    return field == WC_FIELD_WILLING ? json_true() : json_string("");
}

static json_t *new_audience(int audience)
{
    return json_string(wc_audience_name((enum wc_audience)audience));
}

/* Cut the tag off a line, and note what it says; without one it is the organisation's. */
static int take_tag(struct reader *r, struct wc_slice *line)
{
    const char *key = wc_field_name(r->field);
    json_t *marks = json_object_get(r->out, "audience");
    size_t before;
    int audience = tag_of(*line, &before);
    line->len = before;
    if (audience <= WC_AUDIENCE_ORGANISATION)
        return 0;
    return json_object_set_new(marks, key, new_audience(audience)) != 0 ? -WC_ENOMEM
                                                                        : 0;
}

/* The same of one name of a list. */
static int note_item(struct reader *r, const json_t *item, int audience)
{
    const char *key = wc_field_name(r->field);
    json_t *marks = json_object_get(r->out, "audience");
    const json_t *name = json_is_object(item) ? json_object_get(item, "name") : item;
    if (audience <= WC_AUDIENCE_ORGANISATION)
        return 0;
    if (json_object_get(marks, key) == NULL &&
        json_object_set_new(marks, key, json_object()) != 0)
        return -WC_ENOMEM;
    return json_object_set_new(json_object_get(marks, key), json_string_value(name),
                               new_audience(audience)) != 0
               ? -WC_ENOMEM
               : 0;
}

static int add_item(struct reader *r, struct wc_slice line)
{
    size_t before;
    int audience = tag_of(line, &before);
    line.len = before;
    json_t *item = NULL;
    char why[160] = "";
    int rc = 0;
    if (!wc_utf8_valid(line))
        return bad(r, "is not UTF-8 text");
    if (r->field == WC_FIELD_SKILLS)
        rc = wc_skill_read(line, &item, why, sizeof(why));
    else
        item = wc_item_read(line);
    if (rc == -WC_EINVALID)
        return bad(r, "%s", why);
    json_t *list = json_object_get(r->out, wc_field_name(r->field));
    if (item == NULL || json_array_append_new(list, item) != 0)
        return -WC_ENOMEM;
    return note_item(r, item, audience);
}

/* Another line of a text, after those that are there. */
static int add_text(struct reader *r, struct wc_slice line)
{
    const char *key = wc_field_name(r->field);
    struct wc_slice before = wc_json_str(r->out, key);
    struct wc_buf text = {0};
    if (!wc_utf8_valid(line))
        return bad(r, "is not UTF-8 text");
    wc_buf_append(&text, before.data, before.len);
    wc_buf_text(&text, before.len > 0 ? "\n" : "");
    wc_buf_append(&text, line.data, line.len);
    json_t *value = text.failed ? NULL : wc_json_new_str(wc_buf_slice(&text));
    wc_buf_fini(&text);
    return json_object_set_new(r->out, key, value) != 0 ? -WC_ENOMEM : 0;
}

static int set_inline(struct reader *r, struct wc_slice text)
{
    json_t *value = NULL;
    char why[160] = "";
    const char *key = wc_field_name(r->field);
    int rc = wc_field_parse(r->field, text, ",", &value, why, sizeof(why));
    if (rc == -WC_EINVALID)
        return bad(r, "%s", why);
    if (rc == 0 && json_object_set_new(r->out, key, value) != 0)
        rc = -WC_ENOMEM;
    return rc;
}

static int unknown_field(struct reader *r, struct wc_slice name)
{
    struct wc_buf safe = {0};
    const char *near = wc_field_nearest(name);
    wc_term_safe(&safe, wc_slice(name.data, name.len < 40 ? name.len : 40));
    int rc = near != NULL ? bad(r, "no field \"%.*s\"; did you mean \"%s\"?",
                                (int)safe.len, (const char *)safe.data, near)
                          : bad(r, "no field \"%.*s\" (items of a list are indented)",
                                (int)safe.len, (const char *)safe.data);
    wc_buf_fini(&safe);
    return rc;
}

static int field_line(struct reader *r, struct wc_slice line)
{
    const uint8_t *colon = memchr(line.data, ':', line.len);
    if (colon == NULL)
        return bad(r, "neither a field (\"name: ...\") nor indented below one");
    struct wc_slice name = trim(wc_slice(line.data, (size_t)(colon - line.data)));
    struct wc_slice text =
        trim(wc_slice(colon + 1, line.len - (size_t)(colon + 1 - line.data)));
    if (wc_field_find(name, &r->field) != 0)
        return unknown_field(r, name);
    if (r->field == WC_FIELD_HANDLE)
        return bad(r, "the handle is your login and cannot be changed here");
    if ((r->seen & 1u << r->field) != 0)
        return bad(r, "the field \"%s\" stands here a second time",
                   wc_field_name(r->field));
    r->seen |= 1u << r->field;
    r->has_field = true;
    int rc = take_tag(r, &text);
    return rc == 0 && text.len > 0 ? set_inline(r, text) : rc;
}

static int read_line(struct reader *r, struct wc_slice line)
{
    if (is_blank_line(line) || line.data[0] == '#')
        return 0;
    if (line.data[0] != ' ' && line.data[0] != '\t')
        return field_line(r, line);
    if (!r->has_field)
        return bad(r, "an indented line before the first field");
    if (!is_multiline(r->field))
        return bad(r, "the field \"%s\" has one line only", wc_field_name(r->field));
    return r->field == WC_FIELD_ASK_ME_ABOUT ? add_text(r, trim(line))
                                             : add_item(r, trim(line));
}

int wc_form_parse(struct wc_slice text, json_t **out, unsigned *line, char *why,
                  size_t why_cap)
{
    struct reader r = {
        .out = json_object(), .bad_line = line, .why = why, .why_cap = why_cap};
    int rc =
        json_object_set_new(r.out, "audience", json_object()) != 0 ? -WC_ENOMEM : 0;
    for (size_t i = 0; rc == 0 && i < LAYOUT_COUNT; i++) {
        if (json_object_set_new(r.out, wc_field_name(layout[i].field),
                                empty_value(layout[i].field)) != 0)
            rc = -WC_ENOMEM;
    }
    while (rc == 0 && text.len > 0) {
        r.line++;
        rc = read_line(&r, cut_line(&text));
    }
    if (rc != 0) {
        json_decref(r.out);
        return rc;
    }
    if (json_object_size(json_object_get(r.out, "audience")) == 0)
        json_object_del(r.out, "audience");
    *out = r.out;
    return 0;
}

bool wc_form_is_empty(struct wc_slice text)
{
    while (text.len > 0) {
        struct wc_slice line = cut_line(&text);
        if (!is_blank_line(line) && line.data[0] != '#')
            return false;
    }
    return true;
}

/* What the form says of a field now, in the words of an edit. */
static json_t *audience_now(const json_t *after, const char *key, enum wc_field field)
{
    const json_t *marks = json_object_get(after, "audience");
    const char *none = wc_audience_name(WC_AUDIENCE_ORGANISATION);
    size_t i;
    json_t *item;
    if (field != WC_FIELD_SKILLS && field != WC_FIELD_INTERESTS) {
        const char *mark = mark_of(marks, key, NULL);
        return json_string(mark != NULL ? mark : none);
    }
    json_t *names = json_object();
    json_array_foreach(json_object_get(after, key), i, item)
    {
        const json_t *name =
            json_is_object(item) ? json_object_get(item, "name") : item;
        const char *mark = mark_of(marks, key, item);
        json_object_set_new(names, json_string_value(name),
                            json_string(mark != NULL ? mark : none));
    }
    return names;
}

/* The audiences that an edit has to name: of what changed, and of what moved. */
static json_t *diff_audiences(const json_t *before, const json_t *after)
{
    const json_t *then = json_object_get(before, "audience");
    const json_t *now = json_object_get(after, "audience");
    json_t *audiences = json_object();
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        enum wc_field field = layout[i].field;
        const char *key = wc_field_name(field);
        const json_t *was = json_object_get(then, key), *is = json_object_get(now, key);
        bool list = field == WC_FIELD_SKILLS || field == WC_FIELD_INTERESTS;
        bool changed =
            !json_equal(json_object_get(before, key), json_object_get(after, key));
        bool marked = was != NULL || is != NULL;
        if (marked && (!json_equal(was, is) || (list && changed)))
            json_object_set_new(audiences, key, audience_now(after, key, field));
    }
    return audiences;
}

json_t *wc_form_diff(const json_t *before, const json_t *after)
{
    json_t *edit = json_object();
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        const char *key = wc_field_name(layout[i].field);
        json_t *value = json_object_get(after, key);
        if (json_equal(json_object_get(before, key), value))
            continue;
        if (json_object_set(edit, key, value) != 0) {
            json_decref(edit);
            return NULL;
        }
    }
    json_t *audiences = diff_audiences(before, after);
    if (json_object_size(audiences) > 0)
        json_object_set(edit, "audience", audiences);
    json_decref(audiences);
    return edit;
}
