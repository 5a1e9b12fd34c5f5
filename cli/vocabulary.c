/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vocabulary.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <whocan/concepts.h>
#include <whocan/limits.h>

#include "cli/csv.h"
#include "cli/json.h"

/* ---------------------------------------------------------------- writing */

static void write_text(struct wc_buf *out, const json_t *object, const char *key)
{
    struct wc_slice text = wc_json_str(object, key);
    if (text.len > 0)
        wc_vocabulary_write_text(out, key, text);
}

static void write_list(struct wc_buf *out, const char *key, char separator,
                       const json_t *list)
{
    size_t count = json_array_size(list);
    struct wc_slice *items = calloc(count + 1, sizeof(*items));
    if (items == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        items[i] = wc_slice(json_string_value(item), json_string_length(item));
    }
    if (count > 0)
        wc_vocabulary_write_list(out, key, separator, items, (uint32_t)count);
    free(items);
}

static void write_concept(struct wc_buf *out, const json_t *concept)
{
    static const char *const levels[] = {"awareness", "working", "practitioner",
                                         "expert"};
    const char *language;
    json_t *labels;
    struct wc_slice id = wc_json_str(concept, "id");
    wc_buf_text(out, "\n[");
    wc_buf_append(out, id.data, id.len);
    wc_buf_text(out, "]\n");
    json_object_foreach(json_object_get(concept, "labels"), language, labels)
    {
        write_list(out, language, '|', labels);
    }
    write_list(out, "broader", ',', json_object_get(concept, "broader"));
    write_list(out, "related", ',', json_object_get(concept, "related"));
    write_text(out, concept, "about");
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        write_text(out, json_object_get(concept, "levels"), levels[i]);
}

void wc_vocabulary_write_ini(struct wc_buf *out, const json_t *vocabulary)
{
    size_t i;
    json_t *concept;
    wc_buf_text(out, "[vocabulary]\nformat = 1\n");
    write_text(out, vocabulary, "id");
    write_text(out, vocabulary, "title");
    write_text(out, vocabulary, "licence");
    write_text(out, vocabulary, "source");
    json_array_foreach(json_object_get(vocabulary, "concepts"), i, concept)
    {
        write_concept(out, concept);
    }
}

/* ---------------------------------------------------------------- concepts in the making */

int wc_maker_init(struct wc_maker *m)
{
    *m = (struct wc_maker){.concepts = json_object()};
    return m->concepts == NULL ? -WC_ENOMEM : 0;
}

void wc_maker_fini(struct wc_maker *m)
{
    json_decref(m->concepts);
    m->concepts = NULL;
}

/* An error of a row. */
struct row_error {
    uint64_t line;
    char *why;
    size_t why_cap;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct row_error *e,
                                                        const char *format, ...)
{
    va_list args;
    int n = snprintf(e->why, e->why_cap, "line %llu: ", (unsigned long long)e->line);
    va_start(args, format);
    if (n >= 0 && (size_t)n < e->why_cap)
        vsnprintf(e->why + n, e->why_cap - (size_t)n, format, args);
    va_end(args);
    return -WC_EINVALID;
}

static int out_of_memory(const struct row_error *e)
{
    snprintf(e->why, e->why_cap, "out of memory");
    return -WC_ENOMEM;
}

/* The concept of an id, made if need be; NULL when there is no room or no memory. */
static json_t *concept_of(struct wc_maker *m, const char *id)
{
    json_t *c = json_object_get(m->concepts, id);
    if (c != NULL || json_object_size(m->concepts) == WC_CONCEPTS_MAX_COUNT)
        return c;
    c = json_pack("{s:s, s:{}, s:[], s:[]}", "id", id, "labels", "broader", "related");
    if (c == NULL || json_object_set_new(m->concepts, id, c) != 0)
        return NULL;
    return c;
}

static int no_concept(const struct wc_maker *m, const struct row_error *e)
{
    if (json_object_size(m->concepts) < WC_CONCEPTS_MAX_COUNT)
        return out_of_memory(e);
    refuse(e, "more than %d concepts", WC_CONCEPTS_MAX_COUNT);
    return -WC_ETOOBIG;
}

static bool has_text(const json_t *list, struct wc_slice text)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (wc_slice_eq(wc_slice(json_string_value(item), json_string_length(item)),
                        text))
            return true;
    }
    return false;
}

