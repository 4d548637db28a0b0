/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/config.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/text.h"

#define FIELD(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define BROKER(member) FIELD(struct sl_broker_config, member)
#define FEED(member) FIELD(struct sl_feed_config, member)
#define TENANT(member) FIELD(struct sl_tenant_config, member)
#define HOUR_MS INT64_C(3600000)
#define USD_MAX (INT64_C(1000000000) * 9)

static const struct sl_conf_option feed_schema[] = {
    {"id", SL_CONF_TEXT, FEED(id), .min = 1, .max = 31,
     .help = "Name of the feed in screens, metrics and the ledger."},
    {"role", SL_CONF_CHOICE, FEED(role), .choices = "hashprice|power|lease_ref|currency|carbon",
     .help = "What the price is for: hash revenue, electricity, a lease reference rate, a currency "
             "in USD, the grid's carbon intensity."},
    {"kind", SL_CONF_CHOICE, FEED(kind), .choices = "csv|http", .fallback = "csv",
     .help = "A recorded CSV file that is replayed and followed, or a JSON answer over HTTP."},
    {"unit", SL_CONF_CHOICE, FEED(unit),
     .choices = "usd_per_ph_day|usd_per_th_day|usd_per_kwh|usd_per_mwh|usd_per_gpu_hour",
     .help = "Unit of the source's figure. A bare number is never a price."},
    {"path", SL_CONF_TEXT, FEED(path), .min = 0, .max = 255, .fallback = "",
     .help = "csv: the file. Its first line names the columns."},
    {"time_column", SL_CONF_TEXT, FEED(time_column), .min = 1, .max = 63, .fallback = "timestamp",
     .help = "csv: column of RFC 3339 times."},
    {"column", SL_CONF_TEXT, FEED(value_column), .min = 0, .max = 63, .fallback = "",
     .help = "csv: column of the price."},
    {"speed", SL_CONF_DECIMAL, FEED(speed_milli), .digits = 3, .min = 1, .max = 100000000000,
     .fallback = "1", .help = "csv: recorded seconds that pass in one real second."},
    {"loop", SL_CONF_BOOL, FEED(loop), .fallback = "false",
     .help = "csv: begin again after the last row (a demo); else it stays and grows stale."},
    {"url", SL_CONF_TEXT, FEED(url), .min = 0, .max = 255, .fallback = "",
     .help = "http: address of the JSON document."},
    {"value_path", SL_CONF_TEXT, FEED(dot_path), .min = 0, .max = 127, .fallback = "",
     .help = "http: where the number stands, such as data.0.hashprice."},
    {"interval", SL_CONF_SPAN_MS, FEED(interval_ms), .min = 1000, .max = 24 * HOUR_MS,
     .fallback = "60s", .help = "http: time between two requests."},
    {"age_max", SL_CONF_SPAN_MS, FEED(age_max_ms), .min = 1000, .max = 400 * 24 * HOUR_MS,
     .fallback = "1h", .help = "An older price is stale: no device is moved by it."},
    {0},
};

static const struct sl_conf_option tenant_schema[] = {
    {"id", SL_CONF_TEXT, TENANT(id), .min = 1, .max = 63, .help = "Tenant id; keys name it."},
    {"default_bid", SL_CONF_DECIMAL, .unit = "USD/Mtok", TENANT(default_bid_nusd), .digits = 9,
     .min = 1, .max = SL_BID_MAX_NUSD, .help = "Bid of a batch that names none."},
    {"budget", SL_CONF_DECIMAL, .unit = "USD", TENANT(budget_nusd), .digits = 9,
     .min = -SL_NUSD_PER_USD, .max = USD_MAX * SL_NUSD_PER_USD, .fallback = "-1",
     .help = "Greatest sum the tenant may run up; -1: unlimited."},
    {0},
};

static const struct sl_conf_option catalogue_schema[] = {
    {"id", SL_CONF_TEXT, FIELD(struct sl_catalogue_config, id), .min = 1, .max = 63,
     .help = "Model id as tenants name it; agents that have it serve it."},
    {0},
};

