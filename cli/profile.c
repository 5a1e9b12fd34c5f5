/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/profile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <whocan/crypto.h>
#include <whocan/record.h>

#include "cli/json.h"
#include "cli/key_file.h"

#define CALL_MAX_MS 30000
#define TRIES       5 /* on a newer body each time */

/* One try: what the daemon said, and what is made of it. */
struct attempt {
    struct wc_run *run;
    const struct wc_profile_edit *edit;
    const struct wc_signer *signer;
    struct wc_profile_refusal *refusal;
    struct wc_reply *shown;    /* of me.show */
    const struct wc_obj *base; /* its `edit` */
    struct wc_doc *old;        /* the body that is there, or NULL */
    bool others_words;         /* it is not signed with this key */
    struct wc_buf body;
    struct wc_buf local; /* what stays in the office; empty: nothing */
    uint8_t sig[WC_SIG_BYTES];
    struct wc_buf dropped; /* names, packed one after the other */
    uint32_t dropped_count;
};

static int refuse(struct attempt *a, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct attempt *a, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(a->refusal->why, sizeof(a->refusal->why), format, args);
    va_end(args);
    a->refusal->rc = rc;
    return WC_EXIT_REFUSED;
}

static int unreadable(struct attempt *a)
{
    return wc_run_fail(a->run, WC_EXIT_UNREACHABLE,
                       "the daemon's answer cannot be read");
}

/* Call with packed parameters; a refusal is kept and not said. */
static int call(struct attempt *a, const char *method, struct wc_buf *params,
                struct wc_reply **reply)
{
    *reply = NULL;
    if (params->failed)
        return wc_run_fail(a->run, WC_EXIT_FILE, "out of memory");
    struct wc_client *client = a->run->client;
    int rc = wc_client_call(client, method, wc_buf_slice(params), CALL_MAX_MS, reply);
    if (rc == 0)
        return 0;
    if (wc_client_refused(client))
        return refuse(a, rc, "%s", wc_client_error(client));
    return wc_run_call_failed(a->run, rc);
}

/* ---- what is there ---- */

static int fetch(struct attempt *a)
{
    struct wc_buf params = {0};
    uint64_t rev = 0;
    wc_pack_map(&params, 1);
    wc_pack_text(&params, "key");
    wc_pack_bin(&params, wc_slice(a->signer->key, WC_KEY_BYTES));
    int code = call(a, "me.show", &params, &a->shown);
    wc_buf_fini(&params);
    if (code != 0)
        return code;
    const struct wc_obj *result = wc_reply_result(a->shown);
    a->base = wc_obj_get(result, "edit");
    if (a->base == NULL || wc_obj_type(a->base) != WC_MAP ||
        wc_obj_u64(wc_obj_get(result, "rev"), &rev) != 0)
        return unreadable(a);
    if (a->edit->if_rev != NULL && rev != (uint64_t)json_integer_value(a->edit->if_rev))
        return refuse(a, -WC_ESTALE,
                      "your profile was changed in the meantime: read it again");
    return 0;
}

/* Whether the header of the body is that of the slot and of the rev before. */
static bool header_fits(const struct attempt *a, const struct wc_edit_base *base)
{
    uint8_t office_key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev;
    return wc_body_header(wc_doc_root(a->old), office_key, subject, &rev, NULL) == 0 &&
           memcmp(office_key, base->office_key, WC_KEY_BYTES) == 0 &&
           strcmp(subject, base->subject) == 0 && rev + 1 == base->rev;
}

/* What stands under this key must be what this key signed. */
static int check_old(struct attempt *a, const struct wc_edit_base *base)
{
    struct wc_slice body, key, sig;
    if (wc_obj_bin(wc_obj_get(a->base, "body"), &body) != 0)
        return 0; /* nothing yet */
    if (wc_obj_bin(wc_obj_get(a->base, "author_key"), &key) != 0 ||
        wc_obj_bin(wc_obj_get(a->base, "author_sig"), &sig) != 0 ||
        key.len != WC_KEY_BYTES || sig.len != WC_SIG_BYTES ||
        wc_doc_new(body, &wc_scan_default, &a->old) != 0)
        return unreadable(a);
    a->others_words = memcmp(key.data, a->signer->key, WC_KEY_BYTES) != 0;
    if (wc_body_verify(sig.data, WC_KIND_PROFILE, body, key.data) == 0 &&
        header_fits(a, base))
        return 0;
    wc_run_fail(
        a->run, WC_EXIT_REFUSED,
        "your office's daemon gave out a profile of yours that does not fit its "
        "signature; nothing was signed");
    wc_run_hint(a->run, "Tell IT: somebody may have changed it.");
    return WC_EXIT_REFUSED;
}

