/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: one table of options, one of commands. What is parsed, what --help
 * says and what the completion knows are made from these tables.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

enum wc_opt {
    WC_OPT_SOCKET,
    WC_OPT_HOST,
    WC_OPT_JSON,
    WC_OPT_HELP,
    WC_OPT_VERSION,
    WC_OPT_LIMIT,
    WC_OPT_OFFICE,
    WC_OPT_WAIT,
    WC_OPT_LEVEL,
    WC_OPT_MENTOR,
    WC_OPT_LEARN,
    WC_OPT_FORMAT,
    WC_OPT_DRY_RUN,
    WC_OPT_QUIET,
    WC_OPT_VERBOSE,
    WC_OPT_ALL,
    WC_OPT_OUTPUT,
    WC_OPT_KEY,
    WC_OPT_PASSPHRASE_FILE,
    WC_OPT_TITLE,
    WC_OPT_QUOTA,
    WC_OPT_DAYS,
    WC_OPT_FILE,
    WC_OPT_PRINT,
    WC_OPT_NAME,
    WC_OPT_YES,
    WC_OPT_STATUS,
    WC_OPT_VERIFY,
    WC_OPT_SINCE,
    WC_OPT_ABOUT,
    WC_OPT_COMPLETE,
    WC_OPT_RECOVERY,
    WC_OPT_FROM_DAEMON,
    WC_OPT_AUDIENCE,
    WC_OPT_AS,
    WC_OPT_LANGUAGE,
    WC_OPT_FACETS,
    WC_OPT_TEAM,
    WC_OPT_TODAY,
    WC_OPT_FULL,
    WC_OPT_REBUILD,
    WC_OPT_EXPLAIN,
    WC_OPT_LINKS,
    WC_OPT_COUNT
};

struct wc_opt_spec {
    const char *name;     /* without the hyphens */
    char letter;          /* its short form, or 0 */
    const char *argument; /* "FILE", or NULL for a flag */
    const char *help;
};

extern const struct wc_opt_spec wc_opts[WC_OPT_COUNT];

#define WC_OPT_BIT(opt) (1ULL << (opt))
/* What every command takes. */
#define WC_OPTS_GLOBAL                                                                 \
    (WC_OPT_BIT(WC_OPT_SOCKET) | WC_OPT_BIT(WC_OPT_HOST) | WC_OPT_BIT(WC_OPT_JSON) |   \
     WC_OPT_BIT(WC_OPT_HELP) | WC_OPT_BIT(WC_OPT_VERSION))

struct wc_run;

struct wc_command {
    const char *path;    /* one or two words: "find", "me set" */
    const char *words;   /* what follows it: "QUERY..." */
    const char *summary; /* one line for the list of commands */
    const char *help;    /* what --help says below the summary; lines end in newline */
    uint64_t opts;       /* beside the global ones, of WC_OPT_BIT() */
    int words_min;
    int words_max; /* -1: any number */
    int (*run)(struct wc_run *run);
};

struct wc_args {
    const struct wc_command *command; /* NULL: none was named */
    const struct wc_command *group;  /* the first of a group of which no second word was
                                         given; `command` is that one too */
    const char *value[WC_OPT_COUNT]; /* NULL when not given; "" for a flag */
    char **words;                    /* what is left, borrowed from argv */
    int word_count;
};

/*
 * Parse argv. Options may stand before, between and after the words; "--" ends them; the
 * last of two equal options counts. The words of argv are moved to its front. `commands`
 * ends with an entry without a path; a command of two words whose second is missing means
 * the entry that stands first ("me" is "me show").
 *
 * -WC_EINVALID with one line in `why` that says what was meant.
 */
int wc_args_parse(int argc, char **argv, const struct wc_command *commands,
                  struct wc_args *out, char *why, size_t why_cap);

/* A whole number within bounds, or -WC_EINVALID with one line in `why`. Leaves *out as it
 * is when the option was not given. */
int wc_args_number(const struct wc_args *args, enum wc_opt opt, uint64_t low,
                   uint64_t high, uint64_t *out, char *why, size_t why_cap);

/* Append --help of one command, of the group that starts with one, or of the program. */
void wc_args_help(struct wc_buf *out, const struct wc_command *command);
void wc_args_help_group(struct wc_buf *out, const struct wc_command *group);
void wc_args_help_all(struct wc_buf *out, const struct wc_command *commands);

#endif
