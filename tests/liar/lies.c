/* SPDX-License-Identifier: Apache-2.0 */
/* The lies, one function each. The link may be closed at any moment of one. */
#include "tests/liar/liar.h"

/* No lie needs more of them: what ends a flood is the other side. */
#define FLOOD_MAX_FRAMES 20000

/* ---- in the name of others ---- */

static void tell_slot(struct liar *l)
{
    liar_tell(
        l, &(struct made){.subject = "alice", .office_key = l->victim_key, .rev = 9});
}

static void tell_handle(struct liar *l)
{
    liar_tell(l, &(struct made){.subject = "alice@leeds"});
}

static void tell_author(struct liar *l)
{
    struct wc_signer nobody;
    uint8_t seed[WC_KEY_BYTES] = {1};
    wc_signer_init(&nobody, seed);
    liar_tell(l, &(struct made){.subject = "mallory", .author = &nobody});
}

/* The end of alice's row at another office, as that one would say it. */
static void retirement(const struct liar *l, struct wc_buf *body,
                       char subject[WC_SUBJECT_MAX_BYTES + 1])
{
    uint8_t office_key[WC_KEY_BYTES];
    uint64_t rev;
    struct wc_doc *doc = NULL;
    if (wc_retire_body(l->victim_key, "alice", 9, WC_KIND_ROW, true, body) != 0 ||
        wc_doc_new(wc_buf_slice(body), &wc_scan_default, &doc) != 0 ||
        wc_body_header(wc_doc_root(doc), office_key, subject, &rev, NULL) != 0)
        liar_fail("a retirement that cannot be made");
    wc_doc_free(doc);
}

static void tell_retired_as(struct liar *l)
{
    struct wc_buf body = {0};
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    retirement(l, &body, subject);
    liar_tell(l, &(struct made){.kind = WC_KIND_RETIRE,
                                .subject = subject,
                                .office_key = l->victim_key,
                                .rev = 9,
                                .body = wc_buf_slice(&body)});
    wc_buf_fini(&body);
}

/* In its own name: the hash says nothing about whose it is. */
static void tell_retired(struct liar *l)
{
    struct wc_buf theirs = {0}, body = {0};
    char subject[WC_SUBJECT_MAX_BYTES + 1];
    retirement(l, &theirs, subject);
    wc_body_begin(&body, l->me.signer.key, subject, 9, 2);
    wc_pack_text(&body, "kind");
    wc_pack_u64(&body, WC_KIND_ROW);
    wc_pack_text(&body, "erase");
    wc_pack_bool(&body, true);
    liar_tell(l, &(struct made){.kind = WC_KIND_RETIRE,
                                .subject = subject,
                                .rev = 9,
                                .body = wc_buf_slice(&body)});
    wc_buf_fini(&theirs);
    wc_buf_fini(&body);
}

/* ---- dates and numbers ---- */

static void tell_future(struct liar *l)
{
    liar_tell(l, &(struct made){.subject = "mallory",
                                .stamped_at_ms = liar_now_ms() + WC_DAY_MS});
}

static void tell_lease(struct liar *l)
{
    liar_tell(l, &(struct made){.subject = "mallory", .lease_ms = 3650 * WC_DAY_MS});
}

static void tell_highest(struct liar *l)
{
    liar_tell(
        l, &(struct made){.subject = "mallory", .rev = WC_REV_MAX, .seq = WC_REV_MAX});
}

static void tell_beyond(struct liar *l)
{
    liar_tell(l, &(struct made){.subject = "mallory", .rev = WC_REV_MAX + 1});
}

/* Two rows of one number. The one with the smaller digest goes first, so that both are new to
 * whoever sees them. Says both signatures, which the evidence holds. */
static void contradict(struct liar *l, const char *subject)
{
    struct made two[2] = {{.subject = subject, .title = "Mayor"},
                          {.subject = subject, .title = "Duke"}};
    char hex[2][2 * WC_SIG_BYTES + 1];
    two[0].seq = two[1].seq = l->seq++;
    for (int i = 0; i < 2; i++) {
        liar_make(l, &two[i]);
        wc_hex(hex[i], two[i].stamp_sig, WC_SIG_BYTES);
    }
    bool first = memcmp(two[0].digest, two[1].digest, WC_DIGEST_BYTES) > 0;
    liar_tell(l, &two[first]);
    liar_settle(l);
    liar_tell(l, &two[!first]);
    printf("signatures %s %s\n", hex[0], hex[1]);
}

