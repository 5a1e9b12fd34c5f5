/* SPDX-License-Identifier: Apache-2.0 */
/* The screens about other offices: who they are, how this one is linked, what happens. */
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/print_internal.h"
#include "cli/table.h"

#define DAY_SECONDS 86400L

/* ---- offices ---- */

static const char *state_text(struct wc_slice state)
{
    if (wc_slice_is(state, "self"))
        return "this office";
    if (wc_slice_is(state, "linked"))
        return "linked";
    if (wc_slice_is(state, "known"))
        return "not linked";
    if (wc_slice_is(state, "revoked"))
        return "revoked";
    return "unknown";
}

static void cell_buf(struct wc_table *table, struct wc_buf *text)
{
    if (text->len == 0)
        wc_buf_text(text, "-");
    wc_table_cell(table, wc_buf_slice(text));
    wc_buf_reset(text);
}

static bool says(const json_t *object, const char *key)
{
    return wc_json_str(object, key).len > 0;
}

/* "direct", "3 links", "by york"; what is not known is not there. */
static void add_distance(struct wc_buf *out, const json_t *office)
{
    uint64_t hops = wc_json_u64(office, "hops");
    if (wc_slice_is(wc_json_str(office, "state"), "self"))
        return;
    if (wc_slice_is(wc_json_str(office, "state"), "linked"))
        wc_buf_text(out, "direct");
    else if (hops > 0)
        wc_term_plural(out, hops, "link", "links");
    if (!says(office, "via"))
        return;
    wc_buf_text(out, out->len > 0 ? " by " : "by ");
    wc_print_str(out, office, "via");
}

/* The later of what came over a link to it, and of what it signed and others passed on. */
static void add_heard(struct wc_buf *out, const json_t *office, time_t now)
{
    time_t heard, news;
    bool linked = wc_print_time(wc_json_str(office, "last_heard_at"), &heard);
    bool told = wc_print_time(wc_json_str(office, "last_news_at"), &news);
    if (linked && (!told || heard >= news))
        wc_print_ago(out, heard, now);
    else if (told)
        wc_print_ago(out, news, now);
}

struct office_columns {
    bool distance, address, version; /* some office has one */
};

static void office_row(struct wc_table *table, const json_t *office,
                       const struct office_columns *columns, time_t now)
{
    struct wc_buf text = {0};
    struct wc_slice state = wc_json_str(office, "state");
    wc_table_cell(table, wc_json_str(office, "name"));
    wc_table_cell(table, wc_json_str(office, "title"));
    wc_table_cell(table, wc_slice_text(state_text(state)));
    if (json_is_integer(json_object_get(office, "people")))
        wc_term_number(&text, wc_json_u64(office, "people"));
    cell_buf(table, &text);
    if (!wc_slice_is(state, "self"))
        add_heard(&text, office, now);
    cell_buf(table, &text);
    if (columns->distance) {
        add_distance(&text, office);
        cell_buf(table, &text);
    }
    if (columns->address) {
        const json_t *first = json_array_get(json_object_get(office, "addresses"), 0);
        wc_buf_append(&text, json_string_value(first), json_string_length(first));
        cell_buf(table, &text);
    }
    if (columns->version) {
        wc_print_str(&text, office, "version");
        cell_buf(table, &text);
    }
    wc_buf_fini(&text);
}

/* Clocks within two seconds are as good as the same. */
static void add_clock_note(struct wc_buf *out, const json_t *office)
{
    const json_t *offset = json_object_get(office, "clock_offset_ms");
    double seconds = json_number_value(offset) / 1000.0;
    if (!json_is_number(offset) || (seconds > -2 && seconds < 2))
        return;
    wc_buf_text(out, "its clock is ");
    wc_term_duration(out, (uint64_t)(seconds < 0 ? -seconds : seconds));
    wc_buf_text(out, seconds < 0 ? " behind this office's" : " ahead of this office's");
}

