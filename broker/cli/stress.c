/* SPDX-License-Identifier: Apache-2.0
 * `stress`: what happens to this site before it happens. The broker judges the shocks' sizes. */
#include <string.h>

#include "broker/cli/cli.h"

static void add_query(struct sl_buf *path, const char *name, const char *value) {
    if (value) {
        bool first = !path->data || !strchr(path->data, '?');
        sl_buf_printf(path, "%s%s=", first ? "?" : "&", name);
        sl_cli_escape(path, value);
    }
}

static void set_text(json_t *row, const char *key, const struct sl_buf *text) {
    json_object_set_new(row, key, json_string(text->data ? text->data : ""));
}

/* What is assumed, in words, so that every figure can be judged. */
static void print_inputs(const json_t *inputs) {
    SL_AUTO_BUF struct sl_buf line = {0};
    sl_buf_printf(&line, "Prices: hash ");
    sl_cli_value(inputs, "hashprice.usd_per_ph_day", SL_CLI_USD_SHORT, &line);
    sl_buf_printf(&line, " USD/PH/day%s, power ",
                  json_is_true(sl_cli_find(inputs, "hashprice.stale")) ? " (STALE)" : "");
    sl_cli_value(inputs, "power.usd_per_kwh", SL_CLI_USD_SHORT, &line);
    sl_buf_printf(&line, " USD/kWh%s",
                  json_is_true(sl_cli_find(inputs, "power.stale")) ? " (STALE)" : "");
    const json_t *feeds = sl_cli_find(inputs, "feeds");
    for (size_t i = 0; i < json_array_size(feeds); i++) {
        const json_t *feed = json_array_get(feeds, i);
        sl_buf_printf(&line, i == 0 ? " (feeds: " : ", ");
        sl_cli_value(feed, "id", SL_CLI_TEXT, &line);
        sl_buf_printf(&line, " ");
        sl_cli_value(feed, "age_ms", SL_CLI_MS, &line);
        sl_buf_printf(&line, i + 1 == json_array_size(feeds) ? " old)" : "");
    }
    sl_buf_printf(&line, "\nPolicy document: version ");
    sl_cli_value(inputs, "policy_version", SL_CLI_TEXT, &line);
    sl_buf_printf(&line, "; a month: ");
    sl_cli_value(inputs, "fixed_usd_per_month", SL_CLI_USD, &line);
    sl_buf_printf(&line, " USD fixed, ");
    sl_cli_value(inputs, "debt_usd_per_month", SL_CLI_USD, &line);
    sl_buf_printf(&line, " USD debt service, ");
    sl_cli_value(inputs, "cash_usd", SL_CLI_USD, &line);
    sl_buf_printf(&line, " USD cash\nDevices: ");
    sl_cli_value(inputs, "devices", SL_CLI_NUMBER, &line);
    static const struct {
        const char *path;
        const char *words;
    } counts[] = {
        {"devices_away", "away (not counted)"},
        {"devices_held", "held by an order or a fault"},
        {"devices_use_assumed", "leased whenever they would be, for want of measured time"},
        {"devices_power_unknown", "of unknown power (before power)"},
        {"batches_left_out", "open batches beyond the best 64 left out"}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (json_integer_value(sl_cli_find(inputs, counts[i].path)) > 0) {
            sl_buf_printf(&line, "; ");
            sl_cli_value(inputs, counts[i].path, SL_CLI_NUMBER, &line);
            sl_buf_printf(&line, " %s", counts[i].words);
        }
    }
    printf("%s\n\n", line.data ? line.data : "");
}

static void cover_text(const json_t *side, struct sl_buf *out) {
    const char *cover = sl_cli_text(side, "cover");
    if (strcmp(cover, "cash") == 0) {
        sl_buf_printf(out, "%.1f months", json_number_value(sl_cli_find(side, "cover_months")));
    } else {
        sl_buf_printf(out, strcmp(cover, "margin") == 0 ? "by margin" : "no costs given");
    }
}

static void append_row(json_t *rows, const char *name, const json_t *side, const json_t *one) {
    json_t *row = json_object();
    SL_AUTO_BUF struct sl_buf cover = {0};
    SL_AUTO_BUF struct sl_buf margin = {0};
    sl_cli_value(side, "margin_usd_per_hour", SL_CLI_USD_SHORT, &margin);
    if (!json_is_true(sl_cli_find(side, "power_complete"))) {
        sl_buf_printf(&margin, " (gross)");
    }
    cover_text(side, &cover);
    json_object_set_new(row, "name", json_string(name));
    json_object_set(row, "side", (json_t *)side);
    set_text(row, "margin", &margin);
    set_text(row, "cover", &cover);
    if (one) {
        json_object_set(row, "case", (json_t *)one);
    }
    json_array_append_new(rows, row);
}

