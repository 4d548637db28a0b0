/* SPDX-License-Identifier: Apache-2.0
 * Opening a file that must be one: a FIFO in its place would keep the caller waiting for a writer
 * for ever, a terminal or a device would give whatever comes. Thread: any. */
#ifndef SLUICE_PROTO_BASE_REGULAR_H
#define SLUICE_PROTO_BASE_REGULAR_H

#include <stdio.h>

#include "proto/base/error.h"

/* For reading; the caller closes it. -SL_NOTFOUND when there is none, -SL_INVALID when it is no
 * regular file, else -SL_IO. Never waits. */
int sl_regular_open(const char *path, FILE **ret_file, struct sl_error *err);

#endif