/* The own one is asked for in the last month; of others the last week is worth a word. */
static void add_certificate_note(struct wc_buf *out, const json_t *office, time_t now)
{
    bool own = wc_slice_is(wc_json_str(office, "state"), "self");
    time_t ends;
    if (!wc_print_time(wc_json_str(office, "expires_at"), &ends) ||
        ends - now > (own ? 30 : 7) * DAY_SECONDS)
        return;
    wc_buf_text(out, out->len > 0 ? "; its certificate " : "its certificate ");
    wc_buf_text(out, ends < now ? "ended " : "ends ");
    wc_print_ago(out, ends, now);
}

static void add_faults_note(struct wc_buf *out, const json_t *office)
{
    uint64_t faults = wc_json_u64(office, "faults");
    if (faults == 0)
        return;
    wc_buf_text(out, out->len > 0 ? "; it was " : "it was ");
    wc_buf_text(out, "found at fault ");
    wc_term_plural(out, faults, "time", "times");
    wc_buf_text(out, " (`whocan status` says why)");
}

static void office_note(const struct wc_term *term, struct wc_buf *out,
                        const json_t *office, time_t now)
{
    struct wc_buf note = {0};
    struct wc_buf line = {0};
    struct wc_slice state = wc_json_str(office, "state");
    if (wc_slice_is(state, "linked") || wc_slice_is(state, "known"))
        add_clock_note(&note, office);
    if (!wc_slice_is(state, "revoked"))
        add_certificate_note(&note, office, now);
    add_faults_note(&note, office);
    if (note.len > 0) {
        wc_print_str(&line, office, "name");
        wc_buf_text(&line, ": ");
        wc_buf_append(&line, note.data, note.len);
        wc_term_styled(term, out, WC_STYLE_WARN, wc_slice_text("! "));
        wc_term_wrap(out, wc_buf_slice(&line), 2, term->columns);
    }
    wc_buf_fini(&note);
    wc_buf_fini(&line);
}

/* Who is nearest first: this office, neighbours, the others, those that were put out. */
static int state_rank(const json_t *office)
{
    struct wc_slice state = wc_json_str(office, "state");
    return wc_slice_is(state, "self")     ? 0
           : wc_slice_is(state, "linked") ? 1
           : wc_slice_is(state, "known")  ? 2
                                          : 3;
}

static int compare_offices(const void *one, const void *other)
{
    const json_t *a = *(const json_t *const *)one, *b = *(const json_t *const *)other;
    int rank = state_rank(a) - state_rank(b);
    return rank != 0 ? rank
                     : wc_slice_cmp(wc_json_str(a, "name"), wc_json_str(b, "name"));
}

/* In that order; NULL when memory is out. The caller frees it. */
static const json_t **sort_offices(const json_t *offices, size_t count)
{
    const json_t **sorted = calloc(count + 1, sizeof(const json_t *));
    for (size_t i = 0; sorted != NULL && i < count; i++)
        sorted[i] = json_array_get(offices, i);
    if (sorted != NULL)
        qsort(sorted, count, sizeof(const json_t *), compare_offices);
    return sorted;
}

static struct office_columns find_columns(const json_t *const *offices, size_t count)
{
    struct office_columns columns = {false, false, false};
    for (size_t i = 0; i < count; i++) {
        const json_t *office = offices[i];
        columns.distance =
            columns.distance || wc_json_u64(office, "hops") > 0 || says(office, "via");
        columns.address = columns.address ||
                          json_array_size(json_object_get(office, "addresses")) > 0;
        columns.version = columns.version || says(office, "version");
    }
    return columns;
}

#define SUMMARY_FROM 20 /* offices that no screen shows at one glance */

static void print_summary(const struct wc_term *term, struct wc_buf *out,
                          const json_t *const *offices, size_t count)
{
    static const char *const words[] = {"", " linked", " not linked", " revoked"};
    struct wc_buf text = {0};
    size_t by_rank[4] = {0};
    if (count < SUMMARY_FROM)
        return;
    for (size_t i = 0; i < count; i++)
        by_rank[state_rank(offices[i])]++;
    wc_term_plural(&text, count, "office", "offices");
    wc_buf_text(&text, ", this one included");
    for (int rank = 1; rank < 4; rank++) {
        if (by_rank[rank] == 0)
            continue;
        wc_buf_text(&text, ", ");
        wc_term_number(&text, by_rank[rank]);
        wc_buf_text(&text, words[rank]);
    }
    wc_term_styled(term, out, WC_STYLE_DIM, wc_buf_slice(&text));
    wc_buf_byte(out, '\n');
    wc_buf_fini(&text);
}

