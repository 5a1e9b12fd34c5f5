/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/liar/liar.h"
#include "tests/unit/reconciling.h"

#define UNSENT_MAX_BYTES (64u << 10) /* then it is sent before more is said */

static struct wc_wire_ranges ranges, answer;
static uint8_t items[WC_SYNC_RANGES_MAX_COUNT][WC_ITEM_LEAF_MAX * WC_ITEM_BYTES];
static uint8_t ids[WC_SYNC_RANGES_MAX_COUNT][WC_ITEM_LEAF_MAX * WC_SHORT_ID_BYTES];

/* Seal l->frame for the link; it goes out with the next turn. */
static void seal(struct liar *l)
{
    int rc = l->frame.failed ? -WC_ENOMEM
                             : wc_link_send(l->link, wc_buf_slice(&l->frame),
                                            liar_now_ms(), &l->out);
    if (rc != 0)
        liar_fail("a frame of %zu bytes: %s", l->frame.len, wc_strerror(rc));
    wc_buf_reset(&l->frame);
}

/* ---- what is heard ---- */

static void hear_clock(struct liar *l, struct wc_slice frame, int type)
{
    struct wc_wire_clock clock;
    if (wc_wire_decode_clock(frame, &clock, NULL) != 0)
        liar_fail("a %s that is none", type == WC_WIRE_PING ? "PING" : "PONG");
    if (type == WC_WIRE_PONG) {
        l->heard_token = clock.token;
        return;
    }
    wc_wire_pong(&l->frame, liar_now_ms(), clock.token);
    seal(l);
}

/* One range that differs: below it there is more, and at the bottom there are items. */
static void invent(struct liar *l, uint32_t place)
{
    const struct wc_wire_range *asked = &ranges.ranges[place];
    if (asked->bits < 16) {
        reconciling_more(&answer, &ranges, place);
        return;
    }
    for (uint32_t n = 0; n < WC_ITEM_LEAF_MAX; n++) {
        uint8_t *item = items[place] + n * WC_ITEM_BYTES;
        memcpy(item, asked->prefix, WC_ITEM_BYTES);
        wc_put_u64(item + 8, ++l->invented);
    }
    reconciling_list(&answer, &ranges, place, items[place], WC_ITEM_LEAF_MAX,
                     ids[place]);
}

static void hear_sync(struct liar *l, struct wc_slice frame)
{
    if (wc_wire_decode_sync(frame, &ranges, NULL) != 0)
        liar_fail("a SYNC that is none");
    if (l->sync == SYNC_SILENT)
        return;
    answer = (struct wc_wire_ranges){.set = ranges.set, .session = ranges.session};
    for (uint32_t i = 0; l->sync == SYNC_ENDLESS && ranges.set != 0 && i < ranges.count;
         i++)
        invent(l, i);
    wc_wire_diff(&l->frame, &answer);
    seal(l);
}

static void hear_want(struct liar *l, struct wc_slice frame)
{
    if (wc_wire_decode_want(frame, &ranges, NULL) != 0)
        liar_fail("a WANT that is none");
    l->wanted += reconciling_wanted(&ranges);
    wc_wire_records(&l->frame, WC_REASON_LAST, 0, wc_slice(NULL, 0));
    seal(l);
}

/* The answer to our SYNC about all of a set: fetch them. */
static void hear_diff(struct liar *l, struct wc_slice frame)
{
    static uint8_t wanted[WC_ITEM_LEAF_MAX][WC_ITEM_BYTES];
    static uint8_t short_ids[WC_ITEM_LEAF_MAX][WC_SHORT_ID_BYTES];
    if (wc_wire_decode_diff(frame, &ranges, NULL) != 0)
        liar_fail("a DIFF that is none");
    if (!l->fetching)
        return;
    if (ranges.count != 1 || ranges.ranges[0].form != WC_FORM_ITEMS)
        liar_fail("more records than fit one list, or none");
    memcpy(wanted, ranges.ranges[0].data.data, ranges.ranges[0].data.len);
    reconciling_wants(&answer, ranges.set, wanted, ranges.ranges[0].count, short_ids);
    wc_wire_want(&l->frame, &answer);
    seal(l);
}

