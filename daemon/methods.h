/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods of the socket. One table says for each what it takes and gives and who may
 * call it; it drives dispatch, the checks before a handler runs, and api.describe.
 */
#ifndef WHOCAN_DAEMON_METHODS_H
#define WHOCAN_DAEMON_METHODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <whocan/error.h>
#include <whocan/pack.h>

#include "daemon/api.h"

/* The role that a method takes: wc_roles in daemon/access.c says who has it. */
enum wc_method_access { WC_METHOD_READ, WC_METHOD_SELF, WC_METHOD_ADMIN };

enum wc_param_type {
    WC_PARAM_STR, /* min..max bytes */
    WC_PARAM_INT, /* min..max */
    WC_PARAM_BOOL,
    WC_PARAM_LIST, /* at most max elements, which the handler checks */
    WC_PARAM_BIN,  /* min..max bytes */
    WC_PARAM_MAP,  /* which the handler checks */
};

struct wc_param {
    const char *name; /* NULL ends a list of parameters */
    enum wc_param_type type;
    bool required;
    uint64_t min, max;
    const char *help;
};

struct wc_result {
    const char *name; /* NULL ends a list of results */
    const char *type; /* as docs/socket.md writes it */
    const char *help;
};

struct wc_method {
    const char *name;
    enum wc_method_access access;
    bool person_fields; /* takes the fields of a person beside `params` */
    const char *summary;
    const struct wc_param *params;
    const struct wc_result *results;
    const char *const *notifications; /* NULL-terminated, or NULL */
    void (*call)(struct wc_request *r);
    enum wc_cost cost; /* by which the requests of a uid are rated */
};
extern const struct wc_method wc_methods[];
extern const size_t wc_methods_count;

const struct wc_method *wc_method_find(struct wc_slice name); /* NULL: there is none */

/* wc_api_cost_fn: what a request of that method costs. */
enum wc_cost wc_method_cost(struct wc_slice name);

/*
 * Check the parameters against the table: types, ranges, what is required, and that
 * nothing unknown is there. -WC_EMISSING, -WC_ETYPE, -WC_EINVALID, -WC_ETOOBIG with the
 * field in err->field (static) and the sentence for a person in `why`.
 */
int wc_params_check(const struct wc_method *method, const struct wc_obj *params,
                    struct wc_err *err, char *why, size_t why_cap);

/* The result of api.describe. */
void wc_methods_describe(struct wc_buf *out);

/* wc_api_dispatch_fn: access, parameters, handler. */
void wc_methods_dispatch(struct wc_daemon *d, struct wc_request *r);

/*
 * methods_audit.c. Call a method of administration: when the audit log has it, and not
 * before. Its handler may say more about the outcome (counts, names; never what people
 * wrote) until it ends the request; requests of other roles ignore it.
 */
void wc_act_call(struct wc_daemon *d, struct wc_request *r,
                 const struct wc_method *method);
void wc_act_say(struct wc_request *r, const char *key, const char *text);
void wc_act_say_u64(struct wc_request *r, const char *key, uint64_t value);

/* The handlers, by file. */
void wc_api_describe(struct wc_request *r);

void wc_people_find(struct wc_request *r); /* methods_people.c */
void wc_people_show(struct wc_request *r);
void wc_people_export(struct wc_request *r);
void wc_people_import(struct wc_request *r); /* methods_import.c */
void wc_people_rows(struct wc_request *r);   /* methods_complete.c */
void wc_people_retire(struct wc_request *r);
void wc_me_show(struct wc_request *r); /* methods_me.c */
void wc_me_put(struct wc_request *r);
void wc_me_reject(struct wc_request *r);
void wc_me_set(struct wc_request *r);
void wc_me_add(struct wc_request *r);
void wc_me_drop(struct wc_request *r);
void wc_people_about(struct wc_request *r);   /* methods_about.c; me.export too */
void wc_people_erase(struct wc_request *r);   /* methods_erase.c; me.erase too */
void wc_people_erasure(struct wc_request *r); /* me.erasure too */
void wc_ask_create(struct wc_request *r);     /* methods_ask.c */
void wc_ask_cancel(struct wc_request *r);
void wc_offices_list(struct wc_request *r); /* methods_office.c */
void wc_node_status(struct wc_request *r);
void wc_node_watch(struct wc_request *r); /* methods_status.c */
void wc_watch_look(void *daemon);         /* for wc_watch_new() */
void wc_office_show(struct wc_request *r);
void wc_office_ask_admission(struct wc_request *r);
void wc_office_join(struct wc_request *r);
void wc_org_known(struct wc_request *r); /* methods_org.c */
void wc_office_leave(struct wc_request *r);
void wc_org_submit(struct wc_request *r);      /* methods_org.c */
void wc_audit_read(struct wc_request *r);      /* methods_audit.c */
void wc_vocabulary_list(struct wc_request *r); /* methods_vocabulary.c */
void wc_vocabulary_read(struct wc_request *r);
void wc_skills_list(struct wc_request *r); /* methods_skills.c */
void wc_node_check(struct wc_request *r);  /* methods_doctor.c */

/* Whom a request of either kind is about: "handle", which must be of this office, or
 * without that the caller. False: the request was ended. */
bool wc_request_about(struct wc_request *r, char login[WC_SUBJECT_MAX_BYTES + 1]);

/* End a request that the index could not answer (methods_doctor.c). A damaged one is built
 * anew from here on. */
void wc_fail_search(struct wc_request *r, int rc);

/* Open asks of one login: how many; as a list of maps; wait for no more answers. */
uint32_t wc_asks_count(const struct wc_daemon *d, const char *login);
void wc_asks_pack(const struct wc_daemon *d, const char *login, struct wc_buf *b);
void wc_asks_end(struct wc_daemon *d, const char *login);

#endif
