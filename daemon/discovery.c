/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/discovery.h"

#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#include <whocan/beacon.h>
#include <whocan/error.h>

#include "daemon/address.h"
#include "daemon/log.h"
#include "daemon/peers.h"
#include "daemon/random.h"
#include "daemon/srv.h"

#define BEACON_EVERY_MS     54000 /* and up to so much later: */
#define BEACON_SPREAD_MS    12000 /* 2 bytes a second, and nobody in step with others */
#define BEACON_ALONE_MS     10000 /* without any link */
#define BEACON_FIRST_COUNT  3     /* soon after each other, since one may be lost */
#define BEACON_FIRST_MS     1000
#define BEACON_TTL          1
#define SCAN_EVERY_MS       30000 /* a cable, a network, a machine that woke up */
#define SCAN_ALONE_MS       5000
#define SAVE_WAIT_MS        30000   /* after the first address: others follow */
#define SAVE_EVERY_MS       3600000 /* at most, but for the end */
#define SRV_RETRY_DOUBLINGS 7       /* up to an hour */
#define READ_BYTES          256 /* a longer datagram is cut, and then it is no beacon */

/* One interface and one family. */
struct ear {
    uv_udp_t udp;
    struct wc_discovery *d;
    unsigned index; /* of the interface */
    int family;
    char name[IF_NAMESIZE];
    struct sockaddr_storage own; /* address of the interface */
    struct sockaddr_storage mask;
    struct sockaddr_storage group;
    uint16_t port; /* where links are accepted there, 0 nowhere */
    bool seen;     /* in the scan under way */
    TAILQ_ENTRY(ear) entry;
};
TAILQ_HEAD(ears, ear);

struct asking {
    struct wc_discovery *d;
    char domain[WC_HOST_MAX_BYTES + 1];
    struct wc_srv answer;
    int rc;
};

struct saving {
    struct wc_discovery *d;
    struct wc_buf text;
    int rc;
};

struct wc_discovery {
    struct wc_discovery_config config;
    struct wc_strings listened;
    const struct wc_identity *identity; /* NULL: no office */
    uint8_t org_id[WC_ORG_ID_BYTES];    /* of what is remembered */
    uint8_t key[WC_SECRET_BYTES];       /* of the beacons */

    struct ears ears;
    uint32_t ears_count;
    uint32_t open_count; /* handles and jobs that must end before we are freed */
    struct wc_timer *beacon_timer, *scan_timer, *srv_timer, *save_timer;
    uint32_t beacons_first; /* of the first ones, so many were sent */
    uint32_t links_count;
    struct wc_beacon_gate gate;
    char read[READ_BYTES];

    bool asking;
    uint32_t srv_failures;

    struct wc_peers peers;
    bool peers_changed, saving;
    uint64_t saved_mono_ms; /* 0: never */

    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
    struct wc_discovery_stats stats;
    struct wc_log_valve valve;
};

static uint32_t draw_below(uint32_t bound)
{
    uint32_t number;
    wc_random_bytes(&number, sizeof(number));
    return number % bound;
}

static void check_closed(struct wc_discovery *d)
{
    if (!d->closing || d->open_count > 0)
        return;
    void (*closed)(void *ctx) = d->closed;
    void *ctx = d->closed_ctx;
    wc_wipe(d->key, sizeof(d->key));
    wc_strings_fini(&d->listened);
    free(d);
    closed(ctx);
}

/* ---------------------------------------------------------------- hearing */

/* IPv6: from a link-local address, which no router passes on. IPv4: from the network
 * that the interface is in. */
