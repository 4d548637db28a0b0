/* SPDX-License-Identifier: Apache-2.0
 * `ledger`: accounts, sums, and whether a replay of every posting gives the same. */
#include <string.h>

#include "broker/cli/cli.h"

static json_t *sums(const json_t *accounts) {
    sl_i128 debits = 0;
    sl_i128 credits = 0;
    for (size_t i = 0; i < json_array_size(accounts); i++) {
        sl_i128 amount = 0;
        const json_t *account = json_array_get(accounts, i);
        debits += sl_cli_nusd(sl_cli_text(account, "debits_usd"), &amount) ? amount : 0;
        credits += sl_cli_nusd(sl_cli_text(account, "credits_usd"), &amount) ? amount : 0;
    }
    char texts[3][64];
    return json_pack("{s:s, s:s, s:s, s:s}", "id", "sum", "debits_usd",
                     sl_nusd_format(debits, texts[0]), "credits_usd",
                     sl_nusd_format(credits, texts[1]), "balance_usd",
                     sl_nusd_format(debits - credits, texts[2]));
}

static void print_accounts(const struct sl_cli *cli, json_t *accounts) {
    static const struct sl_cli_column columns[] = {
        {"account", "id", SL_CLI_TEXT, false, false},
        {"debits USD", "debits_usd", SL_CLI_USD_FULL, true, false},
        {"credits USD", "credits_usd", SL_CLI_USD_FULL, true, false},
        {"balance USD", "balance_usd", SL_CLI_USD_FULL, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    if (json_array_size(accounts) > 0) {
        json_array_append_new(accounts, sums(accounts));
    }
    sl_cli_table(cli, accounts, columns, "Nothing was posted yet.");
}

static void print_transfers(const struct sl_cli *cli, const json_t *transfers) {
    static const struct sl_cli_column columns[] = {
        {"transfer", "id", SL_CLI_NUMBER, true, false},
        {"time (UTC)", "at", SL_CLI_TIME, false, false},
        {"kind", "kind", SL_CLI_TEXT, false, false},
        {"debit", "debit", SL_CLI_TEXT, false, false},
        {"credit", "credit", SL_CLI_TEXT, false, false},
        {"amount USD", "amount_usd", SL_CLI_USD_FULL, true, false},
        {"for", "ref", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    sl_cli_heading(cli, "Newest transfers");
    sl_cli_table(cli, transfers, columns, "none");
}

/* One pool is all that revenue:hash is about. */
static void print_pools(const struct sl_cli *cli, const json_t *pools) {
    static const struct sl_cli_column columns[] = {
        {"pool", "name", SL_CLI_TEXT, false, false},
        {"accepted shares", "shares_accepted", SL_CLI_NUMBER, true, false},
        {"quoted USD", "quoted_usd", SL_CLI_USD_FULL, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    if (json_array_size(pools) > 1) {
        sl_cli_heading(cli, "Hash revenue by pool");
        sl_cli_table(cli, pools, columns, "none");
    }
}

int sl_cli_ledger(struct sl_cli *cli, struct sl_error *err) {
    const char *transfers = NULL;
    const char *against = NULL;
    const char *device = NULL;
    const struct sl_cli_option options[] = {{"--transfers", &transfers, NULL},
                                            {"--against", &against, NULL},
                                            {"--device", &device, NULL},
                                            {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 0, 0, err);
    if (rc == SL_OK && device && !against) {
        rc = sl_cli_usage(cli, err, "--device is for --against");
    }
    if (rc || against) {
        return rc ? rc : sl_cli_ledger_against(cli, against, device, err);
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    sl_buf_printf(&path, "/api/v1/ledger?check=1&limit=");
    sl_cli_escape(&path, transfers ? transfers : "1");
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                     : sl_cli_get(cli, path.data, &answer, err);
    if (rc) {
        return rc;
    }
    bool balanced = json_is_true(sl_cli_find(answer.json, "balanced"));
    if (cli->json) {
        sl_cli_print_json(&answer);
    } else {
        print_accounts(cli, json_object_get(answer.json, "accounts"));
        print_pools(cli, sl_cli_find(answer.json, "pools"));
        if (transfers) {
            print_transfers(cli, sl_cli_find(answer.json, "transfers"));
        }
        const char *estimated = sl_cli_text(answer.json, "hash_revenue.estimated_usd");
        if (estimated[0] != '\0') {
            printf("\nhash revenue: %s USD settled by pools, %s USD estimated from quotes until it "
                   "is (`sluice settle import`)\n",
                   sl_cli_text(answer.json, "hash_revenue.settled_usd"), estimated);
        }
        double doubtful = /* a sum beyond 2^63 in the answer makes every figure of it a real */
            json_number_value(sl_cli_find(answer.json, "hash_revenue.implausible_shares"));
        if (doubtful > 0) {
            printf("of all hash revenue ever quoted, %s USD are for %.0f shares of devices that "
                   "claim more than they can have found (`sluice events`)\n",
                   sl_cli_text(answer.json, "hash_revenue.implausible_usd"), doubtful);
        }
        if (balanced) {
            printf("\nledger balanced: a replay of every transfer gives these figures\n");
        }
    }
    if (!balanced) {
        const char *difference = sl_cli_text(answer.json, "difference");
        return sl_fail(
            err, SL_CORRUPT,
            "ledger NOT balanced: %.200s. Stop the broker, copy its data_dir, and report "
            "this",
            difference[0] ? difference : "debits and credits differ");
    }
    return SL_OK;
}
