/* SPDX-License-Identifier: Apache-2.0 */
/* The line that carries what the organisation signed. */
#include <string.h>

#include <whocan/pack.h>
#include <whocan/record.h>
#include <whocan/statement.h>

#include "tests/unit/golden.h"
#include "tests/unit/offices.h"
#include "tests/unit/unit.h"

#define NAME "whocan-statement-1:"

static struct wc_buf record;

static int make(void **state)
{
    (void)state;
    struct offices_org org = offices_org('o');
    struct wc_identity office = offices_office(&org, 'a');
    return wc_revoke_build(office.signer.key, &org.signer, OFFICES_NOW_MS, &record);
}

static int forget(void **state)
{
    (void)state;
    wc_buf_fini(&record);
    return 0;
}

/* The line of `count` times the record. */
static void make_line(uint32_t count, struct wc_buf *line)
{
    struct wc_slice records[WC_STATEMENTS_MAX_COUNT + 1];
    for (uint32_t i = 0; i < count; i++)
        records[i] = wc_buf_slice(&record);
    wc_buf_reset(line);
    assert_int_equal(wc_statement_line(records, count, line), 0);
}

static int parse(const struct wc_buf *line, struct wc_statements *s, struct wc_err *err)
{
    wc_statements_fini(s);
    *s = (struct wc_statements){.count = 0};
    *err = (struct wc_err){0};
    return wc_statement_parse(wc_buf_slice(line), s, err);
}

/* The line of some bytes. */
static void line_of(const struct wc_buf *raw, struct wc_buf *line)
{
    wc_buf_reset(line);
    wc_buf_text(line, NAME);
    wc_buf_base64url(line, wc_buf_slice(raw));
}

static void the_golden_statement(void **state)
{
    (void)state;
    struct wc_buf line = {0}, golden = {0};
    struct wc_statements s = {.count = 0};
    struct wc_err err;
    make_line(1, &line);
    golden_check("statement", wc_buf_slice(&line));
    golden_read("statement", &golden);
    assert_int_equal(parse(&golden, &s, &err), 0);
    assert_int_equal(s.count, 1);
    assert_true(wc_slice_eq(s.records[0], wc_buf_slice(&record)));
    wc_statements_fini(&s);
    wc_buf_fini(&golden);
    wc_buf_fini(&line);
}

static void a_line_carries_up_to_256_records(void **state)
{
    (void)state;
    struct wc_slice many[WC_STATEMENTS_MAX_COUNT + 1];
    struct wc_statements s = {.count = 0};
    struct wc_buf line = {0};
    struct wc_err err;
    for (uint32_t i = 0; i <= WC_STATEMENTS_MAX_COUNT; i++)
        many[i] = wc_buf_slice(&record);
    assert_int_equal(wc_statement_line(many, 0, &line), -WC_EINVALID);
    assert_int_equal(wc_statement_line(many, WC_STATEMENTS_MAX_COUNT + 1, &line),
                     -WC_EINVALID);
    make_line(WC_STATEMENTS_MAX_COUNT, &line);
    assert_true(line.len < WC_STATEMENT_LINE_MAX_BYTES);
    assert_int_equal(parse(&line, &s, &err), 0);
    assert_int_equal(s.count, WC_STATEMENTS_MAX_COUNT);
    for (uint32_t i = 0; i < s.count; i++)
        assert_true(wc_slice_eq(s.records[i], wc_buf_slice(&record)));
    wc_statements_fini(&s);
    wc_buf_fini(&line);
}

static void mail_may_wrap_it(void **state)
{
    (void)state;
    struct wc_buf line = {0}, wrapped = {0};
    struct wc_statements s = {.count = 0};
    struct wc_err err;
    make_line(2, &line);
    wc_buf_text(&wrapped, " \n");
    wc_buf_append(&wrapped, line.data, 40);
    wc_buf_text(&wrapped, "\r\n\t");
    wc_buf_append(&wrapped, line.data + 40, line.len - 40);
    wc_buf_text(&wrapped, "\n");
    assert_int_equal(parse(&wrapped, &s, &err), 0);
    assert_int_equal(s.count, 2);
    wc_statements_fini(&s);
    wc_buf_fini(&wrapped);
    wc_buf_fini(&line);
}

static void what_is_no_statement_is_refused(void **state)
{
    (void)state;
    struct wc_buf line = {0}, raw = {0};
    struct wc_statements s = {.count = 0};
    struct wc_err err;
    make_line(1, &line);
    for (size_t len = 0; len < line.len; len++) { /* cut anywhere */
        struct wc_buf cut = {.data = line.data, .len = len};
        assert_true(parse(&cut, &s, &err) < 0);
        assert_string_equal(err.field, "statement");
        assert_int_equal(s.count, 0);
    }
    line.data[0] ^= 0x20; /* another prefix */
    assert_int_equal(parse(&line, &s, &err), -WC_EINVALID);

    wc_pack_array(&raw, 2); /* another version */
    wc_pack_u64(&raw, 2);
    wc_pack_array(&raw, 0);
    line_of(&raw, &line);
    assert_int_equal(parse(&line, &s, &err), -WC_EVERSION);

    wc_buf_reset(&raw); /* nothing in it */
    wc_pack_array(&raw, 2);
    wc_pack_u64(&raw, 1);
    wc_pack_array(&raw, 0);
    line_of(&raw, &line);
    assert_int_equal(parse(&line, &s, &err), -WC_ETYPE);

    wc_buf_reset(&raw); /* one element too many */
    wc_pack_array(&raw, 3);
    wc_pack_u64(&raw, 1);
    wc_pack_array(&raw, 1);
    wc_pack_bin(&raw, wc_buf_slice(&record));
    wc_pack_u64(&raw, 0);
    line_of(&raw, &line);
    assert_int_equal(parse(&line, &s, &err), -WC_EINVALID);

    wc_buf_reset(&raw); /* text in the place of a record */
    wc_pack_array(&raw, 2);
    wc_pack_u64(&raw, 1);
    wc_pack_array(&raw, 1);
    wc_pack_text(&raw, "record");
    line_of(&raw, &line);
    assert_int_equal(parse(&line, &s, &err), -WC_ETYPE);

    wc_buf_reset(&raw); /* too many */
    wc_pack_array(&raw, 2);
    wc_pack_u64(&raw, 1);
    wc_pack_array(&raw, WC_STATEMENTS_MAX_COUNT + 1);
    for (int i = 0; i <= WC_STATEMENTS_MAX_COUNT; i++)
        wc_pack_bin(&raw, wc_slice("", 0));
    line_of(&raw, &line);
    assert_int_equal(parse(&line, &s, &err), -WC_ETOOBIG);

    wc_buf_reset(&line); /* longer than any */
    uint8_t *room = wc_buf_reserve(&line, WC_STATEMENT_LINE_MAX_BYTES + 1);
    memset(room, ' ', WC_STATEMENT_LINE_MAX_BYTES + 1);
    line.len = WC_STATEMENT_LINE_MAX_BYTES + 1;
    assert_int_equal(parse(&line, &s, &err), -WC_ETOOBIG);
    wc_statements_fini(&s);
    wc_buf_fini(&raw);
    wc_buf_fini(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_statement),
        cmocka_unit_test(a_line_carries_up_to_256_records),
        cmocka_unit_test(mail_may_wrap_it),
        cmocka_unit_test(what_is_no_statement_is_refused),
    };
    if (wc_crypto_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, make, forget);
}
