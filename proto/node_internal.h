/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the node engine, shared by proto/node_*.c and nobody else.
 *
 *   node.c            the step: dispatch, what is due, looking
 *   node_effects.c    the list of effects
 *   node_offices.c    who is known: certificates, cards, revocations, quotas
 *   node_trust.c      renewal and rotation: grants, another organisation key
 *   node_held.c       the records that are held, their dates
 *   node_records.c    records that come from others
 *   node_statement.c  what the organisation says: revocations, grants, rotations
 *   node_blame.c      who is to blame, and what one office may cost the others
 *   node_local.c      records that originate here, the own card, stamping again
 *   node_leave.c      leaving the organisation
 *   node_overlay.c    neighbours: who is one, and who would be (proto/views.h)
 *   node_broadcast.c  passing records, asks and answers on (proto/plumtree.h)
 *   node_beat.c       the shape of the tree over which things are passed on
 *   node_links.c      links, clocks
 *   node_sync.c       reconciliation
 *   node_ask.c        asks and answers
 *   node_answers.c    answers on their way, when the way breaks
 *   node_hints.c      addresses that nobody's card has: configured, asked for, heard
 *   node_dial.c       which addresses to dial, and when
 *   node_look.c       what it all looks like, for people
 */
#ifndef WHOCAN_PROTO_NODE_INTERNAL_H
#define WHOCAN_PROTO_NODE_INTERNAL_H

#include <whocan/node.h>

#include "proto/itemset.h"
#include "proto/map.h"
#include "proto/plumtree.h"
#include "proto/reconcile.h"
#include "proto/rng.h"
#include "proto/timeline.h"
#include "proto/views.h"
#include "proto/wire.h"

#define WC_NONE  UINT32_MAX
#define WC_NEVER UINT64_MAX

/* ---- the tunables, each with its reason ---- */

/* A link that is silent is asked, once, and given up when no answer comes in 8 seconds:
 * the silent loss of a host is noticed within 20 s. TCP sends a question that is lost
 * again, five times in 8 seconds; a second one could not overtake it. Questions are most
 * of what an idle office sends: at 5 s they were half of 85 bytes a second. */
#define WC_PING_AFTER_MS  12000
#define WC_LINK_SILENT_MS 20000
#define WC_PING_LATER_MS                                                               \
    1000 /* who dialled asks so much later: one of the two asks, and not both */

/* Two neighbours that are lost one after the other may be the half of all offices: the
 * others are asked at once, and given up when they do not answer soon. So an office whose
 * neighbours lost their power finds others long before their silence says so. */
#define WC_LOST_WITHIN_MS 2000
#define WC_DOUBT_MS       3000

/* A link that was heard within a ping and its answer is alive: a second link to the same
 * office is then judged by rule; an older one is dead and gives way to the new one. */
#define WC_LINK_ALIVE_MS 15000

/* Who is no neighbour (this office has as many as it may) is a visitor: long enough to
 * learn the cards of everybody, so that nobody whose only configured peer is popular
 * stays alone. */
#define WC_VISIT_MS 15000

/* Neighbours (proto/views.h has how many). */
#define WC_SHUFFLE_EVERY_MS                                                            \
    90000 /* 250 bytes each way: 6 bytes a second, and who died is known in minutes */
#define WC_SHUFFLES_BRIM_COUNT 16  /* of a neighbour, */
#define WC_SHUFFLES_AN_HOUR    240 /* four times as often as anybody needs */
#define WC_URGENT_BRIM_COUNT   8   /* times that one office may push another out, */
#define WC_URGENT_AN_HOUR      60  /* and once a minute: who has none asks on */
#define WC_REFUSED_WAIT_MS     100 /* after a refusal, and twice as long each time */
#define WC_REFUSED_DOUBLINGS   6   /* up to 6.4 s */
#define WC_COURTED_BYTES                                                               \
    256 /* what a NEIGHBOUR or a JOINED counts for as waste of its sender's */

/* Passing on (proto/plumtree.h has the timers). */
#define WC_FLOOD_OFFICES_COUNT                                                         \
    16 /* so few offices are told everything by all their neighbours */
#define WC_ANNOUNCE_MS 10 /* ids wait so long for others: a part of a link's time */
#define WC_KEPT_MS                                                                     \
    10000 /* what was passed on is kept for who asks for it: afterwards it is on disk */
#define WC_KEPT_COUNT 1024
#define WC_KEPT_BYTES (1u << 20)

/* Reconciliation: with every new link (who was dialled waits a little, so that most
 * links are found equal once and not twice) and now and then with one neighbour. */
#define WC_SYNC_EVERY_MS    30000
#define WC_SYNC_ANSWERER_MS 1000
#define WC_SYNC_STALL_MS    10000 /* nothing came for so long: another neighbour */
#define WC_SYNC_AGAIN_MS    200 /* a session that brought something is repeated soon, */
#define WC_SYNC_AGAIN_MAX_MS                                                           \
    30000 /* one that did not, later and later: differences that cannot be settled
             (records that one side refuses) must not cost more than the usual rounds */
#define WC_SYNC_ASIDE_MS                                                               \
    1000 /* after one that left ranges to others: they have them, or lost them, by then */
#define WC_SYNC_EARLY_MS                                                               \
    10000 /* after one with a neighbour that has not come as far as we have */
#define WC_SYNC_FRUITLESS_COUNT                                                        \
    128 /* answers, of 32 ranges each, in which it had nothing for us: it is behind, and   \
           fetches for itself. Among differences that are of use to us an honest one does  \
           not answer so often without one */
#define WC_SYNC_STACK_MAX_COUNT                                                        \
    16384 /* ranges still to ask about; depth first, an honest session holds hundreds */
#define WC_SYNC_NEED_MAX_COUNT                                                         \
    2048 /* items known to lack: below it one more DIFF (1,024 items) may be asked for */

/* Who lacks so much leads sessions with several neighbours at once, and they share the
 * work: a range that one asks about is its own for a while. */
#define WC_SYNC_BULK_COUNT    256
#define WC_SESSIONS_MAX_COUNT 4 /* one core verifies no more than two give */
#define WC_LEASE_BITS         8 /* ranges of so many bits, that is one byte, */
#define WC_LEASES_COUNT       256
#define WC_LEASE_MS                                                                    \
    2000 /* some times the pause between two questions about a range; who is slower than  \
            that may be overtaken */

/* Audits: each office leads one a day, at its own time. One more when a neighbour's found
 * something, once an hour. */
