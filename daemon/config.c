/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <whocan/cert.h>
#include <whocan/error.h>

#include "daemon/address.h"
#include "daemon/ini.h"
#include "daemon/text.h"

#define AT(member) offsetof(struct wc_config, member)

const struct wc_option wc_config_options[] = {
    {.key = "state",
     .type = WC_OPTION_PATH,
     .argument = "DIR",
     .fallback = "/var/lib/whocan",
     .fallback_user = "$XDG_STATE_HOME/whocan",
     .help = "Directory of the records, of this office's keys and of the search index. "
             "It belongs to the daemon's user, with mode 0700; the directory "
             "records in it is what to back up.",
     .offset = AT(state)},
    {.key = "socket",
     .type = WC_OPTION_PATH,
     .argument = "PATH",
     .fallback = "/run/whocan/whocan.sock",
     .fallback_user = "$XDG_RUNTIME_DIR/whocan/whocan.sock",
     .help = "Unix socket for the whocan command and the intranet, at most 107 bytes "
             "long. A socket handed over by the service manager takes its place.",
     .offset = AT(socket)},
    {.key = "listen",
     .type = WC_OPTION_LISTEN,
     .argument = "HOST:PORT",
     .fallback = "[::]:" WC_DEFAULT_PORT,
     .help = "Where other offices reach this one, or none. May be given several times. "
             "Port 0 takes a free port.",
     .offset = AT(listen)},
    {.key = "advertise",
     .type = WC_OPTION_ADDRESSES,
     .argument = "HOST:PORT",
     .help =
         "Addresses that this office tells the others, when they differ from listen "
         "(behind address translation, say). May be given several times. Without "
         "it: what listen says, or for a wildcard the addresses of this machine's "
         "interfaces.",
     .offset = AT(advertise)},
    {.key = "join",
     .type = WC_OPTION_ADDRESSES,
     .argument = "HOST:PORT",
     .reload = true,
     .help = "Address of another office to connect to. May be given several times; one "
             "is enough to find all of them.",
     .offset = AT(join)},
    {.key = "domain",
     .type = WC_OPTION_DOMAIN,
     .argument = "DOMAIN",
     .help = "Ask the name server which offices there are to connect to: the service "
             "records _whocan._tcp.DOMAIN (RFC 2782). Asked again when the answer's "
             "time is over.",
     .offset = AT(domain)},
    {.key = "beacon",
     .type = WC_OPTION_BOOL,
     .argument = "YES|NO",
     .fallback = "yes",
     .help = "Whether offices of one organisation find each other on the local network "
             "by themselves, by multicast. Nobody else can read what is sent.",
     .offset = AT(beacon)},
    {.key = "beacon_interfaces",
     .type = WC_OPTION_INTERFACES,
     .argument = "NAME",
     .help = "Network interfaces for that, as ip link names them. May be given several "
             "times. Without it: all but loopback.",
     .offset = AT(beacon_interfaces)},
    {.key = "beacon_port",
     .type = WC_OPTION_UINT,
     .argument = "PORT",
     .min = 1,
     .max = 65535,
     .fallback = WC_DEFAULT_PORT,
     .help = "UDP port for that: the same in all offices.",
     .offset = AT(beacon_port)},
    {.key = "beacon_group_ipv4",
     .type = WC_OPTION_GROUP,
     .argument = "ADDRESS",
     .fallback = "239.255.74.11",
     .help = "IPv4 multicast group for that: the same in all offices; or none.",
     .offset = AT(beacon_group_ipv4)},
    {.key = "beacon_group_ipv6",
     .type = WC_OPTION_GROUP,
     .argument = "ADDRESS",
     .fallback = "ff12::7411",
     .help = "IPv6 multicast group of link-local scope for that: the same in all "
             "offices; or none.",
     .offset = AT(beacon_group_ipv6)},
    {.key = "office",
     .type = WC_OPTION_OFFICE,
     .argument = "NAME",
     .help = "Name of this office while it stands alone: 1 to 32 of a-z, 0-9 and -. "
             "Without it: made from the host name. An office that has joined an "
             "organisation keeps the name in its certificate.",
     .offset = AT(office)},
    {.key = "access",
     .type = WC_OPTION_CHOICE,
     .argument = "WHO",
     .choices = "people group everyone",
     .fallback = "people",
     .reload = true,
     .help = "Which accounts of this machine may search and keep a profile: people "
             "(accounts with a uid from people_uid_min to people_uid_max, and members "
             "of group), group (only members of group) or everyone.",
     .offset = AT(access)},
    {.key = "group",
     .type = WC_OPTION_NAME,
     .argument = "NAME",
     .fallback = WC_DEFAULT_GROUP,
     .reload = true,
     .help = "Group whose members have access whatever their uid is.",
     .offset = AT(group)},
    {.key = "admin_group",
     .type = WC_OPTION_NAME,
     .argument = "NAME",
     .fallback = WC_DEFAULT_ADMIN_GROUP,
     .reload = true,
     .help =
         "Group whose members may administer this office: import people and join an "
         "organisation. Root and the daemon's own user may always.",
     .offset = AT(admin_group)},
    {.key = "people_uid_min",
     .type = WC_OPTION_UINT,
     .argument = "UID",
     .max = 4294967294,
     .fallback = "1000",
     .reload = true,
     .help = "Lowest uid of a person's account.",
     .offset = AT(people_uid_min)},
    {.key = "people_uid_max",
     .type = WC_OPTION_UINT,
     .argument = "UID",
     .max = 4294967294,
     .fallback = "60000",
     .reload = true,
     .help = "Highest uid of a person's account. Raise it when a directory service "
             "gives out larger ones.",
     .offset = AT(people_uid_max)},
    {.key = "intranet_user",
     .type = WC_OPTION_NAME,
     .argument = "NAME",
     .reload = true,
     .help = "Account (its name, or its uid) that the intranet runs as: it may search "
             "whatever access says. It has no profile of its own by this.",
     .offset = AT(intranet_user)},
    {.key = "intranet_acts",
     .type = WC_OPTION_BOOL,
     .argument = "YES|NO",
     .fallback = "no",
     .reload = true,
     .help =
         "Whether the account of intranet_user may act for the people who are logged "
         "in to the intranet: ask, and edit their profiles, which others then see as "
         "\"via intranet\". Say yes only when the intranet knows for sure who they "
         "are.",
     .offset = AT(intranet_acts)},
    {.key = "replicate",
     .type = WC_OPTION_BOOL,
     .argument = "YES|NO",
     .fallback = "yes",
     .help = "Whether to keep the profiles of other offices. With no this office "
             "searches its own people; questions to everyone are still asked and "
             "answered.",
     .offset = AT(replicate)},
    {.key = "accounts",
     .type = WC_OPTION_BOOL,
     .argument = "YES|NO",
     .fallback = "yes",
     .help =
         "Whether the people of this office have accounts on this machine. With yes "
         "the profile of somebody whose account is missing on seven days is "
         "retired, and so is one whose account has another uid. People who are in "
         "the staff directory alone are not concerned.",
     .offset = AT(accounts)},
    {.key = "leavers_many",
     .type = WC_OPTION_BOOL,
     .argument = "YES|NO",
     .fallback = "no",
     .reload = true,
     .help =
         "When at least 10 accounts, and more than a third of those of this office's "
         "people, are missing at once, nobody is retired: the account database may "
         "have lost them. Say yes if they have left, reload, and say no again when "
         "whocan status is without the warning.",
     .offset = AT(leavers_many)},
    {.key = "slow_find",
     .type = WC_OPTION_UINT,
     .argument = "MILLISECONDS",
     .max = 60000,
     .fallback = "100",
     .reload = true,
     .help =
         "A search that takes this long is noted in the log: how long, and how much "
         "there was to do; nothing of what was asked or found. 0: never.",
     .offset = AT(slow_find_ms)},
    {.key = "erase_interval",
     .type = WC_OPTION_UINT,
     .argument = "SECONDS",
     .max = 86400,
     .fallback = "3600",
     .help = "After somebody was erased the records and the index are written anew, so "
             "that nothing of them stays in free space: at most once in so many "
             "seconds. Erasures that come sooner wait and are completed together.",
     .offset = AT(erase_interval_s)},
    {.key = "alone",
     .type = WC_OPTION_BOOL,
     .argument = "YES|NO",
     .fallback = "no",
     .help =
         "Say yes after restoring a backup when no other office will be reached "
         "any more. Otherwise this office renews the leases of its old records only "
         "after one other office has said whether it has newer ones.",
     .offset = AT(alone)},
    {.key = "languages",
     .type = WC_OPTION_LANGUAGES,
     .argument = "NAME",
     .fallback = "english norwegian",
     .help =
         "Languages whose word forms the search knows, as Snowball names them. May "
         "be given several times. A change builds the index anew at the next start.",
     .offset = AT(languages)},
    {.key = "audit_keep_days",
     .type = WC_OPTION_UINT,
     .argument = "DAYS",
     .min = 1,
     .max = 36500,
     .fallback = "365",
     .reload = true,
     .help = "How long the audit log keeps its lines. Whole files are deleted, so that "
             "a line may stay up to a twelfth of the time longer.",
     .offset = AT(audit_keep_days)},
    {.key = "audit_file_bytes",
     .type = WC_OPTION_UINT,
     .argument = "BYTES",
     .min = 4096,
     .max = 1073741824,
     .fallback = "4194304",
     .reload = true,
     .help = "Size beyond which the audit log begins a new file.",
     .offset = AT(audit_file_bytes)},
    {.key = "vocabulary",
     .type = WC_OPTION_PATHS,
     .argument = "DIR",
     .fallback = "/usr/share/whocan/vocabulary:/etc/whocan/vocabulary",
     .help = "Directories with vocabularies: files *.ini that say what skills are "
             "called and what is near to what. A colon parts them; none: use no "
             "vocabulary. Files that changed are read at the start and at SIGHUP; the "
             "index then follows.",
     .offset = AT(vocabulary)},
    {.key = "log_level",
     .type = WC_OPTION_CHOICE,
     .argument = "LEVEL",
     .choices = WC_LOG_LEVELS,
     .fallback = "notice",
     .reload = true,
     .help = "How much to log: error, warning, notice, info or debug.",
     .offset = AT(log_level)},
    {.key = "foreground",
     .type = WC_OPTION_BOOL,
     .argument = "YES|NO",
     .fallback = "no",
     .help = "Log lines for a person to read, with the time, even when the journal "
             "listens. The daemon never leaves the foreground by itself, with or "
             "without this.",
     .offset = AT(foreground)},
};
const size_t wc_config_options_count =
    sizeof(wc_config_options) / sizeof(wc_config_options[0]);