static void look_for_victim(struct liar *l, struct wc_slice bytes)
{
    struct wc_record r;
    struct wc_doc *doc;
    struct wc_card card;
    struct wc_cert cert;
    if (l->victim == NULL || wc_record_decode(bytes, &r, NULL) != 0 ||
        r.kind != WC_KIND_CARD || wc_doc_new(r.body, &wc_scan_default, &doc) != 0)
        return;
    if (wc_card_decode(wc_doc_root(doc), &card, NULL) == 0 &&
        wc_cert_open(card.cert, &l->me.org, &cert, NULL) == 0 &&
        strcmp(cert.name, l->victim) == 0) {
        memcpy(l->victim_key, r.office_key, WC_KEY_BYTES);
        l->victim_known = true;
    }
    wc_doc_free(doc);
}

static void hear_records(struct liar *l, struct wc_slice frame)
{
    static struct wc_wire_records f;
    if (wc_wire_decode_records(frame, &f, NULL) != 0)
        liar_fail("RECORDS that are none");
    for (uint32_t i = 0; i < f.count; i++)
        look_for_victim(l, f.records[i]);
    if (f.reason == WC_REASON_LAST)
        l->fetching = false;
}

static void write_down(const struct liar *l, struct wc_slice frame)
{
    if (l->heard == NULL)
        return;
    for (size_t i = 0; i < frame.len; i++)
        fprintf(l->heard, "%02x", frame.data[i]);
    fputc('\n', l->heard);
    if (fflush(l->heard) != 0)
        liar_fail("what was heard cannot be written down");
}

static void hear_ask(struct liar *l, struct wc_slice frame)
{
    struct wc_wire_ask ask;
    struct wc_record r;
    if (wc_wire_decode_ask(frame, &ask, NULL) != 0 ||
        wc_record_decode(ask.record, &r, NULL) != 0 ||
        wc_unhex(l->ask_id, sizeof(l->ask_id), wc_slice_text(r.subject)) != 0)
        liar_fail("an ASK that is none");
    l->ask_heard = true;
}

static void hear(void *ctx, struct wc_slice frame)
{
    struct liar *l = ctx;
    int type = wc_wire_type(frame);
    write_down(l, frame);
    if (type == WC_WIRE_PING || type == WC_WIRE_PONG)
        hear_clock(l, frame, type);
    else if (type == WC_WIRE_SYNC)
        hear_sync(l, frame);
    else if (type == WC_WIRE_DIFF)
        hear_diff(l, frame);
    else if (type == WC_WIRE_WANT)
        hear_want(l, frame);
    else if (type == WC_WIRE_RECORDS)
        hear_records(l, frame);
    else if (type == WC_WIRE_ASK)
        hear_ask(l, frame);
}

/* ---- bytes ---- */

static void receive(struct liar *l)
{
    uint8_t bytes[65536];
    ssize_t got = recv(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0 && errno != ECONNRESET)
        liar_fail("recv: %s", strerror(errno));
    if (got <= 0) {
        l->closed = true;
        return;
    }
    /* what is said in answer is gathered in l->frame: nothing else may be there */
    struct wc_buf unsaid = l->frame;
    l->frame = (struct wc_buf){0};
    int rc = wc_link_receive(l->link, wc_slice(bytes, (size_t)got), liar_now_ms(),
                             &l->out, hear, l);
    wc_buf_fini(&l->frame);
    l->frame = unsaid;
    if (rc != 0)
        liar_fail("the link: %s", wc_strerror(rc));
}

