/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table with open addressing whose places hold the number of a word and a few bits
 * of the key, nothing else: four bytes for each key of each word. Whether a word was
 * really meant shows when its letters are compared, so a false meeting costs time, never
 * a wrong answer.
 *
 * A table never grows in place. When one of its parts is full, or too many of its words
 * are gone, a new one is filled beside it, which readers do not notice, and takes its
 * place under the lock.
 */
#include "daemon/spelling.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include <whocan/crypto.h>

/* One mistake, or any order of the letters between; two mistakes; another first letter is
 * a rare mistake; and what is not the nearest was probably not meant. */
#define WEIGHT_ONE         0.75F
#define WEIGHT_TWO         0.45F
#define FACTOR_OTHER_START 0.85F
#define FACTOR_NOT_NEAREST 0.8F
#define DISTANCE_MAX       2
#define LETTERS_SHORTEST   3         /* of a word that may be meant: "gis" by "gisx" */
#define MARK_SCRAMBLED     0x110000U /* before a signature; no code point */
#define KEYS_MAX           (WC_SPELLING_LETTERS_MAX + 2)
#define WORDS_FIRST        256U
#define BYTES_A_WORD       10ULL /* on average; what is longer makes a new table sooner */
#define KEYS_A_WORD        9ULL

/* A place: whether the word stands here as itself (1 bit), bits of the key (11), and the
 * number of the word + 1 (20). 0: free. */
#define EXACT_BIT   0x80000000U
#define NUMBER_BITS 20
#define NUMBER_MASK ((1U << NUMBER_BITS) - 1)
#define TAG_BITS    11
_Static_assert(WC_SPELLING_WORDS_MAX < NUMBER_MASK, "a number must fit its bits");

enum {
    KEPT = 1, /* stays when nobody has it */
    STOP = 2,
};

struct word {
    uint32_t at, people;
    uint8_t len, flags; /* len 0: gone */
};

struct table {
    uint32_t *places;
    uint32_t place_count, used; /* used: places that are taken */
    struct word *words;
    uint32_t word_count, word_cap;
    uint8_t *text;
    uint32_t text_len, text_cap;
    uint32_t alive; /* words that are not gone */
};

struct wc_spelling {
    pthread_rwlock_t lock; /* the writer takes it to change what readers look at */
    struct table *table;
    uint8_t hash_key[16];
    uint32_t words_max;
};

/* A word in letters. */
struct letters {
    uint32_t at[WC_SPELLING_LETTERS_MAX];
    uint32_t count;
};

/* ---- letters ---- */

static bool is_letter(uint32_t p)
{
    return p >= 0x80 || (p >= 'a' && p <= 'z');
}

/* False for what is no word that somebody could mean. */
static bool spell_out(struct wc_slice word, struct letters *out)
{
    bool any = false;
    out->count = 0;
    for (size_t i = 0; i < word.len;) {
        utf8proc_int32_t p = word.data[i];
        utf8proc_ssize_t n = 1;
        if (p >= 0x80)
            n = utf8proc_iterate(word.data + i, (utf8proc_ssize_t)(word.len - i), &p);
        if (n <= 0 || out->count == WC_SPELLING_LETTERS_MAX)
            return false;
        out->at[out->count++] = (uint32_t)p;
        any = any || is_letter((uint32_t)p);
        i += (size_t)n;
    }
    return any && word.len <= WC_WORD_MAX_BYTES;
}

/* First letter, the others in order, last letter. */
static void scramble(const struct letters *in, struct letters *out)
{
    *out = *in;
    for (uint32_t i = 2; i + 1 < in->count; i++) {
        uint32_t p = out->at[i], k = i;
        for (; k > 1 && out->at[k - 1] > p; k--)
            out->at[k] = out->at[k - 1];
        out->at[k] = p;
    }
}

static bool same_letters(const struct letters *a, const struct letters *b)
{
    return a->count == b->count &&
           memcmp(a->at, b->at, a->count * sizeof(a->at[0])) == 0;
}

