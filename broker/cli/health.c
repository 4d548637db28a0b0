/* SPDX-License-Identifier: Apache-2.0
 * health: devices that are not trusted, why and how they come back; and trusting them again. */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/cli.h"

static int clear(struct sl_cli *cli, const char *name, struct sl_error *err) {
    char subject[256];
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_find_subject(cli, name, true, subject, sizeof subject, err);
    if (rc) {
        return rc;
    }
    json_t *body = json_pack("{s:s}", "subject", subject);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    rc = text ? sl_cli_request(cli, "POST", "/api/v1/health/clear", text, &answer, err)
              : sl_fail(err, SL_INVALID, "'%.60s' is no UTF-8 text", subject);
    free(text);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        printf("%s: its health is cleared, prices decide again; orders of people stay\n", subject);
    }
    return rc;
}

static int list(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column columns[] = {
        {"device", "key", SL_CLI_TEXT, false, false},
        {"node", "node", SL_CLI_TEXT, false, false},
        {"health", "health", SL_CLI_TEXT, false, true},
        {"since", "health_since", SL_CLI_TIME, false, false},
        {"reason", "health_reason", SL_CLI_TEXT, false, false},
        {"quarantines", "health_incidents", SL_CLI_NUMBER, true, false},
        {"repair", "health_rma", SL_CLI_TEXT, false, false},
        {"way back", "health_way_back", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_get(cli, "/api/v1/health", &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        sl_cli_table(cli, sl_cli_find(answer.json, "devices"), columns, "Every device is trusted.");
    }
    return rc;
}

int sl_cli_health(struct sl_cli *cli, struct sl_error *err) {
    int rc = sl_cli_options(cli, NULL, 0, 2, err);
    if (rc) {
        return rc;
    }
    if (cli->argc == 1) {
        return list(cli, err);
    }
    if (strcmp(cli->argv[1], "clear") != 0) {
        return sl_cli_usage(cli, err, "'%.30s' is not known", cli->argv[1]);
    }
    if (cli->argc != 3) {
        return sl_cli_usage(cli, err, "name the device or node whose health is cleared");
    }
    return clear(cli, cli->argv[2], err);
}
