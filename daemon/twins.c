/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/twins.h"

#include <stdlib.h>
#include <string.h>

#include <whocan/error.h>
#include <whocan/limits.h>

struct seen {
    uint8_t key[WC_KEY_BYTES];
    struct wc_twin twin;
    uint32_t swaps; /* of address, one soon after the other */
    uint64_t swapped_ms, heard_ms;
    bool known;        /* that there are two */
    uint64_t known_ms; /* when it was last seen */
};

struct wc_twins {
    struct seen offices[WC_TWINS_COUNT];
    uint32_t count;
};

int wc_twins_new(struct wc_twins **out)
{
    *out = calloc(1, sizeof(**out));
    return *out == NULL ? -WC_ENOMEM : 0;
}

void wc_twins_free(struct wc_twins *t)
{
    free(t);
}

static struct seen *find(struct wc_twins *t, const uint8_t key[WC_KEY_BYTES])
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (memcmp(t->offices[i].key, key, WC_KEY_BYTES) == 0)
            return &t->offices[i];
    }
    return NULL;
}

/* What is known of this office itself stays. */
static struct seen *take(struct wc_twins *t)
{
    if (t->count < WC_TWINS_COUNT)
        return &t->offices[t->count++];
    struct seen *oldest = t->offices[0].twin.own ? &t->offices[1] : &t->offices[0];
    for (uint32_t i = 1; i < t->count; i++) {
        if (!t->offices[i].twin.own && t->offices[i].heard_ms < oldest->heard_ms)
            oldest = &t->offices[i];
    }
    return oldest;
}

static struct seen *find_or_take(struct wc_twins *t, const struct wc_cert *office)
{
    struct seen *s = find(t, office->sign_key);
    if (s != NULL)
        return s;
    s = take(t);
    memset(s, 0, sizeof(*s));
    memcpy(s->key, office->sign_key, sizeof(s->key));
    memcpy(s->twin.office, office->name, sizeof(s->twin.office));
    return s;
}

/* "[::1]:7411" to "[::1]": the port is another with each connection. */
static void host_of(const char *address, char host[WC_ADDRESS_MAX_BYTES + 1])
{
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? strlen(address) : (size_t)(colon - address);
    if (len > WC_ADDRESS_MAX_BYTES)
        len = WC_ADDRESS_MAX_BYTES;
    memcpy(host, address, len);
    host[len] = '\0';
}

static bool is_news(struct seen *s, uint64_t now_ms)
{
    bool news = !s->known || now_ms - s->known_ms >= WC_TWIN_NAMED_MS;
    s->known = true;
    s->known_ms = now_ms;
    return news;
}

bool wc_twins_own(struct wc_twins *t, const struct wc_cert *own, const char *address,
                  uint64_t now_ms)
{
    for (uint32_t i = 0; i < t->count; i++)
        t->offices[i].twin.own = false; /* it may have been another before */
    struct seen *s = find_or_take(t, own);
    s->heard_ms = now_ms;
    s->twin.own = true;
    host_of(address, s->twin.host);
    return is_news(s, now_ms);
}

static bool swapped(struct seen *s, const char *from, uint64_t now_ms)
{
    s->swaps = now_ms - s->swapped_ms < WC_TWIN_SWAP_MS ? s->swaps + 1 : 1;
    s->swapped_ms = now_ms;
    memcpy(s->twin.other_host, from, sizeof(s->twin.other_host));
    if (s->swaps < WC_TWIN_SWAPS_COUNT)
        return false;
    s->swaps = WC_TWIN_SWAPS_COUNT;
    return is_news(s, now_ms);
}

bool wc_twins_link(struct wc_twins *t, const struct wc_cert *peer, const char *address,
                   const char *other, uint64_t now_ms)
{
    struct seen *s = find_or_take(t, peer);
    char before[WC_ADDRESS_MAX_BYTES + 1];
    memcpy(before, s->twin.host, sizeof(before));
    host_of(address, s->twin.host);
    s->heard_ms = now_ms;
    if (other != NULL)
        host_of(other, before);
    if (before[0] == '\0' || strcmp(before, s->twin.host) == 0)
        return false;
    return swapped(s, before, now_ms);
}

bool wc_twins_at(const struct wc_twins *t, uint32_t i, uint64_t now_ms,
                 struct wc_twin *out)
{
    for (uint32_t k = 0; k < t->count; k++) {
        const struct seen *s = &t->offices[k];
        if (!s->known || now_ms - s->known_ms >= WC_TWIN_NAMED_MS || i-- > 0)
            continue;
        *out = s->twin;
        return true;
    }
    return false;
}
