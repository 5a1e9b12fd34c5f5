/* SPDX-License-Identifier: Apache-2.0 */
/* vocabulary check and vocabulary import: files, and no daemon. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <whocan/concepts.h>
#include <whocan/limits.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/vocabulary.h"

#define FAULTS_SHOWN_COUNT 100 /* after so many nobody reads on */
#define SYSTEM_DIRECTORY   "/etc/whocan/vocabulary"
#define WHY_BYTES          512

/* ---------------------------------------------------------------- check */

struct check {
    struct wc_run *run;
    struct wc_concepts *concepts;
    struct wc_buf out; /* for people */
    json_t *faults;    /* for programs */
    uint64_t faults_count, remarks_count, files_count;
    bool refused; /* a file that the daemon would not read */
};

static void put_safe(struct wc_buf *out, const char *text)
{
    wc_term_safe(out, wc_slice_text(text));
}

static void on_fault(void *ctx, const struct wc_fault *fault)
{
    struct check *x = ctx;
    char line[32];
    uint64_t n = x->faults_count + x->remarks_count;
    *(fault->remark ? &x->remarks_count : &x->faults_count) += 1;
    if (n >= FAULTS_SHOWN_COUNT)
        return;
    json_array_append_new(
        x->faults, json_pack("{s:o*, s:I, s:b, s:o*}", "file",
                             wc_json_new_str(wc_slice_text(fault->file)), "line",
                             (json_int_t)fault->line, "remark", (int)fault->remark,
                             "reason", wc_json_new_str(wc_slice_text(fault->text))));
    put_safe(&x->out, fault->file);
    snprintf(line, sizeof(line), ":%u", fault->line);
    wc_buf_text(&x->out, fault->line > 0 ? line : "");
    wc_buf_text(&x->out, fault->remark ? ": remark: " : ": ");
    put_safe(&x->out, fault->text);
    wc_buf_byte(&x->out, '\n');
}

static int check_file(struct check *x, const char *path)
{
    struct wc_buf text = {0};
    char why[WHY_BYTES];
    int code = 0,
        rc = wc_file_read(path, WC_VOCABULARY_FILE_MAX_BYTES, &text, why, sizeof(why));
    if (rc == -WC_ETOOBIG) {
        struct wc_fault fault = {path, 0, false, "is longer than 16 MiB"};
        on_fault(x, &fault);
        x->refused = true;
    } else if (rc != 0) {
        code = wc_run_fail(x->run, WC_EXIT_FILE, "%s", why);
    } else {
        rc = wc_concepts_read(x->concepts, wc_buf_slice(&text), path);
        x->refused |= rc == -WC_ECONFIG;
        if (rc == -WC_ENOMEM)
            code = wc_run_fail(x->run, WC_EXIT_FILE, "out of memory");
    }
    x->files_count++;
    wc_buf_fini(&text);
    return code;
}

static int is_ini(const struct dirent *d)
{
    size_t len = strlen(d->d_name);
    return d->d_name[0] != '.' && len > 4 && strcmp(d->d_name + len - 4, ".ini") == 0;
}

static int check_directory(struct check *x, const char *path)
{
    struct dirent **names;
    int code = 0, count = scandir(path, &names, is_ini, alphasort);
    if (count < 0)
        return wc_run_fail(x->run, WC_EXIT_FILE, "%s: %s", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        char *file = NULL;
        if (code == 0 && asprintf(&file, "%s/%s", path, names[i]->d_name) < 0) {
            file = NULL;
            code = wc_run_fail(x->run, WC_EXIT_FILE, "out of memory");
        }
        if (code == 0)
            code = check_file(x, file);
        free(file);
        free(names[i]);
    }
    free(names);
    return code;
}

static uint64_t labels_of(const struct wc_concepts *c)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < wc_concepts_heads_count(c); i++)
        count += wc_concepts_head(c, i)->labels_count;
    return count;
}

static int check_json(const struct check *x, bool right)
{
    const struct wc_concepts *c = x->concepts;
    json_t *result = json_pack(
        "{s:b, s:I, s:I, s:I, s:I, s:I, s:O}", "right", (int)right, "files",
        (json_int_t)x->files_count, "concepts", (json_int_t)wc_concepts_count(c),
        "labels", (json_int_t)labels_of(c), "faults_count", (json_int_t)x->faults_count,
        "remarks_count", (json_int_t)x->remarks_count, "faults", x->faults);
    int code = wc_run_json(x->run, result);
    json_decref(result);
    return code;
}

static int check_text(struct check *x, bool right)
{
    struct wc_buf *out = &x->out;
    uint64_t said = x->faults_count + x->remarks_count;
    if (said > FAULTS_SHOWN_COUNT) {
        wc_buf_text(out, "... and ");
        wc_term_number(out, said - FAULTS_SHOWN_COUNT);
        wc_buf_text(out, " more\n");
    }
    wc_term_plural(out, x->files_count, "file", "files");
    wc_buf_text(out, ": ");
    wc_term_plural(out, wc_concepts_count(x->concepts), "concept", "concepts");
    wc_buf_text(out, ", ");
    wc_term_plural(out, labels_of(x->concepts), "label", "labels");
    wc_buf_text(out, "; ");
    if (right && x->remarks_count == 0) {
        wc_buf_text(out, "all is right.\n");
    } else {
        wc_term_plural(out, x->faults_count, "fault", "faults");
        wc_buf_text(out, ", ");
        wc_term_plural(out, x->remarks_count, "remark", "remarks");
        wc_buf_text(out, right ? ".\n" : ": the daemon would not read this.\n");
    }
    return wc_run_write(x->run, out);
}

