/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/term.h"

const struct wc_opt_spec wc_opts[WC_OPT_COUNT] = {
    [WC_OPT_SOCKET] = {"socket", 0, "PATH", "the daemon's socket"},
    [WC_OPT_HOST] = {"host", 0, "HOST", "the daemon of another machine, by ssh"},
    [WC_OPT_JSON] = {"json", 0, NULL, "print JSON instead of text for people"},
    [WC_OPT_HELP] = {"help", 'h', NULL, "show this help"},
    [WC_OPT_VERSION] = {"version", 'V', NULL, "show the version"},
    [WC_OPT_LIMIT] = {"limit", 'n', "N", "show at most N people (default 10)"},
    [WC_OPT_OFFICE] = {"office", 0, "NAME", "only people of this office"},
    [WC_OPT_WAIT] = {"wait", 'w', "SECONDS", "wait this long (ask: 3 when not given)"},
    [WC_OPT_LEVEL] = {"level", 0, "LEVEL",
                      "awareness, working, practitioner or expert"},
    [WC_OPT_MENTOR] = {"mentor", 0, NULL, "you (find: they) would teach it"},
    [WC_OPT_LEARN] = {"learn", 0, NULL, "you want to learn it"},
    [WC_OPT_FORMAT] = {"format", 0, "FORMAT", "csv or jsonl"},
    [WC_OPT_DRY_RUN] = {"dry-run", 0, NULL, "check every row, change nothing"},
    [WC_OPT_QUIET] = {"quiet", 'q', NULL, "say nothing when all went well"},
    [WC_OPT_VERBOSE] = {"verbose", 'v', NULL, "list every refused row"},
    [WC_OPT_ALL] = {"all", 0, NULL, "all offices (or people of all)"},
    [WC_OPT_OUTPUT] = {"output", 'o', "FILE", "write to FILE, whole or not at all"},
    [WC_OPT_KEY] = {"key", 0, "FILE", "the organisation's key file"},
    [WC_OPT_PASSPHRASE_FILE] = {"passphrase-file", 0, "FILE",
                                "its first line is the passphrase"},
    [WC_OPT_TITLE] = {"title", 0, "TITLE", "the office's name for people"},
    [WC_OPT_QUOTA] = {"quota", 0, "N", "people it may have (default 100000)"},
    [WC_OPT_DAYS] = {"days", 0, "N",
                     "its certificate is valid this long (default 730)"},
    [WC_OPT_FILE] = {"file", 0, "FILE", "read the line from FILE"},
    [WC_OPT_NAME] = {"name", 0, "NAME",
                     "what the office or vocabulary is to be called"},
    [WC_OPT_PRINT] = {"print", 0, NULL, "print the line, hand it to no daemon"},
    [WC_OPT_YES] = {"yes", 'y', NULL, "do not ask whether this is meant"},
    [WC_OPT_STATUS] = {"status", 0, NULL, "change nothing, tell how far it is"},
    [WC_OPT_ABOUT] = {"about", 0, "HANDLE", "about one person alone"},
    [WC_OPT_VERIFY] = {"verify", 0, NULL, "check that the log is whole"},
    [WC_OPT_SINCE] = {"since", 0, "DAY", "from a day (2026-11-21) or N days ago (7d)"},
    [WC_OPT_AUDIENCE] = {"audience", 0, "WHO",
                         "who may see it: organisation, office, match or me"},
    [WC_OPT_AS] = {"as", 0, "WHO", "as organisation, office, match or me sees them"},
    [WC_OPT_LANGUAGE] = {"language", 0, "LANGUAGE",
                         "that they speak; of labels: en, nb, ..."},
    [WC_OPT_TEAM] = {"team", 0, "WORDS", "only people of a team with these words"},
    [WC_OPT_TODAY] = {"today", 0, NULL, "only people who work today"},
    [WC_OPT_FACETS] = {"facets", 0, NULL, "count their skills, levels and offices"},
    [WC_OPT_FULL] = {"full", 0, NULL, "look at everything, not at samples"},
    [WC_OPT_REBUILD] = {"rebuild", 0, NULL, "build the search index anew first"},
    [WC_OPT_EXPLAIN] = {"explain", 0, NULL, "show how they were found, and the time"},
    [WC_OPT_LINKS] = {"links", 0, NULL, "every link, and what waits on it"},
    [WC_OPT_COMPLETE] = {"complete", 0, NULL, "retire rows that the file lacks"},
    [WC_OPT_RECOVERY] = {"recovery", 0, "FILE", "the organisation's recovery line"},
    [WC_OPT_FROM_DAEMON] = {"from-daemon", 0, NULL,
                            "let the daemon here say which offices there are"},
};

