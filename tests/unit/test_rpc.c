/* SPDX-License-Identifier: Apache-2.0 */
/* MessagePack-RPC as a client may send it, the checks of parameters, and what the table of
 * methods says of itself. */
#include <stdio.h>
#include <string.h>

#include "daemon/methods.h"
#include "daemon/person_params.h"
#include "daemon/rpc.h"
#include "tests/unit/unit.h"

/* ---- messages ---- */

/* The message under test, and what it decodes to. */
static struct wc_buf message;
static struct wc_doc *doc;

static int tear_down(void **state)
{
    (void)state;
    wc_doc_free(doc);
    doc = NULL;
    wc_buf_fini(&message);
    return 0;
}

static int decode(struct wc_rpc *out)
{
    struct wc_err err = {0};
    wc_doc_free(doc);
    doc = NULL;
    assert_int_equal(wc_doc_new(wc_buf_slice(&message), &wc_rpc_limits, &doc), 0);
    int rc = wc_rpc_decode(wc_doc_root(doc), out, &err);
    assert_true(rc == 0 || err.why != NULL);
    return rc;
}

/* [ type, msgid, method, params ] with nothing in params yet. */
static void begin(uint64_t type, uint64_t msgid, const char *method)
{
    wc_buf_reset(&message);
    wc_pack_array(&message, 4);
    wc_pack_u64(&message, type);
    wc_pack_u64(&message, msgid);
    wc_pack_text(&message, method);
}

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    struct wc_rpc rpc;
    begin(0, UINT32_MAX, "people.find");
    wc_pack_array(&message, 1);
    wc_pack_map(&message, 1);
    wc_pack_text(&message, "query");
    wc_pack_text(&message, "blog");
    assert_int_equal(decode(&rpc), 0);
    assert_false(rpc.notification);
    assert_true(rpc.msgid == UINT32_MAX);
    assert_true(wc_slice_is(rpc.method, "people.find"));
    assert_int_equal(rpc.params_rc, 0);
    assert_int_equal(wc_obj_count(rpc.params), 1);

    begin(0, 0, "x");
    wc_pack_array(&message, 0);
    assert_int_equal(decode(&rpc), 0);
    assert_null(rpc.params);
}

static void a_notification_is_taken_apart(void **state)
{
    (void)state;
    struct wc_rpc rpc;
    wc_pack_array(&message, 3);
    wc_pack_u64(&message, 2);
    wc_pack_text(&message, "ask.cancel");
    wc_pack_array(&message, 0);
    assert_int_equal(decode(&rpc), 0);
    assert_true(rpc.notification);
    assert_true(wc_slice_is(rpc.method, "ask.cancel"));
}

static void wrong_params_leave_the_request_readable(void **state)
{
    (void)state;
    struct wc_rpc rpc;
    begin(0, 7, "x");
    wc_pack_map(&message, 0);
    assert_int_equal(decode(&rpc), 0);
    assert_int_equal(rpc.params_rc, -WC_ETYPE);

    begin(0, 7, "x");
    wc_pack_array(&message, 2);
    wc_pack_map(&message, 0);
    wc_pack_map(&message, 0);
    assert_int_equal(decode(&rpc), 0);
    assert_int_equal(rpc.params_rc, -WC_ETYPE);

    begin(0, 7, "x");
    wc_pack_array(&message, 1);
    wc_pack_text(&message, "blog");
    assert_int_equal(decode(&rpc), 0);
    assert_int_equal(rpc.params_rc, -WC_ETYPE);

    begin(0, 7, "x");
    wc_pack_array(&message, 1);
    wc_pack_map(&message, 2);
    for (int i = 0; i < 2; i++) {
        wc_pack_text(&message, "query");
        wc_pack_text(&message, "blog");
    }
    assert_int_equal(decode(&rpc), 0);
    assert_int_equal(rpc.params_rc, -WC_EINVALID);
    assert_int_equal(rpc.msgid, 7);
}