#define WC_AUDIT_EVERY_MS        WC_DAY_MS
#define WC_AUDIT_ANSWER_MS       WC_HOUR_MS
#define WC_AUDIT_COUNTS_AS_COUNT 1024 /* items to be hashed: 30 us, like a SYNC */

/* Catching up by few records is told to other neighbours at once; after more they are
 * reconciled instead, because a new office would send everything to everybody. */
#define WC_SYNC_FLOOD_MAX_COUNT 64

/* What one link may be sent in one step in answer to WANT: then others get their turn.
 */
#define WC_SERVE_STEP_BYTES (1u << 20)
#define WC_UNSTORED_MS                                                                 \
    30000 /* a record held for so long and not in the store was lost by it: forget it,
             so that reconciliation brings it again */

/* Beats (node_beat.c) */
#define WC_BEAT_EVERY_MS        30000 /* 6 bytes a second, and half a minute after a change */
#define WC_BEAT_STALE_MS        100000 /* three did not come */
#define WC_BEAT_MIN_MS          10000  /* what comes sooner is not followed */
#define WC_BEAT_SMALLER_COUNT   16 /* but for smaller roots, when many begin at once, */
#define WC_BEAT_SMALLER_AN_HOUR 360
#define WC_BEAT_SETTLE_MS                                                              \
    1000                   /* children have said so: twice the longest link, and more */
#define WC_BEAT_SLACK_MS 5 /* the parent stays while its beat is not later than this */

/* Dialling: so many dials at once, and so many in the long run, whatever asks for them. */
#define WC_NODE_DIALS_COUNT 8
#define WC_DIALS_BRIM_COUNT 64 /* half of all died: a dozen dials find the living */
#define WC_DIALS_AN_HOUR    3600
#define WC_DIALS_PACE_MS    1000 /* who used up all that looks again after so long */
#define WC_DIAL_BACKOFF_MS  250
#define WC_DIAL_BACKOFF_MAX_MS                                                         \
    60000 /* an office that was away for a week is back within a minute */
#define WC_DIAL_CALM_MS                                                                \
    30000 /* who has neighbours does not press a configured peer that closed a link */
#define WC_DIAL_STEADY_MS                                                              \
    5000 /* a link that lasted so long was good: dial again at once when it is lost */
#define WC_HEARD_KEEP_MS                                                               \
    150000 /* two beacons did not come: whoever it was is not there any more */
#define WC_DIAL_EXPLORE_MS                                                             \
    150000 /* a random office now and then becomes a neighbour, so that separate halves
              find each other: of 2,000 offices 13 do it each second. A visit is a
              handshake and two cards, 2 KB in all */

#define WC_DIAL_PROBE_OFFICE_MS                                                        \
    50 /* one that could not be reached is tried so often by all offices together, and    \
          not 10,000 times a minute when one of 10,000 is away */
#define WC_DIAL_PROBE_MIN_MS                                                           \
    2500 /* and by one office not more often than this: of ten that were parted five and  \
            five, some two meet within seconds */

/* Clocks and dates */
#define WC_CLOCK_PEERS_MIN 3 /* fewer neighbours cannot say who is wrong */
#define WC_EXPIRY_LOOK_MS                                                              \
    60000 /* the wall clock may be set: look at it at least so often */
#define WC_EXPIRED_AT_START_MS                                                         \
    3600000 /* what had expired before the start waits so long for its deletion: the
               clock may be wrong, and the neighbours say so within that time */
#define WC_EXPIRY_STEP_COUNT  512 /* records looked at in one step */
#define WC_LEAVE_STEP_COUNT   128 /* retired in one step: two signatures each */
#define WC_RESTAMP_STEP_COUNT 64  /* stamped again in one step: a signature each */
#define WC_RESTAMP_OPEN_COUNT 256 /* of them waiting for their commit */
#define WC_RESTAMP_RETRY_MS   600000
#define WC_RESTAMP_GAIN_MS                                                             \
    WC_DAY_MS /* a stamp that lengthens the lease by less is not worth its traffic */
#define WC_CARD_RETRY_MS    5000
#define WC_PURGE_STEP_COUNT 512   /* records dropped in one step */
#define WC_PURGE_LOOK_COUNT 8192  /* records looked at for that */
#define WC_REFUSED_NOTE_MS  60000 /* one note about an office's bad records a minute */
#define WC_BLAMED_NOTE_MS                                                              \
    1000 /* for watchers: a flood of faults is no flood of notes */

/* Asks: remembered until nobody answers them live any more, by any clock. */
#define WC_ASK_REMEMBER_MS (WC_ASK_LIVE_MS + 2 * WC_FUTURE_SLACK_MS + 60000)

/* Answers that were sent are kept until a dead link would have been noticed, and some
 * seconds more for what was on its way: 10,000 offices' answers to one ask fit. */
#define WC_SENT_KEPT_MS   (WC_LINK_SILENT_MS + 10000)
#define WC_SENT_MAX_COUNT 16384
#define WC_SENT_MAX_BYTES (4u << 20)
#define WC_SPREAD_BRIM_COUNT                                                           \
    256 /* answers told to everybody, for lack of a way: 350 KB at most, */
#define WC_SPREAD_AN_HOUR 3600

/* Hashes of records seen of late: most of what a flood brings came already. */
#define WC_SEEN_COUNT 1024

/* What one office may cost the others. Brims are for moments, leaks for the long run. */
#define WC_HOUR_MS             3600000ULL
#define WC_ASKS_BRIM_COUNT     256 /* asks of one office: a quarter of those remembered, */
#define WC_ASKS_AN_HOUR        7200        /* and two a second */
#define WC_WASTE_BRIM_BYTES    (16u << 20) /* useless records of a neighbour */
#define WC_WASTE_AN_HOUR_BYTES (56u << 20) /* 16 KiB a second */
#define WC_WASTE_ITEM_BYTES    64    /* an item that it said it had, and did not */
#define WC_WASTE_RANGE_BYTES   16    /* a range that it said differed */
#define WC_WORTH_RECORD_BYTES  1024  /* what a record that was of use makes up for */
#define WC_SYNCS_BRIM_COUNT    16384 /* SYNC frames: a session about a million records */
#define WC_SYNCS_AN_HOUR       (64 * 3600ULL)
#define WC_FETCH_BRIM_COUNT                                                            \
    16384                      /* records asked for, and four times all that is held */