static uint32_t min2(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/*
 * Optimal string alignment (Damerau-Levenshtein without a second edit of what was swapped),
 * within a band, since more than DISTANCE_MAX is all the same.
 */
static uint32_t distance(const struct letters *a, const struct letters *b)
{
    enum { FAR = DISTANCE_MAX + 1, WIDTH = WC_SPELLING_LETTERS_MAX + 2 };
    uint8_t rows[3][WIDTH];
    uint32_t n = a->count, m = b->count;
    if (n > m + DISTANCE_MAX || m > n + DISTANCE_MAX)
        return FAR;
    memset(rows, FAR, sizeof(rows));
    for (uint32_t k = 0; k <= min2(m, DISTANCE_MAX); k++)
        rows[0][k] = (uint8_t)k;
    for (uint32_t i = 1; i <= n; i++) {
        uint8_t *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        uint32_t from = i > DISTANCE_MAX ? i - DISTANCE_MAX : 0, best = FAR;
        uint32_t to = min2(m, i + DISTANCE_MAX);
        memset(row, FAR, WIDTH);
        for (uint32_t k = from; k <= to; k++) {
            uint32_t x = k == 0 ? i : FAR;
            if (k > 0) {
                x = up[k - 1] + (uint32_t)(a->at[i - 1] != b->at[k - 1]);
                x = min2(x, min2(up[k], row[k - 1]) + 1U);
            }
            if (i > 1 && k > 1 && a->at[i - 1] == b->at[k - 2] &&
                a->at[i - 2] == b->at[k - 1])
                x = min2(x, up2[k - 2] + 1U);
            row[k] = (uint8_t)min2(x, FAR);
            best = min2(best, row[k]);
        }
        if (best == FAR)
            return FAR;
    }
    return rows[n % 3][m];
}

/* ---- keys ---- */

static uint64_t hash(const struct wc_spelling *s, const uint32_t *letters,
                     uint32_t count)
{
    return wc_siphash(s->hash_key, wc_slice(letters, count * sizeof(letters[0])));
}

static uint64_t hash_signature(const struct wc_spelling *s, const struct letters *in)
{
    uint32_t marked[1 + WC_SPELLING_LETTERS_MAX];
    struct letters ordered;
    scramble(in, &ordered);
    marked[0] = MARK_SCRAMBLED;
    memcpy(marked + 1, ordered.at, in->count * sizeof(marked[0]));
    return hash(s, marked, in->count + 1);
}

static void without(const uint32_t *in, uint32_t count, uint32_t i, uint32_t *out)
{
    memcpy(out, in, i * sizeof(in[0]));
    memcpy(out + i, in + i + 1, (count - i - 1) * sizeof(in[0]));
}

/* The keys of a word: itself first, then without each letter, then its signature. Without
 * one of two equal neighbours it is the same, whichever goes. */
static uint32_t keys_of(const struct wc_spelling *s, const struct letters *in,
                        uint64_t out[KEYS_MAX])
{
    uint32_t rest[WC_SPELLING_LETTERS_MAX], n = 0;
    out[n++] = hash(s, in->at, in->count);
    if (in->count < WC_SPELLING_LETTERS_MIN)
        return n;
    for (uint32_t i = 0; i < in->count; i++) {
        if (i > 0 && in->at[i] == in->at[i - 1])
            continue;
        without(in->at, in->count, i, rest);
        out[n++] = hash(s, rest, in->count - 1);
    }
    out[n++] = hash_signature(s, in);
    return n;
}

static uint32_t tag_of(uint64_t key)
{
    return (uint32_t)(key & ((1U << TAG_BITS) - 1)) << NUMBER_BITS;
}

static uint32_t first_place(const struct table *t, uint64_t key)
{
    return (uint32_t)(((key >> 32) * t->place_count) >> 32);
}

static uint32_t next_place(const struct table *t, uint32_t at)
{
    return at + 1 == t->place_count ? 0 : at + 1;
}

static struct wc_slice text_of(const struct table *t, const struct word *w)
{
    return wc_slice(t->text + w->at, w->len);
}

static struct word *word_at(const struct table *t, uint32_t place)
{
    return &t->words[(place & NUMBER_MASK) - 1];
}

/* ---- one table ---- */

static void table_free(struct table *t)
{
    if (t == NULL)
        return;
    free(t->places);
    free(t->words);
    free(t->text);
    free(t);
}

static struct table *table_new(uint32_t words, uint64_t keys, uint64_t bytes)
{
    struct table *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    /* seven of ten places taken when all is full */
    t->place_count = (uint32_t)(keys + keys / 2 - keys / 14);
    t->word_cap = words;
    t->text_cap = (uint32_t)bytes;
    t->places = calloc(t->place_count, sizeof(t->places[0]));
    t->words = calloc(t->word_cap, sizeof(t->words[0]));
    t->text = malloc(t->text_cap);
    if (t->places == NULL || t->words == NULL || t->text == NULL) {
        table_free(t);
        return NULL;
    }
    return t;
}

static bool is_crowded(const struct table *t)
{
    return (uint64_t)t->used * 10 >= (uint64_t)t->place_count * 7;
}

/* The number of a word that stands here as itself, or UINT32_MAX. */
static uint32_t find(const struct table *t, uint64_t key, struct wc_slice word)
{
    uint32_t at = first_place(t, key), wanted = EXACT_BIT | tag_of(key);
    for (uint32_t i = 0; i < WC_SPELLING_WALK_COUNT && t->places[at] != 0; i++) {
        if ((t->places[at] & ~NUMBER_MASK) == wanted &&
            wc_slice_eq(text_of(t, word_at(t, t->places[at])), word))
            return (t->places[at] & NUMBER_MASK) - 1;
        at = next_place(t, at);
    }
    return UINT32_MAX;
}

/* What gives way to a word: of the others under its key, when they are too many, that
 * which the fewest people have. */
struct give_way {
    uint32_t place; /* UINT32_MAX: nobody does */
    uint32_t people;
};

static void consider(struct give_way *g, const struct table *t, uint32_t at)
{
    if ((t->places[at] & EXACT_BIT) != 0 ||
        word_at(t, t->places[at])->people >= g->people)
        return;
    g->place = at;
    g->people = word_at(t, t->places[at])->people;
}

/*
 * Put a word under a key, unless it is there. A word as itself always finds its place;
 * under its other keys it may have to give way, and is then met by the keys that are left.
 * Returns whether it is in.
 */
static bool put(struct table *t, uint64_t key, uint32_t number, bool exact)
{
    uint32_t place = tag_of(key) | (number + 1) | (exact ? EXACT_BIT : 0), shared = 0;
    uint32_t at = first_place(t, key);
    struct give_way poorest = {UINT32_MAX,
                               exact ? UINT32_MAX : t->words[number].people};
    for (uint32_t i = 0; i < WC_SPELLING_WALK_COUNT; i++) {
        if (t->places[at] == 0 && shared < WC_SPELLING_SHARED_COUNT) {
            t->places[at] = place;
            t->used++;
            return true;
        }
        if (t->places[at] == 0)
            break;
        if (t->places[at] == place)
            return true;
        bool same_key = ((t->places[at] ^ place) & ~(NUMBER_MASK | EXACT_BIT)) == 0;
        shared += same_key && !exact;
        if (same_key || exact)
            consider(&poorest, t, at);
        at = next_place(t, at);
    }
    if (poorest.place == UINT32_MAX)
        return false;
    t->places[poorest.place] = place;
    return true;
}

/* A new word with all its keys. False when the table is full. */
static bool table_add(const struct wc_spelling *s, struct table *t,
                      struct wc_slice text, uint32_t people, uint8_t flags)
{
    struct letters letters;
    uint64_t keys[KEYS_MAX];
    if (t->word_count == t->word_cap || t->text_cap - t->text_len < text.len ||
        is_crowded(t) || !spell_out(text, &letters))
        return false;
    uint32_t n = keys_of(s, &letters, keys), number = t->word_count;
    t->words[number] = (struct word){
        .at = t->text_len, .people = people, .len = (uint8_t)text.len, .flags = flags};
    memcpy(t->text + t->text_len, text.data, text.len);
    if (!put(t, keys[0], number, true))
        return false;
    t->text_len += (uint32_t)text.len;
    t->word_count++;
    t->alive++;
    for (uint32_t i = 1; i < n; i++)
        (void)put(t, keys[i], number, false);
    return true;
}

/* Not a byte of it is left; its number stays in the places until the next table. */
static void table_forget(struct table *t, struct word *w)
{
    memset(t->text + w->at, 0, w->len);
    *w = (struct word){.len = 0};
    t->alive--;
}

/* ---- a table after the other ---- */

/* Another one with the same words, and room for so many in all. */
static struct table *table_again(const struct wc_spelling *s, const struct table *old,
                                 uint64_t words)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < old->word_count; i++)
        bytes += old->words[i].len;
    /* by what its words have used so far, if that is more than usual */
    uint64_t spare = words - old->alive;
    struct table *t =
        table_new((uint32_t)words, (uint64_t)old->used + spare * KEYS_A_WORD + KEYS_MAX,
                  bytes + spare * BYTES_A_WORD + WC_WORD_MAX_BYTES);
    for (uint32_t i = 0; t != NULL && i < old->word_count; i++) {
        const struct word *w = &old->words[i];
        if (w->len == 0)
            continue;
        if (!table_add(s, t, text_of(old, w), w->people, w->flags)) {
            table_free(t);
            return NULL;
        }
    }
    return t;
}

