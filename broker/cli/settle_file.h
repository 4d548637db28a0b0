/* SPDX-License-Identifier: Apache-2.0
 * The CSV of a settlement: `from,to,pool,amount,currency` (or `node` in place of `pool`), columns
 * in any order, rows by rising `from`. Whatever is not exactly so is refused with the file's line.
 * Thread: any. */
#ifndef SLUICE_BROKER_CLI_SETTLE_FILE_H
#define SLUICE_BROKER_CLI_SETTLE_FILE_H

#include <jansson.h>

#include "proto/base/error.h"

/* The rows as the broker takes them (docs/api.md); the caller frees the array. `name` stands for
 * the file in errors. */
int sl_cli_settle_parse(const char *name, const char *text, size_t bytes, json_t **ret_rows,
                        struct sl_error *err);

#endif