static void what_is_no_request_breaks_the_protocol(void **state)
{
    (void)state;
    struct wc_rpc rpc;
    wc_pack_text(&message, "GET / HTTP/1.0");
    assert_int_equal(decode(&rpc), -WC_EPROTOCOL);

    wc_buf_reset(&message);
    wc_pack_array(&message, 0);
    assert_int_equal(decode(&rpc), -WC_EPROTOCOL);

    begin(1, 7, "x"); /* a response: the client's side has none to give */
    wc_pack_array(&message, 0);
    assert_int_equal(decode(&rpc), -WC_EPROTOCOL);

    begin(3, 7, "x");
    wc_pack_array(&message, 0);
    assert_int_equal(decode(&rpc), -WC_EPROTOCOL);

    begin(0, (uint64_t)UINT32_MAX + 1, "x");
    wc_pack_array(&message, 0);
    assert_int_equal(decode(&rpc), -WC_EPROTOCOL);

    wc_buf_reset(&message);
    wc_pack_array(&message, 4);
    wc_pack_u64(&message, 0);
    wc_pack_i64(&message, -1);
    wc_pack_text(&message, "x");
    wc_pack_array(&message, 0);
    assert_int_equal(decode(&rpc), -WC_EPROTOCOL);

    begin(0, 7, NULL);
    wc_pack_array(&message, 0);
    assert_int_equal(decode(&rpc), -WC_EPROTOCOL);

    wc_buf_reset(&message);
    wc_pack_array(&message, 5);
    wc_pack_u64(&message, 0);
    wc_pack_u64(&message, 7);
    wc_pack_text(&message, "x");
    wc_pack_array(&message, 0);
    wc_pack_nil(&message);
    assert_int_equal(decode(&rpc), -WC_EPROTOCOL);
}

static void answers_are_as_the_specification_has_them(void **state)
{
    (void)state;
    static const uint8_t result[] = {0x94, 0x01, 0x07, 0xc0, 0x80};
    static const uint8_t empty_map[] = {0x80};
    uint32_t msgid = 7;
    wc_rpc_pack_result(&message, msgid, wc_slice(empty_map, 1));
    assert_int_equal(message.len, sizeof(result));
    assert_memory_equal(message.data, result, sizeof(result));

    static const uint8_t notification[] = {0x93, 0x02, 0xa1, 'x', 0x91, 0x80};
    wc_buf_reset(&message);
    wc_rpc_pack_notification(&message, "x", wc_slice(empty_map, 1));
    assert_int_equal(message.len, sizeof(notification));
    assert_memory_equal(message.data, notification, sizeof(notification));

    wc_buf_reset(&message);
    wc_rpc_pack_error(&message, &msgid, -WC_EMISSING, "query is missing", "query");
    assert_int_equal(wc_doc_new(wc_buf_slice(&message), &wc_rpc_limits, &doc), 0);
    const struct wc_obj *error = wc_obj_at(wc_doc_root(doc), 2);
    struct wc_slice text;
    assert_int_equal(wc_obj_str(wc_obj_get(error, "code"), &text), 0);
    assert_true(wc_slice_is(text, "MISSING"));
    assert_int_equal(
        wc_obj_str(wc_obj_get(wc_obj_get(error, "detail"), "field"), &text), 0);
    assert_true(wc_slice_is(text, "query"));
    assert_int_equal(wc_obj_type(wc_obj_at(wc_doc_root(doc), 3)), WC_NIL);

    wc_doc_free(doc);
    wc_buf_reset(&message);
    wc_rpc_pack_error(&message, NULL, -WC_ETYPE, "rubbish", NULL);
    assert_int_equal(wc_doc_new(wc_buf_slice(&message), &wc_rpc_limits, &doc), 0);
    assert_int_equal(wc_obj_type(wc_obj_at(wc_doc_root(doc), 1)), WC_NIL);
    assert_null(wc_obj_get(wc_obj_at(wc_doc_root(doc), 2), "detail"));
}

/* A stream in pieces of one byte gives the same messages as in one piece. */
static void a_stream_is_cut_at_its_messages(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        wc_pack_array(&message, 3);
        wc_pack_u64(&message, 2);
        wc_pack_text(&message, "method");
        wc_pack_array(&message, 1);
        wc_pack_map(&message, 1);
        wc_pack_text(&message, "key");
        wc_pack_bin(&message, wc_slice("0123456789", (size_t)i * 5));
    }
    struct wc_scan_state scan = {0};
    size_t start = 0, used = 0, ends[3];
    int found = 0;
    for (size_t len = 1; len <= message.len; len++) {
        struct wc_slice so_far = wc_slice(message.data + start, len - start);
        int rc = wc_scan_on(&scan, so_far, &wc_rpc_limits, &used);
        assert_true(rc == 0 || rc == -WC_ETRUNCATED);
        if (rc != 0)
            continue;
        assert_int_equal(used, so_far.len);
        ends[found++] = len;
        start = len;
        scan = (struct wc_scan_state){0};
    }
    assert_int_equal(found, 3);
    for (int i = 0, at = 0; i < 3; at = (int)ends[i], i++) {
        struct wc_slice rest = wc_slice(message.data + at, message.len - (size_t)at);
        assert_int_equal(wc_scan(rest, &wc_rpc_limits, &used), 0);
        assert_int_equal((size_t)at + used, ends[i]);
    }
}

/* ---- parameters ---- */

