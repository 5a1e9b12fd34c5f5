/* SPDX-License-Identifier: Apache-2.0 */
/* org list, org revoke: the register of the organisation's key file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <whocan/record.h>
#include <whocan/register.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/orgfile.h"
#include "cli/statement.h"
#include "cli/table.h"

#define KEY_SHOWN 16 /* digits of a key in the table; --json has them all */

/* ---- list ---- */

static json_t *json_time(uint64_t ms)
{
    char text[32];
    struct tm utc;
    time_t t = (time_t)(ms / 1000);
    if (ms == 0 || gmtime_r(&t, &utc) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        return json_null();
    return json_string(text);
}

static uint64_t days_left(const struct wc_cert *cert, uint64_t now_ms)
{
    return cert->not_after_ms > now_ms ? (cert->not_after_ms - now_ms) / WC_DAY_MS : 0;
}

static json_t *issued_json(const struct wc_register *reg,
                           const struct wc_issued *issued, enum wc_issued_state state,
                           uint64_t now_ms)
{
    const struct wc_cert *c = &issued->cert;
    char key[2 * WC_KEY_BYTES + 1];
    wc_hex(key, c->sign_key, WC_KEY_BYTES);
    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:I, s:I, s:s, s:o}", "name",
                     c->name, "title", c->title, "serial", (json_int_t)c->serial, "key",
                     key, "not_before", json_time(c->not_before_ms), "not_after",
                     json_time(c->not_after_ms), "days_left",
                     (json_int_t)days_left(c, now_ms), "quota", (json_int_t)c->quota,
                     "state", wc_issued_state_name(state), "revoked_at",
                     json_time(wc_register_revoked_at(reg, c->sign_key)));
}

/* In order of names, of one name the newest first. */
static int list_order(const void *one, const void *other)
{
    const struct wc_issued *a = *(const struct wc_issued *const *)one,
                           *b = *(const struct wc_issued *const *)other;
    int order = strcmp(a->cert.name, b->cert.name);
    if (order != 0)
        return order;
    return a->cert.serial > b->cert.serial ? -1 : 1;
}

/* {"offices": [...]}, or NULL when memory is out. */
static json_t *register_json(const struct wc_register *reg, uint64_t now_ms)
{
    enum wc_issued_state *states = calloc(reg->issued_count + 1u, sizeof(*states));
    const struct wc_issued **sorted =
        calloc(reg->issued_count + 1u, sizeof(struct wc_issued *));
    json_t *list = json_array();
    json_t *result = NULL;
    if (states == NULL || sorted == NULL ||
        wc_register_states(reg, now_ms, states) != 0)
        goto out;
    for (uint32_t i = 0; i < reg->issued_count; i++)
        sorted[i] = &reg->issued[i];
    qsort(sorted, reg->issued_count, sizeof(struct wc_issued *), list_order);
    for (uint32_t i = 0; i < reg->issued_count; i++)
        json_array_append_new(
            list, issued_json(reg, sorted[i], states[sorted[i] - reg->issued], now_ms));
    result = json_pack("{s:O}", "offices", list);
out:
    json_decref(list);
    free(states);
    free(sorted);
    return result;
}

static void cell(struct wc_table *table, const json_t *office, const char *key,
                 size_t cut)
{
    struct wc_slice text = wc_json_str(office, key);
    wc_table_cell(table, cut > 0 && text.len > cut ? wc_slice(text.data, cut) : text);
}

static void number(struct wc_table *table, const json_t *office, const char *key)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, wc_json_u64(office, key));
    wc_table_cell(table, wc_slice_text(text));
}

