/* SPDX-License-Identifier: Apache-2.0
 * A batch as the OpenAI API and as /api/v1 show it. Pure; any thread. */
#ifndef SLUICE_BROKER_HTTP_BATCH_JSON_H
#define SLUICE_BROKER_HTTP_BATCH_JSON_H

#include "broker/core/types.h"
#include "broker/http/json.h"

/* The Batch object of openai-openapi. */
void sl_batch_write(struct sl_json *json, const struct sl_batch_row *row);
/* With tenant, bid and what was billed. */
void sl_batch_write_site(struct sl_json *json, const struct sl_batch_row *row);

#endif