static void transmit(struct liar *l)
{
    ssize_t sent = send(l->fd, l->out.data, l->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        wc_buf_drop(&l->out, (size_t)sent);
    else if (errno == EPIPE || errno == ECONNRESET)
        l->closed = true;
    else if (errno != EAGAIN && errno != EINTR)
        liar_fail("send: %s", strerror(errno));
}

/* Wait until bytes can come or go, and let them. */
static void turn(struct liar *l, uint64_t wait_ms)
{
    struct pollfd p = {.fd = l->fd,
                       .events = (short)(POLLIN | (l->out.len > 0 ? POLLOUT : 0))};
    if (poll(&p, 1, (int)wait_ms) < 0 && errno != EINTR)
        liar_fail("poll: %s", strerror(errno));
    if ((p.revents & POLLOUT) != 0)
        transmit(l);
    if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        receive(l);
}

/* Turns until something holds. */
static void until(struct liar *l, bool (*holds)(const struct liar *l), const char *what)
{
    uint64_t end_ms = liar_now_ms() + LIAR_PATIENCE_MS;
    while (!l->closed && !holds(l)) {
        if (liar_now_ms() >= end_ms)
            liar_fail("not within %d s: %s", LIAR_PATIENCE_MS / 1000, what);
        turn(l, 1000);
    }
}

static bool is_open(const struct liar *l)
{
    return wc_link_state(l->link) == WC_LINK_OPEN;
}

static bool has_room(const struct liar *l)
{
    return l->out.len < UNSENT_MAX_BYTES;
}

static bool is_settled(const struct liar *l)
{
    return l->heard_token == l->asked_token;
}

static bool knows_victim(const struct liar *l)
{
    return l->victim_known;
}

static bool has_fetched(const struct liar *l)
{
    return !l->fetching;
}

static bool was_asked(const struct liar *l)
{
    return l->ask_heard;
}

void liar_say(struct liar *l)
{
    if (l->closed) {
        wc_buf_reset(&l->frame);
        return;
    }
    seal(l);
    turn(l, 0);
    until(l, has_room, "the other side reads");
}

void liar_listen(struct liar *l, uint64_t for_ms)
{
    uint64_t end_ms = liar_now_ms() + for_ms, now_ms;
    while (!l->closed && (now_ms = liar_now_ms()) < end_ms)
        turn(l, end_ms - now_ms);
}

void liar_settle(struct liar *l)
{
    wc_wire_ping(&l->frame, liar_now_ms(), ++l->asked_token);
    liar_say(l);
    until(l, is_settled, "a PONG");
}

void liar_meet_victim(struct liar *l)
{
    l->fetching = true;
    ranges = (struct wc_wire_ranges){
        .session = 1, .count = 1, .ranges[0].form = WC_FORM_COMPARE};
    wc_wire_sync(&l->frame, &ranges);
    liar_say(l);
    until(l, knows_victim, "the card of the office that the lie is about");
}

void liar_fetch(struct liar *l)
{
    for (uint8_t set = 0; set < 2; set++) {
        l->fetching = true;
        ranges = (struct wc_wire_ranges){
            .set = set, .session = 1, .count = 1, .ranges[0].form = WC_FORM_COMPARE};
        wc_wire_sync(&l->frame, &ranges);
        liar_say(l);
        until(l, has_fetched, "all records of a set");
    }
}

void liar_await_ask(struct liar *l)
{
    until(l, was_asked, "an ask");
}

static int dial(const char *address)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (colon == NULL || (size_t)(colon - address) >= sizeof(host))
        liar_fail("%s is no HOST:PORT", address);
    snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    int rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc != 0)
        liar_fail("%s: %s", address, gai_strerror(rc));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
        liar_fail("%s: %s", address, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

void liar_link(struct liar *l, const char *address)
{
    uint8_t random[WC_KEY_BYTES];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        liar_fail("no random bytes");
    l->fd = dial(address);
    if (wc_link_new(&l->link, &l->me, true, random) != 0 ||
        wc_link_start(l->link, &l->out) != 0)
        liar_fail("memory ran out");
    until(l, is_open, "a link");
    if (l->closed)
        liar_fail("%s closed the connection in the handshake", address);
    wc_wire_hello(&l->frame, liar_now_ms());
    liar_say(l);
    /* a neighbour, to whom everything new is sent whole */
    wc_wire_neighbour(&l->frame, WC_PRIORITY_HIGH);
    liar_say(l);
    wc_wire_list(&l->frame, WC_WIRE_GRAFT, (struct wc_slice){0});
    liar_say(l);
}

void liar_unlink(struct liar *l)
{
    close(l->fd);
    wc_link_free(l->link);
    wc_buf_fini(&l->out);
    wc_buf_fini(&l->frame);
    wc_buf_fini(&l->record);
}
