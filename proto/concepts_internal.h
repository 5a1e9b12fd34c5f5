/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a set of concepts share: concepts.c keeps it and finds what is near,
 * concepts_read.c fills it. */
#ifndef PROTO_CONCEPTS_INTERNAL_H
#define PROTO_CONCEPTS_INTERNAL_H

#include <whocan/concepts.h>

#define NO_CONCEPT UINT32_MAX
#define ID_BYTES   (2 * WC_CONCEPT_ID_MAX_BYTES + 2) /* vocabulary, colon, concept */

/* A reference as it was written, until all files are read. */
struct wc_reference {
    uint32_t from, line;
    bool broader;
    const char *id;
};

struct wc_chunk; /* of the texts: thousands of short ones, freed together */

struct wc_concepts {
    wc_fault_fn fault;
    void *ctx;
    struct wc_concept *items;
    uint32_t count, cap;
    uint32_t
        *same_name; /* beside items: the one before it of the same bare name, + 1 */
    uint32_t same_cap;
    struct wc_vocabulary_head heads[WC_VOCABULARIES_MAX_COUNT];
    uint32_t heads_count;
    struct wc_reference *references;
    uint32_t references_count, references_cap;
    uint32_t *by_id, *by_name; /* open addressing: concept + 1, or 0 */
    uint32_t slots_count;
    struct wc_chunk *chunks;
};

/* Memory that lives as long as the set, or NULL. */
void *wc_concepts_alloc(struct wc_concepts *c, size_t size);
const char *wc_concepts_text(struct wc_concepts *c, struct wc_slice text);

/* Room for one more element of an array that doubles; NULL when memory is out. */
void *wc_concepts_room(void *items, uint32_t count, uint32_t *cap, size_t size);

/* Say what is wrong: the pieces of a sentence, NULL at the end. -WC_ECONFIG, or
 * -WC_ENOMEM. */
int wc_concepts_fault(struct wc_concepts *c, const char *file, uint32_t line,
                      bool remark, const char *piece, ...) __attribute__((sentinel));

/* The concept of that very id ("web:blogging"), or NO_CONCEPT. */
uint32_t wc_concepts_exact(const struct wc_concepts *c, struct wc_slice id);

/* Enter the latest concept into the tables of ids. -WC_ENOMEM. */
int wc_concepts_enter(struct wc_concepts *c);

#endif
