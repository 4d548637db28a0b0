/* SPDX-License-Identifier: Apache-2.0
 * `sluice`, the command line of operators, tenants and administrators: one table of verbs, each a
 * function that asks the broker's HTTP API and prints a table, or the answer itself with --json.
 * Exit codes: 0 done, 1 the broker refused or something failed, 2 wrong usage. One thread. */
#ifndef SLUICE_BROKER_CLI_CLI_H
#define SLUICE_BROKER_CLI_CLI_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/error.h"
#include "proto/base/money.h"
#include "proto/base/text.h"

struct sl_cli {
    char url[256];
    char key[128];
    char key_trouble[SL_ERROR_TEXT_MAX]; /* why there is no key: said when one is needed */
    bool json;
    bool colour; /* stdout is a terminal and NO_COLOR is not set */
    const char *verb;
    const char *arguments; /* of the verb, for usage errors */
    bool wrong_usage;      /* set by sl_cli_usage: exit code 2 */
    int argc;              /* argv[0] is the verb; options are taken out by sl_cli_options */
    char **argv;
    const atomic_bool *cancel; /* NULL, or: a request ends within a second once it is set */
};

struct sl_cli_answer {
    long status;
    struct sl_buf body;
    json_t *json; /* NULL when the body is not JSON */
};

