/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/methods.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/limits.h>
#include <whocan/person.h>

#include "daemon/daemon.h"
#include "daemon/metrics.h"
#include "daemon/person_params.h"

#define END                                                                            \
    {                                                                                  \
        .name = NULL                                                                   \
    }

/* ---------------------------------------------------------------- the table */

/* Of the methods that the intranet may call for a person. */
#define AS_PARAM                                                                       \
    {                                                                                  \
        "as", WC_PARAM_STR, false, 1, WC_SUBJECT_MAX_BYTES,                            \
            "login of the person for whom the intranet's account acts"                 \
    }

static const struct wc_param no_params[] = {END};

static const struct wc_param find_params[] = {
    {"query", WC_PARAM_STR, true, 1, WC_QUERY_MAX_BYTES, "words to look for"},
    {"limit", WC_PARAM_INT, false, 1, WC_FIND_LIMIT_MAX,
     "at most so many people; default 10"},
    {"office", WC_PARAM_STR, false, 1, WC_OFFICE_NAME_MAX_BYTES,
     "only people of this office"},
    {"team", WC_PARAM_STR, false, 1, WC_TITLE_MAX_BYTES,
     "only people with all these words in the name of their team"},
    {"language", WC_PARAM_STR, false, 1, WC_LANGUAGE_MAX_BYTES,
     "only people who speak it"},
    {"level", WC_PARAM_STR, false, 1, 16,
     "at least, of the skill that answers best: awareness, working, practitioner, "
     "expert"},
    {"mentor", WC_PARAM_BOOL, false, 0, 0,
     "true: only people who are willing to mentor in that skill"},
    {"today", WC_PARAM_BOOL, false, 0, 0,
     "true: only people for whom today is no day off"},
    {"facets", WC_PARAM_BOOL, false, 0, 0,
     "count skills, levels and offices of the best 1000 who match"},
    {"explain", WC_PARAM_BOOL, false, 0, 0,
     "true: how they were found, for whoever wonders about an order or a time"},
    END};
static const struct wc_param show_params[] = {
    {"handle", WC_PARAM_STR, true, 1, WC_HANDLE_MAX_BYTES,
     "alice@leeds, or alice for this office"},
    {"audience", WC_PARAM_STR, false, 2, 12,
     "as whom to see them: organisation or office; of the caller match and me too; "
     "left out: all that the caller may see"},
    END};
static const struct wc_param import_params[] = {
    {"rows", WC_PARAM_LIST, true, 0, WC_IMPORT_BATCH_MAX_COUNT,
     "maps with handle and the fields of a person"},
    {"dry_run", WC_PARAM_BOOL, false, 0, 0, "check and report, store nothing"},
    END};
static const struct wc_param rows_params[] = {{"after", WC_PARAM_STR, false, 1,
                                               WC_SUBJECT_MAX_BYTES,
                                               "`next` of the slice before"},
                                              END};
static const struct wc_param retire_params[] = {{"handles", WC_PARAM_LIST, true, 0,
                                                 WC_IMPORT_BATCH_MAX_COUNT,
                                                 "logins of this office"},
                                                END};
static const struct wc_param export_params[] = {
    {"office", WC_PARAM_STR, false, 1, WC_OFFICE_NAME_MAX_BYTES,
     "default: this office"},
    {"all", WC_PARAM_BOOL, false, 0, 0, "the people of all offices"},
    END};
static const struct wc_param me_params[] = {
    AS_PARAM,
    {"key", WC_PARAM_BIN, false, WC_KEY_BYTES, WC_KEY_BYTES,
     "the caller's public key: the answer then has what signing the next edit needs"},
    END};
static const struct wc_param put_params[] = {
    {"body", WC_PARAM_BIN, true, 1, WC_RECORD_MAX_BYTES,
     "the body of the profile (docs/records.md)"},
    {"key", WC_PARAM_BIN, true, WC_KEY_BYTES, WC_KEY_BYTES,
     "public key of the person who signed it"},
    {"sig", WC_PARAM_BIN, true, WC_SIG_BYTES, WC_SIG_BYTES, "their signature"},
    {"local", WC_PARAM_MAP, false, 0, 0,
     "fields that stay in this office, by audience: office, match, me; left out: they "
     "stay as they are"},
    {"confirms", WC_PARAM_STR, false, 1, 64,
     "id of the pending change that this edit carries out"},
    END};
static const struct wc_param reject_params[] = {
    {"id", WC_PARAM_STR, false, 1, 64,
     "of the pending change; refused with STALE when another one waits by now"},
    END};
static const struct wc_param set_params[] = {
    {"if_rev", WC_PARAM_INT, false, 0, WC_REV_MAX,
     "refuse with STALE when the profile has another rev by now; 0: when there is one"},
    {"audience", WC_PARAM_MAP, false, 0, 0,
     "who may see it: organisation, office, match or me by field, and by name below "
     "skills and interests; what it does not name stays where it is"},
    AS_PARAM,
    END};
static const struct wc_param add_params[] = {
    {"skills", WC_PARAM_LIST, false, 0, WC_SKILLS_MAX_COUNT,
     "names, or maps with name, level, mentor, learn"},
    {"interests", WC_PARAM_LIST, false, 0, WC_INTERESTS_MAX_COUNT, "texts"},
    {"audience", WC_PARAM_MAP, false, 0, 0,
     "who may see it: organisation, office, match or me by field, and by name below "
     "skills and interests; what it does not name stays where it is"},
    AS_PARAM,
    END};
