/* SPDX-License-Identifier: Apache-2.0
 * The test pool on a TCP port of 127.0.0.1. */
#ifndef SLUICE_TESTS_POOL_SERVER_H
#define SLUICE_TESTS_POOL_SERVER_H

#include "tests/pool/options.h"

/* Runs until SIGTERM or SIGINT. SL_OK then; a negative status when it could not start, or when the
 * share log could no longer be written. */
int sl_tp_server_run(const struct sl_tp_options *options, struct sl_error *err);

#endif
