/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node engine: everything that an office does with other offices, as one pure
 * function.
 *
 *     wc_node_step(node, event, effects)
 *
 * Events carry the time and say what happened; effects say what the caller must do, in
 * order. wc_node_deadline() says when to call next with WC_EVENT_TIMER. Nothing here
 * does I/O, reads a clock or draws randomness: the daemon and the simulator drive the
 * same object.
 *
 * Durability. What originates here (LOCAL_PUT) becomes a PUT effect with a token;
 * nothing of it is sent and it is not acknowledged before the caller reports STORED for
 * that token. What is relayed is forwarded as soon as it is verified; its PUT has token
 * 0 and is stored in the caller's next group commit. The engine's own records (the
 * office card, stamps that are renewed) are PUTs with tokens whose top bit
 * (WC_NODE_TOKEN) is set: the caller reports STORED for them too and gets no ACK. PUT
 * and DROP effects are carried out in the order in which they come.
 *
 * What the organisation signed (STATEMENT: a revocation) is put and acknowledged in the
 * same way, and then sent and acted on before everything else.
 *
 * Tokens of the caller have that bit clear, are not 0, and are not used again before
 * their ACK: -WC_EINVALID, -WC_EEXISTS.
 *
 * Records of an office are believed while its certificate is known (from its card, a
 * grant, or a link to it), valid and not revoked. When two keys have certificates for one
 * name, the higher serial is the current office of that name and the other is
 * superseded.
 *
 * A rotation (a record signed by the recovery key, from a neighbour, a handshake or the
 * store) gives the organisation another key. No certificate by a former key is taken any
 * more; offices known before stay believed for WC_FORMER_BELIEVED_MS, so that grants can
 * arrive. Whatever the node learns of its own organisation or certificate it says with
 * an IDENTITY effect.
 */
#ifndef WHOCAN_NODE_H
#define WHOCAN_NODE_H

#include <whocan/bytes.h>
#include <whocan/cert.h>
#include <whocan/record.h>
#include <whocan/store_port.h>
#include <whocan/wire.h>

struct wc_node;

#define WC_NODE_TOKEN (1ULL << 63)

/* Checks one record's signatures: wc_record_verify in the daemon, a memo of it in the
 * simulator. */
typedef int (*wc_verify_fn)(void *ctx, const struct wc_record *r,
                            const struct wc_org *org);

struct wc_node_config {
    const struct wc_identity *identity; /* copied */
    struct wc_store_port store;
    wc_verify_fn verify; /* NULL: wc_record_verify */
    void *verify_ctx;
    uint64_t seed;  /* of the node's own generator */
    bool replicate; /* false: keep only cards, statements and own records; relay and
                          answer all asks */
    bool alone; /* IT says that nobody has newer records of this office: stamp old ones
                   again without having reconciled since the start */
    uint64_t last_seq; /* the highest seq this office ever used */
    char version[WC_PROGRAM_MAX_BYTES +
                 1]; /* of the program, for the own card; or empty */
    /* Whether the lease of an own record may be renewed now; NULL: always. Asked again
     * within the hour while it may not. */
    bool (*may_restamp)(void *ctx, uint8_t kind, const char *subject);
    void *may_restamp_ctx;
};

/* ---------------------------------------------------------------- events */

enum wc_event_type {
    WC_EVENT_START,   /* once, after the stored records were given to wc_node_load() */
    WC_EVENT_TIMER,   /* the deadline came */
    WC_EVENT_LINK_UP, /* an authenticated link opened */
    WC_EVENT_LINK_DOWN,   /* it is gone (also after our CLOSE) */
    WC_EVENT_FRAME,       /* one plaintext frame came */
    WC_EVENT_DIAL_FAILED, /* a DIAL effect led to no link */
    WC_EVENT_LOCAL_PUT,   /* a body that originates here */
    WC_EVENT_STATEMENT,   /* a record that the organisation signed */
    WC_EVENT_LEAVE, /* this office ends here: retire what it has. Before this the caller
                       made it durable that these keys never sign again: nothing of it
                       is put. Repeated until wc_node_leaving() says that it is done. */
    WC_EVENT_STORED,      /* the commit of a token'd PUT ended */
    WC_EVENT_LOCAL_ASK,   /* somebody here asks */
    WC_EVENT_ASK_CANCEL,  /* they no longer listen */
    WC_EVENT_ASK_MATCHED, /* the own staff was matched for an ASK_MATCH effect */
    WC_EVENT_HEARD,       /* a beacon said that an office is at an address */
};

