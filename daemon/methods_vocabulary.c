/* SPDX-License-Identifier: Apache-2.0 */
/* vocabulary.list, vocabulary.read: what this office calls things. */
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/methods.h"

#define PAGE_BYTES (256u << 10) /* of vocabulary.read, and the largest concept more */
#define PAGE_NODES 16384
/* Beside its texts a concept has so many values at most. */
#define CONCEPT_NODES 64

static const char *const level_keys[] = {
    [WC_LEVEL_AWARENESS] = "awareness",
    [WC_LEVEL_WORKING] = "working",
    [WC_LEVEL_PRACTITIONER] = "practitioner",
    [WC_LEVEL_EXPERT] = "expert",
};

/* How a concept is named for whoever reads. */
enum naming {
    NAME_WHOLE, /* "web:blogging" */
    NAME_BARE,  /* "blogging", but for those of other vocabularies */
};

static struct wc_slice param_str(const struct wc_request *r, const char *name)
{
    struct wc_slice text = {0};
    wc_obj_str(wc_obj_get(wc_request_params(r, NULL), name), &text);
    return text;
}

static const char *bare(const char *id)
{
    return strchr(id, ':') + 1;
}

/* ---- one concept ---- */

static void pack_labels(struct wc_buf *b, const struct wc_concept *c)
{
    uint32_t languages = 0;
    for (uint32_t i = 0; i < c->label_count; i++)
        languages += c->labels[i].preferred;
    wc_pack_map(b, languages);
    for (uint32_t i = 0; i < c->label_count; i++) {
        const char *language = c->labels[i].language;
        uint32_t count = 0;
        if (!c->labels[i].preferred)
            continue;
        for (uint32_t k = i; k < c->label_count; k++)
            count += strcmp(c->labels[k].language, language) == 0;
        wc_pack_text(b, language);
        wc_pack_array(b, count);
        for (uint32_t k = i; k < c->label_count; k++)
            if (strcmp(c->labels[k].language, language) == 0)
                wc_pack_text(b, c->labels[k].text);
    }
}

/* Whether a neighbour is told of at c: bare names are for a file, which says once that two
 * concepts are related. */
static bool is_told(const struct wc_concepts *all, const struct wc_concept *c,
                    uint32_t near, enum naming naming, bool once)
{
    const struct wc_concept *other = wc_concepts_at(all, near);
    return naming == NAME_WHOLE || !once || other->vocabulary != c->vocabulary ||
           other > c;
}

static void pack_near(struct wc_buf *b, const struct wc_concepts *all,
                      const struct wc_concept *c, const uint32_t *near, uint32_t count,
                      enum naming naming, bool once)
{
    uint32_t told = 0;
    for (uint32_t i = 0; i < count; i++)
        told += is_told(all, c, near[i], naming, once);
    wc_pack_array(b, told);
    for (uint32_t i = 0; i < count; i++) {
        const struct wc_concept *other = wc_concepts_at(all, near[i]);
        bool own = other->vocabulary == c->vocabulary;
        if (is_told(all, c, near[i], naming, once))
            wc_pack_text(b, naming == NAME_BARE && own ? bare(other->id) : other->id);
    }
}

static uint32_t levels_count(const struct wc_concept *c)
{
    uint32_t count = 0;
    for (int i = WC_LEVEL_AWARENESS; i <= WC_LEVEL_EXPERT; i++)
        count += c->levels[i] != NULL;
    return count;
}

