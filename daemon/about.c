/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/about.h"

#include <stdio.h>
#include <string.h>

#include <whocan/error.h>

void wc_about_prefix(const char *login, char out[WC_ABOUT_PREFIX_BYTES])
{
    snprintf(out, WC_ABOUT_PREFIX_BYTES, "person/%.*s/", WC_SUBJECT_MAX_BYTES, login);
}

struct walk {
    const uint8_t *office_key;
    const char *login;
    uint8_t row[WC_DIGEST_BYTES], profile[WC_DIGEST_BYTES]; /* their slots */
    wc_about_fn fn;
    void *ctx;
};

/* A retirement names nobody but by the slot. */
static bool ends_them(const struct wc_record *r, const struct walk *w)
{
    uint8_t slot[WC_DIGEST_BYTES];
    wc_record_slot(r, slot);
    return memcmp(slot, w->row, sizeof(slot)) == 0 ||
           memcmp(slot, w->profile, sizeof(slot)) == 0;
}

/* 1 it is, 0 it is not, or a negative error. */
static int asked_by(const struct wc_record *r, const char *login)
{
    struct wc_doc *doc;
    struct wc_ask ask;
    int rc = wc_doc_new(r->body, &wc_scan_default, &doc);
    if (rc != 0)
        return rc;
    rc = wc_ask_decode(wc_doc_root(doc), &ask, NULL) == 0 && wc_slice_is(ask.by, login);
    wc_doc_free(doc);
    return rc;
}

static int look(void *ctx, struct wc_slice bytes)
{
    const struct walk *w = ctx;
    struct wc_record r;
    int rc = wc_record_decode(bytes, &r, NULL);
    if (rc == -WC_ENOMEM)
        return rc;
    if (rc != 0 || memcmp(r.office_key, w->office_key, WC_KEY_BYTES) != 0)
        return 0;
    int about = 0;
    if (r.kind == WC_KIND_RETIRE)
        about = ends_them(&r, w);
    else if (r.kind == WC_KIND_ROW || r.kind == WC_KIND_PROFILE)
        about = strcmp(r.subject, w->login) == 0;
    else if (r.kind == WC_KIND_ASK)
        about = asked_by(&r, w->login);
    return about > 0 ? w->fn(w->ctx, &r) : about;
}

int wc_about_records(struct wc_records *records, const uint8_t office_key[WC_KEY_BYTES],
                     const char *login, wc_about_fn fn, void *ctx, uint64_t *damaged)
{
    struct walk w = {.office_key = office_key, .login = login, .fn = fn, .ctx = ctx};
    wc_slot(w.row, WC_KIND_ROW, office_key, login);
    wc_slot(w.profile, WC_KIND_PROFILE, office_key, login);
    return wc_records_each(records, look, &w, damaged);
}
