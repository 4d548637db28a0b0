/* SPDX-License-Identifier: Apache-2.0
 * `batch ls|show|cancel|bid|results`. */
#include "broker/cli/batch.h"

#include <stdlib.h>
#include <string.h>

int sl_cli_bid_check(struct sl_cli *cli, const char *bid, struct sl_error *err) {
    int64_t nusd = 0;
    (void)cli;
    if (sl_decimal_parse(bid, 9, &nusd, NULL) != SL_OK || nusd <= 0) {
        return sl_fail(err, SL_INVALID,
                       "the bid '%.40s' is no number of USD per million tokens above 0, such as "
                       "0.05 (at most 9 decimals)",
                       bid);
    }
    return SL_OK;
}

static void batch_path(struct sl_buf *path, const char *id, const char *rest) {
    sl_buf_printf(path, "/api/v1/batches/");
    sl_cli_escape(path, id);
    sl_buf_printf(path, "%s", rest);
}

static void print_errors(const struct sl_cli *cli, const json_t *batch) {
    static const struct sl_cli_column columns[] = {
        {"line", "line", SL_CLI_TEXT, true, false},
        {"code", "code", SL_CLI_TEXT, false, false},
        {"what", "message", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    const json_t *all = sl_cli_find(batch, "errors.data");
    if (json_array_size(all) == 0) {
        return;
    }
    json_t *first = json_array();
    for (size_t i = 0; i < json_array_size(all) && i < 20; i++) {
        json_array_append(first, json_array_get(all, i));
    }
    sl_cli_heading(cli, "The batch was refused because of");
    sl_cli_table(cli, first, columns, "");
    if (json_array_size(all) > 20) {
        printf("... and %zu more: see --json\n", json_array_size(all) - 20);
    }
    json_decref(first);
}

void sl_cli_batch_print(const struct sl_cli *cli, const json_t *batch) {
    static const struct sl_cli_column fields[] = {
        {"batch", "id", SL_CLI_TEXT, false, false},
        {"tenant", "tenant", SL_CLI_TEXT, false, false},
        {"status", "status", SL_CLI_TEXT, false, false},
        {"model", "model", SL_CLI_TEXT, false, false},
        {"  its file's sha256", "model_sha256", SL_CLI_TEXT, false, true},
        {"bid USD/Mtok", "bid_usd_per_mtok", SL_CLI_USD, false, false},
        {"lines", "request_counts.total", SL_CLI_NUMBER, false, false},
        {"  completed", "request_counts.completed", SL_CLI_NUMBER, false, false},
        {"  failed", "request_counts.failed", SL_CLI_NUMBER, false, false},
        {"tokens", "tokens", SL_CLI_NUMBER, false, false},
        {"billed USD", "billed_usd", SL_CLI_USD, false, false},
        {"created (UTC)", "created", SL_CLI_TIME, false, false},
        {"deadline (UTC)", "deadline", SL_CLI_TIME, false, false},
        {"output file", "output_file_id", SL_CLI_TEXT, false, false},
        {"error file", "error_file_id", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    sl_cli_fields(cli, batch, fields);
    print_errors(cli, batch);
}

static int list(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column columns[] = {
        {"batch", "id", SL_CLI_TEXT, false, false},
        {"tenant", "tenant", SL_CLI_TEXT, false, false},
        {"status", "status", SL_CLI_TEXT, false, false},
        {"bid USD/Mtok", "bid_usd_per_mtok", SL_CLI_USD, true, false},
        {"lines", "request_counts.total", SL_CLI_NUMBER, true, false},
        {"completed", "request_counts.completed", SL_CLI_NUMBER, true, false},
        {"failed", "request_counts.failed", SL_CLI_NUMBER, true, false},
        {"billed USD", "billed_usd", SL_CLI_USD, true, false},
        {"created (UTC)", "created", SL_CLI_TIME, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    const char *limit = "20";
    const char *after = NULL;
    const struct sl_cli_option options[] = {
        {"--limit", &limit, NULL}, {"--after", &after, NULL}, {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 1, 1, err);
    if (rc) {
        return rc;
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    sl_buf_printf(&path, "/api/v1/batches?limit=");
    sl_cli_escape(&path, limit);
    if (after) {
        sl_buf_printf(&path, "&after=");
        sl_cli_escape(&path, after);
    }
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                     : sl_cli_get(cli, path.data, &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        sl_cli_table(cli, sl_cli_find(answer.json, "data"), columns, "no batches");
        if (json_is_true(sl_cli_find(answer.json, "has_more"))) {
            printf("There are older ones: sluice batch ls --after %s\n",
                   sl_cli_text(answer.json, "last_id"));
        }
    }
    return rc;
}

static int get_batch(const struct sl_cli *cli, const char *id, struct sl_cli_answer *answer,
                     struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf path = {0};
    batch_path(&path, id, "");
    return path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                       : sl_cli_get(cli, path.data, answer, err);
}

static int show(struct sl_cli *cli, struct sl_error *err) {
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, NULL, 2, 2, err);
    rc = rc ? rc : get_batch(cli, cli->argv[2], &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        sl_cli_batch_print(cli, answer.json);
    }
    return rc;
}

static int cancel(struct sl_cli *cli, struct sl_error *err) {
    int rc = sl_cli_options(cli, NULL, 2, 2, err);
    if (rc) {
        return rc;
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    batch_path(&path, cli->argv[2], "/cancel");
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                     : sl_cli_request(cli, "POST", path.data, NULL, &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        SL_AUTO_BUF struct sl_buf status = {0};
        sl_cli_value(answer.json, "status", SL_CLI_TEXT, &status);
        printf("%s is %s; finished lines are kept and billed\n", cli->argv[2],
               status.data ? status.data : "");
    }
    return rc;
}

static int bid(struct sl_cli *cli, struct sl_error *err) {
    int rc = sl_cli_options(cli, NULL, 3, 3, err);
    rc = rc ? rc : sl_cli_bid_check(cli, cli->argv[3], err);
    if (rc) {
        return rc;
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    SL_AUTO_BUF struct sl_buf body = {0};
    batch_path(&path, cli->argv[2], "/bid");
    /* Only digits and a point have passed the check: nothing to escape. */
    sl_buf_printf(&body, "{\"bid_usd_per_mtok\":\"%s\"}", cli->argv[3]);
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = path.failed || body.failed
             ? sl_fail(err, SL_NOMEM, "no memory")
             : sl_cli_request(cli, "POST", path.data, body.data, &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        SL_AUTO_BUF struct sl_buf now = {0};
        sl_cli_value(answer.json, "bid_usd_per_mtok", SL_CLI_USD, &now);
        printf("%s bids %s USD per million tokens\n", cli->argv[2], now.data ? now.data : "");
    }
    return rc;
}

int sl_cli_batch_results(const struct sl_cli *cli, const json_t *batch, bool errors, const char *to,
                         struct sl_error *err) {
    const char *id = sl_cli_text(batch, "id");
    const char *file = sl_cli_text(batch, errors ? "error_file_id" : "output_file_id");
    const char *status = sl_cli_text(batch, "status");
    if (file[0] == '\0') {
        bool open = strcmp(status, "validating") == 0 || strcmp(status, "in_progress") == 0 ||
                    strcmp(status, "finalizing") == 0 || strcmp(status, "cancelling") == 0;
        return sl_fail(err, open ? SL_AGAIN : SL_NOTFOUND,
                       open     ? "%s is %s: its files are written at its end"
                       : errors ? "%s is %s and no line of it failed"
                                : "%s is %s without a finished line; `sluice batch results ID "
                                  "--errors` or `sluice batch show ID` say why",
                       id, status);
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    sl_buf_printf(&path, "/v1/files/");
    sl_cli_escape(&path, file);
    sl_buf_printf(&path, "/content");
    if (path.failed) {
        return sl_fail(err, SL_NOMEM, "no memory");
    }
    int rc = sl_cli_download(cli, path.data, to, err);
    if (rc == SL_OK && to && strcmp(to, "-") != 0) {
        fprintf(stderr, "%s is written\n", to);
    }
    json_int_t failed = json_integer_value(sl_cli_find(batch, "request_counts.failed"));
    if (rc == SL_OK && !errors && failed > 0) {
        fprintf(stderr, "%lld lines failed: sluice batch results %s --errors\n", (long long)failed,
                id);
    }
    return rc;
}

static int results(struct sl_cli *cli, struct sl_error *err) {
    const char *out = NULL;
    bool errors = false;
    const struct sl_cli_option options[] = {
        {"--out", &out, NULL}, {"--errors", NULL, &errors}, {NULL, NULL, NULL}};
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, options, 2, 2, err);
    rc = rc ? rc : get_batch(cli, cli->argv[2], &answer, err);
    rc = rc ? rc : sl_cli_batch_results(cli, answer.json, errors, out, err);
    if (rc == SL_OK && cli->json && out && strcmp(out, "-") != 0) {
        sl_cli_print_json(&answer);
    }
    return rc;
}

int sl_cli_batch(struct sl_cli *cli, struct sl_error *err) {
    static const struct {
        const char *name;
        int (*run)(struct sl_cli *cli, struct sl_error *err);
    } actions[] = {
        {"ls", list}, {"show", show}, {"cancel", cancel}, {"bid", bid}, {"results", results},
    };
    if (cli->argc < 2) {
        return sl_cli_usage(cli, err, "say what to do with batches");
    }
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(actions[i].name, cli->argv[1]) == 0) {
            return actions[i].run(cli, err);
        }
    }
    return sl_cli_usage(cli, err, "there is no 'batch %.30s'", cli->argv[1]);
}
