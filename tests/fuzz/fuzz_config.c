/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: what is not right is refused in one line that names the line. */
#include <whocan/cert.h>
#include <whocan/error.h>

#include "daemon/address.h"
#include "daemon/config.h"
#include "tests/fuzz/fuzz.h"

static void check_strings(const struct wc_strings *s, bool addresses)
{
    HOLDS(s->count <= WC_CONFIG_LIST_MAX_COUNT);
    for (uint32_t i = 0; i < s->count; i++) {
        struct wc_address address;
        if (addresses && strcmp(s->items[i], "none") != 0)
            HOLDS(wc_address_parse(&address, s->items[i]) == 0);
    }
}

static void check_config(const struct wc_config *c)
{
    HOLDS(c->state == NULL || c->state[0] == '/');
    HOLDS(c->socket == NULL || c->socket[0] == '/');
    HOLDS(c->office == NULL || wc_office_name_valid(wc_slice_text(c->office)));
    check_strings(&c->listen, true);
    check_strings(&c->join, true);
    check_strings(&c->advertise, true);
    check_strings(&c->languages, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wc_config config;
    char problem[WC_PROBLEM_BYTES];
    int rc = wc_config_parse(&config, wc_slice(data, size), "f", problem);
    if (rc == 0) {
        HOLDS(problem[0] == '\0');
        check_config(&config);
    } else {
        HOLDS(rc == -WC_ECONFIG);
        HOLDS(strncmp(problem, "f:", 2) == 0);
    }
    wc_config_fini(&config);
    return 0;
}