const struct sl_conf_option sl_broker_schema[] = {
    {"data_dir", SL_CONF_TEXT, BROKER(data_dir), .min = 1, .max = 200,
     .help = "Store, files of tenants, operator key. Created with mode 0700."},
    {"record_prices", SL_CONF_BOOL, BROKER(record_prices), .fallback = "true",
     .help = "Write every new price to data_dir/prices/FEED.csv, for `sluice backtest`."},
    {"log_level", SL_CONF_CHOICE, BROKER(log_level), .choices = "error|warn|info|debug",
     .fallback = "info", .help = "What goes to the log (stderr)."},
    {"agents.listen", SL_CONF_TEXT, BROKER(agents_listen), .min = 1, .max = 127,
     .fallback = "tcp://127.0.0.1:7600", .help = "Where agents connect (ZeroMQ with CURVE)."},
    {"agents.key_file", SL_CONF_TEXT, BROKER(key_file), .min = 1, .max = 255,
     .help = "The broker's CURVE keys, made by `sluice-broker keygen`."},
    {"agents.allowed_file", SL_CONF_TEXT, BROKER(allowed_file), .min = 1, .max = 255,
     .help = "Public keys of the agents that are let in, one a line."},
    {"agents.lease_ttl", SL_CONF_SPAN_MS, BROKER(lease_ttl_ms), .min = 500, .max = HOUR_MS,
     .fallback = "5s", .help = "How long an agent works on without hearing from the broker."},
    {"agents.report_every", SL_CONF_SPAN_MS, BROKER(report_ms), .min = 100, .max = 60000,
     .fallback = "1s", .help = "How often agents report."},
    {"agents.lost_after", SL_CONF_SPAN_MS, BROKER(lost_ms), .min = 500, .max = HOUR_MS,
     .fallback = "5s", .help = "An agent that is silent for so long is lost."},
    {"agents.safe_mode", SL_CONF_CHOICE, BROKER(safe_mode), .choices = "idle|hash",
     .fallback = "hash", .help = "What a device does when it has no valid directive."},
    {"agents.safe_mode_max", SL_CONF_SPAN_MS, BROKER(safe_mode_max_ms), .min = 0,
     .max = 30 * 24 * HOUR_MS, .fallback = "6h", .help = "After so long in safe mode: idle."},
    {"http.listen", SL_CONF_TEXT, BROKER(http_listen), .min = 1, .max = 127,
     .fallback = "127.0.0.1:7680", .help = "Address of the HTTP API; port 0: a free one."},
    {"http.host_name", SL_CONF_TEXT, BROKER(http_host_name), .min = 0, .max = 127, .fallback = "",
     .help = "DNS name under which the API may be reached, besides addresses and localhost."},
    {"http.port_file", SL_CONF_TEXT, BROKER(http_port_file), .min = 0, .max = 255, .fallback = "",
     .help = "The bound port is written here, when given."},
    {"policy.file", SL_CONF_TEXT, BROKER(policy_file), .min = 0, .max = 200, .fallback = "",
     .help = "The policy document, such as deploy/config/policy.yaml; from this file's folder, "
             "unless it begins with /. Empty: the values shipped."},
    {"policy.threshold", SL_CONF_DECIMAL, .unit = "%", BROKER(threshold_ppm), .digits = 4, .min = 0,
     .max = 10000000, .fallback = "2",
     .help = "A move must earn so much more than staying, after its switching cost."},
    {"policy.dwell_min", SL_CONF_SPAN_MS, BROKER(dwell_ms), .min = 0, .max = 24 * HOUR_MS,
     .fallback = "10s", .help = "After a move caused by price, stay at least so long."},
    {"policy.switch_horizon", SL_CONF_SPAN_MS, BROKER(horizon_ms), .min = 100, .max = 24 * HOUR_MS,
     .fallback = "60s", .help = "The measured cost of a switch is spread over so long."},
    {"policy.batch_life", SL_CONF_SPAN_MS, BROKER(batch_life_ms), .min = 1000,
     .max = 30 * 24 * HOUR_MS, .fallback = "24h",
     .help = "A batch without a deadline expires after so long."},
    {"policy.unit_lines", SL_CONF_INT, BROKER(unit_lines), .min = 1, .max = SL_MSG_LINES_MAX,
     .fallback = "32", .help = "Lines of one work unit."},
    {"policy.units_ahead", SL_CONF_INT, BROKER(units_ahead), .min = 1, .max = 16, .fallback = "2",
     .help = "Work units a device holds beyond the one it works on."},
    {"hash_factor", SL_CONF_DECIMAL, BROKER(hash_factor_milli), .digits = 3, .min = 0,
     .max = INT64_C(1000000000000), .fallback = "1",
     .help = "The hashprice is multiplied by this: 1 in earnest, more in a demo on a CPU."},
    {"power.tariff", SL_CONF_CHOICE, BROKER(tariff), .choices = "unknown|fixed|feed",
     .fallback = "unknown", .help = "Where the electricity price comes from."},
    {"power.price", SL_CONF_DECIMAL, .unit = "USD/kWh", BROKER(tariff_nusd_per_kwh), .digits = 9,
     .min = 0, .max = 1000 * SL_NUSD_PER_USD, .fallback = "0",
     .help = "The fixed tariff, with fees and taxes."},
    {"feeds", SL_CONF_LIST, .offset = offsetof(struct sl_broker_config, feeds),
     .size = sizeof(struct sl_feed_config), .max = SL_CORE_FEEDS_MAX, .item = feed_schema,
     .count_offset = offsetof(struct sl_broker_config, feed_count), .fallback = "[]",
     .help = "Prices the broker decides by."},
    {"tenants", SL_CONF_LIST, .offset = offsetof(struct sl_broker_config, tenants),
     .size = sizeof(struct sl_tenant_config), .max = SL_CORE_TENANTS_MAX, .item = tenant_schema,
     .count_offset = offsetof(struct sl_broker_config, tenant_count), .fallback = "[]",
     .help = "Who may submit batches."},
    {"models", SL_CONF_LIST, .offset = offsetof(struct sl_broker_config, models),
     .size = sizeof(struct sl_catalogue_config), .max = SL_CORE_MODELS_MAX,
     .item = catalogue_schema, .count_offset = offsetof(struct sl_broker_config, model_count),
     .fallback = "[]", .help = "Models on offer."},
    {0},
};

