/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/hunt.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/clock.h"
#include "proto/base/mutant.h"
#include "tests/sim/runner.h"

#ifdef SLUICE_MUTANTS

struct hunt {
    uint64_t runs;
    struct sim_result seen;
    uint64_t seed; /* 0: not seen */
};

static bool note_seen(void *arg, uint64_t tag, const struct sim_options *options,
                      const struct sim_result *result) {
    struct hunt *hunt = arg;
    (void)tag;
    hunt->runs++;
    if (!result->ok && (hunt->seed == 0 || options->seed < hunt->seed)) {
        hunt->seed = options->seed;
        hunt->seen = *result;
    }
    return hunt->seed == 0;
}

static bool hunt_mutant(const struct sim_cli *cli, const char *name) {
    struct hunt hunt = {0};
    struct sl_mono start = sl_clock_mono();
    struct sim_runner *runner = sim_runner_create(cli->jobs, note_seen, &hunt);
    struct sim_options options = cli->run;
    bool on = true;
    for (uint64_t i = 0; i < cli->count && on; i++) {
        options.seed = cli->first + i;
        on = sim_runner_start(runner, i, &options, name);
    }
    sim_runner_finish(runner);
    if (hunt.seed) {
        printf("mutant %-28s seen by seed %4llu (%5.1f s) %s: %.140s\n", name,
               (unsigned long long)hunt.seed, sim_seconds_since(start), hunt.seen.rule,
               hunt.seen.broken);
    } else {
        printf("mutant %-28s NOT SEEN in %llu seeds (%.1f s)\n", name,
               (unsigned long long)hunt.runs, sim_seconds_since(start));
    }
    fflush(stdout);
    return hunt.seed != 0;
}

int sim_hunt_mutants(const struct sim_cli *cli) {
    uint32_t hunted = 0, seen = 0;
    struct sl_mono start = sl_clock_mono();
    struct sl_error err;
    if (cli->mutant && sl_mutant_choose(cli->mutant, &err) != SL_OK) {
        fprintf(stderr, "sluice-sim: %s; proto/base/mutant.h names all of them\n", err.text);
        return 2;
    }
    sl_mutant_choose(NULL, &err);
    for (int i = SL_MUTANT_none + 1; i < SL_MUTANT_COUNT; i++) {
        const char *name = sl_mutant_name((enum sl_mutant)i);
        if (!cli->mutant || strcmp(cli->mutant, name) == 0) {
            hunted++;
            seen += hunt_mutant(cli, name);
        }
    }
    printf("%u mutants, %u seen, %u not seen, in %.0f s\n", hunted, seen, hunted - seen,
           sim_seconds_since(start));
    return hunted > 0 && seen == hunted ? 0 : 1;
}

#else

int sim_hunt_mutants(const struct sim_cli *cli) {
    (void)cli;
    fprintf(stderr,
            "sluice-sim: this build has no mutants; configure with -DSLUICE_MUTANTS=ON (preset "
            "mutants), or use tests/run.sh --mutants\n");
    return 2;
}

#endif