/* ---- options.c ---- */
/* What is wrong with the arguments; sets wrong_usage and returns -SL_INVALID. */
int sl_cli_usage(struct sl_cli *cli, struct sl_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct sl_cli_option {
    const char *name;   /* "--bid"; NULL ends the list */
    const char **value; /* option with a value; or */
    bool *flag;
};
/* Takes the known options out of cli->argv wherever they stand ("--" ends them); what is left are
 * the positional arguments argv[1..argc-1], between min and max of them. */
int sl_cli_options(struct sl_cli *cli, const struct sl_cli_option *options, int min, int max,
                   struct sl_error *err);

/* ---- request.c ---- */
/* method "GET", "POST", "DELETE"; body is JSON text or NULL. A status of 400 and above is an error
 * whose text is the broker's own, made clearer where a key of the wrong kind was used. Free with
 * sl_cli_answer_fini, also after an error. -SL_CLOSED: nobody answers at the address. */
int sl_cli_request(const struct sl_cli *cli, const char *method, const char *path, const char *body,
                   struct sl_cli_answer *ret_answer, struct sl_error *err);
#define sl_cli_get(cli, path, ret_answer, err)                                                     \
    sl_cli_request(cli, "GET", path, NULL, ret_answer, err)
/* All pages of a list in one answer: the array `member` goes on as long as `next` says. */
int sl_cli_get_pages(const struct sl_cli *cli, const char *path, const char *member,
                     struct sl_cli_answer *ret_answer, struct sl_error *err);
/* Uploads bytes as a batch's input file. */
int sl_cli_upload(const struct sl_cli *cli, const char *name, const struct sl_buf *content,
                  struct sl_cli_answer *ret_answer, struct sl_error *err);
/* The body of a GET into a file, which appears only when it is whole; NULL or "-": to stdout. */
int sl_cli_download(const struct sl_cli *cli, const char *path, const char *to,
                    struct sl_error *err);
void sl_cli_answer_fini(struct sl_cli_answer *answer);
#define SL_CLI_AUTO_ANSWER __attribute__((cleanup(sl_cli_answer_fini)))
/* Percent-encodes one path segment or query value. */
void sl_cli_escape(struct sl_buf *out, const char *text);
/* The answer as it came and a line end, to stdout. */
void sl_cli_print_json(const struct sl_cli_answer *answer);

/* ---- value.c ---- */
enum sl_cli_format {
    SL_CLI_TEXT = 0,  /* absent: "-" */
    SL_CLI_NUMBER,    /* this and all below, absent: "unknown" */
    SL_CLI_RATE_HS,   /* 61.2 MH/s */
    SL_CLI_RATE_ZERO, /* as RATE_HS, where 0 means not measured */
    SL_CLI_USD,       /* decimal text, exact: 0.0123 */
    SL_CLI_USD_FULL,  /* the same with all nine decimals, so that points stand in one column */
    SL_CLI_USD_SHORT, /* the same cut to a few digits, towards zero: 0.01234 */
    SL_CLI_MS,        /* 12.3 s, 4 h 05 min */
    SL_CLI_US,        /* 412 us, 1.50 ms */
    SL_CLI_TIME,      /* RFC 3339 text or Unix seconds -> 2026-11-22 17:00:00; absent: "-" */
};
/* The value at a dotted path as text for a terminal: control characters are replaced. */
void sl_cli_value(const json_t *object, const char *path, enum sl_cli_format format,
                  struct sl_buf *out);
const json_t *sl_cli_find(const json_t *object, const char *path);
/* "" when there is no text at the path. */
const char *sl_cli_text(const json_t *object, const char *path);
/* Appends text with control characters replaced. */
void sl_cli_clean(struct sl_buf *out, const char *text);
/* "65 W", "65 W (rated)", "unknown" from {"watts":..., "source":...}. */
void sl_cli_watts(const json_t *watts, struct sl_buf *out);
/* The hottest of a device's sensors: some boards have none of the core. */
void sl_cli_hottest(const json_t *device, struct sl_buf *out);
/* Exact nano-USD of a decimal text such as "-0.05"; false when it is none. */
bool sl_cli_nusd(const char *text, sl_i128 *ret_nusd);

/* ---- table.c ---- */
struct sl_cli_column {
    const char *title;
    const char *path; /* dotted, inside the row */
    enum sl_cli_format format;
    bool right; /* aligned right */
    bool tone;  /* coloured by what it says: a trouble, a mode, a state */
};
/* Rows of a JSON array as an aligned table; columns end with a NULL title. Without rows: `none`. */
void sl_cli_table(const struct sl_cli *cli, const json_t *rows, const struct sl_cli_column *columns,
                  const char *none);
/* One object as "title  value" lines. */
void sl_cli_fields(const struct sl_cli *cli, const json_t *object,
                   const struct sl_cli_column *columns);
/* A heading, bold on a terminal, after an empty line. */
void sl_cli_heading(const struct sl_cli *cli, const char *text);

/* ---- device_name.c ---- */
enum sl_cli_match { SL_CLI_MATCH_NONE = 0, SL_CLI_MATCH_ONE, SL_CLI_MATCH_MANY };
/* Of the keys in rows[].FIELD the one that name means: exactly, else the only one that ends with
 * it, else the only one that contains it. *ret_key lives with rows. */
enum sl_cli_match sl_cli_match(const json_t *rows, const char *field, const char *name,
                               const char **ret_key);
/* Asks the broker which device (or, with nodes, node) is meant; into key[size]. */
int sl_cli_find_subject(const struct sl_cli *cli, const char *name, bool nodes, char *key,
                        size_t size, struct sl_error *err);

/* ---- secret_file.c ---- */
/* Never over a file that is there, and for the owner alone. Opened before the secret is made, so
 * that none is lost for want of a place. */
int sl_cli_secret_open(const char *path, int *ret_fd, struct sl_error *err);
/* A line of its own, on the disk when true is returned; else errno says why. */
bool sl_cli_secret_write(int fd, const char *secret);

/* ---- verbs ---- */
int sl_cli_status(struct sl_cli *cli, struct sl_error *err);
int sl_cli_nodes(struct sl_cli *cli, struct sl_error *err);
int sl_cli_pools(struct sl_cli *cli, struct sl_error *err); /* pools.c */
int sl_cli_devices(struct sl_cli *cli, struct sl_error *err);
int sl_cli_market(struct sl_cli *cli, struct sl_error *err);
int sl_cli_power(struct sl_cli *cli, struct sl_error *err);
int sl_cli_market_feeds(struct sl_cli *cli, struct sl_error *err); /* market feeds */
int sl_cli_market_rates(struct sl_cli *cli, struct sl_error *err); /* options are taken already */
int sl_cli_stress(struct sl_cli *cli, struct sl_error *err);
int sl_cli_exposure(struct sl_cli *cli, struct sl_error *err);
int sl_cli_explain(struct sl_cli *cli, struct sl_error *err);
int sl_cli_ledger(struct sl_cli *cli, struct sl_error *err);
int sl_cli_submit(struct sl_cli *cli, struct sl_error *err);
int sl_cli_batch(struct sl_cli *cli, struct sl_error *err);
int sl_cli_order(struct sl_cli *cli, struct sl_error *err);
int sl_cli_health(struct sl_cli *cli, struct sl_error *err);
int sl_cli_settle(struct sl_cli *cli, struct sl_error *err);
int sl_cli_events(struct sl_cli *cli, struct sl_error *err);
int sl_cli_audit(struct sl_cli *cli, struct sl_error *err);
int sl_cli_logs(struct sl_cli *cli, struct sl_error *err);
int sl_cli_top(struct sl_cli *cli, struct sl_error *err);
int sl_cli_agents(struct sl_cli *cli, struct sl_error *err);
int sl_cli_keys(struct sl_cli *cli, struct sl_error *err);
int sl_cli_decisions(struct sl_cli *cli, struct sl_error *err);
int sl_cli_replay(struct sl_cli *cli, struct sl_error *err); /* --file asks no broker */
int sl_cli_shadows(struct sl_cli *cli, struct sl_error *err);
/* `explain --at`, `ledger --against`. */
int sl_cli_explain_at(struct sl_cli *cli, const char *key, const char *at, struct sl_error *err);
int sl_cli_ledger_against(struct sl_cli *cli, const char *against, const char *device,
                          struct sl_error *err);
/* `backtest --decisions`. */
int sl_cli_backtest_recorded(struct sl_cli *cli, const char *path, struct sl_error *err);
int sl_cli_backtest(struct sl_cli *cli, struct sl_error *err); /* asks no broker */

#endif