static int check_unique(const struct sl_broker_config *c, struct sl_error *err) {
    for (uint32_t i = 0; i < c->feed_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(c->feeds[i].id, c->feeds[k].id) == 0) {
                return sl_fail(err, SL_INVALID, "two feeds are called '%s'", c->feeds[i].id);
            }
        }
    }
    for (uint32_t i = 0; i < c->tenant_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(c->tenants[i].id, c->tenants[k].id) == 0) {
                return sl_fail(err, SL_INVALID, "two tenants are called '%s'", c->tenants[i].id);
            }
        }
    }
    return SL_OK;
}

static int check(const struct sl_broker_config *c, struct sl_error *err) {
    bool power_feed = false;
    for (uint32_t i = 0; i < c->feed_count; i++) {
        int rc = sl_feed_check(&c->feeds[i], err);
        if (rc) {
            return rc;
        }
        power_feed |= c->feeds[i].role + 1 == SL_FEED_POWER;
    }
    if (c->tariff == 2 && !power_feed) {
        return sl_fail(err, SL_INVALID, "power.tariff is 'feed', but no feed has the role power");
    }
    if (c->lost_ms < c->report_ms * 2) {
        return sl_fail(err, SL_INVALID,
                       "agents.lost_after must be at least twice agents.report_every");
    }
    return check_unique(c, err);
}

/* A document that is named stands beside the configuration, however the broker was started. */
static int read_document(const char *path, struct sl_broker_config *c, struct sl_error *err) {
    if (c->policy_file[0] == '\0') {
        sl_policy_document_default(&c->document);
        return SL_OK;
    }
    char full[4096 + sizeof c->policy_file];
    const char *slash = strrchr(path, '/');
    int folder = c->policy_file[0] == '/' || !slash ? 0 : (int)(slash - path) + 1;
    int n = snprintf(full, sizeof full, "%.*s%s", folder, path, c->policy_file);
    if (n < 0 || (size_t)n >= sizeof full) {
        return sl_fail(err, SL_LIMIT, "%s: policy.file is too deep in folders", path);
    }
    int rc = sl_policy_document_read(full, &c->document, err);
    return rc ? sl_wrap(err, "%s: policy.file", path) : SL_OK;
}

int sl_broker_config_read(const char *path, struct sl_broker_config *ret_config,
                          struct sl_error *err) {
    int rc = sl_conf_read(path, sl_broker_schema, ret_config, sizeof *ret_config, err);
    if (rc) {
        return rc;
    }
    rc = check(ret_config, err);
    return rc ? sl_wrap(err, "%s", path) : read_document(path, ret_config, err);
}

void sl_broker_config_core(const struct sl_broker_config *c, struct sl_core_config *ret_core) {
    *ret_core = (struct sl_core_config){
        .lease_ttl_ms = c->lease_ttl_ms,
        .report_ms = c->report_ms,
        .session_lost_ms = c->lost_ms,
        .safe_mode = c->safe_mode ? SL_MODE_HASH : SL_MODE_IDLE,
        .safe_mode_max_ms = c->safe_mode_max_ms,
        .threshold_ppm = c->threshold_ppm,
        .dwell_min_ms = c->dwell_ms,
        .switch_horizon_ms = c->horizon_ms,
        .hash_factor_milli = c->hash_factor_milli,
        .power_nusd_per_kwh = c->tariff == 1 ? c->tariff_nusd_per_kwh : -1,
        .batch_life_ms = c->batch_life_ms,
        .unit_lines = (uint32_t)c->unit_lines,
        .units_ahead = (uint32_t)c->units_ahead,
        .policy = c->document,
        .feed_count = c->feed_count,
        .tenant_count = c->tenant_count,
        .model_count = c->model_count,
    };
    for (uint32_t i = 0; i < c->feed_count; i++) {
        struct sl_core_feed *feed = &ret_core->feeds[i];
        sl_text_copy(feed->id, sizeof feed->id, c->feeds[i].id);
        feed->role = (enum sl_feed_role)(c->feeds[i].role + 1);
        feed->age_max_ms = c->feeds[i].age_max_ms;
    }
    for (uint32_t i = 0; i < c->tenant_count; i++) {
        struct sl_core_tenant *tenant = &ret_core->tenants[i];
        sl_text_copy(tenant->id, sizeof tenant->id, c->tenants[i].id);
        tenant->default_bid_nusd_per_mtok = c->tenants[i].default_bid_nusd;
        tenant->budget_nusd = c->tenants[i].budget_nusd;
    }
    for (uint32_t i = 0; i < c->model_count; i++) {
        sl_text_copy(ret_core->models[i], sizeof ret_core->models[i], c->models[i].id);
    }
}