static void tell_contents(struct liar *l)
{
    contradict(l, "mallory");
}

static void tell_more_contents(struct liar *l)
{
    contradict(l, "malory");
}

/* ---- too many, too large, too deep ---- */

/* Twice as many people as the certificate allows, and for longer than it takes to believe
 * in an accident. */
static void tell_crowd(struct liar *l)
{
    char login[16];
    for (uint32_t i = 0; i < 2 * l->me.cert.quota && !l->closed; i++) {
        snprintf(login, sizeof(login), "p%u", i);
        liar_tell(l, &(struct made){.subject = login});
    }
    for (uint32_t i = 0; i < 24 && !l->closed; i++) {
        snprintf(login, sizeof(login), "q%u", i);
        liar_listen(l, 500);
        liar_tell(l, &(struct made){.subject = login});
    }
}

static void tell_large(struct liar *l)
{
    static uint8_t text[WC_RECORD_MAX_BYTES];
    struct wc_buf body = {0};
    memset(text, 'x', sizeof(text));
    liar_make(l, &(struct made){.subject = "mallory"});
    wc_body_begin(&body, l->me.signer.key, "mallory", 1, 1);
    wc_pack_text(&body, "title");
    /* so that the whole record has one byte too much */
    size_t rest = body.len + 3;
    wc_buf_fini(&body);
    for (size_t len = sizeof(text) - 2000; l->record.len != WC_RECORD_MAX_BYTES + 1;
         len++) {
        if (len > sizeof(text))
            liar_fail("no record has %u bytes", WC_RECORD_MAX_BYTES + 1);
        wc_buf_reset(&body);
        wc_body_begin(&body, l->me.signer.key, "mallory", 1, 1);
        wc_pack_text(&body, "title");
        wc_pack_str(&body, wc_slice(text, len - rest));
        liar_make(l, &(struct made){.subject = "mallory", .body = wc_buf_slice(&body)});
    }
    wc_buf_fini(&body);
    liar_tell_bytes(l, wc_buf_slice(&l->record));
}

static void tell_deep(struct liar *l)
{
    uint8_t body[2000];
    memset(body, 0x91, sizeof(body)); /* an array in an array in an array */
    body[sizeof(body) - 1] = 0xc0;
    liar_tell(
        l, &(struct made){.subject = "mallory", .body = wc_slice(body, sizeof(body))});
}

static void tell_huge(struct liar *l)
{
    static const uint8_t body[] = {0xdd, 0x10, 0, 0, 0}; /* 268 million objects */
    liar_tell(
        l, &(struct made){.subject = "mallory", .body = wc_slice(body, sizeof(body))});
}

/* One row that changes more often than everybody of the office together could. */
static void tell_changes(struct liar *l)
{
    struct heap heap = {0};
    for (uint64_t rev = 1; rev <= 4000 && !l->closed; rev++)
        liar_heap(l, &heap, &(struct made){.subject = "mallory", .rev = rev});
    liar_tell_heap(l, &heap, WC_REASON_BROADCAST);
    wc_buf_fini(&heap.packed);
}

/* Rows that were over long ago, again and again. */
static void tell_expired(struct liar *l)
{
    struct heap heap = {0};
    char login[16];
    for (int i = 0; i < 100; i++) {
        snprintf(login, sizeof(login), "p%d", i);
        liar_heap(l, &heap,
                  &(struct made){.subject = login,
                                 .stamped_at_ms = liar_now_ms() - 30 * WC_DAY_MS});
    }
    for (int i = 0; i < FLOOD_MAX_FRAMES && !l->closed; i++) {
        wc_wire_records(&l->frame, WC_REASON_WANTED, heap.count,
                        wc_buf_slice(&heap.packed));
        liar_say(l);
    }
    wc_buf_fini(&heap.packed);
}

