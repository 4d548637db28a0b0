/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/merit.h"

#include "proto/base/money.h"
#include "proto/base/mutant.h"

/* margin x (1 +- bonus) in ppm: below 2^85 for every int64. A negative margin is made smaller. */
static sl_i128 worth(const struct sl_merit *m) {
    int64_t ppm = m->margin_nusd_h < 0 ? 1000000 - m->bonus_ppm : 1000000 + m->bonus_ppm;
    return (sl_i128)m->margin_nusd_h * ppm;
}

/* Sign of a's margin per watt minus b's. */
static int compare(const struct sl_merit *a, const struct sl_merit *b) {
    bool a_frees = a->mw > 0;
    bool b_frees = b->mw > 0;
    if (!a_frees || !b_frees) {
        return b_frees - a_frees; /* what frees nothing is not worth taking off */
    }
    sl_i128 left = worth(a) * b->mw;
    sl_i128 right = worth(b) * a->mw;
    return (left > right) - (left < right);
}

bool sl_merit_before(const struct sl_merit *a, const struct sl_merit *b) {
    if (a->last != b->last) {
        return b->last;
    }
    int sign = compare(a, b);
    if (sign != 0) {
        return SL_MUTANT(shed_most_margin_first) ? sign > 0 : sign < 0;
    }
    if (a->bonus_ppm != b->bonus_ppm) {
        return a->bonus_ppm < b->bonus_ppm;
    }
    return a->key > b->key; /* the youngest goes first */
}

static void sift(const struct sl_merit *merits, uint32_t *order, uint32_t root, uint32_t end) {
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= end) {
            return;
        }
        if (child + 1 < end && sl_merit_before(&merits[order[child]], &merits[order[child + 1]])) {
            child++;
        }
        if (!sl_merit_before(&merits[order[root]], &merits[order[child]])) {
            return;
        }
        uint32_t moved = order[root];
        order[root] = order[child];
        order[child] = moved;
        root = child;
    }
}

/* Heapsort: qsort of the C library may use the heap. */
void sl_merit_sort(const struct sl_merit *merits, uint32_t count, uint32_t *order) {
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (uint32_t i = count / 2; i > 0; i--) {
        sift(merits, order, i - 1, count);
    }
    for (uint32_t end = count; end > 1; end--) {
        uint32_t moved = order[0];
        order[0] = order[end - 1];
        order[end - 1] = moved;
        sift(merits, order, 0, end - 1);
    }
}
