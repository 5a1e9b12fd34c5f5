/* SPDX-License-Identifier: Apache-2.0 */
/* A small office with a search index, for the fuzzers of questions and of the index: made
 * once, in a directory that goes with the process. */
#ifndef WHOCAN_TESTS_FUZZ_COUNCIL_H
#define WHOCAN_TESTS_FUZZ_COUNCIL_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <whocan/cert.h>
#include <whocan/person.h>
#include <whocan/record.h>

#include "daemon/index.h"
#include "tests/fuzz/fuzz.h"

#define COUNCIL_PEOPLE 24
#define COUNCIL_NOW_MS 1700000000000ULL

static char council_dir[256];
static struct wc_records *council_records;
static struct wc_vocabulary *council_vocabulary;
static struct wc_index *council_index;
static struct wc_identity council_office;
static const char *const council_languages[] = {"english", "norwegian", NULL};

static inline const char *council_path(const char *name)
{
    static char path[320];
    snprintf(path, sizeof(path), "%s/%s", council_dir, name);
    return path;
}

static inline void council_remove(void)
{
    static const char *const files[] = {"index/data.mdb",
                                        "index/lock.mdb",
                                        "index",
                                        "index.new/data.mdb",
                                        "index.new/lock.mdb",
                                        "index.new",
                                        "records/data.mdb",
                                        "records/lock.mdb",
                                        "records",
                                        "lock",
                                        ""};
    wc_index_close(council_index);
    wc_records_close(council_records);
    wc_vocabulary_free(council_vocabulary);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        (void)remove(council_path(files[i]));
}

static inline void council_open(void)
{
    char problem[WC_PROBLEM_BYTES];
    HOLDS(wc_index_open(&council_index, council_dir, council_records, council_languages,
                        council_vocabulary, council_office.signer.key, NULL, NULL,
                        problem) == 0);
}

static inline void council_close(void)
{
    wc_index_close(council_index);
    council_index = NULL;
}

static inline struct wc_change council_person(int i)
{
    static const char *const skills[] = {"content design",   "C++",      "gardening",
                                         "åpne data",        "blogging", "GIS/CAD",
                                         "web accessibility"};
    static const char *const titles[] = {"Head Librarian", "Engineer", "Rådgiver"};
    struct wc_person p = {.present = WC_PERSON_NAME | WC_PERSON_TITLE | WC_PERSON_TEAM |
                                     WC_PERSON_SKILLS | WC_PERSON_ASK_ME_ABOUT};
    struct wc_change c = {.kind = WC_KIND_PROFILE};
    struct wc_record r;
    struct wc_buf body = {0}, bytes = {0};
    uint8_t sig[WC_SIG_BYTES];
    char login[16];
    snprintf(login, sizeof(login), "person%d", i);
    p.name = wc_slice_text(i % 2 == 0 ? "Ann Archer" : "Ola Nordmann");
    p.title = wc_slice_text(titles[i % 3]);
    p.team = wc_slice_text(i % 4 == 0 ? "Libraries" : "Web");
    p.ask_me_about = wc_slice_text("starting a blog, and node.js; who can weld?");
    for (int k = 0; k < 3; k++)
        p.skills[k] = (struct wc_skill){.name = wc_slice_text(skills[(i + 2 * k) % 7]),
                                        .level = (enum wc_level)((i + k) % 5)};
    p.skill_count = 3;
    const struct wc_signer *office = &council_office.signer;
    struct wc_stamp_params stamp = {.seq = COUNCIL_NOW_MS + (uint64_t)i,
                                    .stamped_at_ms = COUNCIL_NOW_MS,
                                    .expires_at_ms = COUNCIL_NOW_MS + 30 * WC_DAY_MS};
    HOLDS(wc_person_body(office->key, login, 1, &p, NULL, &body) == 0);
    HOLDS(wc_body_sign(sig, WC_KIND_PROFILE, wc_buf_slice(&body), office) == 0);
    HOLDS(wc_record_stamp(WC_KIND_PROFILE, wc_buf_slice(&body), office->key, sig,
                          office, &stamp, &bytes) == 0);
    wc_slot(c.slot, WC_KIND_PROFILE, office->key, login);
    memcpy(c.office_key, office->key, WC_KEY_BYTES);
    HOLDS(wc_record_decode(wc_buf_slice(&bytes), &r, NULL) == 0);
    memcpy(c.subject, r.subject, sizeof(c.subject));
    c.bytes = wc_buf_take(&bytes, &c.len);
    wc_buf_fini(&body);
    return c;
}