/* ---- asks and answers ---- */

static void send_answer(struct liar *l, const struct wc_answer *a, uint32_t times)
{
    struct wc_buf body = {0}, packed = {0};
    uint8_t sig[WC_SIG_BYTES];
    wc_answer_encode(&body, a);
    if (wc_answer_sign(sig, wc_buf_slice(&body), &l->me.signer) != 0)
        liar_fail("an answer that cannot be signed");
    for (uint32_t i = 0; i < times; i++)
        wc_wire_answer(&packed, wc_buf_slice(&body), sig);
    wc_wire_answers(&l->frame, times, wc_buf_slice(&packed));
    wc_buf_fini(&body);
    wc_buf_fini(&packed);
    liar_say(l);
}

static void answer(struct liar *l, const uint8_t *office_key, const char *subject,
                   uint32_t total)
{
    struct wc_answer a = {.total = total, .people_count = 1};
    liar_await_ask(l);
    memcpy(a.ask_id, l->ask_id, sizeof(a.ask_id));
    memcpy(a.office_key, office_key, WC_KEY_BYTES);
    snprintf(a.people[0].subject, sizeof(a.people[0].subject), "%s", subject);
    a.people[0].score_milli = 1000;
    send_answer(l, &a, 1);
}

static void answer_handle(struct liar *l)
{
    answer(l, l->me.signer.key, "alice@leeds", 1);
}

static void answer_many(struct liar *l)
{
    answer(l, l->me.signer.key, "harriet", 2 * l->me.cert.quota + 1);
}

static void answer_for(struct liar *l)
{
    answer(l, l->victim_key, "alice", 1);
}

static void answer_unasked(struct liar *l)
{
    struct wc_answer a = {.ask_id = "never heard of"};
    memcpy(a.office_key, l->me.signer.key, WC_KEY_BYTES);
    for (int i = 0; i < FLOOD_MAX_FRAMES && !l->closed; i++)
        send_answer(l, &a, 400);
}

static void tell_ask(struct liar *l, const char *text, uint64_t number, uint64_t i)
{
    struct wc_ask ask = {.text = wc_slice_text(text), .by = wc_slice_text("harriet")};
    struct wc_buf body = {0};
    char subject[2 * WC_ASK_ID_BYTES + 1];
    wc_put_u64(ask.id, number);
    wc_put_u64(ask.id + 8, i);
    wc_hex(subject, ask.id, sizeof(ask.id));
    if (wc_ask_body(l->me.signer.key, 1, &ask, &body) != 0)
        liar_fail("an ask that cannot be packed");
    liar_make(l, &(struct made){.kind = WC_KIND_ASK,
                                .subject = subject,
                                .body = wc_buf_slice(&body)});
    wc_wire_ask(&l->frame, 1, wc_buf_slice(&l->record));
    wc_buf_fini(&body);
    liar_say(l);
}

static void tell_asks(struct liar *l)
{
    uint64_t number = liar_now_ms();
    for (uint32_t i = 0; i < 600 && !l->closed; i++)
        tell_ask(l, "who can help with lies?", number, i);
}

/* ---- reconciliation ---- */

/* It says that it has ever more records, and gives none: until nobody waits for it. */
static void sync_endless(struct liar *l)
{
    while (!l->closed && !liar_dismissed())
        liar_listen(l, 100);
    printf("wanted %llu\n", (unsigned long long)l->wanted);
}

/* Where do we differ? And where do we differ? */
static void sync_questions(struct liar *l)
{
    static struct wc_wire_ranges question = {
        .set = 1, .session = 3, .count = 1, .ranges[0].form = WC_FORM_COMPARE};
    for (int i = 0; i < FLOOD_MAX_FRAMES && !l->closed; i++) {
        wc_wire_sync(&l->frame, &question);
        liar_say(l);
    }
}

/* ---- a backup ---- */

/* A record that the other side signed two months ago: it has it now as if restored. It is
 * told of nothing newer, because no reconciliation is answered. */
