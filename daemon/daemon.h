/* SPDX-License-Identifier: Apache-2.0 */
/* What one running daemon consists of. Owned by main.c; methods look at it. */
#ifndef WHOCAN_DAEMON_DAEMON_H
#define WHOCAN_DAEMON_DAEMON_H

#include <whocan/cert.h>

#include "daemon/api.h"
#include "daemon/audit.h"
#include "daemon/config.h"
#include "daemon/discovery.h"
#include "daemon/engine.h"
#include "daemon/expiry.h"
#include "daemon/index.h"
#include "daemon/leavers.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/records.h"
#include "daemon/upkeep.h"
#include "daemon/watch.h"

struct wc_edit;   /* methods_me.c */
struct wc_asking; /* methods_ask.c */
struct wc_wording;

struct wc_daemon {
    struct wc_config config;
    struct wc_loop *loop;
    struct wc_records *records;
    struct wc_audit *audit;
    const struct wc_vocabulary *vocabulary; /* changed on the loop thread alone */
    struct wc_index *index;
    struct wc_upkeep *upkeep; /* of the index */
    struct wc_engine *engine;
    struct wc_discovery *discovery;
    struct wc_api *api;
    struct wc_watch *watch;
    struct wc_node_counts watched; /* when the watchers were told of them last */
    struct wc_identity *identity;  /* another one after office.join or office.leave */
    struct wc_strings addresses;   /* of the own card */
    struct wc_strings listened;    /* where links are accepted, with the ports got */
    struct wc_expiry expiry;       /* what was said of the certificate's end */
    struct wc_leavers *leavers;    /* NULL: accounts are not looked at */
    struct wc_wording *wording;    /* main.c: the vocabulary is being read anew */
    bool word_again;               /* and once more after that */
    uint64_t started_mono_ms;
    struct wc_asking *asks; /* open asks of people here */
    struct wc_edit *edits;  /* profiles being changed */
    bool edits_going_on;    /* methods_me.c: those that waited are being started */
    uint32_t writers_count; /* requests that sign as the office now */
    struct wc_log_valve slow_valve; /* of lines about slow finds */
    uint64_t slow_finds_count;
    bool checking; /* node.check is at work */
    bool joining;  /* office.join or office.leave is at work: nobody else is */
    bool stopping;
    void (*joined)(struct wc_daemon *d); /* that ended while stopping */
};

#endif
