/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: its head, its lines, and the check of many lines one after another. */
#include <whocan/audit.h>
#include <whocan/error.h>

#include "tests/fuzz/fuzz.h"

static void read_head(struct wc_slice in)
{
    struct wc_audit_head head;
    char text[WC_AUDIT_HEAD_BYTES + 1];
    if (wc_audit_head_parse(in, &head) != 0)
        return;
    wc_audit_head_text(text, &head);
    HOLDS(memcmp(text, in.data, 20) == 0); /* a hash may have had capitals */
}

static void read_line(struct wc_slice line)
{
    struct wc_audit_start start;
    struct wc_slice person;
    int rc = wc_audit_parse(line, &start);
    HOLDS(rc == 0 || rc == -WC_ECORRUPT);
    for (size_t at = 0, before = 0; wc_audit_next_person(line, &at, &person);) {
        HOLDS(person.len == WC_AUDIT_PERSON_CHARS && person.data[0] == '#');
        HOLDS(at > before && at <= line.len);
        before = at;
    }
    (void)wc_audit_is_about(line, "alice", "leeds");
    (void)wc_audit_is_about(line, "alice", "");
    (void)wc_audit_says_u64(line, "format", WC_AUDIT_FORMAT);
}

/* What is said is found, whatever it is, and begins no other member. */
static void say(struct wc_slice in)
{
    struct wc_buf members = {0}, line = {0};
    struct wc_audit_head head = {0};
    struct wc_audit_check c = {.lines_count = 0};
    struct wc_audit_start start;
    wc_audit_say(&members, "act", wc_slice_text(WC_AUDIT_ACT_FILE));
    wc_audit_say(&members, "x", in);
    int rc = wc_audit_line(&line, &head, 1763764201123, wc_buf_slice(&members));
    HOLDS(rc == 0 || (rc == -WC_ETOOBIG && line.len == 0));
    if (rc == 0) {
        struct wc_slice text = wc_slice(line.data, line.len - 1);
        HOLDS(wc_audit_parse(text, &start) == 0 && start.n == 1);
        HOLDS(wc_audit_says(text, "x", in));
        HOLDS(!wc_audit_says(text, "about", wc_slice_text("bob@leeds")));
        HOLDS(memchr(text.data, '\n', text.len) == NULL);
        wc_audit_check_line(&c, text, 1);
        wc_audit_check_end(&c);
        HOLDS(c.broken == NULL && c.head.n == 1);
    }
    wc_buf_fini(&members);
    wc_buf_fini(&line);
}

static void check(struct wc_slice in)
{
    struct wc_audit_check c = {.lines_count = 0};
    uint64_t place = 0;
    while (in.len > 0) {
        const uint8_t *end = memchr(in.data, '\n', in.len);
        size_t len = end == NULL ? in.len : (size_t)(end - in.data);
        read_line(wc_slice(in.data, len));
        wc_audit_check_line(&c, wc_slice(in.data, len), ++place);
        len += end != NULL;
        in = wc_slice(in.data + len, in.len - len);
    }
    wc_audit_check_end(&c);
    HOLDS(c.lines_count == place);
    HOLDS(c.broken == NULL || (c.broken_place >= 1 && c.broken_place <= place));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    HOLDS(wc_crypto_init() == 0);
    read_head(wc_slice(data, size));
    say(wc_slice(data, size));
    check(wc_slice(data, size));
    return 0;
}
