/* SPDX-License-Identifier: Apache-2.0 */
/* Every limit, with its unit and its reason. Limits are checked before anything is
 * allocated. */
#ifndef WHOCAN_LIMITS_H
#define WHOCAN_LIMITS_H

/* --- keys and digests (bytes; fixed by the algorithms) --- */
#define WC_KEY_BYTES      32 /* Ed25519 and X25519 public keys, X25519 secrets, seeds */
#define WC_SIGN_SK_BYTES  64 /* expanded Ed25519 secret key of libsodium */
#define WC_SIG_BYTES      64
#define WC_DIGEST_BYTES   32 /* BLAKE2b-256 */
#define WC_HASH64_BYTES   64 /* BLAKE2b-512, the hash of the Noise suite */
#define WC_AEAD_TAG_BYTES 16
#define WC_ORG_ID_BYTES   16
#define WC_ASK_ID_BYTES   16
#define WC_SECRET_BYTES   32

/* --- names and texts (bytes of UTF-8, without a terminator) --- */
#define WC_OFFICE_NAME_MAX_BYTES                                                       \
    32 /* slug: stands in every handle and on every line of output */
#define WC_SUBJECT_MAX_BYTES    64 /* a login (32 on Linux) or an id in hexadecimal */
#define WC_TITLE_MAX_BYTES      200 /* names of people, job titles, teams, office titles */
#define WC_SKILL_NAME_MAX_BYTES 100
#define WC_ABOUT_MAX_BYTES      1000
#define WC_LANGUAGE_MAX_BYTES   32
#define WC_EMAIL_MAX_BYTES      254 /* RFC 5321, 4.5.3.1.3 */
#define WC_PHONE_MAX_BYTES      32
#define WC_ASK_TEXT_MAX_BYTES   1000 /* a question of a few sentences */
#define WC_QUERY_MAX_BYTES      1000
#define WC_ADDRESS_MAX_BYTES    64 /* "[IPv6%zone]:port" */

/* --- counts --- */
#define WC_SKILLS_MAX_COUNT    64
#define WC_INTERESTS_MAX_COUNT 32
#define WC_LANGUAGES_MAX_COUNT 16
#define WC_ADDRESSES_MAX_COUNT 8
#define WC_ANSWER_PEOPLE_MAX   8  /* people in one office's answer to one ask */
#define WC_PROGRAM_MAX_BYTES   32 /* the version of a daemon, as its card has it */
#define WC_ERASED_MAX_COUNT                                                            \
    256 /* erasures that a card lists as completed, newest last: 2.5 KB of it */
#define WC_ERASED_MARK_BYTES                                                           \
    8 /* of a retirement's digest: tells a few hundred apart, and says nothing */

/* --- vocabularies --- */
#define WC_VOCABULARY_FILE_MAX_BYTES                                                   \
    (16u << 20)                           /* all of ESCO in one language is 8 MiB */
#define WC_VOCABULARY_LINE_MAX_BYTES 1000 /* longer values go on in the next line */
#define WC_CONCEPTS_MAX_COUNT        65536 /* all of ESCO has 17,000 skills and occupations */
#define WC_VOCABULARIES_MAX_COUNT    64
#define WC_CONCEPT_LABELS_MAX        128 /* ESCO has up to 90 for one */
#define WC_CONCEPT_NEAR_MAX          32  /* broader, narrower or related, of each */
#define WC_CONCEPT_ID_MAX_BYTES      48  /* a UUID fits */

/* --- records and frames (bytes) --- */
#define WC_RECORD_MAX_BYTES                                                            \
    16384 /* a profile of 64 full skills fits; 3 fit one frame */
#define WC_LOCAL_MAX_BYTES                                                             \
    WC_RECORD_MAX_BYTES /* of what stands beside a profile: all of it may */
#define WC_CERT_MAX_BYTES 1024
#define WC_ROTATION_MAX_BYTES                                                          \
    320 /* a rotation has about 235: it travels in handshakes and invitations */
#define WC_FRAME_MAX_BYTES 65519 /* Noise message of 65,535 less the 16-byte tag */
#define WC_NOISE_MAX_BYTES 65535

/* --- people and their keys --- */
#define WC_KEY_CHANGE_SHOWN_MS                                                         \
    (180 * WC_DAY_MS) /* as long as a profile's lease: no reader misses it */
