/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question, read: groups, one for each word that says something, each with the terms
 * that it may be found by (the word as written, its stems, other spellings, concepts of
 * the vocabulary), and whole names. docs/search.md has the weights and their reasons.
 */
#ifndef WHOCAN_DAEMON_QUESTION_H
#define WHOCAN_DAEMON_QUESTION_H

#include "daemon/spelling.h"
#include "daemon/store.h"
#include "daemon/terms.h"
#include "daemon/text.h"
#include "daemon/vocabulary.h"

#define WC_ASKED_GROUPS_MAX  32  /* words that count; a long letter has more */
#define WC_ASKED_WORDS_MAX   256 /* words that are looked at */
#define WC_ASKED_TERMS_MAX   64  /* terms of one group, in both scopes */
#define WC_ASKED_PHRASES_MAX 32

/* For a whole name ("content design"): three quarters of its words' worth on top. */
#define WC_WEIGHT_NAME 0.75F
/* Below this weight somebody is near the subject, but does not answer to the word. */
#define WC_WEIGHT_ANSWERS 0.4F

struct wc_asked_term {
    uint32_t at, len; /* the key, in the text of the question */
    float weight;
    uint32_t number; /* 0: not in the dictionary */
    uint32_t people; /* who have it */
    uint8_t max;     /* no impact of it is larger */
    uint32_t worth;  /* of one of impact 1, for its word */
    bool sought;     /* in the dictionary: the two above say something */
    uint8_t by; /* the correction that it comes from, counted from 1; 0: as typed */
};

/* One word: whoever has any of its terms has it, and the best one counts. */
struct wc_asked_group {
    struct wc_asked_term terms[WC_ASKED_TERMS_MAX];
    uint32_t term_count;
    float rarity;
    bool corrected;
};

/* A whole name that somebody uses, made of words of the question. */
struct wc_asked_phrase {
    struct wc_asked_term term, home_term;
    uint32_t groups; /* bit set of those that its words belong to */
    float rarity;    /* of its words together */
};

/* A word as it stands in the question. */
struct wc_asked_spot {
    uint32_t at, len;                 /* folded */
    uint32_t written_at, written_len; /* as it was typed, or the beginning of it */
    int group;                        /* -1: a stop word */
    float factor; /* how sure the word is: 1 as typed, less when corrected */
    uint8_t by;   /* as of a term */
};

/* What was taken for something else. */
struct wc_asked_correction {
    uint32_t from_at, from_len, to_at, to_len; /* in the text of the question */
    float weight; /* of what one word was taken for, if it is one word */
    bool needed;  /* nobody has what was typed */
    bool found;   /* somebody has what it was taken for */
};
#define WC_ASKED_CORRECTIONS_MAX (WC_CORRECTED_MAX_COUNT * WC_SPELLED_MAX)

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
    bool unfinished;    /* the text ends in its last word: it may go on */
    bool stops_only;    /* each of its words is one that questions are made of */
    const struct wc_vocabulary *vocabulary; /* that it was read with, or NULL */
    /* Scores are sums of whole numbers, so that their order does not matter. */
    double share; /* turns such a sum into a share of the perfect one */
    struct wc_asked_correction corrections[WC_ASKED_CORRECTIONS_MAX];
    uint32_t correction_count;
    uint32_t corrected_count; /* words that were looked at for mistakes */
    uint8_t by;               /* of the terms that are being added */
    struct wc_spelling_work work;
};

/* What it takes to read a question. All is borrowed. */
struct wc_question_tools {
    struct wc_text *text;                   /* for folding */
    struct wc_words *words;                 /* room to work in */
    const struct wc_vocabulary *vocabulary; /* NULL: none */
    struct wc_spelling *spelling;           /* of everybody's words */
    struct wc_spelling *home_spelling;      /* of those of the home office alone */
};
void wc_question_fini(struct wc_question *q);

/*
 * Take a text apart into groups. -WC_EINVALID: there is no word to search for,
 * -WC_ETOOBIG: over WC_QUERY_MAX_BYTES, -WC_ENOMEM.
 */
int wc_question_read(struct wc_question *q, const struct wc_question_tools *tools,
                     struct wc_slice in);

/* Look its terms up in the dictionary of an index with so many people: numbers, rarities,
 * phrases, and what each is worth. Words that nobody has are corrected (correct.h).
 * -WC_ECORRUPT, -WC_EIO, -WC_ENOMEM. */
int wc_question_look_up(struct wc_question *q, const struct wc_question_tools *tools,
                        struct wc_txn *t, uint64_t people);

/* The question led nowhere: correct words that somebody has, too. *changed: it is worth
 * another search. Errors as above. */
int wc_question_retry(struct wc_question *q, const struct wc_question_tools *tools,
                      struct wc_txn *t, uint64_t people, bool *changed);

/* The key of a term; borrowed until the question changes. */
struct wc_slice wc_question_key(const struct wc_question *q,
                                const struct wc_asked_term *t);

/* ---- for correct.c ---- */

/* That share of a weight, but what answered to its word still does. */
float wc_question_share(float weight, float factor);
/* A word with its stems, for a group that it may be found by. It must not lie in the text
 * of the question, which may move. */
void wc_question_add_word(struct wc_question *q, struct wc_text *text,
                          struct wc_asked_group *g, struct wc_slice word, float factor);
/* The same of a concept with what is near it. */
void wc_question_add_concept(struct wc_question *q, struct wc_asked_group *g,
                             const struct wc_vocabulary *v, const struct wc_mention *m,
                             float factor);
/* Look up the terms of a group that were not sought yet. */
int wc_question_seek(struct wc_question *q, struct wc_txn *t, struct wc_asked_group *g);
/* Whether somebody has a term of a group. */
bool wc_question_has(const struct wc_asked_group *g);

#endif
