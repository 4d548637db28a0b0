/* SPDX-License-Identifier: Apache-2.0
 * `explain DEVICE`: what it does, what each mode would earn, and the rule that decided, in words.
 */
#include <string.h>

#include "broker/cli/decision.h"

static void set_text(json_t *row, const char *key, const struct sl_buf *text) {
    json_object_set_new(row, key, json_string(text->data ? text->data : ""));
}

/* "unknown: no pool with a job" where a figure is missing. */
static void gross_text(const json_t *offer, struct sl_buf *out) {
    const char *missing = sl_cli_text(offer, "missing");
    if (json_is_true(sl_cli_find(offer, "known"))) {
        sl_cli_value(offer, "gross_usd_per_hour", SL_CLI_USD_SHORT, out);
    } else {
        sl_buf_printf(out, missing[0] ? "no " : "not possible now");
        sl_cli_clean(out, missing);
    }
}

static json_t *offer_row(const json_t *device, const char *mode) {
    char path[64];
    snprintf(path, sizeof path, "offers.%s", mode);
    const json_t *offer = sl_cli_find(device, path);
    const char *present = sl_cli_text(device, "mode");
    bool here = strcmp(present, mode) == 0;
    bool known = json_is_true(sl_cli_find(offer, "known"));
    SL_AUTO_BUF struct sl_buf gross = {0};
    SL_AUTO_BUF struct sl_buf power = {0};
    SL_AUTO_BUF struct sl_buf net = {0};
    SL_AUTO_BUF struct sl_buf cost = {0};
    gross_text(offer, &gross);
    sl_cli_value(offer, "power_usd_per_hour", SL_CLI_USD_SHORT, &power);
    if (json_is_string(sl_cli_find(offer, "power_usd_per_hour")) &&
        strcmp(sl_cli_text(offer, "power_source"), "rated") == 0) {
        sl_buf_printf(&power, " (rated)");
    }
    if (known) {
        sl_cli_value(offer, "net_usd_per_hour", SL_CLI_USD_SHORT, &net);
    } else {
        sl_buf_printf(&net, "-");
    }
    snprintf(path, sizeof path, "switch_us.%.16s_%s", present, mode);
    if (here) {
        sl_buf_printf(&cost, "is here");
    } else {
        sl_cli_value(device, path, SL_CLI_US, &cost);
        if (known && json_is_number(sl_cli_find(device, path))) {
            sl_buf_printf(&cost, ", ");
            sl_cli_value(offer, "switch_usd", SL_CLI_USD, &cost);
            sl_buf_printf(&cost, " USD");
        }
    }
    json_t *row = json_pack("{s:s}", "mode", mode);
    set_text(row, "gross", &gross);
    set_text(row, "power", &power);
    set_text(row, "net", &net);
    set_text(row, "cost", &cost);
    return row;
}