#define WC_PERSON_KEY_TEXT_MAX_BYTES 128 /* the file of a person's key has 69 */

/* --- the pre-scan of MessagePack: what one document may hold --- */
#define WC_SCAN_DEPTH_MAX 16
#define WC_SCAN_NODES_MAX                                                              \
    4096 /* objects in all; 16 MiB of nils took msgpack-c 411 MB */

/* --- leases and clocks (milliseconds) --- */
#define WC_DAY_MS (86400000ULL)
#define WC_PROFILE_LEASE_MAX_MS                                                        \
    (180 * WC_DAY_MS) /* an office gone for half a year is gone */
#define WC_ASK_LEASE_MAX_MS (30 * WC_DAY_MS)
#define WC_RETIRE_LEASE_MS                                                             \
    (181 * WC_DAY_MS)                  /* longest lease and a day: no resurrection */
#define WC_FUTURE_SLACK_MS (600000ULL) /* clocks agree within 10 minutes */
#define WC_ASK_LIVE_MS     (60000ULL)  /* older asks are not answered live */
#define WC_EXPIRED_KEEP_MS WC_DAY_MS   /* deleted a day after they are hidden */
#define WC_FORMER_BELIEVED_MS                                                          \
    (3600000ULL) /* certificates by a former organisation key, after a rotation: grants
                    cross an overlay in seconds, and slow or broken links have an hour */

/* rev and seq stay below 2^53, so that every client language holds them exactly */
#define WC_REV_MAX (9007199254740991ULL)

/* --- links --- */
#define WC_HANDSHAKE_MAX_MS     5000
#define WC_HANDSHAKES_MAX_COUNT 64 /* that passed the MAC, at once */
#define WC_HANDSHAKES_ADDR_COUNT                                                       \
    4 /* per source address; loopback and configured peers exempt */
#define WC_HANDSHAKE_PAYLOAD_MAX_BYTES                                                 \
    1664 /* of messages 2 and 3: a certificate, a rotation, versions, and room to say
            more */
#define WC_REKEY_AFTER_MS    (3600000ULL)
#define WC_REKEY_AFTER_COUNT (1ULL << 20)
#define WC_STRANGERS_MAX_COUNT                                                         \
    128 /* accepted and not past the MAC, at once; the oldest gives way */
#define WC_LINKS_MAX_COUNT                                                             \
    1024 /* open at once: a few for each office of a large organisation */
#define WC_DIALS_MAX_COUNT          64 /* under way at once: one descriptor each */
#define WC_DIAL_ADDRESSES_MAX_COUNT 8  /* of one name, tried in turn */
#define WC_RESOLVES_MAX_COUNT                                                          \
    2 /* name look-ups at once: a slow name server must not hold up the pool */
#define WC_LINK_QUEUE_MAX_BYTES                                                        \
    (8u << 20) /* output a peer may leave unread before we close */
#define WC_LINKS_QUEUE_MAX_BYTES                                                       \
    (64u << 20) /* of all links: beyond it the one that left most unread is closed */

/* --- addresses that misbehave (daemon/penalty.h): connections without a link --- */
#define WC_PENALTY_SOURCES_COUNT                                                       \
    1024 /* remembered at once; who has more addresses meets the limits above */
#define WC_PENALTY_BURST_COUNT                                                         \
    32 /* nobody's harm: several offices behind one address, with a wrong clock or an
          expired certificate, try again that often in their first minute */
#define WC_PENALTY_DECAY_MS                                                            \
    (2000ULL) /* one failure is forgotten: they settle at one a minute each, a port that
                 is watched at one every few seconds */
#define WC_PENALTY_PAUSE_MS                                                            \
    (1000ULL) /* the first pause; each is twice the one before */
#define WC_PENALTY_PAUSE_MAX_MS (300000ULL) /* an honest office waits no longer */
#define WC_PENALTY_AGAIN_COUNT  4 /* failures that are let pass after a pause */
#define WC_PENALTY_STEADY_MS                                                           \
    (5000ULL) /* an office's link lasts longer; what is revoked, or a second link, is closed at once */
#define WC_PENALTY_CALM_MS                                                             \
    (600000ULL) /* without a failure: one doubling is forgotten */
#define WC_PENALTY_TRUST_MS                                                            \
    (3600000ULL) /* an office was linked from there: never paused for so long */
