/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whocand: start in order (configuration, state, identity, index, engine, socket), run,
 * and stop in the opposite one. The daemon stays in the foreground: service managers
 * want that, and nobody has to look for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <whocan/crypto.h>
#include <whocan/error.h>
#include <whocan/record.h>

#include "daemon/address.h"
#include "daemon/advertise.h"
#include "daemon/daemon.h"
#include "daemon/index_check.h"
#include "daemon/local.h"
#include "daemon/log.h"
#include "daemon/methods.h"
#include "daemon/office.h"

#define EXIT_CONFIGURATION 78 /* EX_CONFIG of sysexits.h: a restart would not help */
#define TIDY_EVERY_MS      60000
#define START_EXTEND_US    "60000000" /* while the index is built, ask for so much more */

/* Memory that the allocator keeps. LMDB has 3 MB of lists in each of two environments and
 * touches little of them: from this size on a block has pages of its own, which take no
 * memory before they are used and are given back. And the threads of the pool, which take
 * turns, would each keep what the largest commit and the largest search took. */
#define MALLOC_OWN_PAGES_BYTES (1 << 20)
#define MALLOC_ARENAS_COUNT    2

static struct wc_daemon daemon_state; /* all that is not freed at an early exit */
static struct wc_timer *tidy_timer, *watchdog_timer;
static int main_argc;
static const char *const *main_argv;

/* ---------------------------------------------------------------- starting */

/* What the service manager should do: not restart what will fail again. */
static int exit_code(int rc)
{
    return rc == -WC_ECONFIG || rc == -WC_EVERSION || rc == -WC_EDENIED ||
                   rc == -WC_ETOOBIG
               ? EXIT_CONFIGURATION
               : EXIT_FAILURE;
}

static int complain(int rc, const char *problem)
{
    wc_log(WC_LOG_ERROR, "%s", problem);
    return rc;
}

static void on_index_progress(void *ctx, uint64_t done, uint64_t total)
{
    uint64_t *logged_ms = ctx, now_ms = wc_mono_ms();
    if (now_ms - *logged_ms < 2000 && done < total)
        return;
    *logged_ms = now_ms;
    wc_log(WC_LOG_NOTICE, "building the search index: %" PRIu64 " of %" PRIu64, done,
           total);
    sd_notifyf(0,
               "EXTEND_TIMEOUT_USEC=" START_EXTEND_US "\nSTATUS=Building the search "
               "index: %" PRIu64 " of %" PRIu64,
               done, total);
}

/* A standalone office with another name is another office: its people move over. */
static int rename_office(struct wc_daemon *d)
{
    struct wc_identity *to = NULL;
    uint64_t moved = 0;
    char problem[WC_PROBLEM_BYTES];
    int rc = wc_office_standalone(&to, d->config.office);
    if (rc == 0)
        rc = wc_office_adopt(d->records, d->index, d->identity, to, wc_wall_ms(),
                             &moved);
    if (rc != 0) {
        wc_office_free(to);
        snprintf(problem, sizeof(problem), "this office could not be named %s: it %s",
                 d->config.office, wc_strerror(rc));
        return complain(rc, problem);
    }
    wc_log(WC_LOG_NOTICE, "this office was %s and is %s now; %" PRIu64 " people moved",
           d->identity->cert.name, to->cert.name, moved);
    wc_office_free(d->identity);
    d->identity = to;
    return 0;
}

static int check_name(struct wc_daemon *d)
{
    const char *wanted = d->config.office;
    if (wanted == NULL || strcmp(wanted, d->identity->cert.name) == 0)
        return 0;
    if (wc_office_is_standalone(d->identity))
        return rename_office(d);
    wc_log(WC_LOG_WARNING,
           "office = %s is ignored: the certificate of %s names this office %s", wanted,
           d->identity->org.name, d->identity->cert.name);
    return 0;
}

/* ~/.local/state is not in every home: the directories above the default are made, with
 * the mode that the XDG Base Directory Specification asks for. */