static bool from_here(const struct ear *ear, const struct sockaddr *from)
{
    if (from->sa_family != ear->family)
        return false;
    if (ear->family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, from, sizeof(six));
        return IN6_IS_ADDR_LINKLOCAL(&six.sin6_addr) && six.sin6_scope_id == ear->index;
    }
    struct sockaddr_in four;
    memcpy(&four, from, sizeof(four));
    const struct sockaddr_in *own = (const struct sockaddr_in *)&ear->own;
    const struct sockaddr_in *mask = (const struct sockaddr_in *)&ear->mask;
    return ((four.sin_addr.s_addr ^ own->sin_addr.s_addr) & mask->sin_addr.s_addr) == 0;
}

/* What the sender is counted as: its whole address, since it is a neighbour's. */
static void source_bytes(const struct sockaddr *from, uint8_t out[16])
{
    const uint8_t *bytes = (const uint8_t *)from; /* which need not be aligned */
    memset(out, 0, 16);
    if (from->sa_family == AF_INET6)
        memcpy(out, bytes + offsetof(struct sockaddr_in6, sin6_addr), 16);
    else
        memcpy(out, bytes + offsetof(struct sockaddr_in, sin_addr), 4);
}

static void set_port(struct sockaddr_storage *sa, uint16_t port)
{
    if (sa->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)sa)->sin_port = htons(port);
}

/* The address to dial: where it came from, at the port that it names. */
static void link_address(const struct sockaddr *from, uint16_t port,
                         char out[WC_ADDRESS_MAX_BYTES + 1])
{
    struct sockaddr_storage sa;
    memset(&sa, 0, sizeof(sa));
    memcpy(&sa, from,
           from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                       : sizeof(struct sockaddr_in));
    set_port(&sa, port);
    wc_address_text((const struct sockaddr *)&sa, out);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    const struct ear *ear = handle->data;
    (void)suggested;
    *buf = uv_buf_init(ear->d->read, READ_BYTES); /* read and taken in one go */
}

static void on_datagram(uv_udp_t *udp, ssize_t got, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags)
{
    const struct ear *ear = udp->data;
    struct wc_discovery *d = ear->d;
    uint8_t source[16];
    struct wc_beacon beacon;
    char address[WC_ADDRESS_MAX_BYTES + 1];
    if (got < 0 || from == NULL || d->identity == NULL)
        return;
    source_bytes(from, source);
    if (!from_here(ear, from) ||
        !wc_beacon_allow(&d->gate, source, uv_now(udp->loop))) {
        d->stats.ignored_count++;
        return;
    }
    d->stats.heard_count++;
    if ((flags & UV_UDP_PARTIAL) != 0 ||
        wc_beacon_decode(wc_slice(buf->base, (size_t)got), d->key, &beacon) != 0) {
        d->stats.foreign_count++;
        return;
    }
    if (memcmp(beacon.office_key, d->identity->signer.key, WC_KEY_BYTES) == 0)
        return; /* our own comes back, for other daemons of this machine */
    link_address(from, beacon.port, address);
    d->config.heard(d->config.ctx, address, beacon.office_key);
}

/* ---------------------------------------------------------------- saying */

static void say(struct wc_discovery *d, struct ear *ear)
{
    struct wc_beacon beacon = {.port = ear->port};
    uint8_t nonce[WC_BOX_NONCE_BYTES], bytes[WC_BEACON_BYTES];
    if (ear->port == 0)
        return;
    memcpy(beacon.office_key, d->identity->signer.key, WC_KEY_BYTES);
    wc_random_bytes(nonce, sizeof(nonce));
    wc_beacon_encode(bytes, d->key, nonce, &beacon);
    uv_buf_t buf = uv_buf_init((char *)bytes, sizeof(bytes));
    int status =
        uv_udp_try_send(&ear->udp, &buf, 1, (const struct sockaddr *)&ear->group);
    if (status >= 0)
        d->stats.sent_count++;
    else if (wc_log_allow(&d->valve, wc_mono_ms()))
        wc_log(WC_LOG_DEBUG, "no beacon on %s: %s", ear->name, uv_strerror(status));
}