/* All files are in: what they say of each other, and the verdict. */
static int check_end(struct check *x)
{
    int rc = wc_concepts_resolve(x->concepts);
    int remarks = rc == -WC_ENOMEM ? rc : wc_concepts_remark(x->concepts);
    if (remarks < 0)
        return wc_run_fail(x->run, WC_EXIT_FILE, "out of memory");
    bool right = rc == 0 && !x->refused;
    int code = wc_run_wants_json(x->run) ? check_json(x, right) : check_text(x, right);
    if (code != 0)
        return code;
    return !right ? WC_EXIT_USAGE : x->remarks_count > 0 ? WC_EXIT_PARTIAL : 0;
}

int wc_cmd_vocabulary_check(struct wc_run *run)
{
    struct check x = {.run = run, .faults = json_array()};
    struct stat st;
    int code = wc_concepts_new(&x.concepts, on_fault, &x) == 0
                   ? 0
                   : wc_run_fail(run, WC_EXIT_FILE, "out of memory");
    for (int i = 0; code == 0 && i < run->args->word_count; i++) {
        const char *path = run->args->words[i];
        bool directory = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
        code = directory ? check_directory(&x, path) : check_file(&x, path);
    }
    if (code == 0)
        code = check_end(&x);
    wc_concepts_free(x.concepts);
    wc_buf_fini(&x.out);
    json_decref(x.faults);
    return code;
}

/* ---------------------------------------------------------------- import */

struct import {
    struct wc_run *run;
    struct wc_maker maker;
    const char *id;
    char *path; /* to be freed */
};

/* ESCO's files say their language only by their names: skills_en.csv, skills_no.csv. */
static const char *language_of(const struct wc_run *run, const char *path, char out[3])
{
    const char *said = wc_run_option(run, WC_OPT_LANGUAGE);
    size_t len = strlen(path);
    if (said == NULL && len > 7 && path[len - 7] == '_' &&
        strcmp(path + len - 4, ".csv") == 0 &&
        strspn(path + len - 6, "abcdefghijklmnopqrstuvwxyz") == 2)
        said = path + len - 6;
    snprintf(out, 3, "%s", said == NULL ? "en" : said);
    return strcmp(out, "no") == 0 ? "nb" : out;
}

static bool language_valid(const char *language)
{
    return language == NULL || (strlen(language) == 2 &&
                                strspn(language, "abcdefghijklmnopqrstuvwxyz") == 2);
}

static int take_file(struct import *x, const char *path)
{
    struct wc_buf text = {0};
    char why[WHY_BYTES], language[3];
    int code = 0;
    if (wc_file_read(path, WC_TABLE_FILE_MAX_BYTES, &text, why, sizeof(why)) != 0) {
        code = wc_run_fail(x->run, WC_EXIT_FILE, "%s", why);
    } else if (wc_maker_take(&x->maker, wc_buf_slice(&text),
                             language_of(x->run, path, language), why,
                             sizeof(why)) != 0) {
        code = wc_run_fail(x->run, WC_EXIT_USAGE, "%s: %s", path, why);
        wc_run_hint(x->run, "Nothing was written.");
    }
    wc_buf_fini(&text);
    return code;
}

/* Where it goes: what --output says, or where the daemon of this machine looks. */
static int choose_path(struct import *x)
{
    const char *output = wc_run_option(x->run, WC_OPT_OUTPUT);
    if (output == NULL && geteuid() != 0) {
        int code = wc_run_fail(x->run, WC_EXIT_USAGE,
                               "only root may write to " SYSTEM_DIRECTORY);
        wc_run_hint(x->run, "Name a file with --output FILE, or run it with sudo.");
        return code;
    }
    int n = output != NULL ? asprintf(&x->path, "%s", output)
                           : asprintf(&x->path, SYSTEM_DIRECTORY "/%s.ini", x->id);
    if (n < 0) {
        x->path = NULL;
        return wc_run_fail(x->run, WC_EXIT_FILE, "out of memory");
    }
    if (output == NULL && mkdir(SYSTEM_DIRECTORY, 0755) != 0 && errno != EEXIST)
        return wc_run_fail(x->run, WC_EXIT_FILE, SYSTEM_DIRECTORY ": %s",
                           strerror(errno));
    return 0;
}

static void on_own_fault(void *ctx, const struct wc_fault *fault)
{
    struct import *x = ctx;
    wc_run_fail(x->run, WC_EXIT_USAGE, "%s:%u: %s", fault->file, fault->line,
                fault->text);
}