static struct wc_slice trim(struct wc_slice s)
{
    while (s.len > 0 && s.data[0] <= ' ') {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && s.data[s.len - 1] <= ' ')
        s.len--;
    return s;
}

#define ELLIPSIS "\xe2\x80\xa6"

/* Append a text as one line: points of a list are parted by semicolons, white space is
 * one blank; cut at a blank, with an ellipsis, when it has more than max_bytes. */
static bool tidy(struct wc_buf *out, struct wc_slice text, size_t max_bytes)
{
    bool gap = false, point = false;
    text = trim(text);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t x = text.data[i];
        if (x == '-' && i > 0 && text.data[i - 1] == '\n' && i + 1 < text.len &&
            text.data[i + 1] == ' ') {
            point = true;
        } else if (x <= ' ') {
            gap = true;
        } else {
            uint8_t last = out->len > 0 ? out->data[out->len - 1] : ':';
            if (point && last != ':' && last != ';' && last != '.')
                wc_buf_byte(out, ';');
            if (gap && out->len > 0)
                wc_buf_byte(out, ' ');
            wc_buf_byte(out, x);
            gap = point = false;
        }
    }
    if (out->len <= max_bytes)
        return false;
    size_t len = max_bytes - strlen(ELLIPSIS);
    while (len > 0 && out->data[len] != ' ')
        len--;
    if (len == 0) /* one word, cut between characters */
        for (len = max_bytes - strlen(ELLIPSIS);
             len > 0 && (out->data[len] & 0xC0) == 0x80;)
            len--;
    out->len = len;
    wc_buf_text(out, ELLIPSIS);
    return true;
}

static json_t *labels_of(json_t *concept, const char *language)
{
    json_t *all = json_object_get(concept, "labels");
    json_t *labels = json_object_get(all, language);
    if (labels == NULL) {
        labels = json_array();
        if (json_object_set_new(all, language, labels) != 0)
            return NULL;
    }
    return labels;
}

static size_t labels_count(const json_t *concept)
{
    size_t count = 0;
    const char *language;
    json_t *labels;
    json_object_foreach(json_object_get(concept, "labels"), language, labels)
    {
        count += json_array_size(labels);
    }
    return count;
}

/* Add a label. Too long: a preferred one is cut, another is left out. */
static int add_label(struct wc_maker *m, json_t *concept, const char *language,
                     struct wc_slice text, bool preferred, const struct row_error *e)
{
    struct wc_buf line = {0};
    json_t *labels = labels_of(concept, language);
    bool cut = tidy(&line, text, WC_SKILL_NAME_MAX_BYTES);
    int rc = labels == NULL || line.failed ? out_of_memory(e) : 0;
    struct wc_slice clean = wc_buf_slice(&line);
    if (rc != 0 || clean.len == 0 || has_text(labels, clean)) {
        wc_buf_fini(&line);
        return rc;
    }
    bool full = labels_count(concept) >= WC_CONCEPT_LABELS_MAX;
    m->labels_left_out += full || cut;
    if (!full && (!cut || preferred)) {
        json_t *value = wc_json_new_str(clean);
        if (value == NULL)
            rc = refuse(e, "a label is not UTF-8");
        else if ((preferred ? json_array_insert_new(labels, 0, value)
                            : json_array_append_new(labels, value)) != 0)
            rc = out_of_memory(e);
    }
    wc_buf_fini(&line);
    return rc;
}

/* Labels parted by " | ", or by line ends. */
static int add_labels(struct wc_maker *m, json_t *concept, const char *language,
                      struct wc_slice list, const struct row_error *e)
{
    int rc = 0;
    size_t from = 0;
    for (size_t i = 0; rc == 0 && i <= list.len; i++) {
        if (i < list.len && list.data[i] != '|' && list.data[i] != '\n')
            continue;
        rc = add_label(m, concept, language, wc_slice(list.data + from, i - from),
                       false, e);
        from = i + 1;
    }
    return rc;
}

static int set_text(struct wc_maker *m, json_t *object, const char *key,
                    struct wc_slice text, const struct row_error *e)
{
    struct wc_buf line = {0};
    int rc = 0;
    if (json_object_get(object, key) != NULL)
        return 0;
    m->texts_cut += tidy(&line, text, WC_ABOUT_MAX_BYTES);
    if (line.failed)
        rc = out_of_memory(e);
    if (rc == 0 && line.len > 0) {
        json_t *value = wc_json_new_str(wc_buf_slice(&line));
        if (value == NULL)
            rc = refuse(e, "%s is not UTF-8", key);
        else if (json_object_set_new(object, key, value) != 0)
            rc = out_of_memory(e);
    }
    wc_buf_fini(&line);
    return rc;
}

