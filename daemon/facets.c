/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/facets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <whocan/crypto.h>

struct skill {
    struct wc_facet_skill shown;
    uint32_t last; /* the person counted last: number + 1 */
    char *own;     /* the name, when it is no concept's */
};

/* A name that was met: thousands of people write the same few hundred. */
struct name {
    uint64_t hash;
    uint32_t skill;
};

struct wc_facets {
    const struct wc_vocabulary *vocabulary;
    uint8_t hash_key[16]; /* random: names come from strangers */
    struct skill *skills;
    uint32_t skills_count, skills_cap;
    struct name *names; /* open addressing; skill + 1, or 0 */
    uint32_t names_count, names_cap;
    uint32_t *skill_of; /* each concept's, + 1 */
    struct wc_facet_office *offices;
    uint32_t offices_count, offices_cap;
    uint32_t people;
    struct wc_buf folded;
};

int wc_facets_new(struct wc_facets **out, const struct wc_vocabulary *v)
{
    struct wc_facets *f = calloc(1, sizeof(*f));
    size_t concepts = v == NULL ? 0 : wc_vocabulary_count(v);
    *out = NULL;
    if (f == NULL)
        return -WC_ENOMEM;
    f->vocabulary = wc_vocabulary_ref(v);
    f->skill_of = calloc(concepts + 1, sizeof(*f->skill_of));
    if (f->skill_of == NULL ||
        getrandom(f->hash_key, sizeof(f->hash_key), 0) != sizeof(f->hash_key)) {
        wc_facets_free(f);
        return -WC_ENOMEM;
    }
    *out = f;
    return 0;
}

void wc_facets_free(struct wc_facets *f)
{
    if (f == NULL)
        return;
    for (uint32_t i = 0; i < f->skills_count; i++)
        free(f->skills[i].own);
    free(f->skills);
    free(f->names);
    free(f->skill_of);
    free(f->offices);
    wc_buf_fini(&f->folded);
    wc_vocabulary_free(f->vocabulary);
    free(f);
}

static void *room(void *items, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    uint32_t grown = *cap == 0 ? 64 : 2 * *cap;
    void *more = realloc(items, grown * size);
    if (more != NULL)
        *cap = grown;
    return more;
}

/* ---- which skill a name is ---- */

static struct name *probe(struct wc_facets *f, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (f->names_cap - 1);
    while (f->names[at].skill != 0 && f->names[at].hash != hash)
        at = (at + 1) & (f->names_cap - 1);
    return &f->names[at];
}

static int grow_names(struct wc_facets *f)
{
    struct name *old = f->names;
    uint32_t old_cap = f->names_cap, cap = old_cap == 0 ? 256 : 2 * old_cap;
    if (2 * (f->names_count + 1) <= old_cap)
        return 0;
    struct name *fresh = calloc(cap, sizeof(*fresh));
    if (fresh == NULL)
        return -WC_ENOMEM;
    f->names = fresh;
    f->names_cap = cap;
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i].skill != 0)
            *probe(f, old[i].hash) = old[i];
    free(old);
    return 0;
}

static int add_skill(struct wc_facets *f, uint32_t concept, struct wc_slice name,
                     uint32_t *out)
{
    struct skill *skills =
        room(f->skills, f->skills_count, &f->skills_cap, sizeof(*skills));
    if (skills == NULL)
        return -WC_ENOMEM;
    f->skills = skills;
    struct skill *s = &skills[f->skills_count];
    *s = (struct skill){.last = 0};
    if (concept != UINT32_MAX) {
        const struct wc_concept *c = wc_vocabulary_at(f->vocabulary, concept);
        s->shown.id = c->id;
        s->shown.name = wc_concept_name(c, "en");
    } else {
        s->own = wc_slice_dup(name);
        if (s->own == NULL)
            return -WC_ENOMEM;
        s->shown.name = s->own;
    }
    *out = f->skills_count++;
    return 0;
}

