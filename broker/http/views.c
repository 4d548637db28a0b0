/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_modes(struct sl_json *json, const struct sl_view_status *status) {
    sl_json_open(json, "devices_by_mode", '{');
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        sl_json_uint(json, sl_mode_name((enum sl_mode)mode), status->devices_by_mode[mode]);
    }
    sl_json_close(json, '}');
}

/* No switch was measured yet: unknown, not zero. */
static void write_switches(struct sl_json *json, const char *key,
                           const struct sl_view_switches *switches) {
    sl_json_open(json, key, '{');
    sl_json_uint(json, "count", switches->count);
    if (switches->count == 0) {
        sl_json_null(json, "p50_us");
        sl_json_null(json, "p99_us");
    } else {
        sl_json_uint(json, "p50_us", switches->p50_us);
        sl_json_uint(json, "p99_us", switches->p99_us);
    }
    sl_json_close(json, '}');
}

static void write_money(struct sl_json *json, const struct sl_view_money *money) {
    sl_json_open(json, "revenue_usd", '{');
    sl_json_usd(json, "hash", money->hash_nusd);
    sl_json_usd(json, "lease", money->lease_nusd);
    sl_json_usd(json, "power", money->power_nusd);
    sl_json_usd(json, "always_hash", money->always_hash_nusd);
    sl_json_usd(json, "always_lease", money->always_lease_nusd);
    sl_json_close(json, '}');
    sl_json_open(json, "hash_revenue", '{');
    sl_json_usd(json, "settled_usd", money->hash_settled_nusd);
    sl_json_usd(json, "estimated_usd", money->hash_estimated_nusd);
    sl_json_i128(json, "settled_nusd", money->hash_settled_nusd);
    sl_json_i128(json, "estimated_nusd", money->hash_estimated_nusd);
    sl_json_close(json, '}');
    sl_json_bool(json, "power_complete", money->power_complete);
}

static void write_status(struct sl_json *json, const struct sl_broker_core *core,
                         struct sl_now now) {
    struct sl_view_status status;
    sl_view_status_get(core, now, &status);
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "version", SLUICE_VERSION);
    sl_json_time(json, "now", now.wall);
    sl_json_uint(json, "sessions_live", status.sessions_live);
    sl_json_uint(json, "devices_total", status.devices_total);
    write_modes(json, &status);
    sl_json_uint(json, "devices_implausible", status.devices_implausible);
    sl_json_bool(json, "stopped", status.stopped);
    sl_json_uint(json, "batches_open", status.batches_open);
    sl_json_uint(json, "lines_waiting", status.lines_waiting);
    sl_json_uint(json, "lines_issued", status.lines_issued);
    sl_json_uint(json, "lines_done", status.lines_done);
    sl_json_uint(json, "tokens_done", status.tokens_done);
    sl_json_open(json, "shares", '{');
    sl_json_uint(json, "accepted", status.shares_accepted);
    sl_json_uint(json, "stale", status.shares_stale);
    sl_json_uint(json, "rejected", status.shares_rejected);
    sl_json_uint(json, "unknown", status.shares_unknown);
    sl_json_uint(json, "implausible", status.shares_implausible);
    sl_json_close(json, '}');
    sl_json_uint(json, "hashrate_hs", status.hash_rate_hs);
    sl_json_decimal(json, "hash_factor", (uint64_t)status.hash_factor_milli, 3);
    write_switches(json, "switches", &status.switches);
    write_money(json, &status.money);
    sl_view_power_summary_json(json, core, now);
    sl_json_close(json, '}');
}

static void write_nodes(struct sl_json *json, const struct sl_broker_core *core,
                        struct sl_now now) {
    struct sl_view_node node;
    sl_json_open(json, NULL, '{');
    sl_json_open(json, "nodes", '[');
    for (uint32_t i = 0; sl_view_node_get(core, now, i, &node); i++) {
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "node", node.node);
        sl_json_text(json, "public_key", node.node_key);
        sl_json_text(json, "version", node.version);
        sl_json_text(json, "state", node.state);
        sl_json_int(json, "report_age_ms", node.report_age_ms);
        sl_json_uint(json, "devices", node.device_count);
        sl_json_uint(json, "results_spooled", node.results_spooled);
        sl_json_uint(json, "shares_spooled", node.shares_spooled);
        sl_view_pool_json(json, "pool", NULL, &node.pool);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
}