static void make_parents(const char *path)
{
    char parent[WC_PATH_MAX_BYTES + 1];
    snprintf(parent, sizeof(parent), "%s", path);
    for (char *slash = strchr(parent + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(parent, 0700); /* opening the state tells if this was in vain */
        *slash = '/';
    }
}

/* The office writes down what is done to it from here on. A full disk is no reason not
 * to start: staff can search. */
static int open_audit(struct wc_daemon *d)
{
    char problem[WC_PROBLEM_BYTES] = "";
    const struct wc_audit_limits limits = {d->config.audit_keep_days,
                                           d->config.audit_file_bytes};
    struct wc_audit_entry entry = {0};
    int rc = wc_audit_open(&d->audit, d->config.state, &limits, problem);
    if (rc != 0)
        return complain(rc, problem);
    wc_audit_begin(d->audit, &entry, "daemon.start", NULL);
    wc_audit_say(&entry.members, "version", wc_slice_text(WHOCAN_VERSION));
    wc_audit_say_u64(&entry.members, "uid", geteuid());
    rc = wc_audit_add_now(d->audit, &entry);
    if (rc == -WC_EFULL)
        wc_log(WC_LOG_ERROR, "the audit log %s: administration is refused",
               wc_strerror(rc));
    else if (rc != 0)
        return complain(rc, "the audit log could not be written");
    return 0;
}

static void close_audit(struct wc_daemon *d, bool ran)
{
    struct wc_audit_entry entry = {0};
    if (d->audit != NULL && ran) {
        wc_audit_begin(d->audit, &entry, "daemon.stop", NULL);
        if (wc_audit_add_now(d->audit, &entry) != 0)
            wc_log(WC_LOG_ERROR, "the stop could not be written into the audit log");
    }
    wc_audit_close(d->audit);
}

struct list { /* of a configuration, NULL-terminated */
    const char *items[WC_CONFIG_LIST_MAX_COUNT + 1];
};

static void list_of(struct list *out, const struct wc_strings *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i], "none") != 0)
            out->items[count++] = s->items[i];
    out->items[count] = NULL;
}

static int load_vocabulary(struct wc_daemon *d, char problem[WC_PROBLEM_BYTES])
{
    struct list directories, languages;
    list_of(&directories, &d->config.vocabulary);
    list_of(&languages, &d->config.languages);
    struct wc_vocabulary *v = NULL;
    int rc = wc_vocabulary_load(&v, directories.items, languages.items, problem);
    d->vocabulary = v;
    return rc;
}

static int open_state(struct wc_daemon *d)
{
    char problem[WC_PROBLEM_BYTES] = "";
    if (d->config.state_is_default)
        make_parents(d->config.state);
    uint64_t logged_ms = wc_mono_ms();
    int rc = wc_records_open(&d->records, d->config.state, problem);
    if (rc != 0)
        return complain(rc, problem);
    rc = open_audit(d);
    if (rc != 0)
        return rc;
    rc = wc_office_load(&d->identity, d->records, &d->config, problem);
    if (rc != 0)
        return complain(rc, problem);
    rc = load_vocabulary(d, problem);
    if (rc != 0)
        return complain(rc, problem);
    wc_log(WC_LOG_INFO, "the vocabulary has %u concepts",
           wc_vocabulary_count(d->vocabulary));
    struct list languages;
    list_of(&languages, &d->config.languages);
    rc = wc_index_open(&d->index, d->config.state, d->records, languages.items,
                       d->vocabulary, d->identity->signer.key, on_index_progress,
                       &logged_ms, problem);
    if (rc != 0)
        return complain(rc, problem);
    if (problem[0] != '\0')
        wc_log(WC_LOG_WARNING,
               "the search index was damaged (%s): it was built anew from the records",
               problem);
    rc = wc_office_resume_leave(d->records, d->index, &d->identity, wc_wall_ms());
    if (rc != 0) {
        snprintf(problem, sizeof(problem),
                 "this office was leaving its organisation, and that could not be "
                 "finished: the records %s",
                 wc_strerror(rc));
        return complain(rc, problem);
    }
    return check_name(d);
}

/* Listen where the configuration says. Without IPv6 the default wildcard is IPv4's. */
static int listen_one(struct wc_daemon *d, const char *address,
                      struct wc_strings *listened, uint16_t *port)
{
    char problem[WC_PROBLEM_BYTES] = "", again[WC_PROBLEM_BYTES];
    struct wc_transport *t = wc_engine_transport(d->engine);
    int rc = wc_transport_listen(t, address, port, problem);
    if (rc != 0 && d->config.listen_is_default) {
        address = "0.0.0.0:" WC_DEFAULT_PORT;
        rc = wc_transport_listen(t, address, port, again);
    }
    if (rc == 0)
        rc = wc_strings_add(listened, address);
    if (rc == 0) {
        wc_log(WC_LOG_INFO, "listening on %s, port %u", address, (unsigned)*port);
        return 0;
    }
    wc_log(WC_LOG_ERROR, "%s: choose another address with listen", problem);
    return rc;
}