__attribute__((format(printf, 3, 4))) static int invalid(char *why, size_t why_cap,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, why_cap, format, args);
    va_end(args);
    return -WC_EINVALID;
}

/* What was typed, for a message. */
struct typed {
    char text[80];
};

static struct typed typed(const char *word)
{
    struct typed t = {""};
    struct wc_buf safe = {0};
    struct wc_buf cut = {0};
    wc_term_safe(&safe, wc_slice(word, strnlen(word, 256)));
    wc_term_cut(&cut, wc_buf_slice(&safe), 40);
    wc_slice_copy(wc_buf_slice(&cut), t.text, sizeof(t.text));
    wc_buf_fini(&safe);
    wc_buf_fini(&cut);
    return t;
}

/* The nearest name so far. A guess must be nearer than a third of the word is long. */
struct nearest {
    const char *name;
    size_t distance;
};

static struct nearest nearest_start(const char *word)
{
    size_t len = strlen(word);
    return (struct nearest){.distance = len < 4 ? 2 : len / 3 + 1};
}

static void nearest_try(struct nearest *n, const char *word, const char *name)
{
    size_t distance = wc_term_distance(word, name);
    if (distance < n->distance)
        *n = (struct nearest){name, distance};
}

/* ---- options ---- */

static int unknown_option(const char *name, char *why, size_t why_cap)
{
    struct nearest n = nearest_start(name);
    for (size_t i = 0; i < WC_OPT_COUNT; i++)
        nearest_try(&n, name, wc_opts[i].name);
    if (n.name != NULL)
        return invalid(why, why_cap, "no option --%s; did you mean --%s?",
                       typed(name).text, n.name);
    return invalid(why, why_cap,
                   "no option --%s (to search for a word that starts so, put -- first)",
                   typed(name).text);
}

static int find_long(const char *name, size_t len)
{
    for (int i = 0; i < WC_OPT_COUNT; i++) {
        if (strlen(wc_opts[i].name) == len && memcmp(wc_opts[i].name, name, len) == 0)
            return i;
    }
    return -1;
}

static int find_short(char letter)
{
    for (int i = 0; i < WC_OPT_COUNT; i++) {
        if (wc_opts[i].letter == letter)
            return i;
    }
    return -1;
}

struct parse {
    int argc;
    char **argv;
    int at;
    struct wc_args *out;
    char *why;
    size_t why_cap;
};

/* Set an option; `attached` is what stands behind "=" or the letter, or NULL. */
static int set_option(struct parse *p, int opt, const char *attached)
{
    const struct wc_opt_spec *spec = &wc_opts[opt];
    if (spec->argument == NULL && attached != NULL)
        return invalid(p->why, p->why_cap, "--%s takes no value", spec->name);
    if (spec->argument == NULL) {
        p->out->value[opt] = "";
    } else if (attached != NULL) {
        p->out->value[opt] = attached;
    } else if (p->at + 1 < p->argc) {
        p->out->value[opt] = p->argv[++p->at];
    } else {
        return invalid(p->why, p->why_cap, "--%s needs a value: --%s %s", spec->name,
                       spec->name, spec->argument);
    }
    return 0;
}

static int long_option(struct parse *p, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t len = equals == NULL ? strlen(text) : (size_t)(equals - text);
    int opt = find_long(text, len);
    if (opt < 0) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)(len < 63 ? len : 63), text);
        return unknown_option(name, p->why, p->why_cap);
    }
    return set_option(p, opt, equals == NULL ? NULL : equals + 1);
}

/* "-qn5": flags, then at most one option with a value. */
static int short_options(struct parse *p, const char *letters)
{
    for (const char *c = letters; *c != '\0'; c++) {
        int opt = find_short(*c);
        if (opt < 0)
            return invalid(p->why, p->why_cap,
                           "no option -%c (to search for a word that starts so, put -- "
                           "first)",
                           *c >= ' ' && *c <= '~' ? *c : '?');
        bool takes = wc_opts[opt].argument != NULL;
        int rc = set_option(p, opt, takes && c[1] != '\0' ? c + 1 : NULL);
        if (rc != 0 || takes)
            return rc;
    }
    return 0;
}

static int split(struct parse *p)
{
    int words = 0;
    bool ended = false;
    for (; p->at < p->argc; p->at++) {
        char *word = p->argv[p->at];
        int rc = 0;
        if (ended || word[0] != '-' || word[1] == '\0')
            p->argv[words++] = word;
        else if (strcmp(word, "--") == 0)
            ended = true;
        else if (word[1] == '-')
            rc = long_option(p, word + 2);
        else
            rc = short_options(p, word + 1);
        if (rc != 0)
            return rc;
    }
    p->out->words = p->argv;
    p->out->word_count = words;
    return 0;
}

