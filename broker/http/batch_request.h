/* SPDX-License-Identifier: Apache-2.0
 * What POST /v1/batches may say. Pure; any thread. */
#ifndef SLUICE_BROKER_HTTP_BATCH_REQUEST_H
#define SLUICE_BROKER_HTTP_BATCH_REQUEST_H

#include <jansson.h>

#include "broker/core/types.h"
#include "broker/http/call.h"

#define SL_DEADLINE_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)

struct sl_batch_fault {
    const char *code;
    char param[96];
    char message[320];
};

/* A bid as a decimal text: above 0, at most SL_BID_MAX_NUSD. */
int sl_bid_parse(const char *text, int64_t *ret_nusd, struct sl_error *err);

/* Checks the body and fills endpoint, input_file, bid (-1: the tenant's default), deadline (ms 0:
 * none), output_life_ms and metadata of the row. -SL_INVALID: *ret_fault says why. -SL_NOMEM. */
int sl_batch_request_read(const json_t *body, struct sl_wall now, struct sl_batch_row *ret_row,
                          struct sl_batch_fault *ret_fault);

#endif
