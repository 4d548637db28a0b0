/* SPDX-License-Identifier: Apache-2.0
 * The constants of the switching policies as a document: every one with its unit and meaning
 * (deploy/config/switching.yaml). What a document leaves out has the value shipped. Thread: any. */
#ifndef SLUICE_BROKER_BACKTEST_POLICY_FILE_H
#define SLUICE_BROKER_BACKTEST_POLICY_FILE_H

#include <stdio.h>

#include "proto/base/error.h"
#include "schedulers/switching.h"

int sl_policy_file_read(const char *path, struct sl_switching_params *ret_params,
                        struct sl_error *err);
/* As YAML, with what each means; reading it back gives the same. */
void sl_policy_file_print(FILE *out, const struct sl_switching_params *params);

#endif
