/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/explain.h"

#include <string.h>

#include "daemon/index_internal.h"
#include "daemon/postings.h"

/* ---- terms ---- */

static const char *kind_name(uint8_t kind)
{
    switch ((enum wc_term_kind)(kind & ~WC_TERM_HOME)) {
    case WC_TERM_WORD:
        return "word";
    case WC_TERM_STEM:
        return "stem";
    case WC_TERM_PHRASE:
        return "name";
    case WC_TERM_CONCEPT:
        return "concept";
    case WC_TERM_SKILL:
        break;
    }
    return "skill";
}

/* How many pieces the list of a term has. */
static int count_pieces(struct wc_txn *t, uint32_t number, uint64_t *out)
{
    struct wc_cursor c;
    uint8_t key[8] = {0};
    int rc = wc_cursor_open(&c, t, WC_IX_POST);
    wc_put_u32(key, number);
    *out = 0;
    if (rc == 0)
        rc = wc_cursor_seek(&c, wc_slice(key, sizeof(key)));
    while (rc == 0 && c.key.len == 8 && wc_get_u32(c.key.data) == number) {
        (*out)++;
        rc = wc_cursor_next(&c);
    }
    wc_cursor_close(&c);
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

static int pack_term(struct wc_buf *out, struct wc_txn *t, const struct wc_explained *e,
                     const struct wc_asked_term *term, double weight)
{
    struct wc_slice key = wc_question_key(e->q, term);
    uint64_t pieces = 0, read = wc_pass_pieces(e->pass, term->number);
    int rc = term->number == 0 ? 0 : count_pieces(t, term->number, &pieces);
    wc_pack_map(out, 7);
    wc_pack_text(out, "kind");
    wc_pack_text(out, kind_name(key.data[0]));
    wc_pack_text(out, "text");
    wc_pack_str(out, wc_slice(key.data + 1, key.len - 1));
    wc_pack_text(out, "home");
    wc_pack_bool(out, (key.data[0] & WC_TERM_HOME) != 0);
    wc_pack_text(out, "weight");
    wc_pack_double(out, weight);
    wc_pack_text(out, "people");
    wc_pack_u64(out, term->people);
    wc_pack_text(out, "pieces");
    wc_pack_u64(out, pieces);
    wc_pack_text(out, "read"); /* as often as they were: a second pass begins again */
    wc_pack_u64(out, read);
    return rc;
}

/* Terms that nobody has are left out. */
static uint32_t known_terms(const struct wc_asked_group *g, uint32_t most)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < g->term_count; k++)
        n += g->terms[k].number != 0;
    return n < most ? n : most;
}

/* What was typed, as far as one word has a group of its own; corrections share it. */
static struct wc_slice typed_of(const struct wc_question *q, uint32_t group)
{
    for (uint32_t i = 0; i < q->spot_count; i++)
        if (q->spots[i].group == (int)group)
            return wc_slice(q->text.data + q->spots[i].at, q->spots[i].len);
    return wc_slice("", 0);
}