static void print_office_table(const struct wc_term *term, struct wc_buf *out,
                               const json_t *const *offices, size_t count, time_t now)
{
    const struct office_columns has = find_columns(offices, count);
    struct wc_table_column columns[8] = {
        {"OFFICE", false, false, WC_STYLE_STRONG},
        {"TITLE", false, true, WC_STYLE_PLAIN},
        {"STATE", false, false, WC_STYLE_PLAIN},
        {"PEOPLE", true, false, WC_STYLE_PLAIN},
        {"HEARD", false, false, WC_STYLE_PLAIN},
    };
    size_t columns_count = 5;
    struct wc_table table;
    if (has.distance)
        columns[columns_count++] =
            (struct wc_table_column){"FAR", false, true, WC_STYLE_PLAIN};
    if (has.address)
        columns[columns_count++] =
            (struct wc_table_column){"ADDRESS", false, true, WC_STYLE_PLAIN};
    if (has.version)
        columns[columns_count++] =
            (struct wc_table_column){"VERSION", false, false, WC_STYLE_PLAIN};
    wc_table_init(&table, columns, columns_count);
    for (size_t i = 0; i < count; i++)
        office_row(&table, offices[i], &has, now);
    wc_table_print(&table, term, out);
    wc_table_fini(&table);
}

void wc_print_offices(const struct wc_term *term, struct wc_buf *out,
                      const json_t *result, time_t now)
{
    const json_t *list = json_object_get(result, "offices");
    size_t count = json_array_size(list);
    const json_t **offices = sort_offices(list, count);
    if (offices == NULL) {
        out->failed = true;
        return;
    }
    print_office_table(term, out, offices, count, now);
    for (size_t i = 0; i < count; i++)
        office_note(term, out, offices[i], now);
    print_summary(term, out, offices, count);
    free(offices);
}

/* ---- status ---- */

static void print_warnings(const struct wc_term *term, struct wc_buf *out,
                           const json_t *warnings)
{
    size_t count = json_array_size(warnings);
    struct wc_buf text = {0};
    if (count == 0) {
        wc_term_styled(term, out, WC_STYLE_GOOD, wc_slice_text("All is well."));
        wc_buf_text(out, "\n\n");
        return;
    }
    wc_term_plural(&text, count, "warning:", "warnings:");
    wc_term_styled(term, out, WC_STYLE_WARN, wc_buf_slice(&text));
    wc_buf_byte(out, '\n');
    for (size_t i = 0; i < count; i++) {
        const json_t *warning = json_array_get(warnings, i);
        wc_buf_reset(&text);
        wc_term_safe(&text,
                     wc_slice(json_string_value(warning), json_string_length(warning)));
        wc_term_styled(term, out, WC_STYLE_WARN, wc_slice_text("  ! "));
        wc_term_wrap(out, wc_buf_slice(&text), 4, term->columns);
    }
    wc_buf_byte(out, '\n');
    wc_buf_fini(&text);
}

static void print_membership(const struct wc_term *term, struct wc_buf *out,
                             const json_t *result)
{
    struct wc_buf text = {0};
    wc_print_str(&text, result, "office");
    wc_print_labelled_buf(term, out, "Office", &text);
    if (wc_slice_is(wc_json_str(result, "mode"), "standalone")) {
        wc_print_labelled(
            term, out, "Organisation",
            wc_slice_text("none: this office stands alone (`whocan office join` "
                          "makes it a member)"));
    } else {
        wc_print_str(&text, result, "organisation");
        wc_print_labelled_buf(term, out, "Organisation", &text);
    }
    wc_buf_fini(&text);
}

/* Who is a neighbour, and how: what is new goes whole to the eager ones. */
static const char *role_text(const json_t *link)
{
    struct wc_slice role = wc_json_str(link, "role"), path = wc_json_str(link, "path");
    if (wc_slice_is(role, "visitor"))
        return "visitor";
    if (!wc_slice_is(role, "neighbour"))
        return "-";
    return wc_slice_is(path, "eager")  ? "eager"
           : wc_slice_is(path, "lazy") ? "lazy"
                                       : "neighbour";
}