/* What is listened on, with the port that it got. */
static int note_listened(struct wc_daemon *d, const char *text, uint16_t port)
{
    struct wc_address address;
    char with_port[WC_HOST_MAX_BYTES + 16];
    int rc = wc_address_parse(&address, text);
    bool six = rc == 0 && strchr(address.host, ':') != NULL;
    snprintf(with_port, sizeof(with_port), six ? "[%s]:%u" : "%s:%u", address.host,
             (unsigned)port);
    return rc != 0 ? rc : wc_strings_add(&d->listened, with_port);
}

static int listen_all(struct wc_daemon *d)
{
    struct wc_strings listened = {0};
    uint16_t ports[WC_CONFIG_LIST_MAX_COUNT] = {0};
    int rc = 0;
    for (uint32_t i = 0; i < d->config.listen.count && rc == 0; i++)
        rc = listen_one(d, d->config.listen.items[i], &listened, &ports[i]);
    if (rc == 0)
        rc = wc_advertise(&d->addresses, &d->config.advertise, &listened, ports);
    for (uint32_t i = 0; i < listened.count && rc == 0; i++)
        rc = note_listened(d, listened.items[i], ports[i]);
    wc_strings_fini(&listened);
    return rc;
}

/* A revoked office is told so: a longer certificate would not help it. */
static void check_certificate(struct wc_daemon *d)
{
    const struct wc_node *node = wc_engine_node(d->engine);
    uint64_t end_ms = d->identity->cert.not_after_ms, now_ms = wc_wall_ms();
    char text[WC_EXPIRY_TEXT_BYTES];
    struct wc_node_stats stats = {0};
    if (node != NULL)
        wc_node_stats(node, &stats);
    if (wc_office_is_standalone(d->identity) || stats.revoked) {
        d->expiry = (struct wc_expiry){0};
    } else if (wc_expiry_due(&d->expiry, end_ms, now_ms)) {
        wc_expiry_text(text, end_ms, now_ms);
        wc_log(WC_LOG_WARNING, "%s", text);
    }
}

static void on_changed(void *ctx)
{
    struct wc_daemon *d = ctx;
    struct wc_node_stats stats;
    const struct wc_node *node = wc_engine_node(d->engine);
    if (node == NULL)
        return;
    wc_node_stats(node, &stats);
    sd_notifyf(0, "STATUS=%s of %s: %u offices known, %u links", d->identity->cert.name,
               d->identity->org.name, stats.offices_count, stats.links_count);
    wc_discovery_links(d->discovery, stats.links_count);
    check_certificate(d);
}

/* ---------------------------------------------------------------- while running */

/* ---- finding offices ---- */

static void on_office_began(void *ctx, const struct wc_identity *identity)
{
    struct wc_daemon *d = ctx;
    if (!wc_office_is_standalone(identity)) /* else there is nobody to find */
        wc_discovery_begin(d->discovery, identity);
}

static void on_office_ended(void *ctx)
{
    struct wc_daemon *d = ctx;
    wc_discovery_end(d->discovery);
}

static void on_reached(void *ctx, const uint8_t office_key[WC_KEY_BYTES],
                       const char *address)
{
    struct wc_daemon *d = ctx;
    wc_discovery_reached(d->discovery, office_key, address);
}

static void on_heard(void *ctx, const char *address,
                     const uint8_t office_key[WC_KEY_BYTES])
{
    struct wc_daemon *d = ctx;
    wc_engine_heard(d->engine, address, office_key);
}

static void on_found(void *ctx, enum wc_hint how, const char *const *addresses,
                     uint32_t count)
{
    struct wc_daemon *d = ctx;
    wc_engine_set_hints(d->engine, how, addresses, count);
}

static int start_discovery(struct wc_daemon *d)
{
    struct wc_discovery_config config = {.loop = d->loop,
                                         .settings = &d->config,
                                         .listened = &d->listened,
                                         .heard = on_heard,
                                         .found = on_found,
                                         .ctx = d};
    int rc = wc_discovery_new(&d->discovery, &config);
    return rc == 0 ? 0 : complain(rc, "the event loop cannot start");
}

/* ---- leavers ---- */

static const uint8_t *leavers_begin(void *ctx)
{
    struct wc_daemon *d = ctx;
    if (d->joining || d->stopping || wc_engine_node(d->engine) == NULL)
        return NULL;
    d->writers_count++; /* the identity stays */
    return d->identity->signer.key;
}

struct retiring {
    struct wc_daemon *d;
    struct wc_leaving leaving;
};

static const char *leaving_why(const struct wc_leaving *leaving)
{
    return leaving->another_uid ? "whose account is another person's now"
                                : "who has no account here any more";
}

