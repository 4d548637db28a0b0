/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/rate_card.h"

#include <string.h>

/* At most SL_RATE_STARS_MAX stars a side and 63 letters: the recursion is shallow, and even two
 * unlucky patterns meet within 63 to the power of four steps. */
bool sl_rate_card_matches(const char *pattern, const char *name) {
    for (; *pattern != '*'; pattern++, name++) {
        if (*pattern != *name) {
            return false;
        }
        if (*pattern == '\0') {
            return true;
        }
    }
    for (;; name++) {
        if (sl_rate_card_matches(pattern + 1, name)) {
            return true;
        }
        if (*name == '\0') {
            return false;
        }
    }
}

/* Whether some name is one that both patterns stand for. */
static bool meet(const char *a, const char *b) {
    if (*a == '*') {
        return meet(a + 1, b) || (*b != '\0' && meet(a, b + 1));
    }
    if (*b == '*') {
        return meet(a, b + 1) || (*a != '\0' && meet(a + 1, b));
    }
    return *a == *b && (*a == '\0' || meet(a + 1, b + 1));
}

static bool is_any(const char *text) {
    return strcmp(text, "*") == 0;
}

static uint32_t letters(const char *pattern) {
    uint32_t count = 0;
    for (; *pattern; pattern++) {
        count += *pattern != '*';
    }
    return count;
}

/* Higher is more specific. A class without a star is one name: above every pattern. */
static uint32_t rank(const struct sl_rate *rate) {
    uint32_t class_ = letters(rate->class_) + (strchr(rate->class_, '*') ? 0 : 64);
    return (is_any(rate->tenant) ? 0u : 1024u) + (is_any(rate->model) ? 0u : 512u) + class_;
}

static bool names_meet(const char *a, const char *b) {
    return is_any(a) || is_any(b) || strcmp(a, b) == 0;
}

int sl_rate_card_check(const struct sl_rate *rates, uint32_t count, struct sl_error *err) {
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_rate *a = &rates[i];
        if (strlen(a->class_) - letters(a->class_) > SL_RATE_STARS_MAX) {
            return sl_fail(err, SL_INVALID, "rates: the class '%s' has more than %d stars",
                           a->class_, SL_RATE_STARS_MAX);
        }
        for (uint32_t k = 0; k < i; k++) {
            const struct sl_rate *b = &rates[k];
            if (rank(a) == rank(b) && names_meet(a->tenant, b->tenant) &&
                names_meet(a->model, b->model) && meet(a->class_, b->class_)) {
                return sl_fail(err, SL_INVALID,
                               "rates: rows %u (model %s, class %s, tenant %s) and %u (model %s, "
                               "class %s, tenant %s) can both count and neither is more specific: "
                               "drop one, or let one name more",
                               k + 1, b->model, b->class_, b->tenant, i + 1, a->model, a->class_,
                               a->tenant);
            }
        }
    }
    return SL_OK;
}

const struct sl_rate *sl_rate_card_find(const struct sl_rate *rates, uint32_t count,
                                        const char *model, const char *class_, const char *tenant) {
    const struct sl_rate *found = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_rate *rate = &rates[i];
        bool counts = (is_any(rate->tenant) || strcmp(rate->tenant, tenant) == 0) &&
                      (is_any(rate->model) || strcmp(rate->model, model) == 0) &&
                      sl_rate_card_matches(rate->class_, class_);
        if (counts && (!found || rank(rate) > rank(found))) {
            found = rate;
        }
    }
    return found;
}