static void print_cases(const struct sl_cli *cli, const json_t *answer) {
    static const struct sl_cli_column columns[] = {
        {"shock", "name", SL_CLI_TEXT, false, false},
        {"revenue USD/h", "side.revenue_usd_per_hour", SL_CLI_USD_SHORT, true, false},
        {"hash", "side.hash_usd_per_hour", SL_CLI_USD_SHORT, true, false},
        {"lease", "side.lease_usd_per_hour", SL_CLI_USD_SHORT, true, false},
        {"power", "side.power_usd_per_hour", SL_CLI_USD_SHORT, true, false},
        {"margin USD/h", "margin", SL_CLI_TEXT, true, false},
        {"stop", "case.devices_stop", SL_CLI_NUMBER, true, false},
        {"move", "case.devices_move", SL_CLI_NUMBER, true, false},
        {"breaches", "case.breaches", SL_CLI_NUMBER, true, false},
        {"cover", "cover", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    json_t *rows = json_array();
    const json_t *cases = sl_cli_find(answer, "cases");
    json_t *none =
        json_pack("{s:i, s:i, s:i}", "devices_stop", 0, "devices_move", 0, "breaches", 0);
    append_row(rows, "now", sl_cli_find(answer, "before"), none);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        append_row(rows, sl_cli_text(one, "name"), sl_cli_find(one, "after"), one);
    }
    sl_cli_table(cli, rows, columns, "none");
    json_decref(none);
    json_decref(rows);
}

static void print_case(const struct sl_cli *cli, const json_t *one) {
    static const struct sl_cli_column devices[] = {
        {"device", "key", SL_CLI_TEXT, false, false},
        {"now", "before.mode", SL_CLI_TEXT, false, true},
        {"USD/h", "before.value_usd_per_hour", SL_CLI_USD_SHORT, true, false},
        {"then", "after.mode", SL_CLI_TEXT, false, true},
        {"USD/h", "after.value_usd_per_hour", SL_CLI_USD_SHORT, true, false},
        {"leased for", "use", SL_CLI_NUMBER, true, false},
        {"from", "use_source", SL_CLI_TEXT, false, false},
        {"power known", "power_known", SL_CLI_TEXT, false, false},
        {"stops", "stops", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    static const struct sl_cli_column batches[] = {
        {"batch", "id", SL_CLI_TEXT, false, false},
        {"tenant", "tenant", SL_CLI_TEXT, false, false},
        {"tokens left", "tokens_left", SL_CLI_NUMBER, true, false},
        {"due in", "deadline_in_ms", SL_CLI_MS, true, false},
        {"now", "before", SL_CLI_TEXT, false, false},
        {"done in", "before_done_in_ms", SL_CLI_MS, true, false},
        {"then", "after", SL_CLI_TEXT, false, false},
        {"done in", "after_done_in_ms", SL_CLI_MS, true, false},
        {"breach", "breaks", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    sl_cli_heading(cli, "Devices");
    sl_cli_table(cli, sl_cli_find(one, "devices"), devices, "none");
    sl_cli_heading(cli, "Open batches");
    sl_cli_table(cli, sl_cli_find(one, "batches"), batches, "none");
}

int sl_cli_stress(struct sl_cli *cli, struct sl_error *err) {
    const char *lease = NULL;
    const char *hashprice = NULL;
    const char *power = NULL;
    const char *tenant = NULL;
    bool halving = false;
    bool all = false;
    const struct sl_cli_option options[] = {
        {"--lease", &lease, NULL},
        {"--hashprice", &hashprice, NULL},
        {"--power", &power, NULL},
        {"--tenant-leaves", &tenant, NULL},
        {"--halving", NULL, &halving},
        {"--all", NULL, &all},
        {NULL, NULL, NULL},
    };
    int rc = sl_cli_options(cli, options, 0, 0, err);
    if (rc) {
        return rc;
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    sl_buf_printf(&path, "/api/v1/stress");
    add_query(&path, "lease", lease);
    add_query(&path, "hashprice", hashprice);
    add_query(&path, "power", power);
    add_query(&path, "tenant", tenant);
    add_query(&path, "halving", halving ? "1" : NULL);
    add_query(&path, "all", all ? "1" : NULL);
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                     : sl_cli_get(cli, path.data, &answer, err);
    if (rc) {
        return rc;
    }
    if (cli->json) {
        sl_cli_print_json(&answer);
        return SL_OK;
    }
    print_inputs(sl_cli_find(answer.json, "inputs"));
    print_cases(cli, answer.json);
    const json_t *cases = sl_cli_find(answer.json, "cases");
    if (json_array_size(cases) == 1) {
        print_case(cli, json_array_get(cases, 0));
    } else {
        printf("\nDevices and batches: give one shock, such as --lease -60%%, or --json.\n");
    }
    return SL_OK;
}
