/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index keeps up with the records by their log: it knows the sequence up to which it
 * holds everything, and reads on from there. It is not flushed at each write, so it is
 * worth nothing after a power cut; "boot" says which boot of the machine wrote to it, or
 * "clean". A process that is killed loses nothing, since the kernel has what it wrote.
 */
#include "daemon/index.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <utf8proc.h>

#include <whocan/record.h>

#include "daemon/index_internal.h"

#define FORMAT_VERSION 6
#define MAP_FIRST      (64ULL << 20)
#define LOG_BATCH      1000  /* changes read from the log at once */
#define PEOPLE_BATCH   500   /* people read at once, and at most written at once */
#define BATCH_MIN      128   /* with fewer a busy machine would fall behind for good */
#define BATCH_LONG_US  50000 /* nobody waits for the writer for twice as long */
#define FORMAT_BYTES   512
#define BOOT_ID_PATH   "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_BYTES  36
#define CLEAN          "clean"

static const char *const tables[] = {"term",   "name", "post",  "doc",
                                     "person", "attr", "start", "free",
                                     "office", "meta", NULL};
const struct wc_store_options wc_index_store = {.format = "whocan index",
                                                .version = FORMAT_VERSION,
                                                .tables = tables,
                                                .map_bytes = MAP_FIRST,
                                                .rebuildable = true,
                                                .sealed = true};

__attribute__((format(printf, 3, 4))) static int fail(char *problem, int rc,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(problem, WC_PROBLEM_BYTES, format, args);
    va_end(args);
    return rc;
}

void wc_index_found_damage(struct wc_index *ix, const char *what)
{
    pthread_mutex_lock(&ix->pool);
    if (!atomic_load(&ix->damaged))
        snprintf(ix->damage, sizeof(ix->damage), "%s", what);
    atomic_store(&ix->damaged, true);
    pthread_mutex_unlock(&ix->pool);
}

int wc_index_note(struct wc_index *ix, int rc)
{
    if (rc == -WC_ECORRUPT && !atomic_load(&ix->damaged))
        wc_index_found_damage(ix, "something was read that nobody writes");
    return rc;
}

int wc_index_usable(const struct wc_index *ix)
{
    if (atomic_load(&ix->building))
        return -WC_EBUSY;
    return atomic_load(&ix->damaged) ? -WC_ECORRUPT : 0;
}

bool wc_index_is_damaged(struct wc_index *ix, char what[WC_PROBLEM_BYTES])
{
    pthread_mutex_lock(&ix->pool);
    bool damaged = atomic_load(&ix->damaged);
    if (what != NULL)
        snprintf(what, WC_PROBLEM_BYTES, "%s", damaged ? ix->damage : "");
    pthread_mutex_unlock(&ix->pool);
    return damaged;
}

bool wc_index_is_building(const struct wc_index *ix, uint64_t *done, uint64_t *total)
{
    *done = atomic_load(&ix->built_count);
    *total = atomic_load(&ix->to_build_count);
    return atomic_load(&ix->building);
}

/* ---- what the index says about itself ---- */

/* Everything that decides what the terms are. */
static struct wc_slice format_of(const struct wc_index *ix, char out[FORMAT_BYTES])
{
    int n = snprintf(out, FORMAT_BYTES, "text %d terms %d unicode %s", WC_TEXT_VERSION,
                     WC_TERMS_VERSION, utf8proc_unicode_version());
    for (const char **l = ix->languages; *l != NULL && n < FORMAT_BYTES; l++)
        n += snprintf(out + n, (size_t)(FORMAT_BYTES - n), " %s", *l);
    if (ix->vocabulary != NULL && n < FORMAT_BYTES) {
        uint8_t print[WC_DIGEST_BYTES];
        char hex[2 * WC_DIGEST_BYTES + 1];
        wc_vocabulary_fingerprint(ix->vocabulary, print);
        wc_hex(hex, print, sizeof(print));
        snprintf(out + n, (size_t)(FORMAT_BYTES - n), " vocabulary %s", hex);
    }
    return wc_slice_text(out);
}

