/* SPDX-License-Identifier: Apache-2.0
 * `exposure`: whom the site lives on. `market rates`: the rate card beside bids and references. */
#include <string.h>

#include "broker/cli/cli.h"

static void percent(json_t *row, const char *from, const char *to) {
    char text[32];
    snprintf(text, sizeof text, "%.2f %%", 100 * json_number_value(sl_cli_find(row, from)));
    json_object_set_new(row, to, json_string(text));
}

int sl_cli_exposure(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column columns[] = {
        {"kind", "kind", SL_CLI_TEXT, false, false},
        {"source", "name", SL_CLI_TEXT, false, false},
        {"revenue USD", "revenue_usd", SL_CLI_USD_FULL, true, false},
        {"share", "share_text", SL_CLI_TEXT, true, false},
        {"limit", "limit_text", SL_CLI_TEXT, true, false},
        {"over", "over", SL_CLI_TEXT, false, true},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, NULL, 0, 0, err);
    rc = rc ? rc : sl_cli_get(cli, "/api/v1/exposure", &answer, err);
    if (rc) {
        return rc;
    }
    if (cli->json) {
        sl_cli_print_json(&answer);
        return SL_OK;
    }
    const json_t *windows = sl_cli_find(answer.json, "windows");
    for (size_t i = 0; i < json_array_size(windows); i++) {
        const json_t *window = json_array_get(windows, i);
        const json_t *sources = sl_cli_find(window, "sources");
        SL_AUTO_BUF struct sl_buf text = {0};
        sl_buf_printf(&text, "Last ");
        sl_cli_value(window, "window", SL_CLI_TEXT, &text);
        sl_buf_printf(&text, ": ");
        sl_cli_value(window, "revenue_usd", SL_CLI_USD, &text);
        sl_buf_printf(&text, " USD, HHI ");
        sl_cli_value(window, "hhi", SL_CLI_NUMBER, &text);
        for (size_t k = 0; k < json_array_size(sources); k++) {
            percent(json_array_get(sources, k), "share", "share_text");
            percent(json_array_get(sources, k), "limit", "limit_text");
        }
        sl_cli_heading(cli, text.data ? text.data : "");
        sl_cli_table(cli, sources, columns, "no revenue");
    }
    return SL_OK;
}

/* "16: 5100, 32: 6200": tokens/s of texts up to so many tokens. */
static void add_lengths_cell(json_t *row) {
    SL_AUTO_BUF struct sl_buf text = {0};
    json_t *lengths = json_object_get(row, "tokens_per_s_by_length");
    const char *most;
    json_t *rate;
    json_object_foreach(lengths, most, rate) {
        sl_buf_printf(&text, "%s%s: %.0f", text.len ? ", " : "", most, json_number_value(rate));
    }
    json_object_set_new(row, "lengths_text", json_string(text.len ? text.data : ""));
}

int sl_cli_market_rates(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column classes[] = {
        {"class", "class", SL_CLI_TEXT, false, false},
        {"model", "model", SL_CLI_TEXT, false, false},
        {"devices", "devices", SL_CLI_NUMBER, true, false},
        {"tokens/s", "tokens_per_s", SL_CLI_NUMBER, true, false},
        {"by tokens of a text", "lengths_text", SL_CLI_TEXT, false, false},
        {"rate USD/Mtok", "rate_usd_per_mtok", SL_CLI_USD, true, false},
        {"best bid", "best_bid_usd_per_mtok", SL_CLI_USD, true, false},
        {"rate USD/h", "rate_usd_per_hour", SL_CLI_USD_SHORT, true, false},
        {"best bid", "best_bid_usd_per_hour", SL_CLI_USD_SHORT, true, false},
        {"batches below", "batches_below_rate", SL_CLI_NUMBER, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    static const struct sl_cli_column card[] = {
        {"model", "model", SL_CLI_TEXT, false, false},
        {"class", "class", SL_CLI_TEXT, false, false},
        {"tenant", "tenant", SL_CLI_TEXT, false, false},
        {"rate USD/Mtok", "rate_usd_per_mtok", SL_CLI_USD, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    static const struct sl_cli_column references[] = {
        {"reference", "id", SL_CLI_TEXT, false, false},
        {"GPU", "model", SL_CLI_TEXT, false, false},
        {"USD/GPU-hour", "usd_per_gpu_hour", SL_CLI_USD, true, false},
        {"age", "age_ms", SL_CLI_MS, true, false},
        {"stale", "stale", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_get(cli, "/api/v1/market/rates", &answer, err);
    if (rc) {
        return rc;
    }
    if (cli->json) {
        sl_cli_print_json(&answer);
        return SL_OK;
    }
    const json_t *rows = sl_cli_find(answer.json, "classes");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        add_lengths_cell(json_array_get(rows, i));
    }
    sl_cli_table(cli, rows, classes, "No device with a model was offered yet.");
    sl_cli_heading(cli, "Rate card (rates in the policy document)");
    sl_cli_table(cli, sl_cli_find(answer.json, "card"), card, "none: every bid is offered devices");
    sl_cli_heading(cli, "Reference rates of leases");
    sl_cli_table(cli, sl_cli_find(answer.json, "references"), references,
                 "none: add feeds of the role lease_ref");
    return SL_OK;
}
