/* SPDX-License-Identifier: Apache-2.0 */
/* Files: whole or not at all. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file.h"
#include "tests/unit/unit.h"

static char directory[64];
static char path[128];
static char why[512];

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/whocan-test-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/file", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory); /* fails when a temporary file was left behind */
}

static void assert_holds(const char *expected)
{
    struct wc_buf text = {0};
    assert_int_equal(wc_file_read(path, 1000, &text, why, sizeof(why)), 0);
    assert_true(wc_slice_is(wc_buf_slice(&text), expected));
    wc_buf_fini(&text);
}

static int entries(void)
{
    int count = 0;
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

static void a_file_is_put_and_replaced(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(
        wc_file_put(path, wc_slice_text("one"), 0600, false, why, sizeof(why)), 0);
    assert_holds("one");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(
        wc_file_put(path, wc_slice_text("two"), 0600, false, why, sizeof(why)),
        -WC_EEXISTS);
    assert_non_null(strstr(why, "exists already"));
    assert_holds("one");
    assert_int_equal(
        wc_file_put(path, wc_slice_text("two"), 0600, true, why, sizeof(why)), 0);
    assert_holds("two");
    assert_int_equal(entries(), 1);
}

static void what_is_not_committed_disappears(void **state)
{
    (void)state;
    struct wc_file *f = NULL;
    assert_int_equal(wc_file_new(&f, path, 0644, true, why, sizeof(why)), 0);
    assert_int_equal(wc_file_write(f, wc_slice_text("half"), why, sizeof(why)), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    wc_file_free(f);
    wc_file_free(NULL);
    assert_int_equal(entries(), 0);
}

/* A file that comes into being while another is written stays. */
static void a_file_that_came_meanwhile_is_kept(void **state)
{
    (void)state;
    struct wc_file *f = NULL;
    assert_int_equal(wc_file_new(&f, path, 0600, false, why, sizeof(why)), 0);
    assert_int_equal(
        wc_file_put(path, wc_slice_text("theirs"), 0600, false, why, sizeof(why)), 0);
    assert_int_equal(wc_file_commit(f, why, sizeof(why)), -WC_EEXISTS);
    wc_file_free(f);
    assert_holds("theirs");
    assert_int_equal(entries(), 1);
}

static void a_link_stays_a_link(void **state)
{
    (void)state;
    char target[128];
    char there[128];
    struct stat st;
    snprintf(target, sizeof(target), "%s/target", directory);
    assert_int_equal(
        wc_file_put(target, wc_slice_text("old"), 0600, false, why, sizeof(why)), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(
        wc_file_put(path, wc_slice_text("new"), 0600, true, why, sizeof(why)), 0);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_holds("new");
    assert_true(readlink(path, there, sizeof(there)) > 0);
    assert_int_equal(unlink(target), 0);
}

static void failures_name_the_file(void **state)
{
    (void)state;
    struct wc_buf text = {0};
    struct wc_file *f = NULL;
    assert_int_equal(wc_file_read(path, 10, &text, why, sizeof(why)), -WC_EIO);
    assert_non_null(strstr(why, path));
    assert_int_equal(wc_file_read(directory, 10, &text, why, sizeof(why)), -WC_EIO);
    assert_int_equal(
        wc_file_put(path, wc_slice_text("12345678901"), 0600, true, why, sizeof(why)),
        0);
    assert_int_equal(wc_file_read(path, 10, &text, why, sizeof(why)), -WC_ETOOBIG);
    assert_int_equal(wc_file_new(&f, directory, 0600, true, why, sizeof(why)),
                     -WC_EINVALID);
    assert_int_equal(wc_file_new(&f, "/nonexistent/file", 0600, true, why, sizeof(why)),
                     -WC_EIO);
    assert_non_null(strstr(why, "/nonexistent/file"));
    wc_buf_fini(&text);
}

/* A limit on the size of files stands for the full disk: the same error path. */
static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    struct rlimit old;
    struct rlimit small;
    static const uint8_t zeros[65536];
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(
        wc_file_put(path, wc_slice_text("before"), 0600, true, why, sizeof(why)), 0);
    signal(SIGXFSZ, SIG_IGN);
    small = old;
    small.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc =
        wc_file_put(path, wc_slice(zeros, sizeof(zeros)), 0600, true, why, sizeof(why));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rc, -WC_EIO);
    assert_non_null(strstr(why, path));
    assert_holds("before");
    assert_int_equal(entries(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_put_and_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_committed_disappears, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_file_that_came_meanwhile_is_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_link_stays_a_link, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_name_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
