/* SPDX-License-Identifier: Apache-2.0
 * Pages of objects in the form of OpenAI's lists. */
#include "broker/http/list.h"

#include "proto/base/text.h"

void sl_list_open(struct sl_http_call *call) {
    sl_json_open(&call->out, NULL, '{');
    sl_json_text(&call->out, "object", "list");
    sl_json_open(&call->out, "data", '[');
}

void sl_list_saw(struct sl_list_page *page, const char *id) {
    sl_text_copy(page->last, sizeof page->last, id);
    if (page->first[0] == '\0') {
        sl_text_copy(page->first, sizeof page->first, id);
    }
}

enum sl_step sl_list_close(struct sl_http_call *call, const struct sl_list_page *page, int rc,
                           const struct sl_error *err) {
    if (rc != SL_OK) {
        return sl_call_trouble(call, err);
    }
    sl_json_close(&call->out, ']');
    sl_json_name(&call->out, "first_id", page->first);
    sl_json_name(&call->out, "last_id", page->last);
    sl_json_bool(&call->out, "has_more", page->more);
    sl_json_close(&call->out, '}');
    return sl_call_ok(call);
}
