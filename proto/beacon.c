/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <whocan/beacon.h>
#include <whocan/error.h>

#define HEAD_BYTES 8
#define BOX_BYTES  (WC_BEACON_BYTES - HEAD_BYTES - WC_BOX_NONCE_BYTES)

static const uint8_t head[HEAD_BYTES] = {'w', 'h', 'o', 'c', 'a', 'n', '/', '1'};

void wc_beacon_key(uint8_t key[WC_SECRET_BYTES], const struct wc_org *org)
{
    const struct wc_slice parts[] = {wc_slice_text("whocan beacon"),
                                     wc_slice(org->id, sizeof(org->id))};
    wc_hash_keyed(key, WC_SECRET_BYTES, org->secret, parts, 2);
}

void wc_beacon_encode(uint8_t out[WC_BEACON_BYTES], const uint8_t key[WC_SECRET_BYTES],
                      const uint8_t nonce[WC_BOX_NONCE_BYTES],
                      const struct wc_beacon *beacon)
{
    uint8_t plain[WC_KEY_BYTES + 2];
    memcpy(plain, beacon->office_key, WC_KEY_BYTES);
    plain[WC_KEY_BYTES] = (uint8_t)(beacon->port >> 8);
    plain[WC_KEY_BYTES + 1] = (uint8_t)beacon->port;
    memcpy(out, head, HEAD_BYTES);
    memcpy(out + HEAD_BYTES, nonce, WC_BOX_NONCE_BYTES);
    wc_box_seal(out + HEAD_BYTES + WC_BOX_NONCE_BYTES, key, nonce,
                wc_slice(plain, sizeof(plain)));
}

int wc_beacon_decode(struct wc_slice bytes, const uint8_t key[WC_SECRET_BYTES],
                     struct wc_beacon *out)
{
    uint8_t plain[WC_KEY_BYTES + 2];
    if (bytes.len != WC_BEACON_BYTES || memcmp(bytes.data, head, HEAD_BYTES) != 0)
        return -WC_EPROTOCOL;
    int rc =
        wc_box_open(plain, key, bytes.data + HEAD_BYTES,
                    wc_slice(bytes.data + HEAD_BYTES + WC_BOX_NONCE_BYTES, BOX_BYTES));
    if (rc != 0)
        return rc;
    memcpy(out->office_key, plain, WC_KEY_BYTES);
    out->port = (uint16_t)(plain[WC_KEY_BYTES] << 8 | plain[WC_KEY_BYTES + 1]);
    return out->port == 0 ? -WC_EINVALID : 0;
}

/* The place of a source, or a free one; NULL when there is none. */
static uint32_t *heard_of(struct wc_beacon_gate *gate, const uint8_t source[16])
{
    for (uint32_t i = 0; i < gate->sources_count; i++) {
        if (memcmp(gate->sources[i].source, source, 16) == 0)
            return &gate->sources[i].heard;
    }
    if (gate->sources_count == WC_BEACON_SOURCES_COUNT)
        return NULL;
    uint32_t place = gate->sources_count++;
    memcpy(gate->sources[place].source, source, 16);
    gate->sources[place].heard = 0;
    return &gate->sources[place].heard;
}

bool wc_beacon_allow(struct wc_beacon_gate *gate, const uint8_t source[16],
                     uint64_t mono_ms)
{
    if (mono_ms - gate->since_ms >= WC_BEACON_WINDOW_MS) {
        gate->since_ms = mono_ms;
        gate->heard = gate->sources_count = 0;
    }
    if (gate->heard >= WC_BEACON_ALL_COUNT)
        return false;
    uint32_t *heard = heard_of(gate, source);
    if (heard == NULL || *heard >= WC_BEACON_SOURCE_COUNT)
        return false;
    ++*heard;
    gate->heard++;
    return true;
}
