/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"

#define HOST_MAX_BYTES   255 /* of a name in the DNS */
#define SSH_WORDS_MAX    32
#define NOISE_MAX_BYTES  65536 /* what login scripts may print before the relay speaks */
#define LINE_MAX_BYTES   256
#define END_PATIENCE_MS  2000 /* for ssh to end by itself */
#define RELAY_BYTES      65536
#define STATUS_SSH       255 /* ssh(1): an error of its own */
#define STATUS_NOT_FOUND 127 /* sh: no such command */

bool wc_host_valid(const char *host)
{
    size_t len = strlen(host);
    const char *at = strrchr(host, '@');
    const char *name = at == NULL ? host : at + 1;
    return len > 0 && len <= HOST_MAX_BYTES && host[0] != '-' && host[0] != '@' &&
           name[0] != '-' && name[0] != '\0' &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "._-@:%[]+") == len;
}

/* ---- ssh ---- */

/* The words of $WHOCAN_SSH, parted by blanks and not seen by any shell, and what follows.
 * `text` is cut up. False when there is no word, or too many. */
static bool ssh_words(char *text, const char *host, char *words[SSH_WORDS_MAX + 16])
{
    static const char *const more[] = {"-T", "-a", "-x", "-o", "ConnectTimeout=10",
                                       "--"};
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t", &rest); word != NULL;
         word = strtok_r(NULL, " \t", &rest)) {
        if (count == SSH_WORDS_MAX)
            return false;
        words[count++] = word;
    }
    if (count == 0)
        return false;
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        words[count++] = (char *)(uintptr_t)more[i];
    words[count++] = (char *)(uintptr_t)host;
    words[count++] = (char *)(uintptr_t) "whocan relay";
    words[count] = NULL;
    return true;
}

/* Ctrl-C is this program's: an ask keeps what has come. ssh leaves a signal ignored that
 * was so at its start, but while it asks for a passphrase. */
_Noreturn static void become_ssh(int fd, char *words[])
{
    signal(SIGINT, SIG_IGN);
    if (dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0)
        execvp(words[0], words);
    fprintf(stderr, "whocan: cannot run %s: %s\n", words[0], strerror(errno));
    _exit(STATUS_SSH);
}

static int start_ssh(struct wc_run *run, const char *host, int *fd)
{
    char text[4096];
    char *words[SSH_WORDS_MAX + 16];
    const char *named = getenv("WHOCAN_SSH");
    int pair[2];
    int len = snprintf(text, sizeof(text), "%s",
                       named != NULL && named[0] != '\0' ? named : "ssh");
    if (len < 0 || (size_t)len >= sizeof(text) || !ssh_words(text, host, words))
        return wc_run_fail(run, WC_EXIT_USAGE, "WHOCAN_SSH is no command");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return wc_run_fail(run, WC_EXIT_FILE, "cannot make a socket: %s",
                           strerror(errno));
    fflush(NULL);
    run->ssh = fork();
    if (run->ssh == 0)
        become_ssh(pair[1], words);
    close(pair[1]);
    *fd = pair[0];
    if (run->ssh > 0)
        return 0;
    close(pair[0]);
    return wc_run_fail(run, WC_EXIT_FILE, "cannot start ssh: %s", strerror(errno));
}

