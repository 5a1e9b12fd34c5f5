/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/analyst.h"

#include <stdlib.h>
#include <string.h>

#include <whocan/cert.h>
#include <whocan/record.h>

void wc_analyst_fini(struct wc_analyst *a)
{
    free(a->offices);
    a->offices = NULL;
    a->office_count = a->office_cap = 0;
}

void wc_analyst_reset(struct wc_analyst *a)
{
    a->office_count = 0;
}

/* ---- offices ---- */

int wc_office_text(struct wc_records *r, const uint8_t *office_key,
                   char out[WC_OFFICE_TEXT_BYTES])
{
    uint8_t slot[WC_DIGEST_BYTES];
    struct wc_buf bytes = {0};
    struct wc_record record;
    struct wc_doc *doc = NULL;
    struct wc_card card;
    struct wc_cert cert;
    out[0] = '\0';
    wc_slot(slot, WC_KIND_CARD, office_key, "card");
    int rc = wc_records_get(r, slot, &bytes);
    if (rc == 0)
        rc = wc_record_decode(wc_buf_slice(&bytes), &record, NULL);
    if (rc == 0)
        rc = wc_doc_new(record.body, &wc_scan_default, &doc);
    if (rc == 0)
        rc = wc_card_decode(wc_doc_root(doc), &card, NULL);
    if (rc == 0)
        rc = wc_cert_read(card.cert, &cert, NULL);
    if (rc == 0) {
        size_t len = strlen(cert.name);
        memcpy(out, cert.name, len);
        out[len] = ' ';
        memcpy(out + len + 1, cert.title, strlen(cert.title) + 1);
    }
    wc_doc_free(doc);
    wc_buf_fini(&bytes);
    /* Without a readable card its people are still found by everything else. */
    return rc == -WC_ENOMEM || rc == -WC_EIO ? rc : 0;
}

static struct wc_analyst_office *new_office(struct wc_analyst *a)
{
    if (a->office_count == a->office_cap) {
        uint32_t cap = a->office_cap == 0 ? 16 : 2 * a->office_cap;
        struct wc_analyst_office *offices = realloc(a->offices, cap * sizeof(*offices));
        if (offices == NULL)
            return NULL;
        a->offices = offices;
        a->office_cap = cap;
    }
    return &a->offices[a->office_count++];
}

/* The last one first: people mostly come office by office. */
static int office_of(struct wc_analyst *a, const uint8_t *key, uint32_t *out)
{
    for (uint32_t i = a->office_count; i-- > 0;) {
        if (memcmp(a->offices[i].key, key, WC_KEY_BYTES) == 0) {
            *out = i;
            return 0;
        }
    }
    struct wc_analyst_office *fresh = new_office(a);
    if (fresh == NULL)
        return -WC_ENOMEM;
    memcpy(fresh->key, key, WC_KEY_BYTES);
    *out = a->office_count - 1;
    return wc_office_text(a->ix->records, key, fresh->text);
}

/* ---- a person ---- */

static bool is_willing(const struct wc_person *p)
{
    return (p->present & WC_PERSON_WILLING) == 0 || p->willing;
}

static int add_units(struct wc_analyst *a, uint32_t count)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = wc_terms_add(a->terms, a->text, a->ix->vocabulary, &a->units[i]);
    return rc;
}

/* As every office sees them, then as the home office does. */
static int note_traits(struct wc_analyst *a, uint8_t traits[2 * WC_TRAITS_BYTES])
{
    int rc = wc_traits_of(&a->view.person, a->text, traits);
    if (rc == 0 && a->home_view.has_profile)
        return wc_traits_of(&a->home_view.person, a->text, traits + WC_TRAITS_BYTES);
    memcpy(traits + WC_TRAITS_BYTES, traits, WC_TRAITS_BYTES);
    return rc;
}

static int analyse(struct wc_analyst *a, const struct wc_person_ref *who,
                   struct wc_analysed *out)
{
    struct wc_terms *s = a->terms;
    int rc = office_of(a, who->office_key, &out->office);
    if (rc != 0)
        return rc;
    uint32_t n = wc_units(&a->view, wc_slice_text(who->subject),
                          wc_slice_text(a->offices[out->office].text), a->units);
    rc = add_units(a, n);
    if (rc == 0 && a->home_view.has_profile) { /* last: it takes nobody's place */
        wc_terms_go_home(s);
        rc = add_units(a, wc_units_home(&a->home_view, a->units));
    }
    bool willing = is_willing(&a->view.person);
    wc_terms_finish(s, willing,
                    a->home_view.has_profile ? is_willing(&a->home_view.person)
                                             : willing);
    return rc == 0 ? note_traits(a, out->traits) : rc;
}

/* The same person as the home office sees them, if they are of it and it sees more. */
static int load_home(struct wc_analyst *a, const struct wc_person_ref *who)
{
    if (wc_index_audience(a->ix, who->office_key, true) == WC_AUDIENCE_ORGANISATION)
        return 0;
    int rc = wc_people_load_as(a->ix->records, who->office_key, who->subject,
                               WC_AUDIENCE_OFFICE, &a->home_view);
    if (rc != 0) /* what cannot be read cannot be found */
        a->home_view.has_profile = false;
    return rc == -WC_ENOMEM || rc == -WC_EIO || rc == -WC_EBUSY ? rc : 0;
}

int wc_analyst_read(struct wc_analyst *a, const struct wc_person_ref *who,
                    struct wc_analysed *out)
{
    out->exists = a->home_view.has_profile = false;
    wc_terms_reset(a->terms);
    int rc = wc_people_load(a->ix->records, who->office_key, who->subject, &a->view);
    if (rc == -WC_ENOMEM || rc == -WC_EIO || rc == -WC_EBUSY)
        return rc;
    if (rc != 0)
        return 0; /* what cannot be read cannot be found either */
    out->exists = true;
    rc = load_home(a, who);
    if (rc == 0)
        rc = analyse(a, who, out);
    wc_people_view_fini(&a->view);
    wc_people_view_fini(&a->home_view);
    return rc;
}