static void on_beacon_timer(void *ctx)
{
    struct wc_discovery *d = ctx;
    struct ear *ear;
    TAILQ_FOREACH(ear, &d->ears, entry)
    say(d, ear);
    uint64_t wait_ms = BEACON_EVERY_MS + draw_below(BEACON_SPREAD_MS);
    if (d->beacons_first < BEACON_FIRST_COUNT)
        wait_ms = BEACON_FIRST_MS / 2 + draw_below(BEACON_FIRST_MS);
    else if (d->links_count == 0)
        wait_ms = BEACON_ALONE_MS / 2 + draw_below(BEACON_ALONE_MS);
    if (d->beacons_first < BEACON_FIRST_COUNT)
        d->beacons_first++;
    wc_timer_set(d->beacon_timer, wait_ms, 0);
}

/* ---------------------------------------------------------------- interfaces */

static void on_ear_closed(uv_handle_t *handle)
{
    struct ear *ear = handle->data;
    struct wc_discovery *d = ear->d;
    free(ear);
    d->open_count--;
    check_closed(d);
}

static void ear_close(struct ear *ear)
{
    struct wc_discovery *d = ear->d;
    TAILQ_REMOVE(&d->ears, ear, entry);
    d->ears_count--;
    uv_close((uv_handle_t *)&ear->udp, on_ear_closed);
}

static bool same_host(const struct sockaddr_storage *a,
                      const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                      &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

/* Where links to that address are accepted; 0: nowhere. */
static uint16_t listening_port(const struct wc_discovery *d,
                               const struct sockaddr_storage *own)
{
    for (uint32_t i = 0; i < d->listened.count; i++) {
        struct wc_address address;
        struct sockaddr_storage at;
        if (wc_address_parse(&address, d->listened.items[i]) != 0 ||
            wc_address_numeric(&address, &at) != 0)
            continue; /* a name: links are accepted there, but for what it stands now is
                         not known here */
        if (strcmp(address.host, "::") == 0 || same_host(&at, own) ||
            (own->ss_family == AF_INET && strcmp(address.host, "0.0.0.0") == 0))
            return address.port;
    }
    return 0;
}

static bool listed(const struct wc_strings *s, const char *name)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (strcmp(s->items[i], name) == 0)
            return true;
    }
    return false;
}

/* Whether a beacon belongs there: on every interface that can do multicast, but for
 * loopback; or on those that are configured. */
static bool wanted(const struct wc_discovery *d, const struct ifaddrs *i)
{
    const struct wc_config *c = d->config.settings;
    const struct wc_strings *names = &c->beacon_interfaces;
    if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0)
        return false;
    if (names->count > 0
            ? !listed(names, i->ifa_name)
            : (i->ifa_flags & IFF_LOOPBACK) != 0 || (i->ifa_flags & IFF_MULTICAST) == 0)
        return false;
    if (i->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, i->ifa_addr, sizeof(six));
        return IN6_IS_ADDR_LINKLOCAL(&six.sin6_addr) &&
               strcmp(c->beacon_group_ipv6, "none") != 0;
    }
    return i->ifa_addr->sa_family == AF_INET && i->ifa_netmask != NULL &&
           strcmp(c->beacon_group_ipv4, "none") != 0;
}

static void copy_address(struct sockaddr_storage *to, const struct sockaddr *from)
{
    memset(to, 0, sizeof(*to));
    memcpy(to, from,
           from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                       : sizeof(struct sockaddr_in));
}

/* The group of a family, at this interface. */
static int group_of(const struct wc_discovery *d, const struct ear *ear,
                    struct sockaddr_storage *out, char text[INET6_ADDRSTRLEN])
{
    const struct wc_config *c = d->config.settings;
    uint16_t port = (uint16_t)c->beacon_port;
    snprintf(text, INET6_ADDRSTRLEN, "%s",
             ear->family == AF_INET6 ? c->beacon_group_ipv6 : c->beacon_group_ipv4);
    memset(out, 0, sizeof(*out));
    if (ear->family == AF_INET)
        return uv_ip4_addr(text, port, (struct sockaddr_in *)out);
    int status = uv_ip6_addr(text, port, (struct sockaddr_in6 *)out);
    ((struct sockaddr_in6 *)out)->sin6_scope_id = ear->index;
    return status;
}

