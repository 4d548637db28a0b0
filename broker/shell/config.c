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

#define INPUT(member) FIELD(struct sl_feed_input, member)
#define DAY_MS (24 * HOUR_MS)
#define FACTOR_MAX INT64_C(1000000000000000000) /* a million, with 12 decimals */

static const struct sl_conf_option input_schema[] = {
    {"name", SL_CONF_CHOICE, INPUT(name),
     .choices = "difficulty|reward|first_block|last_block|price",
     .help = "Which figure of the derivation this is."},
    {"resource", SL_CONF_TEXT, INPUT(resource), .min = 0, .max = 255, .fallback = "",
     .help = "What is put behind url."},
    {"value_path", SL_CONF_TEXT, INPUT(value_path), .min = 1, .max = 127,
     .help = "Where the figure stands in the answer."},
    {"time_path", SL_CONF_TEXT, INPUT(time_path), .min = 0, .max = 127, .fallback = "",
     .help = "Where its time stands, if it has one."},
    {0},
};

static const struct sl_conf_option feed_schema[] = {
    {"id", SL_CONF_TEXT, FEED(id), .min = 1, .max = 31,
     .help = "Name of the feed in screens, metrics and the ledger."},
    {"description", SL_CONF_BASE,
     .help = "A ready description (deploy/feeds): its values count where this item has none."},
    {"role", SL_CONF_CHOICE, FEED(role), .choices = "hashprice|power|lease_ref|currency|carbon",
     .help = "What the price is for: hash revenue, electricity, a lease reference rate, a currency "
             "in USD, the grid's carbon intensity."},
    {"kind", SL_CONF_CHOICE, FEED(kind), .choices = "csv|http", .fallback = "csv",
     .help = "A recorded CSV file that is replayed and followed, or an answer over HTTP."},
    {"unit", SL_CONF_TEXT, FEED(unit), .min = 1, .max = SL_FEED_UNIT_MAX - 1,
     .help = "Unit of the source's figure, such as usd_per_ph_day, btc_per_th_day, eur_per_mwh, "
             "pence_per_kwh, usd_per_gpu_hour, usd_per_btc, g_per_kwh. A bare number is never a "
             "price."},
    {"factor", SL_CONF_DECIMAL, FEED(factor_e12), .digits = 12, .min = 1, .max = FACTOR_MAX,
     .fallback = "1", .help = "The source's figure is multiplied by this before its unit counts."},
    {"algorithm", SL_CONF_TEXT, FEED(algorithm), .min = 0, .max = 15, .fallback = "",
     .help = "hashprice: of which algorithm; empty: sha256d."},
    {"model", SL_CONF_TEXT, FEED(model), .min = 0, .max = 47, .fallback = "",
     .help = "lease_ref: of which GPU, as the source names it."},
    {"path", SL_CONF_TEXT, FEED(path), .min = 0, .max = 255, .fallback = "",
     .help = "csv: the file. Its first line names the columns."},
    {"time_column", SL_CONF_TEXT, FEED(time_column), .min = 1, .max = 63, .fallback = "timestamp",
     .help = "csv: column of times with their offset or Z."},
    {"column", SL_CONF_TEXT, FEED(value_column), .min = 0, .max = 63, .fallback = "",
     .help = "csv: column of the price."},
    {"filter_column", SL_CONF_TEXT, FEED(filter_column), .min = 0, .max = 63, .fallback = "",
     .help = "csv: only rows that have filter_value in this column count."},
    {"filter_value", SL_CONF_TEXT, FEED(filter_value), .min = 0, .max = 63, .fallback = "",
     .help = "csv: see filter_column."},
    {"speed", SL_CONF_DECIMAL, FEED(speed_milli), .digits = 3, .min = 1, .max = 100000000000,
     .fallback = "1", .help = "csv: recorded seconds that pass in one real second."},
    {"loop", SL_CONF_BOOL, FEED(loop), .fallback = "false",
     .help = "csv: begin again after the last row (a demo); else it stays and grows stale."},
    {"url", SL_CONF_TEXT, FEED(url), .min = 0, .max = 255, .fallback = "",
     .help = "http: address of the source, whole or without what resource adds."},
    {"resource", SL_CONF_TEXT, FEED(resource), .min = 0, .max = 383, .fallback = "",
     .help = "http: what is put behind url."},
    {"format", SL_CONF_CHOICE, FEED(format), .choices = "json|csv", .fallback = "json",
     .help = "http: what is answered; csv: the last row that is not in the future counts."},
    {"method", SL_CONF_CHOICE, FEED(method), .choices = "get|post", .fallback = "get",
     .help = "http: how it is asked."},
    {"body", SL_CONF_TEXT, FEED(body), .min = 0, .max = 1023, .fallback = "",
     .help = "http: JSON that a post sends."},
    {"key_header", SL_CONF_TEXT, FEED(key_header), .min = 0, .max = 63, .fallback = "",
     .help = "http: header that the source wants a key in, such as X-Api-Key."},
    {"key_prefix", SL_CONF_TEXT, FEED(key_prefix), .min = 0, .max = 31, .fallback = "",
     .help = "http: what stands before the key in its header, such as \"Bearer \"."},
    {"key_file", SL_CONF_TEXT, FEED(key_file), .min = 0, .max = 255, .fallback = "",
     .help = "http: file with the key in its first line, mode 0600."},
    {"ca_file", SL_CONF_TEXT, FEED(ca_file), .min = 0, .max = 255, .fallback = "",
     .help = "http: certificates that are trusted instead of the system's."},
    {"value_path", SL_CONF_TEXT, FEED(value_path), .min = 0, .max = 127, .fallback = "",
     .help = "json: where the number stands, such as data.0.hashprice, coins[tag=ERG].btc_revenue "
             "or offers.*.dph_total."},
    {"pick", SL_CONF_CHOICE, FEED(pick), .choices = "only|first|last|min|median|max|newest",
     .fallback = "only", .help = "json: which of several values counts."},
    {"divide_by", SL_CONF_TEXT, FEED(divide_by), .min = 0, .max = 63, .fallback = "",
     .help = "json: figure of the row that its value is divided by."},
    {"time_path", SL_CONF_TEXT, FEED(time_path), .min = 0, .max = 127, .fallback = "",
     .help = "json: from when the value is; its age counts from there on."},
    {"valid_from", SL_CONF_TEXT, FEED(valid_from), .min = 0, .max = 63, .fallback = "",
     .help = "json: a row counts from this time of it on."},
    {"valid_to", SL_CONF_TEXT, FEED(valid_to), .min = 0, .max = 63, .fallback = "",
     .help = "json: a row counts until before this time of it."},
    {"skip_if", SL_CONF_TEXT, FEED(skip_if), .min = 0, .max = 63, .fallback = "",
     .help = "json: a row in which this is true is left out."},
    {"derive", SL_CONF_CHOICE, FEED(derive), .choices = "none|bitcoin_hashprice",
     .fallback = "none", .help = "http: the figure follows from several, which inputs names."},
    {"inputs", SL_CONF_LIST, .offset = offsetof(struct sl_feed_config, inputs),
     .size = sizeof(struct sl_feed_input), .max = SL_FEED_INPUTS_MAX, .item = input_schema,
     .count_offset = offsetof(struct sl_feed_config, input_count), .fallback = "[]",
     .help = "http: the figures of the derivation."},
    {"interval", SL_CONF_SPAN_MS, FEED(interval_ms), .min = 1000, .max = DAY_MS, .fallback = "60s",
     .help = "http: time between two requests."},
    {"timeout", SL_CONF_SPAN_MS, FEED(timeout_ms), .min = 100, .max = 60000, .fallback = "5s",
     .help = "http: a whole answer must come within this time."},
    {"connect_timeout", SL_CONF_SPAN_MS, FEED(connect_timeout_ms), .min = 100, .max = 60000,
     .fallback = "3s", .help = "http: the connection must stand within this time."},
    {"age_max", SL_CONF_SPAN_MS, FEED(age_max_ms), .min = 1000, .max = 400 * DAY_MS,
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
    {"input_prefix", SL_CONF_TEXT, FIELD(struct sl_catalogue_config, input_prefix), .min = 0,
     .max = 255, .fallback = "",
     .help = "Goes before every text of new batches (e5: \"query: \"); its tokens are billed like "
             "the text's. Empty: texts are taken as they come. Inputs of token ids get none."},
    {0},
};

#define WINDOW(member) FIELD(struct sl_tariff_config, member)

static const struct sl_conf_option window_schema[] = {
    {"days", SL_CONF_TEXT, WINDOW(days), .min = 3, .max = 63, .fallback = "all",
     .help = "On which it begins: all, mon-fri, or a list such as sat,sun."},
    {"from", SL_CONF_TEXT, WINDOW(from), .min = 5, .max = 5, .help = "Local time, such as 22:00."},
    {"to", SL_CONF_TEXT, WINDOW(to), .min = 5, .max = 5,
     .help = "Likewise; at or before from: on the next day."},
    {"price", SL_CONF_DECIMAL, .unit = "USD/kWh", WINDOW(price), .digits = 9,
     .min = -1000 * SL_NUSD_PER_USD, .max = 1000 * SL_NUSD_PER_USD, .help = "In this window."},
    {0},
};

const struct sl_conf_option sl_broker_schema[] = {
    {"data_dir", SL_CONF_TEXT, BROKER(data_dir), .min = 1, .max = 200,
     .help = "Store, files of tenants, operator key. Created with mode 0700."},
    {"record_prices", SL_CONF_BOOL, BROKER(record_prices), .fallback = "true",
     .help = "Write every new price to data_dir/prices/FEED.csv, for `sluice backtest`."},
    {"log_decisions", SL_CONF_BOOL, BROKER(log_decisions), .fallback = "false",
     .help = "Append every step of every device to data_dir/decisions.jsonl, for `sluice backtest "
             "--decisions`; some 1.5 KB each."},
    {"log_level", SL_CONF_CHOICE, BROKER(log_level), .choices = "error|warn|info|debug",
     .fallback = "info", .help = "What goes to the log (stderr)."},
    {"agents.listen", SL_CONF_TEXT, BROKER(agents_listen), .min = 1, .max = 127,
     .fallback = "tcp://127.0.0.1:7600", .help = "Where agents connect (ZeroMQ with CURVE)."},
    {"agents.key_file", SL_CONF_TEXT, BROKER(key_file), .min = 1, .max = 255,
     .help = "The broker's CURVE keys, made by `sluice-broker keygen`."},
    {"agents.next_key", SL_CONF_TEXT, BROKER(next_key), .min = 0, .max = 40, .fallback = "",
     .help = "The public key that key_file will hold later: agents learn it before (`sluice agents "
             "ls`), and take no other any more once they have met it; empty: none."},
    {"agents.allowed_file", SL_CONF_TEXT, BROKER(allowed_file), .min = 0, .max = 255,
     .fallback = "",
     .help = "Public keys of agents that are let in besides those that joined, one a line; empty: "
             "none."},
    {"agents.join_listen", SL_CONF_TEXT, BROKER(join_listen), .min = 0, .max = 127,
     .fallback = "tcp://127.0.0.1:7601",
     .help = "Where new nodes present their token (`sluice agents enroll`); empty: nowhere."},
    {"agents.advertise", SL_CONF_TEXT, BROKER(advertise), .min = 0, .max = 100, .fallback = "",
     .help = "Host name or address of this broker that tokens name; empty: the one it listens on."},
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
    {"agents.hash_rate_max", SL_CONF_INT, .unit = "GH/s", BROKER(hash_rate_max_ghs), .min = 1,
     .max = 1000000, .fallback = "1000000",
     .help = "No device hashes faster: a higher rate is not believed, and shares beyond it are "
             "flagged."},
    {"http.listen", SL_CONF_TEXT, BROKER(http_listen), .min = 1, .max = 127,
     .fallback = "127.0.0.1:7680", .help = "Address of the HTTP API; port 0: a free one."},
    {"http.host_name", SL_CONF_TEXT, BROKER(http_host_name), .min = 0, .max = 127, .fallback = "",
     .help = "DNS name under which the API may be reached, besides addresses and localhost."},
    {"http.port_file", SL_CONF_TEXT, BROKER(http_port_file), .min = 0, .max = 255, .fallback = "",
     .help = "The bound port is written here, when given."},
    {"policy.file", SL_CONF_TEXT, BROKER(policy_file), .min = 0, .max = 200, .fallback = "",
     .help = "The policy document, such as deploy/config/policy.yaml; from this file's folder, "
             "unless it begins with /. Empty: the values shipped."},
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
    {"power.tariff", SL_CONF_CHOICE, BROKER(tariff), .choices = "unknown|fixed|feed|time_of_day",
     .fallback = "unknown", .help = "Where the electricity price comes from."},
    {"power.price", SL_CONF_DECIMAL, .unit = "USD/kWh", BROKER(tariff_nusd_per_kwh), .digits = 9,
     .min = 0, .max = 1000 * SL_NUSD_PER_USD, .fallback = "0",
     .help = "The fixed tariff, with fees and taxes; by time of day, outside of all windows."},
    {"power.utc_offset", SL_CONF_INT, .unit = "minutes", BROKER(utc_offset_min), .min = -840,
     .max = 840, .fallback = "0",
     .help = "time_of_day: local time is so far ahead of UTC. It does not follow summer time."},
    {"power.windows", SL_CONF_LIST, .offset = offsetof(struct sl_broker_config, windows),
     .size = sizeof(struct sl_tariff_config), .max = SL_TARIFF_WINDOWS_MAX, .item = window_schema,
     .count_offset = offsetof(struct sl_broker_config, window_count), .fallback = "[]",
     .help = "time_of_day: prices by day and hour; the first window that fits counts."},
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
                return sl_fail(err, SL_INVALID, "feeds[%u].id: two feeds are called '%s'", i,
                               c->feeds[i].id);
            }
        }
    }
    for (uint32_t i = 0; i < c->tenant_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(c->tenants[i].id, c->tenants[k].id) == 0) {
                return sl_fail(err, SL_INVALID, "tenants[%u].id: two tenants are called '%s'", i,
                               c->tenants[i].id);
            }
        }
    }
    for (uint32_t i = 0; i < c->model_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(c->models[i].id, c->models[k].id) == 0) {
                return sl_fail(err, SL_INVALID, "models[%u].id: two models are called '%s'", i,
                               c->models[i].id);
            }
        }
    }
    return SL_OK;
}

