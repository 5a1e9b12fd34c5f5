/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of the engine on a real store: puts are durable when they are told so, a stop
 * commits what gathered, asks are matched, and an office can become another one. */
#include <stdio.h>
#include <string.h>

#include <whocan/crypto.h>
#include <whocan/error.h>
#include <whocan/person.h>
#include <whocan/record.h>

#include "daemon/engine.h"
#include "daemon/office.h"
#include "daemon/people.h"
#include "tests/unit/offices.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

#define PATIENCE_MS 60000

static struct wc_loop *loop;
static struct wc_records *records;
static struct wc_index *ix;
static struct wc_engine *engine;
static struct wc_identity *identity;
static struct wc_timer *patience;
static const struct wc_strings nothing;

static void never(void *ctx)
{
    (void)ctx;
    fail_msg("what was waited for did not come");
}

/* A store with an identity, and an engine that is not started. */
static int set_up(void **state)
{
    char problem[WC_PROBLEM_BYTES];
    static const char *const languages[] = {"english", NULL};
    assert_int_equal(scratch_setup(state), 0);
    assert_int_equal(wc_crypto_init(), 0);
    assert_int_equal(wc_records_open(&records, scratch_path("s"), problem), 0);
    assert_int_equal(wc_index_open(&ix, scratch_path("s"), records, languages, NULL,
                                   NULL, NULL, NULL, problem),
                     0);
    assert_int_equal(wc_office_standalone(&identity, "attic"), 0);
    assert_int_equal(wc_loop_new(&loop), 0);
    patience = wc_timer_new(loop, never, NULL);
    wc_timer_set(patience, PATIENCE_MS, 0);
    struct wc_engine_config config = {
        .loop = loop, .records = records, .index = ix, .replicate = true};
    assert_int_equal(wc_engine_new(&engine, &config), 0);
    return 0;
}

static int tear_down(void **state)
{
    wc_engine_free(engine);
    wc_loop_free(loop);
    wc_index_close(ix);
    wc_records_close(records);
    wc_office_free(identity);
    return scratch_teardown(state);
}

/* ---- from the start to the end ---- */

static void closed(void *ctx)
{
    (void)ctx;
    wc_timer_free(patience);
    wc_loop_halt(loop);
}

static void close_engine(void *ctx)
{
    (void)ctx;
    assert_null(wc_engine_node(engine));
    wc_engine_close(engine, closed, NULL);
}

static void start(void (*settled)(void *ctx))
{
    char problem[WC_PROBLEM_BYTES] = "";
    struct wc_engine_office office = {.identity = identity,
                                      .join = &nothing,
                                      .addresses = &nothing,
                                      .settled = settled};
    if (wc_engine_start(engine, &office, problem) != 0)
        fail_msg("%s", problem);
}

/* Whether a login has a row in the store now. */
static bool is_stored(const char *login)
{
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_buf bytes = {0};
    wc_slot(slot, WC_KIND_ROW, identity->signer.key, login);
    int rc = wc_records_get(records, slot, &bytes);
    wc_buf_fini(&bytes);
    return rc == 0;
}

static void put(const char *login, uint64_t rev, void (*done)(void *ctx, int rc),
                void *ctx)
{
    struct wc_person p = {.present = WC_PERSON_NAME | WC_PERSON_SKILLS,
                          .name = wc_slice_text("Alice Archer"),
                          .skill_count = 1};
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    p.skills[0].name = wc_slice_text("welding");
    const struct wc_signer *office = &identity->signer;
    assert_int_equal(wc_person_body(office->key, login, rev, &p, NULL, &body), 0);
    assert_int_equal(wc_body_sign(sig, WC_KIND_ROW, wc_buf_slice(&body), office), 0);
    wc_engine_put(engine, WC_KIND_ROW, wc_buf_slice(&body), office->key, sig, done,
                  ctx);
    wc_buf_fini(&body);
}

/* ---- the tests ---- */

static void own_card_is_there(void *ctx)
{
    struct wc_node_office office;
    struct wc_records_usage usage;
    (void)ctx;
    assert_true(wc_node_office_at(wc_engine_node(engine), 0, &office));
    assert_true(office.self);
    wc_records_usage(records, &usage);
    assert_int_equal(usage.records_count, 1);
    wc_engine_stop(engine, close_engine, NULL);
}

