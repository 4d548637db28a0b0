/* SPDX-License-Identifier: Apache-2.0
 * Part of a restore: what was revoked since the backup stays revoked. Thread: the caller's, which
 * holds the store's lock. */
#ifndef SLUICE_BROKER_STORE_RESTORE_KEEP_H
#define SLUICE_BROKER_STORE_RESTORE_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"

struct sl_restore_kept {
    bool known;                    /* false: there was no present store, or it cannot be read */
    uint32_t keys, agents, tokens; /* that the backup had as good */
};

/* Marks in the restored store, which no broker has opened yet, every API key, agent and token that
 * the present store says is revoked or used up. A present store that cannot be read is no error;
 * what could be read of it counts. */
int sl_restore_keep(const char *present_path, const char *restored_path,
                    struct sl_restore_kept *ret_kept, struct sl_error *err);

#endif