/* Only what comes over the interface that was joined there: Linux gives a socket what
 * any other socket of the machine joined, unless told not to (ip(7)). */
static int hear_own_interface_only(const struct ear *ear)
{
    int fd, none = 0;
    int status = uv_fileno((const uv_handle_t *)&ear->udp, &fd);
    if (status != 0)
        return status;
    int result =
        ear->family == AF_INET
            ? setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &none, sizeof(none))
            : setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &none, sizeof(none));
    return result == 0 || errno == ENOPROTOOPT ? 0 : -errno;
}

static int ear_listen(struct wc_discovery *d, struct ear *ear)
{
    char group[INET6_ADDRSTRLEN], own[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
    int status = group_of(d, ear, &ear->group, group);
    unsigned flags = UV_UDP_REUSEADDR; /* several daemons of one machine */
    if (ear->family == AF_INET6)
        flags |= UV_UDP_IPV6ONLY;
    if (status == 0)
        status = uv_udp_bind(&ear->udp, (const struct sockaddr *)&ear->group, flags);
    if (status == 0)
        status = uv_ip_name((const struct sockaddr *)&ear->own, own, sizeof(own));
    if (status == 0 && ear->family == AF_INET6) {
        size_t len = strlen(own);
        snprintf(own + len, sizeof(own) - len, "%%%s", ear->name);
    }
    if (status == 0)
        status = hear_own_interface_only(ear);
    if (status == 0)
        status = uv_udp_set_membership(&ear->udp, group, own, UV_JOIN_GROUP);
    if (status == 0)
        status = uv_udp_set_multicast_interface(&ear->udp, own);
    if (status == 0)
        status = uv_udp_set_multicast_ttl(&ear->udp, BEACON_TTL);
    if (status == 0)
        status = uv_udp_set_multicast_loop(&ear->udp, 1);
    if (status == 0)
        status = uv_udp_recv_start(&ear->udp, on_alloc, on_datagram);
    return status;
}

static void ear_open(struct wc_discovery *d, const struct ifaddrs *i)
{
    struct ear *ear =
        d->ears_count < WC_BEACON_INTERFACES_MAX_COUNT ? calloc(1, sizeof(*ear)) : NULL;
    if (ear == NULL)
        return; /* the next scan may find room */
    ear->d = d;
    ear->seen = true;
    ear->family = i->ifa_addr->sa_family;
    ear->index = if_nametoindex(i->ifa_name);
    snprintf(ear->name, sizeof(ear->name), "%s", i->ifa_name);
    copy_address(&ear->own, i->ifa_addr);
    if (ear->family == AF_INET)
        copy_address(&ear->mask, i->ifa_netmask);
    ear->port = listening_port(d, &ear->own);
    int status = uv_udp_init(wc_loop_uv(d->config.loop), &ear->udp);
    assert(status == 0); /* makes no socket yet */
    ear->udp.data = ear;
    d->open_count++;
    d->ears_count++;
    TAILQ_INSERT_TAIL(&d->ears, ear, entry);
    status = ear_listen(d, ear);
    if (status != 0) {
        if (wc_log_allow(&d->valve, wc_mono_ms()))
            wc_log(WC_LOG_INFO, "no beacons on %s (%s): %s", ear->name,
                   ear->family == AF_INET ? "IPv4" : "IPv6", uv_strerror(status));
        ear_close(ear);
        return;
    }
    wc_log(WC_LOG_DEBUG, "beacons on %s (%s), port %u", ear->name,
           ear->family == AF_INET ? "IPv4" : "IPv6", (unsigned)ear->port);
    say(d, ear);
}

/* The socket of that interface and family, if its address is still the same. */
static struct ear *find_ear(struct wc_discovery *d, const struct ifaddrs *i)
{
    struct ear *ear;
    struct sockaddr_storage own;
    copy_address(&own, i->ifa_addr);
    TAILQ_FOREACH(ear, &d->ears, entry)
    {
        if (strcmp(ear->name, i->ifa_name) == 0 &&
            ear->family == i->ifa_addr->sa_family && same_host(&ear->own, &own))
            return ear;
    }
    return NULL;
}

/* Whether another address of the interface has a socket already: one says enough. */
static bool has_ear(struct wc_discovery *d, const struct ifaddrs *i)
{
    struct ear *ear;
    TAILQ_FOREACH(ear, &d->ears, entry)
    {
        if (ear->seen && strcmp(ear->name, i->ifa_name) == 0 &&
            ear->family == i->ifa_addr->sa_family)
            return true;
    }
    return false;
}

static void close_unseen(struct wc_discovery *d)
{
    struct ear *ear, *next;
    for (ear = TAILQ_FIRST(&d->ears); ear != NULL; ear = next) {
        next = TAILQ_NEXT(ear, entry);
        if (!ear->seen)
            ear_close(ear);
    }
}

static void scan(struct wc_discovery *d)
{
    struct ifaddrs *list = NULL;
    struct ear *ear;
    if (getifaddrs(&list) != 0)
        return; /* what there is stays */
    TAILQ_FOREACH(ear, &d->ears, entry)
    ear->seen = false;
    for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        ear = wanted(d, i) ? find_ear(d, i) : NULL;
        if (ear != NULL)
            ear->seen = true;
    }
    close_unseen(d);
    for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        if (wanted(d, i) && !has_ear(d, i))
            ear_open(d, i);
    }
    freeifaddrs(list);
    d->stats.sockets_count = d->ears_count;
}

