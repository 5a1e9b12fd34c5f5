/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/srv.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <whocan/error.h>

#define QUERY_WAIT_S 2 /* for each name server, */
#define QUERY_TRIES  2 /* so often */

/* Letters, digits, hyphens, underscores and dots: no other name is anybody's host, and a
 * log line stays one line. */
static bool host_valid(const char *host)
{
    size_t len = strlen(host);
    return len > 0 && host[0] != '.' &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "-_.") == len;
}

static bool take_target(const ns_msg *message, const ns_rr *rr,
                        struct wc_srv_target *out)
{
    char host[NS_MAXDNAME];
    const unsigned char *data = ns_rr_rdata(*rr);
    if (ns_rr_rdlen(*rr) < 7 ||
        dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + 6, host,
                  sizeof(host)) < 0 ||
        !host_valid(host))
        return false; /* "." says that there is no such service */
    uint16_t port = (uint16_t)ns_get16(data + 4);
    int len = snprintf(out->address, sizeof(out->address), "%s:%u", host, port);
    out->priority = (uint16_t)ns_get16(data);
    out->weight = (uint16_t)ns_get16(data + 2);
    return port != 0 && len > 0 && (size_t)len < sizeof(out->address);
}

static int rcode_result(int rcode)
{
    if (rcode == ns_r_nxdomain)
        return -WC_ENOTFOUND;
    return rcode == ns_r_noerror ? 0 : -WC_EIO;
}

int wc_srv_parse(struct wc_slice answer, struct wc_srv *out)
{
    ns_msg message;
    ns_rr rr;
    memset(out, 0, sizeof(*out));
    out->ttl_ms = WC_SRV_TTL_MAX_MS;
    if (answer.len < NS_HFIXEDSZ || answer.len > WC_SRV_BYTES ||
        ns_initparse(answer.data, (int)answer.len, &message) != 0 ||
        !ns_msg_getflag(message, ns_f_qr))
        return -WC_EPROTOCOL;
    int rc = rcode_result(ns_msg_getflag(message, ns_f_rcode));
    if (rc != 0)
        return rc;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        if (ns_parserr(&message, ns_s_an, i, &rr) != 0)
            return -WC_EPROTOCOL;
        if (ns_rr_type(rr) != ns_t_srv || ns_rr_class(rr) != ns_c_in)
            continue; /* a CNAME on the way */
        uint64_t ttl_ms = (uint64_t)ns_rr_ttl(rr) * 1000;
        if (ttl_ms < out->ttl_ms)
            out->ttl_ms = ttl_ms;
        if (out->count == WC_SRV_MAX_COUNT ||
            !take_target(&message, &rr, &out->targets[out->count]))
            out->left_out++;
        else
            out->count++;
    }
    if (out->ttl_ms < WC_SRV_TTL_MIN_MS)
        out->ttl_ms = WC_SRV_TTL_MIN_MS;
    return out->count > 0 ? 0 : -WC_ENOTFOUND;
}

/* The running sum of weights of one priority, from a place on. */
static uint64_t weights(const struct wc_srv *srv, uint32_t from)
{
    uint64_t sum = 0;
    for (uint32_t i = from; i < srv->count; i++) {
        if (srv->targets[i].priority == srv->targets[from].priority)
            sum += srv->targets[i].weight;
    }
    return sum;
}

static void swap(struct wc_srv *srv, uint32_t a, uint32_t b)
{
    struct wc_srv_target kept = srv->targets[a];
    srv->targets[a] = srv->targets[b];
    srv->targets[b] = kept;
}

/* Whether a target stands before another whatever is drawn: a weight of 0 comes first,
 * and is drawn when the number is 0. */
static bool before(const struct wc_srv_target *a, const struct wc_srv_target *b)
{
    if (a->priority != b->priority)
        return a->priority < b->priority;
    return a->weight == 0 && b->weight > 0;
}

void wc_srv_order(struct wc_srv *srv, const uint32_t random[WC_SRV_MAX_COUNT])
{
    for (uint32_t i = 1; i < srv->count; i++) {
        for (uint32_t k = i; k > 0 && before(&srv->targets[k], &srv->targets[k - 1]);
             k--)
            swap(srv, k, k - 1);
    }
    for (uint32_t i = 0; i + 1 < srv->count; i++) {
        uint64_t drawn = random[i] % (weights(srv, i) + 1), sum = 0;
        uint32_t k = i;
        while ((sum += srv->targets[k].weight) < drawn)
            k++;
        /* the others keep their order: those of weight 0 stay in front */
        for (; k > i; k--)
            swap(srv, k, k - 1);
    }
}

int wc_srv_query(const char *domain, struct wc_srv *out)
{
    char name[NS_MAXDNAME];
    struct __res_state state;
    int len = snprintf(name, sizeof(name), "_whocan._tcp.%s", domain);
    memset(&state, 0, sizeof(state));
    if (len < 0 || (size_t)len >= sizeof(name))
        return -WC_EINVALID;
    uint8_t *answer = malloc(WC_SRV_BYTES);
    if (answer == NULL)
        return -WC_ENOMEM;
    int rc = -WC_EIO;
    if (res_ninit(&state) == 0) {
        state.retrans = QUERY_WAIT_S;
        state.retry = QUERY_TRIES;
        int got = res_nquery(&state, name, ns_c_in, ns_t_srv, answer, WC_SRV_BYTES);
        if (got > WC_SRV_BYTES)
            got = WC_SRV_BYTES;
        if (got >= 0)
            rc = wc_srv_parse(wc_slice(answer, (size_t)got), out);
        else if (state.res_h_errno == HOST_NOT_FOUND || state.res_h_errno == NO_DATA)
            rc = -WC_ENOTFOUND;
        res_nclose(&state);
    }
    free(answer);
    return rc;
}
