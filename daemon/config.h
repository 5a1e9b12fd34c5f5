/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator decides. One table (wc_config_options) names every key with its
 * type, range, default and help; it drives the parser of the file, the flags, --help,
 * the example file and the manual page. A key `log_level` is the flag `--log-level`.
 * Flags win over the file; the values of a repeatable flag replace the file's.
 */
#ifndef WHOCAN_DAEMON_CONFIG_H
#define WHOCAN_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <whocan/bytes.h>
#include <whocan/limits.h>

#include "daemon/log.h"

#define WC_DEFAULT_GROUP       "whocan"
#define WC_DEFAULT_ADMIN_GROUP "whocan-admin"
#define WC_PATH_MAX_BYTES      255 /* of the paths in the configuration */
#define WC_DEFAULT_PORT        "7411"
#define WC_DOMAIN_MAX_BYTES                                                            \
    238 /* with _whocan._tcp. before it, as long as a name of DNS may be */

/* The longest path of a Unix socket: sun_path less its terminator (unix(7)). */
#define WC_SOCKET_PATH_MAX_BYTES 107

#define WC_CONFIG_FILE_MAX_BYTES 65536
#define WC_CONFIG_LIST_MAX_COUNT 32 /* values of one repeatable key */

enum wc_access_mode {
    WC_ACCESS_PEOPLE,   /* human accounts by their uid, and members of `group` */
    WC_ACCESS_GROUP,    /* members of `group` */
    WC_ACCESS_EVERYONE, /* every account of the machine */
};

struct wc_strings {
    char **items;
    uint32_t count;
};

struct wc_config {
    char *state, *socket, *office, *group, *admin_group;
    char *intranet_user; /* NULL: there is none */
    struct wc_strings listen, join, advertise, languages, vocabulary;
    struct wc_strings beacon_interfaces; /* empty: all */
    char *beacon_group_ipv4, *beacon_group_ipv6;
    char *domain; /* NULL: no name server is asked */
    uint64_t beacon_port;
    bool beacon;
    enum wc_access_mode access;
    uint64_t people_uid_min, people_uid_max;
    uint64_t erase_interval_s, slow_find_ms;
    bool accounts, leavers_many;
    uint64_t audit_keep_days, audit_file_bytes;
    bool replicate, alone, foreground, intranet_acts;
    enum wc_log_level log_level;
    char
        *path; /* of the configuration file; it need not exist when it is the default */
    bool listen_is_default; /* nobody said where: IPv4 alone will do */
    bool state_is_default;  /* nobody said where: directories above it may be made */
};

enum wc_option_type {
    WC_OPTION_PATH,
    WC_OPTION_OFFICE, /* an office name */
    WC_OPTION_NAME,   /* of a group or an account */
    WC_OPTION_DOMAIN, /* a name of DNS */
    WC_OPTION_GROUP,  /* a multicast address of the family that the key names */
    WC_OPTION_UINT,
    WC_OPTION_BOOL,   /* yes or no */
    WC_OPTION_CHOICE, /* one of the words in `choices` */
    WC_OPTION_LISTEN, /* list of HOST:PORT, or none */
    WC_OPTION_ADDRESSES,
    WC_OPTION_INTERFACES, /* list of names of network interfaces, as ip link has them */
    WC_OPTION_PATHS,      /* list of paths, or "none" */
    WC_OPTION_LANGUAGES,  /* list of names of wc_text_languages() */
};

struct wc_option {
    const char *key;
    const char *argument;      /* what help calls the value */
    const char *choices;       /* of WC_OPTION_CHOICE, separated by one space */
    uint64_t min, max;         /* of WC_OPTION_UINT */
    const char *fallback;      /* default as one would write it; NULL: none */
    const char *fallback_user; /* the same for an ordinary user; NULL: as fallback */
    const char *help;
    size_t offset; /* in struct wc_config */
    enum wc_option_type type;
    bool reload; /* SIGHUP takes a new value over */
};
extern const struct wc_option wc_config_options[];
extern const size_t wc_config_options_count;

/* The environment that defaults depend on, handed in so that tests can choose. */
struct wc_config_env {
    bool system; /* root: system paths */
    const char *home, *xdg_state_home, *xdg_config_home, *xdg_runtime_dir;
};
void wc_config_env_here(struct wc_config_env *out);

/* What the command line asks for beside running. */
enum wc_config_action {
    WC_ACTION_RUN,
    WC_ACTION_CHECK, /* --check-config */
    WC_ACTION_CHECK_STATE,
    WC_ACTION_HELP, /* --help */
    WC_ACTION_VERSION,
    WC_ACTION_PRINT_CONFIG, /* --print-config */
    WC_ACTION_PRINT_MANUAL, /* --print-manual */
};

/*
 * Read flags and file into *out. 0, -WC_ECONFIG with one line in problem (file, line
 * number, key and what would be right), or -WC_ENOMEM. *out needs wc_config_fini() in
 * either case. argv stays the caller's.
 */
int wc_config_load(struct wc_config *out, int argc, const char *const *argv,
                   const struct wc_config_env *env, enum wc_config_action *action,
                   char problem[WC_PROBLEM_BYTES]);
void wc_config_fini(struct wc_config *config);

/* Only the file's text, over an empty config; `name` stands in messages. For tests and
 * fuzzing; results as wc_config_load. */
int wc_config_parse(struct wc_config *out, struct wc_slice text, const char *name,
                    char problem[WC_PROBLEM_BYTES]);

/* The texts that the table makes. */
void wc_config_print_help(FILE *out);
void wc_config_print_example(FILE *out); /* packaging/whocan.conf */
void wc_config_print_manual(FILE *out);  /* the options of docs/whocand.8, in man(7) */

/* The first key that differs between two configurations and cannot be taken over while
 * running, at or after table index *from (which moves on), or NULL. */
const char *wc_config_restart_key(const struct wc_config *a, const struct wc_config *b,
                                  size_t *from);

/* Append a copy of a text; -WC_ENOMEM. And free all of them. */
int wc_strings_add(struct wc_strings *s, const char *text);
void wc_strings_fini(struct wc_strings *s);

#endif