#define OPTIONS_COUNT (sizeof(wc_config_options) / sizeof(wc_config_options[0]))

/* Where a value came from; a higher one replaces a lower one. */
enum source { FROM_NOWHERE, FROM_FILE, FROM_FLAG };

struct loader {
    struct wc_config *config;
    char where[WC_PATH_MAX_BYTES + 32]; /* "whocan.conf:12" or "--listen" */
    enum source source[OPTIONS_COUNT];
    char *problem;
    int rc;
    const char *name; /* of the file being read, or NULL */
};

__attribute__((format(printf, 2, 3))) static int fail(struct loader *l,
                                                      const char *format, ...)
{
    if (l->rc != 0)
        return l->rc; /* the first problem is the one to mend first */
    int used = snprintf(l->problem, WC_PROBLEM_BYTES, "%s: ", l->where);
    va_list args;
    va_start(args, format);
    vsnprintf(l->problem + used, WC_PROBLEM_BYTES - (size_t)used, format, args);
    va_end(args);
    l->rc = -WC_ECONFIG;
    return l->rc;
}

static int out_of_memory(struct loader *l)
{
    fail(l, "out of memory");
    l->rc = -WC_ENOMEM;
    return l->rc;
}

/* ---------------------------------------------------------------- values */

static void *field(struct wc_config *c, const struct wc_option *o)
{
    return (char *)c + o->offset;
}

