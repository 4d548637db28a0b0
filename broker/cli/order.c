/* SPDX-License-Identifier: Apache-2.0
 * What people order: drain, resume, pin, stop. */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/cli.h"

static int send_order(const struct sl_cli *cli, const char *subject, const char *mode,
                      struct sl_cli_answer *answer, struct sl_error *err) {
    char path[32];
    snprintf(path, sizeof path, "/api/v1/%.16s", cli->verb);
    json_t *body = json_pack("{s:s, s:s*}", "subject", subject, "mode", mode);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    int rc = text ? sl_cli_request(cli, "POST", path, text, answer, err)
                  : sl_fail(err, SL_INVALID, "'%.60s' is no UTF-8 text", subject);
    free(text);
    return rc;
}

static void say(const struct sl_cli *cli, const char *subject, const char *mode,
                const struct sl_cli_answer *answer) {
    bool all = strcmp(subject, "*") == 0;
    const char *again = all ? "--all" : subject;
    const char *note = sl_cli_text(answer->json, "note");
    if (strcmp(cli->verb, "stop") == 0) {
        printf("stopped: no device works until `sluice resume --all`\n");
    } else if (strcmp(cli->verb, "drain") == 0) {
        printf("%s is drained: it gets no work until `sluice resume %s`\n", subject, again);
    } else if (strcmp(cli->verb, "pin") == 0) {
        printf("%s is pinned to %s until `sluice resume %s`\n", subject, mode, again);
    } else if (note[0] == '\0' && all) {
        printf("what was ordered for the whole site is lifted; orders for single devices and nodes "
               "stay\n");
    } else if (note[0] == '\0') {
        printf("%s: orders are lifted, prices decide again\n", subject);
    }
    if (note[0] != '\0') {
        SL_AUTO_BUF struct sl_buf clean = {0};
        sl_cli_clean(&clean, note);
        printf("%s\n", clean.data ? clean.data : "");
    }
}

/* Who is meant and, for pin, the mode. */
static int read_order(struct sl_cli *cli, char *subject, size_t size, const char **ret_mode,
                      struct sl_error *err) {
    bool all = false;
    bool pin = strcmp(cli->verb, "pin") == 0;
    bool stop = strcmp(cli->verb, "stop") == 0;
    bool resume = strcmp(cli->verb, "resume") == 0;
    const struct sl_cli_option options[] = {{"--all", NULL, &all}, {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, stop || resume ? options : NULL,
                            stop || resume ? 0
                            : pin          ? 2
                                           : 1,
                            stop  ? 0
                            : pin ? 2
                                  : 1,
                            err);
    if (rc) {
        return rc;
    }
    if (stop && !all) {
        return sl_cli_usage(cli, err, "stop concerns every device: say --all, or use drain");
    }
    if (resume && all == (cli->argc > 1)) {
        return sl_cli_usage(cli, err, "name a device or node, or say --all");
    }
    if (pin && strcmp(cli->argv[2], "idle") != 0 && strcmp(cli->argv[2], "hash") != 0 &&
        strcmp(cli->argv[2], "infer") != 0) {
        return sl_cli_usage(cli, err, "'%.30s' is no mode", cli->argv[2]);
    }
    *ret_mode = pin ? cli->argv[2] : NULL;
    if (all) {
        sl_text_copy(subject, size, "*");
        return SL_OK;
    }
    return sl_cli_find_subject(cli, cli->argv[1], true, subject, size, err);
}

int sl_cli_order(struct sl_cli *cli, struct sl_error *err) {
    char subject[256];
    const char *mode = NULL;
    int rc = read_order(cli, subject, sizeof subject, &mode, err);
    if (rc) {
        return rc;
    }
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = send_order(cli, subject, mode, &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        say(cli, subject, mode, &answer);
    }
    return rc;
}
