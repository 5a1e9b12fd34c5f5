/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question, read: groups, one for each word that says something, each with the terms
 * that it may be found by (the word as written, its stems, other spellings, concepts of
 * the vocabulary), and whole names. docs/search.md has the weights and their reasons.
 */
#ifndef WHOCAN_DAEMON_QUESTION_H
#define WHOCAN_DAEMON_QUESTION_H

#include "daemon/store.h"
#include "daemon/terms.h"
#include "daemon/text.h"
#include "daemon/vocabulary.h"

#define WC_ASKED_GROUPS_MAX  32  /* words that count; a long letter has more */
#define WC_ASKED_WORDS_MAX   256 /* words that are looked at */
#define WC_ASKED_TERMS_MAX   64  /* terms of one group, in both scopes */
#define WC_ASKED_PHRASES_MAX 32

/* Below this weight somebody is near the subject, but does not answer to the word. */
#define WC_WEIGHT_ANSWERS 0.4F

struct wc_asked_term {
    uint32_t at, len; /* the key, in the text of the question */
    float weight;
    uint32_t number; /* 0: not in the dictionary */
    uint32_t people; /* who have it */
    uint8_t max;     /* no impact of it is larger */
    uint32_t worth;  /* of one of impact 1, for its word */
};

/* One word: whoever has any of its terms has it, and the best one counts. */
struct wc_asked_group {
    struct wc_asked_term terms[WC_ASKED_TERMS_MAX];
    uint32_t term_count;
    float rarity;
    uint32_t found; /* its part of the rarity of all, and that for being near it */
    uint32_t near;
};

/* A whole name that somebody uses, made of words of the question. */
struct wc_asked_phrase {
    struct wc_asked_term term, home_term;
    uint32_t groups; /* bit set of those that its words belong to */
    float rarity;    /* of its words together */
};

/* A word as it stands in the question. */
struct wc_asked_spot {
    uint32_t at, len;
    int group; /* -1: a stop word */
};

/* Zero-initialise; set `home` before it is read. */
struct wc_question {
    struct wc_buf text;
    struct wc_asked_spot spots[WC_ASKED_WORDS_MAX];
    uint32_t spot_count;
    struct wc_asked_group groups[WC_ASKED_GROUPS_MAX];
    uint32_t group_count;
    struct wc_asked_phrase phrases[WC_ASKED_PHRASES_MAX];
    uint32_t phrase_count;
    float rarity;       /* of all groups together */
    bool initials[256]; /* first bytes of the terms */
    bool home;          /* terms of the home office's scope are searched too */
    const struct wc_vocabulary *vocabulary; /* that it was read with, or NULL */
    /* Scores are sums of whole numbers, so that their order does not matter. */
    double share;   /* turns such a sum into a share of the perfect one */
    uint32_t found; /* that of all groups together */
};
void wc_question_fini(struct wc_question *q);

/*
 * Take a text apart into groups. `text` does the folding, `words` is room to work in, `v`
 * (NULL: none) has the concepts. -WC_EINVALID: there is no word to search for,
 * -WC_ETOOBIG: over WC_QUERY_MAX_BYTES, -WC_ENOMEM.
 */
int wc_question_read(struct wc_question *q, struct wc_text *text,
                     struct wc_words *words, const struct wc_vocabulary *v,
                     struct wc_slice in);

/* Look its terms up in the dictionary of an index with so many people: numbers, rarities,
 * phrases, and what each is worth. -WC_ECORRUPT, -WC_EIO, -WC_ENOMEM. */
int wc_question_look_up(struct wc_question *q, struct wc_txn *t, uint64_t people);

/* The key of a term; borrowed until the question changes. */
struct wc_slice wc_question_key(const struct wc_question *q,
                                const struct wc_asked_term *t);

#endif