static const struct wc_param drop_params[] = {
    {"skills", WC_PARAM_LIST, false, 0, WC_SKILLS_MAX_COUNT, "names"},
    {"interests", WC_PARAM_LIST, false, 0, WC_INTERESTS_MAX_COUNT, "texts"},
    AS_PARAM,
    END};
static const struct wc_param ask_params[] = {
    {"text", WC_PARAM_STR, true, 1, WC_ASK_TEXT_MAX_BYTES, "the question"},
    {"wait_ms", WC_PARAM_INT, false, 0, WC_ASK_WAIT_MAX_MS,
     "how long to wait for answers; default 3000"},
    AS_PARAM,
    END};
static const struct wc_param cancel_params[] = {{"ask", WC_PARAM_STR, true, 1,
                                                 (uint64_t)2 * WC_ASK_ID_BYTES,
                                                 "as ask.started gave it"},
                                                AS_PARAM,
                                                END};
static const struct wc_param join_params[] = {
    {"invite", WC_PARAM_STR, true, 1, WC_INVITE_MAX_BYTES,
     "the invitation or admission that the organisation's keeper printed"},
    END};
static const struct wc_param request_params[] = {
    {"name", WC_PARAM_STR, false, 1, WC_OFFICE_NAME_MAX_BYTES,
     "what the office would be called; default: as now"},
    {"title", WC_PARAM_STR, false, 0, WC_TITLE_MAX_BYTES, "in words"},
    END};

static const struct wc_param known_params[] = {
    {"from", WC_PARAM_INT, false, 0, UINT32_MAX,
     "leave out so many offices; default 0"},
    {"limit", WC_PARAM_INT, false, 1, WC_ORG_KNOWN_MAX_COUNT, "default 500"},
    END};

static const struct wc_param submit_params[] = {
    {"statement", WC_PARAM_STR, true, 1, WC_STATEMENT_LINE_MAX_BYTES,
     "the line that starts with whocan-statement-1, as the organisation's keeper "
     "printed "
     "it"},
    END};

static const struct wc_param check_params[] = {
    {"full", WC_PARAM_BOOL, false, 0, 0,
     "true: every signature, everybody's words and every list, not samples of them"},
    {"rebuild", WC_PARAM_BOOL, false, 0, 0,
     "true: build the search index anew first, whatever it is like"},
    END};

static const struct wc_param audit_params[] = {
    {"since_ms", WC_PARAM_INT, false, 0, WC_REV_MAX,
     "only lines from this time on, in ms since 1970 (UTC)"},
    {"about", WC_PARAM_STR, false, 1, WC_HANDLE_MAX_BYTES,
     "only lines about this person: alice@leeds, or alice for this office"},
    {"verify", WC_PARAM_BOOL, false, 0, 0, "send no lines, only check them"},
    END};

static const struct wc_param skills_params[] = {
    {"prefix", WC_PARAM_STR, false, 0, WC_SKILL_NAME_MAX_BYTES,
     "how the name, or another label of the skill, begins; default: all"},
    {"limit", WC_PARAM_INT, false, 1, WC_FIND_LIMIT_MAX, "at most so many; default 10"},
    END};
static const struct wc_param vocabulary_list_params[] = {
    {"words", WC_PARAM_STR, false, 1, WC_QUERY_MAX_BYTES,
     "also the concepts that have a label with a word that begins with each of these"},
    {"limit", WC_PARAM_INT, false, 1, WC_FIND_LIMIT_MAX,
     "at most so many concepts; default 10"},
    END};
static const struct wc_param vocabulary_read_params[] = {
    {"id", WC_PARAM_STR, true, 1, WC_CONCEPT_ID_MAX_BYTES, "of the vocabulary"},
    {"from", WC_PARAM_INT, false, 0, WC_CONCEPTS_MAX_COUNT,
     "`next` of the page before; default 0"},
    END};

static const struct wc_result describe_results[] = {
    {"name", "str", "of the program"},
    {"version", "str", "of the program"},
    {"protocol", "int", "version of this protocol: grows when something is taken away"},
    {"methods", "[method]", "every method"},
    {"roles", "[{name, who}]", "who may call what"},
    END};
static const struct wc_result find_results[] = {
    {"people", "[hit]", "best first; ends early when the message is full"},
    {"total", "int", "how many people match at all, or at least"},
    {"total_exact", "bool",
     "false: not everybody had to be looked at, and there may be more than total"},
    {"took_us", "int", "time of the search in microseconds"},
    {"corrected", "[{from, to}]",
     "words that nobody was found for, and what was searched for instead"},
    {"stops_only", "bool",
     "the query has only words that questions are made of: it was taken as it stands"},
    {"explain", "{words, names, people, times_us}|nil", "with `explain`"},
    {"facets",
     "{people, skills: [{name, id, people, levels}], offices: [{name, people}]}|nil",
     "with `facets`: what the people who were counted have in common, most first"},
    END};
static const struct wc_param whom_params[] = {
    {"handle", WC_PARAM_STR, true, 1, WC_HANDLE_MAX_BYTES, "somebody of this office"},
    END};

static const struct wc_result show_results[] = {{"person", "person", "who it is"}, END};
static const struct wc_result import_results[] = {
    {"accepted", "int", "rows stored (with dry_run: that would be)"},
    {"unchanged", "int", "rows that are held already"},
    {"refused", "[{index, handle, field, reason}]",
     "rows that were not taken, and why"},
    END};
