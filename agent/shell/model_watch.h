/* SPDX-License-Identifier: Apache-2.0
 * Notices that a model's file on disk is no longer what was loaded. The agent goes on with what it
 * has loaded: what a model id means must not change under a tenant, and a half-written file is no
 * model. So all this does is tell the operator, once for each change.
 *
 * Thread: one of its own, because a look may block on a disk or a network. It borrows the models.
 */
#ifndef SLUICE_AGENT_SHELL_MODEL_WATCH_H
#define SLUICE_AGENT_SHELL_MODEL_WATCH_H

#include "agent/executors/model_set.h"
#include "proto/base/cleanup.h"
#include "proto/base/error.h"

#define SL_MODEL_WATCH_MS 5000

struct sl_model_watch;

/* From the watch's thread. `file` is not what it was at the call before (at first: SAME). */
typedef void (*sl_model_watch_fn)(void *context, const struct sl_model *model,
                                  enum sl_model_file file);

int sl_model_watch_start(const struct sl_model_set *models, int64_t period_ms,
                         sl_model_watch_fn note, void *context, struct sl_model_watch **ret_watch,
                         struct sl_error *err);
/* Ends the thread; waits for a look under way. Accepts NULL. */
void sl_model_watch_destroy(struct sl_model_watch *watch);
SL_DEFINE_AUTO(sl_model_watch, sl_model_watch_destroy)

/* The agent's note: a line in the log. */
void sl_model_watch_log(void *context, const struct sl_model *model, enum sl_model_file file);

#endif
