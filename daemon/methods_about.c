/* SPDX-License-Identifier: Apache-2.0 */
/* me.export, people.about: everything that this office holds about one of its people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/about.h"
#include "daemon/daemon.h"
#include "daemon/enrol.h"
#include "daemon/local.h"
#include "daemon/methods.h"
#include "daemon/person_params.h"

#define FORMAT "whocan-about-1"

struct about {
    struct wc_request *r;
    struct wc_daemon *d;
    char login[WC_SUBJECT_MAX_BYTES + 1];
    char caller_login[WC_SUBJECT_MAX_BYTES + 1]; /* empty: they have none */
    uint64_t caller_uid;
    struct wc_buf row, profile; /* packed; empty: none */
    struct wc_buf local;        /* the same */
    bool own;                   /* whoever asks is the person */
    bool withheld;
    struct wc_buf asks, facts;
    uint32_t asks_count, facts_count;
    bool found;
    int rc;
};

/* ---------------------------------------------------------------- on the pool */

static void pack_author(struct wc_buf *b, const struct wc_record *r)
{
    char hex[2 * WC_KEY_BYTES + 1];
    bool office = memcmp(r->author_key, r->office_key, WC_KEY_BYTES) == 0;
    wc_hex(hex, r->author_key, WC_KEY_BYTES);
    wc_pack_text(b, "author");
    wc_pack_text(b, office ? "office" : "person");
    wc_pack_text(b, "author_key");
    wc_pack_text(b, hex);
}

/* When and by whom, and the record as it is signed: what this version cannot read
 * included. */
static void pack_origin(struct wc_buf *b, const struct wc_record *r)
{
    pack_author(b, r);
    wc_pack_text(b, "rev");
    wc_pack_u64(b, r->version.rev);
    wc_pack_text(b, "stamped_at");
    wc_pack_time(b, r->stamped_at_ms);
    wc_pack_text(b, "expires_at");
    wc_pack_time(b, r->expires_at_ms);
    wc_pack_text(b, "record");
    wc_pack_bin(b, r->bytes);
}
#define ORIGIN_PAIRS 6

static int pack_side(struct about *a, struct wc_buf *b, const struct wc_record *r)
{
    struct wc_doc *doc = NULL;
    struct wc_person *p = malloc(sizeof(*p));
    int rc = p == NULL ? -WC_ENOMEM : wc_doc_new(r->body, &wc_scan_default, &doc);
    if (rc == 0)
        rc = wc_person_decode(wc_doc_root(doc), p, NULL);
    if (rc == 0) {
        wc_pack_map(b, ORIGIN_PAIRS + 2);
        wc_pack_text(b, "fields");
        wc_pack_row(b, p, a->login, a->d->identity->cert.name);
        wc_pack_text(b, "confirmed_at");
        wc_pack_time(b, p->confirmed_at_ms);
        pack_origin(b, r);
    }
    wc_doc_free(doc);
    free(p);
    return rc;
}

/* What was retired says no more than that. */
static void pack_retired(struct wc_buf *b, const struct wc_record *r)
{
    wc_pack_map(b, ORIGIN_PAIRS + 2);
    wc_pack_text(b, "retired");
    wc_pack_bool(b, true);
    wc_pack_text(b, "erased");
    wc_pack_bool(b, r->erases);
    pack_origin(b, r);
}

static int pack_ask(struct about *a, const struct wc_record *r)
{
    struct wc_doc *doc;
    struct wc_ask ask;
    int rc = wc_doc_new(r->body, &wc_scan_default, &doc);
    if (rc != 0)
        return rc;
    rc = wc_ask_decode(wc_doc_root(doc), &ask, NULL);
    if (rc == 0) {
        wc_pack_map(&a->asks, ORIGIN_PAIRS + 2);
        wc_pack_text(&a->asks, "ask");
        wc_pack_text(&a->asks, r->subject);
        wc_pack_text(&a->asks, "text");
        wc_pack_str(&a->asks, ask.text);
        pack_origin(&a->asks, r);
        a->asks_count++;
    }
    wc_doc_free(doc);
    return rc;
}

static int take_record(void *ctx, const struct wc_record *r)
{
    struct about *a = ctx;
    a->found = true;
    if (r->kind == WC_KIND_ASK)
        return pack_ask(a, r);
    struct wc_buf *b = r->slot_kind == WC_KIND_ROW ? &a->row : &a->profile;
    if (r->kind != WC_KIND_RETIRE)
        return pack_side(a, b, r);
    pack_retired(b, r);
    return 0;
}

static int take_local(struct about *a, struct wc_slice value)
{
    struct wc_doc *doc;
    int rc = wc_doc_new(value, &wc_scan_default, &doc);
    if (rc != 0)
        return rc;
    const struct wc_obj *map = wc_local_map(doc);
    if (map != NULL)
        wc_pack_obj(&a->local, map);
    wc_doc_free(doc);
    return map == NULL ? -WC_ECORRUPT : 0;
}

