/* SPDX-License-Identifier: Apache-2.0
 * `settle import CSV [--check]`, `settle ls`: what pools really paid. */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/cli.h"
#include "broker/cli/settle_file.h"

#define FILE_MAX (256 * 1024)

static int read_file(const char *path, struct sl_buf *out, struct sl_error *err) {
    char chunk[8192];
    size_t n = 0;
    SL_AUTO_FILE FILE *file = fopen(path, "re");
    if (!file) {
        return sl_fail_errno(err, "cannot read %s", path);
    }
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0 && out->len <= FILE_MAX) {
        sl_buf_append(out, chunk, n);
    }
    if (ferror(file)) {
        return sl_fail_errno(err, "reading %s", path);
    }
    if (out->failed) {
        return sl_fail(err, SL_NOMEM, "no memory for %s", path);
    }
    return out->len > FILE_MAX ? sl_fail(err, SL_LIMIT, "%s is too long: split it", path) : SL_OK;
}

static void print_rows(const struct sl_cli *cli, const json_t *answer) {
    static const struct sl_cli_column columns[] = {
        {"settlement", "id", SL_CLI_TEXT, true, false},
        {"from (UTC)", "from", SL_CLI_TIME, false, false},
        {"to (UTC)", "to", SL_CLI_TIME, false, false},
        {"node", "node", SL_CLI_TEXT, false, false},
        {"pool", "pool", SL_CLI_TEXT, false, false},
        {"amount", "amount", SL_CLI_USD, true, false},
        {"currency", "currency", SL_CLI_TEXT, false, false},
        {"settled USD", "settled_usd", SL_CLI_USD_FULL, true, false},
        {"quoted USD", "quoted_usd", SL_CLI_USD_FULL, true, false},
        {"of late shares", "late_usd", SL_CLI_USD_FULL, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    sl_cli_table(cli, sl_cli_find(answer, "settlements"), columns, "Nothing was settled yet.");
}

static int send(struct sl_cli *cli, json_t *rows, bool check, struct sl_cli_answer *answer,
                struct sl_error *err) {
    json_t *body = json_pack("{s:O, s:b}", "rows", rows, "check", (int)check);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    int rc = text ? sl_cli_request(cli, "POST", "/api/v1/settlements", text, answer, err)
                  : sl_fail(err, SL_NOMEM, "no memory for the import");
    free(text);
    return rc;
}

static int import(struct sl_cli *cli, const char *path, bool check, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf text = {0};
    json_t *rows = NULL;
    int rc = read_file(path, &text, err);
    rc = rc ? rc : sl_cli_settle_parse(path, text.data ? text.data : "", text.len, &rows, err);
    if (rc) {
        return rc;
    }
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    size_t count = json_array_size(rows);
    rc = send(cli, rows, check, &answer, err);
    json_decref(rows);
    if (rc) {
        return sl_wrap(err, "%s", path);
    }
    if (cli->json) {
        sl_cli_print_json(&answer);
        return SL_OK;
    }
    print_rows(cli, answer.json);
    printf(check ? "\n%zu rows would be taken; nothing was changed\n" : "\n%zu rows settled\n",
           count);
    return SL_OK;
}

int sl_cli_settle(struct sl_cli *cli, struct sl_error *err) {
    bool check = false;
    const char *limit = NULL;
    const struct sl_cli_option options[] = {
        {"--check", NULL, &check}, {"--limit", &limit, NULL}, {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 1, 2, err);
    if (rc) {
        return rc;
    }
    bool ls = strcmp(cli->argv[1], "ls") == 0;
    if (ls ? cli->argc != 2 || check
           : strcmp(cli->argv[1], "import") != 0 || cli->argc != 3 || limit) {
        return sl_cli_usage(cli, err, "say `import CSV`, or `ls`");
    }
    if (!ls) {
        return import(cli, cli->argv[2], check, err);
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    sl_buf_printf(&path, "/api/v1/settlements?limit=");
    sl_cli_escape(&path, limit ? limit : "100");
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                     : sl_cli_get(cli, path.data, &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        print_rows(cli, answer.json);
    }
    return rc;
}