/* Why an address may be one of an office. In this order one address counts as the first
 * that it is. */
enum wc_hint {
    WC_HINT_CONFIGURED, /* IT says so */
    WC_HINT_SRV,        /* a name server says so */
    WC_HINT_CACHE,      /* it worked before the last stop */
    WC_HINT_BEACON,     /* somebody who knows the organisation secret said so */
};

struct wc_event {
    enum wc_event_type type;
    uint64_t now_ms;  /* wall clock, ms since 1970: stamps, leases */
    uint64_t mono_ms; /* monotonic clock: deadlines */
    union {
        struct {
            uint32_t link; /* caller's number, never 0, not reused while up */
            const struct wc_cert *peer;    /* as wc_link_peer() has it */
            struct wc_slice peer_cert;     /* its bytes */
            struct wc_slice peer_rotation; /* as wc_link_peer_rotation() has it */
            bool initiator;                /* we dialled */
            uint32_t dial; /* number of the DIAL effect, or 0 when they dialled */
        } link_up;
        struct {
            uint32_t link;
        } link_down;
        struct {
            uint32_t link;
            struct wc_slice bytes;
        } frame;
        struct {
            uint32_t dial;
        } dial_failed;
        struct {
            uint64_t token; /* caller's, not 0; comes back in PUT and ACK */
            uint8_t kind;   /* row, profile or retire: anything else is -WC_EDENIED */
            /* Its office is the own one (-WC_EDENIED), its rev greater than that of
             * wc_node_slot() (-WC_ESTALE), its signature right (-WC_EBADSIG; that of
             * the own office itself is not checked). Also -WC_ELIMIT over the quota,
             * -WC_ECLOCK, -WC_EREVOKED and -WC_EEXPIRED while this office may not
             * stamp, -WC_EBUSY with WC_PENDING_MAX_COUNT waiting, what is wrong with
             * the body, or what STORED said. */
            struct wc_slice body;
            const uint8_t *author_key; /* WC_KEY_BYTES */
            const uint8_t *author_sig; /* WC_SIG_BYTES */
        } local_put;
        struct {
            uint64_t token; /* as of local_put */
            /* What is wrong with it as wc_node_statement() says; -WC_EBUSY, or what
             * STORED said. */
            struct wc_slice record;
        } statement;
        struct {
            uint64_t token;
            int rc; /* 0, or why the commit failed: nothing of it was stored */
        } stored;
        struct {
            const uint8_t *id; /* WC_ASK_ID_BYTES, random */
            struct wc_slice text;
            struct wc_slice by; /* login of the asker */
            uint64_t lease_ms;  /* 0: the longest */
        } local_ask;
        struct {
            const uint8_t *id;
        } ask_cancel;
        struct {
            const uint8_t *id;
            uint32_t total;
            uint32_t people_count; /* <= WC_ANSWER_PEOPLE_MAX */
            const struct wc_answer_person *people;
        } ask_matched;
        struct {
            const char *address;       /* at most WC_ADDRESS_MAX_BYTES */
            const uint8_t *office_key; /* who it says it is of: WC_KEY_BYTES */
        } heard;
    } u;
};

/* ---------------------------------------------------------------- effects */