static const struct wc_result rows_results[] = {
    {"handles", "[str]", "logins of this office that have a row of the directory"},
    {"next", "str|nil", "`after` of the next slice; nil: this is the last"},
    END};
static const struct wc_result retire_results[] = {
    {"retired", "int", "rows that were there and are retired"}, END};
static const struct wc_result export_results[] = {{"count", "int", "rows sent"}, END};
static const struct wc_result me_results[] = {
    {"handle", "str", "the caller's"},
    {"office", "str", "this office"},
    {"admin", "bool", "whether the caller may administer it"},
    {"rev", "int", "of the profile; 0: there is none"},
    {"person", "person|nil", "row and profile merged"},
    {"profile", "row|nil", "what the person said"},
    {"row", "row|nil", "what the directory says"},
    {"has_key", "bool", "whether the caller's key is enrolled here"},
    {"pending", "{id, edit, asked_at, by, fields}|nil",
     "a change that waits for the caller's word"},
    {"edit",
     "{office_key, subject, rev, now, key_changed_at, body, author_key, "
     "author_sig, local}|nil",
     "with `key`: what the next body is made from"},
    END};
static const struct wc_result put_results[] = {
    {"person", "person", "as others see it now"},
    {"rev", "int", "of the profile"},
    END};
static const struct wc_result edit_results[] = {
    {"person", "person|nil", "as others see it now"},
    {"rev", "int", "of the profile"},
    {"waits", "bool", "it waits until its owner, who has a key, confirms it"},
    END};
static const struct wc_result drop_results[] = {
    {"person", "person|nil", "as others see it now"},
    {"rev", "int", "of the profile"},
    {"dropped", "[str]", "names that were there"},
    {"waits", "bool", "it waits until its owner, who has a key, confirms it"},
    END};
static const struct wc_result ask_results[] = {
    {"ask", "str", "its id"},
    {"offices_heard", "int", "offices that answered, this one included"},
    {"offices_known", "int", "offices of the organisation, this one included"},
    {"people_total", "int", "people who match in the offices heard, at least"},
    END};
static const struct wc_result cancel_results[] = {END};
static const struct wc_result offices_results[] = {
    {"offices",
     "[{name, title, state, people, addresses, last_heard_at, expires_at, "
     "clock_offset_ms, clock_known, faults, version, last_news_at, via, hops}]",
     "in order of name"},
    END};
static const struct wc_result status_results[] = {
    {"version", "str", "of the daemon"},
    {"office", "str", "its name"},
    {"organisation", "str", "its name"},
    {"mode", "str", "standalone or member"},
    {"uptime_s", "int", "seconds since the start"},
    {"people", "int", "people that a search here can find"},
    {"records", "int", "records held"},
    {"offices_known", "int", "this one included"},
    {"links",
     "[{office, address, role, path, tree, dialled, since_s, silent_ms, rtt_ms, "
     "received_bytes, sent_bytes, received_frames, sent_frames, dropped_frames, "
     "queued_bytes, waiting}]",
     "open links"},
    {"overlay", "{active, passive, eager, mode, root, root_hops}",
     "neighbours, and the tree over which things are passed on"},
    {"reconciliation",
     "{last, running, next_s, rounds, equal, broken_off, differences, taken, audits, "
     "audit_finds, next_audit_s}",
     "with other offices, since the start"},
    {"queues",
     "{links_bytes, left_out, commit, commit_bytes, owed, owed_bytes, own, asks, "
     "matches, missing, kept, kept_bytes, dials}",
     "what waits"},
    {"store", "{path, used_bytes, map_bytes}", "the records on disk"},
    {"certificate", "{not_after, days_left}", "nil for an office that stands alone"},
    {"offices_blamed", "[{office, reasons, last_at}]",
     "offices found at fault since the start: how often, by reason"},
    {"misbehaving", "[{address, connections, paused_s}]",
     "who connects again and again and is no office that may link; the worst eight"},
    {"warnings", "[str]", "what an operator should look at"},
    END};
static const struct wc_result watch_results[] = {
    {"events", "int", "events that were sent"},
    {"skipped", "int", "events that found no room, because nobody read"},
    END};
static const struct wc_result metrics_results[] = {
    {"text", "str", "in the text format of Prometheus"}, END};
static const struct wc_result check_results[] = {
    {"ok", "bool", "nothing was found"},
    {"full", "bool", "everything was looked at"},
    {"checks", "[{name, means, looked, faults, first}]",
     "each thing that is looked at: what is so when it has no faults, how many were "
     "looked "
     "at, and the first fault in words, or nil"},
    {"rebuilt", "bool",
     "the search index was built anew, for it was asked or had faults"},
    {"took_ms", "int", "time of all of it in milliseconds"},
    {"todo", "[str]", "what to do about what was found"},
    END};
static const struct wc_result office_results[] = {
    {"name", "str", "of this office"},
    {"title", "str", "in words"},
    {"organisation", "str", "its name"},
    {"organisation_id", "str", "in hexadecimal"},
    {"key", "str", "the office's key in hexadecimal"},
    {"fingerprint", "str", "of the certificate, in hexadecimal"},
    {"serial", "int", "of the certificate"},
    {"people", "int", "people of this office, who count towards the quota"},
    {"quota", "int", "people it may have; nil: no limit"},
    {"not_before", "str", "nil for an office that stands alone"},
    {"not_after", "str", "nil for an office that stands alone"},
    {"days_left", "int",
     "negative when it has ended; nil for an office that stands alone"},
    {"mode", "str", "standalone or member"},
    END};
