/* SPDX-License-Identifier: Apache-2.0
 * Deterministic simulation of a whole site in one thread: the real broker core on its real store,
 * real agent cores with their journals and Stratum clients, the real codec over the in-memory link;
 * clocks, network, disks, random numbers, pools, feeds, devices and people are made up from a seed.
 *
 * A run has two parts. In the first, of `span_ms`, faults strike; then everything is healed and the
 * site has to settle. Checkers (check_*.c) watch both. The same options and the same build give the
 * same run, byte for byte: `digest` covers everything that any process was told or said.
 *
 * Method: protocols of FoundationDB's and TigerBeetle's simulators (seeded faults, faults chosen
 * anew for each seed, a liveness part after the faults), with our own code. */
#ifndef SLUICE_TESTS_SIM_SIM_H
#define SLUICE_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/error.h"
#include "tests/sim/faults.h"

#define SIM_AGENTS_MAX 8
#define SIM_DEVICES_MAX 4

struct sim_options {
    uint64_t seed;
    int64_t span_ms;      /* of the part with faults; 0: drawn from the seed */
    uint32_t agents;      /* 1 to SIM_AGENTS_MAX; 0: drawn */
    uint32_t devices;     /* of an agent; 0: drawn */
    uint32_t lines;       /* of all batches together; 0: drawn */
    uint64_t faults;      /* bits of enum sim_fault that may strike */
    bool all_faults;      /* every one of them; else about half, drawn from the seed */
    uint32_t strikes_max; /* no more strikes than so many; 0: no limit */
    FILE *story;          /* NULL: none */
    bool story_debug;     /* with the processes' own debug lines */
};

#define SIM_BROKEN_MAX 400

struct sim_result {
    bool ok;
    char rule[32];               /* the checker that saw it, "no-secrets" */
    char broken[SIM_BROKEN_MAX]; /* what it saw */
    int64_t broken_ms;           /* when */
    uint64_t digest;
    uint64_t counts[SIM_COUNTS]; /* how often each fault and rare path fired */
    uint64_t messages, shares, lines, commits, syncs, steps;
    uint32_t strikes;
    /* As drawn, for shrinking. */
    int64_t span_ms;
    uint32_t agents, devices, line_total;
    uint64_t faults;
};

/* Never fails by itself: what is wrong is in the result. */
void sim_run(const struct sim_options *options, struct sim_result *ret_result);

#endif
