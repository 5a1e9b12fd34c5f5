/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabulary files. Besides not crashing: a text that is refused has a fault with a line
 * of the text, and one that is taken has labels for every concept, and neighbours that
 * are there.
 */
#include <assert.h>
#include <string.h>

#include <whocan/concepts.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint32_t lines, faults;
};

static void on_fault(void *ctx, const struct wc_fault *fault)
{
    struct seen *seen = ctx;
    assert(fault->line <= seen->lines);
    assert(fault->text[0] != '\0' && strchr(fault->text, '\n') == NULL);
    seen->faults += !fault->remark;
}

static void check_near(const struct wc_concepts *c, const uint32_t *near,
                       uint32_t count)
{
    assert(count <= WC_CONCEPT_NEAR_MAX);
    for (uint32_t i = 0; i < count; i++)
        assert(near[i] < wc_concepts_count(c));
}

static void check_all(const struct wc_concepts *c)
{
    for (uint32_t i = 0; i < wc_concepts_count(c); i++) {
        const struct wc_concept *x = wc_concepts_at(c, i);
        assert(x->label_count > 0 && x->label_count <= WC_CONCEPT_LABELS_MAX);
        assert(wc_concepts_find(c, wc_slice_text(x->id)) == i);
        assert(wc_concept_name(x, "nb")[0] != '\0');
        check_near(c, x->broader, x->broader_count);
        check_near(c, x->narrower, x->narrower_count);
        check_near(c, x->related, x->related_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.lines = 1};
    struct wc_concepts *c;
    for (size_t i = 0; i < size; i++)
        seen.lines += data[i] == '\n';
    if (wc_concepts_new(&c, on_fault, &seen) != 0)
        return 0;
    int rc = wc_concepts_read(c, wc_slice(data, size), "f");
    int near = wc_concepts_resolve(c);
    assert((seen.faults > 0) == (rc != 0 || near != 0));
    if (rc == 0 && near == 0)
        check_all(c);
    assert(wc_concepts_remark(c) >= 0);
    wc_concepts_free(c);
    return 0;
}
