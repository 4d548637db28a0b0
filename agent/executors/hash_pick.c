/* SPDX-License-Identifier: Apache-2.0
 * Which of some shapes is quickest by its timings.
 *
 * Other work on the machine lengthens some of them, a clock that moves lengthens or shortens all
 * for a while. So shapes are compared round by round, where both had about the same machine, and
 * neither the best nor the mean of a shape alone decides: with a margin wide enough for those (2 %
 * was tried) the choice between shapes 2 % apart fell by chance, from start to start. */
#include "agent/executors/hash_internal.h"

/* The shapes that should be quicker by their operations come first: a later one must be quicker by
 * the median of the rounds, and in three of four. On a device that is slow there may be time for so
 * few rounds that these are chance: then only what is clearly quicker is taken. */
#define WORTH 1.004
#define ROUNDS_FEW 4
#define WORTH_FEW 1.02

/* Whether `other` is: by the median of the rounds that both have, and in three of four of them. */
static bool is_quicker(const struct sl_hash_trials *base, const struct sl_hash_trials *other) {
    double ratios[SL_HASH_TRIALS];
    uint32_t rounds = base->count < other->count ? base->count : other->count;
    uint32_t won = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        double ratio = base->ns[i] / other->ns[i];
        uint32_t at = i;
        won += ratio > 1.0;
        while (at > 0 && ratios[at - 1] > ratio) {
            ratios[at] = ratios[at - 1];
            at--;
        }
        ratios[at] = ratio;
    }
    return rounds > 0 && won * 4 >= rounds * 3 &&
           ratios[(rounds - 1) / 2] > (rounds < ROUNDS_FEW ? WORTH_FEW : WORTH);
}

uint32_t sl_hash_pick(const struct sl_hash_trials *shapes, uint32_t count) {
    uint32_t best = 0;
    while (best < count && shapes[best].count == 0) {
        best++;
    }
    for (uint32_t i = best + 1; i < count; i++) {
        best = is_quicker(&shapes[best], &shapes[i]) ? i : best;
    }
    return best;
}