/* The office, its people in the records, and its index, open. Without a vocabulary, whose
 * labels are read each time, it is opened ten times as fast. */
static inline void council_begin(bool with_vocabulary)
{
    static struct wc_change changes[COUNCIL_PEOPLE];
    static const char *const vocabularies[] = {
        WHOCAN_SOURCE_DIR "/packaging/vocabulary", NULL};
    char problem[WC_PROBLEM_BYTES];
    uint8_t seeds[WC_STANDALONE_SEED_BYTES];
    const char *tmp = getenv("TMPDIR");
    if (access("/dev/shm", W_OK) == 0) /* nothing here is to outlive the process */
        tmp = "/dev/shm";
    memset(seeds, 7, sizeof(seeds));
    HOLDS(wc_crypto_init() == 0);
    snprintf(council_dir, sizeof(council_dir), "%s/whocan-fuzz-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    HOLDS(mkdtemp(council_dir) != NULL);
    HOLDS(atexit(council_remove) == 0);
    HOLDS(wc_identity_standalone(&council_office, "leeds", COUNCIL_NOW_MS, seeds) == 0);
    HOLDS(!with_vocabulary || wc_vocabulary_load(&council_vocabulary, vocabularies,
                                                 council_languages, problem) == 0);
    HOLDS(wc_records_open(&council_records, council_dir, problem) == 0);
    for (int i = 0; i < COUNCIL_PEOPLE; i++)
        changes[i] = council_person(i);
    HOLDS(wc_records_commit(council_records, changes, COUNCIL_PEOPLE) == 0);
    for (int i = 0; i < COUNCIL_PEOPLE; i++)
        free(changes[i].bytes);
    council_open();
}

/* The file of the index. */
static inline void council_read(struct wc_buf *out)
{
    uint8_t page[4096];
    int fd = open(council_path("index/data.mdb"), O_RDONLY | O_CLOEXEC);
    HOLDS(fd >= 0);
    for (ssize_t n; (n = read(fd, page, sizeof(page))) > 0;)
        wc_buf_append(out, page, (size_t)n);
    close(fd);
    HOLDS(!out->failed && out->len > 0);
}

static inline void council_write(struct wc_slice file)
{
    int fd = open(council_path("index/data.mdb"), O_WRONLY | O_TRUNC | O_CLOEXEC);
    HOLDS(fd >= 0);
    HOLDS(write(fd, file.data, file.len) == (ssize_t)file.len);
    close(fd);
    (void)remove(council_path("index/lock.mdb"));
}

/* A question; whatever comes, it is an answer or an error of those that are documented. */
static inline int council_find(struct wc_slice text, const struct wc_filter *filter,
                               unsigned how)
{
    static struct wc_hit hits[WC_FIND_LIMIT_MAX];
    static struct wc_corrections corrected;
    struct wc_found found;
    struct wc_index_query q = {.text = text,
                               .limit = (how & 1) != 0 ? 3 : 50,
                               .home = (how & 2) != 0,
                               .near_too = (how & 4) != 0,
                               .without_why = (how & 8) != 0,
                               .corrected = &corrected,
                               .filter = *filter};
    if ((how & 16) != 0)
        q.office_key = council_office.signer.key;
    int n = wc_index_find(council_index, &q, hits, &found);
    HOLDS(n >= -32 && n <= (int)q.limit);
    for (int i = 0; i < n; i++) {
        HOLDS(hits[i].score > 0 && hits[i].score <= 1);
        HOLDS(i == 0 || hits[i].score <= hits[i - 1].score);
        for (uint32_t k = 0; k < hits[i].why_count; k++)
            HOLDS(wc_utf8_valid(wc_slice_text(hits[i].why[k])));
    }
    HOLDS(n < 0 || !found.exact || found.total >= (uint64_t)n);
    return n;
}

#endif
