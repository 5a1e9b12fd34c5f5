/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/term.h"

#define CSV_LIST ";|"

static const char *const levels[] = {"awareness", "working", "practitioner", "expert"};
#define LEVEL_COUNT (sizeof(levels) / sizeof(levels[0]))
static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static const char *const names[WC_FIELD_COUNT] = {
    [WC_FIELD_HANDLE] = "handle",
    [WC_FIELD_NAME] = "name",
    [WC_FIELD_TITLE] = "title",
    [WC_FIELD_TEAM] = "team",
    [WC_FIELD_SKILLS] = "skills",
    [WC_FIELD_INTERESTS] = "interests",
    [WC_FIELD_ASK_ME_ABOUT] = "ask_me_about",
    [WC_FIELD_LANGUAGES] = "languages",
    [WC_FIELD_WORKING_DAYS] = "working_days",
    [WC_FIELD_EMAIL] = "email",
    [WC_FIELD_PHONE] = "phone",
    [WC_FIELD_WILLING] = "willing",
};

/* What directories and spreadsheets call the same things. */
static const struct {
    const char *name;
    enum wc_field field;
} aliases[] = {
    {"login", WC_FIELD_HANDLE},
    {"uid", WC_FIELD_HANDLE},
    {"user", WC_FIELD_HANDLE},
    {"username", WC_FIELD_HANDLE},
    {"user_name", WC_FIELD_HANDLE},
    {"account", WC_FIELD_HANDLE},
    {"samaccountname", WC_FIELD_HANDLE},
    {"full_name", WC_FIELD_NAME},
    {"display_name", WC_FIELD_NAME},
    {"displayname", WC_FIELD_NAME},
    {"cn", WC_FIELD_NAME},
    {"job_title", WC_FIELD_TITLE},
    {"jobtitle", WC_FIELD_TITLE},
    {"role", WC_FIELD_TITLE},
    {"position", WC_FIELD_TITLE},
    {"department", WC_FIELD_TEAM},
    {"unit", WC_FIELD_TEAM},
    {"ou", WC_FIELD_TEAM},
    {"section", WC_FIELD_TEAM},
    {"skill", WC_FIELD_SKILLS},
    {"interest", WC_FIELD_INTERESTS},
    {"ask", WC_FIELD_ASK_ME_ABOUT},
    {"ask_about", WC_FIELD_ASK_ME_ABOUT},
    {"about", WC_FIELD_ASK_ME_ABOUT},
    {"language", WC_FIELD_LANGUAGES},
    {"days", WC_FIELD_WORKING_DAYS},
    {"mail", WC_FIELD_EMAIL},
    {"e_mail", WC_FIELD_EMAIL},
    {"email_address", WC_FIELD_EMAIL},
    {"telephone", WC_FIELD_PHONE},
    {"telephonenumber", WC_FIELD_PHONE},
    {"tel", WC_FIELD_PHONE},
    {"mobile", WC_FIELD_PHONE},
};

__attribute__((format(printf, 3, 4))) static int invalid(char *why, size_t why_cap,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, why_cap, format, args);
    va_end(args);
    return -WC_EINVALID;
}

/* A text for a message: safe, and not too long for one line. */
struct quoted {
    char text[64];
};

static struct quoted quote(struct wc_slice text)
{
    struct quoted q = {""};
    struct wc_buf safe = {0};
    struct wc_buf cut = {0};
    wc_term_safe(&safe, wc_slice(text.data, text.len < 256 ? text.len : 256));
    wc_term_cut(&cut, wc_buf_slice(&safe), 40);
    wc_slice_copy(wc_buf_slice(&cut), q.text, sizeof(q.text));
    wc_buf_fini(&safe);
    wc_buf_fini(&cut);
    return q;
}

/* ---- names of fields ---- */

const char *wc_field_name(enum wc_field field)
{
    return names[field];
}