static const struct wc_result request_results[] = {
    {"name", "str", "what the office would be called"},
    {"key", "str", "the office's key in hexadecimal, to compare"},
    {"request", "str", "a line for the organisation's keeper; no secret"},
    END};
static const struct wc_result join_results[] = {
    {"name", "str", "of this office from now on"},
    {"organisation", "str", "its name"},
    {"people_moved", "int", "people who came along"},
    END};

static const struct wc_result known_results[] = {
    {"organisation_id", "str", "in hexadecimal"},
    {"key", "str", "the organisation's, in hexadecimal"},
    {"recovery_key", "str", "in hexadecimal; zeros when there is none"},
    {"rotation", "str", "the last one, in base64url; empty before the first"},
    {"more", "bool", "there are more offices"},
    {"offices",
     "[{name, title, key, link_key, not_before_ms, not_after_ms, serial, quota}]",
     "by name, neither revoked nor ended"},
    END};

static const struct wc_result leave_results[] = {
    {"name", "str", "of this office from now on"},
    {"organisation", "str", "the name of the one that it left"},
    {"key", "str", "the key that it had there in hexadecimal, to revoke it"},
    {"people_kept", "int", "people of this office, who are all here still"},
    {"offices_linked", "int", "neighbours when it left"},
    {"offices_told", "int",
     "of them, who have said that they have forgotten its people"},
    END};

static const struct wc_result submit_results[] = {
    {"accepted", "int", "statements that were new here, and are on disk"},
    {"known", "int", "statements that were known already"},
    END};
static const struct wc_result about_results[] = {
    {"format", "str", "whocan-about-1"},
    {"handle", "str", "whom it is about"},
    {"office", "str", "this office"},
    {"organisation", "str", "its name"},
    {"exported_at", "str", "now"},
    {"profile",
     "{fields, confirmed_at, author, author_key, rev, stamped_at, expires_at, "
     "record}|nil",
     "what the person said, and the record as it is signed"},
    {"row", "{...}|nil", "the same of what the directory says"},
    {"asks", "[{ask, text, author, ...}]", "asks in the store"},
    {"open_asks", "[{ask, text}]", "asks that wait for answers now"},
    {"local", "{office, match, me}|nil",
     "fields that are not for every office; of the caller alone"},
    {"withheld", "bool", "something is only told to the person"},
    {"facts", "[{name, value}]", "what else is kept here and nowhere else"},
    END};
static const struct wc_result erasure_results[] = {
    {"handle", "str", "who was erased"},
    {"requested_at", "str", "when"},
    {"records", "int", "records that were retired"},
    {"complete", "bool", "whether every office has completed it"},
    {"offices_done", "int", "offices that have"},
    {"offices_known", "int", "offices of the organisation, this one included"},
    {"offices", "[{name, state, linked}]", "state: done, waiting or unknown"},
    END};

static const struct wc_result audit_results[] = {
    {"count", "int", "lines sent"},
    {"checked", "int", "lines whose hashes were checked, sent or not"},
    {"last", "int", "number of the last line"},
    {"hash", "str", "of the last line, in hexadecimal"},
    {"broken", "{file, line, why}|nil", "the first line that is not as it was written"},
    END};

static const struct wc_result skills_results[] = {
    {"skills", "[{name, id, alias, people}]",
     "what most people have first; id of a concept of the vocabulary, alias the label "
     "that begins so"},
    {"total", "int", "how many there are"},
    {"corrected", "str|nil",
     "what the beginning was taken for when nothing begins as it was typed"},
    END};
static const struct wc_result vocabulary_list_results[] = {
    {"vocabularies", "[{id, title, licence, source, concepts, labels}]",
     "with how many concepts and labels each has"},
    {"concepts", "[{id, labels, broader, related, about, levels}]",
     "with `words`: those found; about and levels only where they are given"},
    {"total", "int", "how many concepts were found"},
    END};
static const struct wc_result vocabulary_read_results[] = {
    {"vocabulary", "{id, title, licence, source, concepts, labels}", "which it is"},
    {"concepts", "[{id, labels, broader, related, about, levels}]",
     "with ids as in a vocabulary file; who is related to whom is said once"},
    {"next", "int|nil", "`from` of the next page; nil: this is the last"},
    END};

static const char *const watch_notifications[] = {"watch.events", NULL};
static const char *const export_notifications[] = {"people.batch", NULL};
static const char *const audit_notifications[] = {"audit.batch", NULL};
static const char *const check_notifications[] = {"check.progress", NULL};
static const char *const ask_notifications[] = {"ask.started", "ask.answer", NULL};