/* Make room for `words` in all, and get rid of those that are gone. */
static int renew(struct wc_spelling *s, uint64_t words)
{
    struct table *old = s->table, *t = table_again(s, old, words);
    if (t == NULL)
        return -WC_ENOMEM;
    pthread_rwlock_wrlock(&s->lock);
    s->table = t;
    pthread_rwlock_unlock(&s->lock);
    table_free(old);
    return 0;
}

static int grow(struct wc_spelling *s)
{
    uint64_t words = s->table->alive;
    return renew(s, words + words / 2 + WORDS_FIRST);
}

/* ---- the writer ---- */

int wc_spelling_new(struct wc_spelling **out, const uint8_t hash_key[16],
                    uint32_t words_max)
{
    pthread_rwlockattr_t attr;
    *out = NULL;
    struct wc_spelling *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -WC_ENOMEM;
    memcpy(s->hash_key, hash_key, sizeof(s->hash_key));
    s->words_max = min2(words_max, WC_SPELLING_WORDS_MAX);
    s->table =
        table_new(WORDS_FIRST, WORDS_FIRST * KEYS_A_WORD, WORDS_FIRST * BYTES_A_WORD);
    if (s->table == NULL) {
        free(s);
        return -WC_ENOMEM;
    }
    /* one search after the other must not keep the writer out */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    *out = s;
    return 0;
}

