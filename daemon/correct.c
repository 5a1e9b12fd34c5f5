/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/correct.h"

#include <string.h>

#include "daemon/index_internal.h"

#define MENTIONS_MAX      16
#define PREFIX_SCAN_COUNT 128 /* words of one beginning that are looked at */
#define PREFIX_LETTERS    3   /* a shorter beginning says too little */
#define JOINED_LETTERS    5   /* "e mail", but not "c at" */
#define HALF_LETTERS      3 /* the least of a word that was written with another one */

/* Written together or apart, words are as far away as a part of a word is; an ending that
 * is missing is one mistake, or none. */
#define FACTOR_JOINED 0.7F
#define FACTOR_SPLIT  0.7F
#define FACTOR_PREFIX 0.7F
#define FACTOR_PART   0.7F /* "government" of "e-government" */
/* A word that is nearer than this is more likely than two words written as one. */
#define BELOW_SPLIT 0.6F

/* A word as typed, kept while the text of the question moves. */
struct typed {
    uint8_t bytes[WC_WORD_MAX_BYTES];
    size_t len;
};

static struct wc_slice slice_of(const struct typed *w)
{
    return wc_slice(w->bytes, w->len);
}

static void copy_word(struct typed *out, struct wc_slice word)
{
    out->len = word.len < sizeof(out->bytes) ? word.len : sizeof(out->bytes);
    memcpy(out->bytes, word.data, out->len);
}

/* The word that a group was made for. */
static void typed_word(const struct wc_question *q, const struct wc_asked_group *g,
                       struct typed *out)
{
    struct wc_slice key = wc_question_key(q, &g->terms[0]);
    copy_word(out, wc_slice(key.data + 1, key.len - 1));
}

/* A spot as it was typed, for people; what one character makes several words of is shown
 * folded. */
static void written_word(const struct wc_question *q, const struct wc_asked_spot *s,
                         struct typed *out)
{
    copy_word(out, s->written_len > 0
                       ? wc_slice(q->text.data + s->written_at, s->written_len)
                       : wc_slice(q->text.data + s->at, s->len));
}

/* The same of a group, where it is first. */
static void written_group(const struct wc_question *q, uint32_t group,
                          struct typed *out)
{
    uint32_t i = 0;
    while (i + 1 < q->spot_count && q->spots[i].group != (int)group)
        i++;
    written_word(q, &q->spots[i], out);
}

/* ---- what was corrected ---- */

static bool is_full(const struct wc_question *q)
{
    return q->correction_count == WC_ASKED_CORRECTIONS_MAX;
}

static void append(struct wc_question *q, struct wc_slice a, struct wc_slice b,
                   uint32_t *at, uint32_t *len)
{
    *at = (uint32_t)q->text.len;
    wc_buf_append(&q->text, a.data, a.len);
    if (b.len > 0) {
        wc_buf_byte(&q->text, ' ');
        wc_buf_append(&q->text, b.data, b.len);
    }
    *len = (uint32_t)q->text.len - *at;
}

/* From one or two words to one or two words; those that are added from here on come from
 * it. The second of a pair may be empty. */
static struct wc_asked_correction *note(struct wc_question *q,
                                        const struct wc_slice from[2],
                                        const struct wc_slice to[2], bool needed)
{
    struct wc_asked_correction *c = &q->corrections[q->correction_count++];
    *c = (struct wc_asked_correction){.needed = needed};
    append(q, from[0], from[1], &c->from_at, &c->from_len);
    append(q, to[0], to[1], &c->to_at, &c->to_len);
    q->by = (uint8_t)q->correction_count;
    return c;
}

static void note_found(struct wc_question *q)
{
    for (uint32_t i = 0; i < q->group_count; i++)
        for (uint32_t k = 0; k < q->groups[i].term_count; k++)
            if (q->groups[i].terms[k].by > 0 && q->groups[i].terms[k].people > 0)
                q->corrections[q->groups[i].terms[k].by - 1].found = true;
}

/* ---- words that are known ---- */

static struct wc_spelling_word find(const struct wc_question *q,
                                    const struct wc_question_tools *tools,
                                    struct wc_slice word)
{
    struct wc_spelling_word w = wc_spelling_find(tools->spelling, word);
    if (q->home) {
        struct wc_spelling_word home = wc_spelling_find(tools->home_spelling, word);
        w.known = w.known || home.known;
        w.people = w.people > home.people ? w.people : home.people;
    }
    return w;
}

