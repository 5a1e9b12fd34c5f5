/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of the index, for who misspells them: one table a scope (spelling.h), so that
 * what is for the home office alone can neither show up in nor be missing from a question
 * from elsewhere. Memory may run out for a word: then it is not offered, and still found.
 */
#include "daemon/index_internal.h"

static int keep_label(void *ctx, struct wc_slice word)
{
    int rc = wc_spelling_keep(ctx, word, false);
    return rc == -WC_EFULL ? 0 : rc;
}

int wc_index_words_labels(struct wc_index *ix)
{
    struct wc_spelling *s = ix->spelling[WC_SCOPE_ORGANISATION];
    wc_spelling_release(s);
    return ix->vocabulary == NULL
               ? 0
               : wc_vocabulary_words(ix->vocabulary, ix->text, keep_label, s);
}

int wc_index_words_init(struct wc_index *ix)
{
    struct wc_spelling **s = ix->spelling;
    int rc = 0;
    for (int i = 0; rc == 0 && i < WC_SCOPES; i++)
        rc = wc_spelling_new(&s[i], ix->terms.lexicon.hash_key, WC_SPELLING_WORDS_MAX);
    for (const char *const *w = wc_text_stops(); rc == 0 && *w != NULL; w++)
        rc = wc_spelling_keep(s[WC_SCOPE_ORGANISATION], wc_slice_text(*w), true);
    return rc == 0 ? wc_index_words_labels(ix) : rc;
}

void wc_index_words_fini(struct wc_index *ix)
{
    for (int i = 0; i < WC_SCOPES; i++)
        wc_spelling_free(ix->spelling[i]);
}

void wc_index_words_clear(struct wc_index *ix)
{
    for (int i = 0; i < WC_SCOPES; i++)
        wc_spelling_clear(ix->spelling[i]);
}

/* Numbers and numbered logins are copied, not remembered, and with another digit mean
 * somebody else: they are not offered for a misspelt word. They would be most of the words
 * of a large organisation, each near to hundreds of others. */
#define DIGITS_MAX 3

static bool is_numbered(struct wc_slice word)
{
    uint32_t digits = 0;
    for (size_t i = 0; i < word.len; i++)
        digits += word.data[i] >= '0' && word.data[i] <= '9';
    return digits > DIGITS_MAX;
}

void wc_index_word_set(struct wc_index *ix, struct wc_slice key, uint32_t people)
{
    unsigned kind = key.data[0];
    bool home = (kind & WC_TERM_HOME) != 0;
    if ((kind & ~(unsigned)WC_TERM_HOME) != WC_TERM_WORD ||
        is_numbered(wc_slice(key.data + 1, key.len - 1)))
        return;
    (void)wc_spelling_set(ix->spelling[home ? WC_SCOPE_HOME : WC_SCOPE_ORGANISATION],
                          wc_slice(key.data + 1, key.len - 1), people);
}

/* ---- all of them ---- */

struct load {
    struct wc_index *ix;
    uint8_t kind;
    uint32_t people_min, people_max;
};

/* The words of one scope, which stand together in the dictionary. */
static int load_fn(struct wc_txn *t, void *ctx)
{
    const struct load *l = ctx;
    struct wc_cursor c;
    int rc = wc_cursor_open(&c, t, WC_IX_TERM);
    if (rc == 0)
        rc = wc_cursor_seek(&c, wc_slice(&l->kind, 1));
    while (rc == 0 && c.key.len > 1 && c.key.data[0] == l->kind) {
        if (c.value.len != WC_TERM_VALUE_BYTES) {
            rc = -WC_ECORRUPT;
            break;
        }
        uint32_t people = wc_get_u32(c.value.data + 4);
        if (people >= l->people_min && people <= l->people_max)
            wc_index_word_set(l->ix, c.key, people);
        rc = wc_cursor_next(&c);
    }
    wc_cursor_close(&c);
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

static int count_fn(struct wc_txn *t, void *ctx)
{
    return wc_txn_count(t, WC_IX_TERM, ctx);
}

int wc_index_words_load(struct wc_index *ix)
{
    /* when there are too many words, those that only one person has stay away */
    struct load loads[] = {{ix, WC_TERM_WORD, 2, UINT32_MAX},
                           {ix, WC_TERM_WORD, 1, 1},
                           {ix, WC_TERM_WORD | WC_TERM_HOME, 1, UINT32_MAX}};
    uint64_t terms = 0;
    int rc = wc_store_read(ix->store, count_fn, &terms);
    /* about a third are words; too little memory shows when they come */
    if (rc == 0 && terms / 3 < WC_SPELLING_WORDS_MAX)
        (void)wc_spelling_reserve(ix->spelling[WC_SCOPE_ORGANISATION],
                                  (uint32_t)(terms / 3));
    for (size_t i = 0; rc == 0 && i < sizeof(loads) / sizeof(loads[0]); i++)
        rc = wc_store_read(ix->store, load_fn, &loads[i]);
    return rc;
}
