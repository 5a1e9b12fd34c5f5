/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/liar/liar.h"

#define LEASE_MS       (20 * WC_DAY_MS)
#define HEAP_MAX_BYTES 60000 /* fits a frame */

static void pack_body(const struct liar *l, const struct made *m, struct wc_buf *out)
{
    struct wc_card card = {.cert = wc_slice(l->me.cert_bytes, l->me.cert_len)};
    if (m->body.len > 0)
        wc_buf_append(out, m->body.data, m->body.len);
    else if (m->kind == WC_KIND_CARD)
        wc_card_body(m->office_key, m->rev, &card, out);
    else {
        wc_body_begin(out, m->office_key, m->subject, m->rev, 2);
        wc_pack_text(out, "name");
        wc_pack_text(out, "Harriet Example");
        wc_pack_text(out, "title");
        wc_pack_text(out, m->title);
    }
}

static void pack_stamp(const struct made *m, struct wc_buf *out)
{
    wc_pack_array(out, 7);
    wc_pack_bin(out, wc_slice(m->office_key, WC_KEY_BYTES));
    wc_pack_text(out, m->subject);
    wc_pack_u64(out, m->rev);
    wc_pack_u64(out, m->seq);
    wc_pack_u64(out, m->stamped_at_ms);
    wc_pack_u64(out, m->stamped_at_ms + m->lease_ms);
    wc_pack_bin(out, wc_slice(m->digest, WC_DIGEST_BYTES));
}

static void default_to(struct liar *l, struct made *m)
{
    if (m->kind == 0)
        m->kind = WC_KIND_ROW;
    if (m->office_key == NULL)
        m->office_key = l->me.signer.key;
    if (m->author == NULL)
        m->author = &l->me.signer;
    if (m->stamper == NULL)
        m->stamper = &l->me.signer;
    if (m->rev == 0)
        m->rev = 1;
    if (m->seq == 0)
        m->seq = l->seq++;
    if (m->stamped_at_ms == 0)
        m->stamped_at_ms = liar_now_ms();
    if (m->lease_ms == 0)
        m->lease_ms = LEASE_MS;
    if (m->title == NULL)
        m->title = "Clerk";
}

void liar_make(struct liar *l, struct made *m)
{
    struct wc_buf body = {0}, stamp = {0}, *out = &l->record;
    uint8_t sig[WC_SIG_BYTES] = {0};
    default_to(l, m);
    pack_body(l, m, &body);
    /* too long a body cannot be signed, and need not be */
    if (wc_body_sign(sig, m->kind, wc_buf_slice(&body), m->author) != 0)
        memset(sig, 7, sizeof(sig));
    struct wc_slice parts[] = {
        wc_slice(&m->kind, 1),
        wc_buf_slice(&body),
        wc_slice(m->author->key, WC_KEY_BYTES),
        wc_slice(sig, sizeof(sig)),
    };
    wc_hash(m->digest, parts, 4);
    pack_stamp(m, &stamp);
    if (wc_sign(m->stamp_sig, m->stamper, "whocan stamp", m->kind,
                wc_buf_slice(&stamp)) != 0)
        liar_fail("a stamp that cannot be signed");
    wc_buf_reset(out);
    wc_pack_array(out, 7);
    wc_pack_u64(out, 1);
    wc_pack_u64(out, m->kind);
    wc_pack_bin(out, wc_buf_slice(&body));
    wc_pack_bin(out, parts[2]);
    wc_pack_bin(out, parts[3]);
    wc_pack_bin(out, wc_buf_slice(&stamp));
    wc_pack_bin(out, wc_slice(m->stamp_sig, WC_SIG_BYTES));
    wc_buf_fini(&body);
    wc_buf_fini(&stamp);
}

void liar_tell_bytes(struct liar *l, struct wc_slice bytes)
{
    struct wc_buf packed = {0};
    wc_pack_bin(&packed, bytes);
    wc_wire_records(&l->frame, WC_REASON_BROADCAST, 1, wc_buf_slice(&packed));
    wc_buf_fini(&packed);
    liar_say(l);
}

void liar_tell(struct liar *l, struct made *m)
{
    liar_make(l, m);
    liar_tell_bytes(l, wc_buf_slice(&l->record));
}

void liar_tell_truth(struct liar *l)
{
    liar_tell(l, &(struct made){.kind = WC_KIND_CARD, .subject = "card"});
    liar_tell(l, &(struct made){.subject = "harriet"});
}

void liar_heap(struct liar *l, struct heap *h, struct made *m)
{
    liar_make(l, m);
    if (h->packed.len + l->record.len > HEAP_MAX_BYTES ||
        h->count == WC_WIRE_RECORDS_MAX_COUNT)
        liar_tell_heap(l, h, WC_REASON_BROADCAST);
    wc_pack_bin(&h->packed, wc_buf_slice(&l->record));
    h->count++;
}

void liar_tell_heap(struct liar *l, struct heap *h, enum wc_wire_reason reason)
{
    wc_wire_records(&l->frame, reason, h->count, wc_buf_slice(&h->packed));
    wc_buf_reset(&h->packed);
    h->count = 0;
    liar_say(l);
}
