/* SPDX-License-Identifier: Apache-2.0
 * status, nodes, devices, market. */
#include <string.h>

#include "broker/cli/cli.h"

/* Options of verbs that have none. */
static int get_plain(struct sl_cli *cli, const char *path, struct sl_cli_answer *answer,
                     struct sl_error *err) {
    int rc = sl_cli_options(cli, NULL, 0, 0, err);
    rc = rc ? rc : sl_cli_get(cli, path, answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(answer);
    }
    return rc;
}

static void set_text(json_t *row, const char *key, const struct sl_buf *text) {
    json_object_set_new(row, key, json_string(text->data ? text->data : ""));
}

static void add_joined(json_t *status) {
    SL_AUTO_BUF struct sl_buf devices = {0};
    SL_AUTO_BUF struct sl_buf shares = {0};
    SL_AUTO_BUF struct sl_buf power = {0};
    SL_AUTO_BUF struct sl_buf switches = {0};
    SL_AUTO_BUF struct sl_buf energy = {0};
    SL_AUTO_BUF struct sl_buf hash = {0};
    static const char *const modes[] = {"hash", "infer", "idle"};
    sl_cli_value(status, "devices_total", SL_CLI_NUMBER, &devices);
    for (size_t i = 0; i < 3; i++) {
        char path[40];
        snprintf(path, sizeof path, "devices_by_mode.%s", modes[i]);
        sl_buf_printf(&devices, i == 0 ? ": " : ", ");
        sl_cli_value(status, path, SL_CLI_NUMBER, &devices);
        sl_buf_printf(&devices, " %s", modes[i]);
    }
    static const char *const outcomes[] = {"accepted", "stale", "rejected", "unknown"};
    for (size_t i = 0; i < 4; i++) {
        char path[40];
        snprintf(path, sizeof path, "shares.%s", outcomes[i]);
        sl_buf_printf(&shares, i == 0 ? "" : ", ");
        sl_cli_value(status, path, SL_CLI_NUMBER, &shares);
        sl_buf_printf(&shares, " %s", outcomes[i]);
    }
    sl_cli_value(status, "hash_revenue.settled_usd", SL_CLI_USD, &hash);
    sl_buf_printf(&hash, " settled, ");
    sl_cli_value(status, "hash_revenue.estimated_usd", SL_CLI_USD, &hash);
    sl_buf_printf(&hash, " estimated");
    sl_cli_value(status, "revenue_usd.power", SL_CLI_USD, &power);
    if (!json_is_true(sl_cli_find(status, "power_complete"))) {
        sl_buf_printf(&power, " (watts of some devices are unknown: not complete)");
    }
    sl_cli_value(status, "switches.count", SL_CLI_NUMBER, &switches);
    if (json_integer_value(sl_cli_find(status, "switches.count")) > 0) {
        sl_buf_printf(&switches, ", p50 ");
        sl_cli_value(status, "switches.p50_us", SL_CLI_US, &switches);
        sl_buf_printf(&switches, ", p99 ");
        sl_cli_value(status, "switches.p99_us", SL_CLI_US, &switches);
    }
    set_text(status, "devices_text", &devices);
    set_text(status, "shares_text", &shares);
    set_text(status, "power_text", &power);
    /* `sluice power` says more. */
    static const char *const kinds[] = {"idle", "hash", "infer", "curtailed"};
    for (size_t i = 0; i < 4; i++) {
        char path[40];
        snprintf(path, sizeof path, "power.energy_kwh.%s", kinds[i]);
        sl_buf_printf(&energy, i == 0 ? "" : ", ");
        sl_cli_value(status, path, SL_CLI_USD_SHORT, &energy);
        sl_buf_printf(&energy, " %s", kinds[i]);
    }
    set_text(status, "energy_text", &energy);
    set_text(status, "hash_text", &hash);
    set_text(status, "switches_text", &switches);
}

