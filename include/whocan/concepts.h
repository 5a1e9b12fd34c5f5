/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabulary files and the concepts in them: what skills, roles and subjects are called,
 * and what is near to what. docs/vocabulary.md has the format. One reader for the daemon,
 * which answers questions with them, and for the command, which checks, makes and prints
 * them. Texts come in as memory; nothing here opens a file.
 */
#ifndef WHOCAN_CONCEPTS_H
#define WHOCAN_CONCEPTS_H

#include <stdbool.h>
#include <stdint.h>

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/limits.h>
#include <whocan/person.h>

struct wc_label {
    const char *text;
    char language[3]; /* ISO 639-1 */
    bool preferred;   /* the first of its language */
    uint32_t line;    /* where it stands in its file */
};

/* A skill, a role or a subject. Texts are NUL-terminated; those not given are NULL. */
struct wc_concept {
    const char *id; /* "web:blogging" */
    const struct wc_label *labels;
    uint32_t label_count;
    uint32_t vocabulary;                          /* its number */
    uint32_t line;                                /* of its [section] */
    const uint32_t *broader, *narrower, *related; /* numbers of concepts */
    uint32_t broader_count, narrower_count, related_count;
    const char *about;
    const char *levels[WC_LEVEL_EXPERT + 1]; /* by enum wc_level */
};

/* What a file says of itself; its concepts are numbered one after the other. */
struct wc_vocabulary_head {
    const char *file;                          /* for errors, as it was given */
    const char *id, *title, *licence, *source; /* NULL when not given, but for the id */
    uint32_t first, count;                     /* its concepts */
    uint64_t labels_count;
};

/* What is wrong in a file. Line 0: the file as a whole. */
struct wc_fault {
    const char *file;
    uint32_t line;
    bool remark;      /* may be meant: the file is read all the same */
    const char *text; /* one line; quotes what the file says, which may be anything */
};
typedef void (*wc_fault_fn)(void *ctx, const struct wc_fault *fault);

/* A set of concepts out of several files. */
struct wc_concepts;

/* An empty set. `fault` is called for what is wrong, as it is found. -WC_ENOMEM. */
int wc_concepts_new(struct wc_concepts **out, wc_fault_fn fault, void *ctx);
void wc_concepts_free(struct wc_concepts *c); /* NULL is fine */

/*
 * Read one file's text, to its end whatever is wrong in it; `name` is for faults.
 * -WC_ECONFIG when there was a fault, -WC_ENOMEM. After either the set is good for reading
 * more files, to find their faults too, and to be freed.
 */
int wc_concepts_read(struct wc_concepts *c, struct wc_slice text, const char *name);

/*
 * Once, after the last file: find what is near to what. An id without a prefix means that
 * of its own vocabulary, or else the only one of that name. What is broader than itself,
 * in however many steps, is a fault. -WC_ECONFIG, -WC_ENOMEM.
 */
int wc_concepts_resolve(struct wc_concepts *c);

/* Remark on labels that two concepts of one vocabulary share, apart from case. Returns on
 * how many, or -WC_ENOMEM. */
int wc_concepts_remark(struct wc_concepts *c);

/* How many concepts there are, and one of them (i below that), the set's own. */
uint32_t wc_concepts_count(const struct wc_concepts *c);
const struct wc_concept *wc_concepts_at(const struct wc_concepts *c, uint32_t i);
/* By id, with or without its vocabulary; UINT32_MAX: there is none, or several. */
uint32_t wc_concepts_find(const struct wc_concepts *c, struct wc_slice id);

/* How many vocabularies were read, and what one of them says of itself. */
uint32_t wc_concepts_heads_count(const struct wc_concepts *c);
const struct wc_vocabulary_head *wc_concepts_head(const struct wc_concepts *c,
                                                  uint32_t i);

/* What a concept is called: preferred in that language, else in English, else at all. */
const char *wc_concept_name(const struct wc_concept *c, const char *language);

/* Whether a text is an id: 1 to WC_CONCEPT_ID_MAX_BYTES of a-z, 0-9 and '-'. */
bool wc_concept_id_valid(struct wc_slice id);

/* ---- writing ---- */

/*
 * Append a line "key = value" to a vocabulary file. What would be read otherwise than it
 * is meant is changed: line ends become spaces, and " ;", which begins a comment, loses its
 * space. Long lines go on in the next; a word of more than 900 bytes is cut. Sticky failure in *out.
 */
void wc_vocabulary_write_text(struct wc_buf *out, const char *key,
                              struct wc_slice text);

/* The same of a list of labels or ids, parted by `separator` ('|' or ','), which becomes a
 * slash inside of one. */
void wc_vocabulary_write_list(struct wc_buf *out, const char *key, char separator,
                              const struct wc_slice *items, uint32_t count);

#endif
