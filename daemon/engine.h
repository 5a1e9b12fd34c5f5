/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the node engine (whocan/node.h): turns what the transport, the clock and the
 * socket say into events, and carries out the effects in order.
 *
 * Commits. PUT and DROP effects gather while one commit runs on the pool; when it ends
 * the next takes all that gathered, so that commits group themselves under load. A full
 * disk refuses what originates here (nothing changed, the caller is told) and keeps what
 * came from others for another try. A failing disk ends the process: what was
 * acknowledged is on disk, and a restart begins from there.
 *
 * Erasure. After the commit of a retirement that asks for it both stores are written anew,
 * in the place of a commit, so that nothing is written meanwhile; then the own card says
 * so. At most once in config.erase_interval_ms: what comes sooner waits and goes together.
 * What waited when the process ended is done after the next start.
 *
 * Everything here is called on the loop thread.
 */
#ifndef WHOCAN_DAEMON_ENGINE_H
#define WHOCAN_DAEMON_ENGINE_H

#include <whocan/cert.h>
#include <whocan/node.h>

#include "daemon/config.h"
#include "daemon/index.h"
#include "daemon/loop.h"
#include "daemon/records.h"
#include "daemon/transport.h"
#include "daemon/twins.h"
#include "daemon/watch.h"

struct wc_engine;

struct wc_engine_config {
    struct wc_loop *loop;
    struct wc_records *records;
    struct wc_index *index;
    bool replicate;
    uint64_t erase_interval_ms;
    bool accounts;          /* renew nobody's profile while their account is missing */
    bool alone;             /* nobody has newer records of this office */
    struct wc_watch *watch; /* is told what happens; or NULL */
    void (*changed)(void *ctx); /* offices or links are others now; may be NULL */
    /* For who looks for other offices; each may be NULL. It is an office from now on, and
     * none any more; a dial led to an office. */
    void (*began)(void *ctx, const struct wc_identity *identity);
    void (*ended)(void *ctx);
    void (*reached)(void *ctx, const uint8_t office_key[WC_KEY_BYTES],
                    const char *address);
    void *ctx;
};

/* A stopped engine with its transport. -WC_ENOMEM, -WC_EIO. */
int wc_engine_new(struct wc_engine **out, const struct wc_engine_config *config);

/* Of a stopped engine: close transport and timers, then call closed(ctx). */
void wc_engine_close(struct wc_engine *e, void (*closed)(void *ctx), void *ctx);

/* After it is closed; NULL is fine. */
void wc_engine_free(struct wc_engine *e);

/* What an office is started as. */
struct wc_engine_office {
    struct wc_identity *identity;  /* outlives the engine or its next stop, and is kept
                                     up to date: organisation key, certificate */
    const struct wc_strings *join; /* configured peers; copied */
    const struct wc_strings *addresses; /* of the own card; copied */
    /* Called once when it has settled: the own card is written. Never before
     * wc_engine_start() returns, nor after wc_engine_stop(). */
    void (*settled)(void *ctx);
    void *ctx;
};

/* Become an office: read all records, take up links. -WC_ENOMEM, or what the store said;
 * *problem gets one line. */
int wc_engine_start(struct wc_engine *e, const struct wc_engine_office *office,
                    char problem[WC_PROBLEM_BYTES]);

/* Take other configured peers. */
void wc_engine_set_join(struct wc_engine *e, const struct wc_strings *join);

/* Take other addresses that were found in one way (whocan/node.h), or one that a beacon
 * named. Nothing while stopped. */
void wc_engine_set_hints(struct wc_engine *e, enum wc_hint how,
                         const char *const *addresses, uint32_t count);
void wc_engine_heard(struct wc_engine *e, const char *address,
                     const uint8_t office_key[WC_KEY_BYTES]);

/* Stop being an office: links close, no put is taken any more, what gathered is
 * committed; then stopped(ctx) is called (not before this returns). */
void wc_engine_stop(struct wc_engine *e, void (*stopped)(void *ctx), void *ctx);

/*
 * Have the neighbours forget this office: what it has is retired on all links, and
 * done(ctx, told, links) is called when all have said that they have it, or after
 * wait_ms; not before this returns. told of links neighbours have said so. Nothing is
 * stored; the caller made it durable that the office ends, takes no put in the meantime,
 * and stops the engine then (and not before).
 */