static void add_number(struct wc_table *table, const json_t *link, const char *key)
{
    struct wc_buf text = {0};
    wc_term_number(&text, wc_json_u64(link, key));
    cell_buf(table, &text);
    wc_buf_fini(&text);
}

static void add_size(struct wc_table *table, const json_t *link, const char *key)
{
    struct wc_buf text = {0};
    wc_term_bytes(&text, wc_json_u64(link, key));
    cell_buf(table, &text);
    wc_buf_fini(&text);
}

static void link_row(struct wc_table *table, const json_t *link)
{
    struct wc_buf text = {0};
    const json_t *rtt = json_object_get(link, "rtt_ms");
    wc_table_cell(table, wc_json_str(link, "office"));
    wc_print_str(&text, link, "address");
    cell_buf(table, &text);
    wc_table_cell(table, wc_slice_text(role_text(link)));
    wc_term_duration(&text, wc_json_u64(link, "since_s"));
    cell_buf(table, &text);
    if (json_is_integer(rtt) && json_integer_value(rtt) == 0)
        wc_buf_text(&text, "< 1 ms");
    else if (json_is_integer(rtt)) {
        wc_term_number(&text, wc_json_u64(link, "rtt_ms"));
        wc_buf_text(&text, " ms");
    }
    cell_buf(table, &text);
    add_size(table, link, "received_bytes");
    add_size(table, link, "sent_bytes");
    add_size(table, link, "queued_bytes");
    add_number(table, link, "dropped_frames");
    wc_buf_fini(&text);
}

static void print_links(const struct wc_term *term, struct wc_buf *out,
                        const json_t *links)
{
    static const struct wc_table_column columns[] = {
        {"LINK TO", false, true, WC_STYLE_STRONG},
        {"ADDRESS", false, true, WC_STYLE_PLAIN},
        {"ROLE", false, false, WC_STYLE_PLAIN},
        {"SINCE", false, false, WC_STYLE_PLAIN},
        {"RTT", true, false, WC_STYLE_PLAIN},
        {"RECEIVED", true, false, WC_STYLE_PLAIN},
        {"SENT", true, false, WC_STYLE_PLAIN},
        {"QUEUED", true, false, WC_STYLE_PLAIN},
        {"DROPPED", true, false, WC_STYLE_PLAIN},
    };
    struct wc_table table;
    if (json_array_size(links) == 0)
        return;
    wc_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < json_array_size(links); i++)
        link_row(&table, json_array_get(links, i));
    wc_buf_byte(out, '\n');
    wc_table_print(&table, term, out);
    wc_table_fini(&table);
}

/* "6 neighbours (3 eager), 2 visitors; 41 more would be neighbours" */
static void print_neighbours(const struct wc_term *term, struct wc_buf *out,
                             const json_t *result)
{
    const json_t *overlay = json_object_get(result, "overlay");
    const json_t *links = json_object_get(result, "links");
    uint64_t active = wc_json_u64(overlay, "active");
    struct wc_buf text = {0};
    if (!json_is_object(overlay) || json_array_size(links) == 0)
        return;
    wc_term_plural(&text, active, "neighbour", "neighbours");
    if (wc_slice_is(wc_json_str(overlay, "mode"), "tree")) {
        wc_buf_text(&text, ", ");
        wc_term_number(&text, wc_json_u64(overlay, "eager"));
        wc_buf_text(&text, " of them in the tree");
    }
    if (json_array_size(links) > active) {
        wc_buf_text(&text, "; ");
        wc_term_plural(&text, json_array_size(links) - active, "visitor", "visitors");
    }
    if (says(overlay, "root")) {
        wc_buf_text(&text, "; the root of the tree is ");
        wc_print_str(&text, overlay, "root");
        wc_buf_text(&text, ", ");
        wc_term_plural(&text, wc_json_u64(overlay, "root_hops"), "link", "links");
        wc_buf_text(&text, " away");
    }
    wc_print_labelled_buf(term, out, "Neighbours", &text);
    wc_buf_fini(&text);
}