/* Lower case, and underscores; "" when it is longer than any name. */
static void normalise(struct wc_slice name, char out[40])
{
    out[0] = '\0';
    if (!wc_slice_copy(name, out, 40))
        return;
    for (char *c = out; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        else if (*c == ' ' || *c == '-')
            *c = '_';
    }
}

int wc_field_find(struct wc_slice name, enum wc_field *out)
{
    char wanted[40];
    normalise(name, wanted);
    for (size_t i = 0; i < WC_FIELD_COUNT; i++) {
        if (strcmp(wanted, names[i]) == 0) {
            *out = (enum wc_field)i;
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(wanted, aliases[i].name) == 0) {
            *out = aliases[i].field;
            return 0;
        }
    }
    return -WC_ENOTFOUND;
}

const char *wc_field_nearest(struct wc_slice name)
{
    char wanted[40];
    const char *best = NULL;
    size_t best_distance = 3;
    normalise(name, wanted);
    for (size_t i = 0; i < WC_FIELD_COUNT; i++) {
        size_t distance = wc_term_distance(wanted, names[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = names[i];
        }
    }
    return best;
}

void wc_field_list(struct wc_buf *out)
{
    for (size_t i = 0; i < WC_FIELD_COUNT; i++) {
        wc_buf_text(out, i > 0 ? ", " : "");
        wc_buf_text(out, names[i]);
    }
}

/* ---- separators and backslashes ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool in_set(uint8_t c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* Whether the backslash at i takes the meaning of the next character away. */
static bool escapes(struct wc_slice text, size_t i)
{
    return text.data[i] == '\\' && i + 1 < text.len &&
           in_set(text.data[i + 1], "\\:;|, ");
}

/* Cut the text before the next separator off *rest (which then starts behind it). */
static struct wc_slice next_item(struct wc_slice *rest, const char *separators)
{
    size_t end = 0;
    if (rest->len == 0)
        return *rest;
    while (end < rest->len && !in_set(rest->data[end], separators))
        end += escapes(*rest, end) ? 2 : 1;
    struct wc_slice item = wc_slice(rest->data, end);
    size_t next = end < rest->len ? end + 1 : end;
    *rest = wc_slice(rest->data + next, rest->len - next);
    return item;
}

static struct wc_slice trim(struct wc_slice text)
{
    while (text.len > 0 && is_blank(text.data[0]))
        text = wc_slice(text.data + 1, text.len - 1);
    while (text.len > 0 && is_blank(text.data[text.len - 1]) &&
           !(text.len > 1 && text.data[text.len - 2] == '\\'))
        text.len--;
    return text;
}

json_t *wc_item_read(struct wc_slice text)
{
    struct wc_buf plain = {0};
    struct wc_slice item = trim(text);
    for (size_t i = 0; i < item.len; i++) {
        i += escapes(item, i);
        wc_buf_byte(&plain, item.data[i]);
    }
    json_t *value = plain.failed ? NULL : wc_json_new_str(wc_buf_slice(&plain));
    wc_buf_fini(&plain);
    return value;
}

void wc_item_write(struct wc_buf *out, struct wc_slice text, const char *separators)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool edge = i == 0 || i + 1 == text.len;
        if (c == '\\' || in_set(c, separators) || (edge && c == ' '))
            wc_buf_byte(out, '\\');
        wc_buf_byte(out, c);
    }
}

/* ---- skills ---- */

static const char *find_word(struct wc_slice text, const char *const *words,
                             size_t count)
{
    char word[40];
    normalise(trim(text), word);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0)
            return words[i];
    }
    return NULL;
}

const char *wc_level_find(struct wc_slice text)
{
    return find_word(text, levels, LEVEL_COUNT);
}

void wc_level_list(struct wc_buf *out)
{
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        wc_buf_text(out, i > 0 ? ", " : "");
        wc_buf_text(out, levels[i]);
    }
}