const struct wc_method wc_methods[] = {
    {"api.describe", WC_METHOD_READ, false,
     "Every method with its parameters and results", no_params, describe_results, NULL,
     wc_api_describe, WC_COST_READ},
    {"people.find", WC_METHOD_READ, false, "Search the people known here", find_params,
     find_results, NULL, wc_people_find, WC_COST_FIND},
    {"people.show", WC_METHOD_READ, false, "One person", show_params, show_results,
     NULL, wc_people_show, WC_COST_READ},
    {"people.import", WC_METHOD_ADMIN, false,
     "Take rows of a directory; answers when they are on disk", import_params,
     import_results, NULL, wc_people_import, WC_COST_ADMIN},
    {"people.rows", WC_METHOD_ADMIN, false,
     "Who of this office has a row of the directory, in slices", rows_params,
     rows_results, NULL, wc_people_rows, WC_COST_ADMIN},
    {"people.retire", WC_METHOD_ADMIN, false,
     "End rows of the directory; answers when that is on disk", retire_params,
     retire_results, NULL, wc_people_retire, WC_COST_ADMIN},
    {"people.export", WC_METHOD_READ, false, "Everybody of an office, as rows",
     export_params, export_results, export_notifications, wc_people_export,
     WC_COST_EXPORT},
    {"me.show", WC_METHOD_SELF, false, "The caller's profile", me_params, me_results,
     NULL, wc_me_show, WC_COST_READ},
    {"me.put", WC_METHOD_SELF, false, "Store a profile that the caller signed",
     put_params, put_results, NULL, wc_me_put, WC_COST_EDIT},
    {"me.reject", WC_METHOD_SELF, false, "Drop the change that waits for the caller",
     reject_params, cancel_results, NULL, wc_me_reject, WC_COST_EDIT},
    {"me.set", WC_METHOD_SELF, true,
     "Replace fields of the caller's profile; the office signs", set_params,
     edit_results, NULL, wc_me_set, WC_COST_EDIT},
    {"me.add", WC_METHOD_SELF, false,
     "Add skills and interests to the caller's profile", add_params, edit_results, NULL,
     wc_me_add, WC_COST_EDIT},
    {"me.drop", WC_METHOD_SELF, false,
     "Take skills and interests out of the caller's profile", drop_params, drop_results,
     NULL, wc_me_drop, WC_COST_EDIT},
    {"me.export", WC_METHOD_SELF, false, "Everything held here about the caller",
     no_params, about_results, NULL, wc_people_about, WC_COST_EXPORT},
    {"me.erase", WC_METHOD_SELF, false,
     "Forget the caller in every office; answers when this one has begun", no_params,
     erasure_results, NULL, wc_people_erase, WC_COST_EXPORT},
    {"me.erasure", WC_METHOD_SELF, false, "Which offices have forgotten the caller",
     no_params, erasure_results, NULL, wc_people_erasure, WC_COST_READ},
    {"people.about", WC_METHOD_ADMIN, false, "Everything held here about somebody",
     whom_params, about_results, NULL, wc_people_about, WC_COST_ADMIN},
    {"people.erase", WC_METHOD_ADMIN, false,
     "Forget somebody in every office; answers when this one has begun", whom_params,
     erasure_results, NULL, wc_people_erase, WC_COST_ADMIN},
    {"people.erasure", WC_METHOD_ADMIN, false, "Which offices have forgotten somebody",
     whom_params, erasure_results, NULL, wc_people_erasure, WC_COST_ADMIN},
    {"ask.create", WC_METHOD_READ, false, "Ask every office who can help", ask_params,
     ask_results, ask_notifications, wc_ask_create, WC_COST_ASK},
    {"ask.cancel", WC_METHOD_READ, false, "Wait no longer for answers to an ask",
     cancel_params, cancel_results, NULL, wc_ask_cancel, WC_COST_READ},
    {"offices.list", WC_METHOD_READ, false, "The offices of the organisation",
     no_params, offices_results, NULL, wc_offices_list, WC_COST_READ},
    {"node.status", WC_METHOD_READ, false, "How this daemon is doing", no_params,
     status_results, NULL, wc_node_status, WC_COST_READ},
    {"node.metrics", WC_METHOD_READ, false, "The same in numbers, for monitoring",
     no_params, metrics_results, NULL, wc_node_metrics, WC_COST_READ},
    {"node.check", WC_METHOD_ADMIN, false,
     "Whether records and search index are as they should be; mends the index",
     check_params, check_results, check_notifications, wc_node_check, WC_COST_ADMIN},
    {"node.watch", WC_METHOD_ADMIN, false,
     "What happens from now on, as it happens, until the connection closes", no_params,
     watch_results, watch_notifications, wc_node_watch, WC_COST_ADMIN},
    {"office.show", WC_METHOD_READ, false, "This office and its certificate", no_params,
     office_results, NULL, wc_office_show, WC_COST_READ},
    {"office.request", WC_METHOD_ADMIN, false,
     "Ask to be admitted to an organisation with the keys that the office has",
     request_params, request_results, NULL, wc_office_ask_admission, WC_COST_ADMIN},
    {"office.join", WC_METHOD_ADMIN, false, "Become an office of an organisation",
     join_params, join_results, NULL, wc_office_join, WC_COST_ADMIN},
    {"org.known", WC_METHOD_ADMIN, false,
     "The organisation's keys, and the certificates that this office knows",
     known_params, known_results, NULL, wc_org_known, WC_COST_ADMIN},
    {"office.leave", WC_METHOD_ADMIN, false,
     "Leave the organisation: the office stands alone, with its people", no_params,
     leave_results, NULL, wc_office_leave, WC_COST_ADMIN},
    {"org.submit", WC_METHOD_ADMIN, false,
     "Take what the organisation signed, and tell every office", submit_params,
     submit_results, NULL, wc_org_submit, WC_COST_ADMIN},
    {"audit.read", WC_METHOD_ADMIN, false, "What was done to this office, and by whom",
     audit_params, audit_results, audit_notifications, wc_audit_read, WC_COST_ADMIN},
    {"vocabulary.list", WC_METHOD_READ, false,
     "The vocabularies of this office, and concepts by their words",
     vocabulary_list_params, vocabulary_list_results, NULL, wc_vocabulary_list,
     WC_COST_FIND},
    {"vocabulary.read", WC_METHOD_READ, false, "One vocabulary, in pages",
     vocabulary_read_params, vocabulary_read_results, NULL, wc_vocabulary_read,
     WC_COST_EXPORT},
    {"skills.list", WC_METHOD_READ, false,
     "Skills by how they begin, with how many people have them", skills_params,
     skills_results, NULL, wc_skills_list, WC_COST_FIND},
};
const size_t wc_methods_count = sizeof(wc_methods) / sizeof(wc_methods[0]);

