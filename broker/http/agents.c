/* SPDX-License-Identifier: Apache-2.0
 * /api/v1/agents: tokens, and who is let in. A token is shown once, when it is made; the broker
 * keeps a hash of its secret. */
#include <sodium.h>
#include <string.h>

#include "broker/http/internal.h"
#include "proto/link/token.h"

#define TTL_MS (INT64_C(15) * 60 * 1000)
#define OVERLAP_MS (INT64_C(3600) * 1000)

static const struct {
    const char *name;
    enum sl_agent_verb verb;
} verbs[] = {
    {"enroll", SL_AGENT_ENROLL}, {"approve", SL_AGENT_APPROVE}, {"reject", SL_AGENT_REJECT},
    {"revoke", SL_AGENT_REVOKE}, {"rotate", SL_AGENT_ROTATE},
};

static enum sl_agent_verb verb_of(const char *name) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return verbs[i].verb;
        }
    }
    return SL_AGENT_VERB_INVALID;
}

/* False: the answer is set. */
static bool read_span(struct sl_http_call *call, const json_t *body, const char *key,
                      int64_t fallback, int64_t *ret_ms) {
    const json_t *value = json_object_get(body, key);
    const char *text = json_string_value(value);
    if (!value) {
        *ret_ms = fallback;
        return true;
    }
    if (!text || sl_span_parse(text, ret_ms) != SL_OK) {
        sl_call_error(call, 400, "invalid_value", key, "'%s' is a span such as \"15m\".", key);
        return false;
    }
    return true;
}

/* The token's text goes into the answer, its hash to the core; false: the answer is set. */
static bool make_token(struct sl_http_call *call, struct sl_core_agent_order *order) {
    const struct sl_http *http = call->http;
    if (!http->join_endpoint[0] || !http->agents_endpoint[0]) {
        sl_call_error(call, 409, "joining_is_off", NULL,
                      "A token must name this broker's address: set agents.join_listen and, when "
                      "it listens on every address, agents.advertise in the broker's config.");
        return false;
    }
    struct sl_token token = {0};
    struct sl_error err = {0};
    char text[SL_TOKEN_TEXT_MAX];
    uint8_t id[8];
    randombytes_buf(token.secret, sizeof token.secret);
    randombytes_buf(id, sizeof id);
    memcpy(order->token, "token_", 6);
    sl_hex_encode(id, sizeof id, order->token + 6);
    crypto_generichash(order->hash, sizeof order->hash, token.secret, sizeof token.secret, NULL, 0);
    sl_text_copy(token.name, sizeof token.name, order->subject);
    sl_text_copy(token.join_endpoint, sizeof token.join_endpoint, http->join_endpoint);
    sl_text_copy(token.agents_endpoint, sizeof token.agents_endpoint, http->agents_endpoint);
    sl_text_copy(token.server_key, sizeof token.server_key, http->server_key);
    int rc = sl_token_format(&token, text, &err);
    sodium_memzero(&token, sizeof token);
    if (rc) {
        sl_call_error(call, 400, "invalid_value", "name", "%s.", err.text);
        return false;
    }
    struct sl_wall expires = {sl_clock_wall().ms + order->span_ms};
    sl_json_open(&call->out, NULL, '{');
    sl_json_text(&call->out, "id", order->token);
    sl_json_text(&call->out, "name", order->subject);
    sl_json_text(&call->out, "token", text);
    sl_json_time(&call->out, "expires", expires);
    sl_json_close(&call->out, '}');
    sodium_memzero(text, sizeof text);
    return true;
}

/* The core's text is the agent's name; of a rotation, whether the agent was asked now. */
static enum sl_step after_order(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    const char *verb = call->state;
    if (call->core_status != SL_OK) {
        return sl_call_core_error(call);
    }
    sl_json_open(&call->out, NULL, '{');
    sl_json_text(&call->out, "order", verb);
    if (strcmp(verb, "rotate") == 0) {
        sl_json_bool(&call->out, "asked", strcmp(call->core_text, "asked") == 0);
    } else {
        sl_json_text(&call->out, "name", call->core_text);
    }
    sl_json_close(&call->out, '}');
    return sl_call_ok(call);
}

static bool read_order(struct sl_http_call *call, const json_t *body,
                       struct sl_core_agent_order *order) {
    bool enroll = order->verb == SL_AGENT_ENROLL;
    const char *key = enroll ? "name" : "agent";
    const char *subject = json_string_value(json_object_get(body, key));
    if (!subject || !subject[0] || !sl_text_copy(order->subject, sizeof order->subject, subject)) {
        sl_call_error(call, 400, "invalid_value", key,
                      enroll ? "'name' is the node's name: 1 to 31 letters, digits, '.', '_' or "
                               "'-'."
                             : "'agent' is a name or a public key; see /api/v1/agents.");
        return false;
    }
    return read_span(call, body, enroll ? "ttl" : "overlap", enroll ? TTL_MS : OVERLAP_MS,
                     &order->span_ms) &&
           (!enroll || make_token(call, order));
}

enum sl_step sl_h_agents(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_AGENTS, "", NULL);
}

enum sl_step sl_h_agents_order(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    static const char *const enroll[] = {"name", "ttl", NULL};
    static const char *const rotate[] = {"agent", "overlap", NULL};
    static const char *const plain[] = {"agent", NULL};
    struct sl_core_agent_order order = {.verb = verb_of(call->arg)};
    if (order.verb == SL_AGENT_VERB_INVALID) {
        return sl_call_error(call, 404, "unknown_url", NULL, "There is nothing at this address.");
    }
    json_t *body = sl_call_body(call, order.verb == SL_AGENT_ENROLL   ? enroll
                                      : order.verb == SL_AGENT_ROTATE ? rotate
                                                                      : plain);
    bool good = body && read_order(call, body, &order);
    json_decref(body);
    struct sl_http_request *ask = good ? sl_call_ask(call, SL_HTTP_EVENT) : NULL;
    if (!ask) {
        return SL_STEP_REPLY;
    }
    ask->event.kind = SL_CEV_AGENT;
    ask->event.order = order;
    sl_text_copy(ask->event.actor, sizeof ask->event.actor, call->who.key_id);
    call->state = strdup(call->arg);
    call->next = after_order;
    return call->state ? SL_STEP_ASK
                       : sl_call_error(call, 503, "out_of_memory", NULL,
                                       "The broker has no memory: try again.");
}