static int check(const char *method, struct wc_err *err, char why[256])
{
    const struct wc_method *m = wc_method_find(wc_slice_text(method));
    assert_non_null(m);
    wc_doc_free(doc);
    doc = NULL;
    why[0] = '\0';
    *err = (struct wc_err){0};
    assert_int_equal(wc_doc_new(wc_buf_slice(&message), &wc_rpc_limits, &doc), 0);
    int rc = wc_params_check(m, wc_doc_root(doc), err, why, 256);
    assert_true(rc == 0 || why[0] != '\0');
    return rc;
}

static void one_pair(const char *key)
{
    wc_buf_reset(&message);
    wc_pack_map(&message, 1);
    wc_pack_text(&message, key);
}

static void parameters_are_checked_against_the_table(void **state)
{
    (void)state;
    struct wc_err err;
    char why[256], long_text[WC_QUERY_MAX_BYTES + 2];
    memset(long_text, 'x', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';

    one_pair("query");
    wc_pack_text(&message, "blog");
    assert_int_equal(check("people.find", &err, why), 0);

    wc_buf_reset(&message);
    wc_pack_map(&message, 0);
    assert_int_equal(check("people.find", &err, why), -WC_EMISSING);
    assert_string_equal(err.field, "query");
    assert_string_equal(why, "query is missing");

    one_pair("query");
    wc_pack_u64(&message, 7);
    assert_int_equal(check("people.find", &err, why), -WC_ETYPE);
    assert_string_equal(why, "query must be text");

    one_pair("query");
    wc_pack_text(&message, long_text);
    assert_int_equal(check("people.find", &err, why), -WC_ETOOBIG);
    assert_string_equal(why, "query has 1001 bytes; at most 1000 are allowed");

    one_pair("query");
    wc_pack_text(&message, "");
    assert_int_equal(check("people.find", &err, why), -WC_EINVALID);

    one_pair("query");
    wc_pack_str(&message, wc_slice("\xff\xfe", 2));
    assert_int_equal(check("people.find", &err, why), -WC_EINVALID);

    wc_buf_reset(&message);
    wc_pack_map(&message, 2);
    wc_pack_text(&message, "query");
    wc_pack_text(&message, "blog");
    wc_pack_text(&message, "limit");
    wc_pack_u64(&message, WC_FIND_LIMIT_MAX + 1);
    assert_int_equal(check("people.find", &err, why), -WC_EINVALID);
    assert_string_equal(why, "limit must be a whole number from 1 to 1000");

    one_pair("if_rev");
    wc_pack_i64(&message, -1);
    assert_int_equal(check("me.set", &err, why), -WC_EINVALID);
    one_pair("if_rev");
    wc_pack_text(&message, "1");
    assert_int_equal(check("me.set", &err, why), -WC_ETYPE);

    one_pair("all");
    wc_pack_u64(&message, 1);
    assert_int_equal(check("people.export", &err, why), -WC_ETYPE);
    assert_string_equal(why, "all must be true or false");

    one_pair("skills");
    wc_pack_text(&message, "blog");
    assert_int_equal(check("me.drop", &err, why), -WC_ETYPE);
    one_pair("rows");
    wc_pack_array(&message, WC_IMPORT_BATCH_MAX_COUNT + 1);
    for (int i = 0; i <= WC_IMPORT_BATCH_MAX_COUNT; i++)
        wc_pack_nil(&message);
    assert_int_equal(check("people.import", &err, why), -WC_ETOOBIG);
}

static void unknown_parameters_are_refused(void **state)
{
    (void)state;
    struct wc_err err;
    char why[256];
    one_pair("qurey");
    wc_pack_text(&message, "blog");
    assert_int_equal(check("people.find", &err, why), -WC_EINVALID);
    assert_string_equal(why, "\"qurey\" is not a parameter of people.find");
    one_pair("name");
    wc_pack_text(&message, "Alice");
    assert_int_equal(check("me.set", &err, why), 0);
    assert_int_equal(check("me.add", &err, why), -WC_EINVALID);
    wc_buf_reset(&message);
    wc_pack_map(&message, 1);
    wc_pack_u64(&message, 1);
    wc_pack_u64(&message, 1);
    assert_int_equal(check("me.set", &err, why), -WC_EINVALID);
}

static void handles_come_apart(void **state)
{
    (void)state;
    struct wc_slice login, office;
    assert_int_equal(wc_handle_split(wc_slice_text("alice"), &login, &office), 0);
    assert_true(wc_slice_is(login, "alice") && office.len == 0);
    assert_int_equal(wc_handle_split(wc_slice_text("a.b_c-9@leeds"), &login, &office),
                     0);
    assert_true(wc_slice_is(login, "a.b_c-9") && wc_slice_is(office, "leeds"));
    static const char *const wrong[] = {"",       "@leeds",      "alice@",
                                        "Alice",  "alice@LEEDS", "alice@a@b",
                                        "-alice", "alice@-x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(wc_handle_split(wc_slice_text(wrong[i]), &login, &office),
                         -WC_EINVALID);
}

/* ---- times and the table ---- */

static void times_are_rfc_3339(void **state)
{
    (void)state;
    struct wc_slice text;
    wc_pack_time(&message, 1772357400999);
    assert_int_equal(wc_doc_new(wc_buf_slice(&message), &wc_rpc_limits, &doc), 0);
    assert_int_equal(wc_obj_str(wc_doc_root(doc), &text), 0);
    assert_true(wc_slice_is(text, "2026-03-01T09:30:00Z"));
    const uint64_t none[] = {0, 253402300800000, WC_REV_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        wc_buf_reset(&message);
        wc_pack_time(&message, none[i]);
        assert_int_equal(message.len, 1);
        assert_int_equal(message.data[0], 0xc0);
    }
}

/* docs/socket.md has one row for each method, and no other. */
static void the_document_lists_each_method(void **state)
{
    (void)state;
    static char text[1 << 16];
    FILE *f = fopen(WHOCAN_SOURCE_DIR "/docs/socket.md", "re");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof(text) - 1, f), rows = 0;
    fclose(f);
    text[len] = '\0';
    for (size_t i = 0; i < wc_methods_count; i++) {
        char row[64];
        snprintf(row, sizeof(row), "\n| `%s` | ", wc_methods[i].name);
        if (strstr(text, row) == NULL)
            fail_msg("docs/socket.md has no row for %s", wc_methods[i].name);
    }
    char *section = strstr(text, "\n## Methods\n");
    assert_non_null(section);
    char *end = strstr(section + 1, "\n## ");
    for (char *p = section; (p = strstr(p, "\n| `")) != NULL && p < end; p++)
        rows++;
    assert_int_equal(rows, wc_methods_count);
}