struct skill_words {
    const char *level;
    bool mentor;
    bool learn;
};

/* Whether each word after a name is one that says something about a skill. */
static bool skill_words(struct wc_slice rest, struct skill_words *out)
{
    *out = (struct skill_words){0};
    while (rest.len > 0) {
        struct wc_slice word = next_item(&rest, ":,");
        const char *level = wc_level_find(word);
        if (level != NULL)
            out->level = level;
        else if (find_word(word, (const char *const[]){"mentor", "can_mentor"}, 2))
            out->mentor = true;
        else if (find_word(word, (const char *const[]){"learn", "wants_to_learn"}, 2))
            out->learn = true;
        else
            return false;
    }
    return out->level != NULL || out->mentor || out->learn;
}

static json_t *skill_new(struct wc_slice name, const struct skill_words *words)
{
    json_t *text = wc_item_read(name);
    if (words->level == NULL && !words->mentor && !words->learn)
        return text;
    json_t *skill = json_object();
    int rc = json_object_set_new(skill, "name", text);
    if (words->level != NULL)
        rc |= json_object_set_new(skill, "level", json_string(words->level));
    if (words->mentor)
        rc |= json_object_set_new(skill, "mentor", json_true());
    if (words->learn)
        rc |= json_object_set_new(skill, "learn", json_true());
    if (rc != 0) {
        json_decref(skill);
        return NULL;
    }
    return skill;
}

/* One word of letters behind a colon was meant as a level ("ISO 9001:2015" was not). */
static bool is_one_word(struct wc_slice text)
{
    struct wc_slice word = trim(next_item(&text, ","));
    for (size_t i = 0; i < word.len; i++) {
        uint8_t c = word.data[i] | 0x20;
        if (c < 'a' || c > 'z')
            return false;
    }
    return word.len > 0;
}

/* Part the name from the words: behind the first colon after which all are known. */
static struct wc_slice skill_name(struct wc_slice text, struct skill_words *words)
{
    struct wc_slice rest = text;
    while (rest.len > 0) {
        struct wc_slice part = next_item(&rest, ":");
        size_t end = (size_t)(part.data - text.data) + part.len;
        if (end < text.len && skill_words(rest, words))
            return wc_slice(text.data, end);
    }
    *words = (struct skill_words){0};
    return text;
}

/* What stands behind the last colon of a name; empty when it has none. */
static struct wc_slice behind_colon(struct wc_slice name)
{
    struct wc_slice rest = name;
    struct wc_slice part = next_item(&rest, ":");
    if (part.len == name.len)
        return wc_slice(NULL, 0);
    while (rest.len > 0)
        part = next_item(&rest, ":");
    return part;
}

int wc_skill_read(struct wc_slice text, json_t **out, char *why, size_t why_cap)
{
    struct skill_words words = {0};
    struct wc_slice name = skill_name(text, &words);
    struct wc_slice behind = behind_colon(name);
    if (is_one_word(behind))
        return invalid(why, why_cap,
                       "\"%s\" is not a level (awareness, working, practitioner, "
                       "expert; or mentor, learn); for a colon in a name write \\:",
                       quote(trim(behind)).text);
    if (trim(name).len == 0)
        return invalid(why, why_cap, "a skill has no name");
    *out = skill_new(name, &words);
    return *out == NULL ? -WC_ENOMEM : 0;
}

void wc_skill_write(struct wc_buf *out, const json_t *skill, char separator,
                    bool pretty)
{
    const char special[] = {':', separator, separator == ';' ? '|' : '\0', '\0'};
    if (json_is_string(skill)) {
        wc_item_write(out,
                      wc_slice(json_string_value(skill), json_string_length(skill)),
                      special);
        return;
    }
    struct wc_slice level = wc_json_str(skill, "level");
    const char *between = pretty ? ": " : ":";
    wc_item_write(out, wc_json_str(skill, "name"), special);
    if (level.len > 0) {
        wc_buf_text(out, between);
        wc_buf_append(out, level.data, level.len);
        between = pretty ? ", " : ":";
    }
    if (wc_json_bool(skill, "mentor", false)) {
        wc_buf_text(out, between);
        wc_buf_text(out, "mentor");
        between = pretty ? ", " : ":";
    }
    if (wc_json_bool(skill, "learn", false)) {
        wc_buf_text(out, between);
        wc_buf_text(out, "learn");
    }
}

