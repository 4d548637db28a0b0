/* SPDX-License-Identifier: Apache-2.0
 * The one order in which power is taken away and given back: margin per watt, compared exactly.
 * Ties: what runs is worth more than what does not, then the lower key. Thread: any; pure, no
 * heap. */
#ifndef SLUICE_SCHEDULERS_MERIT_H
#define SLUICE_SCHEDULERS_MERIT_H

#include <stdbool.h>
#include <stdint.h>

struct sl_merit {
    int64_t margin_nusd_h; /* of working over standing idle; may be negative */
    int64_t mw;            /* of working over standing idle, below 2^40; <= 0: frees nothing */
    int64_t bonus_ppm;     /* 0..1000000; raises the margin: what runs is not moved by a hair */
    uint32_t key;          /* unique */
    bool last;             /* after all others, whatever it earns */
};

/* Whether a is to be taken off before b. Total order for distinct keys. */
bool sl_merit_before(const struct sl_merit *a, const struct sl_merit *b);
/* order[count] := indices into merits, least worth first. */
void sl_merit_sort(const struct sl_merit *merits, uint32_t count, uint32_t *order);

#endif