/* ---- commands ---- */

/* The length of the first word of a path. */
static size_t first_len(const char *path)
{
    return strcspn(path, " ");
}

static const char *second_word(const char *path)
{
    const char *blank = strchr(path, ' ');
    return blank == NULL ? NULL : blank + 1;
}

static bool starts_with_word(const char *path, const char *word)
{
    return strlen(word) == first_len(path) && memcmp(path, word, strlen(word)) == 0;
}

static int unknown_command(const struct wc_command *commands, const char *word,
                           char *why, size_t why_cap)
{
    struct nearest n = nearest_start(word);
    char firsts[64][24];
    size_t count = 0;
    for (const struct wc_command *c = commands; c->path != NULL && count < 64; c++) {
        size_t len = first_len(c->path);
        snprintf(firsts[count], sizeof(firsts[0]), "%.*s", (int)len, c->path);
        nearest_try(&n, word, firsts[count++]);
    }
    if (n.name != NULL)
        return invalid(why, why_cap, "no command \"%s\"; did you mean \"%s\"?",
                       typed(word).text, n.name);
    return invalid(why, why_cap, "no command \"%s\"; `whocan --help` lists them",
                   typed(word).text);
}

/* The second word of a group is missing or unknown. */
static int unknown_second(const struct wc_command *group, const char *first,
                          const char *word, char *why, size_t why_cap)
{
    struct wc_buf list = {0};
    struct nearest n = nearest_start(word);
    for (const struct wc_command *c = group;
         c->path != NULL && starts_with_word(c->path, first); c++) {
        wc_buf_text(&list, c == group ? "" : ", ");
        wc_buf_text(&list, second_word(c->path));
        nearest_try(&n, word, second_word(c->path));
    }
    int rc =
        n.name != NULL
            ? invalid(why, why_cap, "no command \"%s %s\"; did you mean \"%s %s\"?",
                      first, typed(word).text, first, n.name)
            : invalid(why, why_cap, "no command \"%s %s\" (there are: %.*s)", first,
                      typed(word).text, (int)list.len, (const char *)list.data);
    wc_buf_fini(&list);
    return rc;
}

static int find_command(struct wc_args *args, const struct wc_command *commands,
                        char *why, size_t why_cap)
{
    if (args->word_count == 0)
        return 0;
    const char *first = args->words[0];
    const struct wc_command *c = commands;
    while (c->path != NULL && !starts_with_word(c->path, first))
        c++;
    if (c->path == NULL)
        return unknown_command(commands, first, why, why_cap);
    int used = 1;
    if (second_word(c->path) != NULL && args->word_count > 1) {
        const struct wc_command *group = c;
        const char *second = args->words[1];
        while (c->path != NULL && !(starts_with_word(c->path, first) &&
                                    strcmp(second_word(c->path), second) == 0))
            c++;
        if (c->path == NULL)
            return unknown_second(group, first, second, why, why_cap);
        used = 2;
    }
    args->command = c;
    args->group = second_word(c->path) != NULL && used == 1 ? c : NULL;
    args->words += used;
    args->word_count -= used;
    return 0;
}

static int check_use(const struct wc_args *args, char *why, size_t why_cap)
{
    const struct wc_command *c = args->command;
    const char *socket = args->value[WC_OPT_SOCKET];
    if (socket != NULL && socket[0] == '\0')
        return invalid(why, why_cap, "--socket needs the path of a socket");
    uint64_t allowed = WC_OPTS_GLOBAL | (c == NULL ? 0 : c->opts);
    for (int i = 0; i < WC_OPT_COUNT; i++) {
        if (args->value[i] == NULL || (allowed & WC_OPT_BIT(i)) != 0)
            continue;
        if (c == NULL)
            return invalid(why, why_cap, "--%s needs a command", wc_opts[i].name);
        return invalid(why, why_cap, "\"%s\" has no option --%s", c->path,
                       wc_opts[i].name);
    }
    if (c == NULL || args->value[WC_OPT_HELP] != NULL)
        return 0;
    if (args->word_count < c->words_min)
        return invalid(why, why_cap, "usage: whocan %s %s", c->path, c->words);
    if (c->words_max >= 0 && args->word_count > c->words_max)
        return invalid(why, why_cap,
                       "\"%s\" is one word too many; usage: whocan %s%s%s",
                       typed(args->words[c->words_max]).text, c->path,
                       c->words[0] == '\0' ? "" : " ", c->words);
    return 0;
}

