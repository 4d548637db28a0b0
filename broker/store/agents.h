/* SPDX-License-Identifier: Apache-2.0
 * Lists of joining: agents, tokens, keys that are refused for ever. Thread: the reader's. */
#ifndef SLUICE_BROKER_STORE_AGENTS_H
#define SLUICE_BROKER_STORE_AGENTS_H

#include "broker/store/store.h"

/* struct sl_agent_row, by the time of joining. */
int sl_reader_agents(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);
/* struct sl_enrolment_row, oldest first. */
int sl_reader_enrolments(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);
/* struct sl_retired_row. */
int sl_reader_retired(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);

#endif