void wc_spelling_free(struct wc_spelling *s)
{
    if (s == NULL)
        return;
    pthread_rwlock_destroy(&s->lock);
    table_free(s->table);
    free(s);
}

static int add(struct wc_spelling *s, struct wc_slice text, uint32_t people,
               uint8_t flags)
{
    if (s->table->alive >= s->words_max)
        return -WC_EFULL;
    for (int attempt = 0; attempt < 2; attempt++) {
        pthread_rwlock_wrlock(&s->lock);
        bool in = table_add(s, s->table, text, people, flags);
        pthread_rwlock_unlock(&s->lock);
        if (in)
            return 0;
        int rc = grow(s);
        if (rc != 0)
            return rc;
    }
    return -WC_ENOMEM;
}

/* A word that more people have from now on may claim a place that it had to leave. */
static void claim(const struct wc_spelling *s, uint32_t number,
                  const struct letters *letters)
{
    uint64_t keys[KEYS_MAX];
    uint32_t n = keys_of(s, letters, keys);
    for (uint32_t i = 1; i < n && !is_crowded(s->table); i++)
        (void)put(s->table, keys[i], number, false);
}

/* The bits of a number: 2, 4, 8 people are worth claiming something. */
static uint32_t magnitude(uint32_t people)
{
    uint32_t bits = 0;
    for (; people > 0; people >>= 1)
        bits++;
    return bits;
}

