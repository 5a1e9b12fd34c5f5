/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden vectors: tests/golden/NAME.hex holds the bytes of one thing as they must stay,
 * 32 to a line. A test builds the thing from fixed seeds and compares; with
 * WHOCAN_GOLDEN_WRITE=1 it writes the file instead, which is a change of the format and
 * to be reviewed as one.
 */
#ifndef WHOCAN_TESTS_GOLDEN_H
#define WHOCAN_TESTS_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/bytes.h>

#include "tests/unit/unit.h"

static FILE *golden_open(const char *name, const char *mode)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/tests/golden/%s.hex", WHOCAN_SOURCE_DIR, name);
    FILE *f = fopen(path, mode);
    if (f == NULL)
        fail_msg("%s cannot be opened", path);
    return f;
}

/* Append what the file holds. */
static void golden_read(const char *name, struct wc_buf *out)
{
    char line[128];
    FILE *f = golden_open(name, "r");
    while (fgets(line, sizeof(line), f) != NULL) {
        struct wc_slice digits = wc_slice(line, strcspn(line, "\n"));
        uint8_t *room = wc_buf_reserve(out, digits.len / 2);
        assert_non_null(room);
        assert_int_equal(wc_unhex(room, digits.len / 2, digits), 0);
        out->len += digits.len / 2;
    }
    fclose(f);
}

static void golden_write(const char *name, struct wc_slice bytes)
{
    FILE *f = golden_open(name, "w");
    for (size_t i = 0; i < bytes.len; i += 32) {
        char hex[65];
        wc_hex(hex, bytes.data + i, bytes.len - i < 32 ? bytes.len - i : 32);
        fprintf(f, "%s\n", hex);
    }
    fclose(f);
}

/* The bytes are those of the file. */
static void golden_check(const char *name, struct wc_slice bytes)
{
    const char *write = getenv("WHOCAN_GOLDEN_WRITE");
    if (write != NULL && strcmp(write, "1") == 0)
        golden_write(name, bytes);
    struct wc_buf golden = {0};
    golden_read(name, &golden);
    size_t at = 0;
    while (at < golden.len && at < bytes.len && golden.data[at] == bytes.data[at])
        at++;
    if (at < golden.len || at < bytes.len)
        fail_msg("%s: %zu bytes, golden %zu, first difference at %zu", name, bytes.len,
                 golden.len, at);
    wc_buf_fini(&golden);
}

#endif