static void pack_concept(struct wc_buf *b, const struct wc_concepts *all,
                         const struct wc_concept *c, enum naming naming)
{
    uint32_t levels = levels_count(c);
    wc_pack_map(b, 4 + (c->about != NULL) + (levels > 0));
    wc_pack_text(b, "id");
    wc_pack_text(b, naming == NAME_WHOLE ? c->id : bare(c->id));
    wc_pack_text(b, "labels");
    pack_labels(b, c);
    wc_pack_text(b, "broader");
    pack_near(b, all, c, c->broader, c->broader_count, naming, false);
    wc_pack_text(b, "related");
    pack_near(b, all, c, c->related, c->related_count, naming, true);
    if (c->about != NULL) {
        wc_pack_text(b, "about");
        wc_pack_text(b, c->about);
    }
    if (levels == 0)
        return;
    wc_pack_text(b, "levels");
    wc_pack_map(b, levels);
    for (int i = WC_LEVEL_AWARENESS; i <= WC_LEVEL_EXPERT; i++) {
        if (c->levels[i] == NULL)
            continue;
        wc_pack_text(b, level_keys[i]);
        wc_pack_text(b, c->levels[i]);
    }
}

static void pack_text_or_nil(struct wc_buf *b, const char *key, const char *text)
{
    wc_pack_text(b, key);
    if (text != NULL)
        wc_pack_text(b, text);
    else
        wc_pack_nil(b);
}

static void pack_head(struct wc_buf *b, const struct wc_vocabulary_head *head)
{
    wc_pack_map(b, 6);
    wc_pack_text(b, "id");
    wc_pack_text(b, head->id);
    pack_text_or_nil(b, "title", head->title);
    pack_text_or_nil(b, "licence", head->licence);
    pack_text_or_nil(b, "source", head->source);
    wc_pack_text(b, "concepts");
    wc_pack_u64(b, head->count);
    wc_pack_text(b, "labels");
    wc_pack_u64(b, head->labels_count);
}

/* ---- vocabulary.list ---- */

/* A look through all labels, on the pool: there may be a hundred thousand. */
struct list {
    struct wc_request *r;
    const struct wc_vocabulary *vocabulary;
    struct wc_buf words; /* folded */
    struct wc_buf found;
    uint64_t limit, total, shown;
    int rc;
};

/* Whether a word of a folded text begins with that. */
static bool has_start(struct wc_slice text, struct wc_slice word)
{
    for (size_t i = 0; i + word.len <= text.len; i++)
        if ((i == 0 || text.data[i - 1] == ' ' || text.data[i - 1] == '-') &&
            memcmp(text.data + i, word.data, word.len) == 0)
            return true;
    return false;
}

static bool has_all(struct wc_slice text, struct wc_slice words)
{
    size_t from = 0;
    for (size_t i = 0; i <= words.len; i++) {
        if (i < words.len && words.data[i] != ' ')
            continue;
        if (i > from && !has_start(text, wc_slice(words.data + from, i - from)))
            return false;
        from = i + 1;
    }
    return true;
}

static bool is_wanted(const struct list *l, const struct wc_concept *c,
                      struct wc_buf *folded)
{
    for (uint32_t i = 0; i < c->label_count; i++) {
        wc_buf_reset(folded);
        wc_text_fold(wc_slice_text(c->labels[i].text), folded);
        if (!folded->failed && has_all(wc_buf_slice(folded), wc_buf_slice(&l->words)))
            return true;
    }
    return false;
}

static void list_work(void *ctx)
{
    struct list *l = ctx;
    const struct wc_concepts *all = wc_vocabulary_concepts(l->vocabulary);
    struct wc_buf folded = {0};
    for (uint32_t i = 0; i < wc_concepts_count(all); i++) {
        const struct wc_concept *c = wc_concepts_at(all, i);
        if (!is_wanted(l, c, &folded))
            continue;
        l->total++;
        if (l->shown == l->limit || l->found.len > PAGE_BYTES)
            continue;
        pack_concept(&l->found, all, c, NAME_WHOLE);
        l->shown++;
    }
    wc_buf_fini(&folded);
}

