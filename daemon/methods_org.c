/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.known: what a rotation needs when the key file is lost. org.submit: what the organisation signed reaches this office, and from it all others.
 * Everything of a line is looked at before anything is stored; it answers when all of
 * it is durable.
 */
#include <stdlib.h>

#include <whocan/statement.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/methods.h"
#include "daemon/office.h"

struct submit {
    struct wc_request *r;
    struct wc_daemon *d;
    struct wc_statements statements;
    uint32_t accepted_count, known_count;
    uint32_t waiting_count; /* outcomes to come, and 1 while they are put */
    int rc;                 /* the first failure */
};

static void submit_free(struct submit *s)
{
    wc_statements_fini(&s->statements);
    free(s);
}

static void submit_end(struct submit *s)
{
    struct wc_daemon *d = s->d;
    if (--s->waiting_count > 0)
        return;
    d->writers_count--;
    if (s->rc == -WC_EFULL) {
        wc_request_fail(s->r, s->rc, NULL, "the disk of the state directory is full");
    } else if (s->rc != 0) {
        wc_request_fail(s->r, s->rc, NULL, "not all of it was stored: one %s",
                        wc_strerror(s->rc));
    } else {
        struct wc_buf out = {0};
        if (s->accepted_count > 0)
            wc_log(WC_LOG_NOTICE, "%u statements of the organisation were taken here",
                   s->accepted_count);
        wc_act_say_u64(s->r, "accepted", s->accepted_count);
        wc_act_say_u64(s->r, "known", s->known_count);
        wc_pack_map(&out, 2);
        wc_pack_text(&out, "accepted");
        wc_pack_u64(&out, s->accepted_count);
        wc_pack_text(&out, "known");
        wc_pack_u64(&out, s->known_count);
        wc_request_reply(s->r, &out);
    }
    submit_free(s);
}

static void submit_stored(void *ctx, int rc)
{
    struct submit *s = ctx;
    if (rc == 0)
        s->accepted_count++;
    else if (rc == -WC_EEXISTS)
        s->known_count++;
    else if (s->rc == 0)
        s->rc = rc;
    submit_end(s);
}

/* Whether the organisation signed every one of them; says which is wrong when not. */
static bool submit_check(struct submit *s)
{
    const struct wc_node *node = wc_engine_node(s->d->engine);
    for (uint32_t i = 0; i < s->statements.count; i++) {
        struct wc_err err = {0};
        int rc = wc_node_statement(node, s->statements.records[i], &err);
        if (rc == 0 || rc == -WC_EEXISTS)
            continue;
        if (s->statements.count == 1)
            wc_request_fail(s->r, rc, "statement", "this statement %s",
                            err.why != NULL ? err.why : wc_strerror(rc));
        else
            wc_request_fail(s->r, rc, "statement",
                            "nothing was stored: statement %u of %u %s", i + 1,
                            s->statements.count,
                            err.why != NULL ? err.why : wc_strerror(rc));
        return false;
    }
    return true;
}

static bool submit_read(struct submit *s)
{
    struct wc_slice line = {0};
    struct wc_err err = {0};
    wc_obj_str(wc_obj_get(wc_request_params(s->r, NULL), "statement"), &line);
    int rc = wc_statement_parse(line, &s->statements, &err);
    if (rc == 0)
        return true;
    wc_request_fail(s->r, rc, "statement", "the statement %s",
                    err.why != NULL ? err.why : wc_strerror(rc));
    return false;
}

void wc_org_submit(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    if (wc_office_is_standalone(d->identity)) {
        wc_request_fail(r, -WC_EORGANISATION, NULL,
                        "this office stands alone: it belongs to no organisation whose "
                        "word would count here");
        return;
    }
    struct submit *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    s->r = r;
    s->d = d;
    if (!submit_read(s) || !submit_check(s)) {
        submit_free(s);
        return;
    }
    d->writers_count++;
    s->waiting_count = 1;
    for (uint32_t i = 0; i < s->statements.count; i++) {
        s->waiting_count++;
        wc_engine_statement(d->engine, s->statements.records[i], submit_stored, s);
    }
    submit_end(s);
}

/* ---------------------------------------------------------------- org.known */

static void pack_hex(struct wc_buf *b, const char *name, const uint8_t *bytes,
                     size_t len)
{
    char hex[2 * WC_KEY_BYTES + 1];
    wc_hex(hex, bytes, len);
    wc_pack_text(b, name);
    wc_pack_text(b, hex);
}

static void pack_known(struct wc_buf *b, const struct wc_cert *cert)
{
    wc_pack_map(b, 8);
    wc_pack_text(b, "name");
    wc_pack_text(b, cert->name);
    wc_pack_text(b, "title");
    wc_pack_text(b, cert->title);
    pack_hex(b, "key", cert->sign_key, WC_KEY_BYTES);
    pack_hex(b, "link_key", cert->link_key, WC_KEY_BYTES);
    wc_pack_text(b, "not_before_ms");
    wc_pack_u64(b, cert->not_before_ms);
    wc_pack_text(b, "not_after_ms");
    wc_pack_u64(b, cert->not_after_ms);
    wc_pack_text(b, "serial");
    wc_pack_u64(b, cert->serial);
    wc_pack_text(b, "quota");
    wc_pack_u64(b, cert->quota);
}

static void pack_org(struct wc_buf *b, const struct wc_org *org)
{
    struct wc_buf rotation = {0};
    pack_hex(b, "organisation_id", org->id, WC_ORG_ID_BYTES);
    pack_hex(b, "key", org->key, WC_KEY_BYTES);
    pack_hex(b, "recovery_key", org->recovery_key, WC_KEY_BYTES);
    wc_buf_base64url(&rotation, wc_slice(org->rotation, org->rotation_len));
    wc_pack_text(b, "rotation");
    wc_pack_str(b, wc_buf_slice(&rotation));
    b->failed = b->failed || rotation.failed;
    wc_buf_fini(&rotation);
}

/* Those that would stay when the organisation gets another key. */
static bool stays(const struct wc_node_office *o)
{
    return !o->revoked && !o->superseded && wc_cert_dates(&o->cert, wc_wall_ms()) == 0;
}

void wc_org_known(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_node *node = wc_engine_node(d->engine);
    const struct wc_obj *params = wc_request_params(r, NULL);
    struct wc_node_office office;
    struct wc_buf list = {0}, out = {0};
    uint64_t from = 0, limit = WC_ORG_KNOWN_MAX_COUNT;
    uint32_t seen = 0, count = 0;
    bool more = false;
    wc_obj_u64(wc_obj_get(params, "from"), &from);
    wc_obj_u64(wc_obj_get(params, "limit"), &limit);
    for (uint32_t i = 0; !more && wc_node_office_at(node, i, &office); i++) {
        if (!stays(&office) || seen++ < from)
            continue;
        more = count == limit;
        if (!more) {
            pack_known(&list, &office.cert);
            count++;
        }
    }
    wc_pack_map(&out, 6);
    pack_org(&out, &d->identity->org);
    wc_pack_text(&out, "more");
    wc_pack_bool(&out, more);
    wc_pack_text(&out, "offices");
    wc_pack_array(&out, count);
    wc_buf_append(&out, list.data, list.len);
    out.failed = out.failed || list.failed;
    wc_buf_fini(&list);
    wc_request_reply(r, &out);
}