static void leaver_retired(void *ctx, int rc)
{
    struct retiring *r = ctx;
    if (rc == 0)
        wc_log(WC_LOG_NOTICE, "the profile of somebody %s was retired",
               leaving_why(&r->leaving));
    else
        wc_log(WC_LOG_WARNING,
               "the profile of somebody %s could not be retired: it %s; the next "
               "attempt is tomorrow",
               leaving_why(&r->leaving), wc_strerror(rc));
    r->d->writers_count--;
    free(r);
}

/* Whether the profile is still the one that was looked at: whoever has written another
 * one since is no leaver. */
static bool still_there(const struct retiring *r)
{
    const struct wc_node *node = wc_engine_node(r->d->engine);
    struct wc_version version;
    uint8_t slot[WC_DIGEST_BYTES], kind;
    wc_slot(slot, WC_KIND_PROFILE, r->d->identity->signer.key, r->leaving.who.subject);
    return node != NULL && wc_node_slot(node, slot, &version, &kind) == 0 &&
           kind == WC_KIND_PROFILE && version.rev == r->leaving.rev;
}

/* The audit log has it, or cannot: then nobody is retired unseen. */
static void retire_written(void *ctx, int rc)
{
    struct retiring *r = ctx;
    const struct wc_signer *office = &r->d->identity->signer;
    struct wc_buf body = {0};
    uint8_t sig[WC_SIG_BYTES];
    if (rc == 0 && !still_there(r))
        rc = -WC_EBUSY;
    if (rc == 0)
        rc = wc_retire_body(office->key, r->leaving.who.subject, r->leaving.rev + 1,
                            WC_KIND_PROFILE, false, &body);
    if (rc == 0)
        rc = wc_body_sign(sig, WC_KIND_RETIRE, wc_buf_slice(&body), office);
    char local[WC_LOCAL_NAME_BYTES];
    wc_local_name(r->leaving.who.subject, local);
    struct wc_meta_edit beside = {.key = local, .drop = true};
    if (rc == 0)
        wc_engine_put_with(r->d->engine, WC_KIND_RETIRE, wc_buf_slice(&body),
                           office->key, sig, &beside, leaver_retired, r);
    else
        leaver_retired(r, rc);
    wc_buf_fini(&body);
}

static void retire_profile(struct wc_daemon *d, const struct wc_leaving *leaving)
{
    struct wc_audit_entry entry = {0};
    struct retiring *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return; /* tomorrow */
    *r = (struct retiring){.d = d, .leaving = *leaving};
    if (!still_there(r)) {
        free(r);
        return;
    }
    d->writers_count++;
    wc_audit_begin(d->audit, &entry, "leaver", NULL);
    wc_audit_about(d->audit, &entry, wc_slice_text(leaving->who.subject),
                   wc_slice_text(d->identity->cert.name));
    wc_audit_say_u64(&entry.members, "rev", leaving->rev + 1);
    wc_audit_say(&entry.members, "why",
                 wc_slice_text(leaving->another_uid ? "uid" : "account"));
    wc_audit_add(d->audit, &entry, retire_written, r);
}

static void leavers_end(void *ctx, const struct wc_leaving *retire, uint32_t count)
{
    struct wc_daemon *d = ctx;
    for (uint32_t i = 0; i < count && !d->stopping; i++)
        retire_profile(d, &retire[i]);
    d->writers_count--;
}

static int start_leavers(struct wc_daemon *d)
{
    struct wc_leavers_config config = {.loop = d->loop,
                                       .records = d->records,
                                       .now_ms = wc_wall_ms,
                                       .begin = leavers_begin,
                                       .end = leavers_end,
                                       .many = d->config.leavers_many,
                                       .ctx = d};
    return d->config.accounts ? wc_leavers_new(&d->leavers, &config) : 0;
}

static void on_tidy(void *ctx)
{
    struct wc_daemon *d = ctx;
    if (d->leavers != NULL)
        wc_leavers_tick(d->leavers);
    wc_records_tidy(d->records);
    wc_upkeep_tick(d->upkeep);
    check_certificate(d);
}

static void on_watchdog(void *ctx)
{
    (void)ctx;
    sd_notify(0, "WATCHDOG=1");
}

static void swap_text(char **a, char **b)
{
    char *kept = *a;
    *a = *b;
    *b = kept;
}

/* Whether the groups of the configuration are there: the account database may be slow, so
 * it is asked on the pool. */
struct group_check {
    struct wc_access_rules rules;
    char problem[WC_PROBLEM_BYTES];
};

static void group_check_work(void *ctx)
{
    struct group_check *check = ctx;
    if (!wc_access_problem(&check->rules, check->problem, sizeof(check->problem)))
        check->problem[0] = '\0';
}