static void on_scan_timer(void *ctx)
{
    struct wc_discovery *d = ctx;
    scan(d);
    wc_timer_set(d->scan_timer, d->links_count == 0 ? SCAN_ALONE_MS : SCAN_EVERY_MS, 0);
}

/* ---------------------------------------------------------------- the name server */

static void srv_found(struct wc_discovery *d, struct wc_srv *answer)
{
    const char *addresses[WC_SRV_MAX_COUNT];
    uint32_t random[WC_SRV_MAX_COUNT];
    wc_random_bytes(random, sizeof(random));
    wc_srv_order(answer, random);
    for (uint32_t i = 0; i < answer->count; i++)
        addresses[i] = answer->targets[i].address;
    d->stats.srv_count = answer->count;
    d->config.found(d->config.ctx, WC_HINT_SRV, addresses, answer->count);
}

/* An answer counts until its time is over; a failure changes nothing of the last one; a
 * server that knows of no service any more takes it back. */
static void ask_done(void *ctx)
{
    struct asking *a = ctx;
    struct wc_discovery *d = a->d;
    uint64_t wait_ms = a->answer.ttl_ms;
    d->asking = false;
    d->open_count--;
    if (a->rc == 0) {
        d->srv_failures = 0;
        if (a->answer.left_out > 0)
            wc_log(WC_LOG_WARNING,
                   "%u service records of %s were left out: too many, or too long",
                   (unsigned)a->answer.left_out, a->domain);
    } else {
        wait_ms = WC_SRV_RETRY_MS << d->srv_failures;
        if (d->srv_failures < SRV_RETRY_DOUBLINGS)
            d->srv_failures++;
        wc_log(d->srv_failures == 1 ? WC_LOG_NOTICE : WC_LOG_DEBUG,
               "service records _whocan._tcp.%s: %s", a->domain, wc_strerror(a->rc));
    }
    if (d->identity != NULL) {
        if (a->rc == 0 || a->rc == -WC_ENOTFOUND)
            srv_found(d, &a->answer);
        wc_timer_set(d->srv_timer, wait_ms + draw_below((uint32_t)(wait_ms / 10) + 1),
                     0);
    }
    free(a);
    check_closed(d);
}