/* Which boot of the machine this is; empty when the kernel does not say. */
static struct wc_slice boot_id(char out[BOOT_ID_BYTES])
{
    int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, BOOT_ID_BYTES) : 0;
    if (fd >= 0)
        close(fd);
    return wc_slice(out, n == BOOT_ID_BYTES ? BOOT_ID_BYTES : 0);
}

/* A value of ours, compared. */
static int meta_is(struct wc_txn *t, const char *key, struct wc_slice expected,
                   bool *same)
{
    struct wc_slice v;
    int rc = wc_txn_get(t, WC_IX_META, wc_slice_text(key), &v);
    if (rc == 0 && !wc_slice_eq(v, expected))
        *same = false;
    if (rc == -WC_ENOTFOUND) {
        *same = false;
        rc = 0;
    }
    return rc;
}

struct usable {
    struct wc_index *ix;
    struct wc_records_state records;
    bool usable;
};

static int usable_fn(struct wc_txn *t, void *ctx)
{
    struct usable *u = ctx;
    char format[FORMAT_BYTES], boot[BOOT_ID_BYTES];
    uint64_t indexed = 0, complete = 0, damaged = 0;
    bool same = true, clean = true, same_boot = true;
    struct wc_slice id = boot_id(boot);
    int rc = meta_is(t, "format", format_of(u->ix, format), &same);
    if (rc == 0)
        rc = meta_is(t, "instance", wc_slice(u->records.instance, WC_INSTANCE_BYTES),
                     &same);
    if (rc == 0)
        rc = meta_is(t, "boot", wc_slice_text(CLEAN), &clean);
    if (rc == 0)
        rc = meta_is(t, "boot", id, &same_boot);
    if (rc == 0)
        rc = wc_index_meta_u64(t, "indexed", &indexed);
    if (rc == 0)
        rc = wc_index_meta_u64(t, "complete", &complete);
    if (rc == 0)
        rc = wc_index_meta_u64(t, "damaged", &damaged);
    u->usable = rc == 0 && same && (clean || (same_boot && id.len > 0)) &&
                complete == 1 && damaged == 0 && indexed <= u->records.sequence;
    return rc;
}

static int begin_fn(struct wc_txn *t, void *ctx)
{
    struct usable *u = ctx;
    char format[FORMAT_BYTES];
    int rc =
        wc_txn_put(t, WC_IX_META, wc_slice_text("format"), format_of(u->ix, format));
    return rc != 0 ? rc
                   : wc_txn_put(t, WC_IX_META, wc_slice_text("instance"),
                                wc_slice(u->records.instance, WC_INSTANCE_BYTES));
}

static int boot_fn(struct wc_txn *t, void *ctx)
{
    const struct wc_slice *id = ctx;
    return wc_txn_put(t, WC_IX_META, wc_slice_text("boot"), *id);
}

/* On the disk before anything else is: from here on only this boot may trust it. */
static int mark_open(struct wc_index *ix)
{
    char boot[BOOT_ID_BYTES];
    struct wc_slice id = boot_id(boot);
    int rc = wc_store_write(ix->store, boot_fn, &id);
    return rc != 0 ? rc : wc_store_sync(ix->store);
}

static int damaged_fn(struct wc_txn *t, void *ctx)
{
    (void)ctx;
    return wc_index_put_u64(t, "damaged", 1);
}

/* ---- keeping up ---- */

/* How many people are written at once: the more, the less for each of them; but a machine
 * that is busy, or an index of very many people, takes long for few. */
static void adapt(struct wc_index *ix, const struct wc_batch_cost *cost)
{
    if (cost->us > BATCH_LONG_US && ix->batch_people > BATCH_MIN)
        ix->batch_people =
            ix->batch_people / 2 > BATCH_MIN ? ix->batch_people / 2 : BATCH_MIN;
    else if (cost->us < BATCH_LONG_US / 3 && cost->people >= ix->batch_people / 2 &&
             ix->batch_people < PEOPLE_BATCH)
        ix->batch_people *= 2;
}

static int write_batch(struct wc_index *ix, struct wc_batch *b,
                       const struct wc_batch_mark *mark)
{
    struct wc_batch_cost cost;
    int rc = wc_batch_write(b, mark, &cost);
    ix->wrote = true;
    adapt(ix, &cost);
    wc_batch_reset(b);
    return wc_index_note(ix, rc);
}