static void it_has_settled_when_its_card_is_stored(void **state)
{
    (void)state;
    start(own_card_is_there);
    wc_loop_run(loop);
}

#define MANY 300
static int told;

static void told_when_durable(void *ctx, int rc)
{
    const char *login = ctx;
    assert_int_equal(rc, 0);
    assert_true(is_stored(login));
    if (++told == MANY)
        wc_engine_stop(engine, close_engine, NULL);
}

static void put_many(void *ctx)
{
    static char logins[MANY][8];
    (void)ctx;
    told = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(logins[i], sizeof(logins[i]), "p%d", i);
        put(logins[i], 1, told_when_durable, logins[i]);
    }
    assert_int_equal(told, 0);
}

static void a_put_is_durable_when_it_is_told_so(void **state)
{
    (void)state;
    start(put_many);
    wc_loop_run(loop);
    assert_int_equal(told, MANY);
    assert_int_equal(wc_records_people_count(records, identity->signer.key), MANY);
}

static int refused_rc;

static void note_rc(void *ctx, int rc)
{
    (void)ctx;
    refused_rc = rc;
}

static void count_told(void *ctx, int rc)
{
    (void)ctx;
    assert_int_equal(rc, 0);
    told++;
}

static void put_and_stop(void *ctx)
{
    (void)ctx;
    told = 0;
    put("alice", 1, count_told, NULL);
    refused_rc = 0;
    put("alice", 1, note_rc, NULL); /* a rev that is taken */
    assert_int_equal(refused_rc, -WC_ESTALE);
    wc_engine_stop(engine, close_engine, NULL);
    put("bob", 1, note_rc, NULL); /* too late */
    assert_int_equal(refused_rc, -WC_EBUSY);
    assert_int_equal(wc_engine_ask(engine, (const uint8_t[WC_ASK_ID_BYTES]){1},
                                   wc_slice_text("x"), wc_slice_text("y"), 0, NULL,
                                   NULL),
                     -WC_EBUSY);
}

static void a_stop_commits_what_gathered_and_takes_no_more(void **state)
{
    (void)state;
    start(put_and_stop);
    wc_loop_run(loop);
    assert_int_equal(told, 1);
    assert_true(is_stored("alice"));
    assert_false(is_stored("bob"));
}

static const uint8_t ask_id[WC_ASK_ID_BYTES] = {7};

static void answered(void *ctx, const struct wc_answer *answer, uint32_t heard_count)
{
    (void)ctx;
    assert_int_equal(heard_count, 1);
    assert_memory_equal(answer->ask_id, ask_id, sizeof(ask_id));
    assert_int_equal(answer->total, 1);
    assert_int_equal(answer->people_count, 1);
    assert_string_equal(answer->people[0].subject, "alice");
    assert_true(answer->people[0].score_milli > 0);
    wc_engine_ask_end(engine, ask_id);
    wc_engine_ask_end(engine, ask_id); /* once is enough, twice is nothing */
    wc_engine_stop(engine, close_engine, NULL);
}

static void ask_now(void *ctx, int rc)
{
    (void)ctx;
    assert_int_equal(rc, 0);
    assert_int_equal(wc_engine_ask(engine, ask_id, wc_slice_text("who can do welding"),
                                   wc_slice_text("alice"), 3600000, answered, NULL),
                     0);
}

static void put_then_ask(void *ctx)
{
    (void)ctx;
    put("alice", 1, ask_now, NULL);
}

static void an_ask_is_matched_with_the_own_staff(void **state)
{
    (void)state;
    start(put_then_ask);
    wc_loop_run(loop);
}

static void become(struct wc_identity *to)
{
    uint64_t moved = 0;
    assert_int_equal(wc_office_adopt(records, ix, identity, to, wc_wall_ms(), &moved),
                     0);
    assert_int_equal(moved, MANY);
    wc_office_free(identity);
    identity = to;
}