/* Add the id of a neighbour, unless it is there, or there are as many as count. */
static int add_near(json_t *concept, const char *key, const char *id,
                    const struct row_error *e)
{
    json_t *list = json_object_get(concept, key);
    if (json_array_size(list) >= WC_CONCEPT_NEAR_MAX ||
        has_text(list, wc_slice_text(id)) ||
        wc_slice_is(wc_json_str(concept, "id"), id))
        return 0;
    return json_array_append_new(list, json_string(id)) == 0 ? 0 : out_of_memory(e);
}

typedef char concept_id[WC_CONCEPT_ID_MAX_BYTES + 1];

/* A name as an id: what is no letter or digit becomes one hyphen. False: nothing is left. */
static bool make_id(const char *prefix, struct wc_slice name, concept_id out)
{
    size_t n = (size_t)snprintf(out, sizeof(concept_id), "%s", prefix);
    size_t start = n;
    for (size_t i = 0; i < name.len && n < WC_CONCEPT_ID_MAX_BYTES; i++) {
        uint8_t x = name.data[i];
        if (x >= 'A' && x <= 'Z')
            x += 'a' - 'A';
        if ((x >= 'a' && x <= 'z') || (x >= '0' && x <= '9'))
            out[n++] = (char)x;
        else if (n > start && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n > start && out[n - 1] == '-')
        n--;
    out[n] = '\0';
    return n > start;
}

/* ---------------------------------------------------------------- tables */

/* The columns of a table by name, and the row at hand. */
struct table {
    struct wc_maker *m;
    const char *language;
    char *names[WC_CSV_FIELDS_MAX];
    size_t count;
    const struct wc_csv_record *row;
    struct row_error error;
};

static struct wc_slice cell(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcasecmp(t->names[i], name) == 0)
            return trim(t->row->fields[i]);
    return wc_slice("", 0);
}

static bool has_column(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcasecmp(t->names[i], name) == 0)
            return true;
    return false;
}

/* A cell that must not be empty. */
static int need(const struct table *t, const char *name, struct wc_slice *out)
{
    *out = cell(t, name);
    return out->len > 0 ? 0 : refuse(&t->error, "%s is empty", name);
}

/* ---- ESCO ---- */

/* ".../esco/skill/UUID" is UUID; ".../esco/isced-f/0613" is isced-f-0613. */
static bool esco_id(struct wc_slice uri, concept_id out)
{
    size_t from = uri.len;
    const char *prefix = "";
    while (from > 0 && uri.data[from - 1] != '/')
        from--;
    if (from > 8 && memcmp(uri.data + from - 8, "isced-f/", 8) == 0)
        prefix = "isced-f-";
    return make_id(prefix, wc_slice(uri.data + from, uri.len - from), out);
}

static struct wc_slice next_of(struct wc_slice *list)
{
    const uint8_t *bar = list->len > 0 ? memchr(list->data, '|', list->len) : NULL;
    size_t len = bar == NULL ? list->len : (size_t)(bar - list->data);
    struct wc_slice piece = trim(wc_slice(list->data, len));
    size_t step = bar == NULL ? len : len + 1;
    *list = wc_slice(list->data + step, list->len - step);
    return piece;
}

static size_t pieces(struct wc_slice list)
{
    size_t count = 0;
    while (list.len > 0)
        count += next_of(&list).len > 0;
    return count;
}

/* What is broader is named in the same row: it becomes a concept by that name, unless its
 * own row says more. */
static int esco_broader(struct table *t, json_t *concept)
{
    struct wc_slice uris = cell(t, "broaderConceptUri"),
                    names = cell(t, "broaderConceptPT");
    bool named = pieces(uris) == pieces(names);
    int rc = 0;
    while (rc == 0 && uris.len > 0) {
        concept_id id;
        struct wc_slice uri = next_of(&uris);
        struct wc_slice name = named ? next_of(&names) : wc_slice("", 0);
        if (uri.len == 0 || !esco_id(uri, id))
            continue;
        if (json_object_get(t->m->concepts, id) == NULL && name.len == 0)
            continue;
        json_t *broader = concept_of(t->m, id);
        if (broader == NULL)
            return no_concept(t->m, &t->error);
        if (labels_count(broader) == 0)
            rc = add_label(t->m, broader, t->language, name, true, &t->error);
        if (rc == 0)
            rc = add_near(concept, "broader", id, &t->error);
    }
    return rc;
}