void wc_strings_fini(struct wc_strings *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        free(s->items[i]);
    free(s->items);
    memset(s, 0, sizeof(*s));
}

int wc_strings_add(struct wc_strings *s, const char *text)
{
    char **items = realloc(s->items, (s->count + 1) * sizeof(*items));
    if (items == NULL)
        return -WC_ENOMEM;
    s->items = items;
    items[s->count] = strdup(text);
    if (items[s->count] == NULL)
        return -WC_ENOMEM;
    s->count++;
    return 0;
}

static bool address_valid(const char *text)
{
    struct wc_address address;
    return strlen(text) <= WC_ADDRESS_MAX_BYTES &&
           wc_address_parse(&address, text) == 0;
}

static bool word_valid(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
    return len > 0 && text[len] == '\0' && len <= 32;
}

static int check_language(struct loader *l, const struct wc_option *o, const char *item)
{
    char names[WC_PROBLEM_BYTES] = "";
    size_t len = 0;
    for (const char *const *name = wc_text_languages(); *name != NULL; name++) {
        if (strcmp(*name, item) == 0)
            return 0;
        if (len + strlen(*name) + 2 < sizeof(names))
            len += (size_t)snprintf(names + len, sizeof(names) - len, " %s", *name);
    }
    return fail(l, "%s: no stemmer for \"%s\"; there are:%s", o->key, item, names);
}

static int check_item(struct loader *l, const struct wc_option *o, const char *item)
{
    switch (o->type) {
    case WC_OPTION_LISTEN:
        if (strcmp(item, "none") == 0)
            return 0;
        /* fall through */
    case WC_OPTION_ADDRESSES:
        if (!address_valid(item))
            return fail(l,
                        "%s: \"%s\" is not HOST:PORT (like 192.0.2.7:%s or "
                        "[2001:db8::7]:%s)",
                        o->key, item, WC_DEFAULT_PORT, WC_DEFAULT_PORT);
        return 0;
    case WC_OPTION_LANGUAGES:
        if (!word_valid(item))
            return fail(l, "%s: \"%s\" is not a lower-case name", o->key, item);
        return check_language(l, o, item);
    case WC_OPTION_INTERFACES:
        if (strlen(item) >= IF_NAMESIZE || strchr(item, '/') != NULL)
            return fail(l, "%s: \"%s\" is no name of an interface", o->key, item);
        return 0;
    case WC_OPTION_PATHS:
        if (strcmp(item, "none") == 0)
            return 0;
        if (item[0] != '/' && l->name != NULL)
            return fail(l, "%s: \"%s\" must start with / in a file", o->key, item);
        if (strlen(item) > WC_PATH_MAX_BYTES)
            return fail(l, "%s: is longer than %d bytes", o->key, WC_PATH_MAX_BYTES);
        return 0;
    case WC_OPTION_PATH:
    case WC_OPTION_OFFICE:
    case WC_OPTION_NAME:
    case WC_OPTION_DOMAIN:
    case WC_OPTION_GROUP:
    case WC_OPTION_UINT:
    case WC_OPTION_BOOL:
    case WC_OPTION_CHOICE:
        break;
    }
    abort();
}