/* Index all people of an office, or of all offices (NULL), in slices: those after *from,
 * when some are done. */
static int index_people(struct wc_index *ix, struct wc_batch *b,
                        const uint8_t *office_key, const struct wc_person_ref *from,
                        uint64_t done, wc_index_progress_fn progress, void *ctx)
{
    static const struct wc_batch_mark none = {.indexed = 0};
    struct wc_person_ref *refs = calloc(PEOPLE_BATCH, sizeof(*refs));
    struct wc_person_ref last;
    uint64_t total = wc_records_people_count(ix->records, office_key);
    if (done > 0)
        last = *from;
    int rc = refs == NULL ? -WC_ENOMEM : 0, n = 0;
    while (rc == 0) {
        n = wc_records_people(ix->records, office_key, done > 0 ? &last : NULL, refs,
                              PEOPLE_BATCH);
        if (n <= 0) {
            rc = n;
            break;
        }
        for (int i = 0; rc == 0 && i < n; i++) {
            rc = wc_batch_add(b, &refs[i]);
            if (rc == 0 && (i == n - 1 || wc_batch_count(b) >= ix->batch_people))
                rc = write_batch(ix, b, &none);
        }
        last = refs[n - 1];
        done += (uint64_t)n;
        if (rc == 0 && progress != NULL)
            progress(ctx, done, total > done ? total : done);
    }
    free(refs);
    return rc;
}

/* An office is searched for by its name and title too, which its people carry. */
static int index_card(struct wc_index *ix, struct wc_batch *b,
                      const uint8_t *office_key)
{
    char text[WC_OFFICE_TEXT_BYTES];
    bool changed = false;
    int rc = wc_office_text(ix->records, office_key, text);
    if (rc == 0)
        rc = wc_index_note(ix, wc_office_changed(ix, office_key, text, &changed));
    if (rc != 0 || !changed)
        return rc;
    rc = index_people(ix, b, office_key, NULL, 0, NULL, NULL);
    return rc != 0 ? rc : wc_index_note(ix, wc_office_set(ix, office_key, text));
}

static int index_log(struct wc_index *ix, struct wc_batch *b,
                     const struct wc_log_entry *log, int count)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < count; i++)
        if (log[i].kind == WC_KIND_CARD)
            rc = index_card(ix, b, log[i].who.office_key);
    for (int i = 0; rc == 0 && i < count; i++) {
        if (log[i].kind != WC_KIND_CARD)
            rc = wc_batch_add(b, &log[i].who);
        bool last = i == count - 1;
        struct wc_batch_mark mark = {.indexed = log[i].sequence};
        if (rc == 0 && (last || wc_batch_count(b) >= ix->batch_people))
            rc = write_batch(ix, b, &mark);
    }
    return rc;
}

static int indexed_fn(struct wc_txn *t, void *ctx)
{
    return wc_index_meta_u64(t, "indexed", ctx);
}

/* Bring in everything that the log has beyond what is indexed. -WC_ESTALE when the log
 * no longer reaches back that far. */
static int catch_up(struct wc_index *ix)
{
    struct wc_batch *b = NULL;
    uint64_t indexed;
    struct wc_log_entry *log = calloc(LOG_BATCH, sizeof(*log));
    int n = 0, rc = log == NULL ? -WC_ENOMEM : wc_batch_new(&b, ix);
    if (rc == 0)
        rc = wc_index_note(ix, wc_store_read(ix->store, indexed_fn, &indexed));
    while (rc == 0) {
        n = wc_records_log(ix->records, indexed, log, LOG_BATCH);
        if (n <= 0) {
            rc = n;
            break;
        }
        rc = index_log(ix, b, log, n);
        indexed = log[n - 1].sequence;
    }
    if (rc == 0)
        wc_records_indexed(ix->records, indexed);
    wc_batch_free(b);
    free(log);
    return rc;
}

/* ---- building anew ---- */

int wc_index_rest(struct wc_index *ix, const struct wc_person_ref *last, uint64_t done,
                  wc_index_progress_fn progress, void *ctx)
{
    struct wc_batch *b = NULL;
    int rc = wc_batch_new(&b, ix);
    if (rc == 0)
        rc = index_people(ix, b, NULL, last, done, progress, ctx);
    wc_batch_free(b);
    return rc;
}

