/* SPDX-License-Identifier: Apache-2.0 */
/* skills.list */
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/methods.h"
#include "daemon/skills.h"

struct skills {
    struct wc_request *r;
    struct wc_daemon *d;
    struct wc_skills_query query; /* the prefix is the request's */
    struct wc_buf rows;
    uint32_t rows_count;
    struct wc_skills_found found;
    int rc;
};

static void pack_row(void *ctx, const struct wc_skill_row *row)
{
    struct skills *s = ctx;
    wc_pack_map(&s->rows, 4);
    wc_pack_text(&s->rows, "name");
    wc_pack_str(&s->rows, row->name);
    wc_pack_text(&s->rows, "id");
    if (row->id != NULL)
        wc_pack_text(&s->rows, row->id);
    else
        wc_pack_nil(&s->rows);
    wc_pack_text(&s->rows, "alias");
    if (row->alias != NULL)
        wc_pack_text(&s->rows, row->alias);
    else
        wc_pack_nil(&s->rows);
    wc_pack_text(&s->rows, "people");
    wc_pack_u64(&s->rows, row->people);
    s->rows_count++;
}

static void skills_work(void *ctx)
{
    struct skills *s = ctx;
    s->rc = wc_index_skills(s->d->index, &s->query, pack_row, s, &s->found);
}

static void skills_done(void *ctx)
{
    struct skills *s = ctx;
    struct wc_buf out = {0};
    if (s->rc != 0) {
        wc_fail_search(s->r, s->rc);
    } else {
        wc_pack_map(&out, 3);
        wc_pack_text(&out, "skills");
        wc_pack_array(&out, s->rows_count);
        wc_buf_append(&out, s->rows.data, s->rows.len);
        out.failed |= s->rows.failed;
        wc_pack_text(&out, "total");
        wc_pack_u64(&out, s->found.total);
        wc_pack_text(&out, "corrected");
        if (s->found.corrected.len > 0)
            wc_pack_str(&out, wc_buf_slice(&s->found.corrected));
        else
            wc_pack_nil(&out);
        wc_request_reply(s->r, &out);
    }
    wc_buf_fini(&s->rows);
    wc_buf_fini(&s->found.corrected);
    free(s);
}

/* What is for the home office alone is counted for its own people, and not for a server of
 * the intranet, which shows what it gets to anybody. */
void wc_skills_list(struct wc_request *r)
{
    struct wc_daemon *d = wc_request_daemon(r);
    const struct wc_obj *params = wc_request_params(r, NULL);
    uint64_t limit = WC_FIND_LIMIT_DEFAULT;
    struct skills *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        wc_request_fail(r, -WC_ENOMEM, NULL, "out of memory");
        return;
    }
    wc_obj_u64(wc_obj_get(params, "limit"), &limit);
    s->r = r;
    s->d = d;
    s->query.limit = (uint32_t)limit;
    s->query.home = !wc_request_caller(r)->is_intranet;
    wc_obj_str(wc_obj_get(params, "prefix"), &s->query.prefix);
    int rc = wc_loop_work_in(d->loop, WC_LANE_SEARCH, wc_request_caller(r)->peer_uid,
                             skills_work, skills_done, s);
    if (rc != 0) {
        s->rc = rc;
        skills_done(s);
    }
}