#define WC_FETCH_PACE_MS   100 /* who asked for more gets one at a time */
#define WC_WASTE_PAUSE_MS  60000 /* no session with a neighbour that wasted so much */
#define WC_LIMITED_LOOK_MS 60000 /* how often a signature is checked only for blame */
#define WC_OVER_PATIENCE_MS                                                            \
    10000 /* over the quota for so long is no accident: somebody left and somebody came,  \
             and the news arrived in the other order */
#define WC_OVER_FORGET_MS 300000
#define WC_RECENT_COUNT   64 /* stamps on their way to the disk */

/* A neighbour that sent what no honest one sends may come back after a second, and each
 * time after twice as long; calm times count back. */
#define WC_SHUN_MS          1000
#define WC_SHUN_MAX_MS      300000
#define WC_STRIKE_FORGET_MS 600000

/* A session that gets on slower than this gives way to the next neighbour, and goes on in
 * its next turn. */
#define WC_SYNC_SESSION_MS 10000
#define WC_SYNC_RECORD_MS  20

/* ---- offices ---- */

/* Fills with use and leaks with time. Zero-initialise: empty. */
struct wc_bucket {
    uint64_t used;
    uint64_t since_ms; /* monotonic: how far the leak was reckoned */
};

/* What of an office is counted against its quota, each kind for itself. */
enum wc_quota_set {
    WC_QUOTA_ROWS,
    WC_QUOTA_PROFILES,
    WC_QUOTA_REST, /* all but cards */
    WC_QUOTA_SETS_COUNT,
};

struct wc_office {
    uint8_t key[WC_KEY_BYTES];
    bool has_cert;
    bool has_card; /* its card is held and not expired */
    bool revoked;
    uint8_t revoked_slot[WC_DIGEST_BYTES]; /* of the revocation */
    bool superseded; /* another office of this name has a higher serial */
    bool purge;      /* its records go */
    bool trim;       /* its quota became smaller: who is over it goes */
    bool former;     /* its certificate is by a former organisation key */
    struct wc_cert cert;
    uint32_t address_count;
    char *addresses; /* one after the other, each with its terminator */
    uint32_t erased_count;
    uint8_t *erased;     /* marks of erasures that its card says it completed */
    uint32_t link;       /* number of the link to it, 0 none */
    uint32_t held_count; /* records of it, hidden ones included */
    uint64_t last_heard_ms;
    int64_t clock_offset_ms;
    uint64_t news_ms;   /* wall clock: something that it signed came, */
    uint32_t news_link; /* by this link, */
    uint8_t news_hops;  /* and an ask of it had crossed so many; 0: none came */
    char version[WC_PROGRAM_MAX_BYTES + 1];
    struct wc_itemset counted[WC_QUOTA_SETS_COUNT]; /* slots of what is live */
    struct wc_itemset hidden;                       /* slots of what is over */
    uint64_t noted_ms;        /* monotonic: last note about a refused record */
    uint64_t contradicted_ms; /* and about two contents */
    uint64_t limited_ms;      /* and last signature that was checked only for blame */
    uint64_t over_first_ms, over_last_ms; /* when it was over its quota */
    struct wc_bucket changes, asks;

    bool dialled;   /* a dial to one of its addresses is under way */
    bool unreached; /* the last one led nowhere */
    uint32_t dial_failures;
    uint32_t dial_next; /* which address */
    uint64_t dial_due_ms;
};

/* ---- records ---- */

struct wc_held {
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_version version;
    uint64_t stamped_at_ms;
    uint64_t expires_at_ms;
    char *subject;    /* of a retirement a hash */
    uint32_t office;  /* index; of a revocation or rotation the own office's, of a
                         grant that of the certified one */
    uint32_t since_s; /* monotonic seconds */
    uint8_t kind;
    uint8_t slot_kind;
    bool hidden; /* expired: no longer in its set */
    bool ended;  /* with the certificate that was renewed since: to be stamped again */
    bool used;   /* false: on the list of free ones, next in `office` */
};

/* A local edit whose commit is awaited. */
struct wc_pending {
    uint8_t token[8]; /* big-endian: a key of the map */
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_version version;
    uint8_t kind;
    bool adds_slot; /* counts against the quota already */
    uint8_t *bytes;
    size_t len;
    uint32_t earlier; /* pending edit of the same slot before this one, or WC_NONE */
    uint32_t later;
    bool used;
    uint32_t next_free;
};

/* A stored record that must not stay: dropped at START. */
struct wc_orphan {
    uint8_t slot[WC_DIGEST_BYTES];
    uint8_t slot_kind;
    uint8_t office_key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
};

/* ---- conduct ---- */

/* Of one office, by its key: it stays when the office is forgotten. */
struct wc_conduct {
    uint8_t key[WC_KEY_BYTES];
    char office[WC_OFFICE_NAME_MAX_BYTES + 1];
    bool blamed;
    uint32_t links; /* that point here */
    uint32_t strikes;
    uint64_t strike_ms, shun_until_ms;
    uint64_t used_ms;
    uint64_t noted_ms; /* when it was last said that it is to blame */
    uint64_t last_ms;  /* wall clock */
    uint64_t counts[WC_BLAMES_COUNT];
    struct wc_bucket waste, syncs, fetched, shuffles, urgent;
    struct wc_bucket unkept; /* of the waste: what it said that it had */
};

struct wc_recent {
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_version version;
    struct wc_node_stamp stamp;
};

/* ---- links ---- */

struct wc_outbox {
    struct wc_buf packed;
    uint32_t count;
    bool urgent; /* something in it may not be left out */
};

struct wc_want {
    uint8_t set;
    uint32_t count, at;
    uint8_t items[WC_WANT_ITEMS_MAX_COUNT][WC_ITEM_BYTES];
};

/* An open link and the office at its other end. */
struct wc_peer {
    uint32_t link;
    uint32_t office;
    struct wc_conduct *conduct;
    bool initiator; /* we dialled */
    bool join;      /* to a configured peer */
    bool active;    /* a neighbour: what is new goes there. Else a visitor */
    bool parted;    /* one of us said that it is none */
    bool newcomer;  /* others are to be told of it when its card comes */
    bool greeted;   /* the first RECORDS came: its card, which we may have */
    bool hello;     /* theirs came */
    bool clock;     /* the office's offset was measured on this link */
    bool closing;   /* freed at the end of the step */
    uint64_t up_ms, heard_ms, pinged_ms, visit_ms; /* visit: since it is none */
    uint64_t doubt_ms;   /* since when an answer is waited for, or 0 */
    uint64_t ping_token; /* of the ping that is not answered yet, or 0 */
    uint64_t asked_ms;   /* when the SYNC was sent that is not answered yet, or 0 */
    uint32_t rtt_ms;     /* of the last answer to either, or WC_RTT_UNKNOWN */
    bool leave_asked; /* whether it has all retirements of this office, that leaves */

