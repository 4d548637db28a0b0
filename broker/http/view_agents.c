/* SPDX-License-Identifier: Apache-2.0
 * Agents, open tokens and refused joins as JSON and metrics. No secret is in it. */
#include <inttypes.h>

#include "broker/core/agents.h"
#include "broker/http/views.h"

static void write_agent(struct sl_json *json, const struct sl_view_agent *agent) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "name", agent->name);
    sl_json_text(json, "state", agent->state);
    sl_json_text(json, "session", agent->session);
    sl_json_text(json, "public_key", agent->key);
    sl_json_text(json, "identity", agent->id);
    sl_json_bool(json, "rotating", agent->rotating);
    sl_json_name(json, "key_before", agent->key_before);
    if (agent->key_before[0]) {
        sl_json_int(json, "key_before_left_ms", agent->before_left_ms);
    } else {
        sl_json_null(json, "key_before_left_ms");
    }
    sl_json_text(json, "next_broker_key", agent->next_key);
    sl_json_uint(json, "devices", agent->devices);
    sl_json_name(json, "inventory", agent->inventory);
    sl_json_name(json, "version", agent->version);
    sl_json_time(json, "joined", agent->joined);
    sl_json_time(json, "decided", agent->decided);
    sl_json_name(json, "actor", agent->actor);
    sl_json_close(json, '}');
}

void sl_view_agents_json(struct sl_json *json, const struct sl_broker_core *core,
                         struct sl_now now) {
    struct sl_view_agent agent;
    struct sl_view_token token;
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "agents", '[');
    uint32_t cursor = 0;
    while (sl_view_agent_next(core, now, &cursor, &agent)) {
        write_agent(json, &agent);
    }
    sl_json_close(json, ']');
    sl_json_open(json, "tokens", '[');
    for (uint32_t i = 0; sl_view_token_get(core, now, i, &token); i++) {
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "id", token.id);
        sl_json_text(json, "name", token.name);
        sl_json_time(json, "created", token.created);
        sl_json_time(json, "expires", token.expires);
        sl_json_text(json, "actor", token.actor);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
    struct sl_view_refusal refusal;
    sl_json_open(json, "refused", '{');
    for (uint32_t i = 0; sl_view_refusal_get(core, i, &refusal); i++) {
        sl_json_uint(json, refusal.name, refusal.count);
    }
    sl_json_close(json, '}');
    sl_json_close(json, '}');
}

void sl_view_agents_metrics(struct sl_buf *buf, const struct sl_broker_core *core) {
    struct sl_view_refusal refusal;
    sl_view_metric_head(buf, "sluice_joins_refused_total", "counter",
                        "Refused at the joining socket since the start, by reason.");
    for (uint32_t i = 0; sl_view_refusal_get(core, i, &refusal); i++) {
        sl_buf_printf(buf, "sluice_joins_refused_total{reason=\"%s\"} %" PRIu64 "\n", refusal.name,
                      refusal.count);
    }
}