int sl_cli_status(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column fields[] = {
        {"broker", "version", SL_CLI_TEXT, false, false},
        {"time (UTC)", "now", SL_CLI_TIME, false, false},
        {"agents connected", "sessions_live", SL_CLI_NUMBER, false, false},
        {"devices", "devices_text", SL_CLI_TEXT, false, false},
        {"hash rate", "hashrate_hs", SL_CLI_RATE_HS, false, false},
        {"shares", "shares_text", SL_CLI_TEXT, false, false},
        {"batches open", "batches_open", SL_CLI_NUMBER, false, false},
        {"lines waiting", "lines_waiting", SL_CLI_NUMBER, false, false},
        {"lines at work", "lines_issued", SL_CLI_NUMBER, false, false},
        {"lines done", "lines_done", SL_CLI_NUMBER, false, false},
        {"tokens done", "tokens_done", SL_CLI_NUMBER, false, false},
        {"switches", "switches_text", SL_CLI_TEXT, false, false},
        {"USD from hashing", "revenue_usd.hash", SL_CLI_USD, false, false},
        {"  of it", "hash_text", SL_CLI_TEXT, false, false},
        {"USD from leases", "revenue_usd.lease", SL_CLI_USD, false, false},
        {"USD for power", "power_text", SL_CLI_TEXT, false, false},
        {"kWh used", "energy_text", SL_CLI_TEXT, false, false},
        {"  had it always hashed", "revenue_usd.always_hash", SL_CLI_USD, false, false},
        {"  had it always leased", "revenue_usd.always_lease", SL_CLI_USD, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = get_plain(cli, "/api/v1/status", &answer, err);
    if (rc || cli->json) {
        return rc;
    }
    if (json_is_true(sl_cli_find(answer.json, "stopped"))) {
        printf("%sSTOPPED by an operator: no device works until `sluice resume --all`%s\n",
               cli->colour ? "\033[31m" : "", cli->colour ? "\033[0m" : "");
    }
    double factor = json_number_value(sl_cli_find(answer.json, "hash_factor"));
    if (factor < 1 || factor > 1) {
        printf("The hashprice is multiplied by %.10g (hash_factor in the broker's config).\n",
               factor);
    }
    add_joined(answer.json);
    sl_cli_fields(cli, answer.json, fields);
    return SL_OK;
}

/* What the pool's session says of itself, else whether there is one. */
static void add_pool_cell(json_t *node) {
    const char *state = sl_cli_text(node, "pool.state");
    bool connected = json_is_true(sl_cli_find(node, "pool.connected"));
    bool job = json_is_true(sl_cli_find(node, "pool.has_job"));
    SL_AUTO_BUF struct sl_buf text = {0};
    sl_buf_printf(&text, "%s",
                  state[0]     ? state
                  : !connected ? "not connected"
                  : job        ? "connected"
                               : "connected, no job yet");
    set_text(node, "pool_text", &text);
}

int sl_cli_nodes(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column columns[] = {
        {"node", "node", SL_CLI_TEXT, false, false},
        {"session", "state", SL_CLI_TEXT, false, true},
        {"last report", "report_age_ms", SL_CLI_MS, true, false},
        {"devices", "devices", SL_CLI_NUMBER, true, false},
        {"pool", "pool.url", SL_CLI_TEXT, false, false},
        {"state", "pool_text", SL_CLI_TEXT, false, false},
        {"difficulty", "pool.difficulty", SL_CLI_NUMBER, true, false},
        {"accepted", "pool.shares_accepted", SL_CLI_NUMBER, true, false},
        {"stale", "pool.shares_stale", SL_CLI_NUMBER, true, false},
        {"rejected", "pool.shares_rejected", SL_CLI_NUMBER, true, false},
        {"results to send", "results_spooled", SL_CLI_NUMBER, true, false},
        {"version", "version", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = get_plain(cli, "/api/v1/nodes", &answer, err);
    if (rc || cli->json) {
        return rc;
    }
    const json_t *nodes = sl_cli_find(answer.json, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        add_pool_cell(json_array_get(nodes, i));
    }
    sl_cli_table(cli, nodes, columns,
                 "No agent was here yet: `sluice agents enroll NAME` makes a token for one.");
    return SL_OK;
}

/* The hottest of its sensors, and what slows it down. */
static void add_heat(json_t *device) {
    SL_AUTO_BUF struct sl_buf text = {0};
    sl_cli_hottest(device, &text);
    const json_t *slowed = sl_cli_find(device, "telemetry.throttled_by");
    for (size_t i = 0; i < json_array_size(slowed); i++) {
        const char *by = json_string_value(json_array_get(slowed, i));
        sl_buf_printf(&text, "%s%.20s", i == 0 ? ", slowed: " : ", ", by ? by : "");
    }
    set_text(device, "heat_text", &text);
}

/* Text cells that join several figures. */
static void add_device_cells(json_t *device) {
    char path[48];
    SL_AUTO_BUF struct sl_buf watts = {0};
    SL_AUTO_BUF struct sl_buf tokens = {0};
    SL_AUTO_BUF struct sl_buf order = {0};
    snprintf(path, sizeof path, "watts.%.16s", sl_cli_text(device, "mode"));
    sl_cli_watts(sl_cli_find(device, path), &watts);
    /* One column for several models: the fastest says what the device is good for. */
    const json_t *models = sl_cli_find(device, "models");
    double best = 0;
    for (size_t i = 0; i < json_array_size(models); i++) {
        double rate = json_number_value(sl_cli_find(json_array_get(models, i), "tokens_per_s"));
        best = rate > best ? rate : best;
    }
    sl_buf_printf(&tokens, best > 0 ? "%.0f" : "unknown", best);
    const char *pinned = sl_cli_text(device, "pinned");
    const char *ordered = sl_cli_text(device, "override");
    sl_buf_printf(&order, "%s%s%s", ordered[0] ? ordered : "-", pinned[0] ? " " : "", pinned);
    add_heat(device);
    set_text(device, "watts_text", &watts);
    set_text(device, "tokens_text", &tokens);
    set_text(device, "order_text", &order);
}

int sl_cli_devices(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column columns[] = {
        {"device", "key", SL_CLI_TEXT, false, false},
        {"state", "state", SL_CLI_TEXT, false, true},
        {"mode", "mode", SL_CLI_TEXT, false, true},
        {"since", "since_ms", SL_CLI_MS, true, false},
        {"hash rate", "hashrate_hs", SL_CLI_RATE_ZERO, true, false},
        {"tokens/s", "tokens_text", SL_CLI_TEXT, true, false},
        {"power", "watts_text", SL_CLI_TEXT, true, false},
        {"temp", "heat_text", SL_CLI_TEXT, true, false},
        {"health", "health", SL_CLI_TEXT, false, true},
        {"rule", "rule", SL_CLI_TEXT, false, false},
        {"order", "order_text", SL_CLI_TEXT, false, true},
        {"batch", "batch", SL_CLI_TEXT, false, false},
        {"trouble", "trouble", SL_CLI_TEXT, false, true},
        {"note", "note", SL_CLI_TEXT, false, true},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, NULL, 0, 0, err);
    rc = rc ? rc : sl_cli_get_pages(cli, "/api/v1/devices", "devices", &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    }
    if (rc || cli->json) {
        return rc;
    }
    const json_t *devices = sl_cli_find(answer.json, "devices");
    for (size_t i = 0; i < json_array_size(devices); i++) {
        add_device_cells(json_array_get(devices, i));
    }
    sl_cli_table(cli, devices, columns, "No device was offered yet: see `sluice nodes`.");
    return SL_OK;
}

int sl_cli_market(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column feeds[] = {
        {"price", "id", SL_CLI_TEXT, false, false},
        {"value", "value", SL_CLI_USD, true, false},
        {"unit", "unit", SL_CLI_TEXT, false, false},
        {"age", "age_ms", SL_CLI_MS, true, false},
        {"at most", "age_max_ms", SL_CLI_MS, true, false},
        {"stale", "stale", SL_CLI_TEXT, false, false},
        {"trouble", "trouble", SL_CLI_TEXT, false, true},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    static const struct sl_cli_column batches[] = {
        {"batch", "id", SL_CLI_TEXT, false, false},
        {"tenant", "tenant", SL_CLI_TEXT, false, false},
        {"status", "status", SL_CLI_TEXT, false, false},
        {"bid USD/Mtok", "bid_usd_per_mtok", SL_CLI_USD, true, false},
        {"waiting", "waiting", SL_CLI_NUMBER, true, false},
        {"at work", "issued", SL_CLI_NUMBER, true, false},
        {"done", "done", SL_CLI_NUMBER, true, false},
        {"failed", "failed", SL_CLI_NUMBER, true, false},
        {"held by", "held", SL_CLI_TEXT, false, true},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    if (cli->argc == 2 && strcmp(cli->argv[1], "shadows") == 0) {
        return sl_cli_shadows(cli, err);
    }
    if (cli->argc > 1 && strcmp(cli->argv[1], "feeds") == 0) {
        return sl_cli_market_feeds(cli, err);
    }
    if (cli->argc == 2 && strcmp(cli->argv[1], "rates") == 0) {
        return sl_cli_market_rates(cli, err);
    }
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = get_plain(cli, "/api/v1/market", &answer, err);
    if (rc || cli->json) {
        return rc;
    }
    sl_cli_table(cli, sl_cli_find(answer.json, "feeds"), feeds,
                 "No price is configured: add feeds to the broker's config.");
    sl_cli_heading(cli, "Open batches, best bid first");
    sl_cli_table(cli, sl_cli_find(answer.json, "batches"), batches, "none");
    return SL_OK;
}