/* ---- values ---- */

static bool is_list(enum wc_field field)
{
    return field == WC_FIELD_SKILLS || field == WC_FIELD_INTERESTS ||
           field == WC_FIELD_LANGUAGES || field == WC_FIELD_WORKING_DAYS;
}

static int read_day(struct wc_slice item, json_t **out, char *why, size_t why_cap)
{
    struct wc_slice day = trim(item);
    const char *found =
        find_word(wc_slice(day.data, day.len < 3 ? day.len : 3), days, 7);
    if (found == NULL)
        return invalid(why, why_cap,
                       "\"%s\" is not a day (mon, tue, wed, thu, fri, sat, sun)",
                       quote(day).text);
    *out = json_string(found);
    return *out == NULL ? -WC_ENOMEM : 0;
}

static int read_item(enum wc_field field, struct wc_slice item, json_t **out, char *why,
                     size_t why_cap)
{
    if (field == WC_FIELD_SKILLS)
        return wc_skill_read(item, out, why, why_cap);
    if (field == WC_FIELD_WORKING_DAYS)
        return read_day(item, out, why, why_cap);
    *out = wc_item_read(item);
    return *out == NULL ? -WC_ENOMEM : 0;
}

static int read_list(enum wc_field field, struct wc_slice text, const char *separators,
                     json_t **out, char *why, size_t why_cap)
{
    int rc = 0;
    json_t *list = json_array();
    struct wc_slice rest = text;
    while (rc == 0 && rest.len > 0) {
        json_t *value = NULL;
        struct wc_slice item = trim(next_item(&rest, separators));
        if (item.len == 0)
            continue;
        rc = read_item(field, item, &value, why, why_cap);
        if (rc == 0 && json_array_append_new(list, value) != 0)
            rc = -WC_ENOMEM;
    }
    if (rc != 0) {
        json_decref(list);
        return rc;
    }
    *out = list;
    return 0;
}

static int read_flag(struct wc_slice text, json_t **out, char *why, size_t why_cap)
{
    static const char *const yes[] = {"yes", "true", "1", "y"};
    static const char *const no[] = {"no", "false", "0", "n"};
    bool is_yes = find_word(text, yes, 4) != NULL;
    if (!is_yes && find_word(text, no, 4) == NULL)
        return invalid(why, why_cap, "\"%s\" is neither yes nor no", quote(text).text);
    *out = json_boolean(is_yes);
    return 0;
}

/* Names of languages and days have no commas and blanks in them: those part them too. */
static const char *list_separators(enum wc_field field, const char *given)
{
    if (field == WC_FIELD_LANGUAGES)
        return ";|,";
    return field == WC_FIELD_WORKING_DAYS ? ";|, " : given;
}

int wc_field_parse(enum wc_field field, struct wc_slice text, const char *separators,
                   json_t **out, char *why, size_t why_cap)
{
    if (!wc_utf8_valid(text))
        return invalid(why, why_cap, "is not UTF-8 text");
    if (is_list(field))
        return read_list(field, text, list_separators(field, separators), out, why,
                         why_cap);
    if (field == WC_FIELD_WILLING && text.len > 0)
        return read_flag(text, out, why, why_cap);
    *out = wc_json_new_str(text);
    return *out == NULL ? -WC_ENOMEM : 0;
}