static void write_open_batch(struct sl_json *json, const struct sl_view_batch *batch) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "id", batch->id);
    sl_json_text(json, "tenant", batch->tenant);
    sl_json_text(json, "status", sl_batch_state_name(batch->state));
    sl_json_usd(json, "bid_usd_per_mtok", batch->bid_nusd_per_mtok);
    sl_json_uint(json, "waiting", batch->waiting);
    sl_json_uint(json, "issued", batch->issued);
    sl_json_uint(json, "done", batch->done);
    sl_json_uint(json, "failed", batch->failed);
    sl_json_text(json, "held",
                 batch->tenant_gone   ? "tenant"
                 : batch->over_budget ? "budget"
                 : batch->file_lost   ? "model file"
                                      : NULL);
    sl_json_close(json, '}');
}

/* Prices are for everybody; a tenant sees its own batches, an operator (tenant empty) all. */
static void write_market(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now,
                         const char *tenant) {
    struct sl_view_feed feed;
    struct sl_view_batch batch;
    sl_json_open(json, NULL, '{');
    sl_json_time(json, "now", now.wall);
    sl_json_open(json, "feeds", '[');
    for (uint32_t i = 0; sl_view_feed_get(core, now, i, &feed); i++) {
        sl_view_feed_json(json, &feed);
    }
    sl_json_close(json, ']');
    sl_json_open(json, "batches", '[');
    for (uint32_t i = 0; sl_view_batch_get(core, now, i, &batch); i++) {
        if (tenant[0] == '\0' || strcmp(tenant, batch.tenant) == 0) {
            write_open_batch(json, &batch);
        }
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
}

/* Ids that some device offers, each once. */
static void write_models(struct sl_json *json, const struct sl_broker_core *core) {
    const char *ids[SL_CORE_MODELS_MAX];
    uint32_t count = sl_view_models_get(core, ids, SL_CORE_MODELS_MAX);
    sl_json_open(json, NULL, '[');
    for (uint32_t i = 0; i < count; i++) {
        sl_json_text(json, NULL, ids[i]);
    }
    sl_json_close(json, ']');
}

/* Tokens of all devices by the time they spent on leases; unknown before the first lease. */
static void write_token_rate(struct sl_json *json, const struct sl_broker_core *core) {
    uint64_t rate_milli = sl_view_token_rate(core);
    if (rate_milli > 0) {
        sl_json_decimal(json, "tokens_per_s", rate_milli, 3);
    } else {
        sl_json_null(json, "tokens_per_s");
    }
}

static void write_summary(struct sl_json *json, const struct sl_broker_core *core,
                          struct sl_now now) {
    struct sl_view_status status;
    sl_view_status_get(core, now, &status);
    sl_json_uint(json, "hashrate_hs", status.hash_rate_hs);
    write_token_rate(json, core);
    sl_json_uint(json, "switches", status.switches.count);
    if (status.switches.count > 0) {
        sl_json_decimal(json, "switch_ms_p50", status.switches.p50_us, 3);
        sl_json_decimal(json, "switch_ms_p99", status.switches.p99_us, 3);
    } else {
        sl_json_null(json, "switch_ms_p50");
        sl_json_null(json, "switch_ms_p99");
    }
    sl_json_open(json, "revenue_nusd", '{');
    sl_json_i128(json, "hash", status.money.hash_nusd);
    sl_json_i128(json, "lease", status.money.lease_nusd);
    sl_json_i128(json, "power", status.money.power_nusd);
    sl_json_i128(json, "always_hash", status.money.always_hash_nusd);
    sl_json_i128(json, "always_lease", status.money.always_lease_nusd);
    sl_json_close(json, '}');
}

/* Estimates at quoted prices, all on the same market; the policy in force is among them. */
static void write_shadows(struct sl_json *json, const struct sl_broker_core *core) {
    const char *version = NULL;
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "policy", sl_view_policy(core, &version));
    sl_json_text(json, "policy_version", version);
    sl_json_open(json, "shadows", '[');
    for (uint32_t i = 0; i < SL_AGAINST_COUNT; i++) {
        struct sl_view_shadow shadow;
        sl_view_shadow_get(core, i, &shadow);
        sl_json_open(json, NULL, '{');
        sl_json_text(json, "name", shadow.name);
        sl_json_usd(json, "hash_usd", shadow.hash_nusd);
        sl_json_usd(json, "rest_usd", shadow.rest_nusd);
        sl_json_usd(json, "net_usd", shadow.hash_nusd + shadow.rest_nusd);
        sl_json_uint(json, "switches", shadow.switches);
        sl_json_close(json, '}');
    }
    sl_json_close(json, ']');
    sl_json_close(json, '}');
}