/* A price in a currency that nothing converts could never be used. */
static int check_currency(const struct sl_broker_config *c, const struct sl_feed_config *feed,
                          struct sl_error *err) {
    struct sl_feed_unit unit;
    struct sl_feed_unit other;
    int rc = sl_feed_config_unit(feed, &unit, err);
    if (rc || unit.role == SL_FEED_CURRENCY || unit.role == SL_FEED_CARBON ||
        strcmp(unit.currency, "USD") == 0) {
        return rc;
    }
    for (uint32_t i = 0; i < c->feed_count; i++) {
        rc = sl_feed_config_unit(&c->feeds[i], &other, err);
        if (rc || (other.role == SL_FEED_CURRENCY && strcmp(other.currency, unit.currency) == 0)) {
            return rc;
        }
    }
    other = (struct sl_feed_unit){.role = SL_FEED_CURRENCY};
    char name[SL_FEED_UNIT_MAX];
    sl_text_copy(other.currency, sizeof other.currency, unit.currency);
    return sl_fail(err, SL_INVALID,
                   "feed %s is in %s: a feed with role currency and unit %s is needed too",
                   feed->id, unit.currency, sl_feed_unit_name(&other, name));
}

/* Each text begins with its option: sl_conf_locate. */
static int check(const struct sl_broker_config *c, struct sl_error *err) {
    bool power_feed = false;
    for (uint32_t i = 0; i < c->feed_count; i++) {
        int rc = sl_feed_check(&c->feeds[i], err);
        rc = rc ? rc : check_currency(c, &c->feeds[i], err);
        if (rc) {
            return sl_wrap(err, "feeds[%u]", i);
        }
        power_feed |= c->feeds[i].role + 1 == SL_FEED_POWER;
    }
    if (c->tariff == SL_TARIFF_FEED && !power_feed) {
        return sl_fail(err, SL_INVALID, "power.tariff is 'feed', but no feed has the role power");
    }
    struct sl_tariff tariff;
    int rc = sl_broker_tariff_fill(c, &tariff, err);
    if (rc) {
        return rc;
    }
    if (c->next_key[0] && sl_link_key_check(c->next_key, err) != SL_OK) {
        return sl_wrap(err, "agents.next_key");
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
        (void)sl_fail(err, SL_LIMIT, "policy.file is too deep in folders");
        return sl_conf_locate(path, err);
    }
    int rc = sl_policy_document_read(full, &c->document, err);
    if (rc) {
        (void)sl_wrap(err, "policy.file");
        return sl_conf_locate(path, err);
    }
    return SL_OK;
}