/* The table of roles in the code is the table of the document, word for word. */
static void the_document_has_the_roles(void **state)
{
    (void)state;
    static char text[1 << 16];
    FILE *f = fopen(WHOCAN_SOURCE_DIR "/docs/socket.md", "re");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    char *section = strstr(text, "\n## Who may call what\n");
    assert_non_null(section);
    char *end = strstr(section + 1, "\n## ");
    assert_non_null(end);
    *end = '\0';
    size_t rows = 0;
    for (size_t i = 0; i < WC_ROLES_COUNT; i++) {
        char row[512];
        snprintf(row, sizeof(row), "\n| `%s` | %s |\n", wc_roles[i].name,
                 wc_roles[i].who);
        if (strstr(section, row) == NULL)
            fail_msg("docs/socket.md has no row%s", row);
    }
    for (char *p = section; (p = strstr(p, "\n| `")) != NULL; p++)
        rows++;
    assert_int_equal(rows, WC_ROLES_COUNT);
}

static void the_description_holds_every_method(void **state)
{
    (void)state;
    wc_methods_describe(&message);
    assert_int_equal(wc_doc_new(wc_buf_slice(&message), &wc_rpc_limits, &doc), 0);
    const struct wc_obj *methods = wc_obj_get(wc_doc_root(doc), "methods");
    assert_int_equal(wc_obj_count(methods), wc_methods_count);
    for (uint32_t i = 0; i < wc_methods_count; i++) {
        struct wc_slice name;
        const struct wc_obj *m = wc_obj_at(methods, i);
        assert_int_equal(wc_obj_str(wc_obj_get(m, "name"), &name), 0);
        assert_ptr_equal(wc_method_find(name), &wc_methods[i]);
        assert_int_equal(wc_obj_count(m), 6);
    }
    assert_null(wc_method_find(wc_slice_text("people.findx")));
    assert_null(wc_method_find(wc_slice_text("people.fin")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_request_is_taken_apart, tear_down),
        cmocka_unit_test_teardown(a_notification_is_taken_apart, tear_down),
        cmocka_unit_test_teardown(wrong_params_leave_the_request_readable, tear_down),
        cmocka_unit_test_teardown(what_is_no_request_breaks_the_protocol, tear_down),
        cmocka_unit_test_teardown(answers_are_as_the_specification_has_them, tear_down),
        cmocka_unit_test_teardown(a_stream_is_cut_at_its_messages, tear_down),
        cmocka_unit_test_teardown(parameters_are_checked_against_the_table, tear_down),
        cmocka_unit_test_teardown(unknown_parameters_are_refused, tear_down),
        cmocka_unit_test_teardown(handles_come_apart, tear_down),
        cmocka_unit_test_teardown(times_are_rfc_3339, tear_down),
        cmocka_unit_test_teardown(the_document_lists_each_method, tear_down),
        cmocka_unit_test_teardown(the_document_has_the_roles, tear_down),
        cmocka_unit_test_teardown(the_description_holds_every_method, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