static void list_done(void *ctx)
{
    struct list *l = ctx;
    const struct wc_concepts *all = wc_vocabulary_concepts(l->vocabulary);
    struct wc_buf out = {0};
    if (l->rc != 0) {
        wc_request_fail(l->r, l->rc, NULL, "the vocabulary cannot be searched: %s",
                        wc_strerror(l->rc));
    } else {
        wc_pack_map(&out, 3);
        wc_pack_text(&out, "vocabularies");
        wc_pack_array(&out, wc_concepts_heads_count(all));
        for (uint32_t i = 0; i < wc_concepts_heads_count(all); i++)
            pack_head(&out, wc_concepts_head(all, i));
        wc_pack_text(&out, "concepts");
        wc_pack_array(&out, (uint32_t)l->shown);
        wc_buf_append(&out, l->found.data, l->found.len);
        out.failed |= l->found.failed;
        wc_pack_text(&out, "total");
        wc_pack_u64(&out, l->total);
        wc_request_reply(l->r, &out);
    }
    wc_vocabulary_free(l->vocabulary);
    wc_buf_fini(&l->words);
    wc_buf_fini(&l->found);
    free(l);
}

void wc_vocabulary_list(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    struct wc_slice words = param_str(r, "words");
    struct list *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    l->r = r;
    l->limit = WC_FIND_LIMIT_DEFAULT;
    wc_obj_u64(wc_obj_get(wc_request_params(r, NULL), "limit"), &l->limit);
    l->vocabulary = wc_vocabulary_ref(d->vocabulary);
    wc_text_fold(words, &l->words);
    if (l->words.failed)
        l->rc = -WC_ENOMEM;
    if (l->rc != 0 || l->words.len == 0) {
        list_done(l);
        return;
    }
    int rc = wc_loop_work_in(d->loop, WC_LANE_SEARCH, wc_request_caller(r)->peer_uid,
                             list_work, list_done, l);
    if (rc != 0) {
        l->rc = rc;
        list_done(l);
    }
}

/* ---- vocabulary.read ---- */

static const struct wc_vocabulary_head *find_head(const struct wc_concepts *all,
                                                  struct wc_slice id)
{
    for (uint32_t i = 0; i < wc_concepts_heads_count(all); i++)
        if (wc_slice_is(id, wc_concepts_head(all, i)->id))
            return wc_concepts_head(all, i);
    return NULL;
}

void wc_vocabulary_read(struct wc_request *r)
{
    const struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_concepts *all = wc_vocabulary_concepts(d->vocabulary);
    struct wc_slice id = param_str(r, "id");
    const struct wc_vocabulary_head *head = find_head(all, id);
    struct wc_buf concepts = {0}, out = {0};
    uint64_t from = 0, nodes = 0;
    uint32_t count = 0;
    if (head == NULL) {
        wc_request_fail(r, -WC_ENOTFOUND, "id",
                        "there is no vocabulary \"%.*s\": whocan vocabulary list names "
                        "them",
                        (int)(id.len < 64 ? id.len : 64), (const char *)id.data);
        return;
    }
    wc_obj_u64(wc_obj_get(wc_request_params(r, NULL), "from"), &from);
    while (from + count < head->count && concepts.len < PAGE_BYTES &&
           nodes < PAGE_NODES) {
        const struct wc_concept *c =
            wc_concepts_at(all, head->first + (uint32_t)from + count);
        pack_concept(&concepts, all, c, NAME_BARE);
        nodes += c->label_count + CONCEPT_NODES;
        count++;
    }
    wc_pack_map(&out, 3);
    wc_pack_text(&out, "vocabulary");
    pack_head(&out, head);
    wc_pack_text(&out, "concepts");
    wc_pack_array(&out, count);
    wc_buf_append(&out, concepts.data, concepts.len);
    out.failed |= concepts.failed;
    wc_pack_text(&out, "next");
    if (from + count < head->count)
        wc_pack_u64(&out, from + count);
    else
        wc_pack_nil(&out);
    wc_buf_fini(&concepts);
    wc_request_reply(r, &out);
}
