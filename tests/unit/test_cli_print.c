/* SPDX-License-Identifier: Apache-2.0 */
/* The screens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/json.h"
#include "cli/print.h"
#include "tests/unit/unit.h"

#define NOW 1772443800 /* 2026-03-02T09:30:00Z */

static struct wc_term term;

static int setup(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    wc_term_init(&term, STDOUT_FILENO); /* sets the locale that widths need */
    term = (struct wc_term){.columns = 80, .rows = 24};
    return 0;
}

static json_t *json(const char *text)
{
    json_t *value = NULL;
    char why[200] = "";
    int rc = wc_json_parse(wc_slice_text(text), &value, why, sizeof(why));
    if (rc != 0)
        print_error("%s\n", why);
    assert_int_equal(rc, 0);
    return value;
}

static void assert_screen(struct wc_buf *out, const char *expected)
{
    wc_buf_byte(out, '\0');
    assert_false(out->failed);
    assert_string_equal((char *)out->data, expected);
    wc_buf_fini(out);
}

static void times_are_read(void **state)
{
    (void)state;
    time_t t = 0;
    assert_true(wc_print_time(wc_slice_text("2026-03-02T09:30:00Z"), &t));
    assert_int_equal(t, NOW);
    assert_true(wc_print_time(wc_slice_text("2026-03-02T09:30:00.250Z"), &t));
    assert_int_equal(t, NOW);
    assert_false(wc_print_time(wc_slice_text("yesterday"), &t));
    assert_false(wc_print_time(wc_slice_text(""), &t));
    assert_false(wc_print_time(
        wc_slice_text("2026-03-02T09:30:00Z and much more than a time has"), &t));
}

static void distances_in_time_read_well(void **state)
{
    (void)state;
    static const struct {
        int seconds;
        const char *text;
    } cases[] = {
        {0, "now"},
        {1, "now"},
        {-1, "now"},
        {14, "14 s ago"},
        {3600, "1 h 0 min ago"},
        {86400 * 2, "2 days ago"},
        {-90, "in 1 min"},
        {-86400 * 20, "in 20 days"},
    };
    struct wc_buf out = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wc_print_ago(&out, NOW - cases[i].seconds, NOW);
        assert_screen(&out, cases[i].text);
    }
    wc_print_date(&out, NOW);
    assert_screen(&out, "2 March 2026");
}

static void people_are_listed(void **state)
{
    (void)state;
    json_t *people = json(
        "[{\"handle\": \"alice@leeds\", \"name\": \"Alice Archer\", \"title\": "
        "\"Librarian\","
        " \"team\": \"Libraries North\", \"office\": \"leeds\", \"score\": 0.9,"
        " \"why\": [\"expert in content design\", \"can mentor\"]},"
        " {\"handle\": \"bj\xc3\xb8rn@bergen\", \"name\": \"Bj\xc3\xb8rn\", \"title\": "
        "\"\","
        " \"team\": \"\", \"why\": [], \"skills\": [{\"name\": \"blogging\"}, \"sql\"],"
        " \"willing\": false, \"available\": false},"
        " {\"handle\": \"new@town\", \"office\": \"town\", \"score\": 0.1}]");
    struct wc_buf out = {0};
    wc_print_people(&term, &out, people, 10);
    assert_screen(&out,
                  "Alice Archer  alice@leeds   Librarian, Libraries North\n"
                  "    expert in content design; can mentor\n"
                  "Bj\xc3\xb8rn         bj\xc3\xb8rn@bergen\n"
                  "    blogging, sql; prefers not to be asked; not working today\n"
                  "new@town\n"
                  "    this profile has not arrived here yet\n");
    wc_print_people(&term, &out, people, 1);
    assert_screen(&out, "Alice Archer  alice@leeds  Librarian, Libraries North\n"
                        "    expert in content design; can mentor\n");
    wc_print_people(&term, &out, NULL, 10);
    wc_buf_byte(&out, 'x'); /* nothing was written */
    assert_screen(&out, "x");
    json_decref(people);
}

