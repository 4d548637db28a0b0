/* SPDX-License-Identifier: Apache-2.0
 * `keys`: a secret is shown once, when it is made. */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/cli.h"

static int list(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column columns[] = {
        {"id", "id", SL_CLI_TEXT, false, false},
        {"role", "role", SL_CLI_TEXT, false, false},
        {"tenant", "tenant", SL_CLI_TEXT, false, false},
        {"label", "label", SL_CLI_TEXT, false, false},
        {"created (UTC)", "created", SL_CLI_TIME, false, false},
        {"revoked (UTC)", "revoked", SL_CLI_TIME, false, true},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, NULL, 1, 1, err);
    rc = rc ? rc : sl_cli_get(cli, "/api/v1/keys", &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        sl_cli_table(cli, sl_cli_find(answer.json, "keys"), columns, "no keys");
    }
    return rc;
}

/* The request's body; NULL: the texts are no UTF-8. */
static char *wish(const struct sl_cli *cli, bool operator_key, const char *label) {
    json_t *body = operator_key ? json_pack("{s:s, s:s}", "role", "operator", "label", label)
                                : json_pack("{s:s, s:s}", "tenant", cli->argv[2], "label", label);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

/* A secret stands alone on stdout, so that KEY=$(sluice keys new TENANT) works. */
static void show(const struct sl_cli *cli, const struct sl_cli_answer *answer, const char *out) {
    if (cli->json) {
        sl_cli_print_json(answer);
        return;
    }
    if (!out) {
        printf("%s\n", sl_cli_text(answer->json, "key"));
    }
    fprintf(stderr, "key %s%s%s; it cannot be shown again\n", sl_cli_text(answer->json, "id"),
            out ? " is in " : ": keep it in a file of mode 0600", out ? out : "");
}

static int create(struct sl_cli *cli, struct sl_error *err) {
    bool operator_key = false;
    const char *out = NULL;
    const struct sl_cli_option options[] = {
        {"--operator", NULL, &operator_key}, {"--out", &out, NULL}, {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 1, 3, err);
    if (rc) {
        return rc;
    }
    int at = operator_key ? 2 : 3; /* of the label */
    if ((!operator_key && cli->argc < 3) || cli->argc > at + 1) {
        return sl_cli_usage(cli, err, "name the tenant, or say --operator");
    }
    SL_AUTO_FD int fd = -1;
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    SL_AUTO_FREE char *text = wish(cli, operator_key, cli->argc > at ? cli->argv[at] : "");
    rc = text ? SL_OK : sl_fail(err, SL_INVALID, "tenant and label must be UTF-8 text");
    rc = rc || !out ? rc : sl_cli_secret_open(out, &fd, err);
    if (rc) {
        return rc;
    }
    rc = sl_cli_request(cli, "POST", "/api/v1/keys", text, &answer, err);
    if (rc && out) {
        unlink(out);
    }
    if (rc == SL_OK && out) {
        rc = sl_cli_secret_write(fd, sl_cli_text(answer.json, "key"))
                 ? SL_OK
                 : sl_fail_errno(err,
                                 "the key was made but cannot be written to %s: find it with "
                                 "`sluice keys ls` and revoke it",
                                 out);
    }
    if (rc == SL_OK) {
        show(cli, &answer, out);
    }
    return rc;
}

static int revoke_key(struct sl_cli *cli, struct sl_error *err) {
    int rc = sl_cli_options(cli, NULL, 2, 2, err);
    if (rc) {
        return rc;
    }
    SL_AUTO_BUF struct sl_buf path = {0};
    sl_buf_printf(&path, "/api/v1/keys/");
    sl_cli_escape(&path, cli->argv[2]);
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    rc = path.failed ? sl_fail(err, SL_NOMEM, "no memory")
                     : sl_cli_request(cli, "DELETE", path.data, NULL, &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        printf("key %s is revoked\n", cli->argv[2]);
    }
    return rc;
}

int sl_cli_keys(struct sl_cli *cli, struct sl_error *err) {
    const char *what = cli->argc > 1 ? cli->argv[1] : "ls";
    if (cli->argc < 2) {
        return sl_cli_usage(cli, err, "say what to do with keys");
    }
    if (strcmp(what, "ls") == 0) {
        return list(cli, err);
    }
    if (strcmp(what, "new") == 0) {
        return create(cli, err);
    }
    if (strcmp(what, "revoke") == 0) {
        return revoke_key(cli, err);
    }
    return sl_cli_usage(cli, err, "there is no 'keys %.30s'", what);
}