/* How the latest reconciliation ended, and the one under way. */
static void print_reconciled(const struct wc_term *term, struct wc_buf *out,
                             const json_t *result, time_t now)
{
    const json_t *all = json_object_get(result, "reconciliation");
    const json_t *last = json_object_get(all, "last");
    const json_t *running = json_object_get(all, "running");
    struct wc_buf text = {0};
    if (json_is_object(last)) {
        wc_print_ago_of(&text, last, "at", now);
        wc_buf_text(&text, " with ");
        wc_print_str(&text, last, "office");
        wc_buf_text(&text, ": ");
        wc_term_plural(&text, wc_json_u64(last, "differences"), "difference",
                       "differences");
    }
    if (json_is_object(running)) {
        wc_buf_text(&text, text.len > 0 ? "; now fetching from " : "fetching from ");
        wc_print_str(&text, running, "office");
        wc_buf_text(&text, ": ");
        wc_term_number(&text, wc_json_u64(running, "came"));
        wc_buf_text(&text, " of ");
        wc_term_plural(&text, wc_json_u64(running, "differences"), "record", "records");
        wc_buf_text(&text, " so far");
    }
    wc_print_labelled_buf(term, out, "Reconciled", &text);
    wc_buf_fini(&text);
}

static void add_waiting(struct wc_buf *out, const json_t *queues, const char *key,
                        const char *one, const char *many)
{
    uint64_t count = wc_json_u64(queues, key);
    if (count == 0)
        return;
    wc_buf_text(out, out->len > 0 ? ", " : "");
    wc_term_plural(out, count, one, many);
}

/* What waits now, if anything does, and what was left out since the start. */
static void print_queues(const struct wc_term *term, struct wc_buf *out,
                         const json_t *result)
{
    const json_t *queues = json_object_get(result, "queues");
    const json_t *left = json_object_get(queues, "left_out");
    uint64_t bytes = wc_json_u64(queues, "links_bytes");
    uint64_t frames = wc_json_u64(json_object_get(left, "answers"), "frames") +
                      wc_json_u64(json_object_get(left, "news"), "frames");
    struct wc_buf text = {0};
    if (bytes > 0) {
        wc_term_bytes(&text, bytes);
        wc_buf_text(&text, " on links");
    }
    add_waiting(&text, queues, "commit", "change to be stored", "changes to be stored");
    add_waiting(&text, queues, "owed", "record without space", "records without space");
    add_waiting(&text, queues, "matches", "question to be matched",
                "questions to be matched");
    add_waiting(&text, queues, "missing", "announced record", "announced records");
    wc_print_labelled_buf(term, out, "Waiting", &text);
    if (frames > 0) {
        wc_term_plural(&text, frames, "frame", "frames");
        wc_buf_text(&text, " for offices that read too slowly");
        wc_print_labelled_buf(term, out, "Left out", &text);
    }
    wc_buf_fini(&text);
}

static void print_rounds(const struct wc_term *term, struct wc_buf *out,
                         const json_t *result)
{
    const json_t *all = json_object_get(result, "reconciliation");
    struct wc_buf text = {0};
    if (!json_is_object(all))
        return;
    wc_buf_byte(out, '\n');
    wc_term_plural(&text, wc_json_u64(all, "rounds"), "round", "rounds");
    wc_buf_text(&text, " since the start: ");
    wc_term_number(&text, wc_json_u64(all, "equal"));
    wc_buf_text(&text, " without a difference, ");
    wc_term_number(&text, wc_json_u64(all, "broken_off"));
    wc_buf_text(&text, " broken off; ");
    wc_term_plural(&text, wc_json_u64(all, "differences"), "record", "records");
    wc_buf_text(&text, " were missing, ");
    wc_term_number(&text, wc_json_u64(all, "taken"));
    wc_buf_text(&text, " of them came; the next in ");
    wc_term_duration(&text, wc_json_u64(all, "next_s"));
    wc_print_labelled_buf(term, out, "Reconciling", &text);
    wc_buf_fini(&text);
}

static void print_store(const struct wc_term *term, struct wc_buf *out,
                        const json_t *store)
{
    struct wc_buf text = {0};
    uint64_t used = wc_json_u64(store, "used_bytes");
    uint64_t map = wc_json_u64(store, "map_bytes");
    wc_print_str(&text, store, "path");
    wc_buf_text(&text, text.len > 0 ? ", " : "");
    wc_term_bytes(&text, used);
    if (map > 0) {
        wc_buf_text(&text, " of ");
        wc_term_bytes(&text, map);
    }
    wc_print_labelled_buf(term, out, "Store", &text);
    wc_buf_fini(&text);
}

