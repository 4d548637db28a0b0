/* SPDX-License-Identifier: Apache-2.0
 * Decisions as they are stored, with every figure they were made from, and what devices would have
 * earned otherwise. */
#include <stdlib.h>
#include <string.h>

#include "broker/http/internal.h"

#define LIST_DEFAULT 50
#define LIST_MAX 10000

static void write_hex(struct sl_json *json, const char *key, const uint8_t *bytes, size_t size) {
    char hex[2 * SL_DECISION_BYTES + 1];
    sl_hex_encode(bytes, size, hex);
    sl_json_text(json, key, hex);
}

static int write_decision(void *arg, const void *row) {
    struct sl_json *json = arg;
    const struct sl_directive_row *d = row;
    char id[SL_MSG_KEY_MAX + 24];
    snprintf(id, sizeof id, "%s@%llu", d->device, (unsigned long long)d->epoch);
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "id", id);
    sl_json_time(json, "at", d->at);
    sl_json_text(json, "device", d->device);
    sl_json_uint(json, "epoch", d->epoch);
    sl_json_text(json, "mode", sl_mode_name(d->mode));
    sl_json_name(json, "batch", d->batch);
    sl_json_text(json, "rule", d->rule);
    sl_json_text(json, "why", d->why);
    sl_json_name(json, "policy", d->policy);
    sl_json_name(json, "policy_version", d->policy_version);
    write_hex(json, "digest", d->inputs_digest, sizeof d->inputs_digest);
    if (d->recorded) {
        write_hex(json, "record", d->record, sizeof d->record);
    } else {
        sl_json_null(json, "record"); /* made by a release that kept none */
    }
    sl_json_close(json, '}');
    return 0;
}

static bool read_epoch(struct sl_http_call *call, uint64_t *ret_epoch) {
    char text[24] = "";
    if (!sl_call_query(call, "epoch", text, sizeof text)) {
        return true;
    }
    char *end = NULL;
    *ret_epoch = strtoull(text, &end, 10);
    if (text[0] < '1' || text[0] > '9' || *end != '\0' || *ret_epoch > INT64_MAX) {
        sl_call_error(call, 400, "invalid_value", "epoch", "'epoch' is a number from 1.");
        return false;
    }
    return true;
}

static bool read_at(struct sl_http_call *call, struct sl_wall *ret_at) {
    char text[48] = "";
    if (sl_call_query(call, "at", text, sizeof text) && sl_wall_parse(text, ret_at) != SL_OK) {
        sl_call_error(call, 400, "invalid_value", "at",
                      "'at' is a time such as 2026-11-22T17:00:00Z.");
        return false;
    }
    return true;
}

static enum sl_step one_decision(struct sl_http_call *call, struct sl_reader *reader,
                                 const char *device, uint64_t epoch, struct sl_wall at) {
    struct sl_directive_row row;
    struct sl_error err = {0};
    int rc = sl_reader_decision(reader, device, epoch, at, &row, &err);
    if (rc == -SL_NOTFOUND) {
        return sl_call_error(call, 404, "not_found", NULL,
                             "No decision about %s %s is stored: `sluice decisions` lists them.",
                             device, epoch ? "of that epoch" : "at or before that time");
    }
    if (rc != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    write_decision(&call->out, &row);
    return sl_call_ok(call);
}

enum sl_step sl_h_decisions(struct sl_http_call *call, struct sl_reader *reader) {
    uint32_t limit = 0;
    uint64_t epoch = 0;
    struct sl_wall at = {0};
    char device[SL_MSG_KEY_MAX] = "";
    struct sl_error err = {0};
    bool named = sl_call_query(call, "device", device, sizeof device);
    if (!sl_call_query_limit(call, 1, LIST_MAX, LIST_DEFAULT, &limit) ||
        !read_epoch(call, &epoch) || !read_at(call, &at)) {
        return SL_STEP_REPLY;
    }
    if (epoch > 0 || at.ms > 0) {
        return named ? one_decision(call, reader, device, epoch, at)
                     : sl_call_error(call, 400, "missing_required_parameter", "device",
                                     "'epoch' and 'at' are of one device: give 'device' too.");
    }
    sl_json_open(&call->out, NULL, '{');
    sl_json_open(&call->out, "decisions", '[');
    if (sl_reader_directives(reader, named ? device : NULL, limit, write_decision, &call->out,
                             &err) != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(&call->out, ']');
    sl_json_close(&call->out, '}');
    return sl_call_ok(call);
}

static int write_against(void *arg, const void *row) {
    struct sl_json *json = arg;
    const struct sl_against_row *against = row;
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "device", against->device);
    sl_json_time(json, "at", against->at);
    sl_json_int(json, "span_ms", against->span_ms);
    for (uint32_t i = 0; i < SL_AGAINST_COUNT; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_usd", sl_against_name(i));
        sl_json_usd(json, key, against->nusd[i]);
    }
    sl_json_close(json, '}');
    return 0;
}

enum sl_step sl_h_against(struct sl_http_call *call, struct sl_reader *reader) {
    uint32_t limit = 0;
    char device[SL_MSG_KEY_MAX] = "";
    struct sl_error err = {0};
    bool named = sl_call_query(call, "device", device, sizeof device);
    if (!sl_call_query_limit(call, 1, LIST_MAX, LIST_DEFAULT, &limit)) {
        return SL_STEP_REPLY;
    }
    sl_json_open(&call->out, NULL, '{');
    sl_json_open(&call->out, "rows", '[');
    if (sl_reader_against(reader, named ? device : NULL, limit, write_against, &call->out, &err) !=
        SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(&call->out, ']');
    sl_json_close(&call->out, '}');
    return sl_call_ok(call);
}

enum sl_step sl_h_shadows(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_SHADOWS, NULL, NULL);
}