enum wc_effect_type {
    WC_EFFECT_SEND,       /* one frame to one link */
    WC_EFFECT_DIAL,       /* open a link to an address */
    WC_EFFECT_CLOSE,      /* close a link; LINK_DOWN follows */
    WC_EFFECT_PUT,        /* store a record in its slot, replacing what is there */
    WC_EFFECT_DROP,       /* delete a slot's record */
    WC_EFFECT_ACK,        /* the outcome of a LOCAL_PUT or STATEMENT */
    WC_EFFECT_ASK_MATCH,  /* match the own staff, then ASK_MATCHED */
    WC_EFFECT_ASK_ANSWER, /* an answer (verified) to an ask of ours */
    WC_EFFECT_NOTE,       /* something for the log and for watchers */
    WC_EFFECT_IDENTITY, /* wc_node_identity() has changed: use it for new handshakes */
};

enum wc_note {
    WC_NOTE_OFFICE_NEW, /* a card of an office not known before */
    WC_NOTE_OFFICE_REVOKED,
    WC_NOTE_SELF_REVOKED, /* the organisation revoked this office */
    WC_NOTE_LINK_UP,
    WC_NOTE_LINK_DOWN,
    WC_NOTE_RECORD_REFUSED, /* rc says why; office is who signed it, if known */
    WC_NOTE_FRAME_REFUSED,  /* the neighbour sent bytes that nobody signed; link is
                               closed */
    WC_NOTE_SYNC_DONE, /* one reconciliation with the link's office ended; count records
                          came */
    WC_NOTE_CLOCK_OFF, /* our clock is more than 10 minutes from most neighbours */
    WC_NOTE_TWO_CONTENTS, /* two contents at one (rev, seq) of one slot; count 1: new
                             evidence is there to be kept, and said each time; else once
                             a minute an office */
    WC_NOTE_RENEWED,      /* this office has a new certificate; count is its serial */
    WC_NOTE_ROTATED,      /* the organisation has another key; count: how many before */
    WC_NOTE_FORMER_REFUSED, /* a link was turned away: all it had was a certificate by a
                               former organisation key, and no grant names its keys */
    WC_NOTE_EVIDENCE_ERASED, /* evidence about somebody who is erased holds hashes alone
                                now, which the caller keeps instead; before the PUT */
    WC_NOTE_SYNC_BROKEN, /* a reconciliation with the link's office ended without an end:
                            too slow, of no use; rc; count records came. When its link
                            was lost, that is said instead */
    WC_NOTE_ASK_PASSED, /* an ask of `office` came by this link; count: links crossed */
    WC_NOTE_BLAMED,     /* `office` did what no honest one does, for the first time in a
                       second; count: enum wc_blame */
};
#define WC_NOTES_COUNT (WC_NOTE_BLAMED + 1)

/* What may be left out of a queue that grows too long: the last first. */
enum wc_urgency {
    WC_URGENT,      /* links, neighbours, reconciliation and what it fetches */
    WC_URGENT_NEWS, /* records and asks that are passed on: they come again by
                       reconciliation, or by another way */
    WC_URGENT_ANSWERS,
};

struct wc_effect {
    enum wc_effect_type type;
    union {
        struct {
            uint32_t link;
            enum wc_urgency urgency;
            uint8_t *
                bytes; /* owned by the effects list; a caller that takes it sets NULL */
            size_t len;
        } send;
        struct {
            uint32_t dial; /* number to give back */
            char address[WC_ADDRESS_MAX_BYTES + 1];
        } dial;
        struct {
            uint32_t link;
            int rc; /* why, 0 for "not needed" */
        } close;
        struct {
            uint64_t token; /* 0: relayed */
            uint8_t slot[WC_DIGEST_BYTES];
            uint8_t kind;
            uint8_t office_key[WC_KEY_BYTES];
            char subject[WC_SUBJECT_MAX_BYTES + 1]; /* of a retirement a hash: whom it
                                                       ends is what the slot had */
            uint8_t ends_kind; /* of a retirement: the kind of the slot that it takes */
            uint8_t *
                bytes; /* owned by the effects list; a caller that takes it sets NULL */
            size_t len;
        } put;
        struct {
            uint8_t slot[WC_DIGEST_BYTES];
            uint8_t kind; /* of the slot: of a retirement the kind that it ended */
            uint8_t office_key[WC_KEY_BYTES];
            char subject[WC_SUBJECT_MAX_BYTES + 1]; /* of a retirement a hash */
        } drop;
        struct {
            uint64_t token;
            int rc;
        } ack;
        struct {
            uint8_t id[WC_ASK_ID_BYTES];
            char text[WC_ASK_TEXT_MAX_BYTES + 1];
        } ask_match;
        struct {
            struct wc_answer answer;
            uint32_t heard_count; /* offices heard for this ask, this one included */
        } ask_answer;
        struct {
            bool lasting; /* its certificate is by the organisation's present key: write
                             it to disk. Else what is on disk stays, and the rotation
                             comes back with wc_node_load() */
        } identity;
        struct {
            enum wc_note what;
            int rc;
            uint32_t link;
            uint64_t count;
            char office[WC_OFFICE_NAME_MAX_BYTES + 1]; /* or empty */
        } note;
    } u;
};

