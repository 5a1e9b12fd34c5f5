/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <whocan/crypto.h>

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

/* The signals that would otherwise leave the terminal without echo. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

void wc_passphrase_fini(struct wc_passphrase *p)
{
    wc_wipe(p, sizeof(*p));
}

/* ---- from a file ---- */

/* One byte. On a terminal the signals are let in while waiting only (`waiting_mask` is the mask
 * then), so that none comes between looking for one and falling asleep. */
static ssize_t read_byte(int fd, const sigset_t *waiting_mask, char *c)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (waiting_mask != NULL && ppoll(&p, 1, NULL, waiting_mask) < 0) {
            if (errno != EINTR || caught != 0)
                return -1;
            continue;
        }
        ssize_t n = read(fd, c, 1);
        if (n >= 0 || errno != EINTR)
            return n;
    }
}

static int fill(int fd, const sigset_t *waiting_mask, struct wc_passphrase *out)
{
    out->len = 0;
    for (;;) {
        char c;
        ssize_t n = read_byte(fd, waiting_mask, &c);
        if (n < 0)
            return -WC_EIO;
        if (n == 0 || c == '\n')
            break;
        if (out->len == WC_PASSPHRASE_MAX_BYTES)
            return -WC_ETOOBIG;
        out->text[out->len++] = c;
    }
    if (out->len > 0 && out->text[out->len - 1] == '\r')
        out->len--;
    out->text[out->len] = '\0';
    return 0;
}

static int too_long(struct wc_run *run)
{
    return wc_run_fail(run, WC_EXIT_USAGE, "a passphrase has at most %d bytes",
                       WC_PASSPHRASE_MAX_BYTES);
}

static int from_file(struct wc_run *run, const char *path, struct wc_passphrase *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return wc_run_fail(run, WC_EXIT_FILE, "%s: %s", path, strerror(errno));
    int rc = fill(fd, NULL, out);
    close(fd);
    if (rc == -WC_ETOOBIG)
        return too_long(run);
    if (rc != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "%s: %s", path, strerror(errno));
    if (out->len == 0)
        return wc_run_fail(run, WC_EXIT_USAGE, "the first line of %s is empty", path);
    return 0;
}

/* ---- from the terminal ---- */

static int ask(int fd, const char *prompt, const sigset_t *waiting_mask,
               struct wc_passphrase *out)
{
    struct termios shown;
    struct termios hidden;
    if (tcgetattr(fd, &shown) != 0)
        return -WC_EIO;
    hidden = shown;
    hidden.c_lflag = (hidden.c_lflag & ~(tcflag_t)ECHO) | ECHONL;
    if (tcsetattr(fd, TCSAFLUSH, &hidden) != 0)
        return -WC_EIO;
    dprintf(fd, "%s", prompt);
    int rc = fill(fd, waiting_mask, out);
    (void)tcsetattr(fd, TCSAFLUSH, &shown);
    return rc;
}

/* Ask with the signals held, so that echo is on again whatever happens. */
static int ask_guarded(int fd, const char *prompt, struct wc_passphrase *out)
{
    struct sigaction hold = {.sa_handler = on_signal};
    struct sigaction old[SIGNAL_COUNT];
    sigset_t blocked;
    sigset_t waiting_mask;
    sigemptyset(&hold.sa_mask);
    sigemptyset(&blocked);
    caught = 0;
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        sigaddset(&blocked, signals[i]);
        sigaction(signals[i], &hold, &old[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, &waiting_mask);
    int rc = ask(fd, prompt, &waiting_mask, out);
    sigprocmask(SIG_SETMASK, &waiting_mask,
                NULL); /* one that is pending is caught now */
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        sigaction(signals[i], &old[i], NULL);
    if (caught != 0)
        raise(caught);
    return rc;
}

static int ask_once(struct wc_run *run, int fd, const char *prompt,
                    struct wc_passphrase *out)
{
    int rc = ask_guarded(fd, prompt, out);
    if (rc == -WC_ETOOBIG)
        return too_long(run);
    if (rc != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "no passphrase was read");
    return 0;
}

static int check_new(struct wc_run *run, const struct wc_passphrase *p)
{
    if (p->len >= WC_PASSPHRASE_MIN_BYTES)
        return 0;
    return wc_run_fail(
        run, WC_EXIT_USAGE,
        "a passphrase of at least %d characters is needed; several words "
        "are easy to keep",
        WC_PASSPHRASE_MIN_BYTES);
}

static int from_terminal(struct wc_run *run, bool again, struct wc_passphrase *out)
{
    struct wc_passphrase second = {.len = 0};
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "there is no terminal to ask for the passphrase on; use "
                           "--passphrase-file FILE");
    int code = ask_once(run, fd,
                        again ? "New passphrase of the organisation's key: "
                              : "Passphrase of the organisation's key: ",
                        out);
    if (code == 0 && again)
        code = check_new(run, out);
    if (code == 0 && again)
        code = ask_once(run, fd, "The same again: ", &second);
    if (code == 0 && again &&
        (second.len != out->len || !wc_equal(second.text, out->text, out->len)))
        code = wc_run_fail(run, WC_EXIT_USAGE, "the two passphrases differ; try again");
    close(fd);
    wc_passphrase_fini(&second);
    return code;
}

int wc_passphrase_get(struct wc_run *run, bool again, struct wc_passphrase *out)
{
    const char *path = wc_run_option(run, WC_OPT_PASSPHRASE_FILE);
    if (path == NULL)
        return from_terminal(run, again, out);
    int code = from_file(run, path, out);
    return code == 0 && again ? check_new(run, out) : code;
}
