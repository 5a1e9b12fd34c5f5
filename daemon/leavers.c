/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/leavers.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/record.h>

#include "daemon/about.h"
#include "daemon/log.h"
#include "daemon/random.h"

#define TICKS_PER_PASS       480 /* eight hours of minutes */
#define LOOKS_MAX_COUNT      512 /* in one minute, whatever the size of the office */
#define NSS_BUFFER_BYTES     16384
#define NSS_BUFFER_MAX_BYTES (1u << 20)
#define KEY_BYTES            (WC_ABOUT_PREFIX_BYTES + sizeof("account"))

struct look {
    struct wc_person_ref who;
    enum wc_account_answer answer;
    uint32_t uid;
    struct wc_leaver before, after;
    uint64_t rev; /* of the live profile; 0: there is none */
    bool retire;
};

struct wc_leavers {
    struct wc_leavers_config config;
    uint64_t day;  /* of the pass; 0: none yet */
    uint64_t left; /* people whose turn is to come in it */
    uint32_t each_tick;
    struct wc_person_ref after; /* where it stands */
    bool busy;
    bool many, many_now; /* the word of IT; and for the look that goes on */
    bool anew;           /* begin the pass of this day again */
    uint8_t office_key[WC_KEY_BYTES];
    struct look *looks;
    uint32_t count;
    struct wc_leavers_held held;  /* as of the look that has ended */
    struct wc_leavers_held found; /* by the look that goes on */
};

static void account_key(const char *login, char out[KEY_BYTES])
{
    char prefix[WC_ABOUT_PREFIX_BYTES];
    wc_about_prefix(login, prefix);
    snprintf(out, KEY_BYTES, "%saccount", prefix);
}

void wc_leavers_get(struct wc_records *records, const char *login,
                    struct wc_leaver *out)
{
    char key[KEY_BYTES];
    struct wc_buf bytes = {0};
    account_key(login, key);
    if (wc_records_meta_get(records, key, &bytes) != 0 ||
        wc_leaver_read(wc_buf_slice(&bytes), out) != 0)
        *out = (struct wc_leaver){.seen = false};
    wc_buf_fini(&bytes);
}

/* ---------------------------------------------------------------- on the pool */

/* Only 0 without an entry is a definite no (getpwnam_r(3)). When no source of
 * nsswitch.conf(5) could be asked at all, glibc returns errno as it found it: it is set to
 * an error beforehand. */
static enum wc_account_answer ask_database(const char *login, uint32_t *uid)
{
    struct passwd entry, *found = NULL;
    int error = ERANGE;
    for (size_t size = NSS_BUFFER_BYTES;
         error == ERANGE && size <= NSS_BUFFER_MAX_BYTES; size *= 4) {
        char *buffer = malloc(size);
        if (buffer == NULL)
            return WC_ACCOUNT_UNKNOWN;
        errno = EIO;
        error = getpwnam_r(login, &entry, buffer, size, &found);
        if (error == 0 && found != NULL)
            *uid = (uint32_t)entry.pw_uid;
        free(buffer);
    }
    if (error != 0)
        return WC_ACCOUNT_UNKNOWN;
    return found != NULL ? WC_ACCOUNT_THERE : WC_ACCOUNT_ABSENT;
}

/* The rev of the live profile; 0: there is none. */
static uint64_t profile_rev(const struct wc_leavers *l, const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_buf bytes = {0};
    struct wc_record r;
    uint64_t rev = 0;
    wc_slot(slot, WC_KIND_PROFILE, l->office_key, login);
    if (wc_records_get(l->config.records, slot, &bytes) == 0 &&
        wc_record_decode(wc_buf_slice(&bytes), &r, NULL) == 0 &&
        r.kind == WC_KIND_PROFILE)
        rev = r.version.rev;
    wc_buf_fini(&bytes);
    return rev;
}

static bool same(const struct wc_leaver *a, const struct wc_leaver *b)
{
    uint8_t x[WC_LEAVER_BYTES], y[WC_LEAVER_BYTES];
    wc_leaver_pack(a, x);
    wc_leaver_pack(b, y);
    return memcmp(x, y, sizeof(x)) == 0;
}