static void print_register(const struct wc_term *term, struct wc_buf *out,
                           const json_t *result)
{
    static const struct wc_table_column columns[] = {
        {"OFFICE", false, false, WC_STYLE_STRONG},
        {"TITLE", false, true, WC_STYLE_PLAIN},
        {"STATE", false, false, WC_STYLE_PLAIN},
        {"SERIAL", true, false, WC_STYLE_PLAIN},
        {"FROM", false, false, WC_STYLE_PLAIN},
        {"UNTIL", false, false, WC_STYLE_PLAIN},
        {"DAYS", true, false, WC_STYLE_PLAIN},
        {"PEOPLE", true, false, WC_STYLE_PLAIN},
        {"KEY", false, false, WC_STYLE_PLAIN},
    };
    const size_t date = sizeof("2026-03-01") - 1;
    struct wc_table table;
    const json_t *offices = json_object_get(result, "offices");
    if (json_array_size(offices) == 0) {
        wc_buf_text(out, "No office was invited or admitted with this key yet.\n");
        return;
    }
    wc_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < json_array_size(offices); i++) {
        const json_t *office = json_array_get(offices, i);
        cell(&table, office, "name", 0);
        cell(&table, office, "title", 0);
        cell(&table, office, "state", 0);
        number(&table, office, "serial");
        cell(&table, office, "not_before", date);
        cell(&table, office, "not_after", date);
        number(&table, office, "days_left");
        number(&table, office, "quota");
        cell(&table, office, "key", KEY_SHOWN);
    }
    wc_table_print(&table, term, out);
    wc_table_fini(&table);
}

int wc_cmd_org_list(struct wc_run *run)
{
    const char *path = NULL;
    struct wc_orgkey key = {.next_serial = 0};
    struct wc_buf out = {0};
    int code = wc_orgfile_begin(run, &path);
    if (code == 0)
        code = wc_orgfile_read(run, path, &key);
    if (code != 0)
        return code;
    json_t *result = register_json(&key.reg, wc_orgfile_now_ms());
    if (result == NULL) {
        code = wc_run_fail(run, WC_EXIT_FILE, "out of memory");
    } else if (wc_run_wants_json(run)) {
        code = wc_run_json(run, result);
    } else {
        print_register(&run->out, &out, result);
        code = wc_run_write(run, &out);
    }
    wc_buf_fini(&out);
    json_decref(result);
    wc_orgkey_fini(&key);
    return code;
}

/* ---- revoke ---- */

struct revoke {
    const char *who;               /* as it was given */
    uint8_t (*keys)[WC_KEY_BYTES]; /* to revoke */
    uint32_t count;
    struct wc_buf records; /* one after the other */
    struct wc_slice *slices;
};

static void revoke_fini(struct revoke *r)
{
    wc_buf_fini(&r->records);
    free(r->slices);
    free(r->keys);
}

static bool has_key(const struct revoke *r, const uint8_t key[WC_KEY_BYTES])
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (memcmp(r->keys[i], key, WC_KEY_BYTES) == 0)
            return true;
    }
    return false;
}

/* All keys that an office of this name ever had; those that were revoked before only when
 * there are no others: then their revocation can be published once more. */
static int keys_of_name(struct wc_run *run, const struct wc_register *reg,
                        struct revoke *r)
{
    for (int again = 0; again < 2 && r->count == 0; again++) {
        for (uint32_t i = 0; i < reg->issued_count; i++) {
            const struct wc_cert *c = &reg->issued[i].cert;
            bool revoked = wc_register_revoked_at(reg, c->sign_key) != 0;
            if (strcmp(c->name, r->who) != 0 || revoked != (again == 1) ||
                has_key(r, c->sign_key))
                continue;
            if (r->count == WC_STATEMENTS_MAX_COUNT)
                return wc_run_fail(run, WC_EXIT_USAGE,
                                   "%s had more than %d keys: revoke them one by one",
                                   r->who, WC_STATEMENTS_MAX_COUNT);
            memcpy(r->keys[r->count++], c->sign_key, WC_KEY_BYTES);
        }
    }
    if (r->count > 0)
        return 0;
    wc_run_fail(run, WC_EXIT_USAGE, "no office \"%s\" is in the register", r->who);
    wc_run_hint(run,
                "`whocan org list --key FILE` lists them. An office that is not in "
                "it is revoked by its key:");
    wc_run_hint(run, "64 hexadecimal digits, which `whocan offices --json` shows "
                     "anywhere in the organisation.");
    return WC_EXIT_USAGE;
}

static int find_keys(struct wc_run *run, const struct wc_register *reg,
                     struct revoke *r)
{
    r->keys = calloc(WC_STATEMENTS_MAX_COUNT, sizeof(*r->keys));
    r->slices = calloc(WC_STATEMENTS_MAX_COUNT, sizeof(*r->slices));
    if (r->keys == NULL || r->slices == NULL)
        return wc_run_fail(run, WC_EXIT_FILE, "out of memory");
    if (strlen(r->who) == (size_t)2 * WC_KEY_BYTES &&
        wc_unhex(r->keys[0], WC_KEY_BYTES, wc_slice_text(r->who)) == 0) {
        r->count = 1;
        return 0;
    }
    return keys_of_name(run, reg, r);
}