/* A growing list of effects. Zero-initialise. */
struct wc_effects {
    struct wc_effect *list;
    size_t count;
    size_t cap;
    bool failed; /* memory ran out: the caller must stop (nothing acknowledged is lost
                    by that) */
};
void wc_effects_reset(
    struct wc_effects *e); /* frees what effects own, keeps the list */
void wc_effects_fini(struct wc_effects *e);

/* ---------------------------------------------------------------- the engine */

int wc_node_new(struct wc_node **out, const struct wc_node_config *config);
void wc_node_free(struct wc_node *node); /* NULL is fine */

/*
 * Before START: one record from the own store, trusted as to signatures (the store
 * checks that its bytes are intact). The rotation first, then grants and revocations,
 * then cards, so that offices are known. now_ms
 * hides what has expired. What has no place here any more (its office is revoked or
 * unknown) is accepted and comes back as a DROP at START. 0, -WC_ENOMEM, or what is
 * wrong with a record that does not decode.
 */
int wc_node_load(struct wc_node *node, struct wc_slice record, uint64_t now_ms);

/* Addresses to dial whatever the cards say (configured peers), replacing those given
 * before. Takes effect at the next TIMER, for which wc_node_deadline() asks at once.
 * -WC_ETOOBIG (nothing changed): more than WC_JOIN_MAX_COUNT, or too long; -WC_ENOMEM.
 */
int wc_node_set_join(struct wc_node *node, const char *const *addresses,
                     uint32_t count);

/* The same for addresses that were found otherwise, in the order in which they are to be
 * tried: WC_HINT_SRV, WC_HINT_CACHE. Beacons come as events. */
int wc_node_set_hints(struct wc_node *node, enum wc_hint how,
                      const char *const *addresses, uint32_t count);

/* Addresses that the own card shows, replacing those given before; a change writes a
 * new card at the next TIMER. -WC_ETOOBIG: more than WC_ADDRESSES_MAX_COUNT, or too
 * long; -WC_ENOMEM. */
int wc_node_set_listen(struct wc_node *node, const char *const *addresses,
                       uint32_t count);

/* Erasures that this office has completed, for the own card, replacing those given
 * before: the first bytes of the digests of their retirements, newest last. A change
 * writes a new card at the next TIMER. -WC_ETOOBIG: more than WC_ERASED_MAX_COUNT;
 * -WC_ENOMEM. */
int wc_node_set_erased(struct wc_node *node,
                       const uint8_t (*marks)[WC_ERASED_MARK_BYTES], uint32_t count);

/* Append to *effects what must be done about one event. Never fails for what a peer
 * sends. The first event is START, and only the first; events carry times that do not
 * go back (a monotonic time that does is taken as the latest one seen; the wall clock
 * may be set). */
void wc_node_step(struct wc_node *node, const struct wc_event *event,
                  struct wc_effects *effects);

/* When to call next with WC_EVENT_TIMER (monotonic ms); UINT64_MAX: not before another
 * event. */