/* The concepts that a word by itself names. */
static void add_concepts_of(struct wc_question *q,
                            const struct wc_question_tools *tools,
                            struct wc_asked_group *g, struct wc_slice word,
                            float factor)
{
    struct wc_mention found[MENTIONS_MAX];
    if (tools->vocabulary == NULL)
        return;
    uint32_t n = wc_vocabulary_mentions(tools->vocabulary, tools->text, &word, 1, found,
                                        MENTIONS_MAX);
    for (uint32_t i = 0; i < n; i++)
        wc_question_add_concept(q, g, tools->vocabulary, &found[i], factor);
}

/* ---- neighbours that are one word ---- */

static int join_two(struct wc_question *q, const struct wc_question_tools *tools,
                    struct wc_txn *t, uint32_t i)
{
    const struct wc_asked_spot *a = &q->spots[i], *b = &q->spots[i + 1];
    struct wc_asked_group *groups[2];
    struct typed whole, written[2];
    if (a->group < 0 || b->group < 0 || a->group == b->group ||
        a->len + b->len > WC_WORD_MAX_BYTES || a->len + b->len < JOINED_LETTERS)
        return 0;
    memcpy(whole.bytes, q->text.data + a->at, a->len);
    memcpy(whole.bytes + a->len, q->text.data + b->at, b->len);
    whole.len = a->len + b->len;
    struct wc_spelling_word known = find(q, tools, slice_of(&whole));
    if (!known.known || known.stop)
        return 0;
    groups[0] = &q->groups[a->group];
    groups[1] = &q->groups[b->group];
    written_word(q, a, &written[0]);
    written_word(q, b, &written[1]);
    const struct wc_slice from[2] = {slice_of(&written[0]), slice_of(&written[1])};
    const struct wc_slice to[2] = {slice_of(&whole), {0}};
    note(q, from, to, !wc_question_has(groups[0]) || !wc_question_has(groups[1]));
    int rc = 0;
    for (int k = 0; rc == 0 && k < 2; k++) {
        wc_question_add_word(q, tools->text, groups[k], to[0], FACTOR_JOINED);
        add_concepts_of(q, tools, groups[k], to[0], FACTOR_JOINED);
        rc = wc_question_seek(q, t, groups[k]);
    }
    q->by = 0;
    return rc;
}

static int join_neighbours(struct wc_question *q, const struct wc_question_tools *tools,
                           struct wc_txn *t)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i + 1 < q->spot_count && !is_full(q); i++)
        rc = join_two(q, tools, t, i);
    return rc;
}

/* ---- what a word may have meant ---- */

struct meant {
    struct wc_spelled at[WC_SPELLED_MAX];
    uint32_t count;
};

static bool is_before(const struct wc_spelled *a, const struct wc_spelled *b)
{
    if (a->weight > b->weight || a->weight < b->weight)
        return a->weight > b->weight;
    if (a->stop != b->stop)
        return a->stop;
    if (a->people != b->people)
        return a->people > b->people;
    return wc_slice_cmp(wc_slice(a->text, a->len), wc_slice(b->text, b->len)) < 0;
}

static void take_out(struct meant *m, uint32_t i)
{
    m->count--;
    memmove(&m->at[i], &m->at[i + 1], (m->count - i) * sizeof(m->at[0]));
}

/* The best ones, each once. */
static void add_meant(struct meant *m, const struct wc_spelled *w)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->at[i].len != w->len || memcmp(m->at[i].text, w->text, w->len) != 0)
            continue;
        if (!is_before(w, &m->at[i]))
            return;
        take_out(m, i);
        break;
    }
    uint32_t at = m->count;
    while (at > 0 && is_before(w, &m->at[at - 1]))
        at--;
    if (at == WC_SPELLED_MAX)
        return;
    if (m->count < WC_SPELLED_MAX)
        m->count++;
    memmove(&m->at[at + 1], &m->at[at], (m->count - at - 1) * sizeof(m->at[0]));
    m->at[at] = *w;
}

static void add_near(struct wc_question *q, const struct wc_question_tools *tools,
                     struct wc_slice word, float factor, struct meant *m)
{
    struct wc_spelled near[WC_SPELLED_MAX];
    for (int scope = 0; scope < (q->home ? 2 : 1); scope++) {
        uint32_t n = wc_spelling_suggest(
            scope == 0 ? tools->spelling : tools->home_spelling, word, near, &q->work);
        for (uint32_t i = 0; i < n; i++) {
            near[i].weight *= factor;
            add_meant(m, &near[i]);
        }
    }
}

