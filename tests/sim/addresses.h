/* SPDX-License-Identifier: Apache-2.0
 * The small world of a pool with several addresses; see addresses.c for its rules. Pure. */
#ifndef SLUICE_TESTS_SIM_ADDRESSES_H
#define SLUICE_TESTS_SIM_ADDRESSES_H

#include <stdint.h>

struct sim_addresses {
    char rule[32]; /* that was broken; empty: none */
    char text[300];
    uint64_t changes, returns, impostors, sent_away, shares, silences, refused;
    int last_link;
};

void sim_addresses_run(uint64_t seed, struct sim_addresses *ret_result);

#endif