#define WC_PENALTY_TRUST_PEER_MS WC_DAY_MS    /* the same of a configured peer */
#define WC_PENALTY_NAMED_MS      (3600000ULL) /* in status after its last failure */
#define WC_PENALTY_NAMED_COUNT   8

/* --- offices that run twice (daemon/twins.h) --- */
#define WC_TWINS_COUNT                                                                 \
    128 /* offices watched at once: who is linked in turns is heard of all the time */
#define WC_TWIN_SWAPS_COUNT 6
#define WC_TWIN_SWAP_MS                                                                \
    (180000ULL) /* each twin dials again within a minute, and at times it is longer */
#define WC_TWIN_NAMED_MS (3600000ULL) /* in status after it was last seen */

#define WC_LINK_ANSWERS_MAX_BYTES                                                      \
    (WC_LINK_QUEUE_MAX_BYTES / 2) /* unread by a peer: answers to it are left out, */
#define WC_LINK_NEWS_MAX_BYTES                                                         \
    (WC_LINK_QUEUE_MAX_BYTES * 3 /                                                     \
     4) /* and then new records and asks. A bulk fetch    \
                                         alone has at most 4 MiB under way */

#define WC_NODE_LINKS_MAX_COUNT                                                        \
    256 /* open at once: each may hold a queue of WC_LINK_QUEUE_MAX_BYTES */

/* --- messages between offices (counts in one frame; no honest frame has more) --- */
#define WC_WIRE_RECORDS_MAX_COUNT 256 /* the smallest record has about 350 bytes */
#define WC_WIRE_ANSWERS_MAX_COUNT 512 /* the smallest answer has about 125 bytes */
#define WC_SYNC_RANGES_MAX_COUNT                                                       \
    32 /* asked about at once: 16 branches or 32 items of each fit one frame */
#define WC_DIFF_ITEMS_MAX_COUNT (32 * WC_SYNC_RANGES_MAX_COUNT)
#define WC_WANT_ITEMS_MAX_COUNT 128  /* 2 MiB of the largest records */
#define WC_MESSAGE_ID_BYTES     16   /* in IHAVE and GRAFT: nobody finds two alike */
#define WC_IDS_MAX_COUNT        1024 /* in one IHAVE or GRAFT: 16 KiB */
#define WC_SHUFFLE_MAX_COUNT    8    /* offices in one SHUFFLE */
#define WC_ROOT_BYTES           16   /* of a BEAT: the beginning of a key */
#define WC_BEAT_HOPS_MAX        64 /* links that a BEAT crosses: far more than there are */
#define WC_WALK_HOPS_MAX        6 /* of a JOINED: across an overlay of 10,000 offices */
#define WC_WANTS_OPEN_MAX_COUNT 2 /* one is answered while the next is on its way */

/* --- the organisation's key file --- */
#define WC_REGISTER_MAX_COUNT                                                          \
    32768 /* certificates, and revoked keys: 10,000 offices with three each */
#define WC_REGISTER_MAX_BYTES                                                          \
    (WC_REGISTER_MAX_COUNT * (WC_CERT_MAX_BYTES + 3u + 46u) +                          \
     32u) /* when all is full */
#define WC_ORGKEY_TEXT_MAX_BYTES                                                       \
    (48u << 20) /* such a register in base64, in lines of 64 */

/* --- statements of the organisation in one line of text --- */
#define WC_STATEMENTS_MAX_COUNT                                                        \
    256 /* records: whoever has more to say says it in several lines */
#define WC_STATEMENT_LINE_MAX_BYTES                                                    \
    (512u << 10) /* 256 of the largest certificates fit; one request holds it */

/* --- asks on their way --- */
#define WC_ASK_HOPS_MAX 16 /* the overlay of 10,000 offices is 6 across */
#define WC_ASKS_MAX_COUNT                                                              \
    1024 /* remembered at once, own and relayed; the oldest goes */
#define WC_ASK_PATH_MS (120000ULL) /* answers find their way back for so long */
#define WC_ASK_MATCHES_MAX_COUNT                                                       \
    64 /* searches for other offices' asks under way in ours at once */

/* --- finding offices: the beacon, a name server, what worked before --- */
#define WC_BEACON_WINDOW_MS                                                            \
    (10000ULL) /* an office sends three in its first seconds, and then one a minute */
#define WC_BEACON_SOURCE_COUNT                                                         \
    128 /* of one address in a window: 30 daemons on one machine, on two families */