/* Other spellings and parts of the word, when it is near to nothing as it stands. */
static void add_near_parts(struct wc_question *q, const struct wc_question_tools *tools,
                           const struct wc_asked_group *g, struct meant *m)
{
    for (uint32_t i = 1; i < g->term_count && m->count == 0; i++) {
        struct wc_slice key = wc_question_key(q, &g->terms[i]);
        /* stems are words, too, and weigh as much as a stem does */
        if (key.data[0] == WC_TERM_WORD && g->terms[i].weight < FACTOR_PART + 0.01F &&
            g->terms[i].weight > FACTOR_PART - 0.01F)
            add_near(q, tools, wc_slice(key.data + 1, key.len - 1), FACTOR_PART, m);
    }
}

/* Words of one scope that begin like this one. */
static int add_endings(struct wc_question *q, struct wc_txn *t, uint8_t kind,
                       struct wc_slice word, struct meant *m)
{
    uint8_t key[1 + WC_WORD_MAX_BYTES];
    struct wc_cursor c;
    key[0] = kind;
    memcpy(key + 1, word.data, word.len);
    struct wc_slice prefix = wc_slice(key, 1 + word.len);
    int rc = wc_cursor_open(&c, t, WC_IX_TERM);
    if (rc == 0)
        rc = wc_cursor_seek(&c, prefix);
    for (int i = 0; rc == 0 && i < PREFIX_SCAN_COUNT; i++) {
        struct wc_slice k = c.key;
        if (k.len < prefix.len || memcmp(k.data, key, prefix.len) != 0)
            break;
        if (k.len > prefix.len && k.len - 1 <= WC_WORD_MAX_BYTES) {
            struct wc_spelled w = {.len = (uint32_t)k.len - 1, .weight = FACTOR_PREFIX};
            memcpy(w.text, k.data + 1, w.len);
            if (c.value.len != WC_TERM_VALUE_BYTES) {
                rc = -WC_ECORRUPT;
                break;
            }
            w.people = wc_get_u32(c.value.data + 4);
            add_meant(m, &w);
        }
        q->work.keys++;
        rc = wc_cursor_next(&c);
    }
    wc_cursor_close(&c);
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

static bool is_last(const struct wc_question *q, uint32_t group)
{
    return q->spot_count > 0 && q->spots[q->spot_count - 1].group == (int)group;
}

static int find_meant(struct wc_question *q, const struct wc_question_tools *tools,
                      struct wc_txn *t, uint32_t i, struct wc_slice word,
                      struct meant *m)
{
    int rc = 0;
    add_near(q, tools, word, 1.0F, m);
    if (m->count == 0)
        add_near_parts(q, tools, &q->groups[i], m);
    if (!q->unfinished || !is_last(q, i) || word.len < PREFIX_LETTERS)
        return 0;
    rc = add_endings(q, t, WC_TERM_WORD, word, m);
    if (rc == 0 && q->home)
        rc = add_endings(q, t, WC_TERM_WORD | WC_TERM_HOME, word, m);
    return rc;
}

/* ---- two words that were written as one ---- */

struct halves {
    struct wc_slice left, right;
    uint32_t people; /* who have the one that fewer have */
};

static bool is_half(const struct wc_question *q, const struct wc_question_tools *tools,
                    struct wc_slice word, uint32_t *people)
{
    struct wc_spelling_word w = find(q, tools, word);
    *people = w.people;
    return word.len >= HALF_LETTERS && w.people > 0 && !w.stop;
}

/* Where both halves are words that somebody has, and the most at that. Norwegian often has
 * an s between them: "informasjonssikkerhet". */
static bool find_halves(const struct wc_question *q,
                        const struct wc_question_tools *tools, struct wc_slice word,
                        struct halves *out)
{
    *out = (struct halves){.people = 0};
    for (size_t cut = HALF_LETTERS; cut + HALF_LETTERS <= word.len; cut++) {
        struct wc_slice left = wc_slice(word.data, cut);
        struct wc_slice right = wc_slice(word.data + cut, word.len - cut);
        uint32_t left_people, right_people;
        if ((right.data[0] & 0xC0) == 0x80 || !is_half(q, tools, right, &right_people))
            continue;
        if (!is_half(q, tools, left, &left_people)) {
            left.len--;
            if (left.data[left.len] != 's' || !is_half(q, tools, left, &left_people))
                continue;
        }
        uint32_t people = left_people < right_people ? left_people : right_people;
        if (people > out->people)
            *out = (struct halves){left, right, people};
    }
    return out->people > 0;
}

/* Wherever the word stands there are two words now. */
static void split_spots(struct wc_question *q, int left, int right)
{
    const struct wc_asked_term *a = &q->groups[left].terms[0];
    const struct wc_asked_term *b = &q->groups[right].terms[0];
    for (uint32_t i = q->spot_count; i-- > 0;) {
        struct wc_asked_spot *s = &q->spots[i];
        if (s->group != left)
            continue;
        s->at = a->at + 1;
        s->len = a->len - 1;
        s->factor = FACTOR_SPLIT;
        s->by = q->by;
        if (q->spot_count == WC_ASKED_WORDS_MAX)
            continue;
        memmove(s + 2, s + 1, (q->spot_count - i - 1) * sizeof(*s));
        s[1] = *s;
        s[1].at = b->at + 1;
        s[1].len = b->len - 1;
        s[1].group = right;
        q->spot_count++;
    }
}

static int split(struct wc_question *q, const struct wc_question_tools *tools,
                 struct wc_txn *t, uint32_t i, struct wc_slice word, bool *done)
{
    struct halves h;
    *done = q->group_count < WC_ASKED_GROUPS_MAX && find_halves(q, tools, word, &h);
    if (!*done)
        return 0;
    struct wc_asked_group *left = &q->groups[i];
    struct wc_asked_group *right = &q->groups[q->group_count++];
    struct typed written;
    written_group(q, i, &written);
    const struct wc_slice from[2] = {slice_of(&written), {0}};
    const struct wc_slice to[2] = {h.left, h.right};
    note(q, from, to, !wc_question_has(left));
    left->term_count = right->term_count = 0;
    left->corrected = right->corrected = true;
    wc_question_add_word(q, tools->text, left, h.left, FACTOR_SPLIT);
    wc_question_add_word(q, tools->text, right, h.right, FACTOR_SPLIT);
    if (q->text.failed)
        return -WC_ENOMEM;
    split_spots(q, (int)i, (int)q->group_count - 1);
    q->by = 0;
    int rc = wc_question_seek(q, t, left);
    return rc == 0 ? wc_question_seek(q, t, right) : rc;
}

/* ---- one group ---- */

/* It was a word that questions are made of: nobody needs to have it. */
static void drop_group(struct wc_question *q, uint32_t i)
{
    q->group_count--;
    memmove(&q->groups[i], &q->groups[i + 1],
            (q->group_count - i) * sizeof(q->groups[0]));
    for (uint32_t k = 0; k < q->spot_count; k++) {
        if (q->spots[k].group == (int)i)
            q->spots[k].group = -1;
        else if (q->spots[k].group > (int)i)
            q->spots[k].group--;
    }
}

static void add_group_words(struct wc_question *q,
                            const struct wc_question_tools *tools, uint32_t i,
                            const struct meant *m)
{
    struct wc_asked_group *g = &q->groups[i];
    bool needed = !wc_question_has(g);
    uint8_t best = (uint8_t)(q->correction_count + 1);
    struct typed written;
    written_group(q, i, &written);
    if (needed)
        g->term_count = 1; /* nobody has the others: make room */
    for (uint32_t k = 0; k < m->count && !is_full(q); k++) {
        const struct wc_spelled *w = &m->at[k];
        const struct wc_slice from[2] = {slice_of(&written), {0}};
        const struct wc_slice to[2] = {wc_slice(w->text, w->len), {0}};
        note(q, from, to, needed)->weight = w->weight;
        wc_question_add_word(q, tools->text, g, to[0], w->weight);
        if (k > 0) /* the best one stands in the sentence, which is read again */
            add_concepts_of(q, tools, g, to[0], w->weight);
    }
    q->by = 0;
    for (uint32_t k = 0; k < q->spot_count; k++) {
        struct wc_asked_spot *s = &q->spots[k];
        if (s->group != (int)i)
            continue;
        s->at = q->corrections[best - 1].to_at;
        s->len = q->corrections[best - 1].to_len;
        s->factor = m->at[0].weight;
        s->by = best;
    }
}

static void drop_stops(struct meant *m)
{
    for (uint32_t i = 0; i < m->count;) {
        if (m->at[i].stop)
            take_out(m, i);
        else
            i++;
    }
}

/* *here: a group is at that place which was not looked at. */
static int correct_group(struct wc_question *q, const struct wc_question_tools *tools,
                         struct wc_txn *t, uint32_t i, bool *here)
{
    struct meant m = {.count = 0};
    struct typed word;
    bool done = false;
    *here = false;
    q->groups[i].corrected = true;
    q->corrected_count++;
    typed_word(q, &q->groups[i], &word);
    int rc = find_meant(q, tools, t, i, slice_of(&word), &m);
    if (rc != 0)
        return rc;
    if (m.count > 0 && m.at[0].stop && q->group_count > 1) {
        struct typed written;
        written_group(q, i, &written);
        const struct wc_slice from[2] = {slice_of(&written), {0}};
        const struct wc_slice to[2] = {wc_slice(m.at[0].text, m.at[0].len), {0}};
        note(q, from, to, true)->found = true;
        q->by = 0;
        drop_group(q, i);
        *here = true;
        return 0;
    }
    drop_stops(&m);
    if (m.count == 0 || m.at[0].weight < BELOW_SPLIT)
        rc = split(q, tools, t, i, slice_of(&word), &done);
    if (rc == 0 && !done && m.count > 0)
        add_group_words(q, tools, i, &m);
    return rc;
}

/* ---- the whole question ---- */

/* A name that the question mentions now: as sure as the least sure of its words. */
static void add_mention(struct wc_question *q, const struct wc_question_tools *tools,
                        const struct wc_mention *m)
{
    float factor = 1.0F;
    for (uint32_t i = m->first; i < m->first + m->count; i++) {
        if (q->spots[i].factor < factor) {
            factor = q->spots[i].factor;
            q->by = q->spots[i].by;
        }
    }
    for (uint32_t i = m->first; i < m->first + m->count && factor < 1.0F; i++)
        if (q->spots[i].group >= 0)
            wc_question_add_concept(q, &q->groups[q->spots[i].group], tools->vocabulary,
                                    m, factor);
    q->by = 0;
}

static void read_again(struct wc_question *q, const struct wc_question_tools *tools)
{
    struct wc_mention found[MENTIONS_MAX];
    struct wc_words *words = tools->words;
    if (tools->vocabulary == NULL || q->text.failed)
        return;
    words->count = 0;
    for (uint32_t i = 0; i < q->spot_count; i++)
        wc_words_add(words, wc_slice(q->text.data + q->spots[i].at, q->spots[i].len));
    uint32_t n = wc_vocabulary_mentions(tools->vocabulary, tools->text, words->at,
                                        words->count, found, MENTIONS_MAX);
    for (uint32_t i = 0; i < n; i++)
        add_mention(q, tools, &found[i]);
}

static int correct(struct wc_question *q, const struct wc_question_tools *tools,
                   struct wc_txn *t, bool all)
{
    int rc = 0;
    uint32_t before = q->correction_count;
    for (uint32_t i = 0; rc == 0 && i < q->group_count;) {
        struct wc_asked_group *g = &q->groups[i];
        bool here = false, skip = g->corrected || (!all && wc_question_has(g));
        if (!skip && q->corrected_count < WC_CORRECTED_MAX_COUNT && !is_full(q))
            rc = correct_group(q, tools, t, i, &here);
        i += !here;
    }
    if (rc == 0 && q->correction_count > before)
        read_again(q, tools);
    if (rc == 0 && q->text.failed)
        rc = -WC_ENOMEM;
    for (uint32_t i = 0; rc == 0 && i < q->group_count; i++)
        rc = wc_question_seek(q, t, &q->groups[i]);
    if (rc == 0 && q->correction_count > 0)
        note_found(q);
    return rc;
}

int wc_correct_unknown(struct wc_question *q, const struct wc_question_tools *tools,
                       struct wc_txn *t)
{
    int rc = join_neighbours(q, tools, t);
    return rc == 0 ? correct(q, tools, t, false) : rc;
}

int wc_correct_all(struct wc_question *q, const struct wc_question_tools *tools,
                   struct wc_txn *t)
{
    return correct(q, tools, t, true);
}