/* Sign the revocations and mark them in the register. */
static int sign_revocations(struct wc_run *run, struct wc_orgkey *key,
                            const struct wc_signer *signer, struct revoke *r)
{
    size_t starts[WC_STATEMENTS_MAX_COUNT + 1] = {0};
    for (uint32_t i = 0; i < r->count; i++) {
        struct wc_buf one = {0};
        int rc = wc_orgkey_revoke(key, signer, r->keys[i], wc_orgfile_now_ms(), &one);
        wc_buf_append(&r->records, one.data, one.len);
        wc_buf_fini(&one);
        if (rc != 0 || r->records.failed)
            return wc_run_fail(run, WC_EXIT_FILE, "the revocation %s",
                               wc_strerror(rc != 0 ? rc : -WC_ENOMEM));
        starts[i + 1] = r->records.len;
    }
    for (uint32_t i = 0; i < r->count; i++)
        r->slices[i] = wc_slice(r->records.data + starts[i], starts[i + 1] - starts[i]);
    return 0;
}

static int revoked_json(struct wc_run *run, const struct revoke *r,
                        const struct wc_statement_fate *fate)
{
    json_t *keys = json_array();
    for (uint32_t i = 0; i < r->count; i++) {
        char hex[2 * WC_KEY_BYTES + 1];
        wc_hex(hex, r->keys[i], WC_KEY_BYTES);
        json_array_append_new(keys, json_string(hex));
    }
    json_t *value = json_pack("{s:s, s:o, s:b, s:o}", "revoked", r->who, "keys", keys,
                              "published", fate->handed, "statement",
                              wc_json_new_str(wc_buf_slice(&fate->line)));
    int code = wc_run_json(run, value);
    json_decref(value);
    return code;
}

static int revoked(struct wc_run *run, const struct revoke *r,
                   const struct wc_statement_fate *fate)
{
    struct wc_buf out = {0};
    if (wc_run_wants_json(run))
        return revoked_json(run, r, fate);
    if (!fate->handed) {
        wc_run_hint(run, "\"%s\" is marked as revoked in the key file.", r->who);
        return wc_statement_print(run, fate);
    }
    wc_buf_text(&out, "\"");
    wc_term_safe(&out, wc_slice_text(r->who));
    wc_buf_text(&out, "\" is revoked (");
    wc_term_plural(&out, r->count, "key", "keys");
    wc_buf_text(&out, "). This office tells every other one: its links close, its "
                      "people\ndisappear, and it cannot come back.\n");
    int code = wc_run_write(run, &out);
    wc_buf_fini(&out);
    return code;
}

static int revoke_and_tell(struct wc_run *run, const char *path, struct wc_orgkey *key,
                           const struct wc_signer *signer, struct revoke *r)
{
    struct wc_statement_fate fate = {.handed = false};
    int code = sign_revocations(run, key, signer, r);
    if (code == 0)
        code = wc_orgfile_write(run, path, key, true);
    if (code == 0)
        code = wc_statement_hand(run, r->slices, r->count, &fate);
    if (code == 0)
        code = revoked(run, r, &fate);
    wc_statement_fate_fini(&fate);
    return code;
}

int wc_cmd_org_revoke(struct wc_run *run)
{
    const char *path = NULL;
    struct wc_orgkey key = {.next_serial = 0};
    struct wc_signer signer = {{0}, {0}};
    struct revoke r = {.who = run->args->words[0]};
    int lock = -1;
    int code = wc_orgfile_begin(run, &path);
    if (code == 0)
        code = wc_orgfile_lock(run, path, &lock);
    if (code == 0)
        code = wc_orgfile_read(run, path, &key);
    if (code == 0)
        code = find_keys(run, &key.reg, &r);
    if (code == 0)
        code = wc_orgfile_unlock(run, path, &key, &signer);
    if (code == 0)
        code = revoke_and_tell(run, path, &key, &signer, &r);
    if (lock >= 0)
        close(lock);
    revoke_fini(&r);
    wc_signer_fini(&signer);
    wc_orgkey_fini(&key);
    return code;
}
