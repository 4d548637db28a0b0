/* SPDX-License-Identifier: Apache-2.0
 * The simulator's dice: splitmix64, a stream for each purpose, so that one part drawing more often
 * does not change what another part sees. Flat; owned by who holds it. */
#ifndef SLUICE_TESTS_SIM_RNG_H
#define SLUICE_TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct sim_rng {
    uint64_t state;
};

static inline uint64_t sim_next(struct sim_rng *rng) {
    uint64_t z = (rng->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* A stream of its own for `purpose`. */
static inline struct sim_rng sim_rng_of(uint64_t seed, uint64_t purpose) {
    struct sim_rng rng = {seed * UINT64_C(0xD1342543DE82EF95) + purpose};
    rng.state = sim_next(&rng) ^ purpose;
    return rng;
}

/* From `low` to `high`, both included. */
static inline int64_t sim_range(struct sim_rng *rng, int64_t low, int64_t high) {
    uint64_t width = (uint64_t)(high - low) + 1;
    return low + (int64_t)(width ? sim_next(rng) % width : sim_next(rng));
}

/* True in so many of a million cases. */
static inline bool sim_chance(struct sim_rng *rng, uint32_t ppm) {
    return sim_next(rng) % 1000000 < ppm;
}

/* Short spans often, long ones seldom: between low and high, evenly by magnitude. */
static inline int64_t sim_span(struct sim_rng *rng, int64_t low, int64_t high) {
    int64_t value = low > 0 ? low : 1;
    while (value < high && sim_chance(rng, 700000)) {
        value *= 2;
    }
    value = sim_range(rng, value / 2 > low ? value / 2 : low, value);
    return value < high ? value : high;
}

#endif
