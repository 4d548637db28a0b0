/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pool/options.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"
#include "proto/base/money.h"
#include "proto/base/text.h"

static const struct {
    const char *name;
    enum sl_tp_behaviour bit;
    const char *help;
} behaviours[] = {
    {"--refuse-auth", SL_TP_REFUSE_AUTH, "answer every mining.authorize with false and code 24"},
    {"--garbage", SL_TP_GARBAGE, "send lines that are not Stratum instead of jobs"},
    {"--silent", SL_TP_SILENT, "accept connections and never answer"},
    {"--no-version-rolling", SL_TP_NO_VERSION_ROLLING,
     "refuse version rolling in mining.configure"},
    {"--misorder", SL_TP_MISORDER,
     "send jobs before the answers to subscribe and authorize, and difficulties after jobs"},
    {"--error-shapes", SL_TP_ERROR_SHAPES,
     "write errors as list, map, text and bare false in turn"},
    {"--move-extranonce", SL_TP_MOVE_EXTRANONCE,
     "with each job a new extranonce1 for the same job id"},
    {"--move-mask", SL_TP_MOVE_MASK, "with each job another version mask, at once"},
    {"--send-away", SL_TP_SEND_AWAY, "with each job ask to reconnect to --reconnect-to"},
    {"--show-messages", SL_TP_SHOW_MESSAGES, "with each job a message full of terminal escapes"},
    {"--half-lines", SL_TP_HALF_LINES, "send the second half of what is said 30 ms later"},
    {"--one-byte", SL_TP_ONE_BYTE, "write each byte by itself"},
    {"--ack-twice", SL_TP_ACK_TWICE, "answer each share twice, and one that nobody sent"},
    {"--ack-late", SL_TP_ACK_LATE, "answer shares only with the next job"},
    {"--stale-storm", SL_TP_STALE_STORM, "call all shares of every other job stale"},
    {"--refuse-shares", SL_TP_REFUSE_SHARES,
     "refuse the first --after good shares of all with code 20"},
    {"--stall", SL_TP_STALL, "after --after shares of a session: say and hear nothing more"},
    {"--drop", SL_TP_DROP, "after so many: end the connection"},
    {"--noise", SL_TP_NOISE, "after so many: a line that is not Stratum"},
    {"--oversize", SL_TP_OVERSIZE, "after so many: a line of 300 KiB"},
    {"--send-home", SL_TP_SEND_HOME, "after so many: ask to reconnect to this pool"},
};

static const struct {
    const char *name;
    enum sl_tp_tls_kind kind;
} tls_kinds[] = {
    {"valid", SL_TP_TLS_VALID},         {"expired", SL_TP_TLS_EXPIRED},
    {"future", SL_TP_TLS_FUTURE},       {"other-name", SL_TP_TLS_OTHER_NAME},
    {"other-use", SL_TP_TLS_OTHER_USE}, {"expired-middle", SL_TP_TLS_EXPIRED_MIDDLE},
    {"weak-key", SL_TP_TLS_WEAK_KEY},   {"weak-signature", SL_TP_TLS_WEAK_SIGNATURE},
};

enum option_id {
    OPTION_PORT = 1,
    OPTION_PORT_FILE,
    OPTION_LOG,
    OPTION_DIFFICULTY,
    OPTION_WORKER_DIFFICULTY,
    OPTION_CLEAN_EVERY,
    OPTION_NOTIFY_EVERY,
    OPTION_EXTRANONCE2_SIZE,
    OPTION_BRANCHES,
    OPTION_SEED,
    OPTION_AFTER,
    OPTION_RECONNECT_TO,
    OPTION_TLS,
    OPTION_CA_FILE,
};