/* Long texts stay within the screen, and hostile ones are harmless. */
static void lists_keep_to_the_screen(void **state)
{
    (void)state;
    char long_text[400];
    memset(long_text, 'w', sizeof(long_text) - 1);
    for (size_t i = 7; i < sizeof(long_text) - 1; i += 8)
        long_text[i] = ' ';
    long_text[sizeof(long_text) - 1] = '\0';
    json_t *people = json_pack("[{s:s, s:s, s:s, s:[s]}]", "handle", "evil\x1b[2J@town",
                               "name", long_text, "title",
                               "\xe2\x80\xae"
                               "desrever",
                               "why", long_text);
    assert_non_null(people);
    struct wc_buf out = {0};
    wc_print_people(&term, &out, people, 1);
    size_t start = 0;
    int lines = 0;
    for (size_t i = 0; i < out.len; i++) {
        assert_true(out.data[i] != 0x1b);
        if (out.data[i] != '\n')
            continue;
        assert_true(wc_term_width(wc_slice(out.data + start, i - start)) <= 80);
        start = i + 1;
        lines++;
    }
    assert_int_equal(lines, 3);
    assert_non_null(memmem(out.data, out.len, "\\u{202e}", 8));
    wc_buf_fini(&out);
    json_decref(people);
}

static void a_person_is_shown(void **state)
{
    (void)state;
    json_t *person = json(
        "{\"handle\": \"alice@leeds\", \"name\": \"Alice Archer\", \"title\": "
        "\"Librarian\","
        " \"team\": \"Libraries North\", \"office\": \"leeds\", \"skills\": [{\"name\":"
        " \"content design\", \"level\": \"expert\", \"mentor\": true}, {\"name\": "
        "\"sql\","
        " \"level\": \"\", \"source\": \"directory\"}, {\"name\": \"go\", \"learn\": "
        "true}],"
        " \"interests\": [\"cycling\", \"history\"], \"ask_me_about\": \"starting a "
        "blog, and"
        " keeping it going when the ideas run out in week three\", \"languages\":"
        " [\"English\"], \"working_days\": [\"mon\", \"tue\"], \"contact\": {\"email\":"
        " \"a@example.org\", \"phone\": \"\"}, \"willing\": false, \"available\": "
        "false,"
        " \"confirmed_at\": \"2026-02-01T09:30:00Z\", \"source\": \"both\"}");
    struct wc_buf out = {0};
    wc_print_person(&term, &out, person, NOW);
    assert_screen(
        &out, "Alice Archer  alice@leeds\n"
              "Librarian, Libraries North\n"
              "\n"
              "Skills        content design (expert, can mentor)\n"
              "              sql (from the directory)\n"
              "              go (wants to learn)\n"
              "Interests     cycling, history\n"
              "Ask about     starting a blog, and keeping it going when the ideas run "
              "out in\n"
              "              week three\n"
              "Languages     English\n"
              "Works         mon tue (not today)\n"
              "Help          prefers not to be asked at present\n"
              "Contact       a@example.org\n"
              "Office        leeds\n"
              "Profile       in their own words, and from the directory; confirmed 29 "
              "days ago\n");
    json_decref(person);
    person = json("{\"handle\": \"x@town\"}");
    wc_print_person(&term, &out, person, NOW);
    assert_screen(&out, "x@town\n\n");
    json_decref(person);
}

