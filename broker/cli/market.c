/* SPDX-License-Identifier: Apache-2.0
 * `market feeds`: what each price is worth, from which sources, and why others do not count. */
#include <string.h>

#include "broker/cli/cli.h"

static void put(json_t *row, const char *key, struct sl_buf *text) {
    json_object_set_new(row, key, json_string(text->data ? text->data : ""));
    sl_buf_fini(text);
}

/* "2 of 3" and "44.1 to 46.2", "held: sources disagree", for the table. */
static void join(json_t *price) {
    struct sl_buf what = {0};
    struct sl_buf votes = {0};
    struct sl_buf range = {0};
    struct sl_buf state = {0};
    sl_cli_value(price, "role", SL_CLI_TEXT, &what);
    static const char *const names[] = {"algorithm", "model", "of"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (sl_cli_text(price, names[i])[0] != '\0') {
            sl_buf_printf(&what, " ");
            sl_cli_clean(&what, sl_cli_text(price, names[i]));
        }
    }
    sl_cli_value(price, "agree", SL_CLI_NUMBER, &votes);
    sl_buf_printf(&votes, " of ");
    sl_cli_value(price, "sources", SL_CLI_NUMBER, &votes);
    sl_cli_value(price, "spread", SL_CLI_USD_SHORT, &range);
    sl_cli_value(price, "state", SL_CLI_TEXT, &state);
    if (sl_cli_text(price, "hold")[0] != '\0') {
        sl_buf_printf(&state, ": ");
        sl_cli_clean(&state, sl_cli_text(price, "hold"));
    }
    if (json_is_integer(sl_cli_find(price, "confirmed_in_ms"))) {
        sl_buf_printf(&state, "; believed in ");
        sl_cli_value(price, "confirmed_in_ms", SL_CLI_MS, &state);
    }
    if (!json_is_true(sl_cli_find(price, "decides"))) {
        sl_buf_printf(&state, " (shown only)");
    }
    put(price, "what", &what);
    put(price, "votes", &votes);
    put(price, "range", &range);
    put(price, "state_text", &state);
}

int sl_cli_market_feeds(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column prices[] = {
        {"price of", "what", SL_CLI_TEXT, false, false},
        {"trusted", "value", SL_CLI_USD, true, false},
        {"unit", "unit", SL_CLI_TEXT, false, false},
        {"sources agree", "votes", SL_CLI_TEXT, true, false},
        {"spread", "range", SL_CLI_TEXT, true, false},
        {"calibration", "calibration", SL_CLI_NUMBER, true, false},
        {"state", "state_text", SL_CLI_TEXT, false, true},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    static const struct sl_cli_column feeds[] = {
        {"source", "id", SL_CLI_TEXT, false, false},
        {"value", "value", SL_CLI_USD, true, false},
        {"unit", "unit", SL_CLI_TEXT, false, false},
        {"in USD", "value_usd", SL_CLI_USD, true, false},
        {"age", "age_ms", SL_CLI_MS, true, false},
        {"at most", "age_max_ms", SL_CLI_MS, true, false},
        {"counts", "counts", SL_CLI_TEXT, false, false},
        {"out because", "out", SL_CLI_TEXT, false, true},
        {"health", "trouble", SL_CLI_TEXT, false, true},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, NULL, 1, 1, err);
    rc = rc ? rc : sl_cli_get(cli, "/api/v1/market/feeds", &answer, err);
    if (rc || cli->json) {
        if (rc == SL_OK) {
            sl_cli_print_json(&answer);
        }
        return rc;
    }
    const json_t *all = sl_cli_find(answer.json, "prices");
    for (size_t i = 0; i < json_array_size(all); i++) {
        join(json_array_get(all, i));
    }
    sl_cli_table(cli, all, prices, "No price is configured: add feeds to the broker's config.");
    sl_cli_heading(cli, "Sources");
    sl_cli_table(cli, sl_cli_find(answer.json, "feeds"), feeds, "none");
    return SL_OK;
}
