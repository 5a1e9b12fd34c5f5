/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/filter.h"

#include <string.h>
#include <time.h>

#define ALL_DAYS    0x7FU
#define MENTOR_FLAG 0x08U
#define LEVEL_MASK  0x07U

/* Words of a filter: a team or a language has fewer. */
#define FILTER_WORDS_MAX 16

bool wc_filter_skills(const struct wc_filter *f)
{
    return f->level != WC_LEVEL_NONE || f->mentor;
}

bool wc_filter_is_set(const struct wc_filter *f)
{
    return f->team.len > 0 || f->language.len > 0 || f->day != 0 || wc_filter_skills(f);
}

uint8_t wc_filter_day(uint64_t now_ms)
{
    struct tm local;
    time_t seconds = (time_t)(now_ms / 1000);
    if (localtime_r(&seconds, &local) == NULL)
        return ALL_DAYS;
    return (uint8_t)(1U << ((local.tm_wday + 6) % 7));
}

/* ---- words ---- */

static int has_words(struct wc_text *text, struct wc_slice in, bool *any)
{
    struct wc_word w;
    int rc = wc_text_set(text, in);
    *any = rc == 0 && wc_text_next(text, &w);
    return rc;
}

int wc_filter_check(const struct wc_filter *f, struct wc_text *text, const char **field)
{
    const struct wc_slice texts[] = {f->team, f->language};
    static const char *const fields[] = {"team", "language"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        bool any;
        int rc = texts[i].len == 0 ? 0 : has_words(text, texts[i], &any);
        if (rc == 0 && texts[i].len > 0 && !any)
            rc = -WC_EINVALID;
        *field = fields[i];
        if (rc != 0)
            return rc;
    }
    return 0;
}

struct words {
    uint8_t bytes[FILTER_WORDS_MAX][WC_WORD_MAX_BYTES];
    size_t len[FILTER_WORDS_MAX];
    uint32_t count;
};

static int read_words(struct words *out, struct wc_text *text, struct wc_slice in)
{
    struct wc_word w;
    int rc = wc_text_set(text, in);
    out->count = 0;
    while (rc == 0 && out->count < FILTER_WORDS_MAX && wc_text_next(text, &w)) {
        memcpy(out->bytes[out->count], w.main.data, w.main.len);
        out->len[out->count++] = w.main.len;
    }
    return rc;
}

/* Whether all words stand in a text. */
static int stand_in(const struct words *words, struct wc_text *text, struct wc_slice in,
                    bool *all)
{
    struct wc_word w;
    uint32_t seen = 0;
    int rc = wc_text_set(text, in);
    while (rc == 0 && wc_text_next(text, &w))
        for (uint32_t i = 0; i < words->count; i++)
            if (wc_slice_eq(wc_slice(words->bytes[i], words->len[i]), w.main))
                seen |= 1U << i;
    *all = seen == (1U << words->count) - 1;
    return rc;
}

/* ---- traits ---- */

/* Three bits of 64 for a word of a field. FNV-1a: the same in every run; whoever finds
 * words with equal bits is only looked at once more. */
static uint64_t bits_of(char field, struct wc_slice word)
{
    uint64_t h = (0xcbf29ce484222325U ^ (uint8_t)field) * 0x100000001b3U;
    for (size_t i = 0; i < word.len; i++)
        h = (h ^ word.data[i]) * 0x100000001b3U;
    h ^= h >> 32; /* the low bits of the product are weak */
    return 1ULL << (h & 63) | 1ULL << (h >> 6 & 63) | 1ULL << (h >> 12 & 63);
}

static int add_bits(uint64_t *bits, char field, struct wc_text *text,
                    struct wc_slice in)
{
    struct wc_word w;
    int rc = wc_text_set(text, in);
    while (rc == 0 && wc_text_next(text, &w))
        *bits |= bits_of(field, w.main);
    return rc;
}

static void pack_traits(uint8_t out[WC_TRAITS_BYTES], uint8_t days, unsigned skills,
                        uint64_t bits)
{
    out[0] = days;
    out[1] = (uint8_t)skills;
    wc_put_u64(out + 2, bits);
}

int wc_traits_of(const struct wc_person *p, struct wc_text *text,
                 uint8_t out[WC_TRAITS_BYTES])
{
    unsigned level = 0, mentor = 0;
    uint64_t bits = 0;
    for (uint32_t i = 0; i < p->skill_count; i++) {
        const struct wc_skill *s = &p->skills[i];
        if (!s->learn && (unsigned)s->level > level)
            level = (unsigned)s->level;
        mentor |= s->mentor ? MENTOR_FLAG : 0;
    }
    int rc = add_bits(&bits, 't', text, p->team);
    for (uint32_t i = 0; rc == 0 && i < p->language_count; i++)
        rc = add_bits(&bits, 'l', text, p->languages[i]);
    pack_traits(out, p->working_days == 0 ? ALL_DAYS : p->working_days, level | mentor,
                bits);
    return rc;
}

int wc_filter_traits(const struct wc_filter *f, struct wc_text *text,
                     uint8_t out[WC_TRAITS_BYTES])
{
    uint64_t bits = 0;
    int rc = add_bits(&bits, 't', text, f->team);
    if (rc == 0)
        rc = add_bits(&bits, 'l', text, f->language);
    pack_traits(out, f->day, (unsigned)f->level | (f->mentor ? MENTOR_FLAG : 0), bits);
    return rc;
}

bool wc_traits_suffice(const uint8_t have[WC_TRAITS_BYTES],
                       const uint8_t least[WC_TRAITS_BYTES])
{
    uint64_t bits = wc_get_u64(least + 2);
    return (least[0] == 0 || (have[0] & least[0]) != 0) &&
           (have[1] & LEVEL_MASK) >= (least[1] & LEVEL_MASK) &&
           (have[1] & least[1] & MENTOR_FLAG) == (least[1] & MENTOR_FLAG) &&
           (wc_get_u64(have + 2) & bits) == bits;
}

/* ---- a person ---- */

int wc_filter_person(const struct wc_filter *f, struct wc_text *text,
                     const struct wc_person *p, bool *passes)
{
    struct words words;
    uint8_t days = p->working_days == 0 ? ALL_DAYS : p->working_days;
    int rc = 0;
    *passes = f->day == 0 || (days & f->day) != 0;
    if (*passes && f->team.len > 0) {
        rc = read_words(&words, text, f->team);
        if (rc == 0)
            rc = stand_in(&words, text, p->team, passes);
    }
    if (rc != 0 || !*passes || f->language.len == 0)
        return rc;
    rc = read_words(&words, text, f->language);
    *passes = false;
    for (uint32_t i = 0; rc == 0 && i < p->language_count && !*passes; i++)
        rc = stand_in(&words, text, p->languages[i], passes);
    return rc;
}

bool wc_filter_skill(const struct wc_filter *f, const struct wc_skill *s)
{
    return !s->learn && s->level >= f->level && (!f->mentor || s->mentor);
}
