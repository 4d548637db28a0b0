/* SPDX-License-Identifier: Apache-2.0
 * Whether a folder can be what a program needs it for, told before anything is made. Thread: any.
 */
#ifndef SLUICE_PROTO_BASE_FOLDER_H
#define SLUICE_PROTO_BASE_FOLDER_H

#include <stdbool.h>

#include "proto/base/error.h"

/* A folder that a program makes where it is missing (one level, as mkdir does). It must be one, or
 * its parent one in which it can be made; `written`: this user must be able to write into it.
 * `program` names it in "give it to the PROGRAM's user". Changes nothing. */
int sl_folder_check(const char *path, bool written, const char *program, struct sl_error *err);

#endif
