/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a person's key: made once, for nobody else's eyes. */
#include <whocan/person_key.h>

#include "cli/key_file.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

static char why[512];

static const char *path(void)
{
    return scratch_path("data/whocan/person.key");
}

static int load(struct wc_signer *out)
{
    why[0] = '\0';
    return wc_key_file_load(path(), out, why, sizeof(why));
}

static void make(void)
{
    struct wc_signer key;
    assert_int_equal(load(&key), 0);
    wc_signer_fini(&key);
}

static void refused(int rc, const char *says)
{
    struct wc_signer key;
    assert_int_equal(load(&key), rc);
    if (strstr(why, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, says);
}

static unsigned mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(name, &st), 0);
    return st.st_mode & 07777;
}

static void it_is_made_once(void **state)
{
    (void)state;
    struct wc_signer one, two;
    mode_t mask = umask(0);
    assert_int_equal(load(&one), 0);
    umask(mask);
    assert_int_equal(mode_of(scratch_path("data")), 0700);
    assert_int_equal(mode_of(scratch_path("data/whocan")), 0700);
    assert_int_equal(mode_of(path()), 0600);
    assert_int_equal(load(&two), 0);
    assert_memory_equal(one.key, two.key, WC_KEY_BYTES);
    assert_int_equal(unlink(path()), 0);
    assert_int_equal(load(&two), 0);
    assert_memory_not_equal(one.key, two.key, WC_KEY_BYTES);
}

static void others_eyes_are_refused(void **state)
{
    (void)state;
    make();
    static const mode_t loose[] = {0604, 0640, 0620, 0602, 0610, 0666};
    for (size_t i = 0; i < sizeof(loose) / sizeof(loose[0]); i++) {
        assert_int_equal(chmod(path(), loose[i]), 0);
        refused(-WC_EDENIED, "others can read the key");
    }
    assert_int_equal(chmod(path(), 0600), 0);
    assert_int_equal(chmod(scratch_path("data/whocan"), 0770), 0);
    refused(-WC_EDENIED, "is open to others (mode 0770): chmod 700");
    assert_int_equal(unlink(path()), 0);
    refused(-WC_EDENIED, "is open to others"); /* and none is made there */
    assert_int_equal(access(path(), F_OK), -1);
    assert_int_equal(chmod(scratch_path("data/whocan"), 0700), 0);
    make();
}

static void another_accounts_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make();
    assert_int_equal(chown(path(), 12345, 12345), 0);
    refused(-WC_EDENIED, "is another account's");
    assert_int_equal(chown(path(), 0, 0), 0);
    assert_int_equal(chown(scratch_path("data/whocan"), 12345, 12345), 0);
    refused(-WC_EDENIED, "is another account's");
}

static void a_link_is_refused(void **state)
{
    (void)state;
    make();
    assert_int_equal(rename(path(), scratch_path("elsewhere")), 0);
    assert_int_equal(symlink(scratch_path("elsewhere"), path()), 0);
    refused(-WC_EDENIED, "is a link");
    assert_int_equal(unlink(path()), 0);
    assert_int_equal(mkfifo(path(), 0600), 0);
    refused(-WC_EDENIED, "is not a plain file"); /* and it does not wait for a writer */
}

static void damage_is_told(void **state)
{
    (void)state;
    make();
    struct wc_buf later = {0};
    scratch_write(path(), "", 0);
    refused(-WC_ECORRUPT, "is damaged");
    scratch_write(path(), "whocan-person-key-1:AAAA\n", 25);
    refused(-WC_ECORRUPT, "is damaged");
    assert_non_null(wc_buf_reserve(&later, 4096));
    memset(later.data, 'x', 4096);
    scratch_write(path(), later.data, 4096);
    refused(-WC_ECORRUPT, "is damaged");
    wc_buf_fini(&later);
    scratch_write(path(), "whocan-person-key-9:AAAA\n", 25);
    refused(-WC_EVERSION, "later version");
}

static void where_it_is(void **state)
{
    (void)state;
    char out[512];
    setenv("XDG_DATA_HOME", "/some/where", 1);
    assert_int_equal(wc_key_file_path(out, sizeof(out), why, sizeof(why)), 0);
    assert_string_equal(out, "/some/where/whocan/person.key");
    setenv("XDG_DATA_HOME", "not/absolute",
           1); /* as the specification has it: ignored */
    setenv("HOME", scratch_path(""), 1);
    assert_int_equal(wc_key_file_path(out, sizeof(out), why, sizeof(why)), 0);
    assert_string_equal(out, scratch_path("/.local/share/whocan/person.key"));
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(wc_key_file_path(out, sizeof(out), why, sizeof(why)), 0);
    assert_string_equal(out, scratch_path("/.local/share/whocan/person.key"));
    assert_int_equal(wc_key_file_path(out, 16, why, sizeof(why)), -WC_ETOOBIG);
    if (geteuid() != 0)
        return;
    /* sudo leaves the HOME of whoever called it */
    assert_int_equal(chown(scratch_path(""), 12345, 12345), 0);
    assert_int_equal(wc_key_file_path(out, sizeof(out), why, sizeof(why)), 0);
    assert_null(strstr(out, scratch_dir));
    assert_int_equal(chown(scratch_path(""), 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(it_is_made_once),
        SCRATCH_TEST(others_eyes_are_refused),
        SCRATCH_TEST(another_accounts_is_refused),
        SCRATCH_TEST(a_link_is_refused),
        SCRATCH_TEST(damage_is_told),
        SCRATCH_TEST(where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
