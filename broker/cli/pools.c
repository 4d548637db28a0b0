/* SPDX-License-Identifier: Apache-2.0
 * `pools`: what each pool takes and gives, over all nodes. */
#include <stdio.h>
#include <string.h>

#include "broker/cli/cli.h"

static void set_text(json_t *object, const char *key, const struct sl_buf *text) {
    json_object_set_new(object, key, json_string(text->data ? text->data : ""));
}

static long long count(const json_t *pool, const char *path) {
    /* A work of more than 2^63 hashes in the answer makes every figure of it a real. */
    return (long long)json_number_value(sl_cli_find(pool, path));
}

/* "3" or "3 (2 duplicate, 1 low difficulty)". */
static void add_rejected(json_t *pool) {
    static const struct {
        const char *path, *text;
    } reasons[] = {{"rejected.duplicate", "duplicate"},
                   {"rejected.low_difficulty", "low difficulty"},
                   {"rejected.unauthorised", "unauthorised"},
                   {"rejected.other", "other"}};
    SL_AUTO_BUF struct sl_buf text = {0};
    bool any = false;
    sl_buf_printf(&text, "%lld", count(pool, "shares_rejected"));
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        long long n = count(pool, reasons[i].path);
        if (n > 0) {
            sl_buf_printf(&text, "%s%lld %s", any ? ", " : " (", n, reasons[i].text);
            any = true;
        }
    }
    sl_buf_printf(&text, "%s", any ? ")" : "");
    set_text(pool, "rejected_text", &text);
}

/* Where the agents are: "2 of 2", "1 of 2, 1 on a fallback". */
static void add_nodes(json_t *pool) {
    SL_AUTO_BUF struct sl_buf text = {0};
    long long fallback = count(pool, "nodes_on_fallback");
    sl_buf_printf(&text, "%lld of %lld", count(pool, "nodes_working"), count(pool, "nodes"));
    if (fallback > 0) {
        sl_buf_printf(&text, ", %lld on a fallback", fallback);
    }
    set_text(pool, "nodes_text", &text);
}

/* Median and 99th of a hundred. */
static void add_latency(json_t *pool) {
    SL_AUTO_BUF struct sl_buf text = {0};
    if (json_is_number(sl_cli_find(pool, "latency_us_p50"))) {
        sl_buf_printf(&text, "%.1f / %.1f ms", (double)count(pool, "latency_us_p50") / 1000,
                      (double)count(pool, "latency_us_p99") / 1000);
    } else {
        sl_buf_printf(&text, "unknown");
    }
    set_text(pool, "latency_text", &text);
}

static void add_share(json_t *pool) {
    SL_AUTO_BUF struct sl_buf text = {0};
    long long permille = count(pool, "share_permille");
    sl_buf_printf(&text, permille ? "%.4g %%" : "-", (double)permille / 10);
    set_text(pool, "share_text", &text);
}

int sl_cli_pools(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column columns[] = {
        {"pool", "name", SL_CLI_TEXT, false, false},
        {"state", "state", SL_CLI_TEXT, false, true},
        {"url", "url", SL_CLI_TEXT, false, false},
        {"nodes", "nodes_text", SL_CLI_TEXT, false, false},
        {"devices", "devices", SL_CLI_NUMBER, true, false},
        {"share", "share_text", SL_CLI_TEXT, true, false},
        {"difficulty", "difficulty", SL_CLI_NUMBER, true, false},
        {"accepted", "shares_accepted", SL_CLI_NUMBER, true, false},
        {"stale", "shares_stale", SL_CLI_NUMBER, true, false},
        {"rejected", "rejected_text", SL_CLI_TEXT, true, false},
        {"unknown", "shares_unknown", SL_CLI_NUMBER, true, false},
        {"latency", "latency_text", SL_CLI_TEXT, true, false},
        {"measured", "window.measured_hs", SL_CLI_RATE_HS, true, false},
        {"effective", "window.effective_hs", SL_CLI_RATE_HS, true, false},
        {"quoted USD", "quoted_usd", SL_CLI_USD_FULL, true, false},
        {"trouble", "trouble", SL_CLI_TEXT, false, true},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    static const struct sl_cli_option none[] = {{NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, none, 0, 0, err);
    rc = rc ? rc : sl_cli_get(cli, "/api/v1/pools", &answer, err);
    if (rc) {
        return rc;
    }
    if (cli->json) {
        sl_cli_print_json(&answer);
        return SL_OK;
    }
    const json_t *pools = sl_cli_find(answer.json, "pools");
    for (size_t i = 0; i < json_array_size(pools); i++) {
        json_t *pool = json_array_get(pools, i);
        add_rejected(pool);
        add_nodes(pool);
        add_latency(pool);
        add_share(pool);
    }
    sl_cli_table(cli, pools, columns,
                 "No agent has named a pool yet: see `pool` or `pools` of its configuration.");
    return SL_OK;
}