static void offices_are_listed_with_notes(void **state)
{
    (void)state;
    json_t *result = json(
        "{\"offices\": [{\"name\": \"leeds\", \"title\": \"Leeds Civic Hall\", "
        "\"state\":"
        " \"self\", \"people\": 1102, \"last_heard_at\": null, \"expires_at\":"
        " \"2026-03-20T09:30:00Z\", \"clock_offset_ms\": 0}, {\"name\": \"bergen\", "
        "\"title\":"
        " \"Bergen\", \"state\": \"linked\", \"people\": 98, \"last_heard_at\":"
        " \"2026-03-02T09:29:46Z\", \"expires_at\": \"2026-03-07T09:30:00Z\","
        " \"clock_offset_ms\": -7300}, {\"name\": \"york\", \"title\": \"York\","
        " \"state\": \"known\", \"people\": 3, \"last_heard_at\": null,"
        " \"expires_at\": \"2026-03-10T09:30:00Z\", \"clock_offset_ms\": 0}, "
        "{\"name\": \"quay\", \"title\": \"\", \"state\":"
        " \"revoked\", \"people\": 0, \"clock_offset_ms\": null, \"expires_at\":"
        " \"2026-03-12T09:30:00Z\"}, {\"name\": \"hull\", \"title\": \"Hull\", "
        "\"state\":"
        " \"known\", \"people\": 5, \"last_heard_at\": \"2026-02-25T09:30:00Z\","
        " \"expires_at\": \"2026-03-01T09:30:00Z\", \"clock_offset_ms\": 61000,"
        " \"faults\": 12}]}");
    struct wc_buf out = {0};
    wc_print_offices(&term, &out, result, NOW);
    assert_screen(&out, "OFFICE  TITLE             STATE        PEOPLE  HEARD\n"
                        "leeds   Leeds Civic Hall  this office   1,102  -\n"
                        "bergen  Bergen            linked           98  14 s ago\n"
                        "hull    Hull              not linked        5  5 days ago\n"
                        "york    York              not linked        3  -\n"
                        "quay                      revoked           0  -\n"
                        "! leeds: its certificate ends in 18 days\n"
                        "! bergen: its clock is 7 s behind this office's; its "
                        "certificate ends in 5 days\n"
                        "! hull: its clock is 1 min ahead of this office's; its "
                        "certificate ended 1 d 0 h\n"
                        "  ago; it was found at fault 12 times (`whocan status` says "
                        "why)\n");
    json_decref(result);
}

static void offices_say_how_far_they_are(void **state)
{
    (void)state;
    json_t *result = json(
        "{\"offices\": [{\"name\": \"york\", \"state\": \"known\", \"people\": 3,"
        " \"addresses\": [\"192.0.2.7:7411\"], \"last_heard_at\": "
        "\"2026-03-02T09:00:00Z\","
        " \"last_news_at\": \"2026-03-02T09:29:00Z\", \"via\": \"bergen\", \"hops\": 3,"
        " \"version\": \"0.1.0\"},"
        " {\"name\": \"hull\", \"state\": \"known\", \"people\": 5, \"via\":"
        " \"bergen\", \"hops\": null, \"last_news_at\": \"2026-03-02T09:29:30Z\"},"
        " {\"name\": \"bergen\", \"state\": \"linked\", \"people\": 98, \"hops\": 1,"
        " \"last_heard_at\": \"2026-03-02T09:29:46Z\"},"
        " {\"name\": \"leeds\", \"state\": \"self\", \"people\": 1, \"hops\": 0}]}");
    struct wc_buf out = {0};
    wc_print_offices(&term, &out, result, NOW);
    assert_screen(
        &out,
        "OFFICE  TITLE  STATE        PEOPLE  HEARD      FAR       ADDRESS         "
        "VERSION\n"
        "leeds          this office       1  -          -         -               -\n"
        "bergen         linked           98  14 s ago   direct    -               -\n"
        "hull           not linked        5  30 s ago   by berg\xe2\x80\xa6  -         "
        "      "
        "-\n"
        "york           not linked        3  1 min ago  3 links\xe2\x80\xa6  "
        "192.0.2.7:7411  0.1.0\n");
    json_decref(result);
}

/* Nobody counts two hundred lines. */
static void many_offices_are_summed_up(void **state)
{
    (void)state;
    json_t *offices = json_array();
    struct wc_buf out = {0};
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof(name), "o%03d", (i * 77) % 200);
        json_array_append_new(offices, json_pack("{s:s, s:s}", "name", name, "state",
                                                 i == 0    ? "self"
                                                 : i < 9   ? "linked"
                                                 : i < 199 ? "known"
                                                           : "revoked"));
    }
    json_t *result = json_pack("{s:o}", "offices", offices);
    wc_print_offices(&term, &out, result, NOW);
    wc_buf_byte(&out, '\0');
    const char *text = (const char *)out.data;
    const char *last = "\n200 offices, this one included, 8 linked, 190 not linked, 1 "
                       "revoked\n";
    assert_string_equal(text + strlen(text) - strlen(last), last);
    assert_true(strstr(text, "o000") < strstr(text, "o077"));
    assert_true(strstr(text, "o077") < strstr(text, "o001"));
    wc_buf_fini(&out);
    json_decref(result);
}