const struct wc_method *wc_method_find(struct wc_slice name)
{
    for (size_t i = 0; i < wc_methods_count; i++)
        if (wc_slice_is(name, wc_methods[i].name))
            return &wc_methods[i];
    return NULL;
}

enum wc_cost wc_method_cost(struct wc_slice name)
{
    const struct wc_method *method = wc_method_find(name);
    return method == NULL ? WC_COST_READ : method->cost;
}

/* ---------------------------------------------------------------- checking */

static const char *type_name(enum wc_param_type type)
{
    switch (type) {
    case WC_PARAM_STR:
        return "str";
    case WC_PARAM_INT:
        return "int";
    case WC_PARAM_BOOL:
        return "bool";
    case WC_PARAM_LIST:
        return "list";
    case WC_PARAM_BIN:
        return "bin";
    case WC_PARAM_MAP:
        return "map";
    }
    return "";
}

static int check_str(const struct wc_param *p, const struct wc_obj *value, char *why,
                     size_t cap)
{
    struct wc_slice text;
    int rc = wc_obj_str(value, &text);
    if (rc == -WC_ETYPE)
        snprintf(why, cap, "%s must be text", p->name);
    else if (rc != 0)
        snprintf(why, cap, "%s is not UTF-8", p->name);
    else if (text.len < p->min) {
        snprintf(why, cap, "%s is empty", p->name);
        rc = -WC_EINVALID;
    } else if (text.len > p->max) {
        snprintf(why, cap, "%s has %zu bytes; at most %" PRIu64 " are allowed", p->name,
                 text.len, p->max);
        rc = -WC_ETOOBIG;
    }
    return rc;
}

static int check_int(const struct wc_param *p, const struct wc_obj *value, char *why,
                     size_t cap)
{
    uint64_t number;
    int64_t negative;
    if (wc_obj_u64(value, &number) == 0 && number >= p->min && number <= p->max)
        return 0;
    snprintf(why, cap, "%s must be a whole number from %" PRIu64 " to %" PRIu64,
             p->name, p->min, p->max);
    bool is_int = wc_obj_u64(value, &number) == 0 || wc_obj_i64(value, &negative) == 0;
    return is_int ? -WC_EINVALID : -WC_ETYPE;
}

static int check_bin(const struct wc_param *p, const struct wc_obj *value, char *why,
                     size_t cap)
{
    struct wc_slice raw;
    if (wc_obj_bin(value, &raw) != 0) {
        snprintf(why, cap, "%s must be binary", p->name);
        return -WC_ETYPE;
    }
    if (raw.len >= p->min && raw.len <= p->max)
        return 0;
    snprintf(why, cap, "%s has %zu bytes; from %" PRIu64 " to %" PRIu64 " are allowed",
             p->name, raw.len, p->min, p->max);
    return raw.len > p->max ? -WC_ETOOBIG : -WC_EINVALID;
}

static int check_value(const struct wc_param *p, const struct wc_obj *value, char *why,
                       size_t cap)
{
    bool flag;
    switch (p->type) {
    case WC_PARAM_STR:
        return check_str(p, value, why, cap);
    case WC_PARAM_INT:
        return check_int(p, value, why, cap);
    case WC_PARAM_BOOL:
        snprintf(why, cap, "%s must be true or false", p->name);
        return wc_obj_bool(value, &flag);
    case WC_PARAM_LIST:
        if (wc_obj_type(value) != WC_ARRAY) {
            snprintf(why, cap, "%s must be a list", p->name);
            return -WC_ETYPE;
        }
        if (wc_obj_count(value) > p->max) {
            snprintf(why, cap, "%s has %u elements; at most %" PRIu64 " are allowed",
                     p->name, wc_obj_count(value), p->max);
            return -WC_ETOOBIG;
        }
        return 0;
    case WC_PARAM_BIN:
        return check_bin(p, value, why, cap);
    case WC_PARAM_MAP:
        snprintf(why, cap, "%s must be a map", p->name);
        return wc_obj_type(value) == WC_MAP ? 0 : -WC_ETYPE;
    }
    return -WC_ETYPE;
}

static const struct wc_param *find_param(const struct wc_param *list,
                                         struct wc_slice name)
{
    for (; list->name != NULL; list++)
        if (wc_slice_is(name, list->name))
            return list;
    return NULL;
}

/* No parameter that the method does not know: a misspelt one must not do nothing. */
static int check_known(const struct wc_method *method, const struct wc_obj *params,
                       struct wc_err *err, char *why, size_t cap)
{
    for (uint32_t i = 0; i < wc_obj_count(params); i++) {
        struct wc_slice key = {0};
        if (wc_obj_str(wc_obj_key(params, i), &key) == 0 &&
            (find_param(method->params, key) != NULL ||
             (method->person_fields && find_param(wc_person_params, key) != NULL)))
            continue;
        snprintf(why, cap, "\"%.*s\" is not a parameter of %s",
                 (int)(key.len < 64 ? key.len : 64), (const char *)key.data,
                 method->name);
        return wc_fail(err, WC_EINVALID, NULL, NULL);
    }
    return 0;
}

