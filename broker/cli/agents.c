/* SPDX-License-Identifier: Apache-2.0
 * `agents`: who is let in. A token is shown once, when it is made. */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/cli.h"

/* Reasons that have a count; nothing where nobody was refused. */
static void say_refused(const struct sl_cli *cli, const json_t *refused) {
    bool any = false;
    for (void *at = json_object_iter((json_t *)refused); at;
         at = json_object_iter_next((json_t *)refused, at)) {
        json_int_t count = json_integer_value(json_object_iter_value(at));
        if (count > 0) {
            if (!any) {
                sl_cli_heading(cli, "Refused at the joining socket since the broker's start");
            }
            any = true;
            printf("%" JSON_INTEGER_FORMAT " %s\n", count, json_object_iter_key(at));
        }
    }
}

/* While the broker is to get another key: who would be lost if it had it now. */
static void say_next_key(const struct sl_cli *cli, const json_t *agents) {
    SL_AUTO_BUF struct sl_buf lost = {0};
    unsigned kept = 0;
    unsigned lack = 0;
    for (size_t i = 0; i < json_array_size(agents); i++) {
        const json_t *agent = json_array_get(agents, i);
        const char *state = sl_cli_text(agent, "state");
        const char *next = sl_cli_text(agent, "next_broker_key");
        if (strcmp(state, "approved") != 0 && strcmp(state, "static") != 0) {
            continue;
        }
        kept += strcmp(next, "kept") == 0;
        if (strcmp(next, "not kept") == 0) {
            lack++;
            sl_buf_printf(&lost, "  ");
            sl_cli_clean(&lost, sl_cli_text(agent, "name"));
            sl_buf_printf(&lost, " (%s)\n", sl_cli_text(agent, "session"));
        }
    }
    if (kept + lack > 0) {
        sl_cli_heading(cli, "The broker's next key");
        printf("kept by %u of %u agents%s\n%s", kept, kept + lack, lack ? ", not by" : "",
               lost.data && !lost.failed ? lost.data : "");
    }
}

