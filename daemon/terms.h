/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a person to the terms that find them. A person is first taken apart into units
 * (one skill, one interest, one sentence of "ask me about"), and a unit into terms; the
 * units also say why somebody was found. docs/search.md has the weights and their
 * reasons.
 */
#ifndef WHOCAN_DAEMON_TERMS_H
#define WHOCAN_DAEMON_TERMS_H

#include "daemon/lexicon.h"
#include "daemon/people.h"
#include "daemon/text.h"
#include "daemon/vocabulary.h"

/* Goes up with every change of terms, impacts or traits: the index is then built anew. */
#define WC_TERMS_VERSION 6

enum wc_unit_kind {
    WC_UNIT_NAME,
    WC_UNIT_HANDLE,
    WC_UNIT_TITLE,
    WC_UNIT_TEAM,
    WC_UNIT_SKILL,  /* in the person's own words */
    WC_UNIT_LISTED, /* a skill from the directory */
    WC_UNIT_INTEREST,
    WC_UNIT_ABOUT, /* one sentence of "ask me about" */
    WC_UNIT_LANGUAGE,
    WC_UNIT_OFFICE,
};

struct wc_unit {
    enum wc_unit_kind kind;
    struct wc_slice text;         /* borrowed from the view */
    const struct wc_skill *skill; /* of the two skill kinds, else NULL */
    float weight;
};

#define WC_ABOUT_PARTS_MAX 16
#define WC_UNITS_MAX                                                                   \
    (6 + WC_SKILLS_MAX_COUNT + WC_INTERESTS_MAX_COUNT + WC_LANGUAGES_MAX_COUNT +       \
     WC_ABOUT_PARTS_MAX)

/* The units of a person; office is the name and title of theirs. Returns how many. */
uint32_t wc_units(const struct wc_people_view *v, struct wc_slice subject,
                  struct wc_slice office, struct wc_unit out[WC_UNITS_MAX]);

/* The units of what the home office sees beside those: of v->local alone. */
uint32_t wc_units_home(const struct wc_people_view *v,
                       struct wc_unit out[WC_UNITS_MAX]);

/* What the score of an expert's own skill, named once, is: the measure of a score. */
double wc_terms_reference(void);

/* A kind of term. Its number is the first byte of the key. */
enum wc_term_kind {
    WC_TERM_WORD = 1,    /* as written, folded */
    WC_TERM_STEM = 2,    /* in any of the languages */
    WC_TERM_PHRASE = 3,  /* a whole name of 1 to WC_PHRASE_WORDS_MAX words */
    WC_TERM_CONCEPT = 4, /* the id of a concept of the vocabulary */
    WC_TERM_SKILL = 5, /* a skill that somebody has, to be counted: no question asks */
};
/* The text of a skill: this and the id of the concept that it is, or this, the folded
 * words of its name, a NUL and the name as it is written. */
#define WC_SKILL_CONCEPT 1
#define WC_SKILL_NAME    2
/* Added to the kind of a term of what is for the home office: a scope of its own, with its
 * own people and counts, which only a question of the home office opens. */
#define WC_TERM_HOME        0x40
#define WC_PHRASE_WORDS_MAX 5
#define WC_TERM_MAX_BYTES   (1 + WC_PHRASE_WORDS_MAX * (WC_WORD_MAX_BYTES + 1))

/* Terms of one person: the rest of a longer one is not searched for. */
#define WC_TERMS_MAX_COUNT 4096

struct wc_term {
    uint32_t id;    /* in the lexicon of the set */
    float weight;   /* sum over the units */
    float best;     /* of one unit */
    bool named;     /* in the name or the handle */
    uint8_t impact; /* 1..255, after wc_terms_finish; 0: not to be kept */
};

/* The words of one unit, kept while the text goes on: the rest of a longer one is not
 * looked at for concepts. */
#define WC_UNIT_WORDS_MAX 256
struct wc_words {
    uint8_t bytes[WC_UNIT_WORDS_MAX][WC_WORD_MAX_BYTES];
    struct wc_slice at[WC_UNIT_WORDS_MAX];
    uint32_t count;
};
void wc_words_add(struct wc_words *w, struct wc_slice word);

/* A concept of a unit, and how much of the unit's weight it has. */
struct wc_unit_concept {
    uint32_t concept;
    float factor;
};
#define WC_UNIT_CONCEPTS_MAX 16

/* The concepts of a unit whose words are given. Returns how many, each once. */
uint32_t wc_unit_concepts(const struct wc_vocabulary *v, struct wc_text *text,
                          const struct wc_unit *u, const struct wc_words *words,
                          struct wc_unit_concept out[WC_UNIT_CONCEPTS_MAX]);

/* The terms of one person at a time, and what was learnt of those before. Zero-initialise
 * but for the hash key of the lexicon. */
struct wc_terms {
    struct wc_lexicon lexicon;
    struct wc_term *items;
    uint32_t count, cap;
    struct wc_terms_place *places; /* of each term of the lexicon among the items */
    uint32_t place_cap;
    uint32_t person;       /* a number for each, so that places need not be cleared */
    struct wc_step *steps; /* of the unit at hand */
    uint32_t step_count, step_cap;
    struct wc_buf key;
    struct wc_words words; /* of the unit at hand */
    uint8_t opens[WC_UNIT_WORDS_MAX];
    uint8_t scope;      /* 0, or WC_TERM_HOME: of the terms that are added */
    uint32_t home_from; /* items from here on are of that scope */
};
void wc_terms_fini(struct wc_terms *s);
/* Begin another person. */
void wc_terms_reset(struct wc_terms *s);
/* Forget what was learnt, and give the memory back; before another vocabulary, and between
 * people. Numbers of terms are void. */
void wc_terms_forget(struct wc_terms *s);

/* From here on terms are of the home office's scope, until the set is reset. */
void wc_terms_go_home(struct wc_terms *s);

/* Add the terms of a unit. -WC_ENOMEM. */
int wc_terms_add(struct wc_terms *s, struct wc_text *text,
                 const struct wc_vocabulary *vocabulary, const struct wc_unit *u);

/* Turn weights into impacts. Willing may itself be for the home office alone. */
void wc_terms_finish(struct wc_terms *s, bool willing, bool willing_at_home);

/* Append the key of a term to *out: an enum wc_term_kind, perhaps with WC_TERM_HOME. */
void wc_term_key(struct wc_buf *out, unsigned kind, struct wc_slice text);

#endif
