/* SPDX-License-Identifier: Apache-2.0
 * Random numbers for made-up markets, the same on every machine: xoshiro256++ 1.0 (Blackman and
 * Vigna, 2019; public domain), its state filled by splitmix64. Thread: one per generator; pure. */
#ifndef SLUICE_SCHEDULERS_RANDOM_H
#define SLUICE_SCHEDULERS_RANDOM_H

#include <stdint.h>

struct sl_random {
    uint64_t state[4];
    double spare; /* the second of a pair of normal numbers */
    int has_spare;
};

/* Streams of one seed are independent of each other, so that a change of one input (noise, say)
 * leaves the others as they were. */
void sl_random_init(struct sl_random *random, uint64_t seed, uint64_t stream);
uint64_t sl_random_next(struct sl_random *random);
double sl_random_uniform(struct sl_random *random); /* in (0, 1), 53 bits */
double sl_random_normal(struct sl_random *random);  /* Marsaglia's polar method */

#endif
