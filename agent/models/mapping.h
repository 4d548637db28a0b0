/* SPDX-License-Identifier: Apache-2.0
 * A regular file mapped read-only. Symbolic links, devices and pipes are refused, so that a path in
 * a model folder cannot lead elsewhere or hang us. Thread: any, constant after open. */
#ifndef SLUICE_AGENT_MODELS_MAPPING_H
#define SLUICE_AGENT_MODELS_MAPPING_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"

struct sl_mapping {
    const uint8_t *bytes; /* NULL when closed */
    size_t n;
};

/* -SL_NOTFOUND when there is no such file, -SL_IO, -SL_CORRUPT when it is empty. The text does not
 * repeat the path: the caller wraps it. */
int sl_mapping_open(const char *path, struct sl_mapping *ret_mapping, struct sl_error *err);
void sl_mapping_close(struct sl_mapping *mapping);

#endif
