/* SPDX-License-Identifier: Apache-2.0
 * How many decisions a second one core makes, for each switching policy: a made-up market of eight
 * algorithms, leases and idle (scenario E), many devices in turns so that their states fall out of
 * the cache as they do in a fleet, the reason filled in, and the input of each decision digested
 * (BLAKE2b of libsodium, as the broker does). Medians of several runs; `bare` is without digest.
 *
 *     decide [DEVICES] */
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"
#include "schedulers/backtest.h"
#include "schedulers/class.h"
#include "tests/unit/schedulers/constants.h"
#include "tests/unit/schedulers/digest.h"

#define STEPS 2016
#define RUNS 7
#define MODES SL_SWITCHING_MODES

/* Decisions a second; *ret_moves keeps the compiler from leaving out the work. */
static double run(const struct sl_market *market, const struct sl_switching_policy *policy,
                  uint32_t devices, bool digested, uint64_t *ret_moves) {
    struct sl_switching_device *states = calloc(devices, sizeof *states);
    uint8_t *present = malloc(devices);
    void *memory = calloc(1, sl_switching_class_bytes(&shipped_constants));
    int64_t cost = sl_market_switch_nusd(market, 30000);
    if (!states || !present || !memory) {
        exit(1);
    }
    memset(present, SL_SWITCHING_NONE, devices);
    struct sl_switching_class *class =
        sl_switching_class_init(memory, &market->modes, &shipped_constants);
    const struct sl_switching_view *view = sl_switching_class_view(class);
    struct sl_mono begin = sl_clock_mono();
    for (uint32_t t = 0; t < market->steps; t++) {
        struct sl_switching_step step;
        sl_backtest_step(market, t, cost, SL_SWITCHING_NONE, 0, &step);
        sl_switching_class_observe(class, &step);
        for (uint32_t d = 0; d < devices; d++) {
            struct sl_switching_reason reason;
            step.present = present[d];
            step.in_mode_ms = (int64_t)t * market->step_ms;
            present[d] = policy->decide(&shipped_constants, view, &states[d], &step, &reason);
            *ret_moves += present[d] != step.present;
            if (digested) {
                uint8_t digest[16];
                crypto_generichash_state hash;
                crypto_generichash_init(&hash, NULL, 0, sizeof digest);
                crypto_generichash_update(&hash, (const uint8_t *)&step, sizeof step);
                crypto_generichash_update(&hash, (const uint8_t *)view, sizeof *view);
                crypto_generichash_update(&hash, (const uint8_t *)&states[d], sizeof states[d]);
                crypto_generichash_final(&hash, digest, sizeof digest);
                *ret_moves += digest[0] == 0;
            }
        }
    }
    double seconds = (double)sl_mono_since_ns(sl_clock_mono(), begin) * 1e-9;
    free(states);
    free(memory);
    free(present);
    return (double)market->steps * devices / seconds;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(const struct sl_market *market, const struct sl_switching_policy *policy,
                        uint32_t devices, bool digested, uint64_t *ret_moves) {
    double rates[RUNS];
    for (int i = 0; i < RUNS; i++) {
        rates[i] = run(market, policy, devices, digested, ret_moves);
    }
    qsort(rates, RUNS, sizeof rates[0], compare);
    return rates[RUNS / 2];
}

int main(int argc, char **argv) {
    long devices = argc > 1 ? strtol(argv[1], NULL, 10) : 200;
    if (devices < 1 || devices > 100000 || sodium_init() < 0) {
        fprintf(stderr, "usage: decide [DEVICES]\n");
        return 2;
    }
    struct sl_market market = {0};
    void *memory = malloc(sl_market_bytes(STEPS));
    if (!memory) {
        return 1;
    }
    sl_market_place(&market, memory, STEPS);
    sl_scenario_make(&digest_scenario, 1, 0, &market);
    uint64_t moves = 0;
    printf("decisions a second, one core, %ld devices, ten modes\n%-14s %12s %22s\n", devices,
           "policy", "bare", "with reason and digest");
    for (size_t p = 0; sl_switching_at(p); p++) {
        const struct sl_switching_policy *policy = sl_switching_at(p);
        double bare = median_of(&market, policy, (uint32_t)devices, false, &moves);
        double whole = median_of(&market, policy, (uint32_t)devices, true, &moves);
        printf("%-14s %12.0f %22.0f\n", policy->name, bare, whole);
    }
    free(memory);
    return moves == 0;
}
