/* SPDX-License-Identifier: Apache-2.0
 * What a broker remembers after a restart: every row of the store that the core goes on from, in
 * the order in which they refer to each other. Apart from start.c, since the simulator restarts its
 * brokers with it too. Thread: the loop's, before the first event. */
#ifndef SLUICE_BROKER_SHELL_RESTORE_H
#define SLUICE_BROKER_SHELL_RESTORE_H

#include "broker/core/core.h"
#include "broker/store/store.h"

/* `second` is another connection to the same store: results are read while a list of batches is.
 * -SL_CORRUPT when a row does not fit what stands beside it; the core must not be used then. */
int sl_broker_restore(struct sl_broker_core *core, struct sl_reader *reader,
                      struct sl_reader *second, struct sl_error *err);

#endif