static int esco_row(struct table *t)
{
    struct wc_slice uri, name;
    concept_id id;
    int rc = need(t, "conceptUri", &uri);
    if (rc == 0)
        rc = need(t, "preferredLabel", &name);
    if (rc != 0)
        return rc;
    if (!esco_id(uri, id))
        return refuse(&t->error, "conceptUri ends in no id");
    json_t *c = concept_of(t->m, id);
    if (c == NULL)
        return no_concept(t->m, &t->error);
    rc = add_label(t->m, c, t->language, name, true, &t->error);
    if (rc == 0)
        rc = add_labels(t->m, c, t->language, cell(t, "altLabels"), &t->error);
    if (rc == 0)
        rc = add_labels(t->m, c, t->language, cell(t, "hiddenLabels"), &t->error);
    if (rc == 0)
        rc = set_text(t->m, c, "about", cell(t, "description"), &t->error);
    return rc == 0 ? esco_broader(t, c) : rc;
}

/* ---- the UK Government's Digital and Data framework ---- */

/* The concept of a name; two names that make one id get different ones. */
static json_t *gdad_concept(struct table *t, const char *prefix, struct wc_slice name,
                            int *rc)
{
    concept_id id, first;
    if (!make_id(prefix, name, first)) {
        *rc = refuse(&t->error, "a name has no letter and no digit");
        return NULL;
    }
    memcpy(id, first, sizeof(id));
    for (int n = 2; n < 100; n++) {
        json_t *c = json_object_get(t->m->concepts, id);
        json_t *labels = json_object_get(json_object_get(c, "labels"), t->language);
        const json_t *label = json_array_get(labels, 0);
        if (label == NULL)
            break;
        if (wc_slice_eq(wc_slice(json_string_value(label), json_string_length(label)),
                        name))
            return c;
        snprintf(id, sizeof(id), "%.*s-%d", WC_CONCEPT_ID_MAX_BYTES - 3, first, n);
    }
    json_t *c = concept_of(t->m, id);
    *rc = c == NULL ? no_concept(t->m, &t->error)
                    : add_label(t->m, c, t->language, name, true, &t->error);
    return *rc == 0 ? c : NULL;
}

static int gdad_skill_row(struct table *t)
{
    static const char *const levels[] = {"Awareness", "Working", "Practitioner",
                                         "Expert"};
    static const char *const keys[] = {"awareness", "working", "practitioner",
                                       "expert"};
    struct wc_slice name;
    int rc = need(t, "Skill Name", &name);
    json_t *c = rc == 0 ? gdad_concept(t, "", name, &rc) : NULL;
    if (c == NULL)
        return rc;
    json_t *of_levels = json_object_get(c, "levels");
    if (of_levels == NULL) {
        of_levels = json_object();
        if (json_object_set_new(c, "levels", of_levels) != 0)
            return out_of_memory(&t->error);
    }
    rc = set_text(t->m, c, "about", cell(t, "Skill Description"), &t->error);
    for (size_t i = 0; rc == 0 && i < 4; i++)
        rc = set_text(t->m, of_levels, keys[i], cell(t, levels[i]), &t->error);
    return rc;
}

/* "Senior data engineer" is another name of a data engineer. */
static int gdad_role_row(struct table *t)
{
    struct wc_slice family = cell(t, "Role Family"), skill = cell(t, "Skill Name"),
                    role;
    struct wc_slice grade = cell(t, "Role Level");
    int rc = need(t, "Role", &role);
    json_t *c = rc == 0 ? gdad_concept(t, "role-", role, &rc) : NULL;
    if (c != NULL && !wc_slice_is(grade, "NOT IN USE"))
        rc = add_label(t->m, c, t->language, grade, false, &t->error);
    if (c != NULL && rc == 0)
        rc = set_text(t->m, c, "about", cell(t, "Role Description"), &t->error);
    if (c != NULL && rc == 0 && family.len > 0) {
        const json_t *of = gdad_concept(t, "family-", family, &rc);
        if (of != NULL)
            rc = add_near(c, "broader", json_string_value(json_object_get(of, "id")),
                          &t->error);
    }
    if (c != NULL && rc == 0 && skill.len > 0) {
        const json_t *of = gdad_concept(t, "", skill, &rc);
        if (of != NULL)
            rc = add_near(c, "related", json_string_value(json_object_get(of, "id")),
                          &t->error);
    }
    return rc;
}