int wc_params_check(const struct wc_method *method, const struct wc_obj *params,
                    struct wc_err *err, char *why, size_t why_cap)
{
    int rc = check_known(method, params, err, why, why_cap);
    for (const struct wc_param *p = method->params; rc == 0 && p->name != NULL; p++) {
        const struct wc_obj *value = wc_obj_get(params, p->name);
        if (value == NULL && p->required) {
            snprintf(why, why_cap, "%s is missing", p->name);
            rc = wc_fail(err, WC_EMISSING, p->name, NULL);
        } else if (value != NULL) {
            rc = check_value(p, value, why, why_cap);
            if (rc != 0)
                wc_fail(err, (enum wc_error) - rc, p->name, NULL);
        }
    }
    return rc;
}

/* ---------------------------------------------------------------- dispatch */

static enum wc_role role_of(const struct wc_method *method)
{
    switch (method->access) {
    case WC_METHOD_READ:
        return WC_ROLE_READ;
    case WC_METHOD_SELF:
        return WC_ROLE_SELF;
    case WC_METHOD_ADMIN:
        return WC_ROLE_ADMIN;
    }
    return WC_ROLE_ADMIN;
}

static bool may_call(const struct wc_method *method, const struct wc_caller *caller)
{
    switch (method->access) {
    case WC_METHOD_READ:
        return caller->may_read;
    case WC_METHOD_SELF:
        return caller->may_self;
    case WC_METHOD_ADMIN:
        return caller->may_admin;
    }
    return false;
}

static void refuse(struct wc_daemon *d, struct wc_request *r,
                   const struct wc_method *method)
{
    char why[256];
    wc_access_refusal(wc_api_rules(d->api), wc_request_caller(r), role_of(method), why,
                      sizeof(why));
    wc_request_fail(r, -WC_EDENIED, NULL, "%s", why);
}

/* Whether a profile can be kept for the caller; ends the request when not. */
static bool has_login(struct wc_request *r)
{
    const struct wc_caller *caller = wc_request_caller(r);
    unsigned long uid = (unsigned long)caller->uid;
    switch (caller->login_state) {
    case WC_LOGIN_OK:
        return true;
    case WC_LOGIN_NONE:
        wc_request_fail(r, -WC_ENOTFOUND, NULL,
                        "there is no account with your uid (%lu) on this machine", uid);
        return false;
    case WC_LOGIN_INVALID:
        wc_request_fail(
            r, -WC_EINVALID, NULL,
            "your login cannot be a handle (1 to 32 of a-z 0-9 . _ -): ask IT "
            "how this machine maps account names");
        return false;
    case WC_LOGIN_UNREADABLE:
        wc_request_fail(r, -WC_EIO, NULL,
                        "the account database of this machine could not be read: try "
                        "again");
        return false;
    }
    return false;
}

/* What the audit log is told of: all of administration, but asking again and again how far
 * an erasure is, and watching, which changes nothing and shows nobody. */
static bool is_act(const struct wc_method *method)
{
    return method->access == WC_METHOD_ADMIN && method->call != wc_people_erasure &&
           method->call != wc_node_watch;
}

/* The last step: everything about the request and its caller is known and checked. */
static void carry_out(struct wc_daemon *d, struct wc_request *r,
                      const struct wc_method *method)
{
    if (d->joining && method->call != wc_api_describe)
        wc_request_fail(
            r, -WC_EBUSY, NULL,
            "this office is joining or leaving an organisation: try again in a "
            "moment");
    else if (is_act(method))
        wc_act_call(d, r, method);
    else if (method->access != WC_METHOD_SELF || has_login(r))
        method->call(r);
}

/* ---- the intranet acts for a person ---- */

struct acting {
    struct wc_daemon *d;
    struct wc_request *r;
    const struct wc_method *method;
    struct wc_access_rules rules; /* as they were when the request came */
    struct wc_caller intranet, person;
    char login[WC_SUBJECT_MAX_BYTES + 1];
    int rc;
};

static void acting_work(void *ctx)
{
    struct acting *a = ctx;
    a->rc = wc_access_resolve_as(&a->rules, &a->intranet, a->login, &a->person);
}

static void acting_fail(struct wc_request *r, int rc, const char *login)
{
    if (rc == -WC_EINVALID)
        wc_request_fail(r, rc, "as", "%s cannot be a handle (1 to 32 of a-z 0-9 . _ -)",
                        login);
    else if (rc == -WC_ENOTFOUND)
        wc_request_fail(r, rc, "as", "there is no account %s on this machine", login);
    else if (rc == -WC_EDENIED)
        wc_request_fail(r, rc, "as",
                        "%s may not use this office: IT lets accounts in with access "
                        "and group",
                        login);
    else
        wc_request_fail(r, rc, NULL,
                        "the account database of this machine could not be read: try "
                        "again");
}

static void acting_done(void *ctx)
{
    struct acting *a = ctx;
    if (a->rc != 0) {
        acting_fail(a->r, a->rc, a->login);
    } else if (a->d->stopping) {
        wc_request_fail(a->r, -WC_EBUSY, NULL, "this daemon is stopping: try again");
    } else {
        wc_request_set_caller(a->r, &a->person);
        carry_out(a->d, a->r, a->method);
    }
    free(a);
}