/* All that changed in one commit. What is not durable is not acted upon. */
static int store(struct wc_leavers *l)
{
    struct kept {
        char key[KEY_BYTES];
        uint8_t value[WC_LEAVER_BYTES];
    };
    struct kept *kept = calloc(l->count + 1U, sizeof(*kept));
    struct wc_meta_edit *edits = calloc(l->count + 1U, sizeof(*edits));
    uint32_t count = 0;
    int rc = kept == NULL || edits == NULL ? -WC_ENOMEM : 0;
    for (uint32_t i = 0; rc == 0 && i < l->count; i++) {
        const struct look *k = &l->looks[i];
        if (same(&k->before, &k->after))
            continue;
        account_key(k->who.subject, kept[count].key);
        wc_leaver_pack(&k->after, kept[count].value);
        edits[count] =
            (struct wc_meta_edit){.key = kept[count].key,
                                  .value = wc_slice(kept[count].value, WC_LEAVER_BYTES),
                                  .drop = wc_leaver_is_empty(&k->after)};
        count++;
    }
    if (rc == 0)
        rc = wc_records_meta_edit(l->config.records, edits, count);
    free(edits);
    free(kept);
    return rc;
}

static int count_account(void *ctx, struct wc_slice key, struct wc_slice value)
{
    struct wc_leavers_held *held = ctx;
    static const char suffix[] = "/account";
    const size_t len = sizeof(suffix) - 1;
    struct wc_leaver leaver;
    if (key.len < len || memcmp(key.data + key.len - len, suffix, len) != 0 ||
        wc_leaver_read(value, &leaver) != 0 || wc_leaver_is_empty(&leaver))
        return 0;
    held->known_count++;
    held->missing_count += wc_leaver_is_missing(&leaver);
    return 0;
}

/* Whether too many are missing. What cannot be counted retires nobody either. */
static void count_missing(struct wc_leavers *l)
{
    struct wc_leavers_held *f = &l->found;
    *f = (struct wc_leavers_held){.held = false};
    int rc = wc_records_meta_each(l->config.records, "person/", count_account, f);
    f->held = rc != 0 || wc_leavers_are_many(f->missing_count, f->known_count);
}

static bool is_missing(const struct look *k)
{
    return k->retire && wc_leaver_is_missing(&k->after);
}

static void hold(struct wc_leavers *l)
{
    bool any = l->held.held; /* is it still so? */
    for (uint32_t i = 0; i < l->count; i++)
        any = any || is_missing(&l->looks[i]);
    l->found = l->held;
    if (any)
        count_missing(l);
    for (uint32_t i = 0; l->found.held && !l->many_now && i < l->count; i++)
        if (is_missing(&l->looks[i]))
            l->looks[i].retire = false;
}

static void look_work(void *ctx)
{
    struct wc_leavers *l = ctx;
    for (uint32_t i = 0; i < l->count; i++) {
        struct look *k = &l->looks[i];
        k->answer = ask_database(k->who.subject, &k->uid);
        wc_leavers_get(l->config.records, k->who.subject, &k->before);
        k->after = k->before;
        k->rev = profile_rev(l, k->who.subject);
        k->retire =
            wc_leaver_look(&k->after, k->answer, k->uid, (uint32_t)l->day, k->rev);
    }
    if (store(l) != 0)
        for (uint32_t i = 0; i < l->count; i++)
            l->looks[i].retire = false;
    hold(l);
}

static void say_unanswered(const struct wc_leavers *l)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->count; i++)
        count += l->looks[i].answer == WC_ACCOUNT_UNKNOWN;
    if (count > 0)
        wc_log(WC_LOG_INFO,
               "the account database did not answer for %u of %u people: they are "
               "looked for again tomorrow",
               count, l->count);
}

static void say_held(struct wc_leavers *l)
{
    if (l->found.held && !l->held.held && !l->many_now)
        wc_log(WC_LOG_WARNING,
               "%" PRIu64 " of %" PRIu64 " accounts are missing at once: nobody's "
               "profile is retired until there are fewer, or leavers_many = yes says "
               "that they have left",
               l->found.missing_count, l->found.known_count);
    l->held = l->found;
}

