/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabularies as the command handles them: a JSON object, as the daemon sends it and
 * `vocabulary export --json` prints it,
 *
 *   {id, title, licence, source, concepts: [{id, labels: {en: [text]}, broader: [id],
 *    related: [id], about, levels: {expert: text}}]}
 *
 * made out of the tables that others publish, and written as a vocabulary file.
 */
#ifndef CLI_VOCABULARY_H
#define CLI_VOCABULARY_H

#include <jansson.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#define WC_TABLE_FILE_MAX_BYTES                                                        \
    (64u << 20) /* skills_en.csv of ESCO has 15 MiB, and may grow */

/* Append the vocabulary file of a vocabulary. Sticky failure in *out. */
void wc_vocabulary_write_ini(struct wc_buf *out, const json_t *vocabulary);

/* ---- out of tables ---- */

enum wc_framework { WC_FRAMEWORK_NONE, WC_FRAMEWORK_ESCO, WC_FRAMEWORK_GDAD };

/* A vocabulary in the making. */
struct wc_maker {
    enum wc_framework
        framework;            /* of the first table; the others must be of the same */
    json_t *concepts;         /* id -> concept, in order of appearance */
    uint64_t labels_left_out; /* too long, or too many for one concept */
    uint64_t texts_cut;
};

int wc_maker_init(struct wc_maker *m); /* -WC_ENOMEM */
void wc_maker_fini(struct wc_maker *m);

/*
 * Take a table in: a CSV file of ESCO's skills (columns conceptUri, preferredLabel, ...),
 * whose labels are in `language`, or one of the UK Government's framework (Skill Name,
 * Awareness, ..., or Role Family, Role, ...). -WC_EINVALID and one line in `why` with the
 * line of the table: of another framework than the first, no such table, a structure that
 * is broken, a value that is missing or not UTF-8; -WC_ETOOBIG more concepts than a
 * vocabulary has; -WC_ENOMEM. After an error the maker is only good to be freed.
 */
int wc_maker_take(struct wc_maker *m, struct wc_slice table, const char *language,
                  char *why, size_t why_cap);

/* The vocabulary under that id, a new value, or NULL when memory is out. */
json_t *wc_maker_vocabulary(const struct wc_maker *m, const char *id);

/* The id that a framework's vocabulary has unless told otherwise. */
const char *wc_framework_id(enum wc_framework framework);

#endif