static int add_item(struct loader *l, const struct wc_option *o, struct wc_strings *s,
                    const char *item)
{
    int rc = check_item(l, o, item);
    if (rc != 0)
        return rc;
    if (s->count == WC_CONFIG_LIST_MAX_COUNT)
        return fail(l, "%s: more than %d values", o->key, WC_CONFIG_LIST_MAX_COUNT);
    if (wc_strings_add(s, item) != 0)
        return out_of_memory(l);
    return 0;
}

static int set_list(struct loader *l, const struct wc_option *o, const char *value)
{
    struct wc_strings *s = field(l->config, o);
    char *copy = strdup(value), *rest = NULL;
    if (copy == NULL)
        return out_of_memory(l);
    int rc = 0;
    uint32_t before = s->count;
    /* a path may have a blank in it */
    const char *between = o->type == WC_OPTION_PATHS ? ":" : ", \t";
    for (char *item = strtok_r(copy, between, &rest); item != NULL && rc == 0;
         item = strtok_r(NULL, between, &rest))
        rc = add_item(l, o, s, item);
    free(copy);
    if (rc == 0 && s->count == before)
        return fail(l, "%s: has no value", o->key);
    return rc;
}

static bool domain_valid(const char *text)
{
    size_t len = strlen(text);
    return len <= WC_DOMAIN_MAX_BYTES && text[0] != '.' && strstr(text, "..") == NULL &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "-.") == len;
}

/* IPv6: of link-local scope, which is where its beacons are heard. */
static bool group_valid(const struct wc_option *o, const char *text)
{
    struct in_addr four;
    struct in6_addr six;
    if (strcmp(text, "none") == 0)
        return true;
    if (o->offset == AT(beacon_group_ipv4))
        return inet_pton(AF_INET, text, &four) == 1 && IN_MULTICAST(ntohl(four.s_addr));
    assert(o->offset == AT(beacon_group_ipv6));
    return inet_pton(AF_INET6, text, &six) == 1 && IN6_IS_ADDR_MC_LINKLOCAL(&six);
}

static int set_text(struct loader *l, const struct wc_option *o, const char *value)
{
    char **text = field(l->config, o);
    if (value[0] == '\0')
        return fail(l, "%s: has no value", o->key);
    if (strlen(value) > WC_PATH_MAX_BYTES)
        return fail(l, "%s: is longer than %d bytes", o->key, WC_PATH_MAX_BYTES);
    if (o->type == WC_OPTION_PATH && value[0] != '/' && l->name != NULL)
        return fail(l, "%s: \"%s\" must start with / in a file", o->key, value);
    if (o->type == WC_OPTION_OFFICE && !wc_office_name_valid(wc_slice_text(value)))
        return fail(
            l,
            "%s: \"%s\" is not a name for an office (1 to %d of a-z, 0-9 and -, "
            "with a letter or digit at both ends)",
            o->key, value, WC_OFFICE_NAME_MAX_BYTES);
    if (o->type == WC_OPTION_DOMAIN && !domain_valid(value))
        return fail(l, "%s: \"%s\" is not a domain (like council.example)", o->key,
                    value);
    if (o->type == WC_OPTION_GROUP && !group_valid(o, value))
        return fail(l, "%s: \"%s\" is neither none nor a multicast address of it (%s)",
                    o->key, value, o->fallback);
    char *copy = strdup(value);
    if (copy == NULL)
        return out_of_memory(l);
    free(*text);
    *text = copy;
    return 0;
}

static int set_uint(struct loader *l, const struct wc_option *o, const char *value)
{
    uint64_t *number = field(l->config, o);
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 18 || value[digits] != '\0' ||
        strtoull(value, NULL, 10) < o->min || strtoull(value, NULL, 10) > o->max)
        return fail(l, "%s: \"%s\" is not a number from %" PRIu64 " to %" PRIu64 "",
                    o->key, value, o->min, o->max);
    *number = strtoull(value, NULL, 10);
    return 0;
}

static int set_bool(struct loader *l, const struct wc_option *o, const char *value)
{
    bool *flag = field(l->config, o);
    if (strcasecmp(value, "yes") != 0 && strcasecmp(value, "no") != 0)
        return fail(l, "%s: \"%s\" is neither yes nor no", o->key, value);
    *flag = strcasecmp(value, "yes") == 0;
    return 0;
}