static int read_base(struct attempt *a, struct wc_edit_base *base,
                     char subject[WC_SUBJECT_MAX_BYTES + 1])
{
    struct wc_slice office_key, login;
    if (wc_obj_bin(wc_obj_get(a->base, "office_key"), &office_key) != 0 ||
        office_key.len != WC_KEY_BYTES ||
        wc_obj_str(wc_obj_get(a->base, "subject"), &login) != 0 ||
        !wc_slice_copy(login, subject, WC_SUBJECT_MAX_BYTES + 1) ||
        wc_obj_u64(wc_obj_get(a->base, "rev"), &base->rev) != 0 ||
        wc_obj_u64(wc_obj_get(a->base, "now"), &base->now_ms) != 0 ||
        wc_obj_u64(wc_obj_get(a->base, "key_changed_at"), &base->key_changed_at_ms) !=
            0)
        return unreadable(a);
    base->office_key = office_key.data;
    base->subject = subject;
    const struct wc_obj *local = wc_obj_get(a->base, "local");
    base->local = local != NULL && wc_obj_type(local) == WC_MAP ? local : NULL;
    int code = check_old(a, base);
    base->body = a->old == NULL ? NULL : wc_doc_root(a->old);
    return code;
}

/* ---- the new body ---- */

static int check_names(struct attempt *a, const struct wc_obj *map)
{
    struct wc_slice key;
    for (uint32_t i = 0; i < wc_obj_count(map); i++) {
        bool known = wc_obj_str(wc_obj_key(map, i), &key) == 0 &&
                     (wc_person_field_known(key) || wc_slice_is(key, "audience"));
        if (!known)
            return refuse(a, -WC_EINVALID, "\"%.*s\" is not a field of a profile",
                          (int)(key.len < 64 ? key.len : 64), (const char *)key.data);
    }
    return 0;
}

static int refuse_field(struct attempt *a, const struct wc_err *err, int rc)
{
    const char *why = err->why != NULL ? err->why : wc_strerror(rc);
    return err->field != NULL ? refuse(a, rc, "%s %s", err->field, why)
                              : refuse(a, rc, "your profile %s", why);
}

static void note_dropped(struct attempt *a, const struct wc_person *dropped)
{
    for (uint32_t i = 0; i < dropped->skill_count; i++)
        wc_pack_str(&a->dropped, dropped->skills[i].name);
    for (uint32_t i = 0; i < dropped->interest_count; i++)
        wc_pack_str(&a->dropped, dropped->interests[i]);
    a->dropped_count = dropped->skill_count + dropped->interest_count;
}

static int build_from(struct attempt *a, const struct wc_obj *map)
{
    struct wc_edit_base base = {.body = NULL};
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    struct wc_person fields, dropped;
    struct wc_err err = {0};
    int code = check_names(a, map);
    if (code != 0)
        return code;
    int rc = wc_person_decode(map, &fields, &err);
    if (rc != 0)
        return refuse_field(a, &err, rc);
    code = read_base(a, &base, subject);
    if (code != 0)
        return code;
    rc = wc_edit_build(&base, a->edit->kind, &fields, wc_obj_get(map, "audience"),
                       &a->body, &a->local, &dropped, &err);
    if (rc == 0)
        rc = wc_body_sign(a->sig, WC_KIND_PROFILE, wc_buf_slice(&a->body), a->signer);
    if (rc == -WC_ETOOBIG && err.field == NULL)
        return refuse(a, rc, "your profile would be larger than 16 KiB in all");
    if (rc != 0)
        return refuse_field(a, &err, rc);
    note_dropped(a, &dropped);
    return 0;
}

static int build(struct attempt *a)
{
    static const struct wc_scan_limits limits = {.bytes_max = WC_RPC_MESSAGE_MAX_BYTES,
                                                 .depth_max = WC_SCAN_DEPTH_MAX,
                                                 .nodes_max = WC_RPC_NODES_MAX};
    struct wc_buf packed = {0};
    struct wc_doc *doc = NULL;
    int rc = wc_json_pack(&packed, a->edit->fields);
    if (rc == 0)
        rc = wc_doc_new(wc_buf_slice(&packed), &limits, &doc);
    int code = rc == 0 ? build_from(a, wc_doc_root(doc))
                       : refuse(a, rc, "the fields of this edit %s", wc_strerror(rc));
    wc_doc_free(doc);
    wc_buf_fini(&packed);
    return code;
}

/* ---- sending it ---- */