static int list(struct sl_cli *cli, struct sl_error *err) {
    static const struct sl_cli_column agents[] = {
        {"agent", "name", SL_CLI_TEXT, false, false},
        {"state", "state", SL_CLI_TEXT, false, false},
        {"session", "session", SL_CLI_TEXT, false, false},
        {"devices", "devices", SL_CLI_NUMBER, true, false},
        {"public key", "public_key", SL_CLI_TEXT, false, false},
        {"rotating", "rotating", SL_CLI_TEXT, false, false},
        {"joined (UTC)", "joined", SL_CLI_TIME, false, false},
        {"version", "version", SL_CLI_TEXT, false, false},
        {"told on joining", "inventory", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    static const struct sl_cli_column tokens[] = {
        {"token", "id", SL_CLI_TEXT, false, false},
        {"for node", "name", SL_CLI_TEXT, false, false},
        {"expires (UTC)", "expires", SL_CLI_TIME, false, false},
        {"made by", "actor", SL_CLI_TEXT, false, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, NULL, 1, 1, err);
    rc = rc ? rc : sl_cli_get(cli, "/api/v1/agents", &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        sl_cli_table(cli, sl_cli_find(answer.json, "agents"), agents,
                     "No agent is known yet: `sluice agents enroll NAME` makes a token for one.");
        if (json_array_size(sl_cli_find(answer.json, "tokens")) > 0) {
            sl_cli_heading(cli, "Open tokens");
            sl_cli_table(cli, sl_cli_find(answer.json, "tokens"), tokens, "none");
        }
        say_next_key(cli, sl_cli_find(answer.json, "agents"));
        say_refused(cli, sl_cli_find(answer.json, "refused"));
    }
    return rc;
}

static int post(const struct sl_cli *cli, const char *verb, json_t *body,
                struct sl_cli_answer *answer, struct sl_error *err) {
    char path[48];
    snprintf(path, sizeof path, "/api/v1/agents/%.16s", verb);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    int rc = text ? sl_cli_request(cli, "POST", path, text, answer, err)
                  : sl_fail(err, SL_INVALID, "names are UTF-8 text");
    free(text);
    return rc;
}

/* A token stands alone on stdout, so that it can be piped to `sluice-agent join -`. */
static int enroll(struct sl_cli *cli, struct sl_error *err) {
    const char *ttl = NULL;
    const char *out = NULL;
    const struct sl_cli_option options[] = {
        {"--ttl", &ttl, NULL}, {"--out", &out, NULL}, {NULL, NULL, NULL}};
    SL_AUTO_FD int fd = -1;
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, options, 2, 2, err);
    rc = rc || !out ? rc : sl_cli_secret_open(out, &fd, err);
    if (rc) {
        return rc;
    }
    rc = post(cli, "enroll", json_pack("{s:s, s:s*}", "name", cli->argv[2], "ttl", ttl), &answer,
              err);
    if (rc && out) {
        unlink(out);
    }
    if (rc) {
        return rc;
    }
    if (cli->json && !out) {
        sl_cli_print_json(&answer);
        return SL_OK;
    }
    const char *token = sl_cli_text(answer.json, "token");
    SL_AUTO_BUF struct sl_buf expires = {0};
    sl_cli_value(answer.json, "expires", SL_CLI_TIME, &expires);
    if (out) {
        rc = sl_cli_secret_write(fd, token)
                 ? SL_OK
                 : sl_fail_errno(err, "cannot write the token to %s: make another one", out);
    } else {
        printf("%s\n", token);
    }
    if (rc == SL_OK) {
        fprintf(stderr,
                "%s%sgood once, until %s UTC, for the node %s: give it to `sluice-agent join -` "
                "there (standard input), or `sluice-agent join FILE`\n",
                out ? out : "", out ? " is " : "", expires.data ? expires.data : "?", cli->argv[2]);
    }
    return rc;
}

static void say(const struct sl_cli *cli, const char *verb, const struct sl_cli_answer *answer) {
    const char *name = cli->argv[2];
    if (strcmp(verb, "approve") == 0) {
        printf("%s is approved: it may connect now\n", name);
    } else if (strcmp(verb, "reject") == 0) {
        printf("%s is rejected\n", name);
    } else if (strcmp(verb, "revoke") == 0) {
        printf("%s is revoked: nothing it says is heard any more, its leases run out, and it "
               "cannot come back with this key\n",
               name);
    } else if (json_is_true(sl_cli_find(answer->json, "asked"))) {
        printf("%s was asked for a new key; both are good for the overlap (`sluice agents ls`)\n",
               name);
    } else {
        printf("%s is away: it is asked for a new key when it comes back\n", name);
    }
}

static int order(struct sl_cli *cli, const char *verb, struct sl_error *err) {
    const char *overlap = NULL;
    const struct sl_cli_option options[] = {{"--overlap", &overlap, NULL}, {NULL, NULL, NULL}};
    bool rotate = strcmp(verb, "rotate") == 0;
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_options(cli, rotate ? options : NULL, 2, 2, err);
    rc = rc ? rc
            : post(cli, verb, json_pack("{s:s, s:s*}", "agent", cli->argv[2], "overlap", overlap),
                   &answer, err);
    if (rc == SL_OK && cli->json) {
        sl_cli_print_json(&answer);
    } else if (rc == SL_OK) {
        say(cli, verb, &answer);
    }
    return rc;
}

int sl_cli_agents(struct sl_cli *cli, struct sl_error *err) {
    static const char *const orders[] = {"approve", "reject", "revoke", "rotate"};
    if (cli->argc < 2) {
        return sl_cli_usage(cli, err, "say what to do with agents");
    }
    if (strcmp(cli->argv[1], "ls") == 0) {
        return list(cli, err);
    }
    if (strcmp(cli->argv[1], "enroll") == 0) {
        return enroll(cli, err);
    }
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(cli->argv[1], orders[i]) == 0) {
            return order(cli, orders[i], err);
        }
    }
    return sl_cli_usage(cli, err, "there is no 'agents %.30s'", cli->argv[1]);
}