static void an_office_is_shown_with_its_certificate(void **state)
{
    (void)state;
    json_t *result =
        json("{\"name\": \"leeds\", \"title\": \"Leeds Civic Hall\","
             " \"organisation\": \"Council\", \"organisation_id\": \"00ff\","
             " \"key\": \"abcd\", \"fingerprint\": \"12ef\", \"serial\": 7,"
             " \"people\": 41, \"quota\": 2000, \"mode\": \"member\","
             " \"not_before\": \"2026-03-01T00:00:00Z\","
             " \"not_after\": \"2026-03-20T09:30:00Z\", \"days_left\": 18}");
    struct wc_buf out = {0};
    wc_print_office(&term, &out, result, NOW);
    assert_screen(&out, "Office        leeds\n"
                        "Title         Leeds Civic Hall\n"
                        "Organisation  Council\n"
                        "Its id        00ff\n"
                        "Mode          member\n"
                        "Key           abcd\n"
                        "Fingerprint   12ef\n"
                        "Serial        7\n"
                        "People        41 of at most 2,000\n"
                        "Certificate   1 March 2026 to 20 March 2026 (ends in 18 "
                        "days)\n");
    json_decref(result);
}

static void status_says_first_whether_all_is_well(void **state)
{
    (void)state;
    json_t *result = json(
        "{\"version\": \"0.1.0\", \"office\": \"leeds\", \"organisation\": \"Council\","
        " \"mode\": \"member\", \"uptime_s\": 273600, \"people\": 300, \"records\": "
        "303,"
        " \"offices_known\": 2, \"links\": [{\"office\": \"bergen\", \"since_s\": 3000,"
        " \"received_bytes\": 123456, \"sent_bytes\": 1234567}], \"store\": {\"path\":"
        " \"/var/lib/whocan\", \"used_bytes\": 1234567, \"map_bytes\": 67108864},"
        " \"certificate\": {\"not_after\": \"2028-03-01T00:00:00Z\", \"days_left\": "
        "729},"
        " \"warnings\": []}");
    struct wc_buf out = {0};
    wc_print_status(&term, &out, result, NOW);
    assert_screen(&out, "All is well.\n"
                        "\n"
                        "Office        leeds\n"
                        "Organisation  Council\n"
                        "Daemon        whocand 0.1.0, up 3 d 4 h\n"
                        "People        300 can be found (303 records)\n"
                        "Offices       2 known, this one included; 1 link\n"
                        "Store         /var/lib/whocan, 1.2 MB of 67 MB\n"
                        "Certificate   valid until 1 March 2028 (729 days)\n");
    json_object_set_new(result, "warnings",
                        json_pack("[s]", "the disk is full\x1b[2J"));
    json_object_set_new(result, "mode", json_string("standalone"));
    json_object_set_new(result, "links", json_array());
    wc_print_status(&term, &out, result, NOW);
    wc_buf_byte(&out, '\0');
    const char *text = (const char *)out.data;
    assert_int_equal(
        strncmp(text, "1 warning:\n  ! the disk is full\\u{1b}[2J\n\n", 40), 0);
    assert_non_null(strstr(text, "stands alone"));
    assert_null(strstr(text, "LINK TO"));
    wc_buf_fini(&out);
    json_decref(result);
}