static void group_check_done(void *ctx)
{
    struct group_check *check = ctx;
    if (check->problem[0] != '\0')
        wc_log(WC_LOG_WARNING, "%s", check->problem);
    free(check);
}

static void set_rules(struct wc_daemon *d)
{
    struct group_check *check = calloc(1, sizeof(*check));
    struct wc_access_rules rules;
    wc_access_rules(&rules, &d->config);
    wc_api_set_rules(d->api, &rules);
    if (check == NULL)
        return;
    check->rules = rules;
    if (wc_loop_work(d->loop, group_check_work, group_check_done, check) != 0)
        free(check);
}

/* Take over what can be while running; what cannot is named. */
static void apply_config(struct wc_daemon *d, struct wc_config *fresh)
{
    struct wc_config *c = &d->config;
    size_t from = 0;
    for (const char *key; (key = wc_config_restart_key(c, fresh, &from)) != NULL;)
        wc_log(WC_LOG_WARNING, "%s has changed: that takes effect at the next start",
               key);
    c->log_level = fresh->log_level;
    c->access = fresh->access;
    c->people_uid_min = fresh->people_uid_min;
    c->people_uid_max = fresh->people_uid_max;
    swap_text(&c->group, &fresh->group);
    swap_text(&c->admin_group, &fresh->admin_group);
    swap_text(&c->intranet_user, &fresh->intranet_user);
    c->intranet_acts = fresh->intranet_acts;
    c->leavers_many = fresh->leavers_many;
    c->slow_find_ms = fresh->slow_find_ms;
    if (d->leavers != NULL)
        wc_leavers_set_many(d->leavers, c->leavers_many);
    struct wc_strings join = c->join;
    c->join = fresh->join;
    fresh->join = join;

    c->audit_keep_days = fresh->audit_keep_days;
    c->audit_file_bytes = fresh->audit_file_bytes;
    const struct wc_audit_limits limits = {c->audit_keep_days, c->audit_file_bytes};
    wc_audit_set_limits(d->audit, &limits);
    wc_log_set_level(c->log_level);
    set_rules(d);
    wc_engine_set_join(d->engine, &c->join);
}

/* ---- the vocabulary, read anew ---- */

/* On the pool, since there may be a hundred thousand labels, and people. The configuration
 * keeps its directories and languages until the next start. */
struct wc_wording {
    struct wc_daemon *d;
    struct wc_vocabulary *fresh;
    char problem[WC_VOCABULARY_PROBLEM_BYTES];
    atomic_bool stop;
    uint64_t people;
    int rc;
};

static void read_vocabulary(struct wc_daemon *d);

static void wording_end(struct wc_wording *w)
{
    struct wc_daemon *d = w->d;
    free(w);
    d->wording = NULL;
    if (d->word_again && !d->stopping) {
        d->word_again = false;
        read_vocabulary(d);
    }
}

static void index_work(void *ctx)
{
    struct wc_wording *w = ctx;
    w->rc =
        wc_index_set_vocabulary(w->d->index, w->d->vocabulary, &w->stop, &w->people);
}

static void index_done(void *ctx)
{
    struct wc_wording *w = ctx;
    if (w->rc != 0)
        wc_log(WC_LOG_ERROR,
               "the index could not be brought up to the vocabulary: it %s; the next "
               "start builds it anew",
               wc_strerror(w->rc));
    else if (w->people > 0 && !atomic_load(&w->stop))
        wc_log(WC_LOG_NOTICE, "the index is up to the vocabulary: %" PRIu64 " people",
               w->people);
    wording_end(w);
}

static void load_work(void *ctx)
{
    struct wc_wording *w = ctx;
    struct list directories, languages;
    list_of(&directories, &w->d->config.vocabulary);
    list_of(&languages, &w->d->config.languages);
    w->rc =
        wc_vocabulary_load(&w->fresh, directories.items, languages.items, w->problem);
}

static void load_done(void *ctx)
{
    struct wc_wording *w = ctx;
    struct wc_daemon *d = w->d;
    if (w->rc != 0 || d->stopping) {
        if (w->rc != 0)
            wc_log(WC_LOG_ERROR, "%s; the vocabulary stays as it was", w->problem);
        wc_vocabulary_free(w->fresh);
        wording_end(w);
        return;
    }
    wc_vocabulary_free(d->vocabulary);
    d->vocabulary = w->fresh;
    wc_log(WC_LOG_NOTICE, "the vocabulary was read again: %u concepts",
           wc_vocabulary_count(d->vocabulary));
    if (wc_loop_work(d->loop, index_work, index_done, w) != 0) {
        w->rc = -WC_ENOMEM;
        index_done(w);
    }
}

