/* SPDX-License-Identifier: Apache-2.0
 * The tokenizer thread: units of texts in, units of ids out.
 *
 * Thread: put and the `done` mailbox belong to the loop. Ownership of an sl_agent_tokens moves with
 * it. */
#ifndef SLUICE_AGENT_SHELL_TOKENIZER_H
#define SLUICE_AGENT_SHELL_TOKENIZER_H

#include "agent/core/tokenize.h"
#include "agent/executors/model_set.h"
#include "proto/base/cleanup.h"
#include "proto/base/mailbox.h"

struct sl_tokenizer;

/* Borrows the models. */
int sl_tokenizer_start(const struct sl_model_set *models, struct sl_tokenizer **ret_tokenizer,
                       struct sl_error *err);
/* Ends the thread; what waits is wiped. Accepts NULL. */
void sl_tokenizer_destroy(struct sl_tokenizer *tokenizer);
SL_DEFINE_AUTO(sl_tokenizer, sl_tokenizer_destroy)

/* -SL_AGAIN: more waits than the core ever holds. */
int sl_tokenizer_put(struct sl_tokenizer *tokenizer, struct sl_agent_tokens *tokens);
/* Of struct sl_agent_tokens *. */
struct sl_mailbox *sl_tokenizer_done(struct sl_tokenizer *tokenizer);

/* One text under the model's limit; for over-long ones the exact length. Also for tests. */
int sl_tokenizer_encode(const struct sl_model_set *models, const char *model, const char *text,
                        size_t bytes, int32_t *ret_ids, uint32_t *ret_count, struct sl_error *err);

#endif