uint64_t wc_node_deadline(const struct wc_node *node);

/* ---------------------------------------------------------------- looking */

/* Who this office is by now: the identity that the node was given, with the
 * organisation key, rotation and certificate that it has learned of since. Borrowed. */
const struct wc_identity *wc_node_identity(const struct wc_node *node);

/* The version of a slot that an edit must exceed: what is held or waits for its commit.
 * -WC_ENOTFOUND: rev starts at 1. A retired slot is found, with *kind WC_KIND_RETIRE.
 */
int wc_node_slot(const struct wc_node *node, const uint8_t slot[WC_DIGEST_BYTES],
                 struct wc_version *version, uint8_t *kind);

/*
 * Whether a STATEMENT event would take this record: 0; -WC_EEXISTS when it (or a newer
 * one in its place) is held already; -WC_EDENIED for a kind that is not the
 * organisation's or another signer; -WC_EBADSIG; or what is wrong with its form. *err
 * names the field.
 */
int wc_node_statement(const struct wc_node *node, struct wc_slice record,
                      struct wc_err *err);

struct wc_node_office {
    struct wc_cert cert;
    uint32_t address_count;
    char addresses[WC_ADDRESSES_MAX_COUNT][WC_ADDRESS_MAX_BYTES + 1];
    bool self;
    bool linked;
    bool revoked;
    bool superseded;         /* another office of this name has a higher serial */
    uint64_t last_heard_ms;  /* wall clock of the last frame on a link to it, 0 never */
    int64_t clock_offset_ms; /* its clock less ours, at the last HELLO or PONG */
    bool clock_known;        /* a link to it is open, and told its clock */
    char version[WC_PROGRAM_MAX_BYTES +
                 1];       /* of its program, as its card says; or empty */
    uint64_t last_news_ms; /* wall clock: when something that it signed came last, an
                              ask, an answer or a record, by whomever; 0 never */
    uint32_t via_link;     /* the neighbour's link by which that came; 0: it is gone, or
                          nothing came */
    uint32_t
        hops; /* links to there: 0 unknown or self, 1 linked, else what its last ask
                      had crossed */
};
/* Offices in order of name, of one name the current first; false past the end. */
bool wc_node_office_at(const struct wc_node *node, uint32_t i,
                       struct wc_node_office *out);
/* By office key; false when unknown. */
bool wc_node_office_by_key(const struct wc_node *node, const uint8_t key[WC_KEY_BYTES],
                           struct wc_node_office *out);
/* By name: the current office of that name, or a revoked one when there is no other. */
bool wc_node_office_by_name(const struct wc_node *node, struct wc_slice name,
                            struct wc_node_office *out);

/* Whether an office has completed an erasure, as its card says. Unknown: it lists so many
 * that this one may have been dropped, or the office is not known. */
enum wc_erased { WC_ERASED_WAITING, WC_ERASED_DONE, WC_ERASED_UNKNOWN };
enum wc_erased wc_node_office_erased(const struct wc_node *node,
                                     const uint8_t key[WC_KEY_BYTES],
                                     const uint8_t mark[WC_ERASED_MARK_BYTES]);

/* What was passed on and reconciled, since the start. */
#define WC_NODE_HOPS_COUNT (WC_ASK_HOPS_MAX + 1)
struct wc_node_counts {
    uint64_t whole_received; /* records and asks that neighbours passed on */
    uint64_t whole_again;    /* of them here already */
    uint64_t whole_sent;
    uint64_t ids_received, ids_sent; /* announcements of such */
    uint64_t grafts_received, grafts_sent;
    uint64_t prunes_received, prunes_sent;
    uint64_t ask_hops[WC_NODE_HOPS_COUNT]; /* asks that came new, by links crossed */
    uint64_t records_accepted;
    uint64_t refused[WC_ERRORS_COUNT]; /* records, asks, answers, by the reason */
    uint64_t syncs_begun, syncs_broken,
        syncs_equal;      /* equal: no difference was found */
    uint64_t sync_wanted; /* records asked for in all of them: the differences */
    uint64_t sync_taken;  /* of them taken */
};

