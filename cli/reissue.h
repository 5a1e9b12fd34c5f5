/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that are issued anew, and how every office learns of them: shared by org
 * renew and org rotate. */
#ifndef CLI_REISSUE_H
#define CLI_REISSUE_H

#include <jansson.h>

#include <whocan/cert.h>

#include "cli/run.h"

/* Zero-initialise, then wc_reissue_init(). */
struct wc_reissue {
    struct wc_buf *grants; /* records */
    uint32_t count, cap;
    json_t *offices; /* [ { office, serial, not_after } ] */
};

/* 0 or the exit code; release with wc_reissue_fini() in any case. */
int wc_reissue_init(struct wc_run *run, struct wc_reissue *re);
void wc_reissue_fini(struct wc_reissue *re);

/* Certify an office anew: *cert says its keys, name, dates and quota. */
int wc_reissue_add(struct wc_run *run, struct wc_reissue *re, struct wc_orgkey *key,
                   const struct wc_signer *signer, struct wc_cert *cert);

/*
 * Hand the rotation (may be empty) and then all grants to a daemon, in lines that it
 * takes; what no daemon took is appended to `left`, one line each, with *why_not (of
 * size 256) the reason.
 */
int wc_reissue_hand(struct wc_run *run, const struct wc_reissue *re,
                    struct wc_slice rotation, struct wc_buf *left, char *why_not);

#endif
