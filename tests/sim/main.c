/* SPDX-License-Identifier: Apache-2.0
 * The simulator's program: many seeds, one as a story, pinned ones, mutants. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/hunt.h"
#include "tests/sim/options.h"
#include "tests/sim/runner.h"

#define SHRINK_TRIES 300
#define ENOUGH_SEEDS 200 /* so many must make every fault and path happen */
#define FAILURES_MAX 10

/* ---- many seeds ---- */

struct tally {
    uint64_t runs, failed;
    struct sim_result sum;
    struct {
        struct sim_options options;
        struct sim_result result;
    } failures[FAILURES_MAX];
};

static bool add(void *arg, uint64_t tag, const struct sim_options *options,
                const struct sim_result *result) {
    struct tally *tally = arg;
    (void)tag;
    tally->runs++;
    tally->sum.messages += result->messages;
    tally->sum.shares += result->shares;
    tally->sum.lines += result->lines;
    tally->sum.commits += result->commits;
    tally->sum.syncs += result->syncs;
    tally->sum.steps += result->steps;
    for (int i = 0; i < SIM_COUNTS; i++) {
        tally->sum.counts[i] += result->counts[i];
    }
    if (!result->ok) {
        printf("seed %llu broke \"%s\" at %.3f s: %s\n", (unsigned long long)options->seed,
               result->rule, (double)result->broken_ms / 1e3, result->broken);
        fflush(stdout);
        if (tally->failed < FAILURES_MAX) {
            tally->failures[tally->failed].options = *options;
            tally->failures[tally->failed].result = *result;
        }
        tally->failed++;
    }
    return tally->failed < FAILURES_MAX;
}

static bool print_counts(const struct tally *tally) {
    uint32_t never = 0;
    printf("how often each happened:\n");
    for (int i = 0; i < SIM_COUNTS; i++) {
        uint64_t count = tally->sum.counts[i];
        printf("  %-5s %-20s %12llu%s\n", i < SIM_FAULTS ? "fault" : "path",
               sim_fault_name((enum sim_fault)i), (unsigned long long)count,
               count ? "" : "  NEVER");
        never += count == 0;
    }
    if (never > 0 && tally->runs >= ENOUGH_SEEDS) {
        printf("%u of them never happened: these seeds prove less than they should\n", never);
        return false;
    }
    return true;
}

static void print_shrunk(const struct tally *tally) {
    for (uint64_t i = 0; i < tally->failed && i < 3; i++) {
        char words[2048];
        struct sim_options small =
            sim_shrink(&tally->failures[i].options, &tally->failures[i].result, NULL, SHRINK_TRIES);
        sim_cli_words(&small, words, sizeof words);
        printf("smallest run found that breaks \"%s\" as seed %llu does; a line for "
               "tests/sim/pinned.txt:\n%s\n",
               tally->failures[i].result.rule, (unsigned long long)small.seed, words);
    }
}

static int run_seeds(const struct sim_cli *cli) {
    struct tally *tally = calloc(1, sizeof *tally);
    struct sl_mono start = sl_clock_mono();
    sl_assert(tally);
    struct sim_runner *runner = sim_runner_create(cli->jobs, add, tally);
    struct sim_options options = cli->run;
    bool on = true;
    for (uint64_t i = 0; i < cli->count && on; i++) {
        options.seed = cli->first + i;
        on = sim_runner_start(runner, i, &options, NULL);
    }
    sim_runner_finish(runner);
    bool walked = print_counts(tally);
    printf("%llu seeds, %llu failed: %llu messages, %llu shares, %llu lines, %llu commits, %llu "
           "syncs in %.1f s\n",
           (unsigned long long)tally->runs, (unsigned long long)tally->failed,
           (unsigned long long)tally->sum.messages, (unsigned long long)tally->sum.shares,
           (unsigned long long)tally->sum.lines, (unsigned long long)tally->sum.commits,
           (unsigned long long)tally->sum.syncs, sim_seconds_since(start));
    fflush(stdout);
    if (cli->shrink) {
        print_shrunk(tally);
    }
    bool good = tally->failed == 0 && walked;
    free(tally);
    return good ? 0 : 1;
}

/* ---- one seed ---- */

static int run_one(const struct sim_cli *cli) {
    struct sim_result result;
    struct sl_mono start = sl_clock_mono();
    sim_run(&cli->run, &result);
    printf("seed %llu: %s%s%s; %.0f s with faults, %u agents of %u devices, %u strikes, %llu "
           "messages, %llu shares, %llu lines, %llu commits, %llu steps; digest %016llx; %.3f s\n",
           (unsigned long long)cli->run.seed, result.ok ? "good" : "broke \"",
           result.ok ? "" : result.rule, result.ok ? "" : "\"", (double)result.span_ms / 1e3,
           result.agents, result.devices, result.strikes, (unsigned long long)result.messages,
           (unsigned long long)result.shares, (unsigned long long)result.lines,
           (unsigned long long)result.commits, (unsigned long long)result.steps,
           (unsigned long long)result.digest, sim_seconds_since(start));
    if (!result.ok) {
        printf("at %.3f s: %s\n", (double)result.broken_ms / 1e3, result.broken);
    }
    return result.ok ? 0 : 1;
}

/* ---- pinned runs ---- */

static int run_pinned(const struct sim_cli *cli) {
    struct tally *tally = calloc(1, sizeof *tally);
    FILE *file = fopen(cli->pinned, "r");
    char line[4096];
    uint64_t number = 0;
    sl_assert(tally);
    if (!file) {
        fprintf(stderr, "sluice-sim: cannot read %s\n", cli->pinned);
        free(tally);
        return 2;
    }
    struct sim_runner *runner = sim_runner_create(cli->jobs, add, tally);
    int bad = 0;
    while (!bad && fgets(line, sizeof line, file)) {
        struct sim_options options;
        struct sl_error err;
        int rc = sim_cli_parse_line(line, &options, &err);
        number++;
        if (rc == SL_OK) {
            sim_runner_start(runner, number, &options, NULL);
        } else if (rc != -SL_NOTFOUND) {
            fprintf(stderr, "sluice-sim: %s line %llu: %s\n", cli->pinned,
                    (unsigned long long)number, err.text);
            bad = 2;
        }
    }
    fclose(file);
    sim_runner_finish(runner);
    printf("%llu pinned runs, %llu failed\n", (unsigned long long)tally->runs,
           (unsigned long long)tally->failed);
    int code = bad ? bad : tally->failed > 0 || tally->runs == 0 ? 1 : 0;
    free(tally);
    return code;
}

int main(int argc, char **argv) {
    struct sim_cli cli;
    struct sl_error err;
    if (sim_cli_parse(argc, argv, &cli, &err) != SL_OK) {
        fprintf(stderr, "sluice-sim: %s\n", err.text);
        return 2;
    }
    switch (cli.mode) {
    case SIM_MODE_SEEDS:
        return run_seeds(&cli);
    case SIM_MODE_ONE:
        return run_one(&cli);
    case SIM_MODE_PINNED:
        return run_pinned(&cli);
    case SIM_MODE_MUTANTS:
        return sim_hunt_mutants(&cli);
    case SIM_MODE_LIST:
        sim_cli_list(stdout);
        return 0;
    case SIM_MODE_HELP:
    default:
        sim_cli_help(stdout);
        return 0;
    }
}