static int take_fact(void *ctx, struct wc_slice key, struct wc_slice value)
{
    struct about *a = ctx;
    char prefix[WC_ABOUT_PREFIX_BYTES];
    wc_about_prefix(a->login, prefix);
    size_t skip = strlen(prefix);
    struct wc_slice name = wc_slice(key.data + skip, key.len - skip);
    a->found = true;
    /* What a person keeps to themselves is told to no administrator, and what waits for
     * their word may hold such a field. */
    if (!a->own && (wc_slice_is(name, WC_LOCAL_FACT) || wc_slice_is(name, "pending"))) {
        a->withheld = true;
        return 0;
    }
    if (wc_slice_is(name, WC_LOCAL_FACT))
        return take_local(a, value);
    wc_pack_map(&a->facts, 2);
    wc_pack_text(&a->facts, "name");
    wc_pack_str(&a->facts, name);
    wc_pack_text(&a->facts, "value");
    wc_pack_bin(&a->facts, value);
    a->facts_count++;
    return 0;
}

static void about_work(void *ctx)
{
    struct about *a = ctx;
    char prefix[WC_ABOUT_PREFIX_BYTES];
    wc_about_prefix(a->login, prefix);
    a->own = wc_enrol_is(a->d->records, a->caller_login, a->caller_uid) &&
             strcmp(a->login, a->caller_login) == 0;
    a->rc = wc_about_records(a->d->records, a->d->identity->signer.key, a->login,
                             take_record, a, NULL);
    if (a->rc == 0)
        a->rc = wc_records_meta_each(a->d->records, prefix, take_fact, a);
}

/* ---------------------------------------------------------------- the answer */

static void pack_part(struct wc_buf *out, const char *name, const struct wc_buf *part)
{
    wc_pack_text(out, name);
    if (part->len == 0)
        wc_pack_nil(out);
    else
        wc_buf_append(out, part->data, part->len);
    out->failed = out->failed || part->failed;
}

static void pack_list(struct wc_buf *out, const char *name, const struct wc_buf *list,
                      uint32_t count)
{
    wc_pack_text(out, name);
    wc_pack_array(out, count);
    wc_buf_append(out, list->data, list->len);
    out->failed = out->failed || list->failed;
}

static void pack_about(struct wc_buf *out, const struct about *a)
{
    char handle[WC_HANDLE_MAX_BYTES + 1];
    const struct wc_identity *identity = a->d->identity;
    snprintf(handle, sizeof(handle), "%s@%s", a->login, identity->cert.name);
    wc_pack_map(out, 12);
    wc_pack_text(out, "format");
    wc_pack_text(out, FORMAT);
    wc_pack_text(out, "handle");
    wc_pack_text(out, handle);
    wc_pack_text(out, "office");
    wc_pack_text(out, identity->cert.name);
    wc_pack_text(out, "organisation");
    wc_pack_text(out, identity->org.name);
    wc_pack_text(out, "exported_at");
    wc_pack_time(out, wc_wall_ms());
    pack_part(out, "profile", &a->profile);
    pack_part(out, "row", &a->row);
    pack_list(out, "asks", &a->asks, a->asks_count);
    wc_pack_text(out, "open_asks");
    wc_asks_pack(a->d, a->login, out);
    pack_part(out, "local", &a->local);
    wc_pack_text(out, "withheld");
    wc_pack_bool(out, a->withheld);
    pack_list(out, "facts", &a->facts, a->facts_count);
}

static void about_done(void *ctx)
{
    struct about *a = ctx;
    struct wc_buf out = {0};
    if (a->rc != 0) {
        wc_request_fail(a->r, a->rc, NULL, "what is held about %s %s: tell IT",
                        a->login, wc_strerror(a->rc));
    } else if (!a->found && wc_asks_count(a->d, a->login) == 0) {
        wc_request_fail(a->r, -WC_ENOTFOUND, NULL, "nothing is held about %s",
                        a->login);
    } else {
        pack_about(&out, a);
        wc_request_reply(a->r, &out);
    }
    a->d->writers_count--;
    wc_buf_fini(&a->row);
    wc_buf_fini(&a->profile);
    wc_buf_fini(&a->local);
    wc_buf_fini(&a->asks);
    wc_buf_fini(&a->facts);
    free(a);
}

void wc_people_about(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    char login[WC_SUBJECT_MAX_BYTES + 1];
    if (!wc_request_about(r, login))
        return;
    struct about *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    a->r = r;
    a->d = d;
    memcpy(a->login, login, sizeof(a->login));
    if (wc_request_caller(r)->login_state == WC_LOGIN_OK)
        memcpy(a->caller_login, wc_request_caller(r)->login, sizeof(a->caller_login));
    a->caller_uid = wc_request_caller(r)->uid;
    d->writers_count++; /* the identity stays while it is at work */
    if (wc_loop_work(d->loop, about_work, about_done, a) != 0) {
        a->rc = -WC_ENOMEM;
        about_done(a);
    }
}