static int render(struct sl_json *json, const struct sl_broker_core *core, struct sl_now now,
                  enum sl_http_view view, const char *arg) {
    struct sl_view_status status;
    switch (view) {
    case SL_HTTP_VIEW_HEALTH:
        sl_json_raw(json, NULL, "{\"status\":\"ok\"}");
        return SL_OK;
    case SL_HTTP_VIEW_STATUS:
        write_status(json, core, now);
        return SL_OK;
    case SL_HTTP_VIEW_NODES:
        write_nodes(json, core, now);
        return SL_OK;
    case SL_HTTP_VIEW_DEVICES:
        return sl_view_devices_json(json, core, now, arg);
    case SL_HTTP_VIEW_DEVICE:
        return sl_view_device_by_key_json(json, core, now, arg);
    case SL_HTTP_VIEW_MARKET:
        write_market(json, core, now, arg);
        return SL_OK;
    case SL_HTTP_VIEW_FEEDS:
        sl_view_feeds_json(json, core, now);
        return SL_OK;
    case SL_HTTP_VIEW_POOLS:
        sl_view_pools_json(json, core, now);
        return SL_OK;
    case SL_HTTP_VIEW_MODELS:
        write_models(json, core);
        return SL_OK;
    case SL_HTTP_VIEW_SWITCHES:
        sl_view_status_get(core, now, &status);
        write_switches(json, NULL, &status.switches);
        return SL_OK;
    case SL_HTTP_VIEW_SHADOWS:
        write_shadows(json, core);
        return SL_OK;
    case SL_HTTP_VIEW_SUMMARY:
        write_summary(json, core, now);
        return SL_OK;
    case SL_HTTP_VIEW_POWER:
        return sl_view_power_json(json, core, now, arg);
    case SL_HTTP_VIEW_METRICS:
        sl_view_metrics_text(&json->buf, core, now);
        return SL_OK;
    case SL_HTTP_VIEW_STRESS:
        return sl_view_stress_json(json, core, now, arg);
    case SL_HTTP_VIEW_RATES:
        sl_view_rates_json(json, core, now);
        return SL_OK;
    case SL_HTTP_VIEW_AGENTS:
        sl_view_agents_json(json, core, now);
        return SL_OK;
    case SL_HTTP_VIEW_TRUST:
        sl_view_healths_json(json, core);
        return SL_OK;
    case SL_HTTP_VIEW_INVALID:
    default:
        return -SL_UNSUPPORTED;
    }
}

char *sl_http_view_text(const struct sl_broker_core *core, struct sl_now now,
                        enum sl_http_view view, const char *arg, int *ret_status) {
    struct sl_json json = {0};
    int rc = render(&json, core, now, view, arg);
    if (rc == -SL_NOTFOUND) {
        sl_json_fini(&json);
        sl_buf_printf(&json.buf, "No such device: '%s'.", sl_view_page_key(arg));
    }
    if (json.buf.failed || !json.buf.data) {
        sl_json_fini(&json);
        *ret_status = rc == SL_OK ? -SL_NOMEM : rc;
        return NULL;
    }
    *ret_status = rc;
    return json.buf.data;
}

void sl_http_answer_view(struct sl_http *http, const struct sl_broker_core *core, struct sl_now now,
                         const struct sl_http_request *request) {
    int status = SL_OK;
    char *text = sl_http_view_text(core, now, request->view, request->arg, &status);
    sl_http_reply(http, request->cookie, status, text);
    free(text);
}