/* The index of a word in a list separated by one space, or -1. */
static int choice_index(const char *choices, const char *value)
{
    size_t len = strlen(value);
    int index = 0;
    for (const char *p = choices; len > 0 && p != NULL; index++) {
        if (strncmp(p, value, len) == 0 && (p[len] == ' ' || p[len] == '\0'))
            return index;
        p = strchr(p, ' ');
        if (p != NULL)
            p++;
    }
    return -1;
}

static int set_choice(struct loader *l, const struct wc_option *o, const char *value)
{
    int index = choice_index(o->choices, value);
    if (index < 0)
        return fail(l, "%s: \"%s\" is not one of: %s", o->key, value, o->choices);
    if (o->offset == AT(log_level))
        return wc_log_level_parse(value, &l->config->log_level);
    assert(o->offset == AT(access));
    l->config->access = (enum wc_access_mode)index; /* in the order of the choices */
    return 0;
}

static int set_value(struct loader *l, const struct wc_option *o, const char *value)
{
    switch (o->type) {
    case WC_OPTION_PATH:
    case WC_OPTION_OFFICE:
    case WC_OPTION_NAME:
    case WC_OPTION_DOMAIN:
    case WC_OPTION_GROUP:
        return set_text(l, o, value);
    case WC_OPTION_UINT:
        return set_uint(l, o, value);
    case WC_OPTION_BOOL:
        return set_bool(l, o, value);
    case WC_OPTION_CHOICE:
        return set_choice(l, o, value);
    case WC_OPTION_LISTEN:
    case WC_OPTION_ADDRESSES:
    case WC_OPTION_LANGUAGES:
    case WC_OPTION_INTERFACES:
    case WC_OPTION_PATHS:
        return set_list(l, o, value);
    }
    abort();
}

static bool is_list(const struct wc_option *o)
{
    return o->type == WC_OPTION_LISTEN || o->type == WC_OPTION_ADDRESSES ||
           o->type == WC_OPTION_LANGUAGES || o->type == WC_OPTION_PATHS ||
           o->type == WC_OPTION_INTERFACES;
}

/* Take a value from a source, once for each key but lists. */
static int take_value(struct loader *l, size_t i, const char *value, enum source from)
{
    const struct wc_option *o = &wc_config_options[i];
    if (l->source[i] > from)
        return 0;
    if (l->source[i] < from) {
        if (is_list(o))
            wc_strings_fini(field(l->config, o));
        l->source[i] = from;
    } else if (!is_list(o)) {
        return fail(l, "%s: is given twice", o->key);
    }
    return set_value(l, o, value);
}

static int find_key(const char *key, size_t len)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (strlen(wc_config_options[i].key) == len &&
            memcmp(wc_config_options[i].key, key, len) == 0)
            return (int)i;
    return -1;
}

/* ---------------------------------------------------------------- the file */

static int take_pair(void *ctx, const struct wc_ini_pair *pair)
{
    struct loader *l = ctx;
    snprintf(l->where, sizeof(l->where), "%s:%u", l->name, pair->line);
    if (strcmp(pair->section, "whocan") != 0) {
        if (pair->section[0] == '\0')
            return fail(l, "\"%s\" stands before the line [whocan]", pair->key);
        return fail(l, "unknown section [%s]: all keys belong under [whocan]",
                    pair->section);
    }
    int i = find_key(pair->key, strlen(pair->key));
    if (i < 0)
        return fail(l, "unknown key \"%s\": whocand --help lists the keys", pair->key);
    return take_value(l, (size_t)i, pair->value, FROM_FILE);
}

static int parse_text(struct loader *l, struct wc_slice text, const char *name)
{
    uint32_t line;
    const char *problem;
    l->name = name;
    int rc = wc_ini_read(text, take_pair, l, &line, &problem);
    snprintf(l->where, sizeof(l->where), "%s:%u", name, line);
    if (problem != NULL)
        fail(l, "%s", problem);
    else if (rc == -WC_ENOMEM)
        out_of_memory(l);
    l->name = NULL;
    return l->rc;
}

static int read_file(struct loader *l, const char *path, bool must_exist)
{
    uint8_t *text;
    size_t len;
    snprintf(l->where, sizeof(l->where), "%.*s", WC_PATH_MAX_BYTES, path);
    int rc = wc_ini_file(path, WC_CONFIG_FILE_MAX_BYTES, &text, &len);
    if (rc == -WC_ENOTFOUND && !must_exist)
        return 0;
    if (rc == -WC_ENOMEM)
        return out_of_memory(l);
    if (rc == -WC_ETOOBIG)
        return fail(l, "is longer than %d bytes", WC_CONFIG_FILE_MAX_BYTES);
    if (rc != 0)
        return fail(l, "cannot be read: %s", strerror(errno));
    rc = parse_text(l, wc_slice(text, len), path);
    free(text);
    return rc;
}