static void change(struct wc_spelling *s, uint32_t number,
                   const struct letters *letters, uint32_t people, uint8_t flags)
{
    pthread_rwlock_wrlock(&s->lock);
    struct word *w = &s->table->words[number];
    uint32_t before = magnitude(w->people);
    w->people = people;
    w->flags |= flags;
    if (people == 0 && w->flags == 0)
        table_forget(s->table, w);
    else if (magnitude(people) > before)
        claim(s, number, letters);
    pthread_rwlock_unlock(&s->lock);
    struct table *t = s->table;
    /* too little memory for tidying: the next one that goes tries again */
    if (t->word_count - t->alive > t->alive / 4 + WORDS_FIRST)
        (void)grow(s);
}

static int enter(struct wc_spelling *s, struct wc_slice text, const uint32_t *people,
                 uint8_t flags)
{
    struct letters letters;
    if (!spell_out(text, &letters) || letters.count < LETTERS_SHORTEST)
        return 0;
    uint32_t number = find(s->table, hash(s, letters.at, letters.count), text);
    if (number != UINT32_MAX) {
        change(s, number, &letters,
               people != NULL ? *people : s->table->words[number].people, flags);
        return 0;
    }
    if ((people == NULL || *people == 0) && flags == 0)
        return 0;
    return add(s, text, people != NULL ? *people : 0, flags);
}

int wc_spelling_set(struct wc_spelling *s, struct wc_slice word, uint32_t people)
{
    return enter(s, word, &people, 0);
}

int wc_spelling_keep(struct wc_spelling *s, struct wc_slice word, bool stop)
{
    return enter(s, word, NULL, stop ? KEPT | STOP : KEPT);
}

static void forget_useless(struct wc_spelling *s)
{
    struct table *t = s->table;
    for (uint32_t i = 0; i < t->word_count; i++) {
        struct word *w = &t->words[i];
        if (w->len > 0 && w->people == 0 && w->flags == 0)
            table_forget(t, w);
    }
}

void wc_spelling_release(struct wc_spelling *s)
{
    pthread_rwlock_wrlock(&s->lock);
    for (uint32_t i = 0; i < s->table->word_count; i++)
        if ((s->table->words[i].flags & STOP) == 0)
            s->table->words[i].flags = 0;
    forget_useless(s);
    pthread_rwlock_unlock(&s->lock);
}

void wc_spelling_clear(struct wc_spelling *s)
{
    pthread_rwlock_wrlock(&s->lock);
    for (uint32_t i = 0; i < s->table->word_count; i++)
        s->table->words[i].people = 0;
    forget_useless(s);
    pthread_rwlock_unlock(&s->lock);
    (void)grow(s); /* smaller, when there is memory for it */
}

int wc_spelling_reserve(struct wc_spelling *s, uint32_t words)
{
    words = min2(words, s->words_max);
    return words <= s->table->word_cap ? 0 : renew(s, (uint64_t)words + WORDS_FIRST);
}

/* ---- readers ---- */

struct wc_spelling_word wc_spelling_find(struct wc_spelling *s, struct wc_slice word)
{
    struct wc_spelling_word found = {.known = false};
    struct letters letters;
    if (!spell_out(word, &letters))
        return found;
    uint64_t key = hash(s, letters.at, letters.count);
    pthread_rwlock_rdlock(&s->lock);
    uint32_t number = find(s->table, key, word);
    if (number != UINT32_MAX) {
        const struct word *w = &s->table->words[number];
        found = (struct wc_spelling_word){true, (w->flags & STOP) != 0, w->people};
    }
    pthread_rwlock_unlock(&s->lock);
    return found;
}