/* How ssh ended: its exit status, or -1. It is told to after a moment. */
static int reap_ssh(struct wc_run *run)
{
    int status = 0;
    struct pollfd p = {.fd = pidfd_open(run->ssh, 0), .events = POLLIN};
    if (p.fd < 0 || poll(&p, 1, END_PATIENCE_MS) <= 0)
        kill(run->ssh, SIGTERM);
    if (p.fd >= 0)
        close(p.fd);
    while (waitpid(run->ssh, &status, 0) < 0 && errno == EINTR)
        ;
    run->ssh = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void wc_host_end(struct wc_run *run)
{
    if (run->ssh > 0)
        reap_ssh(run);
}

/* ---- the greeting ---- */

static int explain(struct wc_run *run, const char *host, int status)
{
    switch (status) {
    case STATUS_SSH:
        wc_run_fail(run, WC_EXIT_UNREACHABLE, "ssh could not reach %s", host);
        wc_run_hint(run, "Try it by hand: ssh %s", host);
        break;
    case STATUS_NOT_FOUND:
        wc_run_fail(run, WC_EXIT_UNREACHABLE, "whocan is not installed on %s", host);
        wc_run_hint(run, "Name a machine that has it, or ask IT.");
        break;
    case WC_EXIT_UNREACHABLE: /* the relay has said why */
        wc_run_fail(run, WC_EXIT_UNREACHABLE, "no daemon answers on %s", host);
        break;
    case WC_EXIT_USAGE:
        wc_run_fail(run, WC_EXIT_UNREACHABLE,
                    "whocan on %s has another version, and does not know --host", host);
        break;
    default:
        wc_run_fail(run, WC_EXIT_UNREACHABLE, "%s closed the connection", host);
        break;
    }
    return WC_EXIT_UNREACHABLE;
}

/* One byte at a time: what follows the greeting is the daemon's. */
static bool read_byte(int fd, char *out)
{
    ssize_t got;
    do {
        got = recv(fd, out, 1, 0);
    } while (got < 0 && errno == EINTR);
    return got == 1;
}

/* Read up to the greeting; false when the other side ends or talks of something else. */
static bool read_greeting(int fd)
{
    static const char greeting[] = WC_RELAY_GREETING;
    char line[LINE_MAX_BYTES + 1];
    size_t len = 0;
    for (size_t noise = 0; noise < NOISE_MAX_BYTES; noise++) {
        char c;
        if (!read_byte(fd, &c))
            return false;
        if (c == '\n' && len >= strlen(greeting) &&
            memcmp(line, greeting, strlen(greeting)) == 0)
            return true;
        if (c == '\n')
            len = 0;
        else if (len < LINE_MAX_BYTES)
            line[len++] = c;
    }
    return false;
}

int wc_host_connect(struct wc_run *run, const char *host)
{
    int fd = -1;
    if (!wc_host_valid(host))
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--host takes the name of a machine, or LOGIN@NAME");
    if (wc_run_option(run, WC_OPT_SOCKET) != NULL)
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "--socket is of this machine, and --host is not");
    int code = start_ssh(run, host, &fd);
    if (code != 0)
        return code;
    if (read_greeting(fd) && wc_client_adopt(run->client, fd) == 0)
        return 0;
    close(fd);
    return explain(run, host, reap_ssh(run));
}

/* ---- the other side ---- */

struct flow {
    int from, to;
    uint8_t bytes[RELAY_BYTES];
    size_t at, len;
    bool ended; /* nothing more comes */
};

static bool flow_done(const struct flow *f)
{
    return f->ended && f->at == f->len;
}

/* Read when all was written, write when something is there. False: one side is gone. */
static bool flow_move(struct flow *f)
{
    ssize_t n;
    if (f->at == f->len && !f->ended) {
        n = read(f->from, f->bytes, sizeof(f->bytes));
        if (n > 0) {
            f->at = 0;
            f->len = (size_t)n;
        } else if (n == 0) {
            f->ended = true;
        } else if (errno != EAGAIN && errno != EINTR) {
            return false;
        }
    }
    while (f->at < f->len) {
        n = write(f->to, f->bytes + f->at, f->len - f->at);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        f->at += (size_t)n;
    }
    return true;
}

/* What to wait for; an entry with fd -1 is not looked at. */
static void flow_poll(const struct flow *f, struct pollfd *from, struct pollfd *to)
{
    bool empty = f->at == f->len;
    *from = (struct pollfd){.fd = empty && !f->ended ? f->from : -1, .events = POLLIN};
    *to = (struct pollfd){.fd = empty ? -1 : f->to, .events = POLLOUT};
}

static void relay(int socket_fd)
{
    static struct flow up, down;
    bool shut = false;
    up = (struct flow){.from = STDIN_FILENO, .to = socket_fd};
    down = (struct flow){.from = socket_fd, .to = STDOUT_FILENO};
    while (!flow_done(&down)) {
        struct pollfd p[4];
        flow_poll(&up, &p[0], &p[1]);
        flow_poll(&down, &p[2], &p[3]);
        if (poll(p, 4, -1) < 0 && errno != EINTR)
            break;
        if (!flow_move(&up) || !flow_move(&down))
            break;
        if (flow_done(&up) && !shut) {
            shut = true;
            shutdown(socket_fd, SHUT_WR);
        }
    }
}

int wc_cmd_relay(struct wc_run *run)
{
    static const int ends[] = {STDIN_FILENO, STDOUT_FILENO};
    struct wc_buf greeting = {0};
    if (isatty(STDOUT_FILENO))
        return wc_run_fail(run, WC_EXIT_USAGE,
                           "this is for `whocan --host`, which runs it by ssh");
    int code = wc_run_connect_here(run);
    if (code != 0)
        return code;
    wc_buf_text(&greeting, WC_RELAY_GREETING WHOCAN_VERSION "\n");
    code = wc_run_write(run, &greeting);
    wc_buf_fini(&greeting);
    if (code != 0)
        return code;
    for (size_t i = 0; i < 2; i++) {
        int flags = fcntl(ends[i], F_GETFL);
        if (flags >= 0)
            fcntl(ends[i], F_SETFL, flags | O_NONBLOCK);
    }
    signal(SIGPIPE, SIG_IGN);
    relay(wc_client_fd(run->client));
    return 0;
}