static void print_certificate(const struct wc_term *term, struct wc_buf *out,
                              const json_t *certificate)
{
    struct wc_buf text = {0};
    time_t ends;
    const json_t *days = json_object_get(certificate, "days_left");
    if (wc_print_time(wc_json_str(certificate, "not_after"), &ends)) {
        wc_buf_text(&text, "valid until ");
        wc_print_date(&text, ends);
        if (json_is_integer(days) && json_integer_value(days) >= 0) {
            wc_buf_text(&text, " (");
            wc_term_plural(&text, (uint64_t)json_integer_value(days), "day", "days");
            wc_buf_text(&text, ")");
        } else if (json_is_integer(days)) {
            wc_buf_text(&text, " (expired)");
        }
    }
    wc_print_labelled_buf(term, out, "Certificate", &text);
    wc_buf_fini(&text);
}

void wc_print_status(const struct wc_term *term, struct wc_buf *out,
                     const json_t *result, time_t now)
{
    struct wc_buf text = {0};
    const json_t *links = json_object_get(result, "links");
    print_warnings(term, out, json_object_get(result, "warnings"));
    print_membership(term, out, result);
    wc_buf_text(&text, "whocand ");
    wc_print_str(&text, result, "version");
    wc_buf_text(&text, ", up ");
    wc_term_duration(&text, wc_json_u64(result, "uptime_s"));
    wc_print_labelled_buf(term, out, "Daemon", &text);
    wc_term_number(&text, wc_json_u64(result, "people"));
    wc_buf_text(&text, " can be found (");
    wc_term_plural(&text, wc_json_u64(result, "records"), "record)", "records)");
    wc_print_labelled_buf(term, out, "People", &text);
    wc_term_number(&text, wc_json_u64(result, "offices_known"));
    wc_buf_text(&text, " known, this one included; ");
    wc_term_plural(&text, json_array_size(links), "link", "links");
    wc_print_labelled_buf(term, out, "Offices", &text);
    print_neighbours(term, out, result);
    print_reconciled(term, out, result, now);
    print_queues(term, out, result);
    print_store(term, out, json_object_get(result, "store"));
    print_certificate(term, out, json_object_get(result, "certificate"));
    wc_buf_fini(&text);
}

void wc_print_status_links(const struct wc_term *term, struct wc_buf *out,
                           const json_t *result, time_t now)
{
    wc_print_status(term, out, result, now);
    print_links(term, out, json_object_get(result, "links"));
    print_rounds(term, out, result);
}

/* ---- events ---- */

/* "09:30:00  link_down  office york, reason ..." */
void wc_print_event(const struct wc_term *term, struct wc_buf *out, const json_t *event)
{
    struct wc_buf text = {0}, name = {0};
    const char *key;
    json_t *value;
    struct wc_slice at = wc_json_str(event, "at");
    if (at.len >= 19) { /* 2026-03-02T09:30:00Z */
        wc_term_styled(term, out, WC_STYLE_DIM, wc_slice(at.data + 11, 8));
        wc_buf_text(out, "  ");
    }
    wc_print_str(&name, event, "event");
    wc_term_styled(term, out, WC_STYLE_STRONG, wc_buf_slice(&name));
    json_object_foreach((json_t *)event, key, value)
    {
        if (strcmp(key, "event") == 0 || strcmp(key, "at") == 0)
            continue;
        wc_buf_text(&text, text.len > 0 ? ", " : "  ");
        wc_term_safe(&text, wc_slice_text(key));
        wc_buf_byte(&text, ' ');
        if (json_is_string(value))
            wc_print_str(&text, event, key);
        else
            wc_term_number(&text, wc_json_u64(event, key));
    }
    wc_buf_append(out, text.data, text.len);
    wc_buf_byte(out, '\n');
    out->failed |= text.failed || name.failed;
    wc_buf_fini(&text);
    wc_buf_fini(&name);
}
