/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <time.h>

#include "tests/liar/liar.h"

void liar_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("liar: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static int64_t clock_offset_ms; /* of what it says and believes the time to be */

uint64_t liar_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)(t.tv_sec * 1000 + t.tv_nsec / 1000000 + clock_offset_ms);
}

bool liar_dismissed(void)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    return poll(&in, 1, 0) > 0;
}

void liar_read_file(const char *path, struct wc_buf *out)
{
    char bytes[4096];
    size_t got;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        liar_fail("cannot open %s", path);
    while ((got = fread(bytes, 1, sizeof(bytes), file)) > 0)
        wc_buf_append(out, bytes, got);
    if (ferror(file) || out->failed)
        liar_fail("cannot read %s", path);
    fclose(file);
}

static void usage(FILE *to)
{
    fputs("usage: liar --invitation FILE --to HOST:PORT [--victim OFFICE] "
          "[--other FILE] [--heard FILE] "
          "[--clock SECONDS] LIE\n"
          "Links to an office as the one that was invited, says \"linked\", tells the "
          "lie "
          "and says\nwhether the link is still \"open\" or \"closed\". Lies:\n",
          to);
    for (const struct lie *lie = lies; lie->name != NULL; lie++)
        fprintf(to, "  %-18s %s\n", lie->name, lie->what);
}

static const struct lie *find_lie(const char *name)
{
    const struct lie *lie = lies;
    while (lie->name != NULL && strcmp(lie->name, name) != 0)
        lie++;
    if (lie->name == NULL)
        liar_fail("there is no lie %s; --help lists them", name);
    return lie;
}

static void read_invitation(const char *path, struct wc_identity *out)
{
    struct wc_buf line = {0};
    liar_read_file(path, &line);
    int rc = wc_invite_parse(wc_buf_slice(&line), out, NULL);
    if (rc != 0)
        liar_fail("%s: %s", path, wc_strerror(rc));
    wc_buf_fini(&line);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"invitation", required_argument, NULL, 'i'},
        {"to", required_argument, NULL, 't'},
        {"victim", required_argument, NULL, 'v'},
        {"other", required_argument, NULL, 'o'},
        {"heard", required_argument, NULL, 'w'},
        {"clock", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static struct liar l;
    const char *invitation = NULL, *to = NULL;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'i':
            invitation = optarg;
            break;
        case 't':
            to = optarg;
            break;
        case 'v':
            l.victim = optarg;
            break;
        case 'o':
            l.other_path = optarg;
            break;
        case 'c':
            clock_offset_ms = (int64_t)1000 * atoi(optarg);
            break;
        case 'w':
            if ((l.heard = fopen(optarg, "we")) == NULL)
                liar_fail("cannot write %s", optarg);
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (invitation == NULL || to == NULL || optind + 1 != argc) {
        usage(stderr);
        return 2;
    }
    const struct lie *lie = find_lie(argv[optind]);
    if (lie->victim && l.victim == NULL)
        liar_fail("%s is about another office: --victim says which", lie->name);
    if (wc_crypto_init() != 0)
        liar_fail("libsodium does not start");
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_invitation(invitation, &l.me);
    l.seq = liar_now_ms();
    l.sync = lie->sync;
    liar_link(&l, to);
    liar_tell_truth(&l);
    if (lie->victim)
        liar_meet_victim(&l);
    liar_settle(&l);
    puts("linked");
    lie->tell(&l);
    liar_settle(&l);
    puts(l.closed ? "closed" : "open");
    liar_unlink(&l);
    return 0;
}
