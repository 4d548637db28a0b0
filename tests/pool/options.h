/* SPDX-License-Identifier: Apache-2.0
 * Command line of the test pool. Pure. */
#ifndef SLUICE_TESTS_POOL_OPTIONS_H
#define SLUICE_TESTS_POOL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"

/* Difficulties are whole numbers of 1e-12, taken from the decimal text: exact, and not the way the
 * miner under test does it. */
#define SL_TP_DIFFICULTY_DIGITS 12
#define SL_TP_DIFFICULTY_ONE INT64_C(1000000000000)

/* What the pool does wrong on purpose: one bit each, one row each in the table of options.c. */
enum sl_tp_behaviour {
    SL_TP_REFUSE_AUTH = 1 << 0,
    SL_TP_GARBAGE = 1 << 1,
    SL_TP_SILENT = 1 << 2,
    SL_TP_NO_VERSION_ROLLING = 1 << 3,
};

#define SL_TP_WORKERS_MAX 16

struct sl_tp_worker_difficulty {
    char worker[129];
    int64_t difficulty; /* 1e-12 */
};

struct sl_tp_options {
    uint16_t port;
    const char *port_file; /* borrowed from argv, like log_file; NULL: none */
    const char *log_file;
    int64_t difficulty; /* 1e-12 */
    struct sl_tp_worker_difficulty workers[SL_TP_WORKERS_MAX];
    int worker_count;
    int64_t clean_every_ms, notify_every_ms;
    int extranonce2_size;
    int branches; /* merkle branches of every job; -1: 0 to 12, by the seed */
    uint64_t seed;
    bool allow_suggest;
    unsigned behaviours;
    bool help;
};

int sl_tp_options_parse(int argc, char **argv, struct sl_tp_options *ret_options,
                        struct sl_error *err);
/* The text of --help, on the heap. */
char *sl_tp_options_help(void);

#endif