static void status_tells_of_links_when_asked(void **state)
{
    (void)state;
    json_t *result = json(
        "{\"warnings\": [], \"office\": \"leeds\", \"offices_known\": 40, \"links\": ["
        "{\"office\": \"bergen\", \"address\": \"192.0.2.7:7411\", \"role\": "
        "\"neighbour\","
        " \"path\": \"eager\", \"tree\": \"parent\", \"since_s\": 3000, \"rtt_ms\": 14,"
        " \"received_bytes\": 123456, \"sent_bytes\": 1234567, \"queued_bytes\": 0,"
        " \"dropped_frames\": 2}, {\"office\": \"york\", \"role\": \"visitor\", "
        "\"since_s\": 3, \"rtt_ms\": 0}],"
        " \"overlay\": {\"active\": 1, \"passive\": 4, \"eager\": 1, \"mode\": "
        "\"tree\","
        " \"root\": \"hull\", \"root_hops\": 2},"
        " \"reconciliation\": {\"last\": {\"office\": \"bergen\", \"at\": "
        "\"2026-03-02T09:29:46Z\","
        " \"took_ms\": 12, \"differences\": 7, \"taken\": 7}, \"running\": "
        "{\"office\": "
        "\"york\", \"differences\": 900, \"came\": 120}, \"next_s\": 9, \"rounds\": 12,"
        " \"equal\": 10, \"broken_off\": 1, \"differences\": 907, \"taken\": 127},"
        " \"queues\": {\"links_bytes\": 2000, \"commit\": 120, \"left_out\": "
        "{\"answers\":"
        " {\"frames\": 2}}}}");
    struct wc_buf out = {0};
    wc_print_status_links(&term, &out, result, NOW);
    wc_buf_byte(&out, '\0');
    const char *text = (const char *)out.data;
    static const char *const parts[] = {
        "\nNeighbours    1 neighbour, 1 of them in the tree; 1 visitor; the root of ",
        " of the\n              tree is hull, 2 links away\n",
        "\nReconciled    14 s ago with bergen: 7 differences; now fetching from york: ",
        " york: 120\n              of 900 records so far\n",
        "\nWaiting       2.0 kB on links, 120 changes to be stored\n",
        "\nLeft out      2 frames for offices that read too slowly\n",
        "\nLINK TO  ADDRESS      ROLE     SINCE",
        " eager    50 min   14 ms    123 kB  1.2 MB     0 B        2\n",
        " visitor  3 s     < 1 ms",
        "\nReconciling   12 rounds since the start: 10 without a difference, 1 broken ",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strstr(text, parts[i]) == NULL)
            fail_msg("%s is not in %s", parts[i], text);
    }
    wc_buf_fini(&out);
    json_decref(result);
}

static void an_event_is_a_line(void **state)
{
    (void)state;
    json_t *event =
        json("{\"event\": \"link_down\", \"at\": \"2026-03-02T09:29:46Z\", \"office\":"
             " \"evil\\u001b[2J\", \"reason\": \"the other end was silent\", "
             "\"records\": 1200}");
    struct wc_buf out = {0};
    wc_print_event(&term, &out, event);
    assert_screen(&out,
                  "09:29:46  link_down  office evil\\u{1b}[2J, reason the other end "
                  "was silent, records 1,200\n");
    json_decref(event);
}

/* Whatever a daemon leaves out or gives another type, a screen comes out. */
static void answers_of_another_shape_are_survived(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "null",
        "[]",
        "{}",
        "5",
        "{\"offices\": 5, \"links\": {}, \"warnings\": [1, null], \"store\": [],"
        " \"certificate\": \"x\", \"skills\": [null, 1, {}, [\"x\"]], \"interests\": "
        "[1, {}],"
        " \"name\": 7, \"handle\": null, \"working_days\": {}, \"contact\": []}",
        "{\"offices\": [null, {}, 1], \"links\": [{}, 2], \"warnings\": {}}",
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        json_t *value = json(shapes[i]);
        json_t *list = json_pack("[O, n, i]", value, 1);
        struct wc_buf out = {0};
        wc_print_people(&term, &out, list, 10);
        wc_print_person(&term, &out, value, NOW);
        wc_print_offices(&term, &out, value, NOW);
        wc_print_status_links(&term, &out, value, NOW);
        wc_print_event(&term, &out, value);
        wc_print_office(&term, &out, value, NOW);
        wc_print_org(&term, &out, value);
        assert_false(out.failed);
        assert_true(out.len > 0);
        wc_buf_fini(&out);
        json_decref(list);
        json_decref(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(distances_in_time_read_well),
        cmocka_unit_test(people_are_listed),
        cmocka_unit_test(lists_keep_to_the_screen),
        cmocka_unit_test(a_person_is_shown),
        cmocka_unit_test(offices_are_listed_with_notes),
        cmocka_unit_test(offices_say_how_far_they_are),
        cmocka_unit_test(many_offices_are_summed_up),
        cmocka_unit_test(an_office_is_shown_with_its_certificate),
        cmocka_unit_test(status_says_first_whether_all_is_well),
        cmocka_unit_test(status_tells_of_links_when_asked),
        cmocka_unit_test(an_event_is_a_line),
        cmocka_unit_test(answers_of_another_shape_are_survived),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
