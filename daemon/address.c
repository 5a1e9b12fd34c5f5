/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <whocan/bytes.h>
#include <whocan/error.h>

#define PORT_DIGITS_MAX 5

static int parse_port(const char *text, uint16_t *out)
{
    size_t len = strlen(text);
    uint32_t value = 0;
    if (len == 0 || len > PORT_DIGITS_MAX)
        return -WC_EINVALID;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -WC_EINVALID;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    if (value > UINT16_MAX)
        return -WC_EINVALID;
    *out = (uint16_t)value;
    return 0;
}

/* Printable ASCII without space: names and addresses need no more, and a log line stays
 * one line. */
static bool host_plain(const char *host)
{
    for (; *host != '\0'; host++) {
        if (*host <= ' ' || *host > '~' || *host == '[' || *host == ']')
            return false;
    }
    return true;
}

int wc_address_parse(struct wc_address *out, const char *text)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text)
        return -WC_EINVALID;
    struct wc_slice host = wc_slice(text, (size_t)(colon - text));
    if (text[0] == '[') {
        if (host.len < 3 || colon[-1] != ']')
            return -WC_EINVALID;
        host = wc_slice(text + 1, host.len - 2);
    } else if (memchr(text, ':', host.len) != NULL) {
        return -WC_EINVALID; /* IPv6 without brackets: which colon ends it? */
    }
    if (!wc_slice_copy(host, out->host, sizeof(out->host)) || !host_plain(out->host))
        return -WC_EINVALID;
    return parse_port(colon + 1, &out->port);
}

int wc_address_numeric(const struct wc_address *address, struct sockaddr_storage *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[PORT_DIGITS_MAX + 1];
    snprintf(port, sizeof(port), "%u", (unsigned)address->port);
    if (getaddrinfo(address->host, port, &hints, &found) != 0)
        return -WC_ENOTFOUND;
    memset(out, 0, sizeof(*out));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

/* IPv4 inside IPv6 ("::ffff:192.0.2.1") as IPv4; everything else as it is. */
static void unmap(const struct sockaddr *sa, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (sa->sa_family != AF_INET6) {
        memcpy(out, sa, sizeof(struct sockaddr_in));
        return;
    }
    struct sockaddr_in6 six;
    memcpy(&six, sa, sizeof(six));
    if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) {
        memcpy(out, &six, sizeof(six));
        return;
    }
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = six.sin6_port};
    memcpy(&four.sin_addr, six.sin6_addr.s6_addr + 12, sizeof(four.sin_addr));
    memcpy(out, &four, sizeof(four));
}

void wc_address_text(const struct sockaddr *sa, char out[WC_ADDRESS_MAX_BYTES + 1])
{
    struct sockaddr_storage plain;
    unmap(sa, &plain);
    bool six = plain.ss_family == AF_INET6;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getnameinfo((const struct sockaddr *)&plain,
                    six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
                    host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(out, WC_ADDRESS_MAX_BYTES + 1, "unknown");
        return;
    }
    snprintf(out, WC_ADDRESS_MAX_BYTES + 1, six ? "[%.55s]:%.5s" : "%.55s:%.5s", host,
             port);
}

void wc_source_of(const struct sockaddr *sa, struct wc_source *out)
{
    struct sockaddr_storage plain;
    unmap(sa, &plain);
    memset(out, 0, sizeof(*out));
    if (plain.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&plain;
        memcpy(out->prefix, six->sin6_addr.s6_addr, 8);
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&plain;
        memset(out->prefix + 10, 0xff, 2);
        memcpy(out->prefix + 12, &four->sin_addr, 4);
    }
}

bool wc_source_eq(const struct wc_source *a, const struct wc_source *b)
{
    return memcmp(a->prefix, b->prefix, sizeof(a->prefix)) == 0;
}

void wc_source_text(const struct wc_source *source, char out[WC_ADDRESS_MAX_BYTES + 1])
{
    struct in6_addr six;
    char text[INET6_ADDRSTRLEN];
    memcpy(six.s6_addr, source->prefix, sizeof(six.s6_addr));
    bool four = IN6_IS_ADDR_V4MAPPED(&six);
    inet_ntop(four ? AF_INET : AF_INET6, four ? source->prefix + 12 : source->prefix,
              text, sizeof(text));
    snprintf(out, WC_ADDRESS_MAX_BYTES + 1, four ? "%s" : "%s/64", text);
}

bool wc_address_is_loopback(const struct sockaddr *sa)
{
    struct sockaddr_storage plain;
    unmap(sa, &plain);
    if (plain.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&plain)->sin6_addr);
    const struct sockaddr_in *four = (const struct sockaddr_in *)&plain;
    return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}