static int pack_words(struct wc_buf *out, struct wc_txn *t,
                      const struct wc_explained *e)
{
    const struct wc_question *q = e->q;
    uint32_t left = WC_EXPLAIN_TERMS_MAX;
    int rc = 0;
    wc_pack_text(out, "words");
    wc_pack_array(out, q->group_count);
    for (uint32_t i = 0; i < q->group_count; i++) {
        const struct wc_asked_group *g = &q->groups[i];
        uint32_t n = known_terms(g, left);
        left -= n;
        wc_pack_map(out, 4);
        wc_pack_text(out, "word");
        wc_pack_str(out, typed_of(q, i));
        wc_pack_text(out, "rarity");
        wc_pack_double(out, (double)g->rarity);
        wc_pack_text(out, "corrected");
        wc_pack_bool(out, g->corrected);
        wc_pack_text(out, "terms");
        wc_pack_array(out, n);
        for (uint32_t k = 0; rc == 0 && n > 0; k++) {
            if (g->terms[k].number == 0)
                continue;
            rc = pack_term(out, t, e, &g->terms[k], (double)g->terms[k].weight);
            n--;
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int pack_names(struct wc_buf *out, struct wc_txn *t,
                      const struct wc_explained *e)
{
    const struct wc_question *q = e->q;
    uint32_t n = 0;
    int rc = 0;
    for (uint32_t i = 0; i < q->phrase_count; i++)
        n += (q->phrases[i].term.number != 0) + (q->phrases[i].home_term.number != 0);
    wc_pack_text(out, "names");
    wc_pack_array(out, n);
    for (uint32_t i = 0; rc == 0 && i < q->phrase_count; i++) {
        const struct wc_asked_phrase *p = &q->phrases[i];
        if (p->term.number != 0)
            rc = pack_term(out, t, e, &p->term, WC_WEIGHT_NAME);
        if (rc == 0 && p->home_term.number != 0)
            rc = pack_term(out, t, e, &p->home_term, WC_WEIGHT_NAME);
    }
    return rc;
}

/* ---- people ---- */

static int doc_of(struct wc_txn *t, const struct wc_person_ref *who, uint32_t *doc)
{
    uint8_t key[WC_KEY_BYTES + WC_SUBJECT_MAX_BYTES];
    size_t len = strlen(who->subject);
    struct wc_slice v;
    memcpy(key, who->office_key, WC_KEY_BYTES);
    memcpy(key + WC_KEY_BYTES, who->subject, len);
    int rc = wc_txn_get(t, WC_IX_PERSON, wc_slice(key, WC_KEY_BYTES + len), &v);
    *doc = rc == 0 && v.len == 4 ? wc_get_u32(v.data) : 0;
    return rc == -WC_ENOTFOUND ? 0 : rc;
}

/* What a document has of a term: impact times worth, as a search adds it up. */
static int worth_of(struct wc_cursor *post, const struct wc_asked_term *term,
                    uint32_t doc, uint64_t *out)
{
    uint8_t key[8], impact = 0;
    struct wc_postings p;
    *out = 0;
    if (term->number == 0)
        return 0;
    wc_put_u32(key, term->number);
    wc_put_u32(key + 4, doc);
    int rc = wc_cursor_seek(post, wc_slice(key, sizeof(key)));
    if (rc != 0 || post->key.len != 8 || wc_get_u32(post->key.data) != term->number)
        return rc == -WC_ENOTFOUND ? 0 : rc;
    rc = wc_postings_open(&p, post->value);
    if (rc == 0)
        rc = wc_postings_find(&p, doc, &impact);
    if (rc == 1)
        *out = (uint64_t)term->worth * impact;
    return rc < 0 ? rc : 0;
}

struct part {
    const struct wc_asked_term *term;
    double score;
};

/* The best term of each word, and every name: what a hit's score is the sum of. Returns how
 * many, or an error. */
static int parts_of(const struct wc_question *q, struct wc_cursor *post, uint32_t doc,
                    struct part out[WC_ASKED_GROUPS_MAX + 2 * WC_ASKED_PHRASES_MAX])
{
    int n = 0, rc = 0;
    uint64_t worth;
    for (uint32_t i = 0; rc == 0 && i < q->group_count; i++) {
        struct part best = {.term = NULL};
        const struct wc_asked_group *g = &q->groups[i];
        for (uint32_t k = 0; rc == 0 && k < g->term_count; k++) {
            rc = worth_of(post, &g->terms[k], doc, &worth);
            double score = (double)worth * q->share;
            if (score > best.score)
                best = (struct part){&g->terms[k], score};
        }
        if (best.term != NULL)
            out[n++] = best;
    }
    for (uint32_t i = 0; rc == 0 && i < 2 * q->phrase_count; i++) {
        const struct wc_asked_phrase *p = &q->phrases[i / 2];
        const struct wc_asked_term *term = i % 2 == 0 ? &p->term : &p->home_term;
        rc = worth_of(post, term, doc, &worth);
        if (worth > 0)
            out[n++] = (struct part){term, (double)worth * q->share};
    }
    return rc != 0 ? rc : n;
}

static int pack_hit(struct wc_buf *out, struct wc_txn *t, struct wc_cursor *post,
                    const struct wc_question *q, const struct wc_hit *hit)
{
    struct part parts[WC_ASKED_GROUPS_MAX + 2 * WC_ASKED_PHRASES_MAX] = {0};
    uint32_t doc;
    int rc = doc_of(t, &hit->who, &doc);
    int n = rc != 0 ? rc : doc == 0 ? 0 : parts_of(q, post, doc, parts);
    if (n < 0)
        return n;
    wc_pack_map(out, 3);
    wc_pack_text(out, "login");
    wc_pack_text(out, hit->who.subject);
    wc_pack_text(out, "score");
    wc_pack_double(out, hit->score);
    wc_pack_text(out, "terms");
    wc_pack_array(out, (uint32_t)n);
    for (int i = 0; i < n; i++) {
        struct wc_slice key = wc_question_key(q, parts[i].term);
        wc_pack_map(out, 3);
        wc_pack_text(out, "kind");
        wc_pack_text(out, kind_name(key.data[0]));
        wc_pack_text(out, "text");
        wc_pack_str(out, wc_slice(key.data + 1, key.len - 1));
        wc_pack_text(out, "share");
        wc_pack_double(out, parts[i].score);
    }
    return 0;
}

static int pack_hits(struct wc_buf *out, struct wc_txn *t, const struct wc_explained *e)
{
    struct wc_cursor post;
    int n = e->hit_count < WC_EXPLAIN_HITS_MAX ? e->hit_count : WC_EXPLAIN_HITS_MAX;
    int rc = wc_cursor_open(&post, t, WC_IX_POST);
    wc_pack_text(out, "people");
    wc_pack_array(out, (uint32_t)n);
    for (int i = 0; rc == 0 && i < n; i++)
        rc = pack_hit(out, t, &post, e->q, &e->hits[i]);
    wc_cursor_close(&post);
    return rc;
}

/* ---- all of it ---- */

int wc_explain(struct wc_buf *out, struct wc_txn *t, const struct wc_explained *e)
{
    static const char *const stages[WC_STAGES] = {"read", "words", "lists", "people",
                                                  "reasons"};
    wc_pack_map(out, 4);
    int rc = pack_words(out, t, e);
    if (rc == 0)
        rc = pack_names(out, t, e);
    if (rc == 0)
        rc = pack_hits(out, t, e);
    wc_pack_text(out, "times_us");
    wc_pack_map(out, WC_STAGES);
    for (int i = 0; i < WC_STAGES; i++) {
        wc_pack_text(out, stages[i]);
        wc_pack_u64(out, e->stages_us[i]);
    }
    return rc == 0 && out->failed ? -WC_ENOMEM : rc;
}
