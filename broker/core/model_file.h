/* SPDX-License-Identifier: Apache-2.0
 * A batch keeps to one file of its model. Agents say the SHA-256 of the file that they loaded, with
 * each device and with each result; the first vectors that a batch takes pin it to theirs, in the
 * transaction that stores them. From then on only devices that said this file get its work, and
 * results of another are refused and not billed: two files under one name, in one fleet or one
 * after the other, never meet in a batch. An agent that does not say (an older one) is judged by
 * the length of its vectors alone. Thread: the loop's. Private to broker/core. */
#ifndef SLUICE_BROKER_CORE_MODEL_FILE_H
#define SLUICE_BROKER_CORE_MODEL_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/msg.h"

struct sl_broker_core;
struct sl_core_batch;
struct sl_core_best;

/* One of names.c, "SHA256 MODEL"; NULL where it is not said. */
const char *sl_core_file_take(struct sl_broker_core *core, const char *model,
                              const uint8_t sha256[SL_MSG_SHA256_BYTES]);
bool sl_core_file_is(const char *file, const uint8_t sha256[SL_MSG_SHA256_BYTES]);
/* The digest in it; zeros for NULL. */
void sl_core_file_get(const char *file, uint8_t ret_sha256[SL_MSG_SHA256_BYTES]);

/* False: the batch is pinned, and the device said another file of its model. */
bool sl_core_file_fits(const struct sl_broker_core *core, uint32_t dev,
                       const struct sl_core_batch *batch);
/* Lines that were computed with this file are none for the batch. Logs the first of them. */
bool sl_core_file_refuses(struct sl_broker_core *core, uint32_t dev, struct sl_core_batch *batch,
                          const uint8_t sha256[SL_MSG_SHA256_BYTES]);
/* True: the batch was not pinned, and is now; its row is to be stored. */
bool sl_core_file_pin(struct sl_core_batch *batch, const uint8_t sha256[SL_MSG_SHA256_BYTES]);
/* After it was pinned: units at devices that have another file are called back and closed. */
void sl_core_file_call_back(struct sl_broker_core *core, struct sl_core_batch *batch);
/* In a tick: devices offer the model, and none the file that the batch is pinned to. Says in the
 * log when that begins and ends; batch->file_lost until the next tick. */
void sl_core_file_look(struct sl_broker_core *core, struct sl_core_batch *batch,
                       const struct sl_core_best *best);

#endif