static void read_vocabulary(struct wc_daemon *d)
{
    if (d->wording != NULL) {
        d->word_again = true; /* the files may have changed since they were read */
        return;
    }
    struct wc_wording *w = calloc(1, sizeof(*w));
    if (w != NULL) {
        w->d = d;
        d->wording = w;
        if (wc_loop_work(d->loop, load_work, load_done, w) == 0)
            return;
        d->wording = NULL;
        free(w);
    }
    wc_log(WC_LOG_ERROR, "out of memory; the vocabulary stays as it was");
}

/* What was read is taken over when the audit log has it, and not before. */
struct reload {
    struct wc_daemon *d;
    struct wc_config fresh;
};

static void reload_end(struct reload *r)
{
    wc_config_fini(&r->fresh);
    free(r);
    sd_notify(0, "READY=1");
}

static void reload_written(void *ctx, int rc)
{
    struct reload *r = ctx;
    if (r->d->stopping) {
        wc_log(WC_LOG_INFO, "stopping: the configuration is not read again");
    } else if (rc != 0) {
        wc_log(WC_LOG_ERROR, "the audit log %s; the configuration stays as it was",
               wc_strerror(rc));
    } else {
        apply_config(r->d, &r->fresh);
        read_vocabulary(r->d);
        wc_log(WC_LOG_NOTICE, "the configuration was read again");
    }
    reload_end(r);
}

static void on_reload(void *ctx)
{
    struct wc_daemon *d = ctx;
    struct wc_config_env env;
    enum wc_config_action action;
    char problem[WC_PROBLEM_BYTES];
    struct reload *r = d->stopping ? NULL : calloc(1, sizeof(*r));
    if (r == NULL)
        return;
    r->d = d;
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, wc_mono_us());
    wc_config_env_here(&env);
    if (wc_config_load(&r->fresh, main_argc, main_argv, &env, &action, problem) != 0) {
        wc_log(WC_LOG_ERROR, "%s; the configuration stays as it was", problem);
        reload_end(r);
        return;
    }
    struct wc_audit_entry entry = {0};
    wc_audit_begin(d->audit, &entry, "daemon.reload", NULL);
    wc_audit_add(d->audit, &entry, reload_written, r);
}

/* ---------------------------------------------------------------- stopping */

static void engine_closed(void *ctx)
{
    struct wc_daemon *d = ctx;
    wc_timer_free(tidy_timer);
    wc_timer_free(watchdog_timer);
    wc_watch_free(d->watch);
    wc_loop_halt(d->loop);
}

static void discovery_closed(void *ctx)
{
    struct wc_daemon *d = ctx;
    wc_engine_close(d->engine, engine_closed, d);
}

static void api_closed(void *ctx)
{
    struct wc_daemon *d = ctx;
    wc_discovery_close(d->discovery, discovery_closed, d);
}

static void engine_stopped(void *ctx)
{
    struct wc_daemon *d = ctx;
    wc_api_close(d->api, api_closed, d);
}

static void stop_engine(struct wc_daemon *d)
{
    wc_engine_stop(d->engine, engine_stopped, d);
}

static void on_stop(void *ctx)
{
    struct wc_daemon *d = ctx;
    if (d->stopping)
        return;
    d->stopping = true;
    if (d->wording != NULL)
        atomic_store(&d->wording->stop, true);
    wc_upkeep_stop(d->upkeep);
    sd_notify(0, "STOPPING=1\nSTATUS=Finishing what was begun");
    wc_log(WC_LOG_NOTICE, "stopping");
    wc_api_quiesce(d->api);
    if (d->joining)
        d->joined = stop_engine;
    else
        stop_engine(d);
}

/* ---------------------------------------------------------------- all together */

static int start_timers(struct wc_daemon *d)
{
    uint64_t watchdog_us = 0;
    tidy_timer = wc_timer_new(d->loop, on_tidy, d);
    if (tidy_timer == NULL)
        return -WC_ENOMEM;
    wc_timer_set(tidy_timer, TIDY_EVERY_MS, TIDY_EVERY_MS);
    if (sd_watchdog_enabled(0, &watchdog_us) <= 0 || watchdog_us < 2000)
        return 0;
    watchdog_timer = wc_timer_new(d->loop, on_watchdog, d);
    if (watchdog_timer == NULL)
        return -WC_ENOMEM;
    wc_timer_set(watchdog_timer, watchdog_us / 2000, watchdog_us / 2000);
    return 0;
}