    struct wc_outbox records, answers;
    struct wc_buf graft;                            /* ids to ask it for */
    struct wc_want *wants[WC_WANTS_OPEN_MAX_COUNT]; /* in order; NULL: none */

    uint64_t sync_due_ms;         /* we want to reconcile, WC_NEVER: no need */
    uint64_t sync_not_before_ms;  /* and not before */
    uint32_t sync_again_ms;       /* wait after a session that brought nothing */
    bool audit;                   /* its audit found something: ours is due */
    uint64_t serve_not_before_ms; /* it asked for more than anybody needs */
};

/* ---- reconciliation: the sessions that we lead ---- */

struct wc_session {
    uint32_t link; /* 0: none */
    struct wc_reconcile r;
    uint32_t wants_open;
    uint32_t open_counts[WC_WANTS_OPEN_MAX_COUNT]; /* items of each, oldest first */
    uint32_t came;                                 /* in answer to the oldest */
    uint64_t wanted, accepted;                     /* records, of both sets */
    uint32_t fruitless; /* answers one after the other in which nothing lacked here */
    uint64_t began_ms, active_ms;
};

/* A range that a session asked about of late. */
struct wc_lease {
    uint32_t link;
    uint64_t until_ms;
};

/* The last one that ended well. */
struct wc_last_sync {
    bool any;
    uint8_t office_key[WC_KEY_BYTES];
    uint64_t ended_ms, took_ms, wanted, taken;
};

/* ---- asks ---- */

enum wc_match {
    WC_MATCH_WAITS, /* for a place among the searches under way */
    WC_MATCH_ASKED,
    WC_MATCH_DONE,
};

struct wc_asked {
    uint8_t id[WC_ASK_ID_BYTES];
    bool local;
    bool cancelled;
    uint8_t from[WC_KEY_BYTES];   /* the office that it came from: links may change */
    uint8_t origin[WC_KEY_BYTES]; /* the office that asks */
    uint64_t born_ms;
    enum wc_match match;
    char *text;     /* until it is matched */
    uint8_t *heard; /* bitmap of offices by index */
    uint32_t heard_bytes;
    uint32_t heard_count;
};

/* An answer that was sent on. */
struct wc_sent {
    uint8_t ask_id[WC_ASK_ID_BYTES];
    uint64_t since_ms;
    uint32_t from;  /* the link that it came over, or 0 */
    uint32_t via;   /* the link that it went over, or 0 */
    bool dialling;  /* there is no way yet: who asks is being dialled */
    bool told;      /* for lack of a way others were */
    uint8_t *bytes; /* body ‖ signature */
    size_t len;
};

/* ---- beats ---- */

struct wc_beat {
    struct wc_wire_beat last; /* as it is sent on */
    uint64_t heard_ms;        /* 0: never */
    uint64_t next_ms;         /* when we are the root, or make ourselves it */
    uint32_t parent;          /* link by which they come, or 0 */
    uint32_t faster;    /* link that brought the last one sooner, or 0; it takes */
    uint64_t switch_ms; /* the parent's place then */
    uint64_t settle_ms; /* when all children have said that they are, 0: they have */
    struct wc_bucket smaller; /* roots that were followed sooner than others are */
};

/* ---- what was passed on of late ---- */

struct wc_kept {
    uint8_t id[WC_MESSAGE_ID_BYTES];
    uint32_t hops; /* of an ask: links it has crossed when it goes on; 0: a record */
    uint64_t since_ms;
    uint8_t *bytes;
    size_t len;
};

/* ---- dialling ---- */

struct wc_join {
    enum wc_hint how;
    uint64_t heard_ms; /* of WC_HINT_BEACON: when it was last */
    char address[WC_ADDRESS_MAX_BYTES + 1];
    bool self;  /* it led to ourselves */
    bool known; /* office_key is who was there last */
    uint8_t office_key[WC_KEY_BYTES];
    uint32_t failures;
    uint64_t due_ms;
};

struct wc_dial {
    uint32_t number; /* 0: free */
    bool join;
    bool explore;
    char address[WC_ADDRESS_MAX_BYTES + 1];
    uint8_t office_key[WC_KEY_BYTES]; /* whose card has the address; not of a join */
};

/* ---- the node ---- */

/* What can be due; worked off in this order. */
enum wc_due {
    WC_DUE_CARD,
    WC_DUE_EXPIRY,
    WC_DUE_PURGE,
    WC_DUE_FORMER,
    WC_DUE_LINKS,
    WC_DUE_ASKS,
    WC_DUE_SYNC,
    WC_DUE_SERVE,
    WC_DUE_DIAL,
    WC_DUE_SHUFFLE,
    WC_DUE_TREE,
    WC_DUE_BEAT,
    WC_DUE_ANNOUNCE,
    WC_DUE_FLUSH,
    WC_DUE_COUNT,
};

struct wc_node {
    struct wc_identity own; /* the copy: organisation and certificate may change */
    const struct wc_identity *identity; /* that copy */
    struct wc_store_port store;
    wc_verify_fn verify;
    void *verify_ctx;
    struct wc_rng rng;

    /* of the step under way */
    uint64_t now_ms, mono_ms;
    struct wc_effects *fx; /* NULL outside a step */

    uint64_t due_ms[WC_DUE_COUNT];
    uint64_t last_seq;
    uint64_t next_own_token;
    uint64_t wall_ms;         /* the wall clock at the last step */
    uint64_t former_until_ms; /* monotonic: former certificates are believed */

    struct wc_office **offices; /* by index; NULL where one went away */
    struct wc_map offices_by_key;
    uint32_t *by_name; /* those with a certificate, in order of name */
    uint32_t offices_cap;
    uint32_t by_name_count;
    uint32_t self;

    uint32_t held_count; /* places in use or free */
    uint32_t held_cap;
    uint32_t held_free; /* first free place, or WC_NONE */
    struct wc_held *held;
    struct wc_map held_by_slot;
    struct wc_itemset sets[WC_SETS_COUNT];
    struct wc_timeline dates; /* wall clock: stamp again, hide, drop */