static int send_body(struct attempt *a, struct wc_reply **reply)
{
    struct wc_buf params = {0};
    bool confirms = a->edit->confirms != NULL;
    wc_pack_map(&params, 4 + (uint32_t)confirms);
    wc_pack_text(&params, "local");
    if (a->local.len == 0)
        wc_pack_map(&params, 0);
    wc_buf_append(&params, a->local.data, a->local.len);
    wc_pack_text(&params, "body");
    wc_pack_bin(&params, wc_buf_slice(&a->body));
    wc_pack_text(&params, "key");
    wc_pack_bin(&params, wc_slice(a->signer->key, WC_KEY_BYTES));
    wc_pack_text(&params, "sig");
    wc_pack_bin(&params, wc_slice(a->sig, WC_SIG_BYTES));
    if (confirms) {
        wc_pack_text(&params, "confirms");
        wc_pack_text(&params, a->edit->confirms);
    }
    int code = call(a, "me.put", &params, reply);
    wc_buf_fini(&params);
    return code;
}

static json_t *dropped_json(const struct attempt *a)
{
    struct wc_buf list = {0};
    struct wc_doc *doc = NULL;
    json_t *value = NULL;
    wc_pack_array(&list, a->dropped_count);
    wc_buf_append(&list, a->dropped.data, a->dropped.len);
    if (!list.failed && !a->dropped.failed &&
        wc_doc_new(wc_buf_slice(&list), &wc_scan_default, &doc) == 0)
        (void)wc_json_from_obj(wc_doc_root(doc), &value);
    wc_doc_free(doc);
    wc_buf_fini(&list);
    return value;
}

/* person, rev, dropped: of what me.put said, or of me.show when nothing was to be done. */
static int take_result(struct attempt *a, const struct wc_obj *from, json_t **result)
{
    json_t *person = NULL;
    json_t *rev = NULL;
    *result = json_object();
    if (wc_json_from_obj(wc_obj_get(from, "person"), &person) != 0 ||
        wc_json_from_obj(wc_obj_get(from, "rev"), &rev) != 0) {
        json_decref(person);
        json_decref(*result);
        *result = NULL;
        return unreadable(a);
    }
    json_object_set_new(*result, "person", person);
    json_object_set_new(*result, "rev", rev);
    if (a->edit->kind == WC_EDIT_DROP)
        json_object_set_new(*result, "dropped", dropped_json(a));
    return 0;
}

static void hint_signed(const struct attempt *a)
{
    if (a->others_words && a->edit->confirms == NULL)
        wc_run_hint(a->run,
                    "This signed your whole profile with your key for the first "
                    "time; `whocan me` shows what it says.");
}

static int try_once(struct attempt *a, json_t **result)
{
    struct wc_reply *reply = NULL;
    int code = fetch(a);
    if (code == 0)
        code = build(a);
    if (code == 0 && a->edit->kind == WC_EDIT_DROP && a->dropped_count == 0)
        return take_result(a, wc_reply_result(a->shown), result);
    if (code == 0)
        code = send_body(a, &reply);
    if (code == 0)
        code = take_result(a, wc_reply_result(reply), result);
    if (code == 0)
        hint_signed(a);
    wc_reply_free(reply);
    return code;
}

static void attempt_fini(struct attempt *a)
{
    wc_doc_free(a->old);
    wc_reply_free(a->shown);
    wc_buf_fini(&a->body);
    wc_buf_fini(&a->local);
    wc_buf_fini(&a->dropped);
}

static int load_key(struct wc_run *run, struct wc_signer *signer)
{
    char path[4096];
    char why[4600];
    int rc = wc_key_file_path(path, sizeof(path), why, sizeof(why));
    if (rc == 0)
        rc = wc_key_file_load(path, signer, why, sizeof(why));
    return rc == 0 ? 0 : wc_run_fail(run, WC_EXIT_FILE, "%s", why);
}

int wc_profile_store(struct wc_run *run, const struct wc_profile_edit *edit,
                     json_t **result, struct wc_profile_refusal *refusal)
{
    struct wc_signer signer;
    *result = NULL;
    *refusal = (struct wc_profile_refusal){.rc = 0};
    int code = wc_run_connect(run);
    if (code == 0)
        code = load_key(run, &signer);
    if (code != 0)
        return code;
    for (int i = 0; i < TRIES; i++) {
        struct attempt a = {
            .run = run, .edit = edit, .signer = &signer, .refusal = refusal};
        refusal->rc = 0;
        code = try_once(&a, result);
        attempt_fini(&a);
        bool quicker = code != 0 && refusal->rc == -WC_ESTALE;
        if (!quicker || edit->if_rev != NULL || edit->confirms != NULL)
            break;
    }
    wc_signer_fini(&signer);
    return code;
}

int wc_profile_refused(struct wc_run *run, const struct wc_profile_refusal *refusal)
{
    size_t path = wc_run_field_path(refusal->why);
    return wc_run_fail(run, WC_EXIT_REFUSED, "%s%s", path > 0 ? "skill " : "",
                       refusal->why + path);
}
