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
#include "tests/unit/schedulers/constants.h"
#include "tests/unit/schedulers/digest.h"

#define STEPS 2016
#define RUNS 7
#define MODES SL_SWITCHING_MODES

static struct sl_switching_step step_of(const struct sl_market *market, uint32_t t, int64_t cost) {
    struct sl_switching_step step = {.span_ms = market->step_ms, .switch_nusd = cost};
    memcpy(step.gross_nusd_h, market->gross_nusd_h + (size_t)t * MODES, sizeof step.gross_nusd_h);
    memcpy(step.known_nusd_h, market->known_nusd_h + (size_t)t * MODES, sizeof step.known_nusd_h);
    step.lease_on = market->lease_on[t];
    step.lease_left_ms = market->lease_left_ms[t];
    step.waiting_nusd_h = market->waiting_nusd_h[t];
    return step;
}

/* Decisions a second; *ret_moves keeps the compiler from leaving out the work. */
static double run(const struct sl_market *market, const struct sl_switching_policy *policy,
                  uint32_t devices, bool digested, uint64_t *ret_moves) {
    size_t bytes = policy->state_bytes(&shipped_constants);
    char *states = calloc(devices, bytes);
    uint8_t *present = malloc(devices);
    int64_t cost = sl_market_switch_nusd(market, 30000);
    if (!states || !present) {
        exit(1);
    }
    memset(present, SL_SWITCHING_NONE, devices);
    for (uint32_t d = 0; d < devices; d++) {
        policy->init(states + d * bytes, &market->modes, &shipped_constants);
    }
    struct sl_mono begin = sl_clock_mono();
    for (uint32_t t = 0; t < market->steps; t++) {
        struct sl_switching_step step = step_of(market, t, cost);
        for (uint32_t d = 0; d < devices; d++) {
            struct sl_switching_reason reason;
            step.present = present[d];
            present[d] = policy->decide(states + d * bytes, &step, &reason);
            *ret_moves += present[d] != step.present;
            if (digested) {
                uint8_t digest[16];
                crypto_generichash(digest, sizeof digest, (const uint8_t *)&step, sizeof step, NULL,
                                   0);
                *ret_moves += digest[0] == 0;
            }
        }
    }
    double seconds = (double)sl_mono_since_ns(sl_clock_mono(), begin) * 1e-9;
    free(states);
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
