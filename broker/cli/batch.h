/* SPDX-License-Identifier: Apache-2.0
 * What `submit` and `batch` share: the input of a batch, waiting for it, its progress. */
#ifndef SLUICE_BROKER_CLI_BATCH_H
#define SLUICE_BROKER_CLI_BATCH_H

#include "broker/cli/cli.h"

#define SL_CLI_INPUT_MAX (200u * 1024 * 1024) /* the API's limit of an upload */

/* ---- input.c ---- */
/* Reads a file ("-": stdin) and makes a batch's JSONL of it. A file whose first byte that is not
 * blank is '{' holds requests: they stay as they are but for `model` (may be NULL), which is put
 * where a request names none; naming another one is an error. Anything else is text, one input a
 * line, empty lines left out: custom_id is "line-N" with N counted from 1 in the file. */
int sl_cli_input_read(const char *file, const char *model, struct sl_buf *ret_jsonl,
                      uint64_t *ret_requests, struct sl_error *err);
/* The same from memory. */
int sl_cli_input_convert(const char *text, size_t bytes, const char *model,
                         struct sl_buf *ret_jsonl, uint64_t *ret_requests, struct sl_error *err);

/* ---- progress.c: pure ---- */
#define SL_CLI_SAMPLES 32
struct sl_cli_progress {
    uint64_t total; /* 0: not known yet */
    int64_t at_ns[SL_CLI_SAMPLES];
    uint64_t done[SL_CLI_SAMPLES];
    unsigned count; /* samples taken, ever */
};
void sl_cli_progress_add(struct sl_cli_progress *progress, int64_t now_ns, uint64_t done);
/* Over the last samples, at most; lines per second, or negative when it is not known. */
double sl_cli_progress_rate(const struct sl_cli_progress *progress);
/* "[#####.....] 1000/2000 lines  512/s  2 s to go"; bar_width 0: no bar. */
void sl_cli_progress_text(const struct sl_cli_progress *progress, int bar_width,
                          struct sl_buf *out);

/* ---- wait.c ---- */
/* Polls until the batch is final, showing progress on stderr; *ret_answer is its last state as
 * /api/v1/batches/ID has it. A broker that is away for a moment is waited for. SL_OK also for a
 * batch that failed. */
int sl_cli_wait(const struct sl_cli *cli, const char *id, struct sl_cli_answer *ret_answer,
                struct sl_error *err);

/* ---- batch.c ---- */
void sl_cli_batch_print(const struct sl_cli *cli, const json_t *batch);
/* The output file (errors: the error file) of a batch to `to` (NULL: stdout). */
int sl_cli_batch_results(const struct sl_cli *cli, const json_t *batch, bool errors, const char *to,
                         struct sl_error *err);
/* A bid as the API wants it, so that a typing error is found before anything is uploaded. */
int sl_cli_bid_check(struct sl_cli *cli, const char *bid, struct sl_error *err);

#endif