static void look_done(void *ctx)
{
    struct wc_leavers *l = ctx;
    struct wc_leaving *retire = calloc(l->count + 1, sizeof(*retire));
    uint32_t count = 0;
    for (uint32_t i = 0; retire != NULL && i < l->count; i++) {
        const struct look *k = &l->looks[i];
        if (k->retire)
            retire[count++] = (struct wc_leaving){
                .who = k->who, .rev = k->rev, .another_uid = !is_missing(k)};
    }
    l->busy = false;
    say_unanswered(l);
    say_held(l);
    l->config.end(l->config.ctx, retire, count); /* those forgotten come tomorrow */
    free(retire);
}

/* ---------------------------------------------------------------- whose turn it is */

static void begin_pass(struct wc_leavers *l, uint64_t day)
{
    l->day = day;
    l->anew = false;
    l->left = wc_records_people_count(l->config.records, l->office_key);
    l->each_tick = (uint32_t)(l->left / TICKS_PER_PASS) + 1;
    if (l->each_tick > LOOKS_MAX_COUNT)
        l->each_tick = LOOKS_MAX_COUNT;
}

/* The next people after where the pass stands, from the first one after the last. */
static uint32_t take_turn(struct wc_leavers *l)
{
    struct wc_person_ref *refs = calloc(l->each_tick, sizeof(*refs));
    uint32_t wanted = l->left < l->each_tick ? (uint32_t)l->left : l->each_tick;
    if (refs == NULL)
        return 0;
    memcpy(l->after.office_key, l->office_key, WC_KEY_BYTES);
    int count = wc_records_people(l->config.records, l->office_key, &l->after, refs,
                                  (int)wanted);
    if (count == 0)
        count = wc_records_people(l->config.records, l->office_key, NULL, refs,
                                  (int)wanted);
    for (int i = 0; i < count; i++)
        l->looks[i] = (struct look){.who = refs[i]};
    if (count > 0)
        l->after = refs[count - 1];
    free(refs);
    return count > 0 ? (uint32_t)count : 0;
}

void wc_leavers_tick(struct wc_leavers *l)
{
    const uint8_t *office_key = l->busy ? NULL : l->config.begin(l->config.ctx);
    if (office_key == NULL)
        return;
    memcpy(l->office_key, office_key, WC_KEY_BYTES);
    uint64_t day = l->config.now_ms() / WC_DAY_MS;
    if (day != l->day || l->anew)
        begin_pass(l, day);
    l->count = l->left > 0 ? take_turn(l) : 0;
    l->left = l->count > 0 ? l->left - l->count : 0;
    l->many_now = l->many;
    l->busy = l->count > 0;
    if (!l->busy || wc_loop_work(l->config.loop, look_work, look_done, l) != 0) {
        l->busy = false;
        l->config.end(l->config.ctx, NULL, 0);
    }
}

void wc_leavers_set_many(struct wc_leavers *l, bool many)
{
    if (many && !l->many)
        l->anew =
            true; /* those who were held back: in the next minutes, not tomorrow */
    l->many = many;
}

void wc_leavers_held(const struct wc_leavers *l, struct wc_leavers_held *out)
{
    *out = (struct wc_leavers_held){.held = false};
    if (l != NULL && !l->many)
        *out = l->held;
}

int wc_leavers_new(struct wc_leavers **out, const struct wc_leavers_config *config)
{
    struct wc_leavers *l = calloc(1, sizeof(*l));
    if (l != NULL)
        l->looks = calloc(LOOKS_MAX_COUNT, sizeof(*l->looks));
    if (l == NULL || l->looks == NULL) {
        free(l);
        return -WC_ENOMEM;
    }
    l->config = *config;
    l->many = config->many;
    uint8_t number;
    wc_random_bytes(&number, sizeof(number)); /* somebody else is first each time */
    snprintf(l->after.subject, sizeof(l->after.subject), "%c", 'a' + number % 26);
    *out = l;
    return 0;
}

void wc_leavers_free(struct wc_leavers *l)
{
    if (l == NULL)
        return;
    free(l->looks);
    free(l);
}