    struct wc_pending *pending;
    struct wc_map pending_by_token;
    struct wc_map pending_by_slot; /* the latest of each slot */
    uint32_t pending_count, pending_cap, pending_free;
    uint32_t pending_own; /* of them the engine's own */
    uint32_t pending_slots[WC_QUOTA_SETS_COUNT];

    struct wc_orphan *orphans;
    uint32_t orphan_count, orphan_cap;

    char (*listen)[WC_ADDRESS_MAX_BYTES + 1];
    struct wc_buf card; /* the own card as last stored, or empty */

    struct wc_peer **peers; /* in order of arrival */
    uint32_t peer_count, peer_cap;

    struct wc_views views;               /* of indices of offices */
    uint32_t told[WC_SHUFFLE_MAX_COUNT]; /* in the last shuffle, that waits for its */
    uint32_t told_count;                 /* answer on this link: */
    uint32_t shuffle_link;
    uint64_t shuffle_ms, fill_ms;
    uint64_t lost_ms;  /* when a neighbour was lost last, or 0 */
    uint32_t refusals; /* one after the other */

    struct wc_plumtree tree; /* of links */
    struct wc_beat beat;
    struct wc_kept *kept; /* a ring, oldest first */
    uint32_t kept_first, kept_count, kept_cap;
    size_t kept_bytes;

    struct wc_session sessions[WC_SESSIONS_MAX_COUNT];
    struct wc_lease *leases; /* of each set; NULL while there is one session at most */
    struct wc_last_sync last_sync;
    uint64_t sync_round_ms;
    uint64_t audit_ms;        /* when the next audit of ours is due, */
    uint64_t audit_answer_ms; /* and not before this one because of another's */

    struct wc_asked **asks; /* by index */
    struct wc_map asks_by_id;
    uint32_t asks_first, asks_count; /* a ring of WC_ASKS_MAX_COUNT, oldest first */
    uint32_t matches_open, matches_waiting;
    struct wc_sent *sent; /* a ring, oldest first */
    uint32_t sent_first, sent_count, sent_cap;
    size_t sent_bytes;
    struct wc_bucket spread; /* answers that went to everybody */

    struct wc_join *joins; /* addresses without a card, in the order of enum wc_hint */
    struct wc_bucket dialled;
    struct wc_dial dials[WC_NODE_DIALS_COUNT];
    uint64_t explore_ms, probe_ms;
    uint32_t join_count;
    uint32_t next_dial;

    struct wc_conduct *conduct[WC_CONDUCT_MAX_COUNT];
    struct wc_node_evidence *evidence[WC_EVIDENCE_MAX_COUNT];
    uint32_t conduct_count, evidence_count;
    struct wc_recent recent[WC_RECENT_COUNT];
    uint32_t recent_next;

    uint64_t seen[WC_SEEN_COUNT];
    uint8_t seen_key[16];

    char version[WC_PROGRAM_MAX_BYTES + 1];
    struct wc_node_counts counts;
    uint64_t records_received, records_refused, asks_relayed, answers_relayed;
    uint64_t syncs_done, audits_done, audit_finds;

    uint32_t listen_count;
    uint8_t *erased; /* marks of the erasures that the own card lists */
    bool (*may_restamp)(void *ctx, uint8_t kind, const char *subject);
    void *may_restamp_ctx;
    uint32_t erased_count;
    uint32_t leave_at; /* how far the records were retired, while leaving */
    uint32_t leave_told;
    uint64_t leave_retired;
    bool
        leave_asked; /* all are, and the neighbours were asked whether they have them */
    uint32_t purge_at; /* how far the records were looked at, while purging */
    bool purging;
    bool started;
    bool failed; /* memory ran out: everything stops */
    bool replicate;
    bool clock_off;
    bool own_revoked;
    bool alone;
    bool reconciled;   /* a neighbour told us what it has since the start */
    bool card_dirty;   /* it may differ from what it should say */
    bool card_pending; /* its commit is awaited */
    bool peers_closing;
    bool identity_changed; /* while records were loaded: to be said at START */
};

/* Something becomes due at a monotonic time, if not sooner. */
void wc_node_due(struct wc_node *node, enum wc_due what, uint64_t at_ms);

/* Memory ran out: remembered, and said in the effects of this step. */
void wc_node_fail(struct wc_node *node);

/* Something that an office signed came by a link just now; hops: that it had crossed, 0
 * when nobody counted. */
void wc_node_news(struct wc_node *node, uint32_t office, const struct wc_peer *peer,
                  uint32_t hops);
/* One record, ask or answer more that is not believed, and why. */
void wc_node_count_refused(struct wc_node *node, int rc);

/* ---- node_effects.c ---- */

/* Send a frame and empty the buffer; a closing link gets nothing. */
void wc_node_send(struct wc_node *node, const struct wc_peer *peer,
                  struct wc_buf *frame);
/* One that may be left out when its queue grows too long; wc_node_send() sends what may
 * not. */
void wc_node_send_as(struct wc_node *node, const struct wc_peer *peer,
                     enum wc_urgency urgency, struct wc_buf *frame);
/* A new effect of a type, its fields for the caller to fill; NULL when memory is out. */
struct wc_effect *wc_node_effect(struct wc_node *node, enum wc_effect_type type);
void wc_node_note(struct wc_node *node, enum wc_note what, int rc, uint32_t link,
                  uint64_t count, uint32_t office);
void wc_node_ack(struct wc_node *node, uint64_t token, int rc);
void wc_node_put(struct wc_node *node, uint64_t token, const struct wc_record *r,
                 const uint8_t slot[WC_DIGEST_BYTES]);

/* ---- node_offices.c ---- */

int wc_node_offices_init(struct wc_node *node);
void wc_node_offices_fini(struct wc_node *node);
uint32_t wc_node_office_find(const struct wc_node *node,
                             const uint8_t key[WC_KEY_BYTES]);
/* Find or add; WC_NONE when memory is out. */
uint32_t wc_node_office_add(struct wc_node *node, const uint8_t key[WC_KEY_BYTES]);
/* The certificate with the highest serial counts; one by the present organisation key
 * more than any by a former one. */
void wc_node_office_certify(struct wc_node *node, uint32_t office,
                            const struct wc_cert *cert);
/* Its card came (true) or expired (false). */
void wc_node_office_card(struct wc_node *node, uint32_t office,
                         const struct wc_card *card);