/* `whocan help find` is `whocan find --help`. */
static void help_as_word(struct wc_args *args)
{
    if (args->word_count == 0 || strcmp(args->words[0], "help") != 0)
        return;
    args->value[WC_OPT_HELP] = "";
    args->words++;
    args->word_count--;
}

int wc_args_parse(int argc, char **argv, const struct wc_command *commands,
                  struct wc_args *out, char *why, size_t why_cap)
{
    *out = (struct wc_args){0};
    struct parse p = {argc, argv, 0, out, why, why_cap};
    int rc = split(&p);
    if (rc != 0)
        return rc;
    help_as_word(out);
    rc = find_command(out, commands, why, why_cap);
    return rc != 0 ? rc : check_use(out, why, why_cap);
}

int wc_args_number(const struct wc_args *args, enum wc_opt opt, uint64_t low,
                   uint64_t high, uint64_t *out, char *why, size_t why_cap)
{
    const char *text = args->value[opt];
    if (text == NULL)
        return 0;
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < low ||
        value > high)
        return invalid(why, why_cap, "--%s takes a whole number from %llu to %llu",
                       wc_opts[opt].name, (unsigned long long)low,
                       (unsigned long long)high);
    *out = value;
    return 0;
}

/* ---- help ---- */

static void help_option(struct wc_buf *out, int opt)
{
    char left[48];
    char line[160];
    const struct wc_opt_spec *spec = &wc_opts[opt];
    char letter[5] = {'-', spec->letter, ',', ' ', '\0'};
    snprintf(left, sizeof(left), "%s--%s%s%s", spec->letter != 0 ? letter : "    ",
             spec->name, spec->argument == NULL ? "" : " ",
             spec->argument == NULL ? "" : spec->argument);
    snprintf(line, sizeof(line), "  %-27s %s\n", left, spec->help);
    wc_buf_text(out, line);
}

static void help_options(struct wc_buf *out, uint64_t opts)
{
    wc_buf_text(out, "\nOptions:\n");
    for (int i = 0; i < WC_OPT_COUNT; i++) {
        if ((opts & WC_OPT_BIT(i)) != 0 && (WC_OPTS_GLOBAL & WC_OPT_BIT(i)) == 0)
            help_option(out, i);
    }
    for (int i = 0; i < WC_OPT_COUNT; i++) {
        if ((WC_OPTS_GLOBAL & WC_OPT_BIT(i)) != 0)
            help_option(out, i);
    }
}

void wc_args_help(struct wc_buf *out, const struct wc_command *command)
{
    wc_buf_text(out, "Usage: whocan ");
    wc_buf_text(out, command->path);
    wc_buf_text(out, command->words[0] == '\0' ? "" : " ");
    wc_buf_text(out, command->words);
    wc_buf_text(out, " [options]\n\n");
    wc_buf_text(out, command->summary);
    wc_buf_text(out, ".\n");
    if (command->help[0] != '\0')
        wc_buf_text(out, "\n");
    wc_buf_text(out, command->help);
    help_options(out, command->opts);
}

static void help_command(struct wc_buf *out, const struct wc_command *c)
{
    char left[48];
    char line[160];
    snprintf(left, sizeof(left), "%s %s", c->path, c->words);
    snprintf(line, sizeof(line), "  %-31s %s\n", left, c->summary);
    wc_buf_text(out, line);
}

void wc_args_help_group(struct wc_buf *out, const struct wc_command *group)
{
    char first[24];
    char text[160];
    snprintf(first, sizeof(first), "%.*s", (int)first_len(group->path), group->path);
    snprintf(text, sizeof(text), "Usage: whocan %s COMMAND [options]\n\nCommands:\n",
             first);
    wc_buf_text(out, text);
    for (const struct wc_command *c = group;
         c->path != NULL && starts_with_word(c->path, first); c++)
        help_command(out, c);
    snprintf(
        text, sizeof(text),
        "\n`whocan %s` alone is `whocan %s`. `whocan %s COMMAND --help` tells more "
        "about\none command.\n",
        first, group->path, first);
    wc_buf_text(out, text);
    help_options(out, group->opts);
}

void wc_args_help_all(struct wc_buf *out, const struct wc_command *commands)
{
    wc_buf_text(out, "Usage: whocan COMMAND [options]\n\n"
                     "Finds the person who can help.\n\nCommands:\n");
    for (const struct wc_command *c = commands; c->path != NULL; c++)
        help_command(out, c);
    help_options(out, 0);
    wc_buf_text(out, "\n`whocan COMMAND --help` tells more about one command, "
                     "`man whocan` about all.\n");
}
