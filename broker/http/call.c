/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/call.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/batch/batch.h"
#include "broker/http/multipart.h"
#include "proto/base/log.h"

struct sl_http_call *sl_call_create(struct sl_http *http, const char *target) {
    struct sl_http_call *call = calloc(1, sizeof *call);
    if (!call) {
        return NULL;
    }
    call->http = http;
    call->read_ns = sl_clock_mono().ns;
    call->file = -1;
    call->content_type = "application/json";
    uint8_t random[8];
    randombytes_buf(random, sizeof random);
    sl_text_copy(call->request_id, sizeof call->request_id, "req_");
    sl_hex_encode(random, sizeof random, call->request_id + 4);
    if (!sl_text_copy(call->target, sizeof call->target, target)) {
        sl_call_error(call, 414, "uri_too_long", NULL, "The address has more than %d bytes.",
                      SL_CALL_TARGET_MAX - 1);
    }
    return call;
}

void sl_http_request_free(struct sl_http_request *request) {
    if (request) {
        if (request->event.row) {
            sl_batch_row_fini(request->event.row);
            free(request->event.row);
        }
        free(request->event.settle);
        free(request);
    }
}

void sl_call_destroy(struct sl_http_call *call) {
    if (!call) {
        return;
    }
    sl_buf_fini(&call->body);
    sl_json_fini(&call->out);
    sl_upload_destroy(call->upload);
    sl_http_request_free(call->ask);
    free(call->core_text);
    free(call->state);
    if (call->file >= 0) {
        close(call->file);
    }
    free(call);
}

enum sl_step sl_call_ok(struct sl_http_call *call) {
    if (call->out.buf.failed) {
        return sl_call_error(call, 503, "out_of_memory", NULL,
                             "The broker has no memory for this answer: try again.");
    }
    call->status = 200;
    return SL_STEP_REPLY;
}

static const char *error_type(int status) {
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 429:
        return "rate_limit_error";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

enum sl_step sl_call_error(struct sl_http_call *call, int status, const char *code,
                           const char *param, const char *format, ...) {
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    sl_json_fini(&call->out);
    sl_json_open(&call->out, NULL, '{');
    sl_json_open(&call->out, "error", '{');
    sl_json_text(&call->out, "message", message);
    sl_json_text(&call->out, "type", error_type(status));
    sl_json_text(&call->out, "param", param);
    sl_json_text(&call->out, "code", code);
    sl_json_close(&call->out, '}');
    sl_json_close(&call->out, '}');
    call->status = status;
    call->content_type = "application/json";
    /* The SDKs repeat a 409 and a 429 by themselves, which would not help here. */
    if ((status == 409 || status == 429) && call->retry == SL_RETRY_UNSAID) {
        call->retry = SL_RETRY_NO;
    }
    call->retry_after_s = status == 503 ? 1 : call->retry_after_s;
    return SL_STEP_REPLY;
}

enum sl_step sl_call_trouble(struct sl_http_call *call, const struct sl_error *err) {
    /* Warnings are counted when there are many: whoever asks again and again fills no log. */
    bool full = sl_batch_is_full(err);
    sl_log(full ? SL_LOG_WARN : SL_LOG_ERROR, "http.trouble", "request=%s status=%s text=\"%s\"",
           call->request_id, sl_status_text(err->status), err->text);
    if (full) {
        return sl_call_error(call, 507, "disk_full", NULL,
                             "The broker's disk is full: its operator must make room.");
    }
    return sl_call_error(call, 500, "server_error", NULL,
                         "The broker could not do this; its log says why, under %s.",
                         call->request_id);
}

enum sl_step sl_call_core_error(struct sl_http_call *call) {
    static const struct {
        enum sl_status status;
        int http;
        const char *code;
    } table[] = {
        {SL_INVALID, 400, "invalid_value"},  {SL_UNSUPPORTED, 400, "unsupported_parameter"},
        {SL_NOTFOUND, 404, "not_found"},     {SL_DENIED, 403, "permission_denied"},
        {SL_BADSTATE, 409, "invalid_state"}, {SL_EXISTS, 409, "already_exists"},
        {SL_LIMIT, 429, "limit_reached"},    {SL_AGAIN, 503, "overloaded"},
        {SL_TIMEOUT, 503, "broker_is_busy"}, {SL_CLOSED, 503, "broker_is_stopping"},
        {SL_NOMEM, 503, "out_of_memory"},
    };
    const char *text = call->core_text && call->core_text[0] != '\0'
                           ? call->core_text
                           : sl_status_text(call->core_status);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (call->core_status == -(int)table[i].status) {
            return sl_call_error(call, table[i].http, table[i].code, NULL, "%s", text);
        }
    }
    struct sl_error err = {.status = call->core_status};
    sl_text_copy(err.text, sizeof err.text, text);
    return sl_call_trouble(call, &err);
}

