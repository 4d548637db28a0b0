/* SPDX-License-Identifier: Apache-2.0
 * Command line of the simulator. Pure but for --help. */
#ifndef SLUICE_TESTS_SIM_OPTIONS_H
#define SLUICE_TESTS_SIM_OPTIONS_H

#include "tests/sim/sim.h"

enum sim_mode {
    SIM_MODE_SEEDS = 1, /* many seeds, figures at the end */
    SIM_MODE_ONE,       /* one seed, perhaps as a story */
    SIM_MODE_PINNED,    /* the runs that a file names */
    SIM_MODE_MUTANTS,   /* each mutant until a seed sees it */
    SIM_MODE_LIST,      /* faults and paths by name */
    SIM_MODE_HELP,
};

struct sim_cli {
    enum sim_mode mode;
    struct sim_options run; /* what all runs have in common */
    uint64_t first, count;  /* seeds */
    uint32_t jobs;
    bool shrink;        /* a run that fails */
    const char *pinned; /* file; borrowed from argv */
    const char *mutant; /* only this one; NULL: all. Borrowed */
};

int sim_cli_parse(int argc, char **argv, struct sim_cli *ret_cli, struct sl_error *err);
/* One line of a file of pinned runs: the same words as on a command line, '#' begins a remark.
 * -SL_NOTFOUND: an empty line. The line is changed. */
int sim_cli_parse_line(char *line, struct sim_options *ret_run, struct sl_error *err);
/* The words that repeat the run, as they stand in such a file. */
void sim_cli_words(const struct sim_options *run, char *out, size_t size);
void sim_cli_help(FILE *out);
/* The names of all faults, for an error text and --list. */
void sim_cli_list(FILE *out);

#endif