/* ---------------------------------------------------------------- flags */

struct flags {
    const char *config; /* --config, or NULL */
    enum wc_config_action action;
};

static const struct {
    const char *flag;
    enum wc_config_action action;
    const char *help;
} actions[] = {
    {"check-config", WC_ACTION_CHECK, "Read flags and file, say whether all is right."},
    {"check-state", WC_ACTION_CHECK_STATE,
     "Look at the files of the state directory, while no daemon runs."},
    {"print-config", WC_ACTION_PRINT_CONFIG,
     "Print a file with every key and default."},
    {"print-manual", WC_ACTION_PRINT_MANUAL,
     "Print the part of the manual page that lists the keys."},
    {"version", WC_ACTION_VERSION, "Print the version."},
    {"help", WC_ACTION_HELP, "Print this."},
};

/* `--log-level` to its index, or -1. */
static int find_flag(const char *flag, size_t len)
{
    char key[64];
    if (len >= sizeof(key))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (flag[i] == '_')
            return -1;
        key[i] = flag[i];
        if (flag[i] == '-')
            key[i] = '_';
    }
    return find_key(key, len);
}

static bool take_action(const char *flag, enum wc_config_action *out)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].flag, flag) == 0) {
            *out = actions[i].action;
            return true;
        }
    }
    if (strcmp(flag, "h") != 0)
        return false;
    *out = WC_ACTION_HELP;
    return true;
}

/* One flag at argv[*i]; *i moves to its last word. `--foreground` alone means yes. */
static int take_flag(struct loader *l, struct flags *f, int argc,
                     const char *const *argv, int *i)
{
    const char *word = argv[*i];
    snprintf(l->where, sizeof(l->where), "%.100s", word);
    if (strcmp(word, "-h") == 0)
        word = "--h";
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0')
        return fail(l, "is not a flag: whocand --help lists them");
    if (take_action(word + 2, &f->action))
        return 0;
    const char *equals = strchr(word, '=');
    size_t len = equals == NULL ? strlen(word) : (size_t)(equals - word);
    bool config = len == 8 && memcmp(word, "--config", 8) == 0;
    int option = find_flag(word + 2, len - 2);
    if (option < 0 && !config)
        return fail(l, "unknown flag: whocand --help lists them");
    const char *value = equals == NULL ? NULL : equals + 1;
    bool is_bool = !config && wc_config_options[option].type == WC_OPTION_BOOL;
    if (value == NULL && is_bool)
        value = "yes";
    else if (value == NULL && *i + 1 < argc)
        value = argv[++*i];
    if (value == NULL || (config && value[0] == '\0'))
        return fail(l, "needs a value: --%.*s %s", (int)len - 2, word + 2,
                    config ? "FILE" : wc_config_options[option].argument);
    if (!config)
        return take_value(l, (size_t)option, value, FROM_FLAG);
    if (f->config != NULL)
        return fail(l, "is given twice");
    f->config = value;
    return 0;
}

static int take_flags(struct loader *l, struct flags *f, int argc,
                      const char *const *argv)
{
    int rc = 0;
    for (int i = 1; i < argc && rc == 0; i++)
        rc = take_flag(l, f, argc, argv, &i);
    return rc;
}

/* ---------------------------------------------------------------- defaults */

void wc_config_env_here(struct wc_config_env *out)
{
    out->system = geteuid() == 0;
    out->home = getenv("HOME");
    out->xdg_state_home = getenv("XDG_STATE_HOME");
    out->xdg_config_home = getenv("XDG_CONFIG_HOME");
    out->xdg_runtime_dir = getenv("XDG_RUNTIME_DIR");
}

/* The value of a leading $VARIABLE of a default, by the XDG Base Directory
 * Specification: a relative path is ignored. */
static int expand_variable(const struct wc_config_env *env, const char *text, char *out,
                           size_t cap)
{
    const struct {
        const char *name, *value, *below_home;
    } variables[] = {
        {"$XDG_STATE_HOME", env->xdg_state_home, ".local/state"},
        {"$XDG_CONFIG_HOME", env->xdg_config_home, ".config"},
        {"$XDG_RUNTIME_DIR", env->xdg_runtime_dir, NULL},
    };
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        size_t len = strlen(variables[i].name);
        if (strncmp(text, variables[i].name, len) != 0)
            continue;
        const char *rest = text + len, *value = variables[i].value;
        if (value != NULL && value[0] == '/')
            return snprintf(out, cap, "%s%s", value, rest);
        if (variables[i].below_home == NULL || env->home == NULL || env->home[0] != '/')
            return -1;
        return snprintf(out, cap, "%s/%s%s", env->home, variables[i].below_home, rest);
    }
    return snprintf(out, cap, "%s", text);
}