#define WC_BEACON_ALL_COUNT                                                            \
    2048 /* of all in a window: 1,000 offices of one network that start at once; a flood \
            costs 2 ms of looking a second */
#define WC_BEACON_SOURCES_COUNT                                                        \
    1024 /* addresses counted in a window; one more is unheard */
#define WC_BEACON_INTERFACES_MAX_COUNT                                                 \
    32 /* sockets: two of each interface; containers and bridges have no office behind */
#define WC_SRV_MAX_COUNT   32            /* targets of one answer that are kept */
#define WC_SRV_TTL_MIN_MS  (60000ULL)    /* asked again not sooner, */
#define WC_SRV_TTL_MAX_MS  (86400000ULL) /* and once a day at least */
#define WC_SRV_RETRY_MS    (30000ULL) /* after a failure, and twice as long each time */
#define WC_SRV_BYTES       65535 /* the longest answer over TCP (RFC 1035, 4.2.2) */
#define WC_CACHE_MAX_COUNT 64    /* addresses that worked: ten times the neighbours */

/* --- what the engine keeps --- */
#define WC_JOIN_MAX_COUNT    64    /* configured peers */
#define WC_HEARD_MAX_COUNT   32    /* addresses of beacons that are yet to be dialled */
#define WC_PENDING_MAX_COUNT 65536 /* local edits that wait for their commit */

/* --- what is said to the operator --- */
#define WC_PROBLEM_BYTES                                                               \
    512 /* one line: a path and a sentence, cut when it is longer */

/* --- the audit log --- */
#define WC_AUDIT_LINE_MAX_BYTES                                                        \
    1024 /* the longest has two people, an office and five numbers */

/* --- what offices that lie may cost --- */
#define WC_REST_PER_PERSON                                                             \
    4 /* retirements and records of other kinds that an office may have for each person \
         of its quota: a whole staff may leave twice within the lease of a retirement */
#define WC_REST_SPARE_COUNT      1024 /* and so many more, for an office of few people */
#define WC_CONDUCT_MAX_COUNT     512 /* offices whose conduct is remembered: two a link */
#define WC_EVIDENCE_MAX_COUNT    64  /* pairs of stamps that contradict each other, */
#define WC_EVIDENCE_OFFICE_COUNT 4   /* and of one office: the first ones prove it */
#define WC_STAMP_MAX_BYTES       256 /* the longest has 181 */
#define WC_SCORE_MAX_MILLI       1000000 /* in an answer: no honest score is higher */

/* --- the socket --- */
#define WC_RPC_MESSAGE_MAX_BYTES (1u << 20) /* one request or response */
#define WC_RPC_NODES_MAX         65536 /* objects in one request: a batch of imported rows */
#define WC_RPC_QUEUE_MAX_BYTES                                                         \
    (4u << 20) /* output a client may leave unread before we close */
#define WC_RPC_INFLIGHT_MAX_COUNT 64 /* requests of one connection at once */
#define WC_WATCHERS_MAX_COUNT     16 /* requests of node.watch at once */
#define WC_WATCH_QUEUE_COUNT      512 /* events that wait for a watcher who does not read; */
#define WC_WATCH_QUEUE_BYTES      (64u << 10) /* more are left out, and counted */
#define WC_RPC_CLIENTS_MAX_COUNT  256
#define WC_RPC_CLIENTS_UID_COUNT  32 /* of one uid: one user cannot take every place */
/* What one uid may have, so that a backlog of its own never delays another's. Rates are
 * requests a minute and at once; administrators are exempt from rates (an import of 100,000
 * rows is theirs), and the intranet's account gets WC_RPC_INTRANET_SCALE times as much. */
#define WC_RPC_PERSON_MESSAGE_MAX_BYTES                                                \
    (64u                                                                               \
     << 10) /* one request of somebody who is no administrator: a profile has 16 KiB */
#define WC_RPC_PERSON_NODES_MAX  4096       /* objects in it: a full profile has 500 */
#define WC_RPC_WAITING_UID_COUNT 256        /* requests read and not begun; then BUSY */
#define WC_RPC_WAITING_UID_BYTES (2u << 20) /* of them: 32 of the largest */
#define WC_RPC_WAIT_MAX_MS                                                             \
    10000 /* what would wait longer for its rate is BUSY at once: people go away */
#define WC_RPC_BUSY_PAUSE_MS                                                           \
    100 /* a connection that was told BUSY is not read for so long: refusals cost, too */