/* What is written is read first, as the daemon will. */
static int prove(struct import *x, struct wc_slice text)
{
    struct wc_concepts *c = NULL;
    int rc = wc_concepts_new(&c, on_own_fault, x);
    if (rc == 0)
        rc = wc_concepts_read(c, text, x->path);
    if (rc == 0)
        rc = wc_concepts_resolve(c);
    wc_concepts_free(c);
    if (rc == -WC_ENOMEM)
        return wc_run_fail(x->run, WC_EXIT_FILE, "out of memory");
    if (rc == 0)
        return 0;
    wc_run_hint(x->run, "Nothing was written.");
    return WC_EXIT_USAGE;
}

static int write_file(struct import *x, const struct wc_buf *text)
{
    char why[WHY_BYTES];
    bool replace = wc_run_option(x->run, WC_OPT_YES) != NULL;
    int rc = wc_file_put(x->path, wc_buf_slice(text), 0644, replace, why, sizeof(why));
    if (rc == 0)
        return 0;
    int code = wc_run_fail(x->run, WC_EXIT_FILE, "%s", why);
    if (rc == -WC_EEXISTS)
        wc_run_hint(x->run, "--yes replaces it.");
    return code;
}

static uint64_t count_labels(const json_t *vocabulary)
{
    uint64_t count = 0;
    size_t i;
    json_t *concept, *labels;
    const char *language;
    json_array_foreach(json_object_get(vocabulary, "concepts"), i, concept)
    {
        json_object_foreach(json_object_get(concept, "labels"), language, labels)
        {
            count += json_array_size(labels);
        }
    }
    return count;
}

static int import_said(const struct import *x, const json_t *vocabulary)
{
    struct wc_buf out = {0};
    uint64_t concepts = json_array_size(json_object_get(vocabulary, "concepts"));
    uint64_t labels = count_labels(vocabulary);
    if (wc_run_wants_json(x->run)) {
        json_t *result =
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "file", x->path, "id", x->id,
                      "concepts", (json_int_t)concepts, "labels", (json_int_t)labels,
                      "labels_left_out", (json_int_t)x->maker.labels_left_out,
                      "texts_cut", (json_int_t)x->maker.texts_cut);
        int code = wc_run_json(x->run, result);
        json_decref(result);
        return code;
    }
    wc_buf_text(&out, "Wrote ");
    put_safe(&out, x->path);
    wc_buf_text(&out, ": ");
    wc_term_plural(&out, concepts, "concept", "concepts");
    wc_buf_text(&out, ", ");
    wc_term_plural(&out, labels, "label", "labels");
    wc_buf_text(&out, ".\n");
    if (x->maker.labels_left_out > 0) {
        wc_term_plural(&out, x->maker.labels_left_out, "label was", "labels were");
        wc_buf_text(&out, " too long, or too many for one concept, and left out.\n");
    }
    if (x->maker.texts_cut > 0) {
        wc_term_plural(&out, x->maker.texts_cut, "description was",
                       "descriptions were");
        wc_buf_text(&out, " longer than 1,000 bytes, and cut.\n");
    }
    wc_buf_text(
        &out,
        "It is used once it stands in a directory of vocabularies (" SYSTEM_DIRECTORY
        ")\nand the daemon was told to read them: systemctl reload whocan\n");
    int code = wc_run_write(x->run, &out);
    wc_buf_fini(&out);
    return code;
}

static int import_end(struct import *x)
{
    struct wc_buf text = {0};
    const char *name = wc_run_option(x->run, WC_OPT_NAME);
    x->id = name != NULL ? name : wc_framework_id(x->maker.framework);
    json_t *vocabulary = wc_maker_vocabulary(&x->maker, x->id);
    int code = choose_path(x);
    if (code == 0 && vocabulary == NULL)
        code = wc_run_fail(x->run, WC_EXIT_FILE, "out of memory");
    if (code == 0) {
        wc_vocabulary_write_ini(&text, vocabulary);
        if (text.failed)
            code = wc_run_fail(x->run, WC_EXIT_FILE, "out of memory");
    }
    if (code == 0)
        code = prove(x, wc_buf_slice(&text));
    if (code == 0)
        code = write_file(x, &text);
    if (code == 0)
        code = import_said(x, vocabulary);
    json_decref(vocabulary);
    wc_buf_fini(&text);
    return code;
}

int wc_cmd_vocabulary_import(struct wc_run *run)
{
    struct import x = {.run = run};
    const char *name = wc_run_option(run, WC_OPT_NAME);
    if (!language_valid(wc_run_option(run, WC_OPT_LANGUAGE)))
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--language takes two letters, such as en or nb");
    if (name != NULL && !wc_concept_id_valid(wc_slice_text(name)))
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "the name of a vocabulary is made of a-z, 0-9 and '-'");
    int code = wc_maker_init(&x.maker) == 0
                   ? 0
                   : wc_run_fail(run, WC_EXIT_FILE, "out of memory");
    for (int i = 0; code == 0 && i < run->args->word_count; i++)
        code = take_file(&x, run->args->words[i]);
    if (code == 0)
        code = import_end(&x);
    wc_maker_fini(&x.maker);
    free(x.path);
    return code;
}
