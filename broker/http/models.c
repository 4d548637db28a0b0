/* SPDX-License-Identifier: Apache-2.0
 * /v1/models: the site's catalogue, or without one whatever agents report. */
#include <string.h>

#include "broker/http/internal.h"

static void write_model(struct sl_http_call *call, const char *id) {
    sl_json_open(&call->out, NULL, '{');
    sl_json_text(&call->out, "id", id);
    sl_json_text(&call->out, "object", "model");
    sl_json_unix(&call->out, "created", call->http->started);
    sl_json_text(&call->out, "owned_by", "sluice");
    sl_json_close(&call->out, '}');
}

static void open_list(struct sl_http_call *call) {
    sl_json_open(&call->out, NULL, '{');
    sl_json_text(&call->out, "object", "list");
    sl_json_open(&call->out, "data", '[');
}

static enum sl_step close_list(struct sl_http_call *call) {
    sl_json_close(&call->out, ']');
    sl_json_close(&call->out, '}');
    return sl_call_ok(call);
}

/* The view's answer is a JSON array of ids; NULL when the core refused. */
static json_t *reported(struct sl_http_call *call) {
    json_t *ids = call->core_status == SL_OK ? json_loads(call->core_text, 0, NULL) : NULL;
    if (!ids) {
        sl_call_core_error(call);
    }
    return ids;
}

static enum sl_step list_reported(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    json_t *ids = reported(call);
    if (!ids) {
        return SL_STEP_REPLY;
    }
    open_list(call);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        write_model(call, json_string_value(json_array_get(ids, i)));
    }
    json_decref(ids);
    return close_list(call);
}

enum sl_step sl_h_models_list(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    if (call->http->model_count == 0) {
        return sl_call_ask_view(call, SL_HTTP_VIEW_MODELS, NULL, list_reported);
    }
    open_list(call);
    for (uint32_t i = 0; i < call->http->model_count; i++) {
        write_model(call, call->http->models[i]);
    }
    return close_list(call);
}

static enum sl_step show_model(struct sl_http_call *call, bool found) {
    if (!found) {
        return sl_call_absent(call, "model", call->arg);
    }
    write_model(call, call->arg);
    return sl_call_ok(call);
}

static enum sl_step get_reported(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    json_t *ids = reported(call);
    if (!ids) {
        return SL_STEP_REPLY;
    }
    bool found = false;
    for (size_t i = 0; i < json_array_size(ids); i++) {
        found = found || strcmp(json_string_value(json_array_get(ids, i)), call->arg) == 0;
    }
    json_decref(ids);
    return show_model(call, found);
}

enum sl_step sl_h_models_get(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    if (call->http->model_count == 0) {
        return sl_call_ask_view(call, SL_HTTP_VIEW_MODELS, NULL, get_reported);
    }
    bool found = false;
    for (uint32_t i = 0; i < call->http->model_count; i++) {
        found = found || strcmp(call->http->models[i], call->arg) == 0;
    }
    return show_model(call, found);
}