/* A word that is looked for, and what was met so far. */
struct search {
    const struct wc_spelling *s;
    const struct table *t;
    struct wc_slice word;
    struct letters letters, signature;
    struct nearest {
        const struct word *word;
        float weight;
    } best[WC_SPELLED_MAX];
    uint32_t count, compared;
    struct wc_spelling_work *work;
};

static float weigh(struct search *q, const struct word *w)
{
    struct letters other, ordered;
    float weight = 0;
    if (!spell_out(text_of(q->t, w), &other))
        return 0;
    uint32_t d = distance(&q->letters, &other);
    if (d == 1)
        weight = WEIGHT_ONE;
    else if (d == 2 && q->letters.count >= WC_SPELLING_TWO_LETTERS_MIN)
        weight = WEIGHT_TWO;
    if (d != 1 && q->letters.count == other.count) {
        scramble(&other, &ordered);
        if (same_letters(&ordered, &q->signature))
            weight = WEIGHT_ONE;
    }
    return other.at[0] == q->letters.at[0] ? weight : weight * FACTOR_OTHER_START;
}

static bool is_before(const struct search *q, const struct nearest *a,
                      const struct nearest *b)
{
    uint8_t a_stop = a->word->flags & STOP, b_stop = b->word->flags & STOP;
    if (a->weight > b->weight || a->weight < b->weight)
        return a->weight > b->weight;
    if (a_stop != b_stop)
        return a_stop > b_stop;
    if (a->word->people != b->word->people)
        return a->word->people > b->word->people;
    return wc_slice_cmp(text_of(q->t, a->word), text_of(q->t, b->word)) < 0;
}

static void meet(struct search *q, const struct word *w)
{
    struct nearest met = {w, 0};
    for (uint32_t i = 0; i < q->count; i++)
        if (q->best[i].word == w)
            return;
    if (wc_slice_eq(text_of(q->t, w), q->word))
        return;
    q->compared++;
    met.weight = weigh(q, w);
    if (met.weight <= 0)
        return;
    uint32_t at = q->count;
    while (at > 0 && is_before(q, &met, &q->best[at - 1]))
        at--;
    if (at == WC_SPELLED_MAX)
        return;
    if (q->count < WC_SPELLED_MAX)
        q->count++;
    memmove(&q->best[at + 1], &q->best[at], (q->count - at - 1) * sizeof(q->best[0]));
    q->best[at] = met;
}

/* Everybody who stands under a key. */
static void probe(struct search *q, uint64_t key)
{
    const struct table *t = q->t;
    uint32_t at = first_place(t, key), tag = tag_of(key), i = 0;
    for (; i < WC_SPELLING_WALK_COUNT && t->places[at] != 0; i++) {
        if ((t->places[at] & ~(EXACT_BIT | NUMBER_MASK)) == tag &&
            word_at(t, t->places[at])->len > 0 &&
            q->compared < WC_SPELLING_COMPARED_MAX)
            meet(q, word_at(t, t->places[at]));
        at = next_place(t, at);
    }
    q->work->keys++;
    q->work->places += i;
}

/* With another letter, of those that nearly all folded words are made of, at each place
 * from `from` on. */
static void probe_others(struct search *q, uint32_t *letters, uint32_t count,
                         uint32_t from)
{
    for (uint32_t i = from; i < count; i++) {
        uint32_t own = letters[i];
        for (uint32_t p = 'a'; p <= 'z'; p++) {
            letters[i] = p;
            if (p != own)
                probe(q, hash(q->s, letters, count));
        }
        letters[i] = own;
    }
}

/* With each two neighbours changed. */
static void probe_swaps(struct search *q, uint32_t *letters, uint32_t count)
{
    for (uint32_t i = 0; i + 1 < count; i++) {
        uint32_t a = letters[i], b = letters[i + 1];
        letters[i] = b;
        letters[i + 1] = a;
        if (a != b)
            probe(q, hash(q->s, letters, count));
        letters[i] = a;
        letters[i + 1] = b;
    }
}

