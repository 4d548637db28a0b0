/* SPDX-License-Identifier: Apache-2.0
 * power: tariff, caps, strike prices, energy. */
#include <string.h>

#include "broker/cli/cli.h"

static void set_text(json_t *row, const char *key, const struct sl_buf *text) {
    json_object_set_new(row, key, json_string(text->data ? text->data : ""));
}

static bool is_set(const json_t *object, const char *path) {
    const json_t *value = sl_cli_find(object, path);
    return value && !json_is_null(value);
}

/* "0.3 W" of a JSON number of watts; `none` where it is null. */
static void watts(const json_t *object, const char *path, const char *none, struct sl_buf *out) {
    if (!is_set(object, path)) {
        sl_buf_printf(out, "%s", none);
        return;
    }
    sl_cli_value(object, path, SL_CLI_NUMBER, out);
    sl_buf_printf(out, " W");
}

static void add_price(json_t *power) {
    SL_AUTO_BUF struct sl_buf text = {0};
    if (is_set(power, "price_usd_per_kwh")) {
        sl_cli_value(power, "price_usd_per_kwh", SL_CLI_USD, &text);
        sl_buf_printf(&text, " USD/kWh");
    } else {
        sl_buf_printf(&text, json_is_true(sl_cli_find(power, "price_stale")) ? "stale" : "unknown");
    }
    sl_buf_printf(&text, " (%s", sl_cli_text(power, "tariff"));
    if (is_set(power, "price_until")) {
        sl_buf_printf(&text, ", until ");
        sl_cli_value(power, "price_until", SL_CLI_TIME, &text);
    }
    sl_buf_printf(&text, ")");
    set_text(power, "price_text", &text);
}

static void add_site(json_t *power) {
    SL_AUTO_BUF struct sl_buf draw = {0};
    SL_AUTO_BUF struct sl_buf cap = {0};
    SL_AUTO_BUF struct sl_buf carbon = {0};
    watts(power, "drawn_w", "unknown", &draw);
    if (json_integer_value(sl_cli_find(power, "devices_unknown")) > 0) {
        sl_buf_printf(&draw, " and ");
        sl_cli_value(power, "devices_unknown", SL_CLI_NUMBER, &draw);
        sl_buf_printf(&draw, " devices with unknown watts");
    }
    watts(power, "site_cap_w", "none", &cap);
    if (is_set(power, "carbon_g")) {
        sl_cli_value(power, "carbon_g", SL_CLI_USD_SHORT, &carbon);
        sl_buf_printf(&carbon, " g for ");
        sl_cli_value(power, "carbon_kwh", SL_CLI_USD_SHORT, &carbon);
        sl_buf_printf(&carbon, " kWh");
    } else {
        sl_buf_printf(&carbon, "unknown");
    }
    set_text(power, "draw_text", &draw);
    set_text(power, "cap_text", &cap);
    set_text(power, "carbon_text", &carbon);
    if (!json_is_true(sl_cli_find(power, "energy_complete"))) {
        json_object_set_new(power, "energy_text",
                            json_string("not complete: some time was run with unknown watts"));
    } else {
        json_object_set_new(power, "energy_text", json_string("complete"));
    }
}