enum sl_step sl_call_absent(struct sl_http_call *call, const char *what, const char *id) {
    return sl_call_error(call, 404, "not_found", NULL, "No such %s: '%.64s'.", what, id);
}

struct sl_http_request *sl_call_ask(struct sl_http_call *call, enum sl_http_request_kind kind) {
    sl_http_request_free(call->ask);
    call->ask = calloc(1, sizeof *call->ask);
    if (!call->ask) {
        sl_call_error(call, 503, "out_of_memory", NULL, "The broker has no memory: try again.");
        return NULL;
    }
    call->ask->kind = kind;
    call->ask->event.read_ns = call->read_ns;
    sl_text_copy(call->ask->event.actor, sizeof call->ask->event.actor, call->who.key_id);
    return call->ask;
}

enum sl_step sl_call_ask_view(struct sl_http_call *call, enum sl_http_view view, const char *arg,
                              sl_http_handler next) {
    struct sl_http_request *ask = sl_call_ask(call, SL_HTTP_VIEW);
    if (!ask) {
        return SL_STEP_REPLY;
    }
    ask->view = view;
    if (arg && !sl_text_copy(ask->arg, sizeof ask->arg, arg)) {
        return sl_call_absent(call, "device", arg);
    }
    call->next = next;
    return SL_STEP_ASK;
}

json_t *sl_call_body(struct sl_http_call *call, const char *const *known) {
    json_error_t error;
    bool empty = call->body.len == 0;
    json_t *root = json_loadb(empty ? "{}" : call->body.data, empty ? 2 : call->body.len,
                              JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        sl_call_error(call, 400, "invalid_json", NULL,
                      "The body is not valid JSON (line %d, column %d): send an object.",
                      error.line, error.column);
        return NULL;
    }
    if (!json_is_object(root)) {
        sl_call_error(call, 400, "invalid_json", NULL, "The body must be a JSON object.");
        json_decref(root);
        return NULL;
    }
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(root, key, value) {
        const char *const *at = known;
        while (*at && strcmp(*at, key) != 0) {
            at++;
        }
        if (!*at) {
            sl_call_error(call, 400, "unknown_parameter", key, "Unknown parameter: '%.80s'.", key);
            json_decref(root);
            return NULL;
        }
    }
    return root;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sl_percent_decode(const char *text, size_t n, char *out, size_t size) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < n ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (at + 1 >= size) {
            return false;
        }
        out[at++] = c;
    }
    out[at] = '\0';
    return true;
}

bool sl_call_query(const struct sl_http_call *call, const char *name, char *out, size_t size) {
    const char *at = strchr(call->target, '?');
    size_t name_bytes = strlen(name);
    while (at) {
        at++;
        size_t n = strcspn(at, "&");
        if (n > name_bytes && at[name_bytes] == '=' && memcmp(at, name, name_bytes) == 0) {
            return sl_percent_decode(at + name_bytes + 1, n - name_bytes - 1, out, size);
        }
        at = at[n] == '&' ? at + n : NULL;
    }
    return false;
}

bool sl_call_query_limit(struct sl_http_call *call, uint32_t min, uint32_t max, uint32_t fallback,
                         uint32_t *ret_limit) {
    char text[16] = "";
    if (!sl_call_query(call, "limit", text, sizeof text)) {
        *ret_limit = fallback;
        return true;
    }
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < min || value > max) {
        sl_call_error(call, 400, "invalid_value", "limit", "'limit' must be between %u and %u.",
                      min, max);
        return false;
    }
    *ret_limit = (uint32_t)value;
    return true;
}
