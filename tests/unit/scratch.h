/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of its own for each test, gone when the test is. */
#ifndef WHOCAN_TESTS_SCRATCH_H
#define WHOCAN_TESTS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define SCRATCH_PATH_BYTES 512

static char scratch_dir[SCRATCH_PATH_BYTES / 2];

/* A path in it; valid until the sixteenth call from now. */
static inline const char *scratch_path(const char *name)
{
    static char paths[16][SCRATCH_PATH_BYTES];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, SCRATCH_PATH_BYTES, "%s/%s", scratch_dir, name);
    return path;
}

static inline void scratch_remove(const char *path)
{
    DIR *dir = opendir(path);
    if (dir != NULL) {
        for (struct dirent *e; (e = readdir(dir)) != NULL;) {
            char child[SCRATCH_PATH_BYTES * 2];
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                continue;
            if (snprintf(child, sizeof(child), "%s/%s", path, e->d_name) <
                (int)sizeof(child))
                scratch_remove(child);
        }
        closedir(dir);
    }
    remove(path);
}

static inline int scratch_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(scratch_dir, sizeof(scratch_dir), "%s/whocan-test-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    return mkdtemp(scratch_dir) != NULL ? 0 : -1;
}

static inline int scratch_teardown(void **state)
{
    (void)state;
    scratch_remove(scratch_dir);
    return 0;
}

#define SCRATCH_TEST(fn)                                                               \
    cmocka_unit_test_setup_teardown(fn, scratch_setup, scratch_teardown)

/* Write a whole file. */
static inline void scratch_write(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
}

#endif