/* With one letter more at each place. */
static void probe_longer(struct search *q)
{
    uint32_t count = q->letters.count, more[WC_SPELLING_LETTERS_MAX + 1];
    for (uint32_t i = 0; i <= count; i++) {
        memcpy(more, q->letters.at, i * sizeof(more[0]));
        memcpy(more + i + 1, q->letters.at + i, (count - i) * sizeof(more[0]));
        for (more[i] = 'a'; more[i] <= 'z'; more[i]++)
            probe(q, hash(q->s, more, count + 1));
    }
}

/* One of two mistakes undone in each way, so that the other one meets the word by its keys:
 * two wrong letters and a wrong one beside two that changed places (without one of them),
 * one that is missing beside another mistake, and two that are missing. */
static void probe_undone(struct search *q)
{
    struct letters in = q->letters;
    uint32_t one[WC_SPELLING_LETTERS_MAX];
    for (uint32_t i = 0; i < in.count; i++) {
        without(in.at, in.count, i, one);
        probe_others(q, one, in.count - 1, i);
        probe_swaps(q, one, in.count - 1);
    }
    probe_swaps(q, in.at, in.count);
    probe_others(q, in.at, in.count, 0);
    probe_longer(q);
}

/* By what is left without two letters: when nothing nearer was met. */
static void probe_two(struct search *q)
{
    const struct letters *in = &q->letters;
    uint32_t one[WC_SPELLING_LETTERS_MAX], two[WC_SPELLING_LETTERS_MAX];
    for (uint32_t i = 0; i + 1 < in->count; i++) {
        without(in->at, in->count, i, one);
        for (uint32_t k = i; k < in->count - 1; k++) {
            without(one, in->count - 1, k, two);
            probe(q, hash(q->s, two, in->count - 2));
        }
    }
    if (in->count <= WC_SPELLING_UNDONE_LETTERS_MAX)
        probe_undone(q);
}

static void search(struct search *q)
{
    uint64_t keys[KEYS_MAX];
    uint32_t n = keys_of(q->s, &q->letters, keys);
    scramble(&q->letters, &q->signature);
    for (uint32_t i = 0; i < n; i++)
        probe(q, keys[i]);
    /* the keys of one mistake meet some words of two, and not all of them */
    bool nearer = q->count > 0 && q->best[0].weight > WEIGHT_TWO;
    if (!nearer && q->letters.count >= WC_SPELLING_TWO_LETTERS_MIN)
        probe_two(q);
}

uint32_t wc_spelling_suggest(struct wc_spelling *s, struct wc_slice word,
                             struct wc_spelled out[WC_SPELLED_MAX],
                             struct wc_spelling_work *work)
{
    struct search q = {.s = s, .word = word, .work = work};
    if (!spell_out(word, &q.letters) || q.letters.count < WC_SPELLING_LETTERS_MIN)
        return 0;
    pthread_rwlock_rdlock(&s->lock);
    q.t = s->table;
    search(&q);
    for (uint32_t i = 0; i < q.count; i++) {
        const struct word *w = q.best[i].word;
        out[i] = (struct wc_spelled){.len = w->len,
                                     .weight = q.best[i].weight *
                                               (i > 0 ? FACTOR_NOT_NEAREST : 1.0F),
                                     .people = w->people,
                                     .stop = (w->flags & STOP) != 0};
        memcpy(out[i].text, q.t->text + w->at, w->len);
    }
    pthread_rwlock_unlock(&s->lock);
    work->compared += q.compared;
    return q.count;
}

void wc_spelling_usage(struct wc_spelling *s, struct wc_spelling_usage *out)
{
    pthread_rwlock_rdlock(&s->lock);
    const struct table *t = s->table;
    *out = (struct wc_spelling_usage){
        .words = t->alive,
        .bytes = sizeof(*s) + sizeof(*t) + t->place_count * sizeof(t->places[0]) +
                 t->word_cap * sizeof(t->words[0]) + t->text_cap,
    };
    pthread_rwlock_unlock(&s->lock);
}