static int set_default(struct loader *l, const struct wc_config_env *env,
                       const struct wc_option *o)
{
    const char *text = o->fallback;
    if (!env->system && o->fallback_user != NULL)
        text = o->fallback_user;
    if (text == NULL)
        return 0;
    char value[4 * WC_PATH_MAX_BYTES];
    int len = expand_variable(env, text, value, sizeof(value));
    bool runtime = strncmp(text, "$XDG_RUNTIME_DIR", 16) == 0;
    if (len < 0)
        return fail(l, "has no default, because the environment has no %s: give --%s",
                    runtime ? "XDG_RUNTIME_DIR" : "HOME", o->key);
    if ((size_t)len >= sizeof(value))
        return fail(l, "is longer than %d bytes", WC_PATH_MAX_BYTES);
    return set_value(l, o, value);
}

static int set_defaults(struct loader *l, const struct wc_config_env *env)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct wc_option *o = &wc_config_options[i];
        if (l->source[i] != FROM_NOWHERE)
            continue;
        snprintf(l->where, sizeof(l->where), "%s", o->key);
        l->config->listen_is_default |= o->offset == AT(listen);
        l->config->state_is_default |= o->offset == AT(state);
        int rc = set_default(l, env, o);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* What no value alone can tell. */
static int check_whole(struct loader *l)
{
    struct wc_config *c = l->config;
    snprintf(l->where, sizeof(l->where), "configuration");
    if (strlen(c->socket) > WC_SOCKET_PATH_MAX_BYTES)
        return fail(l,
                    "the path of the socket has %zu bytes, and a Unix socket takes at "
                    "most %d: choose a shorter one with --socket",
                    strlen(c->socket), WC_SOCKET_PATH_MAX_BYTES);
    if (c->people_uid_min > c->people_uid_max)
        return fail(l, "people_uid_min is above people_uid_max");
    for (uint32_t i = 0; i < c->listen.count; i++) {
        if (strcmp(c->listen.items[i], "none") != 0)
            continue;
        if (c->listen.count > 1)
            return fail(l, "listen: none cannot stand beside an address");
        wc_strings_fini(&c->listen);
    }
    return 0;
}

/* ---------------------------------------------------------------- all together */

static int find_file(struct loader *l, const struct wc_config_env *env,
                     const struct flags *f)
{
    char path[4 * WC_PATH_MAX_BYTES];
    const char *text =
        env->system ? "/etc/whocan/whocan.conf" : "$XDG_CONFIG_HOME/whocan/whocan.conf";
    if (f->config != NULL)
        text = f->config;
    int len = snprintf(path, sizeof(path), "%s", text);
    if (f->config == NULL)
        len = expand_variable(env, text, path, sizeof(path));
    if (len < 0)
        return 0; /* no home, no file; the state directory will complain if it must */
    snprintf(l->where, sizeof(l->where), "%s",
             f->config == NULL ? "configuration" : "--config");
    if (len > WC_PATH_MAX_BYTES)
        return fail(l, "the path of the file is longer than %d bytes",
                    WC_PATH_MAX_BYTES);
    l->config->path = strdup(path);
    if (l->config->path == NULL)
        return out_of_memory(l);
    return read_file(l, path, f->config != NULL);
}

int wc_config_load(struct wc_config *out, int argc, const char *const *argv,
                   const struct wc_config_env *env, enum wc_config_action *action,
                   char problem[WC_PROBLEM_BYTES])
{
    memset(out, 0, sizeof(*out));
    problem[0] = '\0';
    struct loader l = {.config = out, .problem = problem};
    struct flags f = {.action = WC_ACTION_RUN};
    int rc = take_flags(&l, &f, argc, argv);
    *action = f.action;
    if (rc != 0 || (f.action != WC_ACTION_RUN && f.action != WC_ACTION_CHECK &&
                    f.action != WC_ACTION_CHECK_STATE))
        return rc;
    rc = find_file(&l, env, &f);
    if (rc == 0)
        rc = set_defaults(&l, env);
    if (rc == 0)
        rc = check_whole(&l);
    return rc;
}

int wc_config_parse(struct wc_config *out, struct wc_slice text, const char *name,
                    char problem[WC_PROBLEM_BYTES])
{
    memset(out, 0, sizeof(*out));
    problem[0] = '\0';
    struct loader l = {.config = out, .problem = problem};
    return parse_text(&l, text, name);
}

void wc_config_fini(struct wc_config *config)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct wc_option *o = &wc_config_options[i];
        if (is_list(o))
            wc_strings_fini(field(config, o));
        else if (o->type == WC_OPTION_PATH || o->type == WC_OPTION_OFFICE ||
                 o->type == WC_OPTION_NAME || o->type == WC_OPTION_DOMAIN ||
                 o->type == WC_OPTION_GROUP)
            free(*(char **)field(config, o));
    }
    free(config->path);
    memset(config, 0, sizeof(*config));
}

/* ---------------------------------------------------------------- comparing */

