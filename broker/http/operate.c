/* SPDX-License-Identifier: Apache-2.0
 * What people order: bids, drain, resume, pin, stop. These wait for nothing but the core, so they
 * never stand behind a worker's disk. */
#include <string.h>

#include "broker/http/batch_request.h"
#include "broker/http/batches.h"

/* The core knows open batches only: of one that it does not know the store says what became. */
static enum sl_step after_bid(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_batch_row row;
    if (call->core_status != -SL_NOTFOUND && call->core_status != -SL_BADSTATE) {
        return sl_call_core_error(call);
    }
    if (!sl_batch_find(call, reader, call->arg, &row)) {
        return SL_STEP_REPLY;
    }
    const char *state = sl_batch_state_name(row.state);
    sl_batch_row_fini(&row);
    return sl_call_error(call, 409, "invalid_state", NULL,
                         "The batch is %s: its bid cannot be changed any more.", state);
}

enum sl_step sl_h_bid(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    static const char *const known[] = {"bid_usd_per_mtok", NULL};
    json_t *body = sl_call_body(call, known);
    if (!body) {
        return SL_STEP_REPLY;
    }
    const char *text = json_string_value(json_object_get(body, "bid_usd_per_mtok"));
    struct sl_error err = {0};
    int64_t nusd = 0;
    int rc = text ? sl_bid_parse(text, &nusd, &err)
                  : sl_fail(&err, SL_INVALID,
                            "send a decimal string, such as "
                            "{\"bid_usd_per_mtok\":\"0.05\"}");
    json_decref(body);
    if (rc != SL_OK) {
        return sl_call_error(call, 400, "invalid_value", "bid_usd_per_mtok",
                             "'bid_usd_per_mtok': %s.", err.text);
    }
    if (strlen(call->arg) >= SL_ID_MAX) {
        return sl_call_absent(call, "batch", call->arg);
    }
    struct sl_http_request *ask = sl_call_ask(call, SL_HTTP_EVENT);
    if (!ask) {
        return SL_STEP_REPLY;
    }
    ask->event.kind = SL_CEV_BID;
    ask->event.bid_nusd_per_mtok = nusd;
    sl_text_copy(ask->event.batch, sizeof ask->event.batch, call->arg);
    sl_text_copy(ask->event.tenant, sizeof ask->event.tenant, call->who.tenant);
    sl_json_open(&call->out, NULL, '{');
    sl_json_text(&call->out, "id", call->arg);
    sl_json_usd(&call->out, "bid_usd_per_mtok", nusd);
    sl_json_close(&call->out, '}');
    call->next = after_bid;
    return SL_STEP_ASK;
}

static const struct {
    const char *verb;
    enum sl_override_kind kind;
} verbs[] = {
    {"drain", SL_OVERRIDE_DRAIN}, {"resume", SL_OVERRIDE_NONE}, {"pin", SL_OVERRIDE_PIN},
    {"stop", SL_OVERRIDE_STOP},   {"clear", SL_OVERRIDE_CLEAR},
};

/* The order from a path /api/v1/VERB, which the route table has matched. */
static enum sl_override_kind order_kind(const struct sl_http_call *call, const char **ret_verb) {
    const char *name = strrchr(call->route->pattern, '/') + 1;
    size_t at = 0;
    while (strcmp(verbs[at].verb, name) != 0) {
        at++;
        sl_assert(at < sizeof verbs / sizeof verbs[0]);
    }
    *ret_verb = verbs[at].verb;
    return verbs[at].kind;
}

/* False: the answer is set. */
static bool read_order(struct sl_http_call *call, const json_t *body,
                       struct sl_override_row *order) {
    const char *subject = json_string_value(json_object_get(body, "subject"));
    if (!subject && order->kind == SL_OVERRIDE_STOP) {
        subject = "*";
    }
    if (!subject || subject[0] == '\0' ||
        !sl_text_copy(order->subject, sizeof order->subject, subject)) {
        sl_call_error(call, 400, "invalid_value", "subject",
                      "'subject' must be a device's key, a node's name, or \"*\" for all.");
        return false;
    }
    if (order->kind == SL_OVERRIDE_STOP && strcmp(subject, "*") != 0) {
        sl_call_error(call, 400, "invalid_value", "subject",
                      "stop is for the whole site (\"*\"): use drain for one device or node.");
        return false;
    }
    const char *mode = json_string_value(json_object_get(body, "mode"));
    order->mode = mode ? sl_mode_parse(mode) : SL_MODE_INVALID;
    if (order->kind == SL_OVERRIDE_PIN ? order->mode == SL_MODE_INVALID : mode != NULL) {
        sl_call_error(call, 400, "invalid_value", "mode",
                      "'mode' is for pin, and must be \"hash\", \"infer\" or \"idle\".");
        return false;
    }
    return true;
}

static void write_order(struct sl_json *json, const char *verb, const char *subject,
                        const char *mode, const char *note) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "order", verb);
    sl_json_text(json, "subject", subject);
    sl_json_text(json, "mode", mode);
    sl_json_text(json, "note", note);
    sl_json_close(json, '}');
}

/* The core answers with the subject, or says which other order still holds it. */
static enum sl_step after_resume(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    const char *subject = call->state;
    if (call->core_status != SL_OK) {
        return sl_call_core_error(call);
    }
    bool free_again = strcmp(call->core_text, subject) == 0;
    write_order(&call->out, "resume", subject, NULL, free_again ? NULL : call->core_text);
    return sl_call_ok(call);
}

enum sl_step sl_h_order(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    static const char *const known[] = {"subject", "mode", NULL};
    const char *verb = NULL;
    struct sl_override_row order = {.kind = order_kind(call, &verb), .at = sl_clock_wall()};
    json_t *body = sl_call_body(call, known);
    if (!body) {
        return SL_STEP_REPLY;
    }
    bool good = read_order(call, body, &order);
    json_decref(body);
    struct sl_http_request *ask = good ? sl_call_ask(call, SL_HTTP_EVENT) : NULL;
    if (!ask) {
        return SL_STEP_REPLY;
    }
    sl_text_copy(order.actor, sizeof order.actor, call->who.key_id);
    ask->event.kind = SL_CEV_OVERRIDE;
    ask->event.override_ = order;
    if (order.kind == SL_OVERRIDE_NONE) {
        call->state = strdup(order.subject);
        call->next = after_resume;
        return call->state ? SL_STEP_ASK
                           : sl_call_error(call, 503, "out_of_memory", NULL,
                                           "The broker has no memory: try again.");
    }
    write_order(&call->out, verb, order.subject,
                order.kind == SL_OVERRIDE_PIN ? sl_mode_name(order.mode) : NULL, NULL);
    return SL_STEP_ASK;
}