static int build(struct wc_index *ix, wc_index_progress_fn progress, void *ctx)
{
    struct usable u = {.ix = ix};
    struct wc_batch *b = NULL;
    struct wc_person_ref last;
    uint64_t done = 0;
    int rc = wc_records_state(ix->records, &u.records);
    if (rc == 0)
        rc = mark_open(ix);
    if (rc == 0)
        rc = wc_store_write(ix->store, begin_fn, &u);
    if (rc == 0)
        rc = wc_index_note(
            ix, wc_index_build(ix, WC_BUILD_MAX_BYTES, progress, ctx, &last, &done));
    if (rc == 0)
        rc = wc_index_rest(ix, &last, done, progress, ctx);
    /* What was committed meanwhile is in the log beyond this. */
    struct wc_batch_mark mark = {.indexed = u.records.sequence, .complete = true};
    if (rc == 0)
        rc = wc_batch_new(&b, ix);
    if (rc == 0)
        rc = write_batch(ix, b, &mark);
    if (rc == 0)
        wc_records_indexed(ix->records, u.records.sequence);
    wc_batch_free(b);
    return rc;
}

static int rebuild(struct wc_index *ix, wc_index_progress_fn progress, void *ctx,
                   char *problem)
{
    wc_store_close(ix->store);
    ix->store = NULL;
    atomic_store(&ix->damaged, false);
    wc_index_words_clear(ix);
    int rc = wc_store_remove(ix->path);
    if (rc != 0)
        return fail(problem, rc, "cannot remove the old index %s: %s", ix->path,
                    strerror(errno));
    rc = wc_store_open(&ix->store, ix->path, &wc_index_store, NULL, problem);
    if (rc != 0)
        return rc;
    rc = build(ix, progress, ctx);
    if (rc == 0)
        rc = catch_up(ix);
    wc_terms_forget(&ix->terms);
    return rc == 0 ? 0
                   : fail(problem, rc, "cannot build the index %s: it %s", ix->path,
                          wc_strerror(rc));
}

/* ---- open and close ---- */

static int set_languages(struct wc_index *ix, const char *const *languages,
                         char *problem)
{
    size_t n = 0;
    while (languages[n] != NULL)
        n++;
    ix->languages = calloc(n + 1, sizeof(ix->languages[0]));
    if (ix->languages == NULL)
        return fail(problem, -WC_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        ix->languages[i] = strdup(languages[i]);
        if (ix->languages[i] == NULL)
            return fail(problem, -WC_ENOMEM, "out of memory");
    }
    int rc = wc_text_new(&ix->text, languages);
    if (rc != -WC_EINVALID)
        return rc == 0 ? 0 : fail(problem, rc, "out of memory");
    int len = snprintf(problem, WC_PROBLEM_BYTES,
                       "no stemmer for one of the languages; there are:");
    for (const char *const *l = wc_text_languages();
         *l != NULL && len < WC_PROBLEM_BYTES; l++)
        len += snprintf(problem + len, (size_t)(WC_PROBLEM_BYTES - len), " %s", *l);
    return -WC_ECONFIG;
}

int wc_index_check_file(const char *state_dir, char problem[WC_PROBLEM_BYTES])
{
    char *path = NULL;
    if (asprintf(&path, "%s/index", state_dir) < 0)
        return fail(problem, -WC_ENOMEM, "out of memory");
    int rc = wc_store_check_file(path, &wc_index_store, problem);
    free(path);
    return rc;
}

static struct wc_index *index_new(const char *state_dir, struct wc_records *records)
{
    struct wc_index *ix = calloc(1, sizeof(*ix));
    if (ix == NULL)
        return NULL;
    pthread_mutex_init(&ix->writing, NULL);
    pthread_mutex_init(&ix->pool, NULL);
    pthread_mutex_init(&ix->analysing, NULL);
    ix->records = records;
    ix->batch_people = PEOPLE_BATCH;
    if (asprintf(&ix->path, "%s/index", state_dir) < 0)
        ix->path = NULL;
    if (ix->path == NULL ||
        getrandom(ix->terms.lexicon.hash_key, sizeof(ix->terms.lexicon.hash_key), 0) !=
            sizeof(ix->terms.lexicon.hash_key)) {
        wc_index_close(ix);
        return NULL;
    }
    return ix;
}