struct wc_node_stats {
    uint32_t offices_count; /* known, neither revoked nor superseded, own included */
    uint32_t links_count;
    uint64_t records_count[2];            /* of the two sets */
    uint8_t fingerprint[WC_DIGEST_BYTES]; /* of both sets: equal on two nodes with equal
                                             records */
    uint64_t records_received, records_refused, asks_relayed, answers_relayed,
        syncs_done;
    uint64_t audits_done, audit_finds; /* that this office led; and their answers which
                                          showed a difference */
    bool clock_off;
    bool revoked; /* this office itself */
    bool former;  /* the own certificate is by a former organisation key: no grant has
                    come since the rotation */
    struct wc_node_counts counts;
};

/* An open link as the engine sees it, in order of arrival; false past the end. */
struct wc_node_link {
    uint32_t link;
    uint8_t office_key[WC_KEY_BYTES];
    bool dialled;   /* by this office */
    bool neighbour; /* what is new goes there; else a visitor, who goes soon */
    bool eager;     /* and goes there whole, not by its id */
    bool parent;    /* the way to the root of the tree; */
    bool child;     /* we are its way there */
    uint64_t heard_mono_ms;
    uint32_t rtt_ms;        /* of the last question that it answered; WC_RTT_UNKNOWN */
    uint32_t waiting_count; /* records, answers and ids that are about to be sent */
    uint32_t wants_count;   /* of its requests for records not answered yet */
};
#define WC_RTT_UNKNOWN UINT32_MAX
/* The i-th of them. */
bool wc_node_link_at(const struct wc_node *node, uint32_t i, struct wc_node_link *out);

/* Neighbours, the tree, reconciliation and what waits, as they are now. */
struct wc_node_overview {
    uint32_t active_count, passive_count; /* sizes of the views (HyParView) */
    uint32_t eager_count;
    bool flooding; /* so few offices that everything goes to all neighbours */
    bool has_root; /* a beat came of late, or is the own one; then */
    char root[WC_OFFICE_NAME_MAX_BYTES + 1]; /* its office, empty if unknown; and */
    uint32_t root_hops;                      /* links to there */

    uint32_t sync_sessions_count;    /* that we lead now, all of them together: */
    uint64_t sync_wanted, sync_came; /* records asked for, and taken */
    uint32_t sync_ranges_count;      /* ranges still to be compared */
    bool syncing;                    /* there is one: that which fetches most is */
    char sync_office[WC_OFFICE_NAME_MAX_BYTES + 1]; /* with that office, */
    uint64_t sync_since_mono_ms;                    /* since then */
    uint64_t next_audit_mono_ms;                    /* the next audit of ours */
    uint64_t next_sync_mono_ms;                     /* the next round, if not sooner */
    bool reconciled; /* one ended well since the start: the last of them */
    char last_office[WC_OFFICE_NAME_MAX_BYTES + 1];
    uint64_t last_mono_ms, last_took_ms, last_wanted, last_taken;

    uint32_t asks_count;      /* remembered, so that answers find their way */
    uint32_t matches_waiting; /* of them waiting for a search here */
    uint32_t missing_count;   /* announced, and not here yet */
    uint32_t kept_count;      /* passed on of late, for who asks for it */
    uint64_t kept_bytes;
    uint32_t dials_count;     /* under way */
    uint32_t commits_waiting; /* own records that wait for theirs */
};
/* Looks at all that is open: some microseconds. */
void wc_node_overview(const struct wc_node *node, struct wc_node_overview *out);

/* The counts alone: cheap. Borrowed. */
const struct wc_node_counts *wc_node_counts(const struct wc_node *node);

/*
 * What an office did that an honest one does not do. The first seven are things that it
 * signed, whoever passed them on; the last three it sent as a neighbour. An office whose
 * clock is wrong (this one's, too) does some of them without meaning to.
 */