/* ---- any table ---- */

typedef int row_fn(struct table *t);

static int choose(struct table *t, row_fn **take)
{
    enum wc_framework framework = WC_FRAMEWORK_GDAD;
    if (has_column(t, "conceptUri") && has_column(t, "preferredLabel")) {
        framework = WC_FRAMEWORK_ESCO;
        *take = esco_row;
    } else if (has_column(t, "Skill Name") && has_column(t, "Awareness") &&
               has_column(t, "Expert")) {
        *take = gdad_skill_row;
    } else if (has_column(t, "Role") && has_column(t, "Role Family")) {
        *take = gdad_role_row;
    } else {
        return refuse(
            &t->error,
            "no table that is known: ESCO's has the columns conceptUri and "
            "preferredLabel, the Government Digital and Data framework's Skill "
            "Name, Awareness and Expert, or Role Family and Role");
    }
    if (t->m->framework != WC_FRAMEWORK_NONE && t->m->framework != framework)
        return refuse(&t->error, "of another framework than the first file: import "
                                 "each into a vocabulary of its own");
    t->m->framework = framework;
    return 0;
}

static int take_names(struct table *t, const struct wc_csv_record *header)
{
    for (t->count = 0; t->count < header->count; t->count++) {
        t->names[t->count] = wc_slice_dup(trim(header->fields[t->count]));
        if (t->names[t->count] == NULL)
            return out_of_memory(&t->error);
    }
    return 0;
}

/* The next row, with as many columns as there are names. 1, 0 at the end, or an error. */
static int next_row(struct table *t, struct wc_csv *csv, struct wc_csv_record *row)
{
    const char *reason = NULL;
    int rc = wc_csv_next(csv, row, &reason);
    t->error.line = row->line;
    t->row = row;
    if (rc == -WC_EINVALID)
        return refuse(&t->error, "%s", reason);
    if (rc < 0)
        return out_of_memory(&t->error);
    if (rc == 1 && t->count > 0 && row->count != t->count)
        return refuse(&t->error, "has more or fewer columns than the first line");
    return rc;
}

int wc_maker_take(struct wc_maker *m, struct wc_slice table, const char *language,
                  char *why, size_t why_cap)
{
    struct table t = {.m = m, .language = language, .error = {1, why, why_cap}};
    struct wc_csv csv;
    struct wc_csv_record *row = calloc(1, sizeof(*row));
    row_fn *take = NULL;
    why[0] = '\0';
    wc_csv_init(&csv, table);
    int rc = row == NULL ? out_of_memory(&t.error) : next_row(&t, &csv, row);
    if (rc == 0)
        rc = refuse(&t.error, "the file is empty");
    if (rc == 1)
        rc = take_names(&t, row);
    if (rc == 0)
        rc = choose(&t, &take);
    while (rc == 0 && take != NULL && (rc = next_row(&t, &csv, row)) == 1)
        rc = take(&t);
    for (size_t i = 0; i < t.count; i++)
        free(t.names[i]);
    wc_csv_fini(&csv);
    free(row);
    return rc;
}

const char *wc_framework_id(enum wc_framework framework)
{
    return framework == WC_FRAMEWORK_ESCO ? "esco" : "gdad";
}

json_t *wc_maker_vocabulary(const struct wc_maker *m, const char *id)
{
    bool esco = m->framework == WC_FRAMEWORK_ESCO;
    json_t *concepts = json_array(), *concept;
    const char *key;
    json_object_foreach(m->concepts, key, concept)
    {
        if (json_array_append(concepts, concept) != 0) {
            json_decref(concepts);
            return NULL;
        }
    }
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o}", "id", id, "title",
        esco ? "ESCO skills" : "Government Digital and Data", "licence",
        esco ? "Reuse with attribution (Commission Decision 2011/833/EU)"
             : "Open Government Licence v3.0",
        "source",
        esco ? "European Skills, Competences, Qualifications and Occupations (ESCO), "
               "European Commission, https://esco.ec.europa.eu"
             : "Government Digital and Data Profession Capability Framework, "
               "https://ddat-capability-framework.service.gov.uk",
        "concepts", concepts);
}
