/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/leavers.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/record.h>

#include "daemon/about.h"
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
    bool retire;
};

struct wc_leavers {
    struct wc_leavers_config config;
    uint64_t day;  /* of the pass; 0: none yet */
    uint64_t left; /* people whose turn is to come in it */
    uint32_t each_tick;
    struct wc_person_ref after; /* where it stands */
    bool busy;
    uint8_t office_key[WC_KEY_BYTES];
    struct look *looks;
    uint32_t count;
};

static void account_key(const char *login, char out[KEY_BYTES])
{
    wc_about_prefix(login, out);
    strcat(out, "account");
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

/* Only 0 without an entry is a definite no (getpwnam_r(3)). */
static enum wc_account_answer ask_database(const char *login, uint32_t *uid)
{
    struct passwd entry, *found = NULL;
    int error = ERANGE;
    for (size_t size = NSS_BUFFER_BYTES;
         error == ERANGE && size <= NSS_BUFFER_MAX_BYTES; size *= 4) {
        char *buffer = malloc(size);
        if (buffer == NULL)
            return WC_ACCOUNT_UNKNOWN;
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
    struct kept *kept = calloc(l->count, sizeof(*kept));
    struct wc_meta_edit *edits = calloc(l->count, sizeof(*edits));
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

static void look_work(void *ctx)
{
    struct wc_leavers *l = ctx;
    for (uint32_t i = 0; i < l->count; i++) {
        struct look *k = &l->looks[i];
        k->answer = ask_database(k->who.subject, &k->uid);
        wc_leavers_get(l->config.records, k->who.subject, &k->before);
        k->after = k->before;
        k->retire = wc_leaver_look(&k->after, k->answer, k->uid, (uint32_t)l->day,
                                   profile_rev(l, k->who.subject));
    }
    if (store(l) != 0)
        for (uint32_t i = 0; i < l->count; i++)
            l->looks[i].retire = false;
}

static void look_done(void *ctx)
{
    struct wc_leavers *l = ctx;
    struct wc_person_ref *retire = calloc(l->count + 1, sizeof(*retire));
    uint32_t count = 0;
    for (uint32_t i = 0; retire != NULL && i < l->count; i++)
        if (l->looks[i].retire)
            retire[count++] = l->looks[i].who;
    l->busy = false;
    l->config.end(l->config.ctx, retire, count); /* those forgotten come tomorrow */
    free(retire);
}

/* ---------------------------------------------------------------- whose turn it is */

static void begin_pass(struct wc_leavers *l, uint64_t day)
{
    l->day = day;
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
    if (day != l->day)
        begin_pass(l, day);
    l->count = l->left > 0 ? take_turn(l) : 0;
    l->left = l->count > 0 ? l->left - l->count : 0;
    l->busy = l->count > 0;
    if (!l->busy || wc_loop_work(l->config.loop, look_work, look_done, l) != 0) {
        l->busy = false;
        l->config.end(l->config.ctx, NULL, 0);
    }
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
