/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/local.h"

#include <stdio.h>
#include <string.h>

#define VERSION 1

void wc_local_name(const char *login, char out[WC_LOCAL_NAME_BYTES])
{
    char prefix[WC_ABOUT_PREFIX_BYTES];
    wc_about_prefix(login, prefix);
    snprintf(out, WC_LOCAL_NAME_BYTES, "%s" WC_LOCAL_FACT, prefix);
}

const struct wc_obj *wc_local_map(const struct wc_doc *doc)
{
    return wc_obj_at(wc_doc_root(doc), 1);
}

static int read_value(struct wc_local *l)
{
    uint64_t version = 0;
    int rc = wc_obj_u64(wc_obj_at(wc_doc_root(l->doc), 0), &version);
    if (rc == 0 && version != VERSION)
        return -WC_EVERSION;
    l->map = wc_local_map(l->doc);
    return rc != 0 || l->map == NULL ? -WC_ECORRUPT : 0;
}

int wc_local_get(struct wc_records *r, const char *login, struct wc_local *out)
{
    char name[WC_LOCAL_NAME_BYTES];
    memset(out, 0, sizeof(*out));
    wc_local_name(login, name);
    int rc = wc_records_meta_get(r, name, &out->bytes);
    if (rc == 0)
        rc = wc_doc_new(wc_buf_slice(&out->bytes), &wc_scan_default, &out->doc);
    if (rc == 0)
        rc = read_value(out);
    if (rc != 0)
        wc_local_fini(out);
    return rc;
}

void wc_local_fini(struct wc_local *l)
{
    wc_doc_free(l->doc);
    wc_buf_fini(&l->bytes);
    l->doc = NULL;
    l->map = NULL;
}

int wc_local_pack(struct wc_buf *out, const struct wc_parts *parts)
{
    size_t before = out->len;
    wc_pack_array(out, 2);
    wc_pack_u64(out, VERSION);
    wc_parts_pack(out, parts);
    if (out->failed)
        return -WC_ENOMEM;
    return out->len - before > WC_LOCAL_MAX_BYTES ? -WC_ETOOBIG : 0;
}