/* Open what is there, and say whether it can be kept. */
static int open_old(struct wc_index *ix, bool *usable, char *problem)
{
    struct usable u = {.ix = ix};
    *usable = false;
    int rc = wc_store_open(&ix->store, ix->path, &wc_index_store, NULL, problem);
    if (rc == -WC_ECORRUPT)
        wc_index_found_damage(ix, problem);
    if (rc == -WC_EVERSION || rc == -WC_ECORRUPT)
        return 0; /* to be built anew; only files of a store are ever removed */
    if (rc == 0)
        rc = wc_records_state(ix->records, &u.records);
    if (rc != 0)
        return rc;
    rc = wc_index_note(ix, wc_store_read(ix->store, usable_fn, &u));
    *usable = rc == 0 && u.usable;
    return 0;
}

static int open_index(struct wc_index *ix, wc_index_progress_fn progress, void *ctx,
                      char *problem)
{
    bool usable;
    int rc = open_old(ix, &usable, problem);
    if (rc != 0)
        return rc;
    if (usable) {
        rc = mark_open(ix);
        if (rc == 0)
            rc = wc_index_note(ix, wc_index_words_load(ix));
        if (rc == 0)
            rc = catch_up(ix);
        if (rc == 0)
            return 0;
        if (rc != -WC_ESTALE && rc != -WC_ECORRUPT)
            return fail(problem, rc, "the index %s %s", ix->path, wc_strerror(rc));
    }
    char damage[WC_PROBLEM_BYTES];
    (void)wc_index_is_damaged(ix, damage);
    rc = rebuild(ix, progress, ctx, problem);
    if (rc == 0)
        memcpy(problem, damage, sizeof(damage));
    return rc;
}

void wc_index_set_home(struct wc_index *ix, const uint8_t *office_key)
{
    pthread_mutex_lock(&ix->writing); /* people may just be analysed anew */
    ix->has_home = office_key != NULL;
    if (office_key != NULL)
        memcpy(ix->home_key, office_key, WC_KEY_BYTES);
    pthread_mutex_unlock(&ix->writing);
}

enum wc_audience wc_index_audience(const struct wc_index *ix, const uint8_t *office_key,
                                   bool home)
{
    bool own =
        home && ix->has_home && memcmp(ix->home_key, office_key, WC_KEY_BYTES) == 0;
    return own ? WC_AUDIENCE_OFFICE : WC_AUDIENCE_ORGANISATION;
}

int wc_index_open(struct wc_index **out, const char *state_dir,
                  struct wc_records *records, const char *const *languages,
                  const struct wc_vocabulary *vocabulary, const uint8_t *home_key,
                  wc_index_progress_fn progress, void *ctx,
                  char problem[WC_PROBLEM_BYTES])
{
    *out = NULL;
    problem[0] = '\0';
    struct wc_index *ix = index_new(state_dir, records);
    if (ix == NULL)
        return fail(problem, -WC_ENOMEM, "out of memory");
    ix->vocabulary = wc_vocabulary_ref(vocabulary);
    wc_index_set_home(ix, home_key);
    int rc = set_languages(ix, languages, problem);
    if (rc == 0 && wc_index_words_init(ix) != 0)
        rc = fail(problem, -WC_ENOMEM, "out of memory");
    if (rc == 0)
        rc = open_index(ix, progress, ctx, problem);
    if (rc != 0) {
        wc_store_close(ix->store); /* not clean: the next open looks again */
        ix->store = NULL;
        wc_index_close(ix);
        return rc;
    }
    *out = ix;
    return 0;
}

/* Flushed first: "clean" must never reach the disk before what it vouches for. */
static void close_store(struct wc_index *ix)
{
    struct wc_slice clean = wc_slice_text(CLEAN);
    int rc = wc_store_sync(ix->store);
    if (rc == 0 && atomic_load(&ix->damaged))
        rc = wc_store_write(ix->store, damaged_fn, NULL);
    if (rc == 0)
        rc = wc_store_write(ix->store, boot_fn, &clean);
    if (rc == 0)
        (void)wc_store_sync(ix->store);
    wc_store_close(ix->store);
}