static int start_signals(struct wc_daemon *d)
{
    int rc = wc_loop_on_signal(d->loop, SIGTERM, on_stop, d);
    if (rc == 0)
        rc = wc_loop_on_signal(d->loop, SIGINT, on_stop, d);
    if (rc == 0)
        rc = wc_loop_on_signal(d->loop, SIGHUP, on_reload, d);
    return rc;
}

static int start_loop(struct wc_daemon *d)
{
    struct wc_engine_config config = {.records = d->records,
                                      .index = d->index,
                                      .replicate = d->config.replicate,
                                      .erase_interval_ms =
                                          d->config.erase_interval_s * 1000,
                                      .accounts = d->config.accounts,
                                      .alone = d->config.alone,
                                      .changed = on_changed,
                                      .began = on_office_began,
                                      .ended = on_office_ended,
                                      .reached = on_reached,
                                      .ctx = d};
    int rc = wc_loop_new(&d->loop);
    config.loop = d->loop;
    wc_audit_set_loop(d->audit, d->loop);
    if (rc == 0)
        rc = start_signals(d);
    if (rc == 0)
        rc = start_timers(d);
    if (rc == 0)
        rc = wc_watch_new(&d->watch, d->loop, wc_watch_look, d);
    config.watch = d->watch;
    if (rc == 0)
        rc = wc_engine_new(&d->engine, &config);
    if (rc == 0)
        rc = wc_upkeep_new(&d->upkeep, d->loop, d->index);
    if (rc == 0)
        rc = start_leavers(d);
    return rc == 0 ? 0 : complain(rc, "the event loop cannot start");
}

/* Ready: from now on the socket answers. */
static void on_settled(void *ctx)
{
    struct wc_daemon *d = ctx;
    set_rules(d);
    wc_log(WC_LOG_NOTICE, "whocand %s: office %s of %s is ready, socket %s",
           WHOCAN_VERSION, d->identity->cert.name, d->identity->org.name,
           d->config.socket);
    sd_notify(0, "READY=1");
    on_changed(d);
    if (d->leavers != NULL)
        wc_leavers_tick(d->leavers);
}

static int start(struct wc_daemon *d)
{
    char problem[WC_PROBLEM_BYTES] = "";
    if (wc_crypto_init() != 0)
        return complain(-WC_ECRYPTO, "libsodium does not work on this machine");
    int rc = open_state(d);
    if (rc == 0)
        rc = start_loop(d);
    if (rc == 0)
        rc = listen_all(d);
    if (rc == 0)
        rc = start_discovery(d);
    if (rc != 0)
        return rc;
    struct wc_engine_office office = {.identity = d->identity,
                                      .join = &d->config.join,
                                      .addresses = &d->addresses,
                                      .settled = on_settled,
                                      .ctx = d};
    rc = wc_engine_start(d->engine, &office, problem);
    if (rc == 0)
        rc = wc_api_new(&d->api, d->loop, d, wc_methods_dispatch, wc_method_cost,
                        d->config.socket, problem);
    return rc == 0 ? 0 : complain(rc, problem);
}

static void run(struct wc_daemon *d)
{
    wc_loop_run(d->loop);
    wc_log(WC_LOG_NOTICE, "stopped");
}

/* In this order: what is open last depends on nothing any more. */
static void finish(struct wc_daemon *d, bool ran)
{
    if (ran) {
        wc_engine_free(d->engine);
        wc_api_free(d->api);
        wc_leavers_free(d->leavers);
        wc_upkeep_free(d->upkeep);
        wc_loop_free(d->loop);
    }
    wc_index_close(d->index);
    close_audit(d, ran);
    wc_records_close(d->records); /* and with it the lock on the state directory */
    wc_vocabulary_free(d->vocabulary);
    wc_office_free(d->identity);
    wc_strings_fini(&d->addresses);
    wc_strings_fini(&d->listened);
    wc_config_fini(&d->config);
}

/* ---- --check-state ---- */

/* One line for each thing that was looked at, as `whocan doctor` has them. */
static bool say_state(bool ok, const char *means, const char *found)
{
    printf("%s%s\n", ok ? "ok     " : "FAULT  ", means);
    if (!ok)
        printf("       %s\n", found);
    return ok;
}

/* Every record, with its signatures. */
static bool check_records(struct wc_records *r)
{
    const struct wc_check_options options = {.records = r, .full = true};
    struct wc_check *c = NULL;
    int rc = wc_check_new(&c, &options);
    while (rc == 0 && (rc = wc_check_go_on(c)) == 1)
        rc = 0;
    bool ok = false;
    if (rc != 0) {
        say_state(false, wc_check_means(WC_CHECK_RECORDS), wc_strerror(rc));
    } else {
        const struct wc_check_result *result = wc_check_result(c, WC_CHECK_RECORDS);
        ok = say_state(result->faults == 0, wc_check_means(WC_CHECK_RECORDS),
                       result->first);
        printf("       %" PRIu64 " records, %" PRIu64 " faults\n", result->looked,
               result->faults);
    }
    wc_check_free(c);
    return ok;
}

