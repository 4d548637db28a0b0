/* SPDX-License-Identifier: Apache-2.0
 * What the tenants' and the operators' view of batches share. Workers only. */
#ifndef SLUICE_BROKER_HTTP_BATCHES_H
#define SLUICE_BROKER_HTTP_BATCHES_H

#include "broker/http/internal.h"

/* A batch that the caller may see (operators: any); false: the answer is set. The caller calls
 * sl_batch_row_fini. */
bool sl_batch_find(struct sl_http_call *call, struct sl_reader *reader, const char *id,
                   struct sl_batch_row *ret_row);
/* Answers with the Batch object as it is in the store now. */
enum sl_step sl_batch_show(struct sl_http_call *call, struct sl_reader *reader, const char *id);
/* Answers with a page (limit, after); tenant NULL: of all. */
enum sl_step sl_batch_list(struct sl_http_call *call, struct sl_reader *reader, const char *tenant,
                           void (*write)(struct sl_json *json, const struct sl_batch_row *row));

#endif
