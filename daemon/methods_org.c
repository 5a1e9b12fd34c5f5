/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.submit: what the organisation signed reaches this office, and from it all others.
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