static void nobody_is_lost_when_an_office_becomes_another(void **state)
{
    (void)state;
    struct wc_identity *to, *stored;
    struct wc_config config = {.state = NULL};
    char problem[WC_PROBLEM_BYTES];
    struct wc_people_view *v = calloc(1, sizeof(*v));
    uint8_t old_key[WC_KEY_BYTES];
    memcpy(old_key, identity->signer.key, sizeof(old_key));
    start(put_many);
    wc_loop_run(loop);
    assert_int_equal(wc_office_standalone(&to, "leeds"), 0);
    become(to);
    assert_int_equal(wc_records_people_count(records, identity->signer.key), MANY);
    assert_int_equal(wc_records_people_count(records, old_key), 0);
    assert_int_equal(wc_people_load(records, identity->signer.key, "p7", v), 0);
    assert_true(wc_slice_is(v->row.name, "Alice Archer"));
    assert_int_equal(v->row_rev, 1);
    wc_people_view_fini(v);
    free(v);

    struct wc_hit hits[5];
    struct wc_found found;
    struct wc_index_query query = {.text = wc_slice_text("welding"), .limit = 5};
    assert_int_equal(wc_index_find(ix, &query, hits, &found), 5);
    assert_int_equal(found.total, MANY);
    assert_memory_equal(hits[0].who.office_key, identity->signer.key, WC_KEY_BYTES);

    assert_int_equal(wc_office_load(&stored, records, &config, problem), 0);
    assert_string_equal(stored->cert.name, "leeds");
    assert_true(wc_office_is_standalone(stored));
    wc_office_free(stored);
}

/* The bytes of all rows, one after the other. */
static void read_rows(struct wc_buf *out)
{
    for (int i = 0; i < MANY; i++) {
        char login[16];
        uint8_t slot[WC_DIGEST_BYTES];
        snprintf(login, sizeof(login), "p%d", i);
        wc_slot(slot, WC_KIND_ROW, identity->signer.key, login);
        assert_int_equal(wc_records_get(records, slot, out), 0);
    }
}

static void an_admitted_office_keeps_every_byte(void **state)
{
    (void)state;
    struct offices_org council = offices_org('c');
    struct wc_identity *to = calloc(1, sizeof(*to)), *stored;
    struct wc_config config = {.state = NULL};
    char problem[WC_PROBLEM_BYTES];
    struct wc_buf before = {0}, after = {0};
    start(put_many);
    wc_loop_run(loop);
    read_rows(&before);
    *to = *identity; /* the same keys, another organisation and name */
    to->org = council.org;
    memcpy(to->cert.org_id, council.org.id, WC_ORG_ID_BYTES);
    snprintf(to->cert.name, sizeof(to->cert.name), "leeds");
    to->cert.serial = 7;
    to->cert.not_after_ms = OFFICES_UNTIL_MS;
    offices_certify(to, &council);
    become(to);
    read_rows(&after);
    assert_true(wc_slice_eq(wc_buf_slice(&before), wc_buf_slice(&after)));
    assert_int_equal(wc_records_people_count(records, identity->signer.key), MANY);
    assert_int_equal(wc_office_load(&stored, records, &config, problem), 0);
    assert_string_equal(stored->cert.name, "leeds");
    assert_false(wc_office_is_standalone(stored));
    wc_office_free(stored);
    wc_buf_fini(&before);
    wc_buf_fini(&after);
}

static void an_office_makes_its_name_of_the_host(void **state)
{
    (void)state;
    static const struct {
        const char *host, *name;
    } hosts[] = {
        {"leeds", "leeds"},
        {"LEEDS-01.example.org", "leeds-01"},
        {"_leeds__hall_", "leeds-hall"},
        {"", "office"},
        {"---", "office"},
        {"\xc3\xa5lesund", "lesund"},
        {"a23456789012345678901234567890123456", "a2345678901234567890123456789012"},
    };
    char name[WC_OFFICE_NAME_MAX_BYTES + 1];
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        wc_office_slug(hosts[i].host, name);
        assert_string_equal(name, hosts[i].name);
        assert_true(wc_office_name_valid(wc_slice_text(name)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_has_settled_when_its_card_is_stored, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_put_is_durable_when_it_is_told_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stop_commits_what_gathered_and_takes_no_more,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ask_is_matched_with_the_own_staff, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_lost_when_an_office_becomes_another,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_admitted_office_keeps_every_byte, set_up,
                                        tear_down),
        cmocka_unit_test(an_office_makes_its_name_of_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
