/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vocabulary file, line by line. A fault ends nothing: the reader goes on with the next
 * line, so that whoever writes a file learns of all its faults at once.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/concepts_internal.h"

/* What the lines of a file are a part of. */
enum part {
    PART_NONE, /* before the first section, or in one that cannot be read */
    PART_HEAD,
    PART_CONCEPT,
};

/* What a value that goes on in the next line is added to. */
enum field {
    FIELD_NONE,
    FIELD_LABELS,
    FIELD_BROADER,
    FIELD_RELATED,
    FIELD_TEXT,
    FIELD_SKIPPED, /* of a line that was a fault */
};

#define QUOTED_BYTES 60

struct reader {
    struct wc_concepts *c;
    const char *name;
    struct wc_vocabulary_head head;
    uint32_t line;
    enum part part;
    bool head_seen, format, head_done;
    /* the concept at hand, which is the latest of the set */
    struct wc_concept *concept;
    struct wc_label *labels;
    uint32_t labels_count, labels_cap;
    bool too_many;
    /* the key at hand */
    enum field field;
    char language[3];
    const char **text; /* where the text goes */
    struct wc_buf gathered;
    uint32_t text_line;
    char quoted[QUOTED_BYTES + 1];
    bool wrong; /* there was a fault */
    bool full;  /* no further concept fits */
    int rc;     /* -WC_ENOMEM ends it */
};

/* Note the result of a fault. */
static void note(struct reader *r, int rc)
{
    r->wrong = true;
    if (rc == -WC_ENOMEM)
        r->rc = rc;
}

#define FAULT(r, line, ...)                                                            \
    note((r), wc_concepts_fault((r)->c, (r)->name, (line), false, __VA_ARGS__,         \
                                (const char *)NULL))

static void out_of_memory(struct reader *r)
{
    r->rc = -WC_ENOMEM;
}

/* ---- pieces of a line ---- */

static bool is_blank(uint8_t x)
{
    return x == ' ' || x == '\t' || x == '\r';
}