/* The skill of a concept, or of a name that is none's. */
static int find_skill(struct wc_facets *f, const struct wc_skill *skill, uint32_t *out)
{
    uint32_t concept = UINT32_MAX;
    if (f->vocabulary != NULL && skill->id.len > 0)
    concept = wc_vocabulary_find(f->vocabulary, skill->id);
    if (f->vocabulary != NULL && concept == UINT32_MAX)
    concept = wc_vocabulary_named(f->vocabulary, wc_buf_slice(&f->folded));
    if (concept != UINT32_MAX && f->skill_of[concept] != 0) {
        *out = f->skill_of[concept] - 1;
        return 0;
    }
    int rc = add_skill(f, concept, skill->name, out);
    if (rc == 0 && concept != UINT32_MAX)
        f->skill_of[concept] = *out + 1;
    return rc;
}

static int skill_of(struct wc_facets *f, const struct wc_skill *skill, uint32_t *out)
{
    int rc = grow_names(f);
    wc_buf_reset(&f->folded);
    wc_text_fold(skill->name, &f->folded);
    if (rc != 0 || f->folded.failed)
        return -WC_ENOMEM;
    if (skill->id.len > 0) /* chosen: the name does not say which */
        return find_skill(f, skill, out);
    uint64_t hash = wc_siphash(f->hash_key, wc_buf_slice(&f->folded));
    struct name *n = probe(f, hash);
    if (n->skill == 0) {
        rc = find_skill(f, skill, out);
        if (rc == 0) {
            *n = (struct name){hash, *out + 1};
            f->names_count++;
        }
        return rc;
    }
    *out = n->skill - 1;
    return 0;
}

/* ---- counting ---- */

static int count_office(struct wc_facets *f, const uint8_t key[WC_KEY_BYTES])
{
    for (uint32_t i = 0; i < f->offices_count; i++) {
        if (memcmp(f->offices[i].key, key, WC_KEY_BYTES) == 0) {
            f->offices[i].people++;
            return 0;
        }
    }
    struct wc_facet_office *offices =
        room(f->offices, f->offices_count, &f->offices_cap, sizeof(*offices));
    if (offices == NULL)
        return -WC_ENOMEM;
    f->offices = offices;
    f->offices[f->offices_count] = (struct wc_facet_office){.people = 1};
    memcpy(f->offices[f->offices_count].key, key, WC_KEY_BYTES);
    f->offices_count++;
    return 0;
}

int wc_facets_add(struct wc_facets *f, const uint8_t office_key[WC_KEY_BYTES],
                  const struct wc_person *p)
{
    int rc = count_office(f, office_key);
    f->people++;
    for (uint32_t i = 0; rc == 0 && i < p->skill_count; i++) {
        uint32_t at;
        if (p->skills[i].learn)
            continue;
        rc = skill_of(f, &p->skills[i], &at);
        if (rc != 0 || f->skills[at].last == f->people)
            continue; /* their own word on it stood before the directory's */
        f->skills[at].last = f->people;
        f->skills[at].shown.people++;
        f->skills[at].shown.levels[p->skills[i].level]++;
    }
    return rc;
}

static int compare_skills(const void *a, const void *b)
{
    const struct skill *x = a, *y = b;
    if (x->shown.people != y->shown.people)
        return x->shown.people > y->shown.people ? -1 : 1;
    int order = strcmp(x->shown.name, y->shown.name);
    if (order != 0 || x->shown.id == NULL || y->shown.id == NULL)
        return order;
    return strcmp(x->shown.id, y->shown.id);
}

static int compare_offices(const void *a, const void *b)
{
    const struct wc_facet_office *x = a, *y = b;
    if (x->people != y->people)
        return x->people > y->people ? -1 : 1;
    return memcmp(x->key, y->key, WC_KEY_BYTES);
}

void wc_facets_sort(struct wc_facets *f)
{
    if (f->skills_count > 0)
        qsort(f->skills, f->skills_count, sizeof(*f->skills), compare_skills);
    if (f->offices_count > 0)
        qsort(f->offices, f->offices_count, sizeof(*f->offices), compare_offices);
}

/* ---- looking ---- */

uint32_t wc_facets_people(const struct wc_facets *f)
{
    return f->people;
}

uint32_t wc_facets_skills_count(const struct wc_facets *f)
{
    return f->skills_count;
}

const struct wc_facet_skill *wc_facets_skill(const struct wc_facets *f, uint32_t i)
{
    return &f->skills[i].shown;
}

uint32_t wc_facets_offices_count(const struct wc_facets *f)
{
    return f->offices_count;
}

const struct wc_facet_office *wc_facets_office(const struct wc_facets *f, uint32_t i)
{
    return &f->offices[i];
}
