/* SPDX-License-Identifier: Apache-2.0 */
/* What discovery reads from strangers and from the disk: the first byte says what the
 * rest is. */
#include <whocan/beacon.h>

#include "daemon/address.h"
#include "daemon/peers.h"
#include "daemon/srv.h"
#include "tests/fuzz/fuzz.h"

static uint8_t key[WC_SECRET_BYTES];
static const uint8_t org_id[WC_ORG_ID_BYTES] = {1, 2, 3};

/* Taken as it came, and as what it becomes when somebody with the key says it. */
static void read_beacon(struct wc_slice in)
{
    struct wc_beacon beacon, again;
    uint8_t nonce[WC_BOX_NONCE_BYTES] = {0}, wire[WC_BEACON_BYTES];
    HOLDS(wc_beacon_decode(in, key, &beacon) != 0);
    memset(&beacon, 0, sizeof(beacon));
    memcpy(&beacon, in.data, in.len < sizeof(beacon) ? in.len : sizeof(beacon));
    wc_beacon_encode(wire, key, nonce, &beacon);
    int rc = wc_beacon_decode(wc_slice(wire, sizeof(wire)), key, &again);
    HOLDS(rc == (beacon.port == 0 ? -WC_EINVALID : 0));
    HOLDS(memcmp(beacon.office_key, again.office_key, WC_KEY_BYTES) == 0);
}

static void read_answer(struct wc_slice in)
{
    struct wc_srv srv;
    struct wc_address address;
    uint32_t random[WC_SRV_MAX_COUNT];
    if (wc_srv_parse(in, &srv) != 0)
        return;
    HOLDS(srv.count > 0 && srv.count <= WC_SRV_MAX_COUNT);
    HOLDS(srv.ttl_ms >= WC_SRV_TTL_MIN_MS && srv.ttl_ms <= WC_SRV_TTL_MAX_MS);
    for (uint32_t i = 0; i < WC_SRV_MAX_COUNT; i++)
        random[i] = in.data[i % in.len] * 16777619u;
    wc_srv_order(&srv, random);
    for (uint32_t i = 0; i < srv.count; i++) {
        HOLDS(wc_address_parse(&address, srv.targets[i].address) == 0);
        HOLDS(i == 0 || srv.targets[i - 1].priority <= srv.targets[i].priority);
    }
}

static void read_file(struct wc_slice in)
{
    static struct wc_peers peers, again;
    struct wc_buf text = {0};
    if (wc_peers_parse(in, org_id, &peers) != 0) {
        HOLDS(peers.count == 0);
        return;
    }
    wc_peers_text(&peers, org_id, &text);
    HOLDS(wc_peers_parse(wc_buf_slice(&text), org_id, &again) == 0);
    HOLDS(memcmp(&peers, &again, sizeof(peers)) == 0);
    wc_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    HOLDS(wc_crypto_init() == 0);
    struct wc_slice in = wc_slice(data + 1, size - 1);
    if (data[0] % 3 == 0)
        read_beacon(in);
    else if (data[0] % 3 == 1)
        read_answer(in);
    else
        read_file(in);
    return 0;
}