void wc_index_close(struct wc_index *ix)
{
    if (ix == NULL)
        return;
    if (ix->store != NULL)
        close_store(ix);
    wc_searchers_free(ix->idle);
    wc_index_words_fini(ix);
    wc_terms_fini(&ix->terms);
    wc_text_free(ix->text);
    for (const char **l = ix->languages; l != NULL && *l != NULL; l++)
        free((void *)*l);
    free(ix->languages);
    free(ix->path);
    wc_vocabulary_free(ix->vocabulary);
    pthread_mutex_destroy(&ix->writing);
    pthread_mutex_destroy(&ix->pool);
    pthread_mutex_destroy(&ix->analysing);
    free(ix);
}

/* ---- for the owner ---- */

static int clear_fn(struct wc_txn *t, void *ctx)
{
    struct usable *u = ctx;
    int rc = 0;
    for (uint32_t table = 0; rc == 0 && table < WC_IX_META; table++)
        rc = wc_txn_clear(t, table);
    if (rc == 0)
        rc = begin_fn(t, u);
    return rc != 0 ? rc : wc_index_put_u64(t, "indexed", u->records.sequence);
}

static int clear(struct wc_index *ix)
{
    struct usable u = {.ix = ix};
    int rc = wc_records_state(ix->records, &u.records);
    if (rc == 0)
        rc = wc_index_note(ix, wc_store_write(ix->store, clear_fn, &u));
    if (rc == 0)
        wc_index_words_clear(ix);
    if (rc == 0)
        wc_records_indexed(ix->records, u.records.sequence);
    return rc;
}

int wc_index_apply(struct wc_index *ix, const struct wc_change *changes, size_t count)
{
    /* The log says what changed, and also what an earlier failure left undone. */
    (void)changes;
    (void)count;
    pthread_mutex_lock(&ix->writing);
    /* who builds it brings in what is committed meanwhile */
    int rc = atomic_load(&ix->building) ? 0 : catch_up(ix);
    if (rc == -WC_ESTALE) { /* so far behind that the log has been cut */
        rc = clear(ix);
        rc = rc != 0 ? rc : build(ix, NULL, NULL);
        rc = rc != 0 ? rc : catch_up(ix);
    }
    if (atomic_load(&ix->damaged))
        (void)wc_store_write(ix->store, damaged_fn, NULL);
    pthread_mutex_unlock(&ix->writing);
    return rc;
}

/* ---- another vocabulary ---- */

const struct wc_vocabulary *wc_index_vocabulary(struct wc_index *ix)
{
    pthread_mutex_lock(&ix->pool);
    const struct wc_vocabulary *v = wc_vocabulary_ref(ix->vocabulary);
    pthread_mutex_unlock(&ix->pool);
    return v;
}

static bool same_vocabulary(const struct wc_vocabulary *a,
                            const struct wc_vocabulary *b)
{
    uint8_t x[WC_DIGEST_BYTES], y[WC_DIGEST_BYTES];
    if (a == NULL || b == NULL)
        return a == b;
    wc_vocabulary_fingerprint(a, x);
    wc_vocabulary_fingerprint(b, y);
    return memcmp(x, y, sizeof(x)) == 0;
}

/* The index says from here on that it is of the new vocabulary, and not complete. */
static int reworded_fn(struct wc_txn *t, void *ctx)
{
    int rc = begin_fn(t, ctx);
    return rc != 0 ? rc : wc_index_put_u64(t, "complete", 0);
}

/* Questions and writers have the new one from here on. *same: nothing is recognised
 * otherwise. The writing lock is held. */
static int change_vocabulary(struct wc_index *ix, const struct wc_vocabulary *v,
                             bool *same)
{
    struct usable u = {.ix = ix};
    const struct wc_vocabulary *old = ix->vocabulary;
    *same = same_vocabulary(old, v);
    int rc = *same ? 0 : wc_records_state(ix->records, &u.records);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&ix->pool);
    ix->vocabulary = wc_vocabulary_ref(v);
    pthread_mutex_unlock(&ix->pool);
    wc_vocabulary_free(old);
    wc_terms_forget(&ix->terms); /* what words mean, by the old one */
    return *same ? 0 : wc_index_note(ix, wc_store_write(ix->store, reworded_fn, &u));
}