static void print_site(struct sl_cli *cli, json_t *power) {
    static const struct sl_cli_column fields[] = {
        {"power price", "price_text", SL_CLI_TEXT, false, false},
        {"drawn, at most", "draw_text", SL_CLI_TEXT, false, false},
        {"site cap", "cap_text", SL_CLI_TEXT, false, false},
        {"devices curtailed", "devices_curtailed", SL_CLI_NUMBER, false, false},
        {"devices capped", "devices_capped", SL_CLI_NUMBER, false, false},
        {"kWh idle", "energy_kwh.idle", SL_CLI_USD, false, false},
        {"kWh hash", "energy_kwh.hash", SL_CLI_USD, false, false},
        {"kWh infer", "energy_kwh.infer", SL_CLI_USD, false, false},
        {"kWh curtailed", "energy_kwh.curtailed", SL_CLI_USD, false, false},
        {"energy", "energy_text", SL_CLI_TEXT, false, false},
        {"CO2", "carbon_text", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    add_price(power);
    add_site(power);
    sl_cli_fields(cli, power, fields);
}

static void print_tables(struct sl_cli *cli, json_t *answer) {
    static const struct sl_cli_column classes[] = {
        {"class", "class", SL_CLI_TEXT, false, false},
        {"strike USD/kWh", "strike_usd_per_kwh", SL_CLI_USD, true, false},
        {"state", "state", SL_CLI_TEXT, false, true},
        {"devices", "devices", SL_CLI_NUMBER, true, false},
        {"changes in", "window_text", SL_CLI_TEXT, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    static const struct sl_cli_column circuits[] = {
        {"circuit", "circuit", SL_CLI_TEXT, false, false},
        {"cap W", "cap_w", SL_CLI_NUMBER, true, false},
        {"drawn W", "drawn_w", SL_CLI_NUMBER, true, false},
        {"devices", "devices", SL_CLI_NUMBER, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    static const struct sl_cli_column devices[] = {
        {"device", "key", SL_CLI_TEXT, false, false},
        {"mode", "mode", SL_CLI_TEXT, false, true},
        {"watts", "watts_text", SL_CLI_TEXT, true, false},
        {"limited", "limit_text", SL_CLI_TEXT, false, false},
        {"kWh idle", "energy_kwh.idle", SL_CLI_USD_SHORT, true, false},
        {"kWh hash", "energy_kwh.hash", SL_CLI_USD_SHORT, true, false},
        {"kWh infer", "energy_kwh.infer", SL_CLI_USD_SHORT, true, false},
        {"kWh curtailed", "energy_kwh.curtailed", SL_CLI_USD_SHORT, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    json_t *rows = json_object_get(answer, "classes");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        SL_AUTO_BUF struct sl_buf text = {0};
        if (is_set(row, "window_left_ms")) {
            sl_cli_value(row, "window_left_ms", SL_CLI_MS, &text);
        } else {
            sl_buf_printf(&text, "-");
        }
        set_text(row, "window_text", &text);
    }
    rows = json_object_get(answer, "devices");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        SL_AUTO_BUF struct sl_buf text = {0};
        sl_cli_watts(row, &text);
        set_text(row, "watts_text", &text);
        bool curtailed = json_is_true(json_object_get(row, "curtailed"));
        bool capped = json_is_true(json_object_get(row, "capped"));
        json_object_set_new(row, "limit_text",
                            json_string(curtailed ? "curtailed"
                                        : capped  ? "cap"
                                                  : "-"));
    }
    if (json_array_size(json_object_get(answer, "classes")) > 0) {
        sl_cli_heading(cli, "Strike prices");
        sl_cli_table(cli, json_object_get(answer, "classes"), classes, "none");
    }
    if (json_array_size(json_object_get(answer, "circuits")) > 0) {
        sl_cli_heading(cli, "Circuits");
        sl_cli_table(cli, json_object_get(answer, "circuits"), circuits, "none");
    }
    sl_cli_heading(cli, "Devices, energy since the broker started");
    sl_cli_table(cli, rows, devices, "No device was offered yet: see `sluice nodes`.");
}

int sl_cli_power(struct sl_cli *cli, struct sl_error *err) {
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, NULL, 0, 0, err);
    rc = rc ? rc : sl_cli_get_pages(cli, "/api/v1/power", "devices", &answer, err);
    if (rc) {
        return rc;
    }
    if (cli->json) {
        sl_cli_print_json(&answer);
        return SL_OK;
    }
    print_site(cli, json_object_get(answer.json, "power"));
    print_tables(cli, answer.json);
    return SL_OK;
}