enum wc_blame {
    WC_BLAME_FUTURE,       /* records dated in the future */
    WC_BLAME_LEASE,        /* leases longer than their kind may have, or that end before
                              they begin */
    WC_BLAME_CONTENT,      /* records, asks or answers that are not what they must be */
    WC_BLAME_QUOTA,        /* more people or records than its certificate allows, for
                              some time */
    WC_BLAME_TWO_CONTENTS, /* two contents with one number: a restored backup, or a lie */
    WC_BLAME_CHANGES,      /* changed its records more often than anybody could */
    WC_BLAME_ASKS,         /* asked more often than anybody could */
    WC_BLAME_FRAME, /* sent bytes that nobody signed, or that break the protocol */
    WC_BLAME_FLOOD, /* sent or asked for much that was of no use */
    WC_BLAME_SYNC,  /* said that it had what it did not give, again and again */
};
#define WC_BLAMES_COUNT (WC_BLAME_SYNC + 1)

/* An office that is to blame, since the start. At most WC_CONDUCT_MAX_COUNT, in no
 * order; false past the end. */
struct wc_node_blamed {
    uint8_t office_key[WC_KEY_BYTES];
    char office[WC_OFFICE_NAME_MAX_BYTES + 1]; /* its name */
    uint64_t counts[WC_BLAMES_COUNT];
    uint64_t last_ms; /* wall clock */
};
bool wc_node_blamed_at(const struct wc_node *node, uint32_t i,
                       struct wc_node_blamed *out);

/*
 * Proof that an office signed two contents with one (rev, seq): both stamps with their
 * signatures, and nothing of what they are about but digests. At most
 * WC_EVIDENCE_MAX_COUNT, WC_EVIDENCE_OFFICE_COUNT of one office: the first ones. A
 * WC_NOTE_TWO_CONTENTS with count 1 says that there is one more: the caller keeps them.
 */
struct wc_node_stamp {
    uint32_t len;
    uint8_t bytes[WC_STAMP_MAX_BYTES];
    uint8_t sig[WC_SIG_BYTES];
};
struct wc_node_evidence {
    uint8_t kind;
    uint8_t office_key[WC_KEY_BYTES];
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    uint64_t rev, seq;
    uint64_t seen_at_ms; /* wall clock */
    struct wc_node_stamp stamps[2];
    uint8_t whom[WC_DIGEST_BYTES]; /* the hash of kind, office and subject */
    /* Somebody who was erased since: no subject and no stamps, which name them, but their
     * hashes. It proves the contradiction to whoever has those stamps from elsewhere. */
    bool erased;
    uint8_t hashes[2][WC_DIGEST_BYTES];
};
/* False past the end. */
bool wc_node_evidence_at(const struct wc_node *node, uint32_t i,
                         struct wc_node_evidence *out);
/* Append one, packed; and read it again, checking both signatures, where there are any.
 * -WC_EBADSIG, or what is wrong with the bytes. */
void wc_evidence_encode(struct wc_buf *b, const struct wc_node_evidence *e);
int wc_evidence_decode(struct wc_slice bytes, struct wc_node_evidence *out);
/* Before START: one that was kept. Errors as those of wc_evidence_decode(). */
int wc_node_load_evidence(struct wc_node *node, struct wc_slice bytes);

/* How far LEAVE events have come. */
struct wc_node_leaving {
    bool more;              /* there is more to retire: another LEAVE. False, too, when
                               this office may not sign: revoked, expired, wrong clock */
    uint64_t retired_count; /* records */
    uint32_t waiting_count; /* neighbours that have not said yet that they have them */
    uint32_t told_count;    /* neighbours that have said so */
};
void wc_node_leaving(const struct wc_node *node, struct wc_node_leaving *out);

/* Whether the clock differs from most neighbours': nothing is to be judged by it. */
bool wc_node_clock_off(const struct wc_node *node);

/* What the node is doing now, for people and for tests. */
void wc_node_stats(const struct wc_node *node, struct wc_node_stats *out);

#endif
