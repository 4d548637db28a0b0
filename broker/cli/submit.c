/* SPDX-License-Identifier: Apache-2.0
 * `submit`: upload, create, and on request follow to the end. */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/batch.h"

struct wish {
    const char *file;
    const char *model;
    const char *bid;
    const char *deadline;
    const char *out;
    bool wait;
};

static int read_wish(struct sl_cli *cli, struct wish *wish, struct sl_error *err) {
    const struct sl_cli_option options[] = {
        {"--model", &wish->model, NULL},       {"--bid", &wish->bid, NULL},
        {"--deadline", &wish->deadline, NULL}, {"--out", &wish->out, NULL},
        {"--wait", NULL, &wish->wait},         {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 1, 1, err);
    if (rc) {
        return rc;
    }
    wish->file = cli->argv[1];
    if (wish->out && !wish->wait) {
        return sl_cli_usage(cli, err, "--out needs --wait: results are there at the end");
    }
    return wish->bid ? sl_cli_bid_check(cli, wish->bid, err) : SL_OK;
}

/* Asked before a long upload: whose key this is, and whether anybody is there. */
static int check_key(const struct sl_cli *cli, struct sl_error *err) {
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    return sl_cli_get(cli, "/v1/batches?limit=1", &answer, err);
}

static char *request_body(const struct wish *wish, const char *file_id) {
    json_t *metadata = json_pack("{s:s*, s:s*}", "sluice.bid_usd_per_mtok", wish->bid,
                                 "sluice.deadline", wish->deadline);
    json_t *body =
        metadata ? json_pack("{s:s, s:s, s:s, s:o}", "input_file_id", file_id, "endpoint",
                             "/v1/embeddings", "completion_window", "24h", "metadata", metadata)
                 : NULL;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

/* What was uploaded for a batch that is not to be goes away again. */
static void drop_file(const struct sl_cli *cli, const char *file_id) {
    SL_AUTO_BUF struct sl_buf path = {0};
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    sl_buf_printf(&path, "/v1/files/");
    sl_cli_escape(&path, file_id);
    if (!path.failed) {
        sl_cli_request(cli, "DELETE", path.data, NULL, &answer, NULL);
    }
}

static int create(const struct sl_cli *cli, const struct wish *wish, const struct sl_buf *jsonl,
                  struct sl_cli_answer *ret_batch, struct sl_error *err) {
    SL_CLI_AUTO_ANSWER struct sl_cli_answer file = {0};
    const char *slash = strrchr(wish->file, '/');
    const char *name = strcmp(wish->file, "-") == 0 ? "stdin.jsonl"
                       : slash                      ? slash + 1
                                                    : wish->file;
    int rc = sl_cli_upload(cli, name, jsonl, &file, err);
    if (rc) {
        return rc;
    }
    SL_AUTO_FREE char *body = request_body(wish, sl_cli_text(file.json, "id"));
    rc = body ? sl_cli_request(cli, "POST", "/v1/batches", body, ret_batch, err)
              : sl_fail(err, SL_INVALID, "bid and deadline must be UTF-8 text");
    /* Without an answer the batch may be there: then its file stays. */
    if (rc != SL_OK && (!body || ret_batch->status >= 400) && ret_batch->status != 503) {
        drop_file(cli, sl_cli_text(file.json, "id"));
    }
    return rc;
}

static int follow(const struct sl_cli *cli, const struct wish *wish, const char *id,
                  struct sl_error *err) {
    SL_CLI_AUTO_ANSWER struct sl_cli_answer last = {0};
    int rc = sl_cli_wait(cli, id, &last, err);
    if (rc) {
        return rc;
    }
    if (cli->json) {
        sl_cli_print_json(&last);
    } else {
        sl_cli_batch_print(cli, last.json);
    }
    if (wish->out && sl_cli_text(last.json, "output_file_id")[0]) {
        rc = sl_cli_batch_results(cli, last.json, false, wish->out, err);
    }
    const char *status = sl_cli_text(last.json, "status");
    if (rc == SL_OK && strcmp(status, "completed") != 0) {
        rc = sl_fail(err, SL_INVALID, "the batch %s is %s", id, status);
    }
    return rc;
}

int sl_cli_submit(struct sl_cli *cli, struct sl_error *err) {
    struct wish wish = {0};
    uint64_t requests = 0;
    SL_AUTO_BUF struct sl_buf jsonl = {0};
    SL_CLI_AUTO_ANSWER struct sl_cli_answer batch = {0};
    int rc = read_wish(cli, &wish, err);
    rc = rc ? rc : check_key(cli, err);
    rc = rc ? rc : sl_cli_input_read(wish.file, wish.model, &jsonl, &requests, err);
    rc = rc ? rc : create(cli, &wish, &jsonl, &batch, err);
    if (rc) {
        return rc;
    }
    const char *id = sl_cli_text(batch.json, "id");
    if (wish.wait) {
        fprintf(stderr, "%s: %llu requests\n", id, (unsigned long long)requests);
        return follow(cli, &wish, id, err);
    }
    if (cli->json) {
        sl_cli_print_json(&batch);
    } else { /* the id alone on stdout, for scripts */
        printf("%s\n", id);
        fprintf(stderr, "%llu requests submitted; follow them with: sluice batch show %s\n",
                (unsigned long long)requests, id);
    }
    return SL_OK;
}