static const struct {
    const char *name;
    enum option_id id;
    const char *value;
    const char *help;
} options[] = {
    {"--port", OPTION_PORT, "N", "port on 127.0.0.1; 0 (default) takes a free one"},
    {"--port-file", OPTION_PORT_FILE, "FILE", "write the port there once it is open (by rename)"},
    {"--log", OPTION_LOG, "FILE", "append one JSON object for each submitted share"},
    {"--difficulty", OPTION_DIFFICULTY, "D", "share difficulty, fractions allowed (0.0001)"},
    {"--worker-difficulty", OPTION_WORKER_DIFFICULTY, "W=D", "difficulty of worker W; repeatable"},
    {"--clean-every", OPTION_CLEAN_EVERY, "SPAN", "a new block so often, at most 15s (12s)"},
    {"--notify-every", OPTION_NOTIFY_EVERY, "SPAN", "another job for the same block (4s)"},
    {"--extranonce2-size", OPTION_EXTRANONCE2_SIZE, "N", "bytes, 1 to 16 (4)"},
    {"--branches", OPTION_BRANCHES, "N", "merkle branches of each job, 0 to 12 (by the seed)"},
    {"--seed", OPTION_SEED, "N", "the fake chain's content (1)"},
    {"--after", OPTION_AFTER, "N", "accepted shares of a session before it is struck (20)"},
    {"--reconnect-to", OPTION_RECONNECT_TO, "H:P", "where --send-away sends miners"},
    {"--tls", OPTION_TLS, "KIND",
     "TLS with a certificate: valid, expired, future, other-name, other-use, expired-middle, "
     "weak-key, weak-signature"},
    {"--ca-file", OPTION_CA_FILE, "FILE", "write the certificate's authority there (PEM)"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

char *sl_tp_options_help(void) {
    struct sl_buf out = {0};
    sl_buf_printf(&out,
                  "usage: sluice-test-pool [options]\n"
                  "A Stratum V1 pool on 127.0.0.1 with a made-up chain. It checks every share "
                  "by\nrebuilding the block header. SIGTERM ends it.\n\n");
    for (size_t i = 0; i < COUNT(options); i++) {
        sl_buf_printf(&out, "  %-20s %-5s %s\n", options[i].name, options[i].value,
                      options[i].help);
    }
    sl_buf_printf(&out, "  %-20s %-5s %s\n", "--allow-suggest", "",
                  "let miners choose by mining.suggest_difficulty");
    sl_buf_printf(&out, "\nMisbehaviour:\n");
    for (size_t i = 0; i < COUNT(behaviours); i++) {
        sl_buf_printf(&out, "  %-20s %-5s %s\n", behaviours[i].name, "", behaviours[i].help);
    }
    return out.data;
}

static int parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *ret_value) {
    char *end;
    if (text[0] < '0' || text[0] > '9') {
        return -SL_INVALID;
    }
    uint64_t value = strtoull(text, &end, 10);
    if (*end || value < low || value > high) {
        return -SL_INVALID;
    }
    *ret_value = value;
    return SL_OK;
}

static int parse_difficulty(const char *text, int64_t *ret_difficulty) {
    int64_t value;
    if (sl_decimal_parse_lenient(text, SL_TP_DIFFICULTY_DIGITS, &value, NULL) < 0 ||
        value < SL_TP_DIFFICULTY_ONE / 1000000000 || value > SL_TP_DIFFICULTY_ONE * 1000000) {
        return -SL_INVALID;
    }
    *ret_difficulty = value;
    return SL_OK;
}

static int parse_worker(const char *text, struct sl_tp_options *opt) {
    const char *equals = strrchr(text, '=');
    if (!equals || equals == text || opt->worker_count == SL_TP_WORKERS_MAX) {
        return -SL_INVALID;
    }
    struct sl_tp_worker_difficulty *row = &opt->workers[opt->worker_count];
    size_t n = (size_t)(equals - text);
    if (n >= sizeof row->worker || parse_difficulty(equals + 1, &row->difficulty) < 0) {
        return -SL_INVALID;
    }
    memcpy(row->worker, text, n);
    row->worker[n] = '\0';
    opt->worker_count++;
    return SL_OK;
}

static int parse_span(const char *text, int64_t low_ms, int64_t high_ms, int64_t *ret_ms) {
    int64_t ms;
    if (sl_span_parse(text, &ms) < 0 || ms < low_ms || ms > high_ms) {
        return -SL_INVALID;
    }
    *ret_ms = ms;
    return SL_OK;
}

static int parse_tls(const char *text, enum sl_tp_tls_kind *ret_kind) {
    for (size_t i = 0; i < COUNT(tls_kinds); i++) {
        if (strcmp(text, tls_kinds[i].name) == 0) {
            *ret_kind = tls_kinds[i].kind;
            return SL_OK;
        }
    }
    return -SL_INVALID;
}

static int set_option(enum option_id id, const char *value, struct sl_tp_options *opt) {
    uint64_t number = 0;
    int rc = SL_OK;
    switch (id) {
    case OPTION_PORT:
        rc = parse_number(value, 0, 65535, &number);
        opt->port = (uint16_t)number;
        return rc;
    case OPTION_PORT_FILE:
        opt->port_file = value;
        return SL_OK;
    case OPTION_LOG:
        opt->log_file = value;
        return SL_OK;
    case OPTION_DIFFICULTY:
        return parse_difficulty(value, &opt->difficulty);
    case OPTION_WORKER_DIFFICULTY:
        return parse_worker(value, opt);
    case OPTION_CLEAN_EVERY:
        return parse_span(value, 50, 15000, &opt->clean_every_ms);
    case OPTION_NOTIFY_EVERY:
        return parse_span(value, 10, 3600000, &opt->notify_every_ms);
    case OPTION_EXTRANONCE2_SIZE:
        rc = parse_number(value, 1, 16, &number);
        opt->extranonce2_size = (int)number;
        return rc;
    case OPTION_BRANCHES:
        rc = parse_number(value, 0, 12, &number);
        opt->branches = (int)number;
        return rc;
    case OPTION_SEED:
        return parse_number(value, 0, UINT64_MAX, &opt->seed);
    case OPTION_AFTER:
        return parse_number(value, 1, 1000000, &opt->after);
    case OPTION_RECONNECT_TO:
        opt->reconnect_to = value;
        return strchr(value, ':') ? SL_OK : -SL_INVALID;
    case OPTION_TLS:
        return parse_tls(value, &opt->tls);
    case OPTION_CA_FILE:
        opt->ca_file = value;
        return SL_OK;
    }
    return -SL_INVALID;
}

static bool set_flag(const char *name, struct sl_tp_options *opt) {
    for (size_t i = 0; i < COUNT(behaviours); i++) {
        if (strcmp(name, behaviours[i].name) == 0) {
            opt->behaviours |= behaviours[i].bit;
            return true;
        }
    }
    if (strcmp(name, "--allow-suggest") == 0) {
        opt->allow_suggest = true;
        return true;
    }
    if (strcmp(name, "--help") == 0) {
        opt->help = true;
        return true;
    }
    return false;
}

int sl_tp_options_parse(int argc, char **argv, struct sl_tp_options *ret_options,
                        struct sl_error *err) {
    struct sl_tp_options opt = {.difficulty = SL_TP_DIFFICULTY_ONE / 10000,
                                .clean_every_ms = 12000,
                                .notify_every_ms = 4000,
                                .extranonce2_size = 4,
                                .branches = -1,
                                .after = 20,
                                .seed = 1};
    for (int i = 1; i < argc; i++) {
        if (set_flag(argv[i], &opt)) {
            continue;
        }
        size_t row = 0;
        while (row < COUNT(options) && strcmp(argv[i], options[row].name) != 0) {
            row++;
        }
        if (row == COUNT(options)) {
            return sl_fail(err, SL_INVALID, "unknown option '%.60s': see --help", argv[i]);
        }
        if (i + 1 == argc) {
            return sl_fail(err, SL_INVALID, "%s needs a value: see --help", argv[i]);
        }
        i++;
        if (set_option(options[row].id, argv[i], &opt) < 0) {
            return sl_fail(err, SL_INVALID, "%s cannot be '%.60s': %s", options[row].name, argv[i],
                           options[row].help);
        }
    }
    if ((opt.behaviours & SL_TP_SEND_AWAY) && !opt.reconnect_to) {
        return sl_fail(err, SL_INVALID, "--send-away needs --reconnect-to");
    }
    if (opt.ca_file && !opt.tls) {
        return sl_fail(err, SL_INVALID, "--ca-file needs --tls");
    }
    *ret_options = opt;
    return SL_OK;
}