static bool same_strings(const struct wc_strings *a, const struct wc_strings *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_value(const struct wc_option *o, const struct wc_config *a,
                       const struct wc_config *b)
{
    const void *x = (const char *)a + o->offset, *y = (const char *)b + o->offset;
    switch (o->type) {
    case WC_OPTION_PATH:
    case WC_OPTION_OFFICE:
    case WC_OPTION_NAME:
    case WC_OPTION_DOMAIN:
    case WC_OPTION_GROUP:
        return same_text(*(char *const *)x, *(char *const *)y);
    case WC_OPTION_UINT:
        return *(const uint64_t *)x == *(const uint64_t *)y;
    case WC_OPTION_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case WC_OPTION_CHOICE:
        return o->offset == AT(log_level) ? a->log_level == b->log_level
                                          : a->access == b->access;
    case WC_OPTION_LISTEN:
    case WC_OPTION_ADDRESSES:
    case WC_OPTION_LANGUAGES:
    case WC_OPTION_INTERFACES:
    case WC_OPTION_PATHS:
        return same_strings(x, y);
    }
    abort();
}

const char *wc_config_restart_key(const struct wc_config *a, const struct wc_config *b,
                                  size_t *from)
{
    while (*from < OPTIONS_COUNT) {
        const struct wc_option *o = &wc_config_options[(*from)++];
        if (!o->reload && !same_value(o, a, b))
            return o->key;
    }
    return NULL;
}

/* ---------------------------------------------------------------- texts */

/* Words of `text` in lines of at most 78 columns, each after `indent`. */
static void print_wrapped(FILE *out, const char *indent, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (column > 0 && strlen(indent) + column + 1 + len > 78) {
            fputc('\n', out);
            column = 0;
        }
        fprintf(out, "%s%.*s", column == 0 ? indent : " ", (int)len, text);
        column += len + (column > 0);
        text += len + (text[len] == ' ');
    }
    fputc('\n', out);
}

static void print_flag_name(FILE *out, const char *key)
{
    fputs("--", out);
    for (; *key != '\0'; key++)
        fputc(*key == '_' ? '-' : *key, out);
}

void wc_config_print_help(FILE *out)
{
    fputs(
        "usage: whocand [FLAG...]\n\n"
        "The daemon of one office of whocan: keeps signed profiles, exchanges them\n"
        "with other offices and answers who can help. Each flag is also a key of the\n"
        "configuration file (--log-level is log_level); flags win.\n\n"
        "  --config FILE\n"
        "      Configuration. Default: /etc/whocan/whocan.conf; for an ordinary user\n"
        "      $XDG_CONFIG_HOME/whocan/whocan.conf\n",
        out);
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct wc_option *o = &wc_config_options[i];
        fputs("  ", out);
        print_flag_name(out, o->key);
        fprintf(out, o->type == WC_OPTION_BOOL ? "[=%s]\n" : " %s\n", o->argument);
        print_wrapped(out, "      ", o->help);
        if (o->fallback != NULL)
            fprintf(out, "      Default: %s\n", o->fallback);
        if (o->fallback_user != NULL)
            fprintf(out, "      For an ordinary user: %s\n", o->fallback_user);
    }
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        fprintf(out, "  --%s\n      %s\n", actions[i].flag, actions[i].help);
}

void wc_config_print_example(FILE *out)
{
    fputs("# Configuration of whocand, see whocand(8). A key behind a # shows its "
          "default.\n"
          "# After a change: systemctl reload whocan\n\n[whocan]\n",
          out);
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct wc_option *o = &wc_config_options[i];
        fputc('\n', out);
        print_wrapped(out, "# ", o->help);
        if (!o->reload)
            fputs("# A change takes effect at the next start.\n", out);
        if (o->fallback != NULL)
            fprintf(out, "#%s = %s\n", o->key, o->fallback);
        else
            fprintf(out, "#%s =\n", o->key);
    }
}

/* Text for man(7): a hyphen that is typed is \-, and a line never starts with a dot. */
static void print_roff(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

void wc_config_print_manual(FILE *out)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct wc_option *o = &wc_config_options[i];
        bool is_bool = o->type == WC_OPTION_BOOL;
        fputs(".TP\n.BR ", out);
        print_roff(out, o->key);
        fputs(" \", \" \\-\\-", out);
        for (const char *p = o->key; *p != '\0'; p++)
            fputs(*p == '_' ? "\\-" : (char[]){*p, '\0'}, out);
        fprintf(out, is_bool ? " [=\\fI%s\\fP]\n" : " \" \\fI%s\\fP\"\n", o->argument);
        print_roff(out, o->help);
        fputc('\n', out);
        if (o->fallback != NULL) {
            fputs("Default: ", out);
            print_roff(out, o->fallback);
            if (o->fallback_user != NULL) {
                fputs("; for an ordinary user ", out);
                print_roff(out, o->fallback_user);
            }
            fputs(".\n", out);
        }
        if (o->reload)
            fputs("Taken over by a reload.\n", out);
    }
}
