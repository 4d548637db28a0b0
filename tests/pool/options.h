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
    SL_TP_MISORDER = 1 << 4,
    SL_TP_ERROR_SHAPES = 1 << 5,
    SL_TP_MOVE_EXTRANONCE = 1 << 6,
    SL_TP_MOVE_MASK = 1 << 7,
    SL_TP_SEND_AWAY = 1 << 8,
    SL_TP_SHOW_MESSAGES = 1 << 9,
    SL_TP_HALF_LINES = 1 << 10,
    SL_TP_ONE_BYTE = 1 << 11,
    SL_TP_ACK_TWICE = 1 << 12,
    SL_TP_ACK_LATE = 1 << 13,
    SL_TP_STALE_STORM = 1 << 14,
    SL_TP_REFUSE_SHARES = 1 << 20,
    /* These strike a session when the pool has accepted `after` of its shares. */
    SL_TP_STALL = 1 << 15,
    SL_TP_DROP = 1 << 16,
    SL_TP_NOISE = 1 << 17,
    SL_TP_OVERSIZE = 1 << 18,
    SL_TP_SEND_HOME = 1 << 19,
};

enum sl_tp_tls_kind {
    SL_TP_TLS_NONE = 0,
    SL_TP_TLS_VALID,
    SL_TP_TLS_EXPIRED,
    SL_TP_TLS_FUTURE,
    SL_TP_TLS_OTHER_NAME,
    SL_TP_TLS_OTHER_USE,      /* for clients */
    SL_TP_TLS_EXPIRED_MIDDLE, /* the certificate is good, one between it and the authority not */
    SL_TP_TLS_WEAK_KEY,       /* RSA of 1024 bits */
    SL_TP_TLS_WEAK_SIGNATURE, /* over SHA-1 */
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
    uint64_t after;           /* accepted shares of a session */
    const char *reconnect_to; /* "HOST:PORT" of SEND_AWAY */
    enum sl_tp_tls_kind tls;
    const char *ca_file; /* where the authority is written; NULL: nowhere */
    unsigned behaviours;
    bool help;
};

int sl_tp_options_parse(int argc, char **argv, struct sl_tp_options *ret_options,
                        struct sl_error *err);
/* The text of --help, on the heap. */
char *sl_tp_options_help(void);

#endif
