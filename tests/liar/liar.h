/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member office whose daemon lies: it links to another office as any office does, with a
 * certificate and the real handshake, and then does what no honest one does.
 *
 *   main.c   options, and what is printed
 *   link.c   one TCP connection, the link on it, what is heard
 *   make.c   records of any content, signed by whoever
 *   lies.c   the table of lies
 *
 * Nothing here checks what it writes: that is the others' part. Failures of its own end the
 * program with status 1 and a line on standard error.
 */
#ifndef WHOCAN_TESTS_LIAR_H
#define WHOCAN_TESTS_LIAR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/cert.h>
#include <whocan/link.h>
#include <whocan/pack.h>
#include <whocan/record.h>

#include "proto/wire.h"

#define LIAR_PATIENCE_MS 60000 /* the other side is alive, or something is wrong */

/* How reconciliation is answered: that nothing differs, not at all, or that there is ever
 * more. */
enum sync { SYNC_SAME, SYNC_SILENT, SYNC_ENDLESS };

struct liar {
    struct wc_identity me;
    const char *victim;     /* name of an honest office, or NULL */
    const char *other_path; /* another office's invitation, or NULL */
    FILE *heard;            /* a line of hexadecimal digits for each frame; or NULL */
    uint8_t victim_key[WC_KEY_BYTES];
    bool victim_known;

    int fd;
    struct wc_link *link;
    struct wc_buf out; /* sealed, and not sent yet */
    struct wc_buf frame, record;
    bool closed;
    uint64_t asked_token, heard_token; /* of our pings */
    uint64_t seq;

    enum sync sync;
    uint64_t invented; /* items */
    uint64_t wanted;
    bool fetching; /* a set, of which not all is here */
    bool ask_heard;
    uint8_t ask_id[WC_ASK_ID_BYTES];
};

__attribute__((format(printf, 1, 2), noreturn)) void liar_fail(const char *format, ...);
uint64_t liar_now_ms(void);
/* Whether there is something on standard input, or its end: some lies go on until then. */
bool liar_dismissed(void);
/* A whole file; ends the program when it cannot be read. */
void liar_read_file(const char *path, struct wc_buf *out);

/* ---- link.c ---- */

/* Connect to HOST:PORT and come to an open link. */
void liar_link(struct liar *l, const char *address);
void liar_unlink(struct liar *l);
/* Say l->frame and empty it. What comes meanwhile is heard. */
void liar_say(struct liar *l);
/* Listen for so long, or until the link is closed. */
void liar_listen(struct liar *l, uint64_t for_ms);
/* Until the other side has looked at all that was said, or has closed the link. */
void liar_settle(struct liar *l);
/* Fetch all cards, to learn the victim's key. */
void liar_meet_victim(struct liar *l);
/* Fetch all that there is in both sets, which must be little. */
void liar_fetch(struct liar *l);
/* Until an ask came. */
void liar_await_ask(struct liar *l);

/* ---- make.c ---- */

/* What stands in a record; what is NULL or 0 is as an honest office has it. */
struct made {
    uint8_t kind; /* a row */
    const char *subject;
    const uint8_t *office_key;                /* ours */
    const struct wc_signer *author, *stamper; /* we */
    uint64_t rev, seq, stamped_at_ms, lease_ms;
    const char *title;
    struct wc_slice body;            /* instead of all that */
    uint8_t stamp_sig[WC_SIG_BYTES]; /* out */
    uint8_t digest[WC_DIGEST_BYTES]; /* out */
};

/* Into l->record, whatever it is. */
void liar_make(struct liar *l, struct made *m);
/* Send one record as new, or bytes that are none. */
void liar_tell(struct liar *l, struct made *m);
void liar_tell_bytes(struct liar *l, struct wc_slice bytes);
/* The own card, and one honest row. */
void liar_tell_truth(struct liar *l);
/* Gather rows and send them when a frame is full. */
struct heap {
    struct wc_buf packed;
    uint32_t count;
};
void liar_heap(struct liar *l, struct heap *h, struct made *m);
void liar_tell_heap(struct liar *l, struct heap *h, enum wc_wire_reason reason);

/* ---- lies.c ---- */

struct lie {
    const char *name;
    const char *what;
    bool victim; /* whether it is about another office */
    enum sync sync;
    void (*tell)(struct liar *l);
};
extern const struct lie lies[];

#endif