/* Nothing is changed. Files are looked at before LMDB believes them. */
static int check_state(const struct wc_config *config)
{
    struct wc_records *r = NULL;
    char problem[WC_PROBLEM_BYTES] = "";
    int rc = wc_records_check_file(config->state, problem);
    if (rc != 0 && rc != -WC_ECORRUPT)
        return complain(rc, problem);
    bool whole = say_state(rc == 0, "the file of the records is whole", problem);
    if (whole) {
        rc = wc_records_open(&r, config->state, problem);
        if (rc != 0)
            return complain(rc, problem);
        whole = check_records(r);
        wc_records_close(r);
    }
    rc = wc_index_check_file(config->state, problem);
    bool right = rc == 0 || rc == -WC_ENOTFOUND;
    if (rc == -WC_ENOTFOUND)
        puts("       there is no search index: the next start builds it");
    else
        say_state(right, "the search index is as it was written", problem);
    if (!whole)
        puts("\nLook at the disk, then put a backup of the records back.");
    if (!right)
        puts("\nThe next start builds the search index anew: nothing is lost.");
    if (whole && right)
        puts(
            "\nAll is well. Whether the index says what the records say, whocan doctor "
            "tells\nonce the daemon runs.");
    return fflush(stdout) != 0 ? -WC_EIO : whole && right ? 0 : -WC_ECORRUPT;
}

static int print(enum wc_config_action action)
{
    switch (action) {
    case WC_ACTION_HELP:
        wc_config_print_help(stdout);
        break;
    case WC_ACTION_VERSION:
        puts("whocand " WHOCAN_VERSION);
        break;
    case WC_ACTION_PRINT_CONFIG:
        wc_config_print_example(stdout);
        break;
    case WC_ACTION_PRINT_MANUAL:
        wc_config_print_manual(stdout);
        break;
    case WC_ACTION_CHECK:
        puts("The configuration is right.");
        break;
    case WC_ACTION_CHECK_STATE:
    case WC_ACTION_RUN:
        break;
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Keys and private fields are in memory: no core dump is written of it, and no other
 * process of this account can attach to it or read /proc/PID/mem. */
static void keep_memory_private(void)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        wc_log(WC_LOG_WARNING, "core dumps cannot be switched off: %s",
               strerror(errno));
}

/* Both only tune. */
static void keep_memory_small(void)
{
    mallopt(M_MMAP_THRESHOLD, MALLOC_OWN_PAGES_BYTES);
    mallopt(M_ARENA_MAX, MALLOC_ARENAS_COUNT);
}

int main(int argc, char **argv)
{
    struct wc_daemon *d = &daemon_state;
    struct wc_config_env env;
    enum wc_config_action action;
    char problem[WC_PROBLEM_BYTES];
    keep_memory_small();
    main_argc = argc;
    main_argv = (const char *const *)argv;
    wc_log_init(WC_LOG_NOTICE, false);
    wc_config_env_here(&env);
    int rc = wc_config_load(&d->config, argc, main_argv, &env, &action, problem);
    if (rc != 0) {
        complain(rc, problem);
        wc_config_fini(&d->config);
        return exit_code(rc);
    }
    if (action == WC_ACTION_CHECK && (rc = load_vocabulary(d, problem)) != 0)
        complain(rc, problem);
    if (action == WC_ACTION_CHECK_STATE) {
        rc = wc_crypto_init() != 0 ? -WC_ECRYPTO : check_state(&d->config);
        wc_config_fini(&d->config);
        return rc == 0 ? EXIT_SUCCESS : exit_code(rc);
    }
    if (action != WC_ACTION_RUN) {
        wc_vocabulary_free(d->vocabulary);
        wc_config_fini(&d->config);
        return rc != 0 ? exit_code(rc) : print(action);
    }
    wc_log_init(d->config.log_level, d->config.foreground);
    keep_memory_private();
    d->started_mono_ms = wc_mono_ms();
    d->slow_valve = (struct wc_log_valve){.burst = 10, .window_ms = 60000};
    rc = start(d);
    if (rc == 0)
        run(d);
    finish(d, rc == 0);
    return rc == 0 ? EXIT_SUCCESS : exit_code(rc);
}