static void ask_work(void *ctx)
{
    struct asking *a = ctx;
    a->rc = wc_srv_query(a->domain, &a->answer);
    if (a->rc != 0)
        a->answer.count = 0;
}

static void on_srv_timer(void *ctx)
{
    struct wc_discovery *d = ctx;
    const char *domain = d->config.settings->domain;
    if (domain == NULL || d->asking || d->identity == NULL)
        return; /* the answer that is on its way sets the timer */
    struct asking *a = calloc(1, sizeof(*a));
    if (a != NULL) {
        a->d = d;
        snprintf(a->domain, sizeof(a->domain), "%s", domain);
        if (wc_loop_work(d->config.loop, ask_work, ask_done, a) == 0) {
            d->asking = true;
            d->open_count++;
            return;
        }
        free(a);
    }
    wc_timer_set(d->srv_timer, WC_SRV_RETRY_MS, 0);
}

/* ---------------------------------------------------------------- what worked */

static void save(struct wc_discovery *d);

static void save_done(void *ctx)
{
    struct saving *s = ctx;
    struct wc_discovery *d = s->d;
    d->saving = false;
    d->open_count--;
    if (s->rc != 0)
        wc_log(WC_LOG_WARNING,
               "the addresses of other offices could not be written to %s/%s: it %s",
               d->config.settings->state, WC_PEERS_FILE, wc_strerror(s->rc));
    wc_buf_fini(&s->text);
    free(s);
    if (d->peers_changed && d->identity == NULL)
        save(d);
    check_closed(d);
}

static void save_work(void *ctx)
{
    struct saving *s = ctx;
    s->rc = wc_peers_save(s->d->config.settings->state, wc_buf_slice(&s->text));
}

static void save(struct wc_discovery *d)
{
    struct saving *s = d->saving ? NULL : calloc(1, sizeof(*s));
    if (s == NULL)
        return; /* what changed since is written when that has ended */
    s->d = d;
    wc_peers_text(&d->peers, d->org_id, &s->text);
    if (s->text.failed || wc_loop_work(d->config.loop, save_work, save_done, s) != 0) {
        wc_buf_fini(&s->text);
        free(s);
        return;
    }
    d->open_count++;
    d->saving = true;
    d->peers_changed = false;
    d->saved_mono_ms = wc_mono_ms();
}

static void on_save_timer(void *ctx)
{
    struct wc_discovery *d = ctx;
    if (d->peers_changed)
        save(d);
}

void wc_discovery_reached(struct wc_discovery *d,
                          const uint8_t office_key[WC_KEY_BYTES], const char *address)
{
    if (d->identity == NULL ||
        !wc_peers_add(&d->peers, office_key, address, wc_wall_ms()))
        return;
    d->stats.cached_count = d->peers.count;
    if (d->peers_changed)
        return; /* the timer runs */
    uint64_t since_ms = wc_mono_ms() - d->saved_mono_ms;
    d->peers_changed = true;
    wc_timer_set(d->save_timer,
                 d->saved_mono_ms == 0 || since_ms >= SAVE_EVERY_MS
                     ? SAVE_WAIT_MS
                     : SAVE_EVERY_MS - since_ms,
                 0);
}

static void remember(struct wc_discovery *d)
{
    const char *addresses[WC_CACHE_MAX_COUNT];
    int rc = wc_peers_load(d->config.settings->state, d->identity->org.id, &d->peers);
    if (rc != 0 && rc != -WC_ENOTFOUND)
        wc_log(WC_LOG_WARNING,
               "%s/%s, the addresses of other offices, is left out: it %s. It is "
               "written anew",
               d->config.settings->state, WC_PEERS_FILE, wc_strerror(rc));
    for (uint32_t i = 0; i < d->peers.count; i++)
        addresses[i] = d->peers.list[i].address;
    d->stats.cached_count = d->peers.count;
    d->config.found(d->config.ctx, WC_HINT_CACHE, addresses, d->peers.count);
}