void wc_node_office_uncard(struct wc_node *node, uint32_t office);
/* Its certificate counts no more. */
void wc_node_office_uncertify(struct wc_node *node, uint32_t office);
/* slot: of the revocation. */
void wc_node_office_revoke(struct wc_node *node, const uint8_t key[WC_KEY_BYTES],
                           const uint8_t slot[WC_DIGEST_BYTES]);
/* Forget an office of which nothing is left. */
void wc_node_office_release(struct wc_node *node, uint32_t office);
/* Its records go, some in each step. */
void wc_node_office_purge(struct wc_node *node, uint32_t office);
void wc_node_run_purge(struct wc_node *node);
/* The key that a revocation or grant names. */
bool wc_node_revoked_key(const struct wc_record *r, uint8_t key[WC_KEY_BYTES]);
/* Read the card and the certificate that counts for it: the one inside when the
 * present organisation key signed it, else the granted one. -WC_EBADSIG: neither. */
int wc_node_card_open(const struct wc_node *node, const struct wc_record *r,
                      struct wc_card *card, struct wc_cert *cert);
uint32_t wc_node_offices_count(const struct wc_node *node);

/* ---- node_trust.c ---- */

/* What becomes of a statement once it is held: a grant's certificate counts, a rotation
 * makes all present certificates former ones. */
void wc_node_granted(struct wc_node *node, uint32_t office, const struct wc_record *r);
void wc_node_rotated(struct wc_node *node, const struct wc_record *r);
/* At START: the rotation of the identity is among the records, and what was learned
 * from the store is said. */
void wc_node_trust_start(struct wc_node *node);
/* The certificate that counts for the other end of a link. 0, -WC_EUNKNOWN_OFFICE (by a
 * former key, and no office of these keys is believed), or what wc_cert_open() gives.
 * *stale: what it showed is older than what it should have. */
int wc_node_link_cert(struct wc_node *node, const struct wc_event *event,
                      struct wc_cert *cert, bool *stale);
/* Whether the office has a live grant. */
bool wc_node_has_grant(const struct wc_node *node, uint32_t office);
/* Append the records that a neighbour with a stale certificate needs first: how many. */
uint32_t wc_node_pack_trust(struct wc_node *node, uint32_t office, struct wc_buf *out);
void wc_node_run_former(struct wc_node *node);

/* ---- node_held.c ---- */

int wc_node_held_init(struct wc_node *node);
void wc_node_held_fini(struct wc_node *node);
uint32_t wc_node_held_find(const struct wc_node *node,
                           const uint8_t slot[WC_DIGEST_BYTES]);
/* Hold a record in its slot, in place of what is there. */
void wc_node_hold(struct wc_node *node, const struct wc_record *r,
                  const uint8_t slot[WC_DIGEST_BYTES], uint32_t office);
/* Out of memory and set; with drop also out of the store. */
void wc_node_unhold(struct wc_node *node, uint32_t id, bool drop);
/* Bring back a record that was hidden and whose date has not come after all. */
void wc_node_unhide(struct wc_node *node, uint32_t id);
uint8_t wc_node_set_of(uint8_t slot_kind);
/* Forget all revocations and grants: the key that signed them counts no more. */
void wc_node_drop_statements(struct wc_node *node);
/* Own leases that were cut at former_end_ms may be longer now. */
void wc_node_lengthen(struct wc_node *node, uint64_t former_end_ms);
/* Against which quota a record counts (enum wc_quota_set), -1: none. */
int wc_node_quota_set(uint8_t kind);
void wc_node_run_expiry(struct wc_node *node);
/* Look again at what is due by the wall clock. */
void wc_node_expiry_soon(struct wc_node *node);
/* Whether something of that office, dated in our future, is dated so by its clock, or by
 * that of the neighbour which passed it on, and not by a lie. */
bool wc_node_clocks_differ(const struct wc_node *node, uint32_t office,
                           const struct wc_peer *peer, uint64_t stamped_at_ms);
/* The wall clock was set back: undo what the wrong time did. */
void wc_node_clock_set_back(struct wc_node *node);

/* ---- node_records.c ---- */

/* The frame handlers return 0, or why the neighbour is to blame. */
int wc_node_on_records(struct wc_node *node, struct wc_peer *peer,
                       struct wc_slice frame);
/* One record that a neighbour passed on outside RECORDS. */
int wc_node_on_record(struct wc_node *node, struct wc_peer *peer,
                      struct wc_slice record);
/* A rotation that a neighbour showed in the handshake. */
void wc_node_learn_rotation(struct wc_node *node, struct wc_slice bytes);
/* Whether an office's records are believed now: 0, -WC_EUNKNOWN_OFFICE, -WC_EREVOKED,
 * -WC_EEXPIRED, -WC_EFUTURE. */
int wc_node_office_believed(const struct wc_node *node, uint32_t office);
/* Say, at most once a minute an office, that a record of it was refused. */
void wc_node_refused(struct wc_node *node, uint32_t office, uint32_t link, int rc);

/* ---- node_statement.c ---- */

/* Hold a verified statement, tell every neighbour but one (0: none excepted) at once,
 * and act on it. */
void wc_node_statement_take(struct wc_node *node, const struct wc_record *r,
                            const uint8_t slot[WC_DIGEST_BYTES], uint32_t except);
/* Hold and act on a stored one; false when it has no place here any more. */
bool wc_node_statement_load(struct wc_node *node, const struct wc_record *r,
                            const uint8_t slot[WC_DIGEST_BYTES]);
/* As wc_node_statement(), and fill *out (which borrows from record) and slot. */
int wc_node_statement_check(const struct wc_node *node, struct wc_slice record,
                            struct wc_record *out, uint8_t slot[WC_DIGEST_BYTES],
                            struct wc_err *err);
/* Why a verified grant serves nothing now: -WC_EREVOKED, or the certificate's dates. */
int wc_node_statement_useless(const struct wc_node *node, const struct wc_record *r);
/* Send a revoked office, on a link that is about to be refused, its revocation. */
void wc_node_tell_revoked(struct wc_node *node, uint32_t link, uint32_t office);

/* ---- node_blame.c ---- */

void wc_node_blame_fini(struct wc_node *node);
/* Whether what was poured and has not leaked yet is below the brim. */
bool wc_bucket_has_room(struct wc_bucket *b, uint64_t mono_ms, uint64_t brim,
                        uint64_t leak_an_hour);