void wc_engine_leave(struct wc_engine *e, uint64_t wait_ms,
                     void (*done)(void *ctx, uint32_t told, uint32_t links), void *ctx);

struct wc_transport *wc_engine_transport(struct wc_engine *e);

/* The node to look at (never to step); NULL while stopped. */
const struct wc_node *wc_engine_node(const struct wc_engine *e);

/*
 * Store a body that originates here and tell the other offices. done(ctx, rc) is called
 * once, perhaps before this returns: 0 when it is durable, -WC_EFULL when the disk is
 * full, or why the node refused it. Everything is copied.
 */
void wc_engine_put(struct wc_engine *e, uint8_t kind, struct wc_slice body,
                   const uint8_t author_key[WC_KEY_BYTES],
                   const uint8_t author_sig[WC_SIG_BYTES],
                   void (*done)(void *ctx, int rc), void *ctx);

/* The same, with a value beside the record that no other office gets (NULL: none): both
 * are durable, or neither is. */
void wc_engine_put_with(struct wc_engine *e, uint8_t kind, struct wc_slice body,
                        const uint8_t author_key[WC_KEY_BYTES],
                        const uint8_t author_sig[WC_SIG_BYTES],
                        const struct wc_meta_edit *beside,
                        void (*done)(void *ctx, int rc), void *ctx);

/* Store a record that the organisation signed, tell the other offices before everything
 * else, and act on it. As wc_engine_put(); -WC_EEXISTS when it is known already. */
void wc_engine_statement(struct wc_engine *e, struct wc_slice record,
                         void (*done)(void *ctx, int rc), void *ctx);

/*
 * Ask every office. answered() is called for each answer, the own office's included,
 * with how many offices were heard so far, until wc_engine_ask_end(). -WC_EBUSY while
 * stopped, -WC_ENOMEM.
 */
typedef void (*wc_engine_answer_fn)(void *ctx, const struct wc_answer *answer,
                                    uint32_t heard_count);
int wc_engine_ask(struct wc_engine *e, const uint8_t id[WC_ASK_ID_BYTES],
                  struct wc_slice text, struct wc_slice by, uint64_t lease_ms,
                  wc_engine_answer_fn answered, void *ctx);
void wc_engine_ask_end(struct wc_engine *e, const uint8_t id[WC_ASK_ID_BYTES]);

/* One open link, in no order; false past the end. */
struct wc_engine_link {
    char office[WC_OFFICE_NAME_MAX_BYTES + 1];
    struct wc_transport_link traffic;
    bool known;               /* the engine has taken it: */
    struct wc_node_link node; /* what it is to it */
    uint64_t sent_frames, received_frames;
    uint64_t dropped_frames; /* left out, because it left too much unread */
};
bool wc_engine_link_at(const struct wc_engine *e, uint32_t i,
                       struct wc_engine_link *out);

/* The i-th office that seems to run on two machines; false past the end. */
bool wc_engine_twin_at(const struct wc_engine *e, uint32_t i, struct wc_twin *out);

struct wc_engine_health {
    bool disk_full;      /* the last commit found no space */
    bool index_behind;   /* the index did not take the last changes */
    uint64_t owed_count; /* records of others that wait for space */
    uint64_t erasures_waiting;
    int erasure_rc;            /* why the last attempt to complete them failed, or 0 */
    uint64_t handshakes_count; /* that succeeded, whoever dialled */
    uint64_t dropped_count;    /* links that ended after that */
    uint64_t asked_count;      /* asks of people here */
    uint64_t answers_count;    /* offices' answers to them, this one's included */
    uint64_t answered_count;   /* asks that this office answered, its own included */
    uint64_t ended[WC_ERRORS_COUNT]; /* of those that were dropped, by the reason */
    uint64_t left_out_frames[WC_URGENT_ANSWERS + 1]; /* of queues that were too long, */
    uint64_t left_out_bytes[WC_URGENT_ANSWERS + 1];  /* by what they were */
    uint64_t sent_frames, received_frames;           /* of all links, */
    uint64_t sent_bytes, received_bytes;             /* before encryption */
    uint64_t gathering_count, gathering_bytes;       /* changes for the next commit */
    uint64_t committing_count;                       /* of the commit under way */
    uint64_t owed_bytes;
};
void wc_engine_health(const struct wc_engine *e, struct wc_engine_health *out);

#endif