/* ---------------------------------------------------------------- life */

void wc_discovery_begin(struct wc_discovery *d, const struct wc_identity *identity)
{
    assert(d->identity == NULL && !d->closing);
    d->identity = identity;
    wc_beacon_key(d->key, &identity->org);
    memcpy(d->org_id, identity->org.id, sizeof(d->org_id));
    d->peers_changed = false;
    d->saved_mono_ms = 0;
    d->beacons_first = 0;
    d->links_count = 0;
    d->srv_failures = 0;
    remember(d);
    if (d->config.settings->beacon) {
        on_scan_timer(d);
        on_beacon_timer(d);
    }
    on_srv_timer(d);
}

void wc_discovery_end(struct wc_discovery *d)
{
    if (d->identity == NULL)
        return;
    wc_timer_stop(d->beacon_timer);
    wc_timer_stop(d->scan_timer);
    wc_timer_stop(d->srv_timer);
    wc_timer_stop(d->save_timer);
    struct ear *ear;
    TAILQ_FOREACH(ear, &d->ears, entry)
    ear->seen = false;
    close_unseen(d);
    if (d->peers_changed)
        save(d);
    d->identity = NULL;
    wc_wipe(d->key, sizeof(d->key));
}

void wc_discovery_links(struct wc_discovery *d, uint32_t count)
{
    bool alone = d->links_count > 0 && count == 0;
    d->links_count = count;
    if (!alone || d->identity == NULL || !d->config.settings->beacon)
        return;
    wc_timer_set(d->beacon_timer, 1 + draw_below(BEACON_ALONE_MS), 0);
    wc_timer_set(d->scan_timer, SCAN_ALONE_MS, 0);
}

void wc_discovery_close(struct wc_discovery *d, void (*closed)(void *ctx), void *ctx)
{
    assert(d->identity == NULL && !d->closing);
    d->closing = true;
    d->closed = closed;
    d->closed_ctx = ctx;
    wc_timer_free(d->beacon_timer);
    wc_timer_free(d->scan_timer);
    wc_timer_free(d->srv_timer);
    wc_timer_free(d->save_timer);
    check_closed(d);
}

int wc_discovery_new(struct wc_discovery **out,
                     const struct wc_discovery_config *config)
{
    struct wc_discovery *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return -WC_ENOMEM;
    d->config = *config;
    d->valve = (struct wc_log_valve){.burst = 10, .window_ms = 60000};
    TAILQ_INIT(&d->ears);
    int rc = 0;
    for (uint32_t i = 0; i < config->listened->count && rc == 0; i++)
        rc = wc_strings_add(&d->listened, config->listened->items[i]);
    d->beacon_timer = wc_timer_new(config->loop, on_beacon_timer, d);
    d->scan_timer = wc_timer_new(config->loop, on_scan_timer, d);
    d->srv_timer = wc_timer_new(config->loop, on_srv_timer, d);
    d->save_timer = wc_timer_new(config->loop, on_save_timer, d);
    if (rc == 0 && d->beacon_timer != NULL && d->scan_timer != NULL &&
        d->srv_timer != NULL && d->save_timer != NULL) {
        *out = d;
        return 0;
    }
    wc_timer_free(d->beacon_timer);
    wc_timer_free(d->scan_timer);
    wc_timer_free(d->srv_timer);
    wc_timer_free(d->save_timer);
    wc_strings_fini(&d->listened);
    free(d);
    return -WC_ENOMEM;
}

void wc_discovery_stats(const struct wc_discovery *d, struct wc_discovery_stats *out)
{
    *out = d->stats;
}