/* One slice of everybody, after *last. Returns how many, or a negative error. */
static int reanalyse_slice(struct wc_index *ix, struct wc_person_ref *refs,
                           const struct wc_person_ref *after)
{
    static const struct wc_batch_mark none = {.indexed = 0};
    struct wc_batch *b = NULL;
    int n = wc_records_people(ix->records, NULL, after, refs, PEOPLE_BATCH);
    int rc = n < 0 ? n : wc_batch_new(&b, ix);
    for (int i = 0; rc == 0 && i < n; i++) {
        rc = wc_batch_add(b, &refs[i]);
        if (rc == 0 && (i == n - 1 || wc_batch_count(b) >= ix->batch_people))
            rc = write_batch(ix, b, &none);
    }
    wc_batch_free(b);
    return rc != 0 ? rc : n;
}

static int reanalyse(struct wc_index *ix, const atomic_bool *stop, uint64_t *people)
{
    static const struct wc_batch_mark complete = {.complete = true};
    struct wc_person_ref *refs = calloc(PEOPLE_BATCH, sizeof(*refs)), last;
    struct wc_batch *b = NULL;
    int n = refs == NULL ? -WC_ENOMEM : 1;
    while (n > 0 && !atomic_load(stop)) {
        pthread_mutex_lock(&ix->writing);
        n = reanalyse_slice(ix, refs, *people > 0 ? &last : NULL);
        pthread_mutex_unlock(&ix->writing);
        if (n > 0) {
            last = refs[n - 1];
            *people += (uint64_t)n;
        }
    }
    free(refs);
    if (n != 0)
        return n < 0 ? n : 0;
    pthread_mutex_lock(&ix->writing);
    n = wc_batch_new(&b, ix);
    if (n == 0)
        n = write_batch(ix, b, &complete);
    wc_batch_free(b);
    pthread_mutex_unlock(&ix->writing);
    return n;
}

int wc_index_set_vocabulary(struct wc_index *ix, const struct wc_vocabulary *vocabulary,
                            const atomic_bool *stop, uint64_t *people)
{
    bool same;
    *people = 0;
    pthread_mutex_lock(&ix->analysing);
    pthread_mutex_lock(&ix->writing);
    int rc = change_vocabulary(ix, vocabulary, &same);
    if (rc == 0 && !same)
        rc = wc_index_words_labels(ix);
    pthread_mutex_unlock(&ix->writing);
    if (rc == 0 && !same)
        rc = reanalyse(ix, stop, people);
    pthread_mutex_unlock(&ix->analysing);
    return rc;
}

/* ---- building anew while running ---- */

/* From here on nothing of the old one is read. The writing lock is held. */
static int begin_rebuild(struct wc_index *ix, struct usable *u)
{
    atomic_store(&ix->building, true);
    int rc = wc_records_state(ix->records, &u->records);
    if (rc == 0)
        rc = wc_store_renew(ix->store);
    if (rc != 0)
        return rc;
    wc_index_words_clear(ix);
    atomic_store(&ix->damaged, false);
    rc = mark_open(ix);
    return rc != 0 ? rc : wc_store_write(ix->store, begin_fn, u);
}

/* Everybody is in; now what was committed meanwhile. The writing lock is held. */
static int end_rebuild(struct wc_index *ix, const struct usable *u)
{
    struct wc_batch_mark mark = {.indexed = u->records.sequence, .complete = true};
    struct wc_batch *b = NULL;
    int rc = wc_batch_new(&b, ix);
    if (rc == 0)
        rc = write_batch(ix, b, &mark);
    wc_batch_free(b);
    if (rc == 0)
        rc = catch_up(ix);
    if (rc == 0)
        atomic_store(&ix->building, false);
    return rc;
}