void wc_bucket_pour(struct wc_bucket *b, uint64_t amount);
/* Whether an office may have another record taken, or ask again. */
bool wc_node_may_change(const struct wc_node *node, uint32_t office);
bool wc_node_may_ask(const struct wc_node *node, uint32_t office);
/* How many slots of a set an office may have. */
uint64_t wc_node_quota(const struct wc_office *o, int set);
/* The conduct of a known office, which stays where it is while links point to it. NULL
 * when memory is out. */
struct wc_conduct *wc_node_conduct(struct wc_node *node, uint32_t office);
/* Count a fault, but for the own office's and while the own clock is wrong. */
void wc_node_blame(struct wc_node *node, uint32_t office, enum wc_blame reason);
/* The neighbour's link is closed for its fault: for how long it may not come back. */
void wc_node_strike(struct wc_node *node, const struct wc_peer *peer);
bool wc_node_shunned(const struct wc_node *node, const uint8_t key[WC_KEY_BYTES],
                     uint64_t *until_ms);
/* A neighbour cost us bytes for nothing (false: too many), or was of use. */
bool wc_node_waste(struct wc_node *node, const struct wc_peer *peer, uint64_t bytes);
void wc_node_worth(const struct wc_peer *peer, uint64_t bytes);
bool wc_node_wasteful(const struct wc_node *node, const struct wc_peer *peer);
/* The same, for what it said in reconciliation and did not keep; and whether that alone
 * is much. */
void wc_node_unkept(struct wc_node *node, const struct wc_peer *peer, uint64_t bytes);
bool wc_node_keeps_nothing(const struct wc_node *node, const struct wc_peer *peer);
/* It sent what costs as much as so many SYNCs (false: too many); whether it may have records at full pace. */
bool wc_node_may_sync(const struct wc_node *node, const struct wc_peer *peer,
                      uint64_t amount);
bool wc_node_may_fetch(const struct wc_node *node, const struct wc_peer *peer);
/* It sent a SHUFFLE (false: too many); whether it may push another neighbour out. */
bool wc_node_may_shuffle(const struct wc_node *node, const struct wc_peer *peer);
bool wc_node_may_press(const struct wc_node *node, const struct wc_peer *peer);
/* An office has more than its quota. */
void wc_node_over_quota(struct wc_node *node, uint32_t office);
/* Remember the stamp of a record that was taken, for a moment. */
void wc_node_recall(struct wc_node *node, const struct wc_record *r,
                    const uint8_t slot[WC_DIGEST_BYTES]);
/* A record contradicts another of the same slot and (rev, seq): whether that is new
 * evidence. */
bool wc_node_contradiction(struct wc_node *node, const struct wc_record *r,
                           const uint8_t slot[WC_DIGEST_BYTES],
                           const struct wc_version *other);
/* A retirement that erases is taken: what evidence says about that person is hashed. */
void wc_node_evidence_erase(struct wc_node *node, const struct wc_record *r,
                            const uint8_t slot[WC_DIGEST_BYTES]);

/* ---- node_local.c ---- */

int wc_node_local_init(struct wc_node *node);
void wc_node_local_fini(struct wc_node *node);
void wc_node_local_put(struct wc_node *node, const struct wc_event *event);
void wc_node_local_statement(struct wc_node *node, const struct wc_event *event);
void wc_node_stored(struct wc_node *node, uint64_t token, int rc);
void wc_node_run_card(struct wc_node *node);
/* 0, -WC_EREVOKED, -WC_ECLOCK, -WC_EEXPIRED: whether this office may stamp now. */
int wc_node_may_stamp(const struct wc_node *node);
/* Append a record of this office to *out, under the next sequence number. -WC_EEXPIRED,
 * or what wc_record_stamp() says. */
int wc_node_stamp(struct wc_node *node, uint8_t kind, struct wc_slice body,
                  const uint8_t *author_key, const uint8_t *author_sig,
                  struct wc_buf *out);
/* A sequence number of this office was seen: the next one is greater. */
void wc_node_seq_seen(struct wc_node *node, uint64_t seq);
/* Next sequence number. */
uint64_t wc_node_next_seq(struct wc_node *node);
/* Stamp an own record again: 0, or why not. */
int wc_node_restamp(struct wc_node *node, uint32_t id);
uint64_t wc_node_restamp_due(struct wc_node *node, const struct wc_held *h);
/* The latest local edit of a slot that waits for its commit, or NULL. */
const struct wc_pending *wc_node_pending_of(const struct wc_node *node,
                                            const uint8_t slot[WC_DIGEST_BYTES]);
void wc_node_card_changed(struct wc_node *node);

/* ---- node_leave.c ---- */

void wc_node_leave(struct wc_node *node);
/* The neighbour answered the last ping. */
void wc_node_leave_heard(struct wc_node *node, struct wc_peer *peer);

/* ---- node_overlay.c ---- */

/* A link is up; explore: it takes the place of another. */
void wc_node_neighbour_up(struct wc_node *node, struct wc_peer *peer, bool explore);
/* It is a neighbour no more. again: it may be one later. */
void wc_node_neighbour_down(struct wc_node *node, struct wc_peer *peer, bool again);
/* A visitor is to be a neighbour, whatever it costs. */
void wc_node_court(struct wc_node *node, struct wc_peer *peer);
/* Make neighbours of visitors while there are too few. */
void wc_node_promote(struct wc_node *node);
/* The card of an office came: tell others, if it is new here. */
void wc_node_newcomer(struct wc_node *node, uint32_t office, struct wc_slice card);
int wc_node_on_neighbour(struct wc_node *node, struct wc_peer *peer,
                         struct wc_slice frame);
int wc_node_on_part(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
int wc_node_on_joined(struct wc_node *node, struct wc_peer *peer,
                      struct wc_slice frame);
int wc_node_on_shuffle(struct wc_node *node, struct wc_peer *peer,
                       struct wc_slice frame);
int wc_node_on_shuffled(struct wc_node *node, struct wc_peer *peer,
                        struct wc_slice frame);
void wc_node_run_shuffle(struct wc_node *node);

/* ---- node_broadcast.c ---- */

void wc_node_broadcast_fini(struct wc_node *node);
/* The id of a record or ask. */
void wc_node_message_id(const struct wc_node *node, const uint8_t slot[WC_DIGEST_BYTES],
                        const struct wc_version *version,
                        uint8_t id[WC_MESSAGE_ID_BYTES]);
/* Pass on a record that is new, to all neighbours but one (0: none excepted). */
void wc_node_broadcast(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES],
                       struct wc_slice record, uint32_t except);
