/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/internal.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
int main(int argc, char **argv) {
    struct sim_options o = {.seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1,
                            .faults = SIM_ALL_FAULTS};
    struct sim_result r;
    if (argc > 2 && strchr(argv[2], 't'))
        o.story = stdout;
    if (argc > 2 && strchr(argv[2], 'd'))
        o.story_debug = true;
    if (argc > 2 && strchr(argv[2], 'n'))
        o.faults = 0;
    if (argc > 2 && strchr(argv[2], 'h')) {
        o.span_ms = 3600000;
        o.agents = 8;
        o.devices = 2;
        o.lines = 1000;
    }
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    sim_run(&o, &r);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("seed %llu %s %s: %s at %lld ms digest %016llx msgs %llu shares %llu lines %llu commits "
           "%llu syncs %llu steps %llu strikes %u span %lld agents %u*%u  %.3f s\n",
           (unsigned long long)o.seed, r.ok ? "ok" : "BROKEN", r.rule, r.broken,
           (long long)r.broken_ms, (unsigned long long)r.digest, (unsigned long long)r.messages,
           (unsigned long long)r.shares, (unsigned long long)r.lines, (unsigned long long)r.commits,
           (unsigned long long)r.syncs, (unsigned long long)r.steps, r.strikes,
           (long long)r.span_ms, r.agents, r.devices,
           (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
    return r.ok ? 0 : 1;
}
