/* SPDX-License-Identifier: Apache-2.0
 * Pages of objects in the form of OpenAI's lists: {"object":"list","data":[...],"first_id",
 * "last_id","has_more"}. A reader thread of the HTTP side opens a page, writes the objects into
 * call->out, names each row that it read, and closes the page. Source: the OpenAI API reference. */
#ifndef SLUICE_BROKER_HTTP_LIST_H
#define SLUICE_BROKER_HTTP_LIST_H

#include <stdbool.h>

#include "broker/core/decided.h"
#include "broker/http/call.h"

struct sl_list_page {
    char first[SL_ID_MAX];
    char last[SL_ID_MAX];
    bool more; /* rows follow the last */
};

/* Up to the '[' behind which the objects stand. */
void sl_list_open(struct sl_http_call *call);
/* A row that was read, whether it was written or not: the next page goes on behind it. */
void sl_list_saw(struct sl_list_page *page, const char *id);
/* The rest of the page and the answer; or, where reading failed (`rc`, `err`), the answer to that.
 */
enum sl_step sl_list_close(struct sl_http_call *call, const struct sl_list_page *page, int rc,
                           const struct sl_error *err);

#endif