static void tell_old(struct liar *l)
{
    struct wc_identity other;
    struct wc_buf line = {0};
    if (l->other_path == NULL)
        liar_fail("--other says whose record it is");
    liar_read_file(l->other_path, &line);
    if (wc_invite_parse(wc_buf_slice(&line), &other, NULL) != 0)
        liar_fail("%s is no invitation", l->other_path);
    wc_buf_fini(&line);
    liar_tell(l, &(struct made){.subject = "olga",
                                .office_key = other.signer.key,
                                .author = &other.signer,
                                .stamper = &other.signer,
                                .stamped_at_ms = liar_now_ms() - 60 * WC_DAY_MS,
                                .lease_ms = 80 * WC_DAY_MS});
    wc_identity_fini(&other);
}

/* No lie either: a row that is good for some seconds. */
static void tell_brief(struct liar *l)
{
    liar_tell(l, &(struct made){
                     .subject = "mallory", .lease_ms = 8000, .title = "zqbriefwx"});
}

/* None: it takes part as any office does, and writes down all that it is told. Each line
 * of standard input is a question that it asks. */
static void listen_only(struct liar *l)
{
    char text[WC_ASK_TEXT_MAX_BYTES];
    setvbuf(stdin, NULL, _IONBF,
            0); /* nothing waits in here: poll() would not see it */
    liar_fetch(l);
    puts("fetched");
    while (!l->closed) {
        liar_listen(l, 50);
        if (!liar_dismissed())
            continue;
        if (fgets(text, sizeof(text), stdin) == NULL)
            break;
        text[strcspn(text, "\n")] = '\0';
        tell_ask(l, text, liar_now_ms(), l->seq++);
    }
}

const struct lie lies[] = {
    {"slot", "a record in another office's slot", true, SYNC_SAME, tell_slot},
    {"handle", "a row of another office's handle", false, SYNC_SAME, tell_handle},
    {"author", "a row by somebody else", false, SYNC_SAME, tell_author},
    {"retired-as", "the end of another office's row, in its name", true, SYNC_SAME,
     tell_retired_as},
    {"retired", "the end of another office's row, by its hash", true, SYNC_SAME,
     tell_retired},
    {"future", "stamped tomorrow", false, SYNC_SAME, tell_future},
    {"lease", "good for ten years", false, SYNC_SAME, tell_lease},
    {"highest", "the highest numbers", false, SYNC_SAME, tell_highest},
    {"beyond", "a number above the highest", false, SYNC_SAME, tell_beyond},
    {"contents", "two contents with one number", false, SYNC_SAME, tell_contents},
    {"more-contents", "the same about somebody else", false, SYNC_SAME,
     tell_more_contents},
    {"crowd", "twice as many people as allowed", false, SYNC_SAME, tell_crowd},
    {"large", "a record of 16 KiB and a byte", false, SYNC_SAME, tell_large},
    {"deep", "arrays in arrays", false, SYNC_SAME, tell_deep},
    {"huge", "an array of 268 million", false, SYNC_SAME, tell_huge},
    {"changes", "a row that changes without end", false, SYNC_SAME, tell_changes},
    {"expired", "rows that are over, without end", false, SYNC_SAME, tell_expired},
    {"answer-handle", "answers with a handle of another office", false, SYNC_SAME,
     answer_handle},
    {"answer-many", "answers with more people than it has", false, SYNC_SAME,
     answer_many},
    {"answer-for", "answers as another office", true, SYNC_SAME, answer_for},
    {"answer-unasked", "answers that nobody asked for, without end", false, SYNC_SAME,
     answer_unasked},
    {"asks", "asks without end", false, SYNC_SAME, tell_asks},
    {"endless", "has ever more records and gives none", false, SYNC_ENDLESS,
     sync_endless},
    {"questions", "compares without end", false, SYNC_SAME, sync_questions},
    {"old", "gives an office its own old record, as a backup does", false, SYNC_SILENT,
     tell_old},
    {"brief", "a row that ends after eight seconds", false, SYNC_SAME, tell_brief},
    {"nothing", "no lie: fetches all there is and listens, until it is told to stop",
     false, SYNC_SAME, listen_only},
    {NULL, NULL, false, SYNC_SAME, NULL},
};