int sl_broker_config_read(const char *path, struct sl_broker_config *ret_config,
                          struct sl_error *err) {
    int rc = sl_conf_read(path, sl_broker_schema, ret_config, sizeof *ret_config, err);
    if (rc) {
        return rc;
    }
    rc = check(ret_config, err);
    return rc ? sl_conf_locate(path, err) : read_document(path, ret_config, err);
}

void sl_broker_config_core(const struct sl_broker_config *c, struct sl_core_config *ret_core) {
    *ret_core = (struct sl_core_config){
        .lease_ttl_ms = c->lease_ttl_ms,
        .report_ms = c->report_ms,
        .session_lost_ms = c->lost_ms,
        .safe_mode = c->safe_mode ? SL_MODE_HASH : SL_MODE_IDLE,
        .safe_mode_max_ms = c->safe_mode_max_ms,
        .threshold_ppm = c->document.threshold_ppm,
        .dwell_min_ms = c->document.dwell_min_ms,
        .switch_horizon_ms = c->document.switch_horizon_ms,
        .hash_factor_milli = c->hash_factor_milli,
        .hash_rate_max_hs = c->hash_rate_max_ghs * INT64_C(1000000000),
        .power_nusd_per_kwh = c->tariff == SL_TARIFF_FIXED ? c->tariff_nusd_per_kwh : -1,
        .batch_life_ms = c->batch_life_ms,
        .unit_lines = (uint32_t)c->unit_lines,
        .units_ahead = (uint32_t)c->units_ahead,
        .log_decisions = c->log_decisions,
        .policy = c->document,
        .quote = c->document.quote,
        .calibration = c->document.calibration,
        .feed_count = c->feed_count,
        .tenant_count = c->tenant_count,
        .model_count = c->model_count,
    };
    sl_text_copy(ret_core->next_server_key, sizeof ret_core->next_server_key, c->next_key);
    sl_broker_tariff_fill(c, &ret_core->tariff, NULL); /* checked when it was read */
    for (uint32_t i = 0; i < c->feed_count; i++) {
        struct sl_core_feed *feed = &ret_core->feeds[i];
        sl_text_copy(feed->id, sizeof feed->id, c->feeds[i].id);
        feed->role = (enum sl_feed_role)(c->feeds[i].role + 1);
        feed->age_max_ms = c->feeds[i].age_max_ms;
        sl_text_copy(feed->algorithm, sizeof feed->algorithm, c->feeds[i].algorithm);
        sl_text_copy(feed->model, sizeof feed->model, c->feeds[i].model);
        struct sl_feed_unit unit = {0};
        if (sl_feed_config_unit(&c->feeds[i], &unit, NULL) == SL_OK) { /* it was checked */
            sl_text_copy(feed->currency, sizeof feed->currency, unit.currency);
        }
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