static void print_offers(const struct sl_cli *cli, const json_t *device) {
    static const struct sl_cli_column columns[] = {
        {"mode", "mode", SL_CLI_TEXT, false, true},
        {"earns USD/h", "gross", SL_CLI_TEXT, true, false},
        {"power USD/h", "power", SL_CLI_TEXT, true, false},
        {"left USD/h", "net", SL_CLI_TEXT, true, false},
        {"switching there takes", "cost", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    static const char *const modes[] = {"hash", "infer", "idle"};
    json_t *rows = json_array();
    for (size_t i = 0; i < 3; i++) {
        json_array_append_new(rows, offer_row(device, modes[i]));
    }
    sl_cli_heading(cli, "What each mode would earn now");
    sl_cli_table(cli, rows, columns, "");
    json_decref(rows);
}

static void print_now(const json_t *device) {
    SL_AUTO_BUF struct sl_buf text = {0};
    const char *batch = sl_cli_text(device, "batch");
    const char *order = sl_cli_text(device, "override");
    /* Nobody has told it anything yet: that is no safe mode. */
    bool unproven = strcmp(sl_cli_text(device, "state"), "unproven") == 0;
    sl_buf_printf(&text, "It does: ");
    sl_cli_value(device, "mode", SL_CLI_TEXT, &text);
    if (!unproven && strcmp(sl_cli_text(device, "mode"), sl_cli_text(device, "wanted")) != 0) {
        sl_buf_printf(&text, " (wanted: ");
        sl_cli_value(device, "wanted", SL_CLI_TEXT, &text);
        sl_buf_printf(&text, ")");
    }
    if (!unproven && json_is_true(sl_cli_find(device, "safe_mode"))) {
        sl_buf_printf(&text, " in its safe mode, without the broker");
    }
    if (strcmp(sl_cli_text(device, "mode"), "hash") == 0 && sl_cli_text(device, "pool")[0]) {
        sl_buf_printf(&text, " for the pool ");
        sl_cli_value(device, "pool", SL_CLI_TEXT, &text);
    }
    sl_buf_printf(&text, ", for ");
    sl_cli_value(device, "since_ms", SL_CLI_MS, &text);
    if (batch[0]) {
        sl_buf_printf(&text, ", for batch %s at ", batch);
        sl_cli_value(device, "price_usd_per_mtok", SL_CLI_USD, &text);
        sl_buf_printf(&text, " USD/Mtok");
    }
    sl_buf_printf(&text, "\nState:   ");
    sl_cli_value(device, "state", SL_CLI_TEXT, &text);
    sl_buf_printf(&text, ", order by an operator: %s", order[0] ? order : "none");
    if (sl_cli_text(device, "trouble")[0]) {
        sl_buf_printf(&text, "\nTrouble: ");
        sl_cli_value(device, "trouble", SL_CLI_TEXT, &text);
    }
    if (sl_cli_text(device, "note")[0]) {
        sl_buf_printf(&text, "\nNote:    ");
        sl_cli_value(device, "note", SL_CLI_TEXT, &text);
    }
    printf("%s\n", text.data ? text.data : "");
}

/* Where it sits, who says what it draws, and how far it is trusted. */
static void print_hardware(const json_t *device) {
    SL_AUTO_BUF struct sl_buf text = {0};
    const char *pci = sl_cli_text(device, "pci");
    const char *locality = sl_cli_text(device, "locality");
    const char *note = sl_cli_text(device, "telemetry.note");
    sl_buf_printf(&text, "Place:   ");
    sl_cli_clean(&text, pci);
    sl_buf_printf(&text, pci[0] && locality[0] ? ", " : "");
    sl_cli_clean(&text, locality);
    sl_buf_printf(&text, "%s\nSensors: ", pci[0] || locality[0] ? "" : "unknown");
    sl_cli_value(device, "telemetry.source", SL_CLI_TEXT, &text);
    sl_buf_printf(&text, note[0] ? "; " : "");
    sl_cli_clean(&text, note);
    if (sl_cli_text(device, "health_reason")[0]) {
        sl_buf_printf(&text, "\nHealth:  ");
        sl_cli_value(device, "health", SL_CLI_TEXT, &text);
        sl_buf_printf(&text, ": ");
        sl_cli_value(device, "health_reason", SL_CLI_TEXT, &text);
        sl_buf_printf(&text, "\n         Way back: ");
        sl_cli_value(device, "health_way_back", SL_CLI_TEXT, &text);
    }
    printf("%s\n", text.data ? text.data : "");
}

static void print_reason(const json_t *device) {
    SL_AUTO_BUF struct sl_buf text = {0};
    const char *words = sl_cli_rule_words(sl_cli_text(device, "rule"));
    sl_buf_printf(&text, "Rule:    ");
    sl_cli_value(device, "rule", SL_CLI_TEXT, &text);
    if (sl_cli_text(device, "decided")[0]) {
        sl_buf_printf(&text, ", decided ");
        sl_cli_value(device, "decided", SL_CLI_TIME, &text);
        sl_buf_printf(&text, " UTC (epoch ");
        sl_cli_value(device, "epoch", SL_CLI_NUMBER, &text);
        sl_buf_printf(&text, ")");
    }
    if (words[0]) {
        sl_buf_printf(&text, "\n         %s", words);
    }
    sl_buf_printf(&text, "\nFigures: ");
    sl_cli_value(device, "why", SL_CLI_TEXT, &text);
    printf("%s\n", text.data ? text.data : "");
}

static void print_history(const struct sl_cli *cli, const json_t *device) {
    static const struct sl_cli_column columns[] = {
        {"time (UTC)", "at", SL_CLI_TIME, false, false},
        {"mode", "mode", SL_CLI_TEXT, false, true},
        {"rule", "rule", SL_CLI_TEXT, false, false},
        {"figures", "why", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    const json_t *all = sl_cli_find(device, "history");
    json_t *newest = json_array();
    for (size_t i = 0; i < json_array_size(all) && i < 5; i++) {
        json_array_append(newest, json_array_get(all, i));
    }
    sl_cli_heading(cli, "Its last decisions");
    sl_cli_table(cli, newest, columns, "none");
    json_decref(newest);
}

int sl_cli_explain(struct sl_cli *cli, struct sl_error *err) {
    char key[256];
    const char *at = NULL;
    const struct sl_cli_option options[] = {{"--at", &at, NULL}, {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 1, 1, err);
    rc = rc ? rc : sl_cli_find_subject(cli, cli->argv[1], false, key, sizeof key, err);
    if (rc || at) {
        return rc ? rc : sl_cli_explain_at(cli, key, at, err);
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    sl_buf_printf(&path, "/api/v1/devices/");
    sl_cli_escape(&path, key);
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                     : sl_cli_get(cli, path.data, &answer, err);
    if (rc || cli->json) {
        if (rc == SL_OK) {
            sl_cli_print_json(&answer);
        }
        return rc;
    }
    SL_AUTO_BUF struct sl_buf title = {0};
    sl_cli_value(answer.json, "key", SL_CLI_TEXT, &title);
    sl_buf_printf(&title, " on node ");
    sl_cli_value(answer.json, "node", SL_CLI_TEXT, &title);
    sl_buf_printf(&title, ": ");
    sl_cli_value(answer.json, "name", SL_CLI_TEXT, &title);
    printf("%s%s%s\n", cli->colour ? "\033[1m" : "", title.data ? title.data : "",
           cli->colour ? "\033[0m" : "");
    print_now(answer.json);
    print_hardware(answer.json);
    print_reason(answer.json);
    print_offers(cli, answer.json);
    print_history(cli, answer.json);
    return SL_OK;
}
