/* SPDX-License-Identifier: Apache-2.0
 * What a fixed habit would have earned (shadow.c). Private to broker/core; the loop's thread. */
#ifndef SLUICE_BROKER_CORE_SHADOW_H
#define SLUICE_BROKER_CORE_SHADOW_H

#include <stdint.h>

struct sl_broker_core;
struct sl_core_batch;

/* Up to now: before something changes that the shadows are worked out from. */
void sl_core_shadow_advance(struct sl_broker_core *core);
/* The same, once a second, however often it is called. */
void sl_core_shadow_sweep(struct sl_broker_core *core);
void sl_core_shadow_settle(struct sl_broker_core *core, struct sl_core_batch *batch);
void sl_core_shadow_metas(struct sl_broker_core *core);
void sl_core_shadow_start(struct sl_broker_core *core);
/* Tokens of its lines that are not done, by estimate; 0 while they are not known. */
int64_t sl_core_shadow_tokens_left(const struct sl_core_batch *batch);
int sl_core_shadow_restore(struct sl_broker_core *core, const char *key, const char *value);

#endif