static int rebuild_people(struct wc_index *ix, const atomic_bool *stop,
                          wc_index_progress_fn progress, void *ctx)
{
    struct wc_person_ref *refs = calloc(PEOPLE_BATCH, sizeof(*refs)), last;
    uint64_t done = 0;
    int n = refs == NULL ? -WC_ENOMEM : 1;
    while (n > 0 && !atomic_load(stop)) {
        pthread_mutex_lock(&ix->writing);
        n = reanalyse_slice(ix, refs, done > 0 ? &last : NULL);
        pthread_mutex_unlock(&ix->writing);
        if (n <= 0)
            break;
        last = refs[n - 1];
        done += (uint64_t)n;
        atomic_store(&ix->built_count, done);
        if (done > atomic_load(&ix->to_build_count))
            atomic_store(&ix->to_build_count, done);
        if (progress != NULL)
            progress(ctx, done, atomic_load(&ix->to_build_count));
    }
    free(refs);
    return n > 0 ? -WC_ECLOSED : n; /* told to stop */
}

int wc_index_rebuild(struct wc_index *ix, const atomic_bool *stop,
                     wc_index_progress_fn progress, void *ctx)
{
    struct usable u = {.ix = ix};
    pthread_mutex_lock(&ix->analysing);
    atomic_store(&ix->built_count, 0);
    atomic_store(&ix->to_build_count, wc_records_people_count(ix->records, NULL));
    pthread_mutex_lock(&ix->writing);
    int rc = begin_rebuild(ix, &u);
    pthread_mutex_unlock(&ix->writing);
    if (rc == 0)
        rc = rebuild_people(ix, stop, progress, ctx);
    pthread_mutex_lock(&ix->writing);
    if (rc == 0)
        rc = end_rebuild(ix, &u);
    pthread_mutex_unlock(&ix->writing);
    pthread_mutex_unlock(&ix->analysing);
    return rc == -WC_ECLOSED ? 0 : rc;
}

int wc_index_clear(struct wc_index *ix)
{
    pthread_mutex_lock(&ix->writing);
    int rc = clear(ix);
    pthread_mutex_unlock(&ix->writing);
    return rc;
}

int wc_index_compact(struct wc_index *ix)
{
    int rc = wc_index_apply(ix, NULL, 0);
    pthread_mutex_lock(&ix->writing);
    if (rc == 0)
        rc = wc_store_compact(ix->store);
    pthread_mutex_unlock(&ix->writing);
    return rc;
}

static int usage_fn(struct wc_txn *t, void *ctx)
{
    struct wc_index_usage *u = ctx;
    int rc = wc_txn_count(t, WC_IX_PERSON, &u->people_count);
    return rc != 0 ? rc : wc_txn_count(t, WC_IX_TERM, &u->terms_count);
}

void wc_index_usage(struct wc_index *ix, struct wc_index_usage *out)
{
    struct wc_store_usage u;
    wc_store_usage(ix->store, &u);
    *out =
        (struct wc_index_usage){.used_bytes = u.used_bytes, .map_bytes = u.map_bytes};
    (void)wc_store_read(ix->store, usage_fn, out);
}

struct table_bytes {
    uint32_t table;
    uint64_t bytes;
};

static int table_fn(struct wc_txn *t, void *ctx)
{
    struct table_bytes *b = ctx;
    return wc_txn_bytes(t, b->table, &b->bytes);
}

bool wc_index_table(struct wc_index *ix, uint32_t table, const char **name,
                    uint64_t *bytes)
{
    struct table_bytes b = {.table = table};
    if (table > WC_IX_META)
        return false;
    (void)wc_store_read(ix->store, table_fn, &b);
    *name = tables[table];
    *bytes = b.bytes;
    return true;
}

void wc_index_longest(struct wc_index *ix, struct wc_store_longest *out)
{
    wc_store_longest(ix->store, out);
}

/* What the writer remembers of words is worth its memory while it writes. */
static void forget_words(struct wc_index *ix)
{
    if (pthread_mutex_trylock(&ix->writing) != 0)
        return; /* it is writing */
    if (!ix->wrote && wc_lexicon_bytes(&ix->terms.lexicon) > 0) {
        wc_terms_forget(&ix->terms);
        malloc_trim(0);
    }
    ix->wrote = false;
    pthread_mutex_unlock(&ix->writing);
}

void wc_index_tidy(struct wc_index *ix)
{
    forget_words(ix);
    (void)wc_store_tidy(ix->store);
    (void)wc_store_sync(ix->store);
}