static void write_list(struct wc_buf *out, enum wc_field field, const json_t *list,
                       char separator)
{
    const char own[] = {separator, separator == ';' ? '|' : '\0', '\0'};
    const char *special = list_separators(field, own);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (i > 0)
            wc_buf_byte(out, (uint8_t)separator);
        if (field == WC_FIELD_SKILLS)
            wc_skill_write(out, item, separator, false);
        else
            wc_item_write(out,
                          wc_slice(json_string_value(item), json_string_length(item)),
                          special);
    }
}

void wc_field_write(struct wc_buf *out, enum wc_field field, const json_t *value,
                    char separator)
{
    if (is_list(field))
        write_list(out, field, value, separator);
    else if (json_is_boolean(value))
        wc_buf_text(out, json_is_true(value) ? "yes" : "no");
    else if (json_is_string(value))
        wc_buf_append(out, json_string_value(value), json_string_length(value));
}

/* ---- CSV ---- */

static int unknown_column(struct wc_slice name, char *why, size_t why_cap)
{
    struct wc_buf known = {0};
    wc_field_list(&known);
    int rc = invalid(why, why_cap, "column \"%s\" is not known (known are: %.*s)",
                     quote(name).text, (int)known.len, (const char *)known.data);
    wc_buf_fini(&known);
    return rc;
}

int wc_columns_read(const struct wc_csv_record *header, struct wc_columns *out,
                    char *why, size_t why_cap)
{
    bool seen[WC_FIELD_COUNT] = {false};
    out->count = header->count;
    for (size_t i = 0; i < header->count; i++) {
        enum wc_field field;
        if (wc_field_find(trim(header->fields[i]), &field) != 0)
            return unknown_column(header->fields[i], why, why_cap);
        if (seen[field])
            return invalid(why, why_cap, "two columns hold the %s", names[field]);
        seen[field] = true;
        out->fields[i] = field;
    }
    if (!seen[WC_FIELD_HANDLE])
        return invalid(why, why_cap, "no column holds the handle (or login)");
    return 0;
}

int wc_row_from_csv(const struct wc_columns *columns,
                    const struct wc_csv_record *record, json_t **out, char *why,
                    size_t why_cap)
{
    int rc = 0;
    json_t *row = json_object();
    for (size_t i = 0; rc == 0 && i < columns->count; i++) {
        json_t *value = NULL;
        char reason[160] = "";
        const char *name = names[columns->fields[i]];
        if (record->fields[i].len == 0)
            continue;
        rc = wc_field_parse(columns->fields[i], record->fields[i], CSV_LIST, &value,
                            reason, sizeof(reason));
        if (rc == -WC_EINVALID)
            invalid(why, why_cap, "%s: %s", name, reason);
        if (json_is_array(value) && json_array_size(value) == 0)
            json_decref(value); /* separators alone: as good as an empty cell */
        else if (rc == 0 && json_object_set_new(row, name, value) != 0)
            rc = -WC_ENOMEM;
    }
    if (rc != 0) {
        json_decref(row);
        return rc;
    }
    *out = row;
    return 0;
}

void wc_row_csv_header(struct wc_buf *out)
{
    for (size_t i = 0; i < WC_FIELD_COUNT; i++) {
        wc_buf_text(out, i > 0 ? "," : "");
        wc_buf_text(out, names[i]);
    }
    wc_buf_text(out, "\r\n");
}

void wc_row_to_csv(struct wc_buf *out, const json_t *row)
{
    struct wc_buf cell = {0};
    for (size_t i = 0; i < WC_FIELD_COUNT; i++) {
        wc_buf_reset(&cell);
        wc_field_write(&cell, (enum wc_field)i, json_object_get(row, names[i]), ';');
        wc_buf_text(out, i > 0 ? "," : "");
        wc_csv_write(out, wc_buf_slice(&cell));
    }
    wc_buf_text(out, "\r\n");
    out->failed |= cell.failed;
    wc_buf_fini(&cell);
}