static void act_as(struct wc_daemon *d, struct wc_request *r,
                   const struct wc_method *method, struct wc_slice login)
{
    const struct wc_access_rules *rules = wc_api_rules(d->api);
    const struct wc_caller *caller = wc_request_caller(r);
    char why[256];
    if (!wc_access_may_act(rules, caller, why, sizeof(why))) {
        wc_request_fail(r, -WC_EDENIED, "as", "%s", why);
        return;
    }
    struct acting *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    a->d = d;
    a->r = r;
    a->method = method;
    a->rules = *rules;
    a->intranet = *caller;
    wc_slice_copy(login, a->login, sizeof(a->login));
    int rc = wc_loop_work_in(d->loop, WC_LANE_ACCOUNTS, caller->peer_uid, acting_work,
                             acting_done, a);
    if (rc != 0) {
        wc_request_fail(r, rc, NULL, "out of memory");
        free(a);
    }
}

/* Who may call it is asked before anything in the parameters is looked at. */
void wc_methods_dispatch(struct wc_daemon *d, struct wc_request *r)
{
    struct wc_slice name = wc_request_method(r), as;
    const struct wc_method *method = wc_method_find(name);
    const struct wc_caller *caller = wc_request_caller(r);
    char why[256];
    struct wc_err err = {0};
    if (method == NULL) {
        wc_request_fail(r, -WC_EMETHOD, NULL,
                        "there is no method \"%.*s\": api.describe lists them",
                        (int)(name.len < 64 ? name.len : 64), (const char *)name.data);
        return;
    }
    bool for_others = caller->is_intranet && method->access == WC_METHOD_SELF;
    if (!may_call(method, caller) && !for_others) {
        refuse(d, r, method);
        return;
    }
    int rc;
    const struct wc_obj *params = wc_request_params(r, &rc);
    if (rc != 0) {
        wc_request_fail(r, rc, NULL,
                        "the parameters are one map with unique text keys");
        return;
    }
    if (wc_params_check(method, params, &err, why, sizeof(why)) != 0) {
        wc_request_fail(r, err.rc, err.field, "%s", why);
        return;
    }
    /* No table has another "as": it was checked above. */
    if (wc_obj_str(wc_obj_get(params, "as"), &as) == 0)
        act_as(d, r, method, as);
    else if (!may_call(method, caller))
        refuse(d, r, method);
    else
        carry_out(d, r, method);
}

/* ---------------------------------------------------------------- describing */

static uint32_t params_length(const struct wc_param *p)
{
    uint32_t count = 0;
    while (p[count].name != NULL)
        count++;
    return count;
}

static void pack_pair(struct wc_buf *b, const char *key, const char *value)
{
    wc_pack_text(b, key);
    wc_pack_text(b, value);
}

static void pack_params(struct wc_buf *b, const struct wc_param *p)
{
    for (; p->name != NULL; p++) {
        wc_pack_map(b, 4);
        pack_pair(b, "name", p->name);
        pack_pair(b, "type", type_name(p->type));
        wc_pack_text(b, "required");
        wc_pack_bool(b, p->required);
        pack_pair(b, "help", p->help);
    }
}

static void pack_results(struct wc_buf *b, const struct wc_result *r)
{
    uint32_t count = 0;
    while (r[count].name != NULL)
        count++;
    wc_pack_array(b, count);
    for (; r->name != NULL; r++) {
        wc_pack_map(b, 3);
        pack_pair(b, "name", r->name);
        pack_pair(b, "type", r->type);
        pack_pair(b, "help", r->help);
    }
}

static void pack_method(struct wc_buf *b, const struct wc_method *m)
{
    uint32_t notifications = 0;
    while (m->notifications != NULL && m->notifications[notifications] != NULL)
        notifications++;
    wc_pack_map(b, 6);
    pack_pair(b, "name", m->name);
    pack_pair(b, "access", wc_roles[role_of(m)].name);
    pack_pair(b, "summary", m->summary);
    wc_pack_text(b, "params");
    wc_pack_array(b, params_length(m->params) +
                         (m->person_fields ? params_length(wc_person_params) : 0));
    if (m->person_fields)
        pack_params(b, wc_person_params);
    pack_params(b, m->params);
    wc_pack_text(b, "result");
    pack_results(b, m->results);
    wc_pack_text(b, "notifications");
    wc_pack_array(b, notifications);
    for (uint32_t i = 0; i < notifications; i++)
        wc_pack_text(b, m->notifications[i]);
}

void wc_methods_describe(struct wc_buf *out)
{
    wc_pack_map(out, 5);
    pack_pair(out, "name", "whocand");
    pack_pair(out, "version", WHOCAN_VERSION);
    wc_pack_text(out, "protocol");
    wc_pack_u64(out, 1);
    wc_pack_text(out, "methods");
    wc_pack_array(out, (uint32_t)wc_methods_count);
    for (size_t i = 0; i < wc_methods_count; i++)
        pack_method(out, &wc_methods[i]);
    wc_pack_text(out, "roles");
    wc_pack_array(out, WC_ROLES_COUNT);
    for (size_t i = 0; i < WC_ROLES_COUNT; i++) {
        wc_pack_map(out, 2);
        pack_pair(out, "name", wc_roles[i].name);
        pack_pair(out, "who", wc_roles[i].who);
    }
}

void wc_api_describe(struct wc_request *r)
{
    struct wc_buf out = {0};
    wc_methods_describe(&out);
    wc_request_reply(r, &out);
}