static struct wc_slice trimmed(struct wc_slice s)
{
    while (s.len > 0 && is_blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* Without the comment behind it. */
static struct wc_slice before_comment(struct wc_slice s)
{
    for (size_t i = 1; i < s.len; i++)
        if (s.data[i] == ';' && is_blank(s.data[i - 1]))
            return trimmed(wc_slice(s.data, i));
    return s;
}

/* One trimmed piece of a list that is not empty, or false at its end. */
static bool next_piece(struct wc_slice *list, char separator, struct wc_slice *out)
{
    while (list->len > 0) {
        const uint8_t *end = memchr(list->data, separator, list->len);
        size_t len = end == NULL ? list->len : (size_t)(end - list->data);
        size_t step = end == NULL ? len : len + 1;
        *out = trimmed(wc_slice(list->data, len));
        *list = wc_slice(list->data + step, list->len - step);
        if (out->len > 0)
            return true;
    }
    return false;
}

/* A piece of the file for a fault, as text that ends. One at a time: a fault quotes no
 * more. */
static const char *quoted(struct reader *r, struct wc_slice s)
{
    size_t len = s.len < QUOTED_BYTES ? s.len : QUOTED_BYTES;
    while (len < s.len && len > 0 && (s.data[len] & 0xC0) == 0x80)
        len--;
    if (len > 0)
        memcpy(r->quoted, s.data, len);
    r->quoted[len] = '\0';
    return r->quoted;
}

static const char *number(struct reader *r, size_t n)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return quoted(r, wc_slice(digits + at, sizeof(digits) - at));
}

/* ---- values ---- */

static bool has_label(const struct reader *r, struct wc_slice text)
{
    for (uint32_t i = 0; i < r->labels_count; i++)
        if (strcmp(r->labels[i].language, r->language) == 0 &&
            wc_slice_is(text, r->labels[i].text))
            return true;
    return false;
}

static bool has_language(const struct reader *r)
{
    for (uint32_t i = 0; i < r->labels_count; i++)
        if (strcmp(r->labels[i].language, r->language) == 0)
            return true;
    return false;
}

static void add_label(struct reader *r, struct wc_slice text)
{
    if (text.len > WC_SKILL_NAME_MAX_BYTES) {
        FAULT(r, r->line, "a label has ", number(r, text.len),
              " bytes; at most 100 are allowed");
        return;
    }
    if (has_label(r, text)) {
        FAULT(r, r->line, "\"", quoted(r, text), "\" is there twice");
        return;
    }
    if (r->labels_count == WC_CONCEPT_LABELS_MAX) {
        if (!r->too_many)
            FAULT(r, r->line, "more than 128 labels");
        r->too_many = true;
        return;
    }
    struct wc_label *labels =
        wc_concepts_room(r->labels, r->labels_count, &r->labels_cap, sizeof(*labels));
    const char *copy = wc_concepts_text(r->c, text);
    if (labels != NULL)
        r->labels = labels;
    if (labels == NULL || copy == NULL) {
        out_of_memory(r);
        return;
    }
    struct wc_label *l = &r->labels[r->labels_count];
    *l =
        (struct wc_label){.text = copy, .preferred = !has_language(r), .line = r->line};
    memcpy(l->language, r->language, sizeof(l->language));
    r->labels_count++;
}

static void add_reference(struct reader *r, bool broader, struct wc_slice id)
{
    struct wc_concepts *c = r->c;
    if (id.len >= ID_BYTES) {
        FAULT(r, r->line, "\"", quoted(r, id), "\" is too long for an id");
        return;
    }
    struct wc_reference *items = wc_concepts_room(c->references, c->references_count,
                                                  &c->references_cap, sizeof(*items));
    const char *copy = wc_concepts_text(c, id);
    if (items != NULL)
        c->references = items;
    if (items == NULL || copy == NULL) {
        out_of_memory(r);
        return;
    }
    c->references[c->references_count++] =
        (struct wc_reference){c->count - 1, r->line, broader, copy};
}

/* What was gathered of a text over its lines. */
static void end_text(struct reader *r)
{
    if (r->field == FIELD_TEXT && r->text != NULL) {
        if (r->gathered.len > WC_ABOUT_MAX_BYTES)
            FAULT(r, r->text_line, "the text is longer than 1000 bytes");
        else
            *r->text = wc_concepts_text(r->c, wc_buf_slice(&r->gathered));
        if (r->gathered.failed ||
            (*r->text == NULL && r->gathered.len <= WC_ABOUT_MAX_BYTES))
            out_of_memory(r);
    }
    r->text = NULL;
    r->field = FIELD_NONE;
    wc_buf_reset(&r->gathered);
}

static void add_value(struct reader *r, struct wc_slice value)
{
    struct wc_slice piece;
    switch (r->field) {
    case FIELD_NONE:
    case FIELD_SKIPPED:
        return;
    case FIELD_LABELS:
        while (r->rc == 0 && next_piece(&value, '|', &piece))
            add_label(r, piece);
        return;
    case FIELD_BROADER:
    case FIELD_RELATED:
        while (r->rc == 0 && next_piece(&value, ',', &piece))
            add_reference(r, r->field == FIELD_BROADER, piece);
        return;
    case FIELD_TEXT:
        if (r->gathered.len > WC_ABOUT_MAX_BYTES)
            return; /* too long already */
        if (r->gathered.len > 0)
            wc_buf_byte(&r->gathered, ' ');
        wc_buf_append(&r->gathered, value.data, value.len);
        return;
    }
}

/* ---- keys ---- */

static void begin_text(struct reader *r, const char **text, struct wc_slice key)
{
    r->field = FIELD_TEXT;
    r->text = text;
    r->text_line = r->line;
    if (*text == NULL)
        return;
    FAULT(r, r->line, "\"", quoted(r, key), "\" is there twice");
    r->text = NULL;
}

static void begin_concept_key(struct reader *r, struct wc_slice key)
{
    static const char *const levels[] = {
        [WC_LEVEL_AWARENESS] = "awareness",
        [WC_LEVEL_WORKING] = "working",
        [WC_LEVEL_PRACTITIONER] = "practitioner",
        [WC_LEVEL_EXPERT] = "expert",
    };
    if (key.len == 2 && key.data[0] >= 'a' && key.data[0] <= 'z' &&
        key.data[1] >= 'a' && key.data[1] <= 'z') {
        r->field = FIELD_LABELS;
        memcpy(r->language, key.data, 2);
        return;
    }
    if (wc_slice_is(key, "broader")) {
        r->field = FIELD_BROADER;
        return;
    }
    if (wc_slice_is(key, "related")) {
        r->field = FIELD_RELATED;
        return;
    }
    if (wc_slice_is(key, "about")) {
        begin_text(r, &r->concept->about, key);
        return;
    }
    for (int i = WC_LEVEL_AWARENESS; i <= WC_LEVEL_EXPERT; i++) {
        if (wc_slice_is(key, levels[i])) {
            begin_text(r, &r->concept->levels[i], key);
            return;
        }
    }
    FAULT(r, r->line, "unknown key \"", quoted(r, key),
          "\": a language such as en, broader, related, about, ",
          "awareness, working, practitioner, expert");
}

static const struct wc_vocabulary_head *head_of(const struct wc_concepts *c,
                                                struct wc_slice id)
{
    for (uint32_t i = 0; i < c->heads_count; i++)
        if (wc_slice_is(id, c->heads[i].id))
            return &c->heads[i];
    return NULL;
}

static void take_id(struct reader *r, struct wc_slice value)
{
    const struct wc_vocabulary_head *other = head_of(r->c, value);
    if (r->head.id != NULL)
        FAULT(r, r->line, "\"id\" is there twice");
    else if (!wc_concept_id_valid(value))
        FAULT(r, r->line, "\"", quoted(r, value),
              "\" is not an id: 1 to 48 of a-z, 0-9 and '-'");
    else if (other != NULL)
        FAULT(r, r->line, "the vocabulary \"", other->id, "\" is in ", other->file,
              " already");
    else if ((r->head.id = wc_concepts_text(r->c, value)) == NULL)
        out_of_memory(r);
}

static void take_head(struct reader *r, struct wc_slice key, struct wc_slice value)
{
    if (wc_slice_is(key, "format")) {
        r->format = wc_slice_is(value, "1");
        if (!r->format)
            FAULT(r, r->line, "format ", quoted(r, value),
                  ": this version reads format 1");
    } else if (wc_slice_is(key, "id")) {
        take_id(r, value);
    } else if (wc_slice_is(key, "title")) {
        begin_text(r, &r->head.title, key);
    } else if (wc_slice_is(key, "licence")) {
        begin_text(r, &r->head.licence, key);
    } else if (wc_slice_is(key, "source")) {
        begin_text(r, &r->head.source, key);
    } else {
        FAULT(r, r->line, "unknown key \"", quoted(r, key),
              "\": format, id, title, licence and source ",
              "belong under [vocabulary]");
    }
}

/* ---- sections ---- */

static void end_concept(struct reader *r)
{
    struct wc_concept *x = r->concept;
    if (r->part != PART_CONCEPT || r->rc != 0)
        return;
    size_t size = r->labels_count * sizeof(*r->labels);
    if (r->labels_count == 0) {
        FAULT(r, x->line, "[", strchr(x->id, ':') + 1,
              "] has no label, such as \"en = ...\"");
    } else {
        struct wc_label *labels = wc_concepts_alloc(r->c, size);
        if (labels == NULL) {
            out_of_memory(r);
            return;
        }
        memcpy(labels, r->labels, size);
        x->labels = labels;
        x->label_count = r->labels_count;
        r->head.labels_count += r->labels_count;
    }
}

/* The head goes into the set before its first concept. */
static bool finish_head(struct reader *r)
{
    struct wc_concepts *c = r->c;
    if (r->head_done)
        return true;
    if (r->head.id == NULL || !r->format)
        return false;
    if (c->heads_count == WC_VOCABULARIES_MAX_COUNT) {
        FAULT(r, 0U, "more than 64 vocabularies");
        r->full = true;
        return false;
    }
    r->head.file = wc_concepts_text(c, wc_slice_text(r->name));
    if (r->head.file == NULL) {
        out_of_memory(r);
        return false;
    }
    r->head.first = c->count;
    c->heads[c->heads_count++] = r->head;
    r->head_done = true;
    return true;
}

static int add_concept(struct reader *r, const char *id)
{
    struct wc_concepts *c = r->c;
    struct wc_concept *items =
        wc_concepts_room(c->items, c->count, &c->cap, sizeof(*items));
    if (items == NULL)
        return -WC_ENOMEM;
    c->items = items;
    r->concept = &c->items[c->count++];
    *r->concept = (struct wc_concept){
        .id = id, .vocabulary = c->heads_count - 1, .line = r->line};
    r->head.count++;
    return wc_concepts_enter(c);
}

/* "web:blogging", or NULL. */
static const char *whole_id(struct reader *r, struct wc_slice section)
{
    struct wc_buf id = {0};
    wc_buf_text(&id, r->head.id);
    wc_buf_byte(&id, ':');
    wc_buf_append(&id, section.data, section.len);
    const char *out = id.failed ? NULL : wc_concepts_text(r->c, wc_buf_slice(&id));
    wc_buf_fini(&id);
    if (out == NULL)
        out_of_memory(r);
    return out;
}

static void begin_concept(struct reader *r, struct wc_slice section)
{
    r->part = PART_NONE;
    if (!wc_concept_id_valid(section)) {
        FAULT(r, r->line, "\"", quoted(r, section),
              "\" is not an id: 1 to 48 of a-z, 0-9 and '-'");
        return;
    }
    if (!finish_head(r)) {
        if (!r->full && !r->wrong) /* else it was said what is wrong there */
            FAULT(r, r->line, "[", quoted(r, section),
                  "] stands before [vocabulary] with its format and id");
        return;
    }
    if (r->c->count == WC_CONCEPTS_MAX_COUNT) {
        FAULT(r, r->line, "more than 65536 concepts");
        r->full = true;
        return;
    }
    const char *id = whole_id(r, section);
    if (id == NULL)
        return;
    if (wc_concepts_exact(r->c, wc_slice_text(id)) != NO_CONCEPT) {
        FAULT(r, r->line, "[", quoted(r, section), "] of vocabulary ", r->head.id,
              " is there twice");
        return;
    }
    r->labels_count = 0;
    r->too_many = false;
    if (add_concept(r, id) != 0)
        out_of_memory(r);
    else
        r->part = PART_CONCEPT;
}

static void begin_section(struct reader *r, struct wc_slice line)
{
    const uint8_t *end = memchr(line.data, ']', line.len);
    end_text(r);
    end_concept(r);
    r->part = PART_NONE;
    if (end == NULL) {
        FAULT(r, r->line, "the section has no ']'");
        return;
    }
    struct wc_slice name =
        trimmed(wc_slice(line.data + 1, (size_t)(end - line.data) - 1));
    if (!wc_slice_is(name, "vocabulary")) {
        begin_concept(r, name);
    } else if (r->head_seen) {
        FAULT(r, r->line, "[vocabulary] is there twice");
    } else {
        r->head_seen = true;
        r->part = PART_HEAD;
    }
}

/* ---- lines ---- */

static void take_pair(struct reader *r, struct wc_slice line)
{
    size_t at = 0;
    end_text(r);
    r->field = FIELD_SKIPPED;
    while (at < line.len && line.data[at] != '=' && line.data[at] != ':')
        at++;
    if (at == line.len || at == 0) {
        FAULT(r, r->line, "is neither \"key = value\" nor a comment");
        return;
    }
    struct wc_slice key = trimmed(wc_slice(line.data, at));
    struct wc_slice value =
        before_comment(trimmed(wc_slice(line.data + at + 1, line.len - at - 1)));
    if (value.len > 0 && value.data[0] == ';')
        value.len = 0;
    switch (r->part) {
    case PART_NONE:
        if (!r->head_seen && !r->wrong)
            FAULT(r, r->line, "stands before [vocabulary]");
        return;
    case PART_HEAD:
        take_head(r, key, value);
        break;
    case PART_CONCEPT:
        begin_concept_key(r, key);
        break;
    }
    add_value(r, value);
}

static bool line_valid(struct reader *r, struct wc_slice line)
{
    if (line.len > WC_VOCABULARY_LINE_MAX_BYTES ||
        (line.len > 0 && memchr(line.data, '\0', line.len) != NULL))
        FAULT(r, r->line, "is not a line of text of at most 1000 bytes");
    else if (!wc_utf8_valid(line))
        FAULT(r, r->line, "is not UTF-8");
    else
        return true;
    return false;
}

static void take_line(struct reader *r, struct wc_slice line)
{
    bool indented = line.len > 0 && is_blank(line.data[0]);
    if (!line_valid(r, line)) {
        if (!indented) {
            end_text(r);
            r->field = FIELD_SKIPPED;
        }
        return;
    }
    line = trimmed(line);
    if (line.len == 0 || line.data[0] == ';' || line.data[0] == '#')
        return;
    if (indented && r->field != FIELD_NONE)
        add_value(r, before_comment(line));
    else if (line.data[0] == '[')
        begin_section(r, line);
    else
        take_pair(r, line);
}

static void read_lines(struct reader *r, struct wc_slice text)
{
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        text = wc_slice(text.data + 3, text.len - 3); /* a byte order mark */
    while (text.len > 0 && r->rc == 0 && !r->full) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.data);
        size_t step = end == NULL ? len : len + 1;
        r->line++;
        take_line(r, wc_slice(text.data, len));
        text = wc_slice(text.data + step, text.len - step);
    }
    end_text(r);
    end_concept(r);
}

int wc_concepts_read(struct wc_concepts *c, struct wc_slice text, const char *name)
{
    struct reader r = {.c = c, .name = name};
    if (text.len > WC_VOCABULARY_FILE_MAX_BYTES)
        FAULT(&r, 0U, "is longer than 16 MiB");
    else
        read_lines(&r, text);
    if (r.rc == 0 && !r.wrong && !finish_head(&r) && r.rc == 0)
        FAULT(&r, 0U, "has no [vocabulary] with its format and id");
    if (r.head_done)
        c->heads[c->heads_count - 1] = r.head;
    free(r.labels);
    wc_buf_fini(&r.gathered);
    return r.rc != 0 ? r.rc : r.wrong ? -WC_ECONFIG : 0;
}