/* The same of an ask; hops: links that it has crossed when it arrives. */
void wc_node_broadcast_ask(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES],
                           struct wc_slice record, uint32_t hops, uint32_t except);
/* A record to whoever is linked, neighbour or not, whole. */
void wc_node_push_all(struct wc_node *node, struct wc_slice record);
/* A message came: whether for the first time. */
bool wc_node_message_came(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES]);
/* Whether the neighbour may be told to announce what is new instead of sending it. */
bool wc_node_may_prune(struct wc_node *node, const struct wc_peer *peer);
/* A neighbour sent nothing but what was here: it need not. */
void wc_node_prune(struct wc_node *node, struct wc_peer *peer);
/* A lazy neighbour is to be eager, and we to it. */
void wc_node_graft(struct wc_node *node, uint32_t link);
/* What was passed on of late, or is held and on disk; nothing is appended if neither.
 * hops as in struct wc_kept. */
void wc_node_message_read(struct wc_node *node, const uint8_t id[WC_MESSAGE_ID_BYTES],
                          struct wc_buf *out, uint32_t *hops);
int wc_node_on_ihave(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
int wc_node_on_graft(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
int wc_node_on_prune(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
void wc_node_queue_answer(struct wc_node *node, struct wc_peer *peer,
                          struct wc_slice body, const uint8_t sig[WC_SIG_BYTES]);
void wc_node_run_tree(struct wc_node *node);
void wc_node_run_announce(struct wc_node *node);
void wc_node_run_flush(struct wc_node *node);

/* ---- node_beat.c ---- */

/* Tell somebody who is no neighbour which root we follow. */
void wc_node_beat_tell(struct wc_node *node, const struct wc_peer *visitor);
int wc_node_on_beat(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
void wc_node_run_beat(struct wc_node *node);
/* There are more offices now than are told everything by all. */
void wc_node_grown(struct wc_node *node);

/* ---- node_links.c ---- */

void wc_node_links_fini(struct wc_node *node);
/* The open link of that number, or NULL. */
struct wc_peer *wc_node_peer(const struct wc_node *node, uint32_t link);
uint32_t wc_node_links_count(const struct wc_node *node);
void wc_node_link_up(struct wc_node *node, const struct wc_event *event);
void wc_node_link_down(struct wc_node *node, uint32_t link);
void wc_node_close(struct wc_node *node, struct wc_peer *peer, int rc);
/* Free what was closed in this step. */
void wc_node_reap(struct wc_node *node);
void wc_node_on_frame(struct wc_node *node, uint32_t link, struct wc_slice frame);
void wc_node_run_links(struct wc_node *node);
void wc_node_ping(struct wc_node *node, struct wc_peer *peer);

/* ---- node_sync.c ---- */

void wc_node_sync_fini(struct wc_node *node);
/* Reconcile with this neighbour at a time, if not sooner. */
void wc_node_sync_want(struct wc_node *node, struct wc_peer *peer, uint64_t at_ms);
/* The session that we lead with it, or NULL. */
struct wc_session *wc_node_session(struct wc_node *node, const struct wc_peer *peer);
void wc_node_sync_lost(struct wc_node *node, const struct wc_peer *peer);
int wc_node_on_sync(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
int wc_node_on_audit(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
int wc_node_on_diff(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
int wc_node_on_want(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
/* RECORDS came on the session's link. */
void wc_node_sync_records(struct wc_node *node, struct wc_peer *peer,
                          enum wc_wire_reason reason, uint32_t came, uint32_t accepted);
void wc_node_run_sync(struct wc_node *node);
void wc_node_run_serve(struct wc_node *node);

/* ---- node_ask.c ---- */

int wc_node_asks_init(struct wc_node *node);
void wc_node_asks_fini(struct wc_node *node);
void wc_node_local_ask(struct wc_node *node, const struct wc_event *event);
void wc_node_ask_cancel(struct wc_node *node, const uint8_t id[WC_ASK_ID_BYTES]);
void wc_node_ask_matched(struct wc_node *node, const struct wc_event *event);
int wc_node_on_ask(struct wc_node *node, struct wc_peer *peer, struct wc_slice frame);
int wc_node_on_answers(struct wc_node *node, struct wc_peer *peer,
                       struct wc_slice frame);
void wc_node_run_asks(struct wc_node *node);
/* An ask whose answers still find their way, or NULL. */
const struct wc_asked *wc_node_ask_on_path(const struct wc_node *node,
                                           const uint8_t id[WC_ASK_ID_BYTES]);

/* ---- node_answers.c ---- */

void wc_node_answers_fini(struct wc_node *node);
/* Send an answer towards who asked, but not over the link that it came from (0: it is
 * our own), and keep it for a while. */
void wc_node_answer_send(struct wc_node *node, const struct wc_asked *a,
                         struct wc_slice body, const uint8_t sig[WC_SIG_BYTES],
                         uint32_t from);
/* A link is gone: what went over it goes another way. */
void wc_node_answers_lost(struct wc_node *node, uint32_t link);
/* A link is there: it may be a way for what had none. */
void wc_node_answers_found(struct wc_node *node, struct wc_peer *peer);
/* A dial to that office failed. */
void wc_node_answers_unreached(struct wc_node *node, const uint8_t key[WC_KEY_BYTES]);
/* Forget what was sent long ago. */
void wc_node_answers_tidy(struct wc_node *node);

/* ---- node_hints.c ---- */

struct wc_join *wc_node_join_find(struct wc_node *node, const char *address);
/* A beacon came: remember its address if it is worth a dial. */
void wc_node_heard(struct wc_node *node, const struct wc_event *event);
/* Forget what was heard too long ago. */
void wc_node_hints_tidy(struct wc_node *node);

/* ---- node_dial.c ---- */

void wc_node_dial_failed(struct wc_node *node, uint32_t number);
/* A dial led to an office (its index, WC_NONE: ourselves); says what kind it was. */
void wc_node_dial_up(struct wc_node *node, uint32_t number, uint32_t office, bool *join,
                     bool *explore);
/* Dial an office, unless that is under way; false: it cannot be dialled now. */
bool wc_node_dial_known(struct wc_node *node, uint32_t office);
/* A link is gone; good: it had lasted. */
void wc_node_dial_lost(struct wc_node *node, uint32_t office, bool good);
void wc_node_run_dial(struct wc_node *node);

#endif
