/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/advertise.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <whocan/error.h>

#include "daemon/address.h"

enum wildcard { NO_WILDCARD, ANY_IPV4, ANY };

static enum wildcard wildcard_of(const struct wc_address *address)
{
    if (strcmp(address->host, "0.0.0.0") == 0)
        return ANY_IPV4;
    return strcmp(address->host, "::") == 0 ? ANY : NO_WILDCARD;
}

static int add(struct wc_strings *out, const char *text)
{
    for (uint32_t i = 0; i < out->count; i++)
        if (strcmp(out->items[i], text) == 0)
            return 0;
    return out->count < WC_ADDRESSES_MAX_COUNT ? wc_strings_add(out, text) : 0;
}

/* An address that other machines can reach: of an interface that is up, neither loopback
 * nor link-local. */
static bool reachable(const struct ifaddrs *i, enum wildcard wildcard)
{
    if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0 ||
        (i->ifa_flags & IFF_LOOPBACK) != 0)
        return false;
    if (i->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, i->ifa_addr, sizeof(six));
        return wildcard == ANY && !IN6_IS_ADDR_LINKLOCAL(&six.sin6_addr);
    }
    return i->ifa_addr->sa_family == AF_INET;
}

static void text_with_port(const struct sockaddr *sa, uint16_t port,
                           char out[WC_ADDRESS_MAX_BYTES + 1])
{
    struct sockaddr_storage copy;
    memset(&copy, 0, sizeof(copy));
    if (sa->sa_family == AF_INET6) {
        memcpy(&copy, sa, sizeof(struct sockaddr_in6));
        ((struct sockaddr_in6 *)&copy)->sin6_port = htons(port);
    } else {
        memcpy(&copy, sa, sizeof(struct sockaddr_in));
        ((struct sockaddr_in *)&copy)->sin_port = htons(port);
    }
    wc_address_text((const struct sockaddr *)&copy, out);
}

static int add_interfaces(struct wc_strings *out, enum wildcard wildcard, uint16_t port)
{
    struct ifaddrs *list = NULL;
    char text[WC_ADDRESS_MAX_BYTES + 1];
    uint32_t before = out->count;
    int rc = 0;
    if (getifaddrs(&list) != 0)
        list = NULL;
    for (const struct ifaddrs *i = list; i != NULL && rc == 0; i = i->ifa_next) {
        if (!reachable(i, wildcard))
            continue;
        text_with_port(i->ifa_addr, port, text);
        rc = add(out, text);
    }
    if (list != NULL)
        freeifaddrs(list);
    if (rc == 0 && out->count == before) {
        snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)port);
        rc = add(out, text);
    }
    return rc;
}

static int add_listened(struct wc_strings *out, const char *text, uint16_t port)
{
    struct wc_address address;
    char with_port[WC_ADDRESS_MAX_BYTES + 1];
    if (wc_address_parse(&address, text) != 0)
        return -WC_EINVALID;
    enum wildcard wildcard = wildcard_of(&address);
    if (wildcard != NO_WILDCARD)
        return add_interfaces(out, wildcard, port);
    bool six = strchr(address.host, ':') != NULL;
    snprintf(with_port, sizeof(with_port), six ? "[%.56s]:%u" : "%.58s:%u",
             address.host, (unsigned)port);
    return add(out, with_port);
}

int wc_advertise(struct wc_strings *out, const struct wc_strings *advertise,
                 const struct wc_strings *listened, const uint16_t *ports)
{
    int rc = 0;
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < advertise->count && rc == 0; i++)
        rc = add(out, advertise->items[i]);
    if (advertise->count > 0)
        return rc;
    for (uint32_t i = 0; i < listened->count && rc == 0; i++)
        rc = add_listened(out, listened->items[i], ports[i]);
    return rc;
}
