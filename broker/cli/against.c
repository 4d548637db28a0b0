/* SPDX-License-Identifier: Apache-2.0
 * `market shadows` and `ledger --against`: what else would have been earned. */
#include <string.h>

#include "broker/cli/cli.h"

int sl_cli_shadows(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column columns[] = {
        {"policy", "name", SL_CLI_TEXT, false, false},
        {"net USD", "net_usd", SL_CLI_USD_FULL, true, false},
        {"from hashing, quoted", "hash_usd", SL_CLI_USD_FULL, true, false},
        {"leases less power and switches", "rest_usd", SL_CLI_USD_FULL, true, false},
        {"switches", "switches", SL_CLI_NUMBER, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_get(cli, "/api/v1/market/shadows", &answer, err);
    if (rc || cli->json) {
        if (rc == SL_OK) {
            sl_cli_print_json(&answer);
        }
        return rc;
    }
    SL_AUTO_BUF struct sl_buf head = {0};
    sl_buf_printf(&head, "In force: ");
    sl_cli_value(answer.json, "policy", SL_CLI_TEXT, &head);
    sl_buf_printf(&head, " (policy document ");
    sl_cli_value(answer.json, "policy_version", SL_CLI_TEXT, &head);
    printf("%s)\n\n", head.data ? head.data : "");
    sl_cli_table(cli, sl_cli_find(answer.json, "shadows"), columns, "");
    printf("\nAll on the same market, at quoted prices and measured rates and costs. `actual` is "
           "what the devices\ndid; hash, lease and idle are fixed modes; the others are shadows "
           "that saw what the policy saw.\n");
    return SL_OK;
}

static bool is_known(const json_t *row, const char *against) {
    char path[64];
    snprintf(path, sizeof path, "%.40s_usd", against);
    return json_is_string(json_object_get(row, path));
}

int sl_cli_ledger_against(struct sl_cli *cli, const char *against, const char *device,
                          struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf path = {0};
    char key[256] = "";
    int rc = device ? sl_cli_find_subject(cli, device, false, key, sizeof key, err) : SL_OK;
    sl_buf_printf(&path, "/api/v1/against?limit=10000");
    if (key[0]) {
        sl_buf_printf(&path, "&device=");
        sl_cli_escape(&path, key);
    }
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = rc ? rc : sl_cli_get(cli, path.data, &answer, err);
    if (rc) {
        return rc;
    }
    const json_t *rows = sl_cli_find(answer.json, "rows");
    if (json_array_size(rows) > 0 && !is_known(json_array_get(rows, 0), against)) {
        return sl_cli_usage(cli, err,
                            "--against '%.40s' is none of hash, lease, idle, fbf, work-function, "
                            "percent, minimum-time, greedy",
                            against);
    }
    if (cli->json) {
        sl_cli_print_json(&answer);
        return SL_OK;
    }
    char title[64];
    char other[64];
    snprintf(title, sizeof title, "%.40s USD", against);
    snprintf(other, sizeof other, "%.40s_usd", against);
    const struct sl_cli_column columns[] = {
        {"device", "device", SL_CLI_TEXT, false, false},
        {"until (UTC)", "at", SL_CLI_TIME, false, false},
        {"span", "span_ms", SL_CLI_MS, true, false},
        {"actual USD", "actual_usd", SL_CLI_USD_FULL, true, false},
        {title, other, SL_CLI_USD_FULL, true, false},
        {"difference USD", "difference", SL_CLI_USD_FULL, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    sl_i128 sums[2] = {0};
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        sl_i128 values[2] = {0};
        char text[64];
        sl_cli_nusd(sl_cli_text(row, "actual_usd"), &values[0]);
        const char *would = json_string_value(json_object_get(row, other));
        sl_cli_nusd(would ? would : "", &values[1]);
        sums[0] += values[0];
        sums[1] += values[1];
        json_object_set_new(row, "difference",
                            json_string(sl_nusd_format(values[0] - values[1], text)));
    }
    sl_cli_table(cli, rows, columns,
                 "Nothing is written down yet: rows come once an interval (policy document: "
                 "against.interval).");
    char texts[3][64];
    printf("\nactual %s USD, %s %s USD: %s USD more than with %s.\n"
           "Estimates at quoted prices beside the real postings (`sluice ledger`), which they do "
           "not change.\n",
           sl_nusd_format(sums[0], texts[0]), against, sl_nusd_format(sums[1], texts[1]),
           sl_nusd_format(sums[0] - sums[1], texts[2]), against);
    return SL_OK;
}