#define WC_RPC_QUEUE_UID_MAX_BYTES                                                     \
    (16u << 20) /* unread output of all connections of one uid before we close one */
#define WC_RPC_FINDS_UID_COUNT   8     /* begun at once: each may hold 2 MiB of hits */
#define WC_RPC_EXPORTS_UID_COUNT 2     /* each walks through all records */
#define WC_RPC_READS_MINUTE      60000 /* 1,000 a second of 50 us: 5% of the loop thread */
#define WC_RPC_READS_BURST       1000
#define WC_RPC_FINDS_MINUTE      30000 /* 500 a second: more than typing needs */
#define WC_RPC_FINDS_BURST       500
#define WC_RPC_ASKS_MINUTE       60 /* every office works for each of them */
#define WC_RPC_ASKS_BURST        20
#define WC_RPC_EDITS_MINUTE                                                            \
    600 /* each is a signature, a commit, and bytes everywhere */
#define WC_RPC_EDITS_BURST    100
#define WC_RPC_EXPORTS_MINUTE 30
#define WC_RPC_EXPORTS_BURST  4
#define WC_RPC_INTRANET_SCALE 20 /* so many people use it at the same moment */
#define WC_RPC_TURN_MAX_US                                                             \
    2000 /* requests are served so long before the loop reads again */
#define WC_RPC_ACCEPT_TURN_COUNT 32 /* connections taken before the loop goes round */

/* --- the pool --- */
#define WC_LANE_MAX_COUNT                                                              \
    3 /* jobs of one lane (searches, account look-ups) at once, on the pool's threads */
#define WC_LANE_USER_COUNT 2 /* of one user: a place is always left for another one */
#define WC_POOL_THREADS_COUNT                                                          \
    10 /* two lanes, WC_RESOLVES_MAX_COUNT, a commit, a join: none waits for another */

/* --- writing the index --- */
#define WC_LEXICON_MAX_BYTES                                                           \
    (16u                                                                               \
     << 20) /* of words remembered by one who analyses, before all are forgotten:     \
                   those of 100,000 people; given back when nothing is written */
#define WC_BUILD_MAX_BYTES                                                             \
    (256u                                                                              \
     << 20) /* of the dictionary of an index that is built, which stays in memory   \
                    until it is done: two million words; whoever comes then is added as   \
                    to an index that exists */
#define WC_BUILD_THREADS_MAX 4 /* analyse people for a build; each takes some 30 MB */

/* --- misspelt words (daemon/spelling.h) --- */
#define WC_SPELLING_WORDS_MAX                                                          \
    524288 /* of one scope, some 45 MB: a million people use half as many */
#define WC_SPELLING_LETTERS_MIN 4 /* a shorter word is as near to too many others */
#define WC_SPELLING_LETTERS_MAX 32
#define WC_SPELLING_TWO_LETTERS_MIN                                                    \
    7 /* from so many letters on two mistakes still leave enough of a word */
#define WC_SPELLING_UNDONE_LETTERS_MAX                                                 \
    20 /* of a word that is looked up with each one of two mistakes undone: 6,000 keys */
#define WC_SPELLING_KEYS_MAX 6600 /* by which one word is looked up, in all: 0.5 ms */
#define WC_SPELLING_SHARED_COUNT                                                       \
    48 /* words under one key; beyond, those that most people use: whoever makes up words \
          that differ in one letter makes nobody's search long */
#define WC_SPELLING_WALK_COUNT                                                         \
    128 /* places looked at for one key: 8 are usual when three of four are taken */
#define WC_SPELLING_COMPARED_MAX                                                       \
    512                  /* words compared with a misspelt one; 20 are usual */
#define WC_SPELLED_MAX 3 /* what one misspelt word may have meant */
#define WC_CORRECTED_MAX_COUNT                                                         \
    16 /* words of one question that are corrected: a long sentence with all of them wrong */

#define WC_ORG_KNOWN_MAX_COUNT    500 /* offices in one answer of org.known */
#define WC_IMPORT_BATCH_MAX_COUNT 200 /* rows in one people.import request */
#define WC_FIND_LIMIT_DEFAULT     10
#define WC_FIND_LIMIT_MAX         1000
#define WC_ASK_WAIT_DEFAULT_MS    3000
#define WC_ASK_WAIT_MAX_MS        60000

#endif
